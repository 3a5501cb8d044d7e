/* pool.h - shared by max and average pooling. */
#ifndef GLIA_SRC_CORE_OPS_POOL_H
#define GLIA_SRC_CORE_OPS_POOL_H

#include "core/ops/ops.h"
#include "core/ops/window.h"

extern const glia_field glia_pool_fields[];

/* Checks x against the node's attributes; fills the shape of its pooling. Every window covers at least one element of
 * x, because padding is required to be smaller than the window. */
bool glia_pool_infer_shape(glia_node *node, const glia_shape *x, glia_shape *y);
/* Input 0 is f32 or f64, and so is the result; input `i`, if there is one, has the same dtype. */
bool glia_pool_dtype(glia_node *node);

/* The part of each window inside x, for loops that treat one to three axes alike. */
typedef struct glia_pool_range {
    int64_t planes;                         /* N C */
    int64_t channels;
    bool channels_last;
    int64_t size[GLIA_SPATIAL_AXES], out[GLIA_SPATIAL_AXES];
    int64_t taps[GLIA_SPATIAL_AXES], stride[GLIA_SPATIAL_AXES], pad[GLIA_SPATIAL_AXES];
} glia_pool_range;
glia_pool_range glia_pool_range_of(const glia_pool_attrs *attrs, glia_shape x, glia_shape y);
/* The offset of plane p, which has n positions, and the stride between positions. */
static inline int64_t glia_pool_plane(const glia_pool_range *r, int64_t p, int64_t n) {
    return r->channels_last ? p / r->channels * r->channels * n + p % r->channels : p * n;
}
static inline int64_t glia_pool_step(const glia_pool_range *r) { return r->channels_last ? r->channels : 1; }
/* The first element and the one after the last, along each axis, of the window at `place` (counted row-major). */
void glia_pool_bounds(const glia_pool_range *range, int64_t place, int64_t from[GLIA_SPATIAL_AXES],
                      int64_t to[GLIA_SPATIAL_AXES]);

/* The attributes for a user's options on x; false after reporting an error as `what`. */
bool glia_pool_resolve(const char *what, glia_tensor x, const glia_pool_opts *opts, glia_pool_attrs *attrs);

#endif
