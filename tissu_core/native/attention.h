// Attention of one new token on what a cache holds, the positions shared among threads.

typedef struct {
    void *keys, *values;              // (B, K, S, D) with room for more
    int64_t row_stride, head_stride;  // in numbers
    int32_t first, last;  // the first position that is seen, and where the new one goes
    int32_t dropped;      // positions that were read before the one at 0
    int32_t is_wide;      // fp32, else fp16
} cache;

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
        lanes sums[4];
        for (int q = 0; q < count; q++) sums[q] = no_lanes();
        for (int at = 0; at < head_dim; at += LANES) {
            lanes key = half_lanes(keys + at);
            fetch_ahead(keys + at);
            for (int q = 0; q < count; q++) {
                sums[q] = multiply_add(key, wide_lanes(queries + q * head_dim + at), sums[q]);
            }
        }
        for (int q = 0; q < count; q++) scores[(int64_t)q * seen + s] = scale * sum_lanes(sums[q]);
    }
}

// Values weighted by the shares of up to four queries, in a few vectors of channels.
static inline __attribute__((always_inline)) void mix_across(
    const uint16_t *values, const float *shares, int seen, const int count, const int across,
    int head_dim, float *out) {
    lanes sums[4][ACROSS];
    for (int q = 0; q < count; q++) {
        for (int i = 0; i < across; i++) sums[q][i] = no_lanes();
    }
    for (int s = 0; s < seen; s++, values += head_dim) {
        lanes value[ACROSS];
        for (int i = 0; i < across; i++) {
            value[i] = half_lanes(values + i * LANES);
            fetch_ahead(values + i * LANES);
        }
        for (int q = 0; q < count; q++) {
            lanes share = one_in_lanes(shares + (int64_t)q * seen + s);
            for (int i = 0; i < across; i++) {
                sums[q][i] = multiply_add(value[i], share, sums[q][i]);
            }
        }
    }
    for (int q = 0; q < count; q++) {
        for (int i = 0; i < across; i++) {
            store_lanes(out + q * (2 + head_dim) + i * LANES, sums[q][i]);
        }
    }
}

static inline __attribute__((always_inline)) void mix_some(
    const uint16_t *values, const float *shares, int seen, const int count, int head_dim,
    float *out) {
    int at = 0;
    for (; at + ACROSS * LANES <= head_dim; at += ACROSS * LANES) {
        mix_across(values + at, shares, seen, count, ACROSS, head_dim, out + at);
    }
    for (; at < head_dim; at += LANES) {
        mix_across(values + at, shares, seen, count, 1, head_dim, out + at);
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
        float *own_scores = scores + (int64_t)q * seen;
        for (int s = 0; s < seen && cap > 0; s++) own_scores[s] = cap * tanhf(own_scores[s] / cap);
        for (int s = 0; s < seen && slopes; s++) {
            own_scores[s] -= slopes[q] * (float)(c->last - from - s);
        }
        part[q * (2 + head_dim)] = largest(own_scores, seen);
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
