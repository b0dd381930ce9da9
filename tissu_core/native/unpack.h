// Packed rows as plain ones, for products of so many rows of activations that unpacking costs less.

#if defined(HAS_AVX2) && defined(__AVX512BF16__) && defined(__AVX512VL__)
#define HAS_BF16 1
#endif

static inline uint16_t float_to_bf16(float x) {  // of finite numbers, to the nearest
    union { float value; uint32_t bits; } wide = {x};
    return (uint16_t)((wide.bits + 0x7fff + ((wide.bits >> 16) & 1)) >> 16);
}

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

static inline __attribute__((always_inline)) void unpack_row(
    const matrix *w, int at, int is_wide, uint8_t *out) {
    int runs = w->cols / RUN, each = w->group / RUN, bytes = RUN * w->bits / 8;
    int half = RUN / 2 * (is_wide ? sizeof(float) : sizeof(uint16_t));
    const uint8_t *packed = (const uint8_t *)w->numbers + (size_t)at * runs * bytes;
    size_t group = (size_t)at * (w->cols / w->group);
    for (int run = 0; run < runs; run++, packed += bytes, out += 2 * half) {
        float scale = half_to_float(w->scale[group + run / each]);
        float low = half_to_float(w->low[group + run / each]);
        if (w->bits == 4) {
            uint8_t first[RUN / 2], second[RUN / 2];
            for (int i = 0; i < RUN / 2; i++) first[i] = packed[i] & 15;
            for (int i = 0; i < RUN / 2; i++) second[i] = packed[i] >> 4;
            unpack_bytes(first, scale, low, is_wide, out);
            unpack_bytes(second, scale, low, is_wide, out + half);
        } else {
            low -= 128 * scale;
            unpack_bytes(packed, scale, low, is_wide, out);
            unpack_bytes(packed + RUN / 2, scale, low, is_wide, out + half);
        }
    }
}

// All of a packed matrix: out (R, C) as fp32, or as bf16.
void unpack_matrix(const matrix *w, int is_wide, int threads, void *out) {
    size_t bytes = (size_t)w->cols * (is_wide ? sizeof(float) : sizeof(uint16_t));
#pragma omp parallel for num_threads(threads)
    for (int at = 0; at < w->rows; at++) {
        uint8_t *row = (uint8_t *)out + at * bytes;
        if (is_wide) unpack_row(w, at, 1, row);
        else unpack_row(w, at, 0, row);
    }
}
