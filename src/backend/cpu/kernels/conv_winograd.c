/* conv_winograd.c - convolution with kernels of 3 x 3, by fewer products.
 *
 * conv_winograd.h defines the computation. A piece is some tiles, processed by one thread:
 *
 *     V  [a a][tile][channel]       B' d B
 *     U  [panel][a a][channel][column]      G g G', packed once for all
 *     M  [a a][tile][column]        V U for one panel, from which its columns of the result are made
 *
 * Errors are those of the sums in V and M: about that of direct convolution for m = 2, a few times that for m = 4.
 * Infinite values or NaN in the input spoil whole tiles; their results are recomputed (conv_exact.c). The adjoint in
 * the input is the same convolution with the flipped kernel.
 */
#include "backend/cpu/kernels/conv_winograd.h"

enum {
    CHUNK = 16,           /* channels of the kernel that are packed together */
    V_FLOATS = 1 << 18,   /* of a piece: half of the second-level cache */
    MOST_TILES = 128,     /* of a piece, */
    LEAST_TILES = 2 * MR, /* unless there are fewer */
    MIN_PIECES = 8,       /* if there is work for them */
    MIN_PARTS = 4,        /* of fewer pieces, cut by panels; each part transforms the input again */
    PART_PANELS = 2,      /* in a part at least */
    MOST_FLOATS = 1 << 24 /* of a packed kernel, which is up to 4 times as large as it was */
};

typedef struct job {
    tiling t;
    int64_t c, k;           /* channels summed over, channels of the result */
    int64_t parts;          /* of a piece */
    bool fixed;             /* the kernel is packed once */
    int64_t v_step, m_step; /* between matrices of V and M: avoids equal cache sets */
    int64_t v_floats, m_floats, border_floats, worker_floats;
    packing pack;
    const float *x, *kernel, *packed;
    float *y, *to, *private;
    exact_sum exact;
    glia_epilogue epilogue;
} job;

/* ---- planning ----------------------------------------------------------------------------- */

static void take_tiles(job *j, int64_t m) {
    const int64_t most = V_FLOATS / ((m + 2) * (m + 2) * j->c);
    const int64_t want = GLIA_MIN(GLIA_MIN(most, MOST_TILES), count_tiles(&j->t, m) / MIN_PIECES);
    cut_tiles(&j->t, m, GLIA_MAX(LEAST_TILES, want));
}

static int64_t kernel_floats(const job *j) { return j->t.a * j->t.a * j->c * padded(j->k); }

/* Approximate cost in multiply-adds of vectors: products; additions, loads and stores of the transforms; transforming
 * the kernel, and reading it for each piece. */
static double cost_in_tiles(const job *j) {
    enum { TRANSFORM_2 = 200, TRANSFORM_4 = 550, MAKE = 50, READ = 12 };
    const tiling *t = &j->t;
    const double matrices = (double)(t->a * t->a), columns = panel_cost(j->k), c = (double)j->c;
    const double transform = t->m == 2 ? TRANSFORM_2 : TRANSFORM_4;
    const double tile =
        matrices * (c + 6) * columns + transform * (double)(divide_up(j->c, VLEN) + divide_up(j->k, VLEN));
    const double kernel = (double)((j->fixed ? 0 : MAKE) + READ * t->pieces);
    return (double)count_tiles(t, t->m) * tile + matrices * c * columns * kernel;
}

/* Chooses m and the pieces; m is 0 if direct convolution is cheaper. */
static void choose_tiles(job *j) {
    const tiling *t = &j->t;
    double least = 1.05 * (double)(t->n * t->out[0] * t->out[1] * TAPS * j->c) * panel_cost(j->k);
    int64_t best = 0;
    for (int64_t m = 2; m <= LARGEST; m += 2) {
        take_tiles(j, m);
        const double cost = cost_in_tiles(j);
        if (kernel_floats(j) <= MOST_FLOATS && cost < least) least = cost, best = m;
    }
    if (best)
        take_tiles(j, best);
    else
        j->t.m = 0;
}

/* m is 0 if another method is cheaper. */
static job make_job(const glia_conv_shape *s, bool adjoint) {
    job j = { .t = tiling_of(s, adjoint), .c = adjoint ? s->k : s->c, .k = adjoint ? s->c : s->k };
    j.fixed = s->fixed;
    if (!suits_tiles(s)) return j;
    choose_tiles(&j);
    if (!j.t.m) return j;
    j.parts = GLIA_MAX(1, GLIA_MIN(divide_up(MIN_PARTS, j.t.pieces), panels_of(j.k) / PART_PANELS));
    const int64_t matrices = j.t.a * j.t.a;
    j.pack = (packing){ .order = adjoint ? PACK_FLIPPED : PACK_TAPS,
                        .groups = 1,
                        .c = j.c,
                        .k = j.k,
                        .cols = j.k,
                        .taps = TAPS,
                        .chunk = CHUNK,
                        .c_step = (adjoint ? j.k : 1) * TAPS,
                        .k_step = (adjoint ? 1 : j.c) * TAPS };
    j.v_step = round_up(j.t.tiles * j.c, 16) + 16, j.m_step = j.t.tiles * panel_width(GLIA_MIN(j.k, NR)) + 16;
    j.v_floats = matrices * j.v_step, j.m_floats = matrices * j.m_step;
    j.border_floats = round_up(matrices * j.c, 16);
    j.worker_floats = j.v_floats + j.m_floats + j.border_floats;
    return j;
}

/* ---- the kernel --------------------------------------------------------------------------- */

/* Transforms taps [tap][channel][column] of n channels of a panel to [a a][channel][column], matrices step floats
 * apart. */
GLIA_INLINE void transform_kernel(const int m, const float *taps, int64_t n, int64_t width, float *to, int64_t step) {
    const int a = m + 2;
    for (int64_t i = 0; i < n * width; i += VLEN) {
        vf g[TAPS], half[3 * LARGEST_INPUT], u[LARGEST_INPUT * LARGEST_INPUT];
        GLIA_UNROLL for (int t = 0; t < TAPS; t++) g[t] = vf_load(taps + t * n * width + i);
        GLIA_UNROLL for (int x = 0; x < 3; x++) kernel_transform(m, g + x, 3, half + x, 3);
        GLIA_UNROLL for (int y = 0; y < a; y++) kernel_transform(m, half + 3 * y, 1, u + a * y, 1);
        GLIA_UNROLL for (int f = 0; f < a * a; f++) vf_store(to + f * step + i, u[f]);
    }
}

static void pack_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const job *j = context;
    const int64_t panels = panels_of(j->k), panel = piece % panels, c0 = piece / panels * CHUNK;
    const int64_t n = GLIA_MIN(CHUNK, j->c - c0), width = panel_width(panel_cols(j->k, panel));
    float taps[TAPS * CHUNK * NR];
    float *to = j->to + panel * NR * j->t.a * j->t.a * j->c + c0 * width;
    GLIA_KERNEL(conv_pack)(&j->pack, j->kernel, 0, panel, c0, taps);
    if (j->t.m == 2)
        transform_kernel(2, taps, n, width, to, j->c * width);
    else
        transform_kernel(4, taps, n, width, to, j->c * width);
}

static void pack(glia_pool *pool, job *j, const float *kernel, float *packed) {
    j->kernel = kernel, j->to = packed;
    glia_parallel_for(pool, panels_of(j->k) * divide_up(j->c, CHUNK), pack_piece, j);
}

/* ---- pieces ------------------------------------------------------------------------------- */

/* Computes M of one panel. */
static void multiply(const job *j, int64_t tiles, int64_t panel, const float *v, float *products) {
    const int64_t cols = panel_cols(j->k, panel), width = panel_width(cols), blocks = divide_up(tiles, MR);
    const int64_t matrices = j->t.a * j->t.a;
    const glia_micro_fn *fns = GLIA_KERNEL(micro)[TILE_LINES][cols > VLEN ? TILE_FULL : TILE_HALF];
    int64_t c_at[MR];
    for (int r = 0; r < MR; r++) c_at[r] = r * width;
    glia_micro_args t = { .k = j->c, .p_row = j->c, .q_step = width, .c_at = c_at, .next_step = width };
    for (int64_t f = 0; f < matrices; f++) {
        t.q = j->packed + (panel * NR * matrices + f * width) * j->c;
        for (int64_t b = 0; b < blocks; b++) {
            const int64_t from = tiles * b / blocks, to = tiles * (b + 1) / blocks;
            t.p = v + f * j->v_step + from * j->c, t.c = products + f * j->m_step + from * width;
            const int64_t asked = b * (j->c / K_CHUNK);
            t.next = f + 1 < matrices && asked < j->c ? t.q + (j->c + asked) * width : NULL;
            fns[to - from - 1](&t);
        }
    }
}

/* Stores `lanes` columns of the rows x columns part of A' M A of one tile to y. Returns 0, or NaN in lanes that contain
 * an infinite value or NaN. */
GLIA_INLINE vf finish_tile(const int m, const float *products, int64_t step, float *y, int64_t row, int64_t pixel,
                             int64_t rows, int64_t columns, int64_t lanes) {
    const int a = m + 2;
    vf half[LARGEST * LARGEST_INPUT], to[LARGEST * LARGEST];
    GLIA_UNROLL for (int k = 0; k < a; k++) {
        vf p[LARGEST_INPUT];
        GLIA_UNROLL for (int r = 0; r < a; r++) p[r] = vf_load(products + (a * r + k) * step);
        output_transform(m, p, 1, half + k, a);
    }
    GLIA_UNROLL for (int r = 0; r < m; r++) output_transform(m, half + a * r, 1, to + m * r, 1);
    vf zero = to[0] * 0.0f;
    GLIA_UNROLL for (int f = 1; f < m * m; f++) zero += to[f] * 0.0f;
    if (rows == m && columns == m && lanes == VLEN) {
        GLIA_UNROLL for (int r = 0; r < m; r++) {
            GLIA_UNROLL for (int k = 0; k < m; k++) vf_store(y + r * row + k * pixel, to[m * r + k]);
        }
        return zero;
    }
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t k = 0; k < columns; k++) vf_store_first(y + r * row + k * pixel, to[m * r + k], lanes);
    }
    return zero;
}

/* Computes the results of one panel. False: there may be infinite values or NaN. */
static bool transform_output(const job *j, const tile_range *p, int64_t panel, const float *products) {
    const tiling *t = &j->t;
    const int64_t cols = panel_cols(j->k, panel), width = panel_width(cols), row = t->out[1] * j->k;
    vf zero = { 0 };
    for (int64_t tile = 0; tile < p->tiles; tile++) {
        const place at = place_of_tile(t, p, tile);
        const int64_t rows = GLIA_MIN(t->m, t->out[0] - at.row), columns = GLIA_MIN(t->m, t->out[1] - at.column);
        float *y = j->y + ((at.image * t->out[0] + at.row) * t->out[1] + at.column) * j->k + panel * NR;
        for (int64_t i = 0; i < cols; i += VLEN) {
            const float *from = products + tile * width + i;
            const int64_t lanes = GLIA_MIN(VLEN, cols - i);
            if (t->m == 2)
                zero += finish_tile(2, from, j->m_step, y + i, row, j->k, rows, columns, lanes);
            else
                zero += finish_tile(4, from, j->m_step, y + i, row, j->k, rows, columns, lanes);
        }
    }
    return vf_sum(zero) == 0;
}

static void run_piece(void *context, int64_t piece, int worker) {
    const job *j = context;
    const tiling *t = &j->t;
    float *v = j->private + worker * j->worker_floats, *products = v + j->v_floats, *border = products + j->m_floats;
    const tile_range p = range_of(t, piece / j->parts);
    const int64_t part = piece % j->parts, panels = panels_of(j->k), end = panels * (part + 1) / j->parts;
    const int64_t begin = panels * part / j->parts, col = begin * NR, cols = GLIA_MIN(j->k, end * NR) - col;
    transform_input(t, &p, j->x, j->c, 0, j->c, v, j->v_step, border);
    bool finite = true;
    for (int64_t panel = begin; panel < end; panel++) {
        multiply(j, p.tiles, panel, v, products);
        finite &= transform_output(j, &p, panel, products);
    }
    const int64_t lines = p.tiles / t->across, first = (p.image * t->out[0] + p.line * t->m) * t->out[1];
    const int64_t rows = t->images ? lines / t->down * t->out[0] : GLIA_MIN(lines * t->m, t->out[0] - p.line * t->m);
    if (!finite) GLIA_KERNEL(conv_exact)(&j->exact, first, rows * t->out[1], col, cols);
    if (!j->epilogue.fn) return;
    j->epilogue.fn(j->epilogue.context, worker, 0, first, rows * t->out[1], col, cols,
                   j->y + first * j->k + col, j->k);
}

/* ---- entries ------------------------------------------------------------------------------ */

int64_t GLIA_KERNEL(winograd_floats)(const glia_conv_shape *s, bool adjoint) {
    const job j = make_job(s, adjoint);
    return j.t.m ? kernel_floats(&j) : 0;
}

void GLIA_KERNEL(winograd_pack)(glia_pool *pool, const glia_conv_shape *s, bool adjoint, const float *kernel,
                                float *packed) {
    job j = make_job(s, adjoint);
    pack(pool, &j, kernel, packed);
}

size_t GLIA_KERNEL(winograd_scratch)(const glia_conv_shape *s, bool adjoint, int workers) {
    return (size_t)(workers * make_job(s, adjoint).worker_floats) * sizeof(float);
}

void GLIA_KERNEL(winograd_f32)(glia_pool *pool, const glia_conv_shape *s, bool adjoint, const float *x,
                               const float *kernel, const float *packed, float *y, glia_epilogue epilogue,
                               float *scratch) {
    job j = make_job(s, adjoint);
    j.x = x, j.packed = packed, j.y = y, j.epilogue = epilogue, j.private = scratch;
    j.exact = (exact_sum){ s, adjoint, x, GLIA_KERNEL(conv_view)(s, adjoint, kernel), y };
    glia_parallel_for(pool, j.t.pieces * j.parts, run_piece, &j);
}
