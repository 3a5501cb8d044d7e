/* lif.c - the membranes of spiking units over all steps, and the filter that is their gradient (core/ops/lif.c).
 *
 * A piece is the steps of a sample. A step reads the row of the one before, which is still in the first-level cache, so
 * membranes are the only memory that is written.
 */
#include "backend/cpu/kernels/rows.h"

typedef struct job {
    const glia_lif_args *l;
    int64_t blocks, width; /* of a sample's units */
} job;

enum { BLOCK = 1024, PIECE_FLOATS = 1 << 14 };

GLIA_INLINE vf load(const float *p, int64_t n) { return n == VLEN ? vf_load(p) : vf_load_first(p, n); }

GLIA_INLINE void store(float *p, vf v, int64_t n) {
    if (n == VLEN)
        vf_store(p, v);
    else
        vf_store_first(p, v, n);
}

/* The part of a membrane that stays in the next step. */
GLIA_INLINE vf kept(const glia_lif_args *l, vf u, glia_lif_reset reset) {
    const vf beta = vf_set(l->beta);
    return reset == GLIA_RESET_TO_ZERO ? vf_select(u > vf_set(l->threshold), vf_set(0), beta) : beta;
}

GLIA_INLINE void forward_row(const glia_lif_args *l, const float *x, const float *before, float *u, int64_t width,
                             glia_lif_reset reset) {
    for (int64_t j = 0; j < width; j += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, width - j);
        const vf old = load(before + j, n), limit = vf_set(l->threshold);
        vf next = load(x + j, n) + kept(l, old, reset) * old;
        if (reset == GLIA_RESET_SUBTRACT) next -= vf_select(old > limit, limit, vf_set(0));
        store(u + j, next, n);
    }
}

/* y = x + keep(u) next. */
GLIA_INLINE void filter_row(const glia_lif_args *l, const float *x, const float *u, const float *next, float *y,
                            int64_t width, glia_lif_reset reset) {
    for (int64_t j = 0; j < width; j += VLEN) {
        const int64_t n = GLIA_MIN(VLEN, width - j);
        const vf part = reset == GLIA_RESET_TO_ZERO ? kept(l, load(u + j, n), reset) : vf_set(l->beta);
        store(y + j, load(x + j, n) + part * load(next + j, n), n);
    }
}

GLIA_INLINE void forward_steps(const glia_lif_args *l, const float *x, float *u, int64_t width, glia_lif_reset reset) {
    const int64_t move = l->constant ? 0 : l->width;
    for (int64_t t = 1; t < l->steps; t++)
        forward_row(l, x + t * move, u + (t - 1) * l->width, u + t * l->width, width, reset);
}

static void forward_piece(void *context, int64_t piece, int worker) {
    const job *jobs = context;
    const glia_lif_args *l = jobs->l;
    const int64_t sample = piece / jobs->blocks, from = piece % jobs->blocks * jobs->width;
    const int64_t width = GLIA_MIN(jobs->width, l->width - from), size = l->steps * l->width;
    const float *x = l->x + (l->constant ? sample * l->width : sample * size) + from;
    float *u = l->y + sample * size + from;
    (void)worker;
    if (u != x) memcpy(u, x, (size_t)width * sizeof *u);
    if (l->reset == GLIA_RESET_SUBTRACT)
        forward_steps(l, x, u, width, GLIA_RESET_SUBTRACT);
    else if (l->reset == GLIA_RESET_TO_ZERO)
        forward_steps(l, x, u, width, GLIA_RESET_TO_ZERO);
    else
        forward_steps(l, x, u, width, GLIA_RESET_NONE);
}

GLIA_INLINE void filter_steps(const glia_lif_args *l, int64_t at, int64_t width, glia_lif_reset reset) {
    for (int64_t k = 1; k < l->steps; k++) {
        const int64_t t = l->reverse ? l->steps - 1 - k : k, next = l->reverse ? t + 1 : t - 1;
        const int64_t here = at + t * l->width, there = at + next * l->width;
        filter_row(l, l->x + here, l->u + (l->reverse ? here : there), l->y + there, l->y + here, width, reset);
    }
}

static void filter_piece(void *context, int64_t piece, int worker) {
    const job *jobs = context;
    const glia_lif_args *l = jobs->l;
    const int64_t sample = piece / jobs->blocks, from = piece % jobs->blocks * jobs->width;
    const int64_t width = GLIA_MIN(jobs->width, l->width - from), at = sample * l->steps * l->width + from;
    const int64_t first = at + (l->reverse ? l->steps - 1 : 0) * l->width;
    (void)worker;
    if (l->y != l->x) memcpy(l->y + first, l->x + first, (size_t)width * sizeof *l->y);
    if (l->reset == GLIA_RESET_TO_ZERO)
        filter_steps(l, at, width, GLIA_RESET_TO_ZERO);
    else
        filter_steps(l, at, width, GLIA_RESET_NONE);
}

/* Blocks of units as wide as a row of the cache allows, the same at any number of threads. */
static void run(glia_pool *pool, const glia_lif_args *l, glia_piece_fn piece) {
    if (l->samples * l->steps * l->width == 0) return;
    job j = { .l = l, .width = BLOCK };
    j.blocks = divide_up(l->width, j.width);
    const int64_t pieces = l->samples * j.blocks;
    glia_parallel_for(pieces * l->steps * GLIA_MIN(l->width, j.width) > PIECE_FLOATS ? pool : NULL, pieces, piece, &j);
}

void GLIA_KERNEL(lif_f32)(glia_pool *pool, const glia_lif_args *l) { run(pool, l, forward_piece); }
void GLIA_KERNEL(lif_filter_f32)(glia_pool *pool, const glia_lif_args *l) { run(pool, l, filter_piece); }
