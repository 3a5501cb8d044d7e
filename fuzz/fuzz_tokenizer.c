/* fuzz_tokenizer.c - the first byte selects a tokenizer.json, which then encodes texts, BERT's vocab.txt, or a regular
 * expression. A libFuzzer harness: fuzz_tokenizer [CORPUS FOLDER] [-max_total_time=60].
 */
#include <stdlib.h>
#include <string.h>

#include "data/text/text.h"
#include "glia/glia.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void try_text(const glia_tokenizer *t, const char *text, size_t length) {
    glia_error error;
    glia_encoding e;
    const glia_encode_opts opts = { .specials = true, .offsets = true };
    if (glia_tokenizer_encode(t, text, length, opts, &e, &error)) return;
    for (int64_t i = 0; i < e.n; i++)
        if (e.begins[i] < 0 || e.ends[i] < e.begins[i] || e.ends[i] > (int64_t)length) abort();
    free(glia_tokenizer_decode(t, e.ids, e.n, false, NULL));
    glia_encoding_free(&e);
}

static void try_json(const char *json, size_t length) {
    static const char hard[] =
        "It's e\xCC\x81 \xE4\xB8\xAD\xE6\x96\x87 \xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7 \xFF\xC3 12,  end";
    glia_error error;
    glia_tokenizer *t = glia_tokenizer_parse(json, length, &error);
    if (!t) return;
    try_text(t, hard, sizeof hard - 1);
    try_text(t, json, length < 4096 ? length : 4096);
    glia_tokenizer_free(t);
}

static void try_pattern(const char *pattern, size_t length) {
    glia_arena arena = { 0 };
    glia_glyphs text = { 0 };
    glia_regex_stack stack = { 0 };
    int64_t begin = 0, end = 0;
    char *copy = malloc(length + 1);
    if (!copy) return;
    memcpy(copy, pattern, length);
    copy[length] = 0;
    const glia_regex *regex = glia_regex_compile(&arena, copy, NULL);
    glia_glyphs_decode(&text, "aab  12x\n'sz", 12);
    for (int64_t at = 0;
         regex && at <= text.n && glia_regex_find(regex, text.at, text.n, at, &stack, &begin, &end) == 1;
         at = end > begin ? end : end + 1)
        if (begin < at || end < begin || end > text.n) abort();
    free(copy);
    free(text.at);
    free(stack.frames);
    glia_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    if (length < 1) return 0;
    const char *rest = (const char *)bytes + 1;
    if (bytes[0] == 'p') {
        try_pattern(rest, length - 1);
    } else if (bytes[0] == 'v') {
        glia_text json = { 0 };
        if (!glia_vocab_txt_json("vocab.txt", bytes + 1, length - 1, &json, NULL)) try_json(json.bytes, json.length);
        free(json.bytes);
    } else {
        try_json(bytes[0] == '{' ? rest - 1 : rest, bytes[0] == '{' ? length : length - 1);
    }
    return 0;
}
