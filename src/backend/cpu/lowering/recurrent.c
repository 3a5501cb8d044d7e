/* recurrent.c - recurrent cells: fills the kernels' arguments from nodes. */
#include "backend/cpu/lowering/lower.h"

/* True if all inputs are f32; lengths are checked by infer. */
static bool is_f32(const glia_node *n) { return n->dtype == GLIA_F32; }

static float *block(float *value, const glia_recurrent_view *v, int64_t offset) {
    return value && offset >= 0 ? value + v->samples * offset : NULL;
}

/* The sizes and, if there is an address table, the pointers to inputs and options. */
static glia_recurrence describe(const glia_node *n, const glia_recurrent_view *v, void *const *address) {
    glia_recurrence r = { .cell = (glia_cell_kind)v->attrs->cell,
                          .steps = v->steps,
                          .samples = v->samples,
                          .units = v->units,
                          .outputs = v->outputs,
                          .width = v->width,
                          .reverse = v->attrs->reverse };
    static const float there; /* non-null placeholder: scratch is computed before there are addresses */
    r.projection = v->projection ? &there : NULL;
    if (!address) return r;
    r.kernel = address[n->in[1]->id];
    r.h0 = v->h0 ? address[v->h0->id] : NULL;
    r.c0 = v->c0 ? address[v->c0->id] : NULL;
    r.bias = v->bias ? address[v->bias->id] : NULL;
    r.peephole = v->peephole ? address[v->peephole->id] : NULL;
    r.projection = v->projection ? address[v->projection->id] : NULL;
    r.lengths = v->lengths ? address[v->lengths->id] : NULL;
    return r;
}

typedef struct recurrent_launch {
    glia_launch base;
    const glia_cpu_kernels *kernels;
    glia_recurrence r;
    void *scratch;
} recurrent_launch;

static void forward_run(const glia_launch *launch, glia_pool *pool) {
    const recurrent_launch *l = (const recurrent_launch *)launch;
    l->kernels->recurrent_f32(pool, &l->r, l->scratch);
}

static void backward_run(const glia_launch *launch, glia_pool *pool) {
    const recurrent_launch *l = (const recurrent_launch *)launch;
    l->kernels->recurrent_grad_f32(pool, &l->r, l->scratch);
}

static size_t forward_scratch(const glia_cpu_kernels *kernels, const glia_node *n, bool packed, int workers) {
    const glia_recurrent_view v = glia_recurrent_view_of(n, n->in);
    const glia_recurrence r = describe(n, &v, NULL);
    (void)packed;
    return kernels->recurrent_f32_scratch(&r, workers);
}

static size_t backward_scratch(const glia_cpu_kernels *kernels, const glia_node *n, bool packed, int workers) {
    const glia_recurrent_view v = glia_recurrent_view_of(n, n->in);
    const glia_recurrence r = describe(n, &v, NULL);
    (void)packed;
    return kernels->recurrent_grad_f32_scratch(&r, workers);
}

static recurrent_launch *launch_create(const glia_lowering *w, glia_recurrence r) {
    recurrent_launch *l = glia_lowering_alloc(w, sizeof *l);
    if (l) *l = (recurrent_launch){ .kernels = w->kernels, .r = r, .scratch = w->scratch };
    return l;
}

static glia_launch *prepare_forward(const glia_lowering *w) {
    const glia_node *n = w->node;
    const glia_recurrent_view v = glia_recurrent_view_of(n, n->in);
    glia_recurrence r = describe(n, &v, w->address);
    const bool saved = n->op == &glia_op_recurrent_saved;
    float *y = w->address[n->id];
    r.z = w->address[n->in[0]->id];
    r.sequence = block(y, &v, saved ? v.saved_sequence : v.sequence);
    r.last_h = block(y, &v, v.last_h);
    r.last_c = block(y, &v, v.last_c);
    r.cells = saved ? block(y, &v, v.cells) : NULL;
    r.kept = saved ? block(y, &v, v.kept) : NULL;
    recurrent_launch *l = launch_create(w, r);
    if (!l) return NULL;
    l->base = (glia_launch){ .run = forward_run, .kernel = saved ? "recurrent_f32, saved" : "recurrent_f32" };
    return &l->base;
}

static glia_launch *prepare_backward(const glia_lowering *w) {
    const glia_node *n = w->node;
    const glia_recurrent_view v = glia_recurrent_view_of(n, n->in);
    glia_recurrence r = describe(n, &v, w->address);
    float *s = w->address[n->in[0]->id], *dy = w->address[v.dy->id], *d = w->address[n->id];
    r.sequence = block(s, &v, v.saved_sequence);
    r.cells = block(s, &v, v.cells);
    r.kept = block(s, &v, v.kept);
    r.dsequence = block(dy, &v, v.sequence);
    r.dlast_h = block(dy, &v, v.last_h);
    r.dlast_c = block(dy, &v, v.last_c);
    r.dz = block(d, &v, v.dz);
    r.dh0 = block(d, &v, v.dh0);
    r.dc0 = block(d, &v, v.dc0);
    r.dproduct = block(d, &v, v.dproduct);
    r.dout = block(d, &v, v.dout);
    recurrent_launch *l = launch_create(w, r);
    if (!l) return NULL;
    l->base = (glia_launch){ .run = backward_run, .kernel = "recurrent_grad_f32" };
    return &l->base;
}

const glia_cpu_row glia_cpu_sequences[] = {
    { &glia_op_recurrent, is_f32, forward_scratch, prepare_forward, false },
    { &glia_op_recurrent_saved, is_f32, forward_scratch, prepare_forward, false },
    { &glia_op_recurrent_grad, is_f32, backward_scratch, prepare_backward, false },
    { NULL, NULL, NULL, NULL, false },
};
