/* pool.c - max and average pooling over one to three spatial axes, with their adjoints.
 *
 * Planes (one channel of one sample) are independent; a piece is as many of them as make some thousand elements. The
 * general path walks each window, clipped to the plane. Windows of 2 x 2 at stride 2 without padding, which most networks
 * use, are vectorised over outputs: two rows are loaded, even and odd columns parted, and compared in row-major order.
 *
 * A row's last vector may reach beyond it. Rows are written in ascending order, so the next row repairs what was spilt,
 * and near the end of a piece, where nobody would, the scalar path takes over.
 */
#include <math.h>

#include "backend/cpu/rows.h"

enum { PIECE_ELEMENTS = 16384 };

typedef struct job {
    glia_pool_shape s;
    int64_t in, out;          /* elements of a plane */
    int64_t planes, together; /* planes, and planes in a piece */
    bool pairs;               /* the 2 x 2 path */
    const float *x, *u, *dy;  /* planes of in, in, out elements */
    float *y, *dx;            /* out, in */
} job;

/* Works on planes [first, last). */
typedef void (*planes_fn)(const job *j, int64_t first, int64_t last);

static job job_of(const glia_pool_shape *s) {
    job j = { .s = *s, .planes = s->n * s->c };
    j.in = s->in[0] * s->in[1] * s->in[2];
    j.out = s->out[0] * s->out[1] * s->out[2];
    j.together = GLIA_MAX(1, PIECE_ELEMENTS / GLIA_MAX(1, GLIA_MAX(j.in, j.out)));
    j.pairs = s->size[0] == 1 && s->stride[0] == 1 && s->pad[0] == 0 && s->in[0] == s->out[0];
    for (int a = 1; a < 3; a++) {
        j.pairs = j.pairs && s->size[a] == 2 && s->stride[a] == 2 && s->pad[a] == 0 && 2 * s->out[a] <= s->in[a];
    }
    return j;
}

typedef struct task {
    const job *j;
    planes_fn fn;
} task;

static void run_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const task *t = context;
    int64_t first = piece * t->j->together;
    t->fn(t->j, first, GLIA_MIN(first + t->j->together, t->j->planes));
}

static void run(glia_pool *pool, const job *j, planes_fn fn) {
    task t = { j, fn };
    glia_parallel_for(pool, (j->planes + j->together - 1) / j->together, run_piece, &t);
}

/* ---- windows ------------------------------------------------------------------------------ */

typedef struct window {
    int64_t low[3], high[3]; /* the part inside the plane */
} window;

static window window_of(const glia_pool_shape *s, int64_t od, int64_t oh, int64_t ow) {
    const int64_t o[3] = { od, oh, ow };
    window w;
    for (int a = 0; a < 3; a++) {
        int64_t start = o[a] * s->stride[a] - s->pad[a];
        w.low[a] = GLIA_MAX(start, 0);
        w.high[a] = GLIA_MIN(start + s->size[a], s->in[a]);
    }
    return w;
}

/* The place of the first maximum in a plane, NaN above all; -1 for an empty window. */
static int64_t first_maximum(const glia_pool_shape *s, const window *w, const float *x) {
    int64_t best = -1;
    float most = 0;
    for (int64_t d = w->low[0]; d < w->high[0]; d++) {
        for (int64_t h = w->low[1]; h < w->high[1]; h++) {
            int64_t row = (d * s->in[1] + h) * s->in[2];
            for (int64_t i = row + w->low[2]; i < row + w->high[2]; i++) {
                if (best < 0 || (most == most && !(x[i] <= most))) {
                    best = i;
                    most = x[i];
                }
            }
        }
    }
    return best;
}

/* ---- max, any window ---------------------------------------------------------------------- */

static void max_planes(const job *j, int64_t first, int64_t last) {
    const glia_pool_shape *s = &j->s;
    float *y = j->y + first * j->out;
    for (int64_t p = first; p < last; p++) {
        const float *x = j->x + p * j->in;
        for (int64_t od = 0; od < s->out[0]; od++) {
            for (int64_t oh = 0; oh < s->out[1]; oh++) {
                for (int64_t ow = 0; ow < s->out[2]; ow++) {
                    window w = window_of(s, od, oh, ow);
                    int64_t at = first_maximum(s, &w, x);
                    *y++ = at < 0 ? -INFINITY : x[at];
                }
            }
        }
    }
}

static void gather_planes(const job *j, int64_t first, int64_t last) {
    const glia_pool_shape *s = &j->s;
    float *y = j->y + first * j->out;
    for (int64_t p = first; p < last; p++) {
        for (int64_t od = 0; od < s->out[0]; od++) {
            for (int64_t oh = 0; oh < s->out[1]; oh++) {
                for (int64_t ow = 0; ow < s->out[2]; ow++) {
                    window w = window_of(s, od, oh, ow);
                    int64_t at = first_maximum(s, &w, j->x + p * j->in);
                    *y++ = at < 0 ? 0 : j->u[p * j->in + at];
                }
            }
        }
    }
}

static void scatter_planes(const job *j, int64_t first, int64_t last) {
    const glia_pool_shape *s = &j->s;
    const float *dy = j->dy + first * j->out;
    memset(j->dx + first * j->in, 0, (size_t)((last - first) * j->in) * sizeof(float));
    for (int64_t p = first; p < last; p++) {
        for (int64_t od = 0; od < s->out[0]; od++) {
            for (int64_t oh = 0; oh < s->out[1]; oh++) {
                for (int64_t ow = 0; ow < s->out[2]; ow++, dy++) {
                    window w = window_of(s, od, oh, ow);
                    int64_t at = first_maximum(s, &w, j->x + p * j->in);
                    if (at >= 0) j->dx[p * j->in + at] += *dy;
                }
            }
        }
    }
}

/* ---- max, 2 x 2 --------------------------------------------------------------------------- */

/* Where b replaces a as the maximum so far. */
GLIA_INLINE vi beats(vf b, vf a) { return ~(b <= a) & (a == a); }

typedef struct pair_rows {
    vf v[4];  /* the four elements of each window, in row-major order */
    vi is[4]; /* which of them is the first maximum */
    vf most;
} pair_rows;

GLIA_INLINE void load_pairs(const float *top, const float *bottom, vf v[4]) {
    vf a = vf_load(top), b = vf_load(top + VLEN), c = vf_load(bottom), d = vf_load(bottom + VLEN);
    v[0] = vf_even(a, b), v[1] = vf_odd(a, b), v[2] = vf_even(c, d), v[3] = vf_odd(c, d);
}

GLIA_INLINE pair_rows find_pairs(const float *top, const float *bottom) {
    pair_rows r;
    load_pairs(top, bottom, r.v);
    vi b1 = beats(r.v[1], r.v[0]);
    vf m1 = vf_select(b1, r.v[1], r.v[0]);
    vi b2 = beats(r.v[2], m1);
    vf m2 = vf_select(b2, r.v[2], m1);
    r.is[3] = beats(r.v[3], m2);
    r.most = vf_select(r.is[3], r.v[3], m2);
    r.is[2] = b2 & ~r.is[3];
    r.is[1] = b1 & ~(b2 | r.is[3]);
    r.is[0] = ~(b1 | b2 | r.is[3]);
    return r;
}

/* Which of the four elements of window i is its first maximum: 0 ... 3. */
static int pair_winner(const float *top, const float *bottom, int64_t i) {
    const float v[4] = { top[2 * i], top[2 * i + 1], bottom[2 * i], bottom[2 * i + 1] };
    int best = 0;
    for (int e = 1; e < 4; e++) {
        if (v[best] == v[best] && !(v[e] <= v[best])) best = e;
    }
    return best;
}

/* Vectors begin at 0, VLEN, ...; the last of a row of at least VLEN ends with the row. */
GLIA_INLINE int64_t next_vector(int64_t i, int64_t ow) {
    return i + VLEN < ow && i + 2 * VLEN > ow ? ow - VLEN : i + VLEN;
}

/* Where row pair r of a plane begins. */
GLIA_INLINE int64_t pair_start(const glia_pool_shape *s, int64_t r) {
    return (r / s->out[1] * s->in[1] + r % s->out[1] * 2) * s->in[2];
}

static void max_pairs(const job *j, int64_t first, int64_t last) {
    const int64_t w = j->s.in[2], ow = j->s.out[2], rows = j->s.in[0] * j->s.out[1];
    const float *x_end = j->x + j->planes * j->in;
    float *y = j->y + first * j->out, *y_end = j->y + last * j->out;
    for (int64_t p = first; p < last; p++) {
        for (int64_t r = 0; r < rows; r++, y += ow) {
            const float *top = j->x + p * j->in + pair_start(&j->s, r), *bottom = top + w;
            if (ow >= VLEN || (x_end - bottom >= 2 * VLEN && y_end - y >= VLEN)) {
                for (int64_t i = 0; i < ow; i = next_vector(i, ow)) {
                    vf_store(y + i, find_pairs(top + 2 * i, bottom + 2 * i).most);
                }
            } else {
                for (int64_t i = 0; i < ow; i++) {
                    int e = pair_winner(top, bottom, i);
                    y[i] = (e < 2 ? top : bottom)[2 * i + (e & 1)];
                }
            }
        }
    }
}

static void gather_pairs(const job *j, int64_t first, int64_t last) {
    const int64_t w = j->s.in[2], ow = j->s.out[2], rows = j->s.in[0] * j->s.out[1];
    const float *x_end = j->x + j->planes * j->in;
    float *y = j->y + first * j->out, *y_end = j->y + last * j->out;
    for (int64_t p = first; p < last; p++) {
        for (int64_t r = 0; r < rows; r++, y += ow) {
            int64_t at = p * j->in + pair_start(&j->s, r);
            const float *top = j->x + at, *bottom = top + w, *u = j->u + at;
            if (ow >= VLEN || (x_end - bottom >= 2 * VLEN && y_end - y >= VLEN)) {
                for (int64_t i = 0; i < ow; i = next_vector(i, ow)) {
                    pair_rows f = find_pairs(top + 2 * i, bottom + 2 * i);
                    vf v[4];
                    load_pairs(u + 2 * i, u + w + 2 * i, v);
                    vf_store(y + i, vf_select(f.is[0], v[0], vf_select(f.is[1], v[1], vf_select(f.is[2], v[2], v[3]))));
                }
            } else {
                for (int64_t i = 0; i < ow; i++) {
                    int e = pair_winner(top, bottom, i);
                    y[i] = u[(e < 2 ? 0 : w) + 2 * i + (e & 1)];
                }
            }
        }
    }
}

/* One pair of rows of dx from one row of dy; vectors only if they may reach beyond the rows or need not. */
static void scatter_pair(const float *top, int64_t w, int64_t ow, const float *dy, float *dx, bool vectors) {
    const float *bottom = top + w;
    if (vectors) {
        for (int64_t i = 0; i < ow; i = next_vector(i, ow)) {
            pair_rows f = find_pairs(top + 2 * i, bottom + 2 * i);
            vi g = (vi)vf_load(dy + i);
            vf a = (vf)(g & f.is[0]), b = (vf)(g & f.is[1]), c = (vf)(g & f.is[2]), d = (vf)(g & f.is[3]);
            vf_store(dx + 2 * i, vf_low(a, b));
            vf_store(dx + 2 * i + VLEN, vf_high(a, b));
            vf_store(dx + w + 2 * i, vf_low(c, d));
            vf_store(dx + w + 2 * i + VLEN, vf_high(c, d));
        }
    } else {
        for (int64_t i = 0; i < ow; i++) {
            int best = pair_winner(top, bottom, i);
            for (int e = 0; e < 4; e++) dx[(e < 2 ? 0 : w) + 2 * i + (e & 1)] = e == best ? dy[i] : 0;
        }
    }
    for (int64_t i = 2 * ow; i < w; i++) dx[i] = dx[w + i] = 0;
}

static void scatter_pairs(const job *j, int64_t first, int64_t last) {
    const glia_pool_shape *s = &j->s;
    const int64_t w = s->in[2], ow = s->out[2], rows = s->in[0] * s->out[1];
    const float *x_end = j->x + j->planes * j->in, *dy_end = j->dy + j->planes * j->out, *dx_end = j->dx + last * j->in;
    const float *dy = j->dy + first * j->out;
    for (int64_t p = first; p < last; p++) {
        for (int64_t r = 0; r < rows; r++, dy += ow) {
            const float *top = j->x + p * j->in + pair_start(s, r);
            float *dx = j->dx + p * j->in + pair_start(s, r);
            bool fits = x_end - top >= w + 2 * VLEN && dy_end - dy >= VLEN && dx_end - dx >= w + 2 * VLEN;
            scatter_pair(top, w, ow, dy, dx, ow >= VLEN || fits);
            if (r % s->out[1] == s->out[1] - 1) {
                memset(dx + 2 * w, 0, (size_t)((s->in[1] - 2 * s->out[1]) * w) * sizeof(float));
            }
        }
    }
}

/* ---- average ------------------------------------------------------------------------------ */

/* 1 / elements that the average of a window counts; 0 for a window without any. */
static float window_share(const glia_pool_shape *s, const window *w) {
    int64_t count = 1;
    for (int a = 0; a < 3; a++) count *= s->count_padding ? s->size[a] : GLIA_MAX(w->high[a] - w->low[a], 0);
    return count ? 1 / (float)count : 0;
}

static float window_sum(const glia_pool_shape *s, const window *w, const float *x) {
    float sum = 0;
    for (int64_t d = w->low[0]; d < w->high[0]; d++) {
        for (int64_t h = w->low[1]; h < w->high[1]; h++) {
            const float *row = x + (d * s->in[1] + h) * s->in[2];
            int64_t i = w->low[2];
            if (w->high[2] - i >= 2 * VLEN) {
                vf part = { 0 };
                for (; i + VLEN <= w->high[2]; i += VLEN) part += vf_load(row + i);
                for (int l = 0; l < VLEN; l++) sum += part[l];
            }
            for (; i < w->high[2]; i++) sum += row[i];
        }
    }
    return sum;
}

static void avg_planes(const job *j, int64_t first, int64_t last) {
    const glia_pool_shape *s = &j->s;
    float *y = j->y + first * j->out;
    for (int64_t p = first; p < last; p++) {
        for (int64_t od = 0; od < s->out[0]; od++) {
            for (int64_t oh = 0; oh < s->out[1]; oh++) {
                for (int64_t ow = 0; ow < s->out[2]; ow++) {
                    window w = window_of(s, od, oh, ow);
                    *y++ = window_sum(s, &w, j->x + p * j->in) * window_share(s, &w);
                }
            }
        }
    }
}

static void spread(const glia_pool_shape *s, const window *w, float share, float *dx) {
    for (int64_t d = w->low[0]; d < w->high[0]; d++) {
        for (int64_t h = w->low[1]; h < w->high[1]; h++) {
            float *row = dx + (d * s->in[1] + h) * s->in[2];
            for (int64_t i = w->low[2]; i < w->high[2]; i++) row[i] += share;
        }
    }
}

static void avg_grad_planes(const job *j, int64_t first, int64_t last) {
    const glia_pool_shape *s = &j->s;
    const float *dy = j->dy + first * j->out;
    memset(j->dx + first * j->in, 0, (size_t)((last - first) * j->in) * sizeof(float));
    for (int64_t p = first; p < last; p++) {
        for (int64_t od = 0; od < s->out[0]; od++) {
            for (int64_t oh = 0; oh < s->out[1]; oh++) {
                for (int64_t ow = 0; ow < s->out[2]; ow++) {
                    window w = window_of(s, od, oh, ow);
                    spread(s, &w, *dy++ * window_share(s, &w), j->dx + p * j->in);
                }
            }
        }
    }
}

/* ---- entries ------------------------------------------------------------------------------ */

void GLIA_KERNEL(max_pool_f32)(glia_pool *pool, const glia_pool_shape *shape, const float *x, float *y) {
    job j = job_of(shape);
    j.x = x, j.y = y;
    run(pool, &j, j.pairs ? max_pairs : max_planes);
}

void GLIA_KERNEL(max_pool_scatter_f32)(glia_pool *pool, const glia_pool_shape *shape, const float *x, const float *dy,
                                       float *dx) {
    job j = job_of(shape);
    j.x = x, j.dy = dy, j.dx = dx;
    run(pool, &j, j.pairs ? scatter_pairs : scatter_planes);
}

void GLIA_KERNEL(max_pool_gather_f32)(glia_pool *pool, const glia_pool_shape *shape, const float *x, const float *u,
                                      float *v) {
    job j = job_of(shape);
    j.x = x, j.u = u, j.y = v;
    run(pool, &j, j.pairs ? gather_pairs : gather_planes);
}

void GLIA_KERNEL(avg_pool_f32)(glia_pool *pool, const glia_pool_shape *shape, const float *x, float *y) {
    job j = job_of(shape);
    j.x = x, j.y = y;
    run(pool, &j, avg_planes);
}

void GLIA_KERNEL(avg_pool_grad_f32)(glia_pool *pool, const glia_pool_shape *shape, const float *dy, float *dx) {
    job j = job_of(shape);
    j.dy = dy, j.dx = dx;
    run(pool, &j, avg_grad_planes);
}
