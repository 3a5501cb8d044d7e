/* test_generate.c - sampling, beam search, and incremental decoding. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "glia/glia.h"

/* ---- sampling ------------------------------------------------------------------------------- */

static int32_t sample(glia_sampling how, const float *scores, int64_t vocabulary, const int32_t *past, int64_t n) {
    glia_error error = { 0 };
    glia_sampler *s = glia_sampler_create(vocabulary, how, &error);
    if (!s) fail_msg("%s", error.message);
    int32_t token = -1;
    if (glia_sampler_next(s, scores, past, n, &token, &error) != GLIA_OK) fail_msg("%s", error.message);
    glia_sampler_free(s);
    return token;
}

/* Counts each of `vocabulary` tokens in `draws` draws, which differ in the number of past tokens. */
static void count_draws(glia_sampling how, const float *scores, int64_t vocabulary, int draws, int *counts) {
    glia_sampler *s = glia_sampler_create(vocabulary, how, NULL);
    int32_t *past = calloc((size_t)draws + 1, sizeof *past), token;
    memset(past, -1, (size_t)draws * sizeof *past); /* no valid token */
    memset(counts, 0, (size_t)vocabulary * sizeof *counts);
    for (int i = 0; i < draws; i++) {
        assert_int_equal(glia_sampler_next(s, scores, past, i, &token, NULL), GLIA_OK);
        assert_in_range(token, 0, vocabulary - 1);
        counts[token]++;
    }
    free(past);
    glia_sampler_free(s);
}

static void shares_are(const int *counts, const double *shares, int n, int draws) {
    for (int i = 0; i < n; i++) {
        double expected = shares[i] * draws, deviation = sqrt(expected * (1 - shares[i])) + 1e-9;
        if (fabs(counts[i] - expected) > 5 * deviation)
            fail_msg("token %d: %d draws, not about %g", i, counts[i], expected);
    }
}

static const float five[5] = { 1.0986123F /* log 3 */, 0, 0.69314718F /* log 2 */, -INFINITY, 1.3862944F /* log 4 */ };

static void test_samples_follow_probabilities(void **state) {
    (void)state;
    int counts[5];
    count_draws((glia_sampling){ .seed = 1 }, five, 5, 20000, counts);
    shares_are(counts, (double[]){ 0.3, 0.1, 0.2, 0, 0.4 }, 5, 20000);
    /* temperature 1/2 squares the odds: 9 1 4 16 */
    count_draws((glia_sampling){ .temperature = 0.5, .seed = 2 }, five, 5, 20000, counts);
    shares_are(counts, (double[]){ 9.0 / 30, 1.0 / 30, 4.0 / 30, 0, 16.0 / 30 }, 5, 20000);
}

static void test_top_k_top_p_min_p(void **state) {
    (void)state;
    int counts[5];
    count_draws((glia_sampling){ .top_k = 2 }, five, 5, 20000, counts);
    shares_are(counts, (double[]){ 3.0 / 7, 0, 0, 0, 4.0 / 7 }, 5, 20000);
    /* 0.4 + 0.3 do not make 0.75; 0.4 + 0.3 + 0.2 do */
    count_draws((glia_sampling){ .top_p = 0.75 }, five, 5, 20000, counts);
    shares_are(counts, (double[]){ 3.0 / 9, 0, 2.0 / 9, 0, 4.0 / 9 }, 5, 20000);
    count_draws((glia_sampling){ .top_p = 0.65 }, five, 5, 20000, counts);
    shares_are(counts, (double[]){ 3.0 / 7, 0, 0, 0, 4.0 / 7 }, 5, 20000);
    count_draws((glia_sampling){ .top_p = 1e-9 }, five, 5, 100, counts);
    assert_int_equal(counts[4], 100);
    /* top_p applies to the tokens left by top_k: 4/7 suffices for 0.5 */
    count_draws((glia_sampling){ .top_k = 2, .top_p = 0.5 }, five, 5, 100, counts);
    assert_int_equal(counts[4], 100);
    count_draws((glia_sampling){ .min_p = 0.49 }, five, 5, 20000, counts); /* relative to 4: keeps 3, 4 and 2 */
    shares_are(counts, (double[]){ 3.0 / 9, 0, 2.0 / 9, 0, 4.0 / 9 }, 5, 20000);
    count_draws((glia_sampling){ .min_p = 0.51 }, five, 5, 20000, counts);
    shares_are(counts, (double[]){ 3.0 / 7, 0, 0, 0, 4.0 / 7 }, 5, 20000);
}

static void test_greedy_takes_the_first_highest(void **state) {
    (void)state;
    const float scores[6] = { -3, 2, 5, 5, -1, 4 };
    assert_int_equal(sample((glia_sampling){ .greedy = true, .temperature = 9, .top_k = 1 }, scores, 6, NULL, 0), 2);
    assert_int_equal(sample((glia_sampling){ .top_k = 1 }, scores, 6, NULL, 0), 2);
}

static void test_repetition_penalty(void **state) {
    (void)state;
    const float scores[4] = { 4, 3, -1, -1.5F };
    const int32_t past[4] = { 0, 0, 1, 2 };
    glia_sampling how = { .repetition_penalty = 2, .greedy = true };
    assert_int_equal(sample(how, scores, 4, past, 2), 1); /* 4 becomes 2; applied once */
    assert_int_equal(sample(how, scores, 4, past, 3), 0); /* they become 2 and 1.5 */
    const float low[2] = { -1, -1.5F };
    const int32_t zero = 0;
    assert_int_equal(sample(how, low, 2, &zero, 1), 1); /* -1 becomes -2 */
}

static void test_same_seed_same_draw(void **state) {
    (void)state;
    float flat[1000] = { 0 };
    int32_t past[8] = { 0 };
    int differ = 0;
    for (int i = 0; i < 8; i++) {
        int32_t a = sample((glia_sampling){ .seed = 5 }, flat, 1000, past, i);
        assert_int_equal(a, sample((glia_sampling){ .seed = 5 }, flat, 1000, past, i));
        differ += a != sample((glia_sampling){ .seed = 6 }, flat, 1000, past, i);
    }
    assert_true(differ >= 7);
}

static void test_invalid_sampling_options(void **state) {
    (void)state;
    const struct {
        glia_sampling how;
        const char *says;
    } rows[] = { { { .temperature = -1 }, "temperature" },
                 { { .top_p = 1.5 }, "top_p" },
                 { { .top_p = NAN }, "top_p" },
                 { { .top_k = -2 }, "top_k" },
                 { { .min_p = 2 }, "min_p" },
                 { { .repetition_penalty = -1 }, "repetition_penalty" },
                 { { .temperature = INFINITY }, "temperature" } };
    glia_error error;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_null(glia_sampler_create(4, rows[i].how, &error));
        assert_int_equal(error.status, GLIA_E_ARGUMENT);
        assert_non_null(strstr(error.message, rows[i].says));
    }
    glia_sampler *s = glia_sampler_create(2, (glia_sampling){ 0 }, NULL);
    int32_t token;
    assert_int_equal(glia_sampler_next(s, (float[]){ NAN, 1 }, NULL, 0, &token, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_sampler_next(s, (float[]){ -INFINITY, -INFINITY }, NULL, 0, &token, &error), GLIA_E_ARGUMENT);
    glia_sampler_free(s);
}

/* ---- beam search ------------------------------------------------------------------------------ */

enum { WORDS = 5, END = 4, LONGEST = 6 };

/* A language model that depends on the last two tokens. */
static void language(const int32_t *tokens, int64_t length, float *scores) {
    int32_t last = tokens[length - 1], before = length > 1 ? tokens[length - 2] : 0;
    for (int v = 0; v < WORDS; v++)
        scores[v] = (float)sin(1.7 * last + 3.1 * before + 2.3 * v + 0.9 * (double)v * v) * 2 - (v == END ? 0.5F : 0);
}

static glia_status next_scores(const int32_t *tokens, int n, int64_t length, const int *parents, float *scores,
                               void *context, glia_error *error) {
    (void)error;
    int *calls = context;
    assert_int_equal(parents == NULL, *calls == 0);
    for (int i = 0; i < n; i++) {
        if (parents) assert_in_range(parents[i], 0, 1000);
        language(tokens + i * length, length, scores + i * WORDS);
    }
    ++*calls;
    return GLIA_OK;
}

static double log_probability(const int32_t *tokens, int64_t begin, int64_t n) {
    double sum = 0;
    for (int64_t i = begin; i < n; i++) {
        float scores[WORDS];
        double total = 0;
        language(tokens, i, scores);
        for (int v = 0; v < WORDS; v++) total += exp(scores[v]);
        sum += scores[tokens[i]] - log(total);
    }
    return sum;
}

/* The best complete sequence by exhaustive search; sequences of length LONGEST count as complete. */
static void best_of_all(int32_t *tokens, int64_t n, double penalty, double *best, int32_t *found, int64_t *length) {
    int64_t more = n - 1;
    if (more > 0 && (tokens[n - 1] == END || more == LONGEST)) {
        double score = log_probability(tokens, 1, n) / pow((5 + (double)more) / 6, penalty);
        if (score > *best) *best = score, *length = more, memcpy(found, tokens + 1, (size_t)more * sizeof *found);
        return;
    }
    for (int32_t v = 0; v < WORDS; v++) {
        tokens[n] = v;
        best_of_all(tokens, n + 1, penalty, best, found, length);
    }
}

static void test_wide_beams_find_the_best(void **state) {
    (void)state;
    for (int32_t first = 0; first < 4; first++) {
        for (double penalty = 0; penalty < 1.5; penalty += 0.6) {
            int32_t tokens[LONGEST + 2] = { first }, best[LONGEST + 1] = { 0 };
            double score = -INFINITY;
            int64_t n = 0;
            best_of_all(tokens, 1, penalty, &score, best, &n);
            glia_hypothesis found[1000];
            int n_found = 0, calls = 0;
            glia_beam_opts opts = {
                .vocabulary = WORDS, .beams = 1000, .length = LONGEST, .end = END, .length_penalty = penalty
            };
            assert_int_equal(glia_beam_search(next_scores, &calls, &first, 1, opts, found, &n_found, NULL), GLIA_OK);
            assert_true(n_found > 100);
            assert_int_equal(found[0].n, n);
            assert_memory_equal(found[0].tokens, best, (size_t)n * sizeof *best);
            assert_true(fabs(found[0].score - score) < 1e-5);
            for (int i = 1; i < n_found; i++) assert_true(found[i].score <= found[i - 1].score);
            for (int i = 0; i < n_found; i++) free(found[i].tokens);
        }
    }
}

static void test_one_beam_is_greedy(void **state) {
    (void)state;
    int32_t begin[2] = { 3, 1 }, tokens[16] = { 3, 1 };
    glia_hypothesis found[1];
    int n_found = 0, calls = 0;
    glia_beam_opts opts = { .vocabulary = WORDS, .beams = 1, .length = 8, .end = -1 };
    assert_int_equal(glia_beam_search(next_scores, &calls, begin, 2, opts, found, &n_found, NULL), GLIA_OK);
    assert_int_equal(n_found, 1);
    assert_int_equal(found[0].n, 8);
    for (int i = 2; i < 10; i++) {
        float scores[WORDS];
        language(tokens, i, scores);
        int best = 0;
        for (int v = 1; v < WORDS; v++) best = scores[v] > scores[best] ? v : best;
        tokens[i] = best;
        assert_int_equal(found[0].tokens[i - 2], best);
    }
    assert_true(fabs(found[0].log_probability - log_probability(tokens, 2, 10)) < 1e-5);
    free(found[0].tokens);
}

static glia_status refuses(const int32_t *tokens, int n, int64_t length, const int *parents, float *scores,
                           void *context, glia_error *error) {
    (void)tokens, (void)n, (void)parents, (void)error;
    for (int v = 0; v < WORDS * n; v++) scores[v] = length < 3 ? (float)v : NAN;
    return length < 3 || !context ? GLIA_OK : GLIA_E_INTERRUPTED;
}

static void test_beam_search_errors(void **state) {
    (void)state;
    glia_hypothesis found[4];
    int32_t begin = 0;
    int n = 7, yes = 1;
    glia_error error;
    glia_beam_opts opts = { .vocabulary = WORDS, .end = END };
    assert_int_equal(glia_beam_search(refuses, NULL, &begin, 1, opts, found, &n, &error), GLIA_E_ARGUMENT);
    assert_int_equal(n, 0);
    assert_int_equal(glia_beam_search(refuses, &yes, &begin, 1, opts, found, &n, &error), GLIA_E_INTERRUPTED);
    assert_int_equal(glia_beam_search(refuses, NULL, &begin, 0, opts, found, &n, &error), GLIA_E_ARGUMENT);
    opts.length_penalty = -1;
    assert_int_equal(glia_beam_search(refuses, NULL, &begin, 1, opts, found, &n, &error), GLIA_E_ARGUMENT);
}

/* ---- incremental decoding ----------------------------------------------------------------------- */

enum { VOCABULARY = 11, CONTEXT = 48, WIDTH = 24 };

/* Options of a small causal Transformer. */
typedef struct shape_of {
    int heads, groups, window;
    bool alibi, mask, apart;
} shape_of;

static glia_tensor positions(glia_tensor x, const char *name) {
    glia_shape shape = GLIA_SHAPE(CONTEXT, WIDTH);
    glia_tensor table = glia_parameter(glia_tensor_graph(x), name, GLIA_F32, shape,
                                       (glia_init){ .kind = GLIA_INIT_NORMAL, .stddev = 0.3 });
    return glia_add(x, table);
}

static glia_tensor block(glia_tensor x, const char *name, shape_of how) {
    char path[32];
    const int64_t heads = how.heads, groups = how.groups ? how.groups : heads, size = WIDTH / heads;
    glia_attention_opts opts = {
        .heads = how.heads, .groups = how.groups, .causal = true, .window = how.window, .alibi = how.alibi
    };
    if (how.mask) { /* every third key is masked */
        glia_graph *g = glia_tensor_graph(x);
        glia_tensor key = glia_iota(g, GLIA_I32, GLIA_SHAPE(CONTEXT, CONTEXT), 1),
                    row = glia_iota(g, GLIA_I32, GLIA_SHAPE(CONTEXT, CONTEXT), 0);
        opts.mask = glia_not_equal(glia_sub(key, row), glia_like(key, -3));
    }
    snprintf(path, sizeof path, "%s/norm", name);
    glia_tensor h = glia_layer_norm(x, path, (glia_norm_opts){ 0 });
    snprintf(path, sizeof path, "%s/qkv", name);
    h = glia_dense(h, path, (glia_dense_opts){ .units = (int)((heads + 2 * groups) * size) });
    if (how.apart) {
        glia_tensor q =
            glia_slice(h, GLIA_SHAPE(0, 0, 0), GLIA_SHAPE(GLIA_BATCH, CONTEXT, heads * size), (glia_shape){ 0 });
        glia_tensor k = glia_slice(h, GLIA_SHAPE(0, 0, heads * size),
                                   GLIA_SHAPE(GLIA_BATCH, CONTEXT, (heads + groups) * size), (glia_shape){ 0 });
        glia_tensor v = glia_slice(h, GLIA_SHAPE(0, 0, (heads + groups) * size),
                                   GLIA_SHAPE(GLIA_BATCH, CONTEXT, (heads + 2 * groups) * size), (glia_shape){ 0 });
        h = glia_attention(glia_reshape(q, GLIA_SHAPE(GLIA_BATCH, CONTEXT, heads, size)),
                           glia_reshape(k, GLIA_SHAPE(GLIA_BATCH, CONTEXT, groups, size)),
                           glia_reshape(v, GLIA_SHAPE(GLIA_BATCH, CONTEXT, groups, size)), opts);
        h = glia_reshape(h, GLIA_SHAPE(GLIA_BATCH, CONTEXT, WIDTH));
    } else {
        h = glia_attention_qkv(h, opts);
    }
    x = glia_add(x, glia_dropout(h, 0.1));
    snprintf(path, sizeof path, "%s/mlp", name);
    h = glia_dense(x, path, (glia_dense_opts){ .units = WIDTH, .activation = GLIA_GELU });
    return glia_add(x, h);
}

static glia_model *writer(shape_of how) {
    glia_model *m = glia_model_create("writer", NULL);
    glia_tensor ids = glia_model_input(m, "ids", GLIA_I32, GLIA_SHAPE(CONTEXT));
    glia_tensor table = glia_parameter(glia_model_graph(m), "embedding", GLIA_F32, GLIA_SHAPE(VOCABULARY, WIDTH),
                                       (glia_init){ .kind = GLIA_INIT_NORMAL });
    glia_tensor x = positions(glia_gather(table, ids, 0), "positions");
    x = block(x, "a", how);
    x = block(x, "b", how);
    glia_tensor flat = glia_reshape(x, GLIA_SHAPE(-CONTEXT, WIDTH));
    glia_tensor scores = glia_matmul_transposed(flat, false, table, true); /* tied */
    glia_model_output(m, "scores", glia_reshape(scores, GLIA_SHAPE(GLIA_BATCH, CONTEXT, VOCABULARY)));
    glia_error error;
    if (glia_graph_check(glia_model_graph(m), &error) != GLIA_OK) fail_msg("%s", error.message);
    if (glia_model_init(m, 3, &error) != GLIA_OK) fail_msg("%s", error.message);
    return m;
}

/* The logits of the full model: (n, CONTEXT, VOCABULARY). */
static float *whole_scores(glia_model *m, const int32_t *ids, int64_t n) {
    glia_backend *backend = glia_backend_open("cpu", 1, NULL);
    glia_tensor y = glia_model_output_at(m, 0, NULL);
    glia_error error = { 0 };
    glia_program *p = glia_compile(glia_model_graph(m), backend,
                                   (glia_compile_opts){ .outputs = &y, .n_outputs = 1, .batch = n }, &error);
    if (!p) fail_msg("%s", error.message);
    glia_session *s = glia_session_create(p, glia_model_store(m), &error);
    memcpy(glia_session_input(s, "ids", NULL, NULL), ids, (size_t)(n * CONTEXT) * sizeof *ids);
    assert_int_equal(glia_session_run(s, &error), GLIA_OK);
    size_t bytes = (size_t)(n * CONTEXT * VOCABULARY) * sizeof(float);
    float *scores = malloc(bytes);
    memcpy(scores, glia_session_output(s, 0).data, bytes);
    glia_session_free(s);
    glia_program_free(p);
    glia_backend_close(backend);
    return scores;
}

static void near(const float *a, const float *b, int64_t n, const char *what) {
    for (int64_t i = 0; i < n; i++) {
        if (!(fabs((double)a[i] - (double)b[i]) < 2e-5))
            fail_msg("%s: element %d is %g, not %g", what, (int)i, a[i], b[i]);
    }
}

static void some_ids(int32_t *ids, int64_t n, int seed) {
    for (int64_t i = 0; i < n; i++) ids[i] = (int32_t)((i * i * 7 + i * 3 + seed * 5 + i / 4) % VOCABULARY);
}

/* Compares incremental decoding with the full model; frees the model. */
static void check_model(glia_model *m, const char *what) {
    enum { N = 2 };
    int32_t ids[N * CONTEXT];
    some_ids(ids, N * CONTEXT, 1);
    float *whole = whole_scores(m, ids, N);
    glia_error error = { 0 };
    glia_generator *g = glia_generator_create(m, (glia_generator_opts){ .sequences = N, .threads = 2 }, &error);
    if (!g) fail_msg("%s: %s", what, error.message);
    assert_int_equal(glia_generator_context(g), CONTEXT);
    assert_int_equal(glia_generator_vocabulary(g), VOCABULARY);
    for (int64_t first = 1; first <= CONTEXT; first += 23) { /* several tokens at once, then one by one */
        glia_generator_reset(g);
        for (int64_t t = 0, n = first; t < CONTEXT; t += n, n = 1) {
            int32_t some[N * CONTEXT];
            for (int i = 0; i < N; i++) memcpy(some + i * n, ids + i * CONTEXT + t, (size_t)n * sizeof *ids);
            const float *scores;
            if (glia_generator_read(g, some, n, &scores, &error) != GLIA_OK) fail_msg("%s: %s", what, error.message);
            for (int i = 0; i < N; i++)
                near(scores + i * VOCABULARY, whole + (i * CONTEXT + t + n - 1) * VOCABULARY, VOCABULARY, what);
        }
        assert_int_equal(glia_generator_length(g), CONTEXT);
    }
    glia_generator_free(g);
    free(whole);
    glia_model_free(m);
}

static void test_incremental_equals_full_model(void **state) {
    (void)state;
    check_model(writer((shape_of){ .heads = 1 }), "one head");
    check_model(writer((shape_of){ .heads = 4 }), "heads");
    check_model(writer((shape_of){ .heads = 4, .groups = 2 }), "grouped queries");
    check_model(writer((shape_of){ .heads = 3, .window = 5 }), "window");
    check_model(writer((shape_of){ .heads = 3, .alibi = true }), "alibi");
    check_model(writer((shape_of){ .heads = 2, .mask = true }), "mask");
    check_model(writer((shape_of){ .heads = 2, .groups = 1, .apart = true }), "apart");
}

static glia_model *gpt_writer(glia_gpt_opts opts) {
    glia_model *m = glia_model_create("gpt", NULL);
    glia_tensor ids = glia_model_input(m, "ids", GLIA_I32, GLIA_SHAPE(CONTEXT));
    opts.vocabulary = VOCABULARY;
    opts.context = CONTEXT;
    opts.layers = 2;
    opts.heads = 4;
    opts.units = 32;
    glia_model_output(m, "scores", glia_gpt(ids, opts));
    glia_error error;
    if (glia_model_init(m, 3, &error) != GLIA_OK) fail_msg("%s", error.message);
    return m;
}

static void test_gpt_incremental(void **state) {
    (void)state;
    check_model(gpt_writer((glia_gpt_opts){ .dropout = 0.1 }), "gpt");
    check_model(gpt_writer((glia_gpt_opts){ .no_bias = true, .gelu_tanh = true, .untied = true }), "untied");
    check_model(gpt_writer((glia_gpt_opts){ .rotary = { .kind = GLIA_ROTARY_HALVES } }), "rotary, halves");
    check_model(gpt_writer((glia_gpt_opts){ .rotary = { .kind = GLIA_ROTARY_PAIRS, .units = 4 }, .key_heads = 2 }),
                "rotary, pairs");
    check_model(gpt_writer((glia_gpt_opts){ .alibi = true, .key_heads = 1 }), "alibi, one key head");
}

typedef glia_tensor (*layer_fn)(glia_tensor x, const char *name, glia_recurrent_opts opts);

static glia_model *recurrent_writer(layer_fn layer, glia_recurrent_opts opts) {
    glia_model *m = glia_model_create("recurrent writer", NULL);
    glia_tensor ids = glia_model_input(m, "ids", GLIA_I32, GLIA_SHAPE(CONTEXT));
    glia_tensor table = glia_parameter(glia_model_graph(m), "embedding", GLIA_F32, GLIA_SHAPE(VOCABULARY, WIDTH),
                                       (glia_init){ .kind = GLIA_INIT_NORMAL });
    opts.units = 20;
    glia_tensor h = layer(glia_gather(table, ids, 0), "recurrent", opts);
    glia_model_output(m, "scores", glia_dense(h, "scores", (glia_dense_opts){ .units = VOCABULARY }));
    glia_error error;
    if (glia_model_init(m, 3, &error) != GLIA_OK) fail_msg("%s", error.message);
    return m;
}

typedef enum loop_fault { NO_FAULT, REVERSE, LAST } loop_fault;

/* A custom loop: a state with a learned initial value and one of another width that starts with zeros; one sequence
 * that depends on the tokens and one that does not; dropout and the number of the step inside; results of three
 * widths. */
static glia_model *loop_writer(loop_fault fault) {
    enum { UNITS = 12 };
    glia_model *m = glia_model_create("loop writer", NULL);
    glia_graph *g = glia_model_graph(m);
    const glia_init normal = { .kind = GLIA_INIT_NORMAL };
    glia_tensor ids = glia_model_input(m, "ids", GLIA_I32, GLIA_SHAPE(CONTEXT));
    glia_tensor table = glia_parameter(g, "embedding", GLIA_F32, GLIA_SHAPE(VOCABULARY, WIDTH), normal);
    glia_tensor first = glia_parameter(g, "first", GLIA_F32, GLIA_SHAPE(UNITS), normal);
    glia_tensor times = glia_parameter(g, "times", GLIA_F32, GLIA_SHAPE(CONTEXT, UNITS), normal);
    glia_tensor mix = glia_parameter(g, "mix", GLIA_F32, GLIA_SHAPE(WIDTH + UNITS, UNITS), normal);
    glia_loop *loop = glia_loop_begin(g, (glia_loop_opts){ .reverse = fault == REVERSE });
    glia_tensor x = glia_loop_input(loop, glia_gather(table, ids, 0));
    glia_tensor when = glia_loop_input(loop, glia_broadcast(times, GLIA_SHAPE(GLIA_BATCH, CONTEXT, UNITS)));
    glia_tensor h = glia_loop_state(loop, glia_broadcast(first, GLIA_SHAPE(GLIA_BATCH, UNITS)));
    glia_tensor sum = glia_loop_state_zeros(loop, GLIA_SHAPE(WIDTH)), both[] = { x, h };
    glia_tensor a = glia_add(glia_mul_scalar(glia_matmul(glia_concat(both, 2, 1), mix), 0.3), when);
    a = glia_add(a, glia_sin(glia_cast(glia_loop_index(loop), GLIA_F32)));
    glia_tensor next = glia_tanh(glia_dropout(a, 0.3));
    glia_tensor total = glia_add(glia_mul_scalar(sum, 0.9), x);
    glia_loop_next(loop, h, next);
    glia_loop_next(loop, sum, total);
    glia_tensor each[] = { glia_sum(total, GLIA_SHAPE(1), true), next, total }, all[3];
    glia_loop_end(loop, each, 3, all);
    glia_tensor y = glia_concat(all, 3, 2);
    if (fault == LAST)
        y = glia_add(
            y, glia_reshape(glia_mean(glia_loop_last(loop, h), GLIA_SHAPE(1), true), GLIA_SHAPE(GLIA_BATCH, 1, 1)));
    glia_model_output(m, "scores", glia_dense(y, "scores", (glia_dense_opts){ .units = VOCABULARY }));
    glia_error error;
    if (glia_model_init(m, 3, &error) != GLIA_OK) fail_msg("%s", error.message);
    return m;
}

static void test_loops_incremental(void **state) {
    (void)state;
    check_model(loop_writer(NO_FAULT), "loop");
    for (loop_fault fault = REVERSE; fault <= LAST; fault++) {
        glia_model *m = loop_writer(fault);
        glia_error error = { 0 };
        assert_null(glia_generator_create(m, (glia_generator_opts){ 0 }, &error));
        assert_int_equal(error.status, GLIA_E_UNSUPPORTED);
        glia_model_free(m);
    }
}

static void test_recurrent_layers_incremental(void **state) {
    (void)state;
    const struct {
        layer_fn layer;
        glia_recurrent_opts opts;
        const char *what;
    } rows[] = { { glia_lstm, { .layers = 2, .dropout = 0.2 }, "lstm" },
                 { glia_lstm, { .peephole = true, .projection = 7 }, "peephole, projection" },
                 { glia_gru, { .layers = 2 }, "gru" },
                 { glia_gru, { .reset_before = true }, "gru, reset before" },
                 { glia_rnn, { .relu = true }, "rnn" },
                 { glia_lstm, { .layer_norm = true, .layers = 2, .dropout = 0.2 }, "normalised lstm" },
                 { glia_lstm, { .layer_norm = true, .peephole = true, .projection = 7 }, "normalised, projection" },
                 { glia_gru, { .layer_norm = true }, "normalised gru" },
                 { glia_rnn, { .layer_norm = true }, "normalised rnn" },
                 { glia_lstm, { .forget_bias = 1 }, "forget bias" } };
    int32_t ids[2 * CONTEXT];
    some_ids(ids, 2 * CONTEXT, 4);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        glia_model *m = recurrent_writer(rows[i].layer, rows[i].opts);
        float *whole = whole_scores(m, ids, 2);
        glia_error error = { 0 };
        glia_generator *g = glia_generator_create(m, (glia_generator_opts){ .sequences = 2 }, &error);
        if (!g) fail_msg("%s: %s", rows[i].what, error.message);
        assert_int_equal(glia_generator_context(g), 0);
        for (int again = 0; again < 2; again++) {
            glia_generator_reset(g);
            for (int64_t t = 0, n = 35; t < CONTEXT; t += n, n = 1) {
                int32_t some[2 * CONTEXT];
                for (int k = 0; k < 2; k++) memcpy(some + k * n, ids + k * CONTEXT + t, (size_t)n * sizeof *ids);
                const float *scores;
                assert_int_equal(glia_generator_read(g, some, n, &scores, NULL), GLIA_OK);
                for (int k = 0; k < 2; k++)
                    near(scores + k * VOCABULARY, whole + (k * CONTEXT + t + n - 1) * VOCABULARY, VOCABULARY,
                         rows[i].what);
            }
        }
        glia_generator_free(g);
        free(whole);
        glia_model_free(m);
    }
}

/* When the context is full, its last half and the tokens since are kept. */
static void test_full_context_drops_older_half(void **state) {
    (void)state;
    glia_model *m = writer((shape_of){ .heads = 2 });
    int32_t ids[2 * CONTEXT], window[CONTEXT] = { 0 };
    some_ids(ids, 2 * CONTEXT, 2);
    glia_generator *g = glia_generator_create(m, (glia_generator_opts){ .threads = 1 }, NULL);
    assert_non_null(g);
    const float *scores;
    assert_int_equal(glia_generator_read(g, ids, CONTEXT, &scores, NULL), GLIA_OK);
    for (int more = 1; more <= CONTEXT / 2; more++) {
        assert_int_equal(glia_generator_read(g, ids + CONTEXT + more - 1, 1, &scores, NULL), GLIA_OK);
        int n = CONTEXT / 2 + more;
        memcpy(window, ids + CONTEXT / 2, (size_t)n * sizeof *ids);
        float *whole = whole_scores(m, window, 1);
        near(scores, whole + (n - 1) * VOCABULARY, VOCABULARY, "beyond the context");
        free(whole);
    }
    assert_int_equal(glia_generator_length(g), CONTEXT + CONTEXT / 2);
    glia_generator_free(g);
    glia_model_free(m);
}

static void test_reorder_sequences(void **state) {
    (void)state;
    glia_model *m = writer((shape_of){ .heads = 2 });
    glia_generator *g = glia_generator_create(m, (glia_generator_opts){ .sequences = 3 }, NULL);
    const int32_t first[6] = { 1, 2, 3, 4, 5, 6 }, next[3] = { 7, 7, 8 };
    const float *scores;
    assert_int_equal(glia_generator_read(g, first, 2, &scores, NULL), GLIA_OK);
    assert_int_equal(glia_generator_reorder(g, (int[]){ 2, 0, 0 }, NULL), GLIA_OK);
    assert_int_equal(glia_generator_read(g, next, 1, &scores, NULL), GLIA_OK);
    int32_t ids[3 * CONTEXT] = { 0 };
    memcpy(ids, (int32_t[]){ 5, 6, 7 }, 12);
    memcpy(ids + CONTEXT, (int32_t[]){ 1, 2, 7 }, 12);
    memcpy(ids + 2 * CONTEXT, (int32_t[]){ 1, 2, 8 }, 12);
    float *whole = whole_scores(m, ids, 3);
    for (int i = 0; i < 3; i++)
        near(scores + i * VOCABULARY, whole + (i * CONTEXT + 2) * VOCABULARY, VOCABULARY, "moved");
    glia_error error;
    assert_int_equal(glia_generator_reorder(g, (int[]){ 0, 3, 0 }, &error), GLIA_E_ARGUMENT);
    free(whole);
    glia_generator_free(g);
    glia_model_free(m);
}

static glia_status stop_at_third(int32_t token, void *context, glia_error *error) {
    (void)token, (void)error;
    return ++*(int *)context == 3 ? GLIA_E_INTERRUPTED : GLIA_OK;
}

static void test_generate_text(void **state) {
    (void)state;
    glia_model *m = writer((shape_of){ .heads = 2 });
    glia_generator *g = glia_generator_create(m, (glia_generator_opts){ .threads = 1 }, NULL);
    const int32_t prompt[3] = { 1, 2, 3 };
    int32_t a[100], b[100], ids[CONTEXT] = { 1, 2, 3 };
    int64_t n = 0, n_b = 0;
    glia_generate_opts opts = { .length = 20, .sampling = { .greedy = true } };
    assert_int_equal(glia_generate(g, prompt, 3, opts, a, &n, NULL), GLIA_OK);
    assert_int_equal(n, 20);
    for (int i = 0; i < 20; i++) { /* as given by the full model */
        float *whole = whole_scores(m, ids, 1), *scores = whole + (2 + i) * VOCABULARY;
        int best = 0;
        for (int v = 1; v < VOCABULARY; v++) best = scores[v] > scores[best] ? v : best;
        assert_int_equal(a[i], best);
        ids[3 + i] = best;
        free(whole);
    }
    opts.stops = &a[4];
    opts.n_stops = 1;
    int64_t stop = 0;
    while (a[stop] != a[4]) stop++;
    assert_int_equal(glia_generate(g, prompt, 3, opts, b, &n, NULL), GLIA_OK);
    assert_int_equal(n, stop + 1);
    int calls = 0;
    opts = (glia_generate_opts){ .length = 90, .sampling = { .seed = 3 }, .each = stop_at_third, .context = &calls };
    assert_int_equal(glia_generate(g, prompt, 3, opts, b, &n, NULL), GLIA_OK);
    assert_int_equal(n, 3);
    opts.each = NULL; /* beyond the context: deterministic */
    assert_int_equal(glia_generate(g, prompt, 3, opts, a, &n, NULL), GLIA_OK);
    assert_int_equal(glia_generate(g, prompt, 3, opts, b, &n_b, NULL), GLIA_OK);
    assert_int_equal(n, 90);
    assert_memory_equal(a, b, sizeof(int32_t) * 90);
    glia_error error;
    assert_int_equal(glia_generate(g, (int32_t[]){ VOCABULARY }, 1, opts, a, &n, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_generate(g, prompt, 0, opts, a, &n, &error), GLIA_E_ARGUMENT);
    glia_generator_free(g);
    glia_model_free(m);
}

/* Non-causal attention, a mean over time, and models of other kinds. */
static void test_unsupported_models(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        glia_model *m = glia_model_create("reader", NULL);
        glia_tensor ids = glia_model_input(m, "ids", GLIA_I32, GLIA_SHAPE(8));
        glia_tensor table = glia_parameter(glia_model_graph(m), "table", GLIA_F32, GLIA_SHAPE(5, 12),
                                           (glia_init){ .kind = GLIA_INIT_NORMAL });
        glia_tensor x = glia_gather(table, ids, 0);
        if (kind == 0) x = glia_attention_qkv(x, (glia_attention_opts){ .heads = 2 });
        if (kind == 1) x = glia_sub(x, glia_mean(x, GLIA_SHAPE(1), true));
        if (kind == 2) x = glia_mean(x, GLIA_SHAPE(1), false);
        glia_model_output(m, "y", x);
        glia_error error = { 0 };
        assert_null(glia_generator_create(m, (glia_generator_opts){ 0 }, &error));
        assert_int_equal(error.status, kind == 2 ? GLIA_E_SHAPE : GLIA_E_UNSUPPORTED);
        if (kind == 0) assert_non_null(strstr(error.message, "attention"));
        glia_model_free(m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples_follow_probabilities),
        cmocka_unit_test(test_top_k_top_p_min_p),
        cmocka_unit_test(test_greedy_takes_the_first_highest),
        cmocka_unit_test(test_repetition_penalty),
        cmocka_unit_test(test_same_seed_same_draw),
        cmocka_unit_test(test_invalid_sampling_options),
        cmocka_unit_test(test_wide_beams_find_the_best),
        cmocka_unit_test(test_one_beam_is_greedy),
        cmocka_unit_test(test_beam_search_errors),
        cmocka_unit_test(test_incremental_equals_full_model),
        cmocka_unit_test(test_gpt_incremental),
        cmocka_unit_test(test_loops_incremental),
        cmocka_unit_test(test_recurrent_layers_incremental),
        cmocka_unit_test(test_full_context_drops_older_half),
        cmocka_unit_test(test_reorder_sequences),
        cmocka_unit_test(test_generate_text),
        cmocka_unit_test(test_unsupported_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
