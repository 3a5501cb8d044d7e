/* lndp.c - a net that goes on changing as it acts (Plantec et al. 2024).
 *
 *     lndp ENVIRONMENT [GENERATIONS [SEED [OPTION...]]]     OPTION: no-plasticity, no-structure, no-development
 *
 * CMA-ES with a diagonal covariance evolves a genome. Each candidate begins a life with a random graph, develops by
 * spontaneous activity, then acts for three episodes in a row: rewards change its edges. Prints the returns of the
 * episodes of new lives, and writes life.svg, the net at the end of one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glia/glia.h"

enum { EPISODES = 3, POPULATION = 32 };

typedef struct task {
    const char *name; /* what it does without */
    const glia_env *env;
    glia_lndp_opts opts;
    int development;
    uint64_t generation; /* all candidates of one are judged by the same lives */
} task;

/* An episode of a life: its return. `reward`: the last one of the life before and after, 0 at first. */
static double episode(const task *t, glia_lndp *net, uint64_t seed, double *reward) {
    glia_env *env = glia_env_like(t->env, 1, NULL);
    glia_env_result now = { 0 };
    double x[64], y[64], sum = 0;
    bool on = env && glia_env_reset(env, seed, &now, NULL) == GLIA_OK;
    while (on && !now.terminated[0] && !now.truncated[0]) {
        for (int i = 0; i < t->opts.inputs; i++) x[i] = (double)((const float *)now.observations)[i];
        glia_lndp_act(net, *reward, x, y);
        int32_t action = 0;
        for (int i = 1; i < t->opts.outputs; i++) action = y[i] > y[action] ? i : action;
        on = glia_env_step(env, &action, &now, NULL) == GLIA_OK;
        *reward = on ? now.rewards[0] : 0;
        sum += *reward;
    }
    glia_env_free(env);
    return sum;
}

/* A life of some episodes from a new graph on; their returns are added to `returns`. */
static void live(const task *t, glia_lndp *net, uint64_t life, uint64_t seed, double *returns) {
    double reward = 0;
    glia_lndp_begin(net, life);
    glia_lndp_develop(net, t->development);
    for (uint64_t k = 0; k < EPISODES; k++) returns[k] += episode(t, net, seed + k, &reward);
}

/* Minus the mean return of the episodes of two lives. */
static glia_status value_of(void *context, const double *x, int n, uint64_t seed, double *value, glia_error *error) {
    enum { LIVES = 2 };
    const task *t = context;
    (void)seed;
    glia_lndp *net = glia_lndp_create(x, n, t->opts, error);
    if (!net) return error ? error->status : GLIA_E_NOMEM;
    double returns[EPISODES] = { 0 };
    for (uint64_t life = t->generation * LIVES; life < (t->generation + 1) * LIVES; life++)
        live(t, net, life, life * EPISODES, returns);
    *value = 0;
    for (int k = 0; k < EPISODES; k++) *value -= returns[k] / (LIVES * EPISODES);
    glia_lndp_free(net);
    return GLIA_OK;
}

/* Lives that the search has not seen. */
static void show(const task *t, const double *genome, int n) {
    enum { LIVES = 20 };
    double returns[EPISODES] = { 0 };
    glia_lndp *net = glia_lndp_create(genome, n, t->opts, NULL);
    for (uint64_t life = 0; net && life < LIVES; life++)
        live(t, net, 1000000 + life, 2000000 + life * EPISODES, returns);
    for (int k = 0; k < EPISODES; k++) returns[k] /= LIVES;
    printf("%s: returns of the episodes of a life %.1f %.1f %.1f; %d of %d possible edges\n", t->name, returns[0],
           returns[1], returns[2], glia_lndp_edges(net), glia_lndp_places(net));
    char *svg = glia_lndp_svg(net, "after a life", NULL);
    FILE *file = svg ? fopen("life.svg", "w") : NULL;
    if (file) {
        fputs(svg, file);
        fclose(file);
    }
    free(svg);
    glia_lndp_free(net);
}

static int evolve(task *t, int generations, uint64_t seed) {
    glia_error error;
    const int n = glia_lndp_parameters(t->opts);
    double *genome = calloc((size_t)n + 1, sizeof *genome);
    const glia_search_opts opts = { .kind = GLIA_SEP_CMA_ES, .population = POPULATION, .sigma = 0.3, .seed = seed };
    glia_search *search = genome ? glia_search_create(genome, n, opts, &error) : NULL;
    if (!search) return fprintf(stderr, "lndp: %s\n", genome ? error.message : "out of memory"), 1;
    for (int g = 0; g < generations; g++) {
        t->generation = (uint64_t)g;
        if (glia_search_run(search, value_of, t, 1, 0, &error) != GLIA_OK)
            return fprintf(stderr, "lndp: %s\n", error.message), 1;
        if (g % 10 == 9)
            printf("generation %d: best return of a life %.1f\n", g + 1, -glia_search_inspect(search).best);
        fflush(stdout);
    }
    glia_search_mean(search, genome);
    show(t, genome, n);
    glia_search_free(search);
    free(genome);
    return 0;
}

int main(int argc, char **argv) {
    const bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    if (argc < 2) return fprintf(stderr, "usage: lndp ENVIRONMENT [GENERATIONS [SEED [OPTION...]]]\n"), 2;
    glia_error error;
    glia_env *env = glia_env_create(quick ? "cartpole?limit=50" : argv[1], (glia_env_opts){ 0 }, &error);
    if (!env) return fprintf(stderr, "lndp: %s\n", error.message), 1;
    const glia_space seen = glia_env_observation_space(env), acts = glia_env_action_space(env);
    if (seen.kind != GLIA_SPACE_BOX || seen.dtype != GLIA_F32 || seen.shape.rank != 1 || seen.shape.dim[0] > 8 ||
        acts.kind != GLIA_SPACE_DISCRETE)
        return fprintf(stderr, "lndp: needs at most 8 numbers to see and choices to make\n"), 1;
    task t = { .name = argc > 4 ? argv[4] : "whole",
               .env = env,
               .opts = { .inputs = (int)seen.shape.dim[0], .outputs = (int)acts.n, .nodes = 10 },
               .development = quick ? 3 : 30 };
    for (int i = 4; i < argc; i++) {
        if (strcmp(argv[i], "no-plasticity") == 0)
            t.opts.frozen = true;
        else if (strcmp(argv[i], "no-structure") == 0)
            t.opts.fixed_structure = true;
        else if (strcmp(argv[i], "no-development") == 0)
            t.development = 0;
        else
            return fprintf(stderr, "lndp: unknown option %s\n", argv[i]), 2;
    }
    const int status = evolve(&t, quick ? 2 : argc > 2 ? atoi(argv[2]) : 100, argc > 3 ? (uint64_t)atoi(argv[3]) : 0);
    glia_env_free(env);
    return status;
}
