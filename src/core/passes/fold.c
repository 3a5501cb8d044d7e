/* fold.c - constant folding, and removal of operations without effect.
 *
 * Constants are computed with each op's definition (`eval`). The identities are those that hold for every value,
 * NaN and infinity included (x * 1, x + 0 up to the sign of zero, a cast to the same dtype, the identity
 * permutation); x * 0 is left alone.
 */
#include <math.h>
#include <stdlib.h>

#include "core/ops/ops.h"
#include "core/passes/passes.h"

enum { MOST_FOLDED = 4096 }; /* elements: larger results are cheaper to compute than to store */

/* A constant with these values, or with a single one if they are all equal. */
static glia_tensor constant_of(glia_graph *g, glia_dtype dtype, glia_shape shape, double *values, int64_t n) {
    bool same = true;
    for (int64_t i = 0; i < n; i++) {
        values[i] = glia_round_to(dtype, values[i]);
        same &= values[i] == values[0] && signbit(values[i]) == signbit(values[0]);
    }
    glia_constant_attrs attrs = { dtype, shape, { values, same ? 1 : n } };
    return glia_node_create(g, &glia_op_constant, NULL, 0, &attrs);
}

/* The constant behind a broadcast, if x is one. The broadcast is not folded: its readers read the smaller constant. */
static const glia_node *known(const glia_node *n) {
    if (n->op == &glia_op_broadcast) n = n->in[0];
    return glia_is_constant(n) ? n : NULL;
}

/* Evaluates a node on constant inputs. For an elementwise op of single-valued constants one element suffices. */
static glia_tensor evaluate(glia_graph *to, const glia_node *node, const glia_tensor *in) {
    enum { MOST_INPUTS = 8 };
    if (!node->op->eval || node->op->eval_extra || node->n_in > MOST_INPUTS || node->op == &glia_op_broadcast)
        return NULL;
    bool uniform = node->op->flags & GLIA_OP_ELEMENTWISE, fixed = node->op->flags & GLIA_OP_STATIC;
    double scalar[MOST_INPUTS];
    int64_t largest = glia_shape_count(node->shape);
    for (int i = 0; i < node->n_in && !fixed; i++) {
        if (!known(in[i])) return NULL;
        uniform = uniform && glia_is_constant_scalar(in[i], &scalar[i]);
        largest = GLIA_MAX(largest, glia_shape_count(in[i]->shape));
    }
    glia_node one = *node;
    if (uniform) one.shape = GLIA_SCALAR;
    int64_t count = glia_shape_count(one.shape);
    if (!uniform && largest > MOST_FOLDED) return NULL;
    if (!fixed && node->n_in == 0) return NULL;

    const double *values[MOST_INPUTS] = { NULL };
    double *buffer =
        calloc((size_t)count + (uniform || fixed ? 0 : (size_t)(largest * (node->n_in + 1))), sizeof *buffer);
    if (!buffer) return glia_graph_fail_nomem(to);
    for (int i = 0; i < node->n_in && !fixed; i++) {
        double *at = buffer + count + i * largest;
        if (uniform) {
            values[i] = &scalar[i];
        } else {
            double *source = in[i] == known(in[i]) ? at : buffer + count + node->n_in * largest;
            glia_op_constant.eval(known(in[i]), NULL, source);
            if (source != at) in[i]->op->eval(in[i], (const double *const[]){ source }, at);
            values[i] = at;
        }
    }
    one.op->eval(&one, values, buffer);
    glia_tensor folded = constant_of(to, node->dtype, node->shape, buffer, count);
    free(buffer);
    return folded;
}

static bool is_value(const glia_node *n, double value) {
    double v;
    return glia_is_constant_scalar(n, &v) && v == value;
}

/* The input that the node returns unchanged, or NULL. */
static glia_tensor identity(const glia_node *node, const glia_tensor *in) {
    const glia_op *op = node->op;
    if (op == &glia_op_mul && is_value(in[1], 1)) return in[0];
    if (op == &glia_op_mul && is_value(in[0], 1)) return in[1];
    if (op == &glia_op_div && is_value(in[1], 1)) return in[0];
    if (op == &glia_op_add && is_value(in[1], 0)) return in[0];
    if (op == &glia_op_add && is_value(in[0], 0)) return in[1];
    if (op == &glia_op_sub && is_value(in[1], 0)) return in[0];
    if (op == &glia_op_neg && in[0]->op == op) return in[0]->in[0];
    if (op == &glia_op_cast && in[0]->dtype == node->dtype) return in[0];
    if ((op == &glia_op_reshape || op == &glia_op_broadcast || op == &glia_op_sum || op == &glia_op_max) &&
        glia_shape_equal(in[0]->shape, node->shape)) {
        return in[0];
    }
    if (op == &glia_op_permute) {
        const glia_permute_attrs *a = node->attrs;
        for (int i = 0; i < a->order.rank; i++) {
            if (a->order.dim[i] != i) return NULL;
        }
        return in[0];
    }
    return NULL;
}

/* Simplifies nodes whose result is available from an earlier node. */
static glia_tensor shortcut(glia_graph *to, const glia_node *node, const glia_tensor *in) {
    double value;
    if (node->op == &glia_op_broadcast || node->op == &glia_op_reshape) {
        if (glia_is_constant_scalar(in[0], &value)) {
            glia_constant_attrs attrs = { node->dtype, node->shape, { &value, 1 } };
            return glia_node_create(to, &glia_op_constant, NULL, 0, &attrs);
        }
        if (in[0]->op == node->op) return glia_node1(node->op, in[0]->in[0], node->attrs);
    }
    if (node->op == &glia_op_permute && in[0]->op == node->op) {
        const glia_permute_attrs *outer = node->attrs, *inner = in[0]->attrs;
        glia_permute_attrs both = { .order = { .rank = outer->order.rank } };
        for (int i = 0; i < outer->order.rank; i++) both.order.dim[i] = inner->order.dim[outer->order.dim[i]];
        return glia_node1(node->op, in[0]->in[0], &both);
    }
    return NULL;
}

static glia_tensor fold(glia_graph *to, const glia_node *node, const glia_tensor *in, void *context) {
    (void)context;
    if (node->op->flags & GLIA_OP_LEAF) return NULL;
    glia_tensor same = identity(node, in);
    if (same) return same;
    glia_tensor shorter = shortcut(to, node, in);
    if (shorter) return shorter;
    return evaluate(to, node, in);
}

glia_graph *glia_pass_fold(const glia_graph *graph, glia_error *error) {
    return glia_graph_rewrite(graph, fold, NULL, NULL, false, error);
}
