/* gemm.c - matrix products, the plain way. */
#include "backend/cpu/rows.h"

size_t GLIA_KERNEL(gemm_f32_scratch)(const glia_gemm *g, int workers) {
    (void)g;
    (void)workers;
    return 0;
}

static void row_piece(void *context, int64_t piece, int worker) {
    const glia_gemm *g = context;
    int64_t batch = piece / g->m, i = piece % g->m, b0 = batch / g->batch[1], b1 = batch % g->batch[1];
    const float *a = g->a + b0 * g->a_stride[0] + b1 * g->a_stride[1];
    const float *b = g->b + b0 * g->b_stride[0] + b1 * g->b_stride[1];
    float *c = g->c + b0 * g->c_stride[0] + b1 * g->c_stride[1] + i * g->ldc;
    for (int64_t j = 0; j < g->n; j++) {
        float sum = 0;
        for (int64_t k = 0; k < g->k; k++) {
            sum += (g->transpose_a ? a[k * g->lda + i] : a[i * g->lda + k]) *
                   (g->transpose_b ? b[j * g->ldb + k] : b[k * g->ldb + j]);
        }
        c[j] = g->accumulate ? c[j] + sum : sum;
    }
    if (g->epilogue.fn) g->epilogue.fn(g->epilogue.context, worker, batch, i, 1, 0, g->n, c, g->ldc);
}

void GLIA_KERNEL(gemm_f32)(glia_pool *pool, const glia_gemm *gemm, void *scratch) {
    (void)scratch;
    glia_gemm g = *gemm;
    glia_parallel_for(pool, g.batch[0] * g.batch[1] * g.m, row_piece, &g);
}
