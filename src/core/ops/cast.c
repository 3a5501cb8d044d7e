/* cast.c - conversion to another dtype.
 *
 * To a float: rounded to nearest even. To an integer: truncated toward zero, wrapped to the width; NaN becomes 0. To
 * bool: x != 0. The gradient of a cast between floats is cast back; integers have no gradient.
 */
#include "core/ops/ops.h"

static bool cast_infer(glia_node *n) {
    n->dtype = ((const glia_cast_attrs *)n->attrs)->dtype;
    n->shape = n->in[0]->shape;
    return (unsigned)n->dtype < GLIA_DTYPE_COUNT || glia_node_fail(n, "there is no such dtype");
}

static void cast_eval(const glia_node *n, const double *const *in, double *out) {
    int64_t count = glia_shape_count(n->shape);
    for (int64_t i = 0; i < count; i++) out[i] = glia_round_to(n->dtype, in[0][i]);
}

static void cast_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_dtype from = y->in[0]->dtype;
    if (glia_dtype_is_float(from) && glia_dtype_is_float(y->dtype)) dx[0] = glia_cast(dy, from);
}

static const glia_field cast_fields[] = { GLIA_FIELD(DTYPE, glia_cast_attrs, dtype), GLIA_FIELDS_END };

const glia_op glia_op_cast = { .name = "cast",
                               .summary = "x in another dtype, rounded or truncated",
                               .arity = 1,
                               .flags = GLIA_OP_ELEMENTWISE,
                               .attr_size = sizeof(glia_cast_attrs),
                               .fields = cast_fields,
                               .infer = cast_infer,
                               .eval = cast_eval,
                               .vjp = cast_vjp };

#define FROM(type, from, to) { .dtype = type, .shape = GLIA_DIMS(3, 7), .low = from, .high = to }
#define TO(type) .attrs = &(const glia_cast_attrs){ type }
#define FIXED(type, from, to) { .dtype = type, .shape = GLIA_DIMS(3, 7), .low = from, .high = to, .constant = true }
const glia_op_sample glia_samples_cast[] = {
    { .name = "f32 to f64", .n = 1, .in = { FROM(GLIA_F32, -3, 3) }, TO(GLIA_F64) },
    { .name = "to i32", .n = 1, .in = { FIXED(GLIA_F32, -300, 300) }, TO(GLIA_I32) },
    { .name = "to i64", .n = 1, .in = { FIXED(GLIA_F32, -300, 300) }, TO(GLIA_I64) },
    { .name = "to u8", .n = 1, .in = { FIXED(GLIA_F32, 0, 255) }, TO(GLIA_U8) },
    { .name = "to i8", .n = 1, .in = { FIXED(GLIA_F32, -128.9, 127.9) }, TO(GLIA_I8) },
    { .name = "to bf16", .n = 1, .in = { FIXED(GLIA_F32, -3, 3) }, TO(GLIA_BF16) },
    { .name = "to f16", .n = 1, .in = { FIXED(GLIA_F32, -3, 3) }, TO(GLIA_F16) },
    { .name = "to bool",
      .n = 1,
      .in = { { .shape = GLIA_DIMS(3, 7), .kind = GLIA_SAMPLE_INTEGER, .low = -1, .high = 2, .constant = true } },
      TO(GLIA_BOOL) },
    { .name = "from i32",
      .n = 1,
      .in = { { .dtype = GLIA_I32, .shape = GLIA_DIMS(3, 7), .kind = GLIA_SAMPLE_INTEGER, .low = -99, .high = 99 } },
      TO(GLIA_F32) },
    { .name = "from i8",
      .n = 1,
      .in = { { .dtype = GLIA_I8, .shape = GLIA_DIMS(3, 7), .kind = GLIA_SAMPLE_INTEGER, .low = -128, .high = 128 } },
      TO(GLIA_F32) },
    { .name = "i8 to i32",
      .n = 1,
      .in = { { .dtype = GLIA_I8, .shape = GLIA_DIMS(3, 7), .kind = GLIA_SAMPLE_INTEGER, .low = -128, .high = 128 } },
      TO(GLIA_I32) },
    { .name = "from bool",
      .n = 1,
      .in = { { .dtype = GLIA_BOOL, .shape = GLIA_DIMS(3, 7), .kind = GLIA_SAMPLE_INTEGER, .low = 0, .high = 2 } },
      TO(GLIA_F32) },
    { 0 },
};

glia_tensor glia_cast(glia_tensor x, glia_dtype dtype) {
    if (!glia_is_bad(x) && x->dtype == dtype) return x;
    return glia_node1(&glia_op_cast, x, &(glia_cast_attrs){ dtype });
}
