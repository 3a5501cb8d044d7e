/* vae_method.c - the method "vae": autoencoders, denoising ones, variational ones, with classes if the model has them.
 *
 * The model has inputs "x" (N, ...) and "z" (N, Z), perhaps "y" (N) with classes, and outputs "mean" and perhaps
 * "logvar" (N, Z) of x, and "decoded" (N, ...) of z.
 *
 *     batch ──► x ──► corrupted ──► mean, logvar ──► z ──► decoded ──► -log p(x | z) + beta KL ──► glia_minimize
 *
 * Without "logvar" z is the mean and there is no KL. The validation's z and black and white pixels are drawn from the
 * same random numbers in each epoch, so that epochs can be compared.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"
#include "families/generative/batches.h"
#include "families/generative/judge.h"
#include "families/generative/steps.h"
#include "families/generative/vae.h"
#include "glia/projection.h"

typedef struct vae {
    /* settings */
    glia_vae_meaning means;
    int corruption; /* of `corruptions` */
    double beta, noise;
    int64_t shown, wanted_class, interpolate, draws, measured;
    const char *features;
    /* training */
    glia_graph *graph;
    glia_net_step learn;
    glia_array x, y;
    glia_vae_nets nets;
    glia_loader *validation_loader; /* NULL: no validation */
    int loss_mean, reconstruction_mean, kl_mean;
    int val_loss, val_reconstruction, val_kl;
} vae;

enum { NO_CORRUPTION, MASKING, NORMAL_NOISE };

static const glia_setting settings[] = {
    { "likelihood", GLIA_SETTING_CHOICE, offsetof(vae, means.likelihood), GLIA_VAE_BERNOULLI, 0, 0,
      "bernoulli|gaussian", "what the decoder's output means" },
    { "stddev", GLIA_SETTING_REAL, offsetof(vae, means.stddev), 1, 1e-6, 1e6, NULL,
      "standard deviation of gaussian outputs" },
    { "binarize", GLIA_SETTING_SWITCH, offsetof(vae, means.binarize), 0, 0, 0, NULL,
      "pixels become white with their grey as probability, anew in each step" },
    { "beta", GLIA_SETTING_REAL, offsetof(vae, beta), 1, 0, 1e6, NULL, "weight of the KL" },
    { "corruption", GLIA_SETTING_CHOICE, offsetof(vae, corruption), NO_CORRUPTION, 0, 0, "none|masking|gaussian",
      "what the encoder's input suffers; the decoder's target is clean" },
    { "noise", GLIA_SETTING_REAL, offsetof(vae, noise), 0.3, 0, 1e6, NULL,
      "share of numbers that masking sets to 0, or the deviation of gaussian" },
    { "class", GLIA_SETTING_INT, offsetof(vae, wanted_class), -1, -1, 1e6, NULL,
      "class of samples; -1: one after the other" },
    { "interpolate", GLIA_SETTING_INT, offsetof(vae, interpolate), 0, 0, 1000, NULL,
      "samples are walks of this length from one code to another; 0: they are drawn one by one" },
    { "shown", GLIA_SETTING_INT, offsetof(vae, shown), 64, 1, 1024, NULL, "samples shown after each epoch" },
    { "draws", GLIA_SETTING_INT, offsetof(vae, draws), 5000, 1, 1 << 24, NULL,
      "draws of z for the likelihood of each sample" },
    { "measured", GLIA_SETTING_INT, offsetof(vae, measured), 1000, 1, 1e9, NULL,
      "samples whose likelihood is measured, at most the data's" },
    { "features", GLIA_SETTING_TEXT, offsetof(vae, features), 0, 0, 0, NULL,
      "classifier by whose features samples are judged, besides the likelihood; none: they are not" },
};

glia_status glia_vae_meaning_of(const glia_model *model, glia_vae_meaning *means, glia_error *error) {
    vae m = { 0 };
    glia_arena texts = { 0 };
    const glia_setting_table table = { "method", "vae", settings, GLIA_COUNT(settings) };
    glia_status status = glia_settings_parse(&table, glia_model_get(model, "method.settings"), &m, &texts, error);
    glia_arena_free(&texts);
    *means = m.means;
    return status;
}

/* ---- building ------------------------------------------------------------------------------------- */

static glia_tensor corrupted(const vae *m, glia_tensor x) {
    glia_graph *g = x->graph;
    switch (m->corruption) {
    case MASKING: {
        glia_tensor lost = glia_less(glia_random_uniform(g, x->shape), glia_scalar(g, GLIA_F32, m->noise));
        return glia_select(lost, glia_like(x, 0), x);
    }
    case NORMAL_NOISE: return glia_add(x, glia_mul_scalar(glia_random_normal(g, x->shape), m->noise));
    default: return x;
    }
}

/* loss, reconstruction and KL of a batch. */
static void make_losses(const vae *m, const glia_vae_ends *e, glia_tensor *out) {
    glia_graph *g = e->x->graph;
    glia_tensor x = e->x, code[2];
    if (m->means.binarize) x = glia_cast(glia_less(glia_random_uniform(g, x->shape), x), GLIA_F32);
    glia_tensor seen = corrupted(m, x);
    const glia_tensor made[] = { e->mean, e->logvar };
    if (seen == e->x) {
        code[0] = e->mean, code[1] = e->logvar;
    } else {
        glia_substitute(made, e->logvar ? 2 : 1, &e->x, &seen, 1, code);
    }
    glia_tensor z = e->logvar ? glia_vae_latent(code[0], code[1]) : code[0];
    glia_tensor decoded = glia_once_more(e->decoded, e->z, z);
    glia_tensor score = glia_vae_log_likelihood(decoded, x, (glia_vae_likelihood)m->means.likelihood, m->means.stddev);
    out[0] = out[1] = glia_neg(glia_mean(score, GLIA_SCALAR, false));
    out[2] = e->logvar ? glia_mean(glia_vae_kl(code[0], code[1]), GLIA_SCALAR, false) : NULL;
    if (out[2] && m->beta != 0) out[0] = glia_add(out[1], glia_mul_scalar(out[2], m->beta));
}

static glia_status build(glia_training *t, const glia_vae_ends *e, glia_error *error) {
    vae *m = t->memory;
    glia_tensor losses[3];
    make_losses(m, e, losses);
    glia_minimize(losses[0], t->opts.optimizer, NULL, NULL);
    glia_status status = glia_training_add_states(t, m->graph, error);
    if (status == GLIA_OK)
        status = glia_net_step_open(&m->learn, t, m->graph, "train", losses, losses[2] ? 3 : 2, error);
    if (status == GLIA_OK) status = glia_net_step_input(&m->learn, "x", &m->x, error);
    if (status == GLIA_OK && e->y) status = glia_net_step_input(&m->learn, "y", &m->y, error);
    if (status != GLIA_OK) return status;
    t->full_lr = (double)*m->learn.rate;
    glia_training_take_sizes(t, m->learn.program);
    return GLIA_OK;
}

static glia_status begin_validation(glia_training *t, const glia_vae_ends *e, glia_error *error) {
    vae *m = t->memory;
    if (!t->opts.validation) return GLIA_OK;
    glia_status status = glia_check_samples(t->opts.validation, e->x, error);
    if (status == GLIA_OK) status = glia_check_classes(t->opts.validation, t->model, error);
    if (status != GLIA_OK) return status;
    glia_error reason = { 0 };
    const glia_loader_opts opts = { .batch = 250, .workers = t->opts.workers };
    m->validation_loader = glia_loader_create(t->opts.validation, opts, &reason);
    m->val_loss = glia_training_figure(t, "val_loss");
    m->val_reconstruction = glia_training_figure(t, "val_reconstruction");
    if (e->logvar) m->val_kl = glia_training_figure(t, "val_kl");
    return m->validation_loader ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

static glia_status begin(glia_training *t, glia_error *error) {
    vae *m = t->memory;
    glia_vae_ends e;
    glia_status status = glia_training_copy_graph(t, &m->graph, error);
    if (status == GLIA_OK) status = glia_vae_find(m->graph, &e, error);
    if (status == GLIA_OK) status = glia_begin_samples(t, e.x, error);
    if (status == GLIA_OK) status = build(t, &e, error);
    if (status == GLIA_OK) status = glia_vae_open(&m->nets, t->model, m->means, t->backend, error);
    if (status != GLIA_OK) return status;
    t->groups[t->n_groups++] = "train";
    m->loss_mean = glia_training_mean(t, "loss");
    m->reconstruction_mean = glia_training_mean(t, "reconstruction");
    if (e.logvar) m->kl_mean = glia_training_mean(t, "kl");
    return begin_validation(t, &e, error);
}

static void end(glia_training *t) {
    vae *m = t->memory;
    glia_loader_free(m->validation_loader);
    glia_vae_close(&m->nets);
    glia_net_step_close(&m->learn);
    glia_graph_free(m->graph);
    glia_store_free(t->states);
}

/* ---- steps ---------------------------------------------------------------------------------------- */

static glia_status step(glia_training *t, const glia_batch *batch, glia_error *error) {
    const vae *m = t->memory;
    const double n = (double)batch->n;
    glia_net_step_put(&m->x, batch->x);
    glia_net_step_put(&m->y, batch->y);
    glia_status status = glia_net_step_run(&m->learn, t->progress.lr, error);
    if (status != GLIA_OK) return status;
    t->progress.loss = glia_net_step_output(&m->learn, 0);
    t->samples += batch->n;
    glia_training_add(t, m->loss_mean, t->progress.loss, n);
    glia_training_add(t, m->reconstruction_mean, glia_net_step_output(&m->learn, 1), n);
    if (m->nets.ends.logvar) glia_training_add(t, m->kl_mean, glia_net_step_output(&m->learn, 2), n);
    return GLIA_OK;
}

/* Sums of a batch's -log p(x | z), z drawn once, and KL. A plain autoencoder's z is its code. */
static glia_status validate_batch(vae *m, uint64_t seed, const glia_batch *batch, float *x, int64_t first,
                                  double sums[2], glia_error *error) {
    const int64_t size = m->nets.size;
    glia_vae_terms *terms = calloc((size_t)batch->n, sizeof *terms);
    if (!terms) return glia_fail_nomem(error);
    memcpy(x, batch->x, (size_t)(batch->n * size) * sizeof *x);
    for (int64_t i = 0; m->means.binarize && i < batch->n; i++) glia_vae_binarize(x + i * size, size, first + i, seed);
    glia_status status = glia_vae_measure(&m->nets, x, batch->y, batch->n, first, 1, seed, terms, error);
    for (int64_t i = 0; i < batch->n; i++) {
        sums[0] -= terms[i].reconstruction;
        sums[1] += terms[i].kl;
    }
    free(terms);
    return status;
}

static glia_status validate(glia_training *t, glia_error *error) {
    vae *m = t->memory;
    float *x = malloc((size_t)(250 * m->nets.size) * sizeof *x);
    glia_status status = x ? glia_loader_start(m->validation_loader, 0, error) : glia_fail_nomem(error);
    double sums[2] = { 0 };
    int64_t n = 0;
    glia_batch batch;
    while (status == GLIA_OK && glia_loader_next(m->validation_loader, &batch)) {
        status = validate_batch(m, t->opts.seed, &batch, x, n, sums, error);
        n += batch.n;
    }
    free(x);
    if (status == GLIA_OK) status = glia_loader_check(m->validation_loader, error);
    if (status != GLIA_OK) return status;
    t->figures[m->val_reconstruction].value = sums[0] / (double)n;
    t->figures[m->val_loss].value = (sums[0] + m->beta * sums[1]) / (double)n;
    if (m->nets.ends.logvar) t->figures[m->val_kl].value = sums[1] / (double)n;
    return status;
}

static glia_status measure(glia_training *t, glia_error *error) {
    const vae *m = t->memory;
    return glia_measure_samples(t, m->validation_loader ? validate : NULL, error);
}

/* ---- samples -------------------------------------------------------------------------------------- */

/* n samples; with walks of `steps` codes on the great circle from one drawn code to the next (White 2016): between
 * normal codes of many numbers a straight line would leave the shell on which they lie. */
static void draw_codes(int64_t latent, uint64_t seed, int64_t n, int64_t steps, float *z) {
    enum { STREAM = 0x7661657A };
    for (int64_t i = 0; i < n; i++) {
        const int64_t walk = steps > 1 ? i / steps : i;
        glia_rng from = { .seed = seed, .stream = (uint64_t)STREAM << 32 ^ (uint64_t)walk };
        glia_rng to = { .seed = seed, .stream = (uint64_t)STREAM << 32 ^ (uint64_t)(walk + 1) };
        const double angle = steps > 1 ? (double)(i % steps) / (double)(steps - 1) * 1.5707963267948966 : 0;
        for (int64_t a = 0; a < latent; a++) {
            const double first = glia_rng_normal(&from);
            z[i * latent + a] = (float)(steps > 1 ? cos(angle) * first + sin(angle) * glia_rng_normal(&to) : first);
        }
    }
}

static glia_status draw(const vae *m, glia_vae_nets *nets, const glia_model *model, uint64_t seed, int64_t n,
                        float *out, glia_error *error) {
    float *z = malloc((size_t)(n * nets->latent) * sizeof *z);
    int32_t *y = calloc((size_t)n, sizeof *y);
    glia_status status = z && y ? glia_choose_classes(model, m->wanted_class, n, y, error) : glia_fail_nomem(error);
    if (status == GLIA_OK) {
        draw_codes(nets->latent, seed, n, m->interpolate, z);
        for (int64_t i = 0; m->interpolate > 1 && i < n; i++) y[i] = y[i - i % m->interpolate];
        status = glia_vae_decode(nets, z, y, n, out, error);
    }
    free(z);
    free(y);
    return status;
}

static glia_status draw_shown(glia_training *t, int64_t n, float *out, glia_error *error) {
    vae *m = t->memory;
    return draw(m, &m->nets, t->model, t->opts.seed, n, out, error);
}

/* ---- what it shows -------------------------------------------------------------------------------- */

/* Data that the codes are shown of. */
typedef struct looked {
    int64_t n;
    float *x, *mean, *decoded;
    int32_t *y;
} looked;

static void free_looked(looked *l) {
    free(l->x);
    free(l->mean);
    free(l->decoded);
    free(l->y);
}

static glia_status look(glia_training *t, int64_t n, looked *l, glia_error *error) {
    vae *m = t->memory;
    const glia_dataset *data = t->opts.validation ? t->opts.validation : t->data;
    const size_t size = (size_t)m->nets.size;
    *l = (looked){ .n = GLIA_MIN(n, glia_data_count(data)) };
    l->x = malloc((size_t)l->n * size * sizeof *l->x);
    l->mean = malloc((size_t)(l->n * m->nets.latent) * sizeof *l->mean);
    l->decoded = malloc((size_t)l->n * size * sizeof *l->decoded);
    l->y = calloc((size_t)l->n, sizeof *l->y);
    glia_status status = l->x && l->mean && l->decoded && l->y ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t i = 0; status == GLIA_OK && i < l->n; i++)
        status = glia_data_get(data, i, l->x + (size_t)i * size, m->nets.ends.y ? l->y + i : NULL, error);
    if (status == GLIA_OK) status = glia_vae_encode(&m->nets, l->x, l->y, l->n, l->mean, NULL, error);
    return status == GLIA_OK ? glia_vae_decode(&m->nets, l->mean, l->y, l->n, l->decoded, error) : status;
}

/* Samples of the data in turn with what their codes become. */
static glia_status show_reconstructions(const vae *m, const looked *l, glia_show_fn show_one, void *context,
                                        glia_error *error) {
    const int64_t n = GLIA_MIN(l->n, (int64_t)32), size = m->nets.size;
    float *both = malloc((size_t)(2 * n * size) * sizeof *both);
    if (!both) return glia_fail_nomem(error);
    for (int64_t i = 0; i < n; i++) {
        memcpy(both + 2 * i * size, l->x + i * size, (size_t)size * sizeof *both);
        memcpy(both + (2 * i + 1) * size, l->decoded + i * size, (size_t)size * sizeof *both);
    }
    const glia_shown shown = { .name = "reconstructions",
                               .kind = GLIA_SHOWN_PICTURES,
                               .n = 2 * n,
                               .sample = glia_one_of(m->nets.ends.x),
                               .values = both };
    glia_status status = show_one(context, &shown, error);
    free(both);
    return status;
}

/* The codes as a map: two numbers as they are, more by their first two principal components. */
static glia_status show_map(const vae *m, const looked *l, glia_show_fn show_one, void *context, glia_error *error) {
    if (m->nets.latent < 2 || l->n < 3) return GLIA_OK;
    double *y = malloc((size_t)l->n * 2 * sizeof *y);
    float *points = malloc((size_t)l->n * 2 * sizeof *points);
    glia_status status = y && points ? GLIA_OK : glia_fail_nomem(error);
    if (status == GLIA_OK && m->nets.latent > 2)
        status = glia_pca(l->mean, l->n, m->nets.latent, 2, (glia_pca_result){ .y = y }, error);
    for (int64_t i = 0; status == GLIA_OK && i < 2 * l->n; i++)
        points[i] = m->nets.latent > 2 ? (float)y[i] : l->mean[i];
    const glia_shown shown = {
        .name = "codes", .kind = GLIA_SHOWN_POINTS, .n = l->n, .sample = GLIA_SHAPE(2), .values = points
    };
    if (status == GLIA_OK) status = show_one(context, &shown, error);
    free(y);
    free(points);
    return status;
}

/* The quantile of N(0, 1): Newton's method from 0. */
static double normal_quantile(double p) {
    double x = 0;
    for (int i = 0; i < 50; i++)
        x -= (0.5 * erfc(-x / 1.4142135623730951) - p) / (0.3989422804014327 * exp(-0.5 * x * x));
    return x;
}

/* Pictures of a grid over a latent space of two numbers, at quantiles of the prior (appendix A). */
static glia_status show_plane(vae *m, glia_show_fn show_one, void *context, glia_error *error) {
    enum { SIDE = 15 };
    if (m->nets.latent != 2 || m->nets.ends.y) return GLIA_OK;
    float z[SIDE * SIDE * 2], *pictures = malloc((size_t)(SIDE * SIDE * m->nets.size) * sizeof *pictures);
    if (!pictures) return glia_fail_nomem(error);
    for (int i = 0; i < SIDE * SIDE; i++) {
        z[2 * i] = (float)normal_quantile((i % SIDE + 0.5) / SIDE);
        z[2 * i + 1] = (float)normal_quantile(1 - (i / SIDE + 0.5) / SIDE);
    }
    glia_status status = glia_vae_decode(&m->nets, z, NULL, SIDE * SIDE, pictures, error);
    const glia_shown shown = { .name = "plane",
                               .kind = GLIA_SHOWN_PICTURES,
                               .n = SIDE * SIDE,
                               .sample = glia_one_of(m->nets.ends.x),
                               .values = pictures };
    if (status == GLIA_OK) status = show_one(context, &shown, error);
    free(pictures);
    return status;
}

static glia_status show(glia_training *t, glia_show_fn show_one, void *context, glia_error *error) {
    enum { CODES = 1000 };
    vae *m = t->memory;
    const bool pictures = glia_are_pictures(m->nets.ends.x);
    looked l = { 0 };
    glia_status status = GLIA_OK;
    if (m->nets.ends.logvar)
        status = glia_show_samples(t, m->nets.ends.x, m->shown, draw_shown, show_one, context, error);
    if (status == GLIA_OK) status = look(t, CODES, &l, error);
    if (status == GLIA_OK && pictures) status = show_reconstructions(m, &l, show_one, context, error);
    if (status == GLIA_OK) status = show_map(m, &l, show_one, context, error);
    if (status == GLIA_OK && pictures) status = show_plane(m, show_one, context, error);
    free_looked(&l);
    return status;
}

/* ---- drawing from a trained model ------------------------------------------------------------------- */

static glia_status sample(const void *memory, glia_model *model, int64_t n, const glia_sample_opts *opts,
                          glia_shape *shape, float *samples, glia_error *error) {
    const vae *m = memory;
    glia_vae_ends e;
    glia_status status = glia_vae_find(model->graph, &e, error);
    if (status == GLIA_OK && !e.logvar)
        status = glia_fail(error, GLIA_E_UNSUPPORTED, "a plain autoencoder has no distribution to sample from");
    if (status != GLIA_OK) return status;
    *shape = glia_one_of(e.x);
    if (!samples) return GLIA_OK;
    status = glia_model_ready(model, 0, error);
    if (status != GLIA_OK) return status;
    glia_error reason = { 0 };
    glia_backend *backend = opts->backend ? opts->backend : glia_backend_open("cpu", opts->threads, &reason);
    if (!backend) return glia_fail(error, reason.status, "%s", reason.message);
    glia_vae_nets nets;
    status = glia_vae_open(&nets, model, m->means, backend, error);
    if (status == GLIA_OK) status = draw(m, &nets, model, opts->seed, n, samples, error);
    glia_vae_close(&nets);
    if (!opts->backend) glia_backend_close(backend);
    return status;
}

/* The likelihood, and with a classifier's features the samples. */
static glia_status assess(const void *memory, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                          glia_error *error) {
    const vae *m = memory;
    const glia_vae_estimate_opts how = { .samples = m->draws,
                                         .count = GLIA_MIN(m->measured, glia_data_count(opts->data)),
                                         .seed = opts->seed,
                                         .backend = opts->backend,
                                         .threads = opts->threads };
    glia_vae_estimate e;
    glia_status status = glia_vae_log_likelihood_of(model, opts->data, how, &e, error);
    if (status != GLIA_OK) return status;
    glia_assessment_add(out, "log_likelihood", e.log_likelihood);
    glia_assessment_add(out, "standard_error", e.standard_error);
    glia_assessment_add(out, "sampling_error", e.sampling_error);
    glia_assessment_add(out, "bound", e.bound);
    glia_assessment_add(out, "reconstruction", e.reconstruction);
    glia_assessment_add(out, "kl", e.kl);
    glia_assessment_add(out, "measured", (double)e.count);
    glia_assessment_add(out, "draws", (double)e.samples);
    if (!m->features) return GLIA_OK;
    const glia_judged judged = { &glia_method_vae, memory, m->features, m->wanted_class };
    return glia_judge_model(judged, model, opts, out, error);
}

const glia_method glia_method_vae = {
    .about = { .name = "vae",
               .summary = "an encoder to few numbers and a decoder of them",
               .paper = "Kingma and Welling 2014, Vincent et al. 2008, Higgins et al. 2017, Sohn et al. 2015",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings),
               .uses = GLIA_USES_DATA | GLIA_USES_VALIDATION | GLIA_USES_AUGMENT | GLIA_USES_OPTIMIZER |
                       GLIA_USES_PRECISION | GLIA_USES_BATCH,
               .ranked = true,
               .samples = true,
               .assesses = true },
    .bytes = sizeof(vae),
    .begin = begin,
    .step = step,
    .measure = measure,
    .show = show,
    .end = end,
    .sample = sample,
    .assess = assess,
};
