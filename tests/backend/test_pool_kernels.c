/* Pooling on every instruction set against a loop over windows in double; ties, NaN, odd sizes, any number of
 * threads. */
#include "glia/glia.h"
#include "kernel_cases.h"

static int64_t volume(const int64_t d[3]) { return d[0] * d[1] * d[2]; }

typedef struct sums {
    double *most, *picked, *mean, *scattered, *spread;
} sums;

/* One window of one channel of one sample. */
static void pool_window(const glia_pool_shape *s, int64_t plane, int64_t o, const float *x, const float *u,
                        const float *dy, sums *t) {
    const int64_t at[3] = { o / (s->out[1] * s->out[2]), o / s->out[2] % s->out[1], o % s->out[2] };
    const int64_t cells = volume(s->size), in = volume(s->in), n = plane / s->c, c = plane % s->c;
    const int64_t y = (n * volume(s->out) + o) * s->c + c;
    int64_t best = -1, inside[4096], count = 0;
    double sum = 0;
    for (int64_t cell = 0; cell < cells; cell++) {
        const int64_t offset[3] = { cell / (s->size[1] * s->size[2]), cell / s->size[2] % s->size[1],
                                    cell % s->size[2] };
        int64_t i = 0;
        bool ok = true;
        for (int a = 0; a < 3; a++) {
            int64_t p = at[a] * s->stride[a] - s->pad[a] + offset[a];
            ok = ok && p >= 0 && p < s->in[a];
            i = i * s->in[a] + p;
        }
        if (!ok) continue;
        i = (n * in + i) * s->c + c;
        inside[count++] = i;
        sum += (double)x[i];
        if (best < 0 || (!isnan(x[best]) && (isnan(x[i]) || x[i] > x[best]))) best = i;
    }
    double divisor = (double)(s->count_padding ? cells : count);
    t->most[y] = best < 0 ? -INFINITY : (double)x[best];
    t->picked[y] = best < 0 ? 0 : (double)u[best];
    t->mean[y] = divisor > 0 ? sum / divisor : 0;
    if (best >= 0) t->scattered[best] += (double)dy[y];
    for (int64_t i = 0; i < count; i++) t->spread[inside[i]] += (double)dy[y] / divisor;
}

static bool same(double a, double b, double tolerance) {
    return (isnan(a) && isnan(b)) || a == b || fabs(a - b) <= tolerance;
}

static void assert_same(const float *actual, const double *expected, int64_t n, const char *what, const char *isa) {
    for (int64_t i = 0; i < n; i++) {
        if (!same((double)actual[i], expected[i], 1e-5)) {
            fail_msg("%s %s: element %lld is %g, should be %g", isa, what, (long long)i, (double)actual[i],
                     expected[i]);
        }
    }
}

static void check_table(const glia_cpu_kernels *t, int threads, const glia_pool_shape *s, const float *x,
                        const float *u, const float *dy, const sums *expected, bool average) {
    int64_t xs = s->n * s->c * volume(s->in), ys = s->n * s->c * volume(s->out);
    float *y = random_floats(ys, 4), *dx = random_floats(xs, 5);
    const char *isa = glia_isa_name(t->isa);
    glia_pool *pool = threads == 1 ? NULL : glia_pool_create(threads, NULL);
    t->max_pool_f32(pool, s, x, y);
    assert_same(y, expected->most, ys, "max_pool", isa);
    t->max_pool_gather_f32(pool, s, x, u, y);
    assert_same(y, expected->picked, ys, "max_pool_gather", isa);
    t->max_pool_scatter_f32(pool, s, x, dy, dx);
    assert_same(dx, expected->scattered, xs, "max_pool_scatter", isa);
    if (average) {
        t->avg_pool_f32(pool, s, x, y);
        assert_same(y, expected->mean, ys, "avg_pool", isa);
        t->avg_pool_grad_f32(pool, s, dy, dx);
        assert_same(dx, expected->spread, xs, "avg_pool_grad", isa);
    }
    glia_pool_free(pool);
    free(y), free(dx);
}

/* levels: x has this few distinct values, so that ties are common; nans: some are NaN. */
static void check(glia_pool_shape s, int levels, bool nans) {
    for (int a = 0; a < 3; a++) {
        s.stride[a] = GLIA_MAX(s.stride[a], 1), s.size[a] = GLIA_MAX(s.size[a], 1), s.in[a] = GLIA_MAX(s.in[a], 1);
        if (!s.out[a]) s.out[a] = (s.in[a] + 2 * s.pad[a] - s.size[a]) / s.stride[a] + 1;
    }
    int64_t planes = s.n * s.c, xs = planes * volume(s.in), ys = planes * volume(s.out);
    float *x = random_floats(xs, 1), *u = random_floats(xs, 2), *dy = random_floats(ys, 3);
    for (int64_t i = 0; i < xs; i++) {
        if (levels) x[i] = floorf(x[i] * (float)levels);
        if (nans && i % 7 == 3) x[i] = NAN;
    }
    sums t = { calloc((size_t)ys, 8), calloc((size_t)ys, 8), calloc((size_t)ys, 8), calloc((size_t)xs, 8),
               calloc((size_t)xs, 8) };
    assert_true(t.most && t.picked && t.mean && t.scattered && t.spread);
    for (int64_t p = 0; p < planes; p++) {
        for (int64_t o = 0; o < volume(s.out); o++) pool_window(&s, p, o, x, u, dy, &t);
    }
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    int n = tables_of_machine(tables);
    for (int i = 0; i < n; i++) {
        check_table(tables[i], 1, &s, x, u, dy, &t, !nans);
        check_table(tables[i], 3, &s, x, u, dy, &t, !nans);
    }
    free(x), free(u), free(dy), free(t.most), free(t.picked), free(t.mean), free(t.scattered), free(t.spread);
}

static glia_pool_shape square(int64_t n, int64_t c, int64_t h, int64_t w, int64_t size, int64_t stride, int64_t pad) {
    return (glia_pool_shape){ .n = n,
                              .c = c,
                              .in = { 1, h, w },
                              .size = { 1, size, size },
                              .stride = { 1, stride, stride },
                              .pad = { 0, pad, pad } };
}

static void test_pairs(void **state) {
    (void)state;
    for (int64_t w = 2; w <= 70; w += 1 + w / 12) {
        check(square(2, 3, 2 + w % 5, w, 2, 2, 0), (int)(w % 3), w % 4 == 0);
    }
    for (int64_t c = 1; c <= 70; c += 1 + c / 4) {
        check(square(2, c, 4 + c % 3, 6 + c % 2, 2, 2, 0), (int)(c % 3), c % 4 == 0);
    }
    check(square(1, 40, 60, 62, 2, 2, 0), 2, false);
    check(square(5, 32, 26, 26, 2, 2, 0), 2, false);
    check(square(9, 64, 11, 11, 2, 2, 0), 0, true);
    glia_pool_shape deep = square(2, 3, 9, 13, 2, 2, 0);
    deep.in[0] = 4;
    check(deep, 2, false);
}

static void test_windows(void **state) {
    (void)state;
    for (int count_padding = 0; count_padding < 2; count_padding++) {
        const glia_pool_shape shapes[] = {
            square(2, 3, 9, 9, 3, 2, 1),
            square(1, 37, 30, 31, 3, 2, 1),
            square(2, 3, 12, 10, 3, 3, 0),
            square(1, 2, 8, 8, 2, 1, 1),
            square(2, 5, 7, 7, 7, 1, 0),
            square(1, 4, 20, 33, 20, 1, 0),
            square(1, 1, 5, 5, 2, 2, 1),
            { .n = 2, .c = 2, .in = { 5, 6, 7 }, .size = { 2, 3, 2 }, .stride = { 2, 1, 2 }, .pad = { 1, 1, 0 } },
            { .n = 2, .c = 2, .in = { 1, 1, 19 }, .size = { 1, 1, 3 }, .stride = { 1, 1, 2 } },
            { .n = 1, .c = 2, .in = { 1, 1, 4 }, .size = { 1, 1, 2 }, .stride = { 1, 1, 2 }, .out = { 1, 1, 4 } },
        };
        for (int i = 0; i < GLIA_COUNT(shapes); i++) {
            glia_pool_shape s = shapes[i];
            s.count_padding = count_padding;
            check(s, i % 3, count_padding);
            check(s, 0, false);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_pairs), cmocka_unit_test(test_windows) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
