/* augment_series.c - transformations of series (T) and (C, T): shift, magnitude scaling, time warping, slicing.
 *
 * Um et al. 2017, "Data augmentation of wearable sensor data for Parkinson's disease monitoring using convolutional
 * neural networks"; Le Guennec, Malinowski and Tavenard 2016 for slicing. All channels share one time axis.
 */
#include <math.h>

#include "data/augment/augment.h"

/* ---- shifting ----------------------------------------------------------------------------- */

static void shift_run(const void *opts, glia_frame frame, glia_rng *rng, glia_augment_work *work) {
    const glia_augment_shift_opts *o = opts;
    const int by = (int)rint(glia_rng_between(rng, -o->by, o->by) * frame.width);
    if (!by) return;
    glia_augment_shift_pixels(work->x, work->spare, frame, 0, -by, o->edge, (float)o->fill);
    glia_augment_exchange(work);
}

static const glia_augment_field shift_fields[] = {
    AUGMENT_FIELD(glia_augment_shift_opts, REAL, by, 0, 10, 0.1, 0),
    AUGMENT_BEYOND(glia_augment_shift_opts),
    AUGMENT_P(glia_augment_shift_opts),
};
const glia_augment_kind glia_augment_shift_kind = {
    .name = "shift",
    .of = GLIA_AUGMENT_SERIES,
    .fields = shift_fields,
    .n_fields = GLIA_COUNT(shift_fields),
    .opts_bytes = sizeof(glia_augment_shift_opts),
    .run = shift_run,
};

void glia_augment_shift(glia_augment *augment, glia_augment_shift_opts opts) {
    glia_augment_add(augment, &glia_augment_shift_kind, &opts);
}

/* ---- magnitudes --------------------------------------------------------------------------- */

static void magnitude_run(const void *opts, glia_frame frame, glia_rng *rng, glia_augment_work *work) {
    const glia_augment_magnitude_opts *o = opts;
    for (int c = 0; c < frame.channels; c++) {
        const float factor = (float)(1 + o->sigma * glia_rng_normal(rng));
        float *x = work->x + (size_t)c * (size_t)frame.width;
        for (int t = 0; t < frame.width; t++) x[t] *= factor;
    }
}

static const glia_augment_field magnitude_fields[] = {
    AUGMENT_FIELD(glia_augment_magnitude_opts, REAL, sigma, 0, 1e3, 0.1, 0),
    AUGMENT_P(glia_augment_magnitude_opts),
};
const glia_augment_kind glia_augment_magnitude_kind = {
    .name = "magnitude",
    .of = GLIA_AUGMENT_SERIES,
    .fields = magnitude_fields,
    .n_fields = GLIA_COUNT(magnitude_fields),
    .opts_bytes = sizeof(glia_augment_magnitude_opts),
    .run = magnitude_run,
};

void glia_augment_magnitude(glia_augment *augment, glia_augment_magnitude_opts opts) {
    glia_augment_add(augment, &glia_augment_magnitude_kind, &opts);
}

/* ---- warped time -------------------------------------------------------------------------- */

/* Second derivatives of the cubic spline through y[0 .. n) with unit spacing and not-a-knot ends: the first two and the
 * last two pieces are one cubic each (a parabola for n = 3). */
static void spline_bend(const double *y, int n, double *bend) {
    double upper[GLIA_WARP_POINTS];
    for (int i = 1; i < n - 1; i++) bend[i] = 6 * (y[i - 1] - 2 * y[i] + y[i + 1]);
    bend[1] /= 6; /* with the end condition the equation is 6 b = r */
    if (n > 3) bend[n - 2] /= 6;
    upper[1] = 0;
    for (int i = 2; i < n - 2; i++) { /* Thomas algorithm for b[i-1] + 4 b[i] + b[i+1] = r[i] */
        upper[i] = 1 / (4 - upper[i - 1]);
        bend[i] = (bend[i] - bend[i - 1]) * upper[i];
    }
    for (int i = n - 3; i >= 2; i--) bend[i] -= upper[i] * bend[i + 1];
    bend[0] = n > 3 ? 2 * bend[1] - bend[2] : bend[1];
    bend[n - 1] = n > 3 ? 2 * bend[n - 2] - bend[n - 3] : bend[1];
}

/* Its value at x in [0, n - 1], at least 0.01 so that time always advances. */
static double spline_at(const double *y, const double *bend, int n, double x) {
    const int i = GLIA_MIN((int)x, n - 2);
    const double b = x - i, a = 1 - b;
    const double value = a * y[i] + b * y[i + 1] + ((a * a * a - a) * bend[i] + (b * b * b - b) * bend[i + 1]) / 6;
    return GLIA_MAX(value, 0.01);
}

void glia_augment_warp(const float *in, float *out, glia_frame frame, const double *speed, int points) {
    const int n = frame.width;
    const double step = n > 1 ? (points - 1) / (double)(n - 1) : 0;
    double bend[GLIA_WARP_POINTS] = { 0 }, total = 0;
    spline_bend(speed, points, bend);
    for (int t = 0; t < n; t++) total += spline_at(speed, bend, points, t * step);
    const double scale = (n - 1) / total;
    double sum = spline_at(speed, bend, points, 0), before = sum * scale, after = before;
    int at = 0; /* input `at` - 1 is at time `before`, input `at` at time `after` */
    for (int t = 0; t < n; t++) {
        while (after < t && at + 1 < n) {
            sum += spline_at(speed, bend, points, (at + 1) * step);
            before = after;
            after = sum * scale;
            at++;
        }
        const int left = GLIA_MAX(at - 1, 0);
        const double part = after > before ? GLIA_MIN(GLIA_MAX((t - before) / (after - before), 0), 1) : 1;
        for (int c = 0; c < frame.channels; c++) {
            const float *x = in + (size_t)c * (size_t)n;
            out[(size_t)c * (size_t)n + (size_t)t] = (float)((1 - part) * (double)x[left] + part * (double)x[at]);
        }
    }
}

static void time_warp_run(const void *opts, glia_frame frame, glia_rng *rng, glia_augment_work *work) {
    const glia_augment_time_warp_opts *o = opts;
    double speed[GLIA_WARP_POINTS];
    for (int i = 0; i < o->knots + 2; i++) speed[i] = 1 + o->sigma * glia_rng_normal(rng);
    glia_augment_warp(work->x, work->spare, frame, speed, o->knots + 2);
    glia_augment_exchange(work);
}

static const glia_augment_field time_warp_fields[] = {
    AUGMENT_FIELD(glia_augment_time_warp_opts, REAL, sigma, 0, 10, 0.2, 0),
    AUGMENT_FIELD(glia_augment_time_warp_opts, WHOLE, knots, 1, GLIA_WARP_POINTS - 2, 4, 0),
    AUGMENT_P(glia_augment_time_warp_opts),
};
const glia_augment_kind glia_augment_time_warp_kind = {
    .name = "time_warp",
    .of = GLIA_AUGMENT_SERIES,
    .fields = time_warp_fields,
    .n_fields = GLIA_COUNT(time_warp_fields),
    .opts_bytes = sizeof(glia_augment_time_warp_opts),
    .run = time_warp_run,
};

void glia_augment_time_warp(glia_augment *augment, glia_augment_time_warp_opts opts) {
    glia_augment_add(augment, &glia_augment_time_warp_kind, &opts);
}

/* ---- slices ------------------------------------------------------------------------------- */

void glia_augment_slice_window(const float *in, float *out, glia_frame frame, int begin, int length) {
    const int n = frame.width;
    const double step = n > 1 ? (length - 1) / (double)(n - 1) : 0;
    for (int c = 0; c < frame.channels; c++, in += n, out += n) {
        for (int t = 0; t < n; t++) {
            const int at = GLIA_MIN((int)(t * step), length - 1), next = GLIA_MIN(at + 1, length - 1);
            const float part = (float)(t * step - at);
            out[t] = (1 - part) * in[begin + at] + part * in[begin + next];
        }
    }
}

static void slice_run(const void *opts, glia_frame frame, glia_rng *rng, glia_augment_work *work) {
    const glia_augment_slice_opts *o = opts;
    const int length = GLIA_MAX((int)ceil(o->share * frame.width), 1);
    const int begin = (int)glia_rng_below(rng, (uint64_t)(frame.width - length) + 1);
    glia_augment_slice_window(work->x, work->spare, frame, begin, length);
    glia_augment_exchange(work);
}

static const glia_augment_field slice_fields[] = {
    AUGMENT_FIELD(glia_augment_slice_opts, REAL, share, 1e-6, 1, 0.9, 0),
    AUGMENT_P(glia_augment_slice_opts),
};
const glia_augment_kind glia_augment_slice_kind = {
    .name = "slice",
    .of = GLIA_AUGMENT_SERIES,
    .fields = slice_fields,
    .n_fields = GLIA_COUNT(slice_fields),
    .opts_bytes = sizeof(glia_augment_slice_opts),
    .run = slice_run,
};

void glia_augment_slice(glia_augment *augment, glia_augment_slice_opts opts) {
    glia_augment_add(augment, &glia_augment_slice_kind, &opts);
}
