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

// The numbers of a run times those of a run of activations: eight sums of four, or one of all.
#ifdef HAS_AVX2
static inline __m256 run_4(const uint8_t *packed, const int8_t *x) {
    __m128i both = _mm_loadu_si128((const __m128i *)packed);
    __m256i number = _mm256_and_si256(
        _mm256_set_m128i(_mm_srli_epi16(both, 4), both), _mm256_set1_epi8(15));
    return _mm256_cvtepi32_ps(
        sum_products(number, _mm256_loadu_si256((const __m256i *)x)));
}

// Two runs at once: four sums of the first, four of the second; x is paired.
static inline __m256 runs_4(const uint8_t *packed, const int8_t *x) {
    __m256i both = _mm256_loadu_si256((const __m256i *)packed), mask = _mm256_set1_epi8(15);
    __m256i first = _mm256_and_si256(both, mask);
    __m256i second = _mm256_and_si256(_mm256_srli_epi16(both, 4), mask);
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
    return _mm256_cvtepi32_ps(sum);
}

static inline __m256 run_8(const uint8_t *packed, const int8_t *x) {
    __m256i number = _mm256_xor_si256(
        _mm256_loadu_si256((const __m256i *)packed), _mm256_set1_epi8((char)0x80));
    __m256i other = _mm256_loadu_si256((const __m256i *)x);
    return _mm256_cvtepi32_ps(
        sum_products(_mm256_abs_epi8(number), _mm256_sign_epi8(other, number)));
}
#else
static inline float run_4(const uint8_t *packed, const int8_t *x) {
    int32_t sum = 0;
    for (int i = 0; i < RUN / 2; i++) {
        sum += (packed[i] & 15) * x[i] + (packed[i] >> 4) * x[i + RUN / 2];
    }
    return (float)sum;
}

static inline float run_8(const uint8_t *packed, const int8_t *x) {
    int32_t sum = 0;
    for (int i = 0; i < RUN; i++) sum += ((int32_t)packed[i] - 128) * x[i];
    return (float)sum;
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

static inline float dot_packed(const matrix *w, const row *in, int at) {
    int runs = w->cols / RUN, each = w->group / RUN, bytes = RUN * w->bits / 8;
    const uint8_t *number = (const uint8_t *)w->numbers + (size_t)at * runs * bytes;
    const uint16_t *scale = w->scale + (size_t)at * (w->cols / w->group);
    const uint16_t *low = w->low + (size_t)at * (w->cols / w->group);
    __m256 sum = _mm256_setzero_ps(), rest = _mm256_setzero_ps();
    for (int begin = 0; begin < runs; begin += 8) {
        int count = runs - begin < 8 ? runs - begin : 8;
        float scales[8];
        _mm256_storeu_ps(scales, _mm256_mul_ps(eight_of(scale, begin, each),
                                               _mm256_loadu_ps(in->scale + begin)));
        rest = _mm256_fmadd_ps(
            eight_of(low, begin, each), _mm256_loadu_ps(in->sum + begin), rest);
        const int8_t *x = in->number + begin * RUN, *paired = in->paired + begin * RUN;
        if (w->bits == 4) {
            int i = 0;
            for (; i + 1 < count; i += 2, number += RUN) {
                __m256 both = _mm256_set_m128(
                    _mm_broadcast_ss(scales + i + 1), _mm_broadcast_ss(scales + i));
                sum = _mm256_fmadd_ps(both, runs_4(number, paired + i * RUN), sum);
            }
            if (i < count) {
                __m256 one = _mm256_broadcast_ss(scales + i);
                sum = _mm256_fmadd_ps(one, run_4(number, x + i * RUN), sum);
            }
        } else {
            for (int i = 0; i < count; i++, x += RUN, number += RUN) {
                sum = _mm256_fmadd_ps(_mm256_broadcast_ss(scales + i), run_8(number, x), sum);
            }
        }
    }
    return add_up(_mm256_add_ps(sum, rest));
}
#else
static inline float dot_packed(const matrix *w, const row *in, int at) {
    int runs = w->cols / RUN, each = w->group / RUN, bytes = RUN * w->bits / 8;
    const uint8_t *number = (const uint8_t *)w->numbers + (size_t)at * runs * bytes;
    const uint16_t *scale = w->scale + (size_t)at * (w->cols / w->group);
    const uint16_t *low = w->low + (size_t)at * (w->cols / w->group);
    float sum = 0;
    for (int run = 0; run < runs; run++, number += bytes) {
        const int8_t *x = in->number + run * RUN;
        float part = w->bits == 4 ? run_4(number, x) : run_8(number, x);
        sum += half_to_float(scale[run / each]) * in->scale[run] * part;
        sum += half_to_float(low[run / each]) * in->sum[run];
    }
    return sum;
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

// One output of a row.
static inline float product(const matrix *w, const row *in, int at) {
    float sum = w->bits <= 8 ? dot_packed(w, in, at) : dot_plain(w, in, at);
    return w->bias ? sum + w->bias[at] : sum;
}

// The rows of a matrix that one of several threads computes.
static inline void share(int rows, int thread, int threads, int *from, int *to) {
    *from = (int)((int64_t)rows * thread / threads);
    *to = (int)((int64_t)rows * (thread + 1) / threads);
}
