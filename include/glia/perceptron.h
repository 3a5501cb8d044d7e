/* perceptron.h - the McCulloch-Pitts unit (1943) and Rosenblatt's perceptron (1958).
 *
 * Neither uses a graph or a gradient. Nothing is allocated; the caller owns all arrays.
 */
#ifndef GLIA_PERCEPTRON_H
#define GLIA_PERCEPTRON_H

#include "glia/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== the McCulloch-Pitts unit ============================================================== */
/* "A logical calculus of the ideas immanent in nervous activity", assumptions 2 to 5: the unit fires (all or none) if
 * at least `threshold` excitatory synapses are active and no inhibitory one is (inhibition is absolute). It does not
 * learn. */

typedef struct glia_mp_unit {
    int inputs;
    int threshold;
    const int *synapses; /* by input: the number of excitatory ones, or -1: inhibitory; NULL: one excitatory each */
} glia_mp_unit;

/* inputs: one value for each input of the unit. */
GLIA_API bool glia_mp_fires(glia_mp_unit unit, const bool *inputs);

GLIA_API glia_mp_unit glia_mp_and(int inputs); /* threshold: all of them */
GLIA_API glia_mp_unit glia_mp_or(int inputs);  /* threshold 1 */
GLIA_API glia_mp_unit glia_mp_not(void);       /* one inhibitory input, threshold 0 */

/* ==== the perceptron ======================================================================== */
/* A unit with the output +1 where w x + b > 0, else -1, which learns from its errors: for a wrong (or undecided) sample
 * it adds rate * label * x to the weights and rate * label to the bias. If a plane separates the samples it finds one
 * after at most (R / margin)^2 errors (Novikoff 1962); otherwise it never converges (Minsky and Papert 1969). */

typedef struct glia_perceptron {
    int inputs;
    double *weights; /* (inputs) */
    double bias;
} glia_perceptron;

GLIA_API double glia_perceptron_score(const glia_perceptron *perceptron, const double *x); /* w x + b */
GLIA_API int glia_perceptron_predict(const glia_perceptron *perceptron, const double *x);  /* 1 or -1 */

typedef struct glia_perceptron_opts {
    int64_t epochs;    /* at most; 0: 1000 */
    double rate;       /* 0: 1; from zero weights it only scales them */
    int64_t *mistakes; /* may be NULL: the number in each epoch; room for `epochs` */
} glia_perceptron_opts;

typedef struct glia_perceptron_result {
    bool converged;   /* the last epoch had no errors */
    int64_t epochs;   /* that were run */
    int64_t mistakes; /* in all epochs: the number of corrections */
} glia_perceptron_result;

/* Trains on n samples x (n, inputs) with labels -1 or 1 in their order until an epoch has no errors. Starts from the
 * current weights. Not converging is not an error status. */
GLIA_API glia_status glia_perceptron_train(glia_perceptron *perceptron, const double *x, const int *labels, int64_t n,
                                           glia_perceptron_opts opts, glia_perceptron_result *result,
                                           glia_error *error);

/* Novikoff's bound (R / margin)^2 on the number of errors from zero weights, given any perceptron that separates the
 * samples: R is the largest norm of (x, 1), margin the smallest distance to its plane there. GLIA_E_ARGUMENT if it does
 * not separate them. */
GLIA_API glia_status glia_perceptron_bound(const glia_perceptron *separator, const double *x, const int *labels,
                                           int64_t n, double *bound, glia_error *error);

#ifdef __cplusplus
}
#endif
#endif
