/* gemm_few.c - matrix products with a factor that is mostly zeros, such as spikes: only the others are multiplied.
 *
 * With S (R, Q) the sparse factor and D (Q, W) the dense one, out = S D. S = A, D = B; or S is B and D is A, both
 * transposed, and out is C transposed. The elements of S that are not zero are listed by row. Then a strip of D's
 * columns at a time is copied together, and a strip of a row of out, which is a few registers, is the sum of the
 * strip's rows in the list. Rows of S and of D are cut into blocks, so that what is read at random and what is summed
 * stay in the second-level cache.
 *
 * A sum is in the order of the list whatever the number of threads. If more than 1 / FEW of S is not zero, the product
 * is an ordinary one.
 */
#include "backend/cpu/kernels/rows.h"

enum {
    FEW = 5,
    VECTORS = 8,            /* of a strip */
    STRIP = VECTORS * VLEN, /* columns */
    OUT_ROWS = 512,         /* of a block of out */
    D_ROWS = 1024,          /* of a block of D */
    LIST_PIECES = 32,
    LEAST_WIDTH = 2 * VLEN /* of out, for less the lists cost more than they save */
};

typedef struct entry {
    int32_t q;
    float value;
} entry;

typedef struct few {
    const glia_gemm *g;
    bool of_b;                  /* S is B */
    int64_t rows, inner, width; /* R, Q, W */
    const float *s, *d;
    int64_t s_row, s_inner; /* strides */
    int64_t d_inner, d_col, c_row, c_col;
    int64_t *first; /* (R + 1): where the list of a row begins */
    entry *entries;
    int64_t room;
    float *memory; /* of the workers: a strip of D, a block of out, a place in the list for each of its rows */
} few;

static few describe(const glia_gemm *g, bool of_b) {
    few f = { .g = g, .of_b = of_b, .inner = g->k };
    f.rows = of_b ? g->n : g->m;
    f.width = of_b ? g->m : g->n;
    f.s = of_b ? g->b : g->a;
    f.d = of_b ? g->a : g->b;
    const bool s_across = of_b ? !g->transpose_b : g->transpose_a, d_across = of_b ? !g->transpose_a : g->transpose_b;
    const int64_t s_line = of_b ? g->ldb : g->lda, d_line = of_b ? g->lda : g->ldb;
    f.s_row = s_across ? 1 : s_line;
    f.s_inner = s_across ? s_line : 1;
    f.d_inner = d_across ? 1 : d_line;
    f.d_col = d_across ? d_line : 1;
    f.c_row = of_b ? 1 : g->ldc;
    f.c_col = of_b ? g->ldc : 1;
    f.room = f.rows * f.inner / FEW;
    return f;
}

static bool fits(const glia_gemm *g, const few *f) {
    return g->batch[0] * g->batch[1] == 1 && !g->accumulate && !g->packed_b && f->width >= LEAST_WIDTH &&
           f->inner >= FEW && f->inner <= INT32_MAX;
}

static int64_t worker_floats(const few *f) { return round_up(f->inner * STRIP + OUT_ROWS * STRIP + OUT_ROWS * 2, 16); }

size_t GLIA_KERNEL(gemm_few_f32_scratch)(const glia_gemm *g, bool of_b, int workers) {
    const few f = describe(g, of_b);
    const size_t dense = GLIA_KERNEL(gemm_f32_scratch)(g, workers);
    if (!fits(g, &f)) return dense;
    const size_t lists =
        (size_t)round_up(f.rows + 1, 8) * sizeof(int64_t) + (size_t)round_up(f.room, 8) * sizeof(entry);
    return GLIA_MAX(dense, lists + (size_t)(worker_floats(&f) * workers) * sizeof(float) + GLIA_ALIGN);
}

/* ---- lists ------------------------------------------------------------------------------------------ */

/* Are four neighbours all zero (of either sign)? */
GLIA_INLINE bool all_zero(const float *p) {
    uint64_t bits[2];
    memcpy(bits, p, sizeof bits);
    return ((bits[0] | bits[1]) & 0x7fffffff7fffffffu) == 0;
}

/* The rows of S [from, to) are read in their order in memory. */
static void count_piece(void *context, int64_t piece, int worker) {
    const few *f = context;
    const int64_t from = f->rows * piece / LIST_PIECES, to = f->rows * (piece + 1) / LIST_PIECES;
    (void)worker;
    if (f->s_row == 1) {
        for (int64_t q = 0; q < f->inner; q++) {
            const float *line = f->s + q * f->s_inner;
            for (int64_t r = from; r < to; r++) f->first[r] += line[r] != 0;
        }
        return;
    }
    for (int64_t r = from; r < to; r++) {
        const float *line = f->s + r * f->s_row;
        int32_t count = 0;
        for (int64_t q = 0; q < f->inner; q++) count += line[q] != 0;
        f->first[r] = count;
    }
}

static void list_piece(void *context, int64_t piece, int worker) {
    const few *f = context;
    const bool across = f->s_row == 1;
    const int64_t from = f->rows * piece / LIST_PIECES, to = f->rows * (piece + 1) / LIST_PIECES;
    const int64_t lines = across ? f->inner : to - from, length = across ? to - from : f->inner;
    (void)worker;
    for (int64_t i = 0; i < lines; i++) {
        const float *line = f->s + (across ? i * f->s_inner + from : (from + i) * f->s_row);
        for (int64_t k = 0; k < length; k += 4) {
            if (k + 4 <= length && all_zero(line + k)) continue;
            for (int64_t j = k; j < GLIA_MIN(k + 4, length); j++) {
                if (line[j] == 0) continue;
                const int64_t row = across ? from + j : from + i;
                f->entries[f->first[row]++] = (entry){ (int32_t)(across ? i : j), line[j] };
            }
        }
    }
}

/* Fills the lists; false: there is too much in them. */
static bool list(glia_pool *pool, few *f) {
    memset(f->first, 0, (size_t)(f->rows + 1) * sizeof *f->first);
    glia_parallel_for(pool, LIST_PIECES, count_piece, f);
    int64_t all = 0;
    for (int64_t r = 0; r <= f->rows; r++) {
        const int64_t count = r < f->rows ? f->first[r] : 0;
        f->first[r] = all;
        all += count;
    }
    if (all > f->room) return false;
    glia_parallel_for(pool, LIST_PIECES, list_piece, f);
    memmove(f->first + 1, f->first, (size_t)f->rows * sizeof *f->first); /* each had moved on to its end */
    f->first[0] = 0;
    return true;
}

/* ---- sums ------------------------------------------------------------------------------------------- */

/* A strip of D, (Q, STRIP), zeros beyond its columns. */
static void copy_strip(const few *f, int64_t col, int64_t cols, float *strip) {
    for (int64_t q = 0; q < f->inner && cols < STRIP; q++) memset(strip + q * STRIP, 0, STRIP * sizeof *strip);
    if (f->d_col == 1) {
        for (int64_t q = 0; q < f->inner; q++)
            memcpy(strip + q * STRIP, f->d + q * f->d_inner + col, (size_t)cols * sizeof *strip);
        return;
    }
    for (int64_t q0 = 0; q0 < f->inner; q0 += 16) { /* a line of each column at a time */
        for (int64_t j = 0; j < cols; j++) {
            const float *from = f->d + (col + j) * f->d_col;
            for (int64_t q = q0; q < GLIA_MIN(q0 + 16, f->inner); q++) strip[q * STRIP + j] = from[q];
        }
    }
}

/* out (STRIP) = what it is, or zeros, + the entries [e, end) with q below `limit`. Returns the first that is left. */
GLIA_INLINE int64_t add_entries(const entry *entries, int64_t e, int64_t end, int64_t limit, const float *strip,
                                float *out, bool begins) {
    vf sum[VECTORS];
    GLIA_UNROLL
    for (int v = 0; v < VECTORS; v++) sum[v] = begins ? vf_set(0) : vf_load(out + v * VLEN);
    for (; e < end && entries[e].q < limit; e++) {
        const float *row = strip + (int64_t)entries[e].q * STRIP;
        const vf value = vf_set(entries[e].value);
        GLIA_UNROLL
        for (int v = 0; v < VECTORS; v++) sum[v] += value * vf_load(row + v * VLEN);
    }
    GLIA_UNROLL
    for (int v = 0; v < VECTORS; v++) vf_store(out + v * VLEN, sum[v]);
    return e;
}

/* Writes a block of out, rows [r0, r0 + rows) and columns [col, col + cols), and calls the epilogue. */
static void finish(const few *f, const float *out, int64_t r0, int64_t rows, int64_t col, int64_t cols, int worker) {
    const glia_gemm *g = f->g;
    float *c = g->c + r0 * f->c_row + col * f->c_col;
    for (int64_t r = 0; r < rows && !f->of_b; r++) memcpy(c + r * f->c_row, out + r * STRIP, (size_t)cols * sizeof *c);
    for (int64_t r = 0; r < rows && f->of_b; r += 16) { /* a line of each row of C at a time */
        for (int64_t j = 0; j < cols; j++) {
            for (int64_t k = r; k < GLIA_MIN(r + 16, rows); k++) c[k + j * f->c_col] = out[k * STRIP + j];
        }
    }
    if (!g->epilogue.fn) return;
    if (f->of_b)
        g->epilogue.fn(g->epilogue.context, worker, 0, col, cols, r0, rows, c, g->ldc);
    else
        g->epilogue.fn(g->epilogue.context, worker, 0, r0, rows, col, cols, c, g->ldc);
}

static void strip_piece(void *context, int64_t piece, int worker) {
    const few *f = context;
    float *strip = f->memory + worker * worker_floats(f), *out = strip + f->inner * STRIP;
    int64_t *at = (int64_t *)(void *)(out + OUT_ROWS * STRIP);
    const int64_t col = piece * STRIP, cols = GLIA_MIN(STRIP, f->width - col);
    copy_strip(f, col, cols, strip);
    for (int64_t r0 = 0; r0 < f->rows; r0 += OUT_ROWS) {
        const int64_t rows = GLIA_MIN(OUT_ROWS, f->rows - r0);
        memcpy(at, f->first + r0, (size_t)rows * sizeof *at);
        for (int64_t q = 0; q < f->inner; q += D_ROWS) {
            for (int64_t r = 0; r < rows; r++)
                at[r] =
                    add_entries(f->entries, at[r], f->first[r0 + r + 1], q + D_ROWS, strip, out + r * STRIP, q == 0);
        }
        finish(f, out, r0, rows, col, cols, worker);
    }
}

void GLIA_KERNEL(gemm_few_f32)(glia_pool *pool, const glia_gemm *g, bool of_b, void *scratch) {
    few f = describe(g, of_b);
    if (fits(g, &f)) {
        f.first = scratch;
        f.entries = (entry *)(void *)(f.first + round_up(f.rows + 1, 8));
        f.memory = (float *)(void *)(f.entries + round_up(f.room, 8));
        if (list(pool, &f)) {
            glia_parallel_for(pool, divide_up(f.width, STRIP), strip_piece, &f);
            return;
        }
    }
    GLIA_KERNEL(gemm_f32)(pool, g, scratch);
}
