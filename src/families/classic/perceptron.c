/* perceptron.c - threshold units and the perceptron.
 *
 * McCulloch and Pitts 1943 showed that nets of threshold units compute every finite logical expression, with
 * connections set by hand. Rosenblatt 1958 trained a single unit by correcting its errors.
 *
 * Convergence (Novikoff 1962), with the bias as the weight of a constant input 1, and a unit vector u that separates
 * the samples, all of length at most R, by a margin g: each correction adds y x, so w u grows by at least g, while
 * |w|^2 grows by at most R^2, because y w x <= 0 at an error. After k corrections
 *
 *     k g <= w u <= |w| <= R sqrt(k),    so    k <= (R / g)^2.
 */
#include <math.h>

#include "base/base.h"
#include "glia/perceptron.h"

bool glia_mp_fires(glia_mp_unit unit, const bool *inputs) {
    if (!inputs) return false;
    int64_t excitation = 0;
    for (int i = 0; i < unit.inputs; i++) {
        int synapses = unit.synapses ? unit.synapses[i] : 1;
        if (!inputs[i]) continue;
        if (synapses < 0) return false;
        excitation += synapses;
    }
    return excitation >= unit.threshold;
}

glia_mp_unit glia_mp_and(int inputs) { return (glia_mp_unit){ .inputs = inputs, .threshold = inputs }; }

glia_mp_unit glia_mp_or(int inputs) { return (glia_mp_unit){ .inputs = inputs, .threshold = 1 }; }

glia_mp_unit glia_mp_not(void) {
    static const int inhibitory[] = { -1 };
    return (glia_mp_unit){ .inputs = 1, .threshold = 0, .synapses = inhibitory };
}

double glia_perceptron_score(const glia_perceptron *perceptron, const double *x) {
    if (!perceptron || !x) return 0;
    double score = perceptron->bias;
    for (int i = 0; i < perceptron->inputs; i++) score += perceptron->weights[i] * x[i];
    return score;
}

int glia_perceptron_predict(const glia_perceptron *perceptron, const double *x) {
    if (!perceptron || !x) return 0;
    return glia_perceptron_score(perceptron, x) > 0 ? 1 : -1;
}

static glia_status check_samples(const glia_perceptron *perceptron, const int *labels, int64_t n, glia_error *error) {
    if (perceptron->inputs < 1 || n < 1)
        return glia_fail(error, GLIA_E_ARGUMENT, "perceptron: needs at least one input and one sample, got %d and %lld",
                         perceptron->inputs, (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (labels[i] != 1 && labels[i] != -1)
            return glia_fail(error, GLIA_E_ARGUMENT, "perceptron: the label of sample %lld is %d; it must be -1 or 1",
                             (long long)i, labels[i]);
    return GLIA_OK;
}

glia_status glia_perceptron_train(glia_perceptron *perceptron, const double *x, const int *labels, int64_t n,
                                  glia_perceptron_opts opts, glia_perceptron_result *result, glia_error *error) {
    if (!perceptron) return glia_fail_null(error, "perceptron");
    if (n > 0 && !x) return glia_fail_null(error, "x");
    if (n > 0 && !labels) return glia_fail_null(error, "labels");
    glia_status status = check_samples(perceptron, labels, n, error);
    if (status != GLIA_OK) return status;
    if (opts.epochs < 0 || opts.rate < 0 || !isfinite(opts.rate))
        return glia_fail(error, GLIA_E_ARGUMENT, "perceptron: epochs and rate must not be negative");
    int64_t most = opts.epochs ? opts.epochs : 1000;
    double rate = opts.rate > 0 ? opts.rate : 1;

    glia_perceptron_result run = { 0 };
    while (run.epochs < most && !run.converged) {
        int64_t mistakes = 0;
        for (int64_t i = 0; i < n; i++) {
            const double *sample = x + i * perceptron->inputs;
            if (labels[i] * glia_perceptron_score(perceptron, sample) > 0) continue;
            double step = rate * labels[i];
            for (int j = 0; j < perceptron->inputs; j++) perceptron->weights[j] += step * sample[j];
            perceptron->bias += step;
            mistakes++;
        }
        if (opts.mistakes) opts.mistakes[run.epochs] = mistakes;
        run.epochs++;
        run.mistakes += mistakes;
        run.converged = mistakes == 0;
    }
    if (result) *result = run;
    return GLIA_OK;
}

glia_status glia_perceptron_bound(const glia_perceptron *separator, const double *x, const int *labels, int64_t n,
                                  double *bound, glia_error *error) {
    if (!separator) return glia_fail_null(error, "separator");
    if (!bound) return glia_fail_null(error, "bound");
    if (n > 0 && !x) return glia_fail_null(error, "x");
    if (n > 0 && !labels) return glia_fail_null(error, "labels");
    glia_status status = check_samples(separator, labels, n, error);
    if (status != GLIA_OK) return status;
    double norm = separator->bias * separator->bias;
    for (int j = 0; j < separator->inputs; j++) norm += separator->weights[j] * separator->weights[j];

    double margin = INFINITY, longest = 0; /* longest: R squared */
    for (int64_t i = 0; i < n; i++) {
        const double *sample = x + i * separator->inputs;
        double length = 1;
        for (int j = 0; j < separator->inputs; j++) length += sample[j] * sample[j];
        longest = fmax(longest, length);
        double distance = labels[i] * glia_perceptron_score(separator, sample);
        if (!(distance > 0))
            return glia_fail(error, GLIA_E_ARGUMENT, "perceptron: sample %lld is on the wrong side of the plane",
                             (long long)i);
        margin = fmin(margin, distance / sqrt(norm));
    }
    *bound = longest / (margin * margin);
    return GLIA_OK;
}
