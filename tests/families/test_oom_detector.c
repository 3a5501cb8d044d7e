/* test_oom_detector.c - fails every allocation (oom.h): reading boxes, training a detector and finding boxes, names
 * that stand for addresses. */
#include <string.h>
#include <sys/stat.h>

#include "glia/glia.h"
#include "oom.h"

enum { SIDE = 8 };

static void write_files(void) {
    mkdir("cells", 0777);
    FILE *table = fopen("cells.csv", "w");
    assert_non_null(table);
    fputs("image,class,xmin,ymin,xmax,ymax,split\n", table);
    for (int k = 0; k < 2; k++) {
        char path[32];
        snprintf(path, sizeof path, "cells/%d.pgm", k);
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        fprintf(file, "P5\n%d %d\n255\n", SIDE, SIDE);
        for (int i = 0; i < SIDE * SIDE; i++) fputc(i % 251, file);
        fclose(file);
        fprintf(table, "%d.pgm,%s,1,1,6,5,train\n", k, k ? "a" : "b");
    }
    fclose(table);
}

static glia_status reading(glia_error *error) {
    glia_dataset *data = glia_data_open("boxes:cells,cells.csv?size=8", "train", NULL, error);
    glia_data_free(data);
    return data ? GLIA_OK : error->status;
}

static glia_status named(glia_error *error) {
    glia_dataset *data = glia_data_open("bccd?size=8", "train", "nowhere", error);
    glia_data_free(data);
    return error->status == GLIA_E_NOMEM ? GLIA_E_NOMEM : GLIA_OK; /* the files need not be there */
}

static glia_dataset *two_pictures(glia_error *error) {
    static const float x[2 * SIDE * SIDE] = { 1 }, y[2][5] = { { 0, 1, 1, 5, 6 }, { 1, 2, 2, 6, 6 } };
    const glia_arrays arrays = { .n = 2,
                                 .x = x,
                                 .x_shape = GLIA_SHAPE(1, SIDE, SIDE),
                                 .y = y,
                                 .y_dtype = GLIA_F32,
                                 .y_shape = GLIA_SHAPE(1, 5) };
    return glia_data_boxes(arrays, 2, NULL, error);
}

static glia_status shown(void *context, const glia_shown *shown, glia_error *error) {
    (void)context, (void)shown, (void)error;
    return GLIA_OK;
}

static glia_status show(const glia_progress *progress, void *context, glia_error *error) {
    return glia_training_show(progress->training, shown, context, error);
}

static glia_model *maps(glia_error *error) {
    glia_model *model = glia_model_create("maps", error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, SIDE, SIDE));
    x = glia_avg_pool2d(x, (glia_pool_opts){ .size = 4 });
    glia_model_output(model, "heat", glia_conv2d(x, "heat", (glia_conv_opts){ .filters = 2, .kernel = 1 }));
    glia_model_output(model, "sides",
                      glia_exp(glia_conv2d(x, "sides", (glia_conv_opts){ .filters = 4, .kernel = 1 })));
    return model;
}

static glia_status training(glia_error *error) {
    glia_model *model = maps(error);
    glia_dataset *data = model ? two_pictures(error) : NULL;
    glia_augment *augment = data ? glia_augment_parse("flip translate(0.1)", error) : NULL;
    const glia_callback callback = { .name = "show", .epoch_end = show };
    const glia_fit_opts opts = { .batch = 2, .threads = 1, .validation = data, .augment = augment, .workers = GLIA_NONE,
                                 .callbacks = &callback, .n_callbacks = 1, .optimizer = { .lr = 0.1 } };
    glia_status status = augment ? glia_train(model, data, "detect", NULL, opts, error) : error->status;
    glia_assessment a;
    if (status == GLIA_OK) status = glia_assess(model, (glia_assess_opts){ .data = data, .threads = 1 }, &a, error);
    glia_augment_free(augment);
    glia_data_free(data);
    glia_model_free(model);
    return status;
}

static glia_status detecting(glia_error *error) {
    static const float x[SIDE * SIDE] = { 1 };
    glia_model *model = maps(error);
    glia_box *boxes = NULL;
    int64_t n;
    const glia_detect_opts all = { .score = GLIA_ZERO, .threads = 1 };
    const glia_status status = model ? glia_detect(model, x, 1, all, &boxes, &n, error) : error->status;
    free(boxes);
    glia_model_free(model);
    return status;
}

static void test_reading(void **state) {
    (void)state;
    write_files();
    every_allocation(reading, "reading boxes");
}
static void test_named(void **state) { (void)state, every_allocation(named, "a name for an address"); }
static void test_training(void **state) { (void)state, every_allocation(training, "the method detect"); }
static void test_detecting(void **state) { (void)state, every_allocation(detecting, "finding boxes"); }

int main(void) {
    unsetenv("GLIA_DATA"); /* the pictures of "bccd" are not read again and again */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_named),
        cmocka_unit_test(test_training),
        cmocka_unit_test(test_detecting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
