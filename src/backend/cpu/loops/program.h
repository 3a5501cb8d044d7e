/* program.h - from a group of nodes to a loop program (loop.h). */
#ifndef GLIA_SRC_BACKEND_CPU_LOOPS_PROGRAM_H
#define GLIA_SRC_BACKEND_CPU_LOOPS_PROGRAM_H

#include "backend/cpu/kernels/kernels.h"
#include "core/launch/backend.h"

/* True if the node, elementwise or a cast, can be a step: f32 and bool, casts from u8 and i32 too. */
bool glia_program_fusable(const glia_cpu_kernels *kernels, const glia_node *node);
/* True if the node is a reduction that a loop program can end with. */
bool glia_program_reduces(const glia_node *node);
/* True if it is a reduction of rows, over the last axis and with it kept, that steps can read. */
bool glia_program_reduces_rows(const glia_node *node);

/* Bytes of scratch that the group's program needs at most. */
size_t glia_program_scratch(const glia_group *group, int workers);

/* How to lower a group: address is by node id; `anchor` is where the anchor's result lies (EPILOGUE). columns: 0 for a
 * loop over the whole space; else so many of the last dimensions are the columns of a matrix whose blocks
 * glia_cpu_kernels.loop_block will be called for. */
typedef struct glia_program_plan {
    const glia_cpu_kernels *kernels;
    const glia_group *group;
    void *const *address;
    void *anchor, *scratch;
    int columns;
} glia_program_plan;

/* Fills `loop` for the group: elementwise nodes, broadcasts and scalar constants over group->space, reductions at the
 * end. With columns: check glia_program_has_columns afterwards. */
glia_status glia_program_build(const glia_program_plan *plan, glia_arena *arena, glia_loop_args *loop, glia_error *error);

/* False if an operand's strides along the columns cannot be said by one number, so that no block can be done alone. */
bool glia_program_has_columns(const glia_program_plan *plan, const glia_loop_args *loop);

#endif
