/* net.h - arguments of the kernel that runs nets of any shapes side by side, each in its lane (families/evolution/
 * crowd.c); and what a node computes.
 *
 * Number i of lane j lies at [i GLIA_NET_LANES + j]. Each lane has its own nodes in its own order: position k is the
 * k-th node of each. Lanes with fewer nodes or fewer links into one have links of weight 0 there.
 */
#ifndef GLIA_SRC_BACKEND_CPU_KERNELS_NET_H
#define GLIA_SRC_BACKEND_CPU_KERNELS_NET_H

#include <math.h>
#include <stdbool.h>

#include "base/real.h"
#include "glia/evolution.h"

enum { GLIA_NET_LANES = 16, GLIA_NET_MIXED = -1 };

/* Slots of values: inputs, the bias, then the nodes by position; behind all of them those of the step before. What the
 * lanes have in common is given once; GLIA_NET_MIXED: each its own. */
typedef struct glia_net_lanes {
    int inputs, outputs, slots;
    bool recurrent;        /* some lane reads values of the step before */
    int positions;         /* the most nodes of a lane */
    const int *first;      /* (positions) where the links into each begin */
    int *links;            /* (positions) the most of a lane */
    int *function;         /* (positions) */
    uint8_t *own_function; /* (positions, lanes) */
    int *source;           /* (links) slots */
    int32_t *own_source;   /* (links, lanes) */
    double *weight;        /* (links, lanes) */
    int *output;           /* (outputs) slots */
    int32_t *own_output;   /* (outputs, lanes) */
    double *values;        /* (2 slots, lanes) */
} glia_net_lanes;

static inline double glia_net_tanh(double x) { return 1 - 2 / (glia_real_exp(2 * x) + 1); }
static inline double glia_net_sigmoid(double x) { return 1 / (1 + glia_real_exp(-4.9 * x)); }

/* The function of a node. */
static inline double glia_net_node(glia_node_function function, double x) {
    switch (function) {
    case GLIA_NODE_SIGMOID: return glia_net_sigmoid(x);
    case GLIA_NODE_TANH: return glia_net_tanh(x);
    case GLIA_NODE_RELU: return x > 0 ? x : 0;
    case GLIA_NODE_GAUSSIAN: return glia_real_exp(-x * x);
    case GLIA_NODE_SINE: return sin(x);
    case GLIA_NODE_ABS: return fabs(x);
    case GLIA_NODE_STEP: return x > 0;
    default: return x;
    }
}

#endif
