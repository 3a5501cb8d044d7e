/* losses.h - losses by kind: what a model's output and its targets become. */
#ifndef GLIA_SRC_NN_LOSSES_LOSSES_H
#define GLIA_SRC_NN_LOSSES_LOSSES_H

#include "core/graph/graph.h"
#include "glia/losses.h"

typedef struct glia_measures {
    glia_loss kind;        /* with the default resolved */
    bool logits;           /* the output is scores, or logarithms, not probabilities */
    glia_tensor loss;      /* scalar */
    glia_tensor accuracy;  /* scalar, or NULL where there are no classes */
    glia_tensor predicted; /* i32 (N), the class; or NULL */
    glia_tensor weight;    /* scalar: what loss and accuracy are means over, where that is not the samples; or NULL */
} glia_measures;

typedef struct glia_loss_opts {
    glia_loss loss;
    double smoothing;
    const double *class_weights; /* one for each class, or NULL */
} glia_loss_opts;

/* Adds to the graph the loss of `output` against `target` (both (N, ...)) and what tells of success. false: a mistake
 * is in the graph. */
bool glia_loss_add(glia_tensor output, glia_tensor target, glia_loss_opts opts, glia_measures *measures);
const char *glia_loss_text(glia_loss loss);

#endif
