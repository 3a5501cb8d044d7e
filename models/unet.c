/* unet.c - U-Net (Ronneberger, Fischer and Brox 2015): the class of every pixel.
 *
 * Four times two convolutions of 3x3 and pooling, which halves the sides and doubles the maps, then back up: each step
 * reads the maps of its size on the way down beside the enlarged ones. Unlike the paper's, convolutions keep the size,
 * batch norms follow them, and the first has 16 maps instead of 64, for a CPU. Sides must be multiples of 16.
 */
#include "builders.h"
#include "pieces.h"

enum { LEVELS = 4, MAPS = 16 };

static glia_tensor twice(glia_tensor x, const char *path, int maps) {
    for (int i = 1; i <= 2; i++) {
        const glia_part_name conv = glia_name_part("%s/conv%d", path, i), norm = glia_name_part("%s/bn%d", path, i);
        x = glia_relu(glia_piece_conv_norm(x, conv.name, norm.name,
                                           (glia_piece_conv_opts){ .filters = maps, .kernel = 3, .stride = 1 }));
    }
    return x;
}

/* (C, H, W) -> (H W, outputs), the scores of the pixels row by row. */
glia_tensor glia_build_unet(glia_tensor x, int outputs) {
    glia_tensor kept[LEVELS];
    const glia_shape shape = glia_tensor_shape(x);
    for (int level = 0; level < LEVELS; level++) {
        kept[level] = twice(x, glia_name_part("down%d", level).name, MAPS << level);
        x = glia_max_pool2d(kept[level], (glia_pool_opts){ .size = 2 });
    }
    x = twice(x, "bottom", MAPS << LEVELS);
    for (int level = LEVELS - 1; level >= 0; level--) {
        x = glia_conv2d_transposed(x, glia_name_part("up%d/grow", level).name,
                                   (glia_conv_opts){ .filters = MAPS << level, .kernel = 2, .stride = 2 });
        x = glia_concat((const glia_tensor[]){ kept[level], x }, 2, 1);
        x = twice(x, glia_name_part("up%d", level).name, MAPS << level);
    }
    x = glia_conv2d(x, "scores", (glia_conv_opts){ .filters = outputs, .kernel = 1 });
    return glia_reshape(glia_permute(x, GLIA_SHAPE(0, 2, 3, 1)),
                        GLIA_SHAPE(GLIA_BATCH, shape.dim[2] * shape.dim[3], outputs));
}
