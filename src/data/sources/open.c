/* open.c - opens data sets by address: NAME or SCHEME:FILES, then ?OPTION=VALUE&OPTION=VALUE.
 *
 * The schemes are the rows of data/formats/formats.def; each has an open_SCHEME() here.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/sources/audio.h"
#include "data/sources/scenes.h"
#include "data/sources/sources.h"

enum { OPTIONS_MOST = 16, PATHS_MOST = 64, NAMES_MOST = 32 };

/* A parsed address. */
typedef struct request {
    const char *address;
    char *rest; /* the files: the part between the colon and the question mark */
    const char *keys[OPTIONS_MOST], *values[OPTIONS_MOST];
    int n_options;
    bool test;
    int split; /* TREE_TRAIN, ... */
    const char *folder, *tokenizer; /* tokenizer: its JSON text, or NULL */
} request;

/* ---- options ------------------------------------------------------------------------------ */

static const char *option(const request *r, const char *key) {
    for (int i = 0; i < r->n_options; i++) {
        if (!strcmp(r->keys[i], key)) return r->values[i];
    }
    return NULL;
}

/* Splits "KEY=VALUE&KEY=VALUE" in place. */
static glia_status split_options(request *r, char *text, glia_error *error) {
    while (*text) {
        char *next = text + strcspn(text, "&"), *value = memchr(text, '=', (size_t)(next - text));
        if (!value) {
            return glia_fail(error, GLIA_E_ARGUMENT, "%s: option \"%s\" is not of the form NAME=VALUE", r->address,
                             text);
        }
        if (r->n_options == OPTIONS_MOST) return glia_fail(error, GLIA_E_ARGUMENT, "%s: too many options", r->address);
        if (*next) *next++ = 0;
        *value++ = 0;
        if (option(r, text)) return glia_fail(error, GLIA_E_ARGUMENT, "%s: option %s is given twice", r->address, text);
        r->keys[r->n_options] = text;
        r->values[r->n_options++] = value;
        text = next;
    }
    return GLIA_OK;
}

/* Fails for the first option that is not in `known`. */
static glia_status check_options(const request *r, const char *const *known, int n, glia_error *error) {
    for (int i = 0; i < r->n_options; i++) {
        bool found = false;
        for (int k = 0; k < n; k++) found |= !strcmp(r->keys[i], known[k]);
        if (found) continue;
        const char *near = glia_nearest(r->keys[i], known, n);
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: there is no option \"%s\"%s%s%s", r->address, r->keys[i],
                         near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    return GLIA_OK;
}

/* Reads the option as an integer in [low, high]; *value is unchanged if it is not given. */
static glia_status integer_option(const request *r, const char *key, int64_t low, int64_t high, int64_t *value,
                                  glia_error *error) {
    const char *text = option(r, key);
    double number;
    if (!text) return GLIA_OK;
    bool good = glia_number_parse(text, text + strlen(text), &number) && number == floor(number);
    if (!good || number < (double)low || number > (double)high) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: %s=%s must be an integer from %lld to %lld", r->address, key,
                         text, (long long)low, (long long)high);
    }
    *value = (int64_t)number;
    return GLIA_OK;
}

/* ---- schemes ------------------------------------------------------------------------------ */

/* Splits "FILE,FILE" in place; returns the number of files, capacity + 1 if there are too many. */
static int split_paths(char *text, const char **paths, int capacity) {
    int n = 0;
    for (char *next; n < capacity; text = next) {
        next = text + strcspn(text, ",");
        bool last = !*next;
        *next++ = 0;
        paths[n++] = text;
        if (last) return n;
    }
    return capacity + 1;
}

static glia_status read_idx(const char *path, glia_values *values, glia_error *error) {
    glia_file file;
    glia_status status = glia_file_open(&file, path, error);
    if (status) return status;
    status = glia_fail_at_path(error, path, glia_idx_parse(file.bytes, file.length, values, error));
    glia_file_close(&file);
    return status;
}

/* Converts u8 labels to i32. */
static glia_status widen_labels(glia_values *labels, glia_error *error) {
    if (labels->dtype != GLIA_U8) return GLIA_OK;
    int64_t n = glia_shape_count(labels->shape);
    int32_t *wide = malloc((size_t)n * sizeof *wide);
    if (!wide) return glia_fail_nomem(error);
    for (int64_t i = 0; i < n; i++) wide[i] = ((const uint8_t *)labels->data)[i];
    free(labels->data);
    labels->data = wide;
    labels->dtype = GLIA_I32;
    return GLIA_OK;
}

/* Shape of a sample: the array's without its first axis; u8 arrays (H, W) become grayscale images (1, H, W). */
static glia_shape sample_shape(const glia_values *v) {
    glia_shape s = { .rank = v->shape.rank - 1 };
    memcpy(s.dim, v->shape.dim + 1, (size_t)s.rank * sizeof *s.dim);
    if (s.rank == 0) return GLIA_SHAPE(1);
    return s.rank == 2 && v->dtype == GLIA_U8 ? GLIA_SHAPE(1, s.dim[0], s.dim[1]) : s;
}

glia_dataset *glia_data_open_idx(const char *images_path, const char *labels_path, const char *name,
                                 const char *const *class_names, int classes, glia_error *error) {
    glia_values x = { 0 }, y = { 0 };
    glia_status status = read_idx(images_path, &x, error);
    if (!status && labels_path) status = read_idx(labels_path, &y, error);
    if (!status && labels_path) status = widen_labels(&y, error);
    if (!status && labels_path && x.shape.dim[0] != y.shape.dim[0]) {
        status = glia_fail(error, GLIA_E_FORMAT, "%s has %lld samples, %s %lld labels", images_path,
                           (long long)x.shape.dim[0], labels_path, (long long)y.shape.dim[0]);
    }
    if (status) {
        glia_values_free(&x);
        glia_values_free(&y);
        return NULL;
    }
    glia_arrays arrays = { .n = x.shape.dim[0],
                           .x = x.data,
                           .x_dtype = x.dtype,
                           .x_shape = sample_shape(&x),
                           .y = y.data,
                           .y_dtype = y.dtype,
                           .classes = classes };
    if (y.data && y.shape.rank > 1) arrays.y_shape = sample_shape(&y);
    return glia_data_take(arrays, name, class_names, error);
}

static glia_dataset *open_idx(const request *r, glia_error *error) {
    const char *paths[2];
    int n = split_paths(r->rest, paths, 2);
    if (n > 2) {
        glia_fail(error, GLIA_E_ARGUMENT, "%s: more than two files; use idx:IMAGES,LABELS", r->address);
        return NULL;
    }
    return glia_data_open_idx(paths[0], n == 2 ? paths[1] : NULL, r->address, NULL, 0, error);
}

static glia_dataset *open_cifar(const request *r, glia_error *error) {
    const char *paths[PATHS_MOST];
    int n = split_paths(r->rest, paths, PATHS_MOST);
    if (n > PATHS_MOST) {
        glia_fail(error, GLIA_E_ARGUMENT, "%s: more than %d files", r->address, PATHS_MOST);
        return NULL;
    }
    return glia_data_open_cifar(paths, n, r->address, error);
}

/* sep= is a character or the name of one. */
static glia_status separator_option(const request *r, char *separator, glia_error *error) {
    static const struct {
        const char *name;
        char character;
    } names[] = { { "comma", ',' }, { "semicolon", ';' }, { "tab", '\t' }, { "space", ' ' }, { "bar", '|' } };
    const char *text = option(r, "sep");
    if (!text) return GLIA_OK;
    for (int i = 0; i < GLIA_COUNT(names); i++) {
        if (!strcmp(text, names[i].name)) return *separator = names[i].character, GLIA_OK;
    }
    if (strlen(text) != 1 || strchr("\"\r\n.-+0123456789", text[0])) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "%s: sep=%s must be a character, or comma, semicolon, tab, space, bar", r->address, text);
    }
    *separator = text[0];
    return GLIA_OK;
}

/* Moves sparse rows and labels out of the table and frees the rest. */
static glia_dataset *take_sparse_csv(glia_csv *csv, const char *name, glia_error *error) {
    glia_sparse rows = csv->rows;
    rows.n = csv->n;
    rows.features = csv->columns;
    rows.y_dtype = csv->y_dtype;
    rows.y = csv->y;
    rows.classes = csv->classes;
    rows.class_names = csv->class_names;
    rows.column_names = csv->names;
    rows.arena = csv->arena;
    free(csv->x);
    *csv = (glia_csv){ 0 };
    return glia_data_take_sparse(rows, name, error);
}

static glia_dataset *open_csv(const request *r, glia_error *error) {
    glia_csv_opts opts = { .label = option(r, "label"), .target = option(r, "target"), .drop = option(r, "drop") };
    int64_t header = -1, sparse = 0;
    glia_file file;
    if (separator_option(r, &opts.separator, error) || integer_option(r, "header", 0, 1, &header, error) ||
        integer_option(r, "sparse", 0, 1, &sparse, error)) {
        return NULL;
    }
    opts.sparse = sparse;
    opts.header = header == 1 ? 1 : header == 0 ? -1 : 0;
    if (glia_file_open(&file, r->rest, error)) return NULL;
    glia_csv csv;
    glia_status status = glia_fail_at_path(error, r->rest, glia_csv_parse(file.bytes, file.length, opts, &csv, error));
    glia_file_close(&file);
    if (status) return NULL;
    if (opts.sparse) return take_sparse_csv(&csv, r->address, error);
    glia_arrays arrays = { .n = csv.n,
                           .x = csv.x,
                           .x_dtype = GLIA_F32,
                           .x_shape = GLIA_SHAPE(csv.columns),
                           .y = csv.y,
                           .y_dtype = csv.y_dtype,
                           .classes = csv.classes };
    csv.x = NULL; /* owned by glia_data_take() */
    csv.y = NULL;
    glia_dataset *data = glia_data_take(arrays, r->address, (const char *const *)csv.class_names, error);
    if (data && glia_data_name_columns(data, (const char *const *)csv.names, error)) {
        glia_data_free(data);
        data = NULL;
    }
    if (data) data->numbered = false; /* integers in a table are class names too */
    glia_csv_free(&csv);
    return data;
}

/* The option is HEIGHTxWIDTH, or one number for both. */
static glia_status sides_option(const request *r, const char *key, glia_image_opts *opts, glia_error *error) {
    const char *text = option(r, key);
    if (!text) return GLIA_OK;
    const char *cross = strchr(text, 'x'), *end = text + strlen(text);
    double height, width;
    bool good = glia_number_parse(text, cross ? cross : end, &height);
    width = height;
    if (good && cross) good = glia_number_parse(cross + 1, end, &width);
    if (!good || height < 1 || width < 1 || height > 65535 || width > 65535 || height != floor(height) ||
        width != floor(width)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: %s=%s must be HEIGHTxWIDTH, as 32x32", r->address, key,
                         text);
    }
    opts->height = (int)height;
    opts->width = (int)width;
    return GLIA_OK;
}

static glia_dataset *open_images(const request *r, glia_error *error) {
    glia_image_opts opts = { .whole = option(r, "test") != NULL };
    int64_t channels = 0;
    if (sides_option(r, "size", &opts, error) || integer_option(r, "channels", 1, 3, &channels, error)) return NULL;
    if (channels == 2) {
        glia_fail(error, GLIA_E_ARGUMENT, "%s: channels=2; images have 1 (grey) or 3 (colour)", r->address);
        return NULL;
    }
    opts.channels = (int)channels;
    return glia_data_open_images(r->rest, r->split, opts, r->address, error);
}

/* ---- pictures with masks -------------------------------------------------------------------- */

/* x= and y= name the folders, by default image and label; test_x= and test_y= those of the test split. */
static glia_dataset *open_masks(const request *r, glia_error *error) {
    const char *x = option(r, "x"), *y = option(r, "y"), *test_x = option(r, "test_x"), *test_y = option(r, "test_y");
    glia_mask_opts o = { .x = x ? x : "image", .y = y ? y : "label", .test = r->test, .is_split = test_x != NULL };
    int64_t turns = 0, last = 0, ignore = -1;
    glia_image_opts size = { 0 };
    if (integer_option(r, "turns", 0, 1, &turns, error) || integer_option(r, "last", 1, 1 << 20, &last, error) ||
        integer_option(r, "ignore", 0, 255, &ignore, error) || sides_option(r, "tile", &size, error))
        return NULL;
    if (!test_x != !test_y || (test_x && last)) {
        glia_fail(error, GLIA_E_ARGUMENT, "%s: the test split is test_x= and test_y=, or last=", r->address);
        return NULL;
    }
    o.classes = o.y;
    if (r->test && test_x) o.x = test_x, o.y = test_y;
    o.turns = turns;
    o.last = (int)last, o.ignore = (int)ignore;
    o.height = size.height, o.width = size.width;
    return glia_data_open_masks(r->rest, o, r->address, error);
}

static glia_dataset *open_boxes(const request *r, glia_error *error) {
    const char *paths[2];
    glia_image_opts opts = { .whole = option(r, "test") != NULL };
    if (sides_option(r, "size", &opts, error)) return NULL;
    if (split_paths(r->rest, paths, 2) == 2)
        return glia_data_open_boxes(paths[0], paths[1], opts, r->test, r->address, error);
    return glia_fail(error, GLIA_E_ARGUMENT, "%s: needs an archive of pictures and a table", r->address), NULL;
}

/* speaker= is the test split; without it, recordings with an index below first= of each speaker are. */
static glia_dataset *open_audio(const request *r, glia_error *error) {
    glia_audio_opts o = { .steps = 64, .bands = 32, .first = 5, .speaker = option(r, "speaker"), .test = r->test };
    if (integer_option(r, "steps", 1, 4096, &o.steps, error) || integer_option(r, "bands", 1, 512, &o.bands, error) ||
        integer_option(r, "first", 1, 1 << 30, &o.first, error))
        return NULL;
    return glia_data_open_audio(r->rest, o, r->address, error);
}

/* ---- NumPy arrays ------------------------------------------------------------------------- */

/* Creates a data set from both arrays (y.data may be NULL). Takes ownership of them, also on failure. */
static glia_dataset *join_values(const request *r, glia_values x, glia_values y, glia_error *error) {
    const char *layout = option(r, "layout");
    int64_t target = 0;
    glia_status status = integer_option(r, "target", 0, 1, &target, error);
    if (!status && layout && strcmp(layout, "hwc") && strcmp(layout, "chw")) {
        status = glia_fail(error, GLIA_E_ARGUMENT, "%s: layout=%s must be hwc or chw", r->address, layout);
    }
    if (!status && x.shape.rank == 0) {
        status = glia_fail(error, GLIA_E_SHAPE, "%s: x is a scalar, not an array of samples", r->address);
    }
    if (!status && y.data && (y.shape.rank == 0 || y.shape.dim[0] != x.shape.dim[0])) {
        char xs[GLIA_SHAPE_TEXT], ys[GLIA_SHAPE_TEXT];
        status = glia_fail(error, GLIA_E_SHAPE, "%s: x %s and y %s have different numbers of samples", r->address,
                           glia_shape_format(x.shape, xs), glia_shape_format(y.shape, ys));
    }
    if (!status && layout && !strcmp(layout, "hwc")) status = glia_values_channels_first(&x, error);
    if (!status && y.data) status = glia_values_to_targets(&y, target, error);
    if (status) {
        glia_values_free(&x);
        glia_values_free(&y);
        return NULL;
    }
    glia_arrays arrays = { .n = x.shape.dim[0],
                           .x = x.data,
                           .x_dtype = x.dtype,
                           .x_shape = sample_shape(&x),
                           .y = y.data,
                           .y_dtype = y.dtype };
    bool column = y.data && glia_shape_count(y.shape) == y.shape.dim[0]; /* (N) and (N, 1) are scalar targets */
    if (y.data && !column) arrays.y_shape = sample_shape(&y);
    return glia_data_take(arrays, r->address, NULL, error);
}

static glia_status read_npy(const char *path, glia_values *values, glia_error *error) {
    glia_file file;
    glia_status status = glia_file_open(&file, path, error);
    if (status) return status;
    status = glia_fail_at_path(error, path, glia_npy_parse(file.bytes, file.length, values, error));
    glia_file_close(&file);
    return status;
}

static glia_dataset *open_npy(const request *r, glia_error *error) {
    const char *paths[2];
    glia_values x = { 0 }, y = { 0 };
    int n = split_paths(r->rest, paths, 2);
    if (n > 2) {
        glia_fail(error, GLIA_E_ARGUMENT, "%s: more than two files; use npy:X,Y", r->address);
        return NULL;
    }
    glia_status status = read_npy(paths[0], &x, error);
    if (!status && n == 2) status = read_npy(paths[1], &y, error);
    if (!status) return join_values(r, x, y, error);
    glia_values_free(&x);
    return NULL;
}

/* The index of the named array in an .npz file; name NULL: the first of the usual names found; -1: none. */
static int find_array(const glia_archive *archive, const char *name, const char *const *usual) {
    char file[300];
    const char *const given[] = { name, NULL };
    for (const char *const *try = name ? given : usual; *try; try++) {
        snprintf(file, sizeof file, "%.200s.npy", *try);
        int member = glia_archive_find(archive, file);
        if (member >= 0) return member;
    }
    return -1;
}

static glia_status read_member(const glia_archive *archive, int member, glia_values *values, glia_error *error) {
    glia_blob blob;
    glia_status status = glia_archive_read(archive, member, &blob, error);
    if (!status) status = glia_npy_parse(blob.bytes, blob.length, values, error);
    glia_blob_free(&blob);
    return glia_archive_fail(archive, member, error, status);
}

static glia_status fail_no_array(const request *r, const glia_archive *archive, const char *name, glia_error *error) {
    glia_text list = { 0 };
    for (int i = 0; i < archive->n && i < 20; i++) {
        const char *member = archive->members[i].name;
        glia_text_printf(&list, "%s%.*s", i ? ", " : "", (int)strcspn(member, "."), member);
    }
    glia_fail(error, GLIA_E_NOT_FOUND, "%s: there is no array %s; the file has %s", r->address, name,
              list.bytes ? list.bytes : "none");
    free(list.bytes);
    return GLIA_E_NOT_FOUND;
}

static glia_dataset *open_npz(const request *r, glia_error *error) {
    static const char *const xs[2][8] = { { "x_train", "X_train", "train_images", "x", "X", "data", "arr_0" },
                                          { "x_test", "X_test", "test_images" } };
    static const char *const ys[2][8] = { { "y_train", "Y_train", "train_labels", "y", "Y", "target", "arr_1" },
                                          { "y_test", "Y_test", "test_labels" } };
    glia_archive archive;
    if (glia_archive_open(r->rest, &archive, error)) return NULL;
    glia_values x = { 0 }, y = { 0 };
    glia_status status = GLIA_OK;
    int at_x = find_array(&archive, option(r, "x"), xs[0]), at_y = find_array(&archive, option(r, "y"), ys[0]);
    const int test_x = find_array(&archive, NULL, xs[1]), test_y = find_array(&archive, NULL, ys[1]);
    const bool is_split = !option(r, "x") && test_x >= 0;
    if (is_split && option(r, "test")) {
        status = glia_fail(error, GLIA_E_ARGUMENT,
                           "%s: test= cannot be used, because the file has arrays of a test set", r->address);
    } else if (is_split && r->test) {
        at_x = test_x;
        if (!option(r, "y")) at_y = test_y;
    }
    if (!status && at_x < 0) status = fail_no_array(r, &archive, option(r, "x") ? option(r, "x") : "x", error);
    if (!status && at_y < 0 && option(r, "y")) status = fail_no_array(r, &archive, option(r, "y"), error);
    if (!status) status = read_member(&archive, at_x, &x, error);
    if (!status && at_y >= 0) status = read_member(&archive, at_y, &y, error);
    glia_archive_free(&archive);
    if (status) {
        glia_values_free(&x);
        return NULL;
    }
    glia_dataset *data = join_values(r, x, y, error);
    if (data) data->is_split = is_split;
    return data;
}

/* ---- rows, records, texts ----------------------------------------------------------------- */

static glia_dataset *open_libsvm(const request *r, glia_error *error) {
    int64_t features = 0, first = -1, target = 0;
    if (integer_option(r, "features", 1, 1 << 30, &features, error) ||
        integer_option(r, "first", 0, 1, &first, error) || integer_option(r, "target", 0, 1, &target, error)) {
        return NULL;
    }
    glia_file file;
    glia_sparse rows;
    glia_libsvm_opts opts = { .features = (int)features, .first = (int)first, .target = target };
    if (glia_file_open(&file, r->rest, error)) return NULL;
    glia_status status =
        glia_fail_at_path(error, r->rest, glia_libsvm_parse(file.bytes, file.length, opts, &rows, error));
    glia_file_close(&file);
    return status ? NULL : glia_data_take_sparse(rows, r->address, error);
}

/* Reads the option as an element type; endian= sets its byte order. */
static glia_status element_option(const request *r, const char *key, glia_element *element, glia_error *error) {
    const char *text = option(r, key), *endian = option(r, "endian");
    if (text && !glia_element_named(text, element)) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "%s: %s=%s must be u8, i8, u16, i16, ..., i64, f16, f32, f64 or bool", r->address, key,
                         text);
    }
    if (endian && strcmp(endian, "big") && strcmp(endian, "little")) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: endian=%s must be big or little", r->address, endian);
    }
    element->big = endian && !strcmp(endian, "big");
    return GLIA_OK;
}

/* shape= is sizes separated by x. */
static glia_status shape_option(const request *r, glia_shape *shape, glia_error *error) {
    const char *text = option(r, "shape");
    if (!text) return glia_fail(error, GLIA_E_ARGUMENT, "%s: shape= is missing, as in shape=3x32x32", r->address);
    for (const char *p = text;; p++) {
        const char *end = p + strcspn(p, "x");
        double size;
        bool good = glia_number_parse(p, end, &size) && size >= 1 && size <= INT32_MAX && size == floor(size);
        if (!good || shape->rank == GLIA_MAX_RANK) {
            return glia_fail(error, GLIA_E_ARGUMENT, "%s: shape=%s must be sizes, as 3x32x32", r->address, text);
        }
        shape->dim[shape->rank++] = (int64_t)size;
        if (!*end) return GLIA_OK;
        p = end;
    }
}

static glia_dataset *open_raw(const request *r, glia_error *error) {
    const char *paths[2];
    int n = split_paths(r->rest, paths, 2);
    glia_record_opts opts = { .element = { .kind = 'u', .size = 1 } };
    if (n > 2) {
        glia_fail(error, GLIA_E_ARGUMENT, "%s: more than two files; use raw:SAMPLES,LABELS", r->address);
        return NULL;
    }
    if (n == 2) opts.label = (glia_element){ .kind = 'u', .size = 1 };
    if (element_option(r, "dtype", &opts.element, error) || shape_option(r, &opts.shape, error) ||
        integer_option(r, "header", 0, (int64_t)1 << 53, &opts.header, error) ||
        element_option(r, "label", &opts.label, error)) {
        return NULL;
    }
    return glia_data_open_records(paths, n, opts, r->address, error);
}

static glia_status text_options(const request *r, glia_text_opts *opts, glia_error *error) {
    const char *label = option(r, "label");
    *opts = (glia_text_opts){
        .separator = '\t', .whole = option(r, "test") != NULL, .tokenizer = { option(r, "tokenizer"), r->tokenizer }
    };
    if (label && strcmp(label, "first") && strcmp(label, "last")) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: label=%s must be first or last", r->address, label);
    }
    opts->label = !label ? 0 : !strcmp(label, "first") ? -1 : 1;
    glia_status status = separator_option(r, &opts->separator, error);
    if (!status) status = integer_option(r, "length", 1, 1 << 20, &opts->length, error);
    if (!status) status = integer_option(r, "step", 1, (int64_t)1 << 53, &opts->step, error);
    return status;
}

static glia_dataset *open_lines(const request *r, glia_error *error) {
    glia_text_opts opts;
    return text_options(r, &opts, error) ? NULL : glia_data_open_lines(r->rest, opts, r->address, error);
}

static glia_dataset *open_text(const request *r, glia_error *error) {
    glia_text_opts opts;
    return text_options(r, &opts, error) ? NULL : glia_data_open_text(r->rest, opts, r->address, error);
}

static glia_dataset *open_texts(const request *r, glia_error *error) {
    glia_text_opts opts;
    return text_options(r, &opts, error) ? NULL : glia_data_open_texts(r->rest, r->split, opts, r->address, error);
}

/* Reads the options of token data. test= is the fraction at the end of the text that is the test split. */
static glia_status token_options(const request *r, glia_token_opts *opts, glia_error *error) {
    const char *test = option(r, "test");
    *opts =
        (glia_token_opts){ .tokenizer = { option(r, "tokenizer"), r->tokenizer }, .test = 0.1, .split_test = r->test };
    if (test && (!glia_number_parse(test, test + strlen(test), &opts->test) || opts->test < 0 || opts->test >= 1)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: test=%s must be a fraction in [0, 1)", r->address, test);
    }
    glia_status status = integer_option(r, "length", 1, 1 << 20, &opts->length, error);
    return status ? status : integer_option(r, "step", 1, (int64_t)1 << 53, &opts->step, error);
}

static glia_dataset *open_chars(const request *r, glia_error *error) {
    glia_token_opts opts;
    return token_options(r, &opts, error) ? NULL : glia_data_open_tokens(r->rest, opts, r->address, error);
}

static glia_dataset *open_tokens(const request *r, glia_error *error) {
    glia_token_opts opts;
    if (token_options(r, &opts, error)) return NULL;
    if (opts.tokenizer.path || opts.tokenizer.text) return glia_data_open_tokens(r->rest, opts, r->address, error);
    glia_fail(error, GLIA_E_ARGUMENT, "%s: tokenizer= is missing, as in tokenizer=T.json", r->address);
    return NULL;
}

/* ---- addresses ---------------------------------------------------------------------------- */

/* The options of each scheme, besides test= and seed=, which every scheme has. */
static const char *const options_idx[] = { NULL };
static const char *const options_cifar[] = { NULL };
static const char *const options_csv[] = { "label", "target", "header", "sep", "drop", "sparse", NULL };
static const char *const options_images[] = { "size", "channels", NULL };
static const char *const options_npy[] = { "layout", "target", NULL };
static const char *const options_npz[] = { "x", "y", "layout", "target", NULL };
static const char *const options_libsvm[] = { "features", "first", "target", NULL };
static const char *const options_masks[] = { "x", "y", "test_x", "test_y", "tile", "turns", "last", "ignore", NULL };
static const char *const options_boxes[] = { "size", NULL };
static const char *const options_audio[] = { "steps", "bands", "speaker", "first", NULL };
static const char *const options_raw[] = { "dtype", "shape", "header", "label", "endian", NULL };
static const char *const options_lines[] = { "length", "label", "sep", NULL };
static const char *const options_text[] = { "length", "step", NULL };
static const char *const options_texts[] = { "length", "tokenizer", NULL };
static const char *const options_chars[] = { "length", "step", NULL };
static const char *const options_tokens[] = { "length", "step", "tokenizer", NULL };

static const struct {
    const char *scheme, *syntax;
    glia_dataset *(*open)(const request *, glia_error *);
    const char *const *options;
    const char *what;
} schemes[] = {
#define GLIA_FORMAT_ROW(scheme, syntax, what) { #scheme, syntax, open_##scheme, options_##scheme, what },
#include "data/formats/formats.def"
#undef GLIA_FORMAT_ROW
};

int glia_data_formats(glia_data_format *out, int capacity) {
    if (!out) capacity = 0;
    for (int i = 0; i < GLIA_COUNT(schemes) && i < capacity; i++) {
        out[i] = (glia_data_format){ schemes[i].syntax, schemes[i].what };
    }
    return GLIA_COUNT(schemes);
}

/* The requested split of `data` if the address has test=FRACTION, else data. Takes ownership of data. */
static glia_dataset *split_data(const request *r, glia_dataset *data, glia_error *error) {
    const char *text = option(r, "test");
    if (!data || !text || glia_data_is_tokens(data)) return data; /* token data is already split */
    double fraction = -1;
    int64_t seed = 0;
    glia_status status = GLIA_OK;
    if (!glia_number_parse(text, text + strlen(text), &fraction) || !(fraction >= 0 && fraction < 1)) {
        status =
            glia_fail(error, GLIA_E_ARGUMENT, "%s: test=%s must be a fraction in [0, 1)", r->address, text);
    }
    if (!status && fraction == 0) return data;
    if (!status) status = integer_option(r, "seed", 0, (int64_t)1 << 53, &seed, error);
    int64_t n_test = status ? 0 : (int64_t)llround(fraction * (double)data->n);
    n_test = GLIA_MIN(GLIA_MAX(n_test, 1), data->n - 1);
    if (!status && n_test < 1) status = glia_fail(error, GLIA_E_ARGUMENT, "%s: one sample cannot be split", r->address);
    int64_t *order = status ? NULL : malloc((size_t)data->n * sizeof *order);
    if (!order) {
        if (!status) glia_fail_nomem(error);
        glia_data_free(data);
        return NULL;
    }
    glia_data_shuffle(order, data->n, (uint64_t)seed, UINT64_MAX);
    int64_t n = r->test ? n_test : data->n - n_test;
    if (r->test) memmove(order, order + data->n - n_test, (size_t)n_test * sizeof *order);
    glia_dataset *view = glia_data_view(data, order, 0, n, true, error);
    if (view) view->is_split = true;
    return view;
}

static glia_dataset *open_scheme(request *r, glia_error *error) {
    const char *known[OPTIONS_MOST] = { "test", "seed" };
    for (int i = 0; i < GLIA_COUNT(schemes); i++) {
        size_t n = strlen(schemes[i].scheme);
        if (strncmp(r->address, schemes[i].scheme, n) || r->address[n] != ':') continue;
        int options = 2;
        for (int k = 0; schemes[i].options[k]; k++) known[options++] = schemes[i].options[k];
        if (check_options(r, known, options, error)) return NULL;
        if (!*r->rest) {
            glia_fail(error, GLIA_E_ARGUMENT, "%s: the file is missing; use %s", r->address, schemes[i].syntax);
            return NULL;
        }
        return split_data(r, schemes[i].open(r, error), error);
    }
    glia_text list = { 0 };
    for (int i = 0; i < GLIA_COUNT(schemes); i++) glia_text_printf(&list, "%s%s", i ? ", " : "", schemes[i].syntax);
    glia_fail(error, GLIA_E_NOT_FOUND, "%s: the scheme is unknown; there are %s", r->address,
              list.bytes ? list.bytes : "");
    free(list.bytes);
    return NULL;
}

/* Data that are drawn have options: n, the number of samples, and seed; ring and grid also modes, of the grid a square
 * number. The test split has other drawings of the same seed. */
static glia_dataset *open_drawn(const request *r, const glia_data_info *info, glia_error *error) {
    static const char *const known[] = { "n", "seed", "modes" };
    const bool points = info->x_shape.rank == 1, grid = info->classes != 8;
    const int64_t first = r->test ? (int64_t)1 << 40 : 0;
    int64_t n = info->train, seed = 0, modes = info->classes;
    if (check_options(r, known, points ? 3 : 2, error)) return NULL;
    if (integer_option(r, "n", 1, (int64_t)1 << 31, &n, error)) return NULL;
    if (integer_option(r, "seed", 0, (int64_t)1 << 53, &seed, error)) return NULL;
    if (integer_option(r, "modes", 1, 10000, &modes, error)) return NULL;
    if (r->test) n = GLIA_MAX(n / 5, 1);
    const int64_t side = (int64_t)llround(sqrt((double)modes));
    if (points && grid && side * side != modes) {
        glia_fail(error, GLIA_E_ARGUMENT, "%s: modes=%lld is not a square number", r->address, (long long)modes);
        return NULL;
    }
    if (points) return glia_gaussians_create(grid, modes, first, n, (uint64_t)seed, r->address, error);
    if (!strcmp(info->name, "scenes")) return glia_scenes_create(r->test, n, (uint64_t)seed, r->address, error);
    return glia_strokes_create(first, n, (uint64_t)seed, r->address, error);
}

/* A named text: windows of its characters or tokens. */
static glia_dataset *open_named_text(const request *r, const char *name, glia_error *error) {
    static const char *const known[] = { "length", "step", "tokenizer", "test" };
    glia_token_opts opts;
    if (check_options(r, known, GLIA_COUNT(known), error) || token_options(r, &opts, error)) return NULL;
    return glia_data_open_named_text(name, opts, r->address, r->folder, error);
}

/* The options of named pictures: classes=0-4, per_class=10 of the training split, seed=, size=20, pad=4. */
static glia_status subset_options(const request *r, glia_subset_opts *part, glia_error *error) {
    static const char *const known[] = { "classes", "per_class", "seed", "size", "pad" };
    glia_status status = check_options(r, known, GLIA_COUNT(known), error);
    if (!status) status = integer_option(r, "per_class", 1, (int64_t)1 << 31, &part->per_class, error);
    if (!status) status = integer_option(r, "seed", 0, (int64_t)1 << 53, &part->seed, error);
    if (!status) status = integer_option(r, "size", 1, 4096, &part->size, error);
    if (!status) status = integer_option(r, "pad", 0, 4096, &part->pad, error);
    part->classes = option(r, "classes");
    if (r->test) part->per_class = 0;
    return status;
}

static glia_dataset *open_name(const request *r, const char *name, glia_error *error) {
    glia_data_info infos[NAMES_MOST];
    const char *names[NAMES_MOST];
    int n = GLIA_MIN(glia_data_list(infos, NAMES_MOST), NAMES_MOST);
    for (int i = 0; i < n; i++) {
        names[i] = infos[i].name;
        if (strcmp(name, names[i])) continue;
        const bool text = infos[i].x_shape.rank == 1 && infos[i].source;
        if (text) return open_named_text(r, name, error);
        glia_subset_opts part = { 0 };
        if (infos[i].source && subset_options(r, &part, error)) return NULL;
        glia_dataset *data = infos[i].source ? glia_data_open_named(name, r->test, r->folder, error)
                                             : open_drawn(r, &infos[i], error);
        const bool whole = !part.classes && !part.per_class && !part.size && !part.pad;
        if (data && !whole) data = glia_data_subset(data, part, error);
        if (data) data->is_split = true;
        return data;
    }
    const char *near = glia_nearest(name, names, n);
    size_t length = strlen(name);
    bool table = strstr(name, ".csv") != NULL || (length > 4 && !strcmp(name + length - 4, ".tsv"));
    glia_text list = { 0 };
    for (int i = 0; i < n; i++) glia_text_printf(&list, "%s, ", names[i]);
    for (int i = 0; i < GLIA_COUNT(schemes); i++) glia_text_printf(&list, "%s%s:...", i ? ", " : "", schemes[i].scheme);
    glia_fail(error, GLIA_E_NOT_FOUND, "there is no data set \"%s\"%s%s%s; there are %s", name,
              table  ? "; did you mean \"csv:"
              : near ? "; did you mean \""
                     : "",
              table  ? name
              : near ? near
                     : "",
              table || near ? "\"?" : "", list.bytes ? list.bytes : "");
    free(list.bytes);
    return NULL;
}

/* The files of an address where they are; NULL: out of memory. A comma separates files, unless it is of a name. */
static char *find_files(const request *r) {
    char *whole = glia_data_find_file(r->rest, r->folder);
    if (!whole || !*r->rest || strcmp(whole, r->rest) != 0 || !strchr(r->rest, ',')) return whole;
    free(whole);
    glia_text found = { 0 };
    for (char *at = r->rest; *at; at += *at == ',') {
        const size_t n = strcspn(at, ",");
        const char after = at[n];
        at[n] = 0;
        char *path = glia_data_find_file(at, r->folder);
        at[n] = after;
        found.failed |= !path;
        glia_text_printf(&found, "%s%s", path ? path : "", after ? "," : "");
        free(path);
        at += n;
    }
    if (!found.failed) return found.bytes;
    free(found.bytes);
    return NULL;
}

static glia_dataset *open_files(request *r, glia_error *error) {
    char *found = find_files(r);
    if (!found) return glia_fail_nomem(error), NULL;
    r->rest = found;
    glia_dataset *data = open_scheme(r, error);
    free(found);
    return data;
}

static glia_dataset *open_address(const char *address, glia_data_opts opts, glia_error *error) {
    const char *split = opts.split;
    request r = { .address = address,
                  .folder = opts.folder,
                  .tokenizer = opts.tokenizer,
                  .test = split && !strcmp(split, "test") };
    r.split = r.test ? TREE_TEST : TREE_TRAIN;
    if (split && !r.test && strcmp(split, "train"))
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: there is no split \"%s\"; there are \"train\" and \"test\"",
                         address, split), NULL;
    char *copy = strdup(address);
    if (!copy) return glia_fail_nomem(error), NULL;
    char *options = strchr(copy, '?');
    if (options) *options++ = 0;
    char *colon = strchr(copy, ':');
    r.rest = colon ? colon + 1 : copy;
    glia_dataset *data = NULL;
    if (!options || !split_options(&r, options, error)) {
        data = colon ? open_files(&r, error) : open_name(&r, copy, error);
    }
    free(copy);
    return data;
}

glia_dataset *glia_data_open(const char *address, const char *split, const char *folder, glia_error *error) {
    return glia_data_open_opts(address, (glia_data_opts){ .split = split, .folder = folder }, error);
}

glia_dataset *glia_data_open_opts(const char *address, glia_data_opts opts, glia_error *error) {
    if (!address) return glia_fail_null(error, "address"), NULL;
    char *expanded = glia_data_expand(address);
    if (!expanded) return glia_fail_nomem(error), NULL;
    glia_dataset *data = open_address(expanded, opts, error);
    free(expanded);
    return data;
}
