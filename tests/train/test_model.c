/* test_model.c - stores, models, their files and their summaries. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/graph/graph.h"
#include "data/formats/formats.h"
#include "glia/glia.h"
#include "train/model/model.h"

/* ---- stores ------------------------------------------------------------------------------- */

static glia_tensor parameter(glia_graph *g, const char *name, int64_t n) {
    return glia_parameter(g, name, GLIA_F32, GLIA_SHAPE(n), (glia_init){ .kind = GLIA_INIT_NORMAL });
}

static void *data_of(const glia_store *store, const char *name) {
    glia_array a;
    if (!glia_store_find(store, name, &a)) fail_msg("no tensor '%s'", name);
    return a.data;
}

/* Trainable parameters are contiguous and in order, then states and frozen ones; all are 64-byte aligned. */
static void test_store_layout(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    parameter(g, "a", 3);
    glia_state(g, "s", GLIA_I64, GLIA_SCALAR, (glia_init){ 0 });
    parameter(g, "frozen", 5);
    parameter(g, "b", 17);
    parameter(g, "c", 1);
    glia_freeze(g, "frozen", true);
    glia_store *store = glia_store_create(g, 7, NULL);
    assert_non_null(store);
    assert_int_equal(glia_store_count(store), 5);
    char *a = data_of(store, "a");
    assert_ptr_equal(data_of(store, "b"), a + 64);
    assert_ptr_equal(data_of(store, "c"), a + 64 + 128);
    assert_ptr_equal(data_of(store, "frozen"), a + 64 + 128 + 64);
    assert_int_equal((uintptr_t)a % GLIA_ALIGN, 0);
    for (int i = 0; i < 5; i++) {
        glia_array at = glia_store_at(store, i);
        assert_int_equal((uintptr_t)at.data % GLIA_ALIGN, 0);
        assert_int_equal(at.parameter, strcmp(at.name, "s") != 0);
    }
    assert_null(glia_store_at(store, 5).name);
    assert_null(glia_store_at(store, -1).name);
    assert_false(glia_store_find(store, "d", NULL));
    glia_store_free(store);
    glia_graph_free(g);
}

/* Adding entries keeps the addresses and values of existing ones. */
static void test_store_grows(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    parameter(g, "first", 4);
    glia_store *store = glia_store_create(g, 1, NULL);
    float *first = data_of(store, "first");
    first[2] = 42;
    for (int i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof name, "layer%d/kernel", i);
        parameter(g, name, 10 + i);
        assert_int_equal(glia_store_add(store, g, 1, NULL), GLIA_OK);
    }
    assert_int_equal(glia_store_count(store), 301);
    assert_ptr_equal(data_of(store, "first"), first);
    assert_true(first[2] == 42);
    for (int i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof name, "layer%d/kernel", i);
        glia_array a;
        assert_true(glia_store_find(store, name, &a));
        assert_string_equal(a.name, name);
        assert_int_equal(a.shape.dim[0], 10 + i);
    }
    glia_store_free(store);
    glia_graph_free(g);
}

/* The same seed gives the same values regardless of the rest of the graph; other seeds give other values. */
static void test_store_seeds(void **state) {
    (void)state;
    glia_graph *small = glia_graph_create(), *large = glia_graph_create();
    parameter(small, "w", 100);
    parameter(large, "v", 100);
    parameter(large, "w", 100);
    glia_store *a = glia_store_create(small, 5, NULL), *b = glia_store_create(large, 5, NULL),
               *c = glia_store_create(small, 6, NULL);
    assert_memory_equal(data_of(a, "w"), data_of(b, "w"), 400);
    assert_memory_not_equal(data_of(a, "w"), data_of(c, "w"), 400);
    assert_memory_not_equal(data_of(b, "w"), data_of(b, "v"), 400);
    glia_store_free(a);
    glia_store_free(b);
    glia_store_free(c);
    glia_graph_free(small);
    glia_graph_free(large);
}

static void test_store_errors(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create(), *other = glia_graph_create();
    parameter(g, "w", 4);
    parameter(other, "v", 2);
    parameter(other, "w", 5);
    glia_store *store = glia_store_create(g, 1, NULL);
    glia_error error = { 0 };
    assert_int_equal(glia_store_add(store, other, 1, &error), GLIA_E_SHAPE);
    assert_non_null(strstr(error.message, "'w'"));
    assert_int_equal(glia_store_count(store), 1); /* unchanged */
    assert_false(glia_store_find(store, "v", NULL));
    glia_store_free(store);
    glia_graph_free(g);
    glia_graph_free(other);
    assert_null(glia_store_create(NULL, 1, &error));
    assert_int_equal(error.status, GLIA_E_NOMEM);
}

/* A store layered over another finds its entries, and keeps new ones to itself. */
static void test_store_sharing(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    parameter(g, "w", 4);
    glia_store *base = glia_store_create(g, 1, NULL);
    glia_store *over = glia_store_create_over(base, NULL);
    glia_state(g, "m", GLIA_F32, GLIA_SHAPE(4), (glia_init){ 0 });
    assert_int_equal(glia_store_add(over, g, 1, NULL), GLIA_OK);
    assert_int_equal(glia_store_count(over), 1);
    assert_ptr_equal(data_of(over, "w"), data_of(base, "w"));
    assert_false(glia_store_find(base, "m", NULL));
    glia_store_free(over);
    glia_store_free(base);
    glia_graph_free(g);
}

/* ---- models ------------------------------------------------------------------------------- */

/* A small net with everything a file must hold: shared shapes, states, dropout's stream, frozen parameters. */
static glia_model *build(void) {
    glia_model *model = glia_model_create("small", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 8, 8));
    x = glia_conv2d(x, "conv1", (glia_conv_opts){ .filters = 4, .kernel = 3, .activation = GLIA_RELU });
    x = glia_batch_norm(x, "bn1", (glia_norm_opts){ 0 });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_dropout(glia_flatten(x), 0.25);
    x = glia_dense(x, "fc", (glia_dense_opts){ .units = 3 });
    glia_model_output(model, "logits", x);
    glia_model_output(model, "probabilities", glia_softmax(x, 1));
    glia_freeze(glia_model_graph(model), "conv1/bias", true);
    return model;
}

static void fill(float *x, int n) {
    for (int i = 0; i < n; i++) x[i] = (float)sin(0.37 * i);
}

static void test_model_parts(void **state) {
    (void)state;
    glia_model *model = build();
    assert_int_equal(glia_graph_check(glia_model_graph(model), NULL), GLIA_OK);
    assert_null(glia_model_store(model));
    assert_int_equal(glia_model_parameter_count(model, false), 4 * 9 + 4 + 8 + 36 * 3 + 3);
    assert_int_equal(glia_model_parameter_count(model, true), 4 * 9 + 8 + 36 * 3 + 3);
    assert_int_equal(glia_model_init(model, 3, NULL), GLIA_OK);
    assert_non_null(glia_model_store(model));
    const char *name = NULL;
    assert_non_null(glia_model_input_at(model, 0, &name));
    assert_string_equal(name, "x");
    assert_non_null(glia_model_output_at(model, 1, &name));
    assert_string_equal(name, "probabilities");
    assert_null(glia_model_input_at(model, 1, NULL));
    assert_null(glia_model_output_at(model, 2, NULL));
    glia_model_free(model);
}

static void test_metadata(void **state) {
    (void)state;
    glia_model *model = glia_model_create("one", NULL);
    assert_string_equal(glia_model_get(model, "name"), "one");
    assert_null(glia_model_get(model, "classes"));
    for (int i = 0; i < 40; i++) {
        char key[24], value[24];
        snprintf(key, sizeof key, "key%d", i);
        snprintf(value, sizeof value, "value %d", i);
        assert_int_equal(glia_model_set(model, key, "first", NULL), GLIA_OK);
        assert_int_equal(glia_model_set(model, key, value, NULL), GLIA_OK);
        assert_string_equal(glia_model_get(model, key), value);
    }
    assert_int_equal(glia_model_set(model, "glia.graph", "x", NULL), GLIA_E_ARGUMENT);
    assert_int_equal(glia_model_set(model, "", "x", NULL), GLIA_E_ARGUMENT);
    assert_int_equal(glia_model_set(model, "key", NULL, NULL), GLIA_E_ARGUMENT);
    glia_model_free(model);
}

static void test_model_errors(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_model *model = glia_model_create(NULL, NULL);
    assert_int_equal(glia_model_save(model, "none.safetensors", &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "no output"));
    glia_model_free(model);

    model = glia_model_create(NULL, NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(4));
    glia_model_output(model, "y", x);
    glia_model_output(model, "y", x);
    assert_int_equal(glia_graph_check(glia_model_graph(model), NULL), GLIA_E_ARGUMENT);
    glia_model_free(model);

    model = glia_model_create(NULL, NULL);
    glia_shape deep = { .rank = GLIA_MAX_RANK };
    glia_model_input(model, "x", GLIA_F32, deep);
    assert_int_equal(glia_graph_check(glia_model_graph(model), NULL), GLIA_E_SHAPE);
    glia_model_free(model);

    glia_model_free(NULL);
    assert_null(glia_model_graph(NULL));
    glia_model_output(NULL, "y", NULL);
    assert_null(glia_model_input(NULL, "x", GLIA_F32, GLIA_SHAPE(1)));
    assert_int_equal(glia_model_init(NULL, 1, NULL), GLIA_E_ARGUMENT);
}

/* ---- files -------------------------------------------------------------------------------- */

/* A loaded model predicts the same bits, has the same leaves and metadata, and saves to an identical file. */
static void test_save_and_load(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_model *model = build();
    assert_int_equal(glia_model_set(model, "classes", "ant\nbee\ncow", NULL), GLIA_OK);
    assert_int_equal(glia_model_init(model, 3, NULL), GLIA_OK);
    float x[3 * 64], y[9], again[9];
    fill(x, 3 * 64);
    if (glia_predict(model, x, 3, y, NULL, &error) != GLIA_OK) fail_msg("%s", error.message);
    if (glia_model_save(model, "small.safetensors", &error) != GLIA_OK) fail_msg("%s", error.message);

    glia_model *loaded = glia_model_load("small.safetensors", &error);
    if (!loaded) fail_msg("%s", error.message);
    assert_int_equal(glia_predict(loaded, x, 3, again, NULL, NULL), GLIA_OK);
    assert_memory_equal(y, again, sizeof y);
    assert_string_equal(glia_model_get(loaded, "name"), "small");
    assert_string_equal(glia_model_get(loaded, "classes"), "ant\nbee\ncow");
    assert_int_equal(glia_model_parameter_count(loaded, true), glia_model_parameter_count(model, true));
    assert_int_equal(glia_store_count(glia_model_store(loaded)), glia_store_count(glia_model_store(model)));

    assert_int_equal(glia_model_save(loaded, "again.safetensors", NULL), GLIA_OK);
    glia_file a, b;
    assert_int_equal(glia_file_open(&a, "small.safetensors", NULL), GLIA_OK);
    assert_int_equal(glia_file_open(&b, "again.safetensors", NULL), GLIA_OK);
    assert_int_equal(a.length, b.length);
    assert_memory_equal(a.bytes, b.bytes, a.length);
    glia_file_close(&a);
    glia_file_close(&b);
    glia_model_free(loaded);
    glia_model_free(model);
    unlink("small.safetensors");
    unlink("again.safetensors");
}

/* The file contains no nodes that the outputs do not need. */
static void test_save_is_clean(void **state) {
    (void)state;
    glia_model *model = build();
    glia_tensor y = glia_model_output_at(model, 0, NULL);
    glia_sum(glia_square(glia_sin(y)), GLIA_SCALAR, false);
    assert_int_equal(glia_model_save(model, "clean.safetensors", NULL), GLIA_OK);
    glia_file bytes;
    glia_safetensors file;
    assert_int_equal(glia_file_open(&bytes, "clean.safetensors", NULL), GLIA_OK);
    assert_int_equal(glia_safetensors_parse(bytes.bytes, bytes.length, &file, NULL), GLIA_OK);
    assert_null(strstr(glia_safetensors_get(&file, "glia.graph"), " sin("));
    assert_string_equal(glia_safetensors_get(&file, "glia.inputs"), "x");
    assert_string_equal(glia_safetensors_get(&file, "glia.outputs"), "logits,probabilities");
    assert_string_equal(glia_safetensors_get(&file, "glia.version"), glia_version());
    glia_safetensors_free(&file);
    glia_file_close(&bytes);
    glia_model_free(model);
    unlink("clean.safetensors");
}

/* Writes a file with this graph and one tensor "w"; loading must fail with this status and message. */
static void expect_bad(const char *graph, glia_array w, glia_status status, const char *words) {
    glia_pair pair = { "glia.graph", graph };
    assert_int_equal(glia_safetensors_write("bad.safetensors", &w, w.name ? 1 : 0, &pair, graph ? 1 : 0, NULL),
                     GLIA_OK);
    glia_error error = { 0 };
    assert_null(glia_model_load("bad.safetensors", &error));
    if (error.status != status || !strstr(error.message, words) || !strstr(error.message, "bad.safetensors")) {
        fail_msg("expected %s with '%s', got: %s", glia_status_name(status), words, error.message);
    }
    unlink("bad.safetensors");
}

static void test_hostile_files(void **state) {
    (void)state;
    float values[4] = { 1, 2, 3, 4 };
    double wide[4] = { 0 };
    const glia_array w = { "w", GLIA_F32, GLIA_SHAPE(4), values, true };
    const glia_array w22 = { "w", GLIA_F32, GLIA_SHAPE(2, 2), values, true };
    const glia_array f64 = { "w", GLIA_F64, GLIA_SHAPE(4), wide, true };
    const glia_array v = { "v", GLIA_F32, GLIA_SHAPE(4), values, true };
    const char *good =
        "glia graph 2\n%0 = parameter() {name=\"w\", shape=(4), init=zeros} : f32(4)\noutput \"y\" = %0\n";
    const char *huge = "glia graph 2\n%0 = parameter() {name=\"w\", shape=(1000000000000), init=zeros} : "
                       "f32(1000000000000)\noutput \"y\" = %0\n";
    const char *symbolic =
        "glia graph 2\n%0 = parameter() {name=\"w\", shape=(N), init=zeros} : f32(N)\noutput \"y\" = %0\n";

    assert_int_equal(glia_safetensors_write("good.safetensors", &w, 1, &(glia_pair){ "glia.graph", good }, 1, NULL),
                     GLIA_OK);
    glia_error error = { 0 };
    glia_model *model = glia_model_load("good.safetensors", &error);
    if (!model) fail_msg("%s", error.message);
    assert_memory_equal(data_of(glia_model_store(model), "w"), values, sizeof values);
    glia_model_free(model);
    unlink("good.safetensors");

    expect_bad(NULL, w, GLIA_E_FORMAT, "no model graph");
    expect_bad("", w, GLIA_E_FORMAT, "glia.graph");
    expect_bad("glia graph 2\n", w, GLIA_E_FORMAT, "output");
    expect_bad("glia graph 2\n%0 = nonsense() : f32(4)\n", w, GLIA_E_FORMAT, "nonsense");
    expect_bad(good, v, GLIA_E_FORMAT, "'w'");
    expect_bad(good, w22, GLIA_E_SHAPE, "(2, 2)");
    expect_bad(good, f64, GLIA_E_SHAPE, "f64");
    expect_bad(good, (glia_array){ 0 }, GLIA_E_FORMAT, "'w'");
    expect_bad(huge, w, GLIA_E_SHAPE, "1000000000000");
    expect_bad(symbolic, w, GLIA_E_SHAPE, "(N)");
    assert_null(glia_model_load("no such file", &error));
    assert_int_equal(error.status, GLIA_E_NOT_FOUND);
}

static void test_load_weights(void **state) {
    (void)state;
    glia_model *model = build(), *other = build();
    assert_int_equal(glia_model_init(model, 3, NULL), GLIA_OK);
    assert_int_equal(glia_model_init(other, 4, NULL), GLIA_OK);
    float *kernel = data_of(glia_model_store(model), "fc/kernel"),
          *others = data_of(glia_model_store(other), "fc/kernel");
    assert_memory_not_equal(kernel, others, 36 * 3 * sizeof *kernel);
    assert_int_equal(glia_model_save(model, "weights.safetensors", NULL), GLIA_OK);
    int loaded = -1;
    assert_int_equal(glia_model_load_weights(other, "weights.safetensors", &loaded, NULL), GLIA_OK);
    assert_int_equal(loaded, glia_store_count(glia_model_store(other)));
    assert_memory_equal(kernel, others, 36 * 3 * sizeof *kernel);

    /* Only some names; and a mismatched shape, which must change nothing. */
    float bias[3] = { 7, 8, 9 }, scale[2] = { 1, 1 };
    const glia_array some[] = { { "fc/bias", GLIA_F32, GLIA_SHAPE(3), bias, true },
                                { "else", GLIA_F32, GLIA_SHAPE(2), scale, true } };
    assert_int_equal(glia_safetensors_write("weights.safetensors", some, 2, NULL, 0, NULL), GLIA_OK);
    assert_int_equal(glia_model_load_weights(other, "weights.safetensors", &loaded, NULL), GLIA_OK);
    assert_int_equal(loaded, 1);
    assert_memory_equal(data_of(glia_model_store(other), "fc/bias"), bias, sizeof bias);
    const glia_array wrong[] = { { "fc/bias", GLIA_F32, GLIA_SHAPE(3), (float[]){ 0, 0, 0 }, true },
                                 { "bn1/scale", GLIA_F32, GLIA_SHAPE(2), scale, true } };
    assert_int_equal(glia_safetensors_write("weights.safetensors", wrong, 2, NULL, 0, NULL), GLIA_OK);
    glia_error error = { 0 };
    assert_int_equal(glia_model_load_weights(other, "weights.safetensors", &loaded, &error), GLIA_E_SHAPE);
    assert_non_null(strstr(error.message, "bn1/scale"));
    assert_non_null(strstr(error.message, "(4)"));
    assert_memory_equal(data_of(glia_model_store(other), "fc/bias"), bias, sizeof bias);
    glia_model_free(model);
    glia_model_free(other);
    unlink("weights.safetensors");
}

/* Loading a file without any matching tensor is an error. */
static void test_load_weights_of_another_model(void **state) {
    (void)state;
    glia_model *model = build();
    const glia_array other = { "else", GLIA_F32, GLIA_SHAPE(2), (float[]){ 1, 1 }, true };
    assert_int_equal(glia_safetensors_write("weights.safetensors", &other, 1, NULL, 0, NULL), GLIA_OK);
    glia_error error = { 0 };
    int loaded = -1;
    assert_int_equal(glia_model_load_weights(model, "weights.safetensors", &loaded, &error), GLIA_E_NOT_FOUND);
    assert_int_equal(loaded, 0);
    assert_non_null(strstr(error.message, "'conv1/kernel'"));
    glia_model_free(model);
    unlink("weights.safetensors");
}

/* Builds a graph with these parameters, and its store. */
static glia_store *store_of(glia_graph **g, uint64_t seed, const char *first, const char *second) {
    *g = glia_graph_create();
    parameter(*g, first, 3);
    if (second) parameter(*g, second, 5);
    glia_state(*g, "step", GLIA_I64, GLIA_SCALAR, (glia_init){ .kind = GLIA_INIT_CONSTANT, .value = (double)seed });
    return glia_store_create(*g, seed, NULL);
}

static void test_stores_in_files(void **state) {
    (void)state;
    const char *path = "store.safetensors";
    glia_graph *g[3];
    glia_store *a = store_of(&g[0], 1, "net/w", "net/b"), *b = store_of(&g[1], 2, "net/w", "net/b"),
               *c = store_of(&g[2], 3, "net/w", "head/w");
    glia_error error = { 0 };
    glia_load_report report;
    assert_int_equal(glia_store_save(a, path, NULL, &error), GLIA_OK);
    assert_int_equal(glia_store_load(b, path, NULL, true, &report, &error), GLIA_OK);
    assert_int_equal(report.loaded, 3);
    assert_int_equal(report.missing + report.unexpected, 0);
    assert_memory_equal(data_of(a, "net/w"), data_of(b, "net/w"), 3 * sizeof(float));
    assert_memory_equal(data_of(a, "net/b"), data_of(b, "net/b"), 5 * sizeof(float));
    assert_int_equal(*(int64_t *)data_of(b, "step"), 1);

    /* Strict loading names the mismatched tensors and changes nothing. */
    float before[3];
    memcpy(before, data_of(c, "net/w"), sizeof before);
    assert_int_equal(glia_store_load(c, path, NULL, true, &report, &error), GLIA_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "missing in the file: 'head/w'; unexpected in the file: 'net/b'"));
    assert_int_equal(report.loaded, 0);
    assert_int_equal(report.missing, 1);
    assert_int_equal(report.unexpected, 1);
    assert_memory_equal(data_of(c, "net/w"), before, sizeof before);
    assert_int_equal(glia_store_load(c, path, "net/*", true, &report, &error), GLIA_E_NOT_FOUND);
    assert_int_equal(glia_store_load(c, path, "net/w", true, &report, &error), GLIA_OK);
    assert_memory_equal(data_of(c, "net/w"), data_of(a, "net/w"), sizeof before);
    assert_int_equal(*(int64_t *)data_of(c, "step"), 3);
    assert_int_equal(glia_store_load(c, path, NULL, false, &report, &error), GLIA_OK);
    assert_int_equal(report.loaded, 2);
    assert_string_equal(report.names, "missing in the file: 'head/w'; unexpected in the file: 'net/b'");
    assert_int_equal(*(int64_t *)data_of(c, "step"), 1);

    /* Partial saves, and patterns without a match. */
    assert_int_equal(glia_store_save(a, path, "net/b", &error), GLIA_OK);
    assert_int_equal(glia_store_load(c, path, NULL, false, NULL, &error), GLIA_E_NOT_FOUND);
    assert_int_equal(glia_store_load(b, path, "net/b", true, &report, &error), GLIA_OK);
    assert_int_equal(report.loaded, 1);
    assert_int_equal(glia_store_save(a, path, "net/bb", &error), GLIA_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "no tensor of the store matches 'net/bb'; did you mean 'net/b'?"));
    assert_int_equal(glia_store_load(b, path, "head*", false, NULL, &error), GLIA_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "'head*'"));
    const glia_array wide = { "net/b", GLIA_F32, GLIA_SHAPE(4), (float[]){ 1, 1, 1, 1 }, true };
    assert_int_equal(glia_safetensors_write(path, &wide, 1, NULL, 0, NULL), GLIA_OK);
    assert_int_equal(glia_store_load(b, path, NULL, false, NULL, &error), GLIA_E_SHAPE);
    assert_non_null(strstr(error.message, "'net/b' is f32(4) in the file and f32(5) in the store"));
    assert_int_equal(glia_store_load(b, "no such file", NULL, true, NULL, &error), GLIA_E_NOT_FOUND);
    glia_store_free(a), glia_store_free(b), glia_store_free(c);
    for (int i = 0; i < 3; i++) glia_graph_free(g[i]);
    unlink(path);
}

/* ---- summary ------------------------------------------------------------------------------ */

static void test_summary(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_model *model = build();
    char *text = glia_model_summary(model, 16, &error);
    if (!text) fail_msg("%s", error.message);
    const char *const words[] = { "small",     "conv1",    "(N, 4, 6, 6)",    "bn1",           "fc",
                                  "(N, 3)",    "111",      "Parameters  159", "trainable 155", "frozen 4",
                                  "Inference", "Training", "batches of 16" };
    for (int i = 0; i < GLIA_COUNT(words); i++) {
        if (!strstr(text, words[i])) fail_msg("'%s' is not in\n%s", words[i], text);
    }
    assert_null(strstr(text, "not possible"));
    assert_null(glia_model_store(model)); /* inspecting initialises nothing */
    free(text);
    glia_model_free(model);

    model = glia_model_create("empty", NULL);
    assert_null(glia_model_summary(model, 1, &error));
    assert_null(glia_model_summary(NULL, 1, &error));
    glia_model_free(model);
}

static void test_version(void **state) {
    (void)state;
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", GLIA_VERSION_MAJOR, GLIA_VERSION_MINOR, GLIA_VERSION_PATCH);
    assert_string_equal(glia_version(), version);
}

/* A residual block: the sum reads the previous layer and the one before that. */
static void test_layers(void **state) {
    (void)state;
    glia_model *model = glia_model_create("residual", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(6));
    glia_tensor a = glia_dense(x, "a", (glia_dense_opts){ .units = 6, .activation = GLIA_RELU });
    glia_tensor b = glia_dense(a, "b", (glia_dense_opts){ .units = 6 });
    glia_model_output(model, "y", glia_add(a, b));
    glia_layer_info layers[8];
    assert_int_equal(glia_model_layers(model, layers, 2), 4); /* only two are written */
    assert_int_equal(glia_model_layers(model, layers, 8), 4);
    const char *const names[] = { "x", "a", "b", "" };
    const int64_t parameters[] = { 0, 42, 42, 0 };
    for (int i = 0; i < 4; i++) {
        assert_string_equal(layers[i].name, names[i]);
        assert_int_equal(layers[i].parameters, parameters[i]);
        assert_true(glia_shape_equal(layers[i].output, GLIA_SHAPE(GLIA_BATCH, 6)));
    }
    assert_string_equal(layers[3].operations, "add");
    assert_int_equal(layers[0].n_inputs, 0);
    assert_int_equal(layers[1].n_inputs, 1);
    assert_int_equal(layers[2].n_inputs, 1);
    assert_int_equal(layers[2].inputs[0], 1);
    assert_int_equal(layers[3].n_inputs, 2);
    assert_int_equal(layers[3].inputs[0] + layers[3].inputs[1], 1 + 2);
    glia_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers),          cmocka_unit_test(test_store_layout),
        cmocka_unit_test(test_store_grows),     cmocka_unit_test(test_store_seeds),
        cmocka_unit_test(test_store_errors),  cmocka_unit_test(test_store_sharing),
        cmocka_unit_test(test_model_parts),     cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_model_errors),  cmocka_unit_test(test_save_and_load),
        cmocka_unit_test(test_save_is_clean),   cmocka_unit_test(test_hostile_files),
        cmocka_unit_test(test_load_weights),    cmocka_unit_test(test_summary),
        cmocka_unit_test(test_version),         cmocka_unit_test(test_load_weights_of_another_model),
        cmocka_unit_test(test_stores_in_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
