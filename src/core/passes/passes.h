/* passes.h - the compiler passes, from the user's graph to launches and addresses.
 *
 *   lower     sizes fixed, composites without a kernel expanded, modes resolved     graph -> graph
 *   absorb    frozen: scales and shifts after a product merged into weights and bias     graph -> graph
 *   precision products marked to round their operands to bf16                            graph -> graph
 *   sink      relu and sums moved to the far side of max pooling                         graph -> graph
 *   layout    images converted to channels-last layout, if the backend prefers it        graph -> graph
 *   fold      constants computed, identities removed                                     graph -> graph
 *   cse       equal computations merged                                                  graph -> graph
 *   rematerialize  large values recomputed for late readers instead of kept             graph -> graph
 *   fuse      nodes gathered into groups, one launch each                                graph -> schedule
 *   bodies    loop bodies compiled like programs, from sink on                           schedule -> schedule
 *   recompute values that are cheaper to compute again than to store                     schedule -> schedule
 *   schedule  groups put in order; updates as soon as the old value is unused            schedule -> schedule
 *   plan      an offset for each value, from its lifetime                                schedule -> plan
 *
 * Every rewriting pass removes unused nodes. A pass returns a new graph, or NULL and the error; the old graph is
 * untouched.
 */
#ifndef GLIA_SRC_CORE_PASSES_PASSES_H
#define GLIA_SRC_CORE_PASSES_PASSES_H

#include "core/launch/schedule.h"

/* statistics: which running statistics are updated, as in glia_compile_opts. */
glia_graph *glia_pass_lower(const glia_graph *graph, const glia_backend *backend, glia_mode mode,
                            const glia_sizes *sizes, const char *statistics, glia_error *error);
/* changing: as in glia_compile_opts. */
glia_graph *glia_pass_absorb(const glia_graph *graph, const char *changing, glia_error *error);
glia_graph *glia_pass_precision(const glia_graph *graph, glia_precision precision, glia_error *error);
glia_graph *glia_pass_sink(const glia_graph *graph, glia_error *error);
glia_graph *glia_pass_layout(const glia_graph *graph, const glia_backend *backend, glia_error *error);
glia_graph *glia_pass_fold(const glia_graph *graph, glia_error *error);
glia_graph *glia_pass_cse(const glia_graph *graph, glia_error *error);
/* Recomputes large elementwise values for readers long after the others, if that keeps no other value alive. */
glia_graph *glia_pass_rematerialize(const glia_graph *graph, const glia_backend *backend, glia_error *error);

/* ---- running statistics (statistics.c) ----------------------------------------------------------- */

/* moves[id] = whether a training program for this graph's outputs and updates runs a forward pass of the node that
 * updates running statistics whose names match the glob (NULL: all). GLIA_E_ARGUMENT: nothing in the graph matches, or
 * an update assigns one of them too. */
glia_status glia_statistics_find(const glia_graph *graph, const char *pattern, bool *moves, glia_error *error);
/* Adds to `to` the updates of the matching statistics by the forward pass of `node` on these inputs. before[i] becomes
 * in[i], or of a statistic the value that earlier passes have left. */
enum { GLIA_STATISTICS_INPUTS = 8 }; /* most inputs of an op with `moves` */
void glia_statistics_move(glia_graph *to, const glia_node *node, const glia_tensor *in, const char *pattern,
                          glia_tensor before[GLIA_STATISTICS_INPUTS]);

/* ---- fixed values -------------------------------------------------------------------------------- */

/* fixed[id] = whether the value is the same in every run of a frozen program: it depends on constants, and on
 * parameters and states that no update changes and whose names do not match the glob `changing` (NULL: none), alone. */
void glia_find_fixed(const glia_graph *graph, const char *changing, bool *fixed);

/* Outputs and new values that alias a leaf are replaced by copies. */
void glia_detach_leaves(glia_graph *graph);

/* ---- groups ---------------------------------------------------------------------------------- */

/* True if the backend can compute the node element by element inside a group. */
static inline bool glia_is_fusable(const glia_backend *backend, const glia_node *n) {
    const glia_backend_kind *k = backend->kind;
    return (n->op->flags & GLIA_OP_ELEMENTWISE) && k->fusable && k->fusable(backend, n);
}

/* Partitions the graph into groups that the backend supports. */
typedef struct glia_fuse_opts {
    bool no_fusion; /* one node per group */
    bool frozen;    /* fixed and other values are in separate groups */
    const char *changing; /* as in glia_compile_opts */
} glia_fuse_opts;
glia_status glia_pass_fuse(const glia_graph *graph, const glia_backend *backend, glia_fuse_opts opts,
                           glia_schedule *schedule, glia_error *error);
/* The cost per element of an elementwise operation or a broadcast in place, as an equivalent in bytes of memory
 * traffic. */
int glia_price_of(const glia_node *n);
/* Recomputes values in the groups that read them, where that is cheaper than storing them. */
glia_status glia_pass_recompute(glia_schedule *schedule, const glia_backend *backend, glia_error *error);
/* Orders the groups, those that run once first, and decides which updates are made in place. */
glia_status glia_pass_schedule(glia_schedule *schedule, const glia_backend *backend, glia_error *error);
/* Compiles the bodies of groups that have one (glia_inner). */
glia_status glia_pass_bodies(glia_schedule *schedule, const glia_backend *backend, glia_fuse_opts opts,
                             glia_error *error);
void glia_schedule_free(glia_schedule *schedule);

/* ---- memory ---------------------------------------------------------------------------------- */

glia_status glia_pass_plan(const glia_schedule *schedule, const glia_backend *backend, glia_plan *plan,
                           glia_error *error);
void glia_plan_free(glia_plan *plan);

#endif
