/* scan.c - loops over time: runs the launches of the body once for each step.
 *
 * The body's values are in scratch memory. Before a step, the step's slices of the sequences are copied there. After
 * it, the results are copied to their slices and the new states over the old ones. Values that depend on captured
 * values only, and the packing of captured weights, are computed once before the first step.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/lowering/lower.h"
#include "core/ops/ops.h"

enum { SMALL_COPY = 1 << 16 }; /* bytes; smaller copies run on one thread */

/* Rows of step t in a tensor (N, steps, ...) or in one (N, ...), and the same rows in the body. */
typedef struct rows {
    char *outside, *inside;
    size_t bytes;        /* of a row */
    size_t stride, step; /* outside: between rows, between steps */
} rows;

typedef struct scan_launch {
    glia_launch base;
    const glia_scan_attrs *attrs;
    glia_launches launches;
    int64_t n_rows;
    rows *sequences, *results; /* read before a step; written after it */
    int n_sequences, n_results;
    rows *starts, *states; /* initial states; states after a step */
    int n_states;
    rows *ends; /* states of which only the last value is an output */
    int n_ends;
    int64_t *random; /* random state of the body and of the outer graph; NULL: none */
    const int64_t *random_state;
} scan_launch;

/* ---- copies ------------------------------------------------------------------------------------- */

typedef struct job {
    const rows *list;
    int n;
    int64_t n_rows, pieces;
    size_t t;
    bool in;
} job;

static void copy_piece(void *context, int64_t piece, int worker) {
    const job *j = context;
    (void)worker;
    const int64_t from = j->n_rows * piece / j->pieces, to = j->n_rows * (piece + 1) / j->pieces;
    for (int i = 0; i < j->n; i++) {
        const rows *r = &j->list[i];
        char *outside = r->outside + j->t * r->step, *inside = r->inside;
        if (r->stride == r->bytes) {
            memcpy((j->in ? inside : outside) + (size_t)from * r->bytes,
                   (j->in ? outside : inside) + (size_t)from * r->bytes, (size_t)(to - from) * r->bytes);
            continue;
        }
        for (int64_t row = from; row < to; row++) {
            char *there = outside + (size_t)row * r->stride, *here = inside + (size_t)row * r->bytes;
            memcpy(j->in ? here : there, j->in ? there : here, r->bytes);
        }
    }
}

static void copy(const scan_launch *l, glia_pool *pool, const rows *list, int n, int64_t t, bool in) {
    size_t bytes = 0;
    for (int i = 0; i < n; i++) bytes += list[i].bytes * (size_t)l->n_rows;
    job j = { .list = list, .n = n, .n_rows = l->n_rows, .pieces = 1, .t = (size_t)t, .in = in };
    if (bytes >= SMALL_COPY) j.pieces = GLIA_MIN(l->n_rows, (int64_t)(bytes / (SMALL_COPY / 4)));
    if (n) glia_parallel_for(pool, j.pieces, copy_piece, &j);
}

/* ---- running ------------------------------------------------------------------------------------ */

static void scan_run(const glia_launch *launch, glia_pool *pool) {
    const scan_launch *l = (const scan_launch *)launch;
    const int64_t steps = l->attrs->steps;
    glia_launches_refresh(&l->launches, pool);
    copy(l, pool, l->starts, l->n_states, 0, true);
    for (int64_t i = 0; i < steps; i++) {
        const int64_t t = l->attrs->reverse ? steps - 1 - i : i;
        copy(l, pool, l->sequences, l->n_sequences, t, true);
        if (l->random) {
            l->random[0] = glia_scan_seed(l->random_state[0], t);
            l->random[1] = l->random_state[1];
        }
        glia_launches_run(&l->launches, pool);
        copy(l, pool, l->results, l->n_results, t, false);
        if (i + 1 < steps) copy(l, pool, l->states, l->n_states, 0, true);
    }
    copy(l, pool, l->ends, l->n_ends, 0, false);
}

/* ---- preparing ---------------------------------------------------------------------------------- */

/* Finds the addresses of the body's values. Captured values are outside the body. */
static void find_addresses(const glia_lowering *w, const glia_inner *inner, char *constants, void **address) {
    for (int id = 0; id < inner->graph->n_nodes; id++) {
        const glia_place *place = &inner->plan.place[id];
        if (place->kind == GLIA_PLACE_ACTIVATION) address[id] = (char *)w->scratch + place->offset;
        if (place->kind == GLIA_PLACE_CONSTANT) address[id] = constants + place->offset;
        if (place->kind != GLIA_PLACE_LEAF) continue;
        const glia_node *in = w->node->in[strtol(glia_leaf_of(place->leaf)->name, NULL, 10)];
        address[id] = (char *)w->address[in->id] + place->offset;
    }
}

/* The body's input number k; NULL: unused. */
static char *inside_input(const glia_inner *inner, void *const *address, int k) {
    for (int id = 0; id < inner->graph->n_nodes; id++) {
        const glia_node *n = inner->graph->nodes[id];
        if (glia_is_input(n) && strtol(glia_leaf_of(n)->name, NULL, 10) == k) return address[id];
    }
    return NULL;
}

static rows rows_of(const glia_node *inside, char *outside, char *at, int64_t steps) {
    const size_t bytes = glia_shape_bytes(inside->shape, inside->dtype) / (size_t)inside->shape.dim[0];
    return (rows){ outside, at, bytes, bytes * (size_t)steps, bytes };
}

static void find_inputs(scan_launch *l, const glia_lowering *w, const glia_inner *inner, void *const *address) {
    const glia_scan_attrs *a = l->attrs;
    int k = 0;
    for (int id = 0; id < a->body->n_nodes; id++) {
        const glia_node *n = a->body->nodes[id];
        if (!glia_is_input(n)) continue;
        char *inside = inside_input(inner, address, k), *outside = w->address[w->node->in[k]->id];
        if (inside && k < a->sequences) l->sequences[l->n_sequences++] = rows_of(n, outside, inside, a->steps);
        if (inside && k >= a->sequences && k < a->sequences + a->states) {
            const glia_node *next = inner->graph->outputs[k - a->sequences].node;
            l->starts[l->n_states] = rows_of(n, outside, inside, 1);
            l->states[l->n_states++] = rows_of(n, address[next->id], inside, 1);
        }
        if (inside && k + 1 == a->random) {
            l->random = (int64_t *)(void *)inside;
            l->random_state = (const int64_t *)(const void *)outside;
        }
        k++;
    }
}

static void find_results(scan_launch *l, const glia_lowering *w, const glia_inner *inner, void *const *address) {
    const glia_scan_attrs *a = l->attrs;
    const size_t size = glia_dtype_size(w->node->dtype);
    for (int i = 0; i < inner->graph->n_outputs; i++) {
        const glia_node *y = inner->graph->outputs[i].node;
        char *outside = (char *)w->address[w->node->id] + (size_t)glia_scan_part(w->node, i).start * size;
        const bool last = i < a->states && i >= a->stacked;
        *(last ? &l->ends[l->n_ends++] : &l->results[l->n_results++]) =
            rows_of(y, outside, address[y->id], last ? 1 : a->steps);
    }
}

glia_launch *glia_cpu_scan_prepare(const glia_lowering *w, const glia_backend *backend, const glia_inner *inner) {
    const size_t n = (size_t)w->node->n_in + (size_t)inner->graph->n_outputs;
    scan_launch *l = glia_lowering_alloc(w, sizeof *l);
    rows *list = glia_lowering_alloc(w, 5 * n * sizeof *list);
    void **address = glia_lowering_alloc(w, ((size_t)inner->graph->n_nodes + 1) * sizeof(void *));
    char *constants = glia_lowering_alloc(w, inner->plan.constant_bytes + GLIA_ALIGN);
    if (!l || !list || !address || !constants) return NULL;
    constants += (GLIA_ALIGN - (uintptr_t)constants % GLIA_ALIGN) % GLIA_ALIGN;
    *l = (scan_launch){ .base = { .run = scan_run, .kernel = "scan" },
                        .attrs = w->node->attrs,
                        .n_rows = inner->graph->outputs[0].node->shape.dim[0],
                        .sequences = list,
                        .results = list + n,
                        .starts = list + 2 * n,
                        .states = list + 3 * n,
                        .ends = list + 4 * n };
    glia_constants_write(inner->graph, &inner->plan, constants);
    find_addresses(w, inner, constants, address);
    find_inputs(l, w, inner, address);
    find_results(l, w, inner, address);
    const glia_status status =
        glia_launches_prepare(&l->launches, backend, &inner->schedule, &inner->plan, address, w->scratch,
                              (char *)w->scratch + inner->plan.fixed_offset, w->arena, w->error);
    return status == GLIA_OK ? &l->base : NULL;
}
