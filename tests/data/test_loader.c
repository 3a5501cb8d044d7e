/* The loader: the same bits with any number of workers and from any starting batch; augmented, mixed, weighted and
 * stratified samples. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "data/augment/augment.h"
#include "glia/glia.h"

static glia_error error;

static glia_augment *need(const char *text) {
    glia_augment *augment = glia_augment_parse(text, &error);
    if (!augment) fail_msg("\"%s\": %s", text, error.message);
    return augment;
}

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

/* ---- augmented batches -------------------------------------------------------------------- */

/* Hashes the batches of an epoch from batch `from` on; returns their number. */
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

/* An epoch with all loader options gives the same batches with different numbers of workers and starting batches. */
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
    same_batches("rotate shear elastic(alpha=4, sigma=1) jitter(0.2, 0.2, 0.2, 0.1) resized_crop blur erase noise",
                 (glia_loader_opts){ .batch = 60, .shuffle = true });
    same_batches("crop flip", (glia_loader_opts){ .batch = 100, .stratified = true, .drop_last = true });
    same_batches("crop mixup(p=0.5) flip cutmix(p=0.4)", (glia_loader_opts){ .batch = 9, .shuffle = true });
    same_batches("crop flip mixup", (glia_loader_opts){ .batch = 8, .weights = weights, .seed = 3 });
}

/* Batches equal glia_augment_apply() of the raw samples, normalised by the data set and by its view. */
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
                ASSERT_NEAR(b.x[i * 90 + k], want, 1e-5);
            }
        }
    }
    glia_loader_free(loader);
    glia_augment_free(augment);
    augment = need("crop");
    glia_augment_flip(augment, (glia_augment_flip_opts){ .p = 7 });
    assert_null(glia_loader_create(part, (glia_loader_opts){ .augment = augment }, &error)); /* the error is returned */
    ASSERT_SAYS("flip");
    glia_augment_free(augment);
    glia_data_free(part);
    glia_data_free(data);
}

/* ---- mixed samples ------------------------------------------------------------------------ */

/* n images of (2, 6, 5): all pixels of image i are (i + 1) / 128; class i mod 4. */
static glia_dataset *make_flat(int n) {
    float *x = malloc((size_t)n * 60 * sizeof *x);
    int32_t *y = malloc((size_t)n * sizeof *y);
    assert_true(x && y);
    for (int i = 0; i < n * 60; i++) x[i] = (float)(i / 60 + 1) / 128;
    for (int i = 0; i < n; i++) y[i] = i % 4;
    glia_arrays arrays = { .n = n, .x = x, .x_shape = GLIA_SHAPE(2, 6, 5), .y = y, .y_dtype = GLIA_I32 };
    glia_dataset *data = glia_data_arrays(arrays, &error);
    if (!data) fail_msg("%s", error.message);
    free(x);
    free(y);
    return data;
}

static glia_loader *mixing_loader(const glia_dataset *data, const glia_augment *augment) {
    glia_loader *loader = glia_loader_create(
        data, (glia_loader_opts){ .batch = 16, .shuffle = true, .seed = 4, .augment = augment }, &error);
    if (!loader) fail_msg("%s", error.message);
    assert_int_equal(glia_loader_y_dtype(loader), GLIA_F32);
    assert_true(glia_shape_equal(glia_loader_y_shape(loader), GLIA_SHAPE(4)));
    return loader;
}

/* The pixels identify the image that was mixed in; the target must match. */
static void test_mixup(void **state) {
    (void)state;
    enum { COUNT = 100 };
    glia_dataset *data = make_flat(COUNT);
    assert_int_equal(glia_data_normalize(data, (double[]){ 0.5 }, (double[]){ 0.25 }, 1, &error), GLIA_OK);
    glia_augment *augment = need("flip mixup(alpha=1, p=0.5)");
    glia_loader *loader = mixing_loader(data, augment);
    const uint64_t key = glia_augment_key(4, 0);
    int mixed = 0, partners[COUNT] = { 0 };
    glia_batch b;
    assert_int_equal(glia_loader_start(loader, 0, &error), GLIA_OK);
    while (glia_loader_next(loader, &b)) {
        for (int64_t i = 0; i < b.n; i++) {
            glia_mix mix;
            const bool is = glia_augment_draw_mix(augment, GLIA_SHAPE(2, 6, 5), key, b.indices[i], COUNT, &mix);
            double own = (double)(b.indices[i] + 1) / 128, want[4] = { 0 };
            if (is) own = mix.share * own + (1 - mix.share) * ((double)mix.partner + 1) / 128;
            want[b.indices[i] % 4] += is ? mix.share : 1;
            if (is) want[mix.partner % 4] += 1 - mix.share;
            for (int k = 0; k < 60; k++) ASSERT_NEAR(b.x[i * 60 + k], (own - 0.5) / 0.25, 1e-5);
            for (int c = 0; c < 4; c++) ASSERT_NEAR(((const float *)b.y)[i * 4 + c], want[c], 1e-6);
            mixed += is;
            if (is) partners[mix.partner]++;
        }
    }
    assert_in_range(mixed, 50 - 25, 50 + 25);
    int most = 0;
    for (int i = 0; i < COUNT; i++) most = GLIA_MAX(most, partners[i]);
    assert_in_range(most, 1, 6); /* partners spread over the data */
    glia_loader_free(loader);
    glia_augment_free(augment);
    glia_data_free(data);
}

static void test_cutmix(void **state) {
    (void)state;
    enum { COUNT = 100 };
    glia_dataset *data = make_flat(COUNT);
    glia_augment *augment = need("cutmix");
    glia_loader *loader = mixing_loader(data, augment);
    double kept = 0;
    glia_batch b;
    for (int epoch = 0; epoch < 40; epoch++) {
        assert_int_equal(glia_loader_start(loader, epoch, &error), GLIA_OK);
        while (glia_loader_next(loader, &b)) {
            for (int64_t i = 0; i < b.n; i++) {
                const float *x = b.x + i * 60, *y = (const float *)b.y + i * 4, own = (float)(b.indices[i] + 1) / 128;
                int mine = 0, top = 6, left = 5, bottom = -1, right = -1;
                float other = own;
                for (int k = 0; k < 30; k++) {
                    assert_true(x[k] == x[k + 30]); /* the same part in both channels */
                    mine += x[k] == own;
                    if (x[k] == own) continue;
                    assert_true(other == own || other == x[k]);
                    other = x[k];
                    top = GLIA_MIN(top, k / 5), bottom = GLIA_MAX(bottom, k / 5);
                    left = GLIA_MIN(left, k % 5), right = GLIA_MAX(right, k % 5);
                }
                if (mine < 30) assert_int_equal(30 - mine, (bottom - top + 1) * (right - left + 1)); /* a rectangle */
                const double share = mine / 30.0;
                const int partner = (int)lrintf(other * 128) - 1;
                float want[4] = { 0 };
                want[b.indices[i] % 4] += (float)share;
                want[partner % 4] += (float)(1 - share);
                for (int c = 0; c < 4; c++) ASSERT_NEAR(y[c], want[c], 1e-6);
                kept += share / (40 * COUNT);
            }
        }
    }
    assert_true(kept > 0.6 && kept < 0.9); /* above half: the part is clipped at the edges */
    glia_loader_free(loader);
    glia_augment_free(augment);
    glia_data_free(data);
}

/* A sample gets either mixup or CutMix, each with its probability. */
static void test_mixup_or_cutmix(void **state) {
    (void)state;
    glia_augment *augment = need("mixup(alpha=100, p=0.25) cutmix(p=0.5)");
    int counts[3] = { 0 };
    for (int i = 0; i < 4000; i++) {
        glia_mix mix = { .pasted = false };
        bool is = glia_augment_draw_mix(augment, GLIA_SHAPE(2, 6, 5), 99, i, 10, &mix);
        counts[!is ? 0 : mix.pasted ? 2 : 1]++;
    }
    for (int k = 0; k < 3; k++)
        assert_in_range(counts[k], 4000 * (k == 2 ? 0.5 : 0.25) - 160, 4000 * (k == 2 ? 0.5 : 0.25) + 160);
    glia_augment_free(augment);
}

static void test_mixing_needs_classes(void **state) {
    (void)state;
    float x[4] = { 0 }, y[2] = { 0 };
    glia_dataset *data = glia_data_arrays(
        (glia_arrays){ .n = 2, .x = x, .x_shape = GLIA_SHAPE(2), .y = y, .y_dtype = GLIA_F32 }, &error);
    glia_augment *augment = need("mixup");
    assert_null(glia_loader_create(data, (glia_loader_opts){ .augment = augment }, &error));
    ASSERT_SAYS("needs classes");
    glia_augment_free(augment);
    glia_data_free(data);
}

/* ---- the order of samples ----------------------------------------------------------------- */

/* Samples are drawn in proportion to their weights; weight 0 never. */
static void test_weighted(void **state) {
    (void)state;
    glia_dataset *data = make_images();
    double weights[N] = { 0 };
    weights[3] = 1, weights[100] = 2, weights[N - 2] = 5;
    glia_loader *loader = glia_loader_create(data, (glia_loader_opts){ .weights = weights, .batch = 11 }, &error);
    assert_non_null(loader);
    memset(weights, 0, sizeof weights); /* the loader has a copy */
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

/* Every sample occurs once, and every batch has the class proportions. */
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
        uint64_t first[2] = { 0 };
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
                    first[epoch] = first[epoch] * 31 + (uint64_t)b.indices[i];
                }
                for (int c = 0; c < 3; c++) /* each boundary of a batch rounds */
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
        cmocka_unit_test(test_loader_workers),
        cmocka_unit_test(test_loader_values),
        cmocka_unit_test(test_mixup),
        cmocka_unit_test(test_cutmix),
        cmocka_unit_test(test_mixup_or_cutmix),
        cmocka_unit_test(test_mixing_needs_classes),
        cmocka_unit_test(test_weighted),
        cmocka_unit_test(test_stratified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
