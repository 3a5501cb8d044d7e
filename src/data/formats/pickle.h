/* pickle.h - Python's pickles, read into a tree without executing anything.
 *
 * A pickle is a program for a stack machine that may call any function of Python. This reader knows only the opcodes
 * with which dictionaries, lists, tuples, texts, numbers, arrays and tensors are written, and only functions and
 * classes that the caller lists. A call of one of them becomes a node of the tree; everything else is refused by name
 * and offset.
 */
#ifndef GLIA_SRC_DATA_FORMATS_PICKLE_H
#define GLIA_SRC_DATA_FORMATS_PICKLE_H

#include "base/base.h"

typedef enum glia_pickle_kind {
    GLIA_PICKLE_NONE,
    GLIA_PICKLE_BOOL, /* integer: 0 or 1 */
    GLIA_PICKLE_INT,
    GLIA_PICKLE_REAL,
    GLIA_PICKLE_TEXT,  /* text, and its length as integer */
    GLIA_PICKLE_BYTES, /* the same; bytes that are no text */
    GLIA_PICKLE_TUPLE,
    GLIA_PICKLE_LIST,
    GLIA_PICKLE_DICT,      /* items: key, value, key, value, ... */
    GLIA_PICKLE_NAME,      /* name: index of a known function or class */
    GLIA_PICKLE_CALL,      /* name, args; items as of a DICT, if the result was filled like one */
    GLIA_PICKLE_REFERENCE, /* args: what stands for an object outside the pickle */
    GLIA_PICKLE_MARK       /* internal */
} glia_pickle_kind;

typedef struct glia_pickle {
    glia_pickle_kind kind;
    int name;
    size_t offset; /* of its opcode in the file */
    int64_t integer;
    double real;
    const char *text;
    struct glia_pickle **items; /* a node may be the item of several, and of itself */
    int n, capacity;
    struct glia_pickle *args;
    struct glia_pickle *state; /* of a CALL: what BUILD gave it; NULL: nothing */
} glia_pickle;

/* Reads one pickle of the protocols 2 to 5; `offset` is that of `bytes` in the file. known: "module name" of n_known
 * functions and classes. Memory is a constant times the length; nodes live in the arena. *used: bytes of the pickle, up
 * to and including its STOP. NULL: see error. */
glia_pickle *glia_pickle_parse(glia_arena *arena, const uint8_t *bytes, size_t length, size_t offset,
                               const char *const *known, int n_known, size_t *used, glia_error *error);

#endif
