/* gan_nets.c - nets of adversarial training: dense ones, and DCGAN's of convolutions (Radford et al. 2016).
 *
 * DCGAN's generator and critic are mirror images: the sizes of a picture between them, and how often it is halved, come
 * from one function, sizes_of(). With an even kernel of k, stride 2 and padding k/2 - 1 a (transposed) convolution
 * halves (doubles) a size exactly, and every pixel is met by the same number of taps, which avoids chequered pictures
 * (Odena et al. 2016).
 */
#include "glia/generative.h"
#include "nn/layers/layers.h"

/* "NAME/part", or "NAME/part3". */
static const char *part_of(glia_tensor x, const char *name, const char *part, int number) {
    const char *full = number < 0 ? glia_arena_printf(&x->graph->arena, "%s/%s", name, part)
                                  : glia_arena_printf(&x->graph->arena, "%s/%s%d", name, part, number);
    if (!full) glia_graph_fail_nomem(x->graph);
    return full ? full : part;
}

/* ---- classes -------------------------------------------------------------------------------- */

/* Checks the condition, NULL or (N, classes); false: an error is recorded. */
static bool good_condition(glia_layer *layer, glia_tensor condition) {
    if (!condition || (!glia_is_bad(condition) && condition->shape.rank == 2)) return true;
    glia_layer_fail(layer, "condition must be (N, classes)");
    return false;
}

static glia_tensor with_condition(glia_tensor z, glia_tensor condition) {
    const glia_tensor both[] = { z, condition };
    return condition ? glia_concat(both, 2, 1) : z;
}

/* What becomes of the last hidden layer (N, F): one score for each sample, and with classes the product with the
 * class's vector. */
static glia_tensor score_of(glia_tensor h, const char *name, glia_init init, bool spectral, glia_tensor condition) {
    if (glia_is_bad(h)) return h;
    glia_dense_opts how = { .units = 1, .kernel_init = init, .spectral_norm = spectral };
    glia_tensor score = glia_reshape(glia_dense(h, part_of(h, name, "score", -1), how), GLIA_SHAPE(h->shape.dim[0]));
    if (!condition || glia_is_bad(score)) return score;
    how.units = (int)h->shape.dim[1];
    how.no_bias = true;
    glia_tensor vector = glia_dense(condition, part_of(h, name, "class", -1), how);
    return glia_add(score, glia_sum(glia_mul(vector, h), GLIA_SHAPE(1), false));
}

/* ---- dense ---------------------------------------------------------------------------------- */

/* The hidden layers on x (N, F). */
static glia_tensor hidden(glia_tensor x, const char *name, const glia_gan_dense_opts *o, bool critic) {
    const int layers = (int)glia_option_count(o->layers, 3);
    for (int i = 0; i < layers && !glia_is_bad(x); i++) {
        glia_dense_opts how = { .units = o->units ? o->units : 128, .kernel_init = o->kernel_init };
        if (!how.kernel_init.kind) how.kernel_init.kind = GLIA_INIT_HE_NORMAL;
        how.spectral_norm = critic && o->spectral_norm;
        how.activation = o->activation ? o->activation : critic ? GLIA_LINEAR : GLIA_RELU;
        x = glia_dense(x, part_of(x, name, "dense", i + 1), how);
        if (critic && !o->activation) x = glia_leaky_relu(x, 0.2);
    }
    return x;
}

glia_tensor glia_gan_dense_generator(glia_tensor z, const char *name, glia_shape sample, glia_gan_dense_opts o) {
    glia_layer layer;
    if (!glia_layer_begin(&layer, "gan_dense_generator", name, z)) return glia_layer_bad(z);
    if (z->shape.rank != 2 || z->shape.dim[1] < 1) return glia_layer_fail(&layer, "z must be (N, Z) with a fixed Z");
    const int64_t count = glia_shape_count(sample);
    if (count < 1 || count > INT32_MAX || sample.rank >= GLIA_MAX_RANK) {
        return glia_layer_fail(&layer, "a sample must have fixed sizes");
    }
    if (!good_condition(&layer, o.condition)) return glia_layer_bad(z);
    glia_tensor y = hidden(with_condition(z, o.condition), name, &o, false);
    if (glia_is_bad(y)) return glia_layer_end(&layer, y);
    y = glia_dense(y, part_of(z, name, "out", -1),
                   (glia_dense_opts){ .units = (int)count, .activation = o.output, .kernel_init = o.kernel_init });
    glia_shape shape = { .rank = sample.rank + 1, .dim = { z->shape.dim[0] } };
    for (int i = 0; i < sample.rank; i++) shape.dim[i + 1] = sample.dim[i];
    return glia_layer_end(&layer, glia_reshape(y, shape));
}

glia_tensor glia_gan_dense_critic(glia_tensor x, const char *name, glia_gan_dense_opts o) {
    glia_layer layer;
    if (!glia_layer_begin(&layer, "gan_dense_critic", name, x)) return glia_layer_bad(x);
    if (x->shape.rank < 2) return glia_layer_fail(&layer, "x must be (N, ...)");
    if (!good_condition(&layer, o.condition)) return glia_layer_bad(x);
    glia_tensor y = hidden(x->shape.rank > 2 ? glia_flatten(x) : x, name, &o, true);
    return glia_layer_end(&layer, score_of(y, name, o.kernel_init, o.spectral_norm, o.condition));
}

/* ---- DCGAN ---------------------------------------------------------------------------------- */

/* The smallest size of a picture, how often it is doubled, and the filters at the picture. */
typedef struct sizes {
    int64_t height, width;
    int doublings, filters, kernel;
    glia_init init;
} sizes;

/* false: an error is recorded. `picture` is (C, H, W). */
static bool sizes_of(glia_layer *layer, const int64_t *picture, const glia_dcgan_opts *o, sizes *s) {
    *s = (sizes){ picture[1], picture[2], 0, o->filters ? o->filters : 64, o->kernel ? o->kernel : 4, o->kernel_init };
    if (!s->init.kind) s->init = (glia_init){ .kind = GLIA_INIT_NORMAL, .stddev = 0.02 };
    while (s->height >= 8 && s->width >= 8 && s->height % 2 == 0 && s->width % 2 == 0) {
        s->height /= 2, s->width /= 2, s->doublings++;
    }
    if (picture[0] < 1 || picture[0] > INT16_MAX || s->doublings < 1 || picture[1] > INT16_MAX ||
        picture[2] > INT16_MAX) {
        glia_layer_fail(layer, "a picture must be (C, H, W), H and W even and at least 8");
    } else if (s->filters < 1 || s->filters > INT32_MAX >> s->doublings) {
        glia_layer_fail(layer, "%d filters are not possible", s->filters);
    } else if (s->kernel < 4 || s->kernel % 2) {
        glia_layer_fail(layer, "the kernel's size must be even and at least 4, not %d", s->kernel);
    } else {
        return true;
    }
    return false;
}

static glia_tensor normed(glia_tensor x, const char *name, int number, const glia_dcgan_opts *o) {
    if (glia_is_bad(x)) return x;
    const char *own = part_of(x, name, "norm", number);
    const glia_norm_opts plain = { 0 };
    switch (o->norm) {
    case GLIA_GAN_BATCH_NORM: return glia_batch_norm(x, own, plain);
    case GLIA_GAN_LAYER_NORM: return glia_group_norm(x, own, 1, plain);
    case GLIA_GAN_INSTANCE_NORM: return glia_instance_norm(x, own, plain);
    case GLIA_GAN_GROUP_NORM: return glia_group_norm(x, own, o->groups ? o->groups : 8, plain);
    case GLIA_GAN_NO_NORM: return x;
    }
    return glia_graph_fail(x->graph, GLIA_E_ARGUMENT, "%s: there is no norm %d", name, (int)o->norm);
}

/* Bias and batch norm's shift would be the same; so it is with the other norms but for their finer parts. */
static glia_conv_opts conv_of(const sizes *s, int filters, bool has_norm) {
    return (glia_conv_opts){ .filters = filters,
                             .kernel = s->kernel,
                             .stride = 2,
                             .pad = s->kernel / 2 - 1,
                             .kernel_init = s->init,
                             .no_bias = has_norm };
}

glia_tensor glia_dcgan_generator(glia_tensor z, const char *name, glia_shape picture, glia_dcgan_opts o) {
    glia_layer layer;
    sizes s;
    if (!glia_layer_begin(&layer, "dcgan_generator", name, z)) return glia_layer_bad(z);
    if (z->shape.rank != 2 || z->shape.dim[1] < 1) return glia_layer_fail(&layer, "z must be (N, Z) with a fixed Z");
    if (picture.rank != 3) return glia_layer_fail(&layer, "a picture must be (C, H, W), H and W even and at least 8");
    if (!sizes_of(&layer, picture.dim, &o, &s)) return glia_layer_bad(z);
    const bool plain = o.norm == GLIA_GAN_NO_NORM;
    int filters = s.filters << (s.doublings - 1);
    const int64_t units = s.height * s.width * filters;
    if (units > INT32_MAX) return glia_layer_fail(&layer, "%d filters are not possible", s.filters);
    if (!good_condition(&layer, o.condition)) return glia_layer_bad(z);
    glia_tensor y = glia_dense(with_condition(z, o.condition), part_of(z, name, "project", -1),
                               (glia_dense_opts){ .units = (int)units, .kernel_init = s.init, .no_bias = !plain });
    y = glia_reshape(y, GLIA_SHAPE(z->shape.dim[0], filters, s.height, s.width));
    y = glia_relu(normed(y, name, 0, &o));
    for (int i = 1; i < s.doublings; i++) {
        filters /= 2;
        y = glia_conv2d_transposed(y, part_of(z, name, "up", i), conv_of(&s, filters, !plain));
        y = glia_relu(normed(y, name, i, &o));
    }
    glia_conv_opts last = conv_of(&s, (int)picture.dim[0], false);
    last.activation = GLIA_TANH;
    return glia_layer_end(&layer, glia_conv2d_transposed(y, part_of(z, name, "out", -1), last));
}

glia_tensor glia_dcgan_critic(glia_tensor x, const char *name, glia_dcgan_opts o) {
    glia_layer layer;
    sizes s;
    if (!glia_layer_begin(&layer, "dcgan_critic", name, x)) return glia_layer_bad(x);
    if (x->shape.rank != 4) return glia_layer_fail(&layer, "x must be (N, C, H, W)");
    if (!sizes_of(&layer, x->shape.dim + 1, &o, &s)) return glia_layer_bad(x);
    if (!good_condition(&layer, o.condition)) return glia_layer_bad(x);
    glia_tensor y = x;
    for (int i = 1; i <= s.doublings; i++) {
        const bool has_norm = i > 1 && o.norm != GLIA_GAN_NO_NORM;
        glia_conv_opts how = conv_of(&s, s.filters << (i - 1), has_norm);
        how.spectral_norm = o.spectral_norm;
        y = glia_conv2d(y, part_of(x, name, "down", i), how);
        if (has_norm) y = normed(y, name, i, &o);
        y = glia_leaky_relu(y, 0.2);
    }
    return glia_layer_end(&layer, score_of(glia_flatten(y), name, s.init, o.spectral_norm, o.condition));
}
