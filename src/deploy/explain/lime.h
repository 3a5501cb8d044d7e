/* lime.h - how LIME draws neighbours of a sample: tables (lime_table.c), pictures and text (lime.c). */
#ifndef GLIA_SRC_DEPLOY_EXPLAIN_LIME_H
#define GLIA_SRC_DEPLOY_EXPLAIN_LIME_H

#include "deploy/explain/explain.h"

enum { GLIA_LIME_BINS = 4 };

/* A column of the background in quartiles: bin b holds values of (edge[b - 1], edge[b]]. */
typedef struct glia_lime_column {
    int bins;
    double edge[GLIA_LIME_BINS + 1]; /* of bin b: edge[b], edge[b + 1]; the outer ones are the least and most value */
    double share[GLIA_LIME_BINS], mean[GLIA_LIME_BINS], stddev[GLIA_LIME_BINS];
    double from[GLIA_LIME_BINS];                         /* uniform numbers from here on choose the bin */
    double below[GLIA_LIME_BINS], slope[GLIA_LIME_BINS]; /* u - from to a share of the bin's normal distribution */
    double whole_mean, whole_stddev;
} glia_lime_column;

/* Columns (size) of rows (n, size). NULL: out of memory. Release with free(). */
glia_lime_column *glia_lime_columns(const float *rows, int64_t n, int64_t size);
int glia_lime_bin(const glia_lime_column *c, double value);
/* Room for a neighbour's numbers. */
typedef struct glia_lime_scratch {
    double *p, *quantile; /* (size + 1) */
    int *bin;             /* (size) */
} glia_lime_scratch;
/* A neighbour: row (size) for the model and z (size) for the regression: whether each value is in the bin of x, or
 * without bins (bin_of_x NULL) the standardised values. */
void glia_lime_draw(const glia_lime_column *columns, const int *bin_of_x, int64_t size, glia_rng *rng, float *row,
                    double *z, glia_lime_scratch *scratch);

#endif
