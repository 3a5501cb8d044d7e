/* distributions.c - log-probabilities, entropies and divergences of normal and categorical distributions, and losses
 * made of them. All are compositions of operations, with their gradients.
 *
 * With z = (x - mean) / std and d = log std_p - log std_q:
 *
 *     log N(x)        = -z^2 / 2 - log std - log(2 pi) / 2
 *     H(N)            = log std + (1 + log(2 pi)) / 2
 *     KL(N_p || N_q)  = (exp(2 d) - 1) / 2 - d + ((mean_p - mean_q) / std_q)^2 / 2
 *
 * expm1 keeps the digits of the last where both are nearly the same.
 */
#include <math.h>

#include "nn/losses/losses.h"

static const double half_log_2pi = 0.91893853320467274178;

/* Is x a floating-point tensor? If not, a mistake is in its graph. */
static bool is_real(const char *who, const char *name, glia_tensor x, glia_graph *g) {
    if (x && x != x->graph->bad && glia_dtype_is_float(x->dtype)) return true;
    if (!x)
        glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: %s is NULL", who, name);
    else
        glia_graph_fail(x->graph, GLIA_E_SHAPE, "%s: %s is %s, not floating-point", who, name,
                        glia_dtype_name(x->dtype));
    return false;
}

static glia_graph *graph_of(glia_tensor a, glia_tensor b, glia_tensor c) {
    return a ? a->graph : b ? b->graph : c ? c->graph : NULL;
}

static glia_tensor bad_of(glia_graph *g) { return g ? g->bad : NULL; }

/* ---- normal distributions ----------------------------------------------------------------------- */

glia_tensor glia_normal_log_prob(glia_tensor x, glia_tensor mean, glia_tensor log_std) {
    static const char who[] = "glia_normal_log_prob";
    glia_graph *g = graph_of(x, mean, log_std);
    if (!is_real(who, "x", x, g) || !is_real(who, "mean", mean, g) || !is_real(who, "log_std", log_std, g))
        return bad_of(g);
    glia_tensor z = glia_mul(glia_sub(x, mean), glia_exp(glia_neg(log_std)));
    glia_tensor scaled = glia_add_scalar(glia_mul_scalar(glia_square(z), -0.5), -half_log_2pi);
    return glia_sub(scaled, log_std);
}

glia_tensor glia_normal_entropy(glia_tensor log_std) {
    if (!is_real("glia_normal_entropy", "log_std", log_std, NULL)) return bad_of(graph_of(log_std, NULL, NULL));
    return glia_add_scalar(log_std, 0.5 + half_log_2pi);
}

glia_tensor glia_normal_kl(glia_tensor mean, glia_tensor log_std, glia_tensor other_mean, glia_tensor other_log_std) {
    static const char who[] = "glia_normal_kl";
    glia_graph *g = graph_of(mean, log_std, other_mean ? other_mean : other_log_std);
    if (!is_real(who, "mean", mean, g) || !is_real(who, "log_std", log_std, g)) return bad_of(g);
    glia_tensor d = log_std, z = mean;
    if (other_mean || other_log_std) {
        if (!is_real(who, "other_mean", other_mean, g) || !is_real(who, "other_log_std", other_log_std, g))
            return bad_of(g);
        d = glia_sub(log_std, other_log_std);
        z = glia_mul(glia_sub(mean, other_mean), glia_exp(glia_neg(other_log_std)));
    }
    glia_tensor spread = glia_sub(glia_mul_scalar(glia_expm1(glia_mul_scalar(d, 2)), 0.5), d);
    return glia_add(spread, glia_mul_scalar(glia_square(z), 0.5));
}

/* ---- categorical distributions ------------------------------------------------------------------- */

/* Do the logits have an axis of classes? */
static bool has_classes(const char *who, glia_tensor logits) {
    char text[GLIA_SHAPE_TEXT];
    if (logits->shape.rank > 0 && logits->shape.dim[logits->shape.rank - 1] > 0) return true;
    glia_graph_fail(logits->graph, GLIA_E_SHAPE, "%s: the last axis of %s must be classes", who,
                    glia_shape_format(logits->shape, text));
    return false;
}

glia_tensor glia_categorical_log_prob(glia_tensor logits, glia_tensor labels) {
    const glia_loss_value_opts each = { .loss = GLIA_CROSS_ENTROPY, .reduction = GLIA_REDUCE_NONE };
    return glia_neg(glia_loss_value(logits, labels, each));
}

/* sum over K of p x, where p > 0: x may be infinite elsewhere. */
static glia_tensor expected(glia_tensor p, glia_tensor x) {
    if (glia_is_bad(p)) return p;
    glia_tensor zero = glia_like(p, 0), terms = glia_mul(p, glia_select(glia_greater(p, zero), x, zero));
    return glia_sum(terms, GLIA_SHAPE(p->shape.rank - 1), false);
}

glia_tensor glia_categorical_entropy(glia_tensor logits) {
    static const char who[] = "glia_categorical_entropy";
    if (!is_real(who, "logits", logits, NULL) || !has_classes(who, logits)) return bad_of(graph_of(logits, NULL, NULL));
    return glia_neg(expected(glia_softmax(logits, -1), glia_log_softmax(logits, -1)));
}

glia_tensor glia_categorical_kl(glia_tensor logits, glia_tensor other) {
    static const char who[] = "glia_categorical_kl";
    glia_graph *g = graph_of(logits, other, NULL);
    if (!is_real(who, "logits", logits, g) || !is_real(who, "other", other, g) || !has_classes(who, logits))
        return bad_of(g);
    if (!glia_shape_equal(logits->shape, other->shape)) {
        char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
        return glia_graph_fail(g, GLIA_E_SHAPE, "%s: logits are %s and %s", who, glia_shape_format(logits->shape, a),
                               glia_shape_format(other->shape, b));
    }
    glia_tensor ratio = glia_sub(glia_log_softmax(logits, -1), glia_log_softmax(other, -1));
    return expected(glia_softmax(logits, -1), ratio);
}

/* ---- losses --------------------------------------------------------------------------------------- */

glia_tensor glia_gaussian_nll(glia_tensor mean, glia_tensor target, glia_tensor variance, double epsilon) {
    static const char who[] = "glia_gaussian_nll";
    glia_graph *g = graph_of(mean, target, variance);
    if (!is_real(who, "mean", mean, g) || !is_real(who, "target", target, g) || !is_real(who, "variance", variance, g))
        return bad_of(g);
    epsilon = glia_option(epsilon, 1e-6);
    if (!(epsilon >= 0 && isfinite(epsilon)))
        return glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: epsilon is %g", who, epsilon);
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    if (!glia_shape_equal(mean->shape, target->shape))
        return glia_graph_fail(g, GLIA_E_SHAPE, "%s: the mean is %s, the target %s", who,
                               glia_shape_format(mean->shape, a), glia_shape_format(target->shape, b));
    glia_tensor v = glia_straight_through(glia_maximum(variance, glia_like(variance, epsilon)), variance);
    glia_tensor each = glia_add(glia_log(v), glia_div(glia_square(glia_sub(target, mean)), v));
    if (!glia_is_bad(each) && !glia_shape_equal(each->shape, mean->shape))
        return glia_graph_fail(g, GLIA_E_SHAPE, "%s: the mean is %s, the variance %s", who,
                               glia_shape_format(mean->shape, a), glia_shape_format(variance->shape, b));
    return glia_mul_scalar(glia_mean(each, GLIA_SCALAR, false), 0.5);
}

glia_tensor glia_smooth_l1(glia_tensor prediction, glia_tensor target, double beta) {
    beta = beta == 0 ? 1 : beta;
    return glia_mul_scalar(glia_huber(prediction, target, beta), 1 / beta);
}
