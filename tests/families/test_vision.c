/* Segmentation and detection: overlap of regions, boxes, average precision, and data with masks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "asserts.h"
#include "models/models.h"

static glia_error error;

static void check(glia_status status) {
    if (status != GLIA_OK) fail_msg("%s", error.message);
}

/* ---- overlap -------------------------------------------------------------------------------- */

static void test_overlap(void **state) {
    (void)state;
    const int64_t confusion[9] = { 6, 2, 0, 1, 3, 0, 0, 0, 0 };
    double iou[3], dice[3];
    const glia_overlap mean = glia_overlap_of(confusion, 3, iou, dice);
    ASSERT_NEAR(iou[0], 6.0 / 9, 1e-12);
    ASSERT_NEAR(iou[1], 3.0 / 6, 1e-12);
    assert_true(isnan(iou[2]) && isnan(dice[2]));
    ASSERT_NEAR(dice[0], 12.0 / 15, 1e-12);
    ASSERT_NEAR(dice[1], 6.0 / 9, 1e-12);
    ASSERT_NEAR(mean.mean_iou, (6.0 / 9 + 0.5) / 2, 1e-12);
    ASSERT_NEAR(mean.accuracy, 0.75, 1e-12);
    assert_true(isnan(glia_overlap_of(NULL, 3, NULL, NULL).mean_iou));
}

/* ---- boxes ---------------------------------------------------------------------------------- */

static glia_box box(double left, double top, double right, double bottom, int image, double score) {
    return (glia_box){ .left = left, .top = top, .right = right, .bottom = bottom, .image = image, .score = score };
}

static void test_boxes(void **state) {
    (void)state;
    glia_box a = box(0, 0, 10, 10, 0, 0), b = box(5, 0, 15, 10, 0, 0), none = box(3, 3, 3, 9, 0, 0);
    ASSERT_NEAR(glia_box_iou(&a, &b), 50.0 / 150, 1e-12);
    assert_true(glia_box_iou(&a, &none) == 0 && glia_box_iou(&none, &none) == 0 && glia_box_iou(&a, NULL) == 0);
    glia_box boxes[] = { box(0, 0, 10, 10, 0, 0.5), box(1, 0, 11, 10, 0, 0.9), box(20, 0, 30, 10, 0, 0.1),
                         box(1, 0, 11, 10, 1, 0.3), box(2, 0, 12, 10, 0, 0.8) };
    boxes[4].label = 1;
    assert_int_equal(glia_suppress(boxes, 5, 0.5), 4);
    assert_true(boxes[0].score == 0.9 && boxes[1].score == 0.8 && boxes[2].score == 0.3 && boxes[3].score == 0.1);
    assert_int_equal(glia_suppress(NULL, 0, 0.5), 0);
}

/* Two true boxes in an image and one in another; found: right, wrong, right, a second one of the first. */
static void test_average_precision(void **state) {
    (void)state;
    const glia_box truth[] = { box(0, 0, 10, 10, 0, 0), box(20, 0, 30, 10, 0, 0), box(0, 0, 10, 10, 1, 0) };
    const glia_box found[] = { box(0, 0, 10, 9, 0, 0.9), box(50, 0, 60, 10, 0, 0.8), box(0, 0, 10, 10, 1, 0.7),
                               box(0, 0, 10, 10, 0, 0.6) };
    /* precision 1, 1/2, 2/3, 1/2 at recall 1/3, 1/3, 2/3, 2/3; from the right: 1, 2/3, 2/3, 1/2 */
    ASSERT_NEAR(glia_average_precision(truth, 3, found, 4, 0, 0.5, GLIA_VOC, &error), 1.0 / 3 + 2.0 / 9, 1e-12);
    ASSERT_NEAR(glia_average_precision(truth, 3, found, 4, 0, 0.5, GLIA_VOC_2007, &error), (4 + 3 * 2.0 / 3) / 11,
                1e-12);
    ASSERT_NEAR(glia_average_precision(truth, 3, found, 4, 0, 0.5, GLIA_COCO, &error), (34 + 33 * 2.0 / 3) / 101,
                1e-12);
    ASSERT_NEAR(glia_average_precision(truth, 3, found, 4, 0, 0.95, GLIA_VOC, &error), 1.0 / 3 * 0.5 + 1.0 / 3 * 0.5,
                1e-12);
    assert_true(isnan(glia_average_precision(truth, 3, found, 4, 1, 0.5, GLIA_VOC, &error)));
    assert_true(glia_average_precision(truth, 3, NULL, 0, 0, 0.5, GLIA_VOC, &error) == 0);
}

/* As pycocotools has it (tools/golden/detection.py). */
static void test_average_precision_is_that_of_coco(void **state) {
    (void)state;
    enum { MOST = 256 };
    glia_box truth[MOST], found[MOST];
    int n_truth = 0, n_found = 0, compared = 0;
    FILE *file = fopen(GLIA_GOLDEN_DIR "/detection.txt", "r");
    assert_non_null(file);
    for (char line[256]; fgets(line, sizeof line, file);) {
        glia_box b = { 0 };
        int label;
        double iou, wanted;
        if (sscanf(line, "truth %d %d %lf %lf %lf %lf", &b.image, &b.label, &b.left, &b.top, &b.right, &b.bottom) == 6)
            truth[n_truth++] = b;
        if (sscanf(line, "found %d %d %lf %lf %lf %lf %lf", &b.image, &b.label, &b.left, &b.top, &b.right, &b.bottom,
                   &b.score) == 7)
            found[n_found++] = b;
        assert_true(n_truth < MOST && n_found < MOST);
        if (sscanf(line, "ap %d %lf %lf", &label, &iou, &wanted) != 3) continue;
        const double got = glia_average_precision(truth, n_truth, found, n_found, label, iou, GLIA_COCO, &error);
        ASSERT_NEAR(got, wanted, 1e-6);
        compared++;
    }
    fclose(file);
    assert_int_equal(compared, 30);
}

/* ---- data with masks ------------------------------------------------------------------------ */

static void write_grey(const char *path, int height, int width, const uint8_t *pixels) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fprintf(file, "P5\n%d %d\n255\n", width, height);
    fwrite(pixels, 1, (size_t)(height * width), file);
    fclose(file);
}

/* Pictures whose pixel is 20 i + j + 100 k, and masks that follow from it. */
static void write_pairs(int n) {
    mkdir("pairs", 0777);
    mkdir("pairs/image", 0777);
    mkdir("pairs/label", 0777);
    for (int k = 0; k < n; k++) {
        uint8_t x[32], y[32];
        char path[64];
        for (int i = 0; i < 32; i++) {
            x[i] = (uint8_t)(20 * (i / 8) + i % 8 + 100 * k);
            y[i] = x[i] % 3 == 0 ? 255 : x[i] % 3 == 1 ? 7 : 0;
        }
        snprintf(path, sizeof path, "pairs/image/%d.pgm", k);
        write_grey(path, 4, 8, x);
        snprintf(path, sizeof path, "pairs/label/%d.pgm", k);
        write_grey(path, 4, 8, y);
    }
}

static void test_masks_move_with_the_pixels(void **state) {
    (void)state;
    write_pairs(2);
    glia_dataset *data = glia_data_open("masks:pairs?tile=4&turns=1&ignore=7", "train", NULL, &error);
    if (!data) fail_msg("%s", error.message);
    assert_int_equal(glia_data_count(data), 2 * 2 * 8);
    assert_int_equal(glia_data_classes(data), 2);
    int different = 0;
    float first[16] = { 0 };
    for (int64_t s = 0; s < 32; s++) {
        float x[16];
        int32_t y[16];
        check(glia_data_get(data, s, x, y, &error));
        for (int i = 0; i < 16; i++) {
            const int value = (int)lrintf(255 * x[i]);
            assert_int_equal(y[i], value % 3 == 0 ? 1 : value % 3 == 1 ? -1 : 0);
        }
        if (s == 0) memcpy(first, x, sizeof x);
        different += s > 0 && s < 8 && memcmp(first, x, sizeof x) != 0;
    }
    assert_int_equal(different, 7); /* eight positions of the first tile */
    glia_data_free(data);
    data = glia_data_open("masks:pairs?last=1", "test", NULL, &error);
    if (!data) fail_msg("%s", error.message);
    assert_true(glia_data_count(data) == 1 && glia_data_classes(data) == 3 && glia_data_is_split(data));
    glia_data_free(data);
}

static glia_status take_loss(const glia_progress *p, void *context, glia_error *e) {
    (void)e;
    *(double *)context = p->train.loss;
    return GLIA_OK;
}

/* The weights follow their definitions, by an independent count; pixels without a class count nowhere. */
static void test_class_weights_of_masks(void **state) {
    (void)state;
    enum { N = 3, PIXELS = 8, CLASSES = 3 };
    /* Class 2 is in one mask only, class 1 in two of them. */
    const int32_t y[N * PIXELS] = { 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, -1, -1, 1, 1, 1, 0, 0, 2, 2, 0, 0, 0, -1 };
    const float x[N * PIXELS] = { 0 };
    glia_dataset *data = glia_data_arrays((glia_arrays){ .n = N,
                                                         .x = x,
                                                         .x_shape = GLIA_SHAPE(1, 2, 4),
                                                         .y = y,
                                                         .y_dtype = GLIA_I32,
                                                         .y_shape = GLIA_SHAPE(PIXELS),
                                                         .classes = CLASSES },
                                          &error);
    if (!data) fail_msg("%s", error.message);
    double weights[CLASSES];
    check(glia_data_class_weights(data, weights, &error));
    const double balanced[CLASSES] = { 21 / (3 * 14.0), 21 / (3 * 5.0), 21 / (3 * 2.0) };
    for (int k = 0; k < CLASSES; k++) ASSERT_NEAR(weights[k], balanced[k], 1e-12);
    check(glia_data_median_frequency_weights(data, weights, &error));
    const double shares[CLASSES] = { 14 / 21.0, 5 / 14.0, 2 / 7.0 }; /* the median is that of class 1 */
    for (int k = 0; k < CLASSES; k++) ASSERT_NEAR(weights[k], shares[1] / shares[k], 1e-12);

    /* With scores of zero the loss of each pixel that has a class is log K times the weight of that class; smoothing
     * spreads a share of it over the weights of all classes. */
    glia_model *model = glia_model_create("scores", &error);
    glia_tensor scores = glia_conv2d(glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 2, 4)), "scores",
                                     (glia_conv_opts){ .filters = CLASSES, .kernel = 1 });
    scores = glia_reshape(glia_permute(scores, GLIA_SHAPE(0, 2, 3, 1)), GLIA_SHAPE(GLIA_BATCH, PIXELS, CLASSES));
    glia_model_output(model, "scores", scores);
    const double mean = (14 * weights[0] + 5 * weights[1] + 2 * weights[2]) / 21;
    const double of_classes = (weights[0] + weights[1] + weights[2]) / CLASSES;
    for (int smooth = 0; smooth < 2; smooth++) {
        const double share = smooth ? 0.25 : 0;
        double loss = 0;
        const glia_callback watch = { .context = &loss, .epoch_end = take_loss };
        check(glia_fit(model, data,
                       (glia_fit_opts){ .batch = N,
                                        .loss = GLIA_CROSS_ENTROPY_TOKENS,
                                        .class_weights = weights,
                                        .label_smoothing = smooth ? 0.25 : GLIA_ZERO,
                                        .optimizer = { .kind = GLIA_SGD, .lr = GLIA_ZERO },
                                        .callbacks = &watch,
                                        .n_callbacks = 1 },
                       &error));
        ASSERT_NEAR(loss, ((1 - share) * mean + share * of_classes) * log(CLASSES), 1e-6);
    }
    glia_model_free(model);
    glia_data_free(data);
    const int32_t labels[2] = { 0, 1 };
    data = glia_data_arrays((glia_arrays){ .n = 2, .x = x, .x_shape = GLIA_SHAPE(1), .y = labels, .y_dtype = GLIA_I32,
                                           .classes = 2 },
                            &error);
    assert_int_equal(glia_data_median_frequency_weights(data, weights, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("one label for each sample");
    glia_data_free(data);
}

static void refuse(const char *address, const char *says) {
    assert_null(glia_data_open(address, "train", NULL, &error));
    ASSERT_SAYS(says);
}

static void test_masks_refused(void **state) {
    (void)state;
    write_pairs(2);
    refuse("masks:pairs?tile=5", "tiles of 5x5, the pictures have 4x8");
    refuse("masks:pairs?tile=4x8&turns=1", "needs square tiles");
    refuse("masks:pairs?last=2", "last=2 of 2 pictures");
    refuse("masks:pairs?x=pictures", "no pictures in a folder pictures/");
    refuse("masks:pairs?test_x=image", "test_x= and test_y=");
    refuse("masks:pairs?tiles=5", "did you mean");
    mkdir("pairs/test", 0777);
    const uint8_t unknown[32] = { [9] = 3 }, one[32] = { 0 };
    write_grey("pairs/test/0.pgm", 4, 8, unknown);
    assert_null(glia_data_open("masks:pairs?test_x=test&test_y=test", "test", NULL, &error));
    ASSERT_SAYS("the pixel in row 1, column 1 has the value 3, which is in no mask of the training split");
    write_grey("pairs/test/0.pgm", 4, 8, one); /* a class less: the others keep their numbers */
    glia_dataset *data = glia_data_open("masks:pairs?test_x=test&test_y=test", "test", NULL, &error);
    if (!data) fail_msg("%s", error.message);
    assert_int_equal(glia_data_classes(data), 3);
    glia_data_free(data);
    refuse("masks:pairs?x=test&y=test", "all pixels of the masks in test/ are of one class");
    FILE *file = fopen("pairs/test/0.ppm", "wb");
    assert_non_null(file);
    fprintf(file, "P6\n2 1\n255\n%c%c%c%c%c%c", 1, 1, 1, 1, 2, 3);
    fclose(file);
    assert_int_equal(remove("pairs/test/0.pgm"), 0);
    refuse("masks:pairs?x=test&y=test", "the mask has colours");
    assert_int_equal(remove("pairs/test/0.ppm"), 0);
    assert_int_equal(remove("pairs/label/1.pgm"), 0);
    refuse("masks:pairs", "it has no mask in label/");
    uint8_t small[4] = { 0 };
    write_grey("pairs/label/1.pgm", 2, 2, small);
    refuse("masks:pairs", "mask 2x2, the first picture has 4x8");
}

/* A net learns the bright half of pictures from two tiles. */
static void test_unet_learns(void **state) {
    (void)state;
    enum { SIDE = 32, N = 8 };
    static float x[N * SIDE * SIDE];
    static int32_t y[N * SIDE * SIDE];
    for (int i = 0; i < N * SIDE * SIDE; i++) {
        const int k = i / (SIDE * SIDE), row = i / SIDE % SIDE;
        y[i] = (row + 3 * k) % SIDE < SIDE / 2;
        x[i] = (float)(y[i] + (i * 37 % 11) / 11.0);
    }
    glia_dataset *data = glia_data_arrays((glia_arrays){ .n = N,
                                                         .x = x,
                                                         .x_shape = GLIA_SHAPE(1, SIDE, SIDE),
                                                         .y = y,
                                                         .y_dtype = GLIA_I32,
                                                         .y_shape = GLIA_SHAPE(SIDE * SIDE),
                                                         .classes = 2 },
                                          &error);
    const glia_recipe *recipe = glia_recipe_find("unet");
    glia_model *model = glia_recipe_build(recipe, GLIA_SHAPE(1, SIDE, SIDE), 2, &error);
    if (!model) fail_msg("%s", error.message);
    const glia_fit_opts opts = { .epochs = 6, .batch = 4, .loss = recipe->loss, .optimizer = recipe->optimizer };
    check(glia_fit(model, data, opts, &error));
    int64_t confusion[4], want[4];
    check(glia_segmentation_confusion(model, data, 2, confusion, NULL, &error));
    assert_int_equal(confusion[0] + confusion[1] + confusion[2] + confusion[3], N * SIDE * SIDE);
    glia_scores scores;
    check(glia_evaluate(model, data, (glia_evaluate_opts){ 0 }, &scores, &error));
    ASSERT_NEAR(glia_overlap_of(confusion, 2, NULL, NULL).accuracy, scores.accuracy, 1e-4);
    assert_int_equal(glia_segmentation_confusion(model, data, 3, want, NULL, &error), GLIA_E_SHAPE);
    ASSERT_SAYS("one row for each labelled pixel");
    glia_data_free(data);
    glia_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overlap),       cmocka_unit_test(test_boxes),
        cmocka_unit_test(test_average_precision),
        cmocka_unit_test(test_average_precision_is_that_of_coco), cmocka_unit_test(test_masks_move_with_the_pixels),
        cmocka_unit_test(test_masks_refused),
        cmocka_unit_test(test_class_weights_of_masks), cmocka_unit_test(test_unet_learns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
