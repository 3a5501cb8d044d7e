/* augment_place.c - image transformations that move whole pixels: cropping and flipping. */
#include <string.h>

#include "data/augment/augment.h"

/* ---- cropping ----------------------------------------------------------------------------- */

void glia_augment_shift_pixels(const float *in, float *out, glia_frame frame, int top, int left, glia_edge edge,
                               float fill) {
    const int width = frame.width, height = frame.height;
    const int from = GLIA_MIN(GLIA_MAX(-left, 0), width), to = GLIA_MAX(GLIA_MIN(width - left, width), from);
    for (int c = 0; c < frame.channels; c++, in += (size_t)height * (size_t)width) {
        for (int y = 0; y < height; y++, out += width) {
            int64_t at = glia_edge_source(edge, (int64_t)y + top, height);
            if (at < 0) {
                for (int x = 0; x < width; x++) out[x] = fill;
                continue;
            }
            const float *row = in + at * width;
            if (to > from) memcpy(out + from, row + from + left, (size_t)(to - from) * sizeof *out);
            for (int x = 0; x < width; x++) {
                if (x == from) x = to;
                if (x >= width) break;
                int64_t source = glia_edge_source(edge, (int64_t)x + left, width);
                out[x] = source < 0 ? fill : row[source];
            }
        }
    }
}

static void draw_place(const glia_augment_crop_opts *o, glia_rng *rng, int *top, int *left) {
    const uint64_t places = 2 * (uint64_t)o->pad + 1;
    *top = (int)glia_rng_below(rng, places) - o->pad;
    *left = (int)glia_rng_below(rng, places) - o->pad;
}

static void crop_follow(const void *opts, glia_frame frame, glia_rng *rng, glia_motion *motion) {
    const glia_augment_crop_opts *o = opts;
    int top, left;
    (void)frame;
    draw_place(o, rng, &top, &left);
    *motion = glia_motion_translate(-left, -top, o->edge, o->fill);
}

static void crop_run(const void *opts, glia_frame frame, glia_rng *rng, glia_augment_work *work) {
    const glia_augment_crop_opts *o = opts;
    int top, left;
    draw_place(o, rng, &top, &left);
    if (!top && !left) return;
    glia_augment_shift_pixels(work->x, work->spare, frame, top, left, o->edge, (float)o->fill);
    glia_augment_exchange(work);
}

static const glia_augment_field crop_fields[] = {
    AUGMENT_FIELD(glia_augment_crop_opts, WHOLE, pad, 0, 65536, 4, 0),
    AUGMENT_BEYOND(glia_augment_crop_opts),
    AUGMENT_P(glia_augment_crop_opts),
};
const glia_augment_kind glia_augment_crop_kind = {
    .name = "crop",
    .of = GLIA_AUGMENT_IMAGE,
    .fields = crop_fields,
    .n_fields = GLIA_COUNT(crop_fields),
    .opts_bytes = sizeof(glia_augment_crop_opts),
    .run = crop_run,
    .follow = crop_follow,
};

void glia_augment_crop(glia_augment *augment, glia_augment_crop_opts opts) {
    glia_augment_add(augment, &glia_augment_crop_kind, &opts);
}

/* ---- flipping ----------------------------------------------------------------------------- */

void glia_augment_mirror(float *x, glia_frame frame) {
    for (int row = 0; row < frame.channels * frame.height; row++, x += frame.width) {
        for (int i = 0, k = frame.width - 1; i < k; i++, k--) {
            float swap = x[i];
            x[i] = x[k];
            x[k] = swap;
        }
    }
}

void glia_augment_overturn(float *x, glia_frame frame) {
    const int width = frame.width;
    for (int c = 0; c < frame.channels; c++, x += (size_t)frame.height * (size_t)width) {
        for (int i = 0, k = frame.height - 1; i < k; i++, k--) {
            float *above = x + (size_t)i * (size_t)width, *below = x + (size_t)k * (size_t)width;
            for (int j = 0; j < width; j++) {
                float swap = above[j];
                above[j] = below[j];
                below[j] = swap;
            }
        }
    }
}

static void flip_move(const void *opts, glia_frame frame, glia_rng *rng, glia_motion *motion) {
    (void)opts, (void)frame, (void)rng;
    motion->m[0] = -1;
}

static void vflip_move(const void *opts, glia_frame frame, glia_rng *rng, glia_motion *motion) {
    (void)opts, (void)frame, (void)rng;
    motion->m[4] = -1;
}

static const glia_augment_field flip_fields[] = { AUGMENT_FIELD(glia_augment_flip_opts, REAL, p, 0, 1, 0.5, 0) };
const glia_augment_kind glia_augment_flip_kind = {
    .name = "flip",
    .of = GLIA_AUGMENT_IMAGE,
    .fields = flip_fields,
    .n_fields = GLIA_COUNT(flip_fields),
    .opts_bytes = sizeof(glia_augment_flip_opts),
    .move = flip_move,
};
const glia_augment_kind glia_augment_vflip_kind = {
    .name = "vflip",
    .of = GLIA_AUGMENT_IMAGE,
    .fields = flip_fields,
    .n_fields = GLIA_COUNT(flip_fields),
    .opts_bytes = sizeof(glia_augment_flip_opts),
    .move = vflip_move,
};

void glia_augment_flip(glia_augment *augment, glia_augment_flip_opts opts) {
    glia_augment_add(augment, &glia_augment_flip_kind, &opts);
}

void glia_augment_vflip(glia_augment *augment, glia_augment_flip_opts opts) {
    glia_augment_add(augment, &glia_augment_vflip_kind, &opts);
}
