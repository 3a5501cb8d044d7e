/* gan.c - what generators and critics of adversarial nets learn from: losses, the gradient penalty, clipped weights.
 *
 * A loss is a pair of functions of scores, a row of the table below. The gradient penalty needs the gradient of a
 * gradient: the score's gradient in its sample is more graph, which glia_minimize() differentiates like any other.
 */
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "glia/generative.h"

/* ---- losses --------------------------------------------------------------------------------- */

static glia_tensor mean_of(glia_tensor x) { return glia_mean(x, GLIA_SCALAR, false); }
static glia_tensor less_than(glia_tensor x, double most) { /* max(0, most - x) */
    return glia_relu(glia_add_scalar(glia_neg(x), most));
}
static glia_tensor half_square(glia_tensor x, double wanted) {
    return glia_mul_scalar(mean_of(glia_square(glia_add_scalar(x, -wanted))), 0.5);
}

static glia_tensor saturating_real(glia_tensor s) { return mean_of(glia_softplus(glia_neg(s))); }
static glia_tensor saturating_fake(glia_tensor s) { return mean_of(glia_softplus(s)); }
static glia_tensor wasserstein_real(glia_tensor s) { return glia_neg(mean_of(s)); }
static glia_tensor hinge_real(glia_tensor s) { return mean_of(less_than(s, 1)); }
static glia_tensor hinge_fake(glia_tensor s) { return mean_of(less_than(glia_neg(s), 1)); }
static glia_tensor squares_real(glia_tensor s) { return half_square(s, 1); }
static glia_tensor squares_fake(glia_tensor s) { return half_square(s, 0); }

/* The critic's loss is the sum of `real` and `fake`, the generator's is `generator` of its samples' scores. */
typedef struct gan_row {
    const char *name;
    glia_tensor (*real)(glia_tensor scores);
    glia_tensor (*fake)(glia_tensor scores);
    glia_tensor (*generator)(glia_tensor scores);
} gan_row;

static const gan_row rows[GLIA_GAN_LOSS_COUNT] = {
    [GLIA_GAN_NON_SATURATING] = { "non-saturating", saturating_real, saturating_fake, saturating_real },
    [GLIA_GAN_WASSERSTEIN] = { "wasserstein", wasserstein_real, mean_of, wasserstein_real },
    [GLIA_GAN_HINGE] = { "hinge", hinge_real, hinge_fake, wasserstein_real },
    [GLIA_GAN_LEAST_SQUARES] = { "least-squares", squares_real, squares_fake, squares_real },
};

const char *glia_gan_loss_name(glia_gan_loss loss) {
    return (unsigned)loss < GLIA_GAN_LOSS_COUNT ? rows[loss].name : NULL;
}

static glia_tensor no_such_loss(glia_tensor x, glia_gan_loss loss) {
    return glia_graph_fail(x->graph, GLIA_E_ARGUMENT, "there is no loss %d of adversarial nets", (int)loss);
}

glia_tensor glia_gan_critic_loss(glia_tensor real, glia_tensor fake, glia_gan_loss loss) {
    if (glia_is_bad(real) || glia_is_bad(fake)) return real ? real->graph->bad : fake ? fake->graph->bad : NULL;
    if ((unsigned)loss >= GLIA_GAN_LOSS_COUNT) return no_such_loss(real, loss);
    return glia_add(rows[loss].real(real), rows[loss].fake(fake));
}

glia_tensor glia_gan_generator_loss(glia_tensor fake, glia_gan_loss loss) {
    if (glia_is_bad(fake)) return fake;
    if ((unsigned)loss >= GLIA_GAN_LOSS_COUNT) return no_such_loss(fake, loss);
    return rows[loss].generator(fake);
}

/* ---- gradient penalty ----------------------------------------------------------------------- */

/* The batch norm between x and the score, or NULL. *nomem: memory ran out. */
static const glia_node *batch_norm_between(glia_tensor x, glia_tensor score, bool *nomem) {
    const glia_graph *g = x->graph;
    const glia_node *found = NULL;
    bool *after = calloc((size_t)score->id + 1, sizeof *after), *before = calloc((size_t)score->id + 1, sizeof *before);
    *nomem = !after || !before;
    for (int id = x->id; !*nomem && id <= score->id; id++) {
        const glia_node *n = g->nodes[id];
        after[id] = id == x->id;
        for (int i = 0; i < n->n_in; i++) after[id] |= after[n->in[i]->id];
    }
    if (!*nomem) before[score->id] = true;
    for (int id = score->id; !*nomem && id >= x->id; id--) {
        const glia_node *n = g->nodes[id];
        for (int i = 0; before[id] && i < n->n_in; i++) before[n->in[i]->id] = true;
        if (before[id] && after[id] && n->op == &glia_op_batch_norm) found = n;
    }
    free(after);
    free(before);
    return found;
}

/* Whether the penalty can be built of these; records the reason if not. */
static bool check_penalty(glia_tensor score, glia_tensor x, glia_tensor real, glia_tensor fake) {
    glia_graph *g = x->graph;
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    const glia_tensor others[] = { real, fake };
    for (int i = 0; i < 2; i++) {
        if (glia_shape_equal(others[i]->shape, x->shape) && others[i]->dtype == x->dtype) continue;
        glia_graph_fail(g, GLIA_E_SHAPE, "gradient_penalty: %s is %s%s, but x is %s%s", i ? "fake" : "real",
                        glia_dtype_name(others[i]->dtype), glia_shape_format(others[i]->shape, a),
                        glia_dtype_name(x->dtype), glia_shape_format(x->shape, b));
        return false;
    }
    if (x->shape.rank < 2 || score->shape.rank < 1 || glia_shape_count(score->shape) != x->shape.dim[0]) {
        glia_graph_fail(g, GLIA_E_SHAPE,
                        "gradient_penalty: x %s must be (N, ...), and score %s one number for each sample",
                        glia_shape_format(x->shape, a), glia_shape_format(score->shape, b));
        return false;
    }
    bool nomem = false;
    const glia_node *norm = x->id < score->id ? batch_norm_between(x, score, &nomem) : NULL;
    if (nomem) glia_graph_fail_nomem(g);
    if (norm) {
        glia_graph_fail(
            g, GLIA_E_ARGUMENT,
            "gradient_penalty: the critic has batch norm '%s', which mixes samples; layer, instance or group "
            "norm does not",
            norm->label ? norm->label : "");
    }
    return !nomem && !norm;
}

glia_tensor glia_gradient_penalty(glia_tensor score, glia_tensor x, glia_tensor real, glia_tensor fake,
                                  glia_gradient_penalty_opts o) {
    const glia_tensor all[] = { score, x, real, fake };
    for (int i = 0; i < 4; i++) {
        if (!all[i]) return score ? score->graph->bad : NULL;
        if (glia_is_bad(all[i])) return all[i];
    }
    if (!check_penalty(score, x, real, fake)) return x->graph->bad;
    glia_shape each = { .rank = x->shape.rank, .dim = { x->shape.dim[0] } }, axes = { .rank = x->shape.rank - 1 };
    for (int i = 1; i < each.rank; i++) each.dim[i] = 1, axes.dim[i - 1] = i;
    glia_tensor share = glia_cast(glia_random_uniform(x->graph, each), x->dtype);
    real = glia_stop_gradient(real);
    fake = glia_stop_gradient(fake);
    glia_tensor between = glia_add(fake, glia_mul(share, glia_sub(real, fake))), again, slope;
    glia_substitute(&score, 1, &x, &between, 1, &again);
    glia_grad(again, &between, 1, &slope);
    glia_tensor norm = glia_sqrt(glia_add_scalar(glia_sum(glia_square(slope), axes, false), 1e-12));
    glia_tensor excess = glia_add_scalar(norm, -glia_option(o.norm, 1));
    if (o.one_sided) excess = glia_relu(excess);
    return mean_of(glia_square(excess));
}

/* ---- clipped weights ------------------------------------------------------------------------ */

int glia_gan_clip_weights(glia_graph *g, const char *pattern, double limit, const char *group) {
    if (!g || g->error.status != GLIA_OK) return 0;
    if (!pattern || !(limit > 0)) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "gan_clip_weights: it needs a pattern and a limit above 0, not %g", limit);
        return 0;
    }
    group = group ? group : "train";
    int n = 0;
    for (int i = 0; i < g->n_updates; i++) {
        glia_change *u = &g->updates[i];
        if (strcmp(u->group, group) != 0 || !glia_is_parameter(u->leaf)) continue;
        if (!glia_glob(pattern, glia_leaf_of(u->leaf)->name)) continue;
        glia_tensor clipped = glia_clip(u->value, -limit, limit);
        if (glia_is_bad(clipped)) return 0;
        g->updates[i].value = clipped;
        n++;
    }
    if (n) return n;
    glia_graph_fail(g, GLIA_E_NOT_FOUND, "gan_clip_weights: group '%s' updates no parameter that matches \"%s\"", group,
                    pattern);
    return 0;
}
