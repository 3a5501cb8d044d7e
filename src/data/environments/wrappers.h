/* wrappers.h - what a handle does to observations and rewards: running statistics, clipping, stacked frames.
 *
 *     record ──raw──► normalise ──► clip ──► stack ──► observations          reward ──► scale ──► clip ──► rewards
 */
#ifndef GLIA_SRC_DATA_ENVIRONMENTS_WRAPPERS_H
#define GLIA_SRC_DATA_ENVIRONMENTS_WRAPPERS_H

#include "data/environments/environments.h"

typedef struct glia_wrappers {
    glia_env_wrappers asked;
    int64_t n, numbers; /* copies; numbers of one raw observation */
    size_t raw_bytes;   /* of one raw observation */
    bool frozen;        /* the statistics do not move */
    uint8_t *raw;       /* (n, raw observation); NULL: observations are raw */
    /* (2 numbers + 1 of observations, 3 of rewards, n): means, variances, count; mean, variance, count; discounted
     * returns of the copies */
    double *statistics;
} glia_wrappers;

const glia_wrappers *glia_env_wrappers_of(const glia_env *env);
bool glia_wrappers_are_on(const glia_env_wrappers *asked);
/* Checks, changes the space to the wrapped one, and allocates. */
glia_status glia_wrappers_init(glia_wrappers *w, const char *name, int64_t n, glia_space *observation,
                               glia_error *error);
void glia_wrappers_free(glia_wrappers *w);
int64_t glia_wrappers_statistics(const glia_wrappers *w); /* numbers of `statistics`; 0: none */
/* After a step or reset of all copies: raw observations and rewards become what is seen. */
void glia_wrappers_apply(glia_wrappers *w, void *observations, double *rewards, const bool *terminated,
                         const bool *started);

#endif
