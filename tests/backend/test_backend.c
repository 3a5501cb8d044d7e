/* test_backend.c - the CPU backend against the ops' definitions: every sample of every op, and random graphs of
 * elementwise ops, broadcasts, reductions and products, on every instruction set of this machine, with the same bits on
 * any number of threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/launch/backend.h"
#include "glia/glia.h"
#include "isa.h"
#include "op_samples.h"

static const char *const isas[] = { "v2", "v3", "v4", "neon", "generic" };

/* Opens the backend with this instruction set; NULL if it is not available or not selected. */
static glia_backend *open_cpu(const char *isa, int threads) {
    if (!isa_is_wanted(isa)) return NULL;
    setenv("GLIA_ISA", isa, 1);
    glia_backend *b = glia_backend_open("cpu", threads, NULL);
    unsetenv("GLIA_ISA");
    return b;
}

/* ---- running a graph of primitives --------------------------------------------------------------- */

/* Runs the graph with inputs "x0", ... given as doubles; each output is a buffer, rounded to the output's dtype. */
static void run_cpu(glia_backend *backend, glia_graph *g, int n, double *const *given, bool no_fusion,
                    double **results) {
    glia_error error = { 0 };
    glia_tensor outputs[32];
    for (int i = 0; i < g->n_outputs; i++) outputs[i] = g->outputs[i].node;
    glia_compile_opts opts = { .outputs = outputs, .n_outputs = g->n_outputs, .no_fusion = no_fusion };
    glia_store *store = glia_store_create(g, 0, &error);
    if (!store) fail_msg("%s", error.message);
    glia_program *program = glia_compile(g, backend, opts, &error);
    if (!program) fail_msg("%s", error.message);
    glia_session *session = glia_session_create(program, store, &error);
    if (!session) fail_msg("%s", error.message);
    for (int run = 0; run < 2; run++) { /* twice: a run must not depend on memory left by the previous one */
        for (int i = 0; i < n; i++) {
            char name[16];
            glia_array a;
            snprintf(name, sizeof name, "x%d", i);
            void *data = glia_session_input(session, name, &a, NULL);
            if (data) glia_from_double(a.dtype, given[i], data, glia_shape_count(a.shape));
        }
        assert_int_equal(glia_session_run(session, &error), GLIA_OK);
    }
    for (int i = 0; i < g->n_outputs; i++) {
        glia_array a = glia_session_output(session, i);
        int64_t count = glia_shape_count(a.shape);
        results[i] = malloc((size_t)count * sizeof(double));
        glia_to_double(a.dtype, a.data, results[i], count);
    }
    glia_session_free(session);
    glia_program_free(program);
    glia_store_free(store);
}

static void expect_near(const char *what, const double *got, const double *want, int64_t n, double tolerance) {
    for (int64_t i = 0; i < n; i++) {
        if (got[i] == want[i] || (isnan(got[i]) && isnan(want[i]))) continue;
        if (!(fabs(got[i] - want[i]) <= tolerance * (1 + fabs(want[i])))) {
            fail_msg("%s: element %lld of %lld is %.9g, not %.9g", what, (long long)i, (long long)n, got[i], want[i]);
        }
    }
}

/* ---- every op ------------------------------------------------------------------------------------ */

static void check_sample(glia_backend *backend, const char *isa, const glia_op *op, const glia_op_sample *sample) {
    char what[160];
    snprintf(what, sizeof what, "%s '%s' on %s", op->name, sample->name, isa);
    glia_error error = { 0 };
    sample_case c = sample_open(op, sample);
    sample_graph s = sample_build(op, sample, false);
    glia_graph *primitives = sample_expanded(s.g, GLIA_INFER, &error);
    if (!primitives) fail_msg("%s: %s", what, error.message);
    double *want = sample_evaluate(primitives, 0, sample->n, c.x, &error), *got[2];
    if (!want) fail_msg("%s: %s", what, error.message);
    glia_shape shape = s.y->shape;
    for (int no_fusion = 0; no_fusion < 2; no_fusion++) {
        run_cpu(backend, s.g, sample->n, c.x, no_fusion, got);
        glia_dtype t = s.y->dtype;
        double tolerance = t == GLIA_F32 ? 3e-6 : t == GLIA_BF16 ? 0.01 : t == GLIA_F16 ? 0.001 : 1e-12;
        expect_near(what, got[0], want, glia_shape_count(shape), tolerance);
        free(got[0]);
    }
    free(want);
    glia_graph_free(primitives);
    glia_graph_free(s.g);
    sample_close(&c);
}

static void ops_match_definitions(void **state) {
    (void)state;
    for (int k = 0; k < GLIA_COUNT(isas); k++) {
        glia_backend *backend = open_cpu(isas[k], 2);
        for (int i = 0; backend && i < glia_op_count(); i++) {
            const glia_op *op = glia_op_at(i);
            for (const glia_op_sample *s = glia_op_samples(i); s && s->name; s++) check_sample(backend, isas[k], op, s);
        }
        glia_backend_close(backend);
    }
}

/* ---- random graphs --------------------------------------------------------------------------------- */

enum { MOST_INPUTS = 16, MOST_VALUES = 40 };

typedef struct random_graph {
    glia_graph *g;
    glia_rng rng;
    glia_shape space;
    double *x[MOST_INPUTS];
    int n_x;
    glia_tensor value[MOST_VALUES]; /* f32, shape `space`, bounded by about 2 */
    int n_values;
} random_graph;

static int draw(random_graph *r, int below) { return (int)glia_rng_below(&r->rng, (uint64_t)below); }

static glia_tensor new_input(random_graph *r, glia_dtype dtype, glia_shape shape) {
    char name[16];
    snprintf(name, sizeof name, "x%d", r->n_x);
    int64_t n = glia_shape_count(shape);
    double *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) {
        double u = glia_rng_uniform(&r->rng);
        x[i] = dtype == GLIA_F32    ? glia_round_to(GLIA_F32, 2 * u - 1)
               : dtype == GLIA_BOOL ? u < 0.5
                                    : floor(u * 200) - (dtype == GLIA_U8 ? 0 : 100);
    }
    r->x[r->n_x++] = x;
    return glia_input(r->g, name, dtype, shape);
}

/* The shape `space`, or one that broadcasts to it: some axes of size 1, some leading ones missing. */
static glia_shape some_shape(random_graph *r) {
    glia_shape s = r->space;
    if (draw(r, 2)) return s;
    int missing = draw(r, s.rank + 1);
    s.rank -= missing;
    for (int k = 0; k < s.rank; k++) s.dim[k] = draw(r, 2) ? 1 : r->space.dim[k + missing];
    return s;
}

static glia_tensor new_leaf(random_graph *r) {
    glia_shape s = some_shape(r);
    static const glia_dtype types[9] = { GLIA_U8, GLIA_I32, GLIA_BOOL, GLIA_I8 }; /* the others: f32 */
    int kind = draw(r, 9);
    glia_tensor x = new_input(r, types[kind], s);
    if (kind == 0 || kind == 1 || kind == 3) x = glia_mul_scalar(glia_cast(x, GLIA_F32), 0.01);
    if (kind == 2) x = glia_cast(x, GLIA_F32);
    if (draw(r, 2)) x = glia_mul(glia_tanh(x), x); /* an intermediate value: its memory is reused */
    return glia_broadcast(x, r->space);
}

static glia_tensor any_value(random_graph *r) {
    if (r->n_values == 0 || (r->n_x < 6 && draw(r, 3) == 0)) {
        glia_tensor x = new_leaf(r);
        if (r->n_values < MOST_VALUES) r->value[r->n_values++] = x;
        return x;
    }
    return r->value[draw(r, r->n_values)];
}

static glia_tensor condition(random_graph *r) {
    if (r->n_x < 8 && draw(r, 2)) return glia_broadcast(new_input(r, GLIA_BOOL, some_shape(r)), r->space);
    if (r->n_x < 8) {
        glia_tensor x = glia_broadcast(new_input(r, GLIA_I32, some_shape(r)), r->space);
        if (draw(r, 2)) return glia_less(x, glia_scalar(r->g, GLIA_I32, 10));
        return glia_greater_equal(glia_broadcast(new_input(r, GLIA_I32, some_shape(r)), r->space), x);
    }
    return glia_greater(glia_like(r->value[0], 0.3), glia_like(r->value[0], draw(r, 2)));
}

/* A value common to all elements of a row, along the last or other axes. */
static glia_tensor new_statistic(random_graph *r, glia_tensor x) {
    glia_shape axes = GLIA_SHAPE(r->space.rank - 1);
    for (int i = r->space.rank - 2; i >= 0 && draw(r, 3) == 0; i--) axes.dim[axes.rank++] = i;
    glia_tensor y = draw(r, 3)   ? glia_mean(x, axes, true)
                    : draw(r, 2) ? glia_max(x, axes, true)
                                 : glia_variance(x, axes, true);
    return draw(r, 2) ? y : glia_exp(glia_neg(glia_abs(y)));
}

/* GELU and its slope of one value, in either order, with the first one stored or not. */
static glia_tensor new_gelu(random_graph *r, glia_tensor x) {
    static const glia_op *const ops[][2] = { { &glia_op_gelu, &glia_op_gelu_slope },
                                             { &glia_op_gelu_tanh, &glia_op_gelu_tanh_slope } };
    const int kind = draw(r, 2), first = draw(r, 2);
    glia_tensor a = glia_node1(ops[kind][first], x, NULL), b = glia_node1(ops[kind][1 - first], x, NULL);
    if (draw(r, 2) && r->n_values < MOST_VALUES) r->value[r->n_values++] = a;
    return draw(r, 2) ? b : glia_sub(a, glia_mul_scalar(b, 0.6));
}

/* A random operation with results within about [-2, 2], smooth enough for comparison. */
static glia_tensor new_value(random_graph *r) {
    glia_tensor a = any_value(r), b = any_value(r), c = any_value(r);
    switch (draw(r, 28)) {
    case 26: return glia_maximum(glia_add(glia_add(a, b), c), glia_like(a, -0.25));
    case 27: return glia_minimum(glia_maximum(glia_add(a, b), glia_like(a, -0.5)), glia_like(a, 0.25));
    case 24: return new_gelu(r, a);
    case 25: return new_gelu(r, glia_mul_scalar(glia_add(a, b), 3));
    case 16: return glia_mul_scalar(glia_sub(a, new_statistic(r, a)), 0.5);
    case 17: return glia_mul(glia_tanh(b), new_statistic(r, a));
    case 18: return glia_softmax(a, -1);
    case 19: return glia_tanh(glia_add(glia_mul(glia_sub(a, new_statistic(r, b)), b), c));
    case 20: return glia_relu(glia_add(a, new_statistic(r, b)));
    case 21: return glia_add(glia_mul_scalar(a, 0.9), glia_mul_scalar(glia_square(b), 0.1));
    case 22: return glia_add(glia_mul_scalar(a, 0.3), glia_mul_scalar(b, 0.7));
    case 23: {
        glia_tensor root = glia_add_scalar(glia_mul_scalar(glia_sqrt(glia_add_scalar(glia_square(b), 0.1)), 2), 0.5);
        return glia_sub(a, glia_div(glia_mul_scalar(c, 0.4), root));
    }
    case 0: return glia_tanh(glia_add(a, b));
    case 1: return glia_mul_scalar(glia_sub(a, b), 0.5);
    case 2: return glia_tanh(glia_mul(a, b));
    case 3: return glia_sigmoid(a);
    case 4: return glia_maximum(a, b);
    case 5: return glia_minimum(a, glia_like(a, 0.25));
    case 6: return glia_select(condition(r), a, b);
    case 7: return glia_select(condition(r), a, glia_like(a, 0));
    case 8: return glia_exp(glia_neg(glia_abs(a)));
    case 9: return glia_sqrt(glia_add_scalar(glia_abs(a), 0.1));
    case 10: return glia_log1p(glia_mul(a, a));
    case 11: return glia_erf(glia_add(glia_mul_scalar(a, 0.5), b));
    case 12: return glia_div(a, glia_add_scalar(glia_mul(b, b), 1));
    case 13: return glia_tanh(glia_sub(glia_mul(a, b), glia_mul_scalar(a, 0.7)));
    case 14: return glia_select(glia_and(condition(r), glia_not(condition(r))), b, a);
    default: return glia_pow(glia_add_scalar(glia_abs(a), 0.2), glia_like(a, draw(r, 4) - 1));
    }
}

/* A matrix product with a result of shape `space`, if that has at least two axes. */
static glia_tensor new_product(random_graph *r) {
    glia_shape s = r->space;
    int64_t m = s.dim[s.rank - 2], n = s.dim[s.rank - 1], k = 1 + draw(r, 40);
    bool ta = draw(r, 2), tb = draw(r, 2);
    glia_shape a = s, b = s;
    a.dim[s.rank - 2] = ta ? k : m, a.dim[s.rank - 1] = ta ? m : k;
    b.dim[s.rank - 2] = tb ? n : k, b.dim[s.rank - 1] = tb ? k : n;
    if (s.rank > 2 && draw(r, 2)) b = GLIA_SHAPE(tb ? n : k, tb ? k : n);
    glia_tensor y = glia_matmul_transposed(new_input(r, GLIA_F32, a), ta, new_input(r, GLIA_F32, b), tb);
    return glia_mul_scalar(y, 1 / sqrt((double)k));
}

static glia_tensor new_convolution(random_graph *r) {
    glia_shape s = r->space, x = s, kernel = { s.rank, { s.dim[1], 3 } };
    x.dim[1] = 3;
    for (int i = 2; i < s.rank; i++) kernel.dim[i] = 3;
    glia_conv_window w = { .padding = GLIA_SAME };
    return glia_mul_scalar(glia_conv(new_input(r, GLIA_F32, x), new_input(r, GLIA_F32, kernel), w), 0.2);
}

static glia_tensor new_reduction(random_graph *r, glia_tensor x) {
    glia_shape axes = { 0 };
    for (int i = 0; i < r->space.rank; i++) {
        if (draw(r, 2)) axes.dim[axes.rank++] = i;
    }
    if (draw(r, 3) == 0) return glia_variance(x, axes, draw(r, 2));
    return draw(r, 3) ? glia_mean(x, axes, draw(r, 2)) : glia_max(x, axes, draw(r, 2));
}

static const glia_shape spaces[] = {
    GLIA_DIMS(1),
    GLIA_DIMS(7),
    GLIA_DIMS(3001),
    GLIA_DIMS(40000),
    GLIA_DIMS(7, 33),
    GLIA_DIMS(64, 10),
    GLIA_DIMS(1500, 10),
    GLIA_DIMS(3, 700),
    GLIA_DIMS(130, 257),
    GLIA_DIMS(2, 6000),
    GLIA_DIMS(6000, 2),
    GLIA_DIMS(3, 5, 67),
    GLIA_DIMS(4, 3, 14, 14),
    GLIA_DIMS(8, 6, 27, 27),
    GLIA_DIMS(2, 1, 3, 1, 5),
    GLIA_DIMS(3, 4, 5, 6),
    GLIA_DIMS(16, 9, 200),
    GLIA_DIMS(9, 1, 300),
    GLIA_DIMS(20, 3000),
    GLIA_DIMS(1, 1),
    GLIA_DIMS(30, 30),
    GLIA_DIMS(300, 300),
    GLIA_DIMS(12, 12, 12),
    GLIA_DIMS(5, 200, 200),
};

static random_graph random_graph_open(uint64_t seed) {
    random_graph r = { .g = glia_graph_create(), .rng = { .seed = seed } };
    r.space = spaces[draw(&r, GLIA_COUNT(spaces))];
    const glia_shape s = r.space;
    if (s.rank >= 2 && draw(&r, 2))
        r.value[r.n_values++] = new_product(&r);
    else if (s.rank >= 3 && s.rank <= 4 && draw(&r, 2))
        r.value[r.n_values++] = new_convolution(&r);
    int steps = 1 + draw(&r, 14), outputs = 1 + draw(&r, 3);
    for (int i = 0; i < steps && r.n_values < MOST_VALUES; i++) {
        glia_tensor v = new_value(&r);
        if (r.n_values < MOST_VALUES) r.value[r.n_values++] = v;
    }
    glia_graph_output(r.g, "y", r.value[r.n_values - 1]);
    for (int i = 0; i < outputs; i++) {
        char name[16];
        snprintf(name, sizeof name, "y%d", i);
        glia_tensor v = any_value(&r);
        int kind = draw(&r, 4);
        glia_graph_output(r.g, name, kind == 0 ? v : kind == 1 ? condition(&r) : new_reduction(&r, v));
    }
    return r;
}

static void random_graph_close(random_graph *r) {
    for (int i = 0; i < r->n_x; i++) free(r->x[i]);
    glia_graph_free(r->g);
}

static void check_random_graph(uint64_t seed, glia_backend *const *backends, int n_backends) {
    random_graph r = random_graph_open(seed);
    glia_error error = { 0 };
    if (glia_graph_check(r.g, &error) != GLIA_OK) fail_msg("graph %d: %s", (int)seed, error.message);
    glia_graph *primitives = sample_expanded(r.g, GLIA_INFER, &error);
    assert_non_null(primitives);
    for (int b = 0; b < n_backends; b++) {
        double *got[16];
        run_cpu(backends[b], r.g, r.n_x, r.x, false, got);
        for (int i = 0; i < r.g->n_outputs; i++) {
            char what[200];
            snprintf(what, sizeof what, "graph %d, output %d, %s", (int)seed, i, glia_backend_describe(backends[b]));
            double *want = sample_evaluate(primitives, i, r.n_x, r.x, &error);
            if (!want) fail_msg("%s: %s", what, error.message);
            expect_near(what, got[i], want, glia_shape_count(r.g->outputs[i].node->shape), 2e-5);
            free(want);
            free(got[i]);
        }
    }
    glia_graph_free(primitives);
    random_graph_close(&r);
}

static void random_graphs_match_definitions(void **state) {
    (void)state;
    glia_backend *backends[GLIA_COUNT(isas)];
    int n = 0;
    for (int k = 0; k < GLIA_COUNT(isas); k++) {
        if ((backends[n] = open_cpu(isas[k], 2))) n++;
    }
    assert_true(n > 0);
    const int graphs = getenv("GLIA_TEST_GRAPHS") ? atoi(getenv("GLIA_TEST_GRAPHS")) : 150;
    for (int seed = 1; seed <= graphs; seed++) check_random_graph((uint64_t)seed, backends, n);
    for (int k = 0; k < n; k++) glia_backend_close(backends[k]);
}

static void same_bits_on_any_number_of_threads(void **state) {
    (void)state;
    static const int threads[] = { 1, 2, 3, 8 };
    glia_backend *backends[GLIA_COUNT(threads)];
    for (int k = 0; k < GLIA_COUNT(threads); k++) {
        backends[k] = glia_backend_open("cpu", threads[k], NULL);
        assert_non_null(backends[k]);
    }
    for (uint64_t seed = 200; seed < 260; seed++) {
        random_graph r = random_graph_open(seed);
        double *first[16], *other[16];
        run_cpu(backends[0], r.g, r.n_x, r.x, false, first);
        for (int k = 1; k < GLIA_COUNT(threads); k++) {
            run_cpu(backends[k], r.g, r.n_x, r.x, false, other);
            for (int i = 0; i < r.g->n_outputs; i++) {
                size_t bytes = (size_t)glia_shape_count(r.g->outputs[i].node->shape) * sizeof(double);
                if (memcmp(first[i], other[i], bytes)) fail_msg("graph %d on %d threads", (int)seed, threads[k]);
                free(other[i]);
            }
        }
        for (int i = 0; i < r.g->n_outputs; i++) free(first[i]);
        random_graph_close(&r);
    }
    for (int k = 0; k < GLIA_COUNT(threads); k++) glia_backend_close(backends[k]);
}

/* ---- statistics ----------------------------------------------------------------------------------------- */

/* A batch whose mean is a thousand standard deviations from zero is normalised as exactly as f32 permits. */
static void check_far_from_zero(glia_backend *backend, const char *isa, glia_shape shape) {
    char what[100];
    snprintf(what, sizeof what, "(%lld, %lld, ...) on %s", (long long)shape.dim[0], (long long)shape.dim[1], isa);
    const int64_t n = glia_shape_count(shape), channels = shape.dim[1], inner = n / shape.dim[0] / channels;
    glia_error error = { 0 };
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x0", GLIA_F32, shape), y = glia_batch_norm(x, "norm", (glia_norm_opts){ 0 });
    glia_store *store = glia_store_create(g, 0, &error);
    glia_compile_opts opts = { .outputs = &y, .n_outputs = 1, .mode = GLIA_TRAIN };
    glia_program *program = glia_compile(g, backend, opts, &error);
    if (!program) fail_msg("%s", error.message);
    glia_session *session = glia_session_create(program, store, &error);
    float *in = glia_session_input(session, "x0", NULL, NULL);
    glia_rng rng = { .seed = 8 };
    for (int64_t i = 0; i < n; i++) in[i] = (float)(1000 + glia_rng_normal(&rng));
    assert_int_equal(glia_session_run(session, &error), GLIA_OK);
    const float *out = glia_session_output(session, 0).data;
    for (int64_t c = 0; c < channels; c++) {
        double mean = 0, variance = 0;
        const double count = (double)(n / channels);
#define EACH_OF_CHANNEL(i)                                                                                             \
    for (int64_t i = c * inner, k = 0; k < n / channels; k++, i = (k / inner * channels + c) * inner + k % inner)
        EACH_OF_CHANNEL(i) mean += in[i] / count;
        EACH_OF_CHANNEL(i) variance += (in[i] - mean) * (in[i] - mean) / count;
        EACH_OF_CHANNEL(i) {
            const double want = (in[i] - mean) / sqrt(variance + 1e-5);
            if (!(fabs(out[i] - want) <= 1e-4)) fail_msg("%s: %g, not %g", what, (double)out[i], want);
        }
    }
    glia_session_free(session);
    glia_program_free(program);
    glia_store_free(store);
    glia_graph_free(g);
}

static void norms_far_from_zero(void **state) {
    (void)state;
    for (int k = 0; k < GLIA_COUNT(isas); k++) {
        glia_backend *backend = open_cpu(isas[k], 2);
        if (!backend) continue;
        check_far_from_zero(backend, isas[k], GLIA_SHAPE(2000, 5));
        check_far_from_zero(backend, isas[k], GLIA_SHAPE(7, 40, 9));
        check_far_from_zero(backend, isas[k], GLIA_SHAPE(16, 24, 12, 13));
        glia_backend_close(backend);
    }
}

/* ---- opening ----------------------------------------------------------------------------------------- */

static void backend_names_are_checked(void **state) {
    (void)state;
    glia_error error = { 0 };
    assert_null(glia_backend_open("cpuu", 1, &error));
    assert_int_equal(error.status, GLIA_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "'cpu'"));
    assert_null(glia_backend_open("quantum", 1, &error));
    glia_backend *ref = glia_backend_open("ref", 4, &error);
    assert_string_equal(glia_backend_describe(ref), "ref, f64, 1 thread");
    glia_backend_close(ref);
    glia_backend *cpu = glia_backend_open("cpu", 3, &error);
    assert_non_null(strstr(glia_backend_describe(cpu), ", 3 threads"));
    glia_backend_close(cpu);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ops_match_definitions),
        cmocka_unit_test(random_graphs_match_definitions),
        cmocka_unit_test(same_bits_on_any_number_of_threads),
        cmocka_unit_test(norms_far_from_zero),
        cmocka_unit_test(backend_names_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
