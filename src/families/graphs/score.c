/* score.c - how good the answers for nodes or graphs are: loss, accuracy, area under the curve, squared error. */
#include <math.h>
#include <stdlib.h>

#include "data/graphs/graph_data.h"
#include "families/graphs/net.h"

static double entropy_of(const float *logits, int64_t k, int32_t label, bool *right) {
    double most = -INFINITY, sum = 0;
    int64_t best = 0;
    for (int64_t i = 0; i < k; i++) {
        if ((double)logits[i] > most) best = i;
        most = fmax(most, (double)logits[i]);
    }
    for (int64_t i = 0; i < k; i++) sum += exp((double)logits[i] - most);
    *right = best == label;
    return most + log(sum) - (double)logits[label];
}

typedef struct ranked {
    double score;
    bool positive;
} ranked;

static int by_score(const void *a, const void *b) {
    const double x = ((const ranked *)a)->score, y = ((const ranked *)b)->score;
    return (x > y) - (x < y);
}

/* Area under the ROC curve of two classes; equal scores count half. */
static double area(ranked *items, int64_t n) {
    double positives = 0, ranks = 0;
    qsort(items, (size_t)n, sizeof *items, by_score);
    for (int64_t i = 0; i < n;) {
        int64_t end = i;
        while (end < n && items[end].score == items[i].score) end++;
        for (int64_t k = i; k < end; k++) {
            if (!items[k].positive) continue;
            positives++;
            ranks += (double)(i + 1 + end) / 2;
        }
        i = end;
    }
    const double negatives = (double)n - positives;
    if (positives == 0 || negatives == 0) return NAN;
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives);
}

static bool two_classes(const glia_graph_data *d, glia_graph_part part, const float *logits, const int32_t *labels,
                        const uint8_t *split, glia_graph_scores *s) {
    const int64_t n = glia_graph_items(d, part);
    ranked *items = malloc(((size_t)n + 1) * sizeof *items);
    for (int p = 0; items && p < 3; p++) {
        int64_t count = 0;
        for (int64_t i = 0; i < n; i++) {
            if ((split ? split[i] : 0) == p && labels[i] >= 0)
                items[count++] = (ranked){ (double)logits[2 * i + 1] - (double)logits[2 * i], labels[i] == 1 };
        }
        s->auc[p] = area(items, count);
    }
    free(items);
    return items != NULL;
}

bool glia_graph_score(const glia_graph_data *d, glia_graph_part part, const float *logits, int64_t k,
                      glia_graph_scores *s) {
    const int32_t *labels = glia_graph_labels(d, part);
    const uint8_t *split = glia_graph_split_of(d, part);
    int64_t width = 0;
    const float *targets = labels ? NULL : glia_graph_targets_of(d, part, &width);
    double numbers[3] = { 0 };
    *s = (glia_graph_scores){ 0 };
    for (int64_t i = 0; i < glia_graph_items(d, part); i++) {
        const int p = split ? split[i] : GLIA_PART_TRAIN;
        if (p > GLIA_PART_TEST) continue;
        if (labels && labels[i] >= 0 && labels[i] < k) {
            bool right;
            s->loss[p] += entropy_of(logits + i * k, k, labels[i], &right);
            s->accuracy[p] += right;
            s->n[p]++;
        }
        for (int64_t c = 0; targets && width == k && c < k; c++) {
            if (isnan(targets[i * k + c])) continue;
            s->rmse[p] += pow((double)logits[i * k + c] - (double)targets[i * k + c], 2);
            numbers[p]++;
        }
    }
    for (int p = 0; p < 3; p++) {
        s->loss[p] = labels ? s->loss[p] / (double)s->n[p] : s->rmse[p] / numbers[p];
        s->accuracy[p] = labels ? s->accuracy[p] / (double)s->n[p] : NAN;
        s->rmse[p] = labels ? NAN : sqrt(s->rmse[p] / numbers[p]);
        s->auc[p] = NAN;
        if (!labels) s->n[p] = (int64_t)numbers[p];
    }
    return !labels || k != 2 || two_classes(d, part, logits, labels, split, s);
}
