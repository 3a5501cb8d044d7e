/* recurrent.c - recurrent cells over whole sequences, forward and backward.
 *
 * Samples are independent, so the batch is cut into tiles of a few samples, and each tile runs all steps without
 * synchronising between steps. Its states stay in the first-level cache and the packed kernel in the second-level one,
 * from where each panel is read once a step for all rows of the tile. A step is a product of the states with the
 * kernel, by the micro-kernel of all matrix products, and a pass over the gates that also reads and writes their inputs
 * and outputs.
 *
 *     h (rows, P) x packed kernel  ──►  p (rows, G H)  ──►  gates: z, p, c  ──►  h, c, and the requested outputs
 *
 * Backward runs the steps in reverse: dz from the gates, then dh = dz U. The number of tiles depends only on the number
 * of samples.
 */
#include "backend/cpu/kernels/micro.h"
#include "backend/cpu/kernels/rows.h"

enum {
    FEW_SAMPLES = 8,       /* too few for two tiles */
    TILE_SAMPLES = 3 * MR, /* at most: their states fit the first-level cache with a panel of the kernel */
    K_MOST = 192,          /* of a panel at a time */
    PRODUCTS = 3           /* with different factors in one walk, at most */
};

/* A factor B (k, n) of a product, packed in panels of NR columns: the kernel's rows, or its columns. */
typedef struct factor {
    int64_t k, n;
    const float *from;
    int64_t step_k, step_j;
    float *packed;
} factor;

typedef struct walk {
    const glia_recurrence *r;
    int64_t tiles;
    factor factors[PRODUCTS];
    int n_factors;
    int64_t h_step, u_step, p_step; /* of rows of P, H and G H numbers in a tile's memory */
    int64_t tile_floats;            /* of a worker */
    float *memory;
    bool back;
} walk;

/* A tile at work: rows samples from `first`, and its memory. */
typedef struct tile {
    const walk *w;
    const glia_recurrence *r;
    int64_t first, rows, step;    /* step: on the way forward, from 0 */
    float *h, *c, *p, *m, *zeros; /* (rows, P), (rows, H), (rows, G H), (rows, H); backward: dh, dc, ... */
} tile;

/* ---- planning --------------------------------------------------------------------------------- */

static void add_factor(walk *w, factor f) { w->factors[w->n_factors++] = f; }

/* Of h U^T, or d U, for the rows [from, to) of the kernel. */
static void add_kernel(walk *w, int64_t from, int64_t to) {
    const glia_recurrence *r = w->r;
    const float *rows = r->kernel ? r->kernel + from * r->outputs : NULL;
    if (w->back)
        add_factor(w, (factor){ to - from, r->outputs, rows, r->outputs, 1, NULL });
    else
        add_factor(w, (factor){ r->outputs, to - from, rows, 1, r->outputs, NULL });
}

static walk make_walk(const glia_recurrence *r, bool back) {
    walk w = { .r = r, .back = back, .tiles = (r->samples + TILE_SAMPLES - 1) / TILE_SAMPLES };
    if (r->samples >= FEW_SAMPLES) w.tiles += w.tiles % 2;
    const int64_t cut = r->cell == GLIA_CELL_GRU_BEFORE ? 2 * r->units : r->width;
    add_kernel(&w, 0, cut);
    if (cut < r->width) add_kernel(&w, cut, r->width);
    if (r->projection && back) add_factor(&w, (factor){ r->outputs, r->units, r->projection, r->units, 1, NULL });
    if (r->projection && !back) add_factor(&w, (factor){ r->units, r->outputs, r->projection, 1, r->units, NULL });
    /* A vector may be read behind the last number of a row, a panel is written as a whole. */
    w.h_step = round_up(r->outputs, NR) + VLEN;
    w.u_step = round_up(r->units, NR) + VLEN;
    w.p_step = round_up(r->width, NR) + VLEN;
    w.tile_floats = TILE_SAMPLES * (w.h_step + 2 * w.u_step + w.p_step) + GLIA_MAX(w.h_step, w.u_step);
    return w;
}

static int64_t packed_floats(const factor *f) { return round_up(round_up(f->n, NR) * f->k, 16); }

static size_t scratch_of(const glia_recurrence *r, bool back, int workers) {
    const walk w = make_walk(r, back);
    int64_t floats = workers * round_up(w.tile_floats, 16);
    for (int i = 0; i < w.n_factors; i++) floats += packed_floats(&w.factors[i]);
    return (size_t)floats * sizeof(float);
}

static void pack_piece(void *context, int64_t piece, int worker) {
    const walk *w = context;
    (void)worker;
    for (int i = 0; i < w->n_factors; i++) {
        const factor *f = &w->factors[i];
        const int64_t panels = (f->n + NR - 1) / NR;
        if (piece < panels) {
            pack_q(f->packed + piece * NR * f->k, f->from + piece * NR * f->step_j, f->step_k, f->step_j, f->k,
                   GLIA_MIN(NR, f->n - piece * NR));
            return;
        }
        piece -= panels;
    }
}

/* Some columns of a product, k in [k0, k1), for all rows: the first ones bring the panel into the first-level cache,
 * the others prefetch the next one. */
static void multiply_panel(const tile *t, const factor *f, glia_micro_args args, int64_t k0, int64_t k1, int64_t j) {
    const int64_t subtiles = (t->rows + MR - 1) / MR, a_step = args.p_row, out_step = args.c_at[1] - args.c_at[0];
    const float *a = args.p + k0;
    float *out = args.c + j;
    int64_t asked = 0;
    args.k = k1 - k0;
    args.q = f->packed + j * f->k + k0 * NR;
    args.add = args.add || k0 > 0;
    for (int64_t s = 0; s < subtiles; s++) {
        const int64_t row = t->rows * s / subtiles, rows = t->rows * (s + 1) / subtiles - row;
        args.p = a + row * a_step;
        args.c = out + row * out_step;
        args.next = s && asked < args.k && j + NR < f->n ? args.q + f->k * NR + asked * NR : NULL;
        args.next_step = NR;
        if (s) asked += args.k / K_CHUNK;
        GLIA_KERNEL(micro)[TILE_LINES][TILE_FULL][rows - 1](&args);
    }
}

/* out (rows, n) = a (rows, k) times the factor, or that is added to out. */
static void multiply(const tile *t, int which, const float *a, int64_t a_step, float *out, int64_t out_step, bool add) {
    const factor *f = &t->w->factors[which];
    const int64_t blocks = (f->k + K_MOST - 1) / K_MOST;
    int64_t at[MR];
    for (int64_t i = 0; i < MR; i++) at[i] = i * out_step;
    const glia_micro_args args = { .p = a, .p_row = a_step, .q_step = NR, .c = out, .c_at = at, .add = add };
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t k0 = f->k * b / blocks / K_CHUNK * K_CHUNK;
        const int64_t k1 = b + 1 == blocks ? f->k : f->k * (b + 1) / blocks / K_CHUNK * K_CHUNK;
        for (int64_t j = 0; j < f->n; j += NR) multiply_panel(t, f, args, k0, k1, j);
    }
}

/* ---- rows ------------------------------------------------------------------------------------- */

GLIA_INLINE vf load(const float *p, int64_t n) { return n == VLEN ? vf_load(p) : vf_load_first(p, n); }

GLIA_INLINE void store(float *p, vf v, int64_t n) {
    if (n == VLEN)
        vf_store(p, v);
    else
        vf_store_first(p, v, n);
}

static int64_t time_of(const tile *t, int64_t step) { return t->r->reverse ? t->r->steps - 1 - step : step; }

/* Which of all rows (T N) is sample `i` of the tile at this step. */
static int64_t row_of(const tile *t, int64_t step, int64_t i) {
    return time_of(t, step) * t->r->samples + t->first + i;
}

static bool is_padding(const tile *t, int64_t step, int64_t i) {
    return t->r->lengths && time_of(t, step) >= t->r->lengths[t->first + i];
}

static void clear(float *p, int64_t row, int64_t n) {
    if (p) memset(p + row * n, 0, (size_t)n * sizeof *p);
}

static void copy(float *to, const float *from, int64_t n) { memcpy(to, from, (size_t)n * sizeof *to); }

/* Row `row` of a block with rows of n numbers; NULL if there is none. */
static float *row_at(float *block, int64_t row, int64_t n) { return block ? block + row * n : NULL; }

/* Prefetches a vector of each of `n` gates of the next sample, which follows this one's. */
GLIA_INLINE void prefetch_next(const float *p, int64_t gates, int64_t units, int64_t u, const int n) {
    GLIA_UNROLL for (int k = 0; k < n; k++) __builtin_prefetch(p + gates * units + k * units + u);
}
GLIA_INLINE void ask_next_room(const float *p, int64_t gates, int64_t units, int64_t u, const int n) {
    GLIA_UNROLL for (int k = 0; k < n; k++) __builtin_prefetch(p + gates * units + k * units + u, 1);
}

/* ---- gates ------------------------------------------------------------------------------------ */

/* tanh(x) as x p(x^2) / q(x^2), a minimax quotient (the coefficients are those of Eigen's float tanh); beyond the limit
 * it is 1 to the last place. Within 4e-7: as exact as a sum of gates' inputs, and much faster than a tanh that is
 * accurate for small results. */
GLIA_INLINE vf gate_tanh(vf x) {
    const vf limit = vf_set(7.90531110763549805f);
    x = vf_lower(limit, vf_upper(-limit, x)); /* NaN is kept */
    const vf z = x * x;
    vf p = z * -2.76076847742355e-16f + 2.00018790482477e-13f;
    p = p * z - 8.60467152213735e-11f;
    p = p * z + 5.12229709037114e-08f;
    p = p * z + 1.48572235717979e-05f;
    p = p * z + 6.37261928875436e-04f;
    p = p * z + 4.89352455891786e-03f;
    vf q = z * 1.19825839466702e-06f + 1.18534705686654e-04f;
    q = q * z + 2.26843463243900e-03f;
    q = q * z + 4.89352518554385e-03f;
    return p * x * vf_reciprocal(q);
}

GLIA_INLINE vf gate_sigmoid(vf x) { return gate_tanh(0.5f * x) * 0.5f + 0.5f; }

/* ---- forward: the gates of a sample ----------------------------------------------------------- */

/* c and the result, from z and the product p. kept: NULL, or room for the gates. h: where o tanh(c) goes. */
static void lstm_row(const tile *t, const float *z, const float *p, float *c, float *h, float *kept) {
    const int64_t units = t->r->units;
    const float *peephole = t->r->peephole;
    for (int64_t u = 0; u < units; u += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, units - u);
        prefetch_next(z, 4, units, u, 4);
        if (kept) ask_next_room(kept, 4, units, u, 4);
        const vf before = vf_load(c + u);
        vf i = load(z + u, n) + vf_load(p + u), f = load(z + units + u, n) + vf_load(p + units + u);
        vf g = load(z + 2 * units + u, n) + vf_load(p + 2 * units + u);
        vf o = load(z + 3 * units + u, n) + vf_load(p + 3 * units + u);
        if (peephole) {
            i += load(peephole + u, n) * before;
            f += load(peephole + units + u, n) * before;
        }
        i = gate_sigmoid(i), f = gate_sigmoid(f), g = gate_tanh(g);
        const vf now = f * before + i * g;
        if (peephole) o += load(peephole + 2 * units + u, n) * now;
        o = gate_sigmoid(o);
        vf_store(c + u, now);
        vf_store(h + u, o * gate_tanh(now));
        if (!kept) continue;
        store(kept + u, i, n);
        store(kept + units + u, f, n);
        store(kept + 2 * units + u, g, n);
        store(kept + 3 * units + u, o, n);
    }
}

static void gru_row(const tile *t, const float *z, const float *p, float *h, float *kept) {
    const int64_t units = t->r->units;
    const float *bias = t->r->bias;
    for (int64_t u = 0; u < units; u += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, units - u);
        prefetch_next(z, 3, units, u, 3);
        if (kept) ask_next_room(kept, 4, units, u, 4);
        const vf reset = gate_sigmoid(load(z + u, n) + vf_load(p + u));
        const vf keep = gate_sigmoid(load(z + units + u, n) + vf_load(p + units + u));
        vf q = vf_load(p + 2 * units + u);
        if (bias) q += load(bias + u, n);
        const vf candidate = gate_tanh(load(z + 2 * units + u, n) + reset * q);
        vf_store(h + u, (1.0f - keep) * candidate + keep * vf_load(h + u));
        if (!kept) continue;
        store(kept + u, reset, n);
        store(kept + units + u, keep, n);
        store(kept + 2 * units + u, candidate, n);
        store(kept + 3 * units + u, q, n);
    }
}

/* First half of the variant GRU: r and z into p, r h into m. */
static void gru_gates_row(const tile *t, const float *z, float *p, const float *h, float *m) {
    const int64_t units = t->r->units;
    for (int64_t u = 0; u < units; u += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, units - u);
        const vf reset = gate_sigmoid(load(z + u, n) + vf_load(p + u));
        const vf keep = gate_sigmoid(load(z + units + u, n) + vf_load(p + units + u));
        store(p + u, reset, n);
        store(p + units + u, keep, n);
        vf_store(m + u, reset * vf_load(h + u));
    }
}

/* The second half: q is the product of r h, gates has r and z. */
static void gru_mix_row(const tile *t, const float *z, const float *q, const float *gates, const float *m, float *h,
                        float *kept) {
    const int64_t units = t->r->units;
    for (int64_t u = 0; u < units; u += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, units - u);
        const vf keep = load(gates + units + u, n);
        const vf candidate = gate_tanh(load(z + 2 * units + u, n) + vf_load(q + u));
        vf_store(h + u, (1.0f - keep) * candidate + keep * vf_load(h + u));
        if (!kept) continue;
        store(kept + u, load(gates + u, n), n);
        store(kept + units + u, keep, n);
        store(kept + 2 * units + u, candidate, n);
        store(kept + 3 * units + u, vf_load(m + u), n);
    }
}

static void simple_row(const tile *t, const float *z, const float *p, float *h) {
    const int64_t units = t->r->units;
    const bool relu = t->r->cell == GLIA_CELL_RELU;
    for (int64_t u = 0; u < units; u += VLEN) {
        const vf a = load(z + u, GLIA_MIN(VLEN, units - u)) + vf_load(p + u);
        vf_store(h + u, relu ? vf_select(a > 0.0f, a, vf_select(a == a, vf_set(0.0f), a)) : gate_tanh(a));
    }
}

/* ---- forward: a step of a tile ---------------------------------------------------------------- */

static void lstm_step(tile *t) {
    const glia_recurrence *r = t->r;
    const walk *w = t->w;
    multiply(t, 0, t->h, w->h_step, t->p, w->p_step, false);
    for (int64_t i = 0; i < t->rows; i++) {
        const int64_t row = row_of(t, t->step, i);
        if (is_padding(t, t->step, i)) continue;
        float *h = r->projection ? t->m + i * w->u_step : t->h + i * w->h_step;
        lstm_row(t, r->z + row * r->width, t->p + i * w->p_step, t->c + i * w->u_step, h,
                 row_at(r->kept, row, 4 * r->units));
    }
    if (!r->projection) return;
    multiply(t, 1, t->m, w->u_step, t->p, w->p_step, false);
    for (int64_t i = 0; i < t->rows; i++) {
        if (!is_padding(t, t->step, i)) copy(t->h + i * w->h_step, t->p + i * w->p_step, r->outputs);
    }
}

static void gru_step(tile *t) {
    const glia_recurrence *r = t->r;
    const walk *w = t->w;
    multiply(t, 0, t->h, w->h_step, t->p, w->p_step, false);
    for (int64_t i = 0; i < t->rows; i++) {
        const int64_t row = row_of(t, t->step, i);
        if (is_padding(t, t->step, i)) continue;
        gru_row(t, r->z + row * r->width, t->p + i * w->p_step, t->h + i * w->h_step,
                row_at(r->kept, row, 4 * r->units));
    }
}

static void gru_before_step(tile *t) {
    const glia_recurrence *r = t->r;
    const walk *w = t->w;
    multiply(t, 0, t->h, w->h_step, t->p, w->p_step, false);
    for (int64_t i = 0; i < t->rows; i++) {
        gru_gates_row(t, r->z + row_of(t, t->step, i) * r->width, t->p + i * w->p_step, t->h + i * w->h_step,
                      t->m + i * w->u_step);
    }
    multiply(t, 1, t->m, w->u_step, t->c, w->u_step, false);
    for (int64_t i = 0; i < t->rows; i++) {
        const int64_t row = row_of(t, t->step, i);
        if (is_padding(t, t->step, i)) continue;
        gru_mix_row(t, r->z + row * r->width, t->c + i * w->u_step, t->p + i * w->p_step, t->m + i * w->u_step,
                    t->h + i * w->h_step, row_at(r->kept, row, 4 * r->units));
    }
}

static void simple_step(tile *t) {
    const glia_recurrence *r = t->r;
    const walk *w = t->w;
    multiply(t, 0, t->h, w->h_step, t->p, w->p_step, false);
    for (int64_t i = 0; i < t->rows; i++) {
        if (is_padding(t, t->step, i)) continue;
        simple_row(t, r->z + row_of(t, t->step, i) * r->width, t->p + i * w->p_step, t->h + i * w->h_step);
    }
}

static void (*const forward_steps[GLIA_CELL_COUNT])(tile *) = { lstm_step, gru_step, gru_before_step, simple_step,
                                                                simple_step };

/* The states of all rows from rows of n numbers, or zeros; rows end in zeros. */
static void set_rows(const tile *t, float *to, int64_t step, const float *from, int64_t n) {
    memset(to, 0, (size_t)(t->rows * step) * sizeof *to);
    for (int64_t i = 0; from && i < t->rows; i++) copy(to + i * step, from + (t->first + i) * n, n);
}

static void get_rows(const tile *t, float *to, const float *from, int64_t step, int64_t n) {
    for (int64_t i = 0; to && i < t->rows; i++) copy(to + (t->first + i) * n, from + i * step, n);
}

/* Stores the requested outputs of the states after a step. */
static void store_step(const tile *t) {
    const glia_recurrence *r = t->r;
    for (int64_t i = 0; i < t->rows; i++) {
        const int64_t row = row_of(t, t->step, i);
        const bool padding = is_padding(t, t->step, i);
        if (padding) clear(r->kept, row, 4 * r->units), clear(r->sequence, row, r->outputs);
        if (r->sequence && !padding) copy(r->sequence + row * r->outputs, t->h + i * t->w->h_step, r->outputs);
        if (r->cells) copy(r->cells + row * r->units, t->c + i * t->w->u_step, r->units);
    }
}

static tile tile_open(const walk *w, int64_t piece, int worker) {
    const glia_recurrence *r = w->r;
    const int64_t first = r->samples * piece / w->tiles, end = r->samples * (piece + 1) / w->tiles;
    tile t = { .w = w, .r = r, .first = first, .rows = end - first };
    t.h = w->memory + worker * round_up(w->tile_floats, 16);
    t.c = t.h + TILE_SAMPLES * w->h_step;
    t.m = t.c + TILE_SAMPLES * w->u_step;
    t.p = t.m + TILE_SAMPLES * w->u_step;
    t.zeros = t.p + TILE_SAMPLES * w->p_step;
    return t;
}

static void forward_piece(void *context, int64_t piece, int worker) {
    const walk *w = context;
    const glia_recurrence *r = w->r;
    tile t = tile_open(w, piece, worker);
    if (t.rows == 0) return;
    set_rows(&t, t.h, w->h_step, r->h0, r->outputs);
    set_rows(&t, t.c, w->u_step, r->c0, r->units);
    set_rows(&t, t.m, w->u_step, NULL, 0);
    for (t.step = 0; t.step < r->steps; t.step++) {
        forward_steps[r->cell](&t);
        store_step(&t);
    }
    get_rows(&t, r->last_h, t.h, w->h_step, r->outputs);
    get_rows(&t, r->last_c, t.c, w->u_step, r->units);
}

/* ---- backward: the gates of a sample ---------------------------------------------------------- */

GLIA_INLINE vf sigmoid_back(vf d, vf s) { return d * s * (1.0f - s); }
GLIA_INLINE vf tanh_back(vf d, vf y) { return d * (1.0f - y * y); }

/* dz, and dc becomes that of the state before. dm: the gradient of o tanh(c). */
static void lstm_back_row(const tile *t, const float *kept, const float *c, const float *before, const float *dm,
                          float *dc, float *dz) {
    const int64_t units = t->r->units;
    const float *peephole = t->r->peephole;
    for (int64_t u = 0; u < units; u += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, units - u);
        prefetch_next(kept, 4, units, u, 4);
        ask_next_room(dz, 4, units, u, 4);
        prefetch_next(c, 1, units, u, 1);
        prefetch_next(before, 1, units, u, 1);
        const vf i = load(kept + u, n), f = load(kept + units + u, n), g = load(kept + 2 * units + u, n),
                 o = load(kept + 3 * units + u, n);
        const vf y = gate_tanh(load(c + u, n)), d = vf_load(dm + u);
        const vf da_o = sigmoid_back(d * y, o);
        vf both = vf_load(dc + u) + tanh_back(d * o, y);
        if (peephole) both += load(peephole + 2 * units + u, n) * da_o;
        const vf da_i = sigmoid_back(both * g, i), da_f = sigmoid_back(both * load(before + u, n), f);
        vf next = both * f;
        if (peephole) next += load(peephole + u, n) * da_i + load(peephole + units + u, n) * da_f;
        vf_store(dc + u, next);
        store(dz + u, da_i, n);
        store(dz + units + u, da_f, n);
        store(dz + 2 * units + u, tanh_back(both * i, g), n);
        store(dz + 3 * units + u, da_o, n);
    }
}

/* dz and dproduct; dh becomes the part that bypasses the gates. h: the state before. */
static void gru_back_row(const tile *t, const float *kept, const float *h, float *dh, float *dz, float *dproduct) {
    const int64_t units = t->r->units;
    for (int64_t u = 0; u < units; u += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, units - u);
        prefetch_next(kept, 4, units, u, 4);
        ask_next_room(dz, 3, units, u, 3);
        ask_next_room(dproduct, 3, units, u, 3);
        const vf reset = load(kept + u, n), keep = load(kept + units + u, n), y = load(kept + 2 * units + u, n);
        const vf d = vf_load(dh + u);
        const vf da_z = sigmoid_back(d * (load(h + u, n) - y), keep), da_n = tanh_back(d * (1.0f - keep), y);
        const vf da_r = sigmoid_back(da_n * load(kept + 3 * units + u, n), reset);
        vf_store(dh + u, d * keep);
        store(dz + u, da_r, n);
        store(dz + units + u, da_z, n);
        store(dz + 2 * units + u, da_n, n);
        store(dproduct + u, da_r, n);
        store(dproduct + units + u, da_z, n);
        store(dproduct + 2 * units + u, da_n * reset, n);
    }
}

/* The variant GRU: the gradients of z and n, and dh that bypasses the gates; none of these needs a product. */
static void gru_mix_back_row(const tile *t, const float *kept, const float *h, float *dh, float *dz) {
    const int64_t units = t->r->units;
    for (int64_t u = 0; u < units; u += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, units - u);
        const vf keep = load(kept + units + u, n), y = load(kept + 2 * units + u, n), d = vf_load(dh + u);
        store(dz + units + u, sigmoid_back(d * (load(h + u, n) - y), keep), n);
        store(dz + 2 * units + u, tanh_back(d * (1.0f - keep), y), n);
        vf_store(dh + u, d * keep);
    }
}

/* Then the gradient of r, from that of r h. */
static void gru_reset_back_row(const tile *t, const float *kept, const float *h, const float *drh, float *dh,
                               float *dz) {
    const int64_t units = t->r->units;
    for (int64_t u = 0; u < units; u += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, units - u);
        const vf reset = load(kept + u, n), d = vf_load(drh + u);
        store(dz + u, sigmoid_back(d * load(h + u, n), reset), n);
        vf_store(dh + u, vf_load(dh + u) + d * reset);
    }
}

static void simple_back_row(const tile *t, const float *y, const float *dh, float *dz) {
    const int64_t units = t->r->units;
    const bool relu = t->r->cell == GLIA_CELL_RELU;
    for (int64_t u = 0; u < units; u += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, units - u);
        const vf value = load(y + u, n), d = vf_load(dh + u);
        store(dz + u, relu ? vf_select(value <= 0.0f, vf_set(0.0f), d) : tanh_back(d, value), n);
    }
}

/* ---- backward: a step of a tile --------------------------------------------------------------- */
/* t->h is dh, t->c is dc. */

static const float *state_before(const tile *t, int64_t i, const float *initial, const float *block, int64_t n,
                                 bool ends) {
    const float *start = initial ? initial + (t->first + i) * n : t->zeros;
    if (t->step == 0) return start;
    if (ends && t->r->reverse && is_padding(t, t->step - 1, i)) return start;
    return block + row_of(t, t->step - 1, i) * n;
}

static const float *h_before(const tile *t, int64_t i) {
    return state_before(t, i, t->r->h0, t->r->sequence, t->r->outputs, true);
}

static const float *c_before(const tile *t, int64_t i) {
    return state_before(t, i, t->r->c0, t->r->cells, t->r->units, false);
}

/* dh = what it is + dz U; in rows that are not padding it was set to what goes past the product. */
static void multiply_back(tile *t, const float *d, bool add) {
    const glia_recurrence *r = t->r;
    multiply(t, 0, d + row_of(t, t->step, 0) * r->width, r->width, t->h, t->w->h_step, add);
}

static void lstm_back_step(tile *t) {
    const glia_recurrence *r = t->r;
    const walk *w = t->w;
    if (r->projection) multiply(t, 1, t->h, w->h_step, t->m, w->u_step, false);
    for (int64_t i = 0; i < t->rows; i++) {
        const int64_t row = row_of(t, t->step, i);
        if (is_padding(t, t->step, i)) continue;
        float *dh = t->h + i * w->h_step;
        lstm_back_row(t, r->kept + row * 4 * r->units, r->cells + row * r->units, c_before(t, i),
                      r->projection ? t->m + i * w->u_step : dh, t->c + i * w->u_step, r->dz + row * r->width);
        if (r->dout) copy(r->dout + row * r->outputs, dh, r->outputs);
        if (r->lengths) memset(dh, 0, (size_t)w->h_step * sizeof *dh);
    }
    multiply_back(t, r->dz, r->lengths != NULL);
}

static void gru_back_step(tile *t) {
    const glia_recurrence *r = t->r;
    for (int64_t i = 0; i < t->rows; i++) {
        const int64_t row = row_of(t, t->step, i);
        if (is_padding(t, t->step, i)) continue;
        gru_back_row(t, r->kept + row * 4 * r->units, h_before(t, i), t->h + i * t->w->h_step, r->dz + row * r->width,
                     r->dproduct + row * r->width);
    }
    multiply_back(t, r->dproduct, true);
}

static void gru_before_back_step(tile *t) {
    const glia_recurrence *r = t->r;
    const walk *w = t->w;
    const int64_t begin = row_of(t, t->step, 0);
    for (int64_t i = 0; i < t->rows; i++) {
        const int64_t row = begin + i;
        if (is_padding(t, t->step, i)) continue;
        gru_mix_back_row(t, r->kept + row * 4 * r->units, h_before(t, i), t->h + i * w->h_step, r->dz + row * r->width);
    }
    multiply(t, 1, r->dz + begin * r->width + 2 * r->units, r->width, t->m, w->u_step, false);
    for (int64_t i = 0; i < t->rows; i++) {
        const int64_t row = begin + i;
        if (is_padding(t, t->step, i)) continue;
        gru_reset_back_row(t, r->kept + row * 4 * r->units, h_before(t, i), t->m + i * w->u_step, t->h + i * w->h_step,
                           r->dz + row * r->width);
    }
    multiply_back(t, r->dz, true);
}

static void simple_back_step(tile *t) {
    const glia_recurrence *r = t->r;
    for (int64_t i = 0; i < t->rows; i++) {
        const int64_t row = row_of(t, t->step, i);
        if (is_padding(t, t->step, i)) continue;
        float *dh = t->h + i * t->w->h_step;
        simple_back_row(t, r->sequence + row * r->outputs, dh, r->dz + row * r->width);
        if (r->lengths) memset(dh, 0, (size_t)t->w->h_step * sizeof *dh);
    }
    multiply_back(t, r->dz, r->lengths != NULL);
}

static void (*const backward_steps[GLIA_CELL_COUNT])(tile *) = { lstm_back_step, gru_back_step, gru_before_back_step,
                                                                 simple_back_step, simple_back_step };

/* Adds the gradient of the sequence at this step to dh; what is padding has no gradients. */
static void take_step(const tile *t) {
    const glia_recurrence *r = t->r;
    for (int64_t i = 0; i < t->rows; i++) {
        const int64_t row = row_of(t, t->step, i);
        if (is_padding(t, t->step, i)) {
            clear(r->dz, row, r->width), clear(r->dproduct, row, r->width), clear(r->dout, row, r->outputs);
        } else if (r->dsequence) {
            const float *from = r->dsequence + row * r->outputs;
            float *dh = t->h + i * t->w->h_step;
            for (int64_t u = 0; u < r->outputs; u += VLEN) {
                vf_store(dh + u, vf_load(dh + u) + load(from + u, GLIA_MIN(VLEN, r->outputs - u)));
            }
        }
    }
}

static void backward_piece(void *context, int64_t piece, int worker) {
    const walk *w = context;
    const glia_recurrence *r = w->r;
    tile t = tile_open(w, piece, worker);
    if (t.rows == 0) return;
    memset(t.zeros, 0, (size_t)GLIA_MAX(w->h_step, w->u_step) * sizeof *t.zeros);
    set_rows(&t, t.h, w->h_step, r->dlast_h, r->outputs);
    set_rows(&t, t.c, w->u_step, r->dlast_c, r->units);
    for (t.step = r->steps - 1; t.step >= 0; t.step--) {
        take_step(&t);
        backward_steps[r->cell](&t);
    }
    get_rows(&t, r->dh0, t.h, w->h_step, r->outputs);
    get_rows(&t, r->dc0, t.c, w->u_step, r->units);
}

/* ---- entry ------------------------------------------------------------------------------------ */

static void run_walk(glia_pool *pool, walk w, glia_piece_fn piece, float *scratch) {
    int64_t panels = 0;
    for (int i = 0; i < w.n_factors; i++) {
        factor *f = &w.factors[i];
        f->packed = scratch;
        scratch += packed_floats(f);
        panels += (f->n + NR - 1) / NR;
    }
    w.memory = scratch;
    glia_parallel_for(w.tiles > 1 ? pool : NULL, panels, pack_piece, &w);
    glia_parallel_for(pool, w.tiles, piece, &w);
}

size_t GLIA_KERNEL(recurrent_f32_scratch)(const glia_recurrence *r, int workers) {
    return scratch_of(r, false, workers);
}

void GLIA_KERNEL(recurrent_f32)(glia_pool *pool, const glia_recurrence *r, void *scratch) {
    run_walk(pool, make_walk(r, false), forward_piece, scratch);
}

size_t GLIA_KERNEL(recurrent_grad_f32_scratch)(const glia_recurrence *r, int workers) {
    return scratch_of(r, true, workers);
}

void GLIA_KERNEL(recurrent_grad_f32)(glia_pool *pool, const glia_recurrence *r, void *scratch) {
    run_walk(pool, make_walk(r, true), backward_piece, scratch);
}
