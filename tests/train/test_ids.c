/* Integer samples from file to kernel: no conversion to f32, so ids above 2^24 keep their values. */
#include <math.h>
#include <stdio.h>

#include "files.h"
#include "run_graph.h"

enum { EDGE = 1 << 24 }; /* f32 has no EDGE + 1 */

static glia_dataset *arrays(glia_dtype dtype, const void *x, int64_t n, int64_t width) {
    glia_error error = { 0 };
    glia_dataset *data =
        glia_data_arrays((glia_arrays){ .n = n, .x = x, .x_dtype = dtype, .x_shape = GLIA_SHAPE(width) }, &error);
    if (!data) fail_msg("%s", error.message);
    return data;
}

static void write_bytes(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_true(f && fwrite(bytes, 1, n, f) == n);
    assert_int_equal(fclose(f), 0);
}

/* Sample 1 of the data is these ids; frees the data. */
static void expect_ids(glia_dataset *data, const int32_t want[3]) {
    glia_error error = { 0 };
    int32_t got[3] = { 0 };
    assert_true(glia_data_has_ids(data));
    if (glia_data_get_ids(data, 1, got, NULL, &error) != GLIA_OK) fail_msg("%s", error.message);
    for (int i = 0; i < 3; i++) assert_int_equal(got[i], want[i]);
    glia_data_free(data);
}

static void sources_give_integers_as_stored(void **state) {
    (void)state;
    static const int32_t i32[] = { 0, 0, 0, EDGE + 1, -3, 7 };
    static const int64_t i64[] = { 0, 0, 0, EDGE + 1, -3, 7 };
    static const uint8_t u8[] = { 0, 0, 0, 255, 3, 7 };
    static const uint16_t u16[] = { 0, 0, 0, 65535, 3, 7 };
    static const uint32_t u32[] = { 0, 0, 0, EDGE + 5, 3, 7 };
    expect_ids(arrays(GLIA_I32, i32, 2, 3), (int32_t[]){ EDGE + 1, -3, 7 });
    expect_ids(arrays(GLIA_I64, i64, 2, 3), (int32_t[]){ EDGE + 1, -3, 7 });
    expect_ids(arrays(GLIA_U8, u8, 2, 3), (int32_t[]){ 255, 3, 7 });
    write_bytes("u16.bin", u16, sizeof u16);
    write_bytes("u32.bin", u32, sizeof u32);
    write_bytes("text.txt", "abcdef!", 7);
    expect_ids(glia_data_open("raw:u16.bin?shape=3&dtype=u16", NULL, NULL, NULL), (int32_t[]){ 65535, 3, 7 });
    expect_ids(glia_data_open("raw:u32.bin?shape=3&dtype=u32", NULL, NULL, NULL), (int32_t[]){ EDGE + 5, 3, 7 });
    expect_ids(glia_data_open("text:text.txt?length=3&test=0", NULL, NULL, NULL), (int32_t[]){ 'd', 'e', 'f' });
    glia_dataset *data = arrays(GLIA_I32, i32, 2, 3), *last = glia_data_range(data, 1, 2, NULL);
    int32_t got[3];
    assert_int_equal(glia_data_get_ids(last, 0, got, NULL, NULL), GLIA_OK);
    assert_true(got[0] == EDGE + 1 && got[2] == 7);
    glia_data_free(last);
    glia_data_free(data);
}

static void other_samples_are_refused(void **state) {
    (void)state;
    static const float f32[] = { 1, 2, 3 };
    static const int64_t i64[] = { 0, 0, 0, (int64_t)1 << 31, 0, 0 };
    static const uint8_t u8[] = { 1, 2, 3 };
    glia_error error;
    int32_t got[3];
    double mean = 0, stddev = 1;
    glia_dataset *floats = arrays(GLIA_F32, f32, 1, 3), *large = arrays(GLIA_I64, i64, 2, 3),
                 *scaled = arrays(GLIA_U8, u8, 1, 3);
    assert_int_equal(glia_data_normalize(scaled, &mean, &stddev, 1, &error), GLIA_OK);
    assert_false(glia_data_has_ids(floats) || glia_data_has_ids(scaled) || glia_data_has_ids(NULL));
    assert_int_equal(glia_data_get_ids(floats, 0, got, NULL, &error), GLIA_E_UNSUPPORTED);
    assert_int_equal(glia_data_get_ids(scaled, 0, got, NULL, &error), GLIA_E_UNSUPPORTED);
    assert_int_equal(glia_data_get_ids(large, 1, got, NULL, &error), GLIA_E_UNSUPPORTED);
    assert_non_null(strstr(error.message, "sample 1 of \"arrays\" has 2147483648, which is no i32"));
    assert_int_equal(glia_data_get_ids(large, 2, got, NULL, &error), GLIA_E_ARGUMENT);
    assert_null(glia_loader_create(floats, (glia_loader_opts){ .ids = true }, &error));
    assert_non_null(strstr(error.message, "not stored as integers"));
    glia_augment *flips = glia_augment_create(&error);
    assert_null(glia_loader_create(large, (glia_loader_opts){ .ids = true, .augment = flips }, &error));
    assert_non_null(strstr(error.message, "augmentation"));
    glia_augment_free(flips);
    glia_loader *loader = glia_loader_create(large, (glia_loader_opts){ .ids = true, .batch = 1 }, &error);
    glia_batch batch;
    assert_int_equal(glia_loader_start(loader, 0, &error), GLIA_OK);
    while (glia_loader_next(loader, &batch)) continue;
    assert_int_equal(glia_loader_check(loader, &error), GLIA_E_UNSUPPORTED);
    glia_loader_free(loader);
    glia_data_free(floats);
    glia_data_free(large);
    glia_data_free(scaled);
}

static void loaders_give_ids(void **state) {
    (void)state;
    enum { ROWS = 1000, WIDTH = 5 };
    static int32_t x[ROWS][WIDTH];
    for (int i = 0; i < ROWS * WIDTH; i++) x[i / WIDTH][i % WIDTH] = EDGE + 1 + i;
    glia_error error;
    glia_dataset *data = arrays(GLIA_I32, x, ROWS, WIDTH);
    for (int workers = -1; workers <= 3; workers += 2) {
        const glia_loader_opts opts = { .batch = 7, .shuffle = true, .seed = 3, .workers = workers, .ids = true };
        glia_loader *loader = glia_loader_create(data, opts, &error);
        assert_int_equal(glia_loader_start(loader, 1, &error), GLIA_OK);
        glia_batch batch;
        int64_t rows = 0;
        for (; glia_loader_next(loader, &batch); rows += batch.n) {
            assert_null(batch.x);
            for (int64_t i = 0; i < batch.n; i++)
                assert_memory_equal(batch.ids + i * WIDTH, x[batch.indices[i]], sizeof x[0]);
        }
        assert_int_equal(rows, ROWS);
        glia_loader_free(loader);
    }
    glia_loader *loader = glia_loader_create(data, (glia_loader_opts){ 0 }, &error);
    glia_batch batch;
    assert_int_equal(glia_loader_start(loader, 0, &error), GLIA_OK);
    assert_true(glia_loader_next(loader, &batch) && batch.x && !batch.ids);
    glia_loader_free(loader);
    glia_data_free(data);
}

/* A table of 2^24 + 9 rows, looked up by ids from a file of u32: the mean squared error against the sums of the right
 * rows is 0. A row that f32 would have rounded an id to has 100. */
static void large_ids_find_their_rows(void **state) {
    (void)state;
    static const uint32_t ids[3][2] = { { EDGE + 1, 5 }, { EDGE + 3, EDGE + 5 }, { 7, EDGE + 7 } };
    static const float sums[3] = { 1 + 16, 2 + 4, 32 + 8 };
    write_bytes("ids.bin", ids, sizeof ids);
    write_bytes("sums.bin", sums, sizeof sums);
    glia_error error = { 0 };
    glia_dataset *data = glia_data_open("raw:ids.bin,sums.bin?shape=2&dtype=u32&label=f32", NULL, NULL, &error);
    if (!data) fail_msg("%s", error.message);
    glia_model *model = glia_model_create("table", &error);
    glia_tensor x = glia_model_input(model, "ids", GLIA_I32, GLIA_SHAPE(2));
    const glia_embedding_opts opts = { .vocabulary = EDGE + 9, .units = 1, .init = { .kind = GLIA_INIT_ZEROS } };
    glia_model_output(model, "sum", glia_sum(glia_embedding(x, "rows", opts), GLIA_SHAPE(1), false));
    if (glia_model_init(model, 1, &error) != GLIA_OK) fail_msg("%s", error.message);
    glia_array table;
    assert_true(glia_store_find(glia_model_store(model), "rows/table", &table));
    float *row = table.data;
    for (int i = 0; i <= 8; i += 2) row[EDGE + i] = 100;
    row[EDGE + 1] = 1, row[EDGE + 3] = 2, row[EDGE + 5] = 4, row[EDGE + 7] = 8, row[5] = 16, row[7] = 32;
    glia_scores scores;
    const glia_evaluate_opts how = { .loss = GLIA_MSE };
    if (glia_evaluate(model, data, how, &scores, &error) != GLIA_OK) fail_msg("%s", error.message);
    assert_true(scores.loss == 0);
    float y, small[2] = { 5, 7 }, large[2] = { 5, (float)EDGE };
    assert_int_equal(glia_predict(model, small, 1, &y, NULL, &error), GLIA_OK);
    assert_true(y == 48);
    assert_int_equal(glia_predict(model, large, 1, &y, NULL, &error), GLIA_E_UNSUPPORTED);
    assert_non_null(strstr(error.message, "'ids' is i32 and is given 16777216 as f32"));
    static const int32_t many[5][2] = { { EDGE + 1, 5 }, { EDGE + 3, EDGE + 5 }, { 7, EDGE + 7 }, { -1, 0 }, { 5, 5 } };
    float sum[5];
    assert_int_equal(glia_predict_ids(model, many[0], 5, sum, NULL, &error), GLIA_OK);
    static const float want[5] = { 17, 6, 40, 100, 32 };
    for (int i = 0; i < 5; i++) assert_true(sum[i] == want[i]);
    glia_model_free(model);
    glia_data_free(data);
    model = glia_model_create("floats", &error);
    glia_model_output(model, "y", glia_relu(glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2))));
    assert_int_equal(glia_model_init(model, 1, &error), GLIA_OK);
    assert_int_equal(glia_predict_ids(model, many[0], 2, sum, NULL, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "'x' is f32, not an integer"));
    glia_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sources_give_integers_as_stored),
        cmocka_unit_test(other_samples_are_refused),
        cmocka_unit_test(loaders_give_ids),
        cmocka_unit_test(large_ids_find_their_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
