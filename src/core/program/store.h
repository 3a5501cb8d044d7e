/* store.h - internals of named tensors, and their initial values. */
#ifndef GLIA_SRC_CORE_PROGRAM_STORE_H
#define GLIA_SRC_CORE_PROGRAM_STORE_H

#include "core/graph/graph.h"
#include "glia/program.h"

/* ---- store -------------------------------------------------------------------------------- */

/* An empty store. Names that it lacks are looked up in `base` (may be NULL), which must outlive it. Pointers from
 * glia_store_find() stay valid for the life of the store that owns the tensor. */
glia_store *glia_store_create_over(const glia_store *base, glia_error *error);

/* As glia_store_add(), but the new tensors are zeros: for values that are then read from a file. */
glia_status glia_store_reserve(glia_store *store, const glia_graph *graph, glia_error *error);

/* A store with copies of this one's own entries, in their order, over the same base; NULL: see error. */
glia_store *glia_store_clone(const glia_store *store, glia_error *error);

/* glia_store_find() and glia_store_at() for use inside the library, which reports its writes by glia_store_touch(). */
bool glia_store_look(const glia_store *store, const char *name, glia_array *array);
glia_array glia_store_entry(const glia_store *store, int index);
/* The store's own entries, then those of what it stands on: all that glia_store_look() finds. */
int glia_store_visible_count(const glia_store *store);
glia_array glia_store_visible(const glia_store *store, int index);
/* glia_glob_check() of the names of the store's own entries; GLIA_OK without a pattern. */
glia_status glia_store_check_pattern(const glia_store *store, const char *pattern, const char *where,
                                     glia_error *error);
/* Copies the store's own values, one after the other, to `at`; with `restore`, from `at` back. NULL: copies nothing.
 * Returns their size in bytes. */
size_t glia_store_copy(const glia_store *store, void *at, bool restore);
/* Records that values of this store or of its bases have changed. */
void glia_store_touch(const glia_store *store);
/* The values of this store alone have changed. */
void glia_store_touch_own(const glia_store *store);
/* Does the store itself, without what it stands on, have the tensor? */
bool glia_store_owns(const glia_store *store, const char *name);
/* How often the library has written values of this store or of what it stands on. *lent: may callers write them too,
 * through pointers that they were given? store may be NULL. */
uint64_t glia_store_writes(const glia_store *store, bool *lent);
/* Whether the values are certainly the same as when this function last filled *writes. Fills it. */
bool glia_store_same(const glia_store *store, uint64_t *writes);

/* ---- initialisers (init.c) ------------------------------------------------------------------ */

/* The number of inputs that one output of a kernel sums over, and of outputs that one input contributes to. */
typedef struct glia_fans {
    double in, out;
} glia_fans;

/* (units, F): F and units. (K, C/groups, spatial...): C/groups and K, each times the taps. (n): n and n. */
glia_fans glia_fans_of(glia_shape shape);

/* Fills `data`, a dense buffer of this shape and the leaf's dtype, by the leaf's initialiser. The values are a function
 * of the seed and the leaf's name alone, not of the order in which leaves were made. GLIA_E_ARGUMENT: the initialiser
 * does not go with the shape or dtype. */
glia_status glia_init_fill(const glia_leaf *leaf, glia_shape shape, uint64_t seed, void *data, glia_error *error);

#endif
