/* detector.c - "Objects as Points", Zhou, Wang and Kraehenbuehl 2019: a net that finds discs and squares in noise.
 * Writes eight pictures with the boxes found in them to detector.png.
 *     detector [--quick] */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 48, TRAIN = 256, TEST = 64, MOST = 3, DISC = 0, SQUARE = 1 };
typedef float picture[SIDE * SIDE];
typedef float box[5]; /* label, left, top, right, bottom */

static uint64_t chance = 1;
static int below(int n) {
    chance = chance * 6364136223846793005u + 1442695040888963407u;
    return (int)((chance >> 33) % (uint64_t)n);
}

/* One to three figures of 8 to 15 pixels over noise. */
static void draw(float *x, box *y) {
    const int figures = 1 + below(MOST);
    for (int i = 0; i < SIDE * SIDE; i++) x[i] = (float)below(100) / 250;
    for (int k = 0; k < MOST; k++) {
        const int label = k < figures ? below(2) : -1, size = 8 + below(8), left = below(SIDE - size);
        const int top = below(SIDE - size);
        const box b = { (float)label, (float)left, (float)top, (float)(left + size), (float)(top + size) };
        memcpy(y[k], b, sizeof b);
        for (int i = 0; label >= 0 && i < size * size; i++) {
            const int u = 2 * (i % size) + 1 - size, v = 2 * (i / size) + 1 - size;
            if (label == SQUARE || u * u + v * v <= size * size) x[(top + i / size) * SIDE + left + i % size] = 1;
        }
    }
}

static glia_dataset *drawings(int n, picture *x, box (*y)[MOST], glia_error *e) {
    for (int i = 0; i < n; i++) draw(x[i], y[i]);
    const glia_arrays arrays = { .n = n, .x = x, .x_shape = GLIA_SHAPE(1, SIDE, SIDE), .y = y, .y_dtype = GLIA_F32,
                                 .y_shape = GLIA_SHAPE(MOST, 5) };
    return glia_data_boxes(arrays, 2, (const char *const[]){ "disc", "square" }, e);
}

/* Section 3: a score for each class and point, a point for each 4 x 4 pixels; and the sides of a box there. */
static glia_model *points(glia_error *e) {
    glia_model *model = glia_model_create("points", e);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, SIDE, SIDE));
    for (int i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "conv%d", i + 1);
        x = glia_conv2d(x, name, (glia_conv_opts){ .filters = i ? 24 : 12, .kernel = 5, .stride = i < 2 ? 2 : 1,
                                                   .pad = 2, .activation = GLIA_RELU });
    }
    const glia_init rare = { .kind = GLIA_INIT_CONSTANT, .value = -2.19 }; /* scores begin at 0.1 */
    glia_model_output(model, "heat",
                      glia_conv2d(x, "heat", (glia_conv_opts){ .filters = 2, .kernel = 1, .bias_init = rare }));
    glia_tensor sides = glia_exp(glia_conv2d(x, "sides", (glia_conv_opts){ .filters = 4, .kernel = 1 }));
    glia_model_output(model, "sides", glia_mul_scalar(sides, 4));
    return model;
}

int main(int argc, char **argv) {
    static picture x[TRAIN], seen[TEST];
    static box y[TRAIN][MOST], there[TEST][MOST];
    static float drawn[8][3 * 4 * SIDE * SIDE];
    const bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    glia_error e = { 0 };
    glia_dataset *train = drawings(TRAIN, x, y, &e), *test = train ? drawings(TEST, seen, there, &e) : NULL;
    glia_augment *flips = glia_augment_parse("flip vflip", &e);
    glia_model *model = points(&e);
    glia_fit_opts how = { .epochs = quick ? 1 : 60, .batch = 16, .augment = flips };
    how.schedule = (glia_lr_schedule){ .kind = GLIA_LR_COSINE };
    how.optimizer = (glia_optimizer){ .kind = GLIA_ADAM, .lr = 2e-3 };
    glia_detection_scores scores;
    glia_box *found;
    int64_t n;
    if (!test || !flips || !model || glia_train(model, train, "detect", NULL, how, &e) ||
        glia_detection_precision(model, test, (glia_detect_opts){ 0 }, NULL, &scores, &e) ||
        glia_detect(model, seen[0], 8, (glia_detect_opts){ .score = 0.3 }, &found, &n, &e))
        return fprintf(stderr, "detector: %s\n", e.message), 1;
    for (int i = 0, at = 0, k; i < 8; i++, at += k) {
        for (k = 0; at + k < n && found[at + k].image == i;) k++;
        glia_draw_boxes(seen[i], GLIA_SHAPE(1, SIDE, SIDE), found + at, k, 2, drawn[i]);
    }
    if (glia_image_save("detector.png", GLIA_SHAPE(3, 2 * SIDE, 2 * SIDE), drawn[0], 8,
                        (glia_image_save_opts){ .columns = 4 }, &e))
        return fprintf(stderr, "detector: %s\n", e.message), 1;
    printf("%d figures in %d pictures: mAP %.3f at an overlap of 0.5, %.3f as COCO; detector.png\n",
           (int)scores.boxes, TEST, scores.map50, scores.map);
    free(found), glia_model_free(model), glia_augment_free(flips), glia_data_free(train), glia_data_free(test);
}
