/* conv.c - convolution and its adjoint in the input, as implicit matrix products.
 *
 * y = W X for each group: W (K/groups, C/groups taps) are the filters, packed once, and X (C/groups taps, pixels) is what
 * the taps see at every output pixel. X never exists as a whole: panels of NR pixels by some hundred rows are packed from
 * the input just before they are used, a short run of pixels at a time. Pixels of all images of a region stand in one
 * line, so that images of a few pixels still fill vectors. A run that is shorter than a vector is copied as a whole
 * vector; the next run overwrites what was too much. With few filters packing does not pay: then pixels are counted along
 * the rows of the input, the columns between rows being computed for nothing, and tiles read the input itself.
 *
 * The adjoint, dx from dy, is the same sum seen from x: pixel i of x gets dy[o] W[t] for o stride - pad + t dilation = i.
 * Pixels with the same i modulo stride (a phase) use the same taps, and o moves with i one by one: each phase is a
 * convolution of dy without stride by some of the taps in reverse order. Near the borders whole rows of taps fall outside
 * dy. So X has the taps' rows outermost there, and bands of pixels that see the same rows leave out the others.
 */
#include "backend/cpu/conv.h"

enum {
    K_BLOCK = 320,         /* rows of a panel at most, if one channel's taps are not more */
    Q_FLOATS = 49152,      /* of panels packed at a time: for the second-level cache */
    MAX_PANELS = 16,       /* the same in panels */
    ROW_PANELS = 128 / MR, /* panels of filters for which a packed panel is used */
    REGION_PIXELS = 1024,
    WINDOW_FLOATS = 1 << 17, /* of a region's window, if one image or row is not more */
    PART_FLOPS = 1500000,    /* work worth packing its pixels again for */
    MIN_PIECES = 8           /* if there is work for them */
};

/* One convolution without groups' offsets: filter (k, c, t) is w[w_first + k w_k + c w_c + t . w_t], and pixel o of the output is
 * y_first + o . y_step of a plane. */
typedef struct core {
    field f;
    int64_t w_first, w_k, w_c, w_t[3];
    int64_t y_first, y_step[3];
    int64_t taps, kdim;         /* in all; C/groups taps */
    int64_t tap_rows, row_taps; /* rows of X are [tap_rows][C/groups][row_taps] */
    bool ready, grid, scattered;
    int64_t width; /* of a panel */
    float *packed; /* filters: [groups][k_panels][kdim][MR] */
} core;

/* A whole launch. Channels are those of the sum: in an adjoint c is what the convolution calls k. */
typedef struct job {
    const glia_conv_shape *s;
    bool adjoint;
    int64_t n, groups, c, k;       /* c, k: in a group */
    int64_t y_extents[3], y_plane; /* of an output plane */
    int64_t n_phases, k_panels, w_group;
    int64_t images, rows, regions; /* images in a region; or 0, and rows in a region */
    int64_t parts;                 /* of groups, or of filters if there is one group */
    int64_t packed_floats, window_floats, q_floats, tile_floats, worker_floats, at_count;
    const float *x, *w;
    float *y, *packed, *private;
    glia_epilogue epilogue;
} job;

/* ---- geometry ----------------------------------------------------------------------------- */

static core forward_core(const job *j) {
    const glia_conv_shape *s = j->s;
    core c = { .f = field_of(s) };
    c.w_t[2] = 1, c.w_t[1] = s->kernel[2], c.w_t[0] = s->kernel[1] * s->kernel[2];
    c.w_c = volume(s->kernel), c.w_k = j->c * c.w_c;
    c.y_step[2] = 1, c.y_step[1] = s->out[2], c.y_step[0] = s->out[1] * s->out[2];
    return c;
}

static int64_t gcd(int64_t a, int64_t b) { return b ? gcd(b, a % b) : a; }

/* The pixels of x that are `phase` modulo stride on every axis. */
static core adjoint_core(const job *j, const int64_t phase[3]) {
    const glia_conv_shape *s = j->s;
    const int64_t plane_step[3] = { s->in[1] * s->in[2], s->in[2], 1 };
    const int64_t tap_step[3] = { s->kernel[1] * s->kernel[2], s->kernel[2], 1 };
    core c = { .w_k = volume(s->kernel), .w_c = j->k * volume(s->kernel) };
    for (int a = 0; a < 3; a++) {
        int64_t stride = s->stride[a], dilation = s->dilation[a], every = stride / gcd(stride, dilation);
        int64_t offset = phase[a] + s->pad[a], first = 0;
        while (first < every && (offset - first * dilation) % stride) first++;
        c.f.taps[a] = first < every && first < s->kernel[a] ? (s->kernel[a] - 1 - first) / every + 1 : 0;
        int64_t last = first + (c.f.taps[a] - 1) * every;
        c.f.in[a] = s->out[a], c.f.out[a] = divide_up(s->in[a] - phase[a], stride), c.f.step[a] = 1;
        c.f.gap[a] = every * dilation / stride;
        c.f.low[a] = c.f.taps[a] ? (offset - last * dilation) / stride : 0;
        c.w_t[a] = -every * tap_step[a];
        c.w_first += c.f.taps[a] ? last * tap_step[a] : 0;
        c.y_first += phase[a] * plane_step[a];
        c.y_step[a] = stride * plane_step[a];
    }
    return c;
}

/* Cycles for a row of a panel: copying runs of pixels, or computing columns between rows. */
static bool prefers_grid(const job *j, const core *c) {
    if (j->k > 3 * MR || c->f.out[0] > 1 || c->taps == 1) return false;
    int64_t extents[3];
    window_extents(&c->f, 1, 1, extents);
    int64_t row = c->ready ? c->f.in[2] : extents[2];
    double waste = (double)j->k * ((double)row / (double)c->f.out[2] - 1);
    double copies = GLIA_MIN((double)NR, 1.5 + (double)NR / (double)GLIA_MIN(c->f.out[2], VLEN));
    return waste < copies && c->f.out[2] * c->f.out[1] >= VLEN;
}

static core core_of(const job *j, int64_t phase) {
    const int64_t *stride = j->s->stride;
    const int64_t at[3] = { phase / (stride[1] * stride[2]), phase / stride[2] % stride[1], phase % stride[2] };
    core c = j->adjoint ? adjoint_core(j, at) : forward_core(j);
    c.taps = volume(c.f.taps);
    c.kdim = c.taps * j->c;
    c.tap_rows = j->adjoint ? c.f.taps[1] : 1;
    c.row_taps = c.tap_rows ? c.taps / c.tap_rows : 0;
    c.ready = lies_ready(&c.f);
    c.grid = prefers_grid(j, &c);
    c.scattered = j->n_phases > 1;
    c.width = c.grid && j->k <= WIDE_MR ? WIDE_NR : NR;
    c.packed = j->packed;
    return c;
}

/* Panels of a region. */
static int64_t panels_of(const core *c, const view *v, int64_t images, int64_t depths, int64_t rows) {
    if (c->grid) return images * divide_up((rows - 1) * v->row + c->f.out[2], c->width);
    return divide_up(images * depths * rows * c->f.out[2], c->width);
}

/* ---- planning ----------------------------------------------------------------------------- */

/* How well pieces of so many pixels fill panels and threads, at most 1. */
static double fit(int64_t pixels, int64_t pieces) {
    double panels = (double)pixels / (double)(divide_up(pixels, NR) * NR);
    double threads = pieces < 64 ? (double)pieces / (double)round_up(pieces, 8) : 1;
    return panels * threads;
}

/* Cuts the images into regions. */
static void choose_regions(job *j, const core *c) {
    int64_t pixels = volume(c->f.out), best_rows = 0, best_images = 0;
    double best = -1;
    int64_t per_image = GLIA_MAX(1, window_floats(&c->f, 1, j->c, c->f.out[0], c->f.out[1]));
    int64_t most = GLIA_MAX(1, GLIA_MIN(REGION_PIXELS / pixels, WINDOW_FLOATS / per_image));
    for (int64_t i = 1; i <= GLIA_MIN(most, j->n); i++) {
        double score = fit(i * pixels, divide_up(j->n, i)) * (double)j->n / (double)(divide_up(j->n, i) * i);
        if (score > best * 1.001) best = score, best_images = i;
    }
    bool large = pixels > REGION_PIXELS || per_image > WINDOW_FLOATS || j->n < 8;
    for (int64_t h = 1; h <= c->f.out[1] && large && j->n_phases == 1; h++) {
        int64_t parts = divide_up(c->f.out[1], h), rows_in = (h - 1) * c->f.step[1] + c->f.taps[1];
        if (h > 1 && (h * c->f.out[2] > REGION_PIXELS || window_floats(&c->f, 1, j->c, 1, h) > WINDOW_FLOATS)) break;
        double halo = c->ready ? 1 : 1 - 0.1 * (double)(rows_in - h * c->f.step[1]) / (double)rows_in;
        double score =
            fit(h * c->f.out[2], j->n * c->f.out[0] * parts) * halo * (double)c->f.out[1] / (double)(parts * h);
        if (best_images == 1 && pixels > REGION_PIXELS && !best_rows) best = -1;
        if (score > best * 1.001) best = score, best_rows = h;
    }
    j->rows = best_rows;
    j->images = best_rows ? 0 : best_images;
    j->regions = best_rows ? j->n * c->f.out[0] * divide_up(c->f.out[1], best_rows) : divide_up(j->n, best_images);
}

static void choose_parts(job *j) {
    double flops = 2.0 * (double)j->n * (double)j->groups * (double)(j->k * j->c) * (double)volume(j->s->kernel) *
                   (double)volume(j->s->out);
    int64_t want = 1 + (int64_t)GLIA_MIN(flops / PART_FLOPS, MIN_PIECES - 1.0);
    int64_t units = j->groups > 1 ? j->groups : (j->k_panels + 1) / 2;
    j->parts =
        GLIA_MIN(divide_up(want, GLIA_MAX(j->regions, 1)), units); /* each part packs the region's pixels again */
}

/* Into how many blocks the channels are cut, to pack one block's rows of X at a time. */
static int64_t channel_blocks(const job *j, const core *c) {
    return divide_up(j->c, GLIA_MAX(1, K_BLOCK / GLIA_MAX(c->row_taps, 1)));
}

static int64_t panels_together(const job *j, const core *c) {
    int64_t k = divide_up(j->c, channel_blocks(j, c)) * c->row_taps;
    return GLIA_MAX(1, GLIA_MIN(Q_FLOATS / GLIA_MAX(1, k * NR), MAX_PANELS));
}

/* The largest region's extents for a core: whole images, or one depth and some rows. */
static region largest_region(const job *j, const core *c) {
    return (region){ 0, GLIA_MAX(j->images, 1), 0, j->images ? c->f.out[0] : 1, 0, j->images ? c->f.out[1] : j->rows };
}

static int64_t int64_floats(int64_t count) { return round_up(count * 2, 16); }

typedef struct chunk { /* a run of pixels within a vector: from the view, to a place in the panel */
    int64_t from;
    int32_t to, length;
} chunk;

static void measure(job *j) {
    for (int64_t p = 0; p < j->n_phases; p++) {
        core c = core_of(j, p);
        if (volume(c.f.out) == 0 || c.taps == 0) continue;
        region r = largest_region(j, &c);
        int64_t extents[3];
        window_extents(&c.f, r.d1, r.h1, extents);
        view v = { .row = c.ready ? c.f.in[2] : extents[2] };
        int64_t k = divide_up(j->c, channel_blocks(j, &c)) * c.row_taps;
        j->packed_floats += j->groups * j->k_panels * c.kdim * MR;
        if (!c.ready) {
            j->window_floats = GLIA_MAX(j->window_floats, window_floats(&c.f, r.n1, j->c, r.d1, r.h1));
        }
        int64_t q_floats = c.grid ? c.kdim * c.width : k * NR;
        j->q_floats = GLIA_MAX(j->q_floats, round_up(q_floats, 16) + WIDE_NR);
        j->tile_floats =
            GLIA_MAX(j->tile_floats, panels_of(&c, &v, r.n1, r.d1, r.h1) * c.width * GLIA_MIN(j->k, ROW_PANELS * MR));
        j->at_count = GLIA_MAX(j->at_count, c.kdim + c.taps);
    }
    j->packed_floats = round_up(j->packed_floats, 16);
    j->worker_floats = j->window_floats + j->q_floats + round_up(j->tile_floats, 16) + int64_floats(j->at_count);
}

static job make_job(const glia_conv_shape *s, bool adjoint) {
    job j = { .s = s, .adjoint = adjoint, .n = s->n, .groups = s->groups, .n_phases = 1 };
    j.c = (adjoint ? s->k : s->c) / s->groups;
    j.k = (adjoint ? s->c : s->k) / s->groups;
    for (int a = 0; a < 3; a++) j.y_extents[a] = adjoint ? s->in[a] : s->out[a];
    j.y_plane = volume(j.y_extents);
    j.w_group = s->k / s->groups * (s->c / s->groups) * volume(s->kernel);
    j.k_panels = divide_up(j.k, MR);
    if (adjoint) j.n_phases = volume(s->stride);
    if (j.n < 1 || j.c < 1 || j.k < 1 || j.y_plane < 1) return j;
    core c = core_of(&j, 0);
    choose_regions(&j, &c);
    choose_parts(&j);
    measure(&j);
    return j;
}

/* ---- packing ------------------------------------------------------------------------------ */

static int64_t panel_row(const job *j, int64_t i) { return j->k * i / j->k_panels; }

typedef struct packing {
    const job *j;
    const core *c;
} packing;

/* The filters of one panel of one group, [kdim][MR]. */
static void pack_filters(void *context, int64_t piece, int worker) {
    (void)worker;
    const packing *p = context;
    const job *j = p->j;
    const core *c = p->c;
    int64_t i = piece % j->k_panels, row = panel_row(j, i), rows = panel_row(j, i + 1) - row;
    const float *w = j->w + c->w_first + piece / j->k_panels * j->w_group + row * c->w_k;
    float *dst = c->packed + piece * c->kdim * MR;
    if (!j->adjoint) {
        pack_p(dst, w, c->w_k, 1, rows, c->kdim);
        return;
    }
    for (int64_t t1 = 0; t1 < c->f.taps[1]; t1++) {
        for (int64_t ch = 0; ch < j->c; ch++, dst += c->row_taps * MR) {
            for (int64_t r = 0; r < rows; r++) {
                const float *filter = w + r * c->w_k + ch * c->w_c + t1 * c->w_t[1];
                float *to = dst + r;
                for (int64_t t0 = 0; t0 < c->f.taps[0]; t0++) {
                    for (int64_t t2 = 0; t2 < c->f.taps[2]; t2++, to += MR)
                        *to = filter[t0 * c->w_t[0] + t2 * c->w_t[2]];
                }
            }
        }
    }
}

/* What a worker uses for one region. */
typedef struct work {
    const job *j;
    const core *c;
    region r;
    view v;
    int64_t pixels, panels; /* of the region; pixels of the output */
    int64_t *tap_at, *q_at; /* [tap_rows][row_taps], [kdim] */
    int64_t t0, t1;         /* rows of taps that the pixels see */
    int64_t tap_most;
    float *window, *q, *tiles; /* private memory */
    float *y;                  /* the group's channels of image n0 */
    int64_t tile_step;         /* rows of `tiles` are so far apart */
    bool direct;               /* tiles are written to y itself */
} work;

/* Reads runs of pixels from pixel p of the region; at most NR. Returns their number. safe: a whole vector may be read
 * from each. */
static int find_chunks(const work *w, int64_t p, int64_t channels, chunk *chunks, bool *safe) {
    int64_t ow = w->c->f.out[2], rows = w->r.h1 - w->r.h0, depths = w->r.d1 - w->r.d0;
    int64_t limit = w->v.floats - VLEN - w->tap_most - (channels - 1) * w->v.channel;
    int64_t stop = GLIA_MIN(p + NR, w->pixels), to = 0;
    int n = 0;
    *safe = true;
    while (p < stop) {
        int64_t x = p % ow, h = p / ow % rows, d = p / (ow * rows) % depths, image = p / (ow * rows * depths);
        int64_t from = image * w->v.image + d * w->v.plane + h * w->v.row + x;
        int64_t length = GLIA_MIN(stop - p, w->v.row == ow ? ow * (rows - h) - x : ow - x);
        p += length;
        for (int64_t part; length > 0; length -= part, from += part, to += part) {
            part = GLIA_MIN(length, VLEN);
            chunks[n++] = (chunk){ from, (int32_t)to, (int32_t)part };
            *safe = *safe && from <= limit;
        }
    }
    return n;
}

/* Rows of X for channels [c0, c1) and one row of taps, NR pixels wide, of n chunks that may be read as vectors. */
GLIA_INLINE void pack_vectors(const work *w, float *dst, const chunk *chunks, const int n, int64_t tap_row, int64_t c0,
                              int64_t c1) {
    int64_t from[8], to[8], taps = w->c->row_taps, channel = w->v.channel;
    const int64_t *at = w->tap_at + tap_row * taps;
    for (int i = 0; i < n; i++) from[i] = chunks[i].from, to[i] = chunks[i].to;
    for (int64_t ch = c0; ch < c1; ch++) {
        const float *src = w->v.data + ch * channel;
        for (int64_t t = 0; t < taps; t++, dst += NR) {
            GLIA_UNROLL for (int i = 0; i < n; i++) vf_store(dst + to[i], vf_load(src + at[t] + from[i]));
        }
    }
}

/* The same of any number of chunks. exact: nothing beyond a chunk may be read. */
static void pack_pixels(const work *w, float *dst, const chunk *chunks, int n, bool exact, int64_t tap_row, int64_t c0,
                        int64_t c1) {
    switch (exact ? 0 : n) {
    case 1: pack_vectors(w, dst, chunks, 1, tap_row, c0, c1); return;
    case 2: pack_vectors(w, dst, chunks, 2, tap_row, c0, c1); return;
    case 3: pack_vectors(w, dst, chunks, 3, tap_row, c0, c1); return;
    case 4: pack_vectors(w, dst, chunks, 4, tap_row, c0, c1); return;
    case 5: pack_vectors(w, dst, chunks, 5, tap_row, c0, c1); return;
    case 6: pack_vectors(w, dst, chunks, 6, tap_row, c0, c1); return;
    default: break;
    }
    int64_t taps = w->c->row_taps;
    for (int64_t ch = c0; ch < c1; ch++) {
        for (int64_t t = 0; t < taps; t++, dst += NR) {
            const float *src = w->v.data + ch * w->v.channel + w->tap_at[tap_row * taps + t];
            for (int i = 0; i < n; i++) {
                if (exact)
                    memcpy(dst + chunks[i].to, src + chunks[i].from, (size_t)chunks[i].length * sizeof(float));
                else
                    vf_store(dst + chunks[i].to, vf_load(src + chunks[i].from));
            }
        }
    }
}

/* ---- a block ------------------------------------------------------------------------------ */

/* Tiles of one panel of pixels for filters of panels [i0, i1), rows [k0, k1) of X, at q or through the table. */
static void run_panel(const work *w, const float *filters, const float *q, bool table, int64_t panel, int64_t i0,
                      int64_t i1, int64_t k0, int64_t k1, bool add) {
    const job *j = w->j;
    int64_t width = w->c->width, first = panel * width;
    int64_t cols = w->direct ? GLIA_MIN(width, w->pixels - first) : width;
    int mode = table ? TILE_TABLE : TILE_COLS, size = width == WIDE_NR ? TILE_WIDE
                                                      : cols > VLEN    ? TILE_FULL
                                                                       : TILE_HALF;
    int64_t full = width == WIDE_NR ? WIDE_NR : cols > VLEN ? NR : VLEN, base = panel_row(j, i0);
    for (int64_t i = i0; i < i1; i++) {
        int64_t row = panel_row(j, i), rows = panel_row(j, i + 1) - row;
        const float *p = filters + (i * w->c->kdim + k0) * MR;
        glia_conv_micro_fn fn = GLIA_KERNEL(conv_micro)[mode][size][rows - 1];
        float *c = w->direct ? w->y + row * j->y_plane + (w->r.d0 * j->y_extents[1] + w->r.h0) * j->y_extents[2] + first
                             : w->tiles + (row - base) * w->tile_step + first;
        int64_t step = w->direct ? j->y_plane : w->tile_step;
        if (cols == full || !w->direct) {
            fn(k1 - k0, p, MR, q, table ? 0 : width, w->q_at + k0, c, step, add);
            continue;
        }
        _Alignas(GLIA_ALIGN) float tile[MR * WIDE_NR];
        memset(tile, 0, sizeof tile);
        if (add) copy_rows(tile, WIDE_NR, c, step, rows, cols);
        fn(k1 - k0, p, MR, q, table ? 0 : width, w->q_at + k0, tile, WIDE_NR, add);
        copy_rows(c, step, tile, WIDE_NR, rows, cols);
    }
}

/* One panel of pixels for rows of X of channels [c0, c1) and one row of taps. */
static void run_packed(const work *w, const float *filters, int64_t panel, int64_t i0, int64_t i1, int64_t tap_row,
                       int64_t c0, int64_t c1) {
    chunk chunks[NR];
    bool safe, few = w->j->k <= 3 * MR;
    int n = find_chunks(w, panel * NR, w->j->c, chunks, &safe);
    bool straight =
        n == 2 && chunks[0].length == VLEN && chunks[1].length == VLEN && chunks[1].from == chunks[0].from + VLEN;
    int64_t k0 = (tap_row * w->j->c + c0) * w->c->row_taps, k1 = k0 + (c1 - c0) * w->c->row_taps;
    bool add = tap_row > w->t0 || c0 > 0;
    if (few && straight && safe) {
        run_panel(w, filters, w->v.data + chunks[0].from, true, panel, i0, i1, k0, k1, add);
    } else {
        pack_pixels(w, w->q, chunks, n, !safe, tap_row, c0, c1);
        run_panel(w, filters, w->q, false, panel, i0, i1, k0, k1, add);
    }
}

/* All panels of a band, some of them together for block after block of X. */
static void run_band(const work *w, const float *filters, int64_t i0, int64_t i1) {
    int64_t blocks = channel_blocks(w->j, w->c), together = panels_together(w->j, w->c);
    for (int64_t p0 = 0; p0 < w->panels; p0 += together) {
        for (int64_t t = w->t0; t < w->t1; t++) {
            for (int64_t b = 0; b < blocks; b++) {
                int64_t c0 = w->j->c * b / blocks, c1 = w->j->c * (b + 1) / blocks;
                for (int64_t p = p0; p < GLIA_MIN(p0 + together, w->panels); p++)
                    run_packed(w, filters, p, i0, i1, t, c0, c1);
            }
        }
    }
}

/* All panels of a region whose pixels are counted along the rows of the view. */
static void run_grid(const work *w, const float *filters, int64_t i0, int64_t i1) {
    const core *c = w->c;
    int64_t per_image = w->panels / (w->r.n1 - w->r.n0);
    int64_t limit = w->v.floats - c->width - w->tap_most - (w->j->c - 1) * w->v.channel;
    int64_t k0 = w->t0 * w->j->c * c->row_taps, k1 = w->t1 * w->j->c * c->row_taps;
    for (int64_t p = 0; p < w->panels; p++) {
        int64_t from = p / per_image * w->v.image + p % per_image * c->width;
        int64_t back = GLIA_MAX(0, from - limit); /* the last panel must not read beyond the input */
        if (back == 0) {
            run_panel(w, filters, w->v.data + from, true, p, i0, i1, k0, k1, false);
            continue;
        }
        for (int64_t k = k0; k < k1; k++) {
            int64_t at = from + w->q_at[k], there = GLIA_MAX(0, GLIA_MIN(c->width, w->v.floats - at));
            memset(w->q + (k - k0) * c->width, 0, (size_t)c->width * sizeof(float));
            if (there) memcpy(w->q + (k - k0) * c->width, w->v.data + at, (size_t)there * sizeof(float));
        }
        run_panel(w, filters, w->q, false, p, i0, i1, k0, k1, false);
    }
}

/* Copies finished tiles of rows [row0, row1) to y, from line to line. */
static void spread_tiles(const work *w, int64_t row0, int64_t row1) {
    const job *j = w->j;
    const core *c = w->c;
    int64_t ow = c->f.out[2], rows = w->r.h1 - w->r.h0, depths = w->r.d1 - w->r.d0;
    int64_t per_image = w->panels / (w->r.n1 - w->r.n0) * c->width;
    bool whole = !c->grid && !c->scattered; /* then an image's pixels are contiguous on both sides */
    int64_t line = whole ? ow * rows * depths : ow, lines = whole ? 1 : rows * depths;
    for (int64_t n = w->r.n0; n < w->r.n1; n++) {
        for (int64_t row = row0; row < row1; row++) {
            const float *image =
                w->tiles + (row - row0) * w->tile_step + (n - w->r.n0) * (c->grid ? per_image : ow * rows * depths);
            float *plane = w->y + ((n - w->r.n0) * j->groups * j->k + row) * j->y_plane + c->y_first;
            for (int64_t l = 0; l < lines; l++) {
                const float *src = image + l * (c->grid ? w->v.row : ow);
                float *dst = plane + (w->r.d0 + l / rows) * c->y_step[0] + (w->r.h0 + l % rows) * c->y_step[1];
                if (c->y_step[2] == 1)
                    memcpy(dst, src, (size_t)line * sizeof(float));
                else
                    for (int64_t i = 0; i < line; i++) dst[i * c->y_step[2]] = src[i];
            }
        }
    }
}

/* ---- pieces ------------------------------------------------------------------------------- */

static region region_of(const job *j, const core *c, int64_t index) {
    if (j->images) {
        return (region){ index * j->images, GLIA_MIN((index + 1) * j->images, j->n), 0, c->f.out[0], 0, c->f.out[1] };
    }
    int64_t parts = divide_up(c->f.out[1], j->rows), part = index % parts, depth = index / parts % c->f.out[0];
    int64_t n = index / parts / c->f.out[0];
    return (region){ n, n + 1, depth, depth + 1, c->f.out[1] * part / parts, c->f.out[1] * (part + 1) / parts };
}

static void finish(const job *j, const region *r, int worker, int64_t group, int64_t row0, int64_t row1, bool all) {
    if (!j->epilogue.fn) return;
    int64_t plane = j->y_extents[1] * j->y_extents[2], col = 0, cols = j->y_plane, channels = j->groups * j->k;
    if (!all) col = r->d0 * plane + r->h0 * j->y_extents[2], cols = (r->d1 - r->d0) * (r->h1 - r->h0) * j->y_extents[2];
    int64_t row = group * j->k + row0;
    for (int64_t n = r->n0; n < r->n1; n++) {
        j->epilogue.fn(j->epilogue.context, worker, n, row, row1 - row0, col, cols,
                       j->y + (n * channels + row) * j->y_plane + col, j->y_plane);
    }
}

/* The output pixels of a phase that no tap reaches. */
static void clear_phase(const job *j, const core *c, const region *r, int64_t group, int64_t row0, int64_t row1) {
    for (int64_t n = r->n0; n < r->n1; n++) {
        for (int64_t row = group * j->k + row0; row < group * j->k + row1; row++) {
            float *plane = j->y + (n * j->groups * j->k + row) * j->y_plane + c->y_first;
            for (int64_t d = r->d0; d < r->d1; d++) {
                for (int64_t h = r->h0; h < r->h1; h++) {
                    for (int64_t x = 0; x < c->f.out[2]; x++) {
                        plane[d * c->y_step[0] + h * c->y_step[1] + x * c->y_step[2]] = 0;
                    }
                }
            }
        }
    }
}

/* Rows of taps that fall inside the input for a row of the output: [*t0, *t1), at least one. */
static void tap_rows_of(const core *c, int64_t h, int64_t *t0, int64_t *t1) {
    *t0 = 0, *t1 = c->tap_rows;
    if (c->tap_rows == 1) return;
    int64_t first = h * c->f.step[1] + c->f.low[1];
    while (*t1 > 1 && first + (*t1 - 1) * c->f.gap[1] >= c->f.in[1]) --*t1;
    while (*t0 < *t1 - 1 && first + *t0 * c->f.gap[1] < 0) ++*t0;
}

/* The last row + 1 of the band that begins with row h. */
static int64_t band_end(const core *c, const region *r, int64_t h) {
    int64_t t0, t1, u0, u1;
    tap_rows_of(c, h, &t0, &t1);
    for (h++; h < r->h1; h++) {
        tap_rows_of(c, h, &u0, &u1);
        if (u0 != t0 || u1 != t1) break;
    }
    return h;
}

/* Do bands spare more than they waste in panels that they do not fill? */
static bool prefers_bands(const core *c, const view *v, const region *r) {
    if (c->tap_rows == 1 || r->d1 - r->d0 > 1) return false;
    int64_t images = r->n1 - r->n0, cost = 0, t0, t1;
    for (int64_t h = r->h0, end; h < r->h1; h = end) {
        end = band_end(c, r, h);
        tap_rows_of(c, h, &t0, &t1);
        cost += panels_of(c, v, images, 1, end - h) * (t1 - t0);
    }
    return cost < panels_of(c, v, images, 1, r->h1 - r->h0) * c->tap_rows;
}

/* Filters of panels [i0, i1) for rows [h0, h1) of a region. */
static void run_rows(work w, int worker, int64_t group, int64_t h0, int64_t h1, int64_t i0, int64_t i1) {
    const job *j = w.j;
    const core *c = w.c;
    int64_t skipped = (h0 - w.r.h0) * w.v.row, images = w.r.n1 - w.r.n0, depths = w.r.d1 - w.r.d0;
    w.v.data += skipped, w.v.floats -= skipped;
    w.r.h0 = h0, w.r.h1 = h1;
    w.pixels = images * depths * (h1 - h0) * c->f.out[2];
    w.panels = panels_of(c, &w.v, images, depths, h1 - h0);
    w.tile_step = w.panels * c->width;
    const float *filters = c->packed + group * j->k_panels * c->kdim * MR;
    for (int64_t stop; i0 < i1; i0 = stop) {
        stop = GLIA_MIN(i0 + ROW_PANELS, i1);
        if (c->grid)
            run_grid(&w, filters, i0, stop);
        else
            run_band(&w, filters, i0, stop);
        if (!w.direct) spread_tiles(&w, panel_row(j, i0), panel_row(j, stop));
        if (!c->scattered) finish(j, &w.r, worker, group, panel_row(j, i0), panel_row(j, stop), false);
    }
}

/* Filters of panels [i0, i1) of a group over a region, for one phase. */
static void run_region(const job *j, const core *c, const region *r, int worker, int64_t group, int64_t i0,
                       int64_t i1) {
    float *private = j->private + worker * j->worker_floats;
    work w = { .j = j, .c = c, .r = *r, .window = private, .t1 = c->tap_rows };
    w.q = w.window + j->window_floats;
    w.tiles = w.q + j->q_floats;
    w.q_at = (int64_t *)(void *)(w.tiles + round_up(j->tile_floats, 16));
    w.tap_at = w.q_at + c->kdim;
    int64_t total = j->c * j->groups;
    w.v = c->ready ? view_of(&c->f, r, j->x, j->n, total, group * j->c)
                   : copy_window(w.window, &c->f, r, j->x, total, group * j->c, j->c);
    if (c->ready && j->images) {
        for (int64_t n = 0; n < r->n1 - r->n0; n++) fetch(w.v.data + n * w.v.image, w.v.channel * j->c);
    }
    w.tap_most = tap_offsets(&c->f, &w.v, j->adjoint, w.tap_at);
    int64_t *q_at = w.q_at;
    for (int64_t row = 0; row < c->tap_rows; row++) {
        for (int64_t ch = 0; ch < j->c; ch++) {
            for (int64_t t = 0; t < c->row_taps; t++) *q_at++ = ch * w.v.channel + w.tap_at[row * c->row_taps + t];
        }
    }
    w.direct = r->n1 - r->n0 == 1 && !c->grid && !c->scattered;
    w.y = j->y + (r->n0 * j->groups + group) * j->k * j->y_plane;
    if (!prefers_bands(c, &w.v, r)) {
        run_rows(w, worker, group, r->h0, r->h1, i0, i1);
        return;
    }
    for (int64_t h = r->h0, end; h < r->h1; h = end) {
        end = band_end(c, r, h);
        tap_rows_of(c, h, &w.t0, &w.t1);
        run_rows(w, worker, group, h, end, i0, i1);
    }
}

static void run_piece(void *context, int64_t piece, int worker) {
    const job *j = context;
    int64_t part = piece % j->parts, index = piece / j->parts;
    bool by_group = j->groups > 1;
    int64_t g0 = by_group ? j->groups * part / j->parts : 0, g1 = by_group ? j->groups * (part + 1) / j->parts : 1;
    int64_t i0 = by_group ? 0 : j->k_panels * part / j->parts;
    int64_t i1 = by_group ? j->k_panels : j->k_panels * (part + 1) / j->parts;
    for (int64_t g = g0; g < g1; g++) {
        region r = { 0 };
        float *packed = j->packed;
        for (int64_t p = 0; p < j->n_phases; p++) {
            core c = core_of(j, p);
            c.packed = packed;
            r = region_of(j, &c, index);
            if (volume(c.f.out) == 0) continue;
            if (c.taps == 0) {
                clear_phase(j, &c, &r, g, panel_row(j, i0), panel_row(j, i1));
                continue;
            }
            run_region(j, &c, &r, worker, g, i0, i1);
            packed += j->groups * j->k_panels * c.kdim * MR;
        }
        if (j->n_phases > 1) finish(j, &r, worker, g, panel_row(j, i0), panel_row(j, i1), true);
    }
}

static void run(glia_pool *pool, job *j, float *scratch) {
    if (j->n < 1 || j->c < 1 || j->k < 1 || j->y_plane < 1) return;
    j->packed = scratch;
    j->private = scratch + j->packed_floats;
    for (int64_t p = 0; p < j->n_phases; p++) {
        core c = core_of(j, p);
        if (volume(c.f.out) == 0 || c.taps == 0) continue;
        packing f = { j, &c };
        c.packed = scratch;
        glia_parallel_for(j->w_group * j->groups > 16384 ? pool : NULL, j->groups * j->k_panels, pack_filters, &f);
        scratch += j->groups * j->k_panels * c.kdim * MR;
    }
    glia_parallel_for(pool, j->regions * j->parts, run_piece, j);
}

static size_t scratch_bytes(const glia_conv_shape *s, bool adjoint, int workers) {
    job j = make_job(s, adjoint);
    return (size_t)(j.packed_floats + workers * j.worker_floats) * sizeof(float);
}

size_t GLIA_KERNEL(conv_f32_scratch)(const glia_conv_shape *shape, int workers) {
    return scratch_bytes(shape, false, workers);
}

size_t GLIA_KERNEL(conv_input_grad_f32_scratch)(const glia_conv_shape *shape, int workers) {
    return scratch_bytes(shape, true, workers);
}

void GLIA_KERNEL(conv_f32)(glia_pool *pool, const glia_conv_shape *shape, const float *x, const float *kernel, float *y,
                           glia_epilogue epilogue, void *scratch) {
    job j = make_job(shape, false);
    j.x = x, j.w = kernel, j.y = y, j.epilogue = epilogue;
    run(pool, &j, scratch);
}

void GLIA_KERNEL(conv_input_grad_f32)(glia_pool *pool, const glia_conv_shape *shape, const float *dy,
                                      const float *kernel, float *dx, glia_epilogue epilogue, void *scratch) {
    job j = make_job(shape, true);
    j.x = dy, j.w = kernel, j.y = dx, j.epilogue = epilogue;
    run(pool, &j, scratch);
}
