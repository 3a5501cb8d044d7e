/* detector.c - a one-stage detector: residual blocks down to a 16th of the picture, up to a quarter, and two heads.
 *
 *     x ──► 1/2 ──► 1/4 ──► 1/8 ──► 1/16          24, 48, 96, 192 maps
 *                    │       │       │
 *                    + ◄──── + ◄─────┘            Lin et al. 2017, "Feature Pyramid Networks"
 *                    └─► heat (classes), sides (4)
 *
 * A point for each 4x4 pixels (Zhou et al. 2019, "Objects as Points"). Sides must be multiples of 16.
 */
#include "builders.h"
#include "pieces.h"

enum { STEP = 4, MAPS = 24, LEVELS = 4, HEAD = 64 };

/* Two convolutions beside a shortcut, at `stride` (He et al. 2016). */
static glia_tensor block(glia_tensor x, const char *path, int maps, int stride) {
    const glia_piece_conv_opts first = { .filters = maps, .kernel = 3, .stride = stride },
                               second = { .filters = maps, .kernel = 3, .stride = 1 },
                               across = { .filters = maps, .kernel = 1, .stride = stride };
    glia_tensor y = glia_piece_conv_norm(x, glia_name_part("%s/conv1", path).name,
                                         glia_name_part("%s/bn1", path).name, first);
    y = glia_piece_conv_norm(glia_relu(y), glia_name_part("%s/conv2", path).name,
                             glia_name_part("%s/bn2", path).name, second);
    x = glia_piece_conv_norm(x, glia_name_part("%s/shortcut/conv", path).name,
                             glia_name_part("%s/shortcut/bn", path).name, across);
    return glia_relu(glia_add(x, y));
}

static glia_tensor conv_relu(glia_tensor x, const char *path, int maps, int kernel) {
    return glia_relu(glia_piece_conv_norm(x, glia_name_part("%s/conv", path).name, glia_name_part("%s/bn", path).name,
                                          (glia_piece_conv_opts){ .filters = maps, .kernel = kernel, .stride = 1 }));
}

/* Maps of a quarter of the picture's sides, with what is seen on coarser ones. */
static glia_tensor backbone(glia_tensor x) {
    glia_tensor kept[LEVELS];
    x = glia_piece_conv_norm(x, "stem/conv", "stem/bn",
                             (glia_piece_conv_opts){ .filters = MAPS, .kernel = 3, .stride = 2 });
    kept[0] = glia_relu(x);
    for (int level = 1; level < LEVELS; level++)
        kept[level] = block(kept[level - 1], glia_name_part("down%d", level).name, MAPS << level, 2);
    x = kept[LEVELS - 1];
    for (int level = LEVELS - 2; level >= 1; level--) {
        x = conv_relu(x, glia_name_part("up%d/narrow", level).name, MAPS << level, 1);
        x = glia_add(glia_upsample_nearest(x, 2), kept[level]);
        x = conv_relu(x, glia_name_part("up%d", level).name, level > 1 ? MAPS << level : HEAD, 3);
    }
    return x;
}

/* A convolution of its own for each output; `bias` is where it begins. */
static glia_tensor head(glia_tensor x, const char *path, int outputs, double bias) {
    x = conv_relu(x, path, HEAD, 3);
    return glia_conv2d(x, glia_name_part("%s/out", path).name,
                       (glia_conv_opts){ .filters = outputs,
                                         .kernel = 1,
                                         .kernel_init = { .kind = GLIA_INIT_NORMAL, .stddev = 0.01 },
                                         .bias_init = { .kind = GLIA_INIT_CONSTANT, .value = bias } });
}

void glia_build_detector(glia_model *model, glia_shape sample, int classes) {
    glia_tensor x = backbone(glia_model_input(model, "x", GLIA_F32, sample));
    const double rare = -2.19, three_points = 1.1; /* a score of 0.1 everywhere; sides of e^1.1 points */
    glia_model_output(model, "heat", head(x, "heat", classes, rare));
    glia_tensor sides = glia_exp(glia_clip(head(x, "sides", 4, three_points), -4, 6));
    glia_model_output(model, "sides", glia_mul_scalar(sides, STEP));
}
