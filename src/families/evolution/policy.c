/* policy.c - the nets that act: chains of dense layers, grown nets. */
#include "families/evolution/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "families/evolution/film.h"
#include "families/evolution/genome.h"
#include "glia/layers.h"

/* ---- chains of dense layers ------------------------------------------------------------------------------ */

enum { LAYERS = 8, UNITS = 1024 };

/* Widths from the inputs to the outputs; returns the number of layers. */
static int widths(const glia_encoding_opts *o, int out[LAYERS + 2]) {
    out[0] = o->inputs;
    for (int i = 1; i <= o->layers; i++) out[i] = o->hidden;
    out[o->layers + 1] = o->outputs;
    return o->layers + 1;
}

static int dense_numbers(const glia_encoding_opts *o) {
    int width[LAYERS + 2], sum = 0;
    const int layers = widths(o, width);
    for (int i = 0; i < layers; i++) sum += width[i + 1] * (width[i] + 1);
    return sum;
}

typedef struct chain {
    int width[LAYERS + 2], layers;
    double *numbers; /* for each layer W (out, in), b (out) */
    double *values[2];
} chain;

static void act_dense(void *net, const double *x, double *y) {
    const chain *c = net;
    const double *w = c->numbers, *from = x;
    for (int l = 0; l < c->layers; l++) {
        const int in = c->width[l], out = c->width[l + 1];
        double *to = l + 1 == c->layers ? y : c->values[l & 1];
        const double *bias = w + out * in;
        for (int k = 0; k < out; k++) {
            double sum = bias[k];
            for (int i = 0; i < in; i++) sum += w[k * in + i] * from[i];
            to[k] = glia_node_value(GLIA_NODE_TANH, sum);
        }
        w = bias + out;
        from = to;
    }
}

static glia_status decode_dense(const double *numbers, const glia_encoding_opts *o, glia_policy *policy,
                                glia_error *error) {
    const size_t n = (size_t)dense_numbers(o);
    chain *c = malloc(sizeof *c + (n + 2 * UNITS) * sizeof(double));
    if (!c) return glia_fail_nomem(error);
    c->layers = widths(o, c->width);
    c->numbers = (double *)(void *)(c + 1);
    c->values[0] = c->numbers + n;
    c->values[1] = c->values[0] + UNITS;
    memcpy(c->numbers, numbers, n * sizeof *numbers);
    *policy = (glia_policy){ .net = c, .act = act_dense, .free = free };
    return GLIA_OK;
}

/* Nodes: inputs, bias, outputs, then the hidden layers. */
static void dense_nodes(const glia_encoding_opts *o, glia_genome *g) {
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node_kind kind = i < o->inputs                 ? GLIA_NODE_INPUT
                                    : i == o->inputs              ? GLIA_NODE_BIAS
                                    : i <= o->inputs + o->outputs ? GLIA_NODE_OUTPUT
                                                                  : GLIA_NODE_HIDDEN;
        g->nodes[i] = (glia_node_gene){ .id = i, .kind = kind, .function = GLIA_NODE_TANH };
    }
}

static glia_status dense_genome(const double *numbers, const glia_encoding_opts *o, glia_arena *arena, glia_genome *g,
                                glia_error *error) {
    int width[LAYERS + 2], from = 0;
    const int layers = widths(o, width), fixed = o->inputs + 1 + o->outputs, links = dense_numbers(o);
    *g = (glia_genome){ .inputs = o->inputs, .outputs = o->outputs, .n_nodes = fixed + o->layers * o->hidden };
    g->nodes = glia_arena_alloc(arena, (size_t)g->n_nodes * sizeof *g->nodes);
    g->links = glia_arena_alloc(arena, (size_t)links * sizeof *g->links);
    if (!g->nodes || !g->links) return glia_fail_nomem(error);
    dense_nodes(o, g);
    for (int l = 0; l < layers; l++) {
        const int in = width[l], out = width[l + 1], to = l + 1 == layers ? o->inputs + 1 : fixed + l * o->hidden;
        for (int k = 0; k < out; k++) { /* the bias first, as act_dense() adds */
            for (int i = -1; i < in; i++) {
                const double weight = i < 0 ? numbers[out * in + k] : numbers[k * in + i];
                g->links[g->n_links] = (glia_link_gene){ .innovation = g->n_links,
                                                         .from = i < 0 ? o->inputs : from + i,
                                                         .to = to + k,
                                                         .weight = weight,
                                                         .enabled = true };
                g->n_links++;
            }
        }
        numbers += out * (in + 1);
        from = to;
    }
    return GLIA_OK;
}

bool glia_policy_put(glia_model *model, const char *layer, const char *part, const double *numbers) {
    char name[48];
    glia_array array;
    snprintf(name, sizeof name, "%s/%s", layer, part);
    if (!glia_store_find(glia_model_store(model), name, &array)) return false;
    const int64_t n = glia_shape_count(array.shape);
    for (int64_t i = 0; i < n; i++) ((float *)array.data)[i] = (float)numbers[i];
    return true;
}

static glia_status fill_dense(glia_model *model, const int *width, int layers, const double *numbers,
                              glia_error *error) {
    glia_status status = glia_model_init(model, 0, error);
    bool all = true;
    for (int l = 0; status == GLIA_OK && l < layers; l++) {
        char name[32];
        snprintf(name, sizeof name, "dense%d", l + 1);
        all = all && glia_policy_put(model, name, "kernel", numbers) &&
              glia_policy_put(model, name, "bias", numbers + width[l + 1] * width[l]);
        numbers += width[l + 1] * (width[l] + 1);
    }
    return status != GLIA_OK || all ? status : glia_fail(error, GLIA_E_INTERNAL, "a layer of the policy is missing");
}

static glia_model *dense_model(const double *numbers, const glia_encoding_opts *o, glia_error *error) {
    int width[LAYERS + 2];
    const int layers = widths(o, width);
    glia_model *model = glia_model_create("policy", error);
    if (!model) return NULL;
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(o->inputs)), features = x;
    for (int l = 0; l < layers; l++) {
        char name[32];
        snprintf(name, sizeof name, "dense%d", l + 1);
        features = x;
        x = glia_dense(x, name, (glia_dense_opts){ .units = width[l + 1], .activation = GLIA_TANH });
    }
    glia_model_output(model, "policy", x);
    glia_model_output(model, "features", features);
    if (fill_dense(model, width, layers, numbers, error) == GLIA_OK) return model;
    glia_model_free(model);
    return NULL;
}

const glia_policy_code glia_code_dense = { dense_numbers, decode_dense, dense_genome, dense_model, 0, NULL };

/* ---- grown nets --------------------------------------------------------------------------------------------- */

typedef struct developed {
    glia_grown *grown;
    glia_ndp_opts opts;
    int inputs, outputs;
    double *values;
} developed;

static int ndp_numbers(const glia_encoding_opts *o) { return glia_ndp_parameters(o->ndp); }

static void reset_grown(void *net, uint64_t seed) {
    developed *d = net;
    (void)seed;
    memset(d->values, 0, (size_t)d->grown->n * sizeof *d->values);
}

static void act_grown(void *net, const double *x, double *y) {
    developed *d = net;
    glia_grown_run(d->grown, d->opts, d->values, x, d->inputs, y, d->outputs);
}

static void free_grown(void *net) {
    developed *d = net;
    glia_grown_free(d->grown);
    free(d->values);
    free(d);
}

static glia_status decode_ndp(const double *numbers, const glia_encoding_opts *o, glia_policy *policy,
                              glia_error *error) {
    enum { NEVER = -10000 };
    glia_error reason = { 0 };
    developed *d = calloc(1, sizeof *d);
    *policy = (glia_policy){ .net = d, .reset = reset_grown, .act = act_grown, .free = free_grown };
    if (!d) return glia_fail_nomem(error);
    d->opts = o->ndp;
    d->inputs = o->inputs;
    d->outputs = o->outputs;
    d->grown = glia_ndp_grow(numbers, glia_ndp_parameters(o->ndp), o->ndp, &reason);
    d->values = d->grown ? calloc((size_t)d->grown->n, sizeof *d->values) : NULL;
    if (d->values) {
        if (d->grown->n < o->inputs + o->outputs) policy->lack = NEVER + d->grown->n;
        return GLIA_OK;
    }
    glia_policy_free(policy);
    return reason.status ? glia_fail(error, reason.status, "%s", reason.message) : glia_fail_nomem(error);
}

/* The model of one act: x and the values of the step before -> policy and the next values, by the product with the
 * grown matrix, repeated. */
static glia_model *ndp_model(const double *numbers, const glia_encoding_opts *o, glia_error *error) {
    glia_ndp_opts opts = o->ndp;
    glia_grown *g = glia_ndp_grow(numbers, glia_ndp_parameters(o->ndp), o->ndp, error);
    glia_model *model = g ? glia_model_create("grown", error) : NULL;
    if (!model) {
        glia_grown_free(g);
        return NULL;
    }
    glia_ndp_fill_in(&opts);
    const int n = g->n, inputs = GLIA_MIN(o->inputs, n - 1), outputs = GLIA_MIN(o->outputs, n);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(o->inputs));
    glia_tensor v = glia_model_input(model, "state", GLIA_F32, GLIA_SHAPE(n)), seen = x;
    if (inputs < o->inputs) seen = glia_slice(x, GLIA_SHAPE(0, 0), GLIA_SHAPE(GLIA_BATCH, inputs), GLIA_SCALAR);
    const glia_dense_opts product = { .units = n, .activation = GLIA_TANH, .no_bias = true };
    for (int t = 0; t <= g->diameter + opts.rollout_steps; t++) {
        glia_tensor held[2] = { seen, glia_slice(v, GLIA_SHAPE(0, inputs), GLIA_SHAPE(GLIA_BATCH, n), GLIA_SCALAR) };
        v = glia_concat(held, 2, 1);
        if (t < g->diameter + opts.rollout_steps) v = glia_dense(v, "grown", product);
    }
    glia_model_output(model, "policy",
                      glia_slice(v, GLIA_SHAPE(0, n - outputs), GLIA_SHAPE(GLIA_BATCH, n), GLIA_SCALAR));
    glia_model_output(model, "next", v);
    glia_status status = glia_model_init(model, 0, error);
    if (status == GLIA_OK && !glia_policy_put(model, "grown", "kernel", g->weights)) /* symmetric: no transposition */
        status = glia_fail(error, GLIA_E_INTERNAL, "the grown layer is missing");
    glia_grown_free(g);
    if (status == GLIA_OK) return model;
    glia_model_free(model);
    return NULL;
}

/* The graph after each cycle. */
static glia_status portray_ndp(const double *numbers, const glia_encoding_opts *o, const glia_stage *stage, char **text,
                               char **svg, glia_error *error) {
    glia_error reason = { 0 };
    glia_text told = { 0 };
    glia_film film = { .n = 0 };
    (void)stage;
    glia_grown *g = glia_ndp_grow(numbers, glia_ndp_parameters(o->ndp), o->ndp, &reason);
    const int skip = g ? GLIA_MAX(g->cycles + 1 - GLIA_FILM, 0) : 0;
    for (int i = 0; g && i <= g->cycles; i++) {
        glia_text_printf(&told, "%d nodes\n", g->sizes[i]);
        if (i >= skip) glia_film_add(&film, glia_grown_svg(g, i, &reason));
    }
    if (g) glia_text_printf(&told, "%d edges\n", glia_grown_edges(g));
    glia_grown_free(g);
    *text = told.bytes;
    *svg = glia_film_end(&film, &reason);
    if (g && *svg && !told.failed) return GLIA_OK;
    free(*text);
    free(*svg);
    return reason.status ? glia_fail(error, reason.status, "%s", reason.message) : glia_fail_nomem(error);
}

const glia_policy_code glia_code_ndp = { ndp_numbers, decode_ndp, NULL, ndp_model, 1, portray_ndp };
