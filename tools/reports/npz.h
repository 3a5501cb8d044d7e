/* npz.h - writes arrays as NumPy's .npz. */
#ifndef GLIA_TOOL_NPZ_H
#define GLIA_TOOL_NPZ_H

#include "glia/glia.h"

typedef struct npz_array {
    const char *name;
    glia_dtype dtype; /* f32, f64, i32, i64, u8 or bool */
    glia_shape shape;
    const void *data;
} npz_array;

/* Replaces the file: a zip with NAME.npy for each array, stored, as numpy.savez writes it. At most 4 GiB. */
glia_status npz_write(const char *path, const npz_array *arrays, int n, glia_error *error);

#endif
