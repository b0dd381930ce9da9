// Attention of one new token on what a cache holds, the positions shared among threads.

enum { MOST_CHANNELS = 1024 };  // of a head

typedef struct {
    void *keys, *values;              // (B, K, S, D) with room for more
    int64_t row_stride, head_stride;  // in numbers
    int32_t first, last;  // the first position that is seen, and where the new one goes
    int32_t dropped;      // positions that were read before the one at 0
    int32_t is_wide;      // fp32, else fp16
    int8_t *rounded_keys, *rounded_values;  // (B, K, room, D), or none: ``rounded.h``
    float *key_sizes, *value_sizes;         // (B, K, room)
    int32_t room, rounded;                  // of these, the first so many positions are there
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

// Bound a query's scores, and lower them by how far their positions are behind: at first ``behind``.
static inline void bend_scores(float *scores, int count, float cap, float slope, int behind) {
    for (int s = 0; s < count && cap > 0; s++) scores[s] = cap * tanhf(scores[s] / cap);
    for (int s = 0; s < count && slope != 0; s++) scores[s] -= slope * (float)(behind - s);
}

// The positions first..last that one of several threads attends to; parts meet between panels.
static inline void share_positions(
    int first, int last, int thread, int threads, int *from, int *to) {
    int begin = first / LANES * LANES;
    share((last - begin + LANES - 1) / LANES, thread, threads, from, to);
    *from = begin + *from * LANES > first ? begin + *from * LANES : first;
    *to = begin + *to * LANES < last ? begin + *to * LANES : last;
    if (*to < *from) *to = *from;
}

// The scores of ``seen`` positions from ``from`` on, for each query one after the other.
static void score(
    const cache *c, int64_t base, int from, int seen, const float *queries, int count,
    int head_dim, float scale, float *scores) {
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
    const cache *c, int64_t base, int from, int to, const float *queries, int count,
    int head_dim, float scale, float cap, const float *slopes, float *scores, float *part) {
    int seen = to - from;
    score(c, base, from, seen, queries, count, head_dim, scale, scores);
    for (int q = 0; q < count; q++) {
        float *own_scores = scores + (int64_t)q * seen;
        bend_scores(own_scores, seen, cap, slopes ? slopes[q] : 0, c->last - from);
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
