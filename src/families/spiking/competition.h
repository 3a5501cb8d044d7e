/* competition.h - the network of Diehl and Cook 2015, for the method "stdp". */
#ifndef GLIA_SRC_FAMILIES_SPIKING_COMPETITION_H
#define GLIA_SRC_FAMILIES_SPIKING_COMPETITION_H

#include "base/base.h"

enum { GLIA_COMPETITION_LANES = 8 }; /* cells that are moved at once */

/* What does not change while a sample is shown. The fields are in the paper's units: ms, mV. */
typedef struct glia_competition_rules {
    double dt, shown, rest; /* 0.5, 350, 150 */
    double rate;            /* Hz of an input of 1 at intensity 1 */
    int64_t least;          /* spikes, below which a sample is shown again, brighter */
    double intensity;       /* at first */
    double rate_pre, rate_post, tau_pre, tau_post1, tau_post2;
    double norm; /* of each cell's weights, their sum */
    double theta_plus, tau_theta;
    double excitation, inhibition;
    double loss;   /* part of the input spikes that are lost on the way */
    double jitter; /* deviation of the input spikes' times, ms */
} glia_competition_rules;

/* weights (inputs, n), theta (n): memory of the caller. */
typedef struct glia_competition {
    glia_competition_rules rules;
    int64_t inputs, n;
    float *weights, *theta;
} glia_competition;

/* Memory for one presentation at a time. */
typedef struct glia_competition_run glia_competition_run;
glia_competition_run *glia_competition_run_create(const glia_competition *net); /* NULL: out of memory */
void glia_competition_run_free(glia_competition_run *run);

/* Calls `watch` at each spike of a cell. */
void glia_competition_watch(glia_competition_run *run, void (*watch)(void *context, int64_t step, int64_t cell),
                            void *context);

/* What happened while one sample was shown. */
typedef struct glia_competition_told {
    int64_t input_spikes, spikes; /* of the inputs, of the cells */
    int64_t operations;           /* synaptic: additions of a weight to a conductance, and changes of weights */
    int64_t shown;                /* times that it was shown */
    double milliseconds;          /* simulated */
    bool failed;                  /* out of memory; nothing was learned */
} glia_competition_told;

/* Shows x (inputs) in [0, 1], with random numbers by seed and stream; counts (n) become the spikes of the cells. With
 * `learns` weights and theta change: one call at a time. Otherwise calls with runs of their own may run in parallel. */
glia_competition_told glia_competition_show(glia_competition *net, glia_competition_run *run, const float *x,
                                            uint64_t seed, uint64_t stream, bool learns, int32_t *counts);
/* Scales the weights of every cell to the sum `norm`. */
void glia_competition_normalize(glia_competition *net);

#endif
