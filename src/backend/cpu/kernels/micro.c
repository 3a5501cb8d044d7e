/* micro.c - the tiles of micro.h, one function for each mode, number of rows and width. */
#include "backend/cpu/kernels/micro.h"

enum {
    ASKS = VLEN > 4,   /* whether to prefetch: with few multiply-adds it costs more than it saves */
    COPIED_AHEAD = 16, /* rows of Q prefetched before they are copied, */
    WIDE_AHEAD = 8     /* or read by a wide tile of several rows; a single row needs no prefetch */
};

/* Adds one step of k: P's elements are adjacent at p, the row of Q is at q. */
GLIA_INLINE void cols_step(const int rows, const int nv, const bool copy, vf acc[MR][4], const float *p, const float *q,
                           float *q_copy) {
    vf b[4];
    GLIA_UNROLL for (int v = 0; v < nv; v++) b[v] = vf_load(q + v * VLEN);
    if (copy) {
        GLIA_UNROLL for (int v = 0; v < nv; v++) vf_store(q_copy + v * VLEN, b[v]);
    }
    GLIA_UNROLL for (int r = 0; r < rows; r++) {
        vf a = vf_set(p[r]);
        GLIA_UNROLL for (int v = 0; v < nv; v++) acc[r][v] += a * b[v];
    }
}

/* The step for evenly spaced rows: four of them are addressed from one pointer. s3: 3 s. */
GLIA_INLINE void lines_step(const int rows, const int nv, const bool copy, vf acc[MR][4],
                            const float *const p[(MR + 3) / 4], int64_t s, int64_t s3, int u, const float *q,
                            float *q_copy) {
    vf b[4];
    GLIA_UNROLL for (int v = 0; v < nv; v++) b[v] = vf_load(q + v * VLEN);
    if (copy) {
        GLIA_UNROLL for (int v = 0; v < nv; v++) vf_store(q_copy + v * VLEN, b[v]);
    }
    GLIA_UNROLL for (int r = 0; r < rows; r++) {
        vf a = vf_set(p[r / 4][(r % 4 == 3 ? s3 : r % 4 * s) + u]);
        GLIA_UNROLL for (int v = 0; v < nv; v++) acc[r][v] += a * b[v];
    }
}

/* Hides x from the compiler, which would otherwise precompute more sums with it than there are registers. */
#define OPAQUE(x) __asm__("" : "+r"(x))

GLIA_INLINE void run(const int mode, const int rows, const int nv, const bool copy, vf acc[MR][4],
                     const glia_micro_args *t) {
    const bool lines = mode == TILE_LINES;
    const float *p[(MR + 3) / 4], *q = t->q;
    float *q_copy = t->q_copy;
    int64_t s = lines ? t->p_row : 0, s3 = 3 * s, p_step = t->p_step, q_step = t->q_step, p_ahead = COLS_AHEAD * p_step,
            ahead = (copy ? COPIED_AHEAD : WIDE_AHEAD) * q_step;
    const bool asks = copy || (lines && nv == 4 && rows > 2);
    GLIA_UNROLL for (int i = 0; 4 * i < rows; i++) p[i] = t->p + 4 * i * s;
    const float *next = t->c + t->c_at[0];
    int64_t next_step = rows > 1 ? t->c_at[1] - t->c_at[0] : 0, chunks = 0;
    int64_t k = t->k;
    for (; k >= K_CHUNK; k -= K_CHUNK) {
        GLIA_UNROLL for (int u = 0; u < K_CHUNK; u++, q += q_step) {
            if (ASKS && asks) {
                OPAQUE(ahead);
                GLIA_UNROLL for (int v = 0; v < nv; v++) __builtin_prefetch(q + ahead + v * VLEN);
                __builtin_prefetch(q + ahead + nv * VLEN - 1);
            }
            if (lines) {
                lines_step(rows, nv, copy, acc, p, s, s3, u, q, q_copy + u * NR);
                OPAQUE(s);
                OPAQUE(s3);
            } else {
                __builtin_prefetch(p[0] + p_ahead);
                __builtin_prefetch(p[0] + p_ahead + rows - 1);
                cols_step(rows, nv, copy, acc, p[0], q, q_copy + u * NR);
                p[0] += p_step;
                OPAQUE(p_ahead);
            }
            OPAQUE(q_step);
        }
        if (copy) q_copy += K_CHUNK * NR;
        if (ASKS) {
            __builtin_prefetch(next);
            __builtin_prefetch(next + VLEN);
            __builtin_prefetch(next + NR - 1);
            next += next_step;
            if (++chunks == rows) {
                next = t->next ? t->next : t->c;
                next_step = t->next ? t->next_step : 0;
            }
        }
        GLIA_UNROLL for (int i = 0; 4 * i < rows; i++) {
            if (lines) p[i] += K_CHUNK;
            OPAQUE(p[i]);
        }
    }
    for (; k > 0; k--, q += q_step) {
        if (lines)
            lines_step(rows, nv, copy, acc, p, s, s3, 0, q, q_copy);
        else
            cols_step(rows, nv, copy, acc, p[0], q, q_copy);
        if (copy) q_copy += NR;
        GLIA_UNROLL for (int i = 0; 4 * i < rows; i++) p[i] += lines ? 1 : p_step;
    }
}

GLIA_INLINE void tile(const int mode, const int rows, const int nv, const glia_micro_args *t) {
    vf acc[MR][4];
    GLIA_UNROLL for (int r = 0; r < rows; r++) { GLIA_UNROLL for (int v = 0; v < nv; v++) acc[r][v] = (vf){ 0 }; }
    if (nv <= 2 && t->q_copy)
        run(mode, rows, nv, true, acc, t);
    else
        run(mode, rows, nv, false, acc, t);
    if (t->add) {
        GLIA_UNROLL for (int r = 0; r < rows; r++) {
            const float *c = t->c + t->c_at[r];
            GLIA_UNROLL for (int v = 0; v < nv; v++) acc[r][v] += vf_load(c + v * VLEN);
        }
    }
    GLIA_UNROLL for (int r = 0; r < rows; r++) {
        float *c = t->c + t->c_at[r];
        GLIA_UNROLL for (int v = 0; v < nv; v++) vf_store(c + v * VLEN, acc[r][v]);
    }
}

#define TILE(mode, rows, nv)                                                                                           \
    static void mode##_##rows##x##nv(const glia_micro_args *t) { tile(mode, rows, nv, t); }
#define TILE_NAME(mode, rows, nv) [rows - 1] = mode##_##rows##x##nv,

#if VLEN == 16
#define WIDE_ROWS(X, mode, nv) X(mode, 1, nv) X(mode, 2, nv) X(mode, 3, nv) X(mode, 4, nv) X(mode, 5, nv) X(mode, 6, nv)
#define ROWS(X, mode, nv)                                                                                              \
    WIDE_ROWS(X, mode, nv) X(mode, 7, nv) X(mode, 8, nv) X(mode, 9, nv) X(mode, 10, nv) X(mode, 11, nv) X(mode, 12, nv)
#elif VLEN == 8
#define WIDE_ROWS(X, mode, nv) X(mode, 1, nv) X(mode, 2, nv) X(mode, 3, nv)
#define ROWS(X, mode, nv)      WIDE_ROWS(X, mode, nv) X(mode, 4, nv) X(mode, 5, nv) X(mode, 6, nv)
#elif defined(__aarch64__)
#define WIDE_ROWS(X, mode, nv) X(mode, 1, nv) X(mode, 2, nv) X(mode, 3, nv) X(mode, 4, nv)
#define ROWS(X, mode, nv)      WIDE_ROWS(X, mode, nv) X(mode, 5, nv) X(mode, 6, nv) X(mode, 7, nv) X(mode, 8, nv)
#else
#define WIDE_ROWS(X, mode, nv) X(mode, 1, nv) X(mode, 2, nv)
#define ROWS(X, mode, nv)      WIDE_ROWS(X, mode, nv) X(mode, 3, nv) X(mode, 4, nv)
#endif

#define MODE(X, mode) ROWS(X, mode, 1) ROWS(X, mode, 2) WIDE_ROWS(X, mode, 4)
MODE(TILE, TILE_COLS)
MODE(TILE, TILE_LINES)

#define WIDTHS(mode)                                                                                                   \
    [mode] = {                                                                                                         \
        [TILE_HALF] = { ROWS(TILE_NAME, mode, 1) },                                                                    \
        [TILE_FULL] = { ROWS(TILE_NAME, mode, 2) },                                                                    \
        [TILE_WIDE] = { WIDE_ROWS(TILE_NAME, mode, 4) },                                                               \
    },
const glia_micro_fn GLIA_KERNEL(micro)[TILE_MODES][TILE_WIDTHS][MR] = { WIDTHS(TILE_COLS) WIDTHS(TILE_LINES) };
