/* evaluate.c - runs a trained model on data: scores, predicted classes, raw outputs.
 *
 * Uses inference programs: dropout is the identity, batch norm uses its running statistics, nothing is updated.
 * Evaluation compiles another program for the smaller last batch, so no padding enters a mean. Prediction has programs
 * for a few batch sizes and pads. The model keeps the programs for the next call (kept.c).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/model/task.h"

/* ---- evaluate ----------------------------------------------------------------------------- */

typedef struct classes {
    int64_t *confusion; /* (n, n), or NULL */
    int32_t *predicted; /* by sample, or NULL */
    int n;
    int at;           /* the output that holds the predicted classes */
    glia_dtype dtype; /* of the targets */
} classes;

/* Predicted classes that the data do not have are not counted in the matrix. */
static void count_classes(void *context, const glia_lane *lane, const glia_batch *batch) {
    const classes *c = context;
    const int32_t *predicted = glia_session_output(lane->session, c->at).data;
    const char *truth = batch->y;
    for (int64_t i = 0; i < batch->n; i++) {
        if (c->predicted) c->predicted[batch->indices[i]] = predicted[i];
        if (!c->confusion) continue;
        double label;
        glia_to_double(c->dtype, truth + (size_t)i * glia_dtype_size(c->dtype), &label, 1);
        if (label >= 0 && label < c->n && predicted[i] >= 0 && predicted[i] < c->n) {
            c->confusion[(int64_t)label * c->n + predicted[i]]++;
        }
    }
}

/* Adds the output of predicted classes if the options need it. */
static glia_status want_classes(glia_task *task, const glia_dataset *data, const glia_evaluate_opts *o, classes *c,
                                glia_error *error) {
    *c = (classes){ .confusion = o->confusion,
                    .predicted = o->predicted,
                    .n = glia_data_classes(data),
                    .dtype = glia_data_y_dtype(data),
                    .at = -1 };
    if (!o->confusion && !o->predicted) return GLIA_OK;
    bool one = task->measures.predicted && glia_shape_count(task->measures.predicted->shape) == -1;
    if (!one || (o->confusion && c->n == 0)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "the data '%s' have no classes to count",
                         glia_data_name(data));
    }
    if (task->predicted_at < 0) task->predicted_at = glia_task_output(task, task->measures.predicted);
    c->at = task->predicted_at;
    if (c->confusion) memset(c->confusion, 0, (size_t)c->n * (size_t)c->n * sizeof *c->confusion);
    return GLIA_OK;
}

static glia_wanted wanted_of(const glia_dataset *data, const glia_evaluate_opts *o) {
    return (glia_wanted){ .purpose = GLIA_EVALUATE,
                          .loss = o->loss,
                          .y_dtype = glia_data_y_dtype(data),
                          .y_shape = glia_data_y_shape(data),
                          .classes = o->confusion || o->predicted };
}

static glia_status evaluate(glia_task *task, const glia_dataset *data, glia_evaluate_opts o, glia_scores *scores,
                            glia_error *error) {
    classes c;
    glia_status status = want_classes(task, data, &o, &c, error);
    if (status == GLIA_OK) status = glia_task_prepare(task, glia_data_count(data), o.batch, error);
    if (status != GLIA_OK) return status;
    glia_task_look(task);
    glia_error reason = { 0 };
    const glia_loader_opts how = { .batch = o.batch, .ids = glia_task_takes_ids(task, data) };
    glia_loader *loader = glia_loader_create(data, how, &reason);
    if (!loader) return glia_fail(error, reason.status, "%s", reason.message);
    double began = glia_seconds();
    glia_tally tally = { 0 };
    status = glia_task_pass(task, loader, 0, &tally, c.at >= 0 ? count_classes : NULL, &c, error);
    if (status == GLIA_OK && scores) *scores = glia_tally_mean(&tally, glia_seconds() - began);
    glia_loader_free(loader);
    return status;
}

glia_status glia_evaluate(glia_model *model, const glia_dataset *data, glia_evaluate_opts opts, glia_scores *scores,
                          glia_error *error) {
    if (scores) *scores = (glia_scores){ .loss = NAN, .accuracy = NAN };
    if (!model || !data || opts.batch < 0) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "glia_evaluate: needs a model, data, and a batch size that is not negative");
    }
    if (!opts.batch) opts.batch = 256;
    glia_error reason = { 0 };
    glia_kept *kept = glia_model_take(model, wanted_of(data, &opts), opts.backend, opts.threads, &reason);
    if (!kept) return glia_fail(error, reason.status, "%s", reason.message);
    glia_status status = kept->begun ? glia_task_check(&kept->task, data, error)
                                     : glia_task_measure(&kept->task, data, NULL,
                                                         (glia_loss_opts){ .loss = opts.loss }, error);
    kept->begun = true;
    if (status == GLIA_OK) status = evaluate(&kept->task, data, opts, scores, error);
    if (status == GLIA_OK)
        glia_model_give(model, kept);
    else
        glia_kept_free(kept);
    return status;
}

/* ---- predict ------------------------------------------------------------------------------ */

/* Adds the model's first output to the task. */
static glia_status want_output(glia_task *task, glia_error *error) {
    const glia_named *output = &task->graph->outputs[0];
    glia_shape shape = output->node->shape;
    char text[GLIA_SHAPE_TEXT];
    if (shape.rank == 0 || shape.dim[0] != GLIA_BATCH) {
        return glia_fail(error, GLIA_E_SHAPE, "the output '%s' %s has no batch axis", output->name,
                         glia_shape_format(shape, text));
    }
    if (glia_shape_count(shape) == GLIA_DIM_NONE) {
        return glia_fail(error, GLIA_E_SHAPE, "the output '%s' %s needs fixed sizes behind the batch", output->name,
                         glia_shape_format(shape, text));
    }
    glia_task_output(task, output->node);
    return GLIA_OK;
}

/* Converts the output to f32. */
static void take(const glia_array *from, float *y) {
    const char *bytes = from->data;
    int64_t n = glia_shape_count(from->shape);
    if (from->dtype == GLIA_F32) {
        memcpy(y, bytes, (size_t)n * sizeof *y);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        double value;
        glia_to_double(from->dtype, bytes + (size_t)i * glia_dtype_size(from->dtype), &value, 1);
        y[i] = (float)value;
    }
}

/* Batch sizes of prediction programs: n samples run as batches of these sizes, so any n needs only these programs. The
 * choice depends on n alone, so equal calls give equal bits whatever was predicted before. */
static const int64_t SIZES[] = { 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256 };

/* The batch size for the next of n samples. If it is above n, the batch is padded: when the padding is small, or when a
 * second run would cost more. */
static int64_t batch_for(int64_t n) {
    enum { FEW = 16 };
    int i = GLIA_COUNT(SIZES) - 1;
    if (n >= SIZES[i]) return SIZES[i];
    while (SIZES[i - 1] >= n && i > 1) i--;
    if (i == 1 && n <= SIZES[0]) return SIZES[0];
    return SIZES[i] == n || n < FEW || SIZES[i] * 8 <= n * 9 ? SIZES[i] : SIZES[i - 1];
}

/* All samples of `all`, x or ids. */
static glia_status predict(glia_task *task, const glia_batch *all, float *y, glia_error *error) {
    glia_error reason = { 0 };
    glia_task_look(task);
    if (all->ids && glia_dtype_is_float(task->x->dtype)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_predict_ids: the model's input '%s' is %s, not an integer",
                         glia_leaf_of(task->x)->name, glia_dtype_name(task->x->dtype));
    }
    int64_t x_count = -glia_shape_count(task->x->shape), y_count = -glia_shape_count(task->outputs[0]->shape);
    for (int64_t at = 0; at < all->n;) {
        const int64_t batch = batch_for(all->n - at), real = GLIA_MIN(batch, all->n - at);
        glia_lane *lane = glia_task_lane(task, batch, &reason);
        if (!lane) return glia_fail(error, reason.status, "%s", reason.message);
        const glia_batch some = { .n = real,
                                  .x = all->x ? all->x + at * x_count : NULL,
                                  .ids = all->ids ? all->ids + at * x_count : NULL };
        glia_status status = glia_lane_run_padded(lane, &some, error);
        if (status != GLIA_OK) return status;
        glia_array out = glia_session_output(lane->session, 0);
        out.shape.dim[0] = out.shape.dim[0] / batch * real;
        take(&out, y + at * y_count);
        at += real;
    }
    return GLIA_OK;
}

static glia_status predict_all(glia_model *model, const glia_batch *all, float *y, glia_backend *backend,
                               glia_error *error) {
    if (all->n == 0) return glia_model_ready(model, 0, error);
    glia_error reason = { 0 };
    glia_kept *kept = glia_model_take(model, (glia_wanted){ .purpose = GLIA_PREDICT }, backend, 0, &reason);
    if (!kept) return glia_fail(error, reason.status, "%s", reason.message);
    kept->task.most = GLIA_COUNT(SIZES);
    glia_status status = kept->begun ? GLIA_OK : want_output(&kept->task, error);
    kept->begun = true;
    if (status == GLIA_OK) status = predict(&kept->task, all, y, error);
    if (status == GLIA_OK)
        glia_model_give(model, kept);
    else
        glia_kept_free(kept);
    return status;
}

glia_status glia_predict(glia_model *model, const float *x, int64_t n, float *y, glia_backend *backend,
                         glia_error *error) {
    if (!model || n < 0 || (n > 0 && (!x || !y))) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_predict: needs a model, samples and room for their outputs");
    }
    return predict_all(model, &(glia_batch){ .n = n, .x = x }, y, backend, error);
}

glia_status glia_predict_ids(glia_model *model, const int32_t *x, int64_t n, float *y, glia_backend *backend,
                             glia_error *error) {
    if (!model || n < 0 || (n > 0 && (!x || !y))) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_predict_ids: needs a model, samples and room for their outputs");
    }
    return predict_all(model, &(glia_batch){ .n = n, .ids = x }, y, backend, error);
}
