/* micro.c - the tiles of micro.h, one function for each mode, number of rows and width. */
#include "backend/cpu/micro.h"

GLIA_INLINE void tile(const int mode, const int rows, const int nv, const glia_micro_args *t) {
    vf acc[MR][4];
    const float *row[MR];
    GLIA_UNROLL for (int r = 0; r < rows; r++) {
        row[r] = t->p + (mode == TILE_ROWS ? t->p_at[r] : r);
        GLIA_UNROLL for (int v = 0; v < nv; v++) acc[r][v] = (vf){ 0 };
    }
    const int64_t p_step = t->p_step, q_step = t->q_step;
    for (int64_t o = 0; o < t->outer; o++) {
        const float *q = t->q + o * t->q_outer;
        int64_t at = o * t->p_outer;
        for (int64_t i = 0; i < t->inner; i++) {
            vf b[4];
            GLIA_UNROLL for (int v = 0; v < nv; v++) b[v] = vf_load(q + v * VLEN);
            GLIA_UNROLL for (int r = 0; r < rows; r++) {
                vf a = vf_set(row[r][at]);
                GLIA_UNROLL for (int v = 0; v < nv; v++) acc[r][v] += a * b[v];
            }
            at += p_step;
            q += q_step;
        }
    }
    GLIA_UNROLL for (int r = 0; r < rows; r++) {
        float *c = t->c + t->c_at[r];
        GLIA_UNROLL for (int v = 0; v < nv; v++) {
            vf_store(c + v * VLEN, t->add ? vf_load(c + v * VLEN) + acc[r][v] : acc[r][v]);
        }
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
MODE(TILE, TILE_ROWS)

#define WIDTHS(mode)                                                                                                   \
    [mode] = {                                                                                                         \
        [TILE_HALF] = { ROWS(TILE_NAME, mode, 1) },                                                                    \
        [TILE_FULL] = { ROWS(TILE_NAME, mode, 2) },                                                                    \
        [TILE_WIDE] = { WIDE_ROWS(TILE_NAME, mode, 4) },                                                               \
    },
const glia_micro_fn GLIA_KERNEL(micro)[TILE_MODES][TILE_WIDTHS][MR] = { WIDTHS(TILE_COLS) WIDTHS(TILE_ROWS) };
