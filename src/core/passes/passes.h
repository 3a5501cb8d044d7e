/* passes.h - from a graph as it was written to launches and addresses.
 *
 *   lower     batch size fixed, composites without a kernel expanded, modes resolved     graph -> graph
 *   absorb    frozen: scales and shifts after a product become its weights and bias      graph -> graph
 *   precision products marked that round their operands to bf16                          graph -> graph
 *   sink      relu and sums moved to the far side of max pooling                         graph -> graph
 *   layout    images with their channels last, if the backend wants them so              graph -> graph
 *   fold      constants computed, identities removed                                     graph -> graph
 *   cse       equal computations merged                                                  graph -> graph
 *   rematerialize  large values made again for late readers instead of kept             graph -> graph
 *   fuse      nodes gathered into groups, one launch each                                graph -> schedule
 *   bodies    what a loop does in each step compiled like a program, from sink on        schedule -> schedule
 *   recompute values that are cheaper to compute again than to store                     schedule -> schedule
 *   schedule  groups put in order; updates as soon as nobody needs the old value         schedule -> schedule
 *   plan      an offset for each value, from its lifetime                                schedule -> plan
 *
 * Nodes that nothing needs disappear in every rewriting. A pass returns a new graph, or NULL and the error; the old graph
 * is untouched.
 */
#ifndef GLIA_SRC_CORE_PASSES_PASSES_H
#define GLIA_SRC_CORE_PASSES_PASSES_H

#include "core/launch/schedule.h"

/* statistics: which running statistics move, as in glia_compile_opts. */
glia_graph *glia_pass_lower(const glia_graph *graph, const glia_backend *backend, glia_mode mode, int64_t batch,
                            const char *statistics, glia_error *error);
glia_graph *glia_pass_absorb(const glia_graph *graph, glia_error *error);
glia_graph *glia_pass_precision(const glia_graph *graph, glia_precision precision, glia_error *error);
glia_graph *glia_pass_sink(const glia_graph *graph, glia_error *error);
glia_graph *glia_pass_layout(const glia_graph *graph, const glia_backend *backend, glia_error *error);
glia_graph *glia_pass_fold(const glia_graph *graph, glia_error *error);
glia_graph *glia_pass_cse(const glia_graph *graph, glia_error *error);
/* Makes large elementwise values a second time for readers long after the others, where that needs nothing else kept. */
glia_graph *glia_pass_rematerialize(const glia_graph *graph, const glia_backend *backend, glia_error *error);

/* ---- running statistics (statistics.c) ----------------------------------------------------------- */

/* moves[id] = whether a training program for this graph's outputs and updates makes a forward pass of the node that moves
 * running statistics whose names match the glob (NULL: all). GLIA_E_ARGUMENT: nothing in the graph matches, or an update
 * changes one of them too. */
glia_status glia_statistics_find(const glia_graph *graph, const char *pattern, bool *moves, glia_error *error);
/* The forward pass of `node` on these inputs in `to`: its statistics that match have a new value there after it. */
void glia_statistics_move(glia_graph *to, const glia_node *node, const glia_tensor *in, const char *pattern);

/* ---- what never changes -------------------------------------------------------------------------- */

/* fixed[id] = whether the value is the same in every run of a frozen program: it follows from parameters, states and
 * constants alone. */
void glia_find_fixed(const glia_graph *graph, bool *fixed);

/* Outputs and new values that only stand for a leaf's bytes become copies. */
void glia_detach_leaves(glia_graph *graph);

/* ---- groups ---------------------------------------------------------------------------------- */

/* Can the backend compute the node element by element inside a group? */
static inline bool glia_is_fusable(const glia_backend *backend, const glia_node *n) {
    const glia_backend_kind *k = backend->kind;
    return (n->op->flags & GLIA_OP_ELEMENTWISE) && k->fusable && k->fusable(backend, n);
}

/* Cuts the graph into groups as the backend allows. */
typedef struct glia_fuse_opts {
    bool no_fusion; /* one node each */
    bool frozen;    /* fixed values have groups of their own */
} glia_fuse_opts;
glia_status glia_pass_fuse(const glia_graph *graph, const glia_backend *backend, glia_fuse_opts opts,
                           glia_schedule *schedule, glia_error *error);
/* What an elementwise operation, or a broadcast in place, costs an element, in bytes through memory. */
int glia_price_of(const glia_node *n);
/* Lets groups compute what others would have to store for them, where that is cheaper. */
glia_status glia_pass_recompute(glia_schedule *schedule, const glia_backend *backend, glia_error *error);
/* Orders the groups, those that run once first, and decides which updates are made in place. */
glia_status glia_pass_schedule(glia_schedule *schedule, const glia_backend *backend, glia_error *error);
/* Compiles the bodies of groups that have one (glia_inner). */
glia_status glia_pass_bodies(glia_schedule *schedule, const glia_backend *backend, glia_fuse_opts opts,
                             glia_error *error);
void glia_schedule_free(glia_schedule *schedule);

/* ---- memory ---------------------------------------------------------------------------------- */

glia_status glia_pass_plan(const glia_schedule *schedule, const glia_backend *backend, glia_plan *plan, glia_error *error);
void glia_plan_free(glia_plan *plan);

#endif
