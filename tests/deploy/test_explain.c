/* test_explain.c - explanations against the packages captum, shap and lime (tests/golden/explain), brute force, closed
 * forms and identities. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/formats/formats.h"
#include "deploy/explain/lime.h"
#include "glia/glia.h"

enum { OUTPUT = 1 };

/* ---- golden files ----------------------------------------------------------------------------- */

typedef struct golden {
    glia_file bytes;
    glia_safetensors file;
    glia_model *model;
    float x[64], background[3 * 64];
    int64_t size, n_background;
} golden;

static const double *values_of(const golden *g, const char *name, int64_t n) {
    const glia_safetensor *t = glia_safetensors_find(&g->file, name);
    if (!t) fail_msg("no tensor %s", name);
    assert_int_equal(glia_shape_count(t->shape), n);
    return (const double *)(const void *)t->data;
}

static void read_golden(golden *g, const char *path) {
    glia_error error;
    *g = (golden){ 0 };
    assert_int_equal(glia_file_open(&g->bytes, path, &error), GLIA_OK);
    assert_int_equal(glia_safetensors_parse(g->bytes.bytes, g->bytes.length, &g->file, &error), GLIA_OK);
}

/* The file's parameters become those of the model. */
static void take_state(golden *g) {
    glia_store *store = glia_model_store(g->model);
    for (int i = 0; i < glia_store_count(store); i++) {
        glia_array a = glia_store_at(store, i);
        char name[64];
        snprintf(name, sizeof name, "state.%s", a.name);
        const int64_t n = glia_shape_count(a.shape);
        const double *from = values_of(g, name, n);
        for (int64_t k = 0; k < n; k++) ((float *)a.data)[k] = (float)from[k];
    }
    glia_store_settle(store);
    const glia_safetensor *t = glia_safetensors_find(&g->file, "background");
    g->n_background = t->shape.dim[0];
    g->size = glia_shape_count(t->shape) / g->n_background;
    const double *x = values_of(g, "x", g->size), *b = values_of(g, "background", g->size * g->n_background);
    for (int64_t k = 0; k < g->size; k++) g->x[k] = (float)x[k];
    for (int64_t k = 0; k < g->size * g->n_background; k++) g->background[k] = (float)b[k];
}

static void open_mlp(golden *g) {
    glia_error error;
    read_golden(g, GLIA_GOLDEN_DIR "/explain/mlp.safetensors");
    g->model = glia_model_create("mlp", &error);
    glia_tensor x = glia_model_input(g->model, "x", GLIA_F32, GLIA_SHAPE(5));
    x = glia_dense(x, "fc1", (glia_dense_opts){ .units = 8, .activation = GLIA_RELU });
    x = glia_dense(x, "fc2", (glia_dense_opts){ .units = 6, .activation = GLIA_TANH });
    glia_model_output(g->model, "y", glia_dense(x, "out", (glia_dense_opts){ .units = 3 }));
    assert_int_equal(glia_model_init(g->model, 0, &error), GLIA_OK);
    take_state(g);
}

static void open_conv(golden *g) {
    glia_error error;
    read_golden(g, GLIA_GOLDEN_DIR "/explain/conv.safetensors");
    g->model = glia_model_create("conv", &error);
    glia_tensor x = glia_model_input(g->model, "x", GLIA_F32, GLIA_SHAPE(1, 8, 8));
    x = glia_conv2d(x, "conv1", (glia_conv_opts){ .filters = 4, .kernel = 3, .pad = 1, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_conv2d(x, "conv2", (glia_conv_opts){ .filters = 6, .kernel = 3, .activation = GLIA_RELU });
    glia_model_output(g->model, "y", glia_dense(glia_flatten(x), "out", (glia_dense_opts){ .units = 3 }));
    assert_int_equal(glia_model_init(g->model, 0, &error), GLIA_OK);
    take_state(g);
}

static void close_golden(golden *g) {
    glia_model_free(g->model);
    glia_safetensors_free(&g->file);
    glia_file_close(&g->bytes);
}

static glia_explanation explain_by(const golden *g, const char *method, glia_explain_opts opts) {
    glia_error error = { 0 };
    glia_explanation e = { 0 };
    opts.threads = 1;
    glia_explainer *why = glia_explainer_create(g->model, method, opts, &error);
    if (!why) fail_msg("%s: %s", method, error.message);
    if (glia_explain(why, g->x, OUTPUT, &e, &error) != GLIA_OK) fail_msg("%s: %s", method, error.message);
    glia_explainer_free(why);
    assert_int_equal(e.output, OUTPUT);
    return e;
}

static void assert_values(const glia_explanation *e, const double *wanted, double tolerance) {
    for (int64_t i = 0; i < e->n; i++) {
        if (!(fabs(e->values[i] - wanted[i]) <= tolerance)) {
            fail_msg("value %d is %.9g, not %.9g", (int)i, e->values[i], wanted[i]);
        }
    }
}

static void agrees(const golden *g, const char *method, const char *tensor, glia_explain_opts opts, double tolerance) {
    glia_explanation e = explain_by(g, method, opts);
    print_message("%s\n", method);
    assert_values(&e, values_of(g, tensor, e.n), tolerance);
    if (!isnan(e.base_value) && e.errors) assert_true(e.converged);
    glia_explanation_free(&e);
}

static void agree_with_captum(const golden *g) {
    agrees(g, "saliency", "saliency", (glia_explain_opts){ 0 }, 1e-5);
    agrees(g, "gradient-x-input", "gradient-x-input", (glia_explain_opts){ 0 }, 1e-5);
    const glia_explain_opts one = { .settings = "steps=50 tolerance=0",
                                    .background = g->background,
                                    .n_background = 1 };
    agrees(g, "integrated-gradients", "integrated-gradients", one, 1e-5);
    glia_explanation e = explain_by(g, "integrated-gradients", one);
    assert_float_equal(-e.residual, values_of(g, "delta", 1)[0], 1e-5);
    glia_explanation_free(&e);
}

static void gradients_agree_with_captum(void **state) {
    (void)state;
    golden g;
    open_mlp(&g);
    agree_with_captum(&g);
    agrees(&g, "occlusion", "occlusion", (glia_explain_opts){ .settings = "window=2 stride=1" }, 1e-5);
    close_golden(&g);
    open_conv(&g);
    agree_with_captum(&g);
    agrees(&g, "guided-backprop", "guided-backprop", (glia_explain_opts){ 0 }, 1e-5);
    agrees(&g, "occlusion", "occlusion", (glia_explain_opts){ .settings = "window=3 stride=2" }, 1e-5);
    agrees(&g, "grad-cam", "grad-cam", (glia_explain_opts){ 0 }, 1e-5);
    agrees(&g, "grad-cam", "grad-cam.conv1", (glia_explain_opts){ .settings = "layer=conv1" }, 1e-5);
    agrees(&g, "grad-cam++", "grad-cam++", (glia_explain_opts){ 0 }, 1e-5);
    close_golden(&g);
}

static glia_explain_opts before(const golden *g, const char *settings) {
    return (glia_explain_opts){ .settings = settings, .background = g->background, .n_background = g->n_background };
}

static void shapley_values_agree_with_shap(void **state) {
    (void)state;
    golden g;
    open_mlp(&g);
    agrees(&g, "exact-shap", "exact-shap", before(&g, NULL), 1e-5);
    agrees(&g, "kernel-shap", "kernel-shap", before(&g, NULL), 1e-5);
    agrees(&g, "deep-shap", "deep-shap", before(&g, NULL), 2e-5);
    glia_explanation e = explain_by(&g, "exact-shap", before(&g, NULL));
    assert_true(fabs(e.residual) < 1e-12);
    assert_float_equal(e.base_value, values_of(&g, "base", 1)[0], 1e-5);
    glia_explanation_free(&e);
    e = explain_by(&g, "deep-shap", before(&g, NULL));
    assert_true(fabs(e.residual) < 1e-5);
    glia_explanation_free(&e);
    close_golden(&g);
    open_conv(&g);
    agrees(&g, "deep-shap", "deep-shap", before(&g, NULL), 2e-5);
    e = explain_by(&g, "deep-shap", before(&g, NULL));
    assert_true(fabs(e.residual) < 1e-5);
    glia_explanation_free(&e);
    close_golden(&g);
}

/* Batch norm, a shortcut, mean pooling, silu, dropout: values still sum to the difference of scores. */
static void deep_shap_of_a_residual_net(void **state) {
    (void)state;
    enum { N = 192 };
    glia_error error = { 0 };
    glia_model *model = glia_model_create("residual", &error);
    const glia_conv_opts conv = { .filters = 6, .kernel = 3, .pad = 1 };
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(3, 8, 8));
    x = glia_relu(glia_batch_norm(glia_conv2d(x, "c1", conv), "b1", (glia_norm_opts){ 0 }));
    glia_tensor y = glia_batch_norm(glia_conv2d(x, "c2", conv), "b2", (glia_norm_opts){ 0 });
    x = glia_global_avg_pool(glia_relu(glia_add(x, y)));
    x = glia_dropout(glia_silu(glia_dense(x, "fc", (glia_dense_opts){ .units = 16 })), 0.5);
    glia_model_output(model, "y", glia_dense(x, "out", (glia_dense_opts){ .units = 4 }));
    float sample[N], background[3 * N];
    for (int i = 0; i < N; i++) sample[i] = (float)(2 * sin(1.3 * i));
    for (int i = 0; i < 3 * N; i++) background[i] = (float)cos(0.7 * i);
    const glia_explain_opts opts = { .background = background, .n_background = 3, .threads = 1 };
    glia_explainer *why = glia_explainer_create(model, "deep-shap", opts, &error);
    if (!why) fail_msg("%s", error.message);
    glia_explanation e;
    assert_int_equal(glia_explain(why, sample, 1, &e, &error), GLIA_OK);
    assert_true(fabs(e.output_value - e.base_value) > 1e-3);
    assert_true(fabs(e.residual) < 1e-5);
    glia_explanation_free(&e);
    glia_explainer_free(why);
    glia_model_free(model);
}

/* Draws agree with the exact values within 4.5 of their own standard errors, and say so when they have converged. */
static void draws_agree_with_exact_values(void **state) {
    (void)state;
    static const char *const methods[][2] = { { "permutation-shap", "tolerance=0.02" },
                                              { "sampling-shap", "tolerance=0.05" },
                                              { "kernel-shap", "samples=16 most=20000 tolerance=0.02" } };
    golden g;
    open_mlp(&g);
    const double *exact = values_of(&g, "exact-shap", 5);
    for (int k = 0; k < GLIA_COUNT(methods); k++) {
        glia_explanation e = explain_by(&g, methods[k][0], before(&g, methods[k][1]));
        assert_true(e.converged);
        for (int i = 0; i < 5; i++) {
            if (fabs(e.values[i] - exact[i]) > 4.5 * e.errors[i] + 1e-5)
                fail_msg("%s: %g, not %g +- %g", methods[k][0], e.values[i], exact[i], e.errors[i]);
        }
        if (k != 1) assert_true(fabs(e.residual) < 1e-9);
        glia_explanation_free(&e);
    }
    glia_explanation e = explain_by(&g, "gradient-shap", before(&g, "tolerance=0.02"));
    assert_true(e.converged && e.error > 0);
    glia_explanation_free(&e);
    close_golden(&g);
}

/* ---- brute force ------------------------------------------------------------------------------ */

/* Products and a maximum: nothing additive. */
static glia_status tangled(const float *rows, int64_t n, double *values, void *context, glia_error *error) {
    (void)error;
    const int m = *(const int *)context;
    for (int64_t i = 0; i < n; i++) {
        const float *x = rows + i * m;
        double y = 0.3, product = 1;
        for (int k = 0; k < m; k++) y = fmax(y, 0.1 * k * (double)x[k]), product *= 1 + 0.5 * (double)x[k];
        values[i] = y + product + (double)x[0] * (double)x[m - 1];
    }
    return GLIA_OK;
}

/* The value of the coalition `set`. */
static double worth(const float *x, const float *background, int n, int m, int set) {
    double sum = 0;
    for (int b = 0; b < n; b++) {
        float row[16];
        double y;
        for (int k = 0; k < m; k++) row[k] = set >> k & 1 ? x[k] : background[b * m + k];
        tangled(row, 1, &y, &m, NULL);
        sum += y / n;
    }
    return sum;
}

/* Shapley's definition by orders of the players. */
static void by_orders(const float *x, const float *background, int n, int m, int *order, int done, int set, double *phi,
                      double *count) {
    if (done == m) {
        for (int k = 0, s = 0; k < m; k++) {
            phi[order[k]] += worth(x, background, n, m, s | 1 << order[k]) - worth(x, background, n, m, s);
            s |= 1 << order[k];
        }
        (*count)++;
        return;
    }
    for (int k = 0; k < m; k++) {
        if (set >> k & 1) continue;
        order[done] = k;
        by_orders(x, background, n, m, order, done + 1, set | 1 << k, phi, count);
    }
}

static void exact_values_equal_brute_force(void **state) {
    (void)state;
    enum { M = 6, N = 3 };
    int m = M, order[M];
    float x[M], background[N * M];
    double phi[M] = { 0 }, count = 0;
    for (int k = 0; k < M; k++) x[k] = (float)sin(k + 1);
    for (int k = 0; k < N * M; k++) background[k] = (float)cos(3 * k);
    by_orders(x, background, N, M, order, 0, 0, phi, &count);
    static const char *const methods[] = { "exact-shap", "kernel-shap" };
    for (int k = 0; k < 2; k++) {
        glia_error error = { 0 };
        const glia_explain_opts opts = { .background = background, .n_background = N };
        glia_explainer *why = glia_explainer_of_function(tangled, &m, GLIA_SHAPE(M), 1, methods[k], opts, &error);
        glia_explanation e;
        assert_int_equal(glia_explain(why, x, 0, &e, &error), GLIA_OK);
        for (int i = 0; i < M; i++) assert_true(fabs(e.values[i] - phi[i] / count) < 1e-10);
        assert_true(fabs(e.residual) < 1e-12);
        glia_explanation_free(&e);
        glia_explainer_free(why);
    }
}

/* Two elements that are one feature, one that is never changed, one that equals the background. */
static void groups_and_equal_features(void **state) {
    (void)state;
    enum { M = 5 };
    int m = M;
    const float x[M] = { 1, 2, 0.5f, -1, 3 }, background[M] = { 0, 0, 0.5f, 0, 1 };
    const int32_t groups[M] = { 0, 0, 1, 2, -1 };
    static const char *const methods[] = { "exact-shap",    "kernel-shap", "permutation-shap",
                                           "sampling-shap", "occlusion",   "lime" };
    for (int k = 0; k < GLIA_COUNT(methods); k++) {
        glia_error error = { 0 };
        const glia_explain_opts opts = { .background = background, .n_background = 1, .groups = groups };
        glia_explainer *why = glia_explainer_of_function(tangled, &m, GLIA_SHAPE(M), 1, methods[k], opts, &error);
        if (!why) fail_msg("%s", error.message);
        glia_explanation e;
        if (glia_explain(why, x, 0, &e, &error)) fail_msg("%s: %s", methods[k], error.message);
        assert_int_equal(e.n, 3);
        if (k < 5) assert_true(fabs(e.values[1]) < 1e-9);
        double spread[M], y[4];
        assert_int_equal(glia_explanation_spread(&e, GLIA_SHAPE(M), spread, &error), GLIA_OK);
        assert_true(spread[0] == e.values[0] && spread[1] == e.values[0] && spread[4] == 0);
        const float rows[4][M] = {
            { 1, 2, 0.5f, -1, 3 }, { 0, 0, 0.5f, -1, 3 }, { 1, 2, 0.5f, 0, 3 }, { 0, 0, 0.5f, 0, 3 }
        };
        tangled(rows[0], 4, y, &m, NULL);
        if (k < 4) assert_true(fabs(e.values[0] - 0.5 * (y[0] - y[1] + y[2] - y[3])) < (k < 3 ? 1e-9 : 0.2));
        glia_explanation_free(&e);
        glia_explainer_free(why);
    }
}

/* ---- LIME --------------------------------------------------------------------------------------- */

static void local_models_agree_with_lime(void **state) {
    (void)state;
    golden g;
    read_golden(&g, GLIA_GOLDEN_DIR "/explain/local.safetensors");
    const double *z = values_of(&g, "z", 3600), *y = values_of(&g, "y", 300), *w = values_of(&g, "weight", 300);
    static const int features[] = { 3, 8, 12 };
    for (int k = 0; k < 3; k++) {
        double weights[12], errors[12];
        char name[32];
        glia_error error;
        glia_local_model local = { .weights = weights, .errors = errors };
        assert_int_equal(glia_local_fit(z, y, w, 300, 12, features[k], &local, &error), GLIA_OK);
        snprintf(name, sizeof name, "weights%d", features[k]);
        for (int i = 0; i < 12; i++) assert_true(fabs(weights[i] - values_of(&g, name, 12)[i]) < 1e-8);
        snprintf(name, sizeof name, "intercept%d", features[k]);
        assert_true(fabs(local.intercept - values_of(&g, name, 1)[0]) < 1e-8);
        snprintf(name, sizeof name, "r2%d", features[k]);
        assert_true(fabs(local.r2 - values_of(&g, name, 1)[0]) < 1e-8);
    }
    close_golden(&g);
}

static void quartiles_agree_with_lime(void **state) {
    (void)state;
    golden g;
    read_golden(&g, GLIA_GOLDEN_DIR "/explain/local.safetensors");
    const double *table = values_of(&g, "table", 240);
    float rows[240];
    for (int i = 0; i < 240; i++) rows[i] = (float)table[i];
    glia_lime_column *columns = glia_lime_columns(rows, 80, 3);
    static const char *const what[] = { "least", "most", "mean", "stddev" };
    for (int c = 0; c < 3; c++) {
        const double *const mine[] = { columns[c].edge, columns[c].edge + 1, columns[c].mean, columns[c].stddev };
        for (int k = 0; k < 4; k++) {
            char name[32];
            snprintf(name, sizeof name, "%s%d", what[k], c);
            const double *wanted = values_of(&g, name, columns[c].bins);
            for (int b = 0; b < columns[c].bins; b++) assert_true(fabs(mine[k][b] - wanted[b]) < 1e-9);
        }
    }
    free(columns);
    close_golden(&g);
}

static void lime_of_a_table_agrees_with_lime(void **state) {
    (void)state;
    golden g;
    open_mlp(&g);
    const double *data = values_of(&g, "lime.data", 2500), *wanted = values_of(&g, "lime.weights", 5);
    float rows[2500];
    for (int i = 0; i < 2500; i++) rows[i] = (float)data[i];
    const glia_explain_opts opts = { .settings = "tolerance=0.02 most=100000",
                                     .score = GLIA_SCORE_PROBABILITY,
                                     .background = rows,
                                     .n_background = 500 };
    glia_explanation e = explain_by(&g, "lime", opts);
    assert_true(e.converged);
    for (int i = 0; i < 5; i++) assert_true(fabs(e.values[i] - wanted[i]) < 5 * e.errors[i] + 1e-4);
    assert_float_equal(e.r2, values_of(&g, "lime.r2", 1)[0], 0.03);
    assert_float_equal(e.base_value, values_of(&g, "lime.intercept", 1)[0], 0.02);
    glia_explanation_free(&e);
    close_golden(&g);
}

static void superpixels(void **state) {
    (void)state;
    enum { H = 40, W = 60 };
    static float x[3 * H * W];
    static int32_t groups[H * W];
    for (int i = 0; i < H * W; i++) { /* left red, right green; edges of superpixels must lie between them */
        x[i] = i % W < 31 ? 0.9f : 0.1f;
        x[H * W + i] = i % W < 31 ? 0.1f : 0.8f;
        x[2 * H * W + i] = 0.2f;
    }
    glia_error error;
    const int n = glia_slic(x, GLIA_SHAPE(3, H, W), (glia_slic_opts){ .segments = 24 }, groups, &error);
    assert_in_range(n, 16, 32);
    int side[64] = { 0 };
    for (int i = 0; i < H * W; i++) {
        assert_in_range(groups[i], 0, n - 1);
        side[groups[i]] |= i % W < 31 ? 1 : 2;
    }
    for (int k = 0; k < n; k++) assert_true(side[k] == 1 || side[k] == 2);
    assert_int_equal(glia_slic(x, GLIA_SHAPE(2, H, W), (glia_slic_opts){ 0 }, groups, &error), -1);
}

/* The score is the mean of one quarter of the picture: LIME must find it, and nothing else. */
static glia_status corner(const float *rows, int64_t n, double *values, void *context, glia_error *error) {
    (void)context, (void)error;
    for (int64_t i = 0; i < n; i++) {
        values[i] = 0;
        for (int k = 0; k < 256; k++) values[i] += k / 16 < 8 && k % 16 < 8 ? (double)rows[i * 256 + k] / 64 : 0;
    }
    return GLIA_OK;
}

static void lime_of_a_picture(void **state) {
    (void)state;
    float x[256];
    for (int k = 0; k < 256; k++) x[k] = (float)(k % 2) * 0.8f + 0.1f + 0.001f * (float)(k / 16);
    int32_t groups[256];
    for (int k = 0; k < 256; k++) groups[k] = k / 16 / 8 * 2 + k % 16 / 8;
    float blank[256] = { 0 };
    glia_error error = { 0 };
    const glia_explain_opts opts = {
        .groups = groups, .background = blank, .n_background = 1, .settings = "kind=picture"
    };
    glia_explainer *why = glia_explainer_of_function(corner, NULL, GLIA_SHAPE(1, 16, 16), 1, "lime", opts, &error);
    glia_explanation e;
    assert_int_equal(glia_explain(why, x, 0, &e, &error), GLIA_OK);
    assert_int_equal(e.n, 4);
    assert_true(e.r2 > 0.99 && e.values[0] > 0.4);
    for (int k = 1; k < 4; k++) assert_true(fabs(e.values[k]) < 0.02);
    glia_explanation_free(&e);
    glia_explainer_free(why);
    why = glia_explainer_of_function(corner, NULL, GLIA_SHAPE(1, 16, 16), 1, "lime",
                                     (glia_explain_opts){ .settings = "segments=9" }, &error);
    assert_int_equal(glia_explain(why, x, 0, &e, &error), GLIA_OK);
    assert_non_null(e.groups);
    glia_explanation_free(&e);
    glia_explainer_free(why);
}

/* ---- identities ------------------------------------------------------------------------------- */

static void same_seed_same_bits(void **state) {
    (void)state;
    golden g;
    open_mlp(&g);
    for (int i = 0; glia_explain_method_at(i); i++) {
        const char *name = glia_explain_method_at(i)->name;
        if (strncmp(name, "grad-cam", 8) == 0 || strcmp(name, "attention-rollout") == 0) continue;
        const bool plain = !strcmp(name, "saliency") || !strcmp(name, "gradient-x-input") ||
                           !strcmp(name, "smoothgrad") || !strcmp(name, "guided-backprop");
        glia_explanation e[3];
        for (int k = 0; k < 3; k++) {
            glia_error error = { 0 };
            glia_explain_opts opts = { .seed = k == 2 ? 8 : 7, .threads = k + 1 };
            if (!plain) opts.background = g.background, opts.n_background = g.n_background;
            glia_explainer *why = glia_explainer_create(g.model, name, opts, &error);
            if (!why) fail_msg("%s: %s", name, error.message);
            assert_int_equal(glia_explain(why, g.x, GLIA_LARGEST_OUTPUT, &e[k], &error), GLIA_OK);
            glia_explainer_free(why);
        }
        assert_memory_equal(e[0].values, e[1].values, (size_t)e[0].n * sizeof(double));
        if (e[0].errors && e[0].error > 0)
            assert_memory_not_equal(e[0].values, e[2].values, (size_t)e[0].n * sizeof(double));
        for (int k = 0; k < 3; k++) glia_explanation_free(&e[k]);
    }
    close_golden(&g);
}

/* A linear model: gradients are the weights, every attribution is weight times difference. */
static void linear_models_are_explained_exactly(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_model *model = glia_model_create("linear", &error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(4));
    glia_model_output(model, "y", glia_dense(x, "fc", (glia_dense_opts){ .units = 2 }));
    assert_int_equal(glia_model_init(model, 5, &error), GLIA_OK);
    glia_array kernel;
    assert_true(glia_store_find(glia_model_store(model), "fc/kernel", &kernel));
    const float *w = (const float *)kernel.data + 4, sample[4] = { 1, -2, 0.5f, 3 }, base[4] = { 0.5f, 1, -1, 2 };
    static const char *const methods[] = { "integrated-gradients", "gradient-shap",    "deep-shap",     "exact-shap",
                                           "kernel-shap",          "permutation-shap", "sampling-shap", "occlusion" };
    for (int k = 0; k < GLIA_COUNT(methods); k++) {
        const glia_explain_opts opts = { .background = base, .n_background = 1 };
        glia_explainer *why = glia_explainer_create(model, methods[k], opts, &error);
        if (!why) fail_msg("%s: %s", methods[k], error.message);
        glia_explanation e;
        assert_int_equal(glia_explain(why, sample, 1, &e, &error), GLIA_OK);
        for (int i = 0; i < 4; i++) {
            if (fabs(e.values[i] - (double)w[i] * (double)(sample[i] - base[i])) > 1e-5)
                fail_msg("%s: %g", methods[k], e.values[i]);
        }
        assert_true(e.converged);
        glia_explanation_free(&e);
        glia_explainer_free(why);
    }
    glia_model_free(model);
}

/* Token ids: attributions to the embedding, summed over its units; roll-out of causal attention. */
static void models_of_tokens(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_model *model = glia_model_create("tokens", &error);
    glia_tensor ids = glia_model_input(model, "ids", GLIA_I32, GLIA_SHAPE(6)), weights[2];
    glia_tensor x = glia_embedding(ids, "embed", (glia_embedding_opts){ .vocabulary = 10, .units = 8 });
    for (int k = 0; k < 2; k++) {
        glia_multihead_opts attention = { .heads = 2, .weights = &weights[k] };
        x = glia_add(x, glia_multihead(x, NULL, k ? "b" : "a", attention));
    }
    x = glia_mean(x, GLIA_SHAPE(1), false);
    glia_model_output(model, "y", glia_dense(glia_tanh(x), "out", (glia_dense_opts){ .units = 3 }));
    assert_int_equal(glia_model_init(model, 2, &error), GLIA_OK);
    const float sample[6] = { 3, 1, 4, 1, 5, 9 };
    static const char *const methods[] = { "saliency",      "integrated-gradients",
                                           "gradient-shap", "attention-rollout",
                                           "lime",          "exact-shap" };
    for (int k = 0; k < GLIA_COUNT(methods); k++) {
        glia_explainer *why = glia_explainer_create(model, methods[k], (glia_explain_opts){ 0 }, &error);
        if (!why) fail_msg("%s: %s", methods[k], error.message);
        glia_explanation e;
        if (glia_explain(why, sample, 2, &e, &error)) fail_msg("%s: %s", methods[k], error.message);
        assert_int_equal(e.n, 6);
        double sum = 0;
        for (int i = 0; i < 6; i++) sum += e.values[i];
        if (k == 1) assert_true(e.converged && fabs(e.residual) < 1e-3);
        if (k == 3) assert_float_equal(sum, 1, 1e-5);
        glia_explanation_free(&e);
        glia_explainer_free(why);
    }
    glia_explainer *why = glia_explainer_create(model, "deep-shap", (glia_explain_opts){ 0 }, &error);
    assert_null(why);
    assert_non_null(strstr(error.message, "deep-shap has no rule for"));
    glia_model_free(model);
}

/* With residual 0, roll-out is the product of the layers' weights. */
static void rollout_is_a_product(void **state) {
    (void)state;
    enum { T = 5, H = 2 };
    glia_error error = { 0 };
    glia_model *model = glia_model_create("rollout", &error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(T, 8)), in = x, weights[2];
    for (int k = 0; k < 2; k++) {
        glia_multihead_opts attention = { .heads = H, .weights = &weights[k], .causal = true };
        x = glia_multihead(x, NULL, k ? "b" : "a", attention);
    }
    (void)in;
    glia_model_output(model, "y", glia_mean(x, GLIA_SHAPE(1), false));
    for (int k = 0; k < 2; k++) glia_model_output(model, k ? "wb" : "wa", weights[k]);
    assert_int_equal(glia_model_init(model, 2, &error), GLIA_OK);
    float sample[T * 8];
    for (int i = 0; i < T * 8; i++) sample[i] = (float)sin(5 * i);
    glia_backend *cpu = glia_backend_open("cpu", 1, &error);
    glia_function *f = glia_function_create(glia_model_graph(model), cpu, glia_model_store(model),
                                            (glia_function_opts){ .outputs = weights, .n_outputs = 2 }, &error);
    glia_array input = { .name = "x", .shape = GLIA_SHAPE(1, T, 8), .data = sample }, w[2];
    assert_int_equal(glia_function_call(f, &input, 1, w, &error), GLIA_OK);
    double row[T] = { 0 };
    for (int mid = 0; mid < T; mid++) {
        for (int i = 0; i < T; i++) {
            double a = 0, b = 0;
            for (int h = 0; h < H; h++) {
                a += (double)((const float *)w[0].data)[(h * T + mid) * T + i] / H;
                b += (double)((const float *)w[1].data)[(h * T + T - 1) * T + mid] / H;
            }
            row[i] += b * a;
        }
    }
    glia_explainer *why = glia_explainer_create(model, "attention-rollout",
                                                (glia_explain_opts){ .settings = "residual=0 token=last" }, &error);
    if (!why) fail_msg("%s", error.message);
    glia_explanation e;
    assert_int_equal(glia_explain(why, sample, 0, &e, &error), GLIA_OK);
    for (int i = 0; i < T; i++) assert_float_equal(e.values[i], row[i], 1e-5);
    glia_explanation_free(&e);
    glia_explainer_free(why);
    glia_function_free(f);
    glia_backend_close(cpu);
    glia_model_free(model);
}

/* Patches of a picture after a class token: the values of a patch are those of its token, and all sum to its pixels. */
static void rollout_of_patches(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_model *model = glia_model_create("patches", &error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 4, 6));
    glia_tensor token = glia_broadcast(glia_mean(x, GLIA_SHAPE(1, 2, 3), true), GLIA_SHAPE(GLIA_BATCH, 1, 1, 1));
    glia_tensor patches = glia_avg_pool2d(x, (glia_pool_opts){ .size = 2 });
    glia_tensor parts[2] = { glia_reshape(token, GLIA_SHAPE(GLIA_BATCH, 1, 1)),
                             glia_reshape(patches, GLIA_SHAPE(GLIA_BATCH, 6, 1)) };
    x = glia_dense(glia_concat(parts, 2, 1), "embed", (glia_dense_opts){ .units = 4 });
    x = glia_multihead(x, NULL, "a", (glia_multihead_opts){ .heads = 2 });
    glia_model_output(model, "y", glia_mean(x, GLIA_SHAPE(1), false));
    glia_explainer *why = glia_explainer_create(model, "attention-rollout", (glia_explain_opts){ 0 }, &error);
    if (!why) fail_msg("%s", error.message);
    float sample[24];
    for (int i = 0; i < 24; i++) sample[i] = (float)sin(i);
    glia_explanation e;
    assert_int_equal(glia_explain(why, sample, 0, &e, &error), GLIA_OK);
    assert_true(glia_shape_equal(e.shape, GLIA_SHAPE(4, 6)));
    assert_true(e.values[0] == e.values[1] && e.values[0] == e.values[7] && e.values[0] != e.values[2]);
    glia_explanation_free(&e);
    glia_explainer_free(why);
    glia_model_free(model);
}

/* SmoothGrad of a linear function is its gradient, without error; of a square it is the gradient of the mean. */
static void smoothgrad(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_model *model = glia_model_create("square", &error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2));
    glia_model_output(model, "y", glia_sum(glia_square(x), GLIA_SHAPE(1), true));
    const float sample[2] = { 1, -3 };
    const glia_explain_opts opts = { .settings = "noise=0.2 tolerance=0.01 most=100000" };
    glia_explainer *why = glia_explainer_create(model, "smoothgrad", opts, &error);
    if (!why) fail_msg("%s", error.message);
    glia_explanation e;
    assert_int_equal(glia_explain(why, sample, 0, &e, &error), GLIA_OK);
    assert_true(e.converged);
    for (int i = 0; i < 2; i++) assert_true(fabs(e.values[i] - 2 * (double)sample[i]) < 4.5 * e.errors[i]);
    glia_explanation_free(&e);
    glia_explainer_free(why);
    glia_model_free(model);
}

/* ---- checks ------------------------------------------------------------------------------------ */

static void checks_of_explanations(void **state) {
    (void)state;
    golden g;
    open_conv(&g);
    glia_error error = { 0 };
    glia_randomization_step steps[8];
    int n = glia_explain_randomization(g.model, "saliency", (glia_explain_opts){ .seed = 3, .threads = 1 }, g.x, OUTPUT,
                                       steps, 8, &error);
    if (n != 3) fail_msg("%d steps: %s", n, error.message);
    assert_string_equal(steps[0].layer, "out");
    assert_string_equal(steps[2].layer, "conv1");
    for (int k = 0; k < n; k++) assert_true(fabs(steps[k].rank_correlation) <= 1);
    assert_true(fabs(steps[2].absolute_rank_correlation) < 0.9);
    glia_explanation e = explain_by(&g, "saliency", (glia_explain_opts){ 0 });
    assert_values(&e, values_of(&g, "saliency", e.n), 1e-5); /* the model itself is unchanged */
    glia_explanation_free(&e);
    assert_int_equal(
        glia_explain_randomization(g.model, "salience", (glia_explain_opts){ 0 }, g.x, 0, steps, 8, &error), -1);
    close_golden(&g);
}

/* Of a linear function the curve of deletion falls as fast as it can when the order is that of w x. */
static glia_status weighted(const float *rows, int64_t n, double *values, void *context, glia_error *error) {
    (void)context, (void)error;
    for (int64_t i = 0; i < n; i++) {
        values[i] = 0;
        for (int k = 0; k < 4; k++) values[i] += (k + 1) * (double)rows[4 * i + k];
    }
    return GLIA_OK;
}

static void deletion_and_insertion(void **state) {
    (void)state;
    glia_error error;
    const float x[4] = { 1, 1, 1, 1 };
    const double right[4] = { 1, 2, 3, 4 }, wrong[4] = { 4, 3, 2, 1 };
    double curve[5];
    glia_explainer *why =
        glia_explainer_of_function(weighted, NULL, GLIA_SHAPE(4), 1, "occlusion", (glia_explain_opts){ 0 }, &error);
    const double deleted = glia_explain_deletion(why, x, 0, right, 4, NULL, 4, curve, &error);
    assert_true(curve[0] == 10 && curve[1] == 6 && curve[2] == 3 && curve[3] == 1 && curve[4] == 0);
    assert_true(fabs(deleted - 15.0 / 4) < 1e-12);
    assert_true(fabs(glia_explain_deletion(why, x, 0, wrong, 4, NULL, 4, curve, &error) - 25.0 / 4) < 1e-12);
    assert_true(fabs(glia_explain_insertion(why, x, 0, right, 4, NULL, 4, curve, &error) - 25.0 / 4) < 1e-12);
    assert_true(isnan(glia_explain_insertion(why, x, 0, right, 3, NULL, 4, curve, &error)));
    glia_explainer_free(why);
    const double map[6] = { 0, 0, 0, 0, 5, 5 }, flat[6] = { 1, 1, 1, 1, 1, 1 };
    assert_true(glia_explain_points_at(map, 2, 3, 1, 1, 1, 1));
    assert_false(glia_explain_points_at(map, 2, 3, 0, 0, 1, 3));
    assert_false(glia_explain_points_at(flat, 2, 3, 0, 0, 2, 3));
}

/* ---- mistakes --------------------------------------------------------------------------------- */

static void refused(const golden *g, const char *method, glia_explain_opts opts, const char *says) {
    glia_error error = { 0 };
    glia_explainer *why = glia_explainer_create(g->model, method, opts, &error);
    glia_explanation e = { 0 };
    glia_status status = why ? glia_explain(why, g->x, OUTPUT, &e, &error) : error.status;
    glia_explainer_free(why);
    if (status == GLIA_OK || !strstr(error.message, says)) fail_msg("%s: '%s' lacks '%s'", method, error.message, says);
    assert_null(e.values);
}

static void mistakes(void **state) {
    (void)state;
    golden g;
    open_mlp(&g);
    const int32_t wide[5] = { 0, 1, 2, 3, 9 }, none[5] = { -1, -1, -1, -1, -1 };
    refused(&g, "saliancy", (glia_explain_opts){ 0 }, "did you mean 'saliency'");
    refused(&g, "saliency", (glia_explain_opts){ .settings = "layer=fc3" }, "fc");
    refused(&g, "saliency", (glia_explain_opts){ .settings = "stpes=3" }, "stpes");
    refused(&g, "saliency", (glia_explain_opts){ .groups = wide }, "uses no groups");
    refused(&g, "saliency", before(&g, NULL), "uses no background");
    refused(&g, "kernel-shap", (glia_explain_opts){ .groups = wide }, "group 9 of element 4");
    refused(&g, "kernel-shap", (glia_explain_opts){ .groups = none }, "nothing to explain");
    refused(&g, "grad-cam", (glia_explain_opts){ 0 }, "needs a layer with maps");
    refused(&g, "grad-cam", (glia_explain_opts){ .settings = "layer=fc1" }, "which is not fc1");
    refused(&g, "attention-rollout", (glia_explain_opts){ 0 }, "self-attention");
    refused(&g, "lime", (glia_explain_opts){ 0 }, "needs a background");
    refused(&g, "lime", (glia_explain_opts){ .settings = "kind=picture" }, "takes pictures");
    refused(&g, "occlusion", (glia_explain_opts){ .groups = (const int32_t[5]){ 0 }, .settings = "window=2" },
            "no window");
    g.x[2] = NAN;
    refused(&g, "saliency", (glia_explain_opts){ 0 }, "element 2 of the sample is not finite");
    glia_error error;
    int m = 5;
    assert_null(
        glia_explainer_of_function(tangled, &m, GLIA_SHAPE(5), 1, "saliency", (glia_explain_opts){ 0 }, &error));
    assert_non_null(strstr(error.message, "needs a model"));
    close_golden(&g);
    open_conv(&g);
    refused(&g, "exact-shap", before(&g, NULL), "takes 16 features, here 64");
    close_golden(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_agree_with_captum),
        cmocka_unit_test(shapley_values_agree_with_shap),
        cmocka_unit_test(deep_shap_of_a_residual_net),
        cmocka_unit_test(draws_agree_with_exact_values),
        cmocka_unit_test(exact_values_equal_brute_force),
        cmocka_unit_test(groups_and_equal_features),
        cmocka_unit_test(local_models_agree_with_lime),
        cmocka_unit_test(quartiles_agree_with_lime),
        cmocka_unit_test(lime_of_a_table_agrees_with_lime),
        cmocka_unit_test(superpixels),
        cmocka_unit_test(lime_of_a_picture),
        cmocka_unit_test(same_seed_same_bits),
        cmocka_unit_test(linear_models_are_explained_exactly),
        cmocka_unit_test(models_of_tokens),
        cmocka_unit_test(rollout_is_a_product),
        cmocka_unit_test(rollout_of_patches),
        cmocka_unit_test(smoothgrad),
        cmocka_unit_test(checks_of_explanations),
        cmocka_unit_test(deletion_and_insertion),
        cmocka_unit_test(mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
