/* records.c - binary files of fixed-size records, memory-mapped, so pages are loaded only when read.
 *
 *     header bytes | [label] values | [label] values | ...           one file
 *     header bytes | values | ...    and    label | label | ...      two files
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/sources/sources.h"

typedef struct record_set {
    glia_dataset base;
    glia_file files[2];
    glia_record_opts opts;
    const uint8_t *x, *y; /* of sample 0; y NULL: no labels */
    size_t x_stride, y_stride;
} record_set;

static glia_status records_read(const glia_dataset *data, int64_t index, float *x, void *y, bool raw,
                                glia_error *error) {
    const record_set *set = (const record_set *)data;
    const uint8_t *from = set->x + (size_t)index * set->x_stride;
    glia_element e = set->opts.element;
    bool bytes = e.kind == 'u' && e.size == 1;
    (void)error;
    for (size_t i = 0; x && i < data->x_count && bytes; i++) x[i] = (float)(from[i] / 255.0);
    for (size_t i = 0; x && i < data->x_count && !bytes; i++) x[i] = (float)glia_element_value(e, from + i * e.size);
    if (x && !raw) glia_data_apply_normal(data, x);
    if (y) memset(y, 0, data->y_bytes);
    if (!y || !set->y) return GLIA_OK;
    double label = glia_element_value(set->opts.label, set->y + (size_t)index * set->y_stride);
    if (data->y_dtype == GLIA_F32) {
        memcpy(y, &(float){ (float)label }, sizeof(float));
    } else {
        memcpy(y, &(int32_t){ (int32_t)label }, sizeof(int32_t)); /* range checked in glia_data_open_records() */
    }
    return GLIA_OK;
}

static void records_close(glia_dataset *data) {
    record_set *set = (record_set *)data;
    for (int i = 0; i < 2; i++) glia_file_close(&set->files[i]);
}

static bool records_have_ids(const glia_dataset *data) { return ((const record_set *)data)->opts.element.kind != 'f'; }

static glia_status records_read_ids(const glia_dataset *data, int64_t index, int32_t *ids, glia_error *error) {
    const record_set *set = (const record_set *)data;
    const uint8_t *from = set->x + (size_t)index * set->x_stride;
    const glia_element e = set->opts.element;
    for (size_t i = 0; i < data->x_count; i++) {
        const double value = glia_element_value(e, from + i * e.size); /* exact up to 2^53 */
        glia_status status = glia_data_check_id(data, index, (int64_t)fmin(value, 0x1p62), error);
        if (status != GLIA_OK) return status;
        ids[i] = (int32_t)value;
    }
    return GLIA_OK;
}

static const glia_data_kind records_kind = { records_read, records_close, records_have_ids, records_read_ids };

/* Splits the files into records; x_shape must be set. */
static glia_status lay_out(record_set *set, const char *const *paths, int n, glia_error *error) {
    const glia_record_opts *o = &set->opts;
    size_t sample = o->element.size, there = set->files[0].length;
    for (int i = 0; i < o->shape.rank; i++) {
        if (!glia_mul_fits(sample, (size_t)o->shape.dim[i], &sample) || sample > SIZE_MAX / 4) {
            return glia_fail(error, GLIA_E_SHAPE, "%s: the samples are too large", paths[0]);
        }
    }
    size_t inside = n == 1 ? o->label.size : 0, header = (size_t)o->header;
    set->x_stride = sample + inside;
    if (header > there || there - header < set->x_stride || (there - header) % set->x_stride) {
        return glia_fail(error, GLIA_E_FORMAT,
                         "%s: offset %zu: %zu bytes after the header of %zu are not a multiple of the record size %zu",
                         paths[0], GLIA_MIN(header, there), there - GLIA_MIN(header, there), header, set->x_stride);
    }
    set->base.n = (int64_t)((there - header) / set->x_stride);
    set->x = set->files[0].bytes + header + inside;
    if (inside) {
        set->y = set->files[0].bytes + header;
        set->y_stride = set->x_stride;
    }
    if (n == 1) return GLIA_OK;
    set->y = set->files[1].bytes;
    set->y_stride = o->label.size;
    if ((size_t)set->base.n == set->files[1].length / set->y_stride && set->files[1].length % set->y_stride == 0) {
        return GLIA_OK;
    }
    return glia_fail(error, GLIA_E_FORMAT, "%s has %lld samples, but %s has %zu bytes for labels of %zu bytes",
                     paths[0], (long long)set->base.n, paths[1], set->files[1].length, set->y_stride);
}

/* Sets the number of classes from the labels and checks each label. */
static glia_status count_classes(record_set *set, glia_error *error) {
    enum { MOST = 65535 };
    if (!set->y || set->opts.label.kind == 'f') return GLIA_OK;
    for (int64_t i = 0; i < set->base.n; i++) {
        double label = glia_element_value(set->opts.label, set->y + (size_t)i * set->y_stride);
        if (label < 0 || label > MOST) {
            return glia_fail(error, GLIA_E_FORMAT, "offset %zu: label %.0f of sample %lld is outside [0, %d]",
                             (size_t)i * set->y_stride, label, (long long)i, MOST);
        }
        set->base.classes = GLIA_MAX(set->base.classes, (int)label + 1);
    }
    return GLIA_OK;
}

glia_dataset *glia_data_open_records(const char *const *paths, int n, glia_record_opts opts, const char *name,
                                     glia_error *error) {
    record_set *set = calloc(1, sizeof *set);
    if (!set) return glia_fail_nomem(error), NULL;
    set->opts = opts;
    set->base = (glia_dataset){ .kind = &records_kind,
                                .x_shape = opts.shape,
                                .y_dtype = opts.label.size && opts.label.kind == 'f' ? GLIA_F32 : GLIA_I32 };
    set->base.name = (char *)(uintptr_t)name; /* glia_data_init() copies it */
    glia_status status = glia_file_open(&set->files[0], paths[0], error);
    if (!status && n == 2) status = glia_file_open(&set->files[1], paths[1], error);
    if (!status) status = lay_out(set, paths, n, error);
    if (!status) status = glia_data_init(&set->base, error);
    if (!status) status = glia_fail_at_path(error, paths[n - 1], count_classes(set, error));
    if (!status && set->base.classes) status = glia_data_name_classes(&set->base, NULL, error);
    if (!status) return &set->base;
    glia_data_free(&set->base);
    return NULL;
}
