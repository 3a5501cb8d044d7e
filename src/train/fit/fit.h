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
    glia_phase phases[GLIA_PHASES];   /* copies of the options' */
    int phase_means[GLIA_PHASES];
    char phase_names[GLIA_PHASES][64]; /* "critic_loss" */
} glia_supervised;

static inline const glia_supervised *glia_supervised_of(const glia_training *training) { return training->memory; }

/* The lane for the next step, with the learning rate of training->progress set. NULL: see error. */
glia_lane *glia_supervised_lane(glia_training *training, int64_t batch, glia_error *error);

/* Repeats the epoch's steps, up to `step`, and writes a description of the first non-finite value to `what`. Needs a
 * backup with states; the stores are left as in the backup. */
glia_status glia_supervised_diagnose(glia_training *training, int64_t step, char *what, size_t capacity,
                                     glia_error *error);

/* ---- phases.c ----------------------------------------------------------------------------------- */

/* Checks the phases of the options and copies them. */
glia_status glia_phases_check(glia_training *training, glia_error *error);
/* Adds losses and updates of all phases to the task's graph and compiles their steps. */
glia_status glia_phases_begin(glia_training *training, glia_error *error);
/* The number of the phase of the next step. */
int glia_phase_now(const glia_training *training);
/* The lane of the next step's phase, with its learning rate. NULL: see error. */
glia_lane *glia_phases_lane(glia_training *training, int64_t batch, glia_error *error);

extern const glia_method glia_method_fit;

#endif
