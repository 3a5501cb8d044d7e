/* spikeprop.c - error back-propagation for the times of first spikes (Bohte, Kok and La Poutre 2002).
 *
 *     x_j(t) = sum over i, k of w_ijk e(t - t_i - d_k),  e(s) = s / tau exp(1 - s / tau)
 *
 * Cell j fires at t_j, where x_j reaches the threshold.
 *
 * At the crossing dt_j = -dx_j / x_j'(t_j), so with d_j = dE/dt_j
 *
 *     dE/dw_ijk = -d_j e(t_j - t_i - d_k) / x_j'(t_j)
 *     d_i = sum over j, k of d_j w_ijk e'(t_j - t_i - d_k) / x_j'(t_j)
 *
 * A cell that does not reach its threshold before the horizon counts as firing there, with x' of `SLOPE`, so that its
 * weights grow if it should fire earlier. Slopes below `SLOPE` count as that: gradients stay bounded.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "glia/spiking.h"

#define SLOPE 0.1
enum { MOST_CELLS = 4096 };

typedef struct layer {
    int inputs, cells, delays, inhibitory; /* of the inputs, the last ones */
    double tau, threshold, horizon;
    double *weights;
    const double *from; /* times of the inputs */
    double *times, *slopes;
} layer;

static double rise(double s, double tau) { return s > 0 ? s / tau * exp(1 - s / tau) : 0; }
static double slope_of(double s, double tau) { return s > 0 ? (1 / tau - s / tau / tau) * exp(1 - s / tau) : 0; }

static double sign_of(const layer *l, int input) { return input >= l->inputs - l->inhibitory ? -1 : 1; }

static double sum_at(const layer *l, int cell, double t, double (*kernel)(double s, double tau)) {
    double sum = 0;
    for (int i = 0; i < l->inputs; i++) {
        const double *w = l->weights + ((int64_t)cell * l->inputs + i) * l->delays, sign = sign_of(l, i);
        for (int k = 0; k < l->delays; k++) sum += sign * w[k] * kernel(t - l->from[i] - (k + 1), l->tau);
    }
    return sum;
}

/* The first crossing of the threshold: by steps, then by bisection. */
static void fire(const layer *l, int cell) {
    const double step = 0.25;
    double t = 0;
    while (t < l->horizon && sum_at(l, cell, t, rise) < l->threshold) t += step;
    if (t >= l->horizon) {
        l->times[cell] = l->horizon;
        l->slopes[cell] = SLOPE;
        return;
    }
    double low = fmax(t - step, 0), high = t;
    for (int i = 0; i < 40; i++) {
        const double middle = (low + high) / 2;
        if (sum_at(l, cell, middle, rise) < l->threshold)
            low = middle;
        else
            high = middle;
    }
    l->times[cell] = high;
    l->slopes[cell] = fmax(sum_at(l, cell, high, slope_of), SLOPE);
}

/* Adds the gradient of a layer. d (cells): dE/dt of its cells; back (inputs; NULL: not wanted): that of its inputs. */
static void differentiate(const layer *l, const double *d, double *gradient, double *back) {
    for (int i = 0; back && i < l->inputs; i++) back[i] = 0;
    for (int j = 0; j < l->cells; j++) {
        for (int i = 0; i < l->inputs; i++) {
            const int64_t at = ((int64_t)j * l->inputs + i) * l->delays;
            const double by = d[j] / l->slopes[j] * sign_of(l, i);
            for (int k = 0; k < l->delays; k++) {
                const double s = l->times[j] - l->from[i] - (k + 1);
                gradient[at + k] -= by * rise(s, l->tau);
                if (back) back[i] += by * l->weights[at + k] * slope_of(s, l->tau);
            }
        }
    }
}

/* ---- nets -------------------------------------------------------------------------------------------- */

typedef struct memory {
    double *values; /* times and slopes of hidden cells, slopes and errors of outputs, errors of hidden cells */
    layer hidden, output;
    double *output_error, *hidden_error;
} memory;

int64_t glia_spikeprop_weights(const glia_spikeprop *net) {
    if (!net) return 0;
    const int counts[] = { net->inputs, net->hidden, net->outputs, net->delays };
    for (int i = 0; i < GLIA_COUNT(counts); i++) {
        if (counts[i] < 1 || counts[i] > MOST_CELLS) return 0;
    }
    if (net->inhibitory < 0 || net->inhibitory > net->hidden) return 0;
    return (int64_t)net->delays * net->hidden * (net->inputs + net->outputs);
}

static glia_status check(const glia_spikeprop *net, glia_error *error) {
    if (!net) return glia_fail_null(error, "net");
    if (glia_spikeprop_weights(net) == 0)
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "spikeprop: a net of %d inputs, %d hidden cells (%d inhibitory), %d outputs, %d delays",
                         net->inputs, net->hidden, net->inhibitory, net->outputs, net->delays);
    if (!net->weights) return glia_fail_null(error, "weights");
    const double tau = glia_option(net->tau, 7), threshold = glia_option(net->threshold, 50),
                 horizon = glia_option(net->horizon, 40);
    if (tau > 0 && threshold > 0 && horizon > 0 && horizon < 1e5) return GLIA_OK;
    return glia_fail(error, GLIA_E_ARGUMENT, "spikeprop: tau %g, threshold %g, horizon %g must be above 0", tau,
                     threshold, horizon);
}

static glia_status open_memory(const glia_spikeprop *net, const double *input, double *output, memory *m,
                               glia_error *error) {
    const size_t h = (size_t)net->hidden, o = (size_t)net->outputs;
    m->values = calloc(3 * h + 3 * o, sizeof *m->values);
    if (!m->values) return glia_fail_nomem(error);
    const layer shared = { .delays = net->delays,
                           .tau = glia_option(net->tau, 7),
                           .threshold = glia_option(net->threshold, 50),
                           .horizon = glia_option(net->horizon, 40) };
    m->hidden = m->output = shared;
    m->hidden.inputs = net->inputs, m->hidden.cells = net->hidden;
    m->hidden.weights = net->weights, m->hidden.from = input;
    m->hidden.times = m->values, m->hidden.slopes = m->values + h;
    m->hidden_error = m->values + 2 * h;
    m->output.inputs = net->hidden, m->output.cells = net->outputs, m->output.inhibitory = net->inhibitory;
    m->output.weights = net->weights + (int64_t)net->hidden * net->inputs * net->delays;
    m->output.from = m->hidden.times;
    m->output.slopes = m->values + 3 * h;
    m->output_error = m->output.slopes + o;
    m->output.times = output ? output : m->output_error + o;
    for (int j = 0; j < net->hidden; j++) fire(&m->hidden, j);
    for (int j = 0; j < net->outputs; j++) fire(&m->output, j);
    return GLIA_OK;
}

glia_status glia_spikeprop_init(glia_spikeprop *net, uint64_t seed, glia_error *error) {
    enum { STREAM = 0x737072 };
    glia_status status = check(net, error);
    if (status != GLIA_OK) return status;
    glia_rng rng = { .seed = seed, .stream = STREAM };
    const int64_t n = glia_spikeprop_weights(net), first = (int64_t)net->hidden * net->inputs * net->delays;
    const double threshold = glia_option(net->threshold, 50);
    for (int64_t i = 0; i < n; i++) {
        const int fan = i < first ? net->inputs : GLIA_MAX(net->hidden - 2 * net->inhibitory, 1);
        const double needed = 3 * threshold / ((double)fan * net->delays);
        net->weights[i] = needed * (0.5 + glia_rng_uniform(&rng));
    }
    return GLIA_OK;
}

glia_status glia_spikeprop_run(const glia_spikeprop *net, const double *input, double *output, glia_error *error) {
    glia_status status = check(net, error);
    if (status != GLIA_OK) return status;
    if (!input) return glia_fail_null(error, "input");
    if (!output) return glia_fail_null(error, "output");
    memory m;
    status = open_memory(net, input, output, &m, error);
    if (status == GLIA_OK) free(m.values);
    return status;
}

glia_status glia_spikeprop_step(glia_spikeprop *net, const double *input, const double *target, double rate,
                                double *loss, double *gradient, glia_error *error) {
    glia_status status = check(net, error);
    if (status != GLIA_OK) return status;
    if (!input) return glia_fail_null(error, "input");
    if (!target) return glia_fail_null(error, "target");
    if (!isfinite(rate)) return glia_fail(error, GLIA_E_ARGUMENT, "spikeprop: the rate is %g", rate);
    const int64_t n = glia_spikeprop_weights(net), first = (int64_t)net->hidden * net->inputs * net->delays;
    memory m;
    double *own = calloc((size_t)n, sizeof *own), sum = 0;
    status = own ? open_memory(net, input, NULL, &m, error) : glia_fail_nomem(error);
    if (status != GLIA_OK) {
        free(own);
        return status;
    }
    for (int j = 0; j < net->outputs; j++) {
        m.output_error[j] = m.output.times[j] - target[j];
        sum += m.output_error[j] * m.output_error[j] / 2;
    }
    differentiate(&m.output, m.output_error, own + first, m.hidden_error);
    differentiate(&m.hidden, m.hidden_error, own, NULL);
    for (int64_t i = 0; i < n; i++) net->weights[i] -= rate * own[i];
    if (loss) *loss = sum;
    if (gradient) memcpy(gradient, own, (size_t)n * sizeof *own);
    free(own);
    free(m.values);
    return GLIA_OK;
}
