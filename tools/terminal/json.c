/* json.c - writes JSON; visits the values of a text parsed by base/json.c. */
#include "terminal/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void begin(json *j, const char *key) {
    if (j->comma) text_append(j->out, ",", 1);
    if (j->lines && key)
        text_add(j->out, "\n%*s", 2 * j->depth, "");
    else if (j->comma)
        text_append(j->out, " ", 1);
    if (key) {
        glia_json_write_string(j->out, key);
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
        glia_json_write_string(j->out, value);
    else
        text_add(j->out, "null");
}

void json_int(json *j, const char *key, int64_t value) {
    begin(j, key);
    text_add(j->out, "%lld", (long long)value);
}

/* Writes the shortest decimal that reads back as the same f32. */
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

/* ---- reading ------------------------------------------------------------------------------ */

typedef struct walk {
    json_visit visit;
    void *context;
    text path;
} walk;

/* Visits the values in `value`, whose path is w->path. */
static bool visit_all(walk *w, const glia_json *value) {
    const char *path = w->path.bytes ? w->path.bytes : "";
    switch (value->kind) {
    case GLIA_JSON_NULL: return w->visit(w->context, path, JSON_NULL, "null");
    case GLIA_JSON_BOOL: return w->visit(w->context, path, JSON_BOOL, value->number != 0 ? "true" : "false");
    case GLIA_JSON_NUMBER: return w->visit(w->context, path, JSON_NUMBER, value->text);
    case GLIA_JSON_STRING: return w->visit(w->context, path, JSON_TEXT, value->text);
    case GLIA_JSON_ARRAY:
    case GLIA_JSON_OBJECT: break;
    }
    const size_t outside = w->path.length;
    int index = 0;
    bool more = true;
    for (const glia_json *member = value->first; member && more; member = member->next) {
        if (outside) text_append(&w->path, ".", 1);
        if (member->key)
            text_add(&w->path, "%s", member->key);
        else
            text_add(&w->path, "%d", index++);
        more = visit_all(w, member);
        w->path.length = outside;
        if (w->path.bytes) w->path.bytes[outside] = '\0';
    }
    return more;
}

bool json_read(const char *bytes, size_t length, json_visit visit, void *context, glia_error *error) {
    glia_arena arena = { 0 };
    *error = (glia_error){ .status = GLIA_OK };
    const glia_json *root = glia_json_parse(&arena, (const uint8_t *)bytes, length, 0, error);
    walk w = { .visit = visit, .context = context };
    const bool read = root && visit_all(&w, root);
    free(w.path.bytes);
    glia_arena_free(&arena);
    return read;
}
