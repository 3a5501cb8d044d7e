/* lime.c - LIME (Ribeiro et al. 2016): a linear model of the score in the neighbourhood of a sample.
 *
 *     table     neighbours from the distribution of the background, columns in quartiles       (lime_table.c)
 *     picture   superpixels are hidden behind their mean colour, each with probability 1/2
 *     text      1 to all features are taken from the background instead of the sample: words are removed
 *
 * Neighbours weigh sqrt(exp(-distance^2 / width^2)); distances are Euclidean for tables, of cosines else, as in the
 * package lime, and so are the widths. Neighbours are drawn, twice as many each time, until the standard errors of the
 * weights are small enough.
 */
#include "deploy/explain/lime.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { AUTO, TABLE, PICTURE, TEXT };

typedef struct lime {
    /* settings */
    int kind, discretize;
    int64_t samples, most, features, segments;
    double tolerance, width, compactness;
    /* state */
    glia_lime_column *columns; /* of a table */
    /* of one explanation */
    int d; /* columns of z */
    const float *x;
    int output;
    int32_t *groups;        /* (size): of elements; NULL: a table, or an element is a feature */
    float *hidden;          /* (size): what is shown instead of a feature */
    double *z, *y, *weight; /* (capacity, d), (capacity), (capacity) */
    int64_t n, capacity;
    int *order; /* (d) */
    int *bins;  /* (d): those of x in a table with bins */
    glia_lime_scratch scratch;
} lime;

static const glia_setting settings[] = {
    { "kind", GLIA_SETTING_CHOICE, offsetof(lime, kind), AUTO, 0, 0, "auto|table|picture|text",
      "how neighbours are made; auto: by the sample" },
    { "samples", GLIA_SETTING_INT, offsetof(lime, samples), 0, 0, 10000000, NULL,
      "neighbours of the first round; 0: 5000, for pictures 1000" },
    { "most", GLIA_SETTING_INT, offsetof(lime, most), 40000, 2, 100000000, NULL, "neighbours at most" },
    { "tolerance", GLIA_SETTING_REAL, offsetof(lime, tolerance), 0.1, 0, 1, NULL,
      "largest standard error, as a share of the largest weight; 0: one round" },
    { "features", GLIA_SETTING_INT, offsetof(lime, features), 0, 0, 1000000, NULL,
      "features of the local model; 0: 10, for pictures all" },
    { "width", GLIA_SETTING_REAL, offsetof(lime, width), 0, 0, 1e6, NULL,
      "of the kernel; 0: 0.75 sqrt(columns), 0.25 for pictures, 25 for text" },
    { "discretize", GLIA_SETTING_CHOICE, offsetof(lime, discretize), 0, 0, 0, "quartile|none", "columns of a table" },
    { "segments", GLIA_SETTING_INT, offsetof(lime, segments), 50, 1, 100000, NULL, "superpixels of a picture" },
    { "compactness", GLIA_SETTING_REAL, offsetof(lime, compactness), 10, 0, 1e6, NULL, "of the superpixels" },
};

static bool takes_ids(const glia_explainer *e) { return e->input && glia_tensor_dtype(e->input) != GLIA_F32; }

static glia_status begin(glia_explainer *e, glia_error *error) {
    lime *m = e->memory;
    if (m->kind == AUTO) m->kind = e->sample.rank == 3 ? PICTURE : takes_ids(e) || e->groups ? TEXT : TABLE;
    if (m->kind == PICTURE && (e->sample.rank != 3 || e->sample.dim[0] > 3 || e->sample.dim[0] == 2)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "explain: lime takes pictures (1 or 3, H, W)");
    }
    if (m->samples == 0) m->samples = m->kind == PICTURE ? 1000 : 5000;
    m->samples = GLIA_MIN(GLIA_MAX(m->samples, 2), m->most);
    if (m->kind != TABLE) return GLIA_OK;
    if (e->groups) return glia_fail(error, GLIA_E_ARGUMENT, "explain: lime of a table has no groups");
    if (!e->given_background || e->n_background < 2) {
        return glia_fail(error, GLIA_E_ARGUMENT, "explain: lime of a table needs a background, of two samples or more");
    }
    m->columns = glia_lime_columns(e->background, e->n_background, e->size);
    return m->columns ? GLIA_OK : glia_fail_nomem(error);
}

static void end(glia_explainer *e) { free(((lime *)e->memory)->columns); }

/* ---- features of a sample --------------------------------------------------------------------- */

/* The mean of each feature in each channel. */
static glia_status mean_colours(const glia_explainer *e, lime *m, glia_error *error) {
    const int64_t plane = e->size / e->sample.dim[0];
    double *sum = calloc(2 * (size_t)m->d, sizeof *sum);
    if (!sum) return glia_fail_nomem(error);
    for (int64_t c = 0; c < e->sample.dim[0]; c++) {
        memset(sum, 0, 2 * (size_t)m->d * sizeof *sum);
        for (int64_t i = c * plane; i < (c + 1) * plane; i++) {
            if (m->groups[i] >= 0) sum[2 * m->groups[i]] += (double)m->x[i], sum[2 * m->groups[i] + 1]++;
        }
        for (int64_t i = c * plane; i < (c + 1) * plane; i++) {
            const int32_t k = m->groups[i];
            m->hidden[i] = k >= 0 ? (float)(sum[2 * k] / sum[2 * k + 1]) : m->x[i];
        }
    }
    free(sum);
    return GLIA_OK;
}

/* Superpixels of the picture, scaled to [0, 1] for the colours' sake. */
static glia_status superpixels(const glia_explainer *e, lime *m, glia_error *error) {
    const int64_t plane = e->size / e->sample.dim[0];
    float *unit = malloc((size_t)e->size * sizeof *unit), least = m->x[0], most = m->x[0];
    if (!unit) return glia_fail_nomem(error);
    for (int64_t i = 0; i < e->size; i++) least = fminf(least, m->x[i]), most = fmaxf(most, m->x[i]);
    for (int64_t i = 0; i < e->size; i++) unit[i] = most > least ? (m->x[i] - least) / (most - least) : 0;
    const glia_slic_opts o = { .segments = (int)m->segments,
                               .compactness = m->compactness == 0 ? GLIA_ZERO : m->compactness };
    glia_error reason = { 0 };
    m->d = glia_slic(unit, e->sample, o, m->groups, &reason);
    free(unit);
    if (m->d < 0) return glia_fail(error, reason.status, "%s", reason.message);
    for (int64_t i = plane; i < e->size; i++) m->groups[i] = m->groups[i % plane];
    return GLIA_OK;
}

static glia_status find_features(const glia_explainer *e, lime *m, glia_error *error) {
    m->d = (int)e->size;
    if (m->kind == TABLE) return GLIA_OK;
    m->groups = malloc((size_t)e->size * sizeof *m->groups);
    m->hidden = malloc((size_t)e->size * sizeof *m->hidden);
    if (!m->groups || !m->hidden) return glia_fail_nomem(error);
    glia_status status = GLIA_OK;
    for (int64_t i = 0; i < e->size; i++) m->groups[i] = e->groups ? e->groups[i] : (int32_t)i;
    if (e->groups) m->d = e->n_groups;
    if (m->kind == PICTURE && !e->groups) status = superpixels(e, m, error);
    memcpy(m->hidden, e->background, (size_t)e->size * sizeof *m->hidden);
    if (status == GLIA_OK && m->kind == PICTURE && !e->given_background) status = mean_colours(e, m, error);
    return status;
}

/* ---- neighbours ------------------------------------------------------------------------------- */

static void choose_shown(const lime *m, glia_rng *rng, double *z) {
    for (int k = 0; k < m->d; k++) z[k] = 1;
    if (m->kind == PICTURE) {
        for (int k = 0; k < m->d; k++) z[k] = glia_rng_uniform(rng) < 0.5 ? 0 : 1;
        return;
    }
    const int removed = 1 + (int)glia_rng_below(rng, (uint64_t)m->d);
    for (int k = 0; k < m->d; k++) m->order[k] = k;
    for (int k = 0; k < removed; k++) {
        const int other = k + (int)glia_rng_below(rng, (uint64_t)(m->d - k)), feature = m->order[other];
        m->order[other] = m->order[k];
        m->order[k] = feature;
        z[feature] = 0;
    }
}

/* Neighbour number i; 0 is the sample itself. */
static void draw_neighbour(const glia_explainer *e, lime *m, int64_t i, float *row) {
    double *z = m->z + i * m->d;
    glia_rng rng = glia_explain_rng(e, (uint64_t)i);
    if (m->kind == TABLE) {
        const bool bins = m->discretize == 0;
        if (i > 0) glia_lime_draw(m->columns, bins ? m->bins : NULL, e->size, &rng, row, z, &m->scratch);
        for (int64_t k = 0; i == 0 && k < e->size; k++) {
            const glia_lime_column *c = &m->columns[k];
            row[k] = m->x[k];
            z[k] = bins ? 1 : ((double)m->x[k] - c->whole_mean) / c->whole_stddev;
        }
        return;
    }
    for (int k = 0; i == 0 && k < m->d; k++) z[k] = 1;
    if (i > 0) choose_shown(m, &rng, z);
    for (int64_t k = 0; k < e->size; k++) {
        row[k] = m->groups[k] < 0 || z[m->groups[k]] > 0 ? m->x[k] : m->hidden[k];
    }
}

/* Of z to that of x; four sums, so that no addition waits for the last one. */
static double squared_distance(const lime *m, const double *z) {
    const double *of_x = m->z;
    double sum[4] = { 0 };
    int k = 0;
    for (; k + 4 <= m->d; k += 4) {
        for (int i = 0; i < 4; i++) sum[i] += (z[k + i] - of_x[k + i]) * (z[k + i] - of_x[k + i]);
    }
    for (; k < m->d; k++) sum[0] += (z[k] - of_x[k]) * (z[k] - of_x[k]);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* 1 - the cosine of z, which is 0 and 1, and of all ones. */
static double cosine_distance(const lime *m, const double *z) {
    double shown = 0;
    for (int k = 0; k < m->d; k++) shown += z[k];
    return 1 - sqrt(shown / m->d);
}

static double weight_of(const lime *m, int64_t i) {
    const double *z = m->z + i * m->d;
    const double square = m->kind == TABLE ? squared_distance(m, z) : cosine_distance(m, z) * cosine_distance(m, z);
    const double usual = m->kind == TABLE ? 0.75 * sqrt(m->d) : m->kind == PICTURE ? 0.25 : 25;
    const double width = (m->width > 0 ? m->width : usual) / (m->kind == TEXT ? 100 : 1);
    return sqrt(exp(-square / (width * width)));
}

static glia_status reserve(lime *m, int64_t n, glia_error *error) {
    double *z = realloc(m->z, (size_t)(n * m->d) * sizeof *z);
    if (z) m->z = z;
    double *y = z ? realloc(m->y, (size_t)n * sizeof *y) : NULL;
    if (y) m->y = y;
    double *weight = y ? realloc(m->weight, (size_t)n * sizeof *weight) : NULL;
    if (weight) m->weight = weight;
    return weight ? GLIA_OK : glia_fail_nomem(error);
}

static glia_status draw_round(glia_explainer *e, int64_t goal, glia_error *error) {
    lime *m = e->memory;
    const int64_t chunk = GLIA_MAX(GLIA_MIN(1024, (1 << 22) / e->size), 1);
    float *rows = malloc((size_t)(chunk * e->size) * sizeof *rows);
    glia_status status = rows ? reserve(m, goal, error) : glia_fail_nomem(error);
    while (m->n < goal && status == GLIA_OK) {
        const int64_t count = GLIA_MIN(chunk, goal - m->n);
        for (int64_t i = 0; i < count; i++) {
            draw_neighbour(e, m, m->n + i, rows + i * e->size);
            m->weight[m->n + i] = weight_of(m, m->n + i);
        }
        status = glia_explainer_values(e, rows, count, m->output, m->y + m->n, error);
        m->n += count;
    }
    free(rows);
    return status;
}

/* ---- explaining ------------------------------------------------------------------------------- */

static glia_status fit_rounds(glia_explainer *e, glia_explanation *out, glia_error *error) {
    lime *m = e->memory;
    const int features = m->features ? (int)m->features : m->kind == PICTURE ? m->d : 10;
    glia_local_model local = { .weights = out->values, .errors = out->errors };
    glia_status status = GLIA_OK;
    for (int64_t goal = m->samples; status == GLIA_OK; goal *= 2) {
        status = draw_round(e, goal, error);
        if (status == GLIA_OK) status = glia_local_fit(m->z, m->y, m->weight, m->n, m->d, features, &local, error);
        if (status != GLIA_OK) break;
        out->converged = glia_within(out->errors, out->values, out->n, m->tolerance);
        if (out->converged || 2 * goal > m->most) break;
    }
    if (status != GLIA_OK) return status;
    out->output_value = m->y[0];
    out->base_value = local.intercept;
    out->r2 = local.r2;
    out->local_value = local.intercept;
    for (int k = 0; k < m->d; k++) out->local_value += m->z[k] * out->values[k];
    glia_explanation_finish(out);
    out->residual = out->output_value - out->local_value;
    return GLIA_OK;
}

static glia_status run(glia_explainer *e, const float *x, int output, glia_explanation *out, glia_error *error) {
    lime *m = e->memory;
    m->x = x;
    m->output = output;
    m->n = 0;
    glia_status status = find_features(e, m, error);
    if (status == GLIA_OK) {
        const size_t d = (size_t)m->d;
        m->order = malloc(3 * d * sizeof *m->order);
        m->scratch.p = malloc(2 * (d + 1) * sizeof *m->scratch.p);
        const bool whole = m->kind == TABLE || (!e->groups && m->kind == TEXT);
        status = m->order && m->scratch.p
                     ? glia_explanation_start(out, whole ? e->sample : GLIA_SHAPE(m->d), true, error)
                     : glia_fail_nomem(error);
        if (status == GLIA_OK) {
            m->bins = m->order + d;
            m->scratch.bin = m->bins + d;
            m->scratch.quantile = m->scratch.p + d + 1;
            for (int k = 0; m->kind == TABLE && k < m->d; k++) {
                m->bins[k] = glia_lime_bin(&m->columns[k], (double)x[k]);
            }
            status = fit_rounds(e, out, error);
        }
        if (!whole && status == GLIA_OK) out->groups = m->groups, m->groups = NULL;
    }
    free(m->groups);
    free(m->hidden);
    free(m->z);
    free(m->y);
    free(m->weight);
    free(m->order);
    free(m->scratch.p);
    m->groups = NULL, m->hidden = NULL, m->z = m->y = m->weight = NULL, m->order = NULL, m->scratch.p = NULL;
    return status;
}

const glia_explain_method glia_explain_lime = {
    .about = { .name = "lime",
               .summary = "a linear model of the score near the sample: of tables, pictures and text",
               .paper = "Ribeiro et al. 2016",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings) },
    .bytes = sizeof(lime),
    .uses = GLIA_EXPLAIN_GROUPS | GLIA_EXPLAIN_BACKGROUND,
    .begin = begin,
    .run = run,
    .end = end,
};
