/* fit.h - the memory of the supervised method. */
#ifndef GLIA_SRC_TRAIN_FIT_FIT_H
#define GLIA_SRC_TRAIN_FIT_FIT_H

#include "glia/augment.h"
#include "glia/metrics.h"
#include "train/run/training.h"

enum { GLIA_FIT_METRICS = 16 };

typedef struct glia_supervised {
    glia_task train, validation;
    glia_loader *validation_loader; /* NULL: no validation */
    int loss_mean, accuracy_mean;   /* indices of the training's means; accuracy -1: there is none */
    int first_figure;               /* val_loss; the other figures follow */
    glia_metric *metrics[GLIA_FIT_METRICS];
    char names[GLIA_FIT_METRICS][64]; /* "val_f1" */
    int n_metrics, scores_at;         /* index of the model's output in the validation task; -1: not needed */
} glia_supervised;

static inline const glia_supervised *glia_supervised_of(const glia_training *training) { return training->memory; }

/* The lane for the next step, with the learning rate of training->progress set. NULL: see error. */
glia_lane *glia_supervised_lane(glia_training *training, int64_t batch, glia_error *error);

/* Repeats the epoch's steps, up to `step`, and writes a description of the first non-finite value to `what`. Needs a
 * backup with states; the stores are left as in the backup. */
glia_status glia_supervised_diagnose(glia_training *training, int64_t step, char *what, size_t capacity,
                                     glia_error *error);

extern const glia_method glia_method_fit;

#endif
