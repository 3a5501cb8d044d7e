/* random.c - random numbers, as a pure function of (seed, step, stream, element).
 *
 * The state "rng", i64 (2), holds the seed and the step; the step is incremented after each run of a program. Both are
 * reduced to below 2^53, which a double holds. Every random node has its own stream, numbered in order of creation and
 * kept by the passes. Elements are generated in blocks of four, in row-major order; block b of a node is
 *
 *     word[0..3] = Philox4x32-10( key     = { low(seed), high(seed) ^ high(step) },
 *                                 counter = { low(b), high(b), low(stream), low(step) } )
 *
 * where low and high are the two 32-bit halves. Element 4b + i is (word[i] >> 8) * 2^-24: an exact f32 in [0, 1). Every
 * kernel gives the same bits, in any order, on any number of threads.
 */
#include "core/ops/ops.h"

static const glia_random_attrs *attrs_of(const glia_node *n) { return n->attrs; }

static bool random_uniform_infer(glia_node *n) {
    const glia_node *rng = n->in[0];
    n->dtype = GLIA_F32;
    n->shape = attrs_of(n)->shape;
    if (rng->dtype != GLIA_I64 || rng->shape.rank != 1 || rng->shape.dim[0] != 2) {
        return glia_node_fail(n, "the random state is i64(2): seed and step");
    }
    int64_t stream = attrs_of(n)->stream;
    if (stream < 0 || stream >= INT32_MAX) return glia_node_fail(n, "no such stream: %lld", (long long)stream);
    n->graph->n_streams = GLIA_MAX(n->graph->n_streams, (int)stream + 1); /* also in graphs read from text */
    return true;
}

static void random_uniform_eval(const glia_node *n, const double *const *in, double *out) {
    uint64_t seed = (uint64_t)(int64_t)in[0][0], step = (uint64_t)(int64_t)in[0][1];
    uint64_t stream = (uint64_t)attrs_of(n)->stream;
    uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) ^ (uint32_t)(step >> 32) }, word[4];
    int64_t count = glia_shape_count(n->shape);
    for (int64_t i = 0; i < count; i++) {
        uint64_t b = (uint64_t)i >> 2;
        uint32_t counter[4] = { (uint32_t)b, (uint32_t)(b >> 32), (uint32_t)stream, (uint32_t)step };
        if (i % 4 == 0) glia_philox(key, counter, word);
        out[i] = (double)(word[i % 4] >> 8) * 0x1p-24;
    }
}

static const glia_field random_fields[] = { GLIA_FIELD(SHAPE, glia_random_attrs, shape),
                                            GLIA_FIELD(INT, glia_random_attrs, stream), GLIA_FIELDS_END };

const glia_op glia_op_random_uniform = { .name = "random_uniform",
                                         .summary = "U[0, 1) from Philox, by seed, step and stream",
                                         .arity = 1,
                                         .attr_size = sizeof(glia_random_attrs),
                                         .fields = random_fields,
                                         .infer = random_uniform_infer,
                                         .eval = random_uniform_eval };

const glia_op_sample glia_samples_random_uniform[] = {
    { .name = "plain",
      .n = 1,
      .in = { { .dtype = GLIA_I64, .shape = GLIA_DIMS(2), .kind = GLIA_SAMPLE_INTEGER, .low = 0, .high = 1e9 } },
      .attrs = &(const glia_random_attrs){ GLIA_DIMS(3, 5, 2), 7 } },
    { 0 },
};

glia_tensor glia_random_uniform(glia_graph *g, glia_shape shape) {
    g = glia_graph_for_random(g);
    glia_tensor rng = glia_random_state(g);
    return glia_node1(&glia_op_random_uniform, rng, &(glia_random_attrs){ shape, g ? g->n_streams : 0 });
}

/* Multiples of 2^-24 in [0, 1) times a range of at most 2^24, rounded down. */
glia_tensor glia_random_integers(glia_graph *g, glia_dtype dtype, glia_shape shape, int64_t low, int64_t high) {
    enum { MOST = 1 << 24 };
    if (dtype != GLIA_I32 && dtype != GLIA_I64) {
        return glia_graph_fail(g, GLIA_E_ARGUMENT, "random_integers: the dtype must be i32 or i64");
    }
    if (low < -MOST || high > MOST || high <= low || high - low > MOST) {
        return glia_graph_fail(g, GLIA_E_ARGUMENT,
                               "random_integers: [%lld, %lld) must hold 1 to 2^24 numbers, none beyond 2^24",
                               (long long)low, (long long)high);
    }
    glia_tensor u = glia_mul_scalar(glia_random_uniform(g, shape), (double)(high - low));
    return glia_cast(glia_add_scalar(glia_floor(u), (double)low), dtype);
}

/* The argmax of logits + Gumbel noise, -log(-log u), is a draw from softmax(logits) (Gumbel 1954). u = 0: -inf. */
glia_tensor glia_random_categorical(glia_tensor logits) {
    if (glia_is_bad(logits)) return logits;
    glia_tensor u = glia_random_uniform(logits->graph, logits->shape); /* in the open loop body, if any */
    glia_tensor noise = glia_neg(glia_log(glia_neg(glia_log(u))));
    return glia_argmax(glia_add(logits, glia_cast(noise, logits->dtype)), -1);
}

/* Box and Muller 1958: sqrt(-2 log u) cos(2 pi v), u in (0, 1]. */
glia_tensor glia_random_normal(glia_graph *g, glia_shape shape) {
    glia_tensor u = glia_add_scalar(glia_neg(glia_random_uniform(g, shape)), 1);
    glia_tensor v = glia_random_uniform(g, shape);
    glia_tensor radius = glia_sqrt(glia_mul_scalar(glia_log(u), -2));
    return glia_mul(radius, glia_cos(glia_mul_scalar(v, 6.283185307179586)));
}
