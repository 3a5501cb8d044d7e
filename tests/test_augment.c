/* Augmentation: pipelines as text, what transformations do with given parameters and how these are drawn, and the
 * loader that runs them: the same bits whoever prepares a batch, from any batch on. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/augment.h"

static glia_error error;

#define ASSERT_SAYS(part)                                                                                              \
    do {                                                                                                               \
        if (!strstr(error.message, part)) fail_msg("\"%s\" does not say \"%s\"", error.message, part);                 \
    } while (0)

static glia_augment *need(const char *text) {
    glia_augment *augment = glia_augment_parse(text, &error);
    if (!augment) fail_msg("\"%s\": %s", text, error.message);
    return augment;
}

/* ---- text --------------------------------------------------------------------------------- */

static void test_text(void **state) {
    (void)state;
    static const char *const same[] = { "", "flip", "crop(pad=2, edge=reflect, p=0.25) flip vflip(p=0.125)",
                                        "crop(fill=-0.1) crop(pad=1, edge=wrap) crop(edge=edge)" };
    for (int i = 0; i < GLIA_COUNT(same); i++) {
        glia_augment *augment = need(same[i]);
        char *text = glia_augment_print(augment);
        assert_string_equal(text, same[i]);
        free(text);
        glia_augment_free(augment);
    }
    glia_augment *augment = need("\n crop( 4 ,edge = constant )\tflip(0.5) crop()");
    char *text = glia_augment_print(augment);
    assert_string_equal(text, "crop flip crop");
    free(text);
    glia_augment_free(augment);

    augment = glia_augment_create(&error);
    glia_augment_crop(augment, (glia_augment_crop_opts){ .pad = 3, .edge = GLIA_EDGE_REPEAT });
    glia_augment_flip(augment, (glia_augment_flip_opts){ 0 });
    text = glia_augment_print(augment);
    assert_string_equal(text, "crop(pad=3, edge=edge) flip");
    free(text);
    glia_augment_free(augment);
    glia_augment_free(NULL);
}

static void test_text_refusals(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "flop", "did you mean flip" },
        { "crop(pad=4) Flip", "character 13" },
        { "crop(pad=4", "not closed" },
        { "crop(pad=x)", "\"x\"" },
        { "crop(pad=1.5)", "whole" },
        { "crop(size=3)", "no size" },
        { "crop(1,pad=2)", "again" },
        { "crop(pad=0)", "cannot be 0" },
        { "flip(0.5, 1)", "too many" },
        { "flip(p=2)", "0 to 1" },
        { "flip(p=nan)", "number" },
        { "crop(pad=-1)", "-1" },
        { "crop(edge=round)", "reflect" },
        { "crop(pad=)", "\"\"" },
        { "flip,flip", "blank" },
        { "crop(pad=4,)", "constant" },
        { "crop(pad=99999999999)", "whole" },
    };
    for (int i = 0; i < GLIA_COUNT(cases); i++) {
        assert_null(glia_augment_parse(cases[i].text, NULL));
        assert_null(glia_augment_parse(cases[i].text, &error));
        ASSERT_SAYS(cases[i].says);
    }
    glia_augment *augment = glia_augment_create(&error);
    glia_augment_flip(augment, (glia_augment_flip_opts){ .p = 3 });
    glia_augment_crop(augment, (glia_augment_crop_opts){ .pad = -3 });
    assert_int_equal(glia_augment_check(augment, GLIA_SCALAR, &error), GLIA_E_ARGUMENT); /* the first mistake */
    ASSERT_SAYS("flip");
    glia_augment_free(augment);
    augment = need("flip");
    assert_int_equal(glia_augment_check(augment, GLIA_SCALAR, &error), GLIA_OK);
    assert_int_equal(glia_augment_check(augment, GLIA_SHAPE(1, 4, 4), &error), GLIA_OK);
    assert_int_equal(glia_augment_check(augment, GLIA_SHAPE(16), &error), GLIA_E_SHAPE);
    ASSERT_SAYS("(16)");
    glia_augment_free(augment);
}

/* ---- pixels that move --------------------------------------------------------------------- */

static const glia_frame small = { .channels = 2, .height = 3, .width = 4, .count = 24 };

static void count_up(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = (float)i + 1;
}

/* By the definition, from a padded copy. */
static void test_move(void **state) {
    (void)state;
    float in[24], out[24];
    count_up(in, 24);
    static const int rows[4][7] = {
        { -1, -1, 0, 1, 2, -1, -1 }, { 0, 0, 0, 1, 2, 2, 2 }, { 2, 1, 0, 1, 2, 1, 0 }, { 1, 2, 0, 1, 2, 0, 1 }
    };
    static const int columns[4][8] = { { -1, -1, 0, 1, 2, 3, -1, -1 },
                                       { 0, 0, 0, 1, 2, 3, 3, 3 },
                                       { 2, 1, 0, 1, 2, 3, 2, 1 },
                                       { 2, 3, 0, 1, 2, 3, 0, 1 } };
    for (int edge = 0; edge < 4; edge++)
        for (int top = -2; top <= 2; top++)
            for (int left = -2; left <= 2; left++) {
                glia_augment_move(in, out, small, top, left, (glia_edge)edge, -9);
                for (int c = 0; c < 2; c++)
                    for (int y = 0; y < 3; y++)
                        for (int x = 0; x < 4; x++) {
                            int row = rows[edge][y + top + 2], column = columns[edge][x + left + 2];
                            float want = row < 0 || column < 0 ? -9 : in[c * 12 + row * 4 + column];
                            assert_true(out[c * 12 + y * 4 + x] == want);
                        }
            }
    glia_augment_move(in, out, small, 0, -100, GLIA_EDGE_REPEAT, 0); /* far beyond */
    for (int i = 0; i < 24; i++) assert_true(out[i] == in[i / 4 * 4]);
    glia_augment_move(in, out, small, 100, 0, GLIA_EDGE_CONSTANT, 3);
    for (int i = 0; i < 24; i++) assert_true(out[i] == 3);
}

static void test_flips(void **state) {
    (void)state;
    float x[24];
    count_up(x, 24);
    glia_augment_mirror(x, small);
    for (int i = 0; i < 24; i++) assert_true(x[i] == (float)(i / 4 * 4 + 3 - i % 4 + 1));
    count_up(x, 24);
    glia_augment_overturn(x, small);
    for (int i = 0; i < 24; i++) assert_true(x[i] == (float)(i / 12 * 12 + (2 - i / 4 % 3) * 4 + i % 4 + 1));
}

/* ---- draws -------------------------------------------------------------------------------- */

/* All places of a crop come equally often, whatever stands before it in the pipeline; p is the share that it says. */
static void test_crop_draws(void **state) {
    (void)state;
    enum { ROUNDS = 18000 };
    static const char *const texts[] = { "crop(pad=1)", "flip crop(pad=1) flip" };
    for (int t = 0; t < 2; t++) {
        glia_augment *augment = need(texts[t]);
        int counts[9] = { 0 };
        for (int i = 0; i < ROUNDS; i++) {
            float x[25] = { 0 };
            x[12] = 1;
            assert_int_equal(glia_augment_apply(augment, GLIA_SHAPE(1, 5, 5), 1, i / 100, i % 100, x, &error), GLIA_OK);
            for (int k = 0; k < 25; k++)
                if (x[k] != 0) counts[(k / 5 - 1) * 3 + k % 5 - 1]++;
        }
        for (int k = 0; k < 9; k++) assert_in_range(counts[k], 2000 - 210, 2000 + 210); /* 5 deviations of 42 */
        glia_augment_free(augment);
    }
    glia_augment *augment = need("flip(0.25)");
    int flipped = 0;
    for (int i = 0; i < 10000; i++) {
        float x[2] = { 0, 1 };
        assert_int_equal(glia_augment_apply(augment, GLIA_SHAPE(1, 1, 2), 5, 0, i, x, &error), GLIA_OK);
        flipped += x[0] == 1;
    }
    assert_in_range(flipped, 2500 - 220, 2500 + 220);
    glia_augment_free(augment);
}

/* ---- the loader --------------------------------------------------------------------------- */

enum { N = 3001 };

/* N samples of (3, 6, 5) bytes with some structure; class i mod 7 mod 3. */
static glia_dataset *make_images(void) {
    enum { PIXELS = 90 };
    uint8_t *x = malloc(N * PIXELS);
    int32_t *y = malloc(N * sizeof *y);
    assert_true(x && y);
    for (int i = 0; i < N * PIXELS; i++) x[i] = (uint8_t)((uint32_t)i * 2654435761u >> 24);
    for (int i = 0; i < N; i++) y[i] = i % 7 % 3;
    glia_dataset *data = glia_data_arrays(
        (glia_arrays){
            .n = N, .x = x, .x_dtype = GLIA_U8, .x_shape = GLIA_SHAPE(3, 6, 5), .y = y, .y_dtype = GLIA_I32 },
        &error);
    if (!data) fail_msg("%s", error.message);
    free(x);
    free(y);
    return data;
}

/* Hashes of the batches of an epoch, from one on; returns how many. */
static int64_t read_batches(glia_loader *loader, int64_t epoch, int64_t from, uint64_t *hashes) {
    const glia_shape y_shape = glia_loader_y_shape(loader);
    const size_t y_bytes = (size_t)glia_shape_count(y_shape) * glia_dtype_size(glia_loader_y_dtype(loader));
    glia_batch b;
    int64_t n = 0;
    assert_int_equal(glia_loader_start_at(loader, epoch, from, &error), GLIA_OK);
    for (; glia_loader_next(loader, &b); n++) {
        hashes[n] = glia_hash_bytes(b.x, (size_t)b.n * 90 * sizeof(float), 1);
        hashes[n] = glia_hash_bytes(b.y, (size_t)b.n * y_bytes, hashes[n]);
        hashes[n] = glia_hash_bytes(b.indices, (size_t)b.n * sizeof *b.indices, hashes[n]);
    }
    assert_int_equal(glia_loader_check(loader, &error), GLIA_OK);
    return n;
}

/* Everything that the loader can do in one epoch, with different workers, and begun in its middle. */
static void same_batches(const char *text, glia_loader_opts opts) {
    static const int workers[] = { -1, 1, 2, 4 };
    static uint64_t first[2][N], again[N];
    glia_dataset *data = make_images();
    const double mean[] = { 0.5, 0.4, 0.3 }, stddev[] = { 0.2, 0.3, 0.4 };
    assert_int_equal(glia_data_normalize(data, mean, stddev, 3, &error), GLIA_OK);
    glia_augment *augment = need(text);
    opts.augment = augment;
    int64_t batches = 0;
    for (int w = 0; w < GLIA_COUNT(workers); w++) {
        opts.workers = workers[w];
        glia_loader *loader = glia_loader_create(data, opts, &error);
        if (!loader) fail_msg("%s", error.message);
        for (int epoch = 0; epoch < 2; epoch++) {
            int64_t n = read_batches(loader, epoch, 0, w ? again : first[epoch]);
            if (w == 0) batches = n;
            assert_int_equal(n, batches);
            assert_int_equal(n, glia_loader_batches(loader));
            if (w) assert_memory_equal(again, first[epoch], (size_t)n * sizeof *again);
        }
        for (int64_t from = 0; from <= batches; from += from < 5 ? 1 : batches / 7 + 1) {
            assert_int_equal(read_batches(loader, 1, from, again), batches - from);
            if (from < batches) assert_memory_equal(again, first[1] + from, (size_t)(batches - from) * sizeof *again);
        }
        assert_int_equal(read_batches(loader, 1, batches, again), 0);
        assert_int_equal(glia_loader_start_at(loader, 0, batches + 1, &error), GLIA_E_ARGUMENT);
        glia_loader_free(loader);
    }
    for (int64_t i = 0; i < batches; i++) assert_true(first[0][i] != first[1][i]);
    glia_augment_free(augment);
    glia_data_free(data);
}

static void test_loader_workers(void **state) {
    (void)state;
    static double weights[N];
    for (int i = 0; i < N; i++) weights[i] = i % 5;
    same_batches("crop(pad=2, edge=reflect) flip vflip(0.1)", (glia_loader_opts){ .batch = 3, .shuffle = true });
    same_batches("crop flip", (glia_loader_opts){ .batch = 100, .stratified = true, .drop_last = true });
    same_batches("crop flip", (glia_loader_opts){ .batch = 8, .weights = weights, .seed = 3 });
}

/* A batch has what glia_augment_apply() makes of the raw samples, normalised by the set and by the view of it. */
static void test_loader_values(void **state) {
    (void)state;
    glia_dataset *data = make_images(), *part = glia_data_range(data, 10, 60, &error);
    const double mean[] = { 0.5, 0.4, 0.3 }, stddev[] = { 0.25, 0.5, 2 };
    assert_int_equal(glia_data_normalize(data, mean, stddev, 3, &error), GLIA_OK);
    assert_int_equal(glia_data_normalize(part, (double[]){ 1 }, (double[]){ 0.5 }, 1, &error), GLIA_OK);
    glia_augment *augment = need("crop(pad=1, fill=0.75) flip");
    glia_loader *loader = glia_loader_create(
        part, (glia_loader_opts){ .batch = 7, .shuffle = true, .seed = 9, .augment = augment }, &error);
    assert_non_null(loader);
    assert_int_equal(glia_loader_start(loader, 4, &error), GLIA_OK);
    glia_batch b;
    while (glia_loader_next(loader, &b)) {
        for (int64_t i = 0; i < b.n; i++) {
            float x[90];
            assert_int_equal(data->kind->read(data, b.indices[i] + 10, x, NULL, true, &error), GLIA_OK);
            assert_int_equal(glia_augment_apply(augment, GLIA_SHAPE(3, 6, 5), 9, 4, b.indices[i], x, &error), GLIA_OK);
            for (int k = 0; k < 90; k++) {
                double want = ((x[k] - mean[k / 30]) / stddev[k / 30] - 1) / 0.5;
                assert_float_equal(b.x[i * 90 + k], want, 1e-5);
            }
        }
    }
    glia_loader_free(loader);
    glia_augment_free(augment);
    augment = need("crop");
    glia_augment_flip(augment, (glia_augment_flip_opts){ .p = 7 });
    assert_null(glia_loader_create(part, (glia_loader_opts){ .augment = augment }, &error)); /* the mistake comes out */
    ASSERT_SAYS("flip");
    glia_augment_free(augment);
    glia_data_free(part);
    glia_data_free(data);
}

/* Samples come as often as their weights say; those of weight 0 never. */
static void test_weighted(void **state) {
    (void)state;
    glia_dataset *data = make_images();
    double weights[N] = { 0 };
    weights[3] = 1, weights[100] = 2, weights[N - 2] = 5;
    glia_loader *loader = glia_loader_create(data, (glia_loader_opts){ .weights = weights, .batch = 11 }, &error);
    assert_non_null(loader);
    memset(weights, 0, sizeof weights); /* the loader has its own */
    int64_t counts[3] = { 0 };
    for (int epoch = 0; epoch < 4; epoch++) {
        glia_batch b;
        assert_int_equal(glia_loader_start(loader, epoch, &error), GLIA_OK);
        while (glia_loader_next(loader, &b)) {
            for (int64_t i = 0; i < b.n; i++) {
                assert_true(b.indices[i] == 3 || b.indices[i] == 100 || b.indices[i] == N - 2);
                counts[b.indices[i] == 3 ? 0 : b.indices[i] == 100 ? 1 : 2]++;
            }
        }
    }
    for (int k = 0; k < 3; k++) {
        double p = (double[]){ 0.125, 0.25, 0.625 }[k], deviation = sqrt(4 * N * p * (1 - p));
        assert_true(fabs((double)counts[k] - 4 * N * p) < 5 * deviation);
    }
    glia_loader_free(loader);

    assert_null(glia_loader_create(data, (glia_loader_opts){ .weights = weights }, &error));
    ASSERT_SAYS("sum");
    weights[5] = -1;
    assert_null(glia_loader_create(data, (glia_loader_opts){ .weights = weights }, &error));
    ASSERT_SAYS("sample 5");
    weights[5] = NAN;
    assert_null(glia_loader_create(data, (glia_loader_opts){ .weights = weights }, NULL));
    weights[5] = 1;
    assert_null(glia_loader_create(data, (glia_loader_opts){ .weights = weights, .stratified = true }, &error));
    glia_data_free(data);
}

/* Every sample once, and every batch with the classes' shares. */
static void test_stratified(void **state) {
    (void)state;
    glia_dataset *data = make_images();
    int totals[3] = { 0 };
    for (int i = 0; i < N; i++) totals[i % 7 % 3]++;
    static const int64_t sizes[] = { 1, 7, 50, 64, N };
    for (int s = 0; s < GLIA_COUNT(sizes); s++) {
        glia_loader *loader =
            glia_loader_create(data, (glia_loader_opts){ .batch = sizes[s], .stratified = true, .seed = 5 }, &error);
        assert_non_null(loader);
        int64_t first[2] = { 0 };
        for (int epoch = 0; epoch < 2; epoch++) {
            bool seen[N] = { 0 };
            glia_batch b;
            assert_int_equal(glia_loader_start(loader, epoch, &error), GLIA_OK);
            while (glia_loader_next(loader, &b)) {
                int counts[3] = { 0 };
                for (int64_t i = 0; i < b.n; i++) {
                    assert_false(seen[b.indices[i]]);
                    seen[b.indices[i]] = true;
                    counts[((const int32_t *)b.y)[i]]++;
                    assert_int_equal(((const int32_t *)b.y)[i], b.indices[i] % 7 % 3);
                    first[epoch] = first[epoch] * 31 + b.indices[i];
                }
                for (int c = 0; c < 3; c++) /* cut into pieces, each end rounds */
                    assert_true(fabs(counts[c] - (double)b.n * totals[c] / N) < 2);
            }
            for (int i = 0; i < N; i++) assert_true(seen[i]);
        }
        assert_true(first[0] != first[1]);
        glia_loader_free(loader);
    }
    glia_data_free(data);
    float x[4] = { 0 }, y[2] = { 0 };
    data = glia_data_arrays((glia_arrays){ .n = 2, .x = x, .x_shape = GLIA_SHAPE(2), .y = y, .y_dtype = GLIA_F32 },
                            &error);
    assert_null(glia_loader_create(data, (glia_loader_opts){ .stratified = true }, &error));
    ASSERT_SAYS("no classes");
    glia_data_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),          cmocka_unit_test(test_text_refusals),
        cmocka_unit_test(test_move),          cmocka_unit_test(test_flips),
        cmocka_unit_test(test_crop_draws),    cmocka_unit_test(test_loader_workers),
        cmocka_unit_test(test_loader_values), cmocka_unit_test(test_weighted),
        cmocka_unit_test(test_stratified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
