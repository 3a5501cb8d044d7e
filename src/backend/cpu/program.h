/* program.h - from a group of nodes to a loop program (loop.h). */
#ifndef GLIA_CPU_PROGRAM_H
#define GLIA_CPU_PROGRAM_H

#include "backend/backend.h"
#include "backend/cpu/kernels.h"

/* True if the node, elementwise or a cast, can be a step: f32 and bool, casts from u8 and i32 too. */
bool glia_program_fusable(const glia_cpu_kernels *kernels, const glia_node *node);
/* True if the node is a reduction that a loop program can end with. */
bool glia_program_reduces(const glia_node *node);

/* Bytes of scratch that the group's program needs at most. */
size_t glia_program_scratch(const glia_group *group, int workers);

/* Fills `loop` for the group: elementwise nodes, broadcasts and scalar constants over group->space, reductions at the
 * end. An anchor is taken for an input. address is by node id. GLIA_E_NOMEM is the only failure. */
glia_status glia_program_build(const glia_cpu_kernels *kernels, const glia_group *group, void *const *address,
                               void *scratch, glia_arena *arena, glia_loop *loop, glia_error *error);

#endif
