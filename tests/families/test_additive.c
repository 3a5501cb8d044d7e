/* test_additive.c - additive attention against PyTorch, and training a sequence-to-sequence LSTM with it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/graph/graph.h"
#include "glia/glia.h"

/* ---- against PyTorch ----------------------------------------------------------------------- */

enum { N = 3, T = 4, S = 5, Q = 6, M = 7, A = 8, MOST = 256 };

/* Reads the golden numbers of this name; returns their number. */
static int golden(const char *name, double *values) {
    FILE *f = fopen(GLIA_GOLDEN_DIR "/additive_attention.txt", "r");
    char is[64];
    int n = 0;
    assert_non_null(f);
    while (fscanf(f, "%63s %d", is, &n) == 2) {
        double v;
        for (int i = 0; i < n; i++) {
            assert_int_equal(fscanf(f, "%lf", &v), 1);
            if (i < MOST) values[i] = v;
        }
        if (!strcmp(is, name)) break;
    }
    fclose(f);
    assert_string_equal(is, name);
    return n;
}

static void fill(glia_array a, const char *name) {
    double v[MOST];
    assert_int_equal(golden(name, v), glia_shape_count(a.shape));
    glia_from_double(a.dtype, v, a.data, glia_shape_count(a.shape));
}

static void compare(glia_array a, const char *name) {
    double should[MOST];
    const int n = golden(name, should);
    assert_int_equal(n, glia_shape_count(a.shape));
    for (int i = 0; i < n; i++) {
        const double is = ((const float *)a.data)[i];
        if (fabs(is - should[i]) > 1e-5) fail_msg("%s[%d] is %g and should be %g", name, i, is, should[i]);
    }
}

/* All queries at once, or one per step of a loop. */
static void attention_matches_pytorch(void **state) {
    (void)state;
    glia_error error = { 0 };
    for (int looped = 0; looped < 2; looped++) {
        glia_graph *g = glia_graph_create();
        glia_tensor query = glia_input(g, "query", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, T, Q));
        glia_tensor memory = glia_input(g, "memory", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, S, M));
        glia_tensor lengths = glia_input(g, "lengths", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
        glia_tensor direction = glia_input(g, "direction", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, T, M)), y[7];
        glia_additive_attention_opts opts = { .units = A, .lengths = lengths, .weights = &y[1] };
        if (looped) {
            glia_loop *loop = glia_loop_begin(g, (glia_loop_opts){ 0 });
            glia_tensor each[2];
            opts.weights = &each[1];
            each[0] = glia_additive_attention(glia_loop_input(loop, query), memory, "a", opts);
            glia_loop_end(loop, each, 2, y);
        } else {
            y[0] = glia_additive_attention(query, memory, "a", opts);
        }
        glia_tensor xs[] = { query, memory, glia_graph_find_leaf(g, "a/query/kernel"),
                             glia_graph_find_leaf(g, "a/key/kernel"), glia_graph_find_leaf(g, "a/score/kernel") };
        glia_grad(glia_sum(glia_mul(y[0], direction), GLIA_SCALAR, false), xs, 5, y + 2);
        glia_backend *b = glia_backend_open("cpu", 2, &error);
        glia_store *store = glia_store_create(g, 0, &error);
        glia_program *p = glia_compile(g, b, (glia_compile_opts){ .outputs = y, .n_outputs = 7, .batch = N }, &error);
        if (!p) fail_msg("%s", error.message);
        glia_session *s = glia_session_create(p, store, &error);
        assert_non_null(s);
        const char *const inputs[] = { "query", "memory", "direction" };
        const char *const leaves[][2] = { { "a/query/kernel", "query_kernel" },
                                          { "a/key/kernel", "key_kernel" },
                                          { "a/score/kernel", "score_kernel" } };
        glia_array a;
        for (int i = 0; i < 3; i++) {
            assert_non_null(glia_session_input(s, inputs[i], &a, NULL));
            fill(a, inputs[i]);
            assert_true(glia_store_find(store, leaves[i][0], &a));
            fill(a, leaves[i][1]);
        }
        memcpy(glia_session_input(s, "lengths", NULL, NULL), (const int32_t[]){ 5, 3, 1 }, 3 * sizeof(int32_t));
        assert_int_equal(glia_session_run(s, &error), GLIA_OK);
        const char *const results[] = { "context",        "weights",      "d_query",       "d_memory",
                                        "d_query_kernel", "d_key_kernel", "d_score_kernel" };
        for (int i = 0; i < 7; i++) compare(glia_session_output(s, i), results[i]);
        glia_session_free(s);
        glia_program_free(p);
        glia_store_free(store);
        glia_backend_close(b);
        glia_graph_free(g);
    }
}

/* ---- sequence to sequence ------------------------------------------------------------------- */

enum { BATCH = 32, LONGEST = 6, VOCABULARY = 10, BEGIN = 1, END = 2, FIRST = 3 };

typedef struct task {
    int32_t source[BATCH * LONGEST], lengths[BATCH], target[BATCH * (LONGEST + 1)], label[BATCH * (LONGEST + 1)];
} task;

/* Random sequences of different lengths; the target is the reversed sequence. Padding has the label -1. */
static void draw(task *k, glia_rng *rng) {
    memset(k, 0, sizeof *k);
    for (int i = 0; i < BATCH * (LONGEST + 1); i++) k->label[i] = -1;
    for (int n = 0; n < BATCH; n++) {
        const int length = 2 + (int)glia_rng_below(rng, LONGEST - 1);
        int32_t *source = k->source + n * LONGEST, *target = k->target + n * (LONGEST + 1);
        int32_t *label = k->label + n * (LONGEST + 1);
        k->lengths[n] = length;
        for (int i = 0; i < length; i++) source[i] = FIRST + (int32_t)glia_rng_below(rng, VOCABULARY - FIRST);
        for (int i = 0; i <= length; i++) {
            label[i] = i < length ? source[length - 1 - i] : END;
            target[i] = i ? label[i - 1] : BEGIN;
        }
    }
}

static void give(glia_session *s, const task *k) {
    memcpy(glia_session_input(s, "source", NULL, NULL), k->source, sizeof k->source);
    memcpy(glia_session_input(s, "lengths", NULL, NULL), k->lengths, sizeof k->lengths);
    memcpy(glia_session_input(s, "target", NULL, NULL), k->target, sizeof k->target);
}

typedef struct pupil {
    glia_graph *g;
    glia_tensor source, lengths, target, label, logits, weights, loss;
} pupil;

static pupil pupil_create(void) {
    pupil p = { .g = glia_graph_create() };
    p.source = glia_input(p.g, "source", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, LONGEST));
    p.lengths = glia_input(p.g, "lengths", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    p.target = glia_input(p.g, "target", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, LONGEST + 1));
    p.label = glia_input(p.g, "label", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, LONGEST + 1));
    p.logits = glia_lstm_seq2seq(
        p.source, p.lengths, p.target,
        (glia_lstm_seq2seq_opts){ .vocabulary = VOCABULARY, .units = 32, .embedding = 16, .weights = &p.weights });
    p.loss = glia_cross_entropy(p.logits, p.label, 0);
    return p;
}

static void learns_to_reverse_sequences(void **state) {
    (void)state;
    glia_error error = { 0 };
    pupil p = pupil_create();
    glia_minimize(p.loss, (glia_optimizer){ .kind = GLIA_ADAM, .lr = 0.01 }, NULL, NULL);
    if (glia_graph_check(p.g, &error) != GLIA_OK) fail_msg("%s", error.message);
    glia_backend *b = glia_backend_open("cpu", 2, &error);
    glia_store *store = glia_store_create(p.g, 1, &error);
    glia_compile_opts train = { .outputs = &p.loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = BATCH };
    glia_program *program = glia_compile(p.g, b, train, &error);
    if (!program) fail_msg("%s", error.message);
    glia_session *s = glia_session_create(program, store, &error);
    assert_non_null(s);
    *(float *)glia_session_input(s, "lr", NULL, NULL) = 0.01f;
    glia_rng rng = { .seed = 9 };
    static task k;
    for (int step = 0; step < 500; step++) {
        draw(&k, &rng);
        give(s, &k);
        memcpy(glia_session_input(s, "label", NULL, NULL), k.label, sizeof k.label);
        assert_int_equal(glia_session_run(s, &error), GLIA_OK);
    }
    glia_session_free(s);
    glia_program_free(program);

    const glia_tensor out[] = { p.logits, p.weights };
    program = glia_compile(p.g, b, (glia_compile_opts){ .outputs = out, .n_outputs = 2, .batch = BATCH }, &error);
    s = program ? glia_session_create(program, store, &error) : NULL;
    if (!s) fail_msg("%s", error.message);
    draw(&k, &rng); /* unseen sequences */
    give(s, &k);
    assert_int_equal(glia_session_run(s, &error), GLIA_OK);
    const float *logits = glia_session_output(s, 0).data, *weights = glia_session_output(s, 1).data;
    int right = 0, all = 0;
    for (int i = 0; i < BATCH * (LONGEST + 1); i++) {
        int best = 0;
        for (int v = 1; v < VOCABULARY; v++)
            best = logits[i * VOCABULARY + v] > logits[i * VOCABULARY + best] ? v : best;
        if (k.label[i] < 0) continue;
        all++;
        right += best == k.label[i];
        double sum = 0, behind = 0;
        for (int j = 0; j < LONGEST; j++) {
            sum += weights[i * LONGEST + j];
            if (j >= k.lengths[i / (LONGEST + 1)]) behind += weights[i * LONGEST + j];
        }
        assert_true(fabs(sum - 1) < 1e-5 && behind == 0);
    }
    if (right < all * 98 / 100) fail_msg("%d of %d tokens are right", right, all);
    glia_session_free(s);
    glia_program_free(program);
    glia_store_free(store);
    glia_backend_close(b);
    glia_graph_free(p.g);
}

/* Decoding token by token, passing the states on, gives the same logits as decoding all at once. */
static void stepwise_decoding_equals_full_decoding(void **state) {
    (void)state;
    enum { UNITS = 32, TOKENS = LONGEST + 1 };
    glia_error error = { 0 };
    pupil p = pupil_create();
    glia_lstm_seq2seq_opts opts = { .vocabulary = VOCABULARY, .units = UNITS, .embedding = 16 };
    glia_tensor memory = glia_lstm_seq2seq_encode(p.source, p.lengths, opts), states[3], next[3], y[TOKENS + 1];
    for (int t = 0; t < TOKENS; t++) {
        glia_tensor token = glia_slice(p.target, GLIA_SHAPE(0, t), GLIA_SHAPE(GLIA_BATCH, t + 1), GLIA_SCALAR);
        opts.initial = t ? states : NULL;
        opts.last = next;
        y[t] = glia_lstm_seq2seq_decode(memory, p.lengths, token, opts);
        memcpy(states, next, sizeof states);
    }
    y[TOKENS] = p.logits;
    glia_backend *b = glia_backend_open("cpu", 1, &error);
    glia_store *store = glia_store_create(p.g, 1, &error);
    glia_program *program =
        glia_compile(p.g, b, (glia_compile_opts){ .outputs = y, .n_outputs = TOKENS + 1, .batch = BATCH }, &error);
    if (!program) fail_msg("%s", error.message);
    glia_session *s = glia_session_create(program, store, &error);
    assert_non_null(s);
    glia_rng rng = { .seed = 4 };
    static task k;
    draw(&k, &rng);
    give(s, &k);
    assert_int_equal(glia_session_run(s, &error), GLIA_OK);
    const float *whole = glia_session_output(s, TOKENS).data;
    for (int t = 0; t < TOKENS; t++) {
        const float *step = glia_session_output(s, t).data;
        for (int i = 0; i < BATCH * VOCABULARY; i++) {
            const float should = whole[(i / VOCABULARY * TOKENS + t) * VOCABULARY + i % VOCABULARY];
            if (fabsf(step[i] - should) > 1e-5f) fail_msg("step %d: %g instead of %g", t, step[i], should);
        }
    }
    glia_session_free(s);
    glia_program_free(program);
    glia_store_free(store);
    glia_backend_close(b);
    glia_graph_free(p.g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_matches_pytorch),
        cmocka_unit_test(learns_to_reverse_sequences),
        cmocka_unit_test(stepwise_decoding_equals_full_decoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
