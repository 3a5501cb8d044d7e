/* Convolution and its adjoints on every instruction set against sums in double; the same bits on any number of
 * threads. */
#include "glia/glia.h"
#include "kernel_cases.h"

typedef enum what { FORWARD, INPUT_GRAD, KERNEL_GRAD } what;

static int64_t volume(const int64_t d[3]) { return d[0] * d[1] * d[2]; }

typedef struct sums {
    const float *x, *w, *dy;
    double *y, *dx, *dw;
} sums;

/* Adds all products of the convolution to y, dx and dw. */
UNCHECKED static void walk(const glia_conv_shape *s, const sums *t) {
    int64_t cg = s->c / s->groups, kg = s->k / s->groups;
    int64_t outs = volume(s->out), taps = volume(s->kernel), ins = volume(s->in);
    for (int64_t o = 0; o < outs; o++) {
        for (int64_t tap = 0; tap < taps; tap++) {
            const int64_t at[3] = { o / (s->out[1] * s->out[2]), o / s->out[2] % s->out[1], o % s->out[2] };
            const int64_t in_kernel[3] = { tap / (s->kernel[1] * s->kernel[2]), tap / s->kernel[2] % s->kernel[1],
                                           tap % s->kernel[2] };
            int64_t i = 0;
            bool inside = true;
            for (int a = 0; a < 3; a++) {
                int64_t p = at[a] * s->stride[a] - s->pad[a] + in_kernel[a] * s->dilation[a];
                inside = inside && p >= 0 && p < s->in[a];
                i = i * s->in[a] + p;
            }
            for (int64_t n = 0; n < s->n && inside; n++) {
                for (int64_t k = 0; k < s->k; k++) {
                    int64_t y = (n * outs + o) * s->k + k;
                    int64_t x = (n * ins + i) * s->c + k / kg * cg, w = k * cg * taps + tap;
                    double sum = 0, dy = (double)t->dy[y];
                    for (int64_t c = 0; c < cg; c++, x++, w += taps) {
                        sum += (double)t->x[x] * (double)t->w[w];
                        t->dx[x] += dy * (double)t->w[w];
                        t->dw[w] += (double)t->x[x] * dy;
                    }
                    t->y[y] += sum;
                }
            }
        }
    }
}

static size_t scratch_of(const glia_cpu_kernels *t, what kind, const glia_conv_shape *s, bool packed, int workers) {
    return kind == FORWARD      ? t->conv_f32_scratch(s, packed, workers)
           : kind == INPUT_GRAD ? t->conv_input_grad_f32_scratch(s, packed, workers)
                                : t->conv_kernel_grad_f32_scratch(s, workers);
}

/* The prepacked kernel; NULL if it is not packed. */
static float *packed_kernel(const glia_cpu_kernels *t, what kind, const glia_conv_shape *s, const float *w,
                            glia_pool *pool) {
    bool forward = kind == FORWARD;
    size_t bytes = forward ? t->conv_f32_packed(s) : t->conv_input_grad_f32_packed(s);
    unsigned char *packed = scratch_alloc(bytes);
    if (forward)
        t->conv_f32_pack(pool, s, w, (float *)(void *)packed);
    else
        t->conv_input_grad_f32_pack(pool, s, w, (float *)(void *)packed);
    for (int i = 0; i < GUARD; i++) assert_int_equal(packed[bytes + (size_t)i], 0xFF);
    return (float *)(void *)packed;
}

/* Runs one kernel on 1, 2, 3 and 8 threads, and with prepacked weights. */
static void check_kind(const glia_cpu_kernels *table, what kind, const glia_conv_shape *s, const sums *t,
                       const double *expected, int64_t count, const char *name) {
    const int threads[] = { 1, 2, 3, 8, 1, 2 };
    float *result = random_floats(count, 9), *first = malloc((size_t)count * sizeof(float) + 1);
    assert_non_null(first);
    for (int i = 0; i < (kind == KERNEL_GRAD ? 4 : 6); i++) {
        glia_pool *pool = threads[i] == 1 ? NULL : glia_pool_create(threads[i], NULL);
        float *packed = i < 4 ? NULL : packed_kernel(table, kind, s, t->w, pool);
        const float *w = packed ? NULL : t->w;
        size_t bytes = scratch_of(table, kind, s, packed, threads[i]);
        unsigned char *scratch = scratch_alloc(bytes);
        for (int64_t e = 0; e < count; e++) result[e] = NAN;
        glia_epilogue epilogue = { double_plus_one, result };
        if (kind == FORWARD) table->conv_f32(pool, s, t->x, w, packed, result, epilogue, scratch);
        if (kind == INPUT_GRAD) table->conv_input_grad_f32(pool, s, t->dy, w, packed, result, epilogue, scratch);
        if (kind == KERNEL_GRAD) table->conv_kernel_grad_f32(pool, s, t->x, t->dy, result, scratch);
        scratch_free(scratch, bytes);
        glia_pool_free(pool);
        free(packed);
        if (i == 0) {
            int64_t terms = kind == FORWARD      ? s->c / s->groups * volume(s->kernel)
                            : kind == INPUT_GRAD ? s->k / s->groups * volume(s->kernel)
                                                 : s->n * volume(s->out);
            assert_close(result, expected, count, 2e-5 * (8 + sqrt((double)terms)), name);
            memcpy(first, result, (size_t)count * sizeof(float));
        } else if (memcmp(first, result, (size_t)count * sizeof(float))) {
            fail_msg("%s: %d threads give other bits", name, threads[i]);
        }
    }
    free(result), free(first);
}

/* The result of double_plus_one on (N pixels, channels). */
static void apply_epilogue(double *y, int64_t pixels, int64_t channels) {
    for (int64_t i = 0; i < pixels * channels; i++) {
        y[i] = 2 * y[i] + 1 + (double)((i / channels * 3 + i % channels) % 11);
    }
}

/* The operand with infinite or NaN elements. */
typedef enum special { NONE, IN_X, IN_KERNEL, IN_DY, SPECIALS } special;

static void check_special(glia_conv_shape s, special where) {
    for (int a = 0; a < 3; a++) {
        s.stride[a] = GLIA_MAX(s.stride[a], 1), s.dilation[a] = GLIA_MAX(s.dilation[a], 1);
        s.in[a] = GLIA_MAX(s.in[a], 1), s.kernel[a] = GLIA_MAX(s.kernel[a], 1);
        if (!s.out[a]) s.out[a] = (s.in[a] + 2 * s.pad[a] - s.dilation[a] * (s.kernel[a] - 1) - 1) / s.stride[a] + 1;
        assert_true(s.out[a] > 0);
    }
    s.groups = GLIA_MAX(s.groups, 1);
    int64_t xs = s.n * s.c * volume(s.in), ys = s.n * s.k * volume(s.out), ws = s.k * s.c / s.groups * volume(s.kernel);
    float *x = random_floats(xs, 1), *w = random_floats(ws, 2), *dy = random_floats(ys, 3);
    float *spoilt[] = { NULL, x, w, dy };
    const int64_t counts[] = { 0, xs, ws, ys };
    if (where) {
        spoilt[where][0] = INFINITY, spoilt[where][counts[where] / 2] = -INFINITY;
        spoilt[where][counts[where] - 1] = NAN;
    }
    sums t = { x, w, dy, calloc((size_t)ys, 8), calloc((size_t)xs, 8), calloc((size_t)ws, 8) };
    assert_true(t.y && t.dx && t.dw);
    walk(&s, &t);
    apply_epilogue(t.y, s.n * volume(s.out), s.k);
    apply_epilogue(t.dx, s.n * volume(s.in), s.c);
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    int n = tables_of_machine(tables);
    for (int i = 0; i < n; i++) {
        for (int kind = FORWARD; kind <= KERNEL_GRAD; kind++) {
            char name[200];
            snprintf(name, sizeof name,
                     "%s conv %d: n %lld c %lld k %lld groups %lld in %lldx%lldx%lld kernel %lldx%lldx%lld",
                     glia_isa_name(tables[i]->isa), kind, (long long)s.n, (long long)s.c, (long long)s.k,
                     (long long)s.groups, (long long)s.in[0], (long long)s.in[1], (long long)s.in[2],
                     (long long)s.kernel[0], (long long)s.kernel[1], (long long)s.kernel[2]);
            const double *expected = kind == FORWARD ? t.y : kind == INPUT_GRAD ? t.dx : t.dw;
            check_kind(tables[i], (what)kind, &s, &t, expected,
                       kind == FORWARD      ? ys
                       : kind == INPUT_GRAD ? xs
                                            : ws,
                       name);
        }
    }
    free(x), free(w), free(dy), free(t.y), free(t.dx), free(t.dw);
}

static void check(glia_conv_shape s) { check_special(s, NONE); }

static glia_conv_shape square(int64_t n, int64_t c, int64_t k, int64_t size, int64_t kernel, int64_t stride,
                              int64_t pad, int64_t groups) {
    return (glia_conv_shape){ .n = n,
                              .c = c,
                              .k = k,
                              .in = { 1, size, size },
                              .kernel = { 1, kernel, kernel },
                              .stride = { 1, stride, stride },
                              .dilation = { 1, 1, 1 },
                              .pad = { 0, pad, pad },
                              .groups = groups };
}

static void test_networks(void **state) {
    (void)state;
    check(square(3, 1, 32, 28, 3, 1, 0, 1));
    check(square(5, 32, 64, 13, 3, 1, 0, 1));
    check(square(9, 64, 64, 5, 3, 1, 0, 1));
    check(square(2, 3, 6, 32, 5, 1, 0, 1));
    check(square(5, 6, 16, 14, 5, 1, 0, 1));
    check(square(2, 16, 16, 32, 3, 1, 1, 1));
    check(square(2, 16, 32, 32, 3, 2, 1, 1));
    check(square(1, 3, 8, 63, 7, 2, 3, 1));
    check(square(9, 40, 24, 8, 1, 1, 0, 1));
    check(square(3, 20, 30, 9, 1, 2, 0, 1));
    check(square(1, 70, 90, 14, 1, 1, 0, 1)); /* rows in one block, columns in pieces */
}

static void test_odd_shapes(void **state) {
    (void)state;
    check(square(1, 1, 1, 1, 1, 1, 0, 1));
    check(square(1, 2, 3, 4, 4, 1, 0, 1));
    check(square(2, 5, 7, 11, 3, 3, 2, 1));
    check(square(2, 5, 7, 10, 2, 3, 0, 1));
    check(square(3, 4, 5, 7, 5, 1, 4, 1));
    check(square(1, 130, 70, 6, 3, 1, 1, 1));
    check(square(1, 3, 300, 5, 3, 1, 1, 1));
    check(square(2, 200, 70, 5, 3, 1, 1, 1));
    check(square(1, 40, 20, 22, 9, 1, 8, 1)); /* more taps than cached lists */
    check(square(17, 3, 5, 3, 3, 1, 1, 1));
}

static void test_strides_and_dilations(void **state) {
    (void)state;
    check((glia_conv_shape){ .n = 2,
                             .c = 3,
                             .k = 5,
                             .in = { 1, 9, 23 },
                             .kernel = { 1, 3, 2 },
                             .stride = { 1, 2, 1 },
                             .dilation = { 1, 1, 3 },
                             .pad = { 0, 1, 2 } });
    check((glia_conv_shape){ .n = 2,
                             .c = 4,
                             .k = 3,
                             .in = { 1, 17, 19 },
                             .kernel = { 1, 3, 3 },
                             .stride = { 1, 2, 3 },
                             .dilation = { 1, 2, 2 },
                             .pad = { 0, 3, 1 } });
    check((glia_conv_shape){ .n = 1,
                             .c = 2,
                             .k = 2,
                             .in = { 1, 8, 8 },
                             .kernel = { 1, 2, 2 },
                             .stride = { 1, 4, 4 },
                             .dilation = { 1, 2, 2 } });
}

/* Few input channels, computed by runs of outputs: rows with gaps, strides, fewer rows than taps; three axes. */
static void test_few_channels(void **state) {
    (void)state;
    check((glia_conv_shape){ .n = 3,
                             .c = 3,
                             .k = 24,
                             .in = { 1, 12, 15 },
                             .kernel = { 1, 4, 5 },
                             .stride = { 1, 1, 2 },
                             .dilation = { 1, 2, 1 },
                             .pad = { 0, 3, 1 } });
    check((glia_conv_shape){ .n = 2,
                             .c = 2,
                             .k = 20,
                             .in = { 1, 13, 12 },
                             .kernel = { 1, 3, 5 },
                             .stride = { 1, 2, 1 },
                             .pad = { 0, 1, 0 } });
    check((glia_conv_shape){ .n = 2, .c = 3, .k = 20, .in = { 1, 2, 14 }, .kernel = { 1, 5, 5 }, .pad = { 0, 3, 0 } });
    check((glia_conv_shape){ .n = 2, .c = 4, .k = 40, .in = { 5, 6, 11 }, .kernel = { 3, 3, 4 }, .pad = { 1, 1, 0 } });
}

/* From one filter to the rows of a tile: partial planes, strides and gaps beside the row, groups. */
static void test_few_filters(void **state) {
    (void)state;
    for (int64_t k = 1; k <= 12; k++) check(square(1 + k % 2, 1 + k % 4, k, 17 + k, 3 + k % 3, 1, k % 2, 1));
    check(square(1, 3, 2, 70, 3, 1, 1, 1));
    check((glia_conv_shape){ .n = 2,
                             .c = 3,
                             .k = 4,
                             .in = { 4, 21, 19 },
                             .kernel = { 2, 3, 5 },
                             .stride = { 1, 2, 1 },
                             .dilation = { 2, 1, 1 },
                             .pad = { 1, 2, 4 } });
    check((glia_conv_shape){ .n = 2,
                             .c = 10,
                             .k = 4,
                             .in = { 3, 21, 39 },
                             .kernel = { 2, 3, 3 },
                             .stride = { 1, 2, 2 },
                             .dilation = { 1, 3, 1 },
                             .pad = { 1, 2, 1 },
                             .groups = 2 });
}

/* Output sizes that leave the end of x unread, and that extend beyond it (padding at the end only). */
static void test_out_sizes(void **state) {
    (void)state;
    check((glia_conv_shape){ .n = 2, .c = 3, .k = 4, .in = { 1, 9, 9 }, .kernel = { 1, 3, 3 }, .out = { 1, 4, 3 } });
    check((glia_conv_shape){
        .n = 2, .c = 3, .k = 4, .in = { 1, 6, 6 }, .kernel = { 1, 3, 3 }, .stride = { 1, 2, 2 }, .out = { 1, 3, 3 } });
}

static void test_groups(void **state) {
    (void)state;
    check(square(2, 6, 4, 9, 3, 1, 1, 2));
    check(square(2, 8, 8, 14, 3, 1, 1, 8));
    check(square(2, 8, 16, 15, 3, 2, 1, 8));
    check(square(3, 37, 37, 12, 3, 1, 1, 37));
    check(square(2, 70, 70, 13, 5, 2, 2, 70));
    check(square(2, 3, 3, 20, 2, 3, 0, 3));
    check((glia_conv_shape){ .n = 2,
                             .c = 20,
                             .k = 20,
                             .in = { 5, 11, 14 },
                             .kernel = { 2, 3, 4 },
                             .stride = { 1, 2, 3 },
                             .dilation = { 2, 2, 2 },
                             .pad = { 1, 2, 5 },
                             .groups = 20 });
    check(square(1, 48, 96, 7, 3, 1, 1, 3));
}

/* Four consecutive pixels of a depthwise convolution may have padding at both ends and input in between. */
static void test_depthwise_reads_input_between_padding(void **state) {
    (void)state;
    check((glia_conv_shape){ .n = 1, .c = 2, .k = 2, .in = { 1, 1, 2 }, .kernel = { 1, 1, 1 }, .pad = { 0, 0, 1 },
                             .groups = 2 });
    check((glia_conv_shape){ .n = 1, .c = 2, .k = 2, .in = { 1, 1, 9 }, .kernel = { 1, 1, 3 }, .dilation = { 1, 1, 4 },
                             .groups = 2 });
    const int64_t sizes[] = { 1, 2, 3, 5, 9 }, gaps[] = { 1, 2, 4 };
    for (int i = 0; i < 5 * 3 * 3 * 2 * 2; i++) {
        const int64_t size = sizes[i % 5], gap = gaps[i / 5 % 3], pad = i / 15 % 3, stride = 1 + i / 45 % 2;
        const int64_t taps = 1 + 2 * (i / 90);
        if (size + 2 * pad < gap * (taps - 1) + 1) continue;
        check((glia_conv_shape){ .n = 1, .c = 2, .k = 2, .in = { 1, 1, size }, .kernel = { 1, 1, taps },
                                 .stride = { 1, 1, stride }, .dilation = { 1, 1, gap }, .pad = { 0, 0, pad },
                                 .groups = 2 });
    }
}

static void test_axes(void **state) {
    (void)state;
    check((glia_conv_shape){ .n = 3, .c = 5, .k = 6, .in = { 1, 1, 50 }, .kernel = { 1, 1, 7 }, .pad = { 0, 0, 3 } });
    check((glia_conv_shape){ .n = 2,
                             .c = 5,
                             .k = 6,
                             .in = { 1, 1, 50 },
                             .kernel = { 1, 1, 5 },
                             .stride = { 1, 1, 2 },
                             .dilation = { 1, 1, 3 },
                             .pad = { 0, 0, 2 } });
    check((glia_conv_shape){ .n = 2, .c = 3, .k = 20, .in = { 1, 40, 1 }, .kernel = { 1, 4, 1 }, .pad = { 0, 1, 0 } });
    check((glia_conv_shape){ .n = 2, .c = 3, .k = 4, .in = { 5, 6, 7 }, .kernel = { 3, 2, 3 }, .pad = { 1, 0, 1 } });
    check((glia_conv_shape){ .n = 2,
                             .c = 18,
                             .k = 4,
                             .in = { 7, 6, 9 },
                             .kernel = { 3, 3, 3 },
                             .stride = { 2, 1, 2 },
                             .dilation = { 1, 2, 1 },
                             .pad = { 1, 2, 1 } });
    check((glia_conv_shape){ .n = 1, .c = 2, .k = 40, .in = { 20, 20, 20 }, .kernel = { 2, 2, 2 } });
    /* Rows split into parts. */
    check(
        (glia_conv_shape){ .n = 2, .c = 3, .k = 20, .in = { 1, 1, 1500 }, .kernel = { 1, 1, 5 }, .pad = { 0, 0, 2 } });
    check((glia_conv_shape){ .n = 1,
                             .c = 33,
                             .k = 7,
                             .in = { 1, 2, 1203 },
                             .kernel = { 1, 2, 4 },
                             .stride = { 1, 1, 2 },
                             .pad = { 0, 1, 3 } });
    check((glia_conv_shape){ .n = 1,
                             .c = 24,
                             .k = 24,
                             .in = { 1, 1, 1111 },
                             .kernel = { 1, 1, 3 },
                             .stride = { 1, 1, 2 },
                             .dilation = { 1, 1, 300 },
                             .pad = { 0, 0, 290 },
                             .groups = 24 });
    check((glia_conv_shape){ .n = 1,
                             .c = 40,
                             .k = 40,
                             .in = { 1, 1, 2100 },
                             .kernel = { 1, 1, 3 },
                             .dilation = { 1, 1, 900 },
                             .pad = { 0, 0, 900 } });
}

static void test_large_image(void **state) {
    (void)state;
    check(square(1, 20, 17, 70, 3, 1, 1, 1));
    check(square(1, 3, 5, 80, 3, 1, 0, 1));
    check(square(2, 33, 40, 40, 3, 2, 1, 1));
}

/* The size of the packed kernel shows the algorithm: 9 numbers for each pair of channels, plus panel padding; 16 more
 * for tiles of 2 x 2 pixels, 36 more for 4 x 4. */
static void check_tiles(glia_conv_shape s, int numbers) {
    check(s);
    for (int a = 0; a < 3; a++) {
        s.stride[a] = s.dilation[a] = 1;
        if (!s.out[a]) s.out[a] = s.in[a] + 2 * s.pad[a] - s.kernel[a] + 1;
    }
    s.groups = 1;
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    for (int i = tables_of_machine(tables) - 1; i >= 0; i--) {
        const size_t pair = (size_t)(s.c * s.k) * sizeof(float);
        const size_t bytes = tables[i]->conv_f32_packed(&s), adjoint = tables[i]->conv_input_grad_f32_packed(&s);
        assert_in_range(bytes, (numbers + 9) * pair, (numbers * 5 / 4 + 9) * pair);
        assert_in_range(adjoint, (numbers + 9) * pair, (numbers * 5 / 4 + 9) * pair);
    }
}

static void test_tiles(void **state) {
    (void)state;
    check_tiles(square(2, 32, 64, 32, 3, 1, 1, 1), 36);
    check_tiles(square(64, 32, 32, 6, 3, 1, 1, 1), 16);
    /* Tiles cut by borders, channels that do not fill a vector, one image in bands, and pieces of several images. */
    check_tiles((glia_conv_shape){ .n = 3, .c = 29, .k = 61, .in = { 1, 31, 29 }, .kernel = { 1, 3, 3 } }, 36);
    check_tiles(
        (glia_conv_shape){ .n = 1, .c = 31, .k = 30, .in = { 1, 49, 70 }, .kernel = { 1, 3, 3 }, .pad = { 0, 2, 1 } },
        36);
    check_tiles(
        (glia_conv_shape){ .n = 130, .c = 31, .k = 29, .in = { 1, 6, 6 }, .kernel = { 1, 3, 3 }, .pad = { 0, 1, 1 } },
        16);
    /* Few tiles, cut into parts by filters: worth it only if the kernel is packed once. */
    glia_conv_shape few = square(1, 64, 200, 14, 3, 1, 1, 1);
    few.fixed = true;
    check_tiles(few, 36);
    /* Kernel gradient in blocks of input and output channels. */
    check(
        (glia_conv_shape){ .n = 3, .c = 70, .k = 130, .in = { 1, 20, 22 }, .kernel = { 1, 3, 3 }, .pad = { 0, 1, 1 } });
    check_tiles((glia_conv_shape){ .n = 80,
                                   .c = 62,
                                   .k = 61,
                                   .in = { 1, 6, 6 },
                                   .kernel = { 1, 3, 3 },
                                   .out = { 1, 6, 5 },
                                   .pad = { 0, 1, 1 } },
                16);
}

/* With every algorithm, infinities and NaN affect only the results that read them. */
static void test_values_that_are_not_finite(void **state) {
    (void)state;
    const glia_conv_shape shapes[] = {
        square(3, 1, 1, 6, 2, 1, 0, 1), /* pixels together */
        square(3, 1, 4, 12, 3, 1, 1, 1),
        square(2, 3, 6, 16, 5, 1, 2, 1), /* few filters */
        square(2, 3, 8, 23, 7, 2, 3, 1),
        square(2, 16, 32, 9, 3, 2, 1, 1),
        square(2, 20, 24, 8, 3, 1, 1, 1),
        square(2, 8, 8, 9, 3, 1, 1, 8), /* depthwise */
        square(2, 6, 4, 9, 3, 2, 2, 2),
        square(1, 32, 64, 32, 3, 1, 1, 1), /* tiles of 4 x 4, */
        square(64, 32, 32, 6, 3, 1, 1, 1), /* of 2 x 2 */
        { .n = 2, .c = 4, .k = 40, .in = { 5, 6, 11 }, .kernel = { 3, 3, 4 }, .pad = { 1, 1, 0 } },
        { .n = 1, .c = 1, .k = 1, .in = { 1, 1, 6 }, .kernel = { 1, 1, 2 } },
        { .n = 2, .c = 3, .k = 20, .in = { 1, 2, 14 }, .kernel = { 1, 5, 5 }, .pad = { 0, 3, 0 } },
    };
    for (int i = 0; i < (int)(sizeof shapes / sizeof *shapes); i++)
        for (int where = IN_X; where < SPECIALS; where++) check_special(shapes[i], (special)where);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_odd_shapes),
        cmocka_unit_test(test_strides_and_dilations),
        cmocka_unit_test(test_few_channels),
        cmocka_unit_test(test_few_filters),
        cmocka_unit_test(test_out_sizes),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_axes),
        cmocka_unit_test(test_large_image),
        cmocka_unit_test(test_tiles),
        cmocka_unit_test(test_depthwise_reads_input_between_padding),
        cmocka_unit_test(test_values_that_are_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
