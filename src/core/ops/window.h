/* window.h - the arithmetic of sliding windows, shared by convolution and pooling.
 *
 *     pad            size             pad_after
 *    |- - -|x x x x x x x x x x x x x|- - - -|
 *     [t . t . t]                                 taps 3, dilation 2: an extent of 5
 *           [t . t . t]                           stride 3
 *                 ...      out = (pad + size + pad_after - extent) / stride + 1, rounded down
 */
#ifndef GLIA_SRC_CORE_OPS_WINDOW_H
#define GLIA_SRC_CORE_OPS_WINDOW_H

#include "core/graph/graph.h"

enum { GLIA_SPATIAL_AXES = 3 };

/* A window over one to three spatial axes. The lists of attributes have an entry for each axis; NULL dilation means
 * 1. */
typedef struct glia_window {
    const char *name;    /* "kernel", "window": for messages */
    int axes;
    const int64_t *size; /* of x */
    const int64_t *taps; /* of the window */
    const glia_shape *stride, *dilation, *pad, *pad_after;
} glia_window;

/* Checks all values and computes the number of positions along each axis. Errors are reported on the node: false. */
bool glia_window_places(glia_node *node, const glia_window *window, int64_t *out);

/* The padding of one axis before and after for GLIA_SAME: ceil(size / stride) positions; an odd element goes to the
 * end. Zeros if the arguments are out of range, which glia_window_places() reports. */
void glia_window_same(int64_t size, int64_t taps, int64_t stride, int64_t dilation, int64_t *pad, int64_t *pad_after);

/* A shape (N, spatial..., C) as (N, C, spatial...), and the reverse; unchanged if not `last`, or below rank 3. */
glia_shape glia_channels_first(glia_shape shape, bool last);
glia_shape glia_channels_last(glia_shape shape, bool last);

/* "5x3" from n sizes; writes at most GLIA_SIZES_TEXT bytes; returns text. */
enum { GLIA_SIZES_TEXT = 72 };
char *glia_sizes_format(const int64_t *sizes, int n, char *text);

/* Three sizes from one to three: missing axes are prepended as `fill`, so that one loop covers 1-D, 2-D and 3-D. */
void glia_spatial_three(const int64_t *from, int axes, int64_t fill, int64_t to[GLIA_SPATIAL_AXES]);

#endif
