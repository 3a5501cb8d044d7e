/* loop.c - construction of loops: the body is built as a separate graph, and glia_loop_end() turns it into a scan.
 *
 * The body's inputs are created on first use: steps of sequences, states, and tensors of the enclosing graph, which
 * glia_graph_capture() adds. The end puts them in scan's order, omits unused ones, and slices the results out of the
 * packed one.
 *
 * scan itself has no lengths. They become one more sequence, a mask that is above zero in valid steps; the body uses it
 * to select every new state and result. So gradients of padded batches need no extra code.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/ops/loop.h"

static glia_tensor fail(glia_loop *loop, const char *what, const char *why) {
    return loop ? glia_graph_fail(loop->outer, GLIA_E_ARGUMENT, "%s: %s", what, why) : NULL;
}

/* Whether the loop is still open and without errors. */
static bool is_open(glia_loop *loop, const char *what) {
    if (!loop) return false;
    if (loop->ended) fail(loop, what, "the loop has ended");
    return loop->outer->error.status == GLIA_OK;
}

static glia_tensor bad_of(const glia_loop *loop) { return loop ? loop->body->bad : NULL; }

glia_loop *glia_loop_begin(glia_graph *graph, glia_loop_opts opts) {
    if (!graph || graph->error.status != GLIA_OK) return NULL;
    glia_loop *loop = glia_arena_alloc(&graph->arena, sizeof *loop);
    glia_graph *body = loop ? glia_graph_create_body(graph) : NULL;
    if (!body) {
        glia_graph_fail_nomem(graph);
        return NULL;
    }
    *loop = (glia_loop){ .outer = graph, .body = body, .opts = opts };
    glia_body_open(body);
    if (opts.steps < 0) fail(loop, "glia_loop_begin", "the number of steps is negative");
    if (opts.lengths && (glia_is_bad(opts.lengths) || opts.lengths->graph != graph || opts.lengths->dtype != GLIA_I32 ||
                         opts.lengths->shape.rank != 1))
        fail(loop, "glia_loop_begin", "lengths must be an i32 (N) of this graph");
    if (opts.lengths && graph->error.status == GLIA_OK) loop->rows = opts.lengths->shape.dim[0];
    return loop;
}

glia_loop_item *glia_loop_find(const glia_loop *loop, glia_tensor x) {
    for (glia_loop_item *i = loop->first; i; i = i->next_item) {
        if (i->inner == x) return i;
    }
    return NULL;
}

/* A new item with an inner tensor of this shape. */
static glia_tensor add_item(glia_loop *loop, glia_loop_kind kind, glia_tensor outer, glia_tensor inner) {
    glia_loop_item *item = glia_arena_alloc(&loop->outer->arena, sizeof *item);
    if (!item) return glia_graph_fail_nomem(loop->body);
    *item = (glia_loop_item){ .kind = kind, .outer = outer, .inner = inner };
    if (loop->last)
        loop->last->next_item = item;
    else
        loop->first = item;
    loop->last = item;
    return inner;
}

/* A tensor of the enclosing graph, or of one further out. */
static glia_tensor from_outside(glia_loop *loop, const char *what, glia_tensor x) {
    if (glia_is_bad(x)) {
        glia_graph_fail(loop->outer, GLIA_E_ARGUMENT, "%s: the tensor is NULL", what);
        return NULL;
    }
    glia_tensor outer = glia_graph_capture(loop->outer, x);
    if (!outer) fail(loop, what, "the tensor must be of the graph around the loop, not of its body or another graph");
    return outer;
}

/* Records the batch and the dtype of a value (N, ...). */
static bool takes_rows(glia_loop *loop, const char *what, glia_tensor x) {
    char shape[GLIA_SHAPE_TEXT];
    const int64_t rows = x->shape.rank ? x->shape.dim[0] : 0;
    if (loop->rows == 0) loop->rows = rows;
    if (!loop->typed && (x->dtype == GLIA_F32 || x->dtype == GLIA_F64)) loop->typed = true, loop->dtype = x->dtype;
    if (rows && rows == loop->rows) return true;
    glia_graph_fail(loop->outer, GLIA_E_SHAPE, "%s: %s does not begin with the loop's batch axis", what,
                    glia_shape_format(x->shape, shape));
    return false;
}

glia_tensor glia_loop_input(glia_loop *loop, glia_tensor x) {
    const char *what = "glia_loop_input";
    char text[GLIA_SHAPE_TEXT];
    if (!is_open(loop, what)) return bad_of(loop);
    x = from_outside(loop, what, x);
    if (!x || glia_is_bad(x) || !takes_rows(loop, what, x)) return bad_of(loop);
    if (x->shape.rank < 2 || x->shape.dim[1] < 1) {
        glia_graph_fail(loop->outer, GLIA_E_SHAPE, "%s: a sequence is (N, T, ...), not %s", what,
                        glia_shape_format(x->shape, text));
        return bad_of(loop);
    }
    if (loop->opts.steps == 0) loop->opts.steps = x->shape.dim[1];
    if (x->shape.dim[1] != loop->opts.steps) {
        glia_graph_fail(loop->outer, GLIA_E_SHAPE, "%s: %s has another number of steps than %lld", what,
                        glia_shape_format(x->shape, text), (long long)loop->opts.steps);
        return bad_of(loop);
    }
    glia_shape step = x->shape;
    step.rank--;
    for (int i = 1; i < step.rank; i++) step.dim[i] = step.dim[i + 1];
    step.dim[step.rank] = 0;
    return add_item(loop, GLIA_LOOP_SEQUENCE, x, glia_body_input(loop->body, x->dtype, step));
}

glia_tensor glia_loop_state(glia_loop *loop, glia_tensor initial) {
    const char *what = "glia_loop_state";
    if (!is_open(loop, what)) return bad_of(loop);
    initial = from_outside(loop, what, initial);
    if (!initial || glia_is_bad(initial) || !takes_rows(loop, what, initial)) return bad_of(loop);
    if (initial->dtype != loop->dtype || !loop->typed) {
        glia_graph_fail(loop->outer, GLIA_E_SHAPE, "%s: a state must be f32 or f64 as the others are, not %s", what,
                        glia_dtype_name(initial->dtype));
        return bad_of(loop);
    }
    return add_item(loop, GLIA_LOOP_STATE, initial, glia_body_input(loop->body, initial->dtype, initial->shape));
}

glia_tensor glia_loop_state_zeros(glia_loop *loop, glia_shape sample) {
    const char *what = "glia_loop_state_zeros";
    if (!is_open(loop, what)) return bad_of(loop);
    if (loop->rows == 0 || sample.rank < 0 || sample.rank >= GLIA_MAX_RANK) {
        fail(loop, what,
             loop->rows ? "no such shape" : "an input or another state must come before, to tell the batch");
        return bad_of(loop);
    }
    glia_shape shape = { .rank = sample.rank + 1, .dim = { loop->rows } };
    for (int i = 0; i < sample.rank; i++) shape.dim[i + 1] = sample.dim[i];
    const double zero = 0;
    glia_constant_attrs attrs = { loop->dtype, shape, { &zero, 1 } };
    loop->typed = true;
    return glia_loop_state(loop, glia_node_create(loop->outer, &glia_op_constant, NULL, 0, &attrs));
}

glia_tensor glia_loop_index(glia_loop *loop) {
    if (!is_open(loop, "glia_loop_index")) return bad_of(loop);
    glia_graph *body = loop->body;
    if (body->index) return body->index;
    glia_tensor first = glia_scalar(loop->outer, GLIA_I32, 0);
    if (glia_is_bad(first)) return body->bad;
    const glia_tensor index = glia_graph_capture_apart(body, first);
    if (!glia_is_bad(index)) body->index = index;
    return index;
}

void glia_loop_next(glia_loop *loop, glia_tensor state, glia_tensor value) {
    const char *what = "glia_loop_next";
    if (!is_open(loop, what) || glia_is_bad(state) || glia_is_bad(value)) return;
    glia_loop_item *item = glia_loop_find(loop, state);
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    glia_tensor inside = glia_graph_capture(loop->body, value);
    if (!item || item->kind != GLIA_LOOP_STATE) {
        fail(loop, what, "the first tensor must be a state of this loop");
    } else if (item->next) {
        fail(loop, what, "the state has a next value already");
    } else if (!inside) {
        fail(loop, what, "the value must be of the loop's body");
    } else if (inside->dtype != state->dtype || !glia_shape_equal(inside->shape, state->shape)) {
        glia_graph_fail(loop->outer, GLIA_E_SHAPE, "%s: the state is %s%s and cannot become %s%s", what,
                        glia_dtype_name(state->dtype), glia_shape_format(state->shape, a),
                        glia_dtype_name(inside->dtype), glia_shape_format(inside->shape, b));
    } else {
        item->next = inside;
    }
}

/* ---- lengths --------------------------------------------------------------------------------- */

glia_tensor glia_sequence_mask(glia_tensor lengths, int64_t steps) {
    if (glia_is_bad(lengths)) return lengths;
    if (lengths->shape.rank != 1 || (lengths->dtype != GLIA_I32 && lengths->dtype != GLIA_I64) || steps < 1)
        return glia_graph_fail(lengths->graph, GLIA_E_ARGUMENT,
                               "glia_sequence_mask: lengths must be i32 (N), and there must be steps");
    glia_tensor numbers = glia_iota(lengths->graph, GLIA_F32, GLIA_SHAPE(1, steps), 1);
    glia_tensor column = glia_reshape(glia_cast(lengths, GLIA_F32), GLIA_SHAPE(lengths->shape.dim[0], 1));
    return glia_cast(glia_less(numbers, column), GLIA_F32);
}

/* yes in the samples' valid steps, no in the others. */
static glia_tensor masked(glia_loop *loop, glia_tensor yes, glia_tensor no) {
    glia_shape column = { .rank = yes->shape.rank, .dim = { loop->rows } };
    for (int i = 1; i < column.rank; i++) column.dim[i] = 1;
    glia_tensor m = glia_broadcast(glia_reshape(loop->mask, column), yes->shape);
    return glia_select(glia_greater(m, glia_like(m, 0)), yes, no);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* The body with its inputs in scan's order, and the loop's inputs. */
typedef struct ending {
    glia_loop *loop;
    glia_graph *to;
    bool *live;
    glia_node **made; /* by id in the original body */
    glia_tensor *in;
    glia_scan_attrs attrs;
    int n_in;
} ending;

static void take_item(ending *e, glia_tensor outer, glia_tensor inner) {
    if (glia_is_bad(outer) || glia_is_bad(inner)) return;
    e->made[inner->id] = glia_body_input(e->to, inner->dtype, inner->shape);
    e->in[e->n_in++] = outer;
}

static void take_inputs(ending *e) {
    const glia_loop *loop = e->loop;
    for (const glia_loop_item *i = loop->first; i; i = i->next_item) {
        if (i->kind == GLIA_LOOP_SEQUENCE && e->live[i->inner->id]) take_item(e, i->outer, i->inner);
    }
    e->attrs.sequences = e->n_in;
    for (glia_loop_item *i = loop->first; i; i = i->next_item) {
        if (i->kind != GLIA_LOOP_STATE) continue;
        i->result = (int)(e->n_in - e->attrs.sequences);
        take_item(e, i->outer, i->inner);
    }
    e->attrs.states = e->n_in - e->attrs.sequences;
    for (int i = 0; i < loop->body->n_captures; i++) {
        const glia_capture *c = &loop->body->captures[i];
        if (e->live[c->inner->id]) take_item(e, c->outer, c->inner);
        if (e->live[c->inner->id] && c->inner == loop->body->random) e->attrs.random = e->n_in;
        if (e->live[c->inner->id] && c->inner == loop->body->index) e->attrs.index = e->n_in;
    }
}

/* Copies what the outputs need; returns the scan. */
static glia_tensor finish(ending *e) {
    glia_loop *loop = e->loop;
    const glia_graph *body = loop->body;
    glia_graph_mark_live(body, e->live);
    take_inputs(e);
    for (int id = 0; id < body->n_nodes; id++) {
        const glia_node *n = body->nodes[id];
        if (!e->live[id] || glia_is_input(n)) continue;
        glia_tensor few[8], *in = n->n_in <= GLIA_COUNT(few) ? few : calloc((size_t)n->n_in, sizeof *in);
        if (!in) return glia_graph_fail_nomem(loop->outer);
        for (int i = 0; i < n->n_in; i++) in[i] = e->made[n->in[i]->id];
        e->made[id] = glia_node_copy(e->to, n, in, NULL);
        if (in != few) free(in);
    }
    for (int i = 0; i < body->n_outputs; i++)
        glia_graph_output(e->to, body->outputs[i].name, e->made[body->outputs[i].node->id]);
    e->to->n_streams = body->n_streams;
    if (e->to->error.status != GLIA_OK)
        return glia_graph_fail(loop->outer, e->to->error.status, "%s", e->to->error.message);
    e->attrs.body = e->to;
    e->attrs.steps = loop->opts.steps;
    e->attrs.reverse = loop->opts.reverse;
    e->attrs.stacked = loop->last_only ? 0 : e->attrs.states;
    return glia_node_create(loop->outer, &glia_op_scan, e->in, e->n_in, &e->attrs);
}

/* Sets the body's outputs: the next states, and those of the list that are not among them. number[i] becomes the index
 * of the result. */
static void set_outputs(glia_loop *loop, const glia_tensor *each, int n, int *number) {
    glia_graph *body = loop->body;
    for (const glia_loop_item *i = loop->first; i; i = i->next_item) {
        if (i->kind != GLIA_LOOP_STATE) continue;
        glia_graph_output(body, "state", loop->mask ? masked(loop, i->next, i->inner) : i->next);
    }
    const int states = body->n_outputs;
    for (int i = 0; i < n; i++) {
        glia_tensor x = glia_graph_capture(body, each[i]);
        if (!x || glia_is_bad(x) || !x->shape.rank || x->shape.dim[0] != loop->rows) {
            fail(loop, "glia_loop_end", "stacked values must be (N, ...) tensors of the loop's body");
            return;
        }
        number[i] = -1;
        for (int k = 0; k < states && !loop->mask && !loop->last_only; k++) {
            if (body->outputs[k].node == x) number[i] = k;
        }
        if (number[i] >= 0) continue;
        number[i] = body->n_outputs;
        glia_graph_output(body, "each", loop->mask ? masked(loop, x, glia_like(x, 0)) : x);
    }
}

static bool is_complete(glia_loop *loop) {
    if (loop->opts.steps == 0) fail(loop, "glia_loop_end", "a loop without sequences needs a number of steps");
    for (const glia_loop_item *i = loop->first; i; i = i->next_item) {
        if (i->kind == GLIA_LOOP_STATE && !i->next) fail(loop, "glia_loop_end", "a state has no next value");
    }
    for (int i = 0; i < loop->body->n_nodes; i++) {
        const glia_op *op = loop->body->nodes[i]->op;
        if (op == &glia_op_batch_norm)
            fail(loop, "glia_loop_end", "batch norm cannot be in a loop; glia_layer_norm() can");
        else if (op->moves)
            fail(loop, "glia_loop_end", "spectral norm cannot be in a loop: apply it to the weight before the loop");
    }
    return loop->outer->error.status == GLIA_OK;
}

static void end(glia_loop *loop, const glia_tensor *each, int n, int *number) {
    glia_graph *body = loop->body;
    if (!is_complete(loop)) return;
    if (loop->opts.lengths) {
        loop->mask = glia_loop_input(loop, glia_sequence_mask(loop->opts.lengths, loop->opts.steps));
        if (glia_is_bad(loop->mask)) return;
        if (loop->dtype == GLIA_F64) loop->mask = glia_cast(loop->mask, GLIA_F64);
    }
    set_outputs(loop, each, n, number);
    if (loop->outer->error.status != GLIA_OK || body->n_outputs == 0) return;
    ending e = { .loop = loop,
                 .to = glia_graph_create(),
                 .live = calloc((size_t)body->n_nodes + 1, sizeof *e.live),
                 .made = calloc((size_t)body->n_nodes + 1, sizeof(glia_node *)),
                 .in = calloc((size_t)body->n_nodes + 1, sizeof *e.in) };
    if (e.to && e.live && e.made && e.in)
        loop->scan = finish(&e);
    else
        glia_graph_fail_nomem(loop->outer);
    glia_graph_free(e.to);
    free(e.live);
    free(e.made);
    free(e.in);
    loop->outer->n_streams = GLIA_MAX(loop->outer->n_streams, body->n_streams);
}

void glia_loop_end(glia_loop *loop, const glia_tensor *each, int n, glia_tensor *stacked) {
    for (int i = 0; i < n && stacked; i++) stacked[i] = loop ? loop->outer->bad : NULL;
    if (!is_open(loop, "glia_loop_end")) return;
    if (n > 0 && (!each || !stacked)) {
        fail(loop, "glia_loop_end", each ? "stacked is NULL" : "each is NULL");
        return;
    }
    int few[16], *number = n <= GLIA_COUNT(few) ? few : calloc((size_t)n, sizeof *number);
    if (number)
        end(loop, each, n, number);
    else
        glia_graph_fail_nomem(loop->outer);
    loop->ended = loop->body->closed = true;
    glia_body_close(loop->body);
    for (int i = 0; number && i < n && loop->outer->error.status == GLIA_OK; i++)
        stacked[i] = glia_part_of(loop->scan, glia_scan_part(loop->scan, number[i]));
    if (number != few) free(number);
}

glia_tensor glia_loop_last(glia_loop *loop, glia_tensor state) {
    if (!loop || loop->outer->error.status != GLIA_OK) return loop ? loop->outer->bad : NULL;
    const glia_loop_item *item = glia_loop_find(loop, state);
    if (!loop->ended || !item || item->kind != GLIA_LOOP_STATE)
        return fail(loop, "glia_loop_last", "it takes a state of a loop that has ended");
    glia_tensor values = glia_part_of(loop->scan, glia_scan_part(loop->scan, item->result));
    if (loop->last_only || glia_is_bad(values)) return values;
    glia_shape start = { .rank = values->shape.rank }, stop = values->shape;
    start.dim[1] = loop->opts.reverse ? 0 : loop->opts.steps - 1;
    stop.dim[1] = start.dim[1] + 1;
    return glia_reshape(glia_slice(values, start, stop, GLIA_SCALAR), item->inner->shape);
}
