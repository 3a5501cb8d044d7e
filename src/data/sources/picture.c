/* picture.c - an image file as one sample, and samples in one image file. */
#include <math.h>
#include <string.h>

#include "data/sources/data.h"

static glia_status check_shape(const char *path, glia_shape shape, glia_error *error) {
    bool possible = shape.rank == 3 && (shape.dim[0] == 1 || shape.dim[0] == 3);
    for (int i = 1; possible && i < 3; i++) possible = shape.dim[i] > 0 && shape.dim[i] <= INT32_MAX;
    if (possible) return GLIA_OK;
    char text[GLIA_SHAPE_TEXT];
    return glia_fail(error, GLIA_E_SHAPE, "%s: a picture cannot be a sample of shape %s, only (1 or 3, H, W)", path,
                     glia_shape_format(shape, text));
}

glia_status glia_image_load(const char *path, glia_shape shape, float *x, glia_error *error) {
    glia_status status = check_shape(path, shape, error);
    if (status != GLIA_OK) return status;
    glia_image file = { 0 }, coloured = { 0 }, resized = { 0 };
    status = glia_image_open(path, &file, error);
    if (!status) status = glia_image_convert(&file, (int)shape.dim[0], &coloured, error);
    if (!status) status = glia_image_resize(&coloured, (int)shape.dim[1], (int)shape.dim[2], &resized, error);
    int64_t n = status ? 0 : glia_shape_count(shape);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(resized.pixels[i] / 255.0);
    glia_image_free(&file);
    glia_image_free(&coloured);
    glia_image_free(&resized);
    return status;
}

/* ---- many in one file ----------------------------------------------------------------------- */

/* Where picture k of the sheet begins, and how its values become bytes. */
typedef struct sheet {
    glia_image image;
    glia_shape shape;
    int64_t columns, gap, scale;
    double low, high;
} sheet;

static void put_picture(const sheet *s, int64_t k, const float *x) {
    const int64_t height = s->shape.dim[1], width = s->shape.dim[2];
    const int64_t top = k / s->columns * (height * s->scale + s->gap),
                  left = k % s->columns * (width * s->scale + s->gap);
    for (int64_t c = 0; c < s->shape.dim[0]; c++) {
        uint8_t *plane = s->image.pixels + c * s->image.height * s->image.width;
        for (int64_t i = 0; i < height * s->scale; i++) {
            for (int64_t j = 0; j < width * s->scale; j++) {
                const double value = (double)x[(c * height + i / s->scale) * width + j / s->scale];
                const double level = (value - s->low) / (s->high - s->low) * 255;
                uint8_t *to = &plane[(top + i) * s->image.width + left + j];
                *to = level > 0 ? (uint8_t)(fmin(level, 255) + 0.5) : 0; /* NaN is black */
            }
        }
    }
}

glia_status glia_image_save(const char *path, glia_shape shape, const float *x, int64_t n, glia_image_save_opts o,
                            glia_error *error) {
    if (!path) return glia_fail_null(error, "path");
    if (!x) return glia_fail_null(error, "x");
    glia_status status = check_shape(path, shape, error);
    if (status != GLIA_OK) return status;
    sheet s = {
        .shape = shape, .columns = o.columns, .gap = glia_option_count(o.gap, 2), .scale = o.scale ? o.scale : 1
    };
    s.low = glia_option(o.low, 0);
    s.high = o.low == 0 && o.high == 0 ? 1 : glia_option(o.high, 0);
    const int64_t most = 1 << 24;
    if (n < 1 || n > most || s.columns < 0 || s.gap < 0 || s.scale < 1 || s.scale > 1024 || shape.dim[1] > most ||
        shape.dim[2] > most || !(s.low < s.high)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: %lld pictures, %d in a row, gaps %d, scale %d, from %g to %g",
                         path, (long long)n, o.columns, o.gap, o.scale, s.low, s.high);
    }
    const int64_t height = shape.dim[1] * s.scale + s.gap, width = shape.dim[2] * s.scale + s.gap;
    if (!s.columns) s.columns = (int64_t)ceil(sqrt((double)n * (double)height / (double)width));
    s.columns = GLIA_MIN(GLIA_MAX(s.columns, 1), n);
    const int64_t rows = (n + s.columns - 1) / s.columns;
    if (rows > INT32_MAX / height || s.columns > INT32_MAX / width) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: an image of %lld pictures is too large", path, (long long)n);
    }
    status = glia_image_create((int)shape.dim[0], (int)(rows * height - s.gap), (int)(s.columns * width - s.gap),
                               &s.image, error);
    if (status != GLIA_OK) return glia_fail_at_path(error, path, status);
    const int64_t count = glia_shape_count(shape);
    memset(s.image.pixels, 255, (size_t)s.image.channels * (size_t)s.image.height * (size_t)s.image.width);
    for (int64_t k = 0; k < n; k++) put_picture(&s, k, x + k * count);
    status = glia_image_write(path, &s.image, error);
    glia_image_free(&s.image);
    return status;
}
