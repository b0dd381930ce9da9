// Vectors of fp32, and fp16 and bf16 on their way to and from them.

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include <immintrin.h>
#define HAS_AVX2 1
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define HAS_AVX512 1
#endif
#if defined(HAS_AVX512) && defined(__AVX512VNNI__)
#define HAS_VNNI 1
#endif
#if defined(HAS_AVX512) && defined(__AVX512BF16__)
#define HAS_BF16 1
#endif
#endif

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

#ifdef HAS_AVX2
// What a thread reads of memory 2 kB later: of 96 MB a token, decoding is 1.1 to 1.3 times faster,
// as a processor by itself looks ahead no further than a page of 4 kB.
static inline void fetch_ahead(const void *at) {
    _mm_prefetch((const char *)at + 2048, _MM_HINT_T0);
}

static inline float add_up(__m256 v) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

// Left to itself, GCC adds up whole numbers in an order that needs more registers than there are:
// attention takes a sixth longer then, products of four rows a quarter.
#define IN_ORDER(sum) __asm__("" : "+v"(sum))

#ifdef HAS_AVX512
typedef __m512 lanes;
enum { LANES = 16, ACROSS = 4 };  // numbers in a vector; vectors of channels that are summed at once
static inline lanes no_lanes(void) { return _mm512_setzero_ps(); }
static inline lanes wide_lanes(const float *x) { return _mm512_loadu_ps(x); }
static inline lanes one_in_lanes(const float *x) { return _mm512_set1_ps(*x); }
static inline lanes half_lanes(const uint16_t *x) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)x));
}
static inline lanes multiply_add(lanes a, lanes b, lanes c) { return _mm512_fmadd_ps(a, b, c); }
static inline float sum_lanes(lanes x) { return _mm512_reduce_add_ps(x); }
static inline lanes larger(lanes a, lanes b) { return _mm512_max_ps(a, b); }
static inline void store_lanes(float *to, lanes x) { _mm512_storeu_ps(to, x); }
static inline lanes multiply_lanes(lanes a, lanes b) { return _mm512_mul_ps(a, b); }
static inline lanes sizes_of(lanes x) { return _mm512_abs_ps(x); }

typedef __m512i words;
static inline words no_words(void) { return _mm512_setzero_si512(); }
static inline words wide_words(const void *x) { return _mm512_loadu_si512(x); }
static inline words one_in_words(int32_t x) { return _mm512_set1_epi32(x); }
static inline words upper_bytes(words x) { return _mm512_srai_epi16(x, 8); }
static inline words lower_bytes(words x) { return upper_bytes(_mm512_slli_epi16(x, 8)); }
static inline words add_pairs(words a, words b, words c) {
#ifdef HAS_VNNI
    return _mm512_dpwssd_epi32(c, a, b);
#else
    words sum = _mm512_add_epi32(c, _mm512_madd_epi16(a, b));
    IN_ORDER(sum);
    return sum;
#endif
}
static inline words add_words(words a, words b) { return _mm512_add_epi32(a, b); }
static inline lanes float_words(words x) { return _mm512_cvtepi32_ps(x); }
static inline lanes float_bits(words x) { return _mm512_castsi512_ps(x); }
#else
typedef __m256 lanes;
enum { LANES = 8, ACROSS = 2 };
static inline lanes no_lanes(void) { return _mm256_setzero_ps(); }
static inline lanes wide_lanes(const float *x) { return _mm256_loadu_ps(x); }
static inline lanes one_in_lanes(const float *x) { return _mm256_broadcast_ss(x); }
static inline lanes half_lanes(const uint16_t *x) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)x));
}
static inline lanes multiply_add(lanes a, lanes b, lanes c) { return _mm256_fmadd_ps(a, b, c); }
static inline float sum_lanes(lanes x) { return add_up(x); }
static inline lanes larger(lanes a, lanes b) { return _mm256_max_ps(a, b); }
static inline void store_lanes(float *to, lanes x) { _mm256_storeu_ps(to, x); }
static inline lanes multiply_lanes(lanes a, lanes b) { return _mm256_mul_ps(a, b); }
static inline lanes sizes_of(lanes x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }

typedef __m256i words;
static inline words no_words(void) { return _mm256_setzero_si256(); }
static inline words wide_words(const void *x) { return _mm256_loadu_si256((const __m256i *)x); }
static inline words one_in_words(int32_t x) { return _mm256_set1_epi32(x); }
static inline words upper_bytes(words x) { return _mm256_srai_epi16(x, 8); }
static inline words lower_bytes(words x) { return upper_bytes(_mm256_slli_epi16(x, 8)); }
static inline words add_pairs(words a, words b, words c) {
    words sum = _mm256_add_epi32(c, _mm256_madd_epi16(a, b));
    IN_ORDER(sum);
    return sum;
}
static inline words add_words(words a, words b) { return _mm256_add_epi32(a, b); }
static inline lanes float_words(words x) { return _mm256_cvtepi32_ps(x); }
static inline lanes float_bits(words x) { return _mm256_castsi256_ps(x); }
#endif
#else
enum { LANES = 1 };
#endif

static inline float largest(const float *x, int count) {
    float most = -INFINITY;
    int i = 0;
#ifdef HAS_AVX2
    if (count >= LANES) {
        float each[LANES];
        lanes found = wide_lanes(x);
        for (i = LANES; i + LANES <= count; i += LANES) found = larger(found, wide_lanes(x + i));
        store_lanes(each, found);
        for (int at = 0; at < LANES; at++) most = each[at] > most ? each[at] : most;
    }
#endif
    for (; i < count; i++) most = x[i] > most ? x[i] : most;
    return most;
}

static inline void float_to_half(const float *x, uint16_t *out, int count) {
#ifdef HAS_AVX2
    int i = 0;
    for (; i + 8 <= count; i += 8) {
        _mm_storeu_si128((__m128i *)(out + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), 0));
    }
    for (; i < count; i++) out[i] = _cvtss_sh(x[i], 0);
#else
    for (int i = 0; i < count; i++) {
        union { float value; uint32_t bits; } wide = {x[i]};
        uint32_t sign = (wide.bits >> 16) & 0x8000, rest = wide.bits & 0x7fffffff;
        if (rest >= 0x47800000) {
            out[i] = (uint16_t)(sign | (rest > 0x7f800000 ? 0x7e00 : 0x7c00));
        } else if (rest < 0x38800000) {
            wide.bits = rest;
            out[i] = (uint16_t)(sign | (uint32_t)(wide.value * 16777216.0f + 0.5f));
        } else {
            out[i] = (uint16_t)(sign | ((rest - 0x38000000 + 0xfff + ((rest >> 13) & 1)) >> 13));
        }
    }
#endif
}

static inline uint16_t float_to_bf16(float x) {  // of finite numbers, to the nearest
    union { float value; uint32_t bits; } wide = {x};
    return (uint16_t)((wide.bits + 0x7fff + ((wide.bits >> 16) & 1)) >> 16);
}

static inline void bf16_to_floats(const uint16_t *x, float *out, int count) {
    for (int i = 0; i < count; i++) out[i] = bf16_to_float(x[i]);
}

static inline void floats_to_bf16(const float *x, uint16_t *out, int count) {
    int i = 0;
#ifdef HAS_BF16
    for (; i + LANES <= count; i += LANES) {
        __m256bh halves = _mm512_cvtneps_pbh(wide_lanes(x + i));
        memcpy(out + i, &halves, sizeof(halves));
    }
#endif
    for (; i < count; i++) out[i] = float_to_bf16(x[i]);
}
