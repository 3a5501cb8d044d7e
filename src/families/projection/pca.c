/* pca.c - principal component analysis by eigenvectors of the covariance, or of the Gram matrix if there are fewer
 * points than features.
 *
 * A symmetric matrix is reduced to tridiagonal form by Householder reflections, and to diagonal form by QL steps with
 * implicit shifts (Martin, Reinsch and Wilkinson 1968; Dubrulle, Martin and Wilkinson 1968; Golub and Van Loan, "Matrix
 * Computations", chapter 8).
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/projection/projection.h"

/* ---- eigenvectors ------------------------------------------------------------------------- */

/* a becomes Q with a = Q T Q', T with the diagonal d and e below it (e[i] beside d[i], e[0] unused). Reflections are
 * applied to rows from the last to the first; each is stored in its row until Q is formed. */
static void tridiagonal(double *a, int64_t m, double *d, double *e) {
    for (int64_t i = m - 1; i > 0; i--) {
        double *u = a + i * m, scale = 0, norm = 0;
        for (int64_t k = 0; k < i; k++) scale += fabs(u[k]);
        d[i] = 0;
        if (i == 1 || scale == 0) {
            e[i] = u[i - 1];
            continue;
        }
        for (int64_t k = 0; k < i; k++) {
            u[k] /= scale;
            norm += u[k] * u[k];
        }
        const double last = u[i - 1], root = last >= 0 ? -sqrt(norm) : sqrt(norm);
        e[i] = scale * root;
        norm -= last * root;
        u[i - 1] = last - root;
        double along = 0;
        for (int64_t j = 0; j < i; j++) {
            double sum = 0;
            a[j * m + i] = u[j] / norm;
            for (int64_t k = 0; k <= j; k++) sum += a[j * m + k] * u[k];
            for (int64_t k = j + 1; k < i; k++) sum += a[k * m + j] * u[k];
            e[j] = sum / norm;
            along += e[j] * u[j];
        }
        const double half = along / (norm + norm);
        for (int64_t j = 0; j < i; j++) {
            e[j] -= half * u[j];
            for (int64_t k = 0; k <= j; k++) a[j * m + k] -= u[j] * e[k] + e[j] * u[k];
        }
        d[i] = norm;
    }
    d[0] = e[0] = 0;
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < i && d[i] != 0; j++) {
            double sum = 0;
            for (int64_t k = 0; k < i; k++) sum += a[i * m + k] * a[k * m + j];
            for (int64_t k = 0; k < i; k++) a[k * m + j] -= sum * a[k * m + i];
        }
        d[i] = a[i * m + i];
        a[i * m + i] = 1;
        for (int64_t j = 0; j < i; j++) a[j * m + i] = a[i * m + j] = 0;
    }
}

/* One QL step on the block [l, r] of the tridiagonal matrix; the rotations are applied to the columns of z. */
static void ql_step(double *d, double *e, int64_t l, int64_t r, double *z, int64_t m) {
    double g = (d[l + 1] - d[l]) / (2 * e[l]), length = hypot(g, 1);
    g = d[r] - d[l] + e[l] / (g + copysign(length, g));
    double s = 1, c = 1, shifted = 0;
    int64_t i = r - 1;
    for (; i >= l; i--) {
        const double f = s * e[i], b = c * e[i];
        length = e[i + 1] = hypot(f, g);
        if (length == 0) { /* the block splits */
            d[i + 1] -= shifted;
            e[r] = 0;
            break;
        }
        s = f / length;
        c = g / length;
        g = d[i + 1] - shifted;
        const double t = (d[i] - g) * s + 2 * c * b;
        shifted = s * t;
        d[i + 1] = g + shifted;
        g = c * t - b;
        for (int64_t k = 0; k < m; k++) {
            const double x = z[k * m + i + 1], y = z[k * m + i];
            z[k * m + i + 1] = s * y + c * x;
            z[k * m + i] = c * y - s * x;
        }
    }
    if (i >= l) return;
    d[l] -= shifted;
    e[l] = g;
    e[r] = 0;
}

static bool ql(double *d, double *e, double *z, int64_t m) {
    enum { STEPS = 60 };
    for (int64_t i = 1; i < m; i++) e[i - 1] = e[i];
    e[m - 1] = 0;
    for (int64_t l = 0; l < m; l++) {
        for (int step = 0;; step++) {
            int64_t r = l;
            while (r < m - 1 && fabs(e[r]) > DBL_EPSILON * (fabs(d[r]) + fabs(d[r + 1]))) r++;
            if (r == l) break;
            if (step == STEPS) return false;
            ql_step(d, e, l, r, z, m);
        }
    }
    return true;
}

bool glia_symmetric_eigen(double *a, int64_t m, double *values, double *vectors, double *work) {
    tridiagonal(a, m, values, work);
    if (!ql(values, work, a, m)) return false;
    for (int64_t i = 0; i < m; i++) { /* the largest first, from the columns */
        int64_t best = 0;
        for (int64_t k = 1; k < m; k++)
            if (values[k] > values[best] || (isnan(values[best]) && !isnan(values[k]))) best = k;
        work[i] = values[best];
        values[best] = NAN;
        for (int64_t k = 0; k < m; k++) vectors[i * m + k] = a[k * m + best];
    }
    memcpy(values, work, (size_t)m * sizeof *values);
    return true;
}

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
