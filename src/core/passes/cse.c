/* cse.c - common subexpressions: the same op on the same inputs with the same attributes is computed once.
 *
 * Nodes are visited in topological order, with inputs already merged, so one hash table of the new nodes suffices.
 * Random nodes are merged too: two with the same stream have the same value.
 */

#include "core/ops/ops.h"
#include "core/passes/passes.h"

static uint64_t node_hash(const glia_op *op, const void *attrs, const glia_tensor *in, int n_in) {
    uint64_t h = glia_hash_bytes(&op, sizeof op, 0);
    if (attrs) h = glia_attrs_hash(op, attrs, h);
    if ((op->flags & GLIA_OP_COMMUTES) && n_in == 2 && in[0]->id > in[1]->id) {
        return glia_hash_bytes(&in[0]->id, sizeof(int), glia_hash_bytes(&in[1]->id, sizeof(int), h));
    }
    for (int i = 0; i < n_in; i++) h = glia_hash_bytes(&in[i]->id, sizeof(int), h);
    return h;
}

static bool same(const glia_node *old, const glia_node *node, const glia_tensor *in) {
    if (old->op != node->op || old->n_in != node->n_in || old->dtype != node->dtype) return false;
    if ((old->attrs != NULL) != (node->attrs != NULL)) return false;
    if (node->attrs && !glia_attrs_equal(node->op, old->attrs, node->attrs)) return false;
    bool straight = true;
    for (int i = 0; i < node->n_in; i++) straight &= old->in[i] == in[i];
    return straight ||
           ((node->op->flags & GLIA_OP_COMMUTES) && node->n_in == 2 && old->in[0] == in[1] && old->in[1] == in[0]);
}

static glia_tensor merge(glia_graph *to, const glia_node *node, const glia_tensor *in, void *context) {
    glia_hash_table *written = context;
    const uint32_t hash = (uint32_t)node_hash(node->op, node->attrs, in, node->n_in);
    int32_t id;
    for (uint32_t at = hash; (id = glia_hash_next(written, hash, &at)) >= 0;)
        if (same(to->nodes[id], node, in)) return to->nodes[id];
    glia_tensor copy = glia_node_copy(to, node, in, NULL);
    if (!glia_is_bad(copy)) glia_hash_add(written, hash, copy->id); /* there is room */
    return copy;
}

glia_graph *glia_pass_cse(const glia_graph *graph, glia_error *error) {
    glia_hash_table written = { 0 };
    if (!glia_hash_reserve(&written, (size_t)graph->n_nodes)) {
        glia_fail_nomem(error);
        return NULL;
    }
    glia_graph *merged = glia_graph_rewrite(graph, merge, &written, NULL, false, error);
    glia_hash_free(&written);
    return merged;
}
