/* test_determinism.c - same seed, same bits, on any number of threads.
 *
 * Complete training runs of a convolutional net with batch normalisation and dropout, on the library's generated
 * digits, with a partial last batch. All parameters and states are compared byte for byte with those of the first run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "glia/glia.h"

enum { SAMPLES = 72, BATCH = 16, EPOCHS = 2 }; /* four batches of 16 and one of 8 */

static glia_model *build(void) {
    glia_model *model = glia_model_create("net", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    x = glia_conv2d(x, "conv1", (glia_conv_opts){ .filters = 8, .kernel = 5, .padding = GLIA_SAME });
    x = glia_batch_norm(x, "bn1", (glia_norm_opts){ 0 });
    x = glia_max_pool2d(glia_relu(x), (glia_pool_opts){ .size = 2 });
    x = glia_conv2d(x, "conv2", (glia_conv_opts){ .filters = 12, .kernel = 3, .activation = GLIA_RELU });
    x = glia_avg_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_dropout(glia_flatten(x), 0.3);
    x = glia_dense(x, "fc1", (glia_dense_opts){ .units = 48, .activation = GLIA_GELU });
    x = glia_layer_norm(x, "ln", (glia_norm_opts){ 0 });
    x = glia_dropout(x, 0.5);
    glia_model_output(model, "logits", glia_dense(x, "fc2", (glia_dense_opts){ .units = 10 }));
    return model;
}

typedef struct run {
    int threads, workers;
    uint64_t seed;
    glia_optimizer optimizer;
} run;

/* Trains a new model. */
static glia_model *train(const glia_dataset *data, run r, glia_scores *scores) {
    glia_model *model = build();
    glia_error error = { 0 };
    glia_fit_opts opts = { .epochs = EPOCHS,
                           .batch = BATCH,
                           .optimizer = r.optimizer,
                           .seed = r.seed,
                           .threads = r.threads,
                           .workers = r.workers };
    if (glia_fit(model, data, opts, &error) != GLIA_OK) fail_msg("%s", error.message);
    glia_evaluate_opts how = { .batch = 32, .threads = r.threads };
    if (glia_evaluate(model, data, how, scores, &error) != GLIA_OK) fail_msg("%s", error.message);
    return model;
}

/* The name of the first tensor that differs in any bit, or NULL. */
static const char *difference(glia_model *a, glia_model *b) {
    glia_store *s = glia_model_store(a);
    assert_int_equal(glia_store_count(s), glia_store_count(glia_model_store(b)));
    for (int i = 0; i < glia_store_count(s); i++) {
        glia_array x = glia_store_at(s, i), y;
        assert_true(glia_store_find(glia_model_store(b), x.name, &y));
        if (memcmp(x.data, y.data, (size_t)glia_shape_count(x.shape) * glia_dtype_size(x.dtype))) return x.name;
    }
    return NULL;
}

static glia_dataset *digits(void) {
    glia_dataset *data = glia_data_strokes(SAMPLES, 4, NULL);
    assert_non_null(data);
    return data;
}

static const glia_optimizer adam = { .kind = GLIA_ADAM, .lr = 0.005, .clip_norm = 1, .weight_decay = 0.001 };
static const glia_optimizer nesterov = { .kind = GLIA_SGD, .lr = 0.05, .momentum = 0.9, .nesterov = true };

static void test_threads(void **state) {
    (void)state;
    glia_dataset *data = digits();
    const glia_optimizer *const optimizers[] = { &adam, &nesterov };
    for (int k = 0; k < 2; k++) {
        glia_scores first, scores;
        glia_model *one = train(data, (run){ .threads = 1, .seed = 7, .optimizer = *optimizers[k] }, &first);
        const int threads[] = { 1, 2, 3, 8 };
        for (int i = 0; i < 4; i++) {
            glia_model *other =
                train(data, (run){ .threads = threads[i], .seed = 7, .optimizer = *optimizers[k] }, &scores);
            const char *name = difference(one, other);
            if (name) fail_msg("on %d threads '%s' differs", threads[i], name);
            assert_memory_equal(&scores.loss, &first.loss, sizeof first.loss);
            assert_true(scores.accuracy == first.accuracy);
            glia_model_free(other);
        }
        glia_model_free(one);
    }
    glia_data_free(data);
}

static void test_workers(void **state) {
    (void)state;
    glia_dataset *data = digits();
    glia_scores first, scores;
    glia_model *none = train(data, (run){ .threads = 2, .workers = -1, .seed = 7, .optimizer = adam }, &first);
    const int workers[] = { 0, 1, 2, 5 };
    for (int i = 0; i < 4; i++) {
        glia_model *other =
            train(data, (run){ .threads = 2, .workers = workers[i], .seed = 7, .optimizer = adam }, &scores);
        const char *name = difference(none, other);
        if (name) fail_msg("with %d workers '%s' differs", workers[i], name);
        glia_model_free(other);
    }
    glia_model_free(none);
    glia_data_free(data);
}

/* Another seed gives other parameters, so the comparison above can fail. */
static void test_seeds(void **state) {
    (void)state;
    glia_dataset *data = digits();
    glia_scores scores;
    glia_model *a = train(data, (run){ .threads = 2, .seed = 7, .optimizer = adam }, &scores);
    glia_model *b = train(data, (run){ .threads = 2, .seed = 8, .optimizer = adam }, &scores);
    assert_non_null(difference(a, b));
    glia_model_free(b);

    /* The seed also affects sample order and dropout: the same initial values give different results. */
    glia_model *starts[2];
    for (int i = 0; i < 2; i++) {
        starts[i] = build();
        assert_int_equal(glia_model_init(starts[i], 7, NULL), GLIA_OK);
        glia_fit_opts opts = {
            .epochs = EPOCHS, .batch = BATCH, .optimizer = adam, .seed = 7 + (uint64_t)i, .threads = 2
        };
        assert_int_equal(glia_fit(starts[i], data, opts, NULL), GLIA_OK);
    }
    assert_null(difference(a, starts[0]));
    assert_non_null(difference(a, starts[1]));
    glia_model_free(starts[0]);
    glia_model_free(starts[1]);
    glia_model_free(a);
    glia_data_free(data);
}

/* Dropout differs between steps and between seeds. */
static void test_dropout_changes_by_step(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(1000)), y = glia_dropout(x, 0.5);
    glia_error error = { 0 };
    glia_backend *backend = glia_backend_open("cpu", 2, &error);
    glia_store *store = glia_store_create(g, 0, &error);
    glia_program *program =
        glia_compile(g, backend, (glia_compile_opts){ .outputs = &y, .n_outputs = 1, .mode = GLIA_TRAIN }, &error);
    glia_session *session = glia_session_create(program, store, &error);
    if (!session) fail_msg("%s", error.message);
    float *in = glia_session_input(session, "x", NULL, NULL), seen[3][1000];
    glia_array rng;
    assert_true(glia_store_find(store, "rng", &rng));
    int64_t *seed_step = rng.data;
    for (int i = 0; i < 1000; i++) in[i] = 1;
    for (int k = 0; k < 3; k++) {
        if (k == 2) seed_step[1] = 0; /* back to the first step */
        assert_int_equal(glia_session_run(session, NULL), GLIA_OK);
        memcpy(seen[k], glia_session_output(session, 0).data, sizeof seen[k]);
        int kept = 0;
        for (int i = 0; i < 1000; i++) {
            assert_true(seen[k][i] == 0 || seen[k][i] == 2);
            kept += seen[k][i] == 2;
        }
        assert_in_range(kept, 400, 600);
    }
    assert_memory_not_equal(seen[0], seen[1], sizeof seen[0]);
    assert_memory_equal(seen[0], seen[2], sizeof seen[0]);
    seed_step[0] = 1;
    seed_step[1] = 0;
    assert_int_equal(glia_session_run(session, NULL), GLIA_OK);
    assert_memory_not_equal(seen[0], glia_session_output(session, 0).data, sizeof seen[0]);
    glia_session_free(session);
    glia_program_free(program);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_workers),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_dropout_changes_by_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
