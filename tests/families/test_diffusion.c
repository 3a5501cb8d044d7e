/* test_diffusion.c - noise schedules, the loss, and samplers of diffusion models against closed forms.
 *
 * For data N(m, s^2) everything is known: x_t is N(sqrt(A) m, A s^2 + 1 - A), and the best estimate of x0 is linear in
 * x_t. A sampler with that estimate in place of a net moves a Gaussian to a Gaussian, whose mean and variance follow
 * from the sampler's own factors step by step and must end near m and s^2.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "families/generative/generative.h"
#include "run_graph.h"

static glia_error error;

static glia_diffusion *schedule(glia_diffusion_opts opts) {
    glia_diffusion *d = glia_diffusion_create(opts, &error);
    if (!d) fail_msg("%s", error.message);
    return d;
}

/* ---- schedules ------------------------------------------------------------------------------ */

static void linear_schedule_is_the_papers(void **state) {
    (void)state;
    glia_diffusion *d = schedule((glia_diffusion_opts){ .steps = 0 });
    assert_int_equal(glia_diffusion_steps(d), 1000);
    double signal = 1;
    for (int t = 0; t < 1000; t++) {
        const double beta = 1e-4 + (0.02 - 1e-4) * t / 999;
        ASSERT_NEAR(glia_diffusion_at(d, t).before, signal, 1e-15);
        signal *= 1 - beta;
        ASSERT_NEAR(glia_diffusion_at(d, t).beta, beta, 1e-15);
        ASSERT_NEAR(glia_diffusion_at(d, t).signal, signal, 1e-13);
    }
    ASSERT_NEAR(signal, 4.0358e-5, 1e-8); /* the value of public implementations */
    assert_true(isnan(glia_diffusion_at(d, -1).beta) && isnan(glia_diffusion_at(d, 1000).signal));
    glia_diffusion_free(d);
}

static void cosine_schedule_is_the_papers(void **state) {
    (void)state;
    enum { T = 250 };
    glia_diffusion *d = schedule((glia_diffusion_opts){ .steps = T, .schedule = GLIA_BETA_COSINE });
    const double start = pow(cos(0.008 / 1.008 * 2 * atan(1)), 2);
    for (int t = 0; t < T - 1; t++) { /* beta of the last is cut to 0.999 */
        const double f = pow(cos(((t + 1.0) / T + 0.008) / 1.008 * 2 * atan(1)), 2);
        ASSERT_NEAR(glia_diffusion_at(d, t).signal, f / start, 1e-12);
    }
    ASSERT_NEAR(glia_diffusion_at(d, T - 1).beta, 0.999, 1e-15);
    glia_diffusion_free(d);
}

/* q(x_(t-1) | x_t, x0) is the product of N(x_(t-1); sqrt(A') x0, 1 - A') and N(x_t; sqrt(1 - beta) x_(t-1), beta). */
static void posterior_is_the_product_of_gaussians(void **state) {
    (void)state;
    glia_diffusion *d = schedule((glia_diffusion_opts){ .steps = 40, .schedule = GLIA_BETA_COSINE });
    for (int t = 1; t < 40; t++) {
        const glia_diffusion_step s = glia_diffusion_at(d, t);
        const double precision = 1 / (1 - s.before) + (1 - s.beta) / s.beta;
        ASSERT_NEAR(s.variance, 1 / precision, 1e-12);
        ASSERT_NEAR(s.x0_share, sqrt(s.before) / (1 - s.before) / precision, 1e-12);
        ASSERT_NEAR(s.xt_share, sqrt(1 - s.beta) / s.beta / precision, 1e-12);
    }
    assert_true(glia_diffusion_at(d, 0).variance == 0 && glia_diffusion_at(d, 0).x0_share == 1);
    glia_diffusion_free(d);
}

static void ddim_with_eta_one_is_ddpm(void **state) {
    (void)state;
    glia_diffusion *d = schedule((glia_diffusion_opts){ .steps = 60 });
    const glia_diffusion_sample_opts ddpm = { .sampler = GLIA_DDPM }, ddim = { .sampler = GLIA_DDIM, .eta = 1 };
    for (int t = 0; t < 60; t++) {
        for (int to = -1; to < t; to += 7) { /* steps left out too */
            const double signal = glia_diffusion_at(d, t).signal, before = to < 0 ? 1 : glia_diffusion_at(d, to).signal;
            const glia_diffusion_move a = glia_diffusion_move_of(&ddpm, signal, before),
                                      b = glia_diffusion_move_of(&ddim, signal, before);
            ASSERT_NEAR(a.estimate, b.estimate, 1e-12);
            ASSERT_NEAR(a.x, b.x, 1e-12);
            ASSERT_NEAR(a.noise, b.noise, 1e-12);
        }
        if (t == 0) continue;
        const glia_diffusion_step s = glia_diffusion_at(d, t);
        const glia_diffusion_move one = glia_diffusion_move_of(&ddpm, s.signal, s.before);
        ASSERT_NEAR(one.estimate, s.x0_share, 1e-12);
        ASSERT_NEAR(one.x, s.xt_share, 1e-12);
        ASSERT_NEAR(one.noise, sqrt(s.variance), 1e-12);
    }
    glia_diffusion_free(d);
}

static void impossible_schedules_are_errors(void **state) {
    (void)state;
    static const struct {
        glia_diffusion_opts opts;
        const char *says;
    } cases[] = { { { .steps = -1 }, "-1" },
                  { { .schedule = (glia_beta_schedule)7 }, "no schedule 7" },
                  { { .prediction = (glia_diffusion_prediction)5 }, "no prediction 5" },
                  { { .beta_first = 0.5, .beta_last = 0.1 }, "0.5 and 0.1" },
                  { { .beta_last = NAN }, "beta_last" } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_null(glia_diffusion_create(cases[i].opts, &error));
        assert_int_equal(error.status, GLIA_E_ARGUMENT);
        ASSERT_SAYS(cases[i].says);
    }
}

/* ---- in graphs ------------------------------------------------------------------------------ */

enum { ROWS = 4, COLUMNS = 3, COUNT = ROWS * COLUMNS };

static void predictions_convert_into_one_another(void **state) {
    (void)state;
    double x0s[COUNT], noises[COUNT], out[4][COUNT];
    const double ts[ROWS] = { 0, 5, 13, 19 };
    for (int i = 0; i < COUNT; i++) x0s[i] = sin(i), noises[i] = cos(3 * i);
    for (int k = 0; k < GLIA_PREDICTION_COUNT; k++) {
        glia_diffusion *d = schedule((glia_diffusion_opts){ .steps = 20, .prediction = (glia_diffusion_prediction)k });
        glia_graph *g = glia_graph_create();
        glia_tensor x0 = glia_constant(g, GLIA_F64, GLIA_SHAPE(ROWS, COLUMNS), x0s);
        glia_tensor noise = glia_constant(g, GLIA_F64, GLIA_SHAPE(ROWS, COLUMNS), noises);
        glia_tensor t = glia_constant(g, GLIA_I32, GLIA_SHAPE(ROWS), ts);
        glia_tensor xt = glia_diffusion_noised(d, x0, t, noise), target = glia_diffusion_target(d, x0, t, noise);
        const glia_tensor all[] = { xt, target, glia_diffusion_x0(d, target, xt, t),
                                    glia_diffusion_noise(d, target, xt, t) };
        for (int i = 0; i < 4; i++) assert_int_equal(glia_eval(all[i], out[i], COUNT, &error), GLIA_OK);
        for (int i = 0; i < COUNT; i++) {
            const double a = glia_diffusion_at(d, (int)ts[i / COLUMNS]).signal;
            const double targets[] = { noises[i], x0s[i], sqrt(a) * noises[i] - sqrt(1 - a) * x0s[i] };
            ASSERT_NEAR(out[0][i], sqrt(a) * x0s[i] + sqrt(1 - a) * noises[i], 1e-12);
            ASSERT_NEAR(out[1][i], targets[k], 1e-12);
            ASSERT_NEAR(out[2][i], x0s[i], 1e-9);
            ASSERT_NEAR(out[3][i], noises[i], 1e-9);
        }
        glia_graph_free(g);
        glia_diffusion_free(d);
    }
}

/* A net that predicts w x: the loss for x0 = 1 and noise is mean_t E (w (sqrt(A) + sqrt(1-A) z) - z)^2. */
static void loss_is_the_mean_over_steps_and_noise(void **state) {
    (void)state;
    enum { N = 1 << 15, T = 8 };
    const double w = 0.7;
    glia_diffusion *d = schedule((glia_diffusion_opts){ .steps = T });
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 1));
    glia_tensor t = glia_input(g, "t", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    /* It needs t, or the loss could not replace it. */
    glia_tensor net = glia_add(glia_mul_scalar(x, w),
                               glia_mul_scalar(glia_reshape(glia_cast(t, GLIA_F32), GLIA_SHAPE(GLIA_BATCH, 1)), 0.1));
    glia_tensor loss = glia_diffusion_loss(d, net, x, t, x), one = glia_like(x, 1);
    const glia_tensor at_one[] = { loss, glia_diffusion_loss(d, net, x, t, one) };
    assert_int_equal(glia_graph_check(g, &error), GLIA_OK);
    glia_backend *backend = glia_backend_open("cpu", 2, &error);
    glia_store *store = glia_store_create(g, 3, &error);
    glia_function *f = glia_function_create(
        g, backend, store, (glia_function_opts){ .outputs = at_one, .n_outputs = 2, .mode = GLIA_TRAIN }, &error);
    static float ones[N];
    for (int i = 0; i < N; i++) ones[i] = 1;
    glia_array in = { .name = "x", .dtype = GLIA_F32, .shape = GLIA_SHAPE(N, 1), .data = ones }, out[2];
    if (glia_function_call(f, &in, 1, out, &error)) fail_msg("%s", error.message); /* without t */
    double wanted = 0;
    for (int k = 0; k < T; k++) {
        const double a = glia_diffusion_at(d, k).signal, mean = w * sqrt(a) + 0.1 * k, slope = w * sqrt(1 - a) - 1;
        wanted += (mean * mean + slope * slope) / T;
    }
    ASSERT_NEAR(*(float *)out[0].data, wanted, 5 * 2.5 / sqrt(N));
    ASSERT_NEAR(*(float *)out[1].data, wanted, 5 * 2.5 / sqrt(N));
    assert_true(*(float *)out[0].data != *(float *)out[1].data); /* draws of their own */
    glia_function_free(f);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(g);
    glia_diffusion_free(d);
}

static void wrong_tensors_are_errors(void **state) {
    (void)state;
    glia_diffusion *d = schedule((glia_diffusion_opts){ .steps = 3 });
    for (int k = 0; k < 3; k++) {
        glia_graph *g = glia_graph_create();
        glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 2));
        glia_tensor y = glia_input(g, "y", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, k ? 2 : 3));
        glia_tensor t = glia_input(g, "t", k == 1 ? GLIA_F32 : GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
        if (k < 2) glia_diffusion_noised(d, x, t, y);
        if (k == 2) glia_diffusion_loss(d, glia_mul_scalar(x, 2), x, t, x); /* no t in the prediction */
        assert_int_not_equal(glia_graph_check(g, &error), GLIA_OK);
        ASSERT_SAYS(k == 0 ? "f32(N, 2) and f32(N, 3)" : k == 1 ? "t must be integers (N)" : "depends on 't'");
        glia_graph_free(g);
    }
    glia_diffusion_free(d);
}

/* ---- samplers on Gaussian data -------------------------------------------------------------- */

static const double data_mean = 0.4, data_variance = 0.09;

typedef struct sampling {
    glia_graph *graph;
    glia_backend *backend;
    glia_store *store;
    glia_function *net;
} sampling;

/* E[x0 | x_t] = m + k (x - sqrt(A) m), k = s^2 sqrt(A) / (A s^2 + 1 - A), in the terms of d's prediction. */
static sampling gaussian_net(const glia_diffusion *d, int64_t size, int threads) {
    const int steps = glia_diffusion_steps(d);
    double gain[1000], offset[1000];
    for (int i = 0; i < steps; i++) {
        const double a = glia_diffusion_at(d, i).signal;
        gain[i] = data_variance * sqrt(a) / (a * data_variance + 1 - a);
        offset[i] = data_mean * (1 - gain[i] * sqrt(a));
    }
    sampling s = { .graph = glia_graph_create() };
    glia_tensor x = glia_input(s.graph, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, size));
    glia_tensor t = glia_input(s.graph, "t", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor k = glia_gather(glia_constant(s.graph, GLIA_F32, GLIA_SHAPE(steps, 1), gain), t, 0);
    glia_tensor b = glia_gather(glia_constant(s.graph, GLIA_F32, GLIA_SHAPE(steps, 1), offset), t, 0);
    glia_tensor x0 = glia_add(glia_mul(k, x), b);
    /* The noise that goes with this x0, by which the target is x0, the noise or the velocity. */
    double signal[1000], rest[1000];
    for (int i = 0; i < steps; i++) {
        signal[i] = sqrt(glia_diffusion_at(d, i).signal), rest[i] = 1 / sqrt(1 - glia_diffusion_at(d, i).signal);
    }
    glia_tensor of_x0 = glia_gather(glia_constant(s.graph, GLIA_F32, GLIA_SHAPE(steps, 1), signal), t, 0);
    glia_tensor of_noise = glia_gather(glia_constant(s.graph, GLIA_F32, GLIA_SHAPE(steps, 1), rest), t, 0);
    glia_tensor noise = glia_mul(glia_sub(x, glia_mul(of_x0, x0)), of_noise);
    glia_tensor y = glia_diffusion_target(d, x0, t, noise);
    s.backend = glia_backend_open("cpu", threads, &error);
    s.store = glia_store_create(s.graph, 1, &error);
    s.net = glia_function_create(s.graph, s.backend, s.store, (glia_function_opts){ .outputs = &y, .n_outputs = 1 },
                                 &error);
    if (!s.net) fail_msg("%s", error.message);
    return s;
}

static void sampling_close(sampling *s) {
    glia_function_free(s->net);
    glia_store_free(s->store);
    glia_backend_close(s->backend);
    glia_graph_free(s->graph);
}

/* Mean and variance that the sampler's factors give for the exact estimate, with all steps. */
static void expected(const glia_diffusion *d, const glia_diffusion_sample_opts *o, double *mean, double *variance) {
    *mean = 0, *variance = 1;
    for (int t = glia_diffusion_steps(d) - 1; t >= 0; t--) {
        const glia_diffusion_step s = glia_diffusion_at(d, t);
        const glia_diffusion_move m = glia_diffusion_move_of(o, s.signal, s.before);
        const double k = data_variance * sqrt(s.signal) / (s.signal * data_variance + 1 - s.signal);
        const double along = m.estimate * k + m.x;
        *mean = along * *mean + m.estimate * data_mean * (1 - k * sqrt(s.signal));
        *variance = along * along * *variance + m.noise * m.noise;
    }
}

static void check_gaussian(glia_diffusion_opts opts, glia_diffusion_sample_opts how, double near) {
    enum { N = 1000, SIZE = 8, ALL = N * SIZE };
    static float out[ALL];
    glia_diffusion *d = schedule(opts);
    sampling s = gaussian_net(d, SIZE, 2);
    how.limit = GLIA_ZERO;
    how.batch = 300;
    how.seed = 11;
    if (glia_diffusion_sample(d, s.net, N, GLIA_SHAPE(SIZE), how, out, &error)) fail_msg("%s", error.message);
    double sum = 0, squares = 0, mean, variance;
    for (int i = 0; i < ALL; i++) sum += (double)out[i];
    for (int i = 0; i < ALL; i++) squares += ((double)out[i] - sum / ALL) * ((double)out[i] - sum / ALL);
    const double spread = sqrt(data_variance / ALL), spread_of_variance = data_variance * sqrt(2.0 / ALL);
    ASSERT_NEAR(sum / ALL, data_mean, 4 * spread + near * data_mean);
    ASSERT_NEAR(squares / ALL, data_variance, 4 * spread_of_variance + near * data_variance);
    if (how.sampler != GLIA_DPM_SOLVER && !how.steps) {
        expected(d, &how, &mean, &variance);
        ASSERT_NEAR(sum / ALL, mean, 4 * spread);
        ASSERT_NEAR(squares / ALL, variance, 4 * spread_of_variance);
        ASSERT_NEAR(mean, data_mean, near * data_mean);
        ASSERT_NEAR(variance, data_variance, near * data_variance);
    }
    sampling_close(&s);
    glia_diffusion_free(d);
}

static void samplers_recover_gaussian_data(void **state) {
    (void)state;
    for (int k = 0; k < GLIA_PREDICTION_COUNT; k++) {
        const glia_diffusion_opts linear = { .steps = 400, .prediction = (glia_diffusion_prediction)k };
        const glia_diffusion_opts cosine = { .steps = 400,
                                             .schedule = GLIA_BETA_COSINE,
                                             .prediction = linear.prediction };
        check_gaussian(linear, (glia_diffusion_sample_opts){ .sampler = GLIA_DDPM }, 0.08);
        check_gaussian(cosine, (glia_diffusion_sample_opts){ .sampler = GLIA_DDPM }, 0.08);
        check_gaussian(linear, (glia_diffusion_sample_opts){ .sampler = GLIA_DDIM, .steps = 400 }, 0.03);
        check_gaussian(cosine, (glia_diffusion_sample_opts){ .sampler = GLIA_DDIM, .steps = 50 }, 0.08);
        check_gaussian(cosine, (glia_diffusion_sample_opts){ .sampler = GLIA_DDIM, .steps = 400, .eta = 0.5 }, 0.03);
        check_gaussian(cosine, (glia_diffusion_sample_opts){ .sampler = GLIA_DPM_SOLVER, .steps = 50 }, 0.03);
        check_gaussian(linear, (glia_diffusion_sample_opts){ .sampler = GLIA_DDPM, .large_variance = true }, 0.15);
    }
}

/* The deterministic samplers follow one ordinary differential equation, whose solution for Gaussian data is known:
 * x0 = m + s (x_T - sqrt(A_T) m) / sqrt(A_T s^2 + 1 - A_T). The second order's error falls with the square of the
 * steps. */
static double error_of(const glia_diffusion *d, const sampling *s, glia_diffusion_sampler sampler, int steps) {
    const float start[] = { -2, -0.5F, 0.25F, 1.5F };
    float out[4];
    glia_diffusion_sample_opts how = { .sampler = sampler, .steps = steps, .limit = GLIA_ZERO, .start = start };
    if (glia_diffusion_sample(d, s->net, 4, GLIA_SHAPE(1), how, out, &error)) fail_msg("%s", error.message);
    const double a = glia_diffusion_at(d, glia_diffusion_steps(d) - 1).signal;
    double worst = 0;
    for (int i = 0; i < 4; i++) {
        const double exact =
            data_mean + sqrt(data_variance / (a * data_variance + 1 - a)) * ((double)start[i] - sqrt(a) * data_mean);
        worst = fmax(worst, fabs((double)out[i] - exact));
    }
    return worst;
}

static void deterministic_samplers_converge_to_the_solution(void **state) {
    (void)state;
    glia_diffusion *d = schedule((glia_diffusion_opts){ .steps = 1000 });
    sampling s = gaussian_net(d, 1, 1);
    const double ddim20 = error_of(d, &s, GLIA_DDIM, 20), ddim80 = error_of(d, &s, GLIA_DDIM, 80);
    const double solver5 = error_of(d, &s, GLIA_DPM_SOLVER, 5), solver20 = error_of(d, &s, GLIA_DPM_SOLVER, 20);
    assert_true(ddim80 < ddim20 / 3 && ddim80 < 0.05);
    assert_true(solver20 < solver5 / 6 && solver20 < ddim20 / 10 && solver20 < 0.01);
    for (int steps = 990; steps <= 1000; steps++) assert_true(error_of(d, &s, GLIA_DPM_SOLVER, steps) < 0.002);
    sampling_close(&s);
    glia_diffusion_free(d);
}

/* ---- sampling ------------------------------------------------------------------------------- */

static glia_status count_steps(const glia_diffusion_progress *p, void *context, glia_error *e) {
    int *calls = context;
    assert_int_equal(p->steps, 5);
    assert_int_equal(p->step, *calls % 5 + 1);
    for (int64_t i = 0; i < p->n; i++) assert_true(p->x0[i] <= 0.25F && p->x0[i] >= -0.25F);
    (void)e;
    return ++*calls == 8 ? GLIA_E_INTERRUPTED : GLIA_OK;
}

static void samples_depend_on_seed_and_index_alone(void **state) {
    (void)state;
    enum { N = 9 };
    glia_diffusion *d = schedule((glia_diffusion_opts){ .steps = 12 });
    float out[5][N];
    const glia_diffusion_sample_opts how[5] = {
        { .seed = 5 }, { .seed = 5, .batch = 2 }, { .seed = 5 }, { .seed = 6 }, { .seed = 5, .steps = 11 }
    };
    for (int k = 0; k < 5; k++) {
        sampling s = gaussian_net(d, 1, k == 2 ? 3 : 1);
        if (glia_diffusion_sample(d, s.net, k == 2 ? N - 2 : N, GLIA_SHAPE(1), how[k], out[k], &error)) {
            fail_msg("%s", error.message);
        }
        sampling_close(&s);
    }
    assert_memory_equal(out[0], out[1], sizeof out[0]);
    assert_memory_equal(out[0], out[2], (N - 2) * sizeof(float));
    assert_memory_not_equal(out[0], out[3], sizeof out[0]);
    assert_memory_not_equal(out[0], out[4], sizeof out[0]);
    glia_diffusion_free(d);
}

static void a_watch_sees_every_step_and_may_stop(void **state) {
    (void)state;
    glia_diffusion *d = schedule((glia_diffusion_opts){ .steps = 12 });
    sampling s = gaussian_net(d, 1, 1);
    float out[6];
    int calls = 0;
    glia_diffusion_sample_opts how = {
        .sampler = GLIA_DDIM, .steps = 5, .batch = 3, .limit = 0.25, .watch = count_steps, .context = &calls
    };
    assert_int_equal(glia_diffusion_sample(d, s.net, 6, GLIA_SHAPE(1), how, out, &error), GLIA_E_INTERRUPTED);
    assert_int_equal(calls, 8);
    sampling_close(&s);
    glia_diffusion_free(d);
}

/* A net whose prediction of x0 is its condition: each sample gets its own. */
static void further_inputs_go_with_their_samples(void **state) {
    (void)state;
    enum { N = 5 };
    glia_diffusion *d = schedule((glia_diffusion_opts){ .steps = 4, .prediction = GLIA_PREDICT_SAMPLE });
    sampling s = { .graph = glia_graph_create() };
    glia_tensor x = glia_input(s.graph, "noisy", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 2));
    glia_tensor t = glia_input(s.graph, "step", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor wish = glia_input(s.graph, "wish", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 2));
    glia_tensor zero = glia_mul_scalar(glia_add(x, glia_reshape(glia_cast(t, GLIA_F32), GLIA_SHAPE(GLIA_BATCH, 1))), 0);
    const glia_tensor out[2] = { glia_add(wish, zero), x };
    s.backend = glia_backend_open("cpu", 1, &error);
    s.store = glia_store_create(s.graph, 1, &error);
    s.net = glia_function_create(s.graph, s.backend, s.store, (glia_function_opts){ .outputs = out, .n_outputs = 2 },
                                 &error);
    float wishes[N * 2], got[N * 2];
    for (int i = 0; i < N * 2; i++) wishes[i] = 0.05F * (float)i;
    const glia_array more = { .name = "wish", .dtype = GLIA_F32, .shape = GLIA_SHAPE(N, 2), .data = wishes };
    glia_diffusion_sample_opts how = { .x = "noisy", .t = "step", .inputs = &more, .n_inputs = 1, .batch = 2 };
    if (glia_diffusion_sample(d, s.net, N, GLIA_SHAPE(2), how, got, &error)) fail_msg("%s", error.message);
    for (int i = 0; i < N * 2; i++) ASSERT_NEAR(got[i], wishes[i], 1e-6);
    how.x = "nosy";
    assert_int_equal(glia_diffusion_sample(d, s.net, N, GLIA_SHAPE(2), how, got, &error), GLIA_E_NOT_FOUND);
    ASSERT_SAYS("did you mean 'noisy'");
    how.x = "noisy";
    assert_int_equal(glia_diffusion_sample(d, s.net, N + 1, GLIA_SHAPE(2), how, got, &error), GLIA_E_SHAPE);
    ASSERT_SAYS("input 0 is not (6, ...)");
    sampling_close(&s);
    glia_diffusion_free(d);
}

static void impossible_sampling_is_an_error(void **state) {
    (void)state;
    static const struct {
        glia_diffusion_sample_opts opts;
        const char *says;
    } cases[] = { { { .steps = 13 }, "13 steps of a schedule that has 12" },
                  { { .eta = 0.5 }, "ddpm has no eta" },
                  { { .sampler = GLIA_DDIM, .eta = 1.5 }, "not be 1.5" },
                  { { .sampler = GLIA_DDIM, .large_variance = true }, "ddim has no large_variance" },
                  { { .sampler = (glia_diffusion_sampler)8 }, "no sampler 8" },
                  { { .limit = -1 }, "within -1" } };
    glia_diffusion *d = schedule((glia_diffusion_opts){ .steps = 12 });
    sampling s = gaussian_net(d, 1, 1);
    float out[2];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(glia_diffusion_sample(d, s.net, 2, GLIA_SHAPE(1), cases[i].opts, out, &error),
                         GLIA_E_ARGUMENT);
        ASSERT_SAYS(cases[i].says);
    }
    assert_int_equal(glia_diffusion_sample(d, s.net, 2, GLIA_SHAPE(3), cases[0].opts, out, &error), GLIA_E_ARGUMENT);
    sampling_close(&s);
    glia_diffusion_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_schedule_is_the_papers),
        cmocka_unit_test(cosine_schedule_is_the_papers),
        cmocka_unit_test(posterior_is_the_product_of_gaussians),
        cmocka_unit_test(ddim_with_eta_one_is_ddpm),
        cmocka_unit_test(impossible_schedules_are_errors),
        cmocka_unit_test(predictions_convert_into_one_another),
        cmocka_unit_test(loss_is_the_mean_over_steps_and_noise),
        cmocka_unit_test(wrong_tensors_are_errors),
        cmocka_unit_test(samplers_recover_gaussian_data),
        cmocka_unit_test(deterministic_samplers_converge_to_the_solution),
        cmocka_unit_test(samples_depend_on_seed_and_index_alone),
        cmocka_unit_test(a_watch_sees_every_step_and_may_stop),
        cmocka_unit_test(further_inputs_go_with_their_samples),
        cmocka_unit_test(impossible_sampling_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
