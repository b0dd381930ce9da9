// Causal attention of many new tokens: T queries at the end of S keys, each seeing all before it.
//
// A word is what is multiplied in one lane at once: two bf16 numbers where the processor multiplies
// such pairs, else one of fp32. Keys lie in panels of as many as there are lanes, a word of each in
// turn; values in rows of a word for each channel, of as many positions as a word has numbers.
// Tiles of queries of heads that share keys go over them in blocks with a running softmax (Dao et
// al. 2022, arXiv:2205.14135); a tile's sums stay in registers.

#ifdef HAS_AVX2
enum { TILE_ROWS = 6, READ_BLOCK = 256 };

#ifdef HAS_BF16
typedef uint16_t readable;
static inline lanes add_products(lanes sum, words a, int32_t b) {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)one_in_words(b));
}
static inline void to_readable(const float *x, readable *out, int count) {
    floats_to_bf16(x, out, count);
}
#else
typedef float readable;
static inline lanes add_products(lanes sum, words a, int32_t b) {
    float one;
    memcpy(&one, &b, sizeof(one));
    return multiply_add(float_bits(a), one_in_lanes(&one), sum);
}
static inline void to_readable(const float *x, readable *out, int count) {
    memcpy(out, x, sizeof(float) * count);
}
#endif
enum { IN_WORD = sizeof(int32_t) / sizeof(readable) };

typedef struct {
    const readable *queries, *keys, *values;  // (B, H, T, D), (B, K, S, D) twice
    int64_t query_strides[3], key_strides[3], value_strides[3];  // of all but D, in numbers
    readable *out;                            // (B, T, H, D)
    int32_t batch, heads, kv_heads, time, seen, head_dim;
    float scale;
} reading;

// Positions from..from + READ_BLOCK of a key head, in words; those behind the last are zero.
static void lay_in_words(
    const reading *d, int row, int head, int from, int32_t *keys, int32_t *values) {
    int size = d->head_dim, count = size / IN_WORD;
    int to = from + READ_BLOCK < d->seen ? from + READ_BLOCK : d->seen;
    memset(keys + (int64_t)from * count, 0, sizeof(int32_t) * READ_BLOCK * count);
    memset(values + (int64_t)from * count, 0, sizeof(int32_t) * READ_BLOCK * count);
    for (int s = from; s < to; s++) {
        const readable *key = d->keys + row * d->key_strides[0] + head * d->key_strides[1] +
            s * d->key_strides[2];
        const readable *value = d->values + row * d->value_strides[0] +
            head * d->value_strides[1] + s * d->value_strides[2];
        int32_t *panel = keys + (int64_t)(s / LANES) * LANES * count + s % LANES;
        for (int i = 0; i < count; i++) panel[i * LANES] = word_of(key + i * IN_WORD);
        readable *own = (readable *)(values + (int64_t)(s / IN_WORD) * size) + s % IN_WORD;
        for (int i = 0; i < size; i++) own[i * IN_WORD] = value[i];
    }
}

// The products of a tile's queries with ACROSS panels of keys: out (TILE_ROWS, READ_BLOCK).
static inline void score_tile(
    const int32_t *keys, const readable *const *queries, int count, float *out) {
    lanes sums[TILE_ROWS][ACROSS];
    for (int r = 0; r < TILE_ROWS; r++) {
        for (int i = 0; i < ACROSS; i++) sums[r][i] = no_lanes();
    }
    for (int at = 0; at < count; at++) {
        words key[ACROSS];
        for (int i = 0; i < ACROSS; i++) key[i] = wide_words(keys + (i * count + at) * LANES);
        for (int r = 0; r < TILE_ROWS; r++) {
            int32_t query = word_of(queries[r] + at * IN_WORD);
            for (int i = 0; i < ACROSS; i++) sums[r][i] = add_products(sums[r][i], key[i], query);
        }
    }
    for (int r = 0; r < TILE_ROWS; r++) {
        for (int i = 0; i < ACROSS; i++) store_lanes(out + r * READ_BLOCK + i * LANES, sums[r][i]);
    }
}

// A block's values weighted by a tile's shares, added to a few vectors of channels.
static inline __attribute__((always_inline)) void mix_tile(
    const int32_t *values, const readable *shares, int count, const int across, int size,
    float *out) {
    lanes sums[TILE_ROWS][ACROSS];
    for (int r = 0; r < TILE_ROWS; r++) {
        for (int i = 0; i < across; i++) sums[r][i] = wide_lanes(out + r * size + i * LANES);
    }
    for (int at = 0; at < count; at++) {
        words value[ACROSS];
        for (int i = 0; i < across; i++) value[i] = wide_words(values + at * size + i * LANES);
        for (int r = 0; r < TILE_ROWS; r++) {
            int32_t share = word_of(shares + r * READ_BLOCK + at * IN_WORD);
            for (int i = 0; i < across; i++) sums[r][i] = add_products(sums[r][i], value[i], share);
        }
    }
    for (int r = 0; r < TILE_ROWS; r++) {
        for (int i = 0; i < across; i++) store_lanes(out + r * size + i * LANES, sums[r][i]);
    }
}

// The shares of a block's positions, of which a query sees some; what was found before fades.
static inline void share_seen(
    float *scores, int seen, int padded, float scale, readable *shares, float *most, float *sum,
    float *out, int size) {
    float found = 0, before = *most;
    *most = fmaxf(before, scale * largest(scores, seen));
    float fade = before == -INFINITY ? 0 : exp_below(before - *most);
    for (int s = 0; s < seen; s++) {
        scores[s] = exp_below(scale * scores[s] - *most);
        found += scores[s];
    }
    for (int s = seen; s < padded; s++) scores[s] = 0;
    to_readable(scores, shares, padded);
    for (int i = 0; i < size && fade != 1; i++) out[i] *= fade;
    *sum = *sum * fade + found;
}

// Rows from..from + TILE_ROWS of the (position, query) pairs of one key head.
static void read_tile(
    const reading *d, int batch, int head, int from, const int32_t *keys, const int32_t *values) {
    int size = d->head_dim, count = size / IN_WORD, group = d->heads / d->kv_heads;
    int rows = d->time * group - from < TILE_ROWS ? d->time * group - from : TILE_ROWS;
    int ends[TILE_ROWS];
    const readable *queries[TILE_ROWS];
    float scores[TILE_ROWS * READ_BLOCK], most[TILE_ROWS], sum[TILE_ROWS];
    readable shares[TILE_ROWS * READ_BLOCK];
    float out[TILE_ROWS * MOST_CHANNELS];
    for (int r = 0; r < TILE_ROWS; r++) {
        int row = from + (r < rows ? r : rows - 1), position = row / group;
        ends[r] = d->seen - d->time + position + 1;
        queries[r] = d->queries + batch * d->query_strides[0] + position * d->query_strides[2] +
            (head * group + row % group) * d->query_strides[1];
        most[r] = -INFINITY;
        sum[r] = 0;
    }
    memset(out, 0, sizeof(float) * TILE_ROWS * size);
    for (int begin = 0; begin < ends[rows - 1]; begin += READ_BLOCK) {
        int left = ends[rows - 1] - begin, seen = left < READ_BLOCK ? left : READ_BLOCK;
        int padded = (seen + ACROSS * LANES - 1) / (ACROSS * LANES) * ACROSS * LANES, at = 0;
        for (int s = 0; s < padded; s += ACROSS * LANES) {
            score_tile(keys + (int64_t)(begin + s) * count, queries, count, scores + s);
        }
        for (int r = 0; r < TILE_ROWS; r++) {
            int own = ends[r] - begin < padded ? ends[r] - begin : padded;
            share_seen(scores + r * READ_BLOCK, own > 0 ? own : 0, padded, d->scale,
                       shares + r * READ_BLOCK, most + r, sum + r, out + r * size, size);
        }
        const int32_t *block = values + (int64_t)begin / IN_WORD * size;
        for (; at + ACROSS * LANES <= size; at += ACROSS * LANES) {
            mix_tile(block + at, shares, padded / IN_WORD, ACROSS, size, out + at);
        }
        for (; at < size; at += LANES) mix_tile(block + at, shares, padded / IN_WORD, 1, size, out + at);
    }
    for (int r = 0; r < rows; r++) {
        int position = (from + r) / group, query = head * group + (from + r) % group;
        for (int i = 0; i < size; i++) out[r * size + i] /= sum[r];
        to_readable(out + r * size,
                    d->out + (((int64_t)batch * d->time + position) * d->heads + query) * size, size);
    }
}

const int32_t readable_bytes = sizeof(readable);

// Returns 0, or 1 if memory is out.
int read_attended(const reading *d, int threads) {
    enum { SHARE = 16 };  // tiles that a thread takes at once, the longest first
    int group = d->heads / d->kv_heads, room = (d->seen + READ_BLOCK - 1) / READ_BLOCK * READ_BLOCK;
    int tiles = (d->time * group + TILE_ROWS - 1) / TILE_ROWS, shares = (tiles + SHARE - 1) / SHARE;
    int64_t all = (int64_t)d->batch * d->kv_heads, each = (int64_t)room * d->head_dim / IN_WORD;
    int32_t *laid = malloc(sizeof(int32_t) * all * each * 2);
#pragma omp parallel num_threads(threads)
    if (laid) {
#pragma omp for
        for (int64_t i = 0; i < all * room / READ_BLOCK; i++) {
            int64_t own = i % all;
            lay_in_words(d, own / d->kv_heads, own % d->kv_heads, i / all * READ_BLOCK,
                         laid + own * 2 * each, laid + (own * 2 + 1) * each);
        }
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < all * shares; i++) {
            int64_t own = i % all;
            int end = tiles - (int)(i / all) * SHARE, begin = end > SHARE ? end - SHARE : 0;
            for (int tile = begin; tile < end; tile++) {
                read_tile(d, own / d->kv_heads, own % d->kv_heads, tile * TILE_ROWS,
                          laid + own * 2 * each, laid + (own * 2 + 1) * each);
            }
        }
    }
    free(laid);
    return !laid;
}
#else
const int32_t readable_bytes = 0;
int read_attended(const void *d, int threads) { return 1; }
#endif
