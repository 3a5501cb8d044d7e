/* samples.h - how good drawn samples are: distances between sets of features, precision and recall, modes.
 *
 * A set is (n, size) numbers, one row for each sample: what a layer of a classifier gives for pictures, or points
 * themselves. Distances depend on these features and on n: only values by the same features and numbers of samples can
 * be compared. glia_assess() (methods.h) prints beside each value the same of two sets of real samples, its floor.
 */
#ifndef GLIA_SAMPLES_H
#define GLIA_SAMPLES_H

#include "glia/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct glia_features {
    const float *x; /* (n, size), finite */
    int64_t n, size;
} glia_features;

/* Fréchet distance of two normal distributions with the means and covariances (over n - 1) of the sets (Heusel et al.
 * 2017, "FID"): |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)). Both need at least two rows. It is biased upwards by about
 * 1/n, much more with fewer rows than `size`. */
GLIA_API glia_status glia_frechet_distance(glia_features a, glia_features b, double *distance, glia_error *error);

typedef struct glia_kernel_distance_opts {
    int64_t subset;  /* rows of each subset; 0: 1,000, at most what there is */
    int64_t subsets; /* 0: 100; 1 if a subset is the whole of both sets */
    uint64_t seed;
} glia_kernel_distance_opts;
/* Kernel distance (Binkowski et al. 2018, "KID"): the unbiased estimate of the squared maximum mean discrepancy with
 * the kernel (x . y / size + 1)^3, mean over subsets. `stddev` (may be NULL): the standard deviation over subsets. May
 * be negative. */
GLIA_API glia_status glia_kernel_distance(glia_features a, glia_features b, glia_kernel_distance_opts opts,
                                          double *distance, double *stddev, glia_error *error);

/* Kynkäänniemi et al. 2019: precision is the share of drawn samples that lie within the distance of some real sample
 * to its k-th nearest real neighbour, recall the share of real samples within that of drawn ones. k 0: 3. */
GLIA_API glia_status glia_precision_recall(glia_features real, glia_features drawn, int k, double *precision,
                                           double *recall, glia_error *error);

/* exp(mean KL(p(y | x) || p(y))) of the classes' probabilities (n, classes): between 1 and the number of classes
 * (Salimans et al. 2016, the "inception score", by any classifier). NaN: n or classes below 1. */
GLIA_API double glia_classifier_score(const float *probabilities, int64_t n, int64_t classes);

typedef struct glia_mode_count {
    int64_t covered;   /* modes near which there is a good sample */
    double good;       /* share of samples within `radius` of their nearest mode */
    double divergence; /* KL of the good samples' shares of the modes from the uniform ones, nats; NaN: none is good */
} glia_mode_count;
/* Of points (n, size) and modes (m, size), as for rings and grids of normal distributions (Lin et al. 2018, PacGAN:
 * radius three standard deviations, 2,500 samples). */
GLIA_API glia_status glia_count_modes(glia_features points, glia_features modes, double radius, glia_mode_count *count,
                                      glia_error *error);

/* ---- features of pictures ----------------------------------------------------------------------- */

/* A small classifier to take features from: x (N, C, H, W) -> logits (N, classes). Convolutions (3x3) 16-32-64, the
 * first two with pooling, the last with the mean over places, a dense layer "features" of 64 units (relu), "logits". */
GLIA_API glia_tensor glia_feature_net(glia_tensor x, int classes);

#ifdef __cplusplus
}
#endif

#endif
