// Packed rows as plain ones, for products of so many rows of activations that unpacking costs less.

// Sixteen numbers from bytes, as fp32 or as bf16.
static inline void unpack_bytes(
    const uint8_t *numbers, float scale, float low, int is_wide, void *out) {
#if defined(HAS_BF16)
    __m512i whole = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)numbers));
    __m512 value = _mm512_fmadd_ps(
        _mm512_cvtepi32_ps(whole), _mm512_set1_ps(scale), _mm512_set1_ps(low));
    if (is_wide) {
        _mm512_storeu_ps(out, value);
    } else {
        __m256bh halves = _mm512_cvtneps_pbh(value);
        memcpy(out, &halves, sizeof(halves));
    }
#else
    for (int i = 0; i < 16; i++) {
        float value = (float)numbers[i] * scale + low;
        if (is_wide) ((float *)out)[i] = value;
        else ((uint16_t *)out)[i] = float_to_bf16(value);
    }
#endif
}

// Four words of each of a panel's rows, of which they lie one after the other: out (PANEL, stride).
static inline void part_words(const uint8_t *number, int stride, uint32_t *out) {
#ifdef HAS_AVX512
    __m512i word[4];
    for (int i = 0; i < 4; i++) word[i] = _mm512_loadu_si512(number + i * PANEL * WORD);
    __m512i pair[4] = {
        _mm512_unpacklo_epi32(word[0], word[1]), _mm512_unpackhi_epi32(word[0], word[1]),
        _mm512_unpacklo_epi32(word[2], word[3]), _mm512_unpackhi_epi32(word[2], word[3])};
    __m512i four[4] = {
        _mm512_unpacklo_epi64(pair[0], pair[2]), _mm512_unpackhi_epi64(pair[0], pair[2]),
        _mm512_unpacklo_epi64(pair[1], pair[3]), _mm512_unpackhi_epi64(pair[1], pair[3])};
    for (int i = 0; i < 4; i++) {  // of each four rows, the one at i
        _mm_storeu_si128((__m128i *)(out + i * stride), _mm512_castsi512_si128(four[i]));
        _mm_storeu_si128(
            (__m128i *)(out + (4 + i) * stride), _mm512_extracti32x4_epi32(four[i], 1));
        _mm_storeu_si128(
            (__m128i *)(out + (8 + i) * stride), _mm512_extracti32x4_epi32(four[i], 2));
        _mm_storeu_si128(
            (__m128i *)(out + (12 + i) * stride), _mm512_extracti32x4_epi32(four[i], 3));
    }
#else
    for (int i = 0; i < 4; i++) {
        for (int r = 0; r < PANEL; r++) {
            memcpy(out + r * stride + i, number + (i * PANEL + r) * WORD, WORD);
        }
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
        for (int i = 0; i < words; i += 4) {
            part_words(number + i * PANEL * WORD, MOST, &apart[0][i]);
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
