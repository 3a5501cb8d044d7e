/* generative.h - models that make new data: generative adversarial nets. */
#ifndef GLIA_GENERATIVE_H
#define GLIA_GENERATIVE_H

#include "glia/layers.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== generative adversarial nets ============================================================ */
/* A generator makes samples of noise, a critic (discriminator) scores samples. Both are ordinary parts of one graph:
 * build the critic under the same name on real samples and on the generator's, make a loss for each net, and give each
 * its own update group by glia_minimize(loss, optimizer, "critic*", "critic"). A program then runs one group or the
 * other. */

/* What becomes of scores. Scores are logits: no sigmoid before them. */
typedef enum glia_gan_loss {
    GLIA_GAN_NON_SATURATING, /* Goodfellow et al. 2014: critic E softplus(-real) + E softplus(fake), that is
                              * -E log D(x) - E log(1 - D(G(z))); generator E softplus(-fake) = -E log D(G(z)) */
    GLIA_GAN_WASSERSTEIN,    /* Arjovsky et al. 2017: critic E fake - E real; generator -E fake */
    GLIA_GAN_HINGE,          /* Lim and Ye 2017: critic E max(0, 1 - real) + E max(0, 1 + fake); generator -E fake */
    GLIA_GAN_LEAST_SQUARES,  /* Mao et al. 2017, a = 0, b = c = 1: critic E (real - 1)^2 / 2 + E fake^2 / 2; generator
                              * E (fake - 1)^2 / 2 */
    GLIA_GAN_LOSS_COUNT
} glia_gan_loss;

GLIA_API const char *
glia_gan_loss_name(glia_gan_loss loss); /* "non-saturating", "wasserstein", ...; NULL: there is none */
/* Scalars, means over the scores of real and of generated samples; their shapes may differ. */
GLIA_API glia_tensor glia_gan_critic_loss(glia_tensor real, glia_tensor fake, glia_gan_loss loss);
GLIA_API glia_tensor glia_gan_generator_loss(glia_tensor fake, glia_gan_loss loss);

typedef struct glia_gradient_penalty_opts {
    double norm;    /* what the gradient's norm should be; 0: 1; GLIA_ZERO: 0 */
    bool one_sided; /* only norms above it cost */
} glia_gradient_penalty_opts;

/* Gulrajani et al. 2017, section 4: the mean over samples of (|d score / d m| - 1)^2 at points m = e real + (1 - e)
 * fake, e uniform in [0, 1) for each sample. `score` is the critic's score (N) or (N, 1) of `x` (N, ...); the critic is
 * applied once more to m by glia_substitute(). real and fake have x's shape (x may be one of them) and count as
 * constants. The paper adds 10 times the result to the critic's loss. Batch norm in the critic is an error: a sample's
 * gradient would not be its own. */
GLIA_API glia_tensor glia_gradient_penalty(glia_tensor score, glia_tensor x, glia_tensor real, glia_tensor fake,
                                           glia_gradient_penalty_opts opts);

/* Arjovsky et al. 2017, algorithm 1: the updates of `group` (NULL: "train") that glia_minimize() has made leave the
 * parameters that match `pattern` in [-limit, limit]; the paper's limit is 0.01. Returns how many; none is a mistake.
 * Averages of parameters (glia_optimizer.ema) are of the values before clipping. */
GLIA_API int glia_gan_clip_weights(glia_graph *graph, const char *pattern, double limit, const char *group);

/* ---- nets of dense layers ------------------------------------------------------------------- */

typedef struct glia_gan_dense_opts {
    int units;                  /* of hidden layers; 0: 128 */
    int layers;                 /* hidden ones; 0: 3; GLIA_NONE: none */
    glia_activation activation; /* of hidden layers; 0: GLIA_RELU in the generator, leaky relu (0.2) in the critic */
    glia_activation output;     /* of the generator: GLIA_LINEAR for points, GLIA_TANH for pictures in [-1, 1] */
    glia_init kernel_init;      /* default: He normal for hidden layers, Glorot uniform for the last */
} glia_gan_dense_opts;

/* Noise z (N, Z) -> (N, sample). Parameters "NAME/dense1", ..., "NAME/out", each a kernel and a bias. */
GLIA_API glia_tensor glia_gan_dense_generator(glia_tensor z, const char *name, glia_shape sample,
                                              glia_gan_dense_opts opts);
/* Samples x (N, ...) -> scores (N). Parameters "NAME/dense1", ..., "NAME/score". */
GLIA_API glia_tensor glia_gan_dense_critic(glia_tensor x, const char *name, glia_gan_dense_opts opts);

/* ---- DCGAN ---------------------------------------------------------------------------------- */

typedef enum glia_gan_norm {
    GLIA_GAN_BATCH_NORM,
    GLIA_GAN_LAYER_NORM, /* over a sample's channels and places: for a critic with a gradient penalty */
    GLIA_GAN_INSTANCE_NORM,
    GLIA_GAN_GROUP_NORM,
    GLIA_GAN_NO_NORM
} glia_gan_norm;

typedef struct glia_dcgan_opts {
    int filters;            /* of the layer next to the picture, doubled at each halving of its size; 0: 64 */
    int kernel;             /* even sizes of at least 4: then each tap meets as many pixels; 0: 4 (the paper: 5) */
    glia_gan_norm norm;
    int groups;             /* of GLIA_GAN_GROUP_NORM; 0: 8 */
    glia_init kernel_init;  /* default: N(0, 0.02), the paper's */
} glia_dcgan_opts;

/* Radford et al. 2016: pictures of C channels by transposed convolutions of stride 2. z (N, Z) -> (N, C, H, W) in [-1,
 * 1] for `picture` (C, H, W): a dense layer to the smallest size (H and W halved while both are even and not below 8:
 * 28 -> 7, 32 -> 4, 64 -> 4), then doublings; norm and relu after each layer, tanh after the last. H and W must allow
 * at least one halving. Parameters "NAME/project", "NAME/up1", ..., "NAME/out", norms "NAME/norm0", "NAME/norm1", ...
 * */
GLIA_API glia_tensor glia_dcgan_generator(glia_tensor z, const char *name, glia_shape picture, glia_dcgan_opts opts);
/* The critic: convolutions of stride 2, leaky relu (0.2), norms after all but the first, a dense layer. (N, C, H, W) ->
 * scores (N). Parameters "NAME/down1", "NAME/down2", ..., "NAME/score", norms "NAME/norm2", ... */
GLIA_API glia_tensor glia_dcgan_critic(glia_tensor x, const char *name, glia_dcgan_opts opts);

#ifdef __cplusplus
}
#endif

#endif
