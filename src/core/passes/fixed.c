/* fixed.c - finds fixed values, which are the same in every run of a frozen program: they depend only on parameters,
 * states and constants.
 *
 * Inputs and the random state, which a session advances in each run, are not fixed.
 */
#include "core/passes/passes.h"

void glia_find_fixed(const glia_graph *g, bool *fixed) {
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        fixed[i] = !glia_is_input(n) && !glia_is_random_state(n);
        for (int j = 0; j < n->n_in; j++) fixed[i] = fixed[i] && fixed[n->in[j]->id];
    }
}
