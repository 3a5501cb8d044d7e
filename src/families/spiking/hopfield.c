/* hopfield.c - associative memories.
 *
 * Hopfield 1982: with symmetric weights without a diagonal a change of one unit to the sign of its input lowers
 * E = -x^T W x / 2, so recall ends in a minimum; stored patterns are minima as long as they are few.
 *
 * Ramsauer et al. 2021, "Hopfield networks is all you need": E = -lse(beta, P x) + x x / 2 has the update
 * x = P^T softmax(beta P x), by the concave-convex procedure, so E falls with every step.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "glia/spiking.h"

static glia_status check(const char *what, const void *weights, const void *state, int64_t n, glia_error *error) {
    if (!weights) return glia_fail_null(error, what);
    if (!state) return glia_fail_null(error, "state");
    return n >= 1 ? GLIA_OK : glia_fail(error, GLIA_E_ARGUMENT, "hopfield: n is %lld", (long long)n);
}

static glia_status check_signs(const float *x, int64_t n, glia_error *error) {
    for (int64_t i = 0; i < n; i++) {
        if (x[i] == 1 || x[i] == -1) continue;
        return glia_fail(error, GLIA_E_ARGUMENT, "hopfield: value %lld is %g; it must be -1 or 1", (long long)i,
                         (double)x[i]);
    }
    return GLIA_OK;
}

glia_status glia_hopfield_store(float *weights, int64_t n, const float *patterns, int64_t p, glia_error *error) {
    if (!weights) return glia_fail_null(error, "weights");
    if (!patterns) return glia_fail_null(error, "patterns");
    if (n < 1 || p < 0)
        return glia_fail(error, GLIA_E_ARGUMENT, "hopfield: %lld patterns of %lld", (long long)p, (long long)n);
    glia_status status = check_signs(patterns, n * p, error);
    for (int64_t k = 0; status == GLIA_OK && k < p; k++) {
        const float *x = patterns + k * n;
        for (int64_t i = 0; i < n; i++) {
            const float scale = x[i] / (float)n;
            for (int64_t j = 0; j < n; j++) weights[i * n + j] += i == j ? 0 : scale * x[j];
        }
    }
    return status;
}

int64_t glia_hopfield_recall(const float *weights, int64_t n, glia_hopfield_opts opts, float *state,
                             glia_error *error) {
    enum { STREAM = 0x686F70 };
    if (check("weights", weights, state, n, error) != GLIA_OK || check_signs(state, n, error) != GLIA_OK) return -1;
    int64_t *order = malloc((size_t)n * sizeof *order), sweep = 0;
    if (!order) {
        glia_fail_nomem(error);
        return -1;
    }
    glia_rng rng = { .seed = opts.seed, .stream = STREAM };
    const int64_t most = opts.sweeps > 0 ? opts.sweeps : 100;
    for (int64_t i = 0; i < n; i++) order[i] = i;
    for (bool moved = true; moved && sweep < most; sweep++) {
        moved = false;
        for (int64_t i = n - 1; i >= 0; i--) {
            const int64_t k = (int64_t)glia_rng_below(&rng, (uint64_t)i + 1), at = order[k];
            order[k] = order[i];
            order[i] = at;
            float sum = 0;
            for (int64_t j = 0; j < n; j++) sum += weights[at * n + j] * state[j];
            if (sum == 0 || (sum > 0) == (state[at] > 0)) continue;
            state[at] = -state[at];
            moved = true;
        }
    }
    free(order);
    return sweep;
}

double glia_hopfield_energy(const float *weights, int64_t n, const float *state) {
    if (check("weights", weights, state, n, NULL) != GLIA_OK) return NAN;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) sum += (double)weights[i * n + j] * (double)state[i] * (double)state[j];
    }
    return -sum / 2;
}

/* ---- modern ---------------------------------------------------------------------------------------- */

static double product(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

glia_status glia_modern_hopfield_recall(const float *patterns, int64_t p, int64_t n, double beta, int64_t steps,
                                        float *state, glia_error *error) {
    glia_status status = check("patterns", patterns, state, n, error);
    if (status != GLIA_OK) return status;
    if (p < 1 || steps < 0 || !(isfinite(beta) && beta > 0))
        return glia_fail(error, GLIA_E_ARGUMENT, "modern hopfield: %lld patterns, beta %g, %lld steps", (long long)p,
                         beta, (long long)steps);
    double *share = malloc((size_t)p * sizeof *share);
    if (!share) return glia_fail_nomem(error);
    for (int64_t s = 0; s < steps; s++) {
        double most = -INFINITY, all = 0;
        for (int64_t k = 0; k < p; k++) most = fmax(most, share[k] = beta * product(patterns + k * n, state, n));
        for (int64_t k = 0; k < p; k++) all += share[k] = exp(share[k] - most);
        for (int64_t i = 0; i < n; i++) {
            double sum = 0;
            for (int64_t k = 0; k < p; k++) sum += share[k] * (double)patterns[k * n + i];
            state[i] = (float)(sum / all);
        }
    }
    free(share);
    return GLIA_OK;
}

double glia_modern_hopfield_energy(const float *patterns, int64_t p, int64_t n, double beta, const float *state) {
    if (check("patterns", patterns, state, n, NULL) != GLIA_OK || p < 1 || !(beta > 0)) return NAN;
    double most = -INFINITY, sum = 0, longest = 0;
    for (int64_t k = 0; k < p; k++) {
        most = fmax(most, beta * product(patterns + k * n, state, n));
        longest = fmax(longest, product(patterns + k * n, patterns + k * n, n));
    }
    for (int64_t k = 0; k < p; k++) sum += exp(beta * product(patterns + k * n, state, n) - most);
    return -(most + log(sum)) / beta + product(state, state, n) / 2 + log((double)p) / beta + longest / 2;
}
