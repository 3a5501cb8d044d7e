/* Data sets: arrays, ranges, normalisation, statistics, addresses; and the loader: the same batches with any number of
 * workers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "asserts.h"
#include "data/sources/data.h"
#include "files.h"
#include "glia/glia.h"

static glia_error error;

static glia_dataset *need(glia_dataset *data) {
    if (!data) fail_msg("%s", error.message);
    return data;
}

/* ---- arrays ------------------------------------------------------------------------------- */

/* n samples of (3, 2, 2) bytes: byte k of sample i is 7 i + k; label i mod 5. */
static glia_dataset *make_bytes(int64_t n) {
    uint8_t *x = malloc((size_t)n * 12);
    int32_t *y = malloc((size_t)n * sizeof *y);
    assert_true(x && y);
    for (int64_t i = 0; i < n * 12; i++) x[i] = (uint8_t)(7 * (i / 12) + i % 12);
    for (int64_t i = 0; i < n; i++) y[i] = (int32_t)(i % 5);
    glia_dataset *data = need(glia_data_arrays(
        (glia_arrays){
            .n = n, .x = x, .x_dtype = GLIA_U8, .x_shape = GLIA_SHAPE(3, 2, 2), .y = y, .y_dtype = GLIA_I32 },
        &error));
    free(x); /* it was copied */
    free(y);
    return data;
}

static void test_arrays(void **state) {
    (void)state;
    glia_dataset *data = make_bytes(20);
    assert_int_equal(glia_data_count(data), 20);
    assert_int_equal(glia_data_classes(data), 5);
    assert_string_equal(glia_data_class_name(data, 4), "4");
    assert_null(glia_data_class_name(data, 5));
    assert_null(glia_data_class_name(data, -1));
    assert_true(glia_shape_equal(glia_data_x_shape(data), GLIA_SHAPE(3, 2, 2)) && glia_data_y_shape(data).rank == 0);
    float x[12];
    int32_t y;
    assert_int_equal(glia_data_get(data, 6, x, &y, &error), GLIA_OK);
    assert_int_equal(y, 1);
    for (int k = 0; k < 12; k++) assert_true(x[k] == (float)((42 + k) / 255.0));
    assert_int_equal(glia_data_get(data, 20, x, &y, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_data_get(data, -1, x, &y, NULL), GLIA_E_ARGUMENT);
    glia_data_free(data);

    double values[] = { 1, -2, 3, 4 }, targets[] = { 0.5, 0.25 };
    glia_arrays arrays = { .n = 2,
                           .x = values,
                           .x_dtype = GLIA_F64,
                           .x_shape = GLIA_SHAPE(2),
                           .y = targets,
                           .y_dtype = GLIA_F64,
                           .borrow = true };
    data = need(glia_data_arrays(arrays, &error));
    double target;
    assert_int_equal(glia_data_get(data, 1, x, &target, &error), GLIA_OK);
    assert_true(x[0] == 3 && x[1] == 4 && target == 0.25 && glia_data_classes(data) == 0);
    glia_data_free(data);
    arrays.y = NULL;
    data = need(glia_data_arrays(arrays, &error));
    target = 7;
    assert_int_equal(glia_data_get(data, 1, NULL, &target, &error), GLIA_OK);
    assert_true(target == 0);
    glia_data_free(data);
    glia_data_free(NULL);
}

static void test_array_refusals(void **state) {
    (void)state;
    float x[4] = { 0 };
    int32_t y[] = { 0, 3, 1, -1 };
    glia_arrays good = { .n = 2, .x = x, .x_shape = GLIA_SHAPE(2), .y = y, .y_dtype = GLIA_I32 }, a = good;
    a.n = 0;
    assert_null(glia_data_arrays(a, &error));
    a = good, a.x = NULL;
    assert_null(glia_data_arrays(a, &error));
    a = good, a.x_shape = GLIA_SHAPE(GLIA_BATCH, 2);
    assert_null(glia_data_arrays(a, &error));
    assert_int_equal(error.status, GLIA_E_SHAPE);
    a = good, a.x_shape = GLIA_SHAPE(0);
    assert_null(glia_data_arrays(a, NULL));
    a = good, a.classes = 3;
    assert_null(glia_data_arrays(a, &error));
    ASSERT_SAYS("label 3 (number 1)");
    a = good, a.n = 1, a.y = y + 3;
    assert_null(glia_data_arrays(a, &error));
    ASSERT_SAYS("label -1");
    a = good, a.y = x, a.y_dtype = GLIA_F32, a.classes = 2;
    assert_null(glia_data_arrays(a, &error));
    a = good, a.n = (int64_t)1 << 62, a.x_shape = GLIA_SHAPE(1 << 20, 1 << 20);
    assert_null(glia_data_arrays(a, &error));
    assert_int_equal(error.status, GLIA_E_SHAPE);
}

static void test_ranges(void **state) {
    (void)state;
    glia_dataset *data = make_bytes(10), *part = need(glia_data_range(data, 3, 8, &error)),
                 *inner = need(glia_data_range(part, 1, 2, &error));
    float a[12], b[12];
    int32_t y;
    assert_int_equal(glia_data_count(part), 5);
    assert_int_equal(glia_data_classes(inner), 5);
    assert_string_equal(glia_data_class_name(inner, 2), "2");
    assert_int_equal(glia_data_normalize(data, (double[]){ 0.5 }, (double[]){ 0.25 }, 1, &error), GLIA_OK);
    assert_int_equal(glia_data_get(data, 4, a, NULL, &error), GLIA_OK);
    assert_int_equal(glia_data_get(inner, 0, b, &y, &error), GLIA_OK); /* a range reads its parent's values */
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(y, 4);
    assert_int_equal(glia_data_normalize(inner, (double[]){ 1 }, (double[]){ 2 }, 1, &error),
                     GLIA_OK); /* and adds its own */
    assert_int_equal(glia_data_get(inner, 0, b, NULL, &error), GLIA_OK);
    for (int k = 0; k < 12; k++) assert_true(b[k] == (a[k] - 1) * 0.5f);
    assert_int_equal(glia_data_get(inner, 1, b, NULL, &error), GLIA_E_ARGUMENT);
    assert_null(glia_data_range(data, 3, 11, &error));
    assert_null(glia_data_range(data, 3, 3, &error));
    assert_null(glia_data_range(data, -1, 3, &error));
    glia_data_free(inner);
    glia_data_free(part);
    glia_data_free(data);
}

static void test_read(void **state) {
    (void)state;
    enum { FIRST = 3, N = 5 };
    glia_dataset *data = make_bytes(10);
    float all[N][12], one[12];
    int32_t labels[N], label;
    assert_int_equal(glia_data_read(data, FIRST, N, &all[0][0], labels, &error), GLIA_OK);
    for (int i = 0; i < N; i++) {
        assert_int_equal(glia_data_get(data, FIRST + i, one, &label, &error), GLIA_OK);
        assert_memory_equal(one, all[i], sizeof one);
        assert_int_equal(label, labels[i]);
    }
    assert_int_equal(glia_data_read(data, 10, 0, one, NULL, &error), GLIA_OK);
    assert_int_equal(glia_data_read(data, 0, 10, NULL, NULL, &error), GLIA_OK);
    assert_int_equal(glia_data_read(data, 6, 5, &all[0][0], NULL, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("5 samples from 6 are not within");
    assert_int_equal(glia_data_read(data, -1, 1, one, NULL, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_data_read(data, INT64_MAX, 2, one, NULL, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_data_read(data, 1, -1, one, NULL, &error), GLIA_E_ARGUMENT);
    glia_data_free(data);
}

static void test_normalize(void **state) {
    (void)state;
    glia_dataset *data = make_bytes(16);
    double mean[3], deviation[3], again[3], again_deviation[3];
    assert_int_equal(glia_data_statistics(data, mean, deviation, 3), 3);
    for (int c = 0; c < 3; c++) { /* bytes 7 i + 4 c + k, i < 16, k < 4 */
        assert_float_equal(mean[c], (7 * 7.5 + 4 * c + 1.5) / 255, 1e-12);
        assert_float_equal(deviation[c], sqrt(49 * (256 - 1) / 12.0 + 15 / 12.0) / 255, 1e-12);
    }
    assert_int_equal(glia_data_normalize(data, mean, deviation, 3, &error), GLIA_OK);
    float x[12];
    assert_int_equal(glia_data_get(data, 5, x, NULL, &error), GLIA_OK);
    for (int k = 0; k < 12; k++) assert_true(x[k] == (float)(((35 + k) / 255.0 - mean[k / 4]) / deviation[k / 4]));
    assert_int_equal(glia_data_statistics(data, again, again_deviation, 9), 3); /* of the unnormalised data */
    assert_memory_equal(mean, again, sizeof mean);

    glia_dataset *all = need(glia_data_range(data, 0, 16, &error)); /* computes them by reading samples instead */
    assert_int_equal(glia_data_statistics(all, again, again_deviation, 3), 3);
    for (int c = 0; c < 3; c++) assert_true(fabs(again[c]) < 1e-6 && fabs(again_deviation[c] - 1) < 1e-6);
    assert_int_equal(glia_data_statistics(all, again, again_deviation, 2), 1); /* small buffer: one value for all */
    glia_data_free(all);

    assert_int_equal(glia_data_normalize(data, mean, deviation, 2, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_data_normalize(data, mean, (double[]){ -1 }, 1, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_data_normalize(data, (double[]){ (double)NAN }, deviation, 1, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_data_normalize(data, (double[]){ 0 }, (double[]){ 0 }, 1, &error),
                     GLIA_OK); /* 0 is treated as 1 */
    assert_int_equal(glia_data_get(data, 0, x, NULL, &error), GLIA_OK);
    assert_true(x[3] == (float)(3 / 255.0));
    glia_data_free(data);
}

/* ---- addresses ---------------------------------------------------------------------------- */

static void test_files_are_looked_for(void **state) {
    (void)state;
    static const char table[] = "a,b\n1,2\n3,4\n";
    mkdir("elsewhere", 0777);
    write_file("elsewhere/far.csv", table, sizeof table - 1);
    assert_null(glia_data_open("csv:far.csv", NULL, NULL, &error));
    glia_data_free(need(glia_data_open("csv:far.csv?label=b", NULL, "elsewhere", &error)));
    static const struct {
        const char *file, *folder, *found;
    } cases[] = {
        { "far.csv", "elsewhere", "elsewhere/far.csv" }, { "far.csv", NULL, "far.csv" },
        { "elsewhere/far.csv", "elsewhere", "elsewhere/far.csv" }, { "/far.csv", "elsewhere", "/far.csv" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = glia_data_find_file(cases[i].file, cases[i].folder);
        assert_string_equal(path, cases[i].found);
        free(path);
    }
    assert_null(glia_data_find_file(NULL, "elsewhere"));
    unlink("elsewhere/far.csv");
    rmdir("elsewhere");
}

static void test_files(void **state) {
    (void)state;
    static const char table[] = "a,b,kind\n1,2,no\n3,4,yes\n5,6,no\n7,8,no\n9,10,yes\n";
    static const uint8_t images[] = { 0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255 },
                         labels[] = { 0, 0, 8, 1, 0, 0, 0, 2, 9, 4 };
    write_file("t.csv", table, sizeof table - 1);
    write_file("x.idx", images, sizeof images);
    write_file("y.idx", labels, sizeof labels);
    float x[3];
    int32_t y;

    glia_dataset *data = need(glia_data_open("idx:x.idx,y.idx", "train", NULL, &error));
    assert_true(glia_data_count(data) == 2 && glia_shape_equal(glia_data_x_shape(data), GLIA_SHAPE(1, 1, 3)) &&
                glia_data_classes(data) == 10);
    assert_int_equal(glia_data_get(data, 1, x, &y, &error), GLIA_OK);
    assert_true(x[2] == 1 && y == 4);
    glia_data_free(data);
    assert_null(glia_data_open("idx:x.idx,x.idx,x.idx", NULL, NULL, &error));
    assert_null(glia_data_open("idx:y.idx,none.idx", NULL, NULL, &error));
    assert_int_equal(error.status, GLIA_E_NOT_FOUND);
    write_file("x.idx", images, sizeof images - 1);
    assert_null(glia_data_open("idx:x.idx,y.idx", NULL, NULL, &error));
    ASSERT_SAYS("x.idx: offset 21");

    data = need(glia_data_open("csv:t.csv?label=kind", NULL, NULL, &error));
    assert_true(glia_data_count(data) == 5 && glia_data_classes(data) == 2);
    assert_string_equal(glia_data_class_name(data, 1), "yes");
    assert_string_equal(glia_data_name(data), "csv:t.csv?label=kind");
    double mean[2], deviation[2];
    assert_int_equal(glia_data_statistics(data, mean, deviation, 2), 2); /* by column */
    assert_true(mean[0] == 5 && mean[1] == 6);
    glia_data_free(data);
    assert_null(glia_data_open("csv:t.csv?lable=kind", NULL, NULL, &error));
    ASSERT_SAYS("did you mean \"label\"");
    assert_null(glia_data_open("csv:t.csv?header=2", NULL, NULL, &error));
    assert_null(glia_data_open("csv:t.csv?sep=xy", NULL, NULL, &error));
    assert_null(glia_data_open("csv:t.csv?label", NULL, NULL, &error));
    assert_null(glia_data_open("csv:t.csv?label=a&label=b", NULL, NULL, &error));
    assert_null(glia_data_open("csv:", NULL, NULL, &error));
    assert_null(glia_data_open("csv:t.csv?label=b&sep=semicolon", NULL, NULL, &error));
    ASSERT_SAYS("t.csv: ");

    /* test=: every row is in exactly one of the two parts. */
    bool seen[10] = { false };
    const char *const splits[] = { "train", "test" };
    for (int s = 0; s < 2; s++) {
        data = need(glia_data_open("csv:t.csv?test=0.4&seed=5", splits[s], NULL, &error));
        assert_int_equal(glia_data_count(data), s ? 2 : 3);
        for (int64_t i = 0; i < glia_data_count(data); i++) {
            assert_int_equal(glia_data_get(data, i, x, &y, &error), GLIA_OK);
            assert_false(seen[(int)x[0]]);
            seen[(int)x[0]] = true;
        }
        glia_data_free(data);
    }
    assert_null(glia_data_open("csv:t.csv?test=1.5", NULL, NULL, &error));
    for (int i = 1; i < 10; i += 2) assert_true(seen[i]);
    assert_true(!unlink("t.csv") && !unlink("x.idx") && !unlink("y.idx"));
}

static void test_names(void **state) {
    (void)state;
    glia_data_info infos[16];
    int n = glia_data_list(infos, 16);
    assert_true(n >= 4 && n <= 16 && glia_data_list(NULL, 0) == n);
    assert_string_equal(infos[0].name, "mnist");
    assert_null(glia_data_open("mnits", NULL, NULL, &error));
    assert_int_equal(error.status, GLIA_E_NOT_FOUND);
    ASSERT_SAYS("did you mean \"mnist\"");
    ASSERT_SAYS("strokes");
    assert_null(glia_data_open("iris.csv", NULL, NULL, &error));
    ASSERT_SAYS("\"csv:iris.csv\"");
    assert_null(glia_data_open("zip:x", NULL, NULL, &error));
    ASSERT_SAYS("idx:IMAGES,LABELS");
    assert_null(glia_data_open("strokes", "validation", NULL, &error));
    ASSERT_SAYS("\"validation\"");
    assert_null(glia_data_open("mnist?n=4", NULL, NULL, &error));
    assert_null(glia_data_open("strokes?m=4", NULL, NULL, &error));
    assert_null(glia_data_open("strokes?n=0", NULL, NULL, &error));
    assert_true(glia_data_available("strokes", NULL));
    assert_false(glia_data_available("fashion-mnist", "nowhere"));
    assert_false(glia_data_available("nonsense", NULL));
    assert_null(glia_data_open("fashion-mnist", "test", "nowhere", &error));
    assert_int_equal(error.status, GLIA_E_NOT_FOUND);
    ASSERT_SAYS("nowhere/fashion-mnist");
    ASSERT_SAYS("t10k-images-idx3-ubyte");
    ASSERT_SAYS("https://");
}

static void test_cifar(void **state) {
    (void)state;
    uint8_t *records = calloc(2, GLIA_CIFAR_RECORD);
    assert_non_null(records);
    records[0] = 9, records[GLIA_CIFAR_RECORD] = 2, records[GLIA_CIFAR_RECORD + 1] = 255;
    assert_int_equal(mkdir("cifar-10-batches-bin", 0777), 0);
    write_file("cifar-10-batches-bin/test_batch.bin", records, 2 * GLIA_CIFAR_RECORD);
    free(records);
    glia_dataset *data = need(glia_data_open("cifar10", "test", ".", &error));
    assert_true(glia_data_count(data) == 2 && glia_shape_equal(glia_data_x_shape(data), GLIA_SHAPE(3, 32, 32)));
    assert_string_equal(glia_data_class_name(data, 9), "truck");
    glia_data_free(data);
    static float wide[3 * 36 * 36];
    data = need(glia_data_open("cifar10?pad=2", "test", ".", &error));
    assert_true(glia_shape_equal(glia_data_x_shape(data), GLIA_SHAPE(3, 36, 36)));
    assert_int_equal(glia_data_get(data, 1, wide, NULL, &error), GLIA_OK);
    for (int i = 0; i < 3 * 36 * 36; i++) assert_true(wide[i] == (i == 2 * 36 + 2));
    glia_data_free(data);
    data = need(glia_data_open("cifar10?size=16&pad=1", "test", ".", &error)); /* a mean of four pixels, in a margin */
    assert_true(glia_shape_equal(glia_data_x_shape(data), GLIA_SHAPE(3, 18, 18)));
    assert_int_equal(glia_data_get(data, 1, wide, NULL, &error), GLIA_OK);
    for (int i = 0; i < 3 * 18 * 18; i++) ASSERT_NEAR(wide[i], i == 18 + 1 ? 0.25 : 0, 0.5 / 255);
    glia_data_free(data);
    assert_null(glia_data_open("cifar10?pad=-1", "test", ".", &error));
    ASSERT_SAYS("pad=-1");
    data = need(glia_data_open("cifar:cifar-10-batches-bin/test_batch.bin,cifar-10-batches-bin/test_batch.bin", NULL,
                               NULL, &error));
    static float x[3 * 32 * 32];
    int32_t y;
    assert_int_equal(glia_data_get(data, 3, x, &y, &error), GLIA_OK);
    assert_true(glia_data_count(data) == 4 && y == 2 && x[0] == 1 && x[1] == 0);
    glia_data_free(data);
    assert_true(!unlink("cifar-10-batches-bin/test_batch.bin") && !rmdir("cifar-10-batches-bin"));
}

/* The real MNIST, if in GLIA_DATA: label counts and sum of bytes. */
static void test_mnist(void **state) {
    (void)state;
    if (!getenv("GLIA_DATA") || !glia_data_available("mnist", NULL)) skip();
    static const int64_t counts[10] = { 5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949 };
    glia_dataset *data = need(glia_data_open("mnist", "train", NULL, &error));
    int64_t found[10] = { 0 };
    static float x[28 * 28];
    assert_int_equal(glia_data_count(data), 60000);
    assert_true(glia_shape_equal(glia_data_x_shape(data), GLIA_SHAPE(1, 28, 28)) && glia_data_classes(data) == 10);
    for (int64_t i = 0; i < 60000; i++) {
        int32_t y;
        assert_int_equal(glia_data_get(data, i, x, &y, &error), GLIA_OK);
        found[y]++;
    }
    assert_memory_equal(found, counts, sizeof counts);
    double mean, deviation;
    assert_int_equal(glia_data_statistics(data, &mean, &deviation, 1), 1);
    assert_float_equal(mean, 0.1306604762738429, 1e-12); /* usually rounded to 0.1307 and 0.3081 */
    assert_float_equal(deviation, 0.30810780717887876, 1e-12);
    glia_data_free(data);
    data = need(glia_data_open("mnist", "test", NULL, &error));
    assert_int_equal(glia_data_count(data), 10000);
    glia_data_free(data);
}

/* ---- the loader --------------------------------------------------------------------------- */

static void test_shuffle(void **state) {
    (void)state;
    enum { N = 1000 };
    int64_t a[N], b[N], sum = 0, fixed = 0;
    glia_data_shuffle(a, N, 1, 0);
    glia_data_shuffle(b, N, 1, 0);
    assert_memory_equal(a, b, sizeof a);
    glia_data_shuffle(b, N, 1, 1);
    assert_memory_not_equal(a, b, sizeof a);
    glia_data_shuffle(b, N, 2, 0);
    assert_memory_not_equal(a, b, sizeof a);
    bool seen[N] = { false };
    for (int i = 0; i < N; i++) {
        assert_true(a[i] >= 0 && a[i] < N && !seen[a[i]]);
        seen[a[i]] = true;
        fixed += a[i] == i;
        sum += i * a[i];
    }
    assert_true(fixed < 10);                        /* one is expected */
    assert_true(llabs(sum - 249500250) < 12000000); /* independent of the old order: five standard deviations */
    int counts[6] = { 0 }; /* orders of three are equally likely: 20,000 draws, 3333 +- 53 each */
    for (uint64_t seed = 0; seed < 20000; seed++) {
        glia_data_shuffle(b, 3, seed, 7);
        counts[2 * b[0] + (b[1] > b[2])]++;
    }
    for (int i = 0; i < 6; i++) assert_in_range(counts[i], 3333 - 270, 3333 + 270);
}

/* Hashes all batches of an epoch and checks their counts. */
static uint64_t read_epoch(glia_loader *loader, const glia_dataset *data, int64_t epoch, int64_t batch,
                           int64_t samples) {
    uint64_t hash = 0;
    int64_t total = 0, batches = 0;
    glia_batch b;
    assert_int_equal(glia_loader_start(loader, epoch, &error), GLIA_OK);
    for (; glia_loader_next(loader, &b); batches++) {
        assert_int_equal(b.n, GLIA_MIN(batch, samples - total));
        for (int64_t i = 0; i < b.n; i++) {
            float x[12];
            int32_t y;
            assert_int_equal(glia_data_get(data, b.indices[i], x, &y, &error), GLIA_OK);
            assert_memory_equal(x, b.x + 12 * i, sizeof x);
            assert_int_equal(y, ((const int32_t *)b.y)[i]);
        }
        hash = glia_hash_bytes(b.x, (size_t)b.n * 12 * sizeof(float), hash);
        hash = glia_hash_bytes(b.indices, (size_t)b.n * sizeof(int64_t), hash);
        total += b.n;
    }
    assert_int_equal(total, samples);
    assert_int_equal(batches, glia_loader_batches(loader));
    assert_false(glia_loader_next(loader, &b));
    assert_int_equal(glia_loader_check(loader, &error), GLIA_OK);
    return hash;
}

static void test_loader_workers(void **state) {
    (void)state;
    static const int workers[] = { -1, 0, 1, 2, 5 };
    glia_dataset *data = make_bytes(20011);
    uint64_t first[3] = { 0 };
    for (int w = 0; w < GLIA_COUNT(workers); w++) {
        glia_loader_opts opts = { .batch = 7, .shuffle = true, .seed = 3, .workers = workers[w] };
        glia_loader *loader = glia_loader_create(data, opts, &error);
        assert_non_null(loader);
        glia_batch b;
        assert_false(glia_loader_next(loader, &b)); /* not started */
        for (int e = 0; e < 3; e++) {
            uint64_t hash = read_epoch(loader, data, e % 2, 7, 20011);
            if (w == 0) first[e] = hash;
            assert_true(hash == first[e]);
        }
        glia_loader_free(loader);
    }
    assert_true(first[0] == first[2] && first[0] != first[1]);
    glia_data_free(data);
}

static void test_loader_sizes(void **state) {
    (void)state;
    glia_dataset *data = make_bytes(100);
    static const struct {
        glia_loader_opts opts;
        int64_t batches, batch, samples;
    } cases[] = {
        { { 0 }, 4, 32, 100 },
        { { .drop_last = true }, 3, 32, 96 },
        { { .batch = 1 }, 100, 1, 100 },
        { { .batch = 100, .workers = 2 }, 1, 100, 100 },
        { { .batch = 1000000 }, 1, 100, 100 },
        { { .batch = 50, .drop_last = true, .shuffle = true, .workers = -1 }, 2, 50, 100 },
    };
    for (int i = 0; i < GLIA_COUNT(cases); i++) {
        glia_loader *loader = glia_loader_create(data, cases[i].opts, &error);
        assert_non_null(loader);
        assert_int_equal(glia_loader_batches(loader), cases[i].batches);
        read_epoch(loader, data, 0, cases[i].batch, cases[i].samples);
        glia_loader_free(loader);
    }
    assert_null(glia_loader_create(data, (glia_loader_opts){ .batch = 101, .drop_last = true }, &error));
    assert_null(glia_loader_create(data, (glia_loader_opts){ .batch = -1 }, &error));
    assert_null(glia_loader_create(data, (glia_loader_opts){ .workers = -2 }, &error));
    glia_loader_free(NULL);
    glia_data_free(data);
}

/* Abandoned epochs; loaders freed in all states. */
static void test_loader_left(void **state) {
    (void)state;
    glia_dataset *data = make_bytes(30000);
    for (int round = 0; round < 30; round++) {
        glia_loader_opts opts = { .batch = 4, .shuffle = true, .workers = round % 4 - 1 };
        glia_loader *loader = glia_loader_create(data, opts, &error);
        assert_non_null(loader);
        for (int epoch = 0; epoch < round % 3; epoch++) {
            glia_batch b = { 0 };
            assert_int_equal(glia_loader_start(loader, epoch, &error), GLIA_OK);
            for (int i = 0; i < round * 150; i++) assert_true(glia_loader_next(loader, &b));
            if (round) assert_int_equal(b.n, 4);
        }
        glia_loader_free(loader);
    }
    glia_data_free(data);
}

/* A data set whose sample 50 cannot be read. */
static glia_status broken_read(const glia_dataset *data, int64_t index, float *x, void *y, bool raw, glia_error *e) {
    (void)raw;
    if (index == 50) return glia_fail(e, GLIA_E_IO, "sample 50 is gone");
    if (x) memset(x, 0, data->x_count * sizeof *x);
    if (y) memset(y, 0, data->y_bytes);
    return GLIA_OK;
}

static void broken_close(glia_dataset *data) { (void)data; }

static void test_loader_failure(void **state) {
    (void)state;
    static const glia_data_kind kind = { .read = broken_read, .close = broken_close };
    glia_dataset *data = calloc(1, sizeof *data);
    assert_non_null(data);
    *data = (glia_dataset){ .kind = &kind, .n = 100, .x_shape = GLIA_SHAPE(4) };
    assert_int_equal(glia_data_init(data, &error), GLIA_OK);
    for (int workers = -1; workers <= 2; workers++) {
        glia_loader *loader = glia_loader_create(data, (glia_loader_opts){ .batch = 10, .workers = workers }, &error);
        assert_non_null(loader);
        glia_batch b;
        int n = 0;
        assert_int_equal(glia_loader_start(loader, 0, &error), GLIA_OK);
        while (glia_loader_next(loader, &b)) n++;
        assert_true(n <= 5);
        error.message[0] = 0;
        assert_int_equal(glia_loader_check(loader, &error), GLIA_E_IO);
        ASSERT_SAYS("sample 50");
        assert_false(glia_loader_next(loader, &b));
        glia_loader_free(loader);
    }
    double mean, deviation;
    assert_int_equal(glia_data_statistics(data, &mean, &deviation, 1), 0);
    glia_data_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrays),         cmocka_unit_test(test_array_refusals),
        cmocka_unit_test(test_ranges),         cmocka_unit_test(test_normalize),
        cmocka_unit_test(test_files),          cmocka_unit_test(test_names),
        cmocka_unit_test(test_read),           cmocka_unit_test(test_files_are_looked_for),
        cmocka_unit_test(test_cifar),          cmocka_unit_test(test_mnist),
        cmocka_unit_test(test_shuffle),        cmocka_unit_test(test_loader_workers),
        cmocka_unit_test(test_loader_sizes),   cmocka_unit_test(test_loader_left),
        cmocka_unit_test(test_loader_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
