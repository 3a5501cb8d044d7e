/* train.h - what the files of this room share.
 *
 *   store      values of parameters and states by name
 *   program    a compiled graph
 *   session    a running instance of a program
 *   model      a graph, its inputs and outputs, its store, metadata
 *   task       a model's graph with a loss, metrics and an optimiser added, and the sessions that run it
 *   kept       tasks that a model keeps from one prediction or evaluation to the next
 *   fit, evaluate, summary
 */
#ifndef GLIA_TRAIN_H
#define GLIA_TRAIN_H

#include "graph/graph.h"

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
/* Are the store's own values for sure what they were when *writes was filled by this function? Fills it. */
bool glia_store_same(const glia_store *store, uint64_t *writes);

/* ---- model -------------------------------------------------------------------------------- */

struct glia_model {
    glia_graph *graph; /* its outputs are the model's */
    glia_store *store; /* NULL before glia_model_init */
    _Atomic(struct glia_kept *) kept[2]; /* by glia_purpose (task.h) */
    struct glia_model_meta {
        char *key, *value;
    } * meta;
    int n_meta, meta_capacity;
};

/* Reports what building left, and initialises with `seed` if nobody has. */
glia_status glia_model_ready(glia_model *model, uint64_t seed, glia_error *error);

#endif
