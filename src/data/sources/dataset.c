/* dataset.c - data sets: arrays in memory, views of other data sets, normalisation, statistics.
 *
 * u8 arrays are stored as bytes. Reading a sample maps each byte through a table of 256 floats that combines scaling
 * to [0, 1] and normalisation, one table per channel, so a normalised image costs no more than a plain one.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/sources/data.h"

/* ---- common to all kinds ------------------------------------------------------------------ */

glia_status glia_data_init(glia_dataset *data, glia_error *error) {
    if (data->n < 1) return glia_fail(error, GLIA_E_ARGUMENT, "a data set needs at least one sample");
    size_t x_bytes = glia_shape_bytes(data->x_shape, GLIA_F32);
    data->y_bytes = glia_shape_bytes(data->y_shape, data->y_dtype);
    if (!x_bytes || !data->y_bytes) {
        char text[GLIA_SHAPE_TEXT];
        return glia_fail(error, GLIA_E_SHAPE, "samples of shape %s are not possible",
                         glia_shape_format(x_bytes ? data->y_shape : data->x_shape, text));
    }
    data->x_count = x_bytes / sizeof(float);
    bool split = data->x_shape.rank == 1 || data->x_shape.rank == 3;
    data->channels = split && data->x_shape.dim[0] <= INT32_MAX ? (int)data->x_shape.dim[0] : 1;
    data->name = glia_arena_strdup(&data->arena, data->name ? data->name : "arrays");
    return data->name ? GLIA_OK : glia_fail_nomem(error);
}

glia_status glia_data_name_classes(glia_dataset *data, const char *const *names, glia_error *error) {
    char **copies = glia_arena_alloc(&data->arena, (size_t)data->classes * sizeof *copies);
    if (!copies) return glia_fail_nomem(error);
    for (int i = 0; i < data->classes; i++) {
        copies[i] = names ? glia_arena_strdup(&data->arena, names[i]) : glia_arena_printf(&data->arena, "%d", i);
        if (!copies[i]) return glia_fail_nomem(error);
    }
    data->class_names = copies;
    data->numbered = !names;
    return GLIA_OK;
}

glia_status glia_data_name_columns(glia_dataset *data, const char *const *names, glia_error *error) {
    if (!names || data->x_shape.rank != 1) return GLIA_OK;
    const size_t n = (size_t)data->x_shape.dim[0];
    char **copies = glia_arena_alloc(&data->arena, n * sizeof *copies);
    if (!copies) return glia_fail_nomem(error);
    for (size_t i = 0; i < n; i++) {
        copies[i] = glia_arena_strdup(&data->arena, names[i] ? names[i] : "");
        if (!copies[i]) return glia_fail_nomem(error);
    }
    data->column_names = copies;
    return GLIA_OK;
}

void glia_data_apply_normal(const glia_dataset *data, float *x) {
    if (!data->normal_n) return;
    size_t plane = data->x_count / (size_t)data->normal_n;
    for (int c = 0; c < data->normal_n; c++, x += plane) {
        float mean = data->mean[c], scale = data->scale[c];
        for (size_t i = 0; i < plane; i++) x[i] = (x[i] - mean) * scale;
    }
}

void glia_data_free(glia_dataset *data) {
    if (!data) return;
    data->kind->close(data);
    free(data->mean);
    free(data->scale);
    glia_arena_free(&data->arena);
    free(data);
}

glia_status glia_data_keep_tokenizer(glia_dataset *data, const glia_tokenizer *tokenizer, glia_error *error) {
    data->tokenizer = glia_arena_strdup(&data->arena, glia_tokenizer_json(tokenizer, NULL));
    return data->tokenizer ? GLIA_OK : glia_fail_nomem(error);
}

const char *glia_data_column_name(const glia_dataset *data, int64_t column) {
    const bool there = data && data->column_names && column >= 0 && column < data->x_shape.dim[0];
    return there ? data->column_names[column] : NULL;
}

bool glia_data_is_split(const glia_dataset *data) { return data && data->is_split; }
const char *glia_data_tokenizer(const glia_dataset *data) { return data ? data->tokenizer : NULL; }

int64_t glia_data_count(const glia_dataset *data) { return data ? data->n : 0; }
glia_shape glia_data_x_shape(const glia_dataset *data) { return data ? data->x_shape : GLIA_SCALAR; }
glia_shape glia_data_y_shape(const glia_dataset *data) { return data ? data->y_shape : GLIA_SCALAR; }
glia_dtype glia_data_y_dtype(const glia_dataset *data) { return data ? data->y_dtype : GLIA_F32; }
int glia_data_classes(const glia_dataset *data) { return data ? data->classes : 0; }
const char *glia_data_name(const glia_dataset *data) { return data ? data->name : NULL; }

const char *glia_data_class_name(const glia_dataset *data, int label) {
    if (!data) return NULL;
    return label >= 0 && label < data->classes && data->class_names ? data->class_names[label] : NULL;
}

glia_status glia_data_get(const glia_dataset *data, int64_t index, float *x, void *y, glia_error *error) {
    if (!data) return glia_fail_null(error, "data");
    if (index < 0 || index >= data->n) {
        return glia_fail(error, GLIA_E_ARGUMENT, "sample %lld is outside \"%s\", which has %lld", (long long)index,
                         data->name, (long long)data->n);
    }
    return data->kind->read(data, index, x, y, false, error);
}

glia_status glia_data_read(const glia_dataset *data, int64_t first, int64_t n, float *x, void *y, glia_error *error) {
    if (!data) return glia_fail_null(error, "data");
    if (first < 0 || n < 0 || n > data->n || first > data->n - n) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%lld samples from %lld are not within \"%s\", which has %lld",
                         (long long)n, (long long)first, data->name, (long long)data->n);
    }
    glia_status status = GLIA_OK;
    for (int64_t i = 0; i < n && status == GLIA_OK; i++) {
        float *to = x ? x + (size_t)i * data->x_count : NULL;
        status = data->kind->read(data, first + i, to, y ? (char *)y + (size_t)i * data->y_bytes : NULL, false, error);
    }
    return status;
}

bool glia_data_has_ids(const glia_dataset *data) {
    return data && !data->normal_n && data->kind->has_ids && data->kind->has_ids(data);
}

glia_status glia_data_check_id(const glia_dataset *data, int64_t index, int64_t value, glia_error *error) {
    if (value >= INT32_MIN && value <= INT32_MAX) return GLIA_OK;
    return glia_fail(error, GLIA_E_UNSUPPORTED, "sample %lld of \"%s\" has %lld, which is no i32", (long long)index,
                     data->name, (long long)value);
}

glia_status glia_data_get_ids(const glia_dataset *data, int64_t index, int32_t *x, void *y, glia_error *error) {
    glia_status status = glia_data_get(data, index, NULL, y, error);
    if (status != GLIA_OK || !x) return status;
    if (glia_data_has_ids(data)) return data->kind->read_ids(data, index, x, error);
    return glia_fail(error, GLIA_E_UNSUPPORTED, "the samples of \"%s\" are not stored as integers, or are normalised",
                     data->name);
}

/* ---- arrays ------------------------------------------------------------------------------- */

enum { CLASSES_MOST = 1 << 20 }; /* larger labels are probably values, not labels */

typedef struct array_set {
    glia_dataset base;
    const uint8_t *x, *y; /* y NULL: zeros */
    glia_dtype x_dtype;
    size_t x_bytes;   /* of a sample */
    float *table;     /* (max(1, normal_n), 256): the value of each byte; NULL unless x is u8 */
    float plain[256]; /* the values without normalisation */
    void *owned_x, *owned_y;
} array_set;

static void convert(glia_dtype from, const void *src, float *dst, size_t n) {
    if (from == GLIA_F32) {
        memcpy(dst, src, n * sizeof *dst);
        return;
    }
    double block[256];
    for (size_t i = 0; i < n; i += 256) {
        size_t m = GLIA_MIN(n - i, (size_t)256);
        glia_to_double(from, (const uint8_t *)src + i * glia_dtype_size(from), block, (int64_t)m);
        for (size_t k = 0; k < m; k++) dst[i + k] = (float)block[k];
    }
}

static glia_status arrays_read(const glia_dataset *data, int64_t index, float *x, void *y, bool raw,
                               glia_error *error) {
    const array_set *set = (const array_set *)data;
    (void)error;
    if (x && set->table) {
        const uint8_t *from = set->x + (size_t)index * set->x_bytes;
        int tables = raw ? 1 : GLIA_MAX(data->normal_n, 1);
        size_t plane = data->x_count / (size_t)tables;
        const float *table = raw ? set->plain : set->table;
        for (int c = 0; c < tables; c++, table += 256) {
            for (size_t i = 0; i < plane; i++) *x++ = table[*from++];
        }
    } else if (x) {
        convert(set->x_dtype, set->x + (size_t)index * set->x_bytes, x, data->x_count);
        if (!raw) glia_data_apply_normal(data, x);
    }
    if (y && set->y) memcpy(y, set->y + (size_t)index * data->y_bytes, data->y_bytes);
    if (y && !set->y) memset(y, 0, data->y_bytes);
    return GLIA_OK;
}

static void arrays_close(glia_dataset *data) {
    array_set *set = (array_set *)data;
    free(set->table);
    free(set->owned_x);
    free(set->owned_y);
}

static bool arrays_have_ids(const glia_dataset *data) {
    return !glia_dtype_is_float(((const array_set *)data)->x_dtype);
}

static glia_status arrays_read_ids(const glia_dataset *data, int64_t index, int32_t *ids, glia_error *error) {
    const array_set *set = (const array_set *)data;
    const uint8_t *from = set->x + (size_t)index * set->x_bytes;
    glia_status status = GLIA_OK;
    if (set->x_dtype == GLIA_I32) {
        memcpy(ids, from, data->x_count * sizeof *ids);
    } else if (set->x_dtype == GLIA_I64) {
        for (size_t i = 0; i < data->x_count && !status; i++) {
            int64_t value;
            memcpy(&value, from + i * sizeof value, sizeof value);
            ids[i] = (int32_t)value;
            status = glia_data_check_id(data, index, value, error);
        }
    } else {
        for (size_t i = 0; i < data->x_count; i++) ids[i] = from[i];
    }
    return status;
}

static const glia_data_kind arrays_kind = { arrays_read, arrays_close, arrays_have_ids, arrays_read_ids };

/* Sets the number of classes from i32 targets and checks each label. If a sample has several labels, negative ones
 * mean "none". */
static glia_status count_classes(array_set *set, int classes, glia_error *error) {
    if (set->base.y_dtype != GLIA_I32 || !set->y) {
        return classes ? glia_fail(error, GLIA_E_ARGUMENT, "a number of classes needs i32 labels") : GLIA_OK;
    }
    size_t n = (size_t)set->base.n * set->base.y_bytes / sizeof(int32_t);
    int32_t largest = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t label;
        memcpy(&label, set->y + i * sizeof label, sizeof label);
        if ((label < 0 && set->base.y_shape.rank == 0) || label >= (classes ? classes : CLASSES_MOST)) {
            return glia_fail(error, GLIA_E_ARGUMENT, "label %d (number %zu) is outside [0, %d)", (int)label, i,
                             classes ? classes : CLASSES_MOST);
        }
        largest = GLIA_MAX(largest, label);
    }
    set->base.classes = classes ? classes : largest + 1;
    return GLIA_OK;
}

static glia_status copy_array(const uint8_t **array, void **owned, int64_t n, size_t bytes, glia_error *error) {
    size_t total;
    if (!glia_mul_fits((size_t)n, bytes, &total)) {
        return glia_fail(error, GLIA_E_SHAPE, "the array is too large");
    }
    *owned = malloc(total);
    if (!*owned) return glia_fail_nomem(error);
    memcpy(*owned, *array, total);
    *array = *owned;
    return GLIA_OK;
}

static glia_status fill_arrays(array_set *set, const glia_arrays *a, const char *const *class_names,
                               glia_error *error) {
    glia_status status = glia_data_init(&set->base, error);
    if (status) return status;
    if (!a->x || a->classes < 0) {
        return glia_fail(error, GLIA_E_ARGUMENT, a->x ? "the number of classes is negative" : "a data set needs x");
    }
    set->x_bytes = glia_shape_bytes(a->x_shape, a->x_dtype);
    if (!set->x_bytes || !glia_mul_fits((size_t)a->n, GLIA_MAX(set->x_bytes, set->base.y_bytes), &(size_t){ 0 })) {
        return glia_fail(error, GLIA_E_SHAPE, "the array is too large");
    }
    if (!a->borrow) {
        status = copy_array(&set->x, &set->owned_x, a->n, set->x_bytes, error);
        if (!status && a->y) status = copy_array(&set->y, &set->owned_y, a->n, set->base.y_bytes, error);
    }
    if (!status) status = count_classes(set, a->classes, error);
    if (!status && set->base.classes) status = glia_data_name_classes(&set->base, class_names, error);
    if (status || a->x_dtype != GLIA_U8) return status;
    for (int v = 0; v < 256; v++) set->plain[v] = (float)(v / 255.0);
    set->table = malloc(sizeof set->plain);
    if (!set->table) return glia_fail_nomem(error);
    memcpy(set->table, set->plain, sizeof set->plain);
    return GLIA_OK;
}

static glia_dataset *create_arrays(const glia_arrays *a, const char *name, const char *const *class_names,
                                   glia_error *error) {
    array_set *set = calloc(1, sizeof *set);
    if (!set) return glia_fail_nomem(error), NULL;
    set->base = (glia_dataset){
        .kind = &arrays_kind, .n = a->n, .x_shape = a->x_shape, .y_shape = a->y_shape, .y_dtype = a->y_dtype
    };
    set->base.name = (char *)(uintptr_t)name; /* glia_data_init copies it */
    set->x = a->x;
    set->y = a->y;
    set->x_dtype = a->x_dtype;
    if (fill_arrays(set, a, class_names, error)) {
        glia_data_free(&set->base);
        return NULL;
    }
    return &set->base;
}

glia_dataset *glia_data_arrays(glia_arrays arrays, glia_error *error) {
    return create_arrays(&arrays, NULL, NULL, error);
}

glia_dataset *glia_data_take(glia_arrays arrays, const char *name, const char *const *class_names, glia_error *error) {
    arrays.borrow = true;
    glia_dataset *data = create_arrays(&arrays, name, class_names, error);
    void *x = (void *)(uintptr_t)arrays.x,
         *y = (void *)(uintptr_t)arrays.y; /* malloc()ed by the caller, freed here */
    if (!data) {
        free(x);
        free(y);
        return NULL;
    }
    ((array_set *)data)->owned_x = x;
    ((array_set *)data)->owned_y = y;
    return data;
}

/* ---- views -------------------------------------------------------------------------------- */

typedef struct view_set {
    glia_dataset base;
    glia_dataset *of;
    int64_t *indices; /* NULL: begin + i */
    int64_t begin;
    bool own;
} view_set;

static glia_status view_read(const glia_dataset *data, int64_t index, float *x, void *y, bool raw, glia_error *error) {
    const view_set *view = (const view_set *)data;
    int64_t from = view->indices ? view->indices[index] : view->begin + index;
    glia_status status = view->of->kind->read(view->of, from, x, y, false, error);
    if (!status && x && !raw) glia_data_apply_normal(data, x);
    return status;
}

static void view_close(glia_dataset *data) {
    view_set *view = (view_set *)data;
    free(view->indices);
    if (view->own) glia_data_free(view->of);
}

static bool view_has_ids(const glia_dataset *data) { return glia_data_has_ids(((const view_set *)data)->of); }

static glia_status view_read_ids(const glia_dataset *data, int64_t index, int32_t *ids, glia_error *error) {
    const view_set *view = (const view_set *)data;
    return view->of->kind->read_ids(view->of, view->indices ? view->indices[index] : view->begin + index, ids, error);
}

static const glia_data_kind view_kind = { view_read, view_close, view_has_ids, view_read_ids };

glia_status glia_data_read_raw(const glia_dataset *data, int64_t index, float *x, void *y, glia_error *error) {
    while (data->kind == &view_kind) {
        const view_set *view = (const view_set *)data;
        index = view->indices ? view->indices[index] : view->begin + index;
        data = view->of;
    }
    return data->kind->read(data, index, x, y, true, error);
}

void glia_data_apply_normals(const glia_dataset *data, float *x) {
    if (data->kind == &view_kind) glia_data_apply_normals(((const view_set *)data)->of, x);
    glia_data_apply_normal(data, x);
}

glia_dataset *glia_data_view(glia_dataset *data, int64_t *indices, int64_t begin, int64_t n, bool own,
                             glia_error *error) {
    view_set *view = calloc(1, sizeof *view);
    if (!view) {
        glia_fail_nomem(error);
        free(indices);
        if (own) glia_data_free(data);
        return NULL;
    }
    *view = (view_set){ .of = data, .indices = indices, .begin = begin, .own = own };
    view->base = (glia_dataset){ .kind = &view_kind,
                                 .name = data->name,
                                 .n = n,
                                 .x_shape = data->x_shape,
                                 .y_shape = data->y_shape,
                                 .y_dtype = data->y_dtype,
                                 .targets = data->targets,
                                 .classes = data->classes,
                                 .class_names = data->class_names,
                                 .column_names = data->column_names,
                                 .is_split = data->is_split,
                                 .numbered = data->numbered,
                                 .tokenizer = data->tokenizer };
    if (glia_data_init(&view->base, error)) {
        glia_data_free(&view->base);
        return NULL;
    }
    return &view->base;
}

glia_dataset *glia_data_range(glia_dataset *data, int64_t begin, int64_t end, glia_error *error) {
    if (!data) return glia_fail_null(error, "data"), NULL;
    if (begin < 0 || begin >= end || end > data->n) {
        glia_fail(error, GLIA_E_ARGUMENT, "samples [%lld, %lld) are outside \"%s\", which has %lld", (long long)begin,
                  (long long)end, data->name, (long long)data->n);
        return NULL;
    }
    return glia_data_view(data, NULL, begin, end - begin, false, error);
}

/* ---- normalisation and statistics --------------------------------------------------------- */

glia_status glia_data_normalize(glia_dataset *data, const double *mean, const double *stddev, int n,
                                glia_error *error) {
    if (!data) return glia_fail_null(error, "data");
    if (!mean) return glia_fail_null(error, "mean");
    if (!stddev) return glia_fail_null(error, "stddev");
    if (n != 1 && n != data->channels) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%d means for data of %d channels; give 1 or %d", n,
                         data->channels, data->channels);
    }
    for (int i = 0; i < n; i++) {
        if (isfinite(mean[i]) && isfinite(stddev[i]) && stddev[i] >= 0) continue;
        return glia_fail(
            error, GLIA_E_ARGUMENT,
            "channel %d has mean %g and standard deviation %g; both must be finite, the deviation positive", i, mean[i],
            stddev[i]);
    }
    array_set *bytes = data->kind == &arrays_kind && ((array_set *)data)->table ? (array_set *)data : NULL;
    float *means = malloc((size_t)n * sizeof *means), *scales = malloc((size_t)n * sizeof *scales);
    float *table = bytes ? malloc((size_t)n * 256 * sizeof *table) : NULL;
    if (!means || !scales || (bytes && !table)) {
        free(means);
        free(scales);
        free(table);
        return glia_fail_nomem(error);
    }
    for (int c = 0; c < n; c++) {
        double deviation = stddev[c] > 0 ? stddev[c] : 1;
        means[c] = (float)mean[c];
        scales[c] = (float)(1 / deviation);
        for (int v = 0; table && v < 256; v++) table[c * 256 + v] = (float)((v / 255.0 - mean[c]) / deviation);
    }
    free(data->mean);
    free(data->scale);
    data->mean = means;
    data->scale = scales;
    data->normal_n = n;
    if (bytes) {
        free(bytes->table);
        bytes->table = table;
    }
    return GLIA_OK;
}

/* Computed from histograms: exact integer sums, then one division. */
static void byte_statistics(const array_set *set, int n, double *mean, double *stddev) {
    size_t plane = set->base.x_count / (size_t)n;
    for (int c = 0; c < n; c++) {
        uint64_t counts[256] = { 0 };
        for (int64_t i = 0; i < set->base.n; i++) {
            const uint8_t *p = set->x + (size_t)i * set->x_bytes + (size_t)c * plane;
            for (size_t k = 0; k < plane; k++) counts[p[k]]++;
        }
        double total = (double)set->base.n * (double)plane, sum = 0, squares = 0;
        for (int v = 0; v < 256; v++) sum += (double)counts[v] * v;
        mean[c] = sum / total;
        for (int v = 0; v < 256; v++) squares += (double)counts[v] * (v - mean[c]) * (v - mean[c]);
        mean[c] /= 255;
        stddev[c] = sqrt(squares / total) / 255;
    }
}

/* Two passes over all samples, in order. */
static bool read_statistics(const glia_dataset *data, int n, double *mean, double *stddev) {
    float *x = malloc(data->x_count * sizeof *x);
    if (!x) return false;
    size_t plane = data->x_count / (size_t)n;
    double total = (double)data->n * (double)plane;
    bool done = true;
    for (int c = 0; c < n; c++) mean[c] = stddev[c] = 0;
    for (int64_t i = 0; i < data->n && done; i++) {
        done = !data->kind->read(data, i, x, NULL, true, NULL);
        for (size_t k = 0; k < data->x_count && done; k++) mean[k / plane] += x[k];
    }
    for (int c = 0; c < n; c++) mean[c] /= total;
    for (int64_t i = 0; i < data->n && done; i++) {
        done = !data->kind->read(data, i, x, NULL, true, NULL);
        for (size_t k = 0; k < data->x_count && done; k++) {
            stddev[k / plane] += (x[k] - mean[k / plane]) * (x[k] - mean[k / plane]);
        }
    }
    for (int c = 0; c < n; c++) stddev[c] = sqrt(stddev[c] / total);
    free(x);
    return done;
}

int glia_data_statistics(const glia_dataset *data, double *mean, double *stddev, int capacity) {
    if (!data || !mean || !stddev) return 0;
    if (capacity < 1) return 0;
    int n = capacity < data->channels ? 1 : data->channels;
    bool bytes = data->kind == &arrays_kind && ((const array_set *)data)->table;
    if (bytes) byte_statistics((const array_set *)data, n, mean, stddev);
    return bytes || read_statistics(data, n, mean, stddev) ? n : 0;
}
