/* test_vae.c - the variational bound by its formulas, the likelihood of models whose likelihood is known, what
 * autoencoders learn, and mistakes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "run_graph.h"

static glia_error error;

/* ---- formulas ----------------------------------------------------------------------------------- */

enum { ROWS = 2, COLUMNS = 3, CELLS = ROWS * COLUMNS };
static const double means[CELLS] = { 0.5, -1, 2, 0, 0.25, -0.125 }, logvars[CELLS] = { 0, -1, 0.5, 2, -3, 0.125 };

static void kl_and_its_gradient_follow_the_formula(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor mean = glia_constant(g, GLIA_F64, GLIA_SHAPE(ROWS, COLUMNS), means);
    glia_tensor logvar = glia_constant(g, GLIA_F64, GLIA_SHAPE(ROWS, COLUMNS), logvars);
    glia_tensor kl = glia_vae_kl(mean, logvar), leaves[] = { mean, logvar }, slopes[2];
    glia_grad(glia_sum(kl, GLIA_SCALAR, false), leaves, 2, slopes);
    double is[ROWS], of_mean[CELLS], of_logvar[CELLS];
    assert_int_equal(glia_eval(kl, is, ROWS, &error), GLIA_OK);
    assert_int_equal(glia_eval(slopes[0], of_mean, CELLS, &error), GLIA_OK);
    assert_int_equal(glia_eval(slopes[1], of_logvar, CELLS, &error), GLIA_OK);
    for (int r = 0; r < ROWS; r++) {
        double should = 0;
        for (int i = r * COLUMNS; i < (r + 1) * COLUMNS; i++) {
            should += 0.5 * (means[i] * means[i] + exp(logvars[i]) - 1 - logvars[i]);
            ASSERT_NEAR(of_mean[i], means[i], 1e-12);
            ASSERT_NEAR(of_logvar[i], 0.5 * (exp(logvars[i]) - 1), 1e-12);
        }
        ASSERT_NEAR(is[r], should, 1e-12);
    }
    glia_graph_free(g);
}

static void likelihoods_follow_their_formulas(void **state) {
    (void)state;
    const double x[CELLS] = { 1, 0, 0.25, 0, 1, 0.75 }, deviation = 0.7;
    for (int k = 0; k < GLIA_VAE_LIKELIHOODS; k++) {
        glia_graph *g = glia_graph_create();
        glia_tensor decoded = glia_constant(g, GLIA_F64, GLIA_SHAPE(ROWS, COLUMNS), means);
        glia_tensor real = glia_constant(g, GLIA_F64, GLIA_SHAPE(ROWS, COLUMNS), x);
        double is[ROWS];
        glia_tensor score = glia_vae_log_likelihood(decoded, real, (glia_vae_likelihood)k, deviation);
        assert_int_equal(glia_eval(score, is, ROWS, &error), GLIA_OK);
        for (int r = 0; r < ROWS; r++) {
            double should = 0;
            for (int i = r * COLUMNS; i < (r + 1) * COLUMNS; i++) {
                const double p = 1 / (1 + exp(-means[i])), d = (x[i] - means[i]) / deviation;
                should += k == GLIA_VAE_BERNOULLI ? x[i] * log(p) + (1 - x[i]) * log(1 - p)
                                                  : -0.5 * d * d - log(deviation * sqrt(2 * 3.14159265358979323846));
            }
            ASSERT_NEAR(is[r], should, 1e-10);
        }
        glia_graph_free(g);
    }
}

/* ---- a model whose likelihood is known -------------------------------------------------------------- */

/* x = w z + b + s e has the density N(b, w w^T + s^2), and z the posterior N(m, v) with v = 1 / (1 + |w|^2 / s^2) and
 * m = v w (x - b) / s^2. */
static const double w[2] = { 1.5, -0.5 }, b[2] = { 0.25, 1 }, s = 0.5;

/* The encoder gives the posterior with `off` added to its mean. */
static glia_model *linear_model(double off) {
    glia_model *model = glia_model_create("linear", NULL);
    glia_graph *g = glia_model_graph(model);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2));
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(1));
    const double v = 1 / (1 + (w[0] * w[0] + w[1] * w[1]) / (s * s));
    const double back[2] = { v * w[0] / (s * s), v * w[1] / (s * s) };
    glia_tensor shift = glia_constant(g, GLIA_F32, GLIA_SHAPE(2), b);
    glia_tensor mean = glia_matmul(glia_sub(x, shift), glia_constant(g, GLIA_F32, GLIA_SHAPE(2, 1), back));
    glia_model_output(model, "mean", glia_add_scalar(mean, off));
    glia_model_output(model, "logvar", glia_add_scalar(glia_mul_scalar(mean, 0), log(v)));
    glia_model_output(model, "decoded",
                      glia_add(glia_matmul(z, glia_constant(g, GLIA_F32, GLIA_SHAPE(1, 2), w)), shift));
    assert_int_equal(glia_model_set(model, "method", "vae", NULL), GLIA_OK);
    assert_int_equal(glia_model_set(model, "method.settings", "likelihood=gaussian stddev=0.5", NULL), GLIA_OK);
    return model;
}

static double log_density(const float *x) {
    const double a = w[0] * w[0] + s * s, c = w[1] * w[1] + s * s, d = w[0] * w[1], det = a * c - d * d;
    const double p = (double)x[0] - b[0], q = (double)x[1] - b[1];
    return -0.5 * (c * p * p - 2 * d * p * q + a * q * q) / det - 0.5 * log(det) - log(2 * 3.14159265358979323846);
}

static const float points[3][2] = { { 0, 0 }, { 1.5f, 0.5f }, { -1, 2.25f } };

static glia_vae_estimate estimate(double off, int64_t k, int threads) {
    glia_model *model = linear_model(off);
    glia_dataset *data = glia_data_arrays((glia_arrays){ .n = 3, .x = points, .x_shape = GLIA_SHAPE(2) }, NULL);
    glia_vae_estimate e;
    const glia_vae_estimate_opts opts = { .samples = k, .threads = threads };
    if (glia_vae_log_likelihood_of(model, data, opts, &e, &error) != GLIA_OK) fail_msg("%s", error.message);
    glia_data_free(data);
    glia_model_free(model);
    return e;
}

static double known(void) { return (log_density(points[0]) + log_density(points[1]) + log_density(points[2])) / 3; }

/* With q the posterior, each weight is p(x): exact from one draw, and the bound has no gap but its draws' noise. */
static void likelihood_with_the_true_posterior_is_exact(void **state) {
    (void)state;
    for (int64_t k = 1; k <= 1000; k *= 10) {
        const glia_vae_estimate e = estimate(0, k, 1);
        ASSERT_NEAR(e.log_likelihood, known(), 1e-5);
        if (k > 1) assert_true(e.sampling_error < 1e-5);
        assert_int_equal(e.samples, k);
        assert_int_equal(e.count, 3);
    }
    ASSERT_NEAR(estimate(0, 20000, 1).bound, known(), 0.02);
}

/* Off by one the bound's gap is the KL between the two: 1 / (2 v). The estimate still converges to the density. */
static void likelihood_converges_with_another_encoder(void **state) {
    (void)state;
    const double v = 1 / (1 + (w[0] * w[0] + w[1] * w[1]) / (s * s)), off = sqrt(v);
    const glia_vae_estimate few = estimate(off, 10, 1), many = estimate(off, 40000, 1);
    ASSERT_NEAR(many.bound, known() - 0.5, 0.03);
    ASSERT_NEAR(many.log_likelihood, known(), 5 * many.sampling_error);
    assert_true(many.sampling_error < 0.02);
    assert_true(few.sampling_error > many.sampling_error);
    const glia_vae_estimate again = estimate(off, 10, 3);
    assert_memory_equal(&few, &again, sizeof few);
}

/* ---- training ------------------------------------------------------------------------------------- */

static glia_model *digits_model(bool plain, int classes) {
    glia_model *model = glia_model_create("digits", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(4));
    glia_vae_opts opts = { .latent = 4, .units = { 64 }, .plain = plain };
    if (classes) {
        glia_tensor y = glia_model_input(model, "y", GLIA_I32, GLIA_SCALAR);
        opts.condition = glia_one_hot(y, classes, GLIA_F32);
        assert_int_equal(glia_model_set(model, "y.classes", "10", NULL), GLIA_OK);
    }
    const glia_vae_code code = glia_vae_dense_encoder(x, "encoder", opts);
    glia_model_output(model, "mean", code.mean);
    if (code.logvar) glia_model_output(model, "logvar", code.logvar);
    glia_model_output(model, "decoded", glia_vae_dense_decoder(z, "decoder", GLIA_SHAPE(1, 28, 28), opts));
    return model;
}

static double last_loss;
static glia_status keep(const glia_progress *p, void *context, glia_error *e) {
    (void)e;
    last_loss = p->train.loss;
    if (context) *(double *)context = p->validation.loss;
    return GLIA_OK;
}

static glia_status train(glia_model *model, glia_dataset *data, const char *settings, double *validation) {
    const glia_callback watch = { .epoch_end = keep, .context = validation };
    const glia_fit_opts o = { .epochs = 3,
                              .batch = 20,
                              .optimizer = { .kind = GLIA_ADAM, .lr = 3e-3 },
                              .validation = data,
                              .callbacks = &watch,
                              .n_callbacks = 1,
                              .threads = 1 };
    return glia_train(model, data, "vae", settings, o, &error);
}

static void autoencoders_learn_digits(void **state) {
    (void)state;
    static const struct {
        bool plain;
        int classes;
        const char *settings;
    } kinds[] = {
        { true, 0, NULL }, { true, 0, "corruption=masking" }, { false, 0, "binarize=true" }, { false, 10, "beta=2" }
    };
    glia_dataset *data = glia_data_strokes(400, 1, NULL);
    for (int k = 0; k < (int)(sizeof kinds / sizeof kinds[0]); k++) {
        glia_model *model = digits_model(kinds[k].plain, kinds[k].classes);
        double validation = 0;
        if (train(model, data, kinds[k].settings, &validation) != GLIA_OK) fail_msg("%s", error.message);
        assert_true(last_loss < 330); /* nats; 543 before training */
        assert_true(validation < last_loss + 10 && validation > 50);
        float *drawn = malloc(4 * 784 * sizeof *drawn);
        assert_non_null(drawn);
        const glia_status status = glia_sample(model, 4, (glia_sample_opts){ .threads = 1 }, drawn, &error);
        assert_int_equal(status, kinds[k].plain ? GLIA_E_UNSUPPORTED : GLIA_OK);
        for (int i = 0; !kinds[k].plain && i < 4 * 784; i++) assert_true(drawn[i] >= 0 && drawn[i] <= 1);
        free(drawn);
        glia_model_free(model);
    }
    glia_data_free(data);
}

static void walks_go_from_one_sample_to_the_next(void **state) {
    (void)state;
    enum { STEPS = 5, SIZE = 784 };
    glia_dataset *data = glia_data_strokes(100, 1, NULL);
    glia_model *model = digits_model(false, 0);
    assert_int_equal(train(model, data, NULL, NULL), GLIA_OK);
    float *ends = malloc(3 * SIZE * sizeof *ends), *walk = malloc(2 * STEPS * SIZE * sizeof *walk);
    assert_true(ends && walk);
    assert_int_equal(glia_sample(model, 3, (glia_sample_opts){ .threads = 1 }, ends, &error), GLIA_OK);
    const glia_sample_opts how = { .settings = "interpolate=5", .threads = 1 };
    assert_int_equal(glia_sample(model, 2 * STEPS, how, walk, &error), GLIA_OK);
    for (int i = 0; i < SIZE; i++) {
        ASSERT_NEAR(walk[i], ends[i], 1e-6);
        ASSERT_NEAR(walk[(STEPS - 1) * SIZE + i], ends[SIZE + i], 1e-5);
        ASSERT_NEAR(walk[(2 * STEPS - 1) * SIZE + i], ends[2 * SIZE + i], 1e-5);
    }
    free(ends);
    free(walk);
    glia_model_free(model);
    glia_data_free(data);
}

/* ---- mistakes --------------------------------------------------------------------------------------- */

static void assert_sample_fails(glia_model *model, const char *settings, const char *part) {
    float out[784];
    const glia_sample_opts how = { .settings = settings, .threads = 1 };
    assert_int_not_equal(glia_sample(model, 1, how, out, &error), GLIA_OK);
    ASSERT_SAYS(part);
}

static void mistakes_are_named(void **state) {
    (void)state;
    glia_dataset *data = glia_data_strokes(40, 1, NULL);
    glia_dataset *bare = glia_data_arrays((glia_arrays){ .n = 3, .x = points, .x_shape = GLIA_SHAPE(2) }, NULL);
    glia_model *with = digits_model(false, 10), *without = digits_model(false, 0);
    assert_int_equal(train(without, bare, NULL, NULL), GLIA_E_SHAPE);
    ASSERT_SAYS("but the model takes (1, 28, 28)");
    assert_int_equal(train(with, data, NULL, NULL), GLIA_OK);
    assert_int_equal(train(without, data, NULL, NULL), GLIA_OK);
    assert_sample_fails(with, "class=10", "there is no class 10: the model has 10");
    assert_sample_fails(without, "class=1", "trained without classes");
    assert_sample_fails(without, "klass=1", "did you mean 'class'");
    glia_vae_estimate e;
    const glia_vae_estimate_opts many = { .count = 41 };
    assert_int_equal(glia_vae_log_likelihood_of(without, data, many, &e, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_vae_log_likelihood_of(without, bare, (glia_vae_estimate_opts){ 0 }, &e, &error),
                     GLIA_E_SHAPE);
    assert_int_equal(glia_vae_log_likelihood_of(NULL, data, many, &e, &error), GLIA_E_ARGUMENT);
    glia_model *other = glia_model_create("other", NULL);
    assert_int_equal(glia_vae_log_likelihood_of(other, data, (glia_vae_estimate_opts){ 0 }, &e, &error),
                     GLIA_E_UNSUPPORTED);
    glia_model_free(other);
    glia_model_free(with);
    glia_model_free(without);
    glia_data_free(data);
    glia_data_free(bare);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kl_and_its_gradient_follow_the_formula),
        cmocka_unit_test(likelihoods_follow_their_formulas),
        cmocka_unit_test(likelihood_with_the_true_posterior_is_exact),
        cmocka_unit_test(likelihood_converges_with_another_encoder),
        cmocka_unit_test(autoencoders_learn_digits),
        cmocka_unit_test(walks_go_from_one_sample_to_the_next),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
