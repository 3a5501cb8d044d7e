/* weights.c - all values of a model as one piece of memory. */
#include <string.h>

#include "callbacks/callbacks.h"

static size_t bytes_of(const glia_array *a) { return glia_shape_bytes(a->shape, a->dtype); }

size_t glia_weights_bytes(const glia_model *model) {
    size_t total = 0;
    for (int i = 0; i < glia_store_count(model->store); i++) {
        glia_array a = glia_store_entry(model->store, i);
        total += bytes_of(&a);
    }
    return total;
}

void glia_weights_copy(const glia_model *model, void *at, bool restore) {
    char *place = at;
    for (int i = 0; i < glia_store_count(model->store); i++) {
        glia_array a = glia_store_entry(model->store, i);
        memcpy(restore ? a.data : place, restore ? place : a.data, bytes_of(&a));
        place += bytes_of(&a);
    }
    if (restore) glia_store_touch(model->store);
}
