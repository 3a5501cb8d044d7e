/* gradients.c - saliency, gradient x input, SmoothGrad, guided backpropagation: gradients of the score as they are.
 *
 * Guided backpropagation passes a gradient through a relu only where it and the relu's input are positive. As a graph:
 * from the last relu r = relu(a) to the first, with g = d score / d r in the graph so far,
 *
 *     r becomes custom_gradient(r, a, [a > 0] [g > 0])
 *
 * so that g, which a later product turns into g [a > 0] [g > 0], is what the rule asks for. Values stay the same, and
 * the repeated forward nodes are merged when the program is compiled.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/explain/explain.h"

typedef struct plain {
    const char *layer;
    glia_point point;
} plain;

static const glia_setting plain_settings[] = { GLIA_LAYER_SETTING(plain) };

static glia_status begin_plain(glia_explainer *e, glia_error *error) {
    plain *m = e->memory;
    glia_status status = glia_point_begin(e, m->layer, &m->point, error);
    return status == GLIA_OK ? glia_point_compile(e, &m->point, error) : status;
}

static void end_plain(glia_explainer *e) { glia_point_end(&((plain *)e->memory)->point); }

/* at and its gradient (size) in one allocation: *at, *gradient. */
static glia_status gradient_of(glia_explainer *e, glia_point *p, const float *x, int output, float **at,
                               float **gradient, double *score, glia_error *error) {
    *at = malloc(2 * (size_t)p->size * sizeof **at);
    if (!*at) return glia_fail_nomem(error);
    *gradient = *at + p->size;
    glia_status status = glia_point_embed(e, p, x, 1, *at, error);
    if (status == GLIA_OK) status = glia_point_gradient(e, p, x, *at, 1, output, score, *gradient, error);
    if (status != GLIA_OK) free(*at);
    return status;
}

/* What an element of the result is of x and its gradient. */
typedef double (*combine)(double x, double gradient);
static double absolute(double x, double gradient) { return (void)x, fabs(gradient); }
static double product(double x, double gradient) { return x * gradient; }
static double itself(double x, double gradient) { return (void)x, gradient; }

static glia_status run_combined(glia_explainer *e, const float *x, int output, combine f, glia_explanation *out,
                                glia_error *error) {
    glia_point *p = &((plain *)e->memory)->point;
    float *at, *gradient;
    double score, *values = malloc((size_t)p->size * sizeof *values);
    glia_status status = values ? gradient_of(e, p, x, output, &at, &gradient, &score, error) : glia_fail_nomem(error);
    if (status != GLIA_OK) {
        free(values);
        return status;
    }
    for (int64_t i = 0; i < p->size; i++) values[i] = f((double)at[i], (double)gradient[i]);
    status = glia_explanation_start(out, glia_point_values(p), false, error);
    if (status == GLIA_OK) {
        glia_point_add(p, values, out->values);
        out->output_value = score;
    }
    free(values);
    free(at);
    return status;
}

static glia_status run_saliency(glia_explainer *e, const float *x, int output, glia_explanation *out,
                                glia_error *error) {
    return run_combined(e, x, output, absolute, out, error);
}

static glia_status run_guided(glia_explainer *e, const float *x, int output, glia_explanation *out, glia_error *error) {
    return run_combined(e, x, output, itself, out, error);
}

/* The first term of a Taylor series around zero, so the base is the score at zero. */
static glia_status run_product(glia_explainer *e, const float *x, int output, glia_explanation *out,
                               glia_error *error) {
    glia_point *p = &((plain *)e->memory)->point;
    glia_status status = run_combined(e, x, output, product, out, error);
    float *zero = status == GLIA_OK ? calloc(2 * (size_t)p->size, sizeof *zero) : NULL;
    if (status != GLIA_OK) return status;
    if (!zero) return glia_fail_nomem(error);
    status = glia_point_gradient(e, p, x, zero, 1, output, &out->base_value, zero + p->size, error);
    if (status == GLIA_OK) glia_explanation_finish(out);
    free(zero);
    return status;
}

/* ---- guided backpropagation ------------------------------------------------------------------- */

static bool is_live_relu(const bool *live, const glia_node *n) { return live[n->id] && !strcmp(n->op->name, "relu"); }

static glia_status guide(glia_point *p, glia_error *error) {
    glia_graph *graph = p->graph;
    const int last = p->score->id;
    bool *live = glia_live_of(p->score);
    if (!live) return glia_fail_nomem(error);
    int guided = 0;
    for (int id = last; id >= 0 && graph->error.status == GLIA_OK; id--) {
        if (!is_live_relu(live, graph->nodes[id])) continue;
        glia_tensor r = graph->nodes[id], a = r->in[0], g;
        glia_grad(p->score, &r, 1, &g);
        glia_tensor zero = glia_like(a, 0), passes = glia_and(glia_greater(a, zero), glia_greater(g, zero));
        glia_tensor ruled = glia_custom_gradient(r, a, glia_cast(passes, a->dtype));
        glia_tensor before = p->score;
        glia_substitute(&before, 1, &r, &ruled, 1, &p->score);
        guided++;
    }
    free(live);
    glia_status status = glia_graph_check(graph, error);
    if (status != GLIA_OK || guided) return status;
    return glia_fail(error, GLIA_E_UNSUPPORTED, "explain: guided-backprop changes relus, and the model has none");
}

static glia_status begin_guided(glia_explainer *e, glia_error *error) {
    plain *m = e->memory;
    glia_status status = glia_point_begin(e, m->layer, &m->point, error);
    if (status == GLIA_OK) status = guide(&m->point, error);
    return status == GLIA_OK ? glia_point_compile(e, &m->point, error) : status;
}

/* ---- SmoothGrad ------------------------------------------------------------------------------- */

typedef struct smooth {
    const char *layer;
    glia_point point;
    double noise, tolerance;
    int64_t samples, most;
    int kind; /* mean of: */
} smooth;
enum { SIGNED, ABSOLUTE, SQUARED };

static const glia_setting smooth_settings[] = {
    GLIA_LAYER_SETTING(smooth),
    { "noise", GLIA_SETTING_REAL, offsetof(smooth, noise), 0.15, 1e-6, 100, NULL,
      "standard deviation of the noise, as a share of the sample's range" },
    { "samples", GLIA_SETTING_INT, offsetof(smooth, samples), 50, 2, 1000000, NULL, "gradients in a round" },
    { "most", GLIA_SETTING_INT, offsetof(smooth, most), 2000, 2, 100000000, NULL, "gradients at most" },
    { "tolerance", GLIA_SETTING_REAL, offsetof(smooth, tolerance), 0.05, 0, 1, NULL,
      "largest standard error, as a share of the largest value; 0: one round" },
    { "kind", GLIA_SETTING_CHOICE, offsetof(smooth, kind), SIGNED, 0, 0, "signed|absolute|squared",
      "the mean of the gradients, of their sizes or of their squares" },
};

static glia_status begin_smooth(glia_explainer *e, glia_error *error) {
    smooth *m = e->memory;
    glia_status status = glia_point_begin(e, m->layer, &m->point, error);
    return status == GLIA_OK ? glia_point_compile(e, &m->point, error) : status;
}

static void end_smooth(glia_explainer *e) { glia_point_end(&((smooth *)e->memory)->point); }

/* Sums of values and of their squares over draws. */
typedef struct moments {
    double *sum, *square;
    int64_t n;
} moments;

static void add_gradient(const smooth *m, const float *gradient, double *scratch, moments *total) {
    const glia_point *p = &m->point;
    const int64_t places = glia_shape_count(glia_point_values(p));
    double *values = scratch + p->size;
    memset(values, 0, (size_t)places * sizeof *values);
    for (int64_t i = 0; i < p->size; i++) {
        const double g = (double)gradient[i];
        scratch[i] = m->kind == SIGNED ? g : m->kind == ABSOLUTE ? fabs(g) : g * g;
    }
    glia_point_add(p, scratch, values);
    for (int64_t i = 0; i < places; i++) total->sum[i] += values[i], total->square[i] += values[i] * values[i];
    total->n++;
}

static void take_moments(const moments *m, glia_explanation *out) {
    const double n = (double)m->n;
    for (int64_t i = 0; i < out->n; i++) {
        out->values[i] = m->sum[i] / n;
        const double variance = fmax(m->square[i] / n - out->values[i] * out->values[i], 0) / (n - 1);
        out->errors[i] = sqrt(variance);
    }
}

static double deviation(const smooth *m, const float *at) {
    double least = (double)at[0], most = least;
    for (int64_t i = 0; i < m->point.size; i++) least = fmin(least, (double)at[i]), most = fmax(most, (double)at[i]);
    return m->noise * (most > least ? most - least : 1);
}

/* A round of gradients at noisy points. */
static glia_status smooth_round(glia_explainer *e, const float *x, const float *at, int output, float *points,
                                double *scratch, moments *total, glia_error *error) {
    smooth *m = e->memory;
    glia_point *p = &m->point;
    const double sigma = deviation(m, at);
    const int64_t end = GLIA_MIN(total->n + m->samples, GLIA_MAX(m->most, 2));
    while (total->n < end) {
        const int64_t n = GLIA_MIN(p->rows, end - total->n);
        for (int64_t k = 0; k < n; k++) {
            glia_rng rng = glia_explain_rng(e, (uint64_t)(total->n + k));
            glia_rng_normals(&rng, scratch, p->size);
            for (int64_t i = 0; i < p->size; i++) points[k * p->size + i] = (float)((double)at[i] + sigma * scratch[i]);
        }
        float *gradients = points + p->rows * p->size;
        glia_status status = glia_point_gradient(e, p, x, points, n, output, NULL, gradients, error);
        if (status != GLIA_OK) return status;
        for (int64_t k = 0; k < n; k++) add_gradient(m, gradients + k * p->size, scratch, total);
    }
    return GLIA_OK;
}

static glia_status run_smooth(glia_explainer *e, const float *x, int output, glia_explanation *out, glia_error *error) {
    smooth *m = e->memory;
    glia_point *p = &m->point;
    const int64_t places = glia_shape_count(glia_point_values(p));
    float *at = NULL, *gradient, *points = malloc(2 * (size_t)(p->rows * p->size) * sizeof *points);
    double *scratch = malloc((size_t)(p->size + places) * sizeof *scratch);
    double *sums = calloc(2 * (size_t)places, sizeof *sums);
    moments total = { .sum = sums, .square = sums ? sums + places : NULL };
    glia_status status = points && scratch && sums ? glia_explanation_start(out, glia_point_values(p), true, error)
                                                   : glia_fail_nomem(error);
    if (status == GLIA_OK) status = gradient_of(e, p, x, output, &at, &gradient, &out->output_value, error);
    const bool taken = status == GLIA_OK;
    do {
        if (status == GLIA_OK) status = smooth_round(e, x, at, output, points, scratch, &total, error);
        if (status == GLIA_OK) take_moments(&total, out);
        out->converged = status != GLIA_OK || glia_within(out->errors, out->values, out->n, m->tolerance);
    } while (!out->converged && total.n < m->most);
    if (status == GLIA_OK) glia_explanation_finish(out);
    if (taken) free(at);
    free(points);
    free(scratch);
    free(sums);
    return status;
}

/* ---- records ---------------------------------------------------------------------------------- */

const glia_explain_method glia_explain_saliency = {
    .about = { .name = "saliency",
               .summary = "the size of the gradient",
               .paper = "Simonyan et al. 2014",
               .settings = plain_settings,
               .n_settings = GLIA_COUNT(plain_settings) },
    .bytes = sizeof(plain),
    .uses = GLIA_EXPLAIN_MODEL,
    .begin = begin_plain,
    .run = run_saliency,
    .end = end_plain,
};

const glia_explain_method glia_explain_gradient_x_input = {
    .about = { .name = "gradient-x-input",
               .summary = "the gradient times the input",
               .paper = "Shrikumar et al. 2016",
               .settings = plain_settings,
               .n_settings = GLIA_COUNT(plain_settings) },
    .bytes = sizeof(plain),
    .uses = GLIA_EXPLAIN_MODEL,
    .begin = begin_plain,
    .run = run_product,
    .end = end_plain,
};

const glia_explain_method glia_explain_guided_backprop = {
    .about = { .name = "guided-backprop",
               .summary = "the gradient, with only positive ones passed back through relus",
               .paper = "Springenberg et al. 2015",
               .settings = plain_settings,
               .n_settings = GLIA_COUNT(plain_settings) },
    .bytes = sizeof(plain),
    .uses = GLIA_EXPLAIN_MODEL,
    .begin = begin_guided,
    .run = run_guided,
    .end = end_plain,
};

const glia_explain_method glia_explain_smoothgrad = {
    .about = { .name = "smoothgrad",
               .summary = "the mean gradient at noisy copies of the sample",
               .paper = "Smilkov et al. 2017",
               .settings = smooth_settings,
               .n_settings = GLIA_COUNT(smooth_settings) },
    .bytes = sizeof(smooth),
    .uses = GLIA_EXPLAIN_MODEL,
    .begin = begin_smooth,
    .run = run_smooth,
    .end = end_smooth,
};
