/* json.c - writing JSON, and reading it by recursive descent. */
#include "terminal/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void quote(text *out, const char *value) {
    text_append(out, "\"", 1);
    for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
        if (*c == '"' || *c == '\\')
            text_add(out, "\\%c", *c);
        else if (*c < 0x20)
            text_add(out, "\\u%04x", *c);
        else
            text_append(out, c, 1);
    }
    text_append(out, "\"", 1);
}

static void begin(json *j, const char *key) {
    if (j->comma) text_append(j->out, ",", 1);
    if (j->lines && key)
        text_add(j->out, "\n%*s", 2 * j->depth, "");
    else if (j->comma)
        text_append(j->out, " ", 1);
    if (key) {
        quote(j->out, key);
        text_append(j->out, ": ", 2);
    }
    j->comma = true;
}

void json_open(json *j, const char *key, char bracket) {
    begin(j, key);
    text_append(j->out, &bracket, 1);
    j->depth++;
    j->comma = false;
}

void json_close(json *j, char bracket) {
    j->depth--;
    if (j->lines && bracket == '}') text_add(j->out, "\n%*s", 2 * j->depth, "");
    text_append(j->out, &bracket, 1);
    j->comma = true;
}

void json_text(json *j, const char *key, const char *value) {
    begin(j, key);
    if (value)
        quote(j->out, value);
    else
        text_add(j->out, "null");
}

void json_int(json *j, const char *key, int64_t value) {
    begin(j, key);
    text_add(j->out, "%lld", (long long)value);
}

/* The shortest decimals that read back as the same f32, which is what results deserve. */
void json_real(json *j, const char *key, double value) {
    begin(j, key);
    if (!isfinite(value)) {
        text_add(j->out, "null");
        return;
    }
    char digits[SHORT];
    for (int precision = 6; precision <= 9; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value || strtof(digits, NULL) == (float)value) break;
    }
    text_add(j->out, "%s", digits);
}

void json_bool(json *j, const char *key, bool value) {
    begin(j, key);
    text_add(j->out, value ? "true" : "false");
}

void json_raw(json *j, const char *key, const char *value) {
    begin(j, key);
    text_add(j->out, "%s", value);
}

char *json_exact(double value, char out[SHORT]) {
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(out, SHORT, "%.*g", precision, value);
        if (strtod(out, NULL) == value) break;
    }
    return out;
}

/* ---- reading ------------------------------------------------------------------------------ */

enum { DEPTH = 64 };

typedef struct reader {
    const char *begin, *at, *end;
    json_visit visit;
    void *context;
    char *problem;
    text path;
    int depth;
} reader;

static bool read_any(reader *r);

static bool wrong(reader *r, const char *what) {
    int line = 1;
    for (const char *c = r->begin; c < r->at; c++) line += *c == '\n';
    snprintf(r->problem, (size_t)2 * SHORT, "line %d: %s", line, what);
    return false;
}

static char look(reader *r) {
    while (r->at < r->end && strchr(" \t\r\n", *r->at) && *r->at) r->at++;
    return r->at < r->end ? *r->at : '\0';
}

/* The next character that is not white space, if it is this one. */
static bool accept(reader *r, char wanted) {
    if (look(r) != wanted) return false;
    r->at++;
    return true;
}

static int hex4(reader *r) {
    int value = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        static const char digits[] = "0123456789abcdef";
        char c = r->at < r->end ? *r->at : '\0';
        const char *digit = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
        if (!digit) return -1;
        value = 16 * value + (int)(digit - digits);
    }
    return value;
}

static void put_utf8(text *out, int c) {
    char bytes[4];
    int n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const int lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    for (int i = n - 1; i > 0; i--, c >>= 6) bytes[i] = (char)(0x80 | (c & 0x3f));
    bytes[0] = (char)(lead[n] | c);
    text_append(out, bytes, (size_t)n);
}

static bool read_escape(reader *r, text *out) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = r->at < r->end ? *r->at++ : '\0';
    const char *known = c ? strchr(from, c) : NULL;
    if (known) {
        text_append(out, &to[known - from], 1);
        return true;
    }
    int code = c == 'u' ? hex4(r) : -1;
    if (code >= 0xd800 && code < 0xdc00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
        r->at += 2;
        int low = hex4(r);
        code = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00) : -1;
    }
    if (code <= 0 || (code >= 0xd800 && code < 0xe000)) return wrong(r, "an escape that is none");
    put_utf8(out, code);
    return true;
}

static bool read_text(reader *r, text *out) {
    if (!accept(r, '"')) return wrong(r, "a text in quotes is missing");
    text_append(out, "", 0);
    for (;;) {
        if (r->at == r->end || (unsigned char)*r->at < 0x20) return wrong(r, "a text does not end");
        char c = *r->at++;
        if (c == '"') return true;
        if (c != '\\')
            text_append(out, &c, 1);
        else if (!read_escape(r, out))
            return false;
    }
}

/* Members "key": value, or elements. */
static bool read_members(reader *r, bool object) {
    const char close = object ? '}' : ']';
    if (++r->depth > DEPTH) return wrong(r, "it is too deep");
    size_t outside = r->path.length;
    if (!accept(r, close)) {
        int index = 0;
        do {
            text key = { 0 };
            bool named = !object || (read_text(r, &key) && (accept(r, ':') || wrong(r, "a colon is missing")));
            if (outside) text_append(&r->path, ".", 1);
            if (object)
                text_add(&r->path, "%s", key.bytes ? key.bytes : "");
            else
                text_add(&r->path, "%d", index++);
            free(key.bytes);
            if (!named || !read_any(r)) return false;
            r->path.length = outside;
            r->path.bytes[outside] = '\0';
        } while (accept(r, ','));
        if (!accept(r, close)) return wrong(r, object ? "a comma or } is missing" : "a comma or ] is missing");
    }
    r->depth--;
    return true;
}

/* -?digits(.digits)?([eE][+-]?digits)? */
static bool is_number(const char *word) {
    word += *word == '-';
    if (*word == '0' && word[1] >= '0' && word[1] <= '9') return false;
    const char digits[] = "0123456789";
    size_t whole = strspn(word, digits), part = 1;
    word += whole;
    if (*word == '.') word += 1 + (part = strspn(word + 1, digits));
    if (!whole || !part) return false;
    if (*word != 'e' && *word != 'E') return !*word;
    word += 1 + (word[1] == '+' || word[1] == '-');
    return *word && !word[strspn(word, digits)];
}

static bool read_any(reader *r) {
    char c = look(r);
    text value = { 0 };
    if (c == '{' || c == '[') {
        r->at++;
        return read_members(r, c == '{');
    }
    json_kind kind = JSON_TEXT;
    bool ok = true;
    if (c == '"') {
        ok = read_text(r, &value);
    } else {
        const char *from = r->at;
        while (r->at < r->end && *r->at && !strchr(" \t\r\n,]}:", *r->at)) r->at++;
        text_append(&value, from, (size_t)(r->at - from));
        if (strcmp(value.bytes, "null") == 0)
            kind = JSON_NULL;
        else if (strcmp(value.bytes, "true") == 0 || strcmp(value.bytes, "false") == 0)
            kind = JSON_BOOL;
        else if (is_number(value.bytes))
            kind = JSON_NUMBER;
        else
            ok = wrong(r, "a value is missing");
    }
    ok = ok && r->visit(r->context, r->path.bytes ? r->path.bytes : "", kind, value.bytes);
    free(value.bytes);
    return ok;
}

bool json_read(const char *bytes, size_t length, json_visit visit, void *context, char problem[2 * SHORT]) {
    reader r = {
        .begin = bytes, .at = bytes, .end = bytes + length, .visit = visit, .context = context, .problem = problem
    };
    problem[0] = '\0';
    bool read = read_any(&r);
    if (read && (look(&r) || r.at < r.end)) read = wrong(&r, "something follows the value");
    free(r.path.bytes);
    return read;
}
