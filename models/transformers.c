/* transformers.c - models over token sequences: GPT, BERT, the encoder-decoder, TextCNN.
 *
 * The sizes of gpt-tiny and gpt-mini are those of nanoGPT for character-level Shakespeare: from its README for a CPU,
 * and from config/train_shakespeare_char.py. They have no biases, as is nanoGPT's default, and no dropout, which only
 * longer trainings need.
 */
#include "builders.h"
#include "glia/glia.h"

static int length_of(glia_tensor ids) { return (int)glia_tensor_shape(ids).dim[1]; }

glia_tensor glia_build_gpt_tiny(glia_tensor ids, int vocabulary, int outputs) {
    (void)outputs;
    return glia_gpt(ids, (glia_gpt_opts){ .vocabulary = vocabulary,
                                          .context = length_of(ids),
                                          .layers = 4,
                                          .heads = 4,
                                          .units = 128,
                                          .no_bias = true });
}

glia_tensor glia_build_gpt_mini(glia_tensor ids, int vocabulary, int outputs) {
    (void)outputs;
    return glia_gpt(ids, (glia_gpt_opts){ .vocabulary = vocabulary,
                                          .context = length_of(ids),
                                          .layers = 6,
                                          .heads = 6,
                                          .units = 384,
                                          .no_bias = true });
}

/* Inputs besides the source ids: "lengths" (N), and "target" (N, T), ids that begin with a start token. */
glia_tensor glia_build_seq2seq(glia_tensor source, int vocabulary, int outputs) {
    glia_graph *g = glia_tensor_graph(source);
    glia_tensor lengths = glia_input(g, "lengths", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor target = glia_input(g, "target", GLIA_I32, glia_tensor_shape(source));
    return glia_seq2seq(source, lengths, target,
                        (glia_seq2seq_opts){ .vocabulary = vocabulary,
                                             .target_vocabulary = outputs == vocabulary ? 0 : outputs,
                                             .layers = 3,
                                             .units = 256,
                                             .heads = 4,
                                             .feed_forward = 1024 });
}

/* Id 0 is padding. */
glia_tensor glia_build_bert_small(glia_tensor ids, int vocabulary, int outputs) {
    glia_tensor x = glia_bert(ids, (glia_bert_opts){ .vocabulary = vocabulary,
                                                     .context = length_of(ids),
                                                     .layers = 4,
                                                     .heads = 4,
                                                     .units = 128,
                                                     .dropout = 0.1,
                                                     .pads = true });
    return glia_bert_classes(glia_bert_pooled(x), outputs, 0.1);
}

glia_tensor glia_build_text_cnn(glia_tensor ids, int vocabulary, int outputs) {
    return glia_text_cnn(ids, (glia_text_cnn_opts){ .vocabulary = vocabulary, .classes = outputs, .pads = true });
}
