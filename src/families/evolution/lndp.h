/* lndp.h - inside a lifelong developmental program: the genome's parts, the state, a step of plasticity. */
#ifndef GLIA_SRC_FAMILIES_EVOLUTION_LNDP_H
#define GLIA_SRC_FAMILIES_EVOLUTION_LNDP_H

#include "base/base.h"
#include "glia/evolution.h"

enum {
    LNDP_MARKS = 5, /* incoming, outgoing and all edges; is an input; is an output */
    LNDP_HEADS = 3,
    LNDP_KEY = 4,     /* numbers of a head's key */
    LNDP_VALUE = 8,   /* and value */
    LNDP_HIDDEN = 16, /* units of the nets that decide about edges */
    LNDP_EDGE_MOST = 16,
};

/* Where the parts lie in a genome: weights (out, in) by rows, and biases. "seen": activities and features of a node. */
typedef struct glia_lndp_parts {
    int perceive, perceive_bias;                 /* (F, 5 + seen), (F) */
    int query, key, value, attend, attend_bias;  /* (12, F), (12, F), (24, F), (3, E + 3), (3) */
    int merge, merge_bias;                       /* (F, 24), (F) */
    int node_in, node_keep, node_bias, node_new; /* (3F, F), (3F, F), (3F), (F) */
    int edge_from, edge_to, edge_reward;         /* (3E, seen), (3E, seen), (3E) */
    int edge_keep, edge_bias, edge_new;          /* (3E, E), (3E), (E) */
    int add_from, add_to, add_bias, add_out;     /* (16, F), (16, F), (16), (17): weights and bias */
    int prune_in, prune_bias, prune_out;         /* (16, E), (16), (17) */
    int noise_mean, noise_rate, noise_scale;     /* (inputs), (inputs), (inputs, inputs) */
    int numbers;
} glia_lndp_parts;

/* Rows of nodes are `stride` floats, a multiple of the vectors' length; those beyond the nodes mean nothing in
 * features, and are 0 in edges. */
struct glia_lndp {
    glia_lndp_opts opts; /* with all defaults */
    glia_lndp_parts part;
    int n, stride, features, seen, edge_features;
    float *memory;
    float *genome;
    float *marks;       /* (5, stride) */
    float *activity;    /* (propagation + 1, stride), behind the marks */
    float *h;           /* (features, stride), behind the activity */
    float *e;           /* (edge_features, n, stride); the first is the weight */
    float *a, *turned;  /* (n, stride) 1: an edge from the row's node to the column's; the transpose */
    float *allowed;     /* (n, stride) 1: where an edge may be */
    float *spontaneous; /* (inputs) */
    float *work;
    glia_rng rng; /* of this life */
};

/* Floats between rows of so many nodes. */
int glia_lndp_stride(int nodes);
/* Floats of `work`. */
size_t glia_lndp_work(const glia_lndp *net);
/* One step of nodes, edges and structure, after this reward. */
void glia_lndp_update(glia_lndp *net, float reward);
/* The activities of a step with these inputs: the nodes' last ones are the answer. */
void glia_lndp_propagate(glia_lndp *net, const float *x);

#endif
