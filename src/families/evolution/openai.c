/* openai.c - the evolution strategy of Salimans et al. 2017: an estimate of the gradient from mirrored noise.
 *
 *     x = m +- sigma z,  z ~ N(0, I)
 *     values become centred ranks in [-1/2, 1/2], which makes the step independent of their scale
 *     g = sum rank z / (P sigma),  m <- Adam(m, g + decay m)
 */
#include <math.h>
#include <string.h>

#include "families/evolution/search.h"

/* The state: mean, first and second moments of Adam (n each). */
static int64_t numbers(const glia_search *s) { return 3 * (int64_t)s->n; }

static void begin(glia_search *s) {
    memset(s->own, 0, (size_t)numbers(s) * sizeof *s->own);
    memcpy(s->own, s->start, (size_t)s->n * sizeof *s->own);
}

static void ask(glia_search *s, glia_rng *rng) {
    const int64_t n = s->n, half = s->place->population / 2;
    glia_rng_normals(rng, s->z, half * n);
    for (int64_t i = 0; i < half; i++) {
        double *up = s->x + 2 * i * n, *down = up + n;
        for (int64_t j = 0; j < n; j++) {
            const double step = s->place->sigma * s->z[i * n + j];
            up[j] = s->own[j] + step;
            down[j] = s->own[j] - step;
        }
    }
}

static void tell(glia_search *s, glia_rng *rng) {
    (void)rng;
    const int64_t n = s->n, population = s->place->population;
    double *gradient = s->work, *mean = s->own, *m = mean + n, *v = m + n, *ranks = s->values;
    for (int64_t i = 0; i < population; i++) ranks[s->order[i]] = (double)i / (double)(population - 1) - 0.5;
    memset(gradient, 0, (size_t)n * sizeof *gradient);
    for (int64_t i = 0; i < population / 2; i++) {
        const double weight = (ranks[2 * i] - ranks[2 * i + 1]) / ((double)population * s->place->sigma);
        for (int64_t j = 0; j < n; j++) gradient[j] += weight * s->z[i * n + j];
    }
    const double beta1 = 0.9, beta2 = 0.999, age = (double)(s->place->generation + 1);
    const double rate = s->opts.rate * sqrt(1 - pow(beta2, age)) / (1 - pow(beta1, age));
    for (int64_t j = 0; j < n; j++) {
        const double g = gradient[j] + s->opts.decay * mean[j];
        m[j] = beta1 * m[j] + (1 - beta1) * g;
        v[j] = beta2 * v[j] + (1 - beta2) * g * g;
        mean[j] -= rate * m[j] / (sqrt(v[j]) + 1e-8);
    }
}

static void mean_of(const glia_search *s, double *x) { memcpy(x, s->own, (size_t)s->n * sizeof *x); }

const glia_strategy glia_strategy_openai = {
    .name = "openai-es", .population = 64, .numbers = numbers, .begin = begin, .ask = ask, .tell = tell, .mean = mean_of
};
