/* explain.h - internals of explanations: the record of a method, an explainer, and what methods share.
 *
 * A method is a file with a record and a row in explainers.def. explainer.c is what is around all of them: the model or
 * function, settings, the chosen output, the memory of an explanation.
 */
#ifndef GLIA_SRC_DEPLOY_EXPLAIN_EXPLAIN_H
#define GLIA_SRC_DEPLOY_EXPLAIN_EXPLAIN_H

#include "base/base.h"
#include "core/graph/graph.h"
#include "glia/explain.h"

enum {
    GLIA_EXPLAIN_MODEL = 1,      /* the method needs the graph of a model */
    GLIA_EXPLAIN_GROUPS = 2,     /* it uses opts.groups */
    GLIA_EXPLAIN_BACKGROUND = 4, /* it uses opts.background */
};

enum { GLIA_INPUTS_MOST = 64 }; /* of an operation, for what is rewritten or tabulated */

typedef struct glia_explain_method {
    glia_method_info about;
    size_t bytes; /* of the method's memory, zeroed before begin; the settings' offsets point into it */
    unsigned uses;
    glia_status (*begin)(glia_explainer *e, glia_error *error); /* NULL: nothing to do */
    /* Fills the explanation: glia_explanation_start(), values, and its figures. output is an index. */
    glia_status (*run)(glia_explainer *e, const float *x, int output, glia_explanation *out, glia_error *error);
    void (*end)(glia_explainer *e); /* frees what the memory holds, also after begin failed; NULL: nothing */
} glia_explain_method;

struct glia_explainer {
    const glia_explain_method *method;
    void *memory; /* the method's */
    glia_arena texts;
    glia_model *model; /* a copy; NULL: a function of rows */
    glia_tensor input; /* the copy's */
    glia_backend *backend;
    bool owns_backend;
    glia_row_function function;
    void *context;
    glia_shape sample;
    int64_t size; /* numbers in a sample */
    int outputs;
    glia_score score;
    float *background; /* (n_background, size) */
    int64_t n_background;
    bool given_background;
    int32_t *groups; /* NULL: none */
    int n_groups;
    uint64_t seed;
    int64_t evaluations; /* rows, in this explanation */
    struct glia_affine *affine; /* of games; NULL: the net has none, or none was looked for */
    bool looked_for_affine;
};

/* ---- explainer.c ------------------------------------------------------------------------------ */

/* The score of one output for n rows (n, size). */
glia_status glia_explainer_values(glia_explainer *e, const float *rows, int64_t n, int output, double *values,
                                  glia_error *error);
/* The score of an output of y (outputs); one that is not finite is an error. */
glia_status glia_explainer_score(const glia_explainer *e, const double *y, int output, double *score,
                                 glia_error *error);
/* Memory for n values of this shape, with errors if asked; figures are NaN, error 0, converged true. */
glia_status glia_explanation_start(glia_explanation *out, glia_shape shape, bool errors, glia_error *error);
/* Takes the residual from values, base and output; `error` from errors, if there are any. */
void glia_explanation_finish(glia_explanation *out);
/* Random numbers of a method's draw number k, from 0. */
glia_rng glia_explain_rng(const glia_explainer *e, uint64_t k);

/* ---- differentiate.c -------------------------------------------------------------------------- */

/* A model as a function of what it is differentiated by: its input, or the result of a layer (embedded tokens). */
typedef struct glia_point {
    glia_graph *graph;
    glia_tensor input;  /* the model's */
    glia_tensor layer;  /* what `at` stands for; NULL: at is the input */
    glia_tensor at;     /* (N, ...) f32 */
    glia_tensor select; /* (N, outputs) f32: the weight of each output in `score` */
    glia_tensor score;  /* (N) */
    glia_shape shape;   /* of one `at` */
    int64_t size;
    int outputs;
    glia_function *embed, *gradient; /* of layer by input; of score and its gradient by at */
    float *at_rows, *select_rows;    /* (rows, ...): what the inputs get in a call */
    void *input_rows;
    int64_t rows;     /* in a call, at most */
    bool reads_input; /* the score depends on the input besides `layer` */
} glia_point;

/* (y->id + 1): which nodes y depends on, itself included; NULL: out of memory. Release with free(). */
bool *glia_live_of(const glia_node *y);
/* The setting of the layer, in the settings of methods whose memory (a `type`) has a member `layer`. */
#define GLIA_LAYER_SETTING(type)                                                                                       \
    {                                                                                                                  \
        "layer", GLIA_SETTING_TEXT, offsetof(type, layer), 0, 0, 0, NULL,                                              \
            "the layer whose result is attributed (the input; of token ids their embedding)"                           \
    }

/* Builds the score. layer: name of the layer; NULL: the input, for ids the first table that they are looked up in. */
glia_status glia_point_begin(glia_explainer *e, const char *layer, glia_point *p, glia_error *error);
/* Makes p->gradient: score and d score / d at. Called when the graph is as it should be. */
glia_status glia_point_compile(glia_explainer *e, glia_point *p, glia_error *error);
void glia_point_end(glia_point *p);
/* What `at` is for n samples: (n, size). */
glia_status glia_point_embed(glia_explainer *e, glia_point *p, const float *x, int64_t n, float *at, glia_error *error);
/* Scores (n; may be NULL) and gradients (n, size) at n points; x (sample) is the sample that they belong to. */
glia_status glia_point_gradient(glia_explainer *e, glia_point *p, const float *x, const float *at, int64_t n,
                                int output, double *scores, float *gradients, glia_error *error);
/* Calls a function of the graph that needs what the score needs, and `more` inputs of that many rows: n <= p->rows
 * points, padded to a power of two. */
glia_status glia_point_call(glia_explainer *e, glia_point *p, glia_function *f, const float *x, const float *at,
                            int64_t n, int output, glia_array *more, int n_more, glia_array *outputs,
                            glia_error *error);
/* The rows of such a call: the power of two that n is padded to. */
int64_t glia_point_padded(int64_t n);
/* A function of the graph's values in inference, over the model's store. */
glia_function *glia_point_function(glia_explainer *e, const glia_tensor *outputs, int n, glia_error *error);
/* A sample as the model's input takes it: `to` is f32 or i32, or i64. */
void glia_point_fill(const glia_point *p, const float *x, int64_t count, void *to);
/* The shape of the values for attributions of `at`: that of `at`, without the last axis of an embedding. */
glia_shape glia_point_values(const glia_point *p);
/* Adds attributions (size) to values, over the last axis of an embedding. */
void glia_point_add(const glia_point *p, const double *attributions, double *values);

/* ---- linear.c --------------------------------------------------------------------------------- */

/* Whether the node's op is one of these names; NULL ends them. */
bool glia_is_named(const glia_node *n, const char *const *names);
/* Whether the node is affine in those of its inputs that depend on the sample: depends (n_in). */
bool glia_is_linear(const glia_node *n, const bool *depends);

/* ---- game.c ----------------------------------------------------------------------------------- */

/* A sample as a game: players are its features, and a coalition's value is the score with its features from x and the
 * others from the background, averaged over that. */
typedef struct glia_game {
    glia_explainer *e;
    const float *x;
    int output;
    int players;     /* features that differ from the background somewhere */
    int *feature;    /* (players): which feature */
    int64_t *starts; /* (players + 1), into elements */
    int64_t *elements;
    int32_t *picked; /* (size): -1 where the element comes from x, else 0, for one coalition */
    int features;
    double empty, full; /* values of the empty coalition and of all players */
    float *rows;        /* (capacity, size) */
    double *scores;     /* (capacity) */
    int64_t capacity;
} glia_game;
glia_status glia_game_begin(glia_explainer *e, const float *x, int output, glia_game *g, glia_error *error);
void glia_game_end(glia_game *g);
/* Rows number (coalition, background) from `first` on, to g->rows: count <= g->capacity. */
void glia_game_fill(glia_game *g, const uint8_t *members, int64_t first, int64_t count);
/* Values of n coalitions; members (n, players), 0 or 1. */
glia_status glia_game_values(glia_game *g, const uint8_t *members, int64_t n, double *values, glia_error *error);
/* Starts the explanation and writes Shapley values (players) and errors (players; NULL: none) to their features. */
glia_status glia_game_explain(const glia_game *g, const double *phi, const double *errors, glia_explanation *out,
                              glia_error *error);
/* Whether errors (n) are within tolerance times the largest of |values|. 0: no tolerance to meet. */
bool glia_within(const double *errors, const double *values, int64_t n, double tolerance);

/* ---- affine.c --------------------------------------------------------------------------------- */

/* The affine part with which a model begins. made: NULL if it has none, or if using it would not pay. */
typedef struct glia_affine glia_affine;
glia_status glia_affine_begin(glia_explainer *e, int features, glia_affine **made, glia_error *error);
void glia_affine_free(glia_affine *a);
/* Looks at the sample of a game, whose players are known. */
glia_status glia_affine_sample(glia_game *g, glia_error *error);
/* Adds the values of n coalitions to `values`; members (n, players). */
glia_status glia_affine_values(glia_game *g, const uint8_t *members, int64_t n, double *values, glia_error *error);

/* ---- solve.c ---------------------------------------------------------------------------------- */

/* Cholesky: a (n, n) becomes L, with diagonal entries of at least `least` times the largest one before the root. */
void glia_factor(double *a, int64_t n, double least);
/* b becomes the solution of L L^T x = b. */
void glia_solve(const double *l, int64_t n, double *b);

#endif
