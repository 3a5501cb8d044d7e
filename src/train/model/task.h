/* task.h - a model prepared to run on data; shared by fit, evaluate and predict.
 *
 *     model's graph ── copy ──► + target input, loss, accuracy, optimiser ──► one program for each batch size
 *                                                                              (the full one, and the rest's)
 *
 * The programs share the model's store for parameters, and a store layered on it for what the task adds. Inference is
 * frozen: values that depend on parameters alone are computed only when parameters may have changed.
 */
#ifndef GLIA_SRC_TRAIN_MODEL_TASK_H
#define GLIA_SRC_TRAIN_MODEL_TASK_H

#include "core/launch/backend.h"
#include "glia/fit.h"
#include "nn/losses/losses.h"
#include "train/model/model.h"

/* ---- tasks (task.c) ----------------------------------------------------------------------- */

/* A program for one batch size, ready to run. */
typedef struct glia_lane {
    int64_t batch;
    glia_program *program;
    glia_session *session;
    glia_array x, y; /* buffers for the batch; y.data is NULL without targets */
    const char *updates; /* the task's at creation */
    int64_t used;        /* when it was last requested */
} glia_lane;

enum { GLIA_TASK_OUTPUTS = 5, GLIA_TASK_LANES = 16 };

typedef struct glia_task {
    glia_model *model;
    glia_mode mode;
    glia_precision precision; /* f32 unless changed before a lane is created */
    const char *updates;      /* group of updates in lanes requested from now on; NULL: all */
    glia_graph *graph;
    glia_node *x, *y; /* inputs */
    glia_measures measures;
    glia_tensor outputs[GLIA_TASK_OUTPUTS];
    int n_outputs;
    int loss_at, accuracy_at, predicted_at, weight_at; /* indices in outputs; -1: absent */
    glia_store *store;
    glia_backend *backend;
    bool owns_backend;
    struct glia_shelf *shelf; /* shares programs compiled by other tasks; NULL: each task compiles its own */
    glia_lane lanes[GLIA_TASK_LANES];
    int n_lanes;
    int most;      /* lanes kept for each group of updates in use; 2 unless changed */
    int64_t asked; /* number of lane requests so far */
} glia_task;

/* Copies the model's graph, finds its input, and opens the backend ("cpu" if NULL). The model must be ready. Call
 * glia_task_end() whatever the status. */
glia_status glia_task_begin(glia_task *task, glia_model *model, glia_backend *backend, int threads, glia_mode mode,
                            glia_error *error);
void glia_task_end(glia_task *task);

/* Checks that the data fit the model's input and output. */
glia_status glia_task_check(const glia_task *task, const glia_dataset *data, glia_error *error);
/* Checks the data, and adds targets, loss and accuracy. y: dtype and shape of the targets in batches, if they differ
 * from the data's (mixed labels are a number for each class); NULL: as in the data. */
glia_status glia_task_measure(glia_task *task, const glia_dataset *data, const glia_arrays *y, glia_loss_opts loss,
                              glia_error *error);
/* Adds an output; returns its index in lanes. */
int glia_task_output(glia_task *task, glia_tensor y);

/* The lane for batches of n and the task's updates, compiled on first request. At most `most` lanes are kept for these
 * updates; another one replaces the least recently used. NULL: see error. */
glia_lane *glia_task_lane(glia_task *task, int64_t n, glia_error *error);
/* Frees the lane at this index; the last one takes its place. */
void glia_task_drop(glia_task *task, int index);
/* Makes later runs use the model's current values. Call before each pass of inference. */
void glia_task_look(glia_task *task);
/* Compiles all lanes that an epoch of `samples` in batches of `batch` needs. */
glia_status glia_task_prepare(glia_task *task, int64_t samples, int64_t batch, glia_error *error);

/* Whether the input is integer and the data have ids: batches should come from a loader with the option ids. */
bool glia_task_takes_ids(const glia_task *task, const glia_dataset *data);
/* Copies a batch to the session's inputs, x or ids, and runs it. y may be NULL. */
glia_status glia_lane_run_batch(glia_lane *lane, const glia_batch *batch, glia_error *error);
/* The same with x as f32; for an integer input all below 2^24. */
glia_status glia_lane_run(glia_lane *lane, const float *x, const void *y, glia_error *error);
/* As glia_lane_run_batch() without targets, for the first batch->n samples; the rest is copies of the last one. */
glia_status glia_lane_run_padded(glia_lane *lane, const glia_batch *batch, glia_error *error);
/* A scalar output; NaN for index -1. */
double glia_lane_scalar(const glia_lane *lane, int index);

/* Weighted sums over batches. Weights are what the means are over: samples, or labels where some are missing. */
typedef struct glia_tally {
    double loss, accuracy, weight;
    int64_t samples;
} glia_tally;
void glia_tally_add(glia_tally *tally, const glia_task *task, const glia_lane *lane);
glia_scores glia_tally_mean(const glia_tally *tally, double seconds);

/* One pass over the loader's data in inference; `each` (may be NULL) is called after every batch. */
typedef void (*glia_batch_fn)(void *context, const glia_lane *lane, const glia_batch *batch);
glia_status glia_task_pass(glia_task *task, glia_loader *loader, int64_t epoch, glia_tally *tally, glia_batch_fn each,
                           void *context, glia_error *error);

double glia_seconds(void); /* of a monotonic clock */

/* ---- batch norm (norms.c) -------------------------------------------------------------------- */

/* Recomputes the running statistics from batches of the data in training mode. */
glia_status glia_norms_measure(glia_model *model, const glia_dataset *data, int64_t batch, glia_backend *backend,
                               glia_error *error);

/* ---- cached tasks (kept.c) --------------------------------------------------------------------- */

typedef enum glia_purpose { GLIA_PREDICT, GLIA_EVALUATE } glia_purpose;

/* What a cached task computes. */
typedef struct glia_wanted {
    glia_purpose purpose;
    /* GLIA_EVALUATE: */
    glia_loss loss;
    glia_dtype y_dtype;
    glia_shape y_shape;
    bool classes;
} glia_wanted;

typedef struct glia_kept {
    struct glia_kept *next;
    struct glia_shelf *shelf;
    glia_task task;
    int n_nodes; /* of the model's graph at creation */
    bool begun;  /* set by the caller once its outputs are added */
} glia_kept;

/* An inference task for the current model, this purpose and this backend (NULL: its own, with this number of threads):
 * a returned one, or a new one with begun = false. It is the caller's until glia_model_give() or glia_kept_free(), so
 * concurrent calls have separate tasks. NULL: see error. */
glia_kept *glia_model_take(glia_model *model, glia_wanted wanted, glia_backend *backend, int threads,
                           glia_error *error);
void glia_kept_free(glia_kept *kept);
/* Returns the task to the model for the next call, without programs so large that compiling is cheap beside running. */
void glia_model_give(glia_model *model, glia_kept *kept);
/* For tests: the most recently returned idle task of this purpose; NULL: none. */
const glia_kept *glia_model_idle(const glia_model *model, glia_purpose purpose);
/* Frees all cached tasks and programs. */
void glia_model_forget(glia_model *model);

/* The program for batches of n that tasks of this shelf share, compiled if missing; the caller frees it. */
glia_program *glia_shelf_program(struct glia_shelf *shelf, const glia_task *task, int64_t n, glia_error *error);
/* Compiles the task's outputs and updates for batches of n. */
glia_program *glia_task_compile(const glia_task *task, int64_t n, glia_error *error);

#endif
