/* test_spectral_norm.c - spectral norm against PyTorch, the singular value decomposition and finite differences. */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "core/graph/graph.h"
#include "run_graph.h"

enum { N = 4, MOST = 512 };

/* Reads the golden numbers of this name; returns their number. */
static int golden(const char *name, double *values) {
    FILE *f = fopen(GLIA_GOLDEN_DIR "/spectral_norm.txt", "r");
    char is[64] = "";
    int n = 0;
    assert_non_null(f);
    while (fscanf(f, "%63s %d", is, &n) == 2) {
        double v;
        for (int i = 0; i < n; i++) {
            assert_int_equal(fscanf(f, "%lf", &v), 1);
            if (i < MOST) values[i] = v;
        }
        if (!strcmp(is, name)) break;
    }
    fclose(f);
    assert_string_equal(is, name);
    return n;
}

static void assert_near(const double *is, const double *should, int64_t n, double tolerance, const char *what) {
    for (int64_t i = 0; i < n; i++) {
        if (!(fabs(is[i] - should[i]) <= tolerance * (1 + fabs(should[i]))))
            fail_msg("%s[%lld] is %.15g and should be %.15g", what, (long long)i, is[i], should[i]);
    }
}

static runner open_with(glia_graph *g, const char *backend, glia_compile_opts opts) {
    glia_error error = { 0 };
    runner r = { .backend = glia_backend_open(backend, 2, &error), .store = glia_store_create(g, 1, &error) };
    if (!r.store) fail_msg("%s", error.message);
    opts.batch = N;
    r.program = glia_compile(g, r.backend, opts, &error);
    if (!r.program) fail_msg("%s", error.message);
    r.session = glia_session_create(r.program, r.store, &error);
    if (!r.session) fail_msg("%s", error.message);
    return r;
}

static void set_leaf(const runner *r, const char *name, const double *values) {
    glia_array a;
    if (!glia_store_find(r->store, name, &a)) fail_msg("there is no leaf %s", name);
    glia_from_double(a.dtype, values, a.data, glia_shape_count(a.shape));
}

/* ---- PyTorch ------------------------------------------------------------------------------ */

static glia_tensor critic(glia_tensor x) {
    x = glia_conv2d(x, "conv",
                    (glia_conv_opts){ .filters = 3, .kernel = 3, .spectral_norm = true, .activation = GLIA_TANH });
    x = glia_conv2d_transposed(
        x, "wide", (glia_conv_opts){ .filters = 4, .kernel = 2, .spectral_norm = true, .activation = GLIA_TANH });
    return glia_dense(glia_flatten(x), "fc", (glia_dense_opts){ .units = 2, .spectral_norm = true });
}

/* For each leaf of the critic: sets it to its value at this time, or compares. */
static void each_leaf(const runner *r, const char *when, double tolerance) {
    static const char *const layers[] = { "conv", "wide", "fc" }, *const parts[] = { "kernel", "bias", "u", "v" };
    double should[MOST], is[MOST];
    for (int i = 0; i < 12; i++) {
        char name[32], at[64];
        snprintf(name, sizeof name, "%s/%s", layers[i / 4], parts[i % 4]);
        snprintf(at, sizeof at, "%s/%s", when, name);
        const int n = golden(at, should);
        if (tolerance == 0) {
            set_leaf(r, name, should);
        } else {
            assert_int_equal(runner_leaf(r, name, is), n);
            assert_near(is, should, n, tolerance, at);
        }
    }
}

/* Both passes of a step iterate once, the second from the vectors of the first. */
static void training_matches_pytorch(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        const double tolerance = kind & 1 ? 2e-4 : 1e-12;
        const glia_dtype dtype = kind & 1 ? GLIA_F32 : GLIA_F64;
        glia_graph *g = glia_graph_create();
        glia_tensor fake = glia_input(g, "fake", dtype, GLIA_SHAPE(GLIA_BATCH, 2, 5, 5));
        glia_tensor real = glia_input(g, "real", dtype, GLIA_SHAPE(GLIA_BATCH, 2, 5, 5));
        glia_tensor of_fake = glia_mean(glia_square(critic(fake)), GLIA_SCALAR, false), scores = critic(real);
        glia_tensor loss = glia_sub(of_fake, glia_mean(scores, GLIA_SCALAR, false));
        glia_minimize(loss, (glia_optimizer){ .kind = GLIA_SGD, .lr = 0.5 }, NULL, NULL);
        runner r = open_with(g, kind & 2 ? "cpu" : "ref",
                             (glia_compile_opts){ .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN });
        double x[MOST], is[MOST], should[MOST];
        golden("fake", x);
        runner_set(&r, "fake", x);
        golden("real", x);
        runner_set(&r, "real", x);
        each_leaf(&r, "begin", 0);
        for (int step = 0; step < 3; step++) {
            char name[16];
            runner_run(&r);
            snprintf(name, sizeof name, "loss%d", step);
            golden(name, should);
            runner_get(&r, 0, is);
            assert_near(is, should, 1, tolerance, name);
            snprintf(name, sizeof name, "step%d", step);
            each_leaf(&r, name, tolerance);
        }
        for (int frozen = 0; frozen < 2; frozen++) {
            glia_compile_opts opts = { .outputs = &scores, .n_outputs = 1, .batch = N, .frozen = frozen };
            runner eval = r;
            eval.program = glia_compile(g, r.backend, opts, NULL);
            eval.session = glia_session_create(eval.program, r.store, NULL);
            runner_set(&eval, "real", x);
            runner_run(&eval);
            const int n = golden("scores", should);
            assert_int_equal(runner_get(&eval, 0, is), n);
            assert_near(is, should, n, tolerance, "scores");
            each_leaf(&r, "step2", tolerance);
            glia_session_free(eval.session);
            glia_program_free(eval.program);
        }
        runner_close(&r);
        glia_graph_free(g);
    }
}

/* ---- closed forms ------------------------------------------------------------------------- */

/* The largest singular value of w (K, 2): the root of the larger eigenvalue of w^T w. */
static double largest(const double *w, int rows) {
    double a = 0, b = 0, c = 0;
    for (int i = 0; i < rows; i++) {
        a += w[2 * i] * w[2 * i];
        b += w[2 * i] * w[2 * i + 1];
        c += w[2 * i + 1] * w[2 * i + 1];
    }
    return sqrt((a + c) / 2 + sqrt((a - c) * (a - c) / 4 + b * b));
}

/* After many passes sigma is the largest singular value; with more iterations in a pass it is so sooner. */
static void sigma_becomes_the_largest_singular_value(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) { /* rows at axis 0, at axis 1, at axis 0 with 40 iterations */
        glia_graph *g = glia_graph_create();
        glia_tensor w = glia_parameter(g, "w", GLIA_F64, kind == 1 ? GLIA_SHAPE(2, 5, 1) : GLIA_SHAPE(5, 2),
                                       (glia_init){ .kind = GLIA_INIT_NORMAL });
        glia_tensor y = glia_spectral_norm(
            w, "sn", (glia_spectral_norm_opts){ .axis = kind == 1, .iterations = kind == 2 ? 40 : 0 });
        runner r = open_with(g, "ref", (glia_compile_opts){ .outputs = &y, .n_outputs = 1, .mode = GLIA_TRAIN });
        double values[10], matrix[10], result[10], u[5], v[2];
        runner_leaf(&r, "w", values);
        for (int i = 0; i < 5; i++) {
            for (int k = 0; k < 2; k++) matrix[2 * i + k] = kind == 1 ? values[5 * k + i] : values[2 * i + k];
        }
        for (int pass = 0; pass < (kind == 2 ? 4 : 160); pass++) runner_run(&r);
        runner_get(&r, 0, result);
        const double sigma = largest(matrix, 5);
        for (int i = 0; i < 10; i++) assert_true(fabs(result[i] * sigma - values[i]) < 1e-12);
        assert_int_equal(runner_leaf(&r, "sn/u", u), 5);
        assert_int_equal(runner_leaf(&r, "sn/v", v), 2);
        for (int i = 0; i < 5; i++) /* w v = sigma u */
            assert_true(fabs(matrix[2 * i] * v[0] + matrix[2 * i + 1] * v[1] - sigma * u[i]) < 1e-6);
        assert_true(fabs(v[0] * v[0] + v[1] * v[1] - 1) < 1e-12);
        runner_close(&r);
        glia_graph_free(g);
    }
}

/* Finite differences, with u and v as they are in the store; and in training the formula of the paper. */
static void gradients_take_the_vectors_as_constants(void **state) {
    (void)state;
    enum { K = 3, M = 4 };
    glia_graph *g = glia_graph_create();
    glia_tensor w = glia_parameter(g, "w", GLIA_F64, GLIA_SHAPE(K, M), (glia_init){ .kind = GLIA_INIT_NORMAL });
    glia_tensor y = glia_spectral_norm(w, "sn", (glia_spectral_norm_opts){ 0 });
    glia_tensor loss = glia_sum(glia_sin(glia_mul_scalar(y, 3)), GLIA_SCALAR, false), out[3] = { loss, NULL, y };
    glia_grad(loss, &w, 1, &out[1]);
    runner train = open_with(g, "ref", (glia_compile_opts){ .outputs = out, .n_outputs = 3, .mode = GLIA_TRAIN });
    double values[K * M], d[K * M], result[K * M], u[K], v[M];
    runner_run(&train);
    runner_leaf(&train, "w", values);
    runner_leaf(&train, "sn/u", u); /* those of this pass */
    runner_leaf(&train, "sn/v", v);
    runner_get(&train, 1, d);
    runner_get(&train, 2, result);
    double sigma = 0, along = 0;
    for (int i = 0; i < K * M; i++) {
        sigma += u[i / M] * values[i] * v[i % M];
        along += 3 * cos(3 * result[i]) * result[i];
    }
    for (int i = 0; i < K * M; i++) {
        assert_true(fabs(result[i] * sigma - values[i]) < 1e-12);
        assert_true(fabs(d[i] - (3 * cos(3 * result[i]) - along * u[i / M] * v[i % M]) / sigma) < 1e-12);
    }
    runner infer = open_with(g, "ref", (glia_compile_opts){ .outputs = out, .n_outputs = 2 });
    set_leaf(&infer, "sn/u", u);
    set_leaf(&infer, "sn/v", v);
    runner_run(&infer);
    double same[K * M];
    runner_get(&infer, 1, same);
    assert_near(same, d, K * M, 1e-12, "gradient");
    for (int i = 0; i < K * M; i++) {
        double moved[K * M], l[2];
        for (int k = 0; k < 2; k++) {
            memcpy(moved, values, sizeof moved);
            moved[i] += k ? 1e-5 : -1e-5;
            set_leaf(&infer, "w", moved);
            runner_run(&infer);
            runner_get(&infer, 0, &l[k]);
        }
        assert_true(fabs((l[1] - l[0]) / 2e-5 - d[i]) < 1e-7 * (1 + fabs(d[i])));
    }
    runner_close(&train);
    runner_close(&infer);
    glia_graph_free(g);
}

/* ---- which programs move the states ------------------------------------------------------- */

/* Inference before the first training pass iterates as that pass does, and keeps nothing. */
static void inference_before_training_iterates(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor w = glia_parameter(g, "w", GLIA_F64, GLIA_SHAPE(3, 4), (glia_init){ .kind = GLIA_INIT_NORMAL });
    glia_tensor y = glia_spectral_norm(w, "sn", (glia_spectral_norm_opts){ 0 });
    double is[2][12], u[2][3], v[4];
    for (int k = 0; k < 2; k++) {
        runner r = open_with(g, "ref",
                             (glia_compile_opts){ .outputs = &y, .n_outputs = 1, .mode = k ? GLIA_TRAIN : GLIA_INFER });
        runner_run(&r);
        runner_get(&r, 0, is[k]);
        runner_leaf(&r, "sn/u", u[k]);
        runner_leaf(&r, "sn/v", v);
        assert_true((v[0] * v[0] + v[1] * v[1] > 0) == k);
        runner_close(&r);
    }
    assert_near(is[0], is[1], 12, 1e-15, "value");
    assert_true(u[0][0] != u[1][0]);
    glia_graph_free(g);
}

/* A linear critic's gradient does not need the critic's value, but it is a forward pass. */
static void statistics_choose_what_moves(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        glia_graph *g = glia_graph_create();
        glia_tensor x = glia_input(g, "x", GLIA_F64, GLIA_SHAPE(GLIA_BATCH, 4)), w, d;
        glia_tensor y =
            glia_dense(x, "critic", (glia_dense_opts){ .units = 2, .no_bias = true, .spectral_norm = true });
        glia_dense(x, "other", (glia_dense_opts){ .units = 2, .spectral_norm = true });
        assert_int_equal(glia_parameters(g, "critic/*", &w, 1), 1);
        glia_vjp(y, glia_square(glia_broadcast(glia_sum(x, GLIA_SHAPE(1), true), glia_tensor_shape(y))), &w, 1, &d);
        glia_compile_opts opts = { .outputs = &d, .n_outputs = 1, .mode = GLIA_TRAIN };
        if (kind == 1) opts.statistics = "";
        if (kind == 2) opts.statistics = "critic/*";
        if (kind == 3) opts.statistics = "other/*";
        runner r = open_with(g, "ref", opts);
        const double rows[4 * N] = { 1, 2, -1, 0.5, 3, 1 };
        runner_set(&r, "x", rows);
        runner_run(&r);
        double v[4];
        runner_leaf(&r, "critic/v", v);
        assert_true((v[0] != 0) == (kind == 0 || kind == 2));
        runner_leaf(&r, "other/v", v);
        assert_true(v[0] == 0);
        runner_close(&r);
        glia_graph_free(g);
    }
}

/* ---- models ------------------------------------------------------------------------------- */

static void models_train_save_and_load(void **state) {
    (void)state;
    glia_error error;
    glia_model *model = glia_model_create("critic", NULL);
    glia_tensor h = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 6, 6));
    h = glia_conv2d(h, "conv",
                    (glia_conv_opts){ .filters = 4, .kernel = 3, .spectral_norm = true, .activation = GLIA_RELU });
    glia_model_output(model, "y",
                      glia_dense(glia_flatten(h), "fc", (glia_dense_opts){ .units = 2, .spectral_norm = true }));
    float x[8 * 36], y[2][2];
    const int32_t label[8] = { 0, 1, 0, 1, 0, 1, 0, 1 };
    for (int i = 0; i < 8 * 36; i++) x[i] = (float)(sin(i) + (i / 36 % 2 ? 0.5 : -0.5));
    glia_dataset *data = glia_data_arrays(
        (glia_arrays){ .n = 8, .x = x, .x_shape = GLIA_SHAPE(1, 6, 6), .y = label, .y_dtype = GLIA_I32 }, &error);
    glia_fit_opts opts = { .epochs = 30, .batch = 4, .seed = 1, .workers = -1, .optimizer = { .lr = 0.01 } };
    if (glia_fit(model, data, opts, &error) != GLIA_OK) fail_msg("%s", error.message);
    glia_scores scores;
    assert_int_equal(glia_evaluate(model, data, (glia_evaluate_opts){ 0 }, &scores, &error), GLIA_OK);
    assert_true(scores.accuracy == 1);
    assert_int_equal(glia_predict(model, x, 1, y[0], NULL, &error), GLIA_OK);
    if (glia_model_save(model, "spectral.safetensors", &error) != GLIA_OK) fail_msg("%s", error.message);
    glia_model *loaded = glia_model_load("spectral.safetensors", &error);
    if (!loaded) fail_msg("%s", error.message);
    unlink("spectral.safetensors");
    assert_int_equal(glia_predict(loaded, x, 1, y[1], NULL, &error), GLIA_OK);
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    glia_data_free(data);
    glia_model_free(loaded);
    glia_model_free(model);
}

static void expect(glia_graph *g, const char *words) {
    glia_error error = { 0 };
    assert_int_not_equal(glia_graph_check(g, &error), GLIA_OK);
    if (!strstr(error.message, words)) fail_msg("'%s' instead of '%s'", error.message, words);
    glia_graph_free(g);
}

static void mistakes_are_named(void **state) {
    (void)state;
    static const char *const words[] = { "a name is needed", "sn: spectral norm of f32(3): it needs two axes",
                                         "the weight must be f32 or f64", "axis is outside", "iterations is negative" };
    for (int k = 0; k < 5; k++) {
        glia_graph *g = glia_graph_create();
        glia_tensor w = glia_input(g, "w", k == 2 ? GLIA_I32 : GLIA_F32, k == 1 ? GLIA_SHAPE(3) : GLIA_SHAPE(3, 4));
        glia_spectral_norm(w, k ? "sn" : "",
                           (glia_spectral_norm_opts){ .axis = k == 3 ? 2 : 0, .iterations = k == 4 ? -1 : 0 });
        expect(g, words[k]);
    }
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 3, 4)), all;
    glia_loop *loop = glia_loop_begin(g, (glia_loop_opts){ 0 });
    glia_tensor y = glia_dense(glia_loop_input(loop, x), "fc", (glia_dense_opts){ .units = 2, .spectral_norm = true });
    glia_loop_end(loop, &y, 1, &all);
    expect(g, "spectral norm cannot be in a loop");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_matches_pytorch),
        cmocka_unit_test(sigma_becomes_the_largest_singular_value),
        cmocka_unit_test(gradients_take_the_vectors_as_constants),
        cmocka_unit_test(inference_before_training_iterates),
        cmocka_unit_test(statistics_choose_what_moves),
        cmocka_unit_test(models_train_save_and_load),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
