/* test_corners.c - primitives at special points: ties, kinks, poles, NaN, infinities, overflow. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "glia/glia.h"
#include "op_samples.h"

static glia_tensor row(glia_graph *g, glia_dtype dtype, const double *values, int n) {
    return glia_constant(g, dtype, GLIA_SHAPE(n), values);
}

/* Evaluates y (its graph holds only constants), compares it with `should` and frees the graph. NaN equals NaN; if
 * `signs`, zeros must have equal signs. */
static void assert_values(glia_tensor y, const double *should, bool signs) {
    glia_error error = { 0 };
    glia_graph *g = glia_tensor_graph(y);
    glia_graph_output(g, "y", y);
    double *is = glia_graph_check(g, &error) == GLIA_OK ? sample_evaluate(g, g->n_outputs - 1, 0, NULL, &error) : NULL;
    if (!is) fail_msg("%s", error.message);
    int n = (int)glia_shape_count(y->shape);
    for (int i = 0; i < n; i++) {
        bool same = (isnan(is[i]) && isnan(should[i])) || is[i] == should[i];
        if (!same || (signs && !isnan(is[i]) && signbit(is[i]) != signbit(should[i])))
            fail_msg("element %d is %.17g, should be %.17g", i, is[i], should[i]);
    }
    free(is);
    glia_graph_free(g);
}

/* Evaluates a function at n f64 points. */
static void at(glia_tensor (*f)(glia_tensor), int n, const double *x, const double *should) {
    assert_values(f(row(glia_graph_create(), GLIA_F64, x, n)), should, true);
}

/* Evaluates the gradient of the sum of f at n points. */
static void slope_at(glia_tensor (*f)(glia_tensor), int n, const double *x, const double *should) {
    glia_tensor v = row(glia_graph_create(), GLIA_F64, x, n), dx;
    glia_grad(f(v), &v, 1, &dx);
    assert_values(dx, should, false);
}

#define LIST(...) ((const double[]){ __VA_ARGS__ })

static glia_tensor max_of_all(glia_tensor x) { return glia_max(x, GLIA_SCALAR, false); }
static glia_tensor min_of_all(glia_tensor x) { return glia_min(x, GLIA_SCALAR, false); }
static glia_tensor max_of_rows(glia_tensor x) {
    return glia_max(glia_reshape(x, GLIA_SHAPE(2, 3)), GLIA_SHAPE(1), true);
}
static glia_tensor argmax(glia_tensor x) { return glia_argmax(x, 0); }
static glia_tensor larger_than_one(glia_tensor x) { return glia_maximum(x, glia_like(x, 1)); }
static glia_tensor smaller_than_one(glia_tensor x) { return glia_minimum(x, glia_like(x, 1)); }
static glia_tensor squared(glia_tensor x) { return glia_pow(x, glia_like(x, 2)); }
static glia_tensor to_the_zero(glia_tensor x) { return glia_pow(x, glia_like(x, 0)); }
static glia_tensor power_of_zero(glia_tensor x) { return glia_pow(glia_like(x, 0), x); }

static void ties_share_the_gradient(void **state) {
    (void)state;
    slope_at(max_of_all, 4, LIST(1, 3, 2, 3), LIST(0, 0.5, 0, 0.5));
    slope_at(min_of_all, 4, LIST(1, 3, 1, 1), LIST(1.0 / 3, 0, 1.0 / 3, 1.0 / 3));
    slope_at(max_of_rows, 6, LIST(5, 5, 1, 2, 7, 3), LIST(0.5, 0.5, 0, 0, 1, 0));
    slope_at(larger_than_one, 3, LIST(0, 1, 2), LIST(0, 0.5, 1));
    slope_at(smaller_than_one, 3, LIST(0, 1, 2), LIST(1, 0.5, 0));
    at(argmax, 4, LIST(1, 3, 2, 3), LIST(1));
}

static void gradients_at_kinks_are_as_documented(void **state) {
    (void)state;
    slope_at(glia_abs, 3, LIST(-2, 0, 3), LIST(-1, 0, 1));
    slope_at(glia_sign, 3, LIST(-2, 0, 3), LIST(0, 0, 0));
    slope_at(glia_floor, 2, LIST(0.5, 1), LIST(0, 0));
    slope_at(squared, 3, LIST(-3, 0, 2), LIST(-6, 0, 4));
    slope_at(to_the_zero, 3, LIST(-3, 0, 2), LIST(0, 0, 0));
    slope_at(power_of_zero, 3, LIST(0, 1, 2), LIST(0, 0, 0));
    slope_at(glia_stop_gradient, 2, LIST(1, 2), LIST(0, 0));
    slope_at(glia_round, 2, LIST(0.5, 2.2), LIST(0, 0));
}

static void nan_propagates(void **state) {
    (void)state;
    at(larger_than_one, 2, LIST(NAN, 2), LIST(NAN, 2));
    at(smaller_than_one, 2, LIST(NAN, 0), LIST(NAN, 0));
    at(max_of_all, 3, LIST(1, NAN, 3), LIST(NAN));
    at(min_of_all, 3, LIST(NAN, 1, 3), LIST(NAN));
    at(glia_sign, 1, LIST(NAN), LIST(NAN));
    at(glia_is_finite, 4, LIST(NAN, INFINITY, -INFINITY, 1e308), LIST(0, 0, 0, 1));
    glia_graph *g = glia_graph_create();
    glia_tensor nan = row(g, GLIA_F64, LIST(NAN, NAN, 1), 3), one = row(g, GLIA_F64, LIST(NAN, 1, 1), 3);
    glia_tensor yes = glia_or(glia_equal(nan, one), glia_less_equal(nan, one));
    assert_values(glia_and(yes, glia_not(glia_not_equal(nan, one))), LIST(0, 0, 1), true);
}

static void no_intermediate_overflow(void **state) {
    (void)state;
    at(glia_sigmoid, 4, LIST(-800, 800, -INFINITY, INFINITY), LIST(0, 1, 0, 1));
    at(glia_tanh, 2, LIST(-800, 800), LIST(-1, 1));
    at(glia_expm1, 2, LIST(1e-20, -800), LIST(1e-20, -1));
    at(glia_log1p, 2, LIST(1e-20, -1), LIST(1e-20, -INFINITY));
    at(glia_log, 3, LIST(0, -1, INFINITY), LIST(-INFINITY, NAN, INFINITY));
    at(glia_rsqrt, 2, LIST(0, 4), LIST(INFINITY, 0.5));
    at(max_of_all, 2, LIST(-INFINITY, -INFINITY), LIST(-INFINITY));
}

static void rounding_goes_to_even(void **state) {
    (void)state;
    at(glia_round, 6, LIST(0.5, 1.5, 2.5, -0.5, -1.5, 2.4), LIST(0, 2, 2, -0.0, -2, 2));
    at(glia_floor, 3, LIST(-0.5, 1.5, 2), LIST(-1, 1, 2));
    at(glia_ceil, 3, LIST(-0.5, 1.5, 2), LIST(-0.0, 2, 2));
}

static void cast_to(glia_dtype dtype, int n, const double *x, const double *should) {
    assert_values(glia_cast(row(glia_graph_create(), GLIA_F64, x, n), dtype), should, true);
}

static void casts_round_truncate_and_wrap(void **state) {
    (void)state;
    cast_to(GLIA_F32, 4, LIST(1 + 0x1p-24, 1 + 3 * 0x1p-24, 1e300, -0.0), LIST(1, 1 + 0x1p-22, INFINITY, -0.0));
    cast_to(GLIA_F16, 6, LIST(65504, 65519, 65520, 0x1p-24, 0x1p-25, 1 + 0x1p-11),
            LIST(65504, 65504, INFINITY, 0x1p-24, 0, 1));
    cast_to(GLIA_BF16, 3, LIST(1 + 0x1p-8, 1 + 3 * 0x1p-8, NAN), LIST(1, 1 + 0x1p-6, NAN));
    cast_to(GLIA_I32, 5, LIST(2.9, -2.9, NAN, 2147483648.0, -0.5), LIST(2, -2, 0, -2147483648.0, 0));
    cast_to(GLIA_U8, 4, LIST(255.9, 256, -1, 300), LIST(255, 0, 255, 44));
    cast_to(GLIA_I8, 6, LIST(127.9, 128, -128.9, -129, 300, NAN), LIST(127, -128, -128, 127, 44, 0));
    cast_to(GLIA_BOOL, 4, LIST(0, -0.0, 0.1, -5), LIST(0, 0, 1, 1));
}

/* The gradient of a cast to a float type and back is dy; through integers it is zero. */
static glia_tensor through_f32(glia_tensor x) {
    return glia_cast(glia_mul_scalar(glia_cast(x, GLIA_F32), 3), GLIA_F64);
}
static glia_tensor through_i32(glia_tensor x) { return glia_cast(glia_cast(x, GLIA_I32), GLIA_F64); }

static void casts_between_floats_pass_gradients(void **state) {
    (void)state;
    slope_at(through_f32, 2, LIST(1, 2.5), LIST(3, 3));
    slope_at(through_i32, 2, LIST(1, 2.5), LIST(0, 0));
}

/* A table stored in bf16: rows gathered twice get both gradients, added in f32. */
static void storage_dtypes_pass_gradients(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor table = row(g, GLIA_BF16, LIST(1, 2, 3), 3), picks = row(g, GLIA_I32, LIST(2, 0, 2, 2), 4), dx;
    glia_tensor rows = glia_cast(glia_gather(glia_broadcast(table, GLIA_SHAPE(2, 3)), picks, 1), GLIA_F32);
    glia_grad(glia_mul_scalar(rows, 5), &table, 1, &dx);
    assert_int_equal(glia_tensor_dtype(dx), GLIA_BF16);
    assert_values(dx, LIST(10, 0, 30), true);
}

/* ---- indices -------------------------------------------------------------------------------- */

enum { TABLE = 3, PICKS = 6 };

static const double picked[PICKS] = { 1, -1, -3, 3, -4, 1e9 }; /* the last three are out of range */

/* Gathers rows of a table by input indices of this dtype: y, the gradient of sum(y * weights) in the table, and the
 * gradient of that in the weights. */
static void check_picks(const char *backend, glia_dtype dtype) {
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(TABLE)), i = glia_input(g, "i", dtype, GLIA_SHAPE(PICKS));
    glia_tensor w = glia_input(g, "w", GLIA_F32, GLIA_SHAPE(PICKS)), out[4];
    out[0] = glia_gather(x, i, 0);
    glia_vjp(out[0], w, &x, 1, &out[1]);
    glia_vjp(out[1], x, &w, 1, &out[2]);
    out[3] = glia_cast(glia_gather(glia_cast(x, GLIA_I64), i, 0), GLIA_F32);
    glia_error error = { 0 };
    glia_backend *b = glia_backend_open(backend, 2, &error);
    glia_store *store = glia_store_create(g, 0, &error);
    glia_program *program = glia_compile(g, b, (glia_compile_opts){ .outputs = out, .n_outputs = 4 }, &error);
    if (!program) fail_msg("%s", error.message);
    glia_session *session = glia_session_create(program, store, &error);
    glia_from_double(GLIA_F32, LIST(10, 20, 30), glia_session_input(session, "x", NULL, NULL), TABLE);
    glia_from_double(GLIA_F32, LIST(1, 2, 4, 8, 16, 32), glia_session_input(session, "w", NULL, NULL), PICKS);
    glia_from_double(dtype, picked, glia_session_input(session, "i", NULL, NULL), PICKS);
    assert_int_equal(glia_session_run(session, &error), GLIA_OK);
    const double wanted[4][PICKS] = { { 20, 30, 10, 0, 0, 0 }, { 4, 1, 2 }, { 20, 30, 10, 0, 0, 0 }, { 20, 30, 10 } };
    for (int k = 0; k < 4; k++) {
        const float *is = glia_session_output(session, k).data;
        for (int j = 0; j < (k == 1 ? TABLE : PICKS); j++) {
            if ((double)is[j] != wanted[k][j])
                fail_msg("%s, output %d: [%d] is %g, not %g", backend, k, j, (double)is[j], wanted[k][j]);
        }
    }
    glia_session_free(session);
    glia_program_free(program);
    glia_store_free(store);
    glia_backend_close(b);
    glia_graph_free(g);
}

static void negative_and_out_of_range_indices(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        check_picks(k ? "cpu" : "ref", GLIA_I32);
        check_picks(k ? "cpu" : "ref", GLIA_I64);
    }
}

static void expect_outside(double index, bool scatter, const char *words) {
    glia_graph *g = glia_graph_create();
    glia_tensor x = row(g, GLIA_F32, LIST(1, 2, 3), 3), i = row(g, GLIA_I32, LIST(0, index), 2);
    if (scatter)
        glia_scatter_add(row(g, GLIA_F32, LIST(1, 2), 2), i, 0, 3);
    else
        glia_gather(x, i, 0);
    glia_error error = { 0 };
    assert_int_equal(glia_graph_check(g, &error), words ? GLIA_E_SHAPE : GLIA_OK);
    if (words && !strstr(error.message, words)) fail_msg("'%s' is not in '%s'", words, error.message);
    glia_graph_free(g);
}

static void constant_indices_out_of_range_are_errors(void **state) {
    (void)state;
    for (int scatter = 0; scatter < 2; scatter++) {
        expect_outside(3, scatter, "index 3 is outside axis 0");
        expect_outside(-4, scatter, "index -4 is outside axis 0");
        expect_outside(-3, scatter, NULL);
        expect_outside(2, scatter, NULL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(negative_and_out_of_range_indices),
        cmocka_unit_test(constant_indices_out_of_range_are_errors),
        cmocka_unit_test(ties_share_the_gradient),
        cmocka_unit_test(gradients_at_kinks_are_as_documented),
        cmocka_unit_test(nan_propagates),
        cmocka_unit_test(no_intermediate_overflow),
        cmocka_unit_test(rounding_goes_to_even),
        cmocka_unit_test(casts_round_truncate_and_wrap),
        cmocka_unit_test(casts_between_floats_pass_gradients),
        cmocka_unit_test(storage_dtypes_pass_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
