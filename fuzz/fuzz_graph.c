/* fuzz_graph.c - arbitrary bytes as the text of a graph. What is accepted must print and parse to the same text again,
 * and may have its sizes fixed and its composites expanded.
 *
 *     cmake -DGLIA_FUZZ=ON ... && fuzz/fuzz_graph -max_len=4096
 */
#include <stdlib.h>
#include <string.h>

#include "core/graph/graph.h"
#include "glia/glia.h"

static const glia_sizes sizes = { { 3, 4, 5 } };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static glia_tensor expand(glia_graph *to, const glia_node *node, const glia_tensor *in, void *mode) {
    if (glia_body_of(node)) return glia_node_rewrite_body(to, node, in, expand, mode, &sizes);
    return node->op->flags & GLIA_OP_COMPOSITE ? node->op->expand(node, in, *(glia_mode *)mode) : NULL;
}

/* One round of expansion at fixed sizes; it may fail, and must be sound if it does not. */
static void lower(const glia_graph *g, glia_mode mode) {
    glia_error error;
    glia_graph *lowered = glia_graph_rewrite(g, expand, &mode, &sizes, true, &error);
    if (lowered && glia_graph_verify(lowered, &error) != GLIA_OK) abort();
    glia_graph_free(lowered);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    glia_error error;
    glia_graph *first = glia_graph_parse((const char *)data, size, &error);
    if (!first) return 0;
    glia_text once = { 0 }, twice = { 0 };
    lower(first, GLIA_TRAIN);
    lower(first, GLIA_INFER);
    glia_graph_print(first, &once);
    glia_graph *second = glia_graph_parse(once.bytes, once.length, &error);
    if (second) glia_graph_print(second, &twice);
    if (!second || once.length != twice.length || memcmp(once.bytes, twice.bytes, once.length)) abort();
    free(once.bytes);
    free(twice.bytes);
    glia_graph_free(first);
    glia_graph_free(second);
    return 0;
}
