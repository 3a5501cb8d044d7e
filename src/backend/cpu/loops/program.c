/* program.c - compiles a group of elementwise nodes to a loop program.
 *
 *   1  collapse the space: neighbouring dimensions are joined where every operand and result permits
 *   2  turn nodes into steps (steps.c)
 *   3  allocate registers to values; a register is free again after the value's last use
 *   4  choose the tile so that registers and streams fit the L1 cache; cut the space into pieces
 *
 * How work is cut depends on shapes only, never on the number of threads.
 */
#include "backend/cpu/loops/program.h"

#include <string.h>

#include "backend/cpu/loops/draft.h"
#include "core/ops/ops.h"

enum {
    L1_BYTES = 28 << 10,
    SHORTEST_TILE = 256,
    LONGEST_ROW = 4096, /* longest row of which a tile holds all */
    MOST_PIECES = 128,
    MOST_PARTS = 4096,
    FEW_PARTS = 16,
    ENOUGH_SLICES = 32, /* so many pieces that have no parts to combine are better than more that have */
    SHORT_ROW = 16 /* rows shorter than this do not fill a vector */
};

typedef glia_draft_value value;

/* ---- what can be fused ----------------------------------------------------------------------- */

const glia_tile *glia_draft_compares_i32(const glia_cpu_kernels *kernels, const glia_node *node) {
    if (node->dtype != GLIA_BOOL || node->n_in != 2 || node->in[0]->dtype != GLIA_I32) return NULL;
    static const glia_op *const ops[] = { &glia_op_equal,      &glia_op_not_equal, &glia_op_less,
                                          &glia_op_less_equal, &glia_op_greater,   &glia_op_greater_equal };
    static const char *const names[] = { "equal_i32",      "not_equal_i32", "less_i32",
                                         "less_equal_i32", "greater_i32",   "greater_equal_i32" };
    for (int i = 0; i < GLIA_COUNT(ops); i++) {
        if (node->op == ops[i]) return kernels->tile_named(names[i]);
    }
    return NULL;
}

bool glia_program_fusable(const glia_cpu_kernels *kernels, const glia_node *node) {
    if (glia_draft_compares_i32(kernels, node)) return true;
    if (node->dtype != GLIA_F32 && node->dtype != GLIA_BOOL) return false;
    bool widens = node->op == &glia_op_cast && node->dtype == GLIA_F32;
    for (int i = 0; i < node->n_in; i++) {
        glia_dtype t = node->in[i]->dtype;
        if (t != GLIA_F32 && t != GLIA_BOOL && !(widens && (t == GLIA_U8 || t == GLIA_I8 || t == GLIA_I32)))
            return false;
    }
    if (node->op == &glia_op_cast) return true;
    return (node->op->flags & GLIA_OP_ELEMENTWISE) && kernels->tile_named(node->op->name);
}

bool glia_program_reduces(const glia_node *node) {
    if (node->dtype != GLIA_F32) return false;
    return node->op == &glia_op_sum || node->op == &glia_op_max || node->op == &glia_op_prod ||
           node->op == &glia_op_variance;
}

bool glia_program_reduces_rows(const glia_node *node) {
    if (!glia_program_reduces(node) || node->op == &glia_op_variance || node->in[0]->shape.rank == 0) return false;
    const glia_reduce_attrs *attrs = node->attrs;
    const int last = node->in[0]->shape.rank - 1;
    return attrs->keep && attrs->axes.rank == 1 && attrs->axes.dim[0] == last &&
           node->in[0]->shape.dim[last] <= LONGEST_ROW;
}

glia_loop_sum glia_draft_reduction(const glia_node *node) {
    return node->op == &glia_op_sum    ? GLIA_LOOP_SUM
           : node->op == &glia_op_max  ? GLIA_LOOP_MAX
           : node->op == &glia_op_prod ? GLIA_LOOP_PROD
                                       : GLIA_LOOP_VARIANCE;
}

/* ---- operands ---------------------------------------------------------------------------------- */

/* The strides of a value of `shape` broadcast to the space, before collapsing. */
static void broadcast_strides(glia_shape shape, glia_shape space, int64_t strides[GLIA_MAX_RANK]) {
    int64_t own[GLIA_MAX_RANK];
    glia_shape_strides(shape, own);
    for (int k = 0; k < space.rank; k++) {
        int at = k - (space.rank - shape.rank);
        strides[k] = at < 0 || shape.dim[at] == 1 ? 0 : own[at];
    }
}

static int new_operand(glia_draft *b, const glia_node *source) {
    glia_loop_args *l = b->loop;
    glia_loop_operand *o = &l->operands[l->n_operands];
    *o = (glia_loop_operand){ .size = (uint16_t)glia_dtype_size(source->dtype), .base = b->plan->address[source->id] };
    if (source == b->group->anchor) o->base = b->plan->anchor;
    broadcast_strides(source->shape, b->group->space, o->stride);
    return l->n_operands++;
}

glia_loop_span glia_draft_operand_span(const glia_loop_args *l, const glia_loop_operand *o) {
    if (o->stride[l->rank - 1]) return GLIA_LOOP_TILED;
    return l->rank > 1 && o->stride[l->rank - 2] ? GLIA_LOOP_ROWS : GLIA_LOOP_ONE;
}

/* True if a member reads the operand directly, not through a broadcast. */
static bool is_read_directly(const glia_group *g, const glia_node *node) {
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        if (n == g->anchor || n->op == &glia_op_broadcast) continue;
        if (glia_index_of(n->in, n->n_in, node) >= 0) return true;
    }
    return false;
}

/* Adds operands for all memory that is read or written; the space is collapsed by their strides. */
static void add_operands(glia_draft *b) {
    const glia_group *g = b->group;
    double x;
    for (int i = 0; i < g->n_inputs; i++) {
        b->of_input[i] = is_read_directly(g, g->inputs[i]) ? new_operand(b, g->inputs[i]) : -1;
    }
    b->of_anchor = g->kind == GLIA_GROUP_EPILOGUE ? new_operand(b, g->anchor) : -1;
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        b->of_node[i] = -1;
        if (n == g->anchor) continue;
        if (n->op == &glia_op_broadcast && glia_index_of(g->nodes, g->n_nodes, n->in[0]) < 0 &&
            !glia_is_constant_scalar(n->in[0], &x))
            b->of_node[i] = new_operand(b, n->in[0]);
        if (!glia_program_reduces(n)) continue;
        const glia_reduce_attrs *attrs = n->attrs;
        const int why = glia_draft_reduces_rows(g, n) ? GLIA_APART_ROW : GLIA_APART_REDUCED;
        for (int k = 0; k < g->space.rank; k++) b->apart[k] |= glia_axes_contain(&attrs->axes, k) ? why : 0;
    }
    for (int i = 0; i < g->n_outputs; i++) {
        const glia_node *n = g->outputs[i];
        const bool reduced = glia_program_reduces(n) && !glia_draft_reduces_rows(g, n);
        b->outputs[i] = n == g->anchor || reduced ? -1 : new_operand(b, n);
        if (b->outputs[i] >= 0) b->loop->operands[b->outputs[i]].written = true;
    }
}

/* The value through which steps read an operand. */
static int operand_value(glia_draft *b, int operand, glia_dtype dtype) {
    const glia_loop_span span = glia_draft_operand_span(b->loop, &b->loop->operands[operand]);
    return glia_draft_value_new(b, (value){ .kind = GLIA_OPERAND, .index = operand, .span = span, .dtype = dtype });
}

static void add_values(glia_draft *b) {
    const glia_group *g = b->group;
    double x;
    for (int i = 0; i < g->n_inputs; i++) {
        if (b->of_input[i] >= 0) b->of_input[i] = operand_value(b, b->of_input[i], g->inputs[i]->dtype);
    }
    if (b->of_anchor >= 0) b->of_anchor = operand_value(b, b->of_anchor, GLIA_F32);
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        const glia_node *source = n->op == &glia_op_broadcast ? n->in[0] : n;
        if (n == g->anchor) continue;
        if (b->of_node[i] >= 0)
            b->of_node[i] = operand_value(b, b->of_node[i], source->dtype);
        else if (glia_is_constant_scalar(source, &x))
            b->of_node[i] = glia_draft_immediate(b, x, source->dtype == GLIA_I32 ? GLIA_I32 : GLIA_F32);
    }
}

/* ---- 1. the space ------------------------------------------------------------------------------ */

/* True if dimensions k and k + 1 can be walked as one with these strides. */
static bool contiguous(const int64_t *stride, const int64_t *dim, int k) {
    return stride[k] == stride[k + 1] * dim[k + 1];
}

static bool may_join(const glia_draft *b, int k) {
    const glia_loop_args *l = b->loop;
    if (b->apart[k] != b->apart[k + 1]) return false;
    for (int i = 0; i < l->n_operands; i++) {
        if (!contiguous(l->operands[i].stride, l->dim, k)) return false;
    }
    return true;
}

static void drop_dimension(glia_draft *b, int k) {
    glia_loop_args *l = b->loop;
    for (int j = k; j + 1 < l->rank; j++) {
        l->dim[j] = l->dim[j + 1];
        b->apart[j] = b->apart[j + 1];
        for (int i = 0; i < l->n_operands; i++) l->operands[i].stride[j] = l->operands[i].stride[j + 1];
    }
    l->rank--;
}

/* Joins dimensions and drops those of size 1. */
static void collapse(glia_draft *b) {
    glia_loop_args *l = b->loop;
    const bool columns = b->plan->columns > 0;
    l->rank = b->group->space.rank;
    l->total = glia_shape_count(b->group->space);
    memcpy(l->dim, b->group->space.dim, sizeof l->dim);
    for (int k = l->rank - b->plan->columns; k < l->rank; k++) b->apart[k] |= GLIA_APART_COLUMN;
    for (int k = l->rank - 1; k >= 0; k--) {
        if (l->dim[k] == 1) drop_dimension(b, k);
    }
    for (int k = l->rank - 2; k >= 0; k--) {
        if (!may_join(b, k)) continue;
        l->dim[k + 1] *= l->dim[k];
        drop_dimension(b, k);
    }
    if (l->rank == 0 || (columns && !(b->apart[l->rank - 1] & GLIA_APART_COLUMN))) {
        for (int i = 0; i < l->n_operands; i++) l->operands[i].stride[l->rank] = 1; /* one element, contiguous */
        b->apart[l->rank] = columns ? GLIA_APART_COLUMN : 0;
        l->dim[l->rank++] = 1;
    }
    b->sums_rows = b->apart[l->rank - 1] & GLIA_APART_ROW;
}

bool glia_program_has_columns(const glia_program_plan *plan, const glia_loop_args *l) {
    int64_t columns = 1;
    for (int k = 0; k < plan->columns; k++) columns *= plan->group->space.dim[plan->group->space.rank - 1 - k];
    return l->dim[l->rank - 1] == columns;
}

/* ---- 3. registers -------------------------------------------------------------------------------- */

static int take_register(bool *busy, glia_loop_args *l) {
    int r = 0;
    while (busy[r]) r++;
    busy[r] = true;
    l->n_registers = GLIA_MAX(l->n_registers, r + 1);
    return r;
}

static void find_last_uses(glia_draft *b) {
    for (int s = 0; s < b->n_steps; s++) {
        b->values[b->steps[s].d].last_use = s;
        if (b->steps[s].also >= 0) b->values[b->steps[s].also].last_use = s;
        for (int k = 0; k < GLIA_TILE_OPERANDS; k++) {
            if (b->steps[s].in[k] >= 0) b->values[b->steps[s].in[k]].last_use = s;
        }
    }
    for (int r = 0; r < b->loop->n_reductions; r++) b->values[b->loop->reductions[r].slot].last_use = b->n_steps;
}

/* Frees the registers of operands whose last use is this step: replaceable: those that its result may overwrite; else
 * the others. */
static void release(glia_draft *b, bool *busy, int s, bool replaceable) {
    const glia_draft_step *step = &b->steps[s];
    for (int k = 0; k < GLIA_TILE_OPERANDS; k++) {
        const value *x = step->in[k] < 0 ? NULL : &b->values[step->in[k]];
        if (!x || x->reg < 0 || x->last_use != s || x->kind == GLIA_OPERAND) continue;
        if ((x->span == b->values[step->d].span && !step->reduces) == replaceable) busy[x->reg] = false;
    }
}

/* True if the operand is one row that is repeated for many short rows. */
static bool repeats(const glia_draft *b, const glia_loop_operand *o) {
    const glia_loop_args *l = b->loop;
    if (l->rank < 2 || l->dim[l->rank - 1] >= SHORT_ROW || o->written || o->size != sizeof(float)) return false;
    for (int k = 0; k < l->rank - 1; k++) {
        if (o->stride[k]) return false;
    }
    return o->stride[l->rank - 1] != 0;
}

/* Gives a register to each value that is not in an operand's memory, and to each repeated operand. */
static void give_registers(glia_draft *b, bool *busy) {
    for (int v = 0; v < b->n_values; v++) {
        value *x = &b->values[v];
        if (x->kind != GLIA_OPERAND || !repeats(b, &b->loop->operands[x->index])) continue;
        x->reg = take_register(busy, b->loop);
        b->loop->operands[x->index].repeats = true;
    }
    for (int s = 0; s < b->n_steps; s++) {
        const int made[] = { b->steps[s].d, b->steps[s].also };
        release(b, busy, s, true);
        for (int k = 0; k < 2; k++) {
            value *d = made[k] < 0 ? NULL : &b->values[made[k]];
            if (d && d->kind == GLIA_RESULT && d->index < 0) d->reg = take_register(busy, b->loop);
        }
        release(b, busy, s, false);
        for (int k = 0; k < 2; k++) {
            const value *d = made[k] < 0 ? NULL : &b->values[made[k]];
            if (d && d->reg >= 0 && d->last_use == s) busy[d->reg] = false; /* the result is unused */
        }
    }
}

static uint16_t slot_of(const glia_draft *b, int v) {
    const glia_loop_args *l = b->loop;
    const value *x = &b->values[v];
    if (x->reg >= 0) return (uint16_t)x->reg;
    if (x->kind == GLIA_IMMEDIATE) return (uint16_t)(l->n_registers + x->index);
    return (uint16_t)(l->n_registers + l->n_immediates + x->index);
}

static uint16_t pace_of(const glia_draft *b, int v) {
    static const uint16_t of_register[] = { GLIA_LOOP_STILL, GLIA_LOOP_FLOAT, GLIA_LOOP_DENSE };
    const value *x = &b->values[v];
    const bool in_memory = x->reg < 0 && x->kind != GLIA_IMMEDIATE;
    return in_memory ? (uint16_t)(GLIA_LOOP_MEMORY + x->index) : of_register[x->span];
}

/* Records whether this value lets the step run as one long row. */
static void note_value(const glia_draft *b, glia_loop_step *step, int v) {
    const glia_loop_args *l = b->loop;
    const value *x = &b->values[v];
    const bool in_memory = x->reg < 0 && x->kind != GLIA_IMMEDIATE;
    step->flat = step->flat && x->span != GLIA_LOOP_ROWS;
    if (!in_memory || x->span != GLIA_LOOP_TILED) return;
    step->in_registers = false;
    const int last = l->rank - 1;
    step->flat = step->flat && (last == 0 || contiguous(l->operands[x->index].stride, l->dim, last - 1));
}

static void finish_steps(glia_draft *b) {
    glia_loop_args *l = b->loop;
    l->n_slots = l->n_registers + l->n_immediates + l->n_operands;
    for (int i = 0; i < l->n_operands; i++) l->operands[i].slot = (uint16_t)(l->n_registers + l->n_immediates + i);
    for (int v = 0; v < b->n_values; v++) {
        if (b->values[v].kind == GLIA_OPERAND && b->values[v].reg >= 0)
            l->operands[b->values[v].index].slot = slot_of(b, v);
    }
    l->n_steps = b->n_steps;
    for (int s = 0; s < b->n_steps; s++) {
        const glia_draft_step *from = &b->steps[s];
        glia_loop_step *to = &l->steps[s];
        *to = (glia_loop_step){ .span = (uint8_t)from->span, .in_registers = true, .flat = !from->reduces };
        to->d = slot_of(b, from->d);
        to->d_pace = pace_of(b, from->d);
        note_value(b, to, from->d);
        to->also = from->also < 0 ? to->d : slot_of(b, from->also);
        to->also_pace = from->also < 0 ? to->d_pace : pace_of(b, from->also);
        if (from->also >= 0) note_value(b, to, from->also);
        unsigned form = 0;
        for (int k = 0; k < GLIA_TILE_OPERANDS && from->in[k] >= 0; k++) {
            to->in[k] = slot_of(b, from->in[k]);
            to->pace[k] = pace_of(b, from->in[k]);
            to->n_in = (uint8_t)(k + 1);
            note_value(b, to, from->in[k]);
            form |= (unsigned)(b->values[from->in[k]].span < from->span) << k;
        }
        to->fn = from->tile->form[form];
    }
    for (int r = 0; r < l->n_reductions; r++) {
        const int v = l->reductions[r].slot;
        l->reductions[r].slot = slot_of(b, v);
        l->reductions[r].pace = pace_of(b, v);
    }
}

/* ---- 4. tiles and pieces ------------------------------------------------------------------------- */

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* True if a tile consists of whole rows. */
static bool takes_whole_rows(const glia_loop_args *l) { return l->rank > 1 && l->dim[l->rank - 1] <= l->tile; }

static void choose_tile(const glia_draft *b) {
    glia_loop_args *l = b->loop;
    int64_t streams = l->n_registers;
    for (int i = 0; i < l->n_operands; i++) {
        streams += glia_draft_operand_span(l, &l->operands[i]) == GLIA_LOOP_TILED;
    }
    l->tile = GLIA_LOOP_TILE;
    while (l->tile > SHORTEST_TILE && streams * l->tile * (int64_t)sizeof(float) > L1_BYTES) l->tile /= 2;
    const int64_t row = l->dim[l->rank - 1];
    if (b->sums_rows) l->tile = GLIA_MAX(l->tile, row);
    if (l->rank == 1 || row <= l->tile) return;
    l->tile =
        ceil_div(ceil_div(row, ceil_div(row, l->tile)), GLIA_LOOP_PAD) * GLIA_LOOP_PAD; /* parts of about equal size */
}

static void choose_kept_strides(glia_draft *b) {
    glia_loop_args *l = b->loop;
    l->n_results = 1;
    for (int k = l->rank - 1; k >= 0; k--) {
        const bool reduced = b->apart[k] & GLIA_APART_REDUCED;
        l->kept_stride[k] = reduced ? 0 : l->n_results;
        if (!reduced) l->n_results *= l->dim[k];
    }
}

static void split_at(const glia_draft *b, glia_loop_way way, int dim, int64_t pieces) {
    glia_loop_args *l = b->loop;
    if (dim == l->rank - 1 && b->sums_rows) pieces = 1;
    l->way = way;
    l->split = dim;
    l->chunk = ceil_div(l->dim[dim], GLIA_MIN(pieces, l->dim[dim]));
    if (dim == l->rank - 1 && pieces > 1) l->chunk = ceil_div(l->chunk, SHORTEST_TILE) * SHORTEST_TILE;
    l->pieces = ceil_div(l->dim[dim], l->chunk);
}

/* Cuts a reduced space into about `pieces` pieces. */
static void split_reduction(const glia_draft *b, int64_t pieces) {
    glia_loop_args *l = b->loop;
    const int last = takes_whole_rows(l) ? l->rank - 2 : l->rank - 1;
    int kept = -1, reduced = -1, n_outer_kept = 0;
    for (int k = 0; k <= last; k++) {
        const bool is_reduced = b->apart[k] & GLIA_APART_REDUCED;
        if (!is_reduced && kept < 0) kept = k;
        bool better = reduced < 0 || (l->dim[reduced] < FEW_PARTS && l->dim[k] > l->dim[reduced]);
        if (is_reduced && better) reduced = k; /* the outermost with enough elements to share, or the longest */
    }
    while (n_outer_kept < l->rank && !(b->apart[n_outer_kept] & GLIA_APART_REDUCED)) n_outer_kept++;
    const int64_t rows = l->total / l->dim[l->rank - 1];
    if (n_outer_kept == l->rank - 1 && l->rank > 1 && (rows >= pieces || rows >= 16)) {
        l->way = GLIA_LOOP_EACH_ROW;
        l->chunk = ceil_div(rows, pieces);
        l->pieces = ceil_div(rows, l->chunk);
    } else if (kept == 0 &&
               (l->dim[0] >= GLIA_MIN(pieces, ENOUGH_SLICES) || reduced < 0 || l->n_results > MOST_PARTS)) {
        split_at(b, GLIA_LOOP_SLICES, 0, pieces);
    } else if (reduced >= 0 && (l->n_results <= MOST_PARTS || kept < 0)) {
        split_at(b, GLIA_LOOP_PARTS, reduced, pieces);
    } else {
        split_at(b, GLIA_LOOP_SLICES, kept, pieces);
    }
}

/* True if a result is written over an operand that other pieces or later rows may still read: the operand's strides
 * differ from those of the results. */
static bool overwrites(const glia_loop_args *l) {
    for (int r = 0; r < l->n_reductions; r++) {
        for (int i = 0; i < l->n_operands; i++) {
            const glia_loop_operand *o = &l->operands[i];
            const bool same_walk = memcmp(o->stride, l->kept_stride, (size_t)l->rank * sizeof *o->stride) == 0;
            if (o->base == (char *)l->reductions[r].out && !same_walk) return true;
        }
    }
    return false;
}

/* A sum of the same value as a variance uses the variance's sum. */
static void share_sums(glia_loop_args *l) {
    if (l->way == GLIA_LOOP_EACH_ROW) return;
    for (int i = 0; i < l->n_reductions; i++) {
        for (int k = 0; k < l->n_reductions; k++) {
            const glia_loop_reduction *v = &l->reductions[k];
            glia_loop_reduction *r = &l->reductions[i];
            if (v->kind != GLIA_LOOP_VARIANCE || r->kind != GLIA_LOOP_SUM || v->slot != r->slot) continue;
            r->shared = true;
            r->first = v->first;
        }
    }
}

static void cut(glia_draft *b) {
    glia_loop_args *l = b->loop;
    int64_t grain = (int64_t)65536 / (l->n_steps + 3);
    grain = GLIA_MAX(4096, GLIA_MIN(16384, grain));
    int64_t pieces = GLIA_MIN(MOST_PIECES, GLIA_MAX(1, l->total / grain)), row = l->dim[l->rank - 1];
    if (pieces > 1) pieces += pieces % 2; /* an even number, so that two threads get equal shares */
    choose_kept_strides(b);
    if (l->n_reductions && overwrites(l)) {
        split_at(b, GLIA_LOOP_PARTS, 0, 1); /* writes all results at the end */
    } else if (l->n_reductions) {
        split_reduction(b, pieces);
    } else {
        const int64_t unit = takes_whole_rows(l) ? l->tile / row * row : l->tile;
        l->way = GLIA_LOOP_NONE;
        l->chunk = ceil_div(ceil_div(l->total, pieces), unit) * unit;
        l->pieces = ceil_div(l->total, l->chunk);
    }
    share_sums(l);
}

/* ---- all together -------------------------------------------------------------------------------- */

/* An upper bound over everything the draft may choose, so that computing it allocates nothing. */
size_t glia_program_scratch(const glia_group *g, int workers) {
    size_t nodes = (size_t)g->n_nodes, inputs = (size_t)g->n_inputs, reductions = 0, sums = 0;
    size_t tile = SHORTEST_TILE;
    for (int i = 0; i < g->n_nodes; i++) {
        if (!glia_program_reduces(g->nodes[i])) continue;
        if (glia_draft_reduces_rows(g, g->nodes[i])) {
            tile = GLIA_MAX(tile, (size_t)g->space.dim[g->space.rank - 1]);
            continue;
        }
        size_t results = (size_t)glia_shape_count(g->nodes[i]->shape);
        reductions += 2;
        sums += 2 * glia_align(results * sizeof(double) * (results <= MOST_PARTS ? MOST_PIECES : 1)) +
                2 * MOST_PIECES * sizeof(double);
    }
    size_t registers = 3 * nodes + 2 * inputs + reductions + 4;
    size_t tiles = GLIA_MAX((size_t)L1_BYTES, registers * tile * sizeof(float));
    size_t padding = registers * 2 * GLIA_LOOP_PAD * sizeof(float);
    size_t head = (registers + 5 * nodes + 3 * inputs + 3 * (size_t)g->n_outputs + reductions + 16) * 8;
    size_t single_tile = (GLIA_LOOP_TILE + 2 * GLIA_LOOP_PAD) * sizeof(float);
    return sums + (size_t)workers * glia_align(tiles + padding + single_tile + head + 4 * GLIA_ALIGN) + GLIA_ALIGN;
}

static bool allocate(glia_draft *b) {
    const glia_group *g = b->group;
    glia_loop_args *l = b->loop;
    glia_arena *arena = b->arena;
    size_t nodes = (size_t)g->n_nodes + 1, inputs = (size_t)g->n_inputs + 1, outputs = (size_t)g->n_outputs + 1;
    size_t values = 6 * nodes + 3 * inputs + 3 * outputs + 16;
    b->values = glia_arena_alloc(arena, values * sizeof *b->values);
    b->steps = glia_arena_alloc(arena, values * sizeof *b->steps);
    b->of_node = glia_arena_alloc(arena, nodes * sizeof *b->of_node);
    b->of_input = glia_arena_alloc(arena, inputs * sizeof *b->of_input);
    b->outputs = glia_arena_alloc(arena, outputs * sizeof *b->outputs);
    b->late = glia_arena_alloc(arena, outputs * sizeof *b->late);
    b->spans = glia_arena_alloc(arena, nodes * sizeof *b->spans);
    b->swallowed = glia_arena_alloc(arena, nodes * sizeof *b->swallowed);
    b->compounds = glia_arena_alloc(arena, nodes * sizeof *b->compounds);
    l->steps = glia_arena_alloc(arena, values * sizeof *l->steps);
    l->operands = glia_arena_alloc(arena, (nodes + inputs + outputs + 1) * sizeof *l->operands);
    l->reductions = glia_arena_alloc(arena, nodes * sizeof *l->reductions);
    l->immediates = glia_arena_alloc(arena, (2 * nodes + 2) * sizeof *l->immediates);
    return b->values && b->steps && b->of_node && b->of_input && b->outputs && b->late && b->spans && b->swallowed &&
           b->compounds && l->steps && l->operands && l->reductions && l->immediates;
}

static void place_scratch(glia_loop_args *l, void *scratch) {
    size_t parts = l->way == GLIA_LOOP_PARTS ? (size_t)l->pieces : l->way == GLIA_LOOP_SLICES;
    size_t sums = (size_t)l->n_arrays * parts * (size_t)l->n_results * sizeof(double);
    l->sums = scratch;
    l->workers = (char *)scratch + glia_align(sums);
    l->worker_bytes = glia_align(glia_loop_worker_bytes(l));
}

glia_status glia_program_build(const glia_program_plan *plan, glia_arena *arena, glia_loop_args *loop,
                               glia_error *error) {
    glia_draft b = { .plan = plan, .kernels = plan->kernels, .group = plan->group, .arena = arena, .loop = loop };
    *loop = (glia_loop_args){ 0 };
    if (!allocate(&b)) return glia_fail_nomem(error);
    add_operands(&b);
    collapse(&b);
    add_values(&b);
    glia_draft_steps(&b);
    if (b.lost) return glia_fail(error, GLIA_E_INTERNAL, "a group reads a value that is not among its inputs");
    find_last_uses(&b);
    bool *busy = glia_arena_alloc(arena, (size_t)b.n_values + 1);
    if (!busy) return glia_fail_nomem(error);
    give_registers(&b, busy);
    finish_steps(&b);
    choose_tile(&b);
    cut(&b);
    place_scratch(loop, plan->scratch);
    return GLIA_OK;
}
