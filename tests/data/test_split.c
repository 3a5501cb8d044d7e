/* Splits of data sets: every sample is in one part, class proportions are kept, the same seed gives the same parts. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/sources/data.h"
#include "glia/glia.h"

static glia_error error;

enum { N = 1009 };

static int32_t label_of(int i) { return i % 10 < 6 ? 0 : i % 10 < 9 ? 1 : 2; }

/* x of sample i is i; classes 0, 1 and 2 have about 60, 30 and 10 % of them; class 3 has none. */
static glia_dataset *make(void) {
    float x[N];
    int32_t y[N];
    for (int i = 0; i < N; i++) x[i] = (float)i, y[i] = label_of(i);
    glia_arrays arrays = { .n = N, .x = x, .x_shape = GLIA_SHAPE(1), .y = y, .y_dtype = GLIA_I32, .classes = 4 };
    glia_dataset *data = glia_data_arrays(arrays, &error);
    if (!data) fail_msg("%s", error.message);
    return data;
}

/* Marks the samples of a part, none of which may be marked yet; returns a hash of them. */
static uint64_t mark(const glia_dataset *part, bool *seen, int *classes) {
    uint64_t hash = 0;
    float last = -1;
    memset(classes, 0, 4 * sizeof *classes);
    for (int64_t i = 0; i < glia_data_count(part); i++) {
        float x;
        int32_t y;
        assert_int_equal(glia_data_get(part, i, &x, &y, &error), GLIA_OK);
        assert_true(x > last); /* in the original order */
        last = x;
        assert_false(seen[(int)x]);
        assert_int_equal(y, label_of((int)x));
        seen[(int)x] = true;
        classes[y]++;
        hash = glia_hash_bytes(&x, sizeof x, hash);
    }
    return hash;
}

static void assert_shares(const int *classes, int64_t n, const glia_dataset *data) {
    int whole[3] = { 0 };
    for (int i = 0; i < N; i++) whole[label_of(i)]++;
    for (int c = 0; c < 3; c++)
        assert_true(fabs(classes[c] - (double)n * whole[c] / (double)glia_data_count(data)) < 2);
}

static void test_split(void **state) {
    (void)state;
    glia_dataset *data = make();
    for (int stratified = 0; stratified < 2; stratified++) {
        uint64_t hash[3];
        for (int round = 0; round < 3; round++) {
            glia_dataset *part[3];
            glia_split_opts opts = { .validation = 0.2, .test = 0.1, .stratified = stratified, .seed = round == 2 };
            assert_int_equal(glia_data_split(data, opts, &part[0], &part[1], &part[2], &error), GLIA_OK);
            static const int64_t sizes[] = { 706, 202, 101 };
            bool seen[N] = { 0 };
            for (int k = 0; k < 3; k++) {
                int classes[4];
                assert_int_equal(glia_data_count(part[k]), sizes[k]);
                uint64_t h = mark(part[k], seen, classes);
                if (k == 1) hash[round] = h;
                if (stratified) assert_shares(classes, sizes[k], data);
                glia_data_free(part[k]);
            }
            for (int i = 0; i < N; i++) assert_true(seen[i]);
        }
        assert_true(hash[0] == hash[1] && hash[0] != hash[2]);
    }
    glia_dataset *train, *validation, *test;
    assert_int_equal(glia_data_split(data, (glia_split_opts){ 0 }, &train, &validation, NULL, &error), GLIA_OK);
    assert_int_equal(glia_data_count(validation), 101);
    glia_data_free(validation);
    glia_data_free(train);
    assert_int_equal(glia_data_split(data, (glia_split_opts){ .test = 0.5 }, &train, &validation, &test, &error),
                     GLIA_OK);
    assert_null(validation);
    assert_int_equal(glia_data_count(test) + glia_data_count(train), N);
    glia_data_free(test);
    glia_data_free(train);
    static const glia_split_opts wrong[] = {
        { .validation = 1 },   { .validation = -0.1 }, { .validation = 0.5, .test = 0.6 },
        { .validation = NAN }, { .validation = 1e-5 },
    };
    for (int i = 0; i < GLIA_COUNT(wrong); i++) {
        assert_int_equal(glia_data_split(data, wrong[i], &train, &validation, &test, &error), GLIA_E_ARGUMENT);
        assert_true(!train && !validation && !test);
    }
    assert_int_equal(glia_data_split(data, (glia_split_opts){ .test = 0.1 }, &train, &validation, NULL, &error),
                     GLIA_E_ARGUMENT);
    glia_data_free(data);
}

static void test_folds(void **state) {
    (void)state;
    glia_dataset *data = make(), *train, *validation;
    for (int stratified = 0; stratified < 2; stratified++) {
        bool seen[N] = { 0 };
        for (int fold = 0; fold < 5; fold++) {
            int classes[4];
            bool once[N] = { 0 };
            assert_int_equal(glia_data_fold(data, 5, fold, stratified, 3, &train, &validation, &error), GLIA_OK);
            assert_int_equal(glia_data_count(validation), fold < 4 ? 202 : 201);
            mark(train, once, classes);
            if (stratified) assert_shares(classes, glia_data_count(train), data);
            mark(validation, once, classes); /* disjoint from training */
            if (stratified) assert_shares(classes, glia_data_count(validation), data);
            mark(validation, seen, classes); /* and from other folds */
            for (int i = 0; i < N; i++) assert_true(once[i]);
            glia_data_free(validation);
            glia_data_free(train);
        }
        for (int i = 0; i < N; i++) assert_true(seen[i]);
    }
    assert_int_equal(glia_data_fold(data, 1, 0, false, 0, &train, &validation, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_data_fold(data, 5, 5, false, 0, &train, &validation, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_data_fold(data, N + 1, 0, false, 0, &train, &validation, NULL), GLIA_E_ARGUMENT);
    glia_data_free(data);
}

static void test_weights(void **state) {
    (void)state;
    glia_dataset *data = make();
    double weights[4], each[N], sums[4] = { 0 };
    int counts[4] = { 0 };
    for (int i = 0; i < N; i++) counts[label_of(i)]++;
    assert_int_equal(glia_data_class_weights(data, weights, &error), GLIA_OK);
    for (int c = 0; c < 3; c++) assert_true(weights[c] == N / (4.0 * counts[c]));
    assert_true(weights[3] == 0);
    assert_int_equal(glia_data_sample_weights(data, each, &error), GLIA_OK);
    for (int i = 0; i < N; i++) sums[label_of(i)] += each[i];
    for (int c = 0; c < 3; c++) assert_true(fabs(sums[c] - N / 4.0) < 1e-9); /* equal weight per class */
    glia_data_free(data);
    float x[2] = { 0 };
    data = glia_data_arrays((glia_arrays){ .n = 2, .x = x, .x_shape = GLIA_SHAPE(1), .y = x }, &error);
    assert_int_equal(glia_data_class_weights(data, weights, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_data_fold(data, 2, 0, true, 0, &(glia_dataset *){ NULL }, &(glia_dataset *){ NULL }, &error),
                     GLIA_E_ARGUMENT);
    glia_data_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_folds),
        cmocka_unit_test(test_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
