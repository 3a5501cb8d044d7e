/* latent.h - latent diffusion: pictures from words (Rombach et al. 2022, "High-resolution image synthesis with latent
 * diffusion models").
 *
 * An autoencoder turns pictures into smaller ones of few channels, a diffusion model learns these, and the decoder
 * turns what it draws into pictures. A text encoder's vectors, one for each word, go into the UNet by cross-attention
 * (glia_unet_opts.context). The method "ldm" (methods.h) trains models of these parts on pictures whose targets are ids
 * of words:
 *
 *     inputs   "x" (N, C, H, W), "z" (N, c, h, w), "t" (N), "words" (N, L), ids, ending with zeros: 0 is no word
 *     outputs  "mean" and "logvar" (N, c, h, w) of x; "decoded" (N, C, H, W) of z; "prediction" (N, c, h, w) of z, t
 *              and words
 *
 * Parameters under "encoder/" and "decoder/" are the autoencoder's, those under "unet/" and "text/" the diffusion's.
 */
#ifndef GLIA_LATENT_H
#define GLIA_LATENT_H

#include "glia/autoencoders.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct glia_latent_opts {
    int channels; /* of the latent; 0: 4 */
    int filters;  /* next to the picture, doubled inwards; 0: 32 */
    int halvings; /* of height and width; 0: 2 */
} glia_latent_opts;
/* x (N, C, H, W), H and W divisible by 2^halvings -> mean and logvar (N, channels, H / 2^halvings, W / 2^halvings).
 * Convolutions (4x4) of stride 2 and a residual block, silu; the logvar is cut to [-30, 20]. */
GLIA_API glia_vae_code glia_latent_encoder(glia_tensor x, const char *name, glia_latent_opts opts);
/* z (N, c, h, w) -> (N, picture_channels, h 2^halvings, w 2^halvings): the encoder's layers in reverse. z is multiplied
 * by the state "NAME/scale" (1), 1 until "ldm" sets it to the standard deviation of the latents of a batch: the
 * diffusion model learns latents of the deviation 1 (appendix G). */
GLIA_API glia_tensor glia_latent_decoder(glia_tensor z, const char *name, int picture_channels, glia_latent_opts opts);

typedef struct glia_caption_opts {
    int vocabulary; /* words */
    int units;      /* of a vector; 0: 64 */
    int layers;     /* of the transformer; 0: 1 */
    int heads;      /* 0: 4 */
} glia_caption_opts;
/* ids (N, L) -> (N, L, units): embeddings of words and places, then a transformer's encoder. */
GLIA_API glia_tensor glia_caption_encoder(glia_tensor words, const char *name, glia_caption_opts opts);

#ifdef __cplusplus
}
#endif

#endif
