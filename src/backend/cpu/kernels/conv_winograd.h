/* conv_winograd.h - the tiles of Winograd's method for 3 x 3 convolutions, shared by convolution and its gradient in
 * the kernel.
 *
 * Minimal filtering as Lavin and Gray 2015 ("Fast algorithms for convolutional neural networks") apply it. The result
 * is cut into tiles of m x m pixels, m = 2 or 4, each of which reads a x a of the input, a = m + 2:
 *
 *     Y = A' [ sum over channels of (G g G') . (B' d B) ] A      d: the input of a tile, g: the kernel, ' transposed
 *
 * The product in the middle is elementwise, so over all tiles, channels and filters it is a a matrix products: 16 for 4
 * pixels, or 36 for 16, compared with 9 per pixel in direct convolution. The gradient in the kernel is the adjoint:
 *
 *     dg = G' [ sum over tiles of (B' d B) . (A dY A') ] G
 */
#ifndef GLIA_SRC_BACKEND_CPU_KERNELS_CONV_WINOGRAD_H
#define GLIA_SRC_BACKEND_CPU_KERNELS_CONV_WINOGRAD_H

#include "backend/cpu/kernels/conv.h"

enum {
    TAPS = 9,
    LARGEST = 4,                 /* m, */
    LARGEST_INPUT = LARGEST + 2, /* a */
    WIDEST = 1 << 12             /* pixels of a line */
};

/* ---- tiles -------------------------------------------------------------------------------- */

/* How the result is split into tiles, and these into pieces. */
typedef struct tiling {
    int64_t n, in[2], out[2], pad[2]; /* images; rows and columns */
    int64_t m, a;
    int64_t down, across;          /* tiles of an image */
    int64_t images, lines, pieces; /* per piece: images, or lines of tiles of one image if images is 0 */
    int64_t tiles;                 /* largest number per piece */
} tiling;

/* The tiles of a piece: `tiles` of them, line after line, from the start of line `line` of image `image`. */
typedef struct tile_range {
    int64_t image, line, tiles;
} tile_range;

/* Position of a tile: its image, and its first row and column of the result. */
typedef struct place {
    int64_t image, row, column;
} place;

static inline bool suits_tiles(const glia_conv_shape *s) {
    for (int i = 1; i < 3; i++) {
        if (s->kernel[i] != 3 || s->stride[i] != 1 || s->dilation[i] != 1 || s->pad[i] > 2) return false;
        if (s->out[i] < 2 || s->in[i] < 2 || s->out[i] > WIDEST) return false;
    }
    return s->in[0] == 1 && s->out[0] == 1 && s->kernel[0] == 1 && s->pad[0] == 0 && s->groups == 1 && s->n > 0 &&
           s->c >= VLEN && s->k >= VLEN;
}

/* The tiling of y = conv(x), or if `adjoint` of dx = conv(dy). */
static inline tiling tiling_of(const glia_conv_shape *s, bool adjoint) {
    tiling t = { .n = s->n };
    for (int i = 0; i < 2; i++) {
        t.in[i] = adjoint ? s->out[i + 1] : s->in[i + 1], t.out[i] = adjoint ? s->in[i + 1] : s->out[i + 1];
        t.pad[i] = adjoint ? 2 - s->pad[i + 1] : s->pad[i + 1];
    }
    return t;
}

/* Splits into tiles of m x m, and into pieces of about `want` tiles, or one line. */
static inline void cut_tiles(tiling *t, int64_t m, int64_t want) {
    t->m = m, t->a = m + 2;
    t->down = divide_up(t->out[0], m), t->across = divide_up(t->out[1], m);
    const int64_t tiles = t->down * t->across;
    if (tiles <= want) {
        t->images = divide_up(t->n, divide_up(t->n, GLIA_MIN(t->n, want / tiles)));
        t->pieces = divide_up(t->n, t->images);
        t->tiles = t->images * tiles;
        return;
    }
    t->images = 0;
    t->lines = divide_up(t->down, divide_up(t->down, GLIA_MAX(1, want / t->across)));
    t->pieces = t->n * divide_up(t->down, t->lines);
    t->tiles = t->lines * t->across;
}

static inline int64_t count_tiles(const tiling *t, int64_t m) {
    return t->n * divide_up(t->out[0], m) * divide_up(t->out[1], m);
}

static inline tile_range range_of(const tiling *t, int64_t piece) {
    if (t->images) {
        const int64_t image = piece * t->images;
        return (tile_range){ image, 0, GLIA_MIN(t->images, t->n - image) * t->down * t->across };
    }
    const int64_t parts = divide_up(t->down, t->lines), line = piece % parts * t->lines;
    return (tile_range){ piece / parts, line, GLIA_MIN(t->lines, t->down - line) * t->across };
}

static inline place place_of_tile(const tiling *t, const tile_range *p, int64_t tile) {
    const int64_t line = p->line + tile / t->across;
    return (place){ p->image + line / t->down, line % t->down * t->m, tile % t->across * t->m };
}

/* A square of pixels of an image, some channels of each. */
typedef struct square {
    const float *at;
    int64_t row, pixel; /* floats from one to the next */
} square;

/* `size` rows from y and columns from x on, of an image of extents[0] x extents[1] pixels of c floats; `count` channels
 * from `first` on. The square is used in place, or if it reaches outside the image copied to `border` with zeros
 * there. */
static inline square square_of(const float *images, int64_t image, const int64_t extents[2], int64_t c, int64_t y,
                               int64_t x, int64_t size, int64_t first, int64_t count, float *border) {
    const float *from = images + image * extents[0] * extents[1] * c + first;
    if (y >= 0 && x >= 0 && y + size <= extents[0] && x + size <= extents[1]) {
        return (square){ from + (y * extents[1] + x) * c, extents[1] * c, c };
    }
    memset(border, 0, (size_t)(size * size * count) * sizeof(float));
    for (int64_t i = GLIA_MAX(0, -y); i < GLIA_MIN(size, extents[0] - y); i++) {
        for (int64_t k = GLIA_MAX(0, -x); k < GLIA_MIN(size, extents[1] - x); k++) {
            copy_floats(border + (i * size + k) * count, from + ((y + i) * extents[1] + x + k) * c, count);
        }
    }
    return (square){ border, size * count, count };
}

/* ---- transforms --------------------------------------------------------------------------- */

/* The transforms follow from the points at which polynomials are multiplied: 0, 1, -1 and infinity for m = 2; 0,
 * +-sqrt(2), +-1/sqrt(2) and infinity for m = 4. Compared with the usual 0, +-1, +-2 and infinity, the largest error is
 * a fifth (3.6e-5 falls to 7.1e-6 of the results' root mean square with 128 channels, uniform values; direct sums:
 * 3.7e-6). On the choice of points see Barabasz et al. 2020, "Error analysis and improving the accuracy of Winograd
 * convolution for deep neural networks". */
#define POINT 1.41421356f

/* B' d for a vector of a values, `step` vectors apart. */
GLIA_INLINE void input_transform(const int m, const vf *d, const int step, vf *to) {
    const vf d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    if (m == 2) {
        to[0] = d0 - d2;
        to[step] = d1 + d2;
        to[2 * step] = d2 - d1;
        to[3 * step] = d1 - d3;
        return;
    }
    const vf d4 = d[4 * step], d5 = d[5 * step];
    const vf even = d4 - 0.5f * d2, odd = POINT * (d3 - 0.5f * d1);
    const vf even2 = d4 - 2.0f * d2, odd2 = (0.5f * POINT) * (d3 - 2.0f * d1);
    to[0] = d0 + (d4 - 2.5f * d2);
    to[step] = even + odd;
    to[2 * step] = even - odd;
    to[3 * step] = even2 + odd2;
    to[4 * step] = even2 - odd2;
    to[5 * step] = d1 + (d5 - 2.5f * d3);
}

/* A' p: m values from a. */
GLIA_INLINE void output_transform(const int m, const vf *p, const int step, vf *to, const int to_step) {
    if (m == 2) {
        to[0] = p[0] + p[step] + p[2 * step];
        to[to_step] = p[step] - p[2 * step] - p[3 * step];
        return;
    }
    const vf sum = p[step] + p[2 * step], difference = p[step] - p[2 * step];
    const vf sum2 = p[3 * step] + p[4 * step], difference2 = p[3 * step] - p[4 * step];
    to[0] = p[0] + sum + sum2;
    to[to_step] = POINT * (difference + 0.5f * difference2);
    to[2 * to_step] = 2.0f * sum + 0.5f * sum2;
    to[3 * to_step] = (2.0f * POINT) * (difference + 0.125f * difference2) + p[5 * step];
}

/* A y: a values from m. */
GLIA_INLINE void spread_transform(const int m, const vf *y, const int step, vf *to, const int to_step) {
    const vf y0 = y[0], y1 = y[step];
    if (m == 2) {
        to[0] = y0;
        to[to_step] = y0 + y1;
        to[2 * to_step] = y0 - y1;
        to[3 * to_step] = -y1;
        return;
    }
    const vf y2 = y[2 * step], y3 = y[3 * step];
    const vf even = y0 + 2.0f * y2, odd = POINT * (y1 + 2.0f * y3);
    const vf even2 = y0 + 0.5f * y2, odd2 = (0.5f * POINT) * (y1 + 0.5f * y3);
    to[0] = y0;
    to[to_step] = even + odd;
    to[2 * to_step] = even - odd;
    to[3 * to_step] = even2 + odd2;
    to[4 * to_step] = even2 - odd2;
    to[5 * to_step] = y3;
}

/* G g: a values from three. */
GLIA_INLINE void kernel_transform(const int m, const vf *g, const int step, vf *to, const int to_step) {
    const vf g0 = g[0], g1 = g[step], g2 = g[2 * step];
    if (m == 2) {
        const vf ends = 0.5f * (g0 + g2), middle = 0.5f * g1;
        to[0] = g0;
        to[to_step] = ends + middle;
        to[2 * to_step] = ends - middle;
        to[3 * to_step] = g2;
        return;
    }
    const vf ends = (1.0f / 6) * g0 + (1.0f / 3) * g2, middle = (POINT / 6) * g1;
    const vf ends2 = (-2.0f / 3) * g0 - (1.0f / 3) * g2, middle2 = (-POINT / 3) * g1;
    to[0] = g0;
    to[to_step] = ends + middle;
    to[2 * to_step] = ends - middle;
    to[3 * to_step] = ends2 + middle2;
    to[4 * to_step] = ends2 - middle2;
    to[5 * to_step] = g2;
}

/* G' u: three values from a. */
GLIA_INLINE void gather_transform(const int m, const vf *u, const int step, vf *to, const int to_step) {
    const vf sum = u[step] + u[2 * step], difference = u[step] - u[2 * step];
    if (m == 2) {
        to[0] = u[0] + 0.5f * sum;
        to[to_step] = 0.5f * difference;
        to[2 * to_step] = 0.5f * sum + u[3 * step];
        return;
    }
    const vf sum2 = u[3 * step] + u[4 * step], difference2 = u[3 * step] - u[4 * step];
    to[0] = u[0] + (1.0f / 6) * sum - (2.0f / 3) * sum2;
    to[to_step] = (POINT / 6) * difference - (POINT / 3) * difference2;
    to[2 * to_step] = (1.0f / 3) * (sum - sum2) + u[5 * step];
}

/* Computes B' d B of c channels of a square; v: those of one tile in V, whose matrices are step floats apart. */
GLIA_INLINE void transform_square(const int m, square d, int64_t c, float *v, int64_t step) {
    const int a = m + 2;
    for (int64_t i = 0; i < c; i += VLEN) {
        const int64_t lanes = GLIA_MIN(VLEN, c - i);
        vf x[LARGEST_INPUT * LARGEST_INPUT];
        GLIA_UNROLL for (int r = 0; r < a; r++) {
            GLIA_UNROLL for (int k = 0; k < a; k++) {
                const float *at = d.at + r * d.row + k * d.pixel + i;
                x[a * r + k] = lanes == VLEN ? vf_load(at) : vf_load_first(at, lanes);
            }
            input_transform(m, x + a * r, 1, x + a * r);
        }
        GLIA_UNROLL for (int k = 0; k < a; k++) input_transform(m, x + k, a, x + k);
        if (lanes == VLEN) {
            GLIA_UNROLL for (int f = 0; f < a * a; f++) vf_store(v + f * step + i, x[f]);
        } else {
            for (int f = 0; f < a * a; f++) vf_store_first(v + f * step + i, x[f], lanes);
        }
    }
}

/* Transforms the tiles of a range: channels [first, first + count) of the c channels of x to V, [a a][tile][channel],
 * matrices step floats apart. */
static inline void transform_input(const tiling *t, const tile_range *p, const float *x, int64_t c, int64_t first,
                                   int64_t count, float *v, int64_t step, float *border) {
    for (int64_t tile = 0; tile < p->tiles; tile++, v += count) {
        const place at = place_of_tile(t, p, tile);
        const square d =
            square_of(x, at.image, t->in, c, at.row - t->pad[0], at.column - t->pad[1], t->a, first, count, border);
        if (t->m == 2)
            transform_square(2, d, count, v, step);
        else
            transform_square(4, d, count, v, step);
    }
}

/* ---- the gradient in the kernel ----------------------------------------------------------- */

/* For blocks of c_block channels of x and k_block of y; m is 0 if another method is cheaper. */
tiling GLIA_KERNEL(winograd_grad_tiling)(const glia_conv_shape *s, int64_t c_block, int64_t k_block);

/* A block of the gradient, summed over pieces [from, to). */
typedef struct winograd_sum {
    const glia_conv_shape *s;
    const float *x, *dy;
    int64_t c0, c, k0, k; /* channels of x and of y, k0 a multiple of NR */
    int64_t from, to;
    float *memory;
    float *sums; /* [panel][tap][channel][column] */
} winograd_sum;

int64_t GLIA_KERNEL(winograd_grad_floats)(const tiling *t, int64_t c_block, int64_t k_block); /* of memory */
void GLIA_KERNEL(winograd_grad)(const tiling *t, const winograd_sum *w);

#endif
