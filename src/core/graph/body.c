/* body.c - graphs inside graphs: the steps of loops.
 *
 * An op with a body keeps it as an attribute in its graph's arena; nothing is added to it there, so it is copied,
 * compared, printed and freed with its node. Until then it is a graph of its own. This file also handles operations
 * that mix its tensors with those of the enclosing graph.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/graph/graph.h"

/* ---- construction ---------------------------------------------------------------------------- */

glia_graph *glia_graph_create_body(glia_graph *parent) {
    glia_graph *body = glia_graph_create();
    if (!body) {
        glia_graph_fail_nomem(parent);
        return NULL;
    }
    body->parent = parent;
    body->n_streams = parent->n_streams;
    body->next_body = parent->bodies;
    parent->bodies = body;
    glia_graph_label(body, parent->label);
    return body;
}

void glia_body_open(glia_graph *body) {
    body->around = body->parent->open;
    body->parent->open = body;
}

void glia_body_close(glia_graph *body) {
    for (glia_graph **at = &body->parent->open; *at; at = &(*at)->around) {
        if (*at != body) continue;
        *at = body->around;
        return;
    }
}

glia_graph *glia_graph_for_random(glia_graph *g) {
    while (g && g->open) g = g->open;
    return g;
}

glia_tensor glia_body_input(glia_graph *body, glia_dtype dtype, glia_shape shape) {
    char name[32];
    snprintf(name, sizeof name, "in%d", body->n_nodes);
    return glia_node_create(body, &glia_op_input, NULL, 0,
                            &(glia_leaf){ .name = name, .dtype = dtype, .shape = shape });
}

/* A scalar constant is copied into the body instead of being captured. */
static glia_tensor constant_inside(glia_graph *g, glia_tensor x) {
    const glia_constant_attrs *a = x->attrs;
    return a->values.n == 1 ? glia_node_create(g, x->op, NULL, 0, a) : NULL;
}

glia_tensor glia_graph_capture_apart(glia_graph *g, glia_tensor outer) {
    if (!glia_grow((void **)&g->captures, g->n_captures, &g->capture_capacity, sizeof *g->captures)) {
        return glia_graph_fail_nomem(g);
    }
    glia_tensor inner = glia_body_input(g, outer->dtype, outer->shape);
    if (glia_is_bad(inner)) return inner;
    g->captures[g->n_captures++] = (glia_capture){ outer, inner };
    if (glia_is_random_state(outer) || outer == g->parent->random) g->random = inner;
    return inner;
}

glia_tensor glia_graph_capture(glia_graph *g, glia_tensor x) {
    if (glia_is_bad(x)) return g->bad;
    if (x->graph == g) return x;
    if (!g->parent || g->closed) return NULL;
    glia_tensor outer = glia_graph_capture(g->parent, x);
    if (!outer || glia_is_bad(outer)) return outer ? g->bad : NULL;
    for (int i = 0; i < g->n_captures; i++) {
        if (g->captures[i].outer == outer) return g->captures[i].inner;
    }
    glia_tensor inner = glia_is_constant(outer) ? constant_inside(g, outer) : NULL;
    return inner ? inner : glia_graph_capture_apart(g, outer);
}

static bool is_around(const glia_graph *outer, const glia_graph *g) {
    for (g = g->parent; g; g = g->parent) {
        if (g == outer) return true;
    }
    return false;
}

void glia_graph_join(glia_tensor *xs, int n) {
    glia_graph *g = NULL;
    for (int i = 0; i < n; i++) {
        if (xs[i] && (!g || is_around(g, xs[i]->graph))) g = xs[i]->graph;
    }
    for (int i = 0; g && i < n; i++) {
        glia_tensor inner = xs[i] ? glia_graph_capture(g, xs[i]) : NULL;
        if (inner) xs[i] = inner;
    }
}

/* ---- as an attribute -------------------------------------------------------------------------- */

static const glia_field *body_field(const glia_op *op) {
    for (const glia_field *f = op->fields; f && f->name; f++) {
        if (f->type == GLIA_FIELD_GRAPH) return f;
    }
    return NULL;
}

const glia_graph *glia_body_of(const glia_node *n) {
    const glia_field *f = n->attrs ? body_field(n->op) : NULL;
    return f ? *(const glia_graph *const *)(const void *)((const char *)n->attrs + f->offset) : NULL;
}

bool glia_node_evaluates(const glia_node *n) {
    const glia_graph *body = glia_body_of(n);
    if (!n->op->eval) return false;
    for (int i = 0; body && i < body->n_nodes; i++) {
        if (!glia_is_input(body->nodes[i]) && !glia_node_evaluates(body->nodes[i])) return false;
    }
    return true;
}

static bool embed_node(glia_graph *copy, glia_arena *arena, const glia_node *n) {
    glia_node *to = glia_arena_alloc(arena, sizeof *to);
    glia_node **in = glia_arena_alloc(arena, (size_t)n->n_in * sizeof(glia_node *));
    void *attrs = n->attrs ? glia_attrs_copy(n->op, n->attrs, arena, NULL) : NULL;
    const char *label = n->label ? glia_arena_strdup(arena, n->label) : NULL;
    if (!to || !in || (n->attrs && !attrs) || (n->label && !label)) return false;
    for (int i = 0; i < n->n_in; i++) in[i] = copy->nodes[n->in[i]->id];
    *to = *n;
    to->graph = copy;
    to->in = in;
    to->attrs = attrs;
    to->label = label;
    copy->nodes[copy->n_nodes++] = to;
    return true;
}

static const glia_graph *embed(const glia_graph *body, glia_arena *arena) {
    glia_graph *copy = glia_arena_alloc(arena, sizeof *copy);
    if (!copy) return NULL;
    *copy = (glia_graph){ .n_streams = body->n_streams, .closed = true };
    copy->nodes = glia_arena_alloc(arena, (size_t)body->n_nodes * sizeof(glia_node *));
    copy->outputs = glia_arena_alloc(arena, (size_t)body->n_outputs * sizeof *copy->outputs);
    copy->bad = glia_arena_alloc(arena, sizeof *copy->bad);
    if (!copy->nodes || !copy->outputs || !copy->bad) return NULL;
    copy->bad->graph = copy;
    copy->bad->id = -1;
    for (int i = 0; i < body->n_nodes; i++) {
        if (!embed_node(copy, arena, body->nodes[i])) return NULL;
    }
    for (int i = 0; i < body->n_outputs; i++) {
        const char *name = glia_arena_strdup(arena, body->outputs[i].name);
        if (!name) return NULL;
        copy->outputs[copy->n_outputs++] = (glia_named){ name, copy->nodes[body->outputs[i].node->id] };
    }
    return copy;
}

const glia_graph *glia_graph_embed(const glia_graph *body, glia_arena *arena, const glia_sizes *sizes) {
    if (!sizes) return embed(body, arena);
    glia_graph *fixed = glia_graph_rewrite(body, NULL, NULL, sizes, true, NULL);
    const glia_graph *copy = fixed ? embed(fixed, arena) : NULL;
    glia_graph_free(fixed);
    return copy;
}

void *glia_attrs_with_body(const glia_op *op, const void *attrs, const glia_graph *body, glia_arena *arena) {
    const glia_field *f = body_field(op);
    char *copy = glia_arena_alloc(arena, op->attr_size);
    if (!copy || !f) return NULL;
    memcpy(copy, attrs, op->attr_size);
    *(const glia_graph **)(void *)(copy + f->offset) = body;
    return copy;
}

glia_tensor glia_node_rewrite_body(glia_graph *to, const glia_node *node, const glia_tensor *in, glia_rewrite_rule rule,
                                   void *context, const glia_sizes *sizes) {
    glia_error error = { 0 };
    glia_graph *body = glia_graph_rewrite(glia_body_of(node), rule, context, sizes, true, &error);
    if (!body) return glia_graph_fail(to, error.status ? error.status : GLIA_E_NOMEM, "%s", error.message);
    const void *attrs = sizes ? glia_attrs_copy(node->op, node->attrs, &to->arena, sizes) : node->attrs;
    if (attrs) attrs = glia_attrs_with_body(node->op, attrs, body, &to->arena);
    const char *before = glia_graph_label(to, node->label);
    glia_tensor made = attrs ? glia_node_create(to, node->op, in, node->n_in, attrs) : glia_graph_fail_nomem(to);
    to->label = before;
    glia_graph_free(body);
    return made;
}

/* ---- comparison ------------------------------------------------------------------------------- */

static bool node_equal(const glia_node *a, const glia_node *b) {
    if (a->op != b->op || a->n_in != b->n_in || a->dtype != b->dtype || !glia_shape_equal(a->shape, b->shape) ||
        (a->attrs != NULL) != (b->attrs != NULL)) {
        return false;
    }
    for (int i = 0; i < a->n_in; i++) {
        if (a->in[i]->id != b->in[i]->id) return false;
    }
    return !a->attrs || glia_attrs_equal(a->op, a->attrs, b->attrs);
}

bool glia_graph_equal(const glia_graph *a, const glia_graph *b) {
    if (a == b || !a || !b) return a == b;
    if (a->n_nodes != b->n_nodes || a->n_outputs != b->n_outputs) return false;
    for (int i = 0; i < a->n_nodes; i++) {
        if (!node_equal(a->nodes[i], b->nodes[i])) return false;
    }
    for (int i = 0; i < a->n_outputs; i++) {
        if (a->outputs[i].node->id != b->outputs[i].node->id) return false;
    }
    return true;
}

uint64_t glia_graph_hash(const glia_graph *g, uint64_t hash) {
    for (int i = 0; g && i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        hash = glia_hash_bytes(&n->op, sizeof n->op, hash);
        for (int k = 0; k < n->n_in; k++) hash = glia_hash_bytes(&n->in[k]->id, sizeof(int), hash);
        if (n->attrs) hash = glia_attrs_hash(n->op, n->attrs, hash);
    }
    for (int i = 0; g && i < g->n_outputs; i++) hash = glia_hash_bytes(&g->outputs[i].node->id, sizeof(int), hash);
    return hash;
}
