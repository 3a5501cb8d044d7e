/* test_optim.c - optimisers against PyTorch and their papers, and the contract of glia_minimize.
 *
 * tools/golden/optimizers.py documents the problem that both sides solve and wrote tests/golden/optimizers.txt:
 * parameters after 1, 5 and 20 steps of each optimiser with each of its options; optimizers_papers.py did the same for
 * optimisers missing from PyTorch. Tolerance: 1e-6 in f64 on the reference backend, 1e-5 in f32 on both backends.
 */
#include "glia/glia.h"
#include "optim_problem.h"

/* ---- against PyTorch and papers ---------------------------------------------------------- */

static const struct {
    const char *name;
    glia_optimizer optimizer;
} cases[] = {
    { "sgd", { .kind = GLIA_SGD, .lr = 0.25 } },
    { "sgd_momentum", { .kind = GLIA_SGD, .lr = 0.125, .momentum = 0.9 } },
    { "sgd_nesterov", { .kind = GLIA_SGD, .lr = 0.125, .momentum = 0.9, .nesterov = true } },
    { "sgd_decay", { .kind = GLIA_SGD, .lr = 0.125, .momentum = 0.5, .weight_decay = 0.1 } },
    { "sgd_l1", { .kind = GLIA_SGD, .lr = 0.125, .l1 = 0.03 } },
    { "sgd_clip_norm", { .kind = GLIA_SGD, .lr = 0.25, .clip_norm = 0.2 } },
    { "sgd_clip_value", { .kind = GLIA_SGD, .lr = 0.25, .clip_value = 0.04 } },
    { "sgd_clip_both",
      { .kind = GLIA_SGD, .lr = 0.25, .momentum = 0.9, .weight_decay = 0.1, .clip_norm = 0.1, .clip_value = 0.04 } },
    { "adam", { .kind = GLIA_ADAM, .lr = 0.0625 } },
    { "adam_betas", { .kind = GLIA_ADAM, .lr = 0.0625, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 0.01 } },
    { "adam_decay", { .kind = GLIA_ADAM, .lr = 0.0625, .weight_decay = 0.1 } },
    { "adam_clip", { .kind = GLIA_ADAM, .lr = 0.0625, .clip_norm = 0.1 } },
    { "adamw", { .kind = GLIA_ADAMW, .lr = 0.0625, .weight_decay = 0.1 } },
    { "adagrad", { .kind = GLIA_ADAGRAD, .lr = 0.125 } },
    { "adagrad_decay", { .kind = GLIA_ADAGRAD, .lr = 0.125, .epsilon = 0.001, .weight_decay = 0.1 } },
    { "rmsprop", { .kind = GLIA_RMSPROP, .lr = 0.03125 } },
    { "rmsprop_momentum",
      { .kind = GLIA_RMSPROP, .lr = 0.015625, .rho = 0.95, .momentum = 0.9, .epsilon = 0.001, .weight_decay = 0.1 } },
    { "amsgrad", { .kind = GLIA_ADAM, .lr = 0.25, .beta1 = 0.5, .beta2 = 0.75, .amsgrad = true } },
    { "amsgradw",
      { .kind = GLIA_ADAMW, .lr = 0.25, .beta1 = 0.5, .beta2 = 0.75, .amsgrad = true, .weight_decay = 0.1 } },
    { "adadelta", { .kind = GLIA_ADADELTA } },
    { "adadelta_decay", { .kind = GLIA_ADADELTA, .lr = 4, .rho = 0.95, .epsilon = 0.001, .weight_decay = 0.1 } },
    { "adamax", { .kind = GLIA_ADAMAX, .lr = 0.0625 } },
    { "adamax_decay",
      { .kind = GLIA_ADAMAX, .lr = 0.0625, .beta1 = 0.8, .beta2 = 0.75, .epsilon = 0.01, .weight_decay = 0.1 } },
    { "nadam", { .kind = GLIA_NADAM, .lr = 0.0625 } },
    { "nadam_decay",
      { .kind = GLIA_NADAM, .lr = 0.0625, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 0.01, .weight_decay = 0.1 } },
    { "radam", { .kind = GLIA_RADAM, .lr = 0.0625 } },
    { "radam_decay",
      { .kind = GLIA_RADAM, .lr = 0.0625, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 0.01, .weight_decay = 0.1 } },
    { "radam_never", { .kind = GLIA_RADAM, .lr = 0.0625, .beta1 = 0.8, .beta2 = 0.6 } },
    { "lion", { .kind = GLIA_LION, .lr = 0.03125 } },
    { "lion_decay", { .kind = GLIA_LION, .lr = 0.03125, .beta1 = 0.8, .beta2 = 0.75, .weight_decay = 0.5 } },
    { "muon", { .kind = GLIA_MUON, .lr = 0.0625 } },
    { "muon_decay",
      { .kind = GLIA_MUON, .lr = 0.03125, .momentum = 0.5, .beta1 = 0.8, .epsilon = 0.01, .weight_decay = 0.1 } },
    { "lamb", { .kind = GLIA_LAMB, .lr = 0.0625 } },
    { "lamb_decay",
      { .kind = GLIA_LAMB, .lr = 0.0625, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 0.01, .weight_decay = 0.1 } },
};

/* Reads the row of a case and step; false if there is none. */
static bool read_row(const char *path, const char *name, int step, double values[COUNT]) {
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char line[1024], key[64];
    snprintf(key, sizeof key, "%s %d ", name, step);
    bool found = false;
    while (!found && fgets(line, sizeof line, file)) {
        if (strncmp(line, key, strlen(key))) continue;
        char *at = line + strlen(key);
        for (int i = 0; i < COUNT; i++) values[i] = strtod(at, &at);
        found = true;
    }
    fclose(file);
    return found;
}

static void read_golden(const char *name, int step, double values[COUNT]) {
    if (!read_row(GLIA_GOLDEN_DIR "/optimizers.txt", name, step, values) &&
        !read_row(GLIA_GOLDEN_DIR "/optimizers_papers.txt", name, step, values))
        fail_msg("there is no golden row '%s %d'", name, step);
}

static void follow(const char *name, glia_optimizer optimizer, glia_dtype dtype, const char *backend,
                   double tolerance) {
    problem p = build(dtype);
    const glia_parameter_group bias = { .pattern = "b", .weight_decay = GLIA_ZERO, .l1 = GLIA_ZERO };
    optimizer.groups = &bias;
    optimizer.n_groups = 1;
    glia_minimize(p.loss, optimizer, NULL, NULL);
    start(&p, backend);
    int done = 0;
    for (int step = 1; step <= STEPS; step = step == 1 ? 5 : step * 4) {
        run(&p, step - done);
        done = step;
        double golden[COUNT];
        read_golden(name, step, golden);
        for (int i = 0; i < COUNT; i++) {
            double ours = i < W_COUNT ? get(p.store, "w", i) : get(p.store, "b", i - W_COUNT);
            if (!(fabs(ours - golden[i]) <= tolerance)) {
                fail_msg("%s, %s on %s, step %d, number %d: %.12g, not %.12g", name, glia_dtype_name(dtype), backend,
                         step, i, ours, golden[i]);
            }
        }
    }
    finish(&p);
}

static void test_golden(void **state) {
    (void)state;
    for (int i = 0; i < GLIA_COUNT(cases); i++) {
        follow(cases[i].name, cases[i].optimizer, GLIA_F64, "ref", 1e-6);
        follow(cases[i].name, cases[i].optimizer, GLIA_F32, "ref", 1e-5);
        follow(cases[i].name, cases[i].optimizer, GLIA_F32, "cpu", 1e-5);
    }
}

/* ---- bias correction ---------------------------------------------------------------------- */

static double small(int i) { return 0.01 + 0.001 * i; }

/* One Adam step at step number `step`, against the formula in double. */
static void check_correction(int64_t step) {
    problem p = build(GLIA_F32);
    glia_minimize(p.loss, (glia_optimizer){ .kind = GLIA_ADAM, .lr = 0.0625 }, NULL, NULL);
    start(&p, "ref");
    glia_array count;
    assert_true(glia_store_find(p.store, "train/step", &count));
    assert_int_equal(count.dtype, GLIA_I64);
    *(int64_t *)count.data = step - 1;
    put(p.store, "train/m/w", b_at);
    put(p.store, "train/v/w", small);
    run(&p, 1);
    for (int i = 0; i < W_COUNT; i++) {
        double m = get(p.store, "train/m/w", i), v = get(p.store, "train/v/w", i), t = (double)step;
        double c1 = -expm1(t * log(0.9)), c2 = -expm1(t * log(0.999));
        double wanted = w_at(i) - 0.0625 * (m / c1) / (sqrt(v / c2) + 1e-8);
        assert_true(fabs(get(p.store, "w", i) - wanted) < 1e-6 * GLIA_MAX(1, fabs(wanted)));
    }
    assert_int_equal((int64_t)get(p.store, "train/step", 0), step);
    finish(&p);
}

static void test_adam_correction(void **state) {
    (void)state;
    const int64_t steps[] = { 1, 2, 10, 1000, 1000000, 3000000000 };
    for (int i = 0; i < GLIA_COUNT(steps); i++) check_correction(steps[i]);
}

/* ---- Muon ---------------------------------------------------------------------------------- */

/* A kernel's step is nearly orthogonal, for wide and tall matrices and filter banks: the singular values of X = step /
 * (lr 0.2 sqrt(max)) are near 1, so |X|^2 is near their number. A zero gradient changes nothing. */
static void check_orthogonal(glia_shape shape, const char *backend) {
    problem p = { .graph = glia_graph_create() };
    p.w = glia_parameter(p.graph, "w", GLIA_F32, shape, (glia_init){ .kind = GLIA_INIT_ZEROS });
    p.b = glia_parameter(p.graph, "b", GLIA_F32, shape, (glia_init){ .kind = GLIA_INIT_NORMAL });
    glia_tensor c = glia_parameter(p.graph, "c", GLIA_F32, shape, (glia_init){ .kind = GLIA_INIT_NORMAL });
    glia_freeze(p.graph, "b", true);
    p.loss = glia_sum(glia_add(glia_mul(p.w, p.b), glia_mul_scalar(c, 0)), GLIA_SCALAR, false);
    glia_minimize(p.loss, (glia_optimizer){ .kind = GLIA_MUON, .lr = 1 }, NULL, NULL);
    glia_error error = { 0 };
    p.backend = glia_backend_open(backend, 1, &error);
    p.store = glia_store_create(p.graph, 1, &error);
    glia_compile_opts opts = { .outputs = &p.loss, .n_outputs = 1, .mode = GLIA_TRAIN };
    p.program = glia_compile(p.graph, p.backend, opts, &error);
    if (!p.program) fail_msg("%s", error.message);
    p.session = glia_session_create(p.program, p.store, &error);
    double still = get(p.store, "c", 0);
    run(&p, 1);
    const int rows = (int)shape.dim[0], count = (int)glia_shape_count(shape), columns = count / rows;
    double square = 0, scale = 0.2 * sqrt(GLIA_MAX(rows, columns));
    for (int i = 0; i < count; i++) square += pow(get(p.store, "w", i) / scale, 2) / GLIA_MIN(rows, columns);
    if (!(square > 0.7 * 0.7 && square < 1.2 * 1.2)) fail_msg("a mean square of singular values of %g", square);
    assert_true(get(p.store, "c", 0) == still);
    assert_false(glia_store_find(p.store, "train/v/w", NULL));
    finish(&p);
}

static void test_muon_is_orthogonal(void **state) {
    (void)state;
    const glia_shape shapes[] = { GLIA_SHAPE(3, 20), GLIA_SHAPE(20, 3), GLIA_SHAPE(8, 8), GLIA_SHAPE(4, 3, 5, 5) };
    for (int i = 0; i < GLIA_COUNT(shapes); i++) {
        check_orthogonal(shapes[i], "ref");
        check_orthogonal(shapes[i], "cpu");
    }
}

/* ---- contract ----------------------------------------------------------------------------- */

static void test_learning_rate(void **state) {
    (void)state;
    problem p = build(GLIA_F32);
    glia_minimize(p.loss, (glia_optimizer){ .kind = GLIA_SGD, .lr = 0.25 }, NULL, NULL);
    start(&p, "ref");
    glia_array lr;
    assert_non_null(glia_session_input(p.session, "lr", &lr, NULL));
    assert_int_equal(lr.shape.rank, 0);
    assert_true(*(float *)lr.data == 0.25f);
    *(float *)lr.data = 0;
    run(&p, 3);
    for (int i = 0; i < W_COUNT; i++) assert_true(get(p.store, "w", i) == (double)(float)w_at(i));
    *(float *)lr.data = 0.25f;
    run(&p, 1);
    double golden[COUNT];
    read_golden("sgd", 1, golden);
    for (int i = 0; i < W_COUNT; i++) assert_true(fabs(get(p.store, "w", i) - golden[i]) < 1e-6);
    finish(&p);
}

static void test_defaults(void **state) {
    (void)state;
    const float rates[GLIA_OPTIMIZER_COUNT] = { 0.01f,  0.001f, 0.001f, 0.01f,   0.01f,  1,
                                                0.002f, 0.002f, 0.001f, 0.0001f, 0.001f, 0.001f };
    for (int kind = 0; kind < GLIA_OPTIMIZER_COUNT; kind++) {
        problem p = build(GLIA_F32);
        glia_minimize(p.loss, (glia_optimizer){ .kind = (glia_optimizer_kind)kind }, NULL, NULL);
        start(&p, "ref");
        assert_true(*(float *)glia_session_input(p.session, "lr", NULL, NULL) == rates[kind]);
        glia_optimizer whole = glia_optimizer_resolved((glia_optimizer){ .kind = (glia_optimizer_kind)kind });
        assert_true((float)whole.lr == rates[kind] && whole.accumulate == 1 && whole.beta1 == 0.9 && whole.epsilon > 0);
        assert_true(whole.beta2 == (kind == GLIA_LION ? 0.99 : 0.999));
        assert_non_null(glia_optimizer_name((glia_optimizer_kind)kind));
        finish(&p);
    }
    assert_string_equal(glia_optimizer_name(GLIA_LAMB), "lamb");
    assert_null(glia_optimizer_name(GLIA_OPTIMIZER_COUNT));
}

/* Frozen parameters and those excluded by the pattern keep their values and have no states. */
static void test_frozen_and_pattern(void **state) {
    (void)state;
    for (int frozen = 0; frozen < 2; frozen++) {
        problem p = build(GLIA_F32);
        if (frozen) assert_int_equal(glia_freeze(p.graph, "b", true), 1);
        glia_minimize(p.loss, (glia_optimizer){ .kind = GLIA_SGD, .momentum = 0.5 }, frozen ? NULL : "w*", NULL);
        start(&p, "ref");
        run(&p, 2);
        assert_true(glia_store_find(p.store, "train/momentum/w", NULL));
        assert_false(glia_store_find(p.store, "train/momentum/b", NULL));
        assert_true(get(p.store, "w", 0) != (double)(float)w_at(0));
        for (int i = 0; i < OUT; i++) assert_true(get(p.store, "b", i) == (double)(float)b_at(i));
        finish(&p);
    }
}

/* Two optimisers in one graph, as in a GAN: each changes only its own parameters, at its own rate. */
static void test_groups(void **state) {
    (void)state;
    problem p = build(GLIA_F32);
    glia_minimize(p.loss, (glia_optimizer){ .kind = GLIA_ADAM, .lr = 0.5 }, "w", "first");
    glia_minimize(glia_neg(p.loss), (glia_optimizer){ .kind = GLIA_SGD, .lr = 0.125, .momentum = 0.5 }, "b", "second");
    start(&p, "ref");
    assert_true(*(float *)glia_session_input(p.session, "first/lr", NULL, NULL) == 0.5f);
    assert_true(*(float *)glia_session_input(p.session, "second/lr", NULL, NULL) == 0.125f);
    glia_session_free(p.session);
    glia_program_free(p.program);
    p.program = glia_compile(p.graph, p.backend, (glia_compile_opts){ .mode = GLIA_TRAIN, .updates = "second" }, NULL);
    p.session = glia_session_create(p.program, p.store, NULL);
    run(&p, 1);
    assert_true(get(p.store, "w", 0) == (double)(float)w_at(0));
    assert_true(get(p.store, "b", 0) != (double)(float)b_at(0));
    assert_true(get(p.store, "second/momentum/b", 0) != 0);
    finish(&p);
}

/* Parameters stored in a narrow dtype are updated in f32, with f32 states. */
static void test_narrow_parameters(void **state) {
    (void)state;
    problem p = { .graph = glia_graph_create() };
    p.w = glia_parameter(p.graph, "w", GLIA_BF16, GLIA_SHAPE(OUT, IN), (glia_init){ 0 });
    glia_parameter(p.graph, "b", GLIA_BF16, GLIA_SHAPE(OUT), (glia_init){ 0 });
    glia_tensor error = glia_add_scalar(glia_cast(p.w, GLIA_F32), -1);
    p.loss = glia_sum(glia_square(error), GLIA_SCALAR, false);
    glia_minimize(p.loss, (glia_optimizer){ .kind = GLIA_SGD, .lr = 0.125, .momentum = 0.5 }, "w", NULL);
    start(&p, "ref");
    run(&p, 40);
    glia_array velocity;
    assert_true(glia_store_find(p.store, "train/momentum/w", &velocity));
    assert_int_equal(velocity.dtype, GLIA_F32);
    for (int i = 0; i < W_COUNT; i++) assert_true(fabs(get(p.store, "w", i) - 1) < 0.02);
    finish(&p);
}

static void expect_mistake(glia_optimizer optimizer, const char *pattern, glia_status status, const char *words) {
    problem p = build(GLIA_F32);
    glia_minimize(p.loss, optimizer, pattern, NULL);
    glia_error error = { 0 };
    assert_int_equal(glia_graph_check(p.graph, &error), status);
    if (!strstr(error.message, words)) fail_msg("'%s' is not in '%s'", words, error.message);
    glia_graph_free(p.graph);
}

static void test_errors(void **state) {
    (void)state;
    expect_mistake((glia_optimizer){ .lr = -1 }, NULL, GLIA_E_ARGUMENT, "lr");
    expect_mistake((glia_optimizer){ .lr = NAN }, NULL, GLIA_E_ARGUMENT, "lr");
    expect_mistake((glia_optimizer){ .kind = GLIA_ADAM, .beta1 = 1 }, NULL, GLIA_E_ARGUMENT, "beta1");
    expect_mistake((glia_optimizer){ .kind = GLIA_ADAM, .beta2 = 1.5 }, NULL, GLIA_E_ARGUMENT, "beta2");
    expect_mistake((glia_optimizer){ .weight_decay = -0.1 }, NULL, GLIA_E_ARGUMENT, "weight_decay");
    expect_mistake((glia_optimizer){ .kind = GLIA_LION, .amsgrad = true }, NULL, GLIA_E_ARGUMENT, "amsgrad");
    expect_mistake((glia_optimizer){ .nesterov = true }, NULL, GLIA_E_ARGUMENT, "momentum");
    expect_mistake((glia_optimizer){ .kind = GLIA_OPTIMIZER_COUNT }, NULL, GLIA_E_ARGUMENT, "optimiser");
    expect_mistake((glia_optimizer){ 0 }, "conv*", GLIA_E_ARGUMENT, "conv*");

    problem p = build(GLIA_F32);
    glia_minimize(p.w, (glia_optimizer){ 0 }, NULL, NULL);
    assert_int_equal(glia_graph_check(p.graph, NULL), GLIA_E_SHAPE);
    glia_graph_free(p.graph);
    glia_minimize(NULL, (glia_optimizer){ 0 }, NULL, NULL); /* a NULL loss does not crash */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_adam_correction),
        cmocka_unit_test(test_muon_is_orthogonal),
        cmocka_unit_test(test_learning_rate),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_frozen_and_pattern),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_narrow_parameters),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
