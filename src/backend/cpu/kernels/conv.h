/* conv.h - shared by the sources of convolution: the shape of a launch, the panels of a packed kernel, and tiles of a
 * product whose rows are at arbitrary offsets.
 *
 * Images have their channels last. A convolution is a sum over the kernel's taps t of matrix products: pixel o of y
 * gets x[i, :] W_t for every tap that joins i and o, i = o stride - pad + t dilation. Rows of these products are pixels
 * at offsets from a table, so that a tile's rows may come from several lines and images.
 */
#ifndef GLIA_SRC_BACKEND_CPU_KERNELS_CONV_H
#define GLIA_SRC_BACKEND_CPU_KERNELS_CONV_H

#include "backend/cpu/kernels/conv_tile.h"
#include "backend/cpu/kernels/rows.h"

GLIA_INLINE int64_t volume(const int64_t d[3]) { return d[0] * d[1] * d[2]; }

/* Of any a, b > 0. */
GLIA_INLINE int64_t divide_down(int64_t a, int64_t b) { return a >= 0 ? a / b : -divide_up(-a, b); }

/* Row-major places of three axes. */
GLIA_INLINE void place_of(const int64_t extents[3], int64_t index, int64_t place[3]) {
    place[0] = index / (extents[1] * extents[2]);
    place[1] = index / extents[2] % extents[1];
    place[2] = index % extents[2];
}

/* ---- panels ------------------------------------------------------------------------------- */

/* Columns are cut into panels of NR; the last one has NR or VLEN, the smaller that holds its columns. */
GLIA_INLINE int64_t panels_of(int64_t cols) { return divide_up(cols, NR); }
GLIA_INLINE int64_t panel_cols(int64_t cols, int64_t panel) { return GLIA_MIN(NR, cols - panel * NR); }
GLIA_INLINE int64_t panel_width(int64_t cols) { return cols > VLEN ? NR : VLEN; }

/* Columns of all panels. */
GLIA_INLINE int64_t padded(int64_t cols) {
    int64_t whole = (panels_of(cols) - 1) * NR;
    return whole + panel_width(cols - whole);
}

/* Rough cycles of one row for each k, in vectors: a half tile loads more for each multiplication. */
static inline double panel_cost(int64_t cols) {
    int64_t whole = cols / NR, rest = cols % NR;
    return 2 * (double)whole + (rest == 0 ? 0 : rest <= VLEN ? 1.15 : 2);
}

/* ---- tiles -------------------------------------------------------------------------------- */

/* dst[i] = src[i] for i < n. */
static inline void copy_floats(float *dst, const float *src, int64_t n) {
    int64_t i = 0;
    for (; i + VLEN <= n; i += VLEN) vf_store(dst + i, vf_load(src + i));
    if (i < n) vf_store_first(dst + i, vf_load_first(src + i, n - i), n - i);
}

/* Rows [first, first + n) of P, of one run each, which the next tile reads. */
static inline void prefetch_rows(const glia_conv_tile *t, int64_t first, int64_t n) {
    for (int64_t r = first; r < first + n; r++) {
        for (int64_t k = 0; k < t->inner; k += GLIA_ALIGN / (int64_t)sizeof(float)) {
            __builtin_prefetch(t->p + t->p_at[r] + k);
        }
    }
}

/* The product of `rows` rows of P, listed at t->p_at, with one panel of `cols` columns, to rows at t->c_at. Moves t's
 * tables, and in CONV_COLS its p. */
static inline void sweep(glia_conv_tile *t, int mode, int64_t rows, int64_t cols) {
    const glia_conv_tile_fn *fns = GLIA_KERNEL(conv_tiles)[mode][cols > VLEN ? CONV_FULL : CONV_HALF];
    if (rows < 1) return;
    int64_t tiles = divide_up(rows, MR), less = rows / tiles, more = rows % tiles;
    t->cols = cols;
    for (int64_t i = 0, n; i < tiles; i++, t->p_at += n, t->c_at += n) {
        n = less + (i < more);
        if (mode == CONV_RUNS && t->outer == 1 && i + 1 < tiles) prefetch_rows(t, n, less + (i + 1 < more));
        fns[n - 1](t);
        if (mode == CONV_COLS) t->p += n;
    }
}

/* ---- shapes ------------------------------------------------------------------------------- */

/* Pixels [*from, *to) of y along an axis whose tap t reads x within [x0, x1), among [y0, y1). */
static inline void joined(const glia_conv_shape *s, int axis, int64_t t, int64_t x0, int64_t x1, int64_t y0, int64_t y1,
                          int64_t *from, int64_t *to) {
    int64_t stride = s->stride[axis], shift = t * s->dilation[axis] - s->pad[axis];
    *from = GLIA_MAX(y0, -divide_down(shift - x0, stride));
    *to = GLIA_MAX(*from, GLIA_MIN(y1, divide_down(x1 - 1 - shift, stride) + 1));
}

/* With fewer filters than lanes, neighbouring pixels are treated as one with a filter for each of them, whose taps
 * cover all of them. The number of pixels with the fewest multiplications by zero. */
static inline int64_t choose_together(const glia_conv_shape *s) {
    if (s->groups > 1 || s->dilation[2] > 1 || s->k >= VLEN) return 1;
    int64_t best = 1;
    double least = panel_cost(s->k);
    for (int64_t g = 2; g * s->k <= NR; g++) {
        double taps = (double)(s->kernel[2] + (g - 1) * s->stride[2]) / (double)s->kernel[2];
        double cost = panel_cost(g * s->k) * taps / (double)g;
        if (s->out[2] % g == 0 && cost < least) least = cost, best = g;
    }
    return best;
}

static inline void take_together(glia_conv_shape *s, int64_t pixels) {
    s->k *= pixels, s->out[2] /= pixels;
    s->kernel[2] += (pixels - 1) * s->stride[2];
    s->stride[2] *= pixels;
}

/* ---- regions ------------------------------------------------------------------------------ */

/* Images [n0, n1), depths [d0, d1), rows [h0, h1) and columns [w0, w1): whole images, or of one image whole rows of one
 * depth, or a part of one row. Its pixels follow each other in memory. */
typedef struct region {
    int64_t n0, n1, d0, d1, h0, h1, w0, w1;
} region;

/* How images are cut into regions: `images` each; or, if images is 0, rows and columns. */
typedef struct cuts {
    int64_t images, rows, columns, regions;
} cuts;

GLIA_INLINE int64_t count_regions(const cuts *c, const int64_t out[3], int64_t n) {
    return c->images ? divide_up(n, c->images)
                     : n * out[0] * divide_up(out[1], c->rows) * divide_up(out[2], c->columns);
}

static inline region region_of(const cuts *c, const int64_t out[3], int64_t n, int64_t index) {
    if (c->images) {
        return (region){ index * c->images, GLIA_MIN((index + 1) * c->images, n), 0, out[0], 0, out[1], 0, out[2] };
    }
    const int64_t rows = divide_up(out[1], c->rows), columns = divide_up(out[2], c->columns);
    const int64_t x = index % columns, y = index / columns % rows, plane = index / columns / rows;
    return (region){ plane / out[0],    plane / out[0] + 1,      plane % out[0],       plane % out[0] + 1,
                     out[1] * y / rows, out[1] * (y + 1) / rows, out[2] * x / columns, out[2] * (x + 1) / columns };
}

/* ---- transposing -------------------------------------------------------------------------- */

/* Transposes v. */
GLIA_INLINE void transpose_vectors(vf v[VLEN]) {
    for (int round = 1; round < VLEN; round *= 2) {
        vf to[VLEN];
        GLIA_UNROLL for (int i = 0; i < VLEN / 2; i++) {
            to[2 * i] = vf_low(v[i], v[i + VLEN / 2]);
            to[2 * i + 1] = vf_high(v[i], v[i + VLEN / 2]);
        }
        GLIA_UNROLL for (int i = 0; i < VLEN; i++) v[i] = to[i];
    }
}

/* ---- packed kernels ----------------------------------------------------------------------- */

/* Which element of a kernel stands at tap t, column j of a packed panel; k is the number of result channels:
 *   PACK_TAPS      tap t, channel j
 *   PACK_FLIPPED   the same with the last tap first
 *   PACK_SPREAD    tap j / k of row t of taps, channel j % k: a run of neighbouring results
 *   PACK_TOGETHER  channel j % k as pixel j / k of several neighbours sees it: zeros around its own taps */
typedef enum pack_order { PACK_TAPS, PACK_FLIPPED, PACK_SPREAD, PACK_TOGETHER } pack_order;

/* How a kernel is packed: by groups, panels of columns, chunks of the channels summed over, then
 * [tap][channel][column]. */
typedef struct packing {
    pack_order order;
    int64_t groups, c, k;               /* channels summed over, channels of the result, in a group */
    int64_t cols, taps;                 /* of a panel; PACK_SPREAD and PACK_TOGETHER: not those of the kernel */
    int64_t chunk;                      /* channels of a chunk; the last one may have fewer */
    int64_t group_step, c_step, k_step; /* in the kernel as it lies; taps are neighbours */
    int64_t kernel_row, row,
        stride; /* taps of a row of the kernel, of a row for pixels together; from pixel to pixel */
} packing;

GLIA_INLINE int64_t packed_floats(const packing *p) { return p->groups * padded(p->cols) * p->taps * p->c; }

/* The offset of a panel. */
GLIA_INLINE int64_t packed_at(const packing *p, int64_t group, int64_t panel) {
    return (group * padded(p->cols) + panel * NR) * p->taps * p->c;
}

/* Packs the chunk of channels from c0 on of one panel of one group. */
void GLIA_KERNEL(conv_pack)(const packing *p, const float *kernel, int64_t group, int64_t panel, int64_t c0,
                            float *dst);

/* ---- results that are not finite ---------------------------------------------------------- */

/* How a kernel lies in memory: in panels, or else with strides in floats from one group, channel of the input, channel
 * of the result, row of taps and tap of a row to the next. */
typedef struct kernel_view {
    const float *at;
    const packing *panels;
    int64_t group, c, k, row, tap;
} kernel_view;

/* A kernel (K, C/groups, taps) as parameters are. */
kernel_view GLIA_KERNEL(conv_view)(const glia_conv_shape *s, bool adjoint, const float *kernel);

/* y = conv(x) or, adjoint, dx from dy; for what has to be computed again. */
typedef struct exact_sum {
    const glia_conv_shape *s;
    bool adjoint;
    const float *x; /* or dy */
    kernel_view kernel;
    float *y; /* or dx */
} exact_sum;

/* True if a kernel, packed or not, of this many floats is finite: then padding times it is 0. Also false if the kernel
 * is larger than the result, because the scan would take longer than scanning the result. */
bool GLIA_KERNEL(conv_padding_is_safe)(const glia_conv_shape *s, const float *kernel, int64_t floats);
/* Recomputes infinities and NaN in some channels of pixels [first, first + pixels) of the result, counted over all
 * images, by the definition. Methods that multiply zeros absent from the definition end with it. */
void GLIA_KERNEL(conv_exact)(const exact_sum *e, int64_t first, int64_t pixels, int64_t channel, int64_t channels);
/* The same for the gradient in the kernel. */
void GLIA_KERNEL(conv_exact_grad)(glia_pool *pool, const glia_conv_shape *s, const float *x, const float *dy,
                                  float *dw);

/* ---- few filters -------------------------------------------------------------------------- */

/* True if vectors along pixels instead of filters are less work, including deinterleaving and interleaving channels. */
static inline bool is_few(const glia_conv_shape *s) {
    if (s->n < 1 || volume(s->in) < 1 || volume(s->out) < 1 || s->c < 1 || s->k < 1 || s->k > MR) return false;
    if (s->groups > 1 || s->stride[2] > 1 || s->dilation[1] > 1 || s->dilation[2] > 1) return false;
    const int64_t together = choose_together(s), taps = volume(s->kernel) * s->c;
    const double full = (double)s->out[2] / (double)round_up(s->out[2], VLEN), all = (double)(taps * s->k);
    const double reach = (double)(s->kernel[2] + together - 1) / (double)(s->kernel[2] * together);
    const double pixels = all / (2 * VLEN) / full + (double)(s->c == 1 ? 0 : s->c == 3 ? 0.3 : 2.0 * (double)s->c);
    return pixels + 2.0 * (double)divide_up(s->k, 4) < (double)taps * reach * panel_cost(together * s->k) / 2;
}

GLIA_INLINE int64_t few_floats(const glia_conv_shape *s) { return round_up(s->c * s->k * volume(s->kernel), 16); }

/* The kernel packed for it; y = conv(x). */
void GLIA_KERNEL(few_pack)(const glia_conv_shape *s, const float *kernel, float *packed);
size_t GLIA_KERNEL(few_scratch)(const glia_conv_shape *s, int workers);
void GLIA_KERNEL(few_f32)(glia_pool *pool, const glia_conv_shape *s, const float *x, const float *packed, float *y,
                          glia_epilogue epilogue, float *scratch);

/* ---- kernels of 3 x 3 ---------------------------------------------------------------------- */

/* Floats of the kernel packed for Winograd convolution; 0: another method is cheaper. */
int64_t GLIA_KERNEL(winograd_floats)(const glia_conv_shape *s, bool adjoint);
/* The kernel packed for it; y = conv(x) or, adjoint, dx from dy. `kernel` is that before packing, for results that are
 * not finite. */
void GLIA_KERNEL(winograd_pack)(glia_pool *pool, const glia_conv_shape *s, bool adjoint, const float *kernel,
                                float *packed);
size_t GLIA_KERNEL(winograd_scratch)(const glia_conv_shape *s, bool adjoint, int workers);
void GLIA_KERNEL(winograd_f32)(glia_pool *pool, const glia_conv_shape *s, bool adjoint, const float *x,
                               const float *kernel, const float *packed, float *y, glia_epilogue epilogue,
                               float *scratch);

/* ---- kernels of 1 x 1 ----------------------------------------------------------------------- */

/* y = conv(x) as a product of pixels and the kernel, for which the kernel is packed; floats of it, or 0: other methods
 * are faster. */
int64_t GLIA_KERNEL(pointwise_floats)(const glia_conv_shape *s);
void GLIA_KERNEL(pointwise_pack)(glia_pool *pool, const glia_conv_shape *s, const float *kernel, float *packed);
size_t GLIA_KERNEL(pointwise_scratch)(const glia_conv_shape *s, int workers);
void GLIA_KERNEL(pointwise_f32)(glia_pool *pool, const glia_conv_shape *s, const float *x, const float *packed,
                                float *y, glia_epilogue epilogue, void *scratch);

/* ---- a filter for each channel ------------------------------------------------------------ */

GLIA_INLINE bool is_depthwise(const glia_conv_shape *s) { return s->groups == s->c && s->groups == s->k && s->c > 1; }

GLIA_INLINE int64_t depthwise_floats(const glia_conv_shape *s) { return round_up(s->c * volume(s->kernel), 16); }

/* The kernel as [tap][channel]; and y = conv(x) or, adjoint, dx from dy. */
void GLIA_KERNEL(depthwise_pack)(const glia_conv_shape *s, const float *kernel, float *packed);
void GLIA_KERNEL(depthwise_f32)(glia_pool *pool, const glia_conv_shape *s, bool adjoint, const float *x,
                                const float *packed, float *y, glia_epilogue epilogue);

#endif
