/* method.h - the record of a method: what it builds, what a step is, what it measures, shows and keeps.
 *
 * A method is one file with one record and a row in families/methods.def. training.c calls it:
 *
 *     begin ──► (step ... step, measure, show) for each epoch ──► end
 *
 * Everything around a step belongs to the run: data, seeds, learning rate, callbacks, checkpoints, diagnosis.
 */
#ifndef GLIA_SRC_TRAIN_RUN_METHOD_H
#define GLIA_SRC_TRAIN_RUN_METHOD_H

#include "base/settings.h"
#include "glia/methods.h"

typedef struct glia_method {
    glia_method_info about;
    size_t bytes; /* of the method's memory, zeroed before begin; the settings' offsets point into it */

    /* Checks model and data and builds everything. Declares means and figures, sets training->states, and creates
     * training->loader or sets training->epoch_steps. */
    glia_status (*begin)(glia_training *training, glia_error *error);
    /* One step; training->progress.lr is its learning rate. Adds to the means and sets training->progress.loss: a
     * value that is not finite ends the training. batch is NULL without a loader. */
    glia_status (*step)(glia_training *training, const glia_batch *batch, glia_error *error);
    /* At the end of an epoch: sets the figures. NULL: there are none. */
    glia_status (*measure)(glia_training *training, glia_error *error);
    /* See glia_training_show(). NULL: nothing to show. */
    glia_status (*show)(glia_training *training, glia_show_fn show, void *context, glia_error *error);

    /* After the last step, also when a callback has stopped the training: puts the result into the model. NULL: it is
     * there already. */
    glia_status (*finish)(glia_training *training, glia_error *error);

    /* What a checkpoint keeps besides the values of model and states: fills at most `capacity` arrays, whose data stay
     * in place until the next call, and returns their number. NULL: nothing. */
    int (*arrays)(glia_training *training, glia_array *arrays, int capacity);
    /* Takes them back from a checkpoint, after checking them: with `check_only` nothing may change. NULL: the arrays
     * must have the same names, dtypes and shapes, and are copied. */
    glia_status (*restore)(glia_training *training, const glia_array *arrays, int n, bool check_only,
                           glia_error *error);

    /* After a loss that is not finite in this step: describes the origin, if it is found. NULL: no diagnosis. */
    glia_status (*diagnose)(glia_training *training, int64_t step, char *what, size_t capacity, glia_error *error);
    /* Frees everything; also after begin failed. */
    void (*end)(glia_training *training);

    /* Draws n samples; memory holds the settings only. With samples NULL only *shape is set. NULL: cannot. */
    glia_status (*sample)(const void *memory, glia_model *model, int64_t n, const glia_sample_opts *opts,
                          glia_shape *shape, float *samples, glia_error *error);
    /* See glia_assess(); memory holds the settings only, and data are there if the method uses them. NULL: cannot. */
    glia_status (*assess)(const void *memory, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                          glia_error *error);
} glia_method;

/* The settings of a method, for base/settings.h. */
static inline glia_setting_table glia_method_table(const glia_method_info *method) {
    return (glia_setting_table){ "method", method->name, method->settings, method->n_settings };
}

/* Adds a value; `name` must be a constant. Values beyond GLIA_ASSESSED are left out. */
static inline void glia_assessment_add(glia_assessment *out, const char *name, double value) {
    if (out->n < GLIA_ASSESSED) out->values[out->n++] = (glia_value){ name, value };
}

/* Runs a training by this method: everything that glia_train() and glia_fit() do. */
glia_status glia_training_run(const glia_method *method, const char *settings, glia_model *model,
                              const glia_dataset *data, glia_fit_opts opts, glia_error *error);

#endif
