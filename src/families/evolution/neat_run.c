/* neat_run.c - evaluates the genomes of NEAT over threads. */
#include <stdlib.h>

#include "families/evolution/neat.h"

typedef struct evaluation {
    const glia_neat *neat;
    glia_fitness_fn fitness;
    void *context;
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
    e->statuses[i] = evaluate(e, i, NULL);
}

static glia_status run_generation(glia_neat *neat, evaluation *e, glia_pool *pool, glia_error *error) {
    glia_parallel_for(pool, neat->opts.population, piece, e);
    for (int i = 0; i < neat->opts.population; i++) {
        if (e->statuses[i] == GLIA_OK) continue;
        glia_error reason = { 0 };
        const glia_status status = evaluate(e, i, &reason); /* once more, for the message */
        return glia_fail(error, status == GLIA_OK ? e->statuses[i] : status, "genome %d: %s", i,
                         reason.message[0] ? reason.message : glia_status_name(e->statuses[i]));
    }
    return glia_neat_tell(neat, e->values, error);
}

glia_status glia_neat_run(glia_neat *neat, glia_fitness_fn fitness, void *context, double enough, int64_t generations,
                          int threads, glia_error *error) {
    if (!neat) return glia_fail_null(error, "neat");
    if (!fitness) return glia_fail_null(error, "fitness");
    glia_error reason = { 0 };
    glia_pool *pool = glia_pool_create(threads, &reason);
    if (!pool) return glia_fail(error, reason.status, "%s", reason.message);
    const size_t n = (size_t)neat->opts.population;
    evaluation e = { .neat = neat,
                     .fitness = fitness,
                     .context = context,
                     .values = malloc(n * sizeof(double)),
                     .statuses = malloc(n * sizeof(glia_status)) };
    glia_status status = e.values && e.statuses ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t g = 0; status == GLIA_OK && (generations <= 0 || g < generations); g++) {
        if (neat->has_champion && neat->champion.fitness >= enough) break;
        status = run_generation(neat, &e, pool, error);
    }
    free(e.values);
    free(e.statuses);
    glia_pool_free(pool);
    return status;
}
