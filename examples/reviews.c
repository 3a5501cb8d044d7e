/* reviews.c - sentiment classification of film reviews by TextCNN and by a small BERT, with and without masked
 * language-model pre-training on the same reviews.
 *
 *     reviews [--quick] [--epochs N] [--labelled N] [ARCHIVE]
 *
 * ARCHIVE is a folder or an archive with a folder of texts for each class. Default:
 * $GLIA_DATA/movie_reviews/movie_reviews.zip (Pang and Lee 2004, 2,000 reviews). Four fifths of the texts are the
 * training set, which also trains a WordPiece tokenizer; the last fifth is the test set.
 *
 *     TextCNN   Kim 2014, on the first 256 and the last 256 tokens of a review
 *     BERT      two layers of 128; reads the first 252 and the last 252 tokens of a review in four windows and
 *               classifies the mean over all tokens. The accuracy is the mean of three runs, because a test set of 400
 *               reviews is small.
 *               without   trained on the two classes only
 *               with      pre-trained on whole-word masking (Devlin et al. 2019; no next-sentence prediction): N epochs
 *                         (8) in rows of 32 tokens, then a quarter of that in rows of 128, to train the positions. In
 *                         long rows attention takes much longer to find neighbouring tokens; until then the net only
 *                         learns word frequencies.
 *
 * --labelled N: BERT only, five runs with N labelled reviews each, different ones. Pre-training reads all training
 * reviews and the texts of abc, multi30k and shakespeare in $GLIA_DATA: N epochs (16) in short rows.
 *
 * --quick: generated texts of a dozen words and smaller nets. Exit status 1 if an accuracy or the perplexity is worse
 * than expected.
 */
#include <glia/glia.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEXT_BYTES = 16384,
    LINE_BYTES = 2048,
    LONG = 512,   /* tokens per review of TextCNN */
    LENGTH = 128, /* tokens per window of BERT */
    SHORT = 32,   /* tokens per row in the first part of pre-training */
    WINDOWS = 4,
    BATCH = 32, /* rows of LENGTH; of shorter rows, as many tokens */
    PADDING = 0,
    SPECIALS = 5
};

static void die(const glia_error *error) {
    fprintf(stderr, "reviews: %s\n", error->message);
    exit(2);
}
static void check(glia_status status, const glia_error *error) {
    if (status != GLIA_OK) die(error);
}
static void *allocate(size_t bytes) {
    void *memory = calloc(1, bytes + 1);
    if (memory) return memory;
    fprintf(stderr, "reviews: out of memory\n");
    exit(2);
}

static uint32_t draw(uint64_t *state, uint32_t below) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % below;
}

/* ---- texts --------------------------------------------------------------------------------- */

/* The first n_train texts are the training set, those from n on are for pre-training only. */
typedef struct corpus {
    int64_t n, n_train, n_all;
    int64_t labelled; /* of the training set, whose classes are used; 0: all */
    glia_string *texts;
    int32_t *labels;
    glia_tokenizer *tokenizer;
    glia_encoding *tokens;
    int vocabulary, begin, end, mask; /* ids */
    bool *continues;
} corpus;

static char *copy_text(const char *text, size_t length) {
    char *bytes = allocate(length);
    memcpy(bytes, text, length);
    return bytes;
}

/* Generates texts: one adjective shows the class, the other words are independent of it. Which adjective goes with
 * which verb can be learned without the class. */
static void draw_texts(corpus *c) {
    static const char *const said[2][3] = { { "dull", "weak", "tired" }, { "bright", "strong", "fresh" } };
    static const char *const verbs[2] = { "bored", "moved" };
    static const char *const rest[] = {
        "the", "film", "story", "of", "a", "man", "and", "woman", "in", "city", "that"
    };
    uint64_t state = 1;
    for (int64_t i = 0; i < c->n; i++) {
        char text[400] = "";
        c->labels[i] = (int32_t)draw(&state, 2);
        const uint32_t at = 2 + draw(&state, 16);
        for (uint32_t k = 0; k < 20; k++) {
            const char *word = rest[draw(&state, sizeof rest / sizeof *rest)];
            if (k == at) word = said[c->labels[i]][draw(&state, 3)];
            if (k == at + 1) word = verbs[c->labels[i]];
            strcat(strcat(text, word), " ");
        }
        c->texts[i] = (glia_string){ copy_text(text, strlen(text)), strlen(text) };
    }
}

/* Reads the texts in a random order that is the same in every run. */
static void read_texts(corpus *c, glia_dataset *data) {
    glia_error error = { 0 };
    float *bytes = allocate(TEXT_BYTES * sizeof *bytes);
    char *text = allocate(TEXT_BYTES);
    uint64_t state = 2;
    int64_t *order = allocate((size_t)c->n * sizeof *order);
    for (int64_t i = 0; i < c->n; i++) {
        const int64_t j = draw(&state, (uint32_t)i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (int64_t i = 0; i < c->n; i++) {
        check(glia_data_get(data, order[i], bytes, &c->labels[i], &error), &error);
        size_t length = 0;
        for (; length < TEXT_BYTES && bytes[length] != 0; length++) text[length] = (char)lround((double)bytes[length]);
        c->texts[i] = (glia_string){ copy_text(text, length), length };
    }
    free(bytes);
    free(text);
    free(order);
}

/* Lines of a file, joined to texts of TEXT_BYTES / 4, after the others. */
static void read_lines(corpus *c, const char *file) {
    glia_error error = { 0 };
    char address[200];
    snprintf(address, sizeof address, "lines:%s?length=%d", file, LINE_BYTES);
    glia_dataset *data = glia_data_open(address, "train", NULL, &error);
    if (!data) die(&error);
    int32_t *bytes = allocate(LINE_BYTES * sizeof *bytes);
    char *text = allocate(TEXT_BYTES);
    size_t length = 0;
    for (int64_t i = 0, n = glia_data_count(data); i < n; i++) {
        check(glia_data_get_ids(data, i, bytes, NULL, &error), &error);
        for (int k = 0; k < LINE_BYTES && bytes[k] != 0; k++) text[length++] = (char)bytes[k];
        text[length++] = '\n';
        if (length < TEXT_BYTES / 4 && i + 1 < n) continue;
        c->texts = realloc(c->texts, (size_t)(c->n_all + 1) * sizeof *c->texts);
        if (!c->texts) exit(2);
        c->texts[c->n_all++] = (glia_string){ copy_text(text, length), length };
        length = 0;
    }
    free(bytes);
    free(text);
    glia_data_free(data);
}

static corpus read_corpus(const char *archive, bool quick, int64_t labelled) {
    glia_error error = { 0 };
    corpus c = { .n = 600, .labelled = labelled };
    glia_dataset *data = NULL;
    if (!quick) {
        char address[1200];
        const char *folder = getenv("GLIA_DATA");
        if (archive)
            snprintf(address, sizeof address, "texts:%s?length=%d", archive, TEXT_BYTES);
        else
            snprintf(address, sizeof address, "texts:%s/movie_reviews/movie_reviews.zip?length=%d",
                     folder ? folder : ".", TEXT_BYTES);
        data = glia_data_open(address, "train", NULL, &error);
        if (!data) die(&error);
        if (glia_data_classes(data) != 2 || glia_data_y_shape(data).rank != 0) {
            fprintf(stderr, "reviews: the archive must have two folders of texts, neg and pos\n");
            exit(EXIT_FAILURE);
        }
        c.n = glia_data_count(data);
    }
    c.n_train = c.n * 4 / 5;
    c.texts = allocate((size_t)c.n * sizeof *c.texts);
    c.labels = allocate((size_t)c.n * sizeof *c.labels);
    if (data)
        read_texts(&c, data);
    else
        draw_texts(&c);
    glia_data_free(data);
    c.n_all = c.n;
    static const char *const more[] = { "abc/rural.txt.gz", "abc/science.txt.gz", "multi30k/train.en.gz",
                                        "shakespeare/input.txt" };
    for (int i = 0; labelled && !quick && i < (int)(sizeof more / sizeof *more); i++) read_lines(&c, more[i]);
    c.tokens = allocate((size_t)c.n_all * sizeof *c.tokens);
    glia_tokenizer_opts opts = { .vocabulary = 8192, .minimum = 3, .lowercase = true };
    c.tokenizer = glia_tokenizer_train(GLIA_TOKENIZER_WORDPIECE, opts, c.texts, c.n_train, &error);
    if (!c.tokenizer) die(&error);
    const glia_encode_opts plain = { 0 };
    check(glia_tokenizer_encode_batch(c.tokenizer, c.texts, c.n_all, plain, 0, c.tokens, &error), &error);
    c.vocabulary = (int)glia_tokenizer_size(c.tokenizer);
    c.begin = (int)glia_tokenizer_id(c.tokenizer, "[CLS]");
    c.end = (int)glia_tokenizer_id(c.tokenizer, "[SEP]");
    c.mask = (int)glia_tokenizer_id(c.tokenizer, "[MASK]");
    c.continues = allocate((size_t)c.vocabulary * sizeof *c.continues);
    for (int id = SPECIALS; id < c.vocabulary; id++) {
        const char *token = glia_tokenizer_token(c.tokenizer, id, NULL);
        c.continues[id] = token && strncmp(token, "##", 2) == 0;
    }
    return c;
}

static void free_corpus(corpus *c) {
    for (int64_t i = 0; i < c->n_all; i++) {
        free((void *)(uintptr_t)c->texts[i].bytes);
        glia_encoding_free(&c->tokens[i]);
    }
    glia_tokenizer_free(c->tokenizer);
    free(c->texts);
    free(c->labels);
    free(c->tokens);
    free(c->continues);
}

/* Fills a row of `length` with the first and the last tokens; around: between [CLS] and [SEP]. */
static void fill_row(const corpus *c, const int32_t *tokens, int64_t n, int length, bool around, int32_t *row) {
    const int64_t room = length - (around ? 2 : 0), head = n <= room ? n : room / 2, tail = n <= room ? 0 : room - head;
    int at = 0;
    if (around) row[at++] = c->begin;
    for (int64_t i = 0; i < head; i++) row[at++] = tokens[i];
    for (int64_t i = n - tail; i < n; i++) row[at++] = tokens[i];
    if (around) row[at++] = c->end;
    while (at < length) row[at++] = PADDING;
}

/* Reviews [from, to) with their classes, as `windows` windows with [CLS] and [SEP]; 0: one row without them. */
static glia_dataset *reviews(const corpus *c, int64_t from, int64_t to, int length, int windows) {
    glia_error error = { 0 };
    const int whole = windows ? windows * length : length, room = length - 2;
    int32_t *rows = allocate((size_t)((to - from) * whole) * sizeof *rows), *row = rows;
    int32_t *tokens = allocate((size_t)whole * sizeof *tokens);
    for (int64_t i = from; i < to; i++, row += whole) {
        if (windows == 0) fill_row(c, c->tokens[i].ids, c->tokens[i].n, length, false, row);
        if (windows > 0) fill_row(c, c->tokens[i].ids, c->tokens[i].n, windows * room, false, tokens);
        for (int w = 0; w < windows; w++) {
            int64_t left = c->tokens[i].n - w * room;
            left = left < 0 ? 0 : left < room ? left : room;
            fill_row(c, tokens + w * room, left, length, true, row + w * length);
        }
    }
    free(tokens);
    glia_arrays arrays = { .n = to - from,
                           .x = rows,
                           .x_dtype = GLIA_I32,
                           .x_shape = GLIA_SHAPE(whole),
                           .y = c->labels + from,
                           .y_dtype = GLIA_I32,
                           .classes = 2 };
    glia_dataset *data = glia_data_arrays(arrays, &error);
    if (!data) die(&error);
    free(rows);
    return data;
}

/* ---- classes ------------------------------------------------------------------------------- */

/* Trains the model and returns its accuracy on the test set. With few labels each run has others. */
static double classify(glia_model *model, const corpus *c, int length, int windows, glia_fit_opts opts) {
    glia_error error = { 0 };
    const int64_t n = c->labelled ? c->labelled : c->n_train, first = c->labelled ? (int64_t)(opts.seed - 1) * n : 0;
    glia_dataset *train = reviews(c, first, first + n, length, windows),
                 *test = reviews(c, c->n_train, c->n, length, windows);
    glia_scores scores;
    opts.loss = GLIA_CROSS_ENTROPY;
    check(glia_fit(model, train, opts, &error), &error);
    check(glia_evaluate(model, test, (glia_evaluate_opts){ .batch = 50 }, &scores, &error), &error);
    glia_data_free(train);
    glia_data_free(test);
    return scores.accuracy;
}

static double text_cnn(const corpus *c, bool quick) {
    glia_error error = { 0 };
    glia_model *model = glia_model_create("text-cnn", &error);
    if (!model) die(&error);
    const int length = quick ? 32 : LONG;
    glia_tensor ids = glia_model_input(model, "ids", GLIA_I32, GLIA_SHAPE(length));
    glia_text_cnn_opts opts = { .vocabulary = c->vocabulary, .classes = 2, .filters = quick ? 16 : 100, .pads = true };
    glia_model_output(model, "logits", glia_text_cnn(ids, opts));
    glia_fit_opts fit = { .epochs = quick ? 8 : 6,
                          .batch = 50,
                          .optimizer = { .kind = GLIA_ADAM, .lr = quick ? 5e-3 : 1e-3 } };
    const double accuracy = classify(model, c, length, 0, fit);
    glia_model_free(model);
    return accuracy;
}

/* BERT's output (N windows, length, units) for ids (N, windows length). */
static glia_tensor bert_of(glia_model *model, const corpus *c, bool quick, int length, int windows, double dropout) {
    glia_tensor ids = glia_model_input(model, "ids", GLIA_I32, GLIA_SHAPE(windows * length));
    return glia_bert(glia_reshape(ids, GLIA_SHAPE(-windows, length)), (glia_bert_opts){ .vocabulary = c->vocabulary,
                                                                                        .context = quick ? 24 : LENGTH,
                                                                                        .layers = quick ? 1 : 2,
                                                                                        .heads = 4,
                                                                                        .units = quick ? 32 : 128,
                                                                                        .dropout = dropout,
                                                                                        .pads = true,
                                                                                        .padding = PADDING });
}

/* Copies the parameters that both have. */
static void take_values(glia_model *model, const glia_store *from) {
    for (int i = 0; i < glia_store_count(glia_model_store(model)); i++) {
        glia_array to = glia_store_at(glia_model_store(model), i), value;
        if (to.parameter && glia_store_find(from, to.name, &value))
            memcpy(to.data, value.data, (size_t)glia_shape_count(to.shape) * sizeof(float));
    }
}

/* Trains for the classes, starting from the parameters of `from` unless it is NULL; returns the test accuracy. */
static double fine_tune(const corpus *c, bool quick, const glia_store *from, uint64_t seed) {
    glia_error error = { 0 };
    glia_model *model = glia_model_create("bert", &error);
    if (!model) die(&error);
    const int length = quick ? 24 : LENGTH, windows = quick ? 1 : WINDOWS, units = quick ? 32 : 128;
    glia_tensor x = bert_of(model, c, quick, length, windows, 0.1);
    /* the mean over all tokens: pre-training on masked words alone does not train [CLS] to represent the text */
    x = glia_mean(glia_reshape(x, GLIA_SHAPE(-1, windows * length, units)), GLIA_SHAPE(1), false);
    glia_model_output(model, "logits", glia_bert_classes(x, 2, 0.1));
    check(glia_model_init(model, seed, &error), &error);
    if (from) take_values(model, from);
    glia_fit_opts fit = {
        .epochs = quick ? 6 : c->labelled ? 12 : 4,
        .batch = c->labelled ? 10 : BATCH,
        .optimizer = { .kind = GLIA_ADAMW, .lr = quick ? 2e-3 : 1e-3, .weight_decay = 0.01, .clip_norm = 1 },
        .schedule = { .kind = GLIA_LR_LINEAR, .warmup = 20 },
        .seed = seed
    };
    const double accuracy = classify(model, c, length, windows, fit);
    glia_model_free(model);
    return accuracy;
}

static double bert(const corpus *c, bool quick, const glia_store *from, const char *name) {
    const int runs = quick ? 1 : c->labelled ? 5 : 3;
    double sum = 0;
    printf("BERT %s pre-training:", name);
    for (int run = 1; run <= runs; run++) {
        const double accuracy = fine_tune(c, quick, from, (uint64_t)run);
        if (runs > 1) printf(" %.2f", 100 * accuracy);
        fflush(stdout);
        sum += accuracy;
    }
    printf("%s accuracy %.2f %%\n", runs > 1 ? "; mean" : "", 100 * sum / runs);
    fflush(stdout);
    return sum / runs;
}

/* ---- masked words -------------------------------------------------------------------------- */

/* Splits texts [from, to) into *n rows of `length` tokens. */
static int32_t *cut_rows(const corpus *c, int64_t from, int64_t to, int length, int64_t *n) {
    const int64_t room = length - 2;
    *n = 0;
    for (int64_t i = from; i < to; i++) *n += (c->tokens[i].n + room - 1) / room;
    int32_t *rows = allocate((size_t)(*n * length) * sizeof *rows), *row = rows;
    for (int64_t i = from; i < to; i++) {
        for (int64_t at = 0; at < c->tokens[i].n; at += room, row += length) {
            const int64_t left = c->tokens[i].n - at;
            fill_row(c, c->tokens[i].ids + at, left < room ? left : room, length, true, row);
        }
    }
    return rows;
}

/* Of the training set and of the texts after the test set. */
static int32_t *training_rows(const corpus *c, int length, int64_t *n) {
    int64_t n_more;
    int32_t *rows = cut_rows(c, 0, c->n_train, length, n), *more = cut_rows(c, c->n, c->n_all, length, &n_more);
    rows = realloc(rows, (size_t)((*n + n_more) * length + 1) * sizeof *rows);
    if (!rows) exit(2);
    memcpy(rows + *n * length, more, (size_t)(n_more * length) * sizeof *rows);
    *n += n_more;
    free(more);
    return rows;
}

typedef struct masked_net {
    glia_model *model;
    glia_backend *backend;
    glia_program *programs[2];
    glia_session *train, *test;
    int batch, length, places; /* places: most masked tokens in a row */
} masked_net;

/* Predicts the tokens at `places`, which are row indices into the batch's (N T, D). */
static masked_net build_masked(const corpus *c, bool quick, int length) {
    glia_error error = { 0 };
    masked_net m = { .model = glia_model_create("masked words", &error),
                     .backend = glia_backend_open("cpu", 0, &error),
                     .batch = quick ? BATCH : BATCH * LENGTH / length,
                     .length = length,
                     .places = length / 5 };
    if (!m.model || !m.backend) die(&error);
    glia_graph *g = glia_model_graph(m.model);
    glia_tensor x = bert_of(m.model, c, quick, m.length, 1, 0);
    glia_tensor places = glia_input(g, "places", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, m.places));
    glia_tensor labels = glia_input(g, "labels", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, m.places));
    glia_shape flat = GLIA_SHAPE(-m.length, quick ? 32 : 128);
    glia_tensor logits = glia_bert_masked_words(glia_gather(glia_reshape(x, flat), places, 0), c->vocabulary);
    glia_tensor loss = glia_cross_entropy_tokens(logits, labels, 0);
    glia_optimizer adam = { .kind = GLIA_ADAMW, .lr = quick ? 5e-3 : 1e-3, .weight_decay = 0.01, .clip_norm = 1 };
    glia_minimize(loss, adam, NULL, NULL);
    check(glia_model_init(m.model, 1, &error), &error);
    for (int train = 0; train < 2; train++) {
        glia_compile_opts opts = {
            .outputs = &loss, .n_outputs = 1, .mode = train ? GLIA_TRAIN : GLIA_INFER, .batch = m.batch
        };
        m.programs[train] = glia_compile(g, m.backend, opts, &error);
        if (!m.programs[train]) die(&error);
        glia_session **session = train ? &m.train : &m.test;
        *session = glia_session_create(m.programs[train], glia_model_store(m.model), &error);
        if (!*session) die(&error);
    }
    return m;
}

static void free_masked(masked_net *m) {
    glia_session_free(m->train);
    glia_session_free(m->test);
    glia_program_free(m->programs[0]);
    glia_program_free(m->programs[1]);
    glia_model_free(m->model);
    glia_backend_close(m->backend);
}

/* Runs the session on the rows `numbers`, masked as for this epoch. Returns the mean loss over the masked tokens, whose
 * number is *n_words. */
static double run_masked(const masked_net *m, const corpus *c, glia_session *session, const int32_t *rows,
                         const int64_t *numbers, uint64_t epoch, int *n_words) {
    enum { MOST = BATCH * LENGTH };
    glia_error error = { 0 };
    static int32_t ids[MOST], labels[MOST];
    for (int i = 0; i < m->batch; i++)
        memcpy(ids + i * m->length, rows + numbers[i] * m->length, (size_t)m->length * sizeof *ids);
    glia_masking_opts how = { .vocabulary = c->vocabulary,
                              .mask = c->mask,
                              .first = SPECIALS,
                              .continues = c->continues,
                              .seed = 1,
                              .epoch = epoch };
    int32_t *masked = glia_session_input(session, "ids", NULL, NULL),
            *places = glia_session_input(session, "places", NULL, NULL),
            *words = glia_session_input(session, "labels", NULL, NULL);
    check(glia_mask_words(ids, m->batch, m->length, numbers, how, masked, labels, &error), &error);
    *n_words = 0;
    for (int i = 0; i < m->batch; i++) {
        int n = 0;
        for (int t = 0; t < m->length && n < m->places; t++) {
            if (labels[i * m->length + t] < 0) continue;
            places[i * m->places + n] = i * m->length + t;
            words[i * m->places + n++] = labels[i * m->length + t];
        }
        *n_words += n;
        for (; n < m->places; n++) places[i * m->places + n] = i * m->length, words[i * m->places + n] = -1;
    }
    check(glia_session_run(session, &error), &error);
    return (double)*(const float *)glia_session_output(session, 0).data;
}

/* exp(mean loss over the masked tokens of the test texts); the same tokens are masked in every call. */
static double perplexity(const masked_net *m, const corpus *c) {
    int64_t n, numbers[BATCH * LENGTH];
    int32_t *rows = cut_rows(c, c->n_train, c->n, m->length, &n);
    double sum = 0, words = 0;
    for (int64_t at = 0; at + m->batch <= n; at += m->batch) {
        int n_words;
        for (int i = 0; i < m->batch; i++) numbers[i] = at + i;
        const double loss = run_masked(m, c, m->test, rows, numbers, 1u << 30, &n_words);
        sum += loss * n_words;
        words += n_words;
    }
    free(rows);
    return exp(sum / words);
}

static void pretrain(const masked_net *m, const corpus *c, int epochs) {
    int64_t n, done = 0;
    int32_t *rows = training_rows(c, m->length, &n);
    int64_t *order = allocate((size_t)n * sizeof *order);
    float *rate = glia_session_input(m->train, "lr", NULL, NULL);
    const float full = *rate;
    const int64_t steps = n / m->batch, total = steps * epochs, warmup = total / 20 + 1;
    uint64_t state = 3;
    for (int64_t i = 0; i < n; i++) order[i] = i;
    for (int epoch = 0; epoch < epochs; epoch++) {
        for (int64_t i = n - 1; i > 0; i--) {
            const int64_t j = draw(&state, (uint32_t)i + 1), held = order[i];
            order[i] = order[j];
            order[j] = held;
        }
        double sum = 0;
        for (int64_t step = 0; step < steps; step++, done++) {
            int n_words;
            *rate = full * (float)(done < warmup ? (double)(done + 1) / (double)warmup
                                                 : (double)(total - done) / (double)(total - warmup));
            sum += run_masked(m, c, m->train, rows, order + step * m->batch, (uint64_t)epoch, &n_words);
        }
        printf("pre-training, rows of %d: epoch %d of %d, loss %.4f, test perplexity of masked tokens %.2f\n",
               m->length, epoch + 1, epochs, sum / (double)steps, perplexity(m, c));
        fflush(stdout);
    }
    free(order);
    free(rows);
}

int main(int argc, char **argv) {
    bool quick = false;
    int epochs = 0;
    int64_t labelled = 0;
    const char *archive = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0)
            quick = true;
        else if (strcmp(argv[i], "--epochs") == 0 && i + 1 < argc)
            epochs = atoi(argv[++i]);
        else if (strcmp(argv[i], "--labelled") == 0 && i + 1 < argc)
            labelled = atoi(argv[++i]);
        else
            archive = argv[i];
    }
    if (quick || !epochs) epochs = quick ? 10 : labelled ? 16 : 8;
    corpus c = read_corpus(archive, quick, labelled);
    if (labelled < 0 || 5 * labelled > c.n_train) {
        fprintf(stderr, "reviews: five runs need %lld labelled texts\n", 5 * (long long)labelled);
        return EXIT_FAILURE;
    }
    printf("%lld training texts, %lld test texts, a vocabulary of %d\n", (long long)c.n_train,
           (long long)(c.n - c.n_train), c.vocabulary);
    const double cnn = labelled ? 1 : text_cnn(&c, quick);
    if (!labelled) printf("TextCNN: accuracy %.2f %%\n", 100 * cnn);
    fflush(stdout);
    bert(&c, quick, NULL, "without");
    masked_net short_rows = build_masked(&c, quick, quick ? 12 : SHORT),
               m = build_masked(&c, quick, quick ? 24 : LENGTH);
    const double before = perplexity(&m, &c);
    printf("test perplexity of masked tokens before pre-training: %.2f\n", before);
    pretrain(&short_rows, &c, epochs);
    take_values(m.model, glia_model_store(short_rows.model));
    pretrain(&m, &c, (epochs + 3) / 4);
    const double after = perplexity(&m, &c), with = bert(&c, quick, glia_model_store(m.model), "with");
    free_masked(&short_rows);
    free_masked(&m);
    free_corpus(&c);
    return quick && (cnn < 0.95 || with < 0.9 || after > 0.6 * before);
}
