// Attention to a copy of what an fp16 cache holds, in whole numbers of 8 bits.
//
// Each position of a head has one size that its numbers are times. The words of a vector are of as
// many keys, or of as many channels of values, so that nothing is added up across one: a word
// holds four channels of a key, or a channel's values at four positions. Queries and shares are
// whole numbers of 16 bits: two of a word's bytes are multiplied by two of them at once. Numbers 0
// and 1 of a word are its lower bytes, 2 and 3 the upper.

#ifdef HAS_AVX2
enum { ROUNDED_PANEL = LANES };
enum { BLOCK = 128 };  // positions whose values stay in a core's cache from their scores on

// What follows is compiled for each number of queries, so that their sums stay in registers.
#define FOR_EACH_COUNT(call) \
    switch (count) { \
    case 1: call(1); break; \
    case 2: call(2); break; \
    case 3: call(3); break; \
    default: call(4); break; \
    }

// Numbers as wholes of up to ``limit`` times what is returned.
static inline float round_wide(const float *x, int count, float limit, int16_t *whole) {
    lanes found = no_lanes();
    float each[LANES];
    for (int i = 0; i < count; i += LANES) found = larger(found, sizes_of(wide_lanes(x + i)));
    store_lanes(each, found);
    float most = largest(each, LANES), inverse = most > 1e-30f ? limit / most : 0;
    for (int i = 0; i < count; i++) {
        whole[i] = (int16_t)(int32_t)(x[i] * inverse + (x[i] < 0 ? -0.5f : 0.5f));
    }
    return most / limit;
}

static inline float round_half(const uint16_t *stored, int count, int16_t *whole) {
    float value[MOST_CHANNELS];
    for (int i = 0; i < count; i += LANES) store_lanes(value + i, half_lanes(stored + i));
    return round_wide(value, count, 127, whole);
}

static inline int in_word(int at) { return (at & 1) << 1 | at >> 1; }

// Copy positions from..to of a head.
static void round_positions(
    const cache *c, int64_t base, int64_t copy, int from, int to, int head_dim) {
    int16_t number[MOST_CHANNELS];
    for (int s = from; s < to; s++) {
        int64_t at = base + (int64_t)s * head_dim;
        c->key_sizes[copy + s] = round_half((const uint16_t *)c->keys + at, head_dim, number);
        int8_t *key = c->rounded_keys + (copy + s / LANES * LANES) * head_dim + s % LANES * WORD;
        for (int i = 0; i < head_dim; i += WORD, key += LANES * WORD) {
            for (int n = 0; n < WORD; n++) key[in_word(n)] = (int8_t)number[i + n];
        }
        c->value_sizes[copy + s] = round_half((const uint16_t *)c->values + at, head_dim, number);
        int8_t *value = c->rounded_values + (copy + s / WORD * WORD) * head_dim + in_word(s % WORD);
        for (int i = 0; i < head_dim; i++) value[i * WORD] = (int8_t)number[i];
    }
}

// Products of up to four queries with each key; the values are fetched meanwhile.
static inline __attribute__((always_inline)) void score_words(
    const int8_t *keys, const float *sizes, const int8_t *values, const int16_t *queries,
    const float *query_sizes, int seen, const int count, int head_dim, float *scores) {
    for (int s = 0; s < seen; s += LANES) {
        words sums[2][4];
        for (int q = 0; q < count; q++) sums[0][q] = sums[1][q] = no_words();
        for (int at = 0; at < head_dim; at += WORD) {
            words four = wide_words(keys);
            words first = lower_bytes(four), second = upper_bytes(four);
            _mm_prefetch((const char *)values, _MM_HINT_T0);
            for (int q = 0; q < count; q++) {
                const int16_t *query = queries + q * head_dim + at;
                sums[0][q] = add_pairs(first, one_in_words(word_of(query)), sums[0][q]);
                sums[1][q] = add_pairs(second, one_in_words(word_of(query + 2)), sums[1][q]);
            }
            keys += LANES * WORD;
            values += LANES * WORD;
        }
        lanes size = wide_lanes(sizes + s);
        for (int q = 0; q < count; q++) {
            lanes sum = float_words(add_words(sums[0][q], sums[1][q]));
            sum = multiply_lanes(sum, multiply_lanes(size, one_in_lanes(query_sizes + q)));
            store_lanes(scores + q * BLOCK + s, sum);
        }
    }
}

// Values weighted by the shares of up to four queries, in a few vectors of channels. Meanwhile the
// keys that come ``next`` are fetched, as many bytes: so the memory works all the time.
static inline __attribute__((always_inline)) void mix_words_across(
    const int8_t *values, const int8_t *next, const int16_t *shares, const float *share_sizes,
    int seen, const int count, const int across, int head_dim, float *out) {
    words sums[4][ACROSS];
    for (int q = 0; q < count; q++) {
        for (int i = 0; i < across; i++) sums[q][i] = no_words();
    }
    for (int s = 0; s < seen; s += WORD, values += head_dim * WORD, next += head_dim * WORD) {
        words first[ACROSS], second[ACROSS];
        for (int i = 0; i < across; i++) {
            words four = wide_words(values + i * LANES * WORD);
            _mm_prefetch((const char *)next + i * LANES * WORD, _MM_HINT_T0);
            first[i] = lower_bytes(four);
            second[i] = upper_bytes(four);
        }
        for (int q = 0; q < count; q++) {
            words share = one_in_words(word_of(shares + q * BLOCK + s));
            words next = one_in_words(word_of(shares + q * BLOCK + s + 2));
            for (int i = 0; i < across; i++) {
                sums[q][i] = add_pairs(first[i], share, sums[q][i]);
                sums[q][i] = add_pairs(second[i], next, sums[q][i]);
            }
        }
    }
    for (int q = 0; q < count; q++) {
        float *own = out + q * (2 + head_dim);
        for (int i = 0; i < across; i++) {
            lanes before = wide_lanes(own + i * LANES), share = one_in_lanes(share_sizes + q);
            store_lanes(own + i * LANES, multiply_add(float_words(sums[q][i]), share, before));
        }
    }
}

static inline __attribute__((always_inline)) void mix_words(
    const int8_t *values, const int8_t *next, const int16_t *shares, const float *share_sizes,
    int seen, const int count, int head_dim, float *out) {
    int at = 0;
    for (; at + ACROSS * LANES <= head_dim; at += ACROSS * LANES) {
        mix_words_across(values + at * WORD, next + at * WORD, shares, share_sizes, seen, count,
                         ACROSS, head_dim, out + at);
    }
    for (; at < head_dim; at += LANES) {
        mix_words_across(values + at * WORD, next + at * WORD, shares, share_sizes, seen, count, 1,
                         head_dim, out + at);
    }
}

// What the scores of a block make of its positions' shares, and of what was found before.
static inline float share_block(
    float *scores, const float *sizes, int padded, int head_dim, int16_t *shares, float *own) {
    float weights[BLOCK], sum = 0, most = fmaxf(own[0], largest(scores, padded));
    float fade = own[0] == -INFINITY ? 0 : exp_below(own[0] - most);
    for (int s = 0; s < padded; s++) {
        float e = exp_below(scores[s] - most);
        weights[s] = e * sizes[s];
        sum += e;
    }
    for (int i = 0; i < head_dim && fade != 1; i++) own[2 + i] *= fade;
    own[0] = most;
    own[1] = own[1] * fade + sum;
    return round_wide(weights, padded, 32767, shares);
}

// ``attend`` by up to four queries, in blocks of positions.
static inline __attribute__((always_inline)) void attend_some(
    const cache *c, int64_t copy, int from, int to, const float *queries, const int count,
    int head_dim, float scale, float cap, const float *slopes, float *part) {
    int16_t whole[4 * MOST_CHANNELS], shares[4 * BLOCK];
    float sizes[4], share_sizes[4], scores[4 * BLOCK];
    float most = fminf(32767, (float)(INT32_MAX / 127 / head_dim));
    for (int q = 0; q < count; q++) {
        float *own = part + q * (2 + head_dim);
        sizes[q] = scale * round_wide(queries + q * head_dim, head_dim, most, whole + q * head_dim);
        own[0] = -INFINITY;
        memset(own + 1, 0, sizeof(float) * (1 + head_dim));
    }
    for (int begin = from / LANES * LANES; begin < to; begin += BLOCK) {
        int seen = to - begin < BLOCK ? to - begin : BLOCK;
        int padded = (seen + LANES - 1) / LANES * LANES;
        const int8_t *values = c->rounded_values + (copy + begin) * head_dim;
        score_words(c->rounded_keys + (copy + begin) * head_dim, c->key_sizes + copy + begin,
                    values, whole, sizes, padded, count, head_dim, scores);
        for (int q = 0; q < count; q++) {
            float *own = scores + q * BLOCK;
            bend_scores(own, seen, cap, slopes ? slopes[q] : 0, c->last - begin);
            for (int s = 0; s < from - begin; s++) own[s] = -INFINITY;
            for (int s = seen; s < padded; s++) own[s] = -INFINITY;
            share_sizes[q] = share_block(own, c->value_sizes + copy + begin, padded, head_dim,
                                         shares + q * BLOCK, part + q * (2 + head_dim));
        }
        int64_t next = begin + BLOCK < to ? begin + BLOCK : c->room + from / LANES * LANES;
        mix_words(values, c->rounded_keys + (copy + next) * head_dim, shares, share_sizes, padded,
                  count, head_dim, part + 2);
    }
}

static void attend_rounded(
    const cache *c, int64_t copy, int from, int to, const float *queries, int heads, int head_dim,
    float scale, float cap, const float *slopes, float *part) {
    for (int at = 0; at < heads; at += 4) {
        int count = heads - at;
#define CALL(n) attend_some(c, copy, from, to, queries + at * head_dim, n, head_dim, scale, cap, \
                            slopes ? slopes + at : NULL, part + at * (2 + head_dim))
        FOR_EACH_COUNT(CALL)
#undef CALL
    }
}
#else
enum { ROUNDED_PANEL = 0 };
static void round_positions(
    const cache *c, int64_t base, int64_t copy, int from, int to, int head_dim) {}
static void attend_rounded(
    const cache *c, int64_t copy, int from, int to, const float *queries, int heads, int head_dim,
    float scale, float cap, const float *slopes, float *part) {}
#endif
