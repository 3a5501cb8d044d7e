/* program.c - compiles a group of elementwise nodes to a loop program.
 *
 *   1  the space is collapsed: neighbouring dimensions become one where every operand and result permits
 *   2  each node becomes a step on values that are not yet anywhere; a product that only a sum needs becomes part of it
 *   3  registers are given to values, and taken back after their last use
 *   4  the tile is chosen so that registers and streams fit the L1 cache, and the space is cut into pieces
 *
 * Whatever decides how work is cut depends on shapes alone, never on the number of threads.
 */
#include "backend/cpu/program.h"

#include <string.h>

#include "ops/ops.h"

enum { L1_BYTES = 28 << 10, SHORTEST_TILE = 256, MOST_PIECES = 128, MOST_PARTS = 4096, FEW_PARTS = 16 };

/* ---- what can be fused ----------------------------------------------------------------------- */

/* The tile function that compares whole numbers as this node does; NULL: it is no such comparison. */
static const glia_tile *compares_i32(const glia_cpu_kernels *kernels, const glia_node *node) {
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
    if (compares_i32(kernels, node)) return true;
    if (node->dtype != GLIA_F32 && node->dtype != GLIA_BOOL) return false;
    bool widens = node->op == &glia_op_cast && node->dtype == GLIA_F32;
    for (int i = 0; i < node->n_in; i++) {
        glia_dtype t = node->in[i]->dtype;
        if (t != GLIA_F32 && t != GLIA_BOOL && !(widens && (t == GLIA_U8 || t == GLIA_I32))) return false;
    }
    if (node->op == &glia_op_cast) return true;
    return (node->op->flags & GLIA_OP_ELEMENTWISE) && kernels->tile_named(node->op->name);
}

bool glia_program_reduces(const glia_node *node) {
    if (node->dtype != GLIA_F32) return false;
    return node->op == &glia_op_sum || node->op == &glia_op_max || node->op == &glia_op_prod;
}

/* ---- the builder ------------------------------------------------------------------------------- */

/* What a step computes or reads: an immediate, an operand in memory, or the result of a step. */
typedef struct value {
    enum { IMMEDIATE, OPERAND, RESULT } kind;
    int index;        /* of the immediate or operand; RESULT: of the output it is written to, or -1 */
    bool single;      /* one float, not a tile */
    glia_dtype dtype; /* as it lies in its slot: F32, or what a load step must make floats of */
    int last_use;     /* step */
    int reg;          /* -1: none */
} value;

typedef struct draft_step {
    const glia_tile *tile;
    int d, in[3]; /* values; -1: none */
    bool single;
} draft_step;

typedef struct builder {
    const glia_program_plan *plan;
    const glia_cpu_kernels *kernels;
    const glia_group *group;
    glia_arena *arena;
    glia_loop *loop;
    value *values;
    int n_values;
    draft_step *steps;
    int n_steps;
    int *of_node;  /* value of group->nodes[i]; -1: none yet */
    int *of_input; /* value of group->inputs[i] */
    int of_anchor;
    int *output_values;
    bool lost;                 /* a node reads what is in neither list: a mistake in the group */
    bool *swallowed;           /* group->nodes[i], a product, is computed by the step of its only user */
    bool apart[GLIA_MAX_RANK]; /* reduced dimensions, or columns: not to be joined with others */
} builder;

static int new_value(builder *b, value v) {
    v.last_use = -1;
    v.reg = -1;
    b->values[b->n_values] = v;
    return b->n_values++;
}

/* dtype: F32, or I32 for the bits of a whole number. */
static int new_immediate(builder *b, double number, glia_dtype dtype) {
    glia_loop *l = b->loop;
    float x = (float)number;
    if (dtype == GLIA_I32) glia_from_double(dtype, &number, &x, 1);
    for (int i = 0; i < b->n_values; i++) {
        if (b->values[i].kind == IMMEDIATE && b->values[i].dtype == dtype &&
            memcmp(&l->immediates[b->values[i].index], &x, sizeof x) == 0)
            return i;
    }
    l->immediates[l->n_immediates] = x;
    return new_value(b, (value){ .kind = IMMEDIATE, .index = l->n_immediates++, .single = true, .dtype = dtype });
}

/* The strides of a value of `shape` broadcast to the space, in the uncollapsed space. */
static void broadcast_strides(glia_shape shape, glia_shape space, int64_t strides[GLIA_MAX_RANK]) {
    int64_t own[GLIA_MAX_RANK];
    glia_shape_strides(shape, own);
    for (int k = 0; k < space.rank; k++) {
        int at = k - (space.rank - shape.rank);
        strides[k] = at < 0 || shape.dim[at] == 1 ? 0 : own[at];
    }
}

static int new_operand(builder *b, const glia_node *source) {
    glia_loop *l = b->loop;
    glia_loop_operand *o = &l->operands[l->n_operands];
    *o = (glia_loop_operand){ .size = (uint16_t)glia_dtype_size(source->dtype), .base = b->plan->address[source->id] };
    if (source == b->group->anchor) o->base = b->plan->anchor;
    broadcast_strides(source->shape, b->group->space, o->stride);
    return l->n_operands++;
}

/* ---- 1. the space ------------------------------------------------------------------------------ */

/* True if dimension k and the next one are as good as one for this walk. */
static bool contiguous(const int64_t *stride, const int64_t *dim, int k) {
    return stride[k] == stride[k + 1] * dim[k + 1];
}

static bool may_join(const builder *b, int k) {
    const glia_loop *l = b->loop;
    if (b->apart[k] != b->apart[k + 1]) return false;
    for (int i = 0; i < l->n_operands; i++) {
        if (!contiguous(l->operands[i].stride, l->dim, k)) return false;
    }
    return true;
}

static void drop_dimension(builder *b, int k) {
    glia_loop *l = b->loop;
    for (int j = k; j + 1 < l->rank; j++) {
        l->dim[j] = l->dim[j + 1];
        b->apart[j] = b->apart[j + 1];
        for (int i = 0; i < l->n_operands; i++) l->operands[i].stride[j] = l->operands[i].stride[j + 1];
    }
    l->rank--;
}

/* Joins dimensions, drops those of size 1. */
static void collapse(builder *b) {
    glia_loop *l = b->loop;
    const bool columns = b->plan->columns > 0;
    l->rank = b->group->space.rank;
    l->total = glia_shape_count(b->group->space);
    memcpy(l->dim, b->group->space.dim, sizeof l->dim);
    for (int k = l->rank - b->plan->columns; k < l->rank; k++) b->apart[k] = true;
    for (int k = l->rank - 1; k >= 0; k--) {
        if (l->dim[k] == 1) drop_dimension(b, k);
    }
    for (int k = l->rank - 2; k >= 0; k--) {
        if (!may_join(b, k)) continue;
        l->dim[k + 1] *= l->dim[k];
        drop_dimension(b, k);
    }
    if (l->rank == 0 ||
        (columns && !b->apart[l->rank - 1])) { /* a dimension of size 1, along which all are contiguous */
        for (int i = 0; i < l->n_operands; i++) l->operands[i].stride[l->rank] = 1;
        b->apart[l->rank] = columns;
        l->dim[l->rank++] = 1;
    }
    l->short_rows = !columns && l->rank > 1 && l->dim[l->rank - 1] < GLIA_LOOP_ROW;
}

bool glia_program_has_columns(const glia_program_plan *plan, const glia_loop *l) {
    int64_t columns = 1;
    for (int k = 0; k < plan->columns; k++) columns *= plan->group->space.dim[plan->group->space.rank - 1 - k];
    return l->dim[l->rank - 1] == columns;
}

/* How each operand is to be read. */
static void choose_modes(builder *b) {
    glia_loop *l = b->loop;
    for (int i = 0; i < l->n_operands; i++) {
        glia_loop_operand *o = &l->operands[i];
        bool full = o->stride[l->rank - 1] == 1, scalar = o->stride[l->rank - 1] == 0, repeats = true;
        for (int k = l->rank - 2; k >= 0; k--) {
            full = full && contiguous(o->stride, l->dim, k);
            scalar = scalar && o->stride[k] == 0;
            repeats = repeats && o->stride[k] == 0;
        }
        o->mode = full             ? GLIA_LOOP_FULL
                  : scalar         ? GLIA_LOOP_SCALAR
                  : !l->short_rows ? GLIA_LOOP_POINT
                  : repeats        ? GLIA_LOOP_REPEAT
                                   : GLIA_LOOP_EXPAND;
    }
}

/* ---- 2. steps ---------------------------------------------------------------------------------- */

static int emit_to(builder *b, const glia_tile *tile, int d, int a, int bb, int c);

/* A step and its new value. */
static int emit_tile(builder *b, const glia_tile *tile, int a, int bb, int c) {
    bool single = true;
    const int in[3] = { a, bb, c };
    for (int i = 0; i < 3; i++) single = single && (in[i] < 0 || b->values[in[i]].single);
    int d = new_value(b, (value){ .kind = RESULT, .index = -1, .single = single });
    return emit_to(b, tile, d, a, bb, c);
}

static int emit(builder *b, const char *name, int a, int bb, int c) {
    return emit_tile(b, b->kernels->tile_named(name), a, bb, c);
}

/* The value spread over a tile. */
static int spread(builder *b, int v) {
    if (!b->values[v].single) return v;
    int d = new_value(b, (value){ .kind = RESULT, .index = -1 });
    b->steps[b->n_steps++] = (draft_step){ .tile = b->kernels->tile_named("fill"), .d = d, .in = { v, -1, -1 } };
    return d;
}

static int emit_to(builder *b, const glia_tile *tile, int d, int a, int bb, int c) {
    draft_step s = { .tile = tile, .d = d, .in = { a, bb, c } };
    s.single = b->values[d].single;
    for (int i = 0; !s.single; i++) { /* spreads operands until there is such a form; there is one for none */
        unsigned form = 0;
        for (int k = 0; k < 3; k++) form |= (unsigned)(s.in[k] >= 0 && b->values[s.in[k]].single) << k;
        if (s.tile->form[form]) break;
        if (s.in[i] >= 0) s.in[i] = spread(b, s.in[i]);
    }
    b->steps[b->n_steps++] = s;
    return d;
}

static int index_of(glia_node *const *nodes, int n, const glia_node *node) {
    for (int i = 0; i < n; i++) {
        if (nodes[i] == node) return i;
    }
    return -1;
}

/* The value of a node that a step reads: as it lies in memory, i32 for instance, or as floats. */
static int read_as(builder *b, const glia_node *n, bool raw) {
    const glia_group *g = b->group;
    double x = 0;
    int at = index_of(g->nodes, g->n_nodes, n);
    int *place = at >= 0 ? &b->of_node[at] : NULL;
    if (n == g->anchor) place = &b->of_anchor;
    if (!place && (at = index_of(g->inputs, g->n_inputs, n)) >= 0) place = &b->of_input[at];
    if (!place || *place < 0) {
        b->lost = b->lost || !glia_is_constant_scalar(n, &x);
        return new_immediate(b, x, raw ? n->dtype : GLIA_F32);
    }
    const glia_dtype dtype = b->values[*place].dtype;
    if (raw) return *place;
    if (dtype == GLIA_I32) return emit(b, "load_i32", *place, -1, -1);
    if (dtype != GLIA_F32) *place = emit(b, "load_u8", *place, -1, -1);
    return *place;
}

static int read(builder *b, const glia_node *n) { return read_as(b, n, false); }

/* True if a step or a reduction of the group reads the node. */
static bool is_read(const glia_group *g, const glia_node *node) {
    for (int i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i] != g->anchor && index_of(g->nodes[i]->in, g->nodes[i]->n_in, node) >= 0) return true;
    }
    return false;
}

/* How many steps, outputs and reductions of the group read the node. */
static int uses_of(const glia_group *g, const glia_node *node) {
    int uses = index_of(g->outputs, g->n_outputs, node) >= 0;
    for (int i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i] == g->anchor) continue;
        for (int k = 0; k < g->nodes[i]->n_in; k++) uses += g->nodes[i]->in[k] == node;
    }
    return uses;
}

/* True if a value of the group is one float for a whole row. */
static bool is_single(const builder *b, const glia_node *n) {
    double x;
    if (glia_is_constant_scalar(n, &x)) return true;
    if (n == b->group->anchor) return false;
    int i = index_of(b->group->nodes, b->group->n_nodes, n);
    if (i < 0 && (i = index_of(b->group->inputs, b->group->n_inputs, n)) >= 0) return b->values[b->of_input[i]].single;
    if (i < 0) return false;
    if (b->of_node[i] >= 0) return b->values[b->of_node[i]].single;
    for (int k = 0; k < n->n_in; k++) {
        if (!is_single(b, n->in[k])) return false;
    }
    return true;
}

/* Finds products that the step of a sum or difference can take over. */
static void swallow_products(builder *b) {
    const glia_group *g = b->group;
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        if (n->dtype != GLIA_F32 || (n->op != &glia_op_add && n->op != &glia_op_sub)) continue;
        for (int k = 0; k < 2; k++) {
            int at = index_of(g->nodes, g->n_nodes, n->in[k]);
            const glia_node *m = at < 0 ? NULL : g->nodes[at];
            if (!m || m->op != &glia_op_mul || m == g->anchor || uses_of(g, m) != 1) continue;
            if (is_single(b, m->in[0]) && is_single(b, m->in[1])) continue;
            b->swallowed[at] = true;
            break;
        }
    }
}

static int emit_sum(builder *b, const glia_node *n) {
    const glia_group *g = b->group;
    for (int k = 0; k < 2; k++) {
        int at = index_of(g->nodes, g->n_nodes, n->in[k]);
        if (at < 0 || !b->swallowed[at]) continue;
        int x = read(b, g->nodes[at]->in[0]), y = read(b, g->nodes[at]->in[1]), z = read(b, n->in[1 - k]);
        if (b->values[x].single) {
            int swap = x;
            x = y, y = swap;
        }
        return emit(b, n->op == &glia_op_add ? "muladd" : k == 0 ? "mulsub" : "submul", x, y, z);
    }
    int x = read(b, n->in[0]), y = read(b, n->in[1]);
    return emit(b, n->op->name, x, y, -1);
}

static int emit_pow(builder *b, const glia_node *n) {
    int x = read(b, n->in[0]), y = read(b, n->in[1]);
    if (b->values[y].kind == IMMEDIATE) {
        float exponent = b->loop->immediates[b->values[y].index];
        if (exponent == 2) return emit(b, "mul", x, x, -1);
        if (exponent == 1) return x;
        if (exponent == -1) return emit(b, "div", new_immediate(b, 1, GLIA_F32), x, -1);
    }
    return emit(b, "pow", x, y, -1);
}

/* The value of an elementwise node. */
static int emit_node(builder *b, const glia_node *n) {
    if (n->op == &glia_op_add || n->op == &glia_op_sub) return emit_sum(b, n);
    if (n->op == &glia_op_pow) return emit_pow(b, n);
    if (n->op == &glia_op_stop_gradient) return read(b, n->in[0]);
    if (n->op == &glia_op_cast) {
        int x = read(b, n->in[0]);
        bool truth = n->dtype == GLIA_BOOL && n->in[0]->dtype != GLIA_BOOL;
        return truth ? emit(b, "not_equal", x, new_immediate(b, 0, GLIA_F32), -1) : x;
    }
    const glia_tile *compare = compares_i32(b->kernels, n);
    int in[3] = { -1, -1, -1 };
    for (int i = 0; i < n->n_in; i++) in[i] = read_as(b, n->in[i], compare != NULL);
    return emit_tile(b, compare ? compare : b->kernels->tile_named(n->op->name), in[0], in[1], in[2]);
}

/* True if an operand in memory at this address is read by step `from` or later: reductions read last of all. */
static bool is_read_later(const builder *b, const void *address, int from) {
    for (int s = from; s < b->n_steps; s++) {
        for (int k = 0; k < 3; k++) {
            int v = b->steps[s].in[k];
            if (v < 0 || b->values[v].kind != OPERAND) continue;
            if (b->loop->operands[b->values[v].index].base == address) return true;
        }
    }
    for (int r = 0; r < b->loop->n_reductions; r++) {
        const value *v = &b->values[b->loop->reductions[r].slot];
        if (v->kind == OPERAND && b->loop->operands[v->index].base == address) return true;
    }
    return false;
}

/* Puts a step that stores behind the steps so far, or, if nothing else reads where it would lie, into the step that
 * computes the value. */
static void emit_output(builder *b, int v, int output) {
    const glia_loop_operand *o = &b->loop->operands[output];
    int d = new_value(b, (value){ .kind = OPERAND, .index = output });
    if (o->size != sizeof(float)) {
        emit_to(b, b->kernels->tile_named("store_bool"), d, spread(b, v), -1, -1);
        return;
    }
    int made = -1;
    for (int s = 0; s < b->n_steps; s++) {
        if (b->steps[s].d == v) made = s;
    }
    bool direct = made >= 0 && !b->values[v].single && b->values[v].index < 0 && !is_read_later(b, o->base, made + 1);
    if (direct) {
        b->values[v].index = output;
    } else {
        emit_to(b, b->kernels->tile_named(b->values[v].single ? "fill" : "copy"), d, v, -1, -1);
    }
}

/* ---- 3. registers -------------------------------------------------------------------------------- */

static int take_register(bool *busy, glia_loop *l) {
    int r = 0;
    while (busy[r]) r++;
    busy[r] = true;
    l->n_registers = GLIA_MAX(l->n_registers, r + 1);
    return r;
}

static void find_last_uses(builder *b) {
    for (int s = 0; s < b->n_steps; s++) {
        b->values[b->steps[s].d].last_use = s;
        for (int k = 0; k < 3; k++) {
            if (b->steps[s].in[k] >= 0) b->values[b->steps[s].in[k]].last_use = s;
        }
    }
    for (int r = 0; r < b->loop->n_reductions; r++) b->values[b->loop->reductions[r].slot].last_use = b->n_steps;
}

/* May the step's result lie where an operand does that it reads last? Not if it reads anything but floats. */
static bool works_in_place(const builder *b, const draft_step *step) {
    for (int k = 0; k < 3; k++) {
        if (step->in[k] >= 0 && b->values[step->in[k]].dtype != GLIA_F32) return false;
    }
    return true;
}

/* A register for each value that lies in none of the operands. */
static void give_registers(builder *b, bool *busy) {
    glia_loop *l = b->loop;
    for (int v = 0; v < b->n_values; v++) {
        value *x = &b->values[v];
        if (x->kind == OPERAND && l->operands[x->index].mode >= GLIA_LOOP_EXPAND) x->reg = take_register(busy, l);
    }
    for (int s = 0; s < b->n_steps; s++) {
        draft_step *step = &b->steps[s];
        value *d = &b->values[step->d];
        bool in_place = works_in_place(b, step), needs = d->kind == RESULT && d->index < 0;
        if (needs && !in_place) d->reg = take_register(busy, l);
        for (int k = 0; k < 3; k++) {
            value *x = step->in[k] < 0 ? NULL : &b->values[step->in[k]];
            bool repeats = x && x->kind == OPERAND && l->operands[x->index].mode == GLIA_LOOP_REPEAT;
            if (x && x->reg >= 0 && x->last_use == s && !repeats) busy[x->reg] = false;
        }
        if (needs && in_place) d->reg = take_register(busy, l);
        if (needs && d->last_use == s) busy[d->reg] = false; /* nobody reads it */
    }
}

static uint16_t slot_of(const builder *b, int v) {
    const glia_loop *l = b->loop;
    if (v < 0) return 0;
    const value *x = &b->values[v];
    if (x->reg >= 0) return (uint16_t)x->reg;
    if (x->kind == IMMEDIATE) return (uint16_t)(l->n_registers + x->index);
    return (uint16_t)(l->n_registers + l->n_immediates + x->index);
}

static void finish_steps(builder *b) {
    glia_loop *l = b->loop;
    l->n_slots = l->n_registers + l->n_immediates + l->n_operands;
    for (int i = 0; i < l->n_operands; i++) l->operands[i].slot = (uint16_t)(l->n_registers + l->n_immediates + i);
    for (int v = 0; v < b->n_values; v++) {
        if (b->values[v].kind == OPERAND && b->values[v].reg >= 0) l->operands[b->values[v].index].slot = slot_of(b, v);
    }
    l->n_steps = b->n_steps;
    for (int s = 0; s < b->n_steps; s++) {
        const draft_step *from = &b->steps[s];
        unsigned form = 0;
        for (int k = 0; k < 3 && !from->single; k++) {
            form |= (unsigned)(from->in[k] >= 0 && b->values[from->in[k]].single) << k;
        }
        l->steps[s] = (glia_loop_step){ .fn = from->tile->form[form],
                                        .single = from->single,
                                        .d = slot_of(b, from->d),
                                        .a = slot_of(b, from->in[0]),
                                        .b = slot_of(b, from->in[1]),
                                        .c = slot_of(b, from->in[2]) };
    }
    for (int r = 0; r < l->n_reductions; r++) l->reductions[r].slot = slot_of(b, l->reductions[r].slot);
}

/* ---- 4. tiles and pieces ------------------------------------------------------------------------- */

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static void choose_tile(glia_loop *l) {
    int64_t streams = l->n_registers + l->n_reductions;
    for (int i = 0; i < l->n_operands; i++) streams += l->operands[i].mode == GLIA_LOOP_FULL;
    int64_t tile = GLIA_LOOP_TILE;
    while (tile > SHORTEST_TILE && streams * tile * (int64_t)sizeof(float) > L1_BYTES) tile /= 2;
    const int64_t row = l->dim[l->rank - 1];
    if (l->short_rows) {
        l->tile = tile / row * row;
    } else { /* parts of a row of about the same length */
        l->tile = ceil_div(ceil_div(row, ceil_div(row, tile)), GLIA_LOOP_PAD) * GLIA_LOOP_PAD;
        if (l->rank == 1 && row > tile) l->tile = tile;
    }
}

static void choose_kept_strides(builder *b) {
    glia_loop *l = b->loop;
    l->n_results = 1;
    for (int k = l->rank - 1; k >= 0; k--) {
        l->kept_stride[k] = b->apart[k] ? 0 : l->n_results;
        if (!b->apart[k]) l->n_results *= l->dim[k];
    }
}

static void split_at(glia_loop *l, glia_loop_way way, int dim, int64_t pieces) {
    l->way = way;
    l->split = dim;
    l->chunk = ceil_div(l->dim[dim], GLIA_MIN(pieces, l->dim[dim]));
    if (dim == l->rank - 1) l->chunk = ceil_div(l->chunk, SHORTEST_TILE) * SHORTEST_TILE;
    l->pieces = ceil_div(l->dim[dim], l->chunk);
}

/* Cuts a space that is reduced, into about as many pieces. */
static void split_reduction(builder *b, int64_t pieces) {
    glia_loop *l = b->loop;
    const int last = l->short_rows ? l->rank - 2 : l->rank - 1; /* short rows are not cut */
    int kept = -1, reduced = -1, n_outer_kept = 0;
    for (int k = 0; k <= last; k++) {
        if (!b->apart[k] && kept < 0) kept = k;
        bool better = reduced < 0 || (l->dim[reduced] < FEW_PARTS && l->dim[k] > l->dim[reduced]);
        if (b->apart[k] && better) reduced = k; /* the outermost that can be shared well, or the longest */
    }
    while (n_outer_kept < l->rank && !b->apart[n_outer_kept]) n_outer_kept++;
    const int64_t rows = l->total / l->dim[l->rank - 1];
    if (n_outer_kept == l->rank - 1 && l->rank > 1 && b->apart[l->rank - 1] && (rows >= pieces || rows >= 16)) {
        l->way = GLIA_LOOP_ROWS;
        l->chunk = ceil_div(rows, pieces);
        l->pieces = ceil_div(rows, l->chunk);
    } else if (kept == 0 && (l->dim[0] >= pieces || reduced < 0 || l->n_results > MOST_PARTS)) {
        split_at(l, GLIA_LOOP_SLICES, 0, pieces);
    } else if (reduced >= 0 && (l->n_results <= MOST_PARTS || kept < 0)) {
        split_at(l, GLIA_LOOP_PARTS, reduced, pieces);
    } else {
        split_at(l, GLIA_LOOP_SLICES, kept, pieces);
    }
}

/* True if a result takes the place of an operand that other pieces, or later rows, may still read: an operand that is
 * walked otherwise than the results are. */
static bool overwrites(const glia_loop *l) {
    for (int r = 0; r < l->n_reductions; r++) {
        for (int i = 0; i < l->n_operands; i++) {
            const glia_loop_operand *o = &l->operands[i];
            const bool same_walk = memcmp(o->stride, l->kept_stride, (size_t)l->rank * sizeof *o->stride) == 0;
            if (o->base == (char *)l->reductions[r].out && !same_walk) return true;
        }
    }
    return false;
}

static void cut(builder *b) {
    glia_loop *l = b->loop;
    int64_t grain = (int64_t)65536 / (l->n_steps + 3);
    grain = GLIA_MAX(4096, GLIA_MIN(16384, grain));
    const int64_t pieces = GLIA_MIN(MOST_PIECES, GLIA_MAX(1, l->total / grain));
    choose_kept_strides(b);
    if (l->n_reductions && overwrites(l)) {
        split_at(l, GLIA_LOOP_PARTS, 0, 1); /* all results at the very end */
    } else if (l->n_reductions) {
        split_reduction(b, pieces);
    } else {
        l->way = GLIA_LOOP_NONE;
        l->chunk = ceil_div(ceil_div(l->total, pieces), l->tile) * l->tile;
        l->pieces = ceil_div(l->total, l->chunk);
    }
}

/* ---- all together -------------------------------------------------------------------------------- */

static size_t aligned(size_t bytes) { return (bytes + GLIA_ALIGN - 1) / GLIA_ALIGN * GLIA_ALIGN; }

/* At most, over all that the builder may decide: no allocation is needed to know it. */
size_t glia_program_scratch(const glia_group *g, int workers) {
    size_t nodes = (size_t)g->n_nodes, inputs = (size_t)g->n_inputs, reductions = 0, sums = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        if (!glia_program_reduces(g->nodes[i])) continue;
        size_t results = (size_t)glia_shape_count(g->nodes[i]->shape);
        reductions++;
        sums += aligned(results * sizeof(double) * (results <= MOST_PARTS ? MOST_PIECES : 1)) +
                MOST_PIECES * sizeof(double);
    }
    size_t registers = 3 * nodes + 2 * inputs + reductions + 4;
    size_t tiles = GLIA_MAX((size_t)L1_BYTES, registers * SHORTEST_TILE * sizeof(float));
    size_t padding = registers * 2 * GLIA_LOOP_PAD * sizeof(float);
    size_t head = (registers + 4 * nodes + 4 * inputs + (size_t)g->n_outputs + reductions + 16) * 8;
    size_t single_tile = (GLIA_LOOP_TILE + 2 * GLIA_LOOP_PAD) * sizeof(float);
    return sums + (size_t)workers * aligned(tiles + padding + single_tile + head + 4 * GLIA_ALIGN) + GLIA_ALIGN;
}

static bool allocate(builder *b) {
    const glia_group *g = b->group;
    glia_loop *l = b->loop;
    size_t nodes = (size_t)g->n_nodes + 1, inputs = (size_t)g->n_inputs + 1, outputs = (size_t)g->n_outputs + 1;
    size_t values = 6 * nodes + 3 * inputs + 3 * outputs + 16;
    b->values = glia_arena_alloc(b->arena, values * sizeof *b->values);
    b->steps = glia_arena_alloc(b->arena, values * sizeof *b->steps);
    b->of_node = glia_arena_alloc(b->arena, nodes * sizeof *b->of_node);
    b->of_input = glia_arena_alloc(b->arena, inputs * sizeof *b->of_input);
    b->output_values = glia_arena_alloc(b->arena, outputs * sizeof *b->output_values);
    b->swallowed = glia_arena_alloc(b->arena, nodes * sizeof *b->swallowed);
    l->steps = glia_arena_alloc(b->arena, values * sizeof *l->steps);
    l->operands = glia_arena_alloc(b->arena, (nodes + inputs + outputs + 1) * sizeof *l->operands);
    l->reductions = glia_arena_alloc(b->arena, nodes * sizeof *l->reductions);
    l->immediates = glia_arena_alloc(b->arena, (2 * nodes + 2) * sizeof *l->immediates);
    return b->values && b->steps && b->of_node && b->of_input && b->output_values && b->swallowed && l->steps &&
           l->operands && l->reductions && l->immediates;
}

/* Operands for all that is read from memory or written to it, so that the space can be collapsed. */
static void add_operands(builder *b, int *outputs) {
    const glia_group *g = b->group;
    double x;
    for (int i = 0; i < g->n_inputs; i++) {
        bool read = is_read(g, g->inputs[i]) && glia_shape_equal(g->inputs[i]->shape, g->space);
        b->of_input[i] = read ? new_operand(b, g->inputs[i]) : -1;
    }
    b->of_anchor = g->kind == GLIA_GROUP_EPILOGUE ? new_operand(b, g->anchor) : -1;
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        b->of_node[i] = -1;
        if (n == g->anchor) continue;
        if (n->op == &glia_op_broadcast && !glia_is_constant_scalar(n->in[0], &x))
            b->of_node[i] = new_operand(b, n->in[0]);
        const glia_reduce_attrs *attrs = n->attrs;
        if (!glia_program_reduces(n)) continue;
        for (int k = 0; k < g->space.rank; k++) b->apart[k] = glia_axes_contain(&attrs->axes, k);
    }
    for (int i = 0; i < g->n_outputs; i++) {
        const glia_node *n = g->outputs[i];
        outputs[i] = n == g->anchor || glia_program_reduces(n) ? -1 : new_operand(b, n);
        if (outputs[i] >= 0) b->loop->operands[outputs[i]].written = true;
    }
}

/* From operands to values that steps read. */
static int operand_value(builder *b, int operand, glia_dtype dtype) {
    const glia_loop_operand *o = &b->loop->operands[operand];
    const bool single =
        o->mode == GLIA_LOOP_SCALAR || (o->mode == GLIA_LOOP_POINT && o->stride[b->loop->rank - 1] == 0);
    return new_value(b, (value){ .kind = OPERAND, .index = operand, .single = single, .dtype = dtype });
}

static void add_values(builder *b) {
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
            b->of_node[i] = new_immediate(b, x, source->dtype == GLIA_I32 ? GLIA_I32 : GLIA_F32);
    }
}

/* A value that is read when outputs are being written, or after: it must not lie where one of them does. */
static int late_value(builder *b, const glia_node *n, const int *outputs) {
    int v = read(b, n);
    const value *x = &b->values[v];
    for (int i = 0; i < b->group->n_outputs && x->kind == OPERAND; i++) {
        const glia_loop_operand *o = b->loop->operands;
        if (outputs[i] >= 0 && o[outputs[i]].base == o[x->index].base) return emit(b, "copy", v, -1, -1);
    }
    return v;
}

static void add_steps(builder *b, const int *outputs) {
    const glia_group *g = b->group;
    glia_loop *l = b->loop;
    swallow_products(b);
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        if (b->of_node[i] >= 0 || b->swallowed[i] || n == g->anchor) continue;
        if (!glia_program_reduces(n)) {
            b->of_node[i] = emit_node(b, n);
            continue;
        }
        glia_loop_sum kind = n->op == &glia_op_sum   ? GLIA_LOOP_SUM
                             : n->op == &glia_op_max ? GLIA_LOOP_MAX
                                                     : GLIA_LOOP_PROD;
        int v = spread(b, late_value(b, n->in[0], outputs));
        l->reductions[l->n_reductions++] =
            (glia_loop_reduction){ .kind = kind, .slot = (uint16_t)v, .out = b->plan->address[n->id] };
    }
    int *values = b->output_values;
    for (int i = 0; i < g->n_outputs; i++) values[i] = outputs[i] < 0 ? -1 : late_value(b, g->outputs[i], outputs);
    for (int i = 0; i < g->n_outputs; i++) {
        if (outputs[i] >= 0) emit_output(b, values[i], outputs[i]);
    }
}

static void place_scratch(glia_loop *l, void *scratch) {
    size_t parts = l->way == GLIA_LOOP_PARTS ? (size_t)l->pieces : l->way == GLIA_LOOP_SLICES;
    size_t sums = (size_t)l->n_reductions * parts * (size_t)l->n_results * sizeof(double);
    l->sums = scratch;
    l->workers = (char *)scratch + aligned(sums);
    l->worker_bytes = aligned(glia_loop_worker_bytes(l));
}

glia_status glia_program_build(const glia_program_plan *plan, glia_arena *arena, glia_loop *loop, glia_error *error) {
    const glia_group *group = plan->group;
    builder b = { .plan = plan, .kernels = plan->kernels, .group = group, .arena = arena, .loop = loop };
    *loop = (glia_loop){ 0 };
    int *outputs = glia_arena_alloc(arena, ((size_t)group->n_outputs + 1) * sizeof *outputs);
    if (!outputs || !allocate(&b)) return glia_fail_nomem(error);
    add_operands(&b, outputs);
    collapse(&b);
    choose_modes(&b);
    add_values(&b);
    add_steps(&b, outputs);
    if (b.lost) return glia_fail(error, GLIA_E_INTERNAL, "a group reads a value that is not among its inputs");
    find_last_uses(&b);
    bool *busy = glia_arena_alloc(arena, (size_t)b.n_values + 1);
    if (!busy) return glia_fail_nomem(error);
    give_registers(&b, busy);
    finish_steps(&b);
    choose_tile(loop);
    cut(&b);
    place_scratch(loop, plan->scratch);
    return GLIA_OK;
}
