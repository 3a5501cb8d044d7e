/* norms.c - batch norm's running statistics, measured anew for weights that were not trained into their place.
 *
 * They become the mean over batches of each batch's statistics. A batch's are read off the running ones: those are set
 * to zero before its run, and are momentum times the batch's after it.
 */
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "train/model/task.h"

/* A running mean or variance. */
typedef struct running {
    glia_array array;
    double momentum;
    double *sum;
} running;

typedef struct norms {
    running *list;
    int n;
    double *sums;
} norms;

static int find(norms *s, const glia_model *model) {
    int64_t total = 0;
    for (int i = 0; i < model->graph->n_nodes; i++) {
        const glia_node *n = model->graph->nodes[i];
        if (n->op != &glia_op_batch_norm) continue;
        for (int k = 3; k < 5; k++) {
            glia_array a;
            if (!glia_is_state(n->in[k]) || !glia_store_look(model->store, glia_leaf_of(n->in[k])->name, &a)) continue;
            if (a.dtype != GLIA_F32) continue;
            if (s->list)
                s->list[s->n] = (running){ a, ((const glia_batch_norm_attrs *)n->attrs)->momentum, s->sums + total };
            s->n++;
            total += glia_shape_count(a.shape);
        }
    }
    return (int)total;
}

static glia_status run_all(norms *s, glia_task *task, glia_loader *loader, glia_error *error) {
    glia_batch batch;
    int64_t batches = 0;
    glia_status status = glia_loader_start(loader, 0, error);
    while (status == GLIA_OK && glia_loader_next(loader, &batch)) {
        for (int i = 0; i < s->n; i++) {
            memset(s->list[i].array.data, 0, glia_shape_bytes(s->list[i].array.shape, GLIA_F32));
        }
        glia_lane *lane = glia_task_lane(task, batch.n, error);
        if (!lane) return GLIA_E_INTERNAL;
        status = glia_lane_run(lane, batch.x, NULL, error);
        batches++;
        for (int i = 0; i < s->n; i++) {
            const float *value = s->list[i].array.data;
            for (int64_t k = 0; k < glia_shape_count(s->list[i].array.shape); k++) {
                s->list[i].sum[k] += (double)value[k] / s->list[i].momentum;
            }
        }
    }
    if (status == GLIA_OK) status = glia_loader_check(loader, error);
    for (int i = 0; i < s->n && batches > 0; i++) {
        float *value = s->list[i].array.data;
        for (int64_t k = 0; k < glia_shape_count(s->list[i].array.shape); k++) {
            value[k] = (float)(s->list[i].sum[k] / (double)batches);
        }
    }
    return status;
}

glia_status glia_norms_measure(glia_model *model, const glia_dataset *data, int64_t batch, glia_backend *backend,
                               glia_error *error) {
    norms s = { 0 };
    int total = find(&s, model);
    if (total == 0) return GLIA_OK;
    s.list = calloc((size_t)s.n, sizeof *s.list);
    s.sums = calloc((size_t)total, sizeof *s.sums);
    s.n = 0;
    glia_task task = { 0 };
    glia_loader *loader = NULL;
    glia_status status = s.list && s.sums ? GLIA_OK : glia_fail_nomem(error);
    if (status == GLIA_OK) {
        find(&s, model);
        status = glia_task_begin(&task, model, backend, 0, GLIA_TRAIN, error);
        if (status == GLIA_OK) {
            glia_task_output(&task, task.graph->outputs[0].node);
            status = glia_task_check(&task, data, error);
        }
        if (status == GLIA_OK) status = glia_task_prepare(&task, glia_data_count(data), batch, error);
        if (status == GLIA_OK) {
            loader = glia_loader_create(data, (glia_loader_opts){ .batch = batch, .shuffle = true }, error);
            status = loader ? run_all(&s, &task, loader, error) : GLIA_E_NOMEM;
        }
        glia_store_touch(model->store);
    }
    glia_loader_free(loader);
    glia_task_end(&task);
    free(s.list);
    free(s.sums);
    return status;
}
