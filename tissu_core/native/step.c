// One token of each of a few texts through a whole decoder.
//
// Threads meet at barriers between what needs all of a row: each computes its share of a matrix's
// panels. Norms and the rounding of what is multiplied are as ``worker.h`` says.

#include <omp.h>
#include <stdlib.h>

#include "lanes.h"
#include "products.h"
#include "unpack.h"
#include "attention.h"
#include "rounded.h"
#include "reading.h"
#include "rows.h"
#include "layers.h"
#include "worker.h"

static void enter_normed(const decoder *d, const norm *n, worker *mine, const float *x) {
    int from, to, size = d->hidden;
    own_rows(mine, &from, &to);
    for (int r = from; r < to; r++) {
        float *normed = mine->in->x + (int64_t)r * size;
        normalise(d, n, x + (int64_t)r * size, size, normed);
        enter(mine->in, r, normed, size);
    }
    meet(mine);
}

static void enter_bent(const decoder *d, worker *mine, const float *bent) {
    int from, to;
    own_rows(mine, &from, &to);
    for (int r = from; r < to; r++) enter(mine->in, r, bent + (int64_t)r * d->inter, d->inter);
    meet(mine);
}

// Add what a matrix makes to the stream; a norm, if there is one, needs all of a row first.
static void add_to(
    const decoder *d, const matrix *w, const norm *n, worker *mine, float *x, float *whole) {
    int first, last, from = 0, to = mine->batch, size = d->hidden;
    share_panels(w, mine->thread, mine->threads, &first, &last);
    multiply_panels(w, mine->in->rows, 0, to, first, last, whole, size, 1);
    int begin = first * PANEL, end = last * PANEL < size ? last * PANEL : size;
    if (n->weight) {
#pragma omp barrier
        own_rows(mine, &from, &to);
        begin = mine->is_shared ? 0 : begin;
        end = mine->is_shared ? size : end;
    }
    for (int r = from; r < to; r++) {
        float *added = whole + (int64_t)r * size;
        if (n->weight) {
            normalise(d, n, added, size, mine->in->x + (int64_t)r * size);
            added = mine->in->x + (int64_t)r * size;
        }
        for (int i = begin; i < end; i++) x[(int64_t)r * size + i] += added[i];
    }
#pragma omp barrier
}

// Attention of some positions by one row's queries; who sees the newest has put it there.
static void look_back(
    const decoder *d, const block *b, const cache *c, int r, int first, int position,
    worker *mine, const float *heads, float *parts) {
    int size = d->head_dim, group = d->heads / d->kv_heads, from = first, to = c->last + 1;
    const float *q = heads, *k = q + (int64_t)d->heads * size, *v = k + (int64_t)d->kv_heads * size;
    float turned[MOST_CHANNELS];
    if (!mine->is_shared) share_positions(first, c->last + 1, mine->thread, mine->threads, &from, &to);
    for (int h = 0; h < d->heads; h++) {
        turn_head(d, b, &b->q_norm, q + h * size, position, mine->queries + h * size);
    }
    for (int h = 0; h < d->kv_heads; h++) {
        int64_t base = r * c->row_stride + h * c->head_stride, at = base + (int64_t)c->last * size;
        int64_t copy = ((int64_t)r * d->kv_heads + h) * c->room;
        const float *own = mine->queries + h * group * size;
        const float *slopes = d->slopes ? d->slopes + h * group : NULL;
        float *part = parts + (int64_t)h * group * (2 + size);
        if (to == c->last + 1) {
            turn_head(d, b, &b->k_norm, k + h * size, position, turned);
            keep(c, c->keys, at, turned, size);
            keep(c, c->values, at, v + h * size, size);
        }
        if (c->room) {
            round_positions(c, base, copy, from > c->rounded ? from : c->rounded, to, size);
            attend_rounded(c, copy, from, to, own, group, size, d->score_scale, d->score_cap,
                           slopes, part);
        } else {
            attend(c, base, from, to, own, group, size, d->score_scale, d->score_cap, slopes,
                   mine->scores, part);
        }
    }
}

// The rows' attention, as what is multiplied next. Parts has room for what each thread finds.
static void enter_attended(
    const decoder *d, const block *b, const cache *c, const int32_t *first, const int32_t *position,
    worker *mine, const float *heads, float *parts) {
    int from, to, size = d->head_dim, all = (d->heads + 2 * d->kv_heads) * size;
    int64_t part = (int64_t)mine->batch * d->heads * (2 + size);
    own_rows(mine, &from, &to);
    for (int r = from; r < to; r++) {
        int begin = first[r] - c->dropped;
        look_back(d, b, c, r, begin > c->first ? begin : c->first, position[r], mine,
                  heads + (int64_t)r * all,
                  parts + mine->thread * part + (int64_t)r * d->heads * (2 + size));
    }
    if (!mine->is_shared) {
#pragma omp barrier
    }
    for (int r = from; r < to; r++) {
        float *mixed = mine->in->x + (int64_t)r * d->heads * size;
        for (int h = 0; h < d->heads; h++) {
            int64_t at = ((int64_t)r * d->heads + h) * (2 + size);
            if (mine->is_shared) merge(parts + mine->thread * part + at, 1, 0, size, mixed + h * size);
            else merge(parts + at, mine->threads, part, size, mixed + h * size);
        }
        enter(mine->in, r, mixed, d->heads * size);
    }
    meet(mine);
}

static void gate(const decoder *d, const block *b, const worker *mine, float *out) {
    int first, last;
    share_panels(&b->up, mine->thread, mine->threads, &first, &last);
    for (int panel = first; panel < last; panel++) {
        int begin = panel * PANEL, size = d->inter - begin < PANEL ? d->inter - begin : PANEL;
        for (int at = 0; at < mine->batch; at += SOME) {
            float ups[SOME * PANEL] = {0}, gates[SOME * PANEL] = {0};
            int count = mine->batch - at < SOME ? mine->batch - at : SOME;
            product(&b->up, mine->in->rows + at, count, panel, ups);
            if (b->gate.rows) {
                product(&b->gate, mine->in->rows + at, count, panel, gates);
                bend(d->activation, gates, count * PANEL);
                for (int i = 0; i < count * PANEL; i++) ups[i] *= gates[i];
            } else {
                bend(d->activation, ups, count * PANEL);
            }
            for (int r = 0; r < count; r++) {
                memcpy(out + (int64_t)(at + r) * d->inter + begin, ups + r * PANEL,
                       sizeof(float) * size);
            }
        }
    }
#pragma omp barrier
}

static void read_logits(const decoder *d, const worker *mine, float *logits) {
    int first, last, size = d->head.rows;
    share_panels(&d->head, mine->thread, mine->threads, &first, &last);
    multiply_panels(&d->head, mine->in->rows, 0, mine->batch, first, last, logits, size, 1);
    int end = last * PANEL < size ? last * PANEL : size;
    for (int r = 0; r < mine->batch && d->logit_cap > 0; r++) {
        float *own = logits + (int64_t)r * size;
        for (int at = first * PANEL; at < end; at++) {
            own[at] = d->logit_cap * tanhf(own[at] / d->logit_cap);
        }
    }
}

typedef struct {  // what all threads write
    activations rows;
    float *heads, *parts, *whole, *bent;
} scratch;

static int make_scratch(scratch *made, const decoder *d, int batch) {
    int all = (d->heads + 2 * d->kv_heads) * d->head_dim;
    int64_t part = (int64_t)batch * d->heads * (2 + d->head_dim);
    made->heads = malloc(sizeof(float) * batch * all);
    made->parts = malloc(sizeof(float) * part * d->threads);
    made->whole = malloc(sizeof(float) * batch * d->hidden);
    made->bent = malloc(sizeof(float) * batch * d->inter);
    int is_made = make_rows(&made->rows, batch, widest_row(d));
    return is_made && made->heads && made->parts && made->whole && made->bent;
}

static void free_scratch(scratch *made) {
    free_rows(&made->rows);
    free(made->heads);
    free(made->parts);
    free(made->whole);
    free(made->bent);
}

static void run_block(
    const decoder *d, const block *b, const cache *c, const int32_t *first, const int32_t *position,
    worker *mine, const scratch *all, float *x) {
    int size = d->head_dim, width = (d->heads + 2 * d->kv_heads) * size;
    enter_normed(d, &b->before, mine, x);
    multiply(&b->q, mine->in, mine->batch, all->heads, width, mine->thread, mine->threads);
    multiply(&b->k, mine->in, mine->batch, all->heads + d->heads * size, width, mine->thread,
             mine->threads);
    multiply(&b->v, mine->in, mine->batch, all->heads + (d->heads + d->kv_heads) * size, width,
             mine->thread, mine->threads);
#pragma omp barrier
    enter_attended(d, b, c, first, position, mine, all->heads, all->parts);
    add_to(d, &b->o, &b->after_attention, mine, x, all->whole);
    enter_normed(d, &b->before_mlp, mine, x);
    gate(d, b, mine, all->bent);
    enter_bent(d, mine, all->bent);
    add_to(d, &b->down, &b->after_mlp, mine, x, all->whole);
}

// Whether a step reads the copy of a cache, in panels of so many positions.
const int32_t rounded_panel = ROUNDED_PANEL;

// x (B, C) is what was looked up of the ids, and is used up. Of each row, first is its first real
// position, those before being padding, and position the number of its angle. Returns 0, or 1 if
// memory is out.
int decode_step(
    const decoder *d, const cache *caches, int batch, float *x, const int32_t *first,
    const int32_t *position, float *logits) {
    int seen = 0, is_out = 0;
    for (int i = 0; i < d->layers; i++) {
        int count = caches[i].last + 1 - caches[i].first;
        seen = count > seen ? count : seen;
    }
    scratch all;
    is_out = !make_scratch(&all, d, batch);
#pragma omp parallel num_threads(d->threads)
    {
        worker mine;
        if (!make_worker(&mine, d, &all.rows, batch, seen)) {
#pragma omp atomic write
            is_out = 1;
        }
#pragma omp barrier
        for (int i = 0; i < d->layers && !is_out; i++) {
            run_block(d, d->blocks + i, caches + i, first, position, &mine, &all, x);
        }
        if (!is_out) {
            enter_normed(d, &d->last, &mine, x);
            read_logits(d, &mine, logits);
        }
        free_worker(&mine);
    }
    free_scratch(&all);
    return is_out;
}
