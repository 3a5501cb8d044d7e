/* schedule.h - a compiled graph: its groups in order, a place for every value, and the launches that run them.
 *
 * What the passes make of a graph (passes.h) and a session runs; and what they make of a loop's body, which the loop's
 * launch runs for each step.
 */
#ifndef GLIA_SRC_CORE_LAUNCH_SCHEDULE_H
#define GLIA_SRC_CORE_LAUNCH_SCHEDULE_H

#include "core/launch/backend.h"

typedef struct glia_schedule {
    const glia_graph *graph;
    glia_group *groups; /* in the order in which they run, once scheduled */
    int n_groups;
    int *group_of;      /* by node id: the group that computes it; -1: leaves, views, constants, broadcasts in place */
    glia_node **root;   /* by node id: the node whose bytes these are, through aliases and views */
    size_t *behind;     /* by node id: so many bytes behind the root's first one */
    bool *in_place;     /* by index in graph->updates: the new value may be written over the leaf */
    bool *fixed;        /* by node id: glia_find_fixed()'s answer if the program is frozen, else false */
    int n_once;         /* the first groups compute fixed values: a session runs them once */
    glia_inner *inners; /* of groups with a body */
    glia_arena arena;
} glia_schedule;

typedef enum glia_place_kind {
    GLIA_PLACE_NONE,       /* not materialised */
    GLIA_PLACE_ACTIVATION, /* offset into the session's activations */
    GLIA_PLACE_CONSTANT,   /* offset into the program's constants */
    GLIA_PLACE_LEAF        /* offset into the store's tensor with the name of `leaf` */
} glia_place_kind;

typedef struct glia_place {
    glia_place_kind kind;
    size_t offset;
    const glia_node *leaf;
} glia_place;

typedef struct glia_plan {
    glia_place *place;       /* by node id */
    size_t activation_bytes; /* inputs, intermediate values, scratch, and from fixed_offset on what is fixed */
    size_t scratch_offset;   /* in the activations */
    size_t fixed_offset;     /* there too: fixed values that runs read, then what launches keep; nothing else is behind */
    size_t *kept_offset;     /* there too, by group: what its launch keeps */
    size_t constant_bytes;
    size_t unplanned_bytes; /* the activations, had each value a place of its own */
} glia_plan;

/* A loop's body, compiled. Its sequences, states and random state are inputs, what it captures are states, and their
 * names are the numbers of the loop's inputs; so all that follows from what is captured is computed once, and weights
 * are packed once, each time that the loop runs. */
struct glia_inner {
    glia_inner *next;
    glia_graph *graph;
    glia_schedule schedule;
    glia_plan plan;
};

/* The launches of a schedule's groups, some of them merged. */
typedef struct glia_launches {
    glia_launch **list;
    int n;
    int n_once; /* the first ones compute what is fixed */
    int *after; /* by launch: its setup follows this one of those; -1: none of them */
} glia_launches;

/* address: by node id; memory: the first plan->fixed_offset bytes of the activations; fixed: the others. All is allocated
 * in the arena. */
glia_status glia_launches_prepare(glia_launches *launches, const glia_backend *backend, const glia_schedule *schedule,
                                  const glia_plan *plan, void *const *address, char *memory, char *fixed,
                                  glia_arena *arena, glia_error *error);
/* Computes what is fixed, and packs it. */
void glia_launches_refresh(const glia_launches *launches, glia_pool *pool);
/* The others, in their order. */
void glia_launches_run(const glia_launches *launches, glia_pool *pool);

/* Writes the constants that are read from memory, in their own dtype; memory: of plan->constant_bytes. */
void glia_constants_write(const glia_graph *graph, const glia_plan *plan, char *memory);

#endif
