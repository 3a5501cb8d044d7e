/* test_methods.c - training by a method's name: settings, adversarial nets and diffusion on points in the plane. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "glia/glia.h"
#include "models.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static const char path[] = "methods.checkpoint", previous[] = "methods.checkpoint.previous";

/* ---- settings ----------------------------------------------------------------------------------- */

static void assert_settings(const char *method, const char *settings, const char *changes, const char *wanted) {
    glia_error error;
    char *text = glia_method_settings(method, settings, changes, &error);
    if (!text) fail_msg("%s", error.message);
    assert_string_equal(text, wanted);
    free(text);
}

static void assert_refused(const char *method, const char *settings, const char *message) {
    glia_error error;
    assert_null(glia_method_settings(method, settings, NULL, &error));
    assert_string_equal(error.message, message);
}

static void settings_have_defaults_and_domains(void **state) {
    (void)state;
    const char *defaults =
        "loss=non-saturating critic_steps=1 penalty=10 clip=0.01 critic_lr=0 shown=64 class=-1 judged=0";
    assert_settings("fit", NULL, NULL, "");
    assert_settings("gan", NULL, NULL, defaults);
    assert_settings("gan", "", " ", defaults);
    assert_settings("gan", "loss=wgan-gp,critic-steps=5", "critic_steps=2 penalty=0.5",
                    "loss=wgan-gp critic_steps=2 penalty=0.5 clip=0.01 critic_lr=0 shown=64 class=-1 judged=0");
    assert_refused("gen", NULL, "there is no method 'gen'; did you mean 'gan'?");
    assert_refused("gan", "critic_step=5", "the method gan has no setting 'critic_step'; did you mean 'critic_steps'?");
    assert_refused("fit", "loss=mse", "the method fit has no setting 'loss': it has no settings of its own");
    assert_refused("gan", "critic_steps=1.5", "gan.critic_steps must be a whole number, not '1.5'");
    assert_refused("gan", "critic_steps=0", "gan.critic_steps is 0, which is not in [1, 1000]");
    assert_refused("gan", "penalty=nan", "gan.penalty must be a number, not 'nan'");
    assert_refused("gan", "loss=wgangp",
                   "gan.loss must be one of non-saturating|wgan|wgan-gp|hinge|least-squares, not 'wgangp'");
    assert_refused("gan", "penalty=1 penalty=2", "gan.penalty is set twice");
    assert_refused("gan", "penalty", "settings are written name=value, not 'penalty'");
    assert_refused("ddpm", "eta=2", "ddpm.eta is 2, which is not in [0, 1]");
}

static void methods_are_listed(void **state) {
    (void)state;
    int n = 0;
    for (; glia_method_at(n); n++) {
        const glia_method_info *m = glia_method_at(n);
        assert_ptr_equal(glia_method_find(m->name), m);
        if (n) assert_true(strcmp(glia_method_at(n - 1)->name, m->name) < 0);
    }
    assert_true(n >= 3);
    assert_null(glia_method_at(-1));
    assert_null(glia_method_find("none"));
}

/* ---- models and data ------------------------------------------------------------------------------ */

enum { POINTS = 200, BATCH = 16, EPOCHS = 3, EPOCH_STEPS = POINTS / BATCH };

/* Normal points around (2, -1) with standard deviation 0.5. */
static glia_dataset *cloud(int64_t n) {
    float *x = malloc((size_t)(2 * n) * sizeof *x);
    assert_non_null(x);
    uint64_t seed = 1;
    for (int64_t i = 0; i < 2 * n; i++) {
        double sum = 0; /* of twelve uniform numbers: nearly normal */
        for (int k = 0; k < 12; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            sum += (double)(seed >> 40) / 16777216;
        }
        x[i] = (float)(0.5 * (sum - 6) + (i % 2 ? -1 : 2));
    }
    glia_dataset *data = glia_data_arrays((glia_arrays){ .n = n, .x = x, .x_shape = GLIA_SHAPE(2) }, NULL);
    free(x);
    assert_non_null(data);
    return data;
}

static glia_model *gan_model(void) {
    glia_model *model = glia_model_create("points", NULL);
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(3));
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2));
    const glia_gan_dense_opts opts = { .units = 12, .layers = 2 };
    glia_model_output(model, "sample", glia_gan_dense_generator(z, "generator", GLIA_SHAPE(2), opts));
    glia_model_output(model, "score", glia_gan_dense_critic(x, "critic", opts));
    return model;
}

/* Two dense layers over x and the number of the step. */
static glia_model *ddpm_model(int units) {
    glia_model *model = glia_model_create("points", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2));
    glia_tensor t = glia_model_input(model, "t", GLIA_I32, GLIA_SCALAR);
    glia_tensor step = glia_mul_scalar(glia_cast(t, GLIA_F32), 0.01);
    glia_tensor both[] = { x, glia_reshape(step, GLIA_SHAPE(GLIA_BATCH, 1)) };
    glia_tensor h = glia_concat(both, 2, 1);
    for (int i = 0; i < 2; i++) {
        char name[16];
        snprintf(name, sizeof name, "dense%d", i + 1);
        h = glia_dense(h, name, (glia_dense_opts){ .units = units, .activation = GLIA_SILU });
    }
    glia_model_output(model, "noise", glia_dense(h, "out", (glia_dense_opts){ .units = 2 }));
    return model;
}

/* ---- the run -------------------------------------------------------------------------------------- */

static const struct {
    const char *method, *settings;
    double ema;
} hows[] = {
    { "gan", NULL, 0 },
    { "gan", "loss=wgan critic_steps=3", 0.9 },
    { "gan", "loss=wgan-gp critic_steps=2 critic_lr=0.01", 0 },
    { "gan", "loss=hinge", 0 },
    { "gan", "loss=least-squares", 0 },
    { "ddpm", "timesteps=100", 0.9 },
    { "ddpm", "timesteps=50 schedule=cosine prediction=velocity sampler=ddpm", 0 },
    { "vae", "likelihood=gaussian stddev=0.5", 0.9 },
    { "vae", "likelihood=gaussian corruption=masking beta=0.5", 0 },
};

static glia_model *vae_model(void) {
    glia_model *model = glia_model_create("points", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2));
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(1));
    const glia_vae_opts opts = { .latent = 1, .units = { 8 } };
    const glia_vae_code code = glia_vae_dense_encoder(x, "encoder", opts);
    glia_model_output(model, "mean", code.mean);
    glia_model_output(model, "logvar", code.logvar);
    glia_model_output(model, "decoded", glia_vae_dense_decoder(z, "decoder", GLIA_SHAPE(2), opts));
    return model;
}

static glia_model *model_for(int how) {
    const char *method = hows[how].method;
    return strcmp(method, "gan") == 0 ? gan_model() : strcmp(method, "vae") == 0 ? vae_model() : ddpm_model(8);
}

static glia_status stop_here(const glia_progress *p, void *context, glia_error *error) {
    (void)p, (void)error;
    return --*(int64_t *)context == 0 ? GLIA_E_INTERRUPTED : GLIA_OK;
}

static glia_status count_shown(void *context, const glia_shown *shown, glia_error *error) {
    (void)error;
    assert_string_equal(shown->name, "samples");
    assert_int_equal(shown->kind, GLIA_SHOWN_POINTS);
    for (int64_t i = 0; i < 2 * shown->n; i++) assert_true(isfinite(shown->values[i]));
    ++*(int *)context;
    return GLIA_OK;
}

static glia_status show(const glia_progress *p, void *context, glia_error *error) {
    return glia_training_show(p->training, count_shown, context, error);
}

/* Trains, with checkpoints after every 5 steps, for at most `stop` steps (0: to the end). */
static glia_status train(glia_model *model, int how, int threads, bool saves, int64_t stop, int *shown,
                         glia_error *error) {
    glia_dataset *data = cloud(POINTS), *held = cloud(40);
    glia_callback c[4];
    int n = 0;
    if (hows[how].ema > 0) c[n++] = glia_swap_ema_weights(true);
    if (saves) c[n++] = glia_backup_and_restore((glia_backup_and_restore_opts){ .path = path, .save_freq = 5 });
    if (shown) c[n++] = (glia_callback){ .epoch_end = show, .context = shown };
    if (stop) c[n++] = (glia_callback){ .step_end = stop_here, .context = &stop, .after_others = true };
    const bool validates = glia_method_find(hows[how].method)->uses & GLIA_USES_VALIDATION;
    const glia_fit_opts o = { .epochs = EPOCHS,
                              .batch = BATCH,
                              .optimizer = { .kind = GLIA_ADAM, .lr = 2e-3, .ema = hows[how].ema },
                              .schedule = { .kind = GLIA_LR_COSINE },
                              .validation = validates ? held : NULL,
                              .callbacks = c,
                              .n_callbacks = n,
                              .seed = 3,
                              .threads = threads };
    const glia_status status = glia_train(model, data, hows[how].method, hows[how].settings, o, error);
    glia_data_free(data);
    glia_data_free(held);
    return status;
}

static glia_model *trained(int how, int threads, int *shown) {
    glia_error error;
    glia_model *model = model_for(how);
    if (train(model, how, threads, false, 0, shown, &error) != GLIA_OK) fail_msg("%s", error.message);
    return model;
}

static void any_number_of_threads_gives_the_same_bits(void **state) {
    (void)state;
    for (int how = 0; how < COUNT(hows); how++) {
        glia_model *one = trained(how, 1, NULL);
        for (int threads = 2; threads <= 8; threads = threads == 3 ? 8 : threads + 1) {
            glia_model *more = trained(how, threads, NULL);
            assert_same_model(one, more);
            glia_model_free(more);
        }
        glia_model_free(one);
    }
}

static void resumed_training_equals_uninterrupted(void **state) {
    (void)state;
    for (int how = 0; how < COUNT(hows); how++) {
        glia_model *whole = trained(how, 1, NULL);
        for (int64_t stop = 6; stop < EPOCHS * EPOCH_STEPS; stop += 7) {
            glia_error error;
            unlink(path);
            unlink(previous);
            glia_model *model = model_for(how);
            assert_int_equal(train(model, how, 1, true, stop, NULL, &error), GLIA_E_INTERRUPTED);
            glia_model_free(model);
            model = model_for(how);
            if (train(model, how, 1, true, 0, NULL, &error) != GLIA_OK) fail_msg("%s", error.message);
            assert_same_model(whole, model);
            glia_model_free(model);
        }
        glia_model_free(whole);
    }
}

static void showing_does_not_change_training(void **state) {
    (void)state;
    for (int how = 0; how < COUNT(hows); how++) {
        int shown = 0;
        glia_model *quiet = trained(how, 1, NULL), *watched = trained(how, 1, &shown);
        assert_int_equal(shown, EPOCHS);
        assert_same_model(quiet, watched);
        glia_model_free(quiet);
        glia_model_free(watched);
    }
}

static void a_checkpoint_of_another_method_is_refused(void **state) {
    (void)state;
    glia_error error;
    unlink(path);
    unlink(previous);
    glia_model *model = gan_model();
    assert_int_equal(train(model, 0, 1, true, 6, NULL, &error), GLIA_E_INTERRUPTED);
    glia_model_free(model);
    model = ddpm_model(8);
    assert_int_equal(train(model, 5, 1, true, 0, NULL, &error), GLIA_E_ARGUMENT);
    assert_string_equal(error.message,
                        "methods.checkpoint: was made with method=gan, and this training has method=ddpm");
    glia_model_free(model);
    model = gan_model();
    assert_int_equal(train(model, 3, 1, true, 0, NULL, &error), GLIA_E_ARGUMENT); /* other settings */
    assert_non_null(strstr(error.message, "loss=non-saturating"));
    glia_model_free(model);
    model = gan_model(); /* the file was left as it is */
    assert_int_equal(train(model, 0, 1, true, 0, NULL, &error), GLIA_OK);
    glia_model_free(model);
}

/* ---- mistakes --------------------------------------------------------------------------------------- */

static void assert_train_fails(glia_model *model, const glia_dataset *data, const char *method, glia_fit_opts o,
                               const char *part) {
    glia_error error;
    assert_int_not_equal(glia_train(model, data, method, NULL, o, &error), GLIA_OK);
    if (!strstr(error.message, part)) fail_msg("\"%s\" does not have \"%s\"", error.message, part);
}

static void mistakes_are_named(void **state) {
    (void)state;
    glia_dataset *data = cloud(20), *strokes = glia_data_strokes(20, 1, NULL);
    glia_model *gan = gan_model(), *ddpm = ddpm_model(4);
    assert_train_fails(gan, data, "gam", (glia_fit_opts){ .batch = 4 },
                       "there is no method 'gam'; did you mean 'gan'?");
    assert_train_fails(gan, NULL, "gan", (glia_fit_opts){ .batch = 4 }, "training by gan: needs data");
    assert_train_fails(gan, data, "gan", (glia_fit_opts){ .batch = 4, .loss = GLIA_MSE }, "does not use a loss");
    assert_train_fails(gan, data, "gan", (glia_fit_opts){ .batch = 4, .metrics = "f1" }, "does not use metrics");
    assert_train_fails(gan, data, "gan", (glia_fit_opts){ .batch = 4, .validation = data }, "validation data");
    assert_train_fails(gan, data, "gan", (glia_fit_opts){ .batch = 32 }, "do not fill a batch of 32");
    assert_train_fails(gan, strokes, "gan", (glia_fit_opts){ .batch = 4 }, "but the model takes (2)");
    assert_train_fails(ddpm, data, "gan", (glia_fit_opts){ .batch = 4 }, "inputs 'z' and 'x'");
    assert_train_fails(gan, data, "ddpm", (glia_fit_opts){ .batch = 4 }, "inputs 'x' and 't'");
    float out[2];
    glia_error error;
    assert_int_equal(glia_sample(ddpm, 1, (glia_sample_opts){ 0 }, out, &error), GLIA_E_UNSUPPORTED);
    assert_int_equal(glia_sample_shape(ddpm).rank, 0);
    glia_model_free(gan);
    glia_model_free(ddpm);
    glia_data_free(data);
    glia_data_free(strokes);
}

/* ---- what they learn -------------------------------------------------------------------------------- */

/* The generator's first kernel after each step. */
typedef struct moves {
    float last[3 * 12];
    int moved[EPOCH_STEPS + 1];
} moves;

static glia_status watch_generator(const glia_progress *p, void *context, glia_error *error) {
    (void)error;
    moves *m = context;
    glia_array kernel;
    assert_true(glia_store_find(glia_model_store(p->model), "generator/dense1/kernel", &kernel));
    m->moved[p->step] = memcmp(kernel.data, m->last, sizeof m->last) != 0;
    memcpy(m->last, kernel.data, sizeof m->last);
    return GLIA_OK;
}

static void the_generator_learns_after_every_nth_step(void **state) {
    (void)state;
    moves m = { { 0 }, { 0 } };
    const glia_callback watch = { .step_end = watch_generator, .context = &m };
    glia_model *model = gan_model();
    assert_int_equal(glia_model_init(model, 3, NULL), GLIA_OK);
    glia_array kernel;
    assert_true(glia_store_find(glia_model_store(model), "generator/dense1/kernel", &kernel));
    assert_int_equal(glia_shape_count(kernel.shape), COUNT(m.last));
    memcpy(m.last, kernel.data, sizeof m.last);
    glia_dataset *data = cloud(POINTS);
    const glia_fit_opts o = {
        .batch = BATCH, .optimizer = { .kind = GLIA_ADAM }, .callbacks = &watch, .n_callbacks = 1
    };
    assert_int_equal(glia_train(model, data, "gan", "critic_steps=3", o, NULL), GLIA_OK);
    for (int i = 1; i <= EPOCH_STEPS; i++) assert_int_equal(m.moved[i], i % 3 == 0);
    glia_model_free(model);
    glia_data_free(data);
}

static void wgan_keeps_the_critics_weights_in_their_limits(void **state) {
    (void)state;
    glia_model *model = trained(1, 1, NULL);
    glia_store *store = glia_model_store(model);
    for (int i = 0; i < glia_store_count(store); i++) {
        glia_array a = glia_store_at(store, i);
        if (strncmp(a.name, "critic/", 7) != 0) continue;
        for (int64_t k = 0; k < glia_shape_count(a.shape); k++) assert_true(fabsf(((float *)a.data)[k]) <= 0.01f);
    }
    glia_model_free(model);
}

static glia_status keep_scores(const glia_progress *p, void *context, glia_error *error) {
    (void)error;
    static const char *const names[] = { "real_score", "fake_score", "critic_distance" };
    for (int i = 0; i < COUNT(names); i++) ((double *)context)[i] = glia_progress_value(p, names[i]);
    return GLIA_OK;
}

static void the_wasserstein_losses_tell_the_distance(void **state) {
    (void)state;
    for (int how = 0; how < COUNT(hows) && strcmp(hows[how].method, "gan") == 0; how++) {
        double scores[3] = { NAN, NAN, NAN };
        glia_error error;
        glia_model *model = gan_model();
        glia_dataset *data = cloud(POINTS);
        const glia_callback watch = { .epoch_end = keep_scores, .context = scores };
        const glia_fit_opts o = { .batch = BATCH, .callbacks = &watch, .n_callbacks = 1, .threads = 1 };
        if (glia_train(model, data, "gan", hows[how].settings, o, &error) != GLIA_OK) fail_msg("%s", error.message);
        if (hows[how].settings && strstr(hows[how].settings, "wgan"))
            assert_true(fabs(scores[2] - (scores[0] - scores[1])) <= 1e-6 * fabs(scores[0]));
        else
            assert_true(isfinite(scores[0]) && isnan(scores[2]));
        glia_data_free(data);
        glia_model_free(model);
    }
}

/* Mean and standard deviation of each axis of n points. */
static void describe(const float *points, int n, double mean[2], double deviation[2]) {
    for (int axis = 0; axis < 2; axis++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < n; i++) sum += (double)points[2 * i + axis];
        mean[axis] = sum / n;
        for (int i = 0; i < n; i++) squares += pow((double)points[2 * i + axis] - mean[axis], 2);
        deviation[axis] = sqrt(squares / n);
    }
}

static void assert_like_the_cloud(glia_model *model, const char *settings, double tolerance) {
    enum { N = 1000 };
    static float points[2 * N];
    glia_error error;
    double mean[2], deviation[2];
    const glia_sample_opts opts = { .seed = 5, .settings = settings };
    if (glia_sample(model, N, opts, points, &error) != GLIA_OK) fail_msg("%s", error.message);
    describe(points, N, mean, deviation);
    if (fabs(mean[0] - 2) > tolerance || fabs(mean[1] + 1) > tolerance || fabs(deviation[0] - 0.5) > tolerance ||
        fabs(deviation[1] - 0.5) > tolerance)
        fail_msg("means %.3f %.3f, deviations %.3f %.3f", mean[0], mean[1], deviation[0], deviation[1]);
}

/* Trains on normal points: all samplers must give their mean and deviation. */
static void diffusion_learns_a_normal_distribution(void **state) {
    (void)state;
    glia_dataset *data = cloud(2000);
    glia_model *model = ddpm_model(32);
    glia_error error;
    const glia_callback average = glia_swap_ema_weights(true);
    const glia_fit_opts o = { .epochs = 60,
                              .batch = 100,
                              .optimizer = { .kind = GLIA_ADAM, .lr = 5e-3, .ema = 0.99 },
                              .callbacks = &average,
                              .n_callbacks = 1,
                              .seed = 1 };
    if (glia_train(model, data, "ddpm", "timesteps=100", o, &error) != GLIA_OK) fail_msg("%s", error.message);
    assert_int_equal(glia_sample_shape(model).rank, 1);
    assert_like_the_cloud(model, NULL, 0.12);
    assert_like_the_cloud(model, "sampler=ddpm", 0.12);
    assert_like_the_cloud(model, "sampler=dpm-solver", 0.12);
    /* a saved model draws the same */
    static float before[20], after[20];
    assert_int_equal(glia_sample(model, 10, (glia_sample_opts){ .seed = 2 }, before, &error), GLIA_OK);
    assert_int_equal(glia_model_save(model, "methods.safetensors", &error), GLIA_OK);
    glia_model_free(model);
    model = glia_model_load("methods.safetensors", &error);
    assert_non_null(model);
    assert_int_equal(glia_sample(model, 10, (glia_sample_opts){ .seed = 2, .threads = 1 }, after, &error), GLIA_OK);
    assert_memory_equal(before, after, sizeof before);
    assert_int_equal(glia_sample(model, 10, (glia_sample_opts){ .settings = "eta=3" }, after, &error), GLIA_E_ARGUMENT);
    glia_model_free(model);
    glia_data_free(data);
}

static glia_status keep_validation(const glia_progress *p, void *context, glia_error *error) {
    (void)error;
    *(double *)context = p->validation.loss;
    assert_true(glia_progress_value(p, "val_loss") == p->validation.loss);
    return GLIA_OK;
}

/* A net that predicts 0 misses unit normal noise by 1 on average. */
static void validation_of_a_net_that_predicts_nothing_is_one(void **state) {
    (void)state;
    glia_model *model = glia_model_create("zero", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2));
    glia_tensor t = glia_model_input(model, "t", GLIA_I32, GLIA_SCALAR);
    glia_tensor scale = glia_parameter(glia_model_graph(model), "scale", GLIA_F32, GLIA_SHAPE(2),
                                       (glia_init){ .kind = GLIA_INIT_ZEROS });
    glia_tensor step = glia_reshape(glia_cast(t, GLIA_F32), GLIA_SHAPE(GLIA_BATCH, 1));
    glia_model_output(model, "noise", glia_mul(glia_add(x, step), scale));
    glia_dataset *data = cloud(2000);
    double loss = 0;
    const glia_callback watch = { .epoch_end = keep_validation, .context = &loss };
    const glia_fit_opts o = { .batch = 2000,
                              .optimizer = { .kind = GLIA_SGD, .lr = 1e-12 },
                              .validation = data,
                              .callbacks = &watch,
                              .n_callbacks = 1 };
    assert_int_equal(glia_train(model, data, "ddpm", NULL, o, NULL), GLIA_OK);
    assert_true(fabs(loss - 1) < 0.07); /* four deviations of the mean of 4,000 squares */
    glia_model_free(model);
    glia_data_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_have_defaults_and_domains),
        cmocka_unit_test(methods_are_listed),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(resumed_training_equals_uninterrupted),
        cmocka_unit_test(showing_does_not_change_training),
        cmocka_unit_test(a_checkpoint_of_another_method_is_refused),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(the_generator_learns_after_every_nth_step),
        cmocka_unit_test(wgan_keeps_the_critics_weights_in_their_limits),
        cmocka_unit_test(the_wasserstein_losses_tell_the_distance),
        cmocka_unit_test(diffusion_learns_a_normal_distribution),
        cmocka_unit_test(validation_of_a_net_that_predicts_nothing_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
