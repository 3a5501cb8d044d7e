/* numpy.c - NumPy's arrays as samples and targets. */
#include <stdlib.h>
#include <string.h>

#include "data/sources/sources.h"

/* Converts n values to i32 or f32 in dst; false: a label does not fit i32. */
static bool convert_values(const glia_values *v, glia_dtype to, void *dst, int64_t n) {
    size_t size = glia_dtype_size(v->dtype);
    for (int64_t i = 0; i < n; i++) {
        double value;
        glia_to_double(v->dtype, (const uint8_t *)v->data + (size_t)i * size, &value, 1);
        if (to == GLIA_F32) {
            ((float *)dst)[i] = (float)value;
        } else if (value >= INT32_MIN && value <= INT32_MAX) {
            ((int32_t *)dst)[i] = (int32_t)value;
        } else {
            return false;
        }
    }
    return true;
}

glia_status glia_values_to_targets(glia_values *y, bool target, glia_error *error) {
    glia_dtype to = target || glia_dtype_is_float(y->dtype) ? GLIA_F32 : GLIA_I32;
    if (y->dtype == to) return GLIA_OK;
    int64_t n = glia_shape_count(y->shape);
    void *data = malloc((size_t)n * 4);
    if (!data) return glia_fail_nomem(error);
    if (!convert_values(y, to, data, n)) {
        free(data);
        return glia_fail(error, GLIA_E_FORMAT,
                         "offset 0: a label does not fit 32 bits; target=1 reads integers as values");
    }
    free(y->data);
    y->data = data;
    y->dtype = to;
    return GLIA_OK;
}

glia_status glia_values_channels_first(glia_values *x, glia_error *error) {
    if (x->shape.rank != 4) {
        return glia_fail(error, GLIA_E_SHAPE, "layout=hwc needs an array (N, height, width, channels)");
    }
    size_t size = glia_dtype_size(x->dtype);
    int64_t n = x->shape.dim[0], plane = x->shape.dim[1] * x->shape.dim[2], channels = x->shape.dim[3];
    uint8_t *data = malloc((size_t)glia_shape_count(x->shape) * size), *to = data;
    if (!data) return glia_fail_nomem(error);
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *from = (const uint8_t *)x->data + (size_t)(i * plane * channels) * size;
        for (int64_t c = 0; c < channels; c++) {
            for (int64_t k = 0; k < plane; k++, to += size) memcpy(to, from + (size_t)(k * channels + c) * size, size);
        }
    }
    free(x->data);
    x->data = data;
    x->shape = GLIA_SHAPE(n, channels, x->shape.dim[1], x->shape.dim[2]);
    return GLIA_OK;
}
