/* convert.c - a trained net with relu as integrate-and-fire units (Diehl et al. 2015, Rueckauer et al. 2017).
 *
 * The graph is cut at each relu: stage k computes what layer k is given from the activations of the layer before. A
 * unit's membrane after t steps is what it was given so far less its spikes' thresholds,
 *
 *     u(t) = sum over s <= t of f(spikes(s)) - threshold count(t),      a spike where u >= threshold
 *
 * and it begins at half a threshold. Layers between two relus are affine or max pooling of what units have fired so
 * far, so the sum is t f(mean of the spikes up to t): one call of the stage for each step, with rates in place of
 * spikes.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "glia/spiking.h"
#include "train/model/model.h"

enum { MOST_STAGES = 64, AT_ONCE = 64 };

typedef struct stage {
    glia_tensor y;
    glia_function *run;
    char input[24];
    glia_shape in;   /* of its input, with a number in the place of the batch */
    int64_t units;   /* results for one sample */
    float threshold; /* of the units behind it; the last stage has none */
    int32_t *counts; /* (AT_ONCE, units) */
    float *rates;    /* (AT_ONCE, units) */
} stage;

struct glia_converted {
    glia_graph *graph;
    glia_backend *backend;
    stage stages[MOST_STAGES];
    int n;
};

void glia_converted_free(glia_converted *c) {
    if (!c) return;
    for (int k = 0; k < c->n; k++) {
        glia_function_free(c->stages[k].run);
        free(c->stages[k].counts);
        free(c->stages[k].rates);
    }
    glia_backend_close(c->backend);
    glia_graph_free(c->graph);
    free(c);
}

/* ---- cutting ---------------------------------------------------------------------------------------- */

/* Stage k: y as a function of `before` (NULL: of the model's own input). */
static glia_status add_stage(glia_converted *c, glia_tensor y, glia_tensor before, glia_tensor input,
                             glia_error *error) {
    stage *s = &c->stages[c->n];
    if (before) {
        glia_tensor cut = NULL;
        snprintf(s->input, sizeof s->input, "stage%d", c->n);
        input = glia_input(c->graph, s->input, GLIA_F32, before->shape);
        glia_substitute(&y, 1, &before, &input, 1, &cut);
        y = cut;
    } else {
        snprintf(s->input, sizeof s->input, "%.23s", glia_leaf_of(input)->name);
    }
    glia_status status = glia_graph_check(c->graph, error);
    if (status != GLIA_OK) return status;
    s->y = y;
    s->in = input->shape;
    s->units = glia_shape_count(y->shape) / y->shape.dim[0];
    c->n++;
    return GLIA_OK;
}

static glia_status cut(glia_converted *c, glia_error *error) {
    const glia_graph *g = c->graph;
    glia_tensor before = NULL, input = NULL, output = g->outputs[0].node;
    const int n_nodes = g->n_nodes;
    glia_status status = GLIA_OK;
    for (int i = 0; i < n_nodes && !input; i++) {
        if (glia_is_input(g->nodes[i])) input = g->nodes[i];
    }
    if (!input || input->dtype != GLIA_F32)
        return glia_fail(error, GLIA_E_UNSUPPORTED, "conversion needs a model with an f32 input");
    for (int i = 0; i < n_nodes && status == GLIA_OK; i++) {
        glia_node *node = g->nodes[i];
        if (node->op != &glia_op_relu) continue;
        if (c->n + 1 >= MOST_STAGES)
            return glia_fail(error, GLIA_E_UNSUPPORTED, "conversion: more than %d layers", MOST_STAGES - 2);
        status = add_stage(c, node->in[0], before, input, error);
        before = node;
    }
    if (status == GLIA_OK && !before)
        return glia_fail(error, GLIA_E_UNSUPPORTED, "conversion: the model has no relu whose units could spike");
    return status == GLIA_OK ? add_stage(c, output, before, input, error) : status;
}

static glia_status make_functions(glia_converted *c, glia_model *model, glia_error *error) {
    for (int k = 0; k < c->n; k++) {
        stage *s = &c->stages[k];
        const glia_function_opts opts = { .outputs = &s->y, .n_outputs = 1, .mode = GLIA_INFER };
        glia_error reason = { 0 };
        s->run = glia_function_create(c->graph, c->backend, model->store, opts, &reason);
        s->counts = malloc((size_t)(AT_ONCE * s->units) * sizeof *s->counts);
        s->rates = malloc((size_t)(AT_ONCE * s->units) * sizeof *s->rates);
        if (!s->run) return glia_fail(error, reason.status, "%s", reason.message);
        if (!s->counts || !s->rates) return glia_fail_nomem(error);
    }
    return GLIA_OK;
}

/* ---- running ---------------------------------------------------------------------------------------- */

static glia_status call(const stage *s, const float *x, int64_t n, const float **y, glia_error *error) {
    glia_array out, in = { .name = s->input, .dtype = GLIA_F32, .shape = s->in, .data = (void *)(uintptr_t)x };
    in.shape.dim[0] = n;
    glia_status status = glia_function_call(s->run, &in, 1, &out, error);
    if (status == GLIA_OK) *y = out.data;
    return status;
}

/* Spikes of a layer's units at step t (from 1), which have been given `given` on average. */
static int64_t fire(const stage *s, const float *given, int64_t n, int64_t t) {
    int64_t spikes = 0;
    const float steps = (float)t, theta = s->threshold;
    for (int64_t i = 0; i < n * s->units; i++) {
        const bool fires = steps * given[i] + theta / 2 - theta * (float)s->counts[i] >= theta;
        s->counts[i] += fires;
        spikes += fires;
        s->rates[i] = theta * (float)s->counts[i] / steps;
    }
    return spikes;
}

glia_status glia_converted_run(glia_converted *c, const float *x, int64_t n, int64_t steps, float *outputs,
                               int64_t *spikes, glia_error *error) {
    if (!c) return glia_fail_null(error, "converted");
    if (!x) return glia_fail_null(error, "x");
    if (!outputs) return glia_fail_null(error, "outputs");
    if (n < 0 || steps < 1)
        return glia_fail(error, GLIA_E_ARGUMENT, "conversion: %lld samples, %lld steps", (long long)n,
                         (long long)steps);
    const stage *first = &c->stages[0], *last = &c->stages[c->n - 1];
    const int64_t numbers = glia_shape_count(first->in) / first->in.dim[0];
    int64_t all = 0;
    glia_status status = GLIA_OK;
    for (int64_t at = 0; at < n && status == GLIA_OK; at += AT_ONCE) {
        const int64_t some = GLIA_MIN(n - at, (int64_t)AT_ONCE);
        const float *y = NULL;
        for (int k = 0; k + 1 < c->n; k++)
            memset(c->stages[k].counts, 0, (size_t)(some * c->stages[k].units) * sizeof(int32_t));
        for (int64_t t = 1; t <= steps && status == GLIA_OK; t++) {
            for (int k = 0; k + 1 < c->n && status == GLIA_OK; k++) {
                const float *from = k ? c->stages[k - 1].rates : x + at * numbers;
                status = call(&c->stages[k], from, some, &y, error);
                if (status == GLIA_OK) all += fire(&c->stages[k], y, some, t);
            }
        }
        if (status == GLIA_OK) status = call(last, c->stages[c->n - 2].rates, some, &y, error);
        if (status == GLIA_OK) memcpy(outputs + at * last->units, y, (size_t)(some * last->units) * sizeof *y);
    }
    if (spikes) *spikes = all;
    return status;
}

/* ---- thresholds ------------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b) {
    const float p = *(const float *)a, q = *(const float *)b;
    return (p > q) - (p < q);
}

/* The percentile of the n values; they are sorted. */
static float percentile_of(float *values, int64_t n, double percentile) {
    qsort(values, (size_t)n, sizeof *values, by_size);
    const float most = values[(int64_t)ceil(percentile / 100 * (double)n) - 1];
    return most > 0 ? most : values[n - 1] > 0 ? values[n - 1] : 1;
}

/* Runs the ordinary net over the samples, layer by layer. */
static glia_status balance(glia_converted *c, float *x, int64_t n, double percentile, glia_error *error) {
    float *from = x;
    glia_status status = GLIA_OK;
    for (int k = 0; k + 1 < c->n && status == GLIA_OK; k++) {
        stage *s = &c->stages[k];
        const int64_t numbers = glia_shape_count(s->in) / s->in.dim[0];
        float *to = malloc((size_t)(2 * n * s->units) * sizeof *to);
        if (!to) status = glia_fail_nomem(error);
        for (int64_t at = 0; at < n && status == GLIA_OK; at += AT_ONCE) {
            const int64_t some = GLIA_MIN(n - at, (int64_t)AT_ONCE);
            const float *y = NULL;
            status = call(s, from + at * numbers, some, &y, error);
            for (int64_t i = 0; y && i < some * s->units; i++) to[at * s->units + i] = fmaxf(y[i], 0);
        }
        if (status == GLIA_OK) {
            float *sorted = to + n * s->units;
            memcpy(sorted, to, (size_t)(n * s->units) * sizeof *to);
            s->threshold = percentile_of(sorted, n * s->units, percentile);
        }
        if (from != x) free(from);
        from = to ? to : x;
    }
    if (from != x) free(from);
    return status;
}

static glia_status balance_on(glia_converted *c, const glia_dataset *data, const glia_convert_opts *o,
                              glia_error *error) {
    const int64_t numbers = glia_shape_count(c->stages[0].in) / c->stages[0].in.dim[0];
    const int64_t n = GLIA_MIN(o->samples > 0 ? o->samples : 256, glia_data_count(data));
    const double percentile = glia_option(o->percentile, 99.9);
    if (!(percentile > 0 && percentile <= 100) || n < 1)
        return glia_fail(error, GLIA_E_ARGUMENT, "conversion: percentile %g of %lld samples", percentile, (long long)n);
    if (glia_shape_count(glia_data_x_shape(data)) != numbers)
        return glia_fail(error, GLIA_E_SHAPE, "conversion: the data '%s' do not fit the model's input",
                         glia_data_name(data));
    float *x = malloc((size_t)(n * numbers) * sizeof *x);
    if (!x) return glia_fail_nomem(error);
    glia_status status = GLIA_OK;
    for (int64_t i = 0; i < n && status == GLIA_OK; i++)
        status = glia_data_get(data, i * glia_data_count(data) / n, x + i * numbers, NULL, error);
    if (status == GLIA_OK) status = balance(c, x, n, percentile, error);
    free(x);
    return status;
}

glia_converted *glia_convert_to_spiking(glia_model *model, const glia_dataset *data, glia_convert_opts opts,
                                        glia_error *error) {
    glia_error reason = { 0 };
    if (!model || !data) {
        glia_fail_null(error, model ? "data" : "model");
        return NULL;
    }
    glia_converted *c = calloc(1, sizeof *c);
    glia_status status = c ? glia_model_ready(model, 0, &reason) : glia_fail_nomem(&reason);
    if (status == GLIA_OK) c->graph = glia_graph_rewrite(model->graph, NULL, NULL, NULL, true, &reason);
    if (status == GLIA_OK && c->graph && c->graph->n_outputs < 1)
        status = glia_fail(&reason, GLIA_E_ARGUMENT, "conversion: the model has no output");
    if (status == GLIA_OK && c->graph) c->backend = glia_backend_open("cpu", opts.threads, &reason);
    if (status == GLIA_OK && (!c->graph || !c->backend)) status = reason.status;
    if (status == GLIA_OK) status = cut(c, &reason);
    if (status == GLIA_OK) status = make_functions(c, model, &reason);
    if (status == GLIA_OK) status = balance_on(c, data, &opts, &reason);
    if (status == GLIA_OK) return c;
    glia_converted_free(c);
    glia_fail(error, status, "%s", reason.message);
    return NULL;
}
