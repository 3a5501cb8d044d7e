/* ndp.c - nets that grow from one node (Najarro, Sudhakaran and Risi 2023).
 *
 *     ndp replay xor|cartpole|small-world                    grows the published genomes in $GLIA_DATA/ndp
 *     ndp evolve xor|cartpole|small-world [GENERATIONS [SEED]]    evolves a genome from scratch by CMA-ES
 *
 * Each writes growth-0.svg, growth-1.svg, ...: the graph before the first cycle and after each.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glia/glia.h"

typedef struct task {
    const char *name, *file;
    glia_ndp_opts opts;
    double sigma, target;
    double bound; /* within which runs begin; 0: none */
} task;

static const task tasks[] = {
    { "xor",
      "xor-best.npy",
      { .embedding = 1, .hidden = 1, .cycles = 4, .growth_steps = GLIA_NONE, .rollout_steps = GLIA_NONE },
      1,
      1,
      3 },
    { "cartpole", "cartpole-weighted-centroid.npy", { .most = 16 }, 0.3, -500, 0 },
    { "small-world", "small-world-best.npy", { .hidden = 10, .cycles = 7, .binary = true, .most = 50 }, 0.1, -127, 0 },
};

/* ---- the tasks: smaller is better ----------------------------------------------------------------------- */

/* The cross-entropy of answers whose logits are 8 (y - 1/2), and 1 more for each on the wrong side of 1/2: below 1 all
 * are right. Squared errors have local minima with all answers near 1/2. `right`: how many are. */
static double xor_loss(const glia_grown *g, glia_ndp_opts opts, int *right) {
    double sum = 0;
    *right = 0;
    for (int i = 0; i < 4; i++) {
        double values[4096] = { 0 }, y = 0;
        const double x[2] = { i & 1, i >> 1 };
        const bool wanted = (i & 1) != i >> 1;
        if (!glia_grown_run(g, opts, values, x, 2, &y, 1)) return 20 - g->n;
        sum += log1p(exp((wanted ? -8 : 8) * (y - 0.5)));
        *right += (y > 0.5) == wanted;
    }
    return sum + 4 - *right;
}

static double cartpole_return(const glia_grown *g, glia_ndp_opts opts, uint64_t seed, int episodes) {
    glia_env *env = glia_env_create("cartpole", (glia_env_opts){ 0 }, NULL);
    double sum = 0;
    for (int k = 0; env && k < episodes; k++) {
        double values[4096] = { 0 };
        glia_env_result now;
        bool on = glia_env_reset(env, seed + (uint64_t)k, &now, NULL) == GLIA_OK;
        while (on && !now.terminated[0] && !now.truncated[0]) {
            double x[4], y[2];
            for (int i = 0; i < 4; i++) x[i] = (double)((const float *)now.observations)[i];
            if (!glia_grown_run(g, opts, values, x, 4, y, 2)) {
                glia_env_free(env);
                return g->n - 6;
            }
            const int32_t action = y[1] > y[0];
            on = glia_env_step(env, &action, &now, NULL) == GLIA_OK;
        }
        sum += now.returns[0] / episodes;
    }
    glia_env_free(env);
    return sum;
}

static glia_status value_of(void *context, const double *x, int n, uint64_t seed, double *value, glia_error *error) {
    const task *t = context;
    int right;
    (void)seed; /* all play the same episodes */
    glia_grown *g = glia_ndp_grow(x, n, t->opts, error);
    if (!g) return GLIA_E_NOMEM;
    if (t == tasks) *value = xor_loss(g, t->opts, &right);
    if (t == tasks + 1) *value = -cartpole_return(g, t->opts, 0, 10);
    if (t == tasks + 2) {
        const double sigma = g->n >= 10 ? glia_grown_small_world(g, 1, NULL) : NAN;
        *value = isnan(sigma) ? 10 - g->n : -100 * sigma;
    }
    glia_grown_free(g);
    return GLIA_OK;
}

/* ---- what has grown ----------------------------------------------------------------------------------------- */

static void tell(const task *t, const glia_grown *g) {
    printf("%s: nodes", t->name);
    for (int i = 0; i <= g->cycles; i++) printf(" %d", g->sizes[i]);
    printf("; %d nodes, %d edges", g->n, glia_grown_edges(g));
    int right;
    if (t == tasks) {
        const double loss = xor_loss(g, t->opts, &right);
        printf("; %d of 4 right, loss %.3f", right, loss);
    }
    if (t == tasks + 1) printf("; return %.1f over 100 episodes", cartpole_return(g, t->opts, 1000, 100));
    if (t == tasks + 2) printf("; sigma %.3f", glia_grown_small_world(g, 1, NULL));
    printf("\n");
    for (int i = 0; i <= g->cycles; i++) {
        char name[32], *svg = glia_grown_svg(g, i, NULL);
        snprintf(name, sizeof name, "growth-%d.svg", i);
        FILE *file = svg ? fopen(name, "w") : NULL;
        if (file) {
            fputs(svg, file);
            fclose(file);
        }
        free(svg);
    }
}

static int replay(const task *t) {
    char address[512];
    glia_error error;
    const char *folder = getenv("GLIA_DATA");
    const int n = glia_ndp_parameters(t->opts);
    double *genome = calloc((size_t)n, sizeof *genome);
    snprintf(address, sizeof address, "%s/ndp/%s", folder ? folder : "", t->file);
    FILE *file = folder && genome ? fopen(address, "rb") : NULL;
    if (!file) return fprintf(stderr, "ndp: needs ndp/%s in $GLIA_DATA\n", t->file), 1;
    fseek(file, -8L * n, SEEK_END); /* the numbers are the end of the file */
    const bool read = fread(genome, 8, (size_t)n, file) == (size_t)n;
    fclose(file);
    glia_grown *g = read ? glia_ndp_grow(genome, n, t->opts, &error) : NULL;
    if (!g) return fprintf(stderr, "ndp: %s\n", read ? error.message : "a short file"), 1;
    tell(t, g);
    glia_grown_free(g);
    free(genome);
    return 0;
}

/* 0; 1 after an error; 2 if the target was not reached. */
static int evolve(const task *t, int generations, uint64_t seed) {
    glia_error error;
    const int n = glia_ndp_parameters(t->opts);
    double *x = calloc(3 * (size_t)n, sizeof *x), *lower = x ? x + n : NULL, *upper = x ? lower + n : NULL;
    srand((unsigned)seed + 1);
    for (int i = 0; x && i < n; i++) {
        x[i] = 2.0 * rand() / RAND_MAX - 1;
        upper[i] = t->bound;
        lower[i] = -t->bound;
    }
    const bool bounded = t->bound > 0; /* without bounds every run would begin where the first did */
    const glia_search_opts opts = { .population = 64,
                                    .sigma = t->sigma,
                                    .lower = bounded ? lower : NULL,
                                    .upper = bounded ? upper : NULL,
                                    .restarts = bounded ? GLIA_BIPOP : GLIA_NO_RESTARTS,
                                    .target = t->target,
                                    .seed = seed };
    glia_search *s = x ? glia_search_create(x, n, opts, &error) : NULL;
    if (!s) return fprintf(stderr, "ndp: %s\n", x ? error.message : "out of memory"), 1;
    for (int g = 0; g < generations && !glia_search_stopped(s); g += 10) {
        if (glia_search_run(s, value_of, (void *)t, generations - g < 10 ? generations - g : 10, 0, &error) != GLIA_OK)
            return fprintf(stderr, "ndp: %s\n", error.message), 1;
        const glia_search_info info = glia_search_inspect(s);
        printf("generation %lld: best value %g\n", (long long)info.generation, info.best);
        fflush(stdout);
    }
    const char *why = glia_search_stopped(s);
    const bool reached = why && strcmp(why, "target") == 0;
    if (why) printf("stopped: %s\n", why);
    glia_search_best(s, x);
    glia_grown *g = glia_ndp_grow(x, n, t->opts, &error);
    if (g) tell(t, g);
    glia_grown_free(g);
    glia_search_free(s);
    free(x);
    return reached ? 0 : 2;
}

int main(int argc, char **argv) {
    const bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    const char *what = quick || argc < 2 ? "evolve" : argv[1], *name = quick || argc < 3 ? "xor" : argv[2];
    const task *t = tasks;
    while (t < tasks + 3 && strcmp(t->name, name) != 0) t++;
    if (t == tasks + 3 || (strcmp(what, "replay") != 0 && strcmp(what, "evolve") != 0))
        return fprintf(stderr, "usage: ndp replay|evolve xor|cartpole|small-world [GENERATIONS [SEED]]\n"), 2;
    if (strcmp(what, "replay") == 0) return replay(t);
    if (quick) return evolve(t, 100, 6);
    return evolve(t, argc > 3 ? atoi(argv[3]) : 200, argc > 4 ? (uint64_t)atoi(argv[4]) : 0) == 1;
}
