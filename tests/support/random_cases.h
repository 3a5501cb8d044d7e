/* random_cases.h - random expressions with random shapes and attributes, for differential tests.
 *
 * A case is a function of (seed, number). It is built as a graph and written as a Python expression, which
 * tests/python/check_random.py evaluates with PyTorch: conv(x0,x1,stride=[2,1],...). Sizes are limited so that the
 * reference backend, which computes the definitions in double, takes a few milliseconds per case.
 */
#ifndef GLIA_TESTS_RANDOM_CASES_H
#define GLIA_TESTS_RANDOM_CASES_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "glia/glia.h"

enum { CASE_INPUTS = 6 };

typedef enum case_values {
    VALUES_UNIFORM, /* [-2, 2) */
    VALUES_WHOLE,   /* integers in [-2, 2]: ties, zeros, kinks */
    VALUES_SPECIAL  /* uniform, but some elements of one input are infinite, NaN or 0 */
} case_values;

static const char *const case_values_names[] = { "uniform", "whole", "special" };

typedef struct random_case {
    uint64_t seed, number;
    glia_rng rng;
    glia_graph *g;
    glia_dtype dtype;
    glia_mode mode;
    case_values kind;
    glia_tensor in[CASE_INPUTS], y;
    int n;                      /* inputs */
    bool constant[CASE_INPUTS]; /* no gradient for this input */
    bool positive[CASE_INPUTS]; /* values above 0.3 */
    bool kinks;                 /* rounding may select another branch */
    bool rounds;                /* its definition does not propagate infinities exactly: no special values */
    glia_text text;             /* the expression */
} random_case;

/* ---- choices ---------------------------------------------------------------------------------- */

/* A random integer in [low, high]. */
static inline int64_t pick(random_case *c, int64_t low, int64_t high) {
    return low + (int64_t)(glia_rng_uniform(&c->rng) * (double)(high - low + 1));
}
static inline bool chance(random_case *c, double probability) { return glia_rng_uniform(&c->rng) < probability; }

/* Mostly small, occasionally up to `high`. */
static inline int64_t pick_size(random_case *c, int64_t small, int64_t high) {
    return chance(c, 0.8) ? pick(c, 1, GLIA_MIN(small, high)) : pick(c, 1, high);
}

static inline glia_tensor case_input(random_case *c, glia_shape shape) {
    char name[16];
    snprintf(name, sizeof name, "x%d", c->n);
    return c->in[c->n++] = glia_input(c->g, name, c->dtype, shape);
}

static inline void say_list(random_case *c, const char *name, const int64_t *values, int n) {
    glia_text_printf(&c->text, ",%s=[", name);
    for (int i = 0; i < n; i++) glia_text_printf(&c->text, "%s%lld", i ? "," : "", (long long)values[i]);
    glia_text_printf(&c->text, "]");
}

/* ---- convolution and pooling ------------------------------------------------------------------ */

typedef struct windows {
    int axes;
    int64_t size[3], taps[3], stride[3], dilation[3], pad[3], pad_after[3], out[3];
} windows;

/* Random windows that fit at least once. */
static inline windows pick_windows(random_case *c, bool dilates, int64_t most_taps, int64_t most_size) {
    windows w = { .axes = (int)pick(c, 1, 3) };
    const int64_t large = w.axes == 1 ? 4 * most_size : w.axes == 2 ? most_size : most_size / 3;
    for (int i = 0; i < w.axes; i++) {
        w.taps[i] = pick(c, 1, most_taps);
        w.stride[i] = chance(c, 0.5) ? 1 : pick(c, 1, 4);
        w.dilation[i] = dilates && chance(c, 0.3) ? pick(c, 1, 5) : 1;
        const int64_t extent = w.dilation[i] * (w.taps[i] - 1) + 1, most = dilates ? extent : w.taps[i] - 1;
        w.pad[i] = chance(c, 0.5) ? 0 : pick(c, 0, GLIA_MIN(most, 6));
        w.pad_after[i] = chance(c, 0.7) ? w.pad[i] : pick(c, 0, GLIA_MIN(most, 6));
        w.size[i] = pick(c, 1, large);
        const int64_t least = extent - w.pad[i] - w.pad_after[i];
        if (w.size[i] < least) w.size[i] = least + pick(c, 0, 2);
        w.out[i] = (w.size[i] + w.pad[i] + w.pad_after[i] - extent) / w.stride[i] + 1;
    }
    return w;
}

static inline int64_t product(const int64_t *x, int n) {
    int64_t p = 1;
    for (int i = 0; i < n; i++) p *= x[i];
    return p;
}

static inline void say_windows(random_case *c, const windows *w) {
    say_list(c, "stride", w->stride, w->axes);
    say_list(c, "dilation", w->dilation, w->axes);
    say_list(c, "pad", w->pad, w->axes);
    say_list(c, "pad_after", w->pad_after, w->axes);
}

static inline glia_shape with_axes(int64_t n, int64_t channels, const int64_t *sizes, int axes) {
    glia_shape s = { .rank = axes + 2, .dim = { n, channels } };
    for (int i = 0; i < axes; i++) s.dim[i + 2] = sizes[i];
    return s;
}

static inline glia_shape list_of(const int64_t *values, int n) {
    glia_shape s = { .rank = n };
    memcpy(s.dim, values, (size_t)n * sizeof *values);
    return s;
}

/* Convolution, its adjoint in x, or its kernel gradient as a separate operation. */
static inline void case_conv(random_case *c) {
    static const glia_op *const ops[] = { &glia_op_conv, &glia_op_conv_input_grad, &glia_op_conv_kernel_grad };
    const int which = (int)(chance(c, 0.6) ? 0 : pick(c, 1, 2));
    const bool tiles = chance(c, 0.03); /* large enough for Winograd's kernels */
    windows w = pick_windows(c, true, tiles ? 3 : 5, 14);
    int64_t n = pick(c, 1, 3), groups = chance(c, 0.3) ? pick(c, 2, 12) : 1;
    int64_t in = pick_size(c, 5, groups > 1 ? 3 : 40), out = pick_size(c, 5, groups > 1 ? 3 : 40);
    if (groups > 1 && chance(c, 0.6)) in = out = 1, groups = pick_size(c, 9, 40); /* depthwise */
    if (tiles) {
        w = (windows){ .axes = 2, .taps = { 3, 3 }, .stride = { 1, 1 }, .dilation = { 1, 1 } };
        groups = 1, in = pick(c, 20, 34), out = pick(c, 20, 34), n = pick(c, 1, 2);
        for (int i = 0; i < 2; i++) {
            w.pad[i] = pick(c, 0, 2), w.pad_after[i] = pick(c, 0, 2), w.size[i] = pick(c, 6, 22);
            w.out[i] = w.size[i] + w.pad[i] + w.pad_after[i] - 2;
        }
    }
    const int64_t most = tiles ? 20000000 : 400000;
    while (n * groups * in * out * product(w.out, w.axes) * product(w.taps, w.axes) > most) {
        if (n > 1)
            n--;
        else if (groups > 2)
            groups--;
        else if (in > 1)
            in = (in + 1) / 2;
        else if (out > 1)
            out = (out + 1) / 2;
        else
            break;
    }
    const glia_shape x = with_axes(n, groups * in, w.size, w.axes), y = with_axes(n, groups * out, w.out, w.axes);
    const glia_shape kernel = with_axes(groups * out, in, w.taps, w.axes);
    glia_conv_attrs a = { list_of(w.stride, w.axes),
                          list_of(w.dilation, w.axes),
                          list_of(w.pad, w.axes),
                          list_of(w.pad_after, w.axes),
                          groups,
                          { 0 },
                          false,
                          false };
    if (which) a.size = which == 1 ? x : kernel;
    glia_tensor first = case_input(c, which == 1 ? y : x), second = case_input(c, which == 2 ? y : kernel);
    c->y = glia_node2(ops[which], first, second, &a);
    glia_text_printf(&c->text, "%s(x0,x1", ops[which]->name);
    say_windows(c, &w);
    if (which) say_list(c, "size", a.size.dim, a.size.rank);
    glia_text_printf(&c->text, ",groups=%lld)", (long long)groups);
}

static inline void case_pool(random_case *c) {
    const bool mean = chance(c, 0.5), counts = chance(c, 0.5);
    windows w = pick_windows(c, false, 4, 12);
    if (chance(c, 0.3)) {
        for (int i = 0; i < w.axes; i++) {
            w.taps[i] = w.stride[i] = 2, w.pad[i] = w.pad_after[i] = 0;
            w.size[i] = GLIA_MAX(w.size[i], 2);
        }
    }
    const glia_shape x = with_axes(pick(c, 1, 3), pick_size(c, 6, 40), w.size, w.axes);
    glia_pool_attrs a = { list_of(w.taps, w.axes),
                          list_of(w.stride, w.axes),
                          list_of(w.pad, w.axes),
                          list_of(w.pad_after, w.axes),
                          mean && counts,
                          { 0 },
                          false };
    c->y = glia_node1(mean ? &glia_op_avg_pool : &glia_op_max_pool, case_input(c, x), &a);
    c->kinks |= !mean;
    glia_text_printf(&c->text, "%s(x0", mean ? "avg_pool" : "max_pool");
    say_list(c, "window", w.taps, w.axes);
    say_windows(c, &w);
    glia_text_printf(&c->text, ",count_padding=%s)", mean && counts ? "True" : "False");
}

/* ---- products --------------------------------------------------------------------------------- */

static inline void case_matmul(random_case *c) {
    const int batch_axes = (int)pick(c, 0, 2);
    const bool ta = chance(c, 0.3), tb = chance(c, 0.3);
    const int64_t m = pick_size(c, 20, 70), k = pick_size(c, 20, 70), n = pick_size(c, 20, 70);
    glia_shape a = { .rank = batch_axes + 2 }, b = { .rank = batch_axes + 2 };
    for (int i = 0; i < batch_axes; i++) {
        a.dim[i] = b.dim[i] = pick(c, 1, 3);
        if (chance(c, 0.2)) *(chance(c, 0.5) ? &a.dim[i] : &b.dim[i]) = 1;
    }
    a.dim[batch_axes] = ta ? k : m, a.dim[batch_axes + 1] = ta ? m : k;
    b.dim[batch_axes] = tb ? n : k, b.dim[batch_axes + 1] = tb ? k : n;
    glia_tensor first = case_input(c, a), second = case_input(c, b);
    c->y = glia_matmul_transposed(first, ta, second, tb);
    glia_text_printf(&c->text, "matmul(%s(x0),%s(x1))", ta ? "transposed" : "", tb ? "transposed" : "");
}

/* ---- elementwise and over axes ---------------------------------------------------------------- */

static inline glia_tensor like(glia_tensor x, double value) { return glia_is_bad(x) ? x : glia_like(x, value); }
static inline glia_tensor safe(glia_tensor x) { return glia_add(glia_mul(x, x), like(x, 0.5)); }
static inline glia_tensor log1p_of(glia_tensor x) { return glia_log1p(glia_mul(x, x)); }
static inline glia_tensor log_of(glia_tensor x) { return glia_log(safe(x)); }
static inline glia_tensor sqrt_of(glia_tensor x) { return glia_sqrt(safe(x)); }
static inline glia_tensor rsqrt_of(glia_tensor x) { return glia_rsqrt(safe(x)); }
static inline glia_tensor exp_of(glia_tensor x) { return glia_exp(glia_tanh(x)); }
static inline glia_tensor expm1_of(glia_tensor x) { return glia_expm1(glia_tanh(x)); }
static inline glia_tensor leaky_of(glia_tensor x) { return glia_leaky_relu(x, 0.25); }
static inline glia_tensor elu_of(glia_tensor x) { return glia_elu(x, 1); }
static inline glia_tensor div_of(glia_tensor a, glia_tensor b) { return glia_div(a, safe(b)); }
static inline glia_tensor pow_of(glia_tensor a, glia_tensor b) {
    return glia_pow(glia_add(glia_abs(a), like(a, 0.5)), glia_tanh(b));
}
static inline glia_tensor larger_of(glia_tensor a, glia_tensor b) { return glia_select(glia_greater(a, b), a, b); }

/* `kinks`, `rounds`: as in random_case. */
typedef struct function_of_one {
    const char *name;
    glia_tensor (*f)(glia_tensor x);
    bool kinks, rounds;
} function_of_one;

static const function_of_one functions_of_one[] = {
    { "neg", glia_neg, false, false },
    { "abs", glia_abs, true, false },
    { "tanh", glia_tanh, false, false },
    { "sigmoid", glia_sigmoid, false, false },
    { "sin", glia_sin, false, false },
    { "cos", glia_cos, false, false },
    { "erf", glia_erf, false, false },
    { "relu", glia_relu, true, false },
    { "leaky_relu", leaky_of, true, false },
    { "elu", elu_of, true, false },
    { "selu", glia_selu, true, false },
    { "gelu", glia_gelu, false, true },
    { "gelu_tanh", glia_gelu_tanh, false, true },
    { "silu", glia_silu, false, true },
    { "softplus", glia_softplus, false, true },
    { "square", glia_square, false, false },
    { "log1p_square", log1p_of, false, false },
    { "log_safe", log_of, false, false },
    { "sqrt_safe", sqrt_of, false, false },
    { "rsqrt_safe", rsqrt_of, false, false },
    { "exp_tanh", exp_of, false, false },
    { "expm1_tanh", expm1_of, false, false },
};
typedef struct function_of_two {
    const char *name;
    glia_tensor (*f)(glia_tensor a, glia_tensor b);
    bool kinks;
} function_of_two;

static const function_of_two functions_of_two[] = {
    { "add", glia_add, false },        { "sub", glia_sub, false },        { "mul", glia_mul, false },
    { "maximum", glia_maximum, true }, { "minimum", glia_minimum, true }, { "div_safe", div_of, false },
    { "pow_safe", pow_of, true },      { "larger", larger_of, true },
};

/* Wraps the current expression in `name(`...`)`. */
static inline void wrap(random_case *c, const char *name, const char *rest) {
    char *inside = c->text.bytes;
    c->text = (glia_text){ 0 };
    glia_text_printf(&c->text, "%s(%s%s)", name, inside ? inside : "", rest);
    free(inside);
}

static inline glia_tensor apply_one(random_case *c, glia_tensor y) {
    const function_of_one *f = &functions_of_one[pick(c, 0, GLIA_COUNT(functions_of_one) - 1)];
    c->kinks |= f->kinks, c->rounds |= f->rounds;
    wrap(c, f->name, "");
    return f->f(y);
}

/* Applies a binary function to y and a new input of y's shape or one that is broadcast to it. */
static inline glia_tensor apply_two(random_case *c, glia_tensor y) {
    const function_of_two *f = &functions_of_two[pick(c, 0, GLIA_COUNT(functions_of_two) - 1)];
    glia_shape shape = glia_tensor_shape(y);
    char rest[16];
    for (int i = 0; i < shape.rank; i++) shape.dim[i] = chance(c, 0.3) ? 1 : shape.dim[i];
    while (shape.rank && chance(c, 0.2)) {
        shape.rank--;
        for (int i = 0; i < shape.rank; i++) shape.dim[i] = shape.dim[i + 1];
    }
    snprintf(rest, sizeof rest, ",x%d", c->n);
    c->kinks |= f->kinks;
    wrap(c, f->name, rest);
    return f->f(y, case_input(c, shape));
}

static inline glia_shape pick_axes(random_case *c, int rank) {
    glia_shape axes = { 0 };
    for (int i = 0; i < rank; i++) {
        if (chance(c, 0.5)) axes.dim[axes.rank++] = i;
    }
    if (!axes.rank) axes.dim[axes.rank++] = pick(c, 0, rank - 1);
    return axes;
}

static inline glia_tensor apply_axes(random_case *c, glia_tensor y) {
    static const char *const names[] = { "sum", "mean", "max", "variance", "prod", "min" };
    glia_tensor (*const f[])(glia_tensor, glia_shape, bool) = { glia_sum,      glia_mean, glia_max,
                                                                glia_variance, glia_prod, glia_min };
    const int rank = glia_tensor_shape(y).rank;
    int which = (int)pick(c, 0, 5);
    if (!rank) return y;
    glia_shape axes = pick_axes(c, rank);
    int64_t factors = 1;
    for (int i = 0; i < axes.rank; i++) factors *= glia_tensor_shape(y).dim[axes.dim[i]];
    if (which == 4 && factors > 8) which = 0;
    const bool keep = chance(c, 0.5);
    c->kinks |= which == 2 || which == 5;
    char rest[80] = ",[";
    for (int i = 0; i < axes.rank; i++)
        snprintf(rest + strlen(rest), sizeof rest - strlen(rest), "%s%lld", i ? "," : "", (long long)axes.dim[i]);
    strcat(rest, keep ? "],True" : "],False");
    wrap(c, names[which], rest);
    return f[which](y, axes, keep);
}

static inline glia_shape pick_shape(random_case *c, int64_t most) {
    glia_shape s = { .rank = (int)pick(c, 1, 4) };
    for (int i = 0; i < s.rank; i++) s.dim[i] = pick_size(c, 7, s.rank == 1 ? 200 : 40);
    while (glia_shape_count(s) > most) {
        int largest = 0;
        for (int i = 1; i < s.rank; i++) largest = s.dim[i] > s.dim[largest] ? i : largest;
        s.dim[largest] = (s.dim[largest] + 1) / 2;
    }
    return s;
}

/* A chain of unary functions, binary functions and reductions. */
static inline void case_chain(random_case *c) {
    glia_tensor y = case_input(c, pick_shape(c, 3000));
    glia_text_printf(&c->text, "x0");
    const int64_t links = pick(c, 1, 5);
    for (int64_t i = 0; i < links; i++) {
        const double kind = glia_rng_uniform(&c->rng);
        if (kind < 0.4)
            y = apply_one(c, y);
        else if (kind < 0.75 && c->n < CASE_INPUTS - 1)
            y = apply_two(c, y);
        else
            y = apply_axes(c, y);
    }
    c->y = y;
}

/* ---- shapes ----------------------------------------------------------------------------------- */

static inline void case_shapes(random_case *c) {
    const glia_shape s = pick_shape(c, 2000);
    glia_tensor x = case_input(c, s), both[2] = { x };
    const int axis = (int)pick(c, 0, s.rank - 1);
    glia_shape before = { .rank = s.rank }, after = before, between = before, order = before;
    switch (pick(c, 0, 3)) {
    case 0:
        for (int i = 0; i < s.rank; i++) before.dim[i] = pick(c, 0, 2), after.dim[i] = pick(c, 0, 2);
        c->y = glia_pad(x, before, after, (glia_shape){ 0 }, 0.5);
        glia_text_printf(&c->text, "pad(x0");
        say_list(c, "before", before.dim, s.rank);
        say_list(c, "after", after.dim, s.rank);
        break;
    case 1:
        for (int i = 0; i < s.rank; i++) order.dim[i] = (i + axis) % s.rank;
        c->y = glia_mul(glia_permute(x, order), glia_permute(x, order));
        glia_text_printf(&c->text, "permuted_square(x0");
        say_list(c, "order", order.dim, s.rank);
        break;
    case 2:
        for (int i = 0; i < s.rank; i++) {
            before.dim[i] = pick(c, 0, s.dim[i] - 1), after.dim[i] = pick(c, before.dim[i] + 1, s.dim[i]);
            between.dim[i] = pick(c, 1, 3);
        }
        c->y = glia_tanh(glia_slice(x, before, after, between));
        glia_text_printf(&c->text, "tanh_slice(x0");
        say_list(c, "start", before.dim, s.rank);
        say_list(c, "stop", after.dim, s.rank);
        say_list(c, "step", between.dim, s.rank);
        break;
    default:;
        const bool reverse = chance(c, 0.5);
        both[1] = case_input(c, s);
        c->y = glia_cumsum(glia_concat(both, 2, axis), axis, false, reverse);
        glia_text_printf(&c->text, "cumsum_concat(x0,x1,axis=%d,reverse=%s", axis, reverse ? "True" : "False");
        break;
    }
    glia_text_printf(&c->text, ")");
}

/* ---- normalisation ---------------------------------------------------------------------------- */

static inline void case_norm(random_case *c) {
    const glia_shape s =
        with_axes(pick(c, 2, 5), pick_size(c, 5, 40), (int64_t[]){ pick(c, 1, 9), pick(c, 1, 9) }, (int)pick(c, 0, 2));
    glia_tensor in[5] = { case_input(c, s) };
    const bool batch = chance(c, 0.6);
    const int64_t size = s.dim[batch ? 1 : s.rank - 1];
    c->rounds = true;
    for (int i = 1; i < (batch ? 5 : 3); i++) {
        c->constant[c->n] = i >= 3, c->positive[c->n] = i == 4;
        in[i] = case_input(c, GLIA_SHAPE(size));
    }
    c->y = batch ? glia_batch_norm_of(in, (glia_batch_norm_attrs){ 0.1, 0.1 })
                 : glia_layer_norm_of(in[0], in[1], in[2], 0.1);
    glia_text_printf(&c->text, batch ? "batch_norm(x0,x1,x2,x3,x4,train=%s)" : "layer_norm(x0,x1,x2)",
                     c->mode == GLIA_TRAIN ? "True" : "False");
}

static inline void case_softmax(random_case *c) {
    const glia_shape s = pick_shape(c, 2000);
    const int axis = (int)pick(c, 0, s.rank - 1);
    const bool log = chance(c, 0.5);
    glia_tensor x = case_input(c, s);
    c->rounds = true;
    c->y = log ? glia_log_softmax(x, axis) : glia_softmax(x, axis);
    glia_text_printf(&c->text, "%s(x0,%d)", log ? "log_softmax" : "softmax", axis);
}

static inline void case_attention(random_case *c) {
    const int64_t n = pick(c, 1, 2), heads = pick(c, 1, 3), size = pick_size(c, 8, 33);
    const int64_t queries = pick_size(c, 9, 40), keys = pick_size(c, 9, 40);
    glia_tensor q = case_input(c, GLIA_SHAPE(n, queries, heads, size));
    glia_tensor k = case_input(c, GLIA_SHAPE(n, keys, heads, size));
    glia_tensor v = case_input(c, GLIA_SHAPE(n, keys, heads, size));
    const bool causal = queries == keys && chance(c, 0.5);
    c->rounds = true;
    c->y = glia_attention(q, k, v, (glia_attention_opts){ .causal = causal });
    glia_text_printf(&c->text, "attention(x0,x1,x2,causal=%s)", causal ? "True" : "False");
}

/* ---- building a case -------------------------------------------------------------------------- */

static inline void case_argmax(random_case *c) {
    const glia_shape s = pick_shape(c, 3000);
    const int axis = (int)pick(c, 0, s.rank - 1);
    c->y = glia_argmax(case_input(c, s), axis);
    glia_text_printf(&c->text, "argmax(x0,%d)", axis);
}

/* Builds case `number` of this seed with float type `dtype`. Free with case_free(). */
static inline random_case case_build(uint64_t seed, uint64_t number, glia_dtype dtype) {
    random_case c = { .seed = seed, .number = number, .dtype = dtype, .g = glia_graph_create() };
    c.rng = (glia_rng){ .seed = seed, .stream = number };
    const double values = glia_rng_uniform(&c.rng), family = glia_rng_uniform(&c.rng);
    c.kind = values < 0.6 ? VALUES_UNIFORM : values < 0.75 ? VALUES_WHOLE : VALUES_SPECIAL;
    c.mode = chance(&c, 0.5) ? GLIA_TRAIN : GLIA_INFER;
    if (family < 0.36)
        case_conv(&c);
    else if (family < 0.48)
        case_pool(&c);
    else if (family < 0.56)
        case_matmul(&c);
    else if (family < 0.78)
        case_chain(&c);
    else if (family < 0.83)
        case_shapes(&c);
    else if (family < 0.9)
        case_norm(&c);
    else if (family < 0.94)
        case_softmax(&c);
    else if (family < 0.97)
        case_attention(&c);
    else
        case_argmax(&c);
    if (c.kind == VALUES_SPECIAL && c.rounds) c.kind = VALUES_UNIFORM;
    return c;
}

static inline void case_free(random_case *c) {
    glia_graph_free(c->g);
    free(c->text.bytes);
}

/* Draws the values of input i; each `draw` gives different values of the same kind. */
static inline void case_fill(const random_case *c, int i, int64_t n, uint64_t draw, double *to) {
    static const double special[] = { INFINITY, -INFINITY, NAN, 0 };
    glia_rng rng = { .seed = c->seed ^ (draw << 32) ^ ((uint64_t)(i + 1) << 48), .stream = c->number };
    for (int64_t k = 0; k < n; k++) {
        double x = (double)(float)(4 * glia_rng_uniform(&rng) - 2);
        to[k] = c->positive[i] ? fabs(x) + 0.3125 : c->kind == VALUES_WHOLE ? rint(x) : x;
        to[k] = (double)(float)to[k];
    }
    glia_rng of_case = { .seed = c->seed ^ (draw << 32), .stream = c->number };
    if (c->kind != VALUES_SPECIAL || (int)(glia_rng_uniform(&of_case) * c->n) != i) return;
    for (int times = 1 + (int)(3 * glia_rng_uniform(&rng)); times > 0; times--)
        to[(int64_t)(glia_rng_uniform(&rng) * (double)n)] = special[(int)(4 * glia_rng_uniform(&rng))];
}

#endif
