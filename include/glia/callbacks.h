/* callbacks.h - callbacks that monitor and control training, under Keras's names; and checkpoints.
 *
 *     glia_callback callbacks[] = {
 *         glia_early_stopping((glia_early_stopping_opts){ .patience = 5, .restore_best_weights = true }),
 *         glia_csv_logger("log.csv", false),
 *     };
 *     glia_fit(model, data, (glia_fit_opts){ .callbacks = callbacks, .n_callbacks = 2, ... }, &error);
 *
 * Each constructor gives a callback that glia_fit() frees. Errors in its options are reported when training begins.
 * Strings are copied.
 */
#ifndef GLIA_CALLBACKS_H
#define GLIA_CALLBACKS_H

#include "glia/fit.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- for custom callbacks ---------------------------------------------------------------------- */

/* A value of the progress by name; NaN: there is none of this name. */
GLIA_API double glia_progress_value(const glia_progress *progress, const char *name);

/* Ends training after this step, or epoch; glia_fit() then returns GLIA_OK. */
GLIA_API void glia_training_stop(glia_training *training);
/* From the next step on multiplies the schedule's learning rate by this factor, which replaces an earlier one. */
GLIA_API void glia_training_scale_lr(glia_training *training, double factor);
GLIA_API double glia_training_lr_scale(const glia_training *training);
/* From the next step on sets the learning rate to this value, without the schedule; NaN: back to the schedule. */
GLIA_API void glia_training_set_lr(glia_training *training, double lr);
/* The optimiser's states by name ("train/m/conv1/kernel", ...); the model's values are in glia_model_store(). */
GLIA_API glia_store *glia_training_states(glia_training *training);

/* The position of a checkpoint. */
typedef struct glia_checkpoint_info {
    int64_t epoch, step; /* completed epochs, and completed steps of the next one */
    int64_t done;        /* completed steps in total */
} glia_checkpoint_info;
/* Writes the complete state of training: parameters and states, the optimiser's states, the schedule's position, the
 * random states, the position in the data, and the callbacks' states. The file is written to a temporary file next to
 * `path`, synced and renamed; the previous one is kept as PATH.previous. So at any moment one of the two is complete,
 * and a checksum verifies it. Call it from step_end or epoch_end. */
GLIA_API glia_status glia_training_save(glia_training *training, const char *path, glia_error *error);
/* Resumes from a checkpoint: call it from train_begin. The model, the data, the batch size, the seed and the optimiser
 * must be the same; the result of training is then bitwise equal to that of an uninterrupted one. If `path` is damaged
 * its predecessor is used. GLIA_E_NOT_FOUND: neither exists. */
GLIA_API glia_status glia_training_restore(glia_training *training, const char *path, glia_checkpoint_info *info,
                                           glia_error *error);

/* ---- Keras's callbacks ------------------------------------------------------------------------ */

/* Whether larger values of the monitored quantity are better. */
typedef enum glia_monitor_mode {
    GLIA_MONITOR_AUTO, /* by its name: smaller for losses and errors, larger for all others */
    GLIA_MONITOR_MIN,
    GLIA_MONITOR_MAX
} glia_monitor_mode;

typedef struct glia_early_stopping_opts {
    const char *monitor;   /* NULL: "val_loss" */
    glia_monitor_mode mode;
    double min_delta;      /* smaller improvements do not count; 0 */
    int64_t patience;      /* epochs without improvement before training stops; 0 */
    double baseline;       /* only improvements beyond it reset the patience; 0: any does; GLIA_ZERO: 0 */
    bool restore_best_weights; /* restore the values of the best epoch at the end */
    int64_t start_from_epoch;  /* epochs before monitoring starts; 0 */
} glia_early_stopping_opts;
GLIA_API glia_callback glia_early_stopping(glia_early_stopping_opts opts);

typedef struct glia_model_checkpoint_opts {
    const char *path;    /* "best.safetensors"; {epoch}, {val_loss} and other values are substituted:
                            "m-{epoch}.safetensors" */
    const char *monitor; /* NULL: "val_loss" */
    glia_monitor_mode mode;
    bool save_best_only;
    int64_t save_freq;   /* steps; 0: at the end of each epoch */
    double min_seconds;  /* with save_best_only: a better model found sooner after the last save is kept in memory until
                            this time has passed, a checkpoint is made or training ends; 0: saved at once */
} glia_model_checkpoint_opts;
/* Saves the model (glia_model_save), for use elsewhere; to resume training use glia_backup_and_restore(). An unknown
 * monitor is reported before the first step. */
GLIA_API glia_callback glia_model_checkpoint(glia_model_checkpoint_opts opts);

typedef struct glia_backup_and_restore_opts {
    const char *path;   /* of the checkpoint file */
    int64_t save_freq;  /* steps; 0: at the end of each epoch */
    double min_seconds; /* with save_freq 0: no checkpoint at an epoch that ends sooner after the last one; 0: one per
                           epoch */
    bool keep;          /* keep the file when training ends without error */
} glia_backup_and_restore_opts;
/* Writes checkpoints, and resumes from the last one, if there is one, when training begins. */
GLIA_API glia_callback glia_backup_and_restore(glia_backup_and_restore_opts opts);

typedef struct glia_reduce_lr_on_plateau_opts {
    const char *monitor;   /* NULL: "val_loss" */
    glia_monitor_mode mode;
    double factor;         /* 0: 0.1 */
    int64_t patience;      /* 0: 10 epochs; GLIA_NONE: after the first epoch without improvement */
    double min_delta;      /* 0: 1e-4; GLIA_ZERO: any improvement counts */
    int64_t cooldown;      /* epochs after a reduction without monitoring; 0 */
    double min_lr;         /* 0 */
} glia_reduce_lr_on_plateau_opts;
GLIA_API glia_callback glia_reduce_lr_on_plateau(glia_reduce_lr_on_plateau_opts opts);

/* The learning rate of each epoch (from 0), given the current rate. */
typedef double (*glia_lr_fn)(int64_t epoch, double lr, void *context);
GLIA_API glia_callback glia_learning_rate_scheduler(glia_lr_fn rate, void *context);

/* When the loss becomes infinite or NaN: restores the state at the start of the epoch, repeats its steps, and reports
 * the step, operation and layer of the first value that is not finite. Training ends with GLIA_E_ARGUMENT. Keeps a copy
 * of parameters and states. */
GLIA_API glia_callback glia_terminate_on_nan(void);

/* Writes one line of values per epoch; append: after the lines of an earlier run. */
GLIA_API glia_callback glia_csv_logger(const char *path, bool append);

typedef struct glia_tensorboard_opts {
    const char *log_dir;     /* NULL: "logs" */
    int64_t histogram_freq;  /* epochs between histograms of parameters; 0: none */
    bool write_graph;
    bool write_images;       /* kernels of first convolutions as images, with the histograms; after each epoch what the
                              * method shows (glia_training_show), as images and texts */
    int64_t update_freq;     /* steps between scalars of the step; 0: only at the ends of epochs */
    bool own_folder;         /* log_dir is used by this training only: event files of others are removed at the start */
} glia_tensorboard_opts;
/* Writes event files in log_dir/train and log_dir/validation. A training resumed from a checkpoint continues the files
 * that it was writing. */
GLIA_API glia_callback glia_tensorboard(glia_tensorboard_opts opts);

/* Validates with the moving average of the weights (optimizer.ema) instead of the weights; swap_at_end: and keeps it in
 * the model at the end. Polyak and Juditsky 1992. */
GLIA_API glia_callback glia_swap_ema_weights(bool swap_at_end);

typedef struct glia_swa_opts {
    double start;        /* first epoch whose weights are averaged; below 1: as a fraction of all epochs; 0: 0.75;
                          * GLIA_ZERO: all epochs */
    int64_t every;       /* epochs between averaged ones; 0: 1 */
    double lr;           /* constant rate from then on; 0: the schedule's; GLIA_ZERO: 0 */
    const glia_dataset *data; /* to recompute batch norm's statistics with the averaged weights; NULL: not recomputed */
} glia_swa_opts;
/* Stochastic weight averaging (Izmailov et al. 2018): at the end the model has the mean of the weights of some
 * epochs. */
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
/* Trains with an exponentially growing learning rate and records the loss (Smith 2017, section 3.3); the model's values
 * are restored afterwards. Fills at most `steps` points, *n of them. *suggested (may be NULL) is the rate where the
 * smoothed loss falls most steeply; NaN if it never falls. All other settings are those of `fit`, whose schedule,
 * validation and callbacks are not used. */
GLIA_API glia_status glia_lr_find(glia_model *model, const glia_dataset *data, glia_fit_opts fit,
                                  glia_lr_find_opts opts, glia_lr_point *points, int64_t *n, double *suggested,
                                  glia_error *error);

#ifdef __cplusplus
}
#endif
#endif
