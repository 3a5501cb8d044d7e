/* pool.c - max and average pooling over one to three spatial axes, with their adjoints.
 *
 * Channels are last, so vectors run along them for every window, stride and padding. The last channels of a pixel are
 * loaded and stored as part of a vector. Adjacent 2 x 2 windows, the most common case, have loops of their own. Work
 * that computes y is split into rows of pixels. Work that adds to dx, where windows may overlap, is split into images
 * and blocks of channels.
 */
#include <math.h>

#include "backend/cpu/kernels/rows.h"

enum { PIECE_ELEMENTS = 16384, MIN_PIECES = 8 };

typedef struct job {
    glia_pool_shape s;
    int64_t in, out;         /* floats of an image */
    int64_t rows, together;  /* rows of pixels of y: of all images, and per piece */
    int64_t blocks;          /* blocks of channels of an image, if pieces are images */
    bool quads;              /* adjacent windows of 2 x 2 */
    const float *x, *u, *dy; /* images of in, in, out floats */
    float *y, *dx;           /* out, in */
} job;

/* A pixel of y and the part of its window inside the image. x: offset of the image in x; y: offset of the pixel in
 * y. */
typedef struct window {
    int64_t low[3], high[3];
    int64_t x, y;
} window;

/* Processes channels [c0, c1) of a pixel. */
typedef void (*pixel_fn)(const job *j, const window *w, int64_t c0, int64_t c1);

/* ---- walking ------------------------------------------------------------------------------ */

GLIA_INLINE void clip(const glia_pool_shape *s, window *w, int axis, int64_t o) {
    int64_t start = o * s->stride[axis] - s->pad[axis];
    w->low[axis] = GLIA_MAX(start, 0);
    w->high[axis] = GLIA_MIN(start + s->size[axis], s->in[axis]);
}

/* Visits rows [row0, row1) of pixels, counted over all images. */
GLIA_INLINE void walk(const job *j, int64_t row0, int64_t row1, int64_t c0, int64_t c1, pixel_fn fn) {
    const glia_pool_shape *s = &j->s;
    for (int64_t row = row0; row < row1; row++) {
        window w = { .x = row / (s->out[0] * s->out[1]) * j->in, .y = row * s->out[2] * s->c };
        clip(s, &w, 0, row / s->out[1] % s->out[0]);
        clip(s, &w, 1, row % s->out[1]);
        for (int64_t o = 0; o < s->out[2]; o++, w.y += s->c) {
            clip(s, &w, 2, o);
            fn(j, &w, c0, c1);
        }
    }
}

/* Loops over the elements of a window; `at` is the offset of channel 0. */
#define EACH_ELEMENT(j, w, at)                                                                                         \
    for (int64_t d_ = (w)->low[0]; d_ < (w)->high[0]; d_++)                                                            \
        for (int64_t h_ = (w)->low[1]; h_ < (w)->high[1]; h_++)                                                        \
            for (int64_t line_ = (w)->x + (d_ * (j)->s.in[1] + h_) * (j)->s.in[2] * (j)->s.c,                          \
                         at = line_ + (w)->low[2] * (j)->s.c;                                                          \
                 at < line_ + (w)->high[2] * (j)->s.c; at += (j)->s.c)

/* ---- maxima ------------------------------------------------------------------------------- */

/* Lanes where b replaces a as the maximum so far: NaN is above all; of equal values the first stays. */
GLIA_INLINE vi beats(vf b, vf a) { return ~(b <= a) & (a == a); }

GLIA_INLINE void max_pixel(const job *j, const window *w, int64_t c0, int64_t c1) {
    for (int64_t c = c0; c < c1; c += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, c1 - c);
        vf most = vf_set(-INFINITY);
        EACH_ELEMENT(j, w, at) {
            vf x = vf_load_first(j->x + at + c, n);
            most = vf_select(beats(x, most), x, most);
        }
        vf_store_first(j->y + w->y + c, most, n);
    }
}

GLIA_INLINE void gather_pixel(const job *j, const window *w, int64_t c0, int64_t c1) {
    for (int64_t c = c0; c < c1; c += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, c1 - c);
        vf most = vf_set(-INFINITY), picked = { 0 };
        vi first = ~(vi){ 0 };
        EACH_ELEMENT(j, w, at) {
            vf x = vf_load_first(j->x + at + c, n);
            vi better = beats(x, most) | first;
            most = vf_select(better, x, most);
            picked = vf_select(better, vf_load_first(j->u + at + c, n), picked);
            first = (vi){ 0 };
        }
        vf_store_first(j->y + w->y + c, picked, n);
    }
}

GLIA_INLINE void scatter_pixel(const job *j, const window *w, int64_t c0, int64_t c1) {
    for (int64_t c = c0; c < c1; c += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, c1 - c);
        const vi g = (vi)vf_load_first(j->dy + w->y + c, n);
        vf most = vf_set(-INFINITY);
        vi best = { 0 }, element = { 0 };
        EACH_ELEMENT(j, w, at) {
            vf x = vf_load_first(j->x + at + c, n);
            vi better = beats(x, most);
            most = vf_select(better, x, most);
            best = (best & ~better) | (element & better);
            element += 1;
        }
        element = (vi){ 0 };
        EACH_ELEMENT(j, w, at) {
            vf dx = vf_load_first(j->dx + at + c, n);
            vf_store_first(j->dx + at + c, dx + (vf)(g & (best == element)), n);
            element += 1;
        }
    }
}

/* ---- averages ----------------------------------------------------------------------------- */

/* 1 / the number of elements that the average of a window counts; 0 if there are none. */
GLIA_INLINE float share_of(const glia_pool_shape *s, const window *w) {
    int64_t count = 1;
    for (int a = 0; a < 3; a++) count *= s->count_padding ? s->size[a] : GLIA_MAX(w->high[a] - w->low[a], 0);
    return count ? 1 / (float)count : 0;
}

GLIA_INLINE void avg_pixel(const job *j, const window *w, int64_t c0, int64_t c1) {
    const float share = share_of(&j->s, w);
    for (int64_t c = c0; c < c1; c += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, c1 - c);
        vf sum = { 0 };
        EACH_ELEMENT(j, w, at) sum += vf_load_first(j->x + at + c, n);
        vf_store_first(j->y + w->y + c, sum * share, n);
    }
}

GLIA_INLINE void avg_grad_pixel(const job *j, const window *w, int64_t c0, int64_t c1) {
    const float share = share_of(&j->s, w);
    for (int64_t c = c0; c < c1; c += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, c1 - c);
        const vf g = vf_load_first(j->dy + w->y + c, n) * share;
        EACH_ELEMENT(j, w, at) vf_store_first(j->dx + at + c, vf_load_first(j->dx + at + c, n) + g, n);
    }
}

/* ---- maxima of 2 x 2 ---------------------------------------------------------------------- */

/* The four elements of a window, at the offsets of channel c. */
typedef struct quad {
    vf v[4];
    vi second, third, fourth; /* whether this element replaces the maximum of the earlier ones */
    vf most;
} quad;

GLIA_INLINE quad load_quad(const float *top, const float *bottom, int64_t next, const int64_t n) {
    const float *at[4] = { top, top + next, bottom, bottom + next };
    quad q;
    GLIA_UNROLL for (int i = 0; i < 4; i++) q.v[i] = n == VLEN ? vf_load(at[i]) : vf_load_first(at[i], n);
    q.second = beats(q.v[1], q.v[0]);
    vf most = vf_select(q.second, q.v[1], q.v[0]);
    q.third = beats(q.v[2], most);
    most = vf_select(q.third, q.v[2], most);
    q.fourth = beats(q.v[3], most);
    q.most = vf_select(q.fourth, q.v[3], most);
    return q;
}

/* n channels of a pixel. x: offset of the window's first element in x, u and dx; y: offset of the pixel in y and dy. */
GLIA_INLINE void max_quad(const job *j, int64_t x, int64_t y, const int64_t n) {
    const int64_t next = j->s.c, row = j->s.in[2] * next;
    vf_store_first(j->y + y, load_quad(j->x + x, j->x + x + row, next, n).most, n);
}

GLIA_INLINE void gather_quad(const job *j, int64_t x, int64_t y, const int64_t n) {
    const int64_t next = j->s.c, row = j->s.in[2] * next;
    const quad q = load_quad(j->x + x, j->x + x + row, next, n), u = load_quad(j->u + x, j->u + x + row, next, n);
    const vf picked = vf_select(q.third, u.v[2], vf_select(q.second, u.v[1], u.v[0]));
    vf_store_first(j->y + y, vf_select(q.fourth, u.v[3], picked), n);
}

GLIA_INLINE void scatter_quad(const job *j, int64_t x, int64_t y, const int64_t n) {
    const int64_t next = j->s.c, row = j->s.in[2] * next;
    const quad q = load_quad(j->x + x, j->x + x + row, next, n);
    const vi g = (vi)vf_load_first(j->dy + y, n), late = q.third | q.fourth;
    float *dx = j->dx + x;
    vf_store_first(dx, (vf)(g & ~(q.second | late)), n);
    vf_store_first(dx + next, (vf)(g & q.second & ~late), n);
    vf_store_first(dx + row, (vf)(g & q.third & ~q.fourth), n);
    vf_store_first(dx + row + next, (vf)(g & q.fourth), n);
}

typedef void (*quad_fn)(const job *j, int64_t x, int64_t y, const int64_t n);

/* Visits rows [row0, row1) of pixels, counted over all images. */
GLIA_INLINE void walk_quads(const job *j, int64_t row0, int64_t row1, int64_t c0, int64_t c1, quad_fn fn) {
    const glia_pool_shape *s = &j->s;
    for (int64_t row = row0; row < row1; row++) {
        const int64_t line = row / s->out[1] * s->in[1] + row % s->out[1] * 2;
        int64_t x = line * s->in[2] * s->c, y = row * s->out[2] * s->c;
        for (int64_t o = 0; o < s->out[2]; o++, x += 2 * s->c, y += s->c) {
            int64_t c = c0;
            for (; c + VLEN <= c1; c += VLEN) fn(j, x + c, y + c, VLEN);
            if (c < c1) fn(j, x + c, y + c, c1 - c);
        }
    }
}

/* ---- pieces ------------------------------------------------------------------------------- */

static job job_of(const glia_pool_shape *s) {
    job j = { .s = *s, .rows = s->n * s->out[0] * s->out[1] };
    j.in = s->in[0] * s->in[1] * s->in[2] * s->c;
    j.out = s->out[0] * s->out[1] * s->out[2] * s->c;
    j.quads = s->size[0] == 1 && s->stride[0] == 1 && s->pad[0] == 0 && s->in[0] == s->out[0];
    for (int a = 1; a < 3; a++) {
        j.quads = j.quads && s->size[a] == 2 && s->stride[a] == 2 && s->pad[a] == 0 && 2 * s->out[a] <= s->in[a];
    }
    int64_t of_row = GLIA_MAX(1, GLIA_MAX(j.out, j.in) / GLIA_MAX(1, s->out[0] * s->out[1]));
    j.together = GLIA_MAX(1, PIECE_ELEMENTS / of_row);
    int64_t want = GLIA_MIN(MIN_PIECES, s->n * j.in / PIECE_ELEMENTS);
    j.blocks = GLIA_MAX(1, GLIA_MIN((want + s->n - 1) / GLIA_MAX(1, s->n), (s->c + VLEN - 1) / VLEN));
    return j;
}

#define BY_ROWS(walk_it, of, name)                                                                                     \
    static void of##_rows(void *context, int64_t piece, int worker) {                                                  \
        (void)worker;                                                                                                  \
        const job *j = context;                                                                                        \
        int64_t first = piece * j->together, last = GLIA_MIN(first + j->together, j->rows);                            \
        walk_it(j, first, last, 0, j->s.c, name);                                                                      \
    }
BY_ROWS(walk, max, max_pixel)
BY_ROWS(walk, gather, gather_pixel)
BY_ROWS(walk, avg, avg_pixel)
BY_ROWS(walk_quads, max_2x2, max_quad)
BY_ROWS(walk_quads, gather_2x2, gather_quad)

static void run_rows(glia_pool *pool, job *j, glia_piece_fn fn) {
    glia_parallel_for(pool, (j->rows + j->together - 1) / j->together, fn, j);
}

/* Zeroes channels [c0, c1) of pixels [from, to) of an image of dx. */
static void clear(const job *j, int64_t n, int64_t from, int64_t to, int64_t c0, int64_t c1) {
    float *dx = j->dx + n * j->in;
    if (c1 - c0 == j->s.c)
        memset(dx + from * j->s.c, 0, (size_t)((to - from) * j->s.c) * sizeof(float));
    else
        for (int64_t i = from; i < to; i++) memset(dx + i * j->s.c + c0, 0, (size_t)(c1 - c0) * sizeof(float));
}

/* Zeroes the pixels that no 2 x 2 window covers. */
static void clear_rest(const job *j, int64_t n, int64_t c0, int64_t c1) {
    const int64_t width = j->s.in[2];
    for (int64_t row = 0; row < j->s.in[0] * j->s.in[1]; row++) {
        const int64_t covered = row % j->s.in[1] < 2 * j->s.out[1] ? 2 * j->s.out[2] : 0;
        if (covered < width) clear(j, n, row * width + covered, (row + 1) * width, c0, c1);
    }
}

static void clear_all(const job *j, int64_t n, int64_t c0, int64_t c1) {
    clear(j, n, 0, j->s.in[0] * j->s.in[1] * j->s.in[2], c0, c1);
}

#define BY_IMAGES(walk_it, clear_it, of, name)                                                                         \
    static void of##_images(void *context, int64_t piece, int worker) {                                                \
        (void)worker;                                                                                                  \
        const job *j = context;                                                                                        \
        const int64_t vectors = (j->s.c + VLEN - 1) / VLEN, n = piece / j->blocks, block = piece % j->blocks;          \
        const int64_t rows = j->s.out[0] * j->s.out[1], c0 = vectors * block / j->blocks * VLEN;                       \
        const int64_t c1 = GLIA_MIN(vectors * (block + 1) / j->blocks * VLEN, j->s.c);                                 \
        clear_it(j, n, c0, c1);                                                                                        \
        walk_it(j, n *rows, (n + 1) * rows, c0, c1, name);                                                             \
    }
BY_IMAGES(walk, clear_all, scatter, scatter_pixel)
BY_IMAGES(walk, clear_all, avg_grad, avg_grad_pixel)
BY_IMAGES(walk_quads, clear_rest, scatter_2x2, scatter_quad)

static void run_images(glia_pool *pool, job *j, glia_piece_fn fn) {
    bool small = j->s.n * j->in < 2 * PIECE_ELEMENTS;
    glia_parallel_for(small ? NULL : pool, j->s.n * j->blocks, fn, j);
}

/* ---- entries ------------------------------------------------------------------------------ */

void GLIA_KERNEL(max_pool_f32)(glia_pool *pool, const glia_pool_shape *shape, const float *x, float *y) {
    job j = job_of(shape);
    j.x = x, j.y = y;
    run_rows(pool, &j, j.quads ? max_2x2_rows : max_rows);
}

void GLIA_KERNEL(max_pool_scatter_f32)(glia_pool *pool, const glia_pool_shape *shape, const float *x, const float *dy,
                                       float *dx) {
    job j = job_of(shape);
    j.x = x, j.dy = dy, j.dx = dx;
    run_images(pool, &j, j.quads ? scatter_2x2_images : scatter_images);
}

void GLIA_KERNEL(max_pool_gather_f32)(glia_pool *pool, const glia_pool_shape *shape, const float *x, const float *u,
                                      float *v) {
    job j = job_of(shape);
    j.x = x, j.u = u, j.y = v;
    run_rows(pool, &j, j.quads ? gather_2x2_rows : gather_rows);
}

void GLIA_KERNEL(avg_pool_f32)(glia_pool *pool, const glia_pool_shape *shape, const float *x, float *y) {
    job j = job_of(shape);
    j.x = x, j.y = y;
    run_rows(pool, &j, avg_rows);
}

void GLIA_KERNEL(avg_pool_grad_f32)(glia_pool *pool, const glia_pool_shape *shape, const float *dy, float *dx) {
    job j = job_of(shape);
    j.dy = dy, j.dx = dx;
    run_images(pool, &j, avg_grad_images);
}
