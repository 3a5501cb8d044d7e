/* generative.c - generators and critics for the method "gan", nets for "ddpm", encoders and decoders for "vae". */
#include <stdio.h>

#include "builders.h"

enum { NOISE = 100, FILTERS = 32 }; /* the papers' noise; half of DCGAN's filters, since pictures are half as large */

/* Declares the ends that the method "gan" needs; score (N), sample like x. */
static void declare(glia_model *model, glia_tensor sample, glia_tensor score) {
    glia_model_output(model, "sample", sample);
    glia_model_output(model, "score", score);
}

/* The input "y" of a model with classes: one-hot (N, classes). */
static glia_tensor declare_classes(glia_model *model, int classes) {
    char number[16];
    glia_error error;
    snprintf(number, sizeof number, "%d", classes);
    if (glia_model_set(model, "y.classes", number, &error) != GLIA_OK) return NULL;
    return glia_one_hot(glia_model_input(model, "y", GLIA_I32, GLIA_SCALAR), classes, GLIA_F32);
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

/* ---- autoencoders ------------------------------------------------------------------------------- */

typedef glia_vae_code (*encoder_fn)(glia_tensor x, const char *name, glia_vae_opts opts);
typedef glia_tensor (*decoder_fn)(glia_tensor z, const char *name, glia_shape sample, glia_vae_opts opts);

/* Declares the ends that the method "vae" needs. classes 0: none. */
static void autoencoder(glia_model *model, glia_shape sample, encoder_fn encoder, decoder_fn decoder, int classes,
                        glia_vae_opts opts) {
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, sample);
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(opts.latent));
    if (classes) opts.condition = declare_classes(model, classes);
    const glia_vae_code code = encoder(x, "encoder", opts);
    glia_model_output(model, "mean", code.mean);
    if (code.logvar) glia_model_output(model, "logvar", code.logvar);
    glia_model_output(model, "decoded", decoder(z, "decoder", sample, opts));
}

void glia_build_autoencoder(glia_model *model, glia_shape sample) {
    const glia_vae_opts opts = { .latent = 32, .units = { 256, 64 }, .activation = GLIA_RELU, .plain = true };
    autoencoder(model, sample, glia_vae_dense_encoder, glia_vae_dense_decoder, 0, opts);
}

void glia_build_vae(glia_model *model, glia_shape sample) {
    const glia_vae_opts opts = { .latent = 50, .units = { 200, 200 } };
    autoencoder(model, sample, glia_vae_dense_encoder, glia_vae_dense_decoder, 0, opts);
}

void glia_build_vae_plane(glia_model *model, glia_shape sample) {
    const glia_vae_opts opts = { .latent = 2, .units = { 500, 500 } };
    autoencoder(model, sample, glia_vae_dense_encoder, glia_vae_dense_decoder, 0, opts);
}

void glia_build_vae_conv(glia_model *model, glia_shape sample) {
    const glia_vae_opts opts = { .latent = 32, .filters = 32 };
    autoencoder(model, sample, glia_vae_conv_encoder, glia_vae_conv_decoder, 0, opts);
}

void glia_build_cvae(glia_model *model, glia_shape sample, int classes) {
    const glia_vae_opts opts = { .latent = 20, .units = { 400, 200 } };
    autoencoder(model, sample, glia_vae_dense_encoder, glia_vae_dense_decoder, classes, opts);
}
