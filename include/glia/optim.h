/* optim.h - optimisers and learning rate schedules. */
#ifndef GLIA_OPTIM_H
#define GLIA_OPTIM_H

#include "glia/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum glia_optimizer_kind {
    GLIA_SGD,      /* momentum, nesterov (Sutskever et al. 2013); velocity = momentum velocity + gradient */
    GLIA_ADAM,     /* Kingma and Ba 2015; weight decay, if any, is added to the gradient (L2) */
    GLIA_ADAMW,    /* Loshchilov and Hutter 2019: decoupled weight decay */
    GLIA_ADAGRAD,  /* Duchi et al. 2011 */
    GLIA_RMSPROP,  /* Tieleman and Hinton 2012; momentum optional */
    GLIA_ADADELTA, /* Zeiler 2012 */
    GLIA_ADAMAX,   /* Kingma and Ba 2015: Adam with the largest gradient */
    GLIA_NADAM,    /* Dozat 2016: Adam with Nesterov's momentum */
    GLIA_RADAM,    /* Liu et al. 2020: Adam with rectified first steps */
    GLIA_LION,     /* Chen et al. 2023: signs; decoupled weight decay */
    GLIA_LAMB,     /* You et al. 2020: Adam, each parameter's step scaled to its norm; for large batches */
    GLIA_MUON,     /* Jordan et al. 2024: orthogonalised momentum for kernels, AdamW for the rest; slow for wide
                      kernels */
    GLIA_OPTIMIZER_COUNT
} glia_optimizer_kind;

/* Exceptions for the parameters whose names match. 0: the optimiser's value; GLIA_ZERO: none. */
typedef struct glia_parameter_group {
    const char *pattern; /* glob, as for glia_freeze(); the first matching group applies */
    double lr_scale;     /* factor on the optimiser's learning rate; 0: 1; GLIA_ZERO: the parameter does not change */
    double weight_decay, l1, l2, max_norm;
} glia_parameter_group;

typedef struct glia_optimizer {
    glia_optimizer_kind kind;
    double lr;                 /* learning rate; 0: 0.01 for SGD, AdaGrad and RMSProp, 0.001 for Adam, AdamW, RAdam,
                                * LAMB and Muon, 0.002 for Adamax and NAdam, 1 for Adadelta, 0.0001 for Lion */
    double momentum;           /* SGD, RMSProp; Muon (0: 0.95) */
    bool nesterov;
    bool momentum_input;       /* SGD: the momentum is an input of the graph like the learning rate, "momentum", so that
                                * it may change from step to step; initially `momentum` */
    double beta1, beta2;       /* Adam and variants, Lion, LAMB; 0: 0.9, 0.999 (Lion: 0.99); GLIA_ZERO: no averaging */
    bool amsgrad;              /* Adam, AdamW: uses the largest mean square so far (Reddi et al. 2018) */
    double rho;                /* RMSProp, Adadelta; 0: 0.9 */
    double epsilon;            /* 0: 1e-8; AdaGrad 1e-10, Adadelta and LAMB 1e-6 */
    double weight_decay;       /* adds weight_decay w to the gradient, or is decoupled, by the kind; 0: none */
    double l1, l2;             /* adds l1 sign(w) + l2 w to the gradient, for every kind: the gradient of a penalty
                                * l1 |w| + l2/2 w^2 */
    double max_norm;           /* Srivastava et al. 2014: after a step each unit's incoming weights (w[i, ...] of a
                                * kernel of rank 2 or more) are scaled down to this norm; 0: never */
    const glia_parameter_group *groups; /* exceptions, n_groups of them: "no decay of biases" is
                                         * { .pattern = "*bias", .weight_decay = GLIA_ZERO }; read in the call only */
    int n_groups;
    double clip_norm;          /* the joint gradient of all parameters is scaled down to this norm; 0: never */
    double clip_value;         /* clips each element to [-v, v]; 0: never */
    int64_t accumulate;        /* one step uses the gradients of this many batches (see glia_minimize); 0: 1 */
    glia_tensor batch_weight;  /* with accumulate: the weight of a batch among them, a scalar, such as the number of
                                * labels that the loss is the mean over; NULL: all batches have equal weights */
    const char *sparse;        /* glob: for parameters whose names match, "words*", a step changes only the rows that
                                * the batch looked up, by glia_embedding() or glia_gather() along axis 0; other rows and
                                * their states stay unchanged (as in PyTorch's SparseAdam: moments and weights of a row
                                * decay only when it is used). Not with Muon, LAMB, ema or accumulate */
    double ema;                /* keeps averages of the parameters, average = ema average + (1 - ema) w after each step,
                                * in states "GROUP/ema/NAME"; e.g. 0.99; 0: none (Polyak and Juditsky 1992) */
    bool ema_warmup;           /* in step t averages decay by min(ema, (1 + t) / (10 + t)), so that they forget the
                                * initial weights soon (as TensorFlow's with num_updates); not without ema */
} glia_optimizer;

GLIA_API const char *glia_optimizer_name(glia_optimizer_kind kind); /* "sgd", "adam", ...; NULL: there is none */
/* The options with all zeros replaced by the kind's defaults. GLIA_ZERO stays: the result has the same meaning. */
GLIA_API glia_optimizer glia_optimizer_resolved(glia_optimizer optimizer);

/* Adds to the graph the gradients of `loss` in every trainable parameter that matches `pattern` (NULL: all) and the
 * updates of parameters and optimiser states ("GROUP/momentum/NAME", ...), as update group `group` (NULL: "train").
 *
 * The learning rate is an input of the graph, "lr", or "GROUP/lr" if the group is not "train", so that it may change
 * from step to step without compiling again; a session starts with optimizer.lr in it. So is "momentum", or
 * "GROUP/momentum", with momentum_input. Several optimisers in one graph have groups of their own, and share nothing:
 * a program with the updates "critic" moves the parameters, states and averages of that group alone.
 *
 * With accumulate > 1 there is a second update group, "GROUP.hold", that only adds its batch's gradients to the states
 * "GROUP/sum/NAME". Run accumulate - 1 times a program with the updates "GROUP.hold", then once one with "GROUP": it
 * takes the step for the mean gradient of all these batches, and clears the sums; with batch_weight
 * for the weighted mean, the gradient of one large batch. glia_fit weighs batches by their samples, or labels. */
GLIA_API void glia_minimize(glia_tensor loss, glia_optimizer optimizer, const char *pattern, const char *group);

/* The two halves of glia_minimize(), for gradients that are changed in between or come from elsewhere: clipped by a
 * rule of one's own, with noise, projected (Yu et al. 2020, "Gradient surgery"), estimated from samples (Williams
 * 1992; Spall 1992), or given as inputs of the graph. */

/* The trainable parameters that match `pattern` (NULL: all) and the gradients of `loss`, one real number, in them:
 * fills at most `capacity` of each array (either may be NULL), returns how many parameters match; 0: a mistake is in
 * the graph. */
GLIA_API int glia_gradients(glia_tensor loss, const char *pattern, glia_tensor *parameters, glia_tensor *gradients,
                            int capacity);
/* The updates of n parameters for gradients of their shapes (and any floating-point dtype), as update group `group`
 * (NULL: "train"): all that glia_minimize() does after it has the gradients, so accumulation, clipping, penalties and
 * decay act on the given ones. An optimiser's `sparse` needs gradients as glia_gradients() gives them. Mistakes: a
 * tensor that is no parameter of the graph, a frozen one, one that the group changes already, a gradient of another
 * shape. Returns n; 0: nothing is updated, because n is below 1, or of a mistake, which is in the graph if a tensor has
 * one. */
GLIA_API int glia_apply_gradients(glia_optimizer optimizer, const glia_tensor *parameters,
                                   const glia_tensor *gradients, int n, const char *group);

typedef struct glia_moving_average_opts {
    double decay; /* 0: 0.999; GLIA_ZERO: a copy */
    bool warmup;  /* the decay of step t = 1, 2, ... is min(decay, (1 + t) / (10 + t)) */
} glia_moving_average_opts;
/* Moving averages of the trainable parameters that match `pattern` (NULL: all), as glia_optimizer.ema keeps them of an
 * optimiser's, in states "GROUP/ema/NAME" (f64 for f64 parameters, else f32; zeros before the first run). They belong
 * to the update group `group` (NULL: "train"): of parameters that this group changes, by an optimiser or glia_update()
 * before this call, the new values are averaged; of others, the values that a run finds, so that a group of its own
 * ("ema") averages whenever a program of it is run. Fills at most `capacity` of each array (either may be NULL) with
 * the parameters and their averages as a run finds them, the parameter itself before the first: what glia_substitute()
 * takes for a net with averaged weights. Returns how many are averaged; 0: a mistake is in the graph, or it is NULL. */
GLIA_API int glia_moving_average(glia_graph *graph, const char *pattern, glia_moving_average_opts opts,
                                 const char *group, glia_tensor *parameters, glia_tensor *averages, int capacity);

/* A learning rate schedule: factors on the optimiser's rate `lr` at step s = 0, 1, ..., T - 1. For the first `warmup`
 * steps it rises linearly: lr (s + 1) / warmup. Open-ended schedules (step, multistep, exponential, inverse sqrt) count
 * s from the beginning of training. Schedules that span the remaining time, or are periodic, begin after the warm-up: t
 * = s - warmup, and end after T - warmup steps. Lengths are steps, or epochs with `in_epochs`, and may be fractions. */
typedef enum glia_lr_schedule_kind {
    GLIA_LR_CONSTANT,
    GLIA_LR_LINEAR,       /* linearly to `low` */
    GLIA_LR_POLYNOMIAL,   /* low + (lr - low) (1 - t/T)^power */
    GLIA_LR_COSINE,       /* low + (lr - low) (1 + cos(pi t/T)) / 2; with a `period`, restarts (Loshchilov and Hutter
                           * 2017): after period, period growth, period growth^2, ... */
    GLIA_LR_STEP,         /* lr gamma^floor(s / period) */
    GLIA_LR_MULTISTEP,    /* lr gamma^(number of milestones <= s) */
    GLIA_LR_EXPONENTIAL,  /* lr gamma^(s / period) */
    GLIA_LR_INVERSE_SQRT, /* lr sqrt(w / max(s + 1, w)), w = max(warmup, 1) (Vaswani et al. 2017) */
    GLIA_LR_TRIANGULAR,   /* Smith 2017: linearly from `low` up to lr and back, every `period` */
    GLIA_LR_TRIANGULAR2,  /* the same, lr - low halved after each cycle */
    GLIA_LR_EXP_RANGE,    /* the same, lr - low times gamma^t */
    GLIA_LR_ONE_CYCLE,    /* Smith and Topin 2018: from lr / divide up to lr in the fraction `rise` of the time, then
                           * down to lr / (divide divide_end), along half cosines */
    GLIA_LR_SCHEDULE_COUNT
} glia_lr_schedule_kind;

enum { GLIA_MILESTONES = 16 };

typedef struct glia_lr_schedule {
    glia_lr_schedule_kind kind;
    double low;    /* the lowest rate; 0 */
    double power;  /* 0: 1; GLIA_ZERO: the rate stays constant */
    double gamma;  /* step, multistep 0: 0.1; exponential, exp-range: required, per period, per step */
    double period; /* step, exponential 0: 1; cyclical ones: required (twice Smith's stepsize); cosine 0: no restarts */
    double growth; /* of cosine's period at each restart; 0: 1 */
    double milestones[GLIA_MILESTONES]; /* increasing; 0 ends the list */
    double rise, divide, divide_end;    /* one-cycle; 0: 0.3, 25, 10,000 */
    double momentum_low; /* one-cycle and cyclical ones: SGD's momentum falls to this as the rate rises, and back (Smith
                          * 2018, "A disciplined approach", section 4.3); e.g. 0.85; 0: constant; GLIA_ZERO: to 0 */
    double warmup;                      /* 0: none; the start of other lengths is described above */
    bool in_epochs;                     /* warmup, period and milestones are epochs */
} glia_lr_schedule;

/* The rate at step `step` of `total`, with `epoch_steps` steps per epoch. */
GLIA_API double glia_lr_schedule_rate(const glia_lr_schedule *schedule, double lr, int64_t step, int64_t total,
                                   int64_t epoch_steps);
/* SGD's momentum at that step, if it is `momentum` when the rate is lowest. */
GLIA_API double glia_lr_schedule_momentum(const glia_lr_schedule *schedule, double momentum, int64_t step,
                                          int64_t total, int64_t epoch_steps);
/* As text, and back: "cosine(low=1e-5, warmup=500)", "step(period=30, gamma=0.1, in-epochs)",
 * "multistep(milestones=100:150, in-epochs)". A 0 in text is 0. */
GLIA_API glia_status glia_lr_schedule_parse(const char *text, glia_lr_schedule *schedule, glia_error *error);
GLIA_API void glia_lr_schedule_print(const glia_lr_schedule *schedule, char *out, size_t capacity);
GLIA_API const char *glia_lr_schedule_name(glia_lr_schedule_kind kind); /* "constant", "cosine", "exp-range", ... */
/* GLIA_OK, or an error that names the number out of range. */
GLIA_API glia_status glia_lr_schedule_check(const glia_lr_schedule *schedule, glia_error *error);

#ifdef __cplusplus
}
#endif

#endif
