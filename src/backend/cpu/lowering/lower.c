/* lower.c - the CPU backend: which nodes it fuses, and which kernel runs each group.
 *
 *   LOOP      a loop program (program.c); also used for single elementwise nodes and reductions
 *   EPILOGUE  a product whose kernel calls the program for each finished block. If an operand cannot be cut into such
 *             blocks, the product is followed by a loop over its result
 *   SINGLE    the kernel in the op's row (products.c, moves.c); if none fits, the op's definition, in double
 */
#include <stdio.h>
#include <string.h>

#include "backend/cpu/loops/program.h"
#include "backend/cpu/lowering/lower.h"
#include "backend/ref/ref.h"
#include "core/ops/ops.h"

static const glia_cpu_kernels *kernels_of(const glia_backend *backend) { return backend->kernels; }

void *glia_lowering_alloc(const glia_lowering *w, size_t bytes) {
    void *memory = glia_arena_alloc(w->arena, bytes);
    if (!memory) glia_fail_nomem(w->error);
    return memory;
}

/* ---- what can be fused ------------------------------------------------------------------------------- */

static bool cpu_fusable(const glia_backend *backend, const glia_node *node) {
    return glia_program_fusable(kernels_of(backend), node);
}

static bool cpu_anchors(const glia_backend *backend, const glia_node *node) {
    (void)backend;
    return glia_cpu_product_columns(node) > 0;
}

static bool cpu_reduces(const glia_backend *backend, const glia_node *node) {
    (void)backend;
    return glia_program_reduces(node);
}

static bool cpu_reduces_rows(const glia_backend *backend, const glia_node *node) {
    (void)backend;
    return glia_program_reduces_rows(node);
}

/* ---- single nodes ------------------------------------------------------------------------------------- */

static const glia_cpu_row *row_in(const glia_cpu_row *rows, const glia_node *node) {
    for (; rows->op; rows++) {
        if (rows->op == node->op && rows->fits(node)) return rows;
    }
    return NULL;
}

static const glia_cpu_row *row_of(const glia_node *node) {
    const glia_cpu_row *row = row_in(glia_cpu_products, node);
    if (!row) row = row_in(glia_cpu_moves, node);
    if (!row) row = row_in(glia_cpu_attentions, node);
    if (!row) row = row_in(glia_cpu_table_rows, node);
    if (!row) row = row_in(glia_cpu_sparse, node);
    if (!row) row = row_in(glia_cpu_units, node);
    return row ? row : row_in(glia_cpu_sequences, node);
}

/* A product accumulates in its result's memory, so no operand may still be read from there. */
static bool cpu_in_place(const glia_backend *backend, const glia_group *group) {
    (void)backend;
    if (group->kind != GLIA_GROUP_SINGLE) return group->kind == GLIA_GROUP_LOOP;
    const glia_cpu_row *row = row_of(group->anchor);
    return row ? row->in_place : group->anchor->op->flags & GLIA_OP_ELEMENTWISE;
}

static bool cpu_has_kernel(const glia_backend *backend, const glia_node *node) {
    return row_of(node) || glia_program_reduces(node) || cpu_fusable(backend, node);
}

/* True if the node alone can be a loop program; then `loop` holds that group. */
typedef struct single_loop {
    glia_group group;
    glia_node *node, *inputs[3];
} single_loop;

static bool as_loop(const glia_backend *backend, glia_node *node, single_loop *s) {
    const bool reduces = glia_program_reduces(node);
    if (!reduces && !((node->op->flags & GLIA_OP_ELEMENTWISE) && cpu_fusable(backend, node))) return false;
    s->node = node;
    s->group = (glia_group){ .kind = GLIA_GROUP_LOOP,
                             .space = reduces ? node->in[0]->shape : node->shape,
                             .nodes = &s->node,
                             .n_nodes = 1,
                             .inputs = s->inputs,
                             .outputs = &s->node,
                             .n_outputs = 1 };
    for (int i = 0; i < node->n_in; i++) {
        bool known = false;
        for (int k = 0; k < s->group.n_inputs; k++) known = known || s->inputs[k] == node->in[i];
        if (!known) s->inputs[s->group.n_inputs++] = node->in[i];
    }
    return true;
}

/* ---- scratch ------------------------------------------------------------------------------------------ */

/* Products with fixed weights keep packed copies of them. */
static size_t cpu_keeps(const glia_backend *backend, const glia_group *group, const glia_node **from, int *operand) {
    const glia_node *n = group->anchor;
    if (!n || glia_cpu_product_columns(n) == 0 || !group->fixed || !group->fixed[n->in[1]->id]) return 0;
    *from = n;
    *operand = 1;
    return glia_cpu_product_keeps(kernels_of(backend), n);
}

static bool is_packed(const glia_backend *backend, const glia_group *group) {
    const glia_node *from;
    int operand;
    return cpu_keeps(backend, group, &from, &operand) > 0;
}

static size_t anchor_scratch(const glia_backend *backend, const glia_group *group) {
    const glia_node *anchor = group->anchor;
    const glia_cpu_row *row = row_of(anchor);
    if (!row) return glia_ref_scratch(anchor);
    const size_t rounding = glia_cpu_rounding_scratch(anchor);
    if (!row->scratch) return rounding;
    return rounding +
           row->scratch(kernels_of(backend), anchor, is_packed(backend, group), glia_pool_size(backend->pool));
}

/* The output of the group whose memory can hold the anchor's result: the anchor, or an f32 output. NULL: none. */
static const glia_node *place_of_anchor(const glia_group *group) {
    const glia_node *place = NULL;
    for (int i = 0; i < group->n_outputs; i++) {
        if (group->outputs[i] == group->anchor) return group->anchor;
        if (group->outputs[i]->dtype == GLIA_F32) place = group->outputs[i];
    }
    return place;
}

/* EPILOGUE: scratch of the product and the program, and the product's result if no output can hold it. */
static size_t cpu_scratch(const glia_backend *backend, const glia_group *group) {
    const int workers = glia_pool_size(backend->pool);
    if (group->kind == GLIA_GROUP_LOOP) return glia_program_scratch(group, workers);
    if (group->kind == GLIA_GROUP_EPILOGUE) {
        size_t bytes = glia_align(anchor_scratch(backend, group)) + glia_align(glia_program_scratch(group, workers));
        return bytes + (place_of_anchor(group) ? 0 : glia_shape_bytes(group->space, GLIA_F32));
    }
    if (group->inner) return group->inner->plan.activation_bytes;
    single_loop s;
    if (as_loop(backend, group->anchor, &s)) return glia_program_scratch(&s.group, workers);
    return anchor_scratch(backend, group);
}

/* ---- loops -------------------------------------------------------------------------------------------- */

/* Loops that do not depend on each other. */
typedef struct loop_launch {
    glia_launch base;
    const glia_cpu_kernels *kernels;
    glia_loop_args *loops;
    int n, capacity;
} loop_launch;

static void loop_run(const glia_launch *launch, glia_pool *pool) {
    const loop_launch *l = (const loop_launch *)launch;
    l->kernels->loop_f32(pool, l->loops, l->n);
}

static glia_launch *prepare_loop(const glia_lowering *w, const glia_program_plan *plan) {
    loop_launch *l = glia_lowering_alloc(w, sizeof *l);
    glia_loop_args *loop = glia_lowering_alloc(w, sizeof *loop);
    if (!l || !loop) return NULL;
    *l = (loop_launch){
        .base = { .run = loop_run, .kernel = "loop" }, .kernels = w->kernels, .loops = loop, .n = 1, .capacity = 1
    };
    return glia_program_build(plan, w->arena, loop, w->error) == GLIA_OK ? &l->base : NULL;
}

/* ---- several loops in one launch -------------------------------------------------------------------------- */

/* The range of bytes that an operand touches. */
typedef struct extent {
    const char *from, *to;
} extent;

static extent extent_of(const glia_loop_args *l, const glia_loop_operand *o) {
    int64_t last = 0;
    for (int k = 0; k < l->rank; k++) last += (l->dim[k] - 1) * o->stride[k];
    return (extent){ o->base, o->base + (last + 1) * o->size };
}

static bool meet(extent x, extent y) { return x.from < y.to && y.from < x.to; }

/* True if x writes memory that y reads or writes. */
static bool disturbs(const glia_loop_args *x, const glia_loop_args *y) {
    for (int i = 0; i < x->n_operands; i++) {
        if (!x->operands[i].written) continue;
        const extent written = extent_of(x, &x->operands[i]);
        for (int k = 0; k < y->n_operands; k++) {
            if (meet(written, extent_of(y, &y->operands[k]))) return true;
        }
    }
    return false;
}

/* Merges loops without reductions that share no memory but the workers' scratch. */
static glia_launch *cpu_merge(glia_launch *first, glia_launch *second, glia_arena *arena) {
    if (first->run != loop_run || second->run != loop_run) return NULL;
    loop_launch *a = (loop_launch *)first, *b = (loop_launch *)second;
    for (int i = 0; i < a->n + b->n; i++) {
        const glia_loop_args *x = i < a->n ? &a->loops[i] : &b->loops[i - a->n];
        if (x->n_reductions || x->workers != a->loops[0].workers) return NULL;
        for (int k = 0; i < a->n && k < b->n; k++) {
            if (disturbs(x, &b->loops[k]) || disturbs(&b->loops[k], x)) return NULL;
        }
    }
    if (a->n + b->n > a->capacity) {
        const int capacity = 2 * (a->n + b->n);
        glia_loop_args *loops = glia_arena_alloc(arena, (size_t)capacity * sizeof *loops);
        if (!loops) return NULL;
        memcpy(loops, a->loops, (size_t)a->n * sizeof *loops);
        a->loops = loops;
        a->capacity = capacity;
    }
    memcpy(a->loops + a->n, b->loops, (size_t)b->n * sizeof *b->loops);
    a->n += b->n;
    size_t bytes = 0; /* the loops share each worker's scratch */
    for (int i = 0; i < a->n; i++) bytes = GLIA_MAX(bytes, a->loops[i].worker_bytes);
    for (int i = 0; i < a->n; i++) a->loops[i].worker_bytes = bytes;
    a->base.kernel = "loops";
    return first;
}

/* ---- products with epilogues --------------------------------------------------------------------------- */

typedef struct epilogue_context {
    const glia_cpu_kernels *kernels;
    glia_loop_args loop;
} epilogue_context;

static void run_block(const void *context, int worker, int64_t row, int64_t rows, int64_t col, int64_t cols) {
    const epilogue_context *e = context;
    e->kernels->loop_block(&e->loop, worker, row, rows, col, cols);
}

typedef struct pair_launch {
    glia_launch base;
    glia_launch *first, *second;
} pair_launch;

static void pair_run(const glia_launch *launch, glia_pool *pool) {
    const pair_launch *l = (const pair_launch *)launch;
    l->first->run(l->first, pool);
    l->second->run(l->second, pool);
}

static void pair_setup(const glia_launch *launch, glia_pool *pool) {
    const pair_launch *l = (const pair_launch *)launch;
    l->first->setup(l->first, pool);
}

/* A product followed by a loop over its result. */
static glia_launch *prepare_pair(const glia_lowering *w, glia_program_plan plan) {
    pair_launch *l = glia_lowering_alloc(w, sizeof *l);
    if (!l) return NULL;
    plan.columns = 0;
    *l = (pair_launch){ .base = { .run = pair_run, .kernel = "product, loop" } };
    l->first = glia_cpu_product_prepare(w, plan.anchor, (glia_cpu_rows_fn){ 0 });
    l->second = l->first ? prepare_loop(w, &plan) : NULL;
    if (l->second && l->first->setup) l->base.setup = pair_setup;
    return l->second ? &l->base : NULL;
}

static glia_launch *prepare_epilogue(const glia_lowering *w, const glia_backend *backend, const glia_group *group) {
    char *scratch = (char *)w->scratch + glia_align(anchor_scratch(backend, group));
    const glia_node *place = place_of_anchor(group);
    char *behind = scratch + glia_align(glia_program_scratch(group, glia_pool_size(backend->pool)));
    glia_program_plan plan = { .kernels = w->kernels,
                               .group = group,
                               .address = w->address,
                               .scratch = scratch,
                               .anchor = place ? w->address[place->id] : behind,
                               .columns = glia_cpu_product_columns(group->anchor) };
    epilogue_context *e = glia_lowering_alloc(w, sizeof *e);
    if (!e) return NULL;
    e->kernels = w->kernels;
    if (glia_program_build(&plan, w->arena, &e->loop, w->error) != GLIA_OK) return NULL;
    if (!glia_program_has_columns(&plan, &e->loop)) return prepare_pair(w, plan);
    return glia_cpu_product_prepare(w, plan.anchor, (glia_cpu_rows_fn){ run_block, e });
}

/* ---- the backend --------------------------------------------------------------------------------------- */

static glia_launch *cpu_prepare(const glia_backend *backend, const glia_group *group, void *const *address,
                                void *scratch, void *kept, glia_arena *arena, glia_error *error) {
    glia_lowering w = { .kernels = kernels_of(backend),
                        .node = group->anchor,
                        .address = address,
                        .scratch = scratch,
                        .kept = is_packed(backend, group) ? kept : NULL,
                        .arena = arena,
                        .error = error };
    glia_program_plan plan = { .kernels = w.kernels, .group = group, .address = address, .scratch = scratch };
    if (group->kind == GLIA_GROUP_LOOP) return prepare_loop(&w, &plan);
    if (group->kind == GLIA_GROUP_EPILOGUE) return prepare_epilogue(&w, backend, group);
    if (group->inner) return glia_cpu_scan_prepare(&w, backend, group->inner);
    single_loop s;
    if (as_loop(backend, group->anchor, &s)) {
        plan.group = &s.group;
        return prepare_loop(&w, &plan);
    }
    const glia_cpu_row *row = row_of(group->anchor);
    return row ? row->prepare(&w) : glia_ref_prepare(group->anchor, address, scratch, arena, error);
}

static const char *isa_words(glia_isa isa) {
    return isa == GLIA_ISA_V4   ? "v4 (AVX-512)"
           : isa == GLIA_ISA_V3 ? "v3 (AVX2)"
           : isa == GLIA_ISA_V2 ? "v2 (SSE4.2)"
                                : glia_isa_name(isa);
}

static glia_status cpu_open(glia_backend *backend, int threads, glia_error *error) {
    glia_status status = glia_isa_choose(&backend->isa, error);
    if (status != GLIA_OK) return status;
    backend->kernels = glia_cpu_kernels_for(backend->isa);
    backend->pool = glia_pool_create(threads, error);
    if (!backend->pool) return GLIA_E_NOMEM;
    const int n = glia_pool_size(backend->pool);
    snprintf(backend->description, sizeof backend->description, "cpu, %s, %d thread%s", isa_words(backend->isa), n,
             n == 1 ? "" : "s");
    return GLIA_OK;
}

const glia_backend_kind glia_backend_cpu = {
    .name = "cpu",
    .bodies = true,
    .channels_last = true,
    .open = cpu_open,
    .has_kernel = cpu_has_kernel,
    .fusable = cpu_fusable,
    .anchors = cpu_anchors,
    .reduces = cpu_reduces,
    .reduces_rows = cpu_reduces_rows,
    .in_place = cpu_in_place,
    .scratch = cpu_scratch,
    .keeps = cpu_keeps,
    .prepare = cpu_prepare,
    .merge = cpu_merge,
};
