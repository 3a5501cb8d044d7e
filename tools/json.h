/* json.h - writing JSON (RFC 8259): values one after the other, commas and quotes are taken care of. */
#ifndef GLIA_TOOL_JSON_H
#define GLIA_TOOL_JSON_H

#include "tool.h"

typedef struct json {
    text *out;
    bool comma; /* the next value needs one before it */
} json;

/* key NULL: an element of an array, or the outermost value. */
void json_open(json *j, const char *key, char bracket);      /* '{' or '[' */
void json_close(json *j, char bracket);                      /* '}' or ']' */
void json_text(json *j, const char *key, const char *value); /* NULL: null */
void json_int(json *j, const char *key, int64_t value);
void json_real(json *j, const char *key, double value); /* not finite: null */
void json_bool(json *j, const char *key, bool value);

#endif
