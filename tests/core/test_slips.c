/* test_slips.c - slips such as a misspelt name are errors that suggest the nearest name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/graph/graph.h"
#include "glia/glia.h"

/* A dense layer "fc" with its loss. */
static glia_tensor build(glia_graph *g) {
    glia_tensor x = glia_input(g, "pixels", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 3));
    return glia_mean(glia_square(glia_dense(x, "fc", (glia_dense_opts){ .units = 2 })), GLIA_SCALAR, false);
}

static void expect(const glia_graph *g, const char *words) {
    glia_error error = { 0 };
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_ARGUMENT);
    if (!strstr(error.message, words)) fail_msg("'%s' is not in '%s'", words, error.message);
}

static void update_groups_that_do_not_exist_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *updates, *says; /* NULL: it compiles */
    } cases[] = {
        { "train", NULL },
        { "", NULL },
        { "t*", NULL },
        { "trian", "no update group matches 'trian'; did you mean 'train'?" },
        { "train,stat", "'stat'; did you mean 'state'?" },
        { "x*", "no update group matches 'x*'" },
    };
    glia_graph *g = glia_graph_create();
    glia_tensor loss = build(g);
    glia_minimize(loss, (glia_optimizer){ .lr = 0.1 }, NULL, NULL);
    glia_tensor count = glia_state(g, "count", GLIA_F32, GLIA_SCALAR, (glia_init){ 0 });
    glia_update(count, glia_add_scalar(count, 1), "state");
    glia_backend *backend = glia_backend_open("cpu", 1, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        glia_error error = { 0 };
        glia_compile_opts opts = { .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .updates = cases[i].updates };
        glia_program *p = glia_compile(g, backend, opts, &error);
        if ((p == NULL) != (cases[i].says != NULL)) fail_msg("'%s': %s", cases[i].updates, error.message);
        if (!p && !strstr(error.message, cases[i].says)) fail_msg("'%s' is not in '%s'", cases[i].says, error.message);
        glia_program_free(p);
    }
    glia_backend_close(backend);
    glia_graph_free(g);
}

static void misspelt_inputs_are_named(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor loss = build(g);
    glia_input(g, "unused", GLIA_F32, GLIA_SCALAR);
    glia_error error = { 0 };
    glia_backend *backend = glia_backend_open("cpu", 1, NULL);
    glia_store *store = glia_store_create(g, 0, NULL);
    glia_program *p = glia_compile(g, backend, (glia_compile_opts){ .outputs = &loss, .n_outputs = 1 }, NULL);
    glia_session *s = glia_session_create(p, store, NULL);
    assert_non_null(glia_session_input(s, "pixels", NULL, &error));
    assert_int_equal(error.status, GLIA_OK);
    assert_null(glia_session_input(s, "pixel", NULL, &error));
    assert_int_equal(error.status, GLIA_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "did you mean 'pixels'?"));
    assert_null(glia_session_input(s, "unused", NULL, &error));
    assert_non_null(strstr(error.message, "needs it; it has 'pixels'"));
    assert_null(glia_session_input(s, NULL, NULL, &error));
    assert_null(glia_session_input(NULL, "pixels", NULL, &error));
    glia_session_free(s);
    glia_program_free(p);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(g);
}

static void freezing_nothing_is_an_error(void **state) {
    (void)state;
    static const char *const patterns[][2] = {
        { "fc/kernal", "glia_freeze: no parameter matches 'fc/kernal'; did you mean 'fc/kernel'?" },
        { "conv*", "no parameter matches 'conv*'" },
        { "fc/kernel,fc/bais", "did you mean 'fc/bias'?" },
        { "", "no parameter matches ''" },
    };
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        glia_graph *g = glia_graph_create();
        build(g);
        assert_int_equal(glia_freeze(g, patterns[i][0], true), 0);
        expect(g, patterns[i][1]);
        glia_graph_free(g);
    }
}

static void freezing_after_minimize_is_an_error(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor loss = build(g);
    assert_int_equal(glia_freeze(g, "fc/kernel", true), 1);
    glia_minimize(loss, (glia_optimizer){ .lr = 0.1 }, NULL, NULL);
    assert_int_equal(glia_freeze(g, "fc/kernel", true), 1); /* already frozen, has no updates */
    assert_int_equal(glia_graph_check(g, NULL), GLIA_OK);
    assert_int_equal(glia_freeze(g, "fc/*", true), 0);
    expect(g, "'fc/bias' is updated by the group 'train' already");
    assert_false(glia_leaf_of(glia_graph_find_leaf(g, "fc/bias"))->frozen);
    glia_graph_free(g);
}

static void patterns_of_optimisers_must_match(void **state) {
    (void)state;
    const glia_parameter_group group = { .pattern = "fc/bies", .lr_scale = 2 };
    const struct {
        glia_optimizer optimizer;
        const char *pattern, *says;
    } cases[] = {
        { { .lr = 0.1 },
          "fc/kernl",
          "glia_minimize: no trainable parameter matches 'fc/kernl'; did you mean 'fc/kernel'?" },
        { { .lr = 0.1, .groups = &group, .n_groups = 1 }, NULL, "parameter group 0: no parameter matches 'fc/bies'" },
        { { .lr = 0.1, .sparse = "embed*" }, NULL, "sparse: no trainable parameter matches 'embed*'" },
        { { .lr = 0.1, .sparse = "fc/kernel" },
          "fc/bias",
          "sparse 'fc/kernel' matches none of the parameters of group 'train'" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        glia_graph *g = glia_graph_create();
        glia_minimize(build(g), cases[i].optimizer, cases[i].pattern, NULL);
        expect(g, cases[i].says);
        glia_graph_free(g);
    }
}

static void leaves_keep_their_initialiser(void **state) {
    (void)state;
    const glia_init normal = { .kind = GLIA_INIT_NORMAL, .stddev = 0.1 },
                    wider = { .kind = GLIA_INIT_NORMAL, .stddev = 0.2 };
    glia_graph *g = glia_graph_create();
    glia_tensor w = glia_parameter(g, "w", GLIA_F32, GLIA_SHAPE(2), normal);
    assert_ptr_equal(glia_parameter(g, "w", GLIA_F32, GLIA_SHAPE(2), normal), w);
    assert_ptr_equal(glia_parameter(g, "w", GLIA_F32, GLIA_SHAPE(2), (glia_init){ 0 }), w); /* any initialiser */
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 2));
    glia_dense(x, "fc", (glia_dense_opts){ .units = 2, .kernel_init = normal });
    glia_dense(x, "fc", (glia_dense_opts){ .units = 2 });
    assert_int_equal(glia_graph_check(g, NULL), GLIA_OK);
    glia_parameter(g, "w", GLIA_F32, GLIA_SHAPE(2), wider);
    expect(g, "'w' was made with the initialiser normal and is asked for again with normal of other numbers");
    glia_graph_free(g);

    g = glia_graph_create();
    glia_parameter(g, "w", GLIA_F32, GLIA_SHAPE(2), normal);
    glia_parameter(g, "w", GLIA_F32, GLIA_SHAPE(2), (glia_init){ .kind = GLIA_INIT_ZEROS });
    expect(g, "'w' was made with the initialiser normal and is asked for again with zeros");
    glia_graph_free(g);
}

/* Random ops created on the outer graph while building a loop draw anew in each step; earlier ones do not. */
static void random_operations_in_a_loop_draw_new_numbers(void **state) {
    (void)state;
    enum { STEPS = 4 };
    for (int how = 0; how < 4; how++) {
        glia_graph *g = glia_graph_create();
        glia_tensor x = glia_constant(g, GLIA_F32, GLIA_SHAPE(1, STEPS, 1), (double[STEPS]){ 0 });
        glia_tensor ones = glia_add_scalar(glia_slice(x, GLIA_SHAPE(0, 0, 0), GLIA_SHAPE(1, 1, 1), GLIA_SCALAR), 1);
        ones = glia_broadcast(glia_reshape(ones, GLIA_SHAPE(1, 1)), GLIA_SHAPE(1, 1));
        glia_tensor before = glia_random_uniform(g, GLIA_SHAPE(1, 1)), drawn = before, all;
        glia_loop *loop = glia_loop_begin(g, (glia_loop_opts){ 0 });
        glia_tensor x_t = glia_loop_input(loop, x);
        if (how == 1) drawn = glia_random_uniform(g, GLIA_SHAPE(1, 1));
        if (how == 2) drawn = glia_random_normal(g, GLIA_SHAPE(1, 1));
        if (how == 3) drawn = glia_random_uniform(glia_tensor_graph(x_t), GLIA_SHAPE(1, 1));
        glia_tensor each = glia_add(x_t, drawn);
        glia_loop_end(loop, &each, 1, &all);
        glia_error error = { 0 };
        double values[STEPS];
        if (glia_eval(all, values, STEPS, &error) != GLIA_OK) fail_msg("%d: %s", how, error.message);
        for (int i = 1; i < STEPS; i++) {
            if (how == 0) assert_true(values[i] == values[0]);
            if (how > 0) assert_true(values[i] != values[i - 1]);
        }
        glia_tensor after = glia_random_uniform(g, GLIA_SHAPE(1)); /* in the outer graph again */
        assert_ptr_equal(glia_tensor_graph(after), g);
        glia_graph_free(g);
    }
}

/* Dropout of an outer tensor, built in a loop, draws a new mask in each step. */
static void dropout_in_a_loop_draws_new_masks(void **state) {
    (void)state;
    enum { STEPS = 3, WIDE = 64 };
    glia_graph *g = glia_graph_create();
    double ones[WIDE];
    for (int i = 0; i < WIDE; i++) ones[i] = 1;
    glia_tensor table = glia_constant(g, GLIA_F32, GLIA_SHAPE(1, WIDE), ones), all;
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(1, STEPS, WIDE));
    glia_loop *loop = glia_loop_begin(g, (glia_loop_opts){ 0 });
    glia_tensor x_t = glia_loop_input(loop, x), each = glia_add(x_t, glia_dropout(table, 0.5));
    glia_loop_end(loop, &each, 1, &all);
    glia_error error = { 0 };
    glia_backend *backend = glia_backend_open("cpu", 1, &error);
    glia_store *store = glia_store_create(g, 1, &error);
    glia_compile_opts opts = { .outputs = &all, .n_outputs = 1, .mode = GLIA_TRAIN };
    glia_program *p = store ? glia_compile(g, backend, opts, &error) : NULL;
    glia_session *s = p ? glia_session_create(p, store, &error) : NULL;
    if (!s || glia_session_run(s, &error) != GLIA_OK) fail_msg("%s", error.message);
    const float *y = glia_session_output(s, 0).data;
    assert_memory_not_equal(y, y + WIDE, WIDE * sizeof *y);
    assert_memory_not_equal(y + WIDE, y + 2 * (size_t)WIDE, WIDE * sizeof *y);
    glia_session_free(s);
    glia_program_free(p);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(update_groups_that_do_not_exist_are_refused),
        cmocka_unit_test(misspelt_inputs_are_named),
        cmocka_unit_test(freezing_nothing_is_an_error),
        cmocka_unit_test(freezing_after_minimize_is_an_error),
        cmocka_unit_test(patterns_of_optimisers_must_match),
        cmocka_unit_test(leaves_keep_their_initialiser),
        cmocka_unit_test(random_operations_in_a_loop_draw_new_numbers),
        cmocka_unit_test(dropout_in_a_loop_draws_new_masks),
    };
    return cmocka_run_group_tests_name("slips", tests, NULL, NULL);
}
