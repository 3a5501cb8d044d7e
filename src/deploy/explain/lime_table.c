/* lime_table.c - neighbours of a row of a table, as the package lime draws them.
 *
 * Each column is cut at the quartiles of the background. A neighbour's bin is drawn by how full the bins are, its value
 * from a normal distribution with the bin's mean and deviation, cut to the bin. Without bins values are drawn from a
 * normal distribution with the column's mean and deviation.
 */
#include <math.h>
#include <stdlib.h>

#include "deploy/explain/lime.h"

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* numpy.percentile of sorted values, interpolated. */
static double percentile(const double *sorted, int64_t n, double share) {
    const double at = share * (double)(n - 1);
    const int64_t below = (int64_t)at;
    const double next = sorted[GLIA_MIN(below + 1, n - 1)];
    return sorted[below] + (at - (double)below) * (next - sorted[below]);
}

int glia_lime_bin(const glia_lime_column *c, double value) {
    int bin = 0;
    while (bin < c->bins - 1 && value > c->edge[bin + 1]) bin++;
    return bin;
}

/* The three quartiles without repetitions are the inner edges. */
static void cut(glia_lime_column *c, const double *sorted, int64_t n) {
    int inner = 0;
    for (int q = 1; q < GLIA_LIME_BINS; q++) {
        const double edge = percentile(sorted, n, (double)q / GLIA_LIME_BINS);
        if (inner == 0 || edge > c->edge[inner]) c->edge[++inner] = edge;
    }
    c->bins = inner + 1;
    c->edge[0] = sorted[0];
    c->edge[c->bins] = sorted[n - 1];
}

/* Where the bins begin among uniform numbers; empty ones at the end, and those that do not exist, beyond all. */
static void stack(glia_lime_column *c) {
    double sum = 0;
    int last = 0;
    for (int b = 0; b < c->bins; b++) {
        c->from[b] = sum;
        sum += c->share[b];
        if (c->share[b] > 0) last = b;
    }
    for (int b = last + 1; b < GLIA_LIME_BINS; b++) c->from[b] = 2;
}

static double normal_share(double z) { return 0.5 * erfc(-z * sqrt(0.5)); }

static void describe(glia_lime_column *c, const double *values, int64_t n) {
    double square[GLIA_LIME_BINS] = { 0 }, count[GLIA_LIME_BINS] = { 0 }, whole = 0;
    for (int64_t i = 0; i < n; i++) {
        const int b = glia_lime_bin(c, values[i]);
        c->mean[b] += values[i];
        c->whole_mean += values[i] / (double)n;
        count[b]++;
    }
    for (int b = 0; b < c->bins; b++) c->mean[b] = count[b] > 0 ? c->mean[b] / count[b] : 0;
    for (int64_t i = 0; i < n; i++) {
        const int b = glia_lime_bin(c, values[i]);
        square[b] += (values[i] - c->mean[b]) * (values[i] - c->mean[b]);
        whole += (values[i] - c->whole_mean) * (values[i] - c->whole_mean);
    }
    for (int b = 0; b < c->bins; b++) {
        c->share[b] = count[b] / (double)n;
        c->stddev[b] = count[b] > 0 ? sqrt(square[b] / count[b]) : 0;
        c->below[b] = 0.5; /* the mean */
        if (c->stddev[b] == 0) continue;
        c->below[b] = normal_share((c->edge[b] - c->mean[b]) / c->stddev[b]);
        const double end = normal_share((c->edge[b + 1] - c->mean[b]) / c->stddev[b]);
        c->slope[b] = (end - c->below[b]) / c->share[b];
    }
    stack(c);
    c->whole_stddev = whole > 0 ? sqrt(whole / (double)n) : 1;
}

glia_lime_column *glia_lime_columns(const float *rows, int64_t n, int64_t size) {
    glia_lime_column *columns = calloc((size_t)size, sizeof *columns);
    double *sorted = malloc((size_t)n * sizeof *sorted);
    for (int64_t c = 0; columns && sorted && c < size; c++) {
        for (int64_t i = 0; i < n; i++) sorted[i] = (double)rows[i * size + c];
        qsort(sorted, (size_t)n, sizeof *sorted, ascending);
        cut(&columns[c], sorted, n);
        describe(&columns[c], sorted, n);
    }
    if (!sorted) {
        free(columns);
        columns = NULL;
    }
    free(sorted);
    return columns;
}

/* Quantiles of N(0, 1): rational functions of Acklam 2003, relative error below 1.2e-9. */
static const double tail_share = 0.02425;

static double tail_quantile(double p) {
    static const double a[] = { -7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                                -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00 };
    static const double b[] = { 7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                                3.754408661907416e+00 };
    const double q = sqrt(-2 * log(fmax(p < 0.5 ? p : 1 - p, 1e-300)));
    const double low = (((((a[0] * q + a[1]) * q + a[2]) * q + a[3]) * q + a[4]) * q + a[5]) /
                       ((((b[0] * q + b[1]) * q + b[2]) * q + b[3]) * q + 1);
    return p < 0.5 ? low : -low;
}

typedef double pair __attribute__((vector_size(16), aligned(8), may_alias));

static pair middle_quantiles(pair p) {
    static const double a[] = { -3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                                1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00 };
    static const double b[] = { -5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
                                6.680131188771972e+01, -1.328068155288572e+01 };
    const pair q = p - 0.5, r = q * q;
    return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
           (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

/* z (n): the quantiles of p (n). Both have room for n + 1. Most are in the middle, which is computed for all, without
 * branches. */
static void normal_quantiles(double *p, int64_t n, double *z) {
    p[n] = 0.5;
    for (int64_t i = 0; i < n; i += 2) *(pair *)(z + i) = middle_quantiles(*(const pair *)(p + i));
    for (int64_t i = 0; i < n; i++) {
        if (fabs(p[i] - 0.5) >= 0.5 - tail_share) z[i] = tail_quantile(p[i]);
    }
}

/* Which bin a uniform number chooses. */
static int bin_of(const glia_lime_column *c, double u) {
    return (u >= c->from[1]) + (u >= c->from[2]) + (u >= c->from[3]);
}

/* Turns uniform numbers into shares of the distributions of the bins that they choose. */
static void choose_bins(const glia_lime_column *restrict columns, int64_t size, double *restrict p, int *restrict bin) {
    for (int64_t i = 0; i < size; i++) {
        const glia_lime_column *c = &columns[i];
        const int b = bin_of(c, p[i]);
        p[i] = c->below[b] + (p[i] - c->from[b]) * c->slope[b];
        bin[i] = b;
    }
}

/* Values of the bins at these quantiles, and whether x has the same bins. */
static void fill_bins(const glia_lime_column *restrict columns, const int *restrict bin_of_x, int64_t size,
                      const double *restrict quantile, const int *restrict bin, float *restrict row,
                      double *restrict z) {
    for (int64_t i = 0; i < size; i++) {
        const glia_lime_column *c = &columns[i];
        const int b = bin[i];
        const double v = c->mean[b] + c->stddev[b] * quantile[i];
        row[i] = (float)GLIA_MIN(GLIA_MAX(v, c->edge[b]), c->edge[b + 1]);
        z[i] = b == bin_of_x[i];
    }
}

void glia_lime_draw(const glia_lime_column *columns, const int *bin_of_x, int64_t size, glia_rng *rng, float *row,
                    double *z, glia_lime_scratch *s) {
    glia_rng_uniforms(rng, s->p, size);
    if (bin_of_x) choose_bins(columns, size, s->p, s->bin);
    normal_quantiles(s->p, size, s->quantile);
    if (bin_of_x) {
        fill_bins(columns, bin_of_x, size, s->quantile, s->bin, row, z);
        return;
    }
    for (int64_t i = 0; i < size; i++) {
        z[i] = s->quantile[i];
        row[i] = (float)(columns[i].whole_mean + columns[i].whole_stddev * z[i]);
    }
}
