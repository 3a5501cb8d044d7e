/* unicode.c - characters: classes, lower case and normal forms, from the tables of utf8proc.
 *
 * Normal forms are computed here, from utf8proc's decompositions and compositions of single characters, because each
 * character must keep the byte range of the original that it came from.
 */
#include <stdlib.h>
#include <string.h>
#ifdef GLIA_HAVE_UTF8PROC
#include <utf8proc.h>
#endif

#include "data/text/text.h"

/* ---- glyphs ------------------------------------------------------------------------------- */

static bool reserve(glia_glyphs *g, int64_t more) {
    if (g->failed) return false;
    if (g->n + more <= g->capacity) return true;
    int64_t capacity = GLIA_MAX(g->n + more, 2 * g->capacity + 64);
    glia_glyph *grown = realloc(g->at, (size_t)capacity * sizeof *grown);
    if (!grown) return g->failed = true, false;
    g->at = grown;
    g->capacity = capacity;
    return true;
}

void glia_glyphs_add(glia_glyphs *g, uint32_t c, uint32_t begin, uint32_t end) {
    if (g->n < g->capacity || reserve(g, 1)) g->at[g->n++] = (glia_glyph){ c, begin, end };
}

void glia_glyphs_append(glia_glyphs *g, const glia_glyph *from, int64_t n) {
    if (!n || !reserve(g, n)) return;
    memcpy(g->at + g->n, from, (size_t)n * sizeof *from);
    g->n += n;
}

void glia_glyphs_swap(glia_glyphs *a, glia_glyphs *b) {
    const glia_glyphs c = *a;
    *a = *b;
    *b = c;
}

static uint32_t code_point(const uint8_t *p, size_t n) {
    static const uint8_t first[] = { 0, 0x7F, 0x1F, 0x0F, 0x07 };
    uint32_t c = p[0] & first[n];
    for (size_t i = 1; i < n; i++) c = c << 6 | (p[i] & 0x3F);
    return c;
}

uint32_t glia_utf8_take(const char **at, const char *end) {
    const uint8_t *p = (const uint8_t *)*at;
    const size_t n = p[0] < 0x80 ? 1 : glia_utf8_length(p, (size_t)(end - *at));
    *at += GLIA_MAX(n, (size_t)1);
    return n == 0 ? (uint32_t)GLIA_RAW + p[0] : n == 1 ? p[0] : code_point(p, n);
}

void glia_glyphs_decode(glia_glyphs *g, const char *text, size_t length) {
    if (!reserve(g, (int64_t)length)) return; /* upper bound; untouched memory costs nothing */
    for (const char *at = text, *end = text + length; at < end;) {
        const char *from = at;
        const uint32_t c = glia_utf8_take(&at, end);
        g->at[g->n++] = (glia_glyph){ c, (uint32_t)(from - text), (uint32_t)(at - text) };
    }
}

size_t glia_utf8_put(uint32_t c, char out[4]) {
    if (c >= GLIA_RAW) return out[0] = (char)(c - GLIA_RAW), 1;
    return glia_utf8_write(c, out);
}

/* ---- classes ------------------------------------------------------------------------------ */

bool glia_unicode_space(uint32_t c) {
    if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

bool glia_unicode_ascii_punctuation(uint32_t c) {
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

bool glia_unicode_word(uint32_t c) {
    if (c < 0x80) return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
    if (glia_unicode_in(c, GLIA_LETTERS | GLIA_MARKS | 1u << GLIA_ND | 1u << GLIA_NL | 1u << GLIA_PC)) return true;
    return c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
           (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189); /* joiners; enclosed letters */
}

#ifdef GLIA_HAVE_UTF8PROC

glia_status glia_unicode_ready(glia_error *error) {
    (void)error;
    return GLIA_OK;
}

static int category(uint32_t c) { return c >= GLIA_RAW ? GLIA_SO : (int)utf8proc_category((utf8proc_int32_t)c); }

int glia_unicode_lower(uint32_t c, uint32_t out[3]) {
    if (c == 0x130) return out[0] = 'i', out[1] = 0x307, 2; /* the only letter whose lower case is two characters */
    out[0] = c < 0x80 ? (c >= 'A' && c <= 'Z' ? c + 32 : c) : c >= GLIA_RAW ? c : (uint32_t)utf8proc_tolower((int)c);
    return 1;
}

bool glia_unicode_break(uint32_t a, uint32_t b, int32_t *state) {
    if (a < 0x80 && b < 0x80) return a != '\r' || b != '\n';
    if (a >= GLIA_RAW || b >= GLIA_RAW) return true;
    return utf8proc_grapheme_break_stateful((int32_t)a, (int32_t)b, state);
}

/* The full decomposition of a character; returns its length. */
static int decompose(uint32_t c, bool compatible, int32_t out[32]) {
    int boundary = 0;
    const int options = UTF8PROC_DECOMPOSE | UTF8PROC_STABLE | (compatible ? UTF8PROC_COMPAT : 0);
    const utf8proc_ssize_t n = utf8proc_decompose_char((int)c, out, 32, (utf8proc_option_t)options, &boundary);
    if (n > 0 && n <= 32) return (int)n;
    out[0] = (int32_t)c;
    return 1;
}

static int combining_class(uint32_t c) {
    return c < 0x300 || c >= GLIA_RAW ? 0 : utf8proc_get_property((int)c)->combining_class;
}

/* The composition of both characters; 0: none. */
static uint32_t compose_pair(uint32_t a, uint32_t b) {
    if (b < 0x300 || a >= GLIA_RAW || b >= GLIA_RAW) return 0;
    int32_t both[2] = { (int32_t)a, (int32_t)b };
    const int options = UTF8PROC_COMPOSE | UTF8PROC_STABLE;
    return utf8proc_normalize_utf32(both, 2, (utf8proc_option_t)options) == 1 ? (uint32_t)both[0] : 0;
}

#else

glia_status glia_unicode_ready(glia_error *error) {
    return glia_fail(error, GLIA_E_UNSUPPORTED,
                     "this tokenizer needs utf8proc, which this build of Glia does not have");
}

static int category(uint32_t c) { return c >= 0x80 ? GLIA_LO : GLIA_CN; }

int glia_unicode_lower(uint32_t c, uint32_t out[3]) { return out[0] = c >= 'A' && c <= 'Z' ? c + 32 : c, 1; }

bool glia_unicode_break(uint32_t a, uint32_t b, int32_t *state) { return (void)state, a != '\r' || b != '\n'; }

static int decompose(uint32_t c, bool compatible, int32_t out[32]) { return (void)compatible, out[0] = (int32_t)c, 1; }
static int combining_class(uint32_t c) { return (void)c, 0; }
static uint32_t compose_pair(uint32_t a, uint32_t b) { return (void)a, (void)b, 0; }

#endif

int glia_unicode_category(uint32_t c) {
    if (c >= 'a' && c <= 'z') return GLIA_LL;
    if (c == ' ') return GLIA_ZS;
    return category(c);
}

/* ---- normal forms ------------------------------------------------------------------------- */

/* Sorts the marks after a starter by combining class; stable. */
static void sort_marks(glia_glyph *at, int64_t n) {
    for (int64_t i = 1; i < n; i++) {
        const glia_glyph moved = at[i];
        const int class = combining_class(moved.c);
        int64_t k = i;
        for (; class && k > 0 && combining_class(at[k - 1].c) > class; k--) at[k] = at[k - 1];
        at[k] = moved;
    }
}

static void merge_places(glia_glyph *into, glia_glyph from) {
    into->begin = GLIA_MIN(into->begin, from.begin);
    into->end = GLIA_MAX(into->end, from.end);
}

/* The canonical composition (UAX 15, D117), in place. */
static void compose_all(glia_glyphs *g) {
    int64_t starter = -1, kept = 0;
    int last = 0; /* class of the previous character; -1: it is the starter */
    for (int64_t i = 0; i < g->n; i++) {
        const glia_glyph next = g->at[i];
        const int class = combining_class(next.c);
        const bool free = starter >= 0 && (last == -1 || (last < class && last != 0));
        const uint32_t both = free ? compose_pair(g->at[starter].c, next.c) : 0;
        if (both) {
            g->at[starter].c = both;
            merge_places(&g->at[starter], next);
            continue;
        }
        if (class == 0) starter = kept;
        last = class == 0 ? -1 : class;
        g->at[kept++] = next;
    }
    g->n = kept;
}

void glia_glyphs_normalize(glia_glyphs *g, glia_glyphs *spare, bool compose, bool compatible) {
    int64_t i = 0, sorted = 0;
    const uint32_t plain = compatible ? 0xA0 : 0xC0; /* characters below do not decompose */
    while (i < g->n && g->at[i].c < plain) i++;
    if (i == g->n) return;
    spare->n = 0;
    for (i = 0; i < g->n; i++) {
        const glia_glyph from = g->at[i];
        int32_t parts[32];
        const int n = from.c < plain || from.c >= GLIA_RAW ? (parts[0] = (int32_t)from.c, 1)
                                                           : decompose(from.c, compatible, parts);
        for (int k = 0; k < n; k++) {
            if (combining_class((uint32_t)parts[k]) == 0) {
                if (spare->n > sorted) sort_marks(spare->at + sorted, spare->n - sorted);
                sorted = spare->n;
            }
            glia_glyphs_add(spare, (uint32_t)parts[k], from.begin, from.end);
        }
    }
    if (spare->failed) {
        g->failed = true;
        return;
    }
    if (spare->n > sorted) sort_marks(spare->at + sorted, spare->n - sorted);
    if (compose) compose_all(spare);
    glia_glyphs_swap(g, spare);
}
