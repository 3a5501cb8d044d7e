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
    }
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

static double draw_in_bin(const glia_lime_column *c, int b, glia_rng *rng) {
    enum { TRIES = 64 };
    double value = c->mean[b];
    for (int i = 0; i < TRIES; i++) {
        value = c->mean[b] + c->stddev[b] * glia_rng_normal(rng);
        if (value >= c->edge[b] && value <= c->edge[b + 1]) return value;
    }
    return fmin(fmax(value, c->edge[b]), c->edge[b + 1]);
}

void glia_lime_draw(const glia_lime_column *columns, const float *x, int64_t size, bool bins, glia_rng *rng, float *row,
                    double *z) {
    for (int64_t i = 0; i < size; i++) {
        const glia_lime_column *c = &columns[i];
        if (!bins) {
            z[i] = glia_rng_normal(rng);
            row[i] = (float)(c->whole_mean + c->whole_stddev * z[i]);
            continue;
        }
        double u = glia_rng_uniform(rng);
        int b = 0;
        while (b < c->bins - 1 && u >= c->share[b]) u -= c->share[b++];
        row[i] = (float)draw_in_bin(c, b, rng);
        z[i] = b == glia_lime_bin(c, (double)x[i]);
    }
}
