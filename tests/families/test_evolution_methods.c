/* test_evolution_methods.c - the methods of evolution: threads, resuming, the model that they leave, bad input. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "asserts.h"
#include "base/base.h"
#include "glia/glia.h"
#include "models/models.h"

static glia_error error;
static const char path[] = "evolution.checkpoint";
static const char *const common = "generations=3 episodes=1 eval_episodes=2 population=10 enough=1e9";
static const char *const methods[] = { "neat", "hyperneat", "cma-es", "es", "ndp", "lndp" };

static glia_status stop_here(const glia_progress *p, void *context, glia_error *e) {
    (void)e;
    return p->done >= *(const int64_t *)context ? GLIA_E_INTERRUPTED : GLIA_OK;
}

static glia_status train(glia_model *model, const char *method, const char *env_name, int threads, bool saves,
                         int64_t stop) {
    glia_env *env = glia_env_create(env_name, (glia_env_opts){ 0 }, &error);
    glia_callback c[2];
    int n = 0;
    if (saves) c[n++] = glia_backup_and_restore((glia_backup_and_restore_opts){ .path = path, .save_freq = 1 });
    if (stop) c[n++] = (glia_callback){ .step_end = stop_here, .context = &stop, .after_others = true };
    const glia_status status = glia_train(
        model, NULL, method, common,
        (glia_fit_opts){
            .epochs = 2, .environment = env, .callbacks = c, .n_callbacks = n, .seed = 3, .threads = threads },
        &error);
    glia_env_free(env);
    return status;
}

static glia_model *build(const char *method) {
    glia_model *model = glia_recipe_build(glia_recipe_find(method), GLIA_SHAPE(4), 2, &error);
    if (!model) fail_msg("%s", error.message);
    return model;
}

static glia_model *trained(const char *method, int threads) {
    glia_model *model = build(method);
    if (train(model, method, "cartpole?limit=40", threads, false, 0) != GLIA_OK) fail_msg("%s", error.message);
    return model;
}

static void assert_same_model(glia_model *a, glia_model *b) {
    const glia_store *x = glia_model_store(a), *y = glia_model_store(b);
    assert_int_equal(glia_store_count(x), glia_store_count(y));
    for (int i = 0; i < glia_store_count(x); i++) {
        const glia_array p = glia_store_at(x, i), q = glia_store_at(y, i);
        assert_string_equal(p.name, q.name);
        assert_true(glia_shape_equal(p.shape, q.shape));
        assert_memory_equal(p.data, q.data, (size_t)glia_shape_count(p.shape) * glia_dtype_size(p.dtype));
    }
}

static void any_number_of_threads_gives_the_same_bits(void **state) {
    (void)state;
    const int threads[] = { 2, 3, 8 };
    for (int k = 0; k < GLIA_COUNT(methods); k++) {
        glia_model *one = trained(methods[k], 1);
        for (int i = 0; i < GLIA_COUNT(threads); i++) {
            glia_model *many = trained(methods[k], threads[i]);
            assert_same_model(one, many);
            glia_model_free(many);
        }
        glia_model_free(one);
    }
}

static void resumed_training_equals_uninterrupted(void **state) {
    (void)state;
    for (int k = 0; k < GLIA_COUNT(methods); k++) {
        glia_model *whole = trained(methods[k], 1);
        for (int64_t stop = 1; stop < 6; stop += 2) {
            unlink(path);
            unlink("evolution.checkpoint.previous");
            glia_model *model = build(methods[k]);
            assert_int_equal(train(model, methods[k], "cartpole?limit=40", 1, true, stop), GLIA_E_INTERRUPTED);
            glia_model_free(model);
            model = build(methods[k]);
            if (train(model, methods[k], "cartpole?limit=40", 2, true, 0) != GLIA_OK) fail_msg("%s", error.message);
            assert_same_model(whole, model);
            glia_model_free(model);
        }
        glia_model_free(whole);
    }
}

/* A saved model plays as the one that was trained. */
static void the_best_becomes_an_ordinary_model(void **state) {
    (void)state;
    for (int k = 0; k < GLIA_COUNT(methods); k++) {
        glia_model *model = trained(methods[k], 1);
        glia_assessment before, after;
        assert_int_equal(glia_assess(model, (glia_assess_opts){ .count = 3, .threads = 1 }, &before, &error), GLIA_OK);
        assert_string_equal(before.values[0].name, "return");
        assert_true(isfinite(before.values[0].value));
        assert_int_equal(glia_model_save(model, "evolved.safetensors", &error), GLIA_OK);
        glia_model_free(model);
        model = glia_model_load("evolved.safetensors", &error);
        if (!model) fail_msg("%s", error.message);
        assert_int_equal(glia_assess(model, (glia_assess_opts){ .count = 3, .threads = 1 }, &after, &error), GLIA_OK);
        ASSERT_NEAR(before.values[0].value, after.values[0].value, 0);
        char *summary = glia_model_summary(model, 1, &error);
        assert_non_null(summary);
        free(summary);
        glia_model_free(model);
    }
}

static void actions_may_be_numbers_and_observations_choices(void **state) {
    (void)state;
    static const char *const environments[] = { "pendulum?limit=20", "frozenlake?limit=20", "double-pole?limit=20" };
    for (int k = 0; k < GLIA_COUNT(methods); k++) {
        for (int i = 0; i < GLIA_COUNT(environments); i++) {
            glia_model *model = build(methods[k]);
            if (train(model, methods[k], environments[i], 1, false, 0) != GLIA_OK) fail_msg("%s", error.message);
            glia_model_free(model);
        }
    }
}

static void cma_es_learns_to_balance(void **state) {
    (void)state;
    glia_model *model = build("cma-es");
    glia_env *env = glia_env_create("cartpole", (glia_env_opts){ .limit = 200 }, &error);
    const glia_fit_opts opts = { .epochs = 2, .environment = env, .seed = 1, .threads = 1 };
    assert_int_equal(glia_train(model, NULL, "cma-es", "enough=190", opts, &error), GLIA_OK);
    glia_assessment found;
    assert_int_equal(glia_assess(model, (glia_assess_opts){ .environment = env, .count = 10 }, &found, &error),
                     GLIA_OK);
    assert_true(found.values[0].value > 150);
    glia_env_free(env);
    glia_model_free(model);
}

static void mistakes_are_named(void **state) {
    (void)state;
    glia_model *model = build("neat");
    assert_int_equal(glia_train(model, NULL, "neat", NULL, (glia_fit_opts){ 0 }, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("needs an environment");
    glia_env *env = glia_env_create("cartpole", (glia_env_opts){ 0 }, &error);
    glia_fit_opts opts = { .environment = env, .optimizer = { .kind = GLIA_ADAM, .lr = 1 } };
    assert_int_equal(glia_train(model, NULL, "neat", NULL, opts, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("does not use an optimiser");
    opts.optimizer = (glia_optimizer){ 0 };
    assert_int_equal(glia_train(model, NULL, "es", "population=5", opts, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("the population is even");
    glia_env_free(env);
    glia_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(resumed_training_equals_uninterrupted),
        cmocka_unit_test(the_best_becomes_an_ordinary_model),
        cmocka_unit_test(actions_may_be_numbers_and_observations_choices),
        cmocka_unit_test(cma_es_learns_to_balance),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
