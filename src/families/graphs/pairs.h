/* pairs.h - internal: what the methods "links" and "recommend" share: vectors of nodes, losses of pairs of nodes. */
#ifndef GLIA_SRC_FAMILIES_GRAPHS_PAIRS_H
#define GLIA_SRC_FAMILIES_GRAPHS_PAIRS_H

#include "families/graphs/net.h"

/* Programs over one prepared graph: the training step, and the vectors. */
typedef struct glia_pairs {
    glia_graph_data *data; /* prepared: what messages go along */
    glia_graph *graph;     /* with the loss and its updates */
    glia_tensor loss, vector;
    glia_graph_net train, infer;
    int64_t width; /* K */
} glia_pairs;

/* Checks that the first output of a model is (V, K). */
glia_status glia_pairs_check(const glia_model *model, const char *method, int64_t *width, glia_error *error);
/* The dot products of vectors of the nodes in two lists: (n). */
glia_tensor glia_pairs_dot(glia_tensor vector, glia_tensor a, glia_tensor b);
/* Prepares the data (rows: as in glia_graph_prepared()) and copies the model's graph, in which the caller builds the
 * loss. */
glia_status glia_pairs_begin(glia_training *t, glia_pairs *p, const char *method, const glia_graph_data *data,
                             bool rows, glia_error *error);
/* Updates for p->loss; programs; what a training declares. Call after the loss is built. */
glia_status glia_pairs_build(glia_training *t, glia_pairs *p, glia_error *error);
void glia_pairs_end(glia_training *t, glia_pairs *p);
/* Runs a step; inputs of the session besides the graph's are set by `fill`. */
typedef void (*glia_pairs_fill)(glia_training *t, glia_session *session);
glia_status glia_pairs_step(glia_training *t, glia_pairs *p, glia_pairs_fill fill, int64_t n, int loss_mean,
                            glia_error *error);
/* The vectors (V, K) now; valid until the next call. NULL: see error. */
const float *glia_pairs_vectors(glia_pairs *p, glia_error *error);
/* Vectors of a trained model over such edges, malloc()ed; NULL: see error. */
float *glia_pairs_of_model(glia_model *model, const glia_graph_data *data, const glia_assess_opts *opts, int64_t *width,
                           glia_error *error);
double glia_pairs_score(const float *vectors, int64_t width, int32_t a, int32_t b);

#endif
