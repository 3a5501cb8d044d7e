/* checks.c - checks of explanations: random parameters, deletion and insertion, the pointing game. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/explain/explain.h"
#include "train/model/model.h"

/* ---- order ------------------------------------------------------------------------------------ */

typedef struct ranked {
    double value;
    int64_t index;
} ranked;

/* The largest first; of equal ones the first. */
static int descending(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

/* Indices of values (n) in that order; NULL: out of memory. */
static ranked *rank(const double *values, int64_t n, bool absolute) {
    ranked *order = malloc((size_t)n * sizeof *order + 1);
    for (int64_t i = 0; order && i < n; i++) {
        order[i] = (ranked){ .value = absolute ? fabs(values[i]) : values[i], .index = i };
    }
    if (order) qsort(order, (size_t)n, sizeof *order, descending);
    return order;
}

/* Ranks (n), equal values sharing the mean of theirs. */
static bool ranks_of(const double *values, int64_t n, bool absolute, double *ranks) {
    ranked *order = rank(values, n, absolute);
    for (int64_t i = 0, next; order && i < n; i = next) {
        for (next = i; next < n && order[next].value == order[i].value;) next++;
        for (int64_t k = i; k < next; k++) ranks[order[k].index] = 0.5 * (double)(i + next - 1);
    }
    free(order);
    return order != NULL;
}

/* Spearman's correlation; 0 if one of them is constant. NaN: out of memory. */
static double spearman(const double *a, const double *b, int64_t n, bool absolute) {
    double *ranks = malloc(2 * (size_t)n * sizeof *ranks + 1), ab = 0, aa = 0, bb = 0;
    const bool ranked_both = ranks && ranks_of(a, n, absolute, ranks) && ranks_of(b, n, absolute, ranks + n);
    const double middle = 0.5 * (double)(n - 1);
    for (int64_t i = 0; ranked_both && i < n; i++) {
        const double x = ranks[i] - middle, y = ranks[n + i] - middle;
        ab += x * y, aa += x * x, bb += y * y;
    }
    free(ranks);
    return !ranked_both ? NAN : aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

/* ---- random parameters ------------------------------------------------------------------------ */

/* "conv1" of "conv1/kernel"; "block1/conv" of "block1/conv/bias". */
static void layer_name(const char *parameter, char *name, size_t room) {
    const char *end = strrchr(parameter, '/');
    snprintf(name, room, "%.*s", end ? (int)(end - parameter) : (int)strlen(parameter), parameter);
}

/* The layers with parameters from the last one to the first, in the order of the parameters' creation. Returns their
 * number, at most `capacity`. */
static int list_layers(glia_model *model, glia_randomization_step *steps, int capacity) {
    const glia_store *store = glia_model_store(model);
    int n = 0;
    for (int i = glia_store_count(store) - 1; i >= 0 && n < capacity; i--) {
        const glia_array a = glia_store_entry(store, i);
        char name[sizeof steps->layer];
        layer_name(a.name, name, sizeof name);
        bool known = !a.parameter;
        for (int k = 0; k < n && !known; k++) known = strcmp(steps[k].layer, name) == 0;
        if (!known) snprintf(steps[n++].layer, sizeof steps->layer, "%s", name);
    }
    return n;
}

static glia_status explain_once(glia_model *model, const char *method, const glia_explain_opts *opts, const float *x,
                                int output, glia_explanation *e, glia_error *error) {
    glia_explainer *why = glia_explainer_create(model, method, *opts, error);
    if (!why) return error->status;
    glia_status status = glia_explain(why, x, output, e, error);
    glia_explainer_free(why);
    return status;
}

/* Step by step: random values from `random` for one more layer of `model`, and the explanation compared. */
static glia_status randomize(glia_model *model, glia_store *random, const char *method, const glia_explain_opts *opts,
                             const float *x, const glia_explanation *first, glia_randomization_step *steps, int n,
                             glia_error *error) {
    glia_status status = GLIA_OK;
    for (int k = 0; k < n && status == GLIA_OK; k++) {
        char prefix[sizeof steps->layer + 1];
        snprintf(prefix, sizeof prefix, "%s/", steps[k].layer);
        status = glia_store_blend(glia_model_store(model), prefix, random, prefix, 1, error);
        glia_explanation e;
        if (status == GLIA_OK) status = explain_once(model, method, opts, x, first->output, &e, error);
        if (status != GLIA_OK) return status;
        steps[k].rank_correlation = spearman(first->values, e.values, e.n, false);
        steps[k].absolute_rank_correlation = spearman(first->values, e.values, e.n, true);
        if (isnan(steps[k].absolute_rank_correlation)) status = glia_fail_nomem(error);
        glia_explanation_free(&e);
    }
    return status;
}

int glia_explain_randomization(glia_model *model, const char *method, glia_explain_opts opts, const float *x,
                               int output, glia_randomization_step *steps, int capacity, glia_error *error) {
    glia_error reason = { 0 };
    if (!model || !x || !steps || capacity < 1) {
        glia_fail(error, GLIA_E_ARGUMENT, "explain: needs a model, a sample and room for steps");
        return -1;
    }
    glia_status status = glia_model_ready(model, 0, &reason);
    glia_model *copy = status == GLIA_OK ? glia_model_copy(model, &reason) : NULL;
    glia_store *random = copy ? glia_store_create(glia_model_graph(copy), opts.seed + 1, &reason) : NULL;
    glia_explanation first = { 0 };
    int n = 0;
    status = random ? explain_once(copy, method, &opts, x, output, &first, &reason) : reason.status;
    if (status == GLIA_OK) {
        n = list_layers(copy, steps, capacity);
        status = randomize(copy, random, method, &opts, x, &first, steps, n, &reason);
    }
    glia_explanation_free(&first);
    glia_store_free(random);
    glia_model_free(copy);
    if (status == GLIA_OK) return n;
    glia_fail(error, status, "%s", reason.message);
    return -1;
}

/* ---- deletion and insertion ------------------------------------------------------------------- */

/* Rows for each step: places order[0..share) are changed from `from` to `to`. */
static void fill_steps(const ranked *order, int64_t n, int64_t size, const float *from, const float *to, int steps,
                       float *rows) {
    for (int k = 0; k <= steps; k++) {
        float *row = rows + k * size;
        memcpy(row, from, (size_t)size * sizeof *row);
        const int64_t changed = n * k / steps;
        for (int64_t i = 0; i < changed; i++) {
            for (int64_t at = order[i].index; at < size; at += n) row[at] = to[at];
        }
    }
}

static double area(glia_explainer *e, const float *from, const float *to, int output, const double *values, int64_t n,
                   int steps, double *curve, glia_error *error) {
    ranked *order = rank(values, n, false);
    float *rows = malloc((size_t)((steps + 1) * e->size) * sizeof *rows);
    glia_status status = order && rows ? GLIA_OK : glia_fail_nomem(error);
    double sum = 0;
    if (status == GLIA_OK) {
        fill_steps(order, n, e->size, from, to, steps, rows);
        status = glia_explainer_values(e, rows, steps + 1, output, curve, error);
    }
    for (int k = 0; k < steps; k++) sum += 0.5 * (curve[k] + curve[k + 1]) / steps;
    free(order);
    free(rows);
    return status == GLIA_OK ? sum : NAN;
}

static double remove_or_insert(glia_explainer *e, const float *x, int output, const double *values, int64_t n,
                               const float *blank, int steps, double *curve, bool insert, glia_error *error) {
    if (!e || !x || !values || !curve || steps < 1 || steps > 1 << 16 || n < 1 || e->size % n || output < 0 ||
        output >= e->outputs) {
        glia_fail(error, GLIA_E_ARGUMENT,
                  "explain: deletion needs a sample, an output, as many values as places, and "
                  "1 to 65536 steps");
        return NAN;
    }
    float *zeros = blank ? NULL : calloc((size_t)e->size, sizeof *zeros);
    if (!blank && !zeros) {
        glia_fail_nomem(error);
        return NAN;
    }
    const float *empty = blank ? blank : zeros;
    const double result = insert ? area(e, empty, x, output, values, n, steps, curve, error)
                                 : area(e, x, empty, output, values, n, steps, curve, error);
    free(zeros);
    return result;
}

double glia_explain_deletion(glia_explainer *e, const float *x, int output, const double *values, int64_t n,
                             const float *blank, int steps, double *curve, glia_error *error) {
    return remove_or_insert(e, x, output, values, n, blank, steps, curve, false, error);
}

double glia_explain_insertion(glia_explainer *e, const float *x, int output, const double *values, int64_t n,
                              const float *blank, int steps, double *curve, glia_error *error) {
    return remove_or_insert(e, x, output, values, n, blank, steps, curve, true, error);
}

/* ---- the pointing game ------------------------------------------------------------------------ */

bool glia_explain_points_at(const double *values, int64_t height, int64_t width, int64_t top, int64_t left,
                            int64_t box_height, int64_t box_width) {
    if (!values || height < 1 || width < 1) return false;
    int64_t best = 0;
    bool differs = false;
    for (int64_t i = 1; i < height * width; i++) {
        differs |= values[i] != values[0];
        if (values[i] > values[best]) best = i;
    }
    const int64_t y = best / width, x = best % width;
    return differs && y >= top && y < top + box_height && x >= left && x < left + box_width;
}
