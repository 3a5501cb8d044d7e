/* gradients.c - what happens to gradients before an optimiser's formula: rows of sparse ones, sums over batches,
 * clipping. */
#include <string.h>

#include "nn/optim/optim.h"

/* ---- clipping ------------------------------------------------------------------------------ */

/* Each element into [-limit, limit]. */
static void clip_by_value(glia_tensor *grads, int n, double limit) {
    for (int i = 0; i < n; i++) {
        if (glia_is_bad(grads[i])) return;
        glia_graph *g = grads[i]->graph;
        glia_dtype t = grads[i]->dtype;
        grads[i] = glia_minimum(glia_maximum(grads[i], glia_scalar(g, t, -limit)), glia_scalar(g, t, limit));
    }
}

/* The squares are summed in f32, or in f64 if one of the parameters is. shares[i]: by how much each row counts, where
 * rows with the same index are one; NULL: the gradient is that of a whole parameter. */
static void clip_by_norm(glia_tensor *grads, const glia_tensor *shares, int n, double limit) {
    glia_dtype widest = GLIA_F32;
    for (int i = 0; i < n; i++) {
        if (glia_is_bad(grads[i])) return;
        if (grads[i]->dtype == GLIA_F64) widest = GLIA_F64;
    }
    glia_tensor total = NULL;
    for (int i = 0; i < n; i++) {
        glia_tensor squares = glia_square(grads[i]);
        if (shares[i]) squares = glia_mul(squares, shares[i]);
        glia_tensor square = glia_rule_as(glia_sum(squares, GLIA_SCALAR, false), widest);
        total = total ? glia_add(total, square) : square;
    }
    glia_graph *g = grads[0]->graph;
    glia_tensor ratio = glia_div(glia_scalar(g, widest, limit), glia_add_scalar(glia_sqrt(total), 1e-6));
    glia_tensor scale = glia_minimum(ratio, glia_scalar(g, widest, 1));
    for (int i = 0; i < n; i++) grads[i] = glia_mul(grads[i], glia_rule_as(scale, grads[i]->dtype));
}

void glia_gradients_clip(const glia_optimizer *o, glia_tensor *grads, const glia_tensor *shares, int n) {
    if (o->clip_value > 0) clip_by_value(grads, n, o->clip_value);
    if (o->clip_norm > 0) clip_by_norm(grads, shares, n, o->clip_norm);
}

/* ---- accumulation ------------------------------------------------------------------------- */

/* A scalar that adds up `each` over the runs of GROUP.hold since the last of GROUP; its value with this one. */
static glia_tensor add_up(glia_graph *g, const char *name, const char *group, const char *hold, glia_tensor each) {
    glia_tensor held = glia_state(g, name, each->dtype, GLIA_SCALAR, (glia_init){ 0 });
    glia_tensor more = glia_add(held, each);
    glia_update(held, more, hold);
    glia_update(held, glia_scalar(g, each->dtype, 0), group);
    return more;
}

/* What all batches together weigh, f32; without labels in any of them 1, since then gradients are 0. */
static glia_tensor total_weight(glia_graph *g, const char *group, const char *hold, glia_tensor weight) {
    const char *name = glia_arena_printf(&g->arena, "%s/weight", group);
    if (!name) return glia_graph_fail_nomem(g);
    glia_tensor total = add_up(g, name, group, hold, glia_rule_as(weight, GLIA_F32)),
                zero = glia_scalar(g, GLIA_F32, 0);
    return glia_select(glia_greater(total, zero), total, glia_scalar(g, GLIA_F32, 1));
}

void glia_gradients_accumulate(glia_graph *g, const char *group, glia_tensor weight, const glia_tensor *ws, int n,
                               glia_tensor *grads) {
    const char *hold = glia_arena_printf(&g->arena, "%s.hold", group);
    const char *count = glia_arena_printf(&g->arena, "%s/held", group);
    if (!hold || !count) {
        glia_graph_fail_nomem(g);
        return;
    }
    glia_tensor one = glia_scalar(g, GLIA_I64, 1), more = add_up(g, count, group, hold, one);
    glia_tensor any = glia_greater(more, one);
    glia_tensor all = weight ? total_weight(g, group, hold, weight) : more;
    glia_rule_scope s = { .graph = g, .group = group };
    for (int i = 0; i < n; i++) {
        s.dtype = glia_rule_dtype(ws[i]);
        glia_tensor sum = glia_rule_state(&s, "sum", glia_leaf_of(ws[i])->name, ws[i]),
                    mine = glia_rule_as(grads[i], s.dtype);
        if (weight) mine = glia_mul(mine, glia_rule_as(weight, s.dtype));
        glia_tensor total = glia_add(glia_select(any, sum, glia_scalar(g, s.dtype, 0)), mine);
        glia_update(sum, total, hold);
        grads[i] = glia_mul(total, glia_reciprocal(glia_rule_as(all, s.dtype)));
    }
}

/* ---- sparse gradients --------------------------------------------------------------------- */

enum { MOST_PICKS = 32 }; /* places of a graph that pick from one table */

/* The places (P, B...) and their indices (P) whose rows a gradient adds up: a sum of scatter_adds along axis 0; false:
 * it is something else. */
static bool find_picks(glia_tensor gradient, glia_tensor *rows, glia_tensor *indices, int *n) {
    if (gradient->op == &glia_op_add) {
        return find_picks(gradient->in[0], rows, indices, n) && find_picks(gradient->in[1], rows, indices, n);
    }
    if (gradient->op != &glia_op_scatter_add || ((const glia_scatter_attrs *)gradient->attrs)->axis || *n == MOST_PICKS)
        return false;
    glia_tensor u = gradient->in[0], at = gradient->in[1];
    glia_shape flat = { .rank = 1, .dim = { 1 } };
    for (int i = 0; i < at->shape.rank; i++) flat.dim[0] *= at->shape.dim[i];
    const glia_shape picks = flat;
    for (int i = at->shape.rank; i < u->shape.rank; i++) flat.dim[flat.rank++] = u->shape.dim[i];
    rows[*n] = glia_reshape(u, flat);
    indices[(*n)++] = glia_reshape(at, picks);
    return true;
}

bool glia_gradient_rows(const glia_optimizer *o, const char *who, glia_tensor leaf, glia_tensor *gradient,
                        glia_tensor *share, glia_tensor *rows) {
    const char *name = glia_leaf_of(leaf)->name;
    *share = *rows = NULL;
    if (!o->sparse || !glia_glob(o->sparse, name)) return true;
    glia_graph *g = leaf->graph;
    if (o->kind == GLIA_MUON || o->kind == GLIA_LAMB || o->ema > 0 || o->accumulate > 1) {
        glia_graph_fail(g, GLIA_E_UNSUPPORTED, "%s: sparse '%s' does not go with Muon, LAMB, ema or accumulate", who,
                        o->sparse);
        return false;
    }
    glia_tensor parts[MOST_PICKS], indices[MOST_PICKS];
    int n = 0;
    if (glia_is_bad(*gradient)) return false;
    bool picked = find_picks(*gradient, parts, indices, &n);
    for (int i = 0; picked && i < n; i++)
        picked =
            indices[i]->dtype == indices[0]->dtype && (indices[i]->shape.dim[0] < 0) == (indices[0]->shape.dim[0] < 0);
    if (!picked) {
        glia_graph_fail(g, GLIA_E_UNSUPPORTED,
                        "%s: sparse '%s': the gradient of '%s' is more than a sum over rows that are picked from it",
                        who, o->sparse, name);
        return false;
    }
    glia_tensor part = n > 1 ? glia_concat(parts, n, 0) : parts[0];
    *rows = n > 1 ? glia_concat(indices, n, 0) : indices[0];
    *gradient = glia_row_sums(part, *rows, leaf->shape.dim[0]);
    if (glia_is_bad(*rows)) return false;
    glia_shape column = (*rows)->shape;
    while (column.rank < leaf->shape.rank) column.dim[column.rank++] = 1;
    glia_tensor ones = glia_broadcast(glia_scalar(g, (*gradient)->dtype, 1), column);
    glia_tensor uses = glia_row_sums(ones, *rows, leaf->shape.dim[0]); /* 0: the index names no row */
    *share = glia_reciprocal(glia_maximum(uses, glia_like(uses, 1)));
    return true;
}
