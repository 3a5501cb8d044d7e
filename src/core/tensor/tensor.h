/* tensor.h - dtypes and shapes: what a value is, apart from where it lies and how it is made.
 *
 * A dimension is a positive size, or -k: k times the batch size ("symbolic"), until glia_shape_at_batch() fixes it.
 * All buffers are dense and row-major; there are no strides in a shape.
 */
#ifndef GLIA_SRC_CORE_TENSOR_TENSOR_H
#define GLIA_SRC_CORE_TENSOR_TENSOR_H

#include "base/base.h"
#include "glia/tensor.h"

static inline bool glia_dtype_is_float(glia_dtype t) { return t <= GLIA_F16; }

/* The dtype with this name, or GLIA_DTYPE_COUNT. */
glia_dtype glia_dtype_named(const char *name, size_t length);

/* Elements of any dtype to double and back. Integers out of range wrap; floats round to nearest even. */
void glia_to_double(glia_dtype from, const void *src, double *dst, int64_t n);
void glia_from_double(glia_dtype to, const double *src, void *dst, int64_t n);
double glia_round_to(glia_dtype dtype, double value); /* the nearest value that the dtype holds */

bool glia_shape_valid(glia_shape shape); /* rank and dimensions in range, count fits */
bool glia_shape_symbolic(glia_shape shape);
glia_shape glia_shape_at_batch(glia_shape shape, int64_t batch);
size_t glia_shape_bytes(glia_shape shape, glia_dtype dtype); /* of a shape without batch; 0 when it does not fit */

/* The shape that a and b broadcast to, as NumPy does; false if they do not. */
bool glia_shape_broadcast(glia_shape a, glia_shape b, glia_shape *out);
bool glia_shape_broadcasts_to(glia_shape from, glia_shape to);

/* Axes given by a user: negative ones count from the end, rank 0 means all. Sorted, without doubles; false if
 * outside. */
bool glia_axes_normalize(glia_shape axes, int rank, glia_shape *out);
/* -1 .. -rank become rank-1 .. 0; -1 if outside. */
int glia_axis_normalize(int axis, int rank);
bool glia_axes_contain(const glia_shape *axes, int axis);

/* Row-major strides in elements; steps the multi-index of `shape`: the usual odometer. */
void glia_shape_strides(glia_shape shape, int64_t strides[GLIA_MAX_RANK]);

/* "(N, 32, 14, 14)"; symbolic sizes as N or 3N. Writes at most GLIA_SHAPE_TEXT bytes, NUL included; returns text. */
enum { GLIA_SHAPE_TEXT = 200 };
char *glia_shape_format(glia_shape shape, char *text);

#endif
