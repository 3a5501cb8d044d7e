/* modal.h - graphs without operations that depend on the mode, as they are in inference. */
#ifndef GLIA_SRC_CORE_GRAPH_MODAL_H
#define GLIA_SRC_CORE_GRAPH_MODAL_H

#include "core/graph/graph.h"

/* Context of the rule. What was expanded may have such operations itself: rewrite once more while `again` is set. */
typedef struct glia_modal_expansion {
    const glia_sizes *sizes; /* of this round, for bodies; NULL: they are fixed already, or stay open */
    bool again;
} glia_modal_expansion;
/* A rule for glia_graph_rewrite(): expands these operations, in bodies of loops too. */
glia_tensor glia_expand_modal(glia_graph *to, const glia_node *node, const glia_tensor *in, void *expansion);

#endif
