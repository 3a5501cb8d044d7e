/* loss.c - builds the loss and the accuracy for a glia_loss, a prediction and the targets of a data set.
 *
 * Many models end in an activation that gives probabilities, but log(softmax(x)) loses digits and then overflows.
 * Where the output is a softmax, sigmoid or log-softmax, the loss is therefore computed from the activation's input
 * (the logits); so are log-probabilities of a softmax. Keras does the same for probabilities that it computed itself.
 *
 * Targets are integers or floats and are converted to the form of the loss:
 *
 *     LABELS     integers (N) for (N, K), (N, T) for (N, T, K)
 *     DENSE      numbers in the prediction's shape; integer labels become one-hot, or 0 and 1 if K is 1
 *     SIGNS      as DENSE; of integers, 0 becomes -1
 */
#include "core/ops/class.h"
#include "nn/losses/losses.h"

typedef enum target_form { LABELS, DENSE, SIGNS } target_form;
typedef enum prediction_form { LOGITS, ODDS, LOGS, PLAIN } prediction_form;

typedef struct loss_row {
    const char *name;
    target_form target;
    prediction_form prediction;
    glia_tensor (*build)(glia_tensor y, glia_tensor t, double smoothing);
} loss_row;

#define GLIA_LOSS_ROW(kind, name, target, prediction, call)                                                            \
    static glia_tensor build_##kind(glia_tensor y, glia_tensor t, double smoothing) {                                  \
        (void)smoothing;                                                                                               \
        return call;                                                                                                   \
    }
#include "nn/losses/losses.def"
#undef GLIA_LOSS_ROW

static const loss_row losses[GLIA_LOSS_COUNT] = {
#define GLIA_LOSS_ROW(kind, name, target, prediction, call) [kind] = { name, target, prediction, build_##kind },
#include "nn/losses/losses.def"
#undef GLIA_LOSS_ROW
};

const char *glia_loss_text(glia_loss loss) {
    return (unsigned)loss < GLIA_LOSS_COUNT && losses[loss].name ? losses[loss].name : "default";
}

glia_tensor glia_loss_mean(glia_loss loss, glia_tensor y, glia_tensor t, double smoothing) {
    return losses[loss].build(y, t, smoothing);
}

/* ---- the prediction ----------------------------------------------------------------------- */

/* The output in the form of the loss: before its last activation, or as log-probabilities. */
static glia_tensor strip(glia_tensor output, prediction_form form) {
    const glia_axis_attrs *last = output->attrs;
    bool softmax = output->op == &glia_op_softmax && last->axis == output->shape.rank - 1;
    bool log_softmax = output->op == &glia_op_log_softmax && last->axis == output->shape.rank - 1;
    switch (form) {
    case LOGITS: return softmax || log_softmax ? output->in[0] : output;
    case ODDS: return output->op == &glia_op_sigmoid ? output->in[0] : output;
    case LOGS: return softmax ? glia_log_softmax(output->in[0], output->shape.rank - 1) : output;
    case PLAIN: return output;
    }
    return output;
}

/* A score of at least this is class 1 of two. */
static double threshold(glia_loss loss) { return loss == GLIA_BINARY_CROSS_ENTROPY || loss == GLIA_HINGE ? 0 : 0.5; }

/* ---- targets ------------------------------------------------------------------------------ */

static bool is_integer(glia_tensor t) { return !glia_dtype_is_float(t->dtype); }

/* Whether there is one integer for each row of scores, (N) for (N, K) or (N, T) for (N, T, K). */
static bool are_labels(glia_tensor t, glia_tensor y) {
    if (!is_integer(t) || y->shape.rank < 2) return false;
    glia_shape rows = y->shape;
    rows.rank--;
    return glia_shape_count(t->shape) == glia_shape_count(rows);
}

static glia_tensor as_labels(glia_tensor t, glia_tensor y) {
    glia_shape rows = y->shape;
    rows.rank--;
    if (!glia_shape_equal(t->shape, rows)) t = glia_reshape(t, rows);
    return t->dtype == GLIA_I32 ? t : glia_cast(t, GLIA_I32);
}

static glia_tensor as_dense(glia_tensor t, glia_tensor y) {
    int64_t classes = y->shape.rank ? y->shape.dim[y->shape.rank - 1] : 1;
    if (are_labels(t, y) && classes > 1) return glia_one_hot(as_labels(t, y), (int)classes, y->dtype);
    if (t->dtype != y->dtype) t = glia_cast(t, y->dtype);
    if (!glia_shape_equal(t->shape, y->shape) && glia_shape_count(t->shape) == glia_shape_count(y->shape)) {
        t = glia_reshape(t, y->shape);
    }
    return t;
}

static glia_tensor as_signs(glia_tensor t, glia_tensor y) {
    glia_tensor dense = as_dense(t, y);
    return is_integer(t) ? glia_add_scalar(glia_mul_scalar(dense, 2), -1) : dense;
}

/* ---- loss and accuracy -------------------------------------------------------------------- */

static glia_loss choose(glia_loss loss, glia_tensor y, glia_tensor t) {
    if (loss != GLIA_LOSS_DEFAULT) return loss;
    if (!is_integer(t)) return GLIA_MSE;
    return y->shape.rank == 2 && y->shape.dim[1] == 1 ? GLIA_BINARY_CROSS_ENTROPY : GLIA_CROSS_ENTROPY;
}

/* Whether prediction and targets are compatible; records an error if not. */
static bool fits(glia_graph *g, const loss_row *row, glia_tensor y, glia_tensor t) {
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    bool same = glia_shape_count(t->shape) == glia_shape_count(y->shape);
    if (row->target == LABELS && y->shape.rank > 1 && y->shape.dim[y->shape.rank - 1] == 1) {
        glia_graph_fail(g, GLIA_E_SHAPE,
                        "%s of an output %s with one class is always zero; binary-cross-entropy takes one score",
                        row->name, glia_shape_format(y->shape, a));
        return false;
    }
    if (are_labels(t, y) || (same && row->target != LABELS)) return true;
    glia_graph_fail(g, GLIA_E_SHAPE, "%s cannot compare the output %s%s with targets %s%s; %s", row->name,
                    glia_dtype_name(y->dtype), glia_shape_format(y->shape, a), glia_dtype_name(t->dtype),
                    glia_shape_format(t->shape, b),
                    row->target == LABELS ? "it takes (N, K) and integer labels (N)"
                                          : "it takes a target for each value");
    return false;
}

/* (N), (V, 1): one number for each sample, node or edge. */
static bool one_for_each(glia_shape s) {
    const glia_dim count = glia_dim_of(glia_shape_count(s));
    return count.size >= 0 && count.factor == 1 && !count.plus;
}

/* The predicted and the true class of each sample, i32; NULL if there are no classes. */
static void classes_of(glia_loss loss, const loss_row *row, glia_tensor y, glia_tensor t, glia_tensor *predicted,
                       glia_tensor *truth) {
    *predicted = *truth = NULL;
    int last = y->shape.rank - 1;
    if (last > 0 && y->shape.dim[last] > 1) {
        bool distribution = loss == GLIA_CROSS_ENTROPY_ONE_HOT || loss == GLIA_KL;
        if (!are_labels(t, y) && !distribution) return;
        *predicted = glia_argmax(y, last);
        *truth = are_labels(t, y) ? as_labels(t, y) : glia_argmax(as_dense(t, y), last);
    } else if (is_integer(t) && row->target != LABELS && one_for_each(y->shape)) {
        const glia_shape flat = GLIA_SHAPE(glia_shape_count(y->shape));
        glia_tensor middle = glia_scalar(y->graph, y->dtype, threshold(loss));
        *predicted = glia_cast(glia_greater_equal(glia_reshape(y, flat), middle), GLIA_I32);
        *truth = glia_cast(glia_reshape(t, flat), GLIA_I32);
    }
}

bool glia_loss_add(glia_tensor output, glia_tensor target, glia_loss_opts o, glia_measures *m) {
    glia_graph *g = output->graph;
    *m = (glia_measures){ .kind = choose(o.loss, output, target) };
    const bool tokens = m->kind == GLIA_CROSS_ENTROPY && target->shape.rank > 1 && output->shape.rank > 2;
    if (tokens && o.loss == GLIA_LOSS_DEFAULT && !o.class_weights) m->kind = GLIA_CROSS_ENTROPY_TOKENS;
    if ((unsigned)m->kind >= GLIA_LOSS_COUNT || !losses[m->kind].build) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "there is no loss number %d", (int)o.loss);
        return false;
    }
    const loss_row *row = &losses[m->kind];
    if (!fits(g, row, output, target)) return false;
    glia_tensor y = strip(output, row->prediction);
    glia_tensor t = row->target == LABELS  ? as_labels(target, y)
                    : row->target == DENSE ? as_dense(target, y)
                                           : as_signs(target, y);
    m->loss = o.class_weights ? glia_loss_value(y, t, (glia_loss_value_opts){ .loss = m->kind,
                                                                              .label_smoothing = o.smoothing,
                                                                              .class_weights = o.class_weights })
                              : row->build(y, t, o.smoothing);
    if (m->kind == GLIA_CROSS_ENTROPY_TOKENS) {
        glia_tensor known = glia_class_known(t, y->shape.dim[y->shape.rank - 1], GLIA_F32);
        m->weight = glia_sum(known, GLIA_SCALAR, false);
    }
    m->logits = row->prediction != PLAIN && output->op != &glia_op_softmax && output->op != &glia_op_sigmoid;
    glia_tensor truth;
    classes_of(m->kind, row, y, target, &m->predicted, &truth);
    if (m->predicted && y->shape.dim[y->shape.rank - 1] > 1) {
        m->accuracy = (m->kind == GLIA_CROSS_ENTROPY_TOKENS ? glia_accuracy_tokens : glia_accuracy)(y, truth);
    } else if (m->predicted) {
        m->accuracy = glia_mean(glia_cast(glia_equal(m->predicted, truth), GLIA_F32), GLIA_SCALAR, false);
    }
    return g->error.status == GLIA_OK;
}
