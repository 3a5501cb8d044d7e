/* diagnose.c - finds the origin of the first non-finite value.
 *
 * A loss may become nan long after the step that caused it: a gradient overflows, the update writes infinities into the
 * weights, and the next loss shows it. Training is deterministic bit for bit, so the epoch is repeated from the backup,
 * step by step, until a step makes the loss or a parameter or state of the model non-finite. That step is run again
 * from the values before it, with every value of its graph as an output. The origin is the first value in execution
 * order that is not finite although all its operands are.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/fit/fit.h"

static bool all_finite(glia_dtype dtype, const void *data, int64_t n) {
    if (!glia_dtype_is_float(dtype)) return true;
    const char *bytes = data;
    const size_t size = glia_dtype_size(dtype);
    double wide[256];
    for (int64_t at = 0; at < n; at += GLIA_COUNT(wide)) {
        const int64_t m = GLIA_MIN(n - at, (int64_t)GLIA_COUNT(wide));
        glia_to_double(dtype, bytes + (size_t)at * size, wide, m);
        for (int64_t i = 0; i < m; i++) {
            if (!isfinite(wide[i])) return false;
        }
    }
    return true;
}

static bool store_finite(const glia_store *store) {
    for (int i = 0; i < glia_store_count(store); i++) {
        glia_array a = glia_store_entry(store, i);
        if (!all_finite(a.dtype, a.data, glia_shape_count(a.shape))) return false;
    }
    return true;
}

/* Results of a traced step. */
typedef struct trace {
    const glia_graph *graph;
    glia_session *session;
    bool *finite; /* by node */
    int *output;  /* by node; -1: not an output */
} trace;

static bool node_finite(const trace *t, const glia_node *n) {
    if (t->output[n->id] < 0) return true;
    glia_array a = glia_session_output(t->session, t->output[n->id]);
    return all_finite(a.dtype, a.data, glia_shape_count(a.shape));
}

static const char *kind_of(const glia_node *n) {
    return glia_is_input(n)       ? "the input"
           : glia_is_parameter(n) ? "the parameter"
           : glia_is_state(n)     ? "the state"
                                  : NULL;
}

/* Describes the origin. */
static void name_origin(const trace *t, int64_t step, char *what, size_t capacity) {
    for (int i = 0; i < t->graph->n_nodes; i++) {
        const glia_node *n = t->graph->nodes[i];
        t->finite[n->id] = node_finite(t, n);
        if (t->finite[n->id]) continue;
        if (kind_of(n)) {
            snprintf(what, capacity, "%s '%s' is not finite in step %lld", kind_of(n), glia_leaf_of(n)->name,
                     (long long)step);
            return;
        }
        bool inherited = false;
        for (int k = 0; k < n->n_in; k++) inherited |= !t->finite[n->in[k]->id];
        if (inherited) continue;
        char shape[GLIA_SHAPE_TEXT];
        snprintf(what, capacity, "the first value that is not finite is the result %s of %s in '%s', in step %lld",
                 glia_shape_format(n->shape, shape), n->op->name, n->label && n->label[0] ? n->label : "the model",
                 (long long)step);
        return;
    }
}

/* Runs the step with every float value as an output. */
static glia_status trace_step(glia_training *t, const glia_batch *batch, int64_t step, char *what, size_t capacity,
                              glia_error *error) {
    const glia_supervised *s = t->memory;
    glia_graph *g = s->train.graph;
    trace r = { .graph = g };
    glia_tensor *outputs = malloc(((size_t)g->n_nodes + 1) * sizeof *outputs);
    r.finite = malloc(((size_t)g->n_nodes + 1) * sizeof *r.finite);
    r.output = malloc(((size_t)g->n_nodes + 1) * sizeof *r.output);
    glia_program *program = NULL;
    glia_status status = outputs && r.finite && r.output ? GLIA_OK : glia_fail_nomem(error);
    if (status == GLIA_OK) {
        int n = 0;
        for (int i = 0; i < g->n_nodes; i++) {
            r.output[g->nodes[i]->id] = -1;
            if (!glia_dtype_is_float(g->nodes[i]->dtype)) continue;
            outputs[n] = g->nodes[i];
            r.output[g->nodes[i]->id] = n++;
        }
        glia_compile_opts opts = { .outputs = outputs,
                                   .n_outputs = n,
                                   .mode = GLIA_TRAIN,
                                   .updates = "",
                                   .statistics = "",
                                   .batch = batch->n,
                                   .precision = t->opts.precision,
                                   .no_fusion = true };
        program = glia_compile(g, t->backend, opts, error);
        r.session = program ? glia_session_create(program, t->states, error) : NULL;
        status = r.session ? GLIA_OK : GLIA_E_NOMEM;
    }
    if (status == GLIA_OK) {
        glia_lane lane = { .batch = batch->n, .program = program, .session = r.session };
        glia_session_input(r.session, glia_leaf_of(s->train.x)->name, &lane.x, NULL);
        if (s->train.y) glia_session_input(r.session, glia_leaf_of(s->train.y)->name, &lane.y, NULL);
        float *lr = glia_session_input(r.session, "lr", NULL, NULL);
        if (lr) *lr = (float)t->progress.lr; /* a momentum input starts with the optimiser's value */
        status = glia_lane_run_batch(&lane, batch, error);
    }
    if (status == GLIA_OK) name_origin(&r, step, what, capacity);
    glia_session_free(r.session);
    glia_program_free(program);
    free(outputs);
    free(r.finite);
    free(r.output);
    return status;
}

glia_status glia_supervised_diagnose(glia_training *t, int64_t steps, char *what, size_t capacity, glia_error *error) {
    char *epoch_began = t->backup, *before = malloc(glia_training_backup_bytes(t) + 1);
    if (!before) return glia_fail_nomem(error);
    glia_training_back_up(t, true);
    const glia_supervised *s = t->memory;
    const int64_t first = t->began_at;
    t->done -= t->step - first;
    glia_batch batch;
    bool found = false;
    glia_status status = glia_loader_start_at(t->loader, t->epoch, first, error);
    for (int64_t step = first + 1; status == GLIA_OK && !found && step <= steps; step++, t->done++) {
        if (!glia_loader_next(t->loader, &batch)) break;
        t->backup = before;
        glia_training_back_up(t, false);
        t->progress.lr = glia_training_rate(t);
        glia_lane *lane = glia_supervised_lane(t, batch.n, error);
        status = lane ? glia_lane_run_batch(lane, &batch, error) : GLIA_E_INTERNAL;
        if (status != GLIA_OK) break;
        found = !isfinite(glia_lane_scalar(lane, s->train.loss_at)) || !store_finite(t->model->store);
        if (!found) continue;
        glia_training_back_up(t, true);
        status = trace_step(t, &batch, step, what, capacity, error);
    }
    t->backup = epoch_began;
    glia_training_back_up(t, true);
    free(before);
    return status;
}
