/* projection.h - inside the room of projections. */
#ifndef GLIA_PROJECTIONS_H
#define GLIA_PROJECTIONS_H

#include "formats/formats.h"
#include "glia/projection.h"

/* Eigenvalues and -vectors of a symmetric matrix a (m, m), the largest value first; row i of `vectors` is the unit
 * vector of values[i]. `a` is lost; work (m). false: no convergence, which does not happen to finite matrices. */
bool glia_symmetric_eigen(double *a, int64_t m, double *values, double *vectors, double *work);

/* p (n, n), symmetric, sums to 1: how near points are to each other, after their neighbours' perplexity. */
glia_status glia_tsne_affinities(glia_pool *pool, const float *x, int64_t n, int64_t size, double perplexity, double *p,
                                 glia_error *error);
/* The gradient (n, 2) of the divergence of q(y) from p times `exaggeration`; scratch (5 n). */
void glia_tsne_gradient(glia_pool *pool, const double *p, int64_t n, double exaggeration, const double *y,
                        double *gradient, double *scratch);
/* Kullback and Leibler's divergence of q(y) from p; scratch (5 n). */
double glia_tsne_divergence(glia_pool *pool, const double *p, int64_t n, const double *y, double *scratch);

#endif
