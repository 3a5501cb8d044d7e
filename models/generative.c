/* generative.c - generators and critics for the method "gan", nets for "ddpm". */
#include "builders.h"

enum { NOISE = 100, FILTERS = 32 }; /* the papers' noise; half of DCGAN's filters, since pictures are half as large */

/* Declares the ends that the method "gan" needs; score (N), sample like x. */
static void declare(glia_model *model, glia_tensor sample, glia_tensor score) {
    glia_model_output(model, "sample", sample);
    glia_model_output(model, "score", score);
}

void glia_build_gan_mlp(glia_model *model, glia_shape sample) {
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(NOISE));
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, sample);
    const glia_activation last = sample.rank > 1 ? GLIA_TANH : GLIA_LINEAR;
    declare(model,
            glia_gan_dense_generator(z, "generator", sample, (glia_gan_dense_opts){ .units = 256, .output = last }),
            glia_gan_dense_critic(x, "critic", (glia_gan_dense_opts){ .units = 256 }));
}

void glia_build_dcgan(glia_model *model, glia_shape sample) {
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(NOISE));
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, sample);
    const glia_dcgan_opts opts = { .filters = FILTERS };
    declare(model, glia_dcgan_generator(z, "generator", sample, opts), glia_dcgan_critic(x, "critic", opts));
}

void glia_build_wgan_gp(glia_model *model, glia_shape sample) {
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(NOISE));
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, sample);
    const glia_dcgan_opts generator = { .filters = FILTERS },
                          critic = { .filters = FILTERS, .norm = GLIA_GAN_LAYER_NORM };
    declare(model, glia_dcgan_generator(z, "generator", sample, generator), glia_dcgan_critic(x, "critic", critic));
}

void glia_build_ddpm(glia_model *model, glia_shape sample) {
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, sample);
    glia_tensor t = glia_model_input(model, "t", GLIA_I32, GLIA_SCALAR);
    glia_unet_opts opts = { .channels = 32, .multipliers = { 1, 2, 2 }, .blocks = 1 };
    if (sample.rank == 3 && sample.dim[1] % 4 != 0) opts.multipliers[2] = 0; /* cannot be halved twice */
    glia_model_output(model, "prediction", glia_unet(x, t, "unet", opts));
}
