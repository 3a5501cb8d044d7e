/* loop.c - runs loop programs (loop.h).
 *
 * The space is cut into pieces that depend on its shape alone; a worker takes a piece, walks its tiles and, for each, the
 * steps. Reductions take the steps' results while they are in cache: a tile's sum is made of vector lanes in float, what
 * has come together of tiles and pieces is kept in double, and pieces are combined in their order. So the result is the
 * same on any number of threads, and about as exact as its rounding to float.
 */
#include "backend/cpu/rows.h"
#include "backend/cpu/vmath.h"

enum { LEAST_SHARED = 8192 }; /* elements for which it is worth waking other threads */

/* ---- reducing a tile ------------------------------------------------------------------------- */

static double first_of(glia_loop_sum kind) {
    return kind == GLIA_LOOP_SUM ? 0 : kind == GLIA_LOOP_PROD ? 1 : -__builtin_inf();
}

/* The larger one; NaN if there is any. */
static double larger(double a, double b) { return b > a || b != b ? b : a; }

static double join(glia_loop_sum kind, double a, double b) {
    return kind == GLIA_LOOP_SUM ? a + b : kind == GLIA_LOOP_PROD ? a * b : larger(a, b);
}

static double sum_of(const float *x, int64_t n) {
    vf s[4] = { { 0 } };
    int64_t i = 0;
    for (; i + 4 * VLEN <= n; i += 4 * VLEN) {
        for (int k = 0; k < 4; k++) s[k] += vf_load(x + i + k * VLEN);
    }
    for (; i + VLEN <= n; i += VLEN) s[0] += vf_load(x + i);
    float total = 0;
    for (; i < n; i++) total += x[i];
    return (double)total + vf_sum((s[0] + s[1]) + (s[2] + s[3]));
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

static double reduce(glia_loop_sum kind, const float *x, int64_t n) {
    return kind == GLIA_LOOP_SUM ? sum_of(x, n) : kind == GLIA_LOOP_MAX ? max_of(x, n) : prod_of(x, n);
}

/* VLEN rows of `length` elements, one after the other: a lane for each. For rows too short for vectors of their own. */
static void reduce_rows(glia_loop_sum kind, const float *x, int64_t length, float results[VLEN]) {
    vf r = vf_set((float)first_of(kind));
    for (int64_t j = 0; j < length; j++) {
        vf column;
        GLIA_UNROLL
        for (int k = 0; k < VLEN; k++) column[k] = x[k * length + j];
        r = kind == GLIA_LOOP_SUM ? r + column : kind == GLIA_LOOP_MAX ? vf_larger(r, column) : r * column;
    }
    vf_store(results, r);
}

/* to[i] joined with x[i]. */
static void join_lanes(glia_loop_sum kind, double *to, const float *x, int64_t n) {
    if (kind == GLIA_LOOP_SUM) {
        for (int64_t i = 0; i < n; i++) to[i] += x[i];
    } else {
        for (int64_t i = 0; i < n; i++) to[i] = join(kind, to[i], x[i]);
    }
}

static void join_floats(glia_loop_sum kind, float *to, const float *x, int64_t n) {
    int64_t i = 0;
    if (kind == GLIA_LOOP_SUM) {
        for (; i + VLEN <= n; i += VLEN) vf_store(to + i, vf_load(to + i) + vf_load(x + i));
    }
    for (; i < n; i++) to[i] = (float)join(kind, to[i], x[i]);
}

/* ---- a worker ---------------------------------------------------------------------------------- */

typedef struct worker {
    const glia_loop *loop;
    void **slot;
    int64_t *offset;    /* by operand, in elements: of the current row */
    double *row;        /* by reduction: what the current row gave so far */
    float *columns;     /* a tile for each reduction: sums by column, of short rows */
    size_t column_step; /* floats from one of these tiles to the next */
    double *results;    /* of the first reduction; others lie result_step further */
    int64_t result_step;
    int64_t kept;   /* offset of the current row's results */
    bool by_column; /* sums by column are kept in `columns` */
    int64_t index[GLIA_MAX_RANK];
} worker;

static float *column_of(const worker *w, int reduction) { return w->columns + (size_t)reduction * w->column_step; }

static void run_steps(const glia_loop *l, void **slot, int64_t n) {
    for (const glia_loop_step *s = l->steps, *end = s + l->n_steps; s < end; s++) {
        s->fn(slot[s->d], slot[s->a], slot[s->b], slot[s->c], s->single ? 1 : n);
    }
}

/* Puts index, offsets and kept at this row. */
static void seek_row(worker *w, int64_t row) {
    const glia_loop *l = w->loop;
    for (int k = l->rank - 2; k >= 0; k--) {
        w->index[k] = row % l->dim[k];
        row /= l->dim[k];
    }
    w->kept = 0;
    for (int k = 0; k < l->rank - 1; k++) w->kept += w->index[k] * l->kept_stride[k];
    for (int i = 0; i < l->n_operands; i++) {
        w->offset[i] = 0;
        for (int k = 0; k < l->rank - 1; k++) w->offset[i] += w->index[k] * l->operands[i].stride[k];
    }
}

/* The same for the row after. */
static void next_row(worker *w) {
    const glia_loop *l = w->loop;
    for (int k = l->rank - 2; k >= 0; k--) {
        int64_t back = 0;
        if (++w->index[k] == l->dim[k]) w->index[k] = 0, back = l->dim[k];
        w->kept += (1 - back) * l->kept_stride[k];
        for (int i = 0; i < l->n_operands; i++) w->offset[i] += (1 - back) * l->operands[i].stride[k];
        if (!back) return;
    }
}

/* ---- long rows --------------------------------------------------------------------------------- */

/* Takes a tile, elements [j, j + n) of the current row, into the results. */
static void reduce_long(worker *w, int64_t j, int64_t n) {
    const glia_loop *l = w->loop;
    for (int r = 0; r < l->n_reductions; r++) {
        const glia_loop_reduction *reduction = &l->reductions[r];
        const float *x = w->slot[reduction->slot];
        double *results = w->results + r * w->result_step;
        if (l->way == GLIA_LOOP_ROWS) {
            w->row[r] = join(reduction->kind, w->row[r], reduce(reduction->kind, x, n));
        } else if (l->kept_stride[l->rank - 1] == 0) {
            results[w->kept] = join(reduction->kind, results[w->kept], reduce(reduction->kind, x, n));
        } else {
            join_lanes(reduction->kind, results + w->kept + j, x, n);
        }
    }
}

static void begin_row(worker *w) {
    for (int r = 0; r < w->loop->n_reductions; r++) w->row[r] = first_of(w->loop->reductions[r].kind);
}

static void end_row(worker *w, int64_t row) {
    for (int r = 0; r < w->loop->n_reductions; r++) w->loop->reductions[r].out[row] = (float)w->row[r];
}

/* Elements [from, to) of the space. */
static void walk_long(worker *w, int64_t from, int64_t to) {
    const glia_loop *l = w->loop;
    const int inner = l->rank - 1;
    const int64_t length = l->dim[inner];
    int64_t row = from / length, j = from - row * length;
    seek_row(w, row);
    for (int64_t at = from; at < to; row++, j = 0) {
        const int64_t end = GLIA_MIN(length, j + to - at);
        if (l->way == GLIA_LOOP_ROWS) begin_row(w);
        for (int64_t n; j < end; j += n, at += n) {
            n = GLIA_MIN(l->tile, end - j);
            for (int i = 0; i < l->n_operands; i++) {
                const glia_loop_operand *o = &l->operands[i];
                const int64_t element = o->mode == GLIA_LOOP_FULL ? at : w->offset[i] + j * o->stride[inner];
                w->slot[o->slot] = o->base + element * o->size; /* GLIA_LOOP_SCALAR: every offset is 0 */
            }
            run_steps(l, w->slot, n);
            reduce_long(w, j, n);
        }
        if (l->way == GLIA_LOOP_ROWS) end_row(w, row);
        next_row(w);
    }
}

/* ---- short rows -------------------------------------------------------------------------------- */

static void copy_row_4(uint32_t *restrict to, const uint32_t *restrict from, int64_t stride, int64_t length) {
    if (stride)
        memcpy(to, from, (size_t)length * 4);
    else
        for (int64_t j = 0; j < length; j++) to[j] = *from;
}

static void copy_row_1(uint8_t *restrict to, const uint8_t *restrict from, int64_t stride, int64_t length) {
    if (stride)
        memcpy(to, from, (size_t)length);
    else
        memset(to, *from, (size_t)length);
}

/* Rows from the current one on of an operand, each spread out, into its register. */
static void expand(const worker *w, const glia_loop_operand *o, int64_t offset, int64_t rows) {
    const glia_loop *l = w->loop;
    const int inner = l->rank - 1, last = l->rank - 2;
    const int64_t length = l->dim[inner], stride = o->stride[inner];
    int64_t index[GLIA_MAX_RANK];
    memcpy(index, w->index, sizeof index);
    char *to = w->slot[o->slot];
    while (rows > 0) {
        const int64_t run = GLIA_MIN(rows, l->dim[last] - index[last]);
        const char *from = o->base + offset * o->size;
        const int64_t step = o->stride[last] * o->size;
        for (int64_t i = 0; i < run; i++, from += step, to += length * o->size) {
            if (o->size == 4)
                copy_row_4((uint32_t *)(void *)to, (const uint32_t *)(const void *)from, stride, length);
            else
                copy_row_1((uint8_t *)to, (const uint8_t *)from, stride, length);
        }
        rows -= run;
        offset += (run - 1) * o->stride[last];
        index[last] += run - 1;
        for (int k = last; k >= 0; k--) {
            offset += o->stride[k];
            if (++index[k] < l->dim[k]) break;
            offset -= o->stride[k] * l->dim[k];
            index[k] = 0;
        }
    }
}

/* Takes a tile of whole rows, the current one first, into the results; moves on behind it. */
static void reduce_short(worker *w, int64_t row, int64_t rows) {
    const glia_loop *l = w->loop;
    const int inner = l->rank - 1;
    const int64_t length = l->dim[inner];
    const bool kept_inner = l->kept_stride[inner] != 0;
    if (w->by_column) {
        for (int r = 0; r < l->n_reductions; r++) {
            join_floats(l->reductions[r].kind, column_of(w, r), w->slot[l->reductions[r].slot], rows * length);
        }
        return;
    }
    if (l->way == GLIA_LOOP_ROWS) {
        for (int r = 0; r < l->n_reductions; r++) {
            const glia_loop_reduction *reduction = &l->reductions[r];
            const float *x = w->slot[reduction->slot];
            int64_t i = 0;
            for (; length <= 2 * VLEN && i + VLEN <= rows; i += VLEN) {
                reduce_rows(reduction->kind, x + i * length, length, reduction->out + row + i);
            }
            for (; i < rows; i++) reduction->out[row + i] = (float)reduce(reduction->kind, x + i * length, length);
        }
        return;
    }
    for (int64_t i = 0; i < rows; i++, next_row(w)) {
        for (int r = 0; r < l->n_reductions; r++) {
            const glia_loop_reduction *reduction = &l->reductions[r];
            const float *x = (const float *)w->slot[reduction->slot] + i * length;
            double *result = w->results + r * w->result_step + w->kept;
            if (kept_inner)
                join_lanes(reduction->kind, result, x, length);
            else
                *result = join(reduction->kind, *result, reduce(reduction->kind, x, length));
        }
    }
}

static void begin_columns(worker *w) {
    for (int r = 0; r < w->loop->n_reductions; r++) {
        float *column = column_of(w, r);
        for (int64_t i = 0; i < w->loop->tile; i++) column[i] = (float)first_of(w->loop->reductions[r].kind);
    }
}

static void end_columns(worker *w) {
    const int64_t length = w->loop->dim[w->loop->rank - 1];
    for (int r = 0; r < w->loop->n_reductions; r++) {
        for (int64_t i = 0; i + length <= w->loop->tile; i += length) {
            join_lanes(w->loop->reductions[r].kind, w->results + r * w->result_step, column_of(w, r) + i, length);
        }
    }
}

/* Elements [from, to) of the space: whole rows. */
static void walk_short(worker *w, int64_t from, int64_t to) {
    const glia_loop *l = w->loop;
    const int64_t length = l->dim[l->rank - 1];
    seek_row(w, from / length);
    for (int64_t at = from, n; at < to; at += n) {
        n = GLIA_MIN(l->tile, to - at);
        const int64_t row = at / length, rows = n / length;
        bool moves =
            l->n_reductions && !w->by_column && l->way != GLIA_LOOP_ROWS; /* reduce_short goes on to the next row */
        for (int i = 0; i < l->n_operands; i++) {
            const glia_loop_operand *o = &l->operands[i];
            if (o->mode == GLIA_LOOP_FULL) w->slot[o->slot] = o->base + at * o->size;
            if (o->mode == GLIA_LOOP_EXPAND) expand(w, o, w->offset[i], rows);
        }
        run_steps(l, w->slot, n);
        if (l->n_reductions) reduce_short(w, row, rows);
        if (!moves && at + n < to) seek_row(w, row + rows);
    }
}

/* ---- pieces ------------------------------------------------------------------------------------ */

static worker worker_at(const glia_loop *l, int number) {
    char *bytes = l->workers + (size_t)number * l->worker_bytes;
    const size_t tile = glia_loop_register_bytes(l);
    worker w = { .loop = l, .slot = (void **)(void *)bytes, .column_step = tile / sizeof(float) };
    w.offset = (int64_t *)(void *)(w.slot + l->n_slots);
    w.row = (double *)(w.offset + l->n_operands);
    bytes += glia_loop_head_bytes(l);
    for (int i = 0; i < l->n_registers; i++, bytes += tile) w.slot[i] = bytes;
    for (int i = 0; i < l->n_immediates; i++) w.slot[l->n_registers + i] = &l->immediates[i];
    w.columns = (float *)(void *)bytes;
    return w;
}

static bool sums_by_column(const glia_loop *l) {
    if (!l->short_rows || l->way == GLIA_LOOP_ROWS || l->kept_stride[l->rank - 1] == 0) return false;
    for (int k = 0; k < l->rank - 1; k++) {
        if (l->kept_stride[k]) return false;
    }
    return true;
}

/* The results that a piece alone computes, or its parts of all: set to the neutral element. */
static void begin_results(worker *w, int64_t piece, int64_t first, int64_t last) {
    const glia_loop *l = w->loop;
    w->by_column = sums_by_column(l);
    const int64_t parts = l->way == GLIA_LOOP_PARTS ? l->pieces : 1;
    w->result_step = parts * l->n_results;
    w->results = l->sums + (l->way == GLIA_LOOP_PARTS ? piece * l->n_results : 0);
    for (int r = 0; r < l->n_reductions; r++) {
        const double neutral = first_of(l->reductions[r].kind);
        for (int64_t i = first; i < last; i++) w->results[r * w->result_step + i] = neutral;
    }
    if (w->by_column) begin_columns(w);
}

static void end_results(worker *w, int64_t first, int64_t last) {
    const glia_loop *l = w->loop;
    if (w->by_column) end_columns(w);
    if (l->way != GLIA_LOOP_SLICES) return;
    for (int r = 0; r < l->n_reductions; r++) {
        for (int64_t i = first; i < last; i++) l->reductions[r].out[i] = (float)w->results[r * w->result_step + i];
    }
}

static void run_piece(const glia_loop *l, int64_t piece, int number) {
    worker w = worker_at(l, number);
    void (*walk)(worker *, int64_t, int64_t) = l->short_rows ? walk_short : walk_long;
    const int64_t length = l->dim[l->rank - 1];
    for (int i = 0; i < l->n_operands; i++) {
        if (l->operands[i].mode == GLIA_LOOP_SCALAR) w.slot[l->operands[i].slot] = l->operands[i].base;
        if (l->operands[i].mode == GLIA_LOOP_REPEAT) expand(&w, &l->operands[i], 0, l->tile / length);
    }
    int64_t from = piece * l->chunk;
    if (l->way == GLIA_LOOP_NONE || l->way == GLIA_LOOP_ROWS) {
        const int64_t unit = l->way == GLIA_LOOP_ROWS ? length : 1;
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
    end_results(&w, first, last);
}

/* Adds up the pieces' parts, in their order. */
static void combine(const glia_loop *l) {
    for (int r = 0; r < l->n_reductions; r++) {
        const glia_loop_reduction *reduction = &l->reductions[r];
        double *all = l->sums + r * l->pieces * l->n_results;
        for (int64_t piece = 1; piece < l->pieces; piece++) {
            const double *part = all + piece * l->n_results;
            for (int64_t i = 0; i < l->n_results; i++) all[i] = join(reduction->kind, all[i], part[i]);
        }
        for (int64_t i = 0; i < l->n_results; i++) reduction->out[i] = (float)all[i];
    }
}

typedef struct batch {
    const glia_loop *loops;
    int n;
} batch;

static void run_batch_piece(void *context, int64_t piece, int number) {
    const batch *b = context;
    const glia_loop *l = b->loops;
    for (; piece >= l->pieces; l++) piece -= l->pieces;
    run_piece(l, piece, number);
}

void GLIA_KERNEL(loop_f32)(glia_pool *pool, const glia_loop *loops, int n) {
    batch b = { .loops = loops, .n = n };
    int64_t pieces = 0, elements = 0;
    for (int i = 0; i < n; i++) pieces += loops[i].pieces, elements += loops[i].total;
    const bool shared = pieces > 1 && elements >= LEAST_SHARED;
    glia_parallel_for(shared ? pool : NULL, pieces, run_batch_piece, &b);
    for (int i = 0; i < n; i++) {
        if (loops[i].way == GLIA_LOOP_PARTS) combine(&loops[i]);
    }
}

/* Rows differ by a step that is the same for all while the index of the last row dimension does not run over. */
void GLIA_KERNEL(loop_block)(const glia_loop *l, int number, int64_t row, int64_t rows, int64_t col, int64_t cols) {
    worker w = worker_at(l, number);
    const int inner = l->rank - 1;
    const int64_t length = l->dim[inner];
    for (int i = 0; i < l->n_operands; i++) {
        if (l->operands[i].mode == GLIA_LOOP_SCALAR) w.slot[l->operands[i].slot] = l->operands[i].base;
    }
    if (cols > l->tile) {
        for (int64_t end = row + rows; row < end; row++) walk_long(&w, row * length + col, row * length + col + cols);
        return;
    }
    while (rows > 0) {
        seek_row(&w, row);
        const int64_t run = l->rank > 1 ? GLIA_MIN(rows, l->dim[inner - 1] - w.index[inner - 1]) : 1;
        for (int i = 0; i < l->n_operands; i++) { /* offset becomes the step in bytes */
            const glia_loop_operand *o = &l->operands[i];
            const bool full = o->mode == GLIA_LOOP_FULL;
            const int64_t at = full ? row * length + col : w.offset[i] + col * o->stride[inner];
            w.slot[o->slot] = o->base + at * o->size;
            w.offset[i] = (full ? length : l->rank > 1 ? o->stride[inner - 1] : 0) * o->size;
        }
        for (int64_t k = 0; k < run; k++) {
            run_steps(l, w.slot, cols);
            for (int i = 0; i < l->n_operands; i++) {
                const int slot = l->operands[i].slot;
                w.slot[slot] = (char *)w.slot[slot] + w.offset[i];
            }
        }
        rows -= run;
        row += run;
    }
}
