/* test_tile.c - tile functions against double-precision libm over the whole range of floats, to the error bounds in
 * src/backend/cpu/kernels/vmath.h; every form and length; in place. */
#include "glia/glia.h"
#include "kernel_cases.h"

#include "core/ops/ops.h"

typedef struct bound {
    const char *op;
    double (*one)(double);
    double (*two)(double, double);
    double ulp; /* error bound in units in the last place (ULP), from vmath.h */
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

/* Floats of every kind: any bits, moderate numbers, numbers near 0 and 1, integers, and special values. */
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

/* The error in ULPs of a float of want's magnitude. */
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
        tile->form[0](&(glia_tile_args){ .rows = 1, .n = N, .d = z, .in = { x, y } });
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

static void functions_meet_error_bounds(void **state) {
    (void)state;
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    int n = tables_of_machine(tables);
    for (int t = 0; t < n; t++) {
        for (int i = 0; i < GLIA_COUNT(bounds); i++) check_bound(tables[t], &bounds[i]);
    }
}

/* ---- accuracy ------------------------------------------------------------------------------------------- */

static double normal(double x) { return erfc(-x * M_SQRT1_2) / 2; }
static double density(double x) { return exp(-x * x / 2) * M_2_SQRTPI * M_SQRT1_2 / 2; }
static double gate(double x) { return sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x)); }
static double gelu(double x) { return x * normal(x); }
static double gelu_slope(double x) { return normal(x) + x * density(x); }
static double gelu_tanh(double x) { return x * gate(x); }
static double gelu_tanh_slope(double x) {
    return gate(x) + x * gate(x) * gate(-x) * 1.5957691216057308 * (1 + 3 * 0.044715 * x * x);
}

/* Error bound: 3e-7 max(1, |x|). */
static void gelu_and_gradient_are_accurate(void **state) {
    (void)state;
    static const bound functions[] = { { "gelu", gelu, NULL, 0 },
                                       { "gelu_slope", gelu_slope, NULL, 0 },
                                       { "gelu_tanh", gelu_tanh, NULL, 0 },
                                       { "gelu_tanh_slope", gelu_tanh_slope, NULL, 0 } };
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    const int n = tables_of_machine(tables);
    for (int t = 0; t < n; t++) {
        for (int k = 0; k < GLIA_COUNT(functions); k++) {
            const glia_tile *tile = tables[t]->tile_named(functions[k].op);
            for (int i = -24000; i <= 24000; i += 16) {
                float x[16], y[16];
                for (int v = 0; v < 16; v++) x[v] = (float)(i + v) / 1200;
                tile->form[0](&(glia_tile_args){ .rows = 1, .n = 16, .d = y, .in = { x } });
                for (int v = 0; v < 16; v++) {
                    const double at = (double)x[v], want = functions[k].one(at);
                    if (fabs((double)y[v] - want) <= 3e-7 * fmax(1, fabs(at))) continue;
                    fail_msg("%s on %s of %g is %.9g, not %.9g", functions[k].op, glia_isa_name(tables[t]->isa), at,
                             (double)y[v], want);
                }
            }
        }
    }
}

/* Both results of a step equal those of separate steps, for rows of every length, and nothing else is written; either
 * result may be in place of the operand. */
static void pairs_match_separate_steps(void **state) {
    (void)state;
    enum { WIDTH = 48, SHAPES = 40 };
    static const char *const names[][3] = { { "gelu_pair", "gelu", "gelu_slope" },
                                            { "gelu_tanh_pair", "gelu_tanh", "gelu_tanh_slope" } };
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    const int n_tables = tables_of_machine(tables);
    for (int i = 0; i < n_tables * GLIA_COUNT(names) * SHAPES * 3; i++) {
        const glia_cpu_kernels *table = tables[i % n_tables];
        const char *const *name = names[i / n_tables % GLIA_COUNT(names)];
        const int n = 1 + i / n_tables / GLIA_COUNT(names) % SHAPES, place = i / n_tables / GLIA_COUNT(names) / SHAPES;
        float x[2][WIDTH], got[2][2][WIDTH], want[2][2][WIDTH];
        for (int k = 0; k < 2 * WIDTH; k++) {
            x[k / WIDTH][k % WIDTH] = (float)(k * 37 % 101 - 50) / 9;
            for (int r = 0; r < 2; r++) got[r][k / WIDTH][k % WIDTH] = want[r][k / WIDTH][k % WIDTH] = 77;
        }
        if (place > 0) memcpy(got[place - 1], x, sizeof x), memcpy(want[place - 1], x, sizeof x);
        glia_tile_args t = { .rows = 2, .n = n, .d_step = sizeof x[0], .in = { x }, .step = { sizeof x[0] } };
        for (int r = 0; r < 2; r++) {
            t.d = want[r];
            table->tile_named(name[1 + r])->form[0](&t);
        }
        if (place > 0) t.in[0] = got[place - 1];
        t.d = got[0], t.also = got[1], t.also_step = sizeof x[0];
        table->tile_named(name[0])->form[0](&t);
        for (int k = 0; k < 4 * WIDTH; k++) {
            const float a = (&got[0][0][0])[k], b = (&want[0][0][0])[k];
            if (fabsf(a - b) > 1e-6f)
                fail_msg("%s on %s, %d: %g, not %g", name[0], glia_isa_name(table->isa), n, (double)a, (double)b);
        }
    }
}

/* ---- forms, shapes, in place ------------------------------------------------------------------------- */

/* Definitions of the compound steps; tested on small numbers for which all roundings are exact. */
static float muladd(const float *x) { return x[0] * x[1] + x[2]; }
static float mulsub(const float *x) { return x[0] * x[1] - x[2]; }
static float submul(const float *x) { return x[2] - x[0] * x[1]; }
static float choice(const float *x) { return x[0] != 0 ? x[1] : x[2]; }
static float addmax(const float *x) { return fmaxf(x[0] + x[1], x[2]); }
static float addaddmax(const float *x) { return fmaxf(x[0] + x[1] + x[2], x[3]); }
static float clampadd(const float *x) { return fminf(fmaxf(x[0] + x[1], x[2]), x[3]); }
static float scaleshift(const float *x) { return (x[0] - x[1]) * x[2] + x[3]; }
static float mix(const float *x) { return x[0] * x[2] + x[1] * x[3]; }
static float mixsquare(const float *x) { return x[0] * x[2] + x[1] * x[1] * x[3]; }
static float rootadd(const float *x) { return sqrtf(x[0]) * x[1] + x[2]; }
static float subdiv(const float *x) { return x[0] - x[1] * x[3] / x[2]; }
static float both(const float *x) { return x[0] != 0 ? x[1] : x[0]; }
static float either(const float *x) { return x[0] != 0 ? x[0] : x[1]; }
static float same(const float *x) { return x[0]; }

static const struct {
    const char *name;
    float (*of)(const float *x);
} steps[] = {
    { "select", choice },   { "muladd", muladd },         { "mulsub", mulsub }, { "submul", submul },
    { "addmax", addmax },   { "scaleshift", scaleshift }, { "mix", mix },       { "mixsquare", mixsquare },
    { "rootadd", rootadd }, { "subdiv", subdiv },         { "and", both },      { "or", either },
    { "copy", same },       { "stop_gradient", same },    { "fill", same },   { "addaddmax", addaddmax },
    { "clampadd", clampadd },
};

enum { MOST_ROWS = 3, PITCH = 96 };

typedef struct form_case {
    const glia_cpu_kernels *table;
    const char *name;
    const bound *bound; /* or */
    float (*of)(const float *x);
    unsigned form;
    int64_t rows, n;
    int in_place; /* the operand overwritten by the result; -1: none */
} form_case;

static double wanted(const form_case *c, const float *x) {
    if (c->of) return c->of(x);
    return c->bound->one ? c->bound->one(x[0]) : c->bound->two(x[0], x[1]);
}

/* One form on rows of n elements: results match the definition, nothing else is written. Odd operands repeat a row. */
static void check_form(const form_case *c) {
    const glia_tile *tile = c->table->tile_named(c->name);
    float in[GLIA_TILE_OPERANDS][MOST_ROWS][PITCH], d[MOST_ROWS][PITCH], want[MOST_ROWS][PITCH];
    for (int i = 0; i < GLIA_COUNT(in) * MOST_ROWS * PITCH; i++) { /* quarters from 0 to 5/4 */
        in[i / (MOST_ROWS * PITCH)][i / PITCH % MOST_ROWS][i % PITCH] =
            (float)(((uint32_t)(i + 1) * 2654435761u >> 20) % 6) / 4;
    }
    glia_tile_args t = { .rows = c->rows, .n = c->n, .d = d, .d_step = sizeof d[0] };
    for (int k = 0; k < tile->n_in; k++) {
        t.in[k] = in[k];
        t.step[k] = k % 2 && k != c->in_place ? 0 : sizeof in[k][0];
    }
    if (c->in_place >= 0) t.d = in[c->in_place];
    float(*to)[PITCH] = t.d;
    for (int64_t r = 0; r < MOST_ROWS; r++) {
        for (int64_t i = 0; i < PITCH; i++) {
            float x[GLIA_TILE_OPERANDS];
            for (int k = 0; k < tile->n_in; k++) x[k] = in[k][t.step[k] ? r : 0][c->form >> k & 1 ? 0 : i];
            if (c->in_place < 0) d[r][i] = 77;
            want[r][i] = r < c->rows && i < c->n ? (float)wanted(c, x) : to[r][i];
        }
    }
    tile->form[c->form](&t);
    for (int64_t r = 0; r < MOST_ROWS; r++) {
        for (int64_t i = 0; i < PITCH; i++) {
            const float got = to[r][i];
            if (memcmp(&got, &want[r][i], sizeof got) && !(fabsf(got - want[r][i]) <= 1e-6f * (1 + fabsf(got)))) {
                fail_msg("%s on %s, form %u, %d x %d: [%d, %d] is %g, not %g", c->name, glia_isa_name(c->table->isa),
                         c->form, (int)c->rows, (int)c->n, (int)r, (int)i, (double)got, (double)want[r][i]);
            }
        }
    }
}

static void every_form_and_shape(void **state) {
    (void)state;
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    int n_tables = tables_of_machine(tables);
    for (int i = 0; i < n_tables * (GLIA_COUNT(bounds) + GLIA_COUNT(steps)); i++) {
        const int at = i / n_tables;
        form_case c = { .table = tables[i % n_tables] };
        if (at < GLIA_COUNT(bounds)) c.bound = &bounds[at];
        if (at >= GLIA_COUNT(bounds)) c.of = steps[at - GLIA_COUNT(bounds)].of;
        c.name = c.of ? steps[at - GLIA_COUNT(bounds)].name : c.bound->op;
        const glia_tile *tile = c.table->tile_named(c.name);
        assert_non_null(tile);
        for (c.form = 0; c.form < 1 << GLIA_TILE_OPERANDS; c.form++) {
            for (c.n = 1; c.n < 90 && tile->form[c.form]; c.n += c.n < 40 ? 1 : 7) {
                c.rows = 1 + c.n % MOST_ROWS;
                for (c.in_place = -1; c.in_place < tile->n_in; c.in_place++) {
                    if (c.in_place < 0 || !(c.form >> c.in_place & 1)) check_form(&c);
                }
            }
        }
    }
}

/* Steps that read or write bytes or integers. */
static void bytes_and_numbers(void **state) {
    (void)state;
    enum { ROWS = 2, WIDTH = 70 };
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    int n_tables = tables_of_machine(tables);
    for (int i = 0; i < n_tables * 50; i++) {
        const glia_cpu_kernels *table = tables[i % n_tables];
        const int64_t n = 1 + i / n_tables;
        uint8_t bytes[ROWS][WIDTH], truth[ROWS][WIDTH];
        float x[ROWS][WIDTH], y[ROWS][WIDTH], z[ROWS][WIDTH];
        int32_t whole[ROWS][WIDTH];
        for (int k = 0; k < ROWS * WIDTH; k++) {
            bytes[k / WIDTH][k % WIDTH] = (uint8_t)(k % 3 ? k : 0);
            whole[k / WIDTH][k % WIDTH] = 5 - k % 9;
            x[k / WIDTH][k % WIDTH] = (float)(k % 7), y[k / WIDTH][k % WIDTH] = (float)(k % 5);
            z[k / WIDTH][k % WIDTH] = 77, truth[k / WIDTH][k % WIDTH] = 77;
        }
        glia_tile_args t = { .rows = ROWS, .n = n, .d = z, .d_step = sizeof z[0] };
        t.in[0] = bytes, t.step[0] = sizeof bytes[0];
        table->tile_named("load_u8")->form[0](&t);
        for (int k = 0; k < ROWS * WIDTH; k++) {
            assert_true(z[k / WIDTH][k % WIDTH] == (k % WIDTH < n ? bytes[k / WIDTH][k % WIDTH] : 77));
        }
        table->tile_named("load_i8")->form[0](&t);
        for (int r = 0; r < ROWS; r++) {
            for (int k = 0; k < n; k++) assert_true(z[r][k] == (int8_t)bytes[r][k]);
        }
        t.in[1] = x, t.step[1] = sizeof x[0], t.in[2] = y, t.step[2] = sizeof y[0];
        table->tile_named("select_u8")->form[0](&t);
        for (int r = 0; r < ROWS; r++) {
            for (int k = 0; k < n; k++) assert_true(z[r][k] == (bytes[r][k] ? x[r][k] : y[r][k]));
        }
        t.in[0] = whole, t.step[0] = sizeof whole[0];
        table->tile_named("load_i32")->form[0](&t);
        for (int r = 0; r < ROWS; r++) {
            for (int k = 0; k < n; k++) assert_true(z[r][k] == (float)whole[r][k]);
        }
        t.in[1] = &whole[0][3], t.step[1] = 0;
        table->tile_named("less_i32")->form[2](&t);
        for (int r = 0; r < ROWS; r++) {
            for (int k = 0; k < n; k++) assert_true(z[r][k] == (whole[r][k] < whole[0][3]));
        }
        t.d = truth, t.d_step = sizeof truth[0], t.in[0] = x, t.step[0] = sizeof x[0], t.in[1] = y,
        t.step[1] = sizeof y[0];
        table->tile_named("greater_bool")->form[0](&t);
        for (int k = 0; k < ROWS * WIDTH; k++) {
            const int r = k / WIDTH, j = k % WIDTH;
            assert_int_equal(truth[r][j], j < n ? x[r][j] > y[r][j] : 77);
        }
        table->tile_named("store_bool")->form[0](&t);
        for (int r = 0; r < ROWS; r++) {
            for (int k = 0; k < n; k++) assert_int_equal(truth[r][k], x[r][k] != 0);
        }
    }
}

/* Sums, maxima and products of rows of every length. */
static void rows_to_floats(void **state) {
    (void)state;
    enum { ROWS = 37, WIDTH = 150 };
    static float x[ROWS][WIDTH];
    glia_rng rng = { .seed = 2 };
    for (int i = 0; i < ROWS * WIDTH; i++) x[i / WIDTH][i % WIDTH] = 1 + 0.1f * (float)glia_rng_uniform(&rng);
    x[5][0] = NAN;
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    int n_tables = tables_of_machine(tables);
    for (int i = 0; i < n_tables * WIDTH; i++) {
        const int64_t n = 1 + i / n_tables;
        static const char *const names[] = { "row_sum", "row_max", "row_prod" };
        for (int k = 0; k < 3; k++) {
            float got[ROWS + 1] = { [ROWS] = 77 };
            const glia_tile *tile = tables[i % n_tables]->tile_named(names[k]);
            tile->form[0](&(glia_tile_args){
                .rows = ROWS, .n = n, .d = got, .d_step = sizeof(float), .in = { x }, .step = { sizeof x[0] } });
            for (int r = 0; r < ROWS; r++) {
                double want = k == 0 ? 0 : k == 1 ? -INFINITY : 1;
                for (int j = 0; j < n; j++)
                    want = k == 0 ? want + x[r][j] : k == 1 ? fmax(want, x[r][j]) : want * x[r][j];
                if (r == 5 ? !isnan(got[r]) : !(fabs(got[r] - want) <= 1e-5 * want)) {
                    fail_msg("%s on %s of %d: row %d is %g, not %g", names[k], glia_isa_name(tables[i % n_tables]->isa),
                             (int)n, r, (double)got[r], want);
                }
            }
            assert_true(got[ROWS] == 77);
        }
    }
}

/* Checks that every elementwise op of floats has a tile function. */
static void every_elementwise_op_has_a_tile_function(void **state) {
    (void)state;
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    tables_of_machine(tables);
    for (int i = 0; i < glia_op_count(); i++) {
        const glia_op *op = glia_op_at(i);
        if (!(op->flags & GLIA_OP_ELEMENTWISE) || op == &glia_op_cast) continue;
        if (op->flags & (GLIA_OP_COMPOSITE | GLIA_OP_GRADIENT_ONLY) && op != &glia_op_stop_gradient) continue;
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
        cmocka_unit_test(functions_meet_error_bounds),
        cmocka_unit_test(gelu_and_gradient_are_accurate),
        cmocka_unit_test(pairs_match_separate_steps),
        cmocka_unit_test(every_form_and_shape),
        cmocka_unit_test(bytes_and_numbers),
        cmocka_unit_test(rows_to_floats),
        cmocka_unit_test(every_elementwise_op_has_a_tile_function),
        cmocka_unit_test(softmax_of_every_length),
        cmocka_unit_test(random_bits_are_philox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
