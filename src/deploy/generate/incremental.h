/* incremental.h - rewrites a causal model's graph so that it computes new tokens only. */
#ifndef GLIA_SRC_DEPLOY_GENERATE_INCREMENTAL_H
#define GLIA_SRC_DEPLOY_GENERATE_INCREMENTAL_H

#include "core/graph/graph.h"

typedef struct glia_incremental_opts {
    int64_t sequences; /* N */
    int64_t steps;     /* new tokens per run */
} glia_incremental_opts;

/* `model` computes output 0, (N, T, ...), from its first input, (N, T, ...), T tokens at a time; the output at step t
 * must not depend on later steps. The new graph has the inputs "tokens" (N, steps, ...) and "position", an i32: the
 * number of earlier tokens; output 0 for the new tokens; and states "generate/..." that keep what later tokens need
 * from earlier ones, updated by the group "generate". All graphs of one model and N share these states. NULL and error:
 * GLIA_E_UNSUPPORTED names an operation that mixes steps in an unsupported way. */
glia_graph *glia_incremental(const glia_graph *model, const glia_node *input, const glia_node *output,
                             glia_incremental_opts opts, glia_error *error);

#endif
