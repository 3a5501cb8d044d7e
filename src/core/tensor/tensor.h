/* tensor.h - dtypes and shapes, independent of storage and computation.
 *
 * A dimension is a positive size or symbolic, a negative number: k times one of the three sizes that a program fixes
 * (the batch N, nodes V, edges E), or one more than that (offsets), until glia_shape_at() makes a number of it:
 *
 *     -(code << 52 | plus << 50 | k)      code 0 for N, so that k N is -k; 1993 for V, 1901 for E; 1 <= k <= 2^48
 *
 * Other negative numbers are no dimension. The codes are chosen so that arithmetic on V and E without these functions
 * gives such a number: a small multiple of a code is not a code. All buffers are dense and row-major; there are no
 * strides in a shape.
 */
#ifndef GLIA_SRC_CORE_TENSOR_TENSOR_H
#define GLIA_SRC_CORE_TENSOR_TENSOR_H

#include "base/base.h"
#include "glia/tensor.h"

static inline bool glia_dtype_is_float(glia_dtype t) { return t <= GLIA_F16; }

/* The dtype with this name, or GLIA_DTYPE_COUNT. */
glia_dtype glia_dtype_named(const char *name, size_t length);

/* Converts elements of any dtype to double and back. Integers out of range wrap; floats round to nearest even. */
void glia_to_double(glia_dtype from, const void *src, double *dst, int64_t n);
void glia_from_double(glia_dtype to, const double *src, void *dst, int64_t n);
double glia_round_to(glia_dtype dtype, double value); /* the nearest value of the dtype */

/* ---- dimensions (dim.c) --------------------------------------------------------------------- */

enum { GLIA_SIZE_BATCH, GLIA_SIZE_NODES, GLIA_SIZE_EDGES, GLIA_SIZE_COUNT, GLIA_SIZE_NONE = -1, GLIA_SIZE_BAD = -2 };
typedef struct glia_sizes {
    int64_t of[GLIA_SIZE_COUNT]; /* what the symbolic sizes stand for, 1 or more */
} glia_sizes;
const char *glia_size_letter(int size); /* "N", "V", "E" */
const char *glia_size_noun(int size);   /* "samples", "nodes", "edges" */

/* A dimension taken apart: factor times the size, plus 1. GLIA_SIZE_NONE: `factor` is a fixed size; GLIA_SIZE_BAD: it
 * is none. */
typedef struct glia_dim {
    int size;
    int64_t factor;
    bool plus;
} glia_dim;
glia_dim glia_dim_of(int64_t dim);
bool glia_dim_valid(int64_t dim); /* 1 or more, or symbolic */

/* Results that are no multiple of one size (N V, N + V, V / N), negative ones and overflows are GLIA_DIM_NONE, which is
 * no dimension. 0 is a number here: d * 0, d - d. */
#define GLIA_DIM_NONE INT64_MIN
int64_t glia_dim_times(int64_t a, int64_t b);
int64_t glia_dim_over(int64_t a, int64_t b); /* the q with q b = a */
int64_t glia_dim_plus(int64_t a, int64_t b);
int64_t glia_dim_minus(int64_t a, int64_t b);
int64_t glia_dim_at(int64_t dim, const glia_sizes *sizes);
/* The size with which a symbolic dimension is `given`; 0: there is none. */
int64_t glia_dim_solve(int64_t dim, int64_t given);
/* "7", "N", "3V", "E+1"; "?" for a number that is none. Writes at most GLIA_DIM_TEXT bytes, NUL included; returns
 * text. */
enum { GLIA_DIM_TEXT = 24 };
char *glia_dim_format(int64_t dim, char *text);

/* ---- shapes --------------------------------------------------------------------------------- */

bool glia_shape_valid(glia_shape shape); /* rank and dimensions in range, count fits */
bool glia_shape_symbolic(glia_shape shape);
glia_shape glia_shape_at(glia_shape shape, const glia_sizes *sizes);
size_t glia_shape_bytes(glia_shape shape, glia_dtype dtype); /* of a fixed shape; 0 when it does not fit */

/* The shape that a and b broadcast to, by NumPy's rules; false if they do not broadcast. */
bool glia_shape_broadcast(glia_shape a, glia_shape b, glia_shape *out);
bool glia_shape_broadcasts_to(glia_shape from, glia_shape to);

/* Normalizes a user's axes: negative ones count from the end, rank 0 means all. Sorted, unique; false if out of
 * range. */
bool glia_axes_normalize(glia_shape axes, int rank, glia_shape *out);
/* -rank .. -1 become 0 .. rank-1; -1 if out of range. */
int glia_axis_normalize(int axis, int rank);
bool glia_axes_contain(const glia_shape *axes, int axis);

/* Row-major strides in elements. */
void glia_shape_strides(glia_shape shape, int64_t strides[GLIA_MAX_RANK]);

/* "(N, 32, 14, 14)"; symbolic sizes as N, 3V or E+1. Writes at most GLIA_SHAPE_TEXT bytes, NUL included; returns
 * text. */
enum { GLIA_SHAPE_TEXT = 8 * (GLIA_DIM_TEXT + 2) };
char *glia_shape_format(glia_shape shape, char *text);

#endif
