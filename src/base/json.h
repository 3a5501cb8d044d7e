/* json.h - JSON (RFC 8259): a strict parser that builds a tree; writing strings as JSON. */
#ifndef GLIA_SRC_BASE_JSON_H
#define GLIA_SRC_BASE_JSON_H

#include "base/base.h"

typedef enum glia_json_kind {
    GLIA_JSON_NULL,
    GLIA_JSON_BOOL,
    GLIA_JSON_NUMBER,
    GLIA_JSON_STRING,
    GLIA_JSON_ARRAY,
    GLIA_JSON_OBJECT
} glia_json_kind;

typedef struct glia_json {
    glia_json_kind kind;
    size_t offset;   /* of its first byte */
    const char *key; /* of a member of an object, NUL-terminated; else NULL */
    size_t key_offset;
    const char *text;        /* of a string, decoded; of a number, as written; NUL-terminated */
    double number;           /* of a number; of a bool 0 or 1 */
    int count;               /* of elements or members */
    struct glia_json *first; /* of them, in the order of the file */
    struct glia_json *next;  /* the next sibling */
} glia_json;

/* Parses the text, which must be one value with optional space around it, into the arena. Messages give the offset plus
 * `base`, and the line unless it is the first. Strict: valid UTF-8, no duplicate keys, no NUL in strings, at most 64
 * levels. NULL: see error. */
const glia_json *glia_json_parse(glia_arena *arena, const uint8_t *bytes, size_t length, size_t base,
                                 glia_error *error);
const glia_json *glia_json_member(const glia_json *object, const char *key); /* NULL: no such member or no object */
bool glia_json_int(const glia_json *value, int64_t *number); /* false: not written as an integer, or out of range */
/* Appends the text as a JSON string, quotes included. */
void glia_json_write_string(glia_text *out, const char *text);

#endif
