/* conv_grad.c - the adjoint of convolution in the kernel.
 *
 * dkernel[k, c, t] is the sum over pixels o of y of dy[o, k] x[i, c], i = o stride - pad + t dilation. For each tap it
 * is a product of the transposed x and dy. The pixels are split into regions that, with the data they read, fit the
 * first-level cache:
 *
 *     x     window  [depth][height][phase][width][image][channel]      zero-padded; phases: columns modulo stride
 *     dy    panels  [panel][depth][height][width][image][NR]
 *
 * In this layout the pixels of a row, of all images of the region, are consecutive for both, at every stride, and the
 * sum runs over rows and pixels. Rows of the product are (tap, channel) pairs at offsets from a table. Where borders
 * are a large part, each tap only processes the pixels whose input is inside the image.
 *
 * With few filters, the filters are the rows, dy is read in place, and the columns are vectors over the window: over
 * the channels of all taps of a row, which are contiguous.
 *
 * Kernels of 3 x 3 use Winograd's method where it is cheaper (conv_winograd_grad.c).
 *
 * Channels of x and of y are split into blocks whose sums fit the second-level cache. Regions are split into chunks,
 * whose number does not depend on the number of threads. Each chunk has its own sums, which are added in order.
 */
#include "backend/cpu/kernels/conv_winograd.h"

enum {
    REGION_PIXELS = 144,
    SUM_FLOATS = 40960,       /* per block */
    PARTIAL_FLOATS = 1 << 20, /* of all chunks but the first */
    PIECE_FLOPS = 1000000,
    MIN_PIECES = 8,
    COMBINE_FLOATS = 4096, /* added per piece */
    TILED_CHANNELS = 64,   /* of x and of y in a block of Winograd's method */
    DEPTHWISE_CHANNELS = 64,
    DEPTHWISE_TAPS = 9,  /* summed together */
    STRIP_FLOATS = 12288 /* per region */
};

typedef struct job {
    const glia_conv_shape *shape;
    glia_conv_shape s; /* with several pixels taken as one */
    int64_t together;
    bool depthwise;     /* one group of all channels, one filter per channel */
    int64_t c, k, taps; /* channels and columns of a group; k includes `together` */
    bool by_taps;       /* only pixels whose input is inside the image */
    bool in_strips;     /* filters are rows */
    tiling tiles;       /* m > 0: Winograd's method */
    cuts cut;           /* of y */
    int64_t chunks, c_blocks, k_blocks;
    int64_t c_block, k_panels; /* largest number of channels and panels in a block */
    int64_t pixels;            /* largest number in a region */
    int64_t window_floats, dy_floats, sum_floats, worker_floats, partial_floats;
    const float *x, *dy;
    float *dw, *partial, *private;
} job;

/* A block of channels [c0, c0 + c) of x and panels [p0, p1) of y in a group. */
typedef struct unit {
    int64_t group, c0, c, p0, p1;
} unit;

/* Buffers of a worker for one unit. */
typedef struct work {
    const job *j;
    unit u;
    float *window, *dy, *sums;
    const float *q; /* dy in panels: the copy, or dy itself */
    int64_t *p_at, *c_at;
} work;

/* ---- planning ----------------------------------------------------------------------------- */

static int64_t span(const job *j, int axis, int64_t outputs) {
    return (outputs - 1) * j->s.stride[axis] + (j->s.kernel[axis] - 1) * j->s.dilation[axis] + 1;
}

/* In strips: the rows of the kernel, and the vectors per row. */
static int64_t tap_rows(const job *j) { return j->s.kernel[0] * j->s.kernel[1]; }
static int64_t row_vectors(const job *j) { return divide_up(j->s.kernel[2] * j->c, VLEN); }

/* Whether fewer multiplications are needed with filters as rows. */
static bool prefers_strips(const job *j, const glia_conv_shape *s) {
    if (is_depthwise(s) || s->dilation[2] > 1) return false;
    const int64_t c = s->c / s->groups, k = s->k / s->groups;
    const double rows = (double)(j->taps * c) * panel_cost(j->k) / (double)j->together;
    const int64_t vectors = s->kernel[0] * s->kernel[1] * divide_up(s->kernel[2] * c, VLEN);
    return k * vectors * VLEN <= SUM_FLOATS && 1.1 * (double)(k * vectors) < rows;
}

static void choose_regions(job *j) {
    const int64_t *out = j->s.out, pixels = volume(out);
    const int64_t most_pixels =
        j->in_strips ? GLIA_MAX(REGION_PIXELS, STRIP_FLOATS / (j->c * volume(j->s.stride) + j->k)) : REGION_PIXELS;
    j->cut.columns = out[2];
    if (j->in_strips && pixels <= most_pixels) {
        j->cut.images = 1, j->pixels = pixels;
    } else if (pixels <= most_pixels) {
        int64_t most = GLIA_MIN(most_pixels / pixels, j->s.n);
        j->cut.images = divide_up(j->s.n, divide_up(j->s.n, most));
        j->pixels = j->cut.images * pixels;
    } else if (out[2] <= 2 * most_pixels) {
        int64_t parts = divide_up(out[1], GLIA_MAX(1, most_pixels / out[2]));
        j->cut.rows = divide_up(out[1], parts);
        j->pixels = j->cut.rows * out[2];
    } else { /* a row is too long */
        j->cut.rows = 1;
        j->cut.columns = j->pixels = divide_up(out[2], divide_up(out[2], most_pixels));
    }
    j->cut.regions = count_regions(&j->cut, out, j->s.n);
}

static void choose_blocks(job *j) {
    const int64_t panels = panels_of(j->k);
    if (j->in_strips) {
        j->c_blocks = j->k_blocks = 1, j->c_block = j->c;
        return;
    }
    if (j->depthwise) {
        j->c_blocks = divide_up(j->c, DEPTHWISE_CHANNELS);
        j->c_block = GLIA_MIN(j->c, DEPTHWISE_CHANNELS);
        j->k_blocks = 1;
        return;
    }
    j->k_panels = GLIA_MIN(panels, 2);
    j->c_block = GLIA_MIN(j->c, GLIA_MAX(1, SUM_FLOATS / (j->taps * j->k_panels * NR)));
    if (j->c_block < j->c && j->c_block > 16) j->c_block = j->c_block / 16 * 16;
    j->c_blocks = divide_up(j->c, j->c_block);
    if (j->c_blocks == 1) j->k_panels = GLIA_MIN(panels, GLIA_MAX(2, SUM_FLOATS / (j->taps * j->c * NR)));
    j->k_blocks = divide_up(panels, j->k_panels);
    j->k_panels = divide_up(panels, j->k_blocks);
}

/* Whether borders are so large that it pays to skip them, tap by tap. */
static bool prefers_taps(const job *j) {
    double part = 1;
    for (int a = 0; a < 3; a++) {
        int64_t pairs = 0, from, to;
        for (int64_t t = 0; t < j->s.kernel[a]; t++) {
            joined(&j->s, a, t, 0, j->s.in[a], 0, j->s.out[a], &from, &to);
            pairs += to - from;
        }
        part *= (double)pairs / (double)(j->s.kernel[a] * j->s.out[a]);
    }
    return part < 0.92 && j->c_block >= 2 * MR;
}

/* Chooses Winograd's method if it is cheaper. */
static void choose_tiles(job *j, const glia_conv_shape *s) {
    if (!suits_tiles(s)) return;
    const int64_t panels = panels_of(s->k), k_panels = GLIA_MIN(panels, GLIA_MAX(1, TILED_CHANNELS / NR));
    const int64_t c_block = divide_up(s->c, divide_up(s->c, TILED_CHANNELS)), k_blocks = divide_up(panels, k_panels);
    j->tiles = GLIA_KERNEL(winograd_grad_tiling)(s, c_block, GLIA_MIN(s->k, k_panels * NR));
    if (!j->tiles.m) return;
    j->s = *s, j->together = 1, j->in_strips = false;
    j->c = s->c, j->k = s->k, j->taps = TAPS;
    j->c_block = c_block, j->c_blocks = divide_up(s->c, c_block);
    j->k_blocks = k_blocks, j->k_panels = divide_up(panels, k_blocks);
    j->cut.regions = j->tiles.pieces;
}

static int64_t kernel_floats(const job *j) {
    return j->shape->k * (j->shape->c / j->shape->groups) * volume(j->shape->kernel);
}

static void choose_pieces(job *j) {
    const int64_t units = j->s.groups * j->c_blocks * j->k_blocks;
    const int64_t all = j->s.k * (j->depthwise ? 1 : j->c) * j->taps;
    double flops = 2.0 * (double)all * (double)(j->s.n * volume(j->s.out));
    int64_t want = 1 + (int64_t)GLIA_MIN(flops / PIECE_FLOPS, MIN_PIECES - 1.0);
    j->partial_floats = round_up(kernel_floats(j), 16);
    j->chunks = GLIA_MIN(divide_up(want, units), GLIA_MIN(j->cut.regions, 1 + PARTIAL_FLOATS / j->partial_floats));
}

/* Columns of the window are grouped by phase if pixels of several images are interleaved. */
static int64_t phases_of(const job *j, int64_t images) { return images > 1 ? j->s.stride[2] : 1; }

static void choose_memory(job *j) {
    if (j->tiles.m) {
        const int64_t cols = GLIA_MIN(j->k, j->k_panels * NR);
        j->window_floats = GLIA_KERNEL(winograd_grad_floats)(&j->tiles, j->c_block, cols);
        j->sum_floats = round_up(j->k_panels * NR * TAPS * j->c_block, 16);
        j->worker_floats = j->window_floats + j->sum_floats;
        return;
    }
    const int64_t images = GLIA_MAX(j->cut.images, 1), depths = j->cut.images ? j->s.out[0] : 1;
    const int64_t rows = j->cut.images ? j->s.out[1] : j->cut.rows;
    int64_t line = round_up(span(j, 2, j->cut.columns), phases_of(j, images)) * images * j->c_block;
    j->window_floats = round_up(span(j, 0, depths) * span(j, 1, rows) * line + VLEN, 16);
    if (j->in_strips) {
        j->sum_floats = j->k * tap_rows(j) * row_vectors(j) * VLEN;
        j->worker_floats = j->window_floats + j->sum_floats;
        return;
    }
    const int64_t cols = j->depthwise ? j->c_block : j->k_panels * NR;
    j->dy_floats = round_up(cols * j->pixels, 16);
    j->sum_floats = round_up((j->depthwise ? 1 : cols) * j->taps * j->c_block, 16);
    j->worker_floats = j->window_floats + j->dy_floats + j->sum_floats + round_up(4 * j->taps * j->c_block, 16);
}

static job make_job(const glia_conv_shape *s) {
    job j = { .shape = s, .s = *s };
    if (s->n < 1 || s->c < 1 || s->k < 1 || volume(s->out) < 1 || volume(s->in) < 1) return j;
    j.together = choose_together(s);
    take_together(&j.s, j.together);
    j.depthwise = is_depthwise(s);
    if (j.depthwise) j.s.groups = 1;
    j.c = j.s.c / j.s.groups, j.k = j.s.k / j.s.groups, j.taps = volume(j.s.kernel);
    j.in_strips = prefers_strips(&j, s);
    if (j.in_strips) j.s = *s, j.together = 1, j.k = s->k / s->groups, j.taps = volume(s->kernel);
    choose_tiles(&j, s);
    if (!j.tiles.m) {
        choose_regions(&j);
        choose_blocks(&j);
    }
    choose_pieces(&j);
    choose_memory(&j);
    j.by_taps = !j.tiles.m && !j.depthwise && !j.in_strips && prefers_taps(&j);
    return j;
}

/* ---- copying ------------------------------------------------------------------------------ */

/* Floats from one pixel of y to the next, in the window. */
static int64_t pixel_step(const work *w, int64_t images) { return (images > 1 ? 1 : w->j->s.stride[2]) * w->u.c; }

/* Whether any tap reads this position of an axis. */
static bool is_read(const job *j, int axis, int64_t position) {
    for (int64_t t = 0; t < j->s.kernel[axis]; t++) {
        if ((position - t * j->s.dilation[axis]) % j->s.stride[axis] == 0) return true;
    }
    return false;
}

/* Copies one row of the window of one image, with zeros outside x. */
static void copy_whole_line(const work *w, const region *r, float *dst, const float *line, int64_t width) {
    const job *j = w->j;
    const int64_t c = w->u.c, x0 = r->w0 * j->s.stride[2] - j->s.pad[2];
    const int64_t left = GLIA_MIN(GLIA_MAX(0, -x0), width), stop = GLIA_MAX(left, GLIA_MIN(width, j->s.in[2] - x0));
    memset(dst, 0, (size_t)(left * c) * sizeof(float));
    line += (x0 + left) * j->s.c, dst += left * c;
    if (c == j->s.c)
        memcpy(dst, line, (size_t)((stop - left) * c) * sizeof(float));
    else
        for (int64_t i = 0; i < stop - left; i++) copy_floats(dst + i * c, line + i * j->s.c, c);
    memset(dst + (stop - left) * c, 0, (size_t)((width - stop) * c) * sizeof(float));
}

/* Copies one row of the window, for all images. */
static void copy_line(const work *w, const region *r, float *dst, int64_t z, int64_t y) {
    const job *j = w->j;
    const int64_t images = r->n1 - r->n0, image = volume(j->s.in) * j->s.c, phases = phases_of(j, images);
    const int64_t width = divide_up(span(j, 2, r->w1 - r->w0), phases), c = w->u.c;
    const float *line = j->x + r->n0 * image + (z * j->s.in[1] + y) * j->s.in[2] * j->s.c + w->u.group * j->c + w->u.c0;
    if (z < 0 || z >= j->s.in[0] || y < 0 || y >= j->s.in[1]) {
        memset(dst, 0, (size_t)(phases * width * images * c) * sizeof(float));
        return;
    }
    if (images == 1) {
        copy_whole_line(w, r, dst, line, width);
        return;
    }
    for (int64_t phase = 0; phase < phases; phase++) {
        for (int64_t i = 0; i < width; i++, dst += images * c) {
            const int64_t at = i * phases + phase - j->s.pad[2];
            if (at < 0 || at >= j->s.in[2]) {
                memset(dst, 0, (size_t)(images * c) * sizeof(float));
            } else {
                for (int64_t n = 0; n < images; n++) copy_floats(dst + n * c, line + n * image + at * j->s.c, c);
            }
        }
    }
}

/* Floats of a row of the window. */
static int64_t line_floats(const work *w, const region *r) {
    const int64_t images = r->n1 - r->n0, phases = phases_of(w->j, images);
    return round_up(span(w->j, 2, r->w1 - r->w0), phases) * images * w->u.c;
}

static void copy_x(const work *w, const region *r) {
    const job *j = w->j;
    const int64_t depths = span(j, 0, r->d1 - r->d0), rows = span(j, 1, r->h1 - r->h0), line = line_floats(w, r);
    for (int64_t d = 0; d < depths; d++) {
        for (int64_t h = 0; h < rows; h++) {
            if (!is_read(j, 0, d) || !is_read(j, 1, h)) continue;
            copy_line(w, r, w->window + (d * rows + h) * line, r->d0 * j->s.stride[0] - j->s.pad[0] + d,
                      r->h0 * j->s.stride[1] - j->s.pad[1] + h);
        }
    }
}

/* Whether a pixel of dy is exactly one panel, so that dy is read in place. (Part of a group is not: its last vector
 * would reach past dy.) */
static bool lies_packed(const job *j, int64_t images) {
    return images == 1 && !j->depthwise && j->s.groups == 1 && panels_of(j->k) == 1 && panel_width(j->k) == j->k;
}

static void copy_dy(work *w, const region *r) {
    const job *j = w->j;
    const int64_t *out = j->s.out, images = r->n1 - r->n0, image = volume(out) * j->s.k;
    const int64_t pixels = (r->d1 - r->d0) * (r->h1 - r->h0) * (r->w1 - r->w0);
    const float *first =
        j->dy + r->n0 * image + ((r->d0 * out[1] + r->h0) * out[2] + r->w0) * j->s.k + w->u.group * j->k;
    w->q = lies_packed(j, images) ? first : w->dy;
    if (w->q == first) return;
    if (j->depthwise) {
        float *to = w->dy;
        for (int64_t i = 0; i < pixels; i++) {
            for (int64_t n = 0; n < images; n++, to += w->u.c) {
                copy_floats(to, first + n * image + i * j->s.k + w->u.c0, w->u.c);
            }
        }
        return;
    }
    for (int64_t p = w->u.p0; p < w->u.p1; p++) {
        const int64_t cols = panel_cols(j->k, p), width = panel_width(cols);
        float *dst = w->dy + (p - w->u.p0) * NR * pixels * images;
        for (int64_t i = 0; i < pixels; i++) {
            for (int64_t n = 0; n < images; n++, dst += width) {
                const float *src = first + n * image + i * j->s.k + p * NR;
                for (int64_t v = 0; v < width; v += VLEN) {
                    vf_store(dst + v,
                             cols - v >= VLEN ? vf_load(src + v) : vf_load_first(src + v, GLIA_MAX(0, cols - v)));
                }
            }
        }
    }
}

/* ---- sums --------------------------------------------------------------------------------- */

/* Lists the offsets of (tap, channel) pairs in a region's window, and of their sums. */
static void list_rows(const work *w, const region *r, int64_t width) {
    const job *j = w->j;
    const int64_t images = r->n1 - r->n0, rows = span(j, 1, r->h1 - r->h0), line = line_floats(w, r);
    const int64_t phases = phases_of(j, images), phase = line / phases;
    int64_t n = 0;
    for (int64_t t = 0; t < j->taps; t++) {
        int64_t tap[3];
        place_of(j->s.kernel, t, tap);
        int64_t d = tap[0] * j->s.dilation[0], h = tap[1] * j->s.dilation[1], x = tap[2] * j->s.dilation[2];
        int64_t at = (d * rows + h) * line + x % phases * phase + x / phases * images * w->u.c;
        for (int64_t c = 0; c < w->u.c; c++, n++) w->p_at[n] = at + c, w->c_at[n] = n * width;
    }
}

/* Number of adjacent rows of P in the window: a pixel's channels, or those of all taps of a row. */
static int64_t run_of(const work *w, int64_t images) {
    const glia_conv_shape *s = &w->j->s;
    bool joined_taps = images == 1 && s->dilation[2] == 1;
    return joined_taps ? s->kernel[2] * w->u.c : w->u.c;
}

/* All taps, or one, for one panel: pixels [from, to) of the region's rows and columns, at one depth. */
static void sum_pixels(const work *w, const region *r, int64_t panel, int64_t depth, int64_t first, int64_t rows,
                       const int64_t from[3], const int64_t to[3]) {
    const job *j = w->j;
    const int64_t images = r->n1 - r->n0, line = line_floats(w, r), window_rows = span(j, 1, r->h1 - r->h0);
    const int64_t cols = panel_cols(j->k, panel), width = panel_width(cols), ow = r->w1 - r->w0;
    const int64_t pixel = ((depth * (r->h1 - r->h0) + from[1]) * ow + from[2]) * images;
    const int64_t pixels = (r->d1 - r->d0) * (r->h1 - r->h0) * ow * images;
    const int64_t at = (depth * j->s.stride[0] * window_rows + from[1] * j->s.stride[1]) * line +
                       from[2] * images * pixel_step(w, images);
    if (to[1] <= from[1] || to[2] <= from[2]) return;
    glia_conv_tile a = { .outer = to[1] - from[1],
                         .inner = (to[2] - from[2]) * images,
                         .p = w->window + at,
                         .p_step = pixel_step(w, images),
                         .p_outer = j->s.stride[1] * line,
                         .p_at = w->p_at + first,
                         .q = w->q + (panel - w->u.p0) * NR * pixels + pixel * width,
                         .q_outer = ow * images * width,
                         .c = w->sums + (panel - w->u.p0) * NR * j->taps * w->u.c,
                         .c_at = w->c_at + first,
                         .add = true };
    const int64_t run = run_of(w, images);
    if (run < MR) {
        sweep(&a, CONV_STEPS, rows, width);
        return;
    }
    for (int64_t i = 0; i < rows; i += run) {
        a.p = w->window + at + *a.p_at;
        sweep(&a, CONV_COLS, GLIA_MIN(run, rows - i), width);
    }
}

/* Adds the products of dy and the inputs of some taps, one filter per channel. */
GLIA_INLINE void sum_taps(const work *w, const region *r, const int taps, int64_t first, int64_t c, const int64_t n) {
    const job *j = w->j;
    const int64_t images = r->n1 - r->n0, line = line_floats(w, r), window_rows = span(j, 1, r->h1 - r->h0);
    const int64_t run = (r->w1 - r->w0) * images, next = w->u.c, step = pixel_step(w, images);
    const float *dy = w->dy + c, *x[DEPTHWISE_TAPS];
    vf sum[DEPTHWISE_TAPS];
    GLIA_UNROLL for (int t = 0; t < taps; t++) sum[t] = vf_load_first(w->sums + (first + t) * w->u.c + c, n);
    for (int64_t d = 0; d < r->d1 - r->d0; d++) {
        for (int64_t h = 0; h < r->h1 - r->h0; h++) {
            const float *row = w->window + (d * j->s.stride[0] * window_rows + h * j->s.stride[1]) * line + c;
            GLIA_UNROLL for (int t = 0; t < taps; t++) x[t] = row + w->p_at[(first + t) * w->u.c];
            for (int64_t p = 0; p < run; p++, dy += next) {
                const vf g = n == VLEN ? vf_load(dy) : vf_load_first(dy, n);
                GLIA_UNROLL for (int t = 0; t < taps; t++) {
                    const float *at = x[t] + p * step;
                    sum[t] += g * (n == VLEN ? vf_load(at) : vf_load_first(at, n));
                }
            }
        }
    }
    GLIA_UNROLL for (int t = 0; t < taps; t++) vf_store_first(w->sums + (first + t) * w->u.c + c, sum[t], n);
}

static void sum_depthwise(const work *w, const region *r) {
    const int64_t taps = w->j->taps;
    list_rows(w, r, 1);
    for (int64_t c = 0; c < w->u.c; c += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, w->u.c - c);
        int64_t t = 0;
        for (; t + DEPTHWISE_TAPS <= taps && n == VLEN; t += DEPTHWISE_TAPS) sum_taps(w, r, DEPTHWISE_TAPS, t, c, VLEN);
        for (; t + 3 <= taps; t += 3) sum_taps(w, r, 3, t, c, n);
        for (; t < taps; t++) sum_taps(w, r, 1, t, c, n);
    }
}

/* All filters by all taps and channels of the region. */
static void sum_strips(const work *w, const region *r) {
    const job *j = w->j;
    const int64_t *stride = j->s.stride, *out = j->s.out, rows = span(j, 1, r->h1 - r->h0), line = line_floats(w, r);
    const int64_t per_row = row_vectors(j), vectors = tap_rows(j) * per_row, parts = divide_up(vectors, STRIP_VECTORS);
    const int64_t row = ((r->n0 * out[0] + r->d0) * out[1] + r->h0) * out[2] + r->w0;
    const float *dy = j->dy + row * j->s.k + w->u.group * j->k;
    glia_conv_strip a = { .outer = r->h1 - r->h0,
                          .inner = r->w1 - r->w0,
                          .p_step = j->s.k,
                          .p_outer = out[2] * j->s.k,
                          .q_step = stride[2] * w->u.c,
                          .q_outer = stride[1] * line,
                          .c_step = vectors * VLEN,
                          .add = true };
    for (int64_t d = 0; d < r->d1 - r->d0; d++) {
        for (int64_t part = 0; part < parts; part++) {
            const int64_t first = vectors * part / parts, n = vectors * (part + 1) / parts - first;
            int64_t at[STRIP_VECTORS];
            for (int64_t i = 0; i < n; i++) {
                const int64_t t = (first + i) / per_row, z = t / j->s.kernel[1], y = t % j->s.kernel[1];
                at[i] = (z * j->s.dilation[0] * rows + y * j->s.dilation[1]) * line + (first + i) % per_row * VLEN;
            }
            a.q = w->window + d * stride[0] * rows * line, a.q_at = at;
            for (int64_t k = 0, k_parts = divide_up(j->k, strip_rows(n)); k < k_parts; k++) {
                const int64_t from = j->k * k / k_parts, to = j->k * (k + 1) / k_parts;
                a.p = dy + d * out[1] * out[2] * j->s.k + from;
                a.c = w->sums + from * a.c_step + first * VLEN;
                GLIA_KERNEL(conv_strips)[n - 1][to - from - 1](&a);
            }
        }
    }
}

static void sum_region(work *w, const region *r) {
    const job *j = w->j;
    copy_x(w, r);
    if (j->in_strips) {
        sum_strips(w, r);
        return;
    }
    copy_dy(w, r);
    if (j->depthwise) {
        sum_depthwise(w, r);
        return;
    }
    for (int64_t p = w->u.p0; p < w->u.p1; p++) {
        list_rows(w, r, panel_width(panel_cols(j->k, p)));
        for (int64_t d = 0; d < r->d1 - r->d0; d++) {
            int64_t from[3] = { 0 }, to[3] = { 0, r->h1 - r->h0, r->w1 - r->w0 }, tap[3];
            if (!j->by_taps) {
                sum_pixels(w, r, p, d, 0, j->taps * w->u.c, from, to);
                continue;
            }
            for (int64_t t = 0; t < j->taps; t++) {
                place_of(j->s.kernel, t, tap);
                joined(&j->s, 0, tap[0], 0, j->s.in[0], r->d0 + d, r->d0 + d + 1, &from[0], &to[0]);
                joined(&j->s, 1, tap[1], 0, j->s.in[1], r->h0, r->h1, &from[1], &to[1]);
                joined(&j->s, 2, tap[2], 0, j->s.in[2], r->w0, r->w1, &from[2], &to[2]);
                from[1] -= r->h0, to[1] -= r->h0, from[2] -= r->w0, to[2] -= r->w0;
                if (to[0] > from[0]) sum_pixels(w, r, p, d, t * w->u.c, w->u.c, from, to);
            }
        }
    }
}

/* ---- results ------------------------------------------------------------------------------ */

/* Stores the sums of one panel, [tap][channel][column], to dw (k, channel, tap), where (channel, tap) is contiguous. */
static void store_panel(const work *w, const float *sums, int64_t cols, float *dw) {
    const job *j = w->j;
    const int64_t width = panel_width(cols), elements = w->u.c * j->taps, filter = j->c * j->taps;
    for (int64_t k = 0; k < cols; k += VLEN) {
        int64_t c = 0, t = 0;
        for (int64_t e = 0; e < elements; e += VLEN) {
            const int64_t there = GLIA_MIN(VLEN, elements - e);
            vf v[VLEN];
            for (int64_t i = 0; i < VLEN; i++) {
                v[i] = i < there ? vf_load(sums + (t * w->u.c + c) * width + k) : (vf){ 0 };
                if (++t == j->taps) t = 0, c++;
            }
            transpose_vectors(v);
            for (int64_t i = 0; i < GLIA_MIN(VLEN, cols - k); i++) {
                float *to = dw + (k + i) * filter + e;
                vf_store_first(to, v[i], there);
            }
        }
    }
}

/* The same for several pixels taken as one: each has the taps of the kernel at its own offset, and they are added. */
static void store_together(const work *w, float *dw) {
    const job *j = w->j;
    const int64_t k = j->shape->k, run = j->shape->kernel[2], taps = volume(j->shape->kernel);
    const int64_t width = panel_width(j->k);
    for (int64_t f = 0; f < k; f++) {
        for (int64_t c = 0; c < w->u.c; c++) {
            for (int64_t t = 0; t < taps; t++) {
                float sum = 0;
                for (int64_t g = 0; g < j->together; g++) {
                    int64_t at = t / run * j->s.kernel[2] + t % run + g * j->shape->stride[2];
                    sum += w->sums[(at * w->u.c + c) * width + g * k + f];
                }
                dw[(f * j->c + w->u.c0 + c) * taps + t] = sum;
            }
        }
    }
}

static void store_depthwise(const work *w, float *dw) {
    const int64_t taps = w->j->taps;
    for (int64_t c = 0; c < w->u.c; c++) {
        for (int64_t t = 0; t < taps; t++) dw[(w->u.c0 + c) * taps + t] = w->sums[t * w->u.c + c];
    }
}

/* Stores sums in strips, [filter][row of taps][tap][channel]. */
static void store_strips(const work *w, float *dw) {
    const job *j = w->j;
    const int64_t rows = tap_rows(j), run = row_vectors(j) * VLEN, taps = j->s.kernel[2];
    dw += w->u.group * j->k * j->c * j->taps;
    for (int64_t k = 0; k < j->k; k++) {
        for (int64_t c = 0; c < j->c; c++) {
            for (int64_t t = 0; t < rows; t++) {
                const float *sums = w->sums + (k * rows + t) * run + c;
                for (int64_t i = 0; i < taps; i++) *dw++ = sums[i * j->c];
            }
        }
    }
}

static void store(const work *w, float *dw) {
    const job *j = w->j;
    if (j->in_strips) {
        store_strips(w, dw);
    } else if (j->depthwise) {
        store_depthwise(w, dw);
    } else if (j->together > 1) {
        store_together(w, dw);
    } else {
        for (int64_t p = w->u.p0; p < w->u.p1; p++) {
            store_panel(w, w->sums + (p - w->u.p0) * NR * j->taps * w->u.c, panel_cols(j->k, p),
                        dw + ((w->u.group * j->k + p * NR) * j->c + w->u.c0) * j->taps);
        }
    }
}

/* ---- pieces ------------------------------------------------------------------------------- */

static unit unit_of(const job *j, int64_t index) {
    const int64_t kb = index % j->k_blocks, cb = index / j->k_blocks % j->c_blocks, panels = panels_of(j->k);
    unit u = { .group = index / j->k_blocks / j->c_blocks };
    u.c0 = cb * j->c_block, u.c = GLIA_MIN(j->c_block, j->c - u.c0);
    u.p0 = panels * kb / j->k_blocks, u.p1 = panels * (kb + 1) / j->k_blocks;
    return u;
}

static void sum_regions(work *w, int64_t from, int64_t to) {
    const job *j = w->j;
    w->p_at = (int64_t *)(void *)(w->sums + j->sum_floats);
    w->c_at = w->p_at + (j->in_strips ? 0 : j->taps * j->c_block);
    memset(w->sums, 0, (size_t)j->sum_floats * sizeof(float));
    for (int64_t i = from; i < to; i++) {
        region r = region_of(&j->cut, j->s.out, j->s.n, i);
        sum_region(w, &r);
    }
}

static void sum_piece(void *context, int64_t piece, int worker) {
    const job *j = context;
    const int64_t units = j->s.groups * j->c_blocks * j->k_blocks, chunk = piece / units;
    work w = { .j = j, .u = unit_of(j, piece % units), .window = j->private + worker * j->worker_floats };
    w.dy = w.window + j->window_floats;
    w.sums = w.dy + j->dy_floats;
    const int64_t from = j->cut.regions * chunk / j->chunks, to = j->cut.regions * (chunk + 1) / j->chunks;
    if (j->tiles.m) {
        const winograd_sum sum = {
            j->shape, j->x, j->dy,    w.u.c0, w.u.c, w.u.p0 * NR, GLIA_MIN(j->k, w.u.p1 * NR) - w.u.p0 * NR,
            from,     to,   w.window, w.sums
        };
        GLIA_KERNEL(winograd_grad)(&j->tiles, &sum);
    } else {
        sum_regions(&w, from, to);
    }
    store(&w, chunk ? j->partial + (chunk - 1) * j->partial_floats : j->dw);
}

/* Adds up the chunks for a range of elements. */
static void combine_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const job *j = context;
    const int64_t end = GLIA_MIN(kernel_floats(j), (piece + 1) * COMBINE_FLOATS);
    for (int64_t chunk = 1; chunk < j->chunks; chunk++) {
        const float *sums = j->partial + (chunk - 1) * j->partial_floats;
        int64_t i = piece * COMBINE_FLOATS;
        for (; i + VLEN <= end; i += VLEN) vf_store(j->dw + i, vf_load(j->dw + i) + vf_load(sums + i));
        for (; i < end; i++) j->dw[i] += sums[i];
    }
}

size_t GLIA_KERNEL(conv_kernel_grad_f32_scratch)(const glia_conv_shape *shape, int workers) {
    job j = make_job(shape);
    return j.cut.regions ? (size_t)((j.chunks - 1) * j.partial_floats + workers * j.worker_floats) * sizeof(float) : 0;
}

void GLIA_KERNEL(conv_kernel_grad_f32)(glia_pool *pool, const glia_conv_shape *shape, const float *x, const float *dy,
                                       float *dkernel, void *scratch) {
    job j = make_job(shape);
    if (!j.cut.regions) {
        memset(dkernel, 0, (size_t)(shape->k * (shape->c / shape->groups) * volume(shape->kernel)) * sizeof(float));
        return;
    }
    j.x = x, j.dy = dy, j.dw = dkernel;
    j.partial = scratch;
    j.private = j.partial + (j.chunks - 1) * j.partial_floats;
    glia_parallel_for(pool, j.chunks * j.s.groups * j.c_blocks * j.k_blocks, sum_piece, &j);
    if (j.chunks > 1) {
        glia_parallel_for(j.chunks * j.partial_floats > 65536 ? pool : NULL,
                          divide_up(j.partial_floats, COMBINE_FLOATS), combine_piece, &j);
    }
    if (!j.by_taps) GLIA_KERNEL(conv_exact_grad)(pool, shape, x, dy, dkernel);
}
