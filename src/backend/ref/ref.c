/* ref.c - the reference backend: every node by its definition, in double, on one thread.
 *
 * A launch widens each input to double in scratch memory (f64 is read in place), calls the op's eval, and rounds the
 * result to the node's dtype. A node's inputs are read before its output is written (for f64, element by element), so
 * elementwise nodes may run in place.
 */
#include <stdio.h>

#include "backend/ref/ref.h"

typedef struct ref_input {
    const void *bytes;
    glia_dtype dtype;
    int64_t count;
    double *wide; /* NULL: f64, read in place */
} ref_input;

typedef struct ref_launch {
    glia_launch base;
    const glia_node *node;
    ref_input *in;
    const double **value; /* one for each input, set by a run */
    int64_t count;
    double *wide; /* NULL: f64, written in place */
    void *out;
} ref_launch;

static void ref_run(const glia_launch *launch, glia_pool *pool) {
    const ref_launch *r = (const ref_launch *)launch;
    (void)pool;
    for (int i = 0; i < r->node->n_in; i++) {
        const ref_input *in = &r->in[i];
        if (in->wide) glia_to_double(in->dtype, in->bytes, in->wide, in->count);
    }
    double *out = r->wide ? r->wide : r->out;
    r->node->op->eval(r->node, r->value, out);
    if (r->wide) glia_from_double(r->node->dtype, out, r->out, r->count);
}

static size_t aligned(int64_t doubles) {
    return glia_align((size_t)doubles * sizeof(double));
}

static size_t wide_bytes(const glia_node *node) {
    return node->dtype == GLIA_F64 ? 0 : aligned(glia_shape_count(node->shape));
}

/* The result is written in place if it is f64 and its op needs no extra space behind it. */
static size_t result_bytes(const glia_node *node) {
    return node->op->eval_extra ? aligned(glia_eval_count(node)) : wide_bytes(node);
}

size_t glia_ref_scratch(const glia_node *node) {
    size_t bytes = result_bytes(node);
    for (int i = 0; i < node->n_in; i++) bytes += wide_bytes(node->in[i]);
    return bytes;
}

glia_launch *glia_ref_prepare(const glia_node *node, void *const *address, void *scratch, glia_arena *arena,
                              glia_error *error) {
    if (!glia_node_evaluates(node)) {
        glia_fail(error, GLIA_E_INTERNAL, "op %s has no eval function; expand it first",
                  node->op->name);
        return NULL;
    }
    ref_launch *r = glia_arena_alloc(arena, sizeof *r);
    size_t n = (size_t)node->n_in;
    ref_input *in = glia_arena_alloc(arena, (n + 1) * sizeof *in);
    const double **value = glia_arena_alloc(arena, (n + 1) * sizeof *value);
    if (!r || !in || !value) {
        glia_fail_nomem(error);
        return NULL;
    }
    char *free_bytes = scratch;
    for (size_t i = 0; i < n; i++) {
        const glia_node *x = node->in[i];
        size_t bytes = wide_bytes(x);
        in[i] = (ref_input){ .bytes = address[x->id],
                             .dtype = x->dtype,
                             .count = glia_shape_count(x->shape),
                             .wide = bytes ? (double *)(void *)free_bytes : NULL };
        value[i] = bytes ? in[i].wide : address[x->id];
        free_bytes += bytes;
    }
    *r = (ref_launch){ .base = { .run = ref_run, .kernel = "ref" },
                       .node = node,
                       .in = in,
                       .value = value,
                       .count = glia_shape_count(node->shape),
                       .out = address[node->id],
                       .wide = result_bytes(node) ? (double *)(void *)free_bytes : NULL };
    return &r->base;
}

static glia_status ref_open(glia_backend *backend, int threads, glia_error *error) {
    (void)threads, (void)error;
    snprintf(backend->description, sizeof backend->description, "ref, f64, 1 thread");
    return GLIA_OK;
}

static bool ref_in_place(const glia_backend *backend, const glia_group *group) {
    (void)backend;
    return group->anchor->op->flags & GLIA_OP_ELEMENTWISE;
}

static size_t ref_group_scratch(const glia_backend *backend, const glia_group *group) {
    (void)backend;
    return glia_ref_scratch(group->anchor);
}

static glia_launch *ref_group_prepare(const glia_backend *backend, const glia_group *group, void *const *address,
                                      void *scratch, void *kept, glia_arena *arena, glia_error *error) {
    (void)backend, (void)kept;
    return glia_ref_prepare(group->anchor, address, scratch, arena, error);
}

const glia_backend_kind glia_backend_ref = {
    .name = "ref",
    .open = ref_open,
    .in_place = ref_in_place,
    .scratch = ref_group_scratch,
    .prepare = ref_group_prepare,
};
