/* words.c - models of the methods "word2vec" and "node2vec", which build them once they know words or nodes. */
#include "builders.h"

void glia_build_words(glia_model *model, glia_shape sample) {
    (void)model;
    (void)sample;
}

void glia_build_walks(glia_model *model, glia_graph_sizes sizes) {
    (void)model;
    (void)sizes;
}
