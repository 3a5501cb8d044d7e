/* distances.c - distances between sets of samples by their features: Fréchet distance, kernel distance, precision and
 * recall, classifier score, modes (samples.h).
 */
#include "glia/samples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

static glia_status check_pair(const char *what, const glia_features *a, const glia_features *b, int64_t least,
                              glia_error *error) {
    if (!a->x || !b->x) return glia_fail_null(error, "x");
    if (a->size == b->size && a->size >= 1 && a->n >= least && b->n >= least) return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "%s: sets of (%lld, %lld) and (%lld, %lld), of at least %lld rows each", what,
                     (long long)a->n, (long long)a->size, (long long)b->n, (long long)b->size, (long long)least);
}

/* In eight sums, so that the order of additions is fixed and vectors can be used. */
static double dot(const float *a, const float *b, int64_t n) {
    double sums[8] = { 0 }, sum = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) sums[k] += (double)a[i + k] * (double)b[i + k];
    for (; i < n; i++) sum += (double)a[i] * (double)b[i];
    for (int k = 0; k < 8; k++) sum += sums[k];
    return sum;
}

static double square_distance(const float *a, const float *b, int64_t n) {
    double sums[8] = { 0 }, sum = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) {
            const double d = (double)a[i + k] - (double)b[i + k];
            sums[k] += d * d;
        }
    for (; i < n; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    for (int k = 0; k < 8; k++) sum += sums[k];
    return sum;
}

/* ---- Fréchet distance --------------------------------------------------------------------------- */

/* mean (size) and covariance (size, size); row: scratch (size). */
static void moments(const glia_features *f, double *mean, double *covariance, double *row) {
    const int64_t d = f->size;
    memset(mean, 0, (size_t)d * sizeof *mean);
    memset(covariance, 0, (size_t)(d * d) * sizeof *covariance);
    for (int64_t i = 0; i < f->n; i++)
        for (int64_t k = 0; k < d; k++) mean[k] += (double)f->x[i * d + k];
    for (int64_t k = 0; k < d; k++) mean[k] /= (double)f->n;
    for (int64_t i = 0; i < f->n; i++) {
        for (int64_t k = 0; k < d; k++) row[k] = (double)f->x[i * d + k] - mean[k];
        for (int64_t j = 0; j < d; j++)
            for (int64_t k = 0; k <= j; k++) covariance[j * d + k] += row[j] * row[k];
    }
    for (int64_t j = 0; j < d; j++)
        for (int64_t k = 0; k <= j; k++) covariance[k * d + j] = covariance[j * d + k] /= (double)(f->n - 1);
}

/* out = a b, or with `transposed` a^T b, of (d, d). */
static void product(const double *a, const double *b, double *out, int64_t d, bool transposed) {
    memset(out, 0, (size_t)(d * d) * sizeof *out);
    for (int64_t i = 0; i < d; i++)
        for (int64_t j = 0; j < d; j++) {
            const double factor = transposed ? a[j * d + i] : a[i * d + j];
            for (int64_t k = 0; k < d; k++) out[i * d + k] += factor * b[j * d + k];
        }
}

/* The trace of (S T)^(1/2): the sum of the roots of the eigenvalues of R T R, where R is the root of S. Overwrites s
 * and t; m[0..2] (d, d), values and work (d). false: not finite. */
static bool root_trace(double *s, double *t, double *const m[3], double *values, double *work, int64_t d,
                       double *trace) {
    if (!glia_symmetric_eigen(s, d, values, m[0], work)) return false;
    for (int64_t i = 0; i < d; i++) {
        const double root = sqrt(fmax(values[i], 0));
        for (int64_t k = 0; k < d; k++) m[1][i * d + k] = root * m[0][i * d + k];
    }
    product(m[0], m[1], m[2], d, true); /* R = V^T diag(root) V */
    product(m[2], t, m[1], d, false);   /* R T */
    product(m[1], m[2], t, d, false);   /* R T R */
    for (int64_t i = 0; i < d; i++)
        for (int64_t k = 0; k < i; k++) t[i * d + k] = t[k * d + i] = 0.5 * (t[i * d + k] + t[k * d + i]);
    if (!glia_symmetric_eigen(t, d, values, m[0], work)) return false;
    *trace = 0;
    for (int64_t i = 0; i < d; i++) *trace += sqrt(fmax(values[i], 0));
    return true;
}

glia_status glia_frechet_distance(glia_features a, glia_features b, double *distance, glia_error *error) {
    if (!distance) return glia_fail_null(error, "distance");
    glia_status status = check_pair("frechet_distance", &a, &b, 2, error);
    if (status != GLIA_OK) return status;
    const int64_t d = a.size;
    if (d > 1 << 14) return glia_fail(error, GLIA_E_ARGUMENT, "frechet_distance: %lld features", (long long)d);
    double *memory = calloc((size_t)(5 * d * d + 5 * d), sizeof *memory);
    if (!memory) return glia_fail_nomem(error);
    double *s = memory, *t = s + d * d, *const m[3] = { t + d * d, t + 2 * d * d, t + 3 * d * d };
    double *mean = t + 4 * d * d, *other = mean + d, *values = other + d, *work = values + d, *row = work + d;
    moments(&a, mean, s, row);
    moments(&b, other, t, row);
    double sum = 0, trace;
    for (int64_t k = 0; k < d; k++) sum += (mean[k] - other[k]) * (mean[k] - other[k]) + s[k * d + k] + t[k * d + k];
    if (isfinite(sum) && root_trace(s, t, m, values, work, d, &trace)) {
        *distance = fmax(sum - 2 * trace, 0);
    } else {
        status = glia_fail(error, GLIA_E_ARGUMENT, "frechet_distance: features are not finite");
    }
    free(memory);
    return status;
}

/* ---- kernel distance ------------------------------------------------------------------------------ */

static double kernel(const float *x, const float *y, int64_t size) {
    const double k = dot(x, y, size) / (double)size + 1;
    return k * k * k;
}

/* The mean of the kernel over pairs of different rows of one set, or over all pairs of rows of two sets. */
static double mean_kernel(const glia_features *a, const int64_t *rows, const glia_features *b, const int64_t *others,
                          int64_t m) {
    double sum = 0;
    const bool one = a == b;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < (one ? i : m); j++)
            sum += kernel(a->x + rows[i] * a->size, b->x + others[j] * b->size, a->size);
    return one ? 2 * sum / ((double)m * (double)(m - 1)) : sum / ((double)m * (double)m);
}

/* Moves m random rows to the front. */
static void choose(glia_rng *rng, int64_t *rows, int64_t n, int64_t m) {
    for (int64_t i = 0; i < m && m < n; i++) {
        const int64_t k = i + (int64_t)glia_rng_below(rng, (uint64_t)(n - i)), kept = rows[i];
        rows[i] = rows[k], rows[k] = kept;
    }
}

glia_status glia_kernel_distance(glia_features a, glia_features b, glia_kernel_distance_opts o, double *distance,
                                 double *stddev, glia_error *error) {
    enum { STREAM = 0x6B6964 };
    if (!distance) return glia_fail_null(error, "distance");
    glia_status status = check_pair("kernel_distance", &a, &b, 2, error);
    if (status != GLIA_OK) return status;
    const int64_t most = GLIA_MIN(a.n, b.n);
    if (o.subset < 0 || o.subset == 1 || o.subset > most || o.subsets < 0)
        return glia_fail(error, GLIA_E_ARGUMENT, "kernel_distance: %lld subsets of %lld rows of %lld",
                         (long long)o.subsets, (long long)o.subset, (long long)most);
    if (!o.subset) o.subset = GLIA_MIN(most, (int64_t)1000);
    if (!o.subsets) o.subsets = o.subset == a.n && o.subset == b.n ? 1 : 100;
    int64_t *rows = malloc((size_t)(a.n + b.n) * sizeof *rows), *others = rows + a.n;
    if (!rows) return glia_fail_nomem(error);
    for (int64_t i = 0; i < a.n; i++) rows[i] = i;
    for (int64_t i = 0; i < b.n; i++) others[i] = i;
    glia_rng rng = { .seed = o.seed, .stream = STREAM };
    double sum = 0, squares = 0;
    for (int64_t k = 0; k < o.subsets; k++) {
        choose(&rng, rows, a.n, o.subset);
        choose(&rng, others, b.n, o.subset);
        const double value = mean_kernel(&a, rows, &a, rows, o.subset) + mean_kernel(&b, others, &b, others, o.subset) -
                             2 * mean_kernel(&a, rows, &b, others, o.subset);
        sum += value, squares += value * value;
    }
    free(rows);
    const double n = (double)o.subsets, mean = sum / n;
    *distance = mean;
    if (stddev) *stddev = n > 1 ? sqrt(fmax(squares / n - mean * mean, 0)) : NAN;
    return GLIA_OK;
}

/* ---- precision and recall --------------------------------------------------------------------------- */

/* radii[i]: the squared distance of row i to its k-th nearest other row. nearest: scratch (k). */
static void find_radii(const glia_features *f, int k, double *radii, double *nearest) {
    for (int64_t i = 0; i < f->n; i++) {
        for (int r = 0; r < k; r++) nearest[r] = INFINITY;
        for (int64_t j = 0; j < f->n; j++) {
            if (i == j) continue;
            double d = square_distance(f->x + i * f->size, f->x + j * f->size, f->size);
            for (int r = 0; r < k; r++) {
                if (d >= nearest[r]) continue;
                const double farther = nearest[r];
                nearest[r] = d, d = farther;
            }
        }
        radii[i] = nearest[k - 1];
    }
}

/* The share of `points` within the radius of some row of `f`. */
static double share_inside(const glia_features *points, const glia_features *f, const double *radii) {
    int64_t inside = 0;
    for (int64_t i = 0; i < points->n; i++) {
        bool found = false;
        for (int64_t j = 0; j < f->n && !found; j++)
            found = square_distance(points->x + i * f->size, f->x + j * f->size, f->size) <= radii[j];
        inside += found;
    }
    return (double)inside / (double)points->n;
}

glia_status glia_precision_recall(glia_features real, glia_features drawn, int k, double *precision, double *recall,
                                  glia_error *error) {
    if (!precision || !recall) return glia_fail_null(error, precision ? "recall" : "precision");
    if (k < 0 || k > 1 << 16) return glia_fail(error, GLIA_E_ARGUMENT, "precision_recall: k is %d", k);
    if (!k) k = 3;
    glia_status status = check_pair("precision_recall", &real, &drawn, (int64_t)k + 1, error);
    if (status != GLIA_OK) return status;
    double *radii = malloc((size_t)(GLIA_MAX(real.n, drawn.n) + k) * sizeof *radii), *nearest = radii;
    if (!radii) return glia_fail_nomem(error);
    nearest += GLIA_MAX(real.n, drawn.n);
    find_radii(&real, k, radii, nearest);
    *precision = share_inside(&drawn, &real, radii);
    find_radii(&drawn, k, radii, nearest);
    *recall = share_inside(&real, &drawn, radii);
    free(radii);
    return GLIA_OK;
}

/* ---- scores and modes ----------------------------------------------------------------------------- */

double glia_classifier_score(const float *p, int64_t n, int64_t classes) {
    if (!p || n < 1 || classes < 1) return NAN;
    double sum = 0; /* of KL over samples: sum p log p - n sum m log m */
    for (int64_t c = 0; c < classes; c++) {
        double mean = 0;
        for (int64_t i = 0; i < n; i++) {
            const double x = (double)p[i * classes + c];
            mean += x / (double)n;
            if (x > 0) sum += x * log(x);
        }
        if (mean > 0) sum -= (double)n * mean * log(mean);
    }
    return exp(sum / (double)n);
}

glia_status glia_count_modes(glia_features points, glia_features modes, double radius, glia_mode_count *count,
                             glia_error *error) {
    if (!count) return glia_fail_null(error, "count");
    glia_status status = check_pair("count_modes", &points, &modes, 1, error);
    if (status != GLIA_OK) return status;
    if (!(radius > 0)) return glia_fail(error, GLIA_E_ARGUMENT, "count_modes: the radius is %g", radius);
    int64_t *near = calloc((size_t)modes.n, sizeof *near), good = 0;
    if (!near) return glia_fail_nomem(error);
    for (int64_t i = 0; i < points.n; i++) {
        double least = INFINITY;
        int64_t nearest = 0;
        for (int64_t m = 0; m < modes.n; m++) {
            const double d = square_distance(points.x + i * points.size, modes.x + m * modes.size, modes.size);
            if (d < least) least = d, nearest = m;
        }
        if (least <= radius * radius) near[nearest]++, good++;
    }
    *count = (glia_mode_count){ .good = (double)good / (double)points.n, .divergence = good ? 0 : NAN };
    for (int64_t m = 0; m < modes.n; m++) {
        const double share = (double)near[m] / (double)GLIA_MAX(good, (int64_t)1);
        count->covered += near[m] > 0;
        if (near[m]) count->divergence += share * log(share * (double)modes.n);
    }
    free(near);
    return GLIA_OK;
}
