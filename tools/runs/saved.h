/* saved.h - a trained model in a file, with what `glia train` wrote about it into the metadata:
 *
 *   data       the address it was trained on          mean, stddev   of the inputs' channels, comma-separated
 *   classes    their names, one a line                loss           "cross-entropy", "mse"
 *   columns    of a table, in order, one a line       tokenizer      the tokenizer.json of its texts
 *   range      "LEAST,MOST" of the inputs before they were normalised, of the first samples
 *
 * In names of classes and columns a line break is written \n, a backslash \\.
 */
#ifndef GLIA_TOOL_SAVED_H
#define GLIA_TOOL_SAVED_H

#include "terminal/tool.h"

/* Names in the order of the model's inputs and scores. */
typedef struct saved_names {
    char **columns, **classes; /* NULL: unknown */
    int n_columns, n_classes;
    const char *tokenizer; /* the model's; NULL: none */
} saved_names;
void saved_names_read(saved_names *names, const glia_model *model);
void saved_names_free(saved_names *names);
/* Opens the data, with the model's tokenizer, and matches columns and classes by name. NULL: see error. */
glia_dataset *saved_names_open(const saved_names *names, const char *address, const char *split, const char *folder,
                               glia_error *error);

typedef struct saved {
    glia_model *model;
    char *path;        /* of the file */
    glia_shape sample; /* of the input, without the batch axis */
    int outputs;       /* values per output */
    saved_names names;
    char **classes; /* those of names, outputs of them; NULL: not a classification */
    double *mean, *stddev;
    int n_normal;     /* 0: inputs are not normalised */
    const char *data; /* NULL: unknown */
} saved;

/* The model's file: in a run folder, or the path itself. To be freed. */
char *saved_path(const char *path);

/* A run folder or a safetensors file. Returns -1, or the exit status after printing an error. */
int saved_open(saved *s, const char *path);
void saved_close(saved *s);

/* Data as the model was trained on them: matched by name, of the right shape, normalised. Returns as saved_open(). */
int saved_data(const saved *s, const char *address, const char *split, const char *folder, glia_dataset **data);
void saved_normalize_sample(const saved *s, float *x);
/* Whether pictures, whose values are 0 to 1, are of the kind that the model was trained on; else the range that it was
 * trained on. */
bool saved_takes_pixels(const saved *s, double *least, double *most);

/* Writes that metadata. */
typedef struct saved_about {
    const glia_dataset *data; /* for the classes */
    const char *address;
    const double *mean, *stddev;
    int n_normal;
    int64_t labels; /* of a sample: 0: it has values; 1: a class; more: a sequence of them */
    double least, most; /* of the inputs before they are normalised; least > most: unknown */
} saved_about;
int saved_describe(glia_model *model, const saved_about *about);

/* The least and the most number in the first samples. */
void data_range(const glia_dataset *data, double *least, double *most);

#endif
