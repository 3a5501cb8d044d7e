/* neat.h - the state of NEAT, shared by reproduction, the run and saving. */
#ifndef GLIA_SRC_FAMILIES_EVOLUTION_NEAT_H
#define GLIA_SRC_FAMILIES_EVOLUTION_NEAT_H

#include "backend/cpu/kernels/kernels.h"
#include "families/evolution/genome.h"

enum { GLIA_NEAT_ARRAYS = 8 };

typedef struct glia_neat_kin { /* a species */
    int32_t id;
    glia_genome representative;
    double best;            /* fitness of its best member ever */
    int64_t born, improved; /* generations */
    int size;               /* members in the present generation */
    int children;           /* in the next */
    double share;           /* its mean fitness above the worst of all */
} glia_neat_kin;

/* A structural change of this generation: the same change has the same numbers in all genomes. */
typedef struct glia_neat_change {
    int32_t from, to;
    bool splits;              /* a node between, else a link */
    int32_t node, innovation; /* of the node; of the link, or of the first of two */
} glia_neat_change;

struct glia_neat {
    glia_neat_opts opts; /* defaults filled in */
    glia_arena memory;   /* of genomes and representatives */
    glia_genome *genomes;
    glia_neat_kin *species;
    int n_species, species_capacity;
    glia_neat_change *changes;
    int n_changes, changes_capacity;
    int32_t next_node, next_innovation, next_species;
    int64_t generation, improved; /* improved: when the champion was found */
    double best, mean, threshold;
    glia_arena champion_memory;
    glia_genome champion;
    bool has_champion;
    const glia_cpu_kernels *kernels;
    void *saved; /* what the arrays of a save point into */
};

/* glia_neat_tell() with a champion that is chosen by other numbers than those which evolve: scores (population),
 * -infinity for those that may not be it. */
glia_status glia_neat_tell_scored(glia_neat *neat, const double *fitness, const double *scores, glia_error *error);
/* The first generation. */
glia_status glia_neat_begin(glia_neat *neat, glia_error *error);
/* Genomes, species and champion of a state; takes over what `from` holds and leaves it empty. */
void glia_neat_take(glia_neat *neat, glia_neat *from);
void glia_neat_clear(glia_neat *neat);

/* ---- mutations.c: children; false: out of memory --------------------------------------------------- */

bool glia_neat_mate(const glia_genome *a, const glia_genome *b, glia_arena *arena, glia_rng *rng, glia_genome *child);
bool glia_neat_mutate(glia_neat *neat, glia_arena *arena, glia_rng *rng, glia_genome *child);
double glia_neat_distance(const glia_neat *neat, const glia_genome *a, const glia_genome *b);
/* A weight of a new link. */
double glia_neat_weight(const glia_neat *neat, glia_rng *rng);

#endif
