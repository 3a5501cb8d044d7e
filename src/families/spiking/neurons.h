/* neurons.h - the record of a kind of neuron, and what their pages share. */
#ifndef GLIA_SRC_FAMILIES_SPIKING_NEURONS_H
#define GLIA_SRC_FAMILIES_SPIKING_NEURONS_H

#include "base/base.h"
#include "glia/spiking.h"

/* A cell with its defaults filled in, and where it is. */
typedef struct glia_cell_state {
    glia_neuron p;
    double v, u; /* u: adaptation w, Izhikevich's recovery */
    double ge, gi;
    double held;  /* ms of refractory time left */
    bool pending; /* a delayed reset is due */
    glia_rng rng;
} glia_cell_state;

typedef struct glia_neuron_model {
    glia_neuron_info about;
    /* NULL, or what is wrong with a step of dt. */
    const char *(*refuse)(const glia_neuron *p, double dt);
    /* Moves by at most `left` ms with this current. Returns the time moved; *fired: a spike at its end, v still as it
     * was just before. */
    double (*advance)(glia_cell_state *c, double current, double left, bool *fired);
    /* Whether spikes have times inside a step. */
    bool exact;
} glia_neuron_model;

extern const glia_neuron_model glia_model_lif, glia_model_conductance, glia_model_adaptive, glia_model_izhikevich,
    glia_model_stochastic;

/* The time at which v, on its way from v to `target` with time constant tau, is at `level`; INFINITY: never. */
double glia_crossing(double v, double target, double tau, double level);

#endif
