/* conv_pack.c - packs kernels of convolutions, stored as (K, C/groups, taps), for conv.c.
 *
 * The taps of a channel are adjacent in memory, and rows of a panel for different taps are far apart. If the columns
 * are filters, blocks of VLEN filters by VLEN consecutive (channel, tap) pairs are transposed in registers; if they are
 * the channels of x, blocks of VLEN channels by VLEN taps.
 */
#include "backend/cpu/kernels/conv.h"

/* The position of tap t of the kernel in a panel. */
GLIA_INLINE int64_t place_of_tap(const packing *p, int64_t t) { return p->order == PACK_FLIPPED ? p->taps - 1 - t : t; }

/* Columns are filters: (channel, tap) is contiguous in memory. */
static void pack_filters(const packing *p, const float *kernel, int64_t cols, int64_t n, float *dst) {
    const int64_t width = panel_width(cols), elements = n * p->taps;
    for (int64_t k = 0; k < cols; k += VLEN) {
        int64_t c = 0, t = 0;
        for (int64_t e = 0; e < elements; e += VLEN) {
            const int64_t there = GLIA_MIN(VLEN, elements - e);
            vf v[VLEN];
            for (int64_t i = 0; i < VLEN; i++) {
                const float *src = kernel + (k + i) * p->k_step + e;
                v[i] = k + i >= cols ? (vf){ 0 } : vf_load_first(src, there);
            }
            transpose_vectors(v);
            for (int64_t i = 0; i < there; i++) {
                vf_store(dst + (place_of_tap(p, t) * n + c) * width + k, v[i]);
                if (++t == p->taps) t = 0, c++;
            }
        }
    }
}

/* Columns are channels of x: packs one filter after the other. */
static void pack_channels(const packing *p, const float *kernel, int64_t cols, int64_t n, float *dst) {
    const int64_t width = panel_width(cols);
    if (p->k_step == 1) { /* so there is one tap */
        for (int64_t c = 0; c < n; c++, dst += width) {
            for (int64_t j = cols; j < width; j++) dst[j] = 0;
            copy_floats(dst, kernel + c * p->c_step, cols);
        }
        return;
    }
    for (int64_t c = 0; c < n; c++) {
        for (int64_t k = 0; k < cols; k += VLEN) {
            for (int64_t t = 0; t < p->taps; t += VLEN) {
                const int64_t there = GLIA_MIN(VLEN, p->taps - t);
                vf v[VLEN];
                for (int64_t i = 0; i < VLEN; i++) {
                    const float *src = kernel + c * p->c_step + (k + i) * p->k_step + t;
                    v[i] = k + i >= cols ? (vf){ 0 } : vf_load_first(src, there);
                }
                transpose_vectors(v);
                for (int64_t i = 0; i < there; i++) {
                    vf_store(dst + (place_of_tap(p, t + i) * n + c) * width + k, v[i]);
                }
            }
        }
    }
}

/* The kernel's tap at row t and column group `part` of a panel, or -1. */
static int64_t tap_at(const packing *p, int64_t t, int64_t part) {
    if (p->order == PACK_SPREAD) return t * p->kernel_row + part;
    int64_t w = t % p->row - part * p->stride;
    return w < 0 || w >= p->kernel_row ? -1 : t / p->row * p->kernel_row + w;
}

/* Any order, element by element; used for few columns. */
static void pack_elements(const packing *p, const float *kernel, int64_t j0, int64_t cols, int64_t n, float *dst) {
    const int64_t width = panel_width(cols);
    for (int64_t t = 0; t < p->taps; t++) {
        for (int64_t j = 0; j < width; j++) {
            int64_t tap = j < cols ? tap_at(p, t, (j0 + j) / p->k) : -1;
            const float *src = kernel + (j0 + j) % p->k * p->k_step + tap;
            for (int64_t c = 0; c < n; c++) dst[(t * n + c) * width + j] = tap < 0 ? 0 : src[c * p->c_step];
        }
    }
}

void GLIA_KERNEL(conv_pack)(const packing *p, const float *kernel, int64_t group, int64_t panel, int64_t c0,
                            float *dst) {
    const int64_t n = GLIA_MIN(p->chunk, p->c - c0), j0 = panel * NR, cols = panel_cols(p->cols, panel);
    kernel += group * p->group_step + c0 * p->c_step;
    if (p->order == PACK_SPREAD || p->order == PACK_TOGETHER)
        pack_elements(p, kernel, j0, cols, n, dst);
    else if (p->k_step > p->c_step || p->c == 1)
        pack_filters(p, kernel + j0 * p->k_step, cols, n, dst);
    else
        pack_channels(p, kernel + j0 * p->k_step, cols, n, dst);
}
