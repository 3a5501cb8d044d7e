/* test_tokenizer_files.c - tokenizer files from other programs: the same ids as Hugging Face's `tokenizers`
 * (tests/golden/tokenizers, made by tools/golden/tokenization.py), GPT-2's and BERT's files, damaged files, patterns.
 */
#include "data/text/text.h"
#include "glia/glia.h"
#include "hostile.h"

static const char *const names[] = { "gpt2", "roberta",    "gpt4",    "llama",       "suffix",
                                     "bert", "bert_cased", "unigram", "precompiled", "words" };

static glia_tokenizer *load(const char *name) {
    char path[512];
    glia_error error = { 0 };
    snprintf(path, sizeof path, "%s/tokenizers/%s", GLIA_GOLDEN_DIR, name);
    glia_tokenizer *t = glia_tokenizer_load(path, &error);
    if (!t) fail_msg("%s", error.message);
    return t;
}

static FILE *open_golden(const char *name, const char *ending) {
    char path[512];
    snprintf(path, sizeof path, "%s/tokenizers/%s.%s", GLIA_GOLDEN_DIR, name, ending);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    return f;
}

static size_t read_hex(const char *hex, char *out) {
    size_t n = 0;
    unsigned byte;
    for (; hex[0] && hex[0] != '-' && sscanf(hex, "%2x", &byte) == 1; hex += 2) out[n++] = (char)byte;
    return n;
}

/* Each line: the text, the ids, "@", their offsets. */
static void check_lines(const glia_tokenizer *t, const char *name, bool places) {
    static char line[1 << 15], text[1 << 12];
    FILE *f = open_golden(name, "ids");
    int lines = 0;
    for (; fgets(line, sizeof line, f); lines++) {
        char *at = strtok(line, " \n");
        const size_t length = read_hex(at, text);
        glia_encoding e;
        glia_error error = { 0 };
        const glia_encode_opts opts = { .specials = true, .offsets = true };
        if (glia_tokenizer_encode(t, text, length, opts, &e, &error)) fail_msg("%s: %s", name, error.message);
        int64_t i = 0;
        for (at = strtok(NULL, " \n"); at && *at != '@'; at = strtok(NULL, " \n"), i++)
            if (i >= e.n || e.ids[i] != atoi(at))
                fail_msg("%s, line %d: id %d should be %s", name, lines + 1, (int)i, at);
        assert_int_equal(i, e.n);
        for (i = 0, at = strtok(NULL, " \n"); at && places; at = strtok(NULL, " \n"), i++)
            if (e.begins[i] != atoi(at)) fail_msg("%s, line %d: id %d begins at %s", name, lines + 1, (int)i, at);
        glia_encoding_free(&e);
    }
    assert_true(lines > 15);
    fclose(f);
}

/* Encodes the first two texts as a pair. */
static void check_pair(const glia_tokenizer *t, const char *name) {
    static const char a[] = "It was the best of times", b[] = "DON'T we'll I've 'tis it's";
    char word[32];
    FILE *f = open_golden(name, "pair");
    glia_encoding e;
    const glia_encode_opts opts = { .specials = true, .pair = b, .pair_length = sizeof b - 1 };
    assert_int_equal(glia_tokenizer_encode(t, a, sizeof a - 1, opts, &e, NULL), GLIA_OK);
    int64_t i = 0;
    for (; fscanf(f, "%31s", word) == 1; i++) assert_int_equal(e.ids[i], atoi(word));
    assert_int_equal(i, e.n);
    glia_encoding_free(&e);
    fclose(f);
}

static void test_golden(void **state) {
    (void)state;
    for (int i = 0; i < GLIA_COUNT(names); i++) {
        char file[64];
        snprintf(file, sizeof file, "%s.json", names[i]);
        glia_tokenizer *t = load(file);
        /* Offsets may differ for a letter composed from two characters and for an inserted leading space. */
        const bool exact = !strcmp(names[i], "gpt2") || !strncmp(names[i], "bert", 4);
        check_lines(t, names[i], exact);
        check_pair(t, names[i]);
        glia_tokenizer_free(t);
    }
}

static void test_older_files(void **state) {
    (void)state;
    glia_tokenizer *folder = load("gpt2"), *vocab = load("gpt2/vocab.json"), *bert = load("bert");
    check_lines(folder, "gpt2", true);
    check_lines(vocab, "gpt2", true);
    assert_int_equal(glia_tokenizer_id(bert, "[MASK]"), 4);
    check_lines(bert, "bert", true);
    glia_tokenizer_free(folder);
    glia_tokenizer_free(vocab);
    glia_tokenizer_free(bert);
    glia_error error;
    assert_null(glia_tokenizer_load("nowhere", &error));
    assert_null(glia_tokenizer_load(GLIA_GOLDEN_DIR, &error));
    assert_int_equal(error.status, GLIA_E_NOT_FOUND);
}

/* ---- damaged files ------------------------------------------------------------------------- */

#define ADDED "{\"id\":0,\"content\":\"<s>\",\"special\":true}"
#define REST                                                                                                           \
    "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\p{L}+|(?i:'s)|[^a-c]{1,2}\"},\"behavior\":"    \
    "\"Isolated\"},\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"," \
    "\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":{\"<s>\":{\"ids\":[0" \
    "]}}},\"decoder\":{\"type\":\"Fuse\"},"
static const char bpe[] =
    "{\"added_tokens\":[" ADDED "],\"normalizer\":{\"type\":\"NFC\"}," REST
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"<s>\":0,\"a\":1,\"b\":2,\"ab\":3},\"merges\":[\"a b\"]}}";
static const char unigram[] =
    "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0.0],[\"a\",-1.5]]}}";

/* A double array that maps ' to b. */
#define CHARSMAP                                                                                                       \
    "nAAAAAAEAAAAAACAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"                       \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"                       \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAJ50AAGIA"
#define OF_CHARSMAP(map)                                                                                               \
    "{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"" map "\"},\"model\":{\"type\":"             \
    "\"WordLevel\",\"vocab\":{\"abbabs 1\":0,\"c\":1},\"unk_token\":\"c\"}}"
static const char precompiled[] = OF_CHARSMAP(CHARSMAP);

static glia_status parse_json(const uint8_t *bytes, size_t length, glia_error *error) {
    glia_tokenizer *t = glia_tokenizer_parse((const char *)bytes, length, error);
    if (!t) return error ? error->status : GLIA_E_FORMAT;
    glia_encoding e;
    if (!glia_tokenizer_encode(t, "abba's 1", 8, (glia_encode_opts){ .specials = true }, &e, NULL)) {
        free(glia_tokenizer_decode(t, e.ids, e.n, false, NULL));
        glia_encoding_free(&e);
    }
    glia_tokenizer_free(t);
    return GLIA_OK;
}

/* The status is compared with and without an error argument; an error is needed here. */
static glia_status parse_damaged(const uint8_t *bytes, size_t length, glia_error *error) {
    glia_error own = { 0 };
    const glia_status status = parse_json(bytes, length, &own);
    if (error) *error = own;
    return status;
}

static glia_status parse_words(const uint8_t *bytes, size_t length, glia_error *error) {
    glia_text json = { 0 };
    const glia_status status = glia_vocab_txt_json("vocab.txt", bytes, length, &json, error);
    free(json.bytes);
    return status;
}

static void test_hostile(void **state) {
    (void)state;
    hostile_all(parse_damaged, (const uint8_t *)bpe, sizeof bpe - 1, true);
    hostile_all(parse_damaged, (const uint8_t *)unigram, sizeof unigram - 1, true);
    hostile_all(parse_damaged, (const uint8_t *)precompiled, sizeof precompiled - 1, true);
    static const char words[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n##ing\n\xC3\xA9\n";
    hostile_all(parse_words, (const uint8_t *)words, sizeof words - 1, false);
}

/* Applies a table; tables without entries or with dead ends change nothing. */
static void test_precompiled(void **state) {
    (void)state;
    static const char *const maps[] = { precompiled, OF_CHARSMAP("BAAAAAAAAAA="), OF_CHARSMAP("BAAAAAD8//8=") };
    if (glia_unicode_ready(NULL)) skip();
    for (int i = 0; i < GLIA_COUNT(maps); i++) {
        glia_error error = { 0 };
        glia_encoding e;
        glia_tokenizer *t = glia_tokenizer_parse(maps[i], strlen(maps[i]), &error);
        if (!t) fail_msg("%s", error.message);
        assert_int_equal(glia_tokenizer_encode(t, "abba's 1", 8, (glia_encode_opts){ 0 }, &e, NULL), GLIA_OK);
        assert_int_equal(e.n, 1);
        assert_int_equal(e.ids[0], i > 0);
        glia_encoding_free(&e);
        glia_tokenizer_free(t);
    }
}

static void assert_refused(const char *json, glia_status status, const char *why) {
    glia_error error = { 0 };
    assert_null(glia_tokenizer_parse(json, strlen(json), &error));
    if (error.status != status || !strstr(error.message, why)) fail_msg("\"%s\" for %s", error.message, json);
}

static void test_refused(void **state) {
    (void)state;
    assert_refused("{}", GLIA_E_FORMAT, "no \"model\"");
    assert_refused("{\"model\":{\"type\":\"Neural\"}}", GLIA_E_UNSUPPORTED, "the model \"Neural\" is not supported");
    assert_refused("{\"normalizer\":{\"type\":\"Neural\"},\"model\":{}}", GLIA_E_UNSUPPORTED, "offset 22");
    assert_refused("{\"normalizer\":{\"type\":\"Precompiled\"},\"model\":{}}", GLIA_E_FORMAT, "offset 14");
    assert_refused(OF_CHARSMAP("AAA"), GLIA_E_FORMAT, "not base64");
    assert_refused(OF_CHARSMAP("AAA*"), GLIA_E_FORMAT, "not base64");
    assert_refused(OF_CHARSMAP("AAAA"), GLIA_E_FORMAT, "shorter than its size field");
    assert_refused(OF_CHARSMAP("CAAAAAAAAAA="), GLIA_E_FORMAT, "shorter than its size field");
    assert_refused("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a c\"]}}", GLIA_E_FORMAT,
                   "not in the vocabulary");
    assert_refused("{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0,\"b\":0}}}", GLIA_E_FORMAT,
                   "two tokens have the id 0");
    assert_refused("{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":99999999}}}", GLIA_E_FORMAT, "far larger");
    assert_refused("{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a\"},\"behavior\":\"Isolated\"},"
                   "\"model\":{}}",
                   GLIA_E_UNSUPPORTED, "the ) of this ( is missing");
}

/* ---- patterns ------------------------------------------------------------------------------ */

/* All matches in the text, each followed by |. */
static void assert_matches(const char *pattern, const char *text, const char *expected) {
    glia_arena arena = { 0 };
    glia_error error = { 0 };
    glia_glyphs g = { 0 };
    glia_regex_stack stack = { 0 };
    glia_text found = { 0 };
    int64_t begin, end;
    const glia_regex *r = glia_regex_compile(&arena, pattern, &error);
    if (!r) fail_msg("%s", error.message);
    glia_glyphs_decode(&g, text, strlen(text));
    glia_text_append(&found, "", 0);
    for (int64_t at = 0; at <= g.n && glia_regex_find(r, g.at, g.n, at, &stack, &begin, &end) == 1;
         at = end > begin ? end : end + 1) {
        if (end > begin) glia_text_append(&found, text + g.at[begin].begin, g.at[end - 1].end - g.at[begin].begin);
        glia_text_append(&found, "|", 1);
    }
    assert_string_equal(found.bytes, expected);
    free(found.bytes);
    free(g.at);
    free(stack.frames);
    glia_arena_free(&arena);
}

static void test_patterns(void **state) {
    (void)state;
    assert_matches("ab|a", "aab", "a|ab|");
    assert_matches("a{2,3}", "aaaaaa a", "aaa|aaa|");
    assert_matches("a+?b", "aab", "aab|");
    assert_matches("<.*?>", "<a><b>", "<a>|<b>|");
    assert_matches("a++b|c", "aaac", "c|");
    assert_matches("(?:ab){2}c?", "ababc abab", "ababc|abab|");
    assert_matches("(?:a|b)*c", "abbac", "abbac|");
    assert_matches("(ab?){0,2}x", "abax x", "abax|x|");
    assert_matches("\\s+(?!\\S)|\\s+", "a  b c", " | | |");
    assert_matches("(?<=a)b", "bab", "b|");
    assert_matches("(?<!a)b", "bab", "b|");
    assert_matches("(?i:'S)x", "'sx 'SX", "'sx|");
    assert_matches("[\\p{Lu}-]+", "A-Bc\xC3\x89", "A-B|\xC3\x89|");
    assert_matches("[^\\s\\p{L}]{1,2}", "a1 23", "1|23|");
    assert_matches("^a|b$", "a\nab", "a|a|b|");
    assert_matches("\\bcat\\b", "cat concat cat", "cat|cat|");
    assert_matches("\\x41\\u0042", "AB", "AB|");
    assert_matches("[a-c&]+", "ab&cd", "ab&c|");
    assert_matches("[[a-c]x]+", "abxd", "abx|");
    assert_matches("[]a]+", "a]b", "a]|");
    assert_matches("[a-z&&[^aeiou]&&a-t]+", "stay", "st|");
    assert_matches("[^a-z&&[^aeiou]]+", "stay", "a|");
    assert_matches("[a&&b]", "ab", "");
    assert_matches("(?i:[a-z&&[^b]]+)", "aBbC", "a|C|");
    assert_matches("[[:upper:][:digit:]]+", "aB1c", "B1|");
    assert_matches("[[:^alpha:]]+", "a+1b", "+1|");
    assert_matches("[[:punct:]]+|\\p{Punct}", "a+b", "+|"); /* in brackets also symbols */
    assert_matches("\\p{Punct}", "a+b,", ",|");
    assert_matches("\\h+", "xc0ffee", "c0ffee|");
}

/* Scripts and other properties by name, in any spelling. */
static void test_properties(void **state) {
    (void)state;
    if (glia_unicode_ready(NULL)) skip();
#define HAN  "\xE4\xB8\xAD\xE6\x96\x87"
#define KANA "\xE3\x81\xB2\xE3\x82\xAB"
    assert_matches("\\p{Han}+", "a" HAN KANA "b", HAN "|");
    assert_matches("[\\p{Hiragana}\\p{Katakana}]+", "a" HAN KANA "b", KANA "|");
    assert_matches("\\P{Han}+", "a" HAN "b", "a|b|");
    assert_matches("\\p{^Hani}+", "a" HAN "b", "a|b|");
    assert_matches("[\\p{L}&&[^\\p{Han}]]+", "a" HAN KANA "b", "a|" KANA "b|");
    assert_matches("\\p{Latin}+", "e\xC3\xA9\xD0\xB6", "e\xC3\xA9|");
    assert_matches("\\p{cyrillic}+", "e\xC3\xA9\xD0\xB6", "\xD0\xB6|");
    assert_matches("\\p{GREEK}|\\p{Hangul}|\\p{Arabic}", "a\xCE\xB1\xEA\xB0\x80\xD8\xA8",
                   "\xCE\xB1|\xEA\xB0\x80|\xD8\xA8|");
    assert_matches("\\p{Old_Italic}|\\p{ital}", "\xF0\x90\x8C\x80", "\xF0\x90\x8C\x80|");
    assert_matches("\\p{Uppercase Letter}", "aB", "B|");
    assert_matches("\\p{Alphabetic}+", "a\xE2\x85\xA7\xE2\x92\xB6-1", "a\xE2\x85\xA7\xE2\x92\xB6|"); /* VIII, (A) */
    assert_matches("\\p{Any}", "a", "a|");
    assert_matches("\\w+", "m\xC2\xB2 a\xE2\x80\x8D", "m\xC2\xB2|a|"); /* as in Oniguruma */
    glia_property p;
    assert_false(glia_property_find("Klingon", &p));
    assert_false(glia_property_find("a", &p));
    assert_false(glia_property_find("", &p));
    assert_true(glia_property_find("ha n", &p) && p.n > 0);
}

/* A text starts at its first byte, even if its marks were reordered. */
static void test_offsets_with_reordered_marks(void **state) {
    (void)state;
    static const char json[] =
        "{\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\","
        "\"prepend_scheme\":\"first\",\"split\":true},\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"?\":0,"
        "\"_\xCC\xA3\xCC\x87\":1},\"unk_token\":\"?\"}}";
    glia_error error = { 0 };
    glia_encoding e;
    if (glia_unicode_ready(NULL)) skip();
    glia_tokenizer *t = glia_tokenizer_parse(json, sizeof json - 1, &error);
    if (!t) fail_msg("%s", error.message);
    assert_int_equal(glia_tokenizer_encode(t, "\xCC\x87\xCC\xA3", 4, (glia_encode_opts){ 0 }, &e, &error), GLIA_OK);
    assert_int_equal(e.n, 1);
    assert_int_equal(e.ids[0], 1);
    glia_encoding_free(&e);
    glia_tokenizer_free(t);
}

/* A pattern that exceeds the step limit is an error. */
static void test_pattern_step_limit(void **state) {
    (void)state;
    static const char json[] =
        "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?:a*)*b\"},\"behavior\":"
        "\"Isolated\"},\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0},\"unk_token\":\"a\"}}";
    glia_error error = { 0 };
    glia_encoding e;
    glia_tokenizer *t = glia_tokenizer_parse(json, sizeof json - 1, &error);
    if (!t) fail_msg("%s", error.message);
    assert_int_equal(glia_tokenizer_encode(t, "aaaaaaaa", 8, (glia_encode_opts){ 0 }, &e, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "backtracks"));
    glia_tokenizer_free(t);
}

/* ---- normal forms -------------------------------------------------------------------------- */

static void assert_normal(const char *text, bool compose, bool compatible, const char *expected) {
    glia_glyphs g = { 0 }, spare = { 0 };
    glia_text out = { 0 };
    glia_glyphs_decode(&g, text, strlen(text));
    glia_glyphs_normalize(&g, &spare, compose, compatible);
    glia_text_append(&out, "", 0);
    for (int64_t i = 0; i < g.n; i++) {
        char bytes[4];
        glia_text_append(&out, bytes, glia_utf8_put(g.at[i].c, bytes));
        assert_true(g.at[i].begin < g.at[i].end && g.at[i].end <= strlen(text));
    }
    assert_string_equal(out.bytes, expected);
    free(out.bytes);
    free(g.at);
    free(spare.at);
}

static void test_normal_forms(void **state) {
    (void)state;
    if (glia_unicode_ready(NULL)) skip();
    assert_normal("e\xCC\x81", true, false, "\xC3\xA9");
    assert_normal("\xC3\xA9", false, false, "e\xCC\x81");
    assert_normal("q\xCC\x87\xCC\xA3", false, false, "q\xCC\xA3\xCC\x87");              /* by combining class */
    assert_normal("\xE1\xB8\x8B\xCC\xA3", true, false, "\xE1\xB8\x8D\xCC\x87");         /* d with dot above, below */
    assert_normal("\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8", true, false, "\xEA\xB0\x81"); /* Hangul */
    assert_normal("\xEA\xB0\x81", false, false, "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8");
    assert_normal("\xEF\xAC\x81\xC2\xB2", true, true, "fi2"); /* fi, 2 */
    assert_normal("\xEF\xAC\x81", true, false, "\xEF\xAC\x81");
    assert_normal("\xE0\xA5\x98", true, false, "\xE0\xA4\x95\xE0\xA4\xBC"); /* excluded from composition */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),       cmocka_unit_test(test_older_files),
        cmocka_unit_test(test_hostile),      cmocka_unit_test(test_precompiled),
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_properties),   cmocka_unit_test(test_pattern_step_limit),
        cmocka_unit_test(test_normal_forms), cmocka_unit_test(test_offsets_with_reordered_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
