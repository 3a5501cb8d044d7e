/* conv_tile.h - the inner loops of convolutions.
 *
 * A tile is `rows` <= MR rows by 1 or 2 vectors of columns of a product P Q, kept in registers while k runs over outer
 * x inner steps (o, i). Q is a packed panel, as wide as the tile: its row for step (o, i) is at q + o q_outer + i
 * width. Rows of the tile are written at offsets from a table, `cols` columns of each, and P is read in one of three
 * orders:
 *
 *     CONV_RUNS    P(r, (o, i)) = p[p_at[r] + o p_outer + i]           rows anywhere, each a few runs of floats
 *     CONV_COLS    P(r, (o, i)) = p[r + o p_outer + i p_step]          rows next to each other
 *     CONV_STEPS   P(r, (o, i)) = p[p_at[r] + o p_outer + i p_step]    rows anywhere
 */
#ifndef GLIA_SRC_BACKEND_CPU_KERNELS_CONV_TILE_H
#define GLIA_SRC_BACKEND_CPU_KERNELS_CONV_TILE_H

#include "backend/cpu/kernels/micro.h"

enum { CONV_RUNS, CONV_COLS, CONV_STEPS, CONV_MODES };
enum { CONV_HALF, CONV_FULL, CONV_WIDTHS }; /* VLEN, NR columns */

typedef struct glia_conv_tile {
    int64_t outer, inner;
    const float *p;
    int64_t p_step, p_outer;
    const int64_t *p_at; /* by row */
    const float *q;
    int64_t q_outer;
    float *c;
    const int64_t *c_at; /* by row */
    int64_t cols;        /* columns of c; the last vector may be incomplete, but not empty */
    bool add;            /* to the values of C */
} glia_conv_tile;

typedef void (*glia_conv_tile_fn)(const glia_conv_tile *tile);

/* [mode][width][rows - 1] */
extern const glia_conv_tile_fn GLIA_KERNEL(conv_tiles)[CONV_MODES][CONV_WIDTHS][MR];

/* A strip is a product of few rows, whose columns are vectors at arbitrary offsets:
 *
 *     C(r, v) = sum over (o, i) of p[r + o p_outer + i p_step] Q(v), a vector at q + q_at[v] + o q_outer + i q_step
 *
 * C(r, v) is at c + r c_step + v VLEN. */
enum { STRIP_VECTORS = 4 };

typedef struct glia_conv_strip {
    int64_t outer, inner;
    const float *p;
    int64_t p_step, p_outer;
    const float *q;
    int64_t q_step, q_outer;
    const int64_t *q_at; /* by vector */
    float *c;
    int64_t c_step;
    bool add; /* to the values of C */
} glia_conv_strip;

typedef void (*glia_conv_strip_fn)(const glia_conv_strip *strip);

/* [vectors - 1][rows - 1]; with more than two vectors up to WIDE_MR rows, otherwise up to MR */
extern const glia_conv_strip_fn GLIA_KERNEL(conv_strips)[STRIP_VECTORS][MR];

GLIA_INLINE int64_t strip_rows(int64_t vectors) { return vectors > 2 ? WIDE_MR : MR; }

#endif
