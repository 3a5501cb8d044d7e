/* dropout.c - dropout (Srivastava et al. 2014), inverted: what is kept is divided by 1 - rate.
 *
 * When training, an element is dropped where a uniform random number is below the rate. Those numbers are a function of
 * the state "rng" (seed and step) and this node's stream, so the gradient is the same operation with the same stream
 * applied to dy: it draws the same mask again instead of keeping it. In inference x passes unchanged.
 */
#include "ops/ops.h"

static const glia_dropout_attrs *attrs_of(const glia_node *n) { return n->attrs; }

static bool dropout_infer(glia_node *n) {
    const glia_node *x = n->in[0], *rng = n->in[1];
    n->dtype = x->dtype;
    n->shape = x->shape;
    if (n->dtype != GLIA_F32 && n->dtype != GLIA_F64) return glia_node_fail(n, "x must be f32 or f64");
    if (rng->dtype != GLIA_I64 || rng->shape.rank != 1 || rng->shape.dim[0] != 2) {
        return glia_node_fail(n, "the state must be i64(2)");
    }
    int64_t stream = attrs_of(n)->stream;
    if (stream < 0 || stream >= INT32_MAX) return glia_node_fail(n, "no such stream: %lld", (long long)stream);
    n->graph->n_streams = GLIA_MAX(n->graph->n_streams, (int)stream + 1); /* the next random node takes another */
    double rate = attrs_of(n)->rate;
    return (rate >= 0 && rate < 1) || glia_node_fail(n, "the rate must be in [0, 1), not %g", rate);
}

static glia_tensor dropout_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    double rate = attrs_of(n)->rate;
    if (mode == GLIA_INFER || rate == 0 || glia_is_bad(in[0])) return in[0];
    glia_random_attrs draw = { in[0]->shape, attrs_of(n)->stream };
    glia_tensor u = glia_node1(&glia_op_random_uniform, in[1], &draw);
    glia_tensor kept = glia_greater_equal(u, glia_is_bad(u) ? u : glia_like(u, rate));
    return glia_select(kept, glia_mul_scalar(in[0], 1 / (1 - rate)), glia_like(in[0], 0));
}

static void dropout_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    dx[0] = glia_node2(&glia_op_dropout, dy, y->in[1], y->attrs);
}

static const glia_field dropout_fields[] = { GLIA_FIELD(FLOAT, glia_dropout_attrs, rate),
                                             GLIA_FIELD(INT, glia_dropout_attrs, stream), GLIA_FIELDS_END };

const glia_op glia_op_dropout = { .name = "dropout",
                                  .summary = "x / (1 - rate) with probability 1 - rate, else 0; x in inference",
                                  .arity = 2,
                                  .flags = GLIA_OP_COMPOSITE | GLIA_OP_MODAL,
                                  .attr_size = sizeof(glia_dropout_attrs),
                                  .fields = dropout_fields,
                                  .infer = dropout_infer,
                                  .vjp = dropout_vjp,
                                  .expand = dropout_expand };

#define STATE                                                                                                          \
    { .dtype = GLIA_I64, .shape = GLIA_DIMS(2), .kind = GLIA_SAMPLE_INTEGER, .low = 0, .high = 1000, .constant = true }
const glia_sample glia_samples_dropout[] = {
    { .name = "half",
      .n = 2,
      .in = { { .shape = GLIA_DIMS(4, 5) }, STATE },
      .attrs = &(const glia_dropout_attrs){ 0.5, 3 },
      .no_golden = true },
    { .name = "none",
      .n = 2,
      .in = { { .shape = GLIA_DIMS(4, 5) }, STATE },
      .attrs = &(const glia_dropout_attrs){ 0, 0 },
      .no_golden = true },
    { 0 },
};
