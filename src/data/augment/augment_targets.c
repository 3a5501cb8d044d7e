/* augment_targets.c - masks and boxes, which move with their picture. */
#include <math.h>
#include <string.h>

#include "data/augment/augment.h"

enum { BOX = 5 }; /* label, left, top, right, bottom */

/* ---- masks ---------------------------------------------------------------------------------- */

/* The label of the pixel nearest to (x, y); -1 beyond a constant edge. */
static int32_t nearest(const int32_t *mask, glia_frame frame, double x, double y, glia_edge edge) {
    const int64_t column = glia_edge_source(edge, (int64_t)floor(x + 0.5), frame.width);
    const int64_t row = glia_edge_source(edge, (int64_t)floor(y + 0.5), frame.height);
    return row < 0 || column < 0 ? -1 : mask[row * frame.width + column];
}

static void move_mask(int32_t *mask, glia_frame frame, const glia_motion *motion, int32_t *spare) {
    const double *m = motion->m, middle_x = (frame.width - 1) / 2.0, middle_y = (frame.height - 1) / 2.0;
    int32_t *out = spare;
    for (int y = 0; y < frame.height; y++) {
        const double from_x = m[1] * (y - middle_y) + m[2] + middle_x, from_y = m[4] * (y - middle_y) + m[5] + middle_y;
        for (int x = 0; x < frame.width; x++)
            *out++ = nearest(mask, frame, m[0] * (x - middle_x) + from_x, m[3] * (x - middle_x) + from_y, motion->edge);
    }
    memcpy(mask, spare, (size_t)(out - spare) * sizeof *mask);
}

void glia_augment_displace_mask(int32_t *mask, glia_frame frame, const float *dx, const float *dy, glia_edge edge,
                                int32_t *spare) {
    int32_t *out = spare;
    for (int y = 0; y < frame.height; y++)
        for (int x = 0; x < frame.width; x++)
            *out++ = nearest(mask, frame, (double)x + (double)*dx++, (double)y + (double)*dy++, edge);
    memcpy(mask, spare, (size_t)(out - spare) * sizeof *mask);
}

/* ---- boxes ---------------------------------------------------------------------------------- */

/* Where a point goes, relative to the centre: the map of a motion says where pixels come from. */
static void forward(const double *m, double x, double y, double *to_x, double *to_y) {
    const double determinant = m[0] * m[4] - m[1] * m[3], u = x - m[2], v = y - m[5];
    *to_x = (m[4] * u - m[1] * v) / determinant;
    *to_y = (m[0] * v - m[3] * u) / determinant;
}

static void move_box(float *box, glia_frame frame, const double *m) {
    const double middle_x = frame.width / 2.0, middle_y = frame.height / 2.0;
    double low_x = INFINITY, low_y = INFINITY, high_x = -INFINITY, high_y = -INFINITY;
    for (int corner = 0; corner < 4; corner++) {
        double x, y;
        forward(m, (double)box[corner & 1 ? 3 : 1] - middle_x, (double)box[corner & 2 ? 4 : 2] - middle_y, &x, &y);
        low_x = fmin(low_x, x + middle_x), high_x = fmax(high_x, x + middle_x);
        low_y = fmin(low_y, y + middle_y), high_y = fmax(high_y, y + middle_y);
    }
    const double whole = (high_x - low_x) * (high_y - low_y);
    const double left = fmax(low_x, 0), top = fmax(low_y, 0);
    const double right = fmin(high_x, frame.width), bottom = fmin(high_y, frame.height);
    const double rest = right > left && bottom > top ? (right - left) * (bottom - top) : 0;
    box[1] = (float)left, box[2] = (float)top, box[3] = (float)right, box[4] = (float)bottom;
    if (!(rest >= whole / 4 && rest > 0)) memcpy(box, (const float[BOX]){ -1 }, BOX * sizeof *box);
}

void glia_augment_move_target(const glia_target *target, glia_frame frame, const glia_motion *motion, void *spare) {
    if (target->kind == GLIA_TARGETS_MASK) move_mask(target->y, frame, motion, spare);
    float *box = target->kind == GLIA_TARGETS_BOXES ? target->y : NULL;
    for (int64_t i = 0; box && i < target->boxes; i++, box += BOX)
        if (box[0] >= 0) move_box(box, frame, motion->m);
}
