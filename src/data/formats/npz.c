/* npz.c - NumPy's .npz as tensors by name: a zip of .npy files. */
#include <stdlib.h>
#include <string.h>

#include "core/tensor/tensor.h"
#include "data/formats/formats.h"

static bool is_npy(const char *name) {
    const size_t n = strlen(name);
    return n > 4 && !strcmp(name + n - 4, ".npy");
}

bool glia_npz_is(const uint8_t *bytes, size_t length) {
    enum { LOCAL = 30, NAME_AT = 26, ENDING = 4 }; /* of a zip's local header */
    if (length < LOCAL || memcmp(bytes, "PK\3\4", 4) != 0) return false;
    const size_t name = bytes[NAME_AT] | (size_t)bytes[NAME_AT + 1] << 8;
    return name > ENDING && name <= length - LOCAL && !memcmp(bytes + LOCAL + name - ENDING, ".npy", ENDING);
}

static glia_status read_member(const glia_archive *archive, int member, glia_safetensors *file, glia_error *error) {
    glia_blob blob;
    glia_values values = { 0 };
    glia_status status = glia_archive_read(archive, member, &blob, error);
    if (status == GLIA_OK) {
        status = glia_npy_parse(blob.bytes, blob.length, &values, error);
        glia_blob_free(&blob);
    }
    if (status != GLIA_OK) return glia_archive_fail(archive, member, error, status);
    const char *name = archive->members[member].name;
    const size_t bytes = glia_shape_bytes(values.shape, values.dtype);
    char *copy = glia_arena_strdup(&file->arena, name);
    void *data = glia_arena_alloc(&file->arena, GLIA_MAX(bytes, (size_t)1));
    if (copy && data) {
        copy[strlen(copy) - 4] = '\0';
        memcpy(data, values.data, bytes);
        file->tensors[file->n++] = (glia_safetensor){ .name = copy,
                                                      .dtype = values.dtype,
                                                      .shape = values.shape,
                                                      .data = data,
                                                      .offset = archive->members[member].offset,
                                                      .bytes = bytes };
    }
    glia_values_free(&values);
    return copy && data ? GLIA_OK : glia_fail_nomem(error);
}

glia_status glia_npz_parse(const uint8_t *bytes, size_t length, glia_safetensors *file, glia_error *error) {
    *file = (glia_safetensors){ 0 };
    glia_archive archive;
    glia_status status = glia_archive_parse(bytes, length, &archive, error);
    if (status != GLIA_OK) return status;
    file->tensors = glia_arena_alloc(&file->arena, (size_t)(archive.n + 1) * sizeof *file->tensors);
    if (!file->tensors) status = glia_fail_nomem(error);
    for (int i = 0; i < archive.n && status == GLIA_OK; i++)
        if (is_npy(archive.members[i].name)) status = read_member(&archive, i, file, error);
    glia_archive_free(&archive);
    if (status != GLIA_OK) glia_safetensors_free(file);
    return status;
}
