/* draws.c - distributions of words: Huffman codes, alias tables, subsampling.
 *
 * Huffman's tree is built in linear time, since the counts are sorted: leaves and inner nodes each form a queue, and
 * the two smallest at the fronts are joined (van Leeuwen 1976).
 */
#include <math.h>
#include <stdlib.h>

#include "families/words/words.h"

/* ---- Huffman codes ------------------------------------------------------------------------ */

typedef struct joining {
    int64_t leaf, inner, made, n; /* fronts of the queues; number of nodes so far */
    int64_t *weight;              /* of all 2n - 1 nodes, leaves first */
    int64_t *parent;
    uint8_t *bit;
} joining;

static int64_t take_least(joining *j) {
    if (j->leaf >= 0 && (j->inner == j->made || j->weight[j->leaf] <= j->weight[j->inner])) return j->leaf--;
    return j->inner++;
}

static void join(joining *j) {
    j->leaf = j->n - 1;
    j->inner = j->made = j->n;
    while (j->made < 2 * j->n - 1) {
        const int64_t a = take_least(j), b = take_least(j);
        j->weight[j->made] = j->weight[a] + j->weight[b];
        j->parent[a] = j->parent[b] = j->made;
        j->bit[b] = 1;
        j->made++;
    }
}

/* Writes the nodes and bits of every word, from the root. */
static bool write_codes(glia_word_tree *tree, const joining *j, int64_t *depth) {
    const int64_t n = j->n;
    int64_t total = 0;
    tree->starts = malloc(((size_t)n + 1) * sizeof *tree->starts);
    if (!tree->starts) return false;
    depth[2 * n - 2] = 0;
    for (int64_t i = 2 * n - 3; i >= 0; i--) depth[i] = depth[j->parent[i]] + 1;
    for (int64_t i = 0; i < n; i++) {
        tree->starts[i] = total;
        total += depth[i];
        tree->longest = (int)GLIA_MAX((int64_t)tree->longest, depth[i]);
    }
    tree->starts[n] = total;
    tree->nodes = malloc(((size_t)total + 1) * sizeof *tree->nodes);
    tree->bits = malloc((size_t)total + 1);
    if (!tree->nodes || !tree->bits) return false;
    for (int64_t i = 0; i < n; i++) {
        int64_t node = i;
        for (int64_t k = tree->starts[i + 1] - 1; k >= tree->starts[i]; k--) {
            tree->bits[k] = j->bit[node];
            node = j->parent[node];
            tree->nodes[k] = (int32_t)(node - n);
        }
    }
    return true;
}

bool glia_word_tree_build(glia_word_tree *tree, const int64_t *counts, int64_t n) {
    *tree = (glia_word_tree){ 0 };
    const size_t nodes = 2 * (size_t)n;
    joining j = { .n = n };
    j.weight = calloc(nodes, sizeof *j.weight);
    j.parent = calloc(nodes, sizeof *j.parent);
    j.bit = calloc(nodes, 1);
    int64_t *depth = calloc(nodes, sizeof *depth);
    bool good = j.weight && j.parent && j.bit && depth;
    for (int64_t i = 0; i < n && good; i++) j.weight[i] = counts[i];
    if (good) join(&j);
    if (good) good = write_codes(tree, &j, depth);
    free(j.weight);
    free(j.parent);
    free(j.bit);
    free(depth);
    if (!good) glia_word_tree_free(tree);
    return good;
}

void glia_word_tree_free(glia_word_tree *tree) {
    free(tree->starts);
    free(tree->nodes);
    free(tree->bits);
    *tree = (glia_word_tree){ 0 };
}

/* ---- alias tables ------------------------------------------------------------------------- */

/* Cells of equal width: each is filled by one word that is smaller and the rest of one that is larger. */
static void fill(glia_word_draws *d, double *share, int32_t *stack) {
    int64_t small = 0, large = d->n;
    for (int64_t i = 0; i < d->n; i++) stack[share[i] < 1 ? small++ : --large] = (int32_t)i;
    while (small > 0 && large < d->n) {
        const int32_t less = stack[--small], more = stack[large];
        d->cells[less] = (struct glia_word_draw){ (uint32_t)(share[less] * 0x1p32), more };
        share[more] -= 1 - share[less];
        if (share[more] < 1) {
            large++;
            stack[small++] = more;
        }
    }
    for (int64_t i = 0; i < small; i++) d->cells[stack[i]] = (struct glia_word_draw){ UINT32_MAX, stack[i] };
    for (int64_t i = large; i < d->n; i++) d->cells[stack[i]] = (struct glia_word_draw){ UINT32_MAX, stack[i] };
}

bool glia_word_draws_build(glia_word_draws *draws, const int64_t *counts, int64_t n, double power) {
    *draws = (glia_word_draws){ .n = n, .cells = malloc((size_t)n * sizeof *draws->cells) };
    double *share = malloc((size_t)n * sizeof *share), sum = 0;
    int32_t *stack = malloc((size_t)n * sizeof *stack);
    const bool good = draws->cells && share && stack;
    for (int64_t i = 0; i < n && good; i++) sum += share[i] = pow((double)counts[i], power);
    for (int64_t i = 0; i < n && good; i++) share[i] *= (double)n / sum;
    if (good) fill(draws, share, stack);
    free(share);
    free(stack);
    if (!good) glia_word_draws_free(draws);
    return good;
}

void glia_word_draws_free(glia_word_draws *draws) {
    free(draws->cells);
    *draws = (glia_word_draws){ 0 };
}

/* ---- subsampling -------------------------------------------------------------------------- */

double glia_word_kept(int64_t count, int64_t total, double sample) {
    if (sample <= 0) return 1;
    const double ratio = sample * (double)total / (double)count;
    return GLIA_MIN(1.0, sqrt(ratio) + ratio);
}
