/* word_step.c - one training step of word vectors: a few rows of one table with a few rows of another.
 *
 * First all inner products of input and output rows are computed, then the errors. Then both tables are updated along
 * the gradient at their old values. Products are computed in tiles with one product per vector lane; the accumulators
 * of a tile are summed pairwise, all at once, into one vector of results.
 *
 * A row may occur twice on either side: each row is read again before it is updated. Other threads may update rows at
 * the same time.
 */
#include "backend/cpu/kernels/rows.h"
#include "backend/cpu/kernels/vmath.h"

/* Size of a tile: IN_TILE * OUT_TILE is at most VLEN. */
#if VLEN == 16
enum { IN_TILE = 4, OUT_TILE = 4 };
#elif VLEN == 8
enum { IN_TILE = 2, OUT_TILE = 4 };
#else
enum { IN_TILE = 2, OUT_TILE = 2 };
#endif

/* The sums of VLEN vectors, one per lane. */
GLIA_INLINE vf sum_each(vf *v) {
#define FOLD(n)                                                                                                        \
    GLIA_UNROLL                                                                                                        \
    for (int i = 0; i < (n) / 2; i++) v[i] = vf_even(v[2 * i], v[2 * i + 1]) + vf_odd(v[2 * i], v[2 * i + 1]);
#if VLEN == 16
    FOLD(16)
#endif
#if VLEN >= 8
    FOLD(8)
#endif
    FOLD(4)
    FOLD(2)
#undef FOLD
    return v[0];
}

GLIA_INLINE void products(const glia_word_step *s, float *const *in, float *errors, int t, const int ins,
                          const int outs) {
    vf sum[VLEN] = { { 0 } };
    float *const *out = s->out + t;
    for (int64_t j = 0; j < s->length; j += VLEN) {
        vf o[OUT_TILE];
        GLIA_UNROLL
        for (int k = 0; k < outs; k++) o[k] = vf_load(out[k] + j);
        GLIA_UNROLL
        for (int i = 0; i < ins; i++) {
            const vf x = vf_load(in[i] + j);
            GLIA_UNROLL
            for (int k = 0; k < outs; k++) sum[i * outs + k] += x * o[k];
        }
    }
    const vf all = sum_each(sum);
    GLIA_UNROLL
    for (int i = 0; i < ins; i++) {
        GLIA_UNROLL
        for (int k = 0; k < outs; k++) errors[i * s->n_out + t + k] = all[i * outs + k];
    }
}

GLIA_INLINE void products_row(const glia_word_step *s, float *const *in, float *errors, const int ins) {
    int t = 0;
    for (; t + OUT_TILE <= s->n_out; t += OUT_TILE) products(s, in, errors, t, ins, OUT_TILE);
    switch (s->n_out - t) {
#if VLEN >= 8
    case 3: products(s, in, errors, t, ins, 3); break;
    case 2: products(s, in, errors, t, ins, 2); break;
#endif
    case 1: products(s, in, errors, t, ins, 1); break;
    default: break;
    }
}

/* errors (n_in, n_out) = rate (label - sigmoid(in . out)) */
static void find_errors(const glia_word_step *s, float *const *in, int n_in) {
    int c = 0;
    for (; c + IN_TILE <= n_in; c += IN_TILE) products_row(s, in + c, s->errors + c * s->n_out, IN_TILE);
    switch (n_in - c) {
#if VLEN == 16
    case 3: products_row(s, in + c, s->errors + c * s->n_out, 3); break;
    case 2: products_row(s, in + c, s->errors + c * s->n_out, 2); break;
#endif
    case 1: products_row(s, in + c, s->errors + c * s->n_out, 1); break;
    default: break;
    }
    const int64_t n = (int64_t)n_in * s->n_out;
    const vf rate = vf_set(s->rate);
    for (int64_t i = 0; i < n; i += VLEN) vf_store(s->errors + i, rate * vf_sigmoid(vf_load(s->errors + i)));
    for (int i = 0; i < n_in; i++) {
        float *row = s->errors + (int64_t)i * s->n_out;
        for (int k = 0; k < s->n_out; k++) row[k] = s->rate * s->label[k] - row[k];
    }
}

/* to[i] = (add ? to[i] : 0) + sum over k of weight(i, k) from[k], for `rows` rows together. */
GLIA_INLINE void combine(float *const *to, const int rows, float *const *from, int n, const float *weight,
                         int64_t by_row, int64_t by_from, int64_t length, bool add) {
    int64_t j = 0;
    for (; j + 2 * VLEN <= length; j += 2 * VLEN) {
        vf a[IN_TILE], b[IN_TILE];
        GLIA_UNROLL
        for (int i = 0; i < rows; i++) a[i] = b[i] = vf_set(0);
        for (int k = 0; k < n; k++) {
            const vf x = vf_load(from[k] + j), y = vf_load(from[k] + j + VLEN);
            GLIA_UNROLL
            for (int i = 0; i < rows; i++) {
                const float w = weight[i * by_row + k * by_from];
                a[i] += w * x;
                b[i] += w * y;
            }
        }
        GLIA_UNROLL
        for (int i = 0; i < rows; i++) {
            vf_store(to[i] + j, add ? vf_load(to[i] + j) + a[i] : a[i]);
            vf_store(to[i] + j + VLEN, add ? vf_load(to[i] + j + VLEN) + b[i] : b[i]);
        }
    }
    for (; j < length; j += VLEN) {
        vf a[IN_TILE];
        GLIA_UNROLL
        for (int i = 0; i < rows; i++) a[i] = vf_set(0);
        for (int k = 0; k < n; k++) {
            const vf x = vf_load(from[k] + j);
            GLIA_UNROLL
            for (int i = 0; i < rows; i++) a[i] += weight[i * by_row + k * by_from] * x;
        }
        GLIA_UNROLL
        for (int i = 0; i < rows; i++) vf_store(to[i] + j, add ? vf_load(to[i] + j) + a[i] : a[i]);
    }
}

static void combine_all(float *const *to, int rows, float *const *from, int n, const float *weight, int64_t by_row,
                        int64_t by_from, int64_t length, bool add) {
    int i = 0;
    for (; i + IN_TILE <= rows; i += IN_TILE)
        combine(to + i, IN_TILE, from, n, weight + i * by_row, by_row, by_from, length, add);
    weight += i * by_row;
    switch (rows - i) {
#if VLEN == 16
    case 3: combine(to + i, 3, from, n, weight, by_row, by_from, length, add); break;
    case 2: combine(to + i, 2, from, n, weight, by_row, by_from, length, add); break;
#endif
    case 1: combine(to + i, 1, from, n, weight, by_row, by_from, length, add); break;
    default: break;
    }
}

static void mean(const glia_word_step *s) {
    const vf share = vf_set(1.0f / (float)s->n_in);
    for (int64_t j = 0; j < s->length; j += VLEN) {
        vf sum = vf_set(0);
        for (int i = 0; i < s->n_in; i++) sum += vf_load(s->in[i] + j);
        vf_store(s->hidden + j, sum * share);
    }
}

void GLIA_KERNEL(word_step_f32)(const glia_word_step *s) {
    float *const hidden[1] = { s->hidden };
    float *const *in = s->average ? hidden : s->in;
    const int n_in = s->average ? 1 : s->n_in;
    if (s->average) mean(s);
    find_errors(s, in, n_in);
    combine_all(s->grad, n_in, s->out, s->n_out, s->errors, s->n_out, 1, s->length, false);
    combine_all(s->out, s->n_out, in, n_in, s->errors, 1, s->n_out, s->length, true);
    for (int i = 0; i < s->n_in; i++) {
        const float *grad = s->grad[s->average ? 0 : i];
        float *row = s->in[i];
        for (int64_t j = 0; j < s->length; j += VLEN) vf_store(row + j, vf_load(row + j) + vf_load(grad + j));
    }
}
