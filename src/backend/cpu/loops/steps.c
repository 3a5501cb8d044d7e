/* steps.c - turns the nodes of a group into the steps of its loop program.
 *
 * A node becomes a step on values that have no register yet. Some chains of nodes become a single step, a compound,
 * because every step walks over the tile once. Patterns in prefix notation describe the compounds.
 */
#include <stdio.h>
#include <string.h>

#include "backend/cpu/loops/draft.h"
#include "core/ops/ops.h"

typedef glia_draft_value value;

/* The tile functions of compounds and the patterns they compute, larger ones first. Letters are operands, in the order
 * a, b, c, e. A, B, C, E are scalar, a is not, b, c, e may be either. */
static const struct {
    const char *tile, *pattern;
} patterns[] = {
    { "subdiv", "sub a div mul b E c" },          /* Adam: w - m rate / root */
    { "mixsquare", "add mul a C mul mul b b E" }, /* Adam: v beta2 + g^2 (1 - beta2) */
    { "mix", "add mul a C mul b E" },             /* moving averages */
    { "rootadd", "add mul sqrt a B C" },          /* Adam: sqrt(v) scale + epsilon */
    { "scaleshift", "add mul sub a b c e" },      /* normalisation */
    { "clampadd", "minimum maximum add a b C E" }, /* bias and relu6 */
    { "addaddmax", "maximum add add a b c E" },   /* bias, shortcut and relu */
    { "addmax", "maximum add a b C" },            /* bias and relu */
    { "muladd", "add mul a b c" },
    { "mulsub", "sub mul a b c" },
    { "submul", "sub c mul a b" },
};

/* Tile functions with two results: both elementwise ops of the same value. */
static const struct {
    const char *tile, *first, *second;
} pairs[] = {
    { "gelu_pair", "gelu", "gelu_slope" },
    { "gelu_tanh_pair", "gelu_tanh", "gelu_tanh_slope" },
};

/* ---- what a group's nodes are ---------------------------------------------------------------- */

int glia_index_of(glia_node *const *nodes, int n, const glia_node *node) {
    for (int i = 0; i < n; i++) {
        if (nodes[i] == node) return i;
    }
    return -1;
}

/* True if a member reads the node, directly or through a broadcast. */
static bool is_read_inside(const glia_group *g, const glia_node *node) {
    for (int i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i] != g->anchor && glia_index_of(g->nodes[i]->in, g->nodes[i]->n_in, node) >= 0) return true;
    }
    return false;
}

bool glia_draft_reduces_rows(const glia_group *g, const glia_node *node) {
    if (g->kind != GLIA_GROUP_LOOP || !glia_program_reduces_rows(node)) return false;
    const glia_reduce_attrs *attrs = node->attrs;
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        if (!glia_program_reduces(n)) continue;
        if (glia_program_reduces_rows(n) && is_read_inside(g, n)) return true;
        if (!glia_shape_equal(((const glia_reduce_attrs *)n->attrs)->axes, attrs->axes)) return true;
    }
    return false;
}

/* How many steps, outputs and reductions of the group read the node. */
static int uses_of(const glia_group *g, const glia_node *node) {
    int uses = glia_index_of(g->outputs, g->n_outputs, node) >= 0;
    for (int i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i] == g->anchor) continue;
        for (int k = 0; k < g->nodes[i]->n_in; k++) uses += g->nodes[i]->in[k] == node;
    }
    return uses;
}

/* The span of a member or input of the group, computed before there are steps. */
static glia_loop_span span_of(const glia_draft *b, const glia_node *n) {
    const glia_group *g = b->group;
    double x;
    if (glia_is_constant_scalar(n, &x)) return GLIA_LOOP_ONE;
    int i = n == g->anchor ? -1 : glia_index_of(g->nodes, g->n_nodes, n);
    if (i >= 0) return b->spans[i];
    i = glia_index_of(g->inputs, g->n_inputs, n);
    return i < 0 || b->of_input[i] < 0 ? GLIA_LOOP_TILED : b->values[b->of_input[i]].span;
}

static void find_spans(glia_draft *b) {
    const glia_group *g = b->group;
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        if (b->of_node[i] >= 0) {
            b->spans[i] = b->values[b->of_node[i]].span;
        } else if (glia_program_reduces(n) && b->sums_rows) {
            b->spans[i] = GLIA_LOOP_ROWS;
        } else {
            b->spans[i] = GLIA_LOOP_ONE;
            for (int k = 0; k < n->n_in; k++) b->spans[i] = GLIA_MAX(b->spans[i], span_of(b, n->in[k]));
        }
    }
}

/* ---- values and steps -------------------------------------------------------------------------- */

int glia_draft_value_new(glia_draft *b, value v) {
    v.last_use = -1;
    v.reg = -1;
    b->values[b->n_values] = v;
    return b->n_values++;
}

int glia_draft_immediate(glia_draft *b, double number, glia_dtype dtype) {
    glia_loop_args *l = b->loop;
    float x = (float)number;
    if (dtype == GLIA_I32) glia_from_double(dtype, &number, &x, 1);
    for (int i = 0; i < b->n_values; i++) {
        if (b->values[i].kind == GLIA_IMMEDIATE && b->values[i].dtype == dtype &&
            memcmp(&l->immediates[b->values[i].index], &x, sizeof x) == 0)
            return i;
    }
    l->immediates[l->n_immediates] = x;
    return glia_draft_value_new(b, (value){ .kind = GLIA_IMMEDIATE, .index = l->n_immediates++, .dtype = dtype });
}

static const glia_tile *tile_named(const glia_draft *b, const char *name) { return b->kernels->tile_named(name); }

static void add_step(glia_draft *b, glia_draft_step step) { b->steps[b->n_steps++] = step; }

/* A bit for each operand that is scalar in a step of this span; indexes glia_tile.form. */
static unsigned form_of(const glia_draft *b, const int in[GLIA_TILE_OPERANDS], glia_loop_span span) {
    unsigned form = 0;
    for (int k = 0; k < GLIA_TILE_OPERANDS; k++) form |= (unsigned)(in[k] >= 0 && b->values[in[k]].span < span) << k;
    return form;
}

/* The value broadcast to this span. */
static int spread(glia_draft *b, int v, glia_loop_span span) {
    if (b->values[v].span >= span) return v;
    int d = glia_draft_value_new(b, (value){ .kind = GLIA_RESULT, .index = -1, .span = span });
    add_step(b, (glia_draft_step){
                    .tile = tile_named(b, "fill"), .d = d, .in = { v, -1, -1, -1 }, .also = -1, .span = span });
    return d;
}

/* Emits a step whose result is value d. Broadcasts operands until the tile has a form for them; the form without
 * scalars always exists. */
static int emit_to(glia_draft *b, const glia_tile *tile, int d, const int in[GLIA_TILE_OPERANDS]) {
    glia_draft_step s = { .tile = tile, .d = d, .also = -1, .span = b->values[d].span };
    memcpy(s.in, in, sizeof s.in);
    for (int k = 0; !tile->form[form_of(b, s.in, s.span)]; k++) {
        if (s.in[k] >= 0) s.in[k] = spread(b, s.in[k], s.span);
    }
    add_step(b, s);
    return d;
}

static int emit_tile(glia_draft *b, const glia_tile *tile, const int in[GLIA_TILE_OPERANDS]) {
    glia_loop_span span = GLIA_LOOP_ONE;
    for (int k = 0; k < GLIA_TILE_OPERANDS; k++) {
        if (in[k] >= 0) span = GLIA_MAX(span, b->values[in[k]].span);
    }
    return emit_to(b, tile, glia_draft_value_new(b, (value){ .kind = GLIA_RESULT, .index = -1, .span = span }), in);
}

static int emit1(glia_draft *b, const char *name, int a) {
    return emit_tile(b, tile_named(b, name), (const int[]){ a, -1, -1, -1 });
}
static int emit2(glia_draft *b, const char *name, int a, int c) {
    return emit_tile(b, tile_named(b, name), (const int[]){ a, c, -1, -1 });
}

/* The value of a node that a step reads; raw: in its stored dtype (such as i32 or bool), else as floats. */
static int read_as(glia_draft *b, const glia_node *n, bool raw) {
    const glia_group *g = b->group;
    double x = 0;
    int at = glia_index_of(g->nodes, g->n_nodes, n);
    int *place = at >= 0 ? &b->of_node[at] : NULL;
    if (n == g->anchor) place = &b->of_anchor;
    if (!place && (at = glia_index_of(g->inputs, g->n_inputs, n)) >= 0) place = &b->of_input[at];
    if (!place || *place < 0) {
        b->lost = b->lost || !glia_is_constant_scalar(n, &x);
        return glia_draft_immediate(b, x, raw ? n->dtype : GLIA_F32);
    }
    const glia_dtype dtype = b->values[*place].dtype;
    if (raw) return *place;
    if (dtype == GLIA_I32) return emit1(b, "load_i32", *place);
    if (dtype != GLIA_F32) *place = emit1(b, dtype == GLIA_I8 ? "load_i8" : "load_u8", *place);
    return *place;
}

static int read(glia_draft *b, const glia_node *n) { return read_as(b, n, false); }

/* ---- compounds ---------------------------------------------------------------------------------- */

typedef struct matcher {
    const glia_draft *b;
    const glia_node *in[GLIA_TILE_OPERANDS]; /* by letter */
    int inner[8], n_inner;                   /* indices of members below the root */
} matcher;

/* True if the member can be computed inside the step of the member that reads it. */
static bool can_vanish(const glia_draft *b, int i) {
    const glia_group *g = b->group;
    const glia_node *n = g->nodes[i];
    return n != g->anchor && n->dtype == GLIA_F32 && b->of_node[i] < 0 && !b->swallowed[i] &&
           span_of(b, n) == GLIA_LOOP_TILED && uses_of(g, n) == 1;
}

static bool match_letter(matcher *m, char letter, const glia_node *n) {
    static const char small[] = "abce", capital[] = "ABCE";
    const glia_loop_span span = span_of(m->b, n);
    const char *at = strchr(small, letter);
    if (!at && span == GLIA_LOOP_TILED) return false;
    if (letter == 'a' && span < GLIA_LOOP_TILED) return false;
    const glia_node **in = &m->in[at ? at - small : strchr(capital, letter) - capital];
    if (*in && *in != n) return false;
    *in = n;
    return true;
}

/* Matches n against the pattern at *text and moves *text past it. */
static bool match(matcher *m, const glia_node *n, const char **text, bool root) {
    const glia_group *g = m->b->group;
    const size_t length = strcspn(*text, " ");
    const char *word = *text;
    *text += length + (word[length] == ' ');
    if (length == 1) return match_letter(m, *word, n);
    if (strlen(n->op->name) != length || strncmp(n->op->name, word, length) != 0) return false;
    const int i = glia_index_of(g->nodes, g->n_nodes, n);
    if (!root) {
        if (i < 0 || m->n_inner == GLIA_COUNT(m->inner) || !can_vanish(m->b, i)) return false;
        m->inner[m->n_inner++] = i;
    }
    const matcher before = *m;
    const char *behind = *text;
    bool matches = true;
    for (int k = 0; k < n->n_in && matches; k++) matches = match(m, n->in[k], text, false);
    if (matches || n->n_in != 2 || !(n->op->flags & GLIA_OP_COMMUTES)) return matches;
    *m = before;
    *text = behind;
    return match(m, n->in[1], text, false) && match(m, n->in[0], text, false);
}

static bool find_compound(glia_draft *b, int i) {
    for (int p = 0; p < GLIA_COUNT(patterns); p++) {
        matcher m = { .b = b };
        const char *text = patterns[p].pattern;
        if (!match(&m, b->group->nodes[i], &text, true)) continue;
        const glia_tile *tile = tile_named(b, patterns[p].tile);
        unsigned form = 0;
        for (int k = 0; k < GLIA_TILE_OPERANDS; k++) {
            form |= (unsigned)(m.in[k] && span_of(b, m.in[k]) < GLIA_LOOP_TILED) << k;
        }
        if (!tile->form[form]) continue;
        for (int k = 0; k < m.n_inner; k++) b->swallowed[m.inner[k]] = true;
        b->compounds[i].tile = tile;
        memcpy(b->compounds[i].in, m.in, sizeof m.in);
        return true;
    }
    return false;
}

/* True if member i is op `op` and not yet part of a step or compound. */
static bool is_free(const glia_draft *b, int i, const char *op) {
    const glia_node *n = b->group->nodes[i];
    return n != b->group->anchor && n->dtype == GLIA_F32 && !strcmp(n->op->name, op) && b->of_node[i] < 0 &&
           !b->swallowed[i] && !b->compounds[i].tile;
}

/* If a later member is the other op of a pair on the same value, makes both one step with two results. */
static void find_pair(glia_draft *b, int i) {
    const glia_group *g = b->group;
    for (int p = 0; p < GLIA_COUNT(pairs); p++) {
        const bool first = is_free(b, i, pairs[p].first);
        if (!first && !is_free(b, i, pairs[p].second)) continue;
        for (int k = i + 1; k < g->n_nodes; k++) {
            if (!is_free(b, k, first ? pairs[p].second : pairs[p].first)) continue;
            if (g->nodes[k]->in[0] != g->nodes[i]->in[0]) continue;
            b->compounds[i] = (glia_compound){
                .tile = tile_named(b, pairs[p].tile), .in = { g->nodes[i]->in[0] }, .other = k, .swaps = !first
            };
            return;
        }
    }
}

static void find_compounds(glia_draft *b) {
    const glia_group *g = b->group;
    for (int i = 0; i < g->n_nodes; i++) find_pair(b, i);
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const glia_node *n = g->nodes[i];
        const bool step = n != g->anchor && n->dtype == GLIA_F32 && b->of_node[i] < 0 && !b->swallowed[i];
        if (step && span_of(b, n) == GLIA_LOOP_TILED) find_compound(b, i);
    }
}

/* ---- from nodes to steps -------------------------------------------------------------------------- */

static int emit_compound(glia_draft *b, const glia_compound *c) {
    int in[GLIA_TILE_OPERANDS] = { -1, -1, -1, -1 };
    for (int k = 0; k < GLIA_TILE_OPERANDS; k++) {
        if (c->in[k]) in[k] = read(b, c->in[k]);
    }
    const int d = emit_tile(b, c->tile, in);
    if (c->other == 0) return d;
    const int also = glia_draft_value_new(b, (value){ .kind = GLIA_RESULT, .index = -1, .span = b->values[d].span });
    b->steps[b->n_steps - 1].also = also;
    b->of_node[c->other] = c->swaps ? d : also;
    return c->swaps ? also : d;
}

static int emit_pow(glia_draft *b, const glia_node *n) {
    int x = read(b, n->in[0]), y = read(b, n->in[1]);
    if (b->values[y].kind == GLIA_IMMEDIATE) {
        float exponent = b->loop->immediates[b->values[y].index];
        if (exponent == 2) return emit2(b, "mul", x, x);
        if (exponent == 1) return x;
        if (exponent == -1) return emit2(b, "div", glia_draft_immediate(b, 1, GLIA_F32), x);
    }
    return emit2(b, "pow", x, y);
}

/* A condition in memory is read there, as bytes. */
static int emit_select(glia_draft *b, const glia_node *n) {
    const int raw = read_as(b, n->in[0], true);
    const bool bytes = b->values[raw].dtype == GLIA_BOOL && b->values[raw].span == GLIA_LOOP_TILED;
    const int in[] = { bytes ? raw : read(b, n->in[0]), read(b, n->in[1]), read(b, n->in[2]), -1 };
    const glia_tile *tile = tile_named(b, bytes ? "select_u8" : "select");
    if (bytes && !tile->form[form_of(b, in, GLIA_LOOP_TILED)]) { /* both alternatives are scalar */
        return emit_tile(b, tile, (const int[]){ raw, spread(b, in[1], GLIA_LOOP_TILED), in[2], -1 });
    }
    return emit_tile(b, tile, in);
}

/* The tile function for this reduction of rows. */
static const glia_tile *of_rows(const glia_draft *b, const glia_node *n) {
    return tile_named(b, n->op == &glia_op_sum ? "row_sum" : n->op == &glia_op_max ? "row_max" : "row_prod");
}

/* Emits a reduction to one float for each row of the tile. */
static int emit_rows(glia_draft *b, const glia_node *n) {
    int x = read(b, n->in[0]);
    if (!b->sums_rows) return x; /* rows of one element */
    x = spread(b, x, GLIA_LOOP_TILED);
    int d = glia_draft_value_new(b, (value){ .kind = GLIA_RESULT, .index = -1, .span = GLIA_LOOP_ROWS });
    glia_draft_step s = { .tile = of_rows(b, n), .d = d, .in = { x, -1, -1, -1 }, .also = -1, .span = GLIA_LOOP_TILED };
    s.reduces = true;
    add_step(b, s);
    return d;
}

/* The value of a member that is not a reduction at the end of the program. */
static int emit_node(glia_draft *b, int i) {
    const glia_node *n = b->group->nodes[i];
    if (b->compounds[i].tile) return emit_compound(b, &b->compounds[i]);
    if (n->op == &glia_op_broadcast || n->op == &glia_op_stop_gradient) return read(b, n->in[0]);
    if (glia_program_reduces(n)) return emit_rows(b, n);
    if (n->op == &glia_op_pow) return emit_pow(b, n);
    if (n->op == &glia_op_select) return emit_select(b, n);
    if (n->op == &glia_op_cast) {
        int x = read(b, n->in[0]);
        bool truth = n->dtype == GLIA_BOOL && n->in[0]->dtype != GLIA_BOOL;
        return truth ? emit2(b, "not_equal", x, glia_draft_immediate(b, 0, GLIA_F32)) : x;
    }
    const glia_tile *compare = glia_draft_compares_i32(b->kernels, n);
    int in[GLIA_TILE_OPERANDS] = { -1, -1, -1, -1 };
    for (int k = 0; k < n->n_in; k++) in[k] = read_as(b, n->in[k], compare != NULL);
    return emit_tile(b, compare ? compare : tile_named(b, n->op->name), in);
}

/* ---- outputs ------------------------------------------------------------------------------------- */

/* True if step `from` or a later one reads an operand at this address; reductions read after all steps. */
static bool is_read_later(const glia_draft *b, const void *address, int from) {
    for (int s = from; s < b->n_steps; s++) {
        for (int k = 0; k < GLIA_TILE_OPERANDS; k++) {
            int v = b->steps[s].in[k];
            if (v < 0 || b->values[v].kind != GLIA_OPERAND) continue;
            if (b->loop->operands[b->values[v].index].base == address) return true;
        }
    }
    for (int r = 0; r < b->loop->n_reductions; r++) {
        const value *v = &b->values[b->loop->reductions[r].slot];
        if (v->kind == GLIA_OPERAND && b->loop->operands[v->index].base == address) return true;
    }
    return false;
}

static bool is_read(const glia_draft *b, int v) {
    for (int s = 0; s < b->n_steps; s++) {
        for (int k = 0; k < GLIA_TILE_OPERANDS; k++) {
            if (b->steps[s].in[k] == v) return true;
        }
    }
    for (int r = 0; r < b->loop->n_reductions; r++) {
        if (b->loop->reductions[r].slot == v) return true;
    }
    return false;
}

/* The tile function that stores this one's truth values as bytes; NULL: there is none. */
static const glia_tile *with_bytes(const glia_draft *b, const glia_tile *tile) {
    char name[32];
    snprintf(name, sizeof name, "%s_bool", tile->name);
    return tile_named(b, name);
}

/* Stores a value: the step that computes it writes to memory directly if nothing else still reads that memory;
 * otherwise appends a copying step. */
static void emit_output(glia_draft *b, int v, int output) {
    const glia_loop_operand *o = &b->loop->operands[output];
    const bool bytes = o->size != sizeof(float);
    const glia_loop_span span = glia_draft_operand_span(b->loop, o);
    int d = glia_draft_value_new(b, (value){ .kind = GLIA_OPERAND, .index = output, .span = span });
    int made = -1;
    for (int s = 0; s < b->n_steps; s++) {
        if (b->steps[s].d == v || b->steps[s].also == v) made = s;
    }
    const value *x = &b->values[v];
    const bool direct = made >= 0 && x->span == span && x->index < 0 && !is_read_later(b, o->base, made + 1);
    const glia_tile *tile = bytes && direct && !is_read(b, v) ? with_bytes(b, b->steps[made].tile) : NULL;
    if (tile) {
        b->steps[made].tile = tile;
        b->steps[made].d = d;
    } else if (bytes) {
        emit_to(b, tile_named(b, "store_bool"), d, (const int[]){ spread(b, v, span), -1, -1, -1 });
    } else if (direct) {
        b->values[v].index = output;
    } else {
        emit_to(b, tile_named(b, x->span < span ? "fill" : "copy"), d, (const int[]){ v, -1, -1, -1 });
    }
}

/* A value that is read during or after the output steps: it must not be in memory that an output overwrites. */
static int late_value(glia_draft *b, const glia_node *n) {
    int v = read(b, n);
    const value *x = &b->values[v];
    for (int i = 0; i < b->group->n_outputs && x->kind == GLIA_OPERAND; i++) {
        const glia_loop_operand *o = b->loop->operands;
        if (b->outputs[i] >= 0 && o[b->outputs[i]].base == o[x->index].base) return emit1(b, "copy", v);
    }
    return v;
}

static void add_reduction(glia_draft *b, const glia_node *n) {
    glia_loop_args *l = b->loop;
    const glia_loop_sum kind = glia_draft_reduction(n);
    const int v = spread(b, late_value(b, n->in[0]), GLIA_LOOP_TILED);
    l->reductions[l->n_reductions++] =
        (glia_loop_reduction){ .kind = kind,
                               .slot = (uint16_t)v,
                               .first = (uint16_t)l->n_arrays,
                               .of_rows = kind == GLIA_LOOP_VARIANCE ? NULL : of_rows(b, n)->form[0],
                               .out = b->plan->address[n->id] };
    l->n_arrays += kind == GLIA_LOOP_VARIANCE ? 2 : 1;
}

void glia_draft_steps(glia_draft *b) {
    const glia_group *g = b->group;
    find_spans(b);
    find_compounds(b);
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        if (b->of_node[i] >= 0 || b->swallowed[i] || n == g->anchor) continue;
        double x;
        if (glia_is_constant_scalar(n, &x)) continue;
        if (glia_program_reduces(n) && !glia_draft_reduces_rows(g, n))
            add_reduction(b, n);
        else
            b->of_node[i] = emit_node(b, i);
    }
    for (int i = 0; i < g->n_outputs; i++) b->late[i] = b->outputs[i] < 0 ? -1 : late_value(b, g->outputs[i]);
    for (int i = 0; i < g->n_outputs; i++) {
        if (b->outputs[i] >= 0) emit_output(b, b->late[i], b->outputs[i]);
    }
}
