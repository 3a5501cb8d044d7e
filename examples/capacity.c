/* capacity.c - how much memories hold: a net of Hopfield (1982) of 1,000 units, whose recall breaks down at 0.138
 * patterns a unit (Amit, Gutfreund and Sompolinsky 1985), and a tempotron, which sorts about 3 patterns a synapse
 * (Gütig and Sompolinsky 2006).
 *
 *     capacity [--quick]
 */
#include <glia/glia.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double uniform(uint64_t *state) { /* xorshift64* (Vigna 2016) */
    *state ^= *state >> 12, *state ^= *state << 25, *state ^= *state >> 27;
    return (double)(*state * 2685821657736338717u >> 11) / 9007199254740992.0;
}

/* ---- Hopfield ------------------------------------------------------------------------------------- */

/* The mean overlap of stored patterns with what is recalled when a twentieth of their units is turned. */
static double overlap(const float *weights, const float *patterns, int n, int tried, uint64_t *random) {
    float *state = malloc((size_t)n * sizeof *state);
    double sum = 0;
    for (int k = 0; state && k < tried; k++) {
        const float *x = patterns + (size_t)k * (size_t)n;
        for (int i = 0; i < n; i++) state[i] = uniform(random) < 0.05 ? -x[i] : x[i];
        glia_hopfield_recall(weights, n, (glia_hopfield_opts){ .seed = (uint64_t)k }, state, NULL);
        for (int i = 0; i < n; i++) sum += (double)(state[i] * x[i]) / n;
    }
    free(state);
    return sum / tried;
}

static void hopfield(int n, uint64_t random) {
    const double loads[] = { 0.05, 0.1, 0.12, 0.13, 0.138, 0.15, 0.16, 0.18, 0.2 };
    const size_t units = (size_t)n, most = (size_t)(0.2 * n + 0.5);
    float *weights = calloc(units * units, sizeof *weights), *patterns = malloc(most * units * sizeof *patterns);
    if (!weights || !patterns) exit(1);
    for (size_t i = 0; i < most * units; i++) patterns[i] = uniform(&random) < 0.5 ? -1 : 1;
    printf("Hopfield, %d units\n  load  overlap\n", n);
    for (int k = 0, stored = 0; k < (int)(sizeof loads / sizeof *loads); k++) {
        const int wanted = (int)(loads[k] * n + 0.5);
        glia_hopfield_store(weights, n, patterns + (size_t)stored * units, wanted - stored, NULL);
        stored = wanted;
        printf("%6.3f   %6.3f\n", loads[k], overlap(weights, patterns, n, stored < 20 ? stored : 20, &random));
    }
    free(weights);
    free(patterns);
}

/* ---- the tempotron -------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b) {
    const double s = ((const glia_spike_event *)a)->time, t = ((const glia_spike_event *)b)->time;
    return (s > t) - (s < t);
}

/* Patterns in which each input fires once in 500 ms; half of them should make the cell fire. Returns the cycles after
 * which all are right, or with a minus the errors that are left. */
static int tempotron(int inputs, int patterns, int cycles, uint64_t random) {
    const size_t n = (size_t)inputs;
    glia_spike_event *events = malloc(n * (size_t)patterns * sizeof *events);
    double *weights = malloc(n * sizeof *weights);
    if (!events || !weights) exit(1);
    for (size_t i = 0; i < n * (size_t)patterns; i++)
        events[i] = (glia_spike_event){ 500 * uniform(&random), (int32_t)(i % n) };
    for (int p = 0; p < patterns; p++) qsort(events + (size_t)p * n, n, sizeof *events, by_time);
    for (size_t i = 0; i < n; i++) weights[i] = 0.1 * (uniform(&random) - 0.5);
    glia_kernel_cell cell = { .inputs = inputs, .weights = weights };
    int errors = patterns, cycle = 0;
    for (; errors && cycle < cycles; cycle++) {
        errors = 0;
        for (int p = 0; p < patterns; p++) {
            bool wrong = false;
            glia_tempotron_step(&cell, events + (size_t)p * n, inputs, 600, p % 2, 0.01 / (1 + cycle / 300.0), &wrong,
                                NULL);
            errors += wrong;
        }
    }
    free(events);
    free(weights);
    return errors ? -errors : cycle;
}

int main(int argc, char **argv) {
    const bool quick = argc > 1 && !strcmp(argv[1], "--quick");
    hopfield(quick ? 200 : 1000, 20240229);
    const int inputs = quick ? 20 : 50, cycles = quick ? 200 : 3000;
    printf("tempotron, %d inputs\n  load  cycles\n", inputs);
    for (double load = 1; load <= 3; load += 0.5) {
        const int patterns = (int)(load * inputs), cycle = tempotron(inputs, patterns, cycles, 31);
        if (cycle >= 0)
            printf("%6.1f   %6d\n", load, cycle);
        else
            printf("%6.1f   %.1f %% of the patterns wrong after %d\n", load, -100.0 * cycle / patterns, cycles);
    }
    return 0;
}
