/* draft.h - a loop program under construction: shared by program.c (space, registers, pieces) and steps.c (steps). */
#ifndef GLIA_SRC_BACKEND_CPU_LOOPS_DRAFT_H
#define GLIA_SRC_BACKEND_CPU_LOOPS_DRAFT_H

#include "backend/cpu/loops/program.h"

/* A value that a step computes or reads: an immediate, an operand in memory, or the result of a step. */
typedef struct glia_draft_value {
    enum { GLIA_IMMEDIATE, GLIA_OPERAND, GLIA_RESULT } kind;
    int index; /* of the immediate or operand; RESULT: of the output it is written to, or -1 */
    glia_loop_span span;
    glia_dtype dtype; /* in its slot: F32, or a dtype that a load step converts to float */
    int last_use;     /* index of the last step that reads it */
    int reg;          /* -1: none */
} glia_draft_value;

typedef struct glia_draft_step {
    const glia_tile *tile;
    int d, in[GLIA_TILE_OPERANDS], also; /* values; -1: none */
    glia_loop_span span;
    bool reduces; /* rows to floats */
} glia_draft_step;

/* Several nodes fused into one step (steps.c). */
typedef struct glia_compound {
    const glia_tile *tile; /* NULL: none */
    const glia_node *in[GLIA_TILE_OPERANDS];
    int other;  /* two results: the member that is the other node (always a later one); 0: one result */
    bool swaps; /* the other node is the first result */
} glia_compound;

typedef struct glia_draft {
    const glia_program_plan *plan;
    const glia_cpu_kernels *kernels;
    const glia_group *group;
    glia_arena *arena;
    glia_loop_args *loop;
    glia_draft_value *values;
    int n_values;
    glia_draft_step *steps;
    int n_steps;
    int *of_node;  /* value of group->nodes[i]; -1: none yet */
    int *of_input; /* value of group->inputs[i] */
    int of_anchor;
    int *outputs;             /* operand of group->outputs[i]; -1: none */
    int *late;                /* value of group->outputs[i] when it is written */
    bool lost;                /* error in the group: a node reads a value that is neither an input nor a member */
    glia_loop_span *spans;    /* of group->nodes[i] */
    bool *swallowed;          /* group->nodes[i] is part of another node's compound */
    glia_compound *compounds; /* of group->nodes[i] */
    /* A dimension is not joined with a neighbour whose flags differ. */
    enum { GLIA_APART_REDUCED = 1, GLIA_APART_ROW = 2, GLIA_APART_COLUMN = 4 } apart[GLIA_MAX_RANK];
    bool
        sums_rows; /* some APART_ROW dimensions have more than one element; their product is the last dimension */
} glia_draft;

int glia_draft_value_new(glia_draft *b, glia_draft_value v);
/* A number as a value; dtype: F32, or I32 for the bits of an integer. */
int glia_draft_immediate(glia_draft *b, double number, glia_dtype dtype);
/* Emits the group's steps, reductions and outputs. */
void glia_draft_steps(glia_draft *b);

/* The span of an operand in memory, as seen by a tile. */
glia_loop_span glia_draft_operand_span(const glia_loop_args *loop, const glia_loop_operand *operand);
/* The tile function for this comparison of integers; NULL: the node is not one. */
const glia_tile *glia_draft_compares_i32(const glia_cpu_kernels *kernels, const glia_node *node);
/* The kind of a reduction for which glia_program_reduces is true. */
glia_loop_sum glia_draft_reduction(const glia_node *node);
/* True if this member is a reduction of rows to be done as a step: others read it or reduce over other axes. */
bool glia_draft_reduces_rows(const glia_group *group, const glia_node *node);
int glia_index_of(glia_node *const *nodes, int n, const glia_node *node);

#endif
