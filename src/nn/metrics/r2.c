/* r2.c - the coefficient of determination, 1 - sum (y - p)^2 / sum (y - mean y)^2; with several values, their mean.
 *
 * The sum of squares about the mean is computed from the exact sums of y and y^2, as n sum y^2 - (sum y)^2, in
 * double-double arithmetic, so cancellation does not lose precision. If all y are equal: 1 if all are predicted, else
 * 0, as in scikit-learn. NaN for a single sample.
 */
#include <math.h>

#include "nn/metrics/metrics.h"

enum { ERROR, FIRST, SECOND, SUMS }; /* sums of (y - p)^2, y, y^2 */

static void shape(glia_metric *m) { m->n_sums = SUMS * m->classes; }

static void add(glia_metric *m, const float *values, const float *truth) {
    for (int64_t k = 0; k < m->classes; k++) {
        double y = (double)truth[k], off = y - (double)values[k];
        glia_exact *sums = m->sums + SUMS * k;
        glia_exact_add(&sums[ERROR], off * off);
        glia_exact_add(&sums[FIRST], y);
        glia_exact_add(&sums[SECOND], y * y);
    }
}

/* n times the sum of (y - mean y)^2. */
static double spread(const glia_metric *m, const glia_exact *sums) {
    double n = (double)m->samples, a, b, c, d;
    glia_exact_pair(&sums[FIRST], &a, &b);
    glia_exact_pair(&sums[SECOND], &c, &d);
    double square = a * a, square_rest = fma(a, a, -square);
    double product = n * c, product_rest = fma(n, c, -product);
    return (product - square) + (product_rest - square_rest + n * d - 2 * a * b - b * b);
}

static double of_value(const glia_metric *m, int64_t k) {
    const glia_exact *sums = m->sums + SUMS * k;
    double error = glia_exact_value(&sums[ERROR]), total = spread(m, sums);
    if (m->samples < 2) return NAN;
    if (total <= 0) return error == 0 ? 1 : 0;
    return 1 - error * (double)m->samples / total;
}

static double result(const glia_metric *m) {
    double total = 0;
    for (int64_t k = 0; k < m->classes; k++) total += of_value(m, k);
    return total / (double)m->classes;
}

const glia_metric_rule glia_metric_rule_r2 = { .name = "r2",
                                               .summary = "fraction of the variance that is explained, R squared",
                                               .larger = true,
                                               .values = true,
                                               .shape = shape,
                                               .add_values = add,
                                               .result = result,
                                               .of_class = of_value };
