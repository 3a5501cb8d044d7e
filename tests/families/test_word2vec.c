/* word2vec: reading words, training, phrases. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "families/words/words.h"
#include "files.h"
#include "glia/glia.h"

static glia_error error;

static void assert_done(glia_status status) {
    if (status) fail_msg("%s", error.message);
}

/* ---- reading ------------------------------------------------------------------------------ */

/* All tokens, separated by |; line ends are $. */
static const char *tokens_of(glia_text_source source) {
    static char out[4096];
    static glia_word_reader reader;
    size_t n = 0;
    glia_word_reader_start(&reader, source);
    for (;;) {
        const glia_word_item token = glia_word_reader_next(&reader, &error);
        if (token == GLIA_ITEM_FAILED) fail_msg("%s", error.message);
        if (token == GLIA_ITEM_END) break;
        n += (size_t)snprintf(out + n, sizeof out - n, "%s|", token == GLIA_ITEM_LINE ? "$" : reader.word);
    }
    glia_word_reader_close(&reader);
    out[n] = 0;
    return out;
}

static void test_reading_words(void **state) {
    (void)state;
#define TEXT(words) .text = words, .length = sizeof(words) - 1
    assert_string_equal(tokens_of((glia_text_source){ TEXT("a  bc\td\r\n\nThe end") }), "a|bc|d|$|$|The|end|");
    assert_string_equal(tokens_of((glia_text_source){ TEXT("") }), "");
    assert_string_equal(
        tokens_of((glia_text_source){ TEXT("The D\xC3\x84MON, O'Neill's 'x' \xD0\x96-9 \xE8\xAA\x9E\xE3\x80\x82\xFF z"),
                                      .rule = GLIA_WORDS_LETTERS, .lowercase = true }),
        "the|d\xC3\xA4mon|o'neill's|x|\xD0\xB6|9|\xE8\xAA\x9E|z|");
    assert_string_equal(tokens_of((glia_text_source){ TEXT("don\xE2\x80\x99t \xE2\x80\x9Cquote\xE2\x80\x9D"),
                                                      .rule = GLIA_WORDS_LETTERS }),
                        "don't|quote|");
    assert_string_equal(tokens_of((glia_text_source){ TEXT("A\xC3\x84. B"), .lowercase = true }), "a\xC3\xA4.|b|");
    write_file("one.txt", "a b", 3);
    write_file("two.txt", "c\nd", 3);
    const char *const files[] = { "one.txt", "two.txt" };
    assert_string_equal(tokens_of((glia_text_source){ .files = files, .n_files = 2 }), "a|b|$|c|$|d|");
}

/* Words that cross the reader's buffer boundary, and one over the length limit. */
static void test_reading_long_text(void **state) {
    (void)state;
    enum { BYTES = 300000 };
    char *text = malloc(BYTES);
    assert_non_null(text);
    for (int i = 0; i < BYTES; i++) text[i] = i % 7 == 6 ? ' ' : (char)('a' + i % 7);
    memset(text + 100000, 'x', 70000);
    static glia_word_reader reader;
    for (int rule = 0; rule < 2; rule++) {
        int64_t words = 0, usual = 0, longest = 0;
        glia_word_reader_start(&reader,
                               (glia_text_source){ .text = text, .length = BYTES, .rule = (glia_word_rule)rule });
        while (glia_word_reader_next(&reader, &error) == GLIA_ITEM_WORD) {
            words++;
            usual += !strcmp(reader.word, "abcdef");
            longest = GLIA_MAX(longest, (int64_t)reader.length);
        }
        assert_int_equal(longest, GLIA_WORD_BYTES);
        assert_true(words - usual <= 3 && words > 32000);
    }
    free(text);
}

static void test_reading_errors_name_position(void **state) {
    (void)state;
    const char *const missing[] = { "missing.txt" }, *const cut[] = { "cut.txt.gz" };
    assert_null(
        glia_word2vec_train((glia_text_source){ .files = missing, .n_files = 1 }, (glia_word2vec_opts){ 0 }, &error));
    assert_int_equal(error.status, GLIA_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "missing.txt"));
    static const uint8_t begun[] = { 0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0x4B };
    write_file("cut.txt.gz", begun, sizeof begun);
    assert_null(
        glia_word2vec_train((glia_text_source){ .files = cut, .n_files = 1 }, (glia_word2vec_opts){ 0 }, &error));
    assert_non_null(strstr(error.message, "cut.txt.gz"));
}

/* ---- training ----------------------------------------------------------------------------- */

enum { TOPICS = 4, WORDS = 8, SENTENCES = 1500 };

/* Sentences of eight words of one topic; "t2w5" is word 5 of topic 2. */
static char *topics(size_t *length) {
    char *text = malloc(SENTENCES * 8 * 5 + 1);
    assert_non_null(text);
    glia_rng rng = { .seed = 1 };
    size_t n = 0;
    for (int s = 0; s < SENTENCES; s++) {
        const int topic = (int)glia_rng_below(&rng, TOPICS);
        for (int w = 0; w < 8; w++)
            n += (size_t)sprintf(text + n, "t%dw%d%c", topic, (int)glia_rng_below(&rng, WORDS), w < 7 ? ' ' : '\n');
    }
    *length = n;
    return text;
}

static glia_vectors *learn_with(glia_word2vec_opts opts, const char *vocabulary) {
    size_t length;
    char *text = topics(&length);
    const glia_text_source source = { .text = text, .length = length, .vocabulary = vocabulary };
    if (!opts.size) opts.size = 20;
    opts.sample = GLIA_ZERO;
    glia_vectors *vectors = glia_word2vec_train(source, opts, &error);
    if (!vectors) fail_msg("%s", error.message);
    free(text);
    return vectors;
}

static glia_vectors *learn(glia_word2vec_opts opts) { return learn_with(opts, NULL); }

/* The number of words whose nearest neighbours are the other seven of their topic. */
static int sorted_words(const glia_vectors *v) {
    int good = 0;
    assert_int_equal(glia_vectors_words(v), TOPICS * WORDS);
    for (int64_t i = 0; i < glia_vectors_words(v); i++) {
        glia_neighbour near[WORDS - 1];
        const char *word = glia_vectors_word(v, i);
        assert_int_equal(
            glia_vectors_nearest(v, (glia_nearest_opts){ .plus = &word, .n_plus = 1 }, near, WORDS - 1, &error),
            WORDS - 1);
        int same = 0;
        for (int k = 0; k < WORDS - 1; k++) same += glia_vectors_word(v, near[k].word)[1] == word[1];
        good += same == WORDS - 1;
    }
    return good;
}

static void test_training_finds_topics(void **state) {
    (void)state;
    const glia_word2vec_opts ways[] = {
        { .model = GLIA_SKIP_GRAM },
        { .model = GLIA_SKIP_GRAM, .own_negatives = true },
        { .model = GLIA_SKIP_GRAM, .hierarchical_softmax = true },
        { .model = GLIA_SKIP_GRAM, .hierarchical_softmax = true, .negative = 3, .threads = 2 },
        { .model = GLIA_CBOW, .epochs = 10 },
        { .model = GLIA_CBOW, .hierarchical_softmax = true },
        { .model = GLIA_CBOW, .window = 2, .size = 33, .epochs = 10 },
    };
    for (int i = 0; i < GLIA_COUNT(ways); i++) {
        glia_vectors *v = learn(ways[i]);
        assert_int_equal(sorted_words(v), TOPICS * WORDS);
        glia_vectors_free(v);
    }
}

static void test_one_thread_is_deterministic(void **state) {
    (void)state;
    for (int hierarchical = 0; hierarchical < 2; hierarchical++) {
        const glia_word2vec_opts opts = { .model = hierarchical ? GLIA_CBOW : GLIA_SKIP_GRAM,
                                          .seed = 3,
                                          .hierarchical_softmax = hierarchical };
        glia_word2vec_opts other = opts;
        other.seed = 4;
        glia_vectors *a = learn(opts), *b = learn(opts), *c = learn(other);
        const size_t bytes = (size_t)(glia_vectors_words(a) * glia_vectors_size(a)) * sizeof(float);
        assert_memory_equal(glia_vectors_at(a, 0), glia_vectors_at(b, 0), bytes);
        assert_memory_not_equal(glia_vectors_at(a, 0), glia_vectors_at(c, 0), bytes);
        glia_vectors_free(a);
        glia_vectors_free(b);
        glia_vectors_free(c);
    }
}

typedef struct watched {
    int calls, stop_at;
    int64_t words, total;
    double rate;
} watched;

static glia_status count_calls(const glia_word2vec_progress *p, void *context) {
    watched *w = context;
    w->words = p->words;
    w->total = p->total;
    w->rate = p->rate;
    return ++w->calls == w->stop_at ? GLIA_E_INTERRUPTED : GLIA_OK;
}

static void test_progress_and_stopping(void **state) {
    (void)state;
    watched w = { 0 };
    glia_vectors_free(learn((glia_word2vec_opts){ .watch = count_calls, .context = &w, .epochs = 2 }));
    assert_int_equal(w.words, w.total);
    assert_int_equal(w.total, 2 * 8 * SENTENCES);
    ASSERT_NEAR(w.rate, 0.05e-4, 1e-6);
    assert_true(w.calls >= 2);
    size_t length;
    char *text = topics(&length);
    watched stop = { .stop_at = 2 };
    assert_null(glia_word2vec_train((glia_text_source){ .text = text, .length = length },
                                    (glia_word2vec_opts){ .watch = count_calls, .context = &stop }, &error));
    assert_int_equal(error.status, GLIA_E_INTERRUPTED);
    assert_int_equal(stop.calls, 2);
    free(text);
}

/* If the counts in the vocabulary file indicate a short text, it is not kept in memory but read in each epoch. */
static void test_reading_in_each_epoch(void **state) {
    (void)state;
    char counts[TOPICS * WORDS * 8];
    size_t n = 0;
    for (int i = 0; i < TOPICS * WORDS; i++) n += (size_t)sprintf(counts + n, "t%dw%d 5\n", i / WORDS, i % WORDS);
    write_file("counts.txt", counts, n);
    watched w = { 0 };
    const glia_word2vec_opts opts = {
        .model = GLIA_SKIP_GRAM, .epochs = 3, .watch = count_calls, .context = &w, .rate = 1
    };
    glia_vectors *v = learn_with(opts, "counts.txt");
    assert_int_equal(w.words, 3 * 8 * SENTENCES); /* all were read */
    assert_int_equal(glia_vectors_count(v, 0), 5);
    assert_done(glia_vectors_save_counts(v, "written.txt", &error));
    glia_file file;
    assert_done(glia_file_open(&file, "written.txt", &error));
    assert_int_equal(file.length, n);
    assert_memory_equal(file.bytes, counts, n);
    glia_file_close(&file);
    glia_vectors_free(v);
}

static void test_options_are_checked(void **state) {
    (void)state;
    const glia_text_source text = { TEXT("a b a b a b a b a b a b c") };
    const glia_word2vec_opts wrong[] = { { .size = -1 },     { .window = 100000 }, { .negative = -1 },
                                         { .negative = -2 }, { .sample = -1 },     { .epochs = -2 },
                                         { .rate = -0.5 },   { .min_count = 100 }, { .max_words = 1 } };
    for (int i = 0; i < GLIA_COUNT(wrong); i++) {
        assert_null(glia_word2vec_train(text, wrong[i], &error));
        assert_int_equal(error.status, GLIA_E_ARGUMENT);
    }
    glia_vectors *v = glia_word2vec_train(text, (glia_word2vec_opts){ .size = 3 }, NULL);
    assert_non_null(v);
    assert_int_equal(glia_vectors_words(v), 2);
    assert_int_equal(glia_vectors_count(v, 0), 6);
    glia_vectors_free(v);
    write_file("wrong.txt", "a 3\nb\n", 6);
    glia_text_source counted = text;
    counted.vocabulary = "wrong.txt";
    assert_null(glia_word2vec_train(counted, (glia_word2vec_opts){ 0 }, &error));
    assert_string_equal(error.message, "wrong.txt: line 2: the word has no count");
}

/* ---- phrases ------------------------------------------------------------------------------ */

static void test_phrases(void **state) {
    (void)state;
    char text[20000];
    size_t n = 0;
    for (int i = 0; i < 400; i++)
        n += (size_t)sprintf(text + n, i % 8 ? "w%d w%d w%d\n" : "w%d new york w%d\n", i * 7 % 40, i * 3 % 37,
                             i * 11 % 29);
    int64_t joined;
    const glia_text_source source = { .text = text, .length = n };
    assert_done(glia_word_phrases(source, (glia_phrases_opts){ .threshold = 15 }, "phrases.txt", &joined, &error));
    assert_int_equal(joined, 50);
    const char *const files[] = { "phrases.txt" };
    glia_vectors *v = glia_word2vec_train((glia_text_source){ .files = files, .n_files = 1 },
                                          (glia_word2vec_opts){ .size = 4 }, &error);
    if (!v) fail_msg("%s", error.message);
    assert_int_equal(glia_vectors_count(v, glia_vectors_find(v, "new_york")), 50);
    assert_int_equal(glia_vectors_find(v, "new"), -1);
    glia_vectors_free(v);
}

/* ---- real text ---------------------------------------------------------------------------- */

/* On the abc corpus word2vec.c answers 2.7 to 3.1 % of the questions with known words; chance is 0.01 %. */
static void test_abc(void **state) {
    (void)state;
    const char *folder = getenv("GLIA_DATA");
    char rural[512], science[512], questions[512];
    if (!folder) skip();
    snprintf(rural, sizeof rural, "%s/abc/rural.txt.gz", folder);
    snprintf(science, sizeof science, "%s/abc/science.txt.gz", folder);
    snprintf(questions, sizeof questions, "%s/word2vec/questions-words.txt.gz", folder);
    FILE *there = fopen(questions, "rb");
    if (!there) skip();
    fclose(there);
    const char *const files[] = { rural, science };
    const glia_text_source source = { .files = files, .n_files = 2, .rule = GLIA_WORDS_LETTERS, .lowercase = true };
    glia_vectors *v = glia_word2vec_train(source, (glia_word2vec_opts){ .model = GLIA_SKIP_GRAM }, &error);
    if (!v && error.status == GLIA_E_UNSUPPORTED) skip(); /* built without zlib */
    if (!v) fail_msg("%s", error.message);
    glia_analogies r;
    assert_done(glia_vectors_analogies(v, questions, 0, 0, &r, &error));
    assert_true(r.asked > 4000);
    assert_true((double)r.right / (double)r.asked > 0.02);
    glia_vectors_free(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading_words),
        cmocka_unit_test(test_reading_long_text),
        cmocka_unit_test(test_reading_errors_name_position),
        cmocka_unit_test(test_training_finds_topics),
        cmocka_unit_test(test_one_thread_is_deterministic),
        cmocka_unit_test(test_progress_and_stopping),
        cmocka_unit_test(test_reading_in_each_epoch),
        cmocka_unit_test(test_options_are_checked),
        cmocka_unit_test(test_phrases),
        cmocka_unit_test(test_abc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
