/* learned_variance.c - diffusion models that also learn the variances of their steps (Nichol and Dhariwal 2021, section
 * 3.1).
 *
 * The second half of the net's channels is v, and the variance of step t is exp(v log beta + (1 - v) log beta~),
 * between the posterior's, v = 0, and beta, v = 1. It learns by the terms of the variational bound (bound.c), through
 * which no gradient reaches the prediction:
 *
 *     t >= 1:  (log S - log beta~ + (beta~ + x0_share^2 (x0 - E)^2) / S - 1) / 2        E: the estimate of x0
 *     t = 0:   -log of the chance of a normal number around E to be rounded to x0, of 256 values in [-1, 1]
 */
#include <math.h>

#include "core/ops/ops.h"
#include "families/generative/generative.h"

/* The row of each sample's step in a table, (N, 1, ...). */
static glia_tensor at_step(glia_tensor x, const double *table, int steps, glia_tensor t) {
    glia_shape column = { .rank = x->shape.rank, .dim = { x->shape.dim[0] } };
    for (int i = 1; i < column.rank; i++) column.dim[i] = 1;
    return glia_reshape(glia_gather(glia_constant(x->graph, x->dtype, GLIA_SHAPE(steps), table), t, 0), column);
}

glia_diffusion_variances glia_diffusion_variances_of(const glia_diffusion *d, int t) {
    const glia_diffusion_step s = glia_diffusion_at(d, t), next = glia_diffusion_at(d, 1);
    const double least = t > 0 ? s.variance : d->opts.steps > 1 ? next.variance : s.beta; /* beta~ of step 0 is 0 */
    return (glia_diffusion_variances){ log(least), log(fmax(s.beta, least)) };
}

glia_tensor glia_diffusion_half(glia_tensor output, int index) {
    if (glia_is_bad(output)) return output;
    const int64_t channels = output->shape.dim[1] / 2;
    glia_shape start = { .rank = output->shape.rank }, stop = start;
    for (int i = 0; i < stop.rank; i++) stop.dim[i] = INT64_MAX;
    start.dim[1] = index * channels, stop.dim[1] = (index + 1) * channels;
    return glia_slice(output, start, stop, (glia_shape){ 0 });
}

/* The negative logarithm of the chance that a normal number of this mean and log variance is rounded to x. */
static glia_tensor rounding_loss(glia_tensor x, glia_tensor mean, glia_tensor logvar) {
    const double half = 1.0 / 255, edge = 0.999, least = 1e-12;
    glia_tensor scale = glia_mul_scalar(glia_exp(glia_mul_scalar(logvar, -0.5)), 0.7071067811865476);
    glia_tensor far = glia_sub(x, mean);
    glia_tensor above = glia_erf(glia_mul(glia_add_scalar(far, half), scale));
    glia_tensor below = glia_erf(glia_mul(glia_add_scalar(far, -half), scale));
    above = glia_select(glia_greater(x, glia_like(x, edge)), glia_like(x, 1), above);
    below = glia_select(glia_less(x, glia_like(x, -edge)), glia_like(x, -1), below);
    glia_tensor chance = glia_mul_scalar(glia_sub(above, below), 0.5);
    return glia_neg(glia_log(glia_maximum(chance, glia_like(chance, least))));
}

/* The bound's term of each number, nats; the prediction counts as a constant. */
static glia_tensor terms_of(const glia_diffusion *d, glia_tensor prediction, glia_tensor v, glia_tensor xt,
                            glia_tensor t, glia_tensor x0) {
    const int steps = d->opts.steps;
    glia_graph *g = x0->graph;
    double *tables = glia_arena_alloc(&g->arena, (size_t)steps * 3 * sizeof *tables);
    if (!tables) return glia_graph_fail_nomem(g);
    for (int i = 0; i < steps; i++) {
        const glia_diffusion_variances s = glia_diffusion_variances_of(d, i);
        const double share = glia_diffusion_at(d, i).x0_share;
        tables[i] = s.least, tables[steps + i] = s.most - s.least, tables[2 * steps + i] = share * share;
    }
    glia_tensor least = at_step(x0, tables, steps, t), range = at_step(x0, tables + steps, steps, t);
    glia_tensor share = at_step(x0, tables + (ptrdiff_t)2 * steps, steps, t);
    glia_tensor above = glia_mul(v, range); /* log S - log beta~ */
    glia_tensor mean = glia_stop_gradient(glia_diffusion_x0(d, prediction, xt, t));
    glia_tensor logvar = glia_add(above, least);
    glia_tensor miss = glia_mul(share, glia_square(glia_sub(x0, mean)));
    glia_tensor kl = glia_add(glia_exp(glia_neg(above)), glia_mul(miss, glia_exp(glia_neg(logvar))));
    kl = glia_mul_scalar(glia_add_scalar(glia_add(above, kl), -1), 0.5);
    glia_shape column = { .rank = x0->shape.rank, .dim = { x0->shape.dim[0] } };
    for (int i = 1; i < column.rank; i++) column.dim[i] = 1;
    glia_tensor first = glia_reshape(glia_equal(t, glia_like(t, 0)), column);
    return glia_select(glia_broadcast(first, x0->shape), rounding_loss(x0, mean, logvar), kl);
}

glia_tensor glia_diffusion_hybrid_loss(const glia_diffusion *d, glia_tensor output, glia_tensor x, glia_tensor t,
                                       glia_tensor x0, double weight) {
    if (glia_is_bad(output) || glia_is_bad(x) || glia_is_bad(t) || glia_is_bad(x0)) {
        glia_tensor known = output ? output : x ? x : t ? t : x0;
        return known ? known->graph->bad : NULL;
    }
    glia_graph *g = x->graph;
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    if (!d) return glia_graph_fail(g, GLIA_E_ARGUMENT, "diffusion_hybrid_loss: diffusion is NULL");
    glia_shape wanted = x0->shape;
    if (wanted.rank > 1) wanted.dim[1] *= 2;
    if (wanted.rank < 2 || !glia_shape_equal(output->shape, wanted) || !glia_shape_equal(x->shape, x0->shape))
        return glia_graph_fail(g, GLIA_E_SHAPE,
                               "diffusion_hybrid_loss: the output %s must have twice the channels of %s",
                               glia_shape_format(output->shape, a), glia_shape_format(x0->shape, b));
    const glia_diffusion_trial drawn = glia_diffusion_try(d, output, x, t, x0);
    if (glia_is_bad(drawn.output)) return drawn.output;
    glia_tensor prediction = glia_diffusion_half(drawn.output, 0);
    glia_tensor miss = glia_sub(prediction, drawn.target);
    glia_tensor terms = terms_of(d, prediction, glia_diffusion_half(drawn.output, 1), drawn.xt, drawn.step, x0);
    const double bits = d->opts.steps / 0.6931471805599453;
    return glia_add(glia_mean(glia_square(miss), GLIA_SCALAR, false),
                    glia_mul_scalar(glia_mean(terms, GLIA_SCALAR, false), glia_option(weight, 1e-3) * bits));
}
