/* spiking.h - spiking neurons, codes in time, and learning by gradients and by spike times.
 *
 *   1  neurons: one cell over time, by exact integration where the equation allows it
 *   2  codes: values as spikes and back
 *   3  layers that learn by surrogate gradients
 *
 * Units of cells: milliseconds, millivolts, nanoamperes, megaohms; rates are in hertz. Spikes are bytes, 1 or 0; a
 * delta code also has -1. Functions here have no global state and may be called by any number of threads.
 */
#ifndef GLIA_SPIKING_H
#define GLIA_SPIKING_H

#include "glia/layers.h"
#include "glia/program.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== 1. neurons ============================================================================ */

typedef enum glia_neuron_kind {
    GLIA_LIF,             /* Lapicque 1907, Stein 1965: tau dv/dt = rest - v + R I */
    GLIA_LIF_CONDUCTANCE, /* Destexhe et al. 1998, in units of the leak: tau dv/dt = rest - v + R I + ge (Ee - v) +
                           * gi (Ei - v); ge and gi decay with tau_exc, tau_inh */
    GLIA_LIF_ADAPTIVE,    /* Treves 1993, Benda and Herz 2003: tau dv/dt = rest - v + R (I - w), tau_adapt dw/dt = -w,
                           * and w grows by `jump` at each spike */
    GLIA_IZHIKEVICH,      /* Izhikevich 2003: dv/dt = q v^2 + l v + k - u + I, du/dt = a (b v - u); at 30 mV v = c and
                           * u grows by d */
    GLIA_LIF_STOCHASTIC,  /* Gerstner 2000, escape noise: as GLIA_LIF, but it fires with the hazard
                           * escape exp((v - threshold) / width) per ms */
    GLIA_NEURON_COUNT
} glia_neuron_kind;

typedef enum glia_reset {
    GLIA_RESET_HARD,   /* v becomes `reset` at the time of the spike */
    GLIA_RESET_SOFT,   /* v falls by threshold - rest: what exceeds the threshold is kept */
    GLIA_RESET_DELAYED /* hard, but at the beginning of the next step */
} glia_reset;

/* A cell. A field left 0 has the default in its comment; GLIA_ZERO is 0. */
typedef struct glia_neuron {
    glia_neuron_kind kind;
    glia_reset mode;
    double tau;                  /* of the membrane; 0: 20 ms */
    double rest, threshold;      /* 0: -65, -50 mV */
    double reset;                /* 0: rest */
    double resistance;           /* R; 0: 10 megaohm */
    double refractory;           /* time after a spike in which v stays; 0: none */
    double tau_exc, tau_inh;     /* of conductances; 0: 1, 2 ms */
    double e_exc, e_inh;         /* reversal potentials; 0: 0, -100 mV */
    double tau_adapt, jump;      /* 0: 100 ms, 0.1 nA */
    double escape, width;        /* 0: 1 per ms, 2 mV */
    double a, b, c, d;           /* of Izhikevich's; 0: 0.02, 0.2, -65, 6 */
    double square, linear, constant; /* q, l, k; 0: 0.04, 5, 140 */
    double offset;               /* du/dt = a (b (v + offset) - u); 0: none */
    bool integrates;             /* du/dt = a b (v + offset): u does not decay */
} glia_neuron;

typedef struct glia_neuron_info {
    const char *name, *equation, *units, *paper;
} glia_neuron_info;
/* NULL: there is none. */
GLIA_API const glia_neuron_info *glia_neuron_about(glia_neuron_kind kind);

/* A run of one cell over `steps` steps of `dt`. */
typedef struct glia_neuron_run {
    int64_t steps;
    double dt;             /* 0: 0.1 ms. Longer than a time constant, or than 1 ms for Izhikevich's cell: an error */
    const double *current; /* (steps), constant during a step; NULL: 0 */
    const double *exc, *inh; /* (steps): what conductances gain at the beginning of a step, in leaks; NULL: nothing */
    double v0, u0;         /* 0: rest and 0; Izhikevich's: -65 and b v0 */
    uint64_t seed;         /* of a stochastic cell */
    double *v, *u;         /* (steps): membrane after each step (a spike's step shows the threshold, or 30 mV); w, u or
                            * the sum of conductances. NULL: not wanted */
    double *spikes;        /* (capacity): times of spikes in ms, the first `capacity` ones; NULL with capacity 0 */
    int64_t capacity;
    int64_t n_spikes;      /* set: all spikes */
} glia_neuron_run;
/* LIF and adaptive cells are exact: between steps v has a closed form, spikes have their times inside a step (the
 * adaptive one's to 1e-12 ms), and integration goes on from there. A conductance-based cell takes the conductances of
 * the middle of a step, an error of O(dt^2). Izhikevich's takes Euler steps, v before u, as in the paper. GLIA_E_ARGUMENT
 * names what is wrong. */
GLIA_API glia_status glia_neuron_simulate(const glia_neuron *neuron, glia_neuron_run *run, glia_error *error);

/* The rate in Hz at a constant current: closed form for GLIA_LIF with a hard reset, the root of one equation for
 * GLIA_LIF_ADAPTIVE; NaN for others. */
GLIA_API double glia_neuron_rate(const glia_neuron *neuron, double current);

/* Izhikevich 2004, figure 1: the twenty patterns of cells, A "tonic spiking" to T "inhibition-induced bursting", with the
 * published parameters. NULL: there is none. */
typedef struct glia_firing_pattern {
    const char *name;
    glia_neuron neuron;
    double v0, u0, dt, duration; /* u0 0: b (v0 + offset) */
} glia_firing_pattern;
enum { GLIA_FIRING_PATTERNS = 20 };
GLIA_API const glia_firing_pattern *glia_firing_pattern_at(int index);
/* The pattern's current at this time. */
GLIA_API double glia_firing_pattern_current(int index, double ms);

/* ==== 2. codes ============================================================================== */

typedef enum glia_code_kind {
    GLIA_CODE_BINARY,    /* one spike in the first step if x >= 1/2 */
    GLIA_CODE_POISSON,   /* rate: a step has a spike with probability 1 - exp(-x rate dt) */
    GLIA_CODE_BERNOULLI, /* rate: with probability x rate dt */
    GLIA_CODE_REGULAR,   /* rate: at equal distances */
    GLIA_CODE_TEMPORAL,  /* fully temporal: each step is a bit, most significant first; x to `steps` bits */
    GLIA_CODE_LATENCY,   /* one spike, the earlier the larger x: in step (1 - x) (steps - 1); none for x = 0 */
    GLIA_CODE_RANK,      /* one spike each, in the order of x (Thorpe and Gautrais 1998); decoded as `decay`^rank */
    GLIA_CODE_PHASE,     /* Kim et al. 2018: a spike in phase k of 8 counts 2^-(k+1); repeated each period */
    GLIA_CODE_DELTA,     /* signals: +1 or -1 where x has moved by `threshold` since the last spike */
    GLIA_CODE_COUNT
} glia_code_kind;
/* "binary", "poisson", ...; NULL: there is none. */
GLIA_API const char *glia_code_name(glia_code_kind kind);

typedef struct glia_code {
    glia_code_kind kind;
    int64_t steps;
    double dt;        /* 0: 1 ms */
    double rate;      /* in Hz of x = 1, for rate codes; 0: 1000 / dt, a spike in every step. Above: an error */
    double decay;     /* of GLIA_CODE_RANK; 0: 0.9 */
    double threshold; /* of GLIA_CODE_DELTA; 0: 0.1 */
    uint64_t seed;
} glia_code;

/* x (n) in [0, 1] -> spikes (n, steps). GLIA_CODE_DELTA: x (n, steps), any finite values. */
GLIA_API glia_status glia_encode(const glia_code *code, const double *x, int64_t n, int8_t *spikes, glia_error *error);
/* Back: the estimate of x from spikes; of a signal that begins at 0 for GLIA_CODE_DELTA. */
GLIA_API glia_status glia_decode(const glia_code *code, const int8_t *spikes, int64_t n, double *x, glia_error *error);
/* How far an estimate may be from x: of random codes its standard deviation, of others the largest error. NaN for
 * GLIA_CODE_RANK, which keeps only the order. */
GLIA_API double glia_code_error(const glia_code *code, double x);

/* ==== 3. surrogate gradients ================================================================ */
/* Layers over (N, T, ...): samples, steps, features. Products are computed for all steps at once, and a loop over time
 * moves the membranes, so the elementwise work of a step is one fused group. The loop keeps membranes (and synaptic
 * currents, where there are any) of all steps, 4 bytes each, and recomputes the rest in the gradient:
 * glia_program_inspect() states the memory of a step. */

/* The derivative that a spike pretends to have at u = membrane - threshold (Neftci et al. 2019); k is the slope. */
typedef enum glia_surrogate {
    GLIA_SURROGATE_ARCTANGENT,      /* k/2 / (1 + (pi/2 k u)^2), k 0: 2 (Fang et al. 2021) */
    GLIA_SURROGATE_FAST_SIGMOID,    /* 1 / (1 + k |u|)^2, k 0: 25 (Zenke and Ganguli 2018) */
    GLIA_SURROGATE_TRIANGLE,        /* max(0, 1 - k |u|), k 0: 1 (Bellec et al. 2018) */
    GLIA_SURROGATE_STRAIGHT_THROUGH, /* 1 (Bengio et al. 2013) */
    GLIA_SURROGATE_COUNT
} glia_surrogate;

/* 1 where u > 0, else 0, with this derivative. */
GLIA_API glia_tensor glia_spike(glia_tensor u, glia_surrogate surrogate, double slope);

typedef struct glia_spiking_opts {
    double beta;         /* what the membrane keeps in a step, exp(-dt / tau) in [0, 1]; 0: 0.9; GLIA_ZERO: nothing */
    double alpha;        /* what a synaptic current keeps; 0: there is none, the input is the current */
    double threshold;    /* 0: 1 */
    bool to_zero;        /* a spike resets the membrane to 0; else it subtracts the threshold */
    bool silent;         /* a read-out: no spikes and no reset; the result is the membrane */
    double adapt, rho;   /* Bellec et al. 2018: the threshold is raised by adapt a, a = rho a + spike; 0: none, 0.97 */
    glia_surrogate surrogate;
    double slope;        /* 0: the surrogate's own */
    int64_t steps;       /* the input (N, ...) is the same in each of these steps; 0: it has steps, (N, T, ...) */
    bool recurrent;      /* dense layers: spikes of a step also enter the next, by NAME/recurrent_kernel */
    glia_tensor *membrane; /* set to the membranes of all steps, unless NULL */
} glia_spiking_opts;

/* Leaky integrate-and-fire units: current -> spikes (N, T, ...). As in snnTorch (reset_delay):
 *     i = alpha i + current     u' = beta u + i - (reset of the spike before)     spike = u' > threshold
 * The reset has no gradient. */
GLIA_API glia_tensor glia_lif(glia_tensor current, glia_spiking_opts opts);
/* A dense layer or a convolution and its units. x (N, T, F) or (N, T, C, H, W); with opts.steps without T. */
GLIA_API glia_tensor glia_spiking_dense(glia_tensor x, const char *name, glia_dense_opts dense,
                                        glia_spiking_opts opts);
GLIA_API glia_tensor glia_spiking_conv2d(glia_tensor x, const char *name, glia_conv_opts conv, glia_spiking_opts opts);
/* (N, T, ...) -> (T N, ...), where any layer can be applied to all steps, and back. */
GLIA_API glia_tensor glia_fold_steps(glia_tensor x);
GLIA_API glia_tensor glia_unfold_steps(glia_tensor x, int64_t steps);

/* Codes in the graph, x (N, ...) in [0, 1] -> (N, T, ...). rate: Bernoulli, new in each run; latency: one spike in step
 * (1 - x) (steps - 1), none where x = 0. */
GLIA_API glia_tensor glia_spikes_by_rate(glia_tensor x, int64_t steps);
GLIA_API glia_tensor glia_spikes_by_latency(glia_tensor x, int64_t steps);

/* Losses of an output layer, scalars. */
typedef enum glia_spike_loss {
    GLIA_SPIKE_LOSS_COUNT,    /* cross-entropy of the numbers of spikes (snnTorch's ce_count_loss) */
    GLIA_SPIKE_LOSS_RATE,     /* the mean over steps of the cross-entropy of the step's spikes (ce_rate_loss) */
    GLIA_SPIKE_LOSS_MEMBRANE, /* cross-entropy of the largest membranes, given membranes (ce_max_membrane_loss) */
    GLIA_SPIKE_LOSS_LATENCY,  /* cross-entropy of minus the step of the first spike: the label should be first */
    GLIA_SPIKE_LOSS_KINDS
} glia_spike_loss;
/* spikes (or membranes) (N, T, classes), labels i32 (N). */
GLIA_API glia_tensor glia_spike_loss_of(glia_tensor spikes, glia_tensor labels, glia_spike_loss loss);
/* The step of each unit's first spike, (N, T, ...) -> (N, ...), T where there is none; it has a gradient in the spikes
 * up to the first. */
GLIA_API glia_tensor glia_first_spike(glia_tensor spikes);
/* A penalty on spikes: the mean over units of max(0, spikes per sample - most)^2. */
GLIA_API glia_tensor glia_spike_penalty(glia_tensor spikes, double most);

#ifdef __cplusplus
}
#endif

#endif
