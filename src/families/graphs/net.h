/* net.h - internal: a model's graph and data of graphs brought together: prepared data, programs for their sizes. */
#ifndef GLIA_SRC_FAMILIES_GRAPHS_NET_H
#define GLIA_SRC_FAMILIES_GRAPHS_NET_H

#include "glia/graphs.h"
#include "train/run/training.h"

/* A copy of the data as the model wants them: with loops, the array "factor" of edges, and with `rows` features whose
 * rows sum to 1. NULL: see error. */
glia_graph_data *glia_graph_prepared(const glia_model *model, const glia_graph_data *data, bool rows,
                                     glia_error *error);

/* Programs of some outputs of a graph, one for each class of sizes that batches have. A program for larger sizes than
 * the batch has nodes that belong to no graph and edges that belong to no node. */
enum { GLIA_GRAPH_LEVELS = 24 };
typedef struct glia_graph_net {
    glia_graph *graph;
    glia_backend *backend;
    glia_store *store;
    glia_compile_opts opts;
    int64_t nodes, edges, entries, graphs; /* of level 0; entries: of a sparse x */
    bool exact;                            /* one level, of exactly these sizes */
    bool filled;                           /* exact: the inputs are there */
    glia_program *programs[GLIA_GRAPH_LEVELS];
    glia_session *sessions[GLIA_GRAPH_LEVELS];
} glia_graph_net;

/* `opts` without sizes; outputs must outlive it. The sizes are those of `data` (exact), or of an average batch of
 * `batch` of its graphs. */
void glia_graph_net_open(glia_graph_net *net, glia_graph *graph, glia_backend *backend, glia_store *store,
                         glia_compile_opts opts, const glia_graph_data *data, int64_t batch);
void glia_graph_net_close(glia_graph_net *net);
/* The session for prepared data, with its inputs filled in; NULL: see error. */
glia_session *glia_graph_net_feed(glia_graph_net *net, const glia_graph_data *data, glia_error *error);
/* The same, and runs it. */
glia_session *glia_graph_net_run(glia_graph_net *net, const glia_graph_data *data, glia_error *error);
/* Sets the input of a learning rate in all sessions that exist, and remembers nothing: to be called after feed. */
void glia_graph_session_rate(glia_session *session, const char *name, double rate);

/* The output of this name or, with NULL, the first; NULL: there is none. */
glia_tensor glia_graph_answer(const glia_graph *graph, const char *name);

/* The label of nodes or graphs, or NULL; targets with *width numbers each, or NULL. */
const int32_t *glia_graph_labels(const glia_graph_data *data, glia_graph_part part);
const float *glia_graph_targets_of(const glia_graph_data *data, glia_graph_part part, int64_t *width);
/* States of glia_model_scale(). */
#define GLIA_TARGET_MEAN "target/mean"
#define GLIA_TARGET_DEVIATION "target/deviation"
/* The split, or NULL: all are of GLIA_PART_TRAIN. */
const uint8_t *glia_graph_split_of(const glia_graph_data *data, glia_graph_part part);

/* Answers of a model over items of parts of a split. */
typedef struct glia_graph_scores {
    double loss[3], accuracy[3], rmse[3], auc[3]; /* by part; NaN: there are no such items */
    int64_t n[3];
} glia_graph_scores;
/* logits (items, k) against labels, or values against targets. false: out of memory. */
bool glia_graph_score(const glia_graph_data *data, glia_graph_part part, const float *logits, int64_t k,
                      glia_graph_scores *scores);

#endif
