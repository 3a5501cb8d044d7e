/* batches.h - what the methods of this folder share: samples as batches of a graph's input, and pictures of them. */
#ifndef GLIA_SRC_FAMILIES_GENERATIVE_BATCHES_H
#define GLIA_SRC_FAMILIES_GENERATIVE_BATCHES_H

#include "train/run/training.h"

/* Models with classes have an input "y", i32 (N), and their number in the metadata "y.classes". 0: without. */
int glia_classes_of(const glia_model *model);
/* Checks that the data have a label of these classes for each sample, if the model has classes. */
glia_status glia_check_classes(const glia_dataset *data, const glia_model *model, glia_error *error);
/* Classes of n samples to draw: all `wanted`, or with -1 one after the other. An error if the model has no such class,
 * or none at all and `wanted` is not -1. */
glia_status glia_choose_classes(const glia_model *model, int64_t wanted, int64_t n, int32_t *y, glia_error *error);

/* The shape of one sample of a tensor (N, ...). */
glia_shape glia_one_of(glia_tensor batch);
/* Samples with two or more axes are pictures: in [0, 1] in data and results, in [-1, 1] in nets. */
bool glia_are_pictures(glia_tensor batch);
/* x for nets, from the data's range. */
glia_tensor glia_to_net_range(glia_tensor x);
/* n numbers from the nets' range, cut to [0, 1] if they are pictures. */
void glia_from_net_range(const float *from, float *to, int64_t n, bool pictures);

/* y once more, with `to` in the place of `from`. */
glia_tensor glia_once_more(glia_tensor y, glia_tensor from, glia_tensor to);

/* Checks that the data's samples have as many numbers as those of x. */
glia_status glia_check_samples(const glia_dataset *data, glia_tensor x, glia_error *error);

/* ---- begin and measure -------------------------------------------------------------------------- */

/* A step of `begin`: checks the data against the input x and the classes; creates the loader, of shuffled full
 * batches. */
glia_status glia_begin_samples(glia_training *training, glia_tensor x, glia_error *error);
/* `measure`: what callbacks do around a validation, such as exchanging weights and averages, and between it `measure`
 * (NULL: nothing). */
glia_status glia_measure_samples(glia_training *training,
                                 glia_status (*measure)(glia_training *training, glia_error *error), glia_error *error);

/* ---- samples ---------------------------------------------------------------------------------- */

/* Draws n samples into `out`. */
typedef glia_status (*glia_draw_fn)(glia_training *training, int64_t n, float *out, glia_error *error);
/* Draws n samples like those of the tensor and shows them as "samples". */
glia_status glia_show_samples(glia_training *training, glia_tensor like, int64_t n, glia_draw_fn draw,
                              glia_show_fn show, void *context, glia_error *error);

#endif
