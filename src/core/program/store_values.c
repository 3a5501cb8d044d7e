/* store_values.c - values from store to store: mixed, swapped, and packed into a flat vector.
 *
 * Two sides are matched by name: a value PREFIX + rest of one side and PREFIX' + rest of the other are counterparts.
 * All pairs are found and checked first, so an error changes nothing. No value may be on both sides: then the result
 * does not depend on the order of the pairs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/program/store.h"

typedef struct pair {
    glia_array a, b;
} pair;

typedef struct side {
    const glia_store *store;
    const char *prefix;
} side;

typedef struct matching {
    const char *where; /* the function, for messages */
    side a, b;
    pair *pairs;
    int n, capacity;
} matching;

static bool begins_with(const char *name, const char *prefix) { return !strncmp(name, prefix, strlen(prefix)); }

static void describe(glia_array a, char text[GLIA_SHAPE_TEXT + 16]) {
    char shape[GLIA_SHAPE_TEXT];
    snprintf(text, GLIA_SHAPE_TEXT + 16, "%s%s", glia_dtype_name(a.dtype), glia_shape_format(a.shape, shape));
}

/* ---- pairs -------------------------------------------------------------------------------- */

/* The prefix of a name that ends with the `slashes`th slash, or the whole name. */
static size_t prefix_length(const char *name, int slashes) {
    const char *at = name;
    while (slashes-- > 0) {
        const char *slash = strchr(at, '/');
        if (!slash) return strlen(name);
        at = slash + 1;
    }
    return (size_t)(at - name);
}

static glia_status fail_prefix(const matching *m, side s, glia_error *error) {
    const int n = glia_store_visible_count(s.store);
    if (n == 0) return glia_fail(error, GLIA_E_NOT_FOUND, "%s: the store is empty", m->where);
    int slashes = 0;
    for (const char *p = s.prefix; *p; p++) slashes += *p == '/';
    glia_arena arena = { 0 };
    const char **prefixes = glia_arena_alloc(&arena, (size_t)n * sizeof *prefixes);
    for (int i = 0; prefixes && i < n; i++) {
        const char *name = glia_store_visible(s.store, i).name;
        const size_t length = prefix_length(name, GLIA_MAX(slashes, 1));
        prefixes[i] = glia_arena_printf(&arena, "%.*s", (int)length, name);
        if (!prefixes[i]) prefixes = NULL;
    }
    const char *near = prefixes ? glia_nearest(s.prefix, prefixes, n) : NULL;
    glia_fail(error, GLIA_E_NOT_FOUND,
              near ? "%s: no name begins with '%s'; did you mean '%s'?" : "%s: no name begins with '%s'", m->where,
              s.prefix, near);
    glia_arena_free(&arena);
    return GLIA_E_NOT_FOUND;
}

/* The value of `to` that is the counterpart of `x` of `from`. */
static glia_status find_counterpart(const matching *m, side from, glia_array x, side to, glia_array *y,
                                    glia_error *error) {
    const char *rest = x.name + strlen(from.prefix);
    const size_t length = strlen(to.prefix) + strlen(rest) + 1;
    char *name = malloc(length);
    if (!name) return glia_fail_nomem(error);
    snprintf(name, length, "%s%s", to.prefix, rest);
    glia_status status = GLIA_OK;
    char is[GLIA_SHAPE_TEXT + 16], other[GLIA_SHAPE_TEXT + 16];
    if (!glia_store_look(to.store, name, y)) {
        status = glia_fail(error, GLIA_E_NOT_FOUND, "%s: '%s' has no counterpart '%s'", m->where, x.name, name);
    } else if (y->dtype != x.dtype || !glia_shape_equal(y->shape, x.shape)) {
        describe(x, is);
        describe(*y, other);
        status = glia_fail(error, GLIA_E_SHAPE, "%s: '%s' is %s and '%s' is %s", m->where, x.name, is, name, other);
    }
    free(name);
    return status;
}

/* Finds the counterparts of all values under the prefix of side a, or of side b; `keep`: appends the pairs. */
static glia_status match_side(matching *m, bool of_a, bool keep, glia_error *error) {
    const side from = of_a ? m->a : m->b, to = of_a ? m->b : m->a;
    int found = 0;
    for (int i = 0; i < glia_store_visible_count(from.store); i++) {
        const glia_array x = glia_store_visible(from.store, i);
        if (!begins_with(x.name, from.prefix)) continue;
        glia_array y;
        const glia_status status = find_counterpart(m, from, x, to, &y, error);
        if (status != GLIA_OK) return status;
        found++;
        if (!keep) continue;
        if (!glia_grow((void **)&m->pairs, m->n, &m->capacity, sizeof *m->pairs)) return glia_fail_nomem(error);
        m->pairs[m->n++] = of_a ? (pair){ x, y } : (pair){ y, x };
    }
    return found > 0 ? GLIA_OK : fail_prefix(m, from, error);
}

static int by_address(const void *a, const void *b) {
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    return (x > y) - (x < y);
}

/* No value may be on both sides. */
static glia_status check_apart(const matching *m, glia_error *error) {
    void **addresses = malloc((size_t)m->n * sizeof *addresses);
    if (!addresses) return glia_fail_nomem(error);
    for (int i = 0; i < m->n; i++) addresses[i] = m->pairs[i].a.data;
    qsort(addresses, (size_t)m->n, sizeof *addresses, by_address);
    glia_status status = GLIA_OK;
    for (int i = 0; status == GLIA_OK && i < m->n; i++) {
        const glia_array *b = &m->pairs[i].b;
        if (bsearch(&b->data, addresses, (size_t)m->n, sizeof *addresses, by_address))
            status = glia_fail(error, GLIA_E_ARGUMENT, "%s: '%s' is on both sides", m->where, b->name);
    }
    free(addresses);
    return status;
}

/* A non-empty prefix names values that all need counterparts; of two empty ones the first does. */
static glia_status match(matching *m, glia_error *error) {
    const bool a = m->a.prefix[0], b = m->b.prefix[0];
    glia_status status = GLIA_OK;
    if (a || !b) status = match_side(m, true, true, error);
    if (status == GLIA_OK && b) status = match_side(m, false, !a, error);
    return status == GLIA_OK ? check_apart(m, error) : status;
}

/* ---- blending and swapping ---------------------------------------------------------------- */

static void blend_values(glia_array to, glia_array from, double share) {
    double old[256], new[256];
    const int64_t count = glia_shape_count(to.shape);
    const size_t size = glia_dtype_size(to.dtype);
    for (int64_t i = 0; i < count; i += GLIA_COUNT(old)) {
        const int64_t n = GLIA_MIN(count - i, GLIA_COUNT(old));
        char *at = (char *)to.data + (size_t)i * size;
        glia_to_double(to.dtype, at, old, n);
        glia_to_double(from.dtype, (const char *)from.data + (size_t)i * size, new, n);
        for (int64_t k = 0; k < n; k++) old[k] = (1 - share) * old[k] + share * new[k];
        glia_from_double(to.dtype, old, at, n);
    }
}

static glia_status blend(const matching *m, double share, glia_error *error) {
    int floats = 0;
    for (int i = 0; i < m->n; i++) floats += glia_dtype_is_float(m->pairs[i].a.dtype);
    if (floats == 0 && share < 1)
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "%s: '%s' is %s, and so are the others: only floating-point values can be mixed", m->where,
                         m->pairs[0].a.name, glia_dtype_name(m->pairs[0].a.dtype));
    for (int i = 0; i < m->n && share > 0; i++) {
        const pair *p = &m->pairs[i];
        if (share == 1)
            memcpy(p->a.data, p->b.data, glia_shape_bytes(p->a.shape, p->a.dtype));
        else if (glia_dtype_is_float(p->a.dtype))
            blend_values(p->a, p->b, share);
    }
    return GLIA_OK;
}

glia_status glia_store_blend(glia_store *dst, const char *dst_prefix, const glia_store *src, const char *src_prefix,
                             double share, glia_error *error) {
    if (!dst || !src) return glia_fail_null(error, dst ? "glia_store_blend: src" : "glia_store_blend: dst");
    if (!(share >= 0 && share <= 1))
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_store_blend: a share is between 0 and 1, not %g", share);
    matching m = { .where = "glia_store_blend",
                   .a = { dst, dst_prefix ? dst_prefix : "" },
                   .b = { src, src_prefix ? src_prefix : "" } };
    glia_status status = match(&m, error);
    if (status == GLIA_OK) status = blend(&m, share, error);
    if (status == GLIA_OK) glia_store_touch(dst);
    free(m.pairs);
    return status;
}

static void swap_values(glia_array x, glia_array y) {
    char room[1024];
    const size_t bytes = glia_shape_bytes(x.shape, x.dtype);
    for (size_t i = 0; i < bytes; i += sizeof room) {
        const size_t n = GLIA_MIN(bytes - i, sizeof room);
        char *a = (char *)x.data + i, *b = (char *)y.data + i;
        memcpy(room, a, n);
        memcpy(a, b, n);
        memcpy(b, room, n);
    }
}

glia_status glia_store_swap(glia_store *a, const char *a_prefix, glia_store *b, const char *b_prefix,
                            glia_error *error) {
    if (!a || !b) return glia_fail_null(error, a ? "glia_store_swap: b" : "glia_store_swap: a");
    matching m = { .where = "glia_store_swap",
                   .a = { a, a_prefix ? a_prefix : "" },
                   .b = { b, b_prefix ? b_prefix : "" } };
    glia_status status = match(&m, error);
    if (status == GLIA_OK) {
        for (int i = 0; i < m.n; i++) swap_values(m.pairs[i].a, m.pairs[i].b);
        glia_store_touch(a);
        glia_store_touch(b);
    }
    free(m.pairs);
    return status;
}

/* ---- flat vectors ------------------------------------------------------------------------- */

static bool is_packed(glia_array a, const char *pattern) { return pattern ? glia_glob(pattern, a.name) : a.parameter; }

/* Counts the values that the pattern means; all must be f32. */
static glia_status measure(const glia_store *s, const char *pattern, const char *where, int64_t *size,
                           glia_error *error) {
    *size = 0;
    if (!s) return glia_fail(error, GLIA_E_ARGUMENT, "%s: store is NULL", where);
    glia_status status = glia_store_check_pattern(s, pattern, where, error);
    for (int i = 0; status == GLIA_OK && i < glia_store_count(s); i++) {
        const glia_array a = glia_store_entry(s, i);
        if (!is_packed(a, pattern)) continue;
        if (a.dtype != GLIA_F32)
            status = glia_fail(error, GLIA_E_UNSUPPORTED, "%s: '%s' is %s; only f32 can be packed", where, a.name,
                               glia_dtype_name(a.dtype));
        *size += glia_shape_count(a.shape);
    }
    if (status == GLIA_OK && *size == 0)
        status = glia_fail(error, GLIA_E_NOT_FOUND, "%s: the store has no parameters", where);
    return status;
}

int64_t glia_store_pack_size(const glia_store *s, const char *pattern, glia_error *error) {
    int64_t size;
    return measure(s, pattern, "glia_store_pack_size", &size, error) == GLIA_OK ? size : -1;
}

/* Copies between `flat`, of n values, and the store. */
static glia_status move_flat(const glia_store *s, const char *pattern, float *flat, int64_t n, bool pack,
                             glia_error *error) {
    const char *where = pack ? "glia_store_pack" : "glia_store_unpack";
    if (!flat) return glia_fail(error, GLIA_E_ARGUMENT, "%s: flat is NULL", where);
    int64_t size;
    glia_status status = measure(s, pattern, where, &size, error);
    if (status != GLIA_OK) return status;
    if (n != size)
        return glia_fail(error, GLIA_E_SHAPE, "%s: there are %lld values, and room for %lld", where, (long long)size,
                         (long long)n);
    for (int i = 0; i < glia_store_count(s); i++) {
        const glia_array a = glia_store_entry(s, i);
        if (!is_packed(a, pattern)) continue;
        const int64_t count = glia_shape_count(a.shape);
        memcpy(pack ? flat : a.data, pack ? a.data : flat, (size_t)count * sizeof *flat);
        flat += count;
    }
    return GLIA_OK;
}

glia_status glia_store_pack(const glia_store *s, const char *pattern, float *flat, int64_t n, glia_error *error) {
    return move_flat(s, pattern, flat, n, true, error);
}

glia_status glia_store_unpack(glia_store *s, const char *pattern, const float *flat, int64_t n, glia_error *error) {
    const glia_status status = move_flat(s, pattern, (float *)(uintptr_t)flat, n, false, error); /* only read */
    if (status == GLIA_OK) glia_store_touch(s);
    return status;
}
