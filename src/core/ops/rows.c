/* rows.c - operations on the indexed rows of a table only, for sparse updates.
 *
 *     row_sums  u (I..., B...), indices (I...) -> (I..., B...)   y[i] = sum of u[j] over all j with index[j] = index[i]
 *     put_rows  x (K, B...), indices (I...), u (I..., B...) -> (K, B...)      x with y[index[i]] = u[i]; last i wins
 *
 * row_sums gives each position the sum that scatter_add would give its row, without forming the table. As in gather,
 * negative indices count from the end; for those outside [-K, K) row_sums gives zeros and put_rows replaces nothing.
 */
#include "core/ops/ops.h"

static bool are_indices(glia_node *n, const glia_node *indices) {
    if (indices->dtype == GLIA_I32 || indices->dtype == GLIA_I64) return true;
    return glia_node_fail(n, "the indices must be i32 or i64");
}

/* Checks u (I..., B...) for indices (I...) into rows (B...) of `table`; NULL: rows of any shape. */
static bool rows_fit(glia_node *n, const glia_node *u, const glia_node *indices, const glia_node *table) {
    const glia_shape s = u->shape, at = indices->shape;
    bool fits = s.rank >= at.rank;
    for (int i = 0; fits && i < at.rank; i++) fits = s.dim[i] == at.dim[i];
    if (fits && table) {
        fits = u->dtype == table->dtype && table->shape.rank == s.rank - at.rank + 1;
        for (int i = 1; fits && i < table->shape.rank; i++) fits = s.dim[at.rank + i - 1] == table->shape.dim[i];
    }
    return fits || glia_node_fail(n, "there is not one row for each index");
}

/* ---- row_sums ------------------------------------------------------------------------------- */

static const glia_field sums_fields[] = { GLIA_FIELD(INT, glia_row_sums_attrs, size), GLIA_FIELDS_END };

static bool row_sums_infer(glia_node *n) {
    glia_infer_same(n);
    if (n->dtype != GLIA_F32 && n->dtype != GLIA_F64) return glia_node_fail(n, "the rows must be f32 or f64");
    if (((const glia_row_sums_attrs *)n->attrs)->size < 1) return glia_node_fail(n, "there are no rows to name");
    return are_indices(n, n->in[1]) && rows_fit(n, n->in[0], n->in[1], NULL);
}

static void row_sums_eval(const glia_node *n, const double *const *in, double *out) {
    const int64_t size = ((const glia_row_sums_attrs *)n->attrs)->size, picks = glia_shape_count(n->in[1]->shape);
    const int64_t width = picks ? glia_shape_count(n->shape) / picks : 0;
    for (int64_t i = 0; i < picks; i++) {
        const int64_t row = glia_index_row(in[1][i], size);
        for (int64_t b = 0; b < width; b++) out[i * width + b] = 0;
        for (int64_t j = 0; row >= 0 && j < picks; j++) {
            if (row != glia_index_row(in[1][j], size)) continue;
            for (int64_t b = 0; b < width; b++) out[i * width + b] += in[0][j * width + b];
        }
    }
}

/* The matrix of equal indices is symmetric, so the operation is its own adjoint. */
static void row_sums_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    dx[0] = glia_row_sums(dy, y->in[1], ((const glia_row_sums_attrs *)y->attrs)->size);
}

const glia_op glia_op_row_sums = { .name = "row_sums",
                                   .summary = "each row plus the others with the same index",
                                   .arity = 2,
                                   .attr_size = sizeof(glia_row_sums_attrs),
                                   .fields = sums_fields,
                                   .infer = row_sums_infer,
                                   .eval = row_sums_eval,
                                   .vjp = row_sums_vjp };

#define INDICES(type, from, below, ...)                                                                        \
    { .dtype = type, .shape = GLIA_DIMS(__VA_ARGS__), .kind = GLIA_SAMPLE_INTEGER, .low = from, .high = below, \
      .constant = true }
#define SIZE(k)                                                                                                        \
    .attrs = &(const glia_row_sums_attrs) { k }
const glia_op_sample glia_samples_row_sums[] = {
    { .name = "rows", .n = 2, .in = { { .shape = GLIA_DIMS(7, 3) }, INDICES(GLIA_I32, 0, 4, 7) }, SIZE(4) },
    { .name = "sequences", .n = 2, .in = { { .shape = GLIA_DIMS(2, 5, 3) }, INDICES(GLIA_I64, 0, 4, 2, 5) }, SIZE(4) },
    { .name = "negative", .n = 2, .in = { { .shape = GLIA_DIMS(9, 2) }, INDICES(GLIA_I32, -3, 3, 9) }, SIZE(3) },
    { 0 },
};

glia_tensor glia_row_sums(glia_tensor rows, glia_tensor indices, int64_t size) {
    return glia_node2(&glia_op_row_sums, rows, indices, &(glia_row_sums_attrs){ size });
}

/* ---- put_rows ------------------------------------------------------------------------------- */

static bool put_rows_infer(glia_node *n) {
    glia_infer_same(n);
    if (n->shape.rank < 1 || n->shape.dim[0] < 1) return glia_node_fail(n, "x must be (K, ...) with a fixed K");
    return are_indices(n, n->in[1]) && rows_fit(n, n->in[2], n->in[1], n->in[0]);
}

static void put_rows_eval(const glia_node *n, const double *const *in, double *out) {
    const int64_t size = n->shape.dim[0], count = glia_shape_count(n->shape), width = count / size;
    const int64_t picks = glia_shape_count(n->in[1]->shape);
    for (int64_t i = 0; i < count; i++) out[i] = in[0][i];
    for (int64_t i = 0; i < picks; i++) {
        const int64_t row = glia_index_row(in[1][i], size);
        for (int64_t b = 0; row >= 0 && b < width; b++) out[row * width + b] = in[2][i * width + b];
    }
}

/* Of rows with the same index the last one gets the gradient: the one whose number is in the table. */
static void put_rows_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_graph *g = y->graph;
    glia_tensor indices = y->in[1], rows = y->in[2], taken = glia_gather(dy, indices, 0);
    dx[0] = glia_put_rows(dy, indices, glia_like(rows, 0));
    if (glia_is_bad(taken)) return;
    glia_shape one = GLIA_SCALAR, column = indices->shape;
    int64_t picks = 1;
    for (int i = 0; i < indices->shape.rank; i++) picks = glia_dim_times(picks, indices->shape.dim[i]);
    for (int i = indices->shape.rank; i < rows->shape.rank; i++) column.dim[column.rank++] = 1;
    one.rank = 1;
    one.dim[0] = picks;
    glia_tensor numbers = glia_reshape(glia_iota(g, GLIA_I64, one, 0), indices->shape);
    glia_tensor none = glia_broadcast(glia_scalar(g, GLIA_I64, -1), GLIA_SHAPE(y->shape.dim[0]));
    glia_tensor last = glia_equal(glia_gather(glia_put_rows(none, indices, numbers), indices, 0), numbers);
    dx[2] = glia_select(glia_reshape(last, column), taken, glia_like(taken, 0));
}

const glia_op glia_op_put_rows = { .name = "put_rows",
                                   .summary = "x with the rows at the indices replaced",
                                   .arity = 3,
                                   .flags = GLIA_OP_OVERWRITES,
                                   .infer = put_rows_infer,
                                   .eval = put_rows_eval,
                                   .vjp = put_rows_vjp };

const glia_op_sample glia_samples_put_rows[] = {
    { .name = "rows",
      .n = 3,
      .in = { { .shape = GLIA_DIMS(6, 3) }, INDICES(GLIA_I32, 0, 6, 4), { .shape = GLIA_DIMS(4, 3) } } },
    { .name = "sequences",
      .n = 3,
      .in = { { .shape = GLIA_DIMS(5, 2) }, INDICES(GLIA_I64, 0, 5, 2, 3), { .shape = GLIA_DIMS(2, 3, 2) } } },
    { .name = "numbers",
      .n = 3,
      .in = { { .shape = GLIA_DIMS(4) }, INDICES(GLIA_I32, -4, 4, 3), { .shape = GLIA_DIMS(3) } } },
    { 0 },
};

glia_tensor glia_put_rows(glia_tensor x, glia_tensor indices, glia_tensor rows) {
    glia_tensor in[3] = { x, indices, rows };
    return glia_node_create(glia_graph_of(in, 3), &glia_op_put_rows, in, 3, NULL);
}
