/* transformer.c - an encoder-decoder learns to copy, reverse and sort digits; plots its attention weights.
 *
 *     encoder_inputs = Input(shape=(max_length,));  decoder_inputs = Input(shape=(max_length,))
 *     ... Embedding, positional encoding, multi-head attention, Dense(vocab_size, activation='softmax')
 *     model.fit(x=[encoder_input_data, decoder_input_data], y=decoder_target_data)
 *
 * This is the net of Vaswani et al. 2017 on a small scale: two encoder layers and one decoder layer, which generates
 * one digit at a time from those before it. The test generates 1,000 new sequences. attention.svg shows the attention
 * of each output digit to the input digits: the diagonal for copying, the other diagonal for reversing, and the sorting
 * permutation for sorting.
 *
 * --quick: reverses six digits only. Exit status 1 if a digit is wrong, or if the largest attention weight is at the
 * correct input digit for fewer than 97 % of the output digits.
 */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS = 10, BEGIN = DIGITS, WORDS, MOST = 8, BATCH = 128, TESTS = 1000, HEADS = 1 };

static void die(const glia_error *error) {
    fprintf(stderr, "transformer: %s\n", error->message);
    exit(2);
}
static void check(glia_status status, const glia_error *error) {
    if (status != GLIA_OK) die(error);
}

/* ---- the three tasks ----------------------------------------------------------------------- */

typedef enum task { COPY, REVERSE, SORT, TASKS } task;
static const char *const names[] = { "copy", "reverse", "sort" };

static uint32_t draw(uint64_t *state, uint32_t below) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % below;
}

/* Digit t of the output is digit from[t] of the input; sorting is stable. */
static void permutation(task which, const int32_t *digits, int length, int *from) {
    for (int t = 0; t < length; t++) from[t] = which == REVERSE ? length - 1 - t : t;
    for (int t = 1; which == SORT && t < length; t++) {
        for (int i = t; i > 0 && digits[from[i]] < digits[from[i - 1]]; i--) {
            const int held = from[i];
            from[i] = from[i - 1];
            from[i - 1] = held;
        }
    }
}

static void make(task which, int length, uint64_t *state, int32_t *question, int32_t *answer) {
    int from[MOST];
    for (int i = 0; i < length; i++) question[i] = (int32_t)draw(state, DIGITS);
    permutation(which, question, length, from);
    for (int i = 0; i < length; i++) answer[i] = question[from[i]];
}

/* ---- the net ------------------------------------------------------------------------------- */

typedef struct net {
    glia_model *model;
    glia_backend *backend;
    glia_program *programs[2];
    glia_session *train, *infer; /* batches of BATCH and of TESTS */
} net;

static glia_session *open(net *n, int index, glia_compile_opts opts) {
    glia_error error = { 0 };
    n->programs[index] = glia_compile(glia_model_graph(n->model), n->backend, opts, &error);
    if (!n->programs[index]) die(&error);
    glia_session *session = glia_session_create(n->programs[index], glia_model_store(n->model), &error);
    if (!session) die(&error);
    return session;
}

static net build(int length) {
    glia_error error = { 0 };
    net n = { .model = glia_model_create("digits", &error), .backend = glia_backend_open("cpu", 0, &error) };
    if (!n.model || !n.backend) die(&error);
    glia_tensor source = glia_model_input(n.model, "question", GLIA_I32, GLIA_SHAPE(length));
    glia_tensor target = glia_model_input(n.model, "written", GLIA_I32, GLIA_SHAPE(length)), looks[1];
    glia_seq2seq_opts opts = { .vocabulary = WORDS,
                               .layers = 2,
                               .decoder_layers = 1,
                               .units = 64,
                               .heads = HEADS,
                               .feed_forward = 128,
                               .memory_weights = looks };
    glia_tensor logits = glia_seq2seq(source, NULL, target, opts);
    glia_model_output(n.model, "logits", logits);
    glia_tensor labels = glia_input(glia_model_graph(n.model), "answer", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, length));
    glia_tensor loss = glia_cross_entropy_tokens(logits, labels, 0), out[] = { logits, looks[0] };
    glia_optimizer adam = { .kind = GLIA_ADAM, .lr = 2e-3, .beta2 = 0.98, .clip_norm = 1 };
    glia_minimize(loss, adam, NULL, NULL);
    check(glia_model_init(n.model, 1, &error), &error);
    n.train = open(&n, 0, (glia_compile_opts){ .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = BATCH });
    n.infer = open(&n, 1, (glia_compile_opts){ .outputs = out, .n_outputs = 2, .batch = TESTS });
    return n;
}

static void close_net(net *n) {
    glia_session_free(n->train);
    glia_session_free(n->infer);
    glia_program_free(n->programs[0]);
    glia_program_free(n->programs[1]);
    glia_model_free(n->model);
    glia_backend_close(n->backend);
}

static void train(net *n, task which, int length, int steps) {
    glia_error error = { 0 };
    uint64_t state = 1;
    int32_t *question = glia_session_input(n->train, "question", NULL, NULL),
            *answer = glia_session_input(n->train, "answer", NULL, NULL),
            *written = glia_session_input(n->train, "written", NULL, NULL);
    float *rate = glia_session_input(n->train, "lr", NULL, NULL);
    const float full = *rate;
    for (int step = 0; step < steps; step++) {
        for (int i = 0; i < BATCH; i++) {
            make(which, length, &state, question + i * length, answer + i * length);
            written[i * length] = BEGIN;
            memcpy(written + i * length + 1, answer + i * length, (size_t)(length - 1) * sizeof *answer);
        }
        const float left = 1 - (float)step / (float)steps; /* up in the first hundred steps, then down in a line */
        *rate = full * (step < 100 ? (float)(step + 1) / 100 : left);
        check(glia_session_run(n->train, &error), &error);
        if ((step + 1) % 250 == 0)
            printf("%s: step %d, loss %.5f\n", names[which], step + 1,
                   (double)*(const float *)glia_session_output(n->train, 0).data);
    }
}

/* Generates the outputs greedily, digit by digit. The session then holds the attention weights. */
static void write_all(net *n, int length, const int32_t *questions, int32_t *answers) {
    glia_error error = { 0 };
    memcpy(glia_session_input(n->infer, "question", NULL, NULL), questions,
           (size_t)(TESTS * length) * sizeof *questions);
    int32_t *written = glia_session_input(n->infer, "written", NULL, NULL);
    for (int i = 0; i < TESTS * length; i++) written[i] = BEGIN;
    for (int t = 0; t < length; t++) {
        check(glia_session_run(n->infer, &error), &error);
        const float *logits = glia_session_output(n->infer, 0).data;
        for (int i = 0; i < TESTS; i++) {
            const float *scores = logits + (i * length + t) * WORDS;
            int32_t best = 0;
            for (int32_t k = 1; k < DIGITS; k++) best = scores[k] > scores[best] ? k : best;
            answers[i * length + t] = best;
            if (t + 1 < length) written[i * length + t + 1] = best;
        }
    }
}

/* ---- where it looks ------------------------------------------------------------------------ */

/* The attention weight of output digit t to input digit s in a test, averaged over the heads. */
static double look(const net *n, int length, int test, int t, int s) {
    const float *weights = glia_session_output(n->infer, 1).data;
    double sum = 0;
    for (int h = 0; h < HEADS; h++) sum += (double)weights[((test * HEADS + h) * length + t) * length + s];
    return sum / HEADS;
}

enum { CELL = 26, EDGE = 40 };

static void panel(FILE *svg, const net *n, task which, int left, int length, const int32_t *question,
                  const int32_t *answer) {
    fprintf(svg, "<g transform='translate(%d 0)'><text x='%d' y='18' class='title'>%s</text>\n", left,
            EDGE + length * CELL / 2, names[which]);
    for (int i = 0; i < length; i++) {
        const int middle = EDGE + i * CELL + CELL / 2;
        fprintf(svg, "<text x='%d' y='36'>%d</text><text x='%d' y='%d'>%d</text>\n", middle, (int)question[i],
                EDGE - 12, middle + 8, (int)answer[i]);
        for (int s = 0; s < length; s++)
            fprintf(svg, "<rect x='%d' y='%d' width='%d' height='%d' fill-opacity='%.3f'/>\n", EDGE + s * CELL,
                    EDGE + i * CELL + 4, CELL - 2, CELL - 2, look(n, length, 0, i, s));
    }
    fprintf(svg, "</g>\n");
}

int main(int argc, char **argv) {
    const bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    const int length = quick ? 6 : MOST;
    static int32_t questions[TESTS * MOST], expected[TESTS * MOST], written[TESTS * MOST];
    const int width = EDGE + length * CELL + 12;
    FILE *svg = fopen("attention.svg", "w");
    if (!svg) {
        perror("attention.svg");
        return 2;
    }
    fprintf(svg,
            "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' font-family='system-ui,sans-serif'>\n"
            "<style>svg{background:#fff}text{text-anchor:middle;font-size:14px;fill:#1c1e21}"
            ".title{font-weight:600}rect{fill:#2f6fde;stroke:#e6e6e3}</style>\n",
            width * (quick ? 1 : TASKS), EDGE + length * CELL + 16);
    bool good = true;
    for (task which = quick ? REVERSE : COPY; which < (quick ? SORT : TASKS); which++) {
        net n = build(length);
        train(&n, which, length, quick ? 400 : which == SORT ? 2000 : 700);
        uint64_t state = 99;
        int right = 0, seen = 0;
        for (int i = 0; i < TESTS; i++) make(which, length, &state, questions + i * length, expected + i * length);
        write_all(&n, length, questions, written);
        for (int i = 0; i < TESTS; i++) {
            right += memcmp(written + i * length, expected + i * length, (size_t)length * sizeof *written) == 0;
            for (int t = 0; t < length; t++) {
                int best = 0;
                for (int s = 1; s < length; s++)
                    best = look(&n, length, i, t, s) > look(&n, length, i, t, best) ? s : best;
                int from[MOST];
                permutation(which, questions + i * length, length, from);
                /* when sorting equal digits, any of them is correct */
                seen += which == SORT ? questions[i * length + best] == expected[i * length + t] : best == from[t];
            }
        }
        printf("%s: %d of %d sequences exact; attention at the correct input digit %.2f %%\n", names[which], right,
               TESTS, 100.0 * seen / (TESTS * length));
        good = good && right == TESTS && seen >= 0.97 * TESTS * length;
        panel(svg, &n, which, quick ? 0 : width * (int)which, length, questions, written);
        close_net(&n);
    }
    fprintf(svg, "</svg>\n");
    return fclose(svg) == 0 && good ? 0 : 1;
}
