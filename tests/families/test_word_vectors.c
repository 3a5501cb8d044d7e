/* Word vectors: neighbours, analogies, similarities; file formats. */
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

/* ---- queries ------------------------------------------------------------------------------ */

static const char *const names[] = { "king", "queen", "man", "woman", "apple" };

static const float values[] = { 1, 1, 0, /* royal, male, fruit */ 1, -1, 0, 0.1F, 1, 0, 0.1F, -1, 0, 0, 0, 2 };

static glia_vectors *royals(void) {
    glia_vectors *v = glia_vectors_create(names, values, NULL, 5, 3, &error);
    assert_non_null(v);
    return v;
}

static void test_questions(void **state) {
    (void)state;
    glia_vectors *v = royals();
    double cosine;
    assert_done(glia_vectors_similarity(v, "king", "queen", &cosine, &error));
    ASSERT_NEAR(cosine, 0, 1e-7);
    assert_done(glia_vectors_similarity(v, "king", "king", &cosine, &error));
    ASSERT_NEAR(cosine, 1, 1e-12);
    assert_int_equal(glia_vectors_similarity(v, "king", "prince", &cosine, &error), GLIA_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "\"prince\""));
    const char *const plus[] = { "king", "woman" }, *const minus[] = { "man" };
    glia_neighbour near[5];
    const glia_nearest_opts opts = { .plus = plus, .n_plus = 2, .minus = minus, .n_minus = 1 };
    assert_int_equal(glia_vectors_nearest(v, opts, near, 5, &error), 2);
    assert_string_equal(glia_vectors_word(v, near[0].word), "queen");
    assert_string_equal(glia_vectors_word(v, near[1].word), "apple");
    ASSERT_NEAR(near[1].similarity, 0, 1e-6);
    float filled[9] = { 7, 7, 7, 7, 7, 7, 7, 7, 7 };
    assert_int_equal(glia_vectors_fill(v, (const char *const[]){ "apple", "pear", "man" }, 3, filled), 2);
    assert_memory_equal(filled, values + 12, 3 * sizeof(float));
    assert_true(filled[3] == 7);
    assert_memory_equal(filled + 6, values + 6, 3 * sizeof(float));
    int32_t group[5];
    assert_done(glia_vectors_groups(v, 3, group, &error));
    assert_true(group[0] == group[2] && group[1] == group[3] && group[0] != group[1] && group[4] != group[0]);
    assert_null(glia_vectors_create((const char *const[]){ "a", "a" }, values, NULL, 2, 3, &error));
    assert_non_null(strstr(error.message, "is a duplicate"));
    glia_vectors_free(v);
}

static void test_analogies(void **state) {
    (void)state;
    glia_vectors *v = royals();
    const char questions[] = ": family\nMan king Woman QUEEN\nman king woman apple\nking man queen woman\nman x y z\n"
                             ": gram1-none\nking man king man\n";
    write_file("questions.txt", questions, sizeof questions - 1);
    glia_analogies r;
    assert_done(glia_vectors_analogies(v, "questions.txt", 0, 1, &r, &error));
    assert_int_equal(r.questions, 5);
    assert_int_equal(r.asked, 4);
    assert_int_equal(r.right, 2);
    assert_int_equal(r.n_sections, 2);
    assert_string_equal(r.sections[0].name, "family");
    assert_int_equal(r.sections[0].asked, 3);
    assert_int_equal(r.semantic_right, 2);
    assert_int_equal(r.syntactic_asked, 1);
    assert_true(r.sections[1].syntactic);
    assert_done(glia_vectors_analogies(v, "questions.txt", 3, 2, &r, &error)); /* without woman */
    assert_int_equal(r.asked, 1);
    write_file("questions.txt", ": a\nb c\n", 8);
    assert_int_equal(glia_vectors_analogies(v, "questions.txt", 0, 1, &r, &error), GLIA_E_FORMAT);
    assert_string_equal(error.message, "questions.txt: line 2: 2 words, but a question has four");
    glia_vectors_free(v);
}

static void test_ranks(void **state) {
    (void)state;
    const double x[] = { 1, 2, 3, 4, 5 }, y[] = { 5, 6, 7, 8, 7 }, z[] = { 2, 2, 2, 2, 2 };
    ASSERT_NEAR(glia_spearman(x, y, 5), 0.8207826816681233, 1e-12); /* scipy.stats.spearmanr */
    assert_true(isnan(glia_spearman(x, z, 5)));
    glia_vectors *v = royals();
    const char pairs[] = "Word 1,Word 2,Human\n# a comment\nking,man,9\nking,queen,5\nman,woman,1\nking,prince,3\n";
    write_file("pairs.csv", pairs, sizeof pairs - 1);
    glia_similarities s;
    assert_done(glia_vectors_similarities(v, "pairs.csv", 0, &s, &error));
    assert_int_equal(s.pairs, 4);
    assert_int_equal(s.known, 3);
    ASSERT_NEAR(s.spearman, 1, 1e-12);
    glia_vectors_free(v);
}

/* ---- files -------------------------------------------------------------------------------- */

static void assert_same(const glia_vectors *a, const glia_vectors *b) {
    assert_int_equal(glia_vectors_words(a), glia_vectors_words(b));
    assert_int_equal(glia_vectors_size(a), glia_vectors_size(b));
    for (int64_t i = 0; i < glia_vectors_words(a); i++) {
        assert_string_equal(glia_vectors_word(a, i), glia_vectors_word(b, i));
        assert_int_equal(glia_vectors_find(b, glia_vectors_word(a, i)), i);
        assert_memory_equal(glia_vectors_at(a, i), glia_vectors_at(b, i), (size_t)glia_vectors_size(a) * sizeof(float));
    }
}

static void test_files_round_trip(void **state) {
    (void)state;
    enum { N = 40, SIZE = 7 };
    float numbers[N * SIZE];
    char words[N][16];
    const char *list[N];
    int64_t counts[N];
    glia_rng rng = { .seed = 5 };
    for (int i = 0; i < N; i++) {
        sprintf(words[i], "w\xC3\xA9%d", i);
        list[i] = words[i];
        counts[i] = 1000 - i;
    }
    for (int i = 0; i < N * SIZE; i++) numbers[i] = (float)(glia_rng_normal(&rng) * exp(20 * glia_rng_normal(&rng)));
    numbers[3] = 0;
    numbers[4] = -0.0F;
    numbers[5] = 1e-42F;
    glia_vectors *v = glia_vectors_create(list, numbers, counts, N, SIZE, &error);
    assert_non_null(v);
    const char *const paths[] = { "v.txt", "v.bin", "v.safetensors" };
    for (int i = 0; i < 3; i++) {
        assert_done(glia_vectors_save(v, paths[i], GLIA_VECTORS_DEFAULT, &error));
        glia_vectors *back = glia_vectors_load(paths[i], GLIA_VECTORS_DEFAULT, 0, &error);
        if (!back) fail_msg("%s", error.message);
        assert_same(v, back);
        assert_int_equal(glia_vectors_count(back, 3), i == 2 ? 997 : 0);
        glia_vectors_free(back);
        back = glia_vectors_load(paths[i], GLIA_VECTORS_DEFAULT, 4, &error);
        if (!back) fail_msg("%s", error.message);
        assert_int_equal(glia_vectors_words(back), 4);
        glia_vectors_free(back);
    }
    glia_vectors_free(v);
    v = glia_vectors_create((const char *const[]){ "New York" }, numbers, NULL, 1, 2, &error);
    assert_int_equal(glia_vectors_save(v, "v.txt", GLIA_VECTORS_DEFAULT, &error), GLIA_E_ARGUMENT);
    assert_done(glia_vectors_save(v, "v.safetensors", GLIA_VECTORS_DEFAULT, &error));
    glia_vectors_free(v);
}

/* Reads files written by gensim; writes the format that gensim and word2vec.c read. */
static void test_files_of_gensim(void **state) {
    (void)state;
    static const char *const words[] = { "the", "na\xC3\xAFve", "\xE8\xAA\x9E", "O'Neill", "123", ":-)" };
    const char *const paths[] = { GLIA_GOLDEN_DIR "/word2vec/gensim.txt", GLIA_GOLDEN_DIR "/word2vec/gensim.bin" };
    for (int f = 0; f < 2; f++) {
        glia_vectors *v = glia_vectors_load(paths[f], GLIA_VECTORS_DEFAULT, 0, &error);
        if (!v) fail_msg("%s", error.message);
        assert_int_equal(glia_vectors_words(v), 6);
        assert_int_equal(glia_vectors_size(v), 5);
        for (int i = 0; i < 6; i++) {
            assert_string_equal(glia_vectors_word(v, i), words[i]);
            for (int k = 0; k < 5; k++) assert_true(glia_vectors_at(v, i)[k] == (float)(7 * i + 3 * k - 11) / 8);
        }
        glia_vectors_free(v);
    }
    glia_vectors *v = glia_vectors_create((const char *const[]){ "a", "b" }, (const float[]){ 0.5F, -1, 0.1F, 3 }, NULL,
                                          2, 2, &error);
    glia_file file;
    assert_done(glia_vectors_save(v, "ab.txt", GLIA_VECTORS_DEFAULT, &error));
    assert_done(glia_file_open(&file, "ab.txt", &error));
    assert_int_equal(file.length, strlen("2 2\na 0.5 -1\nb 0.1 3\n"));
    assert_memory_equal(file.bytes, "2 2\na 0.5 -1\nb 0.1 3\n", file.length);
    glia_file_close(&file);
    assert_done(glia_vectors_save(v, "ab.bin", GLIA_VECTORS_DEFAULT, &error));
    assert_done(glia_file_open(&file, "ab.bin", &error));
    static const char bytes[] = "2 2\na \0\0\0\x3F\0\0\x80\xBF\nb \xCD\xCC\xCC\x3D\0\0\x40\x40\n";
    assert_int_equal(file.length, sizeof bytes - 1);
    assert_memory_equal(file.bytes, bytes, file.length);
    glia_file_close(&file);
    glia_vectors_free(v);
}

static void refuse(const char *bytes, size_t length, glia_vectors_format format, const char *says) {
    glia_vectors *v;
    assert_int_equal(glia_vectors_parse((const uint8_t *)bytes, length, format, 0, &v, &error), GLIA_E_FORMAT);
    assert_null(v);
    if (!strstr(error.message, says)) fail_msg("\"%s\" does not say \"%s\"", error.message, says);
}

static void test_hostile_files(void **state) {
    (void)state;
#define REFUSE(bytes, format, says) refuse(bytes, sizeof(bytes) - 1, format, says)
    REFUSE("", GLIA_VECTORS_DEFAULT, "no numbers");
    REFUSE("2 2\na 1 2\n", GLIA_VECTORS_TEXT, "line 3 (offset 10): 1 words, but the first line says 2");
    REFUSE("1 2\na 1 2\nb 1 2\n", GLIA_VECTORS_TEXT, "there are more words than the first line says");
    REFUSE("2 2\na 1 2\nb 1\n", GLIA_VECTORS_DEFAULT, "line 3 (offset 13): the word has fewer numbers");
    REFUSE("1 2\na 1 2 3\n", GLIA_VECTORS_DEFAULT, "more numbers");
    REFUSE("1 2\na 1 2x\n", GLIA_VECTORS_TEXT, "not a number");
    REFUSE("1 2\na 1 1e99\n", GLIA_VECTORS_TEXT, "too large");
    REFUSE("9 999999999999\na 1 2\n", GLIA_VECTORS_TEXT, "too short");
    REFUSE("999999999999999 1\na 1\n", GLIA_VECTORS_TEXT, "1 words, but");
    REFUSE("0 0\n", GLIA_VECTORS_DEFAULT, "");
    REFUSE("2 1\na \0\0\0\0", GLIA_VECTORS_BINARY, "offset 10: the file is truncated");
    REFUSE("1 1\na \0\0\xC0\x7F", GLIA_VECTORS_BINARY, "not finite");
    REFUSE("1 999999\na \0\0\0\0", GLIA_VECTORS_BINARY, "too short");
    REFUSE("1 1\na \0\0\0\0b", GLIA_VECTORS_BINARY, "bytes after");
    REFUSE("x y\na \0\0\0\0", GLIA_VECTORS_BINARY, "WORDS SIZE");
    glia_vectors *v; /* GloVe: no header line; repeated words are skipped */
    const char glove[] = "a 1 2\nb 3 4\na 5 6\n";
    assert_done(glia_vectors_parse((const uint8_t *)glove, sizeof glove - 1, GLIA_VECTORS_DEFAULT, 0, &v, &error));
    assert_int_equal(glia_vectors_words(v), 2);
    assert_true(glia_vectors_of(v, "a")[1] == 2);
    glia_vectors_free(v);
}

/* Truncated or altered files are either read or rejected. */
static void test_damaged_files(void **state) {
    (void)state;
    glia_vectors *v = royals();
    const char *const paths[] = { "d.txt", "d.bin", "d.safetensors" };
    glia_rng rng = { .seed = 8 };
    for (int f = 0; f < 3; f++) {
        assert_done(glia_vectors_save(v, paths[f], GLIA_VECTORS_DEFAULT, &error));
        glia_file file;
        assert_done(glia_file_open(&file, paths[f], &error));
        for (int round = 0; round < 2000; round++) {
            const size_t length = round < (int)file.length ? (size_t)round : file.length;
            uint8_t *bytes = malloc(length + 1);
            assert_non_null(bytes);
            memcpy(bytes, file.bytes, length);
            if (length == file.length) bytes[glia_rng_below(&rng, length)] = (uint8_t)glia_rng_u32(&rng);
            glia_vectors *damaged;
            glia_vectors_parse(bytes, length, (glia_vectors_format)(f + 1), 0, &damaged, &error);
            glia_vectors_free(damaged);
            glia_vectors_parse(bytes, length, GLIA_VECTORS_DEFAULT, 2, &damaged, &error);
            glia_vectors_free(damaged);
            free(bytes);
        }
        glia_file_close(&file);
    }
    glia_vectors_free(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_analogies),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_files_round_trip),
        cmocka_unit_test(test_files_of_gensim),
        cmocka_unit_test(test_hostile_files),
        cmocka_unit_test(test_damaged_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
