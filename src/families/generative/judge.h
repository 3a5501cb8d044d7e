/* judge.h - the figures of a trained model that draws samples: glia_assess() of the methods of this folder. */
#ifndef GLIA_SRC_FAMILIES_GENERATIVE_JUDGE_H
#define GLIA_SRC_FAMILIES_GENERATIVE_JUDGE_H

#include "train/run/method.h"

extern const glia_method glia_method_ddpm, glia_method_gan, glia_method_vae;

/* What a method says of its samples. */
typedef struct glia_judged {
    const glia_method *method;
    const void *memory;   /* its settings */
    const char *features; /* of a classifier's file or run folder; NULL: it is trained on the labelled data */
    int64_t wanted_class; /* of all samples; -1: one after the other */
} glia_judged;

/* Pictures: distances, precision, recall and scores by the features of a classifier, each with its floor: the same for
 * real samples in the place of the drawn ones. Points whose data have classes: modes, which are the classes' means.
 * opts->count samples (0: half the data's, at most 5,000) are drawn and compared with as many real ones, the floor with
 * as many others. */
glia_status glia_judge(glia_judged judged, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                       glia_error *error);

#endif
