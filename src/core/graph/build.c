/* build.c - creates graphs and nodes, and keeps the first error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/graph/graph.h"

glia_graph *glia_graph_create(void) {
    glia_graph *g = calloc(1, sizeof *g);
    if (!g) return NULL;
    g->bad = glia_arena_alloc(&g->arena, sizeof *g->bad);
    if (!g->bad) {
        free(g);
        return NULL;
    }
    g->bad->graph = g;
    g->bad->id = -1;
    return g;
}

void glia_graph_free(glia_graph *g) {
    if (!g) return;
    for (glia_graph *body = g->bodies, *next; body; body = next) {
        next = body->next_body;
        glia_graph_free(body);
    }
    glia_arena_free(&g->arena);
    free(g->captures);
    free(g->nodes);
    free(g->outputs);
    free(g->updates);
    free(g);
}

glia_status glia_graph_check(const glia_graph *g, glia_error *error) {
    if (!g) return glia_fail_nomem(error);
    if (g->error.status != GLIA_OK && error) *error = g->error;
    return g->error.status;
}

glia_tensor glia_graph_fail(glia_graph *g, glia_status status, const char *format, ...) {
    if (!g) return NULL;
    for (glia_graph *keeper = g; keeper;
         keeper = keeper->parent) { /* errors in a body are recorded in the enclosing graphs too */
        if (keeper->error.status != GLIA_OK) continue;
        keeper->error.status = status;
        va_list args;
        va_start(args, format);
        vsnprintf(keeper->error.message, sizeof keeper->error.message, format, args);
        va_end(args);
    }
    return g->bad;
}

glia_tensor glia_graph_fail_nomem(glia_graph *g) {
    return glia_graph_fail(g, GLIA_E_NOMEM, "out of memory while building");
}

bool glia_node_fail(glia_node *n, const char *format, ...) {
    glia_graph *g = n->graph;
    if (g->error.status != GLIA_OK) return false;
    char reason[256], shapes[200] = "", one[GLIA_SHAPE_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    size_t at = 0;
    for (int i = 0; i < n->n_in && at < sizeof shapes; i++) {
        int wrote = snprintf(shapes + at, sizeof shapes - at, "%s%s%s", i ? ", " : "", glia_dtype_name(n->in[i]->dtype),
                             glia_shape_format(n->in[i]->shape, one));
        at += (size_t)GLIA_MAX(wrote, 0);
    }
    glia_graph_fail(g, GLIA_E_SHAPE, "%s%s%s of %s: %s", n->label ? n->label : "", n->label ? ": " : "", n->op->name,
                    shapes, reason);
    return false;
}

static bool append(glia_graph *g, glia_node *n) {
    if (!glia_grow((void **)&g->nodes, g->n_nodes, &g->node_capacity, sizeof *g->nodes)) return false;
    n->id = g->n_nodes;
    g->nodes[g->n_nodes++] = n;
    return true;
}

/* The innermost graph among the inputs', if they are nested in each other. */
static glia_graph *innermost(glia_graph *g, const glia_tensor *in, int n_in) {
    for (int i = 0; i < n_in; i++) {
        if (!in[i] || in[i]->graph == g) continue;
        for (const glia_graph *around = in[i]->graph->parent; around; around = around->parent) {
            if (around == g) g = in[i]->graph;
        }
    }
    return g;
}

static glia_tensor fail_foreign(glia_graph *g, const glia_op *op, int i, const glia_node *in) {
    const char *what = in->graph->parent && in->graph->closed
                           ? "belongs to the body of a loop that has ended: get it from glia_loop_end()"
                           : "belongs to another graph";
    return glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: input %d %s", op->name, i, what);
}

glia_tensor glia_node_create(glia_graph *g, const glia_op *op, const glia_tensor *in, int n_in, const void *attrs) {
    if (!g) return NULL;
    g = innermost(g, in, n_in);
    if (g->error.status != GLIA_OK) return g->bad;
    for (int i = 0; i < n_in; i++) {
        if (glia_is_bad(in[i])) return glia_graph_fail(g, GLIA_E_NOMEM, "%s: input %d is NULL", op->name, i);
    }
    if (g->closed) return fail_foreign(g, op, 0, g->bad);
    if (op->arity >= 0 ? n_in != op->arity : n_in < 1) {
        return glia_graph_fail(g, GLIA_E_ARGUMENT, "%s takes %d inputs, not %d", op->name, op->arity, n_in);
    }
    glia_node *n = glia_arena_alloc(&g->arena, sizeof *n);
    glia_node **inputs = glia_arena_alloc(&g->arena, (size_t)n_in * sizeof *inputs);
    void *copy = op->attr_size && attrs ? glia_attrs_copy(op, attrs, &g->arena, NULL) : NULL;
    if (!n || !inputs || (op->attr_size && attrs && !copy)) return glia_graph_fail_nomem(g);
    for (int i = 0; i < n_in; i++) {
        inputs[i] = glia_graph_capture(g, in[i]);
        if (!inputs[i]) return fail_foreign(g, op, i, in[i]);
        if (glia_is_bad(inputs[i])) return g->bad;
    }
    *n = (glia_node){ .graph = g, .op = op, .n_in = n_in, .in = inputs, .attrs = copy, .label = g->label };
    if (!op->infer(n)) return g->bad;
    char text[GLIA_SHAPE_TEXT];
    if (!glia_shape_valid(n->shape)) {
        glia_node_fail(n, "the result %s is empty or too large", glia_shape_format(n->shape, text));
        return g->bad;
    }
    if (!append(g, n)) return glia_graph_fail_nomem(g);
    return n;
}

static glia_graph *graph_of(glia_tensor x) { return x ? x->graph : NULL; }

glia_tensor glia_node1(const glia_op *op, glia_tensor a, const void *attrs) {
    return glia_node_create(graph_of(a), op, &a, 1, attrs);
}

glia_tensor glia_node2(const glia_op *op, glia_tensor a, glia_tensor b, const void *attrs) {
    glia_tensor in[2] = { a, b };
    return glia_node_create(graph_of(a), op, in, 2, attrs);
}

glia_dtype glia_tensor_dtype(glia_tensor x) { return x ? x->dtype : GLIA_F32; }
glia_shape glia_tensor_shape(glia_tensor x) { return x ? x->shape : GLIA_SCALAR; }
glia_graph *glia_tensor_graph(glia_tensor x) { return graph_of(x); }

const char *glia_graph_label(glia_graph *g, const char *label) {
    if (!g) return NULL;
    const char *before = g->label;
    g->label = label ? glia_arena_strdup(&g->arena, label) : NULL;
    if (label && !g->label) glia_graph_fail_nomem(g);
    return before;
}

bool glia_graph_output(glia_graph *g, const char *name, glia_node *node) {
    if (!g || glia_is_bad(node)) return false;
    char *copy = glia_arena_strdup(&g->arena, name);
    if (!copy || !glia_grow((void **)&g->outputs, g->n_outputs, &g->output_capacity, sizeof *g->outputs)) {
        glia_graph_fail_nomem(g);
        return false;
    }
    g->outputs[g->n_outputs++] = (glia_named){ copy, node };
    return true;
}

bool glia_graph_has_leaf(const glia_graph *g, const char *name) {
    while (g && g->parent) g = g->parent;
    return glia_graph_find_leaf(g, name) != NULL;
}

void glia_update(glia_tensor leaf, glia_tensor value, const char *group) {
    glia_graph *g = graph_of(leaf);
    if (!g || glia_is_bad(leaf) || glia_is_bad(value)) return;
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    if (value->graph != g || (!glia_is_parameter(leaf) && !glia_is_state(leaf))) {
        glia_graph_fail(g, GLIA_E_ARGUMENT,
                        "glia_update: the first tensor must be a parameter or state of the same graph");
        return;
    }
    if (leaf->dtype != value->dtype || !glia_shape_equal(leaf->shape, value->shape)) {
        glia_graph_fail(g, GLIA_E_SHAPE, "glia_update: %s is %s%s and cannot take %s%s", glia_leaf_of(leaf)->name,
                        glia_dtype_name(leaf->dtype), glia_shape_format(leaf->shape, a), glia_dtype_name(value->dtype),
                        glia_shape_format(value->shape, b));
        return;
    }
    group = group ? group : "train";
    for (int i = 0; i < g->n_updates; i++) {
        if (g->updates[i].leaf == leaf && !strcmp(g->updates[i].group, group)) {
            glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_update: group '%s' changes %s twice", group,
                            glia_leaf_of(leaf)->name);
            return;
        }
    }
    char *copy = glia_arena_strdup(&g->arena, group);
    if (!copy || !glia_grow((void **)&g->updates, g->n_updates, &g->update_capacity, sizeof *g->updates)) {
        glia_graph_fail_nomem(g);
        return;
    }
    g->updates[g->n_updates++] = (glia_change){ leaf, value, copy };
}

glia_node *glia_graph_find_output(const glia_graph *g, const char *name) {
    for (int i = 0; i < g->n_outputs; i++) {
        if (!strcmp(g->outputs[i].name, name)) return g->outputs[i].node;
    }
    return NULL;
}

glia_node *glia_graph_find_leaf(const glia_graph *g, const char *name) {
    for (int i = 0; g && i < g->n_nodes; i++) {
        glia_node *n = g->nodes[i];
        if ((n->op->flags & GLIA_OP_LEAF) && !glia_is_constant(n) && !strcmp(glia_leaf_of(n)->name, name)) return n;
    }
    return NULL;
}

bool glia_graph_pattern(glia_graph *g, const char *pattern, bool trainable, const char *where) {
    const char *what = trainable ? "trainable parameter" : "parameter";
    const char **names = glia_arena_alloc(&g->arena, ((size_t)g->n_nodes + 1) * sizeof *names);
    if (!names) {
        glia_graph_fail_nomem(g);
        return false;
    }
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        if (!glia_is_parameter(g->nodes[i]) || (trainable && glia_leaf_of(g->nodes[i])->frozen)) continue;
        names[n++] = glia_leaf_of(g->nodes[i])->name;
    }
    glia_error error = { 0 };
    if (glia_glob_check(pattern ? pattern : "", names, n, where, what, &error) == GLIA_OK) return true;
    glia_graph_fail(g, GLIA_E_ARGUMENT, "%s", error.message);
    return false;
}

/* The group of an update of this leaf; NULL: it has none. */
static const char *updated_by(const glia_graph *g, const glia_node *leaf) {
    for (int i = 0; i < g->n_updates; i++) {
        if (g->updates[i].leaf == leaf) return g->updates[i].group;
    }
    return NULL;
}

int glia_freeze(glia_graph *g, const char *pattern, bool frozen) {
    if (!pattern) return 0;
    int n = 0;
    if (!g || g->error.status != GLIA_OK || !glia_graph_pattern(g, pattern, false, "glia_freeze")) return 0;
    for (int pass = 0; pass < 2; pass++) { /* check, then change */
        for (int i = 0; i < g->n_nodes; i++) {
            if (!glia_is_parameter(g->nodes[i]) || !glia_glob(pattern, glia_leaf_of(g->nodes[i])->name)) continue;
            glia_leaf *leaf = (glia_leaf *)g->nodes[i]->attrs; /* only `frozen` may change after a node is made */
            const char *group = frozen && !leaf->frozen ? updated_by(g, g->nodes[i]) : NULL;
            if (group) {
                glia_graph_fail(
                    g, GLIA_E_ARGUMENT,
                    "glia_freeze: '%s' is updated by the group '%s' already: freeze it before glia_minimize()",
                    leaf->name, group);
                return 0;
            }
            n += pass;
            if (pass) leaf->frozen = frozen;
        }
    }
    return n;
}
