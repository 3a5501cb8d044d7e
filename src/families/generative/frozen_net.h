/* frozen_net.h - a trained classifier as a fixed part of another graph: gradients pass through it, nothing changes it.
 *
 * Its values become states of that graph, "classifier/NAME", so checkpoints of a training keep them.
 */
#ifndef GLIA_SRC_FAMILIES_GENERATIVE_FROZEN_NET_H
#define GLIA_SRC_FAMILIES_GENERATIVE_FROZEN_NET_H

#include "glia/model.h"

typedef struct glia_frozen_net {
    glia_model *model;
    glia_graph *graph; /* the model's in evaluation: no dropout, running statistics */
    glia_shape sample; /* that it takes */
    int64_t classes;
    uint64_t hash; /* of its values */
} glia_frozen_net;

/* Loads the classifier of a file or run folder for pictures of this shape in [0, 1]. Errors name the path. */
glia_status glia_frozen_net_open(glia_frozen_net *net, const char *path, glia_shape sample, glia_error *error);
void glia_frozen_net_close(glia_frozen_net *net);
/* Its logits (N, classes) of pictures x (N, ...) in [0, 1], in the graph of x. */
glia_tensor glia_frozen_net_logits(const glia_frozen_net *net, glia_tensor x);
/* Writes its values to a store that has the states. */
void glia_frozen_net_fill(const glia_frozen_net *net, glia_store *store);

#endif
