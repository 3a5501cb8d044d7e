/* optim.h - what an optimiser's page says about it, and what the files that all optimisers share give each other.
 *
 * glia_apply_gradients() (optim.c) does what all of them share: clipping, decay, names. A page gives the formula
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
    glia_tensor rows; /* indices of the rows that w and g are, of the parameter `table`; NULL: w is all of it */
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

/* The dtype of a parameter's arithmetic and states. */
static inline glia_dtype glia_rule_dtype(glia_tensor w) { return w->dtype == GLIA_F64 ? GLIA_F64 : GLIA_F32; }
/* x as this dtype. */
static inline glia_tensor glia_rule_as(glia_tensor x, glia_dtype dtype) {
    return glia_is_bad(x) || x->dtype == dtype ? x : glia_cast(x, dtype);
}

/* NULL: there is no such optimiser. */
const glia_rule *glia_optimizer_rule(glia_optimizer_kind kind);
/* Fills in the defaults; GLIA_ZERO becomes 0. false: a mistake is in the graph, in the name of the function `who`. */
bool glia_optimizer_fill(glia_graph *graph, const char *who, glia_optimizer *optimizer);
/* The trainable floating-point parameters that match, in the graph's arena; *n of them. NULL: no memory, as the graph
 * says. */
glia_tensor *glia_optimizer_parameters(glia_graph *graph, const char *pattern, int *n);
/* Can a program choose the update group by its name? false: a mistake is in the graph. */
bool glia_optimizer_group_name_check(glia_graph *graph, const char *who, const char *group);
/* The same, and has it no optimiser yet? */
bool glia_optimizer_group_check(glia_graph *graph, const char *who, const char *group);

/* The step's number from 1, from the state "GROUP/step" (i64), which the group counts. */
glia_tensor glia_optimizer_steps(glia_graph *graph, const char *group);
/* Is there a state "GROUP/ema/NAME" of the parameter? */
bool glia_optimizer_averages(const glia_graph *graph, const char *group, glia_tensor parameter);
/* The state "GROUP/ema/NAME" follows what the parameter becomes, from `before` to `after` in step number `steps`. */
void glia_rule_average(const glia_rule_scope *scope, const char *name, glia_tensor before, glia_tensor after,
                       glia_tensor steps, double decay, bool warmup);

/* Where the parameter's name matches opt->sparse: *gradient becomes a row for each index, the sum of all of this
 * index, *rows the indices, *share 1 / how often each comes. Else the last two become NULL. false: a mistake is in the
 * graph. */
bool glia_gradient_rows(const glia_optimizer *opt, const char *who, glia_tensor leaf, glia_tensor *gradient,
                        glia_tensor *share, glia_tensor *rows);
/* Makes the gradients means over the runs of GROUP.hold since the last of GROUP, and this one. weight: how much this
 * one counts; NULL: as much as the others. */
void glia_gradients_accumulate(glia_graph *graph, const char *group, glia_tensor weight, const glia_tensor *ws, int n,
                               glia_tensor *grads);
/* By value, then by their common norm, as the optimiser asks for. shares: of glia_gradient_rows(). */
void glia_gradients_clip(const glia_optimizer *opt, glia_tensor *grads, const glia_tensor *shares, int n);

#endif
