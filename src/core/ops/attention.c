/* attention.c - scaled dot-product attention (Vaswani et al. 2017) and its gradient.
 *
 * For each sample and head, with queries Q (T, D), keys K and values V (S, D), allowed pairs A and dropout factors Z (0
 * or 1 / (1 - rate); all 1 without dropout):
 *
 *     R = scale Q K^T       C = R, or c tanh(R / c)       X = C + bias - alibi, -inf outside A
 *     P = softmax of X's rows           Y = (P * Z) V
 *
 * A row without an allowed key has P = 0. The gradient recomputes P from the same inputs and Y:
 *
 *     dP = (dY V^T) * Z     delta = sum of rows of Y * dY     dX = P * (dP - delta)      dbias = dX
 *     dR = dX, or dX * (1 - tanh(R / c)^2)
 *     dQ = scale dR K       dK = scale dR^T Q                 dV = (P * Z)^T dY
 *
 * where delta, which equals sum of rows of P * dP, is computed from Y (Dao et al. 2022, section B.2). attention_grad
 * computes this and gives one tensor: of qkv's shape; or flat, dq dk dv (dq dkv) concatenated, from which they are
 * sliced. Its own gradient is that of its expansion.
 *
 * attention with a rate always applies dropout. attention_dropout and its gradient apply it in training only.
 */
#include <math.h>

#include "core/ops/ops.h"
#include "glia/transformers.h"

static const glia_attention_attrs *attrs_of(const glia_node *n) { return n->attrs; }

static int packed_inputs(const glia_attention_attrs *a) {
    return a->packing == GLIA_ATTENTION_QKV ? 1 : a->packing == GLIA_ATTENTION_KV ? 2 : 3;
}

glia_attention_places glia_attention_places_of(const glia_attention_attrs *a, bool gradient) {
    glia_attention_places p = { -1, -1, -1, -1, -1, -1, -1, packed_inputs(a) };
    if (gradient) p.y = p.count++, p.dy = p.count++;
    if (a->lengths) p.lengths = p.count++;
    if (a->offsets) p.offsets = p.count++;
    if (a->mask) p.mask = p.count++;
    if (a->bias) p.bias = p.count++;
    if (a->rate > 0) p.rng = p.count++;
    return p;
}

glia_attention_sizes glia_attention_sizes_of(const glia_attention_attrs *a, const glia_tensor *in) {
    const glia_shape q = in[0]->shape, k = in[a->packing == GLIA_ATTENTION_QKV ? 0 : 1]->shape;
    const int64_t width = q.dim[2];
    glia_attention_sizes s = { q.dim[0], q.dim[1], k.dim[1], a->heads, a->groups, 0 };
    s.size = a->packing == GLIA_ATTENTION_APART ? q.dim[3]
             : a->packing == GLIA_ATTENTION_KV  ? width / a->heads
                                                : width / (a->heads + 2 * a->groups);
    return s;
}

/* Press et al. 2022: 2^(-8 h / H), h = 1 ... H. If H is no power of two, the slopes of the next lower power, then every
 * other slope of twice that power. */
double glia_alibi_slope(int64_t head, int64_t heads) {
    int64_t power = 1;
    while (2 * power <= heads) power *= 2;
    return head < power ? exp2(-8.0 * (double)(head + 1) / (double)power)
                        : exp2(-4.0 * (double)(2 * (head - power) + 1) / (double)power);
}

/* ---- shapes --------------------------------------------------------------------------------- */

/* The ranks and dtypes of q, k, v in their packing; all sizes are fixed but the batch. */
static bool inputs_fit(glia_node *n) {
    const int count = packed_inputs(attrs_of(n)), rank = attrs_of(n)->packing == GLIA_ATTENTION_APART ? 4 : 3;
    n->dtype = n->in[0]->dtype;
    if (n->dtype != GLIA_F32 && n->dtype != GLIA_F64) return glia_node_fail(n, "it takes f32 or f64");
    for (int i = 0; i < count; i++) {
        const glia_node *x = n->in[i];
        if (x->dtype != n->dtype) return glia_node_fail(n, "the dtypes differ; glia_cast() makes them one");
        if (x->shape.rank != rank) {
            return glia_node_fail(n, rank == 4 ? "q must be (N, T, H, D), k and v (N, S, G, D)"
                                               : "the packed input must be (N, T, F)");
        }
        for (int k = 1; k < rank; k++) {
            if (x->shape.dim[k] < 1) return glia_node_fail(n, "only the first axis can be the batch");
        }
        if (x->shape.dim[0] != n->in[0]->shape.dim[0]) return glia_node_fail(n, "the batches differ");
    }
    return true;
}

/* The numbers of heads and their sizes. */
static bool heads_fit(glia_node *n) {
    const glia_attention_attrs *a = attrs_of(n);
    const int64_t h = a->heads, g = a->groups, most = 1 << 20;
    if (h < 1 || g < 1 || h > most || g > most) return glia_node_fail(n, "it needs the number of heads, 1 or more");
    if (h % g) {
        return glia_node_fail(n, "%lld heads cannot share %lld heads of keys", (long long)h, (long long)g);
    }
    const int64_t width = n->in[0]->shape.dim[2];
    if (a->packing == GLIA_ATTENTION_QKV) {
        return width % (h + 2 * g) == 0 ||
               glia_node_fail(n, "%lld columns are not q, k and v of %lld, %lld and %lld heads", (long long)width,
                              (long long)h, (long long)g, (long long)g);
    }
    if (a->packing == GLIA_ATTENTION_KV) {
        const int64_t both = n->in[1]->shape.dim[2];
        return (width % h == 0 && both % (2 * g) == 0 && both / (2 * g) == width / h) ||
               glia_node_fail(n, "the columns should be %lld D and %lld D", (long long)h, (long long)(2 * g));
    }
    const glia_shape q = n->in[0]->shape, k = n->in[1]->shape;
    if (q.dim[2] != h || k.dim[2] != g || q.dim[3] != k.dim[3]) return glia_node_fail(n, "q and k do not fit");
    return glia_shape_equal(k, n->in[2]->shape) || glia_node_fail(n, "k and v should have one shape");
}

static bool broadcasts_to(glia_shape x, glia_shape whole) {
    glia_shape both;
    return x.rank <= whole.rank && glia_shape_broadcast(x, whole, &both) && glia_shape_equal(both, whole);
}

static bool is_by_sample(glia_node *n, int i, int64_t samples, const char *what) {
    const glia_node *x = i < 0 ? NULL : n->in[i];
    return !x || (x->dtype == GLIA_I32 && x->shape.rank == 1 && x->shape.dim[0] == samples) ||
           glia_node_fail(n, "the %s must be i32(N)", what);
}

static bool options_fit(glia_node *n, const glia_attention_places *p) {
    const glia_attention_sizes s = glia_attention_sizes_of(attrs_of(n), n->in);
    const glia_shape scores = GLIA_SHAPE(s.samples, s.heads, s.queries, s.keys);
    if (!is_by_sample(n, p->lengths, s.samples, "lengths") || !is_by_sample(n, p->offsets, s.samples, "offsets")) {
        return false;
    }
    if (p->mask >= 0 && (n->in[p->mask]->dtype != GLIA_BOOL || !broadcasts_to(n->in[p->mask]->shape, scores))) {
        return glia_node_fail(n, "the mask must be bool that broadcasts to (N, H, T, S)");
    }
    if (p->bias >= 0 && (n->in[p->bias]->dtype != n->dtype || !broadcasts_to(n->in[p->bias]->shape, scores))) {
        return glia_node_fail(n, "the bias must be as q and broadcast to (N, H, T, S)");
    }
    if (p->rng < 0) return true;
    const glia_node *rng = n->in[p->rng];
    return (rng->dtype == GLIA_I64 && glia_shape_equal(rng->shape, GLIA_SHAPE(2))) ||
           glia_node_fail(n, "the random state is i64(2): seed and step");
}

static bool numbers_fit(glia_node *n) {
    const glia_attention_attrs *a = attrs_of(n);
    if (a->packing < GLIA_ATTENTION_APART || a->packing > GLIA_ATTENTION_KV)
        return glia_node_fail(n, "no such packing");
    if (!isfinite(a->scale)) return glia_node_fail(n, "the scale must be a number, not %g", a->scale);
    if (!(a->softcap >= 0) || !isfinite(a->softcap)) return glia_node_fail(n, "softcap cannot be %g", a->softcap);
    if (!(a->rate >= 0 && a->rate < 1)) return glia_node_fail(n, "the rate must be in [0, 1), not %g", a->rate);
    if (a->window < 0 || a->window > INT32_MAX)
        return glia_node_fail(n, "the window cannot be %lld", (long long)a->window);
    if (a->stream < 0 || a->stream >= INT32_MAX) return glia_node_fail(n, "no such stream: %lld", (long long)a->stream);
    return true;
}

static bool arguments_fit(glia_node *n, bool gradient) {
    const glia_attention_attrs *a = attrs_of(n);
    if (!numbers_fit(n)) return false;
    const glia_attention_places p = glia_attention_places_of(a, gradient);
    if (n->n_in != p.count) return glia_node_fail(n, "it takes %d inputs here, not %d", p.count, n->n_in);
    if (!inputs_fit(n) || !heads_fit(n) || !options_fit(n, &p)) return false;
    if (a->rate > 0) n->graph->n_streams = GLIA_MAX(n->graph->n_streams, (int)a->stream + 1);
    return true;
}

/* (N, T, H, D), or (N, T, H D) if packed. */
static glia_shape result_shape(const glia_attention_attrs *a, const glia_attention_sizes *s) {
    if (a->packing == GLIA_ATTENTION_APART) return GLIA_SHAPE(s->samples, s->queries, s->heads, s->size);
    return GLIA_SHAPE(s->samples, s->queries, s->heads * s->size);
}

static bool attention_infer(glia_node *n) {
    if (!arguments_fit(n, false)) return false;
    const glia_attention_sizes s = glia_attention_sizes_of(attrs_of(n), n->in);
    n->shape = result_shape(attrs_of(n), &s);
    return true;
}

static bool attention_grad_infer(glia_node *n) {
    if (!arguments_fit(n, true)) return false;
    const glia_attention_attrs *a = attrs_of(n);
    const glia_attention_places p = glia_attention_places_of(a, true);
    const glia_attention_sizes s = glia_attention_sizes_of(a, n->in);
    const glia_shape y = result_shape(a, &s);
    for (int i = p.y; i <= p.dy; i++) {
        if (n->in[i]->dtype == n->dtype && glia_shape_equal(n->in[i]->shape, y)) continue;
        return glia_node_fail(n, "y and dy should be as attention's result");
    }
    if (a->of_bias && !a->bias) return glia_node_fail(n, "there is no bias");
    if (a->of_bias) {
        n->shape = n->in[p.bias]->shape;
    } else if (a->packing == GLIA_ATTENTION_QKV) {
        n->shape = n->in[0]->shape;
    } else {
        int64_t count = 0;
        for (int i = 0; i < packed_inputs(a); i++) count += glia_shape_count(n->in[i]->shape);
        n->shape = GLIA_SHAPE(count);
    }
    return true;
}

/* ---- the parts of the definition ------------------------------------------------------------ */

typedef struct parts {
    const glia_attention_attrs *a;
    glia_attention_sizes s;
    glia_attention_places at;
    const glia_tensor *in;
    glia_tensor q, k, v; /* (N, H, T, D), (N, G, S, D) */
    glia_tensor curve;   /* tanh(R / c); NULL: no softcap */
    glia_tensor weights; /* P (N, H, T, S) */
    glia_tensor kept;    /* true where dropout keeps; NULL: everywhere */
} parts;

/* `count` heads of x (N, L, F), from column `from` D on, as (N, count, L, D). */
static glia_tensor heads_from(glia_tensor x, int64_t from, int64_t count, int64_t size) {
    const glia_shape start = GLIA_SHAPE(0, 0, from * size),
                     stop = GLIA_SHAPE(INT64_MAX, INT64_MAX, (from + count) * size);
    glia_tensor part = glia_slice(x, start, stop, GLIA_SCALAR);
    if (glia_is_bad(part)) return part;
    glia_shape heads = GLIA_SHAPE(part->shape.dim[0], part->shape.dim[1], count, size);
    return glia_permute(glia_reshape(part, heads), GLIA_SHAPE(0, 2, 1, 3));
}

/* (N, L, heads, D) to (N, heads, L, D) and back. */
static glia_tensor swapped(glia_tensor x) { return glia_permute(x, GLIA_SHAPE(0, 2, 1, 3)); }

static void unpack(parts *p) {
    const int64_t h = p->s.heads, g = p->s.groups, d = p->s.size;
    const glia_tensor *in = p->in;
    if (p->a->packing == GLIA_ATTENTION_APART) {
        p->q = swapped(in[0]), p->k = swapped(in[1]), p->v = swapped(in[2]);
    } else if (p->a->packing == GLIA_ATTENTION_QKV) {
        p->q = heads_from(in[0], 0, h, d), p->k = heads_from(in[0], h, g, d), p->v = heads_from(in[0], h + g, g, d);
    } else {
        p->q = heads_from(in[0], 0, h, d), p->k = heads_from(in[1], 0, g, d), p->v = heads_from(in[1], g, g, d);
    }
}

/* x (N, H, A, B) as (N, G, H / G, A, B), and (N, G, A, B) as (N, G, 1, A, B), so that they broadcast. */
static glia_tensor by_group(const parts *p, glia_tensor x) {
    if (glia_is_bad(x) || p->s.heads == p->s.groups) return x;
    const glia_shape s = x->shape;
    return glia_reshape(x, GLIA_SHAPE(s.dim[0], p->s.groups, s.dim[1] / p->s.groups, s.dim[2], s.dim[3]));
}
static glia_tensor by_head(const parts *p, glia_tensor x) {
    if (glia_is_bad(x) || x->shape.rank == 4) return x;
    return glia_reshape(x, GLIA_SHAPE(x->shape.dim[0], p->s.heads, x->shape.dim[3], x->shape.dim[4]));
}

/* a B or a B^T for each head; a (N, H, ..), b (N, G, ..). */
static glia_tensor product(const parts *p, glia_tensor a, glia_tensor b, bool transpose_b) {
    return by_head(p, glia_matmul_transposed(by_group(p, a), false, by_group(p, b), transpose_b));
}

/* a^T b for each head, both (N, H, ..), summed over the heads that share a group: (N, G, ..). */
static glia_tensor group_product(const parts *p, glia_tensor a, glia_tensor b) {
    glia_tensor y = by_group(p, glia_matmul_transposed(a, true, b, false));
    return p->s.heads == p->s.groups || glia_is_bad(y) ? y : glia_sum(y, GLIA_SHAPE(2), false);
}

/* Positions of queries, i32, which broadcast to (N, 1, T, 1), and of keys, (S). */
static glia_tensor query_positions(const parts *p) {
    glia_graph *g = p->in[0]->graph;
    glia_tensor t = glia_iota(g, GLIA_I32, GLIA_SHAPE(p->s.queries, 1), 0);
    if (p->at.offsets < 0) return glia_add_scalar(t, (double)(p->s.keys - p->s.queries));
    return glia_add(t, glia_reshape(p->in[p->at.offsets], GLIA_SHAPE(p->s.samples, 1, 1, 1)));
}
static glia_tensor key_positions(const parts *p) {
    return glia_iota(p->in[0]->graph, GLIA_I32, GLIA_SHAPE(p->s.keys), 0);
}

static glia_tensor both(glia_tensor a, glia_tensor b) { return a ? glia_and(a, b) : b; }

/* The allowed pairs, broadcast to (N, H, T, S); NULL: all. */
static glia_tensor allowed_pairs(const parts *p) {
    const glia_attention_attrs *a = p->a;
    glia_tensor allowed = NULL;
    if (a->causal || a->window) {
        glia_tensor query = query_positions(p), key = key_positions(p);
        if (a->causal) allowed = glia_less_equal(key, query);
        if (a->window) {
            allowed = both(allowed, glia_greater(key, glia_add_scalar(query, -(double)a->window)));
            if (!a->causal) allowed = both(allowed, glia_less(key, glia_add_scalar(query, (double)a->window)));
        }
    }
    if (p->at.lengths >= 0) {
        glia_tensor lengths = glia_reshape(p->in[p->at.lengths], GLIA_SHAPE(p->s.samples, 1, 1, 1));
        allowed = both(allowed, glia_less(key_positions(p), lengths));
    }
    if (p->at.mask >= 0) allowed = both(allowed, p->in[p->at.mask]);
    if (!allowed || glia_is_bad(allowed)) return allowed;
    return glia_broadcast(allowed, GLIA_SHAPE(p->s.samples, p->s.heads, p->s.queries, p->s.keys));
}

/* slope |position of query - position of key|, (.., H, T, S). */
static glia_tensor alibi(const parts *p) {
    glia_graph *g = p->in[0]->graph;
    const int64_t heads = p->s.heads;
    glia_arena arena = { 0 };
    double *slopes = glia_arena_alloc(&arena, (size_t)heads * sizeof *slopes);
    if (!slopes) return glia_graph_fail_nomem(g);
    for (int64_t h = 0; h < heads; h++) slopes[h] = glia_alibi_slope(h, heads);
    glia_tensor slope = glia_constant(g, p->in[0]->dtype, GLIA_SHAPE(heads, 1, 1), slopes);
    glia_arena_free(&arena);
    glia_tensor distance = glia_cast(glia_sub(query_positions(p), key_positions(p)), p->in[0]->dtype);
    return glia_mul(glia_abs(distance), slope);
}

static glia_tensor scores(parts *p) {
    glia_tensor x = glia_mul_scalar(product(p, p->q, p->k, true), p->a->scale);
    if (p->a->softcap > 0) {
        p->curve = glia_tanh(glia_mul_scalar(x, 1 / p->a->softcap));
        x = glia_mul_scalar(p->curve, p->a->softcap);
    }
    if (p->at.bias >= 0) x = glia_add(x, p->in[p->at.bias]);
    return p->a->alibi ? glia_sub(x, alibi(p)) : x;
}

/* Softmax that is 0 in rows of only -inf: their maximum cannot be subtracted, and their sum is 0. */
static glia_tensor softmax_of(glia_tensor x, glia_tensor allowed) {
    if (glia_is_bad(x) || glia_is_bad(allowed)) return x;
    const glia_shape axis = GLIA_SHAPE(3);
    glia_tensor masked = glia_select(allowed, x, glia_like(x, -INFINITY));
    glia_tensor most = glia_stop_gradient(glia_max(masked, axis, true));
    if (glia_is_bad(most)) return most;
    most = glia_select(glia_equal(most, glia_like(most, -INFINITY)), glia_like(most, 0), most);
    glia_tensor e = glia_exp(glia_sub(masked, most)), sum = glia_sum(e, axis, true);
    if (glia_is_bad(sum)) return sum;
    return glia_div(e, glia_select(glia_equal(sum, glia_like(sum, 0)), glia_like(sum, 1), sum));
}

/* in: indexed as `places` says. */
static parts parts_of(const glia_attention_attrs *a, const glia_tensor *in, bool gradient) {
    parts p = { .a = a, .s = glia_attention_sizes_of(a, in), .at = glia_attention_places_of(a, gradient), .in = in };
    unpack(&p);
    glia_tensor x = scores(&p), allowed = allowed_pairs(&p);
    if (!allowed && p.at.bias >= 0 && !glia_is_bad(x)) /* the bias may be -inf */
        allowed = glia_not_equal(x, glia_like(x, -INFINITY));
    p.weights = allowed ? softmax_of(x, allowed) : glia_is_bad(x) ? x : glia_softmax_parts(x, 3);
    if (a->rate > 0 && !glia_is_bad(x)) {
        glia_random_attrs draw = { x->shape, a->stream };
        glia_tensor u = glia_node1(&glia_op_random_uniform, in[p.at.rng], &draw);
        p.kept = glia_greater_equal(u, glia_is_bad(u) ? u : glia_like(u, a->rate));
    }
    return p;
}

/* x * Z. */
static glia_tensor dropped(const parts *p, glia_tensor x) {
    if (!p->kept || glia_is_bad(x)) return x;
    return glia_select(p->kept, glia_mul_scalar(x, 1 / (1 - p->a->rate)), glia_like(x, 0));
}

static bool any_bad(const glia_tensor *in, int n) {
    for (int i = 0; i < n; i++) {
        if (glia_is_bad(in[i])) return true;
    }
    return false;
}

static glia_tensor attention_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)mode;
    if (any_bad(in, n->n_in)) return in[0]->graph->bad;
    const parts p = parts_of(attrs_of(n), in, false);
    return glia_reshape(swapped(product(&p, dropped(&p, p.weights), p.v, false)), result_shape(p.a, &p.s));
}

/* ---- the gradient ---------------------------------------------------------------------------- */

/* y or dy (N, T, H, D) as (N, H, T, D), whatever its rank. */
static glia_tensor result_heads(const parts *p, glia_tensor y) {
    return swapped(glia_reshape(y, GLIA_SHAPE(p->s.samples, p->s.queries, p->s.heads, p->s.size)));
}

/* dX, and *dy (N, H, T, D). */
static glia_tensor scores_grad(const parts *p, glia_tensor *dy) {
    *dy = result_heads(p, p->in[p->at.dy]);
    glia_tensor dp = dropped(p, product(p, *dy, p->v, true));
    glia_tensor delta = glia_sum(glia_mul(result_heads(p, p->in[p->at.y]), *dy), GLIA_SHAPE(3), true);
    return glia_mul(p->weights, glia_sub(dp, delta));
}

/* dq, dk, dv (N, heads, L, D), packed. */
static glia_tensor packed(const parts *p, const glia_tensor grads[3]) {
    glia_tensor each[3];
    for (int i = 0; i < 3; i++) each[i] = swapped(grads[i]);
    if (any_bad(each, 3)) return p->in[0]->graph->bad;
    if (p->a->packing == GLIA_ATTENTION_APART) {
        for (int i = 0; i < 3; i++) each[i] = glia_reshape(each[i], GLIA_SHAPE(0));
        return glia_concat(each, 3, 0);
    }
    for (int i = 0; i < 3; i++) {
        each[i] = glia_reshape(each[i], GLIA_SHAPE(each[i]->shape.dim[0], each[i]->shape.dim[1], 0));
    }
    if (p->a->packing == GLIA_ATTENTION_QKV) return glia_concat(each, 3, 2);
    glia_tensor kv = glia_concat(each + 1, 2, 2);
    glia_tensor flat[] = { glia_reshape(each[0], GLIA_SHAPE(0)), glia_reshape(kv, GLIA_SHAPE(0)) };
    return glia_concat(flat, 2, 0);
}

static glia_tensor attention_grad_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)mode;
    if (any_bad(in, n->n_in)) return in[0]->graph->bad;
    const parts p = parts_of(attrs_of(n), in, true);
    glia_tensor dy, dx = scores_grad(&p, &dy);
    if (p.a->of_bias) return glia_sum_to(dx, in[p.at.bias]->shape);
    glia_tensor dr = dx;
    if (p.curve) dr = glia_mul(dx, glia_sub(glia_is_bad(dx) ? dx : glia_like(dx, 1), glia_square(p.curve)));
    dr = glia_mul_scalar(dr, p.a->scale);
    glia_tensor grads[] = { product(&p, dr, p.k, false), group_product(&p, dr, p.q),
                            group_product(&p, dropped(&p, p.weights), dy) };
    return packed(&p, grads);
}

/* The part of a flat gradient that is x's; *from moves on. Symbolic if x's shape is. */
static glia_tensor cut_out(glia_tensor flat, int64_t *from, glia_tensor x) {
    const int64_t to = glia_dim_plus(*from, glia_shape_count(x->shape));
    glia_tensor part = glia_slice(flat, GLIA_SHAPE(*from), GLIA_SHAPE(to), GLIA_SCALAR);
    *from = to;
    return glia_reshape(part, x->shape);
}

/* The gradients of y by its gradient op. */
static void vjp_by(const glia_op *op, glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_attention_attrs a = *attrs_of(y);
    const int packs = packed_inputs(&a);
    glia_tensor in[10];
    int count = 0;
    for (int i = 0; i < packs; i++) in[count++] = y->in[i];
    in[count++] = y;
    in[count++] = dy;
    for (int i = packs; i < y->n_in; i++) in[count++] = y->in[i];
    glia_tensor grad = glia_node_create(y->graph, op, in, count, &a);
    if (glia_is_bad(grad)) return;
    int64_t from = 0;
    for (int i = 0; i < packs; i++) dx[i] = packs == 1 ? grad : cut_out(grad, &from, y->in[i]);
    if (!a.bias) return;
    a.of_bias = true;
    dx[glia_attention_places_of(&a, false).bias] = glia_node_create(y->graph, op, in, count, &a);
}

static void attention_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) { vjp_by(&glia_op_attention_grad, y, dy, dx); }
static void attention_dropout_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    vjp_by(&glia_op_attention_dropout_grad, y, dy, dx);
}

/* ---- by mode --------------------------------------------------------------------------------- */

/* `op` that drops when training. In inference the rate is 0 and the last input, the random state, is omitted. */
static glia_tensor by_mode(const glia_op *op, const glia_node *n, const glia_tensor *in, glia_mode mode) {
    glia_attention_attrs a = *attrs_of(n);
    int count = n->n_in;
    if (mode == GLIA_INFER && a.rate > 0) a.rate = 0, count--;
    return glia_node_create(in[0]->graph, op, in, count, &a);
}

static glia_tensor attention_dropout_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    return by_mode(&glia_op_attention, n, in, mode);
}
static glia_tensor attention_dropout_grad_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    return by_mode(&glia_op_attention_grad, n, in, mode);
}

/* Multiplications and additions of two products, and of the gradient's five. Masked pairs are counted. */
static double pairs_of(const glia_node *n) {
    const glia_attention_sizes s = glia_attention_sizes_of(attrs_of(n), n->in);
    return 2.0 * (double)s.samples * (double)s.heads * (double)s.queries * (double)s.keys * (double)s.size;
}
static double attention_flops(const glia_node *n) { return 2 * pairs_of(n); }
static double attention_grad_flops(const glia_node *n) { return (attrs_of(n)->of_bias ? 2 : 5) * pairs_of(n); }
#define attention_dropout_flops      attention_flops
#define attention_dropout_grad_flops attention_grad_flops

#define OWN(type, member) GLIA_FIELD(type, glia_attention_attrs, member)
static const glia_field attention_fields[] = {
    OWN(INT, packing), OWN(INT, heads),  OWN(INT, groups),   OWN(FLOAT, scale), OWN(FLOAT, softcap), OWN(FLOAT, rate),
    OWN(INT, window),  OWN(INT, stream), OWN(BOOL, causal),  OWN(BOOL, alibi),  OWN(BOOL, lengths),  OWN(BOOL, offsets),
    OWN(BOOL, mask),   OWN(BOOL, bias),  OWN(BOOL, of_bias), GLIA_FIELDS_END
};

#define RECORD(op, text, infer_function, vjp_function, modal)                                                          \
    const glia_op glia_op_##op = { .name = #op,                                                                        \
                                   .summary = text,                                                                    \
                                   .arity = -1,                                                                        \
                                   .flags = GLIA_OP_COMPOSITE | (modal),                                               \
                                   .attr_size = sizeof(glia_attention_attrs),                                          \
                                   .fields = attention_fields,                                                         \
                                   .infer = infer_function,                                                            \
                                   .vjp = vjp_function,                                                                \
                                   .expand = op##_expand,                                                              \
                                   .flops = op##_flops };
RECORD(attention, "softmax(scale q k^T, masked) v for each head; a row without a key is 0", attention_infer,
       attention_vjp, 0)
RECORD(attention_grad, "attention's gradient in q, k, v, or in the bias", attention_grad_infer, NULL, 0)
RECORD(attention_dropout, "attention that drops weights; without that in inference", attention_infer,
       attention_dropout_vjp, GLIA_OP_MODAL)
RECORD(attention_dropout_grad, "attention_dropout's gradient in q, k, v, or in the bias", attention_grad_infer, NULL,
       GLIA_OP_MODAL)

/* ---- samples --------------------------------------------------------------------------------- */

#define OF(...)                                                                                                        \
    { .shape = GLIA_DIMS(__VA_ARGS__) }
#define WHOLE(from, to, ...)                                                                                           \
    { .dtype = GLIA_I32, .shape = GLIA_DIMS(__VA_ARGS__), .kind = GLIA_SAMPLE_INTEGER, .low = from, .high = to }
#define FLAGS(...)                                                                                                     \
    { .dtype = GLIA_BOOL, .shape = GLIA_DIMS(__VA_ARGS__), .kind = GLIA_SAMPLE_INTEGER, .low = 0, .high = 2 }
#define STATE                                                                                                          \
    { .dtype = GLIA_I64, .shape = GLIA_DIMS(2), .kind = GLIA_SAMPLE_INTEGER, .low = 0, .high = 1000, .constant = true }
#define ATTRS(...)                                                                                                     \
    .attrs = &(const glia_attention_attrs) { .scale = 0.5, __VA_ARGS__ }
#define IN(count, ...) .n = count, .in = { __VA_ARGS__ }
#define APART          .packing = GLIA_ATTENTION_APART
#define QKV            .packing = GLIA_ATTENTION_QKV
#define KV             .packing = GLIA_ATTENTION_KV

const glia_op_sample glia_samples_attention[] = {
    { .name = "plain", IN(3, OF(2, 3, 2, 4), OF(2, 3, 2, 4), OF(2, 3, 2, 4)), ATTRS(APART, .heads = 2, .groups = 2) },
    { .name = "cross", IN(3, OF(2, 3, 2, 4), OF(2, 5, 2, 4), OF(2, 5, 2, 4)), ATTRS(APART, .heads = 2, .groups = 2) },
    { .name = "grouped",
      IN(3, OF(1, 3, 4, 3), OF(1, 4, 2, 3), OF(1, 4, 2, 3)),
      ATTRS(APART, .heads = 4, .groups = 2, .causal = true) },
    { .name = "packed", IN(1, OF(2, 4, 18)), ATTRS(QKV, .heads = 2, .groups = 2, .causal = true) },
    { .name = "packed grouped", IN(1, OF(2, 3, 16)), ATTRS(QKV, .heads = 4, .groups = 2) },
    { .name = "packed keys", IN(2, OF(2, 3, 6), OF(2, 4, 12)), ATTRS(KV, .heads = 2, .groups = 2) },
    { .name = "window", IN(1, OF(1, 6, 6)), ATTRS(QKV, .heads = 1, .groups = 1, .window = 2) },
    { .name = "causal window", IN(1, OF(1, 6, 6)), ATTRS(QKV, .heads = 1, .groups = 1, .window = 3, .causal = true) },
    { .name = "lengths", IN(2, OF(3, 4, 12), WHOLE(0, 5, 3)), ATTRS(QKV, .heads = 2, .groups = 2, .lengths = true) },
    { .name = "offsets",
      IN(3, OF(3, 2, 6), OF(3, 6, 12), WHOLE(-1, 5, 3)),
      ATTRS(KV, .heads = 2, .groups = 2, .offsets = true, .causal = true) },
    { .name = "mask", IN(2, OF(2, 4, 12), FLAGS(2, 1, 4, 4)), ATTRS(QKV, .heads = 2, .groups = 2, .mask = true) },
    { .name = "bias", IN(2, OF(2, 4, 12), OF(2, 4, 4)), ATTRS(QKV, .heads = 2, .groups = 2, .bias = true) },
    { .name = "alibi", IN(1, OF(1, 4, 18)), ATTRS(QKV, .heads = 3, .groups = 3, .alibi = true, .causal = true) },
    { .name = "softcap", IN(1, OF(2, 4, 12)), ATTRS(QKV, .heads = 2, .groups = 2, .softcap = 0.3) },
    { .name = "dropout",
      IN(2, OF(2, 4, 12), STATE),
      ATTRS(QKV, .heads = 2, .groups = 2, .rate = 0.4, .stream = 3),
      .no_golden = true },
    { 0 },
};

#define Y(...) OF(__VA_ARGS__), OF(__VA_ARGS__)
const glia_op_sample glia_samples_attention_grad[] = {
    { .name = "cross",
      IN(5, OF(2, 3, 2, 4), OF(2, 5, 2, 4), OF(2, 5, 2, 4), Y(2, 3, 2, 4)),
      ATTRS(APART, .heads = 2, .groups = 2) },
    { .name = "grouped",
      IN(5, OF(1, 3, 4, 3), OF(1, 4, 2, 3), OF(1, 4, 2, 3), Y(1, 3, 4, 3)),
      ATTRS(APART, .heads = 4, .groups = 2, .causal = true) },
    { .name = "packed", IN(3, OF(2, 4, 18), Y(2, 4, 6)), ATTRS(QKV, .heads = 2, .groups = 2, .causal = true) },
    { .name = "packed keys", IN(4, OF(2, 3, 6), OF(2, 4, 12), Y(2, 3, 6)), ATTRS(KV, .heads = 2, .groups = 2) },
    { .name = "lengths",
      IN(4, OF(3, 4, 12), Y(3, 4, 4), WHOLE(0, 5, 3)),
      ATTRS(QKV, .heads = 2, .groups = 2, .lengths = true, .window = 3) },
    { .name = "mask",
      IN(4, OF(2, 4, 12), Y(2, 4, 4), FLAGS(2, 4, 4)),
      ATTRS(QKV, .heads = 2, .groups = 2, .mask = true, .softcap = 0.3) },
    { .name = "bias",
      IN(4, OF(2, 4, 12), Y(2, 4, 4), OF(2, 4, 4)),
      ATTRS(QKV, .heads = 2, .groups = 2, .bias = true, .alibi = true) },
    { .name = "of bias",
      IN(4, OF(2, 4, 12), Y(2, 4, 4), OF(2, 4, 4)),
      ATTRS(QKV, .heads = 2, .groups = 2, .bias = true, .of_bias = true, .causal = true) },
    { .name = "dropout",
      IN(4, OF(2, 4, 12), Y(2, 4, 4), STATE),
      ATTRS(QKV, .heads = 2, .groups = 2, .rate = 0.4, .stream = 3),
      .no_golden = true },
    { 0 },
};

const glia_op_sample glia_samples_attention_dropout[] = {
    { .name = "packed",
      IN(2, OF(2, 4, 12), STATE),
      ATTRS(QKV, .heads = 2, .groups = 2, .rate = 0.4, .stream = 3, .causal = true),
      .no_golden = true },
    { .name = "cross",
      IN(4, OF(2, 3, 2, 4), OF(2, 5, 1, 4), OF(2, 5, 1, 4), STATE),
      ATTRS(APART, .heads = 2, .groups = 1, .rate = 0.25, .stream = 1),
      .no_golden = true },
    { 0 },
};
const glia_op_sample glia_samples_attention_dropout_grad[] = {
    { .name = "packed",
      IN(4, OF(2, 4, 12), Y(2, 4, 4), STATE),
      ATTRS(QKV, .heads = 2, .groups = 2, .rate = 0.4, .stream = 3, .causal = true),
      .no_golden = true },
    { 0 },
};

/* ---- constructors ---------------------------------------------------------------------------- */

static int add_option(glia_tensor *in, int count, glia_tensor option, bool *there) {
    *there = option != NULL;
    if (option) in[count++] = option;
    return count;
}

static glia_attention_attrs attrs_from(glia_attention_opts o, int packing, int64_t heads, int64_t groups,
                                       int64_t size) {
    return (glia_attention_attrs){ .packing = packing,
                                   .heads = heads,
                                   .groups = groups,
                                   .scale = glia_option(o.scale, 1 / sqrt((double)GLIA_MAX(size, 1))),
                                   .softcap = glia_option(o.softcap, 0),
                                   .window = o.window,
                                   .causal = o.causal,
                                   .alibi = o.alibi };
}

/* in: the packed inputs; there is room for the options. */
static glia_tensor attention_of(glia_tensor *in, int count, glia_attention_attrs a, glia_attention_opts o) {
    if (any_bad(in, count)) return glia_node_create(glia_graph_of(in, count), &glia_op_attention, in, count, NULL);
    glia_graph *g = in[0]->graph;
    count = add_option(in, count, o.lengths, &a.lengths);
    count = add_option(in, count, o.offsets, &a.offsets);
    count = add_option(in, count, o.mask, &a.mask);
    count = add_option(in, count, o.bias, &a.bias);
    if (o.dropout == 0) return glia_node_create(g, &glia_op_attention, in, count, &a);
    a.rate = o.dropout;
    g = glia_graph_for_random(g);
    for (int i = 0; i < count; i++) in[i] = glia_graph_capture(g, in[i]);
    if (any_bad(in, count)) return g->bad;
    a.stream = g->n_streams;
    if (a.rate > 0) in[count++] = glia_random_state(g);
    return glia_node_create(g, &glia_op_attention_dropout, in, count, &a);
}

static int64_t size_at(glia_tensor x, int axis) {
    return glia_is_bad(x) || axis >= x->shape.rank ? 0 : x->shape.dim[axis];
}

glia_tensor glia_attention(glia_tensor q, glia_tensor k, glia_tensor v, glia_attention_opts opts) {
    glia_tensor in[8] = { q, k, v };
    return attention_of(in, 3, attrs_from(opts, GLIA_ATTENTION_APART, size_at(q, 2), size_at(k, 2), size_at(q, 3)),
                        opts);
}

glia_tensor glia_attention_qkv(glia_tensor qkv, glia_attention_opts opts) {
    glia_tensor in[8] = { qkv };
    const int64_t heads = GLIA_MAX(opts.heads, 0), groups = opts.groups ? opts.groups : heads;
    const int64_t size = size_at(qkv, 2) / GLIA_MAX(heads + 2 * groups, 1);
    return attention_of(in, 1, attrs_from(opts, GLIA_ATTENTION_QKV, heads, groups, size), opts);
}

glia_tensor glia_attention_kv(glia_tensor q, glia_tensor kv, glia_attention_opts opts) {
    glia_tensor in[8] = { q, kv };
    const int64_t heads = GLIA_MAX(opts.heads, 0), groups = opts.groups ? opts.groups : heads;
    return attention_of(in, 2, attrs_from(opts, GLIA_ATTENTION_KV, heads, groups, size_at(q, 2) / GLIA_MAX(heads, 1)),
                        opts);
}

/* The attention node itself is unused: creating it checks all arguments. */
glia_tensor glia_attention_weights(glia_tensor q, glia_tensor k, glia_attention_opts opts) {
    opts.dropout = 0;
    glia_tensor y = glia_attention(q, k, k, opts);
    return glia_is_bad(y) ? y : parts_of(attrs_of(y), y->in, false).weights;
}
