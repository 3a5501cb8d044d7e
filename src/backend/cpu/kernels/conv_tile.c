/* conv_tile.c - the tiles of conv_tile.h, one function for each mode, number of rows and width; and the strips. */
#include "backend/cpu/kernels/conv_tile.h"

enum { UNROLL = 4 };

/* Stops the compiler from precomputing values that do not fit the registers. */
#define OPAQUE(x) __asm__("" : "+r"(x))

/* Adds one step of k: row r of P is read at p[r] + at, the row of Q at q. */
GLIA_INLINE void step(const int rows, const int nv, vf acc[MR][2], const float *const p[MR], int64_t at,
                      const float *q) {
    vf b[2];
    GLIA_UNROLL for (int v = 0; v < nv; v++) b[v] = vf_load(q + v * VLEN);
    GLIA_UNROLL for (int r = 0; r < rows; r++) {
        vf a = vf_set(p[r][at]);
        GLIA_UNROLL for (int v = 0; v < nv; v++) acc[r][v] += a * b[v];
    }
}

GLIA_INLINE void run_runs(const int rows, const int nv, vf acc[MR][2], const glia_conv_tile *t) {
    for (int64_t o = 0; o < t->outer; o++) {
        const float *p[MR], *q = t->q + o * t->q_outer, *line = t->p + o * t->p_outer;
        GLIA_UNROLL for (int r = 0; r < rows; r++) p[r] = line + t->p_at[r];
        int64_t k = t->inner;
        for (; k >= UNROLL; k -= UNROLL, q += UNROLL * nv * VLEN) {
            GLIA_UNROLL for (int u = 0; u < UNROLL; u++) step(rows, nv, acc, p, u, q + u * nv * VLEN);
            GLIA_UNROLL for (int r = 0; r < rows; r++) {
                p[r] += UNROLL;
                OPAQUE(p[r]);
            }
        }
        for (int64_t i = 0; i < k; i++, q += nv * VLEN) step(rows, nv, acc, p, i, q);
    }
}

GLIA_INLINE void run_cols(const int rows, const int nv, vf acc[MR][2], const glia_conv_tile *t) {
    const int64_t s = t->p_step;
    for (int64_t o = 0; o < t->outer; o++) {
        const float *line = t->p + o * t->p_outer, *q = t->q + o * t->q_outer, *p[MR];
        int64_t k = t->inner;
        for (; k >= UNROLL; k -= UNROLL, q += UNROLL * nv * VLEN) {
            GLIA_UNROLL for (int u = 0; u < UNROLL; u++, line += s) {
                GLIA_UNROLL for (int r = 0; r < rows; r++) p[r] = line + r;
                step(rows, nv, acc, p, 0, q + u * nv * VLEN);
            }
        }
        for (; k > 0; k--, line += s, q += nv * VLEN) {
            GLIA_UNROLL for (int r = 0; r < rows; r++) p[r] = line + r;
            step(rows, nv, acc, p, 0, q);
        }
    }
}

GLIA_INLINE void run_steps(const int rows, const int nv, vf acc[MR][2], const glia_conv_tile *t) {
    const int64_t s = t->p_step;
    for (int64_t o = 0; o < t->outer; o++) {
        const float *p[MR], *q = t->q + o * t->q_outer, *line = t->p + o * t->p_outer;
        GLIA_UNROLL for (int r = 0; r < rows; r++) p[r] = line + t->p_at[r];
        for (int64_t k = t->inner; k > 0; k--, q += nv * VLEN) {
            step(rows, nv, acc, p, 0, q);
            GLIA_UNROLL for (int r = 0; r < rows; r++) {
                p[r] += s;
                OPAQUE(p[r]);
            }
        }
    }
}

GLIA_INLINE void store_whole(const int rows, const int nv, vf acc[MR][2], const glia_conv_tile *t) {
    if (t->add) {
        GLIA_UNROLL for (int r = 0; r < rows; r++) {
            float *c = t->c + t->c_at[r];
            GLIA_UNROLL for (int v = 0; v < nv; v++) vf_store(c + v * VLEN, vf_load(c + v * VLEN) + acc[r][v]);
        }
        return;
    }
    GLIA_UNROLL for (int r = 0; r < rows; r++) {
        float *c = t->c + t->c_at[r];
        GLIA_UNROLL for (int v = 0; v < nv; v++) vf_store(c + v * VLEN, acc[r][v]);
    }
}

/* The same if the last vector has only `last` columns. */
GLIA_INLINE void store_part(const int rows, const int nv, vf acc[MR][2], const glia_conv_tile *t, int64_t last) {
    GLIA_UNROLL for (int r = 0; r < rows; r++) {
        float *c = t->c + t->c_at[r], *end = c + (nv - 1) * VLEN;
        if (nv > 1) vf_store(c, t->add ? vf_load(c) + acc[r][0] : acc[r][0]);
        vf_store_first(end, t->add ? vf_load_first(end, last) + acc[r][nv - 1] : acc[r][nv - 1], last);
    }
}

GLIA_INLINE void tile(const int mode, const int rows, const int nv, const glia_conv_tile *t) {
    vf acc[MR][2];
    GLIA_UNROLL for (int r = 0; r < rows; r++) { GLIA_UNROLL for (int v = 0; v < nv; v++) acc[r][v] = (vf){ 0 }; }
    if (mode == CONV_RUNS)
        run_runs(rows, nv, acc, t);
    else if (mode == CONV_COLS)
        run_cols(rows, nv, acc, t);
    else
        run_steps(rows, nv, acc, t);
    if (t->cols < nv * VLEN)
        store_part(rows, nv, acc, t, t->cols - (nv - 1) * VLEN);
    else
        store_whole(rows, nv, acc, t);
}

#define TILE(mode, rows, nv)                                                                                           \
    static void mode##_##rows##x##nv(const glia_conv_tile *t) { tile(mode, rows, nv, t); }
#define TILE_NAME(mode, rows, nv) [rows - 1] = mode##_##rows##x##nv,

#define ROWS_4(X, mode, nv) X(mode, 1, nv) X(mode, 2, nv) X(mode, 3, nv) X(mode, 4, nv)
#if MR_HALF == 6
#define ROWS(X, mode, nv)                                                                                              \
    ROWS_4(X, mode, nv)                                                                                                \
    X(mode, 5, nv)                                                                                                     \
    X(mode, 6, nv) X(mode, 7, nv) X(mode, 8, nv) X(mode, 9, nv) X(mode, 10, nv) X(mode, 11, nv) X(mode, 12, nv)
#elif MR_HALF == 4
#define ROWS(X, mode, nv) ROWS_4(X, mode, nv) X(mode, 5, nv) X(mode, 6, nv) X(mode, 7, nv) X(mode, 8, nv)
#elif MR_HALF == 3
#define ROWS(X, mode, nv) ROWS_4(X, mode, nv) X(mode, 5, nv) X(mode, 6, nv)
#else
#define ROWS(X, mode, nv) ROWS_4(X, mode, nv)
#endif

#define MODE(X, mode) ROWS(X, mode, 1) ROWS(X, mode, 2)
MODE(TILE, CONV_RUNS)
MODE(TILE, CONV_COLS)
MODE(TILE, CONV_STEPS)

#define WIDTHS(mode) [mode] = { { ROWS(TILE_NAME, mode, 1) }, { ROWS(TILE_NAME, mode, 2) } },
const glia_conv_tile_fn GLIA_KERNEL(conv_tiles)[CONV_MODES][CONV_WIDTHS][MR] = { WIDTHS(CONV_RUNS) WIDTHS(CONV_COLS)
                                                                                     WIDTHS(CONV_STEPS) };

/* ---- strips ------------------------------------------------------------------------------- */

GLIA_INLINE void strip(const int nv, const int rows, const glia_conv_strip *t) {
    vf acc[MR][STRIP_VECTORS];
    GLIA_UNROLL for (int r = 0; r < rows; r++) { GLIA_UNROLL for (int v = 0; v < nv; v++) acc[r][v] = (vf){ 0 }; }
    const int64_t p_step = t->p_step, q_step = t->q_step;
    for (int64_t o = 0; o < t->outer; o++) {
        const float *p = t->p + o * t->p_outer, *q[STRIP_VECTORS];
        GLIA_UNROLL for (int v = 0; v < nv; v++) q[v] = t->q + o * t->q_outer + t->q_at[v];
        for (int64_t i = t->inner; i > 0; i--, p += p_step) {
            vf b[STRIP_VECTORS];
            GLIA_UNROLL for (int v = 0; v < nv; v++) {
                b[v] = vf_load(q[v]);
                q[v] += q_step;
            }
            GLIA_UNROLL for (int r = 0; r < rows; r++) {
                const vf a = vf_set(p[r]);
                GLIA_UNROLL for (int v = 0; v < nv; v++) acc[r][v] += a * b[v];
            }
        }
    }
    GLIA_UNROLL for (int r = 0; r < rows; r++) {
        float *c = t->c + r * t->c_step;
        GLIA_UNROLL for (int v = 0; v < nv; v++) {
            vf_store(c + v * VLEN, t->add ? vf_load(c + v * VLEN) + acc[r][v] : acc[r][v]);
        }
    }
}

#define STRIP(vectors, rows, unused)                                                                                   \
    static void strip_##vectors##x##rows(const glia_conv_strip *t) { strip(vectors, rows, t); }
#define STRIP_NAME(vectors, rows, unused) [rows - 1] = strip_##vectors##x##rows,
#if MR_HALF == 6
#define WIDE_ROWS(X, vectors)                                                                                          \
    ROWS_4(X, vectors, 0)                                                                                              \
    X(vectors, 5, 0) X(vectors, 6, 0)
#elif MR_HALF == 4
#define WIDE_ROWS(X, vectors) ROWS_4(X, vectors, 0)
#elif MR_HALF == 3
#define WIDE_ROWS(X, vectors) X(vectors, 1, 0) X(vectors, 2, 0) X(vectors, 3, 0)
#else
#define WIDE_ROWS(X, vectors) X(vectors, 1, 0) X(vectors, 2, 0)
#endif

ROWS(STRIP, 1, 0)
ROWS(STRIP, 2, 0)
WIDE_ROWS(STRIP, 3)
WIDE_ROWS(STRIP, 4)

const glia_conv_strip_fn GLIA_KERNEL(conv_strips)[STRIP_VECTORS][MR] = {
    { ROWS(STRIP_NAME, 1, 0) }, { ROWS(STRIP_NAME, 2, 0) }, { WIDE_ROWS(STRIP_NAME, 3) }, { WIDE_ROWS(STRIP_NAME, 4) }
};
