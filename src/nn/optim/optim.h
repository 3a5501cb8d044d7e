/* optim.h - what an optimiser's page says about it.
 *
 * glia_minimize() (optim.c) does what all of them share: gradients, clipping, decay, names. A page gives the formula
 * for one parameter. The chain of operations and its constants are the same for every parameter, and what is the same
 * for all of them (the learning rate, bias corrections) is a scalar computed once, so a backend may run the chains as
 * one.
 */
#ifndef GLIA_SRC_NN_OPTIM_OPTIM_H
#define GLIA_SRC_NN_OPTIM_OPTIM_H

#include "core/ops/ops.h"
#include "glia/optim.h"

/* What the formulas for the parameters of one group and dtype share. */
typedef struct glia_rule_scope {
    glia_graph *graph;
    const glia_optimizer *opt; /* defaults filled in */
    const char *group;
    glia_dtype dtype;           /* arithmetic and states: f64 for f64 parameters, f32 for others */
    glia_parameter_group terms; /* of these parameters; nothing is left unsaid */
    glia_tensor lr;             /* scalar, scaled for the group */
    glia_tensor momentum;       /* scalar; NULL: opt->momentum */
    glia_tensor common[3];      /* scalars that the page's `share` prepared; else NULL */
    glia_tensor rows;           /* w and g are these rows of the parameter `table` (indices); NULL: w is all of it */
    glia_tensor table;
} glia_rule_scope;

/* How weight decay acts. */
typedef enum glia_decay {
    GLIA_DECAY_JOINS, /* g = g + weight_decay w */
    GLIA_DECAY_APART, /* w = w (1 - lr weight_decay), before the formula */
    GLIA_DECAY_OWN    /* as the page does it, with scope->terms.weight_decay */
} glia_decay;

typedef struct glia_rule {
    const char *name;
    double lr, epsilon, beta2, momentum; /* what zero in glia_optimizer means; beta2 0: 0.999 */
    glia_decay decay;
    /* A scalar f32 that lives from step to step, by a state of the page's own. `steps`: the step's number, i64, from 1.
     * NULL: there is none. */
    glia_tensor (*carry)(glia_graph *graph, const glia_optimizer *opt, const char *group, glia_tensor steps);
    /* Once for each group and dtype, before any parameter; carried: what `carry` gave. NULL: needs nothing. */
    void (*share)(glia_rule_scope *scope, glia_tensor steps, glia_tensor carried);
    /* The parameter's next value, of scope->dtype and w's shape. */
    glia_tensor (*next)(const glia_rule_scope *scope, const char *name, glia_tensor w, glia_tensor g);
} glia_rule;

#define GLIA_RULE_ROW(kind, name) extern const glia_rule glia_rule_##name;
#include "nn/optim/optim.def"
#undef GLIA_RULE_ROW

/* The state "GROUP/KIND/NAME", zeros of the scope's dtype and w's shape; of the table's shape, and its rows, if w is
 * rows of one. */
glia_tensor glia_rule_state(const glia_rule_scope *scope, const char *kind, const char *name, glia_tensor w);
/* The state takes this value; returns it. */
glia_tensor glia_rule_keep(const glia_rule_scope *scope, glia_tensor state, glia_tensor value);
/* The state "GROUP/KIND/NAME" becomes beta state + (1 - beta) value; returns that. */
glia_tensor glia_rule_mean(const glia_rule_scope *scope, const char *kind, const char *name, double beta,
                           glia_tensor value);
/* 1 - beta^steps as a scalar of this dtype: what such a mean, begun at zero, has to be divided by. */
glia_tensor glia_rule_correction(glia_tensor steps, glia_dtype dtype, double beta);

#endif
