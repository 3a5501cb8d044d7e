/* population.c - strategies that keep a population: a genetic algorithm, differential evolution; and random search.
 *
 * Their state is a population x (P, n) with values (P). The first candidates lie around the start, or anywhere within
 * finite bounds.
 */
#include <math.h>
#include <string.h>

#include "families/evolution/search.h"

static int64_t numbers(const glia_search *s) { return (int64_t)s->opts.population * (s->n + 1); }
static double *kept(const glia_search *s, int64_t i) { return s->own + i * s->n; }
static double *kept_values(const glia_search *s) { return s->own + (int64_t)s->opts.population * s->n; }

static void begin(glia_search *s) {
    for (int64_t i = 0; i < s->opts.population; i++) {
        memcpy(kept(s, i), s->start, (size_t)s->n * sizeof *s->start);
        kept_values(s)[i] = INFINITY;
    }
}

/* A point anywhere within the bounds, where they are finite; else around the start. */
static void scatter(const glia_search *s, double *x, glia_rng *rng) {
    for (int j = 0; j < s->n; j++) {
        if (isfinite(s->lower[j]) && isfinite(s->upper[j]))
            x[j] = s->lower[j] + (s->upper[j] - s->lower[j]) * glia_rng_uniform(rng);
        else
            x[j] = glia_reflect(s->start[j] + s->place->sigma * glia_rng_normal(rng), s->lower[j], s->upper[j]);
    }
}

/* ---- genetic ---------------------------------------------------------------------------------------- */

/* The best of some kept ones, drawn at random. */
static int64_t choose(const glia_search *s, glia_rng *rng) {
    const uint64_t n = (uint64_t)s->opts.population;
    int64_t best = (int64_t)glia_rng_below(rng, n);
    for (int i = 1; i < s->opts.tournament; i++) {
        const int64_t other = (int64_t)glia_rng_below(rng, n);
        if (kept_values(s)[other] < kept_values(s)[best]) best = other;
    }
    return best;
}

/* The kept ones are sorted, the best first. Elites are proposed again where values are noisy; else their places are
 * taken by children too, and the best of all survive. */
static void ask_genetic(glia_search *s, glia_rng *rng) {
    for (int64_t i = 0; i < s->place->population; i++) {
        double *x = s->x + i * s->n;
        if (s->place->generation == 0) {
            scatter(s, x, rng);
            continue;
        }
        if (s->opts.noise && i < s->opts.elites) {
            memcpy(x, kept(s, i), (size_t)s->n * sizeof *x);
            continue;
        }
        const double *a = kept(s, choose(s, rng)), *b = kept(s, choose(s, rng));
        const bool crosses = glia_rng_uniform(rng) < s->opts.crossover;
        for (int j = 0; j < s->n; j++) {
            const double from = crosses && glia_rng_uniform(rng) < 0.5 ? b[j] : a[j];
            const double step = s->opts.mutation * s->place->sigma * glia_rng_normal(rng);
            x[j] = glia_reflect(from + step, s->lower[j], s->upper[j]);
        }
    }
}

/* Elites and the best children become the kept ones. */
static void tell_genetic(glia_search *s, glia_rng *rng) {
    (void)rng;
    const int64_t n = s->n, population = s->place->population;
    const int64_t elites = s->opts.noise || s->place->generation == 0 ? 0 : s->opts.elites;
    double *values = s->work; /* of the new ones; the scratch z holds their x */
    int64_t a = 0, b = 0;
    for (int64_t i = 0; i < population; i++) {
        const bool elite = a < elites && kept_values(s)[a] <= s->values[s->order[b]];
        memcpy(s->z + i * n, elite ? kept(s, a) : s->x + s->order[b] * n, (size_t)n * sizeof *s->z);
        values[i] = elite ? kept_values(s)[a] : s->values[s->order[b]];
        if (elite)
            a++;
        else
            b++;
    }
    memcpy(s->own, s->z, (size_t)(population * n) * sizeof *s->own);
    memcpy(kept_values(s), values, (size_t)population * sizeof *values);
}

const glia_strategy glia_strategy_genetic = {
    .name = "genetic", .population = 64, .numbers = numbers, .begin = begin, .ask = ask_genetic, .tell = tell_genetic
};

/* ---- differential evolution ------------------------------------------------------------------------- */

/* Three kept ones, different from i and from each other. */
static void choose_three(const glia_search *s, int64_t i, glia_rng *rng, int64_t out[3]) {
    for (int k = 0; k < 3;) {
        out[k] = (int64_t)glia_rng_below(rng, (uint64_t)s->opts.population);
        bool taken = out[k] == i;
        for (int j = 0; j < k; j++) taken = taken || out[j] == out[k];
        k += !taken;
    }
}

static void ask_differential(glia_search *s, glia_rng *rng) {
    for (int64_t i = 0; i < s->place->population; i++) {
        double *x = s->x + i * s->n;
        if (s->place->generation == 0) {
            scatter(s, x, rng);
            continue;
        }
        int64_t three[3];
        choose_three(s, i, rng, three);
        const double *a = kept(s, three[0]), *b = kept(s, three[1]), *c = kept(s, three[2]);
        const int sure = (int)glia_rng_below(rng, (uint64_t)s->n);
        for (int j = 0; j < s->n; j++) {
            const bool changes = j == sure || glia_rng_uniform(rng) < s->opts.crossover;
            x[j] =
                changes ? glia_reflect(a[j] + s->opts.factor * (b[j] - c[j]), s->lower[j], s->upper[j]) : kept(s, i)[j];
        }
    }
}

/* A trial that is not worse takes the place of its target. */
static void tell_differential(glia_search *s, glia_rng *rng) {
    (void)rng;
    for (int64_t i = 0; i < s->place->population; i++) {
        if (s->values[i] > kept_values(s)[i]) continue;
        memcpy(kept(s, i), s->x + i * s->n, (size_t)s->n * sizeof *s->x);
        kept_values(s)[i] = s->values[i];
    }
}

const glia_strategy glia_strategy_differential = { .name = "differential-evolution",
                                                   .population = 64,
                                                   .numbers = numbers,
                                                   .begin = begin,
                                                   .ask = ask_differential,
                                                   .tell = tell_differential };

/* ---- random search ---------------------------------------------------------------------------------- */

static int64_t none(const glia_search *s) {
    (void)s;
    return 0;
}
static void begin_nothing(glia_search *s) { (void)s; }

static void ask_random(glia_search *s, glia_rng *rng) {
    for (int64_t i = 0; i < s->place->population; i++) scatter(s, s->x + i * s->n, rng);
}

static void learn_nothing(glia_search *s, glia_rng *rng) {
    (void)s;
    (void)rng;
}

const glia_strategy glia_strategy_random = { .name = "random",
                                             .population = 64,
                                             .numbers = none,
                                             .begin = begin_nothing,
                                             .ask = ask_random,
                                             .tell = learn_nothing };
