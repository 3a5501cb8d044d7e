/* generative.h - models that make new data: generative adversarial nets, diffusion. */
#ifndef GLIA_GENERATIVE_H
#define GLIA_GENERATIVE_H

#include "glia/layers.h"
#include "glia/program.h"

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

/* "non-saturating", "wasserstein", "hinge", "least-squares"; NULL: there is none */
GLIA_API const char *glia_gan_loss_name(glia_gan_loss loss);
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
    bool spectral_norm;         /* of the critic's kernels (Miyato et al. 2018) */
    /* Classes, one-hot (N, classes), appended to z (Mirza and Osindero 2014); the critic's score gets the product of
     * its last hidden layer with a learned vector of the class, "NAME/class" (Miyato and Koyama 2018). NULL: none */
    glia_tensor condition;
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
    int filters; /* of the layer next to the picture, doubled at each halving of its size; 0: 64 */
    int kernel;  /* even sizes of at least 4: then each tap meets as many pixels; 0: 4 (the paper: 5) */
    glia_gan_norm norm;
    int groups;            /* of GLIA_GAN_GROUP_NORM; 0: 8 */
    glia_init kernel_init; /* default: N(0, 0.02), the paper's */
    bool spectral_norm;    /* as in glia_gan_dense_opts, and so is: */
    glia_tensor condition;
} glia_dcgan_opts;

/* Radford et al. 2016: pictures of C channels by transposed convolutions of stride 2. z (N, Z) -> (N, C, H, W) in
 * [-1, 1] for `picture` (C, H, W): a dense layer to the smallest size (H and W halved while both are even and not
 * below 8: 28 -> 7, 32 -> 4, 64 -> 4), then doublings; norm and relu after each layer, tanh after the last. H and W
 * must allow at least one halving. Parameters "NAME/project", "NAME/up1", ..., "NAME/out", norms "NAME/norm0",
 * "NAME/norm1", ... */
GLIA_API glia_tensor glia_dcgan_generator(glia_tensor z, const char *name, glia_shape picture, glia_dcgan_opts opts);
/* The critic: convolutions of stride 2, leaky relu (0.2), norms after all but the first, a dense layer. (N, C, H, W) ->
 * scores (N). Parameters "NAME/down1", "NAME/down2", ..., "NAME/score", norms "NAME/norm2", ... */
GLIA_API glia_tensor glia_dcgan_critic(glia_tensor x, const char *name, glia_dcgan_opts opts);

/* ==== diffusion ============================================================================= */
/* Ho et al. 2020 ("DDPM"). Noise is added to data x0 in steps t = 0, 1, ..., T - 1 (the paper counts from 1):
 *
 *     x_t = sqrt(A_t) x0 + sqrt(1 - A_t) noise,    A_t = (1 - beta_0) (1 - beta_1) ... (1 - beta_t)
 *
 * and a net that is given x_t and t predicts what was added. Sampling begins with noise and removes it step by step.
 * Data should lie in [-1, 1]. A glia_diffusion is the schedule and what nets predict; it does not change, and any
 * number of threads may use it. */

typedef enum glia_beta_schedule {
    GLIA_BETA_LINEAR, /* Ho et al. 2020: beta from beta_first to beta_last */
    GLIA_BETA_COSINE, /* Nichol and Dhariwal 2021, section 3.2: A_t = f(t + 1) / f(0),
                       * f(u) = cos^2((u/T + s) / (1 + s) pi/2), s = 0.008; beta at most 0.999 */
    GLIA_BETA_COUNT
} glia_beta_schedule;

/* What a net predicts; each follows from each other and x_t. */
typedef enum glia_diffusion_prediction {
    GLIA_PREDICT_NOISE,    /* Ho et al. 2020, section 3.2 */
    GLIA_PREDICT_SAMPLE,   /* x0 */
    GLIA_PREDICT_VELOCITY, /* sqrt(A_t) noise - sqrt(1 - A_t) x0 (Salimans and Ho 2022, section 4) */
    GLIA_PREDICTION_COUNT
} glia_diffusion_prediction;

typedef struct glia_diffusion_opts {
    int steps; /* T; 0: 1,000 */
    glia_beta_schedule schedule;
    double beta_first, beta_last; /* linear; 0: 0.1 / T and 20 / T, at most 0.999: for T = 1,000 the paper's 1e-4 and
                                   * 0.02 */
    glia_diffusion_prediction prediction;
} glia_diffusion_opts;

typedef struct glia_diffusion glia_diffusion;
GLIA_API glia_diffusion *glia_diffusion_create(glia_diffusion_opts opts, glia_error *error);
GLIA_API void glia_diffusion_free(glia_diffusion *diffusion);

typedef struct glia_diffusion_step {
    double beta;
    double signal; /* A_t, in the literature alpha-bar */
    double before; /* A_(t-1); of t = 0: 1 */
    /* q(x_(t-1) | x_t, x0) = N(x0_share x0 + xt_share x_t, variance): Ho et al. 2020, equation 7 */
    double x0_share, xt_share, variance;
} glia_diffusion_step;
GLIA_API int glia_diffusion_steps(const glia_diffusion *diffusion); /* T */
/* Step t; all NaN for a t outside [0, T). */
GLIA_API glia_diffusion_step glia_diffusion_at(const glia_diffusion *diffusion, int t);
GLIA_API const char *glia_beta_schedule_name(glia_beta_schedule schedule); /* "linear", "cosine"; NULL: there is none */
/* "noise", "sample", "velocity" */
GLIA_API const char *glia_diffusion_prediction_name(glia_diffusion_prediction prediction);

/* ---- in graphs ------------------------------------------------------------------------------ */
/* x0, noise and the like are (N, ...) of one shape, f32 or f64; t is i32 or i64 (N), in [0, T). */

/* x_t of x0 and noise, a draw from q(x_t | x0) if the noise is N(0, 1). */
GLIA_API glia_tensor glia_diffusion_noised(const glia_diffusion *diffusion, glia_tensor x0, glia_tensor t,
                                           glia_tensor noise);
/* What a net should predict. */
GLIA_API glia_tensor glia_diffusion_target(const glia_diffusion *diffusion, glia_tensor x0, glia_tensor t,
                                           glia_tensor noise);
/* x0, and the noise, by a net's prediction for xt. */
GLIA_API glia_tensor glia_diffusion_x0(const glia_diffusion *diffusion, glia_tensor prediction, glia_tensor xt,
                                       glia_tensor t);
GLIA_API glia_tensor glia_diffusion_noise(const glia_diffusion *diffusion, glia_tensor prediction, glia_tensor xt,
                                          glia_tensor t);
/* Ho et al. 2020, algorithm 1 (the simple loss): the mean square of prediction - target for a uniform t and N(0, 1)
 * noise of each sample, drawn anew in each run. `prediction` is what the net gives for its inputs x and t; the net is
 * applied once more to the noised x0 and the drawn t by glia_substitute(). x0 may be x: then the program's input x is
 * data. */
GLIA_API glia_tensor glia_diffusion_loss(const glia_diffusion *diffusion, glia_tensor prediction, glia_tensor x,
                                         glia_tensor t, glia_tensor x0);

/* Nichol and Dhariwal 2021, section 3.1: the loss of a net that also learns variances. Its output has twice the
 * channels of x (N, C, ...): the prediction, and v, by which the variance of step t is exp(v log beta + (1 - v)
 * log beta~), beta~ the posterior's. The simple loss of the prediction, and `weight` times the variational bound, in
 * bits of a number, by which only v learns; 0: 0.001. x0 is in [-1, 1], of 256 equally spaced values.
 * glia_diffusion_sample() and glia_diffusion_bound() take such nets as they are: GLIA_DDPM draws with these
 * variances. */
GLIA_API glia_tensor glia_diffusion_hybrid_loss(const glia_diffusion *diffusion, glia_tensor output, glia_tensor x,
                                                glia_tensor t, glia_tensor x0, double weight);

/* ---- sampling ------------------------------------------------------------------------------- */

typedef enum glia_diffusion_sampler {
    GLIA_DDPM,       /* ancestral: Ho et al. 2020, algorithm 2 */
    GLIA_DDIM,       /* Song et al. 2021, equation 12 */
    GLIA_DPM_SOLVER, /* DPM-Solver++(2M), second order (Lu et al. 2022, algorithm 2), first order in the last step */
    GLIA_SAMPLER_COUNT
} glia_diffusion_sampler;
GLIA_API const char *glia_diffusion_sampler_name(glia_diffusion_sampler sampler); /* "ddpm", "ddim", "dpm-solver" */

/* After each step of a batch of samples. */
typedef struct glia_diffusion_progress {
    int64_t first, n;    /* the batch: samples [first, first + n) */
    int step, steps;     /* steps that are done, from 1 */
    int t;               /* the one that was removed */
    const float *x, *x0; /* (n, sample): what the step gave, and the estimate of x0 that it used */
} glia_diffusion_progress;
typedef glia_status (*glia_diffusion_watch)(const glia_diffusion_progress *progress, void *context, glia_error *error);

typedef struct glia_diffusion_sample_opts {
    glia_diffusion_sampler sampler;
    int steps;           /* in [1, T], evenly spaced from T - 1 to 0, for DPM-Solver in log(A / (1 - A)); 0: T for DDPM,
                          * 50 for DDIM, 20 for DPM-Solver, at most T */
    double eta;          /* DDIM: 0: deterministic; 1: as DDPM */
    bool large_variance; /* DDPM: noise of variance beta instead of the posterior's (Ho et al. 2020, section 3.2) */
    double limit;        /* estimates of x0 are cut to [-limit, limit]; 0: 1; GLIA_ZERO: never */
    uint64_t seed;       /* a sample's noise depends on it and on the sample's index */
    int64_t batch;       /* samples in one call of the net; 0: 64 */
    const char *x, *t;   /* names of the net's inputs; NULL: "x", "t" */
    const glia_array *inputs; /* other inputs, n_inputs of them, each (n, ...): a row for each sample (classes) */
    int n_inputs;
    const float *start; /* x_T (n, sample) instead of noise; NULL: none */
    /* Inpainting: where mask (n, sample) is not 0, samples become `known` (n, sample): after each step they get its
     * value with the noise of that step (Lugmayr et al. 2022, section 4.1, without repetitions). Both or neither. */
    const float *known, *mask;
    glia_diffusion_watch watch; /* may be NULL; a status other than GLIA_OK ends sampling with it */
    void *context;
} glia_diffusion_sample_opts;

/* n samples of this shape into `out` (n, sample). `net`'s first output is the prediction (N, sample), f32, for its
 * inputs x f32 (N, sample) and t i32 (N), or the prediction and v (N, 2C, ...) of glia_diffusion_hybrid_loss(). The
 * same samples at any number of threads. */
GLIA_API glia_status glia_diffusion_sample(const glia_diffusion *diffusion, glia_function *net, int64_t n,
                                           glia_shape sample, glia_diffusion_sample_opts opts, float *out,
                                           glia_error *error);

typedef struct glia_diffusion_bound_opts {
    int64_t draws; /* steps t >= 1 drawn for each sample, one of each of so many equal parts; 0: all of them */
    uint64_t seed;
    const glia_array *inputs; /* as in glia_diffusion_sample_opts */
    int n_inputs;
} glia_diffusion_bound_opts;
/* The variational bound of -log p(x0) for each of n samples x0 (n, sample) in [-1, 1] of 256 equally spaced values,
 * nats (Ho et al. 2020, equation 5): an unbiased estimate by drawn noise and steps. Divided by log 2 and the numbers of
 * a sample these are bits per dimension. */
GLIA_API glia_status glia_diffusion_bound(const glia_diffusion *diffusion, glia_function *net, const float *x0,
                                          int64_t n, glia_shape sample, glia_diffusion_bound_opts opts, double *nats,
                                          glia_error *error);

/* ---- UNet ----------------------------------------------------------------------------------- */

enum { GLIA_UNET_LEVELS = 8 };
typedef struct glia_unet_opts {
    int channels;                      /* of the first level; 0: 64 (the paper: 128) */
    int multipliers[GLIA_UNET_LEVELS]; /* of channels, for each level; 0 ends; none: 1, 2, 2 */
    int blocks;                        /* residual blocks of a level on the way down, one more on the way up; 0: 2 */
    /* Heights of the levels with self-attention; 0 ends; none: the first of at most 16. The middle has attention too,
     * unless the first entry is GLIA_NONE: no attention at all. A height that no level has is an error. */
    int attention[GLIA_UNET_LEVELS];
    int heads;             /* of attention; 0: 1 */
    int groups;            /* of group norms; 0: the most up to 32 that divide the channels into groups of at least 4
                              * (the paper: 32). Groups of one channel are an error: they would remove the time */
    int out_channels;      /* 0: as x has */
    double dropout;        /* in residual blocks; 0: none (the paper: 0.1 for CIFAR-10) */
    glia_tensor condition; /* (N, E), such as a class's embedding, added to the time's by a dense layer; NULL: none */
    glia_tensor context;   /* (N, L, E), such as vectors of words: each self-attention is followed by attention of the
                            * pixels to them (Rombach et al. 2022, section 3.3); NULL: none */
} glia_unet_opts;

/* Ho et al. 2020, appendix B: x (N, C, H, W) and t (N), integers -> (N, out_channels, H, W). Residual blocks with group
 * norm and silu, to which the time's embedding is added (sinusoids, two dense layers of 4 channels); sizes are halved
 * by convolutions of stride 2 from level to level and doubled (nearest) on the way back, where what each block gave on
 * the way down is concatenated. The last convolution of each branch and of the net begins with zeros. H and W must be
 * divisible by 2^(levels - 1). */
GLIA_API glia_tensor glia_unet(glia_tensor x, glia_tensor t, const char *name, glia_unet_opts opts);

#ifdef __cplusplus
}
#endif

#endif
