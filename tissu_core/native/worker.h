// Threads that compute one step together.

// A thread, with room of its own. The rows that are multiplied are prepared once for all threads,
// or, where there are fewer rows than threads, by each for itself, which is less than a wait.
typedef struct {
    int thread, threads, batch, is_shared;
    activations *in, alone;
    float *queries, *scores;
} worker;

static int widest_row(const decoder *d) {
    int heads = d->heads * d->head_dim, widest = d->hidden > heads ? d->hidden : heads;
    return d->inter > widest ? d->inter : widest;
}

static int make_worker(worker *mine, const decoder *d, activations *common, int batch, int seen) {
    memset(mine, 0, sizeof(worker));
    mine->thread = omp_get_thread_num();
    mine->threads = omp_get_num_threads();
    mine->batch = batch;
    mine->is_shared = batch >= mine->threads;
    mine->in = mine->is_shared ? common : &mine->alone;
    mine->queries = malloc(sizeof(float) * d->heads * d->head_dim);
    mine->scores = malloc(sizeof(float) * (d->heads / d->kv_heads) * (seen + 1));
    int is_made = mine->is_shared || make_rows(&mine->alone, batch, widest_row(d));
    return is_made && mine->queries && mine->scores;
}

static void free_worker(worker *mine) {
    free_rows(&mine->alone);
    free(mine->queries);
    free(mine->scores);
}

// The rows that a thread prepares; ``meet`` waits for those of the others.
static void own_rows(const worker *mine, int *from, int *to) {
    *from = 0;
    *to = mine->batch;
    if (mine->is_shared) share(mine->batch, mine->thread, mine->threads, from, to);
}

static void meet(const worker *mine) {
    if (mine->is_shared) {
#pragma omp barrier
    }
}
