/* frozen_net.c - see frozen_net.h. */
#include "families/generative/frozen_net.h"

#include <stdlib.h>
#include <string.h>

#include "core/graph/modal.h"
#include "families/generative/feature_net.h"
#include "train/model/model.h"

#define PREFIX "classifier/"

/* ---- opening ---------------------------------------------------------------------------------------- */

static glia_graph *in_evaluation(const glia_graph *model, glia_error *error) {
    glia_graph *g = NULL;
    for (glia_modal_expansion e = { .again = true }; e.again;) {
        e.again = false;
        glia_graph *next = glia_graph_rewrite(g ? g : model, glia_expand_modal, &e, NULL, false, error);
        glia_graph_free(g);
        if (!next) return NULL;
        g = next;
    }
    return g;
}

static glia_status check(glia_frozen_net *net, const char *path, glia_shape sample, glia_error *error) {
    const glia_status status = glia_picture_model_check(net->model, path, sample, &net->sample, error);
    if (status != GLIA_OK) return status;
    char shape[GLIA_SHAPE_TEXT];
    glia_tensor y = glia_model_output_at(net->model, 0, NULL);
    if (!y || y->shape.rank != 2 || y->shape.dim[0] != GLIA_BATCH || y->shape.dim[1] < 2 || y->dtype != GLIA_F32)
        return glia_fail(error, GLIA_E_SHAPE, "%s is no classifier of pictures: its output is %s, not (N, classes)",
                         path, y ? glia_shape_format(y->shape, shape) : "missing");
    if (glia_model_input_at(net->model, 1, NULL))
        return glia_fail(error, GLIA_E_ARGUMENT, "%s is no classifier of pictures: it has more than one input", path);
    net->classes = y->shape.dim[1];
    net->graph = in_evaluation(net->model->graph, error);
    if (!net->graph) return GLIA_E_INTERNAL;
    for (int i = 0; i < net->graph->n_nodes; i++)
        if (glia_is_random_state(net->graph->nodes[i]))
            return glia_fail(error, GLIA_E_UNSUPPORTED, "%s draws random numbers when it is evaluated", path);
    return GLIA_OK;
}

glia_status glia_frozen_net_open(glia_frozen_net *net, const char *path, glia_shape sample, glia_error *error) {
    glia_error reason = { 0 };
    *net = (glia_frozen_net){ .model = glia_picture_model_load(path, &reason) };
    if (net->model && check(net, path, sample, &reason) == GLIA_OK) {
        net->hash = glia_picture_model_hash(net->model);
        return GLIA_OK;
    }
    glia_frozen_net_close(net);
    return glia_fail(error, reason.status, "%s", reason.message);
}

void glia_frozen_net_close(glia_frozen_net *net) {
    glia_graph_free(net->graph);
    glia_model_free(net->model);
    *net = (glia_frozen_net){ 0 };
}

/* ---- use -------------------------------------------------------------------------------------------- */

/* What takes the place of a leaf in the graph of x: x itself for the input, a state for a parameter or state. */
static glia_tensor replace_leaf(glia_graph *to, const glia_node *n, glia_tensor x) {
    if (!glia_is_parameter(n) && !glia_is_state(n)) return x;
    const char *name = glia_arena_printf(&to->arena, PREFIX "%s", glia_leaf_of(n)->name);
    if (!name) return glia_graph_fail_nomem(to);
    return glia_state(to, name, n->dtype, n->shape, (glia_init){ .kind = GLIA_INIT_ZEROS });
}

glia_tensor glia_frozen_net_logits(const glia_frozen_net *net, glia_tensor x) {
    if (glia_is_bad(x)) return x;
    const glia_graph *from = net->graph;
    glia_graph *to = x->graph;
    glia_shape shape = { .rank = net->sample.rank + 1, .dim = { x->shape.dim[0] } };
    memcpy(shape.dim + 1, net->sample.dim, (size_t)net->sample.rank * sizeof *shape.dim);
    if (!glia_shape_equal(shape, x->shape)) x = glia_reshape(x, shape);
    int most = 1;
    for (int id = 0; id < from->n_nodes; id++) most = GLIA_MAX(most, from->nodes[id]->n_in);
    glia_tensor *made = calloc((size_t)from->n_nodes, sizeof *made), *in = calloc((size_t)most, sizeof *in);
    if (!made || !in) glia_graph_fail_nomem(to);
    for (int id = 0; made && in && !glia_is_bad(x) && id < from->n_nodes; id++) {
        const glia_node *n = from->nodes[id];
        const bool given = n->op->flags & GLIA_OP_LEAF && !glia_is_constant(n);
        for (int i = 0; i < n->n_in; i++) in[i] = made[n->in[i]->id];
        made[id] = given ? replace_leaf(to, n, x) : glia_node_copy(to, n, in, NULL);
    }
    glia_tensor y = made && in && !glia_is_bad(x) ? made[from->outputs[0].node->id] : to->bad;
    free(made);
    free(in);
    return y;
}

void glia_frozen_net_fill(const glia_frozen_net *net, glia_store *store) {
    const size_t prefix = strlen(PREFIX);
    for (int i = 0; i < glia_store_count(store); i++) {
        const glia_array to = glia_store_entry(store, i);
        glia_array from;
        if (strncmp(to.name, PREFIX, prefix) == 0 && glia_store_look(net->model->store, to.name + prefix, &from))
            memcpy(to.data, from.data, glia_shape_bytes(to.shape, to.dtype));
    }
    glia_store_touch_own(store);
}
