/* lenet.c - LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998, section II.B).
 *
 *   (1, 28, 28) padded to 32x32 -> conv 6@28x28 -> pool 6@14x14 -> conv 16@10x10 -> pool 16@5x5 -> 120 -> 84 -> classes
 *
 * Three differences from the paper, as is usual today: relu instead of the scaled tanh, max pooling instead of
 * trainable subsampling, and each map of the second convolution is connected to all six of the first (the paper's
 * table I connects only some). The 28x28 images are padded with two zeros on each side to the paper's 32x32.
 * Parameters: 61,706.
 */
#include <math.h>

#include "builders.h"
#include "pieces.h"

glia_tensor glia_build_lenet5(glia_tensor x, int outputs) {
    x = glia_conv2d(x, "c1", (glia_conv_opts){ .filters = 6, .kernel = 5, .pad = 2, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_conv2d(x, "c3", (glia_conv_opts){ .filters = 16, .kernel = 5, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_dense(glia_flatten(x), "c5", (glia_dense_opts){ .units = 120, .activation = GLIA_RELU });
    x = glia_dense(x, "f6", (glia_dense_opts){ .units = 84, .activation = GLIA_RELU });
    return glia_dense(x, "logits", (glia_dense_opts){ .units = outputs });
}

/* ---- as published --------------------------------------------------------------------------- */

/* Section II.B and appendix A: units are 1.7159 tanh(2/3 x). */
static glia_tensor squash(glia_tensor x) { return glia_mul_scalar(glia_tanh(glia_mul_scalar(x, 2.0 / 3)), 1.7159); }

/* Appendix A: weights begin in U(-2.4 / fan-in, 2.4 / fan-in). */
static glia_init begin(double fan_in) {
    return (glia_init){ .kind = GLIA_INIT_UNIFORM, .low = -2.4 / fan_in, .high = 2.4 / fan_in };
}

static glia_tensor convolve(glia_tensor x, const char *name, int filters) {
    const double fan_in = 25.0 * (double)glia_tensor_shape(x).dim[1];
    return glia_conv2d(
        x, name,
        (glia_conv_opts){ .filters = filters, .kernel = 5, .kernel_init = begin(fan_in), .bias_init = begin(fan_in) });
}

/* Sub-sampling: the sum of 2x2 units times one weight, plus one bias, for each map. */
static glia_tensor subsample(glia_tensor x, const char *name) {
    glia_graph *g = glia_tensor_graph(x);
    const int64_t maps = glia_tensor_shape(x).dim[1];
    x = glia_mul_scalar(glia_avg_pool2d(x, (glia_pool_opts){ .size = 2 }), 4);
    glia_tensor weight = glia_parameter(g, glia_name_part("%s/scale", name).name, GLIA_F32, GLIA_SHAPE(maps, 1, 1),
                                        begin(4));
    glia_tensor bias = glia_parameter(g, glia_name_part("%s/shift", name).name, GLIA_F32, GLIA_SHAPE(maps, 1, 1),
                                      begin(4));
    return squash(glia_add(glia_mul(x, weight), bias));
}

/* Table I: the maps of S2 that each map of C3 reads. */
static const char *const table_1[16] = { "012",  "123",  "234",  "345",  "450",  "501",  "0123", "1234",
                                         "2345", "3450", "4501", "5012", "0134", "1245", "0235", "012345" };

static glia_tensor convolve_some(glia_tensor x) {
    glia_tensor maps[16];
    for (int i = 0; i < 16; i++) {
        glia_tensor read[6];
        int n = 0;
        for (const char *m = table_1[i]; *m; m++, n++)
            read[n] = glia_slice(x, GLIA_SHAPE(0, *m - '0', 0, 0),
                                 GLIA_SHAPE(INT64_MAX, *m - '0' + 1, INT64_MAX, INT64_MAX), GLIA_SCALAR);
        maps[i] = convolve(glia_concat(read, n, 1), glia_name_part("c3/%d", i).name, 1);
    }
    return squash(glia_concat(maps, 16, 1));
}

/* Section II.B: the codes of the classes are stylised characters of 7x12, drawn here for digits: the paper's figure 3
 * has others. `#` is +1, everything else -1. */
static const char *const digits[10] = {
    "..###.." ".#...#." "#.....#" "#.....#" "#.....#" "#.....#"
    "#.....#" "#.....#" "#.....#" "#.....#" ".#...#." "..###..",
    "...#..." "..##..." ".#.#..." "...#..." "...#..." "...#..."
    "...#..." "...#..." "...#..." "...#..." "...#..." ".#####.",
    ".#####." "#.....#" "......#" "......#" ".....#." "....#.."
    "...#..." "..#...." ".#....." "#......" "#......" "#######",
    "#######" ".....#." "....#.." "...#..." "..####." "......#"
    "......#" "......#" "......#" "#.....#" ".#...#." "..###..",
    ".....#." "....##." "...#.#." "..#..#." ".#...#." "#....#."
    "#######" ".....#." ".....#." ".....#." ".....#." ".....#.",
    "#######" "#......" "#......" "#......" "#####.." ".....#."
    "......#" "......#" "......#" "#.....#" ".#...#." "..###..",
    "...###." "..#...." ".#....." "#......" "#.###.." "##...#."
    "#.....#" "#.....#" "#.....#" "#.....#" ".#...#." "..###..",
    "#######" "......#" "......#" ".....#." ".....#." "....#.."
    "....#.." "...#..." "...#..." "..#...." "..#...." "..#....",
    "..###.." ".#...#." "#.....#" "#.....#" ".#...#." "..###.."
    ".#...#." "#.....#" "#.....#" "#.....#" ".#...#." "..###..",
    "..###.." ".#...#." "#.....#" "#.....#" "#.....#" ".#...##"
    "..###.#" "......#" "......#" ".....#." "....#.." ".###...",
};

/* The squared distances of F6 to the code of each class. Codes beyond the ten digits are signs of the golden ratio's
 * multiples, for there are none in the paper. */
static glia_tensor distances(glia_tensor x, int outputs) {
    enum { UNITS = 84, MOST = 4096 };
    glia_graph *g = glia_tensor_graph(x);
    double codes[UNITS];
    glia_tensor found[MOST];
    outputs = outputs < MOST ? outputs : MOST;
    for (int k = 0; k < outputs; k++) {
        for (size_t i = 0; i < UNITS; i++) {
            const double turn = 0.6180339887498949 * (double)(k + 1) * (double)(i + 1);
            codes[i] = (k < 10 ? digits[k][i] == '#' : turn - floor(turn) < 0.5) ? 1 : -1;
        }
        glia_tensor code = glia_constant(g, GLIA_F32, GLIA_SHAPE(UNITS), codes);
        found[k] = glia_sum(glia_square(glia_sub(x, code)), GLIA_SHAPE(1), true);
    }
    return glia_concat(found, outputs, 1);
}

/* LeNet-5 as published: C1 6@28x28, S2 6@14x14, C3 16@10x10 by table I, S4 16@5x5, C5 120, F6 84, and a layer of radial
 * basis functions with fixed codes. 60,000 trainable parameters. The result is minus the distances, so cross-entropy is
 * the paper's discriminative criterion (equation 9) without its constant j. */
glia_tensor glia_build_lenet5_1998(glia_tensor x, int outputs) {
    const glia_shape pad = GLIA_SHAPE(0, 0, 2, 2);
    if (glia_tensor_shape(x).dim[2] == 28) x = glia_pad(x, pad, pad, GLIA_SCALAR, 0);
    x = squash(convolve(x, "c1", 6));
    x = convolve_some(subsample(x, "s2"));
    x = squash(convolve(subsample(x, "s4"), "c5", 120));
    const glia_dense_opts f6 = { .units = 84, .kernel_init = begin(120), .bias_init = begin(120) };
    x = squash(glia_dense(glia_flatten(x), "f6", f6));
    return glia_neg(distances(x, outputs));
}
