/* pointing_game.c - does an explanation point at the digit? A net learns digits placed at random in clutter; the
 * largest value of a map should lie in the digit's box, or within 4 pixels of it (Zhang et al. 2018; some programs
 * allow 15 pixels where the shorter side has 224). Then layers get random parameters from the output down:
 * explanations of the trained net should not survive it (Adebayo et al. 2018).
 *     pointing_game [--quick]      MNIST in $GLIA_DATA; --quick: drawn digits, and a net that is hardly trained */
#include <glia/glia.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 56, DIGIT = 28, PATCH = 8, PATCHES = 6, LAYERS = 4, NEAR = 4 };

typedef struct box {
    int top, left, bottom, right; /* of the ink, both ends included */
} box;

static unsigned long long state = 1;
static int below(int n) { return (int)((state = state * 6364136223846793005ull + 1442695040888963407ull) >> 33) % n; }

/* Lays part of a digit, rows and columns from (y, x), of `size`, over the picture at (top, left). */
static box lay(float *picture, const float *digit, int y, int x, int size, int top, int left) {
    box b = { SIDE, SIDE, 0, 0 };
    for (int r = 0; r < size; r++) {
        for (int c = 0; c < size; c++) {
            float *to = &picture[(top + r) * SIDE + left + c];
            *to = fmaxf(*to, digit[(y + r) * DIGIT + x + c]);
            if (digit[(y + r) * DIGIT + x + c] < 0.25f) continue;
            b.top = top + r < b.top ? top + r : b.top, b.bottom = top + r > b.bottom ? top + r : b.bottom;
            b.left = left + c < b.left ? left + c : b.left, b.right = left + c > b.right ? left + c : b.right;
        }
    }
    return b;
}

/* n pictures: a digit of the data, and pieces of others. */
static void make(const glia_dataset *digits, int n, float *x, int32_t *y, box *boxes) {
    float digit[DIGIT * DIGIT];
    const int count = (int)glia_data_count(digits);
    memset(x, 0, (size_t)n * SIDE * SIDE * sizeof *x);
    for (int i = 0; i < n; i++) {
        float *picture = x + i * SIDE * SIDE;
        for (int k = 0; k < PATCHES; k++) {
            glia_data_get(digits, below(count), digit, NULL, NULL);
            lay(picture, digit, below(12) + 4, below(12) + 4, PATCH, below(SIDE - PATCH), below(SIDE - PATCH));
        }
        glia_data_get(digits, below(count), digit, &y[i], NULL);
        const box b = lay(picture, digit, 0, 0, DIGIT, below(SIDE - DIGIT + 1), below(SIDE - DIGIT + 1));
        if (boxes) boxes[i] = b;
    }
}

static glia_model *build(glia_error *e) {
    glia_model *model = glia_model_create("cluttered digits", e);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, SIDE, SIDE));
    x = glia_conv2d(x, "conv1",
                    (glia_conv_opts){ .filters = 12, .kernel = 5, .stride = 2, .pad = 2, .activation = GLIA_RELU });
    x = glia_conv2d(x, "conv2", (glia_conv_opts){ .filters = 24, .kernel = 3, .pad = 1, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_conv2d(x, "conv3", (glia_conv_opts){ .filters = 48, .kernel = 5, .pad = 2, .activation = GLIA_RELU });
    glia_model_output(model, "scores", glia_dense(glia_global_max_pool(x), "out", (glia_dense_opts){ .units = 10 }));
    return model;
}

static bool points_at(const glia_explanation *map, box b, int near) {
    return glia_explain_points_at(map->values, SIDE, SIDE, b.top - near, b.left - near, b.bottom - b.top + 1 + 2 * near,
                                  b.right - b.left + 1 + 2 * near);
}

/* Prints the share of n pictures where the method's map of the true class points at the digit. */
static void points(glia_model *model, const char *method, const float *x, const int32_t *y, const box *boxes, int n,
                   glia_error *e) {
    glia_explainer *why = glia_explainer_create(model, method, (glia_explain_opts){ .threads = 1 }, e);
    int hits = 0, strict = 0;
    for (int i = 0; why && i < n; i++) {
        glia_explanation map;
        if (glia_explain(why, x + i * SIDE * SIDE, y[i], &map, e) != GLIA_OK) return;
        hits += points_at(&map, boxes[i], NEAR), strict += points_at(&map, boxes[i], 0);
        glia_explanation_free(&map);
    }
    glia_explainer_free(why);
    printf("%s points at the digit in %.1f %%, into its box in %.1f %%\n", method, 100.0 * hits / n,
           100.0 * strict / n);
    fflush(stdout);
}

/* Mean rank correlations, of sizes, after each step of the randomization. */
static void randomize(glia_model *model, const char *method, const float *x, const int32_t *y, int n, glia_error *e) {
    glia_randomization_step steps[LAYERS];
    double mean[LAYERS] = { 0 };
    for (int i = 0; i < n; i++) {
        const glia_explain_opts opts = { .threads = 1, .seed = (uint64_t)i };
        if (glia_explain_randomization(model, method, opts, x + i * SIDE * SIDE, y[i], steps, LAYERS, e) != LAYERS)
            return;
        for (int k = 0; k < LAYERS; k++) mean[k] += steps[k].absolute_rank_correlation / n;
    }
    printf("%-16s", method);
    for (int k = 0; k < LAYERS; k++) printf("  %s %.2f", steps[k].layer, mean[k]);
    printf("\n");
}

int main(int argc, char **argv) {
    const int quick = argc > 1 && !strcmp(argv[1], "--quick"), n = quick ? 200 : 16000, tests = quick ? 20 : 1000;
    glia_error e = { 0 };
    glia_dataset *train = quick ? glia_data_strokes(500, 1, &e) : glia_data_open("mnist", "train", NULL, &e);
    glia_dataset *test = quick ? glia_data_strokes(500, 2, &e) : glia_data_open("mnist", "test", NULL, &e);
    if (!train || !test) return fprintf(stderr, "pointing_game: %s\n", e.message), 1;
    float *x = malloc((size_t)n * SIDE * SIDE * sizeof *x), *tx = malloc((size_t)tests * SIDE * SIDE * sizeof *tx);
    int32_t *y = malloc((size_t)n * sizeof *y), *ty = malloc((size_t)tests * sizeof *ty);
    box *boxes = malloc((size_t)tests * sizeof *boxes);
    make(train, n, x, y, NULL), make(test, tests, tx, ty, boxes);
    glia_arrays a = {
        .n = n, .x = x, .x_shape = GLIA_SHAPE(1, SIDE, SIDE), .y = y, .y_dtype = GLIA_I32, .classes = 10, .borrow = true
    };
    glia_arrays b = {
        .n = tests, .x = tx, .x_shape = a.x_shape, .y = ty, .y_dtype = GLIA_I32, .classes = 10, .borrow = true
    };
    glia_dataset *cluttered = glia_data_arrays(a, &e), *held_out = glia_data_arrays(b, &e);
    glia_model *model = build(&e);
    glia_fit_opts how = { .epochs = quick ? 1 : 6,
                          .batch = 64,
                          .optimizer = { .kind = GLIA_ADAM, .lr = 2e-3 },
                          .seed = 1,
                          .schedule = { .kind = GLIA_LR_COSINE },
                          .threads = 1 };
    glia_scores scores;
    if (glia_fit(model, cluttered, how, &e) ||
        glia_evaluate(model, held_out, (glia_evaluate_opts){ .threads = 1 }, &scores, &e))
        return fprintf(stderr, "pointing_game: %s\n", e.message), 1;
    printf("accuracy %.1f %%\n", 100 * scores.accuracy);
    static const char *const methods[] = { "grad-cam", "grad-cam++", "guided-backprop", "saliency",
                                           "gradient-x-input" };
    for (int k = 0; k < 4; k++) points(model, methods[k], tx, ty, boxes, tests, &e);
    printf("rank correlation with explanations of the trained net, random down to\n");
    for (int k = 0; k < 4; k++) randomize(model, methods[k], tx, ty, quick ? 2 : 20, &e);
    if (e.status) fprintf(stderr, "pointing_game: %s\n", e.message);
    glia_model_free(model), glia_data_free(cluttered), glia_data_free(held_out), glia_data_free(train),
        glia_data_free(test);
    free(x), free(y), free(tx), free(ty), free(boxes);
    return e.status != GLIA_OK;
}
