/* fixed.c - finds fixed values, which are the same in every run of a frozen program: they depend only on parameters,
 * states and constants.
 *
 * Inputs and the random state, which a session advances in each run, are not fixed. Neither are leaves that the graph's
 * updates change, and those that the caller names.
 */
#include "core/passes/passes.h"

static bool is_updated(const glia_graph *g, const glia_node *leaf) {
    for (int i = 0; i < g->n_updates; i++) {
        if (g->updates[i].leaf == leaf) return true;
    }
    return false;
}

static bool changes(const glia_graph *g, const char *changing, const glia_node *n) {
    if (glia_is_input(n) || glia_is_random_state(n)) return true;
    if (!glia_is_parameter(n) && !glia_is_state(n)) return false;
    return is_updated(g, n) || (changing && glia_glob(changing, glia_leaf_of(n)->name));
}

void glia_find_fixed(const glia_graph *g, const char *changing, bool *fixed) {
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        fixed[i] = !changes(g, changing, n);
        for (int j = 0; j < n->n_in; j++) fixed[i] = fixed[i] && fixed[n->in[j]->id];
    }
}
