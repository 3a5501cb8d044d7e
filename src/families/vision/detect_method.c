/* detect_method.c - the method "detect": a detector learns where things are and of what class (glia/vision.h).
 *
 *     batch ──► heat, sides ──► focal loss of peaks + box_weight (1 - GIoU) ──► glia_minimize
 *
 * Targets are made from the boxes of each batch (points.c), so augmentation may move them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "data/sources/data.h"
#include "families/vision/detector.h"
#include "train/run/training.h"

typedef struct detect {
    /* settings */
    double box_weight, score, overlap, shown_score;
    int64_t shown;
    /* training */
    glia_graph *graph;
    glia_program *program;
    glia_session *session;
    float *rate;
    glia_array x;
    glia_detector_ends ends; /* in `graph` */
    glia_detector_targets targets; /* the session's inputs */
    glia_detector detector;
    int loss_mean, heat_mean, box_mean, precision;
} detect;

static const glia_setting settings[] = {
    { "box_weight", GLIA_SETTING_REAL, offsetof(detect, box_weight), 5, 0, 1e6, NULL,
      "weight of the loss of the boxes' overlap beside that of the peaks" },
    { "score", GLIA_SETTING_REAL, offsetof(detect, score), 0.05, 0, 1, NULL, "least score of a box that counts" },
    { "overlap", GLIA_SETTING_REAL, offsetof(detect, overlap), 0.6, 0, 1, NULL,
      "overlap from which the better of two boxes of a class suppresses the other" },
    { "shown_score", GLIA_SETTING_REAL, offsetof(detect, shown_score), 0.3, 0, 1, NULL,
      "least score of a box that is shown" },
    { "shown", GLIA_SETTING_INT, offsetof(detect, shown), 6, 1, 100, NULL, "pictures shown after each epoch" },
};

static glia_detect_opts opts_of(const detect *m, double score) {
    return (glia_detect_opts){ .score = score > 0 ? score : GLIA_ZERO,
                               .overlap = m->overlap > 0 ? m->overlap : GLIA_ZERO };
}

/* ---- building ------------------------------------------------------------------------------- */

static glia_status find_inputs(detect *m, glia_training *t, glia_error *error) {
    const struct {
        const char *name;
        float **to;
    } inputs[] = { { "lr", &m->rate },
                   { "target/positive", &m->targets.positive },
                   { "target/negative", &m->targets.negative },
                   { "target/sides", &m->targets.sides },
                   { "target/weight", &m->targets.weight } };
    glia_error reason = { 0 };
    for (int i = 0; i < GLIA_COUNT(inputs); i++) {
        *inputs[i].to = glia_session_input(m->session, inputs[i].name, NULL, &reason);
        if (!*inputs[i].to) return glia_fail(error, reason.status, "%s", reason.message);
    }
    if (!glia_session_input(m->session, "x", &m->x, &reason))
        return glia_fail(error, reason.status, "%s", reason.message);
    t->full_lr = (double)*m->rate;
    return GLIA_OK;
}

/* Adds losses and updates to the graph, and compiles a step. */
static glia_status build(glia_training *t, glia_error *error) {
    detect *m = t->memory;
    glia_tensor heat, overlap;
    glia_detector_losses(&m->ends, &heat, &overlap);
    const glia_tensor outputs[] = { glia_add(heat, glia_mul_scalar(overlap, m->box_weight)), heat, overlap };
    glia_minimize(outputs[0], t->opts.optimizer, NULL, NULL);
    glia_status status = glia_graph_check(m->graph, error);
    if (status == GLIA_OK) status = glia_store_add(t->states, m->graph, t->opts.seed, error);
    if (status != GLIA_OK) return status;
    const glia_compile_opts opts = { .outputs = outputs,
                                     .n_outputs = GLIA_COUNT(outputs),
                                     .mode = GLIA_TRAIN,
                                     .updates = "train",
                                     .batch = t->opts.batch,
                                     .precision = t->opts.precision };
    glia_error reason = { 0 };
    m->program = glia_compile(m->graph, t->backend, opts, &reason);
    m->session = m->program ? glia_session_create(m->program, t->states, &reason) : NULL;
    if (!m->session) return glia_fail(error, reason.status, "%s", reason.message);
    glia_training_take_sizes(t, m->program);
    return find_inputs(m, t, error);
}

static glia_status begin(glia_training *t, glia_error *error) {
    detect *m = t->memory;
    glia_status status = glia_training_copy_graph(t, &m->graph, error);
    if (status == GLIA_OK) status = glia_detector_find(m->graph, &m->ends, error);
    if (status == GLIA_OK) status = glia_detector_check(t->data, &m->ends, error);
    if (status == GLIA_OK && t->opts.validation) status = glia_detector_check(t->opts.validation, &m->ends, error);
    if (status == GLIA_OK) status = glia_training_load(t, true, error);
    if (status != GLIA_OK) return status;
    t->states = glia_store_create_over(t->model->store, error);
    status = t->states ? build(t, error) : GLIA_E_NOMEM;
    if (status == GLIA_OK) status = glia_detector_open(t->model, t->backend, 0, &m->detector, error);
    if (status != GLIA_OK) return status;
    t->groups[t->n_groups++] = "train";
    m->loss_mean = glia_training_mean(t, "loss");
    m->heat_mean = glia_training_mean(t, "heat_loss");
    m->box_mean = glia_training_mean(t, "box_loss");
    if (t->opts.validation) m->precision = glia_training_figure(t, "val_map50");
    return GLIA_OK;
}

static void end(glia_training *t) {
    detect *m = t->memory;
    glia_detector_close(&m->detector);
    glia_session_free(m->session);
    glia_program_free(m->program);
    glia_graph_free(m->graph);
    glia_store_free(t->states);
}

/* ---- steps ---------------------------------------------------------------------------------- */

static double output_of(const detect *m, int index) {
    return (double)*(const float *)glia_session_output(m->session, index).data;
}

static glia_status step(glia_training *t, const glia_batch *batch, glia_error *error) {
    const detect *m = t->memory;
    const double n = (double)batch->n;
    memcpy(m->x.data, batch->x, glia_shape_bytes(m->x.shape, m->x.dtype));
    glia_status status =
        glia_detector_aim(&m->ends, batch->y, batch->n, t->data->y_shape.dim[0], &m->targets, error);
    *m->rate = (float)t->progress.lr;
    if (status == GLIA_OK) status = glia_session_run(m->session, error);
    if (status != GLIA_OK) return status;
    t->progress.loss = output_of(m, 0);
    t->samples += batch->n;
    glia_training_add(t, m->loss_mean, t->progress.loss, n);
    glia_training_add(t, m->heat_mean, output_of(m, 1), n);
    glia_training_add(t, m->box_mean, output_of(m, 2), n);
    return GLIA_OK;
}

static glia_status measure(glia_training *t, glia_error *error) {
    const detect *m = t->memory;
    glia_status status = glia_training_validation(t, true, error);
    glia_detection_scores scores;
    if (status == GLIA_OK && t->opts.validation) {
        status = glia_detector_measure(&m->detector, t->opts.validation, opts_of(m, m->score), NULL, &scores, error);
        if (status == GLIA_OK) t->figures[m->precision].value = scores.map50;
    }
    glia_status after = glia_training_validation(t, false, status == GLIA_OK ? error : NULL);
    return status == GLIA_OK ? after : status;
}

/* ---- what it shows -------------------------------------------------------------------------- */

enum { SCALE = 2 }; /* of pictures, so that outlines are thin */

/* Draws picture `index` with the boxes found in it. */
static glia_status draw(const detect *m, const glia_dataset *data, int64_t index, float *x, float *out,
                        glia_error *error) {
    glia_boxes found = { 0 };
    glia_status status = glia_data_get(data, index, x, NULL, error);
    if (status == GLIA_OK)
        status = glia_detector_run(&m->detector, x, 1, 0, opts_of(m, m->shown_score), &found, error);
    if (status == GLIA_OK) status = glia_data_read_raw(data, index, x, NULL, error);
    if (status == GLIA_OK) glia_draw_boxes(x, data->x_shape, found.at, found.n, SCALE, out);
    free(found.at);
    return status;
}

static glia_status show(glia_training *t, glia_show_fn show_one, void *context, glia_error *error) {
    const detect *m = t->memory;
    const glia_dataset *data = t->opts.validation ? t->opts.validation : t->data;
    const glia_shape shape = GLIA_SHAPE(3, data->x_shape.dim[1] * SCALE, data->x_shape.dim[2] * SCALE);
    const int64_t n = GLIA_MIN(m->shown, data->n), size = glia_shape_count(shape);
    float *x = malloc(data->x_count * sizeof *x), *out = malloc((size_t)(n * size) * sizeof *out);
    glia_status status = x && out ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t i = 0; i < n && status == GLIA_OK; i++) status = draw(m, data, i, x, out + i * size, error);
    const glia_shown shown = { .name = "boxes", .kind = GLIA_SHOWN_PICTURES, .n = n, .sample = shape, .values = out };
    if (status == GLIA_OK) status = show_one(context, &shown, error);
    free(x);
    free(out);
    return status;
}

/* ---- figures -------------------------------------------------------------------------------- */

static glia_status assess(const void *memory, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                          glia_error *error) {
    const detect *m = memory;
    glia_detector d;
    glia_status status = glia_detector_open(model, opts->backend, opts->threads, &d, error);
    if (status != GLIA_OK) return status;
    double *each = malloc((size_t)d.ends.classes * sizeof *each);
    glia_detection_scores scores;
    status = each ? glia_detector_measure(&d, opts->data, opts_of(m, m->score), each, &scores, error)
                  : glia_fail_nomem(error);
    if (status == GLIA_OK) {
        glia_assessment_add(out, "map50", scores.map50);
        glia_assessment_add(out, "map", scores.map);
        size_t used = (size_t)snprintf(out->note, sizeof out->note, "average precision at an overlap of 0.5:");
        for (int c = 0; c < opts->data->classes && used < sizeof out->note; c++)
            used += (size_t)snprintf(out->note + used, sizeof out->note - used, " %s %.3f",
                                     glia_data_class_name(opts->data, c), each[c]);
    }
    free(each);
    glia_detector_close(&d);
    return status;
}

const glia_method glia_method_detect = {
    .about = { .name = "detect",
               .summary = "boxes of things in pictures: peaks of a map for each class, and distances to their sides",
               .paper = "Zhou et al. 2019, Liu et al. 2020",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings),
               .uses = GLIA_USES_DATA | GLIA_USES_VALIDATION | GLIA_USES_AUGMENT | GLIA_USES_OPTIMIZER |
                       GLIA_USES_PRECISION | GLIA_USES_BATCH,
               .assesses = true },
    .bytes = sizeof(detect),
    .begin = begin,
    .step = step,
    .measure = measure,
    .show = show,
    .end = end,
    .assess = assess,
};
