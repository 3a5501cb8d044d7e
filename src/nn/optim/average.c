/* average.c - moving averages of parameters (Polyak and Juditsky 1992): those that an optimiser keeps, and others by
 * pattern.
 *
 *     average = d average + (1 - d) w                  average begins as w was before the first step
 *     d = decay, or min(decay, (1 + t) / (10 + t)) in step t = 1, 2, ... with a warm-up
 *
 * The warm-up is that of TensorFlow's ExponentialMovingAverage and of Ho et al. 2020 and their followers, whose decays
 * (0.9999) would else remember the beginning for thousands of steps.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/optim/optim.h"

static const char who[] = "glia_moving_average";

void glia_rule_average(const glia_rule_scope *s, const char *name, glia_tensor before, glia_tensor after,
                       glia_tensor steps, double decay, bool warmup) {
    glia_tensor ema = glia_rule_state(s, "ema", name, before);
    glia_tensor first = glia_equal(steps, glia_scalar(s->graph, GLIA_I64, 1)), from = glia_select(first, before, ema);
    if (!warmup) {
        glia_rule_keep(s, ema, glia_add(glia_mul_scalar(from, decay), glia_mul_scalar(after, 1 - decay)));
        return;
    }
    glia_tensor t = glia_rule_as(steps, s->dtype);
    glia_tensor rising = glia_div(glia_add_scalar(t, 1), glia_add_scalar(t, 10));
    glia_tensor d = glia_minimum(rising, glia_scalar(s->graph, s->dtype, decay));
    glia_rule_keep(s, ema, glia_add(after, glia_mul(d, glia_sub(from, after))));
}

/* What the group makes of the leaf; NULL: it does not change it. */
static glia_tensor updated(const glia_graph *g, glia_tensor leaf, const char *group) {
    for (int i = 0; i < g->n_updates; i++) {
        if (g->updates[i].leaf == leaf && !strcmp(g->updates[i].group, group)) return g->updates[i].value;
    }
    return NULL;
}

glia_tensor glia_optimizer_steps(glia_graph *g, const char *group) {
    const char *name = glia_arena_printf(&g->arena, "%s/step", group);
    if (!name) return glia_graph_fail_nomem(g);
    glia_tensor before = glia_state(g, name, GLIA_I64, GLIA_SCALAR, (glia_init){ 0 });
    if (glia_is_bad(before)) return before;
    glia_tensor now = updated(g, before, group); /* counted already */
    if (now) return now;
    now = glia_add(before, glia_scalar(g, GLIA_I64, 1));
    glia_update(before, now, group);
    return now;
}

bool glia_optimizer_averages(const glia_graph *g, const char *group, glia_tensor w) {
    char name[256];
    const int n = snprintf(name, sizeof name, "%s/ema/%s", group, glia_leaf_of(w)->name);
    return n < (int)sizeof name && glia_graph_find_leaf(g, name);
}

/* Are the options in their domains, and does the pattern match? */
static bool check(glia_graph *g, const char *pattern, double decay, const char *group) {
    if (!(decay >= 0 && decay < 1)) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: decay is %g, which is not in [0, 1)", who, decay);
        return false;
    }
    return glia_optimizer_group_name_check(g, who, group) && glia_graph_pattern(g, pattern, true, who);
}

/* Adds the update of one average; returns the average as a run finds it, of the parameter's dtype. */
static glia_tensor average_one(glia_rule_scope *s, glia_tensor w, double decay, bool warmup) {
    glia_graph *g = s->graph;
    const char *name = glia_leaf_of(w)->name;
    if (glia_optimizer_averages(g, s->group, w))
        return glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: group '%s' averages '%s' already", who, s->group, name);
    s->dtype = glia_rule_dtype(w);
    glia_tensor steps = glia_optimizer_steps(g, s->group), after = updated(g, w, s->group);
    glia_tensor before = glia_rule_as(w, s->dtype);
    glia_rule_average(s, name, before, glia_rule_as(after ? after : w, s->dtype), steps, decay, warmup);
    glia_tensor first = glia_equal(steps, glia_scalar(g, GLIA_I64, 1));
    return glia_rule_as(glia_select(first, before, glia_rule_state(s, "ema", name, before)), w->dtype);
}

int glia_moving_average(glia_graph *g, const char *pattern, glia_moving_average_opts opts, const char *group,
                        glia_tensor *parameters, glia_tensor *averages, int capacity) {
    if (!g || g->error.status != GLIA_OK) return 0;
    const double decay = glia_option(opts.decay, 0.999);
    group = group ? group : "train";
    pattern = pattern ? pattern : "*";
    if (!check(g, pattern, decay, group)) return 0;
    int n;
    glia_tensor *ws = glia_optimizer_parameters(g, pattern, &n);
    if (!ws || n == 0) {
        if (ws) glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: no parameter of '%s' is floating-point", who, pattern);
        return 0;
    }
    const char *label = glia_graph_label(g, group);
    glia_rule_scope s = { .graph = g, .group = group };
    for (int i = 0; i < n; i++) {
        glia_tensor average = average_one(&s, ws[i], decay, opts.warmup);
        if (i < capacity && parameters) parameters[i] = ws[i];
        if (i < capacity && averages) averages[i] = average;
    }
    glia_graph_label(g, label);
    return g->error.status == GLIA_OK ? n : 0;
}
