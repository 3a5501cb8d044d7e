/* precision.c - mixed precision: products of bf16 with f32 sums and f32 master weights (Micikevicius et al. 2018; with
 * bf16, whose exponent is that of f32, no loss scaling is needed: Kalamkar et al. 2019).
 *
 * Matrix products, convolutions and their gradients, which dominate a step, are marked; kernels round the operands
 * while packing them. All values are stored as f32, so optimisers need no change.
 */
#include "core/ops/ops.h"
#include "core/passes/passes.h"

static glia_tensor rule(glia_graph *to, const glia_node *n, const glia_tensor *in, void *context) {
    if (glia_body_of(n)) return glia_node_rewrite_body(to, n, in, rule, context, NULL);
    if (n->dtype != GLIA_F32) return NULL;
    if (n->op == &glia_op_matmul) {
        glia_matmul_attrs a = *(const glia_matmul_attrs *)n->attrs;
        a.bf16 = true;
        return glia_node2(n->op, in[0], in[1], &a);
    }
    if (n->op == &glia_op_conv || n->op == &glia_op_conv_input_grad || n->op == &glia_op_conv_kernel_grad) {
        glia_conv_attrs a = *(const glia_conv_attrs *)n->attrs;
        a.bf16 = true;
        return glia_node2(n->op, in[0], in[1], &a);
    }
    return NULL;
}

glia_graph *glia_pass_precision(const glia_graph *graph, glia_precision precision, glia_error *error) {
    return glia_graph_rewrite(graph, precision == GLIA_PRECISION_BF16 ? rule : NULL, NULL, NULL, false, error);
}
