// One token of each of a few texts through a whole decoder.
//
// Threads meet at barriers between what needs all of a row: each computes its share of a matrix's
// outputs, and for itself the norm and the rounding of what it multiplies.

#include <omp.h>
#include <stdlib.h>

#include "products.h"
#include "unpack.h"
#include "attention.h"
#include "rows.h"

enum { SILU, GELU_TANH, GELU, RELU, RELU2 };

typedef struct {
    const float *weight, *bias;  // no weight: no norm
} norm;

typedef struct {
    norm before, after_attention, before_mlp, after_mlp, q_norm, k_norm;
    matrix q, k, v, o, gate, up, down;  // without a gate the up is bent by itself
    const float *cos, *sin;             // (positions, R / 2), or none
} block;

typedef struct {
    int32_t hidden, heads, kv_heads, head_dim, rotary, inter, layers;
    int32_t activation, is_layer_norm, threads;
    float eps, score_scale, score_cap, logit_cap;
    const float *slopes;
    const block *blocks;
    norm last;
    matrix head;
} decoder;

static float bend(int activation, float x) {
    switch (activation) {
    case SILU: return x / (1 + expf(-x));
    case GELU_TANH: return 0.5f * x * (1 + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
    case GELU: return 0.5f * x * (1 + erff(x * 0.70710678f));
    case RELU: return x > 0 ? x : 0;
    default: return x > 0 ? x * x : 0;
    }
}

static void normalise(const decoder *d, const norm *n, const float *x, int count, float *out) {
    float mean = 0, square = 0;
    if (d->is_layer_norm) {
        for (int i = 0; i < count; i++) mean += x[i];
        mean /= (float)count;
    }
    for (int i = 0; i < count; i++) square += (x[i] - mean) * (x[i] - mean);
    float scale = 1 / sqrtf(square / (float)count + d->eps);
    for (int i = 0; i < count; i++) {
        out[i] = (x[i] - mean) * scale * n->weight[i] + (n->bias ? n->bias[i] : 0);
    }
}

static void rotate(float *x, const float *cos, const float *sin, int half) {
    for (int i = 0; i < half; i++) {
        float first = x[i], second = x[half + i];
        x[i] = first * cos[i] - second * sin[i];
        x[half + i] = second * cos[i] + first * sin[i];
    }
}

static void turn_head(
    const decoder *d, const block *b, const norm *n, const float *x, int position, float *out) {
    if (n->weight) {
        normalise(d, n, x, d->head_dim, out);
    } else {
        memcpy(out, x, sizeof(float) * d->head_dim);
    }
    if (b->cos) {
        int64_t at = (int64_t)position * (d->rotary / 2);
        rotate(out, b->cos + at, b->sin + at, d->rotary / 2);
    }
}

// Add what a matrix makes to the stream; a norm, if there is one, needs all of it first.
static void add_to(
    const decoder *d, const matrix *w, const norm *n, own *mine, int batch, float *x, float *whole,
    int thread, int threads) {
    int from, to, size = d->hidden;
    share(size, thread, threads, &from, &to);
    multiply(w, mine, batch, whole, size, thread, threads);
    if (n->weight) {
#pragma omp barrier
    }
    for (int b = 0; b < batch; b++) {
        const float *added = whole + (int64_t)b * size;
        if (n->weight) {
            normalise(d, n, added, size, mine->x);
            added = mine->x;
        }
        for (int i = from; i < to; i++) x[(int64_t)b * size + i] += added[i];
    }
#pragma omp barrier
}

static int make_room(own *mine, const decoder *d, int batch, int seen) {
    int heads = d->heads * d->head_dim, widest = d->hidden > heads ? d->hidden : heads;
    widest = d->inter > widest ? d->inter : widest;
    int is_made = make_rows(mine, batch, widest);
    mine->x = malloc(sizeof(float) * batch * widest);
    mine->queries = malloc(sizeof(float) * batch * heads);
    mine->scores = malloc(sizeof(float) * (d->heads / d->kv_heads) * (seen + 1));
    return is_made && mine->x && mine->queries && mine->scores;
}

static void look_back(
    const decoder *d, const block *b, const cache *c, const int32_t *first, const int32_t *position,
    own *mine, int batch, const float *heads, float *parts, int thread, int threads) {
    int size = d->head_dim, all = d->heads + 2 * d->kv_heads, group = d->heads / d->kv_heads;
    float turned[1024];
    for (int r = 0; r < batch; r++) {
        const float *q = heads + (int64_t)r * all * size, *k = q + (int64_t)d->heads * size;
        const float *v = k + (int64_t)d->kv_heads * size;
        float *queries = mine->queries + (int64_t)r * d->heads * size;
        for (int h = 0; h < d->heads; h++) {
            turn_head(d, b, &b->q_norm, q + h * size, position[r], queries + h * size);
        }
        for (int h = 0; h < d->kv_heads && thread == threads - 1; h++) {  // it reads the newest
            int64_t at = r * c->row_stride + h * c->head_stride + (int64_t)c->last * size;
            turn_head(d, b, &b->k_norm, k + h * size, position[r], turned);
            keep(c, c->keys, at, turned, size);
            keep(c, c->values, at, v + h * size, size);
        }
        int from, to, begin = first[r] > c->first ? first[r] : c->first;
        share(c->last + 1 - begin, thread, threads, &from, &to);
        for (int h = 0; h < d->kv_heads; h++) {
            int64_t at = ((int64_t)r * d->heads + h * group) * (2 + size);
            attend(c, r, h, begin + from, begin + to, queries + h * group * size, group, size,
                   d->score_scale, d->score_cap, d->slopes ? d->slopes + h * group : NULL,
                   mine->scores, parts + at);
        }
    }
}

static void gate(
    const decoder *d, const block *b, own *mine, int batch, float *out, int thread, int threads) {
    int from, to;
    share(b->up.rows, thread, threads, &from, &to);
    for (int at = from; at < to; at++) {
        for (int first = 0; first < batch; first += SOME) {
            float ups[SOME], gates[SOME];
            int count = batch - first < SOME ? batch - first : SOME;
            product(&b->up, mine->rows + first, count, at, ups);
            if (b->gate.rows) product(&b->gate, mine->rows + first, count, at, gates);
            for (int r = 0; r < count; r++) {
                out[(int64_t)(first + r) * d->inter + at] =
                    b->gate.rows ? bend(d->activation, gates[r]) * ups[r]
                                 : bend(d->activation, ups[r]);
            }
        }
    }
}

// x (B, C) is what was looked up of the ids, and is used up. Of each row, first is its first real
// position, those before being padding, and position the number of its angle. Returns 0, or 1 if
// memory is out.
int decode_step(
    const decoder *d, const cache *caches, int batch, float *x, const int32_t *first,
    const int32_t *position, float *logits) {
    int size = d->head_dim, all = (d->heads + 2 * d->kv_heads) * size, seen = 0, is_out = 0;
    for (int i = 0; i < d->layers; i++) {
        int count = caches[i].last + 1 - caches[i].first;
        seen = count > seen ? count : seen;
    }
    int64_t part = (int64_t)batch * d->heads * (2 + size);
    float *heads = malloc(sizeof(float) * batch * all);
    float *parts = malloc(sizeof(float) * part * d->threads);
    float *whole = malloc(sizeof(float) * batch * d->hidden);
    float *bent = malloc(sizeof(float) * batch * d->inter);
    int32_t *from = malloc(sizeof(int32_t) * batch * d->threads);
    is_out = !heads || !parts || !whole || !bent || !from;
#pragma omp parallel num_threads(d->threads)
    {
        int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        own mine;
        if (!make_room(&mine, d, batch, seen)) {
#pragma omp atomic write
            is_out = 1;
        }
#pragma omp barrier
        for (int i = 0; i < d->layers && !is_out; i++) {
            const block *b = d->blocks + i;
            int32_t *begin = from + (int64_t)thread * batch;
            for (int r = 0; r < batch; r++) {
                normalise(d, &b->before, x + (int64_t)r * d->hidden, d->hidden,
                          mine.x + (int64_t)r * d->hidden);
                begin[r] = first[r] - caches[i].dropped;
            }
            enter(&mine, batch, mine.x, d->hidden);
            multiply(&b->q, &mine, batch, heads, all, thread, threads);
            multiply(&b->k, &mine, batch, heads + d->heads * size, all, thread, threads);
            multiply(&b->v, &mine, batch, heads + (d->heads + d->kv_heads) * size, all, thread, threads);
#pragma omp barrier
            look_back(d, b, caches + i, begin, position, &mine, batch, heads,
                      parts + thread * part, thread, threads);
#pragma omp barrier
            for (int h = 0; h < batch * d->heads; h++) {
                merge(parts + (int64_t)h * (2 + size), threads, part, size, mine.x + (int64_t)h * size);
            }
            enter(&mine, batch, mine.x, d->heads * size);
            add_to(d, &b->o, &b->after_attention, &mine, batch, x, whole, thread, threads);
            for (int r = 0; r < batch; r++) {
                normalise(d, &b->before_mlp, x + (int64_t)r * d->hidden, d->hidden,
                          mine.x + (int64_t)r * d->hidden);
            }
            enter(&mine, batch, mine.x, d->hidden);
            gate(d, b, &mine, batch, bent, thread, threads);
#pragma omp barrier
            enter(&mine, batch, bent, d->inter);
            add_to(d, &b->down, &b->after_mlp, &mine, batch, x, whole, thread, threads);
        }
        if (!is_out) {
            for (int r = 0; r < batch; r++) {
                normalise(d, &d->last, x + (int64_t)r * d->hidden, d->hidden,
                          mine.x + (int64_t)r * d->hidden);
            }
            enter(&mine, batch, mine.x, d->hidden);
            multiply(&d->head, &mine, batch, logits, d->head.rows, thread, threads);
#pragma omp barrier
            int begin, end;
            share(d->head.rows, thread, threads, &begin, &end);
            for (int r = 0; r < batch && d->logit_cap > 0; r++) {
                float *own_logits = logits + (int64_t)r * d->head.rows;
                for (int at = begin; at < end; at++) {
                    own_logits[at] = d->logit_cap * tanhf(own_logits[at] / d->logit_cap);
                }
            }
        }
        give_back(&mine);
    }
    free(heads);
    free(parts);
    free(whole);
    free(bent);
    free(from);
    return is_out;
}
