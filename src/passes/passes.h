/* passes.h - from a graph as it was written to launches and addresses.
 *
 *   lower     batch size fixed, composites without a kernel expanded, modes resolved     graph -> graph
 *   absorb    frozen: scales and shifts after a product become its weights and bias      graph -> graph
 *   precision products marked that round their operands to bf16                          graph -> graph
 *   sink      relu and sums moved to the far side of max pooling                         graph -> graph
 *   layout    images with their channels last, if the backend wants them so              graph -> graph
 *   fold      constants computed, identities removed                                     graph -> graph
 *   cse       equal computations merged                                                  graph -> graph
 *   fuse      nodes gathered into groups, one launch each                                graph -> schedule
 *   recompute values that are cheaper to compute again than to store                     schedule -> schedule
 *   schedule  groups put in order; updates as soon as nobody needs the old value         schedule -> schedule
 *   plan      an offset for each value, from its lifetime                                schedule -> plan
 *
 * Nodes that nothing needs disappear in every rewriting. A pass returns a new graph, or NULL and the error; the old graph
 * is untouched.
 */
#ifndef GLIA_PASSES_H
#define GLIA_PASSES_H

#include "backend/backend.h"

glia_graph *glia_pass_lower(const glia_graph *graph, const glia_backend *backend, glia_mode mode, int64_t batch,
                            glia_error *error);
glia_graph *glia_pass_absorb(const glia_graph *graph, glia_error *error);
glia_graph *glia_pass_precision(const glia_graph *graph, glia_precision precision, glia_error *error);
glia_graph *glia_pass_sink(const glia_graph *graph, glia_error *error);
glia_graph *glia_pass_layout(const glia_graph *graph, const glia_backend *backend, glia_error *error);
glia_graph *glia_pass_fold(const glia_graph *graph, glia_error *error);
glia_graph *glia_pass_cse(const glia_graph *graph, glia_error *error);

/* ---- what never changes -------------------------------------------------------------------------- */

/* The state "rng", in which a session counts its runs. */
bool glia_is_random_state(const glia_node *node);
/* fixed[id] = whether the value is the same in every run of a frozen program: it follows from parameters, states and
 * constants alone. */
void glia_find_fixed(const glia_graph *graph, bool *fixed);

/* ---- groups ---------------------------------------------------------------------------------- */

typedef struct glia_schedule {
    const glia_graph *graph;
    glia_group *groups; /* in the order in which they run, once scheduled */
    int n_groups;
    int *group_of;      /* by node id: the group that computes it; -1: leaves, aliases, views, broadcasts and constants in place */
    glia_node **root;   /* by node id: the node whose bytes these are, through aliases and views */
    size_t *behind;     /* by node id: so many bytes behind the root's first one */
    bool *in_place;     /* by index in graph->updates: the new value may be written over the leaf */
    bool *fixed;        /* by node id: glia_find_fixed()'s answer if the program is frozen, else false */
    int n_once;         /* the first groups compute fixed values: a session runs them once */
    glia_arena arena;
} glia_schedule;

/* Cuts the graph into groups as the backend allows. */
typedef struct glia_fuse_opts {
    bool no_fusion; /* one node each */
    bool frozen;    /* fixed values have groups of their own */
} glia_fuse_opts;
glia_status glia_pass_fuse(const glia_graph *graph, const glia_backend *backend, glia_fuse_opts opts,
                           glia_schedule *schedule, glia_error *error);
/* Lets groups compute what others would have to store for them, where that is cheaper. */
glia_status glia_pass_recompute(glia_schedule *schedule, const glia_backend *backend, glia_error *error);
/* Orders the groups, those that run once first, and decides which updates are made in place. */
glia_status glia_pass_schedule(glia_schedule *schedule, const glia_backend *backend, glia_error *error);
void glia_schedule_free(glia_schedule *schedule);

/* ---- memory ---------------------------------------------------------------------------------- */

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
    size_t activation_bytes; /* inputs, intermediate values, scratch, and what launches keep */
    size_t scratch_offset;   /* in the activations */
    size_t *kept_offset;     /* there too, by group: what its launch keeps; behind all else */
    size_t constant_bytes;
    size_t unplanned_bytes;  /* the activations, had each value a place of its own */
} glia_plan;

glia_status glia_pass_plan(const glia_schedule *schedule, const glia_backend *backend, glia_plan *plan, glia_error *error);
void glia_plan_free(glia_plan *plan);

#endif
