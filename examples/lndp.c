/* lndp.c - a net that goes on changing as it acts (Plantec et al. 2024).
 *
 *     lndp ENVIRONMENT [GENERATIONS [SEED [OPTION...]]]     OPTION: no-plasticity, no-structure, no-development
 *
 * CMA-ES with a diagonal covariance evolves a genome. Each candidate begins a life with a random graph, develops by
 * spontaneous activity, then acts for three episodes in a row: rewards change its edges. All candidates of a generation
 * live side by side. Prints the returns of the
 * episodes of new lives, and writes life.svg, the net at the end of one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glia/glia.h"

enum { EPISODES = 3, POPULATION = 256, SHOWN = 100, MOST = 8 };

typedef struct task {
    const char *name; /* what it does without */
    const glia_env *env;
    glia_lndp_opts opts;
    int development;
} task;

/* Where a net of those that live side by side acts, and how often it has. */
typedef struct place {
    glia_env *env;
    glia_env_result now;
    uint64_t seed; /* of the first episode */
    int episode;
} place;

static int choose(const double *y, int n) {
    int best = 0;
    for (int i = 1; i < n; i++) best = y[i] > y[best] ? i : best;
    return best;
}

/* The act y of a net at its place, and what follows: the reward, and the next episode when one is over. Returns whether
 * this life goes on. */
static bool step(const task *t, place *p, const double *y, double *reward, double *returns) {
    if (p->episode == EPISODES) return false;
    const int32_t action = choose(y, t->opts.outputs);
    bool fine = glia_env_step(p->env, &action, &p->now, NULL) == GLIA_OK;
    *reward = fine ? p->now.rewards[0] : 0;
    if (fine && !p->now.terminated[0] && !p->now.truncated[0]) return true;
    returns[p->episode++] = p->now.returns[0];
    if (fine && p->episode < EPISODES)
        fine = glia_env_reset(p->env, p->seed + (uint64_t)p->episode, &p->now, NULL) == GLIA_OK;
    if (!fine) p->episode = EPISODES;
    return p->episode < EPISODES;
}

/* A life of some episodes of each net, from a new graph on, by the seeds `life`, `life` + 1 ... Their returns are put
 * into returns (nets, EPISODES). */
static void live(const task *t, glia_lndp *nets, int n, uint64_t life, double *returns) {
    place places[POPULATION] = { { .episode = 0 } };
    double rewards[POPULATION] = { 0 }, x[POPULATION * MOST] = { 0 }, y[POPULATION * MOST];
    for (int k = 0; k < n; k++) {
        place *p = &places[k];
        glia_lndp_begin(nets, k, life + (uint64_t)k);
        p->env = glia_env_like(t->env, 1, NULL);
        p->seed = (life + (uint64_t)k) * EPISODES;
        if (!p->env || glia_env_reset(p->env, p->seed, &p->now, NULL) != GLIA_OK) p->episode = EPISODES;
    }
    glia_lndp_develop(nets, t->development);
    for (int alive = n; alive > 0;) { /* a net whose life is over acts on until all are, and nobody looks */
        for (int k = 0; k < n; k++) {
            for (int i = 0; i < t->opts.inputs && places[k].env; i++)
                x[k * t->opts.inputs + i] = (double)((const float *)places[k].now.observations)[i];
        }
        glia_lndp_act(nets, rewards, x, y);
        alive = 0;
        for (int k = 0; k < n; k++)
            alive += step(t, &places[k], y + k * t->opts.outputs, &rewards[k], returns + k * EPISODES);
    }
    for (int k = 0; k < n; k++) glia_env_free(places[k].env);
}

/* Minus the mean return of the episodes of a life, for each candidate another. */
static glia_status judge(const task *t, const double *genomes, int n, uint64_t generation, double *values,
                         glia_error *error) {
    double returns[POPULATION * EPISODES] = { 0 };
    glia_lndp_opts opts = t->opts;
    opts.nets = POPULATION;
    glia_lndp *nets = glia_lndp_create(genomes, n, opts, error);
    if (!nets) return error->status;
    live(t, nets, POPULATION, generation * POPULATION, returns);
    for (int k = 0; k < POPULATION; k++) {
        values[k] = 0;
        for (int i = 0; i < EPISODES; i++) values[k] -= returns[k * EPISODES + i] / EPISODES;
    }
    glia_lndp_free(nets);
    return GLIA_OK;
}

/* Lives that the search has not seen. genomes: room for several of n numbers, of which the first is shown. */
static void show(const task *t, double *genomes, int n) {
    double returns[SHOWN * EPISODES] = { 0 }, means[EPISODES] = { 0 };
    glia_lndp_opts opts = t->opts;
    opts.nets = SHOWN;
    for (int k = 1; k < SHOWN; k++) memcpy(genomes + k * n, genomes, (size_t)n * sizeof *genomes);
    glia_lndp *nets = glia_lndp_create(genomes, n, opts, NULL);
    if (nets) live(t, nets, SHOWN, UINT32_MAX, returns);
    for (int k = 0; k < SHOWN * EPISODES; k++) means[k % EPISODES] += returns[k] / SHOWN;
    printf("%s: returns of the episodes of a life %.1f %.1f %.1f; %d of %d possible edges\n", t->name, means[0],
           means[1], means[2], glia_lndp_edges(nets, 0), glia_lndp_places(nets));
    char *svg = glia_lndp_svg(nets, 0, "after a life", NULL);
    FILE *file = svg ? fopen("life.svg", "w") : NULL;
    if (file) {
        fputs(svg, file);
        fclose(file);
    }
    free(svg);
    glia_lndp_free(nets);
}

static int evolve(const task *t, int generations, uint64_t seed) {
    glia_error error;
    const int n = glia_lndp_parameters(t->opts);
    double *genomes = calloc((size_t)n * POPULATION + 1, sizeof *genomes), values[POPULATION];
    const glia_search_opts opts = { .kind = GLIA_SEP_CMA_ES, .population = POPULATION, .sigma = 1, .seed = seed };
    glia_search *search = genomes ? glia_search_create(genomes, n, opts, &error) : NULL;
    if (!search) return fprintf(stderr, "lndp: %s\n", genomes ? error.message : "out of memory"), 1;
    for (int g = 0; g < generations; g++) {
        if (glia_search_ask(search, genomes, &error) != GLIA_OK ||
            judge(t, genomes, n, (uint64_t)g, values, &error) != GLIA_OK ||
            glia_search_tell(search, values, &error) != GLIA_OK)
            return fprintf(stderr, "lndp: %s\n", error.message), 1;
        if (g % 10 == 9)
            printf("generation %d: best return of a life %.1f\n", g + 1, -glia_search_inspect(search).best);
        fflush(stdout);
    }
    glia_search_mean(search, genomes);
    show(t, genomes, n);
    glia_search_free(search);
    free(genomes);
    return 0;
}

int main(int argc, char **argv) {
    const bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    if (argc < 2) return fprintf(stderr, "usage: lndp ENVIRONMENT [GENERATIONS [SEED [OPTION...]]]\n"), 2;
    glia_error error;
    glia_env *env = glia_env_create(quick ? "cartpole?limit=50" : argv[1], (glia_env_opts){ 0 }, &error);
    if (!env) return fprintf(stderr, "lndp: %s\n", error.message), 1;
    const glia_space seen = glia_env_observation_space(env), acts = glia_env_action_space(env);
    if (seen.kind != GLIA_SPACE_BOX || seen.dtype != GLIA_F32 || seen.shape.rank != 1 || seen.shape.dim[0] > MOST ||
        acts.kind != GLIA_SPACE_DISCRETE || acts.n > MOST)
        return fprintf(stderr, "lndp: needs at most 8 numbers to see and 8 choices to make\n"), 1;
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
