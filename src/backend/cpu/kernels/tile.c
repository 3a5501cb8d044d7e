/* tile.c - the tile functions: elementwise operations, and sums of rows, on a few hundred floats at a time (loop.h).
 *
 * A row is processed a vector at a time; the rest at its end is loaded and stored with only the lanes of existing
 * elements. So nothing outside the tile is accessed, and the result may overwrite an operand.
 *
 *     n = 20:   | 0..7 | 8..15 | 16..19 |
 *
 * A new elementwise operation needs a row in the table at the end, of the op's name and its forms.
 */
#include "backend/cpu/kernels/rows.h"
#include "backend/cpu/kernels/vmath.h"

/* ---- kinds of operands and results ------------------------------------------------------------- */

/* Bytes as floats, masks as bytes of 0 and 1. */
GLIA_INLINE vf bytes_load(const char *p) { return __builtin_convertvector(vi_load_bytes((const uint8_t *)p), vf); }
GLIA_INLINE vf bytes_load_first(const char *p, int64_t n) {
    uint8_t bytes[VLEN] = { 0 };
    for (int64_t k = 0; k < n; k++) bytes[k] = ((const uint8_t *)p)[k];
    return __builtin_convertvector(vi_load_bytes(bytes), vf);
}
GLIA_INLINE void bytes_store(char *p, vi mask) { vi_store_bytes((uint8_t *)p, mask & 1); }
GLIA_INLINE void bytes_store_first(char *p, vi mask, int64_t n) {
    uint8_t bytes[VLEN];
    vi_store_bytes(bytes, mask & 1);
    for (int64_t k = 0; k < n; k++) ((uint8_t *)p)[k] = bytes[k];
}

/* Kinds of operands: a vector of floats, one float per row, one i32 per row, bytes (bool, u8, i8), none. ROW is read
 * once at the beginning of a row, AT is the vector at element i, END the first lanes of the last vector. */
#define ROW_V(p)         vf_set(0.0f)
#define ROW_S(p)         vf_set(*(const float *)(const void *)(p))
#define ROW_J(p)         ((vf)((vi){ 0 } + *(const int32_t *)(const void *)(p)))
#define ROW_B(p)         vf_set(0.0f)
#define ROW_N(p)         vf_set(0.0f)
#define AT_V(p, row, i)  vf_load((const float *)(const void *)(p) + (i))
#define AT_S(p, row, i)  (row)
#define AT_J(p, row, i)  (row)
#define AT_B(p, row, i)  bytes_load((p) + (i))
#define AT_N(p, row, i)  (row)
#define END_V(p, row, i) vf_load_first((const float *)(const void *)(p) + (i), n - (i))
#define END_S(p, row, i) (row)
#define END_J(p, row, i) (row)
#define END_B(p, row, i) bytes_load_first((p) + (i), n - (i))
#define END_N(p, row, i) (row)

/* Kinds of results: floats, and masks that become bytes of 0 and 1. */
#define STORE_V(d, i, y)     vf_store((float *)(void *)(d) + (i), y)
#define STORE_B(d, i, y)     bytes_store((d) + (i), y)
#define STORE_END_V(d, i, y) vf_store_first((float *)(void *)(d) + (i), y, n - (i))
#define STORE_END_B(d, i, y) bytes_store_first((d) + (i), y, n - (i))

/* A tile function of operands of kinds A, B, C, E with a result of kind D; `expression` uses the vectors a, b, c, e. */
#define TILE(name, D, A, B, C, E, expression)                                                                          \
    static void name(const glia_tile_args *t) {                                                                        \
        const int64_t n = t->n, rows = t->rows, d_step = t->d_step;                                                    \
        const int64_t a_step = t->step[0], b_step = t->step[1], c_step = t->step[2], e_step = t->step[3];              \
        const char *pa = t->in[0], *pb = t->in[1], *pc = t->in[2], *pe = t->in[3];                                     \
        char *d = t->d;                                                                                                \
        for (int64_t row = 0; row < rows; row++) {                                                                     \
            const vf ra = ROW_##A(pa), rb = ROW_##B(pb), rc = ROW_##C(pc), re = ROW_##E(pe);                           \
            int64_t i = 0;                                                                                             \
            for (; i + VLEN <= n; i += VLEN) {                                                                         \
                const vf a = AT_##A(pa, ra, i), b = AT_##B(pb, rb, i), c = AT_##C(pc, rc, i), e = AT_##E(pe, re, i);   \
                (void)a, (void)b, (void)c, (void)e;                                                                    \
                STORE_##D(d, i, (expression));                                                                         \
            }                                                                                                          \
            if (i < n) {                                                                                               \
                const vf a = END_##A(pa, ra, i), b = END_##B(pb, rb, i), c = END_##C(pc, rc, i),                       \
                         e = END_##E(pe, re, i);                                                                       \
                (void)a, (void)b, (void)c, (void)e;                                                                    \
                STORE_END_##D(d, i, (expression));                                                                     \
            }                                                                                                          \
            (void)ra, (void)rb, (void)rc, (void)re;                                                                    \
            d += d_step, pa += a_step, pb += b_step, pc += c_step, pe += e_step;                                       \
        }                                                                                                              \
    }

/* ---- one operand --------------------------------------------------------------------------------- */

#define TILE1(name, expression) TILE(name, V, V, N, N, N, expression)
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
TILE1(gelu_v, vf_gelu(a))
TILE1(gelu_slope_v, vf_gelu_slope(a))
TILE1(gelu_tanh_v, vf_gelu_tanh(a))
TILE1(gelu_tanh_slope_v, vf_gelu_tanh_slope(a))
TILE1(floor_v, vf_floor(a))
TILE1(ceil_v, vf_ceil(a))
TILE1(round_v, vf_round(a))
TILE1(is_finite_v, TRUTH(vf_abs(a) < GLIA_INF))
TILE1(not_v, TRUTH(a == 0.0f))
TILE1(copy_v, a)

/* Two results of one operand; computing either costs nearly as much as both. */
#define TILE_PAIR(name, function)                                                                                      \
    static void name(const glia_tile_args *t) {                                                                        \
        const char *pa = t->in[0];                                                                                     \
        char *d = t->d, *also = t->also;                                                                               \
        for (int64_t row = 0; row < t->rows; row++, pa += t->step[0], d += t->d_step, also += t->also_step) {          \
            const int64_t n = t->n;                                                                                    \
            int64_t i = 0;                                                                                             \
            vf second;                                                                                                 \
            for (; i + VLEN <= n; i += VLEN) {                                                                         \
                const vf first = function(AT_V(pa, 0, i), &second);                                                    \
                STORE_V(d, i, first);                                                                                  \
                STORE_V(also, i, second);                                                                              \
            }                                                                                                          \
            if (i == n) continue;                                                                                      \
            const vf first = function(END_V(pa, 0, i), &second);                                                       \
            STORE_END_V(d, i, first);                                                                                  \
            STORE_END_V(also, i, second);                                                                              \
        }                                                                                                              \
    }

TILE_PAIR(gelu_pair_v, vf_gelu_pair)
TILE_PAIR(gelu_tanh_pair_v, vf_gelu_tanh_pair)

/* Whole numbers and bytes to floats, truth values to bytes, a float to a row. */
TILE(load_i32_v, V, V, N, N, N, __builtin_convertvector((vi)a, vf))
TILE(load_u8_v, V, B, N, N, N, a)
TILE(load_i8_v, V, B, N, N, N, vf_select(a >= 128.0f, a - 256.0f, a))
TILE(store_bool_v, B, V, N, N, N, a != 0.0f)
TILE(fill_s, V, S, N, N, N, a)

/* ---- two operands -------------------------------------------------------------------------------- */

/* Both vectors, the first or the second one a scalar. */
#define FORMS2(name, expression)                                                                                       \
    TILE(name##_vv, V, V, V, N, N, expression)                                                                         \
    TILE(name##_sv, V, S, V, N, N, expression)                                                                         \
    TILE(name##_vs, V, V, S, N, N, expression)
#define ROW2(name)                                                                                                     \
    {                                                                                                                  \
#name, 2, { name##_vv, name##_sv, name##_vs }                                                                  \
    }

FORMS2(add, a + b)
FORMS2(sub, a - b)
FORMS2(mul, a *b)
FORMS2(div, a / b)
FORMS2(pow, vf_pow(a, b))
FORMS2(maximum, vf_larger(a, b))
FORMS2(minimum, vf_smaller(a, b))
FORMS2(and, vf_select(a != 0.0f, b, a))
FORMS2(or, vf_select(a != 0.0f, a, b))

/* Comparisons: of floats, the result as floats or as bytes, and of i32. */
#define FORMS_COMPARE(name, operator)                                                                                  \
    FORMS2(name, TRUTH(a operator b))                                                                                  \
    TILE(name##_bool_vv, B, V, V, N, N, a operator b)                                                                  \
    TILE(name##_bool_sv, B, S, V, N, N, a operator b)                                                                  \
    TILE(name##_bool_vs, B, V, S, N, N, a operator b)                                                                  \
    TILE(name##_i32_vv, V, V, V, N, N, TRUTH((vi)a operator(vi) b))                                                    \
    TILE(name##_i32_sv, V, J, V, N, N, TRUTH((vi)a operator(vi) b))                                                    \
    TILE(name##_i32_vs, V, V, J, N, N, TRUTH((vi)a operator(vi) b))
#define ROW_COMPARE(name)                                                                                              \
    ROW2(name), { #name "_bool", 2, { name##_bool_vv, name##_bool_sv, name##_bool_vs } }, {                            \
#name "_i32", 2, { name##_i32_vv, name##_i32_sv, name##_i32_vs }                                               \
    }

FORMS_COMPARE(equal, ==)
FORMS_COMPARE(not_equal, !=)
FORMS_COMPARE(less, <)
FORMS_COMPARE(less_equal, <=)
FORMS_COMPARE(greater, >)
FORMS_COMPARE(greater_equal, >=)

/* ---- three and four ------------------------------------------------------------------------------ */

/* All but those where a is a scalar. */
#define FORMS3(name, expression)                                                                                       \
    TILE(name##_vvv, V, V, V, V, N, expression)                                                                        \
    TILE(name##_vsv, V, V, S, V, N, expression)                                                                        \
    TILE(name##_vvs, V, V, V, S, N, expression)                                                                        \
    TILE(name##_vss, V, V, S, S, N, expression)
#define ROW3(name)                                                                                                     \
    {                                                                                                                  \
#name, 3, { [0] = name##_vvv, [2] = name##_vsv, [4] = name##_vvs, [6] = name##_vss }                           \
    }

FORMS3(select, vf_select(a != 0.0f, b, c))
FORMS3(muladd, a *b + c)
FORMS3(mulsub, a *b - c)
FORMS3(submul, c - a * b)

/* select with a condition of bytes. */
TILE(select_u8_bvv, V, B, V, V, N, vf_select(a != 0.0f, b, c))
TILE(select_u8_bsv, V, B, S, V, N, vf_select(a != 0.0f, b, c))
TILE(select_u8_bvs, V, B, V, S, N, vf_select(a != 0.0f, b, c))

/* Fused steps of layers and optimisers (program.c lists their operations): one step instead of two to five. */
TILE(addmax_vvs, V, V, V, S, N, vf_larger(a + b, c))
TILE(addmax_vss, V, V, S, S, N, vf_larger(a + b, c))
TILE(addaddmax_vvvs, V, V, V, V, S, vf_larger(a + b + c, e))
TILE(clampadd_vvss, V, V, V, S, S, vf_smaller(vf_larger(a + b, c), e))
TILE(scaleshift_vvvv, V, V, V, V, V, (a - b) * c + e)
TILE(scaleshift_vsss, V, V, S, S, S, (a - b) * c + e)
TILE(mix_vvss, V, V, V, S, S, a *c + b * e)
TILE(mixsquare_vvss, V, V, V, S, S, a *c + b * b * e)
TILE(rootadd_vss, V, V, S, S, N, vf_sqrt(a) * b + c)
TILE(subdiv_vvvs, V, V, V, V, S, a - b * e / c)

/* ---- rows to floats ------------------------------------------------------------------------------ */

GLIA_INLINE vf joined(glia_loop_sum kind, vf a, vf b) {
    return kind == GLIA_LOOP_SUM ? a + b : kind == GLIA_LOOP_MAX ? vf_larger(a, b) : a * b;
}

GLIA_INLINE vf neutral_of(glia_loop_sum kind) {
    return vf_set(kind == GLIA_LOOP_SUM ? 0.0f : kind == GLIA_LOOP_PROD ? 1.0f : -GLIA_INF);
}

/* A vector whose lanes, joined, give the reduction of n elements. */
GLIA_INLINE vf lanes_of(glia_loop_sum kind, const float *x, int64_t n) {
    const vf neutral = neutral_of(kind);
    if (n < VLEN) return vf_select(vi_first(n), vf_load_first(x, n), neutral);
    vf part[4] = { neutral, neutral, neutral, neutral };
    int64_t i = 0;
    for (; i + 4 * VLEN <= n; i += 4 * VLEN) {
        for (int k = 0; k < 4; k++) part[k] = joined(kind, part[k], vf_load(x + i + k * VLEN));
    }
    for (; i + VLEN <= n; i += VLEN) part[0] = joined(kind, part[0], vf_load(x + i));
    if (i < n) part[1] = joined(kind, part[1], vf_select(vi_first(n - i), vf_load_first(x + i, n - i), neutral));
    return joined(kind, joined(kind, part[0], part[1]), joined(kind, part[2], part[3]));
}

/* d[r] = the sum, the maximum (NaN if there is one) or the product of row r. VLEN rows are joined together:
 * neighbouring lanes of pairs of vectors become one vector, until one vector is left with a lane for each row. */
GLIA_INLINE void reduce_rows(glia_loop_sum kind, const glia_tile_args *t) {
    const char *x = t->in[0];
    char *d = t->d;
    for (int64_t row = 0; row < t->rows; row += VLEN) {
        const int64_t rows = GLIA_MIN(VLEN, t->rows - row);
        vf v[VLEN], results;
        for (int64_t r = 0; r < VLEN; r++) {
            const char *at = x + (row + r) * t->step[0];
            v[r] = r < rows ? lanes_of(kind, (const float *)(const void *)at, t->n) : vf_set(0.0f);
        }
        GLIA_UNROLL
        for (int n = VLEN; n > 1; n /= 2) {
            GLIA_UNROLL
            for (int r = 0; r < n / 2; r++) {
                v[r] = joined(kind, vf_even(v[2 * r], v[2 * r + 1]), vf_odd(v[2 * r], v[2 * r + 1]));
            }
        }
        results = v[0];
        for (int64_t r = 0; r < rows; r++)
            memcpy(d + (row + r) * t->d_step, (const float *)&results + r, sizeof(float));
    }
}

static void row_sum(const glia_tile_args *t) { reduce_rows(GLIA_LOOP_SUM, t); }
static void row_max(const glia_tile_args *t) { reduce_rows(GLIA_LOOP_MAX, t); }
static void row_prod(const glia_tile_args *t) { reduce_rows(GLIA_LOOP_PROD, t); }

/* ---- the table ------------------------------------------------------------------------------------ */

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
    ROW1(gelu),
    ROW1(gelu_slope),
    ROW1(gelu_tanh),
    ROW1(gelu_tanh_slope),
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
    ROW2(and),
    ROW2(or),
    ROW_COMPARE(equal),
    ROW_COMPARE(not_equal),
    ROW_COMPARE(less),
    ROW_COMPARE(less_equal),
    ROW_COMPARE(greater),
    ROW_COMPARE(greater_equal),
    ROW3(select),
    { "stop_gradient", 1, { copy_v } },
    /* not ops, but steps generated by lowering */
    ROW1(copy),
    ROW1(load_u8),
    ROW1(load_i8),
    ROW1(load_i32),
    ROW1(store_bool),
    { "fill", 1, { NULL, fill_s } },
    ROW3(muladd),
    ROW3(mulsub),
    ROW3(submul),
    { "select_u8", 3, { [0] = select_u8_bvv, [2] = select_u8_bsv, [4] = select_u8_bvs } },
    { "addmax", 3, { [4] = addmax_vvs, [6] = addmax_vss } },
    { "addaddmax", 4, { [8] = addaddmax_vvvs } },
    { "clampadd", 4, { [12] = clampadd_vvss } },
    { "scaleshift", 4, { [0] = scaleshift_vvvv, [14] = scaleshift_vsss } },
    { "mix", 4, { [12] = mix_vvss } },
    { "mixsquare", 4, { [12] = mixsquare_vvss } },
    { "rootadd", 3, { [6] = rootadd_vss } },
    { "subdiv", 4, { [8] = subdiv_vvvs } },
    ROW1(gelu_pair),
    ROW1(gelu_tanh_pair),
    /* from rows to floats */
    { "row_sum", 1, { row_sum } },
    { "row_max", 1, { row_max } },
    { "row_prod", 1, { row_prod } },
};

const glia_tile *GLIA_KERNEL(tile_named)(const char *name) {
    for (int i = 0; i < GLIA_COUNT(tiles); i++) {
        if (!strcmp(tiles[i].name, name)) return &tiles[i];
    }
    return NULL;
}
