/* search.c - black-box search on test functions: evaluations to a target, medians of several runs.
 *
 *     search rosenbrock 20 [STRATEGY [RUNS [SEED]]]
 *
 * Rastrigin's function has many minima, so CMA-ES starts again with growing populations (IPOP). Runs start anywhere in
 * [-3, 3], with a step size of 2, and end at 1e-8, or unsuccessful after 1e5 n evaluations.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glia/glia.h"

static int compare(const void *a, const void *b) {
    const long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

/* Evaluations of one run until the target; -1: it was not reached. */
static long search(const char *function, int n, glia_strategy_kind strategy, unsigned seed) {
    glia_error error;
    const bool restarts = strcmp(function, "rastrigin") == 0 && strategy == GLIA_CMA_ES;
    const glia_search_opts opts = { .kind = strategy,
                                    .sigma = 2,
                                    .target = 1e-8,
                                    .evaluations = 100000L * n,
                                    .restarts = restarts ? GLIA_IPOP : GLIA_NO_RESTARTS,
                                    .seed = seed };
    double *start = malloc((size_t)n * sizeof *start), *x = NULL, *values = NULL;
    srand(seed + 1);
    for (int i = 0; start && i < n; i++) start[i] = 6.0 * rand() / RAND_MAX - 3;
    glia_search *s = glia_search_create(start, n, opts, &error);
    glia_status status = s ? GLIA_OK : error.status;
    while (status == GLIA_OK && !glia_search_stopped(s)) {
        const int count = glia_search_count(s);
        x = realloc(x, (size_t)(count * n) * sizeof *x);
        values = realloc(values, (size_t)count * sizeof *values);
        if (!x || !values) exit(1);
        status = glia_search_ask(s, x, &error);
        for (int i = 0; i < count; i++) values[i] = glia_test_function(function, x + i * n, n);
        if (status == GLIA_OK) status = glia_search_tell(s, values, &error);
    }
    if (status != GLIA_OK) fprintf(stderr, "search: %s\n", error.message), exit(1);
    const glia_search_info info = glia_search_inspect(s);
    glia_search_free(s);
    free(start);
    free(x);
    free(values);
    return info.best <= 1e-8 ? (long)info.evaluations : -1;
}

int main(int argc, char **argv) {
    const bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    const char *function = quick || argc < 2 ? "rosenbrock" : argv[1];
    const int n = quick || argc < 3 ? 5 : atoi(argv[2]), runs = quick ? 3 : argc > 4 ? atoi(argv[4]) : 15;
    const unsigned seed = argc > 5 ? (unsigned)atoi(argv[5]) : 0;
    glia_strategy_kind strategy = GLIA_CMA_ES;
    while (argc > 3 && strategy < GLIA_STRATEGY_COUNT && strcmp(argv[3], glia_strategy_name(strategy)) != 0) strategy++;
    const double zero[1] = { 0 };
    if (n < 1 || runs < 1 || strategy == GLIA_STRATEGY_COUNT || glia_test_function(function, zero, 1) < 0 ||
        glia_test_function(function, zero, 1) != glia_test_function(function, zero, 1)) {
        fprintf(stderr, "usage: search FUNCTION DIMENSION [STRATEGY [RUNS [SEED]]]\n");
        return 2;
    }
    long *evaluations = malloc((size_t)runs * sizeof *evaluations);
    if (!evaluations) return 1;
    int reached = 0;
    for (int i = 0; i < runs; i++) {
        const long used = search(function, n, strategy, seed + (unsigned)i);
        if (used >= 0) evaluations[reached++] = used;
    }
    qsort(evaluations, (size_t)reached, sizeof *evaluations, compare);
    printf("%s of %d, %s: %d of %d runs reached 1e-8", function, n, glia_strategy_name(strategy), reached, runs);
    if (reached)
        printf("; evaluations: median %ld, %ld to %ld", evaluations[reached / 2], evaluations[0],
               evaluations[reached - 1]);
    printf("\n");
    free(evaluations);
    return 0;
}
