/* layerwise.c - answers for all nodes of a large graph: one layer after the other, each for some nodes at a time.
 *
 * The edges into nodes [a, b) lie one after the other, so a batch is a piece of the edges. Its nodes are renumbered:
 * the targets first, then the other sources in order of their first edge, which get no edges:
 *
 *     x (all nodes) ──► rows of the batch and its neighbours ──► layer ──► first b - a rows ──► next x
 */
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "data/graphs/graph_data.h"
#include "families/graphs/net.h"

typedef struct layerwise {
    const glia_graph_data *data;
    const glia_graph_layers *how;
    glia_store *store;
    glia_backend *backend;
    float *factors;          /* of the edges; NULL: none */
    int32_t *place, *others; /* (nodes) in the batch, -1: not there; (nodes) sources that are no targets */
    int64_t n_others;
    int64_t most_nodes, most_edges; /* of a batch */
} layerwise;

static int64_t last_of(const layerwise *w, int64_t first) { return GLIA_MIN(first + w->how->batch, w->data->nodes); }

/* Gives the nodes of a batch their places. */
static void enter(layerwise *w, int64_t first, int64_t last) {
    const glia_graph_data *d = w->data;
    w->n_others = 0;
    for (int64_t v = first; v < last; v++) w->place[v] = (int32_t)(v - first);
    for (int32_t e = d->offsets[first]; e < d->offsets[last]; e++) {
        const int32_t u = d->sources[e];
        if (w->place[u] >= 0) continue;
        w->place[u] = (int32_t)(last - first + w->n_others);
        w->others[w->n_others++] = u;
    }
}

static void leave(layerwise *w, int64_t first, int64_t last) {
    for (int64_t v = first; v < last; v++) w->place[v] = -1;
    for (int64_t i = 0; i < w->n_others; i++) w->place[w->others[i]] = -1;
}

static glia_status begin(layerwise *w, glia_error *error) {
    const glia_graph_data *d = w->data;
    w->place = malloc((size_t)d->nodes * sizeof *w->place);
    w->others = malloc((size_t)d->nodes * sizeof *w->others);
    if (w->how->norm != GLIA_EDGES_PLAIN) w->factors = malloc(((size_t)d->edges + 1) * sizeof *w->factors);
    if (!w->place || !w->others || (w->how->norm != GLIA_EDGES_PLAIN && !w->factors)) return glia_fail_nomem(error);
    for (int64_t v = 0; v < d->nodes; v++) w->place[v] = -1;
    for (int64_t first = 0; first < d->nodes; first += w->how->batch) {
        const int64_t last = last_of(w, first);
        enter(w, first, last);
        w->most_nodes = GLIA_MAX(w->most_nodes, last - first + w->n_others);
        w->most_edges = GLIA_MAX(w->most_edges, d->offsets[last] - d->offsets[first]);
        leave(w, first, last);
    }
    w->most_edges = GLIA_MAX(w->most_edges, 1);
    return w->factors ? glia_graph_data_weights(d, w->how->norm, w->factors, error) : GLIA_OK;
}

/* The inputs for a batch; rows that it does not have are zeros, without edges. */
static void fill(const layerwise *w, glia_session *s, const float *x, int64_t width, int64_t first, int64_t last) {
    const glia_graph_data *d = w->data;
    const int32_t edge = d->offsets[first], edges = d->offsets[last] - edge;
    const size_t row = (size_t)width * sizeof *x;
    glia_array a;
    float *rows = glia_session_input(s, "x", &a, NULL), *weights = glia_session_input(s, "edges/weights", NULL, NULL);
    int32_t *sources = glia_session_input(s, "edges/sources", NULL, NULL);
    int32_t *offsets = glia_session_input(s, "edges/offsets", NULL, NULL);
    if (rows) {
        memset(rows, 0, glia_shape_bytes(a.shape, a.dtype));
        memcpy(rows, x + first * width, (size_t)(last - first) * row);
        for (int64_t i = 0; i < w->n_others; i++)
            memcpy(rows + (last - first + i) * width, x + w->others[i] * width, row);
    }
    for (int64_t i = 0; sources && i < w->most_edges; i++) sources[i] = i < edges ? w->place[d->sources[edge + i]] : 0;
    for (int64_t i = 0; weights && i < w->most_edges; i++) weights[i] = i < edges ? w->factors[edge + i] : 0;
    for (int64_t i = 0; offsets && i <= w->most_nodes; i++)
        offsets[i] = i <= last - first ? d->offsets[first + i] - edge : edges;
}

/* All nodes through a session of one layer. */
static glia_status run_batches(layerwise *w, glia_session *s, const float *x, int64_t width, float *y, int64_t columns,
                               glia_error *error) {
    glia_status status = GLIA_OK;
    for (int64_t first = 0; status == GLIA_OK && first < w->data->nodes; first += w->how->batch) {
        const int64_t last = last_of(w, first);
        enter(w, first, last);
        fill(w, s, x, width, first, last);
        leave(w, first, last);
        status = glia_session_run(s, error);
        if (status == GLIA_OK)
            memcpy(y + first * columns, glia_session_output(s, 0).data, (size_t)((last - first) * columns) * sizeof *y);
    }
    return status;
}

/* One layer: x (nodes, width) -> *y (nodes, *columns), malloc()ed. */
static glia_status run_layer(layerwise *w, int layer, const float *x, int64_t width, float **y, int64_t *columns,
                             glia_error *error) {
    glia_graph *g = glia_graph_create();
    if (!g) return glia_fail_nomem(error);
    glia_error reason = { 0 };
    glia_program *program = NULL;
    glia_session *session = NULL;
    glia_tensor in = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_NODES, width));
    glia_tensor out = w->how->build(in, glia_edges_input(g, w->factors != NULL), layer, w->how->context);
    glia_status status = glia_graph_check(g, &reason);
    const bool fits = !glia_is_bad(out) && out->graph == g && out->dtype == GLIA_F32 && out->shape.rank == 2 &&
                      out->shape.dim[0] == GLIA_NODES && out->shape.dim[1] > 0;
    if (status == GLIA_OK && !fits)
        status = glia_fail(&reason, GLIA_E_SHAPE, "glia_graph_infer_layers: layer %d is not (V, K), f32", layer);
    if (status == GLIA_OK) {
        *columns = out->shape.dim[1];
        *y = malloc((size_t)(w->data->nodes * *columns) * sizeof **y);
        if (!*y) status = glia_fail_nomem(&reason);
    }
    if (status == GLIA_OK) {
        const glia_compile_opts opts = {
            .outputs = &out, .n_outputs = 1, .nodes = w->most_nodes, .edges = w->most_edges, .mode = GLIA_INFER
        };
        program = glia_compile(g, w->backend, opts, &reason);
        session = program ? glia_session_create(program, w->store, &reason) : NULL;
        status = session ? run_batches(w, session, x, width, *y, *columns, &reason) : reason.status;
    }
    glia_session_free(session);
    glia_program_free(program);
    glia_graph_free(g);
    return status == GLIA_OK ? GLIA_OK : glia_fail(error, status, "%s", reason.message);
}

static glia_status run_layers(layerwise *w, const glia_graph_array *x, float *out, int64_t columns, glia_error *error) {
    const float *now = (const float *)(const void *)x->values;
    int64_t width = (int64_t)(x->bytes / sizeof(float));
    float *owned = NULL;
    glia_status status = begin(w, error);
    for (int i = 0; status == GLIA_OK && i < w->how->layers; i++) {
        float *next = NULL;
        int64_t k = 0;
        status = run_layer(w, i, now, width, &next, &k, error);
        free(owned);
        now = owned = next;
        width = k;
    }
    if (status == GLIA_OK && width != columns)
        status = glia_fail(error, GLIA_E_SHAPE, "glia_graph_infer_layers: the last layer has %lld columns, not %lld",
                           (long long)width, (long long)columns);
    if (status == GLIA_OK) memcpy(out, now, (size_t)(w->data->nodes * columns) * sizeof *out);
    free(owned);
    return status;
}

glia_status glia_graph_infer_layers(const glia_graph_data *data, glia_store *store, glia_graph_layers how, float *out,
                                    int64_t columns, glia_error *error) {
    if (!data || !store || !out) return glia_fail_null(error, !data ? "data" : !store ? "store" : "out");
    if (!how.build) return glia_fail_null(error, "build");
    if (how.layers < 1 || how.batch < 0 || (int)how.norm < 0 || how.norm > GLIA_EDGES_MEAN)
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_graph_infer_layers: %d layers, batches of %lld", how.layers,
                         (long long)how.batch);
    glia_error reason = { 0 };
    const glia_graph_array *x = glia_graph_need(data, GLIA_OF_NODES, "x", GLIA_F32, "glia_graph_infer_layers", &reason);
    if (!x) return glia_fail(error, reason.status, "%s", reason.message);
    if (!how.batch) how.batch = 4096;
    layerwise w = { .data = data, .how = &how, .store = store };
    w.backend = how.backend ? how.backend : glia_backend_open("cpu", how.threads, &reason);
    if (!w.backend) return glia_fail(error, reason.status, "%s", reason.message);
    const glia_status status = run_layers(&w, x, out, columns, error);
    free(w.factors);
    free(w.place);
    free(w.others);
    if (!how.backend) glia_backend_close(w.backend);
    return status;
}
