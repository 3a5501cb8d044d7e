/* izhikevich.c - Izhikevich's cell of two variables (2003, "Simple model of spiking neurons"), and the twenty patterns
 * of "Which model to use for cortical spiking neurons?" (2004, figure 1).
 *
 *     dv/dt = 0.04 v^2 + 5 v + 140 - u + I      du/dt = a (b v - u)      at v >= 30 mV: v = c, u += d
 *
 * There is no closed form; the steps are those of the paper's program: Euler, v first, u from the new v. The parameters
 * were chosen with these steps, so finer ones need not give the same patterns.
 */
#include <math.h>

#include "families/spiking/neurons.h"

static const char *refuse(const glia_neuron *p, double dt) {
    (void)p;
    return dt > 1 ? "this cell: its longest step is 1 ms" : NULL;
}

static double advance(glia_cell_state *c, double current, double left, bool *fired) {
    const glia_neuron *p = &c->p;
    c->v += left * (p->square * c->v * c->v + p->linear * c->v + p->constant - c->u + current);
    c->u += left * p->a * (p->b * (c->v + p->offset) - (p->integrates ? 0 : c->u));
    *fired = c->v > 30;
    return left;
}

const glia_neuron_model glia_model_izhikevich = {
    .about = { "izhikevich", "dv/dt = 0.04 v^2 + 5 v + 140 - u + I, du/dt = a (b v - u); v > 30: v = c, u += d",
               "ms, mV, the current in mV/ms", "Izhikevich 2003" },
    .refuse = refuse,
    .advance = advance,
    .exact = false,
};

/* ---- the twenty patterns ---------------------------------------------------------------------- */

#define PATTERN(name, a_, b_, c_, d_, v0, dt, duration, ...)                                                           \
    { name, { .kind = GLIA_IZHIKEVICH, .a = a_, .b = b_, .c = c_, .d = d_, __VA_ARGS__ }, v0, 0, dt, duration }

static const glia_firing_pattern patterns[GLIA_FIRING_PATTERNS] = {
    PATTERN("tonic spiking", 0.02, 0.2, -65, 6, -70, 0.25, 100, ),
    PATTERN("phasic spiking", 0.02, 0.25, -65, 6, -64, 0.25, 200, ),
    PATTERN("tonic bursting", 0.02, 0.2, -50, 2, -70, 0.25, 220, ),
    PATTERN("phasic bursting", 0.02, 0.25, -55, 0.05, -64, 0.2, 200, ),
    PATTERN("mixed mode", 0.02, 0.2, -55, 4, -70, 0.25, 160, ),
    PATTERN("spike frequency adaptation", 0.01, 0.2, -65, 8, -70, 0.25, 85, ),
    PATTERN("class 1 excitable", 0.02, -0.1, -55, 6, -60, 0.25, 300, .linear = 4.1, .constant = 108),
    PATTERN("class 2 excitable", 0.2, 0.26, -65, GLIA_ZERO, -64, 0.25, 300, ),
    PATTERN("spike latency", 0.02, 0.2, -65, 6, -70, 0.2, 100, ),
    PATTERN("subthreshold oscillations", 0.05, 0.26, -60, GLIA_ZERO, -62, 0.25, 200, ),
    PATTERN("resonator", 0.1, 0.26, -60, -1, -62, 0.25, 400, ),
    PATTERN("integrator", 0.02, -0.1, -55, 6, -60, 0.25, 100, .linear = 4.1, .constant = 108),
    PATTERN("rebound spike", 0.03, 0.25, -60, 4, -64, 0.2, 200, ),
    PATTERN("rebound burst", 0.03, 0.25, -52, GLIA_ZERO, -64, 0.2, 200, ),
    PATTERN("threshold variability", 0.03, 0.25, -60, 4, -64, 0.25, 100, ),
    PATTERN("bistability", 0.1, 0.26, -60, GLIA_ZERO, -61, 0.25, 300, ),
    PATTERN("depolarising after-potential", 1, 0.2, -60, -21, -70, 0.1, 50, ),
    { "accommodation",
      { .kind = GLIA_IZHIKEVICH, .a = 0.02, .b = 1, .c = -55, .d = 4, .offset = 65, .integrates = true },
      -65,
      -16,
      0.5,
      400 },
    PATTERN("inhibition-induced spiking", -0.02, -1, -60, 8, -63.8, 0.5, 350, ),
    PATTERN("inhibition-induced bursting", -0.026, -1, -45, -2, -63.8, 0.5, 350, ),
};

const glia_firing_pattern *glia_firing_pattern_at(int index) {
    return index >= 0 && index < GLIA_FIRING_PATTERNS ? &patterns[index] : NULL;
}

static bool within(double t, double begin, double end) { return t > begin && t < end; }

/* Currents of the patterns A to F and I: a step up, or a pulse. */
static double constant_current(int index, double t) {
    static const double height[] = { 14, 0.5, 15, 0.6, 10, 30 }, begin[] = { 10, 20, 22, 20, 16, 8.5 };
    return t > begin[index] ? height[index] : 0;
}

static double pulses(int index, double t) {
    switch (index) {
    case 8: return within(t, 10, 13) ? 7.04 : 0;
    case 9: return within(t, 20, 25) ? 2 : 0;
    case 10: return within(t, 40, 44) || within(t, 60, 64) || within(t, 280, 284) || within(t, 320, 324) ? 0.65 : 0;
    case 11: {
        const double first = 100.0 / 11;
        return within(t, first, first + 2) || within(t, first + 5, first + 7) || within(t, 70, 72) || within(t, 80, 82)
                   ? 9
                   : 0;
    }
    case 12:
    case 13: return within(t, 20, 25) ? -15 : 0;
    case 14: return within(t, 10, 15) || within(t, 80, 85) ? 1 : within(t, 70, 75) ? -6 : 0;
    case 15: return within(t, 37.5, 42.5) || within(t, 216, 221) ? 1.24 : 0.24;
    default: return fabs(t - 10) < 1 ? 20 : 0;
    }
}

double glia_firing_pattern_current(int index, double t) {
    if (index < 0 || index >= GLIA_FIRING_PATTERNS) return NAN;
    if (index < 6) return constant_current(index, t);
    if (index == 6) return t > 30 ? 0.075 * (t - 30) : 0;
    if (index == 7) return t > 30 ? -0.5 + 0.015 * (t - 30) : -0.5;
    if (index < 17) return pulses(index, t);
    if (index > 17) return t < 50 || t > 250 ? 80 : 75;
    return t < 200 ? t / 25 : t < 300 ? 0 : t < 312.5 ? (t - 300) / 12.5 * 4 : 0;
}
