/* loop.h - loop programs: a chain of elementwise work as one pass over tiles that stay in the L1 cache.
 *
 * A program is a list of steps. A step calls a tile function on slots. Slots are registers (scratch tiles of a worker),
 * immediates, or memory: an input is read where it lies, and the last step of an output writes it where it belongs.
 *
 *     slot   0: x + i       1: scale + c (one float)     2: register      3: y + i
 *     step   mul   2 <- 0, 1
 *            tanh  3 <- 2                                   called for each tile of 256 to 1024 elements
 *
 * The iteration space is collapsed as far as all operands permit and traversed row by row of its innermost dimension. A
 * tile is a part of a long row, or several whole rows if they are short. A slot has one of three spans: a tile of
 * elements, a float for each of the tile's rows, or one float.
 *
 *     span    example                               in a step on elements       steps on it
 *     TILE    x, y, a register                      a vector at a time          rows x n elements
 *     ROWS    the sum of each row                   a float, another each row   an element for each row
 *     ONE     an immediate, a learning rate         a float                     one element
 *
 * A reduction of whole rows is a step from TILE to ROWS, whose result other steps may read: softmax is one loop. Other
 * reductions take what steps leave at the end of a tile.
 *
 * Truth values are 0 and 1 floats in registers and bytes in memory.
 */
#ifndef GLIA_SRC_BACKEND_CPU_KERNELS_LOOP_H
#define GLIA_SRC_BACKEND_CPU_KERNELS_LOOP_H

#include "core/tensor/tensor.h"

enum { GLIA_TILE_OPERANDS = 4 };

/* Arguments of a tile function: d = f(in[0], in[1], ...) for rows x n elements. d may be one of the operands. A scalar
 * operand is one float for each row. Steps are bytes from a row to the next; 0 repeats a row. */
typedef struct glia_tile_args {
    int64_t rows, n;
    void *d;
    int64_t d_step;
    const void *in[GLIA_TILE_OPERANDS];
    int64_t step[GLIA_TILE_OPERANDS];
    void *also; /* the second result, of those that have two */
    int64_t also_step;
} glia_tile_args;

typedef void (*glia_tile_fn)(const glia_tile_args *t);

/* A row of the table of tile functions. `form` is indexed by the scalar operands: bit k for operand k. NULL: there is
 * no such form; the float must be broadcast to a register first. */
typedef struct glia_tile {
    const char *name; /* of an op, or of a step that lowering makes (program.c) */
    int n_in;
    glia_tile_fn form[1 << GLIA_TILE_OPERANDS];
} glia_tile;

enum { GLIA_LOOP_TILE = 2048, GLIA_LOOP_PAD = 16 };

typedef enum glia_loop_span { GLIA_LOOP_ONE, GLIA_LOOP_ROWS, GLIA_LOOP_TILED } glia_loop_span;

/* Distance between the rows of a slot: zero, a float, the elements of the tile's rows (a register), or, from
 * GLIA_LOOP_MEMORY on, that of operand number pace - GLIA_LOOP_MEMORY in memory. */
typedef enum glia_loop_pace { GLIA_LOOP_STILL, GLIA_LOOP_FLOAT, GLIA_LOOP_DENSE, GLIA_LOOP_MEMORY } glia_loop_pace;

typedef struct glia_loop_step {
    glia_tile_fn fn;
    uint16_t d, d_pace, in[GLIA_TILE_OPERANDS], pace[GLIA_TILE_OPERANDS];
    uint16_t also, also_pace; /* the second result; equal to d: none */
    uint8_t n_in;
    uint8_t span;      /* glia_loop_span: what it is a step on */
    bool flat;         /* TILED: if all operands in memory are contiguous, the tile is one long row */
    bool in_registers; /* none is in memory */
} glia_loop_step;

/* A value in memory that a slot stands for. */
typedef struct glia_loop_operand {
    uint16_t slot;
    uint16_t size; /* bytes of an element */
    bool written;  /* an output */
    bool repeats;  /* the same short row for all rows: its slot is a register that holds a tile's rows */
    char *base;
    int64_t stride[GLIA_MAX_RANK]; /* elements, for each dimension of the collapsed space */
} glia_loop_operand;

typedef enum glia_loop_sum { GLIA_LOOP_SUM, GLIA_LOOP_MAX, GLIA_LOOP_PROD, GLIA_LOOP_VARIANCE } glia_loop_sum;

/* A reduction of a slot's value, at the end of a tile. Results lie densely in the order of the kept dimensions. */
typedef struct glia_loop_reduction {
    glia_loop_sum kind;
    uint16_t slot, pace;
    uint16_t first;       /* of the arrays of partial results: VARIANCE has two, sums and sums of squares */
    bool shared;          /* a SUM that is the first array of a VARIANCE */
    glia_tile_fn of_rows; /* the tile function that reduces whole rows so; NULL: there is none */
    float *out;
} glia_loop_reduction;

/* Where the partial results of reductions go. */
typedef enum glia_loop_way {
    GLIA_LOOP_NONE,     /* no reductions */
    GLIA_LOOP_EACH_ROW, /* every row gives one result, at once */
    GLIA_LOOP_SLICES,   /* a piece has results of its own: no other piece adds to them */
    GLIA_LOOP_PARTS     /* every piece has partial results for all; they are combined in the end */
} glia_loop_way;

typedef struct glia_loop_args {
    glia_loop_step *steps;
    int n_steps;
    glia_loop_operand *operands;
    int n_operands;
    glia_loop_reduction *reductions;
    int n_reductions, n_arrays; /* arrays of partial results */
    int n_slots, n_registers;   /* registers are slots 0 .. n_registers - 1; immediates follow */
    float *immediates;
    int n_immediates;

    int rank; /* at least 1 */
    int64_t dim[GLIA_MAX_RANK];
    int64_t total; /* elements of the space */

    int64_t tile; /* elements of a tile at most */

    glia_loop_way way;
    int split;     /* the dimension that pieces are ranges of */
    int64_t chunk; /* of it, for a piece; without a split: elements (NONE) or rows (EACH_ROW) */
    int64_t pieces;
    int64_t kept_stride[GLIA_MAX_RANK]; /* of results, 0 for reduced dimensions */
    int64_t n_results;

    double *sums;  /* n_arrays x (PARTS: pieces, SLICES: 1) x n_results; scratch */
    char *workers; /* scratch: each worker's tables and registers */
    size_t worker_bytes;
} glia_loop_args;

/* Bytes of the consecutive parts of a worker's scratch: tables (slots, paces, offsets, partial results of a row) and
 * registers. */
static inline size_t glia_loop_head_bytes(const glia_loop_args *l) {
    size_t words = (size_t)l->n_slots + GLIA_LOOP_MEMORY + 2 * (size_t)l->n_operands + (size_t)l->n_arrays;
    return glia_align(words * 8);
}
static inline size_t glia_loop_register_bytes(const glia_loop_args *l) {
    return ((size_t)l->tile + 2 * GLIA_LOOP_PAD - 1) / GLIA_LOOP_PAD * GLIA_LOOP_PAD * sizeof(float);
}
static inline size_t glia_loop_worker_bytes(const glia_loop_args *l) {
    return glia_loop_head_bytes(l) + (size_t)l->n_registers * glia_loop_register_bytes(l) + GLIA_ALIGN;
}

#endif
