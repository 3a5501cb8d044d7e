/* solve.c - small symmetric systems, by Cholesky's factors. */
#include <math.h>

#include "deploy/explain/explain.h"

void glia_factor(double *a, int64_t n, double least) {
    double most = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, a[i * n + i]);
    for (int64_t j = 0; j < n; j++) {
        double d = a[j * n + j];
        for (int64_t k = 0; k < j; k++) d -= a[j * n + k] * a[j * n + k];
        d = sqrt(fmax(d, fmax(least * most, 1e-300)));
        a[j * n + j] = d;
        for (int64_t i = j + 1; i < n; i++) {
            double s = a[i * n + j];
            for (int64_t k = 0; k < j; k++) s -= a[i * n + k] * a[j * n + k];
            a[i * n + j] = s / d;
        }
    }
}

void glia_solve(const double *l, int64_t n, double *b) {
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < i; k++) b[i] -= l[i * n + k] * b[k];
        b[i] /= l[i * n + i];
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        for (int64_t k = i + 1; k < n; k++) b[i] -= l[k * n + i] * b[k];
        b[i] /= l[i * n + i];
    }
}
