/* fuzz_graph.c - arbitrary bytes as the text of a graph. What is accepted must print and parse to the same text again.
 *
 *     cmake -DGLIA_FUZZ=ON ... && fuzz/fuzz_graph -max_len=4096
 */
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    glia_error error;
    glia_graph *first = glia_graph_parse((const char *)data, size, &error);
    if (!first) return 0;
    glia_text once = { 0 }, twice = { 0 };
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
