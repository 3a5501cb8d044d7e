/* losses.h - losses by kind: loss, accuracy and predicted classes from a model's output and targets. */
#ifndef GLIA_SRC_NN_LOSSES_LOSSES_H
#define GLIA_SRC_NN_LOSSES_LOSSES_H

#include "core/graph/graph.h"
#include "glia/losses.h"

typedef struct glia_measures {
    glia_loss kind;        /* default resolved */
    bool logits;           /* the output is logits or log-probabilities, not probabilities */
    glia_tensor loss;      /* scalar */
    glia_tensor accuracy;  /* scalar; NULL if there are no classes */
    glia_tensor predicted; /* i32 (N), the class; or NULL */
    glia_tensor weight;    /* scalar: the number of items averaged in loss and accuracy; NULL: samples */
} glia_measures;

typedef struct glia_loss_opts {
    glia_loss loss;
    double smoothing;
    const double *class_weights; /* one per class, or NULL */
    const char *output;          /* GLIA_LOSS_OUTPUT: its name; NULL: "loss" */
} glia_loss_opts;

/* Adds to the graph the loss of `output` against `target` (both (N, ...)) and the measures. false: an error is recorded
 * in the graph. */
bool glia_loss_add(glia_tensor output, glia_tensor target, glia_loss_opts opts, glia_measures *measures);
const char *glia_loss_text(glia_loss loss);
/* The loss by its function, which is a mean, from a prediction and a target as that takes them. */
glia_tensor glia_loss_mean(glia_loss loss, glia_tensor prediction, glia_tensor target, double smoothing);

#endif
