/* task.c - prepares a model to run on data: graph copies, checks, sessions, batches. See task.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/program/program.h"
#include "train/model/task.h"

double glia_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- beginning and ending ----------------------------------------------------------------- */

/* Finds the input of the task's graph that receives the samples. */
static glia_status find_input(glia_task *task, glia_error *error) {
    glia_error reason = { 0 };
    const glia_node *input = glia_model_sample_input(task->model, &reason);
    if (!input) return glia_fail(error, reason.status, "%s", reason.message);
    task->x = glia_graph_find_leaf(task->graph, glia_leaf_of(input)->name);
    const glia_shape *s = &task->x->shape;
    if (s->rank == 0 || s->dim[0] != GLIA_BATCH) {
        return glia_fail(error, GLIA_E_SHAPE, "the model's input '%s' has no batch axis", glia_leaf_of(task->x)->name);
    }
    char text[GLIA_SHAPE_TEXT];
    if (glia_shape_count(*s) == GLIA_DIM_NONE) {
        return glia_fail(error, GLIA_E_SHAPE, "the model's input '%s' %s needs fixed sizes behind the batch",
                         glia_leaf_of(task->x)->name, glia_shape_format(*s, text));
    }
    return GLIA_OK;
}

glia_status glia_task_begin(glia_task *task, glia_model *model, glia_backend *backend, int threads, glia_mode mode,
                            glia_error *error) {
    *task = (glia_task){
        .model = model, .mode = mode, .backend = backend, .most = 2,
        .loss_at = -1, .accuracy_at = -1, .predicted_at = -1, .weight_at = -1
    };
    glia_error reason = { 0 };
    task->graph = glia_graph_rewrite(model->graph, NULL, NULL, NULL, true, &reason);
    if (!task->graph) return glia_fail(error, reason.status, "%s", reason.message);
    glia_status status = find_input(task, error);
    if (status != GLIA_OK) return status;
    task->store = glia_store_create_over(model->store, error);
    if (!task->store) return GLIA_E_NOMEM;
    if (!backend) {
        task->backend = glia_backend_open("cpu", threads, &reason);
        if (!task->backend) return glia_fail(error, reason.status, "%s", reason.message);
        task->owns_backend = true;
    }
    return GLIA_OK;
}

static void lane_free(glia_lane *lane) {
    glia_session_free(lane->session);
    glia_program_free(lane->program);
}

void glia_task_end(glia_task *task) {
    for (int i = 0; i < task->n_lanes; i++) lane_free(&task->lanes[i]);
    glia_store_free(task->store);
    glia_graph_free(task->graph);
    if (task->owns_backend) glia_backend_close(task->backend);
    *task = (glia_task){ 0 };
}

/* ---- data against model ------------------------------------------------------------------- */

/* True if the shapes differ only in axes of length 1, so that elements have the same order. */
static bool equal_but_ones(glia_shape a, glia_shape b) {
    int i = 0, j = 0;
    for (;;) {
        while (i < a.rank && a.dim[i] == 1) i++;
        while (j < b.rank && b.dim[j] == 1) j++;
        if (i == a.rank || j == b.rank) return i == a.rank && j == b.rank;
        if (a.dim[i++] != b.dim[j++]) return false;
    }
}

/* Checks that samples fit the input. An input (N, K) takes samples of K numbers in any shape; axes of length 1 are
 * ignored: (28, 28) is an image (1, 28, 28). */
static glia_status check_samples(const glia_task *task, const glia_dataset *data, glia_error *error) {
    glia_shape sample = glia_data_x_shape(data), wanted = { .rank = task->x->shape.rank - 1 };
    for (int i = 0; i < wanted.rank; i++) wanted.dim[i] = task->x->shape.dim[i + 1];
    bool row = wanted.rank == 1 && glia_shape_count(sample) == wanted.dim[0];
    if (row || equal_but_ones(sample, wanted)) return GLIA_OK;
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    return glia_fail(error, GLIA_E_SHAPE, "the data '%s' have samples %s, but the model's input '%s' takes %s",
                     glia_data_name(data), glia_shape_format(sample, a), glia_leaf_of(task->x)->name,
                     glia_shape_format(wanted, b));
}

/* The number of classes for this number of integer targets; 0: they are not classes. */
static int64_t classes_of(glia_shape output, int64_t targets) {
    int64_t last = output.rank > 1 ? output.dim[output.rank - 1] : 1;
    if (last < 1 || glia_shape_count(output) != glia_dim_times(GLIA_BATCH, targets * last)) return 0;
    return last > 1 ? last : 2;
}

/* Checks that integer targets are classes of the output. With several targets a sample, negative ones are ignored. */
static glia_status check_labels(const glia_task *task, const glia_dataset *data, glia_error *error) {
    enum {
        MOST = 4096
    }; /* bytes of a sample's targets; longer ones are not checked here: the loss ignores bad labels */
    const glia_named *output = &task->graph->outputs[0];
    glia_dtype dtype = glia_data_y_dtype(data);
    int64_t targets = glia_shape_count(glia_data_y_shape(data)), classes = classes_of(output->node->shape, targets);
    size_t size = glia_dtype_size(dtype);
    if (glia_dtype_is_float(dtype) || classes == 0 || (size_t)targets > MOST / size) return GLIA_OK;
    char text[GLIA_SHAPE_TEXT];
    for (int64_t i = 0; i < glia_data_count(data); i++) {
        _Alignas(16) unsigned char bytes[MOST];
        glia_status status = glia_data_get(data, i, NULL, bytes, error);
        if (status != GLIA_OK) return status;
        for (int64_t j = 0; j < targets; j++) {
            double label;
            glia_to_double(dtype, bytes + (size_t)j * size, &label, 1);
            if ((label >= 0 || glia_data_y_shape(data).rank > 0) && label < (double)classes) continue;
            return glia_fail(
                error, GLIA_E_ARGUMENT,
                "sample %lld of the data '%s' has label %.0f, but the model's output '%s' %s has %lld classes",
                (long long)i, glia_data_name(data), label, output->name, glia_shape_format(output->node->shape, text),
                (long long)classes);
        }
    }
    return GLIA_OK;
}

/* Adds an input for the targets, under a name that the model does not use. */
static glia_node *add_target(glia_graph *g, glia_dtype dtype, glia_shape y, const char *data) {
    glia_shape shape = { .rank = y.rank + 1, .dim = { GLIA_BATCH } };
    if (y.rank >= GLIA_MAX_RANK) {
        glia_graph_fail(g, GLIA_E_SHAPE, "the data '%s' have targets of rank %d", data, y.rank);
        return NULL;
    }
    for (int i = 0; i < y.rank; i++) shape.dim[i + 1] = y.dim[i];
    const char *name = "target";
    while (name && glia_graph_find_leaf(g, name)) name = glia_arena_printf(&g->arena, "%s'", name);
    if (!name) {
        glia_graph_fail_nomem(g);
        return NULL;
    }
    glia_tensor input = glia_input(g, name, dtype, shape);
    return glia_is_bad(input) ? NULL : input;
}

int glia_task_output(glia_task *task, glia_tensor y) {
    task->outputs[task->n_outputs] = y;
    return task->n_outputs++;
}

glia_status glia_task_check(const glia_task *task, const glia_dataset *data, glia_error *error) {
    if (glia_data_count(data) == 0)
        return glia_fail(error, GLIA_E_ARGUMENT, "the data '%s' are empty", glia_data_name(data));
    glia_status status = check_samples(task, data, error);
    return status == GLIA_OK ? check_labels(task, data, error) : status;
}

/* An output of the task's graph becomes the loss. Targets go into an input "target", if there is one. */
static glia_status take_output_loss(glia_task *task, const glia_dataset *data, const glia_arrays *y,
                                    const glia_loss_opts *opts, glia_error *error) {
    glia_graph *g = task->graph;
    const char *name = opts->output ? opts->output : "loss";
    glia_node *loss = glia_graph_find_output(g, name), *target = glia_graph_find_leaf(g, "target");
    if (!loss)
        return glia_fail(error, GLIA_E_ARGUMENT, "the model has no output '%s', which was chosen as the loss", name);
    if (loss->shape.rank || !glia_dtype_is_float(loss->dtype))
        return glia_fail(error, GLIA_E_ARGUMENT, "the model's output '%s' is not one floating-point number", name);
    if (opts->smoothing != 0 || opts->class_weights) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "label smoothing and class weights do not change a loss that is an output of the model");
    }
    if (target && glia_is_input(target)) {
        const glia_shape one = y ? y->y_shape : glia_data_y_shape(data);
        glia_shape wanted = { .rank = one.rank + 1, .dim = { GLIA_BATCH } };
        for (int i = 0; i < one.rank && i + 1 < GLIA_MAX_RANK; i++) wanted.dim[i + 1] = one.dim[i];
        const glia_dtype dtype = y ? y->y_dtype : glia_data_y_dtype(data);
        char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
        if (one.rank >= GLIA_MAX_RANK || target->dtype != dtype || !glia_shape_equal(target->shape, wanted)) {
            return glia_fail(error, GLIA_E_SHAPE, "the model's input 'target' is %s%s, and the data '%s' have %s%s",
                             glia_dtype_name(target->dtype), glia_shape_format(target->shape, a), glia_data_name(data),
                             glia_dtype_name(dtype), glia_shape_format(wanted, b));
        }
        task->y = target;
    }
    task->measures = (glia_measures){ .kind = GLIA_LOSS_OUTPUT, .loss = loss };
    task->loss_at = glia_task_output(task, loss);
    return GLIA_OK;
}

glia_status glia_task_measure(glia_task *task, const glia_dataset *data, const glia_arrays *y, glia_loss_opts loss,
                              glia_error *error) {
    if (loss.loss == GLIA_LOSS_OUTPUT) {
        glia_status status = glia_data_count(data) > 0 ? check_samples(task, data, error)
                                                       : glia_task_check(task, data, error);
        return status == GLIA_OK ? take_output_loss(task, data, y, &loss, error) : status;
    }
    glia_status status = glia_task_check(task, data, error);
    if (status != GLIA_OK) return status;
    glia_graph *g = task->graph;
    const glia_dtype dtype = y ? y->y_dtype : glia_data_y_dtype(data);
    const bool mixed = glia_dtype_is_float(dtype) && !glia_dtype_is_float(glia_data_y_dtype(data));
    if (mixed && (loss.loss == GLIA_LOSS_DEFAULT || loss.loss == GLIA_CROSS_ENTROPY)) {
        loss.loss = GLIA_CROSS_ENTROPY_ONE_HOT;
    }
    const char *label = glia_graph_label(g, "loss");
    task->y = add_target(g, dtype, y ? y->y_shape : glia_data_y_shape(data), glia_data_name(data));
    bool added = task->y && glia_loss_add(g->outputs[0].node, task->y, loss, &task->measures);
    glia_graph_label(g, label);
    status = glia_graph_check(g, error);
    if (status != GLIA_OK || !added) return status;
    task->loss_at = glia_task_output(task, task->measures.loss);
    if (task->measures.accuracy) task->accuracy_at = glia_task_output(task, task->measures.accuracy);
    if (task->measures.weight) task->weight_at = glia_task_output(task, task->measures.weight);
    return GLIA_OK;
}

/* ---- lanes -------------------------------------------------------------------------------- */

void glia_task_drop(glia_task *task, int index) {
    lane_free(&task->lanes[index]);
    task->lanes[index] = task->lanes[--task->n_lanes];
}

/* True if the lane's program has the updates that the task selects now. */
static bool has_updates(const glia_lane *lane, const glia_task *task) {
    if (!lane->updates || !task->updates) return lane->updates == task->updates;
    return !strcmp(lane->updates, task->updates);
}

/* The least recently used lane for the task's updates if their number is at its limit, else -1. */
static int surplus_lane(const glia_task *task) {
    int oldest = -1, n = 0;
    for (int i = 0; i < task->n_lanes; i++) {
        if (!has_updates(&task->lanes[i], task)) continue;
        n++;
        if (oldest < 0 || task->lanes[i].used < task->lanes[oldest].used) oldest = i;
    }
    return n < task->most ? -1 : oldest;
}

glia_program *glia_task_compile(const glia_task *task, int64_t n, glia_error *error) {
    glia_compile_opts opts = { .outputs = task->outputs,
                               .n_outputs = task->n_outputs,
                               .mode = task->mode,
                               .updates = task->updates,
                               .batch = n,
                               .frozen = task->mode == GLIA_INFER,
                               .precision = task->precision };
    return glia_compile(task->graph, task->backend, opts, error);
}

glia_lane *glia_task_lane(glia_task *task, int64_t n, glia_error *error) {
    task->asked++;
    for (int i = 0; i < task->n_lanes; i++) {
        glia_lane *lane = &task->lanes[i];
        if (lane->batch != n || !has_updates(lane, task)) continue;
        lane->used = task->asked;
        return lane;
    }
    int surplus = surplus_lane(task);
    if (surplus >= 0) glia_task_drop(task, surplus);
    glia_lane *lane = &task->lanes[task->n_lanes];
    *lane = (glia_lane){ .batch = n, .updates = task->updates, .used = task->asked };
    lane->program = task->shelf ? glia_shelf_program(task->shelf, task, n, error) : glia_task_compile(task, n, error);
    if (!lane->program) return NULL;
    lane->session = glia_session_create_on(lane->program, task->backend, task->store, error);
    if (!lane->session) {
        lane_free(lane);
        return NULL;
    }
    task->n_lanes++;
    glia_session_input(lane->session, glia_leaf_of(task->x)->name, &lane->x, NULL);
    if (task->y) glia_session_input(lane->session, glia_leaf_of(task->y)->name, &lane->y, NULL);
    return lane;
}

void glia_task_look(glia_task *task) {
    for (int i = 0; i < task->n_lanes; i++) glia_session_outdate(task->lanes[i].session);
}

glia_status glia_task_prepare(glia_task *task, int64_t samples, int64_t batch, glia_error *error) {
    glia_error reason = { 0 };
    bool ok = glia_store_add(task->store, task->graph, 0, &reason) == GLIA_OK;
    if (ok && samples >= batch) ok = glia_task_lane(task, batch, &reason) != NULL;
    if (ok && samples % batch) ok = glia_task_lane(task, samples % batch, &reason) != NULL;
    return ok ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

/* Converts f32 to the input's dtype. Integers that f32 may have rounded are refused. */
static glia_status put(const float *from, const glia_array *to, glia_error *error) {
    int64_t n = glia_shape_count(to->shape);
    if (to->dtype == GLIA_F32) {
        memcpy(to->data, from, (size_t)n * sizeof *from);
        return GLIA_OK;
    }
    double wide[256];
    char *out = to->data;
    const bool integer = !glia_dtype_is_float(to->dtype);
    for (int64_t at = 0; at < n; at += GLIA_COUNT(wide)) {
        int64_t m = GLIA_MIN(n - at, (int64_t)GLIA_COUNT(wide));
        double most = 0;
        for (int64_t i = 0; i < m; i++) wide[i] = (double)from[at + i], most = fmax(most, fabs(wide[i]));
        if (integer && most >= 0x1p24) {
            return glia_fail(error, GLIA_E_UNSUPPORTED,
                             "the model's input '%s' is %s and is given %.0f as f32, which is exact below 2^24 only",
                             to->name, glia_dtype_name(to->dtype), most);
        }
        glia_from_double(to->dtype, wide, out + (size_t)at * glia_dtype_size(to->dtype), m);
    }
    return GLIA_OK;
}

/* Copies ids to an integer input, or converts them. */
static void put_ids(const int32_t *from, const glia_array *to) {
    const int64_t n = glia_shape_count(to->shape);
    if (to->dtype == GLIA_I32) memcpy(to->data, from, (size_t)n * sizeof *from);
    for (int64_t i = 0; to->dtype != GLIA_I32 && i < n; i++) {
        const double value = from[i];
        glia_from_double(to->dtype, &value, (char *)to->data + (size_t)i * glia_dtype_size(to->dtype), 1);
    }
}

bool glia_task_takes_ids(const glia_task *task, const glia_dataset *data) {
    return !glia_dtype_is_float(task->x->dtype) && glia_data_has_ids(data);
}

static glia_status run_on(glia_lane *lane, const void *y, glia_error *error) {
    if (lane->y.data && y) memcpy(lane->y.data, y, glia_shape_bytes(lane->y.shape, lane->y.dtype));
    return glia_session_run(lane->session, error);
}

glia_status glia_lane_run(glia_lane *lane, const float *x, const void *y, glia_error *error) {
    glia_status status = lane->x.data ? put(x, &lane->x, error) : GLIA_OK;
    return status == GLIA_OK ? run_on(lane, y, error) : status;
}

glia_status glia_lane_run_batch(glia_lane *lane, const glia_batch *batch, glia_error *error) {
    if (!batch->ids) return glia_lane_run(lane, batch->x, batch->y, error);
    if (lane->x.data) put_ids(batch->ids, &lane->x);
    return run_on(lane, batch->y, error);
}

glia_status glia_lane_run_padded(glia_lane *lane, const glia_batch *batch, glia_error *error) {
    glia_array first = lane->x;
    if (first.data) {
        first.shape.dim[0] = batch->n;
        glia_status status = GLIA_OK;
        if (batch->ids)
            put_ids(batch->ids, &first);
        else
            status = put(batch->x, &first, error);
        if (status != GLIA_OK) return status;
        const size_t bytes = glia_shape_bytes(lane->x.shape, lane->x.dtype) / (size_t)lane->batch;
        char *last = (char *)first.data + (size_t)(batch->n - 1) * bytes;
        for (int64_t i = batch->n; i < lane->batch; i++) memcpy(last + (size_t)(i - batch->n + 1) * bytes, last, bytes);
    }
    return glia_session_run(lane->session, error);
}

double glia_lane_scalar(const glia_lane *lane, int index) {
    if (index < 0) return NAN;
    glia_array a = glia_session_output(lane->session, index);
    double value;
    glia_to_double(a.dtype, a.data, &value, 1);
    return value;
}

/* ---- means -------------------------------------------------------------------------------- */

void glia_tally_add(glia_tally *tally, const glia_task *task, const glia_lane *lane) {
    const double weight = task->weight_at >= 0 ? glia_lane_scalar(lane, task->weight_at) : (double)lane->batch;
    tally->loss += weight * glia_lane_scalar(lane, task->loss_at);
    tally->accuracy += weight * glia_lane_scalar(lane, task->accuracy_at);
    tally->weight += weight;
    tally->samples += lane->batch;
}

glia_scores glia_tally_mean(const glia_tally *tally, double seconds) {
    const double n = tally->samples > 0 ? fmax(tally->weight, 1) : NAN; /* if no sample has a label, the sums are 0 */
    return (glia_scores){ .loss = tally->loss / n,
                          .accuracy = tally->accuracy / n,
                          .samples = tally->samples,
                          .seconds = seconds };
}

glia_status glia_task_pass(glia_task *task, glia_loader *loader, int64_t epoch, glia_tally *tally, glia_batch_fn each,
                           void *context, glia_error *error) {
    glia_batch batch;
    glia_status status = glia_loader_start(loader, epoch, error);
    while (status == GLIA_OK && glia_loader_next(loader, &batch)) {
        glia_lane *lane = glia_task_lane(task, batch.n, error);
        if (!lane) return GLIA_E_INTERNAL;
        status = glia_lane_run_batch(lane, &batch, error);
        if (status != GLIA_OK) break;
        glia_tally_add(tally, task, lane);
        if (each) each(context, lane, &batch);
    }
    return status == GLIA_OK ? glia_loader_check(loader, error) : status;
}
