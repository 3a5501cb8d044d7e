/* projection.h - many numbers as two or three, and a map of them: pictures of embeddings.
 *
 * Points are rows of floats (n, size): word vectors, features of a layer, anything. docs/word2vec.md draws words.
 */
#ifndef GLIA_PROJECTION_H
#define GLIA_PROJECTION_H

#include "glia/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Principal components (Pearson 1901, Hotelling 1933), exact: y (n, components) are the points, centred, along the
 * directions of the largest variance. What is not NULL is filled: axes (components, size), unit vectors whose largest
 * entry is positive; variance (components), of y's columns with n - 1. components <= n and size; n >= 2. */
typedef struct glia_pca_result {
    double *y, *axes, *variance;
} glia_pca_result;
GLIA_API glia_status glia_pca(const float *x, int64_t n, int64_t size, int components, glia_pca_result result,
                              glia_error *error);

typedef struct glia_tsne_opts {
    double perplexity;   /* about how many neighbours a point has; 0: 30, or a third of the others if that is less */
    int iterations;      /* 0: 1000 */
    double exaggeration; /* factor on the attraction in the first quarter of the steps, at most 250; 0: 12 */
    double rate;         /* 0: n / exaggeration / 4, at least 50 */
    double theta;        /* points that are near each other repel others as one if their width is less than theta times
                          * their distance (Barnes and Hut 1986); 0: 0.5, exact up to 500 points; GLIA_ZERO: exact */
    bool random_start;   /* begin with random places, not with principal components */
    uint64_t seed;
    int threads; /* 0: all cores; the same bits with any number */
} glia_tsne_opts;

enum { GLIA_TSNE_MOST = 100000 };

/* t-SNE (van der Maaten and Hinton 2008): places y (n, 2) such that points that are near to each other stay so, for 4
 * to GLIA_TSNE_MOST points. A step takes time in proportion to n log n (van der Maaten 2014), and finding neighbours
 * before the first one n^2; the exact one takes both memory and time of n^2, for 10,000 points at most. divergence (may
 * be NULL): Kullback and Leibler's, which is what it makes small. */
GLIA_API glia_status glia_tsne(const float *x, int64_t n, int64_t size, glia_tsne_opts opts, double *y,
                               double *divergence, glia_error *error);

typedef struct glia_map_opts {
    const char *title;         /* NULL: none */
    const char *const *labels; /* (n), UTF-8; NULL: none */
    const int32_t *groups;     /* (n), from 0: points of a group have one of eight colours; NULL: all the same */
    int width;                 /* pixels; 0: by the number of labels */
} glia_map_opts;

/* A map of n points (n, 2) as an SVG file, for light and dark backgrounds. A label stands beside its point where it
 * covers no other, those that come first first; where there is no room it is told when one points at its point.
 * Release with free(). */
GLIA_API char *glia_map_svg(const double *places, int64_t n, glia_map_opts opts, glia_error *error);

#ifdef __cplusplus
}
#endif
#endif
