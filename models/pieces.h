/* pieces.h - what the nets for pictures are made of. Layers are named by paths of numbers and words, as PyTorch's
 * modules are: "layer1/0/conv1" is torchvision's "layer1.0.conv1", so that states are loaded by name. */
#ifndef GLIA_PIECES_H
#define GLIA_PIECES_H

#include "glia/glia.h"

enum { GLIA_PIECE_NAME = 96 };
typedef struct glia_part_name {
    char name[GLIA_PIECE_NAME];
} glia_part_name;
/* A layer's name: glia_name_part("layer%d/%d/conv1", 1, 0).name. */
glia_part_name glia_name_part(const char *format, ...) __attribute__((format(printf, 1, 2)));

typedef struct glia_piece_conv_opts {
    int filters, kernel, stride, groups; /* 0: 1 */
    bool bias;
} glia_piece_conv_opts;
/* A convolution whose padding keeps the size at stride 1, initialised as in He et al. 2015. */
glia_tensor glia_piece_conv(glia_tensor x, const char *name, glia_piece_conv_opts opts);
/* A convolution without bias and batch norm, as layers of these names. */
glia_tensor glia_piece_conv_norm(glia_tensor x, const char *conv, const char *norm, glia_piece_conv_opts opts);
glia_tensor glia_piece_norm(glia_tensor x, const char *name);

glia_tensor glia_piece_dense(glia_tensor x, const char *name, int units, glia_activation activation);

/* PyTorch's AdaptiveAvgPool2d(size) for maps whose sides are multiples of `size`, or divide it. */
glia_tensor glia_piece_adaptive_pool(glia_tensor x, int size);

#endif
