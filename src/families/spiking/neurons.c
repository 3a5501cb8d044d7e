/* neurons.c - the run of one cell of any kind: refractory time, resets, traces.
 *
 * A kind of cell is a page with a record (neurons.h): lif.c, conductance.c, adaptive.c, izhikevich.c, stochastic.c. It
 * moves a cell up to the next spike or to the end of the step, whichever comes first; all else is here.
 */
#include "families/spiking/neurons.h"

#include <math.h>

static const glia_neuron_model *const models[GLIA_NEURON_COUNT] = {
    [GLIA_LIF] = &glia_model_lif,
    [GLIA_LIF_CONDUCTANCE] = &glia_model_conductance,
    [GLIA_LIF_ADAPTIVE] = &glia_model_adaptive,
    [GLIA_IZHIKEVICH] = &glia_model_izhikevich,
    [GLIA_LIF_STOCHASTIC] = &glia_model_stochastic,
};

static const glia_neuron_model *model_of(glia_neuron_kind kind) {
    return (unsigned)kind < GLIA_NEURON_COUNT ? models[kind] : NULL;
}

const glia_neuron_info *glia_neuron_about(glia_neuron_kind kind) {
    const glia_neuron_model *model = model_of(kind);
    return model ? &model->about : NULL;
}

static glia_neuron resolved(const glia_neuron *n) {
    glia_neuron p = *n;
    p.tau = glia_option(n->tau, 20);
    p.rest = glia_option(n->rest, -65);
    p.threshold = glia_option(n->threshold, -50);
    p.reset = glia_option(n->reset, p.rest);
    p.resistance = glia_option(n->resistance, 10);
    p.refractory = glia_option(n->refractory, 0);
    p.tau_exc = glia_option(n->tau_exc, 1);
    p.tau_inh = glia_option(n->tau_inh, 2);
    p.e_exc = glia_option(n->e_exc, 0);
    p.e_inh = glia_option(n->e_inh, -100);
    p.tau_adapt = glia_option(n->tau_adapt, 100);
    p.jump = glia_option(n->jump, 0.1);
    p.escape = glia_option(n->escape, 1);
    p.width = glia_option(n->width, 2);
    p.a = glia_option(n->a, 0.02);
    p.b = glia_option(n->b, 0.2);
    p.c = glia_option(n->c, -65);
    p.d = glia_option(n->d, 6);
    p.square = glia_option(n->square, 0.04);
    p.linear = glia_option(n->linear, 5);
    p.constant = glia_option(n->constant, 140);
    p.offset = glia_option(n->offset, 0);
    return p;
}

double glia_crossing(double v, double target, double tau, double level) {
    if (v >= level) return 0;
    return target > level ? tau * log((target - v) / (target - level)) : INFINITY;
}

/* ---- checks --------------------------------------------------------------------------------- */

static glia_status check_cell(const glia_neuron *p, glia_error *error) {
    const struct {
        const char *name;
        double value;
        bool zero; /* may be 0 */
    } fields[] = {
        { "tau", p->tau, false },         { "resistance", p->resistance, false }, { "refractory", p->refractory, true },
        { "tau_exc", p->tau_exc, false }, { "tau_inh", p->tau_inh, false },       { "tau_adapt", p->tau_adapt, false },
        { "escape", p->escape, false },   { "width", p->width, false },
    };
    for (int i = 0; i < GLIA_COUNT(fields); i++) {
        const double x = fields[i].value;
        if (isfinite(x) && (fields[i].zero ? x >= 0 : x > 0)) continue;
        return glia_fail(error, GLIA_E_ARGUMENT, "neuron: %s is %g; it must be %s", fields[i].name, x,
                         fields[i].zero ? "at least 0" : "above 0");
    }
    if (p->kind == GLIA_IZHIKEVICH || (p->threshold > p->rest && p->reset < p->threshold)) return GLIA_OK;
    return glia_fail(error, GLIA_E_ARGUMENT, "neuron: the threshold of %g mV is not above rest (%g) and reset (%g)",
                     p->threshold, p->rest, p->reset);
}

static glia_status check_input(const char *name, const double *x, int64_t steps, double least, glia_error *error) {
    for (int64_t i = 0; x && i < steps; i++) {
        if (isfinite(x[i]) && x[i] >= least) continue;
        return glia_fail(error, GLIA_E_ARGUMENT, "neuron: %s[%lld] is %g", name, (long long)i, x[i]);
    }
    return GLIA_OK;
}

static glia_status check_run(const glia_neuron_model *model, const glia_neuron *p, const glia_neuron_run *r, double dt,
                             glia_error *error) {
    if (r->steps < 0) return glia_fail(error, GLIA_E_ARGUMENT, "neuron: %lld steps", (long long)r->steps);
    if (!(isfinite(dt) && dt > 0)) return glia_fail(error, GLIA_E_ARGUMENT, "neuron: dt is %g ms", dt);
    const char *reason = model->refuse(p, dt);
    if (reason) return glia_fail(error, GLIA_E_ARGUMENT, "neuron: a step of %g ms is too long for %s", dt, reason);
    if ((r->exc || r->inh) && p->kind != GLIA_LIF_CONDUCTANCE)
        return glia_fail(error, GLIA_E_ARGUMENT, "neuron: %s has no conductances; give it a current",
                         model->about.name);
    if (r->capacity < 0 || (r->capacity > 0 && !r->spikes))
        return glia_fail(error, GLIA_E_ARGUMENT, "neuron: room for %lld spikes, but no array", (long long)r->capacity);
    glia_status status = check_input("current", r->current, r->steps, -INFINITY, error);
    if (status == GLIA_OK) status = check_input("exc", r->exc, r->steps, 0, error);
    return status == GLIA_OK ? check_input("inh", r->inh, r->steps, 0, error) : status;
}

/* ---- running -------------------------------------------------------------------------------- */

static void reset(glia_cell_state *c) {
    const glia_neuron *p = &c->p;
    if (p->kind == GLIA_IZHIKEVICH) {
        c->v = p->c;
        c->u += p->d;
        return;
    }
    c->v = p->mode == GLIA_RESET_SOFT ? c->v - (p->threshold - p->rest) : p->reset;
}

/* Conductances and adaptation go on while the membrane is held. */
static void hold(glia_cell_state *c, double time) {
    c->ge *= exp(-time / c->p.tau_exc);
    c->gi *= exp(-time / c->p.tau_inh);
    if (c->p.kind == GLIA_LIF_ADAPTIVE) c->u *= exp(-time / c->p.tau_adapt);
    c->held -= time;
}

static void record_spike(glia_neuron_run *r, double time) {
    if (r->n_spikes < r->capacity) r->spikes[r->n_spikes] = time;
    r->n_spikes++;
}

enum { MOST_SPIKES = 1000 }; /* of a step */

/* Moves by one step that begins at `began`. Returns the number of spikes. */
static int take_step(const glia_neuron_model *model, glia_cell_state *c, glia_neuron_run *r, double current,
                     double began, double dt) {
    int spikes = 0;
    double left = dt;
    if (c->pending) reset(c);
    c->pending = false;
    while (left > 0 && spikes < MOST_SPIKES) {
        if (c->held > 0) {
            const double time = fmin(c->held, left);
            hold(c, time);
            if (c->held < 1e-12) c->held = 0;
            left -= time;
            continue;
        }
        bool fired = false;
        left -= model->advance(c, current, left, &fired);
        if (!fired) break;
        record_spike(r, began + dt - fmax(left, 0));
        spikes++;
        if (c->p.kind == GLIA_LIF_ADAPTIVE) c->u += c->p.jump;
        c->held = c->p.refractory;
        c->pending = c->p.mode == GLIA_RESET_DELAYED;
        if (c->pending) break;
        reset(c);
        if (!model->exact) break;
    }
    return spikes;
}

glia_status glia_neuron_simulate(const glia_neuron *neuron, glia_neuron_run *r, glia_error *error) {
    enum { STREAM = 0x6E6575 };
    if (!neuron) return glia_fail_null(error, "neuron");
    if (!r) return glia_fail_null(error, "run");
    const glia_neuron_model *model = model_of(neuron->kind);
    if (!model) return glia_fail(error, GLIA_E_ARGUMENT, "neuron: there is no kind %d", (int)neuron->kind);
    glia_cell_state c = { .p = resolved(neuron), .rng = { .seed = r->seed, .stream = STREAM } };
    const double dt = glia_option(r->dt, 0.1);
    glia_status status = check_cell(&c.p, error);
    if (status == GLIA_OK) status = check_run(model, &c.p, r, dt, error);
    if (status != GLIA_OK) return status;
    const bool quadratic = c.p.kind == GLIA_IZHIKEVICH;
    c.v = glia_option(r->v0, quadratic ? -65 : c.p.rest);
    c.u = glia_option(r->u0, quadratic ? c.p.b * (c.v + c.p.offset) : 0);
    r->n_spikes = 0;
    for (int64_t i = 0; i < r->steps; i++) {
        c.ge += r->exc ? r->exc[i] : 0;
        c.gi += r->inh ? r->inh[i] : 0;
        const int fired = take_step(model, &c, r, r->current ? r->current[i] : 0, (double)i * dt, dt);
        if (r->v) r->v[i] = fired ? (quadratic ? 30 : c.p.threshold) : c.v;
        if (r->u) r->u[i] = c.p.kind == GLIA_LIF_CONDUCTANCE ? c.ge + c.gi : c.u;
        if (fired >= MOST_SPIKES)
            return glia_fail(error, GLIA_E_ARGUMENT, "neuron: %d spikes in step %lld: the current is too strong", fired,
                             (long long)i);
        if (!isfinite(c.v))
            return glia_fail(error, GLIA_E_ARGUMENT, "neuron: v is %g after step %lld", c.v, (long long)i);
    }
    return GLIA_OK;
}

/* ---- rates ---------------------------------------------------------------------------------- */

/* How far v is above the threshold T after a spike of an adaptive cell that fires every T ms: w is then b / (1 - e). */
static double excess(const glia_neuron *p, double current, double period) {
    const double free = period - p->refractory, after = p->jump / (1 - exp(-period / p->tau_adapt));
    const double w = after * exp(-p->refractory / p->tau_adapt), k = p->tau_adapt / (p->tau_adapt - p->tau);
    const double target = p->rest + p->resistance * current, membrane = exp(-free / p->tau);
    const double v =
        target + (p->reset - target) * membrane - p->resistance * w * k * (exp(-free / p->tau_adapt) - membrane);
    return v - p->threshold;
}

static double adaptive_rate(const glia_neuron *p, double current) {
    double low = p->refractory, high = p->refractory + 1;
    while (excess(p, current, high) < 0) {
        low = high;
        high *= 2;
        if (high > 1e7) return 0;
    }
    for (int i = 0; i < 200; i++) {
        const double middle = (low + high) / 2;
        if (excess(p, current, middle) < 0)
            low = middle;
        else
            high = middle;
    }
    return 1000 / high;
}

double glia_neuron_rate(const glia_neuron *neuron, double current) {
    if (!neuron || (neuron->kind != GLIA_LIF && neuron->kind != GLIA_LIF_ADAPTIVE)) return NAN;
    const glia_neuron p = resolved(neuron);
    if (p.mode != GLIA_RESET_HARD || check_cell(&p, NULL) != GLIA_OK || !isfinite(current)) return NAN;
    const double target = p.rest + p.resistance * current;
    if (target <= p.threshold) return 0;
    if (p.kind == GLIA_LIF_ADAPTIVE) return p.tau == p.tau_adapt ? NAN : adaptive_rate(&p, current);
    return 1000 / (p.refractory + glia_crossing(p.reset, target, p.tau, p.threshold));
}
