/* graph_def.c - converts a graph to tensorflow.GraphDef, which TensorBoard draws.
 *
 * A parameter, state or input keeps its name; any other node is LABEL/OP_NUMBER. Names with the same prefix before a
 * slash are drawn in one box. Attributes hold the node's line of the printed graph and its shape, with -1 for the
 * batch.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/events/events.h"

enum { NODE_NAME = 1, NODE_OP, NODE_INPUT, NODE_ATTR = 5 }; /* fields of NodeDef */
enum { DESCRIPTION_MOST = 1000 };

/* ---- names -------------------------------------------------------------------------------- */

static bool is_leaf(const glia_node *n) { return glia_is_input(n) || glia_is_parameter(n) || glia_is_state(n); }

/* Replaces characters that TensorFlow does not allow in names. The first must be a letter, a digit or a point. */
static void clean(char *name) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-";
    for (char *at = name; *at; at++) {
        if (!strchr(allowed, *at)) *at = '_';
    }
    if (strchr("_/-", *name)) *name = '.';
}

static char *name_of(glia_arena *arena, const glia_node *n, const char *more) {
    char *name = is_leaf(n) ? glia_arena_printf(arena, "%s%s", glia_leaf_of(n)->name, more)
                 : n->label ? glia_arena_printf(arena, "%s/%s_%d%s", n->label, n->op->name, n->id, more)
                            : glia_arena_printf(arena, "%s_%d%s", n->op->name, n->id, more);
    if (name) clean(name);
    return name;
}

static int by_name(const void *a, const void *b) { return strcmp(**(const char ***)a, **(const char ***)b); }

/* Gives every node a unique name, by id. false: out of memory. */
static bool name_nodes(const glia_graph *g, glia_arena *arena, char **names) {
    char ***order = malloc(((size_t)g->n_nodes + 1) * sizeof *order);
    bool ok = order != NULL;
    for (int i = 0; ok && i < g->n_nodes; i++) {
        order[i] = &names[i];
        ok = (names[i] = name_of(arena, g->nodes[i], "")) != NULL;
    }
    if (ok) qsort(order, (size_t)g->n_nodes, sizeof *order, by_name);
    for (int i = 1; ok && i < g->n_nodes; i++) {
        if (strcmp(*order[i], *order[i - 1]) != 0) continue;
        int id = (int)(order[i - 1] - names);
        char more[24];
        snprintf(more, sizeof more, "__%d", id);
        ok = (*order[i - 1] = name_of(arena, g->nodes[id], more)) != NULL;
    }
    free(order);
    return ok;
}

/* ---- nodes -------------------------------------------------------------------------------- */

static void attribute(glia_text *node, const char *name, glia_text *value) {
    glia_text entry = { 0 };
    glia_proto_string(&entry, 1, name);
    glia_proto_message(&entry, 2, value);
    glia_proto_message(node, NODE_ATTR, &entry);
}

/* AttrValue of the list of output shapes. Field numbers: list = 1, shape = 7, dim = 2, size = 1. */
static void shape_attribute(glia_text *node, glia_shape shape) {
    glia_text dims = { 0 }, list = { 0 }, value = { 0 };
    for (int i = 0; i < shape.rank; i++) {
        glia_text dim = { 0 };
        glia_proto_int(&dim, 1, shape.dim[i] < 0 ? -1 : shape.dim[i]);
        glia_proto_message(&dims, 2, &dim);
    }
    glia_proto_message(&list, 7, &dims);
    glia_proto_message(&value, 1, &list);
    attribute(node, "_output_shapes", &value);
}

static void text_attribute(glia_text *node, const char *name, const char *text, size_t length) {
    glia_text value = { 0 };
    glia_proto_bytes(&value, 2, text, length);
    attribute(node, name, &value);
}

static void add_node(glia_text *to, const glia_node *n, char *const *names) {
    glia_text node = { 0 }, line = { 0 };
    glia_proto_string(&node, NODE_NAME, names[n->id]);
    glia_proto_string(&node, NODE_OP, n->op->name);
    for (int i = 0; i < n->n_in; i++) glia_proto_string(&node, NODE_INPUT, names[n->in[i]->id]);
    const char *dtype = glia_dtype_name(n->dtype);
    text_attribute(&node, "dtype", dtype, strlen(dtype));
    shape_attribute(&node, n->shape);
    glia_node_print(n, &line);
    while (line.length && line.bytes[line.length - 1] == '\n') line.length--;
    text_attribute(&node, "text", line.bytes, GLIA_MIN(line.length, (size_t)DESCRIPTION_MOST));
    node.failed |= line.failed;
    free(line.bytes);
    glia_proto_message(to, 1, &node);
}

void glia_graph_def(const glia_graph *g, glia_text *to) {
    glia_arena arena = { 0 };
    char **names = glia_arena_alloc(&arena, ((size_t)g->n_nodes + 1) * sizeof *names);
    bool *live = glia_arena_alloc(&arena, (size_t)g->n_nodes + 1);
    if (names && live && name_nodes(g, &arena, names)) {
        if (g->n_outputs || g->n_updates) {
            glia_graph_mark_live(g, live);
        } else {
            memset(live, 1, (size_t)g->n_nodes);
        }
        for (int i = 0; i < g->n_nodes; i++) {
            if (live[i]) add_node(to, g->nodes[i], names);
        }
        glia_text versions = { 0 };
        glia_proto_int(&versions, 1, 22); /* producer */
        glia_proto_message(to, 4, &versions);
    } else {
        to->failed = true;
    }
    glia_arena_free(&arena);
}
