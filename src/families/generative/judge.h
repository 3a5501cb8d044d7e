/* judge.h - how good drawn samples are: of a trained model, glia_assess() of the methods of this folder, and after each
 * epoch of a training.
 *
 * Pictures: distances, precision, recall and scores by the features of a classifier. Points whose data have classes:
 * modes, which are the classes' means.
 */
#ifndef GLIA_SRC_FAMILIES_GENERATIVE_JUDGE_H
#define GLIA_SRC_FAMILIES_GENERATIVE_JUDGE_H

#include "train/run/training.h"

extern const glia_method glia_method_ddpm, glia_method_gan, glia_method_vae;

/* What a method says of its samples. */
typedef struct glia_judged {
    const glia_method *method;
    const void *memory;   /* its settings */
    const char *features; /* of a classifier's file or run folder; NULL: it is trained on the labelled data */
    int64_t wanted_class; /* of all samples; -1: one after the other */
} glia_judged;

/* Each value comes with its floor: the same for real samples in the place of the drawn ones. opts->count samples (0:
 * half the data's, at most 5,000) are drawn and compared with as many real ones, the floor with as many others. */
glia_status glia_judge_model(glia_judged judged, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                             glia_error *error);

/* Real samples and the classifier, kept to judge a model's samples after each epoch. */
typedef struct glia_judge glia_judge;
/* In `begin` of a method: declares the figures. `count` samples of this shape are compared with as many of the
 * training's data. count 0: *judge stays NULL, and the other functions do nothing. */
glia_status glia_judge_begin(glia_training *training, glia_judged judged, glia_shape sample, int64_t count,
                             glia_judge **judge, glia_error *error);
/* In `measure`: sets the figures. */
glia_status glia_judge_epoch(glia_judge *judge, glia_training *training, glia_error *error);
void glia_judge_end(glia_judge *judge);

#endif
