/* fit.h - fit, evaluate, predict. */
#ifndef GLIA_FIT_H
#define GLIA_FIT_H

#include "glia/data.h"
#include "glia/losses.h"
#include "glia/model.h"
#include "glia/optim.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct glia_scores {
    double loss, accuracy; /* means over all samples, of tokens over all that have a label; accuracy is NaN where there
                              are no classes */
    int64_t samples;
    double seconds;
} glia_scores;

/* A training in progress, for callbacks (callbacks.h): stopping it, its learning rate, checkpoints. */
typedef struct glia_training glia_training; /* a callback's view; on the thread of glia_fit() only */

/* A figure by name: "loss", "accuracy", "val_loss", "val_accuracy", "lr", and metrics as "f1" and "val_f1". */
typedef struct glia_value {
    const char *name;
    double value;
} glia_value;

/* What callbacks are told. */
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
    const glia_value *values; /* the figures so far in this epoch; at its end all that there are; in train_begin all
                                 names, with NaN */
    int n_values;
    size_t activation_bytes, parameter_bytes; /* of the training step, planned */
} glia_progress;

/* Something that watches a training and may steer it: functions that are called at its moments, any of them NULL. A
 * status other than GLIA_OK ends the training with it; GLIA_E_INTERRUPTED is the one for "stop here, with what there
 * is". callbacks.h has the usual ones, under Keras's names; this struct, filled in by hand, is Keras's LambdaCallback. */
typedef glia_status (*glia_callback_fn)(const glia_progress *progress, void *context, glia_error *error);
typedef struct glia_callback {
    const char *name;
    glia_callback_fn train_begin; /* before the first step: step 0 */
    glia_callback_fn epoch_begin;
    glia_callback_fn step_end;
    glia_callback_fn validation_begin, validation_end; /* around the pass over the validation data */
    glia_callback_fn epoch_end;
    glia_callback_fn train_end; /* also after an error or an interruption, if train_begin succeeded */
    glia_callback_fn save_begin; /* before a checkpoint is made: writes the files that the state refers to */
    void *context;
    void (*free)(void *context); /* glia_fit() calls it at its very end; may be NULL */
    /* What a checkpoint keeps of the callback: `bytes` of plain memory that stay in their place from train_begin on;
     * NULL: nothing. */
    void *(*state)(void *context, size_t *bytes);
    bool after_others; /* its turn comes when the others have had theirs: for what saves their states */
} glia_callback;

typedef struct glia_fit_opts {
    int64_t epochs; /* 0: 1 */
    int64_t batch;  /* 0: 32 */
    glia_loss loss;
    double label_smoothing;
    const double *class_weights; /* (classes): weight of a sample's loss, by its class; NULL: 1 */
    glia_optimizer optimizer;    /* zero: SGD */
    glia_lr_schedule schedule;      /* of its rate; zero: constant */
    const glia_dataset *validation;
    const char *metrics;         /* of metrics.h, comma-separated, beside loss and accuracy: "f1,roc-auc"; NULL: none */
    const glia_augment *augment; /* of augment.h, for the training data; NULL: none */
    const double *sample_weights; /* one for each sample: draws them with replacement, in proportion; NULL: each once */
    bool stratified;             /* each batch has the classes in their shares */
    const glia_callback *callbacks; /* in this order; copied; their `free` is called in any case */
    int n_callbacks;
    uint64_t seed;         /* of the parameters (if not yet initialised), the order, augmentation and dropout */
    glia_backend *backend; /* NULL: "cpu" with `threads` */
    int threads;           /* 0: all cores */
    int workers;           /* of the loader; 0: 1 */
    glia_precision precision;
    int64_t max_steps;     /* stop after this many steps in total; 0: no limit */
} glia_fit_opts;

/* Trains the model's first output on the data. The loss, the optimiser and its states are the fit's own: the model
 * may be fitted again, and saved, without them. Where the output is a softmax, log-softmax or sigmoid,
 * cross-entropies are computed from its input. A sample of any shape fits an input (N, F) of as many
 * numbers; else shapes must be the same but for axes of length 1, so that (28, 28) fits (N, 1, 28, 28). Integer targets
 * are classes. GLIA_E_INTERRUPTED when a callback said so: the model is usable. GLIA_E_ARGUMENT when the loss stops being
 * finite: the model has again the values with which that epoch began. */
GLIA_API glia_status glia_fit(glia_model *model, const glia_dataset *data, glia_fit_opts opts, glia_error *error);

typedef struct glia_evaluate_opts {
    int64_t batch; /* 0: 256 */
    glia_loss loss;
    glia_backend *backend;
    int threads;
    int64_t *confusion; /* may be NULL: (classes, classes) counts, rows the truth; classes as the data have */
    int32_t *predicted; /* may be NULL: the predicted class of each sample */
} glia_evaluate_opts;
GLIA_API glia_status glia_evaluate(glia_model *model, const glia_dataset *data, glia_evaluate_opts opts,
                                   glia_scores *scores, glia_error *error);

/* The first output for n samples x (n, sample) -> y (n, output), f32. Like glia_evaluate() it computes with the values
 * that the model has at that moment. The model keeps the compiled program, frozen (glia_compile_opts), and a backend if
 * none is given, so a second call costs little more than its run. Any number of threads may call it at once: they share
 * programs and packed weights, and each has activations of its own. Samples run in batches of 16 fixed sizes up to 256,
 * filled up with copies where that is cheaper, so any n needs these programs only; n alone decides which, so equal calls
 * give equal bits. The same sample in calls with another n may differ in its last bits. For an integer input x holds integers
 * below 2^24, which f32 represents; larger ones are refused. glia_predict_ids() takes all. */
GLIA_API glia_status glia_predict(glia_model *model, const float *x, int64_t n, float *y, glia_backend *backend,
                                  glia_error *error);
/* The same for a model with an integer input. */
GLIA_API glia_status glia_predict_ids(glia_model *model, const int32_t *x, int64_t n, float *y, glia_backend *backend,
                                      glia_error *error);

#ifdef __cplusplus
}
#endif

#endif
