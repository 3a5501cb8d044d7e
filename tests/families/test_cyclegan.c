/* test_cyclegan.c - the method cyclegan: same bits at any number of threads and after resuming, conversion, mistakes.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "asserts.h"
#include "glia/glia.h"

static glia_error error;
static const char path[] = "cyclegan.checkpoint", previous[] = "cyclegan.checkpoint.previous";

enum { SIZE = 784, STEPS = 12 };

static glia_model *small_model(void) {
    const glia_cyclegan_opts opts = { .filters = 2, .halvings = 1, .blocks = 1 };
    glia_model *model = glia_model_create("small", NULL);
    glia_tensor a = glia_model_input(model, "a", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    glia_tensor b = glia_model_input(model, "b", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    glia_model_output(model, "to_b", glia_cyclegan_generator(a, "to_b", opts));
    glia_model_output(model, "to_a", glia_cyclegan_generator(b, "to_a", opts));
    glia_model_output(model, "score_a", glia_cyclegan_critic(a, "critic_a", opts));
    glia_model_output(model, "score_b", glia_cyclegan_critic(b, "critic_b", opts));
    return model;
}

static glia_status stop_here(const glia_progress *p, void *context, glia_error *e) {
    (void)p, (void)e;
    return --*(int64_t *)context == 0 ? GLIA_E_INTERRUPTED : GLIA_OK;
}

static glia_status count_shown(void *context, const glia_shown *shown, glia_error *e) {
    (void)e;
    for (int64_t i = 0; i < shown->n * SIZE; i++) assert_true(shown->values[i] >= 0 && shown->values[i] <= 1);
    ++*(int *)context;
    return GLIA_OK;
}
static glia_status show(const glia_progress *p, void *context, glia_error *e) {
    return glia_training_show(p->training, count_shown, context, e);
}

/* The second set has other numbers of samples and batches; the buffer is smaller than what a run makes. */
static glia_status train(glia_model *model, const char *settings, int threads, bool saves, int64_t stop, int *shown) {
    glia_dataset *data = glia_data_strokes(24, 1, NULL);
    glia_callback c[3];
    int n = 0;
    if (saves) c[n++] = glia_backup_and_restore((glia_backup_and_restore_opts){ .path = path, .save_freq = 3 });
    if (shown) c[n++] = (glia_callback){ .epoch_end = show, .context = shown };
    if (stop) c[n++] = (glia_callback){ .step_end = stop_here, .context = &stop, .after_others = true };
    const glia_fit_opts o = { .epochs = 2,
                              .batch = 4,
                              .optimizer = { .kind = GLIA_ADAM, .lr = 1e-3, .beta1 = 0.5 },
                              .callbacks = c,
                              .n_callbacks = n,
                              .seed = 3,
                              .threads = threads };
    const glia_status status = glia_train(model, data, "cyclegan", settings, o, &error);
    glia_data_free(data);
    return status;
}

static const char usual[] = "other=strokes?n=35&seed=9 buffer=7 shown=3";

static glia_model *trained(int threads, int *shown) {
    glia_model *model = small_model();
    if (train(model, usual, threads, false, 0, shown) != GLIA_OK) fail_msg("%s", error.message);
    return model;
}

static void assert_same(glia_model *x, glia_model *y) {
    for (int i = 0; i < glia_store_count(glia_model_store(x)); i++) {
        const glia_array a = glia_store_at(glia_model_store(x), i);
        glia_array b;
        assert_true(glia_store_find(glia_model_store(y), a.name, &b));
        if (memcmp(a.data, b.data, (size_t)glia_shape_count(a.shape) * glia_dtype_size(a.dtype)))
            fail_msg("'%s' differs", a.name);
    }
}

static void any_number_of_threads_gives_the_same_bits(void **state) {
    (void)state;
    int shown = 0;
    glia_model *one = trained(1, &shown);
    assert_int_equal(shown, 8); /* two epochs, two kinds, before and after */
    for (int threads = 2; threads <= 3; threads++) {
        glia_model *more = trained(threads, NULL);
        assert_same(one, more);
        glia_model_free(more);
    }
    glia_model_free(one);
}

static void resumed_training_equals_uninterrupted(void **state) {
    (void)state;
    glia_model *whole = trained(1, NULL);
    for (int64_t stop = 2; stop < STEPS; stop += 3) {
        unlink(path);
        unlink(previous);
        glia_model *model = small_model();
        assert_int_equal(train(model, usual, 1, true, stop, NULL), GLIA_E_INTERRUPTED);
        glia_model_free(model);
        model = small_model();
        if (train(model, usual, 1, true, 0, NULL) != GLIA_OK) fail_msg("%s", error.message);
        assert_same(whole, model);
        glia_model_free(model);
    }
    glia_model_free(whole);
}

static void the_buffer_matters(void **state) {
    (void)state;
    glia_model *with = trained(1, NULL), *without = small_model();
    assert_int_equal(train(without, "other=strokes?n=35&seed=9 buffer=0 shown=3", 1, false, 0, NULL), GLIA_OK);
    glia_array a, b;
    assert_true(glia_store_find(glia_model_store(with), "critic_a/down1/kernel", &a));
    assert_true(glia_store_find(glia_model_store(without), "critic_a/down1/kernel", &b));
    assert_memory_not_equal(a.data, b.data, (size_t)glia_shape_count(a.shape) * sizeof(float));
    glia_model_free(with);
    glia_model_free(without);
}

/* Both ways, of other sizes too; a batch gives what its pictures give alone. */
static void pictures_are_converted(void **state) {
    (void)state;
    static float x[3 * SIZE], y[3 * SIZE], z[SIZE], small[16 * 16];
    glia_model *model = trained(1, NULL);
    for (int i = 0; i < 3 * SIZE; i++) x[i] = (float)(i % 97) / 96;
    for (int back = 0; back < 2; back++) {
        const glia_cyclegan_convert_opts how = { .back = back, .threads = 1 };
        assert_int_equal(glia_cyclegan_convert(model, x, 3, GLIA_SHAPE(1, 28, 28), how, y, &error), GLIA_OK);
        for (int i = 0; i < 3 * SIZE; i++) assert_true(y[i] >= 0 && y[i] <= 1);
        assert_int_equal(glia_cyclegan_convert(model, x + SIZE, 1, GLIA_SHAPE(1, 28, 28), how, z, &error), GLIA_OK);
        assert_memory_equal(y + SIZE, z, sizeof z);
        assert_int_equal(glia_cyclegan_convert(model, small, 1, GLIA_SHAPE(16, 16), how, z, &error), GLIA_OK);
    }
    glia_model_free(model);
}

static void classes_are_judged(void **state) {
    (void)state;
    glia_model *model = trained(1, NULL);
    glia_dataset *data = glia_data_strokes(20, 4, NULL);
    glia_assessment a;
    if (glia_assess(model, (glia_assess_opts){ .data = data, .threads = 1 }, &a, &error) != GLIA_OK)
        fail_msg("%s", error.message);
    assert_string_equal(a.values[0].name, "class_kept");
    assert_true(a.values[0].value >= 0 && a.values[0].value <= 1);
    assert_true(a.values[1].value > a.values[0].value); /* the generator has not learned anything yet */
    glia_data_free(data);
    glia_model_free(model);
}

static void mistakes_are_named(void **state) {
    (void)state;
    static float x[3 * 8 * 8], y[SIZE];
    glia_model *model = small_model();
    assert_int_equal(train(model, "", 1, false, 0, NULL), GLIA_E_ARGUMENT);
    ASSERT_SAYS("other=ADDRESS");
    assert_int_not_equal(train(model, "other=strokez", 1, false, 0, NULL), GLIA_OK);
    ASSERT_SAYS("did you mean \"strokes\"");
    assert_int_equal(train(model, "other=strokes?n=3", 1, false, 0, NULL), GLIA_E_ARGUMENT);
    ASSERT_SAYS("do not fill a batch of 4");
    assert_int_equal(train(model, "other=ring?n=50", 1, false, 0, NULL), GLIA_E_SHAPE);
    ASSERT_SAYS("pictures of (2)");
    const glia_cyclegan_convert_opts how = { .threads = 1 };
    assert_int_equal(glia_cyclegan_convert(model, x, 1, GLIA_SHAPE(1, 8, 8), how, y, &error), GLIA_E_UNSUPPORTED);
    glia_model_free(model);
    model = trained(1, NULL);
    assert_int_equal(glia_cyclegan_convert(model, x, 1, GLIA_SHAPE(3, 8, 8), how, y, &error), GLIA_E_SHAPE);
    ASSERT_SAYS("(3, 8, 8)");
    glia_model_free(model);
    glia_graph *g = glia_graph_create();
    glia_cyclegan_generator(glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 1, 9, 8)), "g",
                            (glia_cyclegan_opts){ .halvings = 1 });
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_SHAPE);
    ASSERT_SAYS("divisible by 2");
    glia_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(resumed_training_equals_uninterrupted),
        cmocka_unit_test(the_buffer_matters),
        cmocka_unit_test(pictures_are_converted),
        cmocka_unit_test(classes_are_judged),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
