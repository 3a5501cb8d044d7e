/* local_model.c - the local model of LIME: weighted ridge regression on chosen columns.
 *
 * As the package lime has it: the chosen columns get weights by a ridge of 1, the choice is made by ridges of 0
 * (forward) or 0.01 (largest weights). Centring by the weighted means takes care of the intercept, which is not
 * penalised.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/explain/explain.h"

/* Weighted sums of centred columns: gram (d, d), moment (d), of y. */
typedef struct sums {
    int64_t n, d;
    const double *z, *y, *weight;
    double *mean, *gram, *moment; /* (d), (d, d), (d) */
    double total, y_mean, y_square;
    double *factor, *solution; /* (d, d), (d) of a selection */
    int64_t *filled;           /* (d): columns of a row that are not 0 */
} sums;

/* Adds row i, of columns as they are: those of LIME are mostly 0, and the others 1. mean gets a sum. */
static void add_products(sums *s, int64_t i) {
    const double w = s->weight[i], y = s->y[i] - s->y_mean, *row = s->z + i * s->d;
    int64_t filled = 0;
    for (int64_t a = 0; a < s->d; a++) {
        s->filled[filled] = a;
        filled += row[a] != 0;
    }
    for (int64_t k = 0; k < filled; k++) {
        const int64_t a = s->filled[k];
        const double v = w * row[a];
        double *gram = s->gram + a * s->d;
        s->mean[a] += v;
        s->moment[a] += v * y;
        for (int64_t l = 0; l <= k; l++) gram[s->filled[l]] += v * row[s->filled[l]];
    }
    s->y_square += w * y * y;
}

static glia_status sums_begin(sums *s, glia_error *error) {
    const int64_t n = s->n, d = s->d;
    s->mean = calloc((size_t)(2 * d * d + 3 * d), sizeof *s->mean);
    s->filled = malloc((size_t)d * sizeof *s->filled);
    if (!s->mean || !s->filled) return glia_fail_nomem(error);
    s->moment = s->mean + d;
    s->solution = s->moment + d;
    s->gram = s->solution + d;
    s->factor = s->gram + d * d;
    for (int64_t i = 0; i < n; i++) {
        s->total += s->weight[i];
        s->y_mean += s->weight[i] * s->y[i];
    }
    if (!(s->total > 0)) return glia_fail(error, GLIA_E_ARGUMENT, "explain: all weights of the local model are 0");
    s->y_mean /= s->total;
    for (int64_t i = 0; i < n; i++) add_products(s, i);
    for (int64_t a = 0; a < d; a++) s->mean[a] /= s->total;
    for (int64_t a = 0; a < d; a++) { /* centred; y is already */
        for (int64_t b = 0; b <= a; b++) s->gram[a * d + b] -= s->total * s->mean[a] * s->mean[b];
    }
    return GLIA_OK;
}

static double gram_at(const sums *s, int64_t a, int64_t b) { return s->gram[GLIA_MAX(a, b) * s->d + GLIA_MIN(a, b)]; }

/* Solves for the columns chosen[0..k); returns R^2. */
static double solve(sums *s, const int *chosen, int k, double ridge) {
    for (int a = 0; a < k; a++) {
        for (int b = 0; b < k; b++) s->factor[a * k + b] = gram_at(s, chosen[a], chosen[b]) + (a == b ? ridge : 0);
        s->solution[a] = s->moment[chosen[a]];
    }
    glia_factor(s->factor, k, 1e-12);
    glia_solve(s->factor, k, s->solution);
    double lost = s->y_square; /* sum w (y - Z b)^2 = y'y - 2 b'm + b'G b */
    for (int a = 0; a < k; a++) {
        lost -= 2 * s->solution[a] * s->moment[chosen[a]];
        for (int b = 0; b < k; b++) lost += s->solution[a] * s->solution[b] * gram_at(s, chosen[a], chosen[b]);
    }
    return s->y_square > 0 ? 1 - lost / s->y_square : 1;
}

/* Adds the column that raises R^2 most, one after the other. */
static void choose_forward(sums *s, int features, int *chosen) {
    for (int k = 0; k < features; k++) {
        double best = -INFINITY;
        int best_column = -1;
        for (int column = 0; column < s->d; column++) {
            bool taken = false;
            for (int i = 0; i < k; i++) taken |= chosen[i] == column;
            if (taken) continue;
            int trial[8];
            memcpy(trial, chosen, (size_t)k * sizeof *trial);
            trial[k] = column;
            const double r2 = solve(s, trial, k + 1, 0);
            if (r2 > best) best = r2, best_column = column;
        }
        chosen[k] = best_column;
    }
}

/* The columns whose weight times the first row is largest. */
static void choose_largest(sums *s, int features, int *chosen, double *size) {
    for (int a = 0; a < s->d; a++) chosen[a] = a;
    solve(s, chosen, (int)s->d, 0.01);
    for (int a = 0; a < s->d; a++) size[a] = fabs(s->solution[a] * s->z[a]);
    for (int k = 0; k < features; k++) {
        int best = k;
        for (int a = k + 1; a < s->d; a++) {
            if (size[chosen[a]] > size[chosen[best]]) best = a;
        }
        const int column = chosen[best];
        memmove(chosen + k + 1, chosen + k, (size_t)(best - k) * sizeof *chosen); /* keeps the order of equals */
        chosen[k] = column;
    }
}

/* Sums over the rows of (w r)^2 z z^T, z the centred chosen columns, r the residual: meat (k, k), its lower half. */
static void add_influence(const sums *s, const int *chosen, int k, double *row, double *meat) {
    for (int64_t i = 0; i < s->n; i++) {
        double residual = s->y[i] - s->y_mean;
        for (int a = 0; a < k; a++) {
            row[a] = s->z[i * s->d + chosen[a]] - s->mean[chosen[a]];
            residual -= s->solution[a] * row[a];
        }
        const double square = s->weight[i] * residual * s->weight[i] * residual;
        for (int a = 0; a < k; a++) {
            const double v = square * row[a];
            for (int b = 0; b <= a; b++) meat[a * k + b] += v * row[b];
        }
    }
}

/* Standard errors: the roots of the diagonal of G^-1 meat G^-1, G with its ridge. */
static void estimate_errors(const sums *s, const int *chosen, int k, double *row, double *meat, double *errors) {
    memset(meat, 0, (size_t)k * (size_t)k * sizeof *meat);
    add_influence(s, chosen, k, row, meat);
    for (int c = 0; c < k; c++) {
        double variance = 0;
        for (int a = 0; a < k; a++) row[a] = a == c;
        glia_solve(s->factor, k, row);
        for (int a = 0; a < k; a++) {
            for (int b = 0; b <= a; b++) variance += (a == b ? 1 : 2) * row[a] * row[b] * meat[a * k + b];
        }
        errors[chosen[c]] = sqrt(fmax(variance, 0));
    }
}

static void finish(sums *s, const int *chosen, int k, double *scratch, glia_local_model *model) {
    model->r2 = solve(s, chosen, k, 1);
    model->intercept = s->y_mean;
    memset(model->weights, 0, (size_t)s->d * sizeof *model->weights);
    if (model->errors) memset(model->errors, 0, (size_t)s->d * sizeof *model->errors);
    for (int a = 0; a < k; a++) {
        model->weights[chosen[a]] = s->solution[a];
        model->intercept -= s->solution[a] * s->mean[chosen[a]];
    }
    if (model->errors) estimate_errors(s, chosen, k, scratch, s->gram, model->errors); /* gram is done with */
}

glia_status glia_local_fit(const double *z, const double *y, const double *weight, int64_t n, int64_t d, int features,
                           glia_local_model *model, glia_error *error) {
    enum { FORWARD = 6, MOST = 1 << 14 };
    if (!z || !y || !weight || !model || !model->weights || n < 2 || d < 1 || d > MOST || features < 1) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "local model: needs 2 rows or more, 1 to %d columns, 1 feature or more", MOST);
    }
    sums s = { .n = n, .d = d, .z = z, .y = y, .weight = weight };
    int *chosen = malloc((size_t)d * sizeof *chosen);
    double *scratch = malloc((size_t)d * sizeof *scratch);
    glia_status status = chosen && scratch ? sums_begin(&s, error) : glia_fail_nomem(error);
    if (status == GLIA_OK) {
        const int k = (int)GLIA_MIN((int64_t)features, d);
        for (int a = 0; a < d; a++) chosen[a] = a;
        if (k < d && k <= FORWARD) choose_forward(&s, k, chosen);
        if (k < d && k > FORWARD) choose_largest(&s, k, chosen, scratch);
        finish(&s, chosen, k, scratch, model);
    }
    free(s.mean);
    free(s.filled);
    free(chosen);
    free(scratch);
    return status;
}
