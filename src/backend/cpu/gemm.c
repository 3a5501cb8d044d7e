/* gemm.c - matrix products.
 *
 * The product is seen as P Q: P is broadcast, Q is read in vectors (micro.h). Usually P = A and Q = B; `swapped`, P is B
 * and Q is A, both transposed, and tiles are written to C transposed. That is chosen when it packs less or fills vectors
 * better, by counting cycles roughly. Products with few rows whose operands are both contiguous along K (a dense layer on
 * a small batch) are dot products instead, and need no packing at all.
 *
 * Q is read where it lies if it is used by few tiles or small; else panels of NR columns are packed, by all threads
 * together before the product if every batch uses the same Q, otherwise by each piece for itself. P is packed by each
 * piece, block after block, where enough columns share the cost. K is cut into blocks whose panels stay in cache.
 *
 * Every element of C is summed in the order of k by one thread, so the pieces do not matter for the bits. Where C is tiny
 * and K is long, K is cut into a fixed number of parts that are added in order.
 */
#include "backend/cpu/micro.h"
#include "backend/cpu/rows.h"

enum {
    K_BLOCK = 320,             /* k of a packed panel at most: NR of these columns stay in the first-level cache */
    K_OUTER = 4096,            /* k packed at a time */
    Q_SHARED_FLOATS = 1 << 20, /* of Q packed at a time */
    P_PANELS = 96 / MR,        /* panels of P packed at a time: a block for the second-level cache */
    STRIPE = 4 * NR,           /* columns between two epilogues */
    DIRECT_FLOATS = 8192,      /* a Q so small is not packed */
    PIECE_FLOPS = 400000,      /* work worth a piece of its own */
    MAX_PIECES = 32,
    DOT_ROWS = 4,
    SPLIT_K = 2048, /* the least K that is cut into parts, and the length of a part */
    SPLIT_PARTS = 16,
    SPLIT_OUTPUTS = 4096 /* C is tiny up to so many elements */
};

typedef enum q_mode { Q_DIRECT, Q_SHARED, Q_PRIVATE } q_mode;

/* P(i, k) = p[i p_i + k p_k], Q(k, j) = q[k q_k + j q_j]; one step of each is 1. */
typedef struct plan {
    const glia_gemm *g;
    bool swapped, dot, pack_p;
    q_mode mode;
    int64_t m, n, k, batches;
    const float *p, *q;
    int64_t p_i, p_k, q_k, q_j, p_stride[2], q_stride[2];

    int64_t m_panels, n_panels;         /* of MR and NR */
    int64_t m_parts, n_parts, together; /* pieces: parts of a matrix, or matrices together */
    int64_t nc;                         /* columns packed at a time, Q_SHARED */
    int64_t shared_floats, p_floats, worker_floats;
    float *shared, *private;
    int workers;
} plan;

static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

/* ---- planning ----------------------------------------------------------------------------- */

/* Roughly the cycles that a product takes with Q packed from a contiguous or a strided matrix. */
static double cost(int64_t m, int64_t n, int64_t k, bool contiguous, bool swapped) {
    double product = (double)m * (double)round_up(n, VLEN) * (double)k / (2 * VLEN);
    double packing = (double)n * (double)k * (contiguous ? 0.1 : 0.35);
    double scatter = swapped ? 0.5 * (double)m * (double)n * (double)((k + K_BLOCK - 1) / K_BLOCK) : 0;
    return product + packing + scatter;
}

static void choose_sides(plan *s, bool transpose_a, bool transpose_b) {
    const glia_gemm *g = s->g;
    bool dots = g->k >= VLEN && !transpose_a && transpose_b;
    s->dot = dots && GLIA_MIN(g->m, g->n) <= DOT_ROWS;
    s->swapped =
        s->dot ? g->n < g->m : cost(g->n, g->m, g->k, transpose_a, true) < cost(g->m, g->n, g->k, !transpose_b, false);
    int64_t a_m = transpose_a ? 1 : g->lda, a_k = transpose_a ? g->lda : 1;
    int64_t b_k = transpose_b ? 1 : g->ldb, b_n = transpose_b ? g->ldb : 1;
    bool w = s->swapped;
    s->m = w ? g->n : g->m, s->n = w ? g->m : g->n, s->k = g->k;
    s->p = w ? g->b : g->a, s->p_i = w ? b_n : a_m, s->p_k = w ? b_k : a_k;
    s->q = w ? g->a : g->b, s->q_k = w ? a_k : b_k, s->q_j = w ? a_m : b_n;
    for (int i = 0; i < 2; i++) {
        s->p_stride[i] = w ? g->b_stride[i] : g->a_stride[i];
        s->q_stride[i] = w ? g->a_stride[i] : g->b_stride[i];
    }
}

/* How the work is cut; depends on the sizes only. */
static void choose_pieces(plan *s) {
    double flops = 2.0 * (double)s->m * (double)s->n * (double)s->k;
    int64_t want = 1 + (int64_t)GLIA_MIN(flops * (double)s->batches / PIECE_FLOPS, MAX_PIECES - 1.0);
    s->m_parts = s->n_parts = s->together = 1;
    if (s->batches >= want) {
        s->together = s->batches / want;
        return;
    }
    int64_t parts = (want + s->batches - 1) / s->batches;
    bool along_n = s->mode == Q_PRIVATE || s->m_panels < 4 * s->n_panels / GLIA_MAX(parts, 1) || s->dot;
    if (along_n) {
        s->n_parts = GLIA_MIN(parts, s->n_panels);
        s->m_parts = s->dot ? 1 : GLIA_MIN((parts + s->n_parts - 1) / s->n_parts, s->m_panels);
    } else {
        s->m_parts = GLIA_MIN(parts, (s->m_panels + 1) / 2);
        s->n_parts = GLIA_MIN((parts + s->m_parts - 1) / s->m_parts, (s->n_panels + 7) / 8);
    }
}

static plan make_plan(const glia_gemm *g) {
    plan s = { .g = g, .batches = g->batch[0] * g->batch[1] };
    /* A single row or column of contiguous elements is as good the other way round. */
    bool transpose_a = g->transpose_a && !(g->m == 1 && g->lda == 1);
    bool transpose_b = g->transpose_b || (g->n == 1 && g->ldb == 1);
    glia_gemm straight = *g;
    if (transpose_a != g->transpose_a) straight.lda = g->k;
    if (transpose_b != g->transpose_b) straight.ldb = g->k;
    s.g = &straight;
    choose_sides(&s, transpose_a, transpose_b);
    s.g = g;

    s.m_panels = (s.m + MR - 1) / MR;
    s.n_panels = (s.n + NR - 1) / NR;
    bool same_q = s.batches == 1 || (!s.q_stride[0] && !s.q_stride[1]);
    bool direct = s.q_j == 1 && (s.m_panels <= 3 || s.k * s.n <= DIRECT_FLOATS);
    s.mode = direct || s.dot ? Q_DIRECT : same_q ? Q_SHARED : Q_PRIVATE;
    s.pack_p = s.n > 4 * NR || (s.n > NR && s.p_k != 1 && s.p_k * (int64_t)sizeof(float) >= 1024);
    choose_pieces(&s);
    if (s.dot) return s;

    int64_t k_outer = GLIA_MAX(1, GLIA_MIN(s.k, K_OUTER)), k_block = GLIA_MIN(s.k, K_BLOCK);
    int64_t columns = s.n_panels * NR;
    s.nc = s.mode == Q_SHARED ? GLIA_MIN(columns, GLIA_MAX(8, Q_SHARED_FLOATS / k_outer / NR) * NR) : columns;
    s.shared_floats = s.mode == Q_SHARED ? s.nc * k_outer : 0;
    int64_t q_floats = s.mode == Q_PRIVATE  ? (s.n_panels / s.n_parts + 1) * NR * k_block
                       : s.mode == Q_DIRECT ? NR * k_block
                                            : 0;
    s.p_floats = s.pack_p ? round_up(P_PANELS * MR * k_block, 16) : 0;
    s.worker_floats = round_up(s.p_floats + q_floats, 16);
    return s;
}

/* ---- one block of C ----------------------------------------------------------------------- */

/* Where the matrices of a batch begin. */
typedef struct matrices {
    const float *p, *q;
    float *c;
    int64_t batch;
} matrices;

static matrices matrices_of(const plan *s, int64_t batch) {
    int64_t outer = batch / s->g->batch[1], inner = batch % s->g->batch[1];
    return (matrices){ .p = s->p + outer * s->p_stride[0] + inner * s->p_stride[1],
                       .q = s->q + outer * s->q_stride[0] + inner * s->q_stride[1],
                       .c = s->g->c + outer * s->g->c_stride[0] + inner * s->g->c_stride[1],
                       .batch = batch };
}

/* The element of C for (i, j) of P Q. */
static float *c_at(const plan *s, float *c, int64_t i, int64_t j) {
    return s->swapped ? c + j * s->g->ldc + i : c + i * s->g->ldc + j;
}

/* rows x cols of C, at c, from or to a tile whose rows are WIDE_NR apart. */
static void tile_load(const plan *s, float *tile, const float *c, int64_t rows, int64_t cols) {
    if (s->swapped)
        transpose(tile, WIDE_NR, c, s->g->ldc, cols, rows);
    else
        copy_rows(tile, WIDE_NR, c, s->g->ldc, rows, cols);
}

static void tile_store(const plan *s, const float *tile, float *c, int64_t rows, int64_t cols) {
    if (s->swapped)
        transpose(c, s->g->ldc, tile, WIDE_NR, rows, cols);
    else
        copy_rows(c, s->g->ldc, tile, WIDE_NR, rows, cols);
}

typedef struct panel { /* of P or of Q: data and step from one k to the next (P in rows: from one i to the next) */
    const float *data;
    int64_t step;
} panel;

/* One tile of C: rows of P from i, columns of Q from j. `full`: the columns of Q that may be read. */
static void run_tile(const plan *s, float *c, panel p, panel q, int64_t k, int64_t i, int64_t rows, int64_t j,
                     int64_t cols, int64_t full, bool add) {
    int mode = s->pack_p || s->p_i == 1 ? TILE_COLS : TILE_ROWS;
    int width = cols > NR ? TILE_WIDE : cols > VLEN ? TILE_FULL : TILE_HALF;
    glia_micro_fn fn = GLIA_KERNEL(micro)[mode][width][rows - 1];
    float *at = c_at(s, c, i, j);
    bool in_place = !s->swapped && cols == full;
    int64_t p_at[MR], to[MR];
    for (int64_t r = 0; r < rows; r++) p_at[r] = r * p.step, to[r] = r * (in_place ? s->g->ldc : WIDE_NR);
    glia_micro_args args = { .outer = 1,
                             .inner = k,
                             .p = p.data,
                             .p_step = mode == TILE_COLS ? p.step : 1,
                             .p_at = p_at,
                             .q = q.data,
                             .q_step = q.step,
                             .c = at,
                             .c_at = to,
                             .add = add };
    if (in_place) {
        fn(&args);
        return;
    }
    _Alignas(GLIA_ALIGN) float tile[MR * WIDE_NR];
    if (add) {
        memset(tile, 0, sizeof tile);
        tile_load(s, tile, at, rows, cols);
    }
    args.c = tile;
    fn(&args);
    tile_store(s, tile, at, rows, cols);
}

/* A block of work: k in [k0, k1), panels of P in [i0, i1), columns in [j0, j1). */
typedef struct block {
    int64_t k0, k1, i0, i1, j0, j1;
    bool add, last;
} block;

static int64_t panel_row(const plan *s, int64_t panel_index) { return s->m * panel_index / s->m_panels; }

/* Columns [j, j + cols) for all of the block's rows. q holds them, `full` columns wide. */
static void run_column(const plan *s, const matrices *m, const block *b, const float *packed_p, panel q, int64_t j,
                       int64_t cols, int64_t full) {
    int64_t k = b->k1 - b->k0;
    for (int64_t panel_index = b->i0; panel_index < b->i1; panel_index++) {
        int64_t i = panel_row(s, panel_index), rows = panel_row(s, panel_index + 1) - i;
        panel p = { m->p + i * s->p_i + b->k0 * s->p_k, s->p_k == 1 ? s->p_i : s->p_k };
        if (s->pack_p)
            p = (panel){ packed_p + (panel_index - b->i0) * MR * k, MR };
        else if (s->p_i == 1)
            p.step = s->p_k;
        run_tile(s, m->c, p, q, k, i, rows, j, cols, full, b->add);
    }
}

static void finish(const plan *s, const matrices *m, const block *b, int worker, int64_t j0, int64_t j1) {
    const glia_epilogue *e = &s->g->epilogue;
    if (!b->last || !e->fn) return;
    int64_t i0 = panel_row(s, b->i0), i1 = panel_row(s, b->i1);
    float *c = c_at(s, m->c, i0, j0);
    if (s->swapped)
        e->fn(e->context, worker, m->batch, j0, j1 - j0, i0, i1 - i0, c, s->g->ldc);
    else
        e->fn(e->context, worker, m->batch, i0, i1 - i0, j0, j1 - j0, c, s->g->ldc);
}

/* The columns of a block, panel by panel, with Q as the plan says. q_block: private memory; shared Q begins at column c0
 * and row k_base. */
static void run_block(const plan *s, const matrices *m, const block *b, int worker, float *packed_p, float *q_block,
                      int64_t c0, int64_t k_base, int64_t k_outer) {
    int64_t k = b->k1 - b->k0;
    if (s->pack_p) {
        for (int64_t i = b->i0; i < b->i1; i++) {
            int64_t row = panel_row(s, i);
            pack_p(packed_p + (i - b->i0) * MR * k, m->p + row * s->p_i + b->k0 * s->p_k, s->p_i, s->p_k,
                   panel_row(s, i + 1) - row, k);
        }
    }
    /* Wide tiles where rows are few and Q lies as it is. */
    bool wide = s->mode == Q_DIRECT && s->m <= WIDE_MR;
    int64_t finished = b->j0;
    for (int64_t j = b->j0, cols; j < b->j1; j += cols) {
        panel q;
        cols = GLIA_MIN(b->j1 - j, wide && b->j1 - j >= WIDE_NR ? WIDE_NR : NR);
        int64_t full = cols > NR ? WIDE_NR : cols > VLEN ? NR : VLEN;
        if (s->mode == Q_SHARED) {
            q = (panel){ s->shared + (j - c0) * k_outer + (b->k0 - k_base) * NR, NR };
        } else if (s->mode == Q_PRIVATE) {
            q = (panel){ q_block + (j - b->j0) * k, NR };
        } else if (cols == full) {
            q = (panel){ m->q + b->k0 * s->q_k + j, s->q_k };
        } else {
            pack_q(q_block, m->q + b->k0 * s->q_k + j, s->q_k, 1, k, cols);
            q = (panel){ q_block, NR };
        }
        run_column(s, m, b, packed_p, q, j, cols, full);
        if (j + cols - finished >= STRIPE || j + cols == b->j1) {
            finish(s, m, b, worker, finished, j + cols);
            finished = j + cols;
        }
    }
}

/* ---- phases ------------------------------------------------------------------------------- */

/* What a phase works on: k in [k0, k1), columns in [j0, j1). */
typedef struct phase {
    const plan *s;
    int64_t k0, k1, j0, j1;
} phase;

static void pack_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const phase *f = context;
    const plan *s = f->s;
    int64_t j = f->j0 + piece * NR;
    pack_q(s->shared + piece * NR * (f->k1 - f->k0), s->q + f->k0 * s->q_k + j * s->q_j, s->q_k, s->q_j, f->k1 - f->k0,
           GLIA_MIN(NR, s->n - j));
}

static void pack_private(const plan *s, const matrices *m, const block *b, float *q_block) {
    int64_t k = b->k1 - b->k0;
    for (int64_t j = b->j0; j < b->j1; j += NR) {
        pack_q(q_block + (j - b->j0) * k, m->q + b->k0 * s->q_k + j * s->q_j, s->q_k, s->q_j, k,
               GLIA_MIN(NR, b->j1 - j));
    }
}

/* Part (m_part, n_part) of one matrix. */
static void run_part(const phase *f, const matrices *m, int worker, int64_t m_part, int64_t n_part) {
    const plan *s = f->s;
    float *packed_p = s->private + worker * s->worker_floats, *q_block = packed_p + s->p_floats;
    int64_t columns = (f->j1 - f->j0 + NR - 1) / NR;
    int64_t j0 = f->j0 + columns * n_part / s->n_parts * NR, j1 = f->j0 + columns * (n_part + 1) / s->n_parts * NR;
    int64_t i_low = s->m_panels * m_part / s->m_parts, i_high = s->m_panels * (m_part + 1) / s->m_parts;
    int64_t blocks = GLIA_MAX(1, (f->k1 - f->k0 + K_BLOCK - 1) / K_BLOCK);
    j1 = GLIA_MIN(j1, f->j1);
    if (j0 >= j1) return;
    for (int64_t kb = 0; kb < blocks; kb++) {
        block b = { .k0 = f->k0 + (f->k1 - f->k0) * kb / blocks,
                    .k1 = f->k0 + (f->k1 - f->k0) * (kb + 1) / blocks,
                    .j0 = j0,
                    .j1 = j1 };
        b.add = s->g->accumulate || b.k0 > 0;
        b.last = b.k1 == s->k;
        if (s->mode == Q_PRIVATE) pack_private(s, m, &b, q_block);
        for (b.i0 = i_low; b.i0 < i_high; b.i0 = b.i1) {
            b.i1 = GLIA_MIN(b.i0 + P_PANELS, i_high);
            run_block(s, m, &b, worker, packed_p, q_block, f->j0, f->k0, f->k1 - f->k0);
        }
    }
}

static void product_piece(void *context, int64_t piece, int worker) {
    const phase *f = context;
    const plan *s = f->s;
    int64_t parts = s->m_parts * s->n_parts, first = piece / parts * s->together;
    for (int64_t batch = first; batch < GLIA_MIN(first + s->together, s->batches); batch++) {
        matrices m = matrices_of(s, batch);
        run_part(f, &m, worker, piece % parts / s->n_parts, piece % s->n_parts);
    }
}

static void run_phases(glia_pool *pool, const plan *s) {
    int64_t pieces = (s->batches + s->together - 1) / s->together * s->m_parts * s->n_parts;
    phase f = { .s = s, .k1 = s->k };
    if (s->mode != Q_SHARED) {
        f.j1 = s->n;
        glia_parallel_for(pool, pieces, product_piece, &f);
        return;
    }
    for (f.j0 = 0; f.j0 < s->n; f.j0 = f.j1) {
        f.j1 = GLIA_MIN(f.j0 + s->nc, s->n);
        for (f.k0 = 0; f.k0 < s->k || f.k0 == 0; f.k0 = f.k1) {
            f.k1 = GLIA_MIN(f.k0 + K_OUTER, s->k);
            glia_parallel_for(pieces > 1 ? pool : NULL, (f.j1 - f.j0 + NR - 1) / NR, pack_piece, &f);
            glia_parallel_for(pool, pieces, product_piece, &f);
            if (f.k1 == s->k) break;
        }
    }
}

/* ---- dot products ------------------------------------------------------------------------- */

/* The last K elements that are less than a vector are read as a whole one that ends with them, less the lanes already
 * counted. */
GLIA_INLINE vi tail_mask(int64_t k) {
    vi mask;
    for (int l = 0; l < VLEN; l++) mask[l] = l >= VLEN - k % VLEN ? -1 : 0;
    return mask;
}

GLIA_INLINE void dot_tile(const int rows, const int cols, int64_t k, const float *p, int64_t p_i, const float *q,
                          int64_t q_j, float *sums) {
    vf acc[DOT_ROWS][4], a[DOT_ROWS];
    GLIA_UNROLL for (int i = 0; i < rows; i++) { GLIA_UNROLL for (int j = 0; j < cols; j++) acc[i][j] = (vf){ 0 }; }
    int64_t t = 0;
    for (; t + VLEN <= k; t += VLEN) {
        GLIA_UNROLL for (int i = 0; i < rows; i++) a[i] = vf_load(p + i * p_i + t);
        GLIA_UNROLL for (int j = 0; j < cols; j++) {
            vf b = vf_load(q + j * q_j + t);
            GLIA_UNROLL for (int i = 0; i < rows; i++) acc[i][j] += a[i] * b;
        }
    }
    if (t < k) {
        vi mask = tail_mask(k);
        GLIA_UNROLL for (int i = 0; i < rows; i++) a[i] = (vf)((vi)vf_load(p + i * p_i + k - VLEN) & mask);
        GLIA_UNROLL for (int j = 0; j < cols; j++) {
            vf b = (vf)((vi)vf_load(q + j * q_j + k - VLEN) & mask);
            GLIA_UNROLL for (int i = 0; i < rows; i++) acc[i][j] += a[i] * b;
        }
    }
    GLIA_UNROLL for (int i = 0; i < rows; i++) {
        GLIA_UNROLL for (int j = 0; j < cols; j++) sums[i * 4 + j] = vf_sum(acc[i][j]);
    }
}

static void dot_4(int64_t rows, int64_t k, const float *p, int64_t p_i, const float *q, int64_t q_j, float *sums) {
    switch (rows) {
    case 1: dot_tile(1, 4, k, p, p_i, q, q_j, sums); break;
    case 2: dot_tile(2, 4, k, p, p_i, q, q_j, sums); break;
    case 3: dot_tile(3, 4, k, p, p_i, q, q_j, sums); break;
    default: dot_tile(4, 4, k, p, p_i, q, q_j, sums); break;
    }
}

static void dot_1(int64_t rows, int64_t k, const float *p, int64_t p_i, const float *q, float *sums) {
    for (int64_t i = 0; i < rows; i++) dot_tile(1, 1, k, p + i * p_i, p_i, q, 0, sums + i * 4);
}

static void dot_matrix(const plan *s, const matrices *m, int worker, int64_t j0, int64_t j1) {
    for (int64_t j = j0, cols; j < j1; j += cols) {
        float sums[DOT_ROWS * 4];
        cols = j1 - j >= 4 ? 4 : 1;
        if (cols == 4)
            dot_4(s->m, s->k, m->p, s->p_i, m->q + j * s->q_j, s->q_j, sums);
        else
            dot_1(s->m, s->k, m->p, s->p_i, m->q + j * s->q_j, sums);
        for (int64_t i = 0; i < s->m; i++) {
            for (int64_t l = 0; l < cols; l++) {
                float *c = c_at(s, m->c, i, j + l);
                *c = s->g->accumulate ? *c + sums[i * 4 + l] : sums[i * 4 + l];
            }
        }
    }
    block whole = { .i0 = 0, .i1 = s->m_panels, .last = true };
    finish(s, m, &whole, worker, j0, j1);
}

static void dot_piece(void *context, int64_t piece, int worker) {
    const plan *s = context;
    int64_t first = piece / s->n_parts * s->together, part = piece % s->n_parts;
    int64_t fours = (s->n + 3) / 4; /* parts begin at multiples of 4, so that tiles do not depend on them */
    int64_t j0 = fours * part / s->n_parts * 4, j1 = GLIA_MIN(fours * (part + 1) / s->n_parts * 4, s->n);
    for (int64_t batch = first; batch < GLIA_MIN(first + s->together, s->batches) && j0 < j1; batch++) {
        matrices m = matrices_of(s, batch);
        dot_matrix(s, &m, worker, j0, j1);
    }
}

/* ---- K in parts --------------------------------------------------------------------------- */

static int64_t split_parts(const glia_gemm *g) {
    bool split = g->batch[0] * g->batch[1] == 1 && g->m * g->n <= SPLIT_OUTPUTS && g->k >= 2 * SPLIT_K;
    return split ? GLIA_MIN(g->k / SPLIT_K, SPLIT_PARTS) : 1;
}

/* The parts as a batch of products into `partial`, (parts, M, N); the last part's rest of K is left out. */
static glia_gemm split_gemm(const glia_gemm *g, int64_t parts, float *partial) {
    glia_gemm part = *g;
    int64_t k = g->k / parts;
    part.batch[0] = 1, part.batch[1] = parts;
    part.k = k;
    part.a_stride[1] = g->transpose_a ? k * g->lda : k;
    part.b_stride[1] = g->transpose_b ? k : k * g->ldb;
    part.c = partial, part.ldc = g->n, part.c_stride[1] = g->m * g->n;
    part.accumulate = false;
    part.epilogue = (glia_epilogue){ 0 };
    return part;
}

static void run_plan(glia_pool *pool, const glia_gemm *g, float *scratch) {
    if (g->m < 1 || g->n < 1 || g->batch[0] * g->batch[1] < 1) return;
    plan s = make_plan(g);
    s.shared = scratch;
    s.private = scratch + s.shared_floats;
    if (s.dot)
        glia_parallel_for(pool, (s.batches + s.together - 1) / s.together * s.n_parts, dot_piece, &s);
    else
        run_phases(pool, &s);
}

static int64_t plan_floats(const glia_gemm *g, int workers) {
    plan s = make_plan(g);
    return round_up(s.shared_floats + workers * s.worker_floats, 16);
}

static void run_split(glia_pool *pool, const glia_gemm *g, int64_t parts, float *scratch) {
    float *partial = scratch, *rest = scratch + round_up(parts * g->m * g->n, 16);
    glia_gemm part = split_gemm(g, parts, partial);
    run_plan(pool, &part, rest);
    if (part.k * parts < g->k) {
        glia_gemm last = part;
        last.batch[1] = 1;
        last.a += parts * part.a_stride[1], last.b += parts * part.b_stride[1];
        last.c += (parts - 1) * part.c_stride[1];
        last.k = g->k - part.k * parts;
        last.accumulate = true;
        run_plan(NULL, &last, rest);
    }
    for (int64_t i = 0; i < g->m; i++) {
        for (int64_t j = 0; j < g->n; j++) {
            float *c = g->c + i * g->ldc + j, sum = g->accumulate ? *c : 0;
            for (int64_t part_index = 0; part_index < parts; part_index++)
                sum += partial[(part_index * g->m + i) * g->n + j];
            *c = sum;
        }
    }
    if (g->epilogue.fn) g->epilogue.fn(g->epilogue.context, 0, 0, 0, g->m, 0, g->n, g->c, g->ldc);
}

size_t GLIA_KERNEL(gemm_f32_scratch)(const glia_gemm *g, int workers) {
    int64_t parts = split_parts(g), floats;
    if (parts > 1) {
        glia_gemm part = split_gemm(g, parts, g->c), last = part;
        last.batch[1] = 1, last.k = g->k - part.k * parts;
        floats = round_up(parts * g->m * g->n, 16) + GLIA_MAX(plan_floats(&part, workers), plan_floats(&last, 1));
    } else {
        floats = plan_floats(g, workers);
    }
    return (size_t)floats * sizeof(float);
}

void GLIA_KERNEL(gemm_f32)(glia_pool *pool, const glia_gemm *g, void *scratch) {
    int64_t parts = split_parts(g);
    if (parts > 1)
        run_split(pool, g, parts, scratch);
    else
        run_plan(pool, g, scratch);
}
