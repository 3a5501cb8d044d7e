/* eval.c - reference evaluation: every node by its op's definition, in double, in topological order.
 *
 * Simple rather than fast: tests, the ref backend and constant folding rely on it.
 */
#include <stdlib.h>

#include "core/graph/graph.h"

static glia_status eval_node(const glia_node *n, double **values, const double **in, glia_error *error) {
    const char *label = n->label ? n->label : "";
    char text[GLIA_SHAPE_TEXT];
    if ((n->op->flags & GLIA_OP_LEAF) && !n->op->eval) {
        return glia_fail(error, GLIA_E_ARGUMENT, "evaluating: no value for the %s '%s'", n->op->name, label);
    }
    if (!glia_node_evaluates(n)) {
        return glia_fail(error, GLIA_E_INTERNAL, "evaluating: %s %s must be expanded first", n->op->name, label);
    }
    if (glia_shape_symbolic(n->shape)) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "evaluating: %s %s %s has symbolic sizes (batch, nodes, edges) that are not fixed",
                         n->op->name, label, glia_shape_format(n->shape, text));
    }
    double *out = malloc((size_t)glia_eval_count(n) * sizeof *out); /* below 2^51 bytes: a valid shape */
    if (!out) return glia_fail_nomem(error);
    for (int i = 0; i < n->n_in; i++) in[i] = values[n->in[i]->id];
    n->op->eval(n, in, out);
    values[n->id] = out;
    return GLIA_OK;
}

glia_status glia_graph_eval(const glia_graph *g, double **values, glia_error *error) {
    glia_status status = glia_graph_check(g, error);
    if (status != GLIA_OK) return status;
    int most = 1;
    for (int id = 0; id < g->n_nodes; id++) most = GLIA_MAX(most, g->nodes[id]->n_in);
    bool *live = malloc((size_t)g->n_nodes * sizeof *live + 1);
    const double **in = calloc((size_t)most, sizeof *in);
    status = live && in ? GLIA_OK : glia_fail_nomem(error);
    if (status == GLIA_OK) glia_graph_mark_live(g, live);
    for (int id = 0; status == GLIA_OK && id < g->n_nodes; id++) {
        if (live[id] && !values[id]) status = eval_node(g->nodes[id], values, in, error);
    }
    free(live);
    free(in);
    return status;
}
