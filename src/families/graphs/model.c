/* model.c - what a model of graphs is given: its inputs, the data prepared for it, predictions. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "data/graphs/graph_data.h"
#include "families/graphs/net.h"
#include "train/model/model.h"

/* ---- sizes and inputs ---------------------------------------------------------------------------- */

static int columns_of(const glia_graph_data *d, glia_graph_part part, const char *name) {
    glia_array a;
    if (!glia_graph_data_find(d, part, name, &a) || a.dtype != GLIA_F32 || a.shape.dim[0] < 1) return 0;
    return (int)(glia_shape_count(a.shape) / a.shape.dim[0]);
}

/* Entries of x that are not 0. */
static int64_t count_entries(const glia_graph_data *d) {
    glia_array x;
    int64_t n = 0;
    if (!glia_graph_data_find(d, GLIA_OF_NODES, "x", &x) || x.dtype != GLIA_F32) return 0;
    const float *values = x.data;
    const int64_t all = glia_shape_count(x.shape);
    for (int64_t i = 0; i < all; i++) n += values[i] != 0;
    return n;
}

glia_graph_sizes glia_graph_data_sizes(const glia_graph_data *d) {
    glia_graph_sizes s = { 0 };
    glia_array types;
    if (!d) return s;
    s.graphs = glia_graph_data_find(d, GLIA_OF_GRAPHS, "label", NULL) ||
               glia_graph_data_find(d, GLIA_OF_GRAPHS, "target", NULL);
    const glia_graph_part part = s.graphs ? GLIA_OF_GRAPHS : GLIA_OF_NODES;
    s.nodes = d->nodes;
    s.features = columns_of(d, GLIA_OF_NODES, "x");
    s.edge_features = columns_of(d, GLIA_OF_EDGES, "x");
    s.outputs = glia_graph_data_classes(d, part);
    if (!s.outputs) s.outputs = columns_of(d, part, "target");
    if (glia_graph_data_find(d, GLIA_OF_EDGES, "type", &types) && types.dtype == GLIA_I32) {
        for (int64_t e = 0; e < d->edges; e++)
            s.relations = GLIA_MAX(s.relations, ((const int32_t *)types.data)[e] + 1);
    }
    s.sparse = !s.graphs && d->graphs == 1 && s.features &&
               10 * (double)count_entries(d) < (double)d->nodes * (double)s.features;
    return s;
}

glia_node_opts glia_model_nodes(glia_model *model, glia_graph_sizes s, int units, glia_tensor *x) {
    glia_graph *g = glia_model_graph(model);
    glia_node_opts o = { .units = units };
    if (!g || !x) return o;
    *x = NULL;
    if (s.features < 1) {
        *x = glia_graph_fail(g, GLIA_E_ARGUMENT, "the graph's nodes have no features x");
    } else if (s.sparse) {
        o.features = s.features;
        o.sparse = (glia_csr){ glia_input(g, "x/values", GLIA_F32, GLIA_SHAPE(GLIA_BATCH)),
                               glia_input(g, "x/columns", GLIA_I32, GLIA_SHAPE(GLIA_BATCH)),
                               glia_input(g, "x/offsets", GLIA_I32, GLIA_SHAPE(GLIA_PLUS_ONE(GLIA_NODES))) };
    } else {
        *x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_NODES, s.features));
    }
    return o;
}

static const char *const norm_names[] = { "plain", "symmetric", "mean" };

glia_edges glia_model_edges(glia_model *model, glia_edge_norm norm, bool loops) {
    char text[32];
    if (!model || (int)norm < 0 || norm > GLIA_EDGES_MEAN) return (glia_edges){ 0 };
    snprintf(text, sizeof text, "%s%s", norm_names[norm], loops ? " loops" : "");
    if (glia_model_set(model, "graph.edges", text, NULL) != GLIA_OK) glia_graph_fail_nomem(model->graph);
    return glia_edges_input(model->graph, norm != GLIA_EDGES_PLAIN);
}

glia_tensor glia_model_starts(glia_model *model) {
    if (!model) return NULL;
    return glia_input(model->graph, "graphs/starts", GLIA_I32, GLIA_SHAPE(GLIA_PLUS_ONE(GLIA_BATCH)));
}

glia_tensor glia_model_scale(glia_model *model, glia_tensor y) {
    if (!model || glia_is_bad(y)) return y;
    if (y->shape.rank != 2 || y->shape.dim[1] < 1)
        return glia_graph_fail(model->graph, GLIA_E_SHAPE, "glia_model_scale: y must be (N, K) with a fixed K");
    const glia_shape shape = GLIA_SHAPE(y->shape.dim[1]);
    const glia_init one = { .kind = GLIA_INIT_CONSTANT, .value = 1 }, zero = { .kind = GLIA_INIT_ZEROS };
    glia_tensor deviation = glia_state(model->graph, GLIA_TARGET_DEVIATION, GLIA_F32, shape, one);
    glia_tensor mean = glia_state(model->graph, GLIA_TARGET_MEAN, GLIA_F32, shape, zero);
    return glia_add(glia_mul(y, deviation), mean);
}

/* ---- data ----------------------------------------------------------------------------------------- */

static void scale_rows(const glia_array *x) {
    const int64_t rows = x->shape.dim[0], width = rows ? glia_shape_count(x->shape) / rows : 0;
    for (int64_t v = 0; v < rows; v++) {
        float *row = (float *)x->data + v * width;
        double sum = 0;
        for (int64_t k = 0; k < width; k++) sum += (double)row[k];
        for (int64_t k = 0; sum > 0 && k < width; k++) row[k] = (float)((double)row[k] / sum);
    }
}

/* A copy with the same arrays. */
static glia_graph_data *copy_data(const glia_graph_data *d, glia_error *error) {
    int64_t *all = malloc((size_t)d->graphs * sizeof *all);
    if (!all) {
        glia_fail_nomem(error);
        return NULL;
    }
    for (int64_t i = 0; i < d->graphs; i++) all[i] = i;
    glia_graph_data *copy = glia_graph_data_select(d, all, d->graphs, error);
    free(all);
    return copy;
}

glia_graph_data *glia_graph_prepared(const glia_model *model, const glia_graph_data *data, bool rows,
                                     glia_error *error) {
    const char *edges = glia_model_get(model, "graph.edges");
    glia_edge_norm norm = GLIA_EDGES_PLAIN;
    for (int i = 0; edges && i < GLIA_COUNT(norm_names); i++) {
        if (strncmp(edges, norm_names[i], strlen(norm_names[i])) == 0) norm = (glia_edge_norm)i;
    }
    glia_graph_data *d =
        edges && strstr(edges, "loops") ? glia_graph_data_add_loops(data, error) : copy_data(data, error);
    if (!d) return NULL;
    glia_array x;
    if (rows && glia_graph_data_find(d, GLIA_OF_NODES, "x", &x) && x.dtype == GLIA_F32) scale_rows(&x);
    float *factor = glia_graph_add_zeros(d, GLIA_OF_EDGES, "factor", GLIA_F32, GLIA_SCALAR, error);
    if (factor && glia_graph_data_weights(d, norm, factor, error) == GLIA_OK) return d;
    glia_graph_data_free(d);
    return NULL;
}

const int32_t *glia_graph_labels(const glia_graph_data *d, glia_graph_part part) {
    glia_array a;
    return glia_graph_data_find(d, part, "label", &a) && a.dtype == GLIA_I32 && a.shape.rank == 1 ? a.data : NULL;
}

const float *glia_graph_targets_of(const glia_graph_data *d, glia_graph_part part, int64_t *width) {
    glia_array a;
    if (!glia_graph_data_find(d, part, "target", &a) || a.dtype != GLIA_F32) return NULL;
    *width = glia_shape_count(a.shape) / GLIA_MAX(a.shape.dim[0], 1);
    return a.data;
}

const uint8_t *glia_graph_split_of(const glia_graph_data *d, glia_graph_part part) {
    glia_array a;
    return glia_graph_data_find(d, part, "split", &a) && a.dtype == GLIA_U8 && a.shape.rank == 1 ? a.data : NULL;
}

/* ---- programs --------------------------------------------------------------------------------------- */

glia_tensor glia_graph_answer(const glia_graph *g, const char *name) {
    for (int i = 0; i < g->n_outputs; i++) {
        if (!name || strcmp(g->outputs[i].name, name) == 0) return g->outputs[i].node;
    }
    return NULL;
}

void glia_graph_net_open(glia_graph_net *net, glia_graph *graph, glia_backend *backend, glia_store *store,
                         glia_compile_opts opts, const glia_graph_data *d, int64_t batch) {
    *net = (glia_graph_net){ .graph = graph, .backend = backend, .store = store, .opts = opts };
    net->exact = batch < 1;
    const bool sparse = glia_graph_find_leaf(graph, "x/values") != NULL;
    const double share = net->exact ? 1 : (double)GLIA_MIN(batch, d->graphs) / (double)d->graphs;
    net->nodes = GLIA_MAX((int64_t)ceil(share * (double)d->nodes), 1);
    net->edges = GLIA_MAX((int64_t)ceil(share * (double)d->edges), 1);
    net->graphs = net->exact ? d->graphs : batch;
    net->entries = sparse ? GLIA_MAX(count_entries(d), 1) : 0;
}

void glia_graph_net_close(glia_graph_net *net) {
    for (int i = 0; i < GLIA_GRAPH_LEVELS; i++) {
        glia_session_free(net->sessions[i]);
        glia_program_free(net->programs[i]);
        net->sessions[i] = NULL;
        net->programs[i] = NULL;
    }
}

/* Sizes grow by a fifth from level to level. */
static int64_t at_level(int64_t size, int level) { return (int64_t)ceil((double)size * pow(1.2, level)); }

static int level_for(const glia_graph_net *net, const glia_graph_data *d) {
    int level = 0;
    while (!net->exact && level < GLIA_GRAPH_LEVELS - 1 &&
           (at_level(net->nodes, level) < d->nodes || at_level(net->edges, level) < d->edges))
        level++;
    return level;
}

static glia_status compile(glia_graph_net *net, int level, glia_error *error) {
    if (net->sessions[level]) return GLIA_OK;
    glia_error reason = { 0 };
    glia_compile_opts opts = net->opts;
    opts.nodes = at_level(net->nodes, level);
    opts.edges = at_level(net->edges, level);
    opts.batch = net->entries ? net->entries : net->graphs;
    net->programs[level] = glia_compile(net->graph, net->backend, opts, &reason);
    if (net->programs[level]) net->sessions[level] = glia_session_create(net->programs[level], net->store, &reason);
    return net->sessions[level] ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

/* ---- inputs ------------------------------------------------------------------------------------------ */

/* Copies rows; those of the program that the batch does not have become zeros. */
static void fill(glia_session *s, const char *input, const void *from, size_t bytes) {
    glia_array a;
    uint8_t *to = from ? glia_session_input(s, input, &a, NULL) : NULL;
    if (!to) return;
    const size_t room = glia_shape_bytes(a.shape, a.dtype);
    memcpy(to, from, GLIA_MIN(bytes, room));
    if (bytes < room) memset(to + bytes, 0, room - bytes);
}

/* Offsets: rows that the batch does not have are empty. */
static void fill_offsets(glia_session *s, const char *input, const int32_t *from, int64_t n) {
    glia_array a;
    int32_t *to = glia_session_input(s, input, &a, NULL);
    if (!to) return;
    for (int64_t i = 0; i < a.shape.dim[0]; i++) to[i] = from[GLIA_MIN(i, n - 1)];
}

static void fill_sparse(glia_session *s, const glia_graph_data *d) {
    glia_array x;
    float *values = glia_session_input(s, "x/values", NULL, NULL);
    int32_t *columns = glia_session_input(s, "x/columns", NULL, NULL);
    int32_t *offsets = glia_session_input(s, "x/offsets", NULL, NULL);
    if (!values || !columns || !offsets || !glia_graph_data_find(d, GLIA_OF_NODES, "x", &x)) return;
    const int64_t width = glia_shape_count(x.shape) / d->nodes;
    int32_t at = 0;
    for (int64_t v = 0; v < d->nodes; v++) {
        offsets[v] = at;
        for (int64_t k = 0; k < width; k++) {
            const float value = ((const float *)x.data)[v * width + k];
            if (value == 0) continue;
            columns[at] = (int32_t)k;
            values[at++] = value;
        }
    }
    offsets[d->nodes] = at;
}

/* An array of the data for an input: f32 or i32, with as many numbers an item. */
static glia_status fill_array(const glia_graph_net *net, glia_session *s, const char *input, const glia_graph_data *d,
                              glia_graph_part part, const char *name, glia_error *error) {
    const glia_node *leaf = glia_graph_find_leaf(net->graph, input);
    if (!leaf) return GLIA_OK;
    glia_error reason = { 0 };
    const glia_graph_array *a = glia_graph_need(d, part, name, leaf->dtype, "the model", &reason);
    if (!a) return glia_fail(error, reason.status, "%s", reason.message);
    size_t item = glia_dtype_size(leaf->dtype);
    for (int i = 1; i < leaf->shape.rank; i++) item *= (size_t)leaf->shape.dim[i];
    if (item != a->bytes)
        return glia_fail(error, GLIA_E_SHAPE,
                         "the model takes %lld numbers '%s' for each of the %s, the data have %lld",
                         (long long)(item / glia_dtype_size(leaf->dtype)), name, glia_graph_part_name(part),
                         (long long)(a->bytes / glia_dtype_size(leaf->dtype)));
    fill(s, input, a->values, (size_t)glia_graph_items(d, part) * item);
    return GLIA_OK;
}

static glia_status fill_inputs(const glia_graph_net *net, glia_session *s, const glia_graph_data *d,
                               glia_error *error) {
    static const struct {
        const char *input, *name;
        glia_graph_part part;
    } arrays[] = { { "x", "x", GLIA_OF_NODES },
                   { "edges/weights", "factor", GLIA_OF_EDGES },
                   { "edges/types", "type", GLIA_OF_EDGES },
                   { "edges/x", "x", GLIA_OF_EDGES } };
    for (int i = 0; i < GLIA_COUNT(arrays); i++) {
        const glia_status status = fill_array(net, s, arrays[i].input, d, arrays[i].part, arrays[i].name, error);
        if (status != GLIA_OK) return status;
    }
    fill(s, "edges/sources", d->sources, (size_t)d->edges * sizeof *d->sources);
    fill_offsets(s, "edges/offsets", d->offsets, d->nodes + 1);
    fill_offsets(s, "graphs/starts", d->starts, d->graphs + 1);
    fill_sparse(s, d);
    return GLIA_OK;
}

/* An exact program needs just these sizes. */
static glia_status check_sizes(const glia_graph_net *net, const glia_graph_data *d, int level, glia_error *error) {
    const glia_node *columns = glia_graph_find_leaf(net->graph, "x/columns");
    if (columns && (d->nodes != net->nodes || count_entries(d) != net->entries))
        return glia_fail(error, GLIA_E_SHAPE, "the program was made for other features");
    if (at_level(net->nodes, level) >= d->nodes && at_level(net->edges, level) >= d->edges && net->graphs >= d->graphs)
        return GLIA_OK;
    return glia_fail(error, GLIA_E_ARGUMENT, "a batch of %lld nodes and %lld edges is too large", (long long)d->nodes,
                     (long long)d->edges);
}

glia_session *glia_graph_net_feed(glia_graph_net *net, const glia_graph_data *d, glia_error *error) {
    const int level = level_for(net, d);
    if (net->exact && net->filled) return net->sessions[0];
    if (check_sizes(net, d, level, error) != GLIA_OK || compile(net, level, error) != GLIA_OK ||
        fill_inputs(net, net->sessions[level], d, error) != GLIA_OK)
        return NULL;
    net->filled = net->exact;
    return net->sessions[level];
}

glia_session *glia_graph_net_run(glia_graph_net *net, const glia_graph_data *d, glia_error *error) {
    glia_session *s = glia_graph_net_feed(net, d, error);
    return s && glia_session_run(s, error) == GLIA_OK ? s : NULL;
}

void glia_graph_session_rate(glia_session *s, const char *name, double rate) {
    float *input = glia_session_input(s, name, NULL, NULL);
    if (input) *input = (float)rate;
}
