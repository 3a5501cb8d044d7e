/* timing.c - one cell that learns when to fire: the tempotron, ReSuMe and the chronotron.
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

#define MOST_WEIGHT 1e6 /* in thresholds: an input spike then causes about as many spikes */

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

static membrane moved_to(const membrane *m, double t) {
    membrane after = *m;
    after.slow *= exp(-(t - m->at) / m->tau);
    after.fast *= exp(-(t - m->at) / m->tau_s);
    after.at = t;
    return after;
}

static bool rises(const membrane *m) { return m->fast / m->tau_s > m->slow / m->tau; }

/* The time of the highest value from m to `after`, which is m at a later time; *height: that value. */
static double top_of(const membrane *m, const membrane *after, double *height) {
    const double now = m->v0 * (m->slow - m->fast), last = m->v0 * (after->slow - after->fast);
    if (rises(m) && !rises(after)) {
        const double by = m->tau * m->tau_s / (m->tau - m->tau_s) * log(m->fast / m->tau_s / (m->slow / m->tau));
        *height = m->v0 * m->slow * exp(-by / m->tau) * (1 - m->tau_s / m->tau);
        return m->at + by;
    }
    *height = fmax(now, last);
    return last > now ? after->at : m->at;
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
    for (int64_t i = 0; i < c->inputs; i++) {
        if (!(fabs(c->weights[i]) <= MOST_WEIGHT * m.threshold))
            return glia_fail(error, GLIA_E_ARGUMENT, "kernel cell: weight %lld is %g: the cell would fire endlessly",
                             (long long)i, c->weights[i]);
    }
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
        const membrane after = moved_to(m, end);
        double height;
        const double top = top_of(m, &after, &height);
        if (!resets && height > o->height) o->peak = top, o->height = height;
        if (!resets || height < m->threshold) {
            *m = after;
            return;
        }
        *m = moved_to(m, value(m, m->at) >= m->threshold ? m->at : crossing(m, top));
        m->slow -= m->threshold / m->v0;
        if (o->n < o->capacity) o->spikes[o->n] = m->at;
        o->n++;
    }
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

/* Adds `by` times the kernels of each input's spikes at time t: what its weight is multiplied with in the membrane. */
static void add_kernels(double *to, const membrane *m, const glia_spike_event *events, int64_t n, double t, double by) {
    for (int64_t i = 0; i < n && events[i].time < t; i++) to[events[i].cell] += by * kernel(m, t - events[i].time);
}

glia_status glia_tempotron_step(glia_kernel_cell *c, const glia_spike_event *events, int64_t n, double until,
                                bool fires, glia_tempotron_opts opts, bool *wrong, glia_error *error) {
    glia_status status = check(c, events, n, until, error);
    if (status != GLIA_OK) return status;
    if (!isfinite(opts.rate) || !(opts.momentum >= 0 && opts.momentum < 1))
        return glia_fail(error, GLIA_E_ARGUMENT, "tempotron: rate %g, momentum %g", opts.rate, opts.momentum);
    if ((opts.momentum > 0) != (opts.change != NULL))
        return glia_fail(error, GLIA_E_ARGUMENT, "tempotron: a momentum and the memory of changes need each other");
    const membrane m = membrane_of(c);
    outcome o = { .height = -INFINITY };
    run_cell(c, events, n, until, false, &o);
    const bool bad = (o.height >= m.threshold) != fires;
    if (wrong) *wrong = bad;
    if (!bad) return GLIA_OK;
    double *change = opts.change ? opts.change : c->weights;
    for (int64_t i = 0; opts.change && i < c->inputs; i++) change[i] *= opts.momentum;
    add_kernels(change, &m, events, n, o.peak, fires ? opts.rate : -opts.rate);
    for (int64_t i = 0; opts.change && i < c->inputs; i++) c->weights[i] += change[i];
    return GLIA_OK;
}

/* ---- exact times ------------------------------------------------------------------------------------ */

enum { MOST_SPIKES = 4096 }; /* of the cell, that are learned from */

/* What the rules of exact times need: the spikes of the cell with its present weights. */
typedef struct lesson {
    const glia_spike_event *events;
    int64_t n;
    const double *wanted;
    int64_t n_wanted;
    double *spikes;
    int64_t n_spikes, kept; /* all of the cell; the first ones, in `spikes` */
} lesson;

/* On success `spikes` must be freed. `rule`: its name, for messages. */
static glia_status open_lesson(const glia_kernel_cell *c, double until, double rate, const char *rule, lesson *l,
                               glia_error *error) {
    glia_status status = check(c, l->events, l->n, until, error);
    if (status != GLIA_OK) return status;
    if (l->n_wanted > 0 && !l->wanted) return glia_fail_null(error, "wanted");
    if (l->n_wanted < 0 || !isfinite(rate))
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: %lld wanted spikes, rate %g", rule, (long long)l->n_wanted, rate);
    for (int64_t i = 0; i < l->n_wanted; i++) {
        if (!(l->wanted[i] >= (i ? l->wanted[i - 1] : 0)))
            return glia_fail(error, GLIA_E_ARGUMENT, "%s: the wanted spike %lld at %g ms is out of order", rule,
                             (long long)i, l->wanted[i]);
    }
    l->spikes = malloc(MOST_SPIKES * sizeof *l->spikes);
    if (!l->spikes) return glia_fail_nomem(error);
    outcome o = { .spikes = l->spikes, .capacity = MOST_SPIKES, .height = -INFINITY };
    run_cell(c, l->events, l->n, until, true, &o);
    l->n_spikes = o.n;
    l->kept = GLIA_MIN(o.n, (int64_t)MOST_SPIKES);
    return GLIA_OK;
}

/* ---- ReSuMe ---- */

/* Adds `by` times the constant and the traces at time t. */
static void change_at(glia_kernel_cell *c, const lesson *l, double t, double by) {
    const double constant = 0.05, tau = 10;
    for (int64_t i = 0; i < c->inputs; i++) c->weights[i] += by * constant;
    for (int64_t i = 0; i < l->n && l->events[i].time <= t; i++)
        c->weights[l->events[i].cell] += by * exp(-(t - l->events[i].time) / tau);
}

static double mean_distance(const lesson *l, double until) {
    if (l->n_wanted != l->n_spikes || l->n_spikes != l->kept) return until;
    double sum = 0;
    for (int64_t i = 0; i < l->n_wanted; i++) {
        double least = until;
        for (int64_t k = 0; k < l->kept; k++) least = fmin(least, fabs(l->wanted[i] - l->spikes[k]));
        sum += least;
    }
    return l->n_wanted ? sum / (double)l->n_wanted : 0;
}

glia_status glia_resume_step(glia_kernel_cell *c, const glia_spike_event *events, int64_t n, double until,
                             const double *wanted, int64_t n_wanted, double rate, double *distance, glia_error *error) {
    lesson l = { .events = events, .n = n, .wanted = wanted, .n_wanted = n_wanted };
    glia_status status = open_lesson(c, until, rate, "resume", &l, error);
    if (status != GLIA_OK) return status;
    if (distance) *distance = mean_distance(&l, until);
    for (int64_t i = 0; i < n_wanted; i++) change_at(c, &l, wanted[i], rate);
    for (int64_t i = 0; i < l.kept; i++) change_at(c, &l, l.spikes[i], -rate);
    free(l.spikes);
    return GLIA_OK;
}

/* ---- the chronotron ---- */

enum { REMOVE, INSERT, MOVE };

/* The cheapest way from spikes to wanted ones (Victor and Purpura 1996, but with a quadratic price of moving): its
 * price, and in steps[i (n_wanted + 1) + k] the last operation on the first i spikes and k wanted ones. `costs` holds
 * two rows of n_wanted + 1. */
static double align(const lesson *l, double tau_q, unsigned char *steps, double *costs) {
    const int64_t width = l->n_wanted + 1;
    double *before = costs, *now = costs + width;
    for (int64_t i = 0; i <= l->kept; i++) {
        for (int64_t k = 0; k < width; k++) {
            double best = i || k ? INFINITY : 0;
            unsigned char step = REMOVE;
            if (i && before[k] + 1 < best) best = before[k] + 1;
            if (k && now[k - 1] + 1 < best) best = now[k - 1] + 1, step = INSERT;
            if (i && k) {
                const double by = (l->spikes[i - 1] - l->wanted[k - 1]) / tau_q, moved = before[k - 1] + by * by / 2;
                if (moved < best) best = moved, step = MOVE;
            }
            now[k] = best;
            steps[i * width + k] = step;
        }
        double *other = before;
        before = now, now = other;
    }
    return before[width - 1];
}

glia_status glia_chronotron_step(glia_kernel_cell *c, const glia_spike_event *events, int64_t n, double until,
                                 const double *wanted, int64_t n_wanted, glia_chronotron_opts opts, double *distance,
                                 glia_error *error) {
    const double tau_q = glia_option(opts.tau_q, 10), shift = glia_option(opts.shift, tau_q);
    lesson l = { .events = events, .n = n, .wanted = wanted, .n_wanted = n_wanted };
    if (!(tau_q > 0) || !(shift >= 0) || !isfinite(tau_q + shift))
        return glia_fail(error, GLIA_E_ARGUMENT, "chronotron: tau_q is %g and shift %g", tau_q, shift);
    glia_status status = open_lesson(c, until, opts.rate, "chronotron", &l, error);
    if (status != GLIA_OK) return status;
    const size_t width = (size_t)n_wanted + 1;
    unsigned char *steps = malloc(((size_t)l.kept + 1) * width);
    double *costs = malloc(2 * width * sizeof *costs);
    if (steps && costs) {
        const double price = align(&l, tau_q, steps, costs) + (double)(l.n_spikes - l.kept);
        if (distance) *distance = price;
        const membrane m = membrane_of(c);
        for (int64_t i = l.kept, k = n_wanted; i || k;) {
            const unsigned char step = steps[(size_t)i * width + (size_t)k];
            if (step != INSERT) i--;
            if (step != REMOVE) k--;
            const double t = step == INSERT ? wanted[k] : l.spikes[i];
            const double by = step == INSERT ? 1 : step == REMOVE ? -1 : shift / (tau_q * tau_q) * (t - wanted[k]);
            add_kernels(c->weights, &m, events, n, t, opts.rate * by);
        }
    } else {
        status = glia_fail_nomem(error);
    }
    free(steps);
    free(costs);
    free(l.spikes);
    return status;
}
