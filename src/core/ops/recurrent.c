/* recurrent.c - recurrent cells over whole sequences, their states and their gradients: recurrent, recurrent_saved,
 * recurrent_grad. recurrent.h describes their inputs and values; cells.c has the cells.
 *
 * All three are composites, defined as the unrolled loop. The gradient visits the steps in reverse (back-propagation
 * through time, Werbos 1990). recurrent_saved gives recurrent's value and what the gradient needs of the forward pass;
 * a program that needs both computes only recurrent_saved (glia_op.saves). The rest of the gradient are products over
 * all steps at once: with dz (T, N, G H) the gradient of the gates' inputs,
 *
 *     dkernel = sum over t, n of dz[t, n]^T h[t - 1, n]
 *
 * is one matrix product with inner size N T. The gradients of the inputs' part, x W^T + b, come from the ordinary ops
 * outside.
 */
#include "core/ops/recurrent.h"

/* ---- sizes and offsets ---------------------------------------------------------------------- */

static glia_tensor take(const glia_tensor *in, int *at, bool there) { return there ? in[(*at)++] : NULL; }

/* The offset of a block of this size, if it is present; else -1. */
static int64_t place(int64_t *end, bool there, int64_t size) {
    if (!there) return -1;
    *end += size;
    return *end - size;
}

static void find_places(glia_recurrent_view *v) {
    const glia_recurrent_attrs *a = v->attrs;
    int64_t end = 0;
    v->sequence = place(&end, a->sequence, v->steps * v->outputs);
    v->last_h = place(&end, a->last, v->outputs);
    v->last_c = place(&end, a->last && v->cell->memory, v->units);
    v->y_length = end;
    v->saved_sequence = a->sequence ? v->sequence : place(&end, true, v->steps * v->outputs);
    v->cells = place(&end, v->cell->memory, v->steps * v->units);
    v->kept = place(&end, v->cell->kept > 0, v->steps * v->units * v->cell->kept);
    v->s_length = end;
    end = 0;
    v->dz = place(&end, true, v->steps * v->width);
    v->dh0 = place(&end, a->initial, v->outputs);
    v->dc0 = place(&end, a->initial && v->cell->memory, v->units);
    v->dproduct = place(&end, a->cell == GLIA_CELL_GRU, v->steps * v->width);
    v->dout = place(&end, a->projection, v->steps * v->outputs);
    v->d_length = end;
}

glia_recurrent_view glia_recurrent_view_of(const glia_node *n, const glia_tensor *in) {
    const glia_recurrent_attrs *a = n->attrs;
    glia_recurrent_view v = {
        .attrs = a, .cell = &glia_cells[a->cell], .steps = a->steps, .first = in[0], .kernel = in[1]
    };
    int at = 2;
    v.h0 = take(in, &at, a->initial);
    v.c0 = take(in, &at, a->initial && v.cell->memory);
    v.bias = take(in, &at, a->bias);
    v.peephole = take(in, &at, a->peephole);
    v.projection = take(in, &at, a->projection);
    v.lengths = take(in, &at, a->lengths);
    v.count = at;
    v.width = in[1]->shape.dim[0];
    v.outputs = in[1]->shape.dim[1];
    v.units = v.width / v.cell->gates;
    find_places(&v);
    if (n->op == &glia_op_recurrent_grad) {
        v.dy = in[at];
        v.samples = glia_dim_over(in[0]->shape.dim[0], v.s_length);
    } else {
        v.samples = in[0]->shape.dim[1];
    }
    return v;
}

/* ---- infer ------------------------------------------------------------------------------------ */

static bool is_shaped(glia_node *n, glia_tensor x, const char *what, glia_shape shape) {
    char text[GLIA_SHAPE_TEXT];
    if (!x) return true;
    if (x->dtype == n->dtype && glia_shape_equal(x->shape, shape)) return true;
    return glia_node_fail(n, "%s should be %s%s", what, glia_dtype_name(n->dtype), glia_shape_format(shape, text));
}

/* Whether the lengths of all blocks fit into 64 bits: none exceeds eight times (rows + columns) per step. */
static bool lengths_fit(int64_t steps, int64_t rows, int64_t columns) {
    int64_t most;
    return !__builtin_add_overflow(rows, columns, &most) && !__builtin_mul_overflow(most, 8, &most) &&
           !__builtin_mul_overflow(most, steps, &most);
}

/* Checks the attributes, the number of inputs and the kernel. */
static bool is_recurrent(glia_node *n, int more) {
    const glia_recurrent_attrs *a = n->attrs;
    n->dtype = n->in[0]->dtype;
    if (a->cell < 0 || a->cell >= GLIA_CELL_COUNT)
        return glia_node_fail(n, "there is no cell %lld", (long long)a->cell);
    const glia_cell *cell = &glia_cells[a->cell];
    const bool lstm = a->cell == GLIA_CELL_LSTM;
    int wanted = 2 + a->initial * (1 + cell->memory) + a->bias + a->peephole + a->projection + a->lengths + more;
    if (n->n_in != wanted) return glia_node_fail(n, "%d inputs where the attributes name %d", n->n_in, wanted);
    if (n->dtype != GLIA_F32 && n->dtype != GLIA_F64) return glia_node_fail(n, "it takes f32 or f64");
    if (a->steps < 1 || !(a->sequence || a->last)) return glia_node_fail(n, "no result is requested");
    if (((a->peephole || a->projection) && !lstm) || (a->bias && a->cell != GLIA_CELL_GRU)) {
        return glia_node_fail(n, "this cell has no such option");
    }
    const glia_node *kernel = n->in[1];
    const int64_t rows = kernel->shape.dim[0], columns = kernel->shape.dim[1];
    bool fits = kernel->dtype == n->dtype && kernel->shape.rank == 2 && rows > 0 && columns > 0 &&
                rows % cell->gates == 0 && (a->projection || columns == rows / cell->gates);
    if (fits && !lengths_fit(a->steps, rows, columns)) return glia_node_fail(n, "it is too long");
    return fits || glia_node_fail(n, "the kernel should be (%d units, units)", cell->gates);
}

static bool options_fit(glia_node *n, const glia_recurrent_view *v) {
    const int64_t samples = v->samples;
    if (v->lengths &&
        (v->lengths->dtype != GLIA_I32 || v->lengths->shape.rank != 1 || v->lengths->shape.dim[0] != samples)) {
        return glia_node_fail(n, "the lengths should be i32, one for each sample");
    }
    return is_shaped(n, v->h0, "h0", GLIA_SHAPE(samples, v->outputs)) &&
           is_shaped(n, v->c0, "c0", GLIA_SHAPE(samples, v->units)) &&
           is_shaped(n, v->bias, "the bias", GLIA_SHAPE(v->units)) &&
           is_shaped(n, v->peephole, "the peephole", GLIA_SHAPE(3, v->units)) &&
           is_shaped(n, v->projection, "the projection", GLIA_SHAPE(v->outputs, v->units));
}

/* Checks for a vector of `length` numbers per sample. */
static bool set_length(glia_node *n, const glia_recurrent_view *v, int64_t length) {
    const int64_t all = glia_dim_times(length, v->samples);
    if (all == GLIA_DIM_NONE) return glia_node_fail(n, "it is too long");
    n->shape = (glia_shape){ .rank = 1, .dim = { all } };
    return true;
}

static bool forward_infer(glia_node *n) {
    if (!is_recurrent(n, 0)) return false;
    const glia_shape z = n->in[0]->shape;
    const glia_recurrent_attrs *a = n->attrs;
    if (z.rank != 3 || z.dim[0] != a->steps || z.dim[2] != n->in[1]->shape.dim[0]) {
        return glia_node_fail(n, "z should be (T, N, rows of the kernel)");
    }
    glia_recurrent_view v = glia_recurrent_view_of(n, n->in);
    return options_fit(n, &v) && set_length(n, &v, n->op == &glia_op_recurrent ? v.y_length : v.s_length);
}

static bool grad_infer(glia_node *n) {
    if (!is_recurrent(n, 1)) return false;
    glia_recurrent_view v = glia_recurrent_view_of(n, n->in);
    const glia_shape s = n->in[0]->shape;
    if (s.rank != 1 || v.samples == GLIA_DIM_NONE) return glia_node_fail(n, "s is not what recurrent_saved gives");
    return options_fit(n, &v) && is_shaped(n, v.dy, "dy", GLIA_SHAPE(glia_dim_times(v.samples, v.y_length))) &&
           set_length(n, &v, v.d_length);
}

/* ---- graph helpers ---------------------------------------------------------------------------- */

glia_tensor glia_recurrent_block(const glia_recurrent_view *v, glia_tensor value, int64_t offset, int64_t steps,
                                 int64_t size) {
    if (glia_is_bad(value)) return value;
    const int64_t length = (steps ? steps : 1) * size;
    const int64_t start = glia_dim_times(v->samples, offset), stop = glia_dim_times(v->samples, offset + length);
    glia_tensor block = glia_slice(value, GLIA_SHAPE(start), GLIA_SHAPE(stop), GLIA_SCALAR);
    return glia_reshape(block, steps ? GLIA_SHAPE(steps, v->samples, size) : GLIA_SHAPE(v->samples, size));
}

/* Step t of a block, (N, size). */
static glia_tensor step_of(const glia_recurrent_view *v, glia_tensor value, int64_t offset, int64_t t, int64_t size) {
    return glia_recurrent_block(v, value, offset + t * size, 0, size);
}

static glia_tensor flat(glia_tensor x) {
    return glia_is_bad(x) ? x : glia_reshape(x, GLIA_SHAPE(glia_shape_count(x->shape)));
}

static glia_tensor zeros(const glia_recurrent_view *v, int64_t size) {
    glia_graph *g = v->kernel->graph;
    return glia_broadcast(glia_scalar(g, v->kernel->dtype, 0), GLIA_SHAPE(v->samples, size));
}

static glia_tensor or_zeros(const glia_recurrent_view *v, glia_tensor x, int64_t size) {
    return x ? x : zeros(v, size);
}

/* (N, 1): true for samples that have step t. NULL: all have it. */
static glia_tensor is_valid(const glia_recurrent_view *v, int64_t t) {
    if (!v->lengths) return NULL;
    glia_tensor here = glia_less(glia_scalar(v->lengths->graph, GLIA_I32, (double)t), v->lengths);
    return glia_reshape(here, GLIA_SHAPE(v->samples, 1));
}

static glia_tensor choose(glia_tensor valid, glia_tensor yes, glia_tensor no) {
    return valid ? glia_select(valid, yes, no) : yes;
}

static glia_tensor where_valid(glia_tensor valid, glia_tensor x) {
    return valid && !glia_is_bad(x) ? glia_select(valid, x, glia_like(x, 0)) : x;
}

/* The time index of step `s` of the forward pass. */
static int64_t time_of(const glia_recurrent_view *v, int64_t s) { return v->attrs->reverse ? v->steps - 1 - s : s; }

/* The blocks of the steps, to be concatenated. */
typedef struct pieces {
    glia_tensor *x;
    int n;
} pieces;

static void add_piece(pieces *p, glia_tensor x) { p->x[p->n++] = flat(x); }

/* ---- forward ---------------------------------------------------------------------------------- */

enum { LISTS = 3 };

/* Runs the steps forward. By time: lists[0] gets the sequence, [1] the cells, [2] the saved values. *h and *c: the last
 * states. */
static void walk_forward(const glia_recurrent_view *v, glia_tensor *lists[LISTS], glia_tensor *h, glia_tensor *c) {
    glia_cell_step step = { .view = v, .h = or_zeros(v, v->h0, v->outputs) };
    if (v->cell->memory) step.c = or_zeros(v, v->c0, v->units);
    for (int64_t s = 0; s < v->steps; s++) {
        const int64_t t = time_of(v, s);
        const glia_tensor h_before = step.h, c_before = step.c, valid = is_valid(v, t);
        step.z = step_of(v, flat(v->first), 0, t, v->width);
        v->cell->forward(&step);
        lists[0][t] = where_valid(valid, step.h);
        step.h = choose(valid, step.h, h_before);
        if (v->cell->memory) lists[1][t] = step.c = choose(valid, step.c, c_before);
        if (v->cell->kept) lists[2][t] = where_valid(valid, step.kept);
    }
    *h = step.h;
    *c = step.c;
}

static void add_list(const glia_recurrent_view *v, pieces *p, const glia_tensor *list) {
    for (int64_t t = 0; t < v->steps; t++) add_piece(p, list[t]);
}

/* y, followed by the rest of s if `saved`. */
static glia_tensor unrolled(const glia_node *n, const glia_tensor *in, bool saved) {
    glia_graph *g = in[0]->graph;
    const glia_recurrent_view v = glia_recurrent_view_of(n, in);
    const size_t steps = (size_t)v.steps;
    glia_tensor *all = glia_arena_alloc(&g->arena, (2 * LISTS * steps + 2) * sizeof *all), h, c;
    if (!all) return glia_graph_fail_nomem(g);
    glia_tensor *lists[LISTS] = { all, all + steps, all + 2 * steps };
    pieces p = { all + LISTS * steps, 0 };
    walk_forward(&v, lists, &h, &c);
    if (v.attrs->sequence) add_list(&v, &p, lists[0]);
    if (v.attrs->last) add_piece(&p, h);
    if (v.attrs->last && v.cell->memory) add_piece(&p, c);
    if (saved && !v.attrs->sequence) add_list(&v, &p, lists[0]);
    if (saved && v.cell->memory) add_list(&v, &p, lists[1]);
    if (saved && v.cell->kept) add_list(&v, &p, lists[2]);
    return p.n == 1 ? p.x[0] : glia_concat(p.x, p.n, 0);
}

static glia_tensor recurrent_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)mode;
    return unrolled(n, in, false);
}

static glia_tensor saved_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)mode;
    return unrolled(n, in, true);
}

/* ---- backward --------------------------------------------------------------------------------- */

/* h before step `s`, from the saved values. */
static glia_tensor h_before(const glia_recurrent_view *v, int64_t s) {
    if (s == 0) return or_zeros(v, v->h0, v->outputs);
    const int64_t before = time_of(v, s - 1);
    glia_tensor h = step_of(v, v->first, v->saved_sequence, before, v->outputs);
    /* In the reverse direction a sample starts at its own last step; the sequence beyond it is not its state. */
    return v->attrs->reverse && v->h0 ? choose(is_valid(v, before), h, v->h0) : h;
}

static glia_tensor c_before(const glia_recurrent_view *v, int64_t s) {
    if (s == 0) return or_zeros(v, v->c0, v->units);
    return step_of(v, v->first, v->cells, time_of(v, s - 1), v->units);
}

/* One step backward: dh and dc become those of the states before; lists[0] gets dz, [1] dproduct, [2] dout. */
static void step_back(const glia_recurrent_view *v, int64_t s, glia_cell_step *step, glia_tensor *lists[LISTS]) {
    const int64_t t = time_of(v, s);
    const glia_tensor valid = is_valid(v, t), dh = step->dh, dc = step->dc;
    if (v->attrs->sequence) step->dh = glia_add(dh, step_of(v, v->dy, v->sequence, t, v->outputs));
    step->h = h_before(v, s);
    if (v->cell->memory) step->c = c_before(v, s), step->c_after = step_of(v, v->first, v->cells, t, v->units);
    if (v->cell->kept)
        step->kept = step_of(v, v->first, v->kept, t, v->units * v->cell->kept);
    else
        step->kept = step_of(v, v->first, v->saved_sequence, t, v->outputs);
    v->cell->gradient(step);
    lists[0][t] = where_valid(valid, step->dz);
    if (v->dproduct >= 0) lists[1][t] = where_valid(valid, step->dproduct);
    if (v->dout >= 0) lists[2][t] = where_valid(valid, step->dout);
    step->dh = choose(valid, step->dh, dh);
    if (v->cell->memory) step->dc = choose(valid, step->dc, dc);
}

static glia_tensor grad_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)mode;
    glia_graph *g = in[0]->graph;
    const glia_recurrent_view v = glia_recurrent_view_of(n, in);
    const size_t steps = (size_t)v.steps;
    glia_tensor *all = glia_arena_alloc(&g->arena, (2 * LISTS * steps + 2) * sizeof *all);
    if (!all) return glia_graph_fail_nomem(g);
    glia_tensor *lists[LISTS] = { all, all + steps, all + 2 * steps };
    pieces p = { all + LISTS * steps, 0 };
    glia_cell_step step = { .view = &v };
    step.dh = v.attrs->last ? step_of(&v, v.dy, v.last_h, 0, v.outputs) : zeros(&v, v.outputs);
    if (v.cell->memory) step.dc = v.attrs->last ? step_of(&v, v.dy, v.last_c, 0, v.units) : zeros(&v, v.units);
    for (int64_t s = v.steps - 1; s >= 0; s--) step_back(&v, s, &step, lists);
    add_list(&v, &p, lists[0]);
    if (v.dh0 >= 0) add_piece(&p, step.dh);
    if (v.dc0 >= 0) add_piece(&p, step.dc);
    if (v.dproduct >= 0) add_list(&v, &p, lists[1]);
    if (v.dout >= 0) add_list(&v, &p, lists[2]);
    return p.n == 1 ? p.x[0] : glia_concat(p.x, p.n, 0);
}

/* ---- the gradient as graph -------------------------------------------------------------------- */

/* The steps [from, to) of x (T, N, size) as rows. */
static glia_tensor rows_of(const glia_recurrent_view *v, glia_tensor x, int64_t from, int64_t to, int64_t size) {
    glia_tensor part = glia_slice(x, GLIA_SHAPE(from, 0, 0), GLIA_SHAPE(to, v->samples, size), GLIA_SCALAR);
    return glia_reshape(part, GLIA_SHAPE(glia_dim_times(to - from, v->samples), size));
}

/* sum over t, n of d[t, n]^T h[before t, n]; d (T, N, size). */
static glia_tensor product_grad(const glia_recurrent_view *v, glia_tensor d, glia_tensor saved, int64_t size) {
    const int64_t steps = v->steps, first = time_of(v, 0);
    const bool reverse = v->attrs->reverse;
    glia_tensor h = glia_recurrent_block(v, saved, v->saved_sequence, steps, v->outputs), sum = NULL;
    if (steps > 1) {
        glia_tensor before = rows_of(v, h, reverse, steps - !reverse, v->outputs);
        if (reverse && v->h0 && v->lengths) {
            glia_tensor time = glia_iota(d->graph, GLIA_I32, GLIA_SHAPE(steps - 1, 1, 1), 0);
            glia_tensor length = glia_reshape(v->lengths, GLIA_SHAPE(1, v->samples, 1));
            glia_tensor inside = glia_less(glia_add_scalar(time, 1), length);
            before = glia_reshape(before, GLIA_SHAPE(steps - 1, v->samples, v->outputs));
            before = flat(glia_select(inside, before, glia_reshape(v->h0, GLIA_SHAPE(1, v->samples, v->outputs))));
            before = glia_reshape(before, GLIA_SHAPE(glia_dim_times(steps - 1, v->samples), v->outputs));
        }
        sum =
            glia_transpose(glia_matmul_transposed(before, true, rows_of(v, d, !reverse, steps - reverse, size), false));
    }
    if (v->h0) {
        glia_tensor start = glia_matmul_transposed(rows_of(v, d, first, first + 1, size), true, v->h0, false);
        sum = sum ? glia_add(sum, start) : start;
    }
    return sum ? sum : glia_broadcast(glia_scalar(d->graph, d->dtype, 0), GLIA_SHAPE(size, v->outputs));
}

/* The gates [from, to) of x (T, N, G H). */
static glia_tensor gates_of(const glia_recurrent_view *v, glia_tensor x, int64_t from, int64_t to) {
    return glia_slice(x, GLIA_SHAPE(0, 0, from * v->units), GLIA_SHAPE(x->shape.dim[0], v->samples, to * v->units),
                      GLIA_SCALAR);
}

static glia_tensor kernel_grad(const glia_recurrent_view *v, glia_tensor saved, glia_tensor d, glia_tensor dz) {
    if (v->dproduct >= 0) dz = glia_recurrent_block(v, d, v->dproduct, v->steps, v->width);
    if (v->attrs->cell != GLIA_CELL_GRU_BEFORE) return product_grad(v, dz, saved, v->width);
    glia_tensor kept = glia_recurrent_block(v, saved, v->kept, v->steps, 4 * v->units);
    glia_tensor parts[2] = { product_grad(v, gates_of(v, dz, 0, 2), saved, 2 * v->units) };
    glia_tensor reset = gates_of(v, kept, 3, 4), candidate = gates_of(v, dz, 2, 3);
    parts[1] = glia_matmul_transposed(rows_of(v, candidate, 0, v->steps, v->units), true,
                                      rows_of(v, reset, 0, v->steps, v->units), false);
    return glia_concat(parts, 2, 0);
}

static glia_tensor sum_steps(glia_tensor x) { return glia_is_bad(x) ? x : glia_sum(x, GLIA_SHAPE(0, 1), false); }

/* The cells before each step, (T, N, H). */
static glia_tensor cells_before(const glia_recurrent_view *v, glia_tensor cells) {
    const bool reverse = v->attrs->reverse;
    const glia_shape start = GLIA_SHAPE(1, v->samples, v->units);
    glia_tensor first = glia_reshape(or_zeros(v, v->c0, v->units), start);
    if (v->steps == 1) return first;
    glia_tensor others = glia_slice(cells, GLIA_SHAPE(reverse, 0, 0),
                                    GLIA_SHAPE(v->steps - !reverse, v->samples, v->units), GLIA_SCALAR);
    glia_tensor both[2] = { reverse ? others : first, reverse ? first : others };
    return glia_concat(both, 2, 0);
}

static glia_tensor peephole_grad(const glia_recurrent_view *v, glia_tensor saved, glia_tensor dz) {
    glia_tensor cells = glia_recurrent_block(v, saved, v->cells, v->steps, v->units), before = cells_before(v, cells);
    glia_tensor rows[3] = { sum_steps(glia_mul(gates_of(v, dz, 0, 1), before)),
                            sum_steps(glia_mul(gates_of(v, dz, 1, 2), before)),
                            sum_steps(glia_mul(gates_of(v, dz, 3, 4), cells)) };
    return glia_reshape(glia_concat(rows, 3, 0), GLIA_SHAPE(3, v->units));
}

/* The gradient of the projection P in h = P m, m = o tanh(c). */
static glia_tensor projection_grad(const glia_recurrent_view *v, glia_tensor saved, glia_tensor d) {
    glia_tensor cells = glia_recurrent_block(v, saved, v->cells, v->steps, v->units);
    glia_tensor kept = glia_recurrent_block(v, saved, v->kept, v->steps, 4 * v->units);
    glia_tensor m = glia_mul(gates_of(v, kept, 3, 4), glia_tanh(cells));
    glia_tensor dout = glia_recurrent_block(v, d, v->dout, v->steps, v->outputs);
    return glia_matmul_transposed(rows_of(v, dout, 0, v->steps, v->outputs), true, rows_of(v, m, 0, v->steps, v->units),
                                  false);
}

static void recurrent_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    enum { MOST_INPUTS = 10 };
    const glia_recurrent_view v = glia_recurrent_view_of(y, y->in);
    glia_tensor in[MOST_INPUTS] = { NULL };
    for (int i = 1; i < v.count; i++) in[i] = y->in[i];
    glia_tensor saved = in[0] = glia_node_create(y->graph, &glia_op_recurrent_saved, y->in, y->n_in, y->attrs);
    in[v.count] = dy;
    glia_tensor d = glia_node_create(y->graph, &glia_op_recurrent_grad, in, v.count + 1, y->attrs);
    if (glia_is_bad(d)) return;
    int at = 0;
    glia_tensor dz = dx[at++] = glia_recurrent_block(&v, d, v.dz, v.steps, v.width);
    dx[at++] = kernel_grad(&v, saved, d, dz);
    if (v.h0) dx[at++] = glia_recurrent_block(&v, d, v.dh0, 0, v.outputs);
    if (v.c0) dx[at++] = glia_recurrent_block(&v, d, v.dc0, 0, v.units);
    if (v.bias) {
        glia_tensor product = glia_recurrent_block(&v, d, v.dproduct, v.steps, v.width);
        dx[at++] = sum_steps(gates_of(&v, product, 2, 3));
    }
    if (v.peephole) dx[at++] = peephole_grad(&v, saved, dz);
    if (v.projection) dx[at++] = projection_grad(&v, saved, d);
}

/* ---- the records ------------------------------------------------------------------------------ */

static double product_flops(const glia_node *n) {
    const glia_recurrent_view v = glia_recurrent_view_of(n, n->in);
    double each = (double)v.width * (double)v.outputs + (v.projection ? (double)v.outputs * (double)v.units : 0);
    return 2.0 * (double)v.steps * (double)v.samples * each;
}

/* The names used in files. A name must never change its meaning; the order may change. */
static const char *const cell_names[] = {
    [GLIA_CELL_LSTM] = "lstm", [GLIA_CELL_GRU] = "gru",   [GLIA_CELL_GRU_BEFORE] = "gru_before",
    [GLIA_CELL_TANH] = "tanh", [GLIA_CELL_RELU] = "relu", [GLIA_CELL_COUNT] = NULL,
};

static const glia_field fields[] = { GLIA_ENUM_FIELD(glia_recurrent_attrs, cell, cell_names),
                                     GLIA_FIELD(INT, glia_recurrent_attrs, steps),
                                     GLIA_FIELD(BOOL, glia_recurrent_attrs, reverse),
                                     GLIA_FIELD(BOOL, glia_recurrent_attrs, sequence),
                                     GLIA_FIELD(BOOL, glia_recurrent_attrs, last),
                                     GLIA_FIELD(BOOL, glia_recurrent_attrs, initial),
                                     GLIA_FIELD(BOOL, glia_recurrent_attrs, bias),
                                     GLIA_FIELD(BOOL, glia_recurrent_attrs, peephole),
                                     GLIA_FIELD(BOOL, glia_recurrent_attrs, projection),
                                     GLIA_FIELD(BOOL, glia_recurrent_attrs, lengths),
                                     GLIA_FIELDS_END };

#define RECORD(op, text, ...)                                                                                          \
    const glia_op glia_op_##op = { .name = #op,                                                                        \
                                   .summary = text,                                                                    \
                                   .arity = -1,                                                                        \
                                   .flags = GLIA_OP_COMPOSITE,                                                         \
                                   .attr_size = sizeof(glia_recurrent_attrs),                                          \
                                   .fields = fields,                                                                   \
                                   .flops = product_flops,                                                             \
                                   __VA_ARGS__ };
RECORD(recurrent, "an LSTM, GRU or simple recurrent cell over all steps of z = x W^T + b: its results and last states",
       .infer = forward_infer, .expand = recurrent_expand, .vjp = recurrent_vjp, .saves = &glia_op_recurrent_saved)
RECORD(recurrent_saved, "recurrent, followed by what its gradient needs", .infer = forward_infer,
       .expand = saved_expand)
RECORD(recurrent_grad, "the gradient of recurrent in z and in the states before the first step", .infer = grad_infer,
       .expand = grad_expand)

glia_tensor glia_recurrent_of(const glia_tensor *in, int n, glia_recurrent_attrs attrs) {
    return glia_node_create(glia_graph_of(in, n), &glia_op_recurrent, in, n, &attrs);
}

/* ---- samples ---------------------------------------------------------------------------------- */
/* T = 3, N = 2, H = 2; P = 1 with a projection. */

#define OF(...)                                                                                                        \
    { .shape = GLIA_DIMS(__VA_ARGS__) }
#define LENGTHS                                                                                                        \
    { .dtype = GLIA_I32, .shape = GLIA_DIMS(2), .kind = GLIA_SAMPLE_INTEGER, .low = 1, .high = 4, .constant = true }
#define ATTRS(kind, ...)                                                                                               \
    .attrs = &(const glia_recurrent_attrs) { .cell = kind, .steps = 3, __VA_ARGS__ }
#define LSTM   OF(3, 2, 8), OF(8, 2)
#define GRU    OF(3, 2, 6), OF(6, 2)
#define SIMPLE OF(3, 2, 2), OF(2, 2)
#define STATE  OF(2, 2)

#define FORWARD_SAMPLES(...)                                                                                           \
    {                                                                                                                  \
        { .name = "lstm", .n = 2, .in = { LSTM }, ATTRS(GLIA_CELL_LSTM, .sequence = true), __VA_ARGS__ },              \
            { .name = "lstm last", .n = 2, .in = { LSTM }, ATTRS(GLIA_CELL_LSTM, .last = true), __VA_ARGS__ },         \
            { .name = "lstm states",                                                                                   \
              .n = 4,                                                                                                  \
              .in = { LSTM, STATE, STATE },                                                                            \
              ATTRS(GLIA_CELL_LSTM, .sequence = true, .last = true, .initial = true),                                  \
              __VA_ARGS__ },                                                                                           \
            { .name = "lstm reverse lengths",                                                                          \
              .n = 5,                                                                                                  \
              .in = { LSTM, STATE, STATE, LENGTHS },                                                                   \
              ATTRS(GLIA_CELL_LSTM, .reverse = true, .sequence = true, .last = true, .initial = true,                  \
                    .lengths = true),                                                                                  \
              __VA_ARGS__ },                                                                                           \
            { .name = "lstm lengths",                                                                                  \
              .n = 3,                                                                                                  \
              .in = { LSTM, LENGTHS },                                                                                 \
              ATTRS(GLIA_CELL_LSTM, .sequence = true, .last = true, .lengths = true),                                  \
              __VA_ARGS__ },                                                                                           \
            { .name = "lstm peephole",                                                                                 \
              .n = 3,                                                                                                  \
              .in = { LSTM, OF(3, 2) },                                                                                \
              ATTRS(GLIA_CELL_LSTM, .sequence = true, .peephole = true),                                               \
              __VA_ARGS__ },                                                                                           \
            { .name = "lstm projection",                                                                               \
              .n = 5,                                                                                                  \
              .in = { OF(3, 2, 8), OF(8, 1), OF(2, 1), STATE, OF(1, 2) },                                              \
              ATTRS(GLIA_CELL_LSTM, .sequence = true, .last = true, .initial = true, .projection = true),              \
              __VA_ARGS__ },                                                                                           \
            { .name = "gru",                                                                                           \
              .n = 3,                                                                                                  \
              .in = { GRU, OF(2) },                                                                                    \
              ATTRS(GLIA_CELL_GRU, .sequence = true, .bias = true),                                                    \
              __VA_ARGS__ },                                                                                           \
            { .name = "gru reverse lengths",                                                                           \
              .n = 4,                                                                                                  \
              .in = { GRU, STATE, LENGTHS },                                                                           \
              ATTRS(GLIA_CELL_GRU, .reverse = true, .sequence = true, .initial = true, .lengths = true),               \
              __VA_ARGS__ },                                                                                           \
            { .name = "gru before",                                                                                    \
              .n = 3,                                                                                                  \
              .in = { GRU, STATE },                                                                                    \
              ATTRS(GLIA_CELL_GRU_BEFORE, .sequence = true, .last = true, .initial = true),                            \
              __VA_ARGS__ },                                                                                           \
            { .name = "tanh", .n = 2, .in = { SIMPLE }, ATTRS(GLIA_CELL_TANH, .sequence = true), __VA_ARGS__ },        \
            { .name = "tanh reverse",                                                                                  \
              .n = 3,                                                                                                  \
              .in = { SIMPLE, STATE },                                                                                 \
              ATTRS(GLIA_CELL_TANH, .reverse = true, .sequence = true, .initial = true),                               \
              __VA_ARGS__ },                                                                                           \
            { .name = "relu",                                                                                          \
              .n = 3,                                                                                                  \
              .in = { SIMPLE, LENGTHS },                                                                               \
              ATTRS(GLIA_CELL_RELU, .sequence = true, .last = true, .lengths = true),                                  \
              __VA_ARGS__ },                                                                                           \
            { 0 },                                                                                                     \
    }

const glia_op_sample glia_samples_recurrent[] = FORWARD_SAMPLES(.no_golden = false);
/* Its first part is recurrent's value; the tests of recurrent_grad check the rest. */
const glia_op_sample glia_samples_recurrent_saved[] = FORWARD_SAMPLES(.no_golden = true);

/* dy and the saved values are arbitrary: tests compare with the numerical derivative of functions of them. */
const glia_op_sample glia_samples_recurrent_grad[] = {
    { .name = "lstm",
      .n = 3,
      .in = { OF(72), OF(8, 2), OF(12) },
      ATTRS(GLIA_CELL_LSTM, .sequence = true),
      .no_golden = true },
    { .name = "lstm reverse lengths",
      .n = 6,
      .in = { OF(80), OF(8, 2), STATE, STATE, LENGTHS, OF(20) },
      ATTRS(GLIA_CELL_LSTM, .reverse = true, .sequence = true, .last = true, .initial = true, .lengths = true),
      .no_golden = true },
    { .name = "lstm peephole",
      .n = 4,
      .in = { OF(72), OF(8, 2), OF(3, 2), OF(12) },
      ATTRS(GLIA_CELL_LSTM, .sequence = true, .peephole = true),
      .no_golden = true },
    { .name = "lstm projection",
      .n = 4,
      .in = { OF(66), OF(8, 1), OF(1, 2), OF(6) },
      ATTRS(GLIA_CELL_LSTM, .sequence = true, .projection = true),
      .no_golden = true },
    { .name = "gru",
      .n = 4,
      .in = { OF(60), OF(6, 2), OF(2), OF(12) },
      ATTRS(GLIA_CELL_GRU, .sequence = true, .bias = true),
      .no_golden = true },
    { .name = "gru before",
      .n = 3,
      .in = { OF(60), OF(6, 2), OF(12) },
      ATTRS(GLIA_CELL_GRU_BEFORE, .sequence = true),
      .no_golden = true },
    { .name = "tanh",
      .n = 3,
      .in = { OF(12), OF(2, 2), OF(12) },
      ATTRS(GLIA_CELL_TANH, .sequence = true),
      .no_golden = true },
    { .name = "relu",
      .n = 3,
      .in = { { .shape = GLIA_DIMS(12), .kind = GLIA_SAMPLE_NONZERO, .low = -1, .high = 1 }, OF(2, 2), OF(12) },
      ATTRS(GLIA_CELL_RELU, .sequence = true),
      .no_golden = true },
    { 0 },
};
