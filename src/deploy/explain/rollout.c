/* rollout.c - attention roll-out (Abnar and Zuidema 2020): how much of each token of the input reaches a token of the
 * last layer, if each layer passes on half by itself and half by attention.
 *
 *     A_l = (mean over heads of layer l's attention weights + 1) / 2        R = A_L ... A_2 A_1
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "deploy/explain/explain.h"
#include "glia/transformers.h"

enum { FIRST, LAST, MEAN };

typedef struct rollout {
    int token;
    double residual;
    glia_point point;
    glia_function *function; /* of each layer's weights (N, H, T, T), and the score */
    int layers;
    int64_t tokens;
} rollout;

static const glia_setting settings[] = {
    { "token", GLIA_SETTING_CHOICE, offsetof(rollout, token), FIRST, 0, 0, "first|last|mean",
      "whose row is taken: of the class token, of the last word of a causal model, or the mean of all" },
    { "residual", GLIA_SETTING_REAL, offsetof(rollout, residual), 0.5, 0, 1, NULL,
      "the part that skips the attention of a layer" },
};

/* `count` heads of x (N, T, F) from column `from` on, as (N, T, count, D). */
static glia_tensor heads_of(glia_tensor x, int64_t from, int64_t count, int64_t size) {
    if (glia_is_bad(x)) return x;
    const glia_shape start = GLIA_SHAPE(0, 0, from * size),
                     stop = GLIA_SHAPE(INT64_MAX, INT64_MAX, (from + count) * size);
    glia_tensor part = glia_slice(x, start, stop, GLIA_SCALAR);
    return glia_reshape(part, GLIA_SHAPE(x->shape.dim[0], x->shape.dim[1], count, size));
}

/* The weights of an attention node, by its attributes. */
static glia_tensor weights_of(const glia_node *n) {
    const glia_attention_attrs *a = n->attrs;
    const glia_attention_sizes s = glia_attention_sizes_of(a, n->in);
    const glia_attention_places p = glia_attention_places_of(a, false);
    glia_tensor q = n->in[0], k = n->in[1];
    if (a->packing == GLIA_ATTENTION_QKV) {
        q = heads_of(n->in[0], 0, s.heads, s.size);
        k = heads_of(n->in[0], s.heads, s.groups, s.size);
    } else if (a->packing == GLIA_ATTENTION_KV) {
        q = heads_of(n->in[0], 0, s.heads, s.size);
        k = heads_of(n->in[1], 0, s.groups, s.size);
    }
    const glia_attention_opts opts = { .scale = a->scale == 0 ? GLIA_ZERO : a->scale,
                                       .causal = a->causal,
                                       .window = (int)a->window,
                                       .softcap = a->softcap,
                                       .alibi = a->alibi,
                                       .lengths = p.lengths < 0 ? NULL : n->in[p.lengths],
                                       .offsets = p.offsets < 0 ? NULL : n->in[p.offsets],
                                       .mask = p.mask < 0 ? NULL : n->in[p.mask],
                                       .bias = p.bias < 0 ? NULL : n->in[p.bias] };
    return glia_attention_weights(q, k, opts);
}

/* Self-attention: as many queries as keys, and as many as in the layers before. */
static bool is_layer(const glia_node *n, int64_t tokens) {
    if (strcmp(n->op->name, "attention") != 0 && strcmp(n->op->name, "attention_dropout") != 0) return false;
    const glia_attention_sizes s = glia_attention_sizes_of(n->attrs, n->in);
    return s.queries == s.keys && (!tokens || s.queries == tokens);
}

static glia_status begin(glia_explainer *e, glia_error *error) {
    rollout *m = e->memory;
    glia_point *p = &m->point;
    glia_status status = glia_point_begin(e, NULL, p, error);
    if (status != GLIA_OK) return status;
    const int last = p->score->id;
    glia_tensor *outputs = malloc(((size_t)last + 1) * sizeof(glia_tensor));
    if (!outputs) return glia_fail_nomem(error);
    bool *live = glia_live_of(p->score);
    for (int id = 0; live && id < last; id++) {
        const glia_node *n = p->graph->nodes[id];
        if (!live[id] || !is_layer(n, m->tokens)) continue;
        m->tokens = glia_attention_sizes_of(n->attrs, n->in).queries;
        outputs[m->layers++] = weights_of(n);
    }
    outputs[m->layers] = p->score;
    status = live ? glia_graph_check(p->graph, error) : glia_fail_nomem(error);
    if (status == GLIA_OK && m->layers == 0) {
        status = glia_fail(error, GLIA_E_UNSUPPORTED, "explain: attention-rollout needs a model with self-attention");
    }
    glia_error reason = { 0 };
    if (status == GLIA_OK) m->function = glia_point_function(e, outputs, m->layers + 1, &reason);
    if (status == GLIA_OK && !m->function) status = glia_fail(error, reason.status, "%s", reason.message);
    free(live);
    free(outputs);
    return status;
}

/* r (T, T) becomes A r, A by weights (H, T, T). */
static void pass_layer(const rollout *m, const float *weights, int64_t heads, double *r, double *next) {
    const int64_t t = m->tokens;
    memset(next, 0, (size_t)(t * t) * sizeof *next);
    for (int64_t q = 0; q < t; q++) {
        for (int64_t k = 0; k < t; k++) {
            double mean = 0;
            for (int64_t h = 0; h < heads; h++) mean += (double)weights[(h * t + q) * t + k] / (double)heads;
            const double a = (1 - m->residual) * mean + (q == k ? m->residual : 0);
            for (int64_t i = 0; a != 0 && i < t; i++) next[q * t + i] += a * r[k * t + i];
        }
    }
    memcpy(r, next, (size_t)(t * t) * sizeof *r);
}

static void take_row(const rollout *m, const double *r, double *row) {
    const int64_t t = m->tokens, from = m->token == LAST ? t - 1 : 0, to = m->token == FIRST ? 1 : t;
    memset(row, 0, (size_t)t * sizeof *row);
    for (int64_t q = from; q < to; q++) {
        for (int64_t i = 0; i < t; i++) row[i] += r[q * t + i] / (double)(to - from);
    }
}

/* The side of the patches of a picture whose tokens are its patches, row by row, after `skip` others (a class token);
 * 0: the tokens are no such patches. */
static int64_t patch_side(const glia_explainer *e, int64_t tokens, int64_t *skip) {
    for (*skip = 0; e->sample.rank == 3 && *skip < 2; ++*skip) {
        const int64_t height = e->sample.dim[1], width = e->sample.dim[2];
        for (int64_t side = 1; side <= height; side++) {
            if (height % side || width % side) continue;
            if (height / side * (width / side) == tokens - *skip) return side;
        }
    }
    return 0;
}

/* Values of tokens, or of the pixels of their patches. */
static glia_status take_values(const glia_explainer *e, const double *row, glia_explanation *out, glia_error *error) {
    const rollout *m = e->memory;
    int64_t skip;
    const int64_t side = patch_side(e, m->tokens, &skip), width = side ? e->sample.dim[2] : 0;
    const glia_shape shape = side ? GLIA_SHAPE(e->sample.dim[1], width) : GLIA_SHAPE(m->tokens);
    glia_status status = glia_explanation_start(out, shape, false, error);
    for (int64_t i = 0; status == GLIA_OK && i < out->n; i++) {
        out->values[i] = side ? row[skip + i / width / side * (width / side) + i % width / side] : row[i];
    }
    return status;
}

static glia_status run(glia_explainer *e, const float *x, int output, glia_explanation *out, glia_error *error) {
    rollout *m = e->memory;
    const size_t square = (size_t)(m->tokens * m->tokens);
    double *r = calloc(2 * square, sizeof *r);
    glia_array *results = calloc((size_t)m->layers + 1, sizeof *results);
    float *at = malloc((size_t)m->point.size * sizeof *at);
    glia_status status = r && results && at ? GLIA_OK : glia_fail_nomem(error);
    if (status == GLIA_OK) status = glia_point_embed(e, &m->point, x, 1, at, error);
    if (status == GLIA_OK) {
        status = glia_point_call(e, &m->point, m->function, x, at, 1, output, NULL, 0, results, error);
    }
    for (int64_t i = 0; status == GLIA_OK && i < m->tokens; i++) r[i * m->tokens + i] = 1;
    for (int l = 0; status == GLIA_OK && l < m->layers; l++) {
        pass_layer(m, results[l].data, results[l].shape.dim[1], r, r + square);
    }
    if (status == GLIA_OK) {
        take_row(m, r, r + square);
        status = take_values(e, r + square, out, error);
        out->output_value = (double)*(const float *)results[m->layers].data;
    }
    free(r);
    free(results);
    free(at);
    return status;
}

static void end(glia_explainer *e) {
    rollout *m = e->memory;
    glia_function_free(m->function);
    glia_point_end(&m->point);
}

const glia_explain_method glia_explain_attention_rollout = {
    .about = { .name = "attention-rollout",
               .summary = "what of each token reaches the last layer through all layers of attention",
               .paper = "Abnar and Zuidema 2020",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings) },
    .bytes = sizeof(rollout),
    .uses = GLIA_EXPLAIN_MODEL,
    .begin = begin,
    .run = run,
    .end = end,
};
