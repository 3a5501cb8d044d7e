/* Functions: inputs by name, a program per size; subgraphs copied onto other tensors. */
#include <math.h>
#include <stdio.h>

#include "run_graph.h"

typedef struct net {
    glia_graph *graph;
    glia_backend *backend;
    glia_store *store;
    glia_function *function;
    glia_tensor x, y;
} net;

/* y = scale (x W^T + b), (N, 2) -> (N, 3). */
static net net_open(const char *backend) {
    glia_error error = { 0 };
    net n = { .graph = glia_graph_create(), .backend = glia_backend_open(backend, 1, &error) };
    n.x = glia_input(n.graph, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 2));
    glia_tensor scale = glia_input(n.graph, "scale", GLIA_F32, GLIA_SCALAR);
    n.y = glia_mul(scale, glia_dense(n.x, "fc", (glia_dense_opts){ .units = 3 }));
    n.store = glia_store_create(n.graph, 1, &error);
    n.function = glia_function_create(n.graph, n.backend, n.store,
                                      (glia_function_opts){ .outputs = &n.y, .n_outputs = 1 }, &error);
    if (!n.function) fail_msg("%s", error.message);
    return n;
}

static void net_close(net *n) {
    glia_function_free(n->function);
    glia_store_free(n->store);
    glia_backend_close(n->backend);
    glia_graph_free(n->graph);
}

static glia_array floats(const char *name, glia_shape shape, float *data) {
    return (glia_array){ .name = name, .dtype = GLIA_F32, .shape = shape, .data = data };
}

static double expected(const net *n, const float *x, int unit, double scale) {
    glia_array w, b;
    assert_true(glia_store_find(n->store, "fc/kernel", &w) && glia_store_find(n->store, "fc/bias", &b));
    const float *row = (const float *)w.data + unit * 2;
    return scale * ((double)x[0] * row[0] + (double)x[1] * row[1] + ((const float *)b.data)[unit]);
}

/* Cycles through twelve sizes, more than are cached; the scale keeps its last value. */
static void sizes_and_kept_inputs(void **state) {
    (void)state;
    static const char *const backends[] = { "ref", "cpu" };
    for (int k = 0; k < 2; k++) {
        net n = net_open(backends[k]);
        float x[24], scale = 2;
        for (int i = 0; i < 24; i++) x[i] = (float)sin(i);
        for (int call = 0; call < 24; call++) {
            const int64_t batch = 1 + call % 12;
            glia_array in[2] = { floats("x", GLIA_SHAPE(batch, 2), x), floats("scale", GLIA_SCALAR, &scale) }, out;
            glia_error error;
            if (call == 13) scale = 3;
            const bool give = call == 0 || call == 13;
            if (glia_function_call(n.function, in, give ? 2 : 1, &out, &error) != GLIA_OK)
                fail_msg("%s", error.message);
            assert_int_equal(out.shape.dim[0], batch);
            for (int i = 0; i < batch * 3; i++) {
                const double want = expected(&n, x + i / 3 * 2, i % 3, call < 13 ? 2 : 3);
                assert_true(fabs(((const float *)out.data)[i] - want) < 1e-5);
            }
        }
        net_close(&n);
    }
}

/* y of one sample after w and s have changed: products of parameters are fixed values. */
static double after_changes(const char *changing) {
    glia_error error = { 0 };
    glia_graph *g = glia_graph_create();
    glia_backend *backend = glia_backend_open("cpu", 1, &error);
    const glia_init ones = { .kind = GLIA_INIT_CONSTANT, .value = 1 };
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor w = glia_parameter(g, "w", GLIA_F32, GLIA_SHAPE(1), ones),
                s = glia_state(g, "s", GLIA_F32, GLIA_SHAPE(1), ones);
    glia_tensor y = glia_add(glia_mul(x, glia_exp(w)), glia_exp(s));
    glia_store *store = glia_store_create(g, 1, &error);
    const glia_function_opts opts = { .outputs = &y, .n_outputs = 1, .frozen = true, .changing = changing };
    glia_function *f = glia_function_create(g, backend, store, opts, &error);
    if (!f) fail_msg("%s", error.message);
    float one = 1;
    glia_array in = floats("x", GLIA_SHAPE(1), &one), out, value;
    for (int call = 0; call < 2; call++) {
        if (glia_function_call(f, &in, 1, &out, &error) != GLIA_OK) fail_msg("%s", error.message);
        for (int i = 0; i < 2; i++) {
            assert_true(glia_store_find(store, i ? "s" : "w", &value));
            *(float *)value.data = i ? 3 : 2;
        }
    }
    const double result = *(const float *)out.data;
    glia_function_free(f);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(g);
    return result;
}

static void frozen_functions_keep_what_does_not_change(void **state) {
    (void)state;
    assert_true(fabs(after_changes(NULL) - (exp(2) + exp(3))) < 1e-4);
    assert_true(fabs(after_changes("s") - (exp(1) + exp(3))) < 1e-4);
    assert_true(fabs(after_changes("w") - (exp(2) + exp(1))) < 1e-4);
    assert_true(fabs(after_changes("") - (exp(1) + exp(1))) < 1e-4);
    net n = net_open("ref");
    glia_error error;
    glia_function_opts opts = { .outputs = &n.y, .n_outputs = 1, .changing = "fc*" };
    assert_null(glia_function_create(n.graph, n.backend, n.store, opts, &error));
    assert_non_null(strstr(error.message, "exceptions of a frozen function"));
    net_close(&n);
}

static void expect_refusal(net *n, const glia_array *in, int n_in, glia_status status, const char *words) {
    glia_array out;
    glia_error error;
    assert_int_equal(glia_function_call(n->function, in, n_in, &out, &error), status);
    if (!strstr(error.message, words)) fail_msg("'%s' does not say '%s'", error.message, words);
}

static void errors_name_the_input(void **state) {
    (void)state;
    net n = net_open("ref");
    float x[8] = { 0 }, scale = 1;
    glia_array good = floats("x", GLIA_SHAPE(4, 2), x), s = floats("scale", GLIA_SCALAR, &scale);
    expect_refusal(&n, (glia_array[]){ good }, 1, GLIA_E_ARGUMENT, "'scale' is missing");
    expect_refusal(&n, (glia_array[]){ s }, 1, GLIA_E_ARGUMENT, "'x' is missing");
    expect_refusal(&n, (glia_array[]){ good, floats("scael", GLIA_SCALAR, &scale) }, 2, GLIA_E_NOT_FOUND,
                   "did you mean 'scale'");
    expect_refusal(&n, (glia_array[]){ floats("x", GLIA_SHAPE(2, 4), x), s }, 2, GLIA_E_SHAPE, "cannot take f32(2, 4)");
    good.dtype = GLIA_I32;
    expect_refusal(&n, (glia_array[]){ good, s }, 2, GLIA_E_SHAPE, "cannot take i32");
    net_close(&n);
}

/* An update with the default learning rate, then with another. */
static void updates_run_with_defaults(void **state) {
    (void)state;
    glia_error error;
    glia_graph *g = glia_graph_create();
    glia_tensor w =
        glia_parameter(g, "w", GLIA_F32, GLIA_SCALAR, (glia_init){ .kind = GLIA_INIT_CONSTANT, .value = 4 });
    glia_minimize(glia_mul_scalar(glia_square(w), 0.5), (glia_optimizer){ .kind = GLIA_SGD, .lr = 0.25 }, NULL, NULL);
    glia_backend *backend = glia_backend_open("cpu", 1, &error);
    glia_store *store = glia_store_create(g, 0, &error);
    glia_function *step = glia_function_create(g, backend, store, (glia_function_opts){ .mode = GLIA_TRAIN }, &error);
    assert_non_null(step);
    glia_array value;
    float lr = 0.5f;
    assert_true(glia_store_find(store, "w", &value));
    assert_int_equal(glia_function_call(step, NULL, 0, NULL, &error), GLIA_OK);
    assert_true(*(float *)value.data == 3); /* 4 - 0.25 * 4 */
    assert_int_equal(glia_function_call(step, &(glia_array){ .name = "lr", .data = &lr }, 1, NULL, &error), GLIA_OK);
    assert_true(*(float *)value.data == 1.5f);
    glia_function_free(step);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(g);
}

/* One step of MAML on y = w x by hand: the loss after an inner step of w, and its gradient in w through that step. */
static void gradient_through_inner_step(void **state) {
    (void)state;
    glia_error error;
    glia_graph *g = glia_graph_create();
    glia_tensor w =
        glia_parameter(g, "w", GLIA_F64, GLIA_SCALAR, (glia_init){ .kind = GLIA_INIT_CONSTANT, .value = 3 });
    glia_tensor x = glia_scalar(g, GLIA_F64, 2), loss = glia_square(glia_add_scalar(glia_mul(w, x), -1)), dw, after,
                meta;
    glia_grad(loss, &w, 1, &dw);
    glia_tensor fast = glia_sub(w, glia_mul_scalar(dw, 0.1));
    glia_substitute(&loss, 1, &w, &fast, 1, &after);
    glia_grad(after, &w, 1, &meta);
    double got[2];
    assert_int_equal(glia_eval(after, &got[0], 1, &error), GLIA_OK);
    assert_int_equal(glia_eval(meta, &got[1], 1, &error), GLIA_OK);
    /* loss (2w - 1)^2, gradient 4 (2w - 1) = 20, fast w = 1: loss 1; d/dw = 2 (2 fast - 1) 2 (1 - 0.1 * 8) = 0.8 */
    assert_true(fabs(got[0] - 1) < 1e-12 && fabs(got[1] - 0.8) < 1e-12);
    glia_graph_free(g);
}

static void unrelated_substitutions_are_refused(void **state) {
    (void)state;
    glia_error error;
    glia_graph *g = glia_graph_create();
    glia_tensor a = glia_input(g, "a", GLIA_F32, GLIA_SCALAR), b = glia_input(g, "b", GLIA_F32, GLIA_SCALAR), out;
    glia_tensor y = glia_exp(a);
    glia_substitute(&y, 1, &b, &a, 1, &out);
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "depends on 'b'"));
    glia_graph_free(g);
}

/* A copied subgraph with dropout drops other elements. */
static void copies_draw_their_own_numbers(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor a = glia_broadcast(glia_scalar(g, GLIA_F32, 1), GLIA_SHAPE(64)), out;
    glia_tensor b = glia_mul_scalar(a, 1.0), y = glia_random_uniform(g, GLIA_SHAPE(64));
    y = glia_add(glia_dropout(a, 0.5), glia_mul_scalar(y, 0));
    glia_substitute(&y, 1, &a, &b, 1, &out);
    runner r = runner_open(g, (glia_tensor[]){ y, out }, 2, GLIA_TRAIN, 1, 3);
    double first[64], second[64];
    runner_run(&r);
    runner_get(&r, 0, first);
    runner_get(&r, 1, second);
    assert_true(memcmp(first, second, sizeof first) != 0);
    runner_close(&r);
    glia_graph_free(g);
}

/* Layer outputs by name, also in a loaded model; parameters by pattern. */
static void layers_are_found_by_name(void **state) {
    (void)state;
    glia_error error;
    glia_model *model = glia_model_create("net", &error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(4));
    glia_tensor hidden = glia_dense(x, "hidden", (glia_dense_opts){ .units = 5, .activation = GLIA_RELU });
    glia_model_output(model, "y", glia_dense(hidden, "logits", (glia_dense_opts){ .units = 3 }));
    assert_true(glia_layer_output(glia_model_graph(model), "hidden") == hidden);
    assert_int_equal(glia_parameters(glia_model_graph(model), "*/kernel", NULL, 0), 2);
    assert_int_equal(glia_model_save(model, "named.safetensors", &error), GLIA_OK);
    glia_model_free(model);
    model = glia_model_load("named.safetensors", &error);
    assert_non_null(model);
    glia_tensor found = glia_layer_output(glia_model_graph(model), "hidden"), parameters[4];
    assert_true(glia_tensor_shape(found).dim[1] == 5);
    assert_int_equal(glia_parameters(glia_model_graph(model), NULL, parameters, 4), 4);
    glia_layer_output(glia_model_graph(model), "hiden");
    assert_int_equal(glia_graph_check(glia_model_graph(model), &error), GLIA_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "did you mean 'hidden'"));
    glia_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_kept_inputs),
        cmocka_unit_test(frozen_functions_keep_what_does_not_change),
        cmocka_unit_test(errors_name_the_input),
        cmocka_unit_test(updates_run_with_defaults),
        cmocka_unit_test(gradient_through_inner_step),
        cmocka_unit_test(unrelated_substitutions_are_refused),
        cmocka_unit_test(copies_draw_their_own_numbers),
        cmocka_unit_test(layers_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
