/* neat_run.c - evaluates the genomes of NEAT over threads. */
#include <math.h>
#include <stdlib.h>

#include "families/evolution/neat.h"

typedef struct evaluation {
    const glia_neat *neat;
    glia_fitness_fn fitness;
    void *context;
    bool again;
    double *values;
    glia_status *statuses;
} evaluation;

static glia_status evaluate(const evaluation *e, int64_t i, glia_error *error) {
    const uint64_t seed = ((uint64_t)e->neat->generation << 24) + (uint64_t)i + (e->neat->opts.seed << 48);
    return e->fitness(e->context, &e->neat->genomes[i], seed, &e->values[i], error);
}

static void piece(void *context, int64_t i, int worker) {
    const evaluation *e = context;
    (void)worker;
    e->statuses[i] = e->again && e->values[i] == -INFINITY ? GLIA_OK : evaluate(e, i, NULL);
}

glia_status glia_neat_evaluate(const glia_neat *neat, glia_fitness_fn fitness, void *context, bool again,
                               double *values, glia_pool *pool, glia_error *error) {
    const int n = neat->opts.population;
    evaluation e = { .neat = neat, .fitness = fitness, .context = context, .again = again, .values = values };
    e.statuses = malloc((size_t)n * sizeof *e.statuses);
    if (!e.statuses) return glia_fail_nomem(error);
    glia_parallel_for(pool, n, piece, &e);
    glia_status status = GLIA_OK;
    for (int i = 0; status == GLIA_OK && i < n; i++) {
        if (e.statuses[i] == GLIA_OK) continue;
        glia_error reason = { 0 };
        status = evaluate(&e, i, &reason); /* once more, for the message */
        status = glia_fail(error, status == GLIA_OK ? e.statuses[i] : status, "genome %d: %s", i,
                           reason.message[0] ? reason.message : glia_status_name(e.statuses[i]));
    }
    free(e.statuses);
    return status;
}

glia_status glia_neat_run(glia_neat *neat, glia_fitness_fn fitness, void *context, double enough, int64_t generations,
                          int threads, glia_error *error) {
    if (!neat) return glia_fail_null(error, "neat");
    if (!fitness) return glia_fail_null(error, "fitness");
    glia_error reason = { 0 };
    glia_pool *pool = glia_pool_create(threads, &reason);
    if (!pool) return glia_fail(error, reason.status, "%s", reason.message);
    double *values = malloc((size_t)neat->opts.population * sizeof *values);
    glia_status status = values ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t g = 0; status == GLIA_OK && (generations <= 0 || g < generations); g++) {
        if (neat->has_champion && neat->champion.fitness >= enough) break;
        status = glia_neat_evaluate(neat, fitness, context, false, values, pool, error);
        if (status == GLIA_OK) status = glia_neat_tell(neat, values, error);
    }
    free(values);
    glia_pool_free(pool);
    return status;
}
