/* ldm.h - what the files of the method "ldm" share. */
#ifndef GLIA_SRC_FAMILIES_GENERATIVE_LDM_H
#define GLIA_SRC_FAMILIES_GENERATIVE_LDM_H

#include "families/generative/diffusion_settings.h"
#include "families/generative/steps.h"

/* Stages of a training. */
enum { GLIA_LDM_AUTOENCODER, GLIA_LDM_DIFFUSION, GLIA_LDM_STAGES };

/* Functions of a model. */
typedef struct glia_ldm_nets {
    glia_function *predict; /* z, t, words -> prediction, guided */
    glia_function *decode;  /* z -> picture in [-1, 1] */
    glia_function *encode;  /* x in [0, 1] -> mean, and its decoded picture in [-1, 1] */
} glia_ldm_nets;

typedef struct glia_ldm {
    /* settings */
    glia_diffusion_settings how;
    int64_t shown;
    double autoencoder, kl, drop_words, guidance;
    /* training */
    glia_diffusion *diffusion;
    glia_graph *graph;
    glia_net_step steps[GLIA_LDM_STAGES];
    glia_array x[GLIA_LDM_STAGES], words; /* inputs of a step */
    int64_t first;                        /* step of the diffusion */
    glia_ldm_nets nets;
    int loss_mean, reconstruction_mean, kl_mean, prediction_mean;
} glia_ldm;

/* ---- the model ---------------------------------------------------------------------------------- */

/* Inputs, outputs and the latents' scale in a graph. */
typedef struct glia_ldm_ends {
    glia_tensor x, z, t, words, mean, logvar, decoded, prediction, scale;
} glia_ldm_ends;
glia_status glia_ldm_find_ends(const glia_graph *graph, glia_ldm_ends *ends, glia_error *error);
/* Mean and logvar of pictures in [0, 1]. */
void glia_ldm_encoded(const glia_ldm_ends *ends, glia_tensor out[2]);
/* The number of words of a caption at most. */
int64_t glia_ldm_length(const glia_ldm_ends *ends);

/* frozen: the values of the store do not change any more. */
glia_status glia_ldm_open(glia_ldm_nets *nets, const glia_ldm *settings, glia_graph *graph, glia_store *store,
                          glia_backend *backend, bool frozen, glia_error *error);
void glia_ldm_close(glia_ldm_nets *nets);

/* ---- words -------------------------------------------------------------------------------------- */

/* Checks that the data have captions that fit the model. */
glia_status glia_ldm_check_captions(const glia_dataset *data, const glia_model *model, const glia_ldm_ends *ends,
                                    glia_error *error);
/* Puts the names of the data's words into the model's metadata. */
glia_status glia_ldm_keep_words(const glia_dataset *data, glia_model *model, glia_error *error);
/* The ids (length) of a prompt; a word that the model did not learn is an error, with the nearest one. */
glia_status glia_ldm_read_prompt(const glia_model *model, const char *prompt, int32_t *ids, int64_t length,
                                 glia_error *error);
/* Pictures (n, sample), NULL: none, and captions (n, length) of the first samples of the data. */
glia_status glia_ldm_read_data(const glia_dataset *data, int64_t n, float *pictures, int32_t *captions, int64_t length,
                               glia_error *error);

/* ---- drawing ------------------------------------------------------------------------------------ */

/* n pictures in [0, 1] for captions (n, length); opts has seed and watch. */
glia_status glia_ldm_draw(const glia_ldm *settings, const glia_diffusion *diffusion, const glia_ldm_nets *nets,
                          const glia_ldm_ends *ends, const glia_sample_opts *opts, int32_t *captions, int64_t n,
                          float *pictures, glia_error *error);
/* What the autoencoder makes of n pictures. */
glia_status glia_ldm_reconstruct(const glia_ldm_nets *nets, const glia_ldm_ends *ends, const float *pictures, int64_t n,
                                 float *out, glia_error *error);
/* Hooks of the method, see method.h. */
glia_status glia_ldm_show(glia_training *training, glia_show_fn show, void *context, glia_error *error);
glia_status glia_ldm_sample(const void *memory, glia_model *model, int64_t n, const glia_sample_opts *opts,
                            glia_shape *shape, float *samples, glia_error *error);
glia_status glia_ldm_assess(const void *memory, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                            glia_error *error);

/* The nets of a trained model, for one use. */
typedef struct glia_ldm_opened {
    glia_ldm_ends ends;
    glia_graph *graph;
    glia_diffusion *diffusion;
    glia_ldm_nets nets;
    glia_backend *own; /* NULL: the caller's is used */
} glia_ldm_opened;
glia_status glia_ldm_open_model(glia_ldm_opened *opened, const glia_ldm *settings, glia_model *model,
                                glia_backend *backend, int threads, glia_error *error);
void glia_ldm_close_model(glia_ldm_opened *opened);

#endif
