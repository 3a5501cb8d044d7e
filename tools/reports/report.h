/* report.h - a run as one HTML file: no network, no script, light and dark. */
#ifndef GLIA_TOOL_REPORT_H
#define GLIA_TOOL_REPORT_H

#include "runs/training.h"

void report_html(const training *t, text *out);

/* A misclassified test sample. */
typedef struct mistake {
    int64_t index;
    int truth, answer;
    float truth_share, answer_share; /* predicted probabilities of the true and the predicted class */
} mistake;

/* The misclassified test samples, lowest probability of the true class first, at most `capacity`. Returns their
 * number. */
int worst_mistakes(const training *t, mistake *worst, int capacity);

/* A sample of `data` in [0, 1], without this run's normalisation: (C, H, W) floats, released with free(). NULL:
 * unreadable. */
float *plain_sample(const training *t, const glia_dataset *data, int64_t index, int32_t *label);

#endif
