/* layers.h - functions shared by layers.
 *
 * A layer is a function that adds named parameters and the operations that use them to the graph; there is no layer
 * object. Its nodes carry the layer's name as label, for messages and printed programs.
 */
#ifndef GLIA_SRC_NN_LAYERS_LAYERS_H
#define GLIA_SRC_NN_LAYERS_LAYERS_H

#include "core/ops/ops.h"
#include "glia/layers.h"

/* ---- for layers (layer.c) ------------------------------------------------------------------- */

/* A layer under construction. Its messages begin with "NAME: KIND of x ...". */
typedef struct glia_layer {
    glia_graph *graph;
    const char *kind, *name;
    glia_tensor x;
    const char *label_before;
} glia_layer;

/* Checks the name and that x is f32 or f64, and sets the label of the nodes that follow. false: an error is recorded in
 * the graph (if there is one), and the caller returns the bad node of x's graph, glia_layer_bad(). */
bool glia_layer_begin(glia_layer *layer, const char *kind, const char *name, glia_tensor x);
glia_tensor glia_layer_end(glia_layer *layer, glia_tensor y); /* restores the label; returns y */
glia_tensor glia_layer_bad(glia_tensor x);
/* Records an error, prefixed by the layer's name and kind and x's shape; ends the layer; returns the bad node. */
glia_tensor glia_layer_fail(glia_layer *layer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The parameter "NAME/what" of x's dtype. If `init` is the default, `otherwise` is used; a GLIA_INIT_FAN_IN_UNIFORM
 * without its own fan_in uses `fan_in`. */
glia_tensor glia_layer_parameter(glia_layer *layer, const char *what, glia_shape shape, glia_init init,
                                 glia_init_kind otherwise, double fan_in);
glia_tensor glia_layer_state(glia_layer *layer, const char *what, glia_shape shape, double value);

/* x + bias (K), where K is x's dimension `axis`. */
glia_tensor glia_layer_add_bias(glia_tensor x, glia_tensor bias, int axis);
/* glia_activate with the axis of softmax and log_softmax. */
glia_tensor glia_layer_activate(glia_tensor x, glia_activation activation, int axis);

#endif
