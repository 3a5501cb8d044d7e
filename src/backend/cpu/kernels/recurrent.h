/* recurrent.h - arguments of the recurrent kernels. The ops are described in core/ops/recurrent.h; blocks of their
 * values are pointers here, NULL if a block is absent or not requested. */
#ifndef GLIA_SRC_BACKEND_CPU_KERNELS_RECURRENT_H
#define GLIA_SRC_BACKEND_CPU_KERNELS_RECURRENT_H

#include "core/ops/recurrent.h"

typedef struct glia_recurrence {
    glia_cell_kind cell;
    int64_t steps, samples, units, outputs, width; /* T, N, H, P, G H */
    bool reverse;
    const float *kernel, *h0, *c0, *bias, *peephole, *projection;
    const int32_t *lengths;
    /* forward */
    const float *z;
    float *sequence, *last_h, *last_c, *cells, *kept;
    /* backward: sequence, cells and kept are read */
    const float *dsequence, *dlast_h, *dlast_c;
    float *dz, *dh0, *dc0, *dproduct, *dout;
} glia_recurrence;

#endif
