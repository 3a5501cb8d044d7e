/* som.c - self-organising maps (Kohonen 1982), and components by Hebbian rules (Hebb 1949, Oja 1982, Sanger 1989). */
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "glia/spiking.h"

static bool is_map(const glia_som *som) {
    return som && som->weights && som->rows > 0 && som->columns > 0 && som->features > 0;
}

static double square_distance(const glia_som *som, int64_t unit, const float *x) {
    const float *w = som->weights + unit * som->features;
    double sum = 0;
    for (int64_t k = 0; k < som->features; k++) {
        const double d = (double)x[k] - (double)w[k];
        sum += d * d;
    }
    return sum;
}

int64_t glia_som_winner(const glia_som *som, const float *x, int64_t *second) {
    if (!is_map(som) || !x) return -1;
    int64_t best = -1, next = -1;
    double least = INFINITY, after = INFINITY;
    for (int64_t u = 0; u < som->rows * som->columns; u++) {
        const double d = square_distance(som, u, x);
        if (d < least) {
            after = least, next = best;
            least = d, best = u;
        } else if (d < after) {
            after = d, next = u;
        }
    }
    if (second) *second = next;
    return best;
}

glia_status glia_som_step(glia_som *som, const float *x, int64_t t, glia_som_opts o, glia_error *error) {
    if (!som) return glia_fail_null(error, "som");
    if (!x) return glia_fail_null(error, "x");
    const double rate0 = glia_option(o.rate, 0.5), sigma0 = glia_option(o.sigma, 1);
    if (!is_map(som) || o.iterations < 1 || t < 0 || !(rate0 >= 0 && rate0 <= 1) || !(isfinite(sigma0) && sigma0 > 0))
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "som: a map of %lld x %lld of %lld features, rate %g, sigma %g, iteration %lld of %lld",
                         (long long)som->rows, (long long)som->columns, (long long)som->features, rate0, sigma0,
                         (long long)t, (long long)o.iterations);
    const double fall = 1 / (1 + (double)t / ((double)o.iterations / 2)), rate = rate0 * fall, sigma = sigma0 * fall;
    const int64_t winner = glia_som_winner(som, x, NULL);
    if (winner < 0) return glia_fail(error, GLIA_E_ARGUMENT, "som: the sample has values that are not finite");
    for (int64_t u = 0; u < som->rows * som->columns; u++) {
        const double dr = (double)(u / som->columns - winner / som->columns);
        const double dc = (double)(u % som->columns - winner % som->columns);
        const double by = rate * exp(-(dr * dr + dc * dc) / (2 * sigma * sigma));
        float *w = som->weights + u * som->features;
        for (int64_t k = 0; k < som->features; k++) w[k] += (float)(by * ((double)x[k] - (double)w[k]));
    }
    return GLIA_OK;
}

double glia_som_quantization_error(const glia_som *som, const float *x, int64_t n) {
    if (!is_map(som) || !x || n < 1) return NAN;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *one = x + i * som->features;
        const int64_t winner = glia_som_winner(som, one, NULL);
        sum += winner < 0 ? NAN : sqrt(square_distance(som, winner, one));
    }
    return sum / (double)n;
}

double glia_som_topographic_error(const glia_som *som, const float *x, int64_t n) {
    if (!is_map(som) || !x || n < 1 || som->rows * som->columns < 2) return NAN;
    int64_t torn = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t second;
        const int64_t first = glia_som_winner(som, x + i * som->features, &second);
        if (first < 0 || second < 0) return NAN;
        const int64_t dr = llabs(first / som->columns - second / som->columns);
        const int64_t dc = llabs(first % som->columns - second % som->columns);
        torn += dr > 1 || dc > 1;
    }
    return (double)torn / (double)n;
}

/* ---- components ------------------------------------------------------------------------------------- */

glia_status glia_hebbian_step(glia_hebbian_rule rule, double *weights, int64_t units, int64_t features, const double *x,
                              double rate, glia_error *error) {
    if (!weights) return glia_fail_null(error, "weights");
    if (!x) return glia_fail_null(error, "x");
    if ((unsigned)rule > GLIA_SANGER || units < 1 || features < 1 || !isfinite(rate))
        return glia_fail(error, GLIA_E_ARGUMENT, "hebbian step: rule %d, %lld units of %lld features, rate %g",
                         (int)rule, (long long)units, (long long)features, rate);
    double *rest = malloc((size_t)features * sizeof *rest); /* x without what units so far have explained */
    if (!rest) return glia_fail_nomem(error);
    for (int64_t k = 0; k < features; k++) rest[k] = x[k];
    for (int64_t u = 0; u < units; u++) {
        double *w = weights + u * features, y = 0;
        for (int64_t k = 0; k < features; k++) y += w[k] * x[k];
        for (int64_t k = 0; k < features; k++) {
            const double before = w[k];
            if (rule == GLIA_SANGER) rest[k] -= y * before;
            w[k] += rate * y * (rule == GLIA_HEBB ? x[k] : rule == GLIA_OJA ? x[k] - y * before : rest[k]);
        }
    }
    free(rest);
    return GLIA_OK;
}
