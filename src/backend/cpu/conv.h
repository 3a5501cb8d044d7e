/* conv.h - what convolution and its adjoints share: where outputs read their inputs, and windows of the input copied so
 * that this is easy.
 *
 * Along each axis output o reads positions o step + low + t gap of the input, t < taps (for a convolution: stride, -pad
 * and dilation; for the adjoint see conv.c). Work is cut into regions: some whole images, or some rows of one image. A
 * region's input is read where it lies, or copied into a window without strides and borders:
 *
 *     window  [image][channel][phase][depth][height][width]       phases: positions modulo step, on every axis
 *
 * Position o step + t gap is element o + (t gap) / step of phase (t gap) % step. So neighbouring outputs of a row always
 * read neighbouring elements, and a tap is an offset.
 */
#ifndef GLIA_CPU_CONV_H
#define GLIA_CPU_CONV_H

#include "backend/cpu/conv_micro.h"
#include "backend/cpu/rows.h"

typedef struct field {
    int64_t in[3], out[3], step[3], low[3], taps[3], gap[3];
} field;

/* Images [n0, n1), depths [d0, d1) and rows [h0, h1) of the output; either whole images, or one depth of one image. */
typedef struct region {
    int64_t n0, n1, d0, d1, h0, h1;
} region;

/* Images as they lie or copied: an image's channel's phase's plane's row's first element. */
typedef struct view {
    const float *data; /* position `low` of the region's first output */
    int64_t image, channel, phase, plane, row;
    int64_t floats; /* that may be read from data on */
} view;

GLIA_INLINE int64_t volume(const int64_t d[3]) { return d[0] * d[1] * d[2]; }
GLIA_INLINE int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
GLIA_INLINE int64_t round_up(int64_t x, int64_t to) { return divide_up(x, to) * to; }

/* Positions along an axis that `outputs` outputs read, from first to last. */
GLIA_INLINE int64_t span(const field *f, int axis, int64_t outputs) {
    return (outputs - 1) * f->step[axis] + (f->taps[axis] - 1) * f->gap[axis] + 1;
}

/* A step matters only where there are several outputs. */
static inline void straighten(field *f) {
    for (int a = 0; a < 3; a++) {
        if (f->out[a] == 1) f->step[a] = 1;
    }
}

/* What a convolution reads. */
static inline field field_of(const glia_conv_shape *s) {
    field f;
    for (int a = 0; a < 3; a++) {
        f.in[a] = s->in[a], f.out[a] = s->out[a], f.step[a] = s->stride[a];
        f.low[a] = -s->pad[a], f.taps[a] = s->kernel[a], f.gap[a] = s->dilation[a];
    }
    straighten(&f);
    return f;
}

/* May the input be read where it lies? */
static inline bool lies_ready(const field *f) {
    for (int a = 0; a < 3; a++) {
        bool strided = f->step[a] != 1 && f->out[a] > 1;
        if (strided || f->low[a] < 0 || f->low[a] + span(f, a, f->out[a]) > f->in[a]) return false;
    }
    return true;
}

GLIA_INLINE int64_t phases(const field *f) { return volume(f->step); }

/* The extents of a window for so many depths and rows of outputs. */
static inline void window_extents(const field *f, int64_t depths, int64_t rows, int64_t extents[3]) {
    const int64_t outputs[3] = { depths, rows, f->out[2] };
    for (int a = 0; a < 3; a++) extents[a] = divide_up(span(f, a, outputs[a]), f->step[a]);
}

/* Floats of a window of `images` images of `channels` channels, with room to read two wide tiles beyond. */
static inline int64_t window_floats(const field *f, int64_t images, int64_t channels, int64_t depths, int64_t rows) {
    int64_t extents[3];
    window_extents(f, depths, rows, extents);
    return round_up(images * channels * phases(f) * volume(extents), 16) + 2 * WIDE_NR;
}

/* Asks for floats that lie in a line to be brought near, as hardware does not for an order of reading by channels. */
static inline void fetch(const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i += 16) __builtin_prefetch(x + i, 0, 2);
}

/* dst[i] = src[start + i step] for i < n, or 0 where that is outside [0, size). */
static inline void copy_strided(float *dst, int64_t n, const float *src, int64_t start, int64_t step, int64_t size) {
    int64_t i = 0, first = start < 0 ? divide_up(-start, step) : 0;
    int64_t stop = start < size ? GLIA_MIN(n, divide_up(size - start, step)) : 0;
    for (; i < GLIA_MIN(first, n); i++) dst[i] = 0;
    if (step == 1) {
        for (; i < stop; i++) dst[i] = src[start + i];
    } else {
        for (; i < stop; i++) dst[i] = src[start + i * step];
    }
    for (; i < n; i++) dst[i] = 0;
}

/* Is there a tap that reads this phase of the axis? */
static inline bool phase_used(const field *f, int axis, int64_t phase) {
    for (int64_t t = 0; t < f->taps[axis]; t++) {
        if (t * f->gap[axis] % f->step[axis] == phase) return true;
    }
    return false;
}

/* One phase of one channel of a window. origin: the position of its first element on every axis. */
static inline void copy_phase(float *dst, const field *f, const int64_t extents[3], const int64_t origin[3],
                              const float *plane) {
    for (int64_t d = 0; d < extents[0]; d++) {
        int64_t z = origin[0] + d * f->step[0];
        for (int64_t h = 0; h < extents[1]; h++, dst += extents[2]) {
            int64_t y = origin[1] + h * f->step[1];
            bool inside = z >= 0 && z < f->in[0] && y >= 0 && y < f->in[1];
            if (inside) {
                copy_strided(dst, extents[2], plane + (z * f->in[1] + y) * f->in[2], origin[2], f->step[2], f->in[2]);
            } else {
                memset(dst, 0, (size_t)extents[2] * sizeof(float));
            }
        }
    }
}

/* Channels [c0, c0 + channels) of x (N, total, in...) for a region, copied to dst. */
static inline view copy_window(float *dst, const field *f, const region *r, const float *x, int64_t total, int64_t c0,
                               int64_t channels) {
    int64_t extents[3];
    window_extents(f, r->d1 - r->d0, r->h1 - r->h0, extents);
    int64_t plane = volume(extents), in = volume(f->in);
    view v = { dst, channels * phases(f) * plane, phases(f) * plane, plane, extents[1] * extents[2], extents[2], 0 };
    v.floats = (r->n1 - r->n0) * v.image + 2 * WIDE_NR;
    memset(dst + v.floats - 2 * WIDE_NR, 0, 2 * WIDE_NR * sizeof(float));
    for (int64_t n = r->n0; n < r->n1; n++) {
        for (int64_t c = 0; c < channels; c++) {
            for (int64_t p = 0; p < phases(f); p++, dst += plane) {
                int64_t pd = p / (f->step[1] * f->step[2]), ph = p / f->step[2] % f->step[1], pw = p % f->step[2];
                if (!phase_used(f, 0, pd) || !phase_used(f, 1, ph) || !phase_used(f, 2, pw)) {
                    memset(dst, 0, (size_t)plane * sizeof(float));
                    continue;
                }
                const int64_t origin[3] = { f->low[0] + r->d0 * f->step[0] + pd, f->low[1] + r->h0 * f->step[1] + ph,
                                            f->low[2] + pw };
                copy_phase(dst, f, extents, origin, x + (n * total + c0 + c) * in);
            }
        }
    }
    return v;
}

/* The same region of x where it lies. */
static inline view view_of(const field *f, const region *r, const float *x, int64_t images, int64_t total, int64_t c0) {
    int64_t in = volume(f->in), plane = f->in[1] * f->in[2];
    int64_t start = (r->n0 * total + c0) * in + (f->low[0] + r->d0 * f->step[0]) * plane +
                    (f->low[1] + r->h0 * f->step[1]) * f->in[2] + f->low[2];
    return (view){ x + start, total * in, in, 0, plane, f->in[2], images * total * in - start };
}

/* at[t] = where tap t reads, for the first output; taps in row-major order, or those of a row of the kernel together, over
 * all depths. Returns the largest. */
static inline int64_t tap_offsets(const field *f, const view *v, bool by_rows, int64_t *at) {
    int64_t most = 0;
    for (int64_t a = 0; a < f->taps[0]; a++) {
        for (int64_t b = 0; b < f->taps[1]; b++) {
            for (int64_t c = 0; c < f->taps[2]; c++) {
                int64_t d = a * f->gap[0], h = b * f->gap[1], w = c * f->gap[2];
                int64_t phase = (d % f->step[0] * f->step[1] + h % f->step[1]) * f->step[2] + w % f->step[2];
                int64_t tap = by_rows ? (b * f->taps[0] + a) * f->taps[2] + c : (a * f->taps[1] + b) * f->taps[2] + c;
                at[tap] = phase * v->phase + d / f->step[0] * v->plane + h / f->step[1] * v->row + w / f->step[2];
                most = GLIA_MAX(most, at[tap]);
            }
        }
    }
    return most;
}

#endif
