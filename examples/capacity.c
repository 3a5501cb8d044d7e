/* capacity.c - how much memories hold: a net of Hopfield (1982) of 1,000 units, whose recall breaks down at 0.138
 * patterns a unit (Amit, Gutfreund and Sompolinsky 1985), a tempotron, which sorts about 3 patterns an input (Gütig and
 * Sompolinsky 2006), and a chronotron, which answers at least 0.22 patterns an input with a spike at the right time
 * (Florian 2012).
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

/* ---- cells that learn when to fire ---------------------------------------------------------------- */

static int by_time(const void *a, const void *b) {
    const double s = ((const glia_spike_event *)a)->time, t = ((const glia_spike_event *)b)->time;
    return (s > t) - (s < t);
}

/* Patterns in which each input fires once. */
typedef struct task {
    int inputs, patterns;
    double duration;
    glia_spike_event *events; /* (patterns, inputs) */
    double *wanted;           /* (patterns): when the chronotron should fire */
    double *weights, *change; /* (inputs) */
} task;

/* Weights are uniform in [low, 0.05) at first. */
static task make_task(int inputs, int patterns, double duration, double low, uint64_t random) {
    const size_t n = (size_t)inputs, p = (size_t)patterns;
    task t = { inputs,
               patterns,
               duration,
               malloc(n * p * sizeof *t.events),
               malloc(p * sizeof *t.wanted),
               malloc(n * sizeof *t.weights),
               calloc(n, sizeof *t.change) };
    if (!t.events || !t.wanted || !t.weights || !t.change) exit(1);
    for (size_t i = 0; i < n * p; i++)
        t.events[i] = (glia_spike_event){ duration * uniform(&random), (int32_t)(i % n) };
    for (size_t k = 0; k < p; k++) {
        qsort(t.events + k * n, n, sizeof *t.events, by_time);
        t.wanted[k] = duration * (0.25 + 0.75 * uniform(&random));
    }
    for (size_t i = 0; i < n; i++) t.weights[i] = low + (0.05 - low) * uniform(&random);
    return t;
}

static void free_task(task t) {
    free(t.events);
    free(t.wanted);
    free(t.weights);
    free(t.change);
}

/* Learns pattern p once; returns whether it was wrong. Every second pattern should make the tempotron fire. */
static bool tempotron(task *t, int p, int cycle) {
    glia_kernel_cell cell = { .inputs = t->inputs, .weights = t->weights }; /* 15 and 15 / 4 ms */
    const glia_tempotron_opts opts = { .rate = 1e-3 / (1 + cycle / 500.0), .momentum = 0.99, .change = t->change };
    bool wrong = true;
    glia_tempotron_step(&cell, t->events + (size_t)p * (size_t)t->inputs, t->inputs, t->duration + 100, p % 2, opts,
                        &wrong, NULL);
    return wrong;
}

/* The chronotron should fire once, at a time of the pattern's own; right is within 1 ms. */
static bool chronotron(task *t, int p, int cycle) {
    const glia_chronotron_opts opts = { .rate = 2e-3, .tau_q = 10, .shift = 20 };
    glia_kernel_cell cell = { .inputs = t->inputs, .weights = t->weights, .tau = 10, .tau_s = 5 };
    double distance = 1;
    (void)cycle;
    glia_chronotron_step(&cell, t->events + (size_t)p * (size_t)t->inputs, t->inputs, t->duration + 50, &t->wanted[p],
                         1, opts, &distance, NULL);
    return distance > 0.1 * 0.1 / 2; /* (1 ms / tau_q)^2 / 2 */
}

/* Learns a task; returns the patterns that are wrong in the last cycle. *cycle: those that it took. */
static int learn(task *t, bool (*step)(task *t, int p, int cycle), int cycles, int *cycle) {
    int wrong = t->patterns;
    for (*cycle = 0; wrong && *cycle < cycles; ++*cycle) {
        wrong = 0;
        for (int p = 0; p < t->patterns; p++) wrong += step(t, p, *cycle);
    }
    return wrong;
}

/* A row for each load: how many of some draws of the patterns are learned without an error, the mean cycles of these,
 * and the mean part of the patterns that are wrong in the end. */
static void curve(const char *name, bool (*step)(task *t, int p, int cycle), int inputs, double duration, double low,
                  const double *loads, int n, int cycles) {
    enum { DRAWS = 5 };
    printf("%s, %d inputs, at most %d cycles\n  load  learned  cycles  wrong\n", name, inputs, cycles);
    for (int k = 0; k < n; k++) {
        int learned = 0;
        double taken = 0, wrong = 0;
        for (int draw = 0; draw < DRAWS; draw++) {
            const int patterns = (int)(loads[k] * inputs + 0.5);
            task t = make_task(inputs, patterns, duration, low, 0x9e3779b97f4a7c15u * (uint64_t)(draw + 1));
            int cycle, errors = learn(&t, step, cycles, &cycle);
            wrong += (double)errors / t.patterns / DRAWS;
            learned += !errors;
            taken += errors ? 0 : cycle;
            free_task(t);
        }
        printf("%6.2f   %d of %d  %6.0f  %4.1f %%\n", loads[k], learned, DRAWS, learned ? taken / learned : cycles,
               100 * wrong);
    }
}

int main(int argc, char **argv) {
    const bool quick = argc > 1 && !strcmp(argv[1], "--quick");
    const double classes[] = { 1, 1.5, 2, 2.5, 3, 3.5 }, times[] = { 0.05, 0.1, 0.15, 0.2, 0.22, 0.25, 0.3 };
    const int inputs = quick ? 20 : 200, cycles = quick ? 50 : 3000;
    hopfield(quick ? 200 : 1000, 20240229);
    curve("tempotron", tempotron, inputs, 500, -0.05, classes, (int)(sizeof classes / sizeof *classes), cycles);
    curve("chronotron", chronotron, inputs, 200, 0, times, (int)(sizeof times / sizeof *times), cycles);
    return 0;
}
