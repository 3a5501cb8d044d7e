/* mistakes.c - the misclassified test samples, with probabilities. */
#include <stdlib.h>
#include <string.h>

#include "reports/report.h"

float *plain_sample(const training *t, const glia_dataset *data, int64_t index, int32_t *label) {
    glia_shape shape = glia_data_x_shape(data);
    int64_t n = glia_shape_count(shape);
    float *x = allocate((size_t)n, sizeof *x);
    if (sample_class(data, index, x, label, NULL) != GLIA_OK) {
        free(x);
        return NULL;
    }
    int64_t plane = t->n_normal > 0 ? n / t->n_normal : 0;
    for (int64_t i = 0; i < plane * t->n_normal; i++)
        x[i] = (float)((double)x[i] * t->stddev[i / plane] + t->mean[i / plane]);
    return x;
}

static int by_truth_share(const void *a, const void *b) {
    const mistake *left = a, *right = b;
    if (left->truth_share != right->truth_share) return left->truth_share < right->truth_share ? -1 : 1;
    return left->index < right->index ? -1 : left->index > right->index;
}

/* Fills the probabilities of m mistakes from their samples x. */
static bool weigh(const training *t, const float *x, mistake *wrong, int m) {
    float *y = allocate((size_t)m * (size_t)t->classes, sizeof *y);
    bool predicted = glia_predict(t->model, x, m, y, t->backend, NULL) == GLIA_OK;
    for (int i = 0; predicted && i < m; i++) {
        float *shares = y + (size_t)i * (size_t)t->classes;
        softmax(shares, t->classes);
        wrong[i].truth_share = shares[wrong[i].truth];
        wrong[i].answer_share = shares[wrong[i].answer];
    }
    free(y);
    return predicted;
}

int worst_mistakes(const training *t, mistake *worst, int capacity) {
    enum { MOST = 1024 }; /* mistakes whose probabilities are computed */
    if (!t->predicted) return 0;
    size_t size = (size_t)glia_shape_count(glia_data_x_shape(t->test));
    mistake *wrong = allocate(MOST, sizeof *wrong);
    float *x = allocate(MOST * size, sizeof *x);
    int m = 0;
    for (int64_t i = 0; i < glia_data_count(t->test) && m < MOST; i++) {
        int32_t label = 0;
        if (sample_class(t->test, i, x + (size_t)m * size, &label, NULL) != GLIA_OK || label == t->predicted[i])
            continue;
        wrong[m++] = (mistake){ .index = i, .truth = label, .answer = t->predicted[i] };
    }
    if (m > 0 && !weigh(t, x, wrong, m)) m = 0;
    qsort(wrong, (size_t)m, sizeof *wrong, by_truth_share);
    if (m > capacity) m = capacity;
    memcpy(worst, wrong, (size_t)m * sizeof *wrong);
    free(wrong);
    free(x);
    return m;
}
