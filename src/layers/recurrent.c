/* recurrent.c - recurrent layers: the leaves of the op `recurrent`, the product of all inputs before it, directions side
 * by side, layers on top of each other.
 *
 * Inside, sequences lie time first, (T, N, F), as the op wants them; they are permuted once on the way in and once on the
 * way out, however many layers there are.
 */
#include <stdio.h>

#include "glia/recurrent.h"
#include "layers/layers.h"
#include "ops/recurrent.h"

/* A stack of layers under construction; x is (T, N, F). */
typedef struct stack {
    glia_graph *graph;
    const char *kind, *name; /* of the whole */
    glia_cell_kind cell;
    const glia_recurrent_opts *opts;
    glia_tensor x;
    int directions, layers;
} stack;

/* One direction of one layer: what it is, and what it gives. */
typedef struct direction {
    const char *name;
    int index; /* of its states */
    bool reverse, sequence;
    glia_tensor h, c; /* before; after: those after the last step */
} direction;

static int64_t outputs_of(const stack *s) { return s->opts->projection ? s->opts->projection : s->opts->units; }

/* ---- one direction ---------------------------------------------------------------------------- */

static glia_tensor bias_of(const stack *s, glia_layer *layer, int64_t rows) {
    glia_init init = s->opts->bias_init;
    if (s->cell == GLIA_CELL_LSTM && s->opts->forget_bias != 0 && init.kind == GLIA_INIT_DEFAULT) {
        init = (glia_init){ .kind = GLIA_INIT_PART, .value = s->opts->forget_bias, .low = 0.25, .high = 0.5 };
    }
    return glia_layer_parameter(layer, "bias", GLIA_SHAPE(rows), init, GLIA_INIT_ZEROS, (double)s->opts->units);
}

/* x W^T + b, (T, N, G H). */
static glia_tensor gates_of(const stack *s, glia_layer *layer, glia_tensor x, int64_t rows) {
    const int64_t features = x->shape.dim[2], steps = x->shape.dim[0], samples = x->shape.dim[1];
    glia_tensor kernel = glia_layer_parameter(layer, "kernel", GLIA_SHAPE(rows, features), s->opts->kernel_init,
                                              GLIA_INIT_GLOROT_UNIFORM, 0);
    glia_tensor z = glia_matmul_transposed(glia_reshape(x, GLIA_SHAPE(steps * samples, features)), false, kernel, true);
    if (!s->opts->no_bias) z = glia_layer_add_bias(z, bias_of(s, layer, rows), 1);
    return glia_reshape(z, GLIA_SHAPE(steps, samples, rows));
}

static int64_t gates_in(glia_cell_kind cell) { return glia_cells[cell].gates; }

static void set_initial(const stack *s, direction *d, glia_tensor *in, int *n, glia_recurrent_attrs *attrs) {
    const glia_tensor like = s->x;
    const glia_shape h = GLIA_SHAPE(like->shape.dim[1], outputs_of(s)), c = GLIA_SHAPE(h.dim[0], s->opts->units);
    const glia_tensor zero = glia_scalar(s->graph, like->dtype, 0);
    if (!d->h && !d->c) return;
    attrs->initial = true;
    in[(*n)++] = d->h ? d->h : glia_broadcast(zero, h);
    if (glia_cells[s->cell].memory) in[(*n)++] = d->c ? d->c : glia_broadcast(zero, c);
}

/* The cell over all steps of z; the blocks of its value go to *sequence, d->h, d->c. */
static void run_cell(const stack *s, glia_layer *layer, direction *d, glia_tensor z, glia_tensor *sequence) {
    enum { MOST_INPUTS = 8 };
    const glia_recurrent_opts *o = s->opts;
    const int64_t units = o->units, rows = gates_in(s->cell) * units, outputs = outputs_of(s);
    glia_recurrent_attrs attrs = { .cell = s->cell,
                                   .steps = z->shape.dim[0],
                                   .reverse = d->reverse,
                                   .sequence = d->sequence,
                                   .last = !d->sequence || o->last || o->stateful,
                                   .lengths = o->lengths != NULL };
    glia_tensor in[MOST_INPUTS] = { z };
    int n = 1;
    in[n++] = glia_layer_parameter(layer, "recurrent_kernel", GLIA_SHAPE(rows, outputs), o->recurrent_init,
                                   GLIA_INIT_ORTHOGONAL, 0);
    set_initial(s, d, in, &n, &attrs);
    if (s->cell == GLIA_CELL_GRU && !o->no_bias) {
        const glia_init init = o->bias_init.kind == GLIA_INIT_PART ? (glia_init){ 0 } : o->bias_init; /* of all gates */
        in[n++] =
            glia_layer_parameter(layer, "recurrent_bias", GLIA_SHAPE(units), init, GLIA_INIT_ZEROS, (double)units);
        attrs.bias = true;
    }
    if (o->peephole) {
        in[n++] = glia_layer_parameter(layer, "peephole", GLIA_SHAPE(3, units), (glia_init){ 0 }, GLIA_INIT_ZEROS, 0);
        attrs.peephole = true;
    }
    if (o->projection) {
        in[n++] = glia_layer_parameter(layer, "projection", GLIA_SHAPE(outputs, units), o->recurrent_init,
                                       GLIA_INIT_GLOROT_UNIFORM, 0);
        attrs.projection = true;
    }
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

/* The state of the graph that remembers `what` between runs, and zeros before the first. */
static glia_tensor remembered(glia_layer *layer, const char *what, int64_t samples, int64_t size) {
    return glia_layer_state(layer, what, GLIA_SHAPE(samples, size), 0);
}

static glia_tensor direction_build(const stack *s, direction *d, glia_tensor x) {
    glia_layer layer;
    if (!glia_layer_begin(&layer, s->kind, d->name, x)) return glia_layer_bad(x);
    const int64_t samples = x->shape.dim[1];
    const bool memory = glia_cells[s->cell].memory;
    glia_tensor sequence = NULL, h = NULL, c = NULL;
    if (s->opts->stateful) {
        d->h = h = remembered(&layer, "h", samples, outputs_of(s));
        if (memory) d->c = c = remembered(&layer, "c", samples, s->opts->units);
    } else if (s->opts->initial) {
        d->h = s->opts->initial->h[d->index];
        d->c = memory ? s->opts->initial->c[d->index] : NULL;
    }
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

/* A layer in its directions: (T, N, F) -> (T, N, ...), or the last states (N, ...). */
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
    if (o->bidirectional && o->reverse) return "it goes both ways, or backwards: not both";
    if ((o->peephole || o->projection || o->forget_bias != 0) && !lstm) return "this is an option of the LSTM";
    if (o->projection < 0 || o->projection > o->units) return "the projection must be to at most as many as the units";
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
    glia_tensor y = s.x = permuted(x);
    for (int i = 0; i < s.layers; i++) {
        const bool top = i == s.layers - 1;
        y = layer_build(&s, i, y, !(top && opts->last_only));
        if (!top) y = glia_dropout(y, opts->dropout);
        if (glia_is_bad(y)) return glia_layer_end(&layer, y);
    }
    return glia_layer_end(&layer, opts->last_only ? y : permuted(y));
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
