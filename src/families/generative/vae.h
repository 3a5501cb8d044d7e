/* vae.h - a trained autoencoder as functions: code of x, x of a code, and how likely x is given a code. */
#ifndef GLIA_SRC_FAMILIES_GENERATIVE_VAE_H
#define GLIA_SRC_FAMILIES_GENERATIVE_VAE_H

#include "core/graph/graph.h"
#include "glia/autoencoders.h"

/* Inputs and outputs of a model for the method "vae". */
typedef struct glia_vae_ends {
    glia_tensor x, z, y;               /* y NULL: no classes */
    glia_tensor mean, logvar, decoded; /* logvar NULL: a plain autoencoder */
} glia_vae_ends;
glia_status glia_vae_find(const glia_graph *graph, glia_vae_ends *ends, glia_error *error);

/* The settings of the method that say what a model means. */
typedef struct glia_vae_meaning {
    int likelihood; /* glia_vae_likelihood */
    double stddev;
    bool binarize;
} glia_vae_meaning;

/* By the settings that the model was trained with. */
glia_status glia_vae_meaning_of(const glia_model *model, glia_vae_meaning *means, glia_error *error);

typedef struct glia_vae_nets {
    glia_graph *graph; /* a copy of the model's, with the likelihood */
    glia_vae_ends ends;
    glia_vae_meaning means;
    int64_t size, latent;
    glia_function *encode, *decode, *score; /* x -> mean, logvar; z -> decoded; x, z -> log p(x | z) */
} glia_vae_nets;
/* The model must be initialised. Frees what it made if it fails. */
glia_status glia_vae_open(glia_vae_nets *nets, glia_model *model, glia_vae_meaning means, glia_backend *backend,
                          glia_error *error);
void glia_vae_close(glia_vae_nets *nets);

/* Codes (n, latent) of x (n, sample): logvar may be NULL. y: classes (n), read if the model has them. */
glia_status glia_vae_encode(glia_vae_nets *nets, const float *x, const int32_t *y, int64_t n, float *mean,
                            float *logvar, glia_error *error);
/* What z (n, latent) becomes, in the data's range: of Bernoulli decoders the probabilities of white. */
glia_status glia_vae_decode(glia_vae_nets *nets, const float *z, const int32_t *y, int64_t n, float *x,
                            glia_error *error);

/* Of one sample: E log p(x | z), KL, the importance-sampled log p(x) and the variance of this estimate. */
typedef struct glia_vae_terms {
    double reconstruction, kl, log_likelihood, variance;
} glia_vae_terms;
/* With k draws for each of x (n, sample), whose indices begin with `first`: draws depend on seed and index only. */
glia_status glia_vae_measure(glia_vae_nets *nets, const float *x, const int32_t *y, int64_t n, int64_t first, int64_t k,
                             uint64_t seed, glia_vae_terms *terms, glia_error *error);
/* Each number of sample `index` becomes 1 with itself as probability, else 0. */
void glia_vae_binarize(float *x, int64_t size, int64_t index, uint64_t seed);

#endif
