/* conv.c - convolution of channels-last images, and its adjoint in the input.
 *
 * Both are sums of matrix products over taps: rows of one image, contiguous in the channels, times the tap's matrix,
 * are added to rows of the other image. The kernel is packed in panels of columns. Pixels are listed by their offsets,
 * so that tiles of MR pixels span lines and images. There are three methods; the one with the least work is chosen:
 *
 *   ROWS    the pixels under one row of the kernel are one run of contiguous floats, and k runs over several runs.
 *           Borders are multiplied too: the input is copied into a zero-padded window, unless there is no padding. Used
 *           for the adjoint if there is no stride: a convolution with the flipped kernel.
 *   TAPS    tap after tap, only for the pixels that the tap joins. Nothing is copied, no border is multiplied, strides
 *           and dilations leave no gaps. The result is read and written again for each tap, which pays with many
 *           channels.
 *   SPREAD  for adjoints with few channels: a pixel times a row of the kernel gives a run of neighbouring
 *           results, which is added to a window. Without a stride, all rows of the kernel that reach the same results
 *           are summed first. Consecutive pixels are spaced so that the runs of one tile rarely overlap.
 *
 * Kernels of 1 x 1 without stride are plain products (conv_pointwise.c), those of 3 x 3 often Winograd's.
 *
 * With fewer filters than a vector has lanes, neighbouring pixels are treated as one pixel with several times the
 * filters, whose taps cover all of them. Each element is summed by one thread in an order that depends only on the
 * shape.
 */
#include "backend/cpu/kernels/conv.h"

enum {
    K_FLOATS = 6144,         /* of a panel that stays in the first-level cache while all pixels are processed */
    REGION_PIXELS = 512,     /* of the result, computed together */
    REGION_FLOATS = 1 << 18, /* read and written by a region: fits the second-level cache */
    LIST_ENTRIES = 1 << 15,  /* of all lists of a region, if they are kept */
    PIECE_FLOPS = 1000000,   /* least work of a piece */
    MIN_PIECES = 8,          /* if there is enough work */
    SERIAL_FLOATS = 16384    /* up to this size the kernel is packed by one thread */
};

typedef enum method { ROWS, TAPS, SPREAD } method;

/* Strides in floats between images, planes, rows and pixels. */
typedef struct steps {
    int64_t image, plane, row, pixel;
} steps;

/* Pixels of one tap, or of all: row i of a product is read at p_at[i] and goes to c_at[i]. */
typedef struct list {
    int64_t count, *p_at, *c_at;
} list;

/* SPREAD: neighbouring rows [from, to) of the result that depend on the same rows of the kernel: `count` of them from
 * `first` on. */
typedef struct band {
    int64_t from, to, first, count;
} band;

/* A kept list: its number, or -1; its length; its place. */
typedef struct slot {
    int64_t list, count, at;
} slot;

/* A part of the sum: rows of k [q, q + outer inner) of a chunk of a panel, for the pixels of a list; p: where these
 * begin. */
typedef struct block {
    int64_t list, p, q, outer, inner, p_outer;
    band rows;
} block;

/* One launch. "Input" is the operand summed over: x, or dy in the adjoint; the other image is the result. */
typedef struct job {
    glia_conv_shape s; /* after grouping pixels */
    bool adjoint;
    method method;
    packing pack;
    int64_t together;
    int64_t in[3], out[3];   /* of the input and the result */
    int64_t c, k;            /* channels of a pixel of the input, of the result */
    int64_t step[3], low[3]; /* ROWS: pixel o reads positions o step + low + t dilation of the input */
    bool window;             /* the input or the result goes through a window */
    steps from, to;          /* of what is read and written: the tensor or the window */
    int64_t every;           /* SPREAD: distance between consecutive pixels of a list */
    int64_t bands;           /* with no stride along rows: number of bands of rows */
    int64_t lists, blocks;   /* blocks of one chunk */
    int64_t first_tap;       /* TAPS: one that joins all pixels of the result, or -1 */
    cuts cut;                /* of the result */
    int64_t units, parts;    /* groups by panels, and the pieces they are cut into */
    int64_t slots, pixels;   /* lists that are kept, and their length at most */
    int64_t entries;         /* of all kept lists */
    int64_t window_floats, panel_floats, worker_floats, block_floats;
    bool shared;     /* the kernel is packed once for all pieces */
    exact_sum exact; /* set if zeros are multiplied that the definition does not have; else .s is NULL */
    const float *x, *w, *packed;
    float *y, *private;
    block *block;
    glia_epilogue epilogue;
} job;

/* ---- geometry ----------------------------------------------------------------------------- */

static steps steps_of(const int64_t extents[3], int64_t channels) {
    int64_t row = extents[2] * channels, plane = extents[1] * row;
    return (steps){ extents[0] * plane, plane, row, channels };
}

/* Positions along an axis that `outputs` pixels read, from first to last. */
static int64_t span(const job *j, int axis, int64_t outputs) {
    return (outputs - 1) * j->step[axis] + (j->s.kernel[axis] - 1) * j->s.dilation[axis] + 1;
}

/* Along one axis: pairs of pixels that taps join; and a tap that reaches every pixel of the result, or -1. */
static int64_t count_pairs(const job *j, int axis, int64_t *reaching) {
    int64_t pairs = 0;
    *reaching = -1;
    for (int64_t t = 0; t < j->s.kernel[axis]; t++) {
        int64_t from, to;
        joined(&j->s, axis, t, 0, j->s.in[axis], 0, j->s.out[axis], &from, &to);
        pairs += to - from;
        if (to - from == j->out[axis] && *reaching < 0) *reaching = t;
    }
    return pairs;
}

/* The rows of the kernel that reach row `row` of the result. */
static band band_of(const job *j, int64_t row) {
    const int64_t gap = j->s.dilation[1], at = row + j->s.pad[1];
    int64_t first = GLIA_MAX(0, divide_up(at - j->in[1] + 1, gap));
    return (band){ row, row + 1, first, GLIA_MAX(0, GLIA_MIN(j->s.kernel[1] - 1, at / gap) - first + 1) };
}

/* Advances to the next band; the first call takes {0}. False: there is none. */
static bool next_band(const job *j, band *b) {
    if (b->to >= j->out[1]) return false;
    for (*b = band_of(j, b->to); b->to < j->out[1]; b->to++) {
        const band next = band_of(j, b->to);
        if (next.first != b->first || next.count != b->count) break;
    }
    return true;
}

static bool has_borders(const job *j) {
    for (int a = 0; a < 3; a++) {
        if (j->low[a] < 0 || j->low[a] + span(j, a, j->out[a]) > j->in[a]) return true;
    }
    return false;
}

/* ---- choosing ----------------------------------------------------------------------------- */

static int64_t k_block(void) { return K_FLOATS / NR; }

/* The cost of each method in cycles for one image and group. A tile costs about 5 cycles a row besides its products. */
static void choose_method(job *j) {
    const packing *p = &j->pack;
    const int64_t *taps = j->s.kernel;
    const double chunks = (double)divide_up(p->c, k_block()), columns = panel_cost(j->together * p->k) / 2;
    const double pixels = (double)volume(j->out);
    int64_t reaching, pairs[3];
    for (int a = 0; a < 3; a++) pairs[a] = count_pairs(j, a, &reaching);
    double by_taps = (double)volume(pairs) * ((double)p->c + 5 * chunks) * columns;
    j->method = TAPS;

    bool strided = j->adjoint && volume(j->s.stride) > 1;
    double runs = (double)(taps[0] * divide_up(taps[1] * taps[2] * p->c, k_block()));
    double by_rows = pixels * ((double)(volume(taps) * p->c) + 5 * runs) * columns;
    for (int a = 0; a < 3 && !strided; a++) {
        j->step[a] = j->adjoint ? 1 : j->s.stride[a];
        j->low[a] = j->adjoint ? j->s.pad[a] - (taps[a] - 1) * j->s.dilation[a] : -j->s.pad[a];
    }
    j->window = !strided && has_borders(j);
    if (j->window)
        by_rows += 0.15 * (double)(span(j, 0, j->out[0]) * span(j, 1, j->out[1]) * span(j, 2, j->out[2]) * p->c);
    if (j->together > 1 || (!strided && by_rows < by_taps)) j->method = ROWS;

    double least = j->method == ROWS ? by_rows : by_taps;
    const double sums = (double)(pairs[0] * (j->s.stride[1] > 1 ? pairs[1] : j->out[1]) * j->in[2]);
    double by_runs =
        ((double)(volume(pairs) / pairs[2] * j->in[2] * p->c) + 9 * sums * chunks) * panel_cost(p->k * taps[2]) / 2;
    bool gaps = j->s.dilation[2] > 1 || taps[2] == 1 || !j->adjoint;
    if (!gaps && by_runs + 0.5 * pixels * (double)p->k < least) j->method = SPREAD;
}

/* The utilisation of tiles and threads by pieces of this many pixels, at most 1. */
static double fit(const job *j, int64_t pixels, int64_t regions, int64_t want) {
    int64_t pieces = regions * GLIA_MIN(divide_up(want, regions), j->units);
    double tiles = (double)pixels / (double)(pixels + 8);
    return tiles * (pieces < 64 ? (double)pieces / (double)round_up(pieces, want) : 1);
}

/* Floats read and written for each pixel of the result. */
static double floats_of_pixel(const job *j) {
    return (double)(volume(j->in) * j->c) / (double)volume(j->out) + (double)j->k;
}

/* Cuts the result into regions, and the columns into parts. */
static void choose_regions(job *j) {
    const int64_t pixels = volume(j->out), n = j->s.n;
    double flops =
        2.0 * (double)(n * volume(j->s.out) * volume(j->s.kernel)) * (double)(j->c * j->k) / (double)j->s.groups;
    int64_t want = 1 + (int64_t)GLIA_MIN(flops / PIECE_FLOPS, MIN_PIECES - 1.0);
    int64_t most = GLIA_MAX(MR, GLIA_MIN(REGION_PIXELS, (int64_t)(REGION_FLOATS / floats_of_pixel(j))));
    double best = -1;
    for (int64_t i = 1; i <= n && (i == 1 || i * pixels <= most); i++) {
        int64_t regions = divide_up(n, i);
        double score = fit(j, i * pixels, regions, want) * (double)n / (double)(regions * i);
        if (score > best * 1.001) best = score, j->cut.images = i;
    }
    if (pixels > most) best = -1;
    for (int64_t h = 1; h < j->out[1] && (best < 0 || n < want); h++) {
        if (h > 1 && h * j->out[2] > most) break;
        int64_t parts = divide_up(j->out[1], h);
        double halo = j->method == TAPS ? 1 : 1 - 0.05 * (double)j->s.kernel[1] / (double)(h + j->s.kernel[1]);
        double score =
            fit(j, h * j->out[2], n * j->out[0] * parts, want) * halo * (double)j->out[1] / (double)(parts * h);
        if (score > best * 1.001) best = score, j->cut.rows = h, j->cut.images = 0;
    }
    j->cut.columns = j->out[2];
    if (j->out[2] > most && j->method != SPREAD) { /* split a row that is too long */
        j->cut.images = 0, j->cut.rows = 1;
        j->cut.columns = divide_up(j->out[2], divide_up(j->out[2], most));
    }
    j->cut.regions = count_regions(&j->cut, j->out, n);
    j->parts = GLIA_MIN(divide_up(want, j->cut.regions), j->units);
}

/* ---- planning ----------------------------------------------------------------------------- */

static void make_packing(job *j) {
    const glia_conv_shape *s = &j->s;
    packing *p = &j->pack;
    const int64_t kernel_row = s->kernel[2], taps = volume(s->kernel);
    p->groups = s->groups;
    p->c = (j->adjoint ? s->k : s->c) / s->groups, p->k = (j->adjoint ? s->c : s->k) / s->groups;
    p->c_step = (j->adjoint ? p->k : 1) * taps, p->k_step = (j->adjoint ? 1 : p->c) * taps;
    p->group_step = p->c * p->k * taps;
    p->kernel_row = kernel_row, p->stride = s->stride[2];
    j->together = j->adjoint ? 1 : choose_together(s);
    take_together(&j->s, j->together);
}

/* Derives the panels' columns and taps, lists and blocks from the method. */
static void arrange(job *j) {
    packing *p = &j->pack;
    const int64_t *taps = j->s.kernel;
    p->row = taps[2];
    p->cols = j->method == SPREAD ? taps[2] * p->k : j->together * p->k;
    p->taps = j->method == SPREAD ? taps[0] * taps[1] : volume(taps);
    p->order = j->together > 1       ? PACK_TOGETHER
               : j->method == SPREAD ? PACK_SPREAD
               : j->method == TAPS   ? PACK_TAPS
               : j->adjoint          ? PACK_FLIPPED
                                     : PACK_TAPS;
    p->chunk = j->method == ROWS ? p->c : round_up(divide_up(p->c, divide_up(p->c, k_block())), 16);
    j->every = j->method == SPREAD ? divide_up(taps[2], j->s.stride[2]) : 1;
    if (j->method == SPREAD && j->s.stride[1] == 1) {
        for (band b = { 0 }; next_band(j, &b);) j->bands++;
    }
    j->lists = j->method == ROWS ? 1 : j->bands ? taps[0] * j->bands : p->taps;
    j->units = j->method == SPREAD ? p->groups : p->groups * panels_of(p->cols);
}

/* Strides of what is read and written, and memory. */
static void measure(job *j) {
    const packing *p = &j->pack;
    const int64_t images = GLIA_MAX(j->cut.images, 1), depths = j->cut.images ? j->out[0] : 1;
    const int64_t rows = j->cut.images ? j->out[1] : j->cut.rows;
    j->from = steps_of(j->in, j->c), j->to = steps_of(j->out, j->k);
    j->pixels = images * depths * rows * (j->method == SPREAD ? j->in[2] : j->cut.columns);
    if (j->method == ROWS && j->window) {
        const int64_t extents[3] = { span(j, 0, depths), span(j, 1, rows), span(j, 2, j->cut.columns) };
        j->from = steps_of(extents, p->c);
        j->window_floats = images * j->from.image;
    } else if (j->method == SPREAD) {
        int64_t reach = (j->in[2] - 1) * j->s.stride[2] + j->s.kernel[2];
        const int64_t extents[3] = { depths, rows, GLIA_MAX(j->out[2] + j->s.pad[2], reach) };
        j->to = steps_of(extents, p->k);
        j->window_floats = images * j->to.image;
    }
    j->window_floats = round_up(j->window_floats, 16);
    j->panel_floats = j->shared ? 0 : panel_width(GLIA_MIN(p->cols, NR)) * p->taps * GLIA_MIN(p->chunk, p->c);
    j->panel_floats = round_up(j->panel_floats, 16);
    j->slots = j->bands || j->lists * j->pixels <= LIST_ENTRIES ? j->lists : 1;
    j->entries = (j->bands ? j->s.kernel[0] : j->slots) * j->pixels; /* bands have no pixels in common */
    const int64_t integers = 2 * j->entries + j->slots * (int64_t)(sizeof(slot) / sizeof(int64_t));
    j->worker_floats = j->window_floats + j->panel_floats + round_up(2 * integers, 16);
    j->block_floats = round_up(j->blocks * divide_up(p->c, p->chunk) * (int64_t)(sizeof(block) / sizeof(float)), 16);
}

/* Blocks for `count` runs of k, p_outer apart in the input; NULL: only counts. */
static int64_t put_runs(block *b, int64_t p, int64_t q, int64_t count, int64_t p_outer, int64_t run) {
    int64_t n = 0, together = GLIA_MAX(1, k_block() / run), parts = divide_up(run, k_block());
    int64_t part = parts > 1 ? round_up(divide_up(run, parts), 16) : run;
    for (int64_t i = 0; i < count; i += together) {
        for (int64_t at = 0; at < run; at += part, n++) {
            if (!b) continue;
            b[n] = (block){ 0,
                            p + i * p_outer + at,
                            q + i * run + at,
                            GLIA_MIN(together, count - i),
                            GLIA_MIN(part, run - at),
                            p_outer,
                            { 0 } };
        }
    }
    return n;
}

/* Blocks of ROWS; returns their number. */
static int64_t put_rows(const job *j, block *b) {
    const int64_t *taps = j->s.kernel, *gap = j->s.dilation, c = j->pack.c;
    bool joined_rows = taps[2] == 1 || gap[2] * j->from.pixel == c;
    int64_t n = 0, run = taps[2] * c;
    for (int64_t d = 0; d < taps[0]; d++) {
        const int64_t p = d * gap[0] * j->from.plane, q = d * taps[1] * run;
        if (joined_rows) {
            n += put_runs(b ? b + n : NULL, p, q, taps[1], gap[1] * j->from.row, run);
            continue;
        }
        for (int64_t h = 0; h < taps[1]; h++) {
            n += put_runs(b ? b + n : NULL, p + h * gap[1] * j->from.row, q + h * run, taps[2], gap[2] * j->from.pixel,
                          c);
        }
    }
    return n;
}

/* Blocks of TAPS and SPREAD: one for each list and chunk, the first tap first. */
static void put_taps(const job *j, block *b) {
    for (int64_t c = 0; c < j->pack.c; c += j->pack.chunk) {
        const int64_t n = GLIA_MIN(j->pack.chunk, j->pack.c - c), first = GLIA_MAX(j->first_tap, 0);
        for (int64_t i = 0; i < j->lists; i++) {
            int64_t of = i == 0 ? first : i <= first ? i - 1 : i;
            *b++ = (block){ of, c, of * n, 1, n, 0, { 0 } };
        }
    }
}

/* Blocks of SPREAD in bands, the same way. */
static void put_bands(const job *j, block *b) {
    for (int64_t c = 0; c < j->pack.c; c += j->pack.chunk) {
        const int64_t n = GLIA_MIN(j->pack.chunk, j->pack.c - c);
        int64_t index = 0;
        for (int64_t d = 0; d < j->s.kernel[0]; d++) {
            for (band rows = { 0 }; next_band(j, &rows);) {
                const int64_t q = (d * j->s.kernel[1] + rows.first) * n, step = -j->s.dilation[1] * j->from.row;
                *b++ = (block){ index++, c, q, rows.count, n, step, rows };
            }
        }
    }
}

static job make_job(const glia_conv_shape *s, bool adjoint, bool packed) {
    job j = { .s = *s, .adjoint = adjoint };
    if (s->n < 1 || s->c < 1 || s->k < 1 || volume(s->in) < 1 || volume(s->out) < 1) return j;
    make_packing(&j);
    for (int a = 0; a < 3; a++) {
        j.in[a] = adjoint ? j.s.out[a] : j.s.in[a], j.out[a] = adjoint ? j.s.in[a] : j.s.out[a];
    }
    j.c = adjoint ? j.s.k : j.s.c, j.k = adjoint ? j.s.c : j.s.k;
    choose_method(&j);
    arrange(&j);
    choose_regions(&j);
    j.shared = packed || j.cut.regions > 1;
    j.blocks = j.lists;
    measure(&j);
    if (j.method == ROWS) {
        j.blocks = put_rows(&j, NULL);
        measure(&j);
    }
    int64_t reaching[3];
    for (int a = 0; a < 3; a++) count_pairs(&j, a, &reaching[a]);
    bool whole = j.method == TAPS && reaching[0] >= 0 && reaching[1] >= 0 && reaching[2] >= 0;
    j.first_tap = whole ? (reaching[0] * j.s.kernel[1] + reaching[1]) * j.s.kernel[2] + reaching[2] : -1;
    return j;
}

/* ---- lists -------------------------------------------------------------------------------- */

/* What a worker uses for one region. */
typedef struct work {
    const job *j;
    region r;
    int worker;
    float *window, *panel;
    int64_t *p_at, *c_at; /* of lists */
    slot *slots;
    int64_t listed; /* entries of all bands so far */
} work;

/* All pixels of the region. */
static int64_t list_pixels(const work *w, int64_t *p_at, int64_t *c_at) {
    const job *j = w->j;
    const region *r = &w->r;
    int64_t n0 = j->window ? r->n0 : 0, base[3] = { 0 }, count = 0;
    const int64_t first[3] = { r->d0, r->h0, r->w0 };
    for (int a = 0; a < 3; a++) base[a] = j->low[a] - (j->window ? j->low[a] + first[a] * j->step[a] : 0);
    for (int64_t n = r->n0; n < r->n1; n++) {
        for (int64_t d = r->d0; d < r->d1; d++) {
            for (int64_t h = r->h0; h < r->h1; h++) {
                int64_t p = (n - n0) * j->from.image + (d * j->step[0] + base[0]) * j->from.plane +
                            (h * j->step[1] + base[1]) * j->from.row + base[2] * j->from.pixel;
                int64_t c = n * j->to.image + d * j->to.plane + h * j->to.row, p_step = j->step[2] * j->from.pixel;
                for (int64_t x = r->w0; x < r->w1; x++, count++) {
                    p_at[count] = p + x * p_step;
                    c_at[count] = c + x * j->to.pixel;
                }
            }
        }
    }
    return count;
}

/* Pixels that a tap joins; in SPREAD those of a row of taps, or of a band's first, with the first of their results in
 * the window. */
static int64_t list_joined(const work *w, const block *b, int64_t *p_at, int64_t *c_at) {
    const job *j = w->j;
    const region *r = &w->r;
    const bool spread = j->method == SPREAD;
    const int64_t tap_extents[3] = { j->s.kernel[0], j->s.kernel[1], spread ? 1 : j->s.kernel[2] };
    int64_t low[3] = { r->d0, r->h0, r->w0 }, high[3] = { r->d1, r->h1, r->w1 };
    const steps x = j->adjoint ? j->to : j->from, y = j->adjoint ? j->from : j->to;
    int64_t t[3], from[3], to[3], shift[3], count = 0;
    place_of(tap_extents, b->list, t);
    if (j->bands) {
        t[0] = b->list / j->bands, t[1] = b->rows.first;
        low[1] = GLIA_MAX(low[1], b->rows.from), high[1] = b->rows.count > 0 ? GLIA_MIN(high[1], b->rows.to) : low[1];
    }
    for (int a = 0; a < 3; a++) {
        shift[a] = t[a] * j->s.dilation[a] - j->s.pad[a];
        if (j->adjoint)
            joined(&j->s, a, t[a], low[a], high[a], 0, j->in[a], &from[a], &to[a]);
        else
            joined(&j->s, a, t[a], 0, j->in[a], low[a], high[a], &from[a], &to[a]);
    }
    int64_t x0[3] = { 0 }, x_n0 = 0;
    if (spread) {
        from[2] = 0, to[2] = j->in[2], shift[2] = 0;
        x_n0 = r->n0, x0[0] = r->d0, x0[1] = r->h0;
    }
    int64_t *x_at = j->adjoint ? c_at : p_at, *y_at = j->adjoint ? p_at : c_at;
    for (int64_t first = from[2]; first < GLIA_MIN(from[2] + j->every, to[2]); first++) {
        for (int64_t n = r->n0; n < r->n1; n++) {
            for (int64_t d = from[0]; d < to[0]; d++) {
                for (int64_t h = from[1]; h < to[1]; h++) {
                    int64_t at_y = n * y.image + d * y.plane + h * y.row;
                    int64_t at_x = (n - x_n0) * x.image + (d * j->s.stride[0] + shift[0] - x0[0]) * x.plane +
                                   (h * j->s.stride[1] + shift[1] - x0[1]) * x.row + shift[2] * x.pixel;
                    for (int64_t o = first; o < to[2]; o += j->every, count++) {
                        x_at[count] = at_x + o * j->s.stride[2] * x.pixel;
                        y_at[count] = at_y + o * y.pixel;
                    }
                }
            }
        }
    }
    return count;
}

/* A block's list, made on first use. */
static list list_of(work *w, const block *b) {
    const job *j = w->j;
    const int64_t index = j->slots > 1 ? b->list : 0;
    slot *kept = w->slots + index;
    if (kept->list != b->list) {
        kept->list = b->list, kept->at = j->bands ? w->listed : index * j->pixels;
        int64_t *p_at = w->p_at + kept->at, *c_at = w->c_at + kept->at;
        kept->count = j->method == ROWS ? list_pixels(w, p_at, c_at) : list_joined(w, b, p_at, c_at);
        w->listed += kept->count;
    }
    return (list){ kept->count, w->p_at + kept->at, w->c_at + kept->at };
}

/* ---- windows ------------------------------------------------------------------------------ */

/* n pixels of c floats, src_step apart. */
static void copy_pixels(float *dst, int64_t dst_step, const float *src, int64_t src_step, int64_t n, int64_t c) {
    if (dst_step == c && src_step == c) {
        memcpy(dst, src, (size_t)(n * c) * sizeof(float));
        return;
    }
    for (int64_t i = 0; i < n; i++) copy_floats(dst + i * dst_step, src + i * src_step, c);
}

/* Copies a group's input channels for the region into a zero-padded window. */
static void fill_window(const work *w, int64_t group) {
    const job *j = w->j;
    const region *r = &w->r;
    const int64_t c = j->pack.c, width = span(j, 2, r->w1 - r->w0), x0 = r->w0 * j->step[2] + j->low[2];
    const int64_t left = GLIA_MIN(GLIA_MAX(0, -x0), width), stop = GLIA_MAX(left, GLIA_MIN(width, j->in[2] - x0));
    const int64_t depths = span(j, 0, r->d1 - r->d0), rows = span(j, 1, r->h1 - r->h0);
    const steps in = steps_of(j->in, j->c);
    for (int64_t n = r->n0; n < r->n1; n++) {
        for (int64_t d = 0; d < depths; d++) {
            for (int64_t h = 0; h < rows; h++) {
                float *dst = w->window + (n - r->n0) * j->from.image + d * j->from.plane + h * j->from.row;
                int64_t z = r->d0 * j->step[0] + j->low[0] + d, y = r->h0 * j->step[1] + j->low[1] + h;
                if (z < 0 || z >= j->in[0] || y < 0 || y >= j->in[1]) {
                    memset(dst, 0, (size_t)(width * c) * sizeof(float));
                    continue;
                }
                const float *src = j->x + n * in.image + z * in.plane + y * in.row + (x0 + left) * in.pixel + group * c;
                memset(dst, 0, (size_t)(left * c) * sizeof(float));
                copy_pixels(dst + left * c, c, src, in.pixel, stop - left, c);
                memset(dst + stop * c, 0, (size_t)((width - stop) * c) * sizeof(float));
            }
        }
    }
}

/* Copies the window of a result to the result. */
static void empty_window(const work *w, int64_t group) {
    const job *j = w->j;
    const region *r = &w->r;
    const int64_t k = j->pack.k;
    const steps out = steps_of(j->out, j->k);
    for (int64_t n = r->n0; n < r->n1; n++) {
        for (int64_t d = r->d0; d < r->d1; d++) {
            for (int64_t h = r->h0; h < r->h1; h++) {
                const float *src = w->window + (n - r->n0) * j->to.image + (d - r->d0) * j->to.plane +
                                   (h - r->h0) * j->to.row + j->s.pad[2] * k;
                copy_pixels(j->y + n * out.image + d * out.plane + h * out.row + group * k, j->k, src, k, j->out[2], k);
            }
        }
    }
}

/* ---- pieces ------------------------------------------------------------------------------- */

/* One panel of columns for all pixels of the region. */
static void run_panel(work *w, int64_t group, int64_t panel) {
    const job *j = w->j;
    const packing *p = &j->pack;
    const int64_t cols = panel_cols(p->cols, panel), width = panel_width(cols);
    glia_conv_tile a = { .add = j->method == SPREAD || (j->method == TAPS && j->first_tap < 0) };
    const float *from = j->method == ROWS && j->window ? w->window : j->x + group * p->c;
    float *to = j->method == SPREAD ? w->window + panel * NR : j->y + group * p->k + panel * NR;
    const block *b = j->block;
    for (int64_t c0 = 0; c0 < p->c; c0 += p->chunk) {
        const float *q = w->panel;
        if (j->shared)
            q = j->packed + packed_at(p, group, panel) + p->taps * c0 * width;
        else
            GLIA_KERNEL(conv_pack)(p, j->w, group, panel, c0, w->panel);
        for (int64_t i = 0; i < j->blocks; i++, b++, a.add = true) {
            list l = list_of(w, b);
            a.outer = b->outer, a.inner = b->inner;
            a.p = from + b->p, a.p_at = l.p_at, a.p_outer = b->p_outer;
            a.q = q + b->q * width, a.q_outer = b->inner * width;
            a.c = to, a.c_at = l.c_at;
            sweep(&a, CONV_RUNS, l.count, cols);
        }
    }
}

/* Zeroes columns [col, col + cols) of the region's pixels if tiles only add. */
static void clear(const work *w, float *y, int64_t pixels, int64_t cols) {
    const job *j = w->j;
    if (j->method == SPREAD) memset(w->window, 0, (size_t)((w->r.n1 - w->r.n0) * j->to.image) * sizeof(float));
    if (j->method != TAPS || j->first_tap >= 0) return;
    if (cols == j->k)
        memset(y, 0, (size_t)(pixels * cols) * sizeof(float));
    else
        for (int64_t i = 0; i < pixels; i++) memset(y + i * j->k, 0, (size_t)cols * sizeof(float));
}

static void run_piece(void *context, int64_t piece, int worker) {
    const job *j = context;
    const packing *p = &j->pack;
    float *memory = j->private + worker * j->worker_floats;
    work w = { .j = j, .r = region_of(&j->cut, j->out, j->s.n, piece / j->parts), .worker = worker, .window = memory };
    w.panel = w.window + j->window_floats;
    w.p_at = (int64_t *)(void *)(w.panel + j->panel_floats);
    w.c_at = w.p_at + j->entries;
    w.slots = (slot *)(void *)(w.c_at + j->entries);
    for (int64_t i = 0; i < j->slots; i++) w.slots[i].list = -1;
    const region *r = &w.r;
    const int64_t row = ((r->n0 * j->out[0] + r->d0) * j->out[1] + r->h0) * j->out[2] + r->w0;
    const int64_t pixels = (r->n1 - r->n0) * (r->d1 - r->d0) * (r->h1 - r->h0) * (r->w1 - r->w0);
    const int64_t panels = j->units / p->groups, part = piece % j->parts;
    const int64_t end = j->units * (part + 1) / j->parts;
    for (int64_t u = j->units * part / j->parts, stop; u < end; u = stop) {
        const int64_t group = u / panels, first = u % panels;
        stop = GLIA_MIN(end, (group + 1) * panels);
        const bool spread = j->method == SPREAD;
        const int64_t last = spread ? panels_of(p->cols) : stop - group * panels;
        const int64_t col = spread ? 0 : first * NR, cols = spread ? p->k : GLIA_MIN(p->cols, last * NR) - col;
        float *y = j->y + row * j->k + group * p->k + col;
        if (j->method == ROWS && j->window) fill_window(&w, group);
        clear(&w, y, pixels, cols);
        for (int64_t panel = first; panel < last; panel++) run_panel(&w, group, panel);
        if (spread) empty_window(&w, group);
        const int64_t g = j->together;
        if (j->exact.s) GLIA_KERNEL(conv_exact)(&j->exact, row * g, pixels * g, group * p->k + col, cols / g);
        if (!j->epilogue.fn) continue;
        j->epilogue.fn(j->epilogue.context, worker, 0, row * g, pixels * g, group * p->k + col, cols / g, y, j->k / g);
    }
}

/* ---- entries ------------------------------------------------------------------------------ */

typedef struct pack_task {
    const job *j;
    float *packed;
} pack_task;

/* One chunk of one panel of the kernel packed for all. */
static void pack_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const pack_task *task = context;
    const packing *p = &task->j->pack;
    const int64_t panels = panels_of(p->cols), chunks = divide_up(p->c, p->chunk);
    const int64_t c0 = piece % chunks * p->chunk, panel = piece / chunks % panels, group = piece / chunks / panels;
    const int64_t at = packed_at(p, group, panel) + p->taps * c0 * panel_width(panel_cols(p->cols, panel));
    GLIA_KERNEL(conv_pack)(p, task->j->w, group, panel, c0, task->packed + at);
}

static void pack(glia_pool *pool, const job *j, float *packed) {
    const packing *p = &j->pack;
    const int64_t pieces = p->groups * panels_of(p->cols) * divide_up(p->c, p->chunk);
    pack_task task = { j, packed };
    glia_parallel_for(packed_floats(p) > SERIAL_FLOATS ? pool : NULL, pieces, pack_piece, &task);
}

/* Floats of the unpacked kernel; with Winograd packing it is kept behind the packed one. */
static int64_t kernel_floats(const glia_conv_shape *s) { return s->k * (s->c / s->groups) * volume(s->kernel); }

static size_t packed_bytes(const glia_conv_shape *s, bool adjoint) {
    if (is_depthwise(s)) return (size_t)depthwise_floats(s) * sizeof(float);
    if (!adjoint && is_few(s)) return (size_t)few_floats(s) * sizeof(float);
    const int64_t pointwise = adjoint ? 0 : GLIA_KERNEL(pointwise_floats)(s);
    if (pointwise) return (size_t)pointwise * sizeof(float);
    const int64_t winograd = GLIA_KERNEL(winograd_floats)(s, adjoint);
    if (winograd) return (size_t)(winograd + round_up(kernel_floats(s), 16)) * sizeof(float);
    job j = make_job(s, adjoint, true);
    return j.cut.regions ? (size_t)round_up(packed_floats(&j.pack), 16) * sizeof(float) : 0;
}

static void pack_only(glia_pool *pool, const glia_conv_shape *s, bool adjoint, const float *kernel, float *packed) {
    if (is_depthwise(s)) {
        GLIA_KERNEL(depthwise_pack)(s, kernel, packed);
        return;
    }
    if (!adjoint && is_few(s)) {
        GLIA_KERNEL(few_pack)(s, kernel, packed);
        return;
    }
    if (!adjoint && GLIA_KERNEL(pointwise_floats)(s)) {
        GLIA_KERNEL(pointwise_pack)(pool, s, kernel, packed);
        return;
    }
    const int64_t winograd = GLIA_KERNEL(winograd_floats)(s, adjoint);
    if (winograd) {
        GLIA_KERNEL(winograd_pack)(pool, s, adjoint, kernel, packed);
        memcpy(packed + winograd, kernel, (size_t)kernel_floats(s) * sizeof(float));
        return;
    }
    job j = make_job(s, adjoint, true);
    j.w = kernel;
    if (j.cut.regions) pack(pool, &j, packed);
}

static size_t scratch_bytes(const glia_conv_shape *s, bool adjoint, bool packed, int workers) {
    if (is_depthwise(s)) return packed ? 0 : (size_t)depthwise_floats(s) * sizeof(float);
    if (!adjoint && is_few(s)) {
        return GLIA_KERNEL(few_scratch)(s, workers) + (packed ? 0 : (size_t)few_floats(s) * sizeof(float));
    }
    const int64_t pointwise = adjoint ? 0 : GLIA_KERNEL(pointwise_floats)(s);
    if (pointwise) return GLIA_KERNEL(pointwise_scratch)(s, workers) + (packed ? 0 : (size_t)pointwise * sizeof(float));
    const int64_t winograd = GLIA_KERNEL(winograd_floats)(s, adjoint);
    if (winograd) {
        return GLIA_KERNEL(winograd_scratch)(s, adjoint, workers) + (packed ? 0 : (size_t)winograd * sizeof(float));
    }
    job j = make_job(s, adjoint, packed);
    if (!j.cut.regions) return 0;
    int64_t shared = j.shared && !packed ? round_up(packed_floats(&j.pack), 16) : 0;
    return (size_t)(shared + j.block_floats + workers * j.worker_floats) * sizeof(float);
}

static void run(glia_pool *pool, job *j, const float *packed, float *scratch) {
    if (!j->cut.regions) return;
    j->packed = packed;
    if (!packed && j->shared) {
        pack(pool, j, scratch);
        j->packed = scratch;
        scratch += round_up(packed_floats(&j->pack), 16);
    }
    j->block = (block *)(void *)scratch;
    j->private = scratch + j->block_floats;
    if (j->method == ROWS)
        put_rows(j, j->block);
    else if (j->bands)
        put_bands(j, j->block);
    else
        put_taps(j, j->block);
    glia_parallel_for(pool, j->cut.regions * j->parts, run_piece, j);
}

static void convolve(glia_pool *pool, const glia_conv_shape *s, bool adjoint, const float *x, const float *kernel,
                     const float *packed, float *y, glia_epilogue epilogue, float *scratch) {
    if (is_depthwise(s)) {
        if (!packed) GLIA_KERNEL(depthwise_pack)(s, kernel, scratch);
        GLIA_KERNEL(depthwise_f32)(pool, s, adjoint, x, packed ? packed : scratch, y, epilogue);
        return;
    }
    if (!adjoint && is_few(s)) {
        if (!packed) {
            GLIA_KERNEL(few_pack)(s, kernel, scratch);
            packed = scratch, scratch += few_floats(s);
        }
        GLIA_KERNEL(few_f32)(pool, s, x, packed, y, epilogue, scratch);
        return;
    }
    const int64_t pointwise = adjoint ? 0 : GLIA_KERNEL(pointwise_floats)(s);
    if (pointwise) {
        if (!packed) {
            GLIA_KERNEL(pointwise_pack)(pool, s, kernel, scratch);
            packed = scratch, scratch += pointwise;
        }
        GLIA_KERNEL(pointwise_f32)(pool, s, x, packed, y, epilogue, scratch);
        return;
    }
    const int64_t winograd = GLIA_KERNEL(winograd_floats)(s, adjoint);
    if (winograd) {
        if (packed) {
            kernel = packed + winograd;
        } else {
            GLIA_KERNEL(winograd_pack)(pool, s, adjoint, kernel, scratch);
            packed = scratch, scratch += winograd;
        }
        GLIA_KERNEL(winograd_f32)(pool, s, adjoint, x, kernel, packed, y, epilogue, scratch);
        return;
    }
    job j = make_job(s, adjoint, packed);
    j.x = x, j.w = kernel, j.y = y, j.epilogue = epilogue;
    const int64_t floats = packed ? packed_floats(&j.pack) : kernel_floats(s);
    if (j.together > 1 || (j.method == ROWS && j.window &&
                           !GLIA_KERNEL(conv_padding_is_safe)(s, packed ? packed : kernel, floats))) {
        j.exact = (exact_sum){ s, adjoint, x, GLIA_KERNEL(conv_view)(s, adjoint, kernel), y };
        if (packed) j.exact.kernel = (kernel_view){ .at = packed, .panels = &j.pack };
    }
    run(pool, &j, packed, scratch);
}

size_t GLIA_KERNEL(conv_f32_packed)(const glia_conv_shape *shape) { return packed_bytes(shape, false); }
size_t GLIA_KERNEL(conv_input_grad_f32_packed)(const glia_conv_shape *shape) { return packed_bytes(shape, true); }

void GLIA_KERNEL(conv_f32_pack)(glia_pool *pool, const glia_conv_shape *shape, const float *kernel, float *packed) {
    pack_only(pool, shape, false, kernel, packed);
}

void GLIA_KERNEL(conv_input_grad_f32_pack)(glia_pool *pool, const glia_conv_shape *shape, const float *kernel,
                                           float *packed) {
    pack_only(pool, shape, true, kernel, packed);
}

size_t GLIA_KERNEL(conv_f32_scratch)(const glia_conv_shape *shape, bool packed, int workers) {
    return scratch_bytes(shape, false, packed, workers);
}

size_t GLIA_KERNEL(conv_input_grad_f32_scratch)(const glia_conv_shape *shape, bool packed, int workers) {
    return scratch_bytes(shape, true, packed, workers);
}

void GLIA_KERNEL(conv_f32)(glia_pool *pool, const glia_conv_shape *shape, const float *x, const float *kernel,
                           const float *packed, float *y, glia_epilogue epilogue, void *scratch) {
    convolve(pool, shape, false, x, kernel, packed, y, epilogue, scratch);
}

void GLIA_KERNEL(conv_input_grad_f32)(glia_pool *pool, const glia_conv_shape *shape, const float *dy,
                                      const float *kernel, const float *packed, float *dx, glia_epilogue epilogue,
                                      void *scratch) {
    convolve(pool, shape, true, dy, kernel, packed, dx, epilogue, scratch);
}
