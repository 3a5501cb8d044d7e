/* test_tokenizers.c - text.h: training, files, encoding and decoding, difficult Unicode, threads, malformed files. */
#include <stdio.h>
#include <unistd.h>

#include "glia/glia.h"
#include "hostile.h"

static const char prose[] = "It was the best of times, it was the worst of times, it was the age of wisdom,\n"
                            "it was the age of foolishness, it was the epoch of belief, it's 1859: na\xC3\xAFve, "
                            "\xE6\x97\xA5\xE6\x9C\xAC \xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA9\n";
/* Joined emoji, marks, CJK, tabs, invalid UTF-8. */
static const char hard[] =
    "e\xCC\x81\xCC\xA3 \xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7 "
    "\xED\x95\x9C\xEA\xB5\xAD \xE4\xB8\xAD\xE6\x96\x87 \t\n\r\n  x \xFF\xC3 \xE2\x82 end\xF0\x9F";

static glia_tokenizer *train(glia_tokenizer_kind kind, glia_tokenizer_opts opts) {
    glia_error error = { 0 };
    const glia_string text = { prose, sizeof prose - 1 };
    glia_tokenizer *t = glia_tokenizer_train(kind, opts, &text, 1, &error);
    if (!t) fail_msg("%s", error.message);
    return t;
}

static glia_encoding encode(const glia_tokenizer *t, const char *text, size_t length, glia_encode_opts opts) {
    glia_encoding e;
    glia_error error = { 0 };
    if (glia_tokenizer_encode(t, text, length, opts, &e, &error)) fail_msg("%s", error.message);
    return e;
}

static void assert_decodes(const glia_tokenizer *t, const char *text, size_t length) {
    glia_encoding e = encode(t, text, length, (glia_encode_opts){ 0 });
    size_t n;
    char *back = glia_tokenizer_decode(t, e.ids, e.n, false, &n);
    assert_non_null(back);
    assert_int_equal(n, length);
    assert_memory_equal(back, text, length);
    free(back);
    glia_encoding_free(&e);
}

static void test_characters(void **state) {
    (void)state;
    glia_tokenizer *t = train(GLIA_TOKENIZER_CHARACTERS, (glia_tokenizer_opts){ 0 });
    assert_string_equal(glia_tokenizer_token(t, 0, NULL), "\n"); /* in code point order */
    assert_string_equal(glia_tokenizer_token(t, 1, NULL), " ");
    assert_decodes(t, prose, sizeof prose - 1);
    glia_encoding e = encode(t, "na\xC3\xAFve", 6, (glia_encode_opts){ .offsets = true });
    assert_int_equal(e.n, 5);
    assert_int_equal(e.ids[2], glia_tokenizer_id(t, "\xC3\xAF"));
    assert_int_equal(e.begins[2], 2);
    assert_int_equal(e.ends[2], 4);
    glia_encoding_free(&e);
    glia_error error;
    assert_int_equal(glia_tokenizer_encode(t, "it Q", 4, (glia_encode_opts){ 0 }, &e, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "offset 3"));
    glia_tokenizer_free(t);
}

static void test_words(void **state) {
    (void)state;
    glia_tokenizer *t = train(GLIA_TOKENIZER_WORDS, (glia_tokenizer_opts){ .vocabulary = 6, .minimum = 2 });
    assert_int_equal(glia_tokenizer_size(t), 6);
    assert_int_equal(glia_tokenizer_id(t, "[UNK]"), 0);
    assert_int_equal(glia_tokenizer_id(t, "of"), 1); /* all occur five times: in byte order */
    glia_encoding e = encode(t, "the dodo was", 12, (glia_encode_opts){ 0 });
    assert_int_equal(e.n, 3);
    assert_int_equal(e.ids[1], 0);
    char *back = glia_tokenizer_decode(t, e.ids, e.n, true, NULL);
    assert_string_equal(back, "the was");
    free(back);
    glia_encoding_free(&e);
    glia_tokenizer_free(t);
}

static void test_bytes(void **state) {
    (void)state;
    glia_tokenizer *t =
        train(GLIA_TOKENIZER_BPE, (glia_tokenizer_opts){ .vocabulary = 300, .specials = "<pad>,<eos>" });
    assert_int_equal(glia_tokenizer_id(t, "<eos>"), 1);
    assert_int_equal(glia_tokenizer_size(t), 300);
    assert_decodes(t, prose, sizeof prose - 1);
    assert_decodes(t, hard, sizeof hard - 1); /* any bytes */
    assert_decodes(t, "", 0);
    bool special;
    glia_encoding e = encode(t, "the<eos>", 8, (glia_encode_opts){ .offsets = true });
    assert_int_equal(e.ids[e.n - 1], 1);
    assert_int_equal(e.begins[e.n - 1], 3);
    assert_non_null(glia_tokenizer_token(t, 1, &special));
    assert_true(special);
    char *back = glia_tokenizer_decode(t, e.ids, e.n, true, NULL);
    assert_string_equal(back, "the");
    free(back);
    glia_encoding_free(&e);
    glia_tokenizer_free(t);
}

/* Decoding ids one by one equals decoding them together, and never yields partial characters. */
static void assert_streams(const glia_tokenizer *t, const char *text, size_t length) {
    glia_encoding e = encode(t, text, length, (glia_encode_opts){ 0 });
    size_t whole, n;
    char *together = glia_tokenizer_decode(t, e.ids, e.n, false, &whole);
    glia_text said = { 0 };
    glia_error error;
    glia_detokenizer *d = glia_detokenizer_create(t, false, &error);
    assert_non_null(d);
    for (int64_t i = 0; i < e.n; i++) {
        const char *piece = glia_detokenizer_next(d, e.ids[i], &n);
        glia_text_append(&said, piece, n);
        if (text == prose)
            for (size_t k = 0, step; k < n; k += step)
                assert_true((step = glia_utf8_length((const uint8_t *)piece + k, n - k)));
    }
    const char *rest = glia_detokenizer_finish(d, &n);
    glia_text_append(&said, rest, n);
    assert_int_equal(said.length, whole);
    assert_memory_equal(said.bytes, together, whole);
    free(said.bytes);
    free(together);
    glia_detokenizer_free(d);
    glia_encoding_free(&e);
}

static void test_streams(void **state) {
    (void)state;
    for (int kind = 0; glia_tokenizer_kind_name((glia_tokenizer_kind)kind); kind++) {
        glia_tokenizer *t =
            train((glia_tokenizer_kind)kind, (glia_tokenizer_opts){ .vocabulary = kind == 0 ? 0 : 300 });
        assert_streams(t, prose, sizeof prose - 1);
        if (kind == GLIA_TOKENIZER_BPE) assert_streams(t, hard, sizeof hard - 1);
        glia_tokenizer_free(t);
    }
}

static void test_saved(void **state) {
    (void)state;
    glia_error error;
    for (int kind = 0; glia_tokenizer_kind_name((glia_tokenizer_kind)kind); kind++) {
        glia_tokenizer *t = train((glia_tokenizer_kind)kind, (glia_tokenizer_opts){ .vocabulary = 280 });
        assert_int_equal(glia_tokenizer_save(t, "tokenizer.json", &error), GLIA_OK);
        glia_tokenizer *again = glia_tokenizer_load(".", &error);
        assert_non_null(again);
        glia_encoding a = encode(t, prose, sizeof prose - 1, (glia_encode_opts){ .specials = true });
        glia_encoding b = encode(again, prose, sizeof prose - 1, (glia_encode_opts){ .specials = true });
        assert_int_equal(a.n, b.n);
        assert_memory_equal(a.ids, b.ids, (size_t)a.n * sizeof *a.ids);
        glia_encoding_free(&a);
        glia_encoding_free(&b);
        glia_tokenizer_free(t);
        glia_tokenizer_free(again);
    }
    unlink("tokenizer.json");
}

/* Training and encoding give the same results on any number of threads. */
static void test_threads(void **state) {
    (void)state;
    enum { N = 200 };
    glia_string texts[N];
    glia_error error;
    for (int i = 0; i < N; i++) texts[i] = (glia_string){ prose + i % 80, 20 + (size_t)i % 60 };
    for (int kind = 0; glia_tokenizer_kind_name((glia_tokenizer_kind)kind); kind++) {
        glia_tokenizer *t[2];
        for (int k = 0; k < 2; k++) {
            const glia_tokenizer_opts opts = { .vocabulary = 350, .threads = k ? 3 : 1 };
            t[k] = glia_tokenizer_train((glia_tokenizer_kind)kind, opts, texts, N, &error);
            assert_non_null(t[k]);
        }
        assert_string_equal(glia_tokenizer_json(t[0], NULL), glia_tokenizer_json(t[1], NULL));
        glia_encoding all[N];
        assert_int_equal(glia_tokenizer_encode_batch(t[0], texts, N, (glia_encode_opts){ 0 }, 3, all, &error), GLIA_OK);
        for (int i = 0; i < N; i++) {
            glia_encoding e = encode(t[1], texts[i].bytes, texts[i].length, (glia_encode_opts){ 0 });
            assert_int_equal(e.n, all[i].n);
            assert_memory_equal(e.ids, all[i].ids, (size_t)e.n * sizeof *e.ids);
            glia_encoding_free(&e);
            glia_encoding_free(&all[i]);
        }
        glia_tokenizer_free(t[0]);
        glia_tokenizer_free(t[1]);
    }
}

/* ---- data --------------------------------------------------------------------------------- */

static void write_file(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static glia_dataset *open_data(const char *address, const char *split) {
    glia_error error = { 0 };
    glia_dataset *data = glia_data_open(address, split, NULL, &error);
    if (!data) fail_msg("%s", error.message);
    return data;
}

/* Windows of ids with targets shifted by one; the last tenth is the test split. */
static void test_windows(void **state) {
    (void)state;
    char text[101] = { 0 };
    for (int i = 0; i < 100; i++) text[i] = (char)('a' + i * 7 % 26);
    write_file("text.txt", text);
    glia_dataset *each = open_data("chars:text.txt?length=8", "train"),
                 *every = open_data("chars:text.txt?length=8&step=1", NULL),
                 *test = open_data("chars:text.txt?length=8", "test"),
                 *half = open_data("chars:text.txt?length=8&step=1&test=0.5", "test");
    assert_int_equal(glia_data_count(each), 11); /* 90 characters: windows 0, 8, ..., 80 */
    assert_int_equal(glia_data_count(every), 82);
    assert_int_equal(glia_data_count(test), 1);
    assert_int_equal(glia_data_count(half), 42);
    assert_int_equal(glia_data_classes(each), 26);
    assert_string_equal(glia_data_class_name(each, 3), "d");
    float x[8];
    int32_t y[8];
    for (int64_t i = 0; i < 11; i++) {
        assert_int_equal(glia_data_get(each, i, x, y, NULL), GLIA_OK);
        for (int k = 0; k < 8; k++) {
            assert_int_equal((int)x[k], text[8 * i + k] - 'a');
            assert_int_equal(y[k], text[8 * i + k + 1] - 'a');
        }
    }
    assert_int_equal(glia_data_get(test, 0, x, y, NULL), GLIA_OK);
    assert_int_equal((int)x[0], text[90] - 'a');
    glia_data_free(each);
    glia_data_free(every);
    glia_data_free(test);
    glia_data_free(half);
    glia_error error;
    assert_null(glia_data_open("chars:text.txt?length=200", NULL, NULL, &error));
    assert_null(glia_data_open("tokens:text.txt", NULL, NULL, &error));
    assert_non_null(strstr(error.message, "tokenizer="));
    glia_tokenizer *t = train(GLIA_TOKENIZER_BPE, (glia_tokenizer_opts){ .vocabulary = 280 });
    assert_int_equal(glia_tokenizer_save(t, "t.json", &error), GLIA_OK);
    glia_dataset *tokens = open_data("tokens:text.txt?tokenizer=t.json&length=4&test=0", NULL);
    assert_int_equal(glia_data_classes(tokens), 280);
    glia_data_free(tokens);
    glia_tokenizer_free(t);
}

static void test_shakespeare(void **state) {
    (void)state;
    if (!getenv("GLIA_DATA")) skip();
    glia_dataset *train_data = open_data("shakespeare", "train"), *test = open_data("shakespeare?length=256", "test");
    assert_int_equal(glia_data_count(train_data), 15685);
    assert_int_equal(glia_data_count(test), 435);
    assert_int_equal(glia_data_classes(train_data), 65);
    float x[64];
    assert_int_equal(glia_data_get(train_data, 0, x, NULL, NULL), GLIA_OK);
    assert_string_equal(glia_data_class_name(train_data, (int)x[0]), "F"); /* First Citizen */
    assert_string_equal(glia_data_class_name(train_data, (int)x[5]), " ");
    glia_data_free(train_data);
    glia_data_free(test);
}

/* ---- batches ------------------------------------------------------------------------------ */

enum { PAIRS = 100 };

static glia_pairs *make_pairs(int32_t ids[PAIRS][20], bool shuffle) {
    glia_encoding sources[PAIRS] = { 0 }, targets[PAIRS] = { 0 };
    for (int i = 0; i < PAIRS; i++) {
        for (int k = 0; k < 20; k++) ids[i][k] = 100 * i + k;
        sources[i] = (glia_encoding){ .n = 1 + i % 19, .ids = ids[i] };
        targets[i] = (glia_encoding){ .n = 1 + i * 7 % 13, .ids = ids[i] + 1 };
    }
    glia_error error = { 0 };
    const glia_pairs_opts opts = {
        .batch = 8, .longest = 18, .multiple = 4, .begin = -7, .end = -8, .pad = -9, .shuffle = shuffle, .seed = 3
    };
    glia_pairs *p = glia_pairs_create(sources, targets, PAIRS, opts, &error);
    if (!p) fail_msg("%s", error.message);
    return p;
}

/* Every pair occurs once, complete, in a batch no longer than necessary. */
static void check_pairs(glia_pairs *p, int64_t epoch, int64_t order[PAIRS]) {
    bool seen[PAIRS] = { false };
    int64_t n = 0;
    glia_pair_batch b;
    assert_int_equal(glia_pairs_start(p, epoch, NULL), GLIA_OK);
    while (glia_pairs_next(p, &b)) {
        assert_true(b.rows == 8 && b.n >= 1 && b.length % 4 == 0);
        for (int64_t r = 0; r < b.rows; r++) {
            const int64_t i = b.indices[r], s = 1 + i % 19, t = 1 + i * 7 % 13, at = r * b.length;
            assert_int_equal(b.length, (GLIA_MAX(s, t) + 1 + 3) / 4 * 4);
            assert_int_equal(b.source_lengths[r], s + 1);
            for (int64_t k = 0; k < b.length; k++) {
                assert_int_equal(b.source[at + k], k < s ? 100 * i + k : k == s ? -8 : -9);
                assert_int_equal(b.input[at + k], k == 0 ? -7 : k <= t ? 100 * i + k : -9);
                assert_int_equal(b.target[at + k], r >= b.n ? -1 : k < t ? 100 * i + 1 + k : k == t ? -8 : -1);
            }
            if (r >= b.n) continue;
            assert_false(seen[i]);
            seen[i] = true;
            order[n++] = i;
        }
    }
    assert_int_equal(n, glia_pairs_count(p));
}

static void test_pairs(void **state) {
    (void)state;
    static int32_t ids[PAIRS][20];
    int64_t first[PAIRS], again[PAIRS], other[PAIRS];
    glia_pairs *p = make_pairs(ids, true), *q = make_pairs(ids, true), *sorted = make_pairs(ids, false);
    assert_int_equal(glia_pairs_count(p), PAIRS - 10); /* sides of 18 and 19 plus the end token are too long */
    check_pairs(p, 0, first);
    check_pairs(p, 1, other);
    check_pairs(q, 0, again);
    assert_memory_equal(first, again, sizeof first - 10 * sizeof *first);
    assert_memory_not_equal(first, other, sizeof first - 10 * sizeof *first);
    check_pairs(sorted, 0, other);
    int64_t lengths[8];
    const int n = glia_pairs_lengths(p, lengths, 8);
    assert_true(n == 5 && lengths[0] == 4 && lengths[4] == 20);
    glia_pairs_free(p);
    glia_pairs_free(q);
    glia_pairs_free(sorted);
}

static void test_sentences(void **state) {
    (void)state;
    enum { BATCH = 4, LENGTH = 16 };
    glia_error error = { 0 };
    const glia_string texts[] = { { "a b\nc d\ne f g\n\nh", 16 },
                                  { "k l m\nn o\np", 11 },
                                  { "q r s t u v w x y z", 19 } };
    glia_tokenizer *t =
        glia_tokenizer_train(GLIA_TOKENIZER_WORDPIECE, (glia_tokenizer_opts){ .vocabulary = 60 }, texts, 3, &error);
    if (!t) fail_msg("%s", error.message);
    const int32_t cls = (int32_t)glia_tokenizer_id(t, "[CLS]"), sep = (int32_t)glia_tokenizer_id(t, "[SEP]");
    const glia_sentences_opts opts = { .batch = BATCH, .length = LENGTH, .cls = cls, .sep = sep, .seed = 5 };
    glia_sentences *s = glia_sentences_create(t, texts, 3, opts, &error);
    if (!s) fail_msg("%s", error.message);
    assert_int_equal(glia_sentences_batches(s), 2); /* eight sentences */
    int follows = 0, rows = 0;
    for (int64_t epoch = 0; epoch < 50; epoch++) {
        glia_sentence_batch b;
        assert_int_equal(glia_sentences_start(s, epoch, &error), GLIA_OK);
        while (glia_sentences_next(s, &b)) {
            for (int r = 0; r < BATCH; r++, rows++) {
                const int32_t *row = b.ids + r * LENGTH, *types = b.types + r * LENGTH;
                int separators = 0;
                for (int k = 0; k < LENGTH; k++) {
                    assert_int_equal(types[k], separators == 1 && k < b.lengths[r]);
                    separators += row[k] == sep;
                    assert_true(k < b.lengths[r] || row[k] == 0);
                }
                assert_true(row[0] == cls && separators == 2 && row[b.lengths[r] - 1] == sep);
                follows += b.follows[r];
            }
        }
    }
    assert_int_equal(rows, 400);
    assert_true(follows > 60 && follows < 200); /* half of the sentences with a successor */
    bool *continues = calloc((size_t)glia_tokenizer_size(t), sizeof *continues);
    assert_non_null(continues);
    glia_tokenizer_continues(t, continues);
    for (int64_t i = 0; i < glia_tokenizer_size(t); i++)
        assert_int_equal(continues[i], !strncmp(glia_tokenizer_token(t, i, NULL), "##", 2));
    free(continues);
    glia_sentences_free(s);
    glia_tokenizer_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_characters), cmocka_unit_test(test_words),       cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_streams),    cmocka_unit_test(test_saved),       cmocka_unit_test(test_threads),
        cmocka_unit_test(test_windows),    cmocka_unit_test(test_shakespeare), cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
