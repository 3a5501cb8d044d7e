/* vae_nets.c - encoders and decoders of autoencoders, and the terms of the variational bound (Kingma and Welling 2014).
 */
#include "glia/autoencoders.h"

#include <math.h>

#include "nn/layers/layers.h"

enum { UNITS_MOST = 4, BETWEEN = 256 }; /* units between convolutions and the code */

/* ---- the bound ---------------------------------------------------------------------------------- */

static bool both_good(glia_tensor a, glia_tensor b, const char *what) {
    if (glia_is_bad(a) || glia_is_bad(b)) return false;
    if (glia_shape_equal(a->shape, b->shape) && a->shape.rank >= 2) return true;
    char s[GLIA_SHAPE_TEXT], t[GLIA_SHAPE_TEXT];
    glia_graph_fail(a->graph, GLIA_E_SHAPE, "%s: %s and %s must be the same (N, ...)", what,
                    glia_shape_format(a->shape, s), glia_shape_format(b->shape, t));
    return false;
}

static glia_tensor bad_of(glia_tensor a, glia_tensor b) { return a ? a->graph->bad : b ? b->graph->bad : NULL; }

/* All axes but the first. */
static glia_shape inner_axes(glia_tensor x) {
    glia_shape axes = { .rank = x->shape.rank - 1 };
    for (int i = 0; i < axes.rank; i++) axes.dim[i] = i + 1;
    return axes;
}

glia_tensor glia_vae_latent(glia_tensor mean, glia_tensor logvar) {
    if (!both_good(mean, logvar, "vae_latent")) return bad_of(mean, logvar);
    glia_tensor noise = glia_cast(glia_random_normal(mean->graph, mean->shape), mean->dtype);
    return glia_add(mean, glia_mul(glia_exp(glia_mul_scalar(logvar, 0.5)), noise));
}

glia_tensor glia_vae_kl(glia_tensor mean, glia_tensor logvar) {
    if (!both_good(mean, logvar, "vae_kl")) return bad_of(mean, logvar);
    glia_tensor each = glia_sub(glia_add(glia_square(mean), glia_exp(logvar)), glia_add_scalar(logvar, 1));
    return glia_mul_scalar(glia_sum(each, inner_axes(mean), false), 0.5);
}

glia_tensor glia_vae_log_likelihood(glia_tensor decoded, glia_tensor x, glia_vae_likelihood likelihood, double stddev) {
    if (!both_good(decoded, x, "vae_log_likelihood")) return bad_of(decoded, x);
    double numbers = 1;
    for (int i = 1; i < x->shape.rank; i++) numbers *= (double)x->shape.dim[i];
    const glia_loss_value_opts entropy = { .loss = GLIA_BINARY_CROSS_ENTROPY, .reduction = GLIA_REDUCE_SAMPLES };
    const double deviation = stddev == 0 ? 1 : stddev, log_root_tau = 0.91893853320467274;
    switch (likelihood) {
    case GLIA_VAE_BERNOULLI: return glia_mul_scalar(glia_loss_value(decoded, x, entropy), -numbers);
    case GLIA_VAE_GAUSSIAN: {
        glia_tensor squares = glia_sum(glia_square(glia_sub(x, decoded)), inner_axes(x), false);
        return glia_add_scalar(glia_mul_scalar(squares, -0.5 / (deviation * deviation)),
                               -numbers * (log_root_tau + log(deviation)));
    }
    default: return glia_graph_fail(x->graph, GLIA_E_ARGUMENT, "there is no likelihood %d", (int)likelihood);
    }
}

/* ---- parts of nets ---------------------------------------------------------------------------- */

static const char *part_of(glia_tensor x, const char *name, const char *part, int number) {
    const char *full = number ? glia_arena_printf(&x->graph->arena, "%s/%s%d", name, part, number)
                              : glia_arena_printf(&x->graph->arena, "%s/%s", name, part);
    if (!full) glia_graph_fail_nomem(x->graph);
    return full ? full : part;
}

static glia_tensor dense(glia_tensor x, const char *name, const char *part, int number, int units,
                         glia_activation activation) {
    if (glia_is_bad(x)) return x;
    return glia_dense(x, part_of(x, name, part, number), (glia_dense_opts){ .units = units, .activation = activation });
}

static glia_tensor with_condition(glia_tensor x, glia_tensor condition) {
    const glia_tensor both[] = { x, condition };
    return condition && !glia_is_bad(x) ? glia_concat(both, 2, 1) : x;
}

/* Checks x or z and fills in defaults; returns the number of dense layers, -1 after recording an error. */
static int resolve(glia_layer *layer, glia_vae_opts *o, bool conv) {
    if (!o->latent) o->latent = 50;
    if (!o->filters) o->filters = 32;
    if (!o->activation) o->activation = conv ? GLIA_RELU : GLIA_TANH;
    if (!o->units[0]) o->units[0] = 200, o->units[1] = 200;
    int layers = 0;
    while (layers < UNITS_MOST && o->units[layers] > 0) layers++;
    if (o->latent > 0 && o->filters > 0 && o->filters < 1 << 16 && (layers == UNITS_MOST || o->units[layers] == 0)) {
        if (!o->condition || (!glia_is_bad(o->condition) && o->condition->shape.rank == 2)) return layers;
        glia_layer_fail(layer, "condition must be (N, C)");
        return -1;
    }
    glia_layer_fail(layer, "%d latents, %d filters, %d units in layer %d are not possible", o->latent, o->filters,
                    layers < UNITS_MOST ? o->units[layers] : 0, layers + 1);
    return -1;
}

static glia_vae_code code_of(glia_tensor h, const char *name, const glia_vae_opts *o) {
    return (glia_vae_code){ .mean = dense(h, name, "mean", 0, o->latent, GLIA_LINEAR),
                            .logvar = o->plain ? NULL : dense(h, name, "logvar", 0, o->latent, GLIA_LINEAR) };
}

static glia_vae_code bad_code(glia_tensor x) { return (glia_vae_code){ glia_layer_bad(x), glia_layer_bad(x) }; }

/* ---- dense -------------------------------------------------------------------------------------- */

glia_vae_code glia_vae_dense_encoder(glia_tensor x, const char *name, glia_vae_opts o) {
    glia_layer layer;
    if (!glia_layer_begin(&layer, "vae_dense_encoder", name, x)) return bad_code(x);
    const int layers = resolve(&layer, &o, false);
    if (layers < 0) return bad_code(x);
    glia_tensor h = with_condition(x->shape.rank > 2 ? glia_flatten(x) : x, o.condition);
    for (int i = 0; i < layers; i++) h = dense(h, name, "dense", i + 1, o.units[i], o.activation);
    const glia_vae_code code = code_of(h, name, &o);
    glia_layer_end(&layer, code.mean);
    return code;
}

/* The shape (N, sample). */
static glia_shape batch_of(glia_tensor z, glia_shape sample) {
    glia_shape shape = { .rank = sample.rank + 1, .dim = { z->shape.dim[0] } };
    for (int i = 0; i < sample.rank; i++) shape.dim[i + 1] = sample.dim[i];
    return shape;
}

glia_tensor glia_vae_dense_decoder(glia_tensor z, const char *name, glia_shape sample, glia_vae_opts o) {
    glia_layer layer;
    if (!glia_layer_begin(&layer, "vae_dense_decoder", name, z)) return glia_layer_bad(z);
    const int64_t count = glia_shape_count(sample);
    if (count < 1 || count > INT32_MAX || sample.rank >= GLIA_MAX_RANK)
        return glia_layer_fail(&layer, "a sample must have fixed sizes");
    const int layers = resolve(&layer, &o, false);
    if (layers < 0) return glia_layer_bad(z);
    glia_tensor h = with_condition(z, o.condition);
    for (int i = 0; i < layers; i++) h = dense(h, name, "dense", i + 1, o.units[layers - 1 - i], o.activation);
    h = dense(h, name, "out", 0, (int)count, GLIA_LINEAR);
    return glia_layer_end(&layer, glia_is_bad(h) ? h : glia_reshape(h, batch_of(z, sample)));
}

/* ---- convolutions --------------------------------------------------------------------------- */

/* Halves height and width while that is possible; returns how often, 0 after recording an error. */
static int halvings(glia_layer *layer, const int64_t *picture, int64_t size[2]) {
    int n = 0;
    size[0] = picture[1], size[1] = picture[2];
    while (size[0] >= 8 && size[1] >= 8 && size[0] % 2 == 0 && size[1] % 2 == 0) size[0] /= 2, size[1] /= 2, n++;
    if (n > 0 && n < 8) return n;
    glia_layer_fail(layer, "a picture must be (C, H, W), H and W even, at least 8 and below 2048");
    return 0;
}

static glia_conv_opts half(int filters, glia_activation activation) {
    return (glia_conv_opts){ .filters = filters, .kernel = 4, .stride = 2, .pad = 1, .activation = activation };
}

glia_vae_code glia_vae_conv_encoder(glia_tensor x, const char *name, glia_vae_opts o) {
    glia_layer layer;
    int64_t size[2];
    if (!glia_layer_begin(&layer, "vae_conv_encoder", name, x)) return bad_code(x);
    if (x->shape.rank != 4) return glia_layer_fail(&layer, "x must be (N, C, H, W)"), bad_code(x);
    if (resolve(&layer, &o, true) < 0) return bad_code(x);
    const int n = halvings(&layer, x->shape.dim + 1, size);
    glia_tensor h = x;
    for (int i = 0; i < n && !glia_is_bad(h); i++)
        h = glia_conv2d(h, part_of(x, name, "down", i + 1), half(o.filters << i, o.activation));
    if (!n || glia_is_bad(h)) return bad_code(x);
    h = dense(with_condition(glia_flatten(h), o.condition), name, "dense", 1, BETWEEN, o.activation);
    const glia_vae_code code = code_of(h, name, &o);
    glia_layer_end(&layer, code.mean);
    return code;
}

glia_tensor glia_vae_conv_decoder(glia_tensor z, const char *name, glia_shape picture, glia_vae_opts o) {
    glia_layer layer;
    int64_t size[2];
    if (!glia_layer_begin(&layer, "vae_conv_decoder", name, z)) return glia_layer_bad(z);
    if (picture.rank != 3 || picture.dim[0] < 1 || picture.dim[0] > INT16_MAX)
        return glia_layer_fail(&layer, "a picture must be (C, H, W)");
    if (resolve(&layer, &o, true) < 0) return glia_layer_bad(z);
    const int n = halvings(&layer, picture.dim, size);
    if (!n) return glia_layer_bad(z);
    const int filters = o.filters << (n - 1);
    glia_tensor h = dense(with_condition(z, o.condition), name, "dense", 1, BETWEEN, o.activation);
    h = dense(h, name, "project", 0, (int)(size[0] * size[1]) * filters, o.activation);
    if (glia_is_bad(h)) return glia_layer_end(&layer, h);
    h = glia_reshape(h, GLIA_SHAPE(z->shape.dim[0], filters, size[0], size[1]));
    for (int i = 1; i < n && !glia_is_bad(h); i++)
        h = glia_conv2d_transposed(h, part_of(z, name, "up", i), half(filters >> i, o.activation));
    if (glia_is_bad(h)) return glia_layer_end(&layer, h);
    h = glia_conv2d_transposed(h, part_of(z, name, "out", 0), half((int)picture.dim[0], GLIA_LINEAR));
    return glia_layer_end(&layer, h);
}
