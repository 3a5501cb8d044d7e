/* peak.c - measures the limits of the machine: f32 multiply-adds, and memory bandwidth.
 *
 *     bench_peak [THREADS]
 *
 * A worker of bench.py: prints a line of JSON for each line that it reads.
 *
 *     run SECONDS         GFLOP/s. Each thread multiplies and adds twelve independent vectors in registers, so neither
 *                         memory nor the latency of an FMA limits it. "% of peak" is relative to this figure, measured
 *                         in the same minute on the same machine.
 *     triad MIB SECONDS   GB/s of a[i] = b[i] + s c[i] (McCalpin's STREAM), counting two reads and a write; the three
 *                         arrays are MIB together, divided among the threads. A few MiB fit into the caches, hundreds
 *                         do not.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "worker.h"

enum { ROUNDS = 100000, CHAINS = 12, MAX_THREADS = 256 };

/* ROUNDS multiply-adds of CHAINS vectors of `lanes` floats; returns the sum, so that the compiler removes nothing. */
#define DEFINE_LOOP(name, lanes, target)                                                                               \
    typedef float name##_vector __attribute__((vector_size((lanes)*4)));                                               \
    target static float name(float seed) {                                                                             \
        name##_vector sum[CHAINS], a = seed + (name##_vector){ 0 }, b = a * 0.5f;                                      \
        for (int i = 0; i < CHAINS; i++) sum[i] = a + (float)i;                                                        \
        for (int round = 0; round < ROUNDS; round++) {                                                                 \
            _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) sum[i] = sum[i] * a + b;                         \
            __asm__ volatile("");                                                                                      \
        }                                                                                                              \
        float total = 0;                                                                                               \
        for (int i = 0; i < CHAINS; i++)                                                                               \
            for (int j = 0; j < (lanes); j++) total += sum[i][j];                                                      \
        return total;                                                                                                  \
    }

#if defined(__x86_64__)
DEFINE_LOOP(loop_avx512, 16, __attribute__((target("avx512f"))))
DEFINE_LOOP(loop_avx2, 8, __attribute__((target("avx2,fma"))))
DEFINE_LOOP(loop_plain, 4, )
#else
DEFINE_LOOP(loop_plain, 4, )
#endif

typedef struct loop_kind {
    float (*loop)(float seed);
    int lanes;
    const char *name;
} loop_kind;

static loop_kind best_kind(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return (loop_kind){ loop_avx512, 16, "AVX-512" };
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return (loop_kind){ loop_avx2, 8, "AVX2" };
#endif
    return (loop_kind){ loop_plain, 4, "128 bit" };
}

typedef struct job {
    loop_kind kind;
    double until;
    int64_t loops;
    float result;
    float *a, *b, *c; /* triad: `n` numbers each */
    size_t n;
} job;

static void *multiply(void *argument) {
    job *j = argument;
    while (now() < j->until) {
        j->result += j->kind.loop(0.25f);
        j->loops++;
    }
    return NULL;
}

static void *triad(void *argument) {
    typedef float vector __attribute__((vector_size(64), aligned(64)));
    job *j = argument;
    while (now() < j->until) {
        vector *a = (vector *)j->a;
        const vector *b = (const vector *)j->b, *c = (const vector *)j->c;
        for (size_t i = 0; i < j->n / 16; i++) a[i] = b[i] + 3 * c[i];
        __asm__ volatile("" : : "r"(a) : "memory");
        j->loops++;
    }
    return NULL;
}

/* Runs the jobs of all threads for about `seconds`; returns the time taken. */
static double run(void *(*what)(void *), job *jobs, int threads, double seconds) {
    pthread_t thread[MAX_THREADS];
    double start = now();
    for (int i = 0; i < threads; i++) {
        jobs[i].until = start + seconds;
        if (i && pthread_create(&thread[i], NULL, what, &jobs[i])) exit(1);
    }
    what(&jobs[0]);
    for (int i = 1; i < threads; i++) pthread_join(thread[i], NULL);
    return now() - start;
}

/* GFLOP/s of all threads together. */
static double measure_peak(loop_kind kind, int threads, double seconds) {
    static job jobs[MAX_THREADS];
    double flops = 0;
    for (int i = 0; i < threads; i++) jobs[i] = (job){ .kind = kind };
    double elapsed = run(multiply, jobs, threads, seconds);
    for (int i = 0; i < threads; i++) flops += 2.0 * ROUNDS * CHAINS * kind.lanes * (double)jobs[i].loops;
    return flops / elapsed * 1e-9;
}

/* GB/s of all threads together, on arrays of `mib` MiB together. */
static double measure_triad(int threads, double mib, double seconds) {
    static job jobs[MAX_THREADS];
    double bytes = 0;
    size_t n = (size_t)(mib * 1048576 / threads / 3 / sizeof(float)) / 16 * 16;
    for (int i = 0; i < threads; i++) {
        float *room = n ? aligned_alloc(64, 3 * n * sizeof *room) : NULL;
        if (!room) exit(1);
        for (size_t k = 0; k < 3 * n; k++) room[k] = 1;
        jobs[i] = (job){ .a = room, .b = room + n, .c = room + 2 * n, .n = n };
    }
    run(triad, jobs, threads, seconds / 10);
    for (int i = 0; i < threads; i++) jobs[i].loops = 0;
    double elapsed = run(triad, jobs, threads, seconds);
    for (int i = 0; i < threads; i++) {
        bytes += 3.0 * sizeof(float) * (double)n * (double)jobs[i].loops;
        free(jobs[i].a);
    }
    return bytes / elapsed * 1e-9;
}

int main(int argc, char **argv) {
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    if (threads < 1 || threads > MAX_THREADS) {
        fprintf(stderr, "bench_peak: threads must be 1 to %d\n", MAX_THREADS);
        return 2;
    }
    loop_kind kind = best_kind();
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("{\"description\": \"%s, %d threads\"}\n", kind.name, threads);
    char line[64];
    double seconds, mib;
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "run %lf", &seconds) == 1)
            printf("{\"gflops\": %.2f}\n", measure_peak(kind, threads, seconds));
        else if (sscanf(line, "triad %lf %lf", &mib, &seconds) == 2)
            printf("{\"gbytes\": %.2f}\n", measure_triad(threads, mib, seconds));
        else
            break;
    }
    return 0;
}
