/* lif.c - the leaky integrate-and-fire cell (Lapicque 1907, Stein 1965).
 *
 *     tau dv/dt = rest - v + R I         a spike at v = threshold
 *
 * With a constant current v(t) = target + (v0 - target) exp(-t / tau), target = rest + R I, so both the value after any
 * time and the time of the next spike are known exactly, and the rate is
 *
 *     1 / (refractory + tau log((target - reset) / (target - threshold))).
 */
#include <math.h>

#include "families/spiking/neurons.h"

static const char *refuse(const glia_neuron *p, double dt) { return dt > p->tau ? "the time constant tau" : NULL; }

static double advance(glia_cell_state *c, double current, double left, bool *fired) {
    const glia_neuron *p = &c->p;
    const double target = p->rest + p->resistance * current;
    const double time = glia_crossing(c->v, target, p->tau, p->threshold);
    if (time > left) {
        c->v = target + (c->v - target) * exp(-left / p->tau);
        return left;
    }
    *fired = true;
    if (time > 0) c->v = p->threshold;
    return time;
}

const glia_neuron_model glia_model_lif = {
    .about = { "lif", "tau dv/dt = rest - v + R I", "ms, mV, megaohm, nA", "Lapicque 1907, Stein 1965" },
    .refuse = refuse,
    .advance = advance,
    .exact = true,
};
