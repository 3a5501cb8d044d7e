/* layers.h - layers: named parameters and the operations that use them. */
#ifndef GLIA_LAYERS_H
#define GLIA_LAYERS_H

#include "glia/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A layer makes named parameters ("name/kernel", "name/bias") and the operations that use them. Names may contain
 * "/". */

typedef enum glia_activation {
    GLIA_LINEAR,
    GLIA_RELU,
    GLIA_LEAKY_RELU, /* slope 0.01 */
    GLIA_ELU,
    GLIA_SELU,
    GLIA_GELU,
    GLIA_SILU,
    GLIA_SIGMOID,
    GLIA_TANH,
    GLIA_SOFTPLUS,
    GLIA_SOFTMAX, /* over the channels (axis 1) */
    GLIA_LOG_SOFTMAX,
    GLIA_GELU_TANH,
    GLIA_ACTIVATION_COUNT
} glia_activation;

GLIA_API glia_tensor glia_activate(glia_tensor x, glia_activation activation);

typedef struct glia_dense_opts {
    int units;
    glia_activation activation;
    bool no_bias;
    glia_init kernel_init, bias_init;
    bool spectral_norm; /* the product is with glia_spectral_norm() of the kernel; states NAME/u, NAME/v */
    bool sparse;        /* most of x is zeros, as in spikes; the result is the same (glia_matmul_sparse) */
} glia_dense_opts;

/* (N, ..., F) -> (N, ..., units). kernel (units, F), bias (units). */
GLIA_API glia_tensor glia_dense(glia_tensor x, const char *name, glia_dense_opts opts);

typedef struct glia_conv_opts {
    int filters;
    int kernel;     /* size on every axis */
    int kernels[3]; /* by axis, where not 0 */
    int stride, dilation, groups, pad;
    glia_padding padding; /* pad without it means GLIA_EXPLICIT */
    glia_conv_window window; /* settings beyond the fields above */
    glia_activation activation;
    bool no_bias;
    glia_init kernel_init, bias_init;
    bool spectral_norm; /* as in glia_dense_opts; rows are filters, of transposed layers filters/groups */
} glia_conv_opts;

/* (N, C, W), (N, C, H, W), (N, C, D, H, W): `filters` replaces C. kernel (filters, C/groups, ...), bias (filters). */
GLIA_API glia_tensor glia_conv1d(glia_tensor x, const char *name, glia_conv_opts opts);
GLIA_API glia_tensor glia_conv2d(glia_tensor x, const char *name, glia_conv_opts opts);
GLIA_API glia_tensor glia_conv3d(glia_tensor x, const char *name, glia_conv_opts opts);
/* kernel (C, filters/groups, ...). GLIA_SAME gives size * stride. */
GLIA_API glia_tensor glia_conv1d_transposed(glia_tensor x, const char *name, glia_conv_opts opts);
GLIA_API glia_tensor glia_conv2d_transposed(glia_tensor x, const char *name, glia_conv_opts opts);
GLIA_API glia_tensor glia_conv3d_transposed(glia_tensor x, const char *name, glia_conv_opts opts);

GLIA_API glia_tensor glia_max_pool2d(glia_tensor x, glia_pool_opts opts); /* checks the rank, then glia_max_pool */
GLIA_API glia_tensor glia_avg_pool2d(glia_tensor x, glia_pool_opts opts);

typedef struct glia_norm_opts {
    double epsilon;      /* 0: 1e-5; GLIA_ZERO: none */
    double momentum;     /* batch norm's running statistics: running = (1-m) running + m batch; 0: 0.1; GLIA_ZERO: they
                          * stay unchanged */
    bool no_scale, no_shift;
} glia_norm_opts;

/* Ioffe and Szegedy 2015. (N, C, ...): statistics of each channel over the batch and space in training, running ones in
 * inference. Parameters scale, shift; states running_mean, running_var (the unbiased variance), all (C). Every forward
 * pass in training mode updates the states once: two uses under one name update them twice, in order of creation.
 * glia_compile_opts.statistics selects the programs that do. */
GLIA_API glia_tensor glia_batch_norm(glia_tensor x, const char *name, glia_norm_opts opts);
/* Ba et al. 2016, over the last axis F. Parameters scale, shift (F). */
GLIA_API glia_tensor glia_layer_norm(glia_tensor x, const char *name, glia_norm_opts opts);
/* Zhang and Sennrich 2019: x / sqrt(mean(x^2) + epsilon) scale over the last axis. Parameter scale (F). */
GLIA_API glia_tensor glia_rms_norm(glia_tensor x, const char *name, glia_norm_opts opts);

/* Wu and He 2018: x (N, C, ...) with C in `groups` equal parts, each normalised over its channels and all positions of
 * a sample. Parameters scale, shift (C). */
GLIA_API glia_tensor glia_group_norm(glia_tensor x, const char *name, int groups, glia_norm_opts opts);
/* Ulyanov et al. 2016: each channel of each sample is normalised separately. */
GLIA_API glia_tensor glia_instance_norm(glia_tensor x, const char *name, glia_norm_opts opts);

/* Miyato et al. 2018, "Spectral normalization for generative adversarial networks": w / sigma, where sigma estimates
 * the largest singular value of w as a matrix, whose rows are the slices at `axis`. */
typedef struct glia_spectral_norm_opts {
    int axis;       /* 0 for kernels of dense layers and convolutions, 1 of transposed convolutions */
    int iterations; /* of the power method in a forward pass; 0: 1 */
    double epsilon; /* lengths are at least this; 0: 1e-12; GLIA_ZERO: none */
} glia_spectral_norm_opts;
/* sigma = u^T w v. Each forward pass in training mode first improves the vectors u (rows) and v by the power method and
 * keeps them in the states NAME/u and NAME/v, as torch.nn.utils.spectral_norm does; glia_compile_opts.statistics
 * chooses among them as among batch norm's. Inference takes the states as they are, or does the iterations before the
 * first training pass. Gradients take u and v as constants. Not in the body of a loop: apply it to the weight
 * before. */
GLIA_API glia_tensor glia_spectral_norm(glia_tensor w, const char *name, glia_spectral_norm_opts opts);

/* Srivastava et al. 2014, inverted: kept values are divided by 1 - rate. Training only. */
GLIA_API glia_tensor glia_dropout(glia_tensor x, double rate);
/* Dropout of whole channels of (N, C, ...), since neighbouring values are correlated (Tompson et al. 2015). */
GLIA_API glia_tensor glia_spatial_dropout(glia_tensor x, double rate);
/* Dropout of whole samples of (N, ...): stochastic depth, x + glia_drop_path(branch(x), rate) (Huang et al. 2016). */
GLIA_API glia_tensor glia_drop_path(glia_tensor x, double rate);
/* Dropout for use after glia_selu(): drops to selu's lower limit and keeps mean 0 and variance 1 (Klambauer et al.
 * 2017). */
GLIA_API glia_tensor glia_alpha_dropout(glia_tensor x, double rate);

typedef enum glia_norm_kind { GLIA_LAYER_NORM, GLIA_RMS_NORM } glia_norm_kind;

/* ---- embeddings ---------------------------------------------------------------------------- */

typedef struct glia_embedding_opts {
    int vocabulary, units; /* ids are in [0, vocabulary); as in glia_gather(), -1 is the last one, and ids outside
                            * [-vocabulary, vocabulary) give zeros */
    bool pads;             /* ids equal to `padding` give zeros and have no gradient (PyTorch's padding_idx) */
    int padding;           /* the padding id, if pads */
    glia_dtype dtype;      /* of the table: f32 or f64 */
    glia_init init;        /* default: uniform in [-0.05, 0.05), as in Keras */
} glia_embedding_opts;

/* ids (...), i32 or i64 -> (..., units): rows of the parameter "NAME/table" (vocabulary, units). With
 * glia_optimizer.sparse an update touches only the rows that the batch used. */
GLIA_API glia_tensor glia_embedding(glia_tensor ids, const char *name, glia_embedding_opts opts);
/* Weights tied to those of an embedding of that name (Press and Wolf 2017): x (..., units) -> (..., vocabulary), the
 * products of x with every row of "NAME/table". */
GLIA_API glia_tensor glia_embedding_logits(glia_tensor x, const char *name, int vocabulary);

/* ---- text ---------------------------------------------------------------------------------- */

/* Kim 2014: convolutions over windows of words, the maximum of each over time. ids (N, T) -> logits (N, classes).
 * Parameters: "embed/table", "conv3", "conv4", "conv5", "logits". */
typedef struct glia_text_cnn_opts {
    int vocabulary, classes;
    int units;   /* of the embedding; 0: 128 (the paper: 300) */
    int filters; /* of each width; 0: 100 */
    int widths[4]; /* 0 ends; none: 3, 4, 5 */
    double dropout; /* after pooling; 0: 0.5; GLIA_ZERO: none */
    bool pads;
    int padding;
} glia_text_cnn_opts;
GLIA_API glia_tensor glia_text_cnn(glia_tensor ids, glia_text_cnn_opts opts);

#ifdef __cplusplus
}
#endif

#endif
