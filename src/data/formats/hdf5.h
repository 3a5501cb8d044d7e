/* hdf5.h - a writer of HDF5 files: groups, arrays of numbers, fixed texts. No reader, and no library is needed. */
#ifndef GLIA_SRC_DATA_FORMATS_HDF5_H
#define GLIA_SRC_DATA_FORMATS_HDF5_H

#include "base/base.h"
#include "core/tensor/tensor.h"

/* A file that grows in memory; begin with { 0 }. What is written returns its address, which a group takes. */
typedef struct glia_hdf5 {
    glia_text bytes; /* `failed`: out of memory, which glia_hdf5_save() reports */
} glia_hdf5;

typedef struct glia_hdf5_link {
    const char *name; /* unique in a group, without '/', at most 255 bytes */
    uint64_t address;
} glia_hdf5_link;

/* f32, f64, i32 or i64; rank 0: a single number. */
uint64_t glia_hdf5_array(glia_hdf5 *file, glia_dtype dtype, glia_shape shape, const void *data);
/* Texts of `width` bytes each, padded with zeros; rank 0: a single one. */
uint64_t glia_hdf5_texts(glia_hdf5 *file, glia_shape shape, size_t width, const char *data);
uint64_t glia_hdf5_group(glia_hdf5 *file, const glia_hdf5_link *links, int n);
/* Replaces the file at `path` atomically; `root` is the address of the root group. */
glia_status glia_hdf5_save(glia_hdf5 *file, uint64_t root, const char *path, glia_error *error);
void glia_hdf5_free(glia_hdf5 *file);

#endif
