/* pairs.c - see pairs.h. */
#include "families/graphs/pairs.h"

#include <stdlib.h>

#include "core/ops/ops.h"
#include "data/graphs/graph_data.h"
#include "train/model/model.h"

glia_status glia_pairs_check(const glia_model *model, const char *method, int64_t *width, glia_error *error) {
    glia_tensor y = glia_graph_answer(model->graph, NULL);
    const glia_status status = glia_graph_check(model->graph, error);
    if (status != GLIA_OK) return status;
    if (y && y->shape.rank == 2 && y->shape.dim[1] > 0 && y->dtype == GLIA_F32) {
        *width = y->shape.dim[1];
        return GLIA_OK;
    }
    return glia_fail(error, GLIA_E_SHAPE, "the method %s needs a model whose first output is (V, K): vectors", method);
}

glia_tensor glia_pairs_dot(glia_tensor vector, glia_tensor a, glia_tensor b) {
    return glia_sum(glia_mul(glia_gather(vector, a, 0), glia_gather(vector, b, 0)), GLIA_SHAPE(1), false);
}

glia_status glia_pairs_begin(glia_training *t, glia_pairs *p, const char *method, const glia_graph_data *data,
                             bool rows, glia_error *error) {
    glia_error reason = { 0 };
    glia_status status = glia_pairs_check(t->model, method, &p->width, error);
    if (status == GLIA_OK) status = glia_training_copy_graph(t, &p->graph, error);
    if (status != GLIA_OK) return status;
    p->data = glia_graph_prepared(t->model, data, rows, &reason);
    return p->data ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

glia_status glia_pairs_build(glia_training *t, glia_pairs *p, glia_error *error) {
    glia_minimize(p->loss, t->opts.optimizer, NULL, "net");
    const glia_status status = glia_training_add_states(t, p->graph, error);
    if (status != GLIA_OK) return status;
    p->vector = glia_graph_answer(t->model->graph, NULL);
    glia_graph_net_open(&p->train, p->graph, t->backend, t->states,
                        (glia_compile_opts){ .outputs = &p->loss, .n_outputs = 1, .mode = GLIA_TRAIN }, p->data, 0);
    glia_graph_net_open(&p->infer, t->model->graph, t->backend, t->model->store,
                        (glia_compile_opts){ .outputs = &p->vector, .n_outputs = 1, .mode = GLIA_INFER }, p->data, 0);
    t->full_lr = glia_optimizer_resolved(t->opts.optimizer).lr;
    t->groups[t->n_groups++] = "net";
    glia_error reason = { 0 };
    if (!glia_graph_net_feed(&p->train, p->data, &reason)) return glia_fail(error, reason.status, "%s", reason.message);
    glia_training_take_sizes(t, p->train.programs[0]);
    return GLIA_OK;
}

void glia_pairs_end(glia_training *t, glia_pairs *p) {
    glia_graph_net_close(&p->train);
    glia_graph_net_close(&p->infer);
    glia_graph_free(p->graph);
    glia_graph_data_free(p->data);
    glia_store_free(t->states);
}

glia_status glia_pairs_step(glia_training *t, glia_pairs *p, glia_pairs_fill fill, int64_t n, int loss_mean,
                            glia_error *error) {
    glia_error reason = { 0 };
    glia_session *s = glia_graph_net_feed(&p->train, p->data, &reason);
    if (!s) return glia_fail(error, reason.status, "%s", reason.message);
    fill(t, s);
    glia_graph_session_rate(s, "net/lr", t->progress.lr);
    const glia_status status = glia_session_run(s, error);
    if (status != GLIA_OK) return status;
    t->progress.loss = (double)*(const float *)glia_session_output(s, 0).data;
    t->samples += n;
    glia_training_add(t, loss_mean, t->progress.loss, (double)n);
    return GLIA_OK;
}

const float *glia_pairs_vectors(glia_pairs *p, glia_error *error) {
    glia_session *s = glia_graph_net_run(&p->infer, p->data, error);
    return s ? glia_session_output(s, 0).data : NULL;
}

float *glia_pairs_of_model(glia_model *model, const glia_graph_data *data, const glia_assess_opts *opts, int64_t *width,
                           glia_error *error) {
    if (glia_graph_predict(model, data, (glia_graph_predict_opts){ opts->backend, opts->threads }, NULL, 0, width,
                           error) != GLIA_OK)
        return NULL;
    const int64_t n = data->nodes * *width;
    float *vectors = malloc((size_t)n * sizeof *vectors);
    if (!vectors) glia_fail_nomem(error);
    if (vectors && glia_graph_predict(model, data, (glia_graph_predict_opts){ opts->backend, opts->threads }, vectors,
                                      n, width, error) == GLIA_OK)
        return vectors;
    free(vectors);
    return NULL;
}

double glia_pairs_score(const float *vectors, int64_t width, int32_t a, int32_t b) {
    double sum = 0;
    for (int64_t k = 0; k < width; k++) sum += (double)vectors[a * width + k] * (double)vectors[b * width + k];
    return sum;
}
