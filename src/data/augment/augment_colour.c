/* augment_colour.c - transformations of values: colours, blur, erasing, noise, normalisation.
 *
 * Colour transformations use torchvision's formulas for images in [0, 1]: brightness, contrast and saturation blend the
 * image with black, its mean grey value and its grayscale version; hue is rotated in the HSV model (Smith 1978).
 */
#include <math.h>
#include <string.h>

#include "data/augment/augment.h"

/* ---- colours ------------------------------------------------------------------------------ */

static float unit(float v) { return v > 0 ? (v < 1 ? v : 1) : 0; }
static float luma(float red, float green, float blue) { return 0.2989f * red + 0.587f * green + 0.114f * blue; }

void glia_augment_brightness(float *x, glia_frame frame, float factor) {
    for (size_t i = 0; i < frame.count; i++) x[i] = unit(factor * x[i]);
}

void glia_augment_contrast(float *x, glia_frame frame, float factor) {
    const size_t plane = frame.count / (size_t)frame.channels;
    double sum = 0;
    for (size_t i = 0; i < plane; i++) {
        sum += (double)(frame.channels == 3 ? luma(x[i], x[plane + i], x[2 * plane + i]) : x[i]);
    }
    const float rest = (1 - factor) * (float)(sum / (double)plane);
    for (size_t i = 0; i < frame.count; i++) x[i] = unit(factor * x[i] + rest);
}

void glia_augment_saturation(float *x, glia_frame frame, float factor) {
    if (frame.channels != 3) return;
    const size_t plane = frame.count / 3;
    float *red = x, *green = x + plane, *blue = green + plane;
    for (size_t i = 0; i < plane; i++) {
        const float rest = (1 - factor) * luma(red[i], green[i], blue[i]);
        red[i] = unit(factor * red[i] + rest);
        green[i] = unit(factor * green[i] + rest);
        blue[i] = unit(factor * blue[i] + rest);
    }
}

/* Rotates the hue of one colour by a fraction of a full turn. */
static void turn_hue(float *red, float *green, float *blue, float turn) {
    const float r = *red, g = *green, b = *blue;
    const float most = fmaxf(r, fmaxf(g, b)), range = most - fminf(r, fminf(g, b));
    if (range == 0) return;
    const float from_r = (most - r) / range, from_g = (most - g) / range, from_b = (most - b) / range;
    float sector = most == r ? from_b - from_g : most == g ? 2 + from_r - from_b : 4 + from_g - from_r;
    float hue = sector / 6 + 1 + turn;
    hue -= floorf(hue);
    const int side = (int)(hue * 6) % 6;
    const float part = hue * 6 - floorf(hue * 6), s = range / most;
    const float low = unit(most * (1 - s)), falling = unit(most * (1 - s * part)),
                rising = unit(most * (1 - s * (1 - part)));
    *red = side == 0 || side == 5 ? most : side == 1 ? falling : side == 4 ? rising : low;
    *green = side == 1 || side == 2 ? most : side == 3 ? falling : side == 0 ? rising : low;
    *blue = side == 3 || side == 4 ? most : side == 5 ? falling : side == 2 ? rising : low;
}

void glia_augment_hue(float *x, glia_frame frame, float turn) {
    if (frame.channels != 3) return;
    const size_t plane = frame.count / 3;
    for (size_t i = 0; i < plane; i++) turn_hue(&x[i], &x[plane + i], &x[2 * plane + i], turn);
}

void glia_augment_grey(float *x, glia_frame frame) {
    if (frame.channels != 3) return;
    const size_t plane = frame.count / 3;
    for (size_t i = 0; i < plane; i++) {
        x[i] = x[plane + i] = x[2 * plane + i] = luma(x[i], x[plane + i], x[2 * plane + i]);
    }
}

static glia_status check_colours(const void *opts, glia_frame frame, glia_error *error) {
    (void)opts;
    if (frame.channels == 1 || frame.channels == 3) return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "augmentation: jitter and grayscale need 1 or 3 channels, not %d",
                     frame.channels);
}

static void jitter_run(const void *opts, glia_frame frame, glia_rng *rng, glia_augment_work *work) {
    const glia_augment_jitter_opts *o = opts;
    const double most[4] = { o->brightness, o->contrast, o->saturation, o->hue };
    int order[4] = { 0, 1, 2, 3 };
    float by[4];
    for (int k = 0; k < 4; k++) {
        by[k] = (float)(k == 3 ? glia_rng_between(rng, -most[k], most[k])
                               : glia_rng_between(rng, GLIA_MAX(0, 1 - most[k]), 1 + most[k]));
    }
    for (int k = 3; k > 0; k--) {
        int other = (int)glia_rng_below(rng, (uint64_t)k + 1), swap = order[k];
        order[k] = order[other];
        order[other] = swap;
    }
    static void (*const change[4])(float *, glia_frame, float) = { glia_augment_brightness, glia_augment_contrast,
                                                                   glia_augment_saturation, glia_augment_hue };
    for (int k = 0; k < 4; k++)
        if (most[order[k]] > 0) change[order[k]](work->x, frame, by[order[k]]);
}

static const glia_augment_field jitter_fields[] = {
    AUGMENT_FIELD(glia_augment_jitter_opts, REAL, brightness, 0, 100, 0, 0),
    AUGMENT_FIELD(glia_augment_jitter_opts, REAL, contrast, 0, 100, 0, 0),
    AUGMENT_FIELD(glia_augment_jitter_opts, REAL, saturation, 0, 100, 0, 0),
    AUGMENT_FIELD(glia_augment_jitter_opts, REAL, hue, 0, 0.5, 0, 0),
    AUGMENT_P(glia_augment_jitter_opts),
};
const glia_augment_kind glia_augment_jitter_kind = {
    .name = "jitter",
    .of = GLIA_AUGMENT_IMAGE,
    .fields = jitter_fields,
    .n_fields = GLIA_COUNT(jitter_fields),
    .opts_bytes = sizeof(glia_augment_jitter_opts),
    .check = check_colours,
    .run = jitter_run,
};

void glia_augment_jitter(glia_augment *augment, glia_augment_jitter_opts opts) {
    glia_augment_add(augment, &glia_augment_jitter_kind, &opts);
}

static void grayscale_run(const void *opts, glia_frame frame, glia_rng *rng, glia_augment_work *work) {
    (void)opts, (void)rng;
    glia_augment_grey(work->x, frame);
}

static const glia_augment_field grayscale_fields[] = { AUGMENT_FIELD(glia_augment_grayscale_opts, REAL, p, 0, 1, 0.1,
                                                                     0) };
const glia_augment_kind glia_augment_grayscale_kind = {
    .name = "grayscale",
    .of = GLIA_AUGMENT_IMAGE,
    .fields = grayscale_fields,
    .n_fields = GLIA_COUNT(grayscale_fields),
    .opts_bytes = sizeof(glia_augment_grayscale_opts),
    .check = check_colours,
    .run = grayscale_run,
};

void glia_augment_grayscale(glia_augment *augment, glia_augment_grayscale_opts opts) {
    glia_augment_add(augment, &glia_augment_grayscale_kind, &opts);
}

/* ---- blur --------------------------------------------------------------------------------- */

size_t glia_augment_gauss_scratch(int height, int width) {
    return (size_t)height * (size_t)width + (size_t)width + 2 * GLIA_BLUR_RADIUS;
}

/* out = sum over k of weight[k] * rows[k], rows of n floats; NULL rows are zero. */
static void add_rows(const float *weight, const float *const *rows, int taps, float *out, int n) {
    for (int i = 0; i < n; i++) out[i] = 0;
    for (int k = 0; k < taps; k++) {
        const float w = weight[k], *row = rows[k];
        if (!row) continue;
        for (int i = 0; i < n; i++) out[i] += w * row[i];
    }
}

static void gauss_plane(float *x, int height, int width, const float *weight, int radius, glia_edge edge,
                        float *scratch) {
    float *half = scratch, *line = scratch + (size_t)height * (size_t)width;
    const float *rows[2 * GLIA_BLUR_RADIUS + 1];
    const int taps = 2 * radius + 1;
    for (int y = 0; y < height; y++) { /* along rows, using a padded copy of the row */
        const float *from = x + (size_t)y * (size_t)width;
        for (int i = -radius; i < width + radius; i++) {
            const int64_t source = glia_edge_source(edge, i, width);
            line[i + radius] = source < 0 ? 0 : from[source];
        }
        for (int k = 0; k < taps; k++) rows[k] = line + k;
        add_rows(weight, rows, taps, half + (size_t)y * (size_t)width, width);
    }
    for (int y = 0; y < height; y++) {
        for (int k = 0; k < taps; k++) {
            const int64_t source = glia_edge_source(edge, (int64_t)y + k - radius, height);
            rows[k] = source < 0 ? NULL : half + source * width;
        }
        add_rows(weight, rows, taps, x + (size_t)y * (size_t)width, width);
    }
}

void glia_augment_gauss(float *x, int n, int height, int width, double sigma, int radius, glia_edge edge,
                        float *scratch) {
    float weight[2 * GLIA_BLUR_RADIUS + 1];
    double sum = 0;
    for (int k = -radius; k <= radius; k++) sum += exp(-0.5 * k * k / (sigma * sigma));
    for (int k = -radius; k <= radius; k++) weight[k + radius] = (float)(exp(-0.5 * k * k / (sigma * sigma)) / sum);
    for (int i = 0; i < n; i++, x += (size_t)height * (size_t)width) {
        gauss_plane(x, height, width, weight, radius, edge, scratch);
    }
}

static void blur_run(const void *opts, glia_frame frame, glia_rng *rng, glia_augment_work *work) {
    const glia_augment_blur_opts *o = opts;
    const double sigma = glia_rng_between(rng, o->sigma[0], o->sigma[1]);
    glia_augment_gauss(work->x, frame.channels, frame.height, frame.width, sigma, (int)ceil(3 * sigma),
                       GLIA_EDGE_REFLECT, work->extra);
}

static size_t blur_extra(const void *opts, glia_frame frame) {
    (void)opts;
    return glia_augment_gauss_scratch(frame.height, frame.width);
}

static const glia_augment_field blur_fields[] = {
    AUGMENT_FIELD(glia_augment_blur_opts, RANGE, sigma, 0.01, 40, 0.1, 2),
    AUGMENT_P(glia_augment_blur_opts),
};
const glia_augment_kind glia_augment_blur_kind = {
    .name = "blur",
    .of = GLIA_AUGMENT_IMAGE,
    .fields = blur_fields,
    .n_fields = GLIA_COUNT(blur_fields),
    .opts_bytes = sizeof(glia_augment_blur_opts),
    .extra = blur_extra,
    .run = blur_run,
};

void glia_augment_blur(glia_augment *augment, glia_augment_blur_opts opts) {
    glia_augment_add(augment, &glia_augment_blur_kind, &opts);
}

/* ---- erasing ------------------------------------------------------------------------------ */

static void erase_run(const void *opts, glia_frame frame, glia_rng *rng, glia_augment_work *work) {
    const glia_augment_erase_opts *o = opts;
    const double across[2] = { 1 / o->ratio[1], 1 / o->ratio[0] }; /* height / width, inverted to width / height */
    glia_rectangle part;
    if (!glia_augment_draw_part(frame, o->scale, across, rng, &part)) return;
    for (int c = 0; c < frame.channels; c++) {
        for (int y = part.top; y < part.top + part.height; y++) {
            float *row = work->x + ((size_t)c * (size_t)frame.height + (size_t)y) * (size_t)frame.width + part.left;
            for (int i = 0; i < part.width; i++) {
                row[i] = o->noise ? (float)(glia_rng_u32(rng) >> 8) * 0x1p-24f : (float)o->value;
            }
        }
    }
}

static const glia_augment_field erase_fields[] = {
    AUGMENT_FIELD(glia_augment_erase_opts, REAL, p, 0, 1, 0.5, 0),
    AUGMENT_FIELD(glia_augment_erase_opts, RANGE, scale, 1e-6, 1, 0.02, 0.33),
    AUGMENT_FIELD(glia_augment_erase_opts, RANGE, ratio, 0.01, 100, 0.3, 3.3),
    AUGMENT_FIELD(glia_augment_erase_opts, REAL, value, -1e6, 1e6, 0, 0),
    AUGMENT_FIELD(glia_augment_erase_opts, WHOLE, noise, 0, 1, 0, 0),
};
const glia_augment_kind glia_augment_erase_kind = {
    .name = "erase",
    .of = GLIA_AUGMENT_IMAGE,
    .fields = erase_fields,
    .n_fields = GLIA_COUNT(erase_fields),
    .opts_bytes = sizeof(glia_augment_erase_opts),
    .run = erase_run,
};

void glia_augment_erase(glia_augment *augment, glia_augment_erase_opts opts) {
    glia_augment_add(augment, &glia_augment_erase_kind, &opts);
}

/* ---- noise -------------------------------------------------------------------------------- */

static void noise_run(const void *opts, glia_frame frame, glia_rng *rng, glia_augment_work *work) {
    const glia_augment_noise_opts *o = opts;
    enum { BLOCK = 256 };
    double drawn[BLOCK];
    for (size_t i = 0; i < frame.count; i += BLOCK) {
        const size_t m = GLIA_MIN(frame.count - i, (size_t)BLOCK);
        glia_rng_normals(rng, drawn, (int64_t)m);
        for (size_t k = 0; k < m; k++) work->x[i + k] += (float)(o->sigma * drawn[k]);
    }
}

static const glia_augment_field noise_fields[] = {
    AUGMENT_FIELD(glia_augment_noise_opts, REAL, sigma, 0, 1e6, 0.05, 0),
    AUGMENT_P(glia_augment_noise_opts),
};
const glia_augment_kind glia_augment_noise_kind = {
    .name = "noise",
    .of = GLIA_AUGMENT_ANY,
    .fields = noise_fields,
    .n_fields = GLIA_COUNT(noise_fields),
    .opts_bytes = sizeof(glia_augment_noise_opts),
    .run = noise_run,
};

void glia_augment_noise(glia_augment *augment, glia_augment_noise_opts opts) {
    glia_augment_add(augment, &glia_augment_noise_kind, &opts);
}

/* ---- normalisation ------------------------------------------------------------------------ */

static glia_status check_normalize(const void *opts, glia_frame frame, glia_error *error) {
    const glia_augment_normalize_opts *o = opts;
    const int counts[] = { o->mean.n, o->stddev.n };
    for (int i = 0; i < 2; i++) {
        if (counts[i] == 1 || counts[i] == frame.channels) continue;
        return glia_fail(error, GLIA_E_ARGUMENT, "augmentation: normalize has %d %s, but the image has %d channels",
                         counts[i], i ? "deviations" : "means", frame.channels);
    }
    return GLIA_OK;
}

static void normalize_run(const void *opts, glia_frame frame, glia_rng *rng, glia_augment_work *work) {
    const glia_augment_normalize_opts *o = opts;
    (void)rng;
    const size_t plane = frame.count / (size_t)frame.channels;
    for (int c = 0; c < frame.channels; c++) {
        const float mean = (float)o->mean.at[o->mean.n > 1 ? c : 0];
        const float scale = (float)(1 / o->stddev.at[o->stddev.n > 1 ? c : 0]);
        float *x = work->x + (size_t)c * plane;
        for (size_t i = 0; i < plane; i++) x[i] = (x[i] - mean) * scale;
    }
}

static const glia_augment_field normalize_fields[] = {
    AUGMENT_FIELD(glia_augment_normalize_opts, LIST_OF, mean, -1e9, 1e9, 0.5, 0),
    AUGMENT_FIELD(glia_augment_normalize_opts, LIST_OF, stddev, 1e-9, 1e9, 0.5, 0),
};
const glia_augment_kind glia_augment_normalize_kind = {
    .name = "normalize",
    .of = GLIA_AUGMENT_ANY,
    .fields = normalize_fields,
    .n_fields = GLIA_COUNT(normalize_fields),
    .opts_bytes = sizeof(glia_augment_normalize_opts),
    .check = check_normalize,
    .run = normalize_run,
};

void glia_augment_normalize(glia_augment *augment, glia_augment_normalize_opts opts) {
    glia_augment_add(augment, &glia_augment_normalize_kind, &opts);
}
