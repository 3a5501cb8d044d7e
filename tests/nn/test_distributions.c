/* test_distributions.c - log-probabilities, entropies, divergences and the losses made of them against
 * torch.distributions, values and gradients in every input; actions that are not allowed; mistakes.
 *
 * tools/golden/distributions.py documents the inputs and wrote tests/golden/distributions.txt.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/graph/graph.h"
#include "glia/glia.h"

enum { MOST = 64, MOST_INPUTS = 4 };

static double x_at(int i) { return 2 * sin(0.7 * i + 0.3); }
static double mean_at(int i) { return cos(1.3 * i); }
static double log_std_at(int i) { return 0.5 * sin(0.4 * i + 1); }
static double other_mean_at(int i) { return sin(1.1 * i) / 2; }
static double other_log_std_at(int i) { return 0.4 * cos(i); }
static double variance_at(int i) { return (1 + sin(0.9 * i + 0.2)) / 2; }

static glia_tensor leaf(glia_graph *g, glia_dtype dtype, glia_shape shape, double (*at)(int)) {
    double values[MOST];
    for (int i = 0; i < glia_shape_count(shape); i++) values[i] = at(i);
    return glia_constant(g, dtype, shape, values);
}

/* The value of the case in a graph; fills in the inputs. */
static glia_tensor build(const char *name, glia_graph *g, glia_dtype t, glia_tensor in[MOST_INPUTS], int *n) {
    const glia_shape full = GLIA_SHAPE(3, 4);
    const double labels[] = { 3, 0, 2 };
    glia_tensor x = leaf(g, t, full, x_at), mean = leaf(g, t, full, mean_at);
    glia_tensor log_std = leaf(g, t, GLIA_SHAPE(4), log_std_at);
    in[0] = x, in[1] = mean, in[2] = log_std, *n = 3;
    if (!strcmp(name, "normal_log_prob")) return glia_normal_log_prob(x, mean, log_std);
    in[0] = mean, in[1] = log_std, *n = 2;
    if (!strcmp(name, "normal_kl_standard")) return glia_normal_kl(mean, log_std, NULL, NULL);
    in[2] = leaf(g, t, full, other_mean_at), in[3] = leaf(g, t, GLIA_SHAPE(3, 1), other_log_std_at), *n = 4;
    if (!strcmp(name, "normal_kl")) return glia_normal_kl(mean, log_std, in[2], in[3]);
    in[0] = log_std, *n = 1;
    if (!strcmp(name, "normal_entropy")) return glia_normal_entropy(log_std);
    in[0] = x;
    if (!strcmp(name, "categorical_log_prob"))
        return glia_categorical_log_prob(x, glia_constant(g, GLIA_I32, GLIA_SHAPE(3), labels));
    if (!strcmp(name, "categorical_entropy")) return glia_categorical_entropy(x);
    in[1] = mean, *n = 2;
    if (!strcmp(name, "categorical_kl")) return glia_categorical_kl(x, mean);
    if (!strcmp(name, "smooth_l1")) return glia_smooth_l1(x, mean, 0.5);
    in[0] = mean, in[1] = x, in[2] = leaf(g, t, full, variance_at), *n = 3;
    assert_string_equal(name, "gaussian_nll");
    return glia_gaussian_nll(mean, x, in[2], 0.125);
}

static double slope_at(int i) { return 1.5 + cos(0.9 * i); }

/* The values of `outputs`, compiled for this backend, behind each other. */
static int compute(glia_graph *g, const glia_tensor *outputs, int n, const char *name, double *values) {
    glia_error error = { 0 };
    if (glia_graph_check(g, &error) != GLIA_OK) fail_msg("%s", error.message);
    glia_backend *backend = glia_backend_open(name, 1, &error);
    glia_store *store = glia_store_create(g, 0, &error);
    glia_function *f =
        glia_function_create(g, backend, store, (glia_function_opts){ .outputs = outputs, .n_outputs = n }, &error);
    if (!f) fail_msg("%s", error.message);
    glia_array out[1 + MOST_INPUTS];
    if (glia_function_call(f, NULL, 0, out, &error) != GLIA_OK) fail_msg("%s", error.message);
    int count = 0;
    for (int k = 0; k < n; k++) {
        glia_to_double(out[k].dtype, out[k].data, values + count, glia_shape_count(out[k].shape));
        count += (int)glia_shape_count(out[k].shape);
    }
    glia_function_free(f);
    glia_store_free(store);
    glia_backend_close(backend);
    return count;
}

static void check_row(const char *name, const double *golden, int n, glia_dtype dtype, const char *backend,
                      double tolerance) {
    glia_graph *g = glia_graph_create();
    glia_tensor in[MOST_INPUTS], out[1 + MOST_INPUTS];
    int n_in;
    double ours[2 * MOST];
    out[0] = build(name, g, dtype, in, &n_in);
    if (!glia_is_bad(out[0])) glia_vjp(out[0], leaf(g, dtype, out[0]->shape, slope_at), in, n_in, out + 1);
    assert_int_equal(compute(g, out, 1 + n_in, backend, ours), n);
    for (int i = 0; i < n; i++) {
        if (!(fabs(ours[i] - golden[i]) <= tolerance * GLIA_MAX(1, fabs(golden[i]))))
            fail_msg("%s on %s, number %d: %.15g, not %.15g", name, backend, i, ours[i], golden[i]);
    }
    glia_graph_free(g);
}

static void values_and_gradients_of_pytorch(void **state) {
    (void)state;
    FILE *file = fopen(GLIA_GOLDEN_DIR "/distributions.txt", "r");
    assert_non_null(file);
    char line[4096], *save;
    int rows = 0;
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#') continue;
        double golden[2 * MOST];
        int n = 0;
        const char *name = strtok_r(line, " ", &save);
        for (char *word; (word = strtok_r(NULL, " ", &save));) golden[n++] = strtod(word, NULL);
        check_row(name, golden, n, GLIA_F64, "ref", 1e-12);
        check_row(name, golden, n, GLIA_F64, "cpu", 1e-12);
        check_row(name, golden, n, GLIA_F32, "cpu", 2e-6);
        rows++;
    }
    fclose(file);
    assert_int_equal(rows, 9);
}

/* One of three actions is not allowed: values and gradients are those of the two others. */
static void actions_that_are_not_allowed(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    const double logits[] = { 1, -INFINITY, 0.25, 2, -INFINITY, 2 }, pairs[] = { 1, 0.25, 2, 2 },
                 others[] = { 0, -INFINITY, 0, 0, -INFINITY, 1 }, other_pairs[] = { 0, 0, 0, 1 };
    glia_tensor three = glia_constant(g, GLIA_F64, GLIA_SHAPE(2, 3), logits),
                two = glia_constant(g, GLIA_F64, GLIA_SHAPE(2, 2), pairs),
                three_other = glia_constant(g, GLIA_F64, GLIA_SHAPE(2, 3), others),
                two_other = glia_constant(g, GLIA_F64, GLIA_SHAPE(2, 2), other_pairs);
    for (int kl = 0; kl < 2; kl++) {
        glia_tensor a = kl ? glia_categorical_kl(three, three_other) : glia_categorical_entropy(three), da;
        glia_tensor b = kl ? glia_categorical_kl(two, two_other) : glia_categorical_entropy(two), db;
        glia_grad(a, &three, 1, &da);
        glia_grad(b, &two, 1, &db);
        for (int k = 0; k < 2; k++) {
            double v[16];
            assert_int_equal(compute(g, (glia_tensor[]){ a, b, da, db }, 4, k ? "cpu" : "ref", v), 14);
            const double *x = v, *y = v + 2, *dx = v + 4, *dy = v + 10;
            for (int i = 0; i < 2; i++) {
                assert_true(fabs(x[i] - y[i]) < 1e-12 && dx[3 * i + 1] == 0);
                assert_true(fabs(dx[3 * i] - dy[2 * i]) < 1e-12 && fabs(dx[3 * i + 2] - dy[2 * i + 1]) < 1e-12);
            }
            if (!kl) assert_true(fabs(x[1] - log(2)) < 1e-12);
        }
    }
    glia_graph_free(g);
}

/* KL of nearly the same normal distributions keeps its digits: d^2 + z^2 / 2 to the second order. */
static void kl_of_near_distributions(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    const double d = 1e-7, z = 3e-7;
    glia_tensor kl = glia_normal_kl(glia_scalar(g, GLIA_F64, z), glia_scalar(g, GLIA_F64, d), NULL, NULL);
    double value;
    assert_int_equal(glia_eval(kl, &value, 1, NULL), GLIA_OK);
    assert_true(fabs(value - (d * d + z * z / 2)) < 1e-3 * d * d);
    glia_graph_free(g);
}

static void expect(glia_graph *g, const char *words) {
    glia_error error = { 0 };
    assert_true(glia_graph_check(g, &error) != GLIA_OK);
    if (!strstr(error.message, words)) fail_msg("'%s' is not in '%s'", words, error.message);
    glia_graph_free(g);
}

static void mistakes_are_named(void **state) {
    (void)state;
    for (int i = 0; i < 9; i++) {
        glia_graph *g = glia_graph_create();
        glia_tensor x = leaf(g, GLIA_F32, GLIA_SHAPE(3, 4), x_at), s = glia_scalar(g, GLIA_F32, 1);
        glia_tensor whole = glia_scalar(g, GLIA_I32, 1);
        if (i == 0) glia_normal_log_prob(x, NULL, s), expect(g, "glia_normal_log_prob: mean is NULL");
        if (i == 1) glia_normal_log_prob(x, s, whole), expect(g, "glia_normal_log_prob: log_std is i32");
        if (i == 2) glia_normal_kl(x, s, x, NULL), expect(g, "glia_normal_kl: other_log_std is NULL");
        if (i == 3) glia_normal_kl(x, s, NULL, s), expect(g, "glia_normal_kl: other_mean is NULL");
        if (i == 4) glia_categorical_entropy(s), expect(g, "glia_categorical_entropy: the last axis of ()");
        if (i == 5) glia_categorical_kl(x, s), expect(g, "glia_categorical_kl: logits are (3, 4) and ()");
        if (i == 6) glia_gaussian_nll(x, s, x, 0), expect(g, "glia_gaussian_nll: the mean is (3, 4), the target ()");
        if (i == 8) {
            glia_gaussian_nll(x, x, leaf(g, GLIA_F32, GLIA_SHAPE(2, 3, 4), variance_at), 0);
            expect(g, "glia_gaussian_nll: the mean is (3, 4), the variance (2, 3, 4)");
        }
        if (i == 7) glia_gaussian_nll(x, x, x, -1), expect(g, "glia_gaussian_nll: epsilon is -1");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_gradients_of_pytorch),
        cmocka_unit_test(actions_that_are_not_allowed),
        cmocka_unit_test(kl_of_near_distributions),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
