/* fit.c - supervised training: each step is one run of one program.
 *
 *     model's graph ── copy ──► + target, loss, accuracy, glia_minimize ──► programs for full batches and the last
 *     loader ──► x, y into the session's inputs ──► run ──► loss, accuracy
 *
 * Parameters belong to the model and change in place; the optimiser's states live as long as the fit. A step allocates
 * nothing and takes no lock except the loader's.
 *
 * With gradient accumulation, most steps run a program that only adds up gradients, and every k-th step runs the
 * program that applies them. These are two groups of updates of one graph (optim.h).
 */
#include "train/fit/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "data/sources/data.h"

/* ---- setup -------------------------------------------------------------------------------- */

static glia_status check_opts(glia_fit_opts *o, glia_error *error) {
    o->label_smoothing = glia_option(o->label_smoothing, 0);
    if (!(o->label_smoothing >= 0 && o->label_smoothing < 1)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "training: label_smoothing is %g, which is not in [0, 1)",
                         o->label_smoothing);
    }
    if (o->metrics && !o->validation) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "training: metrics need validation data");
    }
    return GLIA_OK;
}

static bool accumulates(const glia_training *t) { return t->opts.optimizer.accumulate > 1; }

/* The denominator of a batch's mean loss: number of labels or samples; the last batch may have fewer. */
static glia_tensor batch_weight(const glia_training *t) {
    if (!accumulates(t)) return NULL;
    const glia_task *train = &glia_supervised_of(t)->train;
    if (train->measures.weight) return train->measures.weight;
    return glia_count_of(train->measures.loss->graph->outputs[0].node, GLIA_SHAPE(0));
}

/* The loss of training or validation; with phases that of the last. */
static glia_loss_opts loss_of(const glia_training *t, bool training) {
    const glia_fit_opts *o = &t->opts;
    if (o->n_phases)
        return (glia_loss_opts){ .loss = GLIA_LOSS_OUTPUT,
                                 .output = glia_supervised_of(t)->phases[o->n_phases - 1].loss };
    if (!training) return (glia_loss_opts){ .loss = o->loss };
    return (glia_loss_opts){ .loss = o->loss, .smoothing = o->label_smoothing, .class_weights = o->class_weights };
}

static glia_status begin_steps(glia_training *t, glia_error *error) {
    glia_supervised *s = t->memory;
    glia_fit_opts *o = &t->opts;
    glia_error reason = { 0 };
    glia_loader_opts how = { .batch = o->batch,
                             .shuffle = true,
                             .seed = o->seed,
                             .workers = o->workers,
                             .augment = o->augment,
                             .weights = o->sample_weights,
                             .stratified = o->stratified };
    glia_status status = glia_task_begin(&s->train, t->model, t->backend, 0, GLIA_TRAIN, error);
    if (status != GLIA_OK) return status;
    how.ids = !o->augment && glia_task_takes_ids(&s->train, t->data);
    t->loader = glia_loader_create(t->data, how, &reason);
    if (!t->loader) return glia_fail(error, reason.status, "%s", reason.message);
    glia_arrays y = { .y_dtype = glia_loader_y_dtype(t->loader),
                      .y_shape = glia_loader_y_shape(t->loader) };
    status = glia_task_measure(&s->train, t->data, &y, loss_of(t, true), error);
    if (status != GLIA_OK) return status;
    s->train.precision = o->precision;
    if (o->n_phases) return glia_phases_begin(t, error);
    if (o->schedule.momentum_low > 0) o->optimizer.momentum_input = true;
    glia_optimizer optimizer = o->optimizer;
    optimizer.batch_weight = batch_weight(t);
    glia_minimize(s->train.measures.loss, optimizer, NULL, NULL);
    s->train.updates = "train";
    status = glia_graph_check(s->train.graph, error);
    if (status == GLIA_OK) status = glia_task_prepare(&s->train, glia_data_count(t->data), o->batch, error);
    if (status != GLIA_OK || !accumulates(t)) return status;
    s->train.updates = "train.hold";
    return glia_task_prepare(&s->train, glia_data_count(t->data), o->batch, error);
}

/* Creates a metric on the validation data; its text may use their class names. */
static glia_metric *make_metric(const glia_training *t, const char *text, int64_t classes, glia_error *error) {
    const glia_dataset *data = t->opts.validation;
    const int64_t labels = classes == 1 ? 2 : classes;
    const bool named = glia_data_classes(data) == labels && glia_data_class_name(data, 0);
    const char **names = named ? malloc((size_t)labels * sizeof *names) : NULL;
    if (named && !names) {
        glia_fail_nomem(error);
        return NULL;
    }
    for (int i = 0; named && i < labels; i++) names[i] = glia_data_class_name(data, i);
    glia_metric *metric = glia_metric_create_named(text, classes, names, error);
    free(names);
    return metric;
}

/* Creates the metrics named in the options. */
static glia_status make_metrics(glia_training *t, glia_error *error) {
    glia_supervised *s = t->memory;
    const char *at = t->opts.metrics;
    s->scores_at = -1;
    if (!at) return GLIA_OK;
    const glia_named *output = &s->validation.graph->outputs[0];
    const int64_t classes = -glia_shape_count(output->node->shape);
    if (output->node->shape.rank > 2 || classes < 1) {
        return glia_fail(error, GLIA_E_UNSUPPORTED, "metrics take an output (N, K), not '%s'", output->name);
    }
    for (int depth = 0; *at; at += *at == ',') {
        const char *end = at;
        for (; *end && (*end != ',' || depth); end++) depth += (*end == '(') - (*end == ')');
        char text[64];
        const size_t length = (size_t)(end - at);
        if (s->n_metrics == GLIA_FIT_METRICS || length >= sizeof text - 4) {
            return glia_fail(error, GLIA_E_ARGUMENT, "too many or too long metrics: '%.64s'", at);
        }
        memcpy(text, at, length);
        text[length] = 0;
        glia_error reason = { 0 };
        glia_metric *metric = make_metric(t, text + strspn(text, " "), classes, &reason);
        if (!metric) return glia_fail(error, reason.status, "%s", reason.message);
        glia_metric_assume_logits(metric, s->validation.measures.logits);
        memcpy(s->names[s->n_metrics], "val_", 4);
        memcpy(s->names[s->n_metrics] + 4, text + strspn(text, " "), length + 1 - strspn(text, " "));
        s->metrics[s->n_metrics++] = metric;
        at = end;
    }
    s->scores_at = glia_task_output(&s->validation, output->node);
    return GLIA_OK;
}

static glia_status begin_validation(glia_training *t, glia_error *error) {
    glia_supervised *s = t->memory;
    enum { BATCH = 256 };
    const glia_fit_opts *o = &t->opts;
    if (!o->validation) return GLIA_OK;
    glia_status status = glia_task_begin(&s->validation, t->model, t->backend, 0, GLIA_INFER, error);
    if (status == GLIA_OK)
        status = glia_task_measure(&s->validation, o->validation, NULL, loss_of(t, false), error);
    if (status == GLIA_OK) status = make_metrics(t, error);
    if (status == GLIA_OK) status = glia_task_prepare(&s->validation, glia_data_count(o->validation), BATCH, error);
    if (status != GLIA_OK) return status;
    glia_error reason = { 0 };
    const glia_loader_opts how = { .batch = BATCH,
                                   .workers = o->workers,
                                   .ids = glia_task_takes_ids(&s->validation, o->validation) };
    s->validation_loader = glia_loader_create(o->validation, how, &reason);
    return s->validation_loader ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

/* Declares what is measured, and reads the base learning rate. */
static void declare(glia_training *t) {
    glia_supervised *s = t->memory;
    s->loss_mean = glia_training_mean(t, "loss");
    s->accuracy_mean = s->train.accuracy_at >= 0 ? glia_training_mean(t, "accuracy") : -1;
    if (s->validation_loader) {
        s->first_figure = glia_training_figure(t, "val_loss");
        if (s->validation.accuracy_at >= 0) glia_training_figure(t, "val_accuracy");
        for (int i = 0; i < s->n_metrics; i++) glia_training_figure(t, s->names[i]);
    }
    t->states = s->train.store;
    if (!t->opts.n_phases) {
        t->groups[t->n_groups++] = "train";
        const float *lr = glia_session_input(s->train.lanes[0].session, "lr", NULL, NULL);
        t->full_lr = lr ? (double)*lr : 0;
    }
    glia_training_take_sizes(t, s->train.lanes[0].program);
}

static glia_status begin(glia_training *t, glia_error *error) {
    glia_status status = check_opts(&t->opts, error);
    if (status == GLIA_OK && t->data->targets == GLIA_TARGETS_BOXES)
        status = glia_fail(error, GLIA_E_ARGUMENT, "%s: boxes are for the method detect, not for a loss",
                           t->data->name);
    if (status == GLIA_OK) status = glia_phases_check(t, error);
    if (status == GLIA_OK) status = glia_model_ready(t->model, t->opts.seed, error);
    if (status == GLIA_OK) status = begin_steps(t, error);
    if (status == GLIA_OK) status = begin_validation(t, error);
    if (status == GLIA_OK) declare(t);
    return status;
}

/* ---- steps -------------------------------------------------------------------------------- */

glia_lane *glia_supervised_lane(glia_training *t, int64_t batch, glia_error *error) {
    glia_supervised *s = t->memory;
    if (t->opts.n_phases) return glia_phases_lane(t, batch, error);
    const int64_t k = t->opts.optimizer.accumulate;
    s->train.updates = accumulates(t) && (t->done + 1) % k ? "train.hold" : "train";
    glia_lane *lane = glia_task_lane(&s->train, batch, error);
    if (!lane) return NULL;
    float *lr = glia_session_input(lane->session, "lr", NULL, NULL);
    if (lr) *lr = (float)t->progress.lr;
    float *momentum = glia_session_input(lane->session, "momentum", NULL, NULL);
    if (momentum) {
        *momentum = (float)glia_lr_schedule_momentum(&t->opts.schedule, t->opts.optimizer.momentum, t->done, t->total,
                                                     t->epoch_steps);
    }
    return lane;
}

static glia_status step(glia_training *t, const glia_batch *batch, glia_error *error) {
    glia_supervised *s = t->memory;
    glia_lane *lane = glia_supervised_lane(t, batch->n, error);
    if (!lane) return GLIA_E_INTERNAL;
    glia_status status = glia_lane_run_batch(lane, batch, error);
    if (status != GLIA_OK) return status;
    const int weight_at = s->train.weight_at;
    const double weight = weight_at >= 0 ? glia_lane_scalar(lane, weight_at) : (double)batch->n;
    t->progress.loss = glia_lane_scalar(lane, s->train.loss_at);
    t->samples += batch->n;
    const int phase = t->opts.n_phases ? glia_phase_now(t) : -1;
    if (phase >= 0) glia_training_add(t, s->phase_means[phase], t->progress.loss, weight);
    if (phase == t->opts.n_phases - 1) glia_training_add(t, s->loss_mean, t->progress.loss, weight);
    if (s->accuracy_mean >= 0)
        glia_training_add(t, s->accuracy_mean, glia_lane_scalar(lane, s->train.accuracy_at), weight);
    return GLIA_OK;
}

/* ---- validation --------------------------------------------------------------------------- */

/* Passes the outputs of a validation batch to the metrics. */
static void gather_scores(void *context, const glia_lane *lane, const glia_batch *batch) {
    const glia_supervised *s = context;
    glia_array scores = glia_session_output(lane->session, s->scores_at);
    for (int i = 0; i < s->n_metrics; i++) {
        /* Labels were checked when training began. */
        if (scores.dtype == GLIA_F32) glia_metric_update(s->metrics[i], scores.data, batch->y, batch->n, NULL);
    }
}

static void set_figures(glia_training *t, glia_scores scores) {
    const glia_supervised *s = t->memory;
    glia_value *figure = &t->figures[s->first_figure];
    t->progress.validation = scores;
    (figure++)->value = scores.loss;
    if (s->validation.accuracy_at >= 0) (figure++)->value = scores.accuracy;
    for (int i = 0; i < s->n_metrics; i++) (figure++)->value = glia_metric_result(s->metrics[i]);
}

static glia_status measure(glia_training *t, glia_error *error) {
    glia_supervised *s = t->memory;
    if (!s->validation_loader) return GLIA_OK;
    double began = glia_seconds();
    glia_tally tally = { 0 };
    glia_status status = glia_training_validation(t, true, error);
    if (status != GLIA_OK) return status;
    for (int i = 0; i < s->n_metrics; i++) glia_metric_reset(s->metrics[i]);
    glia_task_look(&s->validation);
    status =
        glia_task_pass(&s->validation, s->validation_loader, 0, &tally, s->n_metrics ? gather_scores : NULL, s, error);
    if (status == GLIA_OK) set_figures(t, glia_tally_mean(&tally, glia_seconds() - began));
    glia_status after = glia_training_validation(t, false, status == GLIA_OK ? error : NULL);
    return status == GLIA_OK ? after : status;
}

static void end(glia_training *t) {
    glia_supervised *s = t->memory;
    glia_loader_free(s->validation_loader);
    glia_task_end(&s->validation); /* both borrow the training's backend */
    glia_task_end(&s->train);
    for (int i = 0; i < s->n_metrics; i++) glia_metric_free(s->metrics[i]);
}

const glia_method glia_method_fit = {
    .about = { .name = "fit",
               .summary = "supervised: the model's output against targets",
               .uses = GLIA_USES_DATA | GLIA_USES_TARGETS | GLIA_USES_VALIDATION | GLIA_USES_AUGMENT |
                       GLIA_USES_OPTIMIZER | GLIA_USES_PRECISION | GLIA_USES_BATCH,
               .ranked = true },
    .bytes = sizeof(glia_supervised),
    .begin = begin,
    .step = step,
    .measure = measure,
    .diagnose = glia_supervised_diagnose,
    .end = end,
};

glia_status glia_fit(glia_model *model, const glia_dataset *data, glia_fit_opts opts, glia_error *error) {
    return glia_training_run(&glia_method_fit, NULL, model, data, opts, error);
}
