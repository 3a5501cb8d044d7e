/* lif.c - spiking units over all steps: fills the kernels' arguments from nodes. */
#include "backend/cpu/lowering/lower.h"
#include "core/ops/ops.h"

typedef struct lif_launch {
    glia_launch base;
    void (*run)(glia_pool *pool, const glia_lif_args *lif);
    glia_lif_args args;
} lif_launch;

static void lif_run(const glia_launch *launch, glia_pool *pool) {
    const lif_launch *l = (const lif_launch *)launch;
    l->run(pool, &l->args);
}

static bool is_f32(const glia_node *n) { return n->dtype == GLIA_F32; }

/* With an input that is the same in all steps, its memory is smaller than the result's. */
static bool is_f32_of_steps(const glia_node *n) { return is_f32(n) && !((const glia_lif_attrs *)n->attrs)->steps; }

static glia_launch *prepare(const glia_lowering *w) {
    const glia_node *n = w->node;
    const glia_lif_attrs *a = n->attrs;
    const bool filter = n->op == &glia_op_lif_filter;
    lif_launch *l = glia_lowering_alloc(w, sizeof *l);
    if (!l) return NULL;
    *l = (lif_launch){ .base = { .run = lif_run, .kernel = filter ? "lif_filter_f32" : "lif_f32" },
                       .run = filter ? w->kernels->lif_filter_f32 : w->kernels->lif_f32,
                       .args = { .samples = n->shape.dim[0],
                                 .steps = n->shape.dim[1],
                                 .width = 1,
                                 .constant = a->steps > 0,
                                 .reverse = a->reverse,
                                 .reset = (glia_lif_reset)a->reset,
                                 .beta = (float)a->beta,
                                 .threshold = (float)a->threshold,
                                 .x = w->address[n->in[0]->id],
                                 .u = filter ? w->address[n->in[1]->id] : NULL,
                                 .y = w->address[n->id] } };
    for (int i = 2; i < n->shape.rank; i++) l->args.width *= n->shape.dim[i];
    return &l->base;
}

const glia_cpu_row glia_cpu_units[] = {
    { &glia_op_lif, is_f32_of_steps, NULL, prepare, true },
    { &glia_op_lif, is_f32, NULL, prepare, false },
    { &glia_op_lif_filter, is_f32, NULL, prepare, true },
    { NULL, NULL, NULL, NULL, false },
};
