/* rowwise.c - kernels on whole rows: softmax along the last axis, layer normalisation.
 *
 * Softmax reads a row three times while it stays in cache: for the maximum, for e^(x - maximum) and their sum, for the
 * division. The maximum may miss a NaN; the sum then contains it. If the end of a row is not a whole vector, it is
 * loaded together with the elements before it, which are masked: as -inf they do not change the maximum and their
 * exponential is 0.
 *
 *     length 20, VLEN 8:   | 0..7 | 8..15 | 16..19 |
 *                                    | 12....19 |       the end: lanes 4 to 7 are used
 */
#include "backend/cpu/kernels/rows.h"
#include "backend/cpu/kernels/vmath.h"

enum { GRAIN = 4096, MOST_PIECES = 256 };

typedef struct softmax_job {
    int64_t rows, length, pieces;
    const float *x;
    float *y;
} softmax_job;

/* All ones in the last n lanes. */
GLIA_INLINE vi last_lanes(int64_t n) {
    /* clang-format off */
    static const int32_t steps[2 * VLEN] = {
#if VLEN == 16
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1
#elif VLEN == 8
        0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1
#else
        0, 0, 0, 0, -1, -1, -1, -1
#endif
    };
    /* clang-format on */
    return *(const vi_any *)(steps + n);
}

GLIA_INLINE vf upper(vf a, vf b) { return vf_select(b > a, b, a); }

/* length >= VLEN; y may be x. */
static void softmax_row(const float *x, float *y, int64_t length) {
    const int64_t whole = length / VLEN * VLEN;
    const vi mask = last_lanes(length - whole);
    const vf end = vf_select(mask, vf_load(x + length - VLEN), vf_set(-GLIA_INF));
    vf most[4] = { end, end, end, end };
    int64_t i = 0;
    for (; i + 4 * VLEN <= whole; i += 4 * VLEN) {
        for (int k = 0; k < 4; k++) most[k] = upper(most[k], vf_load(x + i + k * VLEN));
    }
    for (; i < whole; i += VLEN) most[0] = upper(most[0], vf_load(x + i));
    const vf m = vf_set(vf_largest(upper(upper(most[0], most[1]), upper(most[2], most[3]))));
    const vf end_power = vf_exp(end - m);
    vf sum = end_power;
    for (i = 0; i < whole; i += VLEN) {
        const vf e = vf_exp(vf_load(x + i) - m);
        vf_store(y + i, e);
        sum += e;
    }
    const vf scale = vf_set(1.0f / vf_sum(sum));
    for (i = 0; i < whole; i += VLEN) vf_store(y + i, vf_load(y + i) * scale);
    vf_store(y + length - VLEN, vf_select(mask, end_power * scale, vf_load(y + length - VLEN)));
}

static void softmax_piece(void *context, int64_t piece, int worker) {
    const softmax_job *j = context;
    (void)worker;
    for (int64_t row = j->rows * piece / j->pieces; row < j->rows * (piece + 1) / j->pieces; row++) {
        softmax_row(j->x + row * j->length, j->y + row * j->length, j->length);
    }
}

void GLIA_KERNEL(softmax_f32)(glia_pool *pool, int64_t rows, int64_t length, const float *x, float *y) {
    int64_t pieces = GLIA_MIN(GLIA_MIN(rows, MOST_PIECES), rows * length / GRAIN);
    softmax_job j = { rows, length, GLIA_MAX(1, pieces), x, y };
    glia_parallel_for(j.pieces > 1 ? pool : NULL, j.pieces, softmax_piece, &j);
}

/* ---- layer normalisation ------------------------------------------------------------------------- */
/* A row stays in the first-level cache for its three passes: mean, variance, normalisation. */

typedef struct norm_job {
    const glia_norm_rows *n;
    const float *other; /* shift or dy */
    float *to;
    int64_t pieces;
} norm_job;

/* The first `left` floats as a vector, the other lanes 0. */
GLIA_INLINE vf load_up_to(const float *p, int64_t left) { return left >= VLEN ? vf_load(p) : vf_load_first(p, left); }
GLIA_INLINE void store_up_to(float *p, vf v, int64_t left) {
    if (left >= VLEN)
        vf_store(p, v);
    else
        vf_store_first(p, v, left);
}

enum { TOGETHER = 4 }; /* rows processed in parallel, to hide the latency of their sums */

/* The means of rows, and 1 / sqrt(variance + epsilon). */
typedef struct moments {
    vf mean[TOGETHER], r[TOGETHER];
} moments;

GLIA_INLINE moments moments_of(const glia_norm_rows *n, const float *x, const int rows) {
    const int64_t length = n->length, whole = length / VLEN * VLEN;
    vf sum[TOGETHER] = { { 0 } }, squares[TOGETHER] = { { 0 } };
    moments m;
    for (int64_t i = 0; i < whole; i += VLEN) {
        GLIA_UNROLL for (int k = 0; k < rows; k++) sum[k] += vf_load(x + k * length + i);
    }
    GLIA_UNROLL for (int k = 0; k < rows; k++) {
        if (whole < length) sum[k] += vf_load_first(x + k * length + whole, length - whole);
        m.mean[k] = vf_set(vf_sum(sum[k]) / (float)length);
    }
    for (int64_t i = 0; i < whole; i += VLEN) {
        GLIA_UNROLL for (int k = 0; k < rows; k++) {
            const vf a = vf_load(x + k * length + i) - m.mean[k];
            squares[k] += a * a;
        }
    }
    GLIA_UNROLL for (int k = 0; k < rows; k++) {
        if (whole < length) {
            const vf a = vf_load_first(x + k * length + whole, length - whole) - m.mean[k];
            squares[k] += vf_select(vi_first(length - whole), a * a, vf_set(0));
        }
        m.r[k] = vf_set(1 / __builtin_sqrtf(vf_sum(squares[k]) / (float)length + n->epsilon));
    }
    return m;
}

static int64_t first_row(const norm_job *j, int64_t piece) { return j->n->rows * piece / j->pieces; }

/* Called with one row at a time, which is faster here: a row is read and written contiguously. */
GLIA_INLINE void normalise(const norm_job *j, int64_t row, const int rows) {
    const glia_norm_rows *n = j->n;
    const int64_t length = n->length;
    const float *x = n->x + row * length;
    float *y = j->to + row * length;
    const moments m = moments_of(n, x, rows);
    for (int64_t i = 0; i < length; i += VLEN) {
        const int64_t left = length - i;
        const vf scale = load_up_to(n->scale + i, left), shift = load_up_to(j->other + i, left);
        GLIA_UNROLL for (int k = 0; k < rows; k++) {
            const vf scaled = (load_up_to(x + k * length + i, left) - m.mean[k]) * m.r[k] * scale;
            store_up_to(y + k * length + i, scaled + shift, left);
        }
    }
}

static void layer_norm_piece(void *context, int64_t piece, int worker) {
    const norm_job *j = context;
    (void)worker;
    for (int64_t row = first_row(j, piece); row < first_row(j, piece + 1); row++) normalise(j, row, 1);
}

/* dx = r (g - mean(g) - xhat mean(g xhat)), g = dy scale. */
GLIA_INLINE void gradient(const norm_job *j, int64_t row, const int rows) {
    const glia_norm_rows *n = j->n;
    const int64_t length = n->length;
    const float *x = n->x + row * length, *dy = j->other + row * length;
    float *dx = j->to + row * length;
    const moments m = moments_of(n, x, rows);
    vf sum[TOGETHER] = { { 0 } }, along[TOGETHER] = { { 0 } };
    for (int64_t i = 0; i < length; i += VLEN) {
        const int64_t left = length - i;
        const vf scale = load_up_to(n->scale + i, left);
        GLIA_UNROLL for (int k = 0; k < rows; k++) {
            const vf g = load_up_to(dy + k * length + i, left) * scale;
            sum[k] += g;
            along[k] += g * (load_up_to(x + k * length + i, left) - m.mean[k]);
        }
    }
    GLIA_UNROLL for (int k = 0; k < rows; k++) {
        sum[k] = vf_set(vf_sum(sum[k]) / (float)length);
        along[k] = vf_set(vf_sum(along[k]) / (float)length) * m.r[k] * m.r[k];
    }
    for (int64_t i = 0; i < length; i += VLEN) {
        const int64_t left = length - i;
        const vf scale = load_up_to(n->scale + i, left);
        GLIA_UNROLL for (int k = 0; k < rows; k++) {
            const vf g = load_up_to(dy + k * length + i, left) * scale;
            const vf other = (load_up_to(x + k * length + i, left) - m.mean[k]) * along[k];
            store_up_to(dx + k * length + i, m.r[k] * (g - sum[k] - other), left);
        }
    }
}

static void layer_norm_dx_piece(void *context, int64_t piece, int worker) {
    const norm_job *j = context;
    int64_t row = first_row(j, piece);
    const int64_t end = first_row(j, piece + 1);
    (void)worker;
    for (; row + TOGETHER <= end; row += TOGETHER) gradient(j, row, TOGETHER);
    for (; row < end; row++) gradient(j, row, 1);
}

/* sums += dy xhat, for each row. */
GLIA_INLINE void add_scaled(const norm_job *j, int64_t row, const int rows, float *sums) {
    const glia_norm_rows *n = j->n;
    const int64_t length = n->length;
    const float *x = n->x + row * length, *dy = j->other + row * length;
    const moments m = moments_of(n, x, rows);
    for (int64_t i = 0; i < length; i += VLEN) {
        const int64_t left = length - i;
        vf sum = load_up_to(sums + i, left);
        GLIA_UNROLL for (int k = 0; k < rows; k++) {
            const vf xhat = (load_up_to(x + k * length + i, left) - m.mean[k]) * m.r[k];
            sum += load_up_to(dy + k * length + i, left) * xhat;
        }
        store_up_to(sums + i, sum, left);
    }
}

static void layer_norm_dscale_piece(void *context, int64_t piece, int worker) {
    const norm_job *j = context;
    float *sums = j->to + piece * j->n->length;
    int64_t row = first_row(j, piece);
    const int64_t end = first_row(j, piece + 1);
    (void)worker;
    memset(sums, 0, (size_t)j->n->length * sizeof *sums);
    for (; row + TOGETHER <= end; row += TOGETHER) add_scaled(j, row, TOGETHER, sums);
    for (; row < end; row++) add_scaled(j, row, 1, sums);
}

static void run_rows(glia_pool *pool, norm_job *j, void (*fn)(void *, int64_t, int)) {
    glia_parallel_for(j->pieces > 1 ? pool : NULL, j->pieces, fn, j);
}

/* Number of pieces, so that each has enough work; depends on the shape only. */
static int64_t pieces_of_rows(const glia_norm_rows *n, int64_t most) {
    return GLIA_MAX(1, GLIA_MIN(GLIA_MIN(n->rows, most), n->rows * n->length / (4 * GRAIN)));
}

void GLIA_KERNEL(layer_norm_f32)(glia_pool *pool, const glia_norm_rows *norm, const float *shift, float *y) {
    run_rows(pool, &(norm_job){ norm, shift, y, pieces_of_rows(norm, MOST_PIECES) }, layer_norm_piece);
}

void GLIA_KERNEL(layer_norm_dx_f32)(glia_pool *pool, const glia_norm_rows *norm, const float *dy, float *dx) {
    run_rows(pool, &(norm_job){ norm, dy, dx, pieces_of_rows(norm, MOST_PIECES) }, layer_norm_dx_piece);
}

enum { DSCALE_PIECES = 16 };

size_t GLIA_KERNEL(layer_norm_dscale_f32_scratch)(const glia_norm_rows *norm) {
    return (size_t)(pieces_of_rows(norm, DSCALE_PIECES) * norm->length) * sizeof(float);
}

void GLIA_KERNEL(layer_norm_dscale_f32)(glia_pool *pool, const glia_norm_rows *norm, const float *dy, float *dscale,
                                        void *scratch) {
    norm_job j = { norm, dy, scratch, pieces_of_rows(norm, DSCALE_PIECES) };
    run_rows(pool, &j, layer_norm_dscale_piece);
    for (int64_t i = 0; i < norm->length; i++) {
        float sum = 0;
        for (int64_t piece = 0; piece < j.pieces; piece++) sum += j.to[piece * norm->length + i];
        dscale[i] = sum;
    }
}
