/* callbacks.h - what watches and steers a training, under Keras's names; and checkpoints.
 *
 *     glia_callback callbacks[] = {
 *         glia_early_stopping((glia_early_stopping_opts){ .patience = 5, .restore_best_weights = true }),
 *         glia_csv_logger("log.csv", false),
 *     };
 *     glia_fit(model, data, (glia_fit_opts){ .callbacks = callbacks, .n_callbacks = 2, ... }, &error);
 *
 * Each constructor gives a callback that glia_fit() frees. A mistake in its options is reported when training begins.
 * Texts are copied.
 */
#ifndef GLIA_CALLBACKS_H
#define GLIA_CALLBACKS_H

#include "glia/fit.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- for custom callbacks ---------------------------------------------------------------------- */

/* A figure of the progress by name; NaN: there is none of this name. */
GLIA_API double glia_progress_value(const glia_progress *progress, const char *name);

/* Ends the training after this step, or epoch; glia_fit() then returns GLIA_OK. */
GLIA_API void glia_training_stop(glia_training *training);
/* From the next step on the learning rate is what the schedule says times this (instead of an earlier factor). */
GLIA_API void glia_training_scale_lr(glia_training *training, double factor);
GLIA_API double glia_training_lr_scale(const glia_training *training);
/* From the next step on the rate is this one, without a schedule; NaN: the schedule's again. */
GLIA_API void glia_training_set_lr(glia_training *training, double lr);
/* The optimiser's states by name ("train/m/conv1/kernel", ...); the model's values are in glia_model_store(). */
GLIA_API glia_store *glia_training_states(glia_training *training);

/* Where a checkpoint stands. */
typedef struct glia_checkpoint_info {
    int64_t epoch, step; /* epochs that are over, and steps of the one that is not */
    int64_t done;        /* steps in all */
} glia_checkpoint_info;
/* Writes everything that the training consists of: parameters and states, the optimiser's, the schedule's place, the
 * random states, the place in the data, and the callbacks' states. The file is written beside `path`, synced and
 * renamed; what was there before stays as PATH.previous. So whatever happens at whatever moment, one of the two is
 * whole, and a checksum tells which. Call it from step_end or epoch_end. */
GLIA_API glia_status glia_training_save(glia_training *training, const char *path, glia_error *error);
/* Goes on from there: call it from train_begin. The model, the data, the batch size, the seed and the optimiser must be
 * what they were; the training then ends as one that was never interrupted, bit for bit. If `path` is damaged its
 * predecessor is taken. GLIA_E_NOT_FOUND: there is neither. */
GLIA_API glia_status glia_training_restore(glia_training *training, const char *path, glia_checkpoint_info *info,
                                           glia_error *error);

/* ---- Keras's callbacks ------------------------------------------------------------------------ */

/* Is a larger value of the monitored figure a better one? */
typedef enum glia_monitor_mode {
    GLIA_MONITOR_AUTO, /* by its name: losses and errors are better small, the others large */
    GLIA_MONITOR_MIN,
    GLIA_MONITOR_MAX
} glia_monitor_mode;

typedef struct glia_early_stopping_opts {
    const char *monitor;   /* NULL: "val_loss" */
    glia_monitor_mode mode;
    double min_delta;      /* a smaller improvement is none; 0 */
    int64_t patience;      /* epochs without improvement before it stops; 0 */
    double baseline;       /* improvements that do not reach it do not reset the patience; 0: any does; GLIA_ZERO: 0 */
    bool restore_best_weights; /* the model ends with the values of its best epoch */
    int64_t start_from_epoch;  /* epochs to wait before it looks; 0 */
} glia_early_stopping_opts;
GLIA_API glia_callback glia_early_stopping(glia_early_stopping_opts opts);

typedef struct glia_model_checkpoint_opts {
    const char
        *path; /* "best.safetensors"; {epoch}, {val_loss} and other figures are put in: "m-{epoch}.safetensors" */
    const char *monitor; /* NULL: "val_loss" */
    glia_monitor_mode mode;
    bool save_best_only;
    int64_t save_freq;   /* steps; 0: at the end of each epoch */
    double min_seconds;  /* with save_best_only: a better model that comes sooner after the last saved one is kept in
                          * memory until this time has passed, a checkpoint is made or training ends; 0: no wait */
} glia_model_checkpoint_opts;
/* Saves the model (glia_model_save), for use elsewhere; to go on with training see the next one. A monitor that is not
 * among the figures is reported before the first step. */
GLIA_API glia_callback glia_model_checkpoint(glia_model_checkpoint_opts opts);

typedef struct glia_backup_and_restore_opts {
    const char *path;   /* of the checkpoint file */
    int64_t save_freq;  /* steps; 0: at the end of each epoch */
    double
        min_seconds; /* with save_freq 0: an epoch that ends sooner after the last one makes none; 0: each makes one */
    bool keep;          /* do not delete it when training ends well */
} glia_backup_and_restore_opts;
/* Checkpoints, and going on from the last one if there is one when training begins. */
GLIA_API glia_callback glia_backup_and_restore(glia_backup_and_restore_opts opts);

typedef struct glia_reduce_lr_on_plateau_opts {
    const char *monitor;   /* NULL: "val_loss" */
    glia_monitor_mode mode;
    double factor;         /* 0: 0.1 */
    int64_t patience;      /* 0: 10 epochs; GLIA_NONE: after the first epoch without improvement */
    double min_delta;      /* 0: 1e-4; GLIA_ZERO: any improvement counts */
    int64_t cooldown;      /* epochs after a reduction in which it does not look; 0 */
    double min_lr;         /* 0 */
} glia_reduce_lr_on_plateau_opts;
GLIA_API glia_callback glia_reduce_lr_on_plateau(glia_reduce_lr_on_plateau_opts opts);

/* The rate of each epoch (from 0), told the rate so far. */
typedef double (*glia_lr_fn)(int64_t epoch, double lr, void *context);
GLIA_API glia_callback glia_learning_rate_scheduler(glia_lr_fn rate, void *context);

/* When the loss stops being finite: goes back to where the epoch began, takes the steps again, and says in which step
 * which operation of which layer gave the first value that is not finite. The training ends with GLIA_E_ARGUMENT. It
 * keeps a copy of parameters and states. */
GLIA_API glia_callback glia_terminate_on_nan(void);

/* A line with all figures for each epoch; append: after those of an earlier run. */
GLIA_API glia_callback glia_csv_logger(const char *path, bool append);

typedef struct glia_tensorboard_opts {
    const char *log_dir;     /* NULL: "logs" */
    int64_t histogram_freq;  /* epochs between histograms of parameters; 0: none */
    bool write_graph;
    bool write_images;       /* kernels of first convolutions as pictures, with the histograms */
    int64_t update_freq;     /* steps between scalars of the step; 0: at the end of epochs only */
    bool own_folder;         /* log_dir is for this training alone: when it begins, event files of others are removed */
} glia_tensorboard_opts;
/* Event files in log_dir/train and log_dir/validation. A training that is resumed from a checkpoint goes on in the
 * files that it had then. */
GLIA_API glia_callback glia_tensorboard(glia_tensorboard_opts opts);

/* Validates with the moving average of the weights (optimizer.ema) instead of the weights; swap_at_end: and leaves it
 * in the model. Polyak and Juditsky 1992. */
GLIA_API glia_callback glia_swap_ema_weights(bool swap_at_end);

typedef struct glia_swa_opts {
    double start;        /* epochs from which on weights are averaged; below 1: share of all epochs; 0: 0.75;
                          * GLIA_ZERO: all */
    int64_t every;       /* epochs between those that count; 0: 1 */
    double lr;           /* constant rate from there on; 0: the schedule's; GLIA_ZERO: 0 */
    const glia_dataset *data; /* to recompute batch norm's statistics with the averaged weights; NULL: not recomputed */
} glia_swa_opts;
/* Stochastic weight averaging (Izmailov et al. 2018): the model ends with the mean of the weights after some epochs. */
GLIA_API glia_callback glia_swa(glia_swa_opts opts);

/* ---- the learning rate range test ----------------------------------------------------------------- */

typedef struct glia_lr_find_opts {
    double from, to;  /* 0: 1e-7, 10 */
    int64_t steps;    /* 0: 100 */
    double diverged;  /* stops when the smoothed loss is this many times its smallest; 0: 4 */
    double smoothing; /* of the loss, exponential; 0: 0.9; GLIA_ZERO: none */
} glia_lr_find_opts;
typedef struct glia_lr_point {
    double lr, loss, smooth;
} glia_lr_point;
/* Trains with a rate that grows exponentially and looks at the loss (Smith 2017, section 3.3); the model has its values
 * again afterwards. Fills at most `steps` points, *n of them; *suggested (may be NULL) is the rate where the smoothed
 * loss falls most steeply; NaN where it never falls. All other settings are those of `fit`, whose schedule, validation
 * and callbacks are not used. */
GLIA_API glia_status glia_lr_find(glia_model *model, const glia_dataset *data, glia_fit_opts fit,
                                  glia_lr_find_opts opts, glia_lr_point *points, int64_t *n, double *suggested,
                                  glia_error *error);

#ifdef __cplusplus
}
#endif
#endif
