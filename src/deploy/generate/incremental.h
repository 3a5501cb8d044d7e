/* incremental.h - rewrites a causal model's graph so that it computes new tokens only. */
#ifndef GLIA_SRC_DEPLOY_GENERATE_INCREMENTAL_H
#define GLIA_SRC_DEPLOY_GENERATE_INCREMENTAL_H

#include "core/graph/graph.h"

typedef struct glia_incremental_opts {
    int64_t sequences; /* N */
    int64_t steps;     /* new tokens in a run */
    bool last;         /* the output for the last of them only */
} glia_incremental_opts;

/* `model` computes output 0, (N, T, ...), of its first input, (N, T, ...), T tokens at a time; what stands at t must
 * not depend on what comes after t. The new graph has the inputs "tokens" (N, steps, ...) and "position", an i32: how
 * many tokens have come before; the output 0 for the new tokens; and states "generate/..." that keep what later tokens
 * need of earlier ones, with updates in the group "generate". All graphs of one model and N share these; those named
 * ".../keys" and ".../values" hold what was at each position, (N, T, ...). NULL and error:
 * GLIA_E_UNSUPPORTED names the operation that mixes times in another way than the ones that are known. */
glia_graph *glia_incremental(const glia_graph *model, const glia_node *input, const glia_node *output,
                             glia_incremental_opts opts, glia_error *error);

#endif
