/* store_file.c - stores in safetensors files, without a graph: the tensors by name and nothing else.
 *
 * Loading compares the names of the store with those of the file first. Strict loading wants them to be the same, as
 * load_state_dict() of PyTorch does; otherwise what is on one side only is left alone, and reported. Values are copied
 * once everything fits, so a file that does not fit changes nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/formats/formats.h"
#include "train/model/model.h"

static bool wanted(const char *pattern, const char *name) { return !pattern || glia_glob(pattern, name); }

glia_status glia_store_save(const glia_store *s, const char *path, const char *pattern, glia_error *error) {
    if (!s || !path || !path[0]) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_store_save: there is no %s", s ? "path" : "store");
    }
    glia_status status = glia_store_check_pattern(s, pattern, "glia_store_save", error);
    if (status != GLIA_OK) return status;
    const int count = glia_store_count(s);
    glia_array *arrays = malloc(((size_t)count + 1) * sizeof *arrays);
    if (!arrays) return glia_fail_nomem(error);
    int n = 0;
    for (int i = 0; i < count; i++) {
        const glia_array a = glia_store_entry(s, i);
        if (wanted(pattern, a.name)) arrays[n++] = a;
    }
    const glia_pair version = { "glia.version", glia_version() };
    status = glia_safetensors_write(path, arrays, n, &version, 1, error);
    free(arrays);
    return status;
}

/* ---- loading ------------------------------------------------------------------------------ */

/* Appends a name to a list that may be full, after `title` if it is the list's first of this kind. */
static void note(char *list, size_t capacity, const char *title, int before, const char *name) {
    const size_t at = strlen(list);
    if (before == 0) {
        snprintf(list + at, capacity - at, "%s%s: '%s'", at ? "; " : "", title, name);
    } else {
        snprintf(list + at, capacity - at, ", '%s'", name);
    }
}

/* Compares the two sides; a tensor in both with another dtype or shape is an error. */
static glia_status compare(const glia_store *s, const glia_safetensors *file, const char *pattern,
                           glia_load_report *report, glia_error *error) {
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    for (int i = 0; i < glia_store_count(s); i++) {
        const glia_array to = glia_store_entry(s, i);
        if (!wanted(pattern, to.name)) continue;
        const glia_safetensor *from = glia_safetensors_find(file, to.name);
        if (!from) {
            note(report->names, sizeof report->names, "missing in the file", report->missing++, to.name);
            continue;
        }
        report->loaded++;
        if (from->dtype == to.dtype && glia_shape_equal(from->shape, to.shape)) continue;
        return glia_fail(error, GLIA_E_SHAPE, "offset %zu: tensor '%s' is %s%s in the file and %s%s in the store",
                         from->offset, to.name, glia_dtype_name(from->dtype), glia_shape_format(from->shape, b),
                         glia_dtype_name(to.dtype), glia_shape_format(to.shape, a));
    }
    for (int i = 0; i < file->n; i++) {
        const char *name = file->tensors[i].name;
        if (!wanted(pattern, name) || glia_store_look(s, name, NULL)) continue;
        note(report->names, sizeof report->names, "unexpected in the file", report->unexpected++, name);
    }
    return GLIA_OK;
}

static glia_status take(glia_store *s, const glia_safetensors *file, const char *pattern, bool strict,
                        glia_load_report *report, glia_error *error) {
    glia_status status = compare(s, file, pattern, report, error);
    if (status != GLIA_OK) return status;
    if (strict && report->missing + report->unexpected > 0) {
        return glia_fail(error, GLIA_E_NOT_FOUND, "%d tensors are missing and %d unexpected: %s", report->missing,
                         report->unexpected, report->names);
    }
    if (report->loaded == 0) {
        return glia_fail(error, GLIA_E_NOT_FOUND, "the file has no tensor of the store; %s", report->names);
    }
    for (int i = 0; i < glia_store_count(s); i++) {
        const glia_array to = glia_store_entry(s, i);
        const glia_safetensor *from = wanted(pattern, to.name) ? glia_safetensors_find(file, to.name) : NULL;
        if (from) memcpy(to.data, from->data, from->bytes);
    }
    glia_store_touch(s);
    return GLIA_OK;
}

glia_status glia_store_load(glia_store *s, const char *path, const char *pattern, bool strict, glia_load_report *report,
                            glia_error *error) {
    glia_load_report local, *counts = report ? report : &local;
    *counts = (glia_load_report){ 0 };
    if (!s || !path || !path[0]) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_store_load: there is no %s", s ? "path" : "store");
    }
    glia_status status = glia_store_check_pattern(s, pattern, "glia_store_load", error);
    if (status != GLIA_OK) return status;
    glia_tensor_file file;
    glia_error reason = { 0 };
    status = glia_tensors_open(path, &file, error);
    if (status != GLIA_OK) return status;
    status = take(s, &file.tensors, pattern, strict, counts, &reason);
    glia_tensors_close(&file);
    if (status == GLIA_OK) return GLIA_OK;
    counts->loaded = 0;
    return glia_fail(error, status, "%s: %s", path, reason.message);
}
