/* graphs.c - the source of methods that learn from graphs. */
#include "runs/graphs.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "runs/source.h"

glia_graph_data *graphs_open(const char *address, const char *folder, glia_error *error) {
    glia_graph_data *d = glia_graph_data_open(address, folder, error);
    if (!d) return NULL;
    const glia_graph_part part = glia_graph_data_sizes(d).graphs ? GLIA_OF_GRAPHS : GLIA_OF_NODES;
    const bool answered = glia_graph_data_sizes(d).outputs > 0;
    if (!answered || glia_graph_data_find(d, part, "split", NULL) ||
        glia_graph_split_randomly(d, part, 0.1, 0.1, 0, error) == GLIA_OK)
        return d;
    glia_graph_data_free(d);
    return NULL;
}

/* The vectors of nodes in their order. */
static float *walked(const glia_model *model, int64_t nodes, int64_t *k, glia_error *error) {
    glia_vectors *vectors = glia_node_vectors(model, nodes, error);
    if (!vectors) return NULL;
    *k = glia_vectors_size(vectors);
    float *answers = allocate((size_t)(nodes * *k), sizeof *answers);
    memcpy(answers, glia_vectors_at(vectors, 0), (size_t)(nodes * *k) * sizeof *answers);
    glia_vectors_free(vectors);
    return answers;
}

float *graphs_answers(glia_model *model, const glia_graph_data *data, int threads, int64_t *k, glia_error *error) {
    const char *method = glia_model_get(model, "method");
    const glia_graph_predict_opts how = { .threads = threads };
    const int64_t nodes = glia_graph_data_nodes(data);
    const int64_t rows = glia_graph_data_sizes(data).graphs ? glia_graph_data_graphs(data) : nodes;
    if (method && strcmp(method, "node2vec") == 0) return walked(model, nodes, k, error);
    if (glia_graph_predict(model, data, how, NULL, 0, k, error) != GLIA_OK) return NULL;
    float *answers = allocate((size_t)(rows * *k), sizeof *answers);
    if (glia_graph_predict(model, data, how, answers, rows * *k, k, error) == GLIA_OK) return answers;
    free(answers);
    return NULL;
}

static int open_graphs(training *t) {
    settings *a = &t->asked;
    a->data = a->data ? a->data : t->recipe->data;
    if (!a->data) return misuse("%s needs --data: cora, mutag, table:NODES.csv,EDGES.csv, ...", t->recipe->name);
    glia_error error;
    t->graphs = graphs_open(a->data, a->data_folder, &error);
    return t->graphs ? -1 : fail("%s", error.message);
}

static void sizes(const training *t, glia_shape *x, int64_t *outputs) {
    const glia_graph_sizes s = glia_graph_data_sizes(t->graphs);
    *x = GLIA_SHAPE(s.features ? s.features : 1);
    *outputs = s.outputs;
}

static glia_model *build(const training *t, glia_error *error) {
    return glia_recipe_build_graphs(t->recipe, glia_graph_data_sizes(t->graphs), error);
}

/* What predictions need: the address of the data and the names of the classes. */
static int prepare(training *t) {
    text classes = { 0 };
    const glia_graph_sizes s = glia_graph_data_sizes(t->graphs);
    const int n = glia_graph_data_classes(t->graphs, s.graphs ? GLIA_OF_GRAPHS : GLIA_OF_NODES);
    for (int i = 0; i < n; i++) {
        char number[16];
        text_add(&classes, "%s%s", i ? "\n" : "", glia_graph_data_class_name(t->graphs, i, number));
    }
    glia_error error;
    glia_status status = glia_model_set(t->model, "data", t->asked.data, &error);
    if (status == GLIA_OK && n) status = glia_model_set(t->model, "classes", classes.bytes, &error);
    free(classes.bytes);
    return status == GLIA_OK ? -1 : fail("%s", error.message);
}

static int64_t samples(const training *t) {
    const glia_graph_sizes s = glia_graph_data_sizes(t->graphs);
    glia_array split;
    const glia_graph_part part = s.graphs ? GLIA_OF_GRAPHS : GLIA_OF_NODES;
    const int64_t all = s.graphs ? glia_graph_data_graphs(t->graphs) : s.nodes;
    int64_t n = 0;
    if (!glia_graph_data_find(t->graphs, part, "split", &split)) return all;
    for (int64_t i = 0; i < all; i++) n += ((const uint8_t *)split.data)[i] == GLIA_PART_TRAIN;
    return n;
}

static void tell(const training *t) {
    char graphs[SHORT], nodes[SHORT], edges[SHORT], train[SHORT];
    text words = { 0 };
    const int64_t n = glia_graph_data_graphs(t->graphs);
    text_add(&words, "%s: ", t->asked.data);
    if (n > 1) text_add(&words, "%s graphs, ", grouped(n, graphs));
    text_add(&words, "%s nodes, %s edges, %s to learn from", grouped(glia_graph_data_nodes(t->graphs), nodes),
             grouped(glia_graph_data_edges(t->graphs), edges), grouped(samples(t), train));
    progress_say("data", words.bytes);
    free(words.bytes);
}

static void assess(const training *t, glia_assess_opts *opts) { opts->graphs = t->graphs; }

static void close_graphs(training *t) { glia_graph_data_free(t->graphs); }

const source source_graphs = { .flag = GLIA_USES_GRAPHS,
                               .takes = SOURCE_ADDRESS,
                               .instead = "--data 'NAME?split=random:0.1:0.1' splits it",
                               .open = open_graphs,
                               .sizes = sizes,
                               .build = build,
                               .prepare = prepare,
                               .samples = samples,
                               .tell = tell,
                               .assess = assess,
                               .close = close_graphs };
