/* Functions composed of several operations: resizing, group norm, sampling, segment softmax, custom gradients. */
#include <math.h>

#include "run_graph.h"

enum { MOST = 4096 };

static void compare(const char *what, const double *got, const double *want, int64_t n, double tolerance) {
    for (int64_t i = 0; i < n; i++) {
        if (fabs(got[i] - want[i]) > tolerance) {
            fail_msg("%s: element %d is %.9g, not %.9g", what, (int)i, got[i], want[i]);
        }
    }
}

/* Evaluates y and, if `gradient` is given, the gradient of its sum of squares in x. */
static void evaluate(glia_tensor y, glia_tensor x, double *value, double *gradient) {
    glia_error error = { 0 };
    if (glia_eval(y, value, MOST, &error) != GLIA_OK) fail_msg("%s", error.message);
    if (!gradient) return;
    glia_tensor dx;
    glia_grad(glia_sum(glia_square(y), GLIA_SCALAR, false), &x, 1, &dx);
    if (glia_eval(dx, gradient, MOST, &error) != GLIA_OK) fail_msg("%s", error.message);
}

static glia_tensor numbers(glia_graph *g, glia_shape shape, const double *values) {
    return glia_constant(g, GLIA_F64, shape, values);
}

/* torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False), PyTorch 1.13. */
static void bilinear_resize_matches_pytorch(void **state) {
    (void)state;
    static const double x[6] = { 1, 2, 4, 3, -1, 0.5 };
    static const double want[24] = { 1,       1.25,    1.75,    2.5,   3.5, 4,      1.5,    1.4375,
                                     1.3125,  1.71875, 2.65625, 3.125, 2.5, 1.8125, 0.4375, 0.15625,
                                     0.96875, 1.375,   3,       2,     0,   -0.625, 0.125,  0.5 };
    double got[MOST];
    glia_graph *g = glia_graph_create();
    evaluate(glia_upsample_bilinear(numbers(g, GLIA_SHAPE(1, 1, 2, 3), x), 2), NULL, got, NULL);
    compare("bilinear", got, want, 24, 1e-12);
    glia_graph_free(g);
}

/* interpolate(x, size=..., mode="bilinear", align_corners=False): larger and smaller. */
static void bilinear_resize_to_any_size(void **state) {
    (void)state;
    static const double x[6] = { 1, 2, 4, 3, -1, 0.5 };
    static const double want[15] = { 1, 1.4, 2, 3.2, 4, 2, 1.4, 0.5, 1.55, 2.25, 3, 1.4, -1, -0.1, 0.5 };
    double got[MOST], gradient[MOST];
    glia_error error = { 0 };
    glia_graph *g = glia_graph_create();
    glia_tensor in = numbers(g, GLIA_SHAPE(1, 1, 2, 3), x);
    evaluate(glia_resize_bilinear(in, 3, 5), NULL, got, NULL);
    compare("larger", got, want, 15, 1e-12);
    evaluate(glia_resize_bilinear(in, 1, 2), in, got, gradient);
    compare("smaller", got, (double[]){ 1.625, 1.8125 }, 2, 1e-12);
    compare("gradient", gradient, (double[]){ 1.21875, 0.859375, 1.359375, 1.21875, 0.859375, 1.359375 }, 6, 1e-12);
    glia_resize_bilinear(in, 0, 2);
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_ARGUMENT);
    glia_graph_free(g);
}

static void nearest_repeats_pixels(void **state) {
    (void)state;
    double x[2 * 3 * 2 * 2], got[MOST], gradient[MOST];
    for (int i = 0; i < 24; i++) x[i] = sin(i + 1.0);
    glia_graph *g = glia_graph_create();
    glia_tensor in = numbers(g, GLIA_SHAPE(2, 3, 2, 2), x);
    evaluate(glia_upsample_nearest(in, 3), in, got, gradient);
    for (int c = 0; c < 6; c++) {
        for (int i = 0; i < 36; i++) assert_true(got[c * 36 + i] == x[c * 4 + i / 6 / 3 * 2 + i % 6 / 3]);
    }
    for (int i = 0; i < 24; i++) assert_true(fabs(gradient[i] - 9 * 2 * x[i]) < 1e-12);
    glia_graph_free(g);
}

/* Shi et al. 2016: y[c, r h + i, r w + j] = x[c r r + i r + j, h, w]. */
static void pixel_shuffle_moves_channels(void **state) {
    (void)state;
    double x[8 * 2 * 3], got[MOST];
    for (int i = 0; i < 48; i++) x[i] = i;
    glia_graph *g = glia_graph_create();
    evaluate(glia_pixel_shuffle(numbers(g, GLIA_SHAPE(1, 8, 2, 3), x), 2), NULL, got, NULL);
    for (int c = 0; c < 2; c++) {
        for (int row = 0; row < 4; row++) {
            for (int col = 0; col < 6; col++) {
                const int channel = c * 4 + row % 2 * 2 + col % 2;
                assert_true(got[(c * 4 + row) * 6 + col] == x[(channel * 2 + row / 2) * 3 + col / 2]);
            }
        }
    }
    glia_graph_free(g);
}

/* torch.nn.functional.group_norm and instance_norm, PyTorch 1.13; x (2, 4, 3) is (k k) mod 7 for k = 1 to 24. */
static void group_norm_matches_pytorch(void **state) {
    (void)state;
    static const double scale[4] = { 1, 2, 3, 4 }, shift[4] = { 0, 0.5, -0.5, 1 };
    static const double groups[24] = { -1.069041531, 1.336301914,  -0.267260383, -0.034520766, 3.172603829,
                                       -1.638083063, -4.944452092, -2.893166511, 3.260690232,  0.54415876,
                                       0.54415876,   6.014253643,  -0.534520766, -1.336301914, -0.534520766,
                                       4.24164536,   1.034520766,  1.034520766,  3.427913607,  -2.463956804,
                                       -4.427913607, -1.618609072, 6.237218143,  1.0 };
    static const double each[24] = {
        -1.069041531, 1.336301914,  -0.267260383, -0.267260383, 1.336301914,  -1.069041531, -0.980578979, -0.392231591,
        1.37281057,   -0.707102804, -0.707102804, 1.414205607,  0.707090872,  -1.414181744, 0.707090872,  1.414205607,
        -0.707102804, -0.707102804, 1.37281057,   -0.392231591, -0.980578979, -1.069041531, 1.336301914,  -0.267260383
    };
    double x[24], got[MOST];
    for (int i = 0; i < 24; i++) x[i] = (i + 1) * (i + 1) % 7;
    glia_graph *g = glia_graph_create();
    glia_tensor in = glia_input(g, "x", GLIA_F64, GLIA_SHAPE(GLIA_BATCH, 4, 3));
    glia_tensor y[2] = { glia_group_norm(in, "group", 2, (glia_norm_opts){ 0 }),
                         glia_instance_norm(in, "instance", (glia_norm_opts){ .no_scale = true, .no_shift = true }) };
    runner r = runner_open(g, y, 2, GLIA_INFER, 2, 0);
    glia_array a;
    assert_true(glia_store_find(r.store, "group/scale", &a));
    memcpy(a.data, scale, sizeof scale);
    assert_true(glia_store_find(r.store, "group/shift", &a));
    memcpy(a.data, shift, sizeof shift);
    assert_false(glia_store_find(r.store, "instance/scale", &a));
    runner_set(&r, "x", x);
    runner_run(&r);
    runner_get(&r, 0, got);
    compare("group norm", got, groups, 24, 1e-8);
    runner_get(&r, 1, got);
    compare("instance norm", got, each, 24, 1e-8);
    runner_close(&r);
    glia_graph_free(g);
}

/* Sample frequencies against probabilities: within five standard deviations. */
static void samples_follow_their_probabilities(void **state) {
    (void)state;
    enum { N = 4000 };
    const double logits[3] = { 0, log(2), log(5) };
    static double integers[MOST], drawn[MOST];
    glia_graph *g = glia_graph_create();
    glia_tensor rows = glia_broadcast(numbers(g, GLIA_SHAPE(3), logits), GLIA_SHAPE(N, 3));
    glia_tensor y[2] = { glia_random_integers(g, GLIA_I32, GLIA_SHAPE(N), -3, 4), glia_random_categorical(rows) };
    runner r = runner_open(g, y, 2, GLIA_INFER, 1, 7);
    runner_run(&r);
    runner_get(&r, 0, integers);
    runner_get(&r, 1, drawn);
    double of[7] = { 0 }, in[3] = { 0 };
    for (int i = 0; i < N; i++) {
        assert_true(integers[i] == floor(integers[i]) && integers[i] >= -3 && integers[i] < 4);
        of[(int)integers[i] + 3]++;
        in[(int)drawn[i]]++;
    }
    for (int k = 0; k < 7; k++) assert_true(fabs(of[k] - N / 7.0) < 5 * sqrt(N * 6 / 49.0));
    for (int k = 0; k < 3; k++) {
        const double p = exp(logits[k]) / 8;
        assert_true(fabs(in[k] - N * p) < 5 * sqrt(N * p * (1 - p)));
    }
    runner_close(&r);
    glia_graph_free(g);
}

static void ranges_of_integers_are_checked(void **state) {
    (void)state;
    glia_error error;
    glia_graph *g = glia_graph_create();
    glia_random_integers(g, GLIA_I32, GLIA_SHAPE(3), 5, 5);
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "[5, 5)"));
    glia_graph_free(g);
}

/* Segment softmax equals the softmax of each segment alone, also for large numbers; so do the gradients. */
static void segment_softmax_is_softmax_per_segment(void **state) {
    (void)state;
    static const double x[6] = { 1, 2, 3, 1000, 1001, -5 }, offsets[5] = { 0, 3, 3, 5, 6 };
    double got[MOST], gradient[MOST], want[MOST], slope[MOST];
    glia_graph *g = glia_graph_create();
    glia_tensor in = numbers(g, GLIA_SHAPE(6), x);
    evaluate(glia_segment_softmax(in, glia_constant(g, GLIA_I64, GLIA_SHAPE(5), offsets)), in, got, gradient);
    for (int s = 0; s < 4; s++) {
        const int from = (int)offsets[s], n = (int)offsets[s + 1] - from;
        if (n == 0) continue;
        glia_tensor part = numbers(g, GLIA_SHAPE(n), x + from);
        evaluate(glia_softmax(part, 0), part, want + from, slope + from);
    }
    compare("segment_softmax", got, want, 6, 1e-12);
    compare("its gradient", gradient, slope, 6, 1e-12);
    evaluate(glia_segment_mean(in, glia_constant(g, GLIA_I64, GLIA_SHAPE(5), offsets)), NULL, got, NULL);
    compare("segment_mean", got, (double[]){ 2, 0, 1000.5, -5 }, 4, 1e-12);
    glia_graph_free(g);
}

/* The matrix { { 0, 5, 0 }, { 0, 0, 0 }, { 7, 0, 2 + 3 } } from entries in any order, times x and transposed. */
static void csr_constant_sorts_entries_by_row(void **state) {
    (void)state;
    static const int32_t row[4] = { 2, 0, 2, 2 }, column[4] = { 2, 1, 0, 2 };
    static const double values[4] = { 2, 5, 7, 3 }, x[6] = { 1, 2, 3, 4, 5, 6 };
    double got[MOST];
    glia_error error = { 0 };
    glia_graph *g = glia_graph_create();
    glia_csr m = glia_csr_constant(g, GLIA_F64, 3, 4, row, column, values);
    glia_tensor in = numbers(g, GLIA_SHAPE(3, 2), x);
    evaluate(glia_csr_matmul(m.values, m.columns, m.offsets, in), NULL, got, NULL);
    compare("product", got, (double[]){ 15, 20, 0, 0, 7 + 25, 14 + 30 }, 6, 0);
    evaluate(glia_csr_matmul_transposed(m.values, m.columns, m.offsets, in, 3), NULL, got, NULL);
    compare("transposed", got, (double[]){ 35, 42, 5, 10, 25, 30 }, 6, 0);
    m = glia_csr_constant(g, GLIA_F64, 3, 4, row, column, NULL);
    evaluate(glia_segment_sum(m.values, m.offsets), NULL, got, NULL);
    compare("entries", got, (double[]){ 1, 0, 3 }, 3, 0);
    assert_int_equal(glia_graph_check(g, &error), GLIA_OK);
    glia_csr_constant(g, GLIA_F64, 2, 4, row, column, NULL);
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "entry 0 is at row 2, column 2 of 2 rows"));
    glia_graph_free(g);
}

/* y = round(x) with slope 1; reversal: dx = -2 dy; a surrogate: step(x) with slope 1 / (1 + |x|)^2, of any order. */
static void custom_gradients_are_used(void **state) {
    (void)state;
    static const double x[3] = { 0.4, 1.6, -2.2 };
    double got[MOST];
    glia_error error;
    glia_graph *g = glia_graph_create();
    glia_tensor in = numbers(g, GLIA_SHAPE(3), x), dx;
    glia_tensor y = glia_straight_through(glia_round(in), in);
    glia_grad(glia_square(y), &in, 1, &dx);
    assert_int_equal(glia_eval(y, got, MOST, &error), GLIA_OK);
    compare("rounded", got, (double[]){ 0, 2, -2 }, 3, 0);
    assert_int_equal(glia_eval(dx, got, MOST, &error), GLIA_OK);
    compare("straight through", got, (double[]){ 0, 4, -4 }, 3, 0);
    glia_grad(glia_reverse_gradient(in, 2), &in, 1, &dx);
    assert_int_equal(glia_eval(dx, got, MOST, &error), GLIA_OK);
    compare("reversed", got, (double[]){ -2, -2, -2 }, 3, 0);
    glia_tensor slope = glia_reciprocal(glia_square(glia_add_scalar(glia_abs(in), 1))), second;
    glia_tensor spike = glia_cast(glia_greater(in, glia_like(in, 0)), GLIA_F64);
    glia_grad(glia_custom_gradient(spike, in, slope), &in, 1, &dx);
    glia_grad(dx, &in, 1, &second);
    assert_int_equal(glia_eval(second, got, MOST, &error), GLIA_OK);
    for (int i = 0; i < 3; i++) {
        assert_true(fabs(got[i] + 2 * copysign(1, x[i]) / pow(1 + fabs(x[i]), 3)) < 1e-12);
    }
    glia_graph_free(g);
}

/* Custom gradients are kept when a graph is printed and parsed. */
static void custom_gradients_are_saved(void **state) {
    (void)state;
    glia_error error;
    glia_model *model = glia_model_create("net", &error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(3));
    glia_model_output(model, "y", glia_reverse_gradient(x, 2));
    assert_int_equal(glia_model_save(model, "reversed.safetensors", &error), GLIA_OK);
    glia_model_free(model);
    model = glia_model_load("reversed.safetensors", &error);
    assert_non_null(model);
    glia_tensor in = glia_model_input_at(model, 0, NULL), y = glia_model_output_at(model, 0, NULL), dx;
    double got[MOST];
    glia_grad(y, &in, 1, &dx);
    assert_int_equal(glia_eval(dx, got, MOST, &error), GLIA_OK);
    compare("reversed", got, (double[]){ -2, -2, -2 }, 3, 0);
    glia_model_free(model);
}

/* numpy.take_along_axis for valid indices; 0 for others, on both backends, to which the adjoint adds nothing. */
static void indices_along_an_axis(void **state) {
    (void)state;
    static const double x[6] = { 1, 2, 3, 4, 5, 6 };
    static const char *const backends[] = { "ref", "cpu" };
    static const float want[8] = { 1, 3, 3, 0, 4, 0, 5, 5 }, sums[6] = { 1, 0, 6, 4, 10, 0 };
    for (int k = 0; k < 2; k++) {
        glia_error error;
        int32_t at[8] = { 0, -1, 2, 3, -3, -4, 1, 1 };
        glia_graph *g = glia_graph_create();
        glia_tensor in = glia_cast(numbers(g, GLIA_SHAPE(2, 3), x), GLIA_F32);
        glia_tensor indices = glia_input(g, "at", GLIA_I32, GLIA_SHAPE(2, 4));
        glia_tensor y[2] = { glia_take_along_axis(in, indices, 1), NULL };
        y[1] = glia_add_along_axis(y[0], indices, 1, 3);
        glia_backend *backend = glia_backend_open(backends[k], 2, &error);
        glia_store *store = glia_store_create(g, 0, &error);
        glia_function_opts opts = { .outputs = y, .n_outputs = 2 };
        glia_function *f = glia_function_create(g, backend, store, opts, &error);
        glia_array out[2], given = { .name = "at", .dtype = GLIA_I32, .shape = GLIA_SHAPE(2, 4), .data = at };
        assert_int_equal(glia_function_call(f, &given, 1, out, &error), GLIA_OK);
        assert_memory_equal(out[0].data, want, sizeof want);
        assert_memory_equal(out[1].data, sums, sizeof sums);
        glia_function_free(f);
        glia_store_free(store);
        glia_backend_close(backend);
        glia_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bilinear_resize_matches_pytorch),
        cmocka_unit_test(bilinear_resize_to_any_size),
        cmocka_unit_test(nearest_repeats_pixels),
        cmocka_unit_test(pixel_shuffle_moves_channels),
        cmocka_unit_test(group_norm_matches_pytorch),
        cmocka_unit_test(samples_follow_their_probabilities),
        cmocka_unit_test(ranges_of_integers_are_checked),
        cmocka_unit_test(segment_softmax_is_softmax_per_segment),
        cmocka_unit_test(csr_constant_sorts_entries_by_row),
        cmocka_unit_test(indices_along_an_axis),
        cmocka_unit_test(custom_gradients_are_used),
        cmocka_unit_test(custom_gradients_are_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
