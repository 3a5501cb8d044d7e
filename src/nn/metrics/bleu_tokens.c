/* bleu_tokens.c - the tokenisations of BLEU.
 *
 * 13a is the tokenisation of NIST's mteval-v13a.pl as implemented by sacreBLEU: SGML entities are resolved, then four
 * substitutions are applied in turn to the whole line, padded with spaces:
 *
 *     ([{-~[-` -&(-+:-@/])   ->  " \1 "        symbols
 *     ([^0-9])([.,])         ->  "\1 \2 "      period and comma unless a digit is before them
 *     ([.,])([^0-9])         ->  " \1 \2"      or after them
 *     ([0-9])(-)             ->  "\1 \2 "      a dash after a digit
 *
 * Matches of one pass do not overlap. The matched characters are ASCII, or the first or last byte of a character, so
 * working on bytes gives the same result as on characters.
 */
#include <stdlib.h>
#include <string.h>

#include "nn/metrics/metrics.h"

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_point(char c) { return c == '.' || c == ','; }

static bool is_symbol(char c) {
    return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') ||
           (c >= ':' && c <= '@') || c == '/';
}

/* The length in bytes of the white space at the start of s, as defined by Python's str.split(); 0: none. */
static size_t space_at(const char *s) {
    const unsigned char *u = (const unsigned char *)s;
    if (u[0] == ' ' || (u[0] >= 0x09 && u[0] <= 0x0D) || (u[0] >= 0x1C && u[0] <= 0x1F)) return 1;
    if (u[0] == 0xC2 && (u[1] == 0x85 || u[1] == 0xA0)) return 2;
    if (u[0] == 0xE1 && u[1] == 0x9A && u[2] == 0x80) return 3; /* U+1680 */
    if (u[0] == 0xE2 && u[1] == 0x80 &&
        ((u[2] >= 0x80 && u[2] <= 0x8A) || u[2] == 0xA8 || u[2] == 0xA9 || u[2] == 0xAF)) {
        return 3; /* U+2000 to U+200A, U+2028, U+2029, U+202F */
    }
    if (u[0] == 0xE2 && u[1] == 0x81 && u[2] == 0x9F) return 3; /* U+205F */
    if (u[0] == 0xE3 && u[1] == 0x80 && u[2] == 0x80) return 3; /* U+3000 */
    return 0;
}

/* ---- 13a ---------------------------------------------------------------------------------- */

static void replace(glia_text *t, const char *what, const char *by) {
    glia_text out = { 0 };
    size_t length = strlen(what);
    const char *at = t->bytes;
    for (const char *next; at && (next = strstr(at, what)) != NULL; at = next + length) {
        glia_text_append(&out, at, (size_t)(next - at));
        glia_text_append(&out, by, strlen(by));
    }
    if (at) glia_text_append(&out, at, strlen(at));
    out.failed |= t->failed;
    free(t->bytes);
    *t = out;
}

/* One pass: `match` returns the number of bytes it matches at s (1 or 2; 0: none). They are written in `layout`, where
 * the digits 1 and 2 stand for them. */
static void substitute(glia_text *t, size_t (*match)(const char *s), const char *layout) {
    glia_text out = { .failed = t->failed };
    for (const char *s = t->bytes; s && *s;) {
        size_t taken = match(s);
        for (const char *l = layout; taken && *l; l++) glia_text_append(&out, *l == ' ' ? l : s + (*l - '1'), 1);
        if (!taken) glia_text_append(&out, s, 1);
        s += taken ? taken : 1;
    }
    free(t->bytes);
    *t = out;
}

static size_t symbol(const char *s) { return is_symbol(s[0]); }
static size_t point_after(const char *s) { return !is_digit(s[0]) && is_point(s[1]) ? 2 : 0; }
static size_t point_before(const char *s) { return is_point(s[0]) && s[1] && !is_digit(s[1]) ? 2 : 0; }
static size_t dash_after(const char *s) { return is_digit(s[0]) && s[1] == '-' ? 2 : 0; }

static void tokenize_13a(glia_text *t) {
    static const char *const entities[][2] = { { "<skipped>", "" }, { "-\n", "" },    { "\n", " " },
                                               { "&quot;", "\"" },  { "&amp;", "&" }, { "&lt;", "<" },
                                               { "&gt;", ">" },     { NULL, NULL } };
    for (int i = 0; entities[i][0]; i++) replace(t, entities[i][0], entities[i][1]);
    glia_text line = { .failed = t->failed };
    glia_text_printf(&line, " %s ", t->bytes ? t->bytes : "");
    free(t->bytes);
    *t = line;
    substitute(t, symbol, " 1 ");
    substitute(t, point_after, "1 2 ");
    substitute(t, point_before, " 1 2");
    substitute(t, dash_after, "1 2 ");
}

/* ---- all tokenisations ------------------------------------------------------------------- */

/* The number of bytes of the UTF-8 character at s. */
static size_t character_at(const char *s) {
    size_t n = 1;
    while ((s[n] & 0xC0) == 0x80) n++;
    return n;
}

/* Joins words, or characters, by spaces. */
static void join(glia_text *t, bool characters) {
    glia_text out = { .failed = t->failed };
    bool gap = false;
    for (const char *s = t->bytes; s && *s;) {
        size_t space = space_at(s), n = space ? space : character_at(s);
        if (!space) {
            if (gap && out.length) glia_text_append(&out, " ", 1);
            glia_text_append(&out, s, n);
        }
        gap = space || characters;
        s += n;
    }
    glia_text_append(&out, "", 0);
    free(t->bytes);
    *t = out;
}

/* The length without trailing white space. */
static size_t trimmed(const char *text) {
    size_t end = 0;
    for (const char *s = text; *s;) {
        size_t space = space_at(s);
        s += space ? space : character_at(s);
        if (!space) end = (size_t)(s - text);
    }
    return end;
}

char *glia_bleu_tokenize(const char *text, glia_bleu_opts opts) {
    if (!text) return NULL;
    glia_text t = { 0 };
    glia_text_append(&t, text, trimmed(text));
    for (size_t i = 0; opts.lowercase && i < t.length; i++) {
        if (t.bytes[i] >= 'A' && t.bytes[i] <= 'Z') t.bytes[i] = (char)(t.bytes[i] + 'a' - 'A');
    }
    if (opts.tokens == GLIA_BLEU_13A) tokenize_13a(&t);
    join(&t, opts.tokens == GLIA_BLEU_CHARACTERS);
    if (!t.failed) return t.bytes;
    free(t.bytes);
    return NULL;
}
