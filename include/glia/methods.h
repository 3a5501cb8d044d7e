/* methods.h - training by any method: supervised, adversarial, diffusion, ...
 *
 * A method is a way to learn. Its settings are a table, so that programs and the command can list, check and print
 * them:
 *
 *     glia_train(model, data, "gan", "loss=wgan-gp critic_steps=5", (glia_fit_opts){ .epochs = 20 }, &error);
 *     glia_sample(model, 64, (glia_sample_opts){ .seed = 1 }, pictures, &error);
 *
 * Epochs, batches, seeds, learning rate schedules, callbacks and checkpoints are the same for all methods (fit.h,
 * callbacks.h). glia_fit() is the method "fit".
 */
#ifndef GLIA_METHODS_H
#define GLIA_METHODS_H

#include "glia/callbacks.h"
#include "glia/settings.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Which fields of glia_fit_opts a method uses. Setting another one is an error. */
enum {
    GLIA_USES_DATA = 1,       /* needs data; without this flag data and workers are refused */
    GLIA_USES_TARGETS = 2,    /* loss, label_smoothing, class_weights, stratified, metrics, optimizer.accumulate */
    GLIA_USES_VALIDATION = 4, /* validation */
    GLIA_USES_AUGMENT = 8,    /* augment, sample_weights */
    GLIA_USES_OPTIMIZER = 16, /* optimizer, schedule */
    GLIA_USES_PRECISION = 32, /* precision */
    GLIA_USES_ENVIRONMENT = 64, /* needs environment; without this flag one is refused */
    GLIA_USES_GRAPHS = 128,   /* needs graphs */
    GLIA_USES_TEXT = 256,     /* needs text */
    GLIA_USES_BATCH = 512     /* batch */
};

typedef struct glia_method_info {
    const char *name, *summary; /* "gan"; a line for people */
    const char *paper;          /* "Goodfellow et al. 2014"; NULL: none */
    const glia_setting *settings;
    int n_settings;
    unsigned uses;
    bool ranked;  /* a smaller "val_loss" or "loss" means a better model */
    bool samples; /* glia_sample() can draw from its models */
    bool assesses; /* glia_assess() knows its models */
    bool inpaints; /* glia_sample() uses known and mask */
    bool prompts;  /* glia_sample() uses prompt */
} glia_method_info;
/* All methods, in alphabetical order; NULL: none at this index, or of this name. */
GLIA_API const glia_method_info *glia_method_at(int index);
GLIA_API const glia_method_info *glia_method_find(const char *name);

/* The settings with all defaults filled in, as "name=value name=value". `settings` (may be NULL) has the same form,
 * separated by spaces or commas; `changes` (may be NULL) override them. GLIA_E_ARGUMENT for an unknown name (with the
 * nearest one), a value outside its domain or a name that comes twice in one text. NULL: see error. Release with
 * free(). */
GLIA_API char *glia_method_settings(const char *method, const char *settings, const char *changes, glia_error *error);

/* Trains the model by this method. Each method says which inputs and outputs the model must have. `settings` as for
 * glia_method_settings(). data may be NULL for methods that need none. The method and its settings become metadata of
 * the model ("method", "method.settings"). Errors and interruption as for glia_fit(). */
GLIA_API glia_status glia_train(glia_model *model, const glia_dataset *data, const char *method, const char *settings,
                                glia_fit_opts opts, glia_error *error);

/* ---- what a method shows ------------------------------------------------------------------------- */

typedef enum glia_shown_kind {
    GLIA_SHOWN_PICTURES, /* values (n, C, H, W) in [0, 1], C 1 or 3 */
    GLIA_SHOWN_POINTS,   /* values (n, 2) */
    GLIA_SHOWN_TEXT,     /* text */
    GLIA_SHOWN_DRAWING   /* text: an SVG file */
} glia_shown_kind;
typedef struct glia_shown {
    const char *name; /* "samples" */
    glia_shown_kind kind;
    int64_t n;
    glia_shape sample; /* of one picture or point */
    const float *values;
    const char *text;
} glia_shown;
/* Everything is valid during the call only. */
typedef glia_status (*glia_show_fn)(void *context, const glia_shown *shown, glia_error *error);
/* Calls `show` for each thing that the method has to show at this moment, such as samples of a generator. The same
 * moment of the same training shows the same, and training does not change by it. For epoch_end. */
GLIA_API glia_status glia_training_show(glia_training *training, glia_show_fn show, void *context, glia_error *error);

/* ---- sampling ------------------------------------------------------------------------------------- */

typedef struct glia_sample_opts {
    uint64_t seed;        /* the same seed gives the same samples for the same n */
    const char *settings; /* of the method, instead of those that the model was trained with; NULL: none */
    glia_backend *backend; /* NULL: "cpu" with `threads` */
    int threads;           /* 0: all cores */
    /* Inpainting, by methods that can: all samples keep `known` (sample) where mask (sample) is not 0. NULL: neither */
    const float *known, *mask;
    const char *prompt; /* words that all samples follow, by methods that know words; NULL: none */
    /* Called by methods that sample in steps, after each, with the samples [first, first + n) as they are then (n,
     * sample); a status other than GLIA_OK ends sampling with it. NULL: none */
    glia_status (*watch)(void *context, const float *samples, int64_t first, int64_t n, int step, int steps,
                         glia_error *error);
    void *context;
} glia_sample_opts;
/* Draws n samples from a model that glia_train() trained: samples (n, sample), f32; pictures lie in [0, 1].
 * GLIA_E_UNSUPPORTED: the model was not trained by a method that draws samples. */
GLIA_API glia_status glia_sample(glia_model *model, int64_t n, glia_sample_opts opts, float *samples,
                                 glia_error *error);
/* The shape of one sample; rank 0: glia_sample() cannot draw from this model. */
GLIA_API glia_shape glia_sample_shape(const glia_model *model);

/* ---- figures of a trained model ------------------------------------------------------------------- */

typedef struct glia_assess_opts {
    const glia_dataset *data; /* for methods that use data: those to measure on, normalised as for training */
    const glia_env *environment; /* to play in; NULL: that of the training, by the model's metadata */
    const struct glia_graph_data *graphs; /* for methods that use graphs (graphs.h) */
    int64_t count;            /* of samples to draw or episodes to play; 0: the method's default */
    uint64_t seed;
    const char *settings;  /* of the method, instead of those that the model was trained with; NULL: none */
    glia_backend *backend; /* NULL: "cpu" with `threads` */
    int threads;           /* 0: all cores */
} glia_assess_opts;
enum { GLIA_ASSESSED = 32 };
typedef struct glia_assessment {
    glia_value values[GLIA_ASSESSED]; /* by name: "return", "fid"; names are never freed */
    int n;
    char note[256]; /* what a reader must know to compare the values; "": nothing */
} glia_assessment;
/* Measures a model that glia_train() trained, as its method does: returns of episodes, distances between drawn and real
 * samples, ... The same options give the same values at any number of threads. GLIA_E_UNSUPPORTED: the model's method
 * has no such measure; models of "fit" are measured by glia_evaluate(). */
GLIA_API glia_status glia_assess(glia_model *model, glia_assess_opts opts, glia_assessment *out, glia_error *error);

#ifdef __cplusplus
}
#endif

#endif
