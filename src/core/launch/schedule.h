/* schedule.h - a compiled graph: its groups in order, a place for every value, and the launches that run them.
 *
 * The passes (passes.h) produce it from a graph, for a session to run, or from a loop's body, which the loop's launch
 * runs in each step.
 */
#ifndef GLIA_SRC_CORE_LAUNCH_SCHEDULE_H
#define GLIA_SRC_CORE_LAUNCH_SCHEDULE_H

#include "core/launch/backend.h"

typedef struct glia_schedule {
    const glia_graph *graph;
    glia_group *groups; /* in execution order, once scheduled */
    int n_groups;
    int *group_of;      /* by node id: the group that computes it; -1: leaves, views, constants, broadcasts in place */
    glia_node **root;   /* by node id: the node that owns the memory, through aliases and views */
    size_t *behind;     /* by node id: offset in bytes from the root's start */
    bool *in_place;     /* by index in graph->updates: the new value may overwrite the leaf */
    bool *fixed;        /* by node id: the result of glia_find_fixed() if the program is frozen, else false */
    int n_once;         /* number of leading groups, which compute fixed values: a session runs them once */
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
    size_t activation_bytes; /* inputs, intermediate values, scratch, and fixed values from fixed_offset on */
    size_t scratch_offset;   /* in the activations */
    size_t fixed_offset;     /* there too: fixed values that runs read, then bytes kept by launches, to the end */
    size_t *kept_offset;     /* there too, by group: bytes kept by its launch */
    size_t constant_bytes;
    size_t unplanned_bytes; /* size of the activations without memory sharing */
} glia_plan;

/* A loop's body, compiled. Its sequences, states and random state are inputs, its captured values are states, and
 * their names are the indices of the loop's inputs. So values that depend only on captured values are computed once,
 * and weights are packed once, in each run of the loop. */
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
    int n_once; /* number of leading launches, which compute fixed values */
    int *after; /* by launch: its setup runs after this leading launch; -1: after none */
} glia_launches;

/* address: by node id; memory: the first plan->fixed_offset bytes of the activations; fixed: the rest. Allocates in
 * the arena. */
glia_status glia_launches_prepare(glia_launches *launches, const glia_backend *backend, const glia_schedule *schedule,
                                  const glia_plan *plan, void *const *address, char *memory, char *fixed,
                                  glia_arena *arena, glia_error *error);
/* Computes the fixed values and runs the setups that pack them. */
void glia_launches_refresh(const glia_launches *launches, glia_pool *pool);
/* Runs the other launches, in order. */
void glia_launches_run(const glia_launches *launches, glia_pool *pool);

/* Writes the constants that are read from memory, in their own dtype; memory: plan->constant_bytes long. */
void glia_constants_write(const glia_graph *graph, const glia_plan *plan, char *memory);

#endif
