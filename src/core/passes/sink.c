/* sink.c - moves operations from before a max pool to after it, where there are fewer elements (a quarter for 2 x 2).
 *
 * relu is monotonic, so it commutes with the maximum; so does its gradient, since its mask is the same for all elements
 * of a window that may receive a gradient; and a sum over all positions does not depend on the position in its window
 * that gets a gradient:
 *
 *     max_pool(relu(x))                             =  relu(max_pool(x))
 *     r <= 0 ? 0 : max_pool_scatter(r, dy)          =  max_pool_scatter(x, max_pool(r) <= 0 ? 0 : dy)     r = relu(x)
 *     sum over positions of max_pool_scatter(x, dy)  =  sum over positions of dy
 *
 * The first two are bitwise equal for all values (if no element of a window is positive, both sides give zeros; NaN is
 * a maximum on both sides, and not <= 0). The third adds in another order.
 */
#include "core/ops/ops.h"
#include "core/passes/passes.h"

static bool is_zero(const glia_node *n) {
    double value;
    return glia_is_constant_scalar(n, &value) && value == 0;
}

/* x, if n is relu(x). */
static glia_tensor under_relu(const glia_node *n) {
    return n->op == &glia_op_maximum && is_zero(n->in[1]) ? n->in[0] : NULL;
}

static bool shrinks(const glia_node *pool) {
    return glia_shape_count(pool->shape) < glia_shape_count(pool->in[0]->shape);
}

static glia_tensor relu_of(glia_tensor x) { return glia_maximum(x, glia_like(x, 0)); }

/* select(r <= 0, 0, max_pool_scatter(r, dy)): relu's gradient. */
static glia_tensor masked_scatter(const glia_tensor *in) {
    const glia_node *mask = in[0], *scatter = in[2];
    if (mask->op != &glia_op_less_equal || !is_zero(mask->in[1]) || scatter->op != &glia_op_max_pool_scatter)
        return NULL;
    glia_tensor r = mask->in[0], x = under_relu(r), dy = scatter->in[1];
    if (!x || scatter->in[0] != r || !is_zero(in[1])) return NULL;
    glia_tensor pooled = relu_of(glia_node1(&glia_op_max_pool, x, scatter->attrs));
    return glia_node2(&glia_op_max_pool_scatter, x, glia_relu_gradient(pooled, dy), scatter->attrs);
}

/* The sum of max_pool_scatter(x, dy) over axes that include all spatial ones. */
static glia_tensor sum_of_scatter(const glia_node *n, const glia_tensor *in) {
    const glia_reduce_attrs *a = n->attrs;
    if (in[0]->op != &glia_op_max_pool_scatter) return NULL;
    for (int i = 2; i < in[0]->shape.rank; i++) {
        if (!glia_axes_contain(&a->axes, i)) return NULL;
    }
    return glia_node1(n->op, in[0]->in[1], a);
}

static glia_tensor rule(glia_graph *to, const glia_node *n, const glia_tensor *in, void *context) {
    (void)to;
    (void)context;
    if (n->op == &glia_op_select) return masked_scatter(in);
    if (n->op == &glia_op_sum) return sum_of_scatter(n, in);
    if (n->op != &glia_op_max_pool || !under_relu(in[0]) || !shrinks(n)) return NULL;
    return relu_of(glia_node1(n->op, under_relu(in[0]), n->attrs));
}

glia_graph *glia_pass_sink(const glia_graph *graph, glia_error *error) {
    return glia_graph_rewrite(graph, rule, NULL, NULL, false, error);
}
