/* bidirectional.c - labels that depend on the future: a bidirectional net can predict them, a unidirectional one cannot
 * (Schuster and Paliwal 1997).
 *
 *     bidirectional [--quick]
 *
 * A sequence of random bits; the label of a step is the bit three steps later. A forward LSTM has not seen it and is
 * right half of the time. A bidirectional LSTM gets every label right. The last three steps, which have no such bit,
 * are not counted.
 *
 * Exit status 1 if the result differs.
 */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 64, STEPS = 20, LATER = 3, TESTS = 50 };

static void check(glia_status status, const glia_error *error) {
    if (status == GLIA_OK) return;
    fprintf(stderr, "bidirectional: %s\n", error->message);
    exit(2);
}

static uint64_t draw(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 40;
}

static void make_batch(uint64_t *state, float *bits, int32_t *labels) {
    for (int n = 0; n < BATCH; n++, bits += STEPS, labels += STEPS) {
        for (int t = 0; t < STEPS; t++) bits[t] = (float)(draw(state) & 1);
        for (int t = 0; t < STEPS; t++) labels[t] = t + LATER < STEPS ? (int32_t)bits[t + LATER] : -1;
    }
}

/* Returns the number of correct labels in the batch; sets *counted to the number of labels. */
static int count_right(const float *logits, const int32_t *labels, int *counted) {
    int right = 0;
    for (int i = 0; i < BATCH * STEPS; i++) {
        if (labels[i] < 0) continue;
        right += (logits[2 * i + 1] > logits[2 * i]) == labels[i];
        ++*counted;
    }
    return right;
}

static glia_session *open_session(glia_graph *graph, glia_backend *backend, glia_store *store, glia_tensor output,
                                  glia_mode mode, glia_program **program) {
    glia_error error = { 0 };
    glia_compile_opts opts = { .outputs = &output, .n_outputs = 1, .mode = mode, .batch = BATCH };
    *program = glia_compile(graph, backend, opts, &error);
    check(error.status, &error);
    glia_session *session = glia_session_create(*program, store, &error);
    check(error.status, &error);
    return session;
}

static void run(glia_session *session, uint64_t *state, int32_t *labels) {
    glia_error error = { 0 };
    int32_t *given = glia_session_input(session, "labels", NULL, NULL);
    make_batch(state, glia_session_input(session, "bits", NULL, NULL), given ? given : labels);
    check(glia_session_run(session, &error), &error);
}

/* Trains, then returns the accuracy on new sequences. */
static double share_right(bool both_ways, int iterations) {
    glia_error error = { 0 };
    glia_backend *backend = glia_backend_open("cpu", 0, &error);
    check(error.status, &error);
    glia_graph *graph = glia_graph_create();
    glia_tensor bits = glia_input(graph, "bits", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, STEPS, 1));
    glia_tensor labels = glia_input(graph, "labels", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, STEPS));
    glia_tensor y = glia_lstm(bits, "lstm", (glia_recurrent_opts){ .units = 24, .bidirectional = both_ways });
    glia_tensor logits = glia_dense(y, "labels", (glia_dense_opts){ .units = 2 });
    glia_tensor loss = glia_cross_entropy(logits, labels, 0);
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_ADAM, .lr = 0.01 }, NULL, NULL);
    glia_store *store = glia_store_create(graph, 1, &error);
    check(error.status, &error);
    glia_program *train, *test;
    glia_session *training = open_session(graph, backend, store, loss, GLIA_TRAIN, &train);
    glia_session *testing = open_session(graph, backend, store, logits, GLIA_INFER, &test);
    static int32_t truth[BATCH * STEPS];
    uint64_t state = 1;
    int right = 0, counted = 0;
    for (int i = 0; i < iterations; i++) run(training, &state, truth);
    for (int i = 0; i < TESTS; i++) {
        run(testing, &state, truth);
        right += count_right(glia_session_output(testing, 0).data, truth, &counted);
    }
    glia_session_free(training);
    glia_session_free(testing);
    glia_program_free(train);
    glia_program_free(test);
    glia_store_free(store);
    glia_graph_free(graph);
    glia_backend_close(backend);
    return (double)right / counted;
}

int main(int argc, char **argv) {
    const int iterations = argc > 1 && strcmp(argv[1], "--quick") == 0 ? 300 : 1000;
    const double one = share_right(false, iterations), both = share_right(true, iterations);
    printf("unidirectional  accuracy %6.2f %%\nbidirectional   accuracy %6.2f %%\n", 100 * one, 100 * both);
    return !(both == 1 && one > 0.45 && one < 0.55);
}
