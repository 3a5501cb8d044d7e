/* training.h - the state of a running training, shared by the run, its method, checkpoints and callbacks. */
#ifndef GLIA_SRC_TRAIN_RUN_TRAINING_H
#define GLIA_SRC_TRAIN_RUN_TRAINING_H

#include "train/model/task.h"
#include "train/run/method.h"

enum {
    GLIA_RUN_MEANS = 8,
    GLIA_RUN_FIGURES = 24,
    GLIA_RUN_GROUPS = 4,
    GLIA_RUN_ARRAYS = 64,
    GLIA_RUN_VALUES = GLIA_RUN_MEANS + GLIA_RUN_FIGURES + 1
};

struct glia_training {
    const glia_method *method;
    void *memory; /* the method's */
    glia_arena texts;
    glia_fit_opts opts;       /* defaults filled in */
    glia_callback *callbacks; /* in call order */
    glia_model *model;
    const glia_dataset *data; /* NULL: the method uses none */
    glia_backend *backend;
    bool owns_backend;

    /* set by the method's begin */
    glia_store *states;                  /* values beside the model's, such as the optimiser's; the method's */
    const char *groups[GLIA_RUN_GROUPS]; /* update groups that may keep averages, "GROUP/ema/NAME" in states */
    int n_groups;
    glia_loader *loader;                      /* batches of the data, one for each step; NULL: steps without batches */
    int64_t epoch_steps;                      /* without a loader: steps of an epoch */
    double full_lr;                           /* base rate that the schedule multiplies */
    size_t activation_bytes, parameter_bytes; /* of a step */

    /* position */
    int64_t epoch, step; /* completed epochs, completed steps of the current epoch */
    int64_t done, total;
    double seconds; /* seconds of this epoch before the checkpoint it resumed from */
    int begun;      /* number of callbacks whose train_begin succeeded */
    bool stop;      /* a callback requested it */
    bool ended;     /* the current epoch has ended; if max_steps cut it short, `step` is kept */

    /* means over the steps of the epoch, and figures measured at its end */
    const char *means[GLIA_RUN_MEANS];
    double sums[GLIA_RUN_MEANS], weights[GLIA_RUN_MEANS];
    int n_means;
    int64_t samples; /* seen in the epoch */
    glia_value figures[GLIA_RUN_FIGURES];
    int n_figures;
    glia_value values[GLIA_RUN_VALUES];
    glia_progress progress;

    /* the learning rate */
    double scale;    /* factor on the schedule's rate */
    double fixed_lr; /* replaces the schedule's rate; NaN: none */

    struct glia_restored *restored; /* a checkpoint whose callback states are still to be restored */

    /* values at the start of the epoch */
    char *backup;
    int64_t began_at;  /* completed steps of the epoch at the backup */
    bool keeps_states; /* includes `states`, for diagnosis */
    bool diagnoses;    /* trace a non-finite loss to its origin */
};

/* ---- training.c, for methods ------------------------------------------------------------------ */

/* Declares a mean of the epoch; returns its index. "loss" and "accuracy" also become progress.train. */
int glia_training_mean(glia_training *training, const char *name);
/* Adds one step's value of the mean at this index, which counts as `weight` items. */
void glia_training_add(glia_training *training, int mean, double value, double weight);
/* Declares a figure; returns its index in training->figures, whose value `measure` sets. "val_loss" and "val_accuracy"
 * also become progress.validation. The name must live as long as the training. */
int glia_training_figure(glia_training *training, const char *name);
/* The mean so far; NaN before the first step. */
double glia_training_mean_value(const glia_training *training, int mean);

/* A step of `restore`: checks that a checkpoint has this array, and with check_only false copies it. */
glia_status glia_training_take(const glia_array *own, const glia_array *arrays, int n, bool check_only,
                               glia_error *error);

/* Steps of `begin`. A copy of the model's graph, to which losses and updates may be added; the model's values are
 * initialised. */
glia_status glia_training_copy_graph(glia_training *training, glia_graph **graph, glia_error *error);
/* Creates the training's states, the model's values and those that such a graph has besides. */
glia_status glia_training_add_states(glia_training *training, const glia_graph *graph, glia_error *error);
/* Creates the loader, of shuffled batches of the data. full: without a last one that is smaller, and an error if the
 * data do not fill one. */
glia_status glia_training_load(glia_training *training, bool full, glia_error *error);
/* Takes the sizes that the run reports from the program of a step. */
void glia_training_take_sizes(glia_training *training, const glia_program *program);

/* GLIA_E_ARGUMENT unless the optimiser is SGD with a learning rate alone: for methods with updates of their own. */
glia_status glia_training_plain_sgd(const glia_training *training, glia_error *error);

/* The learning rate of the next step. */
double glia_training_rate(const glia_training *training);
/* That of the step after `step` others, if nothing else changes it. */
double glia_training_rate_at(const glia_training *training, int64_t step);

/* Copies the model's values, with keeps_states also the method's, to the backup or back. */
void glia_training_back_up(glia_training *training, bool restore);
size_t glia_training_backup_bytes(const glia_training *training);
/* Calls validation_begin or validation_end of all callbacks: around a pass over the validation data. */
glia_status glia_training_validation(glia_training *training, bool begins, glia_error *error);

/* Calls save_begin of all callbacks. */
glia_status glia_training_save_begin(glia_training *training, glia_error *error);

/* ---- checkpoint.c ------------------------------------------------------------------------------- */

/* After all callbacks have begun: restores their states from the restored checkpoint. */
glia_status glia_training_restore_callbacks(glia_training *training, glia_error *error);
void glia_restored_free(struct glia_restored *restored);

#endif
