/* json.c - a strict JSON parser (RFC 8259) that builds a tree in an arena; writing strings.
 *
 * Recursive descent with a depth limit. Accepts nothing beyond the RFC: no comments, no trailing commas, no leading
 * zeros, no control characters in strings, no invalid UTF-8, no lone surrogates. It also rejects two things that the
 * RFC allows: duplicate keys (ambiguous, a known attack) and \u0000 (strings are C strings).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum { DEPTH_MOST = 64 };

typedef struct reader {
    glia_arena *arena;
    const uint8_t *bytes;
    size_t length, at, base;
    int depth;
    glia_error *error;
} reader;

static glia_json *value(reader *r);

/* Reports an error at an offset; `what` is "" where the only possible error is the end of the text. */
static void *fail_at(reader *r, size_t at, const char *what) {
    char line[32] = "";
    int n = 1;
    for (size_t i = 0; i < at && i < r->length; i++) n += r->bytes[i] == '\n';
    if (n > 1) snprintf(line, sizeof line, "line %d, ", n);
    const bool end = at >= r->length;
    glia_fail(r->error, GLIA_E_FORMAT, "%soffset %zu: %s%s", line, r->base + at,
              *what ? what : "the text is truncated", *what && end ? ", but the text ends" : "");
    return NULL;
}

static void *fail(reader *r, const char *what) { return fail_at(r, r->at, what); }

static void skip_space(reader *r) {
    while (r->at < r->length && strchr(" \t\n\r", r->bytes[r->at]) && r->bytes[r->at]) r->at++;
}

static bool take(reader *r, char c) {
    if (r->at >= r->length || r->bytes[r->at] != (uint8_t)c) return false;
    r->at++;
    return true;
}

/* ---- strings ------------------------------------------------------------------------------ */

/* The value of four hexadecimal digits at `at`; -1: other characters. */
static int hex4(const reader *r, size_t at) {
    if (r->length - at < 4) return -1;
    int v = 0;
    for (size_t i = at; i < at + 4; i++) {
        int c = r->bytes[i], d = c >= '0' && c <= '9'   ? c - '0'
                                 : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                 : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                        : -1;
        if (d < 0) return -1;
        v = v * 16 + d;
    }
    return v;
}

/* Decodes the escape after a backslash at r->at. Returns the bytes written to out, 0 with an error set. */
static size_t escape(reader *r, char *out) {
    size_t start = r->at;
    char c = r->at + 1 < r->length ? (char)r->bytes[r->at + 1] : 0;
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *simple = c ? strchr(from, c) : NULL;
    r->at += 2;
    if (simple) return out[0] = to[simple - from], 1;
    if (c != 'u') return fail_at(r, start, "the escape is unknown"), (size_t)0;
    int u = hex4(r, r->at);
    if (u <= 0) {
        return fail_at(r, start, u ? "\\u without four hexadecimal digits" : "\\u0000 is not allowed"), (size_t)0;
    }
    r->at += 4;
    if (u < 0xD800 || u > 0xDFFF) return glia_utf8_write((uint32_t)u, out);
    bool pair = u < 0xDC00 && r->length - r->at >= 6 && r->bytes[r->at] == '\\' && r->bytes[r->at + 1] == 'u';
    int low = pair ? hex4(r, r->at + 2) : -1;
    if (low < 0xDC00 || low > 0xDFFF) return fail_at(r, start, "half of a surrogate pair"), (size_t)0;
    r->at += 6;
    return glia_utf8_write(0x10000 + ((uint32_t)(u - 0xD800) << 10) + (uint32_t)(low - 0xDC00), out);
}

/* The decoded string at r->at; NULL with an error set. Decoding never lengthens it: the source's length suffices. */
static char *string(reader *r) {
    size_t start = r->at;
    if (!take(r, '"')) return fail(r, "expected a string");
    size_t end = r->at;
    while (end < r->length && r->bytes[end] != '"') end += r->bytes[end] == '\\' ? 2 : 1;
    if (end >= r->length) return fail_at(r, r->length, "");
    char *text = glia_arena_alloc(r->arena, end - start);
    if (!text) return glia_fail_nomem(r->error), NULL;
    size_t n = 0;
    while (r->at < end) {
        uint8_t c = r->bytes[r->at];
        if (c == '\\') {
            size_t written = escape(r, text + n);
            if (!written) return NULL;
            n += written;
            continue;
        }
        size_t size = c < 0x20 ? 0 : glia_utf8_length(r->bytes + r->at, end - r->at);
        if (!size) return fail(r, c < 0x20 ? "a control character in a string" : "invalid UTF-8");
        memcpy(text + n, r->bytes + r->at, size);
        n += size;
        r->at += size;
    }
    r->at++;
    return text;
}

/* ---- values ------------------------------------------------------------------------------- */

static size_t digits(reader *r) {
    size_t start = r->at;
    while (r->at < r->length && r->bytes[r->at] >= '0' && r->bytes[r->at] <= '9') r->at++;
    return r->at - start;
}

static glia_json *number(reader *r, glia_json *v) {
    size_t start = r->at;
    take(r, '-');
    bool zero = r->at < r->length && r->bytes[r->at] == '0';
    size_t whole = digits(r);
    if (whole == 0) return fail(r, "expected a value");
    if (zero && whole > 1) return fail_at(r, start, "the number has a leading zero");
    if (take(r, '.') && !digits(r)) return fail(r, "expected digits after the point");
    if (r->at < r->length && (r->bytes[r->at] == 'e' || r->bytes[r->at] == 'E')) {
        r->at++;
        if (!take(r, '-')) take(r, '+');
        if (!digits(r)) return fail(r, "expected digits in the exponent");
    }
    size_t n = r->at - start;
    char *text = glia_arena_alloc(r->arena, n + 1);
    if (!text) return glia_fail_nomem(r->error), NULL;
    memcpy(text, r->bytes + start, n);
    if (!glia_number_parse(text, text + n, &v->number)) return fail_at(r, start, "the number is too large");
    v->kind = GLIA_JSON_NUMBER;
    v->text = text;
    return v;
}

static int by_key(const void *a, const void *b) {
    const glia_json *x = *(const glia_json *const *)a, *y = *(const glia_json *const *)b;
    int order = strcmp(x->key, y->key);
    return order ? order : (x->key_offset > y->key_offset) - (x->key_offset < y->key_offset);
}

/* false, with an error set, if two members have the same key. */
static bool keys_differ(reader *r, const glia_json *object) {
    if (object->count < 2) return true;
    const glia_json **members = malloc((size_t)object->count * sizeof *members);
    if (!members) return glia_fail_nomem(r->error), false;
    int n = 0;
    for (const glia_json *m = object->first; m; m = m->next) members[n++] = m;
    qsort(members, (size_t)n, sizeof *members, by_key);
    bool differ = true;
    for (int i = 1; i < n && differ; i++) {
        if (strcmp(members[i - 1]->key, members[i]->key)) continue;
        glia_fail(r->error, GLIA_E_FORMAT, "offset %zu: \"%s\" is given twice",
                  r->base + members[i]->key_offset, members[i]->key);
        differ = false;
    }
    free(members);
    return differ;
}

/* Parses an array or object that begins with this bracket. */
static glia_json *container(reader *r, glia_json *v) {
    bool object = r->bytes[r->at] == '{';
    char close = object ? '}' : ']';
    v->kind = object ? GLIA_JSON_OBJECT : GLIA_JSON_ARRAY;
    if (++r->depth > DEPTH_MOST) return fail(r, "more than 64 nested levels");
    r->at++;
    skip_space(r);
    for (glia_json **link = &v->first; !take(r, close);) {
        if (v->count) {
            if (!take(r, ',')) return fail(r, object ? "expected a comma or }" : "expected a comma or ]");
            skip_space(r);
        }
        size_t key_offset = r->at;
        char *key = NULL;
        if (object) {
            key = string(r);
            if (!key) return NULL;
            skip_space(r);
            if (!take(r, ':')) return fail(r, "expected a colon");
            skip_space(r);
        }
        glia_json *item = value(r);
        if (!item) return NULL;
        item->key = key;
        item->key_offset = key_offset;
        *link = item;
        link = &item->next;
        if (v->count++ == INT32_MAX) return fail(r, "too many values");
        skip_space(r);
    }
    r->depth--;
    return object && !keys_differ(r, v) ? NULL : v;
}

static glia_json *value(reader *r) {
    if (r->at >= r->length) return fail(r, "");
    glia_json *v = glia_arena_alloc(r->arena, sizeof *v);
    if (!v) return glia_fail_nomem(r->error), NULL;
    v->offset = r->base + r->at;
    uint8_t c = r->bytes[r->at];
    if (c == '{' || c == '[') return container(r, v);
    if (c == '"') {
        v->kind = GLIA_JSON_STRING;
        v->text = string(r);
        return v->text ? v : NULL;
    }
    static const struct {
        const char *word;
        glia_json_kind kind;
        double number;
    } words[] = { { "null", GLIA_JSON_NULL, 0 }, { "true", GLIA_JSON_BOOL, 1 }, { "false", GLIA_JSON_BOOL, 0 } };
    for (int i = 0; i < GLIA_COUNT(words); i++) {
        size_t n = strlen(words[i].word);
        if (r->length - r->at < n || memcmp(r->bytes + r->at, words[i].word, n)) continue;
        r->at += n;
        v->kind = words[i].kind;
        v->number = words[i].number;
        return v;
    }
    return number(r, v);
}

const glia_json *glia_json_parse(glia_arena *arena, const uint8_t *bytes, size_t length, size_t base,
                                 glia_error *error) {
    reader r = { .arena = arena, .bytes = bytes, .length = length, .base = base, .error = error };
    skip_space(&r);
    glia_json *v = value(&r);
    if (!v) return NULL;
    skip_space(&r);
    return r.at == length ? v : fail(&r, "there is text after the value");
}

/* ---- use ---------------------------------------------------------------------------------- */

const glia_json *glia_json_member(const glia_json *object, const char *key) {
    if (!object || object->kind != GLIA_JSON_OBJECT) return NULL;
    for (const glia_json *m = object->first; m; m = m->next) {
        if (!strcmp(m->key, key)) return m;
    }
    return NULL;
}

bool glia_json_int(const glia_json *v, int64_t *out) {
    if (!v || v->kind != GLIA_JSON_NUMBER) return false;
    bool negative = v->text[0] == '-';
    int64_t n = 0;
    for (const char *p = v->text + negative; *p; p++) {
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(n, (int64_t)10, &n)) return false;
        if (__builtin_add_overflow(n, negative ? -(int64_t)(*p - '0') : (int64_t)(*p - '0'), &n)) return false;
    }
    *out = n;
    return true;
}

void glia_json_write_string(glia_text *out, const char *text) {
    glia_text_append(out, "\"", 1);
    for (const char *p = text; *p; p++) {
        uint8_t c = (uint8_t)*p;
        if (c == '"' || c == '\\') {
            glia_text_append(out, "\\", 1);
            glia_text_append(out, p, 1);
        } else if (c < 0x20) {
            glia_text_printf(out, "\\u%04x", c);
        } else {
            glia_text_append(out, p, 1);
        }
    }
    glia_text_append(out, "\"", 1);
}
