/* precompiled.c - SentencePiece's compiled normalisation: a table of strings and their replacements.
 *
 * The table is in base64: the number of bytes of a double array, the double array, and the replacements, each ending
 * with a zero. A double array (Aoe 1989; here in the format of Yata's darts-clone) is a trie whose nodes are units of
 * 32 bits. From the node at i, the byte c leads to i ^ offset ^ c if the unit there has the label c. If that node has a
 * leaf, the string that ends there is in the table, and the unit at i ^ offset (of that node) holds the offset of its
 * replacement.
 *
 * As in the `tokenizers` package, a grapheme of fewer than six bytes is looked up as a whole: the replacement of its
 * shortest prefix in the table replaces all of it. Otherwise its characters are looked up one by one.
 */
#include <string.h>

#include "base/bytes.h"
#include "data/text/text.h"

enum { WHOLE_BELOW = 6 };

/* ---- base64 ------------------------------------------------------------------------------- */

static int digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes into out, which has room for three bytes per four characters. Returns the number of bytes; -1: not base64. */
static int64_t from_base64(const char *text, size_t length, uint8_t *out) {
    if (length % 4) return -1;
    size_t n = 0, padding = 0;
    while (padding < 2 && padding < length && text[length - 1 - padding] == '=') padding++;
    for (size_t i = 0; i < length; i += 4) {
        uint32_t bits = 0;
        for (size_t k = i; k < i + 4; k++) {
            const int d = k >= length - padding ? 0 : digit(text[k]);
            if (d < 0) return -1;
            bits = bits << 6 | (uint32_t)d;
        }
        for (int shift = 16; shift >= 0; shift -= 8) out[n++] = (uint8_t)(bits >> shift);
    }
    return (int64_t)(n - padding);
}

/* ---- the double array --------------------------------------------------------------------- */

/* false: index out of range, so the array is damaged. */
static bool unit_at(const glia_step *s, uint32_t i, uint32_t *unit) {
    if (i >= s->text_length / 4) return false;
    *unit = glia_little32((const uint8_t *)s->text + (size_t)i * 4);
    return true;
}

static uint32_t offset_of(uint32_t unit) { return unit >> 10 << ((unit >> 6) & 8); }
static bool has_leaf(uint32_t unit) { return unit >> 8 & 1; }
static uint32_t label_of(uint32_t unit) { return unit & 0x800000FF; } /* the label of a leaf is never a byte */

/* The replacement of the shortest prefix of bytes[0, n) in the table; NULL: none. */
static const char *look_up(const glia_step *s, const char *bytes, size_t n) {
    uint32_t at = 0, unit;
    if (!unit_at(s, 0, &unit)) return NULL;
    at = offset_of(unit);
    for (size_t i = 0; i < n && bytes[i]; i++) {
        at ^= (uint8_t)bytes[i];
        if (!unit_at(s, at, &unit) || label_of(unit) != (uint8_t)bytes[i]) return NULL;
        at ^= offset_of(unit);
        if (!has_leaf(unit)) continue;
        if (!unit_at(s, at, &unit)) return NULL;
        const uint32_t place = unit & 0x7FFFFFFF;
        return place < s->content_length ? s->content + place : NULL;
    }
    return NULL;
}

/* ---- the step ----------------------------------------------------------------------------- */

glia_status glia_precompiled_read(glia_step_reader *r, const glia_json *json, glia_step *s) {
    const char *coded = NULL;
    glia_status status = glia_read_text(r, json, "precompiled_charsmap", &coded);
    if (status) return status;
    const glia_json *at = glia_json_member(json, "precompiled_charsmap");
    if (!coded) return glia_fail_json(r->error, GLIA_E_FORMAT, json, "Precompiled has no \"precompiled_charsmap\"");
    const size_t length = strlen(coded);
    uint8_t *bytes = glia_arena_alloc(r->arena, length / 4 * 3 + 1);
    if (!bytes) return glia_fail_nomem(r->error);
    const int64_t n = from_base64(coded, length, bytes);
    if (n < 0) return glia_fail_json(r->error, GLIA_E_FORMAT, at, "the text is not base64");
    const uint32_t units = n < 4 ? 0 : glia_little32(bytes);
    if (n < 4 || units % 4 || units > n - 4)
        return glia_fail_json(r->error, GLIA_E_FORMAT, at, "the charsmap is shorter than its size field");
    bytes[n] = 0;
    s->text = (const char *)bytes + 4;
    s->text_length = units;
    s->content = s->text + units;
    s->content_length = (size_t)n - 4 - units;
    return GLIA_OK;
}

static void add_text(glia_glyphs *out, const char *text, uint32_t begin, uint32_t end) {
    for (const char *stop = text + strlen(text); text < stop;)
        glia_glyphs_add(out, glia_utf8_take(&text, stop), begin, end);
}

/* Writes characters [from, to) as bytes; 0: WHOLE_BELOW bytes or more. */
static size_t bytes_of(const glia_glyphs *g, int64_t from, int64_t to, char out[WHOLE_BELOW + 4]) {
    size_t n = 0;
    for (int64_t i = from; i < to; i++) {
        n += glia_utf8_put(g->at[i].c, out + n);
        if (n >= WHOLE_BELOW) return 0;
    }
    return n;
}

static bool replaced(const glia_step *s, glia_workspace *w, int64_t from, int64_t to) {
    char bytes[WHOLE_BELOW + 4];
    const size_t n = bytes_of(&w->text, from, to, bytes);
    const char *becomes = n ? look_up(s, bytes, n) : NULL;
    if (becomes) add_text(&w->spare, becomes, w->text.at[from].begin, w->text.at[to - 1].end);
    return becomes != NULL;
}

void glia_precompiled_normalize(const glia_step *s, glia_workspace *w) {
    const glia_glyphs *g = &w->text;
    int64_t to;
    w->spare.n = 0;
    for (int64_t from = 0; from < g->n; from = to) {
        int32_t state = 0;
        for (to = from + 1; to < g->n && !glia_unicode_break(g->at[to - 1].c, g->at[to].c, &state);) to++;
        if (replaced(s, w, from, to)) continue;
        for (int64_t i = from; i < to; i++) {
            if (!replaced(s, w, i, i + 1)) glia_glyphs_append(&w->spare, g->at + i, 1);
        }
    }
    glia_glyphs_swap(&w->text, &w->spare);
}
