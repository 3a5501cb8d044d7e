/* text_cnn.c - CNN for text: convolutions over windows of words (Kim 2014). */
#include <stdio.h>

#include "glia/transformers.h"
#include "nn/layers/layers.h"

enum { MOST_WIDTHS = 4 };

glia_tensor glia_text_cnn(glia_tensor ids, glia_text_cnn_opts o) {
    if (glia_is_bad(ids)) return glia_layer_bad(ids);
    char text[GLIA_SHAPE_TEXT];
    if (ids->shape.rank != 2) {
        return glia_graph_fail(ids->graph, GLIA_E_SHAPE, "text_cnn: ids should be (N, T), not %s",
                               glia_shape_format(ids->shape, text));
    }
    static const int usual[MOST_WIDTHS] = { 3, 4, 5, 0 };
    const int *widths = o.widths[0] ? o.widths : usual;
    glia_embedding_opts words = {
        .vocabulary = o.vocabulary, .units = o.units ? o.units : 128, .pads = o.pads, .padding = o.padding
    };
    /* (N, D, T): units are the channels */
    glia_tensor x = glia_permute(glia_embedding(ids, "embed", words), GLIA_SHAPE(0, 2, 1)), pooled[MOST_WIDTHS];
    int n = 0;
    for (; n < MOST_WIDTHS && widths[n] > 0; n++) {
        char name[32];
        snprintf(name, sizeof name, "conv%d", widths[n]);
        glia_conv_opts conv = { .filters = o.filters ? o.filters : 100, .kernel = widths[n], .activation = GLIA_RELU };
        pooled[n] = glia_global_max_pool(glia_conv1d(x, name, conv));
    }
    x = glia_dropout(glia_concat(pooled, n, 1), glia_option(o.dropout, 0.5));
    return glia_dense(x, "logits", (glia_dense_opts){ .units = o.classes });
}
