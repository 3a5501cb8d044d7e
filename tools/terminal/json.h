/* json.h - JSON (RFC 8259). Writing: values one after the other, commas and quotes are taken care of. Reading: one
 * visit to each value that is not an object or an array. */
#ifndef GLIA_TOOL_JSON_H
#define GLIA_TOOL_JSON_H

#include "base/json.h"
#include "terminal/tool.h"

typedef struct json {
    text *out;
    bool comma; /* the next value needs a comma before it */
    bool lines; /* each member of an object is on its own line */
    int depth;
} json;

/* key NULL: an element of an array, or the outermost value. */
void json_open(json *j, const char *key, char bracket);      /* '{' or '[' */
void json_close(json *j, char bracket);                      /* '}' or ']' */
void json_text(json *j, const char *key, const char *value); /* NULL: null */
void json_int(json *j, const char *key, int64_t value);
void json_real(json *j, const char *key, double value); /* not finite: null */
void json_bool(json *j, const char *key, bool value);
void json_raw(json *j, const char *key, const char *value); /* a number, true, false or null, unchanged */

typedef enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT } json_kind;
/* path: "optimizer.lr", "epochs.0.loss". text: a number as in the file, a string without quotes and escapes, true or
 * false. Returning false ends the reading. */
typedef bool (*json_visit)(void *context, const char *path, json_kind kind, const char *text);

/* False: the text is invalid (see error), or a visit ended the reading (error->status is GLIA_OK). Visits begin after
 * the whole text is checked. */
bool json_read(const char *bytes, size_t length, json_visit visit, void *context, glia_error *error);

#endif
