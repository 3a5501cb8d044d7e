/* print.c - a graph as text, for display and in model files. parse.c reads it back exactly.
 *
 *     glia graph 2
 *     %0 = input() {name="x", shape=(N, 784)} : f32(N, 784)
 *     %1 = parameter() {name="fc/kernel", shape=(10, 784), init=glorot_uniform} : f32(10, 784)
 *     %2 = matmul(%0, %1) {transpose_b=true} : f32(N, 10) "fc"
 *     output "logits" = %2
 *     update %1 = %9 "train"
 *     streams 1
 *
 * A line is a node: its number, its op, its inputs, the attributes that are not zero, its dtype and shape, and its
 * layer's label. A dimension of N, 2N, ... is one or more batches, V and E are the nodes and edges of a batch of graphs
 * (since 0.2), and V+1 is one more, as offsets have it. Numbers are decimal, with as many digits as
 * bring back the same double; "inf", "-inf" and "nan" may occur. Strings escape ", \ and bytes below 32 (as \xHH).
 * Enumerations (the kind of an initialiser or of a recurrent cell) are given by name and never left out.
 * A body is an attribute over several lines, between braces, with numbers of its own:
 *
 *     %5 = scan(%1, %4) {body={
 *     %0 = input() {name="in0", shape=(N, 3)} : f32(N, 3)
 *     ...
 *     output "0" = %7
 *     }, steps=4} : f32(12N)
 *
 * `streams` counts the random nodes. Blank lines and lines that begin with # are ignored.
 *
 * The first line has the version of the format. Version 1, written by Glia 0.1, wrote enumerations as numbers and
 * omitted the initial values of inputs; it can still be read. A change that older readers would misread needs a new
 * version (GLIA_GRAPH_TEXT in graph.h).
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/graph/graph.h"

/* Prints the shortest decimal that reads back as the same number. */
static void print_double(double value, glia_text *text) {
    char digits[40];
    if (value != value) {
        glia_text_printf(text, "nan");
        return;
    }
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (precision == 17 || strtod(digits, NULL) == value) break;
    }
    glia_text_printf(text, "%s", digits);
}

static void print_string(const char *s, glia_text *text) {
    glia_text_append(text, "\"", 1);
    for (; s && *s; s++) {
        if (*s == '"' || *s == '\\')
            glia_text_printf(text, "\\%c", *s);
        else if ((unsigned char)*s < 32)
            glia_text_printf(text, "\\x%02X", (unsigned)*s);
        else
            glia_text_append(text, s, 1);
    }
    glia_text_append(text, "\"", 1);
}

static void print_ints(const glia_shape *list, glia_text *text) {
    glia_text_append(text, "[", 1);
    for (int i = 0; i < list->rank; i++) glia_text_printf(text, "%s%lld", i ? ", " : "", (long long)list->dim[i]);
    glia_text_append(text, "]", 1);
}

static void print_values(const glia_numbers *values, glia_text *text) {
    glia_text_append(text, "[", 1);
    for (int64_t i = 0; i < values->n; i++) {
        if (i) glia_text_append(text, ", ", 2);
        print_double(values->v[i], text);
    }
    glia_text_append(text, "]", 1);
}

/* Zero, false, an empty list, no string: the value of an omitted field. */
static bool field_zero(const glia_field *f, const void *at) {
    static const char zeros[sizeof(double)];
    switch (f->type) {
    case GLIA_FIELD_INT: return *(const int64_t *)at == 0;
    case GLIA_FIELD_FLOAT: return !memcmp(at, zeros, sizeof(double)); /* not for -0 */
    case GLIA_FIELD_BOOL: return !*(const bool *)at;
    case GLIA_FIELD_DTYPE: return *(const glia_dtype *)at == (glia_dtype)0;
    case GLIA_FIELD_SHAPE:
    case GLIA_FIELD_INTS: return ((const glia_shape *)at)->rank == 0;
    case GLIA_FIELD_STRING: return !*(const char *const *)at;
    case GLIA_FIELD_VALUES: return ((const glia_numbers *)at)->n == 0;
    case GLIA_FIELD_GRAPH: return !*(const glia_graph *const *)at;
    case GLIA_FIELD_ENUM: return false; /* never omitted: the order of an enumeration may change, its names may not */
    }
    return true;
}

static void print_lines(const glia_graph *g, glia_text *text);

static void print_enum(const glia_field *f, int64_t value, glia_text *text) {
    const bool known = value >= 0 && value < glia_field_names(f);
    if (known) glia_text_printf(text, "%s", f->names[value]);
    if (!known) glia_text_printf(text, "%lld", (long long)value);
}

static void print_field(const glia_field *f, const void *at, glia_text *text) {
    char shape[GLIA_SHAPE_TEXT];
    switch (f->type) {
    case GLIA_FIELD_INT: glia_text_printf(text, "%lld", (long long)*(const int64_t *)at); break;
    case GLIA_FIELD_FLOAT: print_double(*(const double *)at, text); break;
    case GLIA_FIELD_BOOL: glia_text_printf(text, "true"); break;
    case GLIA_FIELD_DTYPE: glia_text_printf(text, "%s", glia_dtype_name(*(const glia_dtype *)at)); break;
    case GLIA_FIELD_SHAPE: glia_text_printf(text, "%s", glia_shape_format(*(const glia_shape *)at, shape)); break;
    case GLIA_FIELD_INTS: print_ints(at, text); break;
    case GLIA_FIELD_STRING: print_string(*(const char *const *)at, text); break;
    case GLIA_FIELD_VALUES: print_values(at, text); break;
    case GLIA_FIELD_GRAPH:
        glia_text_printf(text, "{\n");
        print_lines(*(const glia_graph *const *)at, text);
        glia_text_printf(text, "}");
        break;
    case GLIA_FIELD_ENUM: print_enum(f, *(const int64_t *)at, text); break;
    }
}

static void print_node(const glia_node *n, glia_text *text) {
    char shape[GLIA_SHAPE_TEXT];
    glia_text_printf(text, "%%%d = %s(", n->id, n->op->name);
    for (int i = 0; i < n->n_in; i++) glia_text_printf(text, "%s%%%d", i ? ", " : "", n->in[i]->id);
    glia_text_append(text, ")", 1);
    const char *before = " {";
    for (const glia_field *f = n->op->fields; n->attrs && f && f->name; f++) {
        const void *at = (const char *)n->attrs + f->offset;
        if (field_zero(f, at)) continue;
        glia_text_printf(text, "%s%s=", before, f->name);
        print_field(f, at, text);
        before = ", ";
    }
    if (*before == ',') glia_text_append(text, "}", 1);
    glia_text_printf(text, " : %s%s", glia_dtype_name(n->dtype), glia_shape_format(n->shape, shape));
    bool named = (n->op->flags & GLIA_OP_LEAF) && !glia_is_constant(n); /* a leaf's label is its name */
    if (n->label && !named) {
        glia_text_append(text, " ", 1);
        print_string(n->label, text);
    }
}

static void print_lines(const glia_graph *g, glia_text *text) {
    for (int i = 0; i < g->n_nodes; i++) {
        print_node(g->nodes[i], text);
        glia_text_append(text, "\n", 1);
    }
    for (int i = 0; i < g->n_outputs; i++) {
        glia_text_printf(text, "output ");
        print_string(g->outputs[i].name, text);
        glia_text_printf(text, " = %%%d\n", g->outputs[i].node->id);
    }
    for (int i = 0; i < g->n_updates; i++) {
        glia_text_printf(text, "update %%%d = %%%d ", g->updates[i].leaf->id, g->updates[i].value->id);
        print_string(g->updates[i].group, text);
        glia_text_append(text, "\n", 1);
    }
    if (g->n_streams) glia_text_printf(text, "streams %d\n", g->n_streams);
}

static void print_graph(const glia_graph *g, glia_text *text) {
    glia_text_printf(text, "glia graph %d\n", GLIA_GRAPH_TEXT);
    print_lines(g, text);
}

/* printf() and strtod() use the host program's locale; while printing, this thread uses a decimal point. */
static locale_t point_begin(locale_t *before, glia_text *text) {
    locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (c == (locale_t)0)
        text->failed = true;
    else
        *before = uselocale(c);
    return c;
}

static void point_end(locale_t c, locale_t before) {
    uselocale(before);
    freelocale(c);
}

void glia_node_print(const glia_node *node, glia_text *text) {
    locale_t before, c = point_begin(&before, text);
    if (c == (locale_t)0) return;
    print_node(node, text);
    point_end(c, before);
}

void glia_graph_print(const glia_graph *graph, glia_text *text) {
    locale_t before, c = point_begin(&before, text);
    if (c == (locale_t)0) return;
    print_graph(graph, text);
    point_end(c, before);
}
