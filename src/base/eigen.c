/* eigen.c - eigenvalues and eigenvectors of symmetric matrices.
 *
 * A symmetric matrix is reduced to tridiagonal form by Householder reflections, and to diagonal form by QL steps with
 * implicit shifts (Martin, Reinsch and Wilkinson 1968; Dubrulle, Martin and Wilkinson 1968; Golub and Van Loan, "Matrix
 * Computations", chapter 8).
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/base.h"

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

/* One QL step on the block [l, r] of the tridiagonal matrix; the rotations are applied to the rows of z. */
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
        double *restrict row = z + i * m, *restrict next = row + m;
        for (int64_t k = 0; k < m; k++) {
            const double x = next[k], y = row[k];
            next[k] = s * y + c * x;
            row[k] = c * y - s * x;
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
    for (int64_t i = 0; i < m; i++) { /* rotations of rows are faster than of columns */
        for (int64_t k = 0; k < i; k++) {
            const double q = a[i * m + k];
            a[i * m + k] = a[k * m + i];
            a[k * m + i] = q;
        }
    }
    if (!ql(values, work, a, m)) return false;
    for (int64_t i = 0; i < m; i++) { /* the largest first */
        int64_t best = 0;
        for (int64_t k = 1; k < m; k++)
            if (values[k] > values[best] || (isnan(values[best]) && !isnan(values[k]))) best = k;
        work[i] = values[best];
        values[best] = NAN;
        memcpy(vectors + i * m, a + best * m, (size_t)m * sizeof *vectors);
    }
    memcpy(values, work, (size_t)m * sizeof *values);
    return true;
}
