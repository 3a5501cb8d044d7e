/* positions.c - position encodings: sinusoids and rotations.
 *
 * Angles are computed in f64: in f32, p 10000^(-2i/d) has an error of a thousandth of a turn at a few thousand
 * positions.
 */
#include <math.h>

#include "glia/transformers.h"
#include "nn/layers/layers.h"

static bool are_positions(glia_tensor p) { return p->dtype == GLIA_I32 || p->dtype == GLIA_I64; }

/* positions (...) times base^(-2i / units) for i in [0, units / 2): f64 (..., units / 2). */
static glia_tensor angles(glia_tensor positions, int64_t units, double base) {
    glia_graph *g = positions->graph;
    const int64_t n = (units + 1) / 2;
    double *rates = glia_arena_alloc(&g->arena, (size_t)n * sizeof *rates);
    if (!rates) return glia_graph_fail_nomem(g);
    for (int64_t i = 0; i < n; i++) rates[i] = pow(base, -2 * (double)i / (double)units);
    glia_shape column = positions->shape;
    column.dim[column.rank++] = 1;
    glia_tensor p = glia_reshape(glia_cast(positions, GLIA_F64), column);
    return glia_mul(p, glia_constant(g, GLIA_F64, GLIA_SHAPE(n), rates));
}

/* a and b (..., n) as (..., 2n): a[0], b[0], a[1], b[1], ... */
static glia_tensor interleave(glia_tensor a, glia_tensor b) {
    if (glia_is_bad(a) || glia_is_bad(b)) return glia_layer_bad(a);
    glia_shape pair = a->shape, flat = a->shape;
    flat.dim[flat.rank - 1] *= 2;
    pair.dim[pair.rank++] = 1;
    glia_tensor both[] = { glia_reshape(a, pair), glia_reshape(b, pair) };
    return glia_reshape(glia_concat(both, 2, pair.rank - 1), flat);
}

/* x[..., from : to : step] on the last axis. */
static glia_tensor columns(glia_tensor x, int64_t from, int64_t to, int64_t step) {
    if (glia_is_bad(x)) return x;
    glia_shape start = { .rank = x->shape.rank }, stop = x->shape, by = { .rank = x->shape.rank };
    for (int i = 0; i < by.rank; i++) by.dim[i] = 1;
    start.dim[start.rank - 1] = from;
    stop.dim[stop.rank - 1] = to;
    by.dim[by.rank - 1] = step;
    return glia_slice(x, start, stop, by);
}

static bool is_size(const glia_tensor x, int units) { return units >= 1 && x->shape.rank < GLIA_MAX_RANK - 2; }

glia_tensor glia_sinusoidal(glia_tensor positions, int units) {
    if (glia_is_bad(positions)) return glia_layer_bad(positions);
    if (!are_positions(positions) || !is_size(positions, units)) {
        return glia_graph_fail(positions->graph, GLIA_E_ARGUMENT,
                               "sinusoidal: positions are i32 or i64, units at least 1");
    }
    glia_tensor a = angles(positions, units, 10000);
    glia_tensor y = interleave(glia_cast(glia_sin(a), GLIA_F32), glia_cast(glia_cos(a), GLIA_F32));
    return units % 2 ? columns(y, 0, units, 1) : y;
}

/* ---- rotary -------------------------------------------------------------------------------- */

/* cos or sin of the angles, the same for all heads: (T, 1, units / 2) or (N, T, 1, units / 2), of this dtype. */
static glia_tensor turn(glia_tensor a, glia_tensor (*of)(glia_tensor), glia_dtype dtype) {
    glia_tensor y = glia_cast(of(a), dtype);
    if (glia_is_bad(y)) return y;
    glia_shape shape = y->shape;
    shape.dim[shape.rank] = shape.dim[shape.rank - 1];
    shape.dim[shape.rank++ - 1] = 1;
    return glia_reshape(y, shape);
}

glia_tensor glia_rotate(glia_tensor x, glia_tensor positions, glia_rotary_opts o) {
    if (glia_is_bad(x)) return glia_layer_bad(x);
    glia_graph *g = x->graph;
    if (o.kind == GLIA_ROTARY_NONE) return x;
    if (x->shape.rank != 4 || x->shape.dim[3] < 1) {
        return glia_graph_fail(g, GLIA_E_SHAPE, "rotary: x must be (N, T, H, d)");
    }
    const int64_t d = x->shape.dim[3], units = o.units ? o.units : d;
    if (units < 2 || units > d || units % 2) {
        return glia_graph_fail(g, GLIA_E_ARGUMENT, "rotary: %lld of the %lld elements of a head cannot be rotated",
                               (long long)units, (long long)d);
    }
    if (!positions) positions = glia_iota(g, GLIA_I32, GLIA_SHAPE(x->shape.dim[1]), 0);
    if (glia_is_bad(positions)) return positions;
    if (!are_positions(positions) || positions->shape.rank < 1 || positions->shape.rank > 2) {
        return glia_graph_fail(g, GLIA_E_SHAPE, "rotary: positions are integers (T) or (N, T)");
    }
    glia_tensor a = angles(positions, units, o.base > 0 ? o.base : 10000);
    glia_tensor c = turn(a, glia_cos, x->dtype), s = turn(a, glia_sin, x->dtype);
    const bool pairs = o.kind == GLIA_ROTARY_PAIRS;
    glia_tensor u = pairs ? columns(x, 0, units, 2) : columns(x, 0, units / 2, 1);
    glia_tensor v = pairs ? columns(x, 1, units, 2) : columns(x, units / 2, units, 1);
    glia_tensor p = glia_sub(glia_mul(u, c), glia_mul(v, s)), q = glia_add(glia_mul(v, c), glia_mul(u, s));
    if (pairs && units == d) return interleave(p, q);
    glia_tensor parts[3] = { pairs ? interleave(p, q) : p, q, units < d ? columns(x, units, d, 1) : NULL };
    if (pairs) parts[1] = parts[2];
    return glia_concat(parts, (pairs ? 1 : 2) + (units < d), 3);
}
