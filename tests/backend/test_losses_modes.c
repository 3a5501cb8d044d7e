/* test_losses_modes.c - edge cases of losses (huge logits, zero probabilities, unknown labels), and ops that differ
 * between training and inference: batch normalisation and dropout. */
#include <math.h>
#include <stdio.h>

#include "glia/glia.h"
#include "run_graph.h"

#include "core/ops/ops.h"

static void near(double value, double expected) {
    if (!(fabs(value - expected) <= 1e-12 * (1 + fabs(expected)))) fail_msg("%.17g should be %.17g", value, expected);
}

typedef glia_tensor (*loss_fn)(glia_tensor x, glia_tensor t);

/* The loss of x (rows, k) and t (rows, k), or (rows) for labels, and its gradient in x. */
static double loss_of(loss_fn loss, int64_t rows, int64_t k, const double *x, glia_dtype t_dtype, const double *t,
                      double *gradient) {
    glia_graph *g = glia_graph_create();
    glia_tensor xs = glia_input(g, "x", GLIA_F64, GLIA_SHAPE(GLIA_BATCH, k));
    glia_tensor ts =
        glia_input(g, "t", t_dtype, t_dtype == GLIA_I32 ? GLIA_SHAPE(GLIA_BATCH) : GLIA_SHAPE(GLIA_BATCH, k));
    glia_tensor out[2] = { loss(xs, ts) };
    glia_grad(out[0], &xs, 1, &out[1]);
    runner r = runner_open(g, out, 2, GLIA_TRAIN, rows, 0);
    runner_set(&r, "x", x);
    runner_set(&r, "t", t);
    runner_run(&r);
    double value;
    runner_get(&r, 0, &value);
    assert_int_equal(runner_get(&r, 1, gradient), rows * k);
    runner_close(&r);
    glia_graph_free(g);
    return value;
}

static glia_tensor plain(glia_tensor x, glia_tensor t) { return glia_cross_entropy(x, t, 0); }
static glia_tensor smooth(glia_tensor x, glia_tensor t) { return glia_cross_entropy(x, t, 0.3); }

static void cross_entropy_of_huge_logits_is_finite(void **state) {
    (void)state;
    const double x[] = { 1e4, -1e4, 0, 1e300, 0, -1e300, 1, -INFINITY, 1 }, t[] = { 1, 0, 0 };
    double d[9];
    near(loss_of(plain, 3, 3, x, GLIA_I32, t, d), (2e4 + 0 + log(2)) / 3);
    const double expected[] = { 1, -1, 0, 0, 0, 0, -0.5, 0, 0.5 };
    for (int i = 0; i < 9; i++) near(d[i], expected[i] / 3);
}

static void unknown_labels_have_zero_loss(void **state) {
    (void)state;
    const double x[] = { 0, 0, 5, -3, 1, 2, 7, 7, 0, 0 }, t[] = { 1, -1, 2, 1000000, 0 };
    double d[10];
    near(loss_of(plain, 5, 2, x, GLIA_I32, t, d), 2 * log(2) / 5);
    for (int i = 2; i < 8; i++) assert_true(d[i] == 0);
    near(d[0], 0.1);
    near(loss_of(smooth, 5, 2, x, GLIA_I32, t, d), 2 * log(2) / 5);
    for (int i = 2; i < 8; i++) assert_true(d[i] == 0);
    const double log_p[] = { -1, -2, -3, -4 }, one[] = { 5, 1 };
    near(loss_of(glia_nll, 2, 2, log_p, GLIA_I32, one, d), 2);
    assert_true(d[0] == 0 && d[1] == 0 && d[2] == 0 && d[3] == -0.5);
}

/* With e = 0.3 and K = 3 the target is 0.7 + 0.1 at the label and 0.1 elsewhere. */
static void label_smoothing_mixes_in_uniform(void **state) {
    (void)state;
    const double x[] = { 0.5, -1, 2 }, t[] = { 2 };
    double d[3], total = exp(0.5) + exp(-1) + exp(2), loss = 0;
    const double target[] = { 0.1, 0.1, 0.8 };
    for (int i = 0; i < 3; i++) loss -= target[i] * (x[i] - log(total));
    near(loss_of(smooth, 1, 3, x, GLIA_I32, t, d), loss);
    for (int i = 0; i < 3; i++) near(d[i], exp(x[i]) / total - target[i]);
}

static void nll_ignores_impossible_other_classes(void **state) {
    (void)state;
    const double x[] = { 0, -INFINITY }, t[] = { 0 };
    double d[2];
    near(loss_of(glia_nll, 1, 2, x, GLIA_I32, t, d), 0);
    assert_true(d[0] == -1 && d[1] == 0);
}

static void binary_cross_entropy_of_huge_logits_is_finite(void **state) {
    (void)state;
    const double x[] = { 1e5, -1e5, 1e5, -1e5, 0, 0 }, t[] = { 1, 0, 0, 1, 0.5, 1 };
    double d[6];
    near(loss_of(glia_binary_cross_entropy, 3, 2, x, GLIA_F64, t, d), (2e5 + 2 * log(2)) / 6);
    const double expected[] = { 0, 0, 1, -1, 0, -0.5 };
    for (int i = 0; i < 6; i++) near(d[i], expected[i] / 6);
}

static void kl_divergence_accepts_zeros(void **state) {
    (void)state;
    const double log_q[] = { log(0.25), log(0.75), 0, -INFINITY }, p[] = { 0.5, 0.5, 1, 0 };
    double d[4];
    near(loss_of(glia_kl_divergence, 2, 2, log_q, GLIA_F64, p, d), (0.5 * log(2) + 0.5 * log(0.5 / 0.75)) / 2);
    const double expected[] = { -0.25, -0.25, -0.5, 0 };
    for (int i = 0; i < 4; i++) near(d[i], expected[i]);
}

static glia_tensor huber(glia_tensor x, glia_tensor t) { return glia_huber(x, t, 0); }

static void kinks_have_gradient_zero(void **state) {
    (void)state;
    const double x[] = { 1, 2 }, t[] = { 1, 5 }, sign[] = { 1, -1 };
    double d[2];
    near(loss_of(glia_mae, 1, 2, x, GLIA_F64, t, d), 1.5);
    assert_true(d[0] == 0 && d[1] == -0.5);
    near(loss_of(huber, 1, 2, x, GLIA_F64, t, d), 1.25);
    assert_true(d[0] == 0 && d[1] == -0.5);
    near(loss_of(glia_hinge, 1, 2, x, GLIA_F64, sign, d), 1.5);
    assert_true(d[0] == 0 && d[1] == 0.5);
}

static void accuracy_uses_first_of_equal_scores(void **state) {
    (void)state;
    const double x[] = { 1, 1, 2, 3, 0, 0, 5, 4 }, t[] = { 0, 1, 1, 0 };
    double d[8];
    near(loss_of(glia_accuracy, 4, 2, x, GLIA_I32, t, d), 0.75);
    for (int i = 0; i < 8; i++) assert_true(d[i] == 0);
}

/* One graph, two batch sizes: the mean uses the actual size. */
static void mean_divides_by_batch_size(void **state) {
    (void)state;
    const double x[] = { 1, 2, 3, 4, 5, 6 }, t[] = { 0, 0, 0, 0, 0, 0 };
    double d[6];
    for (int64_t rows = 1; rows <= 3; rows++) {
        double expected = 0;
        for (int i = 0; i < 2 * rows; i++) expected += x[i] * x[i] / (double)(2 * rows);
        near(loss_of(glia_mse, rows, 2, x, GLIA_F64, t, d), expected);
        near(d[1], 2 * x[1] / (double)(2 * rows));
    }
}

static void max_pool_propagates_nan_and_ignores_padding(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F64, GLIA_SHAPE(1, 1, 5));
    glia_tensor out[2] = { glia_max_pool(x, (glia_pool_opts){ .size = 2, .stride = 2, .pad = 1 }) };
    glia_grad(out[0], &x, 1, &out[1]);
    runner r = runner_open(g, out, 2, GLIA_INFER, 1, 0);
    const double in[] = { -3, -2, -2, NAN, -7 };
    double y[3], dx[5];
    runner_set(&r, "x", in);
    runner_run(&r);
    assert_int_equal(runner_get(&r, 0, y), 3);
    runner_get(&r, 1, dx);
    assert_true(y[0] == -3 && y[1] == -2 && isnan(y[2]));
    assert_true(dx[0] == 1 && dx[1] == 1 && dx[2] == 0 && dx[3] == 1 && dx[4] == 0); /* the first of two -2 */
    runner_close(&r);
    glia_graph_free(g);
}

/* ---- batch normalisation ----------------------------------------------------------------------- */

enum { ROWS = 4, CHANNELS = 2 };
static const double batch[ROWS * CHANNELS] = { 1, -2, 3, 0, 2, 4, 6, 10 };

/* Mean and biased variance of a column. */
static void column(int c, double *mean, double *variance) {
    *mean = *variance = 0;
    for (int i = 0; i < ROWS; i++) *mean += batch[i * CHANNELS + c] / ROWS;
    for (int i = 0; i < ROWS; i++)
        *variance += (batch[i * CHANNELS + c] - *mean) * (batch[i * CHANNELS + c] - *mean) / ROWS;
}

typedef struct normed {
    glia_graph *g;
    glia_tensor out[2]; /* y, dx for dy = x */
} normed;

static normed normed_open(glia_norm_opts opts) {
    normed n = { .g = glia_graph_create() };
    glia_tensor x = glia_input(n.g, "x", GLIA_F64, GLIA_SHAPE(GLIA_BATCH, CHANNELS));
    n.out[0] = glia_batch_norm(x, "bn", opts);
    glia_vjp(n.out[0], x, &x, 1, &n.out[1]);
    return n;
}

static void training_uses_batch_and_updates_running_statistics(void **state) {
    (void)state;
    normed n = normed_open((glia_norm_opts){ .momentum = 0.25, .epsilon = 0.01 });
    runner r = runner_open(n.g, n.out, 2, GLIA_TRAIN, ROWS, 0);
    double y[ROWS * CHANNELS], mean[CHANNELS], var[CHANNELS], expected_mean[CHANNELS] = { 0 },
                                                              expected_var[CHANNELS] = { 1, 1 };
    runner_set(&r, "x", batch);
    for (int step = 0; step < 3; step++) {
        runner_run(&r);
        runner_get(&r, 0, y);
        runner_leaf(&r, "bn/running_mean", mean);
        runner_leaf(&r, "bn/running_var", var);
        for (int c = 0; c < CHANNELS; c++) {
            double m, v;
            column(c, &m, &v);
            expected_mean[c] = 0.75 * expected_mean[c] + 0.25 * m;
            expected_var[c] = 0.75 * expected_var[c] + 0.25 * v * ROWS / (ROWS - 1);
            near(mean[c], expected_mean[c]);
            near(var[c], expected_var[c]);
            for (int i = 0; i < ROWS; i++) near(y[i * CHANNELS + c], (batch[i * CHANNELS + c] - m) / sqrt(v + 0.01));
        }
    }
    runner_close(&r);
    glia_graph_free(n.g);
}

static void inference_uses_running_statistics_unchanged(void **state) {
    (void)state;
    normed n = normed_open((glia_norm_opts){ 0 });
    runner r = runner_open(n.g, n.out, 2, GLIA_INFER, ROWS, 0);
    glia_array a;
    assert_true(glia_store_find(r.store, "bn/running_mean", &a));
    memcpy(a.data, (double[]){ 2, -1 }, sizeof(double[2]));
    assert_true(glia_store_find(r.store, "bn/running_var", &a));
    memcpy(a.data, (double[]){ 4, 0.5 }, sizeof(double[2]));
    runner_set(&r, "x", batch);
    runner_run(&r);
    double y[ROWS * CHANNELS], dx[ROWS * CHANNELS], mean[CHANNELS];
    runner_get(&r, 0, y);
    runner_get(&r, 1, dx);
    for (int i = 0; i < ROWS * CHANNELS; i++) {
        double m = i % 2 ? -1 : 2, rstd = 1 / sqrt((i % 2 ? 0.5 : 4) + 1e-5);
        near(y[i], (batch[i] - m) * rstd);
        near(dx[i], batch[i] * rstd);
    }
    runner_leaf(&r, "bn/running_mean", mean);
    assert_true(mean[0] == 2 && mean[1] == -1);
    runner_close(&r);
    glia_graph_free(n.g);
}

/* Two layers share their leaves: the running averages move by 0.1 towards the first's batch mean, 3, then towards the
 * second's, 0. */
static void shared_running_statistics_update_on_each_use(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F64, GLIA_SHAPE(GLIA_BATCH, CHANNELS));
    glia_tensor y = glia_batch_norm(glia_batch_norm(x, "bn", (glia_norm_opts){ 0 }), "bn", (glia_norm_opts){ 0 });
    runner r = runner_open(g, &y, 1, GLIA_TRAIN, ROWS, 0);
    runner_set(&r, "x", batch);
    runner_run(&r);
    double mean[CHANNELS];
    runner_leaf(&r, "bn/running_mean", mean);
    near(mean[0], 0.9 * 0.3);
    near(mean[1], 0.9 * 0.3);
    runner_close(&r);
    glia_graph_free(g);
}

static void a_batch_of_one_stays_finite(void **state) {
    (void)state;
    normed n = normed_open((glia_norm_opts){ .no_scale = true, .no_shift = true });
    runner r = runner_open(n.g, n.out, 2, GLIA_TRAIN, 1, 0);
    double y[CHANNELS], dx[CHANNELS], var[CHANNELS];
    runner_set(&r, "x", batch);
    runner_run(&r);
    runner_get(&r, 0, y);
    runner_get(&r, 1, dx);
    runner_leaf(&r, "bn/running_var", var);
    for (int c = 0; c < CHANNELS; c++) assert_true(y[c] == 0 && dx[c] == 0 && fabs(var[c] - 0.9) < 1e-15);
    assert_null(glia_graph_find_leaf(n.g, "bn/scale"));
    runner_close(&r);
    glia_graph_free(n.g);
}

/* ---- dropout ----------------------------------------------------------------------------------- */

enum { DROPPED = 20000 };

/* Two dropouts of ones, and the gradient of the first. */
typedef struct dropped {
    glia_graph *g;
    glia_tensor out[3];
    double *ones, *y, *other, *dx;
} dropped;

static dropped dropped_open(double rate) {
    dropped d = { .g = glia_graph_create(), .ones = malloc(4 * DROPPED * sizeof(double)) };
    assert_non_null(d.ones);
    d.y = d.ones + DROPPED, d.other = d.y + DROPPED, d.dx = d.other + DROPPED;
    for (int i = 0; i < DROPPED; i++) d.ones[i] = 1;
    glia_tensor x = glia_input(d.g, "x", GLIA_F64, GLIA_SHAPE(GLIA_BATCH, DROPPED));
    d.out[0] = glia_dropout(x, rate);
    d.out[1] = glia_dropout(x, rate);
    glia_grad(d.out[0], &x, 1, &d.out[2]);
    return d;
}

static void dropped_run(const dropped *d, runner *r) {
    runner_set(r, "x", d->ones);
    runner_run(r);
    runner_get(r, 0, d->y);
    runner_get(r, 1, d->other);
    runner_get(r, 2, d->dx);
}

static void dropout_keeps_the_expectation(void **state) {
    (void)state;
    dropped d = dropped_open(0.2);
    runner r = runner_open(d.g, d.out, 3, GLIA_TRAIN, 1, 1);
    dropped_run(&d, &r);
    int kept = 0, same = 0;
    for (int i = 0; i < DROPPED; i++) {
        assert_true(d.y[i] == 0 || fabs(d.y[i] - 1.25) < 1e-12);
        assert_true(d.dx[i] == d.y[i]); /* same mask and scale */
        kept += d.y[i] > 0;
        same += d.y[i] == d.other[i];
    }
    assert_true(fabs(kept - 0.8 * DROPPED) < 5 * sqrt(0.16 * DROPPED));
    assert_true(fabs(same - 0.68 * DROPPED) < 5 * sqrt(0.68 * 0.32 * DROPPED)); /* independent: 0.8^2 + 0.2^2 */
    runner_close(&r);
    glia_graph_free(d.g);
    free(d.ones);
}

static void dropout_changes_by_step_and_repeats_by_seed(void **state) {
    (void)state;
    dropped d = dropped_open(0.5);
    double *first = malloc(DROPPED * sizeof *first);
    assert_non_null(first);
    for (int seed = 1; seed <= 2; seed++) {
        runner r = runner_open(d.g, d.out, 3, GLIA_TRAIN, 1, 1);
        dropped_run(&d, &r);
        if (seed == 2) assert_memory_equal(first, d.y, DROPPED * sizeof *first);
        memcpy(first, d.y, DROPPED * sizeof *first);
        dropped_run(&d, &r);
        assert_memory_not_equal(first, d.y, DROPPED * sizeof *first);
        runner_close(&r);
    }
    runner r = runner_open(d.g, d.out, 3, GLIA_TRAIN, 1, 2);
    dropped_run(&d, &r);
    assert_memory_not_equal(first, d.y, DROPPED * sizeof *first);
    runner_close(&r);
    free(first);
    glia_graph_free(d.g);
    free(d.ones);
}

static void dropout_is_the_identity_in_inference(void **state) {
    (void)state;
    dropped d = dropped_open(0.9);
    runner r = runner_open(d.g, d.out, 3, GLIA_INFER, 1, 1);
    dropped_run(&d, &r);
    for (int i = 0; i < DROPPED; i++) assert_true(d.y[i] == 1 && d.dx[i] == 1);
    runner_close(&r);
    glia_tensor x = glia_input(d.g, "z", GLIA_F32, GLIA_SHAPE(3));
    assert_ptr_equal(glia_dropout(x, 0), x);
    glia_graph_free(d.g);
    free(d.ones);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cross_entropy_of_huge_logits_is_finite),
        cmocka_unit_test(unknown_labels_have_zero_loss),
        cmocka_unit_test(label_smoothing_mixes_in_uniform),
        cmocka_unit_test(nll_ignores_impossible_other_classes),
        cmocka_unit_test(binary_cross_entropy_of_huge_logits_is_finite),
        cmocka_unit_test(kl_divergence_accepts_zeros),
        cmocka_unit_test(kinks_have_gradient_zero),
        cmocka_unit_test(accuracy_uses_first_of_equal_scores),
        cmocka_unit_test(mean_divides_by_batch_size),
        cmocka_unit_test(max_pool_propagates_nan_and_ignores_padding),
        cmocka_unit_test(training_uses_batch_and_updates_running_statistics),
        cmocka_unit_test(inference_uses_running_statistics_unchanged),
        cmocka_unit_test(shared_running_statistics_update_on_each_use),
        cmocka_unit_test(a_batch_of_one_stays_finite),
        cmocka_unit_test(dropout_keeps_the_expectation),
        cmocka_unit_test(dropout_changes_by_step_and_repeats_by_seed),
        cmocka_unit_test(dropout_is_the_identity_in_inference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
