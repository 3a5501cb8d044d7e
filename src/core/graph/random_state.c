/* random_state.c - the random state: the leaf "rng", i64 (2), with a seed and a step. A session increments the step
 * after each run. */
#include <string.h>

#include "core/graph/graph.h"

glia_tensor glia_random_state(glia_graph *g) {
    return glia_state(g, GLIA_RANDOM_STATE, GLIA_I64, GLIA_SHAPE(2), (glia_init){ .kind = GLIA_INIT_SEED });
}

bool glia_is_random_state(const glia_node *n) {
    return glia_is_state(n) && n->dtype == GLIA_I64 && !strcmp(glia_leaf_of(n)->name, GLIA_RANDOM_STATE);
}
