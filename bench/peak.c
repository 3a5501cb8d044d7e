/* peak.c - how many multiplications and additions a second this machine can do at most, in f32.
 *
 *     bench_peak [THREADS]
 *
 * Each thread multiplies and adds twelve independent vectors that stay in registers: no memory, no dependencies that the
 * latency of an FMA would show. Everything that a benchmark reports as "% of peak" is a share of this, measured in the same
 * minute on the same machine. A worker of bench.py: prints a line of JSON for each "run SECONDS" that it reads.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 100000, CHAINS = 12, MAX_THREADS = 256 };

/* ROUNDS times CHAINS vectors of `lanes` floats; the sum is returned so that nothing can be left out. */
#define DEFINE_LOOP(name, lanes, target)                                                        \
    typedef float name##_vector __attribute__((vector_size((lanes) * 4)));                      \
    target static float name(float seed) {                                                      \
        name##_vector sum[CHAINS], a = seed + (name##_vector){ 0 }, b = a * 0.5f;                \
        for (int i = 0; i < CHAINS; i++) sum[i] = a + (float)i;                                 \
        for (int round = 0; round < ROUNDS; round++) {                                          \
            _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) sum[i] = sum[i] * a + b; \
            __asm__ volatile("");                                                               \
        }                                                                                       \
        float total = 0;                                                                        \
        for (int i = 0; i < CHAINS; i++)                                                        \
            for (int j = 0; j < (lanes); j++) total += sum[i][j];                               \
        return total;                                                                           \
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

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct job {
    loop_kind kind;
    double until;
    int64_t loops;
    float result;
} job;

static void *work(void *argument) {
    job *j = argument;
    while (now() < j->until) {
        j->result += j->kind.loop(0.25f);
        j->loops++;
    }
    return NULL;
}

/* GFLOP/s of all threads together during `seconds`. */
static double measure(loop_kind kind, int threads, double seconds) {
    pthread_t thread[MAX_THREADS];
    static job jobs[MAX_THREADS];
    double start = now(), flops = 0;
    for (int i = 0; i < threads; i++) {
        jobs[i] = (job){ .kind = kind, .until = start + seconds };
        if (i && pthread_create(&thread[i], NULL, work, &jobs[i])) exit(1);
    }
    work(&jobs[0]);
    for (int i = 1; i < threads; i++) pthread_join(thread[i], NULL);
    double elapsed = now() - start;
    for (int i = 0; i < threads; i++) flops += 2.0 * ROUNDS * CHAINS * kind.lanes * (double)jobs[i].loops;
    return flops / elapsed * 1e-9;
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
    double seconds;
    while (fgets(line, sizeof line, stdin) && sscanf(line, "run %lf", &seconds) == 1)
        printf("{\"gflops\": %.2f}\n", measure(kind, threads, seconds));
    return 0;
}
