/* test_attention.c - attention beyond its op samples: the tiled kernels against the definition in double for random
 * sizes and options, on every instruction set of this machine and any number of threads; queries without keys; scores
 * that could overflow; invalid arguments; memory linear in T. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/tensor/tensor.h"
#include "glia/glia.h"
#include "isa.h"

static const char *const isas[] = { "v2", "v3", "v4", "neon", "generic" };
enum { CASES = 40, MOST_RESULTS = 5, MOST_INPUTS = 9 };

/* ---- random cases -------------------------------------------------------------------------------- */

typedef struct example {
    int64_t n, t, s, h, g, d;
    int packing;
    glia_attention_opts opts; /* without tensors */
    bool lengths, offsets, mask, bias;
    double range; /* of q and k */
    uint64_t seed;
} example;

static int64_t pick(glia_rng *rng, const int64_t *from, int n) { return from[glia_rng_below(rng, (uint64_t)n)]; }
static bool one_in(glia_rng *rng, int n) { return glia_rng_below(rng, (uint64_t)n) == 0; }

static example draw(uint64_t seed) {
    static const int64_t sizes[] = { 1, 3, 4, 8, 13, 16, 32, 40 },
                         times[] = { 1, 2, 3, 4, 5, 12, 13, 33, 48, 49, 64, 101 };
    static const int64_t keys[] = { 1, 2, 5, 16, 33, 64, 130, 511, 513, 1100 };
    glia_rng rng = { .seed = seed, .stream = 5 };
    example e = { .seed = seed, .packing = (int)glia_rng_below(&rng, 3), .range = one_in(&rng, 6) ? 100 : 1 };
    e.n = 1 + (int64_t)glia_rng_below(&rng, 3), e.g = 1 + (int64_t)glia_rng_below(&rng, 2);
    e.h = e.g * (1 + (int64_t)glia_rng_below(&rng, 2));
    e.d = pick(&rng, sizes, GLIA_COUNT(sizes));
    e.t = pick(&rng, times, GLIA_COUNT(times));
    e.s = e.packing == 1 || one_in(&rng, 3) ? e.t : pick(&rng, keys, GLIA_COUNT(keys));
    e.opts = (glia_attention_opts){ .heads = (int)e.h, .groups = (int)e.g, .causal = one_in(&rng, 2) };
    if (one_in(&rng, 3)) e.opts.window = 1 + (int)glia_rng_below(&rng, (uint64_t)e.s + 3);
    if (one_in(&rng, 4)) e.opts.softcap = 0.5;
    if (one_in(&rng, 4)) e.opts.alibi = true;
    if (one_in(&rng, 4)) e.opts.dropout = 0.3;
    e.lengths = one_in(&rng, 3), e.offsets = one_in(&rng, 4), e.mask = one_in(&rng, 4), e.bias = one_in(&rng, 4);
    return e;
}

/* Named inputs with their values; outputs: y, then the gradients of the differentiable inputs. */
typedef struct built {
    glia_graph *g;
    const char *name[MOST_INPUTS];
    double *value[MOST_INPUTS];
    int n_inputs;
    glia_tensor y, results[MOST_RESULTS];
    int n_results;
} built;

static glia_tensor add_input(built *b, const char *name, glia_dtype dtype, glia_shape shape, double low, double high) {
    const int64_t n = glia_shape_count(shape);
    double *x = malloc((size_t)n * sizeof *x);
    glia_rng rng = { .seed = 11, .stream = (uint64_t)b->n_inputs };
    for (int64_t i = 0; i < n; i++) {
        x[i] = low + (high - low) * glia_rng_uniform(&rng);
        x[i] = dtype == GLIA_F32 ? glia_round_to(dtype, x[i]) : floor(x[i]);
    }
    b->name[b->n_inputs] = name;
    b->value[b->n_inputs++] = x;
    return glia_input(b->g, name, dtype, shape);
}

static built build(const example *e) {
    built b = { .g = glia_graph_create() };
    const double r = e->range;
    const int64_t h = e->h * e->d, g = e->g * e->d;
    glia_attention_opts o = e->opts;
    glia_tensor x[4];
    int n = 0;
    if (e->packing == 0) {
        x[n++] = add_input(&b, "q", GLIA_F32, GLIA_SHAPE(e->n, e->t, e->h, e->d), -r, r);
        x[n++] = add_input(&b, "k", GLIA_F32, GLIA_SHAPE(e->n, e->s, e->g, e->d), -r, r);
        x[n++] = add_input(&b, "v", GLIA_F32, GLIA_SHAPE(e->n, e->s, e->g, e->d), -1, 1);
    } else if (e->packing == 1) {
        x[n++] = add_input(&b, "qkv", GLIA_F32, GLIA_SHAPE(e->n, e->t, h + 2 * g), -r, r);
    } else {
        x[n++] = add_input(&b, "q", GLIA_F32, GLIA_SHAPE(e->n, e->t, h), -r, r);
        x[n++] = add_input(&b, "kv", GLIA_F32, GLIA_SHAPE(e->n, e->s, 2 * g), -r, r);
    }
    if (e->lengths) o.lengths = add_input(&b, "lengths", GLIA_I32, GLIA_SHAPE(e->n), 0, (double)e->s + 2);
    if (e->offsets) o.offsets = add_input(&b, "offsets", GLIA_I32, GLIA_SHAPE(e->n), -2, (double)e->s);
    if (e->mask) o.mask = add_input(&b, "mask", GLIA_BOOL, GLIA_SHAPE(e->n, 1, e->t, e->s), 0, 2);
    if (e->bias) x[n++] = o.bias = add_input(&b, "bias", GLIA_F32, GLIA_SHAPE(e->h, e->t, e->s), -1, 1);
    const int packs = n - (e->bias ? 1 : 0);
    b.y = packs == 3   ? glia_attention(x[0], x[1], x[2], o)
          : packs == 1 ? glia_attention_qkv(x[0], o)
                       : glia_attention_kv(x[0], x[1], o);
    glia_tensor dy = add_input(&b, "dy", GLIA_F32, glia_tensor_shape(b.y), -1, 1);
    b.results[b.n_results++] = b.y;
    glia_vjp(b.y, dy, x, n, b.results + 1);
    b.n_results += n;
    glia_error error;
    if (glia_graph_check(b.g, &error) != GLIA_OK) fail_msg("%s", error.message);
    return b;
}

static void built_free(built *b) {
    for (int i = 0; i < b->n_inputs; i++) free(b->value[i]);
    glia_graph_free(b->g);
}

/* ---- running --------------------------------------------------------------------------------------- */

typedef struct outcome {
    double *values[MOST_RESULTS];
    int64_t count[MOST_RESULTS];
} outcome;

static outcome run(const built *b, const char *kind, const char *isa, int threads) {
    glia_error error = { 0 };
    outcome out = { 0 };
    if (isa && !isa_is_wanted(isa)) return out;
    if (isa) setenv("GLIA_ISA", isa, 1);
    glia_backend *backend = glia_backend_open(kind, threads, &error);
    unsetenv("GLIA_ISA");
    if (!backend) return out;
    glia_compile_opts opts = { .outputs = b->results, .n_outputs = b->n_results, .mode = GLIA_TRAIN };
    glia_store *store = glia_store_create(b->g, 3, &error);
    glia_program *program = glia_compile(b->g, backend, opts, &error);
    if (!program) fail_msg("%s", error.message);
    glia_session *session = glia_session_create(program, store, &error);
    if (!session) fail_msg("%s", error.message);
    for (int i = 0; i < b->n_inputs; i++) {
        glia_array a;
        void *data = glia_session_input(session, b->name[i], &a, NULL);
        if (data) glia_from_double(a.dtype, b->value[i], data, glia_shape_count(a.shape));
    }
    assert_int_equal(glia_session_run(session, &error), GLIA_OK);
    for (int i = 0; i < b->n_results; i++) {
        glia_array a = glia_session_output(session, i);
        out.count[i] = glia_shape_count(a.shape);
        out.values[i] = malloc((size_t)out.count[i] * sizeof(double));
        glia_to_double(a.dtype, a.data, out.values[i], out.count[i]);
    }
    glia_session_free(session);
    glia_program_free(program);
    glia_store_free(store);
    glia_backend_close(backend);
    return out;
}

static void outcome_free(outcome *o) {
    for (int i = 0; i < MOST_RESULTS; i++) free(o->values[i]);
}

static void expect(const outcome *is, const outcome *should, int n, double tolerance, const char *what) {
    for (int i = 0; i < n; i++) {
        double largest = 1;
        for (int64_t k = 0; k < should->count[i]; k++) largest = fmax(largest, fabs(should->values[i][k]));
        for (int64_t k = 0; k < should->count[i]; k++) {
            if (fabs(is->values[i][k] - should->values[i][k]) <= tolerance * largest) continue;
            fail_msg("%s: result %d, element %lld is %.9g, not %.9g", what, i, (long long)k, is->values[i][k],
                     should->values[i][k]);
        }
    }
}

static void describe(const example *e, const char *isa, char text[200]) {
    snprintf(text, 200, "case %llu on %s: N %lld T %lld S %lld H %lld G %lld D %lld packing %d%s",
             (unsigned long long)e->seed, isa, (long long)e->n, (long long)e->t, (long long)e->s, (long long)e->h,
             (long long)e->g, (long long)e->d, e->packing, e->opts.causal ? " causal" : "");
}

/* The error of the exponentials grows with the scores: for a hundred times the range the bound is looser. */
static void kernels_match_the_definition(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < CASES; seed++) {
        const example e = draw(seed);
        built b = build(&e);
        outcome should = run(&b, "ref", NULL, 1);
        for (int i = 0; i < GLIA_COUNT(isas); i++) {
            char what[200];
            describe(&e, isas[i], what);
            outcome one = run(&b, "cpu", isas[i], 1), two = run(&b, "cpu", isas[i], 2);
            if (one.values[0]) {
                expect(&one, &should, b.n_results, e.range > 1 ? 4e-3 : 1e-5, what);
                expect(&two, &one, b.n_results, 0, what);
            }
            outcome_free(&one);
            outcome_free(&two);
        }
        outcome_free(&should);
        built_free(&b);
    }
}

/* ---- edge cases ------------------------------------------------------------------------------------ */

/* Attention of x (1, T, 3) with one head of one element on the CPU; lengths are 0 unless there is a bias. */
static void queries_without_keys_give_zeros(void **state) {
    (void)state;
    for (int64_t t = 1; t < 60; t += 29) {
        example e = { .n = 2, .t = t, .s = t, .h = 1, .g = 1, .d = 4, .packing = 1, .lengths = true, .range = 1 };
        e.opts.heads = 1;
        built b = build(&e);
        for (int i = 0; i < b.n_inputs; i++) {
            if (strcmp(b.name[i], "lengths") == 0) b.value[i][0] = 0, b.value[i][1] = (double)t;
        }
        outcome o = run(&b, "cpu", NULL, 1);
        for (int64_t k = 0; k < t * 4; k++) assert_true(o.values[0][k] == 0 && o.values[0][t * 4 + k] != 0);
        for (int64_t k = 0; k < t * 12; k++) assert_true(o.values[1][k] == 0);
        outcome_free(&o);
        built_free(&b);
    }
}

/* Scores of 1e30 and a bias of -inf do not overflow: each query gets the value of its best key. */
static void large_scores_do_not_overflow(void **state) {
    (void)state;
    for (int64_t t = 2; t < 70; t += 62) {
        glia_graph *g = glia_graph_create();
        glia_error error = { 0 };
        glia_tensor q = glia_input(g, "q", GLIA_F32, GLIA_SHAPE(1, t, 1, 1)),
                    k = glia_input(g, "k", GLIA_F32, GLIA_SHAPE(1, t, 1, 1));
        glia_tensor v = glia_input(g, "v", GLIA_F32, GLIA_SHAPE(1, t, 1, 1)),
                    bias = glia_input(g, "bias", GLIA_F32, GLIA_SHAPE(t));
        glia_tensor y = glia_attention(q, k, v, (glia_attention_opts){ .scale = 1, .bias = bias });
        glia_backend *backend = glia_backend_open("cpu", 1, &error);
        glia_program *program = glia_compile(g, backend, (glia_compile_opts){ .outputs = &y, .n_outputs = 1 }, &error);
        glia_store *store = glia_store_create(g, 0, &error);
        glia_session *session = glia_session_create(program, store, &error);
        assert_non_null(session);
        float *qs = glia_session_input(session, "q", NULL, NULL), *ks = glia_session_input(session, "k", NULL, NULL);
        float *vs = glia_session_input(session, "v", NULL, NULL),
              *biases = glia_session_input(session, "bias", NULL, NULL);
        for (int64_t i = 0; i < t; i++) {
            qs[i] = 1e15f;
            ks[i] = 1e15f * (float)i;
            vs[i] = (float)i;
            biases[i] = i == t - 1 ? -INFINITY : 0;
        }
        assert_int_equal(glia_session_run(session, &error), GLIA_OK);
        for (int64_t i = 0; i < t; i++) {
            assert_true(((const float *)glia_session_output(session, 0).data)[i] == (float)(t - 2));
        }
        glia_session_free(session);
        glia_store_free(store);
        glia_program_free(program);
        glia_backend_close(backend);
        glia_graph_free(g);
    }
}

/* Causal attention weights: rows sum to 1, keys after the query have weight 0. */
static void attention_weights(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(1, 5, 2, 3));
    glia_tensor w = glia_attention_weights(x, x, (glia_attention_opts){ .causal = true });
    glia_error error = { 0 };
    assert_true(glia_shape_equal(glia_tensor_shape(w), GLIA_SHAPE(1, 2, 5, 5)));
    glia_backend *backend = glia_backend_open("cpu", 1, &error);
    glia_program *program = glia_compile(g, backend, (glia_compile_opts){ .outputs = &w, .n_outputs = 1 }, &error);
    glia_store *store = glia_store_create(g, 0, &error);
    glia_session *session = glia_session_create(program, store, &error);
    float *values = glia_session_input(session, "x", NULL, NULL);
    for (int i = 0; i < 30; i++) values[i] = (float)sin(i);
    assert_int_equal(glia_session_run(session, &error), GLIA_OK);
    const float *weights = glia_session_output(session, 0).data;
    for (int row = 0; row < 10; row++) {
        double sum = 0;
        for (int s = 0; s < 5; s++) sum += (double)weights[5 * row + s];
        assert_true(fabs(sum - 1) < 1e-6);
        for (int s = row % 5 + 1; s < 5; s++) assert_true(weights[5 * row + s] == 0);
    }
    glia_session_free(session);
    glia_store_free(store);
    glia_program_free(program);
    glia_backend_close(backend);
    glia_graph_free(g);
}

/* ---- memory ------------------------------------------------------------------------------------------ */

static size_t activation_bytes(int64_t t) {
    const example e = { .n = 1,
                        .t = t,
                        .s = t,
                        .h = 2,
                        .g = 2,
                        .d = 16,
                        .packing = 1,
                        .range = 1,
                        .opts = { .heads = 2, .causal = true, .dropout = 0.1 } };
    built b = build(&e);
    glia_error error = { 0 };
    glia_backend *backend = glia_backend_open("cpu", 2, &error);
    glia_compile_opts opts = { .outputs = b.results, .n_outputs = b.n_results, .mode = GLIA_TRAIN };
    glia_program *program = glia_compile(b.g, backend, opts, &error);
    if (!program) fail_msg("%s", error.message);
    const size_t bytes = glia_program_inspect(program).activation_bytes;
    glia_program_free(program);
    glia_backend_close(backend);
    built_free(&b);
    return bytes;
}

static void memory_is_linear_in_time(void **state) {
    (void)state;
    const double small = (double)activation_bytes(2048), large = (double)activation_bytes(16384);
    assert_true(large < 8.2 * small);
}

/* ---- errors ------------------------------------------------------------------------------------------ */

static void expect_mistake(glia_graph *g, const char *words) {
    glia_error error = { 0 };
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_SHAPE);
    if (!strstr(error.message, words)) fail_msg("\"%s\" should be in \"%s\"", words, error.message);
    glia_graph_free(g);
}

static void errors_are_explained(void **state) {
    (void)state;
#define MISTAKE(words, call)                                                                                           \
    do {                                                                                                               \
        glia_graph *g = glia_graph_create();                                                                           \
        glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 5, 12));                                   \
        glia_tensor heads = glia_input(g, "h", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 5, 3, 4));                             \
        glia_tensor i = glia_input(g, "i", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));                                          \
        glia_tensor f = glia_input(g, "f", GLIA_F32, GLIA_SHAPE(3, 5, 5));                                             \
        (void)x, (void)heads, (void)i, (void)f;                                                                        \
        assert_ptr_equal(call, call);                                                                                  \
        expect_mistake(g, words);                                                                                      \
    } while (0)
    MISTAKE("number of heads", glia_attention_qkv(x, (glia_attention_opts){ 0 }));
    MISTAKE("cannot share", glia_attention_qkv(x, (glia_attention_opts){ .heads = 2, .groups = 3 }));
    MISTAKE("columns are not", glia_attention_qkv(x, (glia_attention_opts){ .heads = 5 }));
    MISTAKE("columns should be", glia_attention_kv(x, x, (glia_attention_opts){ .heads = 3 }));
    MISTAKE("(N, T, H, D)", glia_attention(x, x, x, (glia_attention_opts){ 0 }));
    MISTAKE("lengths must be", glia_attention(heads, heads, heads, (glia_attention_opts){ .lengths = f }));
    MISTAKE("offsets must be", glia_attention(heads, heads, heads, (glia_attention_opts){ .offsets = f }));
    MISTAKE("mask must be", glia_attention(heads, heads, heads, (glia_attention_opts){ .mask = f }));
    MISTAKE("bias must be", glia_attention(heads, heads, heads, (glia_attention_opts){ .bias = i }));
    MISTAKE("rate must be", glia_attention(heads, heads, heads, (glia_attention_opts){ .dropout = 1.5 }));
    MISTAKE("window cannot", glia_attention(heads, heads, heads, (glia_attention_opts){ .window = -1 }));
    MISTAKE("softcap cannot", glia_attention(heads, heads, heads, (glia_attention_opts){ .softcap = -1 }));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_match_the_definition), cmocka_unit_test(queries_without_keys_give_zeros),
        cmocka_unit_test(large_scores_do_not_overflow),  cmocka_unit_test(attention_weights),
        cmocka_unit_test(memory_is_linear_in_time),   cmocka_unit_test(errors_are_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
