/* masks.c - pictures with a mask each: the class of every pixel, for segmentation.
 *
 * An archive has a folder of pictures and one of masks, whose files are paired by name. A mask's grey values are the
 * classes, numbered in rising order; one value may mean "no class" (label -1, which losses and scores leave out).
 *
 * A sample is a tile of a picture, all of one grid, so every pixel is seen once. With `turns` the training split has
 * each tile in the eight positions of a square (four quarter turns, mirrored or not), and the mask moves with it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/sources/data.h"
#include "data/sources/sources.h"

enum { TURNS = 8, VALUES = 256 };

typedef struct mask_set {
    glia_dataset base;
    int pictures, channels, height, width; /* of all pictures */
    int rows, columns, turns;              /* tiles of a picture; positions of each */
    uint8_t *x;                            /* (pictures, C, H, W) */
    uint8_t *y;                            /* (pictures, H, W) */
    bool seen[VALUES];                     /* in the masks that say which classes there are */
    int16_t class_of[VALUES];              /* -1: none */
} mask_set;

/* ---- reading -------------------------------------------------------------------------------- */

/* The pixel of the tile's square that comes to (i, j) of n x n in this position. */
static void turn(int position, int n, int i, int j, int *from_i, int *from_j) {
    if (position & 4) j = n - 1 - j;
    for (int k = 0; k < (position & 3); k++) {
        const int old = i;
        i = j;
        j = n - 1 - old;
    }
    *from_i = i;
    *from_j = j;
}

static glia_status masks_read(const glia_dataset *data, int64_t index, float *x, void *y, bool raw,
                              glia_error *error) {
    (void)error;
    const mask_set *s = (const mask_set *)data;
    const int height = (int)data->x_shape.dim[1], width = (int)data->x_shape.dim[2];
    const int position = (int)(index % s->turns);
    const int64_t tile = index / s->turns, picture = tile / (s->rows * s->columns);
    const int row = (int)(tile / s->columns % s->rows), column = (int)(tile % s->columns);
    const int top = row * height + (s->height - s->rows * height) / 2;
    const int left = column * width + (s->width - s->columns * width) / 2;
    const int64_t plane = (int64_t)s->height * s->width;
    for (int i = 0; i < height; i++) {
        for (int j = 0; j < width; j++) {
            int a = i, b = j;
            if (position) turn(position, height, i, j, &a, &b);
            const int64_t from = (int64_t)(top + a) * s->width + left + b;
            for (int c = 0; x && c < s->channels; c++)
                x[(c * height + i) * width + j] = (float)(s->x[(picture * s->channels + c) * plane + from] / 255.0);
            if (y) ((int32_t *)y)[i * width + j] = s->class_of[s->y[picture * plane + from]];
        }
    }
    if (x && !raw) glia_data_apply_normal(data, x);
    return GLIA_OK;
}

static void masks_close(glia_dataset *data) {
    free(((mask_set *)data)->x);
    free(((mask_set *)data)->y);
}

static const glia_data_kind masks_kind = { .read = masks_read, .close = masks_close };

/* ---- opening -------------------------------------------------------------------------------- */

/* The name without its folder, if the folder is the wanted one; NULL: it is elsewhere. */
static const char *inside(const char *member, const char *folder) {
    const size_t n = strlen(folder);
    const char *slash = strrchr(member, '/');
    if (!slash || (size_t)(slash - member) < n) return NULL;
    const char *at = slash - n;
    return !strncmp(at, folder, n) && (at == member || at[-1] == '/') ? slash + 1 : NULL;
}

/* The member in the folder whose name is the same up to the ending; -1: none. */
static int partner(const glia_archive *a, const char *folder, const char *base) {
    const size_t n = strcspn(base, ".");
    for (int i = 0; i < a->n; i++) {
        const char *other = inside(a->members[i].name, folder);
        if (other && strcspn(other, ".") == n && !strncmp(other, base, n)) return i;
    }
    return -1;
}

static glia_status decode(const glia_archive *a, int member, int channels, glia_image *image, glia_error *error) {
    glia_blob blob;
    glia_image made = { 0 };
    *image = (glia_image){ 0 };
    glia_status status = glia_archive_read(a, member, &blob, error);
    if (status == GLIA_OK) status = glia_image_decode(blob.bytes, blob.length, image, error);
    glia_blob_free(&blob);
    if (status == GLIA_OK && channels && image->channels != channels) {
        status = glia_image_convert(image, channels, &made, error);
        if (status == GLIA_OK) {
            glia_image_free(image);
            *image = made;
        }
    }
    return glia_archive_fail(a, member, error, status);
}

/* A mask: grey values, perhaps stored as colours. */
static glia_status decode_mask(const glia_archive *a, int member, glia_image *mask, glia_error *error) {
    glia_status status = decode(a, member, 0, mask, error);
    if (status != GLIA_OK || mask->channels == 1) return status;
    const size_t pixels = (size_t)mask->height * (size_t)mask->width;
    bool grey = true;
    for (size_t i = 0; i < pixels && mask->channels >= 3; i++) {
        const uint8_t value = mask->pixels[i];
        grey &= mask->pixels[pixels + i] == value && mask->pixels[2 * pixels + i] == value;
    }
    if (!grey)
        return glia_archive_fail(a, member, error,
                                 glia_fail(error, GLIA_E_FORMAT, "the mask has colours; a mask's grey values are the "
                                           "classes of its pixels"));
    glia_image_free(mask);
    return decode(a, member, 1, mask, error);
}

/* Which values the masks of a folder have. */
static glia_status see_classes(mask_set *s, const glia_archive *a, const char *folder, glia_error *error) {
    glia_status status = GLIA_OK;
    for (int i = 0; status == GLIA_OK && i < a->n; i++) {
        if (!inside(a->members[i].name, folder)) continue;
        glia_image mask;
        status = decode_mask(a, i, &mask, error);
        for (size_t k = 0; status == GLIA_OK && k < (size_t)mask.height * (size_t)mask.width; k++)
            s->seen[mask.pixels[k]] = true;
        glia_image_free(&mask);
    }
    return status;
}

/* Whether all values of a mask were seen in training. */
static glia_status check_classes(const mask_set *s, const glia_archive *a, int member, const glia_image *mask,
                                 int ignore, glia_error *error) {
    for (int i = 0; i < mask->height * mask->width; i++) {
        const int value = mask->pixels[i];
        if (s->seen[value] || value == ignore) continue;
        return glia_archive_fail(a, member, error,
                                 glia_fail(error, GLIA_E_FORMAT,
                                           "the pixel in row %d, column %d has the value %d, which is in no mask of "
                                           "the training split",
                                           i / mask->width, i % mask->width, value));
    }
    return GLIA_OK;
}

/* Adds one picture and its mask, which must have the size of the first. */
static glia_status add_pair(mask_set *s, const glia_archive *a, int picture, int mask, int ignore,
                            glia_error *error) {
    glia_image x, y = { 0 };
    glia_status status = decode(a, picture, s->channels, &x, error);
    if (status == GLIA_OK) status = decode_mask(a, mask, &y, error);
    if (status == GLIA_OK) status = check_classes(s, a, mask, &y, ignore, error);
    if (status == GLIA_OK && !s->pictures) s->channels = x.channels, s->height = x.height, s->width = x.width;
    if (status == GLIA_OK &&
        (x.height != s->height || x.width != s->width || y.height != s->height || y.width != s->width))
        status = glia_archive_fail(a, picture, error,
                                   glia_fail(error, GLIA_E_SHAPE, "pixels %dx%d and mask %dx%d, the first picture has "
                                             "%dx%d", x.height, x.width, y.height, y.width, s->height, s->width));
    const size_t plane = (size_t)s->height * (size_t)s->width, count = plane * (size_t)s->channels;
    const size_t n = (size_t)s->pictures + 1;
    uint8_t *grown = status == GLIA_OK ? realloc(s->x, n * count) : NULL;
    if (grown) s->x = grown;
    uint8_t *masks = grown ? realloc(s->y, n * plane) : NULL;
    if (masks) s->y = masks;
    if (status == GLIA_OK && !masks) status = glia_fail_nomem(error);
    if (status == GLIA_OK) {
        memcpy(s->x + (n - 1) * count, x.pixels, count);
        memcpy(s->y + (n - 1) * plane, y.pixels, plane);
        s->pictures++;
    }
    glia_image_free(&x);
    glia_image_free(&y);
    return status;
}

static glia_status read_pairs(mask_set *s, const glia_archive *a, const glia_mask_opts *o, glia_error *error) {
    const char *x = o->x, *y = o->y;
    glia_status status = see_classes(s, a, o->classes, error);
    for (int i = 0; status == GLIA_OK && i < a->n; i++) {
        const char *base = inside(a->members[i].name, x);
        if (!base) continue;
        const int mask = partner(a, y, base);
        status = mask >= 0 ? add_pair(s, a, i, mask, o->ignore, error)
                           : glia_archive_fail(a, i, error,
                                               glia_fail(error, GLIA_E_NOT_FOUND, "it has no mask in %s/", y));
    }
    if (status == GLIA_OK && !s->pictures)
        status = glia_fail(error, GLIA_E_NOT_FOUND, "%s: no pictures in a folder %s/", a->path, x);
    return status;
}

/* Numbers the values of the masks in rising order; returns the number of classes. */
static int number_classes(mask_set *s, int ignore) {
    int n = 0;
    for (int v = 0; v < VALUES; v++) s->class_of[v] = (int16_t)(s->seen[v] && v != ignore ? n++ : -1);
    return n;
}

/* The pictures [first, first + n) only. */
static void keep(mask_set *s, int first, int n) {
    const size_t plane = (size_t)s->height * (size_t)s->width, count = plane * (size_t)s->channels;
    memmove(s->x, s->x + (size_t)first * count, (size_t)n * count);
    memmove(s->y, s->y + (size_t)first * plane, (size_t)n * plane);
    s->pictures = n;
}

static glia_status lay_tiles(mask_set *s, const glia_mask_opts *o, const char *path, glia_error *error) {
    const int height = o->height ? o->height : s->height, width = o->width ? o->width : s->width;
    if (height > s->height || width > s->width)
        return glia_fail(error, GLIA_E_SHAPE, "%s: tiles of %dx%d, the pictures have %dx%d", path, height, width,
                         s->height, s->width);
    if (o->turns && height != width)
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: turns=1 needs square tiles, not %dx%d", path, height, width);
    s->rows = s->height / height;
    s->columns = s->width / width;
    s->turns = o->turns && !o->test ? TURNS : 1;
    s->base.n = (int64_t)s->pictures * s->rows * s->columns * s->turns;
    s->base.x_shape = GLIA_SHAPE(s->channels, height, width);
    s->base.y_shape = GLIA_SHAPE((int64_t)height * width);
    return GLIA_OK;
}

glia_dataset *glia_data_open_masks(const char *path, glia_mask_opts o, const char *name, glia_error *error) {
    mask_set *s = calloc(1, sizeof *s);
    if (!s) return glia_fail_nomem(error), NULL;
    s->base = (glia_dataset){ .kind = &masks_kind, .y_dtype = GLIA_I32, .targets = GLIA_TARGETS_MASK };
    s->base.name = (char *)(uintptr_t)name; /* glia_data_init() copies it */
    glia_archive a = { 0 };
    glia_status status = glia_archive_open(path, &a, error);
    if (status == GLIA_OK) {
        status = read_pairs(s, &a, &o, error);
        glia_archive_free(&a);
    }
    const int classes = status == GLIA_OK ? number_classes(s, o.ignore) : 0;
    if (status == GLIA_OK && classes < 2)
        status = glia_fail(error, GLIA_E_ARGUMENT, "%s: all pixels of the masks in %s/ are of one class", path,
                           o.classes);
    if (status == GLIA_OK && (o.last < 0 || o.last >= s->pictures))
        status = glia_fail(error, GLIA_E_ARGUMENT, "%s: last=%d of %d pictures", path, o.last, s->pictures);
    if (status == GLIA_OK && o.last) keep(s, o.test ? s->pictures - o.last : 0, o.test ? o.last : s->pictures - o.last);
    if (status == GLIA_OK) status = lay_tiles(s, &o, path, error);
    if (status == GLIA_OK) status = glia_data_init(&s->base, error);
    if (status == GLIA_OK) {
        s->base.is_split = o.is_split || o.last;
        s->base.classes = classes;
        status = glia_data_name_classes(&s->base, NULL, error);
    }
    if (status == GLIA_OK) return &s->base;
    if (s->base.name == name) s->base.name = NULL;
    glia_data_free(&s->base);
    return NULL;
}
