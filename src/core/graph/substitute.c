/* substitute.c - repeats part of a graph on other tensors; finds tensors by the names of layers and leaves.
 *
 * The nodes between the replaced tensors and the requested ones are copied into the same graph; all others are shared.
 * Random nodes of the copy draw their own numbers.
 */
#include <stdlib.h>
#include <string.h>

#include "core/graph/graph.h"

/* ---- substitution --------------------------------------------------------------------------- */

/* Gives the copied attributes a new stream if the op draws random numbers. */
static void renew_stream(glia_graph *g, glia_node *copy) {
    for (const glia_field *f = copy->op->fields; f && f->name; f++) {
        if (f->type != GLIA_FIELD_INT || strcmp(f->name, "stream")) continue;
        *(int64_t *)((char *)(uintptr_t)copy->attrs + f->offset) = g->n_streams; /* the node's own copy */
        g->n_streams++;
    }
}

static bool check_pairs(glia_graph *g, const glia_tensor *from, const glia_tensor *to, int n) {
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    for (int i = 0; i < n; i++) {
        if (glia_is_bad(from[i]) || glia_is_bad(to[i])) return false;
        if (from[i]->graph != g || to[i]->graph != g) {
            glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_substitute: pair %d is of another graph", i);
            return false;
        }
        if (from[i]->dtype != to[i]->dtype || !glia_shape_equal(from[i]->shape, to[i]->shape)) {
            glia_graph_fail(g, GLIA_E_SHAPE, "glia_substitute: %s%s cannot take the place of %s%s (pair %d)",
                            glia_dtype_name(to[i]->dtype), glia_shape_format(to[i]->shape, b),
                            glia_dtype_name(from[i]->dtype), glia_shape_format(from[i]->shape, a), i);
            return false;
        }
    }
    return true;
}

/* Marks the nodes that the ys need in `live`. */
static void mark_needed(const glia_graph *g, const glia_tensor *ys, int n_ys, bool *live) {
    for (int i = 0; i < n_ys; i++) live[ys[i]->id] = true;
    for (int id = g->n_nodes - 1; id >= 0; id--) {
        for (int i = 0; live[id] && i < g->nodes[id]->n_in; i++) live[g->nodes[id]->in[i]->id] = true;
    }
}

/* Copies the live nodes that depend on a replaced one; made[id] is the counterpart of node id. */
static bool copy_nodes(glia_graph *g, int n_nodes, const bool *live, glia_node **made, glia_tensor *in) {
    for (int id = 0; id < n_nodes; id++) {
        glia_node *n = g->nodes[id];
        if (!live[id] || made[id]) continue;
        bool changed = false;
        for (int i = 0; i < n->n_in; i++) {
            in[i] = made[n->in[i]->id] ? made[n->in[i]->id] : n->in[i];
            changed |= in[i] != n->in[i];
        }
        if (!changed) continue;
        made[id] = glia_node_copy(g, n, in, NULL);
        if (glia_is_bad(made[id])) return false;
        renew_stream(g, made[id]);
    }
    return true;
}

void glia_substitute(const glia_tensor *ys, int n_ys, const glia_tensor *from, const glia_tensor *to, int n,
                     glia_tensor *out) {
    if (n_ys > 0 && (!ys || !out)) {
        for (int i = 0; i < n_ys && out; i++) out[i] = NULL;
        return;
    }
    glia_graph *g = n_ys > 0 && ys[0] ? ys[0]->graph : NULL;
    for (int i = 0; i < n_ys; i++) out[i] = g ? g->bad : NULL;
    for (int i = 0; i < n_ys; i++) {
        if (glia_is_bad(ys[i]) || ys[i]->graph != g) return;
    }
    if (g && n > 0 && (!from || !to)) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_substitute: %s is NULL", from ? "to" : "from");
        return;
    }
    if (!g || !check_pairs(g, from, to, n)) return;
    const int n_nodes = g->n_nodes;
    int most = 1;
    for (int id = 0; id < n_nodes; id++) most = GLIA_MAX(most, g->nodes[id]->n_in);
    bool *live = calloc((size_t)n_nodes + 1, sizeof *live);
    glia_node **made = calloc((size_t)n_nodes + 1, sizeof(glia_node *));
    glia_tensor *in = calloc((size_t)most, sizeof *in);
    bool done = live && made && in;
    if (!done) glia_graph_fail_nomem(g);
    if (done) mark_needed(g, ys, n_ys, live);
    for (int i = 0; done && i < n; i++) {
        if (!live[from[i]->id]) {
            const char *name = from[i]->op->flags & GLIA_OP_LEAF && !glia_is_constant(from[i])
                                   ? glia_leaf_of(from[i])->name
                                   : from[i]->op->name;
            glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_substitute: nothing asked for depends on '%s' (pair %d)", name,
                            i);
            done = false;
        } else {
            made[from[i]->id] = to[i];
        }
    }
    if (done && copy_nodes(g, n_nodes, live, made, in)) {
        for (int i = 0; i < n_ys; i++) out[i] = made[ys[i]->id] ? made[ys[i]->id] : ys[i];
    }
    free(live);
    free(made);
    free(in);
}

/* ---- by name -------------------------------------------------------------------------------- */

int glia_parameters(glia_graph *g, const char *pattern, glia_tensor *out, int capacity) {
    int n = 0;
    for (int id = 0; g && id < g->n_nodes; id++) {
        glia_node *node = g->nodes[id];
        if (!glia_is_parameter(node) || (pattern && !glia_glob(pattern, glia_leaf_of(node)->name))) continue;
        if (out && n < capacity) out[n] = node;
        n++;
    }
    return n;
}

/* "conv1" is the layer of nodes labelled "conv1" or "conv1/...". */
static bool is_of_layer(const char *label, const char *name) {
    const size_t length = strlen(name);
    return label && !strncmp(label, name, length) && (label[length] == 0 || label[length] == '/');
}

glia_tensor glia_layer_output(glia_graph *g, const char *name) {
    if (!g) return NULL;
    if (!name || !name[0]) return glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_layer_output: there is no name");
    glia_node *last = NULL;
    for (int id = 0; id < g->n_nodes; id++) {
        const bool leaf = g->nodes[id]->op->flags & GLIA_OP_LEAF;
        if (!leaf && is_of_layer(g->nodes[id]->label, name)) last = g->nodes[id];
    }
    if (last) return last;
    const char **labels = malloc((size_t)(g->n_nodes + 1) * sizeof *labels);
    int n = 0;
    for (int id = 0; labels && id < g->n_nodes; id++) {
        if (g->nodes[id]->label) labels[n++] = g->nodes[id]->label;
    }
    const char *near = labels ? glia_nearest(name, labels, n) : NULL;
    glia_tensor bad =
        near ? glia_graph_fail(g, GLIA_E_NOT_FOUND, "no layer is called '%s'; did you mean '%s'?", name, near)
             : glia_graph_fail(g, GLIA_E_NOT_FOUND, "no layer is called '%s'", name);
    free(labels);
    return bad;
}
