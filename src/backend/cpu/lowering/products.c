/* products.c - matrix products, convolutions and pooling: fills their kernels' arguments from nodes.
 *
 * A batched product becomes as few kernel calls as possible. Leading axes along which B is constant and A's rows are
 * evenly spaced become additional rows. Other axes are joined where their strides permit. Up to two of the remaining
 * axes are the kernel's batch; any further ones are looped over.
 */
#include "backend/cpu/lowering/lower.h"
#include "core/ops/ops.h"

static bool is_f32(const glia_node *n) {
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i]->dtype != GLIA_F32) return false;
    }
    return n->dtype == GLIA_F32;
}

/* Convolutions and pooling whose kernels need (N, spatial..., C). */
static bool is_conv(const glia_node *n) { return is_f32(n) && ((const glia_conv_attrs *)n->attrs)->channels_last; }
static bool is_pool(const glia_node *n) { return is_f32(n) && ((const glia_pool_attrs *)n->attrs)->channels_last; }

/* ---- matrix products ----------------------------------------------------------------------------- */

typedef struct product {
    glia_gemm gemm;
    int rank; /* leading dimensions in excess of the kernel's two, outermost first */
    int64_t dim[GLIA_MAX_RANK], a_step[GLIA_MAX_RANK], b_step[GLIA_MAX_RANK], c_step[GLIA_MAX_RANK];
} product;

/* Strides of x's matrices along the leading dimensions of the result. */
static void lead_strides(const glia_node *n, const glia_node *x, int64_t stride[GLIA_MAX_RANK]) {
    int64_t own[GLIA_MAX_RANK];
    int missing = n->shape.rank - x->shape.rank;
    glia_shape_strides(x->shape, own);
    for (int k = 0; k < n->shape.rank - 2; k++) {
        int at = k - missing;
        stride[k] = at < 0 || x->shape.dim[at] == 1 ? 0 : own[at];
    }
}

static void drop_lead(product *p, int k) {
    for (p->rank--; k < p->rank; k++) {
        p->dim[k] = p->dim[k + 1];
        p->a_step[k] = p->a_step[k + 1];
        p->b_step[k] = p->b_step[k + 1];
        p->c_step[k] = p->c_step[k + 1];
    }
}

static void join_leads(product *p) {
    for (int k = p->rank - 1; k >= 0; k--) {
        if (p->dim[k] == 1) drop_lead(p, k);
    }
    for (int k = p->rank - 2; k >= 0; k--) {
        const int64_t size = p->dim[k + 1];
        if (p->a_step[k] != p->a_step[k + 1] * size || p->b_step[k] != p->b_step[k + 1] * size) continue;
        p->dim[k + 1] *= p->dim[k];
        drop_lead(p, k);
    }
}

static product describe(const glia_node *n) {
    const glia_matmul_attrs *attrs = n->attrs;
    const glia_shape a = n->in[0]->shape, b = n->in[1]->shape;
    product p = { .rank = n->shape.rank - 2 };
    glia_gemm *g = &p.gemm;
    g->transpose_a = attrs->transpose_a;
    g->transpose_b = attrs->transpose_b;
    g->m = n->shape.dim[n->shape.rank - 2];
    g->n = n->shape.dim[n->shape.rank - 1];
    g->k = a.dim[a.rank - (attrs->transpose_a ? 2 : 1)];
    g->lda = a.dim[a.rank - 1];
    g->ldb = b.dim[b.rank - 1];
    g->ldc = g->n;
    int64_t own[GLIA_MAX_RANK];
    glia_shape_strides(n->shape, own);
    for (int k = 0; k < p.rank; k++) p.dim[k] = n->shape.dim[k], p.c_step[k] = own[k];
    lead_strides(n, n->in[0], p.a_step);
    lead_strides(n, n->in[1], p.b_step);
    join_leads(&p);
    while (p.rank && !g->transpose_a && p.b_step[p.rank - 1] == 0 && p.a_step[p.rank - 1] == g->m * g->k) {
        g->m *= p.dim[--p.rank];
    }
    g->batch[0] = g->batch[1] = 1;
    for (int i = 1; i >= 0 && p.rank; i--) {
        const int k = --p.rank;
        g->batch[i] = p.dim[k];
        g->a_stride[i] = p.a_step[k];
        g->b_stride[i] = p.b_step[k];
        g->c_stride[i] = p.c_step[k];
    }
    return p;
}

typedef struct product_launch {
    glia_launch base;
    const glia_cpu_kernels *kernels;
    product p;
    int64_t calls, sparse;
    void *packed; /* B, packed by the setup; NULL: read in place */
    void *scratch;
    glia_cpu_rows_fn epilogue;
} product_launch;

/* Context of the kernel's epilogue; before: the matrices that precede this call's first one. */
typedef struct block_context {
    glia_cpu_rows_fn epilogue;
    int64_t before, rows; /* rows: of one matrix */
} block_context;

static void product_block(void *context, int worker, int64_t batch, int64_t row, int64_t rows, int64_t col,
                          int64_t cols, float *c, int64_t ldc) {
    const block_context *b = context;
    (void)c, (void)ldc;
    b->epilogue.fn(b->epilogue.context, worker, (b->before + batch) * b->rows + row, rows, col, cols);
}

static void product_run(const glia_launch *launch, glia_pool *pool) {
    const product_launch *l = (const product_launch *)launch;
    glia_gemm g = l->p.gemm;
    g.packed_b = l->packed;
    for (int64_t call = 0; call < l->calls; call++) {
        int64_t a = 0, b = 0, c = 0, rest = call;
        for (int k = l->p.rank - 1; k >= 0; k--) {
            const int64_t i = rest % l->p.dim[k];
            rest /= l->p.dim[k];
            a += i * l->p.a_step[k], b += i * l->p.b_step[k], c += i * l->p.c_step[k];
        }
        block_context block = { l->epilogue, call * g.batch[0] * g.batch[1], g.m };
        g.a = l->p.gemm.a + a;
        g.b = l->p.gemm.b + b;
        g.c = l->p.gemm.c + c;
        if (l->epilogue.fn) g.epilogue = (glia_epilogue){ product_block, &block };
        if (l->sparse)
            l->kernels->gemm_few_f32(pool, &g, l->sparse == 2, l->scratch);
        else
            l->kernels->gemm_f32(pool, &g, l->scratch);
    }
}

static int64_t sparse_of(const glia_node *n) { return ((const glia_matmul_attrs *)n->attrs)->sparse; }

static size_t matmul_scratch(const glia_cpu_kernels *kernels, const glia_node *n, bool packed, int workers) {
    (void)packed;
    product p = describe(n);
    if (sparse_of(n)) return kernels->gemm_few_f32_scratch(&p.gemm, sparse_of(n) == 2, workers);
    return kernels->gemm_f32_scratch(&p.gemm, workers);
}

static size_t matmul_keeps(const glia_cpu_kernels *kernels, const glia_node *n) {
    product p = describe(n);
    if (sparse_of(n)) return 0; /* rows of B are picked where it lies */
    for (int k = 0; k < p.rank; k++) {
        if (p.b_step[k]) return 0; /* B differs between calls */
    }
    return kernels->gemm_f32_pack_bytes(&p.gemm);
}

static void product_setup(const glia_launch *launch, glia_pool *pool) {
    const product_launch *l = (const product_launch *)launch;
    l->kernels->gemm_f32_pack(pool, &l->p.gemm, l->packed);
}

static glia_launch *prepare_matmul(const glia_lowering *w, float *c, glia_cpu_rows_fn epilogue) {
    product_launch *l = glia_lowering_alloc(w, sizeof *l);
    if (!l) return NULL;
    *l = (product_launch){ .base = { .run = product_run,
                                     .kernel = sparse_of(w->node) ? "gemm_few_f32"
                                               : epilogue.fn      ? "gemm_f32+"
                                                                  : "gemm_f32" },
                           .kernels = w->kernels,
                           .p = describe(w->node),
                           .calls = 1,
                           .sparse = sparse_of(w->node),
                           .packed = w->kept,
                           .scratch = w->scratch,
                           .epilogue = epilogue };
    for (int k = 0; k < l->p.rank; k++) l->calls *= l->p.dim[k];
    l->p.gemm.a = w->address[w->node->in[0]->id];
    l->p.gemm.b = w->address[w->node->in[1]->id];
    l->p.gemm.c = c;
    if (l->packed) l->base.setup = product_setup;
    return &l->base;
}

/* ---- convolutions ---------------------------------------------------------------------------------- */

typedef struct conv_launch {
    glia_launch base;
    const glia_cpu_kernels *kernels;
    glia_conv_shape shape;
    const float *a, *b;
    float *packed; /* b, packed by the setup; NULL: packed in every run */
    float *c;
    void *scratch;
    glia_cpu_rows_fn epilogue;
} conv_launch;

/* Spatial sizes, aligned to the last of three axes. */
static void put_three(int64_t three[3], const int64_t *dim, int n, int64_t missing) {
    for (int k = 0; k < 3; k++) three[k] = k < 3 - n ? missing : dim[k - (3 - n)];
}

static glia_conv_shape conv_shape(const glia_conv_attrs *a, glia_shape x, glia_shape kernel, glia_shape y) {
    const int axes = x.rank - 2;
    glia_conv_shape s = { .n = x.dim[0], .c = x.dim[axes + 1], .k = y.dim[axes + 1], .groups = a->groups };
    put_three(s.in, x.dim + 1, axes, 1);
    put_three(s.out, y.dim + 1, axes, 1);
    put_three(s.kernel, kernel.dim + 2, axes, 1);
    put_three(s.stride, a->stride.dim, axes, 1);
    put_three(s.dilation, a->dilation.dim, axes, 1);
    put_three(s.pad, a->pad.dim, axes, 0);
    return s;
}

/* fixed: the kernel is packed by the setup. */
static glia_conv_shape conv_shape_of(const glia_node *n, bool fixed) {
    const glia_shape a = n->in[0]->shape, b = n->in[1]->shape;
    glia_conv_shape s = n->op == &glia_op_conv              ? conv_shape(n->attrs, a, b, n->shape)
                        : n->op == &glia_op_conv_input_grad ? conv_shape(n->attrs, n->shape, b, a)
                                                            : conv_shape(n->attrs, a, n->shape, b);
    s.fixed = fixed;
    return s;
}

static void conv_run(const glia_launch *launch, glia_pool *pool) {
    const conv_launch *l = (const conv_launch *)launch;
    block_context block = { l->epilogue, 0, 0 };
    glia_epilogue e = { 0 };
    if (l->epilogue.fn) e = (glia_epilogue){ product_block, &block };
    l->kernels->conv_f32(pool, &l->shape, l->a, l->b, l->packed, l->c, e, l->scratch);
}

static void conv_input_grad_run(const glia_launch *launch, glia_pool *pool) {
    const conv_launch *l = (const conv_launch *)launch;
    block_context block = { l->epilogue, 0, 0 };
    glia_epilogue e = { 0 };
    if (l->epilogue.fn) e = (glia_epilogue){ product_block, &block };
    l->kernels->conv_input_grad_f32(pool, &l->shape, l->a, l->b, l->packed, l->c, e, l->scratch);
}

static void conv_setup(const glia_launch *launch, glia_pool *pool) {
    const conv_launch *l = (const conv_launch *)launch;
    l->kernels->conv_f32_pack(pool, &l->shape, l->b, l->packed);
}

static void conv_input_grad_setup(const glia_launch *launch, glia_pool *pool) {
    const conv_launch *l = (const conv_launch *)launch;
    l->kernels->conv_input_grad_f32_pack(pool, &l->shape, l->b, l->packed);
}

static void conv_kernel_grad_run(const glia_launch *launch, glia_pool *pool) {
    const conv_launch *l = (const conv_launch *)launch;
    l->kernels->conv_kernel_grad_f32(pool, &l->shape, l->a, l->b, l->c, l->scratch);
}

static size_t conv_scratch(const glia_cpu_kernels *kernels, const glia_node *n, bool packed, int workers) {
    const glia_conv_shape s = conv_shape_of(n, packed);
    return kernels->conv_f32_scratch(&s, packed, workers);
}

static size_t conv_input_grad_scratch(const glia_cpu_kernels *kernels, const glia_node *n, bool packed, int workers) {
    const glia_conv_shape s = conv_shape_of(n, packed);
    return kernels->conv_input_grad_f32_scratch(&s, packed, workers);
}

static size_t conv_kernel_grad_scratch(const glia_cpu_kernels *kernels, const glia_node *n, bool packed, int workers) {
    const glia_conv_shape s = conv_shape_of(n, false);
    (void)packed;
    return kernels->conv_kernel_grad_f32_scratch(&s, workers);
}

static glia_launch *prepare_conv(const glia_lowering *w, float *c, glia_cpu_rows_fn epilogue) {
    const glia_node *n = w->node;
    conv_launch *l = glia_lowering_alloc(w, sizeof *l);
    if (!l) return NULL;
    *l = (conv_launch){ .kernels = w->kernels,
                        .shape = conv_shape_of(n, w->kept),
                        .a = w->address[n->in[0]->id],
                        .b = w->address[n->in[1]->id],
                        .packed = w->kept,
                        .c = c,
                        .scratch = w->scratch,
                        .epilogue = epilogue };
    if (n->op == &glia_op_conv)
        l->base = (glia_launch){ .run = conv_run, .kernel = epilogue.fn ? "conv_f32+" : "conv_f32" };
    else if (n->op == &glia_op_conv_kernel_grad)
        l->base = (glia_launch){ .run = conv_kernel_grad_run, .kernel = "conv_kernel_grad_f32" };
    else
        l->base = (glia_launch){ .run = conv_input_grad_run,
                                 .kernel = epilogue.fn ? "conv_input_grad_f32+" : "conv_input_grad_f32" };
    if (l->packed) l->base.setup = n->op == &glia_op_conv ? conv_setup : conv_input_grad_setup;
    return &l->base;
}

/* ---- pooling --------------------------------------------------------------------------------------- */

typedef struct pool_launch {
    glia_launch base;
    const glia_cpu_kernels *kernels;
    glia_pool_shape shape;
    const float *a, *b;
    float *c;
} pool_launch;

/* x and y: the shapes before and after pooling. */
static glia_pool_shape pool_shape(const glia_pool_attrs *a, glia_shape x, glia_shape y) {
    const int axes = x.rank - 2;
    glia_pool_shape s = { .n = x.dim[0], .c = x.dim[axes + 1], .count_padding = a->count_padding };
    put_three(s.in, x.dim + 1, axes, 1);
    put_three(s.out, y.dim + 1, axes, 1);
    put_three(s.size, a->window.dim, axes, 1);
    put_three(s.stride, a->stride.dim, axes, 1);
    put_three(s.pad, a->pad.dim, axes, 0);
    return s;
}

#define POOL_RUN(name, ...)                                                                                            \
    static void name##_run(const glia_launch *launch, glia_pool *pool) {                                               \
        const pool_launch *l = (const pool_launch *)launch;                                                            \
        l->kernels->name##_f32(pool, &l->shape, __VA_ARGS__);                                                          \
    }
POOL_RUN(max_pool, l->a, l->c)
POOL_RUN(max_pool_scatter, l->a, l->b, l->c)
POOL_RUN(max_pool_gather, l->a, l->b, l->c)
POOL_RUN(avg_pool, l->a, l->c)
POOL_RUN(avg_pool_grad, l->a, l->c)

static glia_launch *prepare_pool(const glia_lowering *w) {
    const glia_node *n = w->node;
    pool_launch *l = glia_lowering_alloc(w, sizeof *l);
    if (!l) return NULL;
    const glia_shape in = n->in[0]->shape;
    const bool to_y = n->op == &glia_op_max_pool || n->op == &glia_op_avg_pool || n->op == &glia_op_max_pool_gather;
    const glia_shape y = to_y ? n->shape : n->op == &glia_op_max_pool_scatter ? n->in[1]->shape : in;
    *l = (pool_launch){ .kernels = w->kernels,
                        .a = w->address[n->in[0]->id],
                        .c = w->address[n->id],
                        .b = n->n_in > 1 ? w->address[n->in[1]->id] : NULL,
                        .shape = pool_shape(n->attrs, n->op == &glia_op_avg_pool_grad ? n->shape : in, y) };
    if (n->op == &glia_op_max_pool)
        l->base = (glia_launch){ .run = max_pool_run, .kernel = "max_pool_f32" };
    else if (n->op == &glia_op_max_pool_scatter)
        l->base = (glia_launch){ .run = max_pool_scatter_run, .kernel = "max_pool_scatter_f32" };
    else if (n->op == &glia_op_max_pool_gather)
        l->base = (glia_launch){ .run = max_pool_gather_run, .kernel = "max_pool_gather_f32" };
    else if (n->op == &glia_op_avg_pool)
        l->base = (glia_launch){ .run = avg_pool_run, .kernel = "avg_pool_f32" };
    else
        l->base = (glia_launch){ .run = avg_pool_grad_run, .kernel = "avg_pool_grad_f32" };
    return &l->base;
}

/* ---- the rows -------------------------------------------------------------------------------------- */

int glia_cpu_product_columns(const glia_node *n) {
    if (!is_f32(n)) return 0;
    if (n->op == &glia_op_matmul) return 1;
    return (n->op == &glia_op_conv || n->op == &glia_op_conv_input_grad) && is_conv(n) ? 1 : 0;
}

size_t glia_cpu_product_keeps(const glia_cpu_kernels *kernels, const glia_node *n) {
    if (n->op == &glia_op_matmul) return matmul_keeps(kernels, n);
    const glia_conv_shape s = conv_shape_of(n, true);
    return n->op == &glia_op_conv ? kernels->conv_f32_packed(&s) : kernels->conv_input_grad_f32_packed(&s);
}

glia_launch *glia_cpu_product_prepare(const glia_lowering *w, float *c, glia_cpu_rows_fn epilogue) {
    if (glia_cpu_rounding_scratch(w->node)) return glia_cpu_rounded_prepare(w, c, epilogue);
    return w->node->op == &glia_op_matmul ? prepare_matmul(w, c, epilogue) : prepare_conv(w, c, epilogue);
}

static glia_launch *prepare_alone(const glia_lowering *w) {
    return glia_cpu_product_prepare(w, w->address[w->node->id], (glia_cpu_rows_fn){ 0 });
}

const glia_cpu_row glia_cpu_products[] = {
    { &glia_op_matmul, is_f32, matmul_scratch, prepare_alone, false },
    { &glia_op_conv, is_conv, conv_scratch, prepare_alone, false },
    { &glia_op_conv_input_grad, is_conv, conv_input_grad_scratch, prepare_alone, false },
    { &glia_op_conv_kernel_grad, is_conv, conv_kernel_grad_scratch, prepare_alone, false },
    { &glia_op_max_pool, is_pool, NULL, prepare_pool, false },
    { &glia_op_max_pool_scatter, is_pool, NULL, prepare_pool, false },
    { &glia_op_max_pool_gather, is_pool, NULL, prepare_pool, false },
    { &glia_op_avg_pool, is_pool, NULL, prepare_pool, false },
    { &glia_op_avg_pool_grad, is_pool, NULL, prepare_pool, false },
    { NULL, NULL, NULL, NULL, false },
};
