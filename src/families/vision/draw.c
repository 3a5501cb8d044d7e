/* draw.c - what a model found, over the picture: boxes and masks in a colour for each class. See glia/vision.h. */
#include "base/base.h"
#include "glia/vision.h"

/* The colour of a class: blue, orange, green, ..., that differ for most eyes (Okabe and Ito 2008). */
static const float colours[][3] = { { 0.00f, 0.45f, 0.70f }, { 0.90f, 0.62f, 0.00f }, { 0.00f, 0.62f, 0.45f },
                                    { 0.80f, 0.47f, 0.65f }, { 0.84f, 0.37f, 0.00f }, { 0.34f, 0.71f, 0.91f },
                                    { 0.94f, 0.89f, 0.26f }, { 0.00f, 0.00f, 0.00f } };

static const float *colour_of(int label) { return colours[(size_t)label % (size_t)GLIA_COUNT(colours)]; }

static void paint(float *out, int64_t height, int64_t width, int64_t row, int64_t column, const float *colour) {
    if (row < 0 || column < 0 || row >= height || column >= width) return;
    for (int c = 0; c < 3; c++) out[(c * height + row) * width + column] = colour[c];
}

static void outline(float *out, int64_t height, int64_t width, const glia_box *box, int scale) {
    const float *colour = colour_of(box->label);
    const int64_t left = (int64_t)(box->left * scale), right = (int64_t)(box->right * scale) - 1;
    const int64_t top = (int64_t)(box->top * scale), bottom = (int64_t)(box->bottom * scale) - 1;
    for (int64_t j = left; j <= right; j++)
        paint(out, height, width, top, j, colour), paint(out, height, width, bottom, j, colour);
    for (int64_t i = top; i <= bottom; i++)
        paint(out, height, width, i, left, colour), paint(out, height, width, i, right, colour);
}

void glia_draw_boxes(const float *x, glia_shape shape, const glia_box *boxes, int64_t n, int scale, float *out) {
    if (!x || !out || shape.rank != 3 || scale < 1) return;
    const int64_t height = shape.dim[1] * scale, width = shape.dim[2] * scale;
    for (int64_t c = 0; c < 3; c++) {
        const float *plane = x + (shape.dim[0] == 3 ? c : 0) * shape.dim[1] * shape.dim[2];
        for (int64_t i = 0; i < height; i++)
            for (int64_t j = 0; j < width; j++)
                out[(c * height + i) * width + j] = plane[i / scale * shape.dim[2] + j / scale];
    }
    for (int64_t i = 0; boxes && i < n; i++)
        if (boxes[i].label >= 0) outline(out, height, width, &boxes[i], scale);
}

void glia_draw_mask(const float *x, glia_shape shape, const int32_t *labels, float *out) {
    if (!x || !out || !labels || shape.rank != 3) return;
    const int64_t plane = shape.dim[1] * shape.dim[2];
    for (int64_t c = 0; c < 3; c++) {
        for (int64_t i = 0; i < plane; i++) {
            const float pixel = x[(shape.dim[0] == 3 ? c : 0) * plane + i];
            out[c * plane + i] = labels[i] < 0 ? pixel : (pixel + colour_of(labels[i])[c]) / 2;
        }
    }
}
