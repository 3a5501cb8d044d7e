/* policy.h - nets that act: made of what evolves, played in environments, turned into models. */
#ifndef GLIA_SRC_FAMILIES_EVOLUTION_POLICY_H
#define GLIA_SRC_FAMILIES_EVOLUTION_POLICY_H

#include "data/environments/episodes.h"
#include "families/evolution/growth.h"
#include "glia/environments.h"

/* A net that acts for one episode after the other; one thread at a time. */
typedef struct glia_policy {
    void *net;
    void (*reset)(void *net, uint64_t seed);            /* before the episode of this seed; NULL: nothing to do */
    void (*act)(void *net, const double *x, double *y); /* numbers of an observation -> one number for each action */
    void (*reward)(void *net, double reward);           /* after an act; NULL: it does not matter */
    void (*free)(void *net);
    double lack; /* not 0: it cannot act, and this negative number is its return */
} glia_policy;
void glia_policy_free(glia_policy *policy);

/* Who acts where: sizes of what a policy reads and gives. */
typedef struct glia_stage {
    const glia_env *env;
    glia_space observation, action;
    int inputs, outputs;
} glia_stage;
/* GLIA_E_ARGUMENT: observations or actions that policies cannot have. */
glia_status glia_stage_set(glia_stage *stage, const glia_env *env, glia_error *error);
/* The action for y (outputs): in `choice` the largest y, or in `action` numbers from [-1, 1] scaled to the bounds.
 * Floats are compared, so that the model, which computes with floats, acts the same: there tanh of 10 and of 11 are
 * equal. */
const void *glia_stage_choose(const glia_stage *stage, const double *y, int32_t *choice, float *action);
/* Many episodes side by side, and the action of one of them; `action` (outputs) is scratch. */
glia_episodes *glia_stage_episodes(const glia_stage *stage, glia_error *error);
void glia_stage_act(const glia_stage *stage, const double *y, float *action, glia_episodes *episodes, int lane);
/* The returns of `episodes` episodes, the k-th from the seed `seed` + k. */
glia_status glia_stage_returns(const glia_stage *stage, const glia_policy *policy, uint64_t seed, int64_t episodes,
                               double *returns, glia_error *error);
/* Their mean. */
glia_status glia_stage_play(const glia_stage *stage, const glia_policy *policy, uint64_t seed, int64_t episodes,
                            double *mean, glia_error *error);

/* How numbers encode a policy, for black-box search. */
typedef struct glia_encoding_opts {
    int inputs, outputs;
    int layers, hidden; /* of a chain of dense layers with tanh */
    glia_ndp_opts ndp;
    glia_lndp_opts lndp;
    int64_t development, life; /* steps before the first episode; episodes of a life */
} glia_encoding_opts;
typedef struct glia_policy_code {
    int (*numbers)(const glia_encoding_opts *o);
    /* NULL: it lives, see lndp.h. */
    glia_status (*decode)(const double *numbers, const glia_encoding_opts *o, glia_policy *policy, glia_error *error);
    /* The same net as a genome, bit for bit, for many side by side (crowd.h). NULL: it has none. */
    glia_status (*genome)(const double *numbers, const glia_encoding_opts *o, glia_arena *arena, glia_genome *out,
                          glia_error *error);
    glia_model *(*model)(const double *numbers, const glia_encoding_opts *o, glia_error *error);
    double start; /* the first mean is uniform in [-start, start] */
    /* What there is to see of it, as text and SVG, to be freed; plays on the stage if it must. NULL: nothing. */
    glia_status (*portray)(const double *numbers, const glia_encoding_opts *o, const glia_stage *stage, char **text,
                           char **svg, glia_error *error);
} glia_policy_code;
extern const glia_policy_code glia_code_dense, glia_code_ndp, glia_code_lndp;

/* Copies numbers into a parameter of the model; false: there is none of this name. */
bool glia_policy_put(glia_model *model, const char *layer, const char *part, const double *numbers);

#endif
