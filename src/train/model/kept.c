/* kept.c - tasks that a model keeps from one prediction or evaluation to the next, so that the second one costs no more
 * than its run.
 *
 * A kept task serves as long as the model's graph, which only grows, is as long as it was, its store is the same one, and
 * the backend is one with the traits of that which the programs were compiled for. Values may change at will: the task
 * looks before each pass (glia_task_look), and what its sessions have computed from old values is computed again.
 *
 * It is taken out of the model while it is in use. Who finds nothing there, because somebody else is using it, makes his
 * own; of two that are given back the model keeps the last.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "core/program/program.h"
#include "train/model/task.h"

enum { KEPT_MOST = 64 << 20 }; /* bytes of a session's memory, packed weights aside */

void glia_kept_free(glia_kept *kept) {
    if (!kept) return;
    glia_task_end(&kept->task);
    free(kept);
}

glia_kept *glia_kept_create(glia_model *model, glia_backend *backend, int threads, glia_error *error) {
    if (glia_model_ready(model, 0, error) != GLIA_OK) return NULL;
    glia_kept *kept = calloc(1, sizeof *kept);
    if (!kept) {
        glia_fail_nomem(error);
        return NULL;
    }
    if (glia_task_begin(&kept->task, model, backend, threads, GLIA_INFER, error) != GLIA_OK) {
        glia_kept_free(kept);
        return NULL;
    }
    kept->traits = glia_backend_traits_of(kept->task.backend);
    kept->threads = threads;
    kept->store = model->store;
    kept->n_nodes = model->graph->n_nodes;
    kept->n_outputs = model->graph->n_outputs;
    return kept;
}

static bool serves(const glia_kept *kept, const glia_model *model, const glia_backend *backend, int threads) {
    if (kept->store != model->store || glia_graph_check(model->graph, NULL) != GLIA_OK) return false;
    if (kept->n_nodes != model->graph->n_nodes || kept->n_outputs != model->graph->n_outputs) return false;
    if (!backend) return kept->task.owns_backend && kept->threads == threads;
    const glia_backend_traits traits = glia_backend_traits_of(backend);
    return !kept->task.owns_backend && traits.kind == kept->traits.kind && traits.kernels == kept->traits.kernels &&
           traits.workers == kept->traits.workers;
}

glia_kept *glia_model_take(glia_model *model, glia_purpose purpose, glia_backend *backend, int threads) {
    glia_kept *kept = atomic_exchange(&model->kept[purpose], NULL);
    if (!kept) return NULL;
    if (!serves(kept, model, backend, threads)) {
        glia_kept_free(kept);
        return NULL;
    }
    if (!backend) return kept;
    kept->task.backend = backend; /* the one before may be closed by now */
    for (int i = 0; i < kept->task.n_lanes; i++) kept->task.lanes[i].program->backend = backend;
    return kept;
}

void glia_model_give(glia_model *model, glia_purpose purpose, glia_kept *kept) {
    for (int i = kept->task.n_lanes - 1; i >= 0; i--) {
        const glia_program *p = kept->task.lanes[i].program;
        if (p->plan.kept_offset[0] > KEPT_MOST) glia_task_drop(&kept->task, i);
    }
    glia_kept_free(atomic_exchange(&model->kept[purpose], kept));
}

void glia_model_forget(glia_model *model) {
    for (int i = 0; i < GLIA_COUNT(model->kept); i++) glia_kept_free(atomic_exchange(&model->kept[i], NULL));
}
