/* saved.h - a trained model in a file with the metadata that `glia train` writes:
 *
 *   data       the address of the training data       mean, stddev   of the inputs' channels, comma-separated
 *   classes    their names, one per line              loss           "cross-entropy", "mse"
 *   columns    of a table, in order, one per line     tokenizer      the tokenizer.json of its texts
 *   range      "LEAST,MOST" of the inputs of the first samples before normalisation
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
    glia_shape sample; /* of the input, without the batch axis; rank 0: not known */
    int outputs;       /* values per output */
    saved_names names;
    char **classes; /* those of names, outputs of them; NULL: not a classification */
    double *mean, *stddev;
    int n_normal;     /* 0: inputs are not normalised */
    const char *data; /* NULL: unknown */
} saved;

/* The path of the model file: in a run folder, or the path itself. Release with free(). */
char *saved_path(const char *path);

/* A run folder or a safetensors file of a supervised model. Returns -1, or the exit status after printing an error. */
int saved_open(saved *s, const char *path);
/* The same in two steps: opens a file of whatever method, where `sample` and `outputs` are not set and saved_data()
 * does not check them; and requires that it is a supervised model. */
int saved_open_method(saved *s, const char *path);
int saved_supervised(saved *s);
/* As saved_open(), or builds a built-in model by name, untrained: then only s->model and *recipe are set. *recipe is
 * NULL for a file. */
int saved_open_or_build(saved *s, const char *name, const glia_recipe **recipe);
/* As saved_open(); with `weights` (may be NULL) a built-in model of its default shape with the values of that file, and
 * mean and stddev (may be NULL), numbers separated by commas, for the normalisation. */
int saved_open_with(saved *s, const char *name, const char *weights, const char *mean, const char *stddev);
void saved_close(saved *s);

/* Opens data as the model expects them: columns and classes matched by name, shape checked, normalised. Returns as
 * saved_open(). */
int saved_data(const saved *s, const char *address, const char *split, const char *folder, glia_dataset **data);
void saved_normalize_sample(const saved *s, float *x);
/* Whether the model was trained on values in [0, 1], as pictures have; otherwise sets the range of its training
 * data. */
bool saved_takes_pixels(const saved *s, double *least, double *most);

/* Input of saved_describe(), which writes the metadata. */
typedef struct saved_about {
    const glia_dataset *data; /* for the classes */
    const char *address;
    const double *mean, *stddev;
    int n_normal;
    bool of_classes; /* the model knows the data's classes, though they are not its targets */
    int64_t labels; /* of a sample; 0: targets are values, 1: a class, more: a sequence of classes */
    double least, most; /* of the inputs before normalisation; least > most: unknown */
} saved_about;
int saved_describe(glia_model *model, const saved_about *about);

/* The minimum and maximum of x in the first samples. */
void data_range(const glia_dataset *data, double *least, double *most);

#endif
