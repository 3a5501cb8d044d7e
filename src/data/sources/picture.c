/* picture.c - loads an image file as one sample. */
#include "data/sources/data.h"

glia_status glia_image_load(const char *path, glia_shape shape, float *x, glia_error *error) {
    bool possible = shape.rank == 3 && (shape.dim[0] == 1 || shape.dim[0] == 3);
    for (int i = 1; possible && i < 3; i++) possible = shape.dim[i] > 0 && shape.dim[i] <= INT32_MAX;
    if (!possible) {
        char text[GLIA_SHAPE_TEXT];
        return glia_fail(error, GLIA_E_SHAPE, "%s: an image is a sample of shape (1 or 3, H, W), not %s", path,
                         glia_shape_format(shape, text));
    }
    glia_image file = { 0 }, coloured = { 0 }, resized = { 0 };
    glia_status status = glia_image_open(path, &file, error);
    if (!status) status = glia_image_convert(&file, (int)shape.dim[0], &coloured, error);
    if (!status) status = glia_image_resize(&coloured, (int)shape.dim[1], (int)shape.dim[2], &resized, error);
    int64_t n = status ? 0 : glia_shape_count(shape);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(resized.pixels[i] / 255.0);
    glia_image_free(&file);
    glia_image_free(&coloured);
    glia_image_free(&resized);
    return status;
}
