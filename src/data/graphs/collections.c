/* collections.c - many graphs in files: GIN's text, and the files of the TU collections.
 *
 * GIN (Xu et al. 2019) and DGCNN write the number of graphs, then for each "NODES LABEL" and a line a node, "TAG DEGREE
 * NEIGHBOUR ...". A TU collection is NAME_A.txt ("FROM, TO", numbered from 1 through all graphs),
 * NAME_graph_indicator.txt, NAME_graph_labels.txt, and where there are any NAME_node_labels.txt,
 * NAME_node_attributes.txt, NAME_edge_labels.txt, NAME_graph_attributes.txt.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/graphs/readers.h"

enum { MOST = 1 << 28, TAGS_MOST = 4096 };

typedef struct collection {
    glia_ints from, to, tags, labels, edge_types;
    glia_floats attributes, targets;
    int64_t width; /* of attributes */
    int64_t *counts, graphs;
    glia_names classes;
} collection;

static void free_collection(collection *c) {
    free(c->from.at);
    free(c->to.at);
    free(c->tags.at);
    free(c->labels.at);
    free(c->edge_types.at);
    free(c->attributes.at);
    free(c->targets.at);
    free(c->counts);
    glia_names_free(&c->classes);
}

static int by_number(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Replaces the tags by their ranks; returns how many different ones there are, 0: out of memory. */
static int64_t rank_tags(glia_ints *tags) {
    int32_t *sorted = malloc(((size_t)tags->n + 1) * sizeof *sorted);
    if (!sorted) return 0;
    memcpy(sorted, tags->at, (size_t)tags->n * sizeof *sorted);
    qsort(sorted, (size_t)tags->n, sizeof *sorted, by_number);
    int64_t n = 0;
    for (int64_t i = 0; i < tags->n; i++) {
        if (i == 0 || sorted[i] != sorted[i - 1]) sorted[n++] = sorted[i];
    }
    for (int64_t i = 0; i < tags->n; i++) {
        const int32_t *found = bsearch(&tags->at[i], sorted, (size_t)n, sizeof *sorted, by_number);
        tags->at[i] = found ? (int32_t)(found - sorted) : 0;
    }
    free(sorted);
    return n;
}

/* x: one-hot tags, then the attributes. Without either the features are a 1. */
static glia_status add_features(glia_graph_data *d, collection *c, glia_error *error) {
    int64_t tags = 0;
    if (c->tags.n) {
        tags = rank_tags(&c->tags);
        if (!tags) return glia_fail_nomem(error);
        if (tags > TAGS_MOST) return glia_fail(error, GLIA_E_FORMAT, "the nodes have %lld tags", (long long)tags);
    }
    const int64_t width = GLIA_MAX(tags + c->width, 1);
    glia_error reason = { 0 };
    float *x = glia_graph_add_zeros(d, GLIA_OF_NODES, "x", GLIA_F32, GLIA_SHAPE(width), &reason);
    if (!x) return glia_fail(error, reason.status, "%s", reason.message);
    for (int64_t v = 0; v < d->nodes; v++) {
        float *row = x + v * width;
        if (tags) row[c->tags.at[v]] = 1;
        if (c->width) memcpy(row + tags, c->attributes.at + v * c->width, (size_t)c->width * sizeof *row);
        if (!tags && !c->width) row[0] = 1;
    }
    return GLIA_OK;
}

static glia_status add_arrays(glia_graph_data *d, collection *c, glia_error *error) {
    glia_status status = add_features(d, c, error);
    if (status == GLIA_OK && c->labels.n)
        status = glia_graph_data_add(d, GLIA_OF_GRAPHS, "label", GLIA_I32, GLIA_SCALAR, c->labels.at, error);
    if (status == GLIA_OK && c->targets.n)
        status = glia_graph_data_add(d, GLIA_OF_GRAPHS, "target", GLIA_F32, GLIA_SHAPE(c->targets.n / d->graphs),
                                     c->targets.at, error);
    if (status == GLIA_OK && c->edge_types.n)
        status = glia_graph_data_add(d, GLIA_OF_EDGES, "type", GLIA_I32, GLIA_SCALAR, c->edge_types.at, error);
    if (status == GLIA_OK && c->classes.n)
        status = glia_graph_data_name_classes(d, (const char *const *)(const void *)c->classes.at, c->classes.n, error);
    return status;
}

static glia_graph_data *make(const char *name, collection *c, int64_t nodes, bool undirected, glia_error *error) {
    const glia_graph_edges edges = { .nodes = nodes,
                                     .edges = c->from.n,
                                     .from = c->from.at,
                                     .to = c->to.at,
                                     .undirected = undirected,
                                     .self = GLIA_EDGES_DROP,
                                     .repeated = GLIA_EDGES_DROP,
                                     .node_counts = c->counts,
                                     .graphs = c->graphs };
    glia_graph_data *d = glia_graph_data_create(name, edges, error);
    if (d && add_arrays(d, c, error) == GLIA_OK) return d;
    glia_graph_data_free(d);
    return NULL;
}

/* ---- GIN's text ---------------------------------------------------------------------------------- */

static bool add(glia_lines *l, glia_ints *list, int64_t value) {
    if (glia_ints_add(list, value)) return true;
    l->status = glia_fail_nomem(l->error);
    return false;
}

/* One node: its tag and its neighbours; `first` is the number of the graph's first node. */
static bool read_node(glia_lines *l, collection *c, int64_t first, int64_t node, int64_t nodes) {
    int64_t tag, degree, neighbour;
    if (!glia_lines_next(l)) return l->status == GLIA_OK && glia_lines_fail(l, "the file ends within a graph");
    if (!glia_lines_integer(l, "the tag", -MOST, MOST, &tag) ||
        !glia_lines_integer(l, "the degree", 0, nodes, &degree) || !add(l, &c->tags, tag))
        return false;
    for (int64_t i = 0; i < degree; i++) {
        if (!glia_lines_integer(l, "a neighbour", 0, nodes - 1, &neighbour)) return false;
        if (!add(l, &c->from, first + neighbour) || !add(l, &c->to, first + node)) return false;
    }
    return true;
}

static bool read_gin_graph(glia_lines *l, collection *c, int64_t graph, int64_t *first) {
    const char *word, *end;
    int64_t nodes;
    if (!glia_lines_next(l))
        return l->status == GLIA_OK && glia_lines_fail(l, "graph %lld is missing", (long long)graph);
    if (!glia_lines_integer(l, "the number of nodes", 1, MOST, &nodes)) return false;
    if (!glia_lines_word(l, &word, &end)) return glia_lines_fail(l, "the label of the graph is missing");
    const int label = glia_names_add(&c->classes, word, end);
    if (label < 0) l->status = glia_fail_nomem(l->error);
    if (label < 0 || !add(l, &c->labels, label)) return false;
    c->counts[graph] = nodes;
    for (int64_t v = 0; v < nodes; v++) {
        if (!read_node(l, c, *first, v, nodes)) return false;
    }
    *first += nodes;
    return true;
}

glia_graph_data *glia_read_gin_text(const glia_graph_source *s, glia_error *error) {
    glia_lines l;
    collection c = { 0 };
    int64_t nodes = 0;
    glia_graph_data *d = NULL;
    if (glia_lines_open(&l, s->path, error) == GLIA_OK) {
        if (!glia_lines_next(&l)) {
            if (l.status == GLIA_OK) glia_lines_fail(&l, "the file is empty");
        } else if (glia_lines_integer(&l, "the number of graphs", 1, l.stop - l.next, &c.graphs)) {
            c.counts = calloc((size_t)c.graphs, sizeof *c.counts);
            if (!c.counts) l.status = glia_fail_nomem(error);
            for (int64_t g = 0; l.status == GLIA_OK && g < c.graphs; g++) read_gin_graph(&l, &c, g, &nodes);
            if (l.status == GLIA_OK) d = make(s->name, &c, nodes, true, error);
        }
    }
    glia_lines_close(&l);
    free_collection(&c);
    return d;
}

/* ---- TU's files ---------------------------------------------------------------------------------- */

/* Opens NAME_what.txt; *there: false if it may be missing and is. */
static bool open_part(const glia_graph_source *s, const char *what, bool needed, glia_lines *l, char *path, size_t room,
                      glia_error *error) {
    snprintf(path, room, "%.4000s_%s.txt", s->path, what);
    *l = (glia_lines){ 0 };
    if (!needed && access(path, F_OK) != 0) return false;
    return glia_lines_open(l, path, error) == GLIA_OK;
}

/* A number a line, or `columns` of them. */
static glia_status read_numbers(const glia_graph_source *s, const char *what, int64_t lines, glia_floats *out,
                                int64_t *width, glia_error *error) {
    glia_lines l;
    char path[4160];
    const char *word, *end;
    if (!open_part(s, what, false, &l, path, sizeof path, error)) return l.status;
    int64_t read = 0;
    for (; glia_lines_next(&l); read++) {
        int64_t n = 0;
        double value;
        for (; glia_lines_word(&l, &word, &end); n++) {
            if (!glia_number_parse(word, end, &value))
                glia_lines_fail(&l, "'%.*s' is not a number", (int)GLIA_MIN(end - word, 40), word);
            else if (!glia_floats_add(out, value))
                l.status = glia_fail_nomem(error);
            if (l.status != GLIA_OK) break;
        }
        if (l.status == GLIA_OK && read > 0 && n != *width)
            glia_lines_fail(&l, "%lld numbers, but %lld in the lines before", (long long)n, (long long)*width);
        *width = n;
    }
    if (l.status == GLIA_OK && read != lines)
        glia_lines_fail(&l, "the file has %lld lines, not %lld", (long long)read, (long long)lines);
    const glia_status status = l.status;
    glia_lines_close(&l);
    return status;
}

static glia_status read_integers(const glia_graph_source *s, const char *what, bool needed, int64_t lines,
                                 glia_ints *out, glia_names *names, glia_error *error) {
    glia_lines l;
    char path[4160];
    const char *word, *end;
    int64_t value;
    if (!open_part(s, what, needed, &l, path, sizeof path, error)) return l.status;
    while (glia_lines_next(&l)) {
        if (names) {
            value = glia_lines_word(&l, &word, &end) ? glia_names_add(names, word, end) : -1;
            if (value < 0) l.status = glia_fail_nomem(error);
        } else {
            glia_lines_integer(&l, "the number", -MOST, MOST, &value);
        }
        if (l.status != GLIA_OK || !add(&l, out, value)) break;
    }
    if (l.status == GLIA_OK && lines >= 0 && out->n != lines)
        glia_lines_fail(&l, "the file has %lld lines, not %lld", (long long)out->n, (long long)lines);
    const glia_status status = l.status;
    glia_lines_close(&l);
    return status;
}

static glia_status read_tu_edges(const glia_graph_source *s, collection *c, int64_t nodes, glia_error *error) {
    glia_lines l;
    char path[4160];
    int64_t from, to;
    if (!open_part(s, "A", true, &l, path, sizeof path, error)) return l.status;
    while (glia_lines_next(&l)) {
        if (!glia_lines_integer(&l, "the first node", 1, nodes, &from) ||
            !glia_lines_integer(&l, "the second node", 1, nodes, &to) || !add(&l, &c->from, from - 1) ||
            !add(&l, &c->to, to - 1))
            break;
    }
    const glia_status status = l.status;
    glia_lines_close(&l);
    return status;
}

/* Graph numbers of nodes, from 1 and in order, to the nodes of each. */
static glia_status count_nodes(const glia_ints *graph_of, collection *c, const char *path, glia_error *error) {
    for (int64_t v = 0; v < graph_of->n; v++) {
        const int32_t g = graph_of->at[v], before = v ? graph_of->at[v - 1] : 0;
        if (g != before && g != before + 1)
            return glia_fail(error, GLIA_E_FORMAT, "%.200s_graph_indicator.txt: line %lld: graphs must be in order",
                             path, (long long)v + 1);
    }
    if (!graph_of->n) return glia_fail(error, GLIA_E_FORMAT, "%.200s_graph_indicator.txt: there are no nodes", path);
    c->graphs = graph_of->at[graph_of->n - 1];
    c->counts = calloc((size_t)c->graphs, sizeof *c->counts);
    if (!c->counts) return glia_fail_nomem(error);
    for (int64_t v = 0; v < graph_of->n; v++) c->counts[graph_of->at[v] - 1]++;
    return GLIA_OK;
}

glia_graph_data *glia_read_tu_collection(const glia_graph_source *s, glia_error *error) {
    collection c = { 0 };
    glia_ints graph_of = { 0 };
    int64_t targets = 0;
    glia_graph_data *d = NULL;
    glia_status status = read_integers(s, "graph_indicator", true, -1, &graph_of, NULL, error);
    if (status == GLIA_OK) status = count_nodes(&graph_of, &c, s->path, error);
    if (status == GLIA_OK) status = read_tu_edges(s, &c, graph_of.n, error);
    if (status == GLIA_OK) status = read_integers(s, "node_labels", false, graph_of.n, &c.tags, NULL, error);
    if (status == GLIA_OK) status = read_integers(s, "edge_labels", false, c.from.n, &c.edge_types, NULL, error);
    if (status == GLIA_OK) status = read_integers(s, "graph_labels", false, c.graphs, &c.labels, &c.classes, error);
    if (status == GLIA_OK) status = read_numbers(s, "node_attributes", graph_of.n, &c.attributes, &c.width, error);
    if (status == GLIA_OK) status = read_numbers(s, "graph_attributes", c.graphs, &c.targets, &targets, error);
    if (status == GLIA_OK) d = make(s->name, &c, graph_of.n, false, error);
    free(graph_of.at);
    free_collection(&c);
    return d;
}
