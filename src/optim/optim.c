/* optim.c - glia_minimize(): gradients and the optimiser's update, as more graph.
 *
 * For the parameters w_1 ... w_n that match, in the order in which the graph has them:
 *
 *     g_i = d loss / d w_i
 *     g_i = clip(g_i, -clip_value, clip_value)                                    if asked for
 *     g_i = g_i min(1, clip_norm / (norm + 1e-6)),  norm = |(g_1, ..., g_n)|_2      if asked for (Pascanu et al. 2013)
 *     g_i = g_i + weight_decay w_i + l1 sign(w_i)                                 where decay_pattern matches
 *     w_i = the rule's formula (sgd.c, adam.c, adagrad.c, rmsprop.c)
 *
 * This is the order of torch.nn.utils.clip_grad_value_, clip_grad_norm_ and the torch.optim classes, whose results
 * tests/golden/optimizers.txt holds. Where decay is apart from the gradient (AdamW), w_i (1 - lr weight_decay) takes
 * the place of w_i in the formula.
 */
#include <math.h>
#include <string.h>

#include "optim/optim.h"

static const glia_rule *const rules[GLIA_OPTIMIZER_COUNT] = {
#define GLIA_RULE(kind, name) [kind] = &glia_rule_##name,
#include "optim/optim.def"
#undef GLIA_RULE
};

glia_tensor glia_rule_state(const glia_rule_scope *s, const char *kind, const char *name, glia_tensor w) {
    const char *full = glia_arena_printf(&s->graph->arena, "%s/%s/%s", s->group, kind, name);
    if (!full) return glia_graph_fail_nomem(s->graph);
    return glia_state(s->graph, full, s->dtype, w->shape, (glia_init){ .kind = GLIA_INIT_ZEROS });
}

glia_tensor glia_rule_keep(const glia_rule_scope *s, glia_tensor state, glia_tensor value) {
    glia_update(state, value, s->group);
    return value;
}

/* ---- what is asked for -------------------------------------------------------------------- */

/* Fills in the defaults. false: a mistake is in the graph. */
static bool resolve(glia_graph *g, glia_optimizer *o) {
    if ((unsigned)o->kind >= GLIA_OPTIMIZER_COUNT) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_minimize: there is no optimiser number %d", (int)o->kind);
        return false;
    }
    const glia_rule *rule = rules[o->kind];
    if (o->lr == 0) o->lr = rule->lr;
    if (o->epsilon == 0) o->epsilon = rule->epsilon;
    if (o->beta1 == 0) o->beta1 = 0.9;
    if (o->beta2 == 0) o->beta2 = 0.999;
    if (o->rho == 0) o->rho = 0.9;
    if (!o->decay_pattern) o->decay_pattern = "*";

    const struct {
        const char *name;
        double value, below; /* must lie in [0, below) */
    } ranges[] = {
        { "lr", o->lr, HUGE_VAL },
        { "momentum", o->momentum, HUGE_VAL },
        { "beta1", o->beta1, 1 },
        { "beta2", o->beta2, 1 },
        { "rho", o->rho, 1 },
        { "epsilon", o->epsilon, HUGE_VAL },
        { "weight_decay", o->weight_decay, HUGE_VAL },
        { "l1", o->l1, HUGE_VAL },
        { "clip_norm", o->clip_norm, HUGE_VAL },
        { "clip_value", o->clip_value, HUGE_VAL },
    };
    for (int i = 0; i < GLIA_COUNT(ranges); i++) {
        if (ranges[i].value >= 0 && ranges[i].value < ranges[i].below) continue;
        glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: %s is %g, which is not in [0, %g)", rule->name, ranges[i].name,
                        ranges[i].value, ranges[i].below);
        return false;
    }
    if (o->nesterov && o->momentum == 0) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: nesterov needs momentum, e.g. 0.9", rule->name);
        return false;
    }
    return true;
}

/* The trainable parameters that match, in the graph's arena; *n of them. */
static glia_tensor *matching(glia_graph *g, const char *pattern, int *n) {
    glia_tensor *found = glia_arena_alloc(&g->arena, (size_t)g->n_nodes * sizeof *found);
    *n = 0;
    for (int i = 0; found && i < g->n_nodes; i++) {
        glia_node *node = g->nodes[i];
        if (!glia_is_parameter(node) || glia_leaf_of(node)->frozen) continue;
        if (glia_dtype_is_float(node->dtype) && glia_glob(pattern, glia_leaf_of(node)->name)) found[(*n)++] = node;
    }
    return found;
}

/* The input that holds the learning rate. */
static glia_tensor rate_input(glia_graph *g, const char *group, double lr) {
    const char *name = !strcmp(group, "train") ? "lr" : glia_arena_printf(&g->arena, "lr/%s", group);
    if (!name) return glia_graph_fail_nomem(g);
    glia_tensor input = glia_input(g, name, GLIA_F32, GLIA_SCALAR);
    if (!glia_is_bad(input)) ((glia_leaf *)input->attrs)->value = lr; /* what sessions begin with */
    return input;
}

/* ---- gradients ---------------------------------------------------------------------------- */

static glia_dtype arithmetic(glia_tensor w) { return w->dtype == GLIA_F64 ? GLIA_F64 : GLIA_F32; }

static glia_tensor as(glia_tensor x, glia_dtype dtype) {
    return glia_is_bad(x) || x->dtype == dtype ? x : glia_cast(x, dtype);
}

static void clip_by_value(glia_tensor *grads, int n, double limit) {
    for (int i = 0; i < n; i++) {
        if (glia_is_bad(grads[i])) return;
        glia_graph *g = grads[i]->graph;
        glia_dtype t = grads[i]->dtype;
        grads[i] = glia_minimum(glia_maximum(grads[i], glia_scalar(g, t, -limit)), glia_scalar(g, t, limit));
    }
}

/* The squares are summed in f32, or in f64 if one of the parameters is. */
static void clip_by_norm(glia_tensor *grads, int n, double limit) {
    glia_dtype widest = GLIA_F32;
    for (int i = 0; i < n; i++) {
        if (glia_is_bad(grads[i])) return;
        if (grads[i]->dtype == GLIA_F64) widest = GLIA_F64;
    }
    glia_tensor total = NULL;
    for (int i = 0; i < n; i++) {
        glia_tensor square = as(glia_sum(glia_square(grads[i]), GLIA_SCALAR, false), widest);
        total = total ? glia_add(total, square) : square;
    }
    glia_graph *g = grads[0]->graph;
    glia_tensor ratio = glia_div(glia_scalar(g, widest, limit), glia_add_scalar(glia_sqrt(total), 1e-6));
    glia_tensor scale = glia_minimum(ratio, glia_scalar(g, widest, 1));
    for (int i = 0; i < n; i++) grads[i] = glia_mul(grads[i], as(scale, grads[i]->dtype));
}

/* ---- the update --------------------------------------------------------------------------- */

/* The step's number from 1, from the state "GROUP/step" (i64). */
static glia_tensor count_steps(glia_graph *g, const char *group) {
    const char *name = glia_arena_printf(&g->arena, "%s/step", group);
    if (!name) return glia_graph_fail_nomem(g);
    glia_tensor before = glia_state(g, name, GLIA_I64, GLIA_SCALAR, (glia_init){ 0 });
    glia_tensor now = glia_add(before, glia_scalar(g, GLIA_I64, 1));
    glia_update(before, now, group);
    return now;
}

static void update_one(const glia_rule_scope *s, const glia_rule *rule, glia_tensor leaf, glia_tensor gradient) {
    const glia_optimizer *o = s->opt;
    const char *name = glia_leaf_of(leaf)->name;
    glia_tensor w = as(leaf, s->dtype), g = as(gradient, s->dtype);
    bool decays = glia_glob(o->decay_pattern, name);
    if (decays && o->weight_decay > 0) {
        if (rule->decoupled) {
            w = glia_mul(w, glia_add_scalar(glia_mul_scalar(s->lr, -o->weight_decay), 1));
        } else {
            g = glia_add(g, glia_mul_scalar(w, o->weight_decay));
        }
    }
    if (decays && o->l1 > 0) g = glia_add(g, glia_mul_scalar(glia_sign(w), o->l1));
    glia_update(leaf, as(rule->next(s, name, w, g), leaf->dtype), s->group);
}

void glia_minimize(glia_tensor loss, glia_optimizer optimizer, const char *pattern, const char *group) {
    if (glia_is_bad(loss)) return;
    glia_graph *g = loss->graph;
    pattern = pattern ? pattern : "*";
    group = group ? group : "train";
    char text[GLIA_SHAPE_TEXT];
    if (!resolve(g, &optimizer)) return;
    if (loss->shape.rank != 0 || !glia_dtype_is_float(loss->dtype)) {
        glia_graph_fail(g, GLIA_E_SHAPE, "glia_minimize: the loss must be one real number, not %s%s",
                        glia_dtype_name(loss->dtype), glia_shape_format(loss->shape, text));
        return;
    }
    int n;
    glia_tensor *ws = matching(g, pattern, &n);
    glia_tensor *grads = ws ? glia_arena_alloc(&g->arena, (size_t)n * sizeof *grads) : NULL;
    if (!grads) {
        glia_graph_fail_nomem(g);
        return;
    }
    if (n == 0) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_minimize: no trainable parameter matches '%s'", pattern);
        return;
    }
    const char *label = glia_graph_label(g, group);
    glia_grad(loss, ws, n, grads);
    if (optimizer.clip_value > 0) clip_by_value(grads, n, optimizer.clip_value);
    if (optimizer.clip_norm > 0) clip_by_norm(grads, n, optimizer.clip_norm);

    const glia_rule *rule = rules[optimizer.kind];
    glia_tensor lr = rate_input(g, group, optimizer.lr);
    glia_tensor steps = rule->share ? count_steps(g, group) : NULL;
    glia_rule_scope scopes[] = { { .dtype = GLIA_F32 }, { .dtype = GLIA_F64 } };
    for (int k = 0; k < 2; k++) {
        glia_rule_scope *s = &scopes[k];
        bool shared = false;
        s->graph = g;
        s->opt = &optimizer;
        s->group = group;
        for (int i = 0; i < n; i++) {
            if (arithmetic(ws[i]) != s->dtype) continue;
            if (!shared) {
                s->lr = as(lr, s->dtype);
                if (rule->share) rule->share(s, as(steps, s->dtype));
                shared = true;
            }
            update_one(s, rule, ws[i], grads[i]);
        }
    }
    glia_graph_label(g, label);
}
