/* test_kept.c - models cache the programs of predictions and evaluations, and never use stale values.
 *
 * After every way to change a model's values, graph or backend between two calls, its predictions are compared bit by
 * bit with those of a new model loaded from its file.
 */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "glia/glia.h"
#include "train/model/task.h"

enum { SAMPLES = 40, CLASSES = 3, SIDE = 6, PIXELS = SIDE * SIDE };

static void check(glia_status status, const glia_error *error) {
    if (status != GLIA_OK) fail_msg("%s", error->message);
}

static glia_model *build(void) {
    glia_model *m = glia_model_create("net", NULL);
    glia_tensor x = glia_model_input(m, "x", GLIA_F32, GLIA_SHAPE(1, SIDE, SIDE));
    x = glia_conv2d(x, "conv", (glia_conv_opts){ .filters = 4, .kernel = 3 });
    x = glia_relu(glia_batch_norm(x, "bn", (glia_norm_opts){ 0 }));
    x = glia_dropout(glia_flatten(x), 0.1);
    glia_model_output(m, "y", glia_dense(x, "fc", (glia_dense_opts){ .units = CLASSES }));
    return m;
}

static float pixel(int64_t i) { return (float)(i * 7 % 23) / 23 - 0.3f; }

static void samples(float *x, int64_t n) {
    for (int64_t i = 0; i < n * PIXELS; i++) x[i] = pixel(i);
}

static glia_dataset *dataset(glia_dtype y_dtype) {
    static float x[SAMPLES * PIXELS], real[SAMPLES * CLASSES];
    static int32_t label[SAMPLES];
    samples(x, SAMPLES);
    for (int i = 0; i < SAMPLES; i++) label[i] = i % CLASSES;
    for (int i = 0; i < SAMPLES * CLASSES; i++) real[i] = (float)(i % 5) / 5;
    bool classes = y_dtype == GLIA_I32;
    glia_arrays arrays = { .n = SAMPLES,
                           .x = x,
                           .x_shape = GLIA_SHAPE(1, SIDE, SIDE),
                           .y = classes ? (void *)label : real,
                           .y_dtype = y_dtype,
                           .y_shape = classes ? GLIA_SCALAR : GLIA_SHAPE(CLASSES) };
    glia_error error;
    glia_dataset *data = glia_data_arrays(arrays, &error);
    if (!data) fail_msg("%s", error.message);
    return data;
}

static void predict(glia_model *m, int64_t n, float *y, glia_backend *backend) {
    glia_error error;
    float *x = malloc((size_t)n * PIXELS * sizeof *x);
    assert_non_null(x);
    samples(x, n);
    check(glia_predict(m, x, n, y, backend, &error), &error);
    free(x);
}

/* A new model with the same values. */
static glia_model *twin_of(glia_model *m) {
    glia_error error;
    check(glia_model_save(m, "twin.safetensors", &error), &error);
    glia_model *twin = glia_model_load("twin.safetensors", &error);
    if (!twin) fail_msg("%s", error.message);
    return twin;
}

/* Asserts that predictions match the current values and, unless `before` is NULL, differ from *before; updates it. */
static void assert_current(const char *when, glia_model *m, float *before) {
    enum { N = 3 };
    float y[N * CLASSES], fresh[N * CLASSES];
    glia_model *twin = twin_of(m);
    predict(m, N, y, NULL);
    predict(twin, N, fresh, NULL);
    glia_model_free(twin);
    if (memcmp(y, fresh, sizeof y) != 0) fail_msg("%s: predictions from old values", when);
    if (before && memcmp(y, before, sizeof *before) == 0) fail_msg("%s: nothing has changed", when);
    if (before) *before = y[0];
}

static float *value_of(glia_model *m, const char *name) {
    glia_array a;
    assert_true(glia_store_find(glia_model_store(m), name, &a));
    return a.data;
}

/* ---- values ------------------------------------------------------------------------------------- */

static void predictions_follow_value_changes(void **state) {
    (void)state;
    glia_error error;
    glia_model *m = build(), *other = build();
    glia_dataset *data = dataset(GLIA_I32);
    check(glia_model_init(other, 5, &error), &error);
    check(glia_model_save(other, "other.safetensors", &error), &error);
    float y = 0;
    assert_current("at first", m, &y);

    glia_fit_opts fit = { .optimizer = { .kind = GLIA_ADAM, .lr = 0.01 }, .batch = 8, .validation = data };
    check(glia_fit(m, data, fit, &error), &error);
    assert_current("fitted", m, &y);

    check(glia_model_load_weights(m, "other.safetensors", NULL, &error), &error);
    assert_current("loaded", m, &y);

    check(glia_model_init(m, 9, &error), &error);
    assert_current("initialised", m, &y);

    fit.optimizer.lr = 1e30; /* diverges: values are restored from a copy */
    fit.optimizer.kind = GLIA_SGD;
    assert_int_equal(glia_fit(m, data, fit, &error), GLIA_E_ARGUMENT);
    assert_current("given back", m, NULL);

    float *bias = value_of(m, "fc/bias"), *scale = value_of(m, "bn/scale");
    bias[0] += 1;
    assert_current("written", m, &y);
    scale[1] += 1; /* through a pointer from before the last prediction */
    bias[0] += 1;
    assert_current("written again", m, &y);
    bias[0] += 1;
    glia_store_settle(glia_model_store(m));
    assert_current("settled", m, &y);
    assert_current("and once more", m, NULL);

    glia_model_free(m);
    glia_model_free(other);
    glia_data_free(data);
}

/* A custom training session on the model's store, with predictions between steps. */
static void own_sessions_change_values_too(void **state) {
    (void)state;
    glia_error error;
    glia_model *m = build();
    float y = 0;
    assert_current("at first", m, &y);
    glia_graph *g = glia_model_graph(m);
    glia_tensor labels = glia_input(g, "labels", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor loss = glia_cross_entropy(glia_model_output_at(m, 0, NULL), labels, 0);
    glia_minimize(loss, (glia_optimizer){ .lr = 0.1 }, NULL, NULL);
    glia_backend *b = glia_backend_open("cpu", 1, &error);
    glia_compile_opts opts = { .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = 2 };
    glia_program *p = glia_compile(g, b, opts, &error);
    if (!p) fail_msg("%s", error.message);
    glia_session *s = glia_session_create(p, glia_model_store(m), &error);
    if (!s) fail_msg("%s", error.message);
    samples(glia_session_input(s, "x", NULL, NULL), 2);
    uint64_t writes = 0;
    glia_store_same(glia_model_store(m), &writes);
    assert_true(glia_store_same(glia_model_store(m), &writes));
    check(glia_session_run(s, &error), &error);
    assert_false(glia_store_same(glia_model_store(m), &writes));
    glia_session_free(s);
    glia_program_free(p);
    glia_backend_close(b);
    glia_model_free(m);
}

/* ---- cached programs ------------------------------------------------------------------------------- */

static const glia_session *kept_session(glia_model *m, glia_purpose purpose, int lane) {
    const glia_kept *kept = glia_model_idle(m, purpose);
    return kept && lane < kept->task.n_lanes ? kept->task.lanes[lane].session : NULL;
}

static void program_is_reused_while_valid(void **state) {
    (void)state;
    glia_error error;
    glia_model *m = build();
    float y[CLASSES];
    predict(m, 1, y, NULL);
    const glia_session *first = kept_session(m, GLIA_PREDICT, 0);
    assert_non_null(first);
    predict(m, 1, y, NULL);
    glia_model_free(twin_of(m));
    check(glia_model_load_weights(m, "twin.safetensors", NULL, &error), &error);
    predict(m, 1, y, NULL);
    value_of(m, "fc/bias")[0] += 1;
    predict(m, 1, y, NULL);
    assert_ptr_equal(kept_session(m, GLIA_PREDICT, 0), first); /* new values need no new program */

    glia_tanh(glia_model_output_at(m, 0, NULL)); /* a new graph does */
    assert_int_not_equal(glia_model_idle(m, GLIA_PREDICT)->n_nodes, glia_model_graph(m)->n_nodes);
    assert_current("the graph has grown", m, NULL);
    assert_int_equal(glia_model_idle(m, GLIA_PREDICT)->n_nodes, glia_model_graph(m)->n_nodes);

    check(glia_model_init(m, 3, &error), &error);
    assert_null(kept_session(m, GLIA_PREDICT, 0)); /* it used the freed store */
    glia_model_free(m);
}

/* Calls with different sample counts give the same results as predicting each sample alone. */
static void any_number_of_samples(void **state) {
    (void)state;
    static const int64_t counts[] = { 1, 300, 7, 256, 1, 513, 300, 2 };
    enum { MOST = 513 };
    static float y[MOST * CLASSES], alone[MOST * CLASSES];
    glia_error error;
    glia_model *m = build();
    float x[PIXELS];
    for (int64_t i = 0; i < MOST; i++) {
        for (int64_t k = 0; k < PIXELS; k++) x[k] = pixel(i * PIXELS + k);
        check(glia_predict(m, x, 1, alone + i * CLASSES, NULL, &error), &error);
    }
    for (int k = 0; k < GLIA_COUNT(counts); k++) {
        predict(m, counts[k], y, NULL);
        for (int64_t i = 0; i < counts[k] * CLASSES; i++) assert_true(fabsf(y[i] - alone[i]) < 1e-5f);
    }
    glia_model_free(m);
}

static void backend_changes(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int threads;
    } backends[] = { { "cpu", 1 }, { "cpu", 1 }, { "cpu", 3 }, { "cpu", 1 }, { "ref", 1 }, { NULL, 0 }, { "cpu", 2 } };
    glia_error error;
    glia_model *m = build();
    glia_dataset *data = dataset(GLIA_I32);
    float wanted[CLASSES], y[CLASSES];
    glia_scores first = { 0 }, scores;
    predict(m, 1, wanted, NULL);
    for (int i = 0; i < GLIA_COUNT(backends); i++) {
        glia_backend *b = backends[i].name ? glia_backend_open(backends[i].name, backends[i].threads, &error) : NULL;
        predict(m, 1, y, b);
        for (int k = 0; k < CLASSES; k++) assert_true(fabsf(y[k] - wanted[k]) < 1e-5f);
        check(glia_evaluate(m, data, (glia_evaluate_opts){ .backend = b, .batch = 16 }, &scores, &error), &error);
        if (i == 0) first = scores;
        assert_true(fabs(scores.loss - first.loss) < 1e-5 && scores.accuracy == first.accuracy);
        glia_backend_close(b);
    }
    glia_data_free(data);
    glia_model_free(m);
}

/* ---- evaluations ------------------------------------------------------------------------------------- */

static void evaluations_compute_requested_metrics(void **state) {
    (void)state;
    glia_error error;
    glia_model *m = build();
    glia_dataset *labels = dataset(GLIA_I32), *values = dataset(GLIA_F32);
    int64_t confusion[CLASSES * CLASSES];
    glia_evaluate_opts opts[] = {
        { .batch = 16 },
        { .batch = 16 },
        { .batch = 7, .confusion = confusion },
        { .batch = 7, .confusion = confusion },
        { .batch = 16 },
        { .loss = GLIA_MSE },
        { .loss = GLIA_MAE },
        { .loss = GLIA_MAE },
        { .batch = 16, .threads = 1 },
    };
    for (int i = 0; i < GLIA_COUNT(opts); i++) {
        glia_dataset *data = opts[i].loss ? values : labels;
        glia_scores scores, fresh;
        glia_model *twin = twin_of(m);
        check(glia_evaluate(twin, data, opts[i], &fresh, &error), &error);
        check(glia_evaluate(m, data, opts[i], &scores, &error), &error);
        assert_true(scores.loss == fresh.loss && scores.samples == SAMPLES);
        assert_true(opts[i].loss ? isnan(scores.accuracy) : scores.accuracy == fresh.accuracy);
        int64_t sum = 0;
        for (int k = 0; k < CLASSES * CLASSES && opts[i].confusion; k++) sum += confusion[k];
        assert_int_equal(sum, opts[i].confusion ? SAMPLES : 0);
        glia_model_free(twin);
    }
    const glia_session *kept = kept_session(m, GLIA_EVALUATE, 0);
    value_of(m, "fc/kernel")[0] += 1;
    glia_scores changed, last;
    check(glia_evaluate(m, labels, opts[8], &changed, &error), &error);
    assert_ptr_equal(kept_session(m, GLIA_EVALUATE, 0), kept);
    glia_model *twin = twin_of(m);
    check(glia_evaluate(twin, labels, opts[8], &last, &error), &error);
    assert_true(changed.loss == last.loss);
    glia_model_free(twin);
    glia_data_free(labels);
    glia_data_free(values);
    glia_model_free(m);
}

/* Errors in the data are reported with and without a cached program. */
static void errors_are_reported_every_time(void **state) {
    (void)state;
    glia_error error;
    glia_model *m = build();
    glia_dataset *good = dataset(GLIA_I32);
    static float x[2 * 5] = { 0 };
    static const int32_t y[2] = { 0, 1 };
    glia_arrays arrays = { .n = 2, .x = x, .x_shape = GLIA_SHAPE(5), .y = y, .y_dtype = GLIA_I32 };
    glia_dataset *bad = glia_data_arrays(arrays, &error);
    for (int i = 0; i < 2; i++) {
        check(glia_evaluate(m, good, (glia_evaluate_opts){ 0 }, NULL, &error), &error);
        assert_int_equal(glia_evaluate(m, bad, (glia_evaluate_opts){ 0 }, NULL, &error), GLIA_E_SHAPE);
    }
    glia_data_free(bad);
    glia_data_free(good);
    glia_model_free(m);
}

/* ---- concurrent calls -------------------------------------------------------------------------------- */

typedef struct caller {
    pthread_t thread;
    glia_model *model;
    float wanted[CLASSES];
    bool right;
} caller;

static void *call(void *context) {
    caller *c = context;
    float x[PIXELS], y[CLASSES];
    samples(x, 1);
    c->right = true;
    for (int i = 0; i < 20; i++) {
        c->right =
            c->right && glia_predict(c->model, x, 1, y, NULL, NULL) == GLIA_OK && memcmp(y, c->wanted, sizeof y) == 0;
    }
    return NULL;
}

static void several_threads_predict(void **state) {
    (void)state;
    caller callers[3];
    glia_model *m = build();
    float y[CLASSES];
    predict(m, 1, y, NULL);
    for (int i = 0; i < GLIA_COUNT(callers); i++) {
        callers[i].model = m;
        memcpy(callers[i].wanted, y, sizeof y);
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
    for (int i = 0; i < GLIA_COUNT(callers); i++) {
        pthread_join(callers[i].thread, NULL);
        assert_true(callers[i].right);
    }
    glia_model_free(m);
}

/* A prediction needs only the inputs that its output depends on. */
static void inputs_that_the_output_does_not_need_are_ignored(void **state) {
    (void)state;
    glia_model *m = build(), *two = glia_model_create("two", NULL);
    glia_error error = { 0 };
    float before[3 * CLASSES], after[3 * CLASSES];
    predict(m, 3, before, NULL);
    glia_graph *g = glia_model_graph(m);
    glia_tensor y = glia_model_output_at(m, 0, NULL);
    glia_tensor target = glia_model_input(m, "target", GLIA_I32, GLIA_SCALAR);
    glia_minimize(glia_cross_entropy(y, target, 0), (glia_optimizer){ .lr = 0.25 }, NULL, NULL);
    predict(m, 3, after, NULL);
    assert_memory_equal(before, after, sizeof after);
    glia_dataset *data = dataset(GLIA_I32);
    glia_scores scores;
    check(glia_evaluate(m, data, (glia_evaluate_opts){ 0 }, &scores, &error), &error);

    /* The training graph is loaded from its file and trains with its learning rate. */
    check(glia_model_save(m, "minimized.safetensors", &error), &error);
    glia_model *again = glia_model_load("minimized.safetensors", &error);
    if (!again) fail_msg("%s", error.message);
    unlink("minimized.safetensors");
    predict(again, 3, after, NULL);
    assert_memory_equal(before, after, sizeof after);
    glia_backend *backend = glia_backend_open("cpu", 1, &error);
    glia_compile_opts opts = { .mode = GLIA_TRAIN, .updates = "train", .batch = 2 };
    glia_program *program = glia_compile(glia_model_graph(again), backend, opts, &error);
    glia_session *session = program ? glia_session_create(program, glia_model_store(again), &error) : NULL;
    if (!session) fail_msg("%s", error.message);
    const float *lr = glia_session_input(session, "lr", NULL, NULL);
    assert_non_null(lr);
    assert_true(*lr == 0.25f);
    glia_session_free(session);
    glia_program_free(program);
    glia_backend_close(backend);

    glia_tensor a = glia_model_input(two, "a", GLIA_F32, GLIA_SHAPE(1)),
                b = glia_model_input(two, "b", GLIA_F32, GLIA_SHAPE(1));
    glia_model_output(two, "sum", glia_add(a, b));
    assert_int_equal(glia_predict(two, before, 1, after, NULL, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "'a' and 'b'"));
    assert_int_equal(glia_graph_check(g, NULL), GLIA_OK);
    glia_data_free(data);
    glia_model_free(two);
    glia_model_free(again);
    glia_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predictions_follow_value_changes),
        cmocka_unit_test(inputs_that_the_output_does_not_need_are_ignored),
        cmocka_unit_test(own_sessions_change_values_too),
        cmocka_unit_test(program_is_reused_while_valid),
        cmocka_unit_test(any_number_of_samples),
        cmocka_unit_test(backend_changes),
        cmocka_unit_test(evaluations_compute_requested_metrics),
        cmocka_unit_test(errors_are_reported_every_time),
        cmocka_unit_test(several_threads_predict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
