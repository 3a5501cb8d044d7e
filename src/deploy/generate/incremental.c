/* incremental.c - rewrites a graph over whole sequences into one over the next few tokens.
 *
 * In a dense tensor time is an axis, or a part of one: its index is (offset / inner) mod T, where `inner` is the number
 * of elements from one step to the next. Reshaping preserves `inner`, so it alone locates time, and every shape can be
 * rewritten from T steps to fewer. The pass determines it for each value, starting at the input:
 *
 *     inner = 0    independent of time: parameters, constants, positions; computed whole, as before
 *     inner > 0    computed for the new steps only
 *     PACKED       the results of a loop over time, concatenated in one vector; only whole results are sliced out of it
 *
 * Operations that treat every step by itself stay what they are. Where a value that is not of time meets one that is,
 * along the axis of time (a table of positions that is added), the new steps' part of it is taken. Operations that look
 * back are told what they need from a state: attention its keys and values, a recurrent layer or a loop the last step.
 *
 * If the output is wanted for the last of the new steps only, what follows the last operation that looks back is
 * computed for that step alone: of a Transformer the end of its last block and the scores of the vocabulary.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/graph/modal.h"
#include "core/ops/recurrent.h"
#include "deploy/generate/incremental.h"

enum { PACKED = -1 };

typedef struct walker walker;
/* Makes the new node and sets *inner. NULL: unsupported, or (with an error in `to`) a failure. */
typedef glia_tensor (*rule)(walker *w, glia_graph *to, const glia_node *n, const glia_tensor *in, int64_t *inner);

struct walker {
    int64_t *inner; /* by id in the old graph */
    bool *tail;     /* by id in the old graph: computed for the last new step only */
    int64_t whole, steps;
    const glia_node *input;
    glia_tensor position; /* of the first step that is computed */
    int n_states;
    const glia_node *stuck; /* the node that no rule supports */
};

/* ---- locating time -------------------------------------------------------------------------------------- */

static int64_t suffix(glia_shape s, int axis) {
    int64_t count = 1;
    for (int i = axis + 1; i < s.rank; i++) count *= s.dim[i];
    return count;
}

/* The axis that contains time. */
static int time_axis(glia_shape s, int64_t inner) {
    int axis = s.rank - 1;
    while (axis > 0 && inner >= suffix(s, axis) * s.dim[axis]) axis--;
    return axis;
}

/* Elements of the time axis from one step to the next; 1 where time is the last part of the axis. */
static int64_t time_stride(glia_shape s, int64_t inner) { return inner / suffix(s, time_axis(s, inner)); }

static bool is_whole_axis(const walker *w, glia_shape s, int64_t inner) {
    return time_stride(s, inner) == 1 && s.dim[time_axis(s, inner)] == w->whole;
}

static glia_shape resized(const walker *w, glia_shape s, int64_t inner) {
    int axis = time_axis(s, inner);
    s.dim[axis] = s.dim[axis] / w->whole * w->steps;
    return s;
}

/* `inner` in the new shape: it counts only elements behind time, which do not change. Time at axis `a` of input 0 moves
 * to axis `to` of the result. */
static int64_t moved(const glia_node *n, int64_t inner, int to) {
    return time_stride(n->in[0]->shape, inner) * suffix(n->shape, to);
}

/* ---- values independent of time -------------------------------------------------------------------------- */

/* position, position + 1, ... of the new steps. */
static glia_tensor new_positions(const walker *w) {
    glia_graph *to = w->position->graph;
    return glia_add(glia_iota(to, GLIA_I32, GLIA_SHAPE(w->steps), 0), w->position);
}

/* Whether x gathers elements of a table along `axis`, by a list of indices. */
static bool is_taken(glia_tensor x, int axis) {
    return x->op == &glia_op_gather && ((const glia_axis_attrs *)x->attrs)->axis == axis && x->in[1]->shape.rank == 1;
}

/* The new steps' slice of x, which is independent of time but has all T steps at `axis`. */
static glia_tensor part(const walker *w, glia_tensor x, int axis) {
    if (is_taken(x, axis)) return glia_gather(x->in[0], part(w, x->in[1], 0), axis);
    if (x->op != &glia_op_broadcast) return glia_gather(x, new_positions(w), axis);
    glia_tensor from = x->in[0];
    glia_shape shape = x->shape;
    int own = axis - (shape.rank - from->shape.rank);
    shape.dim[axis] = w->steps;
    bool spread = own < 0 || from->shape.dim[own] == 1;
    return glia_broadcast(spread ? from : part(w, from, own), shape);
}

/* The counterpart of x, which is independent of time, for use with values whose time has stride `inner` in x's shape.
 * NULL: there is none. */
static glia_tensor beside(const walker *w, glia_tensor x, int64_t inner) {
    int axis = time_axis(x->shape, inner);
    double value;
    if (glia_is_constant_scalar(x, &value))
        return glia_broadcast(glia_scalar(x->graph, x->dtype, value), resized(w, x->shape, inner));
    if (is_whole_axis(w, x->shape, inner)) return part(w, x, axis);
    if (x->op != &glia_op_broadcast) return NULL;
    int own = axis - (x->shape.rank - x->in[0]->shape.rank);
    return own < 0 || x->in[0]->shape.dim[own] == 1 ? glia_broadcast(x->in[0], resized(w, x->shape, inner)) : NULL;
}

/* ---- rules ----------------------------------------------------------------------------------------------- */

/* Elementwise nodes and others whose result has the layout of their operands. */
static glia_tensor alike(walker *w, glia_graph *to, const glia_node *n, const glia_tensor *in, int64_t *inner) {
    glia_tensor now[GLIA_SAMPLE_INPUTS];
    if (n->n_in > GLIA_COUNT(now)) return NULL;
    for (int i = 0; i < n->n_in; i++) *inner = GLIA_MAX(*inner, w->inner[n->in[i]->id]);
    for (int i = 0; i < n->n_in; i++) {
        int64_t own = w->inner[n->in[i]->id];
        now[i] = own == *inner ? in[i] : own ? NULL : beside(w, in[i], *inner);
        if (!now[i]) return NULL;
    }
    return glia_node_copy(to, n, now, NULL);
}

static glia_tensor reshape(walker *w, glia_graph *to, const glia_node *n, const glia_tensor *in, int64_t *inner) {
    (void)to;
    *inner = w->inner[n->in[0]->id];
    glia_shape shape = resized(w, n->shape, *inner);
    return glia_shape_count(shape) == glia_shape_count(in[0]->shape) ? glia_reshape(in[0], shape) : NULL;
}

static glia_tensor broadcast(walker *w, glia_graph *to, const glia_node *n, const glia_tensor *in, int64_t *inner) {
    (void)to;
    int64_t had = w->inner[n->in[0]->id];
    *inner = moved(n, had, time_axis(n->in[0]->shape, had) + n->shape.rank - n->in[0]->shape.rank);
    return glia_broadcast(in[0], resized(w, n->shape, *inner));
}

static glia_tensor permute(walker *w, glia_graph *to, const glia_node *n, const glia_tensor *in, int64_t *inner) {
    const glia_permute_attrs *a = n->attrs;
    int64_t had = w->inner[n->in[0]->id];
    int axis = 0;
    while (a->order.dim[axis] != time_axis(n->in[0]->shape, had)) axis++;
    *inner = moved(n, had, axis);
    return glia_node_copy(to, n, in, NULL);
}

static bool lists(glia_shape axes, int axis) {
    for (int i = 0; i < axes.rank; i++) {
        if (axes.dim[i] == axis) return true;
    }
    return false;
}

static glia_tensor reduce(walker *w, glia_graph *to, const glia_node *n, const glia_tensor *in, int64_t *inner) {
    const glia_reduce_attrs *a = n->attrs;
    int64_t had = w->inner[n->in[0]->id];
    int axis = time_axis(n->in[0]->shape, had), at = axis;
    if (lists(a->axes, axis)) return NULL;
    for (int i = 0; !a->keep && i < axis; i++) at -= lists(a->axes, i);
    *inner = moved(n, had, at);
    return glia_node_copy(to, n, in, NULL);
}

static glia_tensor argmax(walker *w, glia_graph *to, const glia_node *n, const glia_tensor *in, int64_t *inner) {
    int64_t along = ((const glia_axis_attrs *)n->attrs)->axis, had = w->inner[n->in[0]->id];
    int axis = time_axis(n->in[0]->shape, had);
    if (along == axis) return NULL;
    *inner = moved(n, had, axis - (along < axis));
    return glia_node_copy(to, n, in, NULL);
}

/* softmax and cumsum along an axis other than time's; cumsum's attributes begin with the axis too. */
static glia_tensor along_axis(walker *w, glia_graph *to, const glia_node *n, const glia_tensor *in, int64_t *inner) {
    *inner = w->inner[n->in[0]->id];
    return *(const int64_t *)n->attrs == time_axis(n->shape, *inner) ? NULL : glia_node_copy(to, n, in, NULL);
}

/* Norms over the last axis; scale and shift have only that axis. */
static glia_tensor norm(walker *w, glia_graph *to, const glia_node *n, const glia_tensor *in, int64_t *inner) {
    *inner = w->inner[n->in[0]->id];
    for (int i = 1; i < n->n_in; i++) {
        if (w->inner[n->in[i]->id]) return NULL;
    }
    return time_axis(n->shape, *inner) == n->shape.rank - 1 ? NULL : glia_node_copy(to, n, in, NULL);
}

static bool is_stacked(const glia_scan_attrs *a, int i) { return i < a->stacked || i >= a->states; }

/* The loop result that a slice takes; it must have all steps. */
static glia_tensor loop_result(const glia_node *n, glia_tensor loop, const glia_slice_attrs *s, int64_t *inner) {
    const glia_scan_attrs *a = n->in[0]->attrs;
    for (int i = 0; i < a->body->n_outputs; i++) {
        const glia_part whole = glia_scan_part(n->in[0], i), now = glia_scan_part(loop, i);
        const bool same = s->start.dim[0] == whole.start && s->stop.dim[0] == whole.start + whole.count;
        if (!same || s->step.dim[0] != 1 || !is_stacked(a, i)) continue;
        *inner = suffix(whole.shape, 1);
        return glia_slice(loop, GLIA_SHAPE(now.start), GLIA_SHAPE(now.start + now.count), GLIA_SCALAR);
    }
    return NULL;
}

static glia_tensor slice(walker *w, glia_graph *to, const glia_node *n, const glia_tensor *in, int64_t *inner) {
    glia_slice_attrs a = *(const glia_slice_attrs *)n->attrs;
    glia_shape from = n->in[0]->shape;
    int64_t had = w->inner[n->in[0]->id];
    if (had == PACKED) return loop_result(n, in[0], &a, inner);
    int axis = time_axis(from, had);
    if (a.start.dim[axis] != 0 || a.stop.dim[axis] != from.dim[axis] || a.step.dim[axis] != 1) return NULL;
    *inner = moved(n, had, axis);
    a.stop.dim[axis] = in[0]->shape.dim[axis];
    return glia_node_create(to, n->op, in, 1, &a);
}

static glia_tensor pad(walker *w, glia_graph *to, const glia_node *n, const glia_tensor *in, int64_t *inner) {
    const glia_pad_attrs *a = n->attrs;
    int64_t had = w->inner[n->in[0]->id];
    int axis = time_axis(n->in[0]->shape, had);
    if (a->before.dim[axis] || a->after.dim[axis] || (a->between.rank && a->between.dim[axis])) return NULL;
    *inner = moved(n, had, axis);
    return glia_node_copy(to, n, in, NULL);
}

static glia_tensor concat(walker *w, glia_graph *to, const glia_node *n, const glia_tensor *in, int64_t *inner) {
    int64_t along = ((const glia_axis_attrs *)n->attrs)->axis;
    int axis = -1;
    for (int i = 0; i < n->n_in; i++) {
        int64_t own = w->inner[n->in[i]->id];
        if (!own) continue;
        int at = time_axis(n->in[i]->shape, own);
        if (axis >= 0 && at != axis) return NULL;
        axis = at;
        *inner = time_stride(n->in[i]->shape, own) * suffix(n->shape, axis);
    }
    if (along == axis) return NULL;
    glia_tensor *now = malloc((size_t)n->n_in * sizeof *now);
    if (!now) return glia_graph_fail_nomem(to);
    bool possible = true;
    for (int i = 0; i < n->n_in; i++) {
        bool of_time = w->inner[n->in[i]->id];
        possible = possible && (of_time || is_whole_axis(w, n->shape, *inner));
        now[i] = of_time || !possible ? in[i] : part(w, in[i], axis);
    }
    glia_tensor y = possible ? glia_node_copy(to, n, now, NULL) : NULL;
    free(now);
    return y;
}

static glia_tensor gather(walker *w, glia_graph *to, const glia_node *n, const glia_tensor *in, int64_t *inner) {
    int axis = (int)((const glia_axis_attrs *)n->attrs)->axis;
    int64_t of_x = w->inner[n->in[0]->id], of_index = w->inner[n->in[1]->id];
    if (of_x && of_index) return NULL;
    if (of_index) {
        *inner = of_index * suffix(n->in[0]->shape, axis);
        return glia_node_copy(to, n, in, NULL);
    }
    int at = time_axis(n->in[0]->shape, of_x);
    if (at == axis) return NULL;
    *inner = moved(n, of_x, at < axis ? at : at - 1 + n->in[1]->shape.rank);
    return glia_node_copy(to, n, in, NULL);
}

/* The position of operand i's time axis in a product's result; -1: it is summed over. */
static int product_axis(const walker *w, const glia_node *n, int i) {
    const glia_matmul_attrs *a = n->attrs;
    glia_shape s = n->in[i]->shape;
    bool transposed = i ? a->transpose_b : a->transpose_a;
    int from_end = s.rank - time_axis(s, w->inner[n->in[i]->id]); /* 1: the last */
    if (from_end <= 2) {
        int kept = (i == 0) != transposed ? 2 : 1; /* M of (.., M, K), N of (.., K, N) */
        if (from_end != kept) return -1;
        from_end = i == 0 ? 2 : 1;
    }
    return n->shape.rank - from_end;
}

static glia_tensor matmul(walker *w, glia_graph *to, const glia_node *n, const glia_tensor *in, int64_t *inner) {
    for (int i = 0; i < 2; i++) {
        int64_t own = w->inner[n->in[i]->id];
        if (!own) continue;
        int axis = product_axis(w, n, i);
        int64_t here = axis < 0 ? 0 : time_stride(n->in[i]->shape, own) * suffix(n->shape, axis);
        if (axis < 0 || (*inner && here != *inner)) return NULL;
        *inner = here;
        const glia_node *other = n->in[1 - i];
        int there = other->shape.rank - (n->shape.rank - axis);
        bool meets = axis < n->shape.rank - 2 && there >= 0 && other->shape.dim[there] != 1 && !w->inner[other->id];
        if (meets) return NULL;
    }
    return glia_node_copy(to, n, in, NULL);
}

/* ---- operations that look back ---------------------------------------------------------------------------- */

/* A state shared by all programs of this model and N: the same walk gives it the same name. */
static glia_tensor state(walker *w, glia_graph *to, const char *what, glia_dtype dtype, glia_shape shape) {
    char name[64];
    snprintf(name, sizeof name, "generate/%d/%s", w->n_states, what);
    return glia_state(to, name, dtype, shape, (glia_init){ .kind = GLIA_INIT_ZEROS });
}

/* The values of all steps so far: the state with the new x (N, steps, ...) written into it. */
static glia_tensor remembered(walker *w, const char *what, glia_tensor x) {
    glia_shape whole = x->shape;
    whole.dim[1] = w->whole;
    glia_tensor before = state(w, x->graph, what, x->dtype, whole);
    glia_tensor now = glia_write(before, x, w->position, 1);
    glia_update(before, now, "generate");
    return now;
}

/* Heads `from` ... `from + count - 1` of x (N, S, heads D), as (N, S, count, D). */
static glia_tensor heads(glia_tensor x, int64_t from, int64_t count, int64_t size) {
    glia_shape start = { .rank = 3, .dim = { 0, 0, from * size } }, stop = x->shape;
    stop.dim[2] = (from + count) * size;
    return glia_reshape(glia_slice(x, start, stop, (glia_shape){ 0 }),
                        GLIA_SHAPE(x->shape.dim[0], x->shape.dim[1], count, size));
}

/* Splits the input of an attention into q, k and v. */
static void take_apart(const glia_attention_attrs *a, const glia_attention_sizes *s, const glia_tensor *in,
                       glia_tensor *qkv) {
    if (a->packing == GLIA_ATTENTION_APART) {
        memcpy(qkv, in, 3 * sizeof *qkv);
        return;
    }
    bool one = a->packing == GLIA_ATTENTION_QKV;
    glia_tensor kv = in[one ? 0 : 1];
    int64_t before = one ? s->heads : 0;
    qkv[0] = heads(in[0], 0, s->heads, s->size);
    qkv[1] = heads(kv, before, s->groups, s->size);
    qkv[2] = heads(kv, before + s->groups, s->groups, s->size);
}

/* The rows of a mask or bias for the new queries. */
static glia_tensor query_rows(const walker *w, const glia_node *n, int i, glia_tensor x) {
    int axis = n->in[i]->shape.rank - 2;
    return axis < 0 || n->in[i]->shape.dim[axis] == 1 ? x : part(w, x, axis);
}

/* Self-attention must be causal and attends to the keys and values in the states; in cross-attention the keys of the
 * other sequence are used unchanged. */
static glia_tensor attention(walker *w, glia_graph *to, const glia_node *n, const glia_tensor *in, int64_t *inner) {
    glia_attention_attrs a = *(const glia_attention_attrs *)n->attrs;
    const glia_attention_sizes s = glia_attention_sizes_of(&a, n->in);
    const glia_attention_places p = glia_attention_places_of(&a, false);
    const int packed = a.packing == GLIA_ATTENTION_QKV ? 1 : a.packing == GLIA_ATTENTION_KV ? 2 : 3;
    const bool self = w->inner[n->in[packed - 1]->id] > 0;
    for (int i = 0; i < n->n_in; i++) {
        const int64_t own = w->inner[n->in[i]->id];
        const bool fits =
            own ? i < packed && is_whole_axis(w, n->in[i]->shape, own) && time_axis(n->in[i]->shape, own) == 1
                : i >= packed || (i > 0 && !self);
        if (!fits) return NULL;
    }
    if (p.offsets >= 0 || (self && !(a.causal && s.keys == s.queries))) return NULL;
    glia_tensor now[8], first = glia_add_scalar(w->position, (double)(s.keys - s.queries));
    take_apart(&a, &s, in, now);
    if (self) {
        now[1] = remembered(w, "keys", now[1]);
        now[2] = remembered(w, "values", now[2]);
        w->n_states++;
    }
    int count = 3;
    if (p.lengths >= 0) now[count++] = in[p.lengths];
    now[count++] = glia_broadcast(first, GLIA_SHAPE(s.samples));
    if (p.mask >= 0) now[count++] = query_rows(w, n, p.mask, in[p.mask]);
    if (p.bias >= 0) now[count++] = query_rows(w, n, p.bias, in[p.bias]);
    a.packing = GLIA_ATTENTION_APART;
    a.offsets = true;
    *inner = suffix(n->shape, 1);
    return glia_reshape(glia_node_create(to, n->op, now, count, &a), resized(w, n->shape, *inner));
}

/* A block of a flat value, after `from` elements. */
static glia_tensor block(glia_tensor flat, int64_t from, glia_shape shape) {
    glia_tensor part =
        glia_slice(flat, GLIA_SHAPE(from), GLIA_SHAPE(from + glia_shape_count(shape)), (glia_shape){ 0 });
    return glia_reshape(part, shape);
}

/* A recurrent layer continues from the state of the run before. It must run forward from zeros, and only its sequence
 * may be used. */
static glia_tensor recurrent(walker *w, glia_graph *to, const glia_node *n, const glia_tensor *in, int64_t *inner) {
    glia_recurrent_attrs a = *(const glia_recurrent_attrs *)n->attrs;
    const glia_recurrent_view v = glia_recurrent_view_of(n, n->in);
    const int64_t own = w->inner[n->in[0]->id];
    bool fits = own && time_axis(n->in[0]->shape, own) == 0 && !a.last && !a.initial && !a.reverse && !a.lengths;
    for (int i = 1; i < n->n_in; i++) fits = fits && !w->inner[n->in[i]->id];
    glia_tensor now[8];
    if (!fits || n->n_in + 2 > GLIA_COUNT(now)) return NULL;
    glia_shape h = GLIA_SHAPE(v.samples, v.outputs), c = GLIA_SHAPE(v.samples, v.units);
    int count = 2;
    memcpy(now, in, 2 * sizeof *now);
    glia_tensor before_h = now[count++] = state(w, to, "h", n->dtype, h), before_c = NULL;
    if (v.cell->memory) before_c = now[count++] = state(w, to, "c", n->dtype, c);
    for (int i = 2; i < n->n_in; i++) now[count++] = in[i];
    w->n_states++;
    a.steps = w->steps;
    a.last = a.initial = true;
    glia_tensor flat = glia_recurrent_of(now, count, a);
    const int64_t sequence = w->steps * glia_shape_count(h);
    glia_update(before_h, block(flat, sequence, h), "generate");
    if (before_c) glia_update(before_c, block(flat, sequence + glia_shape_count(h), c), "generate");
    *inner = glia_shape_count(h);
    return block(flat, 0, GLIA_SHAPE(sequence));
}

/* The body's input number k; NULL: it has fewer. */
static const glia_node *body_input(const glia_graph *body, int64_t k) {
    for (int id = 0; id < body->n_nodes; id++) {
        if (glia_is_input(body->nodes[id]) && k-- == 0) return body->nodes[id];
    }
    return NULL;
}

/* Whether the body still draws random numbers. */
static bool draws(const glia_scan_attrs *a) {
    const glia_node *random = a->random ? body_input(a->body, a->random - 1) : NULL;
    for (int id = 0; random && id < a->body->n_nodes; id++) {
        for (int i = 0; i < a->body->nodes[id]->n_in; i++) {
            if (a->body->nodes[id]->in[i] == random) return true;
        }
    }
    return false;
}

/* Whether this is a supported loop over time: forward, over sequences (N, T, ...), with no other input of time. */
static bool is_loop_of_time(const walker *w, const glia_node *n) {
    const glia_scan_attrs *a = n->attrs;
    bool fits = !a->reverse && a->steps == w->whole && !draws(a);
    for (int i = 0; i < n->n_in; i++) {
        const glia_shape s = n->in[i]->shape;
        const int64_t own = w->inner[n->in[i]->id];
        if (own) fits = fits && i < a->sequences && time_axis(s, own) == 1 && is_whole_axis(w, s, own);
    }
    return fits;
}

/* The value of a loop's state before the new steps: the one that the run before left, in the first run the initial one.
 * Zeros need no selection, since states are initially zeros. */
static glia_tensor loop_state(glia_tensor before, glia_tensor begun, glia_tensor initial) {
    double value;
    if (glia_is_constant_scalar(initial, &value) && value == 0) return before;
    glia_shape column = { .rank = initial->shape.rank, .dim = { initial->shape.dim[0] } };
    for (int i = 1; i < column.rank; i++) column.dim[i] = 1;
    glia_tensor zero = glia_scalar(begun->graph, begun->dtype, 0);
    glia_tensor any = glia_broadcast(glia_reshape(glia_greater(begun, zero), column), initial->shape);
    return glia_select(any, before, initial);
}

/* The last step of a state's values (N, S, ...); of a state whose last value alone is a result, that value. */
static glia_tensor last_value(glia_tensor loop, int i) {
    const glia_scan_attrs *a = loop->attrs;
    const glia_tensor values = glia_part_of(loop, glia_scan_part(loop, i));
    if (!is_stacked(a, i) || glia_is_bad(values)) return values;
    glia_shape start = { .rank = values->shape.rank }, stop = values->shape;
    start.dim[1] = a->steps - 1;
    return glia_reshape(glia_slice(values, start, stop, GLIA_SCALAR), a->body->outputs[i].node->shape);
}

/* A loop continues from the states of the run before. */
static glia_tensor scan(walker *w, glia_graph *to, const glia_node *n, const glia_tensor *in, int64_t *inner) {
    glia_scan_attrs a = *(const glia_scan_attrs *)n->attrs;
    if (!is_loop_of_time(w, n)) return NULL;
    glia_tensor *now = malloc((size_t)(n->n_in + a.states) * sizeof *now), begun = NULL;
    if (!now) return glia_graph_fail_nomem(to);
    glia_tensor *kept = now + n->n_in;
    for (int i = 0; i < n->n_in; i++) now[i] = in[i];
    for (int i = 0; i < a.sequences; i++) {
        if (!w->inner[n->in[i]->id]) now[i] = part(w, in[i], 1);
    }
    for (int i = 0; i < a.states; i++) {
        const glia_tensor initial = in[a.sequences + i];
        char name[32];
        snprintf(name, sizeof name, "state%d", i);
        kept[i] = state(w, to, name, initial->dtype, initial->shape);
        if (!begun) begun = state(w, to, "begun", GLIA_F32, GLIA_SHAPE(initial->shape.dim[0]));
        now[a.sequences + i] = loop_state(kept[i], begun, initial);
    }
    if (a.index) now[a.index - 1] = glia_add(in[a.index - 1], w->position); /* the number of its first step */
    a.steps = w->steps;
    const glia_tensor loop = glia_node_create(to, n->op, now, n->n_in, &a);
    for (int i = 0; i < a.states && !glia_is_bad(loop); i++) glia_update(kept[i], last_value(loop, i), "generate");
    if (begun && !glia_is_bad(loop))
        glia_update(begun, glia_broadcast(glia_scalar(to, GLIA_F32, 1), begun->shape), "generate");
    free(now);
    w->n_states++;
    const bool alone = a.body->n_outputs == 1 && is_stacked(&a, 0);
    *inner = alone ? suffix(glia_scan_part(n, 0).shape, 1) : PACKED;
    return loop;
}

static const struct {
    const glia_op *op;
    rule rule;
} rules[] = {
    { &glia_op_reshape, reshape },
    { &glia_op_broadcast, broadcast },
    { &glia_op_permute, permute },
    { &glia_op_sum, reduce },
    { &glia_op_max, reduce },
    { &glia_op_prod, reduce },
    { &glia_op_argmax, argmax },
    { &glia_op_softmax, along_axis },
    { &glia_op_log_softmax, along_axis },
    { &glia_op_cumsum, along_axis },
    { &glia_op_layer_norm, norm },
    { &glia_op_slice, slice },
    { &glia_op_pad, pad },
    { &glia_op_concat, concat },
    { &glia_op_gather, gather },
    { &glia_op_attention, attention },
    { &glia_op_recurrent, recurrent },
    { &glia_op_scan, scan },
    { &glia_op_matmul, matmul },
    { &glia_op_cast, alike },
    { &glia_op_stop_gradient, alike },
    { &glia_op_custom_gradient, alike },
};

static rule rule_of(const glia_op *op) {
    for (int i = 0; i < GLIA_COUNT(rules); i++) {
        if (rules[i].op == op) return rules[i].rule;
    }
    return op->flags & GLIA_OP_ELEMENTWISE ? alike : NULL;
}

/* ---- the last step alone ----------------------------------------------------------------------------------- */

static bool looks_back(const glia_node *n) {
    return n->op == &glia_op_attention || n->op == &glia_op_recurrent || n->op == &glia_op_scan;
}

/* May the node be computed for the last step alone, if that is all that is wanted of it? */
static bool can_be_tail(const walker *w, const glia_node *n) {
    if (n == w->input || looks_back(n) || n->n_in > GLIA_SAMPLE_INPUTS) return false;
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i]->op == &glia_op_scan) return false; /* its results are packed */
    }
    return true;
}

/* Marks the nodes that only lead to the output, by operations that treat every step by itself. */
static void find_tail(walker *w, const glia_graph *g) {
    const glia_node *output = g->outputs[0].node;
    for (int id = 0; id <= output->id; id++) w->tail[id] = true;
    for (int id = output->id; id >= 0; id--) {
        const glia_node *n = g->nodes[id];
        w->tail[id] = w->tail[id] && can_be_tail(w, n);
        for (int i = 0; i < n->n_in && !w->tail[id]; i++) w->tail[n->in[i]->id] = false;
    }
}

/* Of x, which stands for `old` at all new steps, the last one. */
static glia_tensor last_step(const walker *w, const glia_node *old, glia_tensor x) {
    const int64_t inner = w->inner[old->id], outer = glia_shape_count(x->shape) / (w->steps * inner);
    const walker one = { .whole = w->whole, .steps = 1 };
    x = glia_reshape(x, GLIA_SHAPE(outer, w->steps, inner));
    x = glia_slice(x, GLIA_SHAPE(0, w->steps - 1, 0), GLIA_SHAPE(outer, w->steps, inner), GLIA_SCALAR);
    return glia_reshape(x, resized(&one, old->shape, inner));
}

/* A node of the tail. */
static glia_tensor make_tail(walker *w, rule make, glia_graph *to, const glia_node *n, const glia_tensor *in,
                             int64_t *inner) {
    glia_tensor now[GLIA_SAMPLE_INPUTS];
    for (int i = 0; i < n->n_in; i++) {
        const glia_node *old = n->in[i];
        now[i] = w->inner[old->id] && !w->tail[old->id] ? last_step(w, old, in[i]) : in[i];
    }
    walker one = *w;
    one.steps = 1;
    one.position = glia_add_scalar(w->position, (double)(w->steps - 1));
    return make(&one, to, n, now, inner);
}

/* ---- the walk ---------------------------------------------------------------------------------------------- */

/* Expands composites without a rule into simpler operations. */
static glia_tensor expand(glia_graph *to, const glia_node *n, const glia_tensor *in, void *context) {
    glia_modal_expansion *e = context;
    if (glia_body_of(n) || (n->op->flags & GLIA_OP_MODAL)) return glia_expand_modal(to, n, in, e);
    if (!(n->op->flags & GLIA_OP_COMPOSITE) || rule_of(n->op)) return NULL;
    e->again = true;
    return n->op->expand(n, in, GLIA_INFER);
}

static glia_graph *expanded(const glia_graph *model, int64_t batch, glia_error *error) {
    glia_graph *g = NULL;
    const glia_sizes sizes = { { batch, 1, 1 } };
    for (glia_modal_expansion e = { .sizes = &sizes, .again = true }; e.again; e.sizes = NULL) {
        e.again = false;
        glia_graph *next = glia_graph_rewrite(g ? g : model, expand, &e, e.sizes, false, error);
        glia_graph_free(g);
        if (!next) return NULL;
        g = next;
    }
    return g;
}

static glia_tensor step(glia_graph *to, const glia_node *n, const glia_tensor *in, void *context) {
    walker *w = context;
    int64_t *inner = &w->inner[n->id];
    if (!w->position) w->position = glia_input(to, "position", GLIA_I32, GLIA_SCALAR);
    if (n == w->input) {
        *inner = suffix(n->shape, 1);
        return glia_input(to, "tokens", n->dtype, resized(w, n->shape, *inner));
    }
    bool of_time = false, packed = false;
    for (int i = 0; i < n->n_in; i++) {
        of_time = of_time || w->inner[n->in[i]->id];
        packed = packed || w->inner[n->in[i]->id] == PACKED;
    }
    if (!of_time) return NULL;
    rule make = packed && n->op != &glia_op_slice ? NULL : rule_of(n->op);
    glia_tensor y = NULL;
    if (make) y = w->tail[n->id] ? make_tail(w, make, to, n, in, inner) : make(w, to, n, in, inner);
    if (y) return y;
    w->stuck = n;
    return glia_graph_fail(to, GLIA_E_UNSUPPORTED,
                           "the model cannot be run token by token: %s%s%s%s mixes steps in an unsupported way",
                           n->op->name, n->label ? " (\"" : "", n->label ? n->label : "", n->label ? "\")" : "");
}

/* A copy with only the model's first input and output. */
static glia_graph *excerpt(const glia_graph *model, const glia_node *output, int64_t batch, glia_error *error) {
    glia_graph view = *model;
    glia_named out = { "scores", (glia_node *)output };
    view.outputs = &out;
    view.n_outputs = 1;
    view.n_updates = 0;
    return expanded(&view, batch, error);
}

glia_graph *glia_incremental(const glia_graph *model, const glia_node *input, const glia_node *output,
                             glia_incremental_opts opts, glia_error *error) {
    if (input->shape.rank < 2 || input->shape.dim[0] != GLIA_BATCH || output->shape.rank < 3 ||
        output->shape.dim[0] != GLIA_BATCH || output->shape.dim[1] != input->shape.dim[1]) {
        glia_fail(error, GLIA_E_SHAPE, "a model for generation needs an input (N, T, ...) and an output (N, T, V)");
        return NULL;
    }
    glia_graph *whole = excerpt(model, output, opts.sequences, error);
    if (!whole) return NULL;
    walker w = { .whole = input->shape.dim[1], .steps = opts.steps };
    w.inner = calloc((size_t)whole->n_nodes + 1, sizeof *w.inner);
    w.tail = calloc((size_t)whole->n_nodes + 1, sizeof *w.tail);
    w.input = glia_graph_find_leaf(whole, glia_leaf_of(input)->name);
    if (w.tail && opts.last && opts.steps > 1) find_tail(&w, whole);
    glia_graph *g = NULL;
    if (!w.inner || !w.tail)
        glia_fail_nomem(error);
    else if (!w.input)
        glia_fail(error, GLIA_E_SHAPE, "the model's output does not depend on its input");
    else
        g = glia_graph_rewrite(whole, step, &w, NULL, false, error);
    if (g && !is_whole_axis(&w, whole->outputs[0].node->shape, w.inner[whole->outputs[0].node->id])) {
        glia_fail(error, GLIA_E_SHAPE, "the second axis of the model's output is not that of its input");
        glia_graph_free(g);
        g = NULL;
    }
    free(w.inner);
    free(w.tail);
    glia_graph_free(whole);
    return g;
}
