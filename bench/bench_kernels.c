/* bench_kernels.c - speed of the matrix product and convolution kernels, in GFLOP/s and as a share of the peak. The
 * peak is measured by a loop of fused multiply-adds in registers, on the same threads at the same time.
 *
 *   bench_kernels [threads]                          GLIA_ISA chooses the instruction set
 *   bench_kernels threads inference [pictures]       layers of ResNet-50 and MobileNetV2, kernels packed before
 *
 * Every figure is the best of several medians. One thread is measured in processor time, which is less sensitive to
 * other load; several are measured in wall time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/cpu/kernels/kernels.h"
#include "glia/glia.h"

enum { MEDIAN_OF = 9, TRIALS = 3 };

static clockid_t clock_used = CLOCK_MONOTONIC;

static double now(void) {
    struct timespec t;
    clock_gettime(clock_used, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- peak --------------------------------------------------------------------------------- */

#if defined(__x86_64__)
#define PEAK_STEP(r)                                                                                                   \
    "vfmadd231ps %%" r "0, %%" r "0, %%" r "1\n vfmadd231ps %%" r "0, %%" r "0, %%" r "2\n"                            \
    "vfmadd231ps %%" r "0, %%" r "0, %%" r "3\n vfmadd231ps %%" r "0, %%" r "0, %%" r "4\n"                            \
    "vfmadd231ps %%" r "0, %%" r "0, %%" r "5\n vfmadd231ps %%" r "0, %%" r "0, %%" r "6\n"                            \
    "vfmadd231ps %%" r "0, %%" r "0, %%" r "7\n vfmadd231ps %%" r "0, %%" r "0, %%" r "8\n"                            \
    "vfmadd231ps %%" r "0, %%" r "0, %%" r "9\n vfmadd231ps %%" r "0, %%" r "0, %%" r "10\n"                           \
    "vfmadd231ps %%" r "0, %%" r "0, %%" r "11\n vfmadd231ps %%" r "0, %%" r "0, %%" r "12\n"
#define PEAK_CLEAR                                                                                                     \
    "vxorps %%xmm0, %%xmm0, %%xmm0\n vxorps %%xmm1, %%xmm1, %%xmm1\n vxorps %%xmm2, %%xmm2, %%xmm2\n"                  \
    "vxorps %%xmm3, %%xmm3, %%xmm3\n vxorps %%xmm4, %%xmm4, %%xmm4\n vxorps %%xmm5, %%xmm5, %%xmm5\n"                  \
    "vxorps %%xmm6, %%xmm6, %%xmm6\n vxorps %%xmm7, %%xmm7, %%xmm7\n vxorps %%xmm8, %%xmm8, %%xmm8\n"                  \
    "vxorps %%xmm9, %%xmm9, %%xmm9\n vxorps %%xmm10, %%xmm10, %%xmm10\n vxorps %%xmm11, %%xmm11, %%xmm11\n"            \
    "vxorps %%xmm12, %%xmm12, %%xmm12\n"
#define PEAK_LOOP(r)                                                                                                   \
    __asm__ volatile(PEAK_CLEAR "1:\n" PEAK_STEP(r) "dec %0\n jnz 1b\n vzeroupper\n"                                   \
                     : "+r"(steps)                                                                                     \
                     :                                                                                                 \
                     : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",  \
                       "xmm11", "xmm12")
#endif

typedef struct peak_job {
    int64_t steps; /* of twelve independent multiply-adds */
    glia_isa isa;
} peak_job;

static void peak_piece(void *context, int64_t piece, int worker) {
    (void)piece;
    (void)worker;
    const peak_job *j = context;
    int64_t steps = j->steps;
#if defined(__x86_64__)
    if (j->isa == GLIA_ISA_V4)
        PEAK_LOOP("zmm");
    else
        PEAK_LOOP("ymm");
#endif
    (void)steps;
}

/* Peak GFLOP/s of the pool; 0 if there is no loop for the instruction set. */
static double measure_peak(glia_pool *pool, glia_isa isa) {
    if (isa != GLIA_ISA_V3 && isa != GLIA_ISA_V4) return 0;
    double best = 1e9;
    peak_job j = { .steps = 300000, .isa = isa };
    int threads = glia_pool_size(pool);
    for (int i = 0; i < 30; i++) {
        double t = now();
        glia_parallel_for(pool, threads, peak_piece, &j);
        double seconds = now() - t;
        if (seconds < best) best = seconds;
    }
    return (double)threads * (double)j.steps * 12 * (isa == GLIA_ISA_V4 ? 16 : 8) * 2 / best * 1e-9;
}

/* ---- timing ------------------------------------------------------------------------------- */

typedef void (*launch_fn)(void *context);

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Seconds of a launch. */
static double measure(launch_fn launch, void *context) {
    launch(context);
    double t = now();
    launch(context);
    double once = now() - t;
    int repeat = (int)(2e-3 / (once + 1e-9)) + 1;
    double best = 1e9;
    for (int trial = 0; trial < TRIALS; trial++) {
        double seconds[MEDIAN_OF];
        for (int i = 0; i < MEDIAN_OF; i++) {
            t = now();
            for (int r = 0; r < repeat; r++) launch(context);
            seconds[i] = (now() - t) / repeat;
        }
        qsort(seconds, MEDIAN_OF, sizeof *seconds, by_value);
        if (seconds[MEDIAN_OF / 2] < best) best = seconds[MEDIAN_OF / 2];
    }
    return best;
}

static void report(const char *what, double seconds, double flops, double peak) {
    printf("%-46s %9.1f us %8.1f GFLOP/s", what, seconds * 1e6, flops / seconds * 1e-9);
    if (peak > 0) printf(" %5.0f %%", 100 * flops / seconds * 1e-9 / peak);
    printf("\n");
    fflush(stdout);
}

static float *floats(int64_t n) {
    float *x = glia_alloc_aligned((size_t)n * sizeof(float));
    if (!x) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    for (int64_t i = 0; i < n; i++) x[i] = (float)(i % 17 - 8) / 8;
    return x;
}

/* ---- launches ----------------------------------------------------------------------------- */

typedef struct bench {
    const glia_cpu_kernels *table;
    glia_pool *pool;
    double peak;
    glia_gemm gemm;
    glia_conv_shape conv;
    glia_pool_shape pooling;
    float *x, *w, *y, *dx, *packed;
    void *scratch;
} bench;

static void launch_gemm(void *context) {
    bench *b = context;
    b->table->gemm_f32(b->pool, &b->gemm, b->scratch);
}

static void bench_gemm(bench *b, int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b) {
    glia_gemm g = { .batch = { 1, 1 }, .m = m, .n = n, .k = k, .transpose_a = transpose_a, .transpose_b = transpose_b };
    g.lda = transpose_a ? m : k, g.ldb = transpose_b ? k : n, g.ldc = n;
    float *x = floats(m * k), *w = floats(k * n), *y = floats(m * n);
    g.a = x, g.b = w, g.c = y;
    b->gemm = g;
    b->scratch = floats((int64_t)b->table->gemm_f32_scratch(&g, glia_pool_size(b->pool)) / 4 + 16);
    char what[80];
    snprintf(what, sizeof what, "gemm %s%s %lld,%lld,%lld", transpose_a ? "T" : "N", transpose_b ? "T" : "N",
             (long long)m, (long long)n, (long long)k);
    double flops = 2.0 * (double)m * (double)n * (double)k;
    report(what, measure(launch_gemm, b), flops, b->peak);
    size_t bytes = transpose_b ? b->table->gemm_f32_pack_bytes(&g) : 0;
    if (bytes) {
        float *packed = floats((int64_t)(bytes / sizeof(float)));
        b->table->gemm_f32_pack(b->pool, &g, packed);
        b->gemm.packed_b = packed;
        strcat(what, ", B packed");
        report(what, measure(launch_gemm, b), flops, b->peak);
        free(packed);
    }
    free(x), free(w), free(y), free(b->scratch);
}

static void launch_conv(void *context) {
    bench *b = context;
    b->table->conv_f32(b->pool, &b->conv, b->x, b->w, NULL, b->y, (glia_epilogue){ 0 }, b->scratch);
}

static void launch_input_grad(void *context) {
    bench *b = context;
    b->table->conv_input_grad_f32(b->pool, &b->conv, b->y, b->w, NULL, b->dx, (glia_epilogue){ 0 }, b->scratch);
}

static void launch_kernel_grad(void *context) {
    bench *b = context;
    b->table->conv_kernel_grad_f32(b->pool, &b->conv, b->x, b->y, b->w, b->scratch);
}

/* Of square pictures and kernels. */
static glia_conv_shape shape_of(int64_t n, int64_t c, int64_t k, int64_t size, int64_t kernel, int64_t stride,
                                int64_t pad, int64_t groups) {
    const int64_t out = (size + 2 * pad - kernel) / stride + 1;
    return (glia_conv_shape){ .n = n,
                              .c = c,
                              .k = k,
                              .in = { 1, size, size },
                              .out = { 1, out, out },
                              .kernel = { 1, kernel, kernel },
                              .stride = { 1, stride, stride },
                              .dilation = { 1, 1, 1 },
                              .pad = { 0, pad, pad },
                              .groups = groups };
}

static void bench_conv(bench *b, const char *name, int64_t n, int64_t c, int64_t k, int64_t size, int64_t kernel,
                       int64_t stride, int64_t pad, int64_t groups) {
    b->conv = shape_of(n, c, k, size, kernel, stride, pad, groups);
    const int64_t out = b->conv.out[1];
    int workers = glia_pool_size(b->pool);
    size_t bytes[3] = { b->table->conv_f32_scratch(&b->conv, false, workers),
                        b->table->conv_input_grad_f32_scratch(&b->conv, false, workers),
                        b->table->conv_kernel_grad_f32_scratch(&b->conv, workers) };
    const launch_fn launches[3] = { launch_conv, launch_input_grad, launch_kernel_grad };
    const char *const kinds[3] = { "conv", "dx", "dw" };
    b->x = floats(n * c * size * size), b->dx = floats(n * c * size * size), b->y = floats(n * k * out * out);
    b->w = floats(k * c / groups * kernel * kernel);
    double flops = 2.0 * (double)(n * k * out * out) * (double)(c / groups * kernel * kernel);
    for (int i = 0; i < 3; i++) {
        b->scratch = floats((int64_t)bytes[i] / 4 + 16);
        char what[80];
        snprintf(what, sizeof what, "%-4s %-12s n%lld %lld->%lld %lldx%lld on %lldx%lld", kinds[i], name, (long long)n,
                 (long long)c, (long long)k, (long long)kernel, (long long)kernel, (long long)size, (long long)size);
        report(what, measure(launches[i], b), flops, b->peak);
        free(b->scratch);
    }
    free(b->x), free(b->dx), free(b->y), free(b->w);
}

static void launch_packed(void *context) {
    bench *b = context;
    b->table->conv_f32(b->pool, &b->conv, b->x, b->w, b->packed, b->y, (glia_epilogue){ 0 }, b->scratch);
}

/* A convolution of inference, whose kernel was packed before. */
static void bench_inference(bench *b, const char *name, int64_t n, int64_t c, int64_t k, int64_t size, int64_t kernel,
                            int64_t stride, int64_t groups) {
    b->conv = shape_of(n, c, k, size, kernel, stride, kernel / 2, groups);
    b->conv.fixed = true;
    const int64_t out = b->conv.out[1], weights = k * c / groups * kernel * kernel;
    b->x = floats(n * c * size * size), b->y = floats(n * k * out * out), b->w = floats(weights);
    b->scratch = floats((int64_t)b->table->conv_f32_scratch(&b->conv, true, glia_pool_size(b->pool)) / 4 + 16);
    b->packed = floats((int64_t)b->table->conv_f32_packed(&b->conv) / 4 + 16);
    b->table->conv_f32_pack(b->pool, &b->conv, b->w, b->packed);
    char what[80];
    snprintf(what, sizeof what, "%s n%lld %lld->%lld %lldx%lld/%lld on %lldx%lld", name, (long long)n, (long long)c,
             (long long)k, (long long)kernel, (long long)kernel, (long long)stride, (long long)size, (long long)size);
    report(what, measure(launch_packed, b), 2.0 * (double)(n * out * out) * (double)weights, b->peak);
    free(b->x), free(b->y), free(b->w), free(b->scratch), free(b->packed);
}

static void launch_max_pool(void *context) {
    bench *b = context;
    b->table->max_pool_f32(b->pool, &b->pooling, b->x, b->y);
}

static void launch_max_scatter(void *context) {
    bench *b = context;
    b->table->max_pool_scatter_f32(b->pool, &b->pooling, b->x, b->y, b->dx);
}

static void bench_pool(bench *b, int64_t n, int64_t c, int64_t size) {
    int64_t out = size / 2, elements = n * c * size * size;
    b->pooling = (glia_pool_shape){
        .n = n, .c = c, .in = { 1, size, size }, .out = { 1, out, out }, .size = { 1, 2, 2 }, .stride = { 1, 2, 2 }
    };
    b->x = floats(elements), b->dx = floats(elements), b->y = floats(n * c * out * out);
    double bytes = 4.0 * (double)(elements + n * c * out * out);
    double forward = measure(launch_max_pool, b), backward = measure(launch_max_scatter, b);
    printf("max pool 2x2 n%lld c%lld %lldx%lld: %.1f us, %.1f GB/s; scatter %.1f us, %.1f GB/s\n", (long long)n,
           (long long)c, (long long)size, (long long)size, forward * 1e6, bytes / forward * 1e-9, backward * 1e6,
           (bytes + 4.0 * (double)elements) / backward * 1e-9);
    free(b->x), free(b->dx), free(b->y);
}

/* The layers of ResNet-50 and of MobileNetV2. */
static void bench_nets(bench *b, int64_t n) {
    bench_inference(b, "resnet50", n, 3, 64, 224, 7, 2, 1);
    const int64_t stages[][2] = { { 64, 56 }, { 128, 28 }, { 256, 14 }, { 512, 7 } };
    for (int i = 0; i < GLIA_COUNT(stages); i++) {
        const int64_t narrow = stages[i][0], wide = 4 * narrow, size = stages[i][1];
        bench_inference(b, "resnet50", n, wide, narrow, size, 1, 1, 1);
        bench_inference(b, "resnet50", n, narrow, narrow, size, 3, 1, 1);
        bench_inference(b, "resnet50", n, narrow, wide, size, 1, 1, 1);
        if (i == 0) continue;
        bench_inference(b, "resnet50", n, narrow, narrow, 2 * size, 3, 2, 1);
        bench_inference(b, "resnet50", n, wide / 2, wide, 2 * size, 1, 2, 1);
    }
    const int64_t blocks[][4] = { { 16, 24, 112, 2 }, { 24, 24, 56, 1 }, { 32, 32, 28, 1 },
                                  { 64, 64, 14, 1 },  { 96, 96, 14, 1 }, { 160, 160, 7, 1 } };
    for (int i = 0; i < GLIA_COUNT(blocks); i++) {
        const int64_t from = blocks[i][0], to = blocks[i][1], size = blocks[i][2], stride = blocks[i][3];
        bench_inference(b, "mobilenet-v2", n, from, 6 * from, size, 1, 1, 1);
        bench_inference(b, "mobilenet-v2", n, 6 * from, 6 * from, size, 3, stride, 6 * from);
        bench_inference(b, "mobilenet-v2", n, 6 * from, to, size / stride, 1, 1, 1);
    }
}

int main(int argc, char **argv) {
    glia_error error;
    glia_isa isa;
    bench b = { 0 };
    if (glia_isa_choose(&isa, &error) || !(b.pool = glia_pool_create(argc > 1 ? atoi(argv[1]) : 0, &error))) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    if (glia_pool_size(b.pool) == 1) clock_used = CLOCK_THREAD_CPUTIME_ID;
    b.table = glia_cpu_kernels_for(isa);
    b.peak = measure_peak(b.pool, isa);
    printf("%s, %d threads, peak %.0f GFLOP/s\n", glia_isa_name(isa), glia_pool_size(b.pool), b.peak);

    if (argc > 2 && strcmp(argv[2], "inference") == 0) {
        bench_nets(&b, argc > 3 ? atoi(argv[3]) : 1);
        glia_pool_free(b.pool);
        return 0;
    }
    const int64_t squares[] = { 64, 128, 256, 512, 1024, 2048 };
    for (int i = 0; i < GLIA_COUNT(squares); i++) bench_gemm(&b, squares[i], squares[i], squares[i], false, false);
    const int64_t shapes[][3] = { { 64, 128, 784 }, { 64, 512, 512 }, { 4, 120, 400 },     { 128, 512, 784 },
                                  { 64, 64, 576 },  { 64, 10, 64 },   { 256, 1024, 1024 }, { 1, 512, 784 },
                                  { 128, 10, 512 }, { 4096, 64, 288 } };
    for (int i = 0; i < GLIA_COUNT(shapes); i++) {
        int64_t m = shapes[i][0], n = shapes[i][1], k = shapes[i][2];
        bench_gemm(&b, m, n, k, false, false);
        bench_gemm(&b, m, n, k, false, true);  /* a dense layer: x W^T */
        bench_gemm(&b, m, k, n, false, false); /* dx = dy W */
        bench_gemm(&b, n, k, m, true, false);  /* dW = dy^T x */
    }
    bench_conv(&b, "keras 1", 64, 1, 32, 28, 3, 1, 0, 1);
    bench_conv(&b, "keras 2", 64, 32, 64, 13, 3, 1, 0, 1);
    bench_conv(&b, "keras 3", 64, 64, 64, 5, 3, 1, 0, 1);
    bench_conv(&b, "lenet 1", 4, 3, 6, 32, 5, 1, 0, 1);
    bench_conv(&b, "lenet 2", 4, 6, 16, 14, 5, 1, 0, 1);
    bench_conv(&b, "lenet 1", 128, 3, 6, 32, 5, 1, 0, 1);
    bench_conv(&b, "lenet 2", 128, 6, 16, 14, 5, 1, 0, 1);
    bench_conv(&b, "resnet20 a", 32, 16, 16, 32, 3, 1, 1, 1);
    bench_conv(&b, "resnet20 b", 32, 32, 64, 16, 3, 2, 1, 1);
    bench_conv(&b, "resnet20 c", 32, 64, 64, 8, 3, 1, 1, 1);
    bench_conv(&b, "resnet18 1", 2, 3, 64, 224, 7, 2, 3, 1);
    bench_conv(&b, "resnet18 2", 8, 64, 64, 56, 3, 1, 1, 1);
    bench_conv(&b, "resnet18 5", 8, 512, 512, 7, 3, 1, 1, 1);
    bench_conv(&b, "pointwise", 8, 64, 128, 28, 1, 1, 0, 1);
    bench_conv(&b, "depthwise", 8, 64, 64, 28, 3, 1, 1, 64);
    bench_pool(&b, 64, 32, 26);
    bench_pool(&b, 64, 64, 11);
    glia_pool_free(b.pool);
    return 0;
}
