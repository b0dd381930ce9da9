// Rows of activations, rounded for packed matrices, and their products with one.

enum { SOME = 4 };  // rows that share what is unpacked of a matrix

typedef struct {  // of a thread: what it multiplies, and room for scores
    float *x, *queries, *scores;
    int8_t *numbers, *paired;
    float *scales, *sums, *spread;
    row *rows;
} own;

// Room for the rows that are multiplied, and for what a thread needs beside them: false if memory is
// out.
static int make_rows(own *mine, int batch, int widest) {
    size_t runs = (size_t)batch * (widest / RUN + 8);
    memset(mine, 0, sizeof(own));
    mine->numbers = malloc((size_t)batch * widest);
    mine->paired = malloc((size_t)batch * widest);
    mine->scales = malloc(sizeof(float) * runs);
    mine->sums = malloc(sizeof(float) * runs);
    mine->spread = malloc(sizeof(float) * runs * 4);
    mine->rows = malloc(sizeof(row) * batch);
    return mine->numbers && mine->paired && mine->scales && mine->sums && mine->spread &&
           mine->rows;
}

static void give_back(own *mine) {
    void *all[] = {mine->x, mine->queries, mine->scores, mine->numbers, mine->paired,
                   mine->scales, mine->sums, mine->spread, mine->rows};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) free(all[i]);
}

// Let x's rows be what is multiplied next; packed matrices read them rounded.
static void enter_some(own *mine, int from, int to, const float *x, int count) {
    for (int b = from; b < to; b++) {
        row *in = mine->rows + b;
        in->x = x + (int64_t)b * count;
        in->number = mine->numbers + (int64_t)b * count;
        in->paired = mine->paired + (int64_t)b * count;
        in->scale = mine->scales + (int64_t)b * (count / RUN + 8);
        in->sum = mine->sums + (int64_t)b * (count / RUN + 8);
        in->spread = mine->spread + (int64_t)b * (count / RUN * 4);
        if (count % RUN == 0) round_row(in, count);
    }
}

static void enter(own *mine, int batch, const float *x, int count) {
    enter_some(mine, 0, batch, x, count);
}

static void multiply(
    const matrix *w, const own *mine, int batch, float *out, int stride, int thread, int threads) {
    int from, to;
    share(w->rows, thread, threads, &from, &to);
    for (int at = from; at < to; at++) {
        for (int b = 0; b < batch; b += SOME) {
            float found[SOME];
            int count = batch - b < SOME ? batch - b : SOME;
            product(w, mine->rows + b, count, at, found);
            for (int r = 0; r < count; r++) out[(int64_t)(b + r) * stride + at] = found[r];
        }
    }
}

// The products of many rows x (M, C) with a matrix: out (M, R). Returns 0, or 1 if memory is out.
int multiply_rows(const matrix *w, const float *x, int count, int threads, float *out) {
    enum { TILE = 32 };  // rows that stay in a core's cache while it reads the matrix
    own shared;
    int is_made = make_rows(&shared, count, w->cols);
#pragma omp parallel num_threads(threads)
    if (is_made) {
        int thread = omp_get_thread_num(), all = omp_get_num_threads(), from, to;
        share(count, thread, all, &from, &to);
        enter_some(&shared, from, to, x, w->cols);
#pragma omp barrier
        share(w->rows, thread, all, &from, &to);
        for (int tile = 0; tile < count; tile += TILE) {
            int end = tile + TILE < count ? tile + TILE : count;
            for (int at = from; at < to; at++) {
                for (int r = tile; r < end; r += SOME) {
                    float found[SOME];
                    int some = end - r < SOME ? end - r : SOME;
                    product(w, shared.rows + r, some, at, found);
                    for (int i = 0; i < some; i++) out[(int64_t)(r + i) * w->rows + at] = found[i];
                }
            }
        }
    }
    give_back(&shared);
    return !is_made;
}
