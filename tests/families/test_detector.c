/* Detection: data with boxes, masks and boxes that follow their pictures, targets and losses, the method "detect". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "asserts.h"
#include "families/vision/detector.h"
#include "glia/glia.h"

static glia_error error;

static void check(glia_status status) {
    if (status != GLIA_OK) fail_msg("%s", error.message);
}

/* ---- reading -------------------------------------------------------------------------------- */

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void write_grey(const char *path, int height, int width) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fprintf(file, "P5\n%d %d\n255\n", width, height);
    for (int i = 0; i < height * width; i++) fputc(i % 251, file);
    fclose(file);
}

static glia_dataset *open_boxes(const char *address, const char *split) {
    glia_dataset *data = glia_data_open(address, split, NULL, &error);
    if (!data) fail_msg("%s", error.message);
    return data;
}

static void refuse(const char *table, const char *words) {
    write_text("cells.csv", table);
    assert_null(glia_data_open("boxes:cells,cells.csv", "train", NULL, &error));
    if (!strstr(error.message, words)) fail_msg("\"%s\" is not in: %s", words, error.message);
}

#define HEADER "image,split,class,xmin,ymin,xmax,ymax\n"

static void test_boxes_are_read(void **state) {
    (void)state;
    mkdir("cells", 0777);
    mkdir("cells/first", 0777);
    write_grey("cells/first/a.pgm", 4, 8);
    write_grey("cells/b.pgm", 8, 8);
    write_grey("cells/c.pgm", 4, 8);
    write_text("cells.csv", HEADER "b.pgm,val,red,0,0,8,4\na.pgm,train,white,1,0.5,3,2\n"
                                   "b.pgm,val,big,2,2,4,4\nc.pgm,test,red,0,0,1,1\n");
    glia_dataset *data = open_boxes("boxes:cells,cells.csv?size=16x8", "train");
    assert_int_equal(glia_data_count(data), 2);
    assert_true(glia_data_is_split(data));
    assert_int_equal(glia_data_classes(data), 3);
    assert_string_equal(glia_data_class_name(data, 0), "big");
    assert_string_equal(glia_data_class_name(data, 2), "white");
    const glia_shape x = glia_data_x_shape(data), y = glia_data_y_shape(data);
    assert_true(x.dim[0] == 1 && x.dim[1] == 16 && x.dim[2] == 8 && y.dim[0] == 2 && y.dim[1] == 5);
    float boxes[10];
    check(glia_data_get(data, 0, NULL, boxes, &error)); /* a.pgm: 4 rows become 16 */
    const float first[] = { 2, 1, 2, 3, 8, -1, 0, 0, 0, 0 };
    assert_memory_equal(boxes, first, sizeof first);
    check(glia_data_get(data, 1, NULL, boxes, &error));
    const float second[] = { 1, 0, 0, 8, 8, 0, 2, 4, 4, 8 };
    assert_memory_equal(boxes, second, sizeof second);
    glia_data_free(data);
    data = open_boxes("boxes:cells,cells.csv?size=16x8", "test");
    assert_int_equal(glia_data_count(data), 1);
    glia_data_free(data);
    write_text("cells.csv", "ymax,ymin,xmax,xmin,class,image\n2,1,2,1,x,a.pgm\n2,1,2,1,x,b.pgm\n2,1,2,1,x,c.pgm\n");
    data = open_boxes("boxes:cells,cells.csv?size=8&test=0.3", "train");
    assert_int_equal(glia_data_count(data), 2);
    glia_data_free(data);
}

static void test_wrong_tables_are_refused(void **state) {
    (void)state;
    refuse("", "the table is empty");
    refuse("image,class\n", "there is no column 'xmin'");
    refuse(HEADER, "there are no boxes");
    refuse(HEADER "a.pgm,train,x,1,2,3\n", "line 2: ymax is missing");
    refuse(HEADER "a.pgm,train,x,1,2,1,4\n", "line 2: the box is empty");
    refuse(HEADER "a.pgm,train,x,1,2,10,4\n", "line 2: the box from 1, 2 to 10, 4 is not inside 'a.pgm', which has 8 "
                                              "columns and 4 rows of pixels");
    refuse(HEADER "a.pgm,train,x,-2,2,5,4\n", "is not inside");
    refuse(HEADER "a.pgm,train,x,1,2,nan,4\n", "xmax is 'nan', not a number of pixels");
    refuse(HEADER "a.pgm,train,,1,2,3,4\n", "the class is missing");
    refuse(HEADER "a.pgm,some,x,1,2,3,4\n", "split 'some'");
    refuse(HEADER "a.pgm,train,x,1,2,3,4\na.pgm,test,x,1,2,3,4\n", "another split in line 2");
    refuse(HEADER "d.pgm,train,x,1,2,3,4\n", "line 2: there is no picture 'd.pgm' in cells");
    refuse(HEADER "a.pgm,test,x,1,2,3,4\n", "no picture of the train split");
    assert_null(glia_data_open("boxes:cells", "train", NULL, &error));
    assert_non_null(strstr(error.message, "an archive of pictures and a table"));
    assert_null(glia_data_open("boxes:cells,cells.csv?test=0.5", "train", NULL, &error));
    assert_non_null(strstr(error.message, "it has a column split"));
    const float one = 1, label[] = { 2, 0, 0, 1, 1 };
    glia_arrays arrays = { .n = 1, .x = &one, .x_shape = GLIA_SHAPE(1, 1, 1), .y = label, .y_dtype = GLIA_F32,
                           .y_shape = GLIA_SHAPE(1, 5) };
    assert_null(glia_data_boxes(arrays, 2, NULL, &error));
    assert_non_null(strstr(error.message, "box 0 has label 2; there are 0 to 1"));
    const float outside[] = { 1, 0, 0, 3, 1 }, empty[] = { 1, 0.5F, 0, 0.5F, 1 };
    arrays.y = outside;
    assert_null(glia_data_boxes(arrays, 2, NULL, &error));
    assert_non_null(strstr(error.message, "from 0, 0 to 3, 1, is empty or not inside pictures of 1 columns"));
    arrays.y = empty;
    assert_null(glia_data_boxes(arrays, 2, NULL, &error));
    arrays.y = label;
    arrays.y_shape = GLIA_SHAPE(5);
    assert_null(glia_data_boxes(arrays, 3, NULL, &error));
}

static void test_names_stand_for_addresses(void **state) {
    (void)state;
    assert_null(glia_data_open("camvid?tile=16&colour=1", "train", "nowhere", &error));
    assert_non_null(strstr(error.message, "there is no option \"colour\""));
    if (!glia_data_available("camvid", NULL)) return;
    glia_dataset *data = open_boxes("camvid?tile=64x80", "test");
    assert_true(glia_data_x_shape(data).dim[1] == 64 && glia_data_classes(data) == 11);
    glia_data_free(data);
}

/* ---- following the picture ------------------------------------------------------------------ */

enum { SIDE = 32, PICTURES = 24, MOST = 3 };

typedef struct drawn {
    float x[PICTURES][SIDE * SIDE];
    float y[PICTURES][MOST][5];
} drawn;

static uint64_t chance = 1;
static int below(int n) {
    chance = chance * 6364136223846793005u + 1442695040888963407u;
    return (int)((chance >> 33) % (uint64_t)n);
}

/* One bright square in each picture, of class 0 (small) or 1 (large). */
static glia_dataset *squares(drawn *d) {
    memset(d, 0, sizeof *d);
    for (int i = 0; i < PICTURES; i++) {
        const int large = i % 2, size = large ? 14 : 6, left = below(SIDE - size), top = below(SIDE - size);
        for (int k = 0; k < size * size; k++) d->x[i][(top + k / size) * SIDE + left + k % size] = 1;
        const float box[] = { (float)large, (float)left, (float)top, (float)(left + size), (float)(top + size) };
        memcpy(d->y[i][i % MOST], box, sizeof box);
        for (int k = 0; k < MOST; k++)
            if (k != i % MOST) d->y[i][k][0] = -1;
    }
    glia_dataset *data = glia_data_boxes((glia_arrays){ .n = PICTURES,
                                                        .x = d->x,
                                                        .x_shape = GLIA_SHAPE(1, SIDE, SIDE),
                                                        .y = d->y,
                                                        .y_dtype = GLIA_F32,
                                                        .y_shape = GLIA_SHAPE(MOST, 5) },
                                         2, NULL, &error);
    if (!data) fail_msg("%s", error.message);
    return data;
}

/* The box around the pixels brighter than one half; false: there are none. */
static bool bright(const float *x, double box[4]) {
    box[0] = box[1] = SIDE, box[2] = box[3] = 0;
    for (int i = 0; i < SIDE * SIDE; i++) {
        if (x[i] <= 0.5f) continue;
        box[0] = fmin(box[0], i % SIDE), box[1] = fmin(box[1], i / SIDE);
        box[2] = fmax(box[2], i % SIDE + 1), box[3] = fmax(box[3], i / SIDE + 1);
    }
    return box[2] > box[0];
}

static void test_boxes_follow_their_pictures(void **state) {
    (void)state;
    static drawn d;
    glia_dataset *data = squares(&d);
    const char *steps[] = { "flip", "vflip(1)", "crop(pad=6)", "translate(0.3)", "scale(0.7..1.4) flip",
                            "resized_crop(0.5..1)", "crop(pad=3) flip(1) translate(0.2) resized_crop(0.7..1) noise" };
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        glia_augment *augment = glia_augment_parse(steps[s], &error);
        if (!augment) fail_msg("%s", error.message);
        glia_loader *loader = glia_loader_create(data, (glia_loader_opts){ .batch = PICTURES, .augment = augment },
                                                 &error);
        if (!loader) fail_msg("%s", error.message);
        glia_batch batch;
        int kept = 0, moved = 0;
        check(glia_loader_start(loader, 1, &error));
        assert_true(glia_loader_next(loader, &batch));
        for (int i = 0; i < PICTURES; i++) {
            const float *box = (const float *)batch.y + (i * MOST + i % MOST) * 5;
            double seen[4];
            const bool any = bright(batch.x + i * SIDE * SIDE, seen);
            if (box[0] < 0) continue;
            assert_true(any);
            for (int k = 0; k < 4; k++) {
                if (fabs(seen[k] - (double)box[k + 1]) > 1.01)
                    fail_msg("%s: picture %d, side %d: %g, but the box has %g", steps[s], i, k, seen[k],
                             (double)box[k + 1]);
            }
            kept++;
            moved += memcmp(box, d.y[i][i % MOST], 5 * sizeof *box) != 0;
        }
        assert_true(kept > PICTURES / 2 && moved > PICTURES / 4);
        glia_loader_free(loader);
        glia_augment_free(augment);
    }
    glia_augment *elastic = glia_augment_parse("elastic", &error);
    assert_null(glia_loader_create(data, (glia_loader_opts){ .augment = elastic }, &error));
    assert_non_null(strstr(error.message, "boxes cannot follow elastic"));
    glia_augment_free(elastic);
    glia_data_free(data);
}

/* Boxes beyond the edge are cut, and none if less than a quarter is left. */
static void test_boxes_are_cut_at_the_edge(void **state) {
    (void)state;
    static float x[SIDE * SIDE];
    const float y[2][5] = { { 0, 4, 2, 10, 8 }, { 1, 4, 4, 16, 16 } };
    glia_dataset *data = glia_data_boxes((glia_arrays){ .n = 1,
                                                        .x = x,
                                                        .x_shape = GLIA_SHAPE(1, SIDE, SIDE),
                                                        .y = y,
                                                        .y_dtype = GLIA_F32,
                                                        .y_shape = GLIA_SHAPE(2, 5) },
                                         2, (const char *const[]){ "a", "b" }, &error);
    assert_string_equal(glia_data_class_name(data, 1), "b");
    glia_augment *augment = glia_augment_parse("scale(2..2)", &error);
    glia_loader *loader = glia_loader_create(data, (glia_loader_opts){ .batch = 1, .augment = augment }, &error);
    glia_batch batch;
    check(glia_loader_start(loader, 0, &error));
    assert_true(glia_loader_next(loader, &batch));
    const float *box = batch.y; /* the first becomes -8 to 4 and -12 to 0, the second -8 to 16 */
    assert_true(box[0] == -1 && box[5] == 1);
    assert_true(box[6] == 0 && box[7] == 0 && box[8] == 16 && box[9] == 16);
    glia_loader_free(loader);
    glia_augment_free(augment);
    glia_data_free(data);
}

/* Where all pixels that a new one is made of are of one class, its label is that class: pictures that show their own
 * masks stay true to them. */
static void test_masks_follow_their_pictures(void **state) {
    (void)state;
    mkdir("shown", 0777);
    mkdir("shown/image", 0777);
    mkdir("shown/label", 0777);
    const char *folders[] = { "image", "label" };
    for (int k = 0; k < 4; k++) {
        for (int f = 0; f < 2; f++) {
            char path[64];
            snprintf(path, sizeof path, "shown/%s/%d.pgm", folders[f], k);
            FILE *file = fopen(path, "wb");
            assert_non_null(file);
            fprintf(file, "P5\n%d %d\n255\n", SIDE, SIDE);
            for (int i = 0; i < SIDE * SIDE; i++) fputc((i / SIDE / 7 + i % SIDE / (5 + k)) % 2 ? 255 : 0, file);
            fclose(file);
        }
    }
    glia_dataset *data = open_boxes("masks:shown", "train");
    const char *steps[] = { "flip(1) vflip(1)", "crop(pad=5, fill=0.5)", "rotate(30, fill=0.5) shear(10, fill=0.5)",
                            "resized_crop(0.5..1)", "elastic(alpha=40, sigma=4, fill=0.5)",
                            "elastic(alpha=40, sigma=4, edge=reflect) translate(0.2, edge=wrap) jitter(hue=0.1)" };
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        glia_augment *augment = glia_augment_parse(steps[s], &error);
        if (!augment) fail_msg("%s", error.message);
        if (glia_augment_check(augment, GLIA_SHAPE(1, SIDE, SIDE), &error) != GLIA_OK) fail_msg("%s", error.message);
        glia_loader *loader = glia_loader_create(data, (glia_loader_opts){ .batch = 4, .augment = augment }, &error);
        if (!loader) fail_msg("%s", error.message);
        glia_batch batch;
        check(glia_loader_start(loader, 0, &error));
        assert_true(glia_loader_next(loader, &batch));
        int told = 0, beyond = 0;
        for (int i = 0; i < 4 * SIDE * SIDE; i++) {
            const int32_t label = ((const int32_t *)batch.y)[i];
            beyond += label < 0;
            if (label < 0 || (batch.x[i] != 0 && batch.x[i] != 1)) continue;
            if (label != (int32_t)batch.x[i]) fail_msg("%s: pixel %d has label %d", steps[s], i, (int)label);
            told++;
        }
        assert_true(told > 4 * SIDE * SIDE / 4);
        assert_true((beyond > 0) == (strstr(steps[s], "fill") != NULL));
        glia_loader_free(loader);
        glia_augment_free(augment);
    }
    glia_data_free(data);
}

/* ---- targets and losses --------------------------------------------------------------------- */

/* A detector whose maps are affine in the means of 4x4 pixels. */
static glia_model *small_detector(int classes) {
    glia_model *model = glia_model_create("small", &error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, SIDE, SIDE));
    x = glia_relu(glia_conv2d(x, "a", (glia_conv_opts){ .filters = 8, .kernel = 4, .stride = 4 }));
    x = glia_relu(glia_conv2d(x, "b", (glia_conv_opts){ .filters = 16, .kernel = 5, .pad = 2 }));
    glia_model_output(model, "heat", glia_conv2d(x, "heat", (glia_conv_opts){ .filters = classes, .kernel = 1 }));
    glia_tensor sides = glia_conv2d(x, "sides", (glia_conv_opts){ .filters = 4, .kernel = 1 });
    glia_model_output(model, "sides", glia_mul_scalar(glia_exp(sides), 4));
    return model;
}

static double giou_missed(const double *a, const double *b) {
    double both[2], hull[2], own = (a[0] + a[2]) * (a[1] + a[3]), other = (b[0] + b[2]) * (b[1] + b[3]);
    for (int k = 0; k < 2; k++) {
        both[k] = fmin(a[k], b[k]) + fmin(a[k + 2], b[k + 2]);
        hull[k] = fmax(a[k], b[k]) + fmax(a[k + 2], b[k + 2]);
    }
    const double inside = both[0] * both[1], either = own + other - inside, whole = hull[0] * hull[1];
    return 1 - (inside / either - (whole - either) / whole);
}

static glia_array map_of(const char *name, int channels, float *values) {
    return (glia_array){ .name = name, .dtype = GLIA_F32, .shape = GLIA_SHAPE(1, channels, 8, 8), .data = values };
}

static void test_losses_are_those_of_the_papers(void **state) {
    (void)state;
    enum { POINTS = 64 };
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 1, SIDE, SIDE));
    glia_graph_output(g, "heat", glia_input(g, "z", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 1, 8, 8)));
    glia_graph_output(g, "sides", glia_input(g, "s", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 4, 8, 8)));
    (void)x;
    glia_detector_ends ends;
    check(glia_detector_find(g, &ends, &error));
    assert_true(ends.step_x == 4 && ends.height == 8 && ends.classes == 1);
    const float boxes[2][5] = { { 0, 4, 6, 24, 22 }, { -1, 0, 0, 0, 0 } };
    static float positive[POINTS], negative[POINTS], sides[4 * POINTS], weight[POINTS], z[POINTS], s[4 * POINTS];
    check(glia_detector_aim(&ends, &boxes[0][0], 1, 2, &(glia_detector_targets){ positive, negative, sides, weight },
                            &error));
    const int peak = 3 * 8 + 3; /* the middle (14, 14) lies in point (3, 3), whose centre is (14, 14) */
    double sum = 0;
    for (int i = 0; i < POINTS; i++) sum += (double)weight[i];
    ASSERT_NEAR(sum, 1, 1e-6);
    assert_true(positive[peak] == 1 && negative[peak] == 0 && negative[peak + 4] == 1);
    const double near = exp(-1 / (0.45 * 0.45) / 2); /* deviation 0.09 * 20 / 4 points */
    ASSERT_NEAR(negative[peak + 1], pow(1 - near, 4), 1e-6);
    assert_true(sides[peak] == 10 && sides[POINTS + peak] == 8 && sides[2 * POINTS + peak] == 10 &&
                sides[3 * POINTS + peak] == 8);
    double heat = 0, missed = 0;
    for (int i = 0; i < POINTS; i++) {
        z[i] = (float)(i % 7 - 3) / 2;
        const double p = 1 / (1 + exp(-(double)z[i]));
        heat -= (double)positive[i] * (1 - p) * (1 - p) * log(p) + (double)negative[i] * p * p * log(1 - p);
        double got[4], wanted[4];
        for (int k = 0; k < 4; k++) {
            s[k * POINTS + i] = (float)(1 + (i * 5 + k * 3) % 11);
            got[k] = (double)s[k * POINTS + i], wanted[k] = (double)sides[k * POINTS + i];
        }
        missed += (double)weight[i] * giou_missed(got, wanted);
    }
    glia_tensor losses[2];
    glia_detector_losses(&ends, &losses[0], &losses[1]);
    glia_store *store = glia_store_create(g, 0, &error);
    glia_backend *backend = glia_backend_open("ref", 1, &error);
    const glia_function_opts both = { .outputs = losses, .n_outputs = 2 };
    glia_function *f = glia_function_create(g, backend, store, both, &error);
    if (!f) fail_msg("%s", error.message);
    const glia_array in[] = { map_of("z", 1, z),
                              map_of("s", 4, s),
                              map_of("target/positive", 1, positive),
                              map_of("target/negative", 1, negative),
                              map_of("target/sides", 4, sides),
                              map_of("target/weight", 1, weight) };
    glia_array out[2];
    check(glia_function_call(f, in, 6, out, &error));
    ASSERT_NEAR(*(float *)out[0].data, heat, 1e-5 * heat);
    ASSERT_NEAR(*(float *)out[1].data, missed, 1e-5);
    glia_function_free(f);
    glia_backend_close(backend);
    glia_store_free(store);
    glia_graph_free(g);
}

/* ---- the method ----------------------------------------------------------------------------- */

static glia_status train(glia_model *model, const glia_dataset *data, const glia_dataset *validation, int threads,
                         int epochs) {
    const glia_fit_opts opts = { .epochs = epochs,
                                 .batch = 8,
                                 .seed = 3,
                                 .threads = threads,
                                 .validation = validation,
                                 .optimizer = { .kind = GLIA_ADAM, .lr = 0.01 } };
    return glia_train(model, data, "detect", "shown=2", opts, &error);
}

static void test_squares_are_found(void **state) {
    (void)state;
    static drawn d;
    glia_dataset *data = squares(&d);
    glia_model *model = small_detector(2);
    check(train(model, data, data, 1, 60));
    double each[2];
    glia_detection_scores scores;
    check(glia_detection_precision(model, data, (glia_detect_opts){ 0 }, each, &scores, &error));
    assert_int_equal(scores.boxes, PICTURES);
    assert_true(scores.map50 > 0.9 && scores.map > 0.4 && scores.map <= scores.map50 && each[1] > 0.9);
    glia_assessment a;
    check(glia_assess(model, (glia_assess_opts){ .data = data, .threads = 2 }, &a, &error));
    assert_string_equal(a.values[0].name, "map50");
    assert_true(a.values[0].value == scores.map50 && a.values[1].value == scores.map && strstr(a.note, "0.5: 0 "));
    glia_box *boxes;
    int64_t n;
    check(glia_detect(model, d.x[0], 2, (glia_detect_opts){ .score = 0.3, .most = 1 }, &boxes, &n, &error));
    assert_int_equal(n, 2);
    for (int i = 0; i < 2; i++) {
        const float *y = d.y[i][i % MOST];
        const glia_box truth = { (double)y[1], (double)y[2], (double)y[3], (double)y[4], (int)y[0], i, 0 };
        assert_true(boxes[i].image == i && boxes[i].label == truth.label && glia_box_iou(&boxes[i], &truth) > 0.5);
    }
    static float out[3 * 4 * SIDE * SIDE];
    glia_draw_boxes(d.x[0], GLIA_SHAPE(1, SIDE, SIDE), boxes, 1, 2, out);
    int coloured = 0;
    for (int i = 0; i < 4 * SIDE * SIDE; i++) coloured += out[i] != out[8 * SIDE * SIDE + i];
    const int around = 2 * (2 * (int)(boxes[0].right - boxes[0].left) + 2 * (int)(boxes[0].bottom - boxes[0].top));
    assert_true(abs(coloured - around) < 12);
    free(boxes);
    assert_true(glia_detect(model, NULL, 1, (glia_detect_opts){ 0 }, &boxes, &n, &error) == GLIA_E_ARGUMENT);
    glia_model_free(model);
    glia_data_free(data);
}

static void test_same_bits_at_any_number_of_threads(void **state) {
    (void)state;
    static drawn d;
    glia_dataset *data = squares(&d);
    float first[2 * 16];
    for (int threads = 1; threads <= 3; threads++) {
        glia_model *model = small_detector(2);
        check(train(model, data, NULL, threads, 2));
        glia_array kernel;
        assert_true(glia_store_find(glia_model_store(model), "heat/kernel", &kernel));
        if (threads > 1) assert_memory_equal(kernel.data, first, sizeof first);
        memcpy(first, kernel.data, sizeof first);
        glia_model_free(model);
    }
    glia_data_free(data);
}

static void refuse_training(glia_model *model, const glia_dataset *data, const char *words) {
    assert_true(train(model, data, NULL, 1, 1) != GLIA_OK);
    if (!strstr(error.message, words)) fail_msg("\"%s\" is not in: %s", words, error.message);
    glia_model_free(model);
}

static void test_wrong_models_and_data_are_refused(void **state) {
    (void)state;
    static drawn d;
    glia_dataset *data = squares(&d), *strokes = glia_data_strokes(20, 1, NULL);
    refuse_training(small_detector(1), data, "have 2 classes, the model 1");
    refuse_training(small_detector(2), strokes, "needs data with boxes");
    glia_model *model = glia_model_create("plain", &error);
    glia_model_output(model, "y", glia_relu(glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, SIDE, SIDE))));
    refuse_training(model, data, "an input 'x', outputs 'heat' and 'sides'");
    model = glia_model_create("wrong", &error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, SIDE, SIDE));
    glia_model_output(model, "heat", x);
    glia_model_output(model, "sides", x);
    refuse_training(model, data, "'sides' (N, 4, h, w)");
    glia_data_free(data);
    glia_data_free(strokes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boxes_are_read),
        cmocka_unit_test(test_wrong_tables_are_refused),
        cmocka_unit_test(test_names_stand_for_addresses),
        cmocka_unit_test(test_boxes_follow_their_pictures),
        cmocka_unit_test(test_boxes_are_cut_at_the_edge),
        cmocka_unit_test(test_masks_follow_their_pictures),
        cmocka_unit_test(test_losses_are_those_of_the_papers),
        cmocka_unit_test(test_squares_are_found),
        cmocka_unit_test(test_same_bits_at_any_number_of_threads),
        cmocka_unit_test(test_wrong_models_and_data_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
