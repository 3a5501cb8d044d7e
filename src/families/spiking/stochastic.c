/* stochastic.c - the integrate-and-fire cell with escape noise (Gerstner 2000, "Population dynamics of spiking
 * neurons").
 *
 * The membrane is that of lif.c. It fires at any v, with the hazard escape exp((v - threshold) / width) per ms, so the
 * probability of a spike in a step is 1 - exp(-hazard dt), with the mean of the hazards at both ends. A spike is at the
 * end of its step.
 */
#include <math.h>

#include "families/spiking/neurons.h"

static const char *refuse(const glia_neuron *p, double dt) { return dt > p->tau ? "the time constant tau" : NULL; }

static double hazard(const glia_neuron *p, double v) { return p->escape * exp((v - p->threshold) / p->width); }

static double advance(glia_cell_state *c, double current, double left, bool *fired) {
    const glia_neuron *p = &c->p;
    const double target = p->rest + p->resistance * current, before = hazard(p, c->v);
    c->v = target + (c->v - target) * exp(-left / p->tau);
    const double chance = -expm1(-left * (before + hazard(p, c->v)) / 2);
    *fired = glia_rng_uniform(&c->rng) < chance;
    return left;
}

const glia_neuron_model glia_model_stochastic = {
    .about = { "lif-stochastic", "tau dv/dt = rest - v + R I; hazard escape exp((v - threshold) / width)",
               "ms, mV, megaohm, nA", "Gerstner 2000" },
    .refuse = refuse,
    .advance = advance,
    .exact = false,
};
