/* recurrent.c - recurrent nets over images (as sequences) and texts.
 *
 * Rows: an image (C, H, W) is read as H steps of C W numbers, from top to bottom. Le, Jaitly and Hinton 2015 read MNIST
 * row by row and pixel by pixel to test the long-term memory of recurrent nets.
 */
#include "builders.h"

#include "glia/glia.h"

/* (N, C, H, W) -> (N, H, C W). */
static glia_tensor rows_of(glia_tensor x) {
    const glia_shape s = glia_tensor_shape(x);
    if (s.rank != 4) return x;
    x = glia_permute(x, GLIA_SHAPE(0, 2, 1, 3));
    return glia_reshape(x, GLIA_SHAPE(s.dim[0], s.dim[2], s.dim[1] * s.dim[3]));
}

/* (N, C, H, W) -> (N, H W, C). */
static glia_tensor pixels_of(glia_tensor x) {
    const glia_shape s = glia_tensor_shape(x);
    if (s.rank != 4) return x;
    x = glia_permute(x, GLIA_SHAPE(0, 2, 3, 1));
    return glia_reshape(x, GLIA_SHAPE(s.dim[0], s.dim[2] * s.dim[3], s.dim[1]));
}

static glia_tensor logits(glia_tensor x, int outputs) {
    return glia_dense(x, "logits", (glia_dense_opts){ .units = outputs });
}

glia_tensor glia_build_lstm_rows(glia_tensor x, int outputs) {
    x = glia_lstm(rows_of(x), "lstm", (glia_recurrent_opts){ .units = 128, .layers = 2, .last_only = true });
    return logits(x, outputs);
}

glia_tensor glia_build_lstm_pixels(glia_tensor x, int outputs) {
    x = pixels_of(x);
    const double steps = (double)glia_tensor_shape(x).dim[1];
    x = glia_lstm(x, "lstm",
                  (glia_recurrent_opts){
                      .units = 128, .last_only = true, .bias_init = { .kind = GLIA_INIT_CHRONO, .value = steps } });
    return logits(x, outputs);
}

/* The default sizes of Karpathy's char-rnn. */
glia_tensor glia_build_char_rnn(glia_tensor ids, int vocabulary, int outputs) {
    (void)outputs;
    glia_tensor x = glia_embedding(ids, "embed", (glia_embedding_opts){ .vocabulary = vocabulary, .units = 128 });
    x = glia_lstm(x, "lstm", (glia_recurrent_opts){ .units = 128, .layers = 2, .forget_bias = 1 });
    return logits(x, vocabulary);
}
