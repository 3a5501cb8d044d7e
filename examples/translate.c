/* translate.c - translates German to English with a Transformer (Vaswani et al. 2017) or with LSTMs and additive
 * attention (Bahdanau et al. 2015): from raw text to the BLEU score.
 *
 *     translate [--lstm] [--data FOLDER] [--epochs N] [--beams N] [--resume]
 *
 * FOLDER holds Multi30k's train.de.gz, train.en.gz, test_2016_flickr.de.gz, test_2016_flickr.en.gz (default:
 * $GLIA_DATA/multi30k). Both languages share one BPE tokenizer with a vocabulary of 6,000. The Transformer has three
 * encoder and three decoder layers of width 256; with --lstm, a bidirectional LSTM encoder and an LSTM decoder of 256
 * units. Sentences of similar length share a batch. The net is saved after each epoch (translate.safetensors,
 * translate.json). At the end the test sentences are translated, greedily and by beam search, and scored by BLEU.
 *
 * --quick: translates generated number words instead, "vierunddreissig" -> "thirty four", in pairs; the pairs of the
 * test set are not in the training set. Exit status 1 if BLEU is below 90.
 */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 64, LONGEST = 48, MULTIPLE = 8, LENGTHS = LONGEST / MULTIPLE, ROWS = 50, PAD = 0, BEGIN, END };

static void die(const glia_error *error) {
    fprintf(stderr, "translate: %s\n", error->message);
    exit(2);
}
static void check(glia_status status, const glia_error *error) {
    if (status != GLIA_OK) die(error);
}
static void *need(void *p) {
    if (!p) {
        fprintf(stderr, "translate: out of memory\n");
        exit(2);
    }
    return p;
}

/* ---- texts ---------------------------------------------------------------------------------- */

typedef struct lines {
    char *text;
    glia_string *at;
    int64_t n;
} lines;

/* The lines of a small file, decompressed by `gzip -dc` if it is a .gz. */
static lines read_lines(const char *path) {
    char command[600];
    const size_t length = strlen(path);
    snprintf(command, sizeof command, "gzip -dc '%.500s'", path);
    FILE *f = length > 3 && !strcmp(path + length - 3, ".gz") ? popen(command, "r") : fopen(path, "r");
    if (!f) {
        perror(path);
        exit(2);
    }
    lines l = { 0 };
    size_t used = 0, room = 1 << 16, got;
    l.text = need(malloc(room));
    while ((got = fread(l.text + used, 1, room - used - 1, f)) > 0) {
        used += got;
        if (used + 1 == room) l.text = need(realloc(l.text, room *= 2));
    }
    l.text[used] = 0;
    fclose(f);
    for (size_t i = 0; i < used; i++) l.n += l.text[i] == '\n';
    l.at = need(calloc((size_t)l.n + 1, sizeof *l.at));
    char *line = l.text;
    for (int64_t i = 0; i < l.n; i++) {
        char *stop = strchr(line, '\n');
        *stop = 0;
        l.at[i] = (glia_string){ line, (size_t)(stop - line) };
        line = stop + 1;
    }
    return l;
}

static void free_lines(lines *l) {
    free(l->text);
    free(l->at);
}

static const char *const units_de[] = { "null",  "ein",   "zwei",   "drei", "vier",
                                        "fuenf", "sechs", "sieben", "acht", "neun" };
static const char *const tens_de[] = { "",         "zehn",    "zwanzig", "dreissig", "vierzig",
                                       "fuenfzig", "sechzig", "siebzig", "achtzig",  "neunzig" };
static const char *const units_en[] = {
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"
};
static const char *const tens_en[] = { "",      "ten",   "twenty",  "thirty", "forty",
                                       "fifty", "sixty", "seventy", "eighty", "ninety" };

/* Writes pairs of two-digit numbers in words, whose order of tens and units differs between German and English. `test`
 * selects the pairs of the test set. */
static void write_numbers(const char *german, const char *english, bool test) {
    FILE *de = need(fopen(german, "w")), *en = need(fopen(english, "w"));
    for (int n = 0; n < 72 * 72; n++) {
        if (test ? n % 77 != 0 : n % 7 == 0) continue;
        for (int part = 0; part < 2; part++) {
            const int two = part ? (n / 72 + n) % 72 : n / 72, tens = two / 9 + 2, units = two % 9 + 1;
            fprintf(de, "%s%sund%s", part ? " plus " : "", units_de[units], tens_de[tens]);
            fprintf(en, "%s%s %s", part ? " plus " : "", tens_en[tens], units_en[units]);
        }
        fputc('\n', de);
        fputc('\n', en);
    }
    fclose(de);
    fclose(en);
}

/* ---- the net -------------------------------------------------------------------------------- */

typedef struct net {
    glia_model *model;
    glia_backend *backend;
    bool lstm;
    glia_seq2seq_opts opts;
    glia_lstm_seq2seq_opts lstm_opts;
    glia_optimizer optimizer;
    glia_graph *graphs[LENGTHS];     /* for training, by length / MULTIPLE - 1 */
    glia_program *programs[LENGTHS]; /* NULL: not compiled yet */
    glia_session *sessions[LENGTHS];
} net;

/* The encoder's output (N, T, width_of). */
static glia_tensor encoded(const net *n, glia_tensor source, glia_tensor lengths) {
    return n->lstm ? glia_lstm_seq2seq_encode(source, lengths, n->lstm_opts)
                   : glia_seq2seq_encode(source, lengths, n->opts);
}

/* The logits of the next token at each position of `input`. */
static glia_tensor decoded(const net *n, glia_tensor memory, glia_tensor lengths, glia_tensor input) {
    return n->lstm ? glia_lstm_seq2seq_decode(memory, lengths, input, n->lstm_opts)
                   : glia_seq2seq_decode(memory, lengths, input, n->opts);
}

static int width_of(const net *n) { return n->lstm ? 2 * n->lstm_opts.units : n->opts.units; }

/* The loss for sentences of this length, with the updates of the parameters. */
static glia_tensor build_loss(const net *n, glia_graph *graph, int64_t length) {
    const glia_shape ids = GLIA_SHAPE(GLIA_BATCH, length);
    glia_tensor source = glia_input(graph, "source", GLIA_I32, ids), input = glia_input(graph, "input", GLIA_I32, ids),
                target = glia_input(graph, "target", GLIA_I32, ids),
                lengths = glia_input(graph, "lengths", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor logits = decoded(n, encoded(n, source, lengths), lengths, input);
    glia_tensor loss = glia_cross_entropy_tokens(logits, target, 0.1);
    glia_minimize(loss, n->optimizer, NULL, NULL);
    return loss;
}

static net create(int vocabulary, bool lstm, bool quick) {
    glia_error error = { 0 };
    net n = { .model = need(glia_model_create("translate", &error)), .backend = glia_backend_open("cpu", 0, &error) };
    if (!n.backend) die(&error);
    n.lstm = lstm;
    n.optimizer =
        (glia_optimizer){ .kind = GLIA_ADAM, .lr = lstm && quick ? 5e-3 : 1e-3, .beta2 = 0.98, .clip_norm = 1 };
    n.lstm_opts =
        (glia_lstm_seq2seq_opts){ .vocabulary = vocabulary, .units = quick ? 64 : 256, .dropout = quick ? 0 : 0.3 };
    n.opts = (glia_seq2seq_opts){ .vocabulary = vocabulary,
                                  .layers = quick ? 1 : 3,
                                  .units = quick ? 64 : 256,
                                  .heads = 4,
                                  .feed_forward = quick ? 128 : 512,
                                  .dropout = quick ? 0 : 0.1 };
    /* creates all parameters and the optimiser's states */
    glia_model_output(n.model, "loss", build_loss(&n, glia_model_graph(n.model), LONGEST));
    check(glia_model_init(n.model, 1, &error), &error);
    return n;
}

/* The training session for a sentence length; all lengths share parameters and states. */
static glia_session *session_of(net *n, int64_t length) {
    const int64_t i = length / MULTIPLE - 1;
    glia_error error = { 0 };
    if (n->sessions[i]) return n->sessions[i];
    n->graphs[i] = need(glia_graph_create());
    glia_tensor loss = build_loss(n, n->graphs[i], length);
    const glia_compile_opts opts = { .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = BATCH };
    check(glia_store_add(glia_model_store(n->model), n->graphs[i], 1, &error), &error);
    n->programs[i] = glia_compile(n->graphs[i], n->backend, opts, &error);
    if (!n->programs[i]) die(&error);
    n->sessions[i] = glia_session_create(n->programs[i], glia_model_store(n->model), &error);
    if (!n->sessions[i]) die(&error);
    return n->sessions[i];
}

static double train_step(net *n, const glia_pair_batch *b, double rate) {
    glia_error error = { 0 };
    glia_session *s = session_of(n, b->length);
    const size_t size = (size_t)(b->rows * b->length) * sizeof(int32_t);
    memcpy(glia_session_input(s, "source", NULL, NULL), b->source, size);
    memcpy(glia_session_input(s, "input", NULL, NULL), b->input, size);
    memcpy(glia_session_input(s, "target", NULL, NULL), b->target, size);
    memcpy(glia_session_input(s, "lengths", NULL, NULL), b->source_lengths, (size_t)b->rows * sizeof(int32_t));
    *(float *)glia_session_input(s, "lr", NULL, NULL) = (float)rate;
    check(glia_session_run(s, &error), &error);
    return (double)*(const float *)glia_session_output(s, 0).data;
}

static void destroy(net *n) {
    for (int i = 0; i < LENGTHS; i++) {
        glia_session_free(n->sessions[i]);
        glia_program_free(n->programs[i]);
        glia_graph_free(n->graphs[i]);
    }
    glia_model_free(n->model);
    glia_backend_close(n->backend);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void train(net *n, glia_pairs *pairs, int64_t epochs, bool quick) {
    glia_error error = { 0 };
    glia_lr_schedule schedule = { .kind = GLIA_LR_COSINE, .warmup = quick ? 50 : 800, .low = 1e-5 };
    int64_t step = 0;
    for (int64_t epoch = 0; epoch < epochs; epoch++) {
        const double start = now();
        double sum = 0;
        check(glia_pairs_start(pairs, epoch, &error), &error);
        const int64_t steps = glia_pairs_batches(pairs);
        glia_pair_batch b;
        while (glia_pairs_next(pairs, &b)) {
            sum += train_step(n, &b, glia_lr_schedule_rate(&schedule, n->optimizer.lr, step, epochs * steps, steps));
            step++;
        }
        printf("epoch %d of %d: loss %.4f, %.0f s\n", (int)epoch + 1, (int)epochs, sum / (double)steps, now() - start);
        fflush(stdout);
        check(glia_model_save(n->model, "translate.safetensors", &error), &error);
    }
}

/* ---- translating ---------------------------------------------------------------------------- */

/* Generates translations of `rows` sentences: the encoder runs once, the decoder for each token. `input` holds the
 * tokens so far. */
typedef struct writer {
    glia_graph *graphs[2];
    glia_program *programs[2];
    glia_session *encode, *decode;
    int rows, vocabulary, units;
} writer;

static writer open_writer(net *n, int rows) {
    glia_error error = { 0 };
    writer w = { .rows = rows, .vocabulary = n->opts.vocabulary, .units = width_of(n) };
    const glia_shape ids = GLIA_SHAPE(GLIA_BATCH, LONGEST), count = GLIA_SHAPE(GLIA_BATCH);
    glia_graph *a = w.graphs[0] = need(glia_graph_create()), *b = w.graphs[1] = need(glia_graph_create());
    glia_tensor memory = encoded(n, glia_input(a, "source", GLIA_I32, ids), glia_input(a, "lengths", GLIA_I32, count));
    glia_tensor held = glia_input(b, "memory", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, LONGEST, w.units));
    glia_tensor logits =
        decoded(n, held, glia_input(b, "lengths", GLIA_I32, count), glia_input(b, "input", GLIA_I32, ids));
    glia_tensor outputs[] = { memory, logits };
    glia_session **sessions[] = { &w.encode, &w.decode };
    for (int i = 0; i < 2; i++) {
        const glia_compile_opts opts = { .outputs = &outputs[i], .n_outputs = 1, .batch = rows, .frozen = true };
        w.programs[i] = glia_compile(w.graphs[i], n->backend, opts, &error);
        if (!w.programs[i]) die(&error);
        *sessions[i] = glia_session_create(w.programs[i], glia_model_store(n->model), &error);
        if (!*sessions[i]) die(&error);
    }
    return w;
}

static void close_writer(writer *w) {
    glia_session_free(w->encode);
    glia_session_free(w->decode);
    for (int i = 0; i < 2; i++) {
        glia_program_free(w->programs[i]);
        glia_graph_free(w->graphs[i]);
    }
}

/* Sets the source sentence of row r. */
static void set_source(writer *w, int r, const glia_encoding *e) {
    int32_t *source = (int32_t *)glia_session_input(w->encode, "source", NULL, NULL) + r * LONGEST,
            *lengths = glia_session_input(w->encode, "lengths", NULL, NULL);
    const int64_t n = e->n < LONGEST ? e->n : LONGEST - 1;
    for (int i = 0; i < LONGEST; i++) source[i] = i < n ? e->ids[i] : i == n ? END : PAD;
    lengths[r] = (int32_t)n + 1;
}

static void encode(writer *w) {
    glia_error error = { 0 };
    check(glia_session_run(w->encode, &error), &error);
    memcpy(glia_session_input(w->decode, "memory", NULL, NULL), glia_session_output(w->encode, 0).data,
           (size_t)w->rows * LONGEST * (size_t)w->units * sizeof(float));
    memcpy(glia_session_input(w->decode, "lengths", NULL, NULL), glia_session_input(w->encode, "lengths", NULL, NULL),
           (size_t)w->rows * sizeof(int32_t));
}

static int32_t best_of(const float *scores, int n) {
    int32_t best = END;
    for (int32_t i = END; i < n; i++) best = scores[i] > scores[best] ? i : best;
    return best;
}

/* Greedy decoding of all rows: ids (rows, LONGEST), up to END. */
static void write_greedily(writer *w, int32_t *ids) {
    glia_error error = { 0 };
    int32_t *input = glia_session_input(w->decode, "input", NULL, NULL);
    for (int i = 0; i < w->rows * LONGEST; i++) input[i] = PAD, ids[i] = END;
    for (int r = 0; r < w->rows; r++) input[r * LONGEST] = BEGIN;
    bool busy = true;
    for (int t = 0; t + 1 < LONGEST && busy; t++) {
        check(glia_session_run(w->decode, &error), &error);
        const float *logits = glia_session_output(w->decode, 0).data;
        busy = false;
        for (int r = 0; r < w->rows; r++) {
            if (t && ids[r * LONGEST + t - 1] == END) continue;
            ids[r * LONGEST + t] = input[r * LONGEST + t + 1] =
                best_of(logits + ((int64_t)r * LONGEST + t) * w->vocabulary, w->vocabulary);
            busy = busy || ids[r * LONGEST + t] != END;
        }
    }
}

/* For glia_beam_search(): each row is a hypothesis for the same sentence. */
static glia_status score(const int32_t *tokens, int n, int64_t length, const int *parents, float *scores, void *context,
                         glia_error *error) {
    writer *w = context;
    (void)parents;
    int32_t *input = glia_session_input(w->decode, "input", NULL, NULL);
    for (int r = 0; r < n; r++) memcpy(input + r * LONGEST, tokens + r * length, (size_t)length * sizeof *tokens);
    const glia_status status = glia_session_run(w->decode, error);
    const float *logits = status ? NULL : glia_session_output(w->decode, 0).data;
    for (int r = 0; r < n && !status; r++)
        memcpy(scores + (int64_t)r * w->vocabulary, logits + ((int64_t)r * LONGEST + length - 1) * w->vocabulary,
               (size_t)w->vocabulary * sizeof *scores);
    return status;
}

static void add_bleu(glia_bleu *bleu, const glia_tokenizer *t, const int32_t *ids, int64_t n, const char *reference,
                     bool show) {
    glia_error error = { 0 };
    while (n && ids[n - 1] == END) n--;
    char *text = need(glia_tokenizer_decode(t, ids, n, true, NULL));
    check(glia_bleu_update(bleu, text, &reference, 1, (glia_bleu_opts){ 0 }, &error), &error);
    if (show) printf("    %s\n    (%s)\n", text, reference);
    free(text);
}

static double translate_greedily(net *n, const glia_tokenizer *t, const glia_encoding *sources,
                                 const lines *references) {
    glia_bleu bleu = { 0 };
    writer w = open_writer(n, ROWS);
    int32_t *ids = need(calloc(ROWS * LONGEST, sizeof *ids));
    for (int64_t i = 0; i < references->n; i += ROWS) {
        for (int r = 0; r < ROWS; r++) set_source(&w, r, &sources[i + r < references->n ? i + r : 0]);
        encode(&w);
        write_greedily(&w, ids);
        for (int64_t r = 0; r < ROWS && i + r < references->n; r++) {
            int64_t length = 0;
            while (length < LONGEST && ids[r * LONGEST + length] != END) length++;
            add_bleu(&bleu, t, ids + r * LONGEST, length, references->at[i + r].bytes, i == 0 && r < 3);
        }
    }
    free(ids);
    close_writer(&w);
    return glia_bleu_result(&bleu, (glia_bleu_opts){ 0 }).score;
}

static double translate_by_beams(net *n, const glia_tokenizer *t, const glia_encoding *sources, const lines *references,
                                 int beams) {
    glia_error error = { 0 };
    glia_bleu bleu = { 0 };
    writer w = open_writer(n, beams);
    const int32_t begin = BEGIN;
    const glia_beam_opts opts = {
        .vocabulary = w.vocabulary, .beams = beams, .length = LONGEST - 1, .end = END, .length_penalty = 0.6
    };
    glia_hypothesis *found = need(calloc((size_t)beams, sizeof *found));
    for (int64_t i = 0; i < references->n; i++) {
        int n_found = 0;
        for (int r = 0; r < beams; r++) set_source(&w, r, &sources[i]);
        encode(&w);
        check(glia_beam_search(score, &w, &begin, 1, opts, found, &n_found, &error), &error);
        if (n_found) add_bleu(&bleu, t, found[0].tokens, found[0].n, references->at[i].bytes, false);
        for (int k = 0; k < n_found; k++) free(found[k].tokens);
    }
    free(found);
    close_writer(&w);
    return glia_bleu_result(&bleu, (glia_bleu_opts){ 0 }).score;
}

/* ---- the whole ------------------------------------------------------------------------------ */

typedef struct request {
    const char *data;
    int64_t epochs, beams;
    bool lstm, quick, resume;
} request;

static request read_request(int argc, char **argv) {
    static char folder[500];
    const char *root = getenv("GLIA_DATA");
    snprintf(folder, sizeof folder, "%.400s/multi30k", root ? root : "data");
    request q = { .data = folder, .epochs = 20, .beams = 5 };
    for (int i = 1; i < argc; i++) {
        const bool more = i + 1 < argc;
        if (!strcmp(argv[i], "--quick"))
            q.quick = true;
        else if (!strcmp(argv[i], "--lstm"))
            q.lstm = true;
        else if (!strcmp(argv[i], "--resume"))
            q.resume = true;
        else if (!strcmp(argv[i], "--data") && more)
            q.data = argv[++i];
        else if (!strcmp(argv[i], "--epochs") && more)
            q.epochs = atoll(argv[++i]);
        else if (!strcmp(argv[i], "--beams") && more)
            q.beams = atoll(argv[++i]);
        else {
            fprintf(stderr,
                    "usage: translate [--lstm] [--data FOLDER] [--epochs N] [--beams N] [--resume] [--quick]\n");
            exit(2);
        }
    }
    return q;
}

int main(int argc, char **argv) {
    glia_error error = { 0 };
    const request q = read_request(argc, argv);
    static const char *const names[] = { "train.de", "train.en", "test_2016_flickr.de", "test_2016_flickr.en" };
    char paths[4][640];
    for (int i = 0; i < 4; i++)
        snprintf(paths[i], sizeof paths[i], "%s%s%s%s", q.quick ? "" : q.data, q.quick ? "numbers." : "/", names[i],
                 q.quick ? "" : ".gz");
    if (q.quick) {
        write_numbers(paths[0], paths[1], false);
        write_numbers(paths[2], paths[3], true);
    }
    const char *both[] = { paths[0], paths[1] };
    const glia_tokenizer_opts words = { .vocabulary = q.quick ? 320 : 6000, .specials = "<pad>,<s>,</s>" };
    glia_tokenizer *t = glia_tokenizer_train_files(GLIA_TOKENIZER_BPE, words, both, 2, &error);
    if (!t) die(&error);
    check(glia_tokenizer_save(t, "translate.json", &error), &error);
    const glia_pairs_opts batches = { .batch = BATCH,
                                      .longest = LONGEST,
                                      .multiple = MULTIPLE,
                                      .begin = BEGIN,
                                      .end = END,
                                      .pad = PAD,
                                      .shuffle = true,
                                      .seed = 1 };
    glia_pairs *pairs = glia_pairs_open(paths[0], paths[1], t, t, batches, &error);
    if (!pairs) die(&error);
    net n = create((int)glia_tokenizer_size(t), q.lstm, q.quick);
    if (q.resume) check(glia_model_load_weights(n.model, "translate.safetensors", NULL, &error), &error);
    printf("%lld pairs, %lld tokens in the vocabulary\n", (long long)glia_pairs_count(pairs),
           (long long)glia_tokenizer_size(t));
    train(&n, pairs, !q.quick ? q.epochs : q.lstm ? 12 : 7, q.quick);

    lines german = read_lines(paths[2]), english = read_lines(paths[3]);
    glia_encoding *sources = need(calloc((size_t)german.n + 1, sizeof *sources));
    check(glia_tokenizer_encode_batch(t, german.at, german.n, (glia_encode_opts){ 0 }, 0, sources, &error), &error);
    const double greedy = translate_greedily(&n, t, sources, &english);
    printf("BLEU %.2f, greedily\n", greedy);
    fflush(stdout);
    const double beams = q.beams > 1 ? translate_by_beams(&n, t, sources, &english, (int)q.beams) : greedy;
    if (q.beams > 1) printf("BLEU %.2f, by %d beams\n", beams, (int)q.beams);

    for (int64_t i = 0; i < german.n; i++) glia_encoding_free(&sources[i]);
    free(sources);
    free_lines(&german);
    free_lines(&english);
    destroy(&n);
    glia_pairs_free(pairs);
    glia_tokenizer_free(t);
    return q.quick && (greedy < 90 || beams < 90);
}
