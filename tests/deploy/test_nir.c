/* test_nir.c - spiking nets as NIR files: the content of one that h5py and nir have read (tests/python/check_nir.py
 * reads and simulates more), and nets that NIR does not have. */
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

#if GLIA_HAVE_HDF5
#include <hdf5.h>
#endif

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

#if GLIA_HAVE_HDF5

static size_t read_file(const char *path, char bytes[32768]) {
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("%s cannot be read", path);
    const size_t n = fread(bytes, 1, 32768, file);
    fclose(file);
    return n;
}

static void assert_without_time(hid_t object, const char *path) {
#if H5_VERSION_GE(1, 12, 0)
    H5O_info2_t info;
    assert_true(H5Oget_info3(object, &info, H5O_INFO_TIME) >= 0);
#else
    H5O_info_t info;
    assert_true(H5Oget_info(object, &info) >= 0);
#endif
    if (info.mtime || info.ctime || info.btime || info.atime) fail_msg("%s keeps a time", path);
}

static void assert_same_arrays(hid_t a, hid_t b, const char *path) {
    char x[512] = { 0 }, y[512] = { 0 };
    hsize_t sizes[2][4];
    const hid_t types[] = { H5Dget_type(a), H5Dget_type(b) }, spaces[] = { H5Dget_space(a), H5Dget_space(b) };
    if (H5Tequal(types[0], types[1]) <= 0) fail_msg("%s: types differ", path);
    const int rank = H5Sget_simple_extent_dims(spaces[0], sizes[0], NULL);
    assert_int_equal(H5Sget_simple_extent_dims(spaces[1], sizes[1], NULL), rank);
    assert_memory_equal(sizes[0], sizes[1], (size_t)rank * sizeof(hsize_t));
    const size_t bytes = H5Tget_size(types[0]) * (size_t)H5Sget_simple_extent_npoints(spaces[0]);
    assert_true(bytes > 0 && bytes <= sizeof x);
    assert_true(H5Dread(a, types[0], H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    assert_true(H5Dread(b, types[1], H5S_ALL, H5S_ALL, H5P_DEFAULT, y) >= 0);
    if (memcmp(x, y, bytes)) fail_msg("%s: values differ", path);
    for (int i = 0; i < 2; i++) H5Tclose(types[i]), H5Sclose(spaces[i]);
}

/* Compares all groups and arrays of a with those of b; returns how many. */
static int compare(hid_t a, hid_t b, const char *path) {
    H5G_info_t inside[2];
    assert_true(H5Gget_info(a, &inside[0]) >= 0 && H5Gget_info(b, &inside[1]) >= 0);
    if (inside[0].nlinks != inside[1].nlinks) fail_msg("%s: members differ", path);
    int n = 0;
    for (hsize_t i = 0; i < inside[0].nlinks; i++) {
        char name[128], below[512];
        assert_true(H5Lget_name_by_idx(a, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT) > 0);
        snprintf(below, sizeof below, "%s/%s", path, name);
        const hid_t x = H5Oopen(a, name, H5P_DEFAULT), y = H5Oopen(b, name, H5P_DEFAULT);
        if (y < 0 || H5Iget_type(x) != H5Iget_type(y)) fail_msg("%s is not in the other file", below);
        assert_without_time(x, below);
        if (H5Iget_type(x) == H5I_GROUP)
            n += compare(x, y, below);
        else
            assert_same_arrays(x, y, below);
        H5Oclose(x), H5Oclose(y);
        n++;
    }
    return n;
}

static void a_file_has_the_content_that_nir_reads(void **state) {
    (void)state;
    glia_model *model = tiny(&error);
    const char *names[] = { "hidden/kernel", "hidden/bias", "out/kernel" };
    for (int k = 0; k < 3; k++) {
        glia_array a;
        assert_true(glia_store_find(glia_model_store(model), names[k], &a));
        for (int64_t i = 0; i < glia_shape_count(a.shape); i++) ((float *)a.data)[i] = (float)(i + 1) / 4;
    }
    const char *paths[] = { "tiny.nir", "again.nir" };
    static char written[2][32768];
    size_t n[2];
    for (int k = 0; k < 2; k++) {
        if (glia_model_export_nir(model, paths[k], 0, &error)) fail_msg("%s", error.message);
        n[k] = read_file(paths[k], written[k]);
    }
    assert_true(n[0] > 1000 && n[0] == n[1] && n[0] < sizeof written[0]);
    assert_memory_equal(written[0], written[1], n[0]);
    glia_model_free(model);
    const hid_t file = H5Fopen("tiny.nir", H5F_ACC_RDONLY, H5P_DEFAULT);
    const hid_t golden = H5Fopen(GLIA_GOLDEN_DIR "/spiking/tiny.nir", H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(file >= 0 && golden >= 0);
    assert_int_equal(compare(file, golden, ""), 37);
    H5Fclose(file), H5Fclose(golden);
}

static void errors_of_the_program_are_printed_as_before(void **state) {
    (void)state;
    H5E_auto2_t before, after;
    void *context;
    glia_model *model = tiny(&error);
    assert_true(H5Eget_auto2(H5E_DEFAULT, &before, &context) >= 0 && before);
    assert_int_equal(glia_model_export_nir(model, "no/folder/x.nir", 0, &error), GLIA_E_NOT_FOUND);
    assert_true(H5Eget_auto2(H5E_DEFAULT, &after, &context) >= 0 && after == before);
    assert_int_equal(glia_model_export_nir(model, "tiny.nir", 0, &error), GLIA_OK);
    assert_true(H5Eget_auto2(H5E_DEFAULT, &after, &context) >= 0 && after == before);
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

#else

static void a_build_without_hdf5_says_so(void **state) {
    (void)state;
    glia_model *model = tiny(&error);
    assert_int_equal(glia_model_export_nir(model, "tiny.nir", 0, &error), GLIA_E_UNSUPPORTED);
    ASSERT_SAYS("this build of Glia has no HDF5 (libhdf5-dev)");
    assert_null(fopen("tiny.nir", "rb"));
    glia_model_free(model);
}

#endif

int main(void) {
    const struct CMUnitTest tests[] = {
#if GLIA_HAVE_HDF5
        cmocka_unit_test(a_file_has_the_content_that_nir_reads),
        cmocka_unit_test(errors_of_the_program_are_printed_as_before),
        cmocka_unit_test(what_nir_does_not_have_is_named),
#else
        cmocka_unit_test(a_build_without_hdf5_says_so),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
