// Products of matrices with one or a few rows of activations.
//
// Packed weights are whole numbers with a scale and a minimum for each group of inputs; activations
// are rounded to 8 bits by runs of 32, so that a run is a product of small whole numbers. This is
// what llama.cpp does for its Q4_1 and Q8_1 (github.com/ggml-org/ggml); the code is our own.

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include <immintrin.h>
#define HAS_AVX2 1
#endif

enum { RUN = 32 };

typedef struct {
    const void *numbers;          // rows x (cols x bits / 8) bytes; of 4 bits, a run's first half low
    const uint16_t *scale, *low;  // fp16, rows x (cols / group) and eight more; none of plain ones
    const float *bias;            // or none
    int32_t rows, cols, group;
    int32_t bits;  // 4, 8, or plain: 16 (bf16), 32 (fp32)
} matrix;

typedef struct {  // a row of activations, as it is and rounded
    const float *x;
    int8_t *number, *paired;  // as they come; by pairs of runs, both first halves, both second
    float *scale, *sum;  // of each run, and eight more; the sum of what its numbers stand for
    float *spread;       // each scale four times
} row;

static inline float half_to_float(uint16_t half) {
#ifdef HAS_AVX2
    return _cvtsh_ss(half);
#else
    union { uint32_t bits; float value; } wide;
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = half & 0x7fff;
    if (rest < 0x0400) {  // zero and subnormal
        wide.value = (float)rest * 5.9604644775390625e-8f;
        wide.bits |= sign;
    } else {
        wide.bits = sign | ((rest << 13) + (rest < 0x7c00 ? 0x38000000u : 0x70000000u));
    }
    return wide.value;
#endif
}

static inline float bf16_to_float(uint16_t half) {
    union { uint32_t bits; float value; } wide = {(uint32_t)half << 16};
    return wide.value;
}

static void round_row(row *in, int cols) {
    for (int run = 0; run < cols / RUN; run++) {
        const float *x = in->x + run * RUN;
        int8_t *number = in->number + run * RUN;
        float most = 0;
        for (int i = 0; i < RUN; i++) most = fmaxf(most, fabsf(x[i]));
        float scale = most / 127, inverse = most > 0 ? 127 / most : 0;
        int32_t sum = 0;
        for (int i = 0; i < RUN; i++) {
            float level = x[i] * inverse;
            int32_t whole = (int32_t)(level + (level < 0 ? -0.5f : 0.5f));
            number[i] = (int8_t)whole;
            sum += whole;
        }
        in->scale[run] = scale;
        in->sum[run] = scale * (float)sum;
    }
#ifdef HAS_AVX2
    for (int run = 0; run + 1 < cols / RUN; run += 2) {
        const int8_t *from = in->number + run * RUN;
        int8_t *to = in->paired + run * RUN;
        memcpy(to, from, RUN / 2);
        memcpy(to + RUN / 2, from + RUN, RUN / 2);
        memcpy(to + RUN, from + RUN / 2, RUN / 2);
        memcpy(to + RUN + RUN / 2, from + RUN + RUN / 2, RUN / 2);
    }
    for (int i = 0; i < cols / RUN * 4; i++) in->spread[i] = in->scale[i / 4];
#endif
    for (int i = 0; i < 8; i++) in->scale[cols / RUN + i] = in->sum[cols / RUN + i] = 0;
}

#ifdef HAS_AVX2
static inline float add_up(__m256 v) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

static inline __m256i sum_products(__m256i unsigned_, __m256i signed_) {
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
    return _mm256_dpbusd_epi32(_mm256_setzero_si256(), unsigned_, signed_);
#else
    return _mm256_madd_epi16(_mm256_maddubs_epi16(unsigned_, signed_), _mm256_set1_epi16(1));
#endif
}
#endif

#ifdef HAS_AVX2
// The scales or minima of eight runs. Beyond a row's last they are the next row's, or what was put
// behind them all: finite, and multiplied by 0.
static inline __m256 eight_of(const uint16_t *stored, int run, int each) {
    if (each == 1) return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(stored + run)));
    if (each == 2) {
        __m128i four = _mm_loadl_epi64((const __m128i *)(stored + run / 2));
        return _mm256_cvtph_ps(_mm_unpacklo_epi16(four, four));
    }
    if (run / each == (run + 7) / each) return _mm256_set1_ps(half_to_float(stored[run / each]));
    uint16_t eight[8];
    for (int i = 0; i < 8; i++) eight[i] = stored[(run + i) / each];
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)eight));
}

// Two runs of 4 bits with the same two of each row, unpacked once.
static inline __attribute__((always_inline)) void pair_4(
    const uint8_t *packed, const float *scales, const row *in, const int count, int run,
    __m256 *sums) {
    __m256i both = _mm256_loadu_si256((const __m256i *)packed), mask = _mm256_set1_epi8(15);
    __m256i first = _mm256_and_si256(both, mask);
    __m256i second = _mm256_and_si256(_mm256_srli_epi16(both, 4), mask);
    __m256 scale = _mm256_set_m128(_mm_broadcast_ss(scales + 1), _mm_broadcast_ss(scales));
    for (int r = 0; r < count; r++) {
        const int8_t *x = in[r].paired + run * RUN;
        __m256i low = _mm256_loadu_si256((const __m256i *)x);
        __m256i high = _mm256_loadu_si256((const __m256i *)(x + RUN));
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
        __m256i sum = _mm256_dpbusd_epi32(
            _mm256_dpbusd_epi32(_mm256_setzero_si256(), first, low), second, high);
#else
        __m256i sum = _mm256_madd_epi16(
            _mm256_add_epi16(_mm256_maddubs_epi16(first, low), _mm256_maddubs_epi16(second, high)),
            _mm256_set1_epi16(1));
#endif
        __m256 by = _mm256_mul_ps(scale, _mm256_loadu_ps(in[r].spread + run * 4));
        sums[r] = _mm256_fmadd_ps(by, _mm256_cvtepi32_ps(sum), sums[r]);
    }
}

// One run, of 4 bits or 8, with the same one of each row.
static inline __attribute__((always_inline)) void one_run(
    const uint8_t *packed, int bits, float scale, const row *in, const int count, int run,
    __m256 *sums) {
    __m256i number;
    if (bits == 4) {
        __m128i both = _mm_loadu_si128((const __m128i *)packed);
        number = _mm256_and_si256(
            _mm256_set_m128i(_mm_srli_epi16(both, 4), both), _mm256_set1_epi8(15));
    } else {
        number = _mm256_xor_si256(
            _mm256_loadu_si256((const __m256i *)packed), _mm256_set1_epi8((char)0x80));
    }
    __m256i size = _mm256_abs_epi8(number);
    for (int r = 0; r < count; r++) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(in[r].number + run * RUN));
        __m256i sum = sum_products(size, _mm256_sign_epi8(x, number));
        __m256 by = _mm256_set1_ps(scale * in[r].scale[run]);
        sums[r] = _mm256_fmadd_ps(by, _mm256_cvtepi32_ps(sum), sums[r]);
    }
}

static inline __attribute__((always_inline)) void some_packed(
    const matrix *w, const row *in, const int count, int at, float *out) {
    int runs = w->cols / RUN, each = w->group / RUN, bytes = RUN * w->bits / 8;
    const uint8_t *number = (const uint8_t *)w->numbers + (size_t)at * runs * bytes;
    const uint16_t *scale = w->scale + (size_t)at * (w->cols / w->group);
    const uint16_t *low = w->low + (size_t)at * (w->cols / w->group);
    __m256 sums[4], rest[4];
    for (int r = 0; r < count; r++) sums[r] = rest[r] = _mm256_setzero_ps();
    for (int begin = 0; begin < runs; begin += 8) {
        int end = runs - begin < 8 ? runs : begin + 8, run = begin;
        float scales[8];
        _mm256_storeu_ps(scales, eight_of(scale, begin, each));
        __m256 lows = eight_of(low, begin, each);
        for (int r = 0; r < count; r++) {
            rest[r] = _mm256_fmadd_ps(lows, _mm256_loadu_ps(in[r].sum + begin), rest[r]);
        }
        for (; w->bits == 4 && run + 1 < end; run += 2, number += RUN) {
            pair_4(number, scales + run - begin, in, count, run, sums);
        }
        for (; run < end; run++, number += bytes) {
            one_run(number, w->bits, scales[run - begin], in, count, run, sums);
        }
    }
    for (int r = 0; r < count; r++) out[r] = add_up(_mm256_add_ps(sums[r], rest[r]));
}

static void dot_packed(const matrix *w, const row *in, int count, int at, float *out) {
    switch (count) {  // a number that the compiler knows keeps the sums in registers
    case 1: some_packed(w, in, 1, at, out); break;
    case 2: some_packed(w, in, 2, at, out); break;
    case 3: some_packed(w, in, 3, at, out); break;
    default: some_packed(w, in, 4, at, out); break;
    }
}
#else
static void dot_packed(const matrix *w, const row *in, int count, int at, float *out) {
    int runs = w->cols / RUN, each = w->group / RUN, bytes = RUN * w->bits / 8;
    const uint8_t *numbers = (const uint8_t *)w->numbers + (size_t)at * runs * bytes;
    const uint16_t *scale = w->scale + (size_t)at * (w->cols / w->group);
    const uint16_t *low = w->low + (size_t)at * (w->cols / w->group);
    for (int r = 0; r < count; r++) {
        out[r] = 0;
        for (int run = 0; run < runs; run++) {
            const uint8_t *packed = numbers + (size_t)run * bytes;
            const int8_t *x = in[r].number + run * RUN;
            int32_t sum = 0;
            for (int i = 0; i < RUN / 2; i++) {
                sum += w->bits == 4
                    ? (packed[i] & 15) * x[i] + (packed[i] >> 4) * x[i + RUN / 2]
                    : ((int32_t)packed[i] - 128) * x[i] +
                      ((int32_t)packed[i + RUN / 2] - 128) * x[i + RUN / 2];
            }
            out[r] += half_to_float(scale[run / each]) * in[r].scale[run] * (float)sum;
            out[r] += half_to_float(low[run / each]) * in[r].sum[run];
        }
    }
}
#endif

static inline float dot_plain(const matrix *w, const row *in, int at) {
    float sum = 0;
    if (w->bits == 16) {
        const uint16_t *number = (const uint16_t *)w->numbers + (size_t)at * w->cols;
        for (int i = 0; i < w->cols; i++) sum += bf16_to_float(number[i]) * in->x[i];
    } else {
        const float *number = (const float *)w->numbers + (size_t)at * w->cols;
        for (int i = 0; i < w->cols; i++) sum += number[i] * in->x[i];
    }
    return sum;
}

// One output of up to four rows.
static inline void product(const matrix *w, const row *in, int count, int at, float *out) {
    if (w->bits <= 8) {
        dot_packed(w, in, count, at, out);
    } else {
        for (int r = 0; r < count; r++) out[r] = dot_plain(w, in + r, at);
    }
    for (int r = 0; r < count && w->bias; r++) out[r] += w->bias[at];
}

// The rows of a matrix that one of several threads computes.
static inline void share(int rows, int thread, int threads, int *from, int *to) {
    *from = (int)((int64_t)rows * thread / threads);
    *to = (int)((int64_t)rows * (thread + 1) / threads);
}
