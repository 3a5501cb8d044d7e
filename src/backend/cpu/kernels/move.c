/* move.c - the kernels of move.h: memory traffic and nothing else.
 *
 * Every kernel splits its work by shape into pieces of about GRAIN bytes. A copy whose innermost elements are
 * contiguous on both sides is a series of memcpy. If they are contiguous on one side along another dimension (a
 * transposition), square blocks are transposed in registers, so that both sides use whole cache lines.
 */
#include "backend/cpu/kernels/philox.h"
#include "backend/cpu/kernels/rows.h"

enum { GRAIN = 64 << 10, BLOCK = 16, MOST_PIECES = 64, SHORT = 8 };

static int64_t pieces_for(int64_t bytes, int64_t units) {
    int64_t pieces = bytes / GRAIN;
    pieces = pieces < 1 ? 1 : pieces > MOST_PIECES ? MOST_PIECES : pieces;
    return pieces > units ? units : pieces;
}

/* Units [*from, *to) of piece p. */
static void share(int64_t units, int64_t pieces, int64_t p, int64_t *from, int64_t *to) {
    *from = units * p / pieces;
    *to = units * (p + 1) / pieces;
}

static void run_pieces(glia_pool *pool, int64_t pieces, glia_piece_fn fn, void *context) {
    glia_parallel_for(pieces > 1 ? pool : NULL, pieces, fn, context);
}

/* ---- copies ------------------------------------------------------------------------------------ */

typedef struct copy_job {
    glia_copy c;
    int turned;    /* the dimension contiguous in `from`, if it is not the last; -1: none is */
    bool threes;   /* so it is, and the last one, of three floats, is contiguous in `to` right below it */
    int64_t outer; /* product of the dimensions before the last, without `turned` */
    int64_t pieces;
} copy_job;

#define COPY_LINE(type)                                                                                                \
    static void copy_line_##type(type *to, const type *from, int64_t n, int64_t to_step, int64_t from_step) {          \
        if (to_step == 1 && from_step == 0) {                                                                          \
            const type x = *from;                                                                                      \
            for (int64_t i = 0; i < n; i++) to[i] = x;                                                                 \
        } else {                                                                                                       \
            for (int64_t i = 0; i < n; i++) to[i * to_step] = from[i * from_step];                                     \
        }                                                                                                              \
    }                                                                                                                  \
    /* to[j * to_step + i] = from[i * from_step + j], i < n, j < m */                                                  \
    static void turn_##type(type *to, const type *from, int64_t n, int64_t m, int64_t to_step, int64_t from_step) {    \
        for (int64_t i0 = 0; i0 < n; i0 += BLOCK) {                                                                    \
            const int64_t i1 = GLIA_MIN(n, i0 + BLOCK);                                                                \
            for (int64_t j = 0; j < m; j++) {                                                                          \
                for (int64_t i = i0; i < i1; i++) to[j * to_step + i] = from[i * from_step + j];                       \
            }                                                                                                          \
        }                                                                                                              \
    }
COPY_LINE(uint8_t)
COPY_LINE(uint16_t)
COPY_LINE(uint32_t)
COPY_LINE(uint64_t)

/* VLEN x VLEN: each round combines lines i and i + VLEN/2; after log2(VLEN) rounds the square is transposed. */
GLIA_INLINE void turn_square(float *to, const float *from, int64_t to_step, int64_t from_step) {
    vf a[VLEN], b[VLEN];
    GLIA_UNROLL
    for (int i = 0; i < VLEN; i++) a[i] = vf_load(from + i * from_step);
    GLIA_UNROLL
    for (int round = 1; round < VLEN; round *= 2) {
        GLIA_UNROLL
        for (int i = 0; i < VLEN / 2; i++) {
            b[2 * i] = vf_low(a[i], a[i + VLEN / 2]);
            b[2 * i + 1] = vf_high(a[i], a[i + VLEN / 2]);
        }
        memcpy(a, b, sizeof a);
    }
    GLIA_UNROLL
    for (int i = 0; i < VLEN; i++) vf_store(to + i * to_step, a[i]);
}

/* turn_uint32_t by squares of vectors, in blocks of whole cache lines; the lines of the next block are prefetched. */
static void turn_vectors(float *to, const float *from, int64_t n, int64_t m, int64_t to_step, int64_t from_step) {
    const int64_t n_whole = n / BLOCK * BLOCK, m_whole = m / BLOCK * BLOCK;
    for (int64_t j = 0; j < m_whole; j += BLOCK) {
        for (int64_t i = 0; i < n_whole; i += BLOCK) {
            for (int k = 0; k < BLOCK; k++) __builtin_prefetch(from + (i + BLOCK + k) * from_step + j);
            for (int di = 0; di < BLOCK; di += VLEN) {
                for (int dj = 0; dj < BLOCK; dj += VLEN) {
                    turn_square(to + (j + dj) * to_step + i + di, from + (i + di) * from_step + j + dj, to_step,
                                from_step);
                }
            }
        }
    }
    if (m_whole < m) {
        turn_uint32_t((uint32_t *)to + m_whole * to_step, (const uint32_t *)from + m_whole, n, m - m_whole, to_step,
                      from_step);
    }
    if (n_whole < n) {
        turn_uint32_t((uint32_t *)to + n_whole, (const uint32_t *)from + n_whole * from_step, n - n_whole, m_whole,
                      to_step, from_step);
    }
}

/* Element p of x0 y0 z0 x1 y1 z1 ...: of x or y where it is one of these, of z or else lane l. */
#define OF_XY(p)      ((p) % 3 == 2 ? 0 : (p) / 3 + (p) % 3 * VLEN)
#define OF_Z(p, l)    ((p) % 3 == 2 ? VLEN + (p) / 3 : (l))
#define LANES_4(f, l) f(l), f((l) + 1), f((l) + 2), f((l) + 3)
#if VLEN == 16
#define LANES(f) LANES_4(f, 0), LANES_4(f, 4), LANES_4(f, 8), LANES_4(f, 12)
#elif VLEN == 8
#define LANES(f) LANES_4(f, 0), LANES_4(f, 4)
#else
#define LANES(f) LANES_4(f, 0)
#endif
#define XY_0(l) OF_XY(l)
#define XY_1(l) OF_XY((l) + VLEN)
#define XY_2(l) OF_XY((l) + 2 * VLEN)
#define Z_0(l)  OF_Z(l, l)
#define Z_1(l)  OF_Z((l) + VLEN, l)
#define Z_2(l)  OF_Z((l) + 2 * VLEN, l)

/* to[3 i + k] = from[i + k step], i < n, k < 3: the colours of a picture's pixels side by side. */
static void interleave_3(float *to, const float *from, int64_t n, int64_t step) {
    int64_t i = 0;
    for (; i + VLEN <= n; i += VLEN, to += 3 * VLEN) {
        const vf x = vf_load(from + i), y = vf_load(from + i + step), z = vf_load(from + i + 2 * step);
        vf_store(to, __builtin_shufflevector(__builtin_shufflevector(x, y, LANES(XY_0)), z, LANES(Z_0)));
        vf_store(to + VLEN, __builtin_shufflevector(__builtin_shufflevector(x, y, LANES(XY_1)), z, LANES(Z_1)));
        vf_store(to + 2 * VLEN, __builtin_shufflevector(__builtin_shufflevector(x, y, LANES(XY_2)), z, LANES(Z_2)));
    }
    for (; i < n; i++, to += 3) to[0] = from[i], to[1] = from[i + step], to[2] = from[i + 2 * step];
}

static void copy_line(const copy_job *j, char *to, const char *from) {
    const glia_copy *c = &j->c;
    const int last = c->rank - 1;
    const int64_t n = c->dim[last], ts = c->to_stride[last], fs = c->from_stride[last];
    if (ts == 1 && fs == 1)
        memcpy(to, from, (size_t)(n * c->size));
    else if (c->size == 1)
        copy_line_uint8_t((uint8_t *)to, (const uint8_t *)from, n, ts, fs);
    else if (c->size == 2)
        copy_line_uint16_t((uint16_t *)(void *)to, (const uint16_t *)(const void *)from, n, ts, fs);
    else if (c->size == 4)
        copy_line_uint32_t((uint32_t *)(void *)to, (const uint32_t *)(const void *)from, n, ts, fs);
    else
        copy_line_uint64_t((uint64_t *)(void *)to, (const uint64_t *)(const void *)from, n, ts, fs);
}

static void turn(const copy_job *j, char *to, const char *from) {
    const glia_copy *c = &j->c;
    const int last = c->rank - 1, t = j->turned;
    if (j->threes) {
        interleave_3((float *)(void *)to, (const float *)(const void *)from, c->dim[t], c->from_stride[last]);
        return;
    }
    const int64_t n = c->dim[last], m = c->dim[t], ts = c->to_stride[t], fs = c->from_stride[last];
    if (c->size == 1)
        turn_uint8_t((uint8_t *)to, (const uint8_t *)from, n, m, ts, fs);
    else if (c->size == 2)
        turn_uint16_t((uint16_t *)(void *)to, (const uint16_t *)(const void *)from, n, m, ts, fs);
    else if (c->size == 4)
        turn_vectors((float *)(void *)to, (const float *)(const void *)from, n, m, ts, fs);
    else
        turn_uint64_t((uint64_t *)(void *)to, (const uint64_t *)(const void *)from, n, m, ts, fs);
}

static void copy_piece(void *context, int64_t piece, int worker) {
    const copy_job *j = context;
    const glia_copy *c = &j->c;
    int64_t unit, end, index[GLIA_MAX_RANK] = { 0 }, from = 0, to = 0;
    (void)worker;
    share(j->outer, j->pieces, piece, &unit, &end);
    for (int64_t k = c->rank - 2, rest = unit; k >= 0; k--) {
        if (k == j->turned) continue;
        index[k] = rest % c->dim[k];
        rest /= c->dim[k];
        from += index[k] * c->from_stride[k];
        to += index[k] * c->to_stride[k];
    }
    for (; unit < end; unit++) {
        if (j->turned >= 0)
            turn(j, c->to + to * c->size, c->from + from * c->size);
        else
            copy_line(j, c->to + to * c->size, c->from + from * c->size);
        for (int k = c->rank - 2; k >= 0; k--) {
            if (k == j->turned) continue;
            from += c->from_stride[k];
            to += c->to_stride[k];
            if (++index[k] < c->dim[k]) break;
            from -= c->from_stride[k] * c->dim[k];
            to -= c->to_stride[k] * c->dim[k];
            index[k] = 0;
        }
    }
}

/* Splits a long dimension in two, so that pieces can share it. */
static void split_dimension(glia_copy *c, int k, int64_t inner) {
    for (int i = c->rank; i > k; i--) {
        c->dim[i] = c->dim[i - 1];
        c->from_stride[i] = c->from_stride[i - 1];
        c->to_stride[i] = c->to_stride[i - 1];
    }
    c->rank++;
    c->dim[k] = c->dim[k] / inner;
    c->dim[k + 1] = inner;
    c->from_stride[k] *= inner;
    c->to_stride[k] *= inner;
}

/* A divisor of n between low and 4 low; 0 if there is none. */
static int64_t divisor_near(int64_t n, int64_t low) {
    for (int64_t d = low; d <= 4 * low && d < n; d++) {
        if (n % d == 0) return d;
    }
    return 0;
}

/* Swaps a short last dimension (the colours of a picture) with a long one before it, for longer lines. */
static void lengthen_lines(glia_copy *c) {
    const int last = c->rank - 1, before = last - 1;
    if (last < 1 || c->dim[last] >= SHORT || c->dim[before] < 4 * SHORT) return;
    if (c->to_stride[last] == 1 && c->from_stride[last] == 1) return;
    const int64_t dim = c->dim[last], from = c->from_stride[last], to = c->to_stride[last];
    c->dim[last] = c->dim[before], c->from_stride[last] = c->from_stride[before],
    c->to_stride[last] = c->to_stride[before];
    c->dim[before] = dim, c->from_stride[before] = from, c->to_stride[before] = to;
}

static bool is_threes(const glia_copy *c) {
    const int last = c->rank - 1;
    return last > 0 && c->size == 4 && c->dim[last] == 3 && c->to_stride[last] == 1 && c->to_stride[last - 1] == 3 &&
           c->from_stride[last - 1] == 1;
}

void GLIA_KERNEL(copy)(glia_pool *pool, const glia_copy *copy) {
    copy_job j = { .c = *copy, .turned = -1, .outer = 1 };
    glia_copy *c = &j.c;
    int64_t total = 1;
    for (int k = 0; k < c->rank; k++) total *= c->dim[k];
    j.threes = is_threes(c);
    if (!j.threes) lengthen_lines(c);
    const int64_t part = divisor_near(c->dim[c->rank - 1], GRAIN / 4 / c->size);
    if (part && c->rank < GLIA_MAX_RANK) split_dimension(c, c->rank - 1, part);
    const int last = c->rank - 1;
    for (int k = 0; k < last && c->to_stride[last] == 1 && c->from_stride[last] != 1; k++) {
        if (c->from_stride[k] == 1 && c->dim[k] >= 4 && (c->dim[last] >= 4 || j.threes)) j.turned = k;
    }
    if (j.turned >= 0 && c->rank < GLIA_MAX_RANK) { /* strips of the turned dimension can be shared */
        const int64_t strip = divisor_near(c->dim[j.turned], j.threes ? 512 : BLOCK);
        if (strip) split_dimension(c, j.turned++, strip);
    }
    for (int k = 0; k < c->rank - 1; k++) j.outer *= k == j.turned ? 1 : c->dim[k];
    j.pieces = pieces_for(total * c->size, j.outer);
    run_pieces(pool, j.pieces, copy_piece, &j);
}

typedef struct fill_job {
    char *to;
    int64_t n, pieces;
    int size;
    uint64_t bits;
} fill_job;

static void fill_piece(void *context, int64_t piece, int worker) {
    const fill_job *j = context;
    int64_t from, to;
    (void)worker;
    share(j->n, j->pieces, piece, &from, &to);
    char *at = j->to + from * j->size;
    const int64_t n = to - from;
    if (j->bits == 0)
        memset(at, 0, (size_t)(n * j->size));
    else if (j->size == 1)
        memset(at, (int)j->bits, (size_t)n);
    else if (j->size == 2)
        copy_line_uint16_t((uint16_t *)(void *)at, &(uint16_t){ (uint16_t)j->bits }, n, 1, 0);
    else if (j->size == 4)
        copy_line_uint32_t((uint32_t *)(void *)at, &(uint32_t){ (uint32_t)j->bits }, n, 1, 0);
    else
        copy_line_uint64_t((uint64_t *)(void *)at, &j->bits, n, 1, 0);
}

void GLIA_KERNEL(fill)(glia_pool *pool, void *to, int64_t n, int size, uint64_t bits) {
    fill_job j = { .to = to, .n = n, .size = size, .bits = bits, .pieces = pieces_for(n * size, n) };
    run_pieces(pool, j.pieces, fill_piece, &j);
}

/* ---- rounding ------------------------------------------------------------------------------------------ */

typedef struct round_job {
    const float *x;
    float *y;
    int64_t n, pieces;
} round_job;

static void round_piece(void *context, int64_t piece, int worker) {
    const round_job *j = context;
    int64_t from, to;
    (void)worker;
    share(j->n, j->pieces, piece, &from, &to);
    for (int64_t i = from; i < to; i++) {
        uint32_t bits;
        memcpy(&bits, &j->x[i], sizeof bits);
        uint32_t rounded = bits + 0x7fff + ((bits >> 16) & 1), nan = bits | 0x400000;
        bits = ((bits & 0x7fffffff) > 0x7f800000 ? nan : rounded) & 0xffff0000;
        memcpy(&j->y[i], &bits, sizeof bits);
    }
}

void GLIA_KERNEL(round_bf16_f32)(glia_pool *pool, int64_t n, const float *x, float *y) {
    round_job j = { .x = x, .y = y, .n = n, .pieces = pieces_for(2 * n * (int64_t)sizeof *x, n) };
    run_pieces(pool, j.pieces, round_piece, &j);
}

/* ---- by index ---------------------------------------------------------------------------------- */

typedef struct pick_job {
    glia_pick p;
    int64_t pieces;
} pick_job;

/* The row of index number i; negative if it is out of range. */
static int64_t index_at(const glia_pick *p, int64_t i) {
    const int64_t k = p->wide ? ((const int64_t *)p->index)[i] : ((const int32_t *)p->index)[i];
    return k < 0 ? GLIA_MAX(k + p->size, -1) : k < p->size ? k : -1;
}

static void gather_piece(void *context, int64_t piece, int worker) {
    const pick_job *j = context;
    const glia_pick *p = &j->p;
    const int64_t row = p->inner * p->bytes;
    int64_t unit, end;
    (void)worker;
    share(p->outer * p->picks, j->pieces, piece, &unit, &end);
    for (; unit < end; unit++) {
        const int64_t a = unit / p->picks, k = index_at(p, unit % p->picks);
        const char *from = p->from + (a * p->size + k) * row;
        char *to = p->to + unit * row;
        if (k < 0)
            memset(to, 0, (size_t)row);
        else if (row == 4)
            memcpy(to, from, 4);
        else
            memcpy(to, from, (size_t)row);
    }
}

void GLIA_KERNEL(gather)(glia_pool *pool, const glia_pick *pick) {
    const int64_t rows = pick->outer * pick->picks;
    pick_job j = { .p = *pick, .pieces = pieces_for(rows * (pick->inner * pick->bytes + 16), rows) };
    run_pieces(pool, j.pieces, gather_piece, &j);
}

/* A piece owns rows of the result: it reads all indices and adds, in order, the rows that are its own. */
static void scatter_piece(void *context, int64_t piece, int worker) {
    const pick_job *j = context;
    const glia_pick *p = &j->p;
    const int64_t n = p->inner;
    int64_t unit, end;
    (void)worker;
    share(p->outer * p->size, j->pieces, piece, &unit, &end);
    float *to = (float *)(void *)p->to;
    const float *from = (const float *)(const void *)p->from;
    memset(to + unit * n, 0, (size_t)((end - unit) * n) * sizeof(float));
    for (int64_t a = unit / p->size; a * p->size < end; a++) {
        for (int64_t i = 0; i < p->picks; i++) {
            const int64_t k = index_at(p, i), row = a * p->size + k;
            if (k < 0 || row < unit || row >= end) continue;
            float *restrict y = to + row * n;
            const float *restrict x = from + (a * p->picks + i) * n;
            for (int64_t b = 0; b < n; b++) y[b] += x[b];
        }
    }
}

void GLIA_KERNEL(scatter_add_f32)(glia_pool *pool, const glia_pick *pick) {
    const int64_t rows = pick->outer * pick->size, work = pick->outer * (pick->size + pick->picks) * pick->inner * 4;
    int64_t pieces = pieces_for(work, rows);
    if (pick->outer == 1) pieces = GLIA_MIN(pieces, 16); /* each reads all indices */
    pick_job j = { .p = *pick, .pieces = pieces };
    run_pieces(pool, j.pieces, scatter_piece, &j);
}

/* ---- the first maximum --------------------------------------------------------------------------- */

typedef struct argmax_job {
    glia_argmax_rows a;
    int64_t pieces;
} argmax_job;

static void argmax_piece(void *context, int64_t piece, int worker) {
    const argmax_job *j = context;
    const glia_argmax_rows *a = &j->a;
    int64_t unit, end;
    (void)worker;
    share(a->outer * a->inner, j->pieces, piece, &unit, &end);
    for (; unit < end; unit++) {
        const float *x = a->from + unit / a->inner * a->inner * a->length + unit % a->inner;
        float most = x[0];
        int64_t best = 0;
        for (int64_t k = 1; k < a->length && most == most; k++) {
            if (!(x[k * a->inner] <= most)) most = x[k * a->inner], best = k;
        }
        a->to[unit] = (int32_t)best;
    }
}

void GLIA_KERNEL(argmax_f32)(glia_pool *pool, const glia_argmax_rows *rows) {
    const int64_t units = rows->outer * rows->inner;
    argmax_job j = { .a = *rows, .pieces = pieces_for(units * rows->length * 4, units) };
    run_pieces(pool, j.pieces, argmax_piece, &j);
}

/* ---- random bits --------------------------------------------------------------------------------- */

typedef struct random_job {
    glia_random r;
    int64_t pieces;
} random_job;

static void random_piece(void *context, int64_t piece, int worker) {
    const random_job *j = context;
    const glia_random *r = &j->r;
    const int64_t groups = (r->n + 4 * PHILOX_LANES - 1) / (4 * PHILOX_LANES);
    int64_t group, end;
    (void)worker;
    share(groups, j->pieces, piece, &group, &end);
    for (; group < end; group++) {
        float value[4 * PHILOX_LANES];
        philox_floats(r->rng, r->stream, (uint64_t)group * PHILOX_LANES, value);
        const int64_t at = group * 4 * PHILOX_LANES;
        memcpy(r->to + at, value, (size_t)GLIA_MIN(r->n - at, 4 * PHILOX_LANES) * sizeof(float));
    }
}

void GLIA_KERNEL(random_uniform_f32)(glia_pool *pool, const glia_random *random) {
    const int64_t groups = (random->n + 4 * PHILOX_LANES - 1) / (4 * PHILOX_LANES);
    random_job j = { .r = *random, .pieces = pieces_for(random->n * 16, groups) };
    run_pieces(pool, j.pieces, random_piece, &j);
}
