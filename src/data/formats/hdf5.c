/* hdf5.c - writes HDF5 files by libhdf5, in memory, so that they are saved as atomically as all others.
 *
 * The same content gives the same bytes with the same libhdf5: nothing keeps a time. Files are little-endian and have
 * libhdf5's oldest structures, its default, which every reader knows. (With H5F_LIBVER_V18, libhdf5 2.0 refuses what
 * H5Fget_file_image() of 1.10.8 returns: a checksum is wrong.)
 *
 * libhdf5 keeps its state in global variables, and most builds of it, Debian's too, may be called by one thread at a
 * time. A mutex is held as long as a file is open. It does not know of calls that a program makes by itself: a program
 * that uses libhdf5 in other threads needs a build that is thread-safe.
 */
#include "data/formats/hdf5.h"

#include <stdlib.h>

#if GLIA_HAVE_HDF5
#include <hdf5.h>
#include <pthread.h>

struct glia_hdf5 {
    hid_t file, group, array, link; /* the file, and how its groups, arrays and links are made */
    H5E_auto2_t print;              /* what prints libhdf5's errors for the program while no file is open here */
    void *context;
    glia_status status;
    glia_error *error;
};

static pthread_mutex_t only_one = PTHREAD_MUTEX_INITIALIZER;

/* The words of libhdf5's first error, which lies deepest. */
static herr_t deepest(unsigned n, const H5E_error2_t *reason, void *words) {
    if (n == 0) *(const char **)words = reason->desc;
    return 0;
}

/* What libhdf5 does in memory fails for want of it. */
static void fail(glia_hdf5 *file, const char *what) {
    const char *words = "out of memory";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, deepest, &words);
    file->status = glia_fail(file->error, GLIA_E_NOMEM, "hdf5: %s: %s", what, words ? words : "unknown");
}

glia_status glia_hdf5_open(glia_hdf5 **out, glia_error *error) {
    *out = NULL;
    glia_hdf5 *file = calloc(1, sizeof *file);
    if (!file) return glia_fail_nomem(error);
    pthread_mutex_lock(&only_one);
    file->error = error;
    H5Eget_auto2(H5E_DEFAULT, &file->print, &file->context);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    file->group = H5Pcreate(H5P_GROUP_CREATE);
    file->array = H5Pcreate(H5P_DATASET_CREATE);
    file->link = H5Pcreate(H5P_LINK_CREATE);
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS), create = H5Pcreate(H5P_FILE_CREATE);
    const bool ready = H5Pset_obj_track_times(file->group, false) >= 0 &&
                       H5Pset_obj_track_times(file->array, false) >= 0 && H5Pset_obj_track_times(create, false) >= 0 &&
                       H5Pset_char_encoding(file->link, H5T_CSET_UTF8) >= 0 &&
                       H5Pset_fapl_core(access, 1 << 16, false) >= 0;
    /* Nothing of this name is written to disk. */
    file->file = ready ? H5Fcreate("glia's hdf5 in memory", H5F_ACC_TRUNC, create, access) : H5I_INVALID_HID;
    if (file->file < 0) fail(file, "a file in memory");
    H5Pclose(access);
    H5Pclose(create);
    const glia_status status = file->status;
    if (status == GLIA_OK)
        *out = file;
    else
        glia_hdf5_free(file);
    return status;
}

void glia_hdf5_free(glia_hdf5 *file) {
    if (!file) return;
    if (file->file >= 0) H5Fclose(file->file);
    H5Pclose(file->group);
    H5Pclose(file->array);
    H5Pclose(file->link);
    H5Eset_auto2(H5E_DEFAULT, file->print, file->context);
    pthread_mutex_unlock(&only_one);
    free(file);
}

void glia_hdf5_group(glia_hdf5 *file, const char *name) {
    if (file->status != GLIA_OK) return;
    const hid_t group = H5Gcreate2(file->file, name, file->link, file->group, H5P_DEFAULT);
    if (group < 0 || H5Gclose(group) < 0) fail(file, name);
}

/* `type` in the file, `here` in memory. */
static void write_array(glia_hdf5 *file, const char *name, hid_t type, hid_t here, glia_shape shape, const void *data) {
    if (file->status != GLIA_OK) return;
    hsize_t sizes[GLIA_MAX_RANK];
    for (int i = 0; i < shape.rank; i++) sizes[i] = (hsize_t)shape.dim[i];
    const hid_t space = shape.rank ? H5Screate_simple(shape.rank, sizes, NULL) : H5Screate(H5S_SCALAR);
    const hid_t array = H5Dcreate2(file->file, name, type, space, file->link, file->array, H5P_DEFAULT);
    if (array < 0 || H5Dwrite(array, here, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) fail(file, name);
    H5Dclose(array);
    H5Sclose(space);
}

void glia_hdf5_array(glia_hdf5 *file, const char *name, glia_dtype dtype, glia_shape shape, const void *data) {
    const bool real = dtype == GLIA_F32 || dtype == GLIA_F64, wide = glia_dtype_size(dtype) == 8;
    const hid_t type = real ? (wide ? H5T_IEEE_F64LE : H5T_IEEE_F32LE) : wide ? H5T_STD_I64LE : H5T_STD_I32LE;
    const hid_t here = real ? (wide ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT)
                            : (wide ? H5T_NATIVE_INT64 : H5T_NATIVE_INT32);
    write_array(file, name, type, here, shape, data);
}

void glia_hdf5_texts(glia_hdf5 *file, const char *name, glia_shape shape, size_t width, const char *data) {
    if (file->status != GLIA_OK) return;
    const hid_t type = H5Tcopy(H5T_C_S1);
    const bool ready = H5Tset_size(type, width) >= 0 && H5Tset_cset(type, H5T_CSET_UTF8) >= 0 &&
                       H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0;
    if (!ready) fail(file, name);
    write_array(file, name, type, type, shape, data);
    H5Tclose(type);
}

glia_status glia_hdf5_save(glia_hdf5 *file, const char *path) {
    if (file->status != GLIA_OK) return file->status;
    const ssize_t length = H5Fflush(file->file, H5F_SCOPE_GLOBAL) < 0 ? -1 : H5Fget_file_image(file->file, NULL, 0);
    if (length < 0) return fail(file, path), file->status;
    char *image = malloc((size_t)length);
    if (!image) return glia_fail_nomem(file->error);
    if (H5Fget_file_image(file->file, image, (size_t)length) != length) fail(file, path);
    glia_status status = file->status;
    if (status == GLIA_OK) status = glia_file_replace(path, &(glia_span){ image, (size_t)length }, 1, file->error);
    free(image);
    return status;
}

#else

/* Without an open file, there is nothing that the other functions could be called with. */
glia_status glia_hdf5_open(glia_hdf5 **out, glia_error *error) {
    *out = NULL;
    return glia_fail(error, GLIA_E_UNSUPPORTED, "hdf5: this build of Glia has no HDF5 (libhdf5-dev)");
}
void glia_hdf5_free(glia_hdf5 *file) { (void)file; }
void glia_hdf5_group(glia_hdf5 *file, const char *name) { (void)file, (void)name; }
void glia_hdf5_array(glia_hdf5 *file, const char *name, glia_dtype dtype, glia_shape shape, const void *data) {
    (void)file, (void)name, (void)dtype, (void)shape, (void)data;
}
void glia_hdf5_texts(glia_hdf5 *file, const char *name, glia_shape shape, size_t width, const char *data) {
    (void)file, (void)name, (void)shape, (void)width, (void)data;
}
glia_status glia_hdf5_save(glia_hdf5 *file, const char *path) { return (void)file, (void)path, GLIA_E_UNSUPPORTED; }

#endif
