/* search.c - black-box search by any strategy: options, bounds, noise, restarts, the state. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/evolution/search.h"

static const glia_strategy *const strategies[] = {
#define GLIA_STRATEGY_ROW(kind, name) [kind] = &glia_strategy_##name,
#include "families/evolution/strategies.def"
#undef GLIA_STRATEGY_ROW
};

const char *glia_strategy_name(glia_strategy_kind kind) {
    return (int)kind >= 0 && kind < GLIA_STRATEGY_COUNT ? strategies[kind]->name : "unknown";
}

/* ---- helpers of strategies ----------------------------------------------------------------------- */

/* Merges the sorted halves of order. */
static void merge(const double *values, const int32_t *from, int32_t *to, int64_t low, int64_t middle, int64_t high) {
    int64_t a = low, b = middle;
    for (int64_t i = low; i < high; i++) {
        to[i] = a < middle && (b >= high || values[from[a]] <= values[from[b]]) ? from[a++] : from[b++];
    }
}

void glia_sort_indices(const double *values, int32_t *order, int64_t n) {
    int32_t *from = order, *to = order + n; /* order has room for 2 n */
    for (int64_t i = 0; i < n; i++) order[i] = (int32_t)i;
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t low = 0; low < n; low += 2 * width)
            merge(values, from, to, low, GLIA_MIN(low + width, n), GLIA_MIN(low + 2 * width, n));
        int32_t *other = from;
        from = to;
        to = other;
    }
    if (from != order) memcpy(order, from, (size_t)n * sizeof *order);
}

double glia_reflect(double x, double lower, double upper) {
    if (x >= lower && x <= upper) return x;
    if (isinf(lower)) return fmax(2 * upper - x, -DBL_MAX);
    if (isinf(upper)) return fmin(2 * lower - x, DBL_MAX);
    const double width = upper - lower, past = fmod(fabs(x - lower), 2 * width);
    return fmin(fmax(lower + (past <= width ? past : 2 * width - past), lower), upper);
}

/* ---- options --------------------------------------------------------------------------------------- */

static void fill_in(glia_search_opts *o, int n) {
    const int usual = strategies[o->kind]->population;
    if (!o->population) o->population = usual ? usual : 4 + (int)(3 * log(n));
    o->sigma = glia_option(o->sigma, 0.3);
    if (!o->max_restarts) o->max_restarts = 9;
    o->target = o->target == 0 ? -INFINITY : glia_option(o->target, 0);
    if (!o->max_repeats) o->max_repeats = 64;
    o->rate = glia_option(o->rate, 0.05);
    o->decay = glia_option(o->decay, 0);
    if (!o->elites) o->elites = GLIA_MAX(o->population / 16, 1);
    if (!o->tournament) o->tournament = 3;
    o->mutation = glia_option(o->mutation, 0.1);
    o->crossover = glia_option(o->crossover, o->kind == GLIA_DIFFERENTIAL_EVOLUTION ? 0.9 : 0.7);
    o->factor = glia_option(o->factor, 0.7);
}

static glia_status check_opts(const glia_search_opts *o, glia_error *error) {
    const char *name = glia_strategy_name(o->kind);
    const bool cma = o->kind == GLIA_CMA_ES || o->kind == GLIA_SEP_CMA_ES;
    const int least = o->kind == GLIA_RANDOM_SEARCH ? 1 : o->kind == GLIA_OPENAI_ES ? 2 : 4, most = 1 << 20;
    if (o->population < least || o->population > most) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: a population of %d is outside %d to %d", name, o->population,
                         least, most);
    }
    if (o->kind == GLIA_OPENAI_ES && o->population % 2)
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: noise is mirrored, so the population is even", name);
    if (o->restarts != GLIA_NO_RESTARTS && !cma)
        return glia_fail(error, GLIA_E_ARGUMENT, "%s has no restarts; cma-es has", name);
    if ((int)o->restarts < 0 || o->restarts > GLIA_BIPOP || o->max_restarts < 0 || o->max_restarts > 20)
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: restarts or max_restarts are outside their domain", name);
    if (!(o->sigma > 0) || !isfinite(o->sigma))
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: sigma is %g, which is no positive number", name, o->sigma);
    if (isnan(o->target) || o->evaluations < 0 || o->max_repeats < 1)
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: a limit is outside its domain", name);
    const struct {
        const char *name;
        double value, most;
    } reals[] = { { "rate", o->rate, DBL_MAX },
                  { "decay", o->decay, 1 },
                  { "mutation", o->mutation, DBL_MAX },
                  { "crossover", o->crossover, 1 },
                  { "factor", o->factor, 2 } };
    for (int i = 0; i < GLIA_COUNT(reals); i++) {
        if (!(reals[i].value >= 0 && reals[i].value <= reals[i].most))
            return glia_fail(error, GLIA_E_ARGUMENT, "%s: %s is %g", name, reals[i].name, reals[i].value);
    }
    if (o->kind == GLIA_GENETIC && (o->elites < 1 || o->elites >= o->population || o->tournament < 1))
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: elites or tournament are outside their domain", name);
    return GLIA_OK;
}

static glia_status check_start(const glia_search *s, const double *start, glia_error *error) {
    for (int i = 0; i < s->n; i++) {
        if (!isfinite(start[i])) return glia_fail(error, GLIA_E_ARGUMENT, "search: start[%d] is %g", i, start[i]);
        if (!(s->lower[i] < s->upper[i]) || s->lower[i] == INFINITY || s->upper[i] == -INFINITY) {
            return glia_fail(error, GLIA_E_ARGUMENT, "search: the bounds of x[%d], %g to %g, are empty", i, s->lower[i],
                             s->upper[i]);
        }
        if (!(start[i] >= s->lower[i] && start[i] <= s->upper[i])) {
            return glia_fail(error, GLIA_E_ARGUMENT, "search: start[%d] is %g, outside its bounds %g to %g", i,
                             start[i], s->lower[i], s->upper[i]);
        }
    }
    return GLIA_OK;
}

/* ---- memory ------------------------------------------------------------------------------------------- */

/* Scratch for this population. */
static bool reserve(glia_search *s, int64_t population) {
    if (population <= s->capacity) return true;
    const size_t n = (size_t)s->n, k = (size_t)population;
    double *x = malloc(k * n * sizeof *x), *z = malloc(k * n * sizeof *z), *values = malloc(k * sizeof *values),
           *told = malloc(k * sizeof *told);
    int32_t *order = malloc(2 * k * sizeof *order);
    if (!x || !z || !values || !told || !order) {
        free(x);
        free(z);
        free(values);
        free(told);
        free(order);
        return false;
    }
    free(s->x);
    free(s->z);
    free(s->values);
    free(s->told);
    free(s->order);
    s->x = x;
    s->z = z;
    s->values = values;
    s->told = told;
    s->order = order;
    s->capacity = population;
    return true;
}

static uint64_t identity(const glia_search *s, const double *start) {
    const glia_search_opts *o = &s->opts;
    const double reals[] = { o->sigma, o->target, o->rate, o->decay, o->mutation, o->crossover, o->factor };
    const int64_t integers[] = { o->kind,        o->population, o->restarts,      o->max_restarts,
                                 o->evaluations, o->noise,      o->max_repeats,   o->nan_is_worst,
                                 o->elites,      o->tournament, (int64_t)o->seed, s->n };
    uint64_t hash = glia_hash_bytes(reals, sizeof reals, 19);
    hash = glia_hash_bytes(integers, sizeof integers, hash);
    hash = glia_hash_bytes(s->lower, (size_t)s->n * sizeof *s->lower, hash);
    hash = glia_hash_bytes(s->upper, (size_t)s->n * sizeof *s->upper, hash);
    return glia_hash_bytes(start, (size_t)s->n * sizeof *start, hash);
}

static glia_status allocate(glia_search *s, glia_error *error) {
    const size_t n = (size_t)s->n;
    const int64_t own = s->strategy->numbers(s);
    s->bytes = sizeof *s->place + (2 * n + (size_t)own) * sizeof(double);
    s->place = calloc(1, s->bytes);
    const size_t covariance = s->opts.kind == GLIA_CMA_ES ? n * n : 0;
    s->work = malloc(GLIA_MAX(covariance + 4 * n, (size_t)s->opts.population) * sizeof *s->work);
    s->proposed = -1;
    if (!s->place || !s->work || !reserve(s, s->opts.population)) return glia_fail_nomem(error);
    s->best = (double *)(s->place + 1);
    s->start = s->best + n;
    s->own = s->start + n;
    return GLIA_OK;
}

static void begin_run(glia_search *s, int64_t population, double sigma) {
    glia_search_place *p = s->place;
    p->population = population;
    p->sigma0 = p->sigma = sigma;
    p->run_generation = p->run_evaluations = 0;
    s->strategy->begin(s);
}

static glia_status set_up(glia_search *s, const double *start, glia_error *error) {
    const size_t n = (size_t)s->n;
    s->lower = malloc(n * sizeof *s->lower);
    s->upper = malloc(n * sizeof *s->upper);
    if (!s->lower || !s->upper) return glia_fail_nomem(error);
    for (size_t i = 0; i < n; i++) {
        s->lower[i] = s->opts.lower ? s->opts.lower[i] : -INFINITY;
        s->upper[i] = s->opts.upper ? s->opts.upper[i] : INFINITY;
    }
    s->opts.lower = s->opts.upper = NULL;
    glia_status status = check_start(s, start, error);
    if (status == GLIA_OK) status = allocate(s, error);
    if (status != GLIA_OK) return status;
    memcpy(s->best, start, n * sizeof *start);
    memcpy(s->start, start, n * sizeof *start);
    s->place->identity = identity(s, start);
    s->place->best_value = INFINITY;
    s->place->repeats = 1;
    begin_run(s, s->opts.population, s->opts.sigma);
    return GLIA_OK;
}

glia_search *glia_search_create(const double *start, int n, glia_search_opts opts, glia_error *error) {
    enum { MOST = 1 << 24, MOST_FULL = 1 << 13 };
    if (!start) return glia_fail_null(error, "start"), NULL;
    if ((int)opts.kind < 0 || opts.kind >= GLIA_STRATEGY_COUNT)
        return glia_fail(error, GLIA_E_ARGUMENT, "search: there is no strategy %d", (int)opts.kind), NULL;
    if (n < 1 || n > (opts.kind == GLIA_CMA_ES ? MOST_FULL : MOST)) {
        glia_fail(error, GLIA_E_ARGUMENT, "%s: %d dimensions are outside 1 to %d%s", glia_strategy_name(opts.kind), n,
                  opts.kind == GLIA_CMA_ES ? MOST_FULL : MOST,
                  opts.kind == GLIA_CMA_ES ? "; sep-cma-es takes more" : "");
        return NULL;
    }
    fill_in(&opts, n);
    if (check_opts(&opts, error) != GLIA_OK) return NULL;
    glia_search *s = calloc(1, sizeof *s);
    if (!s) return glia_fail_nomem(error), NULL;
    s->opts = opts;
    s->n = n;
    s->strategy = strategies[opts.kind];
    if (set_up(s, start, error) == GLIA_OK) return s;
    glia_search_free(s);
    return NULL;
}

void glia_search_free(glia_search *s) {
    if (!s) return;
    free(s->lower);
    free(s->upper);
    free(s->place);
    free(s->work);
    free(s->x);
    free(s->z);
    free(s->values);
    free(s->told);
    free(s->order);
    free(s);
}

/* ---- asking -------------------------------------------------------------------------------------------- */

/* How many candidates are proposed twice under noise. */
static int64_t repeated(const glia_search *s) {
    return s->opts.noise ? GLIA_MAX(GLIA_MIN(s->place->population / 10 + 1, s->place->population), 2) : 0;
}

int glia_search_count(const glia_search *s) { return s ? (int)(s->place->population + repeated(s)) : 0; }
int glia_search_repeats(const glia_search *s) { return s ? (int)s->place->repeats : 1; }
const char *glia_search_stopped(const glia_search *s) {
    return !s ? "no search" : s->place->why[0] ? s->place->why : NULL;
}

/* Random numbers of this generation: of the candidates, or of what is done with their values. */
static glia_rng numbers_of(const glia_search *s, bool telling) {
    enum { STREAM = 0x65766F }; /* of searches */
    return (glia_rng){ .seed = s->opts.seed,
                       .stream = ((uint64_t)STREAM << 40) + 2 * (uint64_t)s->place->generation + telling };
}

static void propose(glia_search *s) {
    if (s->proposed == s->place->generation) return; /* in scratch already */
    s->proposed = s->place->generation;
    glia_rng rng = numbers_of(s, false);
    s->strategy->ask(s, &rng);
}

glia_status glia_search_ask(glia_search *s, double *x, glia_error *error) {
    if (!s) return glia_fail_null(error, "search");
    if (!x) return glia_fail_null(error, "x");
    if (s->place->why[0])
        return glia_fail(error, GLIA_E_ARGUMENT, "the search is over (%s): there is nothing to ask", s->place->why);
    if (!reserve(s, s->place->population)) return glia_fail_nomem(error);
    propose(s);
    const int64_t n = s->n, total = s->place->population * n;
    for (int64_t i = 0; i < total; i++) x[i] = glia_reflect(s->x[i], s->lower[i % n], s->upper[i % n]);
    memcpy(x + total, x, (size_t)(repeated(s) * n) * sizeof *x);
    return GLIA_OK;
}

/* ---- noise ----------------------------------------------------------------------------------------------- */

/* How far the ranks of the candidates that were evaluated twice differ, beyond what is tolerated: positive if noise
 * matters. Means of both values replace the first. `again`: the second values. */
static double measure_noise(glia_search *s, const double *again) {
    const int64_t population = s->place->population, n = repeated(s);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t below = 0, below_again = 0;
        for (int64_t k = 0; k < population; k++) {
            if (k == i) continue;
            below += s->values[k] < s->values[i];
            below_again += s->values[k] < again[i];
        }
        sum += fabs((double)(below - below_again)) / (double)(population - 1);
    }
    for (int64_t i = 0; i < n; i++) s->values[i] = (s->values[i] + again[i]) / 2;
    return sum / (double)n - 0.2;
}

static void adapt_to_noise(glia_search *s, double noise) {
    glia_search_place *p = s->place;
    if (noise <= 0)
        p->repeats = fmax(1, p->repeats / 1.5);
    else if (p->repeats < s->opts.max_repeats)
        p->repeats = fmin(s->opts.max_repeats, fmax(p->repeats * 1.5, p->repeats + 1));
    else if (p->sigma < p->sigma0)
        p->sigma *= 1 + 2 / ((double)s->n + 10);
}

/* ---- restarts -------------------------------------------------------------------------------------------- */

/* Where the next run begins: anywhere within finite bounds, else at the first start. */
static void restart_at(glia_search *s, glia_rng *rng) {
    for (int i = 0; i < s->n; i++) {
        if (isfinite(s->lower[i]) && isfinite(s->upper[i]))
            s->start[i] = s->lower[i] + (s->upper[i] - s->lower[i]) * glia_rng_uniform(rng);
    }
}

/* The population of a small run of BIPOP, and its step size. */
static int64_t small_run(const glia_search *s, glia_rng *rng, double *sigma) {
    const double first = s->opts.population, large = first * pow(2, (double)s->place->large);
    const double u = glia_rng_uniform(rng), v = glia_rng_uniform(rng);
    *sigma = s->opts.sigma * pow(10, -2 * u);
    return GLIA_MAX((int64_t)(first * pow(large / first / 2, v * v)), 4);
}

/* After a run that ended for the reason `why`: begins another, or ends the search. */
static void restart(glia_search *s, const char *why, glia_rng *rng) {
    glia_search_place *p = s->place;
    const bool bipop = s->opts.restarts == GLIA_BIPOP;
    if (p->small)
        p->small_evaluations += p->run_evaluations;
    else
        p->large_evaluations += p->run_evaluations;
    if (s->opts.restarts == GLIA_NO_RESTARTS || (p->large >= s->opts.max_restarts && !p->small)) {
        strncpy(p->why, why, GLIA_SEARCH_WHY - 1);
        return;
    }
    const int64_t last = p->small ? p->run_limit * 2 : p->run_evaluations;
    p->restarts++;
    restart_at(s, rng);
    p->small = bipop && p->large > 0 && p->small_evaluations < p->large_evaluations;
    if (p->small) {
        double sigma;
        const int64_t population = small_run(s, rng, &sigma);
        p->run_limit = last / 2;
        begin_run(s, population, sigma);
        return;
    }
    p->large++;
    p->run_limit = 0;
    begin_run(s, (int64_t)s->opts.population << p->large, s->opts.sigma);
}

/* ---- telling --------------------------------------------------------------------------------------------- */

static glia_status check_values(const glia_search *s, const double *values, glia_error *error) {
    const int count = glia_search_count(s);
    for (int i = 0; i < count; i++) {
        if (isnan(values[i]) && s->opts.nan_is_worst) continue;
        if (isnan(values[i]) || values[i] == -INFINITY) {
            return glia_fail(error, GLIA_E_ARGUMENT,
                             "the value of candidate %d in generation %lld is %g; the search is as before", i,
                             (long long)s->place->generation, values[i]);
        }
    }
    return GLIA_OK;
}

static void keep_best(glia_search *s) {
    const int32_t first = s->order[0];
    if (!(s->values[first] < s->place->best_value)) return;
    s->place->best_value = s->values[first];
    for (int i = 0; i < s->n; i++) s->best[i] = glia_reflect(s->x[(int64_t)first * s->n + i], s->lower[i], s->upper[i]);
}

static void decide(glia_search *s, glia_rng *rng) {
    glia_search_place *p = s->place;
    if (p->best_value <= s->opts.target) {
        strcpy(p->why, "target");
    } else if (s->opts.evaluations && p->evaluations >= s->opts.evaluations) {
        strcpy(p->why, "evaluations");
    } else {
        const char *why = s->strategy->stopped ? s->strategy->stopped(s) : NULL;
        if (!why && p->run_limit && p->run_evaluations >= p->run_limit) why = "run limit";
        if (why) restart(s, why, rng);
    }
}

glia_status glia_search_tell(glia_search *s, const double *values, glia_error *error) {
    if (!s) return glia_fail_null(error, "search");
    if (!values) return glia_fail_null(error, "values");
    glia_search_place *p = s->place;
    if (p->why[0]) return glia_fail(error, GLIA_E_ARGUMENT, "the search is over (%s)", p->why);
    glia_status status = check_values(s, values, error);
    if (status != GLIA_OK) return status;
    if (!reserve(s, p->population)) return glia_fail_nomem(error);
    propose(s); /* after a restore they have not been asked for */
    glia_rng rng = numbers_of(s, true);
    const int64_t count = glia_search_count(s), evaluations = count * (int64_t)p->repeats;
    for (int64_t i = 0; i < p->population; i++) s->values[i] = isnan(values[i]) ? INFINITY : values[i];
    const double noise = s->opts.noise ? measure_noise(s, values + p->population) : 0;
    memcpy(s->told, s->values, (size_t)p->population * sizeof *s->told);
    glia_sort_indices(s->values, s->order, p->population);
    keep_best(s);
    s->strategy->tell(s, &rng);
    if (s->opts.noise) adapt_to_noise(s, noise);
    p->generation++;
    p->run_generation++;
    p->evaluations += evaluations;
    p->run_evaluations += evaluations;
    decide(s, &rng);
    return GLIA_OK;
}

/* ---- results and the state ------------------------------------------------------------------------------- */

glia_search_info glia_search_inspect(const glia_search *s) {
    if (!s) return (glia_search_info){ 0 };
    const glia_search_place *p = s->place;
    const bool steps = s->strategy->mean != NULL;
    return (glia_search_info){ .generation = p->generation,
                               .evaluations = p->evaluations,
                               .restarts = (int)p->restarts,
                               .population = (int)p->population,
                               .repeats = (int)p->repeats,
                               .best = p->best_value,
                               .sigma = steps ? p->sigma : NAN,
                               .condition = s->strategy->condition ? s->strategy->condition(s) : NAN };
}

void glia_search_best(const glia_search *s, double *x) {
    if (s && x) memcpy(x, s->best, (size_t)s->n * sizeof *x);
}

void glia_search_mean(const glia_search *s, double *x) {
    if (!s || !x) return;
    if (!s->strategy->mean) {
        glia_search_best(s, x);
        return;
    }
    s->strategy->mean(s, x);
    for (int i = 0; i < s->n; i++) x[i] = glia_reflect(x[i], s->lower[i], s->upper[i]);
}

const void *glia_search_state(const glia_search *s, size_t *bytes) {
    if (bytes) *bytes = s ? s->bytes : 0;
    return s ? s->place : NULL;
}

glia_status glia_search_check(const glia_search *s, const void *state, size_t bytes, glia_error *error) {
    if (bytes != s->bytes)
        return glia_fail(error, GLIA_E_FORMAT, "a state of %zu bytes, where this search has %zu", bytes, s->bytes);
    glia_search_place p;
    memcpy(&p, state, sizeof p);
    const int64_t most = (int64_t)s->opts.population << GLIA_MIN(s->opts.max_restarts + 1, 20);
    if (p.identity != s->place->identity)
        return glia_fail(error, GLIA_E_FORMAT, "the state of a search with other arguments");
    if (p.generation < 0 || p.run_generation < 0 || p.population < 1 || p.population > most || p.evaluations < 0 ||
        p.large < 0 || p.large > s->opts.max_restarts || !(p.sigma >= 0) || !(p.repeats >= 1) ||
        p.repeats > s->opts.max_repeats || p.why[GLIA_SEARCH_WHY - 1])
        return glia_fail(error, GLIA_E_FORMAT, "a damaged state of a search");
    return GLIA_OK;
}

glia_status glia_search_restore(glia_search *s, const void *state, size_t bytes, glia_error *error) {
    if (!s) return glia_fail_null(error, "search");
    if (!state) return glia_fail_null(error, "state");
    glia_status status = glia_search_check(s, state, bytes, error);
    if (status != GLIA_OK) return status;
    glia_search_place p;
    memcpy(&p, state, sizeof p);
    if (!reserve(s, p.population)) return glia_fail_nomem(error);
    memcpy(s->place, state, bytes);
    s->proposed = -1;
    return GLIA_OK;
}
