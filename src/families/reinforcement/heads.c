/* heads.c - heads of action values: plain, duelling, noisy, categorical, quantiles; and the losses of the last two. */
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "core/graph/graph.h"
#include "glia/layers.h"
#include "glia/ops.h"
#include "glia/reinforcement.h"

/* f(x) = sign(x) sqrt|x| of a normal x: (n). */
static glia_tensor scaled_noise(glia_graph *g, int64_t n) {
    glia_tensor x = glia_random_normal(g, GLIA_SHAPE(n));
    return glia_mul(glia_sign(x), glia_sqrt(glia_abs(x)));
}

static glia_tensor part_of(glia_graph *g, glia_arena *names, const char *name, const char *part, glia_shape shape,
                           glia_init init) {
    const char *full = glia_arena_printf(names, "%s/%s", name, part);
    if (!full) return glia_graph_fail(g, GLIA_E_NOMEM, "out of memory");
    return glia_parameter(g, full, GLIA_F32, shape, init);
}

glia_tensor glia_noisy_dense(glia_tensor x, const char *name, int units, double sigma, bool silent) {
    if (glia_is_bad(x)) return x;
    glia_graph *g = x->graph;
    if (!name || x->shape.rank != 2 || x->shape.dim[1] < 1 || units < 1) {
        return glia_graph_fail(g, GLIA_E_SHAPE, "glia_noisy_dense '%s': needs (N, F) and units", name ? name : "");
    }
    const int64_t inputs = x->shape.dim[1];
    const double limit = 1 / sqrt((double)inputs), noise = glia_option(sigma, 0.5) * limit;
    const glia_init uniform = { .kind = GLIA_INIT_UNIFORM, .low = -limit, .high = limit };
    const glia_init constant = { .kind = GLIA_INIT_CONSTANT, .value = noise };
    glia_arena names = { 0 };
    glia_tensor kernel = part_of(g, &names, name, "kernel", GLIA_SHAPE(units, inputs), uniform);
    glia_tensor bias = part_of(g, &names, name, "bias", GLIA_SHAPE(units), uniform);
    glia_tensor y = glia_add(glia_matmul_transposed(x, false, kernel, true), bias);
    if (!silent) {
        glia_tensor e = scaled_noise(g, inputs), d = scaled_noise(g, units);
        glia_tensor kernel_noise = part_of(g, &names, name, "kernel_noise", GLIA_SHAPE(units, inputs), constant);
        glia_tensor bias_noise = part_of(g, &names, name, "bias_noise", GLIA_SHAPE(units), constant);
        glia_tensor moved = glia_matmul_transposed(glia_mul(x, e), false, kernel_noise, true);
        y = glia_add(y, glia_mul(glia_add(moved, bias_noise), d));
    }
    glia_arena_free(&names);
    return y;
}

/* ---- heads ------------------------------------------------------------------------------------------- */

static int atoms_of(const glia_q_head_opts *o) { return o->distribution == GLIA_Q_MEAN ? 1 : o->atoms ? o->atoms : 51; }

static glia_tensor stream(glia_tensor features, glia_arena *names, const char *name, const char *part, int outputs,
                          const glia_q_head_opts *o) {
    const char *full = glia_arena_printf(names, "%s/%s", name, part);
    if (!full) return glia_graph_fail(features->graph, GLIA_E_NOMEM, "out of memory");
    const int units = outputs * atoms_of(o);
    glia_tensor y = o->noisy ? glia_noisy_dense(features, full, units, 0, o->silent)
                             : glia_dense(features, full, (glia_dense_opts){ .units = units });
    return glia_reshape(y, GLIA_SHAPE(GLIA_BATCH, outputs, atoms_of(o)));
}

glia_tensor glia_q_head(glia_tensor features, const char *name, glia_q_head_opts o) {
    if (glia_is_bad(features)) return features;
    if (!name || o.actions < 1 || atoms_of(&o) < (o.distribution == GLIA_Q_MEAN ? 1 : 2)) {
        return glia_graph_fail(features->graph, GLIA_E_ARGUMENT, "glia_q_head '%s': %d actions with %d atoms",
                               name ? name : "", o.actions, atoms_of(&o));
    }
    glia_arena names = { 0 };
    glia_tensor q = stream(features, &names, name, "advantage", o.actions, &o);
    if (o.duelling) {
        glia_tensor value = stream(features, &names, name, "value", 1, &o);
        q = glia_add(value, glia_sub(q, glia_mean(q, GLIA_SHAPE(1), true)));
    }
    glia_arena_free(&names);
    return q;
}

/* The returns of the atoms: (atoms). */
static glia_tensor support(glia_graph *g, int64_t atoms, double low, double high) {
    const double step = (high - low) / (double)(atoms - 1);
    return glia_add_scalar(glia_mul_scalar(glia_iota(g, GLIA_F32, GLIA_SHAPE(atoms), 0), step), low);
}

glia_tensor glia_q_values(glia_tensor head, glia_q_head_opts o) {
    if (glia_is_bad(head)) return head;
    if (o.distribution == GLIA_Q_CATEGORICAL) {
        glia_tensor atoms = support(head->graph, atoms_of(&o), o.low, o.high);
        return glia_sum(glia_mul(glia_softmax(head, 2), atoms), GLIA_SHAPE(2), false);
    }
    return glia_mean(head, GLIA_SHAPE(2), false);
}

/* ---- losses ------------------------------------------------------------------------------------------ */

static glia_tensor column(glia_tensor x) { return glia_reshape(x, GLIA_SHAPE(GLIA_BATCH, 1)); }

/* Atom j gets the share max(0, 1 - |moved_i - z_j| / step) of probability i: linear interpolation, algorithm 1's
 * lower and upper neighbours at once. */
glia_tensor glia_categorical_projection(glia_tensor probabilities, glia_tensor returns, glia_tensor discounts,
                                        double low, double high) {
    if (glia_is_bad(probabilities)) return probabilities;
    glia_graph *g = probabilities->graph;
    const int64_t atoms = probabilities->shape.rank == 2 ? probabilities->shape.dim[1] : 0;
    if (atoms < 2 || !(high > low)) {
        return glia_graph_fail(g, GLIA_E_SHAPE, "glia_categorical_projection: %lld atoms from %g to %g",
                               (long long)atoms, low, high);
    }
    const double step = (high - low) / (double)(atoms - 1);
    glia_tensor z = support(g, atoms, low, high);
    glia_tensor moved = glia_clip(glia_add(column(returns), glia_mul(column(discounts), z)), low, high);
    glia_tensor from = glia_reshape(moved, GLIA_SHAPE(GLIA_BATCH, atoms, 1));
    glia_tensor apart = glia_mul_scalar(glia_abs(glia_sub(from, glia_reshape(z, GLIA_SHAPE(1, 1, atoms)))), 1 / step);
    glia_tensor share = glia_relu(glia_add_scalar(glia_neg(apart), 1)); /* (N, from, to) */
    glia_tensor weights = glia_reshape(probabilities, GLIA_SHAPE(GLIA_BATCH, atoms, 1));
    return glia_sum(glia_mul(share, weights), GLIA_SHAPE(1), false);
}

glia_tensor glia_quantile_huber(glia_tensor quantiles, glia_tensor targets) {
    if (glia_is_bad(quantiles) || glia_is_bad(targets)) return glia_is_bad(quantiles) ? quantiles : targets;
    glia_graph *g = quantiles->graph;
    if (quantiles->shape.rank != 2 || targets->shape.rank != 2) {
        return glia_graph_fail(g, GLIA_E_SHAPE, "glia_quantile_huber: needs quantiles (N, K) and targets (N, M)");
    }
    const int64_t k = quantiles->shape.dim[1], m = targets->shape.dim[1];
    glia_tensor error = glia_sub(glia_reshape(targets, GLIA_SHAPE(GLIA_BATCH, 1, m)),
                                 glia_reshape(quantiles, GLIA_SHAPE(GLIA_BATCH, k, 1)));
    glia_tensor size = glia_abs(error);
    glia_tensor inner = glia_minimum(size, glia_like(size, 1)); /* huber = inner (size - inner / 2) */
    glia_tensor huber = glia_mul(inner, glia_sub(size, glia_mul_scalar(inner, 0.5)));
    glia_tensor tau =
        glia_mul_scalar(glia_add_scalar(glia_iota(g, GLIA_F32, GLIA_SHAPE(1, k, 1), 1), 0.5), 1 / (double)k);
    glia_tensor below = glia_cast(glia_less(error, glia_like(error, 0)), GLIA_F32);
    glia_tensor weight = glia_stop_gradient(glia_abs(glia_sub(tau, below)));
    return glia_sum(glia_mean(glia_mul(weight, huber), GLIA_SHAPE(2), false), GLIA_SHAPE(1), false);
}
