/* fit.h - state of a running training, shared by fit.c, checkpoints, diagnosis and callbacks. */
#ifndef GLIA_SRC_TRAIN_FIT_FIT_H
#define GLIA_SRC_TRAIN_FIT_FIT_H

#include "glia/augment.h"
#include "glia/callbacks.h"
#include "glia/metrics.h"
#include "train/model/task.h"

enum { GLIA_FIT_METRICS = 16, GLIA_FIT_VALUES = 5 + GLIA_FIT_METRICS };

struct glia_training {
    glia_fit_opts opts;       /* defaults filled in */
    glia_callback *callbacks; /* in call order */
    const glia_dataset *data;
    glia_task train, validation; /* validation borrows train's backend */
    glia_loader *train_loader, *validation_loader;

    /* position */
    int64_t epoch, step; /* completed epochs, completed steps of the current epoch */
    int64_t done, total, epoch_steps;
    glia_tally tally; /* of this epoch */
    double seconds;   /* seconds of this epoch before the checkpoint it resumed from */
    int begun;        /* number of callbacks whose train_begin succeeded */
    bool stop;        /* a callback requested it */
    bool ended;       /* the current epoch has ended; if max_steps cut it short, `step` is kept */

    /* the learning rate */
    double full_lr;  /* base rate that the schedule multiplies */
    double scale;    /* factor on the schedule's rate */
    double fixed_lr; /* replaces the schedule's rate; NaN: none */

    /* metrics */
    glia_metric *metrics[GLIA_FIT_METRICS];
    char names[GLIA_FIT_METRICS][64]; /* "val_f1" */
    int n_metrics, scores_at;         /* index of the model's output in the validation task; -1: not needed */
    glia_value values[GLIA_FIT_VALUES];
    glia_progress progress;

    struct glia_restored *restored; /* a checkpoint whose callback states are still to be restored */

    /* values at the start of the epoch */
    char *backup;
    int64_t began_at;  /* completed steps of the epoch at the backup */
    bool keeps_states; /* includes the optimiser's states, for diagnosis */
    bool diagnoses;    /* trace a non-finite loss to its origin */
};

/* ---- fit.c ---------------------------------------------------------------------------------- */

/* The lane for the next step, with its learning rate set. NULL: see error. */
glia_lane *glia_training_lane(glia_training *training, int64_t batch, glia_error *error);
/* Copies the model's values, with keeps_states also the optimiser's, to the backup or back. */
void glia_training_back_up(glia_training *training, bool restore);
size_t glia_training_backup_bytes(const glia_training *training);

/* Calls save_begin of all callbacks. */
glia_status glia_training_save_begin(glia_training *training, glia_error *error);

/* ---- checkpoint.c --------------------------------------------------------------------------- */

/* After all callbacks have begun: restores their states from the restored checkpoint. */
glia_status glia_training_restore_callbacks(glia_training *training, glia_error *error);
void glia_restored_free(struct glia_restored *restored);

/* ---- diagnose.c ----------------------------------------------------------------------------- */

/* Repeats the epoch's steps, up to `steps`, and writes a description of the first non-finite value to `what`. Needs a
 * backup with states; the stores are left as in the backup. */
glia_status glia_training_diagnose(glia_training *training, int64_t steps, char *what, size_t capacity,
                                   glia_error *error);

#endif
