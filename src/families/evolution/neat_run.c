/* neat_run.c - evaluates the genomes of NEAT over threads. */
#include <stdlib.h>

#include "families/evolution/crowd.h"
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

/* values (population) of all genomes */
static glia_status evaluate_all(const glia_neat *neat, glia_fitness_fn fitness, void *context, double *values,
                                glia_pool *pool, glia_error *error) {
    const int n = neat->opts.population;
    evaluation e = { .neat = neat, .fitness = fitness, .context = context, .values = values };
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
        status = evaluate_all(neat, fitness, context, values, pool, error);
        if (status == GLIA_OK) status = glia_neat_tell(neat, values, error);
    }
    free(values);
    glia_pool_free(pool);
    return status;
}

/* ---- in an environment ----------------------------------------------------------------------------------- */

static glia_status genome_of(const void *context, int64_t i, glia_arena *arena, glia_genome *out, glia_error *error) {
    const glia_neat *neat = context;
    (void)arena, (void)error;
    *out = neat->genomes[i];
    return GLIA_OK;
}

glia_status glia_neat_play(const glia_neat *neat, const glia_env *env, glia_neat_play_opts opts, double *fitness,
                           glia_error *error) {
    if (!neat) return glia_fail_null(error, "neat");
    if (!env) return glia_fail_null(error, "env");
    if (!fitness) return glia_fail_null(error, "fitness");
    glia_stage stage;
    const glia_status status = glia_stage_set(&stage, env, error);
    if (status != GLIA_OK) return status;
    if (opts.episodes < 0)
        return glia_fail(error, GLIA_E_ARGUMENT, "neat: %lld episodes cannot be played", (long long)opts.episodes);
    if (stage.inputs != neat->opts.inputs || stage.outputs != neat->opts.outputs) {
        return glia_fail(
            error, GLIA_E_ARGUMENT, "neat: genomes with %d inputs and %d outputs cannot play %s, which has %d and %d",
            neat->opts.inputs, neat->opts.outputs, glia_env_kind_of(env)->name, stage.inputs, stage.outputs);
    }
    glia_error reason = { 0 };
    glia_pool *pool = opts.threads == 1 ? NULL : glia_pool_create(opts.threads, &reason);
    if (reason.status) return glia_fail(error, reason.status, "%s", reason.message);
    const glia_crowd crowd = { .stage = &stage,
                               .kernels = neat->kernels,
                               .n = neat->opts.population,
                               .episodes = opts.episodes ? opts.episodes : 1,
                               .seed = opts.seed,
                               .apart = opts.apart,
                               .genome = genome_of,
                               .context = neat };
    const glia_status played = glia_crowd_means(&crowd, fitness, pool, error);
    glia_pool_free(pool);
    return played;
}
