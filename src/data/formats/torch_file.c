/* torch_file.c - tensors in files of torch.save(): .pt, .pth, .th.
 *
 * Since PyTorch 1.6 a file is a zip, whose members are in one folder of any name:
 *
 *     data.pkl    a pickle of the saved object; a tensor is a call of _rebuild_tensor_v2(storage, offset, sizes,
 *                 strides, ...), a storage a reference ('storage', torch.FloatStorage, KEY, device, numel)
 *     data/KEY    the bytes of each storage
 *     byteorder   "little" or "big"; absent in older files
 *
 * Before, it was five pickles one after the other (a magic number, the version 1001, a dictionary about the machine,
 * the object, the list of the storages' keys), and then for each key the number of elements (8 bytes) and the bytes.
 *
 * The pickles become trees (pickle.c) and nothing is executed. Tensors get the names of the dictionaries' keys on the
 * way to them, joined by dots.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/tensor/tensor.h"
#include "data/formats/formats.h"
#include "data/formats/pickle.h"

enum { DEPTH_MOST = 32, NAME_MOST = 4096 };

/* What a file may name, the dtypes of storages first. */
enum {
    STORAGES = 9,
    REBUILD = STORAGES,
    REBUILD_2,
    PARAMETER,
    PARAMETER_STATE,
    ORDERED,
    SIZE,
    DEVICE,
    KNOWN
};
static const char *const known[KNOWN] = {
    "torch FloatStorage", "torch DoubleStorage", "torch BFloat16Storage", "torch HalfStorage",
    "torch IntStorage",   "torch LongStorage",   "torch ByteStorage",     "torch CharStorage",
    "torch BoolStorage",
    "torch._utils _rebuild_tensor",    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter", "torch._utils _rebuild_parameter_with_state",
    "collections OrderedDict",         "torch Size",
    "torch device",
};
static const glia_dtype storage_dtypes[STORAGES] = { GLIA_F32, GLIA_F64, GLIA_BF16, GLIA_F16,
                                                     GLIA_I32, GLIA_I64, GLIA_U8,   GLIA_I8,
                                                     GLIA_BOOL };

typedef struct storage {
    const char *key;
    glia_dtype dtype;
    const uint8_t *bytes; /* NULL: not read yet */
    size_t length;
} storage;

/* A tensor as the pickle describes it. */
typedef struct claim {
    const char *name;
    int storage;
    size_t offset; /* of its call in the file */
    glia_shape shape;
    int64_t first, strides[GLIA_MAX_RANK]; /* in elements */
} claim;

typedef struct reader {
    const uint8_t *bytes;
    size_t length;
    glia_arena *arena;
    storage *storages;
    int n_storages, storages_capacity;
    glia_hash_table keys;
    claim *claims;
    int n_claims, claims_capacity;
    size_t visits; /* of values, left: a tree may contain itself */
    size_t copied; /* bytes of tensors that are not in one piece */
    size_t named;  /* bytes of names */
    glia_error *error;
} reader;

/* ---- storages ------------------------------------------------------------------------------- */

static int find_storage(const reader *r, const char *key) {
    const uint32_t hash = glia_hash_u32(key, strlen(key));
    int32_t i;
    for (uint32_t at = hash; (i = glia_hash_next(&r->keys, hash, &at)) >= 0;) {
        if (!strcmp(r->storages[i].key, key)) return i;
    }
    return -1;
}

static glia_status fail_at(const reader *r, size_t offset, const char *what) {
    return glia_fail(r->error, GLIA_E_FORMAT, "offset %zu: %s", offset, what);
}

/* The index of the storage that a reference names. */
static glia_status take_storage(reader *r, const glia_pickle *v, int *index) {
    const glia_pickle *id = v->kind == GLIA_PICKLE_REFERENCE ? v->args : NULL;
    const bool right = id && id->kind == GLIA_PICKLE_TUPLE && id->n >= 5 && id->items[0]->kind == GLIA_PICKLE_TEXT &&
                       !strcmp(id->items[0]->text, "storage") && id->items[1]->kind == GLIA_PICKLE_NAME &&
                       id->items[1]->name < STORAGES && id->items[2]->kind == GLIA_PICKLE_TEXT;
    if (!right) return fail_at(r, v->offset, "a tensor has no storage");
    if (id->n > 5 && id->items[5]->kind != GLIA_PICKLE_NONE)
        return glia_fail(r->error, GLIA_E_UNSUPPORTED, "offset %zu: storages that are views are not supported",
                         v->offset);
    const char *key = id->items[2]->text;
    const glia_dtype dtype = storage_dtypes[id->items[1]->name];
    *index = find_storage(r, key);
    if (*index >= 0) {
        if (r->storages[*index].dtype == dtype) return GLIA_OK;
        return fail_at(r, v->offset, "a storage has two dtypes");
    }
    if (!glia_grow((void **)&r->storages, r->n_storages, &r->storages_capacity, sizeof *r->storages) ||
        !glia_hash_add(&r->keys, glia_hash_u32(key, strlen(key)), r->n_storages))
        return glia_fail_nomem(r->error);
    r->storages[r->n_storages] = (storage){ .key = key, .dtype = dtype };
    *index = r->n_storages++;
    return GLIA_OK;
}

/* ---- the tree ------------------------------------------------------------------------------- */

static bool is_numbers(const glia_pickle *v, int most) {
    if (v->kind == GLIA_PICKLE_CALL && v->name == SIZE && v->args->n == 1) v = v->args->items[0];
    if (v->kind != GLIA_PICKLE_TUPLE && v->kind != GLIA_PICKLE_LIST) return false;
    for (int i = 0; i < v->n; i++) {
        if (v->items[i]->kind != GLIA_PICKLE_INT || v->items[i]->integer < 0) return false;
    }
    return v->n <= most;
}

static const glia_pickle *numbers_of(const glia_pickle *v) {
    return v->kind == GLIA_PICKLE_CALL ? v->args->items[0] : v;
}

/* Notes the tensor that a call of _rebuild_tensor() or _rebuild_tensor_v2() makes. */
static glia_status take_tensor(reader *r, const glia_pickle *v, const char *name) {
    const glia_pickle *args = v->args;
    if (args->n < 4 || args->items[1]->kind != GLIA_PICKLE_INT || args->items[1]->integer < 0)
        return fail_at(r, v->offset, "a tensor is not described by a storage, an offset, sizes and strides");
    if (!is_numbers(args->items[2], INT32_MAX) || !is_numbers(args->items[3], INT32_MAX))
        return fail_at(r, v->offset, "the sizes or strides of a tensor are not numbers from 0 on");
    const glia_pickle *sizes = numbers_of(args->items[2]), *strides = numbers_of(args->items[3]);
    if (sizes->n != strides->n) return fail_at(r, v->offset, "a tensor has not as many strides as sizes");
    if (sizes->n > GLIA_MAX_RANK)
        return glia_fail(r->error, GLIA_E_UNSUPPORTED, "offset %zu: tensor '%s' has rank %d; at most %d is supported",
                         v->offset, name, sizes->n, GLIA_MAX_RANK);
    if (!glia_grow((void **)&r->claims, r->n_claims, &r->claims_capacity, sizeof *r->claims))
        return glia_fail_nomem(r->error);
    claim *c = &r->claims[r->n_claims];
    *c = (claim){ .name = name, .offset = v->offset, .shape.rank = sizes->n, .first = args->items[1]->integer };
    for (int i = 0; i < sizes->n; i++) {
        c->shape.dim[i] = sizes->items[i]->integer;
        c->strides[i] = strides->items[i]->integer;
    }
    r->n_claims++;
    return take_storage(r, args->items[0], &c->storage);
}

static glia_status walk(reader *r, const glia_pickle *v, const char *name, int depth);

/* Walks one member of a container: its key is a text or a number; members with other keys are passed over. */
static glia_status walk_member(reader *r, const glia_pickle *key, int64_t index, const glia_pickle *v,
                               const char *name, int depth) {
    if (v->kind < GLIA_PICKLE_TUPLE) return GLIA_OK;
    const char *dot = *name ? "." : "", *inner = NULL;
    if (key && key->kind == GLIA_PICKLE_TEXT) {
        inner = glia_arena_printf(r->arena, "%s%s%s", name, dot, key->text);
    } else if (!key || key->kind == GLIA_PICKLE_INT) {
        inner = glia_arena_printf(r->arena, "%s%s%lld", name, dot, (long long)(key ? key->integer : index));
    } else {
        return GLIA_OK;
    }
    if (!inner) return glia_fail_nomem(r->error);
    r->named += strlen(inner);
    if (strlen(inner) > NAME_MOST || r->named > glia_unpack_limit(r->length))
        return fail_at(r, v->offset, "the names of the tensors are too long");
    return walk(r, v, inner, depth + 1);
}

/* Notes all tensors in a tree. */
static glia_status walk(reader *r, const glia_pickle *v, const char *name, int depth) {
    if (depth > DEPTH_MOST || r->visits == 0) return fail_at(r, v->offset, "the values are nested too deeply");
    r->visits--;
    if (v->kind == GLIA_PICKLE_CALL && (v->name == REBUILD || v->name == REBUILD_2)) return take_tensor(r, v, name);
    if (v->kind == GLIA_PICKLE_CALL && (v->name == PARAMETER || v->name == PARAMETER_STATE))
        return v->args->n > 0 ? walk(r, v->args->items[0], name, depth + 1)
                              : fail_at(r, v->offset, "a parameter has no tensor");
    const bool pairs = v->kind == GLIA_PICKLE_DICT || (v->kind == GLIA_PICKLE_CALL && v->name == ORDERED);
    const bool list = v->kind == GLIA_PICKLE_LIST || v->kind == GLIA_PICKLE_TUPLE;
    glia_status status = GLIA_OK;
    for (int i = 0; pairs && i < v->n && status == GLIA_OK; i += 2)
        status = walk_member(r, v->items[i], 0, v->items[i + 1], name, depth);
    for (int i = 0; list && i < v->n && status == GLIA_OK; i++)
        status = walk_member(r, NULL, i, v->items[i], name, depth);
    return status;
}

/* ---- names ---------------------------------------------------------------------------------- */

/* Whether all names begin with the prefix; cut: it is removed from them. */
static bool shared_prefix(reader *r, const char *prefix, bool cut) {
    const size_t n = strlen(prefix);
    for (int i = 0; i < r->n_claims; i++) {
        if (cut) {
            r->claims[i].name += n;
        } else if (strncmp(r->claims[i].name, prefix, n) != 0 || !r->claims[i].name[n]) {
            return false;
        }
    }
    return r->n_claims > 0;
}

static bool begins(const char *name, const char *prefix) { return !strncmp(name, prefix, strlen(prefix)); }

/* A checkpoint holds the state beside an optimiser's and others: then only the state counts. Removes the names under
 * which it lies, and "module.", with which DataParallel begins all names. */
static void choose_state(reader *r) {
    static const char *const places[] = { "state_dict.", "model_state_dict.", "model_state.", "model.", "net." };
    for (int k = 0; k < GLIA_COUNT(places); k++) {
        int kept = 0;
        bool bare = false; /* tensors of the state itself lie beside: a layer has the name */
        for (int i = 0; i < r->n_claims; i++) {
            kept += begins(r->claims[i].name, places[k]);
            bare |= !strchr(r->claims[i].name, '.');
        }
        if (kept == 0 || (k > 1 && bare)) continue;
        int n = 0;
        for (int i = 0; i < r->n_claims; i++) {
            if (begins(r->claims[i].name, places[k])) r->claims[n++] = r->claims[i];
        }
        r->n_claims = n;
        shared_prefix(r, places[k], true);
        break;
    }
    if (shared_prefix(r, "module.", false)) shared_prefix(r, "module.", true);
}

static int by_name(const void *a, const void *b) { return strcmp(((const claim *)a)->name, ((const claim *)b)->name); }

static glia_status check_names(const reader *r) {
    claim *sorted = malloc(((size_t)r->n_claims + 1) * sizeof *sorted);
    if (!sorted) return glia_fail_nomem(r->error);
    if (r->n_claims) memcpy(sorted, r->claims, (size_t)r->n_claims * sizeof *sorted);
    qsort(sorted, (size_t)r->n_claims, sizeof *sorted, by_name);
    glia_status status = GLIA_OK;
    for (int i = 1; i < r->n_claims && status == GLIA_OK; i++) {
        if (strcmp(sorted[i].name, sorted[i - 1].name) == 0)
            status = glia_fail(r->error, GLIA_E_FORMAT, "offset %zu: two tensors are called '%s'", sorted[i].offset,
                               sorted[i].name);
    }
    free(sorted);
    return status;
}

/* ---- values --------------------------------------------------------------------------------- */

/* Whether the elements lie in order, one after the other. */
static bool is_dense(const claim *c) {
    int64_t stride = 1;
    for (int i = c->shape.rank - 1; i >= 0; i--) {
        if (c->shape.dim[i] != 1 && c->strides[i] != stride) return false;
        stride *= c->shape.dim[i];
    }
    return true;
}

/* Checks that all elements are in the storage; *count: their number. */
static bool fits(const claim *c, size_t elements, size_t *count) {
    size_t last = (size_t)c->first, n = 1;
    for (int i = 0; i < c->shape.rank; i++) {
        if (!glia_mul_fits(n, (size_t)c->shape.dim[i], &n)) return false;
        if (n == 0) break;
    }
    *count = n;
    for (int i = 0; i < c->shape.rank && n > 0; i++) {
        size_t way;
        if (!glia_mul_fits((size_t)c->shape.dim[i] - 1, (size_t)c->strides[i], &way)) return false;
        if (__builtin_add_overflow(last, way, &last)) return false;
    }
    for (int i = 0; i < c->shape.rank; i++) { /* a product of all sizes but those of 0 must not overflow later */
        if (c->shape.dim[i] > INT64_MAX / 64) return false;
    }
    return n == 0 || last < elements;
}

/* Copies a tensor whose elements are not in order. */
static void gather(const claim *c, const uint8_t *from, size_t size, uint8_t *to, size_t count) {
    int64_t index[GLIA_MAX_RANK] = { 0 }, at = c->first;
    for (size_t n = 0; n < count; n++, to += size) {
        memcpy(to, from + (size_t)at * size, size);
        for (int axis = c->shape.rank - 1; axis >= 0; axis--) {
            at += c->strides[axis];
            if (++index[axis] < c->shape.dim[axis]) break;
            at -= c->strides[axis] * c->shape.dim[axis];
            index[axis] = 0;
        }
    }
}

static glia_status fill(reader *r, const claim *c, glia_safetensor *t) {
    const storage *s = &r->storages[c->storage];
    const size_t size = glia_dtype_size(s->dtype);
    size_t count;
    if (!fits(c, s->length / size, &count))
        return glia_fail(r->error, GLIA_E_FORMAT, "offset %zu: tensor '%s' is larger than its storage of %zu bytes",
                         c->offset, c->name, s->length);
    const size_t bytes = count * size;
    *t = (glia_safetensor){ .name = c->name, .dtype = s->dtype, .shape = c->shape, .bytes = bytes };
    t->offset = c->offset;
    t->data = count ? s->bytes + (size_t)c->first * size : s->bytes;
    if (count && !is_dense(c)) {
        r->copied += bytes;
        if (r->copied > glia_unpack_limit(r->length))
            return fail_at(r, c->offset, "the tensors are much larger than the file");
        uint8_t *copy = glia_arena_alloc(r->arena, bytes);
        if (!copy) return glia_fail_nomem(r->error);
        gather(c, s->bytes, size, copy, count);
        t->data = copy;
    }
    for (size_t i = 0; s->dtype == GLIA_BOOL && i < bytes; i++) {
        if (((const uint8_t *)t->data)[i] > 1)
            return glia_fail(r->error, GLIA_E_FORMAT, "offset %zu: a value of bool tensor '%s' is not 0 or 1",
                             c->offset, c->name);
    }
    return GLIA_OK;
}

static glia_status fill_all(reader *r, glia_safetensors *file) {
    file->tensors = glia_arena_alloc(r->arena, ((size_t)r->n_claims + 1) * sizeof *file->tensors);
    if (!file->tensors) return glia_fail_nomem(r->error);
    glia_status status = check_names(r);
    for (int i = 0; i < r->n_claims && status == GLIA_OK; i++) status = fill(r, &r->claims[i], &file->tensors[i]);
    file->n = r->n_claims;
    if (status == GLIA_OK && file->n == 0) status = fail_at(r, 0, "the file of PyTorch has no tensors");
    return status;
}

/* ---- zip files ------------------------------------------------------------------------------ */

/* The bytes of a member, in the file or copied to the arena. */
static glia_status member_bytes(reader *r, const glia_archive *zip, int member, const uint8_t **bytes,
                                size_t *length) {
    glia_blob blob;
    glia_status status = glia_archive_read(zip, member, &blob, r->error);
    if (status != GLIA_OK) return status;
    *bytes = blob.bytes;
    *length = blob.length;
    if (blob.owned) {
        uint8_t *copy = glia_arena_alloc(r->arena, blob.length + 1);
        if (copy) memcpy(copy, blob.bytes, blob.length);
        *bytes = copy;
        status = copy ? GLIA_OK : glia_fail_nomem(r->error);
    }
    glia_blob_free(&blob);
    return status;
}

/* The member FOLDER/data.pkl, and its folder with the slash. */
static int find_pickle(const glia_archive *zip, char folder[NAME_MOST]) {
    for (int i = 0; i < zip->n; i++) {
        const char *name = zip->members[i].name, *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
        if (strcmp(base, "data.pkl") != 0 || base - name >= NAME_MOST) continue;
        snprintf(folder, NAME_MOST, "%.*s", (int)(base - name), name);
        return i;
    }
    return -1;
}

static int find_member(reader *r, const glia_archive *zip, const char *folder, const char *inner, const char *key) {
    const char *name = glia_arena_printf(r->arena, "%s%s%s", folder, inner, key);
    return name ? glia_archive_find(zip, name) : -1;
}

static glia_status check_order(reader *r, const glia_archive *zip, const char *folder) {
    const int member = find_member(r, zip, folder, "byteorder", "");
    const uint8_t *bytes;
    size_t length;
    glia_status status = member >= 0 ? member_bytes(r, zip, member, &bytes, &length) : GLIA_OK;
    if (status != GLIA_OK || member < 0 || (length == 6 && !memcmp(bytes, "little", 6))) return status;
    return glia_fail(r->error, GLIA_E_UNSUPPORTED, "offset %zu: the file of PyTorch is not little-endian",
                     zip->members[member].offset);
}

static glia_status parse_members(reader *r, const glia_archive *zip) {
    char folder[NAME_MOST];
    const int member = find_pickle(zip, folder);
    if (member < 0) return fail_at(r, 0, "the zip has no data.pkl: it is no file of PyTorch");
    const uint8_t *bytes;
    size_t length, used;
    glia_status status = member_bytes(r, zip, member, &bytes, &length);
    if (status == GLIA_OK) status = check_order(r, zip, folder);
    if (status != GLIA_OK) return status;
    const bool stored = bytes >= r->bytes && bytes < r->bytes + r->length;
    r->visits = length;
    const glia_pickle *root = glia_pickle_parse(r->arena, bytes, length, stored ? (size_t)(bytes - r->bytes) : 0, known,
                                                KNOWN, &used, r->error);
    if (!root) return r->error->status;
    status = walk(r, root, "", 0);
    for (int i = 0; i < r->n_storages && status == GLIA_OK; i++) {
        storage *s = &r->storages[i];
        const int data = find_member(r, zip, folder, "data/", s->key);
        status = data >= 0 ? member_bytes(r, zip, data, &s->bytes, &s->length)
                           : glia_fail(r->error, GLIA_E_FORMAT, "offset %zu: the zip has no storage '%.100s'",
                                       zip->members[member].offset, s->key);
    }
    return status;
}

static glia_status parse_zip(reader *r) {
    glia_archive zip;
    glia_status status = glia_archive_parse(r->bytes, r->length, &zip, r->error);
    if (status != GLIA_OK) return status;
    status = parse_members(r, &zip);
    glia_archive_free(&zip);
    return status;
}

/* ---- files before 1.6 ----------------------------------------------------------------------- */

/* The pickle of the magic number 0x1950a86a20f9469cfc6c. */
static const uint8_t magic[15] = { 0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, '.' };

/* The next pickle, moving *at behind it. */
static const glia_pickle *next_pickle(reader *r, size_t *at) {
    size_t used;
    r->visits = r->length - *at;
    const glia_pickle *root =
        glia_pickle_parse(r->arena, r->bytes + *at, r->length - *at, *at, known, KNOWN, &used, r->error);
    *at += used;
    return root;
}

static bool is_little(const glia_pickle *system) {
    for (int i = 0; system->kind == GLIA_PICKLE_DICT && i < system->n; i += 2) {
        const glia_pickle *key = system->items[i], *value = system->items[i + 1];
        if (key->kind == GLIA_PICKLE_TEXT && !strcmp(key->text, "little_endian"))
            return value->kind == GLIA_PICKLE_BOOL && value->integer;
    }
    return false;
}

/* Finds the bytes of the storages, which follow the list of their keys. */
static glia_status read_storages(reader *r, const glia_pickle *keys, size_t at) {
    if (keys->kind != GLIA_PICKLE_LIST) return fail_at(r, keys->offset, "the keys of the storages are no list");
    for (int i = 0; i < keys->n; i++) {
        const glia_pickle *key = keys->items[i];
        const int found = key->kind == GLIA_PICKLE_TEXT ? find_storage(r, key->text) : -1;
        if (found < 0) return fail_at(r, key->offset, "no tensor uses this storage, so its size is not known");
        storage *s = &r->storages[found];
        uint64_t n;
        size_t bytes;
        if (r->length - at < sizeof n) return fail_at(r, r->length, "the file of PyTorch is truncated");
        memcpy(&n, r->bytes + at, sizeof n);
        if (n > SIZE_MAX / 8 || !glia_mul_fits((size_t)n, glia_dtype_size(s->dtype), &bytes) ||
            bytes > r->length - at - sizeof n)
            return fail_at(r, at, "a storage is longer than the rest of the file");
        s->bytes = r->bytes + at + sizeof n;
        s->length = bytes;
        at += sizeof n + bytes;
    }
    if (at != r->length) return fail_at(r, at, "bytes follow the last storage");
    for (int i = 0; i < r->n_storages; i++) {
        if (!r->storages[i].bytes)
            return glia_fail(r->error, GLIA_E_FORMAT, "offset %zu: the storage '%.100s' is not in the file",
                             keys->offset, r->storages[i].key);
    }
    return GLIA_OK;
}

static glia_status parse_old(reader *r) {
    size_t at = sizeof magic;
    const glia_pickle *version = next_pickle(r, &at);
    if (!version) return r->error->status;
    if (version->kind != GLIA_PICKLE_INT || version->integer != 1001)
        return fail_at(r, version->offset, "the version of the file of PyTorch is not 1001");
    const glia_pickle *system = next_pickle(r, &at);
    if (!system) return r->error->status;
    if (!is_little(system))
        return glia_fail(r->error, GLIA_E_UNSUPPORTED, "offset %zu: the file of PyTorch is not little-endian",
                         system->offset);
    const glia_pickle *root = next_pickle(r, &at);
    glia_status status = root ? walk(r, root, "", 0) : r->error->status;
    if (status != GLIA_OK) return status;
    const glia_pickle *keys = next_pickle(r, &at);
    return keys ? read_storages(r, keys, at) : r->error->status;
}

/* ---- both ----------------------------------------------------------------------------------- */

static bool is_zip(const uint8_t *bytes, size_t length) { return length >= 4 && !memcmp(bytes, "PK\3\4", 4); }

bool glia_torch_is(const uint8_t *bytes, size_t length) {
    return is_zip(bytes, length) || (length >= 2 && bytes[0] == magic[0] && bytes[1] <= 5);
}

glia_status glia_torch_parse(const uint8_t *bytes, size_t length, glia_safetensors *file, glia_error *error) {
    glia_error local = { 0 };
    *file = (glia_safetensors){ 0 };
    reader r = { .bytes = bytes, .length = length, .arena = &file->arena, .error = error ? error : &local };
    glia_status status;
    if (is_zip(bytes, length)) {
        status = parse_zip(&r);
    } else if (length >= sizeof magic && !memcmp(bytes, magic, sizeof magic)) {
        status = parse_old(&r);
    } else {
        status = fail_at(&r, 0, "not a file of torch.save(): neither a zip nor pickles after its magic number");
    }
    if (status == GLIA_OK) {
        choose_state(&r);
        status = fill_all(&r, file);
    }
    glia_hash_free(&r.keys);
    free(r.storages);
    free(r.claims);
    if (status != GLIA_OK) glia_safetensors_free(file);
    return status;
}

glia_status glia_tensors_parse(const uint8_t *bytes, size_t length, glia_safetensors *file, glia_error *error) {
    if (glia_npz_is(bytes, length)) return glia_npz_parse(bytes, length, file, error);
    return glia_torch_is(bytes, length) ? glia_torch_parse(bytes, length, file, error)
                                        : glia_safetensors_parse(bytes, length, file, error);
}

glia_status glia_tensors_open(const char *path, glia_tensor_file *file, glia_error *error) {
    glia_status status = glia_file_open(&file->bytes, path, error);
    if (status != GLIA_OK) return status;
    status = glia_tensors_parse(file->bytes.bytes, file->bytes.length, &file->tensors, error);
    if (status != GLIA_OK) glia_file_close(&file->bytes);
    return glia_fail_at_path(error, path, status);
}

void glia_tensors_close(glia_tensor_file *file) {
    glia_safetensors_free(&file->tensors);
    glia_file_close(&file->bytes);
}
