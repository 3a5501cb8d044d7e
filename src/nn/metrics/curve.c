/* curve.c - exact areas under curves: every sample's scores are kept, and sorted when the area is computed.
 *
 * The kept value ranks a class's samples: its probability as given or, for logits, its log-odds against all other
 * classes, s_k - log(sum of exp(s_j), j != k). This gives the same order as the probability but is never rounded to 1.
 * Samples with equal scores form one point of a curve.
 */
#include <math.h>
#include <stdlib.h>

#include "nn/metrics/metrics.h"

void glia_curve_shape(glia_metric *m) { m->keeps = true; }

/* work[k] = the log-odds of class k. */
static void log_odds(const glia_metric *m, const float *scores) {
    int64_t best = 0;
    double others = 0; /* sum of exp(s_j - largest) without the largest score */
    for (int64_t k = 1; k < m->classes; k++) {
        if (scores[k] > scores[best]) best = k;
    }
    double most = (double)scores[best];
    for (int64_t k = 0; k < m->classes; k++) {
        m->work[k] = exp((double)scores[k] - most);
        if (k != best) others += m->work[k];
    }
    for (int64_t k = 0; k < m->classes; k++) {
        double rest = k == best ? others : 1 + others - m->work[k];
        m->work[k] = (double)scores[k] - most - log(rest);
    }
}

void glia_curve_add(glia_metric *m, const float *scores, int32_t label) {
    double *to = m->kept + m->n_kept * m->classes;
    bool odds = m->logits && m->classes > 1;
    if (odds) log_odds(m, scores);
    for (int64_t k = 0; k < m->classes; k++) {
        to[k] = odds ? m->work[k] : (double)scores[k];
        if (isnan(to[k])) {
            m->invalid++;
            return;
        }
    }
    m->kept_label[m->n_kept++] = label;
}

static int by_score(const void *a, const void *b) {
    double x = ((const glia_ranked *)a)->score, y = ((const glia_ranked *)b)->score;
    return (x < y) - (x > y);
}

/* The number of samples with this label. */
static int64_t positives_of(const glia_metric *m, int64_t label) {
    int64_t count = 0;
    for (int64_t i = 0; i < m->n_kept; i++) count += m->kept_label[i] == label;
    return count;
}

double glia_curve_area(const glia_metric *m, int64_t label, glia_area_fn area) {
    int64_t positives = positives_of(m, label);
    if (positives == 0 || positives == m->n_kept) return NAN;
    glia_ranked *ranked = m->sorting;
    bool mirrored = m->classes == 1 && label == 0; /* the single score is class 1's */
    int64_t column = m->classes == 1 ? 0 : label;
    for (int64_t i = 0; i < m->n_kept; i++) {
        double score = m->kept[i * m->classes + column];
        ranked[i] = (glia_ranked){ .score = mirrored ? -score : score, .positive = m->kept_label[i] == label };
    }
    qsort(ranked, (size_t)m->n_kept, sizeof *ranked, by_score);
    return area(ranked, m->n_kept, positives);
}

double glia_curve_average(const glia_metric *m, glia_area_fn area) {
    if (m->average == GLIA_AVERAGE_BINARY) return glia_curve_area(m, m->positive, area);
    double total = 0, weight = 0;
    for (int64_t k = 0; k < m->labels; k++) {
        double of_class = glia_curve_area(m, k, area);
        if (isnan(of_class)) continue;
        double w = m->average == GLIA_AVERAGE_WEIGHTED ? (double)positives_of(m, k) : 1;
        total += w * of_class;
        weight += w;
    }
    return weight > 0 ? total / weight : NAN;
}
