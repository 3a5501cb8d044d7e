/* evaluate.c - a trained model on data: scores, predicted classes, raw outputs.
 *
 * Inference programs: dropout passes, batch norm uses its running statistics, nothing is updated. The last, smaller
 * batch has a program of its own, so no padding enters any mean.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/task.h"

/* ---- evaluate ----------------------------------------------------------------------------- */

typedef struct classes {
    int64_t *confusion; /* (n, n), or NULL */
    int32_t *predicted; /* by sample, or NULL */
    int n;
    int at;           /* the output that holds the predicted classes */
    glia_dtype dtype; /* of the targets */
} classes;

/* Predictions of a class that the data do not have are in no cell of the table. */
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

/* Adds what the caller wants to know about classes. */
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
        return glia_fail(error, GLIA_E_ARGUMENT, "the data '%s' have no classes that could be counted",
                         glia_data_name(data));
    }
    c->at = glia_task_output(task, task->measures.predicted);
    if (c->confusion) memset(c->confusion, 0, (size_t)c->n * (size_t)c->n * sizeof *c->confusion);
    return GLIA_OK;
}

static glia_status evaluate(glia_task *task, const glia_dataset *data, glia_evaluate_opts o, glia_scores *scores,
                            glia_error *error) {
    classes c;
    glia_status status = glia_task_measure(task, data, o.loss, 0, error);
    if (status == GLIA_OK) status = want_classes(task, data, &o, &c, error);
    if (status == GLIA_OK) status = glia_task_prepare(task, glia_data_count(data), o.batch, error);
    if (status != GLIA_OK) return status;
    glia_error reason = { 0 };
    glia_loader *loader = glia_loader_create(data, (glia_loader_opts){ .batch = o.batch }, &reason);
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
    glia_status status = glia_model_ready(model, 0, error);
    if (status != GLIA_OK) return status;
    glia_task task;
    status = glia_task_begin(&task, model, opts.backend, opts.threads, GLIA_INFER, error);
    if (status == GLIA_OK) status = evaluate(&task, data, opts, scores, error);
    glia_task_end(&task);
    return status;
}

/* ---- predict ------------------------------------------------------------------------------ */

static glia_status predict(glia_task *task, const float *x, int64_t n, float *y, glia_error *error) {
    enum { BATCH = 256 };
    const glia_named *output = &task->graph->outputs[0];
    glia_shape shape = output->node->shape;
    char text[GLIA_SHAPE_TEXT];
    if (shape.rank == 0 || shape.dim[0] != GLIA_BATCH) {
        return glia_fail(error, GLIA_E_SHAPE, "the output '%s' %s is not one for each sample", output->name,
                         glia_shape_format(shape, text));
    }
    glia_task_output(task, output->node);
    glia_status status = glia_task_prepare(task, n, BATCH, error);
    if (status != GLIA_OK) return status;
    int64_t x_count = -glia_shape_count(task->x->shape), y_count = -glia_shape_count(shape);
    for (int64_t at = 0; at < n; at += BATCH) {
        glia_lane *lane = glia_task_lane(task, GLIA_MIN(n - at, (int64_t)BATCH), error);
        if (!lane) return GLIA_E_INTERNAL;
        status = glia_lane_run(lane, x + at * x_count, NULL, error);
        if (status != GLIA_OK) return status;
        glia_array out = glia_session_output(lane->session, 0);
        const char *from = out.data;
        for (int64_t i = 0; i < lane->batch * y_count; i++) {
            double value;
            glia_to_double(out.dtype, from + (size_t)i * glia_dtype_size(out.dtype), &value, 1);
            y[at * y_count + i] = (float)value;
        }
    }
    return GLIA_OK;
}

glia_status glia_predict(glia_model *model, const float *x, int64_t n, float *y, glia_backend *backend,
                         glia_error *error) {
    if (!model || n < 0 || (n > 0 && (!x || !y))) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_predict: needs a model, samples and room for their outputs");
    }
    glia_status status = glia_model_ready(model, 0, error);
    if (status != GLIA_OK || n == 0) return status;
    glia_task task;
    status = glia_task_begin(&task, model, backend, 0, GLIA_INFER, error);
    if (status == GLIA_OK) status = predict(&task, x, n, y, error);
    glia_task_end(&task);
    return status;
}
