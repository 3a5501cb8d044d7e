/* normalizers.c - the normalisers, applied to a text before it is cut; one table row each.
 *
 * A normaliser changes w->text in place; w->spare is scratch.
 */
#include <string.h>

#include "data/text/text.h"

static void nfc(const glia_step *s, glia_workspace *w) {
    (void)s;
    glia_glyphs_normalize(&w->text, &w->spare, true, false);
}
static void nfd(const glia_step *s, glia_workspace *w) {
    (void)s;
    glia_glyphs_normalize(&w->text, &w->spare, false, false);
}
static void nfkc(const glia_step *s, glia_workspace *w) {
    (void)s;
    glia_glyphs_normalize(&w->text, &w->spare, true, true);
}
static void nfkd(const glia_step *s, glia_workspace *w) {
    (void)s;
    glia_glyphs_normalize(&w->text, &w->spare, false, true);
}

static void lowercase(const glia_step *s, glia_workspace *w) {
    (void)s;
    w->spare.n = 0;
    for (int64_t i = 0; i < w->text.n; i++) {
        const glia_glyph g = w->text.at[i];
        uint32_t lower[3];
        const int n = glia_unicode_lower(g.c, lower);
        for (int k = 0; k < n; k++) glia_glyphs_add(&w->spare, lower[k], g.begin, g.end);
    }
    glia_glyphs_swap(&w->text, &w->spare);
}

/* Removes the non-ASCII characters of these categories. */
static void filter(glia_glyphs *g, uint32_t categories) {
    int64_t kept = 0;
    for (int64_t i = 0; i < g->n; i++) {
        const bool out = g->at[i].c >= 0x80 && glia_unicode_in(g->at[i].c, categories);
        if (!out) g->at[kept++] = g->at[i];
    }
    g->n = kept;
}

static void strip_accents(const glia_step *s, glia_workspace *w) {
    (void)s;
    filter(&w->text, GLIA_MARKS);
}

/* ---- BERT --------------------------------------------------------------------------------- */

enum { CLEAN, CHINESE, STRIP, LOWER };

static glia_status read_bert(glia_step_reader *r, const glia_json *json, glia_step *s) {
    s->flags[CLEAN] = s->flags[CHINESE] = s->flags[LOWER] = true;
    glia_status status = glia_read_flag(r, json, "lowercase", &s->flags[LOWER]);
    s->flags[STRIP] = s->flags[LOWER];
    if (!status) status = glia_read_flag(r, json, "clean_text", &s->flags[CLEAN]);
    if (!status) status = glia_read_flag(r, json, "handle_chinese_chars", &s->flags[CHINESE]);
    if (!status) status = glia_read_flag(r, json, "strip_accents", &s->flags[STRIP]);
    return status;
}

static bool chinese(uint32_t c) {
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

static void clean(glia_glyphs *g) {
    int64_t kept = 0;
    for (int64_t i = 0; i < g->n; i++) {
        glia_glyph c = g->at[i];
        const bool blank = c.c == '\t' || c.c == '\n' || c.c == '\r' || glia_unicode_space(c.c);
        const bool control = c.c != '\t' && c.c != '\n' && c.c != '\r' &&
                             glia_unicode_in(c.c, 1u << GLIA_CC | 1u << GLIA_CF | 1u << GLIA_CO);
        if (control || c.c == GLIA_REPLACEMENT || c.c >= GLIA_RAW) continue;
        if (blank) c.c = ' ';
        g->at[kept++] = c;
    }
    g->n = kept;
}

static void bert(const glia_step *s, glia_workspace *w) {
    if (s->flags[CLEAN]) clean(&w->text);
    if (s->flags[CHINESE]) {
        w->spare.n = 0;
        for (int64_t i = 0; i < w->text.n; i++) {
            const glia_glyph g = w->text.at[i];
            const bool alone = chinese(g.c);
            if (alone) glia_glyphs_add(&w->spare, ' ', g.begin, g.end);
            glia_glyphs_add(&w->spare, g.c, g.begin, g.end);
            if (alone) glia_glyphs_add(&w->spare, ' ', g.begin, g.end);
        }
        glia_glyphs_swap(&w->text, &w->spare);
    }
    if (s->flags[STRIP]) {
        nfd(s, w);
        filter(&w->text, 1u << GLIA_MN);
    }
    if (s->flags[LOWER]) lowercase(s, w);
}

/* ---- others ------------------------------------------------------------------------------- */

/* SentencePiece's clean-up for machine translation. */
static void nmt(const glia_step *s, glia_workspace *w) {
    (void)s;
    int64_t kept = 0;
    for (int64_t i = 0; i < w->text.n; i++) {
        glia_glyph g = w->text.at[i];
        const uint32_t c = g.c;
        const bool out =
            (c >= 0x1 && c <= 0x8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
        const bool blank = c == 9 || c == 10 || c == 12 || c == 13 || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
                           c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
        if (out) continue;
        if (blank) g.c = ' ';
        w->text.at[kept++] = g;
    }
    w->text.n = kept;
}

static glia_status read_strip(glia_step_reader *r, const glia_json *json, glia_step *s) {
    s->flags[0] = s->flags[1] = true;
    glia_status status = glia_read_flag(r, json, "strip_left", &s->flags[0]);
    return status ? status : glia_read_flag(r, json, "strip_right", &s->flags[1]);
}

static void strip(const glia_step *s, glia_workspace *w) {
    glia_glyphs *g = &w->text;
    int64_t from = 0;
    while (s->flags[0] && from < g->n && glia_unicode_space(g->at[from].c)) from++;
    while (s->flags[1] && g->n > from && glia_unicode_space(g->at[g->n - 1].c)) g->n--;
    g->n -= from;
    if (from) memmove(g->at, g->at + from, (size_t)g->n * sizeof *g->at);
}

static glia_status read_filler(glia_step_reader *r, const glia_json *json, const char *key, glia_step *s) {
    s->content = "";
    glia_status status = glia_read_text(r, json, key, &s->content);
    if (status) return status;
    s->content_length = strlen(s->content);
    glia_glyphs_decode(&s->filler, s->content, s->content_length);
    return s->filler.failed ? glia_fail_nomem(r->error) : GLIA_OK;
}

static glia_status read_replace(glia_step_reader *r, const glia_json *json, glia_step *s) {
    glia_status status = glia_read_pattern(r, json, "pattern", s);
    return status ? status : read_filler(r, json, "content", s);
}

static void replace(const glia_step *s, glia_workspace *w) {
    const glia_glyphs *g = &w->text;
    int64_t at = 0, begin = 0, end = 0;
    int found;
    w->spare.n = 0;
    for (int64_t from = 0; (found = glia_step_find(s, g->at, g->n, from, &w->stack, &begin, &end)) > 0;) {
        glia_glyphs_append(&w->spare, g->at + at, begin - at);
        if (end > begin) {
            for (int64_t i = 0; i < s->filler.n; i++)
                glia_glyphs_add(&w->spare, s->filler.at[i].c, g->at[begin].begin, g->at[end - 1].end);
        }
        at = end;
        from = end > begin ? end : end + 1;
        if (from > g->n) break;
    }
    if (found < 0) glia_give_up(w);
    glia_glyphs_append(&w->spare, g->at + at, g->n - at);
    glia_glyphs_swap(&w->text, &w->spare);
}

static glia_status read_prepend(glia_step_reader *r, const glia_json *json, glia_step *s) {
    return read_filler(r, json, "prepend", s);
}

static void prepend(const glia_step *s, glia_workspace *w) {
    if (!w->text.n) return;
    w->spare.n = 0;
    const glia_glyph first = w->text.at[0];
    for (int64_t i = 0; i < s->filler.n; i++) glia_glyphs_add(&w->spare, s->filler.at[i].c, first.begin, first.begin);
    glia_glyphs_append(&w->spare, w->text.at, w->text.n);
    glia_glyphs_swap(&w->text, &w->spare);
}

static void byte_level(const glia_step *s, glia_workspace *w) {
    (void)s;
    w->spare.n = 0;
    for (int64_t i = 0; i < w->text.n; i++) {
        char bytes[4];
        const glia_glyph g = w->text.at[i];
        const size_t n = glia_utf8_put(g.c, bytes);
        for (size_t k = 0; k < n; k++)
            glia_glyphs_add(&w->spare, glia_byte_character((uint8_t)bytes[k]), g.begin, g.end);
    }
    glia_glyphs_swap(&w->text, &w->spare);
}

static glia_status read_sequence(glia_step_reader *r, const glia_json *json, glia_step *s) {
    return glia_read_steps(r, glia_normalizers, "normalizer", json, "normalizers", s);
}

static void sequence(const glia_step *s, glia_workspace *w) {
    for (int i = 0; i < s->n_steps; i++) s->steps[i]->kind->run.normalize(s->steps[i], w);
}

const glia_step_kind glia_normalizers[] = {
    { "NFC", NULL, { .normalize = nfc } },
    { "NFD", NULL, { .normalize = nfd } },
    { "NFKC", NULL, { .normalize = nfkc } },
    { "NFKD", NULL, { .normalize = nfkd } },
    { "Lowercase", NULL, { .normalize = lowercase } },
    { "StripAccents", NULL, { .normalize = strip_accents } },
    { "BertNormalizer", read_bert, { .normalize = bert } },
    { "Nmt", NULL, { .normalize = nmt } },
    { "Precompiled", glia_precompiled_read, { .normalize = glia_precompiled_normalize } },
    { "Strip", read_strip, { .normalize = strip } },
    { "Replace", read_replace, { .normalize = replace } },
    { "Prepend", read_prepend, { .normalize = prepend } },
    { "ByteLevel", NULL, { .normalize = byte_level } },
    { "Sequence", read_sequence, { .normalize = sequence } },
    { NULL, NULL, { NULL } },
};
