/* ldm_method.c - the method "ldm": latent diffusion, pictures from words (Rombach et al. 2022).
 *
 * The first steps train the autoencoder, the others the UNet and the text encoder on its latents:
 *
 *     x ──► encoder ──► mean, logvar ──► z ──► decoder ──► mean square of the pictures' difference + kl KL
 *     x ──► encoder ──► z / scale ──► noised by a drawn step t ──► UNet(z, t, text(words)) ──► mean square
 *
 * The scale is the standard deviation of the means of the batch with which the second stage begins (appendix G). Some
 * samples lose their words, so that sampling may be guided (Ho and Salimans 2021).
 */
#include <math.h>
#include <string.h>

#include "core/ops/ops.h"
#include "families/generative/batches.h"
#include "families/generative/ldm.h"
#include "glia/latent.h"
#include "train/run/method.h"

enum { STAGES = GLIA_LDM_STAGES };
static const char *const groups[STAGES] = { "autoencoder", "diffusion" };
static const char *const patterns[STAGES] = { "encoder/*,decoder/*", "unet/*,text/*" };

static const glia_setting settings[] = {
    GLIA_DIFFUSION_SETTINGS(glia_ldm, how, GLIA_BETA_COSINE, GLIA_PREDICT_VELOCITY, GLIA_DPM_SOLVER),
    { "autoencoder", GLIA_SETTING_REAL, offsetof(glia_ldm, autoencoder), 0.2, 0.001, 0.999, NULL,
      "share of the steps that train the autoencoder; the others train the diffusion" },
    { "kl", GLIA_SETTING_REAL, offsetof(glia_ldm, kl), 1e-5, 0, 1e6, NULL,
      "weight of the latents' KL, of each number" },
    { "drop_words", GLIA_SETTING_REAL, offsetof(glia_ldm, drop_words), 0.1, 0, 1, NULL,
      "share of the samples that are trained without their words" },
    { "guidance", GLIA_SETTING_REAL, offsetof(glia_ldm, guidance), 2, 0, 100, NULL,
      "how far pictures follow their words: 1 as trained, more: further" },
    { "shown", GLIA_SETTING_INT, offsetof(glia_ldm, shown), 16, 1, 1024, NULL, "pictures shown after each epoch" },
};

/* ---- building ------------------------------------------------------------------------------------- */

/* out: the loss, the reconstruction's and the KL of each number. */
static void autoencoder_loss(const glia_ldm *m, const glia_ldm_ends *e, glia_tensor out[3]) {
    glia_tensor code[2];
    glia_ldm_encoded(e, code);
    glia_tensor picture = glia_once_more(e->decoded, e->z, glia_vae_latent(code[0], code[1]));
    glia_tensor kl = glia_vae_kl(glia_flatten(code[0]), glia_flatten(code[1]));
    out[1] = glia_mean(glia_square(glia_sub(picture, glia_to_net_range(e->x))), GLIA_SCALAR, false);
    out[2] = glia_mul_scalar(glia_mean(kl, GLIA_SCALAR, false), 1 / (double)glia_shape_count(glia_one_of(e->z)));
    out[0] = glia_add(out[1], glia_mul_scalar(out[2], m->kl));
}

static glia_tensor diffusion_loss(const glia_ldm *m, const glia_ldm_ends *e) {
    glia_tensor code[2];
    glia_ldm_encoded(e, code);
    glia_tensor z = glia_stop_gradient(glia_div(glia_vae_latent(code[0], code[1]), e->scale));
    glia_tensor loss = glia_diffusion_loss(m->diffusion, e->prediction, e->z, e->t, z);
    if (m->drop_words == 0 || glia_is_bad(loss)) return loss;
    glia_tensor chance = glia_random_uniform(m->graph, GLIA_SHAPE(e->words->shape.dim[0], 1));
    glia_tensor lost = glia_less(chance, glia_scalar(m->graph, GLIA_F32, m->drop_words));
    return glia_once_more(loss, e->words, glia_select(lost, glia_like(e->words, 0), e->words));
}

static glia_status build(glia_training *t, const glia_ldm_ends *e, glia_error *error) {
    glia_ldm *m = t->memory;
    glia_tensor first[3], second;
    autoencoder_loss(m, e, first);
    second = diffusion_loss(m, e);
    glia_optimizer plain = t->opts.optimizer;
    plain.ema = 0;
    plain.ema_warmup = false;
    glia_minimize(first[0], plain, patterns[GLIA_LDM_AUTOENCODER], groups[GLIA_LDM_AUTOENCODER]);
    glia_minimize(second, t->opts.optimizer, patterns[GLIA_LDM_DIFFUSION], groups[GLIA_LDM_DIFFUSION]);
    const glia_tensor *const outputs[STAGES] = { first, &second };
    const int numbers[STAGES] = { GLIA_COUNT(first), 1 };
    glia_status status = glia_training_add_states(t, m->graph, error);
    for (int i = 0; status == GLIA_OK && i < STAGES; i++) {
        status = glia_net_step_open(&m->steps[i], t, m->graph, groups[i], outputs[i], numbers[i], error);
        if (status == GLIA_OK) status = glia_net_step_input(&m->steps[i], "x", &m->x[i], error);
    }
    return status == GLIA_OK ? glia_net_step_input(&m->steps[GLIA_LDM_DIFFUSION], "words", &m->words, error) : status;
}

static glia_status begin(glia_training *t, glia_error *error) {
    glia_ldm *m = t->memory;
    glia_ldm_ends e;
    glia_status status = glia_diffusion_of_settings(&m->how, &m->diffusion, error);
    if (status == GLIA_OK) status = glia_training_copy_graph(t, &m->graph, error);
    if (status == GLIA_OK) status = glia_ldm_find_ends(m->graph, &e, error);
    if (status == GLIA_OK) status = glia_ldm_check_captions(t->data, t->model, &e, error);
    if (status == GLIA_OK) status = glia_ldm_keep_words(t->data, t->model, error);
    if (status == GLIA_OK) status = glia_begin_samples(t, e.x, error);
    if (status == GLIA_OK) status = build(t, &e, error);
    glia_ldm plain = *m;
    if (m->drop_words == 0) plain.guidance = 1;
    if (status == GLIA_OK) status = glia_ldm_open(&m->nets, &plain, m->graph, t->states, t->backend, false, error);
    if (status != GLIA_OK) return status;
    t->full_lr = glia_optimizer_resolved(t->opts.optimizer).lr;
    m->first = llround(m->autoencoder * (double)(t->opts.epochs * glia_loader_batches(t->loader)));
    glia_training_take_sizes(t, m->steps[GLIA_LDM_DIFFUSION].program);
    t->groups[t->n_groups++] = groups[GLIA_LDM_DIFFUSION];
    m->loss_mean = glia_training_mean(t, "loss");
    m->reconstruction_mean = glia_training_mean(t, "reconstruction");
    m->kl_mean = glia_training_mean(t, "kl");
    m->prediction_mean = glia_training_mean(t, "prediction");
    return GLIA_OK;
}

static void end(glia_training *t) {
    glia_ldm *m = t->memory;
    glia_ldm_close(&m->nets);
    for (int i = 0; i < STAGES; i++) glia_net_step_close(&m->steps[i]);
    glia_graph_free(m->graph);
    glia_store_free(t->states);
    glia_diffusion_free(m->diffusion);
}

/* ---- steps ---------------------------------------------------------------------------------------- */

/* Sets the scale from the means of this batch. */
static glia_status set_scale(glia_training *t, const glia_batch *batch, glia_error *error) {
    const glia_ldm *m = t->memory;
    glia_array outputs[2], x = m->x[GLIA_LDM_DIFFUSION], scale;
    x.data = (void *)(uintptr_t)batch->x;
    glia_status status = glia_function_call(m->nets.encode, &x, 1, outputs, error);
    if (status != GLIA_OK) return status;
    const float *z = outputs[0].data;
    const int64_t n = glia_shape_count(outputs[0].shape);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)z[i], squares += (double)z[i] * (double)z[i];
    const double variance = squares / (double)n - sum / (double)n * (sum / (double)n);
    if (!(variance > 0) || !glia_store_find(t->states, "decoder/scale", &scale))
        return glia_fail(error, GLIA_E_ARGUMENT, "the method ldm: all latents are %g, so they have no scale",
                         sum / (double)n);
    *(float *)scale.data = (float)sqrt(variance);
    return GLIA_OK;
}

static void put_words(const glia_training *t, const glia_batch *batch) {
    const glia_ldm *m = t->memory;
    const int64_t length = m->words.shape.dim[1], given = glia_shape_count(glia_data_y_shape(t->data));
    int32_t *to = m->words.data;
    const int32_t *from = batch->y;
    memset(to, 0, (size_t)(batch->n * length) * sizeof *to);
    for (int64_t i = 0; i < batch->n; i++) memcpy(to + i * length, from + i * given, (size_t)given * sizeof *to);
}

static glia_status step(glia_training *t, const glia_batch *batch, glia_error *error) {
    const glia_ldm *m = t->memory;
    const int stage = t->done < m->first ? GLIA_LDM_AUTOENCODER : GLIA_LDM_DIFFUSION;
    const glia_net_step *s = &m->steps[stage];
    const double n = (double)batch->n;
    glia_status status = t->done == m->first ? set_scale(t, batch, error) : GLIA_OK;
    if (status != GLIA_OK) return status;
    glia_net_step_put(&m->x[stage], batch->x);
    if (stage == GLIA_LDM_DIFFUSION) put_words(t, batch);
    status = glia_net_step_run(s, t->progress.lr, error);
    if (status != GLIA_OK) return status;
    t->samples += batch->n;
    t->progress.loss = glia_net_step_output(s, 0);
    glia_training_add(t, m->loss_mean, t->progress.loss, n);
    if (stage == GLIA_LDM_DIFFUSION) {
        glia_training_add(t, m->prediction_mean, t->progress.loss, n);
    } else {
        glia_training_add(t, m->reconstruction_mean, glia_net_step_output(s, 1), n);
        glia_training_add(t, m->kl_mean, glia_net_step_output(s, 2), n);
    }
    return GLIA_OK;
}

static glia_status measure(glia_training *t, glia_error *error) { return glia_measure_samples(t, NULL, error); }

const glia_method glia_method_ldm = {
    .about = { .name = "ldm",
               .summary = "latent diffusion: pictures from words",
               .paper = "Rombach et al. 2022",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings),
               .uses = GLIA_USES_DATA | GLIA_USES_OPTIMIZER | GLIA_USES_PRECISION | GLIA_USES_BATCH,
               .samples = true,
               .assesses = true,
               .prompts = true },
    .bytes = sizeof(glia_ldm),
    .begin = begin,
    .step = step,
    .measure = measure,
    .show = glia_ldm_show,
    .end = end,
    .sample = glia_ldm_sample,
    .assess = glia_ldm_assess,
};
