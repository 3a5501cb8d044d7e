/* source.h - what a run learns from: a dataset, text, graphs, an environment, or nothing. A kind is one file with one
 * record, a row of sources.def, and found by the flag of the methods that use it.
 */
#ifndef GLIA_TOOL_SOURCE_H
#define GLIA_TOOL_SOURCE_H

#include "runs/training.h"

enum {
    SOURCE_ADDRESS = 1, /* --data, --data-folder */
    SOURCE_SAMPLES = 2, /* --validation-split, --normalize, --augment, weights of classes, --workers */
    SOURCE_ACTIONS = 4  /* --env, --copies */
};

/* Functions that return int return -1 to go on, or the exit status after printing an error. */
typedef struct source {
    unsigned flag; /* GLIA_USES_DATA, ...; 0: of methods that use nothing */
    unsigned takes;      /* SOURCE_ADDRESS | ...: options that concern it; others are refused */
    const char *instead; /* added to a refusal of SOURCE_SAMPLES; NULL: nothing */
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

/* Finds the method's kind of source as t->source and opens it. */
int source_open(training *t);

#endif
