/* tile.c - the tile functions: elementwise operations on a few hundred floats at a time (loop.h).
 *
 * A tile function computes its last vector first, from operands that nothing has changed yet, then the others, then
 * stores it: so there is no tail, nothing outside the tile is touched, and the result may lie where an operand does.
 *
 *     n = 20:   | 0..7 | 8..15 |
 *                          | 12..19 |      the last vector overlaps and is stored last
 *
 * A new elementwise operation needs a row in the table at the end, of the op's name and its forms.
 */
#include "backend/cpu/rows.h"
#include "backend/cpu/vmath.h"

/* Fewer elements than a vector has: in padded copies. A scalar operand is used as it is. */
static void run_few(glia_tile_fn fn, unsigned scalars, void *d, const void *a, const void *b, const void *c,
                    int64_t n) {
    float in[3][VLEN], out[VLEN];
    const void *from[3] = { a, b, c };
    for (int i = 0; i < 3; i++) {
        if (!from[i] || (scalars >> i & 1)) continue;
        for (int k = 0; k < VLEN; k++) in[i][k] = ((const float *)from[i])[k < n ? k : 0];
        from[i] = in[i];
    }
    fn(out, from[0], from[1], from[2], VLEN);
    memcpy(d, out, (size_t)n * sizeof(float));
}

/* Operand k at element i: a vector of them, or one float everywhere. */
#define V(p, splat, i) vf_load((p) + (i))
#define S(p, splat, i) (splat)
#define SPLAT_V(p)     vf_set(0.0f)
#define SPLAT_S(p)     vf_set(*(p))
#define BIT_V          0u
#define BIT_S          1u

/* A tile function of one, two or three operands; `expression` is of the vectors a, b, c. */
#define TILE1(name, expression)                                                                                        \
    static void name(void *dp, const void *ap, const void *bp, const void *cp, int64_t n) {                            \
        (void)bp, (void)cp;                                                                                            \
        if (n < VLEN) {                                                                                                \
            run_few(name, 0, dp, ap, NULL, NULL, n);                                                                   \
            return;                                                                                                    \
        }                                                                                                              \
        float *d = dp;                                                                                                 \
        const float *pa = ap;                                                                                          \
        vf a = vf_load(pa + n - VLEN);                                                                                 \
        const vf last = (expression);                                                                                  \
        for (int64_t i = 0; i < n - VLEN; i += VLEN) {                                                                 \
            a = vf_load(pa + i);                                                                                       \
            vf_store(d + i, (expression));                                                                             \
        }                                                                                                              \
        vf_store(d + n - VLEN, last);                                                                                  \
    }

#define TILE2(name, A, B, expression)                                                                                  \
    static void name(void *dp, const void *ap, const void *bp, const void *cp, int64_t n) {                            \
        (void)cp;                                                                                                      \
        if (n < VLEN) {                                                                                                \
            run_few(name, BIT_##A | BIT_##B << 1, dp, ap, bp, NULL, n);                                                \
            return;                                                                                                    \
        }                                                                                                              \
        float *d = dp;                                                                                                 \
        const float *pa = ap, *pb = bp;                                                                                \
        const vf sa = SPLAT_##A(pa), sb = SPLAT_##B(pb);                                                               \
        (void)sa, (void)sb;                                                                                            \
        vf a = A(pa, sa, n - VLEN), b = B(pb, sb, n - VLEN);                                                           \
        const vf last = (expression);                                                                                  \
        for (int64_t i = 0; i < n - VLEN; i += VLEN) {                                                                 \
            a = A(pa, sa, i), b = B(pb, sb, i);                                                                        \
            vf_store(d + i, (expression));                                                                             \
        }                                                                                                              \
        vf_store(d + n - VLEN, last);                                                                                  \
    }

#define TILE3(name, A, B, C, expression)                                                                               \
    static void name(void *dp, const void *ap, const void *bp, const void *cp, int64_t n) {                            \
        if (n < VLEN) {                                                                                                \
            run_few(name, BIT_##A | BIT_##B << 1 | BIT_##C << 2, dp, ap, bp, cp, n);                                   \
            return;                                                                                                    \
        }                                                                                                              \
        float *d = dp;                                                                                                 \
        const float *pa = ap, *pb = bp, *pc = cp;                                                                      \
        const vf sa = SPLAT_##A(pa), sb = SPLAT_##B(pb), sc = SPLAT_##C(pc);                                           \
        (void)sa, (void)sb, (void)sc;                                                                                  \
        vf a = A(pa, sa, n - VLEN), b = B(pb, sb, n - VLEN), c = C(pc, sc, n - VLEN);                                  \
        const vf last = (expression);                                                                                  \
        for (int64_t i = 0; i < n - VLEN; i += VLEN) {                                                                 \
            a = A(pa, sa, i), b = B(pb, sb, i), c = C(pc, sc, i);                                                      \
            vf_store(d + i, (expression));                                                                             \
        }                                                                                                              \
        vf_store(d + n - VLEN, last);                                                                                  \
    }

/* All forms of a function of two operands. */
#define FORMS2(name, expression)                                                                                       \
    TILE2(name##_vv, V, V, expression)                                                                                 \
    TILE2(name##_sv, S, V, expression)                                                                                 \
    TILE2(name##_vs, V, S, expression)
#define ROW2(name)                                                                                                     \
    {                                                                                                                  \
#name, 2, { name##_vv, name##_sv, name##_vs }                                                                  \
    }

/* Of three: all but those where only a, or a and others, are scalars. */
#define FORMS3(name, expression)                                                                                       \
    TILE3(name##_vvv, V, V, V, expression)                                                                             \
    TILE3(name##_vsv, V, S, V, expression)                                                                             \
    TILE3(name##_vvs, V, V, S, expression)                                                                             \
    TILE3(name##_vss, V, S, S, expression)
#define ROW3(name)                                                                                                     \
    {                                                                                                                  \
#name, 3, { name##_vvv, NULL, name##_vsv, NULL, name##_vvs, NULL, name##_vss }                                 \
    }
#define ROW1(name)                                                                                                     \
    {                                                                                                                  \
#name, 1, { name##_v }                                                                                         \
    }

/* 1 where the mask holds, else 0. */
#define TRUTH(mask) ((vf)((mask) & (vi)vf_set(1.0f)))

TILE1(neg_v, -a)
TILE1(abs_v, vf_abs(a))
TILE1(sign_v, vf_select(a != a, a, TRUTH(a > 0.0f) - TRUTH(a < 0.0f)))
TILE1(exp_v, vf_exp(a))
TILE1(expm1_v, vf_expm1(a))
TILE1(log_v, vf_log(a))
TILE1(log1p_v, vf_log1p(a))
TILE1(sqrt_v, vf_sqrt(a))
TILE1(rsqrt_v, 1.0f / vf_sqrt(a))
TILE1(sin_v, vf_sin(a))
TILE1(cos_v, vf_cos(a))
TILE1(tanh_v, vf_tanh(a))
TILE1(sigmoid_v, vf_sigmoid(a))
TILE1(erf_v, vf_erf(a))
TILE1(floor_v, vf_floor(a))
TILE1(ceil_v, vf_ceil(a))
TILE1(round_v, vf_round(a))
TILE1(is_finite_v, TRUTH(vf_abs(a) < GLIA_INF))
TILE1(not_v, TRUTH(a == 0.0f))
TILE1(copy_v, a)

FORMS2(add, a + b)
FORMS2(sub, a - b)
FORMS2(mul, a *b)
FORMS2(div, a / b)
FORMS2(pow, vf_pow(a, b))
FORMS2(maximum, vf_select((a > b) | (a != a), a, b))
FORMS2(minimum, vf_select((a < b) | (a != a), a, b))
FORMS2(equal, TRUTH(a == b))
FORMS2(not_equal, TRUTH(a != b))
FORMS2(less, TRUTH(a < b))
FORMS2(less_equal, TRUTH(a <= b))
FORMS2(greater, TRUTH(a > b))
FORMS2(greater_equal, TRUTH(a >= b))
FORMS2(and, vf_select(a != 0.0f, b, a))
FORMS2(or, vf_select(a != 0.0f, a, b))

FORMS3(select, vf_select(a != 0.0f, b, c))
FORMS3(muladd, a *b + c)
FORMS3(mulsub, a *b - c)
FORMS3(submul, c - a * b)

/* Comparisons of whole numbers: a and b are i32, or one of them is a single i32. */
#define COMPARE_I32(name, form, a_step, b_step, operator)                                                              \
    static void name##_i32_##form(void *dp, const void *ap, const void *bp, const void *cp, int64_t n) {               \
        float *restrict d = dp;                                                                                        \
        const int32_t *restrict a = ap, *restrict b = bp;                                                              \
        (void)cp;                                                                                                      \
        for (int64_t i = 0; i < n; i++) d[i] = a[i * a_step] operator b[i * b_step] ? 1.0f : 0.0f;                     \
    }
#define FORMS_I32(name, operator)                                                                                      \
    COMPARE_I32(name, vv, 1, 1, operator)                                                                              \
    COMPARE_I32(name, sv, 0, 1, operator)                                                                              \
    COMPARE_I32(name, vs, 1, 0, operator)
#define ROW_I32(name)                                                                                                  \
    {                                                                                                                  \
#name "_i32", 2, { name##_i32_vv, name##_i32_sv, name##_i32_vs }                                               \
    }
FORMS_I32(equal, ==)
FORMS_I32(not_equal, !=)
FORMS_I32(less, <)
FORMS_I32(less_equal, <=)
FORMS_I32(greater, >)
FORMS_I32(greater_equal, >=)

/* One float to n. */
static void fill_s(void *dp, const void *ap, const void *bp, const void *cp, int64_t n) {
    float *restrict d = dp;
    const float x = *(const float *)ap;
    (void)bp, (void)cp;
    for (int64_t i = 0; i < n; i++) d[i] = x;
}

/* Bytes (u8, bool) and i32 to floats, and truth values to bytes. */
static void load_u8_v(void *dp, const void *ap, const void *bp, const void *cp, int64_t n) {
    float *restrict d = dp;
    const uint8_t *restrict a = ap;
    (void)bp, (void)cp;
    for (int64_t i = 0; i < n; i++) d[i] = a[i];
}

static void load_i32_v(void *dp, const void *ap, const void *bp, const void *cp, int64_t n) {
    float *restrict d = dp;
    const int32_t *restrict a = ap;
    (void)bp, (void)cp;
    for (int64_t i = 0; i < n; i++) d[i] = (float)a[i];
}

static void store_bool_v(void *dp, const void *ap, const void *bp, const void *cp, int64_t n) {
    uint8_t *restrict d = dp;
    const float *restrict a = ap;
    (void)bp, (void)cp;
    for (int64_t i = 0; i < n; i++) d[i] = a[i] != 0;
}

static const glia_tile tiles[] = {
    ROW1(neg),
    ROW1(abs),
    ROW1(sign),
    ROW1(exp),
    ROW1(expm1),
    ROW1(log),
    ROW1(log1p),
    ROW1(sqrt),
    ROW1(rsqrt),
    ROW1(sin),
    ROW1(cos),
    ROW1(tanh),
    ROW1(sigmoid),
    ROW1(erf),
    ROW1(floor),
    ROW1(ceil),
    ROW1(round),
    ROW1(is_finite),
    ROW1(not ),
    ROW2(add),
    ROW2(sub),
    ROW2(mul),
    ROW2(div),
    ROW2(pow),
    ROW2(maximum),
    ROW2(minimum),
    ROW2(equal),
    ROW2(not_equal),
    ROW2(less),
    ROW2(less_equal),
    ROW2(greater),
    ROW2(greater_equal),
    ROW2(and),
    ROW2(or),
    ROW3(select),
    { "stop_gradient", 1, { copy_v } },
    /* not ops, but steps that lowering makes of them */
    ROW1(copy),
    ROW1(load_u8),
    ROW1(load_i32),
    ROW1(store_bool),
    { "fill", 1, { NULL, fill_s } },
    ROW3(muladd),
    ROW3(mulsub),
    ROW3(submul),
    ROW_I32(equal),
    ROW_I32(not_equal),
    ROW_I32(less),
    ROW_I32(less_equal),
    ROW_I32(greater),
    ROW_I32(greater_equal),
};

const glia_tile *GLIA_KERNEL(tile_named)(const char *op) {
    for (int i = 0; i < GLIA_COUNT(tiles); i++) {
        if (!strcmp(tiles[i].op, op)) return &tiles[i];
    }
    return NULL;
}
