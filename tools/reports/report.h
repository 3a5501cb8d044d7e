/* report.h - a run as one HTML file: no network, no script, light and dark. */
#ifndef GLIA_TOOL_REPORT_H
#define GLIA_TOOL_REPORT_H

#include "runs/training.h"

void report_html(const training *t, text *out);

/* A test sample that the model got wrong. */
typedef struct mistake {
    int64_t index;
    int truth, answer;
    float truth_share, answer_share; /* probabilities that the model gave */
} mistake;

/* The mistakes on the test data, the worst (least probable truth) first; at most `capacity`. Returns how many. */
int worst_mistakes(const training *t, mistake *worst, int capacity);

/* A sample of `data` in [0, 1], without this run's normalisation; (C, H, W) floats to free(). NULL: unreadable. */
float *plain_sample(const training *t, const glia_dataset *data, int64_t index, int32_t *label);

#endif
