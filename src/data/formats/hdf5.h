/* hdf5.h - writes HDF5 files by libhdf5: groups, arrays of numbers, fixed texts. */
#ifndef GLIA_SRC_DATA_FORMATS_HDF5_H
#define GLIA_SRC_DATA_FORMATS_HDF5_H

#include "base/base.h"
#include "core/tensor/tensor.h"

/* A file in memory. From open to free the thread has libhdf5 for itself; others wait in glia_hdf5_open(). */
typedef struct glia_hdf5 glia_hdf5;

/* GLIA_E_UNSUPPORTED: a build without libhdf5. `error` also takes what fails later, until glia_hdf5_save(). */
glia_status glia_hdf5_open(glia_hdf5 **out, glia_error *error);
void glia_hdf5_free(glia_hdf5 *file);

/* `name`: "group/.../name" in groups that were made before. After the first failure nothing more is written. */
void glia_hdf5_group(glia_hdf5 *file, const char *name);
/* f32, f64, i32 or i64; rank 0: a single number. */
void glia_hdf5_array(glia_hdf5 *file, const char *name, glia_dtype dtype, glia_shape shape, const void *data);
/* Texts of `width` bytes each, UTF-8, padded with zeros; rank 0: a single one. */
void glia_hdf5_texts(glia_hdf5 *file, const char *name, glia_shape shape, size_t width, const char *data);
/* Replaces the file at `path` atomically; the status of the first failure, if there was one. */
glia_status glia_hdf5_save(glia_hdf5 *file, const char *path);

#endif
