/* test_average.c - glia_moving_average: averages of an optimiser's parameters and of others, with and without warm-up,
 * compared with their recurrence in double; nets with averaged weights; mistakes.
 */
#include "glia/glia.h"
#include "optim_problem.h"

enum { ROUNDS = 12 };

static glia_function *stepper(problem *p, const char *updates, glia_tensor output) {
    glia_error error;
    const glia_function_opts opts = {
        .outputs = &output, .n_outputs = output != NULL, .mode = GLIA_TRAIN, .updates = updates
    };
    glia_function *f = glia_function_create(p->graph, p->backend, p->store, opts, &error);
    if (!f) fail_msg("%s", error.message);
    return f;
}

static void call(glia_function *f, glia_array *out) {
    glia_error error;
    if (glia_function_call(f, NULL, 0, out, &error) != GLIA_OK) fail_msg("%s", error.message);
}

static double decay_at(int t, double decay, bool warmup) {
    return warmup ? fmin(decay, (1.0 + t) / (10.0 + t)) : decay;
}

static void near(double is, double wanted) {
    if (!(fabs(is - wanted) <= 1e-12)) fail_msg("%.17g, not %.17g", is, wanted);
}

/* Within the optimiser's group the average follows the new values, in each step. */
static void averages_in_the_optimisers_group(void **state) {
    (void)state;
    const char *const backends[] = { "ref", "cpu" };
    for (int i = 0; i < 4; i++) {
        const bool warmup = i % 2;
        problem p = build(GLIA_F64);
        glia_minimize(p.loss, (glia_optimizer){ .kind = GLIA_ADAM, .lr = 0.0625 }, NULL, "train");
        const glia_moving_average_opts opts = { .decay = 0.4, .warmup = warmup };
        assert_int_equal(glia_moving_average(p.graph, "w", opts, NULL, NULL, NULL, 0), 1);
        start(&p, backends[i / 2]);
        double average[W_COUNT];
        for (int k = 0; k < W_COUNT; k++) average[k] = w_at(k);
        for (int t = 1; t <= ROUNDS; t++) { /* (1 + t) / (10 + t) reaches 0.4 at t = 5 */
            run(&p, 1);
            const double d = decay_at(t, 0.4, warmup);
            for (int k = 0; k < W_COUNT; k++) {
                average[k] = d * average[k] + (1 - d) * get(p.store, "w", k);
                near(get(p.store, "train/ema/w", k), average[k]);
            }
        }
        assert_int_equal((int)get(p.store, "train/step", 0), ROUNDS); /* one counter for Adam and the averages */
        assert_false(glia_store_find(p.store, "train/ema/b", NULL));
        finish(&p);
    }
}

/* Without warm-up the same bits as the optimiser's own averages, of parameters in f32 and in bf16. */
static void same_bits_as_the_optimisers_ema(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        const glia_dtype dtype = k ? GLIA_BF16 : GLIA_F32;
        float values[2][4];
        for (int own = 0; own < 2; own++) {
            problem p = { .graph = glia_graph_create() };
            p.w = glia_parameter(p.graph, "w", dtype, GLIA_SHAPE(4), (glia_init){ 0 });
            glia_parameter(p.graph, "b", dtype, GLIA_SHAPE(1), (glia_init){ 0 });
            glia_tensor wide = k ? glia_cast(p.w, GLIA_F32) : p.w;
            p.loss = glia_sum(glia_square(glia_add_scalar(wide, -1)), GLIA_SCALAR, false);
            glia_minimize(p.loss, (glia_optimizer){ .kind = GLIA_SGD, .lr = 0.1, .ema = own ? 0 : 0.9 }, "w", NULL);
            if (own) glia_moving_average(p.graph, "w", (glia_moving_average_opts){ .decay = 0.9 }, NULL, NULL, NULL, 0);
            start(&p, "cpu");
            run(&p, 5);
            glia_array average;
            assert_true(glia_store_find(p.store, "train/ema/w", &average));
            assert_int_equal(average.dtype, GLIA_F32);
            memcpy(values[own], average.data, sizeof values[own]);
            finish(&p);
        }
        assert_memory_equal(values[0], values[1], sizeof values[0]);
    }
}

/* A group of its own averages what a run finds, when a program of it runs: here after every third step. */
static void averages_in_a_group_of_their_own(void **state) {
    (void)state;
    problem p = build(GLIA_F64);
    glia_minimize(p.loss, (glia_optimizer){ .kind = GLIA_SGD, .lr = 0.25 }, NULL, "critic");
    assert_int_equal(
        glia_moving_average(p.graph, NULL, (glia_moving_average_opts){ .decay = 0.75 }, "slow", NULL, NULL, 0), 2);
    start(&p, "cpu");
    glia_function *step = stepper(&p, "critic", NULL), *slow = stepper(&p, "slow", NULL);
    double average = b_at(1);
    for (int t = 1; t <= ROUNDS; t++) {
        call(step, NULL);
        if (t % 3) continue;
        const double b = get(p.store, "b", 1);
        call(slow, NULL);
        average = t == 3 ? b : 0.75 * average + 0.25 * b; /* begins with what the first run finds */
        near(get(p.store, "slow/ema/b", 1), average);
        assert_true(get(p.store, "b", 1) == b);
    }
    assert_int_equal((int)get(p.store, "slow/step", 0), ROUNDS / 3);
    glia_function_free(step);
    glia_function_free(slow);
    finish(&p);
}

/* The loss with averaged weights: of the parameters themselves before the first step. */
static void net_with_averaged_weights(void **state) {
    (void)state;
    problem p = build(GLIA_F64);
    glia_tensor ws[2], averages[2], smooth, wanted, stored[2];
    glia_minimize(p.loss, (glia_optimizer){ .kind = GLIA_SGD, .lr = 0.25, .momentum = 0.5 }, NULL, NULL);
    assert_int_equal(
        glia_moving_average(p.graph, NULL, (glia_moving_average_opts){ .decay = 0.875 }, NULL, ws, averages, 2), 2);
    assert_true(ws[0] == p.w && ws[1] == p.b);
    glia_substitute(&p.loss, 1, ws, averages, 2, &smooth);
    stored[0] = glia_state(p.graph, "train/ema/w", GLIA_F64, GLIA_SHAPE(OUT, IN), (glia_init){ 0 });
    stored[1] = glia_state(p.graph, "train/ema/b", GLIA_F64, GLIA_SHAPE(OUT), (glia_init){ 0 });
    glia_substitute(&p.loss, 1, ws, stored, 2, &wanted);
    start(&p, "ref");
    glia_function *plain = stepper(&p, "", p.loss), *averaged = stepper(&p, "", smooth),
                  *by_hand = stepper(&p, "", wanted);
    glia_array a, b;
    call(plain, &a);
    call(averaged, &b);
    assert_true(*(double *)a.data == *(double *)b.data);
    run(&p, 4);
    call(plain, &a);
    const double now = *(double *)a.data;
    call(by_hand, &a);
    call(averaged, &b);
    assert_true(*(double *)a.data == *(double *)b.data && *(double *)a.data != now);
    glia_function_free(plain);
    glia_function_free(averaged);
    glia_function_free(by_hand);
    finish(&p);
}

static void expect(glia_graph *g, const char *words) {
    glia_error error = { 0 };
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_ARGUMENT);
    if (!strstr(error.message, words)) fail_msg("'%s' is not in '%s'", words, error.message);
    glia_graph_free(g);
}

static void mistakes_are_named(void **state) {
    (void)state;
    const struct {
        const char *pattern, *group, *words;
        double decay;
    } rows[] = {
        { "conv*", NULL, "glia_moving_average: no trainable parameter matches 'conv*'", 0 },
        { NULL, "slow,fast", "glia_moving_average: 'slow,fast' is no name of an update group", 0 },
        { NULL, NULL, "glia_moving_average: decay is 1", 1 },
        { NULL, NULL, "glia_moving_average: decay is nan", NAN },
    };
    for (int i = 0; i < GLIA_COUNT(rows); i++) {
        problem p = build(GLIA_F32);
        const glia_moving_average_opts opts = { .decay = rows[i].decay };
        assert_int_equal(glia_moving_average(p.graph, rows[i].pattern, opts, rows[i].group, NULL, NULL, 0), 0);
        expect(p.graph, rows[i].words);
    }
    for (int own = 0; own < 2; own++) { /* twice in one group */
        problem p = build(GLIA_F32);
        if (own) glia_moving_average(p.graph, "w", (glia_moving_average_opts){ 0 }, NULL, NULL, NULL, 0);
        if (!own) glia_minimize(p.loss, (glia_optimizer){ .ema = 0.5 }, "w", NULL);
        assert_int_equal(glia_moving_average(p.graph, NULL, (glia_moving_average_opts){ 0 }, NULL, NULL, NULL, 0), 0);
        expect(p.graph, "glia_moving_average: group 'train' averages 'w' already");
    }
    problem p = build(GLIA_F32);
    glia_moving_average(p.graph, "b", (glia_moving_average_opts){ 0 }, NULL, NULL, NULL, 0);
    glia_minimize(p.loss, (glia_optimizer){ 0 }, NULL, NULL);
    expect(p.graph, "optimizer: group 'train' averages 'b' before it is changed: average it afterwards");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(averages_in_the_optimisers_group),
        cmocka_unit_test(same_bits_as_the_optimisers_ema),
        cmocka_unit_test(averages_in_a_group_of_their_own),
        cmocka_unit_test(net_with_averaged_weights),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
