/* Matrix products on every instruction set against sums in double; the same bits on any number of threads. */
#include "glia/glia.h"
#include "kernel_cases.h"

typedef struct gemm_case {
    int64_t m, n, k;
    int64_t batch[2];
    bool transpose_a, transpose_b, accumulate, repeat_b, epilogue, pack_b;
    int sparse;  /* 1: A, 2: B is mostly zeros, and gemm_few_f32 is called */
    double part; /* of it that is not zero */
} gemm_case;

typedef struct gemm_data {
    glia_gemm g;
    float *a, *b, *c, *start;
    double *expected;
    int64_t c_count;
} gemm_data;

/* Rows are spaced a few elements further apart than necessary; the gaps must stay unchanged. */
static gemm_data make_data(gemm_case t) {
    gemm_data d = { .g = { .batch = { t.batch[0], t.batch[1] },
                           .m = t.m,
                           .n = t.n,
                           .k = t.k,
                           .transpose_a = t.transpose_a,
                           .transpose_b = t.transpose_b,
                           .accumulate = t.accumulate } };
    glia_gemm *g = &d.g;
    int64_t batches = t.batch[0] * t.batch[1];
    int64_t a_rows = t.transpose_a ? t.k : t.m, b_rows = t.transpose_b ? t.n : t.k;
    g->lda = (t.transpose_a ? t.m : t.k) + 3;
    g->ldb = (t.transpose_b ? t.k : t.n) + 1;
    g->ldc = t.n + 2;
    g->a_stride[1] = a_rows * g->lda + 5, g->a_stride[0] = g->a_stride[1] * t.batch[1];
    g->b_stride[1] = t.repeat_b ? 0 : b_rows * g->ldb, g->b_stride[0] = g->b_stride[1] * t.batch[1];
    g->c_stride[1] = t.m * g->ldc, g->c_stride[0] = g->c_stride[1] * t.batch[1];
    d.c_count = batches * t.m * g->ldc;
    d.a = random_floats(batches * g->a_stride[1], 1);
    d.b = random_floats((t.repeat_b ? 1 : batches) * b_rows * g->ldb, 2);
    d.start = random_floats(d.c_count, 3);
    d.c = random_floats(d.c_count, 4);
    d.expected = calloc((size_t)d.c_count + 1, sizeof(double));
    assert_non_null(d.expected);
    g->a = d.a, g->b = d.b, g->c = d.c;
    glia_rng rng = { .seed = 5 };
    float *const sparse = t.sparse == 1 ? d.a : d.b;
    for (int64_t i = 0; t.sparse && i < (t.sparse == 1 ? g->a_stride[1] : b_rows * g->ldb); i++)
        sparse[i] = glia_rng_uniform(&rng) < t.part ? sparse[i] : 0;
    return d;
}

UNCHECKED static void expect(gemm_data *d, bool epilogue) {
    const glia_gemm *g = &d->g;
    for (int64_t i = 0; i < d->c_count; i++) d->expected[i] = (double)d->start[i];
    for (int64_t batch = 0; batch < g->batch[0] * g->batch[1]; batch++) {
        const float *a = g->a + batch * g->a_stride[1], *b = g->b + batch * g->b_stride[1];
        double *c = d->expected + batch * g->c_stride[1];
        int64_t b_row = g->transpose_b ? 1 : g->ldb, b_col = g->transpose_b ? g->ldb : 1;
        for (int64_t i = 0; i < g->m; i++) {
            double *row = c + i * g->ldc;
            for (int64_t j = 0; j < g->n && !g->accumulate; j++) row[j] = 0;
            for (int64_t k = 0; k < g->k; k++) {
                double factor = (double)(g->transpose_a ? a[k * g->lda + i] : a[i * g->lda + k]);
                for (int64_t j = 0; j < g->n; j++) row[j] += factor * (double)b[k * b_row + j * b_col];
            }
            for (int64_t j = 0; j < g->n && epilogue; j++)
                row[j] = 2 * row[j] + 1 + (double)((batch * 7 + i * 3 + j) % 11);
        }
    }
}

static void check(const glia_cpu_kernels *table, gemm_case t) {
    char what[160];
    snprintf(what, sizeof what, "%s gemm %lldx(%lld,%lld,%lld)%s%s%s%s", glia_isa_name(table->isa),
             (long long)(t.batch[0] * t.batch[1]), (long long)t.m, (long long)t.n, (long long)t.k,
             t.transpose_a ? " transpose_a" : "", t.transpose_b ? " transpose_b" : "",
             t.accumulate ? " accumulate" : "", t.pack_b ? " pack_b" : "");
    gemm_data d = make_data(t);
    if (t.epilogue) d.g.epilogue = (glia_epilogue){ double_plus_one, d.a };
    expect(&d, t.epilogue);
    const int threads[] = { 1, 2, 3, 8 };
    float *first = malloc((size_t)d.c_count * sizeof(float) + 1);
    assert_non_null(first);
    for (int i = 0; i < GLIA_COUNT(threads); i++) {
        glia_pool *pool = threads[i] == 1 ? NULL : glia_pool_create(threads[i], NULL);
        assert_int_equal(glia_pool_size(pool), threads[i]);
        size_t bytes = t.sparse ? table->gemm_few_f32_scratch(&d.g, t.sparse == 2, threads[i])
                                : table->gemm_f32_scratch(&d.g, threads[i]);
        unsigned char *scratch = scratch_alloc(bytes);
        memcpy(d.c, d.start, (size_t)d.c_count * sizeof(float));
        glia_gemm g = d.g;
        size_t packed_bytes = t.pack_b ? table->gemm_f32_pack_bytes(&g) : 0;
        unsigned char *packed = packed_bytes ? scratch_alloc(packed_bytes) : NULL;
        if (packed) {
            table->gemm_f32_pack(pool, &g, packed);
            g.packed_b = packed, g.b = NULL;
        }
        if (t.sparse)
            table->gemm_few_f32(pool, &g, t.sparse == 2, scratch);
        else
            table->gemm_f32(pool, &g, scratch);
        if (packed) scratch_free(packed, packed_bytes);
        scratch_free(scratch, bytes);
        glia_pool_free(pool);
        if (i == 0) {
            assert_close(d.c, d.expected, d.c_count, 1e-5 * (8 + sqrt((double)t.k)), what);
            memcpy(first, d.c, (size_t)d.c_count * sizeof(float));
        } else if (memcmp(first, d.c, (size_t)d.c_count * sizeof(float))) {
            fail_msg("%s: %d threads give other bits", what, threads[i]);
        }
    }
    free(first), free(d.a), free(d.b), free(d.c), free(d.start), free(d.expected);
}

static void check_layouts(const glia_cpu_kernels *table, int64_t m, int64_t n, int64_t k) {
    for (int flags = 0; flags < 4; flags++) {
        gemm_case t = { .m = m, .n = n, .k = k, .batch = { 1, 1 }, .transpose_a = flags & 1, .transpose_b = flags & 2 };
        check(table, t);
        t.accumulate = t.epilogue = true;
        check(table, t);
        t.pack_b = true;
        check(table, t);
    }
}

static void test_packing_pays(void **state) {
    (void)state;
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    int n = tables_of_machine(tables);
    for (int i = 0; i < n; i++) {
        glia_gemm g = { .batch = { 1, 1 }, .m = 64, .n = 128, .k = 784, .lda = 784, .ldb = 784, .transpose_b = true };
        assert_true(tables[i]->gemm_f32_pack_bytes(&g) >= 128 * 784 * sizeof(float));
        g.m = 1; /* B is read in place */
        assert_int_equal(tables[i]->gemm_f32_pack_bytes(&g), 0);
    }
}

static void test_shapes(void **state) {
    (void)state;
    const int64_t shapes[][3] = {
        { 1, 1, 1 },      { 1, 10, 64 },   { 1, 120, 401 },  { 4, 120, 400 }, { 4, 10, 84 },    { 3, 5, 0 },
        { 64, 10, 64 },   { 10, 64, 64 },  { 120, 400, 4 },  { 13, 33, 17 },  { 64, 64, 64 },   { 65, 130, 300 },
        { 7, 1, 50 },     { 100, 1, 7 },   { 12, 32, 257 },  { 5, 16, 600 },  { 37, 48, 1 },    { 2, 3, 20000 },
        { 10, 10, 5001 }, { 200, 70, 90 }, { 24, 500, 31 },  { 16, 16, 16 },  { 17, 15, 16 },   { 9, 300, 513 },
        { 90, 75, 4099 }, { 2, 900, 420 }, { 12, 203, 517 }, { 5, 131, 600 }, { 11, 3, 30000 }, { 8, 1025, 64 },
    };
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    int n = tables_of_machine(tables);
    for (int i = 0; i < n; i++) {
        for (int s = 0; s < GLIA_COUNT(shapes); s++) check_layouts(tables[i], shapes[s][0], shapes[s][1], shapes[s][2]);
    }
}

static void test_every_small_shape(void **state) {
    (void)state;
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    int n = tables_of_machine(tables);
    for (int i = 0; i < n; i++) {
        for (int64_t m = 1; m <= 14; m++) {
            for (int64_t cols = 1; cols <= 70; cols += m % 3 + 5) {
                int flags = (int)(m + cols) % 4;
                check(tables[i], (gemm_case){ .m = m,
                                              .n = cols,
                                              .k = 9 + m,
                                              .batch = { 1, 1 },
                                              .transpose_a = flags & 1,
                                              .transpose_b = flags & 2,
                                              .epilogue = cols % 2 });
            }
        }
    }
}

static void test_batches(void **state) {
    (void)state;
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    int n = tables_of_machine(tables);
    for (int i = 0; i < n; i++) {
        for (int flags = 0; flags < 16; flags++) {
            gemm_case t = { .m = 19,
                            .n = 35,
                            .k = 23,
                            .batch = { 3, 4 },
                            .transpose_a = flags & 1,
                            .transpose_b = flags & 2,
                            .repeat_b = flags & 4,
                            .accumulate = flags & 8,
                            .epilogue = true };
            check(tables[i], t);
            t.pack_b = true;
            check(tables[i], t);
            t.m = 64, t.n = 64, t.k = 32, t.batch[0] = 1;
            check(tables[i], t);
        }
    }
}

static void test_larger(void **state) {
    (void)state;
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    int n = tables_of_machine(tables);
    for (int i = 0; i < n; i++) {
        for (int flags = 0; flags < 4; flags++) {
            check(tables[i], (gemm_case){ .m = 250,
                                          .n = 270,
                                          .k = 530,
                                          .batch = { 1, 1 },
                                          .transpose_a = flags & 1,
                                          .transpose_b = flags & 2,
                                          .epilogue = true });
            check(tables[i], (gemm_case){ .m = 400,
                                          .n = 40,
                                          .k = 300,
                                          .batch = { 1, 1 },
                                          .transpose_a = flags & 1,
                                          .transpose_b = flags & 2,
                                          .epilogue = true });
        }
    }
}

/* Products that leave out zeros, and those that find too few of them. */
static void test_sparse_factors(void **state) {
    (void)state;
    const int64_t shapes[][3] = { { 70, 100, 37 }, { 530, 34, 1040 }, { 5, 150, 64 }, { 3, 8, 20 } };
    const double parts[] = { 0.1, 0.9, 0 };
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    int n = tables_of_machine(tables);
    for (int i = 0; i < n * GLIA_COUNT(shapes) * GLIA_COUNT(parts); i++) {
        const int64_t *shape = shapes[i % GLIA_COUNT(shapes)];
        const double part = parts[i / GLIA_COUNT(shapes) % GLIA_COUNT(parts)];
        for (int flags = 0; flags < 16; flags++) {
            if (shape[2] > 1000 && (flags % 8 != 2 || part > 0.5)) continue; /* several blocks */
            check(tables[i / (GLIA_COUNT(shapes) * GLIA_COUNT(parts))], (gemm_case){ .m = shape[0],
                                                                                     .n = shape[1],
                                                                                     .k = shape[2],
                                                                                     .batch = { 1, 1 },
                                                                                     .transpose_a = flags & 1,
                                                                                     .transpose_b = flags & 2,
                                                                                     .epilogue = flags & 4,
                                                                                     .sparse = flags & 8 ? 2 : 1,
                                                                                     .part = part });
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),       cmocka_unit_test(test_every_small_shape),
        cmocka_unit_test(test_packing_pays), cmocka_unit_test(test_batches),
        cmocka_unit_test(test_larger),       cmocka_unit_test(test_sparse_factors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
