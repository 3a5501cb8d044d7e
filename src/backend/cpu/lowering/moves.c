/* moves.c - data movement: fills the arguments of the kernels in move.h from nodes. */
#include <string.h>

#include "backend/cpu/lowering/lower.h"
#include "core/ops/ops.h"

static bool always(const glia_node *n) {
    (void)n;
    return true;
}

static bool is_f32(const glia_node *n) { return n->dtype == GLIA_F32; }
static bool from_f32(const glia_node *n) { return n->in[0]->dtype == GLIA_F32; }

/* ---- copies ------------------------------------------------------------------------------------------ */

/* Copies, preceded by a fill if the copies do not cover the result. */
typedef struct copy_launch {
    glia_launch base;
    const glia_cpu_kernels *kernels;
    glia_copy *copies;
    int n_copies;
    bool fills;
    uint64_t bits;
    void *whole; /* the result, of `count` elements */
    int64_t count;
} copy_launch;

static void copy_run(const glia_launch *launch, glia_pool *pool) {
    const copy_launch *l = (const copy_launch *)launch;
    if (l->fills) l->kernels->fill(pool, l->whole, l->count, l->copies[0].size, l->bits);
    for (int i = 0; i < l->n_copies; i++) l->kernels->copy(pool, &l->copies[i]);
}

/* Joins neighbouring dimensions that are contiguous on both sides, drops those of size 1. */
static void collapse(glia_copy *c) {
    int rank = 0;
    for (int k = 0; k < c->rank; k++) {
        if (c->dim[k] == 1) continue;
        const int p = rank - 1;
        const bool joins = p >= 0 && c->from_stride[p] == c->from_stride[k] * c->dim[k] &&
                           c->to_stride[p] == c->to_stride[k] * c->dim[k];
        const int at = joins ? p : rank++;
        c->dim[at] = (joins ? c->dim[at] : 1) * c->dim[k];
        c->from_stride[at] = c->from_stride[k];
        c->to_stride[at] = c->to_stride[k];
    }
    if (rank == 0) c->dim[0] = c->from_stride[0] = c->to_stride[0] = 1, rank = 1;
    c->rank = rank;
}

/* A launch with n copies, each of a box of the given shape, dense on both sides; the caller adjusts the strides. */
static copy_launch *copy_launch_create(const glia_lowering *w, int n, const char *kernel) {
    copy_launch *l = glia_lowering_alloc(w, sizeof *l);
    glia_copy *copies = glia_lowering_alloc(w, (size_t)n * sizeof *copies);
    if (!l || !copies) return NULL;
    *l = (copy_launch){ .base = { .run = copy_run, .kernel = kernel },
                        .kernels = w->kernels,
                        .copies = copies,
                        .n_copies = n,
                        .whole = w->address[w->node->id],
                        .count = glia_shape_count(w->node->shape) };
    return l;
}

static glia_copy box(const glia_lowering *w, const glia_node *from, glia_shape shape) {
    glia_copy c = { .rank = shape.rank,
                    .size = (int)glia_dtype_size(w->node->dtype),
                    .from = w->address[from->id],
                    .to = w->address[w->node->id] };
    memcpy(c.dim, shape.dim, sizeof c.dim);
    glia_shape_strides(shape, c.from_stride);
    glia_shape_strides(shape, c.to_stride);
    return c;
}

static glia_launch *prepare_reshape(const glia_lowering *w) {
    copy_launch *l = copy_launch_create(w, 1, "copy");
    if (!l) return NULL;
    l->copies[0] = box(w, w->node->in[0], w->node->shape);
    collapse(&l->copies[0]);
    return &l->base;
}

static glia_launch *prepare_permute(const glia_lowering *w) {
    const glia_permute_attrs *attrs = w->node->attrs;
    copy_launch *l = copy_launch_create(w, 1, "permute");
    if (!l) return NULL;
    glia_copy *c = &l->copies[0];
    *c = box(w, w->node->in[0], w->node->shape);
    int64_t own[GLIA_MAX_RANK];
    glia_shape_strides(w->node->in[0]->shape, own);
    for (int k = 0; k < c->rank; k++) c->from_stride[k] = own[attrs->order.dim[k]];
    collapse(c);
    return &l->base;
}

static glia_launch *prepare_broadcast(const glia_lowering *w) {
    const glia_shape from = w->node->in[0]->shape, to = w->node->shape;
    copy_launch *l = copy_launch_create(w, 1, "broadcast");
    if (!l) return NULL;
    glia_copy *c = &l->copies[0];
    *c = box(w, w->node->in[0], to);
    int64_t own[GLIA_MAX_RANK];
    glia_shape_strides(from, own);
    for (int k = 0; k < to.rank; k++) {
        const int at = k - (to.rank - from.rank);
        c->from_stride[k] = at < 0 || from.dim[at] == 1 ? 0 : own[at];
    }
    collapse(c);
    return &l->base;
}

static glia_launch *prepare_slice(const glia_lowering *w) {
    const glia_slice_attrs *attrs = w->node->attrs;
    copy_launch *l = copy_launch_create(w, 1, "slice");
    if (!l) return NULL;
    glia_copy *c = &l->copies[0];
    *c = box(w, w->node->in[0], w->node->shape);
    int64_t own[GLIA_MAX_RANK];
    glia_shape_strides(w->node->in[0]->shape, own);
    for (int k = 0; k < c->rank; k++) {
        c->from_stride[k] = own[k] * attrs->step.dim[k];
        c->from += own[k] * attrs->start.dim[k] * c->size;
    }
    collapse(c);
    return &l->base;
}

static glia_launch *prepare_pad(const glia_lowering *w) {
    const glia_pad_attrs *attrs = w->node->attrs;
    copy_launch *l = copy_launch_create(w, 1, "pad");
    if (!l) return NULL;
    l->fills = true;
    glia_from_double(w->node->dtype, &attrs->value, &l->bits, 1);
    glia_copy *c = &l->copies[0];
    *c = box(w, w->node->in[0], w->node->in[0]->shape);
    int64_t own[GLIA_MAX_RANK];
    glia_shape_strides(w->node->shape, own);
    for (int k = 0; k < c->rank; k++) {
        c->to_stride[k] = own[k] * (1 + attrs->between.dim[k]);
        c->to += own[k] * attrs->before.dim[k] * c->size;
    }
    collapse(c);
    return &l->base;
}

static glia_launch *prepare_concat(const glia_lowering *w) {
    const glia_axis_attrs *attrs = w->node->attrs;
    copy_launch *l = copy_launch_create(w, w->node->n_in, "concat");
    if (!l) return NULL;
    int64_t own[GLIA_MAX_RANK], offset = 0;
    glia_shape_strides(w->node->shape, own);
    for (int i = 0; i < w->node->n_in; i++) {
        glia_copy *c = &l->copies[i];
        *c = box(w, w->node->in[i], w->node->in[i]->shape);
        memcpy(c->to_stride, own, sizeof own);
        c->to += offset * c->size;
        offset += own[attrs->axis] * w->node->in[i]->shape.dim[attrs->axis];
        collapse(c);
    }
    return &l->base;
}

/* Copies all of the input, unless the result is in place, then the slice at the run-time position. */
typedef struct write_launch {
    glia_launch base;
    const glia_cpu_kernels *kernels;
    glia_copy whole, stretch; /* stretch.to: at position 0 */
    bool in_place, wide;
    int64_t last, stride; /* the highest position; bytes between positions */
    const void *position;
} write_launch;

static void write_run(const glia_launch *launch, glia_pool *pool) {
    const write_launch *l = (const write_launch *)launch;
    int64_t at = l->wide ? *(const int64_t *)l->position : *(const int32_t *)l->position;
    if (!l->in_place) l->kernels->copy(pool, &l->whole);
    glia_copy c = l->stretch;
    c.to += GLIA_MAX(0, GLIA_MIN(at, l->last)) * l->stride;
    l->kernels->copy(pool, &c);
}

static glia_launch *prepare_write(const glia_lowering *w) {
    const glia_node *n = w->node, *x = n->in[0], *update = n->in[1], *position = n->in[2];
    const int64_t axis = ((const glia_axis_attrs *)n->attrs)->axis;
    write_launch *l = glia_lowering_alloc(w, sizeof *l);
    if (!l) return NULL;
    *l = (write_launch){ .base = { .run = write_run, .kernel = "write" },
                         .kernels = w->kernels,
                         .whole = box(w, x, n->shape),
                         .stretch = box(w, update, update->shape),
                         .in_place = w->address[x->id] == w->address[n->id],
                         .wide = position->dtype == GLIA_I64,
                         .last = n->shape.dim[axis] - update->shape.dim[axis],
                         .position = w->address[position->id] };
    glia_shape_strides(n->shape, l->stretch.to_stride);
    l->stride = l->stretch.to_stride[axis] * l->stretch.size;
    collapse(&l->whole);
    collapse(&l->stretch);
    return &l->base;
}

/* ---- by index ------------------------------------------------------------------------------------------ */

typedef struct pick_launch {
    glia_launch base;
    const glia_cpu_kernels *kernels;
    glia_pick pick;
} pick_launch;

static void gather_run(const glia_launch *launch, glia_pool *pool) {
    const pick_launch *l = (const pick_launch *)launch;
    l->kernels->gather(pool, &l->pick);
}

static void scatter_run(const glia_launch *launch, glia_pool *pool) {
    const pick_launch *l = (const pick_launch *)launch;
    l->kernels->scatter_add_f32(pool, &l->pick);
}

/* whole: the shape (A, K, B), which gather reads and scatter_add writes. */
static pick_launch *pick_launch_create(const glia_lowering *w, glia_shape whole, int64_t axis) {
    const glia_node *n = w->node;
    pick_launch *l = glia_lowering_alloc(w, sizeof *l);
    if (!l) return NULL;
    glia_pick p = { .outer = 1,
                    .size = whole.dim[axis],
                    .picks = glia_shape_count(n->in[1]->shape),
                    .inner = 1,
                    .wide = n->in[1]->dtype == GLIA_I64,
                    .bytes = (int)glia_dtype_size(n->dtype),
                    .index = w->address[n->in[1]->id],
                    .from = w->address[n->in[0]->id],
                    .to = w->address[n->id] };
    for (int k = 0; k < whole.rank; k++) *(k < axis ? &p.outer : &p.inner) *= k == axis ? 1 : whole.dim[k];
    *l = (pick_launch){ .kernels = w->kernels, .pick = p };
    return l;
}

static glia_launch *prepare_gather(const glia_lowering *w) {
    pick_launch *l = pick_launch_create(w, w->node->in[0]->shape, ((const glia_axis_attrs *)w->node->attrs)->axis);
    if (!l) return NULL;
    l->base = (glia_launch){ .run = gather_run, .kernel = "gather" };
    return &l->base;
}

static glia_launch *prepare_scatter_add(const glia_lowering *w) {
    pick_launch *l = pick_launch_create(w, w->node->shape, ((const glia_scatter_attrs *)w->node->attrs)->axis);
    if (!l) return NULL;
    l->base = (glia_launch){ .run = scatter_run, .kernel = "scatter_add_f32" };
    return &l->base;
}

typedef struct argmax_launch {
    glia_launch base;
    const glia_cpu_kernels *kernels;
    glia_argmax_rows rows;
} argmax_launch;

static void argmax_run(const glia_launch *launch, glia_pool *pool) {
    const argmax_launch *l = (const argmax_launch *)launch;
    l->kernels->argmax_f32(pool, &l->rows);
}

static glia_launch *prepare_argmax(const glia_lowering *w) {
    const glia_shape from = w->node->in[0]->shape;
    const int64_t axis = ((const glia_axis_attrs *)w->node->attrs)->axis;
    argmax_launch *l = glia_lowering_alloc(w, sizeof *l);
    if (!l) return NULL;
    *l = (argmax_launch){ .base = { .run = argmax_run, .kernel = "argmax_f32" },
                          .kernels = w->kernels,
                          .rows = { 1, from.dim[axis], 1, w->address[w->node->in[0]->id], w->address[w->node->id] } };
    for (int k = 0; k < from.rank; k++) *(k < axis ? &l->rows.outer : &l->rows.inner) *= k == axis ? 1 : from.dim[k];
    return &l->base;
}

/* ---- random bits --------------------------------------------------------------------------------------- */

typedef struct random_launch {
    glia_launch base;
    const glia_cpu_kernels *kernels;
    glia_random random;
} random_launch;

static void random_run(const glia_launch *launch, glia_pool *pool) {
    const random_launch *l = (const random_launch *)launch;
    l->kernels->random_uniform_f32(pool, &l->random);
}

static glia_launch *prepare_random(const glia_lowering *w) {
    const glia_random_attrs *attrs = w->node->attrs;
    random_launch *l = glia_lowering_alloc(w, sizeof *l);
    if (!l) return NULL;
    *l = (random_launch){ .base = { .run = random_run, .kernel = "random_uniform_f32" },
                          .kernels = w->kernels,
                          .random = { w->address[w->node->in[0]->id], (uint64_t)attrs->stream, w->address[w->node->id],
                                      glia_shape_count(w->node->shape) } };
    return &l->base;
}

/* ---- whole rows ---------------------------------------------------------------------------------------- */

/* Short rows run faster as loops, whose tiles hold several rows. */
static bool is_long_row(const glia_node *n) {
    const int64_t axis = ((const glia_axis_attrs *)n->attrs)->axis;
    return n->dtype == GLIA_F32 && axis == n->shape.rank - 1 && n->shape.dim[axis] >= 32;
}

typedef struct softmax_launch {
    glia_launch base;
    const glia_cpu_kernels *kernels;
    int64_t rows, length;
    const float *x;
    float *y;
} softmax_launch;

static void softmax_run(const glia_launch *launch, glia_pool *pool) {
    const softmax_launch *l = (const softmax_launch *)launch;
    l->kernels->softmax_f32(pool, l->rows, l->length, l->x, l->y);
}

static glia_launch *prepare_softmax(const glia_lowering *w) {
    softmax_launch *l = glia_lowering_alloc(w, sizeof *l);
    if (!l) return NULL;
    const int64_t length = w->node->shape.dim[w->node->shape.rank - 1];
    *l = (softmax_launch){ .base = { .run = softmax_run, .kernel = "softmax_f32" },
                           .kernels = w->kernels,
                           .length = length,
                           .rows = glia_shape_count(w->node->shape) / length,
                           .x = w->address[w->node->in[0]->id],
                           .y = w->address[w->node->id] };
    return &l->base;
}

/* Like softmax: short rows run faster as loops. */
static bool is_wide(const glia_node *n) {
    const glia_shape x = n->in[0]->shape;
    return n->dtype == GLIA_F32 && x.dim[x.rank - 1] >= 32;
}

typedef struct norm_launch {
    glia_launch base;
    const glia_cpu_kernels *kernels;
    glia_norm_rows norm;
    const float *other; /* shift or dy */
    float *to;
    void *scratch;
} norm_launch;

static void layer_norm_run(const glia_launch *launch, glia_pool *pool) {
    const norm_launch *l = (const norm_launch *)launch;
    l->kernels->layer_norm_f32(pool, &l->norm, l->other, l->to);
}
static void layer_norm_dx_run(const glia_launch *launch, glia_pool *pool) {
    const norm_launch *l = (const norm_launch *)launch;
    l->kernels->layer_norm_dx_f32(pool, &l->norm, l->other, l->to);
}
static void layer_norm_dscale_run(const glia_launch *launch, glia_pool *pool) {
    const norm_launch *l = (const norm_launch *)launch;
    l->kernels->layer_norm_dscale_f32(pool, &l->norm, l->other, l->to, l->scratch);
}

static glia_norm_rows norm_rows_of(const glia_node *n) {
    const glia_shape x = n->in[0]->shape;
    const int64_t length = x.dim[x.rank - 1];
    return (glia_norm_rows){ .rows = glia_shape_count(x) / length,
                             .length = length,
                             .epsilon = (float)((const glia_layer_norm_attrs *)n->attrs)->epsilon };
}

static glia_launch *prepare_norm(const glia_lowering *w) {
    const glia_node *n = w->node;
    const bool of_scale = n->op == &glia_op_layer_norm_dscale;
    norm_launch *l = glia_lowering_alloc(w, sizeof *l);
    if (!l) return NULL;
    *l = (norm_launch){ .kernels = w->kernels,
                        .norm = norm_rows_of(n),
                        .other = w->address[n->in[n->n_in - 1]->id],
                        .to = w->address[n->id],
                        .scratch = w->scratch };
    l->norm.x = w->address[n->in[0]->id];
    l->norm.scale = of_scale ? NULL : w->address[n->in[1]->id];
    l->base = of_scale ? (glia_launch){ .run = layer_norm_dscale_run, .kernel = "layer_norm_dscale_f32" }
              : n->op == &glia_op_layer_norm ? (glia_launch){ .run = layer_norm_run, .kernel = "layer_norm_f32" }
                                             : (glia_launch){ .run = layer_norm_dx_run, .kernel = "layer_norm_dx_f32" };
    return &l->base;
}

static size_t dscale_scratch(const glia_cpu_kernels *kernels, const glia_node *n, bool packed, int workers) {
    const glia_norm_rows norm = norm_rows_of(n);
    (void)packed, (void)workers;
    return kernels->layer_norm_dscale_f32_scratch(&norm);
}

const glia_cpu_row glia_cpu_moves[] = {
    { &glia_op_reshape, always, NULL, prepare_reshape, false },
    { &glia_op_permute, always, NULL, prepare_permute, false },
    { &glia_op_broadcast, always, NULL, prepare_broadcast, false },
    { &glia_op_slice, always, NULL, prepare_slice, false },
    { &glia_op_pad, always, NULL, prepare_pad, false },
    { &glia_op_concat, always, NULL, prepare_concat, false },
    { &glia_op_write, always, NULL, prepare_write, true },
    { &glia_op_gather, always, NULL, prepare_gather, false },
    { &glia_op_scatter_add, is_f32, NULL, prepare_scatter_add, false },
    { &glia_op_argmax, from_f32, NULL, prepare_argmax, false },
    { &glia_op_random_uniform, is_f32, NULL, prepare_random, false },
    { &glia_op_softmax, is_long_row, NULL, prepare_softmax, true },
    { &glia_op_layer_norm, is_wide, NULL, prepare_norm, true },
    { &glia_op_layer_norm_dx, is_wide, NULL, prepare_norm, false },
    { &glia_op_layer_norm_dscale, is_wide, dscale_scratch, prepare_norm, false },
    { NULL, NULL, NULL, NULL, false },
};
