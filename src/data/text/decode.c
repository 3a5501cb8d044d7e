/* decode.c - ids to text: the decoders, one table row each, and incremental decoding. */
#include <stdlib.h>
#include <string.h>

#include "data/text/text.h"

/* A decoder changes strings in place; it may join them into the first. false: memory ran out. */

static void clear(glia_text *t) { t->length = 0; }

/* ---- joining ------------------------------------------------------------------------------ */

static bool fuse(const glia_step *s, glia_strings *all) {
    (void)s;
    for (int64_t i = 1; i < all->n; i++) {
        glia_text_append(&all->at[0], all->at[i].bytes, all->at[i].length);
        clear(&all->at[i]);
    }
    const bool good = !all->n || !all->at[0].failed;
    for (int64_t i = 1; i < all->n; i++) free(all->at[i].bytes), all->at[i] = (glia_text){ 0 };
    all->n = GLIA_MIN(all->n, 1);
    return good;
}

/* GPT-2: converts characters that represent bytes. Tokens with other characters are kept unchanged. */
static bool byte_level(const glia_step *s, glia_strings *all) {
    (void)s;
    for (int64_t i = 0; i < all->n; i++) {
        glia_text *t = &all->at[i];
        bool known = true;
        for (const char *p = t->bytes, *end = t->bytes + t->length; p < end && known;)
            known = glia_character_byte(glia_utf8_take(&p, end)) >= 0;
        size_t n = 0;
        for (const char *p = t->bytes, *end = t->bytes + t->length; p < end && known;)
            t->bytes[n++] = (char)glia_character_byte(glia_utf8_take(&p, end));
        if (known) t->length = n;
    }
    return fuse(s, all);
}

/* ---- pieces of words ---------------------------------------------------------------------- */

static bool replace_in(glia_text *t, const char *from, const char *to) {
    const size_t n = strlen(from);
    glia_text out = { 0 };
    size_t at = 0;
    for (size_t i = 0; n && i + n <= t->length;) {
        if (memcmp(t->bytes + i, from, n)) {
            i++;
            continue;
        }
        glia_text_append(&out, t->bytes + at, i - at);
        glia_text_append(&out, to, strlen(to));
        at = i += n;
    }
    if (!at) return !out.failed;
    glia_text_append(&out, t->bytes + at, t->length - at);
    if (out.failed) {
        free(out.bytes);
        return false;
    }
    free(t->bytes);
    *t = out;
    return true;
}

static bool clean_up(glia_text *t) {
    static const char *const pairs[][2] = { { " .", "." },     { " ?", "?" },           { " !", "!" },
                                            { " ,", "," },     { " ' ", "'" },          { " n't", "n't" },
                                            { " 'm", "'m" },   { " do not", " don't" }, { " 's", "'s" },
                                            { " 've", "'ve" }, { " 're", "'re" } };
    for (int i = 0; i < GLIA_COUNT(pairs); i++)
        if (!replace_in(t, pairs[i][0], pairs[i][1])) return false;
    return true;
}

static glia_status read_wordpiece(glia_step_reader *r, const glia_json *json, glia_step *s) {
    s->text = "##";
    s->flags[0] = true;
    glia_status status = glia_read_text(r, json, "prefix", &s->text);
    return status ? status : glia_read_flag(r, json, "cleanup", &s->flags[0]);
}

static bool prepend(glia_text *t, const char *bytes, size_t n) {
    glia_text_append(t, bytes, n);
    if (t->failed) return false;
    memmove(t->bytes + n, t->bytes, t->length - n);
    memcpy(t->bytes, bytes, n);
    return true;
}

static void drop(glia_text *t, size_t n) {
    memmove(t->bytes, t->bytes + n, t->length - n);
    t->length -= n;
}

static bool wordpiece(const glia_step *s, glia_strings *all) {
    const size_t n = strlen(s->text);
    for (int64_t i = 0; i < all->n; i++) {
        glia_text *t = &all->at[i];
        const bool inside = t->length >= n && !memcmp(t->bytes, s->text, n);
        if (i && inside) drop(t, n);
        if (i && !inside && !prepend(t, " ", 1)) return false;
        if (s->flags[0] && !clean_up(t)) return false;
    }
    return true;
}

static glia_status read_suffix(glia_step_reader *r, const glia_json *json, glia_step *s) {
    s->text = "</w>";
    return glia_read_text(r, json, "suffix", &s->text);
}

static bool bpe_suffix(const glia_step *s, glia_strings *all) {
    for (int64_t i = 0; i < all->n; i++)
        if (!replace_in(&all->at[i], s->text, i + 1 < all->n ? " " : "")) return false;
    return true;
}

enum { ALWAYS, NEVER };

static glia_status read_metaspace(glia_step_reader *r, const glia_json *json, glia_step *s) {
    const char *scheme = "always";
    bool prefix = true;
    s->text = "\xE2\x96\x81";
    glia_status status = glia_read_text(r, json, "replacement", &s->text);
    if (!status) status = glia_read_text(r, json, "prepend_scheme", &scheme);
    if (!status) status = glia_read_flag(r, json, "add_prefix_space", &prefix);
    s->first = !prefix || !strcmp(scheme, "never") ? NEVER : ALWAYS;
    return status;
}

static bool metaspace(const glia_step *s, glia_strings *all) {
    for (int64_t i = 0; i < all->n; i++)
        if (!replace_in(&all->at[i], s->text, i || s->first == NEVER ? " " : "")) return false;
    return true;
}

/* ---- bytes -------------------------------------------------------------------------------- */

static int hexadecimal(char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* <0x41> becomes its byte. */
static bool byte_fallback(const glia_step *s, glia_strings *all) {
    (void)s;
    for (int64_t i = 0; i < all->n; i++) {
        glia_text *t = &all->at[i];
        if (t->length != 6 || memcmp(t->bytes, "<0x", 3) || t->bytes[5] != '>') continue;
        const int high = hexadecimal(t->bytes[3]), low = hexadecimal(t->bytes[4]);
        if (high < 0 || low < 0) continue;
        t->bytes[0] = (char)(high << 4 | low);
        t->length = 1;
    }
    return true;
}

/* ---- changing ----------------------------------------------------------------------------- */

static glia_status read_strip(glia_step_reader *r, const glia_json *json, glia_step *s) {
    s->text = " ";
    glia_status status = glia_read_text(r, json, "content", &s->text);
    if (!status) status = glia_read_int(r, json, "start", &s->first);
    return status ? status : glia_read_int(r, json, "stop", &s->second);
}

static bool strip(const glia_step *s, glia_strings *all) {
    const size_t n = strlen(s->text);
    for (int64_t i = 0; i < all->n && n; i++) {
        glia_text *t = &all->at[i];
        for (int64_t k = 0; k < s->first && t->length >= n && !memcmp(t->bytes, s->text, n); k++) drop(t, n);
        for (int64_t k = 0; k < s->second && t->length >= n && !memcmp(t->bytes + t->length - n, s->text, n); k++)
            t->length -= n;
    }
    return true;
}

static glia_status read_replace(glia_step_reader *r, const glia_json *json, glia_step *s) {
    s->content = "";
    glia_status status = glia_read_pattern(r, json, "pattern", s);
    if (!status) status = glia_read_text(r, json, "content", &s->content);
    if (!status && s->regex)
        status = glia_fail_json(r->error, GLIA_E_UNSUPPORTED, json, "a decoder that replaces a Regex is not supported");
    return status;
}

static bool replace(const glia_step *s, glia_strings *all) {
    for (int64_t i = 0; i < all->n; i++)
        if (!replace_in(&all->at[i], s->text, s->content)) return false;
    return true;
}

static glia_status read_sequence(glia_step_reader *r, const glia_json *json, glia_step *s) {
    return glia_read_steps(r, glia_decoders, "decoder", json, "decoders", s);
}

static bool sequence(const glia_step *s, glia_strings *all) {
    for (int i = 0; i < s->n_steps; i++)
        if (!s->steps[i]->kind->run.decode(s->steps[i], all)) return false;
    return true;
}

const glia_step_kind glia_decoders[] = {
    { "ByteLevel", NULL, { .decode = byte_level } },
    { "WordPiece", read_wordpiece, { .decode = wordpiece } },
    { "Metaspace", read_metaspace, { .decode = metaspace } },
    { "BPEDecoder", read_suffix, { .decode = bpe_suffix } },
    { "ByteFallback", NULL, { .decode = byte_fallback } },
    { "Fuse", NULL, { .decode = fuse } },
    { "Strip", read_strip, { .decode = strip } },
    { "Replace", read_replace, { .decode = replace } },
    { "Sequence", read_sequence, { .decode = sequence } },
    { NULL, NULL, { NULL } },
};

/* ---- ids ---------------------------------------------------------------------------------- */

static bool spell_ids(const glia_tokenizer *t, const int32_t *ids, int64_t n, bool skip, glia_strings *all) {
    for (int64_t i = 0; i < n; i++) {
        const int32_t id = ids[i];
        if (id < 0 || id >= t->all.n || !t->all.tokens[id] || (skip && t->special[id])) continue;
        glia_text *s = &all->at[all->n++];
        glia_text_append(s, t->all.tokens[id], t->all.lengths[id]);
        if (s->failed) return false;
    }
    return true;
}

char *glia_tokenizer_decode(const glia_tokenizer *t, const int32_t *ids, int64_t n, bool skip_specials,
                            size_t *length) {
    if (!t || (n > 0 && !ids)) return NULL;
    glia_strings all = { .at = calloc((size_t)n + 1, sizeof *all.at) };
    if (!all.at) return NULL;
    bool good = spell_ids(t, ids, n, skip_specials, &all);
    const int64_t made = all.n;
    if (good && t->decoder) good = t->decoder->kind->run.decode(t->decoder, &all);
    glia_text out = { 0 };
    glia_text_append(&out, "", 0);
    for (int64_t i = 0; i < all.n; i++) {
        if (i && !t->decoder) glia_text_append(&out, " ", 1);
        glia_text_append(&out, all.at[i].bytes, all.at[i].length);
    }
    for (int64_t i = 0; i < made; i++) free(all.at[i].bytes);
    free(all.at);
    if (good && !out.failed) {
        if (length) *length = out.length;
        return out.bytes;
    }
    free(out.bytes);
    return NULL;
}

/* ---- incremental decoding ----------------------------------------------------------------- */

/* Keeps the last ids, since the text of a token may depend on the one before. The text of a new token is what it adds
 * to the text of the ids kept. */
struct glia_detokenizer {
    const glia_tokenizer *tokenizer;
    bool skip;
    int32_t *ids;
    int n, capacity;
    size_t known; /* bytes of the text of `ids` already returned */
    char *text;   /* the result of the last call points into it */
};

enum { CONTEXT = 6, WAIT_MOST = 64 }; /* from WAIT_MOST ids on, all but the last CONTEXT are dropped */

glia_detokenizer *glia_detokenizer_create(const glia_tokenizer *t, bool skip_specials, glia_error *error) {
    if (!t) return glia_fail_null(error, "tokenizer"), NULL;
    glia_detokenizer *d = calloc(1, sizeof *d);
    if (!d) return glia_fail_nomem(error), NULL;
    d->tokenizer = t;
    d->skip = skip_specials;
    return d;
}

void glia_detokenizer_free(glia_detokenizer *d) {
    if (!d) return;
    free(d->ids);
    free(d->text);
    free(d);
}

/* Number of bytes at the end that may be the start of a character. */
static size_t incomplete(const char *text, size_t length) {
    for (size_t n = 1; n <= 3 && n <= length; n++) {
        const uint8_t c = (uint8_t)text[length - n];
        if ((c & 0xC0) == 0x80) continue;
        const size_t wanted = c >= 0xF0 && c <= 0xF4 ? 4 : c >= 0xE0 ? 3 : c >= 0xC2 ? 2 : 1;
        return wanted > n && c < 0xF5 ? n : 0;
    }
    return 0;
}

static const char *say(glia_detokenizer *d, bool all, size_t *length) {
    size_t total = 0;
    if (length) *length = 0;
    free(d->text);
    d->text = glia_tokenizer_decode(d->tokenizer, d->ids, d->n, d->skip, &total);
    if (!d->text) return NULL;
    const size_t held = all ? 0 : incomplete(d->text, total), until = total - held;
    const size_t from = GLIA_MIN(d->known, until);
    d->text[until] = 0;
    if (length) *length = until - from;
    d->known = until;
    if (held || d->n < WAIT_MOST) return d->text + from;
    /* keeps only the last CONTEXT ids; their text is assumed to be the end of the whole */
    const int gone = d->n - CONTEXT;
    size_t rest;
    char *end = glia_tokenizer_decode(d->tokenizer, d->ids + gone, CONTEXT, d->skip, &rest);
    if (!end) return NULL;
    memmove(d->ids, d->ids + gone, CONTEXT * sizeof *d->ids);
    d->n = CONTEXT;
    d->known = rest;
    free(end);
    return d->text + from;
}

const char *glia_detokenizer_next(glia_detokenizer *d, int32_t id, size_t *length) {
    if (!d) return NULL;
    if (!glia_grow((void **)&d->ids, d->n, &d->capacity, sizeof *d->ids)) return NULL;
    d->ids[d->n++] = id;
    return say(d, false, length);
}

const char *glia_detokenizer_finish(glia_detokenizer *d, size_t *length) {
    if (!d) return NULL;
    const char *text = say(d, true, length);
    d->n = 0;
    d->known = 0;
    return text;
}
