/* store.c - named tensors: the values of parameters and states.
 *
 * A graph describes its leaves; a store holds their values. Leaves are added in batches (a model's first, an
 * optimiser's states later). Each batch gets its own buffer, so values never move:
 *
 *     buffer   | conv1/kernel | conv1/bias | fc/kernel | ... | frozen ... | bn1/running_mean | ...
 *                trainable parameters, in the graph's order     the rest        states
 *              each on a 64-byte boundary
 *
 * Names are looked up in a hash table. A store may have a `base`, which is searched for names that the store lacks.
 * Training uses this to keep the optimiser's states apart from the model.
 *
 * Code that caches results computed from the values (fixed.c) checks whether the values may have changed: the library
 * counts its own writes; once a pointer to values has been given out, they may change at any time.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/program/store.h"

/* The fields that readers may change too. */
typedef struct marks {
    atomic_ullong writes; /* writes by the library */
    atomic_bool lent;     /* pointers to values have been given out */
} marks;

struct glia_store {
    const glia_store *base;
    marks *marks;
    glia_arena arena; /* names */
    glia_array *arrays;
    int n, capacity;
    glia_hash_table by_name;
    void **buffers;
    int n_buffers, buffer_capacity;
};

/* ---- names -------------------------------------------------------------------------------- */

static uint32_t hash_of(const char *name) { return glia_hash_u32(name, strlen(name)); }

/* The index of a name in this store, base excluded; -1: not found. */
static int find(const glia_store *s, const char *name) {
    const uint32_t hash = hash_of(name);
    int32_t i;
    for (uint32_t at = hash; (i = glia_hash_next(&s->by_name, hash, &at)) >= 0;)
        if (strcmp(s->arrays[i].name, name) == 0) break;
    return i;
}

/* The store that has the name: s or one of its bases; NULL: none. */
static const glia_store *owner_of(const glia_store *s, const char *name, int *index) {
    for (; s; s = s->base) {
        *index = find(s, name);
        if (*index >= 0) return s;
    }
    return NULL;
}

bool glia_store_look(const glia_store *s, const char *name, glia_array *array) {
    int index;
    s = owner_of(s, name, &index);
    if (s && array) *array = s->arrays[index];
    return s != NULL;
}

glia_array glia_store_entry(const glia_store *s, int i) {
    return s && i >= 0 && i < s->n ? s->arrays[i] : (glia_array){ 0 };
}

int glia_store_count(const glia_store *s) { return s ? s->n : 0; }

int glia_store_visible_count(const glia_store *s) {
    int n = 0;
    for (; s; s = s->base) n += s->n;
    return n;
}

glia_array glia_store_visible(const glia_store *s, int i) {
    for (; s && i >= s->n; s = s->base) i -= s->n;
    return glia_store_entry(s, i);
}

glia_status glia_store_check_pattern(const glia_store *s, const char *pattern, const char *where, glia_error *error) {
    if (!pattern) return GLIA_OK;
    const char **names = malloc(((size_t)s->n + 1) * sizeof *names);
    if (!names) return glia_fail_nomem(error);
    for (int i = 0; i < s->n; i++) names[i] = s->arrays[i].name;
    glia_status status = glia_glob_check(pattern, names, s->n, where, "tensor of the store", error);
    free(names);
    return status;
}

size_t glia_store_copy(const glia_store *s, void *at, bool restore) {
    size_t total = 0;
    for (int i = 0; i < glia_store_count(s); i++) {
        const glia_array *a = &s->arrays[i];
        const size_t bytes = glia_shape_bytes(a->shape, a->dtype);
        char *place = at ? (char *)at + total : NULL;
        if (place) memcpy(restore ? a->data : place, restore ? place : a->data, bytes);
        total += bytes;
    }
    if (at && restore) glia_store_touch(s);
    return total;
}

/* ---- tracking writes -------------------------------------------------------------------------- */

bool glia_store_find(const glia_store *s, const char *name, glia_array *array) {
    if (!name) return false;
    int index;
    s = owner_of(s, name, &index);
    if (!s) return false;
    if (array) {
        *array = s->arrays[index];
        atomic_store(&s->marks->lent, true);
    }
    return true;
}

glia_array glia_store_at(const glia_store *s, int i) {
    glia_array array = glia_store_entry(s, i);
    if (array.data) atomic_store(&s->marks->lent, true);
    return array;
}

void glia_store_settle(glia_store *s) {
    if (!s) return;
    glia_store_touch(s);
    atomic_store(&s->marks->lent, false);
}

void glia_store_touch(const glia_store *s) {
    for (; s; s = s->base) atomic_fetch_add(&s->marks->writes, 1);
}

void glia_store_touch_own(const glia_store *s) { atomic_fetch_add(&s->marks->writes, 1); }

bool glia_store_owns(const glia_store *s, const char *name) { return s && find(s, name) >= 0; }

/* The counts of all stores only grow, so their sum tells of all. */
uint64_t glia_store_writes(const glia_store *s, bool *lent) {
    uint64_t writes = 0;
    *lent = false;
    for (; s; s = s->base) {
        writes += atomic_load(&s->marks->writes);
        *lent = *lent || atomic_load(&s->marks->lent);
    }
    return writes;
}

bool glia_store_same(const glia_store *s, uint64_t *writes) {
    bool lent;
    const uint64_t now = glia_store_writes(s, &lent);
    const bool same = now == *writes && !lent;
    *writes = now;
    return same;
}

/* ---- adding ------------------------------------------------------------------------------- */

/* The order of leaves in a batch's buffer: trainable parameters, then frozen ones, then states. */
static int rank_of(const glia_node *leaf) {
    if (!glia_is_parameter(leaf)) return 2;
    return glia_leaf_of(leaf)->frozen ? 1 : 0;
}

/* Whether this node is a leaf that the store lacks. A leaf whose dtype or shape differs from the store's is an
 * error. */
static glia_status is_new(const glia_store *s, const glia_node *node, bool *new, glia_error *error) {
    *new = false;
    if (!glia_is_parameter(node) && !glia_is_state(node)) return GLIA_OK;
    const glia_leaf *leaf = glia_leaf_of(node);
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    glia_array old;
    if (glia_store_look(s, leaf->name, &old)) {
        if (old.dtype == node->dtype && glia_shape_equal(old.shape, node->shape)) return GLIA_OK;
        return glia_fail(error, GLIA_E_SHAPE, "'%s' is %s%s in the graph but %s%s in the store", leaf->name,
                         glia_dtype_name(node->dtype), glia_shape_format(node->shape, a), glia_dtype_name(old.dtype),
                         glia_shape_format(old.shape, b));
    }
    if (glia_shape_symbolic(node->shape) || glia_shape_bytes(node->shape, node->dtype) == 0) {
        return glia_fail(error, GLIA_E_SHAPE, "'%s' %s cannot be stored: its size is not fixed", leaf->name,
                         glia_shape_format(node->shape, a));
    }
    *new = true;
    return GLIA_OK;
}

static size_t padded(const glia_node *leaf) { return glia_align(glia_shape_bytes(leaf->shape, leaf->dtype)); }

/* Adds the new leaves at their places in `buffer`; the caller has reserved room. */
static void enter(glia_store *s, glia_node *const *leaves, char *const *names, int n, char *buffer) {
    for (int rank = 0; rank < 3; rank++) {
        for (int i = 0; i < n; i++) {
            const glia_node *leaf = leaves[i];
            if (rank_of(leaf) != rank) continue;
            s->arrays[s->n] = (glia_array){ names[i], leaf->dtype, leaf->shape, buffer, glia_is_parameter(leaf) };
            glia_hash_add(&s->by_name, hash_of(names[i]), s->n++); /* room is reserved */
            buffer += padded(leaf);
        }
    }
}

/* Makes room for n more entries and for a buffer of this size, which is appended; NULL: see error. */
static char *make_room(glia_store *s, int n, size_t bytes, glia_error *error) {
    while (s->capacity < s->n + n) {
        if (!glia_grow((void **)&s->arrays, s->capacity, &s->capacity, sizeof *s->arrays)) {
            glia_fail_nomem(error);
            return NULL;
        }
    }
    if (!glia_hash_reserve(&s->by_name, (size_t)(s->n + n)) ||
        !glia_grow((void **)&s->buffers, s->n_buffers, &s->buffer_capacity, sizeof *s->buffers)) {
        glia_fail_nomem(error);
        return NULL;
    }
    void *buffer = glia_alloc_aligned(bytes);
    if (buffer)
        s->buffers[s->n_buffers++] = buffer;
    else
        glia_fail(error, GLIA_E_NOMEM, "out of memory for %zu bytes of parameters and states", bytes);
    return buffer;
}

static glia_status add_leaves(glia_store *s, glia_node *const *leaves, int n, glia_error *error) {
    size_t bytes = 0;
    for (int i = 0; i < n; i++) {
        if (__builtin_add_overflow(bytes, padded(leaves[i]), &bytes)) return glia_fail_nomem(error);
    }
    char **names = glia_arena_alloc(&s->arena, (size_t)n * sizeof *names);
    if (!names) return glia_fail_nomem(error);
    for (int i = 0; i < n; i++) {
        names[i] = glia_arena_strdup(&s->arena, glia_leaf_of(leaves[i])->name);
        if (!names[i]) return glia_fail_nomem(error);
    }
    char *buffer = make_room(s, n, bytes, error);
    if (!buffer) return GLIA_E_NOMEM;
    enter(s, leaves, names, n, buffer);
    return GLIA_OK;
}

glia_status glia_store_reserve(glia_store *s, const glia_graph *graph, glia_error *error) {
    glia_status status = glia_graph_check(graph, error);
    if (status != GLIA_OK) return status;
    glia_node **leaves = malloc(((size_t)graph->n_nodes + 1) * sizeof *leaves);
    if (!leaves) return glia_fail_nomem(error);
    int n = 0;
    for (int i = 0; status == GLIA_OK && i < graph->n_nodes; i++) {
        bool new;
        status = is_new(s, graph->nodes[i], &new, error);
        if (new) leaves[n++] = graph->nodes[i];
    }
    if (status == GLIA_OK && n > 0) status = add_leaves(s, leaves, n, error);
    free(leaves);
    return status;
}

/* Removes the arrays from index `n` on, and their buffers. */
static void shrink(glia_store *s, int n, int n_buffers) {
    s->n = n;
    while (s->n_buffers > n_buffers) free(s->buffers[--s->n_buffers]);
    glia_hash_clear(&s->by_name);
    for (int i = 0; i < s->n; i++) glia_hash_add(&s->by_name, hash_of(s->arrays[i].name), i); /* there is room */
}

glia_status glia_store_add(glia_store *s, const glia_graph *graph, uint64_t seed, glia_error *error) {
    if (!s) return glia_fail(error, GLIA_E_ARGUMENT, "glia_store_add: there is no store");
    int before = s->n, buffers = s->n_buffers;
    glia_status status = glia_store_reserve(s, graph, error);
    for (int i = 0; status == GLIA_OK && s->n > before && i < graph->n_nodes; i++) {
        const glia_node *node = graph->nodes[i];
        if (!glia_is_parameter(node) && !glia_is_state(node)) continue;
        int index = find(s, glia_leaf_of(node)->name);
        if (index < before) continue; /* was there before, or is the base's */
        status = glia_init_fill(glia_leaf_of(node), node->shape, seed, s->arrays[index].data, error);
    }
    if (status != GLIA_OK && s->n > before) shrink(s, before, buffers);
    return status;
}

/* ---- creating and freeing ----------------------------------------------------------------- */

glia_store *glia_store_create_over(const glia_store *base, glia_error *error) {
    glia_store *s = calloc(1, sizeof *s);
    if (s) s->marks = calloc(1, sizeof *s->marks);
    if (!s || !s->marks) {
        free(s);
        glia_fail_nomem(error);
        return NULL;
    }
    s->base = base;
    return s;
}

glia_store *glia_store_create(const glia_graph *graph, uint64_t seed, glia_error *error) {
    glia_store *s = glia_store_create_over(NULL, error);
    if (s && glia_store_add(s, graph, seed, error) != GLIA_OK) {
        glia_store_free(s);
        s = NULL;
    }
    return s;
}

static glia_status copy_entries(glia_store *to, const glia_store *from, glia_error *error) {
    size_t bytes = 0;
    for (int i = 0; i < from->n; i++)
        bytes += glia_align(glia_shape_bytes(from->arrays[i].shape, from->arrays[i].dtype));
    char *at = from->n ? make_room(to, from->n, bytes, error) : NULL;
    if (from->n && !at) return GLIA_E_NOMEM;
    for (int i = 0; i < from->n; i++) {
        glia_array a = from->arrays[i];
        const size_t size = glia_shape_bytes(a.shape, a.dtype);
        a.name = glia_arena_strdup(&to->arena, a.name);
        if (!a.name) return glia_fail_nomem(error);
        a.data = memcpy(at, a.data, size);
        at += glia_align(size);
        to->arrays[to->n] = a;
        glia_hash_add(&to->by_name, hash_of(a.name), to->n++); /* there is room */
    }
    return GLIA_OK;
}

glia_store *glia_store_clone(const glia_store *from, glia_error *error) {
    glia_store *s = glia_store_create_over(from->base, error);
    if (s && copy_entries(s, from, error) != GLIA_OK) {
        glia_store_free(s);
        s = NULL;
    }
    return s;
}

void glia_store_free(glia_store *s) {
    if (!s) return;
    for (int i = 0; i < s->n_buffers; i++) free(s->buffers[i]);
    free(s->buffers);
    free(s->arrays);
    glia_hash_free(&s->by_name);
    free(s->marks);
    glia_arena_free(&s->arena);
    free(s);
}
