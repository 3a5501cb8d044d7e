/* conv_few.c - convolution with few filters, where vectors along filters would leave lanes unused.
 *
 * Vectors run along the pixels of a row of the result, without a stride, and a filter's elements are broadcast. The
 * rows that a piece of the result reads are deinterleaved into channels first:
 *
 *     window  [depth][height][channel][width]                    zeros around it
 *     kernel  [depth][height][channel][tap of the row][filter]
 *
 * so that vectors of pixels are read in place at every tap; finished ones are interleaved into pixels of all filters.
 */
#include "backend/cpu/kernels/conv.h"

enum {
    PIECE_PIXELS = 1024, /* of the result */
    PIECE_FLOPS = 1000000,
    MIN_PIECES = 8 /* if there is enough work */
};

typedef struct job {
    const glia_conv_shape *s;
    int64_t parts;                 /* of each plane of the result */
    int64_t rows, width;           /* of a window */
    int64_t window_floats, floats; /* of a worker */
    const float *x, *packed;
    float *y, *private;
    exact_sum exact;
    glia_epilogue epilogue;
} job;

static job make_job(const glia_conv_shape *s) {
    job j = { .s = s };
    const int64_t pixels = s->out[1] * s->out[2], planes = s->n * s->out[0];
    const double flops = 2.0 * (double)(planes * pixels * volume(s->kernel)) * (double)(s->c * s->k);
    const int64_t want = 1 + (int64_t)GLIA_MIN(flops / PIECE_FLOPS, MIN_PIECES - 1.0);
    j.parts = GLIA_MIN(s->out[1], GLIA_MAX(divide_up(want, planes), divide_up(pixels, PIECE_PIXELS)));
    j.rows = (divide_up(s->out[1], j.parts) - 1) * s->stride[1] + s->kernel[1];
    j.width = s->out[2] + s->kernel[2] - 1;
    j.window_floats = round_up(s->kernel[0] * j.rows * s->c * j.width + VLEN, 16);
    j.floats = j.window_floats + s->k * STRIP_VECTORS * VLEN;
    return j;
}

/* ---- the window --------------------------------------------------------------------------- */

/* Lane l of the k-th, second, third vector of x0 y0 z0 x1 y1 z1 ...: from the first two vectors, or from the third. */
#define FROM_TWO(p)     ((p) < 2 * VLEN ? (p) : 0)
#define FROM_LAST(p, l) ((p) < 2 * VLEN ? (l) : (p)-VLEN)
#define FOUR(f, k, l)   f(k, l), f(k, (l) + 1), f(k, (l) + 2), f(k, (l) + 3)
#define TWO_LANE(k, l)  FROM_TWO(3 * (l) + (k))
#define LAST_LANE(k, l) FROM_LAST(3 * (l) + (k), l)
#if VLEN == 16
#define EACH_LANE(f, k) FOUR(f, k, 0), FOUR(f, k, 4), FOUR(f, k, 8), FOUR(f, k, 12)
#elif VLEN == 8
#define EACH_LANE(f, k) FOUR(f, k, 0), FOUR(f, k, 4)
#else
#define EACH_LANE(f, k) FOUR(f, k, 0)
#endif
#define PART(a, b, c, k)                                                                                               \
    __builtin_shufflevector(__builtin_shufflevector(a, b, EACH_LANE(TWO_LANE, k)), c, EACH_LANE(LAST_LANE, k))

/* to[k to_step + i] = from[i c + k]: the n pixels of a row by channels. */
static void split_channels(float *to, int64_t to_step, const float *from, int64_t n, int64_t c) {
    if (c == 1) {
        memcpy(to, from, (size_t)n * sizeof(float));
        return;
    }
    int64_t i = 0;
    for (; c == 3 && i + VLEN <= n; i += VLEN) {
        const vf x = vf_load(from + 3 * i), y = vf_load(from + 3 * i + VLEN), z = vf_load(from + 3 * i + 2 * VLEN);
        vf_store(to + i, PART(x, y, z, 0));
        vf_store(to + to_step + i, PART(x, y, z, 1));
        vf_store(to + 2 * to_step + i, PART(x, y, z, 2));
    }
    for (int64_t k = 0; k < c; k++) {
        for (int64_t at = i; at < n; at++) to[k * to_step + at] = from[at * c + k];
    }
}

/* Fills the window with the input of rows [h0, h1) at depth d of the result of image n. */
static void fill_window(const job *j, int64_t n, int64_t d, int64_t h0, int64_t h1, float *window) {
    const glia_conv_shape *s = j->s;
    const int64_t left = GLIA_MIN(s->pad[2], j->width), stop = GLIA_MIN(j->width, left + s->in[2]),
                  line = s->c * j->width;
    const int64_t rows = (h1 - h0 - 1) * s->stride[1] + s->kernel[1];
    for (int64_t a = 0; a < s->kernel[0]; a++) {
        for (int64_t b = 0; b < rows; b++) {
            const int64_t z = d * s->stride[0] - s->pad[0] + a * s->dilation[0], y = h0 * s->stride[1] - s->pad[1] + b;
            const bool inside = z >= 0 && z < s->in[0] && y >= 0 && y < s->in[1];
            float *to = window + (a * j->rows + b) * line;
            if (!inside || stop - left < j->width) memset(to, 0, (size_t)line * sizeof(float));
            if (!inside) continue;
            const float *from = j->x + ((n * s->in[0] + z) * s->in[1] + y) * s->in[2] * s->c;
            split_channels(to + left, j->width, from, stop - left, s->c);
        }
    }
}

/* ---- results ------------------------------------------------------------------------------ */

/* Four rows of VLEN pixels, `step` floats apart, to y as pixels of k floats: the first n pixels of the first `rows`
 * rows. What lies between y and `end` may be written, too. */
static void store_four(const float *rows_at, int64_t step, int64_t rows, float *y, int64_t k, int64_t n,
                       const float *end) {
    vf row[4], pixel[4];
    GLIA_UNROLL for (int r = 0; r < 4; r++) row[r] = r < rows ? vf_load(rows_at + r * step) : (vf){ 0 };
    const vf ab0 = vf_low_4(row[0], row[1]), ab1 = vf_high_4(row[0], row[1]);
    const vf cd0 = vf_low_4(row[2], row[3]), cd1 = vf_high_4(row[2], row[3]);
    pixel[0] = vf_low_pairs_4(ab0, cd0), pixel[1] = vf_high_pairs_4(ab0, cd0);
    pixel[2] = vf_low_pairs_4(ab1, cd1), pixel[3] = vf_high_pairs_4(ab1, cd1);
    v4 part[4][VLEN / 4];
    memcpy(part, pixel, sizeof part);
    if (end - y >= (VLEN - 1) * k + 4) {
        GLIA_UNROLL for (int i = 0; i < VLEN; i++) * (v4_any *)(y + i * k) = part[i % 4][i / 4];
        return;
    }
    for (int64_t i = 0; i < n; i++) memcpy(y + i * k, &part[i % 4][i / 4], (size_t)rows * sizeof(float));
}

/* One vector of each filter to its n pixels: filters backwards, since what is written behind four of them belongs to
 * the next pixel's first ones; and behind the pixels up to `end` nothing is finished. */
static void store_pixels(const job *j, const float *sums, float *y, int64_t n, const float *end) {
    const int64_t k = j->s->k, step = STRIP_VECTORS * VLEN;
    for (int64_t f = (k - 1) / 4 * 4; f >= 0; f -= 4) {
        store_four(sums + f * step, step, GLIA_MIN(4, k - f), y + f, k, n, end);
    }
}

/* ---- pieces ------------------------------------------------------------------------------- */

/* Vectors of pixels: where they begin in the window and in the result, and how many pixels there are. */
typedef struct vectors {
    int64_t n, at[STRIP_VECTORS], pixel[STRIP_VECTORS], pixels[STRIP_VECTORS];
} vectors;

/* Their sums by all filters. */
static void sum_vectors(const job *j, const float *window, const vectors *v, float *sums) {
    const glia_conv_shape *s = j->s;
    const int64_t taps = s->kernel[2], slice = s->kernel[1] * s->c;
    const int64_t parts = divide_up(s->k, strip_rows(v->n));
    glia_conv_strip a = { .outer = slice,
                          .inner = taps,
                          .p_step = s->k,
                          .p_outer = taps * s->k,
                          .q_step = 1,
                          .q_outer = j->width,
                          .q_at = v->at,
                          .c_step = STRIP_VECTORS * VLEN };
    for (int64_t d = 0; d < s->kernel[0]; d++) {
        a.q = window + d * j->rows * s->c * j->width, a.add = d > 0;
        for (int64_t part = 0; part < parts; part++) {
            const int64_t from = s->k * part / parts, to = s->k * (part + 1) / parts;
            a.p = j->packed + d * slice * taps * s->k + from;
            a.c = sums + from * a.c_step;
            GLIA_KERNEL(conv_strips)[v->n - 1][to - from - 1](&a);
        }
    }
}

static void run_piece(void *context, int64_t piece, int worker) {
    const job *j = context;
    const glia_conv_shape *s = j->s;
    const int64_t plane = piece / j->parts, part = piece % j->parts;
    const int64_t h0 = s->out[1] * part / j->parts, rows = s->out[1] * (part + 1) / j->parts - h0;
    float *window = j->private + worker * j->floats, *sums = window + j->window_floats;
    fill_window(j, plane / s->out[0], plane % s->out[0], h0, h0 + rows, window);
    const int64_t first = (plane * s->out[1] + h0) * s->out[2], per_row = divide_up(s->out[2], VLEN);
    float *y = j->y + first * s->k;
    vectors v = { 0 };
    for (int64_t row = 0, left = rows * per_row; row < rows; row++) {
        for (int64_t col = 0; col < s->out[2]; col += VLEN) {
            left--;
            v.at[v.n] = row * s->stride[1] * s->c * j->width + col;
            v.pixel[v.n] = row * s->out[2] + col, v.pixels[v.n] = GLIA_MIN(VLEN, s->out[2] - col);
            if (++v.n < STRIP_VECTORS && left > 0) continue;
            sum_vectors(j, window, &v, sums);
            for (int64_t i = 0; i < v.n; i++) {
                store_pixels(j, sums + i * VLEN, y + v.pixel[i] * s->k, v.pixels[i], y + rows * s->out[2] * s->k);
            }
            v.n = 0;
        }
    }
    if (j->exact.s) GLIA_KERNEL(conv_exact)(&j->exact, first, rows * s->out[2], 0, s->k);
    if (j->epilogue.fn) j->epilogue.fn(j->epilogue.context, worker, 0, first, rows * s->out[2], 0, s->k, y, s->k);
}

/* ---- entries ------------------------------------------------------------------------------ */

void GLIA_KERNEL(few_pack)(const glia_conv_shape *s, const float *kernel, float *packed) {
    const int64_t rows = s->kernel[0] * s->kernel[1], taps = s->kernel[2];
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t c = 0; c < s->c; c++) {
            for (int64_t t = 0; t < taps; t++) {
                for (int64_t k = 0; k < s->k; k++) *packed++ = kernel[((k * s->c + c) * rows + row) * taps + t];
            }
        }
    }
}

size_t GLIA_KERNEL(few_scratch)(const glia_conv_shape *s, int workers) {
    return (size_t)(workers * make_job(s).floats) * sizeof(float);
}

void GLIA_KERNEL(few_f32)(glia_pool *pool, const glia_conv_shape *s, const float *x, const float *packed, float *y,
                          glia_epilogue epilogue, float *scratch) {
    job j = make_job(s);
    j.x = x, j.packed = packed, j.y = y, j.private = scratch, j.epilogue = epilogue;
    const int64_t taps = s->kernel[2];
    if (!GLIA_KERNEL(conv_padding_is_safe)(s, packed, s->c * s->k * volume(s->kernel)))
        j.exact = (exact_sum){
            s, false, x, { .at = packed, .c = taps * s->k, .k = 1, .row = s->c * taps * s->k, .tap = s->k }, y
        };
    glia_parallel_for(pool, s->n * s->out[0] * j.parts, run_piece, &j);
}
