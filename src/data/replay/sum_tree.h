/* sum_tree.h - weights whose sum is kept in a binary tree, for draws in proportion to them in O(log n). */
#ifndef GLIA_SRC_DATA_REPLAY_SUM_TREE_H
#define GLIA_SRC_DATA_REPLAY_SUM_TREE_H

#include "base/base.h"

typedef struct glia_sum_tree {
    double *sums;   /* (2 leaves): node i has the children 2i and 2i + 1; the root is 1, weight k is node leaves + k */
    int64_t leaves; /* a power of two */
} glia_sum_tree;

bool glia_sum_tree_init(glia_sum_tree *tree, int64_t n); /* n weights of 0; false: out of memory */
void glia_sum_tree_free(glia_sum_tree *tree);
static inline const double *glia_sum_tree_weights(const glia_sum_tree *tree) { return tree->sums + tree->leaves; }
static inline double glia_sum_tree_total(const glia_sum_tree *tree) { return tree->sums[1]; }
/* weight is finite and not negative. Every inner node is the sum of its children, so the bits depend on the weights
 * alone, not on the order in which they were set. */
void glia_sum_tree_set(glia_sum_tree *tree, int64_t k, double weight);
/* Sets the first n weights and makes the others 0. */
void glia_sum_tree_fill(glia_sum_tree *tree, const double *weights, int64_t n);
/* The k with sum of weights before k <= mass < the same with weight k; of weight above 0 whatever the rounding. The
 * total must be above 0, mass in [0, total]. */
int64_t glia_sum_tree_find(const glia_sum_tree *tree, double mass);

#endif
