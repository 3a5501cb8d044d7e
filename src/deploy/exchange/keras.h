/* keras.h - what differs in Keras's layout of values: channels come last. */
#ifndef GLIA_SRC_DEPLOY_EXCHANGE_KERAS_H
#define GLIA_SRC_DEPLOY_EXCHANGE_KERAS_H

#include "core/graph/graph.h"
#include "data/formats/formats.h"

/* (C, H, W) of the picture whose flattened pixels this kernel of a dense layer reads; rank 0: it reads none. */
glia_shape glia_keras_picture(const glia_graph *graph, const char *kernel);
/* Fills `to` from Keras's tensor; false: it does not fit. Kernels are (k..., in, out), of depthwise convolutions
 * (k..., in, 1), and rows of a kernel after a picture are its pixels in the order (H, W, C). With `only_check` nothing
 * is written. */
bool glia_keras_take(const glia_safetensor *from, const glia_array *to, glia_shape picture, bool only_check);

#endif
