/* conductance.c - the integrate-and-fire cell with synapses that change its conductance (Destexhe et al. 1998).
 *
 *     tau dv/dt = rest - v + R I + ge (Ee - v) + gi (Ei - v)         ge, gi decay exponentially
 *
 * in units of the leak's conductance. With conductances as in the middle of the time moved the equation is linear, with
 * the time constant tau / (1 + ge + gi); what is left out is of second order in the step.
 */
#include <math.h>

#include "families/spiking/neurons.h"

static const char *refuse(const glia_neuron *p, double dt) {
    if (dt > p->tau) return "the time constant tau";
    if (dt > p->tau_exc) return "the time constant tau_exc";
    return dt > p->tau_inh ? "the time constant tau_inh" : NULL;
}

static void decay(glia_cell_state *c, double time) {
    c->ge *= exp(-time / c->p.tau_exc);
    c->gi *= exp(-time / c->p.tau_inh);
}

static double advance(glia_cell_state *c, double current, double left, bool *fired) {
    const glia_neuron *p = &c->p;
    const double ge = c->ge * exp(-left / 2 / p->tau_exc), gi = c->gi * exp(-left / 2 / p->tau_inh);
    const double all = 1 + ge + gi, tau = p->tau / all;
    const double target = (p->rest + p->resistance * current + ge * p->e_exc + gi * p->e_inh) / all;
    const double time = glia_crossing(c->v, target, tau, p->threshold);
    if (time > left) {
        c->v = target + (c->v - target) * exp(-left / tau);
        decay(c, left);
        return left;
    }
    *fired = true;
    c->v = fmax(c->v, p->threshold);
    decay(c, time);
    return time;
}

const glia_neuron_model glia_model_conductance = {
    .about = { "lif-conductance", "tau dv/dt = rest - v + R I + ge (Ee - v) + gi (Ei - v)", "ms, mV, leaks, nA",
               "Destexhe et al. 1998" },
    .refuse = refuse,
    .advance = advance,
    .exact = true,
};
