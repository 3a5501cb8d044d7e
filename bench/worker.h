/* worker.h - what the workers in C of the benchmark share: the protocol of workers.py, and the memory they took. */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static inline double clock_seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline double cpu_seconds(void) {
    return clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
}

/* The time by which blocks are measured: CPU seconds of this process if workers.py asks for them. */
static inline double now(void) {
    return getenv("BENCH_CPU_SECONDS") ? cpu_seconds() : clock_seconds(CLOCK_MONOTONIC);
}

/* Prints a line of JSON when ready; for each line "run SECONDS" calls run() for so long, at least once, and prints
 * {"runs": N, "seconds": CPU}. run() returns how many runs it made. */
static inline void serve(long (*run)(void *context), void *context) {
    printf("{}\n");
    fflush(stdout);
    for (double seconds; scanf(" run %lf", &seconds) == 1;) {
        const double began = cpu_seconds();
        long runs = 0;
        do runs += run(context);
        while (cpu_seconds() - began < seconds);
        printf("{\"runs\": %ld, \"seconds\": %.9f}\n", runs, cpu_seconds() - began);
        fflush(stdout);
    }
}

/* Peak resident memory of this program; ru_maxrss would include the parent process. */
static inline long peak_kib(void) {
    char line[256];
    long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file) && sscanf(line, "VmHWM: %ld", &kib) != 1) continue;
    if (file) fclose(file);
    struct rusage usage;
    if (!kib && getrusage(RUSAGE_SELF, &usage) == 0) kib = usage.ru_maxrss;
    return kib;
}

#endif
