/* value.c - losses with weights and another reduction than the mean.
 *
 * Each loss has values l: of classes one for each label or distribution, with the class weights v,
 *
 *     l = -sum_c v_c t_c log p_c         t: the label or distribution, smoothed (as torch.nn.CrossEntropyLoss has it)
 *
 * of two tensors of one shape one for each element. With weights w (1 where there are none):
 *
 *     none      w l
 *     sum       sum w l
 *     mean      sum w l / n              n: how many values; of tokens, how many labels are classes
 *     weighted  sum w l / sum w v[label]
 *     samples   the mean of each sample, over all axes but the first
 */
#include <math.h>

#include "core/ops/class.h"
#include "core/ops/losses.h"
#include "nn/losses/losses.h"

typedef glia_loss_value_opts loss_opts;

static const char who[] = "glia_loss_value";

static bool has_labels(glia_loss loss) {
    return loss == GLIA_CROSS_ENTROPY || loss == GLIA_CROSS_ENTROPY_TOKENS || loss == GLIA_NLL;
}
static bool is_cross_entropy(glia_loss loss) {
    return loss == GLIA_CROSS_ENTROPY || loss == GLIA_CROSS_ENTROPY_TOKENS || loss == GLIA_CROSS_ENTROPY_ONE_HOT;
}
static bool has_classes(glia_loss loss) { return has_labels(loss) || is_cross_entropy(loss) || loss == GLIA_KL; }
static int64_t classes_of(glia_tensor y) { return y->shape.dim[y->shape.rank - 1]; }

/* ---- checks ----------------------------------------------------------------------------------- */

/* Do prediction and target fit the loss? */
static bool check_shapes(glia_loss loss, glia_tensor y, glia_tensor t) {
    glia_graph *g = y->graph;
    const char *name = glia_loss_text(loss);
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT], c[GLIA_SHAPE_TEXT];
    if (y->dtype != GLIA_F32 && y->dtype != GLIA_F64) {
        glia_graph_fail(g, GLIA_E_SHAPE, "%s: %s of %s; the prediction must be f32 or f64", who, name,
                        glia_dtype_name(y->dtype));
        return false;
    }
    if (has_classes(loss) && (y->shape.rank < 1 || classes_of(y) < 1 || (has_labels(loss) && classes_of(y) < 2))) {
        glia_graph_fail(g, GLIA_E_SHAPE, "%s: %s of %s: the last axis must be two classes or more", who, name,
                        glia_shape_format(y->shape, a));
        return false;
    }
    glia_shape expected = y->shape;
    expected.rank -= has_labels(loss);
    const glia_dtype dtype = has_labels(loss) ? GLIA_I32 : y->dtype;
    if (t->dtype == dtype && glia_shape_equal(t->shape, expected)) return true;
    glia_graph_fail(g, GLIA_E_SHAPE, "%s: %s of %s%s takes the target %s%s, not %s%s", who, name,
                    glia_dtype_name(y->dtype), glia_shape_format(y->shape, a), glia_dtype_name(dtype),
                    glia_shape_format(expected, b), glia_dtype_name(t->dtype), glia_shape_format(t->shape, c));
    return false;
}

static bool check_class_weights(glia_graph *g, const loss_opts *o, int64_t classes) {
    for (int64_t i = 0; o->class_weights && i < classes; i++) {
        if (o->class_weights[i] >= 0 && isfinite(o->class_weights[i])) continue;
        glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: the weight of class %lld is %g", who, (long long)i,
                        o->class_weights[i]);
        return false;
    }
    return true;
}

/* Are the options in their domains, and has the loss those that are given? Their shapes are checked already. */
static bool check_options(glia_tensor y, const loss_opts *o) {
    glia_graph *g = y->graph;
    const char *name = glia_loss_text(o->loss);
    if ((unsigned)o->reduction >= GLIA_REDUCTION_COUNT) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: there is no reduction number %d", who, (int)o->reduction);
        return false;
    }
    if (!(o->label_smoothing >= 0 && o->label_smoothing <= 1) || !(o->delta >= 0 && isfinite(o->delta))) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: label_smoothing is %g, delta %g; the first must lie in [0, 1]", who,
                        o->label_smoothing, o->delta);
        return false;
    }
    const char *other = o->label_smoothing > 0 && !is_cross_entropy(o->loss)                ? "label_smoothing"
                        : o->delta > 0 && o->loss != GLIA_HUBER                             ? "delta"
                        : o->class_weights && (!has_classes(o->loss) || o->loss == GLIA_KL) ? "class_weights"
                                                                                            : NULL;
    if (other) {
        glia_graph_fail(g, GLIA_E_UNSUPPORTED, "%s: %s does not go with %s", who, other, name);
        return false;
    }
    return !has_classes(o->loss) || check_class_weights(g, o, classes_of(y));
}

/* Are the weights of the values' shape, or its first axes? */
static bool check_weights(glia_tensor values, glia_tensor weights) {
    glia_graph *g = values->graph;
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    if (glia_is_bad(weights)) return false;
    glia_shape first = values->shape;
    first.rank = GLIA_MIN(first.rank, weights->shape.rank);
    if (weights->graph == g && glia_dtype_is_float(weights->dtype) && glia_shape_equal(first, weights->shape))
        return true;
    glia_graph_fail(g, GLIA_E_SHAPE, "%s: weights%s are %s%s where the losses are %s", who,
                    weights->graph == g ? "" : " of another graph", glia_dtype_name(weights->dtype),
                    glia_shape_format(weights->shape, a), glia_shape_format(values->shape, b));
    return false;
}

/* ---- values and weights ------------------------------------------------------------------------ */

static glia_tensor last_sum(glia_tensor x) {
    return glia_is_bad(x) ? x : glia_sum(x, GLIA_SHAPE(x->shape.rank - 1), false);
}

static glia_tensor class_factors(glia_tensor y, const loss_opts *o) {
    return glia_constant(y->graph, y->dtype, GLIA_SHAPE(classes_of(y)), o->class_weights);
}

/* The loss of each label, distribution or element. */
static glia_tensor values_of(glia_tensor y, glia_tensor t, const loss_opts *o) {
    glia_tensor terms = NULL;
    switch (o->loss) {
    case GLIA_MSE: return glia_mse_values(y, t);
    case GLIA_MAE: return glia_mae_values(y, t);
    case GLIA_HUBER: return glia_huber_values(y, t, o->delta == 0 ? 1 : o->delta);
    case GLIA_HINGE: return glia_hinge_values(y, t);
    case GLIA_BINARY_CROSS_ENTROPY: return glia_binary_cross_entropy_values(y, t);
    case GLIA_NLL: terms = glia_nll_terms(y, t); break;
    case GLIA_KL: terms = glia_kl_divergence_terms(y, t); break;
    case GLIA_CROSS_ENTROPY_ONE_HOT: terms = glia_cross_entropy_one_hot_terms(y, t, o->label_smoothing); break;
    default: terms = glia_cross_entropy_terms(y, t, o->label_smoothing); break;
    }
    if (o->class_weights) terms = glia_mul(terms, class_factors(y, o));
    return glia_neg(last_sum(terms));
}

/* How much each value counts below the line, of the values' shape; NULL: 1 each. */
static glia_tensor counts_of(glia_tensor y, glia_tensor t, glia_tensor weights, glia_tensor values,
                             const loss_opts *o) {
    glia_tensor counts = NULL;
    if (o->weighted_mean && weights) counts = glia_broadcast(weights, values->shape);
    if (!has_labels(o->loss) || (o->loss != GLIA_CROSS_ENTROPY_TOKENS && !o->weighted_mean)) return counts;
    glia_tensor label = glia_reshape(glia_class_known(t, classes_of(y), y->dtype), t->shape);
    if (o->weighted_mean && o->class_weights)
        label = last_sum(glia_select(glia_class_hits(t, classes_of(y)), class_factors(y, o), glia_like(y, 0)));
    return counts ? glia_mul(counts, label) : label;
}

/* ---- reductions --------------------------------------------------------------------------------- */

/* Sums over all axes, or all but the first. */
static glia_tensor sum_of(glia_tensor x, bool samples) {
    if (glia_is_bad(x) || !samples) return glia_sum(x, GLIA_SCALAR, false);
    glia_shape axes = { .rank = x->shape.rank - 1 };
    for (int i = 0; i < axes.rank; i++) axes.dim[i] = i + 1;
    return axes.rank ? glia_sum(x, axes, false) : x;
}

/* The means of weighted losses x, where each counts as `counts` says; NULL: 1. */
static glia_tensor mean_of(glia_tensor x, glia_tensor counts, bool samples) {
    if (glia_is_bad(x)) return x;
    if (!counts && !samples) return glia_mean(x, GLIA_SCALAR, false);
    glia_tensor n = sum_of(counts ? counts : glia_like(x, 1), samples);
    if (counts) n = glia_select(glia_equal(n, glia_like(n, 0)), glia_like(n, 1), n);
    return glia_div(sum_of(x, samples), n);
}

static glia_loss chosen(glia_loss loss, glia_tensor t) {
    if (loss != GLIA_LOSS_DEFAULT) return loss;
    return glia_dtype_is_float(t->dtype) ? GLIA_MSE
           : t->shape.rank > 1           ? GLIA_CROSS_ENTROPY_TOKENS
                                         : GLIA_CROSS_ENTROPY;
}

glia_tensor glia_loss_value(glia_tensor y, glia_tensor t, glia_loss_value_opts o) {
    if (glia_is_bad(y)) return y;
    glia_graph *g = y->graph;
    if (glia_is_bad(t) || t->graph != g)
        return glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: the target is %s", who,
                               glia_is_bad(t) ? "NULL" : "of another graph");
    o.loss = chosen(o.loss, t);
    if ((unsigned)o.loss >= GLIA_LOSS_OUTPUT)
        return glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: there is no loss number %d", who, (int)o.loss);
    o.label_smoothing = glia_option(o.label_smoothing, 0);
    if (!check_shapes(o.loss, y, t) || !check_options(y, &o)) return g->bad;
    if (o.reduction == GLIA_REDUCE_MEAN && !o.class_weights && !o.weights && !o.weighted_mean)
        return o.loss == GLIA_HUBER ? glia_huber(y, t, o.delta) : glia_loss_mean(o.loss, y, t, o.label_smoothing);
    glia_tensor x = values_of(y, t, &o), w = o.weights;
    if (glia_is_bad(x) || (w && !check_weights(x, w))) return g->bad;
    const bool samples = o.reduction == GLIA_REDUCE_SAMPLES;
    if (samples && x->shape.rank < 1)
        return glia_graph_fail(g, GLIA_E_SHAPE, "%s: %s of one number has no samples", who, glia_loss_text(o.loss));
    if (w) {
        glia_shape column = w->shape;
        while (column.rank < x->shape.rank) column.dim[column.rank++] = 1;
        w = glia_reshape(w->dtype == x->dtype ? w : glia_cast(w, x->dtype), column);
        x = glia_mul(x, w);
    }
    if (o.reduction == GLIA_REDUCE_NONE) return x;
    if (o.reduction == GLIA_REDUCE_SUM) return sum_of(x, false);
    return mean_of(x, counts_of(y, t, w, x, &o), samples);
}
