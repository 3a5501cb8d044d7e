/* occlusion.c - occlusion (Zeiler and Fergus 2014): how much the score falls when a window is replaced by the baseline.
 *
 * The window slides over the last axes of a sample (H, W of a picture, all channels at once; elements of a table) in
 * steps of `stride`. An element's value is the mean fall over the windows that cover it, as Captum has it. With groups,
 * a group takes the place of a window.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/explain/explain.h"

typedef struct occlusion {
    int64_t window, stride;
} occlusion;

static const glia_setting settings[] = {
    { "window", GLIA_SETTING_INT, offsetof(occlusion, window), 0, 0, 4096, NULL,
      "side of the window; 0: 1, for pictures an eighth of the smaller side" },
    { "stride", GLIA_SETTING_INT, offsetof(occlusion, stride), 0, 0, 4096, NULL, "step of the window; 0: half of it" },
};

/* The sample as rows and columns of places, each with `deep` elements. */
typedef struct field {
    int64_t height, width, deep, window, stride;
    int64_t down, across; /* windows */
} field;

static int64_t steps(int64_t length, int64_t window, int64_t stride) {
    return length <= window ? 1 : (length - window + stride - 1) / stride + 1;
}

static field field_of(const glia_explainer *e) {
    const occlusion *m = e->memory;
    const bool picture = e->sample.rank == 3;
    field f = { .height = picture ? e->sample.dim[1] : 1, .deep = picture ? e->sample.dim[0] : 1 };
    f.width = e->size / f.height / f.deep;
    f.window = m->window ? m->window : picture ? GLIA_MAX(GLIA_MIN(f.height, f.width) / 8, 1) : 1;
    f.stride = m->stride ? m->stride : GLIA_MAX(f.window / 2, 1);
    f.down = steps(f.height, f.window, f.stride);
    f.across = steps(f.width, f.window, f.stride);
    return f;
}

/* Whether window k covers a place. The last window of a row may reach beyond the edge. */
static bool covers(const glia_explainer *e, const field *f, int64_t k, int64_t element) {
    if (e->groups) return e->groups[element] == k;
    const int64_t place = element % (f->height * f->width), y = place / f->width, x = place % f->width;
    const int64_t top = k / f->across * f->stride, left = k % f->across * f->stride;
    return y >= top && y < top + f->window && x >= left && x < left + f->window;
}

static glia_status add_windows(glia_explainer *e, const field *f, const float *x, int output, int64_t first, int64_t n,
                               float *rows, double *scores, glia_explanation *out, double *covered, glia_error *error) {
    for (int64_t k = 0; k < n; k++) {
        float *row = rows + k * e->size;
        for (int64_t i = 0; i < e->size; i++) row[i] = covers(e, f, first + k, i) ? e->background[i] : x[i];
    }
    glia_status status = glia_explainer_values(e, rows, n, output, scores, error);
    for (int64_t k = 0; k < n && status == GLIA_OK; k++) {
        if (e->groups) {
            out->values[first + k] = out->output_value - scores[k];
            continue;
        }
        for (int64_t i = 0; i < e->size; i++) {
            if (!covers(e, f, first + k, i)) continue;
            out->values[i] += out->output_value - scores[k];
            covered[i]++;
        }
    }
    return status;
}

static glia_status run(glia_explainer *e, const float *x, int output, glia_explanation *out, glia_error *error) {
    enum { CHUNK = 64 };
    const occlusion *m = e->memory;
    if (e->groups && (m->window || m->stride)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "explain: occlusion of groups has no window and no stride");
    }
    const field f = field_of(e);
    const int64_t windows = e->groups ? e->n_groups : f.down * f.across;
    float *rows = malloc((size_t)(CHUNK * e->size) * sizeof *rows);
    double *covered = calloc((size_t)e->size, sizeof *covered), scores[CHUNK];
    glia_status status = rows && covered ? GLIA_OK : glia_fail_nomem(error);
    if (status == GLIA_OK) {
        status = glia_explanation_start(out, e->groups ? GLIA_SHAPE(e->n_groups) : e->sample, false, error);
    }
    if (status == GLIA_OK) status = glia_explainer_values(e, x, 1, output, &out->output_value, error);
    for (int64_t first = 0; first < windows && status == GLIA_OK; first += CHUNK) {
        const int64_t n = GLIA_MIN(windows - first, CHUNK);
        status = add_windows(e, &f, x, output, first, n, rows, scores, out, covered, error);
    }
    for (int64_t i = 0; status == GLIA_OK && !e->groups && i < out->n; i++) {
        if (covered[i] > 0) out->values[i] /= covered[i];
    }
    free(rows);
    free(covered);
    return status;
}

const glia_explain_method glia_explain_occlusion = {
    .about = { .name = "occlusion",
               .summary = "how much the score falls when a window is covered",
               .paper = "Zeiler and Fergus 2014",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings) },
    .bytes = sizeof(occlusion),
    .uses = GLIA_EXPLAIN_GROUPS | GLIA_EXPLAIN_BACKGROUND,
    .run = run,
};
