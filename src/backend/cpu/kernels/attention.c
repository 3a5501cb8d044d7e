/* attention.c - attention and its gradient without the T x S matrix (Dao et al. 2022, "FlashAttention").
 *
 * One piece of work is the heads of one sample that share keys. A block of LANES queries is laid out across vectors:
 * the block is transposed once, and keys are processed one after the other, so that maxima, exponentials and sums of
 * all its queries are computed in parallel, without reductions across a vector.
 *
 *     scores (keys, lanes) = k q^T  ->  masks, maximum, exponentials down the columns  ->  y += scores^T v
 *
 * This is done for a tile of keys at a time. With several tiles the maximum may rise; the sums so far are then scaled
 * down (Milakov and Gimelshein 2018, "Online normalizer calculation for softmax"). A query attends to a range of keys,
 * given by causality, window and lengths; keys outside all ranges of the block are not computed.
 *
 * The gradient has the same blocks and tiles. It recomputes the scores and v dy^T, from both the gradient of the
 * scores, and then dq = ds^T k, dk += ds q, dv += p dy. If a block has more keys than a tile, an extra pass computes
 * each query's maximum and sum first. Memory is linear in T and S.
 *
 * With few keys and rows of whole vectors, operands are read and results written in place; otherwise rows are copied to
 * contiguous memory and padded with zeros.
 *
 * A few queries are processed one by one, with dot products along the keys in place (a generation step).
 */
#include "backend/cpu/kernels/micro.h"
#include "backend/cpu/kernels/philox.h"
#include "backend/cpu/kernels/rows.h"
#include "backend/cpu/kernels/vmath.h"

enum {
    LANES = NR, /* queries of a block */
    TILE_KEYS = 256,
    STRAIGHT_KEYS = 128, /* most rows of a head that are used in place; more may collide in a cache */
    FEW = 3,             /* up to this many queries are done one by one */
    WANTED_PIECES = 8,
    Z_SPARE = 8 * PHILOX_LANES,
    Z_ROW = TILE_KEYS + Z_SPARE
};

typedef struct job {
    const glia_attention_args *a;
    int64_t cuts; /* pieces into which the queries of a sample's group are cut */
    char *scratch;
    size_t worker_bytes;
} job;

/* Rows of whole vectors, `step` apart. */
typedef struct matrix {
    float *at;
    int64_t step;
} matrix;

/* State of a worker for one sample's group of heads. */
typedef struct work {
    const glia_attention_args *a;
    int64_t sample, group, padded;
    bool straight;               /* matrices are the operands and results themselves, not copies */
    matrix keys, values, dk, dv; /* of all keys */
    matrix q, dy, y;             /* of a block of queries; y: or dq */
    float *q_t, *dy_t;           /* (D, LANES) */
    float *scores, *dp;          /* tiles (keys, LANES); a row of scores where queries are few */
    float *rows;                 /* one operand of the tile by rows (LANES, keys), before it is transposed */
    float *added, *z, *slope;    /* tiles: bias and mask, dropout's factors, the cap's derivative */
} work;

/* The keys of a block's queries: [from[i], to[i]) for query i. */
typedef struct block {
    int64_t head, query, n; /* its queries are [query, query + n) */
    int32_t from[LANES], to[LANES];
    float at[LANES]; /* positions */
    vf most[2], sum[2], delta[2];
} block;

/* ---- rows ----------------------------------------------------------------------------------- */

typedef struct range {
    int64_t from, to;
} range;

static int64_t position_of(const glia_attention_args *a, int64_t sample, int64_t query) {
    return (a->offsets ? a->offsets[sample] : a->keys - a->queries) + query;
}

/* The keys of a query, before masking. Neither end decreases from query to query. */
static range keys_of(const glia_attention_args *a, int64_t sample, int64_t query) {
    const int64_t at = position_of(a, sample, query);
    range r = { 0, a->keys };
    if (a->causal) r.to = GLIA_MIN(r.to, at + 1);
    if (a->window) r.from = GLIA_MAX(r.from, at - a->window + 1);
    if (a->window && !a->causal) r.to = GLIA_MIN(r.to, at + a->window);
    if (a->lengths) r.to = GLIA_MIN(r.to, a->lengths[sample]);
    r.from = GLIA_MIN(r.from, a->keys);
    r.to = GLIA_MAX(r.to, r.from);
    return r;
}

GLIA_INLINE vi load_flags(const uint8_t *p, int64_t n) {
    uint8_t bytes[VLEN] = { 0 };
    memcpy(bytes, p, (size_t)n);
    return vi_load_bytes(bytes);
}

/* A row of the scores, from key `first` on. */
typedef struct place {
    int64_t head, query, first;
} place;

static int64_t broadcast_at(const int64_t stride[4], const work *w, place p) {
    return w->sample * stride[0] + p.head * stride[1] + p.query * stride[2];
}

/* Applies cap, bias, distance and mask to keys [from, to) of the row that begins at key p.first. */
static void modify_scores(const work *w, place p, float *x, int64_t from, int64_t to) {
    const glia_attention_args *a = w->a;
    const float *bias = a->bias ? a->bias + broadcast_at(a->bias_stride, w, p) : NULL;
    const uint8_t *mask = a->mask ? a->mask + broadcast_at(a->mask_stride, w, p) : NULL;
    const float fall = a->slopes ? a->slopes[p.head] : 0;
    const int64_t at = position_of(a, w->sample, p.query);
    vf lane;
    for (int k = 0; k < VLEN; k++) lane[k] = (float)k;
    for (int64_t i = from; i < to; i += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, to - i), key = p.first + i;
        vf v = vf_load_first(x + i, n);
        if (a->softcap > 0) {
            const vf t = vf_tanh(v * (1 / a->softcap));
            v = t * a->softcap;
        }
        if (bias) v += a->bias_stride[3] ? vf_load_first(bias + key, n) : vf_set(bias[0]);
        if (a->slopes) v -= vf_abs(lane + (float)(key - at)) * fall;
        if (mask) {
            const vi seen = a->mask_stride[3] ? load_flags(mask + key, n) : (vi){ 0 } + mask[0];
            v = vf_select(seen != 0, v, vf_set(-GLIA_INF));
        }
        vf_store_first(x + i, v, n);
    }
}

static bool has_modifiers(const glia_attention_args *a) { return a->softcap > 0 || a->bias || a->slopes || a->mask; }

/* Finishes the scores of a row that begins with key p.first: `width` of them, whole vectors; -inf outside `seen`.
 * Returns the largest. */
static float finish_scores(const work *w, place p, float *x, int64_t width, range seen) {
    const int64_t from = GLIA_MAX(0, GLIA_MIN(width, seen.from - p.first));
    const int64_t to = GLIA_MAX(from, GLIA_MIN(width, seen.to - p.first));
    for (int64_t i = 0; i < from; i++) x[i] = -GLIA_INF;
    if (has_modifiers(w->a)) modify_scores(w, p, x, from, to);
    for (int64_t i = to; i < width; i++) x[i] = -GLIA_INF;
    vf most = vf_set(-GLIA_INF), other = most;
    int64_t i = 0;
    for (; i + 2 * VLEN <= width; i += 2 * VLEN) {
        most = vf_upper(most, vf_load(x + i));
        other = vf_upper(other, vf_load(x + i + VLEN));
    }
    if (i < width) most = vf_upper(most, vf_load(x + i));
    return vf_largest(vf_upper(most, other));
}

/* x becomes e^(x - most); returns the sum. All 0 if the largest is -inf. */
static float exponentials(float *x, int64_t width, float most) {
    vf sum = vf_set(0), other = sum;
    if (most == -GLIA_INF) {
        for (int64_t i = 0; i < width; i += VLEN) vf_store(x + i, sum);
        return 0;
    }
    int64_t i = 0;
    for (; i + 2 * VLEN <= width; i += 2 * VLEN) {
        const vf e = vf_exp_below(vf_load(x + i) - most), f = vf_exp_below(vf_load(x + i + VLEN) - most);
        vf_store(x + i, e);
        vf_store(x + i + VLEN, f);
        sum += e;
        other += f;
    }
    if (i < width) {
        const vf e = vf_exp_below(vf_load(x + i) - most);
        vf_store(x + i, e);
        sum += e;
    }
    return vf_sum(sum + other);
}

/* Dropout's factors of a row's elements from key p.first on, as the definition draws them; into: width + Z_SPARE
 * floats. */
static const float *factors(const work *w, place p, int64_t width, float *into) {
    const glia_attention_args *a = w->a;
    const uint64_t row =
        ((uint64_t)w->sample * (uint64_t)a->heads + (uint64_t)p.head) * (uint64_t)a->queries + (uint64_t)p.query;
    const uint64_t at = row * (uint64_t)a->keys + (uint64_t)p.first;
    const vf scale = vf_set(1 / (1 - a->rate)), none = vf_set(0), rate = vf_set(a->rate);
    for (int64_t i = 0; i < width + 4; i += 4 * PHILOX_LANES) {
        float *z = into + i;
        philox_floats(a->rng, a->stream, at / 4 + (uint64_t)i / 4, z);
        for (int64_t k = 0; k < 4 * PHILOX_LANES; k += VLEN) {
            vf_store(z + k, vf_select(vf_load(z + k) >= rate, scale, none));
        }
    }
    return into + at % 4;
}

static void multiply_row(float *x, const float *by, int64_t width) {
    for (int64_t i = 0; i < width; i += VLEN) vf_store(x + i, vf_load(x + i) * vf_load(by + i));
}

static void scale_row(float *x, float by, int64_t width) {
    for (int64_t i = 0; i < width; i += VLEN) vf_store(x + i, vf_load(x + i) * by);
}

/* ---- products of tiles ------------------------------------------------------------------------ */

/* c (rows, cols) = or += P Q, cols whole vectors; t has everything but c_at and add. rows <= MR. */
static void tile_product(int mode, int64_t rows, int64_t cols, glia_micro_args t, float *c, int64_t ldc) {
    int64_t c_at[MR];
    const float *q = t.q;
    for (int64_t r = 0; r < rows; r++) c_at[r] = r * ldc;
    t.c_at = c_at;
    for (int64_t j = 0; j < cols;) {
        const int width = cols - j >= NR ? TILE_FULL : TILE_HALF;
        t.q = q + j;
        t.c = c + j;
        GLIA_KERNEL(micro)[mode][width][rows - 1](&t);
        j += width == TILE_FULL ? NR : VLEN;
    }
}

/* ---- packing ---------------------------------------------------------------------------------- */

static float *row_at(const glia_attention_args *a, glia_attention_rows x, int64_t sample, int64_t head, int64_t i) {
    return x.at + sample * x.sample + i * x.row + head * a->size;
}

/* Prefetches rows [from, from + n) of one head. */
static void prefetch_rows(const work *w, glia_attention_rows x, int64_t head, int64_t from, int64_t n) {
    const float *at = row_at(w->a, x, w->sample, head, from);
    for (int64_t i = 0; i < n; i++, at += x.row) {
        for (int64_t k = 0; k < w->a->size; k += GLIA_ALIGN / 4) __builtin_prefetch(at + k);
    }
}

/* Rows [from, to) of one head: in place, or copied and padded with zeros. */
static void load_rows(const work *w, glia_attention_rows x, int64_t head, int64_t from, int64_t to, matrix *rows) {
    const int64_t size = w->a->size, whole = size / VLEN * VLEN;
    const float *at = row_at(w->a, x, w->sample, head, from);
    if (w->straight) {
        *rows = (matrix){ row_at(w->a, x, w->sample, head, from), x.row };
        prefetch_rows(w, x, head, from, to - from);
        return;
    }
    for (int64_t i = 0; i < to - from; i++, at += x.row) {
        float *row = rows->at + i * rows->step;
        for (int64_t k = 0; k < whole; k += VLEN) vf_store(row + k, vf_load(at + k));
        if (whole < size) vf_store(row + whole, vf_load_first(at + whole, size - whole));
    }
}

/* The memory for results [from, ...) of one head: in place, or the copy. */
static void begin(const work *w, glia_attention_rows x, int64_t head, int64_t from, matrix *rows) {
    if (w->straight) *rows = (matrix){ row_at(w->a, x, w->sample, head, from), x.row };
}

/* Stores a row, scaled, to row i of a head's result. */
static void store_row(const work *w, glia_attention_rows x, int64_t head, int64_t i, float scale, const float *row) {
    const int64_t size = w->a->size, whole = size / VLEN * VLEN;
    float *at = row_at(w->a, x, w->sample, head, i);
    for (int64_t k = 0; k < whole; k += VLEN) vf_store(at + k, vf_load(row + k) * scale);
    if (whole < size) vf_store_first(at + whole, vf_load(row + whole) * scale, size - whole);
}

static void store_rows(const work *w, glia_attention_rows x, int64_t head, int64_t from, int64_t n, matrix rows) {
    for (int64_t i = 0; i < n && !w->straight; i++) store_row(w, x, head, from + i, 1, rows.at + i * rows.step);
}

/* A head's block of rows transposed: (D, LANES), scaled; missing rows are zeros. */
static void load_transposed(const work *w, glia_attention_rows x, const block *b, float scale, float *turned) {
    const int64_t size = w->a->size;
    pack_q(turned, row_at(w->a, x, w->sample, b->head, b->query), 1, x.row, size, b->n);
    for (int64_t i = 0; scale != 1 && i < size * LANES; i += VLEN) vf_store(turned + i, vf_load(turned + i) * scale);
}

/* ---- tiles ------------------------------------------------------------------------------------- */

static block block_of(const work *w, int64_t head, int64_t query, int64_t end) {
    block b = { .head = head, .query = query, .n = GLIA_MIN(LANES, end - query) };
    for (int64_t i = 0; i < LANES; i++) {
        const range seen = keys_of(w->a, w->sample, query + GLIA_MIN(i, b.n - 1)); /* missing: as the last */
        b.from[i] = (int32_t)seen.from, b.to[i] = (int32_t)seen.to;
        b.at[i] = (float)position_of(w->a, w->sample, query + i);
    }
    for (int v = 0; v < 2; v++) b.most[v] = vf_set(-GLIA_INF), b.sum[v] = b.delta[v] = vf_set(0);
    return b;
}

/* x (keys, LANES) = rows of keys or values of the tile times a transposed block. */
static void times_block(const work *w, matrix rows, range t, const float *turned, float *x) {
    const int64_t keys = t.to - t.from, tiles = (keys + MR - 1) / MR;
    glia_micro_args m = { .k = w->a->size, .p_row = rows.step, .q = turned, .q_step = LANES };
    for (int64_t i = 0; i < tiles; i++) {
        const int64_t begin = keys * i / tiles, end = keys * (i + 1) / tiles;
        m.p = rows.at + (t.from + begin) * rows.step;
        tile_product(TILE_LINES, end - begin, LANES, m, x + begin * LANES, LANES);
    }
}

/* y (queries, D) = or += x^T times rows of keys or values; skips keys that no query of a part attends to. */
static void block_times(const work *w, const block *b, const float *x, range t, matrix rows, bool add, matrix y) {
    const int64_t parts = (b->n + MR - 1) / MR;
    for (int64_t i = 0; i < parts; i++) {
        const int64_t begin = b->n * i / parts, end = b->n * (i + 1) / parts;
        const int64_t from = GLIA_MIN(t.to, GLIA_MAX(t.from, b->from[begin]));
        const int64_t to = GLIA_MAX(from, GLIA_MIN(t.to, b->to[end - 1]));
        glia_micro_args m = { .k = to - from,
                              .p = x + (from - t.from) * LANES + begin,
                              .p_step = LANES,
                              .q = rows.at + from * rows.step,
                              .q_step = rows.step,
                              .add = add };
        if (from < to || !add) tile_product(TILE_COLS, end - begin, w->padded, m, y.at + begin * y.step, y.step);
    }
}

/* dk or dv of the tile's keys += x times a block's rows. */
static void tile_times(const work *w, const block *b, const float *x, range t, matrix rows, matrix sum) {
    const int64_t keys = t.to - t.from, tiles = (keys + MR - 1) / MR;
    int64_t begin = 0, end = 0;
    for (int64_t i = 0; i < tiles; i++) {
        const int64_t key = keys * i / tiles, next = keys * (i + 1) / tiles;
        while (begin < b->n && b->to[begin] <= t.from + key) begin++;
        while (end < b->n && b->from[end] < t.from + next) end++;
        glia_micro_args m = { .k = end - begin,
                              .p = x + key * LANES + begin,
                              .p_row = LANES,

                              .q = rows.at + begin * rows.step,
                              .q_step = rows.step,
                              .add = true };
        if (begin >= end) continue;
        tile_product(TILE_LINES, next - key, w->padded, m, sum.at + (t.from + key) * sum.step, sum.step);
    }
}

/* ---- down the columns ----------------------------------------------------------------------------- */

/* Bias and mask of the tile as an addend, -inf where the mask is false. */
static void find_added(const work *w, const block *b, range t) {
    const glia_attention_args *a = w->a;
    const int64_t keys = t.to - t.from;
    for (int64_t i = 0; i < b->n; i++) {
        const place p = { b->head, b->query + i, t.from };
        const float *bias = a->bias ? a->bias + broadcast_at(a->bias_stride, w, p) + t.from * a->bias_stride[3] : NULL;
        const uint8_t *mask =
            a->mask ? a->mask + broadcast_at(a->mask_stride, w, p) + t.from * a->mask_stride[3] : NULL;
        float *row = w->rows + i * Z_ROW;
        for (int64_t k = 0; k < keys; k++) row[k] = bias ? bias[k * a->bias_stride[3]] : 0;
        for (int64_t k = 0; mask && k < keys; k++) row[k] = mask[k * a->mask_stride[3]] ? row[k] : -GLIA_INF;
    }
    transpose(w->added, LANES, w->rows, Z_ROW, b->n, keys);
}

/* Dropout's factors of the tile. */
static void find_factors(const work *w, const block *b, range t) {
    const int64_t keys = t.to - t.from;
    for (int64_t i = 0; i < b->n; i++) {
        const place p = { b->head, b->query + i, t.from };
        float *row = w->rows + i * Z_ROW;
        const float *z = factors(w, p, keys, row);
        memmove(row, z, (size_t)keys * sizeof *z);
    }
    transpose(w->z, LANES, w->rows, Z_ROW, b->n, keys);
}

/* Finishes a key's scores with cap, bias, distance and mask; key: its number in the tile. */
GLIA_INLINE vf modified(const work *w, const block *b, range t, int64_t key, int v, vf x, bool with_slope) {
    const glia_attention_args *a = w->a;
    const int64_t at = key * LANES + v * VLEN;
    if (a->softcap > 0) {
        const vf c = vf_tanh(x * (1 / a->softcap));
        x = c * a->softcap;
        if (with_slope) vf_store(w->slope + at, 1.0f - c * c);
    }
    if (a->bias || a->mask) {
        const vf added = vf_load(w->added + at);
        x = vf_select(added == -GLIA_INF, added, x + added);
    }
    if (a->slopes) x -= vf_abs(vf_load(b->at + v * VLEN) - (float)(t.from + key)) * a->slopes[b->head];
    return x;
}

/* Keys of the tile that all of the block's queries attend to; the scores of others are masked. */
static range seen_by_all(const block *b, range t) {
    const int64_t from = GLIA_MIN(t.to, GLIA_MAX(t.from, b->from[b->n - 1]));
    return (range){ from, GLIA_MAX(from, GLIA_MIN(t.to, b->to[0])) };
}

/* -inf where a query does not attend to the key. */
GLIA_INLINE vf masked(const block *b, int64_t key, int v, vf x) {
    const vi from = *(const vi_any *)(b->from + v * VLEN), to = *(const vi_any *)(b->to + v * VLEN);
    return vf_select((from <= (int32_t)key) & (to > (int32_t)key), x, vf_set(-GLIA_INF));
}

/* Finishes the scores of a tile; most[v]: the largest of each query. */
static void finish_tile(const work *w, const block *b, range t, float *x, bool with_slope, vf most[2]) {
    const range all = seen_by_all(b, t);
    const bool modifies = has_modifiers(w->a);
    vf upper[4];
    for (int i = 0; i < 4; i++) upper[i] = vf_set(-GLIA_INF);
    for (int64_t key = t.from; key < t.to; key++) {
        float *row = x + (key - t.from) * LANES;
        if (modifies) {
            for (int v = 0; v < 2; v++) {
                vf_store(row + v * VLEN, modified(w, b, t, key - t.from, v, vf_load(row + v * VLEN), with_slope));
            }
        }
        if (key < all.from || key >= all.to) {
            for (int v = 0; v < 2; v++) vf_store(row + v * VLEN, masked(b, key, v, vf_load(row + v * VLEN)));
        }
        vf *u = upper + 2 * (key & 1);
        u[0] = vf_upper(u[0], vf_load(row));
        u[1] = vf_upper(u[1], vf_load(row + VLEN));
    }
    for (int v = 0; v < 2; v++) most[v] = vf_upper(upper[v], upper[2 + v]);
}

/* The maximum to subtract: 0 instead of -inf for a query without keys so far. */
GLIA_INLINE vf shift_of(vf most) { return vf_select(most == -GLIA_INF, vf_set(0), most); }

/* x becomes e^(x - most); also sums its columns. */
static void exponentials_of(int64_t keys, float *x, const vf most[2], vf sum[2]) {
    const vf m0 = shift_of(most[0]), m1 = shift_of(most[1]);
    vf s0 = vf_set(0), s1 = s0;
    for (int64_t i = 0; i < keys; i++, x += LANES) {
        const vf e0 = vf_exp_below(vf_load(x) - m0), e1 = vf_exp_below(vf_load(x + VLEN) - m1);
        vf_store(x, e0);
        vf_store(x + VLEN, e1);
        s0 += e0;
        s1 += e1;
    }
    sum[0] = s0, sum[1] = s1;
}

/* The tile's scores and their exponentials, and the block's maxima and sums. Earlier results must be multiplied by
 * `shrink`. */
static void weigh_tile(const work *w, block *b, range t, vf shrink[2]) {
    vf most[2], added[2];
    times_block(w, w->keys, t, w->q_t, w->scores);
    if (w->a->bias || w->a->mask) find_added(w, b, t);
    finish_tile(w, b, t, w->scores, false, most);
    for (int v = 0; v < 2; v++) {
        most[v] = vf_larger(b->most[v], most[v]);
        shrink[v] = vf_exp_below(b->most[v] - shift_of(most[v]));
        b->most[v] = most[v];
    }
    exponentials_of(t.to - t.from, w->scores, most, added);
    for (int v = 0; v < 2; v++) b->sum[v] = b->sum[v] * shrink[v] + added[v];
}

/* ---- forward ----------------------------------------------------------------------------------- */

/* Keys that some query of the block attends to. */
static range seen_by_any(const block *b) { return (range){ b->from[0], b->to[b->n - 1] }; }

static range tile_from(range any, int64_t first) { return (range){ first, GLIA_MIN(any.to, first + TILE_KEYS) }; }

static void multiply_tile(float *x, const float *by, int64_t keys) {
    for (int64_t i = 0; i < keys * LANES; i += VLEN) vf_store(x + i, vf_load(x + i) * vf_load(by + i));
}

static void store_lanes(float to[LANES], const vf x[2]) {
    vf_store(to, x[0]);
    vf_store(to + VLEN, x[1]);
}

static void forward_block(work *w, int64_t head, int64_t query, int64_t end) {
    const glia_attention_args *a = w->a;
    block b = block_of(w, head, query, end);
    const range any = seen_by_any(&b);
    float lane[LANES];
    load_transposed(w, a->q, &b, a->scale, w->q_t);
    begin(w, a->y, head, query, &w->y);
    bool begun = false;
    for (int64_t first = any.from; first < any.to || !begun; first += TILE_KEYS, begun = true) {
        const range t = tile_from(any, first);
        vf shrink[2];
        weigh_tile(w, &b, t, shrink);
        store_lanes(lane, shrink);
        for (int64_t i = 0; begun && i < b.n; i++) scale_row(w->y.at + i * w->y.step, lane[i], w->padded);
        if (a->rate > 0) {
            find_factors(w, &b, t);
            multiply_tile(w->scores, w->z, t.to - t.from);
        }
        block_times(w, &b, w->scores, t, w->values, begun, w->y);
    }
    store_lanes(lane, b.sum);
    for (int64_t i = 0; i < b.n; i++) {
        store_row(w, a->y, head, query + i, lane[i] == 0 ? 0 : 1 / lane[i], w->y.at + i * w->y.step);
    }
}

/* ---- a few queries ------------------------------------------------------------------------------ */

/* The dot products of q with VLEN keys, of which n are valid. */
static vf dots(const work *w, const float *q, const float *k, int64_t step, int64_t n) {
    const int64_t size = w->a->size, whole = size / VLEN * VLEN;
    float sums[VLEN * VLEN], turned[VLEN * VLEN];
    for (int64_t i = 0; i < VLEN; i++, k += i < n ? step : 0) {
        vf sum = vf_set(0);
        for (int64_t at = 0; at < whole; at += VLEN) sum += vf_load(q + at) * vf_load(k + at);
        if (whole < size) sum += vf_load(q + whole) * vf_load_first(k + whole, size - whole);
        vf_store(sums + i * VLEN, sum);
    }
    transpose_block(turned, VLEN, sums, VLEN);
    vf sum = vf_load(turned);
    GLIA_UNROLL for (int i = 1; i < VLEN; i++) sum += vf_load(turned + i * VLEN);
    return sum;
}

/* y (D) = the sum of weights of keys [0, n) times the values, whose rows are `step` apart. */
static void weigh(const float *weights, int64_t n, const float *v, int64_t step, int64_t size, float scale, float *y) {
    for (int64_t at = 0; at < size; at += 4 * VLEN) {
        vf sum[4] = { { 0 } };
        const int64_t left = GLIA_MIN(4 * VLEN, size - at);
        const float *from = v + at;
        if (left == 4 * VLEN) {
            for (int64_t i = 0; i < n; i++, from += step) {
                GLIA_UNROLL for (int k = 0; k < 4; k++) sum[k] += vf_load(from + k * VLEN) * weights[i];
            }
        } else {
            for (int64_t i = 0; i < n; i++, from += step) {
                for (int k = 0; k * VLEN < left; k++) {
                    sum[k] += vf_load_first(from + k * VLEN, GLIA_MIN(VLEN, left - k * VLEN)) * weights[i];
                }
            }
        }
        for (int k = 0; k * VLEN < left; k++) {
            vf_store_first(y + at + k * VLEN, sum[k] * scale, GLIA_MIN(VLEN, left - k * VLEN));
        }
    }
}

/* One query by dot products with the keys where they lie; the scratch's scores hold all of them. */
static void one_query(work *w, int64_t head, int64_t query) {
    const glia_attention_args *a = w->a;
    const range seen = keys_of(a, w->sample, query);
    const int64_t n = seen.to - seen.from, width = round_up(n, VLEN);
    const float *k = row_at(a, a->k, w->sample, w->group, seen.from),
                *v = row_at(a, a->v, w->sample, w->group, seen.from);
    const place p = { head, query, seen.from };
    load_rows(w, a->q, head, query, query + 1, &w->q);
    scale_row(w->q.at, a->scale, w->padded);
    for (int64_t i = 0; i < n; i += VLEN) {
        vf_store(w->scores + i, dots(w, w->q.at, k + i * a->k.row, a->k.row, GLIA_MIN(VLEN, n - i)));
    }
    const float most = finish_scores(w, p, w->scores, width, seen);
    const float sum = exponentials(w->scores, width, most);
    if (a->rate > 0) multiply_row(w->scores, factors(w, p, width, w->z), width);
    weigh(w->scores, n, v, a->v.row, a->size, sum == 0 ? 0 : 1 / sum, row_at(a, a->y, w->sample, head, query));
}

/* ---- the forward kernel -------------------------------------------------------------------------- */

static bool is_few(const glia_attention_args *a) { return a->queries <= FEW; }

/* Takes the next `floats` of a worker's scratch. */
static float *take(char **at, int64_t floats) {
    float *taken = (float *)(void *)*at;
    *at += (size_t)round_up(floats * (int64_t)sizeof(float), GLIA_ALIGN);
    return taken;
}

/* Lays out a worker's scratch; returns its bytes. */
static size_t lay_out(work *w, bool gradient, char *scratch) {
    const glia_attention_args *a = w->a;
    char *at = scratch;
    w->padded = round_up(a->size, VLEN);
    w->straight = a->size % VLEN == 0 && a->keys <= STRAIGHT_KEYS && !(is_few(a) && !gradient);
    if (is_few(a) && !gradient) {
        w->q = (matrix){ take(&at, w->padded), w->padded };
        w->scores = take(&at, round_up(a->keys, VLEN));
        w->z = a->rate > 0 ? take(&at, round_up(a->keys, VLEN) + Z_SPARE) : NULL;
        return (size_t)(at - scratch);
    }
    matrix *by_key[] = { &w->keys, &w->values, &w->dk, &w->dv }, *by_lane[] = { &w->y, &w->q, &w->dy };
    for (int i = 0; i < (gradient ? 4 : 2) && !w->straight; i++) {
        *by_key[i] = (matrix){ take(&at, a->keys * w->padded), w->padded };
    }
    for (int i = 0; i < (gradient ? 3 : 1) && !w->straight; i++) {
        *by_lane[i] = (matrix){ take(&at, LANES * w->padded), w->padded };
    }
    w->q_t = take(&at, LANES * a->size);
    w->dy_t = gradient ? take(&at, LANES * a->size) : NULL;
    const int64_t tile = GLIA_MIN(TILE_KEYS, a->keys) * LANES;
    w->scores = take(&at, tile);
    w->dp = gradient ? take(&at, tile) : NULL;
    w->rows = take(&at, LANES * Z_ROW);
    w->added = take(&at, tile);
    w->z = a->rate > 0 ? take(&at, tile) : NULL;
    w->slope = a->softcap > 0 ? take(&at, tile) : NULL;
    return (size_t)(at - scratch);
}

static void forward_piece(void *context, int64_t piece, int worker) {
    const job *j = context;
    const glia_attention_args *a = j->a;
    const int64_t cut = piece % j->cuts, shared = a->heads / a->groups;
    work w = { .a = a, .group = piece / j->cuts % a->groups, .sample = piece / j->cuts / a->groups };
    lay_out(&w, false, j->scratch + (size_t)worker * j->worker_bytes);
    const int64_t blocks = (a->queries + LANES - 1) / LANES;
    const int64_t begin = blocks * cut / j->cuts * LANES,
                  end = GLIA_MIN(a->queries, blocks * (cut + 1) / j->cuts * LANES);
    if (!is_few(a)) { /* keys up to the last one that is seen: a cache may be far from full */
        const int64_t seen = begin < end ? keys_of(a, w.sample, end - 1).to : 0;
        load_rows(&w, a->k, w.group, 0, seen, &w.keys);
        load_rows(&w, a->v, w.group, 0, seen, &w.values);
    }
    for (int64_t head = w.group * shared; head < (w.group + 1) * shared; head++) {
        for (int64_t from = begin; from < end && !is_few(a); from += LANES) forward_block(&w, head, from, end);
        for (int64_t query = begin; query < end && is_few(a); query++) one_query(&w, head, query);
    }
}

/* Pieces per sample's group: more than one if there are too few groups for all threads. */
static int64_t cuts_of(const glia_attention_args *a) {
    const int64_t groups = a->samples * a->groups, blocks = (a->queries + LANES - 1) / LANES;
    if (groups >= WANTED_PIECES) return 1;
    return GLIA_MIN(GLIA_MAX(1, blocks / 4), (WANTED_PIECES + groups - 1) / groups);
}

size_t GLIA_KERNEL(attention_f32_scratch)(const glia_attention_args *attention, int workers) {
    work w = { .a = attention };
    return lay_out(&w, false, NULL) * (size_t)workers;
}

void GLIA_KERNEL(attention_f32)(glia_pool *pool, const glia_attention_args *attention, void *scratch) {
    work w = { .a = attention };
    job j = { .a = attention, .cuts = cuts_of(attention), .scratch = scratch };
    j.worker_bytes = lay_out(&w, false, NULL);
    glia_parallel_for(pool, attention->samples * attention->groups * j.cuts, forward_piece, &j);
}

/* ---- the gradient --------------------------------------------------------------------------------- */

/* delta: y dy of each query, VLEN queries at a time; neighbouring lanes are added until each query has one lane. */
static void find_deltas(const work *w, block *b) {
    const int64_t size = w->a->size, step = w->a->y.row;
    for (int64_t first = 0; first < LANES; first += VLEN) {
        vf sum[VLEN];
        GLIA_UNROLL for (int64_t i = 0; i < VLEN; i++) {
            const int64_t row = GLIA_MIN(first + i, b->n - 1); /* missing: as the last */
            const float *y = row_at(w->a, w->a->y, w->sample, b->head, b->query) + row * step;
            const float *dy = w->dy.at + row * w->dy.step;
            sum[i] = vf_set(0);
            for (int64_t k = 0; k < size; k += VLEN) {
                sum[i] += vf_load_first(y + k, GLIA_MIN(VLEN, size - k)) * vf_load(dy + k);
            }
        }
        GLIA_UNROLL for (int n = VLEN; n > 1; n /= 2) {
            GLIA_UNROLL for (int i = 0; i < n / 2; i++) {
                sum[i] = vf_even(sum[2 * i], sum[2 * i + 1]) + vf_odd(sum[2 * i], sum[2 * i + 1]);
            }
        }
        b->delta[first / VLEN] = sum[0];
    }
}

/* Turns exponentials into the weights for dv, and dp (which includes dropout's factors) into the gradient of q^T k. */
static void grad_tile(const work *w, const block *b, const vf share[2], int64_t keys) {
    const bool capped = w->a->softcap > 0, drops = w->a->rate > 0;
    const vf s0 = share[0], s1 = share[1], d0 = b->delta[0], d1 = b->delta[1];
    const float scale = w->a->scale;
    float *x = w->scores, *dp = w->dp;
    for (int64_t i = 0; i < keys * LANES; i += LANES) {
        const vf w0 = vf_load(x + i) * s0, w1 = vf_load(x + i + VLEN) * s1;
        vf_store(x + i, w0);
        vf_store(x + i + VLEN, w1);
        vf_store(dp + i, w0 * scale * (vf_load(dp + i) - d0));
        vf_store(dp + i + VLEN, w1 * scale * (vf_load(dp + i + VLEN) - d1));
    }
    if (capped) multiply_tile(dp, w->slope, keys);
    if (drops) multiply_tile(x, w->z, keys);
}

static void grad_block(work *w, int64_t head, int64_t query) {
    const glia_attention_args *a = w->a;
    block b = block_of(w, head, query, a->queries);
    const range any = seen_by_any(&b);
    load_transposed(w, a->q, &b, a->scale, w->q_t);
    load_transposed(w, a->dy, &b, 1, w->dy_t);
    load_rows(w, a->q, head, query, query + b.n, &w->q);
    load_rows(w, a->dy, head, query, query + b.n, &w->dy);
    begin(w, a->dq, head, query, &w->y);
    const bool alone = any.to - any.from <= TILE_KEYS;
    vf shrink[2], most[2], sum[2], share[2];
    find_deltas(w, &b);
    for (int64_t first = any.from; first < any.to && !alone; first += TILE_KEYS) {
        weigh_tile(w, &b, tile_from(any, first), shrink);
    }
    bool begun = false;
    for (int64_t first = any.from; first < any.to || !begun; first += TILE_KEYS, begun = true) {
        const range t = tile_from(any, first);
        const int64_t keys = t.to - t.from;
        times_block(w, w->keys, t, w->q_t, w->scores);
        times_block(w, w->values, t, w->dy_t, w->dp);
        if (a->bias || a->mask) find_added(w, &b, t);
        finish_tile(w, &b, t, w->scores, true, most);
        exponentials_of(keys, w->scores, alone ? most : b.most, sum);
        if (a->rate > 0) {
            find_factors(w, &b, t);
            multiply_tile(w->dp, w->z, keys);
        }
        for (int v = 0; v < 2; v++) {
            if (alone) b.sum[v] = sum[v];
            share[v] = vf_select(b.sum[v] == 0.0f, vf_set(0), 1.0f / b.sum[v]);
        }
        grad_tile(w, &b, share, keys);
        block_times(w, &b, w->dp, t, w->keys, begun, w->y);
        tile_times(w, &b, w->dp, t, w->q, w->dk);
        tile_times(w, &b, w->scores, t, w->dy, w->dv);
    }
    store_rows(w, a->dq, head, query, b.n, w->y);
}

static void grad_piece(void *context, int64_t piece, int worker) {
    const job *j = context;
    const glia_attention_args *a = j->a;
    const int64_t shared = a->heads / a->groups;
    work w = { .a = a, .group = piece % a->groups, .sample = piece / a->groups };
    lay_out(&w, true, j->scratch + (size_t)worker * j->worker_bytes);
    load_rows(&w, a->k, w.group, 0, a->keys, &w.keys);
    load_rows(&w, a->v, w.group, 0, a->keys, &w.values);
    begin(&w, a->dk, w.group, 0, &w.dk);
    begin(&w, a->dv, w.group, 0, &w.dv);
    for (int64_t key = 0; key < a->keys; key++) {
        for (int64_t k = 0; k < w.padded; k += VLEN) {
            vf_store(w.dk.at + key * w.dk.step + k, vf_set(0));
            vf_store(w.dv.at + key * w.dv.step + k, vf_set(0));
        }
    }
    for (int64_t head = w.group * shared; head < (w.group + 1) * shared; head++) {
        for (int64_t query = 0; query < a->queries; query += LANES) grad_block(&w, head, query);
    }
    store_rows(&w, a->dk, w.group, 0, a->keys, w.dk);
    store_rows(&w, a->dv, w.group, 0, a->keys, w.dv);
}

size_t GLIA_KERNEL(attention_grad_f32_scratch)(const glia_attention_args *attention, int workers) {
    work w = { .a = attention };
    return lay_out(&w, true, NULL) * (size_t)workers;
}

void GLIA_KERNEL(attention_grad_f32)(glia_pool *pool, const glia_attention_args *attention, void *scratch) {
    work w = { .a = attention };
    job j = { .a = attention, .scratch = scratch, .worker_bytes = lay_out(&w, true, NULL) };
    glia_parallel_for(pool, attention->samples * attention->groups, grad_piece, &j);
}
