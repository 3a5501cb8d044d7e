/* lndp.h - arguments of the kernels of lifelong developmental programs (families/evolution/lndp.h): as many nets of one
 * shape as a vector has lanes live side by side, each in its lane by its own genome. Every number is a vector. */
#ifndef GLIA_SRC_BACKEND_CPU_KERNELS_LNDP_H
#define GLIA_SRC_BACKEND_CPU_KERNELS_LNDP_H

#include <stdbool.h>

enum {
    GLIA_LNDP_MARKS = 5, /* incoming, outgoing and all edges; is an input; is an output */
    GLIA_LNDP_HEADS = 3,
    GLIA_LNDP_KEY = 4,     /* numbers of a head's key */
    GLIA_LNDP_VALUE = 8,   /* and value */
    GLIA_LNDP_HIDDEN = 16, /* units of the nets that decide about edges */
    GLIA_LNDP_EDGE_MOST = 16,
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

/* Edges lie at places, from node ends[p][0] to node ends[p][1]; where none may be there is no place. */
typedef struct glia_lndp_nets {
    int nodes, inputs, features, edge_features, propagation, places;
    bool fixed_structure;
    glia_lndp_parts part;
    int (*ends)[2];      /* (places) */
    const int *place;    /* (nodes, nodes) the place of an edge from the row's node to the column's; `places`: none */
    const float *genome; /* (part.numbers, lanes) */
    float *node;         /* (nodes, width, lanes), width: the marks, propagation + 1 activities, the features */
    float *e;            /* (places, edge_features, lanes); the first is the weight; 0 where there is no edge */
    float *a;            /* (places + 1, lanes) 1: an edge; the last is 0 */
    float *work;
} glia_lndp_nets;

#endif
