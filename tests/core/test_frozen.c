/* test_frozen.c - frozen programs: the same results with less work per run.
 *
 * Scales and shifts are folded into weights (core/passes/absorb.c), and values that depend on no input are computed
 * once. Both are compared with programs that are not frozen, on the backend that computes in double.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/ops/ops.h"
#include "core/passes/passes.h"
#include "core/program/program.h"
#include "core/program/store.h"
#include "glia/glia.h"

/* ---- programs side by side ---------------------------------------------------------------------- */

typedef struct machine {
    glia_backend *backend;
    glia_program *program;
    glia_session *session;
} machine;

static machine machine_open(glia_graph *g, glia_store *store, const glia_tensor *outputs, int n, const char *backend,
                            int threads, glia_compile_opts opts) {
    glia_error error = { 0 };
    machine m = { .backend = glia_backend_open(backend, threads, &error) };
    if (!m.backend) fail_msg("%s", error.message);
    opts.outputs = outputs;
    opts.n_outputs = n;
    m.program = glia_compile(g, m.backend, opts, &error);
    if (!m.program) fail_msg("%s", error.message);
    m.session = glia_session_create(m.program, store, &error);
    if (!m.session) fail_msg("%s", error.message);
    return m;
}

static void machine_close(machine *m) {
    glia_session_free(m->session);
    glia_program_free(m->program);
    glia_backend_close(m->backend);
}

/* Draws inputs with this seed and runs. */
static void machine_run(machine *m, uint64_t seed) {
    glia_error error = { 0 };
    for (int i = 0; i < m->program->graph->n_nodes; i++) {
        const glia_node *n = m->program->graph->nodes[i];
        if (!glia_is_input(n)) continue;
        glia_rng rng = { .seed = seed, .stream = glia_hash_bytes(glia_leaf_of(n)->name, 1, 0) };
        float *x = glia_session_input(m->session, glia_leaf_of(n)->name, NULL, NULL);
        for (int64_t j = 0; j < glia_shape_count(n->shape); j++) x[j] = (float)glia_rng_normal(&rng);
    }
    if (glia_session_run(m->session, &error) != GLIA_OK) fail_msg("%s", error.message);
}

static const float *output_of(const machine *m, int64_t *count) {
    glia_array a = glia_session_output(m->session, 0);
    *count = glia_shape_count(a.shape);
    return a.data;
}

/* Asserts equal outputs, to `tolerance` relative to the largest; 0: bit-identical. */
static void assert_same(const char *what, const machine *a, const machine *b, double tolerance) {
    int64_t n, m;
    const float *x = output_of(a, &n), *y = output_of(b, &m);
    double largest = 0;
    assert_int_equal(n, m);
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)x[i]));
    assert_true(largest > 0);
    for (int64_t i = 0; i < n; i++) {
        double difference = fabs((double)x[i] - (double)y[i]);
        if (tolerance > 0 ? difference <= tolerance * largest : memcmp(&x[i], &y[i], sizeof x[i]) == 0) continue;
        fail_msg("%s: element %d is %.9g, and %.9g", what, (int)i, (double)x[i], (double)y[i]);
    }
}

/* Sets all parameters and states to random values in [0.5, 1.5) with random signs; variances are positive. */
static void disturb(glia_store *store, uint64_t seed) {
    glia_rng rng = { .seed = seed };
    for (int i = 0; i < glia_store_count(store); i++) {
        glia_array a = glia_store_at(store, i);
        if (a.dtype != GLIA_F32) continue;
        bool positive = strstr(a.name, "var") != NULL;
        for (int64_t j = 0; j < glia_shape_count(a.shape); j++) {
            double v = 0.5 + glia_rng_uniform(&rng);
            ((float *)a.data)[j] = (float)(positive || glia_rng_below(&rng, 2) ? v : -v);
        }
    }
}

static glia_store *make_store(const glia_graph *g) {
    glia_error error = { 0 };
    glia_store *store = glia_store_create(g, 1, &error);
    if (!store) fail_msg("%s", error.message);
    disturb(store, 7);
    return store;
}

/* ---- a net with all features -------------------------------------------------------------------- */

static glia_tensor block(glia_tensor x, const char *conv, const char *norm, int stride) {
    x = glia_conv2d(
        x, conv,
        (glia_conv_opts){ .filters = 8, .kernel = 3, .stride = stride, .padding = GLIA_SAME, .no_bias = stride == 1 });
    return glia_batch_norm(x, norm, (glia_norm_opts){ 0 });
}

static glia_tensor residual_net(glia_graph *g) {
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 3, 13, 11));
    glia_tensor y = glia_relu(block(x, "stem", "stem_bn", 2));
    glia_tensor z = glia_relu(block(y, "one", "one_bn", 1));
    y = glia_relu(glia_add(block(z, "two", "two_bn", 1), y));
    y = glia_max_pool(y, (glia_pool_opts){ 0 });
    y = glia_dense(glia_flatten(y), "hidden", (glia_dense_opts){ .units = 33, .activation = GLIA_TANH });
    y = glia_batch_norm(y, "hidden_bn", (glia_norm_opts){ 0 });
    return glia_dense(glia_dropout(y, 0.5), "out", (glia_dense_opts){ .units = 10 });
}

static void frozen_results_equal_unfrozen(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor y = residual_net(g);
    glia_store *store = make_store(g);
    for (int64_t batch = 1; batch <= 65; batch *= batch == 1 ? 5 : 13) {
        glia_compile_opts plain = { .batch = batch }, frozen = { .batch = batch, .frozen = true };
        glia_compile_opts apart = { .batch = batch, .frozen = true, .no_fusion = true };
        machine ref = machine_open(g, store, &y, 1, "ref", 1, plain);
        machine others[] = { machine_open(g, store, &y, 1, "ref", 1, frozen),
                             machine_open(g, store, &y, 1, "cpu", 1, plain),
                             machine_open(g, store, &y, 1, "cpu", 1, frozen),
                             machine_open(g, store, &y, 1, "cpu", 2, frozen),
                             machine_open(g, store, &y, 1, "cpu", 1, apart) };
        for (uint64_t seed = 1; seed < 4; seed++) { /* several runs with different inputs */
            machine_run(&ref, seed);
            for (int i = 0; i < GLIA_COUNT(others); i++) {
                machine_run(&others[i], seed);
                assert_same("frozen or not", &ref, &others[i], 1e-4);
            }
            assert_same("one thread and two", &others[2], &others[3], 0);
        }
        glia_program_info was = glia_program_inspect(others[1].program), is = glia_program_inspect(others[2].program);
        assert_true(is.launches <= was.launches && is.launches_once > 0 && was.launches_once == 0);
        for (int i = 0; i < GLIA_COUNT(others); i++) machine_close(&others[i]);
        machine_close(&ref);
    }
    glia_store_free(store);
    glia_graph_free(g);
}

/* The bytes packed by this group's launch. */
static size_t packed_bytes(const glia_program *p, int group) {
    const glia_backend_kind *kind = p->backend->kind;
    const glia_node *from;
    int operand;
    return kind->keeps ? kind->keeps(p->backend, &p->schedule.groups[group], &from, &operand) : 0;
}

/* True if the group packs this value. */
static bool is_packed_by(const glia_program *p, int group, const glia_node *value) {
    const glia_node *from;
    int operand;
    if (packed_bytes(p, group) == 0) return false;
    p->backend->kind->keeps(p->backend, &p->schedule.groups[group], &from, &operand);
    return p->schedule.root[from->in[operand]->id] == value;
}

/* Values cached by the first run are unchanged, byte for byte, after later runs. */
static void cached_values_do_not_change(void **state) {
    (void)state;
    const char *const backends[] = { "ref", "cpu" };
    glia_graph *g = glia_graph_create();
    glia_tensor y = residual_net(g);
    glia_store *store = make_store(g);
    for (int k = 0; k < 2; k++) {
        machine m = machine_open(g, store, &y, 1, backends[k], 2, (glia_compile_opts){ .batch = 4, .frozen = true });
        const glia_program *p = m.program;
        const glia_schedule *s = &p->schedule;
        machine_run(&m, 1);
        const glia_node *x = glia_graph_find_leaf(p->graph, "x");
        assert_true(p->plan.place[x->id].offset < p->plan.fixed_offset);
        const char *base = p->fixed->memory;
        const size_t bytes = p->plan.activation_bytes - p->plan.fixed_offset;
        char *before = malloc(bytes);
        assert_non_null(before);
        memcpy(before, base, bytes);
        for (uint64_t seed = 2; seed < 5; seed++) machine_run(&m, seed);
        int kept = 0;
        for (int i = s->n_once; i < s->n_groups; i++) {
            for (int j = 0; j < s->groups[i].n_inputs; j++) {
                const glia_node *n = s->root[s->groups[i].inputs[j]->id];
                int from = s->group_of[n->id];
                if (from < 0 || from >= s->n_once || is_packed_by(p, i, n)) continue;
                size_t at = p->plan.place[n->id].offset - p->plan.fixed_offset;
                assert_memory_equal(base + at, before + at, glia_shape_bytes(n->shape, n->dtype));
                kept++;
            }
            size_t packed = packed_bytes(p, i), at = p->plan.kept_offset[i] - p->plan.fixed_offset;
            assert_memory_equal(base + at, before + at, packed);
            kept += packed > 0;
        }
        assert_true(kept >= 4);
        free(before);
        machine_close(&m);
    }
    glia_store_free(store);
    glia_graph_free(g);
}

static void refresh_sees_new_values(void **state) {
    (void)state;
    const char *const backends[] = { "ref", "cpu" };
    glia_graph *g = glia_graph_create();
    glia_tensor y = residual_net(g);
    glia_compile_opts opts = { .batch = 2, .frozen = true };
    for (int k = 0; k < 2; k++) {
        glia_store *store = make_store(g);
        machine m = machine_open(g, store, &y, 1, backends[k], 2, opts);
        disturb(store, 8); /* nothing is cached before the first run */
        machine_run(&m, 1);
        machine first = machine_open(g, store, &y, 1, backends[k], 1, opts);
        machine_run(&first, 1);
        assert_same("changed before the first run", &first, &m, 0);
        machine_close(&first);

        glia_array scale;
        int64_t n;
        assert_true(glia_store_find(store, "stem_bn/scale", &scale));
        for (int i = 0; i < 8; i++) ((float *)scale.data)[i] += 1;
        float old = *output_of(&m, &n);
        machine_run(&m, 1);
        assert_true(*output_of(&m, &n) == old); /* weights with batch norm folded in are cached */

        disturb(store, 9);
        assert_int_equal(glia_session_refresh(m.session, NULL), GLIA_OK);
        machine_run(&m, 1);
        machine again = machine_open(g, store, &y, 1, backends[k], 1, opts);
        machine_run(&again, 1);
        assert_same("refreshed", &again, &m, 0);
        machine_close(&again);
        machine_close(&m);
        glia_store_free(store);
    }
    glia_graph_free(g);
}

static void training_is_refused(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_graph *g = glia_graph_create();
    glia_tensor y = residual_net(g);
    glia_backend *b = glia_backend_open("cpu", 1, &error);
    glia_compile_opts opts = { .outputs = &y, .n_outputs = 1, .mode = GLIA_TRAIN, .frozen = true };
    assert_null(glia_compile(g, b, opts, &error));
    assert_int_equal(error.status, GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "frozen"));
    assert_non_null(strstr(error.message, "training mode"));
    glia_backend_close(b);
    glia_graph_free(g);
}

/* ---- absorption ----------------------------------------------------------------------------------- */

static glia_tensor parameter(glia_graph *g, const char *name, glia_shape shape) {
    return glia_parameter(g, name, GLIA_F32, shape, (glia_init){ .kind = GLIA_INIT_NORMAL });
}

/* Counts the numbers that a program multiplies or divides by in every run; absorbing removes them. */
static int scales_left(const glia_program *p) {
    int n = 0;
    for (int i = 0; i < p->graph->n_nodes; i++) {
        const glia_node *x = p->graph->nodes[i];
        n += (x->op == &glia_op_mul || x->op == &glia_op_div) && !p->schedule.fixed[i];
    }
    return n;
}

static int shifts_left(const glia_program *p) {
    int n = 0;
    for (int i = 0; i < p->graph->n_nodes; i++) {
        const glia_node *x = p->graph->nodes[i];
        n += (x->op == &glia_op_add || x->op == &glia_op_sub) && !p->schedule.fixed[i];
    }
    return n;
}

/* Frozen and unfrozen outputs must be equal; checks the number of scales and shifts left per run. */
static void check_absorbed(const char *what, glia_graph *g, const glia_tensor *y, int n, int scales, int shifts) {
    const char *const backends[] = { "ref", "cpu" };
    glia_store *store = make_store(g);
    for (int k = 0; k < 2; k++) {
        machine plain = machine_open(g, store, y, n, "ref", 1, (glia_compile_opts){ .batch = 2 });
        machine frozen =
            machine_open(g, store, y, n, backends[k], 2, (glia_compile_opts){ .batch = 2, .frozen = true });
        if (scales_left(frozen.program) != scales || shifts_left(frozen.program) != shifts) {
            char *text = glia_program_print(frozen.program);
            fail_msg("%s: %d scales and %d shifts are left\n%s", what, scales_left(frozen.program),
                     shifts_left(frozen.program), text);
        }
        machine_run(&plain, 3);
        machine_run(&frozen, 3);
        assert_same(what, &plain, &frozen, 1e-5);
        machine_close(&plain);
        machine_close(&frozen);
    }
    glia_store_free(store);
    glia_graph_free(g);
}

static glia_tensor image(glia_graph *g, int channels) {
    return glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, channels, 6, 5));
}

static glia_tensor normalized(glia_tensor x) { return glia_batch_norm(x, "bn", (glia_norm_opts){ 0 }); }

static void scales_fold_into_convolutions(void **state) {
    (void)state;
    const struct {
        const char *what;
        glia_conv_opts opts;
        bool transposed;
    } cases[] = {
        { "with bias", { .filters = 4, .kernel = 3 }, false },
        { "without bias", { .filters = 4, .kernel = 3, .no_bias = true }, false },
        { "pointwise", { .filters = 7, .kernel = 1, .no_bias = true }, false },
        { "grouped", { .filters = 6, .kernel = 3, .groups = 2, .padding = GLIA_SAME }, false },
        { "depthwise", { .filters = 4, .kernel = 3, .groups = 4, .padding = GLIA_SAME, .no_bias = true }, false },
        { "transposed", { .filters = 5, .kernel = 3, .stride = 2 }, true },
        { "transposed without bias", { .filters = 4, .kernel = 2, .no_bias = true }, true },
        { "transposed in groups", { .filters = 6, .kernel = 3, .groups = 2 }, true },
        { "transposed depthwise", { .filters = 4, .kernel = 3, .groups = 4, .no_bias = true }, true },
    };
    for (int i = 0; i < GLIA_COUNT(cases); i++) {
        glia_graph *g = glia_graph_create();
        glia_tensor x = image(g, 4);
        x = cases[i].transposed ? glia_conv2d_transposed(x, "conv", cases[i].opts)
                                : glia_conv2d(x, "conv", cases[i].opts);
        glia_tensor y = glia_relu(normalized(x));
        check_absorbed(cases[i].what, g, &y, 1, 0, 1);
    }
    glia_graph *g = glia_graph_create(); /* before what moves beyond the pooling */
    glia_tensor y = normalized(glia_conv2d(image(g, 3), "conv", (glia_conv_opts){ .filters = 4, .kernel = 3 }));
    y = glia_max_pool2d(glia_relu(y), (glia_pool_opts){ 0 });
    check_absorbed("and pooling", g, &y, 1, 0, 1);
}

static void scales_fold_into_matrix_products(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 9));
    glia_tensor y = normalized(glia_dense(x, "fc", (glia_dense_opts){ .units = 5 }));
    check_absorbed("dense", g, &y, 1, 0, 1);

    g = glia_graph_create();
    x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 9));
    y = glia_mul(glia_matmul(x, parameter(g, "w", GLIA_SHAPE(9, 5))), parameter(g, "s", GLIA_SHAPE(5)));
    check_absorbed("not transposed", g, &y, 1, 0, 0);

    g = glia_graph_create();
    x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 3, 4, 9));
    y = glia_matmul_transposed(x, false, parameter(g, "w", GLIA_SHAPE(3, 5, 9)), true);
    y = glia_mul(y, parameter(g, "s", GLIA_SHAPE(1, 5)));
    check_absorbed("batched", g, &y, 1, 0, 0);
}

static void all_forms_are_folded(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create(); /* ((2 (conv + b) - m) / d) s, d on either side of others, then a shift */
    glia_tensor x = glia_conv2d(image(g, 3), "conv", (glia_conv_opts){ .filters = 4, .kernel = 3 });
    glia_tensor m = parameter(g, "m", GLIA_SHAPE(4, 1, 1)), d = parameter(g, "d", GLIA_SHAPE(1, 4, 1, 1));
    glia_tensor y = glia_div(glia_sub(glia_mul_scalar(x, 2), m), d);
    y = glia_add(parameter(g, "t", GLIA_SHAPE(1)), glia_mul(glia_exp(parameter(g, "s", GLIA_SHAPE(4, 1, 1))), y));
    check_absorbed("one after the other", g, &y, 1, 0, 1);

    g = glia_graph_create();
    x = glia_conv2d(image(g, 3), "conv", (glia_conv_opts){ .filters = 4, .kernel = 3, .no_bias = true });
    y = glia_mul(glia_sub(x, parameter(g, "m", GLIA_SHAPE(4, 1, 1))), parameter(g, "s", GLIA_SHAPE(1)));
    check_absorbed("a difference first", g, &y, 1, 0, 1);
}

static void values_with_other_readers_are_not_folded(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create(); /* the product is read twice */
    glia_tensor x = glia_conv2d(image(g, 3), "conv", (glia_conv_opts){ .filters = 4, .kernel = 3 });
    glia_tensor y = glia_add(normalized(x), glia_tanh(x));
    check_absorbed("read twice", g, &y, 1, 1, 3);

    g = glia_graph_create(); /* and here it is an output */
    x = glia_conv2d(image(g, 3), "conv", (glia_conv_opts){ .filters = 4, .kernel = 3, .no_bias = true });
    glia_tensor both[] = { normalized(x), x };
    check_absorbed("an output", g, both, 2, 1, 1);

    g = glia_graph_create(); /* along another axis than the channels */
    x = glia_conv2d(image(g, 3), "conv", (glia_conv_opts){ .filters = 3, .kernel = 3, .no_bias = true });
    y = glia_mul(x, parameter(g, "s", GLIA_SHAPE(3))); /* columns, of which there are three as well */
    check_absorbed("columns", g, &y, 1, 1, 0);

    g = glia_graph_create(); /* by something that depends on an input */
    x = glia_conv2d(image(g, 3), "conv", (glia_conv_opts){ .filters = 3, .kernel = 3, .no_bias = true });
    y = glia_mul(x, glia_mul(parameter(g, "s", GLIA_SHAPE(3, 1, 1)), glia_input(g, "t", GLIA_F32, GLIA_SHAPE(1))));
    check_absorbed("a changing scale", g, &y, 1, 2, 0);

    g = glia_graph_create(); /* weights that depend on an input */
    x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 9));
    y = glia_matmul(x, glia_input(g, "w", GLIA_F32, GLIA_SHAPE(9, 5)));
    y = glia_mul(y, parameter(g, "s", GLIA_SHAPE(5)));
    check_absorbed("changing weights", g, &y, 1, 1, 0);
}

/* ---- packing ----------------------------------------------------------------------------------------- */

/* The ref backend, but its products keep their second factor upside down, the last number first. */
typedef struct packing {
    glia_launch base;
    glia_launch *product;
    const float *weights;
    float *kept, *unpacked;
    int64_t count;
} packing;

static int setups;

static void pack(const glia_launch *launch, glia_pool *pool) {
    const packing *l = (const packing *)launch;
    (void)pool;
    for (int64_t i = 0; i < l->count; i++) l->kept[l->count - 1 - i] = l->weights[i];
    setups++;
}

static void run_packed(const glia_launch *launch, glia_pool *pool) {
    const packing *l = (const packing *)launch;
    for (int64_t i = 0; i < l->count; i++) l->unpacked[i] = l->kept[l->count - 1 - i];
    l->product->run(l->product, pool);
}

static size_t packing_keeps(const glia_backend *b, const glia_group *g, const glia_node **from, int *operand) {
    (void)b;
    const glia_node *n = g->anchor;
    if (n->op != &glia_op_matmul && n->op != &glia_op_conv) return 0;
    *from = n, *operand = 1;
    return g->fixed && g->fixed[n->in[1]->id] ? glia_shape_bytes(n->in[1]->shape, n->dtype) : 0;
}

static glia_launch *packing_prepare(const glia_backend *b, const glia_group *g, void *const *address, void *scratch,
                                    void *kept, glia_arena *arena, glia_error *error) {
    const glia_node *from, *n = g->anchor;
    int operand;
    if (!packing_keeps(b, g, &from, &operand))
        return glia_backend_ref.prepare(b, g, address, scratch, NULL, arena, error);
    packing *l = glia_arena_alloc(arena, sizeof *l);
    void **other = glia_arena_alloc(arena, (size_t)n->graph->n_nodes * sizeof *other);
    float *unpacked = glia_arena_alloc(arena, glia_shape_bytes(n->in[1]->shape, n->dtype));
    if (!l || !other || !unpacked) return NULL;
    memcpy(other, address, (size_t)n->graph->n_nodes * sizeof *other);
    other[n->in[1]->id] = unpacked;
    *l = (packing){ .base = { .run = run_packed, .kernel = "packed", .setup = pack },
                    .product = glia_backend_ref.prepare(b, g, other, scratch, NULL, arena, error),
                    .weights = address[n->in[1]->id],
                    .kept = kept,
                    .unpacked = unpacked,
                    .count = glia_shape_count(n->in[1]->shape) };
    return l->product ? &l->base : NULL;
}

static void weights_are_packed_once(void **state) {
    (void)state;
    glia_backend_kind kind = glia_backend_ref;
    kind.keeps = packing_keeps;
    kind.prepare = packing_prepare;
    glia_backend backend = { .kind = &kind };
    glia_error error = { 0 };
    glia_graph *g = glia_graph_create();
    glia_tensor y = residual_net(g);
    glia_store *store = make_store(g);
    glia_compile_opts opts = { .outputs = &y, .n_outputs = 1, .batch = 2, .frozen = true };
    machine ref = machine_open(g, store, &y, 1, "ref", 1, opts);
    machine m = { .program = glia_compile(g, &backend, opts, &error) };
    m.session = glia_session_create(m.program, store, &error);
    assert_non_null(m.session);
    setups = 0;
    for (uint64_t seed = 1; seed < 4; seed++) {
        machine_run(&ref, seed);
        machine_run(&m, seed);
        assert_same("packed", &ref, &m, 0);
    }
    assert_int_equal(setups, 5); /* three convolutions and two dense layers */
    disturb(store, 9);
    for (int i = 0; i < 2; i++) {
        machine *each = i ? &m : &ref;
        assert_int_equal(glia_session_refresh(each->session, NULL), GLIA_OK);
        machine_run(each, 1);
    }
    assert_same("packed again", &ref, &m, 0);
    assert_int_equal(setups, 10);
    /* Weights that are only packed make room for activations: keeping both would take twice as much. */
    size_t packed = 0;
    for (int i = 0; i < m.program->schedule.n_groups; i++) {
        const glia_node *from;
        int operand;
        packed += packing_keeps(&backend, &m.program->schedule.groups[i], &from, &operand);
    }
    assert_true(m.program->plan.activation_bytes < ref.program->plan.activation_bytes + packed);
    glia_session_free(m.session);
    glia_program_free(m.program);
    machine_close(&ref);
    glia_store_free(store);
    glia_graph_free(g);
}

static int packed_launches(const glia_program *p) {
    int n = 0;
    for (int i = 0; i < p->schedule.n_groups; i++) n += packed_bytes(p, i) > 0;
    return n;
}

/* CPU matrix products of many rows with constant right factors: plain, transposed, and batched. */
static void matrix_products_are_packed(void **state) {
    (void)state;
    const struct {
        glia_shape x, w;
        bool transpose, packed;
    } cases[] = {
        { GLIA_SHAPE(70, 50), GLIA_SHAPE(50, 37), false, true },
        { GLIA_SHAPE(70, 50), GLIA_SHAPE(37, 50), true, true },
        { GLIA_SHAPE(400, 300), GLIA_SHAPE(128, 300), true, true },
        { GLIA_SHAPE(2, 3, 70, 50), GLIA_SHAPE(50, 37), false, true },
        { GLIA_SHAPE(2, 3, 40, 50), GLIA_SHAPE(3, 37, 50), true, false }, /* a factor per matrix */
        { GLIA_SHAPE(1, 50), GLIA_SHAPE(37, 50), true, false },           /* read once, in place */
    };
    for (int i = 0; i < GLIA_COUNT(cases); i++) {
        glia_graph *g = glia_graph_create();
        glia_tensor x = glia_input(g, "x", GLIA_F32, cases[i].x), w = parameter(g, "w", cases[i].w);
        glia_tensor y = glia_tanh(glia_matmul_transposed(x, false, w, cases[i].transpose));
        glia_store *store = make_store(g);
        machine ref = machine_open(g, store, &y, 1, "ref", 1, (glia_compile_opts){ 0 });
        machine cpu = machine_open(g, store, &y, 1, "cpu", 2, (glia_compile_opts){ .frozen = true });
        assert_int_equal(packed_launches(cpu.program), cases[i].packed);
        for (uint64_t seed = 1; seed < 3; seed++) {
            machine_run(&ref, seed);
            machine_run(&cpu, seed);
            assert_same("packed", &ref, &cpu, 1e-4);
        }
        machine_close(&ref);
        machine_close(&cpu);
        glia_store_free(store);
        glia_graph_free(g);
    }
}

/* ---- cached values --------------------------------------------------------------------------------- */

static void random_numbers_are_drawn_in_every_run(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor y = glia_add(glia_random_uniform(g, GLIA_SHAPE(50)), parameter(g, "b", GLIA_SHAPE(50)));
    glia_store *store = make_store(g);
    machine m = machine_open(g, store, &y, 1, "cpu", 1, (glia_compile_opts){ .frozen = true });
    int64_t n;
    machine_run(&m, 1);
    float before = *output_of(&m, &n);
    machine_run(&m, 1);
    assert_true(before != *output_of(&m, &n));
    machine_close(&m);
    glia_store_free(store);
    glia_graph_free(g);
}

/* A program without inputs computes nothing after its first run; constant values can be outputs along with others. */
static void constant_values_can_be_outputs(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor w = parameter(g, "w", GLIA_SHAPE(6, 6)), e = glia_exp(glia_matmul(w, w));
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 6));
    glia_tensor outputs[] = { e, glia_matmul(x, glia_transpose(e)), w };
    glia_store *store = make_store(g);
    for (int n_outputs = 1; n_outputs <= 3; n_outputs++) {
        machine plain = machine_open(g, store, outputs, n_outputs, "ref", 1, (glia_compile_opts){ 0 });
        machine frozen = machine_open(g, store, outputs, n_outputs, "cpu", 2, (glia_compile_opts){ .frozen = true });
        assert_int_equal(glia_program_inspect(frozen.program).launches, n_outputs == 1 ? 0 : 1);
        for (uint64_t seed = 1; seed < 3; seed++) {
            machine_run(&plain, seed);
            machine_run(&frozen, seed);
            for (int k = 0; k < n_outputs; k++) {
                glia_array a = glia_session_output(plain.session, k), b = glia_session_output(frozen.session, k);
                for (int64_t i = 0; i < glia_shape_count(a.shape); i++) {
                    double u = (double)((float *)a.data)[i], v = (double)((float *)b.data)[i];
                    assert_true(fabs(u - v) <= 1e-5 * (1 + fabs(u)));
                }
            }
        }
        machine_close(&plain);
        machine_close(&frozen);
    }
    glia_store_free(store);
    glia_graph_free(g);
}

/* ---- states that change ---------------------------------------------------------------------------- */

/* y = (x W) scale + s + other; s becomes s/2 + x V, "flag" a value that parameters alone give. */
static glia_tensor changing_net(glia_graph *g) {
    enum { ROWS = 16, UNITS = 12 };
    const glia_init zeros = { .kind = GLIA_INIT_ZEROS };
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(ROWS, UNITS));
    glia_tensor scale = parameter(g, "scale", GLIA_SHAPE(UNITS));
    glia_tensor s = glia_state(g, "s", GLIA_F32, GLIA_SHAPE(ROWS, UNITS), zeros);
    glia_tensor flag = glia_state(g, "flag", GLIA_F32, GLIA_SHAPE(UNITS), zeros);
    glia_tensor other = glia_state(g, "other", GLIA_F32, GLIA_SHAPE(UNITS), zeros);
    glia_tensor y = glia_mul(glia_matmul(x, parameter(g, "w", GLIA_SHAPE(UNITS, UNITS))), scale);
    y = glia_add(glia_add(y, glia_mul(s, glia_add_scalar(flag, 1))), glia_exp(other));
    glia_update(s, glia_add(glia_mul_scalar(s, 0.5), glia_matmul(x, parameter(g, "v", GLIA_SHAPE(UNITS, UNITS)))),
                "move");
    glia_update(flag, glia_mul_scalar(scale, 0.25), "move");
    return y;
}

/* As a state begins: the flag at zero, others at their own values. */
static void begin_again(glia_store *store) {
    glia_array a;
    assert_true(glia_store_find(store, "flag", &a));
    memset(a.data, 0, glia_shape_bytes(a.shape, a.dtype));
}

static void states_change_in_frozen_programs(void **state) {
    (void)state;
    const char *const backends[] = { "ref", "cpu", "cpu" };
    glia_graph *g = glia_graph_create();
    glia_tensor y = changing_net(g);
    const glia_compile_opts plain = { .updates = "move" },
                            opts = { .updates = "move", .frozen = true, .changing = "oth*" };
    for (int k = 0; k < GLIA_COUNT(backends); k++) {
        glia_store *stores[] = { make_store(g), make_store(g) };
        machine a = machine_open(g, stores[0], &y, 1, "ref", 1, plain);
        machine b = machine_open(g, stores[1], &y, 1, backends[k], k, opts);
        assert_true(glia_program_inspect(b.program).launches_once > 0);
        assert_true(k == 0 || glia_program_inspect(b.program).fixed_bytes >= 2 * 12 * 12 * sizeof(float));
        assert_int_equal(scales_left(a.program) - 2, scales_left(b.program)); /* w has the scale; flag's is fixed */
        for (uint64_t run = 0; run < 6; run++) {
            for (int i = 0; i < 2; i++) {
                glia_array other;
                assert_true(glia_store_find(stores[i], "other", &other));
                for (int j = 0; j < 12; j++) ((float *)other.data)[j] = (float)run * 0.1F;
                if (run == 3) begin_again(stores[i]); /* what parameters alone give is written in every run */
            }
            machine_run(&a, run);
            machine_run(&b, run);
            assert_same("states", &a, &b, 1e-5);
        }
        for (int i = 0; i < 2; i++) { /* parameters stay as they were, until the session is told */
            glia_array w;
            assert_true(glia_store_find(stores[i], "w", &w));
            for (int j = 0; j < 12 * 12; j++) ((float *)w.data)[j] *= -2;
        }
        int64_t n;
        glia_array s[2];
        assert_true(glia_store_find(stores[0], "s", &s[0]) && glia_store_find(stores[1], "s", &s[1]));
        memcpy(s[1].data, s[0].data, glia_shape_bytes(s[0].shape, s[0].dtype));
        machine_run(&a, 9);
        const float is = *output_of(&a, &n);
        machine_run(&b, 9);
        assert_true(fabsf(*output_of(&b, &n) - is) > 1e-3F);
        assert_int_equal(glia_session_refresh(b.session, NULL), GLIA_OK);
        machine_run(&a, 10);
        machine_run(&b, 10);
        assert_same("refreshed", &a, &b, 1e-5);
        machine_close(&a);
        machine_close(&b);
        for (int i = 0; i < 2; i++) glia_store_free(stores[i]);
    }
    glia_graph_free(g);
}

static void changing_leaves_are_checked(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_graph *g = glia_graph_create();
    glia_tensor y = changing_net(g);
    glia_backend *b = glia_backend_open("cpu", 1, &error);
    glia_compile_opts opts = { .outputs = &y, .n_outputs = 1, .frozen = true, .changing = "othr" };
    assert_null(glia_compile(g, b, opts, &error));
    assert_int_equal(error.status, GLIA_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "did you mean 'other'"));
    opts.changing = "s,nothing";
    assert_null(glia_compile(g, b, opts, &error));
    assert_non_null(strstr(error.message, "nothing"));
    opts = (glia_compile_opts){ .outputs = &y, .n_outputs = 1, .changing = "s" };
    assert_null(glia_compile(g, b, opts, &error));
    assert_int_equal(error.status, GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "frozen"));
    glia_backend_close(b);
    glia_graph_free(g);
}

/* What a program changes in a store of its own counts as a write there, and not in the store below. */
static void own_states_leave_the_base_unwritten(void **state) {
    (void)state;
    glia_graph *model = glia_graph_create(), *g = glia_graph_create();
    glia_tensor ys[2];
    glia_graph *graphs[] = { model, g };
    for (int i = 0; i < 2; i++) {
        glia_tensor x = glia_input(graphs[i], "x", GLIA_F32, GLIA_SHAPE(4));
        ys[i] = glia_mul(x, parameter(graphs[i], "w", GLIA_SHAPE(4)));
    }
    glia_tensor s = glia_state(g, "s", GLIA_F32, GLIA_SHAPE(4), (glia_init){ .kind = GLIA_INIT_ZEROS });
    glia_update(s, glia_add(s, ys[1]), "move");
    glia_store *base = glia_store_create(model, 1, NULL), *top = glia_store_create_over(base, NULL);
    assert_int_equal(glia_store_add(top, g, 1, NULL), GLIA_OK);
    machine m = machine_open(g, top, &ys[1], 1, "cpu", 1, (glia_compile_opts){ .updates = "move", .frozen = true });
    bool lent;
    const uint64_t below = glia_store_writes(base, &lent), above = glia_store_writes(top, &lent);
    machine_run(&m, 1);
    assert_true(glia_store_writes(base, &lent) == below && glia_store_writes(top, &lent) > above);
    machine_close(&m);
    glia_store_free(top);
    glia_store_free(base);
    glia_graph_free(g);
    glia_graph_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frozen_results_equal_unfrozen),
        cmocka_unit_test(cached_values_do_not_change),
        cmocka_unit_test(refresh_sees_new_values),
        cmocka_unit_test(training_is_refused),
        cmocka_unit_test(scales_fold_into_convolutions),
        cmocka_unit_test(scales_fold_into_matrix_products),
        cmocka_unit_test(all_forms_are_folded),
        cmocka_unit_test(values_with_other_readers_are_not_folded),
        cmocka_unit_test(weights_are_packed_once),
        cmocka_unit_test(matrix_products_are_packed),
        cmocka_unit_test(random_numbers_are_drawn_in_every_run),
        cmocka_unit_test(constant_values_can_be_outputs),
        cmocka_unit_test(states_change_in_frozen_programs),
        cmocka_unit_test(changing_leaves_are_checked),
        cmocka_unit_test(own_states_leave_the_base_unwritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
