/* neat.c - NEAT on the tasks of Stanley and Miikkulainen 2002: XOR, and two poles on a cart.
 *
 *     neat xor [RUNS [SEED [OPTION...]]]             OPTION: no-speciation, no-crossover, no-growth,
 *                                                    random-topologies
 *     neat poles [RUNS [SEED [OPTION...]]]           with the velocities observed
 *     neat poles-no-velocities [RUNS [SEED [OPTION...]]]    without, Gruau's fitness and test of generalisation
 *     neat cartpole [POPULATION [GENERATIONS [THREADS]]]    speed: generations and steps a second
 *
 * Prints the mean of evaluations until a solution, and the sizes of the nets found.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "glia/glia.h"

typedef struct task {
    const char *name;
    glia_neat_opts opts;
    int64_t generations;
    double enough; /* fitness from which on a genome is a solution, or above which it is tested */
} task;

static const task tasks[] = {
    { "xor", { .inputs = 2, .outputs = 1, .add_node = 0.05, .add_link = 0.1 }, 200, 1000 },
    { "poles", { .inputs = 6, .outputs = 1, .add_node = 0.01 }, 500, 100000 },
    { "poles-no-velocities",
      { .inputs = 3,
        .outputs = 1,
        .population = 500,
        .recurrent = true,
        .species = 20,
        .step = 1,
        .survival = 0.15,
        .add_node = 0.005,
        .add_link = 0.2 },
      200,
      0.1 },
};

/* ---- XOR ------------------------------------------------------------------------------------------------ */

/* (4 - sum of errors)^2, and 1,000 more if all four answers are on the right side. */
static glia_status xor_fitness(void *context, const glia_genome *genome, uint64_t seed, double *fitness,
                               glia_error *error) {
    (void)context, (void)seed;
    glia_net *net = glia_net_create(genome, error);
    if (!net) return error ? error->status : GLIA_E_NOMEM;
    double sum = 0;
    bool right = true;
    for (int i = 0; i < 4; i++) {
        const double x[2] = { i & 1, i >> 1 }, wanted = (i & 1) != i >> 1;
        double y;
        glia_net_reset(net);
        glia_net_run(net, x, &y);
        sum += fabs(y - wanted);
        right = right && (y > 0.5) == (wanted > 0.5);
    }
    glia_net_free(net);
    *fitness = (4 - sum) * (4 - sum) + (right ? 1000 : 0);
    return GLIA_OK;
}

/* ---- poles ---------------------------------------------------------------------------------------------- */

/* Steps until a pole falls, at most `limit`; `jiggle` (may be NULL): how much cart and long pole moved in the last 100
 * of them. */
static int64_t balance(glia_env *env, glia_net *net, int64_t limit, double *jiggle, glia_error *error) {
    glia_env_result now;
    int64_t steps = 0;
    glia_net_reset(net);
    if (glia_env_last(env, &now, error) != GLIA_OK) return -1;
    for (; steps < limit; steps++) {
        double x[6], y;
        const float *seen = now.observations;
        const int n = (int)glia_env_observation_space(env).shape.dim[0];
        for (int i = 0; i < n; i++) x[i] = (double)seen[i];
        glia_net_run(net, x, &y);
        const float action = (float)(2 * y - 1);
        if (glia_env_step(env, &action, &now, error) != GLIA_OK) return -1;
        if (jiggle) *jiggle = ((const double *)now.info[0].data)[0];
        if (now.terminated[0]) break;
    }
    return steps;
}

static glia_status poles_fitness(void *context, const glia_genome *genome, uint64_t seed, double *fitness,
                                 glia_error *error) {
    const bool velocities = genome->inputs == 6;
    (void)context, (void)seed;
    glia_env *env = glia_env_create(velocities ? "double-pole" : "double-pole?velocities=false",
                                    (glia_env_opts){ .limit = GLIA_NONE }, error);
    glia_net *net = env ? glia_net_create(genome, error) : NULL;
    double jiggle = 0;
    glia_status status = net ? glia_env_reset(env, 1, NULL, error) : GLIA_E_NOMEM;
    const int64_t limit = velocities ? 100000 : 1000;
    const int64_t steps = status == GLIA_OK ? balance(env, net, limit, &jiggle, error) : -1;
    const double still = steps < 100 ? 0 : 0.75 / jiggle;
    *fitness = velocities ? (double)steps : 0.1 * (double)steps / 1000 + 0.9 * still;
    glia_net_free(net);
    glia_env_free(env);
    return steps < 0 ? GLIA_E_NOMEM : GLIA_OK;
}

/* From how many of 625 states does a genome balance for 1,000 steps? 0 if it does not for 100,000 from the first. */
static int generalisation(const glia_genome *genome) {
    static const double parts[5] = { 0.05, 0.25, 0.5, 0.75, 0.95 };
    static const double ranges[4] = { 2.16, 1.35, 0.0628319, 0.15009832 };
    glia_env *env = glia_env_create("double-pole?velocities=false", (glia_env_opts){ .limit = GLIA_NONE }, NULL);
    glia_net *net = glia_net_create(genome, NULL);
    int passed = 0;
    if (env && net && glia_env_reset(env, 1, NULL, NULL) == GLIA_OK &&
        balance(env, net, 100000, NULL, NULL) == 100000) {
        double state[107] = { 0 };
        for (int i = 0; i < 625; i++) {
            for (int k = 0, rest = i; k < 4; k++, rest /= 5) state[k] = ranges[k] * (2 * parts[rest % 5] - 1);
            if (glia_env_put(env, 0, state, 107, NULL) != GLIA_OK) break;
            passed += balance(env, net, 1000, NULL, NULL) == 1000;
        }
    }
    glia_net_free(net);
    glia_env_free(env);
    return passed;
}

/* ---- runs ----------------------------------------------------------------------------------------------- */

typedef struct outcome {
    bool solved;
    int64_t evaluations, generations;
    glia_genome_size size;
    int tests, passed; /* tests of generalisation, and how many states the last one passed */
} outcome;

static void stop(const glia_error *error) {
    fprintf(stderr, "neat: %s\n", error->message);
    exit(1);
}

/* The test of generalisation, for the best genome of each species if it balances for 1,000 steps and is fitter than
 * those of its species that were tested before. Stanley's program tests one genome in a generation. */
static void generalise(const task *t, const glia_neat *neat, const double *fitness, outcome *o) {
    enum { SPECIES = 1 << 17 };
    static double tested[SPECIES];
    static int best[SPECIES]; /* 1 + its index */
    if (glia_neat_inspect(neat).generation == 0) memset(tested, 0, sizeof tested);
    memset(best, 0, sizeof best);
    for (int i = 0; i < glia_neat_population(neat); i++) {
        const int32_t k = glia_neat_genome(neat, i)->species;
        if (fitness[i] > fmax(t->enough, tested[k]) && (!best[k] || fitness[i] > fitness[best[k] - 1])) best[k] = i + 1;
    }
    for (int i = 0; i < glia_neat_population(neat) && !o->solved; i++) {
        const glia_genome *genome = glia_neat_genome(neat, i);
        if (best[genome->species] != i + 1) continue;
        tested[genome->species] = fitness[i];
        o->tests++;
        o->passed = generalisation(genome);
        o->solved = o->passed >= 200;
        if (o->solved) o->size = glia_genome_measure(genome);
    }
}

/* A generation: all genomes are evaluated, solutions looked for, then the next one is born. */
static void generation(const task *t, glia_neat *neat, outcome *o) {
    static double fitness[1000];
    glia_error error;
    int best = 0;
    for (int i = 0; i < glia_neat_population(neat); i++) {
        const glia_genome *genome = glia_neat_genome(neat, i);
        if ((t == tasks ? xor_fitness : poles_fitness)(NULL, genome, 0, &fitness[i], &error) != GLIA_OK) stop(&error);
        if (fitness[i] > fitness[best]) best = i;
    }
    o->size = glia_genome_measure(glia_neat_genome(neat, best));
    if (t == tasks + 2)
        generalise(t, neat, fitness, o);
    else
        o->solved = fitness[best] >= t->enough;
    if (glia_neat_tell(neat, fitness, &error) != GLIA_OK) stop(&error);
}

static outcome run(const task *t, glia_neat_opts opts, FILE *drawing) {
    glia_error error;
    outcome o = { .solved = false };
    glia_neat *neat = glia_neat_create(opts, &error);
    if (!neat) stop(&error);
    for (int64_t g = 0; g < t->generations && !o.solved; g++) generation(t, neat, &o);
    o.evaluations = glia_neat_inspect(neat).evaluations;
    o.generations = glia_neat_inspect(neat).generation;
    char *svg = drawing ? glia_genome_svg(glia_neat_champion(neat), NULL) : NULL;
    if (svg) fputs(svg, drawing);
    free(svg);
    glia_neat_free(neat);
    return o;
}

/* ---- speed ---------------------------------------------------------------------------------------------- */

/* CPU seconds of all threads of this process, for which other programs on the machine do not count. */
static double cpu_seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

static double seconds(void) {
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* One episode of CartPole for each genome of a generation, from a state of its own. */
static int speed(int population, int generations, int threads) {
    enum { MOST = 100000 };
    static double fitness[MOST];
    glia_error error;
    if (population > MOST) return fprintf(stderr, "neat: a population of %d is beyond %d\n", population, MOST), 1;
    glia_env *env = glia_env_create("cartpole", (glia_env_opts){ 0 }, &error);
    glia_neat *neat = glia_neat_create(
        (glia_neat_opts){ .inputs = 4, .outputs = 2, .population = population, .output = GLIA_NODE_TANH }, &error);
    if (!neat || !env) stop(&error);
    double steps = 0;
    const double began = seconds(), cpu_began = cpu_seconds();
    for (int g = 0; g < generations; g++) {
        const uint64_t seed = (uint64_t)g * (uint64_t)population;
        if (glia_neat_play(neat, env, (glia_neat_play_opts){ .seed = seed, .apart = 1, .threads = threads }, fitness,
                           &error) != GLIA_OK ||
            glia_neat_tell(neat, fitness, &error) != GLIA_OK)
            stop(&error);
        steps += glia_neat_inspect(neat).mean * population;
    }
    const double took = seconds() - began, cpu = cpu_seconds() - cpu_began;
    printf("cartpole: population %d, %d generations, best %.0f, %.0f steps a generation: %.1f generations a CPU "
           "second, %.2f million steps a CPU second, %.2f a second by %d threads\n",
           population, generations, glia_neat_inspect(neat).champion, steps / generations, generations / cpu,
           steps / cpu / 1e6, steps / took / 1e6, threads);
    glia_neat_free(neat);
    glia_env_free(env);
    return 0;
}

int main(int argc, char **argv) {
    const bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    const task *t = tasks;
    if (argc > 1 && strcmp(argv[1], "cartpole") == 0)
        return speed(argc > 2 ? atoi(argv[2]) : 150, argc > 3 ? atoi(argv[3]) : 30, argc > 4 ? atoi(argv[4]) : 1);
    while (!quick && argc > 1 && t < tasks + 3 && strcmp(t->name, argv[1]) != 0) t++;
    if (t == tasks + 3)
        return fprintf(stderr, "usage: neat xor|poles|poles-no-velocities [RUNS [SEED [OPTION...]]]\n"), 2;
    const int runs = quick ? 2 : argc > 2 ? atoi(argv[2]) : 100;
    glia_neat_opts opts = t->opts;
    for (int i = 4; i < argc; i++) {
        if (strcmp(argv[i], "no-speciation") == 0)
            opts.no_speciation = true;
        else if (strcmp(argv[i], "no-crossover") == 0)
            opts.no_crossover = 1;
        else if (strcmp(argv[i], "no-growth") == 0)
            opts.no_growth = true, opts.hidden = 10;
        else if (strcmp(argv[i], "random-topologies") == 0)
            opts.random_topology = true, opts.hidden = 10;
        else
            return fprintf(stderr, "neat: unknown option %s\n", argv[i]), 2;
    }
    int solved = 0;
    double evaluations = 0, squares = 0, generations = 0, hidden = 0, links = 0, passed = 0, worst = 0;
    for (int i = 0; i < runs; i++) {
        opts.seed = (uint64_t)(argc > 3 && !quick ? atoi(argv[3]) : 0) + (uint64_t)i;
        FILE *drawing = i == 0 ? fopen("champion.svg", "w") : NULL;
        const outcome o = run(t, opts, drawing);
        if (drawing) fclose(drawing);
        if (t == tasks + 2) {
            printf("run %d: %s after %lld evaluations and %d tests, generalisation %d of 625\n", i,
                   o.solved ? "solved" : "not solved", (long long)o.evaluations, o.tests, o.passed);
            fflush(stdout);
        }
        solved += o.solved;
        evaluations += (double)o.evaluations / runs;
        squares += (double)o.evaluations * (double)o.evaluations / runs;
        generations += (double)o.generations / runs;
        hidden += (double)o.size.hidden / runs;
        links += (double)o.size.links / runs;
        passed += (double)o.passed / runs;
        worst = fmax(worst, (double)o.evaluations);
    }
    printf("%s: %d of %d runs solved; evaluations: mean %.0f, deviation %.0f, worst %.0f; generations %.1f; "
           "hidden nodes %.2f, links %.2f",
           t->name, solved, runs, evaluations, sqrt(fmax(squares - evaluations * evaluations, 0)), worst, generations,
           hidden, links);
    if (t == tasks + 2) printf("; generalisation %.0f of 625", passed);
    printf("\n");
    return 0;
}
