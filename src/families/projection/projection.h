/* projection.h - inside the room of projections. */
#ifndef GLIA_SRC_FAMILIES_PROJECTION_PROJECTION_H
#define GLIA_SRC_FAMILIES_PROJECTION_PROJECTION_H

#include "data/formats/formats.h"
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
/* The same from what was summed for each point: attraction, repulsion, and 1 / (1 + d^2), whose sum is `all`. */
void glia_tsne_join(const double *sums, int64_t n, double all, double exaggeration, double *gradient);
/* Into row (n): the distribution over points at these squared distances whose entropy is the logarithm of the
 * perplexity; `self` is none of them, -1: all are. */
void glia_tsne_spread(const double *distance, int64_t n, int64_t self, double perplexity, double *row);
/* Kullback and Leibler's divergence of q(y) from p; scratch (5 n). */
double glia_tsne_divergence(glia_pool *pool, const double *p, int64_t n, const double *y, double *scratch);

/* p of those pairs alone that are near: row i is columns[starts[i] ... starts[i + 1] - 1], ascending. */
typedef struct glia_neighbours {
    int64_t *starts;
    int32_t *columns;
    double *p;
} glia_neighbours;
glia_status glia_tsne_neighbours(glia_pool *pool, const float *x, int64_t n, int64_t size, double perplexity,
                                 glia_neighbours *p, glia_error *error);
void glia_neighbours_free(glia_neighbours *p);

/* Room for cells of places, which each call below makes anew. */
typedef struct glia_quadtree glia_quadtree;
glia_quadtree *glia_quadtree_create(int64_t points); /* NULL: no memory */
void glia_quadtree_free(glia_quadtree *tree);
/* As the two above. A cell whose width is less than theta times its distance counts as one place; theta 0: none. */
void glia_tsne_tree_gradient(glia_pool *pool, const glia_neighbours *p, glia_quadtree *tree, double theta,
                             double exaggeration, const double *y, double *gradient, double *scratch);
double glia_tsne_tree_divergence(glia_pool *pool, const glia_neighbours *p, glia_quadtree *tree, double theta,
                                 const double *y, double *scratch);

#endif
