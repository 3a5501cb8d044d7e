/* lndp.h - inside lifelong developmental programs: nets that live side by side, and their lives in environments. */
#ifndef GLIA_SRC_FAMILIES_EVOLUTION_LNDP_H
#define GLIA_SRC_FAMILIES_EVOLUTION_LNDP_H

#include "backend/cpu/kernels/kernels.h"
#include "base/base.h"
#include "families/evolution/policy.h"
#include "glia/evolution.h"

/* Net k is lane k % lanes of group k / lanes; each group has its own memory. */
typedef struct glia_lndp_group {
    glia_lndp_nets nets;
    float *genome;             /* nets.genome */
    float *spontaneous, *seen; /* (inputs, lanes) */
    float *changes, *rewards;  /* (lanes) */
} glia_lndp_group;

/* What a net does in a step. */
typedef enum glia_lndp_phase { GLIA_LNDP_RESTS, GLIA_LNDP_DEVELOPS, GLIA_LNDP_ACTS } glia_lndp_phase;

struct glia_lndp {
    glia_lndp_opts opts; /* with all defaults */
    const glia_cpu_kernels *kernels;
    int lanes, groups, width, numbers;
    glia_lndp_group *group;
    float *memory;
    int (*ends)[2], *place; /* see glia_lndp_nets */
    glia_rng *rng;          /* of each life */
    glia_lndp_phase *phases;
};

/* How many nets side by side cost as much as one on this CPU. */
glia_status glia_lndp_lanes(int *lanes, glia_error *error);
/* Net `which` gets this genome; its life goes on until glia_lndp_begin(). */
glia_status glia_lndp_inherit(glia_lndp *net, int which, const double *genome, glia_error *error);
/* One step of all nets; rewards, x and y are read and written as by glia_lndp_act(), where nets act. */
void glia_lndp_step(glia_lndp *net, const glia_lndp_phase *phases, const double *rewards, const double *x, double *y);
/* Is there an edge from node i to node k, and its weight. */
bool glia_lndp_edge(const glia_lndp *net, int which, int i, int k, double *weight);

/* Lives to be lived: of each genome `episodes` episodes of the seeds `seed`, `seed` + 1 ...; after each o->life of them
 * a new life begins, by the seed of its first episode, to which genome i adds i `apart`. */
typedef struct glia_lndp_lives {
    const glia_stage *stage;
    const glia_encoding_opts *o;
    const double *genomes; /* (count, numbers) */
    int64_t count;
    uint64_t seed, apart;
    int64_t episodes;
    int threads;
    double *returns;   /* (count, episodes) */
    double *densities; /* (count, lives) at the end of each; NULL: not wanted */
    /* Called in each life after its development (episode 0) and its episodes (1, 2 ...), by several threads at once
     * unless `threads` is 1. NULL: nobody watches. */
    void (*watch)(void *watcher, const glia_lndp *nets, int which, int64_t episode, double reached);
    void *watcher;
} glia_lndp_lives;
int64_t glia_lndp_count_lives(const glia_lndp_lives *lives); /* of a genome */
glia_status glia_lndp_live(const glia_lndp_lives *lives, glia_error *error);

#endif
