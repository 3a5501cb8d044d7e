/* loop.c - runs loop programs (loop.h).
 *
 * The space is split into pieces that depend on its shape only. A worker takes a piece and runs the steps on each of
 * its tiles. Reductions read the steps' results while they are in cache. The sum of a tile is computed in float, in
 * vector lanes; sums over tiles and pieces are kept in double, and pieces are combined in order. So the result is the
 * same on any number of threads, and about as exact as its rounding to float. A variance is computed from sums of x and
 * x^2 that are in double from the first element on: the cancellation by the mean's square is not visible in a float
 * until the mean is a million deviations away.
 */
#include "backend/cpu/kernels/rows.h"
#include "backend/cpu/kernels/vmath.h"

enum { LEAST_SHARED = 8192 }; /* elements for which waking other threads pays */

/* ---- reducing a tile ------------------------------------------------------------------------- */

static double first_of(glia_loop_sum kind) {
    return kind == GLIA_LOOP_MAX ? -__builtin_inf() : kind == GLIA_LOOP_PROD ? 1 : 0;
}

/* The larger value; NaN if either is. */
static double larger(double a, double b) { return b > a || b != b ? b : a; }

static double join(glia_loop_sum kind, double a, double b) {
    return kind == GLIA_LOOP_MAX ? larger(a, b) : kind == GLIA_LOOP_PROD ? a * b : a + b;
}

static double sum_of(const float *x, int64_t n) {
    vf s[4] = { { 0 } };
    int64_t i = 0;
    for (; i + 4 * VLEN <= n; i += 4 * VLEN) {
        for (int k = 0; k < 4; k++) s[k] += vf_load(x + i + k * VLEN);
    }
    for (; i + VLEN <= n; i += VLEN) s[0] += vf_load(x + i);
    if (i < n) s[1] += vf_load_first(x + i, n - i);
    return vf_sum((s[0] + s[1]) + (s[2] + s[3]));
}

static double sum_of_rows(const float *x, int64_t step, int64_t rows, int64_t n) {
    if (step == n || rows == 1) return sum_of(x, rows * n);
    vf s = { 0 };
    for (int64_t row = 0; row < rows; row++, x += step) {
        int64_t i = 0;
        for (; i + VLEN <= n; i += VLEN) s += vf_load(x + i);
        if (i < n) s += vf_load_first(x + i, n - i);
    }
    return vf_sum(s);
}

static double max_of(const float *x, int64_t n) {
    vf m[2] = { vf_set(-__builtin_inff()), vf_set(-__builtin_inff()) };
    int64_t i = 0;
    for (; i + 2 * VLEN <= n; i += 2 * VLEN) {
        for (int k = 0; k < 2; k++) m[k] = vf_larger(m[k], vf_load(x + i + k * VLEN));
    }
    for (; i + VLEN <= n; i += VLEN) m[0] = vf_larger(m[0], vf_load(x + i));
    double most = vf_largest(vf_larger(m[0], m[1]));
    for (; i < n; i++) most = larger(most, x[i]);
    return most;
}

static double prod_of(const float *x, int64_t n) {
    double product = 1;
    for (int64_t i = 0; i < n; i++) product *= x[i];
    return product;
}

/* A vector in double, as halves. */
GLIA_INLINE void widen(vf x, vd half[2]) {
    vh part[2];
    memcpy(part, &x, sizeof part);
    for (int k = 0; k < 2; k++) half[k] = __builtin_convertvector(part[k], vd);
}

GLIA_INLINE double vd_sum(vd x) {
    double sum = 0;
    for (int k = 0; k < VLEN / 2; k++) sum += x[k];
    return sum;
}

/* Adds the sum of x and of its squares, in double. */
static void add_moments(const float *x, int64_t n, double *sum, double *squares) {
    vd s[2] = { { 0 } }, q[2] = { { 0 } }, half[2];
    for (int64_t i = 0; i < n; i += VLEN) {
        widen(i + VLEN <= n ? vf_load(x + i) : vf_load_first(x + i, n - i), half);
        for (int k = 0; k < 2; k++) s[k] += half[k], q[k] += half[k] * half[k];
    }
    *sum += vd_sum(s[0] + s[1]);
    *squares += vd_sum(q[0] + q[1]);
}

/* ---- columns of a tile ------------------------------------------------------------------------------ */

GLIA_INLINE vf column_part(const float *x, int64_t n) { return n >= VLEN ? vf_load(x) : vf_load_first(x, n); }

/* to[k] += half[k] for the first n lanes of a vector in double. */
GLIA_INLINE void add_wide(double *to, const vd half[2], int64_t n) {
    if (n >= VLEN) {
        for (int k = 0; k < 2; k++) vd_store(to + k * (VLEN / 2), vd_load(to + k * (VLEN / 2)) + half[k]);
        return;
    }
    double lanes[VLEN];
    memcpy(lanes, half, sizeof lanes);
    for (int64_t k = 0; k < n; k++) to[k] += lanes[k];
}

/* sums[j] += the sum of column j; one vector of columns at a time, down all rows. */
static void add_columns(const float *x, int64_t step, int64_t rows, int64_t n, double *sums) {
    for (int64_t j = 0; j < n; j += VLEN) {
        vf s[4] = { { 0 } };
        vd half[2];
        const float *at = x + j;
        int64_t row = 0;
        for (; row + 4 <= rows && n - j >= VLEN; row += 4, at += 4 * step) {
            for (int k = 0; k < 4; k++) s[k] += vf_load(at + k * step);
        }
        for (; row < rows; row++, at += step) s[0] += column_part(at, n - j);
        widen((s[0] + s[1]) + (s[2] + s[3]), half);
        add_wide(sums + j, half, n - j);
    }
}

static void add_column_moments(const float *x, int64_t step, int64_t rows, int64_t n, double *sums, double *squares) {
    for (int64_t j = 0; j < n; j += VLEN) {
        vd s[2] = { { 0 } }, q[2] = { { 0 } }, half[2];
        for (int64_t row = 0; row < rows; row++) {
            widen(column_part(x + row * step + j, n - j), half);
            for (int k = 0; k < 2; k++) s[k] += half[k], q[k] += half[k] * half[k];
        }
        add_wide(sums + j, s, n - j);
        add_wide(squares + j, q, n - j);
    }
}

/* ---- a worker ---------------------------------------------------------------------------------- */

typedef struct worker {
    const glia_loop_args *loop;
    void **slot;
    int64_t *pace;   /* by glia_loop_pace: bytes from a row of the tile to the next */
    int64_t *offset; /* by operand, in elements: of the current row */
    double *row;     /* by array of partial results: what the current row gave so far */
    double *results; /* partial results of the first array; others lie result_step further */
    int64_t result_step;
    int64_t kept; /* offset of the current row's results */
    int64_t index[GLIA_MAX_RANK];
} worker;

/* One tile: rows x n elements. contiguous: so are all operands of it that are not repeated. */
static void run_steps(const worker *w, int64_t rows, int64_t n, bool contiguous) {
    const glia_loop_args *l = w->loop;
    w->pace[GLIA_LOOP_DENSE] = n * (int64_t)sizeof(float);
    for (const glia_loop_step *s = l->steps, *end = s + l->n_steps; s < end; s++) {
        glia_tile_args t = { .rows = rows, .n = n, .d = w->slot[s->d], .d_step = w->pace[s->d_pace] };
        t.also = w->slot[s->also], t.also_step = w->pace[s->also_pace];
        for (int k = 0; k < s->n_in; k++) t.in[k] = w->slot[s->in[k]], t.step[k] = w->pace[s->pace[k]];
        if (s->span == GLIA_LOOP_ONE) {
            t.rows = t.n = 1;
        } else if (s->span == GLIA_LOOP_ROWS) {
            t.rows = 1, t.n = rows;
        } else if (s->flat && (contiguous || s->in_registers)) {
            t.rows = 1, t.n = rows * n;
        }
        s->fn(&t);
    }
}

/* Sets index, offsets and kept for this row. */
static void seek_row(worker *w, int64_t row) {
    const glia_loop_args *l = w->loop;
    w->kept = 0;
    for (int i = 0; i < l->n_operands; i++) w->offset[i] = 0;
    for (int k = l->rank - 2; k >= 0; k--) {
        const int64_t at = k ? row % l->dim[k] : row;
        row /= l->dim[k];
        w->index[k] = at;
        w->kept += at * l->kept_stride[k];
        for (int i = 0; i < l->n_operands; i++) w->offset[i] += at * l->operands[i].stride[k];
    }
}

/* The same, `rows` rows further on; all but the last of these have the same outer indices. */
static void pass_rows(worker *w, int64_t rows) {
    const glia_loop_args *l = w->loop;
    for (int k = l->rank - 2; k >= 0; k--, rows = 1) {
        int64_t move = rows;
        w->index[k] += rows;
        const bool wraps = w->index[k] == l->dim[k];
        if (wraps) move -= l->dim[k], w->index[k] = 0;
        w->kept += move * l->kept_stride[k];
        for (int i = 0; i < l->n_operands; i++) w->offset[i] += move * l->operands[i].stride[k];
        if (!wraps) return;
    }
}

/* Sets the steps from row to row in memory. */
static void set_paces(worker *w) {
    const glia_loop_args *l = w->loop;
    w->pace[GLIA_LOOP_STILL] = 0;
    w->pace[GLIA_LOOP_FLOAT] = sizeof(float);
    for (int i = 0; i < l->n_operands; i++) {
        const glia_loop_operand *o = &l->operands[i];
        w->pace[GLIA_LOOP_MEMORY + i] = l->rank > 1 ? o->stride[l->rank - 2] * o->size : 0;
    }
}

static void set_slots(worker *w, int64_t j) {
    const glia_loop_args *l = w->loop;
    for (int i = 0; i < l->n_operands; i++) {
        const glia_loop_operand *o = &l->operands[i];
        if (!o->repeats) w->slot[o->slot] = o->base + (w->offset[i] + j * o->stride[l->rank - 1]) * o->size;
    }
}

/* Fills the registers of repeated operands with elements [j, j + n) of their row: first once, then by doubling. */
static void repeat_rows(const worker *w, int64_t j, int64_t n, int64_t rows) {
    const glia_loop_args *l = w->loop;
    const size_t row = (size_t)n * sizeof(float), whole = row * (size_t)rows;
    for (int i = 0; i < l->n_operands; i++) {
        const glia_loop_operand *o = &l->operands[i];
        if (!o->repeats) continue;
        char *to = w->slot[o->slot];
        memcpy(to, o->base + j * o->size, row);
        for (size_t done = row; done < whole; done *= 2) memcpy(to + done, to, GLIA_MIN(done, whole - done));
    }
}

/* ---- taking a tile into the results ---------------------------------------------------------------- */

typedef struct tile {
    int64_t row, rows, j, n; /* rows of the space from `row` on, elements [j, j + n) of each */
} tile;

/* Adds the reduction of n elements at x to *into and *squares. */
static void reduce_line(glia_loop_sum kind, const float *x, int64_t n, double *into, double *squares) {
    if (kind == GLIA_LOOP_VARIANCE)
        add_moments(x, n, into, squares);
    else
        *into = join(kind, *into,
                     kind == GLIA_LOOP_SUM   ? sum_of(x, n)
                     : kind == GLIA_LOOP_MAX ? max_of(x, n)
                                             : prod_of(x, n));
}

/* Adds each of n elements to its own result. */
static void reduce_lanes(glia_loop_sum kind, const float *x, int64_t n, double *into, double *squares) {
    for (int64_t i = 0; i < n; i++) {
        into[i] = join(kind, into[i], x[i]);
        if (kind == GLIA_LOOP_VARIANCE) squares[i] += (double)x[i] * x[i];
    }
}

/* The result of n elements with this sum (and sum of squares). */
static float finished(glia_loop_sum kind, double result, double squares, int64_t n) {
    if (kind != GLIA_LOOP_VARIANCE) return (float)result;
    const double mean = result / (double)n, variance = squares / (double)n - mean * mean;
    return variance < 0 ? 0 : (float)variance;
}

/* EACH_ROW: a row's result is finished with its last tile. */
static void reduce_each_row(worker *w, const glia_loop_reduction *r, const tile *t, const char *x, int64_t step) {
    const int64_t length = w->loop->dim[w->loop->rank - 1];
    if (t->n == length && r->of_rows) {
        r->of_rows(&(glia_tile_args){
            .rows = t->rows, .n = t->n, .d = r->out + t->row, .d_step = sizeof(float), .in = { x }, .step = { step } });
        return;
    }
    double *result = &w->row[r->first], *squares = &w->row[r->first + (r->kind == GLIA_LOOP_VARIANCE)];
    for (int64_t i = 0; i < t->rows; i++, x += step) {
        if (t->j == 0) *result = *squares = first_of(r->kind);
        reduce_line(r->kind, (const float *)(const void *)x, t->n, result, squares);
        if (t->j + t->n == length) r->out[t->row + i] = finished(r->kind, *result, *squares, length);
    }
}

static void reduce_kept(const worker *w, const glia_loop_reduction *r, const tile *t, const char *x, int64_t step) {
    const glia_loop_args *l = w->loop;
    const int64_t apart = l->rank > 1 ? l->kept_stride[l->rank - 2] : 0; /* results of a row and the next */
    const int64_t floats = step / (int64_t)sizeof(float);
    const float *from = (const float *)(const void *)x;
    double *result = w->results + r->first * w->result_step + w->kept, *squares = result;
    if (r->kind == GLIA_LOOP_VARIANCE) squares += w->result_step;
    if (l->kept_stride[l->rank - 1] == 0 && apart == 0 && r->kind == GLIA_LOOP_SUM) {
        *result += sum_of_rows(from, floats, t->rows, t->n);
        return;
    }
    if (l->kept_stride[l->rank - 1] == 0) {
        for (int64_t i = 0; i < t->rows; i++) {
            reduce_line(r->kind, from + i * floats, t->n, result + i * apart, squares + i * apart);
        }
        return;
    }
    result += t->j, squares += t->j;
    if (apart == 0 && r->kind == GLIA_LOOP_SUM) {
        add_columns(from, floats, t->rows, t->n, result);
    } else if (apart == 0 && r->kind == GLIA_LOOP_VARIANCE) {
        add_column_moments(from, floats, t->rows, t->n, result, squares);
    } else {
        for (int64_t i = 0; i < t->rows; i++) {
            reduce_lanes(r->kind, from + i * floats, t->n, result + i * apart, squares + i * apart);
        }
    }
}

static void reduce(worker *w, const tile *t) {
    const glia_loop_args *l = w->loop;
    for (int i = 0; i < l->n_reductions; i++) {
        const glia_loop_reduction *r = &l->reductions[i];
        if (r->shared) continue;
        if (l->way == GLIA_LOOP_EACH_ROW)
            reduce_each_row(w, r, t, w->slot[r->slot], w->pace[r->pace]);
        else
            reduce_kept(w, r, t, w->slot[r->slot], w->pace[r->pace]);
    }
}

/* Elements [from, to) of the space. */
static void walk(worker *w, int64_t from, int64_t to) {
    const glia_loop_args *l = w->loop;
    const int64_t length = l->dim[l->rank - 1];
    tile t = { .row = from / length, .rows = 1, .j = from % length };
    seek_row(w, t.row);
    while (from < to) {
        const bool begins = t.j == 0 && to - from >= length;
        if (begins && length <= l->tile) {
            t.n = length;
            t.rows = GLIA_MIN(GLIA_MAX(1, l->tile / length), (to - from) / length);
            if (l->rank > 1) t.rows = GLIA_MIN(t.rows, l->dim[l->rank - 2] - w->index[l->rank - 2]);
        } else {
            t.n = GLIA_MIN(l->tile, GLIA_MIN(length - t.j, to - from));
            t.rows = 1;
        }
        set_slots(w, t.j);
        run_steps(w, t.rows, t.n, true);
        reduce(w, &t);
        from += t.rows * t.n;
        t.j += t.n;
        if (t.j < length) continue;
        pass_rows(w, t.rows);
        t.row += t.rows;
        t.j = 0;
    }
}

/* ---- pieces ------------------------------------------------------------------------------------ */

static worker worker_at(const glia_loop_args *l, int number) {
    char *bytes = l->workers + (size_t)number * l->worker_bytes;
    worker w = { .loop = l, .slot = (void **)(void *)bytes };
    w.pace = (int64_t *)(void *)(w.slot + l->n_slots);
    w.offset = w.pace + GLIA_LOOP_MEMORY + l->n_operands;
    w.row = (double *)(w.offset + l->n_operands);
    bytes += glia_loop_head_bytes(l);
    for (int i = 0; i < l->n_registers; i++, bytes += glia_loop_register_bytes(l)) w.slot[i] = bytes;
    for (int i = 0; i < l->n_immediates; i++) w.slot[l->n_registers + i] = &l->immediates[i];
    set_paces(&w);
    return w;
}

static int arrays_of(const glia_loop_reduction *r) { return r->kind == GLIA_LOOP_VARIANCE ? 2 : 1; }

/* Sets the results computed only by this piece, or its parts of all results, to the neutral element. */
static void begin_results(worker *w, int64_t piece, int64_t first, int64_t last) {
    const glia_loop_args *l = w->loop;
    const int64_t parts = l->way == GLIA_LOOP_PARTS ? l->pieces : 1;
    w->result_step = parts * l->n_results;
    w->results = l->sums + (l->way == GLIA_LOOP_PARTS ? piece * l->n_results : 0);
    for (int r = 0; r < l->n_reductions; r++) {
        for (int k = 0; k < arrays_of(&l->reductions[r]); k++) {
            double *results = w->results + (l->reductions[r].first + k) * w->result_step;
            for (int64_t i = first; i < last; i++) results[i] = first_of(l->reductions[r].kind);
        }
    }
}

/* Writes results [first, last), whose partial results are combined. */
static void write_results(const glia_loop_args *l, const double *results, int64_t step, int64_t first, int64_t last) {
    for (int r = 0; r < l->n_reductions; r++) {
        const glia_loop_reduction *reduction = &l->reductions[r];
        const double *from = results + reduction->first * step, *squares = from;
        if (reduction->kind == GLIA_LOOP_VARIANCE) squares += step;
        for (int64_t i = first; i < last; i++) {
            reduction->out[i] = finished(reduction->kind, from[i], squares[i], l->total / l->n_results);
        }
    }
}

static void run_piece(const glia_loop_args *l, int64_t piece, int number) {
    worker w = worker_at(l, number);
    const int64_t length = l->dim[l->rank - 1], from = piece * l->chunk;
    repeat_rows(&w, 0, length, l->tile / length);
    if (l->way == GLIA_LOOP_NONE || l->way == GLIA_LOOP_EACH_ROW) {
        const int64_t unit = l->way == GLIA_LOOP_EACH_ROW ? length : 1;
        walk(&w, from * unit, GLIA_MIN(l->total, (from + l->chunk) * unit));
        return;
    }
    int64_t outer = 1, inner = 1;
    for (int k = 0; k < l->rank; k++) {
        if (k < l->split) outer *= l->dim[k];
        if (k > l->split) inner *= l->dim[k];
    }
    const int64_t size = l->dim[l->split], to = GLIA_MIN(size, from + l->chunk);
    const int64_t step = l->kept_stride[l->split];
    const int64_t first = l->way == GLIA_LOOP_SLICES ? from * step : 0;
    const int64_t last = l->way == GLIA_LOOP_SLICES ? to * step : l->n_results;
    begin_results(&w, piece, first, last);
    for (int64_t o = 0; o < outer; o++) walk(&w, (o * size + from) * inner, (o * size + to) * inner);
    if (l->way == GLIA_LOOP_SLICES) write_results(l, w.results, w.result_step, first, last);
}

/* Adds up the pieces' parts, in their order. */
static void combine(const glia_loop_args *l) {
    const int64_t step = l->pieces * l->n_results;
    for (int r = 0; r < l->n_reductions; r++) {
        const glia_loop_reduction *reduction = &l->reductions[r];
        for (int k = 0; k < arrays_of(reduction) && !reduction->shared; k++) {
            double *all = l->sums + (reduction->first + k) * step;
            for (int64_t piece = 1; piece < l->pieces; piece++) {
                const double *part = all + piece * l->n_results;
                for (int64_t i = 0; i < l->n_results; i++) all[i] = join(reduction->kind, all[i], part[i]);
            }
        }
    }
    write_results(l, l->sums, step, 0, l->n_results);
}

typedef struct batch {
    const glia_loop_args *loops;
    int n;
} batch;

static void run_batch_piece(void *context, int64_t piece, int number) {
    const batch *b = context;
    const glia_loop_args *l = b->loops;
    for (; piece >= l->pieces; l++) piece -= l->pieces;
    run_piece(l, piece, number);
}

void GLIA_KERNEL(loop_f32)(glia_pool *pool, const glia_loop_args *loops, int n) {
    batch b = { .loops = loops, .n = n };
    int64_t pieces = 0, elements = 0;
    for (int i = 0; i < n; i++) pieces += loops[i].pieces, elements += loops[i].total;
    const bool shared = pieces > 1 && elements >= LEAST_SHARED;
    glia_parallel_for(shared ? pool : NULL, pieces, run_batch_piece, &b);
    for (int i = 0; i < n; i++) {
        if (loops[i].way == GLIA_LOOP_PARTS) combine(&loops[i]);
    }
}

void GLIA_KERNEL(loop_block)(const glia_loop_args *l, int number, int64_t row, int64_t rows, int64_t col,
                             int64_t cols) {
    worker w = worker_at(l, number);
    const int64_t length = l->dim[l->rank - 1];
    seek_row(&w, row);
    repeat_rows(&w, col, cols, GLIA_MIN(rows, l->tile / cols));
    while (rows > 0) {
        int64_t run = GLIA_MIN(rows, GLIA_MAX(1, l->tile / cols));
        if (l->rank > 1) run = GLIA_MIN(run, l->dim[l->rank - 2] - w.index[l->rank - 2]);
        for (int64_t j = 0, n; j < cols; j += n) {
            n = GLIA_MIN(cols - j, l->tile);
            set_slots(&w, col + j);
            run_steps(&w, run, n, cols == length);
        }
        pass_rows(&w, run);
        rows -= run;
    }
}
