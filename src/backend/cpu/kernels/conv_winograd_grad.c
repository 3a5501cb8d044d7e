/* conv_winograd_grad.c - the adjoint of convolution in a kernel of 3 x 3, by fewer products.
 *
 * conv_winograd.h defines the computation. For each piece of tiles and a block of channels of x and of y
 *
 *     V  [a a][tile][channel]                  B' d B
 *     W  [a a][tile][column]                   A dy A'
 *     U  [panel][a a][channel][column]         the sum over pieces of V' W, from which the block's gradient is made
 *
 * which fit the second-level cache together.
 */
#include "backend/cpu/kernels/conv_winograd.h"

enum {
    TILE_FLOATS = 9 << 15, /* of V and W */
    MOST_TILES = 128,      /* of a piece, */
    LEAST_TILES = 16       /* unless there are fewer */
};

/* Memory of a worker. */
typedef struct layout {
    int64_t v_step, w_step; /* between matrices: avoids equal cache sets */
    int64_t v, w, u, border, floats;
} layout;

static layout layout_of(const tiling *t, int64_t c, int64_t k) {
    const int64_t matrices = t->a * t->a;
    layout l = { .v_step = round_up(t->tiles * c, 16) + 16, .w_step = t->tiles * padded(k) + 16 };
    l.w = matrices * l.v_step;
    l.u = l.w + matrices * l.w_step;
    l.border = l.u + matrices * c * padded(k);
    l.floats = round_up(l.border + matrices * GLIA_MAX(c, k), 16);
    return l;
}

/* ---- planning ----------------------------------------------------------------------------- */

static void take_tiles(tiling *t, int64_t m, int64_t c_block, int64_t k_block) {
    const int64_t most = TILE_FLOATS / ((m + 2) * (m + 2) * (c_block + padded(k_block)));
    cut_tiles(t, m, GLIA_MAX(LEAST_TILES, GLIA_MIN(most, MOST_TILES)));
}

/* Approximate cost in multiply-adds of vectors: products, transforms of each block, and those of the sums. */
static double cost_in_tiles(const glia_conv_shape *s, const tiling *t, int64_t c_block, int64_t k_block) {
    enum { TRANSFORM_2 = 200, TRANSFORM_4 = 550, GATHER = 40, SHARES = 8 /* if one block is for all threads */ };
    const double matrices = (double)(t->a * t->a), transform = t->m == 2 ? TRANSFORM_2 : TRANSFORM_4;
    const double pairs = matrices * (double)s->c * panel_cost(s->k);
    const double vectors =
        (double)(divide_up(s->c, VLEN) * divide_up(s->k, k_block) + divide_up(s->k, VLEN) * divide_up(s->c, c_block));
    const int64_t blocks = divide_up(s->c, c_block) * divide_up(s->k, k_block);
    return (double)count_tiles(t, t->m) * (1.3 * pairs + transform * vectors) +
           GATHER * pairs * (double)divide_up(SHARES, blocks);
}

tiling GLIA_KERNEL(winograd_grad_tiling)(const glia_conv_shape *s, int64_t c_block, int64_t k_block) {
    tiling best = { 0 };
    if (!suits_tiles(s)) return best;
    double least = 1.05 * (double)(s->n * s->out[1] * s->out[2] * TAPS * s->c) * panel_cost(s->k);
    for (int64_t m = 2; m <= LARGEST; m += 2) {
        tiling t = tiling_of(s, false);
        take_tiles(&t, m, c_block, k_block);
        const double cost = cost_in_tiles(s, &t, c_block, k_block);
        if (cost < least) least = cost, best = t;
    }
    return best;
}

int64_t GLIA_KERNEL(winograd_grad_floats)(const tiling *t, int64_t c_block, int64_t k_block) {
    return layout_of(t, c_block, k_block).floats;
}

/* ---- transforms --------------------------------------------------------------------------- */

/* Computes A dy A' of k channels of a square of m x m, and zeros up to `width`. */
GLIA_INLINE void spread_square(const int m, square d, int64_t k, int64_t width, float *w, int64_t step) {
    const int a = m + 2;
    for (int64_t i = 0; i < width; i += VLEN) {
        const int64_t lanes = GLIA_MAX(0, GLIA_MIN(VLEN, k - i));
        vf x[LARGEST], half[LARGEST_INPUT * LARGEST], to[LARGEST_INPUT * LARGEST_INPUT];
        GLIA_UNROLL for (int c = 0; c < m; c++) {
            GLIA_UNROLL for (int r = 0; r < m; r++) {
                const float *at = d.at + r * d.row + c * d.pixel + i;
                x[r] = lanes == VLEN ? vf_load(at) : vf_load_first(at, lanes);
            }
            spread_transform(m, x, 1, half + c, m);
        }
        GLIA_UNROLL for (int r = 0; r < a; r++) spread_transform(m, half + m * r, 1, to + a * r, 1);
        GLIA_UNROLL for (int f = 0; f < a * a; f++) vf_store(w + f * step + i, to[f]);
    }
}

static void transform_result(const tiling *t, const tile_range *p, const winograd_sum *s, float *w, int64_t step,
                             float *border) {
    const int64_t width = padded(s->k);
    for (int64_t tile = 0; tile < p->tiles; tile++, w += width) {
        const place at = place_of_tile(t, p, tile);
        const square d = square_of(s->dy, at.image, t->out, s->s->k, at.row, at.column, t->m, s->k0, s->k, border);
        if (t->m == 2)
            spread_square(2, d, s->k, width, w, step);
        else
            spread_square(4, d, s->k, width, w, step);
    }
}

/* Computes G' U G of one panel: from [a a][channel][column], step floats apart, to [tap][channel][column], n floats
 * each. */
GLIA_INLINE void gather_panel(const int m, const float *u, int64_t n, float *sums) {
    const int a = m + 2;
    for (int64_t i = 0; i < n; i += VLEN) {
        vf x[LARGEST_INPUT], half[3 * LARGEST_INPUT], to[TAPS];
        GLIA_UNROLL for (int c = 0; c < a; c++) {
            GLIA_UNROLL for (int r = 0; r < a; r++) x[r] = vf_load(u + (a * r + c) * n + i);
            gather_transform(m, x, 1, half + c, a);
        }
        GLIA_UNROLL for (int r = 0; r < 3; r++) gather_transform(m, half + a * r, 1, to + 3 * r, 1);
        GLIA_UNROLL for (int f = 0; f < TAPS; f++) vf_store(sums + f * n + i, to[f]);
    }
}

/* ---- sums --------------------------------------------------------------------------------- */

/* Adds V' W of one piece to U. */
static void multiply(const tiling *t, const winograd_sum *s, const layout *l, int64_t tiles, const float *v,
                     const float *w, float *u, bool add) {
    const int64_t blocks = divide_up(s->c, MR), matrices = t->a * t->a;
    for (int64_t panel = 0; panel < panels_of(s->k); panel++) {
        const int64_t cols = panel_cols(s->k, panel), width = panel_width(cols);
        const glia_micro_fn *fns = GLIA_KERNEL(micro)[TILE_COLS][cols > VLEN ? TILE_FULL : TILE_HALF];
        int64_t c_at[MR];
        for (int r = 0; r < MR; r++) c_at[r] = r * width;
        glia_micro_args a = { .k = tiles, .p_step = s->c, .q_step = padded(s->k), .c_at = c_at, .add = add };
        for (int64_t f = 0; f < matrices; f++) {
            a.q = w + f * l->w_step + panel * NR;
            for (int64_t b = 0; b < blocks; b++) {
                const int64_t from = s->c * b / blocks, to = s->c * (b + 1) / blocks;
                a.p = v + f * l->v_step + from;
                a.c = u + panel * NR * matrices * s->c + (f * s->c + from) * width;
                fns[to - from - 1](&a);
            }
        }
    }
}

void GLIA_KERNEL(winograd_grad)(const tiling *t, const winograd_sum *s) {
    const layout l = layout_of(t, s->c, s->k);
    float *v = s->memory, *w = v + l.w, *u = v + l.u, *border = v + l.border;
    for (int64_t piece = s->from; piece < s->to; piece++) {
        const tile_range p = range_of(t, piece);
        transform_input(t, &p, s->x, s->s->c, s->c0, s->c, v, l.v_step, border);
        transform_result(t, &p, s, w, l.w_step, border);
        multiply(t, s, &l, p.tiles, v, w, u, piece > s->from);
    }
    for (int64_t panel = 0; panel < panels_of(s->k); panel++) {
        const float *from = u + panel * NR * t->a * t->a * s->c;
        float *to = s->sums + panel * NR * TAPS * s->c;
        const int64_t n = s->c * panel_width(panel_cols(s->k, panel));
        if (t->m == 2)
            gather_panel(2, from, n, to);
        else
            gather_panel(4, from, n, to);
    }
}
