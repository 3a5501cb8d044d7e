/* transfer.c - parts of a model: cutting, heads, blocks, batch norms with fixed statistics. See glia/transfer.h. */
#include "glia/transfer.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "train/model/task.h"

/* ---- cutting -------------------------------------------------------------------------------- */

/* The values of the graph's leaves, from another store. */
static glia_store *take_values(const glia_graph *g, const glia_store *from, glia_error *error) {
    glia_store *store = glia_store_create_over(NULL, error);
    if (store && glia_store_reserve(store, g, error) != GLIA_OK) {
        glia_store_free(store);
        return NULL;
    }
    for (int i = 0; store && i < glia_store_count(store); i++) {
        const glia_array to = glia_store_entry(store, i);
        glia_array own;
        if (glia_store_look(from, to.name, &own))
            memcpy(to.data, own.data, (size_t)glia_shape_count(to.shape) * glia_dtype_size(to.dtype));
    }
    return store;
}

/* The graph with the layer as its only output, and nothing that it does not need. */
static glia_graph *cut_graph(const glia_graph *from, const char *layer, glia_error *error) {
    glia_graph *whole = glia_graph_copy(from, error);
    if (!whole) return NULL;
    glia_tensor y = glia_layer_output(whole, layer);
    whole->n_outputs = 0;
    whole->n_updates = 0;
    if (!glia_is_bad(y)) glia_graph_output(whole, "features", y);
    glia_graph *part =
        glia_graph_check(whole, error) == GLIA_OK ? glia_graph_rewrite(whole, NULL, NULL, NULL, false, error) : NULL;
    glia_graph_free(whole);
    return part;
}

glia_model *glia_model_cut(glia_model *model, const char *layer, glia_error *error) {
    if (!model) return glia_fail_null(error, "glia_model_cut: model"), NULL;
    if (!layer) return glia_fail_null(error, "glia_model_cut: layer"), NULL;
    if (glia_graph_check(model->graph, error) != GLIA_OK) return NULL;
    glia_error reason = { 0 };
    glia_model *part = glia_model_create(NULL, &reason);
    glia_graph *graph = part ? cut_graph(model->graph, layer, &reason) : NULL;
    bool done = graph != NULL;
    if (done) {
        glia_graph_free(part->graph);
        part->graph = graph;
        part->store = model->store ? take_values(graph, model->store, &reason) : NULL;
        done = part->store || !model->store;
    }
    for (int i = 0; done && i < model->n_meta; i++)
        done = glia_model_set(part, model->meta[i].key, model->meta[i].value, &reason) == GLIA_OK;
    if (done) return part;
    glia_model_free(part);
    glia_fail(error, reason.status, "%s", reason.message);
    return NULL;
}

void glia_model_head(glia_model *model, const char *name, glia_tensor y) {
    if (!model || glia_is_bad(y)) return;
    if (y->graph == model->graph) model->graph->n_outputs = 0;
    glia_model_output(model, name, y);
}

/* ---- blocks --------------------------------------------------------------------------------- */

static bool is_number(const char *from, const char *end) {
    for (; from < end && isdigit((unsigned char)*from); from++) {}
    return from == end;
}

/* The length of the block's part of a parameter's name. */
static size_t block_length(const char *name) {
    const char *last = strrchr(name, '/'), *end = last ? last : name + strlen(name);
    for (const char *at = name; at < end;) {
        const char *slash = memchr(at, '/', (size_t)(end - at)), *stop = slash ? slash : end;
        if (stop > at && isdigit((unsigned char)stop[-1])) {
            const char *next = stop < end ? memchr(stop + 1, '/', (size_t)(end - stop - 1)) : NULL;
            const char *next_stop = next ? next : end;
            if (stop < end && is_number(stop + 1, next_stop)) stop = next_stop;
            return (size_t)(stop - name);
        }
        at = stop + 1;
    }
    return (size_t)(end - name);
}

/* The block of each parameter in the order of the graph; NULL: out of memory. */
typedef struct blocks {
    glia_block *list;
    int n;
    const glia_node **parameters;
    int *of; /* the index of each parameter's block */
    int n_parameters;
} blocks;

static void free_blocks(blocks *b) {
    free(b->list);
    free(b->parameters);
    free(b->of);
}

/* Whether no parameter of the run of parameters with this block's name has two axes: norms, and single biases. */
static bool is_small(const glia_graph *g, int from, const char *name, size_t length) {
    for (int i = from; i < g->n_nodes; i++) {
        if (!glia_is_parameter(g->nodes[i])) continue;
        const char *other = glia_leaf_of(g->nodes[i])->name;
        if (block_length(other) != length || strncmp(other, name, length) != 0) return true;
        if (g->nodes[i]->shape.rank > 1) return false;
    }
    return true;
}

static bool find_blocks(blocks *b, const glia_graph *g) {
    *b = (blocks){ 0 };
    const size_t most = (size_t)g->n_nodes + 1;
    b->list = calloc(most, sizeof *b->list);
    b->parameters = calloc(most, sizeof(const glia_node *));
    b->of = calloc(most, sizeof *b->of);
    if (!b->list || !b->parameters || !b->of) return false;
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *p = g->nodes[i];
        if (!glia_is_parameter(p)) continue;
        const char *name = glia_leaf_of(p)->name;
        const size_t length = GLIA_MIN(block_length(name), (size_t)GLIA_BLOCK_TEXT - 1);
        int k = 0;
        for (; k < b->n; k++) {
            if (strlen(b->list[k].name) == length && !strncmp(b->list[k].name, name, length)) break;
        }
        const bool fresh = k == b->n, joins = fresh && b->n > 0 && is_small(g, i, name, length);
        if (joins) k = b->n - 1;
        if (fresh && !joins) {
            memcpy(b->list[b->n].name, name, length);
            b->n++;
        }
        b->list[k].parameters += glia_shape_count(p->shape);
        b->parameters[b->n_parameters] = p;
        b->of[b->n_parameters++] = k;
    }
    return true;
}

int glia_model_blocks(const glia_model *model, glia_block *list, int capacity) {
    if (!model || glia_graph_check(model->graph, NULL) != GLIA_OK) return -1;
    blocks b;
    const int n = find_blocks(&b, model->graph) ? b.n : -1;
    for (int i = 0; list && i < n && i < capacity; i++) list[i] = b.list[i];
    free_blocks(&b);
    return n;
}

glia_status glia_model_freeze_blocks(glia_model *model, int keep, glia_error *error) {
    if (!model) return glia_fail_null(error, "glia_model_freeze_blocks: model");
    glia_status status = glia_graph_check(model->graph, error);
    if (status != GLIA_OK) return status;
    blocks b;
    status = find_blocks(&b, model->graph) ? GLIA_OK : glia_fail_nomem(error);
    if (status == GLIA_OK && (keep < 1 || keep >= b.n))
        status = glia_fail(error, GLIA_E_ARGUMENT,
                           "freezing all but the last %d blocks: the model has %d, so 1 to %d can be left", keep, b.n,
                           b.n - 1);
    for (int i = 0; status == GLIA_OK && i < b.n_parameters; i++)
        glia_freeze(model->graph, glia_leaf_of(b.parameters[i])->name, b.of[i] < b.n - keep);
    if (status == GLIA_OK) status = glia_graph_check(model->graph, error);
    free_blocks(&b);
    return status;
}

/* One group for each block, whose pattern lists the block's parameters. */
static glia_status make_groups(const blocks *b, double decay, glia_parameter_group **groups, glia_error *error) {
    size_t bytes = (size_t)b->n * sizeof **groups;
    for (int i = 0; i < b->n_parameters; i++) bytes += strlen(glia_leaf_of(b->parameters[i])->name) + 1;
    *groups = calloc(1, bytes + 1);
    if (!*groups) return glia_fail_nomem(error);
    char *at = (char *)(*groups + b->n);
    for (int k = 0; k < b->n; k++) {
        (*groups)[k] = (glia_parameter_group){ .pattern = at, .lr_scale = pow(decay, b->n - 1 - k) };
        for (int i = 0; i < b->n_parameters; i++) {
            if (b->of[i] != k) continue;
            const char *name = glia_leaf_of(b->parameters[i])->name;
            const size_t length = strlen(name);
            memcpy(at, name, length);
            at += length;
            *at++ = ',';
        }
        at[-1] = 0;
    }
    return GLIA_OK;
}

glia_status glia_model_depth_rates(const glia_model *model, double decay, glia_parameter_group **groups, int *n,
                                   glia_error *error) {
    if (!model) return glia_fail_null(error, "glia_model_depth_rates: model");
    if (!groups) return glia_fail_null(error, "glia_model_depth_rates: groups");
    if (!n) return glia_fail_null(error, "glia_model_depth_rates: n");
    *groups = NULL;
    *n = 0;
    if (!(decay > 0 && decay <= 1))
        return glia_fail(error, GLIA_E_ARGUMENT, "rates by depth: the factor %g is not in (0, 1]", decay);
    glia_status status = glia_graph_check(model->graph, error);
    if (status != GLIA_OK) return status;
    blocks b;
    status = find_blocks(&b, model->graph) ? make_groups(&b, decay, groups, error) : glia_fail_nomem(error);
    if (status == GLIA_OK) *n = b.n;
    free_blocks(&b);
    return status;
}

/* ---- batch norms ---------------------------------------------------------------------------- */

typedef struct fixing {
    const char *pattern;
    int n;
} fixing;

static glia_tensor fix_norm(glia_graph *to, const glia_node *node, const glia_tensor *in, void *context) {
    fixing *f = context;
    if (node->op != &glia_op_batch_norm) return NULL;
    if (f->pattern && !(node->label && glia_glob(f->pattern, node->label))) return NULL;
    const char *before = glia_graph_label(to, node->label);
    glia_tensor y = node->op->expand(node, in, GLIA_INFER);
    glia_graph_label(to, before);
    f->n++;
    return y;
}

glia_status glia_model_fix_norms(glia_model *model, const char *pattern, glia_error *error) {
    if (!model) return glia_fail_null(error, "glia_model_fix_norms: model");
    glia_status status = glia_graph_check(model->graph, error);
    if (status != GLIA_OK) return status;
    fixing f = { .pattern = pattern };
    glia_error reason = { 0 };
    glia_graph *fixed = glia_graph_rewrite(model->graph, fix_norm, &f, NULL, true, &reason);
    if (!fixed) return glia_fail(error, reason.status, "%s", reason.message);
    status = glia_graph_check(fixed, error);
    if (status == GLIA_OK && f.n == 0)
        status = glia_fail(error, GLIA_E_NOT_FOUND, "fixing statistics: the model has no batch norm%s%s",
                           pattern ? " that matches " : "", pattern ? pattern : "");
    if (status == GLIA_OK) {
        glia_model_forget(model);
        glia_graph *old = model->graph;
        model->graph = fixed;
        fixed = old;
    }
    glia_graph_free(fixed);
    return status;
}
