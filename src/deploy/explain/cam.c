/* cam.c - Grad-CAM and Grad-CAM++: a layer's maps A_k, each weighted by what it does for the score Y.
 *
 *     Grad-CAM      w_k = mean over places of dY/dA_k                       (Selvaraju et al. 2017, equation 1)
 *     Grad-CAM++    w_k = sum over places of a_k relu(dY/dA_k),             (Chattopadhay et al. 2018, equations 14
 *                   a_k = g^2 / (2 g^2 + (sum of A_k) g^3), g = dY/dA_k      and 19, for exp(Y))
 *     map           relu(sum over k of w_k A_k), enlarged to the picture
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/tensor/tensor.h"
#include "deploy/explain/explain.h"

typedef struct cam {
    const char *layer;
    glia_point point;
    glia_function *function; /* of the map and the score */
    glia_shape shape;        /* of the map */
} cam;

static const glia_setting settings[] = {
    { "layer", GLIA_SETTING_TEXT, offsetof(cam, layer), 0, 0, 0, NULL,
      "the layer whose maps are weighted (the last one with maps)" },
};

/* The last node (N, K, places...) that has more than one place, on the way to the score: the newest one with the label
 * of the last convolution. NULL: there is none. */
static glia_tensor last_maps(const glia_point *p) {
    glia_tensor conv = NULL;
    for (int i = 0; i < p->score->id; i++) {
        glia_node *n = p->graph->nodes[i];
        if (strcmp(n->op->name, "conv") == 0 && n->shape.rank >= 3) conv = n;
    }
    if (!conv || !conv->label) return conv;
    glia_tensor named = glia_layer_output(p->graph, conv->label);
    return !glia_is_bad(named) && named->shape.rank == conv->shape.rank ? named : conv;
}

static glia_tensor weights_plus(glia_tensor g, glia_tensor a, glia_shape axes) {
    glia_tensor g2 = glia_square(g), g3 = glia_mul(g2, g);
    glia_tensor below = glia_add(glia_mul_scalar(g2, 2), glia_mul(glia_sum(a, axes, true), g3));
    glia_tensor nothing = glia_equal(below, glia_like(below, 0));
    glia_tensor alpha = glia_div(g2, glia_select(nothing, glia_like(below, 1), below));
    return glia_sum(glia_mul(alpha, glia_relu(g)), axes, true);
}

static bool is_plus(const glia_explainer *e) { return strcmp(e->method->about.name, "grad-cam++") == 0; }

static glia_status build(glia_explainer *e, glia_tensor *map, glia_error *error) {
    cam *m = e->memory;
    glia_point *p = &m->point;
    glia_tensor a = m->layer ? glia_layer_output(p->graph, m->layer) : last_maps(p), g;
    if (m->layer && glia_is_bad(a)) return glia_graph_check(p->graph, error);
    const int places = a ? a->shape.rank - 2 : 0;
    if (places < 1 || places > 2 || a->shape.dim[0] != GLIA_BATCH) {
        return glia_fail(error, GLIA_E_UNSUPPORTED, "explain: %s needs a layer with maps (N, K, H, W) or (N, K, T)%s%s",
                         e->method->about.name, m->layer ? ", which is not " : "", m->layer ? m->layer : "");
    }
    const glia_shape axes = places == 2 ? GLIA_SHAPE(2, 3) : GLIA_SHAPE(2);
    glia_grad(p->score, &a, 1, &g);
    glia_tensor w = is_plus(e) ? weights_plus(g, a, axes) : glia_mean(g, axes, true);
    *map = glia_relu(glia_sum(glia_mul(w, a), GLIA_SHAPE(1), true));
    const bool picture = places == 2 && e->sample.rank == 3;
    if (picture) *map = glia_resize_bilinear(*map, (int)e->sample.dim[1], (int)e->sample.dim[2]);
    m->shape = picture       ? GLIA_SHAPE(e->sample.dim[1], e->sample.dim[2])
               : places == 2 ? GLIA_SHAPE(a->shape.dim[2], a->shape.dim[3])
                             : GLIA_SHAPE(a->shape.dim[2]);
    return glia_graph_check(p->graph, error);
}

static glia_status begin(glia_explainer *e, glia_error *error) {
    cam *m = e->memory;
    glia_tensor outputs[2];
    glia_status status = glia_point_begin(e, NULL, &m->point, error);
    if (status == GLIA_OK) status = build(e, &outputs[0], error);
    if (status != GLIA_OK) return status;
    outputs[1] = m->point.score;
    glia_error reason = { 0 };
    m->function = glia_point_function(e, outputs, 2, &reason);
    return m->function ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

static glia_status run(glia_explainer *e, const float *x, int output, glia_explanation *out, glia_error *error) {
    cam *m = e->memory;
    glia_array results[2];
    float *at = malloc((size_t)m->point.size * sizeof *at);
    glia_status status = at ? glia_point_embed(e, &m->point, x, 1, at, error) : glia_fail_nomem(error);
    if (status == GLIA_OK) {
        status = glia_point_call(e, &m->point, m->function, x, at, 1, output, NULL, 0, results, error);
    }
    if (status == GLIA_OK) status = glia_explanation_start(out, m->shape, false, error);
    for (int64_t i = 0; status == GLIA_OK && i < out->n; i++) {
        out->values[i] = (double)((const float *)results[0].data)[i];
    }
    if (status == GLIA_OK) out->output_value = (double)*(const float *)results[1].data;
    free(at);
    return status;
}

static void end(glia_explainer *e) {
    cam *m = e->memory;
    glia_function_free(m->function);
    glia_point_end(&m->point);
}

const glia_explain_method glia_explain_grad_cam = {
    .about = { .name = "grad-cam",
               .summary = "a layer's maps, weighted by their mean gradients",
               .paper = "Selvaraju et al. 2017",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings) },
    .bytes = sizeof(cam),
    .uses = GLIA_EXPLAIN_MODEL,
    .begin = begin,
    .run = run,
    .end = end,
};

const glia_explain_method glia_explain_grad_cam_plus_plus = {
    .about = { .name = "grad-cam++",
               .summary = "Grad-CAM with a weight for each place of a map, for several objects of a class",
               .paper = "Chattopadhay et al. 2018",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings) },
    .bytes = sizeof(cam),
    .uses = GLIA_EXPLAIN_MODEL,
    .begin = begin,
    .run = run,
    .end = end,
};
