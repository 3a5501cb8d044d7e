/* images.c - folders and archives of images, decoded on reading by the loader's workers.
 *
 * Only an index is kept, besides what the archive itself holds in memory. Reading a sample decodes its file, converts
 * it to grayscale or RGB, resizes it and scales it to [0, 1].
 */
#include <stdlib.h>
#include <string.h>

#include "data/sources/sources.h"

static const char *const endings[] = { ".jpg", ".jpeg", ".png", ".pgm", ".ppm", NULL };

/* Image formats without a decoder. */
static const char *const refused[] = { ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".avif", ".jxl",
                                       ".jp2",  ".svg", ".tga", ".ico", NULL };

typedef struct image_set {
    glia_dataset base;
    glia_archive archive;
    tree tree;
} image_set;

static glia_status decode(const image_set *set, int64_t index, glia_image *image, glia_error *error) {
    int member = set->tree.members[index];
    glia_blob blob;
    *image = (glia_image){ 0 };
    glia_status status = glia_archive_read(&set->archive, member, &blob, error);
    if (!status) status = glia_image_decode(blob.bytes, blob.length, image, error);
    glia_blob_free(&blob);
    return glia_archive_fail(&set->archive, member, error, status);
}

/* If status is OK, replaces *image by `made`, the result of a conversion of it. */
static glia_status replace(glia_image *image, glia_status status, glia_image made) {
    if (status) return status;
    glia_image_free(image);
    *image = made;
    return status;
}

static glia_status images_read(const glia_dataset *data, int64_t index, float *x, void *y, bool raw,
                               glia_error *error) {
    const image_set *set = (const image_set *)data;
    if (y) memcpy(y, &set->tree.labels[index], sizeof(int32_t));
    if (!x) return GLIA_OK;
    int channels = (int)data->x_shape.dim[0], height = (int)data->x_shape.dim[1], width = (int)data->x_shape.dim[2];
    glia_image image, made = { 0 };
    glia_status status = decode(set, index, &image, error);
    if (!status && image.channels != channels) {
        status = replace(&image, glia_image_convert(&image, channels, &made, error), made);
    }
    if (!status && (image.height != height || image.width != width)) {
        status = replace(&image, glia_image_resize(&image, height, width, &made, error), made);
    }
    for (size_t i = 0; i < data->x_count && !status; i++) x[i] = (float)(image.pixels[i] / 255.0);
    if (!status && !raw) glia_data_apply_normal(data, x);
    glia_image_free(&image);
    return status;
}

static void images_close(glia_dataset *data) {
    image_set *set = (image_set *)data;
    glia_tree_free(&set->tree);
    glia_archive_free(&set->archive);
}

static const glia_data_kind images_kind = { .read = images_read, .close = images_close };

/* Sets the requested shape; sizes not given are those of the first image. */
static glia_status choose_shape(image_set *set, glia_image_opts opts, glia_error *error) {
    if (!opts.channels || !opts.height) {
        glia_image first;
        glia_status status = decode(set, 0, &first, error);
        if (status) return status;
        if (!opts.channels) opts.channels = first.channels;
        if (!opts.height) opts.height = first.height, opts.width = first.width;
        glia_image_free(&first);
    }
    set->base.x_shape = GLIA_SHAPE(opts.channels, opts.height, opts.width);
    return GLIA_OK;
}

glia_dataset *glia_data_open_images(const char *path, int split, glia_image_opts opts, const char *name,
                                    glia_error *error) {
    image_set *set = calloc(1, sizeof *set);
    if (!set) return glia_fail_nomem(error), NULL;
    glia_status status = glia_archive_open(path, &set->archive, error);
    if (opts.whole) split = TREE_TRAIN;
    if (!status) status = glia_tree_read(&set->archive, endings, refused, split, &set->tree, error);
    if (!status && opts.whole && set->tree.has_test) {
        status = glia_fail(error, GLIA_E_ARGUMENT,
                           "%s: test= cannot be used, because the data have train and test folders", path);
    }
    set->base = (glia_dataset){ .kind = &images_kind, .n = set->tree.n, .y_dtype = GLIA_I32 };
    set->base.is_split = set->tree.has_test;
    set->base.name = (char *)(uintptr_t)name; /* glia_data_init() copies it */
    if (!status) status = choose_shape(set, opts, error);
    if (!status) status = glia_data_init(&set->base, error);
    if (!status) {
        set->base.classes = set->tree.classes;
        status = glia_data_name_classes(&set->base, (const char *const *)set->tree.class_names, error);
    }
    if (!status) return &set->base;
    glia_data_free(&set->base);
    return NULL;
}
