/* absorb.c - merges per-channel scales and shifts after a product into its weights and bias.
 *
 * A frozen program may transform its weights before the first run. If s, b and c, one number for each channel of the
 * result or one for all, and the weights W are fixed (fixed.c), then
 *
 *     (product(x, W) + b) s   ->   product(x, W s) + b s            so batch norm after a convolution
 *     (product(x, W) + b) + c  ->   product(x, W) + (b + c)         becomes a bias only
 *
 * where W s is W with the weights of each result channel multiplied by that channel's s. The intermediate values must
 * have no other readers. Rounding differs, and where W s overflows or s is not finite the result differs: hence this is
 * done only with glia_compile_opts.frozen.
 *
 * Products and the axis of their result that is the channels: conv and conv_input_grad (transposed convolution) the
 * channel axis, matmul the last.
 */
#include <stdlib.h>

#include "core/ops/ops.h"
#include "core/passes/passes.h"

typedef struct analysis {
    bool *live, *fixed;
    int *readers; /* by id: how often the node is an operand or an output */
    int *chain;   /* by id: the product that the node scales and shifts; its own id for a product; -1: none */
} analysis;

/* ---- facts about nodes ---------------------------------------------------------------------- */

static bool is_product(const glia_node *n) {
    return n->op == &glia_op_matmul || n->op == &glia_op_conv || n->op == &glia_op_conv_input_grad;
}

static int channel_axis(const glia_node *product) {
    if (product->op == &glia_op_matmul) return product->shape.rank - 1;
    return ((const glia_conv_attrs *)product->attrs)->channels_last ? product->shape.rank - 1 : 1;
}

static bool is_shift(const glia_op *op) { return op == &glia_op_add || op == &glia_op_sub; }
static bool is_scale(const glia_op *op) { return op == &glia_op_mul || op == &glia_op_div; }

/* Whether the elements of x, a possible scale or shift of a product, vary along `axis` only. */
static bool by_channel(const glia_node *x, int axis) {
    double value;
    if (glia_is_constant_scalar(x, &value)) return true;
    const glia_node *source = x->op == &glia_op_broadcast ? x->in[0] : x;
    for (int i = 0; i < source->shape.rank; i++) {
        if (source->shape.dim[i] != 1 && i + x->shape.rank - source->shape.rank != axis) return false;
    }
    return !is_product(x); /* so that a product and its scale or shift can be told apart */
}

/* The operand of n that is a chain which n can continue: 0, 1; -1: none. */
static int carried_on(const analysis *a, const glia_graph *g, const glia_node *n) {
    if (!is_shift(n->op) && !is_scale(n->op)) return -1;
    for (int k = 0; k < (n->op->flags & GLIA_OP_COMMUTES ? 2 : 1); k++) {
        const glia_node *y = n->in[k], *other = n->in[1 - k];
        const int product = a->chain[y->id];
        if (product < 0 || a->readers[y->id] != 1 || !a->fixed[other->id]) continue;
        if (by_channel(other, channel_axis(g->nodes[product]))) return k;
    }
    return -1;
}

static void analyse(analysis *a, const glia_graph *g, const char *changing) {
    glia_graph_mark_live(g, a->live);
    glia_find_fixed(g, changing, a->fixed);
    for (int i = 0; i < g->n_nodes; i++) {
        for (int j = 0; j < g->nodes[i]->n_in && a->live[i]; j++) a->readers[g->nodes[i]->in[j]->id]++;
    }
    for (int i = 0; i < g->n_outputs; i++) a->readers[g->outputs[i].node->id]++;
    for (int i = 0; i < g->n_updates; i++) a->readers[g->updates[i].value->id]++;
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        a->chain[i] = -1;
        if (!a->live[i] || a->fixed[i]) continue;
        if (is_product(n)) {
            a->chain[i] = a->fixed[n->in[1]->id] ? i : -1;
        } else {
            const int k = carried_on(a, g, n);
            a->chain[i] = k < 0 ? -1 : a->chain[n->in[k]->id];
        }
    }
}

/* ---- building ------------------------------------------------------------------------------- */

/* x's elements along its channels, as a vector; or its single element. */
static glia_tensor vector_of(glia_tensor x) {
    double value;
    if (glia_is_constant_scalar(x, &value)) return glia_reshape(glia_scalar(x->graph, x->dtype, value), GLIA_SHAPE(1));
    glia_tensor source = x->op == &glia_op_broadcast ? x->in[0] : x;
    return glia_reshape(source, GLIA_SHAPE(glia_shape_count(source->shape)));
}

/* The vector along `axis` of a tensor of this rank, so that it broadcasts to the tensor. */
static glia_tensor along(glia_tensor vector, int rank, int axis) {
    if (glia_is_bad(vector)) return vector;
    glia_shape shape = { .rank = rank };
    for (int i = 0; i < rank; i++) shape.dim[i] = i == axis ? vector->shape.dim[0] : 1;
    return glia_reshape(vector, shape);
}

/* The scaled weights of a transposed convolution, (K, C/groups, ...): group j of K gives the j-th part of the
 * channels. */
static glia_tensor scaled_by_group(glia_tensor weights, glia_tensor s, int64_t groups) {
    glia_shape split = { .rank = weights->shape.rank + 1, .dim = { groups, weights->shape.dim[0] / groups } };
    glia_shape parts = { .rank = split.rank, .dim = { groups, 1, weights->shape.dim[1] } };
    for (int i = 2; i < split.rank; i++) split.dim[i] = weights->shape.dim[i - 1];
    for (int i = 3; i < parts.rank; i++) parts.dim[i] = 1;
    return glia_reshape(glia_mul(glia_reshape(weights, split), glia_reshape(s, parts)), weights->shape);
}

static glia_tensor scaled_weights(const glia_node *product, glia_tensor s) {
    glia_tensor weights = product->in[1];
    const int rank = weights->shape.rank;
    if (glia_is_bad(s)) return s;
    if (product->op == &glia_op_matmul) {
        const glia_matmul_attrs *a = product->attrs;
        return glia_mul(weights, along(s, rank, a->transpose_b ? rank - 2 : rank - 1));
    }
    const glia_conv_attrs *a = product->attrs;
    if (product->op == &glia_op_conv) return glia_mul(weights, along(s, rank, 0));
    if (a->groups == 1 || s->shape.dim[0] == 1) return glia_mul(weights, along(s, rank, 1));
    return scaled_by_group(weights, s, a->groups);
}

static glia_tensor shifted(glia_tensor product, glia_tensor b) {
    if (glia_is_bad(product)) return product;
    return glia_add(product, along(b, product->shape.rank, channel_axis(product)));
}

/* The rewritten operand of a chain is a product, or a product with one shift. */
static glia_tensor absorb(glia_graph *to, const glia_node *node, const glia_tensor *in, void *user) {
    const analysis *a = user;
    (void)to;
    if (a->chain[node->id] < 0 || is_product(node)) return NULL;
    const int k = carried_on(a, node->graph, node);
    glia_tensor y = in[k], product = y, b = NULL, f = vector_of(in[1 - k]);
    if (!is_product(y)) {
        const int first = is_product(y->in[0]);
        product = y->in[first ? 0 : 1];
        b = vector_of(y->in[first ? 1 : 0]);
    }
    if (is_shift(node->op)) {
        if (node->op == &glia_op_sub) f = glia_neg(f);
        return shifted(product, b ? glia_add(b, f) : f);
    }
    if (node->op == &glia_op_div) f = glia_reciprocal(f);
    glia_tensor scaled = glia_node2(product->op, product->in[0], scaled_weights(product, f), product->attrs);
    return b ? shifted(scaled, glia_mul(b, f)) : scaled;
}

glia_graph *glia_pass_absorb(const glia_graph *graph, const char *changing, glia_error *error) {
    const size_t n = (size_t)graph->n_nodes + 1;
    analysis a = { .live = calloc(n, sizeof(bool)),
                   .fixed = calloc(n, sizeof(bool)),
                   .readers = calloc(n, sizeof(int)),
                   .chain = calloc(n, sizeof(int)) };
    glia_graph *result = NULL;
    if (a.live && a.fixed && a.readers && a.chain) {
        analyse(&a, graph, changing);
        result = glia_graph_rewrite(graph, absorb, &a, NULL, false, error);
    } else {
        glia_fail_nomem(error);
    }
    free(a.live);
    free(a.fixed);
    free(a.readers);
    free(a.chain);
    return result;
}
