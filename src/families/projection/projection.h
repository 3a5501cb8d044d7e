/* projection.h - internal functions of the projections. */
#ifndef GLIA_SRC_FAMILIES_PROJECTION_PROJECTION_H
#define GLIA_SRC_FAMILIES_PROJECTION_PROJECTION_H

#include "data/formats/formats.h"
#include "glia/projection.h"

/* p (n, n), symmetric, sums to 1: the affinities of points, with neighbours by the perplexity. */
glia_status glia_tsne_affinities(glia_pool *pool, const float *x, int64_t n, int64_t size, double perplexity, double *p,
                                 glia_error *error);
/* The gradient (n, 2) of the divergence of q(y) from `exaggeration` times p; scratch (5 n). */
void glia_tsne_gradient(glia_pool *pool, const double *p, int64_t n, double exaggeration, const double *y,
                        double *gradient, double *scratch);
/* The same from the sums of each point: attraction, repulsion, and 1 / (1 + d^2), whose total is `all`. */
void glia_tsne_join(const double *sums, int64_t n, double all, double exaggeration, double *gradient);
/* Fills row (n) with the distribution over points at these squared distances whose entropy is the logarithm of the
 * perplexity. `self` is excluded; -1: none is. */
void glia_tsne_spread(const double *distance, int64_t n, int64_t self, double perplexity, double *row);
/* The Kullback-Leibler divergence of q(y) from p; scratch (5 n). */
double glia_tsne_divergence(glia_pool *pool, const double *p, int64_t n, const double *y, double *scratch);

/* Sparse p, for neighbours only: row i is columns[starts[i] ... starts[i + 1] - 1], ascending. */
typedef struct glia_neighbours {
    int64_t *starts;
    int32_t *columns;
    double *p;
} glia_neighbours;
glia_status glia_tsne_neighbours(glia_pool *pool, const float *x, int64_t n, int64_t size, double perplexity,
                                 glia_neighbours *p, glia_error *error);
void glia_neighbours_free(glia_neighbours *p);

/* Memory for the cells of a quadtree, which each call below rebuilds. */
typedef struct glia_quadtree glia_quadtree;
glia_quadtree *glia_quadtree_create(int64_t points); /* NULL: out of memory */
void glia_quadtree_free(glia_quadtree *tree);
/* As the two above. A cell whose width is less than theta times its distance counts as one point; theta 0: none
 * does. */
void glia_tsne_tree_gradient(glia_pool *pool, const glia_neighbours *p, glia_quadtree *tree, double theta,
                             double exaggeration, const double *y, double *gradient, double *scratch);
double glia_tsne_tree_divergence(glia_pool *pool, const glia_neighbours *p, glia_quadtree *tree, double theta,
                                 const double *y, double *scratch);

#endif
