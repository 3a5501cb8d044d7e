/* fit.h - a training in progress: what fit.c runs, and what checkpoints, diagnosis and callbacks look into. */
#ifndef GLIA_SRC_TRAIN_FIT_FIT_H
#define GLIA_SRC_TRAIN_FIT_FIT_H

#include "glia/augment.h"
#include "glia/callbacks.h"
#include "glia/metrics.h"
#include "train/model/task.h"

enum { GLIA_FIT_METRICS = 16, GLIA_FIT_VALUES = 5 + GLIA_FIT_METRICS };

struct glia_training {
    glia_fit_opts opts;       /* defaults filled in */
    glia_callback *callbacks; /* in the order of their turns */
    const glia_dataset *data;
    glia_task train, validation; /* validation borrows train's backend */
    glia_loader *train_loader, *validation_loader;

    /* where it stands */
    int64_t epoch, step; /* epochs that are over, steps of the present one that are done */
    int64_t done, total, epoch_steps;
    glia_tally tally; /* of this epoch */
    double seconds;   /* that this epoch had taken when a checkpoint was made, if it goes on from one */
    int begun;        /* callbacks that have */
    bool stop;        /* one of them asked for it */
    bool ended;       /* the end of the present epoch was reached; where max_steps cuts it short, `step` stays */

    /* the learning rate */
    double full_lr;  /* what the schedule is a factor of */
    double scale;    /* a factor on the schedule's rate */
    double fixed_lr; /* instead of the schedule's; NaN: none */

    /* figures */
    glia_metric *metrics[GLIA_FIT_METRICS];
    char names[GLIA_FIT_METRICS][64]; /* "val_f1" */
    int n_metrics, scores_at;         /* the model's output among the validation task's; -1: not needed */
    glia_value values[GLIA_FIT_VALUES];
    glia_progress progress;

    struct glia_restored *restored; /* a checkpoint that callbacks have yet to take their states from */

    /* the values with which the epoch began */
    char *backup;
    int64_t began_at;  /* steps of the epoch that were done then */
    bool keeps_states; /* the optimiser's too, which diagnosis needs */
    bool diagnoses;    /* a loss that is not finite is traced to its origin */
};

/* ---- fit.c ---------------------------------------------------------------------------------- */

/* The session that takes this step, with its learning rate set. NULL: see error. */
glia_lane *glia_training_lane(glia_training *training, int64_t batch, glia_error *error);
/* Copies the model's values, and the optimiser's with keeps_states, to the backup or back. */
void glia_training_back_up(glia_training *training, bool restore);
size_t glia_training_backup_bytes(const glia_training *training);

/* Calls save_begin of all callbacks. */
glia_status glia_training_save_begin(glia_training *training, glia_error *error);

/* ---- checkpoint.c --------------------------------------------------------------------------- */

/* After all callbacks have begun: gives them back what a restored checkpoint has of theirs. */
glia_status glia_training_restore_callbacks(glia_training *training, glia_error *error);
void glia_restored_free(struct glia_restored *restored);

/* ---- diagnose.c ----------------------------------------------------------------------------- */

/* Takes the epoch's steps again, up to `steps`, and says in `what` which value was the first that is not finite. The
 * backup must be there, with states; the stores are left as it has them. */
glia_status glia_training_diagnose(glia_training *training, int64_t steps, char *what, size_t capacity,
                                   glia_error *error);

#endif
