/* tensor.c - dtypes, shapes, broadcasting, and the conversions between storage and double. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/tensor/tensor.h"

/* ---- dtypes ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    size_t size;
} dtypes[GLIA_DTYPE_COUNT] = {
    [GLIA_F32] = { "f32", 4 }, [GLIA_F64] = { "f64", 8 }, [GLIA_BF16] = { "bf16", 2 }, [GLIA_F16] = { "f16", 2 },
    [GLIA_I32] = { "i32", 4 }, [GLIA_I64] = { "i64", 8 }, [GLIA_U8] = { "u8", 1 },     [GLIA_BOOL] = { "bool", 1 },
    [GLIA_I8] = { "i8", 1 },
};

const char *glia_dtype_name(glia_dtype t) { return (unsigned)t < GLIA_DTYPE_COUNT ? dtypes[t].name : "?"; }
size_t glia_dtype_size(glia_dtype t) { return (unsigned)t < GLIA_DTYPE_COUNT ? dtypes[t].size : 0; }

glia_dtype glia_dtype_named(const char *name, size_t length) {
    for (int t = 0; t < GLIA_DTYPE_COUNT; t++) {
        if (strlen(dtypes[t].name) == length && !memcmp(dtypes[t].name, name, length)) return (glia_dtype)t;
    }
    return GLIA_DTYPE_COUNT;
}

/* bf16 is the upper half of an f32; round to nearest even, keep NaNs quiet. */
static uint16_t to_bf16(double value) {
    float f = (float)value;
    uint32_t bits;
    memcpy(&bits, &f, 4);
    if (f != f) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static double from_bf16(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

/* IEEE binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
static uint16_t to_f16(double value) {
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    double a = fabs(value);
    if (a != a) return (uint16_t)(sign | 0x7E00);
    if (a >= 65520) return (uint16_t)(sign | 0x7C00); /* half way above the largest, 65504 */
    int e;
    frexp(a, &e);                               /* a = m 2^e, m in [0.5, 1) */
    e = GLIA_MAX(e, -13);                       /* below 2^-14 numbers are subnormal: spacing stays 2^-24 */
    double units = nearbyint(ldexp(a, 11 - e)); /* in units of the spacing 2^(e-11) */
    uint16_t magnitude = (uint16_t)(a == 0 ? 0 : (int)units + ((e + 13) << 10));
    return (uint16_t)(sign | magnitude);
}

static double from_f16(uint16_t half) {
    int e = half >> 10 & 31, fraction = half & 1023;
    double a = e == 31 ? (fraction ? (double)NAN : (double)INFINITY)
               : e     ? ldexp(1024 + fraction, e - 25)
                       : ldexp(fraction, -24);
    return half & 0x8000 ? -a : a;
}

/* Integers: truncation toward zero, wrapped to the width; NaN becomes 0. */
static int64_t to_int(double v) {
    if (v != v) return 0;
    if (v >= 0x1p63) return INT64_MAX;
    if (v <= -0x1p63) return INT64_MIN;
    return (int64_t)v;
}

void glia_to_double(glia_dtype from, const void *src, double *dst, int64_t n) {
    switch (from) {
    case GLIA_F32:
        for (int64_t i = 0; i < n; i++) dst[i] = ((const float *)src)[i];
        break;
    case GLIA_F64: memcpy(dst, src, (size_t)n * sizeof *dst); break;
    case GLIA_BF16:
        for (int64_t i = 0; i < n; i++) dst[i] = from_bf16(((const uint16_t *)src)[i]);
        break;
    case GLIA_F16:
        for (int64_t i = 0; i < n; i++) dst[i] = from_f16(((const uint16_t *)src)[i]);
        break;
    case GLIA_I32:
        for (int64_t i = 0; i < n; i++) dst[i] = ((const int32_t *)src)[i];
        break;
    case GLIA_I64:
        for (int64_t i = 0; i < n; i++) dst[i] = (double)((const int64_t *)src)[i];
        break;
    case GLIA_I8:
        for (int64_t i = 0; i < n; i++) dst[i] = ((const int8_t *)src)[i];
        break;
    default:
        for (int64_t i = 0; i < n; i++) dst[i] = ((const uint8_t *)src)[i];
        break;
    }
}

void glia_from_double(glia_dtype to, const double *src, void *dst, int64_t n) {
    switch (to) {
    case GLIA_F32:
        for (int64_t i = 0; i < n; i++) ((float *)dst)[i] = (float)src[i];
        break;
    case GLIA_F64: memcpy(dst, src, (size_t)n * sizeof *src); break;
    case GLIA_BF16:
        for (int64_t i = 0; i < n; i++) ((uint16_t *)dst)[i] = to_bf16(src[i]);
        break;
    case GLIA_F16:
        for (int64_t i = 0; i < n; i++) ((uint16_t *)dst)[i] = to_f16(src[i]);
        break;
    case GLIA_I32:
        for (int64_t i = 0; i < n; i++) ((int32_t *)dst)[i] = (int32_t)(uint32_t)(uint64_t)to_int(src[i]);
        break;
    case GLIA_I64:
        for (int64_t i = 0; i < n; i++) ((int64_t *)dst)[i] = to_int(src[i]);
        break;
    case GLIA_U8:
        for (int64_t i = 0; i < n; i++) ((uint8_t *)dst)[i] = (uint8_t)(uint64_t)to_int(src[i]);
        break;
    case GLIA_I8:
        for (int64_t i = 0; i < n; i++) ((int8_t *)dst)[i] = (int8_t)(uint8_t)(uint64_t)to_int(src[i]);
        break;
    default:
        for (int64_t i = 0; i < n; i++) ((uint8_t *)dst)[i] = src[i] != 0;
        break;
    }
}

double glia_round_to(glia_dtype dtype, double value) {
    uint64_t storage;
    double rounded;
    glia_from_double(dtype, &value, &storage, 1);
    glia_to_double(dtype, &storage, &rounded, 1);
    return rounded;
}

/* ---- shapes ------------------------------------------------------------------------------- */

bool glia_shape_equal(glia_shape a, glia_shape b) {
    if (a.rank != b.rank) return false;
    for (int i = 0; i < a.rank; i++) {
        if (a.dim[i] != b.dim[i]) return false;
    }
    return true;
}

/* A product of two symbolic dimensions (N N, N V) has no count: GLIA_DIM_NONE, as for an overflow. */
int64_t glia_shape_count(glia_shape s) {
    int64_t count = 1;
    for (int i = 0; i < s.rank && i < GLIA_MAX_RANK; i++) count = glia_dim_times(count, s.dim[i]);
    return count;
}

bool glia_shape_symbolic(glia_shape s) {
    for (int i = 0; i < s.rank; i++) {
        if (s.dim[i] < 0) return true;
    }
    return false;
}

bool glia_shape_valid(glia_shape s) {
    if (s.rank < 0 || s.rank > GLIA_MAX_RANK) return false;
    int64_t most = (int64_t)1 << 48; /* elements; more than any memory, small enough that byte counts do not overflow */
    int64_t count = 1;
    for (int i = 0; i < s.rank; i++) {
        const int64_t factor = glia_dim_of(s.dim[i]).factor;
        if (!glia_dim_valid(s.dim[i]) || factor > most / count) return false;
        count *= factor;
    }
    return true;
}

glia_shape glia_shape_at(glia_shape s, const glia_sizes *sizes) {
    for (int i = 0; i < s.rank; i++) s.dim[i] = glia_dim_at(s.dim[i], sizes);
    return s;
}

size_t glia_shape_bytes(glia_shape s, glia_dtype dtype) {
    if (!glia_shape_valid(s) || glia_shape_symbolic(s)) return 0;
    return (size_t)glia_shape_count(s) * glia_dtype_size(dtype);
}

bool glia_shape_broadcast(glia_shape a, glia_shape b, glia_shape *out) {
    glia_shape r = { .rank = GLIA_MAX(a.rank, b.rank) };
    for (int i = 0; i < r.rank; i++) {
        int ia = i - (r.rank - a.rank), ib = i - (r.rank - b.rank);
        int64_t da = ia < 0 ? 1 : a.dim[ia], db = ib < 0 ? 1 : b.dim[ib];
        if (da != db && da != 1 && db != 1) return false;
        r.dim[i] = da == 1 ? db : da;
    }
    *out = r;
    return true;
}

bool glia_shape_broadcasts_to(glia_shape from, glia_shape to) {
    glia_shape both;
    return glia_shape_broadcast(from, to, &both) && glia_shape_equal(both, to);
}

int glia_axis_normalize(int axis, int rank) {
    if (axis < 0) axis += rank;
    return axis >= 0 && axis < rank ? axis : -1;
}

bool glia_axes_contain(const glia_shape *axes, int axis) {
    for (int i = 0; i < axes->rank; i++) {
        if (axes->dim[i] == axis) return true;
    }
    return false;
}

bool glia_axes_normalize(glia_shape axes, int rank, glia_shape *out) {
    bool used[GLIA_MAX_RANK] = { false };
    if (axes.rank < 0 || axes.rank > GLIA_MAX_RANK) return false;
    for (int i = 0; i < axes.rank; i++) {
        if (axes.dim[i] < -rank || axes.dim[i] >= rank) return false;
        used[glia_axis_normalize((int)axes.dim[i], rank)] = true;
    }
    glia_shape r = { 0 };
    for (int i = 0; i < rank; i++) {
        if (axes.rank == 0 || used[i]) r.dim[r.rank++] = i;
    }
    *out = r;
    return true;
}

void glia_shape_strides(glia_shape s, int64_t strides[GLIA_MAX_RANK]) {
    int64_t stride = 1;
    for (int i = s.rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= s.dim[i];
    }
}

char *glia_shape_format(glia_shape s, char *text) {
    size_t at = 0;
    text[at++] = '(';
    for (int i = 0; i < s.rank && i < GLIA_MAX_RANK; i++) {
        if (i) text[at++] = ',', text[at++] = ' ';
        at += strlen(glia_dim_format(s.dim[i], text + at));
    }
    text[at++] = ')';
    text[at] = 0;
    return text;
}
