/* cma.c - CMA-ES, full and separable (Hansen 2016, "The CMA evolution strategy: a tutorial"; Ros and Hansen 2008).
 *
 *     x_i = m + sigma y_i,  y_i = B D z_i,  z_i ~ N(0, I)
 *     m <- m + sigma sum w_i y_i                       of the better half
 *     p_sigma, sigma                                   the step size follows the length of its path
 *     C <- (1 - ...) C + c1 p_c p_c' + cmu sum w_i y_i y_i'    negative weights for the worse half
 *
 * B and D are the eigenvectors and the square roots of the eigenvalues of C. They are recomputed after telling, once in
 * some generations, so that asking changes nothing.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/evolution/search.h"

enum { RING = 128 }; /* best and median values of as many generations */

/* The parts of the state. */
typedef struct parts {
    double *mean, *path_sigma, *path_c, *d; /* (n) */
    double *c, *b;                          /* (n, n); rows of b are eigenvectors; separable: c (n), no b */
    double *since;                          /* generations since the last decomposition */
    double *bests, *medians;                /* rings */
} parts;

static bool full(const glia_search *s) { return s->opts.kind == GLIA_CMA_ES; }

static parts parts_of(const glia_search *s) {
    const int64_t n = s->n;
    double *at = s->own;
    parts p = { .mean = at, .path_sigma = at + n, .path_c = at + 2 * n, .d = at + 3 * n };
    at += 4 * n;
    p.c = at;
    at += full(s) ? n * n : n;
    p.b = full(s) ? at : NULL;
    at += full(s) ? n * n : 0;
    p.since = at;
    p.bests = at + 1;
    p.medians = p.bests + RING;
    return p;
}

static int64_t numbers(const glia_search *s) {
    const int64_t n = s->n;
    return 4 * n + (full(s) ? 2 * n * n : n) + 1 + 2 * RING;
}

/* ---- rates and weights -------------------------------------------------------------------------- */

typedef struct rates {
    double mueff, cc, cs, damp, c1, cmu, chi, weight_sum, positive, negative;
    int64_t mu;
} rates;

/* The weight of rank i, not yet normalised. */
static double raw(int64_t population, int64_t i) { return log((double)(population + 1) / 2) - log((double)(i + 1)); }

static rates rates_of(const glia_search *s) {
    const double n = s->n;
    const int64_t population = s->place->population;
    rates r = { .mu = population / 2 };
    double sum = 0, squares = 0, below = 0, below_squares = 0;
    for (int64_t i = 0; i < population; i++) {
        const double w = raw(population, i);
        if (i < r.mu)
            sum += w, squares += w * w;
        else
            below -= w, below_squares += w * w;
    }
    r.mueff = sum * sum / squares;
    r.cc = (4 + r.mueff / n) / (n + 4 + 2 * r.mueff / n);
    r.cs = (r.mueff + 2) / (n + r.mueff + 5);
    r.damp = 1 + 2 * fmax(0, sqrt((r.mueff - 1) / (n + 1)) - 1) + r.cs;
    r.c1 = 2 / ((n + 1.3) * (n + 1.3) + r.mueff);
    r.cmu = fmin(1 - r.c1, 2 * (0.25 + r.mueff - 2 + 1 / r.mueff) / ((n + 2) * (n + 2) + r.mueff));
    r.chi = sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n));
    r.positive = 1 / sum;
    if (full(s) && below > 0) {
        const double mueff_below = below * below / below_squares;
        const double most =
            fmin(fmin(1 + r.c1 / r.cmu, 1 + 2 * mueff_below / (r.mueff + 2)), (1 - r.c1 - r.cmu) / (n * r.cmu));
        r.negative = most / below;
    }
    if (!full(s)) { /* fewer numbers to learn */
        r.c1 = fmin(1, r.c1 * (n + 2) / 3);
        r.cmu = fmin(1 - r.c1, r.cmu * (n + 2) / 3);
    }
    for (int64_t i = 0; i < population; i++) {
        r.weight_sum += raw(population, i) * (i < r.mu ? r.positive : r.negative);
    }
    return r;
}

/* ---- a generation ------------------------------------------------------------------------------- */

static void begin(glia_search *s) {
    const parts p = parts_of(s);
    const int64_t n = s->n;
    memset(s->own, 0, (size_t)numbers(s) * sizeof *s->own);
    memcpy(p.mean, s->start, (size_t)n * sizeof *p.mean);
    for (int64_t i = 0; i < n; i++) {
        p.d[i] = p.c[full(s) ? i * n + i : i] = 1;
        if (full(s)) p.b[i * n + i] = 1;
    }
    s->place->sigma = s->place->sigma0;
}

static void ask(glia_search *s, glia_rng *rng) {
    const parts p = parts_of(s);
    const int64_t n = s->n;
    const double sigma = s->place->sigma;
    glia_rng_normals(rng, s->z, s->place->population * n);
    for (int64_t k = 0; k < s->place->population; k++) {
        const double *z = s->z + k * n;
        double *x = s->x + k * n;
        memcpy(x, p.mean, (size_t)n * sizeof *x);
        for (int64_t i = 0; i < n; i++) {
            const double along = sigma * p.d[i] * z[i];
            if (!p.b) {
                x[i] += along;
                continue;
            }
            const double *axis = p.b + i * n;
            for (int64_t j = 0; j < n; j++) x[j] += along * axis[j];
        }
    }
}

/* The mean moves to that of the better half; `y` (n): by how much, in units of sigma; `z` (n): in those of the
 * distribution. */
static void move_mean(glia_search *s, const rates *r, double *y, double *z) {
    const parts p = parts_of(s);
    const int64_t n = s->n;
    const double sigma = s->place->sigma;
    memset(y, 0, (size_t)n * sizeof *y);
    memset(z, 0, (size_t)n * sizeof *z);
    for (int64_t i = 0; i < r->mu; i++) {
        const double w = raw(s->place->population, i) * r->positive;
        const double *xi = s->x + s->order[i] * n, *zi = s->z + s->order[i] * n;
        for (int64_t j = 0; j < n; j++) {
            y[j] += w * (xi[j] - p.mean[j]) / sigma;
            z[j] += w * zi[j];
        }
    }
}

static void adapt_covariance(glia_search *s, const rates *r, double stall, double *y) {
    const parts p = parts_of(s);
    const int64_t n = s->n;
    const double keep = 1 + r->c1 * stall - r->c1 - r->cmu * r->weight_sum;
    const int64_t rows = p.b ? n : 1;
    for (int64_t i = 0; i < rows * n; i++) p.c[i] *= keep;
    for (int64_t k = -1; k < (p.b && r->negative > 0 ? s->place->population : r->mu); k++) {
        double w = r->c1;
        const double *u = p.path_c;
        if (k >= 0) {
            const double *x = s->x + s->order[k] * n, *z = s->z + s->order[k] * n;
            double square = DBL_MIN;
            for (int64_t j = 0; j < n; j++) y[j] = (x[j] - p.mean[j]) / s->place->sigma, square += z[j] * z[j];
            w = r->cmu * raw(s->place->population, k) * (k < r->mu ? r->positive : r->negative * (double)n / square);
            u = y;
        }
        for (int64_t i = 0; i < n; i++) {
            if (!p.b) {
                p.c[i] += w * u[i] * u[i];
                continue;
            }
            double *row = p.c + i * n;
            const double along = w * u[i];
            for (int64_t j = 0; j <= i; j++) row[j] += along * u[j];
        }
    }
}

/* B and D from C, whose lower half counts. */
static void decompose(glia_search *s) {
    const parts p = parts_of(s);
    const int64_t n = s->n;
    if (!p.b) {
        for (int64_t i = 0; i < n; i++) p.d[i] = sqrt(p.c[i]);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < i; j++) p.c[j * n + i] = p.c[i * n + j];
    }
    memcpy(s->work, p.c, (size_t)(n * n) * sizeof *p.c);
    if (!glia_symmetric_eigen(s->work, n, p.d, p.b, s->work + n * n)) return;
    for (int64_t i = 0; i < n; i++) p.d[i] = p.d[i] > 0 ? sqrt(p.d[i]) : 0;
}

static void remember(glia_search *s) {
    const parts p = parts_of(s);
    const int64_t at = s->place->run_generation % RING;
    p.bests[at] = s->values[s->order[0]];
    p.medians[at] = s->values[s->order[s->place->population / 2]];
}

static void tell(glia_search *s, glia_rng *rng) {
    (void)rng;
    const rates r = rates_of(s);
    const parts p = parts_of(s);
    const int64_t n = s->n;
    double *y = s->work + (p.b ? n * n : 0), *z = y + n, *one = z + n;
    move_mean(s, &r, y, z);
    double length = 0;
    for (int64_t j = 0; j < n; j++) one[j] = p.b ? 0 : z[j];
    for (int64_t i = 0; p.b && i < n; i++) { /* B z: y without the lengths of the axes */
        for (int64_t j = 0; j < n; j++) one[j] += z[i] * p.b[i * n + j];
    }
    for (int64_t j = 0; j < n; j++) {
        p.path_sigma[j] = (1 - r.cs) * p.path_sigma[j] + sqrt(r.cs * (2 - r.cs) * r.mueff) * one[j];
        length += p.path_sigma[j] * p.path_sigma[j];
    }
    length = sqrt(length);
    const double warm = 1 - pow(1 - r.cs, 2 * (double)(s->place->run_generation + 1));
    const bool moves = length / sqrt(warm) < (1.4 + 2 / ((double)n + 1)) * r.chi;
    for (int64_t j = 0; j < n; j++) {
        p.path_c[j] = (1 - r.cc) * p.path_c[j] + (moves ? sqrt(r.cc * (2 - r.cc) * r.mueff) * y[j] : 0);
    }
    adapt_covariance(s, &r, moves ? 0 : r.cc * (2 - r.cc), one);
    for (int64_t j = 0; j < n; j++) p.mean[j] += s->place->sigma * y[j];
    s->place->sigma *= exp(fmin(1, r.cs / r.damp * (length / r.chi - 1)));
    remember(s);
    if (++*p.since * (r.c1 + r.cmu) * (double)n * 10 >= 1) {
        decompose(s);
        *p.since = 0;
    }
}

/* ---- when a run is over -------------------------------------------------------------------------- */

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of 20 entries of a ring, the first `age` generations ago. */
static double median_of(const double *ring, int64_t now, int64_t age) {
    enum { SOME = 20 };
    double some[SOME];
    for (int i = 0; i < SOME; i++) some[i] = ring[(now - age + i) % RING];
    qsort(some, SOME, sizeof *some, compare);
    return some[SOME / 2];
}

static double extreme_axes(const glia_search *s, double *least) {
    const parts p = parts_of(s);
    double most = 0;
    *least = INFINITY;
    for (int64_t i = 0; i < s->n; i++) {
        most = fmax(most, p.d[i]);
        *least = fmin(*least, p.d[i]);
    }
    return most;
}

static double condition(const glia_search *s) {
    double least, most = extreme_axes(s, &least);
    return most * most / (least * least);
}

/* No coordinate, or none of the axes, changes the mean any more. */
static bool without_effect(const glia_search *s) {
    const parts p = parts_of(s);
    const int64_t n = s->n, axis = s->place->run_generation % n;
    bool along = p.b != NULL;
    for (int64_t i = 0; i < n; i++) {
        const double deviation = s->place->sigma * sqrt(p.c[p.b ? i * n + i : i]);
        if (p.mean[i] == p.mean[i] + 0.2 * deviation) return true;
        if (p.b && p.mean[i] != p.mean[i] + 0.1 * s->place->sigma * p.d[axis] * p.b[axis * n + i]) along = false;
    }
    return along;
}

static const char *stopped(const glia_search *s) {
    const parts p = parts_of(s);
    const glia_search_place *at = s->place;
    const int64_t now = at->run_generation, recent = GLIA_MIN(10 + 30 * s->n / at->population, RING);
    double least, most = extreme_axes(s, &least), low = INFINITY, high = -INFINITY;
    if (now == 0) return NULL;
    if (!(at->sigma * most < 1e4 * at->sigma0 * fmax(1, most / fmax(least, DBL_MIN)))) return "tolupsigma";
    if (!(most < 1e7 * least)) return "conditioncov";
    for (int64_t i = 1; i <= GLIA_MIN(recent, now); i++) {
        low = fmin(low, p.bests[(now - i) % RING]);
        high = fmax(high, p.bests[(now - i) % RING]);
    }
    for (int64_t i = 0; i < at->population; i++) high = fmax(high, s->values[i]);
    if (now >= recent && high - low < 1e-11) return "tolfun";
    double widest = 0;
    for (int64_t i = 0; i < s->n; i++) {
        widest = fmax(widest, fmax(sqrt(p.c[p.b ? i * s->n + i : i]), fabs(p.path_c[i])));
    }
    if (at->sigma * widest < 1e-11 * at->sigma0) return "tolx";
    if (without_effect(s)) return "noeffect";
    if (now >= RING && now >= 100 + 100 * (int64_t)pow(s->n, 1.5) / at->population &&
        median_of(p.bests, now, 20) >= median_of(p.bests, now, RING) &&
        median_of(p.medians, now, 20) >= median_of(p.medians, now, RING))
        return "stagnation";
    return NULL;
}

static void mean(const glia_search *s, double *x) { memcpy(x, parts_of(s).mean, (size_t)s->n * sizeof *x); }

const glia_strategy glia_strategy_cma = { .name = "cma-es",
                                          .numbers = numbers,
                                          .begin = begin,
                                          .ask = ask,
                                          .tell = tell,
                                          .stopped = stopped,
                                          .mean = mean,
                                          .condition = condition };
const glia_strategy glia_strategy_sep_cma = { .name = "sep-cma-es",
                                              .numbers = numbers,
                                              .begin = begin,
                                              .ask = ask,
                                              .tell = tell,
                                              .stopped = stopped,
                                              .mean = mean,
                                              .condition = condition };
