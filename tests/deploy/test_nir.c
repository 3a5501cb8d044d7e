/* test_nir.c - spiking nets as NIR files: the bytes of one that h5py and nir have read (tests/python/check_nir.py reads
 * and simulates more), and nets that NIR does not have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "base/base.h"
#include "glia/glia.h"

static glia_error error;

/* (1, 2, 2) -> 3 units that spike -> 2 that do not, over 4 steps. */
static glia_model *tiny(glia_error *reason) {
    glia_model *model = glia_model_create("tiny", reason);
    if (!model) return NULL;
    glia_tensor x = glia_flatten(glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 2, 2)));
    const glia_spiking_opts units = { .beta = 0.75, .steps = 4 }, silent = { .beta = 0.5, .silent = true };
    x = glia_spiking_dense(x, "hidden", (glia_dense_opts){ .units = 3 }, units);
    x = glia_spiking_dense(x, "out", (glia_dense_opts){ .units = 2, .no_bias = true }, silent);
    glia_model_output(model, "y", glia_mean(x, GLIA_SHAPE(1), false));
    if (glia_model_init(model, 1, reason) == GLIA_OK) return model;
    glia_model_free(model);
    return NULL;
}

static size_t read_file(const char *path, char bytes[8192]) {
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("%s cannot be read", path);
    const size_t n = fread(bytes, 1, 8192, file);
    fclose(file);
    return n;
}

static void a_file_has_the_bytes_that_nir_reads(void **state) {
    (void)state;
    glia_model *model = tiny(&error);
    const char *names[] = { "hidden/kernel", "hidden/bias", "out/kernel" };
    for (int k = 0; k < 3; k++) {
        glia_array a;
        assert_true(glia_store_find(glia_model_store(model), names[k], &a));
        for (int64_t i = 0; i < glia_shape_count(a.shape); i++) ((float *)a.data)[i] = (float)(i + 1) / 4;
    }
    if (glia_model_export_nir(model, "tiny.nir", 0, &error)) fail_msg("%s", error.message);
    static char written[8192], golden[8192];
    const size_t n = read_file("tiny.nir", written);
    assert_int_equal(read_file(GLIA_GOLDEN_DIR "/spiking/tiny.nir", golden), n);
    assert_memory_equal(written, golden, n);
    glia_model_free(model);
}

static void assert_refused(glia_model *model, const char *words) {
    assert_int_equal(glia_model_init(model, 1, &error), GLIA_OK);
    assert_int_equal(glia_model_export_nir(model, "refused.nir", 0, &error), GLIA_E_UNSUPPORTED);
    ASSERT_SAYS(words);
    assert_null(fopen("refused.nir", "rb"));
    glia_model_free(model);
}

static void what_nir_does_not_have_is_named(void **state) {
    (void)state;
    const glia_dense_opts units = { .units = 3 };
    const glia_spiking_opts recurrent = { .steps = 4, .recurrent = true }, plain = { .steps = 4 };
    for (int k = 0; k < 4; k++) {
        static const char *const words[] = { "of layer dense: only dense layers", "is 'relu'", "is 'max_pool'",
                                             "is 'softmax'" };
        glia_model *model = glia_model_create("refused", &error);
        glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 4, 4));
        if (k == 2) x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
        x = glia_flatten(x);
        if (k == 1) x = glia_relu(glia_dense(x, "first", units));
        x = glia_spiking_dense(x, "dense", units, k == 0 ? recurrent : plain);
        glia_model_output(model, "y", k == 3 ? glia_softmax(x, 2) : x);
        assert_refused(model, words[k]);
    }
    glia_model *model = glia_model_create("no steps", &error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(4));
    glia_model_output(model, "y", glia_dense(x, "dense", units));
    assert_refused(model, "the output should be (N, T, F)");
    model = tiny(&error);
    assert_int_equal(glia_model_export_nir(model, "refused.nir", -1, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("a step of -1 seconds");
    assert_int_equal(glia_model_export_nir(model, "no/folder/x.nir", 0, &error), GLIA_E_NOT_FOUND);
    glia_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_has_the_bytes_that_nir_reads),
        cmocka_unit_test(what_nir_does_not_have_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
