// Attention of one new token on what a cache holds, the positions shared among threads.

typedef struct {
    void *keys, *values;              // (B, K, S, D) with room for more
    int64_t row_stride, head_stride;  // in numbers
    int32_t first, last;  // the first position that is seen, and where the new one goes
    int32_t dropped;      // positions that were read before the one at 0
    int32_t is_wide;      // fp32, else fp16
} cache;

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

static inline float dot_half(const uint16_t *stored, const float *x, int count) {
    float sum = 0;
    int i = 0;
#ifdef HAS_AVX2
    __m256 wide = _mm256_setzero_ps();
    for (; i + 8 <= count; i += 8) {
        __m256 value = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(stored + i)));
        wide = _mm256_fmadd_ps(value, _mm256_loadu_ps(x + i), wide);
    }
    sum = add_up(wide);
#endif
    for (; i < count; i++) sum += half_to_float(stored[i]) * x[i];
    return sum;
}

static inline void add_half(const uint16_t *stored, float share, float *out, int count) {
    int i = 0;
#ifdef HAS_AVX2
    __m256 wide = _mm256_set1_ps(share);
    for (; i + 8 <= count; i += 8) {
        __m256 value = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(stored + i)));
        _mm256_storeu_ps(out + i, _mm256_fmadd_ps(value, wide, _mm256_loadu_ps(out + i)));
    }
#endif
    for (; i < count; i++) out[i] += half_to_float(stored[i]) * share;
}

static inline float dot_kept(const cache *c, const void *kept, int64_t at, const float *x, int count) {
    if (!c->is_wide) return dot_half((const uint16_t *)kept + at, x, count);
    const float *stored = (const float *)kept + at;
    float sum = 0;
    for (int i = 0; i < count; i++) sum += stored[i] * x[i];
    return sum;
}

static inline void add_kept(
    const cache *c, const void *kept, int64_t at, float share, float *out, int count) {
    if (!c->is_wide) {
        add_half((const uint16_t *)kept + at, share, out, count);
        return;
    }
    const float *stored = (const float *)kept + at;
    for (int i = 0; i < count; i++) out[i] += stored[i] * share;
}

static inline void keep(const cache *c, void *kept, int64_t at, const float *x, int count) {
    if (c->is_wide) {
        memcpy((float *)kept + at, x, sizeof(float) * count);
    } else {
        float_to_half(x, (uint16_t *)kept + at, count);
    }
}

// e^x for x <= 0, off by at most 2 parts in 10^7; a polynomial that compilers vectorise.
static inline float exp_below(float x) {
    x = x < -87 ? -87 : x;
    float scaled = x * 1.44269504f, whole = floorf(scaled + 0.5f);
    float r = (scaled - whole) * 0.693147181f;
    float p = 1 + r * (1 + r * (0.5f + r * (0.166666667f + r * (0.0416666667f + r * (0.00833333333f +
              r * 0.00138888889f)))));
    union { int32_t bits; float value; } power = {((int32_t)whole + 127) << 23};
    return p * power.value;
}

#ifdef HAS_AVX2
// What follows is compiled for each number of queries, so that their sums stay in registers.
#define FOR_EACH_COUNT(call) \
    switch (count) { \
    case 1: call(1); break; \
    case 2: call(2); break; \
    case 3: call(3); break; \
    default: call(4); break; \
    }

// Products of up to four queries with each key.
static inline __attribute__((always_inline)) void score_some(
    const uint16_t *keys, const float *queries, int seen, const int count, int head_dim,
    float scale, float *scores) {
    for (int s = 0; s < seen; s++, keys += head_dim) {
        __m256 sums[4];
        for (int q = 0; q < count; q++) sums[q] = _mm256_setzero_ps();
        for (int at = 0; at < head_dim; at += 8) {
            __m256 key = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(keys + at)));
            for (int q = 0; q < count; q++) {
                sums[q] = _mm256_fmadd_ps(
                    key, _mm256_loadu_ps(queries + q * head_dim + at), sums[q]);
            }
        }
        for (int q = 0; q < count; q++) scores[(int64_t)q * seen + s] = scale * add_up(sums[q]);
    }
}

// Values weighted by the shares of up to four queries, sixteen channels at a time.
static inline __attribute__((always_inline)) void mix_some(
    const uint16_t *values, const float *shares, int seen, const int count, int head_dim,
    float *out) {
    for (int at = 0; at < head_dim; at += 16) {
        __m256 sums[4][2];
        for (int q = 0; q < count; q++) sums[q][0] = sums[q][1] = _mm256_setzero_ps();
        const uint16_t *value = values + at;
        for (int s = 0; s < seen; s++, value += head_dim) {
            __m256 first = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)value));
            __m256 second = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(value + 8)));
            for (int q = 0; q < count; q++) {
                __m256 share = _mm256_broadcast_ss(shares + (int64_t)q * seen + s);
                sums[q][0] = _mm256_fmadd_ps(first, share, sums[q][0]);
                sums[q][1] = _mm256_fmadd_ps(second, share, sums[q][1]);
            }
        }
        for (int q = 0; q < count; q++) {
            _mm256_storeu_ps(out + q * (2 + head_dim) + at, sums[q][0]);
            _mm256_storeu_ps(out + q * (2 + head_dim) + at + 8, sums[q][1]);
        }
    }
}

static void score_halves(
    const uint16_t *keys, const float *queries, int seen, int count, int head_dim, float scale,
    float *scores) {
#define CALL(n) score_some(keys, queries, seen, n, head_dim, scale, scores)
    FOR_EACH_COUNT(CALL)
#undef CALL
}

static void mix_halves(
    const uint16_t *values, const float *shares, int seen, int count, int head_dim, float *out) {
#define CALL(n) mix_some(values, shares, seen, n, head_dim, out)
    FOR_EACH_COUNT(CALL)
#undef CALL
}
#endif

// The scores of ``seen`` positions from ``from`` on, for each query one after the other.
static void score(
    const cache *c, int64_t base, int from, int seen, const float *queries, int count,
    int head_dim, float scale, float *scores) {
#ifdef HAS_AVX2
    if (!c->is_wide && head_dim % 16 == 0) {
        const uint16_t *keys = (const uint16_t *)c->keys + base + (int64_t)from * head_dim;
        for (int q = 0; q < count; q += 4) {
            score_halves(keys, queries + q * head_dim, seen, count - q, head_dim, scale,
                         scores + (int64_t)q * seen);
        }
        return;
    }
#endif
    for (int s = 0; s < seen; s++) {
        int64_t at = base + (int64_t)(from + s) * head_dim;
        for (int q = 0; q < count; q++) {
            scores[(int64_t)q * seen + s] =
                scale * dot_kept(c, c->keys, at, queries + q * head_dim, head_dim);
        }
    }
}

// The values of these positions weighted by the shares of each query.
static void mix(
    const cache *c, int64_t base, int from, int seen, const float *shares, int count,
    int head_dim, float *part) {
#ifdef HAS_AVX2
    if (!c->is_wide && head_dim % 16 == 0) {
        const uint16_t *values = (const uint16_t *)c->values + base + (int64_t)from * head_dim;
        for (int q = 0; q < count; q += 4) {
            mix_halves(values, shares + (int64_t)q * seen, seen, count - q, head_dim,
                       part + q * (2 + head_dim) + 2);
        }
        return;
    }
#endif
    for (int s = 0; s < seen; s++) {
        int64_t at = base + (int64_t)(from + s) * head_dim;
        for (int q = 0; q < count; q++) {
            add_kept(c, c->values, at, shares[(int64_t)q * seen + s],
                     part + q * (2 + head_dim) + 2, head_dim);
        }
    }
}

// Attend to positions from..to of a key head by each of its queries; ``part`` holds for each query
// the largest score, the sum of exponentials and the weighted values: 2 + D numbers.
static void attend(
    const cache *c, int batch, int head, int from, int to, const float *queries, int count,
    int head_dim, float scale, float cap, const float *slopes, float *scores, float *part) {
    int64_t base = batch * c->row_stride + head * c->head_stride;
    int seen = to - from;
    score(c, base, from, seen, queries, count, head_dim, scale, scores);
    for (int q = 0; q < count; q++) {
        float *own_scores = scores + (int64_t)q * seen, most = -INFINITY;
        for (int s = 0; s < seen && cap > 0; s++) own_scores[s] = cap * tanhf(own_scores[s] / cap);
        for (int s = 0; s < seen && slopes; s++) {
            own_scores[s] -= slopes[q] * (float)(c->last - from - s);
        }
        for (int s = 0; s < seen; s++) most = own_scores[s] > most ? own_scores[s] : most;
        part[q * (2 + head_dim)] = most;
    }
    for (int q = 0; q < count; q++) {
        float *own = part + q * (2 + head_dim), sum = 0;
        for (int s = 0; s < seen; s++) {
            float e = exp_below(scores[q * seen + s] - own[0]);
            scores[q * seen + s] = e;
            sum += e;
        }
        own[1] = sum;
        memset(own + 2, 0, sizeof(float) * head_dim);
    }
    mix(c, base, from, seen, scores, count, head_dim, part);
}

// One head's output from what each thread found; parts are ``stride`` numbers apart.
static void merge(const float *parts, int threads, int64_t stride, int head_dim, float *out) {
    float most = -INFINITY, sum = 0;
    for (int t = 0; t < threads; t++) most = fmaxf(most, parts[t * stride]);
    memset(out, 0, sizeof(float) * head_dim);
    for (int t = 0; t < threads; t++) {
        const float *part = parts + t * stride;
        if (part[0] == -INFINITY) continue;
        float share = exp_below(part[0] - most);
        sum += share * part[1];
        for (int i = 0; i < head_dim; i++) out[i] += share * part[2 + i];
    }
    for (int i = 0; i < head_dim; i++) out[i] /= sum;
}
