/* store.h - named tensors from the inside, and how they begin. */
#ifndef GLIA_SRC_CORE_PROGRAM_STORE_H
#define GLIA_SRC_CORE_PROGRAM_STORE_H

#include "core/graph/graph.h"
#include "glia/program.h"

/* ---- store -------------------------------------------------------------------------------- */

/* An empty store; what it lacks is looked up in `base` (may be NULL), which must outlive it. Pointers that
 * glia_store_find() gives stay good for the life of the store that owns the tensor. */
glia_store *glia_store_create_over(const glia_store *base, glia_error *error);

/* As glia_store_add(), but the new tensors are zeros: for values that come from a file. */
glia_status glia_store_reserve(glia_store *store, const glia_graph *graph, glia_error *error);

/* glia_store_find() and glia_store_at() for the library, which says by glia_store_touch() when it has written. */
bool glia_store_look(const glia_store *store, const char *name, glia_array *array);
glia_array glia_store_entry(const glia_store *store, int index);
/* Copies the store's own values, one after the other, to `at`, or with `restore` back from there; NULL: neither. Returns
 * their bytes. */
size_t glia_store_copy(const glia_store *store, void *at, bool restore);
/* The values of this store, and of what it stands on, have changed. */
void glia_store_touch(const glia_store *store);
/* The values of this store alone have changed. */
void glia_store_touch_own(const glia_store *store);
/* Does the store itself, without what it stands on, have the tensor? */
bool glia_store_owns(const glia_store *store, const char *name);
/* How often the library has written values of this store or of what it stands on. *lent: may callers write them too,
 * through pointers that they were given? store may be NULL. */
uint64_t glia_store_writes(const glia_store *store, bool *lent);
/* Are these values for sure what they were when *writes was filled by this function? Fills it. */
bool glia_store_same(const glia_store *store, uint64_t *writes);

/* ---- initialisers (init.c) ------------------------------------------------------------------ */

/* Inputs that one output of a kernel sums over, and outputs that one input goes to. */
typedef struct glia_fans {
    double in, out;
} glia_fans;

/* (units, F): F and units. (K, C/groups, spatial...): C/groups and K, each times the taps. (n): n and n. */
glia_fans glia_fans_of(glia_shape shape);

/* Fills `data`, a dense buffer of the leaf's dtype and this shape, with what the leaf's initialiser says. The values
 * are a function of the seed and the leaf's name alone, not of the order in which leaves were made.
 * GLIA_E_ARGUMENT: the initialiser does not go with the shape or dtype. */
glia_status glia_init_fill(const glia_leaf *leaf, glia_shape shape, uint64_t seed, void *data, glia_error *error);

#endif
