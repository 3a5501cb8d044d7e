/* test_autodiff.c - gradients of whole graphs: sums over paths, higher derivatives, Hessian-vector products.
 *
 * Single operations are tested in test_ops.c.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "glia/glia.h"
#include "core/ops/ops.h"
#include "op_samples.h"

#define ALL GLIA_SCALAR

static glia_tensor input(glia_graph *g, int i, glia_shape shape) {
    char name[16];
    snprintf(name, sizeof name, "x%d", i);
    return glia_input(g, name, GLIA_F64, shape);
}

static double *numbers(int64_t n, uint64_t stream) {
    glia_rng rng = { .seed = 3, .stream = stream };
    double *v = malloc((size_t)n * sizeof *v);
    for (int64_t i = 0; i < n; i++) v[i] = 0.7 * glia_rng_normal(&rng);
    return v;
}

/* Evaluates output k of g at x, with composites expanded for this mode. */
static double *evaluate_in(glia_mode mode, const glia_graph *g, int k, int n, double *const *x) {
    glia_error error;
    glia_graph *e = sample_expanded(g, mode, &error);
    if (!e) fail_msg("%s", error.message);
    if (glia_graph_verify(e, &error) != GLIA_OK) fail_msg("%s", error.message);
    double *y = sample_evaluate(e, k, n, x, &error);
    if (!y) fail_msg("%s", error.message);
    glia_graph_free(e);
    return y;
}

static double *evaluate(const glia_graph *g, int k, int n, double *const *x) {
    return evaluate_in(GLIA_TRAIN, g, k, n, x);
}

static double scalar_in(glia_mode mode, const glia_graph *g, int k, int n, double *const *x) {
    double *y = evaluate_in(mode, g, k, n, x), value = *y;
    free(y);
    return value;
}

static double scalar_at(const glia_graph *g, int k, int n, double *const *x) {
    return scalar_in(GLIA_TRAIN, g, k, n, x);
}

static void assert_near(double is, double should, double tolerance) {
    if (!(fabs(is - should) <= tolerance * (1 + fabs(should)))) fail_msg("%.12g, should be %.12g", is, should);
}

/* ---- gradients of graphs -------------------------------------------------------------------- */

static void gradients_of_paths_are_summed(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = input(g, 0, GLIA_SCALAR), y = glia_mul(x, x), dx;
    glia_grad(glia_add(glia_mul(y, x), glia_add(y, x)), &x, 1, &dx); /* x^3 + x^2 + x */
    glia_graph_output(g, "dx", dx);
    double at = 1.5, *values[] = { &at };
    assert_near(scalar_at(g, 0, 1, values), 3 * at * at + 2 * at + 1, 1e-14);
    glia_graph_free(g);
}

static void unrelated_and_detached_tensors_get_zero_gradient(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor xs[] = { input(g, 0, GLIA_SHAPE(2)), input(g, 1, GLIA_SHAPE(3, 2)) }, dx[2];
    glia_grad(glia_mul(glia_stop_gradient(xs[0]), glia_sign(xs[0])), xs, 2, dx);
    for (int i = 0; i < 2; i++) {
        assert_true(glia_shape_equal(dx[i]->shape, xs[i]->shape));
        glia_graph_output(g, "dx", dx[i]);
    }
    double a[2] = { 1, -2 }, b[6] = { 0 }, *values[] = { a, b };
    for (int i = 0; i < 2; i++) {
        double *zeros = evaluate(g, i, 2, values);
        for (int k = 0; k < (i ? 6 : 2); k++) assert_true(zeros[k] == 0);
        free(zeros);
    }
    glia_graph_free(g);
}

static void broadcast_gradients_are_summed_back(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor xs[] = { input(g, 0, GLIA_SHAPE(4, 1, 3)), input(g, 1, GLIA_SHAPE(2, 1)) }, dx[2];
    glia_grad(glia_mul(xs[0], xs[1]), xs, 2, dx);
    glia_graph_output(g, "a", dx[0]);
    glia_graph_output(g, "b", dx[1]);
    double *values[] = { numbers(12, 0), numbers(2, 1) };
    double *da = evaluate(g, 0, 2, values), *db = evaluate(g, 1, 2, values), sum = 0;
    for (int i = 0; i < 12; i++) sum += values[0][i];
    for (int i = 0; i < 12; i++) assert_near(da[i], values[1][0] + values[1][1], 1e-13);
    for (int i = 0; i < 2; i++) assert_near(db[i], sum, 1e-13);
    free(da), free(db), free(values[0]), free(values[1]);
    glia_graph_free(g);
}

/* With a symbolic batch the gradient is built once for all sizes. */
static void gradients_may_have_symbolic_batches(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = input(g, 0, GLIA_SHAPE(GLIA_BATCH, 3)), w = input(g, 1, GLIA_SHAPE(2, 3)), dw;
    glia_tensor both = glia_concat(
        (glia_tensor[]){ glia_matmul_transposed(x, false, w, true), glia_matmul_transposed(x, false, w, true) }, 2, 0);
    assert_int_equal(both->shape.dim[0], 2 * GLIA_BATCH);
    glia_grad(glia_mean(both, ALL, false), &w, 1, &dw);
    glia_graph_output(g, "dw", dw);
    glia_error error;
    for (int64_t batch = 1; batch < 4; batch++) {
        glia_graph *fixed = glia_graph_rewrite(g, NULL, NULL, &(glia_sizes){ { batch, 1, 1 } }, true, &error);
        if (!fixed) fail_msg("%s", error.message);
        double *values[] = { numbers(batch * 3, 2), numbers(6, 3) }, *is = evaluate(fixed, 0, 2, values);
        for (int k = 0; k < 6; k++) {
            double sum = 0;
            for (int64_t n = 0; n < batch; n++) sum += values[0][n * 3 + k % 3];
            assert_near(is[k], sum / (double)(2 * batch), 1e-13);
        }
        free(is), free(values[0]), free(values[1]);
        glia_graph_free(fixed);
    }
    glia_graph_free(g);
}

static void errors_are_reported(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create(), *other = glia_graph_create();
    glia_tensor x = input(g, 0, GLIA_SHAPE(2)), alien = input(other, 0, GLIA_SHAPE(2)), dx;
    glia_grad(x, &alien, 1, &dx);
    assert_true(glia_is_bad(dx));
    assert_int_equal(glia_graph_check(g, NULL), GLIA_E_ARGUMENT);
    glia_graph_free(g);
    g = glia_graph_create();
    x = input(g, 0, GLIA_SHAPE(2));
    glia_vjp(x, glia_scalar(g, GLIA_F64, 1), &x, 1, &dx);
    assert_int_equal(glia_graph_check(g, NULL), GLIA_E_SHAPE);
    glia_graph_free(g);
    glia_graph_free(other);
}

/* The gradient of a product with zero factors: with one zero only its own derivative is nonzero, with two none; the
 * second derivative in those two is the product of the others. */
static void product_gradient_is_correct_at_zero(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = input(g, 0, GLIA_SHAPE(4)), dx, ddx;
    glia_grad(glia_prod(x, ALL, false), &x, 1, &dx);
    glia_grad(glia_slice(dx, GLIA_SHAPE(0), GLIA_SHAPE(1), GLIA_SHAPE(1)), &x, 1, &ddx);
    glia_graph_output(g, "dx", dx);
    glia_graph_output(g, "ddx", ddx);
    double one[] = { 0, 2, 3, 5 }, two[] = { 0, 2, 0, 5 }, *at_one[] = { one }, *at_two[] = { two };
    double *first = evaluate(g, 0, 1, at_one), *none = evaluate(g, 0, 1, at_two), *second = evaluate(g, 1, 1, at_two);
    assert_true(first[0] == 30 && first[1] == 0 && first[2] == 0 && first[3] == 0);
    for (int i = 0; i < 4; i++) assert_true(none[i] == 0);
    assert_true(second[0] == 0 && second[1] == 0 && second[2] == 10 && second[3] == 0);
    free(first), free(none), free(second);
    glia_graph_free(g);
}

/* ---- Hessians ------------------------------------------------------------------------------- */

/* H v as the gradient of <gradient, v> (Pearlmutter 1994, "Fast exact multiplication by the Hessian"). */
static void hessian_vector(glia_tensor loss, const glia_tensor *xs, const glia_tensor *vs, int n,
                           glia_tensor *gradients, glia_tensor *products) {
    glia_grad(loss, xs, n, gradients);
    glia_tensor along = glia_scalar(loss->graph, loss->dtype, 0);
    for (int i = 0; i < n; i++) along = glia_add(along, glia_sum(glia_mul(gradients[i], vs[i]), ALL, false));
    glia_grad(along, xs, n, products);
}

/* x^T A x / 2 + b^T x has the Hessian (A + A^T) / 2. */
static void hessian_of_a_quadratic_is_its_matrix(void **state) {
    (void)state;
    enum { N = 5 };
    glia_graph *g = glia_graph_create();
    glia_tensor x = input(g, 0, GLIA_SHAPE(N, 1)), a = input(g, 1, GLIA_SHAPE(N, N)), b = input(g, 2, GLIA_SHAPE(N, 1));
    glia_tensor v = input(g, 3, GLIA_SHAPE(N, 1)), gradient, product;
    glia_tensor form = glia_matmul_transposed(x, true, glia_matmul(a, x), false);
    glia_tensor loss =
        glia_sum(glia_add(glia_mul_scalar(form, 0.5), glia_matmul_transposed(b, true, x, false)), ALL, false);
    hessian_vector(loss, &x, &v, 1, &gradient, &product);
    glia_graph_output(g, "hv", product);
    double *values[] = { numbers(N, 0), numbers(N * N, 1), numbers(N, 2), numbers(N, 3) },
           *hv = evaluate(g, 0, 4, values);
    for (int i = 0; i < N; i++) {
        double should = 0;
        for (int k = 0; k < N; k++) should += (values[1][i * N + k] + values[1][k * N + i]) / 2 * values[3][k];
        assert_near(hv[i], should, 1e-13);
    }
    free(hv);
    for (int i = 0; i < 4; i++) free(values[i]);
    glia_graph_free(g);
}

/* A two-layer network: x0 (6, 4), parameters x1 (5, 4), x2 (5), x3 (3, 5); fixed labels. */
enum { PARAMETERS = 3 };
static const glia_shape mlp_shapes[] = { GLIA_DIMS(6, 4), GLIA_DIMS(5, 4), GLIA_DIMS(5), GLIA_DIMS(3, 5) };

static glia_tensor mlp(glia_tensor x, const glia_tensor *w) {
    glia_tensor hidden = glia_tanh(glia_add(glia_matmul_transposed(x, false, w[0], true), w[1]));
    return glia_matmul_transposed(hidden, false, w[2], true);
}

static glia_tensor mlp_loss(glia_tensor x, const glia_tensor *w) {
    const double labels[] = { 0, 2, 1, 1, 0, 2 };
    return glia_cross_entropy(mlp(x, w), glia_constant(x->graph, GLIA_I32, GLIA_SHAPE(6), labels), 0.1);
}

static void hessian_vector_product_of_a_network(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = input(g, 0, mlp_shapes[0]), w[PARAMETERS], v[PARAMETERS], gradients[PARAMETERS],
                products[PARAMETERS];
    double *values[1 + PARAMETERS], *direction[PARAMETERS];
    values[0] = numbers(glia_shape_count(mlp_shapes[0]), 0);
    for (int i = 0; i < PARAMETERS; i++) {
        int64_t count = glia_shape_count(mlp_shapes[i + 1]);
        w[i] = input(g, i + 1, mlp_shapes[i + 1]);
        values[i + 1] = numbers(count, 1 + (uint64_t)i);
        direction[i] = numbers(count, 10 + (uint64_t)i);
        v[i] = glia_constant(g, GLIA_F64, mlp_shapes[i + 1], direction[i]);
    }
    hessian_vector(mlp_loss(x, w), w, v, PARAMETERS, gradients, products);
    for (int i = 0; i < PARAMETERS; i++) glia_graph_output(g, "gradient", gradients[i]);
    for (int i = 0; i < PARAMETERS; i++) glia_graph_output(g, "hv", products[i]);

    const double h = 1e-5;
    for (int i = 0; i < PARAMETERS; i++) {
        double *side[2], *hv = evaluate(g, PARAMETERS + i, 1 + PARAMETERS, values);
        for (int sign = 0; sign < 2; sign++) {
            double *moved[1 + PARAMETERS] = { values[0] };
            for (int j = 0; j < PARAMETERS; j++) {
                int64_t count = glia_shape_count(mlp_shapes[j + 1]);
                moved[j + 1] = malloc((size_t)count * sizeof(double));
                for (int64_t k = 0; k < count; k++) {
                    moved[j + 1][k] = values[j + 1][k] + (sign ? -h : h) * direction[j][k];
                }
            }
            side[sign] = evaluate(g, i, 1 + PARAMETERS, moved);
            for (int j = 0; j < PARAMETERS; j++) free(moved[j + 1]);
        }
        for (int64_t k = 0; k < glia_shape_count(mlp_shapes[i + 1]); k++) {
            assert_near(hv[k], (side[0][k] - side[1][k]) / (2 * h), 1e-7);
        }
        free(hv), free(side[0]), free(side[1]);
    }
    for (int i = 0; i <= PARAMETERS; i++) free(values[i]);
    for (int i = 0; i < PARAMETERS; i++) free(direction[i]);
    glia_graph_free(g);
}

/* The penalty of Gulrajani et al. 2017, mean (|d critic / dx| - 1)^2, and its gradient in the critic's parameters. */
static void gradient_penalty_has_parameter_gradients(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = input(g, 0, mlp_shapes[0]), w[PARAMETERS], slope, gradients[PARAMETERS];
    double *values[1 + PARAMETERS];
    values[0] = numbers(glia_shape_count(mlp_shapes[0]), 0);
    for (int i = 0; i < PARAMETERS; i++) {
        w[i] = input(g, i + 1, mlp_shapes[i + 1]);
        values[i + 1] = numbers(glia_shape_count(mlp_shapes[i + 1]), 1 + (uint64_t)i);
    }
    glia_grad(mlp(x, w), &x, 1, &slope);
    glia_tensor norm = glia_sqrt(glia_sum(glia_square(slope), GLIA_SHAPE(1), false));
    glia_tensor penalty = glia_mean(glia_square(glia_add_scalar(norm, -1)), ALL, false);
    glia_grad(penalty, w, PARAMETERS, gradients);
    glia_graph_output(g, "penalty", penalty);
    for (int i = 0; i < PARAMETERS; i++) glia_graph_output(g, "gradient", gradients[i]);

    const double h = 1e-5;
    for (int i = 0; i < PARAMETERS; i++) {
        double *gradient = evaluate(g, 1 + i, 1 + PARAMETERS, values);
        for (int64_t k = 0; k < glia_shape_count(mlp_shapes[i + 1]); k++) {
            double kept = values[i + 1][k];
            values[i + 1][k] = kept + h;
            double above = scalar_at(g, 0, 1 + PARAMETERS, values);
            values[i + 1][k] = kept - h;
            double below = scalar_at(g, 0, 1 + PARAMETERS, values);
            values[i + 1][k] = kept;
            assert_near(gradient[k], (above - below) / (2 * h), 1e-7);
        }
        free(gradient);
    }
    for (int i = 0; i <= PARAMETERS; i++) free(values[i]);
    glia_graph_free(g);
}

/* The fourth derivative of sin is sin. */
static void derivatives_of_high_order(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = input(g, 0, GLIA_SCALAR), y = glia_sin(x);
    double at = 0.7, *values[] = { &at };
    for (int order = 0; order < 6; order++) {
        g->n_outputs = 0;
        glia_graph_output(g, "y", y);
        assert_near(scalar_at(g, 0, 1, values), sin(at + order * M_PI_2), 1e-14);
        glia_grad(y, &x, 1, &y);
    }
    glia_graph_free(g);
}

/* ---- modes ------------------------------------------------------------------------------------ */

/* y = 2 x in inference, so the gradient of the gradient of sum(y^2) is 8. */
static void second_derivative_of_batch_norm_in_inference(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor in[5] = { input(g, 0, GLIA_SHAPE(2, 1)) }, first, second;
    for (int i = 1; i < 5; i++) in[i] = input(g, i, GLIA_SHAPE(1));
    glia_tensor y = glia_batch_norm_of(in, (glia_batch_norm_attrs){ 0, 0.1 });
    glia_grad(glia_sum(glia_square(y), ALL, false), in, 1, &first);
    glia_grad(glia_sum(first, ALL, false), in, 1, &second);
    glia_graph_output(g, "second", second);
    double x[] = { 1, 2 }, scale = 2, shift = 0, mean = 0, var = 1, *values[] = { x, &scale, &shift, &mean, &var };
    double *is = evaluate_in(GLIA_INFER, g, 0, 5, values);
    for (int i = 0; i < 2; i++) assert_near(is[i], 8, 1e-12);
    free(is);
    glia_graph_free(g);
}

/* Repeatedly takes sum(square(gradients)) of f and compares with differences, in both modes. */
static void check_orders(glia_graph *g, glia_tensor f, const glia_tensor *xs, double **values, int n_xs, int n_in) {
    for (int order = 1; order <= 3; order++) {
        glia_tensor dx[8], next = glia_scalar(g, GLIA_F64, 0);
        glia_grad(f, xs, n_xs, dx);
        g->n_outputs = 0;
        glia_graph_output(g, "f", f);
        for (int i = 0; i < n_xs; i++) {
            glia_graph_output(g, "dx", dx[i]);
            next = glia_add(next, glia_sum(glia_square(dx[i]), ALL, false));
        }
        for (int mode = GLIA_INFER; mode <= GLIA_TRAIN; mode++) {
            for (int i = 0; i < n_xs; i++) {
                double *gradient = evaluate_in((glia_mode)mode, g, 1 + i, n_in, values);
                for (int64_t k = 0; k < glia_shape_count(xs[i]->shape); k++) {
                    const double kept = values[i][k], h = 1e-5;
                    values[i][k] = kept + h;
                    double above = scalar_in((glia_mode)mode, g, 0, n_in, values);
                    values[i][k] = kept - h;
                    double below = scalar_in((glia_mode)mode, g, 0, n_in, values);
                    values[i][k] = kept;
                    assert_near(gradient[k], (above - below) / (2 * h), 1e-5);
                }
                free(gradient);
            }
        }
        f = glia_mul_scalar(next, 0.1);
    }
}

static void batch_norm_gradients_depend_on_mode(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    double *values[5];
    glia_tensor in[5];
    for (int i = 0; i < 5; i++) {
        in[i] = input(g, i, i ? GLIA_SHAPE(2) : GLIA_SHAPE(3, 2));
        values[i] = numbers(i ? 2 : 6, 20 + (uint64_t)i);
    }
    for (int i = 0; i < 2; i++) values[4][i] = 0.5 + fabs(values[4][i]);
    glia_tensor y = glia_batch_norm_of(in, (glia_batch_norm_attrs){ 0.1, 0.1 });
    check_orders(g, glia_mean(glia_sin(y), ALL, false), in, values, 3, 5);
    for (int i = 0; i < 5; i++) free(values[i]);
    glia_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_paths_are_summed),
        cmocka_unit_test(unrelated_and_detached_tensors_get_zero_gradient),
        cmocka_unit_test(broadcast_gradients_are_summed_back),
        cmocka_unit_test(gradients_may_have_symbolic_batches),
        cmocka_unit_test(errors_are_reported),
        cmocka_unit_test(product_gradient_is_correct_at_zero),
        cmocka_unit_test(hessian_of_a_quadratic_is_its_matrix),
        cmocka_unit_test(hessian_vector_product_of_a_network),
        cmocka_unit_test(gradient_penalty_has_parameter_gradients),
        cmocka_unit_test(derivatives_of_high_order),
        cmocka_unit_test(second_derivative_of_batch_norm_in_inference),
        cmocka_unit_test(batch_norm_gradients_depend_on_mode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
