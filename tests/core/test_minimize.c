/* test_minimize.c - glia_minimize apart from the update rules: parameter groups, penalties, max-norm, gradient
 * accumulation, parameter averages. Each is compared with its definition in double.
 */
#include "glia/glia.h"
#include "optim_problem.h"

static glia_session *session_of(problem *p, glia_compile_opts opts, glia_program **program) {
    glia_error error = { 0 };
    opts.mode = GLIA_TRAIN;
    *program = glia_compile(p->graph, p->backend, opts, &error);
    if (!*program) fail_msg("%s", error.message);
    glia_session *session = glia_session_create(*program, p->store, &error);
    if (!session) fail_msg("%s", error.message);
    return session;
}

/* The parameters after a plain SGD step: w - lr g. */
static void plain_step(double lr, glia_dtype dtype, double values[COUNT]) {
    problem p = build(dtype);
    glia_minimize(p.loss, (glia_optimizer){ .kind = GLIA_SGD, .lr = lr }, NULL, NULL);
    start(&p, "ref");
    run(&p, 1);
    for (int i = 0; i < COUNT; i++) values[i] = i < W_COUNT ? get(p.store, "w", i) : get(p.store, "b", i - W_COUNT);
    finish(&p);
}

static double before(int i) { return i < W_COUNT ? w_at(i) : b_at(i - W_COUNT); }
static double after(const problem *p, int i) {
    return i < W_COUNT ? get(p->store, "w", i) : get(p->store, "b", i - W_COUNT);
}
static double sign_of(double x) { return (x > 0) - (x < 0); }

static void expect(double is, double wanted, double tolerance) {
    if (!(fabs(is - wanted) <= tolerance)) fail_msg("%.12g, not %.12g", is, wanted);
}

/* ---- parameter groups ---------------------------------------------------------------------- */

/* A group's unset terms default to the optimiser's, GLIA_ZERO disables one, the first matching group applies. */
static void test_terms(void **state) {
    (void)state;
    const glia_parameter_group groups[] = {
        { .pattern = "b", .lr_scale = 0.5, .weight_decay = GLIA_ZERO, .l1 = 0.25 },
        { .pattern = "*", .l2 = 0.0625 },
        { .pattern = "b,w", .lr_scale = 9 },
    };
    double plain[COUNT];
    plain_step(0.25, GLIA_F64, plain);
    problem p = build(GLIA_F64);
    glia_optimizer o = {
        .kind = GLIA_SGD, .lr = 0.25, .weight_decay = 0.5, .l1 = 0.125, .groups = groups, .n_groups = 3
    };
    glia_minimize(p.loss, o, NULL, NULL);
    start(&p, "ref");
    run(&p, 1);
    for (int i = 0; i < COUNT; i++) {
        double w = before(i), g = (w - plain[i]) / 0.25;
        double wanted = i < W_COUNT ? w - 0.25 * (g + 0.5 * w + 0.0625 * w + 0.125 * sign_of(w))
                                    : w - 0.125 * (g + 0.25 * sign_of(w));
        expect(after(&p, i), wanted, 1e-12);
    }
    finish(&p);
}

/* AdamW's decay is decoupled from the gradient and scales with the group's rate; l2 is added to the gradient. */
static void test_decoupled(void **state) {
    (void)state;
    const glia_parameter_group slow = { .pattern = "w", .lr_scale = 0.25 };
    double plain[COUNT];
    plain_step(1, GLIA_F64, plain);
    problem p = build(GLIA_F64);
    glia_optimizer o = {
        .kind = GLIA_ADAMW, .lr = 0.125, .weight_decay = 0.5, .l2 = 0.25, .groups = &slow, .n_groups = 1
    };
    glia_minimize(p.loss, o, NULL, NULL);
    start(&p, "ref");
    run(&p, 1);
    for (int i = 0; i < COUNT; i++) {
        double w = before(i), g = w - plain[i] + 0.25 * w, lr = i < W_COUNT ? 0.03125 : 0.125;
        expect(after(&p, i), w * (1 - lr * 0.5) - lr * g / (fabs(g) + 1e-8), 1e-9);
    }
    finish(&p);
}

static void expect_mistake(glia_optimizer o, const char *words) {
    problem p = build(GLIA_F32);
    glia_minimize(p.loss, o, NULL, NULL);
    glia_error error = { 0 };
    assert_int_equal(glia_graph_check(p.graph, &error), GLIA_E_ARGUMENT);
    if (!strstr(error.message, words)) fail_msg("'%s' is not in '%s'", words, error.message);
    glia_graph_free(p.graph);
}

static void test_group_errors(void **state) {
    (void)state;
    const glia_parameter_group no_such = { .pattern = "conv*" }, nameless = { .lr_scale = 2 },
                               negative = { .pattern = "w", .lr_scale = -1 }, nan = { .pattern = "w", .l1 = NAN };
    expect_mistake((glia_optimizer){ .groups = &no_such, .n_groups = 1 }, "conv*");
    expect_mistake((glia_optimizer){ .groups = &nameless, .n_groups = 1 }, "parameter group 0");
    expect_mistake((glia_optimizer){ .groups = &negative, .n_groups = 1 }, "lr_scale");
    expect_mistake((glia_optimizer){ .groups = &nan, .n_groups = 1 }, "'w'");
    expect_mistake((glia_optimizer){ .n_groups = 1 }, "parameter groups");
    expect_mistake((glia_optimizer){ .accumulate = -2 }, "accumulate");
    expect_mistake((glia_optimizer){ .ema = 1 }, "ema");
    expect_mistake((glia_optimizer){ .ema_warmup = true }, "ema_warmup needs ema");
    expect_mistake((glia_optimizer){ .max_norm = -1 }, "max_norm");
    expect_mistake((glia_optimizer){ .l2 = -1 }, "l2");
}

/* ---- max-norm ------------------------------------------------------------------------------- */

/* Rows with a norm above the bound are scaled to it; other rows and biases are unchanged. */
static void check_max_norm(glia_dtype dtype, const char *backend, double tolerance) {
    double plain[COUNT], bound = 0.7;
    int longer = 0;
    plain_step(0.25, GLIA_F64, plain);
    problem p = build(dtype);
    glia_minimize(p.loss, (glia_optimizer){ .kind = GLIA_SGD, .lr = 0.25, .max_norm = bound }, NULL, NULL);
    start(&p, backend);
    run(&p, 1);
    for (int row = 0; row < OUT; row++) {
        double norm = 0;
        for (int i = 0; i < IN; i++) norm += plain[row * IN + i] * plain[row * IN + i];
        double scale = fmin(1, bound / sqrt(norm));
        longer += scale < 1;
        for (int i = 0; i < IN; i++) expect(after(&p, row * IN + i), plain[row * IN + i] * scale, tolerance);
    }
    assert_true(longer > 0 && longer < OUT);
    for (int i = W_COUNT; i < COUNT; i++) expect(after(&p, i), plain[i], tolerance);
    finish(&p);
}

static void test_max_norm(void **state) {
    (void)state;
    check_max_norm(GLIA_F64, "ref", 1e-12);
    check_max_norm(GLIA_F32, "ref", 1e-6);
    check_max_norm(GLIA_F32, "cpu", 1e-6);
}

/* For a convolution the norm is per filter: over all axes but the first. A zero filter stays zero. */
static void test_max_norm_of_filters(void **state) {
    (void)state;
    enum { K = 3, EACH = 2 * 2 * 2 };
    for (int cpu = 0; cpu < 2; cpu++) {
        problem p = { .graph = glia_graph_create() };
        p.w = glia_parameter(p.graph, "w", GLIA_F32, GLIA_SHAPE(K, 2, 2, 2), (glia_init){ 0 });
        p.b = glia_parameter(p.graph, "b", GLIA_F32, GLIA_SHAPE(OUT), (glia_init){ 0 });
        p.loss = glia_mul_scalar(glia_sum(p.w, GLIA_SCALAR, false), 0);
        glia_minimize(p.loss, (glia_optimizer){ .kind = GLIA_SGD, .lr = 1, .max_norm = 0.5 }, "w", NULL);
        start(&p, cpu ? "cpu" : "ref");
        glia_array w;
        assert_true(glia_store_find(p.store, "w", &w));
        float *values = w.data;
        for (int i = 0; i < EACH; i++) {
            values[i] = 0;
            values[EACH + i] = 0.125f;         /* norm 0.354 */
            values[2 * EACH + i] = i ? 1 : -1; /* norm 2.83 */
        }
        run(&p, 1);
        for (int i = 0; i < EACH; i++) {
            assert_true(values[i] == 0);
            assert_true(values[EACH + i] == 0.125f);
            expect((double)values[2 * EACH + i], (i ? 0.5 : -0.5) / sqrt(8), 1e-7);
        }
        finish(&p);
    }
}

/* ---- accumulation --------------------------------------------------------------------------- */

enum { K = 4, EACH = 3 }; /* batches per step, samples per batch */

/* One layer, for any batch size. */
static problem network(glia_dtype dtype) {
    glia_graph *g = glia_graph_create();
    problem p = { .graph = g };
    glia_tensor x = glia_input(g, "x", dtype, GLIA_SHAPE(GLIA_BATCH, IN));
    glia_tensor y = glia_input(g, "y", dtype, GLIA_SHAPE(GLIA_BATCH, OUT));
    p.w = glia_parameter(g, "w", dtype, GLIA_SHAPE(OUT, IN), (glia_init){ 0 });
    p.b = glia_parameter(g, "b", dtype, GLIA_SHAPE(OUT), (glia_init){ 0 });
    p.loss = glia_mse(glia_tanh(glia_add(glia_matmul_transposed(x, false, p.w, true), p.b)), y);
    return p;
}

static void feed(glia_session *session, int from, int n) {
    glia_array x, y;
    assert_non_null(glia_session_input(session, "x", &x, NULL));
    assert_non_null(glia_session_input(session, "y", &y, NULL));
    double xs[K * EACH * IN], ys[K * EACH * OUT];
    for (int i = 0; i < n * IN; i++) xs[i] = x_at(from * IN + i);
    for (int i = 0; i < n * OUT; i++) ys[i] = y_at(from * OUT + i);
    glia_from_double(x.dtype, xs, x.data, n * IN);
    glia_from_double(y.dtype, ys, y.data, n * OUT);
    assert_int_equal(glia_session_run(session, NULL), GLIA_OK);
}

static void open_store(problem *p, const char *backend) {
    p->backend = glia_backend_open(backend, 1, NULL);
    p->store = glia_store_create(p->graph, 1, NULL);
    assert_non_null(p->backend);
    assert_non_null(p->store);
    put(p->store, "w", w_at);
    put(p->store, "b", b_at);
}

/* Three steps of K batches each equal three steps of the joined batches, also if the last has fewer batches. */
static void check_accumulation(glia_optimizer o, int last, glia_dtype dtype, double tolerance) {
    problem whole = network(GLIA_F64), parts = network(dtype);
    glia_minimize(whole.loss, o, NULL, NULL);
    o.accumulate = K;
    glia_minimize(parts.loss, o, NULL, NULL);
    open_store(&whole, "ref");
    open_store(&parts, "cpu");
    glia_program *hold_program, *step_program, *other;
    glia_session *hold =
        session_of(&parts, (glia_compile_opts){ .updates = "train.hold", .batch = EACH }, &hold_program);
    glia_session *step = session_of(&parts, (glia_compile_opts){ .updates = "train", .batch = EACH }, &step_program);
    assert_null(glia_session_input(hold, "lr", NULL, NULL)); /* it takes no step */
    for (int k = 0; k < 3; k++) {
        const int batches = k == 2 ? last : K, from = k * K * EACH;
        glia_session *joined = session_of(&whole, (glia_compile_opts){ .batch = batches * EACH }, &other);
        feed(joined, from, batches * EACH);
        glia_session_free(joined);
        glia_program_free(other);
        for (int i = 0; i < batches; i++) {
            double unchanged = get(parts.store, "w", 0);
            feed(i + 1 < batches ? hold : step, from + i * EACH, EACH);
            assert_true((get(parts.store, "w", 0) == unchanged) == (i + 1 < batches));
            assert_int_equal((int)get(parts.store, "train/held", 0), i + 1 < batches ? i + 1 : 0);
        }
        for (int i = 0; i < COUNT; i++) expect(after(&parts, i), after(&whole, i), tolerance);
    }
    glia_session_free(hold);
    glia_session_free(step);
    glia_program_free(hold_program);
    glia_program_free(step_program);
    finish(&whole);
    finish(&parts);
}

static void test_accumulation(void **state) {
    (void)state;
    const glia_optimizer optimizers[] = {
        { .kind = GLIA_SGD, .lr = 0.25, .momentum = 0.9 },
        { .kind = GLIA_ADAM, .lr = 0.0625, .clip_norm = 0.05, .weight_decay = 0.1 },
        { .kind = GLIA_ADAGRAD, .lr = 0.125, .clip_value = 0.02, .ema = 0.5 },
        { .kind = GLIA_SGD, .lr = 0.25, .max_norm = 0.5 },
    };
    const int last[] = { K, K, 2, 1 };
    for (int i = 0; i < GLIA_COUNT(optimizers); i++) {
        check_accumulation(optimizers[i], last[i], GLIA_F64, 1e-12);
        check_accumulation(optimizers[i], last[i], GLIA_F32, 1e-6);
    }
}

/* Non-finite gradients do not persist after their step. */
static void test_accumulators_are_reset(void **state) {
    (void)state;
    problem p = network(GLIA_F32);
    glia_minimize(p.loss, (glia_optimizer){ .kind = GLIA_SGD, .lr = 0.25, .accumulate = 2 }, NULL, NULL);
    open_store(&p, "cpu");
    glia_program *hold_program, *step_program;
    glia_session *hold = session_of(&p, (glia_compile_opts){ .updates = "train.hold", .batch = 1 }, &hold_program);
    glia_session *step = session_of(&p, (glia_compile_opts){ .updates = "train", .batch = 1 }, &step_program);
    glia_array sum;
    assert_true(glia_store_find(p.store, "train/sum/w", &sum));
    ((float *)sum.data)[0] = NAN;
    feed(hold, 0, 1);
    feed(step, 1, 1);
    for (int i = 0; i < COUNT; i++) assert_true(isfinite(after(&p, i)) && after(&p, i) != before(i));
    glia_session_free(hold);
    glia_session_free(step);
    glia_program_free(hold_program);
    glia_program_free(step_program);
    finish(&p);
}

/* Both groups change "train/held": running all updates, or a pattern that matches both, is an error. */
static void test_conflicting_groups(void **state) {
    (void)state;
    problem p = network(GLIA_F32);
    glia_minimize(p.loss, (glia_optimizer){ .accumulate = 2 }, NULL, NULL);
    open_store(&p, "cpu");
    const char *const updates[] = { NULL, "train*", "train,train.hold" };
    for (int i = 0; i < GLIA_COUNT(updates); i++) {
        glia_error error = { 0 };
        glia_compile_opts opts = { .updates = updates[i], .mode = GLIA_TRAIN };
        assert_null(glia_compile(p.graph, p.backend, opts, &error));
        assert_int_equal(error.status, GLIA_E_ARGUMENT);
        assert_non_null(strstr(error.message, "'train.hold'"));
        assert_non_null(strstr(error.message, "opts.updates"));
    }
    finish(&p);
}

/* ---- averages ------------------------------------------------------------------------------- */

static void check_average(glia_dtype dtype, const char *backend, bool warmup, double tolerance) {
    problem p = build(dtype);
    glia_optimizer sgd = { .kind = GLIA_SGD, .lr = 0.25, .momentum = 0.5, .ema = 0.3, .ema_warmup = warmup };
    glia_minimize(p.loss, sgd, NULL, NULL);
    start(&p, backend);
    double wanted[COUNT];
    for (int i = 0; i < COUNT; i++) wanted[i] = before(i);
    for (int step = 1; step <= 4; step++) {
        const double rising = (1.0 + step) / (10.0 + step), m = warmup && rising < sgd.ema ? rising : sgd.ema;
        run(&p, 1);
        for (int i = 0; i < COUNT; i++) {
            wanted[i] = m * wanted[i] + (1 - m) * after(&p, i);
            double is = i < W_COUNT ? get(p.store, "train/ema/w", i) : get(p.store, "train/ema/b", i - W_COUNT);
            expect(is, wanted[i], tolerance);
        }
    }
    assert_int_equal((int)get(p.store, "train/step", 0), 4);
    finish(&p);
}

static void test_average(void **state) {
    (void)state;
    for (int warmup = 0; warmup < 2; warmup++) { /* it ends with the third step of four */
        check_average(GLIA_F64, "ref", warmup, 1e-12);
        check_average(GLIA_F32, "ref", warmup, 1e-6);
        check_average(GLIA_F32, "cpu", warmup, 1e-6);
    }
}

/* ---- sparse gradients ---------------------------------------------------------------------- */

enum { ROWS = 1000, WIDE = 3, PICKS = 4, UPDATES = 5 };

/* The rows picked by step `step`: two picks are the same row, in odd steps one of them counted from the end; step 4
 * picks one out of range. */
static int32_t pick_at(int step, int i) {
    if (i == 2 && step == 4) return ROWS + 3;
    if (i == 3) return step % 2 ? 7 - ROWS : 7;
    return (int32_t)((7 * i + 3 * step) % 40);
}
/* -1: none */
static int row_at(int step, int i) {
    const int32_t pick = pick_at(step, i);
    return pick >= ROWS ? -1 : pick < 0 ? pick + ROWS : pick;
}
/* Targets of picked rows: the loss is the sum over the picks of target * row + row^2 / 2. */
static double target_at(int i, int k) { return 0.5 * i - 0.25 * k + 0.1; }

typedef struct sparse_net {
    glia_graph *graph;
    glia_backend *backend;
    glia_store *store;
    glia_program *program;
    glia_session *session;
} sparse_net;

static sparse_net sparse_open(glia_optimizer o, const char *backend) {
    glia_error error = { 0 };
    sparse_net n = { .graph = glia_graph_create(), .backend = glia_backend_open(backend, 2, &error) };
    glia_graph *g = n.graph;
    glia_tensor table =
        glia_parameter(g, "words/table", GLIA_F32, GLIA_SHAPE(ROWS, WIDE), (glia_init){ .kind = GLIA_INIT_NORMAL });
    double targets[PICKS * WIDE];
    for (int i = 0; i < PICKS * WIDE; i++) targets[i] = target_at(i / WIDE, i % WIDE);
    /* Gathered in two places, so gradients are a sum. */
    glia_tensor two[2], ids[2], t = glia_constant(g, GLIA_F32, GLIA_SHAPE(PICKS, WIDE), targets);
    for (int i = 0; i < 2; i++) {
        ids[i] = glia_input(g, i ? "b" : "a", GLIA_I32, GLIA_SHAPE(PICKS / 2));
        two[i] = glia_gather(table, ids[i], 0);
    }
    glia_tensor x = glia_concat(two, 2, 0);
    glia_tensor loss = glia_sum(glia_add(glia_mul(x, t), glia_mul_scalar(glia_square(x), 0.5)), GLIA_SCALAR, false);
    glia_minimize(loss, o, NULL, NULL);
    if (glia_graph_check(g, &error) != GLIA_OK) fail_msg("%s", error.message);
    n.store = glia_store_create(g, 1, &error);
    n.program =
        glia_compile(g, n.backend, (glia_compile_opts){ .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN }, &error);
    if (!n.program) fail_msg("%s", error.message);
    n.session = glia_session_create(n.program, n.store, &error);
    assert_non_null(n.session);
    return n;
}

static void sparse_step(sparse_net *n, int step) {
    glia_error error = { 0 };
    int32_t *a = glia_session_input(n->session, "a", NULL, NULL), *b = glia_session_input(n->session, "b", NULL, NULL);
    for (int i = 0; i < PICKS; i++) (i < 2 ? a : b - 2)[i] = pick_at(step, i);
    if (glia_session_run(n->session, &error) != GLIA_OK) fail_msg("%s", error.message);
}

static void sparse_close(sparse_net *n) {
    glia_session_free(n->session);
    glia_program_free(n->program);
    glia_store_free(n->store);
    glia_backend_close(n->backend);
    glia_graph_free(n->graph);
}

static float *leaf(const sparse_net *n, const char *name) {
    glia_array a;
    if (!glia_store_find(n->store, name, &a)) fail_msg("there is no %s", name);
    return a.data;
}

/* Tracks the table and the optimiser states in double: only picked rows change. */
static void sparse_follow(glia_optimizer o, const char *backend) {
    static double w[ROWS * WIDE], m[ROWS * WIDE], v[ROWS * WIDE];
    static float first[ROWS * WIDE];
    o.sparse = "words*";
    sparse_net n = sparse_open(o, backend);
    o = glia_optimizer_resolved(o);
    memcpy(first, leaf(&n, "words/table"), sizeof first);
    for (int i = 0; i < ROWS * WIDE; i++) w[i] = (double)first[i], m[i] = v[i] = 0;
    for (int step = 0; step < UPDATES; step++) {
        double g[ROWS * WIDE] = { 0 }, square = 0;
        bool used[ROWS] = { false };
        for (int i = 0; i < PICKS; i++) {
            const int row = row_at(step, i);
            if (row < 0) continue;
            used[row] = true;
            for (int k = 0; k < WIDE; k++) g[row * WIDE + k] += target_at(i, k) + w[row * WIDE + k];
        }
        for (int i = 0; i < ROWS * WIDE; i++) square += g[i] * g[i];
        const double clip = o.clip_norm > 0 ? fmin(1, o.clip_norm / (sqrt(square) + 1e-6)) : 1;
        const double c1 = 1 - pow(o.beta1, step + 1), c2 = 1 - pow(o.beta2, step + 1);
        for (int i = 0; i < ROWS * WIDE; i++) {
            if (!used[i / WIDE]) continue;
            const double d = g[i] * clip;
            if (o.kind == GLIA_SGD) {
                m[i] = o.momentum * m[i] + d;
                w[i] -= o.lr * m[i];
            } else if (o.kind == GLIA_ADAGRAD) {
                v[i] += d * d;
                w[i] -= o.lr * d / (sqrt(v[i]) + o.epsilon);
            } else {
                m[i] = o.beta1 * m[i] + (1 - o.beta1) * d;
                v[i] = o.beta2 * v[i] + (1 - o.beta2) * d * d;
                w[i] -= o.lr * (m[i] / c1) / (sqrt(v[i] / c2) + o.epsilon);
            }
        }
        sparse_step(&n, step);
    }
    const float *table = leaf(&n, "words/table");
    for (int i = 0; i < ROWS * WIDE; i++) {
        expect((double)table[i], w[i], 1e-5);
        bool used = false;
        for (int p = 0; p < UPDATES * PICKS; p++) used |= row_at(p / PICKS, p % PICKS) == i / WIDE;
        if (!used) assert_memory_equal(&table[i], &first[i], sizeof first[i]);
    }
    if (o.kind == GLIA_ADAM) {
        const float *moments = leaf(&n, "train/m/words/table");
        for (int i = 0; i < ROWS * WIDE; i++) expect((double)moments[i], m[i], 1e-5);
    }
    sparse_close(&n);
}

static void test_sparse(void **state) {
    (void)state;
    const glia_optimizer all[] = { { .kind = GLIA_SGD, .lr = 0.1 },
                                   { .kind = GLIA_SGD, .lr = 0.1, .momentum = 0.9 },
                                   { .kind = GLIA_SGD, .lr = 0.1, .clip_norm = 0.5 },
                                   { .kind = GLIA_ADAGRAD, .lr = 0.1 },
                                   { .kind = GLIA_ADAM, .lr = 0.1 } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        sparse_follow(all[i], "ref");
        sparse_follow(all[i], "cpu");
    }
}

/* Rows of the table and the states are updated in place. */
static void test_sparse_in_place(void **state) {
    (void)state;
    sparse_net n = sparse_open((glia_optimizer){ .kind = GLIA_ADAM, .sparse = "*" }, "cpu");
    char *text = glia_program_print(n.program);
    assert_non_null(text);
    assert_non_null(strstr(text, "f32(1000, 3) = words/table"));
    int puts = 0;
    for (const char *line = text; (line = strstr(line, "put_rows")); line++) {
        const char *end = strchr(line, '\n'), *place = strstr(line, "f32(1000, 3) = ");
        assert_true(place && place < end);
        puts++;
    }
    assert_int_equal(puts, 3);
    free(text);
    sparse_close(&n);
}

static void test_sparse_errors(void **state) {
    (void)state;
    glia_error error = { 0 };
    for (int c = 0; c < 2; c++) {
        glia_graph *g = glia_graph_create();
        glia_tensor table = glia_parameter(g, "t", GLIA_F32, GLIA_SHAPE(4, 2), (glia_init){ 0 });
        glia_tensor ids = glia_input(g, "ids", GLIA_I32, GLIA_SHAPE(3)), x = glia_gather(table, ids, 0);
        if (c == 0) x = glia_matmul_transposed(x, false, table, true); /* tied weights: every row has a gradient */
        glia_optimizer o = { .kind = c ? GLIA_LAMB : GLIA_SGD, .sparse = "t" };
        glia_minimize(glia_sum(x, GLIA_SCALAR, false), o, NULL, NULL);
        assert_int_equal(glia_graph_check(g, &error), GLIA_E_UNSUPPORTED);
        glia_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sparse),
        cmocka_unit_test(test_sparse_in_place),
        cmocka_unit_test(test_sparse_errors),
        cmocka_unit_test(test_terms),
        cmocka_unit_test(test_decoupled),
        cmocka_unit_test(test_group_errors),
        cmocka_unit_test(test_max_norm),
        cmocka_unit_test(test_max_norm_of_filters),
        cmocka_unit_test(test_accumulation),
        cmocka_unit_test(test_accumulators_are_reset),
        cmocka_unit_test(test_conflicting_groups),
        cmocka_unit_test(test_average),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
