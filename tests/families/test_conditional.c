/* test_conditional.c - samples by class, guidance, known parts, walks, and the bound of diffusion models. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "glia/glia.h"

static glia_error error;

enum { CLASSES = 4, N = 6 };

static glia_tensor classes_of(glia_model *model) {
    assert_int_equal(glia_model_set(model, "y.classes", "4", NULL), GLIA_OK);
    return glia_model_input(model, "y", GLIA_I32, GLIA_SCALAR);
}

/* ---- adversarial nets ------------------------------------------------------------------------------- */

static glia_model *gan_model(void) {
    glia_model *model = glia_model_create("points", NULL);
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(3));
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2));
    const glia_gan_dense_opts opts = {
        .units = 16, .layers = 2, .spectral_norm = true, .condition = glia_one_hot(classes_of(model), CLASSES, GLIA_F32)
    };
    glia_model_output(model, "sample", glia_gan_dense_generator(z, "generator", GLIA_SHAPE(2), opts));
    glia_model_output(model, "score", glia_gan_dense_critic(x, "critic", opts));
    return model;
}

/* Without classes in data, with too many, and out of range. */
static void classes_are_checked(void **state) {
    (void)state;
    glia_model *model = gan_model();
    glia_dataset *ring = glia_data_open("ring?n=64", NULL, NULL, NULL);
    const float bare[8] = { 0 };
    glia_dataset *none = glia_data_arrays((glia_arrays){ .n = 4, .x = bare, .x_shape = GLIA_SHAPE(2) }, NULL);
    const glia_fit_opts how = { .batch = 4, .threads = 1 };
    assert_int_equal(glia_train(model, ring, "gan", NULL, how, &error), GLIA_E_SHAPE);
    ASSERT_SAYS("needs samples of 4 classes; the data 'ring?n=64' have 8");
    assert_int_equal(glia_train(model, none, "gan", NULL, how, &error), GLIA_E_SHAPE);
    glia_dataset *four = glia_data_open("ring?n=64&modes=4", NULL, NULL, NULL);
    assert_int_equal(glia_train(model, four, "gan", "loss=hinge", how, &error), GLIA_OK);
    float out[2 * N];
    const glia_sample_opts beyond = { .settings = "class=4", .threads = 1 };
    assert_int_equal(glia_sample(model, N, beyond, out, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("there is no class 4: the model has 4");
    glia_data_free(ring);
    glia_data_free(none);
    glia_data_free(four);
    glia_model_free(model);
}

/* Samples of a class are those that have this class in a mixed batch of the same noise; classes differ. */
static void a_class_alone_gives_the_same_samples(void **state) {
    (void)state;
    glia_model *model = gan_model();
    glia_dataset *data = glia_data_open("ring?n=400&modes=4", NULL, NULL, NULL);
    const glia_fit_opts how = {
        .epochs = 3, .batch = 16, .optimizer = { .kind = GLIA_ADAM, .lr = 2e-3 }, .threads = 1
    };
    assert_int_equal(glia_train(model, data, "gan", "loss=hinge", how, &error), GLIA_OK);
    float mixed[2 * N], alone[2 * N];
    assert_int_equal(glia_sample(model, N, (glia_sample_opts){ .threads = 1 }, mixed, &error), GLIA_OK);
    for (int c = 0; c < 2; c++) {
        const glia_sample_opts only = { .settings = c ? "class=1" : "class=0", .threads = 2 };
        assert_int_equal(glia_sample(model, N, only, alone, &error), GLIA_OK);
        for (int i = 0; i < N; i++) {
            if (i % CLASSES == c) assert_memory_equal(alone + 2 * i, mixed + 2 * i, 2 * sizeof *alone);
            if (i % CLASSES != c) assert_memory_not_equal(alone + 2 * i, mixed + 2 * i, 2 * sizeof *alone);
        }
    }
    glia_data_free(data);
    glia_model_free(model);
}

/* ---- diffusion ---------------------------------------------------------------------------------------- */

/* Predicts x0 as the class's number in both coordinates; without a class (4) it says 9. */
static glia_model *known_model(bool classes) {
    glia_model *model = glia_model_create("known", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2));
    glia_tensor t = glia_model_input(model, "t", GLIA_I32, GLIA_SCALAR);
    const double means[CLASSES + 1] = { 0, 1, 2, 3, 9 };
    glia_tensor y = classes ? classes_of(model) : t;
    glia_tensor table = glia_constant(glia_model_graph(model), GLIA_F32, GLIA_SHAPE(CLASSES + 1), means);
    glia_tensor mean = classes ? glia_gather(table, y, 0) : glia_mul_scalar(glia_cast(t, GLIA_F32), 0);
    mean = glia_add(mean, glia_mul_scalar(glia_cast(t, GLIA_F32), 0));
    glia_tensor nothing = glia_mul_scalar(glia_dense(x, "out", (glia_dense_opts){ .units = 2 }), 0);
    glia_tensor out = glia_add(nothing, glia_reshape(mean, GLIA_SHAPE(GLIA_BATCH, 1)));
    glia_model_output(model, "x0", out);
    assert_int_equal(glia_model_set(model, "method", "ddpm", NULL), GLIA_OK);
    assert_int_equal(glia_model_set(model, "method.settings", "timesteps=50 sampling_steps=10 prediction=sample", NULL),
                     GLIA_OK);
    return model;
}

/* With guidance s the estimate is 9 + s (class - 9). */
static void guidance_extrapolates_from_no_class(void **state) {
    (void)state;
    static const struct {
        const char *settings;
        double scale;
    } kinds[] = { { "guidance=1", 1 }, { "guidance=2", 2 }, { "guidance=0", 0 }, { "guidance=1.5 sampler=ddpm", 1.5 } };
    glia_model *model = known_model(true), *without = known_model(false);
    float out[2 * N];
    for (int k = 0; k < (int)(sizeof kinds / sizeof kinds[0]); k++) {
        const glia_sample_opts how = { .settings = kinds[k].settings, .threads = 1 };
        if (glia_sample(model, N, how, out, &error) != GLIA_OK) fail_msg("%s", error.message);
        for (int i = 0; i < 2 * N; i++) ASSERT_NEAR(out[i], 9 + kinds[k].scale * (i / 2 % CLASSES - 9), 1e-4);
    }
    const glia_sample_opts guided = { .settings = "guidance=2", .threads = 1 };
    assert_int_equal(glia_sample(without, N, guided, out, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("guidance needs a model that was trained with classes");
    const glia_sample_opts dropless = { .settings = "guidance=2 drop_class=0", .threads = 1 };
    assert_int_equal(glia_sample(model, N, dropless, out, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("drop_class");
    const glia_sample_opts beyond = { .settings = "sampling_steps=51", .threads = 1 };
    assert_int_equal(glia_sample(model, N, beyond, out, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("51 steps of a schedule that has 50");
    glia_model_free(model);
    glia_model_free(without);
}

static glia_status look(void *context, const glia_shown *shown, glia_error *e) {
    (void)e;
    assert_int_equal(shown->n, N);
    memcpy(context, shown->values, 2 * N * sizeof(float));
    return GLIA_OK;
}

static glia_status show(const glia_progress *p, void *context, glia_error *e) {
    return glia_training_show(p->training, look, context, e);
}

/* What a training shows is drawn with its guidance, as glia_sample() draws. */
static void shown_samples_are_guided(void **state) {
    (void)state;
    float out[2 * N] = { 0 };
    glia_model *model = known_model(true);
    glia_dataset *data = glia_data_open("ring?n=64&modes=4", NULL, NULL, NULL);
    const glia_callback watch = { .epoch_end = show, .context = out };
    const glia_fit_opts how = { .batch = 4, .max_steps = 1, .callbacks = &watch, .n_callbacks = 1, .threads = 1 };
    const char *settings = "timesteps=50 sampling_steps=10 prediction=sample guidance=2 shown=6";
    if (glia_train(model, data, "ddpm", settings, how, &error) != GLIA_OK) fail_msg("%s", error.message);
    for (int i = 0; i < 2 * N; i++) ASSERT_NEAR(out[i], 9 + 2 * (i / 2 % CLASSES - 9), 1e-4);
    glia_data_free(data);
    glia_model_free(model);
}

static glia_status count_steps(void *context, const float *samples, int64_t first, int64_t n, int step, int steps,
                               glia_error *e) {
    (void)e;
    assert_true(isfinite(samples[0]) && first == 0 && n == N && steps == 10);
    assert_int_equal(step, ++*(int *)context);
    return GLIA_OK;
}

static void known_parts_are_kept(void **state) {
    (void)state;
    const float known[2] = { 7, -3 }, mask[2] = { 0, 1 };
    glia_model *model = known_model(true), *gan = gan_model();
    float out[2 * N];
    int steps = 0;
    glia_sample_opts how = { .known = known, .mask = mask, .watch = count_steps, .context = &steps, .threads = 1 };
    assert_int_equal(glia_sample(model, N, how, out, &error), GLIA_OK);
    assert_int_equal(steps, 10);
    for (int i = 0; i < N; i++) {
        ASSERT_NEAR(out[2 * i], i % CLASSES, 1e-4);
        ASSERT_NEAR(out[2 * i + 1], -3, 0);
    }
    how.mask = NULL;
    assert_int_equal(glia_sample(model, N, how, out, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("mask");
    how.mask = mask;
    assert_int_equal(glia_model_set(gan, "method", "gan", NULL), GLIA_OK);
    assert_int_equal(glia_sample(gan, N, how, out, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("cannot complete samples");
    glia_model_free(model);
    glia_model_free(gan);
}

/* A net whose x0 is x_t scaled moves samples linearly: the walk's ends are samples of the ends' noise, and its middle
 * is the same combination of theirs as of the noise. */
static void walks_combine_noise(void **state) {
    (void)state;
    glia_model *model = glia_model_create("linear", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2));
    glia_tensor t = glia_mul_scalar(glia_cast(glia_model_input(model, "t", GLIA_I32, GLIA_SCALAR), GLIA_F32), 0);
    glia_model_output(model, "x0", glia_add(glia_mul_scalar(x, 0.5), glia_reshape(t, GLIA_SHAPE(GLIA_BATCH, 1))));
    assert_int_equal(glia_model_set(model, "method", "ddpm", NULL), GLIA_OK);
    glia_sample_opts how = { .settings = "timesteps=50 sampling_steps=10 prediction=sample interpolate=3",
                             .threads = 1 };
    float out[2 * N];
    if (glia_sample(model, N, how, out, &error) != GLIA_OK) fail_msg("%s", error.message);
    for (int k = 0; k < 2; k++) {
        ASSERT_NEAR(out[2 + k], sqrt(0.5) * ((double)out[k] + (double)out[4 + k]), 1e-5);
        ASSERT_NEAR(out[4 + k], out[6 + k], 1e-6); /* the next walk begins where this one ends */
    }
    how.settings = "interpolate=3 sampler=ddpm";
    assert_int_equal(glia_sample(model, N, how, out, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("a sampler without noise");
    glia_model_free(model);
}

/* ---- the bound ------------------------------------------------------------------------------------------ */

enum { STEPS = 20 };

/* A net that always says x0 = 0. */
static glia_function *zero_net(glia_graph **graph, glia_backend **backend, glia_store **store) {
    *graph = glia_graph_create();
    glia_tensor x = glia_input(*graph, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 2));
    glia_tensor t = glia_input(*graph, "t", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor y = glia_add(glia_mul_scalar(x, 0),
                             glia_reshape(glia_mul_scalar(glia_cast(t, GLIA_F32), 0), GLIA_SHAPE(GLIA_BATCH, 1)));
    *backend = glia_backend_open("cpu", 1, NULL);
    *store = glia_store_create(*graph, 1, NULL);
    return glia_function_create(*graph, *backend, *store, (glia_function_opts){ .outputs = &y, .n_outputs = 1 }, NULL);
}

/* For x0 and the estimate 0 every term is known. */
static double known_bound(const glia_diffusion *d, const float *x0) {
    const double signal = glia_diffusion_at(d, STEPS - 1).signal, deviation = sqrt(glia_diffusion_at(d, 1).variance);
    double sum = 0;
    for (int k = 0; k < 2; k++) {
        const double x = (double)x0[k], half = 1.0 / 255, root = sqrt(2) * deviation;
        sum += 0.5 * (signal * x * x - signal - log(1 - signal));
        sum -= log(fmax(0.5 * (erf((x + half) / root) - erf((x - half) / root)), 1e-12));
        for (int t = 1; t < STEPS; t++) {
            const glia_diffusion_step s = glia_diffusion_at(d, t);
            sum += s.x0_share * s.x0_share * x * x / (2 * s.variance);
        }
    }
    return sum;
}

static void the_bound_of_a_known_net(void **state) {
    (void)state;
    const glia_diffusion_opts how = { .steps = STEPS, .prediction = GLIA_PREDICT_SAMPLE };
    glia_diffusion *d = glia_diffusion_create(how, NULL);
    glia_graph *graph;
    glia_backend *backend;
    glia_store *store;
    glia_function *net = zero_net(&graph, &backend, &store);
    const float x0[3][2] = { { 1.0f / 255, -1.0f / 255 }, { 13.0f / 255, 0 }, { -0.2f, 0.1f } };
    double nats[3], mean = 0, other[3];
    const glia_diffusion_bound_opts all = { 0 };
    assert_int_equal(glia_diffusion_bound(d, net, x0[0], 3, GLIA_SHAPE(2), all, nats, &error), GLIA_OK);
    for (int i = 0; i < 3; i++) ASSERT_NEAR(nats[i], known_bound(d, x0[i]), 1e-6 * fabs(nats[i]));
    for (int seed = 0; seed < 300; seed++) { /* drawn steps are right on average */
        const glia_diffusion_bound_opts some = { .draws = 4, .seed = (uint64_t)seed };
        assert_int_equal(glia_diffusion_bound(d, net, x0[2], 1, GLIA_SHAPE(2), some, other, &error), GLIA_OK);
        mean += other[0] / 300;
    }
    ASSERT_NEAR(mean, nats[2], 0.05 * nats[2]);
    assert_int_equal(glia_diffusion_bound(d, NULL, x0[0], 3, GLIA_SHAPE(2), all, nats, &error), GLIA_E_ARGUMENT);
    glia_function_free(net);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(graph);
    glia_diffusion_free(d);
}

/* ---- rings and grids ------------------------------------------------------------------------------------ */

static void gaussians_lie_where_they_should(void **state) {
    (void)state;
    static const char *const names[] = { "ring?n=3000&seed=2", "grid?n=3000", "grid?n=500&modes=9" };
    static const int modes[] = { 8, 25, 9 };
    for (int k = 0; k < 3; k++) {
        glia_dataset *data = glia_data_open(names[k], "train", NULL, &error);
        assert_non_null(data);
        assert_int_equal(glia_data_classes(data), modes[k]);
        for (int64_t i = 0; i < 200; i++) {
            float x[2];
            int32_t y;
            assert_int_equal(glia_data_get(data, i, x, &y, NULL), GLIA_OK);
            const int side = k == 1 ? 5 : 3;
            const double at[2] = { k ? 2 * (y % side) - (side - 1) : cos(y * 0.78539816339744831),
                                   k ? 2 * (y / side) - (side - 1) : sin(y * 0.78539816339744831) };
            const double deviation = k ? 0.05 : 0.01;
            assert_true(hypot((double)x[0] - at[0], (double)x[1] - at[1]) < 5 * deviation);
        }
        glia_data_free(data);
    }
    glia_dataset *test = glia_data_open("ring?n=50", "test", NULL, &error);
    assert_int_equal(glia_data_count(test), 10);
    glia_data_free(test);
    assert_null(glia_data_open("grid?modes=8", NULL, NULL, &error));
    ASSERT_SAYS("not a square");
    assert_null(glia_data_open("ring?radius=8", NULL, NULL, &error));
    ASSERT_SAYS("radius");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_are_checked),
        cmocka_unit_test(a_class_alone_gives_the_same_samples),
        cmocka_unit_test(guidance_extrapolates_from_no_class),
        cmocka_unit_test(shown_samples_are_guided),
        cmocka_unit_test(known_parts_are_kept),
        cmocka_unit_test(walks_combine_noise),
        cmocka_unit_test(the_bound_of_a_known_net),
        cmocka_unit_test(gaussians_lie_where_they_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
