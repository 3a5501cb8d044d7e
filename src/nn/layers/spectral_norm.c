/* spectral_norm.c - a weight divided by its largest singular value (core/ops/power_iteration.c).
 *
 * sigma = u^T W v with the vectors held constant, so d sigma / dW = u v^T, and the gradient of W / sigma is that of the
 * paper: (dy - (sum of dy W / sigma) u v^T) / sigma.
 */
#include "nn/layers/layers.h"

static glia_tensor refuse(glia_tensor w, const char *name, const char *why) {
    char shape[GLIA_SHAPE_TEXT];
    return glia_graph_fail(w->graph, GLIA_E_SHAPE, "%s: spectral norm of %s%s: %s", name, glia_dtype_name(w->dtype),
                           glia_shape_format(w->shape, shape), why);
}

/* w with this axis first, as a matrix. */
static glia_tensor as_matrix(glia_tensor w, int axis) {
    glia_shape order = { .rank = w->shape.rank, .dim = { axis } };
    for (int i = 0, at = 1; i < order.rank; i++) {
        if (i != axis) order.dim[at++] = i;
    }
    const int64_t rows = w->shape.dim[axis];
    if (axis != 0) w = glia_permute(w, order);
    return glia_is_bad(w) ? w : glia_reshape(w, GLIA_SHAPE(rows, glia_shape_count(w->shape) / rows));
}

/* The state NAME/WHAT (n), which begins as `init` says. */
static glia_tensor vector(glia_tensor w, const char *name, const char *what, int64_t n, glia_init init) {
    const char *full = glia_arena_printf(&w->graph->arena, "%s/%s", name, what);
    if (!full) return glia_graph_fail_nomem(w->graph);
    return glia_state(w->graph, full, w->dtype, GLIA_SHAPE(n), init);
}

glia_tensor glia_spectral_norm(glia_tensor w, const char *name, glia_spectral_norm_opts opts) {
    if (glia_is_bad(w)) return glia_layer_bad(w);
    if (!name || !name[0]) return refuse(w, "?", "a name is needed");
    if (w->dtype != GLIA_F32 && w->dtype != GLIA_F64) return refuse(w, name, "the weight must be f32 or f64");
    if (w->shape.rank < 2 || glia_shape_symbolic(w->shape)) return refuse(w, name, "it needs two axes of fixed size");
    if (opts.axis < 0 || opts.axis >= w->shape.rank) return refuse(w, name, "the axis is outside");
    if (opts.iterations < 0) return refuse(w, name, "the number of iterations is negative");
    glia_tensor matrix = as_matrix(w, opts.axis);
    if (glia_is_bad(matrix)) return matrix;
    const int64_t rows = matrix->shape.dim[0], columns = matrix->shape.dim[1];
    glia_tensor u = vector(w, name, "u", rows, (glia_init){ .kind = GLIA_INIT_NORMAL });
    glia_tensor v = vector(w, name, "v", columns, (glia_init){ .kind = GLIA_INIT_ZEROS });
    const glia_power_iteration_attrs attrs = { opts.iterations ? opts.iterations : 1,
                                               glia_option(opts.epsilon, 1e-12) };
    glia_tensor both = glia_power_iteration_of(matrix, u, v, attrs);
    u = glia_reshape(glia_slice(both, GLIA_SHAPE(0), GLIA_SHAPE(rows), GLIA_SCALAR), GLIA_SHAPE(1, rows));
    v = glia_reshape(glia_slice(both, GLIA_SHAPE(rows), GLIA_SHAPE(rows + columns), GLIA_SCALAR),
                     GLIA_SHAPE(columns, 1));
    return glia_div(w, glia_reshape(glia_matmul(u, glia_matmul(matrix, v)), GLIA_SCALAR));
}
