/* edge_list.c - edges as text: SNAP's lists and CSV; and folders of one graph: features or labels, edges, split. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/graphs/readers.h"

typedef struct edge_list {
    glia_ints from, to;
    glia_floats weight;
    int64_t most; /* the largest number of a node; -1: none */
} edge_list;

static void free_list(edge_list *list) {
    free(list->from.at);
    free(list->to.at);
    free(list->weight.at);
}

/* A first line that has no numbers is a header. */
static bool is_header(const glia_lines *l) {
    glia_lines copy = *l;
    const char *word, *end;
    int64_t number;
    return l->line == 1 && glia_lines_word(&copy, &word, &end) && !glia_parse_integer(word, end, &number);
}

/* nodes: numbers of nodes are below it. */
static glia_status read_edges(glia_lines *l, int64_t nodes, edge_list *list) {
    const char *word, *end;
    while (glia_lines_next(l)) {
        int64_t from, to;
        double weight;
        if (is_header(l)) continue;
        if (!glia_lines_integer(l, "the first node", 0, nodes - 1, &from) ||
            !glia_lines_integer(l, "the second node", 0, nodes - 1, &to))
            break;
        const bool weighted = glia_lines_word(l, &word, &end);
        if ((weighted != (list->weight.n > 0) && list->from.n > 0) ||
            (weighted && !glia_number_parse(word, end, &weight))) {
            glia_lines_fail(l, "the weight of the edge is missing, or not a number");
            break;
        }
        if (!glia_ints_add(&list->from, from) || !glia_ints_add(&list->to, to) ||
            (weighted && !glia_floats_add(&list->weight, weight))) {
            l->status = glia_fail_nomem(l->error);
            break;
        }
        list->most = GLIA_MAX(list->most, GLIA_MAX(from, to));
    }
    return l->status;
}

static glia_graph_data *make_graph(const char *name, const edge_list *list, int64_t nodes, bool directed,
                                   glia_error *error) {
    const glia_graph_edges edges = { .nodes = nodes,
                                     .edges = list->from.n,
                                     .from = list->from.at,
                                     .to = list->to.at,
                                     .undirected = !directed,
                                     .self = GLIA_EDGES_DROP,
                                     .repeated = GLIA_EDGES_DROP };
    glia_graph_data *data = glia_graph_data_create(name, edges, error);
    if (!data || !list->weight.n) return data;
    if (glia_graph_data_add(data, GLIA_OF_EDGES, "weight", GLIA_F32, GLIA_SCALAR, list->weight.at, error) == GLIA_OK)
        return data;
    glia_graph_data_free(data);
    return NULL;
}

glia_graph_data *glia_read_edge_list(const glia_graph_source *s, glia_error *error) {
    const char *count = glia_graph_option(s, "nodes"), *directed = glia_graph_option(s, "directed");
    int64_t nodes = 0;
    if (count && (!glia_parse_integer(count, count + strlen(count), &nodes) || nodes < 1 || nodes >= INT32_MAX)) {
        glia_fail(error, GLIA_E_ARGUMENT, "nodes=%.40s is not a number of nodes", count);
        return NULL;
    }
    glia_lines lines;
    edge_list list = { .most = -1 };
    glia_graph_data *data = NULL;
    if (glia_lines_open(&lines, s->path, error) == GLIA_OK &&
        read_edges(&lines, nodes ? nodes : INT32_MAX - 1, &list) == GLIA_OK) {
        if (list.from.n)
            data = make_graph(s->name, &list, nodes ? nodes : list.most + 1, directed && *directed == '1', error);
        else
            glia_fail(error, GLIA_E_FORMAT, "%.200s: there is no edge in the file", s->path);
    }
    glia_lines_close(&lines);
    free_list(&list);
    return data;
}

/* ---- a folder ------------------------------------------------------------------------------------ */

/* The rest of a graph in a folder: labels and features of its nodes. */
typedef struct folder {
    glia_ints labels;
    float *x; /* (nodes, features) */
    int64_t features;
} folder;

static glia_status read_features(const char *path, folder *f, glia_error *error) {
    glia_file file;
    char packed[4200];
    snprintf(packed, sizeof packed, "%s.gz", path);
    glia_status status = glia_file_open(&file, access(path, F_OK) == 0 ? path : packed, error);
    if (status != GLIA_OK) return status;
    glia_sparse rows = { 0 };
    status = glia_libsvm_parse(file.bytes, file.length, (glia_libsvm_opts){ .first = 0 }, &rows, error);
    glia_file_close(&file);
    if (status != GLIA_OK) return glia_fail_at_path(error, path, status);
    size_t count = 0;
    f->features = rows.features;
    if (rows.y_dtype == GLIA_I32 && glia_mul_fits((size_t)rows.n, (size_t)rows.features, &count))
        f->x = calloc(count, sizeof *f->x);
    if (rows.y_dtype != GLIA_I32)
        status = glia_fail(error, GLIA_E_FORMAT, "%.200s: the labels of nodes must be classes", path);
    else if (!f->x)
        status = glia_fail_nomem(error);
    for (int64_t i = 0; status == GLIA_OK && i < rows.n; i++) {
        if (!glia_ints_add(&f->labels, ((const int32_t *)rows.y)[i])) status = glia_fail_nomem(error);
        for (int64_t k = rows.starts[i]; k < rows.starts[i + 1]; k++)
            f->x[i * rows.features + rows.columns[k]] = rows.values[k];
    }
    glia_sparse_free(&rows);
    return status;
}

static glia_status read_labels(const char *path, folder *f, glia_error *error) {
    glia_lines l;
    int64_t label;
    glia_status status = glia_lines_open(&l, path, error);
    while (status == GLIA_OK && glia_lines_next(&l)) {
        if (!glia_lines_integer(&l, "the label", -1, 1 << 20, &label)) break;
        if (!glia_ints_add(&f->labels, label)) l.status = glia_fail_nomem(error);
    }
    status = l.status;
    glia_lines_close(&l);
    return status;
}

static glia_status read_split(const char *path, uint8_t *split, int64_t nodes, glia_error *error) {
    glia_lines l;
    int64_t node;
    const char *word = NULL, *end = NULL;
    glia_status status = glia_lines_open(&l, path, error);
    while (status == GLIA_OK && glia_lines_next(&l)) {
        if (is_header(&l)) continue;
        if (!glia_lines_integer(&l, "the node", 0, nodes - 1, &node)) break;
        const int part = glia_lines_word(&l, &word, &end) ? glia_graph_split_named(word, end) : -1;
        if (part < 0) {
            glia_lines_fail(&l, "a node is of train, val or test");
            break;
        }
        split[node] = (uint8_t)part;
    }
    status = l.status;
    glia_lines_close(&l);
    return status;
}

static bool there(const char *path) {
    char packed[4200];
    snprintf(packed, sizeof packed, "%s.gz", path);
    return access(path, F_OK) == 0 || access(packed, F_OK) == 0;
}

static glia_status add_of_nodes(glia_graph_data *d, const folder *f, const char *split_path, glia_error *error) {
    glia_status status = glia_graph_data_add(d, GLIA_OF_NODES, "label", GLIA_I32, GLIA_SCALAR, f->labels.at, error);
    if (status == GLIA_OK && f->x)
        status = glia_graph_data_add(d, GLIA_OF_NODES, "x", GLIA_F32, GLIA_SHAPE(f->features), f->x, error);
    if (status != GLIA_OK || !there(split_path)) return status;
    glia_error reason = { 0 };
    uint8_t *split = glia_graph_add_zeros(d, GLIA_OF_NODES, "split", GLIA_U8, GLIA_SCALAR, &reason);
    if (!split) return glia_fail(error, reason.status, "%s", reason.message);
    memset(split, GLIA_PART_NONE, (size_t)d->nodes);
    return read_split(split_path, split, d->nodes, error);
}

glia_graph_data *glia_read_graph_folder(const glia_graph_source *s, glia_error *error) {
    char paths[4][4160];
    static const char *const files[] = { "features.svm", "labels.txt", "edges.csv", "split.csv" };
    for (int i = 0; i < 4; i++) snprintf(paths[i], sizeof paths[i], "%.4000s/%s", s->path, files[i]);
    folder f = { 0 };
    edge_list list = { .most = -1 };
    glia_lines lines = { 0 };
    glia_graph_data *data = NULL;
    glia_status status = there(paths[0]) ? read_features(paths[0], &f, error) : read_labels(paths[1], &f, error);
    if (status == GLIA_OK && f.labels.n == 0)
        status = glia_fail(error, GLIA_E_FORMAT, "%.200s: the graph has no nodes", s->path);
    if (status == GLIA_OK) status = glia_lines_open(&lines, paths[2], error);
    if (status == GLIA_OK) status = read_edges(&lines, f.labels.n, &list);
    if (status == GLIA_OK) data = make_graph(s->name, &list, f.labels.n, false, error);
    if (data && add_of_nodes(data, &f, paths[3], error) != GLIA_OK) {
        glia_graph_data_free(data);
        data = NULL;
    }
    glia_lines_close(&lines);
    free_list(&list);
    free(f.labels.at);
    free(f.x);
    return data;
}
