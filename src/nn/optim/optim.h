/* optim.h - the record that describes an optimiser, one file each.
 *
 * glia_minimize() (optim.c) does what all optimisers share: gradients, clipping, decay, names. An optimiser's file
 * gives the formula for one parameter. The chain of operations and its constants are the same for every parameter, and
 * values common to all parameters (the learning rate, bias corrections) are scalars computed once, so a backend may run
 * the chains as one.
 */
#ifndef GLIA_SRC_NN_OPTIM_OPTIM_H
#define GLIA_SRC_NN_OPTIM_OPTIM_H

#include "core/ops/ops.h"
#include "glia/optim.h"

/* Values shared by the formulas for all parameters of one group and dtype. */
typedef struct glia_rule_scope {
    glia_graph *graph;
    const glia_optimizer *opt; /* defaults filled in */
    const char *group;
    glia_dtype dtype;           /* arithmetic and states: f64 for f64 parameters, f32 for others */
    glia_parameter_group terms; /* of these parameters; every field is filled in */
    glia_tensor lr;             /* scalar, scaled for the group */
    glia_tensor momentum;       /* scalar; NULL: opt->momentum */
    glia_tensor common[3];      /* scalars prepared by the optimiser's `share`; else NULL */
    glia_tensor rows;           /* row indices of w and g in the parameter `table`; NULL: w is the whole parameter */
    glia_tensor table;
} glia_rule_scope;

/* The form of weight decay. */
typedef enum glia_decay {
    GLIA_DECAY_JOINS, /* g = g + weight_decay w */
    GLIA_DECAY_APART, /* w = w (1 - lr weight_decay), before the formula */
    GLIA_DECAY_OWN    /* done by the optimiser's file, with scope->terms.weight_decay */
} glia_decay;

typedef struct glia_rule {
    const char *name;
    double lr, epsilon, beta2, momentum; /* defaults for zeros in glia_optimizer; beta2 0: 0.999 */
    glia_decay decay;
    /* A scalar f32 carried from step to step in a state of the optimiser's own. `steps`: the step's number, i64, from
     * 1. NULL: there is none. */
    glia_tensor (*carry)(glia_graph *graph, const glia_optimizer *opt, const char *group, glia_tensor steps);
    /* Called once for each group and dtype, before any parameter; carried: the result of `carry`. NULL: not needed. */
    void (*share)(glia_rule_scope *scope, glia_tensor steps, glia_tensor carried);
    /* The parameter's next value, of scope->dtype and w's shape. */
    glia_tensor (*next)(const glia_rule_scope *scope, const char *name, glia_tensor w, glia_tensor g);
} glia_rule;

#define GLIA_RULE_ROW(kind, name) extern const glia_rule glia_rule_##name;
#include "nn/optim/optim.def"
#undef GLIA_RULE_ROW

/* The state "GROUP/KIND/NAME", zeros of the scope's dtype and w's shape. If w is rows of a table, the state has the
 * table's shape and these rows of it are returned. */
glia_tensor glia_rule_state(const glia_rule_scope *scope, const char *kind, const char *name, glia_tensor w);
/* Updates the state to this value, which it returns. */
glia_tensor glia_rule_keep(const glia_rule_scope *scope, glia_tensor state, glia_tensor value);
/* Updates the state "GROUP/KIND/NAME" to beta state + (1 - beta) value, which it returns. */
glia_tensor glia_rule_mean(const glia_rule_scope *scope, const char *kind, const char *name, double beta,
                           glia_tensor value);
/* 1 - beta^steps as a scalar of this dtype: the bias correction that such a mean, begun at zero, is divided by. */
glia_tensor glia_rule_correction(glia_tensor steps, glia_dtype dtype, double beta);

#endif
