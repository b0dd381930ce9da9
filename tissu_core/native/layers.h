// A decoder's parts, and what is done between its products.

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

// x / (1 + e^-x), of exponents that are never positive.
static inline float silu(float x) {
    float e = exp_below(-fabsf(x));
    return x * (x < 0 ? e : 1) / (1 + e);
}

static void bend(int activation, float *x, int count) {
    switch (activation) {
    case SILU:
        for (int i = 0; i < count; i++) x[i] = silu(x[i]);
        break;
    case GELU_TANH:
        for (int i = 0; i < count; i++) {
            x[i] *= 0.5f * (1 + tanhf(0.79788456f * (x[i] + 0.044715f * x[i] * x[i] * x[i])));
        }
        break;
    case GELU:
        for (int i = 0; i < count; i++) x[i] *= 0.5f * (1 + erff(x[i] * 0.70710678f));
        break;
    default:
        for (int i = 0; i < count; i++) {
            float above = x[i] > 0 ? x[i] : 0;
            x[i] = activation == RELU ? above : above * above;
        }
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
