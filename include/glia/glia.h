/* glia.h - Glia: deep learning in C17. The core of the public API.
 *
 *   1  status, dtypes, shapes        5  layers and initialisers     9  models: save, load, summary
 *   2  graphs and tensors            6  losses and metrics         10  data
 *   3  operations                    7  optimisers                 11  fit, evaluate, predict
 *   4  gradients                     8  programs and sessions
 *
 * Model code builds a graph of tensors once; gradients and optimiser updates are more graph; glia_compile() turns it
 * into a program with a fixed memory plan that runs many times and never allocates.
 *
 * Building needs no checks: the first mistake is kept in the graph and the next action reports it. Actions return a
 * glia_status and, if `error` is not NULL, say in words what went wrong and where. Nothing here prints, exits, aborts
 * or keeps global state. Options are structs by value; a field left zero means the default that its comment names.
 *
 * Shapes in comments are by letter: N batch, C channels, D depth, H height, W width, T time, F features, K filters.
 */
#ifndef GLIA_GLIA_H
#define GLIA_GLIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GLIA_API __attribute__((visibility("default")))

#define GLIA_VERSION_MAJOR 0
#define GLIA_VERSION_MINOR 1
#define GLIA_VERSION_PATCH 0
#define GLIA_VERSION "0.1.0"

GLIA_API const char *glia_version(void); /* of the library that runs, which may differ from GLIA_VERSION */

/* ==== 1. status, dtypes, shapes ============================================================= */

typedef enum glia_status {
    GLIA_OK,
    GLIA_E_NOMEM,       /* memory ran out; everything is as it was before the call */
    GLIA_E_ARGUMENT,    /* a value outside its domain */
    GLIA_E_SHAPE,       /* shapes or dtypes that do not fit together */
    GLIA_E_NOT_FOUND,   /* no such file, data set, tensor, ... */
    GLIA_E_IO,          /* the operating system refused */
    GLIA_E_FORMAT,      /* a file that is not what it claims; the message has the offset */
    GLIA_E_UNSUPPORTED, /* known, but not on this backend or in this build */
    GLIA_E_INTERRUPTED, /* a callback asked to stop */
    GLIA_E_INTERNAL     /* a mistake in Glia */
} glia_status;

typedef struct glia_error {
    glia_status status;
    char message[512];
} glia_error;

GLIA_API const char *glia_status_name(glia_status status);

typedef enum glia_dtype {
    GLIA_F32, /* zero: what you get when you do not say */
    GLIA_F64,
    GLIA_BF16, /* storage: cast before arithmetic */
    GLIA_F16,  /* storage: cast before arithmetic */
    GLIA_I32,
    GLIA_I64,
    GLIA_U8,
    GLIA_BOOL, /* one byte, 0 or 1 */
    GLIA_DTYPE_COUNT
} glia_dtype;

GLIA_API const char *glia_dtype_name(glia_dtype dtype); /* "f32", "f64", "bf16", "f16", "i32", "i64", "u8", "bool" */
GLIA_API size_t glia_dtype_size(glia_dtype dtype);      /* bytes of one element */

enum { GLIA_MAX_RANK = 8 };

/* Row-major. A negative dimension -k stands for k times the batch size, which compiling fixes:
 * GLIA_SHAPE(GLIA_BATCH, 10) is ten numbers for each sample. */
typedef struct glia_shape {
    int rank; /* 0: a scalar */
    int64_t dim[GLIA_MAX_RANK];
} glia_shape;

#define GLIA_BATCH (-1)
#define GLIA_SCALAR ((glia_shape){ 0 })
#define GLIA_SHAPE(...)                                                                  \
    ((glia_shape){ .rank = (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), \
                   .dim = { __VA_ARGS__ } })

GLIA_API bool glia_shape_equal(glia_shape a, glia_shape b);
GLIA_API int64_t glia_shape_count(glia_shape shape); /* elements; negative: that many for each sample */

/* ==== 2. graphs and tensors ================================================================= */

typedef struct glia_graph glia_graph;
typedef struct glia_node *glia_tensor; /* a value in a graph; immutable, owned by the graph */

/* A new empty graph; NULL when memory ran out (building on NULL is allowed, and compiling it reports the cause). */
GLIA_API glia_graph *glia_graph_create(void);
GLIA_API void glia_graph_free(glia_graph *graph);

/* GLIA_OK, or the first mistake made while building. */
GLIA_API glia_status glia_graph_check(const glia_graph *graph, glia_error *error);

GLIA_API glia_dtype glia_tensor_dtype(glia_tensor x);
GLIA_API glia_shape glia_tensor_shape(glia_tensor x);
GLIA_API glia_graph *glia_tensor_graph(glia_tensor x);

/* Values given before each run. Names are unique among inputs. */
GLIA_API glia_tensor glia_input(glia_graph *graph, const char *name, glia_dtype dtype, glia_shape shape);

/* A constant. `values` has one double for each element; it is copied. */
GLIA_API glia_tensor glia_constant(glia_graph *graph, glia_dtype dtype, glia_shape shape, const double *values);
GLIA_API glia_tensor glia_scalar(glia_graph *graph, glia_dtype dtype, double value);
/* A scalar of x's dtype broadcast to x's shape: glia_like(x, 0) is zeros, glia_like(x, 1) ones. */
GLIA_API glia_tensor glia_like(glia_tensor x, double value);

/* How a parameter begins. fan_in and fan_out of a kernel are computed from its shape: (units, F) for dense,
 * (K, C/groups, spatial...) for convolutions. */
typedef enum glia_init_kind {
    GLIA_INIT_DEFAULT,           /* what the layer takes: Glorot uniform for kernels, zeros for biases, as Keras does */
    GLIA_INIT_ZEROS,
    GLIA_INIT_CONSTANT,          /* value */
    GLIA_INIT_UNIFORM,           /* [low, high) */
    GLIA_INIT_NORMAL,            /* mean, stddev */
    GLIA_INIT_TRUNCATED_NORMAL,  /* mean, stddev; redrawn beyond two standard deviations */
    GLIA_INIT_GLOROT_UNIFORM,    /* Glorot and Bengio 2010: U(-a, a), a = sqrt(6 / (fan_in + fan_out)) */
    GLIA_INIT_GLOROT_NORMAL,     /* stddev sqrt(2 / (fan_in + fan_out)) */
    GLIA_INIT_HE_UNIFORM,        /* He et al. 2015: a = sqrt(6 / fan_in) */
    GLIA_INIT_HE_NORMAL,         /* stddev sqrt(2 / fan_in) */
    GLIA_INIT_LECUN_UNIFORM,     /* LeCun et al. 1998, "Efficient BackProp": a = sqrt(3 / fan_in) */
    GLIA_INIT_LECUN_NORMAL,      /* stddev sqrt(1 / fan_in) */
    GLIA_INIT_ORTHOGONAL,        /* Saxe et al. 2014; gain `value` (0: 1) */
    GLIA_INIT_FAN_IN_UNIFORM,    /* U(-1/sqrt(fan_in), 1/sqrt(fan_in)), torch.nn's default; `fan_in` if given */
    GLIA_INIT_SEED,              /* the state of random operations: the seed (its low 53 bits), then zeros */
    GLIA_INIT_PART,              /* value in [low, high) of the elements, shares of their number; 0 in the others */
    GLIA_INIT_CHRONO             /* Tallec and Ollivier 2018, the bias of an LSTM that is to remember for up to `value` > 2
                                  * steps: log U(1, value - 1) for the forget gates, less that for the input gates */
} glia_init_kind;

typedef struct glia_init {
    glia_init_kind kind;
    double value, low, high, mean, stddev; /* as the kind says; stddev 0: 1 */
    double fan_in;                         /* 0: from the shape; a bias has none of its own */
} glia_init;

/* Named leaves. A parameter is trained; a state (running statistics, counters) is changed by updates only. Asking
 * for an existing name with the same dtype and shape returns the same leaf, so weights are shared by name. */
GLIA_API glia_tensor glia_parameter(glia_graph *graph, const char *name, glia_dtype dtype, glia_shape shape,
                                    glia_init init);
GLIA_API glia_tensor glia_state(glia_graph *graph, const char *name, glia_dtype dtype, glia_shape shape,
                                glia_init init);

/* Excludes parameters whose names match the glob pattern ("conv*,dense1/?ias") from training, or takes them back.
 * Returns how many matched. */
GLIA_API int glia_freeze(glia_graph *graph, const char *pattern, bool frozen);

/* After each run of a program that includes it, `leaf` takes `value`. `group` names updates that a program may choose
 * alone (NULL: "train"). */
GLIA_API void glia_update(glia_tensor leaf, glia_tensor value, const char *group);

/* ==== 3. operations ========================================================================= */
/* Elementwise operations of two tensors broadcast as NumPy does. Negative axes count from the end. A mistake gives a
 * tensor that carries it along; the graph keeps the first one. docs/ops.md has the whole table. */

GLIA_API glia_tensor glia_add(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_sub(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_mul(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_div(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_pow(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_maximum(glia_tensor a, glia_tensor b); /* gradient of ties: half each */
GLIA_API glia_tensor glia_minimum(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_add_scalar(glia_tensor x, double value);
GLIA_API glia_tensor glia_mul_scalar(glia_tensor x, double value);

GLIA_API glia_tensor glia_equal(glia_tensor a, glia_tensor b); /* comparisons give GLIA_BOOL */
GLIA_API glia_tensor glia_not_equal(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_less(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_less_equal(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_greater(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_greater_equal(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_and(glia_tensor a, glia_tensor b); /* of GLIA_BOOL */
GLIA_API glia_tensor glia_or(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_not(glia_tensor x);
GLIA_API glia_tensor glia_select(glia_tensor condition, glia_tensor yes, glia_tensor no);

GLIA_API glia_tensor glia_neg(glia_tensor x);
GLIA_API glia_tensor glia_abs(glia_tensor x);  /* gradient at 0: 0 */
GLIA_API glia_tensor glia_sign(glia_tensor x); /* gradient 0 */
GLIA_API glia_tensor glia_exp(glia_tensor x);
GLIA_API glia_tensor glia_expm1(glia_tensor x);
GLIA_API glia_tensor glia_log(glia_tensor x);
GLIA_API glia_tensor glia_log1p(glia_tensor x);
GLIA_API glia_tensor glia_sqrt(glia_tensor x);
GLIA_API glia_tensor glia_rsqrt(glia_tensor x);
GLIA_API glia_tensor glia_square(glia_tensor x);
GLIA_API glia_tensor glia_reciprocal(glia_tensor x);
GLIA_API glia_tensor glia_sin(glia_tensor x);
GLIA_API glia_tensor glia_cos(glia_tensor x);
GLIA_API glia_tensor glia_tanh(glia_tensor x);
GLIA_API glia_tensor glia_sigmoid(glia_tensor x);
GLIA_API glia_tensor glia_erf(glia_tensor x);
GLIA_API glia_tensor glia_floor(glia_tensor x); /* gradient 0 */
GLIA_API glia_tensor glia_ceil(glia_tensor x);  /* gradient 0 */
GLIA_API glia_tensor glia_round(glia_tensor x); /* to even; gradient 0 */
GLIA_API glia_tensor glia_is_finite(glia_tensor x);

/* Activations (composites of the above). */
GLIA_API glia_tensor glia_relu(glia_tensor x);
GLIA_API glia_tensor glia_leaky_relu(glia_tensor x, double slope); /* slope for x < 0, e.g. 0.01 */
GLIA_API glia_tensor glia_elu(glia_tensor x, double alpha);        /* Clevert 2016; alpha, e.g. 1 */
GLIA_API glia_tensor glia_selu(glia_tensor x);                     /* Klambauer 2017 */
GLIA_API glia_tensor glia_gelu(glia_tensor x);                     /* Hendrycks 2016, exact, by erf */
GLIA_API glia_tensor glia_gelu_tanh(glia_tensor x);                /* its tanh approximation, as GPT-2 uses */
GLIA_API glia_tensor glia_silu(glia_tensor x);                     /* x sigmoid(x) */
GLIA_API glia_tensor glia_softplus(glia_tensor x);
GLIA_API glia_tensor glia_softmax(glia_tensor x, int axis);
GLIA_API glia_tensor glia_log_softmax(glia_tensor x, int axis);

GLIA_API glia_tensor glia_cast(glia_tensor x, glia_dtype dtype);
GLIA_API glia_tensor glia_stop_gradient(glia_tensor x);

/* Reductions over the listed axes (rank 0: over all). keep: reduced dimensions stay, as 1. */
GLIA_API glia_tensor glia_sum(glia_tensor x, glia_shape axes, bool keep);
GLIA_API glia_tensor glia_mean(glia_tensor x, glia_shape axes, bool keep);
GLIA_API glia_tensor glia_variance(glia_tensor x, glia_shape axes, bool keep); /* mean of (x - mean)^2 */
GLIA_API glia_tensor glia_max(glia_tensor x, glia_shape axes, bool keep); /* gradient of ties: shared equally */
GLIA_API glia_tensor glia_min(glia_tensor x, glia_shape axes, bool keep);
GLIA_API glia_tensor glia_prod(glia_tensor x, glia_shape axes, bool keep);
GLIA_API glia_tensor glia_argmax(glia_tensor x, int axis); /* i32, the axis removed; the first of ties */
GLIA_API glia_tensor glia_cumsum(glia_tensor x, int axis, bool exclusive, bool reverse);

GLIA_API glia_tensor glia_reshape(glia_tensor x, glia_shape shape); /* one dimension may be 0: computed */
GLIA_API glia_tensor glia_flatten(glia_tensor x);                   /* (N, ...) -> (N, F) */
GLIA_API glia_tensor glia_permute(glia_tensor x, glia_shape order); /* output axis i is input axis order.dim[i] */
GLIA_API glia_tensor glia_transpose(glia_tensor x);                 /* the last two axes swapped */
GLIA_API glia_tensor glia_broadcast(glia_tensor x, glia_shape shape);
/* x[start : stop : step] on every axis; a rank of 0 means from 0, to the end, by 1; a stop of INT64_MAX means the
 * end and negative ones count from it. On a batch axis start and stop are 0 or multiples of GLIA_BATCH. */
GLIA_API glia_tensor glia_slice(glia_tensor x, glia_shape start, glia_shape stop, glia_shape step);
/* `before` and `after` elements of `value` around each axis, `between` them (rank 0: none) as well. */
GLIA_API glia_tensor glia_pad(glia_tensor x, glia_shape before, glia_shape after, glia_shape between, double value);
GLIA_API glia_tensor glia_concat(const glia_tensor *xs, int n, int axis);
/* As numpy.take; outside: the nearest inside */
GLIA_API glia_tensor glia_gather(glia_tensor x, glia_tensor indices, int axis);
/* A tensor like x with one dimension `size` at `axis`, zero but for updates added at `indices`: gather's adjoint. */
GLIA_API glia_tensor glia_scatter_add(glia_tensor updates, glia_tensor indices, int axis, int64_t size);
/* x with `update`, of its shape but for a shorter `axis`, written over it from `position` (a scalar i32 or i64) on, which
 * counts as the nearest one from which it fits. */
GLIA_API glia_tensor glia_write(glia_tensor x, glia_tensor update, glia_tensor position, int axis);
/* For work on a few rows of a table (size, B...), where glia_scatter_add() would need all of it. rows (I..., B...) plus
 * others with the same index: what scatter_add would give the row that each is for. */
GLIA_API glia_tensor glia_row_sums(glia_tensor rows, glia_tensor indices, int64_t size);
/* x (K, B...) with row indices[i] replaced by rows[i], of which the last one counts. As the value of glia_update() of x
 * itself only these rows are written. */
GLIA_API glia_tensor glia_put_rows(glia_tensor x, glia_tensor indices, glia_tensor rows);
GLIA_API glia_tensor glia_one_hot(glia_tensor indices, int classes, glia_dtype dtype); /* (...) -> (..., classes) */
/* 0, 1, 2, ... along axis */
GLIA_API glia_tensor glia_iota(glia_graph *graph, glia_dtype dtype, glia_shape shape, int axis);

/* (..., M, K) x (..., K, N) -> (..., M, N); leading axes broadcast. transpose_a: a is (..., K, M). */
GLIA_API glia_tensor glia_matmul(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_matmul_transposed(glia_tensor a, bool transpose_a, glia_tensor b, bool transpose_b);

/* Uniform [0, 1) and N(0, 1): functions of the seed, the step and the place in the graph, on any number of threads. */
GLIA_API glia_tensor glia_random_uniform(glia_graph *graph, glia_shape shape);
GLIA_API glia_tensor glia_random_normal(glia_graph *graph, glia_shape shape);

/* Convolution (cross-correlation, as every framework has it). x (N, C, spatial...), kernel (K, C/groups, spatial...),
 * result (N, K, spatial...); one to three spatial axes, taken from x's rank. */
typedef enum glia_padding {
    GLIA_VALID,   /* none */
    GLIA_SAME,    /* ceil(size / stride) outputs, the odd zero at the end (TensorFlow's rule) */
    GLIA_EXPLICIT /* pad and pad_after */
} glia_padding;

typedef struct glia_conv_window {
    glia_padding padding;
    int stride, dilation;                                /* for every axis; 0: 1 */
    int pad;                                             /* both sides of every axis; means GLIA_EXPLICIT */
    int strides[3], dilations[3], pads[3], pads_after[3]; /* by axis; override the above where an entry is not 0 */
    int groups;                                          /* 0: 1; C: depthwise */
} glia_conv_window;

GLIA_API glia_tensor glia_conv(glia_tensor x, glia_tensor kernel, glia_conv_window window);
/* The adjoint of glia_conv in x ("deconvolution"). x (N, K, spatial...), kernel (K, C/groups, spatial...), result
 * (N, C, spatial...). output: the result's spatial sizes, rank 0: (in - 1) stride - pads + dilation (kernel - 1) +
 * 1. */
GLIA_API glia_tensor glia_conv_transposed(glia_tensor x, glia_tensor kernel, glia_conv_window window,
                                          glia_shape output);

typedef struct glia_pool_opts {
    int size;          /* of the window, every axis; 0: 2 */
    int stride;        /* 0: size */
    glia_padding padding;
    int pad;           /* both sides of every axis, smaller than the window; means GLIA_EXPLICIT */
    int sizes[3], strides[3], pads[3], pads_after[3]; /* by axis, where not 0 */
    bool count_padding; /* average pooling divides by the whole window, not by the part inside (PyTorch's default) */
} glia_pool_opts;

/* Pooling of (N, C, spatial...), one to three spatial axes. Gradient of ties in max: to the first. */
GLIA_API glia_tensor glia_max_pool(glia_tensor x, glia_pool_opts opts);
GLIA_API glia_tensor glia_avg_pool(glia_tensor x, glia_pool_opts opts);
GLIA_API glia_tensor glia_global_max_pool(glia_tensor x); /* (N, C, ...) -> (N, C) */
GLIA_API glia_tensor glia_global_avg_pool(glia_tensor x);

/* ==== 4. gradients ========================================================================== */

/* d sum(y) / d xs[i] as new tensors of the same graph: they can be used, and differentiated, like any other. An x
 * that y does not depend on gets zeros. */
GLIA_API void glia_grad(glia_tensor y, const glia_tensor *xs, int n, glia_tensor *gradients);
/* The same from a given dL/dy (a vector-Jacobian product). */
GLIA_API void glia_vjp(glia_tensor y, glia_tensor dy, const glia_tensor *xs, int n, glia_tensor *gradients);

/* ==== 5. layers ============================================================================= */
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
} glia_dense_opts;

/* (N, ..., F) -> (N, ..., units). kernel (units, F), bias (units). */
GLIA_API glia_tensor glia_dense(glia_tensor x, const char *name, glia_dense_opts opts);

typedef struct glia_conv_opts {
    int filters;
    int kernel;     /* size on every axis */
    int kernels[3]; /* by axis, where not 0 */
    int stride, dilation, groups, pad;
    glia_padding padding; /* pad without it means GLIA_EXPLICIT */
    glia_conv_window window; /* for what the fields above cannot say */
    glia_activation activation;
    bool no_bias;
    glia_init kernel_init, bias_init;
} glia_conv_opts;

/* (N, C, W), (N, C, H, W), (N, C, D, H, W) -> filters for C. kernel (filters, C/groups, ...), bias (filters). */
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
    double epsilon;      /* 0: 1e-5 */
    double momentum;     /* batch norm's running statistics: running = (1-m) running + m batch; 0: 0.1 */
    bool no_scale, no_shift;
} glia_norm_opts;

/* Ioffe and Szegedy 2015. (N, C, ...): statistics of each channel over the batch and space when training, running ones
 * otherwise. Parameters scale, shift; states running_mean, running_var (the unbiased variance), all (C). */
GLIA_API glia_tensor glia_batch_norm(glia_tensor x, const char *name, glia_norm_opts opts);
/* Ba et al. 2016, over the last axis F. Parameters scale, shift (F). */
GLIA_API glia_tensor glia_layer_norm(glia_tensor x, const char *name, glia_norm_opts opts);

/* Srivastava et al. 2014, inverted: kept values are divided by 1 - rate. Training only. */
GLIA_API glia_tensor glia_dropout(glia_tensor x, double rate);
/* The same for whole channels of (N, C, ...): neighbours tell each other's values (Tompson et al. 2015). */
GLIA_API glia_tensor glia_spatial_dropout(glia_tensor x, double rate);
/* The same for whole samples of (N, ...): stochastic depth, x + glia_drop_path(branch(x), rate) (Huang et al. 2016). */
GLIA_API glia_tensor glia_drop_path(glia_tensor x, double rate);
/* After glia_selu(): drops to selu's lower limit and keeps mean 0 and variance 1 (Klambauer et al. 2017). */
GLIA_API glia_tensor glia_alpha_dropout(glia_tensor x, double rate);

/* ==== 6. losses and metrics ================================================================= */
/* A loss is a scalar: the mean over the batch (and over what else the shapes hold). Labels and logits may have more
 * axes, (..., K) and (...). A label outside [0, K) adds nothing to the loss, but counts in the mean. */

/* (N, K), i32 (N) */
GLIA_API glia_tensor glia_cross_entropy(glia_tensor logits, glia_tensor labels, double label_smoothing);
/* The same, but labels outside [0, K) do not count in the mean either (PyTorch's ignore_index): padding, words that are not
 * asked for. 0 where no label is a class. (N, T, K), i32 (N, T) */
GLIA_API glia_tensor glia_cross_entropy_tokens(glia_tensor logits, glia_tensor labels, double label_smoothing);
/* (N, K) x2 */
GLIA_API glia_tensor glia_cross_entropy_one_hot(glia_tensor logits, glia_tensor target, double label_smoothing);
GLIA_API glia_tensor glia_nll(glia_tensor log_probabilities, glia_tensor labels);     /* (N, K), i32 (N) */
/* Same shapes; target in [0, 1] */
GLIA_API glia_tensor glia_binary_cross_entropy(glia_tensor logits, glia_tensor target);
GLIA_API glia_tensor glia_mse(glia_tensor prediction, glia_tensor target);
GLIA_API glia_tensor glia_mae(glia_tensor prediction, glia_tensor target);
GLIA_API glia_tensor glia_huber(glia_tensor prediction, glia_tensor target, double delta); /* 0: 1 */
/* target -1 or 1: mean max(0, 1 - ts) */
GLIA_API glia_tensor glia_hinge(glia_tensor score, glia_tensor target);
/* (N, K): mean over N of sum p (log p - log q) */
GLIA_API glia_tensor glia_kl_divergence(glia_tensor log_q, glia_tensor p);
/* (N, K), i32 (N): share of argmax hits */
GLIA_API glia_tensor glia_accuracy(glia_tensor scores, glia_tensor labels);
/* (N, T, K), i32 (N, T): the same of the labels that are classes */
GLIA_API glia_tensor glia_accuracy_tokens(glia_tensor scores, glia_tensor labels);

typedef enum glia_loss {
    GLIA_LOSS_DEFAULT, /* cross-entropy for integer labels (of tokens, where they are (N, T)), MSE for others */
    GLIA_CROSS_ENTROPY,
    GLIA_CROSS_ENTROPY_ONE_HOT,
    GLIA_BINARY_CROSS_ENTROPY,
    GLIA_MSE,
    GLIA_MAE,
    GLIA_HUBER,
    GLIA_HINGE,
    GLIA_NLL,
    GLIA_KL,
    GLIA_CROSS_ENTROPY_TOKENS, /* targets (N, T); those less than 0 are none */
    GLIA_LOSS_COUNT
} glia_loss;

/* ==== 7. optimisers ========================================================================= */

typedef enum glia_optimizer_kind {
    GLIA_SGD,      /* momentum, nesterov (Sutskever et al. 2013); velocity = momentum velocity + gradient */
    GLIA_ADAM,     /* Kingma and Ba 2015; weight decay, if any, joins the gradient (L2) */
    GLIA_ADAMW,    /* Loshchilov and Hutter 2019: decay apart from the gradient */
    GLIA_ADAGRAD,  /* Duchi et al. 2011 */
    GLIA_RMSPROP,  /* Tieleman and Hinton 2012; momentum optional */
    GLIA_ADADELTA, /* Zeiler 2012 */
    GLIA_ADAMAX,   /* Kingma and Ba 2015: Adam by the largest gradient */
    GLIA_NADAM,    /* Dozat 2016: Adam with Nesterov's momentum */
    GLIA_RADAM,    /* Liu et al. 2020: Adam with a rectified beginning */
    GLIA_LION,     /* Chen et al. 2023: signs; decay apart from the gradient */
    GLIA_LAMB,     /* You et al. 2020: Adam, each parameter's step as long as the parameter; for large batches */
    GLIA_MUON,     /* Jordan et al. 2024: orthogonal momentum for kernels, AdamW for the rest; costly for wide ones */
    GLIA_OPTIMIZER_COUNT
} glia_optimizer_kind;

/* What is different for the parameters whose names match. 0: as the optimiser says; less than 0: none. */
typedef struct glia_parameter_group {
    const char *pattern; /* glob, as for glia_freeze(); the first group that matches a parameter has it */
    double lr_scale;     /* its learning rate is so many times the optimiser's; 0: 1 */
    double weight_decay, l1, l2, max_norm;
} glia_parameter_group;

typedef struct glia_optimizer {
    glia_optimizer_kind kind;
    double lr;                 /* learning rate; 0: 0.01 for SGD, AdaGrad and RMSProp, 0.001 for Adam, AdamW, RAdam,
                                * LAMB and Muon, 0.002 for Adamax and NAdam, 1 for Adadelta, 0.0001 for Lion */
    double momentum;           /* SGD, RMSProp; Muon (0: 0.95) */
    bool nesterov;
    bool momentum_input;       /* SGD: the momentum is an input of the graph as the rate is, "momentum", so that it may
                                * change from step to step; begins with `momentum` */
    double beta1, beta2;       /* Adam and its kin, Lion, LAMB; 0: 0.9, 0.999 (Lion: 0.99) */
    bool amsgrad;              /* Adam, AdamW: by the largest mean square so far (Reddi et al. 2018) */
    double rho;                /* RMSProp, Adadelta; 0: 0.9 */
    double epsilon;            /* 0: 1e-8; AdaGrad 1e-10, Adadelta and LAMB 1e-6 */
    double weight_decay;       /* adds weight_decay w to the gradient, or is apart from it, as the kind says; 0: none */
    double l1, l2;             /* adds l1 sign(w) + l2 w to the gradient, whatever the kind: the gradient of a penalty
                                * l1 |w| + l2/2 w^2 */
    double max_norm;           /* Srivastava et al. 2014: after a step each unit's incoming weights (w[i, ...] of a
                                * kernel of rank 2 or more) are scaled down to this norm; 0: never */
    const glia_parameter_group *groups; /* exceptions, n_groups of them: "no decay of biases" is
                                         * { .pattern = "*bias", .weight_decay = -1 }; read during the call only */
    int n_groups;
    double clip_norm;          /* the gradient of all parameters together is scaled down to this norm; 0: never */
    double clip_value;         /* each element into [-v, v]; 0: never */
    int64_t accumulate;        /* a step is made of the gradients of so many batches (see glia_minimize); 0: 1 */
    glia_tensor batch_weight;  /* with accumulate: how much a batch counts among them, a scalar, such as the number of
                                * labels that the loss is the mean over; NULL: all batches the same */
    const char *sparse;        /* glob: of parameters whose names match, "words*", a step touches only the rows that the
                                * batch picked, by glia_embedding() or glia_gather() along axis 0; the others keep their
                                * bits, and so do their states (as in PyTorch's SparseAdam: moments do not fade and
                                * weights do not decay until a row is used). Not with Muon, LAMB, ema or accumulate */
    double ema;                /* keeps averages of the parameters, average = ema average + (1 - ema) w after each step,
                                * in states "GROUP/ema/NAME"; e.g. 0.99; 0: none (Polyak and Juditsky 1992) */
} glia_optimizer;

GLIA_API const char *glia_optimizer_name(glia_optimizer_kind kind); /* "sgd", "adam", ...; NULL: there is none */
/* With what zeros of it mean, for its kind, in their places. */
GLIA_API glia_optimizer glia_optimizer_resolved(glia_optimizer optimizer);

/* The learning rate is an input of the graph, "lr", or "lr/GROUP" if the group is not "train", so that it may
 * change from step to step without compiling again; a session starts with optimizer.lr in it. Adds to the graph the
 * gradients of `loss` in every trainable parameter that matches `pattern` (NULL: all) and the updates of parameters
 * and optimiser states ("GROUP/momentum/NAME", ...), as update group `group` (NULL: "train").
 * With accumulate > 1 there is a second update group, "GROUP.hold", that only adds its batch's gradients to the states
 * "GROUP/sum/NAME". Run accumulate - 1 times a program with the updates "GROUP.hold", then once one with "GROUP": it
 * takes the step for the mean gradient of all these batches, however many they were, and begins anew; with batch_weight
 * for the weighted mean, the gradient of one large batch. glia_fit weighs batches by their samples, or labels. */
GLIA_API void glia_minimize(glia_tensor loss, glia_optimizer optimizer, const char *pattern, const char *group);

/* How the learning rate changes over a fit: a factor of step s = 0, 1, ..., T - 1 on the optimiser's rate `lr`. First,
 * for `warmup` steps, it rises in a line: lr (s + 1) / warmup. What decays by itself (step, multistep, exponential,
 * inverse sqrt) counts s from the beginning of training; what fills the time that is left, or is periodic, begins
 * after the warm-up: t = s - warmup, and ends after T - warmup steps. Lengths are steps, or epochs with `in_epochs`, and
 * may be fractions. */
typedef enum glia_lr_schedule_kind {
    GLIA_LR_CONSTANT,
    GLIA_LR_LINEAR,       /* to `low` in a line */
    GLIA_LR_POLYNOMIAL,   /* low + (lr - low) (1 - t/T)^power */
    GLIA_LR_COSINE,       /* low + (lr - low) (1 + cos(pi t/T)) / 2; with a `period`, restarts (Loshchilov and Hutter
                           * 2017): after period, period growth, period growth^2, ... */
    GLIA_LR_STEP,         /* lr gamma^floor(s / period) */
    GLIA_LR_MULTISTEP,    /* lr gamma^(how many milestones are <= s) */
    GLIA_LR_EXPONENTIAL,  /* lr gamma^(s / period) */
    GLIA_LR_INVERSE_SQRT, /* lr sqrt(w / max(s + 1, w)), w = max(warmup, 1) (Vaswani et al. 2017) */
    GLIA_LR_TRIANGULAR,   /* Smith 2017: from `low` up to lr and back, in a line each, every `period` */
    GLIA_LR_TRIANGULAR2,  /* the same, lr - low halved after each cycle */
    GLIA_LR_EXP_RANGE,    /* the same, lr - low times gamma^t */
    GLIA_LR_ONE_CYCLE,    /* Smith and Topin 2018: from lr / divide up to lr in `rise` of the time, then down to
                           * lr / (divide divide_end), along half cosines */
    GLIA_LR_SCHEDULE_COUNT
} glia_lr_schedule_kind;

enum { GLIA_MILESTONES = 16 };

typedef struct glia_lr_schedule {
    glia_lr_schedule_kind kind;
    double low;    /* the lowest rate; 0 */
    double power;  /* 0: 1 */
    double gamma;  /* step, multistep 0: 0.1; exponential, exp-range: needed, per period, per step */
    double period; /* step, exponential 0: 1; the cyclical ones: needed (twice Smith's stepsize); cosine 0: no restarts */
    double growth; /* of cosine's period at each restart; 0: 1 */
    double milestones[GLIA_MILESTONES]; /* rising; 0: no more */
    double rise, divide, divide_end;    /* one-cycle; 0: 0.3, 25, 10,000 */
    double momentum_low; /* one-cycle and the cyclical ones: SGD's momentum falls to this as the rate rises, and back (Smith
                          * 2018, "A disciplined approach", section 4.3); e.g. 0.85; 0: it stays */
    double warmup;                      /* 0: none; from where the other lengths begin see above */
    bool in_epochs;                     /* warmup, period and milestones are epochs */
} glia_lr_schedule;

/* The rate in step `step` of `total`, `epoch_steps` of them in an epoch. */
GLIA_API double glia_lr_schedule_rate(const glia_lr_schedule *schedule, double lr, int64_t step, int64_t total,
                                   int64_t epoch_steps);
/* SGD's momentum in that step, where it is `momentum` when the rate is lowest. */
GLIA_API double glia_lr_schedule_momentum(const glia_lr_schedule *schedule, double momentum, int64_t step, int64_t total,
                                          int64_t epoch_steps);
/* As text, and back: "cosine(low=1e-5, warmup=500)", "step(period=30, gamma=0.1, in-epochs)",
 * "multistep(milestones=100:150, in-epochs)". */
GLIA_API glia_status glia_lr_schedule_parse(const char *text, glia_lr_schedule *schedule, glia_error *error);
GLIA_API void glia_lr_schedule_print(const glia_lr_schedule *schedule, char *out, size_t capacity);
GLIA_API const char *glia_lr_schedule_name(glia_lr_schedule_kind kind); /* "constant", "cosine", "exp-range", ... */
/* GLIA_OK, or which number does not lie in its domain. */
GLIA_API glia_status glia_lr_schedule_check(const glia_lr_schedule *schedule, glia_error *error);

/* ==== 8. programs and sessions ============================================================== */

/* Where programs run. "cpu": vector kernels chosen for this CPU (or what the environment's GLIA_ISA names: v2, v3,
 * v4, neon, generic) on a pool of threads. "ref": one thread, everything computed in double from each operation's
 * definition. */
typedef struct glia_backend glia_backend;
GLIA_API glia_backend *glia_backend_open(const char *name, int threads, glia_error *error); /* threads 0: all cores */
GLIA_API void glia_backend_close(glia_backend *backend);
GLIA_API const char *glia_backend_describe(const glia_backend *backend); /* "cpu, v4 (AVX-512), 2 threads" */

/* Named tensors: the values of a graph's parameters and states. Trainable parameters lie in one flat buffer. */
typedef struct glia_store glia_store;
GLIA_API glia_store *glia_store_create(const glia_graph *graph, uint64_t seed, glia_error *error); /* initialised */
GLIA_API void glia_store_free(glia_store *store);
/* Adds the leaves of `graph` that the store does not have yet, initialised. */
GLIA_API glia_status glia_store_add(glia_store *store, const glia_graph *graph, uint64_t seed, glia_error *error);

typedef struct glia_array {
    const char *name;
    glia_dtype dtype;
    glia_shape shape;
    void *data;
    bool parameter; /* false: a state */
} glia_array;
GLIA_API int glia_store_count(const glia_store *store);
/* `data` may be read and written at any time between runs, as long as the store lives. */
GLIA_API glia_array glia_store_at(const glia_store *store, int index);
GLIA_API bool glia_store_find(const glia_store *store, const char *name, glia_array *array);
/* A promise that nobody writes through what these two have given so far. Before it, predictions with a model whose
 * store was looked into compute anew, in every call, what depends on the values alone: right, but slower. */
GLIA_API void glia_store_settle(glia_store *store);

typedef enum glia_mode {
    GLIA_INFER, /* dropout passes, batch norm uses running statistics, updates are made only where asked for by name */
    GLIA_TRAIN
} glia_mode;

/* In what precision matrix products and convolutions multiply. Values, sums and parameters are f32 in any case. */
typedef enum glia_precision {
    GLIA_PRECISION_F32,
    GLIA_PRECISION_BF16 /* operands are rounded to bf16 (8 bits of mantissa) on their way into a product */
} glia_precision;

typedef struct glia_compile_opts {
    const glia_tensor *outputs; /* what to compute; at least one output or update */
    int n_outputs;
    glia_mode mode;
    /* Glob of the update groups to include; NULL: all for GLIA_TRAIN, none for GLIA_INFER; no two may change the same
     * leaf. */
    const char *updates;
    int64_t batch;       /* what GLIA_BATCH stands for; 0: 1 */
    glia_precision precision;
    bool no_fusion;      /* keep every operation a launch of its own, to look for mistakes */
    /* GLIA_INFER only: a promise that the store's parameters and states stay as they are from a session's first run on.
     * What depends on them alone is computed in that run and kept: scales behind a product (batch norm) become part of
     * its weights, which rounds differently, and the weights are packed as the kernels read them. It takes memory for
     * the new weights. When the promise was broken, glia_session_refresh(). */
    bool frozen;
} glia_compile_opts;

typedef struct glia_program glia_program;
GLIA_API glia_program *glia_compile(glia_graph *graph, glia_backend *backend, glia_compile_opts opts,
                                    glia_error *error);
GLIA_API void glia_program_free(glia_program *program); /* after its sessions */

typedef struct glia_program_info {
    size_t activation_bytes; /* what a session allocates, scratch included */
    size_t parameter_bytes;  /* of the leaves that the program touches, in the store */
    size_t unplanned_bytes;  /* what the activations would need without reuse */
    int launches;            /* kernels started by a run */
    int launches_once;       /* frozen: kernels that the first run starts besides */
    int nodes;
    double flops;            /* multiplications and additions of matrix products and convolutions in a run */
    double bytes;            /* what the kernels of a run read and write, each operand of each of them once */
} glia_program_info;
GLIA_API glia_program_info glia_program_inspect(const glia_program *program);
/* The program as text, a launch a line, for reading. Release with free(). */
GLIA_API char *glia_program_print(const glia_program *program);

/* A running instance: its own activations, the store's parameters (shared). One thread at a time. */
typedef struct glia_session glia_session;
GLIA_API glia_session *glia_session_create(glia_program *program, glia_store *store, glia_error *error);
GLIA_API void glia_session_free(glia_session *session);
/* Where to write an input before a run: dense, row-major, of the input's dtype. NULL: no such input (or not needed). */
GLIA_API void *glia_session_input(glia_session *session, const char *name, glia_array *array);
GLIA_API glia_status glia_session_run(glia_session *session, glia_error *error); /* allocates nothing */
/* Computes again what a frozen program's session keeps of the store's values; for after they have changed, or before the
 * first run, which then is as quick as the others. Other sessions have nothing to refresh. */
GLIA_API glia_status glia_session_refresh(glia_session *session, glia_error *error);
/* Valid until the next run or refresh. */
GLIA_API glia_array glia_session_output(const glia_session *session, int index);

/* The value of x, computed at once on the ref backend, for looking while building: batch 1, parameters as initialised
 * with seed 0, inputs zero. `values` has room for `capacity` doubles. */
GLIA_API glia_status glia_eval(glia_tensor x, double *values, int64_t capacity, glia_error *error);

/* ==== 9. models ============================================================================= */

/* A graph with named inputs and outputs, its parameters, and what is known about it. */
typedef struct glia_model glia_model;
GLIA_API glia_model *glia_model_create(const char *name, glia_error *error);
GLIA_API void glia_model_free(glia_model *model);
GLIA_API glia_graph *glia_model_graph(glia_model *model);
/* An input for samples of this shape; the batch axis is put before it. */
GLIA_API glia_tensor glia_model_input(glia_model *model, const char *name, glia_dtype dtype, glia_shape sample);
/* What the model computes; the first output is what losses and predictions use. */
GLIA_API void glia_model_output(glia_model *model, const char *name, glia_tensor y);
/* The inputs and outputs in the order of their making; NULL: none at this index. `name` (may be NULL) gets its name. */
GLIA_API glia_tensor glia_model_input_at(const glia_model *model, int index, const char **name);
GLIA_API glia_tensor glia_model_output_at(const glia_model *model, int index, const char **name);
/* Initialises the parameters. Called by the first action that needs them with seed 0 if you have not. */
GLIA_API glia_status glia_model_init(glia_model *model, uint64_t seed, glia_error *error);
GLIA_API glia_store *glia_model_store(glia_model *model); /* NULL before glia_model_init */
GLIA_API int64_t glia_model_parameter_count(const glia_model *model, bool trainable_only);

/* Metadata: short texts by key, saved with the model ("name", "classes", "mean", ...). */
GLIA_API glia_status glia_model_set(glia_model *model, const char *key, const char *value, glia_error *error);
GLIA_API const char *glia_model_get(const glia_model *model, const char *key); /* NULL: not set */

/* One safetensors file: the values by name, the graph as text and the rest in its metadata. */
GLIA_API glia_status glia_model_save(glia_model *model, const char *path, glia_error *error);
GLIA_API glia_model *glia_model_load(const char *path, glia_error *error);
/* Takes the values of the tensors in a safetensors file whose names, shapes and dtypes match; `loaded` (may be
 * NULL) gets their number. A name in both with another shape is an error. */
GLIA_API glia_status glia_model_load_weights(glia_model *model, const char *path, int *loaded, glia_error *error);

/* The rows of a summary: the operations that belong together by the layer's name, in the order of the graph. */
enum { GLIA_LAYER_TEXT = 64, GLIA_LAYER_INPUTS = 8 };
typedef struct glia_layer_info {
    char name[GLIA_LAYER_TEXT];       /* "": operations between layers */
    char operations[GLIA_LAYER_TEXT]; /* "conv add relu" */
    glia_shape output;
    int64_t parameters;
    int inputs[GLIA_LAYER_INPUTS]; /* the rows that it reads from, at most so many */
    int n_inputs;
} glia_layer_info;
/* Fills at most `capacity`; returns how many there are, -1 if memory ran out or the graph has a mistake. */
GLIA_API int glia_model_layers(const glia_model *model, glia_layer_info *out, int capacity);

/* Layers, shapes, parameters and planned memory for this batch size, as text. Release with free(). */
GLIA_API char *glia_model_summary(glia_model *model, int64_t batch, glia_error *error);

/* ==== 10. data ============================================================================== */

/* Samples x with targets y: images, rows, sequences, with labels or values. */
typedef struct glia_dataset glia_dataset;

/* By name or address: "mnist", "fashion-mnist", "kmnist", "cifar10", "strokes", "strokes?n=5000&seed=3",
 * "idx:IMAGES,LABELS", "csv:FILE?label=COLUMN" (also target=, header=, sep=, drop=), "cifar:FILE,FILE",
 * "images:FOLDER|ARCHIVE", "npy:X,Y", "npz:FILE", "libsvm:FILE", "raw:FILE?shape=3x32x32", "lines:FILE", "text:FILE",
 * "texts:FOLDER|ARCHIVE": glia_data_formats() lists them with their options, docs/data.md explains them. Named data are looked for in
 * `folder` (may be NULL), $GLIA_DATA, ./data and ~/.cache/glia. split: "train" (NULL: that) or "test". An address
 * of files is one set, the same for both splits, unless it says "test=0.2" (and "seed=1"): then a fifth of the
 * samples, drawn by the seed, is the test split. Pixels come as bytes and are scaled to [0, 1] when they are read. */
GLIA_API glia_dataset *glia_data_open(const char *address, const char *split, const char *folder, glia_error *error);

/* The data sets that have names. */
typedef struct glia_data_info {
    const char *name, *what; /* what: a line for people */
    const char *source;      /* where to get it */
    int64_t train, test;     /* samples */
    glia_shape x_shape;
    int classes;
} glia_data_info;
/* Fills at most `capacity`; returns how many there are */
GLIA_API int glia_data_list(glia_data_info *out, int capacity);
GLIA_API bool glia_data_available(const char *name, const char *folder); /* glia_data_open() would find its files */

/* The kinds of addresses. */
typedef struct glia_data_format {
    const char *syntax, *what; /* "images:FOLDER|ARCHIVE?size=32x32&channels=3"; what: a line for people */
} glia_data_format;
/* Fills at most `capacity`; returns how many there are */
GLIA_API int glia_data_formats(glia_data_format *out, int capacity);

/* Arrays in memory; copied unless `borrow`. n samples; y may be NULL. */
typedef struct glia_arrays {
    int64_t n;
    const void *x;
    glia_dtype x_dtype;
    glia_shape x_shape; /* of one sample */
    const void *y;
    glia_dtype y_dtype; /* i32 labels; anything else is a value */
    glia_shape y_shape; /* of one target; rank 0: a number */
    int classes;        /* 0: 1 + the largest label (below 2^20) */
    bool borrow;
} glia_arrays;
GLIA_API glia_dataset *glia_data_arrays(glia_arrays arrays, glia_error *error);
/* Handwriting-like digits drawn by the library: n samples of (1, 28, 28) bytes, labels 0-9; the same for the same
 * seed. */
GLIA_API glia_dataset *glia_data_strokes(int64_t n, uint64_t seed, glia_error *error);
/* Samples [begin, end) of another, which must outlive it. */
GLIA_API glia_dataset *glia_data_range(glia_dataset *data, int64_t begin, int64_t end, glia_error *error);
GLIA_API void glia_data_free(glia_dataset *data);

/* Parts of the data, which must outlive them; every sample is in one of them. The same seed, the same parts. */
typedef struct glia_split_opts {
    double validation; /* share of the samples; 0: 0.1 unless there is a test split */
    double test;       /* share; 0: none */
    bool stratified;   /* every part has the classes' shares */
    uint64_t seed;
} glia_split_opts;
/* `test` may be NULL where its share is 0. A part without a share is NULL. */
GLIA_API glia_status glia_data_split(glia_dataset *data, glia_split_opts opts, glia_dataset **train,
                                     glia_dataset **validation, glia_dataset **test, glia_error *error);
/* Fold `fold` (from 0) of k-fold cross-validation: the fold is the validation data, the others train. */
GLIA_API glia_status glia_data_fold(glia_dataset *data, int folds, int fold, bool stratified, uint64_t seed,
                                    glia_dataset **train, glia_dataset **validation, glia_error *error);
/* Weights with which all classes count the same: samples / (classes * samples of the class), 0 for one that has none.
 * One for each class; or for each sample the one of its class, as glia_loader_opts.weights takes them. */
GLIA_API glia_status glia_data_class_weights(const glia_dataset *data, double *weights, glia_error *error);
GLIA_API glia_status glia_data_sample_weights(const glia_dataset *data, double *weights, glia_error *error);

GLIA_API int64_t glia_data_count(const glia_dataset *data);
GLIA_API glia_shape glia_data_x_shape(const glia_dataset *data); /* of a sample */
GLIA_API glia_shape glia_data_y_shape(const glia_dataset *data);
GLIA_API glia_dtype glia_data_y_dtype(const glia_dataset *data);
GLIA_API int glia_data_classes(const glia_dataset *data); /* 0: not a classification */
GLIA_API const char *glia_data_class_name(const glia_dataset *data, int label);
GLIA_API const char *glia_data_name(const glia_dataset *data);
/* Where samples are tokens: the tokenizer.json (text.h) that their ids are of; NULL: they are not. */
GLIA_API const char *glia_data_tokenizer(const glia_dataset *data);

/* x becomes (x - mean[c]) / stddev[c], after bytes were scaled to [0, 1]. One value for each channel (the first
 * axis of a sample of rank 3) or column (of rank 1), or a single one for all: n says how many. A stddev of 0 counts
 * as 1. Replaces an earlier normalisation. */
GLIA_API glia_status glia_data_normalize(glia_dataset *data, const double *mean, const double *stddev, int n,
                                         glia_error *error);
/* Computes the channels' (columns') mean and standard deviation before normalisation; `mean` and `stddev` have room for
 * `capacity`, and if that is not enough get a single value for all. Returns how many; 0: a sample could not be read. */
GLIA_API int glia_data_statistics(const glia_dataset *data, double *mean, double *stddev, int capacity);
/* Sample `index`, as a model would see it: x as f32, y of its own dtype. Either may be NULL. */
GLIA_API glia_status glia_data_get(const glia_dataset *data, int64_t index, float *x, void *y, glia_error *error);

/* Reads a PNG, JPEG, PGM or PPM picture as a model takes it, x (C, H, W): made grey (C = 1) or coloured (3),
 * resized, and scaled to [0, 1]. GLIA_E_UNSUPPORTED: this build has no decoder for it. */
GLIA_API glia_status glia_image_load(const char *path, glia_shape shape, float *x, glia_error *error);

/* Random changes of samples; see glia/augment.h. */
typedef struct glia_augment glia_augment;

/* Batches of a data set, prepared ahead by worker threads. What is in them depends on the seed and the epoch alone. */
typedef struct glia_loader_opts {
    int64_t batch;    /* 0: 32 */
    bool shuffle;
    bool drop_last;   /* leave out the last batch if it is smaller */
    uint64_t seed;
    int workers;      /* 0: 1; -1: none, prepared by the caller */
    const glia_augment *augment; /* NULL: none; must outlive the loader */
    const double *weights; /* one for each sample, or NULL: samples are drawn with replacement in proportion to them */
    bool stratified;       /* shuffled so that every batch has the classes' shares */
} glia_loader_opts;
typedef struct glia_batch {
    int64_t n;              /* samples in this batch */
    const float *x;         /* (n, sample) */
    const void *y;          /* (n, target) of glia_loader_y_dtype() */
    const int64_t *indices; /* which samples */
} glia_batch;
typedef struct glia_loader glia_loader;
GLIA_API glia_loader *glia_loader_create(const glia_dataset *data, glia_loader_opts opts, glia_error *error);
GLIA_API void glia_loader_free(glia_loader *loader);
/* From its first batch, or from any: what comes then is what would have come. `batch` may be the number of batches. */
GLIA_API glia_status glia_loader_start(glia_loader *loader, int64_t epoch, glia_error *error);
GLIA_API glia_status glia_loader_start_at(glia_loader *loader, int64_t epoch, int64_t batch, glia_error *error);
/* False: the epoch is over; valid until the next */
GLIA_API bool glia_loader_next(glia_loader *loader, glia_batch *batch);
/* GLIA_OK, or why an epoch ended early: a sample that could not be read. */
GLIA_API glia_status glia_loader_check(const glia_loader *loader, glia_error *error);
GLIA_API int64_t glia_loader_batches(const glia_loader *loader);        /* in an epoch */
/* Of a batch's targets: as the data have them, unless the augmentation mixes samples. */
GLIA_API glia_dtype glia_loader_y_dtype(const glia_loader *loader);
GLIA_API glia_shape glia_loader_y_shape(const glia_loader *loader); /* of one target */

/* ==== 11. fit, evaluate, predict ============================================================ */

typedef struct glia_scores {
    double loss, accuracy; /* means over all samples, of tokens over all that have a label; accuracy is NaN where there
                              are no classes */
    int64_t samples;
    double seconds;
} glia_scores;

/* A training in progress, for callbacks (callbacks.h): stopping it, its learning rate, checkpoints. */
typedef struct glia_training glia_training;

/* A figure by name: "loss", "accuracy", "val_loss", "val_accuracy", "lr", and metrics as "f1" and "val_f1". */
typedef struct glia_value {
    const char *name;
    double value;
} glia_value;

/* What callbacks are told. */
typedef struct glia_progress {
    glia_training *training;
    glia_model *model;
    int64_t epoch, epochs; /* from 1 */
    int64_t step, steps;   /* in this epoch, from 1 */
    int64_t done, total;   /* steps since training began, and those that there will be */
    int64_t samples;       /* seen in this epoch */
    double seconds;        /* since the epoch began */
    double loss;           /* of this step's batch */
    glia_scores train;     /* means since the epoch began */
    glia_scores validation; /* in epoch_end, if there is validation data; else NaN */
    double lr;             /* learning rate of this step */
    const glia_value *values; /* the figures so far in this epoch; at its end all that there are */
    int n_values;
    size_t activation_bytes, parameter_bytes; /* of the training step, planned */
} glia_progress;

/* Something that watches a training and may steer it: functions that are called at its moments, any of them NULL. A
 * status other than GLIA_OK ends the training with it; GLIA_E_INTERRUPTED is the one for "stop here, with what there
 * is". callbacks.h has the usual ones, under Keras's names; this struct, filled in by hand, is Keras's LambdaCallback. */
typedef glia_status (*glia_callback_fn)(const glia_progress *progress, void *context, glia_error *error);
typedef struct glia_callback {
    const char *name;
    glia_callback_fn train_begin; /* before the first step: step 0 */
    glia_callback_fn epoch_begin;
    glia_callback_fn step_end;
    glia_callback_fn validation_begin, validation_end; /* around the pass over the validation data */
    glia_callback_fn epoch_end;
    glia_callback_fn train_end; /* also after an error or an interruption, if train_begin succeeded */
    void *context;
    void (*free)(void *context); /* glia_fit() calls it at its very end; may be NULL */
    /* What a checkpoint keeps of the callback: `bytes` of plain memory that stay in their place from train_begin on;
     * NULL: nothing. */
    void *(*state)(void *context, size_t *bytes);
    bool after_others; /* its turn comes when the others have had theirs: for what saves their states */
} glia_callback;

typedef struct glia_fit_opts {
    int64_t epochs; /* 0: 1 */
    int64_t batch;  /* 0: 32 */
    glia_loss loss;
    double label_smoothing;
    const double *class_weights; /* (classes): a sample's loss counts as many times as its class says; NULL: once */
    glia_optimizer optimizer;    /* zero: SGD */
    glia_lr_schedule schedule;      /* of its rate; zero: constant */
    const glia_dataset *validation;
    const char *metrics;         /* of metrics.h, comma-separated, beside loss and accuracy: "f1,roc-auc"; NULL: none */
    const glia_augment *augment; /* of augment.h, for the training data; NULL: none */
    const double *sample_weights; /* one for each sample: draws them with replacement, in proportion; NULL: each once */
    bool stratified;             /* each batch has the classes in their shares */
    const glia_callback *callbacks; /* in this order; copied, and freed by their `free` whatever comes */
    int n_callbacks;
    uint64_t seed;         /* of the parameters (if not yet initialised), the order, augmentation and dropout */
    glia_backend *backend; /* NULL: "cpu" with `threads` */
    int threads;           /* 0: all cores */
    int workers;           /* of the loader; 0: 1 */
    glia_precision precision;
    int64_t max_steps;     /* stop after so many steps in all; 0: no limit */
} glia_fit_opts;

/* Trains the model's first output on the data. The loss, the optimiser and its states are the fit's own: the model
 * may be fitted again, and saved, without them. Where the output is a softmax, log-softmax or sigmoid,
 * cross-entropies are computed from what is before it. A sample of any shape fits an input (N, F) of as many
 * numbers. Integer targets are classes. GLIA_E_INTERRUPTED when a callback said so: the model is usable.
 * GLIA_E_ARGUMENT when the loss stops being finite: the model has again the values with which that epoch began. */
GLIA_API glia_status glia_fit(glia_model *model, const glia_dataset *data, glia_fit_opts opts, glia_error *error);

typedef struct glia_evaluate_opts {
    int64_t batch; /* 0: 256 */
    glia_loss loss;
    glia_backend *backend;
    int threads;
    int64_t *confusion; /* may be NULL: (classes, classes) counts, rows the truth; classes as the data have */
    int32_t *predicted; /* may be NULL: the predicted class of each sample */
} glia_evaluate_opts;
GLIA_API glia_status glia_evaluate(glia_model *model, const glia_dataset *data, glia_evaluate_opts opts,
                                   glia_scores *scores, glia_error *error);

/* The first output for n samples x (n, sample) -> y (n, output), f32. Like glia_evaluate() it computes with the values
 * that the model has at that moment. The model keeps the compiled program, frozen (glia_compile_opts), and a backend if
 * none is given, so a second call costs little more than its run. Several threads may call it at once; each makes a
 * program of its own then. */
GLIA_API glia_status glia_predict(glia_model *model, const float *x, int64_t n, float *y, glia_backend *backend,
                                  glia_error *error);

#ifdef __cplusplus
}
#endif
#endif
