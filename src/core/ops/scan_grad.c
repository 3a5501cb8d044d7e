/* scan_grad.c - the gradient of a loop: a loop in the other direction.
 *
 * The inputs of each step are known: the steps of the sequences, the states before it (their values are among the
 * results of the scan), and captured values. The body of the new loop recomputes the rest and differentiates it; the
 * new loop's states are the adjoints of the old ones. It is a scan too, so it can be differentiated again.
 *
 * A captured value gets the sum of the gradients of all steps. Adding it up in each step would update a tensor as large
 * as the weights. But sums over time commute with linear operations, so the body's gradient is traced backwards from
 * its end, and operations that can be applied after the loop are moved there (total()):
 *
 *     sum over t of  dz_t^T x_t    =    dz^T x       one product over all samples and steps of dz (N T, K), x (N T, F)
 *     sum over t of  sum(dz_t)     =    sum(dz)      for biases
 *
 * The loop stacks dz; x is available. If no such form is found, a state of the loop accumulates the gradient; if the
 * gradient has no batch axis, it is the first row of a state that has one.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/loop.h"

/* A value of a step that is needed after the loop. */
typedef struct wanted {
    glia_node *inner;
    int result; /* index among the stacked values; -1: `state` accumulates it */
    glia_tensor state;
} wanted;

typedef struct pair {
    glia_node *from, *to;
} pair;

typedef struct gradient {
    glia_node *scan;
    const glia_scan_attrs *attrs;
    glia_graph *outer, *body;
    glia_loop *loop;
    glia_tensor *inside; /* by input of the scan: its counterpart in the new body */
    glia_tensor *grads;  /* by input: its gradient in the new body, or NULL */
    bool after;          /* the loop has ended */
    wanted *wanted;
    int n_wanted, wanted_capacity;
    pair *expanded; /* composites and their expansions */
    int n_expanded, expanded_capacity;
    bool *varies; /* by id in the new body: it depends on the step */
    int n_varies;
    glia_tensor *each, *stacked; /* the values that the loop stacks */
    int n_each, each_capacity;
} gradient;

static bool fail_nomem(gradient *h) {
    glia_graph_fail_nomem(h->outer);
    return false;
}

static bool failed(const gradient *h) { return h->outer->error.status != GLIA_OK; }

/* ---- values that do not depend on the step ----------------------------------------------------- */

static const glia_capture *capture_of(const gradient *h, const glia_node *n) {
    for (int i = 0; i < h->body->n_captures; i++) {
        if (h->body->captures[i].inner == n) return &h->body->captures[i];
    }
    return NULL;
}

static bool varies(gradient *h, const glia_node *n) {
    if (h->n_varies < h->body->n_nodes) {
        bool *more = realloc(h->varies, (size_t)h->body->n_nodes * sizeof *more);
        if (!more) return !fail_nomem(h);
        h->varies = more;
        for (; h->n_varies < h->body->n_nodes; h->n_varies++) {
            const glia_node *x = h->body->nodes[h->n_varies];
            bool does = glia_is_input(x) && (x == h->body->random || x == h->body->index || !capture_of(h, x));
            for (int i = 0; i < x->n_in; i++) does = does || more[x->in[i]->id];
            more[h->n_varies] = does;
        }
    }
    return h->varies[n->id];
}

/* The same value in the enclosing graph. */
static glia_tensor outside(gradient *h, glia_node *n) {
    const glia_capture *c = capture_of(h, n);
    if (c) return c->outer;
    glia_tensor few[8], *in = n->n_in <= GLIA_COUNT(few) ? few : calloc((size_t)n->n_in, sizeof *in);
    if (!in) return glia_graph_fail_nomem(h->outer);
    for (int i = 0; i < n->n_in; i++) in[i] = outside(h, n->in[i]);
    glia_tensor copy = failed(h) ? h->outer->bad : glia_node_copy(h->outer, n, in, NULL);
    if (in != few) free(in);
    return copy;
}

/* ---- values needed after the loop --------------------------------------------------------------- */

static wanted *find(gradient *h, const glia_node *inner, bool summed) {
    for (int i = 0; i < h->n_wanted; i++) {
        if (h->wanted[i].inner == inner && (h->wanted[i].result < 0) == summed) return &h->wanted[i];
    }
    return NULL;
}

static bool want(gradient *h, wanted w) {
    if (!glia_grow((void **)&h->wanted, h->n_wanted, &h->wanted_capacity, sizeof *h->wanted)) return fail_nomem(h);
    h->wanted[h->n_wanted++] = w;
    return true;
}

static int stack(gradient *h, glia_tensor x) {
    if (!glia_grow((void **)&h->each, h->n_each, &h->each_capacity, sizeof *h->each)) return fail_nomem(h);
    h->each[h->n_each] = glia_cast(x, h->loop->dtype);
    return h->n_each++;
}

/* The sequence of which x is one step, possibly reshaped; NULL: there is none. */
static glia_tensor sequence_of(const gradient *h, const glia_node *x) {
    while (x->op == &glia_op_reshape) x = x->in[0];
    const glia_loop_item *item = glia_loop_find(h->loop, (glia_tensor)x);
    return item && item->kind == GLIA_LOOP_SEQUENCE ? item->outer : NULL;
}

/* Whether x is (k N, ...), so that its rows in all steps are available. */
static bool has_rows(const gradient *h, const glia_node *x) {
    const int64_t rows = h->loop->rows;
    return x->shape.rank >= 1 && x->shape.rank < GLIA_MAX_RANK - 1 && glia_dim_over(x->shape.dim[0], rows) > 0;
}

/* x in all steps, (N, T, k, ...) for x (k N, ...). Before the end of the loop records the request and returns NULL. */
static glia_tensor all_steps(gradient *h, glia_node *x) {
    const int64_t rows = h->loop->rows;
    glia_shape shape = { .rank = x->shape.rank + 2,
                         .dim = { rows, h->attrs->steps, glia_dim_over(x->shape.dim[0], rows) } };
    for (int i = 1; i < x->shape.rank; i++) shape.dim[i + 2] = x->shape.dim[i];
    glia_tensor sequence = sequence_of(h, x);
    wanted *w = sequence ? NULL : find(h, x, false);
    if (h->after) return glia_reshape(sequence ? sequence : glia_cast(h->stacked[w->result], x->dtype), shape);
    if (sequence || w) return NULL;
    glia_shape step = { .rank = shape.rank - 1, .dim = { rows } };
    for (int i = 1; i < step.rank; i++) step.dim[i] = shape.dim[i + 1];
    want(h, (wanted){ .inner = x, .result = stack(h, shape.dim[2] == 1 ? x : glia_reshape(x, step)) });
    return NULL;
}

/* The same with all rows as one axis: (k N T, ...). */
static glia_tensor all_rows(gradient *h, glia_node *x) {
    glia_tensor all = all_steps(h, x);
    if (!all) return NULL;
    glia_shape shape = x->shape;
    shape.dim[0] = glia_dim_times(shape.dim[0], h->attrs->steps);
    return glia_reshape(all, shape);
}

/* The number k of rows of x per sample: x is (k N, ...), like packed results of inner loops; 0: the first axis is not a
 * batch. */
static int64_t rows_of_sample(const gradient *h, const glia_node *x) {
    if (x->shape.rank >= 1 && x->shape.dim[0] == h->loop->rows) return 1;
    return has_rows(h, x) ? glia_dim_over(x->shape.dim[0], h->loop->rows) : 0;
}

/* The value in the first row of a state of this shape, zeros in the others. */
static glia_tensor in_first_row(const gradient *h, glia_tensor value, glia_shape shape) {
    glia_shape column = { .rank = shape.rank, .dim = { h->loop->rows } };
    for (int i = 1; i < column.rank; i++) column.dim[i] = 1;
    glia_tensor row = glia_iota(h->body, GLIA_F32, column, 0), first = glia_equal(row, glia_like(row, 0));
    return glia_select(glia_broadcast(first, shape), glia_broadcast(value, shape), glia_like(value, 0));
}

/* The sum over time, accumulated in a state. */
static glia_tensor added_up(gradient *h, glia_node *x) {
    const int64_t k = rows_of_sample(h, x);
    wanted *w = find(h, x, true);
    if (h->after) {
        glia_tensor sum = glia_loop_last(h->loop, w->state);
        sum = k ? glia_reshape(sum, x->shape) : glia_sum(sum, GLIA_SHAPE(0), false);
        return glia_cast(sum, x->dtype);
    }
    if (w || failed(h)) return NULL;
    glia_shape sample = x->shape; /* also (k, ...) of (k N, ...) */
    if (k > 1) sample.dim[0] = k;
    if (k == 1) {
        sample.rank--;
        for (int i = 0; i < sample.rank; i++) sample.dim[i] = x->shape.dim[i + 1];
    }
    glia_tensor state = glia_loop_state_zeros(h->loop, sample), value = glia_cast(x, h->loop->dtype);
    if (glia_is_bad(state)) return NULL;
    value = k ? glia_reshape(value, state->shape) : in_first_row(h, value, state->shape);
    glia_loop_next(h->loop, state, glia_add(state, value));
    want(h, (wanted){ .inner = x, .result = -1, .state = state });
    return NULL;
}

/* ---- sums over time ------------------------------------------------------------------------------ */

static glia_tensor total(gradient *h, glia_node *v);

/* A number of elements, or its factor if it is a multiple of a symbolic size. */
static double size_of(int64_t count) { return (double)glia_dim_of(count).factor; }

/* Is it less work to stack what v is made of than to add v up in every step? */
static bool is_worth_stacking(const gradient *h, const glia_node *v) {
    double stacked = 0;
    for (int i = 0; i < v->n_in; i++)
        stacked += sequence_of(h, v->in[i]) ? 0 : size_of(glia_shape_count(v->in[i]->shape));
    const bool batched = v->shape.rank >= 1 && v->shape.dim[0] == h->loop->rows;
    const double added = size_of(glia_shape_count(v->shape)) * (batched ? 1 : size_of(h->loop->rows));
    return stacked <= 2 * added;
}

/* A matrix product summed over rows that are available in all steps. */
static bool joins_rows(const gradient *h, const glia_node *v) {
    const glia_matmul_attrs *a = v->attrs;
    return v->shape.rank == 2 && v->in[0]->shape.rank == 2 && v->in[1]->shape.rank == 2 && a->transpose_a &&
           !a->transpose_b && has_rows(h, v->in[0]);
}

/* A batched matrix product, one per sample. */
static bool joins_samples(const gradient *h, const glia_node *v) {
    return v->shape.rank == 3 && v->in[0]->shape.rank == 3 && v->in[1]->shape.rank == 3 &&
           v->in[0]->shape.dim[0] == h->loop->rows && v->in[1]->shape.dim[0] == h->loop->rows;
}

/* (N, K, M) or its transpose in all steps: (N, T K, M). */
static glia_tensor long_factor(gradient *h, glia_node *x, bool first) {
    glia_tensor all = all_steps(h, x); /* (N, T, 1, K, M) */
    if (!all) return NULL;
    if (!first) all = glia_permute(all, GLIA_SHAPE(0, 1, 2, 4, 3));
    if (glia_is_bad(all)) return all;
    return glia_reshape(all, GLIA_SHAPE(h->loop->rows, h->attrs->steps * all->shape.dim[3], all->shape.dim[4]));
}

static glia_tensor total_of_product(gradient *h, glia_node *v) {
    const glia_matmul_attrs *t = v->attrs;
    const bool matrices = joins_rows(h, v);
    glia_tensor a = matrices ? all_rows(h, v->in[0]) : long_factor(h, v->in[0], t->transpose_a);
    glia_tensor b = matrices ? all_rows(h, v->in[1]) : long_factor(h, v->in[1], !t->transpose_b);
    return h->after ? glia_matmul_transposed(a, true, b, false) : NULL;
}

/* The same operation on the rows of all steps. */
static glia_tensor total_of_rows(gradient *h, glia_node *v) {
    glia_tensor in[2] = { NULL };
    for (int i = 0; i < v->n_in; i++) in[i] = all_rows(h, v->in[i]);
    return h->after ? glia_node_create(h->outer, v->op, in, v->n_in, v->attrs) : NULL;
}

static bool adds_rows(const gradient *h, const glia_node *v) {
    if (v->op == &glia_op_sum)
        return glia_axes_contain(&((const glia_reduce_attrs *)v->attrs)->axes, 0) && has_rows(h, v->in[0]);
    if (v->op == &glia_op_scatter_add)
        return ((const glia_scatter_attrs *)v->attrs)->axis == 0 && has_rows(h, v->in[0]) && has_rows(h, v->in[1]);
    return v->op == &glia_op_conv_kernel_grad && has_rows(h, v->in[0]) && has_rows(h, v->in[1]);
}

/* Unary linear operations, which can be applied to the sum. */
static bool is_linear(const glia_node *v) {
    if (v->op == &glia_op_cast) return glia_dtype_is_float(v->in[0]->dtype);
    return v->op == &glia_op_reshape || v->op == &glia_op_permute || v->op == &glia_op_broadcast ||
           v->op == &glia_op_neg || (v->op == &glia_op_pad && ((const glia_pad_attrs *)v->attrs)->value == 0);
}

static glia_tensor total_of_two(gradient *h, glia_node *v) {
    if (v->op != &glia_op_mul) {
        glia_tensor a = total(h, v->in[0]), b = total(h, v->in[1]);
        return h->after ? (v->op == &glia_op_add ? glia_add(a, b) : glia_sub(a, b)) : NULL;
    }
    const int fixed = varies(h, v->in[1]) ? 0 : 1;
    glia_tensor sum = total(h, v->in[1 - fixed]);
    return h->after ? glia_mul(sum, outside(h, v->in[fixed])) : NULL;
}

static glia_tensor total_of_composite(gradient *h, glia_node *v) {
    for (int i = 0; i < h->n_expanded; i++) {
        if (h->expanded[i].from == v) return total(h, h->expanded[i].to);
    }
    if (!glia_grow((void **)&h->expanded, h->n_expanded, &h->expanded_capacity, sizeof *h->expanded))
        return glia_graph_fail_nomem(h->outer);
    glia_tensor to = v->op->expand(v, v->in, GLIA_TRAIN);
    if (glia_is_bad(to)) return h->outer->bad;
    h->expanded[h->n_expanded++] = (pair){ v, to };
    return total(h, to);
}

/* The sum of v, a node of the body, over all steps. Before the end of the loop records what it needs and returns
 * NULL. */
static glia_tensor total(gradient *h, glia_node *v) {
    if (failed(h)) return h->outer->bad;
    const bool fixed = !varies(h, v);
    if (fixed) return h->after ? glia_mul_scalar(outside(h, v), (double)h->attrs->steps) : NULL;
    if (v->op == &glia_op_add || v->op == &glia_op_sub) return total_of_two(h, v);
    if (v->op == &glia_op_mul && (!varies(h, v->in[0]) || !varies(h, v->in[1]))) return total_of_two(h, v);
    if (v->op == &glia_op_matmul && (joins_rows(h, v) || joins_samples(h, v)) && is_worth_stacking(h, v))
        return total_of_product(h, v);
    if (adds_rows(h, v) && is_worth_stacking(h, v)) return total_of_rows(h, v);
    if (is_linear(v)) {
        glia_tensor sum = total(h, v->in[0]);
        return h->after ? glia_node_create(h->outer, v->op, &sum, 1, v->attrs) : NULL;
    }
    if (v->op->flags & GLIA_OP_COMPOSITE && !(v->op->flags & GLIA_OP_MODAL)) return total_of_composite(h, v);
    return added_up(h, v);
}

/* ---- the loop ------------------------------------------------------------------------------------- */

/* The states before each step: all values, from `full`, shifted by one step. */
static glia_tensor entering(const gradient *h, glia_tensor full, int state) {
    glia_tensor values = glia_part_of(full, glia_scan_part(full, state));
    glia_tensor first = h->scan->in[h->attrs->sequences + state];
    if (glia_is_bad(values)) return values;
    glia_shape one = values->shape, start = { .rank = one.rank }, stop = values->shape;
    one.dim[1] = 1;
    first = glia_reshape(first, one);
    if (h->attrs->steps == 1) return first;
    if (h->attrs->reverse)
        start.dim[1] = 1;
    else
        stop.dim[1]--;
    glia_tensor rest = glia_slice(values, start, stop, GLIA_SCALAR);
    glia_tensor both[2] = { h->attrs->reverse ? rest : first, h->attrs->reverse ? first : rest };
    return glia_concat(both, 2, 1);
}

static void make_inputs(gradient *h) {
    const glia_scan_attrs *a = h->attrs;
    glia_tensor full = h->scan;
    if (a->stacked < a->states) {
        glia_scan_attrs all = *a;
        all.stacked = a->states;
        full = glia_node_create(h->outer, h->scan->op, h->scan->in, h->scan->n_in, &all);
    }
    for (int k = 0; k < h->scan->n_in && !failed(h); k++) {
        if (k < a->sequences)
            h->inside[k] = glia_loop_input(h->loop, h->scan->in[k]);
        else if (k < a->sequences + a->states)
            h->inside[k] = glia_loop_input(h->loop, entering(h, full, k - (int)a->sequences));
        else
            h->inside[k] = glia_graph_capture_apart(h->body, h->scan->in[k]);
        if (k + 1 == a->random && !failed(h)) h->body->random = h->inside[k];
        if (k + 1 == a->index && !failed(h)) h->body->index = h->inside[k];
    }
}

/* Copies the scan's body into the new one. made: by id there. */
static void copy_body(gradient *h, glia_node **made) {
    const glia_graph *from = h->attrs->body;
    int k = 0;
    for (int id = 0; id < from->n_nodes && !failed(h); id++) {
        const glia_node *n = from->nodes[id];
        glia_tensor few[8], *in = n->n_in <= GLIA_COUNT(few) ? few : calloc((size_t)n->n_in, sizeof *in);
        if (!in) {
            fail_nomem(h);
            return;
        }
        for (int i = 0; i < n->n_in; i++) in[i] = made[n->in[i]->id];
        made[id] = glia_is_input(n) ? h->inside[k++] : glia_node_copy(h->body, n, in, NULL);
        if (in != few) free(in);
    }
}

/* For each output of the old body: its adjoint in a step, and the state that carries it; either may be NULL. */
static void make_adjoints(gradient *h, glia_tensor dy, glia_tensor *adjoint, glia_tensor *carried) {
    const glia_scan_attrs *a = h->attrs;
    for (int i = 0; i < a->body->n_outputs && !failed(h); i++) {
        glia_tensor given = glia_part_of_gradient(dy, glia_scan_part(h->scan, i));
        const bool stacked = i < a->stacked || i >= a->states;
        adjoint[i] = given && stacked ? glia_loop_input(h->loop, given) : NULL;
        if (i >= a->states) continue;
        glia_tensor start = h->scan->in[a->sequences + i];
        carried[i] = glia_loop_state(h->loop, given && !stacked ? given : glia_like(start, 0));
        adjoint[i] = adjoint[i] ? glia_add(carried[i], adjoint[i]) : carried[i];
    }
}

/* Differentiates a step. made: the old body's nodes in the new one. */
static void differentiate(gradient *h, glia_node *const *made, const glia_tensor *adjoint, glia_tensor *room) {
    const glia_graph *from = h->attrs->body;
    glia_tensor *ys = room, *dys = ys + from->n_outputs, *xs = dys + from->n_outputs, *dxs = xs + h->scan->n_in;
    int n_ys = 0, n_xs = 0;
    for (int i = 0; i < from->n_outputs; i++) {
        if (!adjoint[i]) continue;
        ys[n_ys] = made[from->outputs[i].node->id];
        dys[n_ys++] = adjoint[i];
    }
    for (int k = 0; k < h->scan->n_in; k++) {
        if (glia_dtype_is_float(h->inside[k]->dtype)) xs[n_xs++] = h->inside[k];
    }
    glia_vjp_of_all(ys, dys, n_ys, xs, n_xs, dxs);
    for (int k = h->scan->n_in - 1; k >= 0; k--)
        h->grads[k] = glia_dtype_is_float(h->inside[k]->dtype) ? dxs[--n_xs] : NULL;
}

/* Ends the loop and computes the gradient of each input of the scan. */
static void finish(gradient *h, const glia_tensor *carried, glia_tensor *dx) {
    const glia_scan_attrs *a = h->attrs;
    const int64_t first = a->sequences, last = a->sequences + a->states;
    int index = 0;
    for (int k = 0; k < h->scan->n_in && !failed(h); k++) {
        glia_tensor d = h->grads[k];
        if (k < first && d) stack(h, d);
        if (k >= first && k < last) glia_loop_next(h->loop, carried[k - first], d ? d : glia_like(h->inside[k], 0));
        if (k >= last && d) total(h, d);
    }
    if (failed(h)) return;
    h->stacked = calloc((size_t)h->n_each + 1, sizeof(glia_tensor));
    if (!h->stacked) {
        fail_nomem(h);
        return;
    }
    glia_loop_end(h->loop, h->each, h->n_each, h->stacked);
    h->after = true;
    for (int k = 0; k < h->scan->n_in && !failed(h); k++) {
        glia_tensor d = h->grads[k];
        if (k < first && d) dx[k] = glia_cast(h->stacked[index++], d->dtype);
        if (k >= first && k < last) dx[k] = glia_loop_last(h->loop, carried[k - first]);
        if (k >= last && d) dx[k] = total(h, d);
    }
}

void glia_scan_vjp(glia_node *scan, glia_tensor dy, glia_tensor *dx) {
    const glia_scan_attrs *a = scan->attrs;
    gradient h = { .scan = scan, .attrs = a, .outer = scan->graph };
    const size_t inputs = (size_t)scan->n_in, outputs = (size_t)a->body->n_outputs;
    h.loop = glia_loop_begin(h.outer, (glia_loop_opts){ .steps = a->steps, .reverse = !a->reverse });
    h.inside = calloc(inputs, sizeof *h.inside);
    h.grads = calloc(inputs, sizeof *h.grads);
    glia_node **made = calloc((size_t)a->body->n_nodes, sizeof(glia_node *));
    glia_tensor *room = calloc(4 * outputs + 2 * inputs, sizeof *room);
    if (h.loop && h.inside && h.grads && made && room) {
        h.body = h.loop->body;
        h.loop->last_only = true;
        h.loop->rows = a->body->outputs[0].node->shape.dim[0];
        h.loop->typed = true;
        h.loop->dtype = scan->dtype;
        glia_tensor *adjoint = room, *carried = room + outputs;
        make_inputs(&h);
        if (!failed(&h)) copy_body(&h, made);
        if (!failed(&h)) make_adjoints(&h, dy, adjoint, carried);
        if (!failed(&h)) differentiate(&h, made, adjoint, room + 2 * outputs);
        if (!failed(&h)) finish(&h, carried, dx);
    } else {
        glia_graph_fail_nomem(h.outer);
    }
    free(h.inside);
    free(h.grads);
    free(made);
    free(room);
    free(h.wanted);
    free(h.expanded);
    free(h.varies);
    free(h.each);
    free(h.stacked);
}
