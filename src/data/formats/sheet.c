/* sheet.c - many pictures in one image, and points as a picture. */
#include <math.h>
#include <string.h>

#include "data/formats/formats.h"
#include "glia/data.h"

/* Where picture k of the sheet begins, and how its values become bytes. */
typedef struct sheet {
    glia_image *image;
    glia_shape shape;
    int64_t columns, gap, scale;
    double low, high;
} sheet;

static void put_picture(const sheet *s, int64_t k, const float *x) {
    const int64_t height = s->shape.dim[1], width = s->shape.dim[2];
    const int64_t top = k / s->columns * (height * s->scale + s->gap),
                  left = k % s->columns * (width * s->scale + s->gap);
    for (int64_t c = 0; c < s->shape.dim[0]; c++) {
        uint8_t *plane = s->image->pixels + c * s->image->height * s->image->width;
        for (int64_t i = 0; i < height * s->scale; i++) {
            for (int64_t j = 0; j < width * s->scale; j++) {
                const double value = (double)x[(c * height + i / s->scale) * width + j / s->scale];
                const double level = (value - s->low) / (s->high - s->low) * 255;
                uint8_t *to = &plane[(top + i) * s->image->width + left + j];
                *to = level > 0 ? (uint8_t)(fmin(level, 255) + 0.5) : 0; /* NaN is black */
            }
        }
    }
}

glia_status glia_image_sheet(glia_shape shape, const float *x, int64_t n, glia_image_save_opts o, glia_image *image,
                             glia_error *error) {
    sheet s = { .image = image,
                .shape = shape,
                .columns = o.columns,
                .gap = glia_option_count(o.gap, 2),
                .scale = o.scale ? o.scale : 1 };
    const double paper = glia_option(o.paper, 1);
    s.low = glia_option(o.low, 0);
    s.high = o.low == 0 && o.high == 0 ? 1 : glia_option(o.high, 0);
    const int64_t most = 1 << 24;
    if (n < 1 || n > most || s.columns < 0 || s.gap < 0 || s.scale < 1 || s.scale > 1024 || shape.dim[1] > most ||
        shape.dim[2] > most || !(s.low < s.high) || !(paper >= 0 && paper <= 1)) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "%lld pictures, %d in a row, gaps %d, scale %d, from %g to %g, paper %g", (long long)n,
                         o.columns, o.gap, o.scale, s.low, s.high, paper);
    }
    const int64_t height = shape.dim[1] * s.scale + s.gap, width = shape.dim[2] * s.scale + s.gap;
    if (!s.columns) s.columns = (int64_t)ceil(sqrt((double)n * (double)height / (double)width));
    s.columns = GLIA_MIN(GLIA_MAX(s.columns, 1), n);
    const int64_t rows = (n + s.columns - 1) / s.columns;
    if (rows > INT32_MAX / height || s.columns > INT32_MAX / width) {
        return glia_fail(error, GLIA_E_ARGUMENT, "an image of %lld pictures is too large", (long long)n);
    }
    glia_status status = glia_image_create((int)shape.dim[0], (int)(rows * height - s.gap),
                                           (int)(s.columns * width - s.gap), image, error);
    if (status != GLIA_OK) return status;
    const int64_t count = glia_shape_count(shape);
    const size_t bytes = (size_t)image->channels * (size_t)image->height * (size_t)image->width;
    memset(image->pixels, (int)lrint(255 * paper), bytes);
    for (int64_t k = 0; k < n; k++) put_picture(&s, k, x + k * count);
    return GLIA_OK;
}

/* ---- points --------------------------------------------------------------------------------- */

/* The least and the most of every second number. */
static void extent(const float *values, int64_t n, double *least, double *most) {
    *least = INFINITY, *most = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        *least = fmin(*least, (double)values[2 * i]);
        *most = fmax(*most, (double)values[2 * i]);
    }
}

void glia_image_points(const float *points, int64_t n, int64_t side, float *picture) {
    const double dot = 60.0 / 255, middle = (double)side / 2;
    double left, right, bottom, top;
    if (!points || !picture) return;
    for (int64_t i = 0; i < side * side; i++) picture[i] = 1;
    extent(points, n, &left, &right);
    extent(points + 1, n, &bottom, &top);
    const double span = fmax(fmax(right - left, top - bottom), 1e-9), x0 = (left + right) / 2, y0 = (bottom + top) / 2;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(points[2 * i]) || !isfinite(points[2 * i + 1])) continue;
        const int64_t x = (int64_t)(((double)points[2 * i] - x0) / span * 0.9 * (double)side + middle);
        const int64_t y = (int64_t)((y0 - (double)points[2 * i + 1]) / span * 0.9 * (double)side + middle);
        for (int k = 0; k < 4; k++) { /* two pixels square */
            const int64_t column = x + k % 2, row = y + k / 2;
            if (column < 0 || row < 0 || column >= side || row >= side) continue;
            float *pixel = &picture[row * side + column];
            *pixel = (float)fmax((double)*pixel - dot, 0);
        }
    }
}
