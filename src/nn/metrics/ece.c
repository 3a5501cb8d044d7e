/* ece.c - calibration: whether a model that is 80 % sure is right in 80 % of the cases (Guo et al. 2017).
 *
 * A sample's confidence is the probability of its predicted class. Samples fall into B bins of equal width, (0, 1/B],
 * ..., ((B - 1)/B, 1]. A bin's gap is |accuracy - mean confidence|. The expected calibration error is the mean gap over
 * samples, the maximum calibration error the largest gap of a bin with samples.
 */
#include <math.h>

#include "nn/metrics/metrics.h"

static void shape(glia_metric *m) {
    m->n_counts = 2 * m->number; /* per bin: samples, correct ones */
    m->n_sums = m->number;       /* per bin: total confidence */
}

static void add(glia_metric *m, const float *scores, int32_t label) {
    const double *p = glia_metric_probabilities(m, scores);
    int64_t best = 0;
    for (int64_t k = 1; k < m->labels; k++) {
        if (p[k] > p[best] || (m->classes == 1 && p[k] >= p[best])) best = k;
    }
    if (isnan(p[best])) {
        m->invalid++;
        return;
    }
    double bins = (double)m->number;
    int64_t bin = (int64_t)GLIA_MIN(bins - 1, GLIA_MAX(0, ceil(p[best] * bins) - 1));
    if (bin > 0 && p[best] <= (double)bin / bins) bin--; /* the product was rounded up */
    m->counts[2 * bin]++;
    m->counts[2 * bin + 1] += best == label;
    glia_exact_add(&m->sums[bin], p[best]);
}

/* The bin's gap times its number of samples. */
static double gap(const glia_metric *m, int64_t bin) {
    return fabs((double)m->counts[2 * bin + 1] - glia_exact_value(&m->sums[bin]));
}

static double expected(const glia_metric *m) {
    double total = 0;
    for (int64_t b = 0; b < m->number; b++) total += gap(m, b);
    return total / (double)m->samples;
}

static double most(const glia_metric *m) {
    double largest = 0;
    for (int64_t b = 0; b < m->number; b++) {
        if (m->counts[2 * b]) largest = fmax(largest, gap(m, b) / (double)m->counts[2 * b]);
    }
    return largest;
}

#define CALIBRATION(title, line, figure)                                                                               \
    {                                                                                                                  \
        .name = title, .summary = line, .needs_probabilities = true, .options = GLIA_OPTION_NUMBER, .number = "bins",  \
        .number_default = 15, .number_most = 1000, .shape = shape, .add = add, .result = figure                        \
    }

const glia_metric_rule glia_metric_rule_ece = CALIBRATION("ece", "expected calibration error", expected);
const glia_metric_rule glia_metric_rule_mce = CALIBRATION("mce", "largest calibration error of a bin", most);
