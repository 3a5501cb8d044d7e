/* test_explain_affine.c - Shapley values of nets whose affine part is not computed again for each coalition. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "glia/glia.h"

enum { OUTPUTS = 3, N = 36 };

/* A model as a function of rows, about which nothing else is known. */
static glia_status predicted(const float *rows, int64_t n, double *values, void *context, glia_error *error) {
    float y[OUTPUTS];
    for (int64_t i = 0; i < n; i++) {
        glia_status status = glia_predict(context, rows + N * i, 1, y, NULL, error);
        if (status != GLIA_OK) return status;
        for (int k = 0; k < OUTPUTS; k++) values[OUTPUTS * i + k] = (double)y[k];
    }
    return GLIA_OK;
}

/* Nets of (1, 6, 6): with an affine part, an affine part of rank 4, affine as a whole, and with a way around it. */
static glia_model *net_of(int kind) {
    glia_error error;
    glia_model *model = glia_model_create("net", &error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 6, 6)), flat = glia_flatten(x);
    const glia_dense_opts hidden = { .units = 21 }, out = { .units = OUTPUTS };
    glia_tensor h = glia_dense(glia_mul(glia_sub(flat, glia_like(flat, 0.5)), glia_like(flat, 2)), "hidden", hidden);
    if (kind == 0) h = glia_tanh(h);
    if (kind == 1) h = glia_flatten(glia_relu(glia_conv2d(x, "c", (glia_conv_opts){ .filters = 2, .kernel = 3 })));
    if (kind == 3) h = glia_concat((glia_tensor[]){ glia_relu(h), glia_sigmoid(flat) }, 2, 1);
    glia_model_output(model, "y", glia_dense(h, "out", out));
    return model;
}

/* What does not compute the affine part again gives the values of what knows nothing of it: with groups, with elements
 * that belong to none, with a group that is as in the background, and with scores that are probabilities. */
static void affine_parts_change_no_value(void **state) {
    (void)state;
    enum { BACKGROUND = 7 };
    float x[N], background[BACKGROUND * N];
    int32_t groups[N];
    for (int i = 0; i < N; i++) x[i] = (float)sin(1.7 * i), groups[i] = i % 14 - 1;
    for (int i = 0; i < BACKGROUND * N; i++) background[i] = i % N % 14 == 5 ? x[i % N] : (float)cos(0.9 * i);
    for (int kind = 0; kind < 4; kind++) {
        glia_error error = { 0 };
        glia_model *model = net_of(kind);
        const glia_explain_opts opts = { .settings = kind % 2 ? "samples=100 most=100 tolerance=0" : NULL,
                                         .background = background,
                                         .n_background = BACKGROUND,
                                         .groups = kind == 3 ? NULL : groups,
                                         .score = kind == 0 ? GLIA_SCORE_PROBABILITY : GLIA_SCORE_OUTPUT,
                                         .threads = 1 };
        const char *method = kind % 2 ? "kernel-shap" : "exact-shap";
        glia_explainer *why = glia_explainer_create(model, method, opts, &error);
        glia_explainer *plain =
            glia_explainer_of_function(predicted, model, GLIA_SHAPE(1, 6, 6), OUTPUTS, method, opts, &error);
        if (!why || !plain) fail_msg("%s", error.message);
        for (int sample = 0; sample < 2; sample++) {
            glia_explanation a, b;
            x[0] += 1; /* belongs to no group */
            assert_int_equal(glia_explain(why, x, 1, &a, &error), GLIA_OK);
            assert_int_equal(glia_explain(plain, x, 1, &b, &error), GLIA_OK);
            for (int64_t i = 0; i < a.n; i++) assert_true(fabs(a.values[i] - b.values[i]) < 2e-6);
            assert_float_equal(a.base_value, b.base_value, 2e-6);
            assert_true(fabs(a.output_value - b.output_value) < 2e-6 && fabs(a.residual) < 1e-9);
            glia_explanation_free(&a);
            glia_explanation_free(&b);
        }
        glia_explainer_free(why);
        glia_explainer_free(plain);
        glia_model_free(model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(affine_parts_change_no_value) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
