/* json.c - writing JSON. */
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

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
    if (j->comma) text_append(j->out, ", ", 2);
    if (key) {
        quote(j->out, key);
        text_append(j->out, ": ", 2);
    }
    j->comma = true;
}

void json_open(json *j, const char *key, char bracket) {
    begin(j, key);
    text_append(j->out, &bracket, 1);
    j->comma = false;
}

void json_close(json *j, char bracket) {
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

/* The shortest decimals that read back as the same number, or nine digits, which is what f32 results deserve. */
void json_real(json *j, const char *key, double value) {
    begin(j, key);
    if (!isfinite(value)) {
        text_add(j->out, "null");
        return;
    }
    char digits[SHORT];
    for (int precision = 1; precision <= 9; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value) break;
    }
    text_add(j->out, "%s", digits);
}

void json_bool(json *j, const char *key, bool value) {
    begin(j, key);
    text_add(j->out, value ? "true" : "false");
}
