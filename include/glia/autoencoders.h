/* autoencoders.h - autoencoders and variational autoencoders: encoders, decoders, the bound and the likelihood.
 *
 * Kingma and Welling 2014, "Auto-encoding variational Bayes": an encoder q(z | x) = N(mean, exp(logvar)) and a decoder
 * p(x | z) are trained on a lower bound of log p(x):
 *
 *     log p(x) >= E_q log p(x | z) - KL(q(z | x) || N(0, 1))
 *
 * Samples are in their data's range: pixels in [0, 1]. The method "vae" (methods.h) trains models of these parts.
 */
#ifndef GLIA_AUTOENCODERS_H
#define GLIA_AUTOENCODERS_H

#include "glia/data.h"
#include "glia/layers.h"
#include "glia/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- in graphs ---------------------------------------------------------------------------------- */

/* mean + exp(logvar / 2) noise, the noise drawn anew in each run: the reparameterisation of section 2.4. */
GLIA_API glia_tensor glia_vae_latent(glia_tensor mean, glia_tensor logvar);
/* KL(N(mean, exp(logvar)) || N(0, 1)) of each sample (N, Z) -> (N): appendix B. */
GLIA_API glia_tensor glia_vae_kl(glia_tensor mean, glia_tensor logvar);

/* What a decoder's output means for p(x | z). */
typedef enum glia_vae_likelihood {
    GLIA_VAE_BERNOULLI, /* logits of independent black and white pixels; x in [0, 1] */
    GLIA_VAE_GAUSSIAN,  /* means of independent normal numbers */
    GLIA_VAE_LIKELIHOODS
} glia_vae_likelihood;
/* log p(x | z) of each sample, summed over its numbers: decoded and x (N, ...) -> (N). stddev is that of the normal
 * distributions; 0: 1. */
GLIA_API glia_tensor glia_vae_log_likelihood(glia_tensor decoded, glia_tensor x, glia_vae_likelihood likelihood,
                                             double stddev);

/* ---- nets ------------------------------------------------------------------------------------------ */

typedef struct glia_vae_opts {
    int latent;                 /* numbers of the code; 0: 50 */
    int units[4];               /* of the hidden dense layers from x to z; 0 ends; none: 200, 200 */
    int filters;                /* convolutional nets: of the layer next to the picture, doubled inwards; 0: 32 */
    glia_activation activation; /* of hidden layers; 0: GLIA_TANH, of convolutional nets GLIA_RELU */
    bool plain;                 /* an autoencoder: no logvar */
    glia_tensor condition;      /* (N, C), appended to x and z of dense nets and to z of convolutional ones (Sohn et
                                 * al. 2015); NULL: none */
} glia_vae_opts;

typedef struct glia_vae_code {
    glia_tensor mean, logvar; /* (N, latent); logvar NULL: plain */
} glia_vae_code;
/* Dense nets: x (N, ...) -> code; z (N, latent) -> (N, sample). Parameters "NAME/dense1", ..., "NAME/mean",
 * "NAME/logvar", "NAME/out". The decoder's layers are those of the encoder in reverse. */
GLIA_API glia_vae_code glia_vae_dense_encoder(glia_tensor x, const char *name, glia_vae_opts opts);
GLIA_API glia_tensor glia_vae_dense_decoder(glia_tensor z, const char *name, glia_shape sample, glia_vae_opts opts);
/* Convolutional nets for pictures (C, H, W): convolutions (4x4) of stride 2 while H and W are even and at least 8, a
 * dense layer of 256 units between them and the code. Parameters "NAME/down1", ..., "NAME/dense1", "NAME/project",
 * "NAME/up1", ..., "NAME/out". */
GLIA_API glia_vae_code glia_vae_conv_encoder(glia_tensor x, const char *name, glia_vae_opts opts);
GLIA_API glia_tensor glia_vae_conv_decoder(glia_tensor z, const char *name, glia_shape picture, glia_vae_opts opts);

/* ---- likelihood -------------------------------------------------------------------------------------- */

typedef struct glia_vae_estimate_opts {
    int64_t samples;       /* k: draws of z for each x; 0: 5,000 */
    int64_t count;         /* the first `count` samples of the data; 0: all */
    uint64_t seed;         /* of the draws, and of black and white pixels if the model was trained with binarize=true */
    glia_backend *backend; /* NULL: "cpu" with `threads` */
    int threads;           /* 0: all cores */
} glia_vae_estimate_opts;

typedef struct glia_vae_estimate {
    double log_likelihood;            /* mean over the data of log p(x), nats */
    double standard_error;            /* of this mean, as the data are a sample */
    double sampling_error;            /* of this mean, as the z are a sample (delta method) */
    double bound, reconstruction, kl; /* means: log p(x) >= bound = reconstruction - kl */
    int64_t count, samples;
} glia_vae_estimate;
/* log p(x) of a model that the method "vae" trained, by importance sampling from q (Burda et al. 2016, equation 8):
 *
 *     log p(x) ~ log 1/k sum_i p(x | z_i) p(z_i) / q(z_i | x),  z_i ~ q(z | x)
 *
 * in expectation a lower bound that grows with k. The bound itself is estimated from the same draws.
 * GLIA_E_UNSUPPORTED: the model is no VAE. The same result at any number of threads. */
GLIA_API glia_status glia_vae_log_likelihood_of(glia_model *model, const glia_dataset *data,
                                                glia_vae_estimate_opts opts, glia_vae_estimate *estimate,
                                                glia_error *error);

#ifdef __cplusplus
}
#endif

#endif
