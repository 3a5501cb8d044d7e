/* program.h - compiles a group of nodes to a loop program (loop.h). */
#ifndef GLIA_SRC_BACKEND_CPU_LOOPS_PROGRAM_H
#define GLIA_SRC_BACKEND_CPU_LOOPS_PROGRAM_H

#include "backend/cpu/kernels/kernels.h"
#include "core/launch/backend.h"

/* True if the elementwise node or cast can be a step: f32 and bool, and casts from u8, i8 and i32. */
bool glia_program_fusable(const glia_cpu_kernels *kernels, const glia_node *node);
/* True if the node is a reduction that can end a loop program. */
bool glia_program_reduces(const glia_node *node);
/* True if it is a reduction of rows (over the last axis, keepdims) whose result steps can read. */
bool glia_program_reduces_rows(const glia_node *node);

/* An upper bound of the scratch bytes of the group's program. */
size_t glia_program_scratch(const glia_group *group, int workers);

/* How to lower a group. address: by node id. anchor: memory of the anchor's result (EPILOGUE). columns: 0 for a loop
 * over the whole space; otherwise the number of last dimensions that are the columns of a matrix, and
 * glia_cpu_kernels.loop_block is called for blocks of that matrix. */
typedef struct glia_program_plan {
    const glia_cpu_kernels *kernels;
    const glia_group *group;
    void *const *address;
    void *anchor, *scratch;
    int columns;
} glia_program_plan;

/* Fills `loop` for the group: elementwise nodes, broadcasts and scalar constants over group->space, with reductions at
 * the end. If columns > 0, check glia_program_has_columns afterwards. */
glia_status glia_program_build(const glia_program_plan *plan, glia_arena *arena, glia_loop_args *loop,
                               glia_error *error);

/* False if an operand has no single stride along the columns, so that blocks cannot be computed separately. */
bool glia_program_has_columns(const glia_program_plan *plan, const glia_loop_args *loop);

#endif
