/* test_bleu.c - BLEU against sacreBLEU: tokenization, and scores with every option; tests/golden/bleu.txt. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "glia/glia.h"

enum { PAIRS = 64, REFERENCES = 4, LINE = 8192 };

typedef struct corpus {
    char *translation[PAIRS], *reference[PAIRS][REFERENCES];
    int references[PAIRS], n;
} corpus;

static void forget(corpus *c) {
    for (int i = 0; i < c->n; i++) {
        free(c->translation[i]);
        for (int r = 0; r < c->references[i]; r++) free(c->reference[i][r]);
    }
    *c = (corpus){ 0 };
}

/* A copy with "\n" replaced by a newline. */
static char *text_of(const char *line) {
    char *copy = malloc(strlen(line) + 1), *to = copy;
    assert_non_null(copy);
    for (; *line; line++) {
        bool newline = line[0] == '\\' && line[1] == 'n';
        *to++ = newline ? '\n' : *line;
        line += newline;
    }
    *to = 0;
    return copy;
}

static void expect_words(const corpus *c, const char *words, glia_bleu_tokens tokens) {
    char *is = glia_bleu_tokenize(c->translation[c->n - 1], (glia_bleu_opts){ .tokens = tokens });
    assert_string_equal(is, words);
    free(is);
}

static glia_bleu gather(const corpus *c, int begin, int end, glia_bleu_opts opts) {
    glia_bleu bleu = { 0 };
    for (int i = begin; i < end; i++) {
        const char *const *references = (const char *const *)c->reference[i];
        assert_int_equal(glia_bleu_update(&bleu, c->translation[i], references, c->references[i], opts, NULL), GLIA_OK);
    }
    return bleu;
}

static void near(double is, double should, const char *what) {
    if (!(fabs(is - should) <= 1e-12 * fmax(1, fabs(should)))) fail_msg("%s: %.17g, not %.17g", what, is, should);
}

static void expect_score(const corpus *c, const char *line) {
    char tokens[16], smoothing[16];
    double value, should[6];
    int lowercase, effective, order;
    assert_int_equal(sscanf(line, "score %15s %15s %lf %d %d %d %lf %lf %lf %lf %lf %lf", tokens, smoothing, &value,
                            &lowercase, &effective, &order, &should[0], &should[1], &should[2], &should[3], &should[4],
                            &should[5]),
                     12);
    glia_bleu_opts opts = {
        .smooth_value = value, .lowercase = lowercase, .effective_order = effective, .order = order
    };
    opts.tokens = tokens[0] == '1' ? GLIA_BLEU_13A : tokens[0] == 'n' ? GLIA_BLEU_SPACES : GLIA_BLEU_CHARACTERS;
    opts.smoothing = smoothing[0] == 'e'   ? GLIA_BLEU_EXP
                     : smoothing[0] == 'f' ? GLIA_BLEU_FLOOR
                     : smoothing[0] == 'a' ? GLIA_BLEU_ADD_K
                                           : GLIA_BLEU_NONE;
    glia_bleu bleu = gather(c, 0, c->n, opts);
    glia_bleu_score is = glia_bleu_result(&bleu, opts);
    near(is.score, should[0], line);
    near(is.brevity, should[1], line);
    for (int n = 0; n < GLIA_BLEU_ORDERS; n++) near(is.precisions[n], should[2 + n], line);
}

static void test_matches_sacrebleu(void **state) {
    (void)state;
    FILE *file = fopen(GLIA_GOLDEN_DIR "/bleu.txt", "r");
    assert_non_null(file);
    static char line[LINE];
    corpus c = { 0 };
    int words = 0, scores = 0;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, "corpus ", 7)) forget(&c);
        if (!strncmp(line, "h ", 2)) c.translation[c.n++] = text_of(line + 2);
        if (!strncmp(line, "r ", 2)) c.reference[c.n - 1][c.references[c.n - 1]++] = text_of(line + 2);
        if (!strncmp(line, "13a ", 4)) expect_words(&c, line + 4, GLIA_BLEU_13A), words++;
        if (!strncmp(line, "char ", 5)) expect_words(&c, line + 5, GLIA_BLEU_CHARACTERS), words++;
        if (!strncmp(line, "score ", 6)) expect_score(&c, line), scores++;
    }
    forget(&c);
    fclose(file);
    assert_true(words > 150 && scores > 400);
}

static void test_pieces_and_refusals(void **state) {
    (void)state;
    const char *const reference[] = { "a b c d" };
    glia_bleu bleu = { 0 };
    glia_error error;
    assert_int_equal(glia_bleu_update(&bleu, "a b", reference, 0, (glia_bleu_opts){ 0 }, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_bleu_update(&bleu, NULL, reference, 1, (glia_bleu_opts){ 0 }, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_bleu_update(&bleu, "a", reference, 1, (glia_bleu_opts){ .order = 5 }, &error),
                     GLIA_E_ARGUMENT);
    assert_int_equal(bleu.length, 0);
    near(glia_bleu_result(&bleu, (glia_bleu_opts){ 0 }).score, 0, "nothing");
    assert_int_equal(glia_bleu_update(&bleu, "a b c d", reference, 1, (glia_bleu_opts){ 0 }, NULL), GLIA_OK);
    near(glia_bleu_result(&bleu, (glia_bleu_opts){ 0 }).score, 100, "the same");
    char *words = glia_bleu_tokenize("ABC Ä", (glia_bleu_opts){ .lowercase = true });
    assert_string_equal(words, "abc Ä");
    free(words);
    words = glia_bleu_tokenize("\xE2\x80", (glia_bleu_opts){ 0 }); /* a truncated character */
    assert_string_equal(words, "\xE2\x80");
    free(words);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches_sacrebleu),
        cmocka_unit_test(test_pieces_and_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
