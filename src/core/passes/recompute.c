/* recompute.c - values that are cheaper to compute again than to store.
 *
 * Groups pass values through memory: the producer writes, each reader reads. If a value needs only a few operations on
 * values that are in memory anyway, its readers recompute it, and it is never stored:
 *
 *     d = x - mean      stored:      write d; read d in the backward pass
 *     y = d a + b       recomputed:  read x in the backward pass, which others need as well
 *
 * The operations that readers repeat, the value's cone, end at values in memory: leaves, other groups' results, and
 * other values that the value's own group stores. Both ways have a cost per element: bytes read and written, where
 * writes count twice because the cache line is read first, and a byte or more for each repeated operation. The cheaper
 * way is used for all readers together, because memory traffic is saved only if no reader needs the stored value.
 */
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "core/passes/passes.h"

enum { MOST_CONE = 8 };

typedef struct cone {
    glia_node *nodes[MOST_CONE];      /* to be repeated: elementwise nodes and in-place broadcasts */
    int n_nodes, n_begun;             /* number of nodes, and of nodes whose operands are done */
    glia_node *inputs[3 * MOST_CONE]; /* values they read from memory, and constants */
    int n_inputs;
} cone;

typedef struct pass {
    glia_schedule *s;
    const glia_backend *backend;
    bool *needed; /* by id: a graph output, a new value of a leaf, or read through an alias */
    int *mark;    /* by id, scratch */
} pass;

static bool contains(glia_node *const *list, int n, const glia_node *node) {
    for (int i = 0; i < n; i++) {
        if (list[i] == node) return true;
    }
    return false;
}

static bool is_immediate(const glia_node *n) {
    double value;
    return glia_is_constant_scalar(n, &value);
}

static bool is_elementwise(const pass *p, const glia_node *n) { return glia_is_fusable(p->backend, n); }

int glia_price_of(const glia_node *n) {
    static const glia_op *const slow[] = {
        &glia_op_exp,  &glia_op_expm1,      &glia_op_log,       &glia_op_log1p,          &glia_op_sin,
        &glia_op_cos,  &glia_op_tanh,       &glia_op_erf,       &glia_op_sigmoid,        &glia_op_pow,
        &glia_op_gelu, &glia_op_gelu_slope, &glia_op_gelu_tanh, &glia_op_gelu_tanh_slope
    };
    static const glia_op *const medium[] = { &glia_op_div, &glia_op_sqrt, &glia_op_rsqrt };
    for (int i = 0; i < GLIA_COUNT(slow); i++) {
        if (n->op == slow[i]) return 12;
    }
    for (int i = 0; i < GLIA_COUNT(medium); i++) {
        if (n->op == medium[i]) return 4;
    }
    return n->op == &glia_op_broadcast ? 0 : 1;
}

/* ---- cones ------------------------------------------------------------------------------------------ */

/* Adds v, computed by group g, and the operations it needs; false: it cannot be repeated elsewhere. */
static bool grow(const pass *p, const glia_group *g, glia_node *v, cone *c) {
    if (contains(c->nodes, c->n_nodes, v)) return true;
    const bool broadcast = v->op == &glia_op_broadcast;
    if (c->n_begun++ == MOST_CONE || (!broadcast && !is_elementwise(p, v))) return false;
    if (!broadcast && !glia_shape_equal(v->shape, g->space)) return false;
    for (int i = 0; i < v->n_in; i++) {
        glia_node *in = v->in[i];
        const bool in_memory = contains(g->inputs, g->n_inputs, in) || contains(g->outputs, g->n_outputs, in);
        if (in_memory || is_immediate(in)) {
            if (!contains(c->inputs, c->n_inputs, in)) c->inputs[c->n_inputs++] = in;
        } else if (!contains(g->nodes, g->n_nodes, in) || !grow(p, g, in, c)) {
            return false;
        }
    }
    c->nodes[c->n_nodes++] = v;
    return true;
}

/* Whether group g, a reader of v, can compute it: all its members must read v elementwise. */
static bool takes_elements(const pass *p, const glia_group *g, const glia_node *v) {
    if (g->kind == GLIA_GROUP_SINGLE || !glia_shape_equal(g->space, v->shape)) return false;
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        if (!contains(n->in, n->n_in, v)) continue;
        if (n == g->anchor || n->op == &glia_op_broadcast) return false;
        const bool reduces = !(n->op->flags & GLIA_OP_ELEMENTWISE);
        if (reduces ? g->kind != GLIA_GROUP_LOOP : !is_elementwise(p, n)) return false;
    }
    return true;
}

/* The cost per element of the cone in this reader. */
static int64_t price_in(const cone *c, const glia_group *g) {
    int64_t price = 0;
    for (int i = 0; i < c->n_nodes; i++)
        price += contains(g->nodes, g->n_nodes, c->nodes[i]) ? 0 : glia_price_of(c->nodes[i]);
    for (int i = 0; i < c->n_inputs; i++) {
        const glia_node *in = c->inputs[i];
        const bool small = is_immediate(in) || !glia_shape_equal(in->shape, g->space);
        if (!small && !contains(g->inputs, g->n_inputs, in)) price += (int64_t)glia_dtype_size(in->dtype);
    }
    return price;
}

/* ---- rewriting groups --------------------------------------------------------------------------------- */

static void drop(glia_node **list, int *n, const glia_node *node) {
    int kept = 0;
    for (int i = 0; i < *n; i++) {
        if (list[i] != node) list[kept++] = list[i];
    }
    *n = kept;
}

static int by_id(const void *a, const void *b) { return (*(glia_node *const *)a)->id - (*(glia_node *const *)b)->id; }

/* A merged list, sorted, without duplicates; NULL: out of memory. */
static glia_node **joined(glia_arena *arena, glia_node **list, int *n, glia_node **more, int n_more) {
    glia_node **all = glia_arena_alloc(arena, (size_t)(*n + n_more + 1) * sizeof(glia_node *));
    if (!all) return NULL;
    memcpy(all, list, (size_t)*n * sizeof(glia_node *));
    for (int i = 0; i < n_more; i++) {
        if (!contains(all, *n, more[i])) all[(*n)++] = more[i];
    }
    qsort(all, (size_t)*n, sizeof(glia_node *), by_id);
    return all;
}

/* Adds the computation of v to the reader. */
static bool repeat_in(glia_schedule *s, glia_group *g, const glia_node *v, cone *c) {
    glia_node *constants[3 * MOST_CONE], *inputs[3 * MOST_CONE];
    int n_constants = 0, n_inputs = 0;
    for (int i = 0; i < c->n_inputs; i++) {
        if (is_immediate(c->inputs[i]))
            constants[n_constants++] = c->inputs[i];
        else
            inputs[n_inputs++] = c->inputs[i];
    }
    drop(g->inputs, &g->n_inputs, v);
    g->nodes = joined(&s->arena, g->nodes, &g->n_nodes, c->nodes, c->n_nodes);
    if (g->nodes) g->nodes = joined(&s->arena, g->nodes, &g->n_nodes, constants, n_constants);
    if (g->nodes) g->inputs = joined(&s->arena, g->inputs, &g->n_inputs, inputs, n_inputs);
    return g->nodes && g->inputs;
}

/* Removes members that no output of the group needs, and unused inputs. */
static void prune(pass *p, glia_group *g, int index) {
    enum { WANTED = 1 };
    for (int i = 0; i < g->n_nodes; i++) p->mark[g->nodes[i]->id] = 0;
    for (int i = 0; i < g->n_inputs; i++) p->mark[g->inputs[i]->id] = 0;
    for (int i = 0; i < g->n_outputs; i++) p->mark[g->outputs[i]->id] = WANTED;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const glia_node *n = g->nodes[i];
        for (int k = 0; k < n->n_in && p->mark[n->id]; k++) p->mark[n->in[k]->id] = WANTED;
    }
    int kept = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        glia_node *n = g->nodes[i];
        if (p->mark[n->id])
            g->nodes[kept++] = n;
        else if (p->s->group_of[n->id] == index)
            p->s->group_of[n->id] = -1;
    }
    g->n_nodes = kept;
    kept = 0;
    for (int i = 0; i < g->n_inputs; i++) {
        if (p->mark[g->inputs[i]->id]) g->inputs[kept++] = g->inputs[i];
    }
    g->n_inputs = kept;
    if (g->kind == GLIA_GROUP_EPILOGUE && g->n_nodes == 1) g->kind = GLIA_GROUP_SINGLE;
}

/* Removes empty groups. */
static void close_ranks(pass *p) {
    glia_schedule *s = p->s;
    int *position = p->mark, n = 0;
    for (int i = 0; i < s->n_groups; i++) {
        position[i] = n;
        if (s->groups[i].n_nodes > 0) s->groups[n++] = s->groups[i];
    }
    s->n_groups = n;
    for (int i = 0; i < s->graph->n_nodes; i++) {
        if (s->group_of[i] >= 0) s->group_of[i] = position[s->group_of[i]];
    }
}

/* ---- the pass --------------------------------------------------------------------------------------------- */

static void find_needed(pass *p) {
    const glia_graph *g = p->s->graph;
    glia_node **root = p->s->root;
    for (int i = 0; i < g->n_outputs; i++) p->needed[root[g->outputs[i].node->id]->id] = true;
    for (int i = 0; i < g->n_updates; i++) p->needed[root[g->updates[i].value->id]->id] = true;
    for (int i = 0; i < p->s->n_groups; i++) {
        for (int j = 0; j < p->s->groups[i].n_inputs; j++) {
            const glia_node *in = p->s->groups[i].inputs[j];
            if (root[in->id] != in) p->needed[root[in->id]->id] = true;
        }
    }
}

/* Recomputes v in all groups that read it, if that is cheaper than storing it. false: out of memory. */
static bool consider(pass *p, glia_node *v) {
    glia_schedule *s = p->s;
    const int maker = s->group_of[v->id];
    if (maker < 0 || p->needed[v->id] || s->fixed[v->id] || !is_elementwise(p, v)) return true;
    glia_group *g = &s->groups[maker];
    cone c = { 0 };
    if (g->kind == GLIA_GROUP_SINGLE || !contains(g->outputs, g->n_outputs, v)) return true;
    drop(g->outputs, &g->n_outputs, v); /* not in memory, in case other nodes of the cone read it */
    const bool can = grow(p, g, v, &c);
    const int64_t size = (int64_t)glia_dtype_size(v->dtype);
    int64_t stored = 2 * size, repeated = 0;
    bool all = can;
    for (int i = 0; i < s->n_groups && all; i++) {
        if (!contains(s->groups[i].inputs, s->groups[i].n_inputs, v)) continue;
        all = takes_elements(p, &s->groups[i], v);
        stored += size;
        repeated += price_in(&c, &s->groups[i]);
    }
    if (!all || repeated >= stored) {
        g->outputs[g->n_outputs++] = v;
        qsort(g->outputs, (size_t)g->n_outputs, sizeof(glia_node *), by_id);
        return true;
    }
    for (int i = 0; i < s->n_groups; i++) {
        if (contains(s->groups[i].inputs, s->groups[i].n_inputs, v) && !repeat_in(s, &s->groups[i], v, &c))
            return false;
    }
    prune(p, g, maker);
    return true;
}

glia_status glia_pass_recompute(glia_schedule *s, const glia_backend *backend, glia_error *error) {
    size_t n = (size_t)s->graph->n_nodes + 1;
    pass p = { .s = s, .backend = backend, .needed = calloc(n, sizeof(bool)), .mark = calloc(n, sizeof(int)) };
    bool ok = p.needed && p.mark;
    if (ok) find_needed(&p);
    for (int i = 0; ok && i < s->graph->n_nodes; i++) ok = consider(&p, s->graph->nodes[i]);
    if (ok) close_ranks(&p);
    free(p.needed);
    free(p.mark);
    return ok ? GLIA_OK : glia_fail_nomem(error);
}
