/* conv_pointwise.c - convolution with kernels of 1 x 1 without stride: one matrix product of all pixels and the kernel.
 * The kernel is always packed, also if only for one run, so that the results have the same bits.
 */
#include "backend/cpu/kernels/conv.h"

static glia_gemm product_of(const glia_conv_shape *s) {
    return (glia_gemm){ .batch = { 1, 1 },
                        .m = s->n * volume(s->out),
                        .n = s->k,
                        .k = s->c,
                        .transpose_b = true,
                        .lda = s->c,
                        .ldb = s->c,
                        .ldc = s->k };
}

int64_t GLIA_KERNEL(pointwise_floats)(const glia_conv_shape *s) {
    if (volume(s->kernel) != 1 || volume(s->stride) != 1 || s->groups != 1 || s->k < VLEN) return 0;
    for (int a = 0; a < 3; a++) {
        if (s->in[a] != s->out[a] || s->pad[a]) return 0;
    }
    const glia_gemm g = product_of(s);
    return (int64_t)(GLIA_KERNEL(gemm_f32_pack_bytes)(&g) / sizeof(float));
}

void GLIA_KERNEL(pointwise_pack)(glia_pool *pool, const glia_conv_shape *s, const float *kernel, float *packed) {
    glia_gemm g = product_of(s);
    g.b = kernel;
    GLIA_KERNEL(gemm_f32_pack)(pool, &g, packed);
}

size_t GLIA_KERNEL(pointwise_scratch)(const glia_conv_shape *s, int workers) {
    const glia_gemm g = product_of(s);
    return GLIA_KERNEL(gemm_f32_scratch)(&g, workers);
}

void GLIA_KERNEL(pointwise_f32)(glia_pool *pool, const glia_conv_shape *s, const float *x, const float *packed,
                                float *y, glia_epilogue epilogue, void *scratch) {
    glia_gemm g = product_of(s);
    g.a = x, g.packed_b = packed, g.c = y, g.epilogue = epilogue;
    GLIA_KERNEL(gemm_f32)(pool, &g, scratch);
}
