/* graph_data.c - data of graphs: edges sorted by target, and named arrays of nodes, edges and graphs. */
#include "data/graphs/graph_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *glia_graph_part_name(glia_graph_part part) {
    static const char *const names[] = { "nodes", "edges", "graphs" };
    return names[part];
}

int64_t glia_graph_items(const glia_graph_data *d, glia_graph_part part) {
    return part == GLIA_OF_NODES ? d->nodes : part == GLIA_OF_EDGES ? d->edges : d->graphs;
}

int32_t *glia_graph_targets(const glia_graph_data *d) {
    int32_t *targets = malloc(((size_t)d->edges + 1) * sizeof *targets);
    for (int64_t v = 0; targets && v < d->nodes; v++) {
        for (int32_t e = d->offsets[v]; e < d->offsets[v + 1]; e++) targets[e] = (int32_t)v;
    }
    return targets;
}

void glia_graph_data_free(glia_graph_data *d) {
    if (!d) return;
    for (int part = 0; part < GLIA_GRAPH_PARTS; part++) {
        for (int i = 0; i < d->parts[part].n; i++) {
            free(d->parts[part].items[i].name);
            free(d->parts[part].items[i].values);
        }
        free(d->parts[part].items);
    }
    for (int i = 0; d->classes && i < d->n_classes; i++) free(d->classes[i]);
    free(d->classes);
    free(d->name);
    free(d->starts);
    free(d->offsets);
    free(d->sources);
    free(d->origin);
    free(d);
}

/* ---- edges --------------------------------------------------------------------------------------- */

/* One edge on the way into the sorted order. */
typedef struct placed {
    int32_t from, to;
    int64_t origin;
} placed;

static int by_place(const void *a, const void *b) {
    const placed *x = a, *y = b;
    if (x->to != y->to) return x->to < y->to ? -1 : 1;
    if (x->from != y->from) return x->from < y->from ? -1 : 1;
    return (x->origin > y->origin) - (x->origin < y->origin);
}

/* Sorts by target (a counting sort), then each node's edges. */
static glia_status sort_edges(glia_graph_data *d, placed *edges, int64_t n, glia_error *error) {
    placed *sorted = malloc(((size_t)n + 1) * sizeof *sorted);
    if (!sorted) return glia_fail_nomem(error);
    for (int64_t i = 0; i < n; i++) d->offsets[edges[i].to + 1]++;
    for (int64_t v = 0; v < d->nodes; v++) d->offsets[v + 1] += d->offsets[v];
    for (int64_t i = 0; i < n; i++) sorted[d->offsets[edges[i].to]++] = edges[i];
    memmove(d->offsets + 1, d->offsets, (size_t)d->nodes * sizeof *d->offsets);
    d->offsets[0] = 0;
    for (int64_t v = 0; v < d->nodes; v++) {
        const int32_t first = d->offsets[v];
        qsort(sorted + first, (size_t)(d->offsets[v + 1] - first), sizeof *sorted, by_place);
    }
    memcpy(edges, sorted, (size_t)n * sizeof *sorted);
    free(sorted);
    return GLIA_OK;
}

/* Copies the sorted edges, without repeated ones unless they are kept. */
static glia_status keep_edges(glia_graph_data *d, const placed *edges, int64_t n, glia_edge_rule repeated,
                              glia_error *error) {
    int64_t kept = 0, v = 0;
    for (int64_t i = 0; i < n; i++) {
        for (; v <= edges[i].to; v++) d->offsets[v] = (int32_t)kept;
        if (i > 0 && edges[i].to == edges[i - 1].to && edges[i].from == edges[i - 1].from) {
            if (repeated == GLIA_EDGES_REFUSE)
                return glia_fail(error, GLIA_E_ARGUMENT,
                                 "the edge from node %ld to node %ld is given twice (edge %lld)", (long)edges[i].from,
                                 (long)edges[i].to, (long long)edges[i].origin);
            if (repeated == GLIA_EDGES_DROP) continue;
        }
        d->sources[kept] = edges[i].from;
        d->origin[kept++] = edges[i].origin;
    }
    for (; v <= d->nodes; v++) d->offsets[v] = (int32_t)kept;
    d->edges = kept;
    return GLIA_OK;
}

bool glia_graph_has_edge(const glia_graph_data *d, int32_t from, int32_t to) {
    int32_t low = d->offsets[to], high = d->offsets[to + 1];
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (d->sources[middle] < from)
            low = middle + 1;
        else
            high = middle;
    }
    return low < d->offsets[to + 1] && d->sources[low] == from;
}

bool glia_graph_symmetric(const glia_graph_data *d) {
    for (int64_t v = 0; v < d->nodes; v++) {
        for (int32_t e = d->offsets[v]; e < d->offsets[v + 1]; e++) {
            if (!glia_graph_has_edge(d, (int32_t)v, d->sources[e])) return false;
        }
    }
    return true;
}

static glia_status check_edge(const glia_graph_edges *g, int64_t i, glia_error *error) {
    const int32_t ends[2] = { g->from[i], g->to[i] };
    for (int k = 0; k < 2; k++) {
        if (ends[k] >= 0 && ends[k] < g->nodes) continue;
        return glia_fail(error, GLIA_E_ARGUMENT, "edge %lld: there is no node %ld among %lld nodes", (long long)i,
                         (long)ends[k], (long long)g->nodes);
    }
    if (ends[0] != ends[1] || g->self != GLIA_EDGES_REFUSE) return GLIA_OK;
    return glia_fail(error, GLIA_E_ARGUMENT, "edge %lld goes from node %ld to itself", (long long)i, (long)ends[0]);
}

static glia_status place_edges(glia_graph_data *d, const glia_graph_edges *g, glia_error *error) {
    placed *edges = malloc((2 * (size_t)g->edges + 1) * sizeof *edges);
    glia_status status = edges ? GLIA_OK : glia_fail_nomem(error);
    int64_t n = 0;
    for (int64_t i = 0; status == GLIA_OK && i < g->edges; i++) {
        status = check_edge(g, i, error);
        if (g->from[i] == g->to[i] && g->self == GLIA_EDGES_DROP) continue;
        if (status == GLIA_OK) edges[n++] = (placed){ g->from[i], g->to[i], i };
        if (status == GLIA_OK && g->undirected && g->from[i] != g->to[i])
            edges[n++] = (placed){ g->to[i], g->from[i], i };
    }
    d->sources = malloc(((size_t)n + 1) * sizeof *d->sources);
    d->origin = malloc(((size_t)n + 1) * sizeof *d->origin);
    if (!d->sources || !d->origin) status = status == GLIA_OK ? glia_fail_nomem(error) : status;
    if (status == GLIA_OK) status = sort_edges(d, edges, n, error);
    if (status == GLIA_OK) status = keep_edges(d, edges, n, g->repeated, error);
    free(edges);
    return status;
}

/* ---- creating ------------------------------------------------------------------------------------ */

static glia_status set_starts(glia_graph_data *d, const glia_graph_edges *g, glia_error *error) {
    int64_t at = 0;
    for (int64_t i = 0; i < d->graphs; i++) {
        d->starts[i] = (int32_t)at;
        const int64_t count = g->node_counts ? g->node_counts[i] : g->nodes;
        if (count < 1) return glia_fail(error, GLIA_E_ARGUMENT, "graph %lld has no nodes", (long long)i);
        if (count > g->nodes - at) at = g->nodes + 1;
        if (at <= g->nodes) at += count;
    }
    d->starts[d->graphs] = (int32_t)at;
    if (at == g->nodes) return GLIA_OK;
    return glia_fail(error, GLIA_E_ARGUMENT, "the nodes of the graphs are not the %lld of all", (long long)g->nodes);
}

/* Every edge within one graph. */
static glia_status check_graphs(const glia_graph_data *d, glia_error *error) {
    for (int64_t graph = 0; graph < d->graphs; graph++) {
        const int32_t first = d->starts[graph], end = d->starts[graph + 1];
        for (int32_t e = d->offsets[first]; e < d->offsets[end]; e++) {
            if (d->sources[e] >= first && d->sources[e] < end) continue;
            return glia_fail(error, GLIA_E_ARGUMENT, "edge %lld connects two graphs", (long long)d->origin[e]);
        }
    }
    return GLIA_OK;
}

static glia_status fill(glia_graph_data *d, const glia_graph_edges *g, glia_error *error) {
    if (!d->name || !d->starts || !d->offsets) return glia_fail_nomem(error);
    glia_status status = set_starts(d, g, error);
    if (status == GLIA_OK) status = place_edges(d, g, error);
    if (status == GLIA_OK) status = check_graphs(d, error);
    if (status == GLIA_OK) d->symmetric = glia_graph_symmetric(d);
    return status;
}

glia_graph_data *glia_graph_data_create(const char *name, glia_graph_edges g, glia_error *error) {
    if (!name || (g.edges > 0 && (!g.from || !g.to))) {
        glia_fail_null(error, name ? "from and to" : "name");
        return NULL;
    }
    if (g.nodes < 1 || g.nodes >= INT32_MAX || g.edges < 0 || g.edges > INT32_MAX / 2 - 1 ||
        (g.node_counts && (g.graphs < 1 || g.graphs > g.nodes))) {
        glia_fail(error, GLIA_E_ARGUMENT, "a graph needs 1 to %ld nodes and at most %ld edges; here are %lld and %lld",
                  (long)INT32_MAX - 1, (long)INT32_MAX / 2 - 1, (long long)g.nodes, (long long)g.edges);
        return NULL;
    }
    glia_graph_data *d = calloc(1, sizeof *d);
    if (!d) {
        glia_fail_nomem(error);
        return NULL;
    }
    d->graphs = g.node_counts ? g.graphs : 1;
    d->nodes = g.nodes;
    d->given = g.edges;
    d->name = strdup(name);
    d->starts = calloc((size_t)d->graphs + 1, sizeof *d->starts);
    d->offsets = calloc((size_t)d->nodes + 1, sizeof *d->offsets);
    if (fill(d, &g, error) == GLIA_OK) return d;
    glia_graph_data_free(d);
    return NULL;
}

const char *glia_graph_data_name(const glia_graph_data *d) { return d ? d->name : NULL; }
int64_t glia_graph_data_graphs(const glia_graph_data *d) { return d ? d->graphs : 0; }
int64_t glia_graph_data_nodes(const glia_graph_data *d) { return d ? d->nodes : 0; }
int64_t glia_graph_data_edges(const glia_graph_data *d) { return d ? d->edges : 0; }
const int32_t *glia_graph_data_sources(const glia_graph_data *d) { return d ? d->sources : NULL; }
const int32_t *glia_graph_data_offsets(const glia_graph_data *d) { return d ? d->offsets : NULL; }
const int32_t *glia_graph_data_starts(const glia_graph_data *d) { return d ? d->starts : NULL; }
bool glia_graph_data_symmetric(const glia_graph_data *d) { return d && d->symmetric; }

/* ---- arrays -------------------------------------------------------------------------------------- */

static glia_graph_array *look_up(const glia_graph_data *d, glia_graph_part part, const char *name) {
    for (int i = 0; i < d->parts[part].n; i++) {
        if (strcmp(d->parts[part].items[i].name, name) == 0) return &d->parts[part].items[i];
    }
    return NULL;
}

void *glia_graph_add_zeros(glia_graph_data *d, glia_graph_part part, const char *name, glia_dtype dtype,
                           glia_shape item, glia_error *error) {
    glia_graph_arrays *list = &d->parts[part];
    const int64_t n = glia_graph_items(d, part);
    glia_graph_array a = { .dtype = dtype, .shape = { .rank = item.rank + 1, .dim = { n } } };
    for (int i = 0; i < item.rank; i++) a.shape.dim[i + 1] = item.dim[i];
    a.bytes = glia_dtype_size(dtype);
    size_t all = 0;
    bool fits = item.rank < GLIA_MAX_RANK;
    for (int i = 0; i < item.rank && fits; i++)
        fits = item.dim[i] > 0 && glia_mul_fits(a.bytes, (size_t)item.dim[i], &a.bytes);
    if (!fits || !glia_mul_fits(a.bytes, (size_t)n, &all)) {
        glia_fail(error, GLIA_E_SHAPE, "the array '%.64s' has a wrong shape", name);
        return NULL;
    }
    if (look_up(d, part, name)) {
        glia_fail(error, GLIA_E_ARGUMENT, "there is already an array '%.64s' of %s", name, glia_graph_part_name(part));
        return NULL;
    }
    a.name = strdup(name);
    a.values = calloc(GLIA_MAX(all, (size_t)1), 1);
    if (!a.name || !a.values || !glia_grow((void **)&list->items, list->n, &list->capacity, sizeof a)) {
        free(a.name);
        free(a.values);
        glia_fail_nomem(error);
        return NULL;
    }
    list->items[list->n++] = a;
    return a.values;
}

glia_status glia_graph_data_add(glia_graph_data *d, glia_graph_part part, const char *name, glia_dtype dtype,
                                glia_shape item, const void *values, glia_error *error) {
    if (!d || !name || !values) return glia_fail_null(error, !d ? "data" : !name ? "name" : "values");
    if ((int)part < 0 || part >= GLIA_GRAPH_PARTS || (int)dtype < 0 || dtype >= GLIA_DTYPE_COUNT)
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_graph_data_add: no such part or dtype");
    glia_error reason = { 0 };
    uint8_t *to = glia_graph_add_zeros(d, part, name, dtype, item, &reason);
    if (!to) return glia_fail(error, reason.status, "%s", reason.message);
    const size_t bytes = look_up(d, part, name)->bytes;
    const int64_t n = glia_graph_items(d, part);
    if (part != GLIA_OF_EDGES || !d->origin) {
        memcpy(to, values, (size_t)n * bytes);
        return GLIA_OK;
    }
    for (int64_t e = 0; e < n; e++)
        memcpy(to + (size_t)e * bytes, (const uint8_t *)values + (size_t)d->origin[e] * bytes, bytes);
    return GLIA_OK;
}

static void describe(const glia_graph_array *a, glia_array *array) {
    if (array) *array = (glia_array){ .name = a->name, .dtype = a->dtype, .shape = a->shape, .data = a->values };
}

bool glia_graph_data_find(const glia_graph_data *d, glia_graph_part part, const char *name, glia_array *array) {
    if (!d || !name || (int)part < 0 || part >= GLIA_GRAPH_PARTS) return false;
    const glia_graph_array *a = look_up(d, part, name);
    if (a) describe(a, array);
    return a != NULL;
}

bool glia_graph_data_at(const glia_graph_data *d, glia_graph_part part, int index, glia_array *array) {
    if (!d || (int)part < 0 || part >= GLIA_GRAPH_PARTS || index < 0 || index >= d->parts[part].n) return false;
    describe(&d->parts[part].items[index], array);
    return true;
}

const glia_graph_array *glia_graph_need(const glia_graph_data *d, glia_graph_part part, const char *name,
                                        glia_dtype dtype, const char *who, glia_error *error) {
    const glia_graph_array *a = look_up(d, part, name);
    if (a && a->dtype == dtype) return a;
    if (!a) {
        glia_fail(error, GLIA_E_NOT_FOUND, "%s: the graph data '%.64s' have no array '%s' of %s", who, d->name, name,
                  glia_graph_part_name(part));
        return NULL;
    }
    glia_fail(error, GLIA_E_SHAPE, "%s: '%s' of %s is %s, not %s", who, name, glia_graph_part_name(part),
              glia_dtype_name(a->dtype), glia_dtype_name(dtype));
    return NULL;
}

glia_status glia_graph_copy_arrays(glia_graph_data *to, const glia_graph_data *from, glia_graph_part part,
                                   const int64_t *choice, glia_error *error) {
    glia_error reason = { 0 };
    for (int i = 0; i < from->parts[part].n; i++) {
        const glia_graph_array *a = &from->parts[part].items[i];
        glia_shape item = { .rank = a->shape.rank - 1 };
        for (int k = 0; k < item.rank; k++) item.dim[k] = a->shape.dim[k + 1];
        uint8_t *values = glia_graph_add_zeros(to, part, a->name, a->dtype, item, &reason);
        if (!values) return glia_fail(error, reason.status, "%s", reason.message);
        const int64_t n = glia_graph_items(to, part);
        for (int64_t k = 0; k < n; k++) {
            if (choice[k] >= 0)
                memcpy(values + (size_t)k * a->bytes, a->values + (size_t)choice[k] * a->bytes, a->bytes);
        }
    }
    return GLIA_OK;
}

/* ---- classes ------------------------------------------------------------------------------------- */

int glia_graph_data_classes(const glia_graph_data *d, glia_graph_part part) {
    if (!d || (int)part < 0 || part >= GLIA_GRAPH_PARTS) return 0;
    const glia_graph_array *a = look_up(d, part, "label");
    int32_t most = -1;
    if (!a || a->dtype != GLIA_I32 || a->bytes != sizeof(int32_t)) return 0;
    for (int64_t i = 0; i < a->shape.dim[0]; i++) most = GLIA_MAX(most, ((const int32_t *)(const void *)a->values)[i]);
    return GLIA_MAX(most + 1, d->n_classes);
}

const char *glia_graph_data_class_name(const glia_graph_data *d, int label, char *number) {
    if (d && label >= 0 && label < d->n_classes) return d->classes[label];
    if (!number) return NULL;
    snprintf(number, 16, "%d", label);
    return number;
}

glia_status glia_graph_data_name_classes(glia_graph_data *d, const char *const *names, int n, glia_error *error) {
    if (!d || !names) return glia_fail_null(error, d ? "names" : "data");
    if (n < 1 || d->classes) return glia_fail(error, GLIA_E_ARGUMENT, "the classes can be named once, by 1 or more");
    d->classes = calloc((size_t)n, sizeof *d->classes);
    if (!d->classes) return glia_fail_nomem(error);
    d->n_classes = n;
    for (int i = 0; i < n; i++) {
        d->classes[i] = strdup(names[i] ? names[i] : "");
        if (!d->classes[i]) {
            d->n_classes = i;
            return glia_fail_nomem(error);
        }
    }
    return GLIA_OK;
}
