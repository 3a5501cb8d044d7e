/* rounded.c - emulates products with bf16 operands using f32 kernels: the operands are rounded into scratch memory, and
 * the product reads them there. Works on every CPU; no speed-up. */
#include "backend/cpu/lowering/lower.h"
#include "core/ops/ops.h"

static bool is_rounded(const glia_node *n) {
    if (n->op == &glia_op_matmul) return ((const glia_matmul_attrs *)n->attrs)->bf16;
    if (n->op != &glia_op_conv && n->op != &glia_op_conv_input_grad && n->op != &glia_op_conv_kernel_grad) return false;
    return ((const glia_conv_attrs *)n->attrs)->bf16;
}

static size_t operand_bytes(const glia_node *n, int i) {
    return glia_align(glia_shape_bytes(n->in[i]->shape, GLIA_F32));
}

size_t glia_cpu_rounding_scratch(const glia_node *n) {
    return is_rounded(n) ? operand_bytes(n, 0) + operand_bytes(n, 1) : 0;
}

typedef struct rounded_launch {
    glia_launch base;
    const glia_cpu_kernels *kernels;
    const float *from[2];
    float *to[2];
    int64_t count[2];
    glia_launch *product;
} rounded_launch;

static void round_operand(const rounded_launch *l, glia_pool *pool, int i) {
    l->kernels->round_bf16_f32(pool, l->count[i], l->from[i], l->to[i]);
}

/* An operand packed in the setup is not read again. */
static void rounded_run(const glia_launch *launch, glia_pool *pool) {
    const rounded_launch *l = (const rounded_launch *)launch;
    round_operand(l, pool, 0);
    if (!l->base.setup) round_operand(l, pool, 1);
    l->product->run(l->product, pool);
}

static void rounded_setup(const glia_launch *launch, glia_pool *pool) {
    const rounded_launch *l = (const rounded_launch *)launch;
    for (int i = 0; i < 2; i++) round_operand(l, pool, i);
    l->product->setup(l->product, pool);
}

glia_launch *glia_cpu_rounded_prepare(const glia_lowering *w, float *c, glia_cpu_rows_fn epilogue) {
    const glia_node *n = w->node;
    rounded_launch *l = glia_lowering_alloc(w, sizeof *l);
    if (!l) return NULL;
    *l = (rounded_launch){ .base = { .run = rounded_run, .kernel = "round, product" }, .kernels = w->kernels };
    /* The same product of the rounded copies: a separate node, whose operands have their own addresses. */
    glia_matmul_attrs matmul = { 0 };
    glia_conv_attrs conv = { 0 };
    glia_node in[2] = { *n->in[0], *n->in[1] }, *operands[2] = { &in[0], &in[1] }, product = *n;
    char *at = w->scratch;
    for (int i = 0; i < 2; i++) {
        l->from[i] = w->address[n->in[i]->id];
        l->count[i] = glia_shape_count(n->in[i]->shape);
        l->to[i] = (float *)(void *)at;
        at += operand_bytes(n, i);
        in[i].id = i;
    }
    if (n->op == &glia_op_matmul) {
        matmul = *(const glia_matmul_attrs *)n->attrs;
        matmul.bf16 = false;
        product.attrs = &matmul;
    } else {
        conv = *(const glia_conv_attrs *)n->attrs;
        conv.bf16 = false;
        product.attrs = &conv;
    }
    product.in = operands;
    glia_lowering inner = *w;
    inner.node = &product;
    inner.address = (void *const[]){ l->to[0], l->to[1] };
    inner.scratch = at;
    l->product = glia_cpu_product_prepare(&inner, c, epilogue);
    if (!l->product) return NULL;
    if (l->product->setup) l->base.setup = rounded_setup;
    return &l->base;
}
