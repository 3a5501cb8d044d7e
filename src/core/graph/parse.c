/* parse.c - a graph from its text; print.c describes the form.
 *
 * The text is untrusted. A node's number must be the next one, its inputs must have smaller numbers, its op and fields
 * must be known. Nodes are made by glia_node_create(), so `infer` checks them like any others; the dtype and shape in
 * the line must equal infer's. Memory is bounded by the text's length.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/graph/graph.h"

enum { MOST_FIELDS = 64, MOST_NAME = 64, MOST_DIGITS = 64, DEEPEST = 8 };

typedef struct parser {
    const char *p, *end, *line_start;
    int line;
    int64_t version; /* of the format */
    glia_graph *g;
    glia_error *error;
    bool failed;
    glia_arena scratch; /* this line's attributes and strings */
    glia_node **in;     /* this line's inputs */
    int n_in, in_capacity;
    double *values; /* this line's numbers: at most one list of them is being read */
    int n_values, value_capacity;
    glia_graph *body; /* this line's body; NULL: none yet */
    int depth;        /* number of enclosing bodies */
} parser;

/* ---- errors --------------------------------------------------------------------------------- */

static bool fail(parser *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Keeps the first error, with its position; returns false. */
static bool fail(parser *s, const char *format, ...) {
    if (s->failed) return false;
    s->failed = true;
    char reason[400];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    glia_fail(s->error, GLIA_E_FORMAT, "graph text, line %d, column %lld: %s", s->line,
              (long long)(s->p - s->line_start) + 1, reason);
    return false;
}

static bool fail_nomem(parser *s) {
    if (!s->failed) glia_fail_nomem(s->error);
    s->failed = true;
    return false;
}

/* ---- tokens --------------------------------------------------------------------------------- */

static void skip_blanks(parser *s) {
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r')) s->p++;
}

static bool at_line_end(parser *s) {
    skip_blanks(s);
    return s->p == s->end || *s->p == '\n';
}

/* Skips this character if it comes next; true if it did. */
static bool take(parser *s, char c) {
    skip_blanks(s);
    if (s->p == s->end || *s->p != c) return false;
    s->p++;
    return true;
}

static bool expect(parser *s, char c) { return take(s, c) || fail(s, "'%c' is expected here", c); }

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Reads a word of letters, digits and _, NUL-terminated. */
static bool take_word(parser *s, char word[MOST_NAME]) {
    skip_blanks(s);
    size_t n = 0;
    while (s->p + n < s->end && n < MOST_NAME && is_word(s->p[n])) n++;
    if (n == 0 || n == MOST_NAME) return fail(s, n ? "this name is too long" : "a name is expected here");
    memcpy(word, s->p, n);
    word[n] = 0;
    s->p += n;
    return true;
}

static bool take_int(parser *s, int64_t *value) {
    bool negative = take(s, '-');
    int64_t v = 0;
    if (s->p == s->end || *s->p < '0' || *s->p > '9') return fail(s, "a whole number is expected here");
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++) {
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, *s->p - '0', &v)) {
            return fail(s, "this number is too large");
        }
    }
    if (!negative && v == INT64_MIN) return fail(s, "this number is too large"); /* v is the negated number */
    *value = negative ? v : -v;
    return true;
}

static bool take_double(parser *s, double *value) {
    char digits[MOST_DIGITS];
    size_t n = 0;
    skip_blanks(s);
    while (s->p + n < s->end && n < MOST_DIGITS - 1 && (is_word(s->p[n]) || strchr("+-.", s->p[n]))) n++;
    memcpy(digits, s->p, n);
    digits[n] = 0;
    char *stop;
    *value = strtod(digits, &stop);
    if (n == 0 || *stop) return fail(s, "a number is expected here");
    s->p += n;
    return true;
}

static int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

/* Reads one character of a string, with escapes resolved. */
static bool take_character(parser *s, char *c) {
    *c = *s->p++;
    if (*c == '\n' || *c == 0) return fail(s, "the string does not end");
    if (*c != '\\') return true;
    if (s->p < s->end && (*s->p == '"' || *s->p == '\\')) {
        *c = *s->p++;
        return true;
    }
    if (s->end - s->p < 3 || *s->p != 'x' || hex_digit(s->p[1]) < 0 || hex_digit(s->p[2]) < 0) {
        return fail(s, "an unknown escape");
    }
    *c = (char)(hex_digit(s->p[1]) * 16 + hex_digit(s->p[2]));
    s->p += 3;
    return *c != 0 || fail(s, "a string cannot hold a NUL");
}

/* Reads a quoted string into the line's arena. */
static bool take_string(parser *s, const char **string) {
    if (!expect(s, '"')) return false;
    const char *close = s->p;
    while (close < s->end && *close != '"' && *close != '\n') close += *close == '\\' && close + 1 < s->end ? 2 : 1;
    char *copy = glia_arena_alloc(&s->scratch, (size_t)(close - s->p) + 1), *c = copy;
    if (!copy) return fail_nomem(s);
    while (s->p < s->end && *s->p != '"') {
        if (!take_character(s, c++)) return false;
    }
    if (s->p == s->end) return fail(s, "the string does not end");
    s->p++;
    *string = copy;
    return true;
}

/* The size that a letter after its factor stands for, "N", "V" or "E", and the "+1" behind it. */
static bool take_size(parser *s, int64_t factor, int64_t *dim) {
    int size = 0;
    while (size < GLIA_SIZE_COUNT && *glia_size_letter(size) != *s->p) size++;
    if (size == GLIA_SIZE_COUNT || factor <= 0) return fail(s, "a size of no batches, nodes or edges");
    static const int64_t sizes[GLIA_SIZE_COUNT] = { GLIA_BATCH, GLIA_NODES, GLIA_EDGES };
    s->p++;
    *dim = glia_dim_times(sizes[size], factor);
    if (s->p < s->end && *s->p == '+') {
        int64_t more;
        s->p++;
        if (!take_int(s, &more)) return false;
        if (more != 1) return fail(s, "only 1 can be added to a size");
        *dim = glia_dim_plus(*dim, 1);
    }
    return *dim != GLIA_DIM_NONE || fail(s, "this size is too large");
}

static bool at_size(const parser *s) { return s->p < s->end && strchr("NVE", *s->p) && *s->p; }

/* A list of whole numbers between these brackets. With `symbolic`, N, 2V, E+1, ... stand for symbolic sizes. */
static bool take_list(parser *s, char open, char close, bool symbolic, glia_shape *list) {
    *list = (glia_shape){ 0 };
    if (!expect(s, open)) return false;
    while (!take(s, close)) {
        if (list->rank && !expect(s, ',')) return false;
        if (list->rank == GLIA_MAX_RANK) return fail(s, "more than %d entries", GLIA_MAX_RANK);
        int64_t *entry = &list->dim[list->rank];
        skip_blanks(s);
        const bool alone = symbolic && at_size(s);
        *entry = 1;
        if (!alone && !take_int(s, entry)) return false;
        if (symbolic && at_size(s)) {
            if (!take_size(s, *entry, entry)) return false;
        } else if (symbolic && *entry < 0) {
            return fail(s, "a negative size");
        }
        list->rank++;
    }
    return true;
}

static bool take_dtype(parser *s, glia_dtype *dtype) {
    char word[MOST_NAME];
    if (!take_word(s, word)) return false;
    *dtype = glia_dtype_named(word, strlen(word));
    return *dtype != GLIA_DTYPE_COUNT || fail(s, "there is no dtype '%s'", word);
}

static bool take_bool(parser *s, bool *value) {
    char word[MOST_NAME];
    if (!take_word(s, word)) return false;
    *value = !strcmp(word, "true");
    return *value || !strcmp(word, "false") || fail(s, "true or false is expected here");
}

static bool take_values(parser *s, glia_numbers *values) {
    if (!expect(s, '[')) return false;
    s->n_values = 0;
    while (!take(s, ']')) {
        if (s->n_values && !expect(s, ',')) return false;
        if (!glia_grow((void **)&s->values, s->n_values, &s->value_capacity, sizeof *s->values)) return fail_nomem(s);
        if (!take_double(s, &s->values[s->n_values])) return false;
        s->n_values++;
    }
    *values = (glia_numbers){ s->values, s->n_values };
    return true;
}

/* Reads %7: an earlier node. */
static bool take_node(parser *s, glia_node **node) {
    int64_t id;
    if (!expect(s, '%') || !take_int(s, &id)) return false;
    if (id < 0 || id >= s->g->n_nodes) return fail(s, "%%%lld is not defined yet", (long long)id);
    *node = s->g->nodes[id];
    return true;
}

/* ---- lines ---------------------------------------------------------------------------------- */

static bool line(parser *s);

static void parser_free(parser *s) {
    glia_arena_free(&s->scratch);
    glia_graph_free(s->body);
    free(s->in);
    free(s->values);
}

/* Reads the lines up to one that begins with a closing brace as a separate graph. */
static bool body_lines(parser *s) {
    if (!at_line_end(s)) return fail(s, "the line should end here");
    while (s->p < s->end) {
        s->p++;
        s->line++;
        s->line_start = s->p;
        if (take(s, '}')) return true;
        if (!line(s)) return false;
    }
    return fail(s, "the body does not end");
}

static bool take_body(parser *s, const glia_graph **body) {
    if (s->depth == DEEPEST) return fail(s, "bodies within bodies, more than %d deep", DEEPEST);
    if (!expect(s, '{')) return false;
    parser inner = { .p = s->p,
                     .end = s->end,
                     .line_start = s->line_start,
                     .line = s->line,
                     .version = s->version,
                     .error = s->error,
                     .depth = s->depth + 1,
                     .g = glia_graph_create() };
    if (!inner.g) return fail_nomem(s);
    bool ok = body_lines(&inner);
    s->failed = inner.failed;
    if (ok && glia_graph_verify(inner.g, s->error) != GLIA_OK) ok = false, s->failed = true;
    s->p = inner.p;
    s->line = inner.line;
    s->line_start = inner.line_start;
    inner.g->label = NULL;
    *body = s->body = inner.g;
    parser_free(&inner);
    return ok;
}

/* Reads one of the field's names; in version 1 its number. */
static bool take_enum(parser *s, const glia_field *f, int64_t *value) {
    const int n = glia_field_names(f);
    skip_blanks(s);
    if (s->version == 1 && s->p < s->end && *s->p >= '0' && *s->p <= '9') {
        return take_int(s, value) && (*value < n || fail(s, "'%s' has no value %lld", f->name, (long long)*value));
    }
    char word[MOST_NAME];
    if (!take_word(s, word)) return false;
    for (*value = 0; *value < n; ++*value) {
        if (!strcmp(f->names[*value], word)) return true;
    }
    const char *near = glia_nearest(word, f->names, n);
    return near ? fail(s, "'%s' cannot be '%s'; did you mean '%s'?", f->name, word, near)
                : fail(s, "'%s' cannot be '%s'", f->name, word);
}

static bool take_field(parser *s, const glia_field *f, void *at) {
    switch (f->type) {
    case GLIA_FIELD_INT: return take_int(s, at);
    case GLIA_FIELD_FLOAT: return take_double(s, at);
    case GLIA_FIELD_BOOL: return take_bool(s, at);
    case GLIA_FIELD_DTYPE: return take_dtype(s, at);
    case GLIA_FIELD_SHAPE: return take_list(s, '(', ')', true, at);
    case GLIA_FIELD_INTS: return take_list(s, '[', ']', false, at);
    case GLIA_FIELD_STRING: return take_string(s, at);
    case GLIA_FIELD_VALUES: return take_values(s, at);
    case GLIA_FIELD_GRAPH: return take_body(s, at);
    case GLIA_FIELD_ENUM: return take_enum(s, f, at);
    }
    return false;
}

/* Reads {name=value, ...} into a struct of the op's attributes; all zero if it is missing. */
static bool take_attrs(parser *s, const glia_op *op, void **attrs) {
    *attrs = NULL;
    if (op->attr_size && !(*attrs = glia_arena_alloc(&s->scratch, op->attr_size))) return fail_nomem(s);
    uint64_t seen = 0;
    if (!take(s, '{')) return true;
    do {
        char name[MOST_NAME];
        if (!take_word(s, name)) return false;
        int k = 0;
        const glia_field *f = op->fields;
        while (f && f[k].name && strcmp(f[k].name, name)) k++;
        if (!f || !f[k].name || k >= MOST_FIELDS) return fail(s, "%s has no field '%s'", op->name, name);
        if (seen >> k & 1) return fail(s, "'%s' comes twice", name);
        seen |= (uint64_t)1 << k;
        if (!expect(s, '=') || !take_field(s, &f[k], (char *)*attrs + f[k].offset)) return false;
    } while (take(s, ','));
    return expect(s, '}');
}

static bool take_inputs(parser *s) {
    s->n_in = 0;
    if (!expect(s, '(')) return false;
    while (!take(s, ')')) {
        if (s->n_in && !expect(s, ',')) return false;
        if (!glia_grow((void **)&s->in, s->n_in, &s->in_capacity, sizeof(glia_node *))) return fail_nomem(s);
        if (!take_node(s, &s->in[s->n_in])) return false;
        s->n_in++;
    }
    return true;
}

/* Gives nodes created from now on this label; its text is copied only when it changes. */
static void take_label(glia_graph *g, const char *label) {
    bool same = g->label == label || (g->label && label && !strcmp(g->label, label));
    if (!same) glia_graph_label(g, label);
}

/* Reads the rest of "%4 = op(inputs) {attributes} : dtype(shape) "label"", from the number on. */
static bool node_line(parser *s) {
    int64_t id;
    char name[MOST_NAME];
    if (!take_int(s, &id)) return false;
    if (id != s->g->n_nodes) return fail(s, "node %lld where node %d is expected", (long long)id, s->g->n_nodes);
    if (!expect(s, '=') || !take_word(s, name)) return false;
    const glia_op *op = glia_op_named(name);
    if (!op) return fail(s, "there is no operation '%s'", name);
    void *attrs;
    glia_dtype dtype;
    glia_shape shape;
    const char *label = NULL;
    if (!take_inputs(s) || !take_attrs(s, op, &attrs)) return false;
    if (!expect(s, ':') || !take_dtype(s, &dtype) || !take_list(s, '(', ')', true, &shape)) return false;
    if (!at_line_end(s) && !take_string(s, &label)) return false;
    take_label(s->g, label);
    glia_tensor made = glia_node_create(s->g, op, s->in, s->n_in, attrs);
    if (s->g->error.status == GLIA_E_NOMEM) return fail_nomem(s);
    if (s->g->error.status != GLIA_OK) return fail(s, "%s", s->g->error.message);
    if (made->dtype == dtype && glia_shape_equal(made->shape, shape)) return true;
    char is[GLIA_SHAPE_TEXT];
    return fail(s, "the result is not that but %s%s", glia_dtype_name(made->dtype), glia_shape_format(made->shape, is));
}

static bool output_line(parser *s) {
    const char *name;
    glia_node *node;
    if (!take_string(s, &name) || !expect(s, '=') || !take_node(s, &node)) return false;
    return glia_graph_output(s->g, name, node) || fail_nomem(s);
}

/* Appends an update unchecked; the verifier checks it, quickly even for very many. */
static bool update_line(parser *s) {
    const char *group;
    glia_node *leaf, *value;
    glia_graph *g = s->g;
    if (!take_node(s, &leaf) || !expect(s, '=') || !take_node(s, &value) || !take_string(s, &group)) return false;
    char *copy = glia_arena_strdup(&g->arena, group);
    if (!copy || !glia_grow((void **)&g->updates, g->n_updates, &g->update_capacity, sizeof *g->updates)) {
        return fail_nomem(s);
    }
    g->updates[g->n_updates++] = (glia_change){ leaf, value, copy };
    return true;
}

static bool streams_line(parser *s) {
    int64_t n;
    if (!take_int(s, &n)) return false;
    if (n < s->g->n_streams || n > INT32_MAX) return fail(s, "there are %d streams or more", s->g->n_streams);
    s->g->n_streams = (int)n;
    return true;
}

static bool word_line(parser *s) {
    char word[MOST_NAME];
    if (!take_word(s, word)) return false;
    if (!strcmp(word, "output")) return output_line(s);
    if (!strcmp(word, "update")) return update_line(s);
    if (!strcmp(word, "streams")) return streams_line(s);
    return fail(s, "a line begins with %%, output, update or streams, not '%s'", word);
}

static bool header(parser *s) {
    static const char first[] = "glia graph ";
    size_t n = sizeof first - 1;
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, first, n)) {
        return fail(s, "the text does not begin with '%s' and a version", first);
    }
    s->p += n;
    if (!take_int(s, &s->version) || !at_line_end(s)) {
        return fail(s, "the text does not begin with '%s' and a version", first);
    }
    if (s->version >= 1 && s->version <= GLIA_GRAPH_TEXT) return true;
    return fail(s, "the graph has version %lld of the format, and this library reads versions 1 to %d",
                (long long)s->version, GLIA_GRAPH_TEXT);
}

static bool line(parser *s) {
    if (at_line_end(s)) return true;
    if (*s->p == '#') {
        while (s->p < s->end && *s->p != '\n') s->p++;
        return true;
    }
    bool ok = (take(s, '%') ? node_line(s) : word_line(s)) && (at_line_end(s) || fail(s, "the line should end here"));
    glia_arena_free(&s->scratch);
    glia_graph_free(s->body);
    s->body = NULL;
    return ok;
}

static bool lines(parser *s) {
    bool ok = header(s);
    while (ok && s->p < s->end) {
        s->p++; /* skip the end of the previous line */
        s->line++;
        s->line_start = s->p;
        ok = line(s);
    }
    return ok;
}

glia_graph *glia_graph_parse(const char *text, size_t length, glia_error *error) {
    parser s = {
        .p = text, .end = text + length, .line_start = text, .line = 1, .error = error, .g = glia_graph_create()
    };
    locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0); /* a decimal point in any locale of the host program */
    bool ok = false;
    if (!s.g || c == (locale_t)0) {
        glia_fail_nomem(error);
    } else {
        locale_t before = uselocale(c);
        ok = lines(&s);
        uselocale(before);
        ok = ok && glia_graph_verify(s.g, error) == GLIA_OK;
    }
    if (c != (locale_t)0) freelocale(c);
    parser_free(&s);
    if (s.g) s.g->label = NULL;
    if (!ok) {
        glia_graph_free(s.g);
        s.g = NULL;
    }
    return s.g;
}
