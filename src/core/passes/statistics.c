/* statistics.c - running statistics: which forward passes of a training program update them, and with what values.
 *
 * An op's glia_op.moves computes the new values of its input states after a forward pass in training mode. A program in
 * training mode updates the statistics of every such node that its outputs and updates depend on, once for each node
 * and in the order in which the nodes were created, whatever update groups it includes: as PyTorch's modules do in each
 * forward pass. Several nodes with the same states (a layer used twice under one name) are several passes, each
 * starting from the result of the previous one.
 *
 * A program that needs only the gradients of a node may not need its value. It still counts as a pass. Its gradient ops
 * are recognised by having the same first input and the same states.
 */
#include <stdlib.h>
#include <string.h>

#include "core/passes/passes.h"

static const char *const group = "statistics";

static bool matches(const char *pattern, const glia_node *leaf) {
    return glia_is_state(leaf) && (!pattern || glia_glob(pattern, glia_leaf_of(leaf)->name));
}

static bool has_match(const char *pattern, const glia_node *node) {
    for (int i = 0; node->op->moves && i < node->n_in; i++) {
        if (matches(pattern, node->in[i])) return true;
    }
    return false;
}

static bool reads(const glia_node *node, const glia_node *value) {
    for (int i = 0; i < node->n_in; i++) {
        if (node->in[i] == value) return true;
    }
    return false;
}

/* Whether `node` is part of the gradient of `pass`. */
static bool is_gradient_of(const glia_node *node, const glia_node *pass) {
    if (node->op->moves || node->n_in == 0 || node->in[0] != pass->in[0]) return false;
    for (int i = 0; i < pass->n_in; i++) {
        if (glia_is_state(pass->in[i]) && !reads(node, pass->in[i])) return false;
    }
    return true;
}

static bool has_gradient(const glia_graph *g, const bool *live, const glia_node *pass) {
    for (int id = pass->id + 1; id < g->n_nodes; id++) {
        if (live[id] && is_gradient_of(g->nodes[id], pass)) return true;
    }
    return false;
}

/* An update must not assign a statistic that a forward pass updates. */
static glia_status check_updates(const glia_graph *g, const bool *moves, const char *pattern, glia_error *error) {
    for (int i = 0; i < g->n_updates; i++) {
        const glia_change *u = &g->updates[i];
        if (!matches(pattern, u->leaf)) continue;
        for (int id = u->leaf->id + 1; id < g->n_nodes; id++) {
            if (!moves[id] || !reads(g->nodes[id], u->leaf)) continue;
            return glia_fail(error, GLIA_E_ARGUMENT,
                             "glia_compile: '%s' is changed by the group '%s' and by training: choose with "
                             "opts.statistics",
                             glia_leaf_of(u->leaf)->name, u->group);
        }
    }
    return GLIA_OK;
}

/* Reports that the pattern matches nothing, with the nearest name. */
static glia_status fail_unmatched(const glia_graph *g, const char *pattern, glia_error *error) {
    const char **names = calloc((size_t)g->n_nodes + 1, sizeof *names), *near = NULL;
    if (!names) return glia_fail_nomem(error);
    int n = 0;
    for (int id = 0; id < g->n_nodes; id++) {
        for (int i = 0; g->nodes[id]->op->moves && i < g->nodes[id]->n_in && n < g->n_nodes; i++) {
            if (glia_is_state(g->nodes[id]->in[i])) names[n++] = glia_leaf_of(g->nodes[id]->in[i])->name;
        }
    }
    near = glia_nearest(pattern, names, n);
    glia_status status = glia_fail(error, GLIA_E_ARGUMENT, "glia_compile: no running statistic matches '%s'%s%s%s",
                                   pattern, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    free(names);
    return status;
}

glia_status glia_statistics_find(const glia_graph *g, const char *pattern, bool *moves, glia_error *error) {
    bool *live = malloc((size_t)g->n_nodes + 1), found = false;
    if (!live) return glia_fail_nomem(error);
    glia_graph_mark_live(g, live);
    for (int id = 0; id < g->n_nodes; id++) {
        const bool matching = has_match(pattern, g->nodes[id]);
        found |= matching;
        moves[id] = matching && (live[id] || has_gradient(g, live, g->nodes[id]));
    }
    free(live);
    if (pattern && *pattern && !found) return fail_unmatched(g, pattern, error);
    return check_updates(g, moves, pattern, error);
}

/* The update of this statistic by earlier passes; NULL: there is none. */
static glia_change *find_change(glia_graph *g, const glia_node *leaf) {
    for (int i = 0; i < g->n_updates; i++) {
        if (g->updates[i].leaf == leaf && !strcmp(g->updates[i].group, group)) return &g->updates[i];
    }
    return NULL;
}

void glia_statistics_move(glia_graph *to, const glia_node *node, const glia_tensor *in, const char *pattern,
                          glia_tensor before[GLIA_STATISTICS_INPUTS]) {
    glia_tensor next[GLIA_STATISTICS_INPUTS] = { NULL };
    for (int i = 0; i < node->n_in; i++) {
        const glia_change *earlier = glia_is_state(in[i]) ? find_change(to, in[i]) : NULL;
        before[i] = earlier ? earlier->value : in[i];
    }
    node->op->moves(node, before, next);
    for (int i = 0; i < node->n_in; i++) {
        if (!next[i] || glia_is_bad(next[i]) || !matches(pattern, in[i])) continue;
        glia_change *earlier = find_change(to, in[i]);
        if (earlier)
            earlier->value = next[i];
        else
            glia_update(in[i], next[i], group);
    }
}
