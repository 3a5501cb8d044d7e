/* sparse.c - sparse rows: only non-zero values are stored; reading a sample makes it dense. */
#include <stdlib.h>
#include <string.h>

#include "data/sources/sources.h"

typedef struct sparse_set {
    glia_dataset base;
    glia_sparse rows;
} sparse_set;

static glia_status sparse_read(const glia_dataset *data, int64_t index, float *x, void *y, bool raw,
                               glia_error *error) {
    const glia_sparse *rows = &((const sparse_set *)data)->rows;
    (void)error;
    if (y) memcpy(y, (const uint8_t *)rows->y + (size_t)index * data->y_bytes, data->y_bytes);
    if (!x) return GLIA_OK;
    memset(x, 0, data->x_count * sizeof *x);
    for (int64_t k = rows->starts[index]; k < rows->starts[index + 1]; k++) x[rows->columns[k]] = rows->values[k];
    if (!raw) glia_data_apply_normal(data, x);
    return GLIA_OK;
}

static void sparse_close(glia_dataset *data) { glia_sparse_free(&((sparse_set *)data)->rows); }

static const glia_data_kind sparse_kind = { .read = sparse_read, .close = sparse_close };

glia_dataset *glia_data_take_sparse(glia_sparse rows, const char *name, glia_error *error) {
    sparse_set *set = calloc(1, sizeof *set);
    if (!set) {
        glia_sparse_free(&rows);
        return glia_fail_nomem(error), NULL;
    }
    set->rows = rows;
    set->base = (glia_dataset){
        .kind = &sparse_kind, .n = rows.n, .x_shape = GLIA_SHAPE(rows.features), .y_dtype = rows.y_dtype
    };
    set->base.name = (char *)(uintptr_t)name; /* glia_data_init() copies it */
    glia_status status = glia_data_init(&set->base, error);
    if (!status && rows.classes) {
        set->base.classes = rows.classes;
        status = glia_data_name_classes(&set->base, (const char *const *)rows.class_names, error);
    }
    set->base.numbered = false; /* integers in the file are class names */
    if (!status) status = glia_data_name_columns(&set->base, (const char *const *)rows.column_names, error);
    if (!status) return &set->base;
    glia_data_free(&set->base);
    return NULL;
}
