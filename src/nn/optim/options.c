/* options.c - an optimiser's options: names, defaults, domains. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/optim/optim.h"

static const glia_rule *const rules[GLIA_OPTIMIZER_COUNT] = {
#define GLIA_RULE_ROW(kind, name) [kind] = &glia_rule_##name,
#include "nn/optim/optim.def"
#undef GLIA_RULE_ROW
};

const glia_rule *glia_optimizer_rule(glia_optimizer_kind kind) {
    return (unsigned)kind < GLIA_OPTIMIZER_COUNT ? rules[kind] : NULL;
}

static bool is_within(glia_graph *g, const char *who, const char *name, double value, double below) {
    if (value >= 0 && value < below) return true;
    glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: %s is %g, which is not in [0, %g)", who, name, value, below);
    return false;
}

/* Is the group's pattern that of some parameter, and are its numbers numbers? */
static bool check_group(glia_graph *g, const char *who, const glia_parameter_group *p, int index) {
    static const char *const names[] = { "lr_scale", "weight_decay", "l1", "l2", "max_norm" };
    const double terms[] = { p->lr_scale, p->weight_decay, p->l1, p->l2, p->max_norm };
    char where[64];
    snprintf(where, sizeof where, "%s: parameter group %d", who, index);
    if (!glia_graph_pattern(g, p->pattern, false, where)) return false;
    for (int i = 0; i < GLIA_COUNT(terms); i++) {
        if (terms[i] >= 0 && isfinite(terms[i])) continue;
        glia_graph_fail(g, GLIA_E_ARGUMENT,
                        "%s: parameter group '%s': %s is %g, which is not in [0, inf); GLIA_ZERO is none", who,
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

bool glia_optimizer_fill(glia_graph *g, const char *who, glia_optimizer *o) {
    if ((unsigned)o->kind >= GLIA_OPTIMIZER_COUNT) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: the kind %d is unknown", who, (int)o->kind);
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
        if (!check_group(g, who, &o->groups[i], i)) return false;
    }
    if (o->momentum_input && (o->kind != GLIA_SGD || o->momentum == 0)) {
        glia_graph_fail(g, GLIA_E_ARGUMENT,
                        "%s: only the momentum of sgd can change from step to step, where it has one", rule->name);
        return false;
    }
    if (o->ema_warmup && o->ema == 0) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: ema_warmup needs ema, e.g. 0.999", rule->name);
        return false;
    }
    if (o->nesterov && o->momentum == 0) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: nesterov needs momentum, e.g. 0.9", rule->name);
        return false;
    }
    return true;
}

bool glia_optimizer_group_name_check(glia_graph *g, const char *who, const char *group) {
    if (*group && !strpbrk(group, "*?,")) return true;
    glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: '%s' is no name of an update group: it is a pattern", who, group);
    return false;
}

bool glia_optimizer_group_check(glia_graph *g, const char *who, const char *group) {
    if (!glia_optimizer_group_name_check(g, who, group)) return false;
    const char *lr = !strcmp(group, "train") ? "lr" : glia_arena_printf(&g->arena, "%s/lr", group);
    if (!lr) {
        glia_graph_fail_nomem(g);
        return false;
    }
    const glia_node *taken = glia_graph_find_leaf(g, lr);
    if (!taken) return true;
    glia_graph_fail(g, GLIA_E_ARGUMENT,
                    "%s: group '%s' has a learning rate '%s' already: each optimiser needs its own group", who, group,
                    lr);
    return false;
}
