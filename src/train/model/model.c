/* model.c - a model: a graph with named inputs and outputs, its values, and metadata strings.
 *
 * A model is trained, saved and served. Its graph holds the computation only: losses, metrics and optimisers are added
 * to copies of it (task.c), so it can be fitted repeatedly and is saved without them.
 */
#include <stdlib.h>
#include <string.h>

#include "train/model/task.h"

glia_model *glia_model_create(const char *name, glia_error *error) {
    glia_model *model = calloc(1, sizeof *model);
    if (model) {
        pthread_mutex_init(&model->mutex, NULL);
        model->graph = glia_graph_create();
    }
    if (!model || !model->graph) {
        glia_fail_nomem(error);
        glia_model_free(model);
        return NULL;
    }
    if (name && glia_model_set(model, "name", name, error) != GLIA_OK) {
        glia_model_free(model);
        return NULL;
    }
    return model;
}

void glia_model_free(glia_model *model) {
    if (!model) return;
    glia_model_forget(model);
    for (int i = 0; i < model->n_meta; i++) {
        free(model->meta[i].key);
        free(model->meta[i].value);
    }
    free(model->meta);
    glia_store_free(model->store);
    glia_graph_free(model->graph);
    pthread_mutex_destroy(&model->mutex);
    free(model);
}

void glia_model_adopt(glia_model *model, glia_model *from) {
    glia_graph *graph = model->graph;
    glia_store *store = model->store;
    glia_model_forget(model);
    glia_model_forget(from);
    model->graph = from->graph;
    model->store = from->store;
    from->graph = graph;
    from->store = store;
    glia_model_free(from);
}

/* Fills the empty copy with the model's parts. */
static glia_status copy_parts(glia_model *copy, glia_model *model, glia_error *error) {
    copy->graph = glia_graph_copy(model->graph, error);
    if (!copy->graph) return GLIA_E_NOMEM;
    for (int i = 0; i < model->n_meta; i++) {
        const glia_status status = glia_model_set(copy, model->meta[i].key, model->meta[i].value, error);
        if (status != GLIA_OK) return status;
    }
    pthread_mutex_lock(&model->mutex); /* another thread's first call may be initialising */
    copy->store = model->store ? glia_store_clone(model->store, error) : NULL;
    const bool done = copy->store || !model->store;
    pthread_mutex_unlock(&model->mutex);
    return done ? GLIA_OK : GLIA_E_NOMEM;
}

glia_model *glia_model_copy(glia_model *model, glia_error *error) {
    if (!model) {
        glia_fail_null(error, "glia_model_copy: model");
        return NULL;
    }
    if (model->graph->open) {
        glia_fail(error, GLIA_E_ARGUMENT, "glia_model_copy: the model has a loop that has not ended: glia_loop_end()");
        return NULL;
    }
    glia_model *copy = glia_model_create(NULL, error);
    if (!copy) return NULL;
    glia_graph_free(copy->graph);
    if (copy_parts(copy, model, error) == GLIA_OK) return copy;
    glia_model_free(copy);
    return NULL;
}

glia_graph *glia_model_graph(glia_model *model) { return model ? model->graph : NULL; }
glia_store *glia_model_store(glia_model *model) {
    if (!model) return NULL;
    pthread_mutex_lock(&model->mutex);
    glia_store *store = model->store;
    pthread_mutex_unlock(&model->mutex);
    return store;
}

/* ---- inputs and outputs ------------------------------------------------------------------- */

glia_tensor glia_model_input(glia_model *model, const char *name, glia_dtype dtype, glia_shape sample) {
    if (!model) return NULL;
    if (sample.rank < 0 || sample.rank >= GLIA_MAX_RANK) {
        return glia_graph_fail(model->graph, GLIA_E_SHAPE, "input '%s': a sample's rank is 0 to %d, not %d",
                               name ? name : "", GLIA_MAX_RANK - 1, sample.rank);
    }
    glia_shape shape = { .rank = sample.rank + 1, .dim = { GLIA_BATCH } };
    for (int i = 0; i < sample.rank; i++) shape.dim[i + 1] = sample.dim[i];
    return glia_input(model->graph, name, dtype, shape);
}

void glia_model_output(glia_model *model, const char *name, glia_tensor y) {
    if (!model || glia_is_bad(y)) return;
    glia_graph *g = model->graph;
    if (!name || !name[0]) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_model_output: a name is needed");
        return;
    }
    if (y->graph != g) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_model_output: '%s' belongs to another graph", name);
        return;
    }
    if (glia_graph_find_output(g, name)) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_model_output: there is an output '%s' already", name);
        return;
    }
    glia_graph_output(g, name, y);
}

glia_tensor glia_model_input_at(const glia_model *model, int index, const char **name) {
    for (int i = 0; model && index >= 0 && i < model->graph->n_nodes; i++) {
        glia_node *n = model->graph->nodes[i];
        if (!glia_is_input(n) || index-- > 0) continue;
        if (name) *name = glia_leaf_of(n)->name;
        return n;
    }
    return NULL;
}

glia_tensor glia_model_output_at(const glia_model *model, int index, const char **name) {
    if (!model || index < 0 || index >= model->graph->n_outputs) return NULL;
    if (name) *name = model->graph->outputs[index].name;
    return model->graph->outputs[index].node;
}

glia_tensor glia_model_sample_input(const glia_model *model, glia_error *error) {
    if (!model || glia_graph_check(model->graph, error) != GLIA_OK) {
        if (!model) glia_fail(error, GLIA_E_ARGUMENT, "there is no model");
        return NULL;
    }
    glia_graph first = *model->graph; /* a view with one output and no updates */
    if (first.n_outputs == 0) {
        glia_fail(error, GLIA_E_ARGUMENT, "the model has no output");
        return NULL;
    }
    first.n_outputs = 1;
    first.n_updates = 0;
    bool *live = malloc((size_t)first.n_nodes * sizeof *live);
    if (!live) {
        glia_fail_nomem(error);
        return NULL;
    }
    glia_graph_mark_live(&first, live);
    glia_node *found[2] = { NULL, NULL };
    int n = 0;
    for (int i = 0; i < first.n_nodes && n < 2; i++) {
        if (live[i] && glia_is_input(first.nodes[i])) found[n++] = first.nodes[i];
    }
    free(live);
    if (n == 1) return found[0];
    if (n == 0) {
        glia_fail(error, GLIA_E_ARGUMENT, "the model's output '%s' depends on no input", first.outputs[0].name);
    } else {
        glia_fail(error, GLIA_E_ARGUMENT,
                  "the model's output '%s' depends on the inputs '%s' and '%s', but samples feed only one: compile it "
                  "with glia_compile()",
                  first.outputs[0].name, glia_leaf_of(found[0])->name, glia_leaf_of(found[1])->name);
    }
    return NULL;
}

/* ---- parameters --------------------------------------------------------------------------- */

/* A new store for the model's graph; NULL: see error. */
static glia_store *initialise(const glia_model *model, uint64_t seed, glia_error *error) {
    glia_store *store = glia_store_create_over(NULL, error);
    if (store && glia_store_add(store, model->graph, seed, error) != GLIA_OK) {
        glia_store_free(store);
        return NULL;
    }
    return store;
}

glia_status glia_model_init(glia_model *model, uint64_t seed, glia_error *error) {
    if (!model) return glia_fail(error, GLIA_E_ARGUMENT, "glia_model_init: there is no model");
    glia_error reason = { 0 };
    glia_store *store = initialise(model, seed, &reason);
    if (!store) return glia_fail(error, reason.status, "%s", reason.message);
    glia_model_forget(model);
    pthread_mutex_lock(&model->mutex);
    glia_store_free(model->store);
    model->store = store;
    pthread_mutex_unlock(&model->mutex);
    return GLIA_OK;
}

glia_status glia_model_ready(glia_model *model, uint64_t seed, glia_error *error) {
    if (!model) return glia_fail(error, GLIA_E_ARGUMENT, "there is no model");
    glia_status status = glia_graph_check(model->graph, error);
    if (status != GLIA_OK) return status;
    if (model->graph->n_outputs == 0) {
        return glia_fail(error, GLIA_E_ARGUMENT, "the model has no output");
    }
    glia_error reason = { 0 };
    pthread_mutex_lock(&model->mutex); /* of concurrent first calls, one initialises */
    if (!model->store) {
        model->store = initialise(model, seed, &reason);
        status = reason.status;
    } else {
        status = glia_store_add(model->store, model->graph, seed, &reason); /* layers may have been added since */
    }
    pthread_mutex_unlock(&model->mutex);
    return status == GLIA_OK ? GLIA_OK : glia_fail(error, status, "%s", reason.message);
}

int64_t glia_model_parameter_count(const glia_model *model, bool trainable_only) {
    int64_t count = 0;
    for (int i = 0; model && i < model->graph->n_nodes; i++) {
        const glia_node *n = model->graph->nodes[i];
        if (glia_is_parameter(n) && !(trainable_only && glia_leaf_of(n)->frozen)) count += glia_shape_count(n->shape);
    }
    return count;
}

/* ---- metadata ----------------------------------------------------------------------------- */

static struct glia_model_meta *find_meta(const glia_model *model, const char *key) {
    for (int i = 0; model && i < model->n_meta; i++) {
        if (!strcmp(model->meta[i].key, key)) return &model->meta[i];
    }
    return NULL;
}

const char *glia_model_get(const glia_model *model, const char *key) {
    const struct glia_model_meta *found = key ? find_meta(model, key) : NULL;
    return found ? found->value : NULL;
}

glia_status glia_model_set(glia_model *model, const char *key, const char *value, glia_error *error) {
    if (!model || !key || !key[0] || !value) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_model_set: needs a model, a key and a value");
    }
    if (!strncmp(key, "glia.", 5)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_model_set: keys that begin with 'glia.' are Glia's own: '%s'",
                         key);
    }
    struct glia_model_meta *found = find_meta(model, key);
    char *copy = strdup(value);
    if (!copy) return glia_fail_nomem(error);
    if (found) {
        free(found->value);
        found->value = copy;
        return GLIA_OK;
    }
    char *name = strdup(key);
    if (!name || !glia_grow((void **)&model->meta, model->n_meta, &model->meta_capacity, sizeof *model->meta)) {
        free(copy);
        free(name);
        return glia_fail_nomem(error);
    }
    model->meta[model->n_meta++] = (struct glia_model_meta){ name, copy };
    return GLIA_OK;
}
