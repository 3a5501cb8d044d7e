/* parts.c - data of graphs made from others: chosen graphs, induced graphs, fewer or more edges; factors of edges. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/graphs/graph_data.h"

glia_graph_data *glia_graph_blank(const glia_graph_data *like, int64_t graphs, int64_t nodes, int64_t edges) {
    glia_graph_data *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->graphs = graphs;
    d->nodes = nodes;
    d->edges = d->given = edges;
    d->symmetric = like->symmetric;
    d->name = strdup(like->name);
    d->starts = calloc((size_t)graphs + 1, sizeof *d->starts);
    d->offsets = calloc((size_t)nodes + 1, sizeof *d->offsets);
    d->sources = calloc((size_t)edges + 1, sizeof *d->sources);
    if (d->name && d->starts && d->offsets && d->sources) return d;
    glia_graph_data_free(d);
    return NULL;
}

/* The items of a new object, as items of the old one. */
typedef struct choices {
    int64_t *of[GLIA_GRAPH_PARTS];
} choices;

static bool make_choices(choices *c, const glia_graph_data *d) {
    bool good = true;
    for (int part = 0; part < GLIA_GRAPH_PARTS; part++) {
        c->of[part] = calloc((size_t)glia_graph_items(d, (glia_graph_part)part) + 1, sizeof **c->of);
        good &= c->of[part] != NULL;
    }
    return good;
}

/* Copies arrays and classes, frees the choices, and returns d, or NULL after freeing it. */
static glia_graph_data *finish(glia_graph_data *d, const glia_graph_data *from, choices *c, glia_status status,
                               glia_error *error) {
    for (int part = 0; part < GLIA_GRAPH_PARTS; part++) {
        if (status == GLIA_OK) status = glia_graph_copy_arrays(d, from, (glia_graph_part)part, c->of[part], error);
        free(c->of[part]);
    }
    if (status == GLIA_OK && from->classes)
        status =
            glia_graph_data_name_classes(d, (const char *const *)(const void *)from->classes, from->n_classes, error);
    if (status == GLIA_OK) return d;
    glia_graph_data_free(d);
    return NULL;
}

/* ---- whole graphs -------------------------------------------------------------------------------- */

static glia_status count_graphs(const glia_graph_data *d, const int64_t *graphs, int64_t n, int64_t *nodes,
                                int64_t *edges, glia_error *error) {
    *nodes = *edges = 0;
    for (int64_t i = 0; i < n; i++) {
        if (graphs[i] < 0 || graphs[i] >= d->graphs)
            return glia_fail(error, GLIA_E_ARGUMENT, "there is no graph %lld among %lld", (long long)graphs[i],
                             (long long)d->graphs);
        const int32_t first = d->starts[graphs[i]], end = d->starts[graphs[i] + 1];
        *nodes += end - first;
        *edges += d->offsets[end] - d->offsets[first];
    }
    if (*nodes < INT32_MAX && *edges < INT32_MAX) return GLIA_OK;
    return glia_fail(error, GLIA_E_ARGUMENT, "a batch of %lld nodes and %lld edges is too large", (long long)*nodes,
                     (long long)*edges);
}

static void copy_graphs(glia_graph_data *to, const glia_graph_data *d, const int64_t *graphs, const choices *c) {
    int64_t node = 0, edge = 0;
    for (int64_t i = 0; i < to->graphs; i++) {
        const int32_t first = d->starts[graphs[i]], end = d->starts[graphs[i] + 1];
        to->starts[i] = (int32_t)node;
        c->of[GLIA_OF_GRAPHS][i] = graphs[i];
        const int64_t shift = node - first;
        for (int32_t v = first; v < end; v++, node++) {
            to->offsets[node] = (int32_t)edge;
            c->of[GLIA_OF_NODES][node] = v;
            for (int32_t e = d->offsets[v]; e < d->offsets[v + 1]; e++) {
                c->of[GLIA_OF_EDGES][edge] = e;
                to->sources[edge++] = (int32_t)(d->sources[e] + shift);
            }
        }
    }
    to->starts[to->graphs] = (int32_t)node;
    to->offsets[node] = (int32_t)edge;
}

glia_graph_data *glia_graph_data_select(const glia_graph_data *d, const int64_t *graphs, int64_t n, glia_error *error) {
    int64_t nodes, edges;
    if (!d || !graphs || n < 1) {
        if (d && graphs)
            glia_fail(error, GLIA_E_ARGUMENT, "a batch needs one graph or more");
        else
            glia_fail_null(error, d ? "graphs" : "data");
        return NULL;
    }
    if (count_graphs(d, graphs, n, &nodes, &edges, error) != GLIA_OK) return NULL;
    glia_graph_data *to = glia_graph_blank(d, n, nodes, edges);
    choices c = { { 0 } };
    const bool good = to && make_choices(&c, to);
    if (good) copy_graphs(to, d, graphs, &c);
    return finish(to, d, &c, good ? GLIA_OK : glia_fail_nomem(error), error);
}

/* ---- chosen nodes and edges ---------------------------------------------------------------------- */

/* place[v]: the new number of node v, -1: left out. */
static glia_status number_nodes(const glia_graph_data *d, const int32_t *nodes, int64_t n, int32_t *place,
                                int64_t *edges, glia_error *error) {
    for (int64_t v = 0; v < d->nodes; v++) place[v] = -1;
    for (int64_t i = 0; i < n; i++) {
        if (nodes[i] < 0 || nodes[i] >= d->nodes || place[nodes[i]] >= 0)
            return glia_fail(error, GLIA_E_ARGUMENT, "node %ld is not there, or chosen twice", (long)nodes[i]);
        place[nodes[i]] = (int32_t)i;
    }
    *edges = 0;
    for (int64_t i = 0; i < n; i++) {
        for (int32_t e = d->offsets[nodes[i]]; e < d->offsets[nodes[i] + 1]; e++) *edges += place[d->sources[e]] >= 0;
    }
    return GLIA_OK;
}

typedef struct link {
    int32_t source;
    int64_t edge;
} link;

static int by_source(const void *a, const void *b) {
    const link *x = a, *y = b;
    if (x->source != y->source) return x->source < y->source ? -1 : 1;
    return (x->edge > y->edge) - (x->edge < y->edge);
}

static glia_status induce_edges(glia_graph_data *to, const glia_graph_data *d, const int32_t *nodes,
                                const int32_t *place, const choices *c, glia_error *error) {
    link *links = malloc(((size_t)to->edges + 1) * sizeof *links);
    if (!links) return glia_fail_nomem(error);
    int32_t n = 0;
    for (int64_t i = 0; i < to->nodes; i++) {
        const int32_t first = to->offsets[i] = n;
        c->of[GLIA_OF_NODES][i] = nodes[i];
        for (int32_t e = d->offsets[nodes[i]]; e < d->offsets[nodes[i] + 1]; e++) {
            if (place[d->sources[e]] >= 0) links[n++] = (link){ place[d->sources[e]], e };
        }
        qsort(links + first, (size_t)(n - first), sizeof *links, by_source);
    }
    to->offsets[to->nodes] = n;
    for (int32_t e = 0; e < n; e++) {
        to->sources[e] = links[e].source;
        c->of[GLIA_OF_EDGES][e] = links[e].edge;
    }
    free(links);
    return GLIA_OK;
}

glia_graph_data *glia_graph_data_induce(const glia_graph_data *d, const int32_t *nodes, int64_t n, glia_error *error) {
    if (!d || !nodes || n < 1) {
        if (d && nodes)
            glia_fail(error, GLIA_E_ARGUMENT, "an induced graph needs one node or more");
        else
            glia_fail_null(error, d ? "nodes" : "data");
        return NULL;
    }
    int64_t edges = 0;
    int32_t *place = malloc((size_t)d->nodes * sizeof *place);
    glia_status status = place ? number_nodes(d, nodes, n, place, &edges, error) : glia_fail_nomem(error);
    glia_graph_data *to = status == GLIA_OK ? glia_graph_blank(d, 1, n, edges) : NULL;
    choices c = { { 0 } };
    if (status == GLIA_OK && (!to || !make_choices(&c, to))) status = glia_fail_nomem(error);
    if (status == GLIA_OK) status = induce_edges(to, d, nodes, place, &c, error);
    if (status == GLIA_OK) to->starts[1] = (int32_t)n;
    free(place);
    return finish(to, d, &c, status, error);
}

static void identity(int64_t *choice, int64_t n) {
    for (int64_t i = 0; i < n; i++) choice[i] = i;
}

glia_graph_data *glia_graph_data_filter(const glia_graph_data *d, const uint8_t *keep, glia_error *error) {
    if (!d || !keep) {
        glia_fail_null(error, d ? "keep" : "data");
        return NULL;
    }
    int64_t n = 0;
    for (int64_t e = 0; e < d->edges; e++) n += keep[e] != 0;
    glia_graph_data *to = glia_graph_blank(d, d->graphs, d->nodes, n);
    choices c = { { 0 } };
    if (!to || !make_choices(&c, to)) return finish(to, d, &c, glia_fail_nomem(error), error);
    identity(c.of[GLIA_OF_NODES], d->nodes);
    identity(c.of[GLIA_OF_GRAPHS], d->graphs);
    memcpy(to->starts, d->starts, ((size_t)d->graphs + 1) * sizeof *d->starts);
    int32_t at = 0;
    bool all = true;
    for (int64_t v = 0; v < d->nodes; v++) {
        for (int32_t e = d->offsets[v]; e < d->offsets[v + 1]; e++) {
            all &= keep[e] != 0;
            if (!keep[e]) continue;
            c.of[GLIA_OF_EDGES][at] = e;
            to->sources[at++] = d->sources[e];
        }
        to->offsets[v + 1] = at;
    }
    to->symmetric = all ? d->symmetric : glia_graph_symmetric(to);
    return finish(to, d, &c, GLIA_OK, error);
}

static bool has_loop(const glia_graph_data *d, int64_t v) {
    for (int32_t e = d->offsets[v]; e < d->offsets[v + 1]; e++) {
        if (d->sources[e] == v) return true;
    }
    return false;
}

glia_graph_data *glia_graph_data_add_loops(const glia_graph_data *d, glia_error *error) {
    if (!d) {
        glia_fail_null(error, "data");
        return NULL;
    }
    int64_t n = d->edges;
    for (int64_t v = 0; v < d->nodes; v++) n += !has_loop(d, v);
    glia_graph_data *to = n < INT32_MAX ? glia_graph_blank(d, d->graphs, d->nodes, n) : NULL;
    choices c = { { 0 } };
    if (!to || !make_choices(&c, to)) return finish(to, d, &c, glia_fail_nomem(error), error);
    identity(c.of[GLIA_OF_NODES], d->nodes);
    identity(c.of[GLIA_OF_GRAPHS], d->graphs);
    memcpy(to->starts, d->starts, ((size_t)d->graphs + 1) * sizeof *d->starts);
    int32_t at = 0;
    for (int64_t v = 0; v < d->nodes; v++) {
        bool due = !has_loop(d, v); /* a self edge, at its place in the order of sources */
        for (int32_t e = d->offsets[v]; e <= d->offsets[v + 1]; e++) {
            const bool over = e == d->offsets[v + 1];
            if (due && (over || d->sources[e] > v)) {
                c.of[GLIA_OF_EDGES][at] = -1;
                to->sources[at++] = (int32_t)v;
                due = false;
            }
            if (over) break;
            c.of[GLIA_OF_EDGES][at] = e;
            to->sources[at++] = d->sources[e];
        }
        to->offsets[v + 1] = at;
    }
    int64_t *added = malloc(((size_t)at + 1) * sizeof *added);
    if (!added) return finish(to, d, &c, glia_fail_nomem(error), error);
    memcpy(added, c.of[GLIA_OF_EDGES], (size_t)at * sizeof *added);
    to = finish(to, d, &c, GLIA_OK, error);
    glia_array weight;
    const bool weighted = to && glia_graph_data_find(to, GLIA_OF_EDGES, "weight", &weight) && weight.dtype == GLIA_F32;
    for (int32_t e = 0; weighted && e < at; e++) {
        if (added[e] < 0) ((float *)weight.data)[e] = 1;
    }
    free(added);
    return to;
}

/* ---- factors ------------------------------------------------------------------------------------- */

glia_status glia_graph_data_weights(const glia_graph_data *d, glia_edge_norm norm, float *weights, glia_error *error) {
    if (!d || !weights) return glia_fail_null(error, d ? "weights" : "data");
    if ((int)norm < 0 || norm > GLIA_EDGES_MEAN) return glia_fail(error, GLIA_E_ARGUMENT, "there is no such edge norm");
    glia_array own;
    const bool given = glia_graph_data_find(d, GLIA_OF_EDGES, "weight", &own);
    if (given && (own.dtype != GLIA_F32 || glia_shape_count(own.shape) != d->edges))
        return glia_fail(error, GLIA_E_SHAPE, "the array 'weight' of edges must be f32, one number an edge");
    double *degree = calloc((size_t)d->nodes, sizeof *degree);
    if (!degree) return glia_fail_nomem(error);
    for (int64_t v = 0; v < d->nodes; v++) {
        for (int32_t e = d->offsets[v]; e < d->offsets[v + 1]; e++) {
            weights[e] = given ? ((const float *)own.data)[e] : 1;
            degree[v] += (double)weights[e];
        }
    }
    for (int64_t v = 0; norm != GLIA_EDGES_PLAIN && v < d->nodes; v++) {
        for (int32_t e = d->offsets[v]; e < d->offsets[v + 1]; e++) {
            const double of = norm == GLIA_EDGES_MEAN ? degree[v] : sqrt(degree[v]) * sqrt(degree[d->sources[e]]);
            weights[e] = of > 0 ? (float)((double)weights[e] / of) : 0;
        }
    }
    free(degree);
    return GLIA_OK;
}
