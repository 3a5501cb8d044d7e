/* cross_entropy.c - losses of class scores: cross-entropy of logits, by label or by distribution, negative
 * log-likelihood, and the Kullback-Leibler divergence.
 *
 * With p = softmax(logits) and a target distribution t over the K classes, the loss of a sample is -sum t log p, and
 * its gradient in the logits is p sum(t) - t: no division, no logarithm of something small. Labels mean t = 1 at the
 * label; label smoothing e (Szegedy et al. 2016, section 7) makes it (1 - e) t + e / K. The result is the mean over
 * samples.
 *
 * A label outside [0, K) means t = 0: the sample adds nothing to the loss or the gradient (it is counted in the mean).
 * The label is found by comparing with 0 ... K-1 and choosing, not multiplying, so that a log-probability of -inf at
 * another class does no harm.
 */
#include "core/ops/class.h"
#include "core/ops/losses.h"

typedef struct smoothing_attrs { double smoothing; } smoothing_attrs;
static const glia_field smoothing_fields[] = { GLIA_FIELD(FLOAT, smoothing_attrs, smoothing), GLIA_FIELDS_END };

static double smoothing_of(const glia_node *n) { return ((const smoothing_attrs *)n->attrs)->smoothing; }

static bool smoothing_fits(glia_node *n) {
    double e = smoothing_of(n);
    return (e >= 0 && e <= 1) || glia_node_fail(n, "label smoothing must be in [0, 1], not %g", e);
}

static int64_t classes_of(glia_tensor scores) { return scores->shape.dim[scores->shape.rank - 1]; }
static glia_shape last_axis(glia_tensor scores) { return GLIA_SHAPE(scores->shape.rank - 1); }

/* Axes 0 ... rank-2: the samples. */
static glia_shape sample_axes(glia_tensor scores) {
    glia_shape axes = { .rank = scores->shape.rank - 1 };
    for (int i = 0; i < axes.rank; i++) axes.dim[i] = i;
    return axes;
}

/* How many samples, as a scalar. */
static glia_tensor samples_of(glia_tensor scores) {
    return scores->shape.rank == 1 ? glia_scalar(scores->graph, scores->dtype, 1)
                                   : glia_count_of(scores, sample_axes(scores));
}

/* -sum(x) / samples, of x (..., K). */
static glia_tensor minus_mean(glia_tensor x) {
    if (glia_is_bad(x)) return x;
    return glia_div(glia_neg(glia_sum(x, GLIA_SCALAR, false)), samples_of(x));
}

static glia_tensor log_softmax(glia_tensor logits) {
    return glia_is_bad(logits) ? logits : glia_log_softmax(logits, logits->shape.rank - 1);
}
/* In parts, which the loss has computed. */
static glia_tensor softmax(glia_tensor logits) {
    return glia_is_bad(logits) ? logits : glia_softmax_parts(logits, logits->shape.rank - 1);
}

/* x where the label is, else 0. */
static glia_tensor at_label(glia_tensor x, glia_tensor labels) {
    if (glia_is_bad(x)) return x;
    return glia_select(glia_class_hits(labels, classes_of(x)), x, glia_like(x, 0));
}

/* ---- cross_entropy(logits, labels) ---------------------------------------------------------- */

static bool cross_entropy_infer(glia_node *n) { return glia_class_infer(n) && smoothing_fits(n); }

glia_tensor glia_cross_entropy_terms(glia_tensor logits, glia_tensor labels, double smoothing) {
    glia_tensor log_p = log_softmax(logits);
    if (glia_is_bad(log_p)) return log_p;
    const int64_t classes = classes_of(log_p);
    glia_tensor taken = at_label(log_p, labels);
    if (smoothing == 0) return taken;
    glia_tensor spread = glia_mul(glia_mul_scalar(log_p, smoothing / (double)classes),
                                  glia_class_known(labels, classes, log_p->dtype));
    return glia_add(glia_mul_scalar(taken, 1 - smoothing), spread);
}

static glia_tensor cross_entropy_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)mode;
    return minus_mean(glia_cross_entropy_terms(in[0], in[1], smoothing_of(n)));
}

/* (p known - t) dy / samples, where t = (1 - e) at the label + e / K known. */
static void cross_entropy_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    double e = smoothing_of(y);
    glia_tensor logits = y->in[0], labels = y->in[1], p = softmax(logits);
    if (glia_is_bad(p)) return;
    int64_t classes = classes_of(logits);
    glia_tensor share = e > 0 ? glia_add_scalar(p, -e / (double)classes) : p;
    glia_tensor known = glia_mul(share, glia_class_known(labels, classes, p->dtype));
    glia_tensor hit = glia_select(glia_class_hits(labels, classes), glia_like(p, 1 - e), glia_like(p, 0));
    dx[0] = glia_mul(glia_sub(known, hit), glia_div(dy, samples_of(logits)));
}

const glia_op glia_op_cross_entropy = {
    .name = "cross_entropy", .summary = "mean over samples of -log softmax(logits) at the label", .arity = 2,
    .flags = GLIA_OP_COMPOSITE, .attr_size = sizeof(smoothing_attrs), .fields = smoothing_fields,
    .infer = cross_entropy_infer, .vjp = cross_entropy_vjp, .expand = cross_entropy_expand };

#define SCORES(...) { .shape = GLIA_DIMS(__VA_ARGS__), .kind = GLIA_SAMPLE_DISTINCT, .low = -3, .high = 3 }
#define LABELS(from, to, ...)                                                                                        \
    { .dtype = GLIA_I32, .shape = GLIA_DIMS(__VA_ARGS__), .kind = GLIA_SAMPLE_INTEGER, .low = from, .high = to,      \
      .constant = true }
#define SMOOTHING(e) .attrs = &(const smoothing_attrs){ e }

const glia_sample glia_samples_cross_entropy[] = {
    { .name = "plain", .n = 2, .in = { SCORES(5, 4), LABELS(0, 4, 5) }, SMOOTHING(0) },
    { .name = "smoothed", .n = 2, .in = { SCORES(5, 4), LABELS(0, 4, 5) }, SMOOTHING(0.1) },
    { .name = "sequence", .n = 2, .in = { SCORES(2, 3, 4), LABELS(0, 4, 2, 3) }, SMOOTHING(0) },
    { .name = "unknown_labels", .n = 2, .in = { SCORES(8, 3), LABELS(-2, 5, 8) }, SMOOTHING(0) },
    { .name = "unknown_smoothed", .n = 2, .in = { SCORES(8, 3), LABELS(-2, 5, 8) }, SMOOTHING(0.2) },
    { 0 },
};

glia_tensor glia_cross_entropy(glia_tensor logits, glia_tensor labels, double label_smoothing) {
    return glia_node2(&glia_op_cross_entropy, logits, labels, &(smoothing_attrs){ label_smoothing });
}

/* ---- cross_entropy_one_hot(logits, target) -------------------------------------------------- */

/* Both (..., K) of one dtype. */
static bool distribution_infer(glia_node *n) {
    if (!glia_infer_float(n)) return false;
    if (n->shape.rank < 1) return glia_node_fail(n, "needs an axis of classes");
    if (n->shape.dim[n->shape.rank - 1] < 1) {
        return glia_node_fail(n, "the last axis is the classes and cannot be the batch");
    }
    n->shape = GLIA_SCALAR;
    return true;
}

static bool cross_entropy_one_hot_infer(glia_node *n) { return distribution_infer(n) && smoothing_fits(n); }

static glia_tensor smoothed(glia_tensor target, double e) {
    if (e == 0 || glia_is_bad(target)) return target;
    return glia_add_scalar(glia_mul_scalar(target, 1 - e), e / (double)classes_of(target));
}

glia_tensor glia_cross_entropy_one_hot_terms(glia_tensor logits, glia_tensor target, double smoothing) {
    return glia_mul(smoothed(target, smoothing), log_softmax(logits));
}

static glia_tensor cross_entropy_one_hot_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)mode;
    return minus_mean(glia_cross_entropy_one_hot_terms(in[0], in[1], smoothing_of(n)));
}

static void cross_entropy_one_hot_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_tensor logits = y->in[0], t = smoothed(y->in[1], smoothing_of(y)), each = glia_div(dy, samples_of(logits));
    if (glia_is_bad(t)) return;
    glia_tensor total = glia_sum(t, last_axis(logits), true);
    dx[0] = glia_mul(glia_sub(glia_mul(softmax(logits), total), t), each);
    dx[1] = glia_mul(glia_mul_scalar(log_softmax(logits), smoothing_of(y) - 1), each);
}

const glia_op glia_op_cross_entropy_one_hot = {
    .name = "cross_entropy_one_hot", .summary = "mean over samples of -sum target log softmax(logits)", .arity = 2,
    .flags = GLIA_OP_COMPOSITE, .attr_size = sizeof(smoothing_attrs), .fields = smoothing_fields,
    .infer = cross_entropy_one_hot_infer, .vjp = cross_entropy_one_hot_vjp, .expand = cross_entropy_one_hot_expand };

#define TARGET(...) { .shape = GLIA_DIMS(__VA_ARGS__), .low = 0.1, .high = 1 }
const glia_sample glia_samples_cross_entropy_one_hot[] = {
    { .name = "plain", .n = 2, .in = { SCORES(5, 4), TARGET(5, 4) }, SMOOTHING(0) },
    { .name = "smoothed", .n = 2, .in = { SCORES(5, 4), TARGET(5, 4) }, SMOOTHING(0.1) },
    { 0 },
};

glia_tensor glia_cross_entropy_one_hot(glia_tensor logits, glia_tensor target, double label_smoothing) {
    return glia_node2(&glia_op_cross_entropy_one_hot, logits, target, &(smoothing_attrs){ label_smoothing });
}

/* ---- nll(log_probabilities, labels) --------------------------------------------------------- */

glia_tensor glia_nll_terms(glia_tensor log_probabilities, glia_tensor labels) {
    return at_label(log_probabilities, labels);
}

static glia_tensor nll_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)n, (void)mode;
    return minus_mean(glia_nll_terms(in[0], in[1]));
}

static void nll_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_tensor log_p = y->in[0], each = glia_div(glia_neg(dy), samples_of(log_p));
    dx[0] = at_label(glia_broadcast(each, log_p->shape), y->in[1]);
}

const glia_op glia_op_nll = { .name = "nll",
                              .summary = "mean over samples of -log p at the label",
                              .arity = 2,
                              .flags = GLIA_OP_COMPOSITE,
                              .infer = glia_class_infer,
                              .vjp = nll_vjp,
                              .expand = nll_expand };

const glia_sample glia_samples_nll[] = {
    { .name = "plain", .n = 2, .in = { SCORES(5, 4), LABELS(0, 4, 5) } },
    { .name = "unknown_labels", .n = 2, .in = { SCORES(8, 3), LABELS(-2, 5, 8) } },
    { 0 },
};

glia_tensor glia_nll(glia_tensor log_probabilities, glia_tensor labels) {
    return glia_node2(&glia_op_nll, log_probabilities, labels, NULL);
}

/* ---- kl_divergence(log_q, p) ---------------------------------------------------------------- */

/* p where p > 0, else 1: its logarithm is 0 where the term is left out anyway. */
static glia_tensor log_positive(glia_tensor p, glia_tensor is_positive) {
    return glia_log(glia_select(is_positive, p, glia_like(p, 1)));
}

/* Terms with p = 0 are 0, whatever q is. */
glia_tensor glia_kl_divergence_terms(glia_tensor log_q, glia_tensor p) {
    glia_tensor is_positive = glia_greater(p, glia_like(p, 0));
    glia_tensor terms = glia_mul(p, glia_sub(log_q, log_positive(p, is_positive)));
    return glia_select(is_positive, terms, glia_like(p, 0));
}

static glia_tensor kl_divergence_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)n, (void)mode;
    return minus_mean(glia_kl_divergence_terms(in[0], in[1]));
}

static void kl_divergence_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_tensor log_q = y->in[0], p = y->in[1], is_positive = glia_greater(p, glia_like(p, 0));
    glia_tensor each = glia_div(dy, samples_of(log_q)), zero = glia_like(p, 0);
    glia_tensor slope = glia_add_scalar(glia_sub(log_positive(p, is_positive), log_q), 1);
    dx[0] = glia_select(is_positive, glia_mul(glia_neg(p), each), zero);
    dx[1] = glia_select(is_positive, glia_mul(slope, each), zero);
}

const glia_op glia_op_kl_divergence = {
    .name = "kl_divergence", .summary = "mean over samples of sum p (log p - log q), 0 where p = 0", .arity = 2,
    .flags = GLIA_OP_COMPOSITE, .infer = distribution_infer, .vjp = kl_divergence_vjp, .expand = kl_divergence_expand };

const glia_sample glia_samples_kl_divergence[] = {
    { .name = "plain", .n = 2, .in = { SCORES(5, 4), TARGET(5, 4) } },
    { .name = "some_zero",
      .n = 2,
      .in = { SCORES(4, 3),
              { .shape = GLIA_DIMS(4, 3), .kind = GLIA_SAMPLE_INTEGER, .low = 0, .high = 3, .constant = true } } },
    { 0 },
};

glia_tensor glia_kl_divergence(glia_tensor log_q, glia_tensor p) {
    return glia_node2(&glia_op_kl_divergence, log_q, p, NULL);
}
