/* genome.h - genomes in memory, and what the files of NEAT share. */
#ifndef GLIA_SRC_FAMILIES_EVOLUTION_GENOME_H
#define GLIA_SRC_FAMILIES_EVOLUTION_GENOME_H

#include "base/base.h"
#include "glia/evolution.h"

enum { GLIA_GENOME_MOST = 1 << 16 }; /* nodes, and links, of a genome */

/* A copy with room for some more nodes and links; false: out of memory. */
bool glia_genome_copy(glia_arena *arena, const glia_genome *from, int more_nodes, int more_links, glia_genome *to);
/* Index of the node; -1: there is none. */
int glia_genome_node(const glia_genome *genome, int32_t id);
/* GLIA_E_FORMAT: unknown nodes, links into inputs, wrong order, weights that are not finite, ... but for cycles. */
glia_status glia_genome_check(const glia_genome *genome, glia_error *error);

double glia_node_value(glia_node_function function, double x);

/* How a genome runs: the nodes that take part, each after those that it reads in the same step.
 *
 * Slots: inputs, bias, then the nodes of `order`. */
typedef struct glia_net_plan {
    int slots, n_order, n_links;
    int *order;     /* (n_order) indices of nodes */
    int *level;     /* (n_order) 1 + the highest level that a node reads in the same step */
    int *slot;      /* (nodes of the genome) -1: takes no part */
    int *first;     /* (n_order + 1) its links */
    int *source;    /* (n_links) slots */
    bool *before;   /* (n_links) reads the value of the step before */
    double *weight; /* (n_links) */
    int *output;    /* (outputs) slots */
    bool recurrent;
    void *memory;
} glia_net_plan;
/* GLIA_E_FORMAT: a cycle of enabled links that are not recurrent. */
glia_status glia_net_plan_make(const glia_genome *genome, glia_net_plan *plan, glia_error *error);
void glia_net_plan_free(glia_net_plan *plan);

#endif
