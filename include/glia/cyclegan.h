/* cyclegan.h - conversion of pictures of one kind into another, learned without pairs (Zhu et al. 2017, "Unpaired
 * image-to-image translation using cycle-consistent adversarial networks").
 *
 * Generators G: A -> B and F: B -> A and a critic for each kind are trained together:
 *
 *     (D_B(G(a)) - 1)^2 + (D_A(F(b)) - 1)^2 + cycle (|F(G(a)) - a| + |G(F(b)) - b|)
 *                                           + identity (|G(b) - b| + |F(a) - a|)
 *
 * with means of absolute differences. A classifier f of the first kind, trained before and frozen, may read pictures
 * before and after conversion (semantic consistency, Hoffman et al. 2018, "CyCADA", section 3), CE the cross-entropy:
 *
 *     + semantic (CE(f(G(a)), arg max f(a)) + CE(f(F(b)), arg max f(b)))
 *
 * Labels of either kind are not used. The method "cyclegan" (methods.h) trains a model with inputs "a" and "b" (N, C,
 * H, W) and outputs "to_b" of a, "to_a" of b, "score_a" of a and "score_b" of b, whose parameters begin with these
 * names. Critics see pictures from a buffer of earlier ones (section 4).
 */
#ifndef GLIA_CYCLEGAN_H
#define GLIA_CYCLEGAN_H

#include "glia/layers.h"
#include "glia/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct glia_cyclegan_opts {
    int filters;  /* of the first layer, doubled at each halving; 0: 32 (the paper: 64) */
    int halvings; /* 0: 2 */
    int blocks;   /* residual blocks of the generator; 0: 3 (the paper: 6 or 9) */
} glia_cyclegan_opts;
/* x (N, C, H, W) in [-1, 1] -> the same shape and range (section 7.2): a convolution (7x7), halvings (3x3, stride 2),
 * residual blocks, doublings (nearest, then 3x3), a convolution (7x7) and tanh; instance norm and relu between. H and W
 * must be divisible by 2^halvings. Parameters "NAME/in", "NAME/down1", "NAME/block1a", "NAME/up1", "NAME/out", ... */
GLIA_API glia_tensor glia_cyclegan_generator(glia_tensor x, const char *name, glia_cyclegan_opts opts);
/* PatchGAN (Isola et al. 2017): convolutions (4x4) of stride 2, leaky relu (0.2), instance norm after all but the
 * first, then one score for each place: (N, 1, H', W'). Parameters "NAME/down1", ..., "NAME/score". */
GLIA_API glia_tensor glia_cyclegan_critic(glia_tensor x, const char *name, glia_cyclegan_opts opts);

/* Mean cross-entropy of the logits `after` (N, classes) with the classes that `before` has most of: what a classifier
 * says of pictures should stay. Without a gradient in `before`. */
GLIA_API glia_tensor glia_semantic_consistency(glia_tensor before, glia_tensor after);

typedef struct glia_cyclegan_convert_opts {
    bool back;             /* from B to A */
    glia_backend *backend; /* NULL: "cpu" with `threads` */
    int threads;           /* 0: all cores */
} glia_cyclegan_convert_opts;
/* Converts n pictures x (n, sample) in [0, 1] into `out` (n, the model's C, H, W), in [0, 1], by a model that the
 * method "cyclegan" trained. Pictures of another height and width are resized first (bilinear). */
GLIA_API glia_status glia_cyclegan_convert(glia_model *model, const float *x, int64_t n, glia_shape sample,
                                           glia_cyclegan_convert_opts opts, float *out, glia_error *error);
/* The shape of converted pictures; rank 0: the model is not of this kind. */
GLIA_API glia_shape glia_cyclegan_shape(const glia_model *model);

#ifdef __cplusplus
}
#endif

#endif
