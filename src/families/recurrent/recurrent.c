/* recurrent.c - recurrent layers: creates the leaves of the op `recurrent` and the product of all inputs before it,
 * concatenates directions, stacks layers.
 *
 * Internally sequences are time first, (T, N, F), as the op requires; they are permuted once at the input and once at
 * the output of the stack.
 *
 * Layer-normalised cells are loops (core/ops/scan.c) over sequences (N, T, F), without a permutation.
 */
#include <stdio.h>

#include "core/ops/recurrent.h"
#include "glia/recurrent.h"
#include "nn/layers/layers.h"

/* A stack of layers under construction; x is (T, N, F), or (N, T, F) if cells are layer-normalised. */
typedef struct stack {
    glia_graph *graph;
    const char *kind, *name; /* of the whole stack */
    glia_cell_kind cell;
    const glia_recurrent_opts *opts;
    glia_tensor x;
    int directions, layers;
} stack;

/* One direction of one layer: its settings and its results. */
typedef struct direction {
    const char *name;
    int index; /* of its states */
    bool reverse, sequence;
    glia_tensor h, c; /* the states before the first step; then those after the last */
} direction;

static int64_t outputs_of(const stack *s) { return s->opts->projection ? s->opts->projection : s->opts->units; }
static int64_t samples_of(const stack *s, glia_tensor x) { return x->shape.dim[s->opts->layer_norm ? 0 : 1]; }

/* ---- one direction ---------------------------------------------------------------------------- */

static glia_tensor bias_of(const stack *s, glia_layer *layer, int64_t rows) {
    glia_init init = s->opts->bias_init;
    if (s->cell == GLIA_CELL_LSTM && s->opts->forget_bias != 0 && init.kind == GLIA_INIT_DEFAULT) {
        init = (glia_init){
            .kind = GLIA_INIT_PART, .value = glia_option(s->opts->forget_bias, 0), .low = 0.25, .high = 0.5
        };
    }
    return glia_layer_parameter(layer, "bias", GLIA_SHAPE(rows), init, GLIA_INIT_ZEROS, (double)s->opts->units);
}

/* x W^T for all steps of all samples, (T N, G H). */
static glia_tensor product_of(const stack *s, glia_layer *layer, glia_tensor x, int64_t rows) {
    const int64_t features = x->shape.dim[2], all = glia_dim_times(x->shape.dim[0], x->shape.dim[1]);
    glia_tensor kernel = glia_layer_parameter(layer, "kernel", GLIA_SHAPE(rows, features), s->opts->kernel_init,
                                              GLIA_INIT_GLOROT_UNIFORM, 0);
    return glia_matmul_transposed(glia_reshape(x, GLIA_SHAPE(all, features)), false, kernel, true);
}

/* x W^T + b, (T, N, G H). */
static glia_tensor gates_of(const stack *s, glia_layer *layer, glia_tensor x, int64_t rows) {
    glia_tensor z = product_of(s, layer, x, rows);
    if (!s->opts->no_bias) z = glia_layer_add_bias(z, bias_of(s, layer, rows), 1);
    return glia_reshape(z, GLIA_SHAPE(x->shape.dim[0], x->shape.dim[1], rows));
}

static int64_t gates_in(glia_cell_kind cell) { return glia_cells[cell].gates; }

static glia_tensor recurrent_kernel_of(const stack *s, glia_layer *layer) {
    const glia_shape shape = GLIA_SHAPE(gates_in(s->cell) * s->opts->units, outputs_of(s));
    return glia_layer_parameter(layer, "recurrent_kernel", shape, s->opts->recurrent_init, GLIA_INIT_ORTHOGONAL, 0);
}

static glia_tensor recurrent_bias_of(const stack *s, glia_layer *layer) {
    const int64_t units = s->opts->units;
    glia_init init = s->opts->bias_init;
    if (init.kind == GLIA_INIT_PART) init = (glia_init){ 0 }; /* that is for all gates together */
    return glia_layer_parameter(layer, "recurrent_bias", GLIA_SHAPE(units), init, GLIA_INIT_ZEROS, (double)units);
}

static glia_tensor peephole_of(const stack *s, glia_layer *layer) {
    return glia_layer_parameter(layer, "peephole", GLIA_SHAPE(3, s->opts->units), (glia_init){ 0 }, GLIA_INIT_ZEROS, 0);
}

static glia_tensor projection_of(const stack *s, glia_layer *layer) {
    return glia_layer_parameter(layer, "projection", GLIA_SHAPE(outputs_of(s), s->opts->units), s->opts->recurrent_init,
                                GLIA_INIT_GLOROT_UNIFORM, 0);
}

static void set_initial(const stack *s, direction *d, glia_tensor *in, int *n, glia_recurrent_attrs *attrs) {
    const glia_shape h = GLIA_SHAPE(samples_of(s, s->x), outputs_of(s)), c = GLIA_SHAPE(h.dim[0], s->opts->units);
    const glia_tensor zero = glia_scalar(s->graph, s->x->dtype, 0);
    if (!d->h && !d->c) return;
    attrs->initial = true;
    in[(*n)++] = d->h ? d->h : glia_broadcast(zero, h);
    if (glia_cells[s->cell].memory) in[(*n)++] = d->c ? d->c : glia_broadcast(zero, c);
}

/* The cell over all steps of z; the parts of its value go to *sequence, d->h, d->c. */
static void run_cell(const stack *s, glia_layer *layer, direction *d, glia_tensor z, glia_tensor *sequence) {
    enum { MOST_INPUTS = 8 };
    const glia_recurrent_opts *o = s->opts;
    glia_recurrent_attrs attrs = { .cell = s->cell,
                                   .steps = z->shape.dim[0],
                                   .reverse = d->reverse,
                                   .sequence = d->sequence,
                                   .last = !d->sequence || o->last || o->stateful,
                                   .lengths = o->lengths != NULL };
    glia_tensor in[MOST_INPUTS] = { z };
    int n = 1;
    in[n++] = recurrent_kernel_of(s, layer);
    set_initial(s, d, in, &n, &attrs);
    attrs.bias = s->cell == GLIA_CELL_GRU && !o->no_bias;
    attrs.peephole = o->peephole;
    attrs.projection = o->projection > 0;
    if (attrs.bias) in[n++] = recurrent_bias_of(s, layer);
    if (attrs.peephole) in[n++] = peephole_of(s, layer);
    if (attrs.projection) in[n++] = projection_of(s, layer);
    if (o->lengths) in[n++] = o->lengths;
    const glia_tensor y = glia_recurrent_of(in, n, attrs);
    if (glia_is_bad(y)) {
        *sequence = d->h = d->c = y;
        return;
    }
    const glia_recurrent_view v = glia_recurrent_view_of(y, y->in);
    if (v.sequence >= 0) *sequence = glia_recurrent_block(&v, y, v.sequence, v.steps, v.outputs);
    d->h = v.last_h >= 0 ? glia_recurrent_block(&v, y, v.last_h, 0, v.outputs) : NULL;
    d->c = v.last_c >= 0 ? glia_recurrent_block(&v, y, v.last_c, 0, v.units) : NULL;
}

/* ---- layer-normalised cells -------------------------------------------------------------------- */

enum { LSTM_GATES = 4, GRU_GATES = 3 };
static const double epsilon = 1e-5;

/* The parameters of a layer-normalised cell. */
typedef struct normed {
    const stack *s;
    glia_layer *layer;
    glia_tensor kernel, peephole, projection;
    glia_tensor input_scale, bias, recurrent_scale, recurrent_shift, cell_scale, cell_shift; /* NULL: not used */
} normed;

/* One step: the inputs' part of the gates, and the states, replaced by the next ones. */
typedef struct step {
    glia_tensor z, h, c;
} step;

static glia_tensor zeros(const normed *m, int64_t n) {
    return glia_broadcast(glia_scalar(m->s->graph, m->s->x->dtype, 0), GLIA_SHAPE(n));
}

static glia_tensor scale_of(const normed *m, const char *what, int64_t n) {
    return glia_layer_parameter(m->layer, what, GLIA_SHAPE(n), (glia_init){ 0 }, GLIA_INIT_CONSTANT, 0);
}

static normed normed_of(const stack *s, glia_layer *layer) {
    const glia_recurrent_opts *o = s->opts;
    const int64_t units = o->units, rows = gates_in(s->cell) * units;
    const bool gated = gates_in(s->cell) > 1, biased = !o->no_bias;
    normed m = { .s = s, .layer = layer, .kernel = recurrent_kernel_of(s, layer) };
    m.bias = biased ? bias_of(s, layer, rows) : zeros(&m, rows);
    if (gated) m.input_scale = scale_of(&m, "input_norm/scale", rows);
    m.recurrent_scale = scale_of(&m, gated ? "recurrent_norm/scale" : "norm/scale", rows);
    if (gates_in(s->cell) == GRU_GATES)
        m.recurrent_shift = s->cell == GLIA_CELL_GRU && biased ? recurrent_bias_of(s, layer) : zeros(&m, units);
    if (o->peephole) m.peephole = peephole_of(s, layer);
    if (o->projection) m.projection = projection_of(s, layer);
    if (!glia_cells[s->cell].memory) return m;
    m.cell_scale = scale_of(&m, "cell_norm/scale", units);
    m.cell_shift =
        biased ? glia_layer_parameter(layer, "cell_norm/shift", GLIA_SHAPE(units), (glia_init){ 0 }, GLIA_INIT_ZEROS, 0)
               : zeros(&m, units);
    return m;
}

/* Of gates [from, to): rows of a kernel or vector, columns of values. */
static glia_tensor rows_of(const normed *m, glia_tensor x, int64_t from, int64_t to) {
    const int64_t units = m->s->opts->units;
    if (glia_is_bad(x)) return x;
    glia_shape start = { .rank = x->shape.rank, .dim = { from * units } }, stop = x->shape;
    stop.dim[0] = to * units;
    return glia_slice(x, start, stop, GLIA_SCALAR);
}

static glia_tensor columns_of(const normed *m, glia_tensor x, int64_t from, int64_t to) {
    const int64_t units = m->s->opts->units;
    if (glia_is_bad(x)) return x;
    return glia_slice(x, GLIA_SHAPE(0, from * units), GLIA_SHAPE(x->shape.dim[0], to * units), GLIA_SCALAR);
}

/* x U^T for gates [from, to), normalised together. */
static glia_tensor recalled(const normed *m, glia_tensor x, int64_t from, int64_t to, glia_tensor shift) {
    glia_tensor z = glia_matmul_transposed(x, false, rows_of(m, m->kernel, from, to), true);
    return glia_layer_norm_of(z, rows_of(m, m->recurrent_scale, from, to), shift, epsilon);
}

/* The inputs' part of the gates, (N, T, G H). GRU: r and z are normalised together, n separately. RNN: the product,
 * since the sum is normalised. */
static glia_tensor normed_gates(const normed *m, glia_tensor x) {
    const int64_t gates = gates_in(m->s->cell), units = m->s->opts->units;
    const int64_t edges[] = { 0, gates == GRU_GATES ? 2 : gates, gates };
    glia_tensor z = product_of(m->s, m->layer, x, gates * units), parts[2];
    int n = 0;
    for (int i = 0; gates > 1 && edges[i] < gates; i++) {
        const int64_t from = edges[i], to = edges[i + 1];
        parts[n++] = glia_layer_norm_of(columns_of(m, z, from, to), rows_of(m, m->input_scale, from, to),
                                        rows_of(m, m->bias, from, to), epsilon);
    }
    if (n > 0) z = n > 1 ? glia_concat(parts, n, 1) : parts[0];
    return glia_reshape(z, GLIA_SHAPE(x->shape.dim[0], x->shape.dim[1], gates * units));
}

/* a + p c with row k of the peepholes, or a without peepholes. */
static glia_tensor peeped(const normed *m, glia_tensor a, int64_t k, glia_tensor c) {
    if (!m->peephole || glia_is_bad(m->peephole)) return a;
    const glia_shape start = GLIA_SHAPE(k, 0), stop = GLIA_SHAPE(k + 1, m->s->opts->units);
    return glia_add(a, glia_mul(c, glia_slice(m->peephole, start, stop, GLIA_SCALAR)));
}

static void lstm_step(const normed *m, step *t) {
    const glia_tensor shift = zeros(m, LSTM_GATES * (int64_t)m->s->opts->units);
    glia_tensor a = glia_add(t->z, recalled(m, t->h, 0, LSTM_GATES, shift));
    glia_tensor i = glia_sigmoid(peeped(m, columns_of(m, a, 0, 1), 0, t->c));
    glia_tensor f = glia_sigmoid(peeped(m, columns_of(m, a, 1, 2), 1, t->c));
    glia_tensor g = glia_tanh(columns_of(m, a, 2, 3));
    t->c = glia_add(glia_mul(f, t->c), glia_mul(i, g));
    glia_tensor o = glia_sigmoid(peeped(m, columns_of(m, a, 3, 4), 2, t->c));
    t->h = glia_mul(o, glia_tanh(glia_layer_norm_of(t->c, m->cell_scale, m->cell_shift, epsilon)));
    if (m->projection) t->h = glia_matmul_transposed(t->h, false, m->projection, true);
}

static void gru_step(const normed *m, step *t) {
    const glia_tensor shift = zeros(m, 2 * (int64_t)m->s->opts->units);
    const bool before = m->s->cell == GLIA_CELL_GRU_BEFORE;
    glia_tensor both = glia_sigmoid(glia_add(columns_of(m, t->z, 0, 2), recalled(m, t->h, 0, 2, shift)));
    glia_tensor r = columns_of(m, both, 0, 1), z = columns_of(m, both, 1, 2);
    glia_tensor p = recalled(m, before ? glia_mul(r, t->h) : t->h, 2, 3, m->recurrent_shift);
    glia_tensor n = glia_tanh(glia_add(columns_of(m, t->z, 2, 3), before ? p : glia_mul(r, p)));
    t->h = glia_add(n, glia_mul(z, glia_sub(t->h, n)));
}

static void rnn_step(const normed *m, step *t) {
    glia_tensor a = glia_add(t->z, glia_matmul_transposed(t->h, false, m->kernel, true));
    a = glia_layer_norm_of(a, m->recurrent_scale, m->bias, epsilon);
    t->h = m->s->cell == GLIA_CELL_RELU ? glia_relu(a) : glia_tanh(a);
}

static glia_tensor state_of(glia_loop *loop, glia_tensor initial, int64_t size) {
    return initial ? glia_loop_state(loop, initial) : glia_loop_state_zeros(loop, GLIA_SHAPE(size));
}

/* As gates_of and run_cell. */
static void run_normed(const stack *s, glia_layer *layer, direction *d, glia_tensor x, glia_tensor *sequence) {
    const bool memory = glia_cells[s->cell].memory;
    const normed m = normed_of(s, layer);
    glia_tensor z = normed_gates(&m, x);
    glia_loop *loop = glia_loop_begin(s->graph, (glia_loop_opts){ .reverse = d->reverse, .lengths = s->opts->lengths });
    step t = { .z = glia_loop_input(loop, z), .h = state_of(loop, d->h, outputs_of(s)) };
    if (memory) t.c = state_of(loop, d->c, s->opts->units);
    const step before = t;
    if (gates_in(s->cell) == 1)
        rnn_step(&m, &t);
    else if (memory)
        lstm_step(&m, &t);
    else
        gru_step(&m, &t);
    glia_loop_next(loop, before.h, t.h);
    if (memory) glia_loop_next(loop, before.c, t.c);
    glia_loop_end(loop, &t.h, d->sequence, sequence);
    d->h = loop ? glia_loop_last(loop, before.h) : s->graph->bad;
    d->c = memory && loop ? glia_loop_last(loop, before.c) : NULL;
}

/* ---- one direction of any cell ------------------------------------------------------------------ */

/* The state that keeps `what` between runs, initially zeros. */
static glia_tensor remembered(glia_layer *layer, const char *what, int64_t samples, int64_t size) {
    return glia_layer_state(layer, what, GLIA_SHAPE(samples, size), 0);
}

static glia_tensor direction_build(const stack *s, direction *d, glia_tensor x) {
    glia_layer layer;
    if (!glia_layer_begin(&layer, s->kind, d->name, x)) return glia_layer_bad(x);
    const int64_t samples = samples_of(s, x);
    const bool memory = glia_cells[s->cell].memory;
    glia_tensor sequence = NULL, h = NULL, c = NULL;
    if (s->opts->stateful) {
        d->h = h = remembered(&layer, "h", samples, outputs_of(s));
        if (memory) d->c = c = remembered(&layer, "c", samples, s->opts->units);
    } else if (s->opts->initial) {
        d->h = s->opts->initial->h[d->index];
        d->c = memory ? s->opts->initial->c[d->index] : NULL;
    }
    if (s->opts->layer_norm)
        run_normed(s, &layer, d, x, &sequence);
    else
        run_cell(s, &layer, d, gates_of(s, &layer, x, gates_in(s->cell) * s->opts->units), &sequence);
    if (h) glia_update(h, d->h, "state");
    if (c) glia_update(c, d->c, "state");
    return glia_layer_end(&layer, d->sequence ? sequence : d->h);
}

/* ---- layers ----------------------------------------------------------------------------------- */

static const char *direction_name(const stack *s, int layer, bool reverse) {
    char number[16] = "";
    if (s->layers > 1) snprintf(number, sizeof number, "/l%d", layer);
    const char *way = s->directions == 1 ? "" : reverse ? "/backward" : "/forward";
    return glia_arena_printf(&s->graph->arena, "%s%s%s", s->name, number, way);
}

/* A layer in all its directions: (T, N, F) -> (T, N, ...) or (N, T, F) -> (N, T, ...), or the last states (N, ...). */
static glia_tensor layer_build(const stack *s, int layer, glia_tensor x, bool sequence) {
    glia_tensor results[2];
    for (int k = 0; k < s->directions; k++) {
        const bool reverse = k == 1 || s->opts->reverse;
        direction d = { .name = direction_name(s, layer, reverse),
                        .index = layer * s->directions + k,
                        .reverse = reverse,
                        .sequence = sequence };
        if (!d.name) return glia_graph_fail_nomem(s->graph);
        results[k] = direction_build(s, &d, x);
        if (!s->opts->last) continue;
        s->opts->last->h[d.index] = d.h;
        s->opts->last->c[d.index] = d.c;
    }
    if (s->directions == 1) return results[0];
    return s->opts->merge == GLIA_MERGE_SUM ? glia_add(results[0], results[1])
                                            : glia_concat(results, 2, sequence ? 2 : 1);
}

static const char *mistake_in(const stack *s, glia_tensor x) {
    const glia_recurrent_opts *o = s->opts;
    const bool lstm = s->cell == GLIA_CELL_LSTM;
    if (x->shape.rank != 3 || x->shape.dim[1] < 1 || x->shape.dim[2] < 1) {
        return "x must be (N, T, F) with fixed T and F";
    }
    if (o->units < 1) return "units must be at least 1";
    if (o->layers < 0 || o->layers > GLIA_RECURRENT_LAYERS) return "there can be 1 to 8 layers";
    if (o->bidirectional && o->reverse) return "bidirectional and reverse exclude each other";
    if ((o->peephole || o->projection || o->forget_bias != 0) && !lstm) return "this is an option of the LSTM";
    if (o->projection < 0 || o->projection > o->units) return "the projection must be to at most as many as the units";
    if (o->layer_norm && o->units == 1) return "one unit alone has no variance to normalise by";
    if (o->stateful && x->shape.dim[0] < 1) return "a stateful layer needs a fixed batch";
    if (o->stateful && (o->initial || o->bidirectional))
        return "a stateful layer has its own states, and one direction";
    return NULL;
}

static glia_tensor permuted(glia_tensor x) { return glia_permute(x, GLIA_SHAPE(1, 0, 2)); }

static glia_tensor build(glia_tensor x, const char *kind, const char *name, glia_cell_kind cell,
                         const glia_recurrent_opts *opts) {
    glia_layer layer;
    if (opts->last) *opts->last = (glia_recurrent_states){ 0 };
    if (!glia_layer_begin(&layer, kind, name, x)) return glia_layer_bad(x);
    stack s = { .graph = x->graph,
                .kind = kind,
                .name = name,
                .cell = cell,
                .opts = opts,
                .directions = opts->bidirectional ? 2 : 1,
                .layers = opts->layers ? opts->layers : 1 };
    const char *mistake = mistake_in(&s, x);
    if (mistake) return glia_layer_fail(&layer, "%s", mistake);
    glia_tensor y = s.x = opts->layer_norm ? x : permuted(x);
    for (int i = 0; i < s.layers; i++) {
        const bool top = i == s.layers - 1;
        y = layer_build(&s, i, y, !(top && opts->last_only));
        if (!top) y = glia_dropout(y, opts->dropout);
        if (glia_is_bad(y)) return glia_layer_end(&layer, y);
    }
    return glia_layer_end(&layer, opts->last_only || opts->layer_norm ? y : permuted(y));
}

glia_tensor glia_lstm(glia_tensor x, const char *name, glia_recurrent_opts opts) {
    return build(x, "lstm", name, GLIA_CELL_LSTM, &opts);
}

glia_tensor glia_gru(glia_tensor x, const char *name, glia_recurrent_opts opts) {
    return build(x, "gru", name, opts.reset_before ? GLIA_CELL_GRU_BEFORE : GLIA_CELL_GRU, &opts);
}

glia_tensor glia_rnn(glia_tensor x, const char *name, glia_recurrent_opts opts) {
    return build(x, "rnn", name, opts.relu ? GLIA_CELL_RELU : GLIA_CELL_TANH, &opts);
}
