// Packed rows as plain ones, for products of so many rows of activations that unpacking costs less.

#if defined(HAS_AVX512) && defined(__AVX512BF16__)
#define HAS_BF16 1
#endif

// Sixteen numbers from bytes, as fp32 or as bf16.
static inline void unpack_bytes(
    const uint8_t *numbers, float scale, float low, int is_wide, void *out) {
#ifdef HAS_AVX2
    __m256 by = _mm256_set1_ps(scale), from = _mm256_set1_ps(low);
    for (int i = 0; i < 16; i += 8) {
        __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(numbers + i)));
        __m256 value = _mm256_fmadd_ps(_mm256_cvtepi32_ps(wide), by, from);
        if (is_wide) {
            _mm256_storeu_ps((float *)out + i, value);
            continue;
        }
#ifdef HAS_BF16
        __m128bh half = _mm256_cvtneps_pbh(value);
        memcpy((uint16_t *)out + i, &half, sizeof(half));
#else
        float eight[8];
        _mm256_storeu_ps(eight, value);
        for (int j = 0; j < 8; j++) ((uint16_t *)out)[i + j] = float_to_bf16(eight[j]);
#endif
    }
#else
    for (int i = 0; i < 16; i++) {
        float value = (float)numbers[i] * scale + low;
        if (is_wide) ((float *)out)[i] = value;
        else ((uint16_t *)out)[i] = float_to_bf16(value);
    }
#endif
}

// A run of one row, from its words one after the other.
static inline void unpack_run(
    const uint8_t *words, int bits, float scale, float low, int is_wide, uint8_t *out) {
    uint8_t *middle = out + RUN / 2 * (is_wide ? sizeof(float) : sizeof(uint16_t));
    uint8_t first[RUN / 2], second[RUN / 2];
    if (bits == 4) {
        for (int i = 0; i < RUN / 2; i++) first[i] = words[i] & 15;
        for (int i = 0; i < RUN / 2; i++) second[i] = words[i] >> 4;
        words = first;
    }
    unpack_bytes(words, scale, low, is_wide, out);
    unpack_bytes(bits == 4 ? second : words + RUN / 2, scale, low, is_wide, middle);
}

static inline __attribute__((always_inline)) void unpack_panel(
    const matrix *w, int panel, int is_wide, uint8_t *out) {
    enum { MOST = RUN / WORD };
    int runs = w->cols / RUN, each = w->group / RUN, words = RUN * w->bits / 8 / WORD;
    size_t bytes = is_wide ? sizeof(float) : sizeof(uint16_t), begin = (size_t)panel * PANEL;
    int rows = w->rows - begin < PANEL ? w->rows - begin : PANEL;
    const uint8_t *number = (const uint8_t *)w->numbers + begin * runs * words * WORD;
    for (int run = 0; run < runs; run++, number += words * PANEL * WORD) {
        size_t group = begin * (w->cols / w->group) + (size_t)(run / each) * PANEL;
        uint32_t apart[PANEL][MOST];
        for (int i = 0; i < words; i++) {
            for (int r = 0; r < PANEL; r++) memcpy(&apart[r][i], number + (i * PANEL + r) * WORD, WORD);
        }
        for (int r = 0; r < rows; r++) {
            float scale = half_to_float(w->scale[group + r]), low = half_to_float(w->low[group + r]);
            unpack_run((const uint8_t *)apart[r], w->bits, scale, low, is_wide,
                       out + ((begin + r) * w->cols + (size_t)run * RUN) * bytes);
        }
    }
}

// All of a packed matrix: out (R, C) as fp32, or as bf16.
void unpack_matrix(const matrix *w, int is_wide, int threads, void *out) {
#pragma omp parallel for num_threads(threads)
    for (int panel = 0; panel < (w->rows + PANEL - 1) / PANEL; panel++) {
        if (is_wide) unpack_panel(w, panel, 1, out);
        else unpack_panel(w, panel, 0, out);
    }
}
