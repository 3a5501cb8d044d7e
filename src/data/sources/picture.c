/* picture.c - an image file as one sample, and samples in one image file. */
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

glia_status glia_image_save(const char *path, glia_shape shape, const float *x, int64_t n, glia_image_save_opts opts,
                            glia_error *error) {
    if (!path) return glia_fail_null(error, "path");
    if (!x) return glia_fail_null(error, "x");
    glia_image image;
    glia_status status = check_shape(path, shape, error);
    if (status == GLIA_OK)
        status = glia_fail_at_path(error, path, glia_image_sheet(shape, x, n, opts, &image, error));
    if (status != GLIA_OK) return status;
    status = glia_image_write(path, &image, error);
    glia_image_free(&image);
    return status;
}
