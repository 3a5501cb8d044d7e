/* sum_tree.c - the sum tree of Schaul et al. 2016, appendix B.2.1. */
#include <stdlib.h>
#include <string.h>

#include "data/replay/sum_tree.h"

bool glia_sum_tree_init(glia_sum_tree *tree, int64_t n) {
    *tree = (glia_sum_tree){ .leaves = 1 };
    while (tree->leaves < n) tree->leaves *= 2;
    tree->sums = calloc(2 * (size_t)tree->leaves, sizeof *tree->sums);
    return tree->sums != NULL;
}

void glia_sum_tree_free(glia_sum_tree *tree) {
    free(tree->sums);
    *tree = (glia_sum_tree){ 0 };
}

void glia_sum_tree_set(glia_sum_tree *tree, int64_t k, double weight) {
    int64_t i = tree->leaves + k;
    tree->sums[i] = weight;
    while ((i /= 2) > 0) tree->sums[i] = tree->sums[2 * i] + tree->sums[2 * i + 1];
}

void glia_sum_tree_fill(glia_sum_tree *tree, const double *weights, int64_t n) {
    double *leaf = tree->sums + tree->leaves;
    if (n) memmove(leaf, weights, (size_t)n * sizeof *leaf);
    for (int64_t k = n; k < tree->leaves; k++) leaf[k] = 0;
    for (int64_t i = tree->leaves - 1; i > 0; i--) tree->sums[i] = tree->sums[2 * i] + tree->sums[2 * i + 1];
}

int64_t glia_sum_tree_find(const glia_sum_tree *tree, double mass) {
    int64_t i = 1;
    while (i < tree->leaves) {
        const double left = tree->sums[2 * i];
        const bool right = mass >= left && tree->sums[2 * i + 1] > 0;
        if (right) mass -= left;
        i = 2 * i + right;
    }
    return i - tree->leaves;
}
