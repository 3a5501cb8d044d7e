/* test_variance.c - diffusion models that learn variances: sampling and the bound at the ends of their range, the loss
 * in closed form, training by the method ddpm. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "glia/glia.h"
#include "models.h"

static glia_error error;

enum { STEPS = 6, N = 5, SIZE = 8 };

/* Half of x as the prediction of the noise; v NaN: nothing else, else v beside it. */
typedef struct toy {
    glia_diffusion *d;
    glia_graph *graph;
    glia_backend *backend;
    glia_store *store;
    glia_function *net;
} toy;

static toy make_toy(double v) {
    toy s = { .d = glia_diffusion_create((glia_diffusion_opts){ .steps = STEPS }, &error),
              .graph = glia_graph_create() };
    glia_tensor x = glia_input(s.graph, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 2, 2, 2));
    glia_tensor t = glia_reshape(glia_cast(glia_input(s.graph, "t", GLIA_I32, GLIA_SHAPE(GLIA_BATCH)), GLIA_F32),
                                 GLIA_SHAPE(GLIA_BATCH, 1, 1, 1));
    glia_tensor p = glia_add(glia_mul_scalar(x, 0.5), glia_mul_scalar(t, 0)), both[] = { p, glia_like(p, v) };
    if (!isnan(v)) p = glia_concat(both, 2, 1);
    s.backend = glia_backend_open("cpu", 1, &error);
    s.store = glia_store_create(s.graph, 1, &error);
    s.net = glia_function_create(s.graph, s.backend, s.store, (glia_function_opts){ .outputs = &p, .n_outputs = 1 },
                                 &error);
    assert_non_null(s.net);
    return s;
}

static void close_toy(toy *s) {
    glia_function_free(s->net);
    glia_store_free(s->store);
    glia_backend_close(s->backend);
    glia_graph_free(s->graph);
    glia_diffusion_free(s->d);
}

static void draw(double v, glia_diffusion_sample_opts how, float *out) {
    toy s = make_toy(v);
    assert_int_equal(glia_diffusion_sample(s.d, s.net, N, GLIA_SHAPE(2, 2, 2), how, out, &error), GLIA_OK);
    close_toy(&s);
}

/* v = 0 is the posterior's variance, v = 1 is beta, and other samplers do not look at v. */
static void the_ends_are_the_fixed_variances(void **state) {
    (void)state;
    float fixed[N * SIZE], learned[N * SIZE];
    for (int large = 0; large < 2; large++) {
        for (int steps = 3; steps <= STEPS; steps += 3) {
            draw(NAN, (glia_diffusion_sample_opts){ .seed = 2, .steps = steps, .large_variance = large }, fixed);
            draw(large, (glia_diffusion_sample_opts){ .seed = 2, .steps = steps, .batch = 2 }, learned);
            for (int i = 0; i < N * SIZE; i++) ASSERT_NEAR(learned[i], fixed[i], 1e-5);
        }
    }
    draw(0.5, (glia_diffusion_sample_opts){ .seed = 2 }, learned);
    assert_memory_not_equal(learned, fixed, sizeof fixed);
    draw(NAN, (glia_diffusion_sample_opts){ .sampler = GLIA_DDIM, .seed = 2 }, fixed);
    draw(3, (glia_diffusion_sample_opts){ .sampler = GLIA_DDIM, .seed = 2 }, learned);
    assert_memory_equal(learned, fixed, sizeof fixed);
    toy s = make_toy(0);
    const glia_diffusion_sample_opts large = { .large_variance = true };
    assert_int_equal(glia_diffusion_sample(s.d, s.net, N, GLIA_SHAPE(2, 2, 2), large, fixed, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("large_variance of a net that learns variances");
    close_toy(&s);
}

static double bound(double v) {
    toy s = make_toy(v);
    float x0[SIZE];
    double nats;
    for (int i = 0; i < SIZE; i++) x0[i] = (float)(-1 + 2.0 * (i * 30) / 255);
    assert_int_equal(
        glia_diffusion_bound(s.d, s.net, x0, 1, GLIA_SHAPE(2, 2, 2), (glia_diffusion_bound_opts){ 0 }, &nats, &error),
        GLIA_OK);
    close_toy(&s);
    return nats;
}

static void the_bound_uses_the_variances(void **state) {
    (void)state;
    ASSERT_NEAR(bound(0), bound(NAN), 1e-9 * fabs(bound(NAN)));
    assert_true(fabs(bound(0.7) - bound(0)) > 1e-3);
}

/* ---- the loss ------------------------------------------------------------------------------------------- */

/* The bound's term of a number: its value x, the estimate e, v. */
static double term(const glia_diffusion *d, int t, double x, double e, double v) {
    const glia_diffusion_step s = glia_diffusion_at(d, t);
    const double least = t ? s.variance : glia_diffusion_at(d, 1).variance;
    const double variance = exp(v * log(fmax(s.beta, least)) + (1 - v) * log(least));
    if (t > 0) {
        const double mean = s.x0_share * (x - e);
        return 0.5 * (log(variance / least) + (least + mean * mean) / variance - 1);
    }
    const double root = sqrt(2 * variance), half = 1.0 / 255;
    const double above = erf((x + half - e) / root), below = erf((x - half - e) / root);
    return -log(fmax(0.5 * ((x > 0.999 ? 1 : above) - (x < -0.999 ? -1 : below)), 1e-12));
}

/* The loss of one step of a net that predicts e for every x0, whose first half moves by a gradient step of rate 1. */
static double hybrid(const glia_diffusion *d, double x, double e, double v, float *moved) {
    enum { MANY = 6000 };
    glia_graph *g = glia_graph_create();
    glia_tensor in = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 1));
    glia_tensor t = glia_input(g, "t", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor nothing =
        glia_mul_scalar(glia_add(in, glia_reshape(glia_cast(t, GLIA_F32), GLIA_SHAPE(GLIA_BATCH, 1))), 0);
    const glia_init at = { .kind = GLIA_INIT_CONSTANT, .value = e }, of_v = { .kind = GLIA_INIT_CONSTANT, .value = v };
    glia_tensor both[] = { glia_add(nothing, glia_parameter(g, "e", GLIA_F32, GLIA_SHAPE(1), at)),
                           glia_add(nothing, glia_parameter(g, "v", GLIA_F32, GLIA_SHAPE(1), of_v)) };
    glia_tensor loss = glia_diffusion_hybrid_loss(d, glia_concat(both, 2, 1), in, t, glia_like(in, x), 0.01);
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_SGD, .lr = 1 }, NULL, NULL);
    glia_backend *backend = glia_backend_open("cpu", 1, &error);
    glia_store *store = glia_store_create(g, 4, &error);
    const glia_compile_opts opts = { .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = MANY };
    glia_program *program = glia_compile(g, backend, opts, &error);
    glia_session *session = program ? glia_session_create(program, store, &error) : NULL;
    if (!session) fail_msg("%s", error.message);
    assert_int_equal(glia_session_run(session, &error), GLIA_OK);
    const double value = (double)*(const float *)glia_session_output(session, 0).data;
    glia_array p;
    assert_true(glia_store_find(store, "e", &p));
    *moved = *(const float *)p.data;
    glia_session_free(session);
    glia_program_free(program);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(g);
    return value;
}

static void the_loss_is_the_simple_one_and_the_bound(void **state) {
    (void)state;
    glia_diffusion *d = glia_diffusion_create(
        (glia_diffusion_opts){ .steps = 3, .prediction = GLIA_PREDICT_SAMPLE, .beta_first = 0.1, .beta_last = 0.3 },
        &error);
    static const double cases[][3] = {
        { 7.0 / 255, 0.1, 0 }, { 7.0 / 255, 0.1, 0.6 }, { 1, 0.8, 0.3 }, { -1, -1, 1.2 }
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const double x = cases[i][0], e = cases[i][1], v = cases[i][2];
        float moved;
        const double loss = hybrid(d, x, e, v, &moved);
        double mean = 0, squares = 0;
        for (int t = 0; t < 3; t++) {
            const double one = 0.01 * 3 / 0.6931471805599453 * term(d, t, x, e, v);
            mean += one / 3, squares += one * one / 3;
        }
        const double deviation = sqrt(fmax(squares - mean * mean, 0) / 6000); /* of the drawn steps */
        ASSERT_NEAR(loss, (x - e) * (x - e) + mean, 4 * deviation + 1e-4);
        ASSERT_NEAR(moved, e - 2 * (e - x), 1e-4); /* the bound does not move the prediction */
    }
    glia_diffusion_free(d);
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 2));
    d = glia_diffusion_create((glia_diffusion_opts){ 0 }, &error);
    glia_diffusion_hybrid_loss(d, x, x, glia_input(g, "t", GLIA_I32, GLIA_SHAPE(GLIA_BATCH)), x, 0);
    assert_int_not_equal(glia_graph_check(g, &error), GLIA_OK);
    ASSERT_SAYS("must have twice the channels");
    glia_graph_free(g);
    glia_diffusion_free(d);
}

/* ---- the method ----------------------------------------------------------------------------------------- */

static glia_model *trained(int threads) {
    glia_model *model = glia_model_create("small", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    glia_tensor t = glia_model_input(model, "t", GLIA_I32, GLIA_SCALAR);
    const glia_unet_opts opts = {
        .channels = 4, .multipliers = { 1 }, .blocks = 1, .attention = { GLIA_NONE }, .out_channels = 2
    };
    glia_model_output(model, "prediction", glia_unet(x, t, "unet", opts));
    glia_dataset *data = glia_data_strokes(16, 1, NULL);
    const glia_fit_opts how = {
        .batch = 4, .optimizer = { .kind = GLIA_ADAM, .lr = 1e-3 }, .validation = data, .seed = 2, .threads = threads
    };
    if (glia_train(model, data, "ddpm", "timesteps=20 sampler=ddpm", how, &error) != GLIA_OK)
        fail_msg("%s", error.message);
    glia_data_free(data);
    return model;
}

static void the_method_learns_variances_of_pictures(void **state) {
    (void)state;
    glia_model *one = trained(1), *two = trained(2);
    assert_same_model(one, two);
    float out[784];
    assert_int_equal(glia_sample(one, 1, (glia_sample_opts){ .seed = 1, .threads = 1 }, out, &error), GLIA_OK);
    for (int i = 0; i < 784; i++) assert_true(out[i] >= 0 && out[i] <= 1);
    glia_model_free(one);
    glia_model_free(two);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ends_are_the_fixed_variances),
        cmocka_unit_test(the_bound_uses_the_variances),
        cmocka_unit_test(the_loss_is_the_simple_one_and_the_bound),
        cmocka_unit_test(the_method_learns_variances_of_pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
