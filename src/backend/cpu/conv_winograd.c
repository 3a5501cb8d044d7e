/* conv_winograd.c - convolution with kernels of 3 x 3, by fewer products.
 *
 * Winograd's minimal filtering as Lavin and Gray 2015 ("Fast algorithms for convolutional neural networks") apply it. The
 * result is cut into tiles of m x m pixels, m = 2 or 4, each of which reads a x a of the input, a = m + 2:
 *
 *     Y = A' [ sum over channels of (G g G') . (B' d B) ] A           d: the input of a tile, g: the kernel, ' transposed
 *
 * The product in the middle is elementwise, so over all tiles, channels and filters it is a a matrix products: 16 for 4
 * pixels, or 36 for 16, where direct convolution has 9 for each pixel. A piece are some tiles, worked on by one thread:
 *
 *     V  [a a][tile][channel]       B' d B
 *     U  [panel][a a][channel][column]      G g G', packed once for all
 *     M  [a a][tile][column]        V U for one panel, from which its columns of the result are made
 *
 * Errors are those of the sums in V and M: about that of direct convolution for m = 2, some times that for m = 4 (docs/
 * performance.md). What is infinite or NaN in the input makes NaN of its tiles, up to m + 1 pixels away. The adjoint in
 * the input is such a convolution too, by the flipped kernel.
 */
#include "backend/cpu/conv.h"

enum {
    TAPS = 9,
    LARGEST = 4,          /* m */
    CHUNK = 16,           /* channels of the kernel that are packed together */
    V_FLOATS = 1 << 18,   /* of a piece: half of the second-level cache */
    MOST_TILES = 128,     /* of a piece, */
    LEAST_TILES = 2 * MR, /* unless there are fewer */
    MIN_PIECES = 8,       /* if there is work for them */
    WIDEST = 1 << 12      /* tiles beside each other */
};

typedef struct job {
    int64_t n, c, k;               /* images; channels summed over, channels of the result */
    int64_t in[2], out[2], pad[2]; /* rows and columns */
    int64_t m, a;
    int64_t down, across;          /* tiles of an image */
    int64_t images, lines, pieces; /* of a piece: images, or images being 0 lines of tiles of one image */
    int64_t tiles;                 /* of a piece, at most */
    int64_t v_step, m_step;        /* from one matrix of V and M to the next: not all at one place of the cache */
    int64_t v_floats, m_floats, border_floats, worker_floats;
    packing pack;
    const float *x, *kernel, *packed;
    float *y, *to, *private;
    glia_epilogue epilogue;
} job;

/* ---- planning ----------------------------------------------------------------------------- */

static bool is_suited(const glia_conv_shape *s) {
    for (int i = 1; i < 3; i++) {
        if (s->kernel[i] != 3 || s->stride[i] != 1 || s->dilation[i] != 1 || s->pad[i] > 2) return false;
        if (s->out[i] < 2 || s->in[i] < 1 || s->out[i] > WIDEST) return false;
    }
    return s->in[0] == 1 && s->out[0] == 1 && s->kernel[0] == 1 && s->pad[0] == 0 && s->groups == 1 && s->n > 0 &&
           s->c >= VLEN && s->k >= VLEN;
}

static void choose_pieces(job *j) {
    const int64_t tiles = j->down * j->across, most = V_FLOATS / (j->a * j->a * j->c);
    int64_t want = GLIA_MIN(GLIA_MAX(LEAST_TILES, most), MOST_TILES);
    want = GLIA_MAX(GLIA_MIN(want, j->n * tiles / MIN_PIECES), LEAST_TILES);
    if (tiles <= want) {
        j->images = divide_up(j->n, divide_up(j->n, GLIA_MIN(j->n, want / tiles)));
        j->pieces = divide_up(j->n, j->images);
        j->tiles = j->images * tiles;
        return;
    }
    j->images = 0;
    j->lines = divide_up(j->down, divide_up(j->down, GLIA_MAX(1, want / j->across)));
    j->pieces = j->n * divide_up(j->down, j->lines);
    j->tiles = j->lines * j->across;
}

static void take_tiles(job *j, int64_t m) {
    j->m = m, j->a = m + 2;
    j->down = divide_up(j->out[0], m), j->across = divide_up(j->out[1], m);
    choose_pieces(j);
}

/* What it takes in multiply-adds of vectors, roughly: products; additions, loads and stores of the transforms; making the
 * kernel's, and reading it for each piece. */
static double cost_in_tiles(const job *j) {
    enum { TRANSFORM_2 = 200, TRANSFORM_4 = 550, MAKE = 50, READ = 12 };
    const double matrices = (double)(j->a * j->a), columns = panel_cost(j->k), c = (double)j->c;
    const double transform = j->m == 2 ? TRANSFORM_2 : TRANSFORM_4;
    const double tile =
        matrices * (c + 6) * columns + transform * (double)(divide_up(j->c, VLEN) + divide_up(j->k, VLEN));
    return (double)(j->n * j->down * j->across) * tile + matrices * c * columns * (double)(MAKE + READ * j->pieces);
}

/* Chooses m, 0 if direct convolution is cheaper, and pieces. */
static void choose_tiles(job *j) {
    double least = 1.05 * (double)(j->n * j->out[0] * j->out[1] * TAPS * j->c) * panel_cost(j->k);
    int64_t best = 0;
    for (int64_t m = 2; m <= LARGEST; m += 2) {
        take_tiles(j, m);
        const double cost = cost_in_tiles(j);
        if (cost < least) least = cost, best = m;
    }
    if (best)
        take_tiles(j, best);
    else
        j->m = 0;
}

/* m is 0 where another way is cheaper. */
static job make_job(const glia_conv_shape *s, bool adjoint) {
    job j = { .n = s->n, .c = adjoint ? s->k : s->c, .k = adjoint ? s->c : s->k };
    if (!is_suited(s)) return j;
    for (int i = 0; i < 2; i++) {
        j.in[i] = adjoint ? s->out[i + 1] : s->in[i + 1], j.out[i] = adjoint ? s->in[i + 1] : s->out[i + 1];
        j.pad[i] = adjoint ? 2 - s->pad[i + 1] : s->pad[i + 1];
    }
    choose_tiles(&j);
    if (!j.m) return j;
    j.pack = (packing){ .order = adjoint ? PACK_FLIPPED : PACK_TAPS,
                        .groups = 1,
                        .c = j.c,
                        .k = j.k,
                        .cols = j.k,
                        .taps = TAPS,
                        .chunk = CHUNK,
                        .c_step = (adjoint ? j.k : 1) * TAPS,
                        .k_step = (adjoint ? 1 : j.c) * TAPS };
    j.v_step = round_up(j.tiles * j.c, 16) + 16, j.m_step = j.tiles * panel_width(GLIA_MIN(j.k, NR)) + 16;
    j.v_floats = j.a * j.a * j.v_step, j.m_floats = j.a * j.a * j.m_step;
    j.border_floats = round_up(j.a * j.a * j.c, 16);
    j.worker_floats = j.v_floats + j.m_floats + j.border_floats;
    return j;
}

static int64_t kernel_floats(const job *j) { return j->a * j->a * j->c * padded(j->k); }

/* ---- transforms --------------------------------------------------------------------------- */

/* B' d for a vector of a values, `step` vectors apart. */
GLIA_INLINE void input_transform(const int m, const vf *d, const int step, vf *to) {
    const vf d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    if (m == 2) {
        to[0] = d0 - d2;
        to[step] = d1 + d2;
        to[2 * step] = d2 - d1;
        to[3 * step] = d1 - d3;
        return;
    }
    const vf d4 = d[4 * step], d5 = d[5 * step];
    const vf even = d4 - 4.0f * d2, odd = d3 - 4.0f * d1, even2 = d4 - d2, odd2 = d3 - d1;
    to[0] = 4.0f * d0 + (d4 - 5.0f * d2);
    to[step] = even + odd;
    to[2 * step] = even - odd;
    to[3 * step] = even2 + 2.0f * odd2;
    to[4 * step] = even2 - 2.0f * odd2;
    to[5 * step] = 4.0f * d1 + (d5 - 5.0f * d3);
}

/* A' p: m values from a. */
GLIA_INLINE void output_transform(const int m, const vf *p, const int step, vf *to, const int to_step) {
    if (m == 2) {
        to[0] = p[0] + p[step] + p[2 * step];
        to[to_step] = p[step] - p[2 * step] - p[3 * step];
        return;
    }
    const vf sum = p[step] + p[2 * step], difference = p[step] - p[2 * step];
    const vf sum2 = p[3 * step] + p[4 * step], difference2 = p[3 * step] - p[4 * step];
    to[0] = p[0] + sum + sum2;
    to[to_step] = difference + 2.0f * difference2;
    to[2 * to_step] = sum + 4.0f * sum2;
    to[3 * to_step] = difference + 8.0f * difference2 + p[5 * step];
}

/* G g: a values from three. */
GLIA_INLINE void kernel_transform(const int m, const vf *g, const int step, vf *to, const int to_step) {
    const vf g0 = g[0], g1 = g[step], g2 = g[2 * step];
    if (m == 2) {
        const vf ends = 0.5f * (g0 + g2), middle = 0.5f * g1;
        to[0] = g0;
        to[to_step] = ends + middle;
        to[2 * to_step] = ends - middle;
        to[3 * to_step] = g2;
        return;
    }
    const vf ends = (-1.0f / 6) * (g0 + g2), middle = (-1.0f / 6) * g1;
    const vf ends2 = (1.0f / 24) * g0 + (1.0f / 6) * g2, middle2 = (1.0f / 12) * g1;
    to[0] = 0.25f * g0;
    to[to_step] = ends + middle;
    to[2 * to_step] = ends - middle;
    to[3 * to_step] = ends2 + middle2;
    to[4 * to_step] = ends2 - middle2;
    to[5 * to_step] = g2;
}

/* ---- the kernel --------------------------------------------------------------------------- */

/* From taps [tap][channel][column] of n channels of a panel to [a a][channel][column], those step floats apart. */
GLIA_INLINE void transform_kernel(const int m, const float *taps, int64_t n, int64_t width, float *to, int64_t step) {
    enum { MOST = LARGEST + 2 };
    const int a = m + 2;
    for (int64_t i = 0; i < n * width; i += VLEN) {
        vf g[TAPS], half[3 * MOST], u[MOST * MOST];
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
    float *to = j->to + panel * NR * j->a * j->a * j->c + c0 * width;
    GLIA_KERNEL(conv_pack)(&j->pack, j->kernel, 0, panel, c0, taps);
    if (j->m == 2)
        transform_kernel(2, taps, n, width, to, j->c * width);
    else
        transform_kernel(4, taps, n, width, to, j->c * width);
}

static void pack(glia_pool *pool, job *j, const float *kernel, float *packed) {
    j->kernel = kernel, j->to = packed;
    glia_parallel_for(pool, panels_of(j->k) * divide_up(j->c, CHUNK), pack_piece, j);
}

/* ---- pieces ------------------------------------------------------------------------------- */

/* The image, and the first row and column, of a piece's tile. */
typedef struct place {
    int64_t image, row, column;
} place;

typedef struct part {
    int64_t image, line, tiles; /* the first tile's image and line; how many there are */
} part;

static part part_of(const job *j, int64_t piece) {
    if (j->images) {
        const int64_t image = piece * j->images;
        return (part){ image, 0, GLIA_MIN(j->images, j->n - image) * j->down * j->across };
    }
    const int64_t parts = divide_up(j->down, j->lines), line = piece % parts * j->lines;
    return (part){ piece / parts, line, GLIA_MIN(j->lines, j->down - line) * j->across };
}

static place place_of_tile(const job *j, const part *p, int64_t tile) {
    const int64_t line = p->line + tile / j->across;
    return (place){ p->image + line / j->down, line % j->down * j->m, tile % j->across * j->m };
}

/* What a tile reads, with zeros around the image. */
static void copy_border(const job *j, const place *p, float *to) {
    const int64_t y0 = p->row - j->pad[0], x0 = p->column - j->pad[1], c = j->c;
    memset(to, 0, (size_t)(j->a * j->a * c) * sizeof(float));
    const int64_t from = GLIA_MAX(0, -x0), stop = GLIA_MIN(j->a, j->in[1] - x0);
    for (int64_t i = GLIA_MAX(0, -y0); i < GLIA_MIN(j->a, j->in[0] - y0) && from < stop; i++) {
        const float *line = j->x + ((p->image * j->in[0] + y0 + i) * j->in[1] + x0 + from) * c;
        memcpy(to + (i * j->a + from) * c, line, (size_t)((stop - from) * c) * sizeof(float));
    }
}

/* B' d B of one tile, whose rows begin row floats apart; v: those of tile 0 of V, step floats apart. */
GLIA_INLINE void transform_tile(const int m, const float *d, int64_t row, int64_t c, float *v, int64_t step) {
    enum { MOST = LARGEST + 2 };
    const int a = m + 2;
    for (int64_t i = 0; i < c; i += VLEN) {
        const int64_t lanes = GLIA_MIN(VLEN, c - i);
        vf x[MOST * MOST];
        GLIA_UNROLL for (int r = 0; r < a; r++) {
            GLIA_UNROLL for (int k = 0; k < a; k++) {
                const float *at = d + r * row + k * c + i;
                x[a * r + k] = lanes == VLEN ? vf_load(at) : vf_load_first(at, lanes);
            }
            input_transform(m, x + a * r, 1, x + a * r);
        }
        GLIA_UNROLL for (int k = 0; k < a; k++) input_transform(m, x + k, a, x + k);
        if (lanes == VLEN) {
            GLIA_UNROLL for (int f = 0; f < a * a; f++) vf_store(v + f * step + i, x[f]);
        } else {
            for (int f = 0; f < a * a; f++) vf_store_first(v + f * step + i, x[f], lanes);
        }
    }
}

static void transform_input(const job *j, const part *p, float *v, float *border) {
    for (int64_t tile = 0; tile < p->tiles; tile++) {
        const place at = place_of_tile(j, p, tile);
        const int64_t y = at.row - j->pad[0], x = at.column - j->pad[1];
        const bool inside = y >= 0 && x >= 0 && y + j->a <= j->in[0] && x + j->a <= j->in[1];
        const float *d = inside ? j->x + ((at.image * j->in[0] + y) * j->in[1] + x) * j->c : border;
        const int64_t row = (inside ? j->in[1] : j->a) * j->c;
        if (!inside) copy_border(j, &at, border);
        if (j->m == 2)
            transform_tile(2, d, row, j->c, v + tile * j->c, j->v_step);
        else
            transform_tile(4, d, row, j->c, v + tile * j->c, j->v_step);
    }
}

/* M of one panel. */
static void multiply(const job *j, int64_t tiles, int64_t panel, const float *v, float *products) {
    const int64_t cols = panel_cols(j->k, panel), width = panel_width(cols), blocks = divide_up(tiles, MR);
    const glia_micro_fn *fns = GLIA_KERNEL(micro)[TILE_LINES][cols > VLEN ? TILE_FULL : TILE_HALF];
    int64_t c_at[MR];
    for (int r = 0; r < MR; r++) c_at[r] = r * width;
    glia_micro_args t = { .k = j->c, .p_row = j->c, .q_step = width, .c_at = c_at };
    for (int64_t f = 0; f < j->a * j->a; f++) {
        t.q = j->packed + (panel * NR * j->a * j->a + f * width) * j->c;
        for (int64_t b = 0; b < blocks; b++) {
            const int64_t from = tiles * b / blocks, to = tiles * (b + 1) / blocks;
            t.p = v + f * j->v_step + from * j->c, t.c = products + f * j->m_step + from * width;
            fns[to - from - 1](&t);
        }
    }
}

/* A' M A of a vector of columns of one tile: rows x columns of them to y, `lanes` columns. */
GLIA_INLINE void finish_tile(const int m, const float *products, int64_t step, float *y, int64_t row, int64_t pixel,
                             int64_t rows, int64_t columns, int64_t lanes) {
    enum { MOST = LARGEST + 2 };
    const int a = m + 2;
    vf half[LARGEST * MOST], to[LARGEST * LARGEST];
    GLIA_UNROLL for (int k = 0; k < a; k++) {
        vf p[MOST];
        GLIA_UNROLL for (int r = 0; r < a; r++) p[r] = vf_load(products + (a * r + k) * step);
        output_transform(m, p, 1, half + k, a);
    }
    GLIA_UNROLL for (int r = 0; r < m; r++) output_transform(m, half + a * r, 1, to + m * r, 1);
    if (rows == m && columns == m && lanes == VLEN) {
        GLIA_UNROLL for (int r = 0; r < m; r++) {
            GLIA_UNROLL for (int k = 0; k < m; k++) vf_store(y + r * row + k * pixel, to[m * r + k]);
        }
        return;
    }
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t k = 0; k < columns; k++) vf_store_first(y + r * row + k * pixel, to[m * r + k], lanes);
    }
}

static void transform_output(const job *j, const part *p, int64_t panel, const float *products) {
    const int64_t cols = panel_cols(j->k, panel), width = panel_width(cols), row = j->out[1] * j->k;
    for (int64_t tile = 0; tile < p->tiles; tile++) {
        const place at = place_of_tile(j, p, tile);
        const int64_t rows = GLIA_MIN(j->m, j->out[0] - at.row), columns = GLIA_MIN(j->m, j->out[1] - at.column);
        float *y = j->y + ((at.image * j->out[0] + at.row) * j->out[1] + at.column) * j->k + panel * NR;
        for (int64_t i = 0; i < cols; i += VLEN) {
            const float *from = products + tile * width + i;
            const int64_t lanes = GLIA_MIN(VLEN, cols - i);
            if (j->m == 2)
                finish_tile(2, from, j->m_step, y + i, row, j->k, rows, columns, lanes);
            else
                finish_tile(4, from, j->m_step, y + i, row, j->k, rows, columns, lanes);
        }
    }
}

static void run_piece(void *context, int64_t piece, int worker) {
    const job *j = context;
    float *v = j->private + worker * j->worker_floats, *products = v + j->v_floats, *border = products + j->m_floats;
    const part p = part_of(j, piece);
    transform_input(j, &p, v, border);
    for (int64_t panel = 0; panel < panels_of(j->k); panel++) {
        multiply(j, p.tiles, panel, v, products);
        transform_output(j, &p, panel, products);
    }
    if (!j->epilogue.fn) return;
    const int64_t first = (p.image * j->out[0] + p.line * j->m) * j->out[1];
    const int64_t rows = j->images ? p.tiles / j->across / j->down * j->out[0]
                                   : GLIA_MIN(p.tiles / j->across * j->m, j->out[0] - p.line * j->m);
    j->epilogue.fn(j->epilogue.context, worker, 0, first, rows * j->out[1], 0, j->k, j->y + first * j->k, j->k);
}

/* ---- entries ------------------------------------------------------------------------------ */

int64_t GLIA_KERNEL(winograd_floats)(const glia_conv_shape *s, bool adjoint) {
    const job j = make_job(s, adjoint);
    return j.m ? kernel_floats(&j) : 0;
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
                               const float *packed, float *y, glia_epilogue epilogue, float *scratch) {
    job j = make_job(s, adjoint);
    j.x = x, j.packed = packed, j.y = y, j.epilogue = epilogue, j.private = scratch;
    glia_parallel_for(pool, j.pieces, run_piece, &j);
}
