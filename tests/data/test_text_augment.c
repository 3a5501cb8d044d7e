/* Text augmentation: synonyms from lists and WordNet files, and EDA's four operations. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "asserts.h"
#include "data/augment/augment.h"
#include "glia/glia.h"

static glia_error error;

static void put(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static glia_synonyms *open_list(const char *text) {
    put("synonyms.txt", text);
    return glia_synonyms_open("synonyms.txt", &error);
}

static void test_list(void **state) {
    (void)state;
    glia_synonyms *s = open_list("# a remark\n\nQuick: fast,  rapid ,fast, quick\nna\xc3\xafve: simple\nquick:swift\n");
    if (!s) fail_msg("%s", error.message);
    const char *found[2];
    assert_int_equal(glia_synonyms_find(s, "quick", found, 2), 3);
    assert_string_equal(found[0], "fast");
    assert_string_equal(found[1], "rapid");
    assert_int_equal(glia_synonyms_find(s, "na\xc3\xafve", found, 2), 1);
    assert_int_equal(glia_synonyms_find(s, "fast", found, 2), 0);
    assert_int_equal(glia_synonyms_find(s, "zebra", found, 2), 0);
    glia_synonyms_free(s);
    assert_null(open_list("quick fast\n"));
    ASSERT_SAYS("synonyms.txt: line 1");
    assert_null(open_list("# nothing\n"));
    ASSERT_SAYS("no synonyms");
    assert_null(glia_synonyms_open("no such file", &error));
    glia_synonyms_free(NULL);
}

/* Lines in WordNet's format. */
static void test_wordnet(void **state) {
    (void)state;
    mkdir("dict", 0777);
    put("dict/data.noun", "  1 This software and database is being provided to you\n"
                          "00001740 03 n 03 car 0 motor_car 1 Auto 0 000 | a vehicle\n"
                          "00001741 03 n 02 car 0 railcar 0 001 @ 00001740 n 0000 | on rails\n"
                          "00001742 03 n 01 house 0 000 | where one lives\n");
    put("dict/data.verb", "");
    put("dict/data.adj", "00001743 00 s 02 abundant(p) 0 galore(ip) 0 000 | in plenty\n");
    put("dict/data.adv", "");
    glia_synonyms *s = glia_synonyms_open("dict", &error);
    if (!s) fail_msg("%s", error.message);
    const char *found[4];
    assert_int_equal(glia_synonyms_find(s, "car", found, 4), 3);
    assert_string_equal(found[0], "auto");
    assert_string_equal(found[1], "motor car");
    assert_string_equal(found[2], "railcar");
    assert_int_equal(glia_synonyms_find(s, "railcar", found, 4), 1);
    assert_int_equal(glia_synonyms_find(s, "house", found, 4), 0);
    assert_int_equal(glia_synonyms_find(s, "galore", found, 4), 1);
    assert_string_equal(found[0], "abundant");
    glia_synonyms_free(s);
    put("dict/data.adv", "00001744 02 r 03 well 0 good 0\n");
    assert_null(glia_synonyms_open("dict", &error));
    ASSERT_SAYS("dict/data.adv: line 1 ends");
    put("dict/data.adv", "not a synset\n");
    assert_null(glia_synonyms_open("dict", &error));
    ASSERT_SAYS("not a synset");
    remove("dict/data.verb");
    assert_null(glia_synonyms_open("dict", &error));
}

static char *change(const char *text, glia_text_augment_opts opts) {
    char *out = glia_text_augment(text, opts, &error);
    if (!out) fail_msg("%s", error.message);
    return out;
}

/* All occurrences of a word are replaced, keeping punctuation and capitals; stop words never. */
static void test_replace(void **state) {
    (void)state;
    glia_synonyms *s = open_list("fox: vixen\nquick: rapid, fast\nthe: some\nbr\xc3\xbcnn: brown\n");
    int rapid = 0;
    for (int i = 0; i < 400; i++) {
        char *out = change("Quick, the fox (a QUICK \xe2\x80\x9c"
                           "br\xc3\xbcnn\xe2\x80\x9d fox) is\tthe  fox.",
                           (glia_text_augment_opts){ .synonyms = s, .replace = 1, .seed = 3, .index = i });
        const bool is = strstr(out, "Rapid") != NULL;
        assert_string_equal(out, is ? "Rapid, the vixen (a Rapid \xe2\x80\x9c"
                                      "br\xc3\xbcnn\xe2\x80\x9d vixen) is the vixen."
                                    : "Fast, the vixen (a Fast \xe2\x80\x9c"
                                      "br\xc3\xbcnn\xe2\x80\x9d vixen) is the vixen.");
        rapid += is;
        free(out);
    }
    assert_in_range(rapid, 150, 250);
    int fox = 0; /* one of the two words with synonyms */
    for (int i = 0; i < 400; i++) {
        char *out = change("quick fox", (glia_text_augment_opts){ .synonyms = s, .replace = 0.1, .index = i });
        const bool first = strcmp(out, "quick vixen") != 0;
        if (first) assert_true(!strcmp(out, "rapid fox") || !strcmp(out, "fast fox"));
        fox += !first;
        free(out);
    }
    assert_in_range(fox, 150, 250);
    glia_synonyms_free(s);
}

static int count_words(const char *text) {
    int n = *text != 0;
    for (; *text; text++) n += *text == ' ';
    return n;
}

static void test_insert(void **state) {
    (void)state;
    glia_synonyms *s = open_list("a: x\nb: x\nc: x\nd: x\n");
    int at[5] = { 0 };
    for (int i = 0; i < 1000; i++) {
        char *out = change("a b c d", (glia_text_augment_opts){ .synonyms = s, .insert = 0.25, .index = i });
        const char *x = strchr(out, 'x');
        assert_non_null(x);
        assert_int_equal(count_words(out), 5);
        at[(x - out) / 2]++;
        free(out);
    }
    for (int k = 0; k < 5; k++) assert_in_range(at[k], 200 - 65, 200 + 65); /* uniform */
    char *out = change("a b c d", (glia_text_augment_opts){ .synonyms = s, .insert = 0.5 });
    assert_int_equal(count_words(out), 6);
    free(out);
    out = change("e f", (glia_text_augment_opts){ .synonyms = s, .insert = 1 }); /* none has a synonym */
    assert_string_equal(out, "e f");
    free(out);
    glia_synonyms_free(s);
}

static void test_swap_and_remove(void **state) {
    (void)state;
    int seen[3] = { 0 }, left = 0;
    for (int i = 0; i < 900; i++) {
        char *out = change("a b c", (glia_text_augment_opts){ .swap = 0.1, .index = i });
        const int which = !strcmp(out, "b a c") ? 0 : !strcmp(out, "c b a") ? 1 : !strcmp(out, "a c b") ? 2 : 3;
        assert_true(which < 3); /* one swap, of different words */
        seen[which]++;
        free(out);
        out = change("a b c d e f g h i j", (glia_text_augment_opts){ .remove = 0.3, .epoch = i });
        left += count_words(out);
        free(out);
        out = change("a b", (glia_text_augment_opts){ .remove = 1, .epoch = i });
        assert_true(!strcmp(out, "a") || !strcmp(out, "b"));
        free(out);
    }
    for (int k = 0; k < 3; k++) assert_in_range(seen[k], 300 - 70, 300 + 70);
    assert_in_range(left, 6300 - 220, 6300 + 220);
}

static void test_default(void **state) {
    (void)state;
    glia_synonyms *s = open_list("b: x\nc: x\n");
    int kinds[4] = { 0 };
    for (int i = 0; i < 2000; i++) {
        glia_text_augment_opts opts = { .synonyms = s, .seed = 9, .index = i };
        char *out = change("b c d", opts), *again = change("b c d", opts);
        assert_string_equal(out, again); /* a function of seed, epoch and index */
        const bool x = strchr(out, 'x') != NULL;
        kinds[x ? (count_words(out) == 4 ? 0 : 1) : count_words(out) == 3 && strcmp(out, "b c d") ? 2 : 3]++;
        free(out);
        free(again);
        out = change("b c d", (glia_text_augment_opts){ .seed = 9, .index = i });
        assert_null(strchr(out, 'x'));
        free(out);
    }
    for (int k = 0; k < 4; k++) assert_in_range(kinds[k], 500 - 100, 500 + 100);
    char *out = change(" \n\t ", (glia_text_augment_opts){ .synonyms = s });
    assert_string_equal(out, "");
    free(out);
    assert_null(glia_text_augment("a", (glia_text_augment_opts){ .replace = 0.1 }, &error));
    ASSERT_SAYS("need synonyms");
    assert_null(glia_text_augment("a", (glia_text_augment_opts){ .swap = 1.5 }, &error));
    assert_null(glia_text_augment("a", (glia_text_augment_opts){ .remove = NAN }, NULL));
    glia_synonyms_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),   cmocka_unit_test(test_wordnet),         cmocka_unit_test(test_replace),
        cmocka_unit_test(test_insert), cmocka_unit_test(test_swap_and_remove), cmocka_unit_test(test_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
