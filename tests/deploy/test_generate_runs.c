/* test_generate_runs.c - prompts read in one run, sequences that change places, and weights packed once.
 *
 * Scores are compared with those of the model over whole sequences, or with those of single tokens.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/program/store.h"
#include "deploy/generate/incremental.h"
#include "deploy/generate/moves.h"
#include "glia/glia.h"

enum { VOCABULARY = 13, CONTEXT = 256, UNITS = 32 };

/* ---- models ----------------------------------------------------------------------------------- */

static glia_model *begin_model(glia_tensor *ids, int64_t length) {
    glia_model *m = glia_model_create("model", NULL);
    *ids = glia_model_input(m, "ids", GLIA_I32, GLIA_SHAPE(length));
    return m;
}

static glia_model *end_model(glia_model *m, glia_tensor scores) {
    glia_error error;
    glia_model_output(m, "scores", scores);
    if (glia_model_init(m, 5, &error) != GLIA_OK) fail_msg("%s", error.message);
    return m;
}

static glia_model *gpt_model(void) {
    glia_tensor ids;
    glia_model *m = begin_model(&ids, CONTEXT);
    glia_gpt_opts opts = { .vocabulary = VOCABULARY, .context = CONTEXT, .layers = 2, .heads = 2, .units = UNITS };
    return end_model(m, glia_gpt(ids, opts));
}

static glia_tensor embedded(glia_tensor ids) {
    return glia_gather(glia_parameter(glia_tensor_graph(ids), "table", GLIA_F32, GLIA_SHAPE(VOCABULARY, UNITS),
                                      (glia_init){ .kind = GLIA_INIT_NORMAL, .stddev = 0.5 }),
                       ids, 0);
}

static glia_tensor scores_of(glia_tensor x) {
    return glia_dense(x, "scores", (glia_dense_opts){ .units = VOCABULARY });
}

static glia_model *lstm_model(void) {
    glia_tensor ids;
    glia_model *m = begin_model(&ids, CONTEXT);
    return end_model(m, scores_of(glia_lstm(embedded(ids), "lstm", (glia_recurrent_opts){ .units = 20, .layers = 2 })));
}

/* A loop of one's own: h = tanh(x W + h U), from a learned beginning. */
static glia_model *loop_model(void) {
    glia_tensor ids;
    glia_model *m = begin_model(&ids, CONTEXT);
    glia_graph *g = glia_model_graph(m);
    const glia_init normal = { .kind = GLIA_INIT_NORMAL, .stddev = 0.2 };
    glia_tensor x = glia_dense(embedded(ids), "in", (glia_dense_opts){ .units = UNITS });
    glia_tensor u = glia_parameter(g, "u", GLIA_F32, GLIA_SHAPE(UNITS, UNITS), normal);
    glia_tensor first = glia_parameter(g, "first", GLIA_F32, GLIA_SHAPE(UNITS), normal), all;
    glia_loop *loop = glia_loop_begin(g, (glia_loop_opts){ 0 });
    glia_tensor at = glia_loop_input(loop, x);
    glia_tensor h = glia_loop_state(loop, glia_broadcast(first, GLIA_SHAPE(GLIA_BATCH, UNITS)));
    glia_tensor next = glia_tanh(glia_add(at, glia_matmul(h, u)));
    glia_loop_next(loop, h, next);
    glia_loop_end(loop, &next, 1, &all);
    return end_model(m, scores_of(all));
}

/* Attention over the states of a recurrent layer, which remember what was before. */
static glia_model *mixed_model(void) {
    glia_tensor ids;
    glia_model *m = begin_model(&ids, CONTEXT);
    glia_tensor h = glia_gru(embedded(ids), "gru", (glia_recurrent_opts){ .units = UNITS });
    glia_tensor qkv = glia_dense(h, "qkv", (glia_dense_opts){ .units = 3 * UNITS });
    h = glia_add(h, glia_attention_qkv(qkv, (glia_attention_opts){ .heads = 2, .causal = true }));
    return end_model(m, scores_of(h));
}

static const struct {
    glia_model *(*make)(void);
    const char *name;
} models[] = { { gpt_model, "gpt" }, { lstm_model, "lstm" }, { loop_model, "loop" }, { mixed_model, "mixed" } };

/* Scores for n whole sequences, (n, CONTEXT, VOCABULARY). */
static float *whole_scores(glia_model *m, const int32_t *ids, int64_t n) {
    glia_error error = { 0 };
    glia_backend *backend = glia_backend_open("cpu", 1, NULL);
    glia_tensor y = glia_model_output_at(m, 0, NULL);
    const glia_compile_opts opts = { .outputs = &y, .n_outputs = 1, .batch = n };
    glia_program *p = glia_compile(glia_model_graph(m), backend, opts, &error);
    if (!p) fail_msg("%s", error.message);
    glia_session *s = glia_session_create(p, glia_model_store(m), &error);
    memcpy(glia_session_input(s, "ids", NULL, NULL), ids, (size_t)(n * CONTEXT) * sizeof *ids);
    assert_int_equal(glia_session_run(s, &error), GLIA_OK);
    const size_t bytes = (size_t)(n * CONTEXT * VOCABULARY) * sizeof(float);
    float *scores = malloc(bytes);
    memcpy(scores, glia_session_output(s, 0).data, bytes);
    glia_session_free(s);
    glia_program_free(p);
    glia_backend_close(backend);
    return scores;
}

static void some_ids(int32_t *ids, int64_t n, uint64_t seed) {
    glia_rng rng = { .seed = seed };
    for (int64_t i = 0; i < n; i++) ids[i] = (int32_t)glia_rng_below(&rng, VOCABULARY);
}

static void near(const float *a, const float *b, const char *what, int64_t at) {
    for (int i = 0; i < VOCABULARY; i++) {
        if (!(fabs((double)a[i] - (double)b[i]) < 3e-5))
            fail_msg("%s, at %lld: score %d is %g, not %g", what, (long long)at, i, (double)a[i], (double)b[i]);
    }
}

static glia_generator *open_generator(glia_model *m, int sequences, int threads) {
    glia_error error = { 0 };
    glia_generator *g =
        glia_generator_create(m, (glia_generator_opts){ .sequences = sequences, .threads = threads }, &error);
    if (!g) fail_msg("%s", error.message);
    return g;
}

static const float *read_tokens(glia_generator *g, const int32_t *tokens, int64_t n) {
    const float *scores;
    glia_error error = { 0 };
    if (glia_generator_read(g, tokens, n, &scores, &error) != GLIA_OK) fail_msg("%s", error.message);
    return scores;
}

/* ---- prompts ----------------------------------------------------------------------------------- */

static void prompts_equal_the_whole_model(void **state) {
    (void)state;
    const int64_t lengths[] = { 1, 2, 3, 4, 5, 31, 200, CONTEXT - 1, CONTEXT };
    int32_t ids[CONTEXT];
    some_ids(ids, CONTEXT, 1);
    for (int k = 0; k < GLIA_COUNT(models); k++) {
        glia_model *m = models[k].make();
        float *whole = whole_scores(m, ids, 1);
        glia_generator *g = open_generator(m, 1, 2);
        for (int i = 0; i < GLIA_COUNT(lengths); i++) {
            glia_generator_reset(g);
            const int64_t n = lengths[i], more = GLIA_MIN(n + 3, CONTEXT);
            near(read_tokens(g, ids, n), whole + (n - 1) * VOCABULARY, models[k].name, n - 1);
            for (int64_t t = n; t < more; t++) /* the states are those of single tokens too */
                near(read_tokens(g, ids + t, 1), whole + t * VOCABULARY, models[k].name, t);
            if (more + 20 > CONTEXT) continue; /* a second prompt */
            near(read_tokens(g, ids + more, 20), whole + (more + 19) * VOCABULARY, models[k].name, more + 19);
            assert_int_equal(glia_generator_length(g), more + 20);
        }
        glia_generator_free(g);
        free(whole);
        glia_model_free(m);
    }
}

/* Prompts beyond the context, and beyond what is read in one run. */
static void long_prompts_equal_single_tokens(void **state) {
    (void)state;
    enum { LONG = 1100 };
    int32_t ids[LONG];
    some_ids(ids, LONG, 2);
    for (int k = 0; k < 3;
         k++) { /* what slides over the context is not the same for attention over a recurrent layer */
        glia_model *m = models[k].make();
        glia_generator *a = open_generator(m, 1, 1), *b = open_generator(m, 1, 2);
        for (int64_t t = 0; t < LONG; t++) {
            const float *scores = read_tokens(a, ids + t, 1);
            if (t + 1 != 300 && t + 1 != 700 && t + 1 != LONG) continue;
            glia_generator_reset(b);
            near(read_tokens(b, ids, t + 1), scores, models[k].name, t);
            assert_int_equal(glia_generator_length(b), t + 1);
        }
        glia_generator_free(a);
        glia_generator_free(b);
        glia_model_free(m);
    }
}

/* A prompt that all sequences begin with is read once; so long that the context slides. */
static void common_prompts_are_read_once(void **state) {
    (void)state;
    enum { N = 3, LONG = 300 };
    int32_t ids[N * LONG], next[N] = { 4, 4, 4 };
    for (int i = 0; i < N; i++) some_ids(ids + i * LONG, LONG, 7);
    for (int k = 0; k < GLIA_COUNT(models); k++) {
        glia_model *m = models[k].make();
        glia_generator *one = open_generator(m, 1, 1), *all = open_generator(m, N, 2);
        for (int again = 0; again < 2; again++) {
            glia_generator_reset(one);
            glia_generator_reset(all);
            for (int part = 0; part < 2; part++) {
                const float *wanted = read_tokens(one, part ? next : ids, part ? 1 : LONG);
                const float *scores = read_tokens(all, part ? next : ids, part ? 1 : LONG);
                for (int i = 0; i < N; i++) near(scores + i * VOCABULARY, wanted, models[k].name, i);
                assert_int_equal(glia_generator_length(all), LONG + part);
            }
        }
        glia_generator_free(one);
        glia_generator_free(all);
        glia_model_free(m);
    }
}

static void bits_do_not_depend_on_threads(void **state) {
    (void)state;
    int32_t ids[8 * 100];
    some_ids(ids, 8 * 100, 3);
    for (int k = 0; k < GLIA_COUNT(models); k++) {
        glia_model *m = models[k].make();
        for (int sequences = 1; sequences <= 8; sequences += 7) {
            const size_t bytes = (size_t)sequences * VOCABULARY * sizeof(float);
            float *first = malloc(2 * bytes);
            for (int threads = 1; threads <= 3; threads++) {
                glia_generator *g = open_generator(m, sequences, threads);
                for (int part = 0; part < 2; part++) {
                    const float *scores = read_tokens(g, ids, part ? 1 : 100);
                    char *at = (char *)first + (size_t)part * bytes;
                    if (threads == 1)
                        memcpy(at, scores, bytes);
                    else
                        assert_memory_equal(at, scores, bytes);
                }
                glia_generator_free(g);
            }
            free(first);
        }
        glia_model_free(m);
    }
}

/* The end of the last block and the scores of the vocabulary are computed for the last token only. */
static void scores_of_the_last_token_alone(void **state) {
    (void)state;
    glia_error error = { 0 };
    for (int k = 0; k < GLIA_COUNT(models); k++) {
        glia_model *m = models[k].make();
        const glia_node *input = glia_model_input_at(m, 0, NULL), *output = glia_model_output_at(m, 0, NULL);
        for (int last = 0; last < 2; last++) {
            glia_graph *g =
                glia_incremental(glia_model_graph(m), input, output,
                                 (glia_incremental_opts){ .sequences = 2, .steps = 7, .last = last }, &error);
            if (!g) fail_msg("%s", error.message);
            assert_true(glia_shape_equal(g->outputs[0].node->shape, GLIA_SHAPE(2, last ? 1 : 7, VOCABULARY)));
            glia_graph_free(g);
        }
        glia_model_free(m);
    }
}

/* ---- changing places ----------------------------------------------------------------------------- */

/* All ways to choose parents of five rows, in which equal beginnings are as long as possible. */
static void moves_equal_a_copy(void **state) {
    (void)state;
    enum { N = 5, STEPS = 3, ALL = N * N * N * N * N };
    for (int way = 0; way < ALL; way++) {
        int parents[N], rest = way, readers[N];
        int32_t rows[N][STEPS], wanted[N][STEPS], spare[STEPS];
        int64_t same[N];
        glia_move moves[2 * N];
        for (int i = 0; i < N; i++, rest /= N) {
            parents[i] = rest % N;
            for (int t = 0; t < STEPS; t++) rows[i][t] = t < i % STEPS ? 7 : 10 * t + i;
        }
        for (int i = 0; i < N; i++) {
            memcpy(wanted[i], rows[parents[i]], sizeof wanted[i]);
            same[i] = 0;
            while (same[i] < STEPS && rows[i][same[i]] == wanted[i][same[i]]) same[i]++;
        }
        const int n = glia_moves_plan(parents, same, N, moves, readers);
        assert_in_range(n, 0, N + N / 2);
        for (int k = 0; k < n; k++) assert_true(moves[k].to != moves[k].from);
        glia_moves_make(moves, n, rows, STEPS, sizeof rows[0][0], STEPS, spare);
        assert_memory_equal(rows, wanted, sizeof rows);
    }
}

/* Sequences that take each other's place at random, as in beam search, and the prompt before. */
static void reordered_sequences_equal_the_whole_model(void **state) {
    (void)state;
    enum { N = 5, PROMPT = 9, STEPS = 40 };
    for (int k = 0; k < GLIA_COUNT(models); k++) {
        glia_model *m = models[k].make();
        glia_generator *g = open_generator(m, N, 2);
        glia_rng rng = { .seed = 4 };
        int32_t ids[N][CONTEXT] = { { 0 } }, old[N][CONTEXT], next[N], prompt[N * PROMPT];
        some_ids(ids[0], PROMPT, 5);
        for (int i = 0; i < N; i++) {
            memcpy(ids[i], ids[0], PROMPT * sizeof ids[0][0]);
            memcpy(prompt + i * PROMPT, ids[0], PROMPT * sizeof *prompt);
        }
        const float *scores = read_tokens(g, prompt, PROMPT);
        for (int step = 0; step < STEPS; step++) {
            int parents[N];
            for (int i = 0; i < N; i++) parents[i] = step % 3 == 2 ? (i + 1) % N : (int)glia_rng_below(&rng, N);
            assert_int_equal(glia_generator_reorder(g, parents, NULL), GLIA_OK);
            memcpy(old, ids, sizeof old);
            for (int i = 0; i < N; i++) {
                memcpy(ids[i], old[parents[i]], sizeof ids[i]);
                next[i] = ids[i][PROMPT + step] = (int32_t)glia_rng_below(&rng, VOCABULARY);
            }
            scores = read_tokens(g, next, 1);
        }
        float *whole = whole_scores(m, ids[0], N);
        for (int i = 0; i < N; i++)
            near(scores + i * VOCABULARY, whole + (i * CONTEXT + PROMPT + STEPS - 1) * VOCABULARY, models[k].name, i);
        free(whole);
        glia_generator_free(g);
        glia_model_free(m);
    }
}

/* ---- weights ------------------------------------------------------------------------------------- */

/* Eight sequences use packed weights. New values are seen by the sequences that begin after them. */
static void changed_weights_are_packed_again(void **state) {
    (void)state;
    enum { N = 8 };
    int32_t ids[N * CONTEXT], first[N];
    some_ids(ids, N * CONTEXT, 6);
    for (int i = 0; i < N; i++) first[i] = ids[i * CONTEXT];
    glia_model *m = gpt_model();
    glia_generator *g = open_generator(m, N, 1);
    for (int change = 0; change < 3; change++) {
        float *whole = whole_scores(m, ids, N);
        glia_generator_reset(g);
        const float *scores = read_tokens(g, first, 1);
        for (int i = 0; i < N; i++)
            near(scores + i * VOCABULARY, whole + i * CONTEXT * VOCABULARY, "changed weights", change);
        free(whole);
        glia_store *store = glia_model_store(m);
        for (int i = 0; i < glia_store_count(store); i++) {
            glia_array a = glia_store_at(store, i);
            for (int64_t j = 0; j < glia_shape_count(a.shape); j++) ((float *)a.data)[j] *= 1.1F;
        }
        if (change == 1) glia_store_settle(store);
    }
    glia_generator_free(g);
    glia_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_equal_the_whole_model),
        cmocka_unit_test(long_prompts_equal_single_tokens),
        cmocka_unit_test(common_prompts_are_read_once),
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(scores_of_the_last_token_alone),
        cmocka_unit_test(moves_equal_a_copy),
        cmocka_unit_test(reordered_sequences_equal_the_whole_model),
        cmocka_unit_test(changed_weights_are_packed_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
