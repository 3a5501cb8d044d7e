/* latent.c - pictures from words by latent diffusion (Rombach et al. 2022): an autoencoder of 8 x 8 pixels to a place,
 * and a UNet that looks at words by cross-attention, learn scenes that the library draws with captions.
 *     latent [PROMPT] [--quick]      trains for about 20 minutes of one core and draws 16 pictures into latent.png */
#include <glia/glia.h>
#include <stdio.h>
#include <string.h>

enum { SIDE = 32, CHANNELS = 16, PLACES = SIDE / 8, DRAWN = 16 };

static glia_model *build(int vocabulary, glia_error *e) {
    const glia_latent_opts latent = { .channels = CHANNELS, .filters = 24, .halvings = 3 };
    glia_model *m = glia_model_create("latent", e);
    glia_tensor x = glia_model_input(m, "x", GLIA_F32, GLIA_SHAPE(3, SIDE, SIDE));
    glia_tensor z = glia_model_input(m, "z", GLIA_F32, GLIA_SHAPE(CHANNELS, PLACES, PLACES));
    glia_tensor t = glia_model_input(m, "t", GLIA_I32, GLIA_SCALAR);
    glia_tensor words = glia_model_input(m, "words", GLIA_I32, GLIA_SHAPE(GLIA_SCENE_WORDS));
    const glia_vae_code code = glia_latent_encoder(x, "encoder", latent);
    glia_tensor text = glia_caption_encoder(words, "text", (glia_caption_opts){ .vocabulary = vocabulary });
    const glia_unet_opts net = { .channels = 48,
                                 .multipliers = { 1, 2 },
                                 .blocks = 1,
                                 .heads = 4,
                                 .attention = { PLACES, PLACES / 2 },
                                 .condition = glia_flatten(text),
                                 .context = text };
    glia_model_output(m, "mean", code.mean);
    glia_model_output(m, "logvar", code.logvar);
    glia_model_output(m, "decoded", glia_latent_decoder(z, "decoder", 3, latent));
    glia_model_output(m, "prediction", glia_unet(z, t, "unet", net));
    char number[16];
    snprintf(number, sizeof number, "%d", vocabulary);
    glia_model_set(m, "words.count", number, e);
    return m;
}

int main(int argc, char **argv) {
    const bool quick = argc > 1 && !strcmp(argv[argc - 1], "--quick");
    const char *prompt = argc > 1 + quick ? argv[1] : "a large red circle above a small blue square";
    static float pictures[DRAWN * 3 * SIDE * SIDE];
    glia_error e = { 0 };
    glia_dataset *data = glia_data_open(quick ? "scenes?n=64" : "scenes", "train", NULL, &e);
    glia_model *model = data ? build(glia_data_classes(data), &e) : NULL;
    const glia_callback averages = glia_swap_ema_weights(true);
    const glia_fit_opts how = { .epochs = quick ? 1 : 20,
                                .batch = 32,
                                .optimizer = { .kind = GLIA_ADAM, .lr = 2e-3, .clip_norm = 1, .ema = 0.995 },
                                .schedule = { .kind = GLIA_LR_COSINE, .warmup = 100 },
                                .callbacks = &averages,
                                .n_callbacks = 1 };
    if (model && glia_train(model, data, "ldm", quick ? "sampling_steps=2" : NULL, how, &e) == GLIA_OK &&
        glia_sample(model, DRAWN, (glia_sample_opts){ .prompt = prompt }, pictures, &e) == GLIA_OK &&
        glia_image_save("latent.png", GLIA_SHAPE(3, SIDE, SIDE), pictures, DRAWN, (glia_image_save_opts){ .scale = 4 },
                        &e) == GLIA_OK)
        printf("latent.png: %d pictures of %s\n", DRAWN, prompt);
    glia_model_free(model);
    glia_data_free(data);
    return e.status ? fprintf(stderr, "latent: %s\n", e.message), 1 : 0;
}
