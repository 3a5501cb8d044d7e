/* scores.c - from scores to the predicted class, probabilities and log-probabilities.
 *
 * With a single logit s the probability of class 1 is 1 / (1 + exp(-s)); with several, softmax. Log-probabilities are
 * computed without the probabilities, so confident mistakes are not truncated.
 */
#include <math.h>

#include "nn/metrics/metrics.h"

int64_t glia_metric_predicted(const glia_metric *m, const float *scores) {
    if (m->classes == 1) return (double)scores[0] >= m->cut;
    int64_t best = 0;
    for (int64_t k = 1; k < m->classes; k++) {
        if (scores[k] > scores[best]) best = k;
    }
    return best;
}

static double largest(const float *scores, int64_t n) {
    double most = (double)scores[0];
    for (int64_t k = 1; k < n; k++) most = fmax(most, (double)scores[k]);
    return most;
}

const double *glia_metric_probabilities(glia_metric *m, const float *scores) {
    double *p = m->work;
    if (m->classes == 1) {
        double s = (double)scores[0];
        p[1] = m->logits ? 1 / (1 + exp(-s)) : s;
        p[0] = m->logits ? 1 / (1 + exp(s)) : 1 - s;
        return p;
    }
    double most = m->logits ? largest(scores, m->classes) : 0, total = 0;
    for (int64_t k = 0; k < m->classes; k++) {
        p[k] = m->logits ? exp((double)scores[k] - most) : (double)scores[k];
        total += p[k];
    }
    for (int64_t k = 0; m->logits && k < m->classes; k++) p[k] /= total;
    return p;
}

double glia_metric_log_probability(const glia_metric *m, const float *scores, int32_t label) {
    if (m->classes == 1) {
        double s = (double)scores[0], to = label ? s : -s;
        if (m->logits) return to < 0 ? to - log1p(exp(to)) : -log1p(exp(-to));
        return label ? log(s) : log1p(-s);
    }
    if (!m->logits) return log((double)scores[label]);
    double most = largest(scores, m->classes), total = 0;
    for (int64_t k = 0; k < m->classes; k++) total += exp((double)scores[k] - most);
    return (double)scores[label] - most - log(total);
}
