/* verify.c - checks the invariants stated in graph.h. Run after each pass in debug builds, and on every parsed text. */
#include <stdlib.h>
#include <string.h>

#include "core/graph/graph.h"

/* ---- the message ---------------------------------------------------------------------------- */

/* The node, its inputs and its readers, one per line. */
static void neighbourhood(const glia_graph *g, const glia_node *n, glia_text *text) {
    for (int i = 0; i < n->n_in; i++) {
        glia_text_printf(text, "\n  reads   ");
        glia_node_print(n->in[i], text);
    }
    glia_text_printf(text, "\n  here    ");
    glia_node_print(n, text);
    for (int id = n->id + 1; id < g->n_nodes; id++) {
        bool reads = false;
        for (int i = 0; i < g->nodes[id]->n_in; i++) reads |= g->nodes[id]->in[i] == n;
        if (!reads) continue;
        glia_text_printf(text, "\n  read by ");
        glia_node_print(g->nodes[id], text);
        if (text->length > 1000) return; /* more than fits into a message */
    }
}

static glia_status wrong(const glia_graph *g, const glia_node *n, glia_error *error, const char *what) {
    glia_text around = { 0 };
    neighbourhood(g, n, &around);
    glia_status status = glia_fail(error, GLIA_E_INTERNAL, "the graph is invalid: %%%d, %s: %s%s", n->id, n->op->name,
                                   what, around.bytes ? around.bytes : "");
    free(around.bytes);
    return status;
}

/* ---- one node ------------------------------------------------------------------------------- */

static bool of_graph(const glia_graph *g, const glia_node *n) {
    return n && n->id >= 0 && n->id < g->n_nodes && g->nodes[n->id] == n;
}

/* Checks what printing relies on. */
static const char *broken(const glia_graph *g, int id) {
    const glia_node *n = g->nodes[id];
    if (!n || !n->op) return "there is no node or no op";
    if (n->id != id || n->graph != g) return "it has another number, or is of another graph";
    for (int i = 0; i < n->n_in; i++) {
        if (!of_graph(g, n->in[i])) return "an input is not of this graph";
        if (n->in[i]->id >= id) return "an input is not older";
    }
    return NULL;
}

/* Runs infer on a copy of the node; errors are recorded in a spare graph. */
static glia_status infer_again(const glia_graph *g, const glia_node *n, glia_graph *spare, glia_error *error) {
    glia_node copy = *n;
    copy.graph = spare;
    copy.dtype = GLIA_F32;
    copy.shape = GLIA_SCALAR;
    if (!n->op->infer(&copy)) {
        glia_status status = wrong(g, n, error, spare->error.message);
        spare->error = (glia_error){ 0 };
        return status;
    }
    if (copy.dtype != n->dtype || !glia_shape_equal(copy.shape, n->shape)) {
        return wrong(g, n, error, "its dtype or shape is not what infer says");
    }
    return GLIA_OK;
}

static glia_status verify_node(const glia_graph *g, const glia_node *n, glia_graph *spare, glia_error *error) {
    if (n->op->arity >= 0 ? n->n_in != n->op->arity : n->n_in < 1) return wrong(g, n, error, "the number of inputs");
    if (n->op->attr_size && !n->attrs) return wrong(g, n, error, "there are no attributes");
    if (!glia_shape_valid(n->shape)) return wrong(g, n, error, "the shape is empty or too large");
    if (glia_body_of(n) && glia_graph_verify(glia_body_of(n), error) != GLIA_OK) {
        return error ? error->status : GLIA_E_INTERNAL;
    }
    return infer_again(g, n, spare, error);
}

/* ---- names and updates ---------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
    const glia_node *const *x = a, *const *y = b;
    return strcmp(glia_leaf_of(*x)->name, glia_leaf_of(*y)->name);
}

static glia_status verify_names(const glia_graph *g, glia_error *error) {
    const glia_node **leaves = malloc((size_t)g->n_nodes * sizeof(glia_node *) + 1);
    if (!leaves) return glia_fail_nomem(error);
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        if ((g->nodes[i]->op->flags & GLIA_OP_LEAF) && !glia_is_constant(g->nodes[i])) leaves[n++] = g->nodes[i];
    }
    if (n) qsort(leaves, (size_t)n, sizeof(glia_node *), by_name);
    glia_status status = GLIA_OK;
    for (int i = 1; status == GLIA_OK && i < n; i++) {
        if (!by_name(&leaves[i - 1], &leaves[i])) status = wrong(g, leaves[i], error, "its name is taken by another");
    }
    free(leaves);
    return status;
}

static int by_leaf_and_group(const void *a, const void *b) {
    const glia_change *x = a, *y = b;
    return x->leaf->id != y->leaf->id ? (x->leaf->id > y->leaf->id) - (x->leaf->id < y->leaf->id)
                                      : strcmp(x->group, y->group);
}

static glia_status verify_updates(const glia_graph *g, glia_error *error) {
    for (int i = 0; i < g->n_updates; i++) {
        const glia_change *u = &g->updates[i];
        if (!of_graph(g, u->leaf) || !of_graph(g, u->value) || !u->group) {
            return glia_fail(error, GLIA_E_INTERNAL, "the graph is invalid: update %d is not of this graph", i);
        }
        if (!glia_is_parameter(u->leaf) && !glia_is_state(u->leaf)) {
            return wrong(g, u->leaf, error, "only a parameter or a state can be updated");
        }
        if (u->leaf->dtype != u->value->dtype || !glia_shape_equal(u->leaf->shape, u->value->shape)) {
            return wrong(g, u->leaf, error, "its update has another dtype or shape");
        }
    }
    glia_change *sorted = malloc((size_t)g->n_updates * sizeof *sorted + 1);
    if (!sorted) return glia_fail_nomem(error);
    if (g->n_updates) {
        memcpy(sorted, g->updates, (size_t)g->n_updates * sizeof *sorted);
        qsort(sorted, (size_t)g->n_updates, sizeof *sorted, by_leaf_and_group);
    }
    glia_status status = GLIA_OK;
    for (int i = 1; status == GLIA_OK && i < g->n_updates; i++) {
        if (!by_leaf_and_group(&sorted[i - 1], &sorted[i])) {
            status = wrong(g, sorted[i].leaf, error, "one group updates it twice");
        }
    }
    free(sorted);
    return status;
}

glia_status glia_graph_verify(const glia_graph *g, glia_error *error) {
    glia_status status = glia_graph_check(g, error);
    if (status != GLIA_OK) return status;
    for (int id = 0; id < g->n_nodes; id++) {
        const char *what = broken(g, id);
        if (what) return glia_fail(error, GLIA_E_INTERNAL, "the graph is invalid: node %d: %s", id, what);
    }
    glia_graph *spare = glia_graph_create();
    if (!spare) return glia_fail_nomem(error);
    for (int id = 0; status == GLIA_OK && id < g->n_nodes; id++) status = verify_node(g, g->nodes[id], spare, error);
    glia_graph_free(spare);
    for (int i = 0; status == GLIA_OK && i < g->n_outputs; i++) {
        if (of_graph(g, g->outputs[i].node)) continue;
        status = glia_fail(error, GLIA_E_INTERNAL, "the graph is invalid: output '%s' is not of this graph",
                           g->outputs[i].name);
    }
    if (status == GLIA_OK) status = verify_names(g, error);
    return status == GLIA_OK ? verify_updates(g, error) : status;
}
