/* sparse.c - products with sparse (CSR) matrices, and sums and maxima over segments.
 *
 * Rows are distributed over threads; a row is summed in the order of its entries, so results do not depend on the
 * number of threads. The transposed product adds entries to the rows of their columns. A few threads each look through
 * all entries for columns of their share; for more, the entries are first sorted by column (a counting sort, which
 * keeps their order), and it is then a product by rows: the same sums in the same order.
 */
#include <string.h>

#include "backend/cpu/kernels/rows.h"

enum {
    GRAIN = 1 << 14, /* products per piece */
    LOOKING = 4,     /* threads that look through all entries of a transposed product */
    BLOCK = 16,      /* columns of a product that stay in registers, */
    WIDE = 4 * VLEN, /* and those of a wide one */
    LANES = 8        /* a usual width of parts */
};

typedef struct csr_job {
    const glia_csr_args *c;
    int64_t pieces;
    int64_t *first, *entry, *row; /* of the transposed product: (columns + 1), (entries) and (entries) */
} csr_job;

static inline int64_t index_at(const void *index, bool wide, int64_t i) {
    return wide ? ((const int64_t *)index)[i] : ((const int32_t *)index)[i];
}

static inline int64_t column_at(const glia_csr_args *c, int64_t e) {
    const int64_t k = index_at(c->column, c->wide_column, e);
    return (uint64_t)k < (uint64_t)c->columns ? k : k < 0 ? 0 : c->columns - 1;
}

/* The entries of a row, limited to the existing ones. */
static inline void entries_of(const glia_csr_args *c, int64_t r, int64_t *begin, int64_t *end) {
    *begin = GLIA_MIN(GLIA_MAX(index_at(c->offset, c->wide_offset, r), 0), c->entries);
    *end = GLIA_MIN(GLIA_MAX(index_at(c->offset, c->wide_offset, r + 1), *begin), c->entries);
}

static inline void add_scaled(float *restrict y, const float *restrict x, float v, int64_t n) {
    for (int64_t f = 0; f < n; f++) y[f] += v * x[f];
}

/* Adds entry e of x to y, each part with its value. */
static inline void add_entry(const glia_csr_args *c, int64_t e, float *restrict y, const float *restrict x) {
    if (c->heads == 1) {
        add_scaled(y, x, c->value[e], c->width);
        return;
    }
    const int64_t units = c->width / c->heads;
    const float *v = c->value + e * c->heads;
    for (int64_t h = 0; h < c->heads; h++) {
        if (units == LANES)
            add_scaled(y + h * LANES, x + h * LANES, v[h], LANES);
        else
            add_scaled(y + h * units, x + h * units, v[h], units);
    }
}

static int64_t pieces_of(const glia_csr_args *c, int64_t rows) {
    const int64_t work = (c->entries + rows) * GLIA_MAX(c->width, 8);
    return GLIA_MAX(GLIA_MIN(work / GRAIN, rows), 1);
}

static void rows_of(int64_t rows, const csr_job *j, int64_t piece, int64_t *begin, int64_t *end) {
    *begin = rows * piece / j->pieces;
    *end = rows * (piece + 1) / j->pieces;
}

static void share(glia_pool *pool, csr_job *j, int64_t rows, void (*fn)(void *, int64_t, int)) {
    j->pieces = pieces_of(j->c, rows);
    glia_parallel_for(pool, j->pieces, fn, j);
}

/* ---- products ----------------------------------------------------------------------------------------- */

/* y[f ... f + BLOCK) of a row. */
static inline void sum_block(const glia_csr_args *c, int64_t e, int64_t end, int64_t f, float *restrict y) {
    float sum[BLOCK] = { 0 };
    for (; e < end; e++) {
        const float *x = c->x + column_at(c, e) * c->width + f, v = c->value[e];
        for (int k = 0; k < BLOCK; k++) sum[k] += v * x[k];
    }
    memcpy(y + f, sum, sizeof sum);
}

/* y[f ... f + WIDE) of a row. */
GLIA_INLINE void sum_wide(const glia_csr_args *c, int64_t e, int64_t end, int64_t f, float *restrict y) {
    vf sum[4] = { { 0 } };
    for (; e < end; e++) {
        const float *x = c->x + column_at(c, e) * c->width + f;
        const vf v = vf_set(c->value[e]);
        GLIA_UNROLL
        for (int k = 0; k < 4; k++) sum[k] += v * vf_load(x + k * VLEN);
    }
    GLIA_UNROLL
    for (int k = 0; k < 4; k++) vf_store(y + f + k * VLEN, sum[k]);
}

static void product_piece(void *context, int64_t piece, int worker) {
    const csr_job *j = context;
    const glia_csr_args *c = j->c;
    const int64_t wide = c->heads == 1 ? c->width / WIDE * WIDE : 0;
    const int64_t blocks = c->heads == 1 ? c->width / BLOCK * BLOCK : 0, rest = c->width - blocks;
    int64_t row, last, e, end;
    (void)worker;
    for (rows_of(c->rows, j, piece, &row, &last); row < last; row++) {
        float *y = c->y + row * c->width;
        entries_of(c, row, &e, &end);
        for (int64_t f = 0; f < wide; f += WIDE) sum_wide(c, e, end, f, y);
        for (int64_t f = wide; f < blocks; f += BLOCK) sum_block(c, e, end, f, y);
        memset(y + blocks, 0, (size_t)rest * sizeof *y);
        for (; rest && e < end; e++) {
            const float *x = c->x + column_at(c, e) * c->width + blocks;
            if (c->heads == 1)
                add_scaled(y + blocks, x, c->value[e], rest);
            else
                add_entry(c, e, y, x);
        }
    }
}

void GLIA_KERNEL(csr_matmul_f32)(glia_pool *pool, const glia_csr_args *csr) {
    csr_job j = { .c = csr };
    share(pool, &j, csr->rows, product_piece);
}

static void transposed_piece(void *context, int64_t piece, int worker) {
    const csr_job *j = context;
    const glia_csr_args *c = j->c;
    int64_t column, last;
    (void)worker;
    for (rows_of(c->columns, j, piece, &column, &last); column < last; column++) {
        float *y = c->y + column * c->width;
        memset(y, 0, (size_t)c->width * sizeof *y);
        for (int64_t i = j->first[column]; i < j->first[column + 1]; i++)
            add_entry(c, j->entry[i], y, c->x + j->row[i] * c->width);
    }
}

size_t GLIA_KERNEL(csr_transposed_f32_scratch)(const glia_csr_args *csr) {
    return ((size_t)csr->columns + 1 + 2 * (size_t)csr->entries) * sizeof(int64_t);
}

/* The columns of a share, by looking through all entries; one belongs to the first row that has it. */
static void looking_piece(void *context, int64_t piece, int worker) {
    const csr_job *j = context;
    const glia_csr_args *c = j->c;
    int64_t first, last, e, end, used = 0;
    (void)worker;
    rows_of(c->columns, j, piece, &first, &last);
    memset(c->y + first * c->width, 0, (size_t)((last - first) * c->width) * sizeof *c->y);
    for (int64_t r = 0; r < c->rows; r++) {
        for (entries_of(c, r, &e, &end), e = GLIA_MAX(e, used), used = GLIA_MAX(used, end); e < end; e++) {
            const int64_t column = column_at(c, e);
            if (column >= first && column < last) add_entry(c, e, c->y + column * c->width, c->x + r * c->width);
        }
    }
}

void GLIA_KERNEL(csr_transposed_f32)(glia_pool *pool, const glia_csr_args *c, void *scratch) {
    csr_job j = { .c = c, .first = scratch };
    if (glia_pool_size(pool) <= LOOKING) {
        j.pieces = GLIA_MIN(glia_pool_size(pool), pieces_of(c, c->columns));
        glia_parallel_for(pool, j.pieces, looking_piece, &j);
        return;
    }
    j.entry = j.first + c->columns + 1;
    j.row = j.entry + c->entries;
    memset(j.first, 0, (size_t)(c->columns + 1) * sizeof *j.first);
    int64_t e, end, used = 0; /* entries before `used` belong to an earlier row */
    for (int64_t r = 0; r < c->rows; r++) {
        for (entries_of(c, r, &e, &end), e = GLIA_MAX(e, used), used = GLIA_MAX(used, end); e < end; e++)
            j.first[column_at(c, e) + 1]++;
    }
    for (int64_t k = 0; k < c->columns; k++) j.first[k + 1] += j.first[k];
    used = 0;
    for (int64_t r = 0; r < c->rows; r++) {
        for (entries_of(c, r, &e, &end), e = GLIA_MAX(e, used), used = GLIA_MAX(used, end); e < end; e++) {
            const int64_t at = j.first[column_at(c, e)]++;
            j.entry[at] = e;
            j.row[at] = r;
        }
    }
    memmove(j.first + 1, j.first, (size_t)c->columns * sizeof *j.first); /* each had moved on to the next one's place */
    j.first[0] = 0;
    share(pool, &j, c->columns, transposed_piece);
}

static inline float product_of(const float *a, const float *b, int64_t n) {
    float sum[LANES] = { 0 };
    int64_t f = 0;
    for (; f + LANES <= n; f += LANES) {
        for (int k = 0; k < LANES; k++) sum[k] += a[f + k] * b[f + k];
    }
    for (; f < n; f++) sum[0] += a[f] * b[f];
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

static void dot_piece(void *context, int64_t piece, int worker) {
    const csr_job *j = context;
    const glia_csr_args *c = j->c;
    int64_t row, last, e, end;
    (void)worker;
    const int64_t units = c->width / c->heads;
    for (rows_of(c->rows, j, piece, &row, &last); row < last; row++) {
        const float *a = c->x + row * c->width;
        for (entries_of(c, row, &e, &end); e < end; e++) {
            const float *b = c->b + column_at(c, e) * c->width;
            for (int64_t h = 0; h < c->heads; h++)
                c->y[e * c->heads + h] = product_of(a + h * units, b + h * units, units);
        }
    }
}

void GLIA_KERNEL(csr_dot_f32)(glia_pool *pool, const glia_csr_args *csr) {
    csr_job j = { .c = csr };
    memset(csr->y, 0, (size_t)(csr->entries * csr->heads) * sizeof *csr->y); /* entries of no row */
    share(pool, &j, csr->rows, dot_piece);
}

/* ---- segments ----------------------------------------------------------------------------------------- */

static void segment_sum_piece(void *context, int64_t piece, int worker) {
    const csr_job *j = context;
    const glia_csr_args *c = j->c;
    int64_t row, last, e, end;
    (void)worker;
    for (rows_of(c->rows, j, piece, &row, &last); row < last; row++) {
        float *y = c->y + row * c->width;
        memset(y, 0, (size_t)c->width * sizeof *y);
        for (entries_of(c, row, &e, &end); e < end; e++) add_scaled(y, c->x + e * c->width, 1, c->width);
    }
}

void GLIA_KERNEL(segment_sum_f32)(glia_pool *pool, const glia_csr_args *csr) {
    csr_job j = { .c = csr };
    share(pool, &j, csr->rows, segment_sum_piece);
}

/* NaN counts as the maximum. */
static inline void raise_to(float *restrict y, const float *restrict x, int64_t n) {
    for (int64_t f = 0; f < n; f++) y[f] = x[f] > y[f] || x[f] != x[f] ? x[f] : y[f];
}

static void segment_max_piece(void *context, int64_t piece, int worker) {
    const csr_job *j = context;
    const glia_csr_args *c = j->c;
    int64_t row, last, e, end;
    (void)worker;
    for (rows_of(c->rows, j, piece, &row, &last); row < last; row++) {
        float *y = c->y + row * c->width;
        entries_of(c, row, &e, &end);
        if (e == end)
            memset(y, 0, (size_t)c->width * sizeof *y);
        else
            memcpy(y, c->x + e++ * c->width, (size_t)c->width * sizeof *y);
        for (; e < end; e++) raise_to(y, c->x + e * c->width, c->width);
    }
}

void GLIA_KERNEL(segment_max_f32)(glia_pool *pool, const glia_csr_args *csr) {
    csr_job j = { .c = csr };
    share(pool, &j, csr->rows, segment_max_piece);
}

static void segment_spread_piece(void *context, int64_t piece, int worker) {
    const csr_job *j = context;
    const glia_csr_args *c = j->c;
    int64_t row, last, e, end;
    (void)worker;
    for (rows_of(c->rows, j, piece, &row, &last); row < last; row++) {
        const float *x = c->x + row * c->width;
        for (entries_of(c, row, &e, &end); e < end; e++) memcpy(c->y + e * c->width, x, (size_t)c->width * sizeof *x);
    }
}

void GLIA_KERNEL(segment_spread_f32)(glia_pool *pool, const glia_csr_args *csr) {
    csr_job j = { .c = csr };
    memset(csr->y, 0, (size_t)(csr->entries * csr->width) * sizeof *csr->y);
    share(pool, &j, csr->rows, segment_spread_piece);
}
