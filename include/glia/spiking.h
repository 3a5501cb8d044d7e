/* spiking.h - spiking neurons, codes in time, and learning by gradients and by spike times.
 *
 *   1  neurons: one cell over time, by exact integration where the equation allows it
 *   2  codes: values as spikes and back
 *   3  layers that learn by surrogate gradients
 *   4  networks by events, with plasticity
 *   5  associative memories, maps and components by local rules
 *   6  learning exact spike times
 *   7  reservoirs: echo state nets and liquid state machines
 *   8  recordings of event cameras: N-MNIST, AEDAT
 *
 * Units of cells: milliseconds, millivolts, nanoamperes, megaohms; rates are in hertz. Spikes are bytes, 1 or 0; a
 * delta code also has -1. Functions here have no global state and may be called by any number of threads.
 */
#ifndef GLIA_SPIKING_H
#define GLIA_SPIKING_H

#include "glia/data.h"
#include "glia/layers.h"
#include "glia/model.h"

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
 * the middle of a step, an error of O(dt^2). Izhikevich's takes Euler steps, v before u, as in the paper.
 * GLIA_E_ARGUMENT names what is wrong. */
GLIA_API glia_status glia_neuron_simulate(const glia_neuron *neuron, glia_neuron_run *run, glia_error *error);

/* The rate in Hz at a constant current: closed form for GLIA_LIF with a hard reset, the root of one equation for
 * GLIA_LIF_ADAPTIVE; NaN for others. */
GLIA_API double glia_neuron_rate(const glia_neuron *neuron, double current);

/* Izhikevich 2004, figure 1: the twenty patterns of cells, A "tonic spiking" to T "inhibition-induced bursting", with
 * the published parameters. NULL: there is none. */
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

/* ---- conversion of trained nets ---------------------------------------------------------------------- */
/* A net of layers with relu, one after the other, becomes integrate-and-fire units with the same weights (Diehl et al.
 * 2015, Rueckauer et al. 2017): units of a layer share a threshold, a percentile of the layer's activations on data,
 * and a spike carries the threshold's value. Rates become activations as steps go on. The input is a constant current,
 * the result what reaches the output on average. Max pooling lets the unit through that has fired most. */
typedef struct glia_converted glia_converted;
typedef struct glia_convert_opts {
    double percentile; /* 0: 99.9; 100: the maximum */
    int64_t samples;   /* of the data, by which thresholds are balanced; 0: 256 */
    int threads;       /* 0: all cores */
} glia_convert_opts;
/* The model must outlive it. NULL: see error. */
GLIA_API glia_converted *glia_convert_to_spiking(glia_model *model, const glia_dataset *data, glia_convert_opts opts,
                                                 glia_error *error);
GLIA_API void glia_converted_free(glia_converted *converted);
/* n samples x for `steps` steps: outputs (n, ...) like the model's; *spikes (may be NULL): of all units. One thread at
 * a time. */
GLIA_API glia_status glia_converted_run(glia_converted *converted, const float *x, int64_t n, int64_t steps,
                                        float *outputs, int64_t *spikes, glia_error *error);

/* ==== 4. networks by events ================================================================= */
/* Cells that integrate and fire, and synapses with delays. Nothing is computed between events: a membrane, a trace, an
 * eligibility is moved by its exact decay when an event needs it, so time costs nothing, and a run costs one delivery
 * for each spike and synapse. */

typedef enum glia_stdp_rule {
    GLIA_STDP_NONE,
    GLIA_STDP_PAIR,   /* Song, Miller and Abbott 2000: w -= a_minus y at a presynaptic spike, += a_plus x at a
                       * postsynaptic one */
    GLIA_STDP_TRIPLET /* Pfister and Gerstner 2006: w -= y (a_minus + a3_minus x2), += x (a_plus + a3_plus y2) */
} glia_stdp_rule;

/* How a synapse learns. A field left 0 has the default in its comment; one that the rule does not use must be 0. */
typedef struct glia_stdp {
    glia_stdp_rule rule;
    double a_plus, a_minus;     /* 0: 0.01, 0.0105; GLIA_ZERO: none */
    double a3_plus, a3_minus;   /* 0: 0.0062, 0.00023, of triplets */
    double tau_plus, tau_minus; /* of the traces x and y; 0: 20, 20 ms */
    double tau_x, tau_y;        /* of the slow traces x2 and y2; 0: 101, 125 ms */
    bool nearest;               /* a spike sets its trace to 1; else it adds 1 (all pairs count) */
    double least, most;         /* limits of the weight; 0: 0 and 1 */
    double power;               /* Gütig et al. 2003: growth times ((most - w) / range)^power, decrease times
                                 * ((w - least) / range)^power; 0: additive, 1: multiplicative */
    double tau_eligibility;     /* reward-modulated (Izhikevich 2007): changes go into an eligibility with this decay,
                                 * and glia_spike_net_reward() turns it into weight; 0: none */
} glia_stdp;

typedef struct glia_spike_cell {
    double tau;        /* 0: 20 ms */
    double threshold;  /* above rest, which is 0; 0: 1 */
    double refractory; /* ms; 0: none */
    double theta_plus, tau_theta; /* homeostasis: each spike raises the threshold, which decays; 0: none, 1e7 ms */
} glia_spike_cell;

typedef struct glia_spike_event {
    double time; /* ms */
    int64_t cell;
} glia_spike_event;

typedef struct glia_spike_net glia_spike_net; /* one thread at a time */
/* NULL: see error. */
GLIA_API glia_spike_net *glia_spike_net_create(int64_t cells, glia_spike_cell cell, glia_error *error);
GLIA_API void glia_spike_net_free(glia_spike_net *net);
/* A synapse: `delay` ms after a spike of `from` the membrane of `to` moves by the weight. Before the first run. */
GLIA_API glia_status glia_spike_net_connect(glia_spike_net *net, int64_t from, int64_t to, double weight, double delay,
                                            const glia_stdp *stdp, glia_error *error);
/* Runs to the time `until`. events (n), in order of time and not before the end of the last run: cells that are made to
 * fire. `spikes` (may be NULL) gets the first `capacity` spikes of all cells in order of time, *n_spikes (may be NULL)
 * their number. */
GLIA_API glia_status glia_spike_net_run(glia_spike_net *net, const glia_spike_event *events, int64_t n, double until,
                                        glia_spike_event *spikes, int64_t capacity, int64_t *n_spikes,
                                        glia_error *error);
/* Reward (or punishment) now: each synapse with an eligibility gains reward times it. */
GLIA_API glia_status glia_spike_net_reward(glia_spike_net *net, double reward, glia_error *error);
/* The weights of all synapses, in order of connection; returns their number and fills at most `capacity`. */
GLIA_API int64_t glia_spike_net_weights(const glia_spike_net *net, double *weights, int64_t capacity);
typedef struct glia_spike_work {
    int64_t spikes;     /* of all cells */
    int64_t deliveries; /* synaptic operations */
} glia_spike_work;
GLIA_API glia_spike_work glia_spike_net_work(const glia_spike_net *net); /* since it was created */

/* ==== 5. memories, maps, components ========================================================= */

/* Hopfield 1982: n units of -1 or 1. Stores p patterns (p, n) by Hebb's rule, weights (n, n) = sum x x^T / n without a
 * diagonal; adds to what is stored. Random patterns are recalled up to p = 0.138 n (Amit et al. 1985). */
GLIA_API glia_status glia_hopfield_store(float *weights, int64_t n, const float *patterns, int64_t p,
                                         glia_error *error);
typedef struct glia_hopfield_opts {
    int64_t sweeps; /* at most, over all units in random order; 0: 100 */
    uint64_t seed;  /* of the order */
} glia_hopfield_opts;
/* Changes `state` (n) unit by unit until nothing moves; returns the number of sweeps, the last one included, -1: see
 * error. The energy never rises. */
GLIA_API int64_t glia_hopfield_recall(const float *weights, int64_t n, glia_hopfield_opts opts, float *state,
                                      glia_error *error);
GLIA_API double glia_hopfield_energy(const float *weights, int64_t n, const float *state); /* -x^T W x / 2 */

/* Ramsauer et al. 2021: continuous states, energy -log sum exp(beta p x) / beta + x x / 2 + constants, update
 * x = P^T softmax(beta P x), which is attention; the number of patterns that can be stored is exponential in n. */
GLIA_API glia_status glia_modern_hopfield_recall(const float *patterns, int64_t p, int64_t n, double beta,
                                                 int64_t steps, float *state, glia_error *error);
GLIA_API double glia_modern_hopfield_energy(const float *patterns, int64_t p, int64_t n, double beta,
                                            const float *state);

/* Kohonen 1982: a map of rows x columns units with weights (rows, columns, features). */
typedef struct glia_som {
    int64_t rows, columns, features;
    float *weights;
} glia_som;
typedef struct glia_som_opts {
    double rate, sigma; /* at first; both fall as 1 / (1 + 2 t / iterations); 0: 0.5 and 1 */
    int64_t iterations; /* of the whole training */
} glia_som_opts;
/* Iteration t: the unit nearest to x and its neighbours move towards x by rate exp(-distance^2 / (2 sigma^2)), as
 * MiniSom does by default. */
GLIA_API glia_status glia_som_step(glia_som *som, const float *x, int64_t t, glia_som_opts opts, glia_error *error);
/* The unit nearest to x, row columns + column; `second` (may be NULL) gets the next one. -1: wrong arguments. */
GLIA_API int64_t glia_som_winner(const glia_som *som, const float *x, int64_t *second);
/* Over n samples x (n, features): the mean distance to the nearest unit; the fraction whose two nearest units are not
 * neighbours (diagonals count as neighbours). NaN: wrong arguments. */
GLIA_API double glia_som_quantization_error(const glia_som *som, const float *x, int64_t n);
GLIA_API double glia_som_topographic_error(const glia_som *som, const float *x, int64_t n);

typedef enum glia_hebbian_rule {
    GLIA_HEBB,  /* Hebb 1949: w += rate y x, without a limit */
    GLIA_OJA,   /* Oja 1982: w += rate y (x - y w), each unit for itself: all become the first component */
    GLIA_SANGER /* Sanger 1989: w_k += rate y_k (x - sum over l <= k of y_l w_l): the first k components in order */
} glia_hebbian_rule;
/* One sample x (features), which should have mean 0, and weights (units, features): y = W x, then the rule. */
GLIA_API glia_status glia_hebbian_step(glia_hebbian_rule rule, double *weights, int64_t units, int64_t features,
                                       const double *x, double rate, glia_error *error);

/* ==== 6. exact times ======================================================================== */

/* One cell whose membrane is a sum of kernels K(t) = v0 (exp(-t / tau) - exp(-t / tau_s)) with the maximum 1, one for
 * each input spike, times the input's weight; a spike of its own subtracts threshold exp(-t / tau). Maxima and
 * crossings between input spikes are computed, not searched in steps. */
typedef struct glia_kernel_cell {
    int64_t inputs;
    double *weights;   /* (inputs) */
    double tau, tau_s; /* 0: 15, 3.75 ms */
    double threshold;  /* 0: 1 */
} glia_kernel_cell;
/* The times of its spikes up to `until`, given spikes of its inputs in order of time (cell: the input). Fills at most
 * `capacity`, *n_spikes gets their number. *peak (may be NULL): the time of the highest membrane without resets, and
 * *height its value. */
GLIA_API glia_status glia_kernel_cell_run(const glia_kernel_cell *cell, const glia_spike_event *events, int64_t n,
                                          double until, double *spikes, int64_t capacity, int64_t *n_spikes,
                                          double *peak, double *height, glia_error *error);
/* The tempotron (Gütig and Sompolinsky 2006): the cell should fire at least once, or not at all. On an error each
 * weight changes by rate K(peak - t), up or down, plus `momentum` times its change at the error before. *wrong: whether
 * there was one. The published load, 3 patterns an input, needs the momentum: examples/capacity.c. */
typedef struct glia_tempotron_opts {
    double rate;
    double momentum; /* 0.99 in the paper; 0: none */
    double *change;  /* (inputs), zeros at first: the last change of each weight; needed with a momentum, else NULL */
} glia_tempotron_opts;
GLIA_API glia_status glia_tempotron_step(glia_kernel_cell *cell, const glia_spike_event *events, int64_t n,
                                         double until, bool fires, glia_tempotron_opts opts, bool *wrong,
                                         glia_error *error);
/* ReSuMe (Ponulak and Kasinski 2010): at each wanted time weights grow by rate (0.05 + the input's trace of 10 ms), at
 * each spike of the cell they fall by as much. *distance: the mean of |wanted - nearest spike| over wanted times,
 * `until` where the numbers of spikes differ. Wanted times are in order. */
GLIA_API glia_status glia_resume_step(glia_kernel_cell *cell, const glia_spike_event *events, int64_t n, double until,
                                      const double *wanted, int64_t n_wanted, double rate, double *distance,
                                      glia_error *error);
/* E-learning, the rule of the chronotron (Florian 2012). The distance from the cell's spikes t to the wanted ones w is
 * the least price of turning one train into the other: 1 for a spike inserted or removed, ((t - w) / tau_q)^2 / 2 for
 * one moved (Victor and Purpura 1996). With K(t), the kernels of an input's spikes before t, its weight grows by
 * rate (K(w) of inserted spikes - K(t) of removed ones + shift / tau_q^2 (t - w) K(t) of moved ones).
 * *distance: before the step. */
typedef struct glia_chronotron_opts {
    double rate;
    double tau_q; /* 0: 10 ms */
    double shift; /* gamma_r of the paper; 0: tau_q */
} glia_chronotron_opts;
GLIA_API glia_status glia_chronotron_step(glia_kernel_cell *cell, const glia_spike_event *events, int64_t n,
                                          double until, const double *wanted, int64_t n_wanted,
                                          glia_chronotron_opts opts, double *distance, glia_error *error);

/* SpikeProp (Bohte, Kok and La Poutre 2002): layers of cells that fire once; each connection has `delays` synapses with
 * delays of 1, 2, ... ms and weights of their own, a spike adds w (s / tau) exp(1 - s / tau). Weights: hidden (hidden,
 * inputs, delays), then output (outputs, hidden, delays). The last `inhibitory` hidden cells count as negative. */
typedef struct glia_spikeprop {
    int inputs, hidden, outputs, delays, inhibitory;
    double tau, threshold; /* 0: 7 ms, 50 */
    double horizon;        /* a cell that has not fired by then fires there; 0: 40 ms */
    double *weights;
} glia_spikeprop;
GLIA_API int64_t glia_spikeprop_weights(const glia_spikeprop *net); /* their number; 0: no such net */
/* Weights with which cells fire: uniform in [0.5, 1.5) times what a cell needs if all inputs fire at once. */
GLIA_API glia_status glia_spikeprop_init(glia_spikeprop *net, uint64_t seed, glia_error *error);
/* Times of the inputs (inputs) -> times of the outputs (outputs), in ms. */
GLIA_API glia_status glia_spikeprop_run(const glia_spikeprop *net, const double *input, double *output,
                                        glia_error *error);
/* One step of gradient descent on sum (output - target)^2 / 2; *loss (may be NULL): its value before. `gradient` (may
 * be NULL) gets the gradient (glia_spikeprop_weights()). */
GLIA_API glia_status glia_spikeprop_step(glia_spikeprop *net, const double *input, const double *target, double rate,
                                         double *loss, double *gradient, glia_error *error);

/* ==== 7. reservoirs ========================================================================= */
/* A random recurrent net that does not learn; only a linear read-out of its states does. */

typedef struct glia_reservoir_opts {
    int64_t inputs, units;
    bool spiking;    /* Maass, Natschläger and Markram 2002: leaky integrate-and-fire units, a fifth of them inhibitory,
                      * whose states are traces of their spikes; else Jaeger 2001: x = (1 - leak) x + leak tanh(...) */
    double radius;   /* spectral radius of the recurrent weights; 0: 0.9. Of spiking units a factor on their weights */
    double density;  /* part of the connections that exist; 0: 0.1 */
    double scale;    /* of the input weights, uniform in [-scale, scale]; 0: 1 */
    double leak;     /* 0: 1; of spiking units what a membrane loses in a step, 0: 0.05 */
    double trace;    /* of spiking units: what a trace keeps in a step; 0: 0.97 */
    uint64_t seed;
} glia_reservoir_opts;
typedef struct glia_reservoir glia_reservoir; /* any number of threads may run it */
/* NULL: see error. */
GLIA_API glia_reservoir *glia_reservoir_create(glia_reservoir_opts opts, glia_error *error);
GLIA_API void glia_reservoir_free(glia_reservoir *reservoir);
/* From rest: x (steps, inputs) -> states (steps, units). *spikes (may be NULL): all spikes. */
GLIA_API glia_status glia_reservoir_run(const glia_reservoir *reservoir, const float *x, int64_t steps, float *states,
                                        int64_t *spikes, glia_error *error);
/* The read-out: w (outputs, features + 1), the last column a bias that is not penalised, which minimises
 * sum |w (x, 1) - y|^2 + ridge |w|^2 over n samples x (n, features), y (n, outputs). */
GLIA_API glia_status glia_ridge_fit(const float *x, const float *y, int64_t n, int64_t features, int64_t outputs,
                                    double ridge, float *w, glia_error *error);

/* ==== 8. event cameras ====================================================================== */

typedef struct glia_camera_event {
    int64_t time; /* microseconds */
    int32_t x, y;
    int32_t polarity; /* 1: brighter, 0: darker */
} glia_camera_event;
/* Reads a recording. By the file's beginning or ending: "#!AER-DAT2.0" or 1.0 (a DVS128's 32-bit addresses and times,
 * the first bit of an address the polarity), "#!AER-DAT3.1" (polarity packets), else N-MNIST's and N-Caltech101's .bin
 * of 5-byte events (Orchard et al. 2015). *events: free() it. Times are as in the file; GLIA_E_FORMAT names the offset
 * of an event that is incomplete or, in AEDAT 3.1, out of its packet. */
GLIA_API glia_status glia_camera_load(const char *path, glia_camera_event **events, int64_t *n, glia_error *error);
/* Events as frames (steps, 2, height, width): the number of events of each polarity in each of `steps` equal parts of
 * the recording. GLIA_E_ARGUMENT: an event outside the frame, or times out of order. */
GLIA_API glia_status glia_camera_frames(const glia_camera_event *events, int64_t n, int64_t steps, int32_t height,
                                        int32_t width, float *frames, glia_error *error);

#ifdef __cplusplus
}
#endif

#endif
