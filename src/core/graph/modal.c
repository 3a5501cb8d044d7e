/* modal.c - see modal.h. */
#include "core/graph/modal.h"

glia_tensor glia_expand_modal(glia_graph *to, const glia_node *n, const glia_tensor *in, void *context) {
    glia_modal_expansion *e = context;
    if (glia_body_of(n)) return glia_node_rewrite_body(to, n, in, glia_expand_modal, e, e->sizes);
    if (!(n->op->flags & GLIA_OP_COMPOSITE) || !(n->op->flags & GLIA_OP_MODAL)) return NULL;
    e->again = true;
    return n->op->expand(n, in, GLIA_INFER);
}
