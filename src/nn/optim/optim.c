/* optim.c - glia_minimize(): gradients and the optimiser's update, as more graph.
 *
 * For the parameters w_1 ... w_n that match, in the order in which the graph has them:
 *
 *     g_i = d loss / d w_i
 *     g_i = clip(g_i, -clip_value, clip_value)                                    if asked for
 *     g_i = g_i min(1, clip_norm / (norm + 1e-6)),  norm = |(g_1, ..., g_n)|_2      if asked for (Pascanu et al. 2013)
 *     g_i = g_i + (weight_decay + l2) w_i + l1 sign(w_i)
 *     w_i = the rule's formula (the pages of this folder)
 *     w_i = w_i min(1, max_norm / |w_i|) for each unit's incoming weights      (Srivastava et al. 2014, section 5.1)
 *     ema_i = ema ema_i + (1 - ema) w_i, which begins as w_i was before the first step   (Polyak and Juditsky 1992)
 *
 * This is the order of torch.nn.utils.clip_grad_value_, clip_grad_norm_ and the torch.optim classes, whose results
 * tests/golden/optimizers.txt holds. Where decay is apart from the gradient (AdamW), w_i (1 - lr weight_decay) takes
 * the place of w_i in the formula.
 *
 * Accumulation has two update groups. GROUP.hold adds the gradients to sums and counts; GROUP adds its own, divides by
 * the count, takes the step and sets the count to zero. A sum is not cleared: it is not read where the count is zero.
 * Where batches have weights, g is weighed, and divided by the sum of the weights instead.
 *
 *     both         sum = (held > 0 ? sum : 0) + g
 *     GROUP.hold   held = held + 1
 *     GROUP        g = sum / (held + 1);  held = 0
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/optim/optim.h"

static const glia_rule *const rules[GLIA_OPTIMIZER_COUNT] = {
#define GLIA_RULE_ROW(kind, name) [kind] = &glia_rule_##name,
#include "nn/optim/optim.def"
#undef GLIA_RULE_ROW
};

glia_tensor glia_rule_state(const glia_rule_scope *s, const char *kind, const char *name, glia_tensor w) {
    const char *full = glia_arena_printf(&s->graph->arena, "%s/%s/%s", s->group, kind, name);
    if (!full) return glia_graph_fail_nomem(s->graph);
    const glia_shape shape = s->rows ? s->table->shape : w->shape;
    glia_tensor state = glia_state(s->graph, full, s->dtype, shape, (glia_init){ .kind = GLIA_INIT_ZEROS });
    return s->rows ? glia_gather(state, s->rows, 0) : state;
}

/* leaf becomes the value, which may be rows of it. */
static void put(const glia_rule_scope *s, glia_tensor leaf, glia_tensor value) {
    glia_update(leaf, s->rows ? glia_put_rows(leaf, s->rows, value) : value, s->group);
}

glia_tensor glia_rule_keep(const glia_rule_scope *s, glia_tensor state, glia_tensor value) {
    if (!glia_is_bad(state)) put(s, s->rows ? state->in[0] : state, value);
    return value;
}

glia_tensor glia_rule_mean(const glia_rule_scope *s, const char *kind, const char *name, double beta, glia_tensor x) {
    if (glia_is_bad(x)) return x;
    glia_tensor mean = glia_rule_state(s, kind, name, x);
    return glia_rule_keep(s, mean, glia_add(glia_mul_scalar(mean, beta), glia_mul_scalar(x, 1 - beta)));
}

/* -expm1(t log beta) keeps all digits where beta^t is near 1 as well as where it vanishes (from where on it does not
 * matter that f32 cannot tell t from t + 1); a product carried from step to step would drift. */
glia_tensor glia_rule_correction(glia_tensor steps, glia_dtype dtype, double beta) {
    if (beta == 0 && !glia_is_bad(steps)) return glia_like(glia_cast(steps, dtype), 1);
    return glia_neg(glia_expm1(glia_mul_scalar(glia_cast(steps, dtype), log(beta))));
}

/* ---- what is asked for -------------------------------------------------------------------- */

static bool is_within(glia_graph *g, const char *who, const char *name, double value, double below) {
    if (value >= 0 && value < below) return true;
    glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: %s is %g, which is not in [0, %g)", who, name, value, below);
    return false;
}

/* Is the group's pattern that of some parameter, and are its numbers numbers? */
static bool check_group(glia_graph *g, const glia_parameter_group *p, int index) {
    static const char *const names[] = { "lr_scale", "weight_decay", "l1", "l2", "max_norm" };
    const double terms[] = { p->lr_scale, p->weight_decay, p->l1, p->l2, p->max_norm };
    char where[48];
    snprintf(where, sizeof where, "glia_minimize: parameter group %d", index);
    if (!glia_graph_pattern(g, p->pattern, false, where)) return false;
    for (int i = 0; i < GLIA_COUNT(terms); i++) {
        if (terms[i] >= 0 && isfinite(terms[i])) continue;
        glia_graph_fail(g, GLIA_E_ARGUMENT,
                        "glia_minimize: parameter group '%s': %s is %g, which is not in [0, inf); GLIA_ZERO is none",
                        p->pattern, names[i], terms[i]);
        return false;
    }
    return true;
}

const char *glia_optimizer_name(glia_optimizer_kind kind) {
    return (unsigned)kind < GLIA_OPTIMIZER_COUNT ? rules[kind]->name : NULL;
}

glia_optimizer glia_optimizer_resolved(glia_optimizer o) {
    if ((unsigned)o.kind >= GLIA_OPTIMIZER_COUNT) return o;
    const glia_rule *rule = rules[o.kind];
    if (o.lr == 0) o.lr = rule->lr; /* GLIA_ZERO stays: the result means what `o` means */
    if (o.momentum == 0) o.momentum = rule->momentum;
    if (o.epsilon == 0) o.epsilon = rule->epsilon;
    if (o.beta1 == 0) o.beta1 = 0.9;
    if (o.beta2 == 0) o.beta2 = rule->beta2 > 0 ? rule->beta2 : 0.999;
    if (o.rho == 0) o.rho = 0.9;
    if (o.accumulate == 0) o.accumulate = 1;
    return o;
}

/* Fills in the defaults; GLIA_ZERO becomes 0. false: a mistake is in the graph. */
static bool resolve(glia_graph *g, glia_optimizer *o) {
    if ((unsigned)o->kind >= GLIA_OPTIMIZER_COUNT) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_minimize: there is no optimiser number %d", (int)o->kind);
        return false;
    }
    const glia_rule *rule = rules[o->kind];
    *o = glia_optimizer_resolved(*o);
    double *const numbers[] = { &o->lr,        &o->momentum,     &o->beta1, &o->beta2, &o->rho,
                                &o->epsilon,   &o->weight_decay, &o->l1,    &o->l2,    &o->max_norm,
                                &o->clip_norm, &o->clip_value,   &o->ema };
    for (int i = 0; i < GLIA_COUNT(numbers); i++) *numbers[i] = glia_option(*numbers[i], 0);
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
        { "l2", o->l2, HUGE_VAL },
        { "max_norm", o->max_norm, HUGE_VAL },
        { "clip_norm", o->clip_norm, HUGE_VAL },
        { "clip_value", o->clip_value, HUGE_VAL },
        { "ema", o->ema, 1 },
    };
    for (int i = 0; i < GLIA_COUNT(ranges); i++) {
        if (!is_within(g, rule->name, ranges[i].name, ranges[i].value, ranges[i].below)) return false;
    }
    if (o->amsgrad && o->kind != GLIA_ADAM && o->kind != GLIA_ADAMW) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: amsgrad is for adam and adamw", rule->name);
        return false;
    }
    if (o->accumulate < 0 || o->n_groups < 0 || (o->n_groups && !o->groups)) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: accumulate is %lld, and there are %d parameter groups", rule->name,
                        (long long)o->accumulate, o->n_groups);
        return false;
    }
    for (int i = 0; i < o->n_groups; i++) {
        if (!check_group(g, &o->groups[i], i)) return false;
    }
    if (o->momentum_input && (o->kind != GLIA_SGD || o->momentum == 0)) {
        glia_graph_fail(g, GLIA_E_ARGUMENT,
                        "%s: only the momentum of sgd can change from step to step, where it has one", rule->name);
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

/* The input that holds the learning rate, or another number that changes from step to step. */
static glia_tensor number_input(glia_graph *g, const char *what, const char *group, double value) {
    const char *name = !strcmp(group, "train") ? what : glia_arena_printf(&g->arena, "%s/%s", what, group);
    if (!name) return glia_graph_fail_nomem(g);
    glia_tensor input = glia_input(g, name, GLIA_F32, GLIA_SCALAR);
    if (!glia_is_bad(input)) ((glia_leaf *)input->attrs)->value = value; /* what sessions begin with */
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

/* The squares are summed in f32, or in f64 if one of the parameters is. shares[i]: by how much each row counts, where rows
 * with the same index are one; NULL: the gradient is that of a whole parameter. */
static void clip_by_norm(glia_tensor *grads, const glia_tensor *shares, int n, double limit) {
    glia_dtype widest = GLIA_F32;
    for (int i = 0; i < n; i++) {
        if (glia_is_bad(grads[i])) return;
        if (grads[i]->dtype == GLIA_F64) widest = GLIA_F64;
    }
    glia_tensor total = NULL;
    for (int i = 0; i < n; i++) {
        glia_tensor squares = glia_square(grads[i]);
        if (shares[i]) squares = glia_mul(squares, shares[i]);
        glia_tensor square = as(glia_sum(squares, GLIA_SCALAR, false), widest);
        total = total ? glia_add(total, square) : square;
    }
    glia_graph *g = grads[0]->graph;
    glia_tensor ratio = glia_div(glia_scalar(g, widest, limit), glia_add_scalar(glia_sqrt(total), 1e-6));
    glia_tensor scale = glia_minimum(ratio, glia_scalar(g, widest, 1));
    for (int i = 0; i < n; i++) grads[i] = glia_mul(grads[i], as(scale, grads[i]->dtype));
}

/* ---- accumulation ------------------------------------------------------------------------- */

/* A scalar that adds up `each` over the runs of GROUP.hold since the last of GROUP; its value with this one. */
static glia_tensor add_up(glia_graph *g, const char *name, const char *group, const char *hold, glia_tensor each) {
    glia_tensor held = glia_state(g, name, each->dtype, GLIA_SCALAR, (glia_init){ 0 });
    glia_tensor more = glia_add(held, each);
    glia_update(held, more, hold);
    glia_update(held, glia_scalar(g, each->dtype, 0), group);
    return more;
}

/* What all batches together weigh, f32; without labels in any of them 1, since then gradients are 0. */
static glia_tensor total_weight(glia_graph *g, const char *group, const char *hold, glia_tensor weight) {
    const char *name = glia_arena_printf(&g->arena, "%s/weight", group);
    if (!name) return glia_graph_fail_nomem(g);
    glia_tensor total = add_up(g, name, group, hold, as(weight, GLIA_F32)), zero = glia_scalar(g, GLIA_F32, 0);
    return glia_select(glia_greater(total, zero), total, glia_scalar(g, GLIA_F32, 1));
}

/* Makes the gradients means over the runs of GROUP.hold since the last of GROUP, and this one. weight: how much this
 * one counts; NULL: as much as the others. */
static void accumulate(glia_graph *g, const char *group, glia_tensor weight, glia_tensor *ws, int n,
                       glia_tensor *grads) {
    const char *hold = glia_arena_printf(&g->arena, "%s.hold", group);
    const char *count = glia_arena_printf(&g->arena, "%s/held", group);
    if (!hold || !count) {
        glia_graph_fail_nomem(g);
        return;
    }
    glia_tensor one = glia_scalar(g, GLIA_I64, 1), more = add_up(g, count, group, hold, one);
    glia_tensor any = glia_greater(more, one);
    glia_tensor all = weight ? total_weight(g, group, hold, weight) : more;
    glia_rule_scope s = { .graph = g, .group = group };
    for (int i = 0; i < n; i++) {
        s.dtype = arithmetic(ws[i]);
        glia_tensor sum = glia_rule_state(&s, "sum", glia_leaf_of(ws[i])->name, ws[i]), mine = as(grads[i], s.dtype);
        if (weight) mine = glia_mul(mine, as(weight, s.dtype));
        glia_tensor total = glia_add(glia_select(any, sum, glia_scalar(g, s.dtype, 0)), mine);
        glia_update(sum, total, hold);
        grads[i] = glia_mul(total, glia_reciprocal(as(all, s.dtype)));
    }
}

/* ---- the update --------------------------------------------------------------------------- */

/* A call of glia_minimize(). */
typedef struct work {
    glia_graph *graph;
    const glia_rule *rule;
    const glia_optimizer *opt; /* defaults filled in */
    const char *group;
    glia_tensor lr, momentum, steps, carried;
    glia_rule_scope *scopes; /* by parameter group (the last: of none) and dtype; graph NULL: not yet needed */
} work;

/* The step's number from 1, from the state "GROUP/step" (i64). */
static glia_tensor count_steps(glia_graph *g, const char *group) {
    const char *name = glia_arena_printf(&g->arena, "%s/step", group);
    if (!name) return glia_graph_fail_nomem(g);
    glia_tensor before = glia_state(g, name, GLIA_I64, GLIA_SCALAR, (glia_init){ 0 });
    glia_tensor now = glia_add(before, glia_scalar(g, GLIA_I64, 1));
    glia_update(before, now, group);
    return now;
}

/* The index of the parameter group that has this parameter; n_groups: none. */
static int group_of(const glia_optimizer *o, const char *name) {
    int i = 0;
    while (i < o->n_groups && !glia_glob(o->groups[i].pattern, name)) i++;
    return i;
}

/* What holds for the parameters of a group: its own numbers, or the optimiser's. */
static glia_parameter_group terms_of(const glia_optimizer *o, int group) {
    const glia_parameter_group none = { 0 }, *own = group < o->n_groups ? &o->groups[group] : &none;
    return (glia_parameter_group){ .lr_scale = glia_option(own->lr_scale, 1),
                                   .weight_decay = glia_option(own->weight_decay, o->weight_decay),
                                   .l1 = glia_option(own->l1, o->l1),
                                   .l2 = glia_option(own->l2, o->l2),
                                   .max_norm = glia_option(own->max_norm, o->max_norm) };
}

static const glia_rule_scope *scope_of(const work *k, int group, glia_dtype dtype) {
    glia_rule_scope *s = &k->scopes[2 * group + (dtype == GLIA_F64)];
    if (s->graph) return s;
    *s = (glia_rule_scope){ .graph = k->graph, .opt = k->opt, .group = k->group, .dtype = dtype };
    s->terms = terms_of(k->opt, group);
    s->lr = as(k->lr, dtype);
    if (k->momentum) s->momentum = as(k->momentum, dtype);
    if (s->terms.lr_scale != 1) s->lr = glia_mul_scalar(s->lr, s->terms.lr_scale);
    if (k->rule->share) k->rule->share(s, k->steps, k->carried);
    return s;
}

/* The kernel with each unit's weights, what its first axis counts, scaled down to this norm. */
static glia_tensor bounded(glia_tensor w, double norm) {
    if (glia_is_bad(w) || w->shape.rank < 2) return w;
    glia_shape axes = { .rank = w->shape.rank - 1 };
    for (int i = 0; i < axes.rank; i++) axes.dim[i] = i + 1;
    glia_tensor limit = glia_scalar(w->graph, w->dtype, norm);
    glia_tensor size = glia_sqrt(glia_sum(glia_square(w), axes, true));
    return glia_mul(w, glia_div(limit, glia_maximum(size, limit)));
}

/* The state "GROUP/ema/NAME" follows what the parameter becomes. */
static void average(const work *k, const glia_rule_scope *s, const char *name, glia_tensor before, glia_tensor after) {
    double m = k->opt->ema;
    glia_tensor ema = glia_rule_state(s, "ema", name, before);
    glia_tensor first = glia_equal(k->steps, glia_scalar(k->graph, GLIA_I64, 1));
    glia_tensor from = glia_select(first, before, ema);
    glia_rule_keep(s, ema, glia_add(glia_mul_scalar(from, m), glia_mul_scalar(after, 1 - m)));
}

/* rows: the indices of the rows that the gradient is of; NULL: it is of the whole parameter. */
static void update_one(const work *k, glia_tensor leaf, glia_tensor gradient, glia_tensor rows) {
    const char *name = glia_leaf_of(leaf)->name;
    glia_rule_scope own = *scope_of(k, group_of(k->opt, name), arithmetic(leaf));
    const glia_rule_scope *s = &own;
    own.rows = rows;
    own.table = leaf;
    const glia_parameter_group *terms = &s->terms;
    glia_tensor before = as(rows ? glia_gather(leaf, rows, 0) : leaf, s->dtype), w = before, g = as(gradient, s->dtype);
    const double pull = terms->l2 + (k->rule->decay == GLIA_DECAY_JOINS ? terms->weight_decay : 0);
    if (k->rule->decay == GLIA_DECAY_APART && terms->weight_decay > 0)
        w = glia_mul(w, glia_add_scalar(glia_mul_scalar(s->lr, -terms->weight_decay), 1));
    if (pull > 0) g = glia_add(g, glia_mul_scalar(before, pull));
    if (terms->l1 > 0) g = glia_add(g, glia_mul_scalar(glia_sign(before), terms->l1));
    glia_tensor next = k->rule->next(s, name, w, g);
    if (terms->max_norm > 0) next = bounded(next, terms->max_norm);
    next = as(next, leaf->dtype);
    if (k->opt->ema > 0) average(k, s, name, before, as(next, s->dtype));
    put(s, leaf, next);
}

/* ---- sparse gradients --------------------------------------------------------------------- */

enum { MOST_PICKS = 32 }; /* places of a graph that pick from one table */

/* The places (P, B...) and their indices (P) whose rows a gradient adds up: a sum of scatter_adds along axis 0; false: it
 * is something else. */
static bool find_picks(glia_tensor gradient, glia_tensor *rows, glia_tensor *indices, int *n) {
    if (gradient->op == &glia_op_add) {
        return find_picks(gradient->in[0], rows, indices, n) && find_picks(gradient->in[1], rows, indices, n);
    }
    if (gradient->op != &glia_op_scatter_add || ((const glia_scatter_attrs *)gradient->attrs)->axis || *n == MOST_PICKS)
        return false;
    glia_tensor u = gradient->in[0], at = gradient->in[1];
    glia_shape flat = { .rank = 1, .dim = { 1 } };
    for (int i = 0; i < at->shape.rank; i++) flat.dim[0] = glia_dim_times(flat.dim[0], at->shape.dim[i]);
    const glia_shape picks = flat;
    for (int i = at->shape.rank; i < u->shape.rank; i++) flat.dim[flat.rank++] = u->shape.dim[i];
    rows[*n] = glia_reshape(u, flat);
    indices[(*n)++] = glia_reshape(at, picks);
    return true;
}

/* Where the parameter's name matches o->sparse: *gradient becomes a row for each index, the sum of all of this index, *rows
 * the indices, *share 1 / how often each comes. Else the last two become NULL. false: a mistake is in the graph. */
static bool make_sparse(const glia_optimizer *o, glia_tensor leaf, glia_tensor *gradient, glia_tensor *share,
                        glia_tensor *rows) {
    const char *name = glia_leaf_of(leaf)->name;
    *share = *rows = NULL;
    if (!o->sparse || !glia_glob(o->sparse, name)) return true;
    glia_graph *g = leaf->graph;
    if (o->kind == GLIA_MUON || o->kind == GLIA_LAMB || o->ema > 0 || o->accumulate > 1) {
        glia_graph_fail(g, GLIA_E_UNSUPPORTED,
                        "glia_minimize: sparse '%s' does not go with Muon, LAMB, ema or accumulate", o->sparse);
        return false;
    }
    glia_tensor parts[MOST_PICKS], indices[MOST_PICKS];
    int n = 0;
    if (glia_is_bad(*gradient)) return false;
    bool picked = find_picks(*gradient, parts, indices, &n);
    for (int i = 0; picked && i < n; i++)
        picked = indices[i]->dtype == indices[0]->dtype &&
                 glia_dim_of(indices[i]->shape.dim[0]).size == glia_dim_of(indices[0]->shape.dim[0]).size;
    if (!picked) {
        glia_graph_fail(g, GLIA_E_UNSUPPORTED,
                        "glia_minimize: sparse '%s': '%s' is used as more than a table from which rows are picked",
                        o->sparse, name);
        return false;
    }
    glia_tensor part = n > 1 ? glia_concat(parts, n, 0) : parts[0];
    *rows = n > 1 ? glia_concat(indices, n, 0) : indices[0];
    *gradient = glia_row_sums(part, *rows, leaf->shape.dim[0]);
    if (glia_is_bad(*rows)) return false;
    glia_shape column = (*rows)->shape;
    while (column.rank < leaf->shape.rank) column.dim[column.rank++] = 1;
    glia_tensor ones = glia_broadcast(glia_scalar(g, (*gradient)->dtype, 1), column);
    glia_tensor uses = glia_row_sums(ones, *rows, leaf->shape.dim[0]); /* 0: the index names no row */
    *share = glia_reciprocal(glia_maximum(uses, glia_like(uses, 1)));
    return true;
}

/* Do the patterns apply to any of the parameters that are to be trained? */
static bool check_patterns(glia_graph *g, const glia_optimizer *o, const char *pattern, const glia_tensor *ws, int n) {
    if (!glia_graph_pattern(g, pattern, true, "glia_minimize")) return false;
    if (n == 0) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_minimize: no parameter of '%s' is floating-point", pattern);
        return false;
    }
    if (!o->sparse) return true;
    if (!glia_graph_pattern(g, o->sparse, true, "glia_minimize: sparse")) return false;
    for (int i = 0; i < n; i++) {
        if (glia_glob(o->sparse, glia_leaf_of(ws[i])->name)) return true;
    }
    glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_minimize: sparse '%s' matches none of the parameters '%s'", o->sparse,
                    pattern);
    return false;
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
    const glia_tensor weight = optimizer.accumulate > 1 ? optimizer.batch_weight : NULL;
    if (weight && (glia_is_bad(weight) || weight->graph != g || weight->shape.rank != 0)) {
        glia_graph_fail(g, GLIA_E_SHAPE, "glia_minimize: batch_weight must be one number of the loss's graph");
        return;
    }
    int n;
    work k = { .graph = g, .rule = rules[optimizer.kind], .opt = &optimizer, .group = group };
    k.scopes = glia_arena_alloc(&g->arena, 2 * ((size_t)optimizer.n_groups + 1) * sizeof *k.scopes);
    glia_tensor *ws = matching(g, pattern, &n);
    glia_tensor *grads = ws ? glia_arena_alloc(&g->arena, 3 * (size_t)n * sizeof *grads) : NULL;
    glia_tensor *shares = grads ? grads + n : NULL, *rows = grads ? shares + n : NULL; /* of sparse gradients */
    if (!grads || !k.scopes) {
        glia_graph_fail_nomem(g);
        return;
    }
    if (!check_patterns(g, &optimizer, pattern, ws, n)) return;
    const char *label = glia_graph_label(g, group);
    glia_grad(loss, ws, n, grads);
    for (int i = 0; i < n; i++) {
        if (make_sparse(&optimizer, ws[i], &grads[i], &shares[i], &rows[i])) continue;
        glia_graph_label(g, label);
        return;
    }
    if (optimizer.accumulate > 1) accumulate(g, group, optimizer.batch_weight, ws, n, grads);
    if (optimizer.clip_value > 0) clip_by_value(grads, n, optimizer.clip_value);
    if (optimizer.clip_norm > 0) clip_by_norm(grads, shares, n, optimizer.clip_norm);
    k.lr = number_input(g, "lr", group, optimizer.lr);
    if (optimizer.momentum_input) k.momentum = number_input(g, "momentum", group, optimizer.momentum);
    if (k.rule->share || optimizer.ema > 0) k.steps = count_steps(g, group);
    if (k.rule->carry) k.carried = k.rule->carry(g, &optimizer, group, k.steps);
    for (int i = 0; i < n; i++) update_one(&k, ws[i], grads[i], rows[i]);
    glia_graph_label(g, label);
}
