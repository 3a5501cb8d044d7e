/* recurrent.h - shared by the files of the recurrent ops: attributes, inputs, and the layout of their values.
 *
 * Sequences are time first, (T, N, ...), so that a step is one block. H is the number of units, G the number of a
 * cell's gates, P the size of its output: H, or less with a projection.
 *
 *     recurrent        z (T, N, G H), kernel (G H, P), options  ->  y    the requested results
 *     recurrent_saved  the same                                 ->  s    y, followed by what the gradient needs
 *     recurrent_grad   the same with s in place of z, then dy   ->  d    the gradients
 *
 * z is the inputs' part of the gates for all steps, x W^T + b: one matrix product outside. The optional inputs follow
 * in this order, if the attributes say so: h0 (N, P) and, for a cell with a memory, c0 (N, H); bias (H) of the GRU's
 * third gate, added to the recurrent product; peephole (3, H); projection (P, H); lengths (N), i32.
 *
 * An op has one result, so y, s and d are vectors of consecutive blocks. Offsets here are for one sample: multiplied by
 * N they count elements. A missing block has the offset -1.
 *
 *     y   sequence (T, N, P)   last_h (N, P)   last_c (N, H)
 *     s   y   sequence, if y has none   cells (T, N, H)   kept (T, N, kept)
 *     d   dz (T, N, G H)   dh0 (N, P)   dc0 (N, H)   dproduct (T, N, G H)   dout (T, N, P)
 *
 * dproduct is the gradient of the recurrent product where it differs from dz, dout that of the projection's result.
 * Beyond a sample's length the sequence, kept and the gradients are 0, and cells repeats the state.
 */
#ifndef GLIA_SRC_CORE_OPS_RECURRENT_H
#define GLIA_SRC_CORE_OPS_RECURRENT_H

#include "core/ops/ops.h"

typedef enum glia_cell_kind {
    GLIA_CELL_LSTM,       /* gates i, f, g, o; the same are saved */
    GLIA_CELL_GRU,        /* gates r, z, n, reset after the product; saves r, z, n, h U_n + b */
    GLIA_CELL_GRU_BEFORE, /* reset before the product; saves r, z, n, r h */
    GLIA_CELL_TANH,       /* saves nothing */
    GLIA_CELL_RELU,
    GLIA_CELL_COUNT
} glia_cell_kind;

typedef struct glia_recurrent_attrs {
    int64_t cell, steps;
    bool reverse;        /* from the last step to the first */
    bool sequence, last; /* contents of y */
    bool initial, bias, peephole, projection, lengths; /* optional inputs present */
} glia_recurrent_attrs;

/* One kind of cell, in graph form: a step forward and a step of its gradient. */
typedef struct glia_cell_step {
    const struct glia_recurrent_view *view;
    glia_tensor z;    /* (N, G H) */
    glia_tensor h, c; /* before (forward: replaced by those after) */
    glia_tensor kept; /* forward: set */
    /* gradient */
    glia_tensor c_after, dh, dc;             /* of the states after; replaced by those of the states before */
    glia_tensor dz, dproduct, dout;          /* set */
} glia_cell_step;

typedef struct glia_cell {
    int gates, kept; /* in units of H */
    bool memory;     /* has a state c */
    void (*forward)(glia_cell_step *step);
    void (*gradient)(glia_cell_step *step);
} glia_cell;

extern const glia_cell glia_cells[GLIA_CELL_COUNT];

/* A node of one of the three ops: its inputs by name (or NULL) and its sizes. `in` may be inputs from another graph. */
typedef struct glia_recurrent_view {
    const glia_recurrent_attrs *attrs;
    const glia_cell *cell;
    glia_tensor first, kernel, h0, c0, bias, peephole, projection, lengths; /* first: z or s */
    glia_tensor dy;                                                        /* recurrent_grad */
    int count;                                                             /* inputs, without dy */
    int64_t steps, samples, units, outputs, width; /* T, N (may be symbolic), H, P, G H */
    /* offsets for a sample, and the length of y, s and d */
    int64_t sequence, last_h, last_c, cells, kept, y_length;
    int64_t saved_sequence, s_length;
    int64_t dz, dh0, dc0, dproduct, dout, d_length;
} glia_recurrent_view;

/* The node must be a valid one. */
glia_recurrent_view glia_recurrent_view_of(const glia_node *node, const glia_tensor *in);

/* The block at `offset` of a value, as (steps, N, size), or (N, size) if steps is 0. */
glia_tensor glia_recurrent_block(const glia_recurrent_view *view, glia_tensor value, int64_t offset, int64_t steps,
                                 int64_t size);

/* in: z, kernel and the optional inputs named by attrs. */
glia_tensor glia_recurrent_of(const glia_tensor *in, int n, glia_recurrent_attrs attrs);

#endif
