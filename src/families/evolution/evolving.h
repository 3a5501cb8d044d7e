/* evolving.h - what the methods of evolution share: the settings of episodes, figures, the end. */
#ifndef GLIA_SRC_FAMILIES_EVOLUTION_EVOLVING_H
#define GLIA_SRC_FAMILIES_EVOLUTION_EVOLVING_H

#include "families/evolution/crowd.h"
#include "train/run/training.h"

/* Begins the memory of each method. */
typedef struct glia_evolving {
    /* settings */
    int64_t generations, episodes, eval_episodes;
    double enough;
    /* training */
    glia_stage stage;
    int loss_mean, best_figure, mean_figure, eval_figure, size_figure, links_figure;
    /* mean returns of the first and last episode, if nets live for `episodes` episodes; -1: they do not */
    int first_figure, last_figure;
    double last[2]; /* best and mean return of the last generation */
} glia_evolving;

#define GLIA_EVOLVING_SETTINGS                                                                                         \
    GLIA_EVOLVING_SETTINGS_WITH(5, "episodes by which a candidate is judged; the same ones for all of a generation")
/* With another number of episodes, and another meaning. */
#define GLIA_EVOLVING_SETTINGS_WITH(episodes_, help_)                                                                  \
    {                                                                                                                  \
        "generations", GLIA_SETTING_INT,         offsetof(glia_evolving, generations), 10, 1, 1e9,                     \
        NULL,          "generations in an epoch"                                                                       \
    },                                                                                                                 \
        { "episodes", GLIA_SETTING_INT, offsetof(glia_evolving, episodes), episodes_, 1, 1e6, NULL, help_ },           \
        { "eval_episodes",                                                                                             \
          GLIA_SETTING_INT,                                                                                            \
          offsetof(glia_evolving, eval_episodes),                                                                      \
          100,                                                                                                         \
          1,                                                                                                           \
          1e6,                                                                                                         \
          NULL,                                                                                                        \
          "episodes that the best plays after an epoch" },                                                             \
    {                                                                                                                  \
        "enough", GLIA_SETTING_REAL, offsetof(glia_evolving, enough), 0, -1e300, 1e300, NULL,                          \
            "training ends when the best returns this after an epoch; 0: the environment's threshold"                  \
    }

/* The record of a method of evolution, with the functions begin, step, measure, show, finish, arrays, restore and end
 * of its file. */
#define GLIA_EVOLVING_METHOD(id_, name_, memory_, settings_, assess_, summary_, paper_)                                \
    const glia_method glia_method_##id_ = {                                                                            \
        .about = { .name = name_,                                                                                      \
                   .summary = summary_,                                                                                \
                   .paper = paper_,                                                                                    \
                   .settings = settings_,                                                                              \
                   .n_settings = GLIA_COUNT(settings_),                                                                \
                   .uses = GLIA_USES_ENVIRONMENT,                                                                      \
                   .assesses = true },                                                                                 \
        .bytes = sizeof(memory_),                                                                                      \
        .begin = begin,                                                                                                \
        .step = step,                                                                                                  \
        .measure = measure,                                                                                            \
        .show = show,                                                                                                  \
        .finish = finish,                                                                                              \
        .arrays = arrays,                                                                                              \
        .restore = restore,                                                                                            \
        .end = end,                                                                                                    \
        .assess = assess_,                                                                                             \
    }

/* Sets the stage; declares the mean "loss" and figures; names the environment in the model's metadata. */
glia_status glia_evolving_begin(glia_training *training, const char *size, const char *links, glia_error *error);
/* The first seed of this generation's episodes. */
uint64_t glia_evolving_seed(const glia_training *training);
/* After a generation of `population` candidates. */
void glia_evolving_count(glia_training *training, int64_t population, double best, double mean);
/* What a checkpoint keeps of this memory, as an array; and takes back, if `check_only` is false. */
glia_array glia_evolving_array(glia_training *training);
glia_status glia_evolving_restore(glia_training *training, const glia_array *from, int n, bool check_only,
                                  glia_error *error);
/* The first seed of the `eval_episodes` episodes after an epoch. By their returns: sets the figures, ends the training
 * if that is enough. */
uint64_t glia_evolving_eval_seed(const glia_training *training);
void glia_evolving_judge(glia_training *training, const double *returns);
/* Plays them with the best net, and judges. */
glia_status glia_evolving_measure(glia_training *training, glia_crowd best, glia_error *error);
/* Shows a text and a drawing (SVG); both may be NULL. They are freed. */
glia_status glia_evolving_show(char *text, char *svg, glia_show_fn show, void *context, glia_error *error);

/* Where to play: opts->environment, or that of the model's training, which is also put into *own, to be freed. */
glia_status glia_evolving_environment(const glia_model *model, const glia_assess_opts *opts, const glia_env **env,
                                      glia_env **own, glia_error *error);
/* The mean of every `life`th value of returns (n), from `first` on; NaN: there is none. */
double glia_evolving_every(const double *returns, int64_t n, int64_t first, int64_t life);
/* The method hook `assess`: plays with the model, which is fed its own "next" as "state" if it has them. */
glia_status glia_evolving_assess(const void *memory, glia_model *model, const glia_assess_opts *opts,
                                 glia_assessment *out, glia_error *error);

#endif
