/* sparse.c - sums over the rows of a sparse matrix, and over segments: message passing on graphs, bags of words.
 *
 * A CSR matrix (R, K) with E entries is values (E), columns (E) and offsets (R + 1); R, K and E may be symbolic: the
 * entries of row r are e in [offsets[r], offsets[r + 1]), e on with columns[e] and values[e]. Offsets rise from 0 to E.
 * Segments are rows without columns.
 *
 *     csr_matmul      values, columns, offsets, x (K, F) -> (R, F)    y[r, f] += values[e] x[columns[e], f] for e in r
 *       transposed    values, columns, offsets, x (R, F) -> (size, F) y[columns[e], f] += values[e] x[r, f]
 *     csr_dot         a (R, F), b (K, F), columns, offsets -> (E)     y[e] = sum over f of a[r, f] b[columns[e], f]
 *     segment_sum     x (E, B...), offsets -> (R, B...)               y[r] = sum over e in r of x[e]
 *     segment_max     the same with the maximum; 0 where there is no e
 *     segment_spread  x (R, B...), offsets -> (edges, B...)           y[e] = x[r]: the adjoint of segment_sum
 *
 * The family is closed under differentiation. Entries are added in the order of e, so results are bitwise equal for any
 * number of threads. Columns are clamped to [0, K - 1] and offsets to [0, E]; an entry that belongs to no row adds
 * nothing.
 */
#include <math.h>
#include <stdlib.h>

#include "core/ops/ops.h"

static bool is_index(const glia_node *n) { return n->dtype == GLIA_I32 || n->dtype == GLIA_I64; }
static bool is_real(const glia_node *n) { return n->dtype == GLIA_F32 || n->dtype == GLIA_F64; }

static int64_t limited(double index, int64_t low, int64_t high) {
    return index > (double)high ? high : index > (double)low ? (int64_t)index : low;
}

/* Calls body for each row r and its entries [e, end). */
#define FOR_ROWS(offsets, rows, edges)                                                                                 \
    for (int64_t r = 0, e, end;                                                                                        \
         r < (rows) && (e = limited((offsets)[r], 0, edges), end = limited((offsets)[r + 1], e, edges), true); r++)

static bool check_index(glia_node *n, int input, const char *what) {
    const glia_node *x = n->in[input];
    if (!is_index(x) || x->shape.rank != 1) return glia_node_fail(n, "the %s must be i32 or i64 of rank 1", what);
    return true;
}

/* Sets *rows to R, which may be symbolic. */
static bool check_offsets(glia_node *n, int input, int64_t *rows) {
    if (!check_index(n, input, "offsets")) return false;
    *rows = glia_dim_minus(n->in[input]->shape.dim[0], 1);
    if (*rows != GLIA_DIM_NONE) return true;
    return glia_node_fail(n, "the offsets must be (R + 1): GLIA_PLUS_ONE(GLIA_NODES) for a row for each node");
}

/* ---- products ------------------------------------------------------------------------------- */

static bool csr_matmul_infer(glia_node *n) {
    const glia_csr_attrs *a = n->attrs;
    const glia_node *values = n->in[0], *columns = n->in[1], *x = n->in[3];
    int64_t rows;
    if (!check_index(n, 1, "columns") || !check_offsets(n, 2, &rows)) return false;
    if (!is_real(values) || values->dtype != x->dtype) {
        return glia_node_fail(n, "values and x must both be f32, or both f64");
    }
    if (values->shape.rank != 1 || values->shape.dim[0] != columns->shape.dim[0]) {
        return glia_node_fail(n, "values and columns must have one length");
    }
    if (x->shape.rank != 2) return glia_node_fail(n, "x must be (%s, F)", a->transposed ? "R" : "K");
    if (a->transposed && x->shape.dim[0] != rows) return glia_node_fail(n, "x must be (R, F) for offsets (R + 1)");
    if (a->transposed && (a->size.rank != 1 || !glia_dim_valid(a->size.dim[0]))) {
        return glia_node_fail(n, "the size is one number");
    }
    n->dtype = x->dtype;
    n->shape = GLIA_SHAPE(a->transposed ? a->size.dim[0] : rows, x->shape.dim[1]);
    return true;
}

static void csr_matmul_eval(const glia_node *n, const double *const *in, double *out) {
    const bool transposed = ((const glia_csr_attrs *)n->attrs)->transposed;
    const int64_t rows = n->in[2]->shape.dim[0] - 1, edges = n->in[1]->shape.dim[0], width = n->shape.dim[1];
    const int64_t columns = transposed ? n->shape.dim[0] : n->in[3]->shape.dim[0];
    for (int64_t i = 0; i < glia_shape_count(n->shape); i++) out[i] = 0;
    FOR_ROWS(in[2], rows, edges) {
        for (; e < end; e++) {
            const int64_t c = limited(in[1][e], 0, columns - 1);
            double *to = out + (transposed ? c : r) * width;
            const double *from = in[3] + (transposed ? r : c) * width;
            for (int64_t f = 0; f < width; f++) to[f] += in[0][e] * from[f];
        }
    }
}

static void csr_matmul_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    const bool transposed = ((const glia_csr_attrs *)y->attrs)->transposed;
    glia_tensor values = y->in[0], columns = y->in[1], offsets = y->in[2], x = y->in[3];
    dx[0] = transposed ? glia_csr_dot(x, dy, columns, offsets) : glia_csr_dot(dy, x, columns, offsets);
    dx[3] = transposed ? glia_csr_matmul(values, columns, offsets, dy)
                       : glia_csr_matmul_transposed(values, columns, offsets, dy, x->shape.dim[0]);
}

static double csr_matmul_flops(const glia_node *n) {
    return 2.0 * (double)n->in[1]->shape.dim[0] * (double)n->shape.dim[1];
}

static const glia_field csr_fields[] = { GLIA_FIELD(BOOL, glia_csr_attrs, transposed),
                                         GLIA_FIELD(SHAPE, glia_csr_attrs, size), GLIA_FIELDS_END };

const glia_op glia_op_csr_matmul = { .name = "csr_matmul",
                                     .summary = "product of a sparse (CSR) matrix, or of its transpose, with x (K, F)",
                                     .arity = 4,
                                     .attr_size = sizeof(glia_csr_attrs),
                                     .fields = csr_fields,
                                     .infer = csr_matmul_infer,
                                     .eval = csr_matmul_eval,
                                     .vjp = csr_matmul_vjp,
                                     .flops = csr_matmul_flops };

#define INDICES(below, count)                                                                                          \
    { .dtype = GLIA_I32, .shape = GLIA_DIMS(count), .kind = GLIA_SAMPLE_INTEGER, .high = below, .constant = true }
#define OFFSETS(rows, entries)                                                                                         \
    { .dtype = GLIA_I32, .shape = GLIA_DIMS(rows + 1), .kind = GLIA_SAMPLE_OFFSETS, .high = entries, .constant = true }
#define VALUES(...)                                                                                                    \
    { .shape = GLIA_DIMS(__VA_ARGS__) }
const glia_op_sample glia_samples_csr_matmul[] = {
    { .name = "plain",
      .n = 4,
      .in = { VALUES(7), INDICES(4, 7), OFFSETS(3, 7), VALUES(4, 3) },
      .attrs = &(const glia_csr_attrs){ 0 } },
    { .name = "transposed",
      .n = 4,
      .in = { VALUES(7), INDICES(4, 7), OFFSETS(3, 7), VALUES(3, 5) },
      .attrs = &(const glia_csr_attrs){ true, GLIA_DIMS(4) } },
    { 0 },
};

glia_tensor glia_csr_matmul(glia_tensor values, glia_tensor columns, glia_tensor offsets, glia_tensor x) {
    glia_tensor in[4] = { values, columns, offsets, x };
    return glia_node_create(glia_graph_of(in, 4), &glia_op_csr_matmul, in, 4, &(glia_csr_attrs){ 0 });
}

glia_tensor glia_csr_matmul_transposed(glia_tensor values, glia_tensor columns, glia_tensor offsets, glia_tensor x,
                                       int64_t size) {
    glia_tensor in[4] = { values, columns, offsets, x };
    glia_csr_attrs attrs = { .transposed = true, .size = GLIA_SHAPE(size) };
    return glia_node_create(glia_graph_of(in, 4), &glia_op_csr_matmul, in, 4, &attrs);
}

static bool csr_dot_infer(glia_node *n) {
    const glia_node *a = n->in[0], *b = n->in[1];
    int64_t rows;
    if (!check_index(n, 2, "columns") || !check_offsets(n, 3, &rows)) return false;
    if (!is_real(a) || a->dtype != b->dtype) return glia_node_fail(n, "a and b must both be f32, or both f64");
    if (a->shape.rank != 2 || b->shape.rank != 2 || a->shape.dim[1] != b->shape.dim[1]) {
        return glia_node_fail(n, "a and b must be (R, F) and (K, F)");
    }
    if (a->shape.dim[0] != rows) return glia_node_fail(n, "a must have a row for each segment");
    n->dtype = a->dtype;
    n->shape = n->in[2]->shape;
    return true;
}

static void csr_dot_eval(const glia_node *n, const double *const *in, double *out) {
    const int64_t rows = n->in[0]->shape.dim[0], columns = n->in[1]->shape.dim[0], width = n->in[0]->shape.dim[1];
    const int64_t edges = n->shape.dim[0];
    for (int64_t i = 0; i < edges; i++) out[i] = 0;
    FOR_ROWS(in[3], rows, edges) {
        for (; e < end; e++) {
            const double *b = in[1] + limited(in[2][e], 0, columns - 1) * width;
            for (int64_t f = 0; f < width; f++) out[e] += in[0][r * width + f] * b[f];
        }
    }
}

static void csr_dot_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_tensor a = y->in[0], b = y->in[1], columns = y->in[2], offsets = y->in[3];
    dx[0] = glia_csr_matmul(dy, columns, offsets, b);
    dx[1] = glia_csr_matmul_transposed(dy, columns, offsets, a, b->shape.dim[0]);
}

const glia_op glia_op_csr_dot = { .name = "csr_dot",
                                  .summary = "products of rows of a and b for each entry of a sparse (CSR) matrix",
                                  .arity = 4,
                                  .infer = csr_dot_infer,
                                  .eval = csr_dot_eval,
                                  .vjp = csr_dot_vjp };

const glia_op_sample glia_samples_csr_dot[] = {
    { .name = "plain", .n = 4, .in = { VALUES(3, 5), VALUES(4, 5), INDICES(4, 6), OFFSETS(3, 6) } },
    { 0 },
};

glia_tensor glia_csr_dot(glia_tensor a, glia_tensor b, glia_tensor columns, glia_tensor offsets) {
    glia_tensor in[4] = { a, b, columns, offsets };
    return glia_node_create(glia_graph_of(in, 4), &glia_op_csr_dot, in, 4, NULL);
}

/* ---- constants ------------------------------------------------------------------------------ */

/* Fills offset (rows + 1), and place[i], where entry i goes: a counting sort by row. */
static bool sort_by_row(glia_graph *g, int64_t rows, int64_t n, const int32_t *row, const int32_t *column,
                        double *offset, int64_t *place) {
    for (int64_t r = 0; r <= rows; r++) offset[r] = 0;
    for (int64_t i = 0; i < n; i++) {
        if (row[i] < 0 || row[i] >= rows || column[i] < 0) {
            glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_csr_constant: entry %lld is at row %ld, column %ld of %lld rows",
                            (long long)i, (long)row[i], (long)column[i], (long long)rows);
            return false;
        }
        place[i] = (int64_t)offset[row[i] + 1]++; /* how many of its row come before it */
    }
    for (int64_t r = 0; r < rows; r++) offset[r + 1] += offset[r];
    for (int64_t i = 0; i < n; i++) place[i] += (int64_t)offset[row[i]];
    return true;
}

glia_csr glia_csr_constant(glia_graph *g, glia_dtype dtype, int64_t rows, int64_t n, const int32_t *row,
                           const int32_t *column, const double *values) {
    if (!g) return (glia_csr){ 0 };
    glia_csr csr = { g->bad, g->bad, g->bad };
    if (rows < 1 || rows >= INT32_MAX || n < 1 || n > INT32_MAX || !row || !column ||
        (dtype != GLIA_F32 && dtype != GLIA_F64)) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "glia_csr_constant: needs rows, entries, and f32 or f64");
        return csr;
    }
    double *offset = malloc(((size_t)rows + 1) * sizeof *offset), *sorted = malloc((size_t)n * sizeof *sorted);
    int64_t *place = malloc((size_t)n * sizeof *place);
    if (!offset || !sorted || !place) {
        glia_graph_fail_nomem(g);
    } else if (sort_by_row(g, rows, n, row, column, offset, place)) {
        for (int64_t i = 0; i < n; i++) sorted[place[i]] = values ? values[i] : 1;
        csr.values = glia_constant(g, dtype, GLIA_SHAPE(n), sorted);
        for (int64_t i = 0; i < n; i++) sorted[place[i]] = column[i];
        csr.columns = glia_constant(g, GLIA_I32, GLIA_SHAPE(n), sorted);
        csr.offsets = glia_constant(g, GLIA_I32, GLIA_SHAPE(rows + 1), offset);
    }
    free(offset);
    free(sorted);
    free(place);
    return csr;
}

/* ---- segments ------------------------------------------------------------------------------- */

static bool segment_reduce_infer(glia_node *n) {
    const glia_node *x = n->in[0];
    int64_t rows;
    if (!is_real(x) || x->shape.rank < 1) return glia_node_fail(n, "x must be (E, ...), f32 or f64");
    if (!check_offsets(n, 1, &rows)) return false;
    n->dtype = x->dtype;
    n->shape = x->shape;
    n->shape.dim[0] = rows;
    return true;
}

/* The number of elements in one row of x. */
static int64_t width_of(const glia_node *x) {
    return x->shape.dim[0] ? glia_shape_count(x->shape) / x->shape.dim[0] : 0;
}

static void segment_sum_eval(const glia_node *n, const double *const *in, double *out) {
    const int64_t rows = n->shape.dim[0], edges = n->in[0]->shape.dim[0], width = width_of(n->in[0]);
    for (int64_t i = 0; i < glia_shape_count(n->shape); i++) out[i] = 0;
    FOR_ROWS(in[1], rows, edges) {
        for (; e < end; e++) {
            for (int64_t b = 0; b < width; b++) out[r * width + b] += in[0][e * width + b];
        }
    }
}

static void segment_sum_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    dx[0] = glia_segment_spread(dy, y->in[1], y->in[0]->shape.dim[0]);
}

const glia_op glia_op_segment_sum = { .name = "segment_sum",
                                      .summary = "sums of x over segments of its first axis",
                                      .arity = 2,
                                      .infer = segment_reduce_infer,
                                      .eval = segment_sum_eval,
                                      .vjp = segment_sum_vjp };
const glia_op_sample glia_samples_segment_sum[] = {
    { .name = "matrix", .n = 2, .in = { VALUES(7, 3), OFFSETS(4, 7) } },
    { .name = "vector", .n = 2, .in = { VALUES(5), OFFSETS(3, 5) } },
    { 0 },
};

static void segment_max_eval(const glia_node *n, const double *const *in, double *out) {
    const int64_t rows = n->shape.dim[0], edges = n->in[0]->shape.dim[0], width = width_of(n->in[0]);
    for (int64_t i = 0; i < glia_shape_count(n->shape); i++) out[i] = 0;
    FOR_ROWS(in[1], rows, edges) {
        for (int64_t first = e; e < end; e++) {
            for (int64_t b = 0; b < width; b++) {
                const double x = in[0][e * width + b];
                double *y = &out[r * width + b];
                if (e == first || x > *y || isnan(x)) *y = x;
            }
        }
    }
}

/* The gradient is shared equally by all elements equal to the maximum, as in glia_max(). */
static void segment_max_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_tensor x = y->in[0], offsets = y->in[1];
    const int64_t edges = x->shape.dim[0];
    glia_tensor is_max = glia_cast(glia_equal(x, glia_segment_spread(y, offsets, edges)), x->dtype);
    glia_tensor ties = glia_segment_spread(glia_segment_sum(is_max, offsets), offsets, edges);
    glia_tensor share = glia_div(is_max, glia_maximum(ties, glia_like(ties, 1)));
    dx[0] = glia_mul(share, glia_segment_spread(dy, offsets, edges));
}

const glia_op glia_op_segment_max = { .name = "segment_max",
                                      .summary = "maxima of x over segments of its first axis; 0 where one is empty",
                                      .arity = 2,
                                      .infer = segment_reduce_infer,
                                      .eval = segment_max_eval,
                                      .vjp = segment_max_vjp };
#define DISTINCT(...)                                                                                                  \
    { .shape = GLIA_DIMS(__VA_ARGS__), .kind = GLIA_SAMPLE_DISTINCT }
const glia_op_sample glia_samples_segment_max[] = {
    { .name = "matrix", .n = 2, .in = { DISTINCT(7, 3), OFFSETS(4, 7) } },
    { 0 },
};

static bool segment_spread_infer(glia_node *n) {
    const glia_node *x = n->in[0];
    const glia_scatter_attrs *a = n->attrs;
    if (!is_real(x) || x->shape.rank < 1) return glia_node_fail(n, "x must be (R, ...), f32 or f64");
    int64_t rows;
    if (!check_offsets(n, 1, &rows)) return false;
    if (x->shape.dim[0] != rows) return glia_node_fail(n, "x must have a row for each segment");
    if (a->size.rank != 1) return glia_node_fail(n, "the size is one number");
    n->dtype = x->dtype;
    n->shape = x->shape;
    n->shape.dim[0] = a->size.dim[0];
    return true;
}

static void segment_spread_eval(const glia_node *n, const double *const *in, double *out) {
    const int64_t rows = n->in[0]->shape.dim[0], edges = n->shape.dim[0], width = width_of(n->in[0]);
    for (int64_t i = 0; i < glia_shape_count(n->shape); i++) out[i] = 0;
    FOR_ROWS(in[1], rows, edges) {
        for (; e < end; e++) {
            for (int64_t b = 0; b < width; b++) out[e * width + b] = in[0][r * width + b];
        }
    }
}

static void segment_spread_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    dx[0] = glia_segment_sum(dy, y->in[1]);
}

static const glia_field spread_fields[] = { GLIA_FIELD(SHAPE, glia_scatter_attrs, size), GLIA_FIELDS_END };
const glia_op glia_op_segment_spread = { .name = "segment_spread",
                                         .summary = "row r of x for each element of segment r",
                                         .arity = 2,
                                         .attr_size = sizeof(glia_scatter_attrs),
                                         .fields = spread_fields,
                                         .infer = segment_spread_infer,
                                         .eval = segment_spread_eval,
                                         .vjp = segment_spread_vjp };
const glia_op_sample glia_samples_segment_spread[] = {
    { .name = "matrix",
      .n = 2,
      .in = { VALUES(4, 3), OFFSETS(4, 7) },
      .attrs = &(const glia_scatter_attrs){ .size = GLIA_DIMS(7) } },
    { 0 },
};

glia_tensor glia_segment_sum(glia_tensor x, glia_tensor offsets) {
    glia_tensor in[2] = { x, offsets };
    return glia_node_create(glia_graph_of(in, 2), &glia_op_segment_sum, in, 2, NULL);
}

glia_tensor glia_segment_max(glia_tensor x, glia_tensor offsets) {
    glia_tensor in[2] = { x, offsets };
    return glia_node_create(glia_graph_of(in, 2), &glia_op_segment_max, in, 2, NULL);
}

glia_tensor glia_segment_spread(glia_tensor x, glia_tensor offsets, int64_t edges) {
    glia_tensor in[2] = { x, offsets };
    glia_scatter_attrs attrs = { .size = GLIA_SHAPE(edges) };
    return glia_node_create(glia_graph_of(in, 2), &glia_op_segment_spread, in, 2, &attrs);
}

glia_tensor glia_segment_mean(glia_tensor x, glia_tensor offsets) {
    if (glia_is_bad(x) || glia_is_bad(offsets)) return glia_segment_sum(x, offsets);
    glia_tensor sum = glia_segment_sum(x, offsets);
    if (glia_is_bad(sum)) return sum;
    glia_shape each = { .rank = x->shape.rank, .dim = { x->shape.dim[0] } };
    for (int i = 1; i < each.rank; i++) each.dim[i] = 1;
    glia_tensor ones = glia_broadcast(glia_scalar(x->graph, x->dtype, 1), each);
    glia_tensor n = glia_segment_sum(ones, offsets);
    return glia_div(sum, glia_maximum(n, glia_like(n, 1)));
}

/* e^(x - max) divided by its sum; subtracting the maximum does not change the result, so no gradient flows through it.
 * A sum is 1 or more, or 0 for entries of no segment, which must not divide by it. */
glia_tensor glia_segment_softmax(glia_tensor x, glia_tensor offsets) {
    if (glia_is_bad(x) || glia_is_bad(offsets)) return glia_segment_sum(x, offsets);
    const int64_t edges = x->shape.rank ? x->shape.dim[0] : 0;
    glia_tensor most = glia_segment_spread(glia_stop_gradient(glia_segment_max(x, offsets)), offsets, edges);
    glia_tensor e = glia_exp(glia_sub(x, most));
    glia_tensor sum = glia_segment_spread(glia_segment_sum(e, offsets), offsets, edges);
    return glia_div(e, glia_maximum(sum, glia_like(sum, 0.5)));
}
