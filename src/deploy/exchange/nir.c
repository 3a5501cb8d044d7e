/* nir.c - spiking nets as files of NIR, the Neuromorphic Intermediate Representation (Pedersen et al. 2024), in HDF5:
 *
 *     /version              text
 *     /node/type            "NIRGraph"
 *     /node/nodes/NAME/     type, and what the type has: weight, bias; tau, r, v_leak, v_threshold, v_reset; ...
 *     /node/edges           (edges, 2) names
 *
 * NIR's neurons are differential equations in seconds, tau dv/dt = v_leak - v + r I. A step of dt by Euler's method is
 * v' = (1 - dt / tau) v + dt r / tau I, which is the unit of this library, v' = beta v + I, with tau = dt / (1 - beta)
 * and r = tau / dt; at beta = 1, NIR's IF, dv/dt = r I with r = 1 / dt. In the same way a synaptic current keeps alpha
 * with tau_syn = dt / (1 - alpha), w_in = tau_syn / dt.
 *
 * The graph is followed from the output back to the input; a mean or sum over the steps at the end is left out.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "core/program/store.h"
#include "data/formats/hdf5.h"
#include "glia/exchange.h"
#include "train/model/model.h"

enum { MOST_NODES = 256, NAME = 128 };

typedef struct export {
    const glia_model *model;
    double dt;
    glia_hdf5 *file;
    int n; /* nodes, from the output on */
    char names[MOST_NODES][NAME];
    char path[NAME + 64]; /* see path_of() */
    glia_error *error;
}
export;

/* ---- nodes of the file ---------------------------------------------------------------------------- */

/* The path of a field of the last node; "": of the node. */
static const char *path_of(export *x, const char *field) {
    snprintf(x->path, sizeof x->path, "node/nodes/%s%s%s", x->names[x->n - 1], *field ? "/" : "", field);
    return x->path;
}

static void add_text(export *x, const char *path, const char *words) {
    glia_hdf5_texts(x->file, path, GLIA_SCALAR, strlen(words), words);
}

/* `value` for each of n units. */
static glia_status add_same(export *x, const char *field, int64_t n, double value) {
    float *values = malloc((size_t)n * sizeof *values);
    if (!values) return glia_fail_nomem(x->error);
    for (int64_t i = 0; i < n; i++) values[i] = (float)value;
    glia_hdf5_array(x->file, path_of(x, field), GLIA_F32, GLIA_SHAPE(n), values);
    free(values);
    return GLIA_OK;
}

/* Sizes of a shape from `axis` on, as an array of integers. */
static void add_sizes(export *x, const char *field, const glia_shape *shape, int axis) {
    glia_hdf5_array(x->file, path_of(x, field), GLIA_I64, GLIA_SHAPE(shape->rank - axis), shape->dim + axis);
}

/* Begins a node "LAYER.SUFFIX", or "SUFFIX" without a layer. '/' separates groups in HDF5, so layers have '.'. */
static glia_status add_node(export *x, const char *layer, const char *suffix, const char *type) {
    if (x->n == MOST_NODES) return glia_fail(x->error, GLIA_E_UNSUPPORTED, "nir: more than %d nodes", MOST_NODES);
    char *name = x->names[x->n];
    const int length = snprintf(name, NAME, "%s%s%s", layer, *layer ? "." : "", suffix);
    if (length >= NAME) return glia_fail(x->error, GLIA_E_UNSUPPORTED, "nir: the name %s is too long", layer);
    for (char *c = name; *c; c++) *c = *c == '/' ? '.' : *c;
    for (int i = 0; i < x->n; i++) {
        if (strcmp(x->names[i], name) == 0)
            return glia_fail(x->error, GLIA_E_UNSUPPORTED, "nir: two nodes would be called '%s'", name);
    }
    x->n++;
    glia_hdf5_group(x->file, path_of(x, ""));
    add_text(x, path_of(x, "type"), type);
    return GLIA_OK;
}

/* ---- what the graph has --------------------------------------------------------------------------- */

static glia_status unknown(const export *x, const glia_node *n, const char *what) {
    return glia_fail(x->error, GLIA_E_UNSUPPORTED,
                     "nir: %s, but node %d is '%s'%s%s: only dense layers, flattening and leaky units without "
                     "loops are exported",
                     what, n->id, n->op->name, n->label ? " of layer " : "", n->label ? n->label : "");
}

/* The membranes (op lif) whose spikes this node is, as glia_spike() builds them; NULL: it is something else. */
static const glia_node *membranes_of(const glia_node *n) {
    if (n->op != &glia_op_custom_gradient) return NULL;
    n = n->in[0];
    if (n->op != &glia_op_cast || n->in[0]->op != &glia_op_greater) return NULL;
    double zero, minus_threshold;
    const glia_node *over = n->in[0]->in[0];
    if (!glia_is_constant_scalar(n->in[0]->in[1], &zero) || zero != 0 || over->op != &glia_op_add) return NULL;
    const glia_node *u = over->in[0];
    if (u->op != &glia_op_lif || !glia_is_constant_scalar(over->in[1], &minus_threshold)) return NULL;
    const glia_lif_attrs *a = u->attrs;
    return a->reset != GLIA_RESET_NONE && (float)minus_threshold == -(float)a->threshold ? u : NULL;
}

/* The product of a dense layer, through the addition of a bias. */
static const glia_node *product_of(const glia_node *n, const glia_node **bias) {
    *bias = NULL;
    if (n->op == &glia_op_add && n->in[1]->op == &glia_op_broadcast && glia_is_parameter(n->in[1]->in[0])) {
        *bias = n->in[1]->in[0];
        n = n->in[0];
    }
    if (n->op != &glia_op_matmul || !glia_is_parameter(n->in[1]) || n->in[1]->shape.rank != 2) return NULL;
    const glia_matmul_attrs *a = n->attrs;
    return !a->transpose_a && a->transpose_b && (!*bias || (*bias)->shape.rank == 1) ? n : NULL;
}

/* "hidden" for a product with "hidden/kernel". */
static void name_layer(const glia_node *product, char layer[NAME]) {
    const char *kernel = glia_leaf_of(product->in[1])->name, *end = strrchr(kernel, '/');
    snprintf(layer, NAME, "%.*s", (int)(end ? end - kernel : (ptrdiff_t)strlen(kernel)), kernel);
}

static glia_status add_parameter(export *x, const char *field, const glia_node *leaf) {
    glia_array values;
    const char *wanted = glia_leaf_of(leaf)->name;
    if (!x->model->store || !glia_store_look(x->model->store, wanted, &values) || values.dtype != GLIA_F32)
        return glia_fail(x->error, GLIA_E_ARGUMENT, "nir: the model has no f32 values of '%s'", wanted);
    glia_hdf5_array(x->file, path_of(x, field), GLIA_F32, values.shape, values.data);
    return GLIA_OK;
}

/* ---- the walk ------------------------------------------------------------------------------------- */

static glia_status add_layer(export *x, const glia_node *product, const glia_node *bias) {
    char layer[NAME];
    name_layer(product, layer);
    glia_status status = add_node(x, layer, bias ? "affine" : "linear", bias ? "Affine" : "Linear");
    if (status == GLIA_OK) status = add_parameter(x, "weight", product->in[1]);
    return status == GLIA_OK && bias ? add_parameter(x, "bias", bias) : status;
}

/* Units with the membranes u; *source becomes their input. */
static glia_status add_units(export *x, const glia_node *u, bool silent, const glia_node **source) {
    const glia_lif_attrs *a = u->attrs, *synapse = NULL;
    *source = u->in[0];
    if ((*source)->op == &glia_op_lif) {
        synapse = (*source)->attrs;
        if (synapse->reset != GLIA_RESET_NONE) return unknown(x, *source, "a layer of units needs a layer before it");
        *source = (*source)->in[0];
    }
    const glia_node *bias, *product = product_of(*source, &bias);
    if (u->shape.rank != 3) return unknown(x, u, "units should be (N, T, F)");
    if (!product) return unknown(x, *source, "units should have a dense layer before them");
    const int64_t n = u->shape.dim[2];
    const bool integrates = a->beta == 1;
    if (integrates && (silent || synapse))
        return unknown(x, u, "NIR's units without a leak spike and have no synapses");
    if (synapse && synapse->beta == 1) return unknown(x, u, "NIR's synaptic currents decay");
    const double tau = x->dt / (1 - a->beta), tau_syn = synapse ? x->dt / (1 - synapse->beta) : 0;
    const struct {
        const char *name;
        bool given;
        double value;
    } values[] = { { synapse ? "tau_mem" : "tau", !integrates, tau },
                   { "r", true, integrates ? 1 / x->dt : tau / x->dt },
                   { "v_leak", !integrates, 0 },
                   { "v_threshold", !silent, a->threshold },
                   { "v_reset", !silent, 0 },
                   { "tau_syn", synapse != NULL, tau_syn },
                   { "w_in", synapse != NULL, tau_syn / x->dt } };
    char layer[NAME];
    name_layer(product, layer);
    const char *type = integrates ? "IF" : synapse ? (silent ? "CubaLI" : "CubaLIF") : silent ? "LI" : "LIF";
    glia_status status = add_node(x, layer, "units", type);
    for (int i = 0; i < GLIA_COUNT(values) && status == GLIA_OK; i++) {
        if (values[i].given) status = add_same(x, values[i].name, n, values[i].value);
    }
    if (status == GLIA_OK && !silent) {
        glia_hdf5_group(x->file, path_of(x, "metadata"));
        add_text(x, path_of(x, "metadata/reset"), a->reset == GLIA_RESET_SUBTRACT ? "subtract" : "zero");
    }
    return status;
}

static glia_status add_end(export *x, const char *name, const char *type, const glia_shape *shape, int axis) {
    glia_status status = add_node(x, "", name, type);
    if (status == GLIA_OK) add_sizes(x, "shape", shape, axis);
    return status;
}

/* A reshape of samples to vectors; spikes that are already vectors stay as they are. */
static glia_status add_flatten(export *x, const glia_node *n) {
    const glia_shape *from = &n->in[0]->shape;
    const bool steps = n->shape.rank == 3;
    if (n->shape.rank - steps != 2 || from->rank < 2 + steps || (steps && from->dim[1] != n->shape.dim[1]))
        return unknown(x, n, "a reshape should flatten each sample");
    glia_status status = add_node(x, "", "flatten", "Flatten");
    if (status != GLIA_OK) return status;
    const int64_t first = 0, last = -1;
    glia_hdf5_array(x->file, path_of(x, "start_dim"), GLIA_I64, GLIA_SCALAR, &first);
    glia_hdf5_array(x->file, path_of(x, "end_dim"), GLIA_I64, GLIA_SCALAR, &last);
    add_sizes(x, "input_type", from, 1 + steps);
    return GLIA_OK;
}

static glia_status follow(export *x, const glia_node *n) {
    if (n->op == &glia_op_mean || n->op == &glia_op_sum) {
        const glia_reduce_attrs *a = n->attrs;
        if (a->axes.rank != 1 || a->axes.dim[0] != 1 || a->keep)
            return unknown(x, n, "a mean should be over the steps");
        n = n->in[0];
    }
    if (n->shape.rank != 3) return unknown(x, n, "the output should be (N, T, F), or its mean or sum over T");
    glia_status status = add_end(x, "output", "Output", &n->shape, 2);
    bool same_in_all_steps = false;
    while (status == GLIA_OK && !glia_is_input(n)) {
        const glia_node *u = membranes_of(n), *bias, *product = product_of(n, &bias);
        const bool silent = n->op == &glia_op_lif && ((const glia_lif_attrs *)n->attrs)->reset == GLIA_RESET_NONE;
        if (u || silent) {
            u = u ? u : n;
            status = add_units(x, u, silent, &n);
            same_in_all_steps = n->shape.rank == 2;
        } else if (product) {
            status = add_layer(x, product, bias);
            n = product->in[0];
        } else if (n->op == &glia_op_reshape) {
            status = add_flatten(x, n);
            n = n->in[0];
        } else {
            return unknown(x, n, "a layer is expected");
        }
    }
    return status == GLIA_OK ? add_end(x, "input", "Input", &n->shape, same_in_all_steps ? 1 : 2) : status;
}

/* ---- the file ------------------------------------------------------------------------------------- */

/* (edges, 2) names, from the input on, as wide as the longest. */
static glia_status add_edges(export *x) {
    size_t width = 1;
    for (int i = 0; i < x->n; i++) width = GLIA_MAX(width, strlen(x->names[i]));
    const size_t edges = (size_t)x->n - 1;
    char *names = calloc(2 * edges, width);
    if (!names) return glia_fail_nomem(x->error);
    for (size_t i = 0; i < edges; i++) {
        const char *from = x->names[edges - i], *to = x->names[edges - i - 1];
        memcpy(names + 2 * i * width, from, strlen(from));
        memcpy(names + (2 * i + 1) * width, to, strlen(to));
    }
    glia_hdf5_texts(x->file, "node/edges", GLIA_SHAPE((int64_t)edges, 2), width, names);
    free(names);
    return GLIA_OK;
}

static glia_status write_graph(export *x, const glia_node *output, const char *path) {
    glia_status status = glia_hdf5_open(&x->file, x->error);
    if (status != GLIA_OK) return status;
    add_text(x, "version", "1.0.8");
    glia_hdf5_group(x->file, "node");
    glia_hdf5_group(x->file, "node/nodes");
    add_text(x, "node/type", "NIRGraph");
    status = follow(x, output);
    if (status == GLIA_OK) status = add_edges(x);
    if (status == GLIA_OK) status = glia_hdf5_save(x->file, path);
    glia_hdf5_free(x->file);
    return status;
}

glia_status glia_model_export_nir(const glia_model *model, const char *path, double dt, glia_error *error) {
    if (!model) return glia_fail_null(error, "model");
    if (!path) return glia_fail_null(error, "path");
    if (!isfinite(dt) || dt < 0) return glia_fail(error, GLIA_E_ARGUMENT, "nir: a step of %g seconds", dt);
    export *x = calloc(1, sizeof *x);
    if (!x) return glia_fail_nomem(error);
    x->model = model, x->dt = dt > 0 ? dt : 1e-4, x->error = error;
    const glia_node *output = glia_model_output_at(model, 0, NULL);
    const glia_status status = output ? write_graph(x, output, path)
                                      : glia_fail(error, GLIA_E_ARGUMENT, "nir: the model has no output");
    free(x);
    return status;
}
