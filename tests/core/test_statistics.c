/* test_statistics.c - running statistics of batch norm: which programs update them, and how often. The expected values
 * follow PyTorch's rule in closed form: each forward pass in training mode does running = (1 - m) running + m batch,
 * with the unbiased variance, in the order of the passes.
 */
#include <math.h>
#include <stdio.h>

#include "core/graph/graph.h"
#include "glia/glia.h"
#include "run_graph.h"

enum { ROWS = 4, UNITS = 2 };

static const double first_batch[ROWS * UNITS] = { 1, -2, 3, 0.5, 0, 4, -1, 2 };
static const double second_batch[ROWS * UNITS] = { 0.25, 1, -3, 2, 5, 1.5, 2, -6 };

/* Updates mean and var as a forward pass on this batch. */
static void pass(const double *batch, double momentum, double mean[UNITS], double var[UNITS]) {
    for (int c = 0; c < UNITS; c++) {
        double m = 0, v = 0;
        for (int i = 0; i < ROWS; i++) m += batch[i * UNITS + c] / ROWS;
        for (int i = 0; i < ROWS; i++) v += (batch[i * UNITS + c] - m) * (batch[i * UNITS + c] - m) / (ROWS - 1);
        mean[c] = (1 - momentum) * mean[c] + momentum * m;
        var[c] = (1 - momentum) * var[c] + momentum * v;
    }
}

static void expect_statistics(const runner *r, const char *norm, const double mean[UNITS], const double var[UNITS]) {
    char name[64];
    double is[UNITS];
    snprintf(name, sizeof name, "%s/running_mean", norm);
    runner_leaf(r, name, is);
    for (int c = 0; c < UNITS; c++) {
        if (fabs(is[c] - mean[c]) > 1e-12) fail_msg("%s[%d] is %.15g, not %.15g", name, c, is[c], mean[c]);
    }
    snprintf(name, sizeof name, "%s/running_var", norm);
    runner_leaf(r, name, is);
    for (int c = 0; c < UNITS; c++) {
        if (fabs(is[c] - var[c]) > 1e-12) fail_msg("%s[%d] is %.15g, not %.15g", name, c, is[c], var[c]);
    }
}

static glia_tensor batch_input(glia_graph *g, const char *name) {
    return glia_input(g, name, GLIA_F64, GLIA_SHAPE(GLIA_BATCH, UNITS));
}

static runner open_with(glia_graph *g, glia_compile_opts opts) {
    glia_error error = { 0 };
    runner r = { .backend = glia_backend_open("ref", 1, &error), .store = glia_store_create(g, 1, &error) };
    opts.batch = ROWS;
    r.program = glia_compile(g, r.backend, opts, &error);
    if (!r.program) fail_msg("%s", error.message);
    r.session = glia_session_create(r.program, r.store, &error);
    if (!r.session) fail_msg("%s", error.message);
    return r;
}

/* ---- update counts --------------------------------------------------------------------------- */

static void shared_layer_updates_statistics_twice_in_order(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    const glia_norm_opts quarter = { .momentum = 0.25 };
    glia_tensor a = glia_batch_norm(batch_input(g, "a"), "bn", quarter);
    glia_tensor b = glia_batch_norm(batch_input(g, "b"), "bn", quarter), y = glia_add(b, a);
    runner r = open_with(g, (glia_compile_opts){ .outputs = &y, .n_outputs = 1, .mode = GLIA_TRAIN });
    double mean[UNITS] = { 0 }, var[UNITS] = { 1, 1 };
    runner_set(&r, "a", first_batch);
    runner_set(&r, "b", second_batch);
    for (int step = 0; step < 3; step++) {
        runner_run(&r);
        pass(first_batch, 0.25, mean, var);
        pass(second_batch, 0.25, mean, var);
        expect_statistics(&r, "bn", mean, var);
    }
    runner_close(&r);
    glia_graph_free(g);
}

/* Each use has its own momentum; two uses of an input are two passes. */
static void each_use_of_the_same_input_updates(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = batch_input(g, "x");
    glia_tensor a = glia_batch_norm(x, "bn", (glia_norm_opts){ .momentum = 0.5 });
    glia_tensor b = glia_batch_norm(x, "bn", (glia_norm_opts){ .momentum = 0.125 }), y = glia_mul(a, b);
    runner r = open_with(g, (glia_compile_opts){ .outputs = &y, .n_outputs = 1, .mode = GLIA_TRAIN });
    double mean[UNITS] = { 0 }, var[UNITS] = { 1, 1 };
    runner_set(&r, "x", first_batch);
    runner_run(&r);
    pass(first_batch, 0.5, mean, var);
    pass(first_batch, 0.125, mean, var);
    expect_statistics(&r, "bn", mean, var);
    runner_close(&r);
    glia_graph_free(g);
}

/* ---- updating programs ----------------------------------------------------------------------- */

/* A generator G and a critic D, each with batch norm; D is applied to real and generated rows. */
typedef struct adversaries {
    glia_graph *g;
    glia_tensor fake, critic_loss, generator_loss;
} adversaries;

static glia_tensor critic(glia_tensor x) {
    glia_tensor h = glia_tanh(glia_batch_norm(x, "D/bn", (glia_norm_opts){ 0 }));
    return glia_mean(glia_dense(h, "D/out", (glia_dense_opts){ .units = 1 }), GLIA_SCALAR, false);
}

static adversaries adversaries_create(void) {
    adversaries a = { .g = glia_graph_create() };
    glia_tensor real = batch_input(a.g, "real"), noise = batch_input(a.g, "noise");
    glia_dense_opts as_it_is = { .units = UNITS, .kernel_init = { .kind = GLIA_INIT_ORTHOGONAL } };
    a.fake = glia_dense(glia_tanh(glia_batch_norm(noise, "G/bn", (glia_norm_opts){ 0 })), "G/out", as_it_is);
    glia_tensor of_fake = critic(glia_stop_gradient(a.fake));
    a.critic_loss = glia_sub(of_fake, critic(real));
    a.generator_loss = glia_neg(critic(a.fake));
    glia_minimize(a.critic_loss, (glia_optimizer){ .lr = 0.01 }, "D/*", "critic");
    glia_minimize(a.generator_loss, (glia_optimizer){ .lr = 0.01 }, "G/*", "generator");
    glia_error error;
    if (glia_graph_check(a.g, &error) != GLIA_OK) fail_msg("%s", error.message);
    return a;
}

static void feed(runner *r) {
    glia_array a;
    if (glia_session_input(r->session, "real", &a, NULL)) runner_set(r, "real", first_batch);
    if (glia_session_input(r->session, "noise", &a, NULL)) runner_set(r, "noise", second_batch);
}

/* A step of one group updates the statistics computed by its loss, not by the other group's. */
static void step_updates_statistics_of_its_forward_passes(void **state) {
    (void)state;
    adversaries a = adversaries_create();
    const double zero[UNITS] = { 0 }, one[UNITS] = { 1, 1 };
    double fake[ROWS * UNITS], mean[UNITS] = { 0 }, var[UNITS] = { 1, 1 }, g_mean[UNITS] = { 0 },
                               g_var[UNITS] = { 1, 1 };

    runner step = open_with(
        a.g, (glia_compile_opts){ .outputs = &a.fake, .n_outputs = 1, .mode = GLIA_TRAIN, .updates = "critic" });
    feed(&step);
    runner_run(&step);
    runner_get(&step, 0, fake);
    pass(fake, 0.1, mean, var); /* critic(fake), then critic(real): the third use is the generator's */
    pass(first_batch, 0.1, mean, var);
    expect_statistics(&step, "D/bn", mean, var);
    pass(second_batch, 0.1, g_mean, g_var);
    expect_statistics(&step, "G/bn", g_mean, g_var);
    runner_close(&step);

    step = open_with(a.g, (glia_compile_opts){ .mode = GLIA_TRAIN, .updates = "critic", .statistics = "D/*" });
    feed(&step);
    runner_run(&step);
    expect_statistics(&step, "D/bn", mean, var);
    expect_statistics(&step, "G/bn", zero, one);
    runner_close(&step);

    step = open_with(a.g, (glia_compile_opts){ .mode = GLIA_TRAIN, .updates = "generator", .statistics = "" });
    feed(&step);
    runner_run(&step);
    expect_statistics(&step, "D/bn", zero, one);
    expect_statistics(&step, "G/bn", zero, one);
    runner_close(&step);

    double d_mean[UNITS] = { 0 }, d_var[UNITS] = { 1, 1 };
    step = open_with(a.g, (glia_compile_opts){ .mode = GLIA_TRAIN, .updates = "generator" });
    feed(&step);
    runner_run(&step);
    pass(fake, 0.1, d_mean, d_var);
    expect_statistics(&step, "D/bn", d_mean, d_var);
    expect_statistics(&step, "G/bn", g_mean, g_var);
    runner_close(&step);
    glia_graph_free(a.g);
}

/* Computing only a gradient skips the layer's result, but not its forward pass. */
static void gradient_updates_statistics(void **state) {
    (void)state;
    for (int twice = 0; twice < 2; twice++) {
        glia_graph *g = glia_graph_create();
        glia_tensor x = batch_input(g, "x"), y = glia_batch_norm(x, "bn", (glia_norm_opts){ 0 }), d;
        if (twice) y = glia_add(y, glia_batch_norm(x, "bn", (glia_norm_opts){ 0 }));
        glia_vjp(y, glia_mul(x, x), &x, 1, &d);
        runner r = open_with(g, (glia_compile_opts){ .outputs = &d, .n_outputs = 1, .mode = GLIA_TRAIN });
        double mean[UNITS] = { 0 }, var[UNITS] = { 1, 1 };
        runner_set(&r, "x", first_batch);
        runner_run(&r);
        for (int i = 0; i <= twice; i++) pass(first_batch, 0.1, mean, var);
        expect_statistics(&r, "bn", mean, var);
        runner_close(&r);
        glia_graph_free(g);
    }
}

/* Statistics that a program does not compute are unchanged, as are all in inference. */
static void statistics_without_forward_pass_are_unchanged(void **state) {
    (void)state;
    const double zero[UNITS] = { 0 }, one[UNITS] = { 1, 1 };
    for (int mode = 0; mode < 2; mode++) {
        glia_graph *g = glia_graph_create();
        glia_tensor x = batch_input(g, "x"), y = glia_batch_norm(x, "other", (glia_norm_opts){ 0 }), z = glia_exp(x);
        if (mode == 0) z = y;
        runner r =
            open_with(g, (glia_compile_opts){ .outputs = &z, .n_outputs = 1, .mode = mode ? GLIA_TRAIN : GLIA_INFER });
        runner_set(&r, "x", first_batch);
        runner_run(&r);
        expect_statistics(&r, "other", zero, one);
        runner_close(&r);
        glia_graph_free(g);
    }
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void expect_refusal(glia_graph *g, glia_compile_opts opts, const char *words) {
    glia_error error = { 0 };
    glia_backend *backend = glia_backend_open("ref", 1, &error);
    opts.batch = ROWS;
    assert_null(glia_compile(g, backend, opts, &error));
    assert_int_equal(error.status, GLIA_E_ARGUMENT);
    if (!strstr(error.message, words)) fail_msg("'%s' is not in '%s'", words, error.message);
    glia_backend_close(backend);
}

static void errors_are_reported(void **state) {
    (void)state;
    adversaries a = adversaries_create();
    glia_compile_opts opts = { .mode = GLIA_TRAIN, .updates = "critic", .statistics = "E/*" };
    expect_refusal(a.g, opts, "no running statistic matches 'E/*'");
    opts = (glia_compile_opts){ .outputs = &a.fake, .n_outputs = 1, .statistics = "D/*" };
    expect_refusal(a.g, opts, "training mode");
    glia_tensor mean = glia_graph_find_leaf(a.g, "G/bn/running_mean");
    glia_update(mean, glia_mul_scalar(mean, 0.5), "generator");
    opts = (glia_compile_opts){ .mode = GLIA_TRAIN, .updates = "generator" };
    expect_refusal(a.g, opts, "'G/bn/running_mean'");
    opts.statistics = "D/*";
    runner r = open_with(a.g, opts);
    runner_close(&r);
    glia_graph_free(a.g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_layer_updates_statistics_twice_in_order),
        cmocka_unit_test(each_use_of_the_same_input_updates),
        cmocka_unit_test(step_updates_statistics_of_its_forward_passes),
        cmocka_unit_test(gradient_updates_statistics),
        cmocka_unit_test(statistics_without_forward_pass_are_unchanged),
        cmocka_unit_test(errors_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
