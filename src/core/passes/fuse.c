/* fuse.c - collects nodes into groups, so that values passed between them stay in registers and cache.
 *
 * One pass over the nodes, in topological order. An elementwise node joins the group that computes one of its operands,
 * if
 *
 *   - operand and node have one shape, and the operand is read directly (not through a reshape, a broadcast or a
 *     reduction, which need the whole value first), and
 *   - no other operand comes from a group that depends on this one: groups must stay free of cycles.
 *
 * If it reads from several LOOP groups that do not depend on each other, they are merged. A reduction ends the LOOP
 * group that computes its operand. A row reduction may be read in the group if the backend supports it: a row's sum is
 * known before the row leaves the cache, so softmax is one group. A matrix product or convolution starts an EPILOGUE
 * group. A broadcast that only elementwise nodes read is not computed: each group that reads it holds a copy of the
 * node and reads its source with stride zero.
 *
 * In a frozen program fixed values (fixed.c) have separate groups: nodes that run once and nodes that run in every run
 * never share a group.
 *
 *       x   w        before: conv | add | max | mul | sum     five passes over memory
 *        conv        after:  conv+add+max | mul+sum           two
 *         │ b
 *        add ...
 */
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "core/passes/passes.h"

enum { MOST_MEMBERS = 64 };

/* A group under construction. Its members are a list through builder.next, newest first. */
typedef struct forming {
    glia_group_kind kind;
    glia_shape space, axes; /* axes: of its reductions other than row reductions, if any */
    bool reduces;
    bool fixed; /* frozen: its members are fixed values */
    int first, n_members;
    int mark; /* the last search that visited it */
} forming;

typedef struct builder {
    const glia_graph *graph;
    const glia_backend *backend;
    bool fusion, frozen;
    forming *groups;
    int n_groups;
    int *group_of, *next;
    glia_node **root;
    size_t *behind;
    bool *alias; /* by id: its bytes are part of another value's */
    bool *fixed;
    bool *in_place_broadcast; /* by id: read by elementwise nodes only, never materialised */
    bool *fusable, *wanted;
    bool *stays_out; /* by id: elementwise, but must not be in an epilogue */
    int search;      /* number of the current search */
    int *stack;
} builder;

static bool is_fusable(const builder *b, const glia_node *n) { return b->fusion && glia_is_fusable(b->backend, n); }

static bool is_anchor(const builder *b, const glia_node *n) {
    const glia_backend_kind *k = b->backend->kind;
    return b->fusion && k->anchors && k->anchors(b->backend, n);
}

static bool is_reduction(const builder *b, const glia_node *n) {
    const glia_backend_kind *k = b->backend->kind;
    return b->fusion && k->reduces && k->reduces(b->backend, n);
}

static bool is_row_reduction(const builder *b, const glia_node *n) {
    const glia_backend_kind *k = b->backend->kind;
    return is_reduction(b, n) && k->reduces_rows && k->reduces_rows(b->backend, n);
}

static bool is_immediate(const glia_node *n) {
    double value;
    return glia_is_constant_scalar(n, &value);
}

/* The node whose bytes an operand reads: skips unmaterialised broadcasts and aliases. */
static glia_node *source(const builder *b, const glia_node *operand) {
    if (b->in_place_broadcast[operand->id]) operand = operand->in[0];
    return b->root[operand->id];
}

/* ---- facts about nodes ---------------------------------------------------------------------- */

/* Whether the slice is one contiguous part of its input; *behind: its offset in bytes. */
static bool is_piece(const glia_node *n, size_t *behind) {
    const glia_slice_attrs *a = n->attrs;
    const glia_shape from = n->in[0]->shape;
    int64_t stride[GLIA_MAX_RANK];
    glia_shape_strides(from, stride);
    bool whole = true; /* the axes after this one */
    *behind = 0;
    for (int i = from.rank - 1; i >= 0; i--) {
        if (n->shape.dim[i] > 1 && (!whole || a->step.dim[i] != 1)) return false;
        whole = whole && n->shape.dim[i] == from.dim[i];
        *behind += (size_t)(a->start.dim[i] * stride[i]) * glia_dtype_size(n->dtype);
    }
    return true;
}

/* keeps[id]: an output of the graph or a new value of a leaf, or a source of the bytes of one. */
static void find_keeps(const builder *b, bool *keeps) {
    const glia_graph *g = b->graph;
    for (int i = 0; i < g->n_outputs; i++) keeps[g->outputs[i].node->id] = true;
    for (int i = 0; i < g->n_updates; i++) keeps[g->updates[i].value->id] = true;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const glia_node *n = g->nodes[i];
        const bool passes_on = (n->op->flags & GLIA_OP_ALIAS) || n->op == &glia_op_slice;
        if (passes_on && keeps[i]) keeps[n->in[0]->id] = true;
    }
}

/* Whether the slice can be a view: it is one contiguous part of memory, aligned as kernels need. An output of the
 * program must not be a view of a leaf, which an update may change. */
static bool is_view(const builder *b, const glia_node *n, const bool *keeps, size_t *behind) {
    if (n->op != &glia_op_slice || !is_piece(n, behind) || *behind % GLIA_ALIGN) return false;
    const glia_node *root = b->root[n->in[0]->id];
    return !keeps[n->id] || !(root->op->flags & GLIA_OP_LEAF);
}

static void find_roots(builder *b, const bool *keeps) {
    for (int i = 0; i < b->graph->n_nodes; i++) {
        glia_node *n = b->graph->nodes[i];
        size_t behind = 0;
        b->alias[i] = (n->op->flags & GLIA_OP_ALIAS) || is_view(b, n, keeps, &behind);
        b->root[i] = b->alias[i] ? b->root[n->in[0]->id] : n;
        b->behind[i] = b->alias[i] ? b->behind[n->in[0]->id] + behind : 0;
        b->fusable[i] = is_fusable(b, n);
        b->group_of[i] = b->next[i] = -1;
    }
}

/* Finds elementwise nodes that end only in new values of leaves or in reductions. An optimiser's arithmetic reads a
 * gradient several times and writes several leaves: as an epilogue of the product that computes the gradient it would
 * store every intermediate result; in a separate loop it stores none and runs in place. An epilogue cannot reduce, so
 * operands of reductions would have to be stored. */
static void find_loop_work(builder *b) {
    const glia_graph *g = b->graph;
    for (int i = 0; i < g->n_nodes; i++) b->stays_out[i] = b->fusable[i];
    for (int i = 0; i < g->n_outputs; i++) b->stays_out[g->outputs[i].node->id] = false;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const glia_node *n = g->nodes[i];
        for (int j = 0; j < n->n_in && !b->stays_out[i] && !is_reduction(b, n); j++) b->stays_out[n->in[j]->id] = false;
    }
}

static void find_broadcasts(builder *b) {
    const glia_graph *g = b->graph;
    for (int i = 0; i < g->n_nodes; i++) b->in_place_broadcast[i] = b->fusion && g->nodes[i]->op == &glia_op_broadcast;
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        for (int j = 0; j < n->n_in && !b->fusable[i]; j++) b->in_place_broadcast[n->in[j]->id] = false;
    }
    for (int i = 0; i < g->n_outputs; i++) b->in_place_broadcast[g->outputs[i].node->id] = false;
    for (int i = 0; i < g->n_updates; i++) b->in_place_broadcast[g->updates[i].value->id] = false;
}

/* ---- groups and their dependencies ----------------------------------------------------------- */

static int group_create(builder *b, glia_group_kind kind, glia_shape space, const glia_node *first) {
    b->groups[b->n_groups] = (forming){ .kind = kind, .space = space, .fixed = b->fixed[first->id], .first = -1 };
    return b->n_groups++;
}

static void group_add(builder *b, int group, const glia_node *n) {
    b->group_of[n->id] = group;
    b->next[n->id] = b->groups[group].first;
    b->groups[group].first = n->id;
    b->groups[group].n_members++;
}

static void group_merge(builder *b, int into, int from) {
    forming *f = &b->groups[from];
    if (f->reduces) b->groups[into].reduces = true, b->groups[into].axes = f->axes;
    for (int id = f->first, next; id >= 0; id = next) {
        next = b->next[id];
        group_add(b, into, b->graph->nodes[id]);
    }
    f->first = -1;
    f->n_members = 0;
}

/* Whether group a reads, directly or through others, a value of group c. (a == c: through others only.) */
static bool waits_for(builder *b, int a, int c) {
    int depth = 0, search = ++b->search;
    b->stack[depth++] = a;
    b->groups[a].mark = search;
    while (depth) {
        int group = b->stack[--depth];
        for (int id = b->groups[group].first; id >= 0; id = b->next[id]) {
            const glia_node *n = b->graph->nodes[id];
            for (int i = 0; i < n->n_in; i++) {
                int from = b->group_of[source(b, n->in[i])->id];
                if (from < 0 || from == group) continue;
                if (from == c) return true;
                if (b->groups[from].mark == search) continue;
                b->groups[from].mark = search;
                b->stack[depth++] = from;
            }
        }
    }
    return false;
}

/* Whether the operand can be passed element by element from the group that computes it. */
static bool handed_over(const builder *b, const glia_node *operand, glia_shape space) {
    int group = b->group_of[operand->id];
    if (group < 0 || b->groups[group].kind == GLIA_GROUP_SINGLE) return false;
    const glia_node *anchor = b->groups[group].kind == GLIA_GROUP_EPILOGUE ? operand : NULL;
    bool element = b->fusable[operand->id] || (anchor && is_anchor(b, anchor));
    return element && glia_shape_equal(operand->shape, space) && glia_shape_equal(b->groups[group].space, space);
}

/* The LOOP group that passes one value per row to n, directly or through a broadcast: a row reduction, or elementwise
 * nodes on one. -1: none. */
static int hands_rows(const builder *b, const glia_node *n, const glia_node *operand) {
    const bool broadcast = b->in_place_broadcast[operand->id];
    const glia_node *from = broadcast ? operand->in[0] : operand;
    const int group = b->group_of[from->id];
    if (group < 0 || b->groups[group].kind != GLIA_GROUP_LOOP) return -1;
    const glia_shape space = b->groups[group].space;
    glia_shape rows = space;
    if (space.rank == 0 || (!b->fusable[from->id] && !is_row_reduction(b, from))) return -1;
    rows.dim[rows.rank - 1] = 1;
    if (!glia_shape_equal(from->shape, rows) || glia_shape_equal(rows, space)) return -1;
    return glia_shape_equal(n->shape, broadcast ? space : rows) && glia_shape_equal(operand->shape, n->shape) ? group
                                                                                                              : -1;
}

/* Whether node n may join the group: its operands from there must be passed by element, the others must not depend on
 * it. */
static bool may_join(builder *b, const glia_node *n, int group) {
    const forming *f = &b->groups[group];
    if (f->fixed != b->fixed[n->id]) return false;
    if (f->n_members >= MOST_MEMBERS || (f->kind == GLIA_GROUP_EPILOGUE && b->stays_out[n->id])) return false;
    for (int i = 0; i < n->n_in; i++) {
        const glia_node *from = source(b, n->in[i]);
        int other = b->group_of[from->id];
        if (other == group) {
            const bool element = n->in[i] == from && handed_over(b, from, n->shape);
            if (!element && hands_rows(b, n, n->in[i]) != group) return false;
        } else if (other >= 0 && waits_for(b, other, group)) {
            return false;
        }
    }
    return true;
}

static bool same_reductions(const forming *x, const forming *y) {
    return !x->reduces || !y->reduces || glia_shape_equal(x->axes, y->axes);
}

/* The group that an elementwise node joins: an epilogue rather than a loop, newer rather than older; -1: none. */
static int choose(builder *b, const glia_node *n) {
    int best = -1;
    for (int i = 0; i < n->n_in; i++) {
        int group = handed_over(b, n->in[i], n->shape) ? b->group_of[n->in[i]->id] : hands_rows(b, n, n->in[i]);
        if (group < 0) continue;
        bool better = best < 0 || b->groups[group].kind > b->groups[best].kind ||
                      (b->groups[group].kind == b->groups[best].kind && group > best);
        if (better && may_join(b, n, group)) best = group;
    }
    return best;
}

/* Whether a member of the group reads the source of operand `in` at this shape. */
static bool reads(const builder *b, int group, const glia_node *in, glia_shape space) {
    if (!glia_shape_equal(in->shape, space) || b->in_place_broadcast[in->id] || is_immediate(in)) return false;
    for (int id = b->groups[group].first; id >= 0; id = b->next[id]) {
        const glia_node *n = b->graph->nodes[id];
        for (int i = 0; i < n->n_in; i++) {
            if (n->in[i] == in) return true;
        }
    }
    return false;
}

/* A LOOP group over the same space that n, a reduction or its operand, may join because it reads one of n's operands
 * too, so that one pass computes both. -1: none. */
static int sibling(builder *b, const glia_node *n, const forming *wanted) {
    for (int group = b->n_groups - 1; group >= 0; group--) {
        const forming *f = &b->groups[group];
        if (f->kind != GLIA_GROUP_LOOP || f->n_members == 0 || !glia_shape_equal(f->space, wanted->space)) continue;
        if (!same_reductions(f, wanted)) continue;
        bool shares = false;
        for (int i = 0; i < n->n_in; i++) shares = shares || reads(b, group, n->in[i], wanted->space);
        if (shares && may_join(b, n, group)) return group;
    }
    return -1;
}

static void place_elementwise(builder *b, const glia_node *n) {
    int group = choose(b, n);
    if (group < 0 && b->stays_out[n->id]) group = sibling(b, n, &(forming){ .space = n->shape });
    if (group < 0) group = group_create(b, GLIA_GROUP_LOOP, n->shape, n);
    for (int i = 0; i < n->n_in && b->groups[group].kind == GLIA_GROUP_LOOP; i++) {
        int other = b->group_of[n->in[i]->id];
        if (other < 0 || other == group || !handed_over(b, n->in[i], n->shape)) continue;
        forming *x = &b->groups[group], *y = &b->groups[other];
        if (!glia_shape_equal(x->space, y->space)) continue;
        if (y->kind != GLIA_GROUP_LOOP || x->n_members + y->n_members >= MOST_MEMBERS || !same_reductions(x, y))
            continue;
        if (!waits_for(b, group, other) && !waits_for(b, other, group) && may_join(b, n, other))
            group_merge(b, group, other);
    }
    group_add(b, group, n);
}

static void place_reduction(builder *b, const glia_node *n) {
    const glia_reduce_attrs *attrs = n->attrs;
    const glia_node *x = n->in[0];
    int group = b->group_of[x->id];
    const bool ends = !is_row_reduction(b, n);
    forming wanted = { .reduces = ends, .space = x->shape, .axes = attrs->axes };
    bool joins = handed_over(b, x, x->shape) && b->groups[group].kind == GLIA_GROUP_LOOP &&
                 b->groups[group].n_members < MOST_MEMBERS && same_reductions(&b->groups[group], &wanted);
    if (!joins) group = sibling(b, n, &wanted);
    if (group < 0) group = group_create(b, GLIA_GROUP_LOOP, x->shape, n);
    if (ends) b->groups[group].reduces = true, b->groups[group].axes = attrs->axes;
    group_add(b, group, n);
}

static void place(builder *b, const glia_node *n) {
    if ((n->op->flags & GLIA_OP_LEAF) || b->alias[n->id] || b->in_place_broadcast[n->id]) return;
    if (b->fusable[n->id]) {
        place_elementwise(b, n);
    } else if (is_reduction(b, n)) {
        place_reduction(b, n);
    } else {
        group_add(b, group_create(b, is_anchor(b, n) ? GLIA_GROUP_EPILOGUE : GLIA_GROUP_SINGLE, n->shape, n), n);
    }
}

/* ---- building the final groups --------------------------------------------------------------- */

/* wanted[id]: the value is read outside the group that computes it. */
static void find_wanted(builder *b) {
    const glia_graph *g = b->graph;
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        if (b->group_of[i] < 0) continue;
        for (int j = 0; j < n->n_in; j++) {
            const glia_node *from = source(b, n->in[j]);
            if (b->group_of[from->id] != b->group_of[i]) b->wanted[from->id] = true;
        }
    }
    for (int i = 0; i < g->n_outputs; i++) b->wanted[b->root[g->outputs[i].node->id]->id] = true;
    for (int i = 0; i < g->n_updates; i++) b->wanted[b->root[g->updates[i].value->id]->id] = true;
}

static void add_once(glia_node **list, int *n, glia_node *node) {
    for (int i = 0; i < *n; i++) {
        if (list[i] == node) return;
    }
    list[(*n)++] = node;
}

static int by_id(const void *a, const void *b) { return (*(glia_node *const *)a)->id - (*(glia_node *const *)b)->id; }

static bool finish(const builder *b, const forming *f, glia_group *out, glia_arena *arena) {
    int operands = 0;
    for (int id = f->first; id >= 0; id = b->next[id]) operands += b->graph->nodes[id]->n_in;
    size_t most = (size_t)(f->n_members + 2 * operands) * sizeof(glia_node *);
    *out = (glia_group){ .kind = f->kind,
                         .space = f->space,
                         .fixed = b->frozen && !f->fixed ? b->fixed : NULL,
                         .nodes = glia_arena_alloc(arena, most),
                         .inputs = glia_arena_alloc(arena, most),
                         .outputs = glia_arena_alloc(arena, most) };
    if (!out->nodes || !out->inputs || !out->outputs) return false;
    int group = b->group_of[f->first];
    for (int id = f->first; id >= 0; id = b->next[id]) {
        glia_node *n = b->graph->nodes[id];
        add_once(out->nodes, &out->n_nodes, n);
        if (b->wanted[id]) out->outputs[out->n_outputs++] = n;
        for (int i = 0; i < n->n_in; i++) {
            glia_node *in = n->in[i];
            if (b->fusable[id] && b->in_place_broadcast[in->id]) {
                add_once(out->nodes, &out->n_nodes, in);
                in = in->in[0];
            }
            if (b->fusable[id] && is_immediate(in)) {
                add_once(out->nodes, &out->n_nodes, in);
            } else if (b->group_of[in->id] != group) {
                add_once(out->inputs, &out->n_inputs, in);
            }
        }
    }
    qsort(out->nodes, (size_t)out->n_nodes, sizeof *out->nodes, by_id);
    qsort(out->outputs, (size_t)out->n_outputs, sizeof *out->outputs, by_id);
    qsort(out->inputs, (size_t)out->n_inputs, sizeof *out->inputs, by_id);
    if (f->kind == GLIA_GROUP_LOOP) return true;
    if (f->n_members == 1) out->kind = GLIA_GROUP_SINGLE;
    for (int i = 0; i < out->n_nodes; i++) {
        if (!b->fusable[out->nodes[i]->id] && b->group_of[out->nodes[i]->id] == group) out->anchor = out->nodes[i];
    }
    return true;
}

static bool builder_create(builder *b, glia_schedule *s) {
    size_t n = (size_t)b->graph->n_nodes + 1;
    b->groups = calloc(n, sizeof *b->groups);
    b->next = calloc(n, sizeof *b->next);
    b->stack = calloc(n, sizeof *b->stack);
    b->in_place_broadcast = calloc(n, sizeof(bool));
    b->fusable = calloc(n, sizeof(bool));
    b->stays_out = calloc(n, sizeof(bool));
    b->wanted = calloc(n, sizeof(bool));
    s->group_of = b->group_of = calloc(n, sizeof *b->group_of);
    s->root = b->root = calloc(n, sizeof(glia_node *));
    s->behind = b->behind = calloc(n, sizeof *b->behind);
    b->alias = calloc(n, sizeof(bool));
    s->in_place = calloc((size_t)b->graph->n_updates + 1, sizeof(bool));
    s->fixed = b->fixed = calloc(n, sizeof(bool));
    return b->groups && b->next && b->stack && b->in_place_broadcast && b->fusable && b->stays_out && b->wanted &&
           b->group_of && b->root && b->behind && b->alias && s->in_place && b->fixed;
}

static void builder_free(builder *b) {
    free(b->groups);
    free(b->next);
    free(b->stack);
    free(b->alias);
    free(b->in_place_broadcast);
    free(b->fusable);
    free(b->stays_out);
    free(b->wanted);
}

static bool build(builder *b, glia_schedule *s) {
    find_keeps(b, b->wanted);
    find_roots(b, b->wanted);
    for (int i = 0; i < b->graph->n_nodes; i++) b->wanted[i] = false;
    find_broadcasts(b);
    find_loop_work(b);
    for (int i = 0; i < b->graph->n_nodes; i++) place(b, b->graph->nodes[i]);
    find_wanted(b);
    s->groups = calloc((size_t)b->n_groups + 1, sizeof *s->groups);
    if (!s->groups) return false;
    for (int i = 0; i < b->n_groups; i++) {
        if (b->groups[i].n_members == 0) continue; /* merged into another */
        if (!finish(b, &b->groups[i], &s->groups[s->n_groups], &s->arena)) return false;
        for (int id = b->groups[i].first; id >= 0; id = b->next[id]) b->group_of[id] = b->n_groups + s->n_groups;
        s->n_groups++;
    }
    for (int i = 0; i < b->graph->n_nodes; i++) {
        if (b->group_of[i] >= 0)
            b->group_of[i] -= b->n_groups; /* final indices, shifted above while both were in use */
    }
    return true;
}

glia_status glia_pass_fuse(const glia_graph *graph, const glia_backend *backend, glia_fuse_opts opts,
                           glia_schedule *schedule, glia_error *error) {
    *schedule = (glia_schedule){ .graph = graph };
    builder b = { .graph = graph, .backend = backend, .fusion = !opts.no_fusion, .frozen = opts.frozen };
    bool ok = builder_create(&b, schedule);
    if (ok && b.frozen) glia_find_fixed(graph, opts.changing, b.fixed);
    ok = ok && build(&b, schedule);
    builder_free(&b);
    if (ok) return GLIA_OK;
    glia_schedule_free(schedule);
    return glia_fail_nomem(error);
}

void glia_schedule_free(glia_schedule *s) {
    for (glia_inner *inner = s->inners, *next; inner; inner = next) {
        next = inner->next;
        glia_plan_free(&inner->plan);
        glia_schedule_free(&inner->schedule);
        glia_graph_free(inner->graph);
        free(inner);
    }
    free(s->groups);
    free(s->group_of);
    free(s->root);
    free(s->behind);
    free(s->in_place);
    free(s->fixed);
    glia_arena_free(&s->arena);
    *s = (glia_schedule){ 0 };
}
