/* episodes.h - many episodes: copies of an environment side by side, each in an episode of its own. When one ends, the
 * next may begin in its lane. An episode depends on its seed and its actions, not on its lane. */
#ifndef GLIA_SRC_DATA_ENVIRONMENTS_EPISODES_H
#define GLIA_SRC_DATA_ENVIRONMENTS_EPISODES_H

#include "data/environments/environments.h"

typedef struct glia_episodes {
    uint32_t playing, ended; /* lanes, as bits: whose episode goes on; whose ended in the last step */
    double *x;               /* (numbers, GLIA_ENV_LANES) what is seen; of a discrete space 1 at its value, else 0 */
    /* Where the actions are written: int32_t (GLIA_ENV_LANES) of a discrete space, else floats (numbers,
     * GLIA_ENV_LANES). */
    union glia_episodes_actions {
        int32_t *choices;
        float *numbers;
    } actions;
    double *rewards, *returns; /* (GLIA_ENV_LANES) of the last step; their sums so far */
    /* the file's own */
    const glia_env *like;
    int inputs, outputs;    /* numbers of an observation, of an action */
    float *one;             /* of one copy: an observation or an action */
    glia_env **envs;        /* (GLIA_ENV_LANES) if they do not move side by side */
    glia_env_lanes_fn move; /* if they do */
    glia_env_lanes lanes;
    double *state;                    /* (state) of one copy */
    int64_t limit, steps, due;        /* steps done; when a time limit is reached next */
    int64_t deadline[GLIA_ENV_LANES]; /* of each */
} glia_episodes;

/* NULL: see error. `env` must outlive it; inputs, outputs: numbers of an observation and of an action (1 if it is
 * discrete). */
glia_episodes *glia_episodes_create(const glia_env *env, int inputs, int outputs, glia_error *error);
void glia_episodes_free(glia_episodes *episodes);
/* The episode of a handle with one copy that is reset by this seed. */
glia_status glia_episodes_begin(glia_episodes *episodes, int lane, uint64_t seed, glia_error *error);
/* A step of all that play. Errors as of glia_env_step(); after one, nothing may go on. */
glia_status glia_episodes_step(glia_episodes *episodes, glia_error *error);

#endif
