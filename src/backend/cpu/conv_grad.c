/* conv_grad.c - the adjoint of convolution in the kernel.
 *
 * dkernel[k, c, t] is the sum over images and output pixels o of dy[k, o] x[c, o stride - pad + t dilation]. The pixels are
 * cut into regions (conv.h), and a fixed number of chunks of regions, whatever the threads, each sum into a partial result
 * of their own; in the end these are added in order. Within a region there are two ways:
 *
 *   by channels   where they fill vectors: the region's input is copied with the channels last, so that every pixel is a
 *                 row of vectors. For each tap this is a product of dy (K, pixels) and rows that a table points at.
 *   by pixels     otherwise: dy is laid out in rows as long as those of the input's window, zeros between, so that dy and
 *                 the input under any tap are two straight lines; vectors run along them. Partial results stay vectors,
 *                 one for each element of dkernel, until the end.
 */
#include "backend/cpu/conv.h"

enum {
    CHANNEL_PIXELS = 256, /* of a region, by channels: as long as a packed panel of a matrix product */
    LINE_PIXELS = 1536,   /* of a region, by pixels */
    CHUNKS = 8,
    PARTIAL_FLOATS = 1 << 20, /* of all chunks, unless one alone is larger */
    PIECE_FLOPS = 400000,
    MAX_PIECES = 16
};

/* Filters and taps of a tile that sums by pixels: MR / 2 by 4 vectors are as many as MR by 2. */
enum { LINE_ROWS = MR / 2, LINE_COLS = 4 };

typedef struct job {
    const glia_conv_shape *s;
    field f;
    bool by_channels;
    int64_t c, k, taps;              /* channels and filters of a group */
    int64_t width;                   /* floats of one partial result for a filter and tap, or filter, channel and tap */
    int64_t images, rows, regions;   /* images in a region; or 0, and rows in a region */
    int64_t chunks, parts, k_panels; /* pieces: chunks by parts of the groups, or of the filters if there is one */
    int64_t partial_floats;          /* of one chunk: [groups][taps][k][width] or [groups][k][c][taps][VLEN] */
    int64_t window_floats, dy_step, at_count, worker_floats;
    const float *x, *dy;
    float *dw, *partial, *private;
} job;

/* ---- planning ----------------------------------------------------------------------------- */

static void choose_regions(job *j) {
    int64_t pixels = volume(j->f.out), target = j->by_channels ? CHANNEL_PIXELS : LINE_PIXELS;
    if (pixels <= target) {
        j->images = j->by_channels ? GLIA_MIN(target / pixels, j->s->n) : 1;
        j->regions = divide_up(j->s->n, j->images);
        return;
    }
    int64_t parts = divide_up(j->f.out[1], GLIA_MAX(1, target / j->f.out[2]));
    j->rows = divide_up(j->f.out[1], parts);
    j->regions = j->s->n * j->f.out[0] * divide_up(j->f.out[1], j->rows);
}

static region region_of(const job *j, int64_t index) {
    if (j->images) {
        return (
            region){ index * j->images, GLIA_MIN((index + 1) * j->images, j->s->n), 0, j->f.out[0], 0, j->f.out[1] };
    }
    int64_t parts = divide_up(j->f.out[1], j->rows), part = index % parts, depth = index / parts % j->f.out[0];
    int64_t n = index / parts / j->f.out[0];
    return (region){ n, n + 1, depth, depth + 1, part * j->rows, GLIA_MIN((part + 1) * j->rows, j->f.out[1]) };
}

/* Extents of the window that a region reads, channels last: without phases. */
static void pixel_extents(const job *j, int64_t depths, int64_t rows, int64_t extents[3]) {
    extents[0] = span(&j->f, 0, depths), extents[1] = span(&j->f, 1, rows), extents[2] = span(&j->f, 2, j->f.out[2]);
}

static void choose_memory(job *j) {
    int64_t depths = j->images ? j->f.out[0] : 1, rows = j->images ? j->f.out[1] : j->rows, extents[3];
    int64_t images = GLIA_MAX(j->images, 1);
    if (j->by_channels) {
        pixel_extents(j, depths, rows, extents);
        j->window_floats = round_up(images * volume(extents) * j->width, 16);
        j->at_count = images * depths * rows * j->f.out[2];
        j->dy_step = round_up(j->at_count, 16) + 16; /* not a power of two */
    } else {
        window_extents(&j->f, depths, rows, extents);
        j->window_floats = window_floats(&j->f, 1, j->c, depths, rows);
        j->at_count = j->c * j->taps + j->taps;
        j->dy_step = round_up(volume(extents), 16);
    }
    j->worker_floats = j->window_floats + round_up(j->k * j->dy_step, 16) + round_up(2 * j->at_count, 16);
}

static job make_job(const glia_conv_shape *s) {
    job j = { .s = s, .f = field_of(s), .c = s->c / s->groups, .k = s->k / s->groups, .taps = volume(s->kernel) };
    if (s->n < 1 || j.c < 1 || j.k < 1 || volume(s->out) < 1) return j;
    j.by_channels = j.c >= VLEN - VLEN / 4;
    j.width = j.by_channels ? round_up(j.c, VLEN) : VLEN;
    j.k_panels = divide_up(j.k, j.by_channels ? MR : LINE_ROWS);
    choose_regions(&j);
    j.partial_floats = round_up(s->groups * j.k * j.taps * j.width * (j.by_channels ? 1 : j.c), 16);
    double flops = 2.0 * (double)(s->n * s->groups) * (double)(j.k * j.c) * (double)j.taps * (double)volume(s->out);
    int64_t want = 1 + (int64_t)GLIA_MIN(flops / PIECE_FLOPS, MAX_PIECES - 1.0);
    int64_t fitting = GLIA_MAX(1, PARTIAL_FLOATS / j.partial_floats);
    j.chunks = GLIA_MIN(GLIA_MIN(want, CHUNKS), GLIA_MIN(fitting, j.regions));
    j.parts = GLIA_MIN(divide_up(want, j.chunks), s->groups > 1 ? s->groups : j.k_panels);
    if (j.chunks == CHUNKS) j.parts = 1;
    choose_memory(&j);
    return j;
}

/* ---- by channels -------------------------------------------------------------------------- */

/* The region's input with channels last: [image][depth][height][width][j->width], zeros outside. */
static void copy_channels_last(const job *j, const region *r, int64_t group, const int64_t extents[3], float *dst) {
    const field *f = &j->f;
    const int64_t in = volume(f->in), w = j->width;
    int64_t x0 = f->low[2], first = GLIA_MIN(GLIA_MAX(0, -x0), extents[2]);
    int64_t stop = GLIA_MAX(first, GLIA_MIN(extents[2], f->in[2] - x0));
    for (int64_t n = r->n0; n < r->n1; n++) {
        const float *image = j->x + (n * j->s->c + group * j->c) * in;
        for (int64_t row = 0; row < extents[0] * extents[1]; row++, dst += extents[2] * w) {
            int64_t z = f->low[0] + r->d0 * f->step[0] + row / extents[1];
            int64_t y = f->low[1] + r->h0 * f->step[1] + row % extents[1];
            bool inside = z >= 0 && z < f->in[0] && y >= 0 && y < f->in[1];
            if (!inside || first > 0 || stop < extents[2] || w > j->c) {
                memset(dst, 0, (size_t)(extents[2] * w) * sizeof(float));
            }
            if (inside && stop > first) {
                transpose(dst + first * w, w, image + (z * f->in[1] + y) * f->in[2] + x0 + first, in, j->c,
                          stop - first);
            }
        }
    }
}

/* The filters' dy over the region, one line of pixels each. */
static void copy_dy(const job *j, const region *r, int64_t group, int64_t k0, int64_t k1, float *dst) {
    int64_t out = volume(j->f.out), start = (r->d0 * j->f.out[1] + r->h0) * j->f.out[2];
    int64_t pixels = (r->d1 - r->d0) * (r->h1 - r->h0) * j->f.out[2];
    for (int64_t k = k0; k < k1; k++) {
        for (int64_t n = r->n0; n < r->n1; n++) {
            const float *src = j->dy + (n * j->s->k + group * j->k + k) * out + start;
            memcpy(dst + (k - k0) * j->dy_step + (n - r->n0) * pixels, src, (size_t)pixels * sizeof(float));
        }
    }
}

/* Adds (or writes: first) a region's products for filters of panels [i0, i1) to partial [taps][k][width]. */
static void sum_by_channels(const job *j, const region *r, int64_t group, int64_t i0, int64_t i1, float *memory,
                            float *partial, bool first) {
    const field *f = &j->f;
    float *window = memory, *dy = window + j->window_floats;
    int64_t *at = (int64_t *)(void *)(dy + round_up(j->k * j->dy_step, 16));
    int64_t extents[3], rows = r->h1 - r->h0, depths = r->d1 - r->d0, w = j->width, pixels = 0;
    int64_t k0 = j->k * i0 / j->k_panels, k1 = j->k * i1 / j->k_panels;
    pixel_extents(j, depths, rows, extents);
    copy_channels_last(j, r, group, extents, window);
    copy_dy(j, r, group, k0, k1, dy);
    for (int64_t n = 0; n < r->n1 - r->n0; n++) {
        for (int64_t d = 0; d < depths; d++) {
            for (int64_t h = 0; h < rows; h++) {
                int64_t line = (n * extents[0] + d * f->step[0]) * extents[1] + h * f->step[1];
                for (int64_t x = 0; x < f->out[2]; x++) at[pixels++] = (line * extents[2] + x * f->step[2]) * w;
            }
        }
    }
    for (int64_t c = 0, cols; c < w; c += cols) {
        cols = GLIA_MIN(w - c, NR);
        for (int64_t t = 0; t < j->taps; t++) {
            int64_t t0 = t / (f->taps[1] * f->taps[2]), t1 = t / f->taps[2] % f->taps[1], t2 = t % f->taps[2];
            int64_t tap = ((t0 * f->gap[0] * extents[1] + t1 * f->gap[1]) * extents[2] + t2 * f->gap[2]) * w;
            for (int64_t i = i0; i < i1; i++) {
                int64_t k = j->k * i / j->k_panels, n_rows = j->k * (i + 1) / j->k_panels - k;
                glia_conv_micro_fn fn =
                    GLIA_KERNEL(conv_micro)[TILE_ROWS_TABLE][cols == NR ? TILE_FULL : TILE_HALF][n_rows - 1];
                fn(pixels, dy + (k - k0) * j->dy_step, j->dy_step, window + tap + c, 0, at,
                   partial + (t * j->k + k) * w + c, w, !first);
            }
        }
    }
}

/* ---- by pixels ---------------------------------------------------------------------------- */

/* Adds to sums[i][j] the products of line i of dy and the line of the window that begins at[j]. */
GLIA_INLINE void line_tile(const int rows, const int cols, int64_t length, const float *dy, int64_t dy_step,
                           const float *x, const int64_t *at, float *sums, int64_t sums_step) {
    vf acc[LINE_ROWS][LINE_COLS];
    const float *line[LINE_COLS];
    GLIA_UNROLL for (int j = 0; j < cols; j++) {
        line[j] = x + at[j];
        GLIA_UNROLL for (int i = 0; i < rows; i++) acc[i][j] = vf_load(sums + i * sums_step + j * VLEN);
    }
    for (int64_t p = 0; p < length; p += VLEN) {
        vf a[LINE_ROWS];
        GLIA_UNROLL for (int i = 0; i < rows; i++) a[i] = vf_load(dy + i * dy_step + p);
        GLIA_UNROLL for (int j = 0; j < cols; j++) {
            vf b = vf_load(line[j] + p);
            GLIA_UNROLL for (int i = 0; i < rows; i++) acc[i][j] += a[i] * b;
        }
    }
    GLIA_UNROLL for (int j = 0; j < cols; j++) {
        GLIA_UNROLL for (int i = 0; i < rows; i++) vf_store(sums + i * sums_step + j * VLEN, acc[i][j]);
    }
}

#define LINE_CASE(rows)                                                                                                \
    case rows:                                                                                                         \
        if (cols == LINE_COLS)                                                                                         \
            line_tile(rows, LINE_COLS, length, dy, dy_step, x, at, sums, step);                                        \
        else                                                                                                           \
            for (int64_t j = 0; j < cols; j++)                                                                         \
                line_tile(rows, 1, length, dy, dy_step, x, at + j, sums + j * VLEN, step);                             \
        break;

static void line_tiles(int64_t rows, int64_t cols, int64_t length, const float *dy, int64_t dy_step, const float *x,
                       const int64_t *at, float *sums, int64_t step) {
    switch (rows) {
        LINE_CASE(1)
        LINE_CASE(2)
#if MR_HALF >= 3
        LINE_CASE(3)
#endif
#if MR_HALF >= 4
        LINE_CASE(4)
#endif
#if MR_HALF >= 6
        LINE_CASE(5)
        LINE_CASE(6)
#endif
    default: break;
    }
}

/* Adds a region's products for filters of panels [i0, i1) to partial [k][c taps][VLEN]. */
static void sum_by_pixels(const job *j, const region *r, int64_t group, int64_t i0, int64_t i1, float *memory,
                          float *partial) {
    const field *f = &j->f;
    float *window = memory, *dy = window + j->window_floats;
    int64_t *at = (int64_t *)(void *)(dy + round_up(j->k * j->dy_step, 16)), *tap_at = at + j->c * j->taps;
    int64_t rows = r->h1 - r->h0, depths = r->d1 - r->d0, ow = f->out[2], out = volume(f->out), terms = j->c * j->taps;
    view v = copy_window(window, f, r, j->x, j->s->c, group * j->c, j->c);
    tap_offsets(f, &v, false, tap_at);
    for (int64_t e = 0; e < terms; e++) at[e] = e / j->taps * v.channel + tap_at[e % j->taps];

    int64_t length = round_up((depths - 1) * v.plane + (rows - 1) * v.row + ow, VLEN);
    int64_t k0 = j->k * i0 / j->k_panels, k1 = j->k * i1 / j->k_panels;
    for (int64_t k = k0; k < k1; k++) {
        const float *src = j->dy + (r->n0 * j->s->k + group * j->k + k) * out + (r->d0 * f->out[1] + r->h0) * ow;
        float *line = dy + (k - k0) * j->dy_step;
        memset(line, 0, (size_t)length * sizeof(float));
        for (int64_t l = 0; l < depths * rows; l++, src += ow) {
            memcpy(line + l / rows * v.plane + l % rows * v.row, src, (size_t)ow * sizeof(float));
        }
    }
    for (int64_t i = i0; i < i1; i++) {
        int64_t k = j->k * i / j->k_panels, n_rows = j->k * (i + 1) / j->k_panels - k;
        for (int64_t e = 0; e < terms; e += LINE_COLS) {
            line_tiles(n_rows, GLIA_MIN(LINE_COLS, terms - e), length, dy + (k - k0) * j->dy_step, j->dy_step, window,
                       at + e, partial + (k * terms + e) * VLEN, terms * VLEN);
        }
    }
}

/* ---- pieces ------------------------------------------------------------------------------- */

static void sum_piece(void *context, int64_t piece, int worker) {
    const job *j = context;
    int64_t part = piece % j->parts, chunk = piece / j->parts, groups = j->s->groups;
    bool by_group = groups > 1;
    int64_t g0 = by_group ? groups * part / j->parts : 0, g1 = by_group ? groups * (part + 1) / j->parts : 1;
    int64_t i0 = by_group ? 0 : j->k_panels * part / j->parts;
    int64_t i1 = by_group ? j->k_panels : j->k_panels * (part + 1) / j->parts;
    int64_t r0 = j->regions * chunk / j->chunks, r1 = j->regions * (chunk + 1) / j->chunks;
    float *memory = j->private + worker * j->worker_floats, *sums = j->partial + chunk * j->partial_floats;
    for (int64_t g = g0; g < g1; g++) {
        int64_t of_filter = j->c * j->taps * VLEN;
        float *of_group = sums + g * j->k * (j->by_channels ? j->taps * j->width : of_filter);
        if (!j->by_channels) {
            int64_t k0 = j->k * i0 / j->k_panels, k1 = j->k * i1 / j->k_panels;
            memset(of_group + k0 * of_filter, 0, (size_t)((k1 - k0) * of_filter) * sizeof(float));
        }
        for (int64_t i = r0; i < r1; i++) {
            region r = region_of(j, i);
            if (j->by_channels)
                sum_by_channels(j, &r, g, i0, i1, memory, of_group, i == r0);
            else
                sum_by_pixels(j, &r, g, i0, i1, memory, of_group);
        }
    }
}

/* Adds the chunks for one filter. */
static void combine_piece(void *context, int64_t filter, int worker) {
    (void)worker;
    const job *j = context;
    int64_t group = filter / j->k, k = filter % j->k, terms = j->c * j->taps;
    float *dw = j->dw + filter * terms;
    if (j->by_channels) {
        for (int64_t t = 0; t < j->taps; t++) {
            const float *sums = j->partial + ((group * j->taps + t) * j->k + k) * j->width;
            for (int64_t c = 0; c < j->width; c += VLEN) {
                vf sum = vf_load(sums + c);
                for (int64_t i = 1; i < j->chunks; i++) sum += vf_load(sums + c + i * j->partial_floats);
                for (int64_t l = 0; l < GLIA_MIN(VLEN, j->c - c); l++) dw[(c + l) * j->taps + t] = sum[l];
            }
        }
        return;
    }
    const float *sums = j->partial + filter * terms * VLEN;
    for (int64_t e = 0; e < terms; e++) {
        vf sum = vf_load(sums + e * VLEN);
        for (int64_t i = 1; i < j->chunks; i++) sum += vf_load(sums + e * VLEN + i * j->partial_floats);
        dw[e] = vf_sum(sum);
    }
}

size_t GLIA_KERNEL(conv_kernel_grad_f32_scratch)(const glia_conv_shape *shape, int workers) {
    job j = make_job(shape);
    return (size_t)(j.chunks * j.partial_floats + workers * j.worker_floats) * sizeof(float);
}

void GLIA_KERNEL(conv_kernel_grad_f32)(glia_pool *pool, const glia_conv_shape *shape, const float *x, const float *dy,
                                       float *dkernel, void *scratch) {
    job j = make_job(shape);
    if (j.regions < 1) {
        memset(dkernel, 0, (size_t)(shape->k * j.c * j.taps) * sizeof(float));
        return;
    }
    j.x = x, j.dy = dy, j.dw = dkernel;
    j.partial = scratch;
    j.private = j.partial + j.chunks * j.partial_floats;
    glia_parallel_for(pool, j.chunks * j.parts, sum_piece, &j);
    glia_parallel_for(j.chunks * j.partial_floats > 16384 ? pool : NULL, shape->k, combine_piece, &j);
}
