/* depthwise.c - convolution with a filter for each channel, and its adjoint in the input.
 *
 * Nothing is summed over channels, so vectors run along them: a pixel of the result is a sum of pixels of the input,
 * each times a row of the kernel, which is packed as [tap][channel]. A position of the result reads an arithmetic
 * series of taps and positions along an axis; in an adjoint with stride only every few taps, the same ones for every
 * stride-th position. Neighbours whose series differ only by a shift are computed together.
 */
#include "backend/cpu/kernels/conv.h"

enum {
    TOGETHER = 4,        /* pixels */
    PIECE_FLOATS = 16384 /* of the result */
};

typedef struct job {
    const glia_conv_shape *s;
    bool adjoint;
    int64_t in[3], out[3];  /* of the input and the result */
    int64_t rows, together; /* of pixels: in all, and in a piece */
    const float *x, *packed;
    float *y;
    glia_epilogue epilogue;
} job;

/* The n taps, tap + i tap_step, that a position of the result needs, and the positions of the input, at + i at_step. */
typedef struct series {
    int64_t n, tap, tap_step, at, at_step;
} series;

/* Those of position r along an axis that are inside the input. */
static series series_of(const job *j, int axis, int64_t r) {
    const int64_t stride = j->s->stride[axis], gap = j->s->dilation[axis], taps = j->s->kernel[axis];
    series q = { taps, 0, 1, r * stride - j->s->pad[axis], gap };
    if (j->adjoint) {
        const int64_t from = r + j->s->pad[axis];
        int64_t every = 1;
        while (every * gap % stride) every++;
        while (q.tap < every && (from - q.tap * gap) % stride) q.tap++;
        q.n = q.tap < every && q.tap < taps ? divide_up(taps - q.tap, every) : 0;
        q.tap_step = every, q.at = divide_down(from - q.tap * gap, stride), q.at_step = -(every * gap / stride);
    }
    for (; q.n > 0 && (q.at < 0 || q.at >= j->in[axis]); q.n--) q.tap += q.tap_step, q.at += q.at_step;
    for (int64_t end; q.n > 0; q.n--) {
        end = q.at + (q.n - 1) * q.at_step;
        if (end >= 0 && end < j->in[axis]) break;
    }
    return q;
}

/* Sums n <= VLEN channels from c on, for pixels of one row of the result that read the same taps. The pixels are y_step
 * floats apart, their inputs x_step floats. */
GLIA_INLINE void sum_vector(const job *j, const int pixels, const series q[3], const float *image, int64_t x_step,
                            float *y, int64_t y_step, int64_t c, const int64_t n) {
    const int64_t channels = j->s->c, *taps = j->s->kernel;
    const int64_t x_next = q[2].at_step * channels, w_next = q[2].tap_step * channels;
    vf sum[TOGETHER];
    GLIA_UNROLL for (int i = 0; i < pixels; i++) sum[i] = (vf){ 0 };
    for (int64_t a = 0; a < q[0].n; a++) {
        for (int64_t b = 0; b < q[1].n; b++) {
            const int64_t line = (q[0].at + a * q[0].at_step) * j->in[1] + q[1].at + b * q[1].at_step;
            const int64_t row = (q[0].tap + a * q[0].tap_step) * taps[1] + q[1].tap + b * q[1].tap_step;
            const float *x = image + (line * j->in[2] + q[2].at) * channels + c;
            const float *w = j->packed + (row * taps[2] + q[2].tap) * channels + c;
            for (int64_t t = 0; t < q[2].n; t++, x += x_next, w += w_next) {
                const vf v = n == VLEN ? vf_load(w) : vf_load_first(w, n);
                GLIA_UNROLL for (int i = 0; i < pixels; i++) {
                    const float *at = x + i * x_step;
                    sum[i] += (n == VLEN ? vf_load(at) : vf_load_first(at, n)) * v;
                }
            }
        }
    }
    GLIA_UNROLL for (int i = 0; i < pixels; i++) vf_store_first(y + i * y_step + c, sum[i], n);
}

GLIA_INLINE void sum_pixels(const job *j, const int pixels, const series q[3], const float *image, int64_t x_step,
                            float *y, int64_t y_step) {
    int64_t c = 0, channels = j->s->c;
    for (; c + VLEN <= channels; c += VLEN) sum_vector(j, pixels, q, image, x_step, y, y_step, c, VLEN);
    if (c < channels) sum_vector(j, pixels, q, image, x_step, y, y_step, c, channels - c);
}

/* Computes one row of the result. TOGETHER neighbours share a series if the first and the last have the same taps: a
 * tap inside the input for both is inside for those between, and no other tap can be inside only for those between,
 * because it would be inside for at least as many neighbours. That does not hold if both have no tap at all: the input
 * may lie between them. Such pixels are computed one at a time. */
static void sum_row(const job *j, const float *image, int64_t d, int64_t h, float *y) {
    const int64_t channels = j->s->c, stride = j->s->stride[2];
    const int64_t phases = j->adjoint ? stride : 1, x_step = (j->adjoint ? 1 : stride) * channels;
    series q[3] = { series_of(j, 0, d), series_of(j, 1, h), { 0 } };
    for (int64_t phase = 0; phase < phases; phase++) {
        for (int64_t o = phase; o < j->out[2];) {
            const int64_t last = o + (TOGETHER - 1) * phases;
            q[2] = series_of(j, 2, o);
            if (last < j->out[2]) {
                const series end = series_of(j, 2, last);
                if (q[2].n > 0 && end.n == q[2].n && end.tap == q[2].tap) {
                    sum_pixels(j, TOGETHER, q, image, x_step, y + o * channels, phases * channels);
                    o = last + phases;
                    continue;
                }
            }
            sum_pixels(j, 1, q, image, x_step, y + o * channels, phases * channels);
            o += phases;
        }
    }
}

static void run_piece(void *context, int64_t piece, int worker) {
    const job *j = context;
    const int64_t first = piece * j->together, last = GLIA_MIN(first + j->together, j->rows), channels = j->s->c;
    for (int64_t row = first; row < last; row++) {
        const int64_t h = row % j->out[1], d = row / j->out[1] % j->out[0], n = row / j->out[1] / j->out[0];
        sum_row(j, j->x + n * volume(j->in) * channels, d, h, j->y + row * j->out[2] * channels);
    }
    if (!j->epilogue.fn) return;
    j->epilogue.fn(j->epilogue.context, worker, 0, first * j->out[2], (last - first) * j->out[2], 0, channels,
                   j->y + first * j->out[2] * channels, channels);
}

void GLIA_KERNEL(depthwise_pack)(const glia_conv_shape *s, const float *kernel, float *packed) {
    const int64_t taps = volume(s->kernel);
    for (int64_t c = 0; c < s->c; c++) {
        for (int64_t t = 0; t < taps; t++) packed[t * s->c + c] = kernel[c * taps + t];
    }
}

void GLIA_KERNEL(depthwise_f32)(glia_pool *pool, const glia_conv_shape *s, bool adjoint, const float *x,
                                const float *packed, float *y, glia_epilogue epilogue) {
    job j = { .s = s, .adjoint = adjoint, .x = x, .packed = packed, .y = y, .epilogue = epilogue };
    for (int a = 0; a < 3; a++) j.in[a] = adjoint ? s->out[a] : s->in[a], j.out[a] = adjoint ? s->in[a] : s->out[a];
    if (s->n < 1 || volume(s->in) < 1 || volume(s->out) < 1) return;
    j.rows = s->n * j.out[0] * j.out[1];
    j.together = GLIA_MAX(1, PIECE_FLOATS / (j.out[2] * s->c));
    glia_parallel_for(pool, divide_up(j.rows, j.together), run_piece, &j);
}
