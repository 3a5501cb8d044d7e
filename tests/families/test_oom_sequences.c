/* test_oom_sequences.c - fails every allocation (oom.h): tokenizers of every kind and from other programs' files,
 * batches of text, weights from other programs' files, and generation. */
#include <unistd.h>

#include "glia/glia.h"
#include "oom.h"

#include "data/text/text.h"

static const char prose[] = "It was the best of times, it was the worst of times.\n"
                            "\xC3\x87"
                            "a va? 12 345 \xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E e\xCC\x81 \xEF\xAC\x81\n"
                            "it was the age of wisdom\n";
enum { TEXTS = 3 };

static void texts_of(glia_string texts[TEXTS]) {
    const char *at = prose;
    for (int i = 0; i < TEXTS; i++) {
        const char *end = strchr(at, '\n');
        texts[i] = (glia_string){ at, (size_t)(end - at) };
        at = end + 1;
    }
}

/* Encodes and decodes a text, a pair, and a batch on several threads. */
static glia_status use(const glia_tokenizer *t, glia_error *error) {
    glia_string texts[TEXTS];
    texts_of(texts);
    glia_encoding e, many[TEXTS];
    const glia_encode_opts pair = {
        .specials = true, .offsets = true, .pair = texts[2].bytes, .pair_length = texts[2].length
    };
    glia_status status = glia_tokenizer_encode(t, texts[0].bytes, texts[0].length, pair, &e, error);
    if (status) return status;
    char *text = glia_tokenizer_decode(t, e.ids, e.n, true, NULL);
    glia_detokenizer *d = text ? glia_detokenizer_create(t, true, error) : NULL;
    if (!text) glia_fail_nomem(error);
    status = d ? GLIA_OK : error->status;
    for (int64_t i = 0; i < e.n && !status; i++)
        if (!glia_detokenizer_next(d, e.ids[i], NULL)) status = glia_fail_nomem(error);
    if (!status && !glia_detokenizer_finish(d, NULL)) status = glia_fail_nomem(error);
    glia_detokenizer_free(d);
    free(text);
    glia_encoding_free(&e);
    if (status) return status;
    const glia_encode_opts plain = { .specials = true };
    status = glia_tokenizer_encode_batch(t, texts, TEXTS, plain, 2, many, error);
    for (int i = 0; i < TEXTS && !status; i++) glia_encoding_free(&many[i]);
    return status;
}

/* ---- trained tokenizers ---------------------------------------------------------------------- */

static glia_tokenizer_kind kind;

static glia_status train_tokenizer(glia_error *error) {
    static const char *const files[] = { "oom.text" };
    const glia_tokenizer_opts opts = { .vocabulary = kind == GLIA_TOKENIZER_BPE ? 280 : 80, .threads = 2 };
    glia_tokenizer *t = glia_tokenizer_train_files(kind, opts, files, 1, error), *again = NULL;
    glia_status status = t ? use(t, error) : error->status;
    if (!status) status = glia_tokenizer_save(t, "oom.json", error);
    if (!status) {
        again = glia_tokenizer_load("oom.json", error);
        if (!again) status = error->status;
    }
    glia_tokenizer_free(again);
    glia_tokenizer_free(t);
    unlink("oom.json");
    unlink("oom.json.tmp");
    return status;
}

static void test_train_tokenizers(void **state) {
    (void)state;
    FILE *file = fopen("oom.text", "wb");
    assert_true(file && fwrite(prose, 1, sizeof prose - 1, file) == sizeof prose - 1 && !fclose(file));
    for (int k = 0; glia_tokenizer_kind_name((glia_tokenizer_kind)k); k++) {
        kind = (glia_tokenizer_kind)k;
        every_allocation(train_tokenizer, glia_tokenizer_kind_name(kind));
    }
    assert_false(unlink("oom.text"));
}

/* ---- tokenizers from other programs ----------------------------------------------------------- */

static const char *path;

static glia_status load_tokenizer(glia_error *error) {
    glia_tokenizer *t = glia_tokenizer_load(path, error);
    const glia_status status = t ? use(t, error) : error->status;
    glia_tokenizer_free(t);
    return status;
}

static void test_load_tokenizers(void **state) {
    (void)state;
#define TOKENIZER(name) GLIA_GOLDEN_DIR "/tokenizers/" name
    static const char *const paths[] = {
        TOKENIZER("roberta.json"), TOKENIZER("gpt4.json"),    TOKENIZER("llama.json"),       TOKENIZER("suffix.json"),
        TOKENIZER("bert.json"),    TOKENIZER("unigram.json"), TOKENIZER("precompiled.json"), TOKENIZER("words.json"),
        TOKENIZER("gpt2"),         TOKENIZER("bert")
    };
    if (glia_unicode_ready(NULL)) skip();
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        path = paths[i];
        every_allocation(load_tokenizer, path);
    }
}

/* Out of memory while parsing a number of a thousand digits is not reported as a malformed number. */
static glia_status parse_numbers(glia_error *error) {
    char text[1500] = "0.";
    glia_status status = GLIA_OK;
    memset(text + 2, '7', sizeof text - 2);
    for (int i = 0; i < 4 && !status; i++) {
        glia_arena arena = { 0 };
        if (!glia_json_parse(&arena, (const uint8_t *)text, sizeof text, 0, error)) status = error->status;
        glia_arena_free(&arena);
    }
    return status;
}

static void test_long_numbers(void **state) {
    (void)state;
    every_allocation(parse_numbers, "long numbers");
}

/* ---- batches ---------------------------------------------------------------------------------- */

static glia_tokenizer *tokenizer;

static glia_status batch_pairs(glia_error *error) {
    const glia_pairs_opts opts = { .batch = 2, .shuffle = true };
    glia_pairs *pairs = glia_pairs_open("oom.text", "oom.text", tokenizer, tokenizer, opts, error);
    glia_status status = pairs ? glia_pairs_start(pairs, 0, error) : error->status;
    glia_pair_batch batch;
    for (int n = 0; !status && glia_pairs_next(pairs, &batch); n++) assert_true(n < TEXTS);
    glia_pairs_free(pairs);
    return status;
}

static glia_status batch_sentences(glia_error *error) {
    const glia_string documents[] = { { prose, sizeof prose - 1 }, { prose, sizeof prose - 1 } };
    const glia_sentences_opts opts = { .batch = 2, .length = 12 };
    glia_sentences *s = glia_sentences_create(tokenizer, documents, 2, opts, error);
    glia_status status = s ? glia_sentences_start(s, 0, error) : error->status;
    glia_sentence_batch batch;
    for (int n = 0; !status && glia_sentences_next(s, &batch); n++) assert_true(n < 100);
    glia_sentences_free(s);
    return status;
}

static void test_batches(void **state) {
    (void)state;
    FILE *file = fopen("oom.text", "wb");
    assert_true(file && fwrite(prose, 1, sizeof prose - 1, file) == sizeof prose - 1 && !fclose(file));
    tokenizer = glia_tokenizer_train_files(GLIA_TOKENIZER_WORDS, (glia_tokenizer_opts){ 0 },
                                           (const char *const[]){ "oom.text" }, 1, NULL);
    assert_non_null(tokenizer);
    every_allocation(batch_pairs, "pairs");
    every_allocation(batch_sentences, "sentences");
    glia_tokenizer_free(tokenizer);
    assert_false(unlink("oom.text"));
}

/* ---- weights from other programs -------------------------------------------------------------- */

static const char *family;

/* The models of tools/golden/transformers.py. */
static glia_status load_foreign(glia_error *error) {
    enum { WORDS = 11, CONTEXT = 8, IDS = 6, UNITS = 12, HEADS = 3 };
    glia_model *model = glia_model_create(family, error);
    if (!model) return error->status;
    glia_tensor ids = glia_model_input(model, "ids", GLIA_I32, GLIA_SHAPE(IDS)), y;
    if (!strcmp(family, "bert")) {
        const glia_bert_opts opts = { .vocabulary = WORDS,
                                      .context = CONTEXT,
                                      .layers = 2,
                                      .heads = HEADS,
                                      .units = UNITS,
                                      .segment_ids = glia_model_input(model, "segments", GLIA_I32, GLIA_SHAPE(IDS)) };
        glia_tensor x = glia_bert(ids, opts);
        y = glia_bert_masked_words(x, WORDS);
    } else {
        const bool plain = !strcmp(family, "nanogpt");
        y = glia_gpt(ids, (glia_gpt_opts){ .vocabulary = WORDS,
                                           .context = CONTEXT,
                                           .layers = 2,
                                           .heads = HEADS,
                                           .units = UNITS,
                                           .no_bias = plain,
                                           .gelu_tanh = !plain });
    }
    glia_model_output(model, "y", y);
    char file[512];
    snprintf(file, sizeof file, "%s/transformers/%s.safetensors", GLIA_GOLDEN_DIR, family);
    const glia_status status = glia_model_load_foreign(model, file, family, "state.", error);
    glia_model_free(model);
    return status;
}

static void test_load_foreign(void **state) {
    (void)state;
    static const char *const families[] = { "nanogpt", "gpt2", "bert" };
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        family = families[i];
        every_allocation(load_foreign, family);
    }
}

/* ---- generation -------------------------------------------------------------------------------- */

static glia_model *writing;

/* Reads prompts of more lengths than programs are kept; sequences change places. */
static glia_status generate(glia_error *error) {
    static const int32_t tokens[2 * 9] = { 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4 };
    glia_generator *g = glia_generator_create(writing, (glia_generator_opts){ .sequences = 2, .threads = 1 }, error);
    if (!g) return error->status;
    glia_status status = GLIA_OK;
    for (int64_t n = 9; n > 3 && status == GLIA_OK; n--) {
        glia_generator_reset(g);
        status = glia_generator_read(g, tokens, n, NULL, error);
        if (status == GLIA_OK) status = glia_generator_reorder(g, (const int[]){ 1, 0 }, error);
    }
    static const int32_t alike[2 * 5] = { 1, 2, 3, 4, 5, 1, 2, 3, 4, 5 };
    glia_generator_reset(g);
    if (status == GLIA_OK) status = glia_generator_read(g, alike, 5, NULL, error);
    glia_generator_free(g);
    return status;
}

static void test_generate(void **state) {
    (void)state;
    writing = glia_model_create("writer", NULL);
    glia_tensor ids = glia_model_input(writing, "ids", GLIA_I32, GLIA_SHAPE(10));
    const glia_gpt_opts opts = { .vocabulary = 7, .context = 10, .layers = 1, .heads = 2, .units = 8 };
    glia_model_output(writing, "scores", glia_gpt(ids, opts));
    assert_int_equal(glia_model_init(writing, 1, NULL), GLIA_OK);
    every_allocation(generate, "generate");
    glia_model_free(writing);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_train_tokenizers), cmocka_unit_test(test_load_tokenizers),
        cmocka_unit_test(test_long_numbers),     cmocka_unit_test(test_batches),
        cmocka_unit_test(test_load_foreign),     cmocka_unit_test(test_generate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
