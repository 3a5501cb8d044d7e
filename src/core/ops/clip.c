/* clip.c - x limited to [low, high] (numpy.clip, torch.clamp). The gradient is 1 in [low, high], as in PyTorch; NaN
 * stays NaN. */
#include <math.h>

#include "core/ops/ops.h"

typedef struct clip_attrs {
    double low, high;
} clip_attrs;

static bool clip_infer(glia_node *n) {
    const clip_attrs *a = n->attrs;
    if (!(a->low <= a->high)) return glia_node_fail(n, "low, %g, must not be above high, %g", a->low, a->high);
    return glia_infer_float(n);
}

static glia_tensor clip_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    const clip_attrs *a = n->attrs;
    glia_tensor y = in[0];
    (void)mode;
    if (a->low > -INFINITY) y = glia_maximum(y, glia_like(y, a->low));
    if (a->high < INFINITY) y = glia_minimum(y, glia_like(y, a->high));
    return y == in[0] ? glia_stop_gradient(y) : y; /* an expansion must be a new node */
}

static void clip_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    const clip_attrs *a = y->attrs;
    glia_tensor x = y->in[0];
    glia_tensor inside =
        glia_and(glia_greater_equal(x, glia_like(x, a->low)), glia_less_equal(x, glia_like(x, a->high)));
    dx[0] = glia_select(inside, dy, glia_like(dy, 0));
}

static const glia_field clip_fields[] = { GLIA_FIELD(FLOAT, clip_attrs, low), GLIA_FIELD(FLOAT, clip_attrs, high),
                                          GLIA_FIELDS_END };

const glia_op glia_op_clip = { .name = "clip",
                               .summary = "x limited to [low, high]",
                               .arity = 1,
                               .flags = GLIA_OP_ELEMENTWISE | GLIA_OP_COMPOSITE,
                               .attr_size = sizeof(clip_attrs),
                               .fields = clip_fields,
                               .infer = clip_infer,
                               .expand = clip_expand,
                               .vjp = clip_vjp };

#define LIMITS(from, to)                                                                                               \
    .attrs = &(const clip_attrs) { from, to }
const glia_op_sample glia_samples_clip[] = {
    { .name = "both", .n = 1, .in = { { .shape = GLIA_DIMS(3, 5), .low = -2, .high = 2 } }, LIMITS(-0.5, 0.75) },
    { .name = "scalar", .n = 1, .in = { { .shape = { 0 }, .low = -2, .high = 2 } }, LIMITS(-1, 1) },
    { 0 },
};

glia_tensor glia_clip(glia_tensor x, double low, double high) {
    return glia_node1(&glia_op_clip, x, &(clip_attrs){ low, high });
}
