/* crowd.h - many nets of any shapes in many episodes, side by side. */
#ifndef GLIA_SRC_FAMILIES_EVOLUTION_CROWD_H
#define GLIA_SRC_FAMILIES_EVOLUTION_CROWD_H

#include "backend/cpu/kernels/kernels.h"
#include "families/evolution/policy.h"

/* Each of n nets plays `episodes` episodes, the k-th of net i from the seed `seed` + i `apart` + k. */
typedef struct glia_crowd {
    const glia_stage *stage;
    const glia_cpu_kernels *kernels; /* of this machine */
    int64_t n, episodes;
    uint64_t seed, apart;
    /* The genome of net i, allocated in the arena or elsewhere. Called by several threads at once. */
    glia_status (*genome)(const void *context, int64_t i, glia_arena *arena, glia_genome *out, glia_error *error);
    const void *context;
    const int32_t *names; /* (n) numbers by which errors call the genomes; NULL: 0, 1 ... */
} glia_crowd;

/* returns (n, episodes): the same bits as each net alone by glia_net_run(), at any number of threads. */
glia_status glia_crowd_play(const glia_crowd *crowd, double *returns, glia_pool *pool, glia_error *error);
/* means (n) instead */
glia_status glia_crowd_means(const glia_crowd *crowd, double *means, glia_pool *pool, glia_error *error);

#endif
