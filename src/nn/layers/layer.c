/* layer.c - code shared by layers: names, labels, messages, parameters, bias and activation. */
#include <stdio.h>

#include "nn/layers/layers.h"

glia_tensor glia_layer_bad(glia_tensor x) { return x ? x->graph->bad : NULL; }

bool glia_layer_begin(glia_layer *layer, const char *kind, const char *name, glia_tensor x) {
    *layer = (glia_layer){ .graph = glia_tensor_graph(x), .kind = kind, .name = name, .x = x };
    if (glia_is_bad(x) || layer->graph->error.status != GLIA_OK) return false;
    if (!name || !name[0]) {
        glia_graph_fail(layer->graph, GLIA_E_ARGUMENT, "%s: a name is needed", kind);
        return false;
    }
    layer->label_before = glia_graph_label(layer->graph, name);
    if (x->dtype != GLIA_F32 && x->dtype != GLIA_F64) {
        glia_layer_fail(layer, "x must be f32 or f64; glia_cast() makes one of %s", glia_dtype_name(x->dtype));
        return false;
    }
    return true;
}

glia_tensor glia_layer_end(glia_layer *layer, glia_tensor y) {
    layer->graph->label = layer->label_before; /* already in the arena */
    return y;
}

glia_tensor glia_layer_fail(glia_layer *layer, const char *format, ...) {
    char reason[300], shape[GLIA_SHAPE_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    glia_tensor bad = glia_graph_fail(layer->graph, GLIA_E_SHAPE, "%s: %s of %s: %s", layer->name, layer->kind,
                                      glia_shape_format(layer->x->shape, shape), reason);
    return glia_layer_end(layer, bad);
}

static const char *leaf_name(const glia_layer *layer, const char *what) {
    const char *name = glia_arena_printf(&layer->graph->arena, "%s/%s", layer->name, what);
    if (!name) glia_graph_fail_nomem(layer->graph);
    return name;
}

glia_tensor glia_layer_parameter(glia_layer *layer, const char *what, glia_shape shape, glia_init init,
                                 glia_init_kind otherwise, double fan_in) {
    const char *name = leaf_name(layer, what);
    if (!name) return layer->graph->bad;
    if (init.kind == GLIA_INIT_DEFAULT && !glia_graph_has_leaf(layer->graph, name))
        init = (glia_init){ .kind = otherwise, .value = 1 };
    if (init.kind == GLIA_INIT_FAN_IN_UNIFORM && init.fan_in == 0) init.fan_in = fan_in;
    return glia_parameter(layer->graph, name, layer->x->dtype, shape, init);
}

glia_tensor glia_layer_state(glia_layer *layer, const char *what, glia_shape shape, double value) {
    const char *name = leaf_name(layer, what);
    if (!name) return layer->graph->bad;
    return glia_state(layer->graph, name, layer->x->dtype, shape,
                      (glia_init){ .kind = GLIA_INIT_CONSTANT, .value = value });
}

glia_tensor glia_layer_add_bias(glia_tensor x, glia_tensor bias, int axis) {
    if (glia_is_bad(x) || glia_is_bad(bias)) return glia_layer_bad(x);
    glia_shape shape = { .rank = x->shape.rank - axis, .dim = { bias->shape.dim[0] } };
    for (int i = 1; i < shape.rank; i++) shape.dim[i] = 1;
    return glia_add(x, shape.rank == 1 ? bias : glia_reshape(bias, shape));
}

glia_tensor glia_layer_activate(glia_tensor x, glia_activation activation, int axis) {
    switch (activation) {
    case GLIA_LINEAR: return x;
    case GLIA_RELU: return glia_relu(x);
    case GLIA_LEAKY_RELU: return glia_leaky_relu(x, 0.01);
    case GLIA_ELU: return glia_elu(x, 1);
    case GLIA_SELU: return glia_selu(x);
    case GLIA_GELU: return glia_gelu(x);
    case GLIA_SILU: return glia_silu(x);
    case GLIA_SIGMOID: return glia_sigmoid(x);
    case GLIA_TANH: return glia_tanh(x);
    case GLIA_SOFTPLUS: return glia_softplus(x);
    case GLIA_SOFTMAX: return glia_softmax(x, axis);
    case GLIA_LOG_SOFTMAX: return glia_log_softmax(x, axis);
    case GLIA_GELU_TANH: return glia_gelu_tanh(x);
    case GLIA_ACTIVATION_COUNT: break;
    }
    return glia_graph_fail(glia_tensor_graph(x), GLIA_E_ARGUMENT, "there is no activation %d", (int)activation);
}

glia_tensor glia_activate(glia_tensor x, glia_activation activation) { return glia_layer_activate(x, activation, 1); }
