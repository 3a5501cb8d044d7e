/* test_i8.c - i8, a dtype for storage: what keeps it, what converts it, and what refuses it. */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "core/graph/graph.h"
#include "glia/transformers.h"
#include "run_graph.h"

enum { ROWS = 300, WIDTH = 37 };

/* A quantised table: rows of i8 times a scale for each row, as floats; its rows by id, and the table in i8. */
static glia_model *quantised(void) {
    glia_model *model = glia_model_create("quantised", NULL);
    glia_graph *g = glia_model_graph(model);
    const glia_init all = { .kind = GLIA_INIT_UNIFORM, .low = -128, .high = 128 };
    glia_tensor table = glia_parameter(g, "table", GLIA_I8, GLIA_SHAPE(ROWS, WIDTH), all);
    glia_tensor scale = glia_parameter(g, "scale", GLIA_F32, GLIA_SHAPE(ROWS, 1),
                                       (glia_init){ .kind = GLIA_INIT_UNIFORM, .low = 0.01, .high = 0.02 });
    glia_tensor ids = glia_model_input(model, "ids", GLIA_I32, GLIA_SHAPE(3));
    glia_tensor rows = glia_mul(glia_cast(glia_gather(table, ids, 0), GLIA_F32), glia_gather(scale, ids, 0));
    glia_model_output(model, "rows", rows);
    glia_model_output(model, "all", glia_mul(glia_cast(table, GLIA_F32), scale));
    glia_model_output(model, "raw", glia_permute(glia_gather(table, ids, 0), GLIA_SHAPE(0, 2, 1)));
    glia_error error;
    if (glia_model_init(model, 3, &error) != GLIA_OK) fail_msg("%s", error.message);
    return model;
}

static const int8_t *table_of(glia_model *model) {
    glia_array a;
    assert_true(glia_store_find(glia_model_store(model), "table", &a));
    assert_int_equal(a.dtype, GLIA_I8);
    assert_int_equal(glia_dtype_size(a.dtype), 1);
    return a.data;
}

/* Runs the model's outputs for ids 0, 299, 7 and 1, 2, 3, and compares each with the store's values. */
static void check_outputs(glia_model *model, const char *backend_name, bool frozen) {
    static const int32_t ids[6] = { 0, 299, 7, 1, 2, 3 };
    const int8_t *table = table_of(model);
    glia_array scale;
    glia_store_find(glia_model_store(model), "scale", &scale);
    glia_tensor y[3];
    for (int i = 0; i < 3; i++) y[i] = glia_model_output_at(model, i, NULL);
    glia_error error;
    glia_backend *backend = glia_backend_open(backend_name, 2, &error);
    glia_program *p =
        glia_compile(glia_model_graph(model), backend,
                     (glia_compile_opts){ .outputs = y, .n_outputs = 3, .batch = 2, .frozen = frozen }, &error);
    if (!p) fail_msg("%s", error.message);
    glia_session *s = glia_session_create(p, glia_model_store(model), &error);
    memcpy(glia_session_input(s, "ids", NULL, NULL), ids, sizeof ids);
    assert_int_equal(glia_session_run(s, &error), GLIA_OK);
    const float *rows = glia_session_output(s, 0).data, *all = glia_session_output(s, 1).data;
    const glia_array raw = glia_session_output(s, 2);
    assert_int_equal(raw.dtype, GLIA_I8);
    for (int i = 0; i < 6 * WIDTH; i++) {
        const int row = ids[i / WIDTH], k = i % WIDTH, sample = i / (3 * WIDTH), place = i / WIDTH % 3;
        const int8_t value = table[row * WIDTH + k];
        assert_true(rows[i] == (float)value * ((const float *)scale.data)[row]);
        assert_int_equal(((const int8_t *)raw.data)[(sample * WIDTH + k) * 3 + place], value);
    }
    for (int i = 0; i < ROWS * WIDTH; i++)
        assert_true(all[i] == (float)table[i] * ((const float *)scale.data)[i / WIDTH]);
    glia_session_free(s);
    glia_program_free(p);
    glia_backend_close(backend);
}

static void quantised_tables_are_read(void **state) {
    (void)state;
    glia_model *model = quantised();
    const int8_t *table = table_of(model);
    int low = 0, high = 0;
    for (int i = 0; i < ROWS * WIDTH; i++)
        low = table[i] < low ? table[i] : low, high = table[i] > high ? table[i] : high;
    assert_true(low < -120 && high > 120);
    for (int k = 0; k < 4; k++) check_outputs(model, k & 1 ? "cpu" : "ref", k & 2);
    glia_model_free(model);
}

/* Stores, files of stores, and models with their graph as text keep every value. */
static void files_keep_every_value(void **state) {
    (void)state;
    glia_error error;
    glia_model *model = quantised();
    int8_t *table = (int8_t *)(uintptr_t)table_of(model);
    for (int i = 0; i < 256; i++) table[i] = (int8_t)(i - 128);
    assert_int_equal(glia_model_save(model, "i8.safetensors", &error), GLIA_OK);
    glia_model *loaded = glia_model_load("i8.safetensors", &error), *copy = glia_model_copy(model, &error);
    if (!loaded || !copy) fail_msg("%s", error.message);
    assert_memory_equal(table_of(loaded), table, ROWS * WIDTH);
    assert_memory_equal(table_of(copy), table, ROWS * WIDTH);
    check_outputs(loaded, "cpu", false);
    glia_text texts[2] = { { 0 } };
    glia_graph_print(glia_model_graph(model), &texts[0]);
    glia_graph_print(glia_model_graph(loaded), &texts[1]);
    assert_string_equal(texts[0].bytes, texts[1].bytes);
    assert_non_null(strstr(texts[0].bytes, "dtype=i8"));
    for (int i = 0; i < 2; i++) free(texts[i].bytes);

    glia_store *store = glia_model_store(loaded);
    memset((int8_t *)(uintptr_t)table_of(loaded), 5, ROWS * WIDTH);
    assert_int_equal(glia_store_save(glia_model_store(model), "i8.safetensors", "table", &error), GLIA_OK);
    assert_int_equal(glia_store_load(store, "i8.safetensors", "table", true, NULL, &error), GLIA_OK);
    assert_memory_equal(table_of(loaded), table, ROWS * WIDTH);
    memset((int8_t *)(uintptr_t)table_of(loaded), 5, ROWS * WIDTH);
    assert_int_equal(glia_store_swap(store, "", glia_model_store(model), "", &error), GLIA_OK);
    assert_memory_equal(table_of(loaded), table_of(copy), ROWS * WIDTH);
    assert_int_equal(table[0], 5);
    assert_int_equal(glia_store_pack_size(store, NULL, &error), -1);
    assert_non_null(strstr(error.message, "'table' is i8"));
    unlink("i8.safetensors");
    glia_model_free(model);
    glia_model_free(loaded);
    glia_model_free(copy);
}

/* A state that each run moves: f32 to i8 and back, through all values. */
static void states_are_written(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        glia_graph *g = glia_graph_create();
        glia_tensor s =
            glia_state(g, "s", GLIA_I8, GLIA_SHAPE(3), (glia_init){ .kind = GLIA_INIT_CONSTANT, .value = -128 });
        glia_tensor y = glia_cast(s, GLIA_I32);
        glia_update(s, glia_cast(glia_add_scalar(glia_cast(s, GLIA_F32), 1), GLIA_I8), NULL);
        glia_error error;
        glia_backend *backend = glia_backend_open(k ? "cpu" : "ref", 1, &error);
        glia_store *store = glia_store_create(g, 0, &error);
        glia_program *p =
            glia_compile(g, backend, (glia_compile_opts){ .outputs = &y, .n_outputs = 1, .mode = GLIA_TRAIN }, &error);
        if (!p) fail_msg("%s", error.message);
        glia_session *session = glia_session_create(p, store, &error);
        for (int i = 0; i < 300; i++) {
            assert_int_equal(glia_session_run(session, &error), GLIA_OK);
            const int32_t *is = glia_session_output(session, 0).data;
            assert_int_equal(is[2], (i < 256 ? i : i - 256) - 128); /* 127 + 1 wraps */
        }
        glia_session_free(session);
        glia_program_free(p);
        glia_store_free(store);
        glia_backend_close(backend);
        glia_graph_free(g);
    }
}

/* ---- refusals ----------------------------------------------------------------------------- */

static void expect(glia_graph *g, const char *words, int kind) {
    glia_error error = { 0 };
    if (glia_graph_check(g, &error) == GLIA_OK) fail_msg("case %d: no error", kind);
    if (!strstr(error.message, words)) fail_msg("case %d: '%s' instead of '%s'", kind, error.message, words);
    glia_graph_free(g);
}

static void arithmetic_asks_for_a_cast(void **state) {
    (void)state;
    for (int kind = 0; kind < 14; kind++) {
        glia_graph *g = glia_graph_create();
        glia_tensor x = glia_input(g, "x", GLIA_I8, GLIA_SHAPE(GLIA_BATCH, 4)), y;
        glia_tensor f = glia_input(g, "f", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 4));
        const char *words = "glia_cast()";
        switch (kind) {
        case 0: glia_add(x, x), words = "glia_cast() makes one of i8"; break;
        case 1: glia_mul(x, f), words = "the dtypes differ; glia_cast()"; break;
        case 2: glia_exp(x), words = "glia_cast() makes one of i8"; break;
        case 3: glia_sum(x, GLIA_SHAPE(1), false), words = "glia_cast() makes one of i8"; break;
        case 4: glia_mean(x, GLIA_SHAPE(1), false), words = "glia_cast() makes one of i8"; break;
        case 5: glia_matmul_transposed(x, false, x, true), words = "matmul of i8(N, 4), i8(N, 4): it takes f32"; break;
        case 6: glia_matmul_transposed(f, false, x, true), words = "the dtypes differ; glia_cast()"; break;
        case 7: glia_softmax(x, 1), words = "glia_cast() makes one of i8"; break;
        case 8: glia_relu(x), words = "glia_cast() makes one of i8"; break;
        case 9: glia_dense(x, "fc", (glia_dense_opts){ .units = 2 }), words = "glia_cast() makes one of i8"; break;
        case 10: glia_grad(x, &x, 1, &y), words = "y is i8; only floating-point values have gradients"; break;
        case 11:
            glia_embedding(x, "e", (glia_embedding_opts){ .vocabulary = 9, .units = 2 }), words = "i32 or i64";
            break;
        case 12: {
            glia_loop *loop = glia_loop_begin(g, (glia_loop_opts){ .steps = 2 });
            glia_loop_state(loop, x);
            words = "a state must be f32 or f64 as the others are, not i8";
            break;
        }
        case 13: glia_neg(x), words = "glia_cast() makes one of i8"; break;
        }
        expect(g, words, kind);
    }
}

static void initialisers_of_fractions_are_refused(void **state) {
    (void)state;
    for (int kind = GLIA_INIT_GLOROT_UNIFORM; kind <= GLIA_INIT_FAN_IN_UNIFORM; kind++) {
        glia_graph *g = glia_graph_create();
        glia_parameter(g, "w", GLIA_I8, GLIA_SHAPE(4, 4), (glia_init){ .kind = (glia_init_kind)kind });
        glia_error error;
        assert_null(glia_store_create(g, 1, &error));
        assert_string_equal(error.message, "w: this initialiser is for floats; it would be zeros as i8");
        glia_graph_free(g);
    }
    glia_graph *g = glia_graph_create();
    glia_parameter(g, "w", GLIA_I8, GLIA_SHAPE(2, 2), (glia_init){ 0 });
    glia_store *store = glia_store_create(g, 1, NULL);
    glia_array a;
    assert_true(glia_store_find(store, "w", &a));
    for (int i = 0; i < 4; i++) assert_int_equal(((int8_t *)a.data)[i], 0);
    glia_store_free(store);
    /* Nothing but integers to train. */
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(2, 2));
    glia_tensor loss = glia_sum(glia_mul(x, glia_cast(glia_graph_find_leaf(g, "w"), GLIA_F32)), GLIA_SCALAR, false);
    glia_minimize(loss, (glia_optimizer){ 0 }, "w", NULL);
    glia_error error = { 0 };
    assert_int_not_equal(glia_graph_check(g, &error), GLIA_OK);
    glia_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantised_tables_are_read),
        cmocka_unit_test(files_keep_every_value),
        cmocka_unit_test(states_are_written),
        cmocka_unit_test(arithmetic_asks_for_a_cast),
        cmocka_unit_test(initialisers_of_fractions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
