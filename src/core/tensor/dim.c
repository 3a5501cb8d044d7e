/* dim.c - arithmetic of dimensions that may be multiples of a symbolic size. tensor.h describes the encoding. */
#include <stdio.h>

#include "core/tensor/tensor.h"

enum { CODE_AT = 52, PLUS_AT = 50 };
#define MOST_FACTOR ((int64_t)1 << 48)

static const int64_t bases[GLIA_SIZE_COUNT] = { GLIA_BATCH, GLIA_NODES, GLIA_EDGES };
static const struct {
    const char *letter, *noun;
} names[GLIA_SIZE_COUNT] = { { "N", "samples" }, { "V", "nodes" }, { "E", "edges" } };

const char *glia_size_letter(int size) { return names[size].letter; }
const char *glia_size_noun(int size) { return names[size].noun; }

glia_dim glia_dim_of(int64_t d) {
    if (d >= 0) return (glia_dim){ .size = GLIA_SIZE_NONE, .factor = d };
    const uint64_t bits = 0 - (uint64_t)d, plus = bits >> PLUS_AT & 3;
    const int64_t factor = (int64_t)(bits & (((uint64_t)1 << PLUS_AT) - 1));
    for (int i = 0; i < GLIA_SIZE_COUNT; i++) {
        if (bits >> CODE_AT != (0 - (uint64_t)bases[i]) >> CODE_AT) continue;
        if (plus > 1 || factor < 1 || factor > MOST_FACTOR) break;
        return (glia_dim){ .size = i, .factor = factor, .plus = plus == 1 };
    }
    return (glia_dim){ .size = GLIA_SIZE_BAD };
}

bool glia_dim_valid(int64_t d) {
    const glia_dim x = glia_dim_of(d);
    return x.size != GLIA_SIZE_BAD && x.factor > 0 && x.factor <= MOST_FACTOR;
}

/* The dimension of these parts; 0 if the factor is 0 and nothing is added, GLIA_DIM_NONE if there is none. */
static int64_t encode(int size, int64_t factor, bool plus) {
    if (size == GLIA_SIZE_NONE) return factor;
    if (factor == 0) return plus ? 1 : 0;
    if (factor < 0 || factor > MOST_FACTOR) return GLIA_DIM_NONE;
    return bases[size] - (factor - 1) - (plus ? (int64_t)1 << PLUS_AT : 0);
}

int64_t glia_dim_times(int64_t a, int64_t b) {
    int64_t factor;
    if (a >= 0 && b >= 0) return __builtin_mul_overflow(a, b, &factor) ? GLIA_DIM_NONE : factor;
    const glia_dim x = glia_dim_of(a), y = glia_dim_of(b);
    if (x.size == GLIA_SIZE_BAD || y.size == GLIA_SIZE_BAD) return GLIA_DIM_NONE;
    if (a == 1 || b == 1) return a == 1 ? b : a;
    if (x.size != GLIA_SIZE_NONE && y.size != GLIA_SIZE_NONE) return GLIA_DIM_NONE;
    if (x.plus || y.plus || __builtin_mul_overflow(x.factor, y.factor, &factor)) return GLIA_DIM_NONE;
    return encode(GLIA_MAX(x.size, y.size), factor, false);
}

int64_t glia_dim_over(int64_t a, int64_t b) {
    const glia_dim x = glia_dim_of(a), y = glia_dim_of(b);
    if (x.size == GLIA_SIZE_BAD || y.size == GLIA_SIZE_BAD || y.factor < 1) return GLIA_DIM_NONE;
    if (b == 1) return a;
    if (a == b) return 1;
    const bool multiples = y.size == GLIA_SIZE_NONE || x.size == y.size;
    if (!multiples || x.plus || y.plus || x.factor % y.factor) return GLIA_DIM_NONE;
    return encode(x.size == y.size ? GLIA_SIZE_NONE : x.size, x.factor / y.factor, false);
}

int64_t glia_dim_plus(int64_t a, int64_t b) {
    const glia_dim x = glia_dim_of(a), y = glia_dim_of(b);
    int64_t factor;
    if (x.size == GLIA_SIZE_BAD || y.size == GLIA_SIZE_BAD) return GLIA_DIM_NONE;
    if (a == 0 || b == 0) return a == 0 ? b : a;
    if (x.size >= 0 && b == 1 && !x.plus) return encode(x.size, x.factor, true);
    if (x.size != y.size || (x.plus && y.plus)) return GLIA_DIM_NONE;
    if (__builtin_add_overflow(x.factor, y.factor, &factor)) return GLIA_DIM_NONE;
    return encode(x.size, factor, x.plus || y.plus);
}

int64_t glia_dim_minus(int64_t a, int64_t b) {
    const glia_dim x = glia_dim_of(a), y = glia_dim_of(b);
    if (x.size == GLIA_SIZE_BAD || y.size == GLIA_SIZE_BAD) return GLIA_DIM_NONE;
    if (b == 0) return a;
    if (b == 1 && x.plus) return encode(x.size, x.factor, false);
    if (x.size != y.size || x.factor < y.factor || (y.plus && !x.plus)) return GLIA_DIM_NONE;
    return encode(x.size, x.factor - y.factor, x.plus && !y.plus);
}

int64_t glia_dim_at(int64_t d, const glia_sizes *sizes) {
    const glia_dim x = glia_dim_of(d);
    int64_t all;
    if (x.size < 0) return x.size == GLIA_SIZE_NONE ? d : GLIA_DIM_NONE;
    if (__builtin_mul_overflow(x.factor, sizes->of[x.size], &all) || __builtin_add_overflow(all, x.plus, &all)) {
        return GLIA_DIM_NONE;
    }
    return all;
}

int64_t glia_dim_solve(int64_t d, int64_t given) {
    const glia_dim x = glia_dim_of(d);
    const int64_t rest = given - x.plus;
    return x.size < 0 || given < 1 || rest < 1 || rest % x.factor ? 0 : rest / x.factor;
}

char *glia_dim_format(int64_t d, char *text) {
    const glia_dim x = glia_dim_of(d);
    const char *letter = x.size >= 0 ? names[x.size].letter : "", *plus = x.plus ? "+1" : "";
    if (x.size == GLIA_SIZE_BAD)
        snprintf(text, GLIA_DIM_TEXT, "?");
    else if (x.size >= 0 && x.factor == 1)
        snprintf(text, GLIA_DIM_TEXT, "%s%s", letter, plus);
    else
        snprintf(text, GLIA_DIM_TEXT, "%lld%s%s", (long long)x.factor, letter, plus);
    return text;
}
