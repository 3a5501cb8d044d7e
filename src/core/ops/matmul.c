/* matmul.c - matrix products: (..., M, K) x (..., K, N) -> (..., M, N); leading axes broadcast as NumPy's do.
 *
 * Either factor may be read transposed, so the gradients of a product are products again, without transposed copies:  y
 * = A B   gives   dA = dy B^T,   dB = A^T dy.
 */
#include "core/ops/ops.h"

enum { FIRST = 1, SECOND = 2 }; /* the factor that is sparse */

/* The rows and columns of a factor after its transposition. */
static int64_t rows_of(const glia_node *x, bool transposed) {
    return x->shape.dim[x->shape.rank - (transposed ? 1 : 2)];
}
static int64_t columns_of(const glia_node *x, bool transposed) {
    return x->shape.dim[x->shape.rank - (transposed ? 2 : 1)];
}

static bool matmul_infer(glia_node *n) {
    const glia_matmul_attrs *t = n->attrs;
    const glia_node *a = n->in[0], *b = n->in[1];
    if (t->sparse < 0 || t->sparse > SECOND) return glia_node_fail(n, "sparse is 0, 1 or 2");
    if (a->dtype != b->dtype) return glia_node_fail(n, "the dtypes differ; glia_cast() makes them one");
    if (a->dtype != GLIA_F32 && a->dtype != GLIA_F64) return glia_node_fail(n, "it takes f32 or f64");
    if (a->shape.rank < 2 || b->shape.rank < 2) return glia_node_fail(n, "both factors need a rank of 2 or more");
    if (columns_of(a, t->transpose_a) != rows_of(b, t->transpose_b)) {
        return glia_node_fail(n, "the inner sizes differ%s%s", t->transpose_a ? ", the first transposed" : "",
                              t->transpose_b ? ", the second transposed" : "");
    }
    glia_shape lead_a = a->shape, lead_b = b->shape;
    lead_a.rank -= 2;
    lead_b.rank -= 2;
    if (!glia_shape_broadcast(lead_a, lead_b, &n->shape)) return glia_node_fail(n, "the leading axes do not broadcast");
    n->dtype = a->dtype;
    n->shape.dim[n->shape.rank++] = rows_of(a, t->transpose_a);
    n->shape.dim[n->shape.rank++] = columns_of(b, t->transpose_b);
    return true;
}

/* Iterates over the leading axes of the result, with the offset of x's matrix. */
static glia_walk walk_matrices(const glia_node *n, const glia_node *x) {
    int64_t strides[GLIA_MAX_RANK];
    glia_shape_strides(x->shape, strides);
    glia_walk w = { .shape = n->shape };
    w.shape.rank -= 2;
    int lead = n->shape.rank - x->shape.rank;
    for (int i = 0; i < x->shape.rank - 2; i++) w.stride[lead + i] = x->shape.dim[i] == 1 ? 0 : strides[i];
    return w;
}

static void matmul_eval(const glia_node *n, const double *const *in, double *out) {
    const glia_matmul_attrs *t = n->attrs;
    int64_t rows = rows_of(n, false), columns = columns_of(n, false), inner = columns_of(n->in[0], t->transpose_a);
    int64_t a_row = t->transpose_a ? 1 : inner, a_step = t->transpose_a ? rows : 1;
    int64_t b_step = t->transpose_b ? 1 : columns, b_column = t->transpose_b ? inner : 1;
    int64_t matrices = glia_shape_count(n->shape) / (rows * columns);
    glia_walk wa = walk_matrices(n, n->in[0]), wb = walk_matrices(n, n->in[1]);
    for (int64_t m = 0; m < matrices; m++, glia_walk_step(&wa), glia_walk_step(&wb)) {
        const double *a = in[0] + wa.offset, *b = in[1] + wb.offset;
        for (int64_t i = 0; i < rows; i++) {
            for (int64_t j = 0; j < columns; j++) {
                double sum = 0;
                for (int64_t k = 0; k < inner; k++) {
                    double x = a[i * a_row + k * a_step], y = b[k * b_step + j * b_column];
                    sum += t->bf16 ? glia_round_to(GLIA_BF16, x) * glia_round_to(GLIA_BF16, y) : x * y;
                }
                *out++ = sum;
            }
        }
    }
}

/* If all matrices of the first factor are multiplied by the same second one, their rows form one tall matrix, and the
 * gradient of the second factor is one large product instead of a sum of many. */
static bool is_tall(const glia_node *y) {
    const glia_shape a = y->in[0]->shape, b = y->in[1]->shape;
    return !((const glia_matmul_attrs *)y->attrs)->transpose_a && a.rank > 2 && b.rank == 2 && a.dim[a.rank - 1] > 0 &&
           y->shape.dim[y->shape.rank - 1] > 0 && glia_shape_count(a) != INT64_MIN;
}

static glia_tensor tall(glia_tensor x) {
    return glia_is_bad(x) ? x : glia_reshape(x, GLIA_SHAPE(0, x->shape.dim[x->shape.rank - 1]));
}

static glia_tensor product(glia_tensor a, bool transpose_a, glia_tensor b, bool transpose_b, int64_t sparse) {
    glia_tensor in[2] = { a, b };
    return glia_node_create(glia_graph_of(in, 2), &glia_op_matmul, in, 2,
                            &(glia_matmul_attrs){ transpose_a, transpose_b, false, sparse });
}

static void matmul_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    const glia_matmul_attrs *t = y->attrs;
    const bool few_a = t->sparse == FIRST, few_b = t->sparse == SECOND;
    glia_tensor a = y->in[0], b = y->in[1];
    glia_tensor da = t->transpose_a ? product(b, t->transpose_b, dy, true, few_b ? FIRST : 0)
                                    : product(dy, false, b, !t->transpose_b, few_b ? SECOND : 0);
    dx[0] = glia_sum_to(da, a->shape);
    if (is_tall(y)) a = tall(a), dy = tall(dy);
    glia_tensor db = t->transpose_b ? product(dy, true, a, t->transpose_a, few_a ? SECOND : 0)
                                    : product(a, !t->transpose_a, dy, false, few_a ? FIRST : 0);
    dx[1] = glia_sum_to(db, b->shape);
}

static double matmul_flops(const glia_node *n) {
    const glia_matmul_attrs *t = n->attrs;
    return 2.0 * (double)glia_shape_count(n->shape) * (double)columns_of(n->in[0], t->transpose_a);
}

static const glia_field matmul_fields[] = { GLIA_FIELD(BOOL, glia_matmul_attrs, transpose_a),
                                            GLIA_FIELD(BOOL, glia_matmul_attrs, transpose_b),
                                            GLIA_FIELD(BOOL, glia_matmul_attrs, bf16),
                                            GLIA_FIELD(INT, glia_matmul_attrs, sparse), GLIA_FIELDS_END };

const glia_op glia_op_matmul = { .name = "matmul",
                                 .summary = "(..., M, K) x (..., K, N) -> (..., M, N), leading axes broadcast",
                                 .arity = 2,
                                 .attr_size = sizeof(glia_matmul_attrs),
                                 .fields = matmul_fields,
                                 .infer = matmul_infer,
                                 .eval = matmul_eval,
                                 .vjp = matmul_vjp,
                                 .flops = matmul_flops };

#define FACTORS(...) .n = 2, .in = { __VA_ARGS__ }
#define OF(...)                                                                                                        \
    { .shape = GLIA_DIMS(__VA_ARGS__) }
#define TRANSPOSED(a, b)                                                                                               \
    .attrs = &(const glia_matmul_attrs) { a, b, false, 0 }
#define SPARSE(a, b, few)                                                                                              \
    .attrs = &(const glia_matmul_attrs) { a, b, false, few }
const glia_op_sample glia_samples_matmul[] = {
    { .name = "plain", FACTORS(OF(3, 4), OF(4, 5)), TRANSPOSED(false, false) },
    { .name = "first transposed", FACTORS(OF(4, 3), OF(4, 5)), TRANSPOSED(true, false) },
    { .name = "second transposed", FACTORS(OF(3, 4), OF(5, 4)), TRANSPOSED(false, true) },
    { .name = "both transposed", FACTORS(OF(4, 3), OF(5, 4)), TRANSPOSED(true, true) },
    { .name = "batched", FACTORS(OF(2, 3, 4), OF(2, 4, 2)), TRANSPOSED(false, false) },
    { .name = "shared second", FACTORS(OF(2, 3, 4), OF(5, 4)), TRANSPOSED(false, true) },
    { .name = "crossed batches", FACTORS(OF(2, 1, 4, 3), OF(3, 4, 2)), TRANSPOSED(true, false) },
    { .name = "sparse first", FACTORS(OF(2, 3, 4), OF(5, 4)), SPARSE(false, true, FIRST) },
    { .name = "sparse second", FACTORS(OF(4, 3), OF(4, 5)), SPARSE(true, false, SECOND) },
    { 0 },
};

glia_tensor glia_matmul_transposed(glia_tensor a, bool transpose_a, glia_tensor b, bool transpose_b) {
    return product(a, transpose_a, b, transpose_b, 0);
}

glia_tensor glia_matmul_sparse(glia_tensor a, bool transpose_a, glia_tensor b, bool transpose_b) {
    return product(a, transpose_a, b, transpose_b, FIRST);
}

glia_tensor glia_matmul(glia_tensor a, glia_tensor b) { return glia_matmul_transposed(a, false, b, false); }
