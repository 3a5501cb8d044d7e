/* attention.c - attention: fills the kernels' arguments from nodes. */
#include "backend/cpu/lowering/lower.h"
#include "core/ops/ops.h"

typedef struct attention_launch {
    glia_launch base;
    const glia_cpu_kernels *kernels;
    glia_attention_args a;
    void *scratch;
} attention_launch;

static const glia_attention_attrs *attrs_of(const glia_node *n) { return n->attrs; }
static bool is_gradient(const glia_node *n) { return n->op == &glia_op_attention_grad; }

/* The gradient of a bias uses the op's definition: it has T x S elements itself. */
static bool fits(const glia_node *n) { return n->dtype == GLIA_F32 && !attrs_of(n)->of_bias; }

/* Strides along (N, H, T, S) of an operand that broadcasts to this shape. */
static void broadcast_strides(glia_shape x, int64_t stride[4]) {
    int64_t own[GLIA_MAX_RANK];
    glia_shape_strides(x, own);
    for (int k = 0; k < 4; k++) {
        const int at = k - (4 - x.rank);
        stride[k] = at < 0 || x.dim[at] == 1 ? 0 : own[at];
    }
}

/* Everything but the addresses. */
static glia_attention_args describe(const glia_node *n) {
    const glia_attention_attrs *t = attrs_of(n);
    const glia_attention_sizes s = glia_attention_sizes_of(t, n->in);
    const glia_attention_places p = glia_attention_places_of(t, is_gradient(n));
    glia_attention_args a = { .samples = s.samples,
                         .queries = s.queries,
                         .keys = s.keys,
                         .heads = s.heads,
                         .groups = s.groups,
                         .size = s.size,
                         .scale = (float)t->scale,
                         .softcap = (float)t->softcap,
                         .rate = (float)t->rate,
                         .window = t->window,
                         .causal = t->causal,
                         .stream = (uint64_t)t->stream };
    if (p.mask >= 0) broadcast_strides(n->in[p.mask]->shape, a.mask_stride);
    if (p.bias >= 0) broadcast_strides(n->in[p.bias]->shape, a.bias_stride);
    return a;
}

/* Splits packed q, k, v (or their gradients), in up to three tensors, into rows of each. */
static void unpack(const glia_attention_args *a, int64_t packing, float *const at[3], glia_attention_rows to[3]) {
    const int64_t h = a->heads * a->size, g = a->groups * a->size;
    const int64_t q_row = packing == GLIA_ATTENTION_QKV ? h + 2 * g : h;
    const int64_t k_row = packing == GLIA_ATTENTION_APART ? g : packing == GLIA_ATTENTION_KV ? 2 * g : q_row;
    float *k = packing == GLIA_ATTENTION_QKV ? at[0] + h : at[1];
    float *v = packing == GLIA_ATTENTION_APART ? at[2] : k + g;
    to[0] = (glia_attention_rows){ at[0], a->queries * q_row, q_row };
    to[1] = (glia_attention_rows){ k, a->keys * k_row, k_row };
    to[2] = (glia_attention_rows){ v, a->keys * k_row, k_row };
}

static bool find_slopes(const glia_lowering *w, glia_attention_args *a) {
    float *slopes = glia_lowering_alloc(w, (size_t)a->heads * sizeof *slopes);
    for (int64_t h = 0; slopes && h < a->heads; h++) slopes[h] = (float)glia_alibi_slope(h, a->heads);
    a->slopes = slopes;
    return slopes != NULL;
}

static void *address(const glia_lowering *w, int input) {
    return input < 0 ? NULL : w->address[w->node->in[input]->id];
}

static void find_operands(const glia_lowering *w, glia_attention_args *a) {
    const glia_node *n = w->node;
    const glia_attention_attrs *t = attrs_of(n);
    const glia_attention_places p = glia_attention_places_of(t, is_gradient(n));
    const int64_t y_row = a->heads * a->size;
    float *at[3] = { address(w, 0), n->n_in > 1 ? address(w, 1) : NULL, n->n_in > 2 ? address(w, 2) : NULL };
    glia_attention_rows from[3], to[3];
    unpack(a, t->packing, at, from);
    a->q = from[0], a->k = from[1], a->v = from[2];
    a->y = (glia_attention_rows){ is_gradient(n) ? address(w, p.y) : w->address[n->id], a->queries * y_row, y_row };
    a->lengths = address(w, p.lengths);
    a->offsets = address(w, p.offsets);
    a->mask = address(w, p.mask);
    a->bias = address(w, p.bias);
    a->rng = address(w, p.rng);
    if (!is_gradient(n)) return;
    a->dy = a->y;
    a->dy.at = address(w, p.dy);
    at[0] = w->address[n->id];
    at[1] = at[0] + a->samples * a->queries * y_row;
    at[2] = at[1] + a->samples * a->keys * a->groups * a->size;
    unpack(a, t->packing, at, to);
    a->dq = to[0], a->dk = to[1], a->dv = to[2];
}

static void attention_run(const glia_launch *launch, glia_pool *pool) {
    const attention_launch *l = (const attention_launch *)launch;
    l->kernels->attention_f32(pool, &l->a, l->scratch);
}
static void attention_grad_run(const glia_launch *launch, glia_pool *pool) {
    const attention_launch *l = (const attention_launch *)launch;
    l->kernels->attention_grad_f32(pool, &l->a, l->scratch);
}

static glia_launch *prepare(const glia_lowering *w) {
    attention_launch *l = glia_lowering_alloc(w, sizeof *l);
    if (!l) return NULL;
    *l = (attention_launch){ .kernels = w->kernels, .a = describe(w->node), .scratch = w->scratch };
    if (attrs_of(w->node)->alibi && !find_slopes(w, &l->a)) return NULL;
    find_operands(w, &l->a);
    l->base = is_gradient(w->node) ? (glia_launch){ .run = attention_grad_run, .kernel = "attention_grad_f32" }
                                   : (glia_launch){ .run = attention_run, .kernel = "attention_f32" };
    return &l->base;
}

static size_t scratch(const glia_cpu_kernels *kernels, const glia_node *n, bool packed, int workers) {
    const glia_attention_args a = describe(n);
    (void)packed;
    return is_gradient(n) ? kernels->attention_grad_f32_scratch(&a, workers)
                          : kernels->attention_f32_scratch(&a, workers);
}

const glia_cpu_row glia_cpu_attentions[] = {
    { &glia_op_attention, fits, scratch, prepare, false },
    { &glia_op_attention_grad, fits, scratch, prepare, false },
    { NULL, NULL, NULL, NULL, false },
};
