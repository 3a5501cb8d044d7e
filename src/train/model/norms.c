/* norms.c - recomputes batch norm's running statistics, for weights that were not trained in place.
 *
 * The new statistics are the mean over batches of the batch statistics. A batch's are read from the running ones after
 * its run: in a copy of the graph the k-th use of a state has momentum 1/k, so the first use replaces the state, and
 * the state ends as the mean over all uses.
 */
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "train/model/task.h"

/* A running mean or variance. */
typedef struct running {
    glia_array array;
    double *sum;
} running;

typedef struct norms {
    running *list;
    int n;
    double *sums, *values; /* of all; of the largest */
} norms;

/* Gives a batch norm that is the k-th user of its states the momentum 1/k. */
static glia_tensor set_momentum(glia_graph *to, const glia_node *node, const glia_tensor *in, void *context) {
    (void)context;
    if (node->op != &glia_op_batch_norm) return NULL;
    int uses = 1;
    for (int i = 0; i < to->n_nodes; i++) uses += to->nodes[i]->op == node->op && to->nodes[i]->in[3] == in[3];
    glia_batch_norm_attrs attrs = *(const glia_batch_norm_attrs *)node->attrs;
    attrs.momentum = 1.0 / uses;
    return glia_node_create(to, node->op, in, node->n_in, &attrs);
}

/* Replaces the task's graph by the nodes that its first output needs, with these momentums. */
static glia_status rewrite(glia_task *task, glia_error *error) {
    glia_graph view = *task->graph;
    view.n_outputs = 1;
    view.n_updates = 0;
    glia_graph *g = glia_graph_rewrite(&view, set_momentum, NULL, NULL, true, error);
    if (!g) return error && error->status != GLIA_OK ? error->status : GLIA_E_NOMEM;
    task->x = glia_graph_find_leaf(g, glia_leaf_of(task->x)->name);
    glia_graph_free(task->graph);
    task->graph = g;
    return GLIA_OK;
}

static bool is_listed(const norms *s, const char *name) {
    for (int i = 0; i < s->n; i++) {
        if (!strcmp(s->list[i].array.name, name)) return true;
    }
    return false;
}

/* Lists the running statistics that the graph's batch norms update. */
static glia_status find(norms *s, const glia_task *task, glia_error *error) {
    int64_t total = 0, most = 0;
    const glia_graph *g = task->graph;
    s->list = calloc(2 * (size_t)g->n_nodes + 1, sizeof *s->list);
    if (!s->list) return glia_fail_nomem(error);
    for (int i = 0; i < 2 * g->n_nodes; i++) {
        const glia_node *n = g->nodes[i / 2];
        if (n->op != &glia_op_batch_norm || !glia_is_state(n->in[3 + i % 2])) continue;
        const char *name = glia_leaf_of(n->in[3 + i % 2])->name;
        glia_array a;
        if (is_listed(s, name) || !glia_store_look(task->model->store, name, &a)) continue;
        s->list[s->n++].array = a;
        total += glia_shape_count(a.shape);
        most = GLIA_MAX(most, glia_shape_count(a.shape));
    }
    s->sums = calloc((size_t)total + 1, sizeof *s->sums);
    s->values = calloc((size_t)most + 1, sizeof *s->values);
    if (!s->sums || !s->values) return glia_fail_nomem(error);
    double *at = s->sums;
    for (int i = 0; i < s->n; i++) {
        s->list[i].sum = at;
        at += glia_shape_count(s->list[i].array.shape);
    }
    return GLIA_OK;
}

static glia_status run_all(norms *s, glia_task *task, glia_loader *loader, glia_error *error) {
    glia_batch batch;
    int64_t batches = 0;
    glia_status status = glia_loader_start(loader, 0, error);
    while (status == GLIA_OK && glia_loader_next(loader, &batch)) {
        glia_lane *lane = glia_task_lane(task, batch.n, error);
        if (!lane) return GLIA_E_INTERNAL;
        status = glia_lane_run_batch(lane, &batch, error);
        batches++;
        for (int i = 0; i < s->n; i++) {
            const glia_array *a = &s->list[i].array;
            const int64_t n = glia_shape_count(a->shape);
            glia_to_double(a->dtype, a->data, s->values, n);
            for (int64_t k = 0; k < n; k++) s->list[i].sum[k] += s->values[k];
        }
    }
    if (status == GLIA_OK) status = glia_loader_check(loader, error);
    for (int i = 0; i < s->n && batches > 0; i++) {
        const glia_array *a = &s->list[i].array;
        const int64_t n = glia_shape_count(a->shape);
        for (int64_t k = 0; k < n; k++) s->list[i].sum[k] /= (double)batches;
        glia_from_double(a->dtype, s->list[i].sum, a->data, n);
    }
    return status;
}

/* True if the model has a batch norm. */
static bool has_norms(const glia_model *model) {
    for (int i = 0; i < model->graph->n_nodes; i++) {
        if (model->graph->nodes[i]->op == &glia_op_batch_norm) return true;
    }
    return false;
}

glia_status glia_norms_measure(glia_model *model, const glia_dataset *data, int64_t batch, glia_backend *backend,
                               glia_error *error) {
    if (!has_norms(model)) return GLIA_OK;
    norms s = { 0 };
    glia_task task = { 0 };
    glia_loader *loader = NULL;
    glia_status status = glia_task_begin(&task, model, backend, 0, GLIA_TRAIN, error);
    if (status == GLIA_OK) status = rewrite(&task, error);
    if (status == GLIA_OK) {
        task.updates = "";
        glia_task_output(&task, task.graph->outputs[0].node);
        status = glia_task_check(&task, data, error);
    }
    if (status == GLIA_OK) status = find(&s, &task, error);
    if (status == GLIA_OK) status = glia_task_prepare(&task, glia_data_count(data), batch, error);
    if (status == GLIA_OK) {
        const glia_loader_opts how = { .batch = batch, .shuffle = true, .ids = glia_task_takes_ids(&task, data) };
        loader = glia_loader_create(data, how, error);
        status = loader ? run_all(&s, &task, loader, error) : GLIA_E_NOMEM;
        glia_store_touch(model->store);
    }
    glia_loader_free(loader);
    glia_task_end(&task);
    free(s.list);
    free(s.sums);
    free(s.values);
    return status;
}
