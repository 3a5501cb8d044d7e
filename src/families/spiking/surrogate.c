/* surrogate.c - spiking layers that learn by gradients (Neftci, Mostafa and Zenke 2019).
 *
 *     x (N, T, F) ──► product for all steps ──► membranes u of all steps ──► spikes ──► (N, T, units)
 *
 * The derivative of a spike in the membrane is zero or infinite. In the gradient it is replaced by a bounded function
 * (glia_custom_gradient), and dL/du is carried from step to step in reverse:
 *
 *     du_t = ds_t surrogate(u_t - threshold) + beta du_t+1
 *
 * Both directions are one pass over memory each (the op lif). Units whose input or threshold depends on spikes of the
 * layer itself, recurrent or adaptive ones, are a loop over the graph of a step.
 */
#include <math.h>

#include "core/ops/loop.h"
#include "core/ops/ops.h"
#include "glia/losses.h"
#include "glia/recurrent.h"
#include "glia/spiking.h"
#include "nn/layers/layers.h"

/* ---- spikes --------------------------------------------------------------------------------------- */

static glia_tensor slope_of(glia_tensor u, glia_surrogate surrogate, double k) {
    glia_tensor one = NULL;
    switch (surrogate) {
    case GLIA_SURROGATE_ARCTANGENT:
        k = glia_option(k, 2);
        one = glia_add_scalar(glia_square(glia_mul_scalar(u, 1.5707963267948966 * k)), 1);
        return glia_mul_scalar(glia_reciprocal(one), k / 2);
    case GLIA_SURROGATE_FAST_SIGMOID:
        k = glia_option(k, 25);
        return glia_reciprocal(glia_square(glia_add_scalar(glia_mul_scalar(glia_abs(u), k), 1)));
    case GLIA_SURROGATE_TRIANGLE:
        k = glia_option(k, 1);
        return glia_relu(glia_add_scalar(glia_mul_scalar(glia_abs(u), -k), 1));
    default: return glia_like(u, 1);
    }
}

glia_tensor glia_spike(glia_tensor u, glia_surrogate surrogate, double slope) {
    if (glia_is_bad(u)) return u;
    if ((unsigned)surrogate >= GLIA_SURROGATE_COUNT)
        return glia_graph_fail(u->graph, GLIA_E_ARGUMENT, "spike: there is no surrogate %d", (int)surrogate);
    if (!isfinite(slope) || slope < 0)
        return glia_graph_fail(u->graph, GLIA_E_ARGUMENT, "spike: the slope is %g; it must be at least 0", slope);
    glia_tensor fired = glia_cast(glia_greater(u, glia_like(u, 0)), u->dtype);
    return glia_custom_gradient(fired, u, slope_of(u, surrogate, slope));
}

/* ---- units ---------------------------------------------------------------------------------------- */

/* The units of one layer in a loop. */
typedef struct units {
    glia_spiking_opts o; /* resolved */
    double threshold;
    glia_loop *loop;
    glia_tensor membrane, current, adaptation, before; /* states; NULL: there is none */
} units;

static glia_spiking_opts resolved(glia_spiking_opts o) {
    o.beta = glia_option(o.beta, 0.9);
    o.alpha = glia_option(o.alpha, 0);
    o.threshold = glia_option(o.threshold, 1);
    o.adapt = glia_option(o.adapt, 0);
    o.rho = glia_option(o.rho, 0.97);
    return o;
}

static bool check(glia_graph *g, const glia_spiking_opts *o) {
    const struct {
        const char *name;
        double value;
    } shares[] = { { "beta", o->beta }, { "alpha", o->alpha }, { "rho", o->rho } };
    for (int i = 0; i < GLIA_COUNT(shares); i++) {
        if (shares[i].value >= 0 && shares[i].value <= 1) continue;
        glia_graph_fail(g, GLIA_E_ARGUMENT,
                        "spiking units: %s is %g, which is not in [0, 1]; a step that is too long for "
                        "its time constant?",
                        shares[i].name, shares[i].value);
        return false;
    }
    if (isfinite(o->threshold) && o->threshold > 0 && isfinite(o->adapt) && o->steps >= 0) return true;
    glia_graph_fail(g, GLIA_E_ARGUMENT, "spiking units: threshold %g, adapt %g, steps %lld", o->threshold, o->adapt,
                    (long long)o->steps);
    return false;
}

/* One step: spikes of this step (or the membrane of a silent layer), from its input. */
static glia_tensor step(units *u, glia_tensor input) {
    const glia_spiking_opts *o = &u->o;
    glia_tensor i = input, a = u->adaptation;
    if (u->current) {
        i = glia_add(glia_mul_scalar(u->current, o->alpha), input);
        glia_loop_next(u->loop, u->current, i);
    }
    glia_tensor old = u->membrane, next = NULL, over = glia_add_scalar(old, -o->threshold);
    if (glia_is_bad(over) || glia_is_bad(i)) return over;
    if (a) over = glia_sub(over, glia_mul_scalar(a, o->adapt));
    if (o->silent) {
        next = glia_add(glia_mul_scalar(old, o->beta), i);
    } else { /* the spike before is known by the membrane that it left */
        glia_tensor fired = glia_cast(glia_greater(over, glia_like(over, 0)), over->dtype);
        if (o->to_zero) old = glia_mul(old, glia_sub(glia_like(fired, 1), fired));
        next = glia_add(glia_mul_scalar(old, o->beta), i);
        if (!o->to_zero) next = glia_sub(next, glia_mul_scalar(fired, o->threshold));
        if (a) {
            a = glia_add(glia_mul_scalar(a, o->rho), fired);
            glia_loop_next(u->loop, u->adaptation, a);
        }
    }
    glia_loop_next(u->loop, u->membrane, next);
    u->membrane = next;
    if (o->silent) return next;
    over = glia_add_scalar(next, -o->threshold);
    if (a) over = glia_sub(over, glia_mul_scalar(a, o->adapt));
    return glia_spike(over, o->surrogate, o->slope);
}

/* (N, ...) without the batch. */
static glia_shape one_of(glia_shape shape, int from) {
    glia_shape one = { .rank = shape.rank - from };
    for (int i = 0; i < one.rank; i++) one.dim[i] = shape.dim[i + from];
    return one;
}

/* Units whose spikes change nothing but their own membranes. */
static glia_tensor units_at_once(glia_tensor current, const glia_spiking_opts *o) {
    int64_t steps = o->steps;
    if (o->alpha > 0) {
        current = glia_lif_of(current, (glia_lif_attrs){ o->alpha, 1, GLIA_RESET_NONE, steps, false });
        steps = 0;
    }
    const glia_lif_reset reset = o->silent ? GLIA_RESET_NONE : o->to_zero ? GLIA_RESET_TO_ZERO : GLIA_RESET_SUBTRACT;
    glia_tensor u = glia_lif_of(current, (glia_lif_attrs){ o->beta, o->threshold, reset, steps, false });
    if (o->membrane) *o->membrane = u;
    return o->silent ? u : glia_spike(glia_add_scalar(u, -o->threshold), o->surrogate, o->slope);
}

/* Units over `current`; kernel (units, units) of recurrent connections, or NULL. */
static glia_tensor run_units(glia_tensor current, glia_tensor kernel, glia_spiking_opts opts) {
    glia_graph *g = current->graph;
    const glia_shape shape = current->shape;
    units u = { .o = resolved(opts) };
    if (!check(g, &u.o)) return g->bad;
    const int from = u.o.steps > 0 ? 1 : 2;
    if (shape.rank <= from || (from == 2 && shape.dim[1] < 1))
        return glia_graph_fail(g, GLIA_E_SHAPE, "spiking units: the input must be %s",
                               from == 1 ? "(N, ...), since opts.steps is given" : "(N, T, ...), or opts.steps given");
    if (!kernel && u.o.adapt == 0) return units_at_once(current, &u.o);
    u.loop = glia_loop_begin(g, (glia_loop_opts){ .steps = u.o.steps });
    glia_tensor input = u.o.steps > 0 ? current : glia_loop_input(u.loop, current), zeros = NULL;
    const glia_shape one = one_of(shape, from);
    if (u.o.steps > 0) zeros = glia_like(current, 0);
    glia_tensor *const states[] = { &u.membrane, u.o.alpha > 0 ? &u.current : NULL,
                                    u.o.adapt != 0 ? &u.adaptation : NULL, kernel ? &u.before : NULL };
    for (int i = 0; i < GLIA_COUNT(states); i++) {
        if (states[i]) *states[i] = zeros ? glia_loop_state(u.loop, zeros) : glia_loop_state_zeros(u.loop, one);
    }
    if (glia_is_bad(input) || glia_is_bad(u.membrane) || (u.o.adapt != 0 && glia_is_bad(u.adaptation))) return g->bad;
    if (kernel) input = glia_add(input, glia_matmul_transposed(u.before, false, kernel, true));
    glia_tensor each[2] = { step(&u, input), u.membrane }, all[2] = { g->bad, g->bad };
    each[1] = u.membrane;
    if (kernel) glia_loop_next(u.loop, u.before, each[0]);
    glia_loop_end(u.loop, each, u.o.membrane ? 2 : 1, all);
    if (u.o.membrane) *u.o.membrane = all[1];
    return all[0];
}

glia_tensor glia_lif(glia_tensor current, glia_spiking_opts opts) {
    if (opts.membrane) *opts.membrane = current;
    if (glia_is_bad(current)) return current;
    if (opts.recurrent)
        return glia_graph_fail(current->graph, GLIA_E_ARGUMENT, "glia_lif: recurrent units need glia_spiking_dense()");
    return run_units(current, NULL, opts);
}

/* ---- layers --------------------------------------------------------------------------------------- */

glia_tensor glia_fold_steps(glia_tensor x) {
    if (glia_is_bad(x)) return x;
    if (x->shape.rank < 3)
        return glia_graph_fail(x->graph, GLIA_E_SHAPE, "glia_fold_steps: the input must be (N, T, F, ...)");
    glia_shape shape = one_of(x->shape, 1);
    shape.dim[0] = x->shape.dim[0] * x->shape.dim[1];
    return glia_reshape(x, shape);
}

glia_tensor glia_unfold_steps(glia_tensor x, int64_t steps) {
    if (glia_is_bad(x)) return x;
    if (steps < 1 || x->shape.rank < 1 || x->shape.rank >= GLIA_MAX_RANK || x->shape.dim[0] % steps != 0)
        return glia_graph_fail(x->graph, GLIA_E_SHAPE, "glia_unfold_steps: the first axis is not %lld steps",
                               (long long)steps);
    glia_shape shape = { .rank = x->shape.rank + 1, .dim = { x->shape.dim[0] / steps, steps } };
    for (int i = 1; i < x->shape.rank; i++) shape.dim[i + 1] = x->shape.dim[i];
    return glia_reshape(x, shape);
}

glia_tensor glia_spiking_dense(glia_tensor x, const char *name, glia_dense_opts dense, glia_spiking_opts opts) {
    if (opts.membrane) *opts.membrane = x;
    dense.sparse = dense.sparse || opts.steps == 0; /* x is spikes */
    glia_tensor current = glia_dense(x, name, dense), kernel = NULL;
    if (glia_is_bad(current)) return current;
    glia_layer layer;
    if (!glia_layer_begin(&layer, "spiking dense", name, current)) return glia_layer_bad(current);
    if (opts.recurrent)
        kernel = glia_layer_parameter(&layer, "recurrent_kernel", GLIA_SHAPE(dense.units, dense.units),
                                      dense.kernel_init, GLIA_INIT_ORTHOGONAL, 0);
    return glia_layer_end(&layer, run_units(current, kernel, opts));
}

glia_tensor glia_spiking_conv2d(glia_tensor x, const char *name, glia_conv_opts conv, glia_spiking_opts opts) {
    if (opts.membrane) *opts.membrane = x;
    if (glia_is_bad(x)) return x;
    if (opts.recurrent)
        return glia_graph_fail(x->graph, GLIA_E_ARGUMENT, "%s: convolutions are not recurrent", name ? name : "");
    if (opts.steps > 0) return glia_lif(glia_conv2d(x, name, conv), opts);
    if (x->shape.rank != 5)
        return glia_graph_fail(x->graph, GLIA_E_SHAPE, "%s: the input must be (N, T, C, H, W)", name ? name : "");
    return glia_lif(glia_unfold_steps(glia_conv2d(glia_fold_steps(x), name, conv), x->shape.dim[1]), opts);
}

/* ---- codes ---------------------------------------------------------------------------------------- */

/* x (N, ...) -> (N, 1, ...), and the shape (N, T, ...). NULL: see the graph. */
static glia_tensor beside_steps(glia_tensor x, int64_t steps, const char *what, glia_shape *shape) {
    if (glia_is_bad(x)) return NULL;
    if (steps < 1 || x->shape.rank < 1 || x->shape.rank >= GLIA_MAX_RANK) {
        glia_graph_fail(x->graph, GLIA_E_SHAPE, "%s: needs (N, ...) and at least one step", what);
        return NULL;
    }
    *shape = (glia_shape){ .rank = x->shape.rank + 1, .dim = { x->shape.dim[0], 1 } };
    for (int i = 1; i < x->shape.rank; i++) shape->dim[i + 1] = x->shape.dim[i];
    glia_tensor y = glia_reshape(x, *shape);
    shape->dim[1] = steps;
    return y;
}

glia_tensor glia_spikes_by_rate(glia_tensor x, int64_t steps) {
    glia_shape shape;
    glia_tensor p = beside_steps(x, steps, "glia_spikes_by_rate", &shape);
    if (!p) return glia_layer_bad(x);
    glia_tensor draws = glia_cast(glia_random_uniform(x->graph, shape), x->dtype);
    return glia_cast(glia_less(draws, glia_broadcast(p, shape)), x->dtype);
}

glia_tensor glia_spikes_by_latency(glia_tensor x, int64_t steps) {
    glia_shape shape;
    glia_tensor p = beside_steps(x, steps, "glia_spikes_by_latency", &shape);
    if (!p) return glia_layer_bad(x);
    /* rounded half away from zero, as glia_encode() does */
    glia_tensor from_end = glia_mul_scalar(glia_sub(glia_like(p, 1), p), (double)(steps - 1));
    glia_tensor at = glia_floor(glia_add_scalar(from_end, 0.5));
    at = glia_select(glia_greater(p, glia_like(p, 0)), at, glia_like(at, -1));
    glia_shape times = { .rank = shape.rank, .dim = { 0 } };
    for (int i = 0; i < times.rank; i++) times.dim[i] = i == 1 ? steps : 1;
    glia_tensor t = glia_iota(x->graph, x->dtype, times, 1);
    return glia_cast(glia_equal(glia_broadcast(at, shape), glia_broadcast(t, shape)), x->dtype);
}

/* ---- losses --------------------------------------------------------------------------------------- */

glia_tensor glia_first_spike(glia_tensor spikes) {
    if (glia_is_bad(spikes)) return spikes;
    glia_graph *g = spikes->graph;
    if (spikes->shape.rank < 3)
        return glia_graph_fail(g, GLIA_E_SHAPE, "glia_first_spike: the spikes must be (N, T, F, ...)");
    const glia_shape one = one_of(spikes->shape, 2);
    glia_loop *loop = glia_loop_begin(g, (glia_loop_opts){ 0 });
    glia_tensor s = glia_loop_input(loop, spikes), steps = glia_loop_state_zeros(loop, one);
    glia_tensor fired = glia_loop_state_zeros(loop, one); /* 1 from the first spike on */
    if (glia_is_bad(s) || glia_is_bad(steps) || glia_is_bad(fired)) return g->bad;
    glia_tensor waits = glia_mul(glia_sub(glia_like(fired, 1), fired), glia_sub(glia_like(s, 1), s));
    glia_loop_next(loop, fired, glia_sub(glia_like(waits, 1), waits));
    glia_tensor next = glia_add(steps, waits), all = NULL;
    glia_loop_next(loop, steps, next);
    glia_loop_end(loop, &next, 1, &all);
    return glia_loop_last(loop, steps);
}

glia_tensor glia_spike_loss_of(glia_tensor spikes, glia_tensor labels, glia_spike_loss loss) {
    if (glia_is_bad(spikes)) return spikes;
    if (glia_is_bad(labels)) return glia_layer_bad(spikes);
    glia_graph *g = spikes->graph;
    if (spikes->shape.rank != 3)
        return glia_graph_fail(g, GLIA_E_SHAPE, "glia_spike_loss_of: the spikes must be (N, T, classes)");
    const int64_t n = spikes->shape.dim[0], steps = spikes->shape.dim[1];
    switch (loss) {
    case GLIA_SPIKE_LOSS_COUNT: return glia_cross_entropy(glia_sum(spikes, GLIA_SHAPE(1), false), labels, 0);
    case GLIA_SPIKE_LOSS_RATE: {
        glia_tensor each = glia_broadcast(glia_reshape(labels, GLIA_SHAPE(n, 1)), GLIA_SHAPE(n, steps));
        return glia_cross_entropy(spikes, each, 0);
    }
    case GLIA_SPIKE_LOSS_MEMBRANE: return glia_cross_entropy(glia_max(spikes, GLIA_SHAPE(1), false), labels, 0);
    case GLIA_SPIKE_LOSS_LATENCY: return glia_cross_entropy(glia_neg(glia_first_spike(spikes)), labels, 0);
    default: return glia_graph_fail(g, GLIA_E_ARGUMENT, "there is no spike loss %d", (int)loss);
    }
}

glia_tensor glia_spike_penalty(glia_tensor spikes, double most) {
    if (glia_is_bad(spikes)) return spikes;
    if (spikes->shape.rank < 3 || !isfinite(most))
        return glia_graph_fail(spikes->graph, GLIA_E_SHAPE, "glia_spike_penalty: the spikes must be (N, T, F, ...)");
    glia_tensor counts = glia_sum(spikes, GLIA_SHAPE(1), false);
    return glia_mean(glia_square(glia_relu(glia_add_scalar(counts, -most))), GLIA_SCALAR, false);
}
