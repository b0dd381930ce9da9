// Rows of activations, rounded for packed matrices, and their products with one.

enum { SOME = 4 };  // rows that share what is unpacked of a matrix

typedef struct {
    float *x;
    int8_t *numbers;
    float *scales, *sums;
    int32_t *offsets;
    row *rows;
} activations;

// Room for so many rows, of up to so many channels: false if memory is out.
static int make_rows(activations *made, int count, int widest) {
    size_t runs = (size_t)count * (widest / RUN + 1);
    made->x = malloc(sizeof(float) * count * widest);
    made->numbers = malloc((size_t)count * widest);
    made->scales = malloc(sizeof(float) * runs);
    made->sums = malloc(sizeof(float) * runs);
    made->offsets = malloc(sizeof(int32_t) * runs);
    made->rows = malloc(sizeof(row) * count);
    return made->x && made->numbers && made->scales && made->sums && made->offsets && made->rows;
}

static void free_rows(activations *made) {
    void *all[] = {made->x, made->numbers, made->scales, made->sums, made->offsets, made->rows};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) free(all[i]);
}

// Let a row be what is multiplied next; packed matrices read it rounded.
static void enter(activations *to, int at, const float *x, int count) {
    row *in = to->rows + at;
    in->x = x;
    in->number = to->numbers + (int64_t)at * count;
    in->scale = to->scales + (int64_t)at * (count / RUN);
    in->sum = to->sums + (int64_t)at * (count / RUN);
    in->offset = to->offsets + (int64_t)at * (count / RUN);
    if (count % RUN == 0) round_row(in, count);
}

// Some of a matrix's panels, for rows from..to; out, fp32 or bf16, has ``stride`` numbers in a row.
static inline __attribute__((always_inline)) void multiply_panels(
    const matrix *w, const row *rows, int from, int to, int first, int last, void *out,
    int stride, int is_wide) {
    for (int panel = first; panel < last; panel++) {
        int begin = panel * PANEL, size = w->rows - begin < PANEL ? w->rows - begin : PANEL;
        for (int at = from; at < to; at += SOME) {
            float found[SOME * PANEL];
            int count = to - at < SOME ? to - at : SOME;
            product(w, rows + at, count, panel, found);
            for (int r = 0; r < count; r++) {
                int64_t own = (int64_t)(at + r) * stride + begin;
                if (is_wide) memcpy((float *)out + own, found + r * PANEL, sizeof(float) * size);
                else floats_to_bf16(found + r * PANEL, (uint16_t *)out + own, size);
            }
        }
    }
}

static void multiply(
    const matrix *w, const activations *in, int count, float *out, int stride, int thread,
    int threads) {
    int first, last;
    share_panels(w, thread, threads, &first, &last);
    multiply_panels(w, in->rows, 0, count, first, last, out, stride, 1);
}

// The products of many rows x (M, C) with a packed matrix: out (M, R), both fp32 or both bf16.
// Returns 0, or 1 if memory is out.
int multiply_rows(
    const matrix *w, const void *x, int count, int is_wide, int threads, void *out) {
    enum { TILE = 32 };  // rows that stay in a core's cache while it reads the matrix
    activations in;
    int is_made = make_rows(&in, count, w->cols);
#pragma omp parallel num_threads(threads)
    if (is_made) {
        int thread = omp_get_thread_num(), all = omp_get_num_threads(), from, to;
        share(count, thread, all, &from, &to);
        float *widened = in.x + (int64_t)from * w->cols;
        for (int at = from; at < to; at++) {
            int64_t begin = (int64_t)at * w->cols;
            if (!is_wide) bf16_to_floats((const uint16_t *)x + begin, widened, w->cols);
            enter(&in, at, is_wide ? (const float *)x + begin : widened, w->cols);
        }
#pragma omp barrier
        share_panels(w, thread, all, &from, &to);
        for (int tile = 0; tile < count; tile += TILE) {
            int end = tile + TILE < count ? tile + TILE : count;
            if (is_wide) multiply_panels(w, in.rows, tile, end, from, to, out, w->rows, 1);
            else multiply_panels(w, in.rows, tile, end, from, to, out, w->rows, 0);
        }
    }
    free_rows(&in);
    return !is_made;
}
