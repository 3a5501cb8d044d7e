/* ridge.h - linear regression with a penalty, by sums over samples that may come in parts. */
#ifndef GLIA_SRC_FAMILIES_SPIKING_RIDGE_H
#define GLIA_SRC_FAMILIES_SPIKING_RIDGE_H

#include "base/base.h"

typedef struct glia_ridge {
    int64_t features, outputs;
    double *a; /* (features + 1, features + 1), the lower part: sums of x x^T, with a 1 after each x */
    double *b; /* (outputs, features + 1): sums of y x^T */
} glia_ridge;

/* Close it also after a failure. */
glia_status glia_ridge_open(glia_ridge *ridge, int64_t features, int64_t outputs, glia_error *error);
void glia_ridge_close(glia_ridge *ridge);
/* x (n, features), y (n, outputs); the same bits at any number of threads. */
void glia_ridge_add(glia_ridge *ridge, const float *x, const float *y, int64_t n, glia_pool *pool);
/* w (outputs, features + 1), the last column the bias, as glia_ridge_fit() gives it. The sums stay. */
glia_status glia_ridge_solve(const glia_ridge *ridge, double penalty, float *w, glia_error *error);

#endif
