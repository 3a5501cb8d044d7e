/* kernel_shap.c - Kernel SHAP (Lundberg and Lee 2017, section 4.1): Shapley values as a weighted regression
 *
 *     minimise sum over S of w(|S|) (v(S) - v(none) - sum of phi in S)^2,  sum of all phi = v(all) - v(none)
 *     w(s) = (M - 1) / (C(M, s) s (M - s))
 *
 * Coalitions of 1, M - 1, 2, M - 2, ... players are all taken while they fit into half of the first round; of the
 * others pairs S and its complement are drawn, by the weight of their sizes, and share that weight, as in the package
 * shap. Rounds of draws go on until the standard errors are small enough: those of the regression by the draws (the
 * sandwich of White 1980, with a pair as one observation). If all coalitions fit, values are exact and errors 0.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/explain/explain.h"

typedef struct kernel {
    int64_t samples, most;
    double tolerance;
} kernel;

static const glia_setting settings[] = {
    { "samples", GLIA_SETTING_INT, offsetof(kernel, samples), 0, 0, 100000000, NULL,
      "coalitions of the first round; 0: 2 features + 2048, as shap" },
    { "most", GLIA_SETTING_INT, offsetof(kernel, most), 65536, 4, 100000000, NULL, "coalitions at most" },
    { "tolerance", GLIA_SETTING_REAL, offsetof(kernel, tolerance), 0.01, 0, 1, NULL,
      "largest standard error, as a share of the largest value; 0: one round" },
};

/* The coalitions of a regression. The first `complete` of them were enumerated, the others drawn in pairs. */
typedef struct design {
    glia_game *game;
    int m;
    uint8_t *z;     /* (n, m) */
    double *v;      /* (n) */
    double *weight; /* (n), of enumerated ones */
    double *sizes;  /* (m): the chance of a drawn pair to be of this size; 0: enumerated */
    double rest;    /* weight of all drawn ones together */
    int64_t n, complete, capacity;
    double *factor, *spread; /* (m - 1, m - 1) */
    double *phi, *errors;    /* (m) */
} design;

static double choose(int n, int k) {
    double c = 1;
    for (int i = 1; i <= k; i++) c = c * (n - k + i) / i;
    return c;
}

static glia_status reserve(design *d, int64_t n, glia_error *error) {
    if (n <= d->capacity) return GLIA_OK;
    const int64_t capacity = GLIA_MAX(n, 2 * d->capacity);
    uint8_t *z = realloc(d->z, (size_t)(capacity * d->m));
    if (z) d->z = z;
    double *v = z ? realloc(d->v, (size_t)capacity * sizeof *v) : NULL;
    if (v) d->v = v;
    double *weight = v ? realloc(d->weight, (size_t)capacity * sizeof *weight) : NULL;
    if (!weight) return glia_fail_nomem(error);
    d->weight = weight;
    d->capacity = capacity;
    return GLIA_OK;
}

/* Adds a coalition and, if asked, its complement. */
static void add(design *d, const uint8_t *members, double weight, bool complement) {
    for (int side = 0; side <= complement; side++) {
        uint8_t *z = d->z + d->n * d->m;
        for (int p = 0; p < d->m; p++) z[p] = members[p] != side;
        d->weight[d->n++] = weight;
    }
}

/* All coalitions of `size` players. */
static void enumerate(design *d, int size, double weight, bool complement, int *chosen, uint8_t *members) {
    for (int i = 0; i < size; i++) chosen[i] = i;
    for (;;) {
        for (int i = 0; i < d->m; i++) members[i] = 0;
        for (int i = 0; i < size; i++) members[chosen[i]] = 1;
        add(d, members, weight, complement);
        int i = size - 1;
        while (i >= 0 && chosen[i] == d->m - size + i) i--;
        if (i < 0) return;
        chosen[i]++;
        for (int k = i + 1; k < size; k++) chosen[k] = chosen[k - 1] + 1;
    }
}

/* Enumerates all sizes if they fit into `budget`, else while they fit into half of it; leaves the chances of the
 * others. */
static glia_status enumerate_sizes(design *d, int64_t budget, glia_error *error) {
    const int m = d->m, half = m / 2;
    int *chosen = malloc((size_t)m * sizeof *chosen + 1);
    uint8_t *members = malloc((size_t)m + 1);
    glia_status status = chosen && members ? reserve(d, GLIA_MAX(budget, 4), error) : glia_fail_nomem(error);
    double total = 0;
    for (int s = 1; s < m; s++) total += (m - 1.0) / ((double)s * (m - s));
    double left = 0;
    bool open = true;
    const double all = ldexp(1, m) - 2;
    for (int s = 1; s <= half && status == GLIA_OK; s++) {
        const bool complement = 2 * s != m;
        const double count = choose(m, s) * (complement ? 2 : 1);
        const double share = (m - 1.0) / ((double)s * (m - s)) / total * (complement ? 2 : 1);
        open = open && (all <= (double)budget || (double)d->n + count <= 0.5 * (double)budget);
        if (open) enumerate(d, s, share / count, complement, chosen, members);
        d->sizes[s] = open ? 0 : share;
        left += d->sizes[s];
    }
    d->complete = d->n;
    d->rest = left;
    free(chosen);
    free(members);
    return status;
}

/* Draws pairs from pair number (n - complete) / 2 on, up to n coalitions. */
static void draw(design *d, int64_t n, int *order, uint8_t *members) {
    while (d->n + 2 <= n) {
        glia_rng rng = glia_explain_rng(d->game->e, (uint64_t)((d->n - d->complete) / 2));
        double u = glia_rng_uniform(&rng) * d->rest;
        int size = d->m / 2;
        for (int s = 1; s <= d->m / 2; s++) {
            if (d->sizes[s] > 0 && u < d->sizes[s]) {
                size = s;
                break;
            }
            u -= d->sizes[s];
        }
        for (int i = 0; i < d->m; i++) order[i] = i, members[i] = 0;
        for (int i = 0; i < size; i++) { /* the first `size` of a shuffle */
            const int k = i + (int)glia_rng_below(&rng, (uint64_t)(d->m - i)), player = order[k];
            order[k] = order[i];
            members[player] = 1;
        }
        add(d, members, 0, true);
    }
}

static double weight_of(const design *d, int64_t i) {
    return i < d->complete ? d->weight[i] : d->rest / (double)(d->n - d->complete);
}

/* Row i of the regression without its last column, which the constraint removes: row (m - 1); returns its y. */
static double row_of(const design *d, int64_t i, double *row) {
    const uint8_t *z = d->z + i * d->m;
    const int last = z[d->m - 1];
    for (int p = 0; p < d->m - 1; p++) row[p] = z[p] - last;
    return d->v[i] - d->game->empty - last * (d->game->full - d->game->empty);
}

static void regress(design *d, double *row) {
    const int64_t k = d->m - 1;
    memset(d->factor, 0, (size_t)(k * k) * sizeof *d->factor);
    memset(d->phi, 0, (size_t)d->m * sizeof *d->phi);
    for (int64_t i = 0; i < d->n; i++) {
        const double y = row_of(d, i, row), w = weight_of(d, i);
        for (int64_t a = 0; a < k; a++) {
            if (row[a] == 0) continue;
            d->phi[a] += w * row[a] * y;
            for (int64_t b = 0; b <= a; b++) d->factor[a * k + b] += w * row[a] * row[b];
        }
    }
    glia_factor(d->factor, k, 1e-14);
    glia_solve(d->factor, k, d->phi);
    d->phi[k] = d->game->full - d->game->empty;
    for (int64_t p = 0; p < k; p++) d->phi[k] -= d->phi[p];
}

/* Adds g g^T of each drawn pair to spread (k, k), lower half; g: the pair's part of the regression's gradient. */
static void add_gradients(const design *d, double *row, double *g, double *spread) {
    const int64_t k = d->m - 1;
    for (int64_t i = d->complete; i + 1 < d->n; i += 2) {
        memset(g, 0, (size_t)k * sizeof *g);
        for (int side = 0; side < 2; side++) {
            double residual = row_of(d, i + side, row);
            for (int64_t p = 0; p < k; p++) residual -= row[p] * d->phi[p];
            for (int64_t p = 0; p < k; p++) g[p] += weight_of(d, i) * residual * row[p];
        }
        for (int64_t a = 0; a < k; a++) {
            for (int64_t b = 0; b <= a; b++) spread[a * k + b] += g[a] * g[b];
        }
    }
}

/* Standard errors: the diagonal of A^-1 (sum of g g^T) A^-1, and of the last player, whose value is the rest, the sum
 * of all its entries. */
static void estimate_errors(design *d, double *row, double *g) {
    const int64_t k = d->m - 1;
    double *spread = d->spread;
    memset(spread, 0, (size_t)(k * k) * sizeof *spread);
    memset(d->errors, 0, (size_t)d->m * sizeof *d->errors);
    if (d->complete == d->n) return;
    add_gradients(d, row, g, spread);
    for (int64_t a = 0; a < k; a++) {
        for (int64_t b = 0; b < a; b++) spread[b * k + a] = spread[a * k + b];
    }
    for (int side = 0; side < 2; side++) { /* A^-1 from the left, twice: the matrix in between is transposed */
        for (int64_t a = 0; a < k; a++) glia_solve(d->factor, k, spread + a * k);
        for (int64_t a = 0; a < k; a++) {
            for (int64_t b = 0; b < a; b++) {
                const double swap = spread[a * k + b];
                spread[a * k + b] = spread[b * k + a];
                spread[b * k + a] = swap;
            }
        }
    }
    double all = 0;
    for (int64_t i = 0; i < k * k; i++) all += spread[i];
    for (int64_t p = 0; p < k; p++) d->errors[p] = sqrt(fmax(spread[p * k + p], 0));
    d->errors[k] = sqrt(fmax(all, 0));
}

/* Rounds until the tolerance is met; *converged says whether it was. */
static glia_status rounds(design *d, const kernel *s, bool *converged, glia_error *error) {
    const int m = d->m;
    int *order = malloc((size_t)m * sizeof *order);
    uint8_t *members = malloc((size_t)m);
    double *work = malloc(2 * (size_t)m * sizeof *work);
    int64_t goal = GLIA_MIN(s->samples ? s->samples : 2 * (int64_t)m + 2048, s->most);
    goal = GLIA_MAX(goal, 2 * m);
    glia_status status = order && members && work ? enumerate_sizes(d, goal, error) : glia_fail_nomem(error);
    int64_t done = 0;
    while (status == GLIA_OK) {
        status = reserve(d, goal, error);
        if (status == GLIA_OK && d->rest > 0) draw(d, goal, order, members);
        if (status == GLIA_OK) {
            status = glia_game_values(d->game, d->z + done * m, d->n - done, d->v + done, error);
        }
        if (status != GLIA_OK) break;
        done = d->n;
        regress(d, work);
        estimate_errors(d, work, work + m);
        *converged = d->rest == 0 || glia_within(d->errors, d->phi, m, s->tolerance);
        if (*converged || 2 * goal > s->most) break;
        goal *= 2;
    }
    free(order);
    free(members);
    free(work);
    return status;
}

static glia_status solve(design *d, const kernel *s, bool *converged, glia_error *error) {
    const size_t m = (size_t)GLIA_MAX(d->m, 1);
    d->sizes = calloc(m + 1, sizeof *d->sizes);
    d->factor = calloc(m * m, sizeof *d->factor);
    d->spread = calloc(m * m, sizeof *d->spread);
    d->phi = calloc(m, sizeof *d->phi);
    d->errors = calloc(m, sizeof *d->errors);
    if (!d->sizes || !d->factor || !d->spread || !d->phi || !d->errors) return glia_fail_nomem(error);
    if (d->m > 1) return rounds(d, s, converged, error);
    d->phi[0] = d->game->full - d->game->empty;
    return GLIA_OK;
}

static glia_status run(glia_explainer *e, const float *x, int output, glia_explanation *out, glia_error *error) {
    glia_game g;
    design d = { .game = &g };
    bool converged = true;
    glia_status status = glia_game_begin(e, x, output, &g, error);
    d.m = g.players;
    if (status == GLIA_OK) status = solve(&d, e->memory, &converged, error);
    if (status == GLIA_OK) status = glia_game_explain(&g, d.phi, d.errors, out, error);
    out->converged = converged;
    free(d.z);
    free(d.v);
    free(d.weight);
    free(d.sizes);
    free(d.factor);
    free(d.spread);
    free(d.phi);
    free(d.errors);
    glia_game_end(&g);
    return status;
}

const glia_explain_method glia_explain_kernel_shap = {
    .about = { .name = "kernel-shap",
               .summary = "Shapley values by regression on the scores of coalitions",
               .paper = "Lundberg and Lee 2017",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings) },
    .bytes = sizeof(kernel),
    .uses = GLIA_EXPLAIN_GROUPS | GLIA_EXPLAIN_BACKGROUND,
    .run = run,
};
