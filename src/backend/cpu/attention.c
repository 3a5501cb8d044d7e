/* attention.c - attention and its gradient without the T x S matrix (Dao et al. 2022, "FlashAttention").
 *
 * The heads of one sample that share keys are one piece of work. Its keys are packed once, transposed in panels of NR, its
 * values in rows. Then BLOCK queries at a time meet the keys, a tile of them at a time:
 *
 *     scores = q k^T  ->  row by row: masks, maximum, exponentials  ->  y += scores v
 *
 * With more than one tile the maximum may rise on the way; what has been summed is scaled down then (Milakov and Gimelshein
 * 2018, "Online normalizer calculation for softmax"). A row's keys are a range, from causality, window and lengths, and
 * what lies outside of all ranges of MR rows is not computed.
 *
 * The gradient has the same blocks and tiles: it computes the scores again, dp = dy v^T beside them, row by row what is to
 * be added where, and then dq = ds k, dk += ds^T q, dv += p^T dy. One tile holds TILE_KEYS keys; where there are more, a
 * round before finds each row's maximum and sum. Memory is linear in T and S.
 *
 * A few queries are done one by one, with dot products along the keys as they lie (a step of generation).
 */
#include "backend/cpu/micro.h"
#include "backend/cpu/philox.h"
#include "backend/cpu/rows.h"
#include "backend/cpu/vmath.h"

enum {
    BLOCK = 48,           /* queries at a time: a multiple of each MR */
    TILE_KEYS = 512,      /* keys of a tile: a multiple of each NR */
    ROW = TILE_KEYS + 16, /* floats from one row of a tile to the next: other lines of the first-level cache */
    FEW = 3,              /* so many queries are done one by one */
    WANTED_PIECES = 8,
    Z_SPARE = 8 * PHILOX_LANES
};

typedef struct job {
    const glia_attention *a;
    int64_t cuts; /* pieces of the queries of a sample's group */
    char *scratch;
    size_t worker_bytes;
} job;

/* A sample's group of heads at work: its packed keys and values, and a worker's tiles. */
typedef struct work {
    const glia_attention *a;
    int64_t sample, group, padded;
    float *keys_t, *values_t; /* panels (D, NR) */
    float *keys, *values;     /* rows of `padded` */
    float *dk, *dv;           /* likewise */
    float *q, *dy, *y;        /* rows of `padded`, BLOCK of them; y: or dq */
    float *scores, *dp;       /* tiles */
    float *slope, *z;         /* of a row: the derivative of the cap, dropout's factors */
    float most[BLOCK], sum[BLOCK], delta[BLOCK];
} work;

static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

/* ---- rows ----------------------------------------------------------------------------------- */

typedef struct range {
    int64_t from, to;
} range;

static int64_t position_of(const glia_attention *a, int64_t sample, int64_t query) {
    return (a->offsets ? a->offsets[sample] : a->keys - a->queries) + query;
}

/* The keys that a query may see but for the mask. Neither end falls from query to query. */
static range keys_of(const glia_attention *a, int64_t sample, int64_t query) {
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

/* e^x for x <= 0, 0 below -87. */
GLIA_INLINE vf exp_below(vf x) {
    vi n;
    const vi tiny = x < -87.0f;
    const vf r = exp_reduce(vf_select(tiny, vf_set(-87.0f), x), &n);
    const vf p = exp_tail(r) * (r * r) + r + 1.0f;
    return vf_select(tiny, vf_set(0.0f), p * exp2_whole(n));
}

GLIA_INLINE vi load_flags(const uint8_t *p, int64_t n) {
    uint8_t bytes[VLEN] = { 0 };
    memcpy(bytes, p, (size_t)n);
    return vi_load_bytes(bytes);
}

/* Which row of the scores is meant, beginning at key `first`. */
typedef struct place {
    int64_t head, query, first;
} place;

static int64_t broadcast_at(const int64_t stride[4], const work *w, place p) {
    return w->sample * stride[0] + p.head * stride[1] + p.query * stride[2];
}

/* Cap, bias, distance and mask for keys [from, to) of the row that begins at key p.first; slope: NULL, or for the cap's
 * derivative. */
static void bend(const work *w, place p, float *x, float *slope, int64_t from, int64_t to) {
    const glia_attention *a = w->a;
    const float *bias = a->bias ? a->bias + broadcast_at(a->bias_stride, w, p) : NULL;
    const uint8_t *mask = a->mask ? a->mask + broadcast_at(a->mask_stride, w, p) : NULL;
    const float fall = a->slopes ? a->slopes[p.head] : 0;
    const int64_t at = position_of(a, w->sample, p.query);
    vf lane;
    for (int k = 0; k < VLEN; k++) lane[k] = (float)k;
    for (int64_t i = from; i < to; i += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, to - i), key = p.first + i;
        vf v = vf_load_some(x + i, n);
        if (a->softcap > 0) {
            const vf t = vf_tanh(v * (1 / a->softcap));
            v = t * a->softcap;
            if (slope) vf_store_some(slope + i, 1.0f - t * t, n);
        }
        if (bias) v += a->bias_stride[3] ? vf_load_some(bias + key, n) : vf_set(bias[0]);
        if (a->slopes) v -= vf_abs(lane + (float)(key - at)) * fall;
        if (mask) {
            const vi seen = a->mask_stride[3] ? load_flags(mask + key, n) : (vi){ 0 } + mask[0];
            v = vf_select(seen != 0, v, vf_set(-GLIA_INF));
        }
        vf_store_some(x + i, v, n);
    }
}

static bool bends(const glia_attention *a) { return a->softcap > 0 || a->bias || a->slopes || a->mask; }

/* Finishes the scores of a row whose key p.first is x[0], width x's, whole vectors of them: -inf where `seen` ends. Returns
 * the largest. */
static float finish_scores(const work *w, place p, float *x, float *slope, int64_t width, range seen) {
    const int64_t from = GLIA_MAX(0, GLIA_MIN(width, seen.from - p.first));
    const int64_t to = GLIA_MAX(from, GLIA_MIN(width, seen.to - p.first));
    for (int64_t i = 0; i < from; i++) x[i] = -GLIA_INF;
    if (bends(w->a)) bend(w, p, x, slope, from, to);
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

/* x becomes e^(x - most), returns the sum; -inf as the largest: all 0. */
static float exponentials(float *x, int64_t width, float most) {
    vf sum = vf_set(0), other = sum;
    if (most == -GLIA_INF) {
        for (int64_t i = 0; i < width; i += VLEN) vf_store(x + i, sum);
        return 0;
    }
    int64_t i = 0;
    for (; i + 2 * VLEN <= width; i += 2 * VLEN) {
        const vf e = exp_below(vf_load(x + i) - most), f = exp_below(vf_load(x + i + VLEN) - most);
        vf_store(x + i, e);
        vf_store(x + i + VLEN, f);
        sum += e;
        other += f;
    }
    if (i < width) {
        const vf e = exp_below(vf_load(x + i) - most);
        vf_store(x + i, e);
        sum += e;
    }
    return vf_sum(sum + other);
}

/* Dropout's factors of a row's elements from key p.first on: where the definition draws them. */
static const float *factors(const work *w, place p, int64_t width) {
    const glia_attention *a = w->a;
    const uint64_t row =
        ((uint64_t)w->sample * (uint64_t)a->heads + (uint64_t)p.head) * (uint64_t)a->queries + (uint64_t)p.query;
    const uint64_t at = row * (uint64_t)a->keys + (uint64_t)p.first;
    const vf scale = vf_set(1 / (1 - a->rate)), none = vf_set(0), rate = vf_set(a->rate);
    for (int64_t i = 0; i < width + 4; i += 4 * PHILOX_LANES) {
        float *z = w->z + i;
        philox_floats(a->rng, a->stream, at / 4 + (uint64_t)i / 4, z);
        for (int64_t k = 0; k < 4 * PHILOX_LANES; k += VLEN) {
            vf_store(z + k, vf_select(vf_load(z + k) >= rate, scale, none));
        }
    }
    return w->z + at % 4;
}

static void multiply_row(float *x, const float *by, int64_t width) {
    for (int64_t i = 0; i < width; i += VLEN) vf_store(x + i, vf_load(x + i) * vf_load(by + i));
}

static void scale_row(float *x, float by, int64_t width) {
    for (int64_t i = 0; i < width; i += VLEN) vf_store(x + i, vf_load(x + i) * by);
}

/* ---- products of tiles ------------------------------------------------------------------------ */

/* c (rows, cols) = or += P Q, cols whole vectors; t has all but c and add's place. rows <= MR. */
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

/* x (rows, D) times packed panels [from, to), keys that are multiples of NR, into the tile c, whose first key is `first`. */
static void times_panels(const work *w, const float *x, int64_t rows, const float *panels, int64_t from, int64_t to,
                         int64_t first, float *c) {
    glia_micro_args t = { .k = w->a->size, .p = x, .p_row = w->padded, .p_chunk = K_CHUNK, .q_step = NR };
    for (int64_t key = from; key < to; key += NR) {
        t.q = panels + key * w->a->size;
        tile_product(TILE_LINES, rows, NR, t, c + key - first, ROW);
    }
}

/* y (rows, D) = or += the tile's weights for keys [from, to) times rows of keys or values. */
static void times_rows(const work *w, const float *weights, int64_t rows, const float *x, int64_t from, int64_t to,
                       bool add, float *y) {
    glia_micro_args t = { .k = to - from,
                          .p = weights,
                          .p_row = ROW,
                          .p_chunk = K_CHUNK,
                          .q = x + from * w->padded,
                          .q_step = w->padded,
                          .add = add };
    tile_product(TILE_LINES, rows, w->padded, t, y, w->padded);
}

/* ---- packing ---------------------------------------------------------------------------------- */

static float *row_at(const glia_attention *a, glia_attention_rows x, int64_t sample, int64_t head, int64_t i) {
    return x.at + sample * x.sample + i * x.row + head * a->size;
}

/* Rows [from, to) of one head, scaled, `padded` apart with zeros behind. */
static void copy_in(const work *w, glia_attention_rows x, int64_t head, int64_t from, int64_t to, float scale,
                    float *rows) {
    const int64_t size = w->a->size, whole = size / VLEN * VLEN;
    for (int64_t i = from; i < to; i++, rows += w->padded) {
        const float *at = row_at(w->a, x, w->sample, head, i);
        for (int64_t k = 0; k < whole; k += VLEN) vf_store(rows + k, vf_load(at + k) * scale);
        if (whole < size) vf_store(rows + whole, vf_load_some(at + whole, size - whole) * scale);
    }
}

/* One row of one head, scaled, to its place in a result. */
static void put_row(const work *w, glia_attention_rows x, int64_t head, int64_t i, float scale, const float *row) {
    const int64_t size = w->a->size, whole = size / VLEN * VLEN;
    float *at = row_at(w->a, x, w->sample, head, i);
    for (int64_t k = 0; k < whole; k += VLEN) vf_store(at + k, vf_load(row + k) * scale);
    if (whole < size) vf_store_some(at + whole, vf_load(row + whole) * scale, size - whole);
}

static void pack_panels(const work *w, glia_attention_rows x, float *panels) {
    const int64_t size = w->a->size, keys = w->a->keys;
    for (int64_t key = 0; key < keys; key += NR) {
        pack_q(panels + key * size, row_at(w->a, x, w->sample, w->group, key), 1, x.row, size,
               GLIA_MIN(NR, keys - key));
    }
}

/* ---- forward ----------------------------------------------------------------------------------- */

/* The part of a tile [first, first + TILE_KEYS) that rows which see `seen` need, in whole panels. */
static range part_of(range seen, int64_t first) {
    range p = { GLIA_MAX(first, seen.from / NR * NR), GLIA_MIN(first + TILE_KEYS, round_up(seen.to, NR)) };
    if (p.to < p.from || seen.from == seen.to) p.to = p.from;
    return p;
}

/* What queries [from, to) of a block see together. */
static range seen_by(const glia_attention *a, int64_t sample, int64_t from, int64_t to) {
    return (range){ keys_of(a, sample, from).from, keys_of(a, sample, to - 1).to };
}

/* rows <= MR queries from `query` on, whose place in the block is `row`, and one tile. begun: others came before. */
static void forward_rows(work *w, int64_t head, int64_t query, int64_t row, int64_t rows, int64_t first, bool begun) {
    const glia_attention *a = w->a;
    const range part = part_of(seen_by(a, w->sample, query, query + rows), first);
    const int64_t width = part.to - part.from;
    float *y = w->y + row * w->padded, *scores = w->scores;
    if (width == 0 && begun) return;
    times_panels(w, w->q + row * w->padded, rows, w->keys_t, part.from, part.to, part.from, scores);
    for (int64_t r = 0; r < rows; r++) {
        float *x = scores + r * ROW, *most = &w->most[row + r], *sum = &w->sum[row + r];
        const place p = { head, query + r, part.from };
        const float before = *most, here = finish_scores(w, p, x, NULL, width, keys_of(a, w->sample, query + r));
        *most = before > here ? before : here;
        const float added = exponentials(x, width, *most);
        const float shrink = before == *most || *most == -GLIA_INF ? 1 : __builtin_expf(before - *most);
        *sum = *sum * shrink + added;
        if (begun && shrink != 1) scale_row(y + r * w->padded, shrink, w->padded);
        if (a->rate > 0) multiply_row(x, factors(w, p, width), width);
    }
    times_rows(w, scores, rows, w->values, part.from, GLIA_MIN(part.to, a->keys), begun, y);
}

static void forward_block(work *w, int64_t head, int64_t from, int64_t to) {
    const glia_attention *a = w->a;
    const range seen = seen_by(a, w->sample, from, to);
    copy_in(w, a->q, head, from, to, a->scale, w->q);
    for (int64_t i = 0; i < to - from; i++) w->most[i] = -GLIA_INF, w->sum[i] = 0;
    int64_t first = seen.from / TILE_KEYS * TILE_KEYS;
    for (bool begun = false; first < seen.to || !begun; first += TILE_KEYS, begun = true) {
        for (int64_t query = from; query < to; query += MR) {
            forward_rows(w, head, query, query - from, GLIA_MIN(MR, to - query), first, begun);
        }
    }
    for (int64_t i = from; i < to; i++) {
        const float sum = w->sum[i - from];
        put_row(w, a->y, head, i, sum == 0 ? 0 : 1 / sum, w->y + (i - from) * w->padded);
    }
}

/* ---- a few queries ------------------------------------------------------------------------------ */

/* The dot products of q with VLEN keys from `key` on, of which `n` count. */
static vf dots(const work *w, const float *q, const float *k, int64_t step, int64_t n) {
    const int64_t size = w->a->size, whole = size / VLEN * VLEN;
    float sums[VLEN * VLEN], turned[VLEN * VLEN];
    for (int64_t i = 0; i < VLEN; i++, k += i < n ? step : 0) {
        vf sum = vf_set(0);
        for (int64_t at = 0; at < whole; at += VLEN) sum += vf_load(q + at) * vf_load(k + at);
        if (whole < size) sum += vf_load(q + whole) * vf_load_some(k + whole, size - whole);
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
                    sum[k] += vf_load_some(from + k * VLEN, GLIA_MIN(VLEN, left - k * VLEN)) * weights[i];
                }
            }
        }
        for (int k = 0; k * VLEN < left; k++) {
            vf_store_some(y + at + k * VLEN, sum[k] * scale, GLIA_MIN(VLEN, left - k * VLEN));
        }
    }
}

/* One query by dot products with the keys where they lie; the scratch's scores hold all of them. */
static void one_query(work *w, int64_t head, int64_t query) {
    const glia_attention *a = w->a;
    const range seen = keys_of(a, w->sample, query);
    const int64_t n = seen.to - seen.from, width = round_up(n, VLEN);
    const float *k = row_at(a, a->k, w->sample, w->group, seen.from),
                *v = row_at(a, a->v, w->sample, w->group, seen.from);
    const place p = { head, query, seen.from };
    copy_in(w, a->q, head, query, query + 1, a->scale, w->q);
    for (int64_t i = 0; i < n; i += VLEN) {
        vf_store(w->scores + i, dots(w, w->q, k + i * a->k.row, a->k.row, GLIA_MIN(VLEN, n - i)));
    }
    const float most = finish_scores(w, p, w->scores, NULL, width, seen);
    const float sum = exponentials(w->scores, width, most);
    if (a->rate > 0) multiply_row(w->scores, factors(w, p, width), width);
    weigh(w->scores, n, v, a->v.row, a->size, sum == 0 ? 0 : 1 / sum, row_at(a, a->y, w->sample, head, query));
}

/* ---- the forward kernel -------------------------------------------------------------------------- */

static bool is_few(const glia_attention *a) { return a->queries <= FEW; }

/* The next `floats` of a worker's scratch. */
static float *take(char **at, int64_t floats) {
    float *taken = (float *)(void *)*at;
    *at += (size_t)round_up(floats * (int64_t)sizeof(float), GLIA_ALIGN);
    return taken;
}

/* Places the parts of the work in a worker's scratch; returns its bytes. */
static size_t lay_out(work *w, char *scratch) {
    const glia_attention *a = w->a;
    const bool few = is_few(a);
    const int64_t keys = round_up(a->keys, NR), row = few ? keys : ROW;
    char *at = scratch;
    w->padded = round_up(a->size, VLEN);
    w->keys_t = few ? NULL : take(&at, keys * a->size);
    w->values = few ? NULL : take(&at, keys * w->padded);
    w->q = take(&at, (few ? 1 : BLOCK) * w->padded);
    w->y = few ? NULL : take(&at, BLOCK * w->padded);
    w->scores = take(&at, (few ? 1 : MR) * row);
    w->z = a->rate > 0 ? take(&at, row + Z_SPARE) : NULL;
    return (size_t)(at - scratch);
}

static void forward_piece(void *context, int64_t piece, int worker) {
    const job *j = context;
    const glia_attention *a = j->a;
    const int64_t cut = piece % j->cuts, shared = a->heads / a->groups;
    work w = { .a = a, .group = piece / j->cuts % a->groups, .sample = piece / j->cuts / a->groups };
    lay_out(&w, j->scratch + (size_t)worker * j->worker_bytes);
    const int64_t blocks = (a->queries + BLOCK - 1) / BLOCK;
    const int64_t begin = blocks * cut / j->cuts * BLOCK,
                  end = GLIA_MIN(a->queries, blocks * (cut + 1) / j->cuts * BLOCK);
    if (!is_few(a)) {
        pack_panels(&w, a->k, w.keys_t);
        copy_in(&w, a->v, w.group, 0, a->keys, 1, w.values);
    }
    for (int64_t head = w.group * shared; head < (w.group + 1) * shared; head++) {
        for (int64_t from = begin; from < end && !is_few(a); from += BLOCK) {
            forward_block(&w, head, from, GLIA_MIN(end, from + BLOCK));
        }
        for (int64_t query = begin; query < end && is_few(a); query++) one_query(&w, head, query);
    }
}

/* Pieces of the queries of a sample's group, where the groups are too few to share. */
static int64_t cuts_of(const glia_attention *a) {
    const int64_t groups = a->samples * a->groups, blocks = (a->queries + BLOCK - 1) / BLOCK;
    if (groups >= WANTED_PIECES) return 1;
    return GLIA_MIN(GLIA_MAX(1, blocks / 4), (WANTED_PIECES + groups - 1) / groups);
}

size_t GLIA_KERNEL(attention_f32_scratch)(const glia_attention *attention, int workers) {
    work w = { .a = attention };
    return lay_out(&w, NULL) * (size_t)workers;
}

void GLIA_KERNEL(attention_f32)(glia_pool *pool, const glia_attention *attention, void *scratch) {
    work w = { .a = attention };
    job j = { .a = attention, .cuts = cuts_of(attention), .scratch = scratch, .worker_bytes = lay_out(&w, NULL) };
    glia_parallel_for(pool, attention->samples * attention->groups * j.cuts, forward_piece, &j);
}

/* ---- the gradient --------------------------------------------------------------------------------- */

/* The largest score and the sum of each row of a block, over all tiles. */
static void find_sums(work *w, int64_t head, int64_t from, int64_t to, range seen) {
    const glia_attention *a = w->a;
    for (int64_t first = seen.from / TILE_KEYS * TILE_KEYS; first < seen.to; first += TILE_KEYS) {
        for (int64_t query = from; query < to; query += MR) {
            const int64_t rows = GLIA_MIN(MR, to - query);
            const range part = part_of(seen_by(a, w->sample, query, query + rows), first);
            times_panels(w, w->q + (query - from) * w->padded, rows, w->keys_t, part.from, part.to, part.from,
                         w->scores);
            for (int64_t r = 0; r < rows; r++) {
                float *x = w->scores + r * ROW, *most = &w->most[query - from + r], *sum = &w->sum[query - from + r];
                const place p = { head, query + r, part.from };
                const int64_t width = part.to - part.from;
                const float before = *most,
                            here = finish_scores(w, p, x, NULL, width, keys_of(a, w->sample, query + r));
                *most = before > here ? before : here;
                const float added = exponentials(x, width, *most);
                *sum = *sum * (before == *most || *most == -GLIA_INF ? 1 : __builtin_expf(before - *most)) + added;
            }
        }
    }
}

/* A row of scores becomes the weights that dv takes, one of dp the gradient of the scores. alone: the row has no other tile,
 * its maximum and sum are found here. */
static void grad_row(work *w, place p, int64_t row, float *x, float *dp, int64_t width, bool alone) {
    const glia_attention *a = w->a;
    const bool capped = a->softcap > 0;
    for (int64_t i = 0; capped && i < width; i += VLEN) vf_store(w->slope + i, vf_set(0));
    const float here = finish_scores(w, p, x, w->slope, width, keys_of(a, w->sample, p.query));
    const float most = alone ? here : w->most[row], added = exponentials(x, width, most);
    const float sum = alone ? added : w->sum[row];
    const vf share = vf_set(sum == 0 ? 0 : 1 / sum), delta = vf_set(w->delta[row]);
    if (a->rate == 0 && !capped) {
        for (int64_t i = 0; i < width; i += VLEN) {
            const vf weight = vf_load(x + i) * share;
            vf_store(x + i, weight);
            vf_store(dp + i, weight * (vf_load(dp + i) - delta));
        }
        return;
    }
    const float *z = a->rate > 0 ? factors(w, p, width) : NULL;
    for (int64_t i = 0; i < width; i += VLEN) {
        const vf weight = vf_load(x + i) * share, factor = z ? vf_load(z + i) : vf_set(1);
        const vf ds = weight * (vf_load(dp + i) * factor - delta);
        vf_store(x + i, weight * factor);
        vf_store(dp + i, capped ? ds * vf_load(w->slope + i) : ds);
    }
}

static void clear(float *x, int64_t n) { memset(x, 0, (size_t)n * sizeof *x); }

/* A tile of a block, whose keys are `whole`: the weights and the scores' gradient of rows <= MR queries, and their dq. */
static void grad_rows(work *w, int64_t head, int64_t query, int64_t row, int64_t rows, range whole, int64_t first,
                      bool alone, bool begun) {
    const glia_attention *a = w->a;
    const range part = part_of(seen_by(a, w->sample, query, query + rows), first);
    const int64_t width = part.to - part.from, left = GLIA_MIN(part.from, whole.to) - whole.from;
    float *scores = w->scores + row * ROW, *dp = w->dp + row * ROW, *dq = w->y + row * w->padded;
    if (width == 0) {
        for (int64_t r = 0; r < rows; r++) {
            clear(scores + r * ROW, whole.to - whole.from);
            clear(dp + r * ROW, whole.to - whole.from);
        }
        if (!begun) clear(dq, rows * w->padded);
        return;
    }
    times_panels(w, w->q + row * w->padded, rows, w->keys_t, part.from, part.to, whole.from, scores);
    times_panels(w, w->dy + row * w->padded, rows, w->values_t, part.from, part.to, whole.from, dp);
    for (int64_t r = 0; r < rows; r++) {
        float *x = scores + r * ROW, *d = dp + r * ROW;
        clear(x, left);
        clear(d, left);
        grad_row(w, (place){ head, query + r, part.from }, row + r, x + left, d + left, width, alone);
        clear(x + left + width, whole.to - part.to);
        clear(d + left + width, whole.to - part.to);
    }
    times_rows(w, dp + left, rows, w->keys, part.from, GLIA_MIN(part.to, a->keys), begun, dq);
}

/* dk and dv of a tile's keys += what queries [from, to) leave. */
static void grad_keys(work *w, int64_t from, int64_t to, range whole) {
    const glia_attention *a = w->a;
    int64_t begin = from, end = from;
    for (int64_t key = whole.from; key < GLIA_MIN(whole.to, a->keys); key += MR) {
        const int64_t rows = GLIA_MIN(MR, GLIA_MIN(whole.to, a->keys) - key);
        while (begin < to && keys_of(a, w->sample, begin).to <= key) begin++;
        while (end < to && keys_of(a, w->sample, end).from < key + rows) end++;
        if (begin >= end) continue;
        const int64_t skipped = begin - from, at = skipped * ROW + key - whole.from;
        glia_micro_args t = { .k = end - begin, .p_step = ROW, .q_step = w->padded, .add = true };
        t.p = w->dp + at;
        t.q = w->q + skipped * w->padded;
        tile_product(TILE_COLS, rows, w->padded, t, w->dk + key * w->padded, w->padded);
        t.p = w->scores + at;
        t.q = w->dy + skipped * w->padded;
        tile_product(TILE_COLS, rows, w->padded, t, w->dv + key * w->padded, w->padded);
    }
}

/* delta: y dy of each query. */
static void find_deltas(work *w, int64_t head, int64_t from, int64_t to) {
    const int64_t size = w->a->size;
    for (int64_t i = from; i < to; i++) {
        const float *y = row_at(w->a, w->a->y, w->sample, head, i), *dy = w->dy + (i - from) * w->padded;
        vf sum = vf_set(0);
        for (int64_t k = 0; k < size; k += VLEN) sum += vf_load_some(y + k, GLIA_MIN(VLEN, size - k)) * vf_load(dy + k);
        w->delta[i - from] = vf_sum(sum);
    }
}

static void grad_block(work *w, int64_t head, int64_t from, int64_t to) {
    const glia_attention *a = w->a;
    const range seen = seen_by(a, w->sample, from, to);
    copy_in(w, a->q, head, from, to, a->scale, w->q);
    copy_in(w, a->dy, head, from, to, 1, w->dy);
    find_deltas(w, head, from, to);
    for (int64_t i = 0; i < to - from; i++) w->most[i] = -GLIA_INF, w->sum[i] = 0;
    int64_t first = seen.from / TILE_KEYS * TILE_KEYS;
    const bool alone = first + TILE_KEYS >= seen.to;
    if (!alone) find_sums(w, head, from, to, seen);
    for (bool begun = false; first < seen.to || !begun; first += TILE_KEYS, begun = true) {
        const range whole = part_of(seen, first);
        for (int64_t query = from; query < to; query += MR) {
            grad_rows(w, head, query, query - from, GLIA_MIN(MR, to - query), whole, first, alone, begun);
        }
        grad_keys(w, from, to, whole);
    }
    for (int64_t i = from; i < to; i++) put_row(w, a->dq, head, i, a->scale, w->y + (i - from) * w->padded);
}

static size_t lay_out_grad(work *w, char *scratch) {
    const glia_attention *a = w->a;
    const int64_t keys = round_up(a->keys, NR);
    char *at = scratch;
    w->padded = round_up(a->size, VLEN);
    float **panels[] = { &w->keys_t, &w->values_t }, **rows[] = { &w->keys, &w->dk, &w->dv };
    float **blocks[] = { &w->q, &w->dy, &w->y }, **tiles[] = { &w->scores, &w->dp };
    for (int i = 0; i < GLIA_COUNT(panels); i++) *panels[i] = take(&at, keys * a->size);
    for (int i = 0; i < GLIA_COUNT(rows); i++) *rows[i] = take(&at, keys * w->padded);
    for (int i = 0; i < GLIA_COUNT(blocks); i++) *blocks[i] = take(&at, BLOCK * w->padded);
    for (int i = 0; i < GLIA_COUNT(tiles); i++) *tiles[i] = take(&at, BLOCK * ROW);
    w->slope = a->softcap > 0 ? take(&at, ROW) : NULL;
    w->z = a->rate > 0 ? take(&at, ROW + Z_SPARE) : NULL;
    return (size_t)(at - scratch);
}

static void grad_piece(void *context, int64_t piece, int worker) {
    const job *j = context;
    const glia_attention *a = j->a;
    const int64_t shared = a->heads / a->groups;
    work w = { .a = a, .group = piece % a->groups, .sample = piece / a->groups };
    lay_out_grad(&w, j->scratch + (size_t)worker * j->worker_bytes);
    pack_panels(&w, a->k, w.keys_t);
    pack_panels(&w, a->v, w.values_t);
    copy_in(&w, a->k, w.group, 0, a->keys, 1, w.keys);
    clear(w.dk, a->keys * w.padded);
    clear(w.dv, a->keys * w.padded);
    for (int64_t head = w.group * shared; head < (w.group + 1) * shared; head++) {
        for (int64_t from = 0; from < a->queries; from += BLOCK) {
            grad_block(&w, head, from, GLIA_MIN(a->queries, from + BLOCK));
        }
    }
    for (int64_t key = 0; key < a->keys; key++) {
        put_row(&w, a->dk, w.group, key, 1, w.dk + key * w.padded);
        put_row(&w, a->dv, w.group, key, 1, w.dv + key * w.padded);
    }
}

size_t GLIA_KERNEL(attention_grad_f32_scratch)(const glia_attention *attention, int workers) {
    work w = { .a = attention };
    return lay_out_grad(&w, NULL) * (size_t)workers;
}

void GLIA_KERNEL(attention_grad_f32)(glia_pool *pool, const glia_attention *attention, void *scratch) {
    work w = { .a = attention };
    job j = { .a = attention, .scratch = scratch, .worker_bytes = lay_out_grad(&w, NULL) };
    glia_parallel_for(pool, attention->samples * attention->groups, grad_piece, &j);
}
