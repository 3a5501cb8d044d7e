/* saved.h - a trained model in a file, with what `glia train` wrote about it into the metadata:
 *
 *   data       the address it was trained on          mean, stddev   of the inputs' channels, comma-separated
 *   classes    their names, one a line                loss           "cross-entropy", "mse"
 *   tokenizer  the tokenizer.json of what it reads
 *   paper      "dark": pictures are light on dark, as MNIST's digits are
 */
#ifndef GLIA_TOOL_SAVED_H
#define GLIA_TOOL_SAVED_H

#include "terminal/tool.h"

typedef struct saved {
    glia_model *model;
    char *path;        /* of the file */
    glia_shape sample; /* of the input, without the batch axis */
    int outputs;       /* numbers in an output */
    char **classes;    /* outputs of them, or NULL: not a classification */
    double *mean, *stddev;
    int n_normal;     /* 0: inputs are taken as they are */
    const char *data; /* NULL: unknown */
    bool dark_paper;
} saved;

/* The model's file: in a run folder, or the path itself. To be freed. */
char *saved_path(const char *path);

/* A run folder or a safetensors file. Returns -1, or the exit status after saying what is wrong. */
int saved_open(saved *s, const char *path);
void saved_close(saved *s);

/* Inputs as the model was trained on them. */
int saved_normalize(const saved *s, glia_dataset *data);
void saved_normalize_sample(const saved *s, float *x);

/* Writes that metadata. */
typedef struct saved_about {
    const glia_dataset *data; /* for the classes */
    const char *address;
    const double *mean, *stddev;
    int n_normal;
    int64_t labels; /* of a sample: 0: it has values; 1: a class; more: a sequence of them */
    bool dark_paper;
} saved_about;
int saved_describe(glia_model *model, const saved_about *about);

/* Whether the pictures' borders are dark and their middles lighter: digits in white ink. */
bool paper_is_dark(const glia_dataset *data);

#endif
