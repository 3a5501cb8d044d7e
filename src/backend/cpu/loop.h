/* loop.h - loop programs: a chain of elementwise work as one pass over tiles that stay in the L1 cache.
 *
 * A program is a list of steps. A step calls a tile function on slots: addresses of n floats (a tile), or of a single one.
 * Slots are registers (scratch tiles of a worker), immediates, or memory: an input that is contiguous along the tile is
 * read where it lies, and the last step of an output writes it where it belongs.
 *
 *     slot   0: x + i       1: scale + c (one float)     2: register      3: y + i
 *     step   mul   2 <- 0, 1
 *            tanh  3 <- 2                                   called for each tile of 256 to 1024 elements
 *
 * The iteration space is collapsed as far as all operands permit. What is left of it is walked in one of two ways:
 *
 *   long rows    the innermost dimension is at least GLIA_LOOP_ROW long: a tile is a part of a row, an operand is along it
 *                either contiguous or one float.
 *   short rows   a tile is several whole rows; operands that are not like the space are copied out (expanded) into a
 *                register, once for a piece if every tile sees the same.
 *
 * Truth values are 0 and 1 floats in registers and bytes in memory.
 */
#ifndef GLIA_CPU_LOOP_H
#define GLIA_CPU_LOOP_H

#include "tensor/tensor.h"

/* d[i] = f(a[i], b[i], c[i]), i < n. d may be one of the operands. Scalar operands are single floats: see glia_tile. */
typedef void (*glia_tile_fn)(void *d, const void *a, const void *b, const void *c, int64_t n);

/* A row of the table of tile functions. `form` is chosen by which operands are single floats: bit 0 for a, 1 for b, 2 for
 * c. NULL: there is no such form, the float has to be spread over a register first. */
typedef struct glia_tile {
    const char *op;
    int n_in;
    glia_tile_fn form[8];
} glia_tile;

enum { GLIA_LOOP_ROW = 192, GLIA_LOOP_TILE = 1024, GLIA_LOOP_PAD = 16 };

typedef struct glia_loop_step {
    glia_tile_fn fn;
    uint16_t d, a, b, c; /* slots */
    bool single;         /* all operands are single floats: computed once for the tile */
} glia_loop_step;

typedef enum glia_loop_mode {
    GLIA_LOOP_FULL,   /* like the space: contiguous throughout */
    GLIA_LOOP_SCALAR, /* one float for the whole space */
    GLIA_LOOP_POINT,  /* long rows: contiguous along the row, or one float (stride 0) */
    GLIA_LOOP_EXPAND, /* short rows: copied into its slot's register for every tile */
    GLIA_LOOP_REPEAT  /* short rows: the same for each row, copied once for a piece */
} glia_loop_mode;

/* A value in memory that a slot stands for. */
typedef struct glia_loop_operand {
    glia_loop_mode mode;
    uint16_t slot;
    uint16_t size; /* bytes of an element */
    bool written;  /* an output */
    char *base;
    int64_t stride[GLIA_MAX_RANK]; /* elements, for each dimension of the collapsed space */
} glia_loop_operand;

typedef enum glia_loop_sum { GLIA_LOOP_SUM, GLIA_LOOP_MAX, GLIA_LOOP_PROD } glia_loop_sum;

/* A reduction of a slot's value. Results lie densely in the order of the kept dimensions. */
typedef struct glia_loop_reduction {
    glia_loop_sum kind;
    uint16_t slot;
    float *out;
} glia_loop_reduction;

/* Where the partial results of reductions go. */
typedef enum glia_loop_way {
    GLIA_LOOP_NONE,   /* no reductions */
    GLIA_LOOP_ROWS,   /* every row gives one result, at once */
    GLIA_LOOP_SLICES, /* a piece has results of its own: no other piece adds to them */
    GLIA_LOOP_PARTS   /* every piece has partial results for all; they are combined in the end */
} glia_loop_way;

typedef struct glia_loop {
    glia_loop_step *steps;
    int n_steps;
    glia_loop_operand *operands;
    int n_operands;
    glia_loop_reduction *reductions;
    int n_reductions;
    int n_slots, n_registers; /* registers are slots 0 .. n_registers - 1; immediates follow */
    float *immediates;
    int n_immediates;

    int rank; /* at least 1 */
    int64_t dim[GLIA_MAX_RANK];
    int64_t total; /* elements of the space */
    bool short_rows;
    int64_t tile; /* elements of a tile at most; short rows: a multiple of the row */

    glia_loop_way way;
    int split;     /* the dimension that pieces are ranges of; NONE: the whole space as one line */
    int64_t chunk; /* of it, for a piece */
    int64_t pieces;
    int64_t kept_stride[GLIA_MAX_RANK]; /* of results, 0 for reduced dimensions */
    int64_t n_results;

    double *sums;  /* n_reductions x (PARTS: pieces, SLICES: 1) x n_results; scratch */
    char *workers; /* scratch: each worker's slots, offsets, row sums and registers */
    size_t worker_bytes;
} glia_loop;

/* Bytes of the parts of a worker's scratch, which lie one after the other. */
static inline size_t glia_loop_head_bytes(const glia_loop *l) {
    size_t words = (size_t)l->n_slots + (size_t)l->n_operands + (size_t)l->n_reductions;
    return (words * 8 + GLIA_ALIGN - 1) / GLIA_ALIGN * GLIA_ALIGN;
}
static inline size_t glia_loop_register_bytes(const glia_loop *l) {
    return ((size_t)l->tile + 2 * GLIA_LOOP_PAD - 1) / GLIA_LOOP_PAD * GLIA_LOOP_PAD * sizeof(float);
}
/* Registers, and one more for each reduction: sums by column of short rows. */
static inline size_t glia_loop_worker_bytes(const glia_loop *l) {
    size_t tiles = (size_t)l->n_registers + (size_t)l->n_reductions;
    return glia_loop_head_bytes(l) + tiles * glia_loop_register_bytes(l) + GLIA_ALIGN;
}

#endif
