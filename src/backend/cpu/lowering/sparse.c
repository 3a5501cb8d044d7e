/* sparse.c - products with sparse matrices, segments, and picks along an axis: fills kernel arguments from nodes. */
#include <string.h>

#include "backend/cpu/lowering/lower.h"
#include "core/ops/ops.h"

/* ---- sparse matrices and segments ------------------------------------------------------------------------ */

typedef struct csr_launch {
    glia_launch base;
    const glia_cpu_kernels *kernels;
    void (*run)(glia_pool *pool, const glia_csr_args *csr);
    void *scratch;
    glia_csr_args csr;
} csr_launch;

static void csr_run(const glia_launch *launch, glia_pool *pool) {
    const csr_launch *l = (const csr_launch *)launch;
    l->run(pool, &l->csr);
}

static void transposed_run(const glia_launch *launch, glia_pool *pool) {
    const csr_launch *l = (const csr_launch *)launch;
    l->kernels->csr_transposed_f32(pool, &l->csr, l->scratch);
}

static bool is_transposed(const glia_node *n) { return ((const glia_csr_attrs *)n->attrs)->transposed; }

/* The sizes; addresses are NULL if w is NULL. */
static glia_csr_args product_of(const glia_node *n, const glia_lowering *w) {
    const bool dot = n->op == &glia_op_csr_dot, transposed = !dot && is_transposed(n);
    const glia_node *columns = n->in[dot ? 2 : 1], *offsets = n->in[dot ? 3 : 2], *x = n->in[dot ? 0 : 3];
    glia_csr_args c = { .rows = offsets->shape.dim[0] - 1,
                        .columns = dot          ? n->in[1]->shape.dim[0]
                                   : transposed ? n->shape.dim[0]
                                                : x->shape.dim[0],
                        .entries = columns->shape.dim[0],
                        .width = x->shape.dim[1] * (x->shape.rank == 3 ? x->shape.dim[2] : 1),
                        .heads = x->shape.rank == 3 ? x->shape.dim[1] : 1,
                        .wide_column = columns->dtype == GLIA_I64,
                        .wide_offset = offsets->dtype == GLIA_I64 };
    if (!w) return c;
    c.column = w->address[columns->id];
    c.offset = w->address[offsets->id];
    c.x = w->address[x->id];
    c.y = w->address[n->id];
    c.value = dot ? NULL : w->address[n->in[0]->id];
    c.b = dot ? w->address[n->in[1]->id] : NULL;
    return c;
}

static size_t csr_scratch(const glia_cpu_kernels *kernels, const glia_node *node, bool packed, int workers) {
    (void)packed, (void)workers;
    if (!is_transposed(node)) return 0;
    const glia_csr_args c = product_of(node, NULL);
    return kernels->csr_transposed_f32_scratch(&c);
}

static csr_launch *csr_launch_create(const glia_lowering *w, glia_csr_args csr, const char *kernel,
                                     void (*run)(glia_pool *, const glia_csr_args *)) {
    csr_launch *l = glia_lowering_alloc(w, sizeof *l);
    if (!l) return NULL;
    *l = (csr_launch){ .base = { .run = csr_run, .kernel = kernel },
                       .kernels = w->kernels,
                       .run = run,
                       .scratch = w->scratch,
                       .csr = csr };
    return l;
}

static glia_launch *prepare_csr_matmul(const glia_lowering *w) {
    const bool transposed = is_transposed(w->node);
    csr_launch *l = csr_launch_create(w, product_of(w->node, w), transposed ? "csr_transposed_f32" : "csr_matmul_f32",
                                      w->kernels->csr_matmul_f32);
    if (l && transposed) l->base.run = transposed_run;
    return l ? &l->base : NULL;
}

static glia_launch *prepare_csr_dot(const glia_lowering *w) {
    csr_launch *l = csr_launch_create(w, product_of(w->node, w), "csr_dot_f32", w->kernels->csr_dot_f32);
    return l ? &l->base : NULL;
}

static glia_launch *prepare_segments(const glia_lowering *w) {
    const glia_node *n = w->node, *x = n->in[0], *offsets = n->in[1];
    const bool spread = n->op == &glia_op_segment_spread, sum = n->op == &glia_op_segment_sum;
    const glia_node *each = spread ? n : x; /* (E, B...) */
    glia_csr_args c = { .rows = offsets->shape.dim[0] - 1,
                        .entries = each->shape.dim[0],
                        .width = each->shape.dim[0] ? glia_shape_count(each->shape) / each->shape.dim[0] : 0,
                        .wide_offset = offsets->dtype == GLIA_I64,
                        .offset = w->address[offsets->id],
                        .x = w->address[x->id],
                        .y = w->address[n->id] };
    csr_launch *l = spread ? csr_launch_create(w, c, "segment_spread_f32", w->kernels->segment_spread_f32)
                    : sum  ? csr_launch_create(w, c, "segment_sum_f32", w->kernels->segment_sum_f32)
                           : csr_launch_create(w, c, "segment_max_f32", w->kernels->segment_max_f32);
    return l ? &l->base : NULL;
}

/* ---- along an axis ------------------------------------------------------------------------------------------ */

typedef struct along_launch {
    glia_launch base;
    int64_t outer, size, picks, inner; /* whole (outer, size, inner), part (outer, picks, inner) */
    const void *index;
    bool wide;
    size_t bytes; /* of an element */
    const char *from;
    char *to;
} along_launch;

/* The element of the whole that belongs to element e of the part; -1: none. */
static int64_t whole_of(const along_launch *l, int64_t e) {
    const int64_t index = l->wide ? ((const int64_t *)l->index)[e] : ((const int32_t *)l->index)[e];
    const int64_t row = glia_index_row((double)index, l->size);
    return row < 0 ? -1 : (e / (l->inner * l->picks) * l->size + row) * l->inner + e % l->inner;
}

static void take_piece(void *context, int64_t piece, int worker) {
    const along_launch *l = context;
    const int64_t each = l->picks * l->inner;
    (void)worker;
    for (int64_t e = piece * each; e < (piece + 1) * each; e++) {
        const int64_t from = whole_of(l, e);
        if (from < 0)
            memset(l->to + (size_t)e * l->bytes, 0, l->bytes);
        else
            memcpy(l->to + (size_t)e * l->bytes, l->from + (size_t)from * l->bytes, l->bytes);
    }
}

static void add_piece(void *context, int64_t piece, int worker) {
    const along_launch *l = context;
    const int64_t each = l->picks * l->inner;
    const float *from = (const float *)(const void *)l->from;
    float *to = (float *)(void *)l->to;
    (void)worker;
    memset(to + piece * l->size * l->inner, 0, (size_t)(l->size * l->inner) * sizeof *to);
    for (int64_t e = piece * each; e < (piece + 1) * each; e++) {
        const int64_t at = whole_of(l, e);
        if (at >= 0) to[at] += from[e];
    }
}

static void take_run(const glia_launch *launch, glia_pool *pool) {
    const along_launch *l = (const along_launch *)launch;
    glia_parallel_for(pool, l->outer, take_piece, (void *)(uintptr_t)l);
}

static void add_run(const glia_launch *launch, glia_pool *pool) {
    const along_launch *l = (const along_launch *)launch;
    glia_parallel_for(pool, l->outer, add_piece, (void *)(uintptr_t)l);
}

static glia_launch *prepare_along_axis(const glia_lowering *w) {
    const glia_node *n = w->node;
    const bool take = n->op == &glia_op_take_along_axis;
    const int64_t axis =
        take ? ((const glia_axis_attrs *)n->attrs)->axis : ((const glia_scatter_attrs *)n->attrs)->axis;
    const glia_shape part = n->in[1]->shape, whole = take ? n->in[0]->shape : n->shape;
    along_launch *l = glia_lowering_alloc(w, sizeof *l);
    if (!l) return NULL;
    *l = (along_launch){ .base = { .run = take ? take_run : add_run, .kernel = n->op->name },
                         .outer = 1,
                         .inner = 1,
                         .size = whole.dim[axis],
                         .picks = part.dim[axis],
                         .index = w->address[n->in[1]->id],
                         .wide = n->in[1]->dtype == GLIA_I64,
                         .bytes = glia_dtype_size(n->dtype),
                         .from = w->address[n->in[0]->id],
                         .to = w->address[n->id] };
    for (int i = 0; i < axis; i++) l->outer *= part.dim[i];
    for (int i = (int)axis + 1; i < part.rank; i++) l->inner *= part.dim[i];
    return &l->base;
}

static bool is_f32(const glia_node *n) { return n->dtype == GLIA_F32; }
static bool always(const glia_node *n) {
    (void)n;
    return true;
}

const glia_cpu_row glia_cpu_sparse[] = { { &glia_op_csr_matmul, is_f32, csr_scratch, prepare_csr_matmul, false },
                                         { &glia_op_csr_dot, is_f32, NULL, prepare_csr_dot, false },
                                         { &glia_op_segment_sum, is_f32, NULL, prepare_segments, false },
                                         { &glia_op_segment_max, is_f32, NULL, prepare_segments, false },
                                         { &glia_op_segment_spread, is_f32, NULL, prepare_segments, false },
                                         { &glia_op_take_along_axis, always, NULL, prepare_along_axis, false },
                                         { &glia_op_add_along_axis, is_f32, NULL, prepare_along_axis, false },
                                         { NULL, NULL, NULL, NULL, false } };
