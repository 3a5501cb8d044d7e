/* norm.c - layer normalisation and batch normalisation.
 *
 * Both subtract a mean, divide by a standard deviation, then scale and shift:
 *
 *     xhat = (x - mean) r,  r = 1 / sqrt(var + epsilon)        y = xhat scale + shift
 *
 * Layer normalisation (Ba et al. 2016) takes them over the last axis of each sample. Batch normalisation (Ioffe and
 * Szegedy 2015) takes them for each channel, axis 1, over all other axes when training, and uses running averages
 * otherwise. Each pass in training mode moves those: running = (1 - momentum) running + momentum batch, where the
 * variance is the unbiased one (core/passes/statistics.c).
 *
 * The gradient, with g = dy scale and means over the same elements, follows from mean(xhat) = 0 and mean(xhat^2) = 1:
 *
 *     dx = r (g - mean(g) - xhat mean(g xhat))        dscale = sum dy xhat        dshift = sum dy
 *
 * (d mean and d var each contribute one of the subtracted terms.) With running statistics, which do not depend on x,
 * dx = r g. Which of the two holds is known when a program is compiled, not when the gradient is built, so the gradient
 * of batch_norm is made of two operations, batch_norm_dx and batch_norm_dscale, that expand by mode as batch_norm does.
 */
#include "core/ops/ops.h"

/* ---- layer normalisation -------------------------------------------------------------------- */

typedef glia_layer_norm_attrs layer_norm_attrs;
static const glia_field layer_norm_fields[] = { GLIA_FIELD(FLOAT, layer_norm_attrs, epsilon), GLIA_FIELDS_END };

/* Input `i` is a vector of `size` elements of x's dtype. */
static bool is_vector(glia_node *n, int i, const char *what, int64_t size) {
    const glia_node *v = n->in[i];
    if (v->dtype == n->in[0]->dtype && v->shape.rank == 1 && v->shape.dim[0] == size) return true;
    return glia_node_fail(n, "%s should be %s(%lld)", what, glia_dtype_name(n->in[0]->dtype), (long long)size);
}

static bool is_float(glia_node *n) {
    n->dtype = n->in[0]->dtype;
    n->shape = n->in[0]->shape;
    return n->dtype == GLIA_F32 || n->dtype == GLIA_F64 || glia_node_fail(n, "x must be f32 or f64");
}

static bool epsilon_fits(glia_node *n, double epsilon) {
    return epsilon >= 0 || glia_node_fail(n, "epsilon cannot be %g", epsilon);
}

static bool layer_norm_infer(glia_node *n) {
    if (!is_float(n)) return false;
    int last = n->shape.rank - 1;
    if (last < 0 || n->shape.dim[last] < 1) return glia_node_fail(n, "x needs a last axis of fixed size");
    return is_vector(n, 1, "scale", n->shape.dim[last]) && is_vector(n, 2, "shift", n->shape.dim[last]) &&
           epsilon_fits(n, ((const layer_norm_attrs *)n->attrs)->epsilon);
}

/* (x - mean) / sqrt(variance + epsilon) over these axes; *r gets 1 / sqrt(...), of x's rank. */
static glia_tensor normalized(glia_tensor x, glia_shape axes, double epsilon, glia_tensor *r) {
    glia_tensor d = glia_sub(x, glia_mean(x, axes, true));
    *r = glia_rsqrt(glia_add_scalar(glia_mean(glia_mul(d, d), axes, true), epsilon));
    return glia_mul(d, *r);
}

/* r (g - mean(g) - xhat mean(g xhat)). */
static glia_tensor normalized_grad(glia_tensor xhat, glia_tensor r, glia_tensor g, glia_shape axes) {
    glia_tensor along = glia_mul(xhat, glia_mean(glia_mul(g, xhat), axes, true));
    return glia_mul(r, glia_sub(glia_sub(g, glia_mean(g, axes, true)), along));
}

static glia_tensor layer_normalized(const glia_node *n, glia_tensor x, glia_tensor *r) {
    return normalized(x, GLIA_SHAPE(n->shape.rank - 1), ((const layer_norm_attrs *)n->attrs)->epsilon, r);
}

static glia_tensor layer_norm_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)mode;
    glia_tensor r;
    return glia_add(glia_mul(layer_normalized(n, in[0], &r), in[1]), in[2]);
}

static void layer_norm_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_tensor for_x[] = { y->in[0], y->in[1], dy };
    dx[0] = glia_node_create(y->graph, &glia_op_layer_norm_dx, for_x, 3, y->attrs);
    dx[1] = glia_node2(&glia_op_layer_norm_dscale, y->in[0], dy, y->attrs);
    dx[2] = glia_sum_to(dy, y->in[2]->shape);
}

/* x, its gradient's scale and dy. */
static bool layer_norm_grad_infer(glia_node *n, bool of_scale) {
    const int last = n->in[0]->shape.rank - 1;
    const glia_node *x = n->in[0], *dy = n->in[n->n_in - 1];
    if (!is_float(n)) return false;
    if (last < 0 || n->shape.dim[last] < 1) return glia_node_fail(n, "x needs a last axis of fixed size");
    if (dy->dtype != n->dtype || !glia_shape_equal(dy->shape, x->shape)) return glia_node_fail(n, "dy must be as x");
    if (!of_scale && !is_vector(n, 1, "scale", n->shape.dim[last])) return false;
    if (of_scale) n->shape = GLIA_SHAPE(x->shape.dim[last]);
    return epsilon_fits(n, ((const layer_norm_attrs *)n->attrs)->epsilon);
}

static bool layer_norm_dx_infer(glia_node *n) { return layer_norm_grad_infer(n, false); }
static bool layer_norm_dscale_infer(glia_node *n) { return layer_norm_grad_infer(n, true); }

static glia_tensor layer_norm_dx_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)mode;
    glia_tensor r, xhat = layer_normalized(n, in[0], &r);
    return normalized_grad(xhat, r, glia_mul(in[2], in[1]), GLIA_SHAPE(n->shape.rank - 1));
}

static glia_tensor layer_norm_dscale_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)mode;
    const int last = n->in[0]->shape.rank - 1;
    glia_tensor r, xhat = normalized(in[0], GLIA_SHAPE(last), ((const layer_norm_attrs *)n->attrs)->epsilon, &r);
    return glia_sum_to(glia_mul(in[1], xhat), n->shape);
}

const glia_op glia_op_layer_norm = { .name = "layer_norm",
                                     .summary = "(x - mean) / sqrt(var + epsilon) scale + shift over the last axis",
                                     .arity = 3,
                                     .flags = GLIA_OP_COMPOSITE,
                                     .attr_size = sizeof(layer_norm_attrs),
                                     .fields = layer_norm_fields,
                                     .infer = layer_norm_infer,
                                     .vjp = layer_norm_vjp,
                                     .expand = layer_norm_expand };

const glia_op glia_op_layer_norm_dx = { .name = "layer_norm_dx",
                                        .summary = "layer_norm's gradient in x, from x, scale and dy",
                                        .arity = 3,
                                        .flags = GLIA_OP_COMPOSITE,
                                        .attr_size = sizeof(layer_norm_attrs),
                                        .fields = layer_norm_fields,
                                        .infer = layer_norm_dx_infer,
                                        .expand = layer_norm_dx_expand };

const glia_op glia_op_layer_norm_dscale = { .name = "layer_norm_dscale",
                                            .summary = "layer_norm's gradient in scale, from x and dy",
                                            .arity = 2,
                                            .flags = GLIA_OP_COMPOSITE,
                                            .attr_size = sizeof(layer_norm_attrs),
                                            .fields = layer_norm_fields,
                                            .infer = layer_norm_dscale_infer,
                                            .expand = layer_norm_dscale_expand };

#define VALUES(...) { .shape = GLIA_DIMS(__VA_ARGS__), .kind = GLIA_SAMPLE_DISTINCT, .low = -2, .high = 2 }
const glia_sample glia_samples_layer_norm[] = {
    { .name = "rows",
      .n = 3,
      .in = { VALUES(4, 6), VALUES(6), VALUES(6) },
      .attrs = &(const layer_norm_attrs){ 1e-5 } },
    { .name = "sequence",
      .n = 3,
      .in = { VALUES(2, 3, 5), VALUES(5), VALUES(5) },
      .attrs = &(const layer_norm_attrs){ 0.1 } },
    { .name = "wide",
      .n = 3,
      .in = { VALUES(2, 3, 37), VALUES(37), VALUES(37) },
      .attrs = &(const layer_norm_attrs){ 1e-5 } },
    { 0 },
};
const glia_sample glia_samples_layer_norm_dx[] = {
    { .name = "rows",
      .n = 3,
      .in = { VALUES(4, 6), VALUES(6), VALUES(4, 6) },
      .attrs = &(const layer_norm_attrs){ 1e-5 } },
    { .name = "wide",
      .n = 3,
      .in = { VALUES(2, 3, 37), VALUES(37), VALUES(2, 3, 37) },
      .attrs = &(const layer_norm_attrs){ 0.1 } },
    { 0 },
};
const glia_sample glia_samples_layer_norm_dscale[] = {
    { .name = "rows", .n = 2, .in = { VALUES(4, 6), VALUES(4, 6) }, .attrs = &(const layer_norm_attrs){ 1e-5 } },
    { .name = "wide",
      .n = 2,
      .in = { VALUES(2, 19, 37), VALUES(2, 19, 37) },
      .attrs = &(const layer_norm_attrs){ 0.1 } },
    { 0 },
};

/* ---- batch normalisation: shapes and pieces ------------------------------------------------- */

static const glia_field batch_norm_fields[] = { GLIA_FIELD(FLOAT, glia_batch_norm_attrs, epsilon),
                                                GLIA_FIELD(FLOAT, glia_batch_norm_attrs, momentum), GLIA_FIELDS_END };

static double epsilon_of(const glia_node *n) { return ((const glia_batch_norm_attrs *)n->attrs)->epsilon; }

/* x (N, C, ...) and the attributes. */
static bool is_batch(glia_node *n) {
    const glia_batch_norm_attrs *a = n->attrs;
    if (!is_float(n) || !epsilon_fits(n, a->epsilon)) return false;
    if (n->shape.rank < 2 || n->shape.dim[1] < 1) return glia_node_fail(n, "x must be (N, C, ...)");
    return (a->momentum >= 0 && a->momentum <= 1) ||
           glia_node_fail(n, "momentum must be in [0, 1], not %g", a->momentum);
}

static bool is_like_x(glia_node *n, int i) {
    return (n->in[i]->dtype == n->dtype && glia_shape_equal(n->in[i]->shape, n->shape)) ||
           glia_node_fail(n, "dy must be as x");
}

/* All axes of x but the channels. */
static glia_shape batch_axes(glia_tensor x) {
    glia_shape axes = { .rank = 1 };
    for (int i = 2; i < x->shape.rank; i++) axes.dim[axes.rank++] = i;
    return axes;
}

/* A vector (C) as (1, C, 1, ...), to be broadcast to x. */
static glia_tensor by_channel(glia_tensor vector, glia_tensor x) {
    if (glia_is_bad(vector) || glia_is_bad(x)) return vector;
    glia_shape shape = { .rank = x->shape.rank };
    for (int i = 0; i < shape.rank; i++) shape.dim[i] = i == 1 ? x->shape.dim[1] : 1;
    return glia_reshape(vector, shape);
}

static glia_tensor sum_by_channel(glia_tensor x) { return glia_is_bad(x) ? x : glia_sum(x, batch_axes(x), false); }

/* x less the mean of this mode, which is of the batch or running; *r gets 1 / sqrt(variance + epsilon), (1, C, 1, ...).
 * Whatever a channel's elements have in common is a vector, so that two operations on each element are left. */
static glia_tensor batch_centred(glia_tensor x, glia_tensor running_mean, glia_tensor running_var, double epsilon,
                                 glia_mode mode, glia_tensor *r) {
    if (glia_is_bad(x)) return *r = x;
    glia_shape axes = batch_axes(x);
    const bool train = mode == GLIA_TRAIN;
    glia_tensor mean = train ? glia_mean(x, axes, true) : by_channel(running_mean, x);
    glia_tensor variance = train ? glia_variance(x, axes, true) : by_channel(running_var, x);
    *r = glia_rsqrt(glia_add_scalar(variance, epsilon));
    return glia_sub(x, mean);
}

/* A vector (1, C, 1, ...) as (C). */
static glia_tensor as_vector(glia_tensor x) {
    return glia_is_bad(x) ? x : glia_reshape(x, GLIA_SHAPE(x->shape.dim[1]));
}

/* ---- batch normalisation: forward ----------------------------------------------------------- */

static bool batch_norm_infer(glia_node *n) {
    static const char *const names[] = { "x", "scale", "shift", "running_mean", "running_var" };
    if (!is_batch(n)) return false;
    for (int i = 1; i < 5; i++) {
        if (!is_vector(n, i, names[i], n->shape.dim[1])) return false;
    }
    return true;
}

/* (1 - momentum) running + momentum value. */
static glia_tensor moved(glia_tensor running, glia_tensor value, double momentum) {
    if (glia_is_bad(running) || glia_is_bad(value)) return running;
    value = glia_reshape(value, running->shape);
    return glia_add(glia_mul_scalar(running, 1 - momentum), glia_mul_scalar(value, momentum));
}

/* The running statistics after a pass over x. A batch of one element has an unbiased variance of 0 here. */
static void batch_norm_moves(const glia_node *n, const glia_tensor *in, glia_tensor *next) {
    const double momentum = ((const glia_batch_norm_attrs *)n->attrs)->momentum;
    glia_tensor x = in[0];
    if (glia_is_bad(x) || momentum == 0) return;
    glia_shape axes = batch_axes(x);
    glia_tensor mean = glia_mean(x, axes, true), variance = glia_variance(x, axes, true),
                count = glia_count_of(x, axes);
    glia_tensor others = glia_maximum(glia_add_scalar(count, -1), glia_like(count, 1));
    next[3] = moved(in[3], mean, momentum);
    next[4] = moved(in[4], glia_mul(variance, glia_div(count, others)), momentum);
}

static glia_tensor batch_norm_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    glia_tensor x = in[0], scale = in[1], shift = in[2], mean = in[3], var = in[4], r;
    if (mode == GLIA_TRAIN) {
        glia_tensor d = batch_centred(x, mean, var, epsilon_of(n), mode, &r);
        return glia_add(glia_mul(d, glia_mul(by_channel(scale, x), r)), by_channel(shift, x));
    }
    /* x a + b, where a = scale r and b = shift - mean a are vectors. */
    glia_tensor a = glia_mul(scale, glia_rsqrt(glia_add_scalar(var, epsilon_of(n)))),
                b = glia_sub(shift, glia_mul(mean, a));
    return glia_add(glia_mul(x, by_channel(a, x)), by_channel(b, x));
}

static void batch_norm_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_tensor x = y->in[0], mean = y->in[3], var = y->in[4];
    glia_tensor for_x[] = { x, dy, y->in[1], mean, var }, for_scale[] = { x, dy, mean, var };
    dx[0] = glia_node_create(y->graph, &glia_op_batch_norm_dx, for_x, 5, y->attrs);
    dx[1] = glia_node_create(y->graph, &glia_op_batch_norm_dscale, for_scale, 4, y->attrs);
    dx[2] = sum_by_channel(dy);
}

const glia_op glia_op_batch_norm = {
    .name = "batch_norm",
    .arity = 5,
    .flags = GLIA_OP_COMPOSITE | GLIA_OP_MODAL,
    .summary =
        "(x - mean) / sqrt(var + epsilon) scale + shift for each channel; statistics of the batch or running ones",
    .attr_size = sizeof(glia_batch_norm_attrs),
    .fields = batch_norm_fields,
    .infer = batch_norm_infer,
    .vjp = batch_norm_vjp,
    .expand = batch_norm_expand,
    .moves = batch_norm_moves
};

/* ---- batch normalisation: gradients --------------------------------------------------------- */

static bool batch_norm_dx_infer(glia_node *n) {
    return is_batch(n) && is_like_x(n, 1) && is_vector(n, 2, "scale", n->shape.dim[1]) &&
           is_vector(n, 3, "running_mean", n->shape.dim[1]) && is_vector(n, 4, "running_var", n->shape.dim[1]);
}

/* With d = x - mean, a = scale r and the sums over a channel's m elements: a dy - d a r^2 sum(dy d) / m - a sum(dy) /
 * m. The sums are those that the gradients of scale and shift are, too. */
static glia_tensor batch_norm_dx_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    glia_tensor x = in[0], dy = in[1], r, d = batch_centred(x, in[3], in[4], epsilon_of(n), mode, &r);
    glia_tensor a = glia_mul(by_channel(in[2], x), r);
    if (mode == GLIA_INFER || glia_is_bad(x)) return glia_mul(dy, a);
    glia_tensor share = glia_div(a, glia_count_of(x, batch_axes(x)));
    glia_tensor along = glia_mul(glia_mul(share, glia_square(r)), by_channel(sum_by_channel(glia_mul(dy, d)), x));
    glia_tensor level = glia_mul(share, by_channel(sum_by_channel(dy), x));
    return glia_add(glia_mul(dy, a), glia_add(glia_mul(d, glia_neg(along)), glia_neg(level)));
}

const glia_op glia_op_batch_norm_dx = { .name = "batch_norm_dx",
                                        .summary =
                                            "batch_norm's gradient in x, from x, dy, scale and running statistics",
                                        .arity = 5,
                                        .flags = GLIA_OP_COMPOSITE | GLIA_OP_MODAL,
                                        .attr_size = sizeof(glia_batch_norm_attrs),
                                        .fields = batch_norm_fields,
                                        .infer = batch_norm_dx_infer,
                                        .expand = batch_norm_dx_expand };

static bool batch_norm_dscale_infer(glia_node *n) {
    if (!is_batch(n) || !is_like_x(n, 1) || !is_vector(n, 2, "running_mean", n->shape.dim[1]) ||
        !is_vector(n, 3, "running_var", n->shape.dim[1])) {
        return false;
    }
    n->shape = n->in[2]->shape;
    return true;
}

static glia_tensor batch_norm_dscale_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    glia_tensor r, d = batch_centred(in[0], in[2], in[3], epsilon_of(n), mode, &r);
    return glia_mul(sum_by_channel(glia_mul(in[1], d)), as_vector(r));
}

const glia_op glia_op_batch_norm_dscale = { .name = "batch_norm_dscale",
                                            .summary =
                                                "batch_norm's gradient in scale, from x, dy and running statistics",
                                            .arity = 4,
                                            .flags = GLIA_OP_COMPOSITE | GLIA_OP_MODAL,
                                            .attr_size = sizeof(glia_batch_norm_attrs),
                                            .fields = batch_norm_fields,
                                            .infer = batch_norm_dscale_infer,
                                            .expand = batch_norm_dscale_expand };

#define MEANS(c) { .shape = GLIA_DIMS(c), .constant = true }
#define VARIANCES(c) { .shape = GLIA_DIMS(c), .low = 0.5, .high = 2, .constant = true }
#define ATTRS .attrs = &(const glia_batch_norm_attrs){ 1e-3, 0.1 }
const glia_sample glia_samples_batch_norm[] = {
    { .name = "rows", .n = 5, .in = { VALUES(6, 3), VALUES(3), VALUES(3), MEANS(3), VARIANCES(3) }, ATTRS },
    { .name = "images", .n = 5, .in = { VALUES(2, 3, 3, 2), VALUES(3), VALUES(3), MEANS(3), VARIANCES(3) }, ATTRS },
    { 0 },
};
const glia_sample glia_samples_batch_norm_dx[] = {
    { .name = "rows", .n = 5, .in = { VALUES(6, 3), VALUES(6, 3), VALUES(3), MEANS(3), VARIANCES(3) }, ATTRS },
    { .name = "images",
      .n = 5,
      .in = { VALUES(2, 3, 3, 2), VALUES(2, 3, 3, 2), VALUES(3), MEANS(3), VARIANCES(3) },
      ATTRS },
    { 0 },
};
const glia_sample glia_samples_batch_norm_dscale[] = {
    { .name = "rows", .n = 4, .in = { VALUES(6, 3), VALUES(6, 3), MEANS(3), VARIANCES(3) }, ATTRS },
    { .name = "images", .n = 4, .in = { VALUES(2, 3, 3, 2), VALUES(2, 3, 3, 2), MEANS(3), VARIANCES(3) }, ATTRS },
    { 0 },
};

/* ---- constructors for layers ---------------------------------------------------------------- */

glia_tensor glia_layer_norm_of(glia_tensor x, glia_tensor scale, glia_tensor shift, double epsilon) {
    glia_tensor in[] = { x, scale, shift };
    return glia_node_create(glia_graph_of(in, 3), &glia_op_layer_norm, in, 3, &(layer_norm_attrs){ epsilon });
}

glia_tensor glia_batch_norm_of(const glia_tensor in[5], glia_batch_norm_attrs attrs) {
    return glia_node_create(glia_graph_of(in, 5), &glia_op_batch_norm, in, 5, &attrs);
}
