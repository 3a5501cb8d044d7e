/* schedule.c - the order in which groups run, and which updates may be made in place.
 *
 * A group can run once its inputs are computed. Among several, the group whose newest node is oldest runs first, which
 * gives the order in which the model was built: forward, then backward. Groups that compute new values of leaves take
 * precedence, so that a gradient is used and freed at once; so do those that compute scalars, which are small and may
 * block others. In a frozen program those that compute fixed values, which run once, come before all others.
 *
 * A new value overwrites its leaf in place if all other readers of the old value run before. This is added as an
 * ordering constraint (reader before writer) unless it would create a cycle.
 */
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "core/passes/passes.h"

/* before -> after edges between groups: one array sorted by insertion, small enough for linear search. */
typedef struct edges {
    int (*e)[2];
    int n, capacity;
} edges;

static bool edge_add(edges *x, int before, int after) {
    if (!glia_grow((void **)&x->e, x->n, &x->capacity, sizeof *x->e)) return false;
    x->e[x->n][0] = before;
    x->e[x->n++][1] = after;
    return true;
}

/* The group that computes this group input; -1 if it is a leaf. */
static int maker(const glia_schedule *s, const glia_node *input) { return s->group_of[s->root[input->id]->id]; }

static bool data_edges(const glia_schedule *s, edges *x) {
    for (int i = 0; i < s->n_groups; i++) {
        for (int j = 0; j < s->groups[i].n_inputs; j++) {
            int from = maker(s, s->groups[i].inputs[j]);
            if (from >= 0 && !edge_add(x, from, i)) return false;
        }
    }
    return true;
}

typedef struct order {
    int *at;          /* position -> group, under construction */
    int *waiting;     /* by group: edges from groups that have not run */
    int *rank;        /* by group: lower goes first among those ready */
    int *head, *link; /* adjacency: edges by their first group */
} order;

static void order_free(order *o) {
    free(o->at);
    free(o->waiting);
    free(o->rank);
    free(o->head);
    free(o->link);
}

static bool order_create(order *o, int n_groups, int n_edges) {
    size_t n = (size_t)n_groups + 1;
    *o = (order){ calloc(n, sizeof(int)), calloc(n, sizeof(int)), calloc(n, sizeof(int)), calloc(n, sizeof(int)),
                  calloc((size_t)n_edges + 1, sizeof(int)) };
    return o->at && o->waiting && o->rank && o->head && o->link;
}

/* Fills o->at. Returns the number of groups ordered: fewer than all means a cycle. A binary heap holds the ready
 * groups. */
static int sort(const glia_schedule *s, const edges *x, order *o, int *heap) {
    int n_ready = 0, done = 0;
    for (int i = 0; i < s->n_groups; i++) o->head[i] = -1, o->waiting[i] = 0;
    for (int i = 0; i < x->n; i++) {
        o->link[i] = o->head[x->e[i][0]];
        o->head[x->e[i][0]] = i;
        o->waiting[x->e[i][1]]++;
    }
#define BEFORE(a, b) (o->rank[a] != o->rank[b] ? o->rank[a] < o->rank[b] : (a) < (b))
    for (int next = 0; next < s->n_groups || n_ready;) {
        int added = -1;
        if (next < s->n_groups) added = o->waiting[next] == 0 ? next : -1, next++;
        if (added >= 0) {
            int i = n_ready++;
            for (; i > 0 && BEFORE(added, heap[(i - 1) / 2]); i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
            heap[i] = added;
        }
        if (next < s->n_groups) continue;
        if (n_ready == 0) break;
        int group = heap[0], last = heap[--n_ready], i = 0;
        for (int child; (child = 2 * i + 1) < n_ready; i = child) {
            if (child + 1 < n_ready && BEFORE(heap[child + 1], heap[child])) child++;
            if (!BEFORE(heap[child], last)) break;
            heap[i] = heap[child];
        }
        heap[i] = last;
        o->at[done++] = group;
        for (int e = o->head[group]; e >= 0; e = o->link[e]) {
            int after = x->e[e][1];
            if (--o->waiting[after]) continue;
            int j = n_ready++;
            for (; j > 0 && BEFORE(after, heap[(j - 1) / 2]); j = (j - 1) / 2) heap[j] = heap[(j - 1) / 2];
            heap[j] = after;
        }
    }
#undef BEFORE
    return done;
}

/* Whether the group reads this leaf's old value. */
static bool reads_leaf(const glia_schedule *s, const glia_group *g, const glia_node *leaf) {
    for (int i = 0; i < g->n_inputs; i++) {
        if (s->root[g->inputs[i]->id] == leaf) return true;
    }
    return false;
}

/* Whether the group may overwrite the leaf although it reads it: only elementwise at the leaf's own shape, or where it
 * only replaces parts. */
static bool overwrites_safely(const glia_schedule *s, const glia_backend *backend, const glia_group *g,
                              const glia_node *leaf) {
    if (!reads_leaf(s, g, leaf)) return true;
    if (!backend->kind->in_place || !backend->kind->in_place(backend, g)) return false;
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        for (int j = 0; j < n->n_in; j++) {
            if (s->root[n->in[j]->id] != leaf) continue;
            bool here = n->op->flags & GLIA_OP_ELEMENTWISE || (n->op->flags & GLIA_OP_OVERWRITES && j == 0);
            if (n->in[j] != leaf || !here || !glia_shape_equal(n->shape, leaf->shape)) return false;
        }
    }
    return true;
}

/* Adds the edges needed to make update u in place; false: impossible. *failed: out of memory. */
static bool try_in_place(const glia_schedule *s, const glia_backend *backend, int u, edges *x, bool *failed) {
    const glia_change *change = &s->graph->updates[u];
    const glia_node *value = s->root[change->value->id];
    int writer = s->group_of[value->id];
    if (writer < 0 || s->fixed[value->id]) return false; /* fixed: computed once, copied in each run */
    if (glia_shape_count(value->shape) != glia_shape_count(change->leaf->shape))
        return false; /* a view: the value is larger than the leaf */
    for (int v = 0; v < s->graph->n_updates; v++) {
        if (v != u && s->root[s->graph->updates[v].value->id] == value)
            return false; /* one value cannot overwrite two leaves */
    }
    for (int i = 0; i < s->graph->n_outputs; i++) {
        const glia_node *out = s->root[s->graph->outputs[i].node->id];
        if (out == change->leaf) return false; /* the old value is an output */
    }
    if (!overwrites_safely(s, backend, &s->groups[writer], change->leaf)) return false;
    for (int i = 0; i < s->n_groups; i++) {
        if (i == writer || !reads_leaf(s, &s->groups[i], change->leaf)) continue;
        if (!edge_add(x, i, writer)) {
            *failed = true;
            return false;
        }
    }
    return true;
}

static void rank_groups(const glia_schedule *s, order *o) {
    for (int i = 0; i < s->n_groups; i++) {
        const glia_node *newest = s->groups[i].nodes[s->groups[i].n_nodes - 1];
        o->rank[i] = s->fixed[newest->id] ? -2 : glia_shape_count(newest->shape) == 1 ? -1 : newest->id;
    }
    for (int u = 0; u < s->graph->n_updates; u++) {
        int writer = s->group_of[s->root[s->graph->updates[u].value->id]->id];
        if (writer >= 0) o->rank[writer] = -1;
    }
}

static bool apply(glia_schedule *s, const order *o, glia_group *sorted) {
    int *position = calloc((size_t)s->n_groups + 1, sizeof *position);
    if (!position) return false;
    for (int i = 0; i < s->n_groups; i++) {
        sorted[i] = s->groups[o->at[i]];
        position[o->at[i]] = i;
        const glia_group *g = &sorted[i];
        s->n_once += s->fixed[g->nodes[g->n_nodes - 1]->id];
    }
    for (int i = 0; i < s->graph->n_nodes; i++) {
        if (s->group_of[i] >= 0) s->group_of[i] = position[s->group_of[i]];
    }
    memcpy(s->groups, sorted, (size_t)s->n_groups * sizeof *sorted);
    free(position);
    return true;
}

/* Tries the updates in place one after the other; each is kept only if the groups can still be ordered. */
static glia_status arrange(glia_schedule *s, const glia_backend *backend, edges *x, glia_error *error) {
    order o = { 0 };
    int *heap = calloc((size_t)s->n_groups + 1, sizeof *heap);
    glia_group *sorted = calloc((size_t)s->n_groups + 1, sizeof *sorted);
    bool failed = !heap || !sorted;
    int sure = x->n;
    for (int u = 0; !failed && u < s->graph->n_updates; u++) {
        s->in_place[u] = try_in_place(s, backend, u, x, &failed);
        if (!s->in_place[u]) x->n = sure;
        sure = x->n;
    }
    failed = failed || !order_create(&o, s->n_groups, x->n);
    int done = 0;
    if (!failed) {
        rank_groups(s, &o);
        done = sort(s, x, &o, heap);
        if (done < s->n_groups) { /* some update closes a cycle: try them one at a time */
            x->n = 0;
            failed = !data_edges(s, x);
            for (int u = 0; !failed && u < s->graph->n_updates; u++) {
                sure = x->n;
                if (s->in_place[u])
                    s->in_place[u] = try_in_place(s, backend, u, x, &failed) && sort(s, x, &o, heap) == s->n_groups;
                if (!s->in_place[u]) x->n = sure;
            }
            done = failed ? 0 : sort(s, x, &o, heap);
        }
        failed = failed || (done == s->n_groups && !apply(s, &o, sorted));
    }
    order_free(&o);
    free(heap);
    free(sorted);
    if (failed) return glia_fail_nomem(error);
    if (done < s->n_groups) return glia_fail(error, GLIA_E_INTERNAL, "the groups depend on each other in a cycle");
    return GLIA_OK;
}

glia_status glia_pass_schedule(glia_schedule *s, const glia_backend *backend, glia_error *error) {
    edges x = { 0 };
    glia_status status = data_edges(s, &x) ? arrange(s, backend, &x, error) : glia_fail_nomem(error);
    free(x.e);
    return status;
}
