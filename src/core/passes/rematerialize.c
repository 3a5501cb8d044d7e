/* rematerialize.c - recomputes values for readers that run much later.
 *
 * Values of the forward pass that the backward pass reads occupy memory in between. A value that a few elementwise
 * operations compute from values kept for others anyway need not be kept (rematerialization: Briggs,
 * Cooper and Torczon 1992; for training Chen et al. 2016, "Training deep nets with sublinear memory cost"):
 *
 *     x = conv(..)                      kept, the backward pass of the batch norm reads it
 *     y = relu(x a + b)                 read by the next convolution, and dropped
 *        ...
 *     y' = relu(x a + b)                read by the gradient of the next convolution's kernel, and dropped
 *
 * This costs one pass over memory, so it is done for large values and wide gaps only. Unlike recompute.c, which lets
 * each reader compute the value element by element as it reads, this serves readers that need it in memory.
 */
#include <stdlib.h>

#include "core/ops/ops.h"
#include "core/passes/passes.h"

enum {
    MOST_CONE = 8,   /* operations that recompute a value, */
    MOST_PRICE = 8,  /* their cost per element (glia_price_of) */
    LEAST = 1 << 20, /* minimum size of such a value in bytes */
    WIDE = 4,        /* others must store this many times its bytes in the gap */
    SMALL = 1 << 8,  /* a value this many times smaller may be kept */
    MOST_INPUTS = 16 /* of a reader; one with more inputs is not changed */
};

/* The operations to be repeated, in topological order; the last one computes the value. */
typedef struct cone {
    const glia_node *nodes[MOST_CONE];
    int n, price;
} cone;

typedef struct pass {
    const glia_graph *graph;
    const glia_backend *backend;
    int *first_reader, *next_reader, *reader; /* by id, by edge: lists of readers, oldest first */
    int64_t *stored;                          /* by id: bytes of older values that are certainly stored */
    int *late;                                /* by id: the first reader of the second computation; 0: computed once */
    glia_tensor *made, *again;                /* by id, in the new graph */
} pass;

static int64_t bytes_of(const glia_node *n) { return (int64_t)glia_shape_bytes(n->shape, n->dtype); }

static bool is_elementwise(const pass *p, const glia_node *n) { return glia_is_fusable(p->backend, n); }

/* Whether n may be computed twice: elementwise nodes, and copies of an input to another layout. */
static bool is_cheap(const pass *p, const glia_node *n) {
    return is_elementwise(p, n) || (n->op == &glia_op_permute && glia_is_input(n->in[0]));
}

static bool contains(const cone *c, const glia_node *node) {
    for (int i = 0; i < c->n; i++) {
        if (c->nodes[i] == node) return true;
    }
    return false;
}

#define FOR_READERS(p, r, node)                                                                                        \
    for (int edge_ = (p)->first_reader[(node)->id], r; edge_ >= 0 && (r = (p)->reader[edge_], true);                   \
         edge_ = (p)->next_reader[edge_])

/* Whether nodes outside the cone read n at `late` or later. */
static bool read_late(const pass *p, const glia_node *n, int late, const cone *c) {
    FOR_READERS(p, r, n) {
        if (r >= late && !contains(c, p->graph->nodes[r])) return true;
    }
    return false;
}

/* Whether n, an input of the cone of v, is certainly in memory, a scalar, or small compared to v. */
static bool waits_cheaply(const glia_node *n, const glia_node *v) {
    double value;
    if (n->op == &glia_op_broadcast) n = n->in[0];
    return glia_is_constant_scalar(n, &value) || (n->op->flags & GLIA_OP_LEAF) || bytes_of(n) <= bytes_of(v) / SMALL;
}

/* Adds n, which computes v or an operand of it, and all it needs beyond the values in memory at `late`. */
static bool grow(const pass *p, const glia_node *n, const glia_node *v, int late, cone *c) {
    if (contains(c, n)) return true;
    if (!is_cheap(p, n) || !glia_shape_equal(n->shape, v->shape)) return false;
    for (int i = 0; i < n->n_in; i++) {
        const glia_node *in = n->in[i];
        if (waits_cheaply(in, v)) continue;
        if (p->late[in->id]) return false;
        bool kept = false; /* a reader outside the cone needs it in memory */
        FOR_READERS(p, r, in) kept = kept || (r >= late && !is_elementwise(p, p->graph->nodes[r]));
        if (kept || !is_elementwise(p, in)) continue; /* the latter is checked once the cone is complete */
        if (!grow(p, in, v, late, c)) return false;
    }
    if (c->n == MOST_CONE || (c->price += glia_price_of(n)) > MOST_PRICE) return false;
    c->nodes[c->n++] = n;
    return true;
}

/* Whether all inputs of the cone are in memory at `late` without it. If others read one of the cone's own values then,
 * it is either stored or computed from the cone's inputs. */
static bool fed_by_others(const pass *p, const glia_node *v, int late, const cone *c) {
    for (int i = 0; i < c->n; i++) {
        for (int j = 0; j < c->nodes[i]->n_in; j++) {
            const glia_node *in = c->nodes[i]->in[j];
            if (contains(c, in) || waits_cheaply(in, v) || read_late(p, in, late, c)) continue;
            const glia_node *next = c->nodes[i];
            if (next == v || !read_late(p, next, late, c)) return false;
        }
    }
    return true;
}

/* The reader after the widest gap between two readers of v, if that is wide enough; else 0. */
static int reader_behind_gap(const pass *p, const glia_node *v) {
    int before = -1, late = 0;
    int64_t widest = WIDE * bytes_of(v) - 1;
    FOR_READERS(p, r, v) {
        if (p->graph->nodes[r]->op->flags & GLIA_OP_ALIAS) return 0; /* readers through an alias are not known */
        if (before >= 0 && p->stored[r] - p->stored[before + 1] > widest) {
            widest = p->stored[r] - p->stored[before + 1];
            late = r;
        }
        before = r;
    }
    return late;
}

static bool find_cone(const pass *p, const glia_node *v, int late, cone *c) {
    *c = (cone){ 0 };
    return late && grow(p, v, v, late, c) && fed_by_others(p, v, late, c);
}

static void find_readers(pass *p) {
    int n_edges = 0;
    for (int i = 0; i < p->graph->n_nodes; i++) p->first_reader[i] = -1;
    for (int i = p->graph->n_nodes - 1; i >= 0; i--) {
        const glia_node *n = p->graph->nodes[i];
        for (int j = 0; j < n->n_in; j++) {
            p->reader[n_edges] = i;
            p->next_reader[n_edges] = p->first_reader[n->in[j]->id];
            p->first_reader[n->in[j]->id] = n_edges++;
        }
    }
}

static void choose(pass *p) {
    const glia_graph *g = p->graph;
    const int passing = GLIA_OP_LEAF | GLIA_OP_ALIAS;
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        const bool stored = !(n->op->flags & passing) && n->op != &glia_op_broadcast && !is_elementwise(p, n);
        p->stored[i + 1] = p->stored[i] + (stored ? bytes_of(n) : 0);
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *v = g->nodes[i];
        cone c;
        if (bytes_of(v) < LEAST || !is_cheap(p, v)) continue;
        const int late = reader_behind_gap(p, v);
        if (find_cone(p, v, late, &c)) p->late[i] = late;
    }
    for (int i = 0; i < g->n_outputs; i++) p->late[g->outputs[i].node->id] = 0;
    for (int i = 0; i < g->n_updates; i++) p->late[g->updates[i].value->id] = 0;
}

/* A second computation of v. */
static glia_tensor make_again(pass *p, glia_graph *to, const glia_node *v) {
    cone c;
    if (p->again[v->id] || !find_cone(p, v, p->late[v->id], &c)) return p->again[v->id];
    glia_tensor copies[MOST_CONE];
    for (int i = 0; i < c.n; i++) {
        glia_tensor in[MOST_CONE];
        for (int j = 0; j < c.nodes[i]->n_in; j++) {
            in[j] = p->made[c.nodes[i]->in[j]->id];
            for (int k = 0; k < i; k++) in[j] = c.nodes[k] == c.nodes[i]->in[j] ? copies[k] : in[j];
        }
        copies[i] = glia_node_copy(to, c.nodes[i], in, NULL);
    }
    return p->again[v->id] = copies[c.n - 1];
}

static glia_tensor rule(glia_graph *to, const glia_node *n, const glia_tensor *in, void *context) {
    pass *p = context;
    glia_tensor inputs[MOST_INPUTS];
    if (n->n_in > MOST_INPUTS) return p->made[n->id] = glia_node_copy(to, n, in, NULL);
    for (int i = 0; i < n->n_in; i++) {
        const glia_node *v = n->in[i];
        const bool late = p->late[v->id] && n->id >= p->late[v->id];
        inputs[i] = late ? make_again(p, to, v) : in[i];
    }
    return p->made[n->id] = glia_node_copy(to, n, inputs, NULL);
}

glia_graph *glia_pass_rematerialize(const glia_graph *graph, const glia_backend *backend, glia_error *error) {
    size_t n = (size_t)graph->n_nodes + 1, n_edges = 1;
    for (int i = 0; i < graph->n_nodes; i++) n_edges += (size_t)graph->nodes[i]->n_in;
    pass p = { .graph = graph,
               .backend = backend,
               .first_reader = calloc(n, sizeof(int)),
               .next_reader = calloc(n_edges, sizeof(int)),
               .reader = calloc(n_edges, sizeof(int)),
               .stored = calloc(n, sizeof *p.stored),
               .late = calloc(n, sizeof(int)),
               .made = calloc(n, sizeof(glia_tensor)),
               .again = calloc(n, sizeof(glia_tensor)) };
    glia_graph *next = NULL;
    if (p.first_reader && p.next_reader && p.reader && p.stored && p.late && p.made && p.again) {
        find_readers(&p);
        choose(&p);
        next = glia_graph_rewrite(graph, rule, &p, NULL, false, error);
    } else {
        glia_fail_nomem(error);
    }
    free(p.first_reader);
    free(p.next_reader);
    free(p.reader);
    free(p.stored);
    free(p.late);
    free(p.made);
    free(p.again);
    return next;
}
