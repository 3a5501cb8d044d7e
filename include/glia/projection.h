/* projection.h - projection of points to two or three dimensions (PCA, t-SNE), and maps of them as SVG.
 *
 * Points are rows of floats (n, size): word vectors, features of a layer, anything. docs/word2vec.md plots words.
 */
#ifndef GLIA_PROJECTION_H
#define GLIA_PROJECTION_H

#include "glia/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Principal components (Pearson 1901, Hotelling 1933), exact: y (n, components) are the centred points along the
 * directions of largest variance. Optional results, if not NULL: axes (components, size), unit vectors whose largest
 * entry is positive; variance (components), of y's columns with n - 1. components <= n and size; n >= 2. */
typedef struct glia_pca_result {
    double *y, *axes, *variance;
} glia_pca_result;
GLIA_API glia_status glia_pca(const float *x, int64_t n, int64_t size, int components, glia_pca_result result,
                              glia_error *error);

typedef struct glia_tsne_opts {
    double perplexity;   /* effective number of neighbours of a point; 0: 30, or a third of the other points if that is
                            less */
    int iterations;      /* 0: 1000 */
    double exaggeration; /* factor on the attraction in the first quarter of the steps, at most 250; 0: 12 */
    double rate;         /* 0: n / exaggeration / 4, at least 50 */
    double theta;        /* a group of nearby points repels others as one point if its width is less than theta times
                          * its distance (Barnes and Hut 1986); 0: 0.5, exact up to 500 points; GLIA_ZERO: exact */
    bool random_start;   /* random initial positions instead of principal components */
    uint64_t seed;
    int threads; /* 0: all cores; bitwise equal results for any number */
} glia_tsne_opts;

enum { GLIA_TSNE_MOST = 100000 };

/* t-SNE (van der Maaten and Hinton 2008): an embedding y (n, 2) that keeps neighbouring points together, for 4 to
 * GLIA_TSNE_MOST points. A step takes time proportional to n log n (van der Maaten 2014), and the neighbour search
 * before the first step n^2; the exact method takes n^2 memory and time, for 10,000 points at most. divergence (may be
 * NULL): the final Kullback-Leibler divergence, which is minimised. */
GLIA_API glia_status glia_tsne(const float *x, int64_t n, int64_t size, glia_tsne_opts opts, double *y,
                               double *divergence, glia_error *error);

typedef struct glia_map_opts {
    const char *title;         /* NULL: none */
    const char *const *labels; /* (n), UTF-8; NULL: none */
    const int32_t *groups;     /* (n), from 0: points are coloured by group, with eight colours; NULL: all the same */
    int width;                 /* pixels; 0: by the number of labels */
} glia_map_opts;

/* A scatter plot of n points (n, 2) as an SVG file, for light and dark backgrounds. Each label is placed beside its
 * point if it covers no other, earlier ones first; labels without room are shown as tooltips. Release with free(). */
GLIA_API char *glia_map_svg(const double *places, int64_t n, glia_map_opts opts, glia_error *error);

#ifdef __cplusplus
}
#endif
#endif
