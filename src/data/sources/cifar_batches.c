/* cifar_batches.c - reads CIFAR binary batches, concatenated, from files or an archive. */
#include <stdlib.h>
#include <string.h>

#include "data/sources/sources.h"

typedef struct records {
    uint8_t *pixels;
    int32_t *labels;
    int64_t n;
} records;

/* Appends the records of one batch. */
static glia_status append_cifar(records *r, const uint8_t *bytes, size_t length, glia_error *error) {
    int64_t more;
    glia_status status = glia_cifar_parse(bytes, length, &more, error);
    if (status) return status;
    uint8_t *p = realloc(r->pixels, (size_t)(r->n + more) * GLIA_CIFAR_PIXELS);
    if (p) r->pixels = p;
    int32_t *l = p ? realloc(r->labels, (size_t)(r->n + more) * sizeof *l) : NULL;
    if (!l) return glia_fail_nomem(error);
    r->labels = l;
    glia_cifar_copy(bytes, more, p + r->n * GLIA_CIFAR_PIXELS, l + r->n);
    r->n += more;
    return GLIA_OK;
}

/* Takes ownership of the records. */
static glia_dataset *finish_cifar(records r, glia_status status, const char *name, glia_error *error) {
    if (status) {
        free(r.pixels);
        free(r.labels);
        return NULL;
    }
    glia_arrays arrays = { .n = r.n,
                           .x = r.pixels,
                           .x_dtype = GLIA_U8,
                           .x_shape = GLIA_SHAPE(3, 32, 32),
                           .y = r.labels,
                           .y_dtype = GLIA_I32,
                           .classes = 10 };
    return glia_data_take(arrays, name, glia_cifar_classes, error);
}

glia_dataset *glia_data_open_cifar(const char *const *paths, int n_paths, const char *name, glia_error *error) {
    records r = { 0 };
    glia_status status = GLIA_OK;
    for (int i = 0; i < n_paths && !status; i++) {
        glia_file file;
        status = glia_file_open(&file, paths[i], error);
        if (status) break;
        status = glia_fail_at_path(error, paths[i], append_cifar(&r, file.bytes, file.length, error));
        glia_file_close(&file);
    }
    return finish_cifar(r, status, name, error);
}

/* Index of the member with this name, in any folder; -1: none. */
static int find_member(const glia_archive *archive, const char *name) {
    for (int i = 0; i < archive->n; i++) {
        const char *slash = strrchr(archive->members[i].name, '/');
        if (!strcmp(slash ? slash + 1 : archive->members[i].name, name)) return i;
    }
    return -1;
}

glia_dataset *glia_data_open_cifar_archive(const char *path, const char *const *names, int n, const char *name,
                                           glia_error *error) {
    records r = { 0 };
    glia_archive archive;
    glia_status status = glia_archive_open(path, &archive, error);
    if (status) return NULL;
    for (int i = 0; i < n && !status; i++) {
        int member = find_member(&archive, names[i]);
        if (member < 0) {
            status = glia_fail(error, GLIA_E_NOT_FOUND, "%s has no file %s", path, names[i]);
            break;
        }
        glia_blob blob;
        status = glia_archive_read(&archive, member, &blob, error);
        if (!status) status = append_cifar(&r, blob.bytes, blob.length, error);
        glia_blob_free(&blob);
        status = glia_archive_fail(&archive, member, error, status);
    }
    glia_archive_free(&archive);
    return finish_cifar(r, status, name, error);
}
