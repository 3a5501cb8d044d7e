/* adaptive.c - the integrate-and-fire cell with a current that grows with each spike (Treves 1993, Benda and Herz
 * 2003).
 *
 *     tau dv/dt = rest - v + R (I - w)      tau_adapt dw/dt = -w      at a spike w += jump
 *
 * The equations are linear, so
 *
 *     v(t) = target + (v0 - target) e^(-t/tau) - R w0 k (e^(-t/tau_adapt) - e^(-t/tau))
 *     k = tau_adapt / (tau_adapt - tau)
 *
 * (for equal time constants R w0 (t / tau) e^(-t/tau)). v - threshold may have a maximum inside a step, so a spike is
 * looked for before the maximum and after it; its time is found by bisection.
 */
#include <math.h>

#include "families/spiking/neurons.h"

static const char *refuse(const glia_neuron *p, double dt) {
    return dt > p->tau ? "the time constant tau" : dt > p->tau_adapt ? "the time constant tau_adapt" : NULL;
}

static double at(const glia_cell_state *c, double target, double t) {
    const glia_neuron *p = &c->p;
    const double membrane = exp(-t / p->tau), slow = exp(-t / p->tau_adapt);
    const double along =
        p->tau == p->tau_adapt ? t / p->tau * membrane : p->tau_adapt / (p->tau_adapt - p->tau) * (slow - membrane);
    return target + (c->v - target) * membrane - p->resistance * c->u * along;
}

/* The end of a stretch of at most `left` ms that does not contain a turn of v in its inside: by the sign of dv/dt. */
static double turn(const glia_cell_state *c, double target, double left) {
    const double h = 1e-7;
    const bool rises = at(c, target, h) > c->v;
    if ((at(c, target, left) > at(c, target, left - h)) == rises) return left;
    double low = 0, high = left;
    for (int i = 0; i < 60; i++) {
        const double middle = (low + high) / 2;
        if ((at(c, target, middle + h) > at(c, target, middle)) == rises)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* The first time in (0, end] at which v has reached the threshold, where v is monotonic. */
static double crossing(const glia_cell_state *c, double target, double begin, double end) {
    double low = begin, high = end;
    if (at(c, target, end) < c->p.threshold) return INFINITY;
    for (int i = 0; i < 80; i++) {
        const double middle = (low + high) / 2;
        if (at(c, target, middle) < c->p.threshold)
            low = middle;
        else
            high = middle;
    }
    return high;
}

static double advance(glia_cell_state *c, double current, double left, bool *fired) {
    const glia_neuron *p = &c->p;
    const double target = p->rest + p->resistance * current, top = turn(c, target, left);
    double time = c->v >= p->threshold ? 0 : crossing(c, target, 0, top);
    if (time > left && top < left) time = crossing(c, target, top, left);
    *fired = time <= left;
    const double moved = fmin(time, left);
    c->v = *fired && time > 0 ? p->threshold : at(c, target, moved);
    c->u *= exp(-moved / p->tau_adapt);
    return moved;
}

const glia_neuron_model glia_model_adaptive = {
    .about = { "lif-adaptive", "tau dv/dt = rest - v + R (I - w), tau_adapt dw/dt = -w, w += jump at a spike",
               "ms, mV, megaohm, nA", "Treves 1993, Benda and Herz 2003" },
    .refuse = refuse,
    .advance = advance,
    .exact = true,
};
