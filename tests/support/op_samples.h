/* op_samples.h - inputs and graphs for an op's samples, for all tests that iterate over the op table.
 *
 * The inputs of a sample depend only on the names of op and sample, and are representable in the sample's dtype: f32
 * samples have exactly the same inputs when run in f64.
 */
#ifndef GLIA_TESTS_OP_SAMPLES_H
#define GLIA_TESTS_OP_SAMPLES_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "glia/glia.h"

typedef struct sample_case {
    const glia_op *op;
    const glia_op_sample *sample;
    double *x[GLIA_SAMPLE_INPUTS]; /* the inputs' values */
} sample_case;

static inline double sample_draw(const glia_sample_input *in, double low, double high, glia_rng *rng) {
    for (;;) {
        double u = low + (high - low) * glia_rng_uniform(rng);
        if (in->kind != GLIA_SAMPLE_NONZERO || fabs(u) > 0.1) return u;
    }
}

/* n distinct numbers, evenly spaced with some jitter, in random order. */
static inline void sample_distinct(double *x, int64_t n, double low, double high, glia_rng *rng) {
    double step = (high - low) / (double)n;
    for (int64_t i = 0; i < n; i++) x[i] = low + step * ((double)i + 0.4 + 0.2 * glia_rng_uniform(rng));
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t k = (int64_t)glia_rng_below(rng, (uint64_t)i + 1);
        double swapped = x[i];
        x[i] = x[k];
        x[k] = swapped;
    }
}

/* n ascending integers from 0 to high. */
static inline void sample_offsets(double *x, int64_t n, double high, glia_rng *rng) {
    for (int64_t i = 0; i < n; i++) {
        const double drawn = (double)glia_rng_below(rng, (uint64_t)high + 1);
        int64_t at = i;
        for (; at > 0 && x[at - 1] > drawn; at--) x[at] = x[at - 1];
        x[at] = drawn;
    }
    x[0] = 0;
    x[n - 1] = high;
}

static inline double *sample_values(const glia_op *op, const glia_op_sample *sample, int input) {
    const glia_sample_input *in = &sample->in[input];
    int64_t n = glia_shape_count(in->shape);
    double *x = malloc((size_t)n * sizeof *x);
    uint64_t seed = glia_hash_bytes(sample->name, strlen(sample->name), glia_hash_bytes(op->name, strlen(op->name), 0));
    glia_rng rng = { .seed = seed, .stream = (uint64_t)input };
    bool unset = in->low == 0 && in->high == 0;
    double low = unset ? -1 : in->low, high = unset ? 1 : in->high;
    if (in->kind == GLIA_SAMPLE_OFFSETS) {
        sample_offsets(x, n, high, &rng);
        return x;
    }
    if (in->kind == GLIA_SAMPLE_DISTINCT) sample_distinct(x, n, low, high, &rng);
    for (int64_t i = 0; i < n; i++) {
        if (in->kind == GLIA_SAMPLE_INTEGER) x[i] = low + (double)glia_rng_below(&rng, (uint64_t)(high - low));
        else if (in->kind != GLIA_SAMPLE_DISTINCT) x[i] = sample_draw(in, low, high, &rng);
        x[i] = glia_round_to(in->dtype, x[i]);
    }
    return x;
}

static inline sample_case sample_open(const glia_op *op, const glia_op_sample *sample) {
    sample_case c = { .op = op, .sample = sample };
    for (int i = 0; i < sample->n; i++) c.x[i] = sample_values(op, sample, i);
    return c;
}

static inline void sample_close(sample_case *c) {
    for (int i = 0; i < c->sample->n; i++) free(c->x[i]);
}

/* Checksum of the inputs as doubles; identifies the inputs of a golden result. */
static inline uint64_t sample_checksum(const sample_case *c) {
    uint64_t hash = 0;
    for (int i = 0; i < c->sample->n; i++) {
        hash = glia_hash_bytes(c->x[i], (size_t)glia_shape_count(c->sample->in[i].shape) * sizeof(double), hash);
    }
    return hash;
}

/* A new graph with inputs "x0", "x1", ... and the op on them; f32 can be replaced by f64. The output "y" is set. */
typedef struct sample_graph {
    glia_graph *g;
    int n;
    glia_tensor x[GLIA_SAMPLE_INPUTS], y;
} sample_graph;

static inline sample_graph sample_build(const glia_op *op, const glia_op_sample *sample, bool f64) {
    sample_graph s = { .g = glia_graph_create(), .n = sample->n };
    for (int i = 0; i < sample->n; i++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", i);
        glia_dtype t = sample->in[i].dtype;
        s.x[i] = glia_input(s.g, name, f64 && t == GLIA_F32 ? GLIA_F64 : t, sample->in[i].shape);
    }
    s.y = glia_node_create(s.g, op, s.x, s.n, sample->attrs);
    glia_graph_output(s.g, "y", s.y);
    return s;
}

/* True if gradients are tested for this input. */
static inline bool sample_varies(const glia_op_sample *sample, int i) {
    return glia_dtype_is_float(sample->in[i].dtype) && !sample->in[i].constant;
}

/* ---- expanding and evaluating --------------------------------------------------------------- */

static inline glia_tensor sample_expand_rule(glia_graph *to, const glia_node *node, const glia_tensor *in, void *mode) {
    if (glia_body_of(node)) return glia_node_rewrite_body(to, node, in, sample_expand_rule, mode, NULL);
    return node->op->flags & GLIA_OP_COMPOSITE ? node->op->expand(node, in, *(glia_mode *)mode) : NULL;
}

/* The graph expanded to primitives; NULL and error on failure. Updates are omitted. */
static inline glia_graph *sample_expanded(const glia_graph *g, glia_mode mode, glia_error *error) {
    glia_graph *now = NULL;
    for (bool again = true; again;) {
        glia_graph *next = glia_graph_rewrite(now ? now : g, sample_expand_rule, &mode, NULL, true, error);
        glia_graph_free(now);
        if (!next) return NULL;
        now = next;
        again = false;
        for (int i = 0; i < now->n_nodes; i++) {
            again |= !(now->nodes[i]->op->flags & GLIA_OP_LEAF) && !glia_node_evaluates(now->nodes[i]);
        }
    }
    return now;
}

/* Evaluates output k of a graph of primitives; given[i] holds the values of input "xI". The caller frees the result;
 * NULL and error on failure. */
static inline double *sample_evaluate(const glia_graph *g, int k, int n, double *const *given, glia_error *error) {
    double **values = calloc((size_t)g->n_nodes, sizeof *values);
    for (int i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", i);
        const glia_node *leaf = glia_graph_find_leaf(g, name);
        if (leaf) values[leaf->id] = given[i];
    }
    glia_status status = glia_graph_eval(g, values, error);
    const glia_node *y = g->outputs[k].node;
    double *result = NULL;
    if (status == GLIA_OK) {
        size_t bytes = (size_t)glia_shape_count(y->shape) * sizeof *result;
        result = malloc(bytes);
        memcpy(result, values[y->id], bytes);
    }
    for (int i = 0; i < g->n_nodes; i++) {
        bool lent = false;
        for (int j = 0; j < n; j++) lent |= values[i] == given[j];
        if (!lent) free(values[i]);
    }
    free(values);
    return result;
}

#endif
