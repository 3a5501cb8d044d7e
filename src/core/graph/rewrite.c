/* rewrite.c - writes new graphs from old ones; every pass uses it.
 *
 * Nodes are immutable, so a pass writes its result into a new graph, in topological order. `made[id]` is the
 * replacement of node id; a rule gets inputs that are already mapped, and the nodes it creates from them are in the new
 * graph.
 */
#include <stdlib.h>
#include <string.h>

#include "core/graph/graph.h"

void glia_graph_mark_live(const glia_graph *g, bool *live) {
    memset(live, 0, (size_t)g->n_nodes * sizeof *live);
    for (int i = 0; i < g->n_outputs; i++) live[g->outputs[i].node->id] = true;
    for (int i = 0; i < g->n_updates; i++) live[g->updates[i].leaf->id] = live[g->updates[i].value->id] = true;
    for (int id = g->n_nodes - 1; id >= 0; id--) {
        for (int i = 0; live[id] && i < g->nodes[id]->n_in; i++) live[g->nodes[id]->in[i]->id] = true;
    }
}

/* Gives nodes created from now on this label, which may belong to another graph. It is copied only when it changes. */
static void take_label(glia_graph *to, const char *label) {
    if (to->label == label || (to->label && label && !strcmp(to->label, label))) return;
    glia_graph_label(to, label);
}

static bool body_symbolic(const glia_graph *body) {
    for (int i = 0; body && i < body->n_nodes; i++) {
        if (glia_shape_symbolic(body->nodes[i]->shape)) return true;
    }
    return false;
}

static bool attrs_symbolic(const glia_op *op, const void *attrs) {
    for (const glia_field *f = op->fields; attrs && f && f->name; f++) {
        const void *at = (const char *)attrs + f->offset;
        if (f->type == GLIA_FIELD_SHAPE && glia_shape_symbolic(*(const glia_shape *)at)) return true;
        if (f->type == GLIA_FIELD_GRAPH && body_symbolic(*(const glia_graph *const *)at)) return true;
    }
    return false;
}

glia_tensor glia_node_copy(glia_graph *to, const glia_node *node, const glia_tensor *in, const glia_sizes *sizes) {
    const void *attrs = node->attrs;
    if (sizes && attrs_symbolic(node->op, attrs)) {
        attrs = glia_attrs_copy(node->op, attrs, &to->arena, sizes);
        if (!attrs) return glia_graph_fail_nomem(to);
    }
    const char *before = to->label;
    take_label(to, node->label);
    glia_tensor copy = glia_node_create(to, node->op, in, node->n_in, attrs);
    to->label = before;
    return copy;
}

static bool kept_leaf(const glia_node *n) { return (n->op->flags & GLIA_OP_LEAF) && !glia_is_constant(n); }

/* Maps one node; false: the new graph holds the mistake. `in` has room for its inputs. */
static bool map_node(glia_graph *to, const glia_node *n, glia_rewrite_rule rule, void *context, const glia_sizes *sizes,
                     glia_node **made, glia_tensor *in) {
    for (int i = 0; i < n->n_in; i++) in[i] = made[n->in[i]->id];
    take_label(to, n->label);
    glia_tensor result = rule ? rule(to, n, in, context) : NULL;
    if (to->error.status != GLIA_OK) return false;
    if (!result) result = glia_node_copy(to, n, in, sizes);
    if (glia_is_bad(result) || result->graph != to) {
        glia_graph_fail(to, GLIA_E_INTERNAL, "rewriting: the rule for %s gave no tensor of the new graph", n->op->name);
    }
    made[n->id] = result;
    return to->error.status == GLIA_OK;
}

static bool rewrite_into(glia_graph *to, const glia_graph *from, glia_rewrite_rule rule, void *context,
                         const glia_sizes *sizes, const bool *wanted, glia_node **made, glia_tensor *in) {
    to->n_streams = from->n_streams;
    for (int id = 0; id < from->n_nodes; id++) {
        if (wanted[id] && !map_node(to, from->nodes[id], rule, context, sizes, made, in)) return false;
    }
    for (int i = 0; i < from->n_outputs; i++)
        glia_graph_output(to, from->outputs[i].name, made[from->outputs[i].node->id]);
    for (int i = 0; i < from->n_updates; i++) {
        const glia_change *u = &from->updates[i];
        glia_update(made[u->leaf->id], made[u->value->id], u->group);
    }
    take_label(to, from->label);
    return to->error.status == GLIA_OK;
}

/* Which nodes are copied: those that outputs and updates depend on, and more. */
typedef enum kept { KEEP_LIVE, KEEP_LEAVES, KEEP_ALL } kept;

static glia_graph *rewrite(const glia_graph *from, glia_rewrite_rule rule, void *context, const glia_sizes *sizes,
                           kept keep, glia_error *error) {
    if (glia_graph_check(from, error) != GLIA_OK) return NULL;
    int most = 1;
    for (int id = 0; id < from->n_nodes; id++) most = GLIA_MAX(most, from->nodes[id]->n_in);
    glia_graph *to = glia_graph_create();
    bool *wanted = malloc((size_t)from->n_nodes * sizeof *wanted + 1);
    glia_node **made = calloc((size_t)from->n_nodes + 1, sizeof(glia_node *));
    glia_tensor *in = calloc((size_t)most, sizeof(glia_tensor));
    bool done = false;
    if (to && wanted && made && in) {
        glia_graph_mark_live(from, wanted);
        for (int id = 0; keep != KEEP_LIVE && id < from->n_nodes; id++)
            wanted[id] |= keep == KEEP_ALL || kept_leaf(from->nodes[id]);
        done = rewrite_into(to, from, rule, context, sizes, wanted, made, in);
        if (!done) glia_graph_check(to, error);
    } else {
        glia_fail_nomem(error);
    }
    free(wanted);
    free(made);
    free(in);
    if (!done) {
        glia_graph_free(to);
        to = NULL;
    }
    return to;
}

glia_graph *glia_graph_rewrite(const glia_graph *from, glia_rewrite_rule rule, void *context, const glia_sizes *sizes,
                               bool keep_leaves, glia_error *error) {
    return rewrite(from, rule, context, sizes, keep_leaves ? KEEP_LEAVES : KEEP_LIVE, error);
}

glia_graph *glia_graph_copy(const glia_graph *from, glia_error *error) {
    return rewrite(from, NULL, NULL, NULL, KEEP_ALL, error);
}
