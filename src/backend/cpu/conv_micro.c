/* micro.c - the tiles of micro.h, one function for each mode, number of rows and width. */
#include "backend/cpu/conv_micro.h"

GLIA_INLINE void tile(const int mode, const int rows, const int nv, int64_t k, const float *p, int64_t p_step,
                      const float *q, int64_t q_step, const int64_t *q_at, float *c, int64_t ldc, bool add) {
    const bool by_rows = mode == TILE_ROWS || mode == TILE_ROWS_TABLE;
    const bool by_table = mode == TILE_TABLE || mode == TILE_ROWS_TABLE;
    vf acc[MR][4];
    GLIA_UNROLL for (int i = 0; i < rows; i++) { GLIA_UNROLL for (int v = 0; v < nv; v++) acc[i][v] = (vf){ 0 }; }
    for (int64_t step = 0; step < k; step++) {
        const float *row = by_table ? q + q_at[step] : q;
        vf b[4];
        GLIA_UNROLL for (int v = 0; v < nv; v++) b[v] = vf_load(row + v * VLEN);
        GLIA_UNROLL for (int i = 0; i < rows; i++) {
            vf a = vf_set(p[by_rows ? i * p_step : i]);
            GLIA_UNROLL for (int v = 0; v < nv; v++) acc[i][v] += a * b[v];
        }
        p += by_rows ? 1 : p_step;
        q += q_step;
    }
    GLIA_UNROLL for (int i = 0; i < rows; i++) {
        float *row = c + i * ldc;
        GLIA_UNROLL for (int v = 0; v < nv; v++) {
            vf_store(row + v * VLEN, add ? vf_load(row + v * VLEN) + acc[i][v] : acc[i][v]);
        }
    }
}

#define TILE(mode, rows, nv)                                                                                           \
    static void mode##_##rows##x##nv(int64_t k, const float *p, int64_t p_step, const float *q, int64_t q_step,        \
                                     const int64_t *q_at, float *c, int64_t ldc, bool add) {                           \
        tile(mode, rows, nv, k, p, p_step, q, q_step, q_at, c, ldc, add);                                              \
    }
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
MODE(TILE, TILE_TABLE)
MODE(TILE, TILE_ROWS_TABLE)

#define WIDTHS(mode)                                                                                                   \
    [mode] = {                                                                                                         \
        [TILE_HALF] = { ROWS(TILE_NAME, mode, 1) },                                                                    \
        [TILE_FULL] = { ROWS(TILE_NAME, mode, 2) },                                                                    \
        [TILE_WIDE] = { WIDE_ROWS(TILE_NAME, mode, 4) },                                                               \
    },
const glia_conv_micro_fn GLIA_KERNEL(conv_micro)[TILE_MODES][TILE_WIDTHS][MR] = { WIDTHS(TILE_COLS) WIDTHS(TILE_ROWS)
                                                                                      WIDTHS(TILE_TABLE)
                                                                                          WIDTHS(TILE_ROWS_TABLE) };
