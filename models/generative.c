/* generative.c - generators and critics for the method "gan", nets for "ddpm", encoders and decoders for "vae". */
#include <stdio.h>

#include "builders.h"

enum { NOISE = 100, FILTERS = 32 }; /* the papers' noise; half of DCGAN's filters, since pictures are half as large */

/* Declares the ends that the method "gan" needs; score (N), sample like x. */
static void declare(glia_model *model, glia_tensor sample, glia_tensor score) {
    glia_model_output(model, "sample", sample);
    glia_model_output(model, "score", score);
}

static void tell_classes(glia_model *model, int classes) {
    char number[16];
    snprintf(number, sizeof number, "%d", classes);
    glia_model_set(model, "y.classes", number, NULL);
}

/* The input "y" of a model with classes: one-hot (N, classes). */
static glia_tensor declare_classes(glia_model *model, int classes) {
    tell_classes(model, classes);
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

void glia_build_gan_points(glia_model *model, glia_shape sample) {
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(8));
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, sample);
    const glia_gan_dense_opts opts = { .units = 64 };
    declare(model, glia_gan_dense_generator(z, "generator", sample, opts), glia_gan_dense_critic(x, "critic", opts));
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

void glia_build_sn_gan(glia_model *model, glia_shape sample) {
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(NOISE));
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, sample);
    const glia_dcgan_opts generator = { .filters = FILTERS },
                          critic = { .filters = FILTERS, .norm = GLIA_GAN_NO_NORM, .spectral_norm = true };
    declare(model, glia_dcgan_generator(z, "generator", sample, generator), glia_dcgan_critic(x, "critic", critic));
}

void glia_build_cgan(glia_model *model, glia_shape sample, int classes) {
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(NOISE));
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, sample);
    glia_tensor y = declare_classes(model, classes);
    const glia_dcgan_opts generator = { .filters = FILTERS, .condition = y }, critic = {
        .filters = FILTERS, .norm = GLIA_GAN_NO_NORM, .spectral_norm = true, .condition = y
    };
    declare(model, glia_dcgan_generator(z, "generator", sample, generator), glia_dcgan_critic(x, "critic", critic));
}

void glia_build_cyclegan(glia_model *model, glia_shape sample) {
    const glia_cyclegan_opts opts = { .filters = 16, .halvings = 2, .blocks = 2 };
    glia_tensor a = glia_model_input(model, "a", GLIA_F32, sample), b = glia_model_input(model, "b", GLIA_F32, sample);
    glia_model_output(model, "to_b", glia_cyclegan_generator(a, "to_b", opts));
    glia_model_output(model, "to_a", glia_cyclegan_generator(b, "to_a", opts));
    glia_model_output(model, "score_a", glia_cyclegan_critic(a, "critic_a", opts));
    glia_model_output(model, "score_b", glia_cyclegan_critic(b, "critic_b", opts));
}

/* outputs: what the net gives for each channel. */
static void unet(glia_model *model, glia_shape sample, glia_tensor condition, int outputs) {
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, sample);
    glia_tensor t = glia_model_input(model, "t", GLIA_I32, GLIA_SCALAR);
    glia_unet_opts opts = { .channels = 32, .multipliers = { 1, 2, 2 }, .blocks = 1, .condition = condition };
    if (sample.rank == 3) opts.out_channels = outputs * (int)sample.dim[0];
    if (sample.rank == 3 && sample.dim[1] % 4 != 0) opts.multipliers[2] = 0; /* cannot be halved twice */
    glia_model_output(model, "prediction", glia_unet(x, t, "unet", opts));
}

void glia_build_ddpm(glia_model *model, glia_shape sample) { unet(model, sample, NULL, 1); }
void glia_build_iddpm(glia_model *model, glia_shape sample) { unet(model, sample, NULL, 2); }

/* The class after the last stands for none. */
void glia_build_ddpm_classes(glia_model *model, glia_shape sample, int classes) {
    tell_classes(model, classes);
    glia_tensor y = glia_model_input(model, "y", GLIA_I32, GLIA_SCALAR);
    unet(model, sample, glia_embedding(y, "class", (glia_embedding_opts){ .vocabulary = classes + 1, .units = 64 }), 1);
}

/* Latents of 16 x H/8 x W/8, a UNet of 48 and 96 channels, captions of at most 16 words. */
void glia_build_ldm(glia_model *model, glia_shape sample, int words) {
    enum { CHANNELS = 16, HALVINGS = 3, LENGTH = 16 };
    char number[16];
    snprintf(number, sizeof number, "%d", words);
    glia_model_set(model, "words.count", number, NULL);
    const glia_latent_opts latent = { .channels = CHANNELS, .filters = 24, .halvings = HALVINGS };
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, sample);
    const glia_vae_code code = glia_latent_encoder(x, "encoder", latent);
    const int64_t height = sample.rank == 3 ? sample.dim[1] >> HALVINGS : 0,
                  width = sample.rank == 3 ? sample.dim[2] >> HALVINGS : 0;
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(CHANNELS, height, width));
    glia_tensor t = glia_model_input(model, "t", GLIA_I32, GLIA_SCALAR);
    glia_tensor ids = glia_model_input(model, "words", GLIA_I32, GLIA_SHAPE(LENGTH));
    glia_tensor text = glia_caption_encoder(ids, "text", (glia_caption_opts){ .vocabulary = words });
    const glia_unet_opts opts = { .channels = 48,
                                  .multipliers = { 1, 2 },
                                  .blocks = 1,
                                  .heads = 4,
                                  .attention = { (int)height, (int)height / 2 },
                                  .condition = glia_flatten(text),
                                  .context = text };
    glia_model_output(model, "mean", code.mean);
    glia_model_output(model, "logvar", code.logvar);
    glia_model_output(model, "decoded", glia_latent_decoder(z, "decoder", (int)sample.dim[0], latent));
    glia_model_output(model, "prediction", glia_unet(z, t, "unet", opts));
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
