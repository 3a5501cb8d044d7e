/* learn.c - the methods "nodes" and "graphs": classes or values of nodes of one graph, or of whole graphs.
 *
 * The model's first output is (V, K) for nodes, (N, K) for graphs. A step of "nodes" is the whole graph, where nodes
 * that are not of the training part have no label; a step of "graphs" is a batch of graphs, one after the other without
 * padding.
 *
 *     data ──► prepared (loops, factors) ──► batch ──► model ──► loss of known labels ──► update
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "core/program/store.h"
#include "data/graphs/graph_data.h"
#include "families/graphs/net.h"
#include "train/model/model.h"

enum { STREAM = 0x67727068 };

typedef struct learn {
    int features; /* setting: 1: rows sum to 1 */
    glia_graph_part part;
    glia_graph_data *data; /* prepared */
    glia_graph *graph;     /* with loss and updates */
    glia_tensor loss, answer;
    glia_graph_net train, infer;
    int64_t width;              /* K */
    int64_t *chosen, n, *order; /* items to learn from; their order in this epoch */
    int64_t order_epoch;
    int loss_mean, figures[4]; /* val_loss, val_accuracy, val_auc, val_rmse; -1: not measured */
} learn;

static const glia_setting settings[] = {
    { "features", GLIA_SETTING_CHOICE, offsetof(learn, features), 0, 0, 0, "plain|rows",
      "rows: the features of each node are divided by their sum, as bags of words are" },
};

/* ---- the loss ------------------------------------------------------------------------------------- */

static const char *part_word(const learn *m) { return glia_graph_part_name(m->part); }

static glia_status check_output(learn *m, const glia_graph *g, glia_error *error) {
    glia_tensor y = glia_graph_answer(g, NULL);
    const int64_t first = m->part == GLIA_OF_NODES ? GLIA_NODES : GLIA_BATCH;
    char shape[GLIA_SHAPE_TEXT];
    const glia_status status = glia_graph_check(g, error);
    if (status != GLIA_OK) return status;
    if (!y || y->shape.rank != 2 || y->shape.dim[0] != first || y->shape.dim[1] < 1)
        return glia_fail(error, GLIA_E_SHAPE, "the method %s needs a model whose first output is (%s, K), not %s",
                         part_word(m), m->part == GLIA_OF_NODES ? "V" : "N",
                         y ? glia_shape_format(y->shape, shape) : "missing");
    m->width = y->shape.dim[1];
    return GLIA_OK;
}

/* Answers against the input "train/label" or "train/target" (with "train/known"). */
static glia_tensor loss_of(learn *m, bool classes) {
    glia_graph *g = m->graph;
    glia_tensor y = glia_graph_answer(g, NULL);
    if (classes) {
        glia_tensor labels = glia_input(g, "train/label", GLIA_I32, GLIA_SHAPE(y->shape.dim[0]));
        return glia_cross_entropy_tokens(y, labels, 0);
    }
    glia_tensor target = glia_input(g, "train/target", GLIA_F32, y->shape);
    glia_tensor known = glia_input(g, "train/known", GLIA_F32, y->shape);
    glia_tensor n = glia_sum(known, GLIA_SCALAR, false);
    glia_tensor sum = glia_sum(glia_mul(known, glia_square(glia_sub(y, target))), GLIA_SCALAR, false);
    return glia_div(sum, glia_maximum(n, glia_like(n, 1)));
}

/* Labels within the model's classes, or as many targets as it has outputs. */
static glia_status check_answers(const learn *m, const glia_graph_data *d, glia_error *error) {
    int64_t width = 0;
    const int32_t *labels = glia_graph_labels(d, m->part);
    if (!labels && !glia_graph_targets_of(d, m->part, &width))
        return glia_fail(error, GLIA_E_NOT_FOUND,
                         "the method %s: the data '%.64s' have no array 'label' or 'target' of %s", part_word(m),
                         d->name, part_word(m));
    if (labels && glia_graph_data_classes(d, m->part) > m->width)
        return glia_fail(error, GLIA_E_SHAPE, "the data '%.64s' have %d classes, the model %lld outputs", d->name,
                         glia_graph_data_classes(d, m->part), (long long)m->width);
    if (labels || width == m->width) return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "the data '%.64s' have %lld targets, the model %lld outputs", d->name,
                     (long long)width, (long long)m->width);
}

/* ---- begin and end -------------------------------------------------------------------------------- */

static bool is_known(const learn *m, int64_t item) {
    const int32_t *labels = glia_graph_labels(m->data, m->part);
    int64_t width = 0;
    if (labels) return labels[item] >= 0;
    const float *targets = glia_graph_targets_of(m->data, m->part, &width);
    for (int64_t c = 0; c < width; c++) {
        if (!isnan(targets[item * width + c])) return true;
    }
    return false;
}

/* The items of the training part that have an answer. */
static glia_status choose_items(learn *m, glia_error *error) {
    const uint8_t *split = glia_graph_split_of(m->data, m->part);
    const int64_t all = glia_graph_items(m->data, m->part);
    m->chosen = malloc(((size_t)all + 1) * sizeof *m->chosen);
    m->order = malloc(((size_t)all + 1) * sizeof *m->order);
    m->order_epoch = -1;
    if (!m->chosen || !m->order) return glia_fail_nomem(error);
    for (int64_t i = 0; i < all; i++) {
        if ((!split || split[i] == GLIA_PART_TRAIN) && is_known(m, i)) m->chosen[m->n++] = i;
    }
    return m->n ? GLIA_OK : glia_fail(error, GLIA_E_ARGUMENT, "none of the %s is to be learned from", part_word(m));
}

/* The scale of a model's answers, from the targets to learn from; one that it has already stays. */
static void set_scale(const learn *m, glia_model *model) {
    glia_array means, deviations;
    int64_t width = 0;
    const float *targets = glia_graph_targets_of(m->data, m->part, &width);
    if (!targets || glia_graph_labels(m->data, m->part) || !glia_store_look(model->store, GLIA_TARGET_MEAN, &means) ||
        !glia_store_look(model->store, GLIA_TARGET_DEVIATION, &deviations))
        return;
    for (int64_t c = 0; c < GLIA_MIN(width, glia_shape_count(means.shape)); c++) {
        float *mean = (float *)means.data + c, *deviation = (float *)deviations.data + c;
        double sum = 0, square = 0, n = 0;
        for (int64_t i = 0; i < m->n; i++) {
            const double value = (double)targets[m->chosen[i] * width + c];
            if (isnan(value)) continue;
            sum += value;
            square += value * value;
            n++;
        }
        const double variance = n > 0 ? square / n - sum / n * (sum / n) : 0;
        if (*mean != 0 || *deviation != 1 || !(variance > 0)) continue;
        *mean = (float)(sum / n);
        *deviation = (float)sqrt(variance);
    }
    glia_store_touch(model->store);
}

/* Loss and updates in the copy of the model's graph; programs for the data's sizes. */
static glia_status build(glia_training *t, glia_error *error) {
    learn *m = t->memory;
    m->loss = loss_of(m, glia_graph_labels(m->data, m->part) != NULL);
    glia_minimize(m->loss, t->opts.optimizer, NULL, "net");
    const glia_status status = glia_training_add_states(t, m->graph, error);
    if (status != GLIA_OK) return status;
    const bool whole = m->part == GLIA_OF_NODES;
    m->answer = glia_graph_answer(t->model->graph, NULL);
    glia_graph_net_open(&m->train, m->graph, t->backend, t->states,
                        (glia_compile_opts){ .outputs = &m->loss, .n_outputs = 1, .mode = GLIA_TRAIN }, m->data,
                        whole ? 0 : t->opts.batch);
    glia_graph_net_open(&m->infer, t->model->graph, t->backend, t->model->store,
                        (glia_compile_opts){ .outputs = &m->answer, .n_outputs = 1, .mode = GLIA_INFER }, m->data, 0);
    t->epoch_steps = whole ? 1 : (m->n + t->opts.batch - 1) / t->opts.batch;
    t->full_lr = glia_optimizer_resolved(t->opts.optimizer).lr;
    t->groups[t->n_groups++] = "net";
    return GLIA_OK;
}

static void declare(glia_training *t) {
    learn *m = t->memory;
    const uint8_t *split = glia_graph_split_of(m->data, m->part);
    const bool classes = glia_graph_labels(m->data, m->part) != NULL;
    bool validates = false;
    for (int64_t i = 0; split && i < glia_graph_items(m->data, m->part); i++)
        validates |= split[i] == GLIA_PART_VALIDATION;
    m->loss_mean = glia_training_mean(t, "loss");
    for (int i = 0; i < 4; i++) m->figures[i] = -1;
    if (!validates) return;
    m->figures[0] = glia_training_figure(t, "val_loss");
    if (classes) m->figures[1] = glia_training_figure(t, "val_accuracy");
    if (classes && m->width == 2) m->figures[2] = glia_training_figure(t, "val_auc");
    if (!classes) m->figures[3] = glia_training_figure(t, "val_rmse");
}

static glia_status begin(glia_training *t, glia_graph_part part, glia_error *error) {
    learn *m = t->memory;
    m->part = part;
    const glia_graph_data *data = t->opts.graphs;
    if (part == GLIA_OF_NODES && data->graphs != 1)
        return glia_fail(error, GLIA_E_ARGUMENT, "the method nodes needs one graph, and '%.64s' are %lld", data->name,
                         (long long)data->graphs);
    glia_status status = check_output(m, t->model->graph, error);
    if (status == GLIA_OK) status = check_answers(m, data, error);
    if (status == GLIA_OK) status = glia_training_copy_graph(t, &m->graph, error);
    glia_error reason = { 0 };
    if (status == GLIA_OK) m->data = glia_graph_prepared(t->model, data, m->features == 1, &reason);
    if (status == GLIA_OK && !m->data) status = glia_fail(error, reason.status, "%s", reason.message);
    if (status == GLIA_OK) status = choose_items(m, error);
    if (status == GLIA_OK) set_scale(m, t->model);
    if (status == GLIA_OK) status = build(t, error);
    if (status != GLIA_OK) return status;
    declare(t);
    if (part != GLIA_OF_NODES) return GLIA_OK;
    if (!glia_graph_net_feed(&m->train, m->data, &reason)) return glia_fail(error, reason.status, "%s", reason.message);
    glia_training_take_sizes(t, m->train.programs[0]);
    return GLIA_OK;
}

static glia_status begin_nodes(glia_training *t, glia_error *error) { return begin(t, GLIA_OF_NODES, error); }
static glia_status begin_graphs(glia_training *t, glia_error *error) { return begin(t, GLIA_OF_GRAPHS, error); }

static void end(glia_training *t) {
    learn *m = t->memory;
    glia_graph_net_close(&m->train);
    glia_graph_net_close(&m->infer);
    glia_graph_free(m->graph);
    glia_graph_data_free(m->data);
    glia_store_free(t->states);
    free(m->chosen);
    free(m->order);
}

/* ---- steps ---------------------------------------------------------------------------------------- */

/* The epoch's order: a function of seed and epoch. */
static void shuffle(const glia_training *t, learn *m) {
    if (m->order_epoch == t->epoch) return;
    glia_rng rng = { .seed = t->opts.seed, .stream = STREAM + ((uint64_t)t->epoch << 32) };
    memcpy(m->order, m->chosen, (size_t)m->n * sizeof *m->order);
    for (int64_t i = m->n - 1; i > 0; i--) {
        const int64_t k = (int64_t)glia_rng_below(&rng, (uint64_t)i + 1), kept = m->order[i];
        m->order[i] = m->order[k];
        m->order[k] = kept;
    }
    m->order_epoch = t->epoch;
}

/* Answers of items to learn from; others, and rows that the batch does not have, are unknown. */
static void fill_answers(const learn *m, glia_session *s, const int64_t *items, int64_t n) {
    glia_array a;
    int32_t *labels = glia_session_input(s, "train/label", &a, NULL);
    const int32_t *known = glia_graph_labels(m->data, m->part);
    const bool whole = m->part == GLIA_OF_NODES;
    for (int64_t i = 0; labels && i < a.shape.dim[0]; i++) labels[i] = -1;
    for (int64_t i = 0; labels && i < n; i++) labels[whole ? items[i] : i] = known[items[i]];
    if (labels) return;
    float *targets = glia_session_input(s, "train/target", &a, NULL),
          *mask = glia_session_input(s, "train/known", NULL, NULL);
    int64_t width = 0;
    const float *values = glia_graph_targets_of(m->data, m->part, &width);
    if (!targets || !mask || !values) return;
    memset(targets, 0, glia_shape_bytes(a.shape, a.dtype));
    memset(mask, 0, glia_shape_bytes(a.shape, a.dtype));
    for (int64_t i = 0; i < n * width; i++) {
        const int64_t row = whole ? items[i / width] : i / width;
        const float value = values[items[i / width] * width + i % width];
        if (isnan(value)) continue;
        targets[row * width + i % width] = value;
        mask[row * width + i % width] = 1;
    }
}

static glia_status take_step(glia_training *t, const glia_graph_data *d, const int64_t *items, int64_t n,
                             glia_error *error) {
    learn *m = t->memory;
    const bool filled = m->train.filled && t->done > 0 && m->part == GLIA_OF_NODES;
    glia_error reason = { 0 };
    glia_session *s = glia_graph_net_feed(&m->train, d, &reason);
    if (!s) return glia_fail(error, reason.status, "%s", reason.message);
    if (!filled || t->step == 0) fill_answers(m, s, items, n);
    glia_graph_session_rate(s, "net/lr", t->progress.lr);
    const glia_status status = glia_session_run(s, error);
    if (status != GLIA_OK) return status;
    t->progress.loss = (double)*(const float *)glia_session_output(s, 0).data;
    t->samples += n;
    glia_training_add(t, m->loss_mean, t->progress.loss, (double)n);
    return GLIA_OK;
}

static glia_status step(glia_training *t, const glia_batch *batch, glia_error *error) {
    learn *m = t->memory;
    (void)batch;
    if (m->part == GLIA_OF_NODES) return take_step(t, m->data, m->chosen, m->n, error);
    shuffle(t, m);
    const int64_t first = t->step * t->opts.batch, n = GLIA_MIN(t->opts.batch, m->n - first);
    glia_error reason = { 0 };
    glia_graph_data *some = glia_graph_data_select(m->data, m->order + first, n, &reason);
    if (!some) return glia_fail(error, reason.status, "%s", reason.message);
    const glia_status status = take_step(t, some, m->order + first, n, error);
    glia_graph_data_free(some);
    return status;
}

/* ---- figures -------------------------------------------------------------------------------------- */

static glia_status measure(glia_training *t, glia_error *error) {
    learn *m = t->memory;
    glia_status status = glia_training_validation(t, true, error);
    if (status == GLIA_OK && m->figures[0] >= 0) {
        glia_error reason = { 0 };
        glia_graph_scores s;
        glia_session *session = glia_graph_net_run(&m->infer, m->data, &reason);
        if (!session) return glia_fail(error, reason.status, "%s", reason.message);
        const float *answers = glia_session_output(session, 0).data;
        if (!glia_graph_score(m->data, m->part, answers, m->width, &s)) return glia_fail_nomem(error);
        const double values[] = { s.loss[1], s.accuracy[1], s.auc[1], s.rmse[1] };
        for (int i = 0; i < 4; i++) {
            if (m->figures[i] >= 0) t->figures[m->figures[i]].value = values[i];
        }
    }
    return status == GLIA_OK ? glia_training_validation(t, false, error) : status;
}

static void add_scores(const glia_graph_scores *s, bool split, glia_assessment *out) {
    static const char *const names[3][4] = { { "train_loss", "train_accuracy", "train_auc", "train_rmse" },
                                             { "val_loss", "val_accuracy", "val_auc", "val_rmse" },
                                             { "test_loss", "test_accuracy", "test_auc", "test_rmse" } };
    for (int p = 2; p >= 0; p--) {
        const double values[] = { s->loss[p], s->accuracy[p], s->auc[p], s->rmse[p] };
        for (int i = 0; i < 4; i++) {
            if (s->n[p] && !isnan(values[i])) glia_assessment_add(out, names[p][i], values[i]);
        }
    }
    if (!split) strcpy(out->note, "the data have no split: everything was learned from");
}

static glia_status assess(const void *memory, glia_model *model, const glia_assess_opts *opts, glia_graph_part part,
                          glia_assessment *out, glia_error *error) {
    learn m = *(const learn *)memory;
    m.part = part;
    glia_status status = check_output(&m, model->graph, error);
    if (status == GLIA_OK) status = check_answers(&m, opts->graphs, error);
    if (status != GLIA_OK) return status;
    const int64_t n = glia_graph_items(opts->graphs, part) * m.width;
    float *answers = malloc((size_t)n * sizeof *answers);
    int64_t columns;
    const glia_graph_predict_opts how = { .backend = opts->backend, .threads = opts->threads };
    glia_graph_scores scores;
    status =
        answers ? glia_graph_predict(model, opts->graphs, how, answers, n, &columns, error) : glia_fail_nomem(error);
    if (status == GLIA_OK && !glia_graph_score(opts->graphs, part, answers, m.width, &scores))
        status = glia_fail_nomem(error);
    if (status == GLIA_OK) add_scores(&scores, glia_graph_split_of(opts->graphs, part) != NULL, out);
    free(answers);
    return status;
}

static glia_status assess_nodes(const void *memory, glia_model *model, const glia_assess_opts *opts,
                                glia_assessment *out, glia_error *error) {
    return assess(memory, model, opts, GLIA_OF_NODES, out, error);
}

static glia_status assess_graphs(const void *memory, glia_model *model, const glia_assess_opts *opts,
                                 glia_assessment *out, glia_error *error) {
    return assess(memory, model, opts, GLIA_OF_GRAPHS, out, error);
}

/* ---- predictions ----------------------------------------------------------------------------------- */

static glia_status predict(glia_model *model, const glia_graph_data *data, glia_backend *backend, float *out,
                           glia_error *error) {
    const char *how = glia_model_get(model, "method.settings");
    glia_error reason = { 0 };
    glia_graph_data *d = glia_graph_prepared(model, data, how && strstr(how, "features=rows"), &reason);
    glia_tensor y = glia_graph_answer(model->graph, NULL);
    glia_graph_net net;
    glia_session *s = NULL;
    if (d) {
        const glia_compile_opts opts = { .outputs = &y, .n_outputs = 1, .mode = GLIA_INFER };
        glia_graph_net_open(&net, model->graph, backend, model->store, opts, d, 0);
        s = glia_graph_net_run(&net, d, &reason);
    }
    if (s) {
        const glia_array a = glia_session_output(s, 0);
        memcpy(out, a.data, glia_shape_bytes(a.shape, a.dtype));
    }
    if (d) glia_graph_net_close(&net);
    glia_graph_data_free(d);
    return s ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

glia_status glia_graph_predict(glia_model *model, const glia_graph_data *data, glia_graph_predict_opts opts, float *out,
                               int64_t capacity, int64_t *columns, glia_error *error) {
    if (!model || !data || !columns) return glia_fail_null(error, !model ? "model" : !data ? "data" : "columns");
    glia_tensor y = glia_graph_answer(model->graph, NULL);
    if (!y || y->shape.rank != 2 || (y->shape.dim[0] != GLIA_NODES && y->shape.dim[0] != GLIA_BATCH) ||
        y->shape.dim[1] < 1 || y->dtype != GLIA_F32)
        return glia_fail(error, GLIA_E_SHAPE, "glia_graph_predict: the model's first output is not (V, K) or (N, K)");
    if (y->shape.dim[0] == GLIA_BATCH && !glia_graph_find_leaf(model->graph, "graphs/starts"))
        return glia_fail(error, GLIA_E_SHAPE, "glia_graph_predict: the model has no input graphs/starts");
    const int64_t rows = y->shape.dim[0] == GLIA_NODES ? data->nodes : data->graphs;
    *columns = y->shape.dim[1];
    if (!out) return GLIA_OK;
    if (capacity < rows * *columns)
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_graph_predict: needs room for %lld floats",
                         (long long)(rows * *columns));
    glia_status status = glia_model_ready(model, 0, error);
    if (status != GLIA_OK) return status;
    glia_error reason = { 0 };
    glia_backend *backend = opts.backend ? opts.backend : glia_backend_open("cpu", opts.threads, &reason);
    status =
        backend ? predict(model, data, backend, out, error) : glia_fail(error, reason.status, "%s", reason.message);
    if (!opts.backend) glia_backend_close(backend);
    return status;
}

const glia_method glia_method_nodes = {
    .about = { .name = "nodes",
               .summary = "classes or values of the nodes of a graph",
               .paper = "Kipf and Welling 2017",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings),
               .uses = GLIA_USES_GRAPHS | GLIA_USES_OPTIMIZER,
               .ranked = true,
               .assesses = true },
    .bytes = sizeof(learn),
    .begin = begin_nodes,
    .step = step,
    .measure = measure,
    .end = end,
    .assess = assess_nodes,
};

const glia_method glia_method_graphs = {
    .about = { .name = "graphs",
               .summary = "classes or values of whole graphs",
               .paper = "Xu et al. 2019, Gilmer et al. 2017",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings),
               .uses = GLIA_USES_GRAPHS | GLIA_USES_OPTIMIZER | GLIA_USES_BATCH,
               .ranked = true,
               .assesses = true },
    .bytes = sizeof(learn),
    .begin = begin_graphs,
    .step = step,
    .measure = measure,
    .end = end,
    .assess = assess_graphs,
};
