/* scan.c - a loop over time: the body, a separate graph, is evaluated once per step.
 *
 *     for t = 0 ... steps - 1 (reverse: downwards)
 *         next states, stacked values = body(sequences[:, t], states, captured values)
 *
 * Node and body have their inputs in the same order: sequences, states, captured values. A node has one output, so all
 * results are concatenated in one vector (glia_scan_part); each is a slice of it, which is not copied. Therefore all
 * have the same dtype, and the batch is their first axis.
 *
 * If the body draws random numbers, one captured input is the random state {seed, step}; in step t the body is given
 * {glia_scan_seed(seed, t), step} instead. If it reads the number of the step, one captured input is an i32 scalar, the
 * number of the first step (0); in step t the body is given that plus t.
 */
#include <string.h>

#include "core/ops/ops.h"

static const glia_scan_attrs *attrs_of(const glia_node *n) { return n->attrs; }

/* ---- shapes ---------------------------------------------------------------------------------- */

/* (N, ...) with the steps inserted after N. */
static glia_shape over_steps(glia_shape shape, int64_t steps) {
    for (int i = shape.rank; i > 1; i--) shape.dim[i] = shape.dim[i - 1];
    shape.dim[1] = steps;
    shape.rank++;
    return shape;
}

static bool is_stacked(const glia_scan_attrs *a, int i) { return i < a->stacked || i >= a->states; }

glia_part glia_scan_part(const glia_node *scan, int i) {
    const glia_scan_attrs *a = attrs_of(scan);
    glia_part part = { 0 };
    for (int k = 0; k <= i; k++) {
        part.start = glia_dim_plus(part.start, part.count);
        part.shape = a->body->outputs[k].node->shape;
        if (is_stacked(a, k)) part.shape = over_steps(part.shape, a->steps);
        part.count = glia_shape_count(part.shape);
    }
    return part;
}

static bool same_type(const glia_node *x, glia_dtype dtype, glia_shape shape) {
    return x->dtype == dtype && glia_shape_equal(x->shape, shape);
}

/* Checks that the body's input k agrees with what it is given. */
static bool infer_input(glia_node *n, int k, const glia_node *inside) {
    const glia_scan_attrs *a = attrs_of(n);
    const glia_node *in = n->in[k];
    char is[GLIA_SHAPE_TEXT], wants[GLIA_SHAPE_TEXT];
    glia_shape shape = inside->shape;
    if (k < a->sequences) {
        if (shape.rank < 1 || shape.rank >= GLIA_MAX_RANK)
            return glia_node_fail(n, "a sequence has a batch and no more than %d axes", GLIA_MAX_RANK);
        const glia_shape first = a->body->outputs[0].node->shape;
        if (first.rank < 1 || shape.dim[0] != first.dim[0])
            return glia_node_fail(n, "input %d has another batch than the results", k);
        shape = over_steps(shape, a->steps);
    }
    return same_type(in, inside->dtype, shape) ||
           glia_node_fail(n, "input %d is %s%s where the body takes %s%s", k, glia_dtype_name(in->dtype),
                          glia_shape_format(in->shape, is), glia_dtype_name(inside->dtype),
                          glia_shape_format(shape, wants));
}

static bool infer_inputs(glia_node *n) {
    const glia_scan_attrs *a = attrs_of(n);
    int k = 0;
    for (int id = 0; id < a->body->n_nodes; id++) {
        const glia_node *inside = a->body->nodes[id];
        if (!(inside->op->flags & GLIA_OP_LEAF) || glia_is_constant(inside)) continue;
        if (!glia_is_input(inside)) return glia_node_fail(n, "a body has no parameters and states of its own");
        if (k == n->n_in) return glia_node_fail(n, "the body has more inputs than the loop");
        if (!infer_input(n, k++, inside)) return false;
    }
    return k == n->n_in || glia_node_fail(n, "the body has %d inputs, the loop %d", k, n->n_in);
}

static bool infer_results(glia_node *n, int64_t *total) {
    const glia_scan_attrs *a = attrs_of(n);
    const glia_graph *body = a->body;
    const glia_node *first = body->outputs[0].node;
    char is[GLIA_SHAPE_TEXT], wants[GLIA_SHAPE_TEXT];
    *total = 0;
    for (int i = 0; i < body->n_outputs; i++) {
        const glia_node *y = body->outputs[i].node;
        if (y->dtype != first->dtype || (y->dtype != GLIA_F32 && y->dtype != GLIA_F64))
            return glia_node_fail(n, "states and stacked values must be all f32 or all f64; glia_cast() converts them");
        const int most = GLIA_MAX_RANK - (is_stacked(a, i) ? 1 : 0);
        if (y->shape.rank < 1 || y->shape.rank > most || y->shape.dim[0] != first->shape.dim[0])
            return glia_node_fail(n, "states and stacked values need the same leading batch axis: %s, %s",
                                  glia_shape_format(first->shape, wants), glia_shape_format(y->shape, is));
        if (i < a->states && !same_type(n->in[a->sequences + i], y->dtype, y->shape))
            return glia_node_fail(n, "state %d begins as %s%s and becomes %s%s", i,
                                  glia_dtype_name(n->in[a->sequences + i]->dtype),
                                  glia_shape_format(n->in[a->sequences + i]->shape, wants), glia_dtype_name(y->dtype),
                                  glia_shape_format(y->shape, is));
        *total = glia_dim_plus(*total, glia_dim_times(glia_shape_count(y->shape), is_stacked(a, i) ? a->steps : 1));
        if (*total == GLIA_DIM_NONE) return glia_node_fail(n, "the results are too large");
    }
    return true;
}

static bool scan_infer(glia_node *n) {
    const glia_scan_attrs *a = attrs_of(n);
    if (!a->body || a->body->n_outputs < 1 || a->body->n_updates) return glia_node_fail(n, "there is no body");
    if (a->steps < 1 || a->steps > INT32_MAX) return glia_node_fail(n, "there are %lld steps", (long long)a->steps);
    if (a->sequences < 0 || a->states < 0 || a->sequences > n->n_in || a->states > n->n_in - a->sequences ||
        a->states > a->body->n_outputs || a->stacked < 0 || a->stacked > a->states)
        return glia_node_fail(n, "%lld sequences and %lld states", (long long)a->sequences, (long long)a->states);
    int64_t total;
    if (!infer_inputs(n) || !infer_results(n, &total)) return false;
    if (a->random) {
        const bool inside = a->random > a->sequences + a->states && a->random <= n->n_in;
        if (!inside || !same_type(n->in[a->random - 1], GLIA_I64, GLIA_SHAPE(2)))
            return glia_node_fail(n, "its random state is not i64(2)");
    }
    if (a->index) {
        const bool inside = a->index > a->sequences + a->states && a->index <= n->n_in && a->index != a->random;
        if (!inside || !same_type(n->in[a->index - 1], GLIA_I32, GLIA_SCALAR))
            return glia_node_fail(n, "the number of its first step is not an i32 scalar");
    }
    n->dtype = a->body->outputs[0].node->dtype;
    n->shape = GLIA_SHAPE(total);
    n->graph->n_streams = GLIA_MAX(n->graph->n_streams, a->body->n_streams);
    return true;
}

/* ---- the definition -------------------------------------------------------------------------- */

int64_t glia_scan_seed(int64_t seed, int64_t t) {
    uint64_t z = (uint64_t)seed + ((uint64_t)t + 1) * 0x9E3779B97F4A7C15u; /* SplitMix64: increment and mixing */
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (int64_t)((z ^ (z >> 31)) >> 11); /* 53 bits, which a double holds */
}

/* The scratch after the result: the values of the body's nodes, the states of the next step, and a table of pointers to
 * the inputs of one node. */
static int64_t scan_extra(const glia_node *n) {
    const glia_scan_attrs *a = attrs_of(n);
    int64_t count = a->body->n_nodes;
    int most = 0;
    for (int id = 0; id < a->body->n_nodes; id++) {
        const glia_node *inside = a->body->nodes[id];
        count += glia_is_input(inside) ? glia_shape_count(inside->shape) : glia_eval_count(inside);
        most = GLIA_MAX(most, inside->n_in);
    }
    for (int i = 0; i < a->states; i++) count += glia_shape_count(a->body->outputs[i].node->shape);
    return count + most;
}

typedef struct evaluation {
    const glia_node *scan;
    const double *const *in;
    double *out, *next;
    double **value; /* by id in the body */
    const double **operands;
} evaluation;

static void set_inputs(const evaluation *e, int64_t t, bool first) {
    const glia_scan_attrs *a = attrs_of(e->scan);
    int k = 0;
    for (int id = 0; id < a->body->n_nodes; id++) {
        const glia_node *inside = a->body->nodes[id];
        if (!glia_is_input(inside)) continue;
        const int64_t count = glia_shape_count(inside->shape);
        if (k < a->sequences) {
            const int64_t rows = inside->shape.dim[0];
            for (int64_t i = 0; i < rows; i++)
                memcpy(e->value[id] + i * (count / rows), e->in[k] + (i * a->steps + t) * (count / rows),
                       (size_t)(count / rows) * sizeof(double));
        } else if (k + 1 == a->random) {
            e->value[id][0] = (double)glia_scan_seed((int64_t)e->in[k][0], t);
            e->value[id][1] = e->in[k][1];
        } else if (k + 1 == a->index) {
            e->value[id][0] = e->in[k][0] + (double)t;
        } else if (first) {
            memcpy(e->value[id], e->in[k], (size_t)count * sizeof(double));
        }
        k++;
    }
}

static void compute(const evaluation *e) {
    const glia_graph *body = attrs_of(e->scan)->body;
    for (int id = 0; id < body->n_nodes; id++) {
        const glia_node *inside = body->nodes[id];
        if (glia_is_input(inside)) continue;
        for (int i = 0; i < inside->n_in; i++) e->operands[i] = e->value[inside->in[i]->id];
        inside->op->eval(inside, e->operands, e->value[id]);
    }
}

static void take_results(const evaluation *e, int64_t t) {
    const glia_scan_attrs *a = attrs_of(e->scan);
    double *out = e->out, *next = e->next;
    for (int i = 0; i < a->body->n_outputs; i++) {
        const glia_node *y = a->body->outputs[i].node;
        const int64_t count = glia_shape_count(y->shape), rows = y->shape.dim[0];
        const int64_t steps = is_stacked(a, i) ? a->steps : 1, inner = count / rows;
        for (int64_t row = 0; row < rows; row++) {
            double *to = out + (row * steps + (is_stacked(a, i) ? t : 0)) * inner;
            memcpy(to, e->value[y->id] + row * inner, (size_t)inner * sizeof *to);
        }
        out += count * steps;
        if (i >= a->states) continue;
        memcpy(next, e->value[y->id], (size_t)count * sizeof *next);
        next += count;
    }
    next = e->next;
    int k = 0;
    for (int id = 0; id < a->body->n_nodes && k < a->sequences + a->states; id++) {
        const glia_node *inside = a->body->nodes[id];
        if (!glia_is_input(inside) || k++ < a->sequences) continue;
        const int64_t count = glia_shape_count(inside->shape);
        memcpy(e->value[id], next, (size_t)count * sizeof *next);
        next += count;
    }
}

static void scan_eval(const glia_node *n, const double *const *in, double *out) {
    const glia_scan_attrs *a = attrs_of(n);
    double *room = out + glia_shape_count(n->shape);
    evaluation e = { .scan = n, .in = in, .out = out, .value = (double **)(void *)room };
    room += a->body->n_nodes;
    for (int id = 0; id < a->body->n_nodes; id++) {
        const glia_node *inside = a->body->nodes[id];
        e.value[id] = room;
        room += glia_is_input(inside) ? glia_shape_count(inside->shape) : glia_eval_count(inside);
    }
    e.next = room;
    for (int i = 0; i < a->states; i++) room += glia_shape_count(a->body->outputs[i].node->shape);
    e.operands = (const double **)(void *)room;
    for (int64_t i = 0; i < a->steps; i++) {
        const int64_t t = a->reverse ? a->steps - 1 - i : i;
        set_inputs(&e, t, i == 0);
        compute(&e);
        take_results(&e, t);
    }
}

static double scan_flops(const glia_node *n) {
    const glia_scan_attrs *a = attrs_of(n);
    double flops = 0;
    for (int id = 0; id < a->body->n_nodes; id++) {
        const glia_node *inside = a->body->nodes[id];
        if (inside->op->flops) flops += inside->op->flops(inside);
    }
    return flops * (double)a->steps;
}

static const glia_field scan_fields[] = { GLIA_FIELD(GRAPH, glia_scan_attrs, body),
                                          GLIA_FIELD(INT, glia_scan_attrs, steps),
                                          GLIA_FIELD(INT, glia_scan_attrs, sequences),
                                          GLIA_FIELD(INT, glia_scan_attrs, states),
                                          GLIA_FIELD(INT, glia_scan_attrs, stacked),
                                          GLIA_FIELD(INT, glia_scan_attrs, random),
                                          GLIA_FIELD(INT, glia_scan_attrs, index),
                                          GLIA_FIELD(BOOL, glia_scan_attrs, reverse),
                                          GLIA_FIELDS_END };

const glia_op glia_op_scan = { .name = "scan",
                               .summary = "a loop over time: its body, step by step; all results in one vector",
                               .arity = -1,
                               .attr_size = sizeof(glia_scan_attrs),
                               .fields = scan_fields,
                               .infer = scan_infer,
                               .eval = scan_eval,
                               .eval_extra = scan_extra,
                               .vjp = glia_scan_vjp,
                               .flops = scan_flops };

/* ---- samples --------------------------------------------------------------------------------- */

/* h' = tanh(x w + s h), and x h' is stacked: x (2, 3), h (2, 3), w (3, 3), s (2, 1). */
#define MATRIX GLIA_DIMS(2, 3)
#define LEAF(k, ...)                                                                                                   \
    {                                                                                                                  \
        &sample_body, &glia_op_input, GLIA_F64, __VA_ARGS__, k, 0, NULL,                                               \
            &(const glia_leaf){ .name = "in" #k, .dtype = GLIA_F64, .shape = __VA_ARGS__ }, "in" #k                    \
    }
#define NODE(k, op, n, inputs, attrs)                                                                                  \
    { &sample_body, &op, GLIA_F64, MATRIX, k, n, inputs, attrs, NULL }
#define OF(...) ((glia_node *[]){ __VA_ARGS__ })

static glia_graph sample_body;
static glia_node sample_nodes[] = {
    LEAF(0, MATRIX),
    LEAF(1, MATRIX),
    LEAF(2, GLIA_DIMS(3, 3)),
    LEAF(3, GLIA_DIMS(2, 1)),
    NODE(4, glia_op_matmul, 2, OF(&sample_nodes[0], &sample_nodes[2]), &(const glia_matmul_attrs){ 0 }),
    NODE(5, glia_op_broadcast, 1, OF(&sample_nodes[3]), &(const glia_shape_attrs){ MATRIX }),
    NODE(6, glia_op_mul, 2, OF(&sample_nodes[5], &sample_nodes[1]), NULL),
    NODE(7, glia_op_add, 2, OF(&sample_nodes[4], &sample_nodes[6]), NULL),
    NODE(8, glia_op_tanh, 1, OF(&sample_nodes[7]), NULL),
    NODE(9, glia_op_mul, 2, OF(&sample_nodes[0], &sample_nodes[8]), NULL),
};
static glia_graph sample_body = {
    .nodes =
        (glia_node *[]){ &sample_nodes[0], &sample_nodes[1], &sample_nodes[2], &sample_nodes[3], &sample_nodes[4],
                         &sample_nodes[5], &sample_nodes[6], &sample_nodes[7], &sample_nodes[8], &sample_nodes[9] },
    .n_nodes = 10,
    .outputs = (glia_named[]){ { "state", &sample_nodes[8] }, { "each", &sample_nodes[9] } },
    .n_outputs = 2,
    .closed = true
};

#define SAMPLE(title, ...)                                                                                             \
    {                                                                                                                  \
        .name = title, .n = 4,                                                                                         \
        .in = { { .dtype = GLIA_F64, .shape = GLIA_DIMS(2, 4, 3) },                                                    \
                { .dtype = GLIA_F64, .shape = GLIA_DIMS(2, 3) },                                                       \
                { .dtype = GLIA_F64, .shape = GLIA_DIMS(3, 3) },                                                       \
                { .dtype = GLIA_F64, .shape = GLIA_DIMS(2, 1) } },                                                     \
        .attrs = &(const glia_scan_attrs) {                                                                            \
            .body = &sample_body, .steps = 4, .sequences = 1, .states = 1, __VA_ARGS__                                 \
        }                                                                                                              \
    }
#undef LEAF
#undef NODE

/* h' = tanh(x + t h), t the number of the step: x (2, 3), h (2, 3). */
#define LEAF(k, type, ...)                                                                                             \
    {                                                                                                                  \
        &counting_body, &glia_op_input, type, __VA_ARGS__, k, 0, NULL,                                                 \
            &(const glia_leaf){ .name = "in" #k, .dtype = type, .shape = __VA_ARGS__ }, "in" #k                        \
    }
#define NODE(k, op, ...)                                                                                               \
    { &counting_body, &op, GLIA_F64, __VA_ARGS__, NULL }
static glia_graph counting_body;
static glia_node counting_nodes[] = {
    LEAF(0, GLIA_F64, MATRIX),
    LEAF(1, GLIA_F64, MATRIX),
    LEAF(2, GLIA_I32, { 0 }),
    NODE(3, glia_op_cast, { 0 }, 3, 1, OF(&counting_nodes[2]), &(const glia_cast_attrs){ GLIA_F64 }),
    NODE(4, glia_op_broadcast, MATRIX, 4, 1, OF(&counting_nodes[3]), &(const glia_shape_attrs){ MATRIX }),
    NODE(5, glia_op_mul, MATRIX, 5, 2, OF(&counting_nodes[4], &counting_nodes[1]), NULL),
    NODE(6, glia_op_add, MATRIX, 6, 2, OF(&counting_nodes[0], &counting_nodes[5]), NULL),
    NODE(7, glia_op_tanh, MATRIX, 7, 1, OF(&counting_nodes[6]), NULL),
};
static glia_graph counting_body = {
    .nodes = (glia_node *[]){ &counting_nodes[0], &counting_nodes[1], &counting_nodes[2], &counting_nodes[3],
                              &counting_nodes[4], &counting_nodes[5], &counting_nodes[6], &counting_nodes[7] },
    .n_nodes = 8,
    .outputs = (glia_named[]){ { "state", &counting_nodes[7] } },
    .n_outputs = 1,
    .closed = true
};
#define COUNTING(title, ...)                                                                                           \
    {                                                                                                                  \
        .name = title, .n = 3,                                                                                         \
        .in = { { .dtype = GLIA_F64, .shape = GLIA_DIMS(2, 4, 3) },                                                    \
                { .dtype = GLIA_F64, .shape = GLIA_DIMS(2, 3) },                                                       \
                { .dtype = GLIA_I32, .kind = GLIA_SAMPLE_INTEGER, .low = -2, .high = 3, .constant = true } },          \
        .attrs = &(const glia_scan_attrs) {                                                                            \
            .body = &counting_body, .steps = 4, .sequences = 1, .states = 1, .index = 3, __VA_ARGS__                   \
        }                                                                                                              \
    }
const glia_op_sample glia_samples_scan[] = {
    SAMPLE("every state", .stacked = 1),
    SAMPLE("reverse", .stacked = 1, .reverse = true),
    SAMPLE("last state", .stacked = 0),
    COUNTING("numbered", .stacked = 1),
    COUNTING("numbered, reverse", .stacked = 0, .reverse = true),
    { 0 },
};
