/* batches.h - what the methods of this folder share: samples as batches of a graph's input, and pictures of them. */
#ifndef GLIA_SRC_FAMILIES_GENERATIVE_BATCHES_H
#define GLIA_SRC_FAMILIES_GENERATIVE_BATCHES_H

#include "train/run/training.h"

/* The shape of one sample of a tensor (N, ...). */
glia_shape glia_one_of(glia_tensor batch);
/* Samples with two or more axes are pictures: in [0, 1] in data and results, in [-1, 1] in nets. */
bool glia_are_pictures(glia_tensor batch);
/* x for nets, from the data's range. */
glia_tensor glia_to_net_range(glia_tensor x);
/* n numbers from the nets' range, cut to [0, 1] if they are pictures. */
void glia_from_net_range(const float *from, float *to, int64_t n, bool pictures);

/* Checks that the data's samples have as many numbers as those of x. */
glia_status glia_check_samples(const glia_dataset *data, glia_tensor x, glia_error *error);
/* Creates the training's loader of shuffled full batches. */
glia_status glia_full_batches(glia_training *training, glia_error *error);

/* Draws n samples into `out`. */
typedef glia_status (*glia_draw_fn)(glia_training *training, int64_t n, float *out, glia_error *error);
/* Draws n samples like those of the tensor and shows them as "samples". */
glia_status glia_show_samples(glia_training *training, glia_tensor like, int64_t n, glia_draw_fn draw,
                              glia_show_fn show, void *context, glia_error *error);

#endif
