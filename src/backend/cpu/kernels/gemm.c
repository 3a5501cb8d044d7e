/* gemm.c - matrix products.
 *
 * The product is computed as P Q: P is broadcast, Q is read in vectors (micro.h). Usually P = A and Q = B. If
 * `swapped`, P is B and Q is A, both transposed, and tiles are written to C transposed. That is chosen if it packs less
 * or fills vectors better, by a rough count of cycles. Products with few rows whose operands are both contiguous along
 * K (a dense layer on a small batch) are dot products instead, and need no packing.
 *
 * P and the rows of Q are read in place. The first tile that reads a panel of Q, NR columns, copies it to contiguous
 * memory for the following tiles, and these prefetch the next panel. A side with the other layout is packed: by all
 * threads together before the product, if every batch uses the same matrix and several pieces share it; otherwise by
 * each piece, block after block. A constant B can be packed once. K is cut into blocks.
 *
 * Every element of C is summed in the order of k by one thread, so the pieces do not affect the bits. Where K is long
 * and C stays in the second-level cache, as in gradients of weights, K is cut into a fixed number of parts that are
 * added in order: each part reads its rows of both sides once, where pieces of C would each read all of one side.
 */
#include "backend/cpu/kernels/micro.h"
#include "backend/cpu/kernels/rows.h"

enum {
    K_BLOCK = 384,              /* k of a tile at most */
    PACKED_FLOATS = 1 << 18,    /* of both sides packed at a time: fits the second-level cache */
    SHARED_FLOATS = 1 << 20,    /* of a side packed at a time by all threads */
    BLOCK_PANELS = 192 / MR,    /* panels of P at a time, up to half more or less: a block for the second-level cache */
    MOST_PANELS = BLOCK_PANELS + BLOCK_PANELS / 2,
    STRIPE = 4 * NR,            /* columns between two epilogues */
    PART_PANELS = 16,           /* panels of P in a part at least, where there are several: they share the copy of Q */
    IN_PLACE_FLOATS = 1 << 15,  /* P in columns is packed if it is larger than this and is read */
    OFTEN = 16,                 /* for more panels of Q than this, or if its stride in k is */
    FAR_STRIDE = 1024,          /* at least this many floats, or a multiple of */
    CROWDED_STRIDE = 512,       /* this many, which map to the same cache sets */
    COPIED_PANELS = 2,          /* panels of P for which Q is copied from where it lies */
    PIECE_FLOPS = 1000000,      /* least work of a piece */
    FEW_PIECES = 8,             /* up to this many pieces; */
    LONG_PIECE_FLOPS = 4000000, /* least work of further pieces */
    MAX_PIECES = 32,
    DOT_PIECE_FLOATS = 96 << 10,                /* of Q in a piece where Q is read once: memory traffic limits it */
    PREFETCHED_K = 32,                          /* from this k on, a tile hides the prefetch of its part of C */
    DOT_ROWS = 4,                               /* of a tile of dot products, and of a product that consists of them; */
    DOT_MOST_ROWS = VLEN == 16 ? 12 : DOT_ROWS, /* with many registers up to this many, where the other side has at */
    DOT_LARGE_FLOATS = 1 << 16,                 /* least so many elements: packing them would cost more than it saves */
    LINE = 16,                                  /* floats of a cache line */
    SPLIT_K = 2048,                             /* the least K that is cut into parts, and the length of a part */
    SPLIT_PARTS = 16,
    SPLIT_OUTPUTS = 1 << 18, /* elements of C, at most, for K to be split */
    SUM_ROWS = 16            /* of C in a piece of their sum */
};

typedef enum side { DIRECT, SHARED, PRIVATE } side;

/* P(i, k) = p[i p_i + k p_k], Q(k, j) = q[k q_k + j q_j]; one step of each is 1. */
typedef struct plan {
    const glia_gemm *g;
    bool swapped, dot;
    side p_side, q_side;
    int64_t m, n, k, batches;
    const float *p, *q;
    int64_t p_i, p_k, q_k, q_j, p_stride[2], q_stride[2];

    int64_t m_panels, n_panels;         /* of MR and NR */
    int64_t panel_rows, longer_panels;  /* rows of a panel of P; how many have one more */
    int64_t m_parts, n_parts, together; /* pieces: parts of a matrix, or matrices together */
    int64_t k_outer;                    /* k packed at a time */
    int64_t nc;                         /* columns packed at a time, if Q is shared */
    int64_t shared_q_floats, shared_p_floats, p_floats, worker_floats;
    float *shared_q, *shared_p, *private;
} plan;

/* ---- planning ----------------------------------------------------------------------------- */

/* True if P is read in place: contiguous along k, in close columns that are read rarely, or small. */
static bool p_in_place(int64_t m, int64_t n, int64_t k, int64_t p_k) {
    const bool near = p_k < FAR_STRIDE && p_k % CROWDED_STRIDE && n <= OFTEN * NR;
    return p_k == 1 || near || m * k <= IN_PLACE_FLOATS;
}

/* Roughly the cycles that P Q takes. q_lies: whether Q's rows are contiguous along columns. */
static double cost(int64_t m, int64_t n, int64_t k, int64_t p_k, bool q_lies, bool swapped) {
    double product = (double)m * (double)round_up(n, VLEN) * (double)k / (2 * VLEN);
    double packing =
        (p_in_place(m, n, k, p_k) ? 0 : 0.4) * (double)m * (double)k + (q_lies ? 0.03 : 0.6) * (double)n * (double)k;
    double scatter = swapped ? (double)m * (double)n * (double)((k + K_BLOCK - 1) / K_BLOCK) : 0;
    return product + packing + scatter;
}

static void choose_sides(plan *s, bool transpose_a, bool transpose_b) {
    const glia_gemm *g = s->g;
    bool dots = g->k >= VLEN && !transpose_a && transpose_b;
    const int64_t most = g->n * g->k >= DOT_LARGE_FLOATS ? DOT_MOST_ROWS : DOT_ROWS;
    s->dot = dots && (g->m <= most || g->n <= DOT_ROWS) && !g->packed_b;
    int64_t a_m = transpose_a ? 1 : g->lda, a_k = transpose_a ? g->lda : 1;
    int64_t b_k = transpose_b ? 1 : g->ldb, b_n = transpose_b ? g->ldb : 1;
    if (s->dot)
        s->swapped = g->n < g->m;
    else if (!g->packed_b)
        s->swapped = cost(g->n, g->m, g->k, b_k, transpose_a, true) < cost(g->m, g->n, g->k, a_k, !transpose_b, false);
    bool w = s->swapped;
    s->m = w ? g->n : g->m, s->n = w ? g->m : g->n, s->k = g->k;
    s->p = w ? g->b : g->a, s->p_i = w ? b_n : a_m, s->p_k = w ? b_k : a_k;
    s->q = w ? g->a : g->b, s->q_k = w ? a_k : b_k, s->q_j = w ? a_m : b_n;
    for (int i = 0; i < 2; i++) {
        s->p_stride[i] = w ? g->b_stride[i] : g->a_stride[i];
        s->q_stride[i] = w ? g->a_stride[i] : g->b_stride[i];
    }
}

/* The number of pieces for this much work. It and the way they are cut depend on sizes only. */
static int64_t wanted_pieces(const plan *s) {
    const double floats = (double)s->n * (double)s->k * (double)s->batches, flops = 2.0 * (double)s->m * floats;
    int64_t want = 1;
    while (want < MAX_PIECES && (double)want * (want < FEW_PIECES ? PIECE_FLOPS : LONG_PIECE_FLOPS) < flops) want *= 2;
    while (s->dot && want < FEW_PIECES && (double)want * DOT_PIECE_FLOATS < floats) want *= 2;
    return want;
}

static void choose_pieces(plan *s) {
    const int64_t want = wanted_pieces(s);
    s->m_parts = s->n_parts = s->together = 1;
    if (s->batches >= want) {
        s->together = s->batches / want;
        return;
    }
    int64_t parts = (want + s->batches - 1) / s->batches;
    if (!s->dot) s->m_parts = GLIA_MIN(parts, GLIA_MAX(1, s->m_panels / PART_PANELS));
    s->n_parts = GLIA_MIN((parts + s->m_parts - 1) / s->m_parts, s->n_panels);
    s->m_panels = round_up(s->m_panels, s->m_parts);
}

static bool is_same(const plan *s, const int64_t stride[2]) { return s->batches == 1 || (!stride[0] && !stride[1]); }

/* The k packed at a time: fits the second-level cache with all of M and N, but at least a block. */
static int64_t choose_k_outer(const glia_gemm *g) {
    int64_t blocks = GLIA_MAX(1, PACKED_FLOATS / (g->m + g->n) / K_BLOCK);
    return GLIA_MAX(1, GLIA_MIN(g->k, blocks * K_BLOCK));
}

static plan make_plan(const glia_gemm *g) {
    plan s = { .g = g, .batches = g->batch[0] * g->batch[1] };
    /* A single row or column of contiguous elements can be taken as transposed or not. */
    bool transpose_a = g->transpose_a && !(g->m == 1 && g->lda == 1);
    bool transpose_b = g->transpose_b || (g->n == 1 && g->ldb == 1);
    glia_gemm straight = *g;
    if (transpose_a != g->transpose_a) straight.lda = g->k;
    if (transpose_b != g->transpose_b) straight.ldb = g->k;
    s.g = &straight;
    choose_sides(&s, transpose_a, transpose_b);
    s.g = g;

    int64_t k_outer = s.k_outer = choose_k_outer(g), k_block = GLIA_MIN(s.k, K_BLOCK);
    s.m_panels = (s.m + MR - 1) / MR;
    s.n_panels = (s.n + NR - 1) / NR;
    s.q_side = g->packed_b ? SHARED : s.q_j == 1 || s.dot ? DIRECT : is_same(&s, s.q_stride) ? SHARED : PRIVATE;
    choose_pieces(&s);
    s.panel_rows = s.m / s.m_panels, s.longer_panels = s.m % s.m_panels;
    if (s.dot) return s;
    bool p_shareable = is_same(&s, s.p_stride) && s.m * k_outer <= SHARED_FLOATS;
    s.p_side = p_in_place(s.m, s.n, s.k, s.p_k) ? DIRECT : p_shareable && s.n_parts > 1 ? SHARED : PRIVATE;

    int64_t columns = s.n_panels * NR;
    s.nc = s.q_side == SHARED ? GLIA_MIN(columns, GLIA_MAX(8, SHARED_FLOATS / k_outer / NR) * NR) : columns;
    if (g->packed_b) s.nc = columns;
    s.shared_q_floats = s.q_side == SHARED && !g->packed_b ? s.nc * k_outer : 0;
    s.shared_p_floats = s.p_side == SHARED ? round_up(s.m_panels * MR * k_outer, 16) : 0;
    int64_t q_floats = s.q_side == PRIVATE  ? (s.n_panels / s.n_parts + 1) * NR * k_block
                       : s.q_side == DIRECT ? NR * k_block
                                            : 0;
    s.p_floats = s.p_side == PRIVATE ? round_up(MOST_PANELS * MR * k_block, 16) : 0;
    s.worker_floats = round_up(s.p_floats + q_floats, 16);
    return s;
}

/* ---- blocks of C -------------------------------------------------------------------------- */

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

typedef struct panel { /* of Q: data and step from one k to the next */
    const float *data;
    int64_t step;
} panel;

/* Columns [j, j + cols) of Q. A tile computes `full` columns from j - skip, the first at q.data, and keeps these. */
typedef struct columns {
    int64_t j, cols, full, skip;
    panel q;
    float *copy;       /* where the first tile copies them for the other tiles, or NULL */
    const float *next; /* the columns to be copied next, or NULL */
} columns;

/* Prefetches a tile's part of C, rows x cols at c. */
static void prefetch_c(const plan *s, const float *c, int64_t rows, int64_t cols) {
    int64_t lines = s->swapped ? cols : rows, length = s->swapped ? rows : cols;
    for (int64_t i = 0; i < lines; i++, c += s->g->ldc) {
        for (int64_t j = 0; j < length; j += 16) __builtin_prefetch(c + j, 1);
        __builtin_prefetch(c + length - 1, 1);
    }
}

/* One tile of C at c, through a temporary tile. */
static void run_aside(const plan *s, glia_micro_fn fn, glia_micro_args *args, const columns *x, float *c,
                      int64_t rows) {
    _Alignas(GLIA_ALIGN) float tile[GLIA_MAX(MR, VLEN) * WIDE_NR];
    if (s->swapped && args->k >= PREFETCHED_K) prefetch_c(s, c, rows, x->cols);
    if (args->add) {
        memset(tile, 0, (size_t)(rows * WIDE_NR) * sizeof(float));
        tile_load(s, tile + x->skip, c, rows, x->cols);
    }
    args->c = tile;
    fn(args);
    tile_store(s, tile + x->skip, c, rows, x->cols);
}

/* A block of work: k in [k0, k1), panels of P in [i0, i1), columns in [j0, j1). */
typedef struct block {
    int64_t k0, k1, i0, i1, j0, j1;
    bool add, last;
    const float *packed_p; /* panels of P from i0 */
    const float *packed_q; /* panels of Q from j0, packed_step apart */
    int64_t packed_step;
    float *private_q; /* for Q that is packed here */
} block;

/* The row where a panel of P begins: the first panels have one row more if the rows do not go up evenly. */
static int64_t panel_row(const plan *s, int64_t panel_index) {
    return panel_index * s->panel_rows + GLIA_MIN(panel_index, s->longer_panels);
}

static const float *panel_of_p(const plan *s, const matrices *m, const block *b, int64_t panel_index, int64_t row) {
    if (s->p_side == DIRECT) return m->p + row * s->p_i + b->k0 * s->p_k;
    return b->packed_p + (panel_index - b->i0) * MR * (b->k1 - b->k0);
}

/* Some columns for all of the block's rows. The first tile may copy them for the others; these ask for the next ones.
 * */
static void run_columns(const plan *s, const matrices *m, const block *b, const columns *x) {
    const int mode = s->p_k != 1 ? TILE_COLS : TILE_LINES;
    const int width = x->full > NR ? TILE_WIDE : x->full > VLEN ? TILE_FULL : TILE_HALF;
    const bool in_place = !s->swapped && x->cols == x->full, direct = s->p_side == DIRECT;
    const int64_t k = b->k1 - b->k0, chunks = k / K_CHUNK, step = in_place ? s->g->ldc : WIDE_NR;
    int64_t c_row[MR], asked = 0;
    for (int64_t r = 0; r < MR; r++) c_row[r] = r * step;
    glia_micro_args args = { .k = k,
                             .p_step = direct ? s->p_k : MR,
                             .p_row = s->p_i,
                             .q = x->q.data,
                             .q_step = x->q.step,
                             .q_copy = x->copy,
                             .next_step = s->q_side == DIRECT ? s->q_k : NR,
                             .c_at = c_row,
                             .add = b->add };
    for (int64_t panel_index = b->i0; panel_index < b->i1; panel_index++) {
        int64_t i = panel_row(s, panel_index), rows = panel_row(s, panel_index + 1) - i;
        glia_micro_fn fn = GLIA_KERNEL(micro)[mode][width][rows - 1];
        float *c = c_at(s, m->c, i, x->j);
        args.p = panel_of_p(s, m, b, panel_index, i);
        args.c = c;
        if (in_place)
            fn(&args);
        else
            run_aside(s, fn, &args, x, c, rows);
        if (args.q_copy) args.q = x->copy, args.q_step = NR, args.q_copy = NULL;
        args.next = x->next && asked < k ? x->next + asked * args.next_step : NULL;
        asked += chunks;
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

/* Packs panel `panel_index` of P, k in [k0, k0 + k). */
static void pack_p_panel(const plan *s, const float *p, float *dst, int64_t panel_index, int64_t k0, int64_t k) {
    int64_t i = panel_row(s, panel_index), rows = panel_row(s, panel_index + 1) - i;
    pack_cols(dst, p + i + k0 * s->p_k, s->p_k, rows, k);
}

/* Packs columns [j, j + NR) of Q, fewer at the end, k in [k0, k0 + k). */
static void pack_q_panel(const plan *s, const float *q, float *dst, int64_t j, int64_t k0, int64_t k) {
    pack_q(dst, q + k0 * s->q_k + j * s->q_j, s->q_k, s->q_j, k, GLIA_MIN(NR, s->n - j));
}

/* The next columns from j where Q is read in place: vectors that would reach beyond the matrix begin earlier instead.
 * Only a matrix of less than a vector is packed. */
static columns direct_columns(const plan *s, const matrices *m, const block *b, int64_t j) {
    int64_t left = b->j1 - j, k = b->k1 - b->k0;
    bool wide = s->m <= WIDE_MR && left > NR && s->n >= WIDE_NR;
    columns x = { .j = j, .full = wide ? WIDE_NR : left > VLEN && s->n >= NR ? NR : VLEN };
    x.cols = GLIA_MIN(left, x.full);
    x.skip = GLIA_MAX(0, GLIA_MIN(j, j + x.full - s->n));
    x.q = (panel){ m->q + b->k0 * s->q_k + j - x.skip, s->q_k };
    if (s->n < x.full) {
        pack_q_panel(s, m->q, b->private_q, 0, b->k0, k);
        x.q = (panel){ b->private_q, NR };
    } else if (b->i1 - b->i0 >= COPIED_PANELS && !wide && s->q_k != NR) {
        x.copy = b->private_q;
        bool more = j + x.cols < b->j1;
        x.next = more ? x.q.data + NR : b->last ? NULL : m->q + b->k1 * s->q_k + b->j0;
    }
    return x;
}

static columns packed_columns(const block *b, int64_t j) {
    int64_t cols = GLIA_MIN(b->j1 - j, NR);
    const float *q = b->packed_q + (j - b->j0) / NR * b->packed_step;
    return (columns){ .j = j,
                      .cols = cols,
                      .full = cols > VLEN ? NR : VLEN,
                      .q = { q, NR },
                      .next = j + cols < b->j1 ? q + b->packed_step : NULL };
}

static void run_block(const plan *s, const matrices *m, const block *b, int worker) {
    int64_t finished = b->j0;
    columns x;
    for (int64_t j = b->j0; j < b->j1; j += x.cols) {
        x = s->q_side == DIRECT ? direct_columns(s, m, b, j) : packed_columns(b, j);
        run_columns(s, m, b, &x);
        if (j + x.cols - finished >= STRIPE || j + x.cols == b->j1) {
            finish(s, m, b, worker, finished, j + x.cols);
            finished = j + x.cols;
        }
    }
}

/* ---- phases ------------------------------------------------------------------------------- */

/* What a phase works on: k in [k0, k1), columns in [j0, j1). */
typedef struct phase {
    const plan *s;
    int64_t k0, k1, j0, j1;
    int64_t q_panels; /* to be packed */
} phase;

static int64_t k_blocks(const phase *f) { return GLIA_MAX(1, (f->k1 - f->k0 + K_BLOCK - 1) / K_BLOCK); }

/* Where block `kb` begins. */
static int64_t k_cut(const phase *f, int64_t kb) {
    int64_t k = f->k1 - f->k0, blocks = k_blocks(f);
    return kb == blocks ? f->k1 : f->k0 + k * kb / blocks / K_CHUNK * K_CHUNK;
}

/* Shared panels of P: all of a block of k, then of the next. */
static float *shared_p_panel(const phase *f, int64_t panel_index, int64_t k0, int64_t k) {
    return f->s->shared_p + (k0 - f->k0) * f->s->m_panels * MR + panel_index * MR * k;
}

/* Packs a panel of Q, or one of P. */
static void pack_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const phase *f = context;
    const plan *s = f->s;
    if (piece < f->q_panels) {
        pack_q_panel(s, s->q, s->shared_q + piece * NR * (f->k1 - f->k0), f->j0 + piece * NR, f->k0, f->k1 - f->k0);
        return;
    }
    for (int64_t kb = 0; kb < k_blocks(f); kb++) {
        int64_t k0 = k_cut(f, kb), k = k_cut(f, kb + 1) - k0, panel_index = piece - f->q_panels;
        pack_p_panel(s, s->p, shared_p_panel(f, panel_index, k0, k), panel_index, k0, k);
    }
}

/* Gives the block its panels of Q. */
static void take_q(const phase *f, const matrices *m, block *b, float *private_q) {
    const plan *s = f->s;
    int64_t k = b->k1 - b->k0;
    b->private_q = private_q;
    if (s->q_side == SHARED) {
        const float *before = s->g->packed_b;
        b->packed_step = (before ? s->k : f->k1 - f->k0) * NR;
        b->packed_q =
            (before ? before + b->k0 * NR : s->shared_q + (b->k0 - f->k0) * NR) + (b->j0 - f->j0) / NR * b->packed_step;
    } else if (s->q_side == PRIVATE) {
        b->packed_step = k * NR;
        b->packed_q = private_q;
        for (int64_t j = b->j0; j < b->j1; j += NR) pack_q_panel(s, m->q, private_q + (j - b->j0) * k, j, b->k0, k);
    }
}

/* Gives the block its panels of P. */
static void take_p(const phase *f, const matrices *m, block *b, float *private_p) {
    const plan *s = f->s;
    int64_t k = b->k1 - b->k0;
    if (s->p_side == SHARED) {
        b->packed_p = shared_p_panel(f, b->i0, b->k0, k);
    } else if (s->p_side == PRIVATE) {
        b->packed_p = private_p;
        for (int64_t i = b->i0; i < b->i1; i++) pack_p_panel(s, m->p, private_p + (i - b->i0) * MR * k, i, b->k0, k);
    }
}

/* Part (m_part, n_part) of one matrix. */
static void run_part(const phase *f, const matrices *m, int worker, int64_t m_part, int64_t n_part) {
    const plan *s = f->s;
    float *private_p = s->private + worker * s->worker_floats, *private_q = private_p + s->p_floats;
    int64_t panels = (f->j1 - f->j0 + NR - 1) / NR;
    int64_t j0 = f->j0 + panels * n_part / s->n_parts * NR, j1 = f->j0 + panels * (n_part + 1) / s->n_parts * NR;
    int64_t i_low = s->m_panels * m_part / s->m_parts, i_high = s->m_panels * (m_part + 1) / s->m_parts;
    const int64_t p_panels = i_high - i_low, blocks = GLIA_MAX(1, (p_panels + BLOCK_PANELS / 2) / BLOCK_PANELS);
    j1 = GLIA_MIN(j1, f->j1);
    if (j0 >= j1) return;
    for (int64_t kb = 0; kb < k_blocks(f); kb++) {
        block b = { .k0 = k_cut(f, kb), .k1 = k_cut(f, kb + 1), .j0 = j0, .j1 = j1 };
        b.add = s->g->accumulate || b.k0 > 0;
        b.last = b.k1 == s->k;
        take_q(f, m, &b, private_q);
        for (int64_t i = 0; i < blocks; i++) {
            b.i0 = i_low + p_panels * i / blocks, b.i1 = i_low + p_panels * (i + 1) / blocks;
            take_p(f, m, &b, private_p);
            run_block(s, m, &b, worker);
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
    f.j1 = s->n;
    if ((s->q_side != SHARED || s->g->packed_b) && s->p_side != SHARED) {
        glia_parallel_for(pool, pieces, product_piece, &f);
        return;
    }
    for (f.j0 = 0; f.j0 < s->n; f.j0 = f.j1) {
        f.j1 = GLIA_MIN(f.j0 + s->nc, s->n);
        f.q_panels = s->q_side == SHARED && !s->g->packed_b ? (f.j1 - f.j0 + NR - 1) / NR : 0;
        for (f.k0 = 0; f.k0 < s->k || f.k0 == 0; f.k0 = f.k1) {
            f.k1 = GLIA_MIN(f.k0 + s->k_outer, s->k);
            int64_t panels = f.q_panels + (s->p_side == SHARED ? s->m_panels : 0);
            glia_parallel_for(pieces > 1 ? pool : NULL, panels, pack_piece, &f);
            glia_parallel_for(pool, pieces, product_piece, &f);
            if (f.k1 == s->k) break;
        }
    }
}

/* ---- dot products ------------------------------------------------------------------------- */

/* The last K elements, less than a vector, are read as a whole vector that ends with them, minus the lanes already
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
            if (t % LINE == 0) __builtin_prefetch(q + (j + cols) * q_j + t); /* for the next tile */
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

/* rows x cols of C at (i, j). */
static void dot_rows(const plan *s, const matrices *m, int64_t i, int64_t rows, int64_t j, int64_t cols) {
    const float *p = m->p + i * s->p_i, *q = m->q + j * s->q_j;
    float sums[DOT_ROWS * 4];
    if (cols == 4)
        dot_4(rows, s->k, p, s->p_i, q, s->q_j, sums);
    else
        dot_1(rows, s->k, p, s->p_i, q, sums);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t l = 0; l < cols; l++) {
            float *c = c_at(s, m->c, i + r, j + l);
            *c = s->g->accumulate ? *c + sums[r * 4 + l] : sums[r * 4 + l];
        }
    }
}

static void dot_matrix(const plan *s, const matrices *m, int worker, int64_t j0, int64_t j1) {
    for (int64_t j = j0, cols; j < j1; j += cols) {
        cols = j1 - j >= 4 ? 4 : 1;
        for (int64_t i = 0; i < s->m; i += DOT_ROWS) dot_rows(s, m, i, GLIA_MIN(DOT_ROWS, s->m - i), j, cols);
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
    s.shared_q = scratch;
    s.shared_p = s.shared_q + s.shared_q_floats;
    s.private = s.shared_p + s.shared_p_floats;
    if (s.dot)
        glia_parallel_for(pool, (s.batches + s.together - 1) / s.together * s.n_parts, dot_piece, &s);
    else
        run_phases(pool, &s);
}

static int64_t plan_floats(const glia_gemm *g, int workers) {
    plan s = make_plan(g);
    return round_up(s.shared_q_floats + s.shared_p_floats + workers * s.worker_floats, 16);
}

/* Rows of C as sums of those of all parts, and what follows for them. */
typedef struct addition {
    const glia_gemm *g;
    const float *partial;
    int64_t parts;
} addition;

static void add_rows(void *context, int64_t piece, int worker) {
    const addition *a = context;
    const glia_gemm *g = a->g;
    const int64_t first = piece * SUM_ROWS, end = GLIA_MIN(g->m, first + SUM_ROWS);
    for (int64_t i = first; i < end; i++) {
        for (int64_t j = 0; j < g->n; j += VLEN) {
            const int64_t n = GLIA_MIN(VLEN, g->n - j);
            float *c = g->c + i * g->ldc + j;
            vf sum = g->accumulate ? vf_load_first(c, n) : (vf){ 0 };
            for (int64_t k = 0; k < a->parts; k++) sum += vf_load_first(a->partial + (k * g->m + i) * g->n + j, n);
            vf_store_first(c, sum, n);
        }
    }
    const glia_epilogue *e = &g->epilogue;
    if (e->fn) e->fn(e->context, worker, 0, first, end - first, 0, g->n, g->c + first * g->ldc, g->ldc);
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
    const addition sum = { g, partial, parts };
    glia_parallel_for(pool, (g->m + SUM_ROWS - 1) / SUM_ROWS, add_rows, (void *)(uintptr_t)&sum);
}

/* ---- B packed before ---------------------------------------------------------------------- */

size_t GLIA_KERNEL(gemm_f32_pack_bytes)(const glia_gemm *g) {
    bool same = g->batch[0] * g->batch[1] == 1 || (!g->b_stride[0] && !g->b_stride[1]);
    if (!same || g->m <= WIDE_MR || g->n < 1 || g->k < 1 || split_parts(g) > 1) return 0;
    if (make_plan(g).dot) return 0; /* faster than with a packed B */
    return (size_t)(round_up(g->n, NR) * g->k) * sizeof(float);
}

void GLIA_KERNEL(gemm_f32_pack)(glia_pool *pool, const glia_gemm *g, void *packed) {
    glia_gemm packing = *g;
    packing.packed_b = packed;
    plan s = make_plan(&packing);
    s.shared_q = packed;
    phase f = { .s = &s, .k1 = s.k, .j1 = s.n, .q_panels = s.n_panels };
    glia_parallel_for(pool, f.q_panels, pack_piece, &f);
}

/* ---- entry -------------------------------------------------------------------------------- */

size_t GLIA_KERNEL(gemm_f32_scratch)(const glia_gemm *g, int workers) {
    int64_t parts = split_parts(g), floats;
    if (parts > 1) {
        glia_gemm part = split_gemm(g, parts, g->c), last = part;
        last.batch[1] = 1, last.k = g->k - part.k * parts;
        floats = round_up(parts * g->m * g->n, 16) + GLIA_MAX(plan_floats(&part, workers), plan_floats(&last, 1));
    } else {
        floats = plan_floats(g, workers);
        if (GLIA_KERNEL(gemm_f32_pack_bytes)(g)) {
            glia_gemm packed = *g;
            packed.packed_b = g; /* any address */
            floats = GLIA_MAX(floats, plan_floats(&packed, workers));
        }
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
