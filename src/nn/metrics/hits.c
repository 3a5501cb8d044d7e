/* hits.c - counts by class: correct predictions, predictions of the class, and samples of the class. */
#include <math.h>

#include "nn/metrics/metrics.h"

void glia_hits_shape(glia_metric *m) { m->n_counts = 3 * m->labels; }

void glia_hits_add(glia_metric *m, const float *scores, int32_t label) {
    int64_t predicted = glia_metric_predicted(m, scores);
    m->counts[3 * label] += predicted == label;
    m->counts[3 * predicted + 1]++;
    m->counts[3 * (int64_t)label + 2]++;
}

glia_hits glia_hits_of(const glia_metric *m, int64_t label) {
    const int64_t *c = m->counts + 3 * label;
    return (glia_hits){ .hits = c[0], .predicted = c[1], .actual = c[2] };
}

double glia_hits_of_class(const glia_metric *m, int64_t label) { return m->rule->ratio(glia_hits_of(m, label)); }

double glia_hits_result(const glia_metric *m) {
    double (*const of)(glia_hits) = m->rule->ratio;
    if (m->average == GLIA_AVERAGE_BINARY) return of(glia_hits_of(m, m->positive));
    glia_hits all = { 0 };
    double total = 0, weight = 0;
    for (int64_t k = 0; k < m->labels; k++) {
        glia_hits t = glia_hits_of(m, k);
        if (!t.predicted && !t.actual) continue;
        double w = m->average == GLIA_AVERAGE_WEIGHTED ? (double)t.actual : 1;
        total += w * of(t);
        weight += w;
        all.hits += t.hits;
        all.predicted += t.predicted;
        all.actual += t.actual;
    }
    return m->average == GLIA_AVERAGE_MICRO ? of(all) : total / weight;
}

void glia_table_shape(glia_metric *m) { m->n_counts = m->labels * m->labels; }

void glia_table_add(glia_metric *m, const float *scores, int32_t label) {
    m->counts[label * m->labels + glia_metric_predicted(m, scores)]++;
}
