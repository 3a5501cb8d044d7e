/* conv_exact.c - recomputes elements of convolutions that came out infinite or NaN, by the definition.
 *
 * Fast methods multiply zeros that the definition does not have: padding around a window of the input, taps around a
 * kernel that is applied to several pixels at once, differences in Winograd's tiles. Zero times infinity is NaN, so one
 * infinite element would spoil results that do not depend on it. Such a result is never finite. So results are scanned,
 * one operation a vector, and those that are not finite are summed again over the pairs of the definition, in double.
 * A NaN sum stops early. Padding is multiplied by the kernel only: if the kernel is finite, results need no scan.
 */
#include "backend/cpu/kernels/conv.h"

/* ---- looking ------------------------------------------------------------------------------ */

/* True if n floats are finite: x * 0 is NaN if x is not. */
static bool are_finite(const float *x, int64_t n) {
    vf sum[4] = { { 0 } };
    int64_t i = 0;
    for (; i + 4 * VLEN <= n; i += 4 * VLEN) {
        GLIA_UNROLL for (int k = 0; k < 4; k++) sum[k] += vf_load(x + i + k * VLEN) * 0.0f;
    }
    for (; i < n; i += VLEN) sum[0] += vf_load_first(x + i, GLIA_MIN(VLEN, n - i)) * 0.0f;
    return vf_sum((sum[0] + sum[1]) + (sum[2] + sum[3])) == 0;
}

bool GLIA_KERNEL(conv_padding_is_safe)(const glia_conv_shape *s, const float *kernel, int64_t floats) {
    return floats <= s->n * GLIA_MIN(s->k * volume(s->out), s->c * volume(s->in)) && are_finite(kernel, floats);
}

static bool is_finite(float x) { return x - x == 0; }

/* ---- kernels as they lie ------------------------------------------------------------------ */

kernel_view GLIA_KERNEL(conv_view)(const glia_conv_shape *s, bool adjoint, const float *kernel) {
    const int64_t taps = volume(s->kernel), c = s->c / s->groups, k = s->k / s->groups;
    const int64_t by_filter = c * taps, by_channel = taps;
    return (kernel_view){ .at = kernel,
                          .group = k * by_filter,
                          .c = adjoint ? by_filter : by_channel,
                          .k = adjoint ? by_channel : by_filter,
                          .row = s->kernel[2],
                          .tap = 1 };
}

/* The element for channel a of the input and b of the result, both in a group, at a tap of a row of taps. */
static float element(const kernel_view *v, int64_t group, int64_t a, int64_t b, int64_t row, int64_t tap) {
    const packing *p = v->panels;
    if (!p) return v->at[group * v->group + a * v->c + b * v->k + row * v->row + tap * v->tap];
    int64_t t = row * p->kernel_row + tap, col = b;
    if (p->order == PACK_FLIPPED) t = p->taps - 1 - t;
    if (p->order == PACK_TOGETHER) t = row * p->row + tap;
    if (p->order == PACK_SPREAD) t = row, col = tap * p->k + b;
    const int64_t panel = col / NR, width = panel_width(panel_cols(p->cols, panel));
    const int64_t c0 = a / p->chunk * p->chunk, n = GLIA_MIN(p->chunk, p->c - c0);
    return v->at[packed_at(p, group, panel) + p->taps * c0 * width + (t * n + a - c0) * width + col % NR];
}

/* ---- results ------------------------------------------------------------------------------ */

/* Where tap t reads the input for position o of the result along an axis; false: outside. */
static bool reads(const exact_sum *e, int axis, int64_t o, int64_t t, int64_t *at) {
    const glia_conv_shape *s = e->s;
    if (!e->adjoint) {
        *at = o * s->stride[axis] - s->pad[axis] + t * s->dilation[axis];
        return *at >= 0 && *at < s->in[axis];
    }
    const int64_t from = o + s->pad[axis] - t * s->dilation[axis];
    *at = from / s->stride[axis];
    return from >= 0 && from % s->stride[axis] == 0 && *at < s->out[axis];
}

/* Channel `channel` of a pixel of image n. */
static float sum_of(const exact_sum *e, int64_t n, const int64_t pixel[3], int64_t channel) {
    const glia_conv_shape *s = e->s;
    const int64_t *in = e->adjoint ? s->out : s->in, channels = e->adjoint ? s->k : s->c;
    const int64_t sums = channels / s->groups, results = (e->adjoint ? s->c : s->k) / s->groups;
    const int64_t group = channel / results, b = channel % results;
    double sum = 0;
    for (int64_t t = 0; t < volume(s->kernel); t++) {
        int64_t tap[3], at[3];
        place_of(s->kernel, t, tap);
        bool inside = true;
        for (int a = 0; a < 3; a++) inside &= reads(e, a, pixel[a], tap[a], &at[a]);
        if (!inside) continue;
        const float *x = e->x + (((n * in[0] + at[0]) * in[1] + at[1]) * in[2] + at[2]) * channels + group * sums;
        for (int64_t a = 0; a < sums && sum == sum; a++)
            sum += (double)x[a] * (double)element(&e->kernel, group, a, b, t / s->kernel[2], tap[2]);
    }
    return (float)sum;
}

void GLIA_KERNEL(conv_exact)(const exact_sum *e, int64_t first, int64_t pixels, int64_t channel, int64_t channels) {
    const int64_t *out = e->adjoint ? e->s->in : e->s->out, all = e->adjoint ? e->s->c : e->s->k;
    float *y = e->y + first * all + channel;
    if (channels == all && are_finite(y, pixels * channels)) return;
    for (int64_t i = 0; i < pixels; i++, y += all) {
        if (are_finite(y, channels)) continue;
        int64_t pixel[3];
        place_of(out, (first + i) % volume(out), pixel);
        for (int64_t k = 0; k < channels; k++)
            if (!is_finite(y[k])) y[k] = sum_of(e, (first + i) / volume(out), pixel, channel + k);
    }
}

/* ---- gradients of kernels ----------------------------------------------------------------- */

typedef struct grad_job {
    const glia_conv_shape *s;
    const float *x, *dy;
    float *dw;
} grad_job;

/* dw at filter k, channel c of its group, and a tap. */
static float grad_sum_of(const grad_job *j, int64_t k, int64_t c, int64_t t) {
    const glia_conv_shape *s = j->s;
    int64_t tap[3], from[3], to[3];
    double sum = 0;
    place_of(s->kernel, t, tap);
    for (int a = 0; a < 3; a++) joined(s, a, tap[a], 0, s->in[a], 0, s->out[a], &from[a], &to[a]);
    c += k / (s->k / s->groups) * (s->c / s->groups);
    for (int64_t n = 0; n < s->n; n++) {
        for (int64_t d = from[0]; d < to[0]; d++) {
            for (int64_t h = from[1]; h < to[1]; h++) {
                const int64_t z = d * s->stride[0] - s->pad[0] + tap[0] * s->dilation[0];
                const int64_t y = h * s->stride[1] - s->pad[1] + tap[1] * s->dilation[1];
                const float *x = j->x + ((n * s->in[0] + z) * s->in[1] + y) * s->in[2] * s->c + c;
                const float *dy = j->dy + ((n * s->out[0] + d) * s->out[1] + h) * s->out[2] * s->k + k;
                for (int64_t w = from[2]; w < to[2]; w++) {
                    const int64_t at = w * s->stride[2] - s->pad[2] + tap[2] * s->dilation[2];
                    sum += (double)x[at * s->c] * (double)dy[w * s->k];
                }
                if (sum != sum) return (float)sum;
            }
        }
    }
    return (float)sum;
}

/* One filter. */
static void grad_piece(void *context, int64_t k, int worker) {
    (void)worker;
    const grad_job *j = context;
    const int64_t taps = volume(j->s->kernel), elements = j->s->c / j->s->groups * taps;
    float *dw = j->dw + k * elements;
    for (int64_t i = 0; i < elements; i++)
        if (!is_finite(dw[i])) dw[i] = grad_sum_of(j, k, i / taps, i % taps);
}

void GLIA_KERNEL(conv_exact_grad)(glia_pool *pool, const glia_conv_shape *s, const float *x, const float *dy,
                                  float *dw) {
    grad_job j = { s, x, dy, dw };
    if (are_finite(dw, s->k * (s->c / s->groups) * volume(s->kernel))) return;
    glia_parallel_for(pool, s->k, grad_piece, &j);
}
