/* tensor.h - dtypes, shapes, graphs, and the leaves of a graph. */
#ifndef GLIA_TENSOR_H
#define GLIA_TENSOR_H

#include "glia/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum glia_dtype {
    GLIA_F32, /* zero, the default */
    GLIA_F64,
    GLIA_BF16, /* for storage: cast before arithmetic */
    GLIA_F16,  /* for storage: cast before arithmetic */
    GLIA_I32,
    GLIA_I64,
    GLIA_U8,
    GLIA_BOOL, /* one byte, 0 or 1 */
    GLIA_I8,   /* storage: cast before arithmetic */
    GLIA_DTYPE_COUNT
} glia_dtype;

GLIA_API const char *glia_dtype_name(glia_dtype dtype); /* "f32", "bf16", "i64", "u8", "bool", "i8", ... */
GLIA_API size_t glia_dtype_size(glia_dtype dtype);      /* bytes of one element */

enum { GLIA_MAX_RANK = 8 };

/* Row-major. A negative dimension stands for a size that compiling fixes: GLIA_SHAPE(GLIA_BATCH, 10) is ten numbers for
 * each sample, GLIA_SHAPE(GLIA_NODES, 10) ten for each node of a batch of graphs that have different numbers of
 * nodes. */
typedef struct glia_shape {
    int rank; /* 0: a scalar */
    int64_t dim[GLIA_MAX_RANK];
} glia_shape;

/* The three symbolic sizes, printed as N, V and E. Nodes and edges are those of all graphs of a batch together; a
 * ragged batch of sequences may have its tokens as nodes. A dimension is a multiple of one size; there are no products
 * such as N V. */
#define GLIA_BATCH (-1)
#define GLIA_NODES (-(INT64_C(1993) << 52) - 1)
#define GLIA_EDGES (-(INT64_C(1901) << 52) - 1)
/* k times one of the three: GLIA_TIMES(2, GLIA_EDGES). 2 * GLIA_EDGES is no dimension; -2 is 2 GLIA_BATCH. */
#define GLIA_TIMES(k, size) ((size) + 1 - (int64_t)(k))
/* One more than one of the three: the offsets of a row for each node are (GLIA_PLUS_ONE(GLIA_NODES)). */
#define GLIA_PLUS_ONE(size) ((size) - (INT64_C(1) << 50))
/* GLIA_SHAPE(2, 3) is an expression in C and in C++ (C++11 and later, where it is constexpr). */
#ifdef __cplusplus
}
template <typename... Sizes> constexpr glia_shape glia_shape_of(Sizes... sizes) {
    static_assert(sizeof...(Sizes) <= GLIA_MAX_RANK, "a shape has at most GLIA_MAX_RANK dimensions");
    return glia_shape{ static_cast<int>(sizeof...(Sizes)), { static_cast<int64_t>(sizes)... } };
}
extern "C" {
#define GLIA_SCALAR (glia_shape())
#define GLIA_SHAPE(...) (glia_shape_of(__VA_ARGS__))
#else
#define GLIA_SCALAR ((glia_shape){ 0 })
#define GLIA_SHAPE(...)                                                                  \
    ((glia_shape){ .rank = (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), \
                   .dim = { __VA_ARGS__ } })
#endif

GLIA_API bool glia_shape_equal(glia_shape a, glia_shape b);
/* Elements; a dimension as above if one is symbolic; INT64_MIN if that is no multiple of one size (N V), or too
 * large. */
GLIA_API int64_t glia_shape_count(glia_shape shape);

/* An array in memory with a name: a parameter, a state, an input or an output. */
typedef struct glia_array {
    const char *name;
    glia_dtype dtype;
    glia_shape shape;
    void *data;
    bool parameter; /* false: a state */
} glia_array;

/* ==== graphs and tensors ==================================================================== */

typedef struct glia_graph glia_graph; /* threads: any number may read and compile it; one that adds needs exclusive
                                         access */
typedef struct glia_node *glia_tensor; /* a value in a graph; immutable, owned by the graph */

/* A new empty graph; NULL if out of memory (building on NULL is allowed, and compiling it reports the cause). */
GLIA_API glia_graph *glia_graph_create(void);
GLIA_API void glia_graph_free(glia_graph *graph);

/* GLIA_OK, or the first error while building. */
GLIA_API glia_status glia_graph_check(const glia_graph *graph, glia_error *error);

GLIA_API glia_dtype glia_tensor_dtype(glia_tensor x);
GLIA_API glia_shape glia_tensor_shape(glia_tensor x);
GLIA_API glia_graph *glia_tensor_graph(glia_tensor x);

/* The mode in which a graph is compiled. */
typedef enum glia_mode {
    GLIA_INFER, /* dropout does nothing, batch norm uses running statistics, updates run only if named */
    GLIA_TRAIN  /* dropout is active, batch norm uses the batch's statistics and updates the running ones */
} glia_mode;

/* Values set before each run. Names are unique among inputs. */
GLIA_API glia_tensor glia_input(glia_graph *graph, const char *name, glia_dtype dtype, glia_shape shape);

/* A constant. `values` has one double for each element; it is copied. */
GLIA_API glia_tensor glia_constant(glia_graph *graph, glia_dtype dtype, glia_shape shape, const double *values);
GLIA_API glia_tensor glia_scalar(glia_graph *graph, glia_dtype dtype, double value);
/* A scalar of x's dtype broadcast to x's shape: glia_like(x, 0) is zeros, glia_like(x, 1) ones. */
GLIA_API glia_tensor glia_like(glia_tensor x, double value);

/* The initialiser of a parameter. fan_in and fan_out of a kernel are computed from its shape: (units, F) for dense, (K,
 * C/groups, spatial...) for convolutions. */
typedef enum glia_init_kind {
    GLIA_INIT_DEFAULT,           /* the layer's default: Glorot uniform for kernels, zeros for biases, as in Keras */
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
    GLIA_INIT_ORTHOGONAL,        /* Saxe et al. 2014; gain `value` (0: 1; GLIA_ZERO: zeros) */
    GLIA_INIT_FAN_IN_UNIFORM,    /* U(-1/sqrt(fan_in), 1/sqrt(fan_in)), torch.nn's default; `fan_in` if given */
    GLIA_INIT_SEED,              /* the state of random operations: the seed (its low 53 bits), then zeros */
    GLIA_INIT_PART,              /* `value` in [low, high), fractions of the number of elements; 0 elsewhere */
    GLIA_INIT_CHRONO             /* Tallec and Ollivier 2018, bias of an LSTM for dependencies of up to `value` > 2
                                  * steps: log U(1, value - 1) for the forget gates, its negative for the input gates */
} glia_init_kind;

typedef struct glia_init {
    glia_init_kind kind;
    double value, low, high, mean, stddev; /* used by the kinds above; stddev 0: 1; GLIA_ZERO: the mean */
    double fan_in;                         /* 0: from the shape; a bias has none of its own */
} glia_init; /* integers and bools begin with zeros unless told; kinds of numbers below 1 are refused for them */

/* Named leaves. A parameter is trained; a state (running statistics, counters) is changed by updates only. An existing
 * name returns the same leaf, so weights are shared by name: dtype and shape must be the same, and the initialiser too
 * unless it is GLIA_INIT_DEFAULT. */
GLIA_API glia_tensor glia_parameter(glia_graph *graph, const char *name, glia_dtype dtype, glia_shape shape,
                                    glia_init init);
GLIA_API glia_tensor glia_state(glia_graph *graph, const char *name, glia_dtype dtype, glia_shape shape,
                                glia_init init);

/* Excludes parameters whose names match the glob pattern ("conv*,dense1/?ias") from training, or includes them again.
 * Returns the number of matches. A pattern without a match is an error, and so is freezing a parameter after
 * glia_minimize() has created its updates. */
GLIA_API int glia_freeze(glia_graph *graph, const char *pattern, bool frozen);

/* The parameters whose names match the pattern (NULL: all), in order of creation: fills at most `capacity`, returns
 * their number. */
GLIA_API int glia_parameters(glia_graph *graph, const char *pattern, glia_tensor *out, int capacity);
/* A layer's result: the newest tensor created under its name, "conv1" or "h0/mlp", in built and in loaded models. */
GLIA_API glia_tensor glia_layer_output(glia_graph *graph, const char *name);
/* Copies of the ys, out[i] for ys[i], with from[k] replaced by to[k] (of the same dtype and shape): other weights for
 * the same net (fast weights, target nets), another input, a patched activation. Nodes that do not depend on a replaced
 * tensor are shared; random operations of the copy draw their own numbers. A from[k] on which no y depends is an
 * error. */
GLIA_API void glia_substitute(const glia_tensor *ys, int n_ys, const glia_tensor *from, const glia_tensor *to, int n,
                              glia_tensor *out);

/* After each run of a program that includes it, `value` is assigned to `leaf`. `group` names updates that a program can
 * select (NULL: "train"). */
GLIA_API void glia_update(glia_tensor leaf, glia_tensor value, const char *group);

#ifdef __cplusplus
}
#endif

#endif
