/* model_file.c - saves and loads models as safetensors files.
 *
 * A file holds the value of every parameter and state of the model's graph under its name. Its metadata are:
 *
 *     glia.version    version of the library that wrote it
 *     glia.graph      the graph as text (core/graph/print.c), from which it is rebuilt
 *     glia.inputs     names of the inputs and outputs, separated by commas; informative only
 *     glia.outputs
 *     name, ...       values set with glia_model_set()
 *
 * Loading validates everything: the graph must parse and infer, and every leaf needs a tensor in the file with exactly
 * its dtype and shape, so memory use is bounded by the size of the file.
 */
#include <stdlib.h>
#include <string.h>

#include "data/formats/formats.h"
#include "train/model/model.h"

/* ---- saving ------------------------------------------------------------------------------- */

static bool stored(const glia_node *n) { return glia_is_parameter(n) || glia_is_state(n); }

/* Lists the names of inputs or outputs. */
static void list_inputs(const glia_graph *g, glia_text *text) {
    for (int i = 0; i < g->n_nodes; i++) {
        if (glia_is_input(g->nodes[i]))
            glia_text_printf(text, "%s%s", text->length ? "," : "", glia_leaf_of(g->nodes[i])->name);
    }
}

static void list_outputs(const glia_graph *g, glia_text *text) {
    for (int i = 0; i < g->n_outputs; i++) glia_text_printf(text, "%s%s", i ? "," : "", g->outputs[i].name);
}

static glia_status write_file(const glia_model *model, const glia_graph *g, const glia_text texts[3], const char *path,
                              glia_error *error) {
    glia_array *arrays = malloc(((size_t)g->n_nodes + 1) * sizeof *arrays);
    glia_pair *pairs = malloc(((size_t)model->n_meta + 4) * sizeof *pairs);
    glia_status status = GLIA_OK;
    if (!arrays || !pairs) status = glia_fail_nomem(error);
    int n = 0, m = 0;
    if (status == GLIA_OK) {
        pairs[m++] = (glia_pair){ "glia.version", glia_version() };
        pairs[m++] = (glia_pair){ "glia.graph", texts[0].bytes };
        pairs[m++] = (glia_pair){ "glia.inputs", texts[1].bytes ? texts[1].bytes : "" };
        pairs[m++] = (glia_pair){ "glia.outputs", texts[2].bytes };
        for (int i = 0; i < model->n_meta; i++) pairs[m++] = (glia_pair){ model->meta[i].key, model->meta[i].value };
    }
    for (int i = 0; status == GLIA_OK && i < g->n_nodes; i++) {
        if (!stored(g->nodes[i])) continue;
        if (!glia_store_look(model->store, glia_leaf_of(g->nodes[i])->name, &arrays[n++])) {
            status = glia_fail(error, GLIA_E_INTERNAL, "the store lacks '%s'", glia_leaf_of(g->nodes[i])->name);
        }
    }
    if (status == GLIA_OK) status = glia_safetensors_write(path, arrays, n, pairs, m, error);
    free(arrays);
    free(pairs);
    return status;
}

glia_status glia_model_save(glia_model *model, const char *path, glia_error *error) {
    if (!path) return glia_fail_null(error, "path");
    glia_status status = glia_model_ready(model, 0, error);
    if (status != GLIA_OK) return status;
    glia_error reason = { 0 };
    glia_graph *clean = glia_graph_rewrite(model->graph, NULL, NULL, NULL, true, &reason); /* without unused nodes */
    if (!clean) return glia_fail(error, reason.status, "%s", reason.message);
    glia_text texts[3] = { 0 };
    glia_graph_print(clean, &texts[0]);
    list_inputs(clean, &texts[1]);
    list_outputs(clean, &texts[2]);
    bool failed = texts[0].failed || texts[1].failed || texts[2].failed;
    status = failed ? glia_fail_nomem(error) : write_file(model, clean, texts, path, error);
    for (int i = 0; i < 3; i++) free(texts[i].bytes);
    glia_graph_free(clean);
    return status;
}

/* ---- loading ------------------------------------------------------------------------------ */

/* Checks that the file has the leaf's tensor with the graph's dtype and shape. */
static glia_status check_leaf(const glia_node *leaf, const glia_safetensor *t, glia_error *error) {
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    const char *name = glia_leaf_of(leaf)->name;
    if (!t) {
        return glia_fail(error, GLIA_E_FORMAT, "the graph has %s '%s' %s%s, but the file has no such tensor",
                         leaf->op->name, name, glia_dtype_name(leaf->dtype), glia_shape_format(leaf->shape, a));
    }
    if (t->dtype == leaf->dtype && glia_shape_equal(t->shape, leaf->shape)) return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "offset %zu: tensor '%s' is %s%s, the graph needs %s%s", t->offset, name,
                     glia_dtype_name(t->dtype), glia_shape_format(t->shape, b), glia_dtype_name(leaf->dtype),
                     glia_shape_format(leaf->shape, a));
}

/* Reads the values of all leaves from the file. */
static glia_status bind(glia_model *model, const glia_safetensors *file, glia_error *error) {
    const glia_graph *g = model->graph;
    glia_status status = GLIA_OK;
    for (int i = 0; status == GLIA_OK && i < g->n_nodes; i++) {
        if (!stored(g->nodes[i])) continue;
        status = check_leaf(g->nodes[i], glia_safetensors_find(file, glia_leaf_of(g->nodes[i])->name), error);
    }
    if (status != GLIA_OK) return status;
    model->store = glia_store_create_over(NULL, error);
    if (!model->store) return GLIA_E_NOMEM;
    status = glia_store_reserve(model->store, g, error);
    for (int i = 0; status == GLIA_OK && i < glia_store_count(model->store); i++) {
        glia_array a = glia_store_entry(model->store, i);
        const glia_safetensor *t = glia_safetensors_find(file, a.name);
        memcpy(a.data, t->data, t->bytes);
    }
    return status;
}

static glia_status load(glia_model *model, const glia_safetensors *file, glia_error *error) {
    const char *text = glia_safetensors_get(file, "glia.graph");
    if (!text) {
        return glia_fail(error, GLIA_E_FORMAT,
                         "has tensors but no model graph ('glia.graph' in its metadata): only its weights can "
                         "be loaded");
    }
    glia_error reason = { 0 };
    glia_graph *graph = glia_graph_parse(text, strlen(text), &reason);
    if (!graph) return glia_fail(error, reason.status, "glia.graph: %s", reason.message);
    glia_graph_free(model->graph);
    model->graph = graph;
    if (graph->n_outputs == 0) return glia_fail(error, GLIA_E_FORMAT, "glia.graph: has no output");
    glia_status status = bind(model, file, error);
    for (int i = 0; status == GLIA_OK && i < file->n_metadata; i++) {
        const glia_pair *p = &file->metadata[i];
        if (!strncmp(p->key, "glia.", 5) || !p->key[0]) continue;
        status = glia_model_set(model, p->key, p->value, error);
    }
    return status;
}

glia_model *glia_model_load(const char *path, glia_error *error) {
    glia_tensor_file file;
    glia_error reason = { 0 };
    if (glia_tensors_open(path, &file, error) != GLIA_OK) return NULL;
    glia_model *model = glia_model_create(NULL, &reason);
    const glia_status status = model ? load(model, &file.tensors, &reason) : GLIA_E_NOMEM;
    glia_tensors_close(&file);
    if (status == GLIA_OK) return model;
    glia_model_free(model);
    glia_fail(error, status, "%s: %s", path, reason.message);
    return NULL;
}
