/* explain.h - why a model answers as it does: attributions of its output to its inputs, and checks of them.
 *
 * An explainer is a model, or any function of rows, with a method and its settings; it explains one sample after the
 * other. Methods are rows of a table, as those of training (methods.h):
 *
 *     glia_explainer *why = glia_explainer_create(model, "integrated-gradients", (glia_explain_opts){ 0 }, &error);
 *     glia_explanation e;
 *     glia_explain(why, x, GLIA_LARGEST_OUTPUT, &e, &error);      e.values, e.base_value, e.residual, ...
 *
 *   gradients     saliency (Simonyan et al. 2014), gradient-x-input (Shrikumar et al. 2016), smoothgrad (Smilkov et al.
 *                 2017), integrated-gradients (Sundararajan et al. 2017), guided-backprop (Springenberg et al. 2015)
 *   maps          grad-cam (Selvaraju et al. 2017), grad-cam++ (Chattopadhay et al. 2018), attention-rollout (Abnar and
 *                 Zuidema 2020)
 *   of any        occlusion (Zeiler and Fergus 2014), lime (Ribeiro et al. 2016); Shapley values (Lundberg and Lee
 *   function      2017): exact-shap, kernel-shap, permutation-shap, sampling-shap (Strumbelj and Kononenko 2014)
 *   of a net      gradient-shap (expected gradients, Erion et al. 2021), deep-shap (DeepLIFT's rescale rule, Shrikumar
 *                 et al. 2017)
 *
 * Every explanation says how good it is: `residual`, what its values lack of the difference that they explain;
 * `errors`, the standard errors of what was estimated from random draws; `r2` of a local model. Methods that draw, or
 * integrate, go on until the setting `tolerance` is met or the setting `most` forbids it; `converged` says which. The
 * same seed gives the same explanation, bit for bit, at any number of threads.
 */
#ifndef GLIA_EXPLAIN_H
#define GLIA_EXPLAIN_H

#include "glia/methods.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== explainers ============================================================================ */

/* What a value of a function or a model is. */
typedef enum glia_score {
    GLIA_SCORE_OUTPUT,     /* the output as it is */
    GLIA_SCORE_PROBABILITY /* softmax of the outputs; unchanged if the model ends with a softmax */
} glia_score;

typedef struct glia_explain_opts {
    const char *settings; /* of the method, "steps=64 tolerance=1e-4"; NULL: defaults */
    glia_score score;
    /* Samples (n_background, sample) that stand for what is unknown: SHAP averages over them, LIME learns from them how
     * a table is distributed. Of the other methods they are baselines: integrated gradients averages over them,
     * occlusion and LIME of text take the first. Copied. NULL: one sample of zeros. */
    const float *background;
    int64_t n_background;
    /* (sample): elements with the same number, from 0, are one feature: superpixels, the columns of a one-hot code, the
     * tokens of a word. Those with -1 are never changed. Copied. NULL: every element is a feature; LIME of a picture
     * makes superpixels. For occlusion, LIME and SHAP of functions. */
    const int32_t *groups;
    uint64_t seed;
    glia_backend *backend; /* NULL: "cpu" with `threads` */
    int threads;           /* 0: all cores */
} glia_explain_opts;

/* values[i, k] (n, outputs) of rows (n, sample). A status other than GLIA_OK ends the explanation with it. */
typedef glia_status (*glia_row_function)(const float *rows, int64_t n, double *values, void *context,
                                         glia_error *error);

/* One thread at a time. */
typedef struct glia_explainer glia_explainer;
/* Takes a copy of the model; its first output, of any shape, counts as a row of outputs. A model with an integer input
 * gets f32 samples that hold the ids. GLIA_E_NOT_FOUND: there is no such method or layer, with the nearest name. */
GLIA_API glia_explainer *glia_explainer_create(glia_model *model, const char *method, glia_explain_opts opts,
                                               glia_error *error);
/* Of a function of rows. Methods that need a net are GLIA_E_UNSUPPORTED. */
GLIA_API glia_explainer *glia_explainer_of_function(glia_row_function function, void *context, glia_shape sample,
                                                    int outputs, const char *method, glia_explain_opts opts,
                                                    glia_error *error);
GLIA_API void glia_explainer_free(glia_explainer *explainer);

typedef struct glia_explanation {
    glia_shape shape; /* of values: the sample's; (H, W) of maps; (T) of tokens; (features) with groups */
    int64_t n;        /* how many values */
    double *values;
    double *errors;      /* (n) standard errors of the values; NULL: nothing was drawn at random */
    int32_t *groups;     /* (sample): the feature of each element, -1: none; NULL: an element is a feature */
    int output;          /* the output that is explained */
    double output_value; /* the model's, for x */
    double base_value;   /* what the values are relative to: the mean output for the background, the local model's
                         * intercept; NaN: the method has none */
    double residual;     /* output_value - base_value - sum of values; NaN without a base */
    double error;        /* the largest of errors; 0: none; for integrated gradients |residual| */
    double r2;           /* LIME: weighted R^2 of the local model; else NaN */
    double local_value;  /* LIME: the local model's output for x; else NaN */
    int64_t evaluations; /* rows for which the model was computed */
    bool converged;      /* the tolerance was met; true if there is none to meet */
} glia_explanation;
enum { GLIA_LARGEST_OUTPUT = -1 };
/* Explains x (sample). After an error nothing needs to be freed. */
GLIA_API glia_status glia_explain(glia_explainer *explainer, const float *x, int output, glia_explanation *explanation,
                                  glia_error *error);
GLIA_API void glia_explanation_free(glia_explanation *explanation);
/* One number for each element of the sample: values of features go to all their elements, maps to all channels. */
GLIA_API glia_status glia_explanation_spread(const glia_explanation *explanation, glia_shape sample, double *values,
                                             glia_error *error);

/* All methods, in alphabetical order, with their settings; NULL: none at this index, or of this name. */
GLIA_API const glia_method_info *glia_explain_method_at(int index);
GLIA_API const glia_method_info *glia_explain_method_find(const char *name);
/* Whether the method needs a model: it cannot explain a function of rows. */
GLIA_API bool glia_explain_needs_model(const char *method);

/* ==== parts that are useful alone ============================================================ */

/* Achanta et al. 2012, "SLIC superpixels": x (C, H, W), C 1 or 3 (RGB in [0, 1], compared as CIELAB) -> groups (H, W),
 * connected, numbered from 0 row by row. */
typedef struct glia_slic_opts {
    int segments;       /* about how many; 0: 50 */
    double compactness; /* the weight of distance against colour; 0: 10 */
    int iterations;     /* 0: 10 */
} glia_slic_opts;
/* Returns their number; -1: see error. */
GLIA_API int glia_slic(const float *x, glia_shape shape, glia_slic_opts opts, int32_t *groups, glia_error *error);

/* The local model of LIME (Ribeiro et al. 2016, section 3.4): a weighted ridge regression of y (n) on at most
 * `features` of the columns of z (n, d), chosen as the package lime does: forward for at most 6 of them, else by the
 * largest weights of a regression on all columns times the first row. */
typedef struct glia_local_model {
    double intercept, r2;
    double *weights; /* (d), the caller's; 0 for columns that were not chosen */
    double *errors;  /* (d), the caller's; may be NULL: standard errors that hold for unequal variances (White 1980) */
} glia_local_model;
GLIA_API glia_status glia_local_fit(const double *z, const double *y, const double *weight, int64_t n, int64_t d,
                                    int features, glia_local_model *model, glia_error *error);

/* ==== checks of explanations ================================================================= */

/* Adebayo et al. 2018, "Sanity checks for saliency maps", cascading randomization: layers get new random parameters,
 * from the output to the input, one more in each step, and what is compared is the explanation after each step with the
 * one of the trained model. A method whose explanations stay similar does not explain the model. */
typedef struct glia_randomization_step {
    char layer[64];
    double rank_correlation;          /* Spearman's, of the values */
    double absolute_rank_correlation; /* of the absolute values */
} glia_randomization_step;
/* Fills at most `capacity` steps; returns their number, -1: see error. opts as for glia_explainer_create(). */
GLIA_API int glia_explain_randomization(glia_model *model, const char *method, glia_explain_opts opts, const float *x,
                                        int output, glia_randomization_step *steps, int capacity, glia_error *error);

/* Petsiuk et al. 2018, "RISE": the score while elements are replaced by `blank` (sample; NULL: zeros), those with the
 * largest values first, or while they are put into it. values: one for each place, an element of the sample or a pixel
 * of all channels. curve (steps + 1); returns the area under it, with the axis from 0 to 1; NaN: see error. A low area
 * of deletion and a high one of insertion speak for an explanation. */
GLIA_API double glia_explain_deletion(glia_explainer *explainer, const float *x, int output, const double *values,
                                      int64_t n, const float *blank, int steps, double *curve, glia_error *error);
GLIA_API double glia_explain_insertion(glia_explainer *explainer, const float *x, int output, const double *values,
                                       int64_t n, const float *blank, int steps, double *curve, glia_error *error);

/* Zhang et al. 2018, the pointing game: whether the largest of values (H, W) lies in the box of this size; the first of
 * equal ones counts. A map without differences points nowhere. */
GLIA_API bool glia_explain_points_at(const double *values, int64_t height, int64_t width, int64_t top, int64_t left,
                                     int64_t box_height, int64_t box_width);

#ifdef __cplusplus
}
#endif

#endif
