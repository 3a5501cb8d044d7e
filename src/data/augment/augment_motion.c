/* augment_motion.c - image transformations that interpolate: affine maps, resized crops, elastic distortion.
 *
 * Rotation, scaling, translation and shear only define where a pixel is sampled. The pipeline composes consecutive ones
 * into one affine map, so an image is resampled, and thereby smoothed, only once. Sampling is bilinear, from four
 * pixels; pixels outside the image follow the edge mode.
 */
#include <math.h>

#include "data/augment/augment.h"

/* ---- bilinear sampling -------------------------------------------------------------------- */

/* Bilinear taps: four indices into a plane, -1 for the fill value, and their weights. */
typedef struct taps {
    int64_t at[4];
    float weight[4];
} taps;

static taps taps_at(double x, double y, int height, int width, glia_edge edge) {
    const double floor_x = floor(x), floor_y = floor(y);
    const float right = (float)(x - floor_x), below = (float)(y - floor_y);
    const int64_t i = (int64_t)floor_x, k = (int64_t)floor_y;
    taps t = { .weight = { (1 - below) * (1 - right), (1 - below) * right, below * (1 - right), below * right } };
    if (i >= 0 && k >= 0 && i + 1 < width && k + 1 < height) {
        const int64_t at = k * width + i;
        t.at[0] = at, t.at[1] = at + 1, t.at[2] = at + width, t.at[3] = at + width + 1;
        return t;
    }
    for (int c = 0; c < 4; c++) {
        int64_t row = glia_edge_source(edge, k + c / 2, height), column = glia_edge_source(edge, i + c % 2, width);
        t.at[c] = row < 0 || column < 0 ? -1 : row * width + column;
    }
    return t;
}

/* Samples all channels of one pixel. */
static void sample(const float *in, float *out, glia_frame frame, const taps *t, float fill) {
    const size_t plane = (size_t)frame.height * (size_t)frame.width;
    for (int c = 0; c < frame.channels; c++, in += plane, out += plane) {
        float sum = 0;
        for (int k = 0; k < 4; k++) sum += t->weight[k] * (t->at[k] < 0 ? fill : in[t->at[k]]);
        *out = sum;
    }
}

/* ---- affine maps -------------------------------------------------------------------------- */

glia_motion glia_motion_join(glia_motion first, glia_motion second) {
    const double *a = first.m, *b = second.m;
    glia_motion joined = { .m = { a[0] * b[0] + a[1] * b[3], a[0] * b[1] + a[1] * b[4],
                                  a[0] * b[2] + a[1] * b[5] + a[2], a[3] * b[0] + a[4] * b[3],
                                  a[3] * b[1] + a[4] * b[4], a[3] * b[2] + a[4] * b[5] + a[5] } };
    const glia_motion *beyond = second.sampled ? &second : &first;
    joined.sampled = first.sampled || second.sampled;
    joined.edge = beyond->edge;
    joined.fill = beyond->fill;
    return joined;
}

void glia_augment_move(const float *in, float *out, glia_frame frame, const glia_motion *motion) {
    const double *m = motion->m, middle_x = (frame.width - 1) / 2.0, middle_y = (frame.height - 1) / 2.0;
    for (int y = 0; y < frame.height; y++) {
        const double from_x = m[1] * (y - middle_y) + m[2] + middle_x, from_y = m[4] * (y - middle_y) + m[5] + middle_y;
        for (int x = 0; x < frame.width; x++, out++) {
            taps t = taps_at(m[0] * (x - middle_x) + from_x, m[3] * (x - middle_x) + from_y, frame.height, frame.width,
                             motion->edge);
            sample(in, out, frame, &t, motion->fill);
        }
    }
}

static glia_motion motion_of(double a, double b, double c, double d, double e, double f, glia_edge edge, double fill) {
    return (glia_motion){ .m = { a, b, c, d, e, f }, .sampled = true, .edge = edge, .fill = (float)fill };
}

glia_motion glia_motion_rotate(double angle, glia_edge edge, double fill) {
    return motion_of(cos(angle), sin(angle), 0, -sin(angle), cos(angle), 0, edge, fill);
}

glia_motion glia_motion_scale(double factor, glia_edge edge, double fill) {
    return motion_of(1 / factor, 0, 0, 0, 1 / factor, 0, edge, fill);
}

glia_motion glia_motion_shear(double x, double y, glia_edge edge, double fill) {
    return motion_of(1 + x * y, x, 0, y, 1, 0, edge, fill);
}

glia_motion glia_motion_translate(double x, double y, glia_edge edge, double fill) {
    return motion_of(1, 0, -x, 0, 1, -y, edge, fill);
}

static const double degree = 0.017453292519943295;

static void rotate_move(const void *opts, glia_frame frame, glia_rng *rng, glia_motion *motion) {
    const glia_augment_rotate_opts *o = opts;
    (void)frame;
    *motion = glia_motion_rotate(degree * glia_rng_between(rng, -o->degrees, o->degrees), o->edge, o->fill);
}

static void scale_move(const void *opts, glia_frame frame, glia_rng *rng, glia_motion *motion) {
    const glia_augment_scale_opts *o = opts;
    (void)frame;
    *motion = glia_motion_scale(glia_rng_between(rng, o->by[0], o->by[1]), o->edge, o->fill);
}

static void translate_move(const void *opts, glia_frame frame, glia_rng *rng, glia_motion *motion) {
    const glia_augment_translate_opts *o = opts;
    const double share_y = o->y < 0 ? o->x : o->y; /* below 0: default, the same as x */
    const double x = rint(glia_rng_between(rng, -o->x, o->x) * frame.width);
    const double y = rint(glia_rng_between(rng, -share_y, share_y) * frame.height);
    *motion = glia_motion_translate(x, y, o->edge, o->fill);
}

static void shear_move(const void *opts, glia_frame frame, glia_rng *rng, glia_motion *motion) {
    const glia_augment_shear_opts *o = opts;
    (void)frame;
    const double x = tan(degree * glia_rng_between(rng, -o->x, o->x));
    const double y = tan(degree * glia_rng_between(rng, -o->y, o->y));
    *motion = glia_motion_shear(x, y, o->edge, o->fill);
}

#define MOTION(NAME, ...)                                                                                              \
    static const glia_augment_field NAME##_fields[] = { __VA_ARGS__, AUGMENT_BEYOND(glia_augment_##NAME##_opts),       \
                                                        AUGMENT_P(glia_augment_##NAME##_opts) };                       \
    const glia_augment_kind glia_augment_##NAME##_kind = {                                                             \
        .name = #NAME,                                                                                                 \
        .of = GLIA_AUGMENT_IMAGE,                                                                                      \
        .fields = NAME##_fields,                                                                                       \
        .n_fields = GLIA_COUNT(NAME##_fields),                                                                         \
        .opts_bytes = sizeof(glia_augment_##NAME##_opts),                                                              \
        .move = NAME##_move,                                                                                           \
    };                                                                                                                 \
    void glia_augment_##NAME(glia_augment *augment, glia_augment_##NAME##_opts opts) {                                 \
        glia_augment_add(augment, &glia_augment_##NAME##_kind, &opts);                                                 \
    }

MOTION(rotate, AUGMENT_FIELD(glia_augment_rotate_opts, REAL, degrees, 0, 360, 15, 0))
MOTION(scale, AUGMENT_FIELD(glia_augment_scale_opts, RANGE, by, 0.01, 100, 0.9, 1.1))
MOTION(translate, AUGMENT_FIELD(glia_augment_translate_opts, REAL, x, 0, 10, 0.1, 0),
       AUGMENT_FIELD(glia_augment_translate_opts, REAL, y, -1, 10, -1, 0)) /* -1: same as x */
MOTION(shear, AUGMENT_FIELD(glia_augment_shear_opts, REAL, x, 0, 80, 10, 0),
       AUGMENT_FIELD(glia_augment_shear_opts, REAL, y, 0, 80, 0, 0))

/* ---- resized crops ------------------------------------------------------------------------ */

bool glia_augment_draw_part(glia_frame frame, const double scale[2], const double ratio[2], glia_rng *rng,
                            glia_rectangle *part) {
    enum { TRIALS = 10 };
    const double area = (double)frame.height * frame.width;
    for (int trial = 0; trial < TRIALS; trial++) {
        const double share = area * glia_rng_between(rng, scale[0], scale[1]);
        const double aspect = exp(glia_rng_between(rng, log(ratio[0]), log(ratio[1])));
        const double width = rint(sqrt(share * aspect)), height = rint(sqrt(share / aspect));
        if (width < 1 || height < 1 || width > frame.width || height > frame.height) continue;
        part->width = (int)width;
        part->height = (int)height;
        part->top = (int)glia_rng_below(rng, (uint64_t)(frame.height - part->height) + 1);
        part->left = (int)glia_rng_below(rng, (uint64_t)(frame.width - part->width) + 1);
        return true;
    }
    return false;
}

void glia_augment_resize(const float *in, float *out, glia_frame frame, int top, int left, int height, int width) {
    const double step_x = (double)width / frame.width, step_y = (double)height / frame.height;
    in += (size_t)top * (size_t)frame.width + (size_t)left;
    for (int y = 0; y < frame.height; y++) {
        const double from_y = GLIA_MIN(GLIA_MAX((y + 0.5) * step_y - 0.5, 0), height - 1);
        for (int x = 0; x < frame.width; x++, out++) {
            const double from_x = GLIA_MIN(GLIA_MAX((x + 0.5) * step_x - 0.5, 0), width - 1);
            taps t = taps_at(from_x, from_y, height, width, GLIA_EDGE_REPEAT);
            for (int k = 0; k < 4; k++) t.at[k] = t.at[k] / width * frame.width + t.at[k] % width;
            sample(in, out, frame, &t, 0);
        }
    }
}

/* The largest centred rectangle with an aspect ratio in the range. */
static glia_rectangle middle_part(glia_frame frame, const double ratio[2]) {
    const double whole = (double)frame.width / frame.height;
    glia_rectangle part = { .height = frame.height, .width = frame.width };
    if (whole < ratio[0]) part.height = GLIA_MAX(1, (int)rint(frame.width / ratio[0]));
    if (whole > ratio[1]) part.width = GLIA_MAX(1, (int)rint(frame.height * ratio[1]));
    part.top = (frame.height - part.height) / 2;
    part.left = (frame.width - part.width) / 2;
    return part;
}

static glia_rectangle draw_crop(const glia_augment_resized_crop_opts *o, glia_frame frame, glia_rng *rng) {
    glia_rectangle part;
    if (!glia_augment_draw_part(frame, o->scale, o->ratio, rng, &part)) part = middle_part(frame, o->ratio);
    return part;
}

/* Pixel x is sampled at (x + 1/2) step + left - 1/2. */
static void resized_crop_follow(const void *opts, glia_frame frame, glia_rng *rng, glia_motion *motion) {
    const glia_rectangle part = draw_crop(opts, frame, rng);
    const double step_x = (double)part.width / frame.width, step_y = (double)part.height / frame.height;
    *motion = motion_of(step_x, 0, part.left + (part.width - frame.width) / 2.0, 0, step_y,
                        part.top + (part.height - frame.height) / 2.0, GLIA_EDGE_REPEAT, 0);
}

static void resized_crop_run(const void *opts, glia_frame frame, glia_rng *rng, glia_augment_work *work) {
    const glia_rectangle part = draw_crop(opts, frame, rng);
    if (part.height == frame.height && part.width == frame.width) return;
    glia_augment_resize(work->x, work->spare, frame, part.top, part.left, part.height, part.width);
    glia_augment_exchange(work);
}

static const glia_augment_field resized_crop_fields[] = {
    AUGMENT_FIELD(glia_augment_resized_crop_opts, RANGE, scale, 1e-6, 1, 0.08, 1),
    AUGMENT_FIELD(glia_augment_resized_crop_opts, RANGE, ratio, 0.01, 100, 3.0 / 4, 4.0 / 3),
    AUGMENT_P(glia_augment_resized_crop_opts),
};
const glia_augment_kind glia_augment_resized_crop_kind = {
    .name = "resized_crop",
    .of = GLIA_AUGMENT_IMAGE,
    .fields = resized_crop_fields,
    .n_fields = GLIA_COUNT(resized_crop_fields),
    .opts_bytes = sizeof(glia_augment_resized_crop_opts),
    .run = resized_crop_run,
    .follow = resized_crop_follow,
};

void glia_augment_resized_crop(glia_augment *augment, glia_augment_resized_crop_opts opts) {
    glia_augment_add(augment, &glia_augment_resized_crop_kind, &opts);
}

/* ---- elastic distortion ------------------------------------------------------------------- */

void glia_augment_displace(const float *in, float *out, glia_frame frame, const float *dx, const float *dy,
                           glia_edge edge, float fill) {
    for (int y = 0; y < frame.height; y++) {
        for (int x = 0; x < frame.width; x++, out++) {
            taps t = taps_at((double)x + (double)*dx++, (double)y + (double)*dy++, frame.height, frame.width, edge);
            sample(in, out, frame, &t, fill);
        }
    }
}

static void elastic_run(const void *opts, glia_frame frame, glia_rng *rng, glia_augment_work *work) {
    const glia_augment_elastic_opts *o = opts;
    enum { BLOCK = 256 };
    const size_t plane = (size_t)frame.height * (size_t)frame.width, n = 2 * plane;
    float *field = work->extra, *scratch = field + n;
    double drawn[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK) {
        const size_t m = GLIA_MIN(n - i, (size_t)BLOCK);
        glia_rng_uniforms(rng, drawn, (int64_t)m);
        for (size_t k = 0; k < m; k++) field[i + k] = (float)(o->alpha * (2 * drawn[k] - 1));
    }
    const int radius = (int)(4 * o->sigma + 0.5);
    glia_augment_gauss(field, 2, frame.height, frame.width, o->sigma, radius, GLIA_EDGE_CONSTANT, scratch);
    glia_augment_displace(work->x, work->spare, frame, field, field + plane, o->edge, (float)o->fill);
    glia_augment_exchange(work);
}

static glia_edge elastic_edge(const void *opts) { return ((const glia_augment_elastic_opts *)opts)->edge; }

static size_t elastic_extra(const void *opts, glia_frame frame) {
    (void)opts;
    return 2 * (size_t)frame.height * (size_t)frame.width + glia_augment_gauss_scratch(frame.height, frame.width);
}

static const glia_augment_field elastic_fields[] = {
    AUGMENT_FIELD(glia_augment_elastic_opts, REAL, alpha, 0, 1e5, 34, 0),
    AUGMENT_FIELD(glia_augment_elastic_opts, REAL, sigma, 0.1, 30, 4, 0),
    AUGMENT_BEYOND(glia_augment_elastic_opts),
    AUGMENT_P(glia_augment_elastic_opts),
};
const glia_augment_kind glia_augment_elastic_kind = {
    .name = "elastic",
    .of = GLIA_AUGMENT_IMAGE,
    .fields = elastic_fields,
    .n_fields = GLIA_COUNT(elastic_fields),
    .opts_bytes = sizeof(glia_augment_elastic_opts),
    .extra = elastic_extra,
    .run = elastic_run,
    .displaces = true,
    .edge = elastic_edge,
};

void glia_augment_elastic(glia_augment *augment, glia_augment_elastic_opts opts) {
    glia_augment_add(augment, &glia_augment_elastic_kind, &opts);
}
