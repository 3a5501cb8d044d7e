/* model.h - internals of a model: graph, inputs and outputs, store, metadata. */
#ifndef GLIA_SRC_TRAIN_MODEL_MODEL_H
#define GLIA_SRC_TRAIN_MODEL_MODEL_H

#include <pthread.h>

#include "core/program/store.h"
#include "glia/model.h"

struct glia_model {
    glia_graph *graph; /* its outputs are the model's */
    glia_store *store; /* NULL before glia_model_init */
    pthread_mutex_t mutex;       /* guards creation of `store`, and `shelves` */
    struct glia_shelf *shelves;  /* programs of predictions and evaluations (kept.c) */
    struct glia_model_meta {
        char *key, *value;
    } * meta;
    int n_meta, meta_capacity;
};

/* Reports errors from building, and initialises with `seed` if that has not been done. Thread-safe. */
glia_status glia_model_ready(glia_model *model, uint64_t seed, glia_error *error);

/* The model gets the graph and the values of `from`, which is freed, and keeps its own metadata. */
void glia_model_adopt(glia_model *model, glia_model *from);

#endif
