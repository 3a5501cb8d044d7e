/* plan.c - memory planning: an offset for every value.
 *
 * A value lives from the group that computes it to the last one that reads it; inputs and outputs live throughout.
 * Values whose lifetimes do not overlap may share memory. They are placed largest first, each at the lowest offset that
 * is free during its life (Pisarchyk and Lee 2020, "greedy by size"). Before that, an output takes the memory of an
 * input of its group that is last read there, if the backend works in place. Results of the groups that run once are
 * fixed if other groups read them: they are placed after all other values, with the packed weights, because sessions
 * share that part. A result that is only packed is not fixed: it is packed before the next group runs.
 *
 *     offset ▲  ┌──── a ────┐┌── d ──┐
 *            │  └───────────┘└───────┘
 *            │       ┌───── b ──────────┐
 *            │       └──────────────────┘
 *            └──────────────────────────────► group
 */
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "core/passes/passes.h"

/* A range of memory that one or more values use in turn. */
typedef struct block {
    int from, to; /* its lifetime: first and last group */
    size_t bytes, offset;
    bool fixed; /* computed once, read by all runs */
} block;

typedef struct planner {
    const glia_schedule *s;
    const glia_backend *backend;
    glia_plan *plan;
    block *blocks;
    int n_blocks;
    int *block_of; /* by node id; -1: none */
} planner;

static size_t value_bytes(const glia_node *n) { return glia_shape_bytes(n->shape, n->dtype); }

static void block_create(planner *p, const glia_node *n, int from, int to) {
    p->block_of[n->id] = p->n_blocks;
    p->blocks[p->n_blocks++] = (block){ .from = from, .to = to, .bytes = glia_align(value_bytes(n)) };
    p->plan->place[n->id].kind = GLIA_PLACE_ACTIVATION;
    p->plan->unplanned_bytes += glia_align(value_bytes(n));
}

/* The value that group i only packs, before all runs; NULL: none. */
static const glia_node *packed_by(const glia_schedule *s, const glia_backend *backend, int i) {
    const glia_group *g = &s->groups[i];
    const glia_node *from;
    int operand, reads = 0;
    if (!backend->kind->keeps || backend->kind->keeps(backend, g, &from, &operand) == 0) return NULL;
    const glia_node *packed = s->root[from->in[operand]->id];
    for (int j = 0; j < g->n_nodes; j++) {
        for (int k = 0; k < g->nodes[j]->n_in; k++) reads += s->root[g->nodes[j]->in[k]->id] == packed;
    }
    return reads == 1 ? packed : NULL;
}

/* The last group that reads each value, by root id; n_groups for outputs and for new values copied at the end. */
static void find_last_readers(const glia_schedule *s, const glia_backend *backend, int *last) {
    for (int i = 0; i < s->n_groups; i++) {
        const glia_node *packed = packed_by(s, backend, i);
        for (int j = 0; j < s->groups[i].n_outputs; j++) last[s->groups[i].outputs[j]->id] = i;
        for (int j = 0; j < s->groups[i].n_inputs; j++) {
            const glia_node *in = s->root[s->groups[i].inputs[j]->id];
            if (in != packed) last[in->id] = i;
        }
    }
    for (int i = 0; i < s->graph->n_outputs; i++) last[s->root[s->graph->outputs[i].node->id]->id] = s->n_groups;
    for (int i = 0; i < s->graph->n_updates; i++) {
        if (!s->in_place[i]) last[s->root[s->graph->updates[i].value->id]->id] = s->n_groups;
    }
    for (int i = 0; i < s->n_once; i++) {
        for (int j = 0; j < s->groups[i].n_outputs; j++) {
            int *until = &last[s->groups[i].outputs[j]->id];
            if (*until >= s->n_once) *until = s->n_groups;
        }
    }
}

static void place_leaves(planner *p) {
    const glia_graph *g = p->s->graph;
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        if (glia_is_input(n)) {
            block_create(p, n, 0, p->s->n_groups);
        } else if (glia_is_parameter(n) || glia_is_state(n)) {
            p->plan->place[i] = (glia_place){ .kind = GLIA_PLACE_LEAF, .leaf = n };
        }
    }
    for (int i = 0; i < g->n_updates; i++) {
        if (!p->s->in_place[i]) continue;
        p->plan->place[p->s->root[g->updates[i].value->id]->id] =
            (glia_place){ .kind = GLIA_PLACE_LEAF, .leaf = g->updates[i].leaf };
    }
}

static void place_constant(planner *p, const glia_node *n) {
    glia_place *place = &p->plan->place[n->id];
    if (!glia_is_constant(n) || place->kind != GLIA_PLACE_NONE) return;
    *place = (glia_place){ .kind = GLIA_PLACE_CONSTANT, .offset = p->plan->constant_bytes };
    p->plan->constant_bytes += glia_align(value_bytes(n));
}

/* Places the constants that are read from memory; in loops they are immediates. */
static void place_constants(planner *p) {
    const glia_schedule *s = p->s;
    for (int i = 0; i < s->n_groups; i++) {
        for (int j = 0; j < s->groups[i].n_inputs; j++) place_constant(p, s->root[s->groups[i].inputs[j]->id]);
    }
    for (int i = 0; i < s->graph->n_outputs; i++) place_constant(p, s->root[s->graph->outputs[i].node->id]);
    for (int i = 0; i < s->graph->n_updates; i++) place_constant(p, s->root[s->graph->updates[i].value->id]);
}

/* Whether every reader of `input` in the group reads it elementwise at its own shape. */
static bool read_elementwise(const glia_schedule *s, const glia_group *g, const glia_node *input) {
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        for (int j = 0; j < n->n_in; j++) {
            if (s->root[n->in[j]->id] != input) continue;
            bool here = n->op->flags & GLIA_OP_ELEMENTWISE || (n->op->flags & GLIA_OP_OVERWRITES && j == 0);
            if (n->in[j] != input || !here || !glia_shape_equal(n->shape, input->shape)) return false;
        }
    }
    return true;
}

/* The block of an input last read in this group that output `out` can reuse; -1: none. */
static int inheritance(const planner *p, int group, const glia_node *out, const int *last) {
    const glia_schedule *s = p->s;
    const glia_group *g = &s->groups[group];
    if (!p->backend->kind->in_place || !p->backend->kind->in_place(p->backend, g)) return -1;
    if (g->kind == GLIA_GROUP_LOOP && !(out->op->flags & GLIA_OP_ELEMENTWISE)) return -1; /* a reduction */
    for (int i = 0; i < g->n_inputs; i++) {
        const glia_node *in = s->root[g->inputs[i]->id];
        int b = p->block_of[in->id];
        if (b < 0 || last[in->id] != group || p->blocks[b].to != group) continue;
        if (glia_dtype_size(in->dtype) != glia_dtype_size(out->dtype) || !glia_shape_equal(in->shape, out->shape))
            continue;
        if (read_elementwise(s, g, in)) return b;
    }
    return -1;
}

static void place_results(planner *p, const int *last) {
    for (int i = 0; i < p->s->n_groups; i++) {
        const glia_group *g = &p->s->groups[i];
        for (int j = 0; j < g->n_outputs; j++) {
            const glia_node *out = g->outputs[j];
            if (p->plan->place[out->id].kind != GLIA_PLACE_NONE) continue; /* written over its leaf */
            int b = inheritance(p, i, out, last);
            if (b < 0) {
                block_create(p, out, i, last[out->id]);
                b = p->block_of[out->id];
            } else {
                p->block_of[out->id] = b;
                p->blocks[b].to = last[out->id];
                p->plan->place[out->id].kind = GLIA_PLACE_ACTIVATION;
                p->plan->unplanned_bytes += glia_align(value_bytes(out));
            }
            p->blocks[b].fixed = i < p->s->n_once && last[out->id] == p->s->n_groups;
        }
    }
}

static int by_size(const void *a, const void *b) {
    const block *x = *(block *const *)a, *y = *(block *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->from != y->from ? (x->from < y->from ? -1 : 1) : (x < y ? -1 : x > y);
}

/* Assigns the lowest free offset to each block that is not fixed, largest block first. `placed` holds pointers to
 * placed blocks by offset. */
static size_t assign_offsets(block *blocks, int n, block **order, block **placed) {
    size_t total = 0;
    int m = 0;
    for (int i = 0; i < n; i++) {
        if (!blocks[i].fixed) order[m++] = &blocks[i];
    }
    n = m;
    qsort(order, (size_t)n, sizeof *order, by_size);
    for (int i = 0; i < n; i++) {
        block *b = order[i];
        size_t at = 0;
        for (int j = 0; j < i; j++) { /* by offset: the first gap that is large enough */
            const block *other = placed[j];
            if (other->to < b->from || other->from > b->to) continue;
            if (at + b->bytes <= other->offset) break;
            at = GLIA_MAX(at, other->offset + other->bytes);
        }
        b->offset = at;
        total = GLIA_MAX(total, at + b->bytes);
        int j = i;
        for (; j > 0 && placed[j - 1]->offset > at; j--) placed[j] = placed[j - 1];
        placed[j] = b;
    }
    return total;
}

static bool place_scratch(planner *p) {
    size_t most = 0;
    for (int i = 0; i < p->s->n_groups; i++) {
        size_t bytes = p->backend->kind->scratch(p->backend, &p->s->groups[i]);
        most = GLIA_MAX(most, bytes);
    }
    p->plan->scratch_offset = p->plan->activation_bytes;
    p->plan->unplanned_bytes += glia_align(most);
    return !__builtin_add_overflow(p->plan->activation_bytes, glia_align(most), &p->plan->activation_bytes);
}

static bool place_fixed(planner *p) {
    size_t *end = &p->plan->activation_bytes;
    p->plan->fixed_offset = *end;
    for (int i = 0; i < p->n_blocks; i++) {
        block *b = &p->blocks[i];
        if (!b->fixed) continue;
        b->offset = *end;
        if (__builtin_add_overflow(*end, b->bytes, end)) return false;
    }
    return true;
}

static bool place_kept(planner *p) {
    const glia_backend_kind *kind = p->backend->kind;
    const glia_node *from;
    int operand;
    size_t *end = &p->plan->activation_bytes;
    p->plan->kept_offset[0] = *end;
    for (int i = 0; i < p->s->n_groups; i++) {
        const glia_group *g = &p->s->groups[i];
        const size_t bytes = kind->keeps ? glia_align(kind->keeps(p->backend, g, &from, &operand)) : 0;
        p->plan->unplanned_bytes += bytes;
        if (__builtin_add_overflow(*end, bytes, end)) return false;
        p->plan->kept_offset[i + 1] = *end;
    }
    return true;
}

/* Aliases get their root's address, views an address within it. */
static void place_aliases(planner *p) {
    for (int i = 0; i < p->s->graph->n_nodes; i++) {
        const glia_node *root = p->s->root[i];
        if (p->block_of[root->id] >= 0) p->plan->place[root->id].offset = p->blocks[p->block_of[root->id]].offset;
        p->plan->place[i] = p->plan->place[root->id];
        p->plan->place[i].offset += p->s->behind[i];
    }
}

glia_status glia_pass_plan(const glia_schedule *s, const glia_backend *backend, glia_plan *plan, glia_error *error) {
    size_t n = (size_t)s->graph->n_nodes + 1;
    *plan = (glia_plan){ .place = calloc(n, sizeof *plan->place),
                         .kept_offset = calloc((size_t)s->n_groups + 1, sizeof *plan->kept_offset) };
    planner p = { .s = s,
                  .backend = backend,
                  .plan = plan,
                  .blocks = calloc(n, sizeof *p.blocks),
                  .block_of = calloc(n, sizeof(int)) };
    int *last = calloc(n, sizeof *last);
    block **order = calloc(2 * n, sizeof(block *));
    bool ok = plan->place && plan->kept_offset && p.blocks && p.block_of && last && order;
    if (ok) {
        for (size_t i = 0; i < n; i++) p.block_of[i] = last[i] = -1;
        find_last_readers(s, backend, last);
        place_leaves(&p);
        place_constants(&p);
        place_results(&p, last);
        plan->activation_bytes = assign_offsets(p.blocks, p.n_blocks, order, order + n);
        ok = place_scratch(&p) && place_fixed(&p) && place_kept(&p);
        place_aliases(&p);
    }
    free(p.blocks);
    free(p.block_of);
    free(last);
    free(order);
    if (ok) return GLIA_OK;
    glia_plan_free(plan);
    return glia_fail_nomem(error);
}

void glia_plan_free(glia_plan *plan) {
    free(plan->place);
    free(plan->kept_offset);
    *plan = (glia_plan){ 0 };
}
