/* optim.c - gradients and their application by an optimiser, as more graph.
 *
 * For the parameters w_1 ... w_n that are given, or match, in the order in which the graph has them:
 *
 *     g_i = d loss / d w_i, or as given
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

glia_tensor *glia_optimizer_parameters(glia_graph *g, const char *pattern, int *n) {
    glia_tensor *found = glia_arena_alloc(&g->arena, (size_t)g->n_nodes * sizeof *found);
    if (!found) glia_graph_fail_nomem(g);
    *n = 0;
    for (int i = 0; found && i < g->n_nodes; i++) {
        glia_node *node = g->nodes[i];
        if (!glia_is_parameter(node) || glia_leaf_of(node)->frozen) continue;
        if (glia_dtype_is_float(node->dtype) && glia_glob(pattern, glia_leaf_of(node)->name)) found[(*n)++] = node;
    }
    return found;
}

/* The input that holds the learning rate, or another number that changes from step to step: "lr", "critic/lr". */
static glia_tensor number_input(glia_graph *g, const char *what, const char *group, double value) {
    const char *name = !strcmp(group, "train") ? what : glia_arena_printf(&g->arena, "%s/%s", group, what);
    if (!name) return glia_graph_fail_nomem(g);
    glia_tensor input = glia_input(g, name, GLIA_F32, GLIA_SCALAR);
    if (!glia_is_bad(input)) ((glia_leaf *)input->attrs)->value = value; /* what sessions begin with */
    return input;
}

/* ---- the update --------------------------------------------------------------------------- */

/* A call of glia_apply_gradients() or glia_minimize(). */
typedef struct work {
    const char *who;
    glia_graph *graph;
    const glia_rule *rule;
    const glia_optimizer *opt; /* defaults filled in */
    const char *group;
    glia_tensor lr, momentum, steps, carried;
    glia_rule_scope *scopes; /* by parameter group (the last: of none) and dtype; graph NULL: not yet needed */
} work;

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
    s->lr = glia_rule_as(k->lr, dtype);
    if (k->momentum) s->momentum = glia_rule_as(k->momentum, dtype);
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

/* rows: the indices of the rows that the gradient is of; NULL: it is of the whole parameter. */
static void update_one(const work *k, glia_tensor leaf, glia_tensor gradient, glia_tensor rows) {
    const char *name = glia_leaf_of(leaf)->name;
    glia_rule_scope own = *scope_of(k, group_of(k->opt, name), glia_rule_dtype(leaf));
    const glia_rule_scope *s = &own;
    own.rows = rows;
    own.table = leaf;
    const glia_parameter_group *terms = &s->terms;
    glia_tensor before = glia_rule_as(rows ? glia_gather(leaf, rows, 0) : leaf, s->dtype), w = before,
                g = glia_rule_as(gradient, s->dtype);
    const double pull = terms->l2 + (k->rule->decay == GLIA_DECAY_JOINS ? terms->weight_decay : 0);
    if (k->rule->decay == GLIA_DECAY_APART && terms->weight_decay > 0)
        w = glia_mul(w, glia_add_scalar(glia_mul_scalar(s->lr, -terms->weight_decay), 1));
    if (pull > 0) g = glia_add(g, glia_mul_scalar(before, pull));
    if (terms->l1 > 0) g = glia_add(g, glia_mul_scalar(glia_sign(before), terms->l1));
    glia_tensor next = k->rule->next(s, name, w, g);
    if (terms->max_norm > 0) next = bounded(next, terms->max_norm);
    next = glia_rule_as(next, leaf->dtype);
    if (k->opt->ema > 0) glia_rule_average(s, name, before, glia_rule_as(next, s->dtype), k->steps, k->opt->ema,
                                             k->opt->ema_warmup);
    put(s, leaf, next);
}

/* ---- gradients applied, and taken ------------------------------------------------------------- */

/* Is weight, of a batch among those that are accumulated, a number of the graph? */
static bool check_weight(glia_graph *g, const char *who, const glia_optimizer *o) {
    const glia_tensor weight = o->accumulate > 1 ? o->batch_weight : NULL;
    if (!weight || (!glia_is_bad(weight) && weight->graph == g && weight->shape.rank == 0)) return true;
    glia_graph_fail(g, GLIA_E_SHAPE, "%s: batch_weight must be one number of the loss's graph", who);
    return false;
}

/* Is ws[i] a parameter of this graph that may be trained, not given before and not yet changed by the group? */
static bool check_parameter(glia_graph *g, const work *k, const glia_tensor *ws, int i) {
    const glia_tensor w = ws[i];
    char text[GLIA_SHAPE_TEXT];
    if (glia_is_bad(w) || w->graph != g || !glia_is_parameter(w)) {
        const char *what = glia_is_bad(w)     ? "NULL"
                           : w->graph != g    ? "of another graph"
                           : glia_is_state(w) ? "a state"
                                              : w->op->name;
        glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: tensor %d is no parameter of the graph: it is %s", k->who, i, what);
        return false;
    }
    const char *name = glia_leaf_of(w)->name;
    bool again = false;
    for (int j = 0; j < i; j++) again = again || ws[j] == w;
    for (int j = 0; j < g->n_updates; j++)
        again = again || (g->updates[j].leaf == w && !strcmp(g->updates[j].group, k->group));
    if (glia_optimizer_averages(g, k->group, w)) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: group '%s' averages '%s' before it is changed: average it afterwards",
                        k->who, k->group, name);
        return false;
    }
    if (again || glia_leaf_of(w)->frozen) {
        glia_graph_fail(g, GLIA_E_ARGUMENT,
                        again ? "%s: group '%s' would change '%s' twice" : "%s: group '%s': '%s' is frozen", k->who,
                        k->group, name);
        return false;
    }
    if (glia_dtype_is_float(w->dtype)) return true;
    glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: '%s' is %s%s; only floating-point parameters are trained", k->who, name,
                    glia_dtype_name(w->dtype), glia_shape_format(w->shape, text));
    return false;
}

static bool check_gradient(glia_graph *g, const work *k, glia_tensor w, glia_tensor gradient) {
    const char *name = glia_leaf_of(w)->name;
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    if (glia_is_bad(gradient) || gradient->graph != g) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: the gradient of '%s' is %s", k->who, name,
                        glia_is_bad(gradient) ? "NULL" : "of another graph");
        return false;
    }
    if (glia_dtype_is_float(gradient->dtype) && glia_shape_equal(gradient->shape, w->shape)) return true;
    glia_graph_fail(g, GLIA_E_SHAPE, "%s: '%s' is %s%s and cannot take the gradient %s%s", k->who, name,
                    glia_dtype_name(w->dtype), glia_shape_format(w->shape, a), glia_dtype_name(gradient->dtype),
                    glia_shape_format(gradient->shape, b));
    return false;
}

/* Does the pattern of sparse parameters apply to any of these? */
static bool check_sparse(glia_graph *g, const work *k, const glia_tensor *ws, int n) {
    const char *sparse = k->opt->sparse;
    if (!sparse) return true;
    char where[64];
    snprintf(where, sizeof where, "%s: sparse", k->who);
    if (!glia_graph_pattern(g, sparse, true, where)) return false;
    for (int i = 0; i < n; i++) {
        if (glia_glob(sparse, glia_leaf_of(ws[i])->name)) return true;
    }
    glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: sparse '%s' matches none of the parameters of group '%s'", k->who, sparse,
                    k->group);
    return false;
}

/* All checks of glia_apply_gradients(), in which k->opt is filled. false: a mistake is in the graph. */
static bool check_all(glia_graph *g, const work *k, const glia_tensor *ws, const glia_tensor *gradients, int n) {
    if (!check_weight(g, k->who, k->opt)) return false;
    for (int i = 0; i < n; i++) {
        if (!check_parameter(g, k, ws, i) || !check_gradient(g, k, ws[i], gradients[i])) return false;
    }
    return check_sparse(g, k, ws, n);
}

/* The updates of these parameters. grads: n gradients, room for 2 n more tensors behind them; changed. */
static void add_updates(work *k, const glia_tensor *ws, glia_tensor *grads, int n) {
    glia_graph *g = k->graph;
    const glia_optimizer *o = k->opt;
    glia_tensor *shares = grads + n, *rows = shares + n; /* of sparse gradients */
    for (int i = 0; i < n; i++) {
        if (!glia_gradient_rows(o, k->who, ws[i], &grads[i], &shares[i], &rows[i])) return;
    }
    if (o->accumulate > 1) glia_gradients_accumulate(g, k->group, o->batch_weight, ws, n, grads);
    glia_gradients_clip(o, grads, shares, n);
    k->lr = number_input(g, "lr", k->group, o->lr);
    if (o->momentum_input) k->momentum = number_input(g, "momentum", k->group, o->momentum);
    if (k->rule->share || o->ema > 0) k->steps = glia_optimizer_steps(g, k->group);
    if (k->rule->carry) k->carried = k->rule->carry(g, o, k->group, k->steps);
    for (int i = 0; i < n; i++) update_one(k, ws[i], grads[i], rows[i]);
}

/* glia_apply_gradients() for the public function of this name. */
static void apply(const char *who, glia_graph *g, glia_optimizer optimizer, const glia_tensor *ws,
                  const glia_tensor *gradients, int n, const char *group) {
    if (!glia_optimizer_group_check(g, who, group) || !glia_optimizer_fill(g, who, &optimizer)) return;
    work k = { .graph = g, .opt = &optimizer, .group = group, .who = who };
    k.rule = glia_optimizer_rule(optimizer.kind);
    if (!check_all(g, &k, ws, gradients, n)) return;
    k.scopes = glia_arena_alloc(&g->arena, 2 * ((size_t)optimizer.n_groups + 1) * sizeof *k.scopes);
    glia_tensor *grads = glia_arena_alloc(&g->arena, 3 * (size_t)n * sizeof *grads);
    if (!grads || !k.scopes) {
        glia_graph_fail_nomem(g);
        return;
    }
    memcpy(grads, gradients, (size_t)n * sizeof *grads);
    const char *label = glia_graph_label(g, group);
    add_updates(&k, ws, grads, n);
    glia_graph_label(g, label);
}

int glia_apply_gradients(glia_optimizer optimizer, const glia_tensor *parameters, const glia_tensor *gradients, int n,
                         const char *group) {
    glia_graph *g = NULL;
    for (int i = 0; i < n && parameters && !g; i++) g = glia_tensor_graph(parameters[i]);
    for (int i = 0; i < n && gradients && !g; i++) g = glia_tensor_graph(gradients[i]);
    if (!g || g->error.status != GLIA_OK) return 0;
    if (!parameters || !gradients) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_apply_gradients: %s is NULL",
                        parameters ? "gradients" : "parameters");
        return 0;
    }
    apply("glia_apply_gradients", g, optimizer, parameters, gradients, n, group ? group : "train");
    return g->error.status == GLIA_OK ? n : 0;
}

/* The trainable parameters that match, in the graph's arena; NULL: a mistake is in the graph. */
static glia_tensor *trained(const char *who, glia_tensor loss, const char *pattern, int *n) {
    glia_graph *g = loss->graph;
    char text[GLIA_SHAPE_TEXT];
    if (loss->shape.rank != 0 || !glia_dtype_is_float(loss->dtype)) {
        glia_graph_fail(g, GLIA_E_SHAPE, "%s: the loss must be one real number, not %s%s", who,
                        glia_dtype_name(loss->dtype), glia_shape_format(loss->shape, text));
        return NULL;
    }
    if (!glia_graph_pattern(g, pattern, true, who)) return NULL;
    glia_tensor *ws = glia_optimizer_parameters(g, pattern, n);
    if (!ws || *n > 0) return ws;
    glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: no parameter of '%s' is floating-point", who, pattern);
    return NULL;
}

int glia_gradients(glia_tensor loss, const char *pattern, glia_tensor *parameters, glia_tensor *gradients,
                   int capacity) {
    if (glia_is_bad(loss)) return 0;
    int n;
    const glia_tensor *ws = trained("glia_gradients", loss, pattern ? pattern : "*", &n);
    if (!ws) return 0;
    const int given = GLIA_MAX(0, GLIA_MIN(n, capacity));
    if (parameters && given > 0) memcpy(parameters, ws, (size_t)given * sizeof *ws);
    if (gradients && given > 0) glia_grad(loss, ws, given, gradients);
    return n;
}

void glia_minimize(glia_tensor loss, glia_optimizer optimizer, const char *pattern, const char *group) {
    if (glia_is_bad(loss)) return;
    glia_graph *g = loss->graph;
    int n;
    group = group ? group : "train";
    const glia_tensor *ws = trained("optimizer", loss, pattern ? pattern : "*", &n);
    glia_tensor *gradients = ws ? glia_arena_alloc(&g->arena, (size_t)n * sizeof *gradients) : NULL;
    if (!gradients) {
        if (ws) glia_graph_fail_nomem(g);
        return;
    }
    const char *label = glia_graph_label(g, group);
    glia_grad(loss, ws, n, gradients);
    glia_graph_label(g, label);
    if (g->error.status == GLIA_OK) apply("optimizer", g, optimizer, ws, gradients, n, group);
}
