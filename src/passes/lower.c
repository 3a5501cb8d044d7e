/* lower.c - from what the model says to what a backend runs.
 *
 * Batch dimensions become numbers. A composite is replaced by its expansion unless the backend has a kernel for it; modal
 * ones (dropout, batch norm) always, since what they are depends on the mode. Expansions may hold composites again, so
 * the rewriting is repeated until none is left. Stopped gradients have done their work once differentiation is over and
 * vanish. Last, outputs and new values that are themselves leaves become copies: an update must not change what it reads.
 */
#include "ops/ops.h"
#include "passes/passes.h"

typedef struct context {
    const glia_backend *backend;
    glia_mode mode;
    bool again; /* something was expanded */
} context;

static glia_tensor expand(glia_graph *to, const glia_node *node, const glia_tensor *in, void *user) {
    context *c = user;
    (void)to;
    if (node->op == &glia_op_stop_gradient) return in[0];
    if (!(node->op->flags & GLIA_OP_COMPOSITE)) return NULL;
    if (!(node->op->flags & GLIA_OP_MODAL) && c->backend->kind->has_kernel &&
        c->backend->kind->has_kernel(c->backend, node))
        return NULL;
    c->again = true;
    return node->op->expand(node, in, c->mode);
}

/* The node itself, or a copy of it if it only stands for a leaf's bytes. */
static glia_node *own(glia_node *node, bool *changed) {
    const glia_node *n = node;
    while (n->op->flags & GLIA_OP_ALIAS) n = n->in[0];
    if (!(n->op->flags & GLIA_OP_LEAF) || glia_is_constant(n)) return node;
    *changed = true;
    return glia_stop_gradient(node);
}

static void detach_leaves(glia_graph *g) {
    bool changed = false;
    if (g->n_updates == 0) return; /* nothing changes leaves: outputs may point at them */
    for (int i = 0; i < g->n_outputs; i++) g->outputs[i].node = own(g->outputs[i].node, &changed);
    for (int i = 0; i < g->n_updates; i++) g->updates[i].value = own(g->updates[i].value, &changed);
}

glia_graph *glia_pass_lower(const glia_graph *graph, const glia_backend *backend, glia_mode mode, int64_t batch,
                            glia_error *error) {
    context c = { .backend = backend, .mode = mode, .again = true };
    glia_graph *lowered = NULL;
    for (int round = 0; c.again; round++) {
        c.again = false;
        glia_graph *next = glia_graph_rewrite(lowered ? lowered : graph, expand, &c, round ? 0 : batch, false, error);
        glia_graph_free(lowered);
        if (!next) return NULL;
        lowered = next;
        if (round == 32) {
            glia_fail(error, GLIA_E_INTERNAL, "a composite expands into itself");
            glia_graph_free(lowered);
            return NULL;
        }
    }
    detach_leaves(lowered);
    if (glia_graph_check(lowered, error) != GLIA_OK) {
        glia_graph_free(lowered);
        return NULL;
    }
    return lowered;
}
