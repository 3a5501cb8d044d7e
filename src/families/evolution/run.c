/* run.c - asks, evaluates over threads, tells. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/evolution/search.h"

typedef struct generation {
    glia_objective_fn objective;
    void *context;
    const double *x;
    double *values;
    int n, repeats;
    uint64_t seed;
    glia_status *statuses; /* by candidate */
} generation;

/* The mean of the objective over the repeats. */
static glia_status evaluate(const generation *g, int64_t candidate, glia_error *error) {
    double sum = 0;
    for (int k = 0; k < g->repeats; k++) {
        double value = NAN;
        const uint64_t seed = g->seed + (uint64_t)candidate * (uint64_t)g->repeats + (uint64_t)k;
        glia_status status = g->objective(g->context, g->x + candidate * g->n, g->n, seed, &value, error);
        if (status != GLIA_OK) return status;
        sum += value;
    }
    g->values[candidate] = sum / g->repeats;
    return GLIA_OK;
}

static void piece(void *context, int64_t i, int worker) {
    const generation *g = context;
    (void)worker;
    g->statuses[i] = evaluate(g, i, NULL);
}

/* Evaluates all candidates; an error is that of the first candidate that has one. */
static glia_status evaluate_all(const generation *g, int count, glia_pool *pool, glia_error *error) {
    glia_parallel_for(pool, count, piece, (void *)(uintptr_t)g);
    for (int i = 0; i < count; i++) {
        if (g->statuses[i] == GLIA_OK) continue;
        glia_error reason = { 0 };
        const glia_status status = evaluate(g, i, &reason); /* once more, for the message */
        return glia_fail(error, status == GLIA_OK ? g->statuses[i] : status, "candidate %d: %s", i,
                         reason.message[0] ? reason.message : glia_status_name(g->statuses[i]));
    }
    return GLIA_OK;
}

static glia_status run_generation(glia_search *s, generation *g, double *x, glia_pool *pool, glia_error *error) {
    const int count = glia_search_count(s);
    g->repeats = glia_search_repeats(s);
    g->seed = (s->opts.seed << 40) + ((uint64_t)s->place->evaluations << 8);
    glia_status status = glia_search_ask(s, x, error);
    if (status == GLIA_OK) status = evaluate_all(g, count, pool, error);
    return status == GLIA_OK ? glia_search_tell(s, g->values, error) : status;
}

/* Room for this many candidates. */
static bool make_room(generation *g, double **x, size_t count) {
    double *values = realloc(g->values, count * sizeof *values);
    if (values) g->values = values;
    glia_status *statuses = realloc(g->statuses, count * sizeof *statuses);
    if (statuses) g->statuses = statuses;
    double *more = realloc(*x, count * (size_t)g->n * sizeof *more);
    if (more) *x = more;
    g->x = *x;
    return values && statuses && more;
}

glia_status glia_search_run(glia_search *s, glia_objective_fn objective, void *context, int64_t generations,
                            int threads, glia_error *error) {
    if (!s) return glia_fail_null(error, "search");
    if (!objective) return glia_fail_null(error, "objective");
    glia_pool *pool = glia_pool_create(threads, error);
    if (!pool) return error && error->status ? error->status : GLIA_E_NOMEM;
    generation g = { .objective = objective, .context = context, .n = s->n };
    double *x = NULL;
    glia_status status = GLIA_OK;
    for (int64_t i = 0; status == GLIA_OK && !s->place->why[0] && (generations <= 0 || i < generations); i++) {
        if (!make_room(&g, &x, (size_t)glia_search_count(s)))
            status = glia_fail_nomem(error);
        else
            status = run_generation(s, &g, x, pool, error);
    }
    free(g.values);
    free(g.statuses);
    free(x);
    glia_pool_free(pool);
    return status;
}
