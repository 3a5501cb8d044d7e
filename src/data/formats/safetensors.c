/* safetensors.c - named tensors in one file, in Hugging Face's format.
 *
 *     8 bytes   N, little-endian: the header's length
 *     N bytes   JSON: {"__metadata__": {"key": "text", ...},
 *                      "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...} and spaces
 *     the rest  the tensors' bytes, little-endian, row-major; offsets count from here
 *
 * The reader checks every entry against its dtype and shape, and all entries against each other and the file's length,
 * so a valid file has exactly one interpretation. It copies no data. The writer sorts tensors by element size and pads
 * the header, so that a mapped file is aligned. Little-endian machines only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/formats/formats.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors are little-endian and so is Glia");

enum { HEADER_MOST = 100000000, DATA_ALIGN = 64 };

static const char *const dtype_names[GLIA_DTYPE_COUNT] = {
    [GLIA_F32] = "F32", [GLIA_F64] = "F64", [GLIA_BF16] = "BF16", [GLIA_F16] = "F16",
    [GLIA_I32] = "I32", [GLIA_I64] = "I64", [GLIA_U8] = "U8",     [GLIA_BOOL] = "BOOL",
    [GLIA_I8] = "I8",
};

/* ---- reading ------------------------------------------------------------------------------ */

/* Reads the shape and computes the size in bytes from shape and dtype. */
static glia_status read_shape(glia_safetensor *t, const glia_json *shape, glia_error *error) {
    if (shape->count > GLIA_MAX_RANK) {
        return glia_fail(error, GLIA_E_UNSUPPORTED, "offset %zu: tensor \"%s\" has rank %d; at most %d is supported",
                         shape->offset, t->name, shape->count, GLIA_MAX_RANK);
    }
    size_t bytes = glia_dtype_size(t->dtype);
    for (const glia_json *d = shape->first; d; d = d->next) {
        int64_t size;
        if (!glia_json_int(d, &size) || size < 0) {
            return glia_fail(error, GLIA_E_FORMAT, "offset %zu: tensor \"%s\" has an invalid dimension",
                             d->offset, t->name);
        }
        if (!glia_mul_fits(bytes, (size_t)size, &bytes)) {
            return glia_fail(error, GLIA_E_FORMAT, "offset %zu: tensor \"%s\" is too large", d->offset,
                             t->name);
        }
        t->shape.dim[t->shape.rank++] = size;
    }
    t->bytes = bytes;
    return GLIA_OK;
}

/* Reads one entry of the header. `start`: offset of the data in the file, `room`: their length. */
static glia_status read_tensor(glia_safetensor *t, const glia_json *entry, const uint8_t *bytes, size_t start,
                               size_t room, glia_error *error) {
    *t = (glia_safetensor){ .name = entry->key };
    const glia_json *dtype = glia_json_member(entry, "dtype"), *shape = glia_json_member(entry, "shape");
    const glia_json *offsets = glia_json_member(entry, "data_offsets");
    bool whole = dtype && shape && offsets && dtype->kind == GLIA_JSON_STRING && shape->kind == GLIA_JSON_ARRAY &&
                 offsets->kind == GLIA_JSON_ARRAY;
    if (!whole || entry->count != 3) {
        return glia_fail(error, GLIA_E_FORMAT,
                         "offset %zu: tensor \"%s\" must have dtype, shape and data_offsets and nothing else",
                         entry->offset, t->name);
    }
    while (t->dtype < GLIA_DTYPE_COUNT && strcmp(dtype->text, dtype_names[t->dtype])) t->dtype++;
    if (t->dtype == GLIA_DTYPE_COUNT) {
        return glia_fail(error, GLIA_E_UNSUPPORTED,
                         "offset %zu: tensor \"%s\" has dtype %.32s, which is not supported", dtype->offset, t->name,
                         dtype->text);
    }
    glia_status status = read_shape(t, shape, error);
    if (status) return status;

    int64_t begin, end;
    bool pair =
        offsets->count == 2 && glia_json_int(offsets->first, &begin) && glia_json_int(offsets->first->next, &end);
    if (!pair || begin < 0 || end < begin || (uint64_t)end > room) {
        return glia_fail(error, GLIA_E_FORMAT,
                         "offset %zu: tensor \"%s\" has data_offsets outside the %zu bytes of data", offsets->offset,
                         t->name, room);
    }
    if ((uint64_t)(end - begin) != t->bytes) {
        return glia_fail(error, GLIA_E_FORMAT,
                         "offset %zu: tensor \"%s\" has %lld bytes, but its dtype and shape need %zu", offsets->offset,
                         t->name, (long long)(end - begin), t->bytes);
    }
    t->offset = start + (size_t)begin;
    t->data = bytes + t->offset;
    return GLIA_OK;
}

static glia_status read_metadata(glia_safetensors *file, const glia_json *entry, glia_error *error) {
    if (entry->kind != GLIA_JSON_OBJECT) {
        return glia_fail(error, GLIA_E_FORMAT, "offset %zu: __metadata__ is not an object", entry->offset);
    }
    file->metadata = glia_arena_alloc(&file->arena, (size_t)entry->count * sizeof *file->metadata);
    if (!file->metadata) return glia_fail_nomem(error);
    for (const glia_json *m = entry->first; m; m = m->next) {
        if (m->kind != GLIA_JSON_STRING) {
            return glia_fail(error, GLIA_E_FORMAT, "offset %zu: the metadata \"%s\" are not a string", m->offset,
                             m->key);
        }
        file->metadata[file->n_metadata++] = (glia_pair){ m->key, m->text };
    }
    return GLIA_OK;
}

static int by_offset(const void *a, const void *b) {
    const glia_safetensor *x = a, *y = b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1; /* empty ones first */
    return strcmp(x->name, y->name);
}

/* Checks the sorted tensors: each begins where the previous one ends, and together they cover the data. */
static glia_status check_layout(const glia_safetensors *file, const uint8_t *bytes, size_t start, size_t length,
                                glia_error *error) {
    size_t at = start;
    for (int i = 0; i < file->n; i++) {
        const glia_safetensor *t = &file->tensors[i];
        if (t->offset != at) {
            return glia_fail(error, GLIA_E_FORMAT, "offset %zu: tensor \"%s\" %s", t->offset, t->name,
                             t->offset > at ? "leaves a gap before it" : "overlaps the one before it");
        }
        for (size_t k = 0; t->dtype == GLIA_BOOL && k < t->bytes; k++) {
            if (bytes[at + k] <= 1) continue;
            return glia_fail(error, GLIA_E_FORMAT, "offset %zu: a value of bool tensor \"%s\" is not 0 or 1", at + k,
                             t->name);
        }
        at += t->bytes;
    }
    if (at != length) {
        return glia_fail(error, GLIA_E_FORMAT, "offset %zu: %zu bytes belong to no tensor", at, length - at);
    }
    return GLIA_OK;
}

static glia_status parse(const uint8_t *bytes, size_t length, glia_safetensors *file, glia_error *error) {
    uint64_t header = 0;
    if (length < sizeof header) {
        return glia_fail(error, GLIA_E_FORMAT, "offset %zu: the file is shorter than the header's length field",
                         length);
    }
    memcpy(&header, bytes, sizeof header);
    if (header > HEADER_MOST || header > length - sizeof header) {
        return glia_fail(error, GLIA_E_FORMAT,
                         "offset 0: the header of %llu bytes does not fit into the file of %zu bytes (limit %d)",
                         (unsigned long long)header, length, HEADER_MOST);
    }
    size_t start = sizeof header + (size_t)header;
    if (header == 0 || bytes[8] != '{') {
        return glia_fail(error, GLIA_E_FORMAT, "offset 8: the header does not begin with {");
    }
    const glia_json *root = glia_json_parse(&file->arena, bytes + 8, (size_t)header, 8, error);
    if (!root) return error ? error->status : GLIA_E_FORMAT;

    file->tensors = glia_arena_alloc(&file->arena, (size_t)root->count * sizeof *file->tensors);
    if (!file->tensors) return glia_fail_nomem(error);
    for (const glia_json *entry = root->first; entry; entry = entry->next) {
        bool metadata = !strcmp(entry->key, "__metadata__");
        glia_status status = metadata
                                 ? read_metadata(file, entry, error)
                                 : read_tensor(&file->tensors[file->n], entry, bytes, start, length - start, error);
        if (status) return status;
        file->n += !metadata;
    }
    qsort(file->tensors, (size_t)file->n, sizeof *file->tensors, by_offset);
    return check_layout(file, bytes, start, length, error);
}

glia_status glia_safetensors_parse(const uint8_t *bytes, size_t length, glia_safetensors *file, glia_error *error) {
    glia_error local;
    *file = (glia_safetensors){ 0 };
    glia_status status = parse(bytes, length, file, error ? error : &local);
    if (status) glia_safetensors_free(file);
    return status;
}

void glia_safetensors_free(glia_safetensors *file) {
    glia_arena_free(&file->arena);
    *file = (glia_safetensors){ 0 };
}

const glia_safetensor *glia_safetensors_find(const glia_safetensors *file, const char *name) {
    for (int i = 0; i < file->n; i++) {
        if (!strcmp(file->tensors[i].name, name)) return &file->tensors[i];
    }
    return NULL;
}

const char *glia_safetensors_get(const glia_safetensors *file, const char *key) {
    for (int i = 0; i < file->n_metadata; i++) {
        if (!strcmp(file->metadata[i].key, key)) return file->metadata[i].value;
    }
    return NULL;
}

/* ---- writing ------------------------------------------------------------------------------ */

/* Largest elements first, so that every tensor is aligned; otherwise in the given order. */
static int by_element_size(const void *a, const void *b) {
    const glia_array *x = *(const glia_array *const *)a, *y = *(const glia_array *const *)b;
    size_t sx = glia_dtype_size(x->dtype), sy = glia_dtype_size(y->dtype);
    if (sx != sy) return sx > sy ? -1 : 1;
    return x < y ? -1 : x > y;
}

static size_t array_bytes(const glia_array *a) {
    size_t bytes = glia_dtype_size(a->dtype);
    for (int i = 0; i < a->shape.rank; i++) {
        if (a->shape.dim[i] < 0 || !glia_mul_fits(bytes, (size_t)a->shape.dim[i], &bytes)) return SIZE_MAX;
    }
    return bytes;
}

/* Writes the header as padded JSON. Each array's bytes become a piece. */
static glia_status write_header(glia_text *json, const glia_array *const *order, int n, const glia_pair *metadata,
                                int n_metadata, glia_span *pieces, glia_error *error) {
    size_t at = 0;
    glia_text_printf(json, "{");
    if (n_metadata) {
        glia_text_printf(json, "\"__metadata__\":{");
        for (int i = 0; i < n_metadata; i++) {
            glia_text_printf(json, i ? "," : "");
            glia_json_write_string(json, metadata[i].key);
            glia_text_printf(json, ":");
            glia_json_write_string(json, metadata[i].value);
        }
        glia_text_printf(json, n ? "}," : "}");
    }
    for (int i = 0; i < n; i++) {
        size_t bytes = array_bytes(order[i]), end;
        if (!order[i]->name || !strcmp(order[i]->name, "__metadata__")) {
            return glia_fail(error, GLIA_E_ARGUMENT, "the name of a tensor cannot be __metadata__ or empty");
        }
        if (bytes == SIZE_MAX || __builtin_add_overflow(at, bytes, &end)) {
            return glia_fail(error, GLIA_E_SHAPE, "tensor \"%s\" has no fixed size", order[i]->name);
        }
        glia_text_printf(json, i ? "," : "");
        glia_json_write_string(json, order[i]->name);
        glia_text_printf(json, ":{\"dtype\":\"%s\",\"shape\":[", dtype_names[order[i]->dtype]);
        for (int k = 0; k < order[i]->shape.rank; k++) {
            glia_text_printf(json, "%s%lld", k ? "," : "", (long long)order[i]->shape.dim[k]);
        }
        glia_text_printf(json, "],\"data_offsets\":[%zu,%zu]}", at, end);
        pieces[i] = (glia_span){ order[i]->data, bytes };
        at = end;
    }
    glia_text_printf(json, "}");
    while (!json->failed && (json->length + 8) % DATA_ALIGN) glia_text_append(json, " ", 1);
    return json->failed ? glia_fail_nomem(error) : GLIA_OK;
}

glia_status glia_safetensors_write(const char *path, const glia_array *arrays, int n, const glia_pair *metadata,
                                   int n_metadata, glia_error *error) {
    const glia_array **order = malloc(((size_t)n + 1) * sizeof *order);
    glia_span *pieces = malloc(((size_t)n + 2) * sizeof *pieces);
    glia_text json = { 0 };
    glia_arena arena = { 0 };
    glia_status status = order && pieces ? GLIA_OK : glia_fail_nomem(error);
    if (!status) {
        for (int i = 0; i < n; i++) order[i] = &arrays[i];
        qsort(order, (size_t)n, sizeof *order, by_element_size);
        status = write_header(&json, order, n, metadata, n_metadata, pieces + 2, error);
    }
    if (!status && json.length > HEADER_MOST) {
        status = glia_fail(error, GLIA_E_ARGUMENT, "the header is longer than the format allows");
    }
    glia_error why = { 0 };
    if (!status && !glia_json_parse(&arena, (const uint8_t *)json.bytes, json.length, 8, &why)) {
        /* Parse the header, to reject what the reader would: duplicate names or invalid UTF-8. */
        status = glia_fail(error, why.status == GLIA_E_FORMAT ? GLIA_E_ARGUMENT : why.status,
                           "%s: cannot be written: %s", path, why.message);
    }
    if (!status) {
        uint64_t header = json.length;
        pieces[0] = (glia_span){ &header, sizeof header };
        pieces[1] = (glia_span){ json.bytes, json.length };
        status = glia_file_replace(path, pieces, n + 2, error);
    }
    glia_arena_free(&arena);
    free(json.bytes);
    free(pieces);
    free(order);
    return status;
}
