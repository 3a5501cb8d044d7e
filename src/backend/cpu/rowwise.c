/* rowwise.c - whole rows at a time: softmax along the last axis.
 *
 * A row is read three times and leaves the cache once: its maximum, then e^(x - maximum) and their sum, then the division.
 * A NaN may be missed by the maximum; it comes back through the sum. The end of a row that is no whole vector is read with
 * the elements before it, which are masked: as -inf they are no maximum and their exponential is 0.
 *
 *     length 20, VLEN 8:   | 0..7 | 8..15 | 16..19 |
 *                                    | 12....19 |       the end: lanes 4 to 7 count
 */
#include "backend/cpu/rows.h"
#include "backend/cpu/vmath.h"

enum { GRAIN = 4096, MOST_PIECES = 256 };

typedef struct softmax_job {
    int64_t rows, length, pieces;
    const float *x;
    float *y;
} softmax_job;

/* All ones in the last n lanes. */
GLIA_INLINE vi last_lanes(int64_t n) {
    /* clang-format off */
    static const int32_t steps[2 * VLEN] = {
#if VLEN == 16
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1
#elif VLEN == 8
        0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1
#else
        0, 0, 0, 0, -1, -1, -1, -1
#endif
    };
    /* clang-format on */
    return *(const vi_any *)(steps + n);
}

GLIA_INLINE vf upper(vf a, vf b) { return vf_select(b > a, b, a); }

/* length >= VLEN; y may be x. */
static void softmax_row(const float *x, float *y, int64_t length) {
    const int64_t whole = length / VLEN * VLEN;
    const vi mask = last_lanes(length - whole);
    const vf end = vf_select(mask, vf_load(x + length - VLEN), vf_set(-GLIA_INF));
    vf most[4] = { end, end, end, end };
    int64_t i = 0;
    for (; i + 4 * VLEN <= whole; i += 4 * VLEN) {
        for (int k = 0; k < 4; k++) most[k] = upper(most[k], vf_load(x + i + k * VLEN));
    }
    for (; i < whole; i += VLEN) most[0] = upper(most[0], vf_load(x + i));
    const vf m = vf_set(vf_largest(upper(upper(most[0], most[1]), upper(most[2], most[3]))));
    const vf end_power = vf_exp(end - m);
    vf sum = end_power;
    for (i = 0; i < whole; i += VLEN) {
        const vf e = vf_exp(vf_load(x + i) - m);
        vf_store(y + i, e);
        sum += e;
    }
    const vf scale = vf_set(1.0f / vf_sum(sum));
    for (i = 0; i < whole; i += VLEN) vf_store(y + i, vf_load(y + i) * scale);
    vf_store(y + length - VLEN, vf_select(mask, end_power * scale, vf_load(y + length - VLEN)));
}

static void softmax_piece(void *context, int64_t piece, int worker) {
    const softmax_job *j = context;
    (void)worker;
    for (int64_t row = j->rows * piece / j->pieces; row < j->rows * (piece + 1) / j->pieces; row++) {
        softmax_row(j->x + row * j->length, j->y + row * j->length, j->length);
    }
}

void GLIA_KERNEL(softmax_f32)(glia_pool *pool, int64_t rows, int64_t length, const float *x, float *y) {
    int64_t pieces = GLIA_MIN(GLIA_MIN(rows, MOST_PIECES), rows * length / GRAIN);
    softmax_job j = { rows, length, GLIA_MAX(1, pieces), x, y };
    glia_parallel_for(j.pieces > 1 ? pool : NULL, j.pieces, softmax_piece, &j);
}
