/* test_tile.c - tile functions against double-precision libm over the whole range of floats, to the bounds that
 * src/backend/cpu/vmath.h states; every form and every length; in place. */
#include "kernel_cases.h"

#include "ops/ops.h"

typedef struct bound {
    const char *op;
    double (*one)(double);
    double (*two)(double, double);
    double ulp; /* largest error allowed, in units of the last place; as stated in vmath.h */
} bound;

static double neg(double x) { return -x; }
static double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x == 0 ? 0 : x; }
static double rsqrt(double x) { return 1 / sqrt(x); }
static double sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static double is_finite(double x) { return isfinite(x); }
static double logical_not(double x) { return x == 0; }
static double plus(double a, double b) { return a + b; }
static double minus(double a, double b) { return a - b; }
static double times(double a, double b) { return a * b; }
static double over(double a, double b) { return a / b; }
static double larger(double a, double b) { return a > b || a != a ? a : b; }
static double smaller(double a, double b) { return a < b || a != a ? a : b; }
static double equal(double a, double b) { return a == b; }
static double not_equal(double a, double b) { return a != b; }
static double less(double a, double b) { return a < b; }
static double less_equal(double a, double b) { return a <= b; }
static double greater(double a, double b) { return a > b; }
static double greater_equal(double a, double b) { return a >= b; }

static const bound bounds[] = {
    { "neg", neg, NULL, 0 },
    { "abs", fabs, NULL, 0 },
    { "sign", sign, NULL, 0 },
    { "floor", floor, NULL, 0 },
    { "ceil", ceil, NULL, 0 },
    { "round", rint, NULL, 0 },
    { "is_finite", is_finite, NULL, 0 },
    { "not", logical_not, NULL, 0 },
    { "sqrt", sqrt, NULL, 0.5 },
    { "rsqrt", rsqrt, NULL, 1.5 },
    { "exp", exp, NULL, 1.1 },
    { "expm1", expm1, NULL, 1.6 },
    { "log", log, NULL, 0.9 },
    { "log1p", log1p, NULL, 0.9 },
    { "sin", sin, NULL, 0.53 },
    { "cos", cos, NULL, 0.53 },
    { "tanh", tanh, NULL, 1.5 },
    { "sigmoid", sigmoid, NULL, 2.3 },
    { "erf", erf, NULL, 1.9 },
    { "add", NULL, plus, 0.5 },
    { "sub", NULL, minus, 0.5 },
    { "mul", NULL, times, 0.5 },
    { "div", NULL, over, 0.5 },
    { "pow", NULL, pow, 0.51 },
    { "maximum", NULL, larger, 0 },
    { "minimum", NULL, smaller, 0 },
    { "equal", NULL, equal, 0 },
    { "not_equal", NULL, not_equal, 0 },
    { "less", NULL, less, 0 },
    { "less_equal", NULL, less_equal, 0 },
    { "greater", NULL, greater, 0 },
    { "greater_equal", NULL, greater_equal, 0 },
};

enum { N = 1000, ROUNDS = 400 };

/* Floats of every kind: any bits, moderate numbers, numbers near 0 and 1, whole ones, and the special ones. */
static float draw(glia_rng *rng) {
    static const float special[] = { 0,   -0.0f,     1,          -1,        INFINITY,       -INFINITY,
                                     NAN, 0x1p-149f, -0x1p-149f, 0x1p-126f, 0x1.fffffep127f };
    const uint32_t bits = glia_rng_u32(rng);
    const double u = 2 * glia_rng_uniform(rng) - 1;
    float x;
    switch (glia_rng_below(rng, 8)) {
    case 0: memcpy(&x, &bits, sizeof x); return x;
    case 1: return (float)(u * 100);
    case 2: return (float)(u * 10);
    case 3: return (float)u;
    case 4: return (float)(1 + u * 0.01);
    case 5: return (float)(u * ldexp(1, -(int)(bits % 40)));
    case 6: return (float)floor(u * 20);
    default: return special[bits % GLIA_COUNT(special)];
    }
}

/* In units of the last place that a float of want's size has. */
static double error_of(float got, double want) {
    const float rounded = (float)want;
    if (got == rounded || (isnan(got) && isnan(rounded))) return signbit(got) == signbit(rounded) || got != 0 ? 0 : 1e9;
    if (!isfinite(rounded) || !isfinite(got)) {
        if (isnan(got) || isnan(rounded)) return 1e9;
        return fabs(want) > 0x1.fffffcp127 && fabs((double)got) > 0x1.fffffcp127 ? 1 : 1e9;
    }
    int exponent;
    frexp(fabs(want), &exponent);
    return fabs((double)got - want) / ldexp(1, exponent - 24 < -149 ? -149 : exponent - 24);
}

static void check_bound(const glia_cpu_kernels *table, const bound *b) {
    const glia_tile *tile = table->tile_named(b->op);
    assert_non_null(tile);
    glia_rng rng = { .seed = 11 };
    float x[N], y[N], z[N];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N; i++) x[i] = draw(&rng), y[i] = draw(&rng);
        tile->form[0](z, x, y, NULL, N);
        for (int i = 0; i < N; i++) {
            const double want = b->one ? b->one(x[i]) : b->two(x[i], y[i]);
            const double error = error_of(z[i], want);
            if (error > b->ulp + 1e-6) {
                fail_msg("%s on %s of %a, %a is %a, not %a: %g ulp", b->op, glia_isa_name(table->isa), (double)x[i],
                         (double)y[i], (double)z[i], want, error);
            }
        }
    }
}

static void functions_keep_their_bounds(void **state) {
    (void)state;
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    int n = tables_of_machine(tables);
    for (int t = 0; t < n; t++) {
        for (int i = 0; i < GLIA_COUNT(bounds); i++) check_bound(tables[t], &bounds[i]);
    }
}

/* ---- forms, lengths, places ------------------------------------------------------------------------ */

/* One form on n elements: the same as element by element, nothing behind the end written; also in the place of `over`. */
static void check_form(const glia_cpu_kernels *table, const glia_tile *tile, unsigned form, int n, int in_place) {
    float in[3][96], d[96], want[96];
    glia_rng rng = { .seed = 5, .stream = (uint64_t)n };
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 96; i++) in[k][i] = (float)floor(glia_rng_uniform(&rng) * 6) / 4;
    }
    for (int i = 0; i < 96; i++) d[i] = 77;
    for (int i = 0; i < n; i++) {
        const float *p[3];
        for (int k = 0; k < 3; k++) p[k] = in[k] + ((form >> k & 1) ? 0 : i);
        tile->form[0](&want[i], p[0], p[1], p[2], 1);
    }
    float *to = in_place < 0 ? d : in[in_place];
    const float behind = to[n];
    tile->form[form](to, in[0], tile->n_in > 1 ? in[1] : NULL, tile->n_in > 2 ? in[2] : NULL, n);
    for (int i = 0; i < n; i++) {
        if (memcmp(&to[i], &want[i], sizeof(float)) && fabsf(to[i] - want[i]) > 1e-6f) {
            fail_msg("%s on %s, form %u, %d elements: element %d is %g, not %g", tile->op, glia_isa_name(table->isa),
                     form, n, i, (double)to[i], (double)want[i]);
        }
    }
    assert_true(to[n] == behind);
}

static void every_form_and_length(void **state) {
    (void)state;
    static const char *const steps[] = { "select", "muladd", "mulsub", "submul", "and", "or", "copy", "stop_gradient" };
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    int n_tables = tables_of_machine(tables);
    for (int t = 0; t < n_tables; t++) {
        for (int i = 0; i < GLIA_COUNT(bounds) + GLIA_COUNT(steps); i++) {
            const char *op = i < GLIA_COUNT(bounds) ? bounds[i].op : steps[i - GLIA_COUNT(bounds)];
            const glia_tile *tile = tables[t]->tile_named(op);
            assert_non_null(tile);
            for (unsigned form = 0; form < 8; form++) {
                if (!tile->form[form]) continue;
                for (int n = 1; n < 90; n += n < 40 ? 1 : 7) {
                    check_form(tables[t], tile, form, n, -1);
                    for (int k = 0; k < tile->n_in; k++) {
                        if (!(form >> k & 1)) check_form(tables[t], tile, form, n, k);
                    }
                }
            }
        }
    }
}

/* Every elementwise op of floats has a tile function, so that none is forgotten. */
static void every_elementwise_op_has_one(void **state) {
    (void)state;
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    tables_of_machine(tables);
    for (int i = 0; i < glia_op_count(); i++) {
        const glia_op *op = glia_op_at(i);
        if (!(op->flags & GLIA_OP_ELEMENTWISE) || (op->flags & GLIA_OP_COMPOSITE) || op == &glia_op_cast) continue;
        if (!tables[0]->tile_named(op->name)) fail_msg("there is no tile function for %s", op->name);
    }
}

/* ---- softmax --------------------------------------------------------------------------------------- */

static void check_softmax(const glia_cpu_kernels *table, int length, float special) {
    float x[8 * 200], y[8 * 200];
    glia_rng rng = { .seed = 3, .stream = (uint64_t)length };
    for (int i = 0; i < 8 * length; i++) x[i] = (float)(glia_rng_uniform(&rng) * 40 - 20);
    x[3 * length + length - 1] = special;
    table->softmax_f32(NULL, 8, length, x, y);
    for (int row = 0; row < 8; row++) {
        double most = -INFINITY, sum = 0;
        bool lost = false;
        for (int i = 0; i < length; i++) most = fmax(most, x[row * length + i]), lost |= isnan(x[row * length + i]);
        for (int i = 0; i < length; i++) sum += exp(x[row * length + i] - most);
        for (int i = 0; i < length; i++) {
            const double want = exp(x[row * length + i] - most) / sum, got = y[row * length + i];
            if (lost ? !isnan(got) : !(fabs(got - want) <= 4e-6 * want + 1e-37)) {
                fail_msg("softmax on %s, length %d: [%d, %d] is %g, not %g", glia_isa_name(table->isa), length, row, i,
                         got, want);
            }
        }
    }
    table->softmax_f32(NULL, 8, length, x, x);
    assert_memory_equal(x, y, (size_t)(8 * length) * sizeof(float));
}

static void softmax_of_every_length(void **state) {
    (void)state;
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    int n = tables_of_machine(tables);
    for (int t = 0; t < n; t++) {
        for (int length = 16; length < 200; length += length < 70 ? 1 : 13) {
            check_softmax(tables[t], length, 5);
            check_softmax(tables[t], length, -INFINITY);
            check_softmax(tables[t], length, NAN);
        }
    }
}

/* ---- random bits ------------------------------------------------------------------------------------ */

static void random_bits_are_philox(void **state) {
    (void)state;
    enum { COUNT = 1003 };
    const int64_t rng[2] = { 0x123456789abcde, 0x1f00000007 };
    const uint32_t key[2] = { 0x789abcde, 0x00123456 ^ 0x1f };
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    int n = tables_of_machine(tables);
    for (int t = 0; t < n; t++) {
        float x[COUNT + 1];
        x[COUNT] = 7;
        tables[t]->random_uniform_f32(NULL, &(glia_random){ .rng = rng, .stream = 9, .to = x, .n = COUNT });
        for (int i = 0; i < COUNT; i++) {
            uint32_t word[4];
            glia_philox(key, (const uint32_t[]){ (uint32_t)i / 4, 0, 9, 7 }, word);
            assert_true(x[i] == (float)(word[i % 4] >> 8) * 0x1p-24f);
        }
        assert_true(x[COUNT] == 7);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_keep_their_bounds),  cmocka_unit_test(every_form_and_length),
        cmocka_unit_test(every_elementwise_op_has_one), cmocka_unit_test(softmax_of_every_length),
        cmocka_unit_test(random_bits_are_philox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
