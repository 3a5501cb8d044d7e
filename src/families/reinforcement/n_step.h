/* n_step.h - the last steps of each copy of an environment, until the returns of n steps are known.
 *
 * A transition of a replay is (observation, action, return, discount, next observation): the return of up to n steps
 * and what the value of the next observation is worth, gamma^m, or 0 after a termination.
 */
#ifndef GLIA_SRC_FAMILIES_REINFORCEMENT_N_STEP_H
#define GLIA_SRC_FAMILIES_REINFORCEMENT_N_STEP_H

#include "base/base.h"
#include "glia/environments.h"
#include "glia/replay.h"

typedef struct glia_n_step {
    int64_t n, copies;
    double gamma;
    glia_space observation, action;
    size_t observation_bytes, action_bytes;
    uint8_t *observations, *actions; /* (copies, n) */
    double *rewards;                 /* (copies, n) */
    int64_t *counts;                 /* (copies) steps that wait, the oldest first */
} glia_n_step;

glia_status glia_n_step_init(glia_n_step *s, const glia_env *env, int64_t n, double gamma, glia_error *error);
void glia_n_step_free(glia_n_step *s);
/* A replay for such transitions, with fields "observation", "action", "return", "discount", "next". */
glia_replay *glia_n_step_replay(const glia_n_step *s, glia_replay_opts opts, glia_error *error);
/* One step of a copy: adds the transitions that are now complete to the replay. `next` is the observation after it. */
glia_status glia_n_step_add(glia_n_step *s, int64_t copy, const void *observation, const void *action, double reward,
                            const void *next, bool terminated, bool truncated, glia_replay *replay, glia_error *error);
/* A step of all copies: observations before it, actions, its result. Copies that only began an episode add nothing. */
glia_status glia_n_step_take(glia_n_step *s, const void *observations, const void *actions, const glia_env_result *now,
                             glia_replay *replay, glia_error *error);
/* For checkpoints: fills 4 arrays, of the handle's own memory. */
enum { GLIA_N_STEP_ARRAYS = 4 };
/* Whether such arrays of a checkpoint have possible counts. */
glia_status glia_n_step_check(const glia_n_step *s, const glia_array *arrays, int n, glia_error *error);
void glia_n_step_arrays(const glia_n_step *s, glia_array out[GLIA_N_STEP_ARRAYS]);

#endif
