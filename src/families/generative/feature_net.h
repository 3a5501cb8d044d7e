/* feature_net.h - classifiers of pictures, of a run or trained here, and what a layer "features" says of pictures. */
#ifndef GLIA_SRC_FAMILIES_GENERATIVE_FEATURE_NET_H
#define GLIA_SRC_FAMILIES_GENERATIVE_FEATURE_NET_H

#include "glia/data.h"
#include "glia/model.h"
#include "glia/samples.h"

/* A model from a file or a run folder. */
glia_model *glia_picture_model_load(const char *path, glia_error *error);
/* Checks that the model, called so in errors, takes pictures that are not normalised, as many numbers as those of this
 * shape. *taken: their shape. */
glia_status glia_picture_model_check(const glia_model *model, const char *name, glia_shape sample, glia_shape *taken,
                                     glia_error *error);
uint64_t glia_picture_model_hash(const glia_model *model); /* of its values */

typedef struct glia_feature_reader {
    glia_model *model;
    glia_function *function; /* x -> features, probabilities */
    glia_shape sample;
    int64_t size, classes;
    uint64_t hash; /* of its values */
} glia_feature_reader;

/* Loads the classifier from a file or a run folder, or with path NULL trains one on labelled pictures of this shape. */
glia_status glia_feature_reader_open(glia_feature_reader *reader, const char *path, const glia_dataset *data,
                                     glia_shape sample, glia_backend *backend, glia_error *error);
void glia_feature_reader_close(glia_feature_reader *reader);
/* features (n, size) and probabilities (n, classes) of x (n, sample). */
glia_status glia_feature_reader_run(glia_feature_reader *reader, const float *x, int64_t n, float *features,
                                    float *probabilities, glia_error *error);

#endif
