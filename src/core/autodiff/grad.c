/* grad.c - reverse-mode differentiation, graph to graph.
 *
 * The chain rule walked backwards (Linnainmaa 1970; Griewank and Walther 2008, ch. 3): every node that lies on a path
 * from some x to y gets an adjoint, dy/dnode, which is the sum of what its readers contribute; its op's `vjp` turns
 * that into contributions to its inputs. All of it is new nodes of the same graph, made from the same ops, so a
 * gradient can be differentiated again, fused, planned and saved like anything else.
 *
 *        x ──► f ──► g ──► y            forward, oldest first
 *        dx ◄─ vjp_f ◄─ vjp_g ◄─ dy     what this file appends
 *
 * A composite without a vjp of its own is expanded next to itself and differentiated through; the second copy of the
 * forward computation is merged with the first by common-subexpression elimination. A modal one is expanded for both
 * modes, and its gradient is by_mode of the two.
 */
#include <stdlib.h>

#include "core/ops/ops.h"

/* The state of one walk. Arrays are indexed by node id, for the nodes that existed when the walk began. */
typedef struct walk {
    int n;
    bool *relevant; /* on a path from some x */
    bool *target;   /* is one of the xs */
    glia_tensor *adjoint;
} walk;

static void walk_free(walk *w) {
    free(w->relevant);
    free(w->target);
    free(w->adjoint);
}

static bool walk_create(walk *w, const glia_tensor *ys, int n_ys, const glia_tensor *xs, int n) {
    int newest = 0;
    for (int i = 0; i < n_ys; i++) newest = GLIA_MAX(newest, ys[i]->id);
    size_t count = (size_t)newest + 1;
    *w = (walk){ .n = newest + 1,
                 .relevant = calloc(count, sizeof *w->relevant),
                 .target = calloc(count, sizeof *w->target),
                 .adjoint = calloc(count, sizeof *w->adjoint) };
    if (!w->relevant || !w->target || !w->adjoint) return false;
    for (int i = 0; i < n; i++) {
        if (xs[i]->id < w->n) w->target[xs[i]->id] = w->relevant[xs[i]->id] = true;
    }
    for (int id = 0; id < w->n; id++) {
        const glia_node *node = ys[0]->graph->nodes[id];
        for (int i = 0; i < node->n_in; i++) w->relevant[id] |= w->relevant[node->in[i]->id];
    }
    return true;
}

/* Adds a contribution to the adjoint of `node`. */
static bool contribute(walk *w, const glia_node *node, glia_tensor dx) {
    if (glia_is_bad(dx)) return false;
    if (dx->dtype != node->dtype || !glia_shape_equal(dx->shape, node->shape)) {
        char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
        glia_graph_fail(node->graph, GLIA_E_INTERNAL, "the gradient of %s%s arrives as %s%s", node->op->name,
                        glia_shape_format(node->shape, a), glia_dtype_name(dx->dtype), glia_shape_format(dx->shape, b));
        return false;
    }
    glia_tensor *sum = &w->adjoint[node->id];
    *sum = *sum ? glia_add(*sum, dx) : dx;
    return !glia_is_bad(*sum);
}

static bool reverse(const glia_tensor *ys, const glia_tensor *dys, int n_ys, const glia_tensor *xs, int n,
                    glia_tensor *gradients, bool stop_at_xs);

/* The gradients of a composite in its inputs, through its expansion for this mode. */
static bool expansion_vjp(glia_node *node, glia_tensor dy, glia_mode mode, glia_tensor *dx) {
    glia_tensor expanded = node->op->expand(node, node->in, mode);
    if (glia_is_bad(expanded)) return false;
    return reverse(&expanded, &dy, 1, node->in, node->n_in, dx, true);
}

/* The same of a modal composite: of the mode that will be compiled. */
static bool modal_vjp(glia_node *node, glia_tensor dy, glia_tensor *dx) {
    glia_tensor *infer = calloc((size_t)node->n_in, sizeof *infer);
    if (!infer) {
        glia_graph_fail_nomem(node->graph);
        return false;
    }
    bool ok = expansion_vjp(node, dy, GLIA_TRAIN, dx) && expansion_vjp(node, dy, GLIA_INFER, infer);
    for (int i = 0; ok && i < node->n_in; i++) {
        if (!dx[i] && !infer[i]) continue;
        dx[i] = glia_node2(&glia_op_by_mode, dx[i] ? dx[i] : glia_like(node->in[i], 0),
                           infer[i] ? infer[i] : glia_like(node->in[i], 0), NULL);
        ok = !glia_is_bad(dx[i]);
    }
    free(infer);
    return ok;
}

/* The gradients of one node in its inputs: by its vjp, or through its expansion. */
static bool node_vjp(glia_node *node, glia_tensor dy, glia_tensor *dx) {
    if (node->op->vjp) {
        node->op->vjp(node, dy, dx);
        return node->graph->error.status == GLIA_OK;
    }
    if (!(node->op->flags & GLIA_OP_COMPOSITE)) return true; /* piecewise constant: no gradient */
    if (node->op->flags & GLIA_OP_MODAL) return modal_vjp(node, dy, dx);
    return expansion_vjp(node, dy, GLIA_TRAIN, dx);
}

/* Propagates the adjoint of one node to those of its inputs that matter. */
static bool propagate(walk *w, glia_node *node) {
    glia_tensor few[8] = { NULL }, *dx = few;
    if (node->n_in > GLIA_COUNT(few)) dx = calloc((size_t)node->n_in, sizeof *dx);
    if (!dx) {
        glia_graph_fail_nomem(node->graph);
        return false;
    }
    node->graph->label = node->label; /* an arena string of this graph; gradients bear their layer's name */
    bool ok = node_vjp(node, w->adjoint[node->id], dx);
    for (int i = 0; ok && i < node->n_in; i++) {
        const glia_node *in = node->in[i];
        if (dx[i] && in->id < w->n && w->relevant[in->id] && glia_dtype_is_float(in->dtype))
            ok = contribute(w, in, dx[i]);
    }
    if (dx != few) free(dx);
    return ok;
}

/* gradients[i] = adjoint of xs[i], or NULL where y does not depend on it. With stop_at_xs the xs are independent
 * variables even where one is computed from another. */
static bool reverse(const glia_tensor *ys, const glia_tensor *dys, int n_ys, const glia_tensor *xs, int n,
                    glia_tensor *gradients, bool stop_at_xs) {
    glia_graph *g = ys[0]->graph;
    walk w;
    const char *label = g->label;
    bool ok = walk_create(&w, ys, n_ys, xs, n);
    if (!ok) glia_graph_fail_nomem(g);
    for (int i = 0; ok && i < n_ys; i++) ok = contribute(&w, ys[i], dys[i]);
    for (int id = w.n - 1; ok && id >= 0; id--) {
        if (!w.adjoint[id] || !w.relevant[id] || (stop_at_xs && w.target[id])) continue;
        ok = propagate(&w, g->nodes[id]);
    }
    for (int i = 0; i < n; i++) gradients[i] = ok && xs[i]->id < w.n ? w.adjoint[xs[i]->id] : NULL;
    g->label = label;
    walk_free(&w);
    return ok;
}

void glia_vjp(glia_tensor y, glia_tensor dy, const glia_tensor *xs, int n, glia_tensor *gradients) {
    for (int i = 0; i < n && gradients; i++) gradients[i] = y ? y->graph->bad : NULL;
    if (y && n > 0 && (!xs || !gradients)) {
        glia_graph_fail(y->graph, GLIA_E_ARGUMENT, "glia_grad: %s is NULL", xs ? "gradients" : "xs");
        return;
    }
    if (glia_is_bad(y) || glia_is_bad(dy)) return;
    glia_graph *g = y->graph;
    for (int i = 0; i < n; i++) {
        if (glia_is_bad(xs[i]) || xs[i]->graph != g) {
            glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_grad: tensor %d is not of y's graph", i);
            return;
        }
    }
    if (!glia_dtype_is_float(y->dtype)) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_grad: y is %s; only floating-point values have gradients",
                        glia_dtype_name(y->dtype));
        return;
    }
    if (dy->graph != g || dy->dtype != y->dtype || !glia_shape_equal(dy->shape, y->shape)) {
        char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
        glia_graph_fail(g, GLIA_E_SHAPE, "glia_vjp: dy is %s%s where y is %s%s", glia_dtype_name(dy->dtype),
                        glia_shape_format(dy->shape, a), glia_dtype_name(y->dtype), glia_shape_format(y->shape, b));
        return;
    }
    reverse(&y, &dy, 1, xs, n, gradients, false);
    for (int i = 0; i < n; i++) {
        if (!gradients[i]) gradients[i] = g->error.status == GLIA_OK ? glia_like(xs[i], 0) : g->bad;
    }
}

void glia_vjp_of_all(const glia_tensor *ys, const glia_tensor *dys, int n_ys, const glia_tensor *xs, int n,
                     glia_tensor *gradients) {
    for (int i = 0; i < n; i++) gradients[i] = NULL;
    if (n_ys > 0) reverse(ys, dys, n_ys, xs, n, gradients, false);
}

void glia_grad(glia_tensor y, const glia_tensor *xs, int n, glia_tensor *gradients) {
    glia_vjp(y, glia_like(y, 1), xs, n, gradients);
}
