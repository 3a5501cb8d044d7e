/* one_hot.c - one-hot encoding of class indices.
 *
 * A comparison with 0, 1, 2, ... rather than a scatter: it fuses with the operations that use it. An index outside [0,
 * classes) gives a row of zeros.
 */
#include "core/ops/class.h"

typedef struct one_hot_attrs {
    int64_t classes;
    glia_dtype dtype;
} one_hot_attrs;

static bool one_hot_infer(glia_node *n) {
    const one_hot_attrs *a = n->attrs;
    n->dtype = a->dtype;
    n->shape = n->in[0]->shape;
    if (n->in[0]->dtype != GLIA_I32) return glia_node_fail(n, "the indices must be i32");
    if ((unsigned)a->dtype >= GLIA_DTYPE_COUNT) return glia_node_fail(n, "has no such dtype");
    if (a->classes < 1 || a->classes > INT32_MAX) {
        return glia_node_fail(n, "there cannot be %lld classes", (long long)a->classes);
    }
    if (n->shape.rank == GLIA_MAX_RANK) {
        return glia_node_fail(n, "the result would have more than %d axes", GLIA_MAX_RANK);
    }
    n->shape.dim[n->shape.rank++] = a->classes;
    return true;
}

static glia_tensor one_hot_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)mode;
    const one_hot_attrs *a = n->attrs;
    return glia_cast(glia_class_hits(in[0], a->classes), a->dtype);
}

static const glia_field one_hot_fields[] = { GLIA_FIELD(INT, one_hot_attrs, classes),
                                             GLIA_FIELD(DTYPE, one_hot_attrs, dtype), GLIA_FIELDS_END };

const glia_op glia_op_one_hot = { .name = "one_hot",
                                  .summary = "1 where the index is the place along a new last axis, else 0",
                                  .arity = 1,
                                  .flags = GLIA_OP_COMPOSITE,
                                  .attr_size = sizeof(one_hot_attrs),
                                  .fields = one_hot_fields,
                                  .infer = one_hot_infer,
                                  .expand = one_hot_expand };

#define INDICES(...)                                                                                                   \
    {                                                                                                                  \
        {                                                                                                              \
            .dtype = GLIA_I32, .shape = GLIA_DIMS(__VA_ARGS__), .kind = GLIA_SAMPLE_INTEGER, .low = -1, .high = 6,     \
            .constant = true                                                                                           \
        }                                                                                                              \
    }
const glia_op_sample glia_samples_one_hot[] = {
    { .name = "row", .n = 1, .in = INDICES(7), .attrs = &(const one_hot_attrs){ 5, GLIA_F32 } },
    { .name = "table", .n = 1, .in = INDICES(2, 3), .attrs = &(const one_hot_attrs){ 4, GLIA_F64 } },
    { 0 },
};

glia_tensor glia_one_hot(glia_tensor indices, int classes, glia_dtype dtype) {
    return glia_node1(&glia_op_one_hot, indices, &(one_hot_attrs){ classes, dtype });
}
