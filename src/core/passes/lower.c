/* lower.c - lowers a model's graph to the operations that a backend runs.
 *
 * Symbolic dimensions become numbers. A composite is replaced by its expansion unless the backend has a kernel for it;
 * modal ones (dropout, batch norm) always, since they depend on the mode. Expansions may contain composites, so the
 * rewriting is repeated until none is left. stop_gradient is removed, since it only affects differentiation. In
 * training, forward passes update running statistics (statistics.c). If a gradient needs the longer form of a value
 * (glia_op.saves), the value is sliced from that. Last, outputs and new values that are leaves become copies: an update
 * must not change values that are still read.
 */
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "core/passes/passes.h"

typedef struct context {
    const glia_backend *backend;
    glia_mode mode;
    const glia_sizes *sizes;  /* of this round; NULL: they are fixed already */
    const char *statistics;   /* glob of those that move; NULL: all */
    const bool *moves;        /* by id in the first round's graph: passes that move statistics; NULL: none, or over */
    const glia_graph *moving; /* the graph whose ids these are */
    bool again;               /* something was expanded */
} context;

static glia_tensor expand(glia_graph *to, const glia_node *node, const glia_tensor *in, void *user) {
    context *c = user;
    if (glia_body_of(node)) return glia_node_rewrite_body(to, node, in, expand, c, c->sizes);
    if (node->op->flags & GLIA_OP_GRADIENT_ONLY) return in[0];
    if (!(node->op->flags & GLIA_OP_COMPOSITE)) return NULL;
    if (!(node->op->flags & GLIA_OP_MODAL) && c->backend->kind->has_kernel &&
        c->backend->kind->has_kernel(c->backend, node))
        return NULL;
    c->again = true;
    glia_tensor before[GLIA_STATISTICS_INPUTS];
    if (c->moves && node->graph == c->moving && c->moves[node->id]) {
        glia_statistics_move(to, node, in, c->statistics, before);
        in = before;
    }
    return node->op->expand(node, in, c->mode);
}

/* The first round: symbolic dimensions become numbers, composites are expanded once, running statistics get their
 * updates. Forward passes that move statistics are outputs while it lasts, so that they are visited. */
static glia_graph *expand_first(const glia_graph *graph, context *c, glia_error *error) {
    if (c->mode != GLIA_TRAIN) return glia_graph_rewrite(graph, expand, c, c->sizes, false, error);
    glia_graph view = *graph, *lowered = NULL;
    bool *moves = malloc((size_t)graph->n_nodes + 1);
    view.outputs = malloc(((size_t)graph->n_outputs + (size_t)graph->n_nodes + 1) * sizeof *view.outputs);
    if (!moves || !view.outputs) {
        glia_fail_nomem(error);
    } else if (glia_statistics_find(graph, c->statistics, moves, error) == GLIA_OK) {
        if (graph->n_outputs) memcpy(view.outputs, graph->outputs, (size_t)graph->n_outputs * sizeof *view.outputs);
        for (int id = 0; id < graph->n_nodes; id++) {
            if (moves[id]) view.outputs[view.n_outputs++] = (glia_named){ "statistics", graph->nodes[id] };
        }
        c->moves = moves;
        c->moving = graph->n_nodes ? graph->nodes[0]->graph : NULL;
        lowered = glia_graph_rewrite(&view, expand, c, c->sizes, false, error);
        if (lowered) lowered->n_outputs = graph->n_outputs;
    }
    c->moves = NULL;
    free(moves);
    free(view.outputs);
    return lowered;
}

/* Whether the graph has the `saves` op of `node`, on the same inputs. */
static bool is_saved(const glia_node *node) {
    const glia_graph *g = node->graph;
    for (int id = node->id + 1; id < g->n_nodes; id++) {
        const glia_node *n = g->nodes[id];
        if (n->op != node->op->saves || n->n_in != node->n_in || !glia_attrs_equal(n->op, n->attrs, node->attrs))
            continue;
        bool same = true;
        for (int i = 0; i < n->n_in; i++) same &= n->in[i] == node->in[i];
        if (same) return true;
    }
    return false;
}

static glia_tensor share(glia_graph *to, const glia_node *node, const glia_tensor *in, void *user) {
    (void)user;
    if (!node->op->saves || !is_saved(node)) return NULL;
    glia_tensor whole = glia_node_create(to, node->op->saves, in, node->n_in, node->attrs);
    return glia_slice(whole, GLIA_SHAPE(0), node->shape, GLIA_SCALAR);
}

static bool has_saving(const glia_graph *g) {
    for (int id = 0; id < g->n_nodes; id++) {
        if (g->nodes[id]->op->saves) return true;
    }
    return false;
}

/* The node itself, or a copy of it if it is an alias of a leaf. */
static glia_node *own(glia_node *node, bool *changed) {
    const glia_node *n = node;
    while (n->op->flags & GLIA_OP_ALIAS) n = n->in[0];
    if (!(n->op->flags & GLIA_OP_LEAF) || glia_is_constant(n)) return node;
    *changed = true;
    return glia_stop_gradient(node);
}

void glia_detach_leaves(glia_graph *g) {
    bool changed = false;
    for (int i = 0; i < g->n_outputs; i++) g->outputs[i].node = own(g->outputs[i].node, &changed);
    for (int i = 0; i < g->n_updates; i++) g->updates[i].value = own(g->updates[i].value, &changed);
}

glia_graph *glia_pass_lower(const glia_graph *graph, const glia_backend *backend, glia_mode mode,
                            const glia_sizes *sizes, const char *statistics, glia_error *error) {
    context c = { .backend = backend, .mode = mode, .sizes = sizes, .statistics = statistics, .again = true };
    glia_graph *lowered = NULL;
    for (int round = 0; c.again; round++) {
        c.again = false;
        if (round) c.sizes = NULL;
        glia_graph *next =
            lowered ? glia_graph_rewrite(lowered, expand, &c, NULL, false, error) : expand_first(graph, &c, error);
        glia_graph_free(lowered);
        if (!next) return NULL;
        lowered = next;
        if (round == 32) {
            glia_fail(error, GLIA_E_INTERNAL, "a composite expands into itself");
            glia_graph_free(lowered);
            return NULL;
        }
    }
    if (has_saving(lowered)) {
        glia_graph *shared = glia_graph_rewrite(lowered, share, NULL, NULL, false, error);
        glia_graph_free(lowered);
        if (!shared) return NULL;
        lowered = shared;
    }
    if (lowered->n_updates) glia_detach_leaves(lowered); /* if nothing changes leaves, outputs may alias them */
    if (glia_graph_check(lowered, error) != GLIA_OK) {
        glia_graph_free(lowered);
        return NULL;
    }
    return lowered;
}
