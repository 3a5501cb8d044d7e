/* timing.c - one cell that learns when to fire: the tempotron and ReSuMe.
 *
 * The membrane is V(t) = v0 (A e^(-t/tau) - B e^(-t/tau_s)) from the last event on. Its maximum is where
 *
 *     t* = tau tau_s / (tau - tau_s) log((B / tau_s) / (A / tau)),
 *
 * if A and B are positive, so between two input spikes V rises to t* and falls then: a crossing is found by bisection
 * in the rising part.
 */
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "glia/spiking.h"

typedef struct membrane {
    double tau, tau_s, threshold, v0;
    double slow, fast, at; /* A, B and the time of these values */
} membrane;

static membrane membrane_of(const glia_kernel_cell *c) {
    membrane m = { .tau = glia_option(c->tau, 15),
                   .tau_s = glia_option(c->tau_s, 3.75),
                   .threshold = glia_option(c->threshold, 1) };
    const double top = m.tau * m.tau_s / (m.tau - m.tau_s) * log(m.tau / m.tau_s);
    m.v0 = 1 / (exp(-top / m.tau) - exp(-top / m.tau_s));
    return m;
}

static double kernel(const membrane *m, double t) {
    return t < 0 ? 0 : m->v0 * (exp(-t / m->tau) - exp(-t / m->tau_s));
}

static double value(const membrane *m, double t) {
    return m->v0 * (m->slow * exp(-(t - m->at) / m->tau) - m->fast * exp(-(t - m->at) / m->tau_s));
}

static void move_to(membrane *m, double t) {
    m->slow *= exp(-(t - m->at) / m->tau);
    m->fast *= exp(-(t - m->at) / m->tau_s);
    m->at = t;
}

/* The time of the highest value in [at, end]. */
static double top_of(const membrane *m, double end) {
    if (m->slow > 0 && m->fast > 0) {
        const double ratio = m->fast / m->tau_s / (m->slow / m->tau);
        const double by = ratio > 1 ? m->tau * m->tau_s / (m->tau - m->tau_s) * log(ratio) : 0;
        return fmin(m->at + by, end);
    }
    return value(m, end) > value(m, m->at) ? end : m->at;
}

static double crossing(const membrane *m, double top) {
    double low = m->at, high = top;
    for (int i = 0; i < 60; i++) {
        const double middle = (low + high) / 2;
        if (value(m, middle) < m->threshold)
            low = middle;
        else
            high = middle;
    }
    return high;
}

static glia_status check(const glia_kernel_cell *c, const glia_spike_event *events, int64_t n, double until,
                         glia_error *error) {
    if (!c) return glia_fail_null(error, "cell");
    if (!c->weights || (n > 0 && !events)) return glia_fail_null(error, c->weights ? "events" : "weights");
    const membrane m = membrane_of(c);
    if (c->inputs < 1 || n < 0 || !(m.tau > m.tau_s && m.tau_s > 0) || !(m.threshold > 0) || !isfinite(until))
        return glia_fail(
            error, GLIA_E_ARGUMENT,
            "kernel cell: %lld inputs, %lld spikes, tau %g, tau_s %g, threshold %g: tau must be above tau_s",
            (long long)c->inputs, (long long)n, m.tau, m.tau_s, m.threshold);
    for (int64_t i = 0; i < n; i++) {
        if (!(events[i].time >= (i ? events[i - 1].time : 0)))
            return glia_fail(error, GLIA_E_ARGUMENT, "kernel cell: spike %lld at %g ms is out of order", (long long)i,
                             events[i].time);
        if (events[i].cell < 0 || events[i].cell >= c->inputs)
            return glia_fail(error, GLIA_E_ARGUMENT, "kernel cell: spike %lld is of input %lld, of %lld", (long long)i,
                             (long long)events[i].cell, (long long)c->inputs);
    }
    return GLIA_OK;
}

typedef struct outcome {
    double *spikes;
    int64_t capacity, n;
    double peak, height;
} outcome;

/* From the membrane's time to `end`: spikes, with resets; or only the peak, without. */
static void run_to(membrane *m, double end, bool resets, outcome *o) {
    for (;;) {
        const double top = top_of(m, end), height = value(m, top);
        if (!resets && height > o->height) o->peak = top, o->height = height;
        if (!resets || height < m->threshold) break;
        const double t = value(m, m->at) >= m->threshold ? m->at : crossing(m, top);
        move_to(m, t);
        m->slow -= m->threshold / m->v0;
        if (o->n < o->capacity) o->spikes[o->n] = t;
        o->n++;
    }
    move_to(m, end);
}

static void run_cell(const glia_kernel_cell *c, const glia_spike_event *events, int64_t n, double until, bool resets,
                     outcome *o) {
    membrane m = membrane_of(c);
    for (int64_t i = 0; i < n && events[i].time <= until; i++) {
        run_to(&m, events[i].time, resets, o);
        m.slow += c->weights[events[i].cell];
        m.fast += c->weights[events[i].cell];
    }
    run_to(&m, until, resets, o);
}

glia_status glia_kernel_cell_run(const glia_kernel_cell *c, const glia_spike_event *events, int64_t n, double until,
                                 double *spikes, int64_t capacity, int64_t *n_spikes, double *peak, double *height,
                                 glia_error *error) {
    glia_status status = check(c, events, n, until, error);
    if (status != GLIA_OK) return status;
    outcome o = { .spikes = spikes, .capacity = spikes ? capacity : 0, .height = -INFINITY };
    run_cell(c, events, n, until, true, &o);
    if (n_spikes) *n_spikes = o.n;
    if (peak || height) run_cell(c, events, n, until, false, &o);
    if (peak) *peak = o.peak;
    if (height) *height = o.height;
    return GLIA_OK;
}

glia_status glia_tempotron_step(glia_kernel_cell *c, const glia_spike_event *events, int64_t n, double until,
                                bool fires, double rate, bool *wrong, glia_error *error) {
    glia_status status = check(c, events, n, until, error);
    if (status != GLIA_OK) return status;
    if (!isfinite(rate)) return glia_fail(error, GLIA_E_ARGUMENT, "tempotron: the rate is %g", rate);
    const membrane m = membrane_of(c);
    outcome o = { .height = -INFINITY };
    run_cell(c, events, n, until, false, &o);
    const bool bad = (o.height >= m.threshold) != fires;
    if (wrong) *wrong = bad;
    for (int64_t i = 0; bad && i < n; i++)
        c->weights[events[i].cell] += (fires ? rate : -rate) * kernel(&m, o.peak - events[i].time);
    return GLIA_OK;
}

/* ---- ReSuMe ----------------------------------------------------------------------------------------- */

enum { MOST_SPIKES = 4096 };

/* Adds `by` times the constant and the traces at time t. */
static void change_at(glia_kernel_cell *c, const glia_spike_event *events, int64_t n, double t, double by) {
    const double constant = 0.05, tau = 10;
    for (int64_t i = 0; i < c->inputs; i++) c->weights[i] += by * constant;
    for (int64_t i = 0; i < n && events[i].time <= t; i++)
        c->weights[events[i].cell] += by * exp(-(t - events[i].time) / tau);
}

static double distance_between(const double *wanted, int64_t n, const double *spikes, int64_t m, double until) {
    if (n != m || n == 0) return n == m ? 0 : until;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double least = until;
        for (int64_t k = 0; k < m; k++) least = fmin(least, fabs(wanted[i] - spikes[k]));
        sum += least;
    }
    return sum / (double)n;
}

glia_status glia_resume_step(glia_kernel_cell *c, const glia_spike_event *events, int64_t n, double until,
                             const double *wanted, int64_t n_wanted, double rate, double *distance, glia_error *error) {
    glia_status status = check(c, events, n, until, error);
    if (status != GLIA_OK) return status;
    if (n_wanted > 0 && !wanted) return glia_fail_null(error, "wanted");
    if (n_wanted < 0 || !isfinite(rate))
        return glia_fail(error, GLIA_E_ARGUMENT, "resume: %lld wanted spikes, rate %g", (long long)n_wanted, rate);
    double *spikes = malloc(MOST_SPIKES * sizeof *spikes);
    if (!spikes) return glia_fail_nomem(error);
    outcome o = { .spikes = spikes, .capacity = MOST_SPIKES, .height = -INFINITY };
    run_cell(c, events, n, until, true, &o);
    const int64_t kept = GLIA_MIN(o.n, (int64_t)MOST_SPIKES);
    if (distance) *distance = distance_between(wanted, n_wanted, spikes, o.n == kept ? kept : -1, until);
    for (int64_t i = 0; i < n_wanted; i++) change_at(c, events, n, wanted[i], rate);
    for (int64_t i = 0; i < kept; i++) change_at(c, events, n, spikes[i], -rate);
    free(spikes);
    return GLIA_OK;
}
