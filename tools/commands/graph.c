/* graph.c - `glia graph`: draws a graph, coloured by what a trained model says of its nodes (classes, or communities by
 * their vectors) or by their labels; and a map of the model's answers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runs/graphs.h"
#include "runs/saved.h"
#include "terminal/options.h"

typedef struct request {
    const char *data, *folder, *out, *map;
    int64_t graph, seed, threads, width;
} request;

static int write_text(const char *path, char *svg, const char *what, const glia_error *error) {
    if (!svg) return fail("%s", error->message);
    const int status = write_file(path, svg, strlen(svg)) ? -1 : fail("%s: %s", path, strerror(errno));
    if (status < 0) printf("%s in %s\n", what, path);
    free(svg);
    return status;
}

static int32_t *best_of(const float *answers, int64_t rows, int64_t k) {
    int32_t *best = allocate((size_t)rows, sizeof *best);
    for (int64_t i = 0; i < rows; i++) {
        best[i] = 0;
        for (int64_t c = 1; c < k; c++)
            if (answers[i * k + c] > answers[i * k + best[i]]) best[i] = (int32_t)c;
    }
    return best;
}

/* Communities: groups of nodes by k-means of their vectors. */
static int32_t *communities_of(const float *vectors, int64_t rows, int64_t k, int groups, glia_error *error) {
    const char **names = allocate((size_t)rows, sizeof *names);
    char(*numbers)[SHORT] = allocate((size_t)rows, sizeof *numbers);
    int32_t *group = allocate((size_t)rows, sizeof *group);
    for (int64_t i = 0; i < rows; i++) {
        snprintf(numbers[i], SHORT, "%lld", (long long)i);
        names[i] = numbers[i];
    }
    glia_vectors *all = glia_vectors_create(names, vectors, NULL, rows, k, error);
    const bool good = all && glia_vectors_groups(all, groups < rows ? groups : (int)rows, group, error) == GLIA_OK;
    glia_vectors_free(all);
    free(names);
    free(numbers);
    if (good) return group;
    free(group);
    return NULL;
}

/* Classes by the best answers, or communities if the answers are vectors. */
static int32_t *groups_of(const glia_model *model, const glia_graph_data *d, const float *answers, int64_t k,
                          bool *classes, glia_error *error) {
    const char *name = "";
    glia_model_output_at(model, 0, &name);
    *classes = strcmp(name, "vector") != 0;
    const int n = glia_graph_data_classes(d, GLIA_OF_NODES);
    if (*classes) return best_of(answers, glia_graph_data_nodes(d), k);
    return communities_of(answers, glia_graph_data_nodes(d), k, n ? n : 8, error);
}

/* t-SNE of the answers. */
static int draw_map(const request *q, const float *answers, int64_t rows, int64_t k, const int32_t *groups) {
    glia_error error;
    double *places = allocate((size_t)rows, 2 * sizeof *places);
    const glia_tsne_opts how = { .seed = (uint64_t)q->seed, .threads = (int)q->threads };
    int status = glia_tsne(answers, rows, k, how, places, NULL, &error) == GLIA_OK ? -1 : fail("%s", error.message);
    if (status < 0)
        status =
            write_text(q->map, glia_map_svg(places, rows, (glia_map_opts){ .groups = groups }, &error), "map", &error);
    free(places);
    return status;
}

/* `all`: the data that the model answers for; one of its graphs is drawn. */
static int draw(const request *q, glia_model *model, const glia_graph_data *all) {
    glia_error error;
    glia_array label;
    int status = -1;
    float *answers = NULL;
    int32_t *best = NULL;
    int64_t k = 0;
    const bool labelled = glia_graph_data_find(all, GLIA_OF_NODES, "label", &label);
    const bool one = glia_graph_data_graphs(all) == 1;
    bool classes = true;
    if (model && one) {
        answers = graphs_answers(model, all, (int)q->threads, &k, &error);
        best = answers ? groups_of(model, all, answers, k, &classes, &error) : NULL;
        if (!best) status = fail("%s", error.message);
    }
    glia_graph_data *chosen = one ? NULL : glia_graph_data_select(all, &q->graph, 1, &error);
    if (!one && !chosen) status = misuse("%s", error.message);
    glia_array numbers;
    const bool atoms = chosen && glia_graph_data_find(chosen, GLIA_OF_NODES, "atomic_number", &numbers);
    const glia_graph_svg_opts opts = { .groups = best              ? best
                                                 : atoms           ? numbers.data
                                                 : labelled && one ? label.data
                                                                   : NULL,
                                       .truth = best && classes && labelled ? label.data : NULL,
                                       .seed = (uint64_t)q->seed,
                                       .width = (int)q->width };
    if (status < 0) status = write_text(q->out, glia_graph_svg(one ? all : chosen, opts, &error), "drawing", &error);
    if (status < 0 && q->map && !best) status = misuse("--map: needs a model of nodes");
    if (status < 0 && q->map) status = draw_map(q, answers, glia_graph_data_nodes(all), k, best);
    glia_graph_data_free(chosen);
    free(answers);
    free(best);
    return status;
}

int command_graph(int argc, char **argv) {
    request q = { .out = "graph.svg" };
    const option table[] = {
        { .help = "draws data of graphs, or what a trained model says of them; wrong answers have a dark rim" },
        { "out", OPTION_TEXT, &q.out, "FILE", "SVG of the graph (graph.svg)", 0, 0 },
        { "map", OPTION_TEXT, &q.map, "FILE", "SVG of a map (t-SNE) of the model's answers", 0, 0 },
        { "data", OPTION_TEXT, &q.data, "DATA", "other data than those of the training", 0, 0 },
        { "data-folder", OPTION_TEXT, &q.folder, "FOLDER", "folder searched first for named data", 0, 0 },
        { "graph", OPTION_INT, &q.graph, "N", "which of several graphs (0)", 0, 1e9 },
        { "width", OPTION_INT, &q.width, "N", "pixels (by the number of nodes)", 100, 10000 },
        { "seed", OPTION_INT, &q.seed, "N", "random seed of the places (0)", 0, 9e15 },
        { "threads", OPTION_INT, &q.threads, "N", "CPU threads (all cores)", 1, 1024 },
    };
    const options what = { "graph", table, sizeof table / sizeof table[0], 1, 1, "a run folder, a file, or data" };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) return status;
    glia_error error;
    saved s = { 0 };
    const bool bare = glia_graph_data_is_address(argv[1]);
    status = bare ? -1 : saved_open_method(&s, argv[1]);
    const char *address = q.data ? q.data : bare ? argv[1] : status < 0 ? glia_model_get(s.model, "data") : NULL;
    glia_graph_data *data = status < 0 && address ? graphs_open(address, q.folder, &error) : NULL;
    if (status < 0 && !data) status = address ? fail("%s", error.message) : misuse("graph needs --data");
    if (status < 0) status = draw(&q, s.model, data);
    glia_graph_data_free(data);
    if (!bare) saved_close(&s);
    return status < 0 ? EXIT_OK : status;
}
