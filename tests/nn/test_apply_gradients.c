/* test_apply_gradients.c - gradients and their application apart: the same as glia_minimize() together; gradients that
 * are scaled, projected, estimated from samples or given as inputs in between; mistakes.
 */
#include "glia/glia.h"
#include "optim_problem.h"

static const glia_parameter_group groups[] = { { .pattern = "b", .lr_scale = 0.5, .weight_decay = GLIA_ZERO } };

/* The text of the graph of optim_problem.h with one optimiser's updates. */
static char *text_of(glia_optimizer optimizer, bool apart) {
    glia_text text = { 0 };
    problem p = build(GLIA_F32);
    if (apart) {
        glia_tensor ws[2], grads[2];
        const char *label = glia_graph_label(p.graph, "critic"); /* as glia_minimize() names them */
        assert_int_equal(glia_gradients(p.loss, NULL, ws, grads, 2), 2);
        glia_graph_label(p.graph, label);
        assert_true(ws[0] == p.w && ws[1] == p.b);
        glia_apply_gradients(optimizer, ws, grads, 2, "critic");
    } else {
        glia_minimize(p.loss, optimizer, NULL, "critic");
    }
    glia_error error = { 0 };
    if (glia_graph_check(p.graph, &error) != GLIA_OK) fail_msg("%s", error.message);
    glia_graph_print(p.graph, &text);
    glia_graph_free(p.graph);
    return text.bytes;
}

/* Every optimiser, with every option: the same graph, so the same bits. */
static void both_halves_make_the_graph_of_minimize(void **state) {
    (void)state;
    for (int kind = 0; kind < GLIA_OPTIMIZER_COUNT; kind++) {
        for (int options = 0; options < 2; options++) {
            glia_optimizer o = { .kind = (glia_optimizer_kind)kind };
            if (options)
                o = (glia_optimizer){ .kind = o.kind,
                                      .weight_decay = 0.1,
                                      .l1 = 0.01,
                                      .l2 = 0.02,
                                      .max_norm = 2,
                                      .groups = groups,
                                      .n_groups = 1,
                                      .clip_norm = 1,
                                      .clip_value = 0.5,
                                      .accumulate = 3,
                                      .ema = 0.9 };
            char *together = text_of(o, false), *apart = text_of(o, true);
            assert_non_null(together);
            assert_string_equal(together, apart);
            assert_non_null(strstr(together, "critic/lr"));
            free(together);
            free(apart);
        }
    }
}

/* Fills w and b after one step. */
static void values_of(problem *p, double values[COUNT]) {
    for (int i = 0; i < COUNT; i++) values[i] = i < W_COUNT ? get(p->store, "w", i) : get(p->store, "b", i - W_COUNT);
}

/* Gradients times 4 at a quarter of the rate: the bits of the plain step. Those of w alone: b stays. */
static void gradients_may_be_changed_in_between(void **state) {
    (void)state;
    double plain[COUNT], changed[COUNT];
    for (int only_w = 0; only_w < 2; only_w++) {
        for (int mine = 0; mine < 2; mine++) {
            problem p = build(GLIA_F32);
            glia_tensor ws[2], grads[2];
            const int n = glia_gradients(p.loss, only_w ? "w" : NULL, ws, grads, 2);
            assert_int_equal(n, 2 - only_w);
            for (int i = 0; i < n && mine; i++) grads[i] = glia_mul_scalar(grads[i], 4);
            const glia_optimizer sgd = { .kind = GLIA_SGD, .lr = mine ? 0.125 : 0.5 };
            assert_int_equal(glia_apply_gradients(sgd, ws, grads, n, NULL), n);
            start(&p, "cpu");
            run(&p, 3);
            values_of(&p, mine ? changed : plain);
            finish(&p);
        }
        assert_memory_equal(plain, changed, sizeof plain);
        for (int i = 0; i < OUT; i++) assert_true((plain[W_COUNT + i] == (double)(float)b_at(i)) == (only_w == 1));
    }
}

/* Clipping, decay and accumulation act on given gradients: w - lr (clip(g) + decay w). */
static void options_act_on_given_gradients(void **state) {
    (void)state;
    glia_error error;
    glia_graph *g = glia_graph_create();
    glia_tensor w =
        glia_parameter(g, "w", GLIA_F64, GLIA_SHAPE(2), (glia_init){ .kind = GLIA_INIT_CONSTANT, .value = 2 });
    glia_tensor given = glia_input(g, "gradient", GLIA_F32, GLIA_SHAPE(2));
    const glia_optimizer o = { .kind = GLIA_SGD, .lr = 0.5, .clip_norm = 1, .weight_decay = 0.25, .accumulate = 2 };
    glia_apply_gradients(o, &w, &given, 1, "policy");
    glia_backend *backend = glia_backend_open("cpu", 1, &error);
    glia_store *store = glia_store_create(g, 0, &error);
    if (!store) fail_msg("%s", error.message);
    const float batches[2][2] = { { 2, 0 }, { 4, -8 } }; /* mean (3, -4), norm 5 */
    for (int i = 0; i < 2; i++) {
        const glia_function_opts opts = { .mode = GLIA_TRAIN, .updates = i ? "policy" : "policy.hold" };
        glia_function *step = glia_function_create(g, backend, store, opts, &error);
        if (!step) fail_msg("%s", error.message);
        const glia_array in = {
            .name = "gradient", .dtype = GLIA_F32, .shape = GLIA_SHAPE(2), .data = (void *)batches[i]
        };
        if (glia_function_call(step, &in, 1, NULL, &error) != GLIA_OK) fail_msg("%s", error.message);
        glia_function_free(step);
    }
    const double clip = 1 / (5 + 1e-6);
    assert_true(fabs(get(store, "w", 0) - (2 - 0.5 * (3 * clip + 0.5))) < 1e-12);
    assert_true(fabs(get(store, "w", 1) - (2 - 0.5 * (-4 * clip + 0.5))) < 1e-12);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(g);
}

/* a - b (a . b) / |b|^2 if they point against each other, else a (Yu et al. 2020, algorithm 1). */
static glia_tensor projected(glia_tensor a, glia_tensor b) {
    glia_tensor dot = glia_sum(glia_mul(a, b), GLIA_SCALAR, false), size = glia_sum(glia_square(b), GLIA_SCALAR, false);
    glia_tensor against = glia_minimum(dot, glia_like(dot, 0));
    return glia_sub(a, glia_mul(b, glia_div(against, size)));
}

/* Two tasks a . w and b . w with a = (1, 0), b = (-1, 2) at angles above 90 degrees: the step has a + b projected,
 * (0.8, 0.4) + (0, 2). */
static void projected_gradients_of_two_losses(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    problem p = { .graph = g };
    p.w = glia_parameter(g, "w", GLIA_F64, GLIA_SHAPE(2), (glia_init){ 0 });
    p.b = glia_parameter(g, "b", GLIA_F64, GLIA_SHAPE(2), (glia_init){ 0 });
    const double as[] = { 1, 0 }, bs[] = { -1, 2 };
    glia_tensor loss[2], grads[2], w[2];
    for (int i = 0; i < 2; i++) {
        glia_tensor direction = glia_constant(g, GLIA_F64, GLIA_SHAPE(2), i ? bs : as);
        loss[i] = glia_sum(glia_mul(direction, p.w), GLIA_SCALAR, false);
        assert_int_equal(glia_gradients(loss[i], "w", &w[i], &grads[i], 1), 1);
    }
    glia_tensor sum = glia_add(projected(grads[0], grads[1]), projected(grads[1], grads[0]));
    glia_apply_gradients((glia_optimizer){ .kind = GLIA_SGD, .lr = 1 }, w, &sum, 1, NULL);
    p.loss = glia_add(loss[0], loss[1]);
    start(&p, "ref");
    run(&p, 1);
    assert_true(fabs(get(p.store, "w", 0) - (w_at(0) - 0.8)) < 1e-12);
    assert_true(fabs(get(p.store, "w", 1) - (w_at(1) - 2.4)) < 1e-12);
    finish(&p);
}

static void count_without_arrays(void **state) {
    (void)state;
    problem p = build(GLIA_F32);
    glia_freeze(p.graph, "b", true);
    const int nodes = p.graph->n_nodes;
    assert_int_equal(glia_gradients(p.loss, NULL, NULL, NULL, 0), 1); /* frozen ones are not trained */
    assert_int_equal(p.graph->n_nodes, nodes);
    assert_int_equal(glia_gradients(p.loss, "v", NULL, NULL, 0), 0);
    glia_error error;
    assert_int_equal(glia_graph_check(p.graph, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "glia_gradients"));
    glia_graph_free(p.graph);
}

typedef enum slip {
    NO_PARAMETER,
    OTHER_GRAPH,
    NO_TENSOR,
    OF_STATE,
    TWICE,
    TWICE_IN_GROUP,
    FROZEN,
    NO_GRADIENT,
    FOREIGN_GRADIENT,
    SHAPE,
    DTYPE,
    NO_ARRAY,
    GROUP,
    OPTION,
    SPARSE,
    SLIPS
} slip;

static const struct {
    glia_status status;
    const char *words;
} slips[SLIPS] = {
    [NO_PARAMETER] = { GLIA_E_ARGUMENT, "tensor 1 is no parameter of the graph: it is mul" },
    [OTHER_GRAPH] = { GLIA_E_ARGUMENT, "tensor 1 is no parameter of the graph: it is of another graph" },
    [NO_TENSOR] = { GLIA_E_ARGUMENT, "tensor 1 is no parameter of the graph: it is NULL" },
    [OF_STATE] = { GLIA_E_ARGUMENT, "tensor 1 is no parameter of the graph: it is a state" },
    [TWICE] = { GLIA_E_ARGUMENT, "group 'policy' would change 'w' twice" },
    [TWICE_IN_GROUP] = { GLIA_E_ARGUMENT, "group 'policy' would change 'b' twice" },
    [FROZEN] = { GLIA_E_ARGUMENT, "'b' is frozen" },
    [NO_GRADIENT] = { GLIA_E_ARGUMENT, "the gradient of 'b' is NULL" },
    [FOREIGN_GRADIENT] = { GLIA_E_ARGUMENT, "the gradient of 'b' is of another graph" },
    [SHAPE] = { GLIA_E_SHAPE, "'b' is f32(3) and cannot take the gradient f32(3, 4)" },
    [DTYPE] = { GLIA_E_SHAPE, "'b' is f32(3) and cannot take the gradient i32(3)" },
    [NO_ARRAY] = { GLIA_E_ARGUMENT, "gradients is NULL" },
    [GROUP] = { GLIA_E_ARGUMENT, "'policy*' is no name of an update group" },
    [OPTION] = { GLIA_E_ARGUMENT, "beta1" },
    [SPARSE] = { GLIA_E_UNSUPPORTED, "the gradient of 'w' is more than a sum over rows" },
};

static void mistakes_name_the_tensor(void **state) {
    (void)state;
    for (int i = 0; i < SLIPS; i++) {
        problem p = build(GLIA_F32), other = build(GLIA_F32);
        glia_tensor ws[2], grads[2];
        glia_optimizer o = { .kind = GLIA_ADAM };
        glia_gradients(p.loss, NULL, ws, grads, 2);
        if (i == NO_PARAMETER) ws[1] = glia_mul(ws[1], ws[1]);
        if (i == OTHER_GRAPH) ws[1] = other.b;
        if (i == NO_TENSOR) ws[1] = NULL;
        if (i == OF_STATE) ws[1] = glia_state(p.graph, "mean", GLIA_F32, GLIA_SHAPE(OUT), (glia_init){ 0 });
        if (i == TWICE) ws[1] = ws[0], grads[1] = grads[0];
        if (i == TWICE_IN_GROUP) glia_update(p.b, glia_neg(p.b), "policy");
        if (i == FROZEN) glia_freeze(p.graph, "b", true);
        if (i == NO_GRADIENT) grads[1] = NULL;
        if (i == FOREIGN_GRADIENT) grads[1] = other.b;
        if (i == SHAPE) grads[1] = grads[0];
        if (i == DTYPE) grads[1] = glia_cast(grads[1], GLIA_I32);
        if (i == OPTION) o.beta1 = 2;
        if (i == SPARSE) o.sparse = "w";
        const char *group = i == GROUP ? "policy*" : "policy";
        assert_int_equal(glia_apply_gradients(o, ws, grads, 0, group), 0);
        assert_int_equal(glia_apply_gradients(o, ws, i == NO_ARRAY ? NULL : grads, 2, group), 0);
        glia_error error = { 0 };
        const glia_status status = glia_graph_check(p.graph, &error);
        if (status != slips[i].status || !strstr(error.message, slips[i].words))
            fail_msg("slip %d: status %d, '%s'", i, (int)status, error.message);
        assert_non_null(strstr(error.message, i == OPTION ? "adam" : "glia_apply_gradients"));
        glia_graph_free(p.graph);
        glia_graph_free(other.graph);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_halves_make_the_graph_of_minimize),
        cmocka_unit_test(gradients_may_be_changed_in_between),
        cmocka_unit_test(options_act_on_given_gradients),
        cmocka_unit_test(projected_gradients_of_two_losses),
        cmocka_unit_test(count_without_arrays),
        cmocka_unit_test(mistakes_name_the_tensor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
