/* adding.c - the adding problem (Hochreiter and Schmidhuber 1997, experiment 4; Le, Jaitly and Hinton 2015): how far
 * back a recurrent net remembers.
 *
 *     adding [--quick] [--cell lstm|gru|rnn] [--steps T] [--iterations N] [--units N] [--lr X] [--threads N]
 *
 * Each of T steps has a random number in [0, 1) and a mark. Two steps are marked, one in each half; the target is the
 * sum of their numbers. Always predicting 1 gives a mean square error of 1/6 = 0.167; the task counts as solved below
 * 0.01. Gate biases are initialised so that units remember for up to T steps (Tallec and Ollivier 2018); the simple RNN
 * has an orthogonal recurrent kernel.
 *
 * --quick: an LSTM on 20 steps. Exit status 1 if it does not solve the task.
 */
#include <glia/glia.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 64, TESTS = 16 * BATCH, CHECK = 100 };

typedef struct settings {
    const char *cell;
    int64_t steps, iterations;
    int units, threads;
    double lr;
} settings;

static void check(glia_status status, const glia_error *error) {
    if (status == GLIA_OK) return;
    fprintf(stderr, "adding: %s\n", error->message);
    exit(2);
}

/* ---- the task ------------------------------------------------------------------------------- */

static uint64_t draw(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* Sequences x (BATCH, T, 2) and their sums. */
static void make_batch(uint64_t *state, int64_t steps, float *x, float *sum) {
    const uint64_t half = (uint64_t)steps / 2;
    for (int64_t n = 0; n < BATCH; n++, x += 2 * steps) {
        const int64_t first = (int64_t)(draw(state) % half), second = (int64_t)(half + draw(state) % half);
        for (int64_t t = 0; t < steps; t++) {
            x[2 * t] = (float)draw(state) * 0x1p-31f;
            x[2 * t + 1] = t == first || t == second;
        }
        sum[n] = x[2 * first] + x[2 * second];
    }
}

/* ---- the net -------------------------------------------------------------------------------- */

static glia_tensor recurrent(glia_tensor x, const settings *s) {
    const glia_recurrent_opts opts = { .units = s->units, .last_only = true };
    if (strcmp(s->cell, "lstm") == 0) return glia_lstm(x, "cell", opts);
    return strcmp(s->cell, "gru") == 0 ? glia_gru(x, "cell", opts) : glia_rnn(x, "cell", opts);
}

/* Initialises gate biases so that units remember for between 1 and T steps: bias b keeps sigmoid(b) of the state, so
 * b = log(u), u in [1, T). An LSTM's input gate gets -b; a GRU's update gate does both. */
static void set_gates(glia_store *store, const settings *s) {
    glia_array bias;
    if (strcmp(s->cell, "rnn") == 0 || !glia_store_find(store, "cell/bias", &bias)) return;
    float *gates = bias.data;
    uint64_t state = 3;
    for (int u = 0; u < s->units; u++) {
        const float b = logf(1 + (float)(s->steps - 2) * (float)draw(&state) * 0x1p-31f);
        gates[s->units + u] = b; /* f, or z */
        if (strcmp(s->cell, "lstm") == 0) gates[u] = -b;
    }
}

typedef struct net {
    glia_graph *graph;
    glia_backend *backend;
    glia_store *store;
    glia_program *train, *test;
    glia_session *training, *testing;
} net;

static glia_session *open_session(net *n, glia_program **program, glia_tensor loss, glia_mode mode) {
    glia_error error = { 0 };
    glia_compile_opts opts = { .outputs = &loss, .n_outputs = 1, .mode = mode, .batch = BATCH };
    *program = glia_compile(n->graph, n->backend, opts, &error);
    check(error.status, &error);
    glia_session *session = glia_session_create(*program, n->store, &error);
    check(error.status, &error);
    return session;
}

static net open_net(const settings *s) {
    glia_error error = { 0 };
    net n = { .graph = glia_graph_create(), .backend = glia_backend_open("cpu", s->threads, &error) };
    check(error.status, &error);
    glia_tensor x = glia_input(n.graph, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, s->steps, 2));
    glia_tensor sum = glia_input(n.graph, "sum", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 1));
    glia_tensor y = glia_dense(recurrent(x, s), "sum_of_two", (glia_dense_opts){ .units = 1 });
    glia_tensor loss = glia_mse(y, sum);
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_ADAM, .lr = s->lr, .clip_norm = 1 }, NULL, NULL);
    n.store = glia_store_create(n.graph, 1, &error);
    check(error.status, &error);
    set_gates(n.store, s);
    n.training = open_session(&n, &n.train, loss, GLIA_TRAIN);
    n.testing = open_session(&n, &n.test, loss, GLIA_INFER);
    return n;
}

static void close_net(net *n) {
    glia_session_free(n->training);
    glia_session_free(n->testing);
    glia_program_free(n->train);
    glia_program_free(n->test);
    glia_store_free(n->store);
    glia_backend_close(n->backend);
    glia_graph_free(n->graph);
}

/* Mean square error on the next batch. */
static double run(glia_session *session, const settings *s, uint64_t *state) {
    glia_error error = { 0 };
    make_batch(state, s->steps, glia_session_input(session, "x", NULL, NULL),
               glia_session_input(session, "sum", NULL, NULL));
    check(glia_session_run(session, &error), &error);
    return *(const float *)glia_session_output(session, 0).data;
}

/* The error on held-out sequences, the same ones each time. */
static double test(glia_session *session, const settings *s) {
    uint64_t state = 12345;
    double sum = 0;
    for (int i = 0; i < TESTS / BATCH; i++) sum += run(session, s, &state);
    return sum / (TESTS / BATCH);
}

static settings read_settings(int argc, char **argv) {
    settings s = { .cell = "lstm", .steps = 100, .iterations = 5000, .units = 64, .lr = 0.01 };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) s.steps = 20, s.iterations = 1500, s.units = 32, s.lr = 0.01;
        if (i + 1 == argc) break;
        if (strcmp(argv[i], "--cell") == 0) s.cell = argv[i + 1];
        if (strcmp(argv[i], "--steps") == 0) s.steps = atoll(argv[i + 1]);
        if (strcmp(argv[i], "--iterations") == 0) s.iterations = atoll(argv[i + 1]);
        if (strcmp(argv[i], "--units") == 0) s.units = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--lr") == 0) s.lr = atof(argv[i + 1]);
        if (strcmp(argv[i], "--threads") == 0) s.threads = atoi(argv[i + 1]);
    }
    if (s.steps < 2) s.steps = 2;
    return s;
}

int main(int argc, char **argv) {
    const settings s = read_settings(argc, argv);
    net n = open_net(&s);
    uint64_t state = 1;
    double mse = 1;
    int64_t i = 0;
    while (i < s.iterations && mse >= 0.01) {
        run(n.training, &s, &state);
        if (++i % CHECK) continue;
        mse = test(n.testing, &s);
        if (i % (2 * CHECK) == 0 || mse < 0.01) {
            printf("%s, %lld steps, iteration %5lld: mean square error %.4f\n", s.cell, (long long)s.steps,
                   (long long)i, mse);
            fflush(stdout);
        }
    }
    close_net(&n);
    printf("%s, %lld steps: %s, mean square error %.4f after %lld iterations\n", s.cell, (long long)s.steps,
           mse < 0.01 ? "solved" : "not solved", mse, (long long)i);
    return mse < 0.01 ? 0 : 1;
}
