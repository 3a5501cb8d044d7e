/* perceptron.h - where it began: the McCulloch-Pitts unit (1943) and Rosenblatt's perceptron (1958).
 *
 * Neither needs a graph or a gradient. Nothing here allocates; the caller owns all arrays.
 */
#ifndef GLIA_PERCEPTRON_H
#define GLIA_PERCEPTRON_H

#include "glia/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== the McCulloch-Pitts unit ============================================================== */
/* "A logical calculus of the ideas immanent in nervous activity", assumptions 2 to 5: all or none; it fires when as
 * many excitatory synapses as its threshold are active and no inhibitory one is (inhibition is absolute). Nothing is
 * learned. */

typedef struct glia_mp_unit {
    int inputs;
    int threshold;
    const int *synapses; /* of each input: how many excitatory ones, or -1: inhibitory; NULL: one excitatory each */
} glia_mp_unit;

/* inputs: one for each of the unit's. */
GLIA_API bool glia_mp_fires(glia_mp_unit unit, const bool *inputs);

GLIA_API glia_mp_unit glia_mp_and(int inputs); /* threshold: all of them */
GLIA_API glia_mp_unit glia_mp_or(int inputs);  /* threshold 1 */
GLIA_API glia_mp_unit glia_mp_not(void);       /* one inhibitory input, threshold 0 */

/* ==== the perceptron ======================================================================== */
/* A unit that answers +1 where w x + b > 0, else -1, and learns from its mistakes: for a wrong (or undecided) sample
 * it adds rate * label * x to the weights and rate * label to the bias. If a plane separates the samples it finds one
 * after at most (R / margin)^2 mistakes (Novikoff 1962); otherwise it never settles (Minsky and Papert 1969). */

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
    int64_t *mistakes; /* may be NULL: how many in each epoch; room for `epochs` */
} glia_perceptron_opts;

typedef struct glia_perceptron_result {
    bool converged;   /* the last epoch had no mistake */
    int64_t epochs;   /* that were run */
    int64_t mistakes; /* in all epochs: the number of corrections */
} glia_perceptron_result;

/* Goes through n samples x (n, inputs) with labels -1 or 1 in their order until an epoch passes without a mistake.
 * Starts from the weights that are there. Not converging is no error. */
GLIA_API glia_status glia_perceptron_train(glia_perceptron *perceptron, const double *x, const int *labels, int64_t n,
                                           glia_perceptron_opts opts, glia_perceptron_result *result,
                                           glia_error *error);

/* Novikoff's bound (R / margin)^2 on the mistakes from zero weights, given any perceptron that separates the samples: R
 * is the longest (x, 1), margin the least distance to its plane there. GLIA_E_ARGUMENT if it does not separate them. */
GLIA_API glia_status glia_perceptron_bound(const glia_perceptron *separator, const double *x, const int *labels,
                                           int64_t n, double *bound, glia_error *error);

#ifdef __cplusplus
}
#endif
#endif
