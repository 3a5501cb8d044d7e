/* source.h - what a run learns from: a dataset, an environment, or nothing. A kind is one file with one record, a row of sources.def, and
 * found by the flag of the methods that use it.
 */
#ifndef GLIA_TOOL_SOURCE_H
#define GLIA_TOOL_SOURCE_H

#include "runs/training.h"

/* Functions that return int return -1 to go on, or the exit status after printing an error. */
typedef struct source {
    unsigned flag; /* GLIA_USES_DATA, ...; 0: of methods that use nothing */
    /* Opens what the settings name, or the model's default, and fills in the settings that concern it. */
    int (*open)(training *t);
    /* The shape of one input and the number of outputs of the model that is to be built. */
    void (*sizes)(const training *t, glia_shape *x, int64_t *outputs);
    /* Builds the model by its row; NULL: glia_recipe_build() of these sizes. */
    glia_model *(*build)(const training *t, glia_error *error);
    /* Once the model is built: checks options, changes the samples, writes metadata of the model. */
    int (*prepare)(training *t);
    int64_t (*samples)(const training *t); /* to train on in an epoch; 0: there is no such number */
    void (*tell)(const training *t);       /* prints a line about itself */
    /* What the finished model is assessed on (glia_assess). NULL: it is not, when training ends. */
    void (*assess)(const training *t, glia_assess_opts *opts);
    void (*close)(training *t);
} source;

const source *source_of(const glia_method_info *method);

/* Refuses the options that concern datasets, or environments, for other kinds of sources. */
int source_refuse_dataset(training *t);
int source_refuse_environment(training *t);

#endif
