/* test_gan.c - losses of adversarial nets, the gradient penalty, clipped weights, and nets against PyTorch's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "golden_net.h"
#include "run_graph.h"

static glia_error error;

/* ---- losses --------------------------------------------------------------------------------- */

enum { SCORES = 4 };
static const double real_scores[SCORES] = { 0.5, -2, 3, 0.25 }, fake_scores[SCORES] = { -0.5, 1.5, -3, 40 };

static double softplus(double x) { return log1p(exp(-fabs(x))) + (x > 0 ? x : 0); }

/* A loss by its formula for one real and one generated score. */
static double critic_by_formula(glia_gan_loss loss, double r, double f) {
    switch (loss) {
    case GLIA_GAN_NON_SATURATING: return softplus(-r) + softplus(f);
    case GLIA_GAN_WASSERSTEIN: return f - r;
    case GLIA_GAN_HINGE: return fmax(0, 1 - r) + fmax(0, 1 + f);
    default: return (r - 1) * (r - 1) / 2 + f * f / 2;
    }
}
static double generator_by_formula(glia_gan_loss loss, double f) {
    switch (loss) {
    case GLIA_GAN_NON_SATURATING: return softplus(-f);
    case GLIA_GAN_LEAST_SQUARES: return (f - 1) * (f - 1) / 2;
    default: return -f;
    }
}

static void losses_follow_their_formulas(void **state) {
    (void)state;
    for (int k = 0; k < GLIA_GAN_LOSS_COUNT; k++) {
        glia_graph *g = glia_graph_create();
        glia_tensor r = glia_constant(g, GLIA_F64, GLIA_SHAPE(SCORES), real_scores);
        glia_tensor f = glia_constant(g, GLIA_F64, GLIA_SHAPE(SCORES), fake_scores);
        double critic, generator, critic_wanted = 0, generator_wanted = 0;
        for (int i = 0; i < SCORES; i++) {
            critic_wanted += critic_by_formula((glia_gan_loss)k, real_scores[i], fake_scores[i]) / SCORES;
            generator_wanted += generator_by_formula((glia_gan_loss)k, fake_scores[i]) / SCORES;
        }
        assert_int_equal(glia_eval(glia_gan_critic_loss(r, f, (glia_gan_loss)k), &critic, 1, &error), GLIA_OK);
        assert_int_equal(glia_eval(glia_gan_generator_loss(f, (glia_gan_loss)k), &generator, 1, &error), GLIA_OK);
        ASSERT_NEAR(critic, critic_wanted, 1e-12);
        ASSERT_NEAR(generator, generator_wanted, 1e-12);
        assert_non_null(glia_gan_loss_name((glia_gan_loss)k));
        glia_graph_free(g);
    }
    assert_null(glia_gan_loss_name(GLIA_GAN_LOSS_COUNT));
}

static void unknown_losses_are_errors(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor s = glia_input(g, "s", GLIA_F32, GLIA_SHAPE(GLIA_BATCH));
    glia_gan_critic_loss(s, s, (glia_gan_loss)17);
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("17");
    glia_graph_free(g);
}

/* ---- known games ---------------------------------------------------------------------------- */

/* Two places: data are at them with the shares 3/4 and 1/4, samples with 1/4 and 3/4. The best critic says log p / q
 * (Goodfellow et al. 2014, proposition 1): its loss is 2 log 2 - 2 JS(p, q), and the generator's exceeds E -log(1 - D)
 * by KL(q, p). */
static void the_best_critic_measures_divergences(void **state) {
    (void)state;
    const double s = log(3), real[4] = { s, s, s, -s }, fake[4] = { s, -s, -s, -s };
    const double kl = 0.5 * log(3), middle = 0.75 * log(1.5) + 0.25 * log(0.5); /* KL of either from the mixture */
    glia_graph *g = glia_graph_create();
    glia_tensor r = glia_constant(g, GLIA_F64, GLIA_SHAPE(4), real),
                f = glia_constant(g, GLIA_F64, GLIA_SHAPE(4), fake);
    double critic, generator, saturating;
    assert_int_equal(glia_eval(glia_gan_critic_loss(r, f, GLIA_GAN_NON_SATURATING), &critic, 1, &error), GLIA_OK);
    assert_int_equal(glia_eval(glia_gan_generator_loss(f, GLIA_GAN_NON_SATURATING), &generator, 1, &error), GLIA_OK);
    assert_int_equal(glia_eval(glia_mean(glia_softplus(f), GLIA_SCALAR, false), &saturating, 1, &error), GLIA_OK);
    ASSERT_NEAR(critic, 2 * log(2) - 2 * middle, 1e-12);
    ASSERT_NEAR(generator, saturating + kl, 1e-12);
    glia_graph_free(g);
}

/* W(N(0, 1), N(2, 1)) = 2, and the best critic of slope 1 is linear: here its weight is clipped to [-1, 1]. */
static void a_clipped_critic_measures_the_distance_of_gaussians(void **state) {
    (void)state;
    enum { POINTS = 20000, STEPS_OF_CRITIC = 40 };
    glia_graph *g = glia_graph_create();
    glia_tensor fake = glia_random_normal(g, GLIA_SHAPE(GLIA_BATCH, 1));
    glia_tensor real = glia_add_scalar(glia_random_normal(g, GLIA_SHAPE(GLIA_BATCH, 1)), 2);
    const glia_gan_dense_opts linear = { .layers = GLIA_NONE };
    glia_tensor loss = glia_gan_critic_loss(glia_gan_dense_critic(real, "critic", linear),
                                            glia_gan_dense_critic(fake, "critic", linear), GLIA_GAN_WASSERSTEIN);
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_SGD, .lr = 0.1 }, "critic*", "critic");
    assert_int_equal(glia_gan_clip_weights(g, "critic*", 1, "critic"), 2);
    runner r = runner_open(g, &loss, 1, GLIA_TRAIN, POINTS, 5);
    double is = 0;
    for (int i = 0; i < STEPS_OF_CRITIC; i++) runner_run(&r);
    assert_int_equal(runner_get(&r, 0, &is), 1);
    ASSERT_NEAR(-is, 2, 0.04);
    runner_close(&r);
    glia_graph_free(g);
}

/* ---- gradient penalty ----------------------------------------------------------------------- */

enum { ROWS = 3, COLUMNS = 2 };
static const double points[ROWS * COLUMNS] = { 1, 2, -0.5, 0.25, 3, -1 };

/* A critic a . x^2 has the gradient 2 a x; at e x + (1 - e) x = x the penalty is known, and so is its gradient in a. */
static void penalty_of_a_quadratic_critic_is_exact(void **state) {
    (void)state;
    const double a[COLUMNS] = { 0.7, -0.3 };
    for (int one_sided = 0; one_sided < 2; one_sided++) {
        glia_graph *g = glia_graph_create();
        glia_tensor x = glia_constant(g, GLIA_F64, GLIA_SHAPE(ROWS, COLUMNS), points);
        glia_tensor w = glia_constant(g, GLIA_F64, GLIA_SHAPE(COLUMNS), a);
        glia_tensor score = glia_sum(glia_mul(glia_square(x), w), GLIA_SHAPE(1), false);
        glia_gradient_penalty_opts how = { .norm = 1.5, .one_sided = one_sided };
        glia_tensor penalty = glia_gradient_penalty(score, x, x, x, how), slope;
        glia_grad(penalty, &w, 1, &slope);
        double is, slopes[COLUMNS], should = 0, should_slope[COLUMNS] = { 0 };
        for (int i = 0; i < ROWS; i++) {
            const double *p = points + i * COLUMNS;
            const double norm = 2 * hypot(a[0] * p[0], a[1] * p[1]);
            if (one_sided && norm < 1.5) continue;
            should += (norm - 1.5) * (norm - 1.5) / ROWS;
            for (int k = 0; k < COLUMNS; k++)
                should_slope[k] += 2 * (norm - 1.5) * 4 * a[k] * p[k] * p[k] / norm / ROWS;
        }
        assert_int_equal(glia_eval(penalty, &is, 1, &error), GLIA_OK);
        assert_int_equal(glia_eval(slope, slopes, COLUMNS, &error), GLIA_OK);
        ASSERT_NEAR(is, should, 1e-10);
        for (int k = 0; k < COLUMNS; k++) ASSERT_NEAR(slopes[k], should_slope[k], 1e-10);
        glia_graph_free(g);
    }
}

/* Between (1, 1) and (0, 0) the point is (e, e), the gradient of |x|^2 / 2 there too: the mean of 2 e^2 is 2/3, that of
 * (sqrt(2) e - 1)^2 is 5/3 - sqrt(2), if e is one uniform number for a sample. */
static void points_lie_uniformly_between_real_and_generated(void **state) {
    (void)state;
    enum { N = 1 << 15 };
    const glia_gradient_penalty_opts how[2] = { { .norm = GLIA_ZERO }, { .norm = 0 } };
    const double wanted[2] = { 2.0 / 3, 5.0 / 3 - 1.4142135623730951 };
    for (int k = 0; k < 2; k++) {
        glia_graph *g = glia_graph_create();
        glia_tensor zero = glia_broadcast(glia_scalar(g, GLIA_F32, 0), GLIA_SHAPE(GLIA_BATCH, 2));
        glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 2));
        glia_tensor score = glia_mul_scalar(glia_sum(glia_square(x), GLIA_SHAPE(1), true), 0.5);
        glia_tensor penalty = glia_gradient_penalty(score, x, glia_like(x, 1), zero, how[k]);
        runner r = runner_open(g, &penalty, 1, GLIA_TRAIN, N, 5);
        double is;
        runner_run(&r);
        runner_get(&r, 0, &is);
        ASSERT_NEAR(is, wanted[k], 5 * 0.6 / sqrt(N));
        runner_close(&r);
        glia_graph_free(g);
    }
}

/* The penalty's gradient in every weight of a critic, against differences; second derivatives of what critics are made
 * of. */
static void check_penalty_slopes(glia_tensor (*critic)(glia_tensor x), glia_shape shape) {
    glia_graph *g = glia_graph_create();
    glia_tensor real = glia_random_normal(g, shape), fake = glia_cast(glia_random_normal(g, shape), GLIA_F64);
    real = glia_cast(real, GLIA_F64);
    glia_tensor xs[32], out[33],
        penalty = glia_gradient_penalty(critic(real), real, real, fake, (glia_gradient_penalty_opts){ .norm = 0 });
    const int n = glia_parameters(g, NULL, xs, 32);
    assert_true(n > 0 && n <= 32);
    out[0] = penalty;
    glia_grad(penalty, xs, n, out + 1);
    runner r = runner_open(g, out, n + 1, GLIA_INFER, shape.dim[0], 3);
    glia_array random, a;
    assert_true(glia_store_find(r.store, "rng", &random));
    int64_t begin[2];
    memcpy(begin, random.data, sizeof begin);
    static double slopes[4096];
    for (int k = 0; k < n; k++) {
        assert_true(glia_store_find(r.store, glia_leaf_of(xs[k])->name, &a));
        double *w = a.data;
        const int64_t last = glia_shape_count(a.shape) - 1;
        for (int64_t i = 0; i <= last; i += last / 2 + 1) {
            double up, down;
            const double w0 = w[i], h = 1e-5;
            w[i] = w0 + h, memcpy(random.data, begin, sizeof begin), runner_run(&r), runner_get(&r, 0, &up);
            w[i] = w0 - h, memcpy(random.data, begin, sizeof begin), runner_run(&r), runner_get(&r, 0, &down);
            w[i] = w0, memcpy(random.data, begin, sizeof begin), runner_run(&r), runner_get(&r, k + 1, slopes);
            const double wanted = (up - down) / (2 * h);
            if (fabs(slopes[i] - wanted) > 1e-5 * fmax(1, fabs(wanted))) {
                fail_msg("%s[%d]: %.10g, by differences %.10g", a.name, (int)i, slopes[i], wanted);
            }
        }
    }
    runner_close(&r);
    glia_graph_free(g);
}

static glia_tensor dense_critic(glia_tensor x) {
    return glia_gan_dense_critic(x, "c", (glia_gan_dense_opts){ .units = 9, .activation = GLIA_TANH });
}
static glia_tensor leaky_critic(glia_tensor x) {
    return glia_gan_dense_critic(x, "c", (glia_gan_dense_opts){ .units = 9, .layers = 2 });
}
static glia_tensor layer_critic(glia_tensor x) {
    const glia_init init = { .kind = GLIA_INIT_NORMAL, .stddev = 0.4 };
    return glia_dcgan_critic(x, "c",
                             (glia_dcgan_opts){ .filters = 2, .norm = GLIA_GAN_LAYER_NORM, .kernel_init = init });
}
static glia_tensor group_critic(glia_tensor x) {
    const glia_init init = { .kind = GLIA_INIT_NORMAL, .stddev = 0.4 };
    return glia_dcgan_critic(
        x, "c", (glia_dcgan_opts){ .filters = 2, .norm = GLIA_GAN_GROUP_NORM, .groups = 2, .kernel_init = init });
}

static void penalty_gradients_agree_with_differences(void **state) {
    (void)state;
    check_penalty_slopes(dense_critic, GLIA_SHAPE(4, 3));
    check_penalty_slopes(leaky_critic, GLIA_SHAPE(4, 3));
    check_penalty_slopes(layer_critic, GLIA_SHAPE(2, 1, 16, 16));
    check_penalty_slopes(group_critic, GLIA_SHAPE(2, 1, 16, 16));
}

static void batch_norm_under_a_penalty_is_an_error(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 1, 16, 16));
    glia_tensor z = glia_random_normal(g, GLIA_SHAPE(GLIA_BATCH, 4));
    /* The generator's norms are not between x and the score. */
    glia_tensor fake = glia_dcgan_generator(z, "g", GLIA_SHAPE(1, 16, 16), (glia_dcgan_opts){ .filters = 2 });
    glia_tensor score = glia_dcgan_critic(fake, "c", (glia_dcgan_opts){ .filters = 2, .norm = GLIA_GAN_NO_NORM });
    glia_gradient_penalty(score, fake, x, fake, (glia_gradient_penalty_opts){ .norm = 0 });
    assert_int_equal(glia_graph_check(g, &error), GLIA_OK);
    score = glia_dcgan_critic(x, "d", (glia_dcgan_opts){ .filters = 2 });
    glia_gradient_penalty(score, x, x, fake, (glia_gradient_penalty_opts){ .norm = 0 });
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("d/norm2");
    glia_graph_free(g);
}

static void penalty_of_wrong_shapes_is_an_error(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 2));
    glia_tensor y = glia_input(g, "y", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 3));
    glia_gradient_penalty(glia_sum(x, GLIA_SHAPE(1), false), x, y, x, (glia_gradient_penalty_opts){ .norm = 0 });
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_SHAPE);
    ASSERT_SAYS("real is f32(N, 3), but x is f32(N, 2)");
    glia_graph_free(g);
    g = glia_graph_create();
    x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 2));
    glia_gradient_penalty(x, x, x, x, (glia_gradient_penalty_opts){ .norm = 0 });
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_SHAPE);
    ASSERT_SAYS("one number for each sample");
    glia_graph_free(g);
}

/* ---- clipped weights ------------------------------------------------------------------------ */

static void clipped_weights_stay_within_the_limit(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_random_normal(g, GLIA_SHAPE(GLIA_BATCH, 3));
    glia_tensor score = glia_gan_dense_critic(x, "critic", (glia_gan_dense_opts){ .units = 8, .layers = 1 });
    glia_tensor loss = glia_neg(glia_mean(score, GLIA_SCALAR, false));
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_RMSPROP, .lr = 0.5 }, "critic*", "critic");
    assert_int_equal(glia_gan_clip_weights(g, "critic/*kernel", 0.01, "critic"), 2);
    runner r = runner_open(g, &loss, 1, GLIA_TRAIN, 4, 1);
    double w[64];
    runner_run(&r);
    int at_limit = 0;
    for (int64_t i = runner_leaf(&r, "critic/dense1/kernel", w); i-- > 0;) {
        assert_true(fabs(w[i]) <= (double)0.01f);
        at_limit += fabs(w[i]) == (double)0.01f;
    }
    assert_true(at_limit > 0);
    runner_leaf(&r, "critic/score/bias", w);
    assert_true(fabs(w[0]) > 0.01); /* not in the pattern */
    runner_close(&r);
    assert_int_equal(glia_gan_clip_weights(g, "critc*", 0.01, "critic"), 0);
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_NOT_FOUND);
    ASSERT_SAYS("critc*");
    glia_graph_free(g);
}

/* ---- nets ----------------------------------------------------------------------------------- */

static glia_tensor golden_generator(glia_graph *g) {
    return glia_dcgan_generator(glia_input(g, "z", GLIA_F32, GLIA_SHAPE(3, 5)), "g", GLIA_SHAPE(1, 28, 28),
                                (glia_dcgan_opts){ .filters = 3 });
}
static glia_tensor golden_critic(glia_graph *g, glia_gan_norm norm) {
    return glia_dcgan_critic(glia_input(g, "x", GLIA_F32, GLIA_SHAPE(3, 3, 16, 16)), "c",
                             (glia_dcgan_opts){ .filters = 2, .norm = norm });
}
static glia_tensor golden_plain(glia_graph *g) {
    return glia_dcgan_critic(glia_input(g, "x", GLIA_F32, GLIA_SHAPE(3, 2, 16, 8)), "c",
                             (glia_dcgan_opts){ .filters = 4, .kernel = 6 });
}
static glia_tensor golden_batch(glia_graph *g) { return golden_critic(g, GLIA_GAN_BATCH_NORM); }
static glia_tensor golden_layer(glia_graph *g) { return golden_critic(g, GLIA_GAN_LAYER_NORM); }
static glia_tensor golden_instance(glia_graph *g) { return golden_critic(g, GLIA_GAN_INSTANCE_NORM); }

static void nets_agree_with_pytorch(void **state) {
    (void)state;
    static const struct {
        const char *name;
        glia_tensor (*build)(glia_graph *g);
    } cases[] = { { "dcgan_generator", golden_generator },
                  { "dcgan_critic_plain", golden_plain },
                  { "dcgan_critic_batch", golden_batch },
                  { "dcgan_critic_layer", golden_layer },
                  { "dcgan_critic_instance", golden_instance } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[512];
        snprintf(path, sizeof path, GLIA_GOLDEN_DIR "/generative/%s.safetensors", cases[i].name);
        golden_check(path, cases[i].build, "ref", 2e-6);
        golden_check(path, cases[i].build, "cpu", 2e-5);
    }
}

static void pictures_of_all_sizes_have_their_shapes(void **state) {
    (void)state;
    static const struct {
        int64_t channels, size, smallest;
        int doublings;
    } cases[] = {
        { 1, 28, 7, 2 }, { 3, 28, 7, 2 }, { 1, 32, 4, 3 }, { 3, 32, 4, 3 }, { 3, 64, 4, 4 }, { 1, 14, 7, 1 }
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const glia_shape picture = GLIA_SHAPE(cases[i].channels, cases[i].size, cases[i].size);
        glia_graph *g = glia_graph_create();
        glia_tensor z = glia_random_normal(g, GLIA_SHAPE(GLIA_BATCH, 10));
        glia_tensor x = glia_dcgan_generator(z, "g", picture, (glia_dcgan_opts){ .filters = 8 });
        glia_tensor score = glia_dcgan_critic(x, "c", (glia_dcgan_opts){ .filters = 8 });
        if (glia_graph_check(g, &error)) fail_msg("%s", error.message);
        assert_true(glia_shape_equal(glia_tensor_shape(x),
                                     GLIA_SHAPE(GLIA_BATCH, picture.dim[0], picture.dim[1], picture.dim[2])));
        assert_true(glia_shape_equal(glia_tensor_shape(score), GLIA_SHAPE(GLIA_BATCH)));
        glia_tensor project;
        char kernel[] = "g/project/kernel";
        assert_int_equal(glia_parameters(g, kernel, &project, 1), 1);
        const int64_t filters = 8 << (cases[i].doublings - 1), s = cases[i].smallest;
        assert_true(glia_shape_equal(glia_tensor_shape(project), GLIA_SHAPE(filters * s * s, 10)));
        glia_graph_free(g);
    }
}

static void dcgan_begins_as_the_paper_says(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor z = glia_random_normal(g, GLIA_SHAPE(GLIA_BATCH, 100));
    glia_dcgan_generator(z, "g", GLIA_SHAPE(1, 28, 28), (glia_dcgan_opts){ 0 });
    glia_store *store = glia_store_create(g, 1, &error);
    glia_array a;
    assert_true(glia_store_find(store, "g/up1/kernel", &a));
    double sum = 0, squares = 0;
    const int64_t n = glia_shape_count(a.shape);
    assert_int_equal(n, 128 * 64 * 4 * 4);
    for (int64_t i = 0; i < n; i++) {
        const double w = (double)((const float *)a.data)[i];
        sum += w, squares += w * w;
    }
    ASSERT_NEAR(sum / (double)n, 0, 5 * 0.02 / sqrt((double)n));
    ASSERT_NEAR(sqrt(squares / (double)n), 0.02, 5 * 0.02 / sqrt(2 * (double)n));
    glia_store_free(store);
    glia_graph_free(g);
}

static void dense_nets_have_their_shapes(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor z = glia_random_normal(g, GLIA_SHAPE(GLIA_BATCH, 5));
    glia_tensor x = glia_gan_dense_generator(z, "g", GLIA_SHAPE(1, 8, 8), (glia_gan_dense_opts){ .units = 16 });
    glia_tensor score = glia_gan_dense_critic(x, "c", (glia_gan_dense_opts){ .units = 16, .layers = GLIA_NONE });
    assert_int_equal(glia_graph_check(g, &error), GLIA_OK);
    assert_true(glia_shape_equal(glia_tensor_shape(x), GLIA_SHAPE(GLIA_BATCH, 1, 8, 8)));
    assert_true(glia_shape_equal(glia_tensor_shape(score), GLIA_SHAPE(GLIA_BATCH)));
    assert_int_equal(glia_parameters(g, "g*", NULL, 0), 8);
    assert_int_equal(glia_parameters(g, "c*", NULL, 0), 2);
    glia_graph_free(g);
}

static void impossible_pictures_are_errors(void **state) {
    (void)state;
    static const struct {
        glia_shape picture;
        glia_dcgan_opts opts;
        const char *says;
    } cases[] = { { { 3, { 1, 27, 27 } }, { 0 }, "H and W even and at least 8" },
                  { { 2, { 28, 28 } }, { 0 }, "(C, H, W)" },
                  { { 3, { 1, 28, 28 } }, { .kernel = 5 }, "must be even" },
                  { { 3, { 1, 28, 28 } }, { .filters = -1 }, "-1 filters" },
                  { { 3, { 1, 28, 28 } }, { .norm = (glia_gan_norm)9 }, "no norm 9" } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        glia_graph *g = glia_graph_create();
        glia_dcgan_generator(glia_random_normal(g, GLIA_SHAPE(GLIA_BATCH, 4)), "net", cases[i].picture, cases[i].opts);
        assert_int_not_equal(glia_graph_check(g, &error), GLIA_OK);
        ASSERT_SAYS(cases[i].says);
        ASSERT_SAYS("net");
        glia_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_follow_their_formulas),
        cmocka_unit_test(unknown_losses_are_errors),
        cmocka_unit_test(the_best_critic_measures_divergences),
        cmocka_unit_test(a_clipped_critic_measures_the_distance_of_gaussians),
        cmocka_unit_test(penalty_of_a_quadratic_critic_is_exact),
        cmocka_unit_test(points_lie_uniformly_between_real_and_generated),
        cmocka_unit_test(penalty_gradients_agree_with_differences),
        cmocka_unit_test(batch_norm_under_a_penalty_is_an_error),
        cmocka_unit_test(penalty_of_wrong_shapes_is_an_error),
        cmocka_unit_test(clipped_weights_stay_within_the_limit),
        cmocka_unit_test(nets_agree_with_pytorch),
        cmocka_unit_test(pictures_of_all_sizes_have_their_shapes),
        cmocka_unit_test(dcgan_begins_as_the_paper_says),
        cmocka_unit_test(dense_nets_have_their_shapes),
        cmocka_unit_test(impossible_pictures_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
