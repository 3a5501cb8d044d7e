/* leaf.c - the leaves of a graph: inputs, parameters, states, constants.
 *
 * A leaf's value is outside the graph: in a session's input buffer, or in the store's tensor of that name. Constants
 * hold their own values.
 */
#include <string.h>

#include "core/graph/graph.h"

/* The names used in files. A name must never change its meaning; the order may change. */
static const char *const init_names[] = {
    [GLIA_INIT_DEFAULT] = "default",
    [GLIA_INIT_ZEROS] = "zeros",
    [GLIA_INIT_CONSTANT] = "constant",
    [GLIA_INIT_UNIFORM] = "uniform",
    [GLIA_INIT_NORMAL] = "normal",
    [GLIA_INIT_TRUNCATED_NORMAL] = "truncated_normal",
    [GLIA_INIT_GLOROT_UNIFORM] = "glorot_uniform",
    [GLIA_INIT_GLOROT_NORMAL] = "glorot_normal",
    [GLIA_INIT_HE_UNIFORM] = "he_uniform",
    [GLIA_INIT_HE_NORMAL] = "he_normal",
    [GLIA_INIT_LECUN_UNIFORM] = "lecun_uniform",
    [GLIA_INIT_LECUN_NORMAL] = "lecun_normal",
    [GLIA_INIT_ORTHOGONAL] = "orthogonal",
    [GLIA_INIT_FAN_IN_UNIFORM] = "fan_in_uniform",
    [GLIA_INIT_SEED] = "seed",
    [GLIA_INIT_PART] = "part",
    [GLIA_INIT_CHRONO] = "chrono",
    NULL,
};

static bool leaf_infer(glia_node *n) {
    const glia_leaf *leaf = glia_leaf_of(n);
    n->dtype = leaf->dtype;
    n->shape = leaf->shape;
    if ((unsigned)leaf->dtype >= GLIA_DTYPE_COUNT) return glia_node_fail(n, "'%s' has no such dtype", leaf->name);
    if (!leaf->name || !leaf->name[0]) return glia_node_fail(n, "the name is empty");
    for (int i = 0; i < n->shape.rank && i < GLIA_MAX_RANK; i++) {
        const int64_t d = n->shape.dim[i];
        if ((d >= 0 && d < (int64_t)1 << 53) || glia_dim_valid(d)) continue; /* small ones: by glia_shape_valid() */
        return glia_node_fail(n, "dimension %d of '%s' is neither a size nor GLIA_TIMES(k, ...) of one", i, leaf->name);
    }
    if (leaf->init < 0 || leaf->init >= GLIA_COUNT(init_names) - 1) {
        return glia_node_fail(n, "'%s' has no such initialiser: %lld", leaf->name, (long long)leaf->init);
    }
    n->label = leaf->name;
    return true;
}

static const glia_field leaf_fields[] = { GLIA_FIELD(STRING, glia_leaf, name),
                                          GLIA_FIELD(DTYPE, glia_leaf, dtype),
                                          GLIA_FIELD(SHAPE, glia_leaf, shape),
                                          GLIA_FIELD(BOOL, glia_leaf, frozen),
                                          GLIA_ENUM_FIELD(glia_leaf, init, init_names),
                                          GLIA_FIELD(FLOAT, glia_leaf, value),
                                          GLIA_FIELD(FLOAT, glia_leaf, low),
                                          GLIA_FIELD(FLOAT, glia_leaf, high),
                                          GLIA_FIELD(FLOAT, glia_leaf, mean),
                                          GLIA_FIELD(FLOAT, glia_leaf, stddev),
                                          GLIA_FIELD(FLOAT, glia_leaf, fan_in),
                                          GLIA_FIELD(FLOAT, glia_leaf, fan_out),
                                          GLIA_FIELDS_END };

static const glia_field input_fields[] = { GLIA_FIELD(STRING, glia_leaf, name), GLIA_FIELD(DTYPE, glia_leaf, dtype),
                                           GLIA_FIELD(SHAPE, glia_leaf, shape), GLIA_FIELD(FLOAT, glia_leaf, value),
                                           GLIA_FIELDS_END };

const glia_op glia_op_input = { .name = "input",
                                .summary = "a value given before each run",
                                .flags = GLIA_OP_LEAF,
                                .attr_size = sizeof(glia_leaf),
                                .fields = input_fields,
                                .infer = leaf_infer };
const glia_op glia_op_parameter = { .name = "parameter",
                                    .summary = "a named value that training changes",
                                    .flags = GLIA_OP_LEAF,
                                    .attr_size = sizeof(glia_leaf),
                                    .fields = leaf_fields,
                                    .infer = leaf_infer };
const glia_op glia_op_state = { .name = "state",
                                .summary = "a named value that updates change",
                                .flags = GLIA_OP_LEAF,
                                .attr_size = sizeof(glia_leaf),
                                .fields = leaf_fields,
                                .infer = leaf_infer };

/* Whether the leaf was created with this initialiser. The default matches any. */
static bool same_init(const glia_leaf *a, const glia_leaf *b) {
    if (b->init == GLIA_INIT_DEFAULT) return true;
    return a->init == b->init && a->value == b->value && a->low == b->low && a->high == b->high && a->mean == b->mean &&
           a->stddev == b->stddev && a->fan_in == b->fan_in;
}

/* The leaf of this name: a new one, or the existing one if dtype, shape and initialiser agree. */
static glia_tensor leaf_create(glia_graph *g, const glia_op *op, const char *name, glia_leaf leaf) {
    if (!g) return NULL;
    if (g->error.status != GLIA_OK) return g->bad;
    if (!name || !name[0]) return glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: a name is needed", op->name);
    if (g->parent && op == &glia_op_input) {
        return glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_input: '%s' is made inside a loop: make it before", name);
    }
    if (g->parent) { /* one parameter for all steps, in the enclosing graph */
        glia_tensor outer = leaf_create(g->parent, op, name, leaf);
        glia_tensor inner = outer ? glia_graph_capture(g, outer) : NULL;
        return inner ? inner : g->bad;
    }
    glia_node *old = glia_graph_find_leaf(g, name);
    if (old) {
        const bool same = old->op == op && op != &glia_op_input && old->dtype == leaf.dtype &&
                          glia_shape_equal(old->shape, leaf.shape);
        if (same && same_init(glia_leaf_of(old), &leaf)) return old;
        if (same) {
            return glia_graph_fail(
                g, GLIA_E_ARGUMENT, "%s '%s' was created with the initialiser %s and is requested again with %s%s",
                op->name, name, init_names[glia_leaf_of(old)->init],
                leaf.init >= 0 && leaf.init < GLIA_COUNT(init_names) - 1 ? init_names[leaf.init] : "another",
                glia_leaf_of(old)->init == leaf.init ? " of other numbers" : "");
        }
        char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
        return glia_graph_fail(g, GLIA_E_ARGUMENT, "the name '%s' is taken by %s %s%s and cannot be %s %s%s as well",
                               name, old->op->name, glia_dtype_name(old->dtype), glia_shape_format(old->shape, a),
                               op->name, glia_dtype_name(leaf.dtype), glia_shape_format(leaf.shape, b));
    }
    leaf.name = name;
    return glia_node_create(g, op, NULL, 0, &leaf);
}

glia_tensor glia_input(glia_graph *g, const char *name, glia_dtype dtype, glia_shape shape) {
    return leaf_create(g, &glia_op_input, name, (glia_leaf){ .dtype = dtype, .shape = shape });
}

static glia_leaf with_init(glia_dtype dtype, glia_shape shape, glia_init init) {
    return (glia_leaf){ .dtype = dtype,
                        .shape = shape,
                        .init = init.kind,
                        .value = init.value,
                        .low = init.low,
                        .high = init.high,
                        .mean = init.mean,
                        .stddev = init.stddev,
                        .fan_in = init.fan_in };
}

glia_tensor glia_parameter(glia_graph *g, const char *name, glia_dtype dtype, glia_shape shape, glia_init init) {
    return leaf_create(g, &glia_op_parameter, name, with_init(dtype, shape, init));
}

glia_tensor glia_state(glia_graph *g, const char *name, glia_dtype dtype, glia_shape shape, glia_init init) {
    if (init.kind == GLIA_INIT_DEFAULT) init.kind = GLIA_INIT_ZEROS;
    return leaf_create(g, &glia_op_state, name, with_init(dtype, shape, init));
}

/* ---- constants ------------------------------------------------------------------------------ */

static bool constant_infer(glia_node *n) {
    const glia_constant_attrs *a = n->attrs;
    n->dtype = a->dtype;
    n->shape = a->shape;
    if (a->values.n != 1 && a->values.n != glia_shape_count(a->shape))
        return glia_node_fail(n, "has %lld values", (long long)a->values.n);
    return true;
}

static void constant_eval(const glia_node *n, const double *const *in, double *out) {
    (void)in;
    const glia_constant_attrs *a = n->attrs;
    int64_t count = glia_shape_count(n->shape);
    for (int64_t i = 0; i < count; i++) out[i] = a->values.v[a->values.n == 1 ? 0 : i];
}

static const glia_field constant_fields[] = { GLIA_FIELD(DTYPE, glia_constant_attrs, dtype),
                                              GLIA_FIELD(SHAPE, glia_constant_attrs, shape),
                                              GLIA_FIELD(VALUES, glia_constant_attrs, values), GLIA_FIELDS_END };

const glia_op glia_op_constant = { .name = "constant",
                                   .summary = "numbers known while building",
                                   .flags = GLIA_OP_LEAF,
                                   .attr_size = sizeof(glia_constant_attrs),
                                   .fields = constant_fields,
                                   .infer = constant_infer,
                                   .eval = constant_eval };

bool glia_is_constant_scalar(const glia_node *n, double *value) {
    if (!glia_is_constant(n)) return false;
    const glia_constant_attrs *a = n->attrs;
    for (int64_t i = 1; i < a->values.n; i++) {
        if (memcmp(&a->values.v[i], &a->values.v[0], sizeof(double))) return false;
    }
    *value = a->values.v[0];
    return true;
}

glia_tensor glia_constant(glia_graph *g, glia_dtype dtype, glia_shape shape, const double *values) {
    if (!g) return NULL;
    if (!glia_shape_valid(shape) || glia_shape_symbolic(shape) || !values) {
        return glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_constant: needs a fixed shape and values");
    }
    glia_constant_attrs attrs = { dtype, shape, { values, glia_shape_count(shape) } };
    return glia_node_create(g, &glia_op_constant, NULL, 0, &attrs);
}

static glia_tensor filled(glia_graph *g, glia_dtype dtype, glia_shape shape, double value) {
    value = glia_round_to(dtype, value);
    glia_constant_attrs attrs = { dtype, shape, { &value, 1 } };
    return glia_node_create(g, &glia_op_constant, NULL, 0, &attrs);
}

glia_tensor glia_scalar(glia_graph *g, glia_dtype dtype, double value) { return filled(g, dtype, GLIA_SCALAR, value); }
glia_tensor glia_like(glia_tensor x, double value) { return x ? filled(x->graph, x->dtype, x->shape, value) : NULL; }
