/* mcc.c - the Matthews correlation coefficient (1975) of predicted and true classes; for more than two classes R_K
 * (Gorodkin 2004). With n samples, h correct, and for class k p_k predictions and t_k samples:
 *
 *     (h n - sum p_k t_k) / sqrt((n^2 - sum p_k^2) (n^2 - sum t_k^2));   0 if a root is zero
 */
#include <math.h>

#include "nn/metrics/metrics.h"

static double result(const glia_metric *m) {
    double n = (double)m->samples, hits = 0, both = 0, predicted = 0, actual = 0;
    for (int64_t k = 0; k < m->labels; k++) {
        glia_hits t = glia_hits_of(m, k);
        double p = (double)t.predicted, a = (double)t.actual;
        hits += (double)t.hits;
        both += p * a;
        predicted += p * p;
        actual += a * a;
    }
    double spread = (n * n - predicted) * (n * n - actual);
    return spread > 0 ? (hits * n - both) / sqrt(spread) : 0;
}

const glia_metric_rule glia_metric_rule_mcc = { .name = "mcc",
                                                .summary = "Matthews's correlation of predicted and true classes",
                                                .larger = true,
                                                .options = GLIA_OPTION_THRESHOLD,
                                                .shape = glia_hits_shape,
                                                .add = glia_hits_add,
                                                .result = result };
