/* fit.h - fit, evaluate, predict. */
#ifndef GLIA_FIT_H
#define GLIA_FIT_H

#include "glia/data.h"
#include "glia/environments.h"
#include "glia/losses.h"
#include "glia/model.h"
#include "glia/optim.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct glia_scores {
    double loss, accuracy; /* means over all samples (for tokens, over all with a label); accuracy is NaN if there are
                              no classes */
    int64_t samples;
    double seconds;
} glia_scores;

/* A training in progress, for callbacks (callbacks.h): stopping it, its learning rate, checkpoints. */
typedef struct glia_training glia_training; /* valid in callbacks, on the thread of glia_fit() only */

/* A value by name: "loss", "accuracy", "val_loss", "val_accuracy", "lr", and metrics as "f1" and "val_f1". */
typedef struct glia_value {
    const char *name;
    double value;
} glia_value;

/* The arguments of callbacks. */
typedef struct glia_progress {
    glia_training *training;
    glia_model *model;
    int64_t epoch, epochs; /* from 1 */
    int64_t step, steps;   /* in this epoch, from 1 */
    int64_t done, total;   /* steps since training began, and in total */
    int64_t samples;       /* seen in this epoch */
    double seconds;        /* since the epoch began */
    double loss;           /* of this step's batch */
    glia_scores train;     /* means since the epoch began */
    glia_scores validation; /* in epoch_end, if there is validation data; else NaN */
    double lr;             /* learning rate of this step */
    const glia_value *values; /* the values so far in this epoch, complete at its end; in train_begin all names, with
                                 NaN */
    int n_values;
    size_t activation_bytes, parameter_bytes; /* of the training step, planned */
} glia_progress;

/* A callback: functions called at the given points of training, any of them NULL. A status other than GLIA_OK ends
 * training with that status; GLIA_E_INTERRUPTED stops it early and keeps the model usable. callbacks.h has the usual
 * ones, under Keras's names; a struct filled in by hand is Keras's LambdaCallback. */
typedef glia_status (*glia_callback_fn)(const glia_progress *progress, void *context, glia_error *error);
typedef struct glia_callback {
    const char *name;
    glia_callback_fn train_begin; /* before the first step: step 0 */
    glia_callback_fn epoch_begin;
    glia_callback_fn step_end;
    glia_callback_fn validation_begin, validation_end; /* before and after the pass over the validation data */
    glia_callback_fn epoch_end;
    glia_callback_fn train_end; /* also after an error or an interruption, if train_begin succeeded */
    glia_callback_fn save_begin; /* before a checkpoint is made: writes the files that the state refers to */
    void *context;
    void (*free)(void *context); /* called at the end of glia_fit(); may be NULL */
    /* The callback's state for checkpoints: `bytes` bytes of plain memory, whose address does not change after
     * train_begin. NULL: no state. */
    void *(*state)(void *context, size_t *bytes);
    bool after_others; /* called after all other callbacks, e.g. to save their states */
} glia_callback;

/* One of several parts of a model that learn in turn, each from a loss of its own: a critic for five batches, then a
 * generator for one. */
typedef struct glia_phase {
    const char *group;         /* "critic": its update group; its loss is the mean "critic_loss" of an epoch */
    int64_t steps;             /* batches in a row; 0: 1 */
    const char *loss;          /* the output of the model that it minimises, one number */
    const char *parameters;    /* a glob of those that it changes; NULL: those that begin with "GROUP/" */
    glia_optimizer optimizer;  /* without accumulation */
    glia_lr_schedule schedule; /* over the steps of the whole training */
} glia_phase;
enum { GLIA_PHASES = 4 };

typedef struct glia_fit_opts {
    int64_t epochs; /* 0: 1 */
    int64_t batch;  /* 0: 32 */
    glia_loss loss;
    double label_smoothing;
    const double *class_weights; /* (classes): factors on the classes' terms, as in glia_loss_value_opts; NULL: 1 */
    glia_optimizer optimizer;    /* zero: SGD */
    glia_lr_schedule schedule;      /* of the learning rate; zero: constant */
    /* n_phases, at most GLIA_PHASES, in turn; then `loss`, `optimizer` and `schedule` are unused. "loss" and "val_loss"
     * are the loss of the last one. progress.lr is the rate of the first; callbacks that change it change all in
     * proportion. NULL: none. */
    const glia_phase *phases;
    int n_phases;
    const glia_dataset *validation;
    const char *metrics;         /* of metrics.h, comma-separated, besides loss and accuracy: "f1,roc-auc"; NULL:
                                    none */
    const glia_augment *augment; /* of augment.h, for the training data; NULL: none */
    const double *sample_weights; /* one per sample: samples are drawn with replacement in proportion; NULL: each
                                     once */
    bool stratified;             /* each batch has the class proportions of the data */
    const glia_callback *callbacks; /* called in this order; copied; their `free` is always called */
    int n_callbacks;
    uint64_t seed;         /* of the initial parameters (if not yet initialised), the order, augmentation and dropout */
    glia_backend *backend; /* NULL: "cpu" with `threads` */
    int threads;           /* 0: all cores */
    int workers;           /* of the loader; 0: 1 */
    glia_precision precision;
    glia_env *environment; /* for methods that learn by acting: it is reset and acted in; NULL: none */
    const struct glia_graph_data *graphs; /* of graphs.h, for methods that learn from graphs; NULL: none */
    const struct glia_text_source *text; /* of words.h, for methods that learn from text; NULL: none */
    int64_t max_steps;     /* stop after this many steps in total; 0: no limit */
} glia_fit_opts;

/* Trains the model's first output on the data. The loss, the optimiser and its states exist only during the call: the
 * model can be fitted again, and saved, without them. If the output is a softmax, log-softmax or sigmoid,
 * cross-entropies are computed from its input. A sample of any shape with F elements fits an input (N, F); otherwise
 * shapes must be equal except for axes of length 1, so (28, 28) fits (N, 1, 28, 28). Integer targets are classes.
 * GLIA_E_INTERRUPTED if a callback returned it: the model is usable. GLIA_E_ARGUMENT if the loss becomes infinite or
 * NaN: the model gets back the values from the start of that epoch. */
GLIA_API glia_status glia_fit(glia_model *model, const glia_dataset *data, glia_fit_opts opts, glia_error *error);

typedef struct glia_evaluate_opts {
    int64_t batch; /* 0: 256 */
    glia_loss loss;
    glia_backend *backend;
    int threads;
    int64_t *confusion; /* may be NULL: (classes, classes) counts, rows the truth; classes as in the data */
    int32_t *predicted; /* may be NULL: the predicted class of each sample */
} glia_evaluate_opts;
GLIA_API glia_status glia_evaluate(glia_model *model, const glia_dataset *data, glia_evaluate_opts opts,
                                   glia_scores *scores, glia_error *error);

/* The first output for n samples x (n, sample) -> y (n, output), f32. Like glia_evaluate() it uses the model's current
 * values. The model keeps the compiled program, frozen (glia_compile_opts), and a backend if none is given, so a second
 * call costs little more than its run. Any number of threads may call it at once: they share programs and packed
 * weights, and each has its own activations. Samples run in batches of 16 fixed sizes up to 256, padded with copies
 * where that is cheaper, so these programs suffice for any n. The sizes depend on n only, so equal calls are bitwise
 * equal. Results for the same sample in calls with another n may differ in the last bits.
 * For an integer input x holds integers below 2^24, which f32 represents; larger ones are refused. glia_predict_ids()
 * takes all. */
GLIA_API glia_status glia_predict(glia_model *model, const float *x, int64_t n, float *y, glia_backend *backend,
                                  glia_error *error);
/* The same for a model with an integer input. */
GLIA_API glia_status glia_predict_ids(glia_model *model, const int32_t *x, int64_t n, float *y, glia_backend *backend,
                                      glia_error *error);

#ifdef __cplusplus
}
#endif

#endif
