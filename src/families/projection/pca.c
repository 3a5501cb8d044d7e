/* pca.c - principal component analysis by eigenvectors of the covariance, or of the Gram matrix if there are fewer
 * points than features.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/projection/projection.h"

/* ---- components --------------------------------------------------------------------------- */

typedef struct pca {
    int64_t n, size, m;
    double *centred; /* (n, size) */
    double *matrix, *vectors, *values, *work;
} pca;

static void centre(pca *p, const float *x) {
    for (int64_t k = 0; k < p->size; k++) {
        double mean = 0;
        for (int64_t i = 0; i < p->n; i++) mean += x[i * p->size + k];
        mean /= (double)p->n;
        for (int64_t i = 0; i < p->n; i++) p->centred[i * p->size + k] = x[i * p->size + k] - mean;
    }
}

/* Products of columns, or of rows if these are fewer, divided by n - 1. */
static void multiply(pca *p) {
    const bool columns = p->m == p->size;
    memset(p->matrix, 0, (size_t)(p->m * p->m) * sizeof *p->matrix);
    for (int64_t i = 0; columns && i < p->n; i++) {
        const double *row = p->centred + i * p->size;
        for (int64_t j = 0; j < p->m; j++)
            for (int64_t k = 0; k <= j; k++) p->matrix[j * p->m + k] += row[j] * row[k];
    }
    for (int64_t j = 0; !columns && j < p->m; j++) {
        for (int64_t k = 0; k <= j; k++) {
            double sum = 0;
            for (int64_t c = 0; c < p->size; c++) sum += p->centred[j * p->size + c] * p->centred[k * p->size + c];
            p->matrix[j * p->m + k] = sum;
        }
    }
    for (int64_t j = 0; j < p->m; j++)
        for (int64_t k = 0; k <= j; k++) p->matrix[k * p->m + j] = p->matrix[j * p->m + k] /= (double)(p->n - 1);
}

/* The direction of component i, a unit vector whose largest entry is positive. */
static void find_axis(const pca *p, int64_t i, double *axis) {
    const double *vector = p->vectors + i * p->m;
    if (p->m == p->size) {
        memcpy(axis, vector, (size_t)p->size * sizeof *axis);
    } else {
        memset(axis, 0, (size_t)p->size * sizeof *axis);
        for (int64_t r = 0; r < p->n; r++)
            for (int64_t k = 0; k < p->size; k++) axis[k] += vector[r] * p->centred[r * p->size + k];
    }
    double length = 0, largest = 0;
    for (int64_t k = 0; k < p->size; k++) {
        length += axis[k] * axis[k];
        if (fabs(axis[k]) > fabs(largest)) largest = axis[k];
    }
    const double by = length > 0 ? copysign(1 / sqrt(length), largest) : 0;
    for (int64_t k = 0; k < p->size; k++) axis[k] *= by;
}

static void take(const pca *p, int components, glia_pca_result result, double *axis) {
    for (int c = 0; c < components; c++) {
        find_axis(p, c, axis);
        if (result.axes) memcpy(result.axes + c * p->size, axis, (size_t)p->size * sizeof *axis);
        if (result.variance) result.variance[c] = GLIA_MAX(p->values[c], 0.0);
        for (int64_t i = 0; i < p->n && result.y; i++) {
            double sum = 0;
            for (int64_t k = 0; k < p->size; k++) sum += p->centred[i * p->size + k] * axis[k];
            result.y[i * components + c] = sum;
        }
    }
}

static double *numbers(int64_t a, int64_t b) {
    size_t count, bytes;
    if (!glia_mul_fits((size_t)a, (size_t)b, &count) || !glia_mul_fits(count, sizeof(double), &bytes)) return NULL;
    return malloc(bytes);
}

glia_status glia_pca(const float *x, int64_t n, int64_t size, int components, glia_pca_result result,
                     glia_error *error) {
    if (n < 2 || size < 1 || components < 1 || components > n || components > size) {
        return glia_fail(error, GLIA_E_ARGUMENT, "pca: %d components of %lld points of size %lld are not possible",
                         components, (long long)n, (long long)size);
    }
    for (int64_t i = 0; i < n * size; i++) {
        if (!isfinite(x[i])) {
            return glia_fail(error, GLIA_E_ARGUMENT, "pca: value %lld of point %lld is not finite",
                             (long long)(i % size), (long long)(i / size));
        }
    }
    pca p = { .n = n, .size = size, .m = GLIA_MIN(n, size) };
    p.centred = numbers(n, size);
    p.matrix = numbers(p.m, p.m);
    p.vectors = numbers(p.m, p.m);
    p.values = numbers(p.m, 1);
    p.work = numbers(p.m, 1);
    double *axis = numbers(size, 1);
    glia_status status =
        p.centred && p.matrix && p.vectors && p.values && p.work && axis ? GLIA_OK : glia_fail_nomem(error);
    if (!status) {
        centre(&p, x);
        multiply(&p);
        if (glia_symmetric_eigen(p.matrix, p.m, p.values, p.vectors, p.work))
            take(&p, components, result, axis);
        else
            status = glia_fail(error, GLIA_E_INTERNAL, "pca: the eigenvalues do not converge");
    }
    free(p.centred);
    free(p.matrix);
    free(p.vectors);
    free(p.values);
    free(p.work);
    free(axis);
    return status;
}
