/* bodies.c - compiles the bodies of loops.
 *
 * A body is compiled like a frozen program: captured values do not change while the loop runs, so values that depend
 * only on them are computed once before the first step, and weights are packed then. Its batch is already fixed and its
 * composites are already expanded, together with the enclosing graph.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/ops/ops.h"
#include "core/passes/passes.h"

typedef struct context {
    const glia_scan_attrs *attrs;
    int input; /* index of the next input */
} context;

/* Inputs get their number for a name, since those that nothing reads vanish. What is captured becomes a state; the
 * random state and the number of the step change with each step. */
static glia_tensor freeze(glia_graph *to, const glia_node *n, const glia_tensor *in, void *user) {
    context *c = user;
    (void)in;
    if (!glia_is_input(n)) return NULL;
    const int k = c->input++;
    const bool changes =
        k < c->attrs->sequences + c->attrs->states || k + 1 == c->attrs->random || k + 1 == c->attrs->index;
    char name[32];
    snprintf(name, sizeof name, "%d", k);
    return glia_node_create(to, changes ? &glia_op_input : &glia_op_state, NULL, 0,
                            &(glia_leaf){ .name = name, .dtype = n->dtype, .shape = n->shape });
}

static glia_status advance(glia_graph **graph, glia_graph *next, glia_error *error) {
    glia_graph_free(*graph);
    *graph = next;
    if (!next) return error->status != GLIA_OK ? error->status : GLIA_E_NOMEM;
    return glia_graph_check(next, error);
}

static glia_status transform(glia_inner *inner, const glia_node *n, const glia_backend *backend, glia_fuse_opts opts,
                             glia_error *error) {
    context c = { .attrs = n->attrs };
    glia_graph **g = &inner->graph;
    error->status = GLIA_OK;
    glia_status status = advance(g, glia_graph_rewrite(c.attrs->body, freeze, &c, NULL, true, error), error);
    if (status == GLIA_OK) {
        glia_detach_leaves(*g);
        status = glia_graph_check(*g, error);
    }
    if (status == GLIA_OK) status = advance(g, glia_pass_sink(*g, error), error);
    if (status == GLIA_OK) status = advance(g, glia_pass_layout(*g, backend, error), error);
    if (status == GLIA_OK) status = advance(g, glia_pass_fold(*g, error), error);
    if (status == GLIA_OK) status = advance(g, glia_pass_cse(*g, error), error);
    if (status == GLIA_OK) status = advance(g, glia_pass_fold(*g, error), error);
    opts.frozen = true;
    opts.changing = NULL; /* the names in a body are others */
    if (status == GLIA_OK) status = glia_pass_fuse(*g, backend, opts, &inner->schedule, error);
    if (status == GLIA_OK) status = glia_pass_bodies(&inner->schedule, backend, opts, error);
    if (status == GLIA_OK) status = glia_pass_recompute(&inner->schedule, backend, error);
    if (status == GLIA_OK) status = glia_pass_schedule(&inner->schedule, backend, error);
    if (status == GLIA_OK) status = glia_pass_plan(&inner->schedule, backend, &inner->plan, error);
    return status;
}

glia_status glia_pass_bodies(glia_schedule *s, const glia_backend *backend, glia_fuse_opts opts, glia_error *error) {
    glia_error local = { .status = GLIA_OK };
    error = error ? error : &local;
    for (int i = 0; i < s->n_groups && backend->kind->bodies; i++) {
        glia_group *g = &s->groups[i];
        if (!g->anchor || !glia_body_of(g->anchor)) continue;
        glia_inner *inner = calloc(1, sizeof *inner);
        if (!inner) return glia_fail_nomem(error);
        inner->next = s->inners;
        s->inners = inner;
        g->inner = inner;
        glia_status status = transform(inner, g->anchor, backend, opts, error);
        if (status != GLIA_OK) return status;
    }
    return GLIA_OK;
}
