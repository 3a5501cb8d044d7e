/* pickle.c - the stack machine of pickles (PEP 307, PEP 3154), without anything that runs code. See pickle.h.
 *
 * The table at the end has a row for each opcode. A row without a handler is an opcode that is refused.
 */
#include "data/formats/pickle.h"

#include <stdlib.h>
#include <string.h>

typedef struct machine {
    glia_arena *arena;
    const uint8_t *bytes;
    size_t at, length; /* at: of the next byte */
    size_t offset, op; /* of bytes in the file; of the current opcode in bytes */
    const char *const *known;
    int n_known;
    glia_pickle **stack;
    int depth, stack_capacity;
    glia_pickle **memo;
    size_t n_memo, memo_capacity;
    bool stopped;
    glia_error *error;
} machine;

typedef glia_status (*handler)(machine *m, int argument);

/* ---- the machine ---------------------------------------------------------------------------- */

static glia_status fail(const machine *m, const char *what) {
    return glia_fail(m->error, GLIA_E_FORMAT, "offset %zu: pickle: %s", m->offset + m->op, what);
}

/* The next n bytes as a little-endian number; n at most 8. */
static bool take(machine *m, size_t n, uint64_t *value) {
    if (n > m->length - m->at) return false;
    *value = 0;
    for (size_t i = n; i-- > 0;) *value = *value << 8 | m->bytes[m->at + i];
    m->at += n;
    return true;
}

static glia_status fail_end(const machine *m) {
    return glia_fail(m->error, GLIA_E_FORMAT, "offset %zu: the pickle is truncated", m->offset + m->length);
}

static glia_status push(machine *m, glia_pickle *value) {
    if (!value || !glia_grow((void **)&m->stack, m->depth, &m->stack_capacity, sizeof(glia_pickle *)))
        return glia_fail_nomem(m->error);
    m->stack[m->depth++] = value;
    return GLIA_OK;
}

static glia_pickle *create(machine *m, glia_pickle_kind kind) {
    glia_pickle *value = glia_arena_alloc(m->arena, sizeof *value);
    if (value) {
        value->kind = kind;
        value->offset = m->offset + m->op;
    }
    return value;
}

static glia_status push_integer(machine *m, glia_pickle_kind kind, int64_t integer) {
    glia_pickle *value = create(m, kind);
    if (value) value->integer = integer;
    return push(m, value);
}

/* The topmost value, which must not be a mark; NULL: there is none. */
static glia_pickle *top(const machine *m) {
    glia_pickle *value = m->depth ? m->stack[m->depth - 1] : NULL;
    return value && value->kind != GLIA_PICKLE_MARK ? value : NULL;
}

static glia_pickle *pop(machine *m) {
    glia_pickle *value = top(m);
    m->depth -= value != NULL;
    return value;
}

/* The number of values above the topmost mark; -1: there is no mark. */
static int above_mark(const machine *m) {
    for (int n = 0; n < m->depth; n++) {
        if (m->stack[m->depth - 1 - n]->kind == GLIA_PICKLE_MARK) return n;
    }
    return -1;
}

/* Appends n values of the stack to the items of `to`. */
static glia_status append(machine *m, glia_pickle *to, int n) {
    if (to->n + n > to->capacity) {
        const int capacity = GLIA_MAX(to->n + n, 2 * to->capacity);
        glia_pickle **items = glia_arena_alloc(m->arena, (size_t)capacity * sizeof(glia_pickle *));
        if (!items) return glia_fail_nomem(m->error);
        if (to->n) memcpy(items, to->items, (size_t)to->n * sizeof(glia_pickle *));
        to->items = items;
        to->capacity = capacity;
    }
    if (n) memcpy(to->items + to->n, m->stack + m->depth - n, (size_t)n * sizeof(glia_pickle *));
    to->n += n;
    m->depth -= n;
    return GLIA_OK;
}

/* ---- opcodes -------------------------------------------------------------------------------- */

static glia_status op_proto(machine *m, int unused) {
    (void)unused;
    uint64_t version;
    if (!take(m, 1, &version)) return fail_end(m);
    return version >= 2 && version <= 5 ? GLIA_OK : fail(m, "the protocol is not one of 2 to 5");
}

static glia_status op_frame(machine *m, int unused) {
    (void)unused;
    uint64_t length;
    if (!take(m, 8, &length)) return fail_end(m);
    return length <= m->length - m->at ? GLIA_OK : fail_end(m);
}

static glia_status op_stop(machine *m, int unused) {
    (void)unused;
    m->stopped = true;
    return m->depth == 1 && top(m) ? GLIA_OK : fail(m, "the stack does not hold one value at the end");
}

static glia_status op_mark(machine *m, int unused) {
    (void)unused;
    return push(m, create(m, GLIA_PICKLE_MARK));
}

static glia_status op_empty(machine *m, int kind) { return push(m, create(m, (glia_pickle_kind)kind)); }

static glia_status op_bool(machine *m, int value) { return push_integer(m, GLIA_PICKLE_BOOL, value); }

/* An unsigned integer of `bytes` bytes, or, for -4, a signed one of 4. */
static glia_status op_int(machine *m, int bytes) {
    uint64_t value;
    if (!take(m, (size_t)abs(bytes), &value)) return fail_end(m);
    return push_integer(m, GLIA_PICKLE_INT, bytes < 0 ? (int32_t)(uint32_t)value : (int64_t)value);
}

static glia_status op_long(machine *m, int unused) {
    (void)unused;
    uint64_t n, value;
    if (!take(m, 1, &n)) return fail_end(m);
    if (n > 8) return fail(m, "the integer is longer than 64 bits");
    if (!take(m, (size_t)n, &value)) return fail_end(m);
    if (n > 0 && n < 8 && value >> (8 * n - 1)) value |= ~UINT64_C(0) << (8 * n);
    return push_integer(m, GLIA_PICKLE_INT, (int64_t)value);
}

static glia_status op_real(machine *m, int unused) {
    (void)unused;
    uint64_t bits;
    if (!take(m, 8, &bits)) return fail_end(m);
    bits = __builtin_bswap64(bits);
    glia_pickle *value = create(m, GLIA_PICKLE_REAL);
    if (value) memcpy(&value->real, &bits, sizeof bits);
    return push(m, value);
}

static bool is_text(const uint8_t *bytes, size_t length) {
    for (size_t i = 0, n; i < length; i += n) {
        n = glia_utf8_length(bytes + i, length - i);
        if (n == 0 || !bytes[i]) return false;
    }
    return true;
}

/* A text or bytes with a length that takes `bytes` bytes. */
static glia_status push_bytes(machine *m, int bytes, bool needs_text, bool may_be_text) {
    uint64_t length;
    if (!take(m, (size_t)bytes, &length) || length > m->length - m->at) return fail_end(m);
    const bool text = may_be_text && is_text(m->bytes + m->at, (size_t)length);
    if (needs_text && !text) return fail(m, "a text is not valid UTF-8");
    glia_pickle *value = create(m, text ? GLIA_PICKLE_TEXT : GLIA_PICKLE_BYTES);
    char *copy = value ? glia_arena_alloc(m->arena, (size_t)length + 1) : NULL;
    if (!copy) return glia_fail_nomem(m->error);
    memcpy(copy, m->bytes + m->at, (size_t)length);
    m->at += (size_t)length;
    value->text = copy;
    value->integer = (int64_t)length;
    return push(m, value);
}

static glia_status op_text(machine *m, int bytes) { return push_bytes(m, bytes, true, true); }
/* A string of Python 2: a text, or bytes. */
static glia_status op_string(machine *m, int bytes) { return push_bytes(m, bytes, false, true); }
static glia_status op_bytes(machine *m, int bytes) { return push_bytes(m, bytes, false, false); }

/* A tuple of n values; n -1: of those above the mark. */
static glia_status op_tuple(machine *m, int n) {
    const bool marked = n < 0;
    const int there = above_mark(m);
    if (marked) n = there;
    if (n < 0 || n > (there < 0 ? m->depth : there)) return fail(m, "the stack has too few values for a tuple");
    glia_pickle *tuple = create(m, GLIA_PICKLE_TUPLE);
    if (!tuple) return glia_fail_nomem(m->error);
    glia_status status = append(m, tuple, n);
    m->depth -= marked;
    return status == GLIA_OK ? push(m, tuple) : status;
}

/* Adds n values to the list or dictionary below them; n -1: those above the mark. `pairs`: keys and values. */
static glia_status add_items(machine *m, int n, bool pairs) {
    const bool marked = n < 0;
    const int there = above_mark(m);
    if (marked) n = there;
    const int below = m->depth - n - marked - 1;
    if (n < 0 || below < 0 || (!marked && there >= 0 && n >= there)) return fail(m, "the stack has too few values");
    glia_pickle *to = m->stack[below];
    const bool right =
        pairs ? to->kind == GLIA_PICKLE_DICT || to->kind == GLIA_PICKLE_CALL : to->kind == GLIA_PICKLE_LIST;
    if (!right || (pairs && n % 2)) return fail(m, "items are added to a value that takes none");
    glia_status status = append(m, to, n);
    m->depth -= marked;
    return status;
}

static glia_status op_append(machine *m, int n) { return add_items(m, n, false); }

static glia_status op_set(machine *m, int n) { return add_items(m, n, true); }

static glia_status op_pop(machine *m, int unused) {
    (void)unused;
    return pop(m) ? GLIA_OK : fail(m, "there is nothing to pop");
}

static glia_status put(machine *m, size_t index) {
    glia_pickle *value = top(m);
    if (!value) return fail(m, "there is nothing to remember");
    if (index > m->at) return fail(m, "the index of the memo is beyond the number of opcodes");
    if (index >= m->memo_capacity) {
        const size_t capacity = GLIA_MAX(index + 1, 2 * m->memo_capacity);
        glia_pickle **memo = realloc(m->memo, capacity * sizeof(glia_pickle *));
        if (!memo) return glia_fail_nomem(m->error);
        memset(memo + m->memo_capacity, 0, (capacity - m->memo_capacity) * sizeof(glia_pickle *));
        m->memo = memo;
        m->memo_capacity = capacity;
    }
    m->n_memo += !m->memo[index];
    m->memo[index] = value;
    return GLIA_OK;
}

static glia_status op_put(machine *m, int bytes) {
    uint64_t index;
    return take(m, (size_t)bytes, &index) ? put(m, (size_t)index) : fail_end(m);
}

static glia_status op_memoize(machine *m, int unused) {
    (void)unused;
    return put(m, m->n_memo);
}

static glia_status op_get(machine *m, int bytes) {
    uint64_t index;
    if (!take(m, (size_t)bytes, &index)) return fail_end(m);
    if (index >= m->memo_capacity || !m->memo[index]) return fail(m, "the memo has no such value");
    return push(m, m->memo[index]);
}

/* ---- names and calls ------------------------------------------------------------------------ */

/* Pushes the function or class "module name", if it is known. */
static glia_status push_name(machine *m, const char *module, int module_length, const char *name, int name_length) {
    for (int i = 0; i < m->n_known; i++) {
        const char *k = m->known[i], *space = strchr(k, ' ');
        if (space - k != module_length || memcmp(k, module, (size_t)module_length) != 0) continue;
        if (strlen(space + 1) != (size_t)name_length || memcmp(space + 1, name, (size_t)name_length) != 0) continue;
        glia_pickle *value = create(m, GLIA_PICKLE_NAME);
        if (value) value->name = i;
        return push(m, value);
    }
    return glia_fail(m->error, GLIA_E_UNSUPPORTED,
                     "offset %zu: pickle: '%.*s.%.*s' is no part of a file of tensors, and nothing is executed",
                     m->offset + m->op, GLIA_MIN(module_length, 100), module, GLIA_MIN(name_length, 100), name);
}

static glia_status op_global(machine *m, int unused) {
    (void)unused;
    const char *lines[2];
    int lengths[2];
    for (int i = 0; i < 2; i++) {
        const uint8_t *from = m->bytes + m->at, *end = memchr(from, '\n', m->length - m->at);
        if (!end) return fail_end(m);
        if (end - from > 4096) return fail(m, "the name of a function is too long");
        lines[i] = (const char *)from;
        lengths[i] = (int)(end - from);
        m->at += (size_t)lengths[i] + 1;
        for (int k = 0; k < lengths[i]; k++) {
            if (from[k] < ' ' || from[k] > '~') return fail(m, "the name of a function is not ASCII");
        }
    }
    return push_name(m, lines[0], lengths[0], lines[1], lengths[1]);
}

static glia_status op_stack_global(machine *m, int unused) {
    (void)unused;
    const glia_pickle *name = pop(m), *module = name ? pop(m) : NULL;
    if (!module || module->kind != GLIA_PICKLE_TEXT || name->kind != GLIA_PICKLE_TEXT)
        return fail(m, "a function is named by something else than two texts");
    return push_name(m, module->text, (int)GLIA_MIN(strlen(module->text), (size_t)4096), name->text,
                     (int)GLIA_MIN(strlen(name->text), (size_t)4096));
}

/* A call, or with `makes` a new object of a class. */
static glia_status op_reduce(machine *m, int makes) {
    glia_pickle *args = pop(m), *callee = args ? pop(m) : NULL;
    if (!callee || callee->kind != GLIA_PICKLE_NAME || args->kind != GLIA_PICKLE_TUPLE)
        return fail(m, makes ? "NEWOBJ makes something that is not of a known class"
                             : "REDUCE calls something that is not a known function");
    glia_pickle *call = create(m, GLIA_PICKLE_CALL);
    if (!call) return glia_fail_nomem(m->error);
    call->name = callee->name;
    call->args = args;
    return push(m, call);
}

/* The state of an object. */
static glia_status op_build(machine *m, int unused) {
    (void)unused;
    glia_pickle *state = pop(m), *object = state ? top(m) : NULL;
    if (!object || object->kind != GLIA_PICKLE_CALL) return fail(m, "BUILD changes something that is no object");
    object->state = state;
    return GLIA_OK;
}

static glia_status op_reference(machine *m, int unused) {
    (void)unused;
    glia_pickle *id = pop(m), *reference = id ? create(m, GLIA_PICKLE_REFERENCE) : NULL;
    if (!id) return fail(m, "a reference needs a value");
    if (reference) reference->args = id;
    return push(m, reference);
}

/* ---- all opcodes ---------------------------------------------------------------------------- */

static const struct opcode {
    const char *name;
    handler run; /* NULL: refused */
    int argument;
} opcodes[256] = {
    [0x80] = { "PROTO", op_proto, 0 },
    [0x95] = { "FRAME", op_frame, 0 },
    ['.'] = { "STOP", op_stop, 0 },
    ['('] = { "MARK", op_mark, 0 },
    ['0'] = { "POP", op_pop, 0 },
    ['N'] = { "NONE", op_empty, GLIA_PICKLE_NONE },
    ['}'] = { "EMPTY_DICT", op_empty, GLIA_PICKLE_DICT },
    [']'] = { "EMPTY_LIST", op_empty, GLIA_PICKLE_LIST },
    [')'] = { "EMPTY_TUPLE", op_empty, GLIA_PICKLE_TUPLE },
    [0x88] = { "NEWTRUE", op_bool, 1 },
    [0x89] = { "NEWFALSE", op_bool, 0 },
    ['J'] = { "BININT", op_int, -4 },
    ['K'] = { "BININT1", op_int, 1 },
    ['M'] = { "BININT2", op_int, 2 },
    [0x8A] = { "LONG1", op_long, 0 },
    ['G'] = { "BINFLOAT", op_real, 0 },
    ['X'] = { "BINUNICODE", op_text, 4 },
    [0x8C] = { "SHORT_BINUNICODE", op_text, 1 },
    [0x8D] = { "BINUNICODE8", op_text, 8 },
    ['U'] = { "SHORT_BINSTRING", op_string, 1 },
    ['T'] = { "BINSTRING", op_string, 4 },
    ['C'] = { "SHORT_BINBYTES", op_bytes, 1 },
    ['B'] = { "BINBYTES", op_bytes, 4 },
    [0x8E] = { "BINBYTES8", op_bytes, 8 },
    ['t'] = { "TUPLE", op_tuple, -1 },
    [0x85] = { "TUPLE1", op_tuple, 1 },
    [0x86] = { "TUPLE2", op_tuple, 2 },
    [0x87] = { "TUPLE3", op_tuple, 3 },
    ['a'] = { "APPEND", op_append, 1 },
    ['e'] = { "APPENDS", op_append, -1 },
    ['s'] = { "SETITEM", op_set, 2 },
    ['u'] = { "SETITEMS", op_set, -1 },
    ['q'] = { "BINPUT", op_put, 1 },
    ['r'] = { "LONG_BINPUT", op_put, 4 },
    [0x94] = { "MEMOIZE", op_memoize, 0 },
    ['h'] = { "BINGET", op_get, 1 },
    ['j'] = { "LONG_BINGET", op_get, 4 },
    ['c'] = { "GLOBAL", op_global, 0 },
    [0x93] = { "STACK_GLOBAL", op_stack_global, 0 },
    ['R'] = { "REDUCE", op_reduce, 0 },
    [0x81] = { "NEWOBJ", op_reduce, 1 },
    ['b'] = { "BUILD", op_build, 0 },
    ['Q'] = { "BINPERSID", op_reference, 0 },
    ['I'] = { "INT", NULL, 0 },
    ['L'] = { "LONG", NULL, 0 },
    [0x8B] = { "LONG4", NULL, 0 },
    ['S'] = { "STRING", NULL, 0 },
    [0x96] = { "BYTEARRAY8", NULL, 0 },
    [0x97] = { "NEXT_BUFFER", NULL, 0 },
    [0x98] = { "READONLY_BUFFER", NULL, 0 },
    ['V'] = { "UNICODE", NULL, 0 },
    ['F'] = { "FLOAT", NULL, 0 },
    ['l'] = { "LIST", NULL, 0 },
    ['d'] = { "DICT", NULL, 0 },
    [0x8F] = { "EMPTY_SET", NULL, 0 },
    [0x90] = { "ADDITEMS", NULL, 0 },
    [0x91] = { "FROZENSET", NULL, 0 },
    ['2'] = { "DUP", NULL, 0 },
    ['1'] = { "POP_MARK", NULL, 0 },
    ['g'] = { "GET", NULL, 0 },
    ['p'] = { "PUT", NULL, 0 },
    ['P'] = { "PERSID", NULL, 0 },
    ['i'] = { "INST", NULL, 0 },
    ['o'] = { "OBJ", NULL, 0 },
    [0x92] = { "NEWOBJ_EX", NULL, 0 },
    [0x82] = { "EXT1", NULL, 0 },
    [0x83] = { "EXT2", NULL, 0 },
    [0x84] = { "EXT4", NULL, 0 },
};

static glia_status run(machine *m) {
    glia_status status = GLIA_OK;
    while (status == GLIA_OK && !m->stopped) {
        if (m->at == m->length) return fail_end(m);
        m->op = m->at++;
        const struct opcode *code = &opcodes[m->bytes[m->op]];
        if (code->run) {
            status = code->run(m, code->argument);
        } else if (code->name) {
            status = glia_fail(m->error, GLIA_E_UNSUPPORTED,
                               "offset %zu: pickle: the opcode %s is not one that files of tensors need",
                               m->offset + m->op, code->name);
        } else {
            status = glia_fail(m->error, GLIA_E_FORMAT, "offset %zu: pickle: 0x%02X is no opcode", m->offset + m->op,
                               m->bytes[m->op]);
        }
    }
    return status;
}

glia_pickle *glia_pickle_parse(glia_arena *arena, const uint8_t *bytes, size_t length, size_t offset,
                               const char *const *known, int n_known, size_t *used, glia_error *error) {
    machine m = { .arena = arena,
                  .bytes = bytes,
                  .length = length,
                  .offset = offset,
                  .known = known,
                  .n_known = n_known,
                  .error = error };
    glia_pickle *root = run(&m) == GLIA_OK ? m.stack[0] : NULL;
    *used = m.at;
    free(m.stack);
    free(m.memo);
    return root;
}
