/* vit.c - vision transformers (Dosovitskiy et al. 2021): a picture is cut into patches, each a token.
 *
 * A convolution makes the tokens, a learned class token comes before them, positions are learned. Layers normalise
 * before attention and before the feed-forward net; the head reads the class token. Names are torchvision's;
 * docs/vision.md has timm's. The sizes Ti and S are those of Touvron et al. 2021 (DeiT).
 */
#include "builders.h"
#include "pieces.h"

typedef struct plan {
    int patch, layers, heads, units;
} plan;

static const glia_init narrow = { .kind = GLIA_INIT_TRUNCATED_NORMAL, .stddev = 0.02 };

static glia_tensor norm(glia_tensor x, const char *path, const char *name) {
    return glia_layer_norm(x, glia_name_part("%s/%s", path, name).name, (glia_norm_opts){ .epsilon = 1e-6 });
}

static glia_tensor encoder_layer(glia_tensor x, int index, const plan *p) {
    const glia_part_name path = glia_name_part("encoder/layers/encoder_layer_%d", index);
    const glia_part_name attention = glia_name_part("%s/self_attention", path.name);
    const glia_multihead_opts heads = { .heads = p->heads };
    x = glia_add(x, glia_multihead(norm(x, path.name, "ln_1"), NULL, attention.name, heads));
    glia_tensor y = norm(x, path.name, "ln_2");
    y = glia_dense(y, glia_name_part("%s/mlp/0", path.name).name,
                   (glia_dense_opts){ .units = 4 * p->units, .activation = GLIA_GELU });
    y = glia_dense(y, glia_name_part("%s/mlp/3", path.name).name, (glia_dense_opts){ .units = p->units });
    return glia_add(x, y);
}

static glia_tensor vit(glia_tensor x, int outputs, plan p) {
    glia_graph *g = glia_tensor_graph(x);
    const glia_init zeros = { .kind = GLIA_INIT_ZEROS };
    glia_tensor first = glia_parameter(g, "class_token", GLIA_F32, GLIA_SHAPE(1, 1, p.units), zeros);
    x = glia_conv2d(x, "conv_proj", (glia_conv_opts){ .filters = p.units, .kernel = p.patch, .stride = p.patch });
    const glia_shape maps = glia_tensor_shape(x);
    const int64_t tokens = maps.dim[2] * maps.dim[3];
    x = glia_permute(glia_reshape(x, GLIA_SHAPE(GLIA_BATCH, p.units, tokens)), GLIA_SHAPE(0, 2, 1));
    first = glia_broadcast(first, GLIA_SHAPE(GLIA_BATCH, 1, p.units));
    x = glia_concat((const glia_tensor[]){ first, x }, 2, 1);
    x = glia_add(x, glia_parameter(g, "encoder/pos_embedding", GLIA_F32, GLIA_SHAPE(1, tokens + 1, p.units), narrow));
    for (int i = 0; i < p.layers; i++) x = encoder_layer(x, i, &p);
    x = norm(x, "encoder", "ln");
    x = glia_slice(x, GLIA_SCALAR, GLIA_SHAPE(INT64_MAX, 1, INT64_MAX), GLIA_SCALAR);
    return glia_dense(glia_flatten(x), "heads/head", (glia_dense_opts){ .units = outputs, .kernel_init = narrow });
}

glia_tensor glia_build_vit_ti16(glia_tensor x, int outputs) { return vit(x, outputs, (plan){ 16, 12, 3, 192 }); }
glia_tensor glia_build_vit_s16(glia_tensor x, int outputs) { return vit(x, outputs, (plan){ 16, 12, 6, 384 }); }
glia_tensor glia_build_vit_b16(glia_tensor x, int outputs) { return vit(x, outputs, (plan){ 16, 12, 12, 768 }); }
/* For pictures of 32x32: 64 patches of 4x4, 6 layers of 192 units. */
glia_tensor glia_build_vit_cifar(glia_tensor x, int outputs) { return vit(x, outputs, (plan){ 4, 6, 3, 192 }); }
