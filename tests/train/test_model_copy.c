/* test_model_copy.c - copies of models are equal and independent. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/graph/graph.h"
#include "glia/glia.h"
#include "train/model/model.h"

enum { SIDE = 6, CLASSES = 3 };

/* Batch norm, dropout, a loop, a frozen parameter, a tensor that no output needs. */
static glia_model *build(void) {
    glia_model *model = glia_model_create("original", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, SIDE, SIDE));
    glia_tensor h = glia_conv2d(x, "conv", (glia_conv_opts){ .filters = 2, .kernel = 3, .activation = GLIA_RELU });
    h = glia_batch_norm(h, "bn", (glia_norm_opts){ 0 });
    h = glia_reshape(h, GLIA_SHAPE(GLIA_BATCH, 8, 4));
    h = glia_gru(h, "gru", (glia_recurrent_opts){ .units = 5, .last_only = true });
    h = glia_dropout(h, 0.25);
    glia_dense(h, "unused", (glia_dense_opts){ .units = 7 });
    glia_model_output(model, "logits", glia_dense(h, "fc", (glia_dense_opts){ .units = CLASSES }));
    glia_model_output(model, "features", h);
    glia_freeze(glia_model_graph(model), "conv/*", true);
    assert_int_equal(glia_model_set(model, "classes", "a\nb\nc", NULL), GLIA_OK);
    return model;
}

static glia_model *copy_of(glia_model *model) {
    glia_error error;
    glia_model *copy = glia_model_copy(model, &error);
    if (!copy) fail_msg("%s", error.message);
    return copy;
}

static void predict(glia_model *model, float y[2 * CLASSES]) {
    float x[2 * SIDE * SIDE];
    glia_error error;
    for (int i = 0; i < 2 * SIDE * SIDE; i++) x[i] = (float)sin(0.37 * i);
    if (glia_predict(model, x, 2, y, NULL, &error) != GLIA_OK) fail_msg("%s", error.message);
}

static void fit(glia_model *model) {
    static float x[8 * SIDE * SIDE];
    static const int32_t y[8] = { 0, 1, 2, 0, 1, 2, 0, 1 };
    for (int i = 0; i < 8 * SIDE * SIDE; i++) x[i] = (float)cos(0.11 * i);
    glia_arrays arrays = { .n = 8, .x = x, .x_shape = GLIA_SHAPE(1, SIDE, SIDE), .y = y, .y_dtype = GLIA_I32 };
    glia_error error;
    glia_dataset *data = glia_data_arrays(arrays, &error);
    if (glia_fit(model, data, (glia_fit_opts){ .epochs = 2, .batch = 4, .seed = 3, .workers = -1 }, &error) != GLIA_OK)
        fail_msg("%s", error.message);
    glia_data_free(data);
}

static char *text_of(glia_model *model) {
    glia_text text = { 0 };
    glia_graph_print(glia_model_graph(model), &text);
    assert_false(text.failed);
    return text.bytes;
}

static void assert_same(glia_model *a, glia_model *b) {
    char *x = text_of(a), *y = text_of(b);
    assert_string_equal(x, y);
    free(x);
    free(y);
    glia_store *sa = a->store, *sb = b->store;
    assert_int_equal(glia_store_count(sa), glia_store_count(sb));
    for (int i = 0; i < glia_store_count(sa); i++) {
        const glia_array p = glia_store_entry(sa, i), q = glia_store_entry(sb, i);
        assert_string_equal(p.name, q.name);
        assert_ptr_not_equal(p.name, q.name);
        assert_ptr_not_equal(p.data, q.data);
        assert_int_equal((uintptr_t)q.data % GLIA_ALIGN, 0);
        assert_int_equal(p.parameter, q.parameter);
        assert_memory_equal(p.data, q.data, glia_shape_bytes(p.shape, p.dtype));
    }
    assert_int_equal(a->n_meta, b->n_meta);
    for (int i = 0; i < a->n_meta; i++) assert_string_equal(glia_model_get(b, a->meta[i].key), a->meta[i].value);
}

/* The copy predicts and trains to the same bits; changing either leaves the other as it is. */
static void copies_are_equal_and_independent(void **state) {
    (void)state;
    glia_model *model = build();
    assert_int_equal(glia_model_init(model, 5, NULL), GLIA_OK);
    fit(model);
    float before[2 * CLASSES], now[2 * CLASSES];
    predict(model, before);
    glia_model *copy = copy_of(model);
    assert_same(model, copy);
    predict(copy, now);
    assert_memory_equal(now, before, sizeof now);
    fit(copy);
    assert_int_equal(glia_model_set(copy, "name", "copy", NULL), GLIA_OK);
    predict(copy, now);
    assert_memory_not_equal(now, before, sizeof now);
    predict(model, now);
    assert_memory_equal(now, before, sizeof now);
    assert_string_equal(glia_model_get(model, "name"), "original");
    fit(model); /* as the copy was */
    predict(model, before);
    glia_model_free(model);
    predict(copy, now);
    assert_memory_equal(now, before, sizeof now);
    glia_model_free(copy);
}

static void copies_have_every_tensor(void **state) {
    (void)state;
    glia_model *model = build(), *copy = copy_of(model);
    glia_graph *g = glia_model_graph(copy);
    const char *name;
    assert_ptr_equal(glia_tensor_graph(glia_layer_output(g, "unused")), g);
    assert_int_equal(glia_layer_output(g, "unused")->id, glia_layer_output(glia_model_graph(model), "unused")->id);
    assert_ptr_equal(glia_model_input_at(copy, 0, &name)->graph, g);
    assert_string_equal(name, "x");
    assert_ptr_equal(glia_model_output_at(copy, 1, &name)->graph, g);
    assert_string_equal(name, "features");
    assert_int_equal(glia_model_parameter_count(copy, true), glia_model_parameter_count(model, true));
    /* More can be built on it, and its random operations draw from streams of their own. */
    const int streams = g->n_streams;
    glia_tensor h = glia_dropout(glia_layer_output(g, "unused"), 0.5);
    glia_model_output(copy, "more", glia_dense(h, "more", (glia_dense_opts){ .units = 2 }));
    assert_int_equal(g->n_streams, streams + 1);
    assert_int_equal(glia_graph_verify(g, NULL), GLIA_OK);
    assert_int_equal(glia_model_init(copy, 1, NULL), GLIA_OK);
    assert_null(glia_model_store(model));
    glia_model_free(model);
    glia_model_free(copy);
}

/* Without values, with values of a part of the leaves, and from a file. */
static void unfinished_and_loaded_models_can_be_copied(void **state) {
    (void)state;
    glia_model *model = build(), *copy = copy_of(model);
    assert_null(glia_model_store(copy));
    assert_int_equal(glia_model_init(model, 9, NULL), GLIA_OK);
    assert_int_equal(glia_model_init(copy, 9, NULL), GLIA_OK);
    assert_same(model, copy);
    glia_model_free(copy);

    glia_tensor features = glia_model_output_at(model, 1, NULL);
    glia_model_output(model, "late", glia_dense(features, "late", (glia_dense_opts){ .units = 2 }));
    copy = copy_of(model);
    assert_false(glia_store_find(glia_model_store(copy), "late/kernel", NULL));
    float a[2 * CLASSES], b[2 * CLASSES];
    predict(copy, a); /* adds what is missing */
    predict(model, b);
    assert_memory_equal(a, b, sizeof a);
    glia_model_free(copy);

    assert_int_equal(glia_model_save(model, "copied.safetensors", NULL), GLIA_OK);
    glia_model_free(model);
    model = glia_model_load("copied.safetensors", NULL);
    unlink("copied.safetensors");
    copy = copy_of(model);
    assert_same(model, copy);
    glia_model_free(model);
    predict(copy, a);
    assert_memory_equal(a, b, sizeof a);
    glia_model_free(copy);
}

/* A graph with its losses and updates: a step of the copy is a step of the original. */
static void updates_are_copied(void **state) {
    (void)state;
    glia_model *model = build();
    glia_graph *g = glia_model_graph(model);
    glia_tensor loss = glia_mean(glia_square(glia_model_output_at(model, 0, NULL)), GLIA_SCALAR, false);
    glia_model_output(model, "loss", loss);
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_ADAM, .lr = 0.01 }, "fc/*", "head");
    assert_int_equal(glia_model_init(model, 1, NULL), GLIA_OK);
    glia_model *copy = copy_of(model), *both[2] = { model, copy };
    glia_backend *backend = glia_backend_open("cpu", 1, NULL);
    assert_int_equal(glia_model_graph(copy)->n_updates, g->n_updates);
    for (int i = 0; i < 2; i++) {
        glia_program *program = glia_compile(glia_model_graph(both[i]), backend,
                                             (glia_compile_opts){ .mode = GLIA_TRAIN, .updates = "head" }, NULL);
        glia_session *session = glia_session_create(program, glia_model_store(both[i]), NULL);
        for (int step = 0; step < 3; step++) assert_int_equal(glia_session_run(session, NULL), GLIA_OK);
        glia_session_free(session);
        glia_program_free(program);
    }
    assert_same(model, copy);
    glia_backend_close(backend);
    glia_model_free(model);
    glia_model_free(copy);
}

static void mistakes_are_reported(void **state) {
    (void)state;
    glia_error error = { 0 };
    assert_null(glia_model_copy(NULL, &error));
    assert_int_equal(error.status, GLIA_E_ARGUMENT);
    glia_model *model = glia_model_create("wrong", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(4, 3));
    glia_loop *loop = glia_loop_begin(glia_model_graph(model), (glia_loop_opts){ 0 });
    glia_tensor each = glia_square(glia_loop_input(loop, x)), all;
    assert_null(glia_model_copy(model, &error));
    assert_non_null(strstr(error.message, "loop"));
    glia_loop_end(loop, &each, 1, &all);
    glia_model_free(copy_of(model)); /* without outputs */
    glia_matmul(all, x);
    assert_null(glia_model_copy(model, &error));
    assert_int_equal(error.status, GLIA_E_SHAPE);
    glia_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_are_equal_and_independent),
        cmocka_unit_test(copies_have_every_tensor),
        cmocka_unit_test(unfinished_and_loaded_models_can_be_copied),
        cmocka_unit_test(updates_are_copied),
        cmocka_unit_test(mistakes_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
