/* test_phases.c - fits whose parts learn in turn (glia_fit_opts.phases). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "glia/glia.h"
#include "models.h"

enum { SAMPLES = 70, BATCH = 8, EPOCH_STEPS = 9, EPOCHS = 3 };

static glia_error error;
static const char path[] = "phases.checkpoint", previous[] = "phases.checkpoint.previous";

static glia_dataset *dataset(void) {
    float x[SAMPLES * 2], y[SAMPLES];
    uint32_t seed = 1;
    for (int i = 0; i < SAMPLES * 2; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) / 8388608 - 1;
    }
    for (int i = 0; i < SAMPLES; i++) y[i] = 2 * x[2 * i] - x[2 * i + 1];
    const glia_arrays arrays = {
        .n = SAMPLES, .x = x, .x_shape = GLIA_SHAPE(2), .y = y, .y_dtype = GLIA_F32
    };
    glia_dataset *data = glia_data_arrays(arrays, NULL);
    assert_non_null(data);
    return data;
}

/* An adversary predicts the miss of a learner from x; the learner is also penalised for being predicted. */
static glia_model *pair(void) {
    glia_model *model = glia_model_create("pair", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2));
    glia_tensor target = glia_model_input(model, "target", GLIA_F32, GLIA_SCALAR);
    glia_tensor y = glia_dense(x, "learner/fc", (glia_dense_opts){ .units = 1 });
    glia_tensor miss = glia_sub(glia_reshape(y, GLIA_SHAPE(GLIA_BATCH)), target);
    glia_tensor guess = glia_reshape(glia_dense(x, "adversary/fc", (glia_dense_opts){ .units = 1 }),
                                     GLIA_SHAPE(GLIA_BATCH));
    glia_tensor wrong = glia_mean(glia_square(glia_sub(guess, miss)), GLIA_SCALAR, false);
    glia_model_output(model, "y", y);
    glia_model_output(model, "adversary", wrong);
    glia_model_output(model, "learner",
                      glia_sub(glia_mean(glia_square(miss), GLIA_SCALAR, false), glia_mul_scalar(wrong, 0.1)));
    return model;
}

static const glia_phase phases[] = {
    { .group = "adversary", .steps = 2, .loss = "adversary", .optimizer = { .kind = GLIA_ADAM, .lr = 0.02 } },
    { .group = "learner",
      .loss = "learner",
      .optimizer = { .kind = GLIA_SGD, .lr = 0.05, .momentum = 0.9, .ema = 0.9 },
      .schedule = { .kind = GLIA_LR_COSINE } },
};
static const glia_fit_opts how = {
    .epochs = EPOCHS, .batch = BATCH, .phases = phases, .n_phases = 2, .seed = 4, .threads = 1
};

static float *values(glia_model *model, const char *name) {
    glia_array a;
    assert_true(glia_store_find(glia_model_store(model), name, &a));
    return a.data;
}

static void fit(glia_model *model, glia_fit_opts opts) {
    glia_dataset *data = dataset();
    if (glia_fit(model, data, opts, &error) != GLIA_OK) fail_msg("%s", error.message);
    glia_data_free(data);
}

/* ---- turns ---------------------------------------------------------------------------------------- */

typedef struct watched {
    float learner, adversary;
    int64_t done;
    double learner_loss, adversary_loss, loss, val_loss;
} watched;

static glia_status watch(const glia_progress *p, void *context, glia_error *e) {
    (void)e;
    watched *w = context;
    const float learner = *values(p->model, "learner/fc/kernel"), adversary = *values(p->model, "adversary/fc/kernel");
    const bool learns = w->done++ % 3 == 2;
    assert_true((learner != w->learner) == learns);
    assert_true((adversary != w->adversary) == !learns);
    w->learner = learner;
    w->adversary = adversary;
    return GLIA_OK;
}

static glia_status look(const glia_progress *p, void *context, glia_error *e) {
    (void)e;
    watched *w = context;
    w->learner_loss = glia_progress_value(p, "learner_loss");
    w->adversary_loss = glia_progress_value(p, "adversary_loss");
    w->loss = p->train.loss;
    w->val_loss = p->validation.loss;
    return GLIA_OK;
}

static void each_step_moves_its_phase_alone(void **state) {
    (void)state;
    glia_dataset *data = dataset();
    glia_model *model = pair();
    assert_int_equal(glia_model_init(model, 4, &error), GLIA_OK);
    watched w = { .learner = *values(model, "learner/fc/kernel"), .adversary = *values(model, "adversary/fc/kernel") };
    const glia_callback callback = { .step_end = watch, .epoch_end = look, .context = &w };
    glia_fit_opts opts = how;
    opts.callbacks = &callback;
    opts.n_callbacks = 1;
    opts.validation = data;
    fit(model, opts);
    assert_int_equal(w.done, EPOCHS * EPOCH_STEPS);
    assert_true(isfinite(w.learner_loss) && isfinite(w.adversary_loss) && isfinite(w.val_loss));
    assert_true(w.loss == w.learner_loss && w.learner_loss != w.adversary_loss);
    glia_model_free(model);
    glia_data_free(data);
}

static void one_phase_is_a_fit_of_an_output(void **state) {
    (void)state;
    const glia_phase all = { .group = "all",
                             .loss = "learner",
                             .parameters = "*",
                             .optimizer = { .kind = GLIA_ADAM, .lr = 0.01 },
                             .schedule = { .kind = GLIA_LR_LINEAR } };
    glia_fit_opts phased = how, plain = how;
    phased.phases = &all;
    phased.n_phases = 1;
    plain.phases = NULL;
    plain.n_phases = 0;
    plain.loss = GLIA_LOSS_OUTPUT;
    plain.optimizer = all.optimizer;
    plain.schedule = all.schedule;
    glia_model *a = pair(), *b = glia_model_create("plain", NULL), *c = pair();
    fit(a, phased);
    glia_model_free(b);
    b = pair(); /* the same, with its loss under the usual name */
    glia_model_output(b, "loss", glia_model_output_at(b, 2, NULL));
    fit(b, plain);
    assert_same_model(a, b);
    phased.threads = 3;
    fit(c, phased);
    assert_same_model(a, c);
    glia_model_free(a);
    glia_model_free(b);
    glia_model_free(c);
}

/* ---- checkpoints ------------------------------------------------------------------------------------ */

static glia_status stop_here(const glia_progress *p, void *context, glia_error *e) {
    (void)p, (void)e;
    return --*(int64_t *)context == 0 ? GLIA_E_INTERRUPTED : GLIA_OK;
}

static glia_status train(glia_model *model, glia_fit_opts opts, int64_t stop) {
    glia_dataset *data = dataset();
    const glia_callback c[] = {
        glia_swap_ema_weights(true),
        glia_backup_and_restore((glia_backup_and_restore_opts){ .path = path, .save_freq = 2 }),
        { .step_end = stop_here, .context = &stop, .after_others = true },
    };
    opts.callbacks = c;
    opts.n_callbacks = 3;
    const glia_status status = glia_fit(model, data, opts, &error);
    glia_data_free(data);
    return status;
}

static void resumed_training_equals_uninterrupted(void **state) {
    (void)state;
    unlink(path);
    unlink(previous);
    glia_model *whole = pair();
    assert_int_equal(train(whole, how, 0), GLIA_OK);
    for (int64_t stop = 3; stop < EPOCHS * EPOCH_STEPS; stop += 4) {
        unlink(path);
        unlink(previous);
        glia_model *model = pair();
        assert_int_equal(train(model, how, stop), GLIA_E_INTERRUPTED);
        glia_model_free(model);
        model = pair();
        if (train(model, how, 0) != GLIA_OK) fail_msg("%s", error.message);
        assert_same_model(whole, model);
        glia_model_free(model);
    }
    unlink(path);
    unlink(previous);
    assert_int_equal(train(whole, how, 3), GLIA_E_INTERRUPTED);
    glia_phase others[] = { phases[0], phases[1] };
    others[0].steps = 3;
    glia_fit_opts opts = how;
    opts.phases = others;
    assert_int_equal(train(whole, opts, 0), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "phase=adversary of adversary, 2 steps"));
    glia_model_free(whole);
}

/* ---- mistakes --------------------------------------------------------------------------------------- */

static void assert_fails(glia_phase second, glia_fit_opts opts, const char *part) {
    glia_dataset *data = dataset();
    glia_model *model = pair();
    const glia_phase list[] = { phases[0], second };
    opts.phases = opts.n_phases ? list : NULL;
    assert_int_not_equal(glia_fit(model, data, opts, &error), GLIA_OK);
    if (!strstr(error.message, part)) fail_msg("\"%s\" does not have \"%s\"", error.message, part);
    glia_model_free(model);
    glia_data_free(data);
}

static void mistakes_are_named(void **state) {
    (void)state;
    glia_phase wrong = phases[1];
    wrong.loss = "lerner";
    assert_fails(wrong, how, "the model has no output 'lerner'");
    wrong.loss = NULL;
    assert_fails(wrong, how, "phase 1 of the fit has no loss");
    wrong = phases[1];
    wrong.group = "adversary";
    assert_fails(wrong, how, "two phases of the fit are named 'adversary'");
    wrong.group = "learn*";
    assert_fails(wrong, how, "is no name of a group");
    wrong.group = "lerner";
    assert_fails(wrong, how, "no trainable parameter matches 'lerner/*'");
    wrong = phases[1];
    wrong.steps = -1;
    assert_fails(wrong, how, "the phase 'learner' has -1 steps");
    wrong = phases[1];
    wrong.optimizer.accumulate = 2;
    assert_fails(wrong, how, "accumulates gradients");
    glia_fit_opts opts = how;
    opts.optimizer.lr = 0.1;
    assert_fails(phases[1], opts, "are those of the phases");
    opts = how;
    opts.n_phases = 5;
    assert_fails(phases[1], opts, "5 phases, but there are 1 to 4");
    glia_dataset *data = dataset();
    glia_model *model = pair();
    assert_int_equal(glia_train(model, data, "gan", NULL, how, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "the method gan does not use phases"));
    glia_model_free(model);
    glia_data_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_moves_its_phase_alone),
        cmocka_unit_test(one_phase_is_a_fit_of_an_output),
        cmocka_unit_test(resumed_training_equals_uninterrupted),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
