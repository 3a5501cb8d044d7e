/* generative.h - what the files of diffusion share: the schedule, and a sampler's step. */
#ifndef GLIA_SRC_FAMILIES_GENERATIVE_GENERATIVE_H
#define GLIA_SRC_FAMILIES_GENERATIVE_GENERATIVE_H

#include "base/base.h"
#include "glia/generative.h"

struct glia_diffusion {
    glia_diffusion_opts opts; /* resolved */
    double *beta, *signal;    /* (steps) */
};

/* Logarithms of the variances between which step t may learn its own. */
typedef struct glia_diffusion_variances {
    double least, most;
} glia_diffusion_variances;
glia_diffusion_variances glia_diffusion_variances_of(const glia_diffusion *diffusion, int t);
/* A net's output for x0 noised by a drawn step, and what it should have predicted. */
typedef struct glia_diffusion_trial {
    glia_tensor step, xt, target, output;
} glia_diffusion_trial;
glia_diffusion_trial glia_diffusion_try(const glia_diffusion *diffusion, glia_tensor output, glia_tensor x,
                                        glia_tensor t, glia_tensor x0);

/* Half 0 of the channels of such a net's output, the prediction, or half 1, v. */
glia_tensor glia_diffusion_half(glia_tensor output, int index);

/* x_before = x0 estimate + x x_t + noise N(0, 1). */
typedef struct glia_diffusion_move {
    double estimate, x, noise;
} glia_diffusion_move;

/* A step from the signal share A (alpha-bar) to the larger one `before`. */
glia_diffusion_move glia_diffusion_move_of(const glia_diffusion_sample_opts *opts, double signal, double before);

#endif
