/* integrated.c - integrated gradients, and expected gradients (SHAP's gradient explainer).
 *
 *     integrated   (x - b) * integral over a in [0, 1] of gradient(b + a (x - b)), by Gauss and Legendre's rule,
 *                  averaged over the baselines b. Its values sum to f(x) - f(b); what lacks is the convergence delta,
 *                  and the number of points is doubled until that is small enough.
 *     expected     the mean of (x - b) * gradient(b + a (x - b)) over random b of the background and uniform a
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/explain/explain.h"

typedef struct path {
    const char *layer;
    glia_point point;
    int64_t steps, most;
    double tolerance;
    /* of one explanation */
    const float *x;
    int output;
    float *at, *baselines; /* (size), (n_background, size) */
    float *points;         /* (2 rows, size): points and gradients */
    double *values;        /* (size) */
} path;

static const glia_setting integrated_settings[] = {
    GLIA_LAYER_SETTING(path),
    { "steps", GLIA_SETTING_INT, offsetof(path, steps), 50, 1, 1000000, NULL, "points of the first quadrature" },
    { "most", GLIA_SETTING_INT, offsetof(path, most), 1600, 1, 1000000, NULL, "points of the last one at most" },
    { "tolerance", GLIA_SETTING_REAL, offsetof(path, tolerance), 0.001, 0, 1, NULL,
      "largest convergence delta, as a share of the difference of scores; 0: one quadrature" },
};

static const glia_setting expected_settings[] = {
    GLIA_LAYER_SETTING(path),
    { "samples", GLIA_SETTING_INT, offsetof(path, steps), 200, 2, 1000000, NULL, "gradients in a round" },
    { "most", GLIA_SETTING_INT, offsetof(path, most), 20000, 2, 100000000, NULL, "gradients at most" },
    { "tolerance", GLIA_SETTING_REAL, offsetof(path, tolerance), 0.02, 0, 1, NULL,
      "largest standard error, as a share of the largest value; 0: one round" },
};

static glia_status begin(glia_explainer *e, glia_error *error) {
    path *m = e->memory;
    glia_status status = glia_point_begin(e, m->layer, &m->point, error);
    return status == GLIA_OK ? glia_point_compile(e, &m->point, error) : status;
}

static void end(glia_explainer *e) { glia_point_end(&((path *)e->memory)->point); }

static void release(path *m) {
    free(m->at);
    free(m->baselines);
    free(m->points);
    free(m->values);
    m->at = m->baselines = m->points = NULL;
    m->values = NULL;
}

/* Memory for an explanation, the points of x and of the background, and the score and base. */
static glia_status prepare(glia_explainer *e, const float *x, int output, bool errors, glia_explanation *out,
                           glia_error *error) {
    path *m = e->memory;
    glia_point *p = &m->point;
    const size_t size = (size_t)p->size, n = (size_t)e->n_background;
    m->x = x;
    m->output = output;
    m->at = malloc(size * sizeof *m->at);
    m->baselines = malloc(n * size * sizeof *m->baselines);
    m->points = malloc(2 * (size_t)p->rows * size * sizeof *m->points);
    m->values = calloc(size, sizeof *m->values);
    const bool all = m->at && m->baselines && m->points && m->values;
    glia_status status =
        all ? glia_explanation_start(out, glia_point_values(p), errors, error) : glia_fail_nomem(error);
    if (status == GLIA_OK) status = glia_point_embed(e, p, x, 1, m->at, error);
    if (status == GLIA_OK) status = glia_point_embed(e, p, e->background, e->n_background, m->baselines, error);
    float *gradient = m->points;
    if (status == GLIA_OK) {
        status = glia_point_gradient(e, p, x, m->at, 1, output, &out->output_value, gradient, error);
    }
    out->base_value = 0;
    for (int64_t b = 0; b < e->n_background && status == GLIA_OK; b++) {
        double score;
        status = glia_point_gradient(e, p, x, m->baselines + b * p->size, 1, output, &score, gradient, error);
        out->base_value += score / (double)e->n_background;
    }
    return status;
}

/* The point between a baseline and x. */
static void between(const path *m, const float *b, double share, float *to) {
    for (int64_t i = 0; i < m->point.size; i++) {
        to[i] = (float)((double)b[i] + share * ((double)m->at[i] - (double)b[i]));
    }
}

/* ---- integrated ------------------------------------------------------------------------------- */

/* Points and weights on [0, 1] of the rule of n points, whose points are roots of Legendre's polynomial P_n. */
static void gauss_legendre(int64_t n, double *at, double *weight) {
    for (int64_t i = 0; i < n; i++) {
        double z = cos(acos(-1.0) * ((double)i + 0.75) / ((double)n + 0.5)), slope = 1;
        for (int round = 0; round < 100; round++) {
            double p = 1, before = 0;
            for (int64_t k = 0; k < n; k++) {
                const double next = ((2 * (double)k + 1) * z * p - (double)k * before) / ((double)k + 1);
                before = p;
                p = next;
            }
            slope = (double)n * (z * p - before) / (z * z - 1);
            const double step = p / slope;
            z -= step;
            if (fabs(step) < 1e-15) break;
        }
        at[n - 1 - i] = 0.5 * (1 + z);
        weight[n - 1 - i] = 1 / ((1 - z * z) * slope * slope);
    }
}

/* Adds the quadrature for one baseline to m->values. */
static glia_status integrate(glia_explainer *e, const float *b, const double *share, const double *weight, int64_t n,
                             glia_error *error) {
    path *m = e->memory;
    glia_point *p = &m->point;
    for (int64_t first = 0; first < n; first += p->rows) {
        const int64_t count = GLIA_MIN(p->rows, n - first);
        float *gradients = m->points + p->rows * p->size;
        for (int64_t k = 0; k < count; k++) between(m, b, share[first + k], m->points + k * p->size);
        glia_status status = glia_point_gradient(e, p, m->x, m->points, count, m->output, NULL, gradients, error);
        if (status != GLIA_OK) return status;
        for (int64_t i = 0; i < p->size; i++) {
            double sum = 0;
            for (int64_t k = 0; k < count; k++) sum += weight[first + k] * (double)gradients[k * p->size + i];
            m->values[i] += sum * ((double)m->at[i] - (double)b[i]) / (double)e->n_background;
        }
    }
    return GLIA_OK;
}

static glia_status quadrature(glia_explainer *e, int64_t steps, glia_explanation *out, glia_error *error) {
    path *m = e->memory;
    double *share = malloc(2 * (size_t)steps * sizeof *share);
    if (!share) return glia_fail_nomem(error);
    gauss_legendre(steps, share, share + steps);
    memset(m->values, 0, (size_t)m->point.size * sizeof *m->values);
    glia_status status = GLIA_OK;
    for (int64_t b = 0; b < e->n_background && status == GLIA_OK; b++) {
        status = integrate(e, m->baselines + b * m->point.size, share, share + steps, steps, error);
    }
    free(share);
    memset(out->values, 0, (size_t)out->n * sizeof *out->values);
    glia_point_add(&m->point, m->values, out->values);
    glia_explanation_finish(out);
    out->error = fabs(out->residual);
    return status;
}

static glia_status run_integrated(glia_explainer *e, const float *x, int output, glia_explanation *out,
                                  glia_error *error) {
    path *m = e->memory;
    glia_status status = prepare(e, x, output, false, out, error);
    for (int64_t steps = m->steps; status == GLIA_OK; steps *= 2) {
        status = quadrature(e, steps, out, error);
        out->converged = m->tolerance == 0 || out->error <= m->tolerance * fabs(out->output_value - out->base_value);
        if (out->converged || 2 * steps > m->most) break;
    }
    release(m);
    return status;
}

/* ---- expected --------------------------------------------------------------------------------- */

/* Adds one draw to the sums (places) and sums of squares. */
static void add_draw(path *m, const float *b, const float *gradient, double *sums, double *draw) {
    const int64_t places = glia_shape_count(glia_point_values(&m->point));
    for (int64_t i = 0; i < m->point.size; i++) {
        m->values[i] = ((double)m->at[i] - (double)b[i]) * (double)gradient[i];
    }
    memset(draw, 0, (size_t)places * sizeof *draw);
    glia_point_add(&m->point, m->values, draw);
    for (int64_t i = 0; i < places; i++) sums[i] += draw[i], sums[places + i] += draw[i] * draw[i];
}

/* Draws from `done` on up to `end`. Baselines come in turn, so that each counts equally. */
static glia_status draw_round(glia_explainer *e, int64_t done, int64_t end_at, double *sums, double *draw,
                              glia_error *error) {
    path *m = e->memory;
    glia_point *p = &m->point;
    while (done < end_at) {
        const int64_t n = GLIA_MIN(p->rows, end_at - done);
        for (int64_t k = 0; k < n; k++) {
            glia_rng rng = glia_explain_rng(e, (uint64_t)(done + k));
            between(m, m->baselines + (done + k) % e->n_background * p->size, glia_rng_uniform(&rng),
                    m->points + k * p->size);
        }
        float *gradients = m->points + p->rows * p->size;
        glia_status status = glia_point_gradient(e, p, m->x, m->points, n, m->output, NULL, gradients, error);
        if (status != GLIA_OK) return status;
        for (int64_t k = 0; k < n; k++) {
            add_draw(m, m->baselines + (done + k) % e->n_background * p->size, gradients + k * p->size, sums, draw);
        }
        done += n;
    }
    return GLIA_OK;
}

static glia_status run_expected(glia_explainer *e, const float *x, int output, glia_explanation *out,
                                glia_error *error) {
    path *m = e->memory;
    const int64_t places = glia_shape_count(glia_point_values(&m->point));
    double *sums = calloc(3 * (size_t)places, sizeof *sums);
    glia_status status = sums ? prepare(e, x, output, true, out, error) : glia_fail_nomem(error);
    const int64_t round = GLIA_MAX(m->steps, e->n_background) / e->n_background * e->n_background;
    for (int64_t n = round; status == GLIA_OK; n += round) {
        status = draw_round(e, n - round, n, sums, sums + 2 * places, error);
        for (int64_t i = 0; i < places; i++) {
            const double mean = sums[i] / (double)n, square = sums[places + i] / (double)n;
            out->values[i] = mean;
            out->errors[i] = n > 1 ? sqrt(fmax(square - mean * mean, 0) / (double)(n - 1)) : INFINITY;
        }
        out->converged = glia_within(out->errors, out->values, out->n, m->tolerance);
        if (out->converged || n + round > m->most) break;
    }
    if (status == GLIA_OK) glia_explanation_finish(out);
    release(m);
    free(sums);
    return status;
}

const glia_explain_method glia_explain_integrated_gradients = {
    .about = { .name = "integrated-gradients",
               .summary = "gradients along the way from a baseline, times the way",
               .paper = "Sundararajan et al. 2017",
               .settings = integrated_settings,
               .n_settings = GLIA_COUNT(integrated_settings) },
    .bytes = sizeof(path),
    .uses = GLIA_EXPLAIN_MODEL | GLIA_EXPLAIN_BACKGROUND,
    .begin = begin,
    .run = run_integrated,
    .end = end,
};

const glia_explain_method glia_explain_gradient_shap = {
    .about = { .name = "gradient-shap",
               .summary = "expected gradients: at random points between the background and the sample",
               .paper = "Erion et al. 2021",
               .settings = expected_settings,
               .n_settings = GLIA_COUNT(expected_settings) },
    .bytes = sizeof(path),
    .uses = GLIA_EXPLAIN_MODEL | GLIA_EXPLAIN_BACKGROUND,
    .begin = begin,
    .run = run_expected,
    .end = end,
};
