/* layers.h - what layers share.
 *
 * A layer is a function that makes named parameters and the operations that use them; nothing of it remains but graph.
 * What it makes carries its name as label, so that messages and printed programs speak of layers.
 */
#ifndef GLIA_SRC_NN_LAYERS_LAYERS_H
#define GLIA_SRC_NN_LAYERS_LAYERS_H

#include "core/ops/ops.h"
#include "glia/layers.h"

/* ---- for layers (layer.c) ------------------------------------------------------------------- */

/* A layer under construction: "NAME: KIND of x ..." begins its messages. */
typedef struct glia_layer {
    glia_graph *graph;
    const char *kind, *name;
    glia_tensor x;
    const char *label_before;
} glia_layer;

/* Checks the name, that x is f32 or f64, and labels what comes next. false: a mistake is in the graph (if there is
 * one), and the caller returns x's graph's bad node, glia_layer_bad(). */
bool glia_layer_begin(glia_layer *layer, const char *kind, const char *name, glia_tensor x);
glia_tensor glia_layer_end(glia_layer *layer, glia_tensor y); /* puts the label back; returns y */
glia_tensor glia_layer_bad(glia_tensor x);
/* Records a mistake, prefixed by the layer's name and kind and x's shape, ends the layer, returns the bad node. */
glia_tensor glia_layer_fail(glia_layer *layer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The parameter "NAME/what" of x's dtype. With `init` at its default it takes `otherwise`; a GLIA_INIT_FAN_IN_UNIFORM
 * without a fan_in of its own takes `fan_in`. */
glia_tensor glia_layer_parameter(glia_layer *layer, const char *what, glia_shape shape, glia_init init,
                                 glia_init_kind otherwise, double fan_in);
glia_tensor glia_layer_state(glia_layer *layer, const char *what, glia_shape shape, double value);

/* x + bias (K), where K is x's dimension `axis`. */
glia_tensor glia_layer_add_bias(glia_tensor x, glia_tensor bias, int axis);
/* glia_activate with the axis that softmax and log_softmax take. */
glia_tensor glia_layer_activate(glia_tensor x, glia_activation activation, int axis);

#endif
