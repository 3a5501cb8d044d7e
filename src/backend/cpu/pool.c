/* pool.c - max and average pooling over one to three spatial axes, with their adjoints.
 *
 * Channels are last, so vectors run along them for every window, stride and padding; a pixel's last channels are a
 * vector of which some lanes only are read and written. What computes y is cut into rows of pixels; what adds to dx,
 * where windows may overlap, into images and blocks of channels.
 */
#include <math.h>

#include "backend/cpu/rows.h"

enum { PIECE_ELEMENTS = 16384, MIN_PIECES = 8 };

typedef struct job {
    glia_pool_shape s;
    int64_t in, out;         /* floats of an image */
    int64_t rows, together;  /* of pixels of y in all images, and in a piece; if pieces are images: of one */
    int64_t blocks;          /* of channels, if pieces are images */
    const float *x, *u, *dy; /* images of in, in, out floats */
    float *y, *dx;           /* out, in */
} job;

/* A pixel of y and the part of its window inside the image; places of their first channels. */
typedef struct window {
    int64_t low[3], high[3];
    int64_t x, y;
} window;

/* Works on channels [c0, c1) of a pixel. */
typedef void (*pixel_fn)(const job *j, const window *w, int64_t c0, int64_t c1);

/* ---- walking ------------------------------------------------------------------------------ */

GLIA_INLINE void clip(const glia_pool_shape *s, window *w, int axis, int64_t o) {
    int64_t start = o * s->stride[axis] - s->pad[axis];
    w->low[axis] = GLIA_MAX(start, 0);
    w->high[axis] = GLIA_MIN(start + s->size[axis], s->in[axis]);
}

/* Rows [row0, row1) of pixels, counted over all images. */
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

/* For every element of a window: `at` is the place of its channel 0. */
#define EACH_ELEMENT(j, w, at)                                                                                         \
    for (int64_t d_ = (w)->low[0]; d_ < (w)->high[0]; d_++)                                                            \
        for (int64_t h_ = (w)->low[1]; h_ < (w)->high[1]; h_++)                                                        \
            for (int64_t line_ = (w)->x + (d_ * (j)->s.in[1] + h_) * (j)->s.in[2] * (j)->s.c,                          \
                         at = line_ + (w)->low[2] * (j)->s.c;                                                          \
                 at < line_ + (w)->high[2] * (j)->s.c; at += (j)->s.c)

/* ---- maxima ------------------------------------------------------------------------------- */

/* Where b replaces a as the maximum so far: NaN is above all, of equal ones the first stays. */
GLIA_INLINE vi beats(vf b, vf a) { return ~(b <= a) & (a == a); }

GLIA_INLINE void max_pixel(const job *j, const window *w, int64_t c0, int64_t c1) {
    for (int64_t c = c0; c < c1; c += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, c1 - c);
        vf most = vf_set(-INFINITY);
        EACH_ELEMENT(j, w, at) {
            vf x = vf_load_some(j->x + at + c, n);
            most = vf_select(beats(x, most), x, most);
        }
        vf_store_some(j->y + w->y + c, most, n);
    }
}

GLIA_INLINE void gather_pixel(const job *j, const window *w, int64_t c0, int64_t c1) {
    for (int64_t c = c0; c < c1; c += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, c1 - c);
        vf most = vf_set(-INFINITY), picked = { 0 };
        vi first = ~(vi){ 0 };
        EACH_ELEMENT(j, w, at) {
            vf x = vf_load_some(j->x + at + c, n);
            vi better = beats(x, most) | first;
            most = vf_select(better, x, most);
            picked = vf_select(better, vf_load_some(j->u + at + c, n), picked);
            first = (vi){ 0 };
        }
        vf_store_some(j->y + w->y + c, picked, n);
    }
}

GLIA_INLINE void scatter_pixel(const job *j, const window *w, int64_t c0, int64_t c1) {
    for (int64_t c = c0; c < c1; c += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, c1 - c);
        const vi g = (vi)vf_load_some(j->dy + w->y + c, n);
        vf most = vf_set(-INFINITY);
        vi best = { 0 }, element = { 0 };
        EACH_ELEMENT(j, w, at) {
            vf x = vf_load_some(j->x + at + c, n);
            vi better = beats(x, most);
            most = vf_select(better, x, most);
            best = (best & ~better) | (element & better);
            element += 1;
        }
        element = (vi){ 0 };
        EACH_ELEMENT(j, w, at) {
            vf dx = vf_load_some(j->dx + at + c, n);
            vf_store_some(j->dx + at + c, dx + (vf)(g & (best == element)), n);
            element += 1;
        }
    }
}

/* ---- averages ----------------------------------------------------------------------------- */

/* 1 / elements that the average of a window counts; 0 for a window without any. */
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
        EACH_ELEMENT(j, w, at) sum += vf_load_some(j->x + at + c, n);
        vf_store_some(j->y + w->y + c, sum * share, n);
    }
}

GLIA_INLINE void avg_grad_pixel(const job *j, const window *w, int64_t c0, int64_t c1) {
    const float share = share_of(&j->s, w);
    for (int64_t c = c0; c < c1; c += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, c1 - c);
        const vf g = vf_load_some(j->dy + w->y + c, n) * share;
        EACH_ELEMENT(j, w, at) vf_store_some(j->dx + at + c, vf_load_some(j->dx + at + c, n) + g, n);
    }
}

/* ---- pieces ------------------------------------------------------------------------------- */

static job job_of(const glia_pool_shape *s) {
    job j = { .s = *s, .rows = s->n * s->out[0] * s->out[1] };
    j.in = s->in[0] * s->in[1] * s->in[2] * s->c;
    j.out = s->out[0] * s->out[1] * s->out[2] * s->c;
    int64_t of_row = GLIA_MAX(1, GLIA_MAX(j.out, j.in) / GLIA_MAX(1, s->out[0] * s->out[1]));
    j.together = GLIA_MAX(1, PIECE_ELEMENTS / of_row);
    int64_t want = GLIA_MIN(MIN_PIECES, s->n * j.in / PIECE_ELEMENTS);
    j.blocks = GLIA_MAX(1, GLIA_MIN((want + s->n - 1) / GLIA_MAX(1, s->n), (s->c + VLEN - 1) / VLEN));
    return j;
}

#define BY_ROWS(name)                                                                                                  \
    static void name##_rows(void *context, int64_t piece, int worker) {                                                \
        (void)worker;                                                                                                  \
        const job *j = context;                                                                                        \
        int64_t first = piece * j->together;                                                                           \
        walk(j, first, GLIA_MIN(first + j->together, j->rows), 0, j->s.c, name##_pixel);                               \
    }
BY_ROWS(max)
BY_ROWS(gather)
BY_ROWS(avg)

static void run_rows(glia_pool *pool, job *j, glia_piece_fn fn) {
    glia_parallel_for(pool, (j->rows + j->together - 1) / j->together, fn, j);
}

/* Some channels of one image of dx become zero. */
static void clear(const job *j, int64_t n, int64_t c0, int64_t c1) {
    float *dx = j->dx + n * j->in, *end = dx + j->in;
    if (c1 - c0 == j->s.c)
        memset(dx, 0, (size_t)j->in * sizeof(float));
    else
        for (; dx < end; dx += j->s.c) memset(dx + c0, 0, (size_t)(c1 - c0) * sizeof(float));
}

#define BY_IMAGES(name)                                                                                                \
    static void name##_images(void *context, int64_t piece, int worker) {                                              \
        (void)worker;                                                                                                  \
        const job *j = context;                                                                                        \
        const int64_t vectors = (j->s.c + VLEN - 1) / VLEN, n = piece / j->blocks, block = piece % j->blocks;          \
        const int64_t rows = j->s.out[0] * j->s.out[1], c0 = vectors * block / j->blocks * VLEN;                       \
        const int64_t c1 = GLIA_MIN(vectors * (block + 1) / j->blocks * VLEN, j->s.c);                                 \
        clear(j, n, c0, c1);                                                                                           \
        walk(j, n *rows, (n + 1) * rows, c0, c1, name##_pixel);                                                        \
    }
BY_IMAGES(scatter)
BY_IMAGES(avg_grad)

static void run_images(glia_pool *pool, job *j, glia_piece_fn fn) {
    bool small = j->s.n * j->in < 2 * PIECE_ELEMENTS;
    glia_parallel_for(small ? NULL : pool, j->s.n * j->blocks, fn, j);
}

/* ---- entries ------------------------------------------------------------------------------ */

void GLIA_KERNEL(max_pool_f32)(glia_pool *pool, const glia_pool_shape *shape, const float *x, float *y) {
    job j = job_of(shape);
    j.x = x, j.y = y;
    run_rows(pool, &j, max_rows);
}

void GLIA_KERNEL(max_pool_scatter_f32)(glia_pool *pool, const glia_pool_shape *shape, const float *x, const float *dy,
                                       float *dx) {
    job j = job_of(shape);
    j.x = x, j.dy = dy, j.dx = dx;
    run_images(pool, &j, scatter_images);
}

void GLIA_KERNEL(max_pool_gather_f32)(glia_pool *pool, const glia_pool_shape *shape, const float *x, const float *u,
                                      float *v) {
    job j = job_of(shape);
    j.x = x, j.u = u, j.y = v;
    run_rows(pool, &j, gather_rows);
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
