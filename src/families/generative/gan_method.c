/* gan_method.c - the method "gan": a generator and a critic, trained against each other.
 *
 * The model has an input "z" (N, Z) and an output "sample" (N, ...) that depends on it, and an input "x" of the
 * samples' shape and an output "score" (N) or (N, 1) that depends on it. Parameters of the two nets are named
 * "generator/..." and "critic/...".
 *
 *     z ~ N(0, 1) ──► generator ──► fake ┐
 *     batch ──► real ────────────────────┴─► critic ──► losses ──► update groups "critic" and "generator"
 *
 * A step is a batch: the critic learns from it, and after every critic_steps of them the generator takes a step. With
 * the Wasserstein losses, the mean score of real samples less that of generated ones is the critic's estimate of the
 * distance between their distributions, "critic_distance" (Arjovsky et al. 2017, figure 3).
 * Pictures are scaled from [0, 1] to [-1, 1] for the critic, and samples back.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "families/generative/batches.h"
#include "families/generative/judge.h"
#include "families/generative/steps.h"
#include "glia/generative.h"

enum { CRITIC, GENERATOR, NETS };
static const char *const groups[NETS] = { "critic", "generator" };

typedef struct gan {
    /* settings */
    int loss; /* index in `kinds` */
    int64_t critic_steps, shown, wanted_class, judged;
    double penalty, clip, critic_lr;
    const char *features;
    /* training */
    glia_graph *graph;
    glia_net_step steps[NETS];
    glia_array x;       /* the critic's batch */
    glia_array y[NETS]; /* classes of a batch, for both nets; data NULL: none */
    glia_function *sampler;
    glia_judge *judge; /* NULL: samples are not judged in training */
    int loss_mean, critic_mean, real_mean, fake_mean, distance_mean;
    double base_rates[NETS];
    double last_loss; /* of the generator */
} gan;

/* "wgan-gp" is the Wasserstein loss with the gradient penalty, "wgan" with clipped weights. */
static const glia_gan_loss kinds[] = { GLIA_GAN_NON_SATURATING, GLIA_GAN_WASSERSTEIN, GLIA_GAN_WASSERSTEIN,
                                       GLIA_GAN_HINGE, GLIA_GAN_LEAST_SQUARES };
enum { WGAN = 1, WGAN_GP = 2 };

static const glia_setting settings[] = {
    { "loss", GLIA_SETTING_CHOICE, offsetof(gan, loss), 0, 0, 0, "non-saturating|wgan|wgan-gp|hinge|least-squares",
      "what scores are turned into" },
    { "critic_steps", GLIA_SETTING_INT, offsetof(gan, critic_steps), 1, 1, 1000, NULL,
      "steps of the critic for one of the generator" },
    { "penalty", GLIA_SETTING_REAL, offsetof(gan, penalty), 10, 0, 1e6, NULL, "weight of wgan-gp's gradient penalty" },
    { "clip", GLIA_SETTING_REAL, offsetof(gan, clip), 0.01, 1e-9, 1e6, NULL, "limit of the weights of wgan's critic" },
    { "critic_lr", GLIA_SETTING_REAL, offsetof(gan, critic_lr), 0, 0, 1e6, NULL,
      "learning rate of the critic; 0: that of the optimizer" },
    { "shown", GLIA_SETTING_INT, offsetof(gan, shown), 64, 1, 1024, NULL, "samples shown after each epoch" },
    { "class", GLIA_SETTING_INT, offsetof(gan, wanted_class), -1, -1, 1e6, NULL,
      "class of samples; -1: one after the other" },
    { "features", GLIA_SETTING_TEXT, offsetof(gan, features), 0, 0, 0, NULL,
      "classifier by whose features samples are judged; none: one is trained on the data" },
    { "judged", GLIA_SETTING_INT, offsetof(gan, judged), 0, 0, 1e6, NULL,
      "samples drawn and judged after each epoch, at least 4; 0: none" },
};

/* ---- the model -------------------------------------------------------------------------------- */

static const char *const wanted =
    "the method gan needs a model with inputs 'z' and 'x' and outputs 'sample' and 'score'";

/* The ends of the two nets in a graph; y NULL: no classes. */
typedef struct ends {
    glia_node *z, *x, *y, *sample, *score;
} ends;

static glia_status find_ends(const glia_graph *g, ends *e, glia_error *error) {
    *e = (ends){ .z = glia_graph_find_leaf(g, "z"),
                 .x = glia_graph_find_leaf(g, "x"),
                 .y = glia_graph_find_leaf(g, "y"),
                 .sample = glia_graph_find_output(g, "sample"),
                 .score = glia_graph_find_output(g, "score") };
    if (!e->z || !e->x || !e->sample || !e->score) return glia_fail(error, GLIA_E_ARGUMENT, "%s", wanted);
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    if (glia_shape_equal(e->x->shape, e->sample->shape)) return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "the method gan: samples are %s, and the critic takes %s",
                     glia_shape_format(e->sample->shape, a), glia_shape_format(e->x->shape, b));
}

/* ---- building ----------------------------------------------------------------------------------- */

/* The optimiser of one net; the generator's may keep averages. */
static glia_optimizer optimizer_of(const glia_training *t, double lr, bool averages) {
    glia_optimizer o = glia_optimizer_resolved(t->opts.optimizer);
    o.lr = lr;
    if (!averages) o.ema = 0, o.ema_warmup = false;
    return o;
}

/* Adds losses and updates to the graph and compiles each net's step. */
static glia_status build(glia_training *t, const ends *e, glia_error *error) {
    gan *m = t->memory;
    glia_graph *g = m->graph;
    glia_tensor fake = glia_once_more(e->sample, e->z, glia_random_normal(g, e->z->shape));
    glia_tensor real = glia_to_net_range(e->x);
    glia_tensor on_real = glia_once_more(e->score, e->x, real), on_fake = glia_once_more(e->score, e->x, fake);
    glia_tensor critic_loss = glia_gan_critic_loss(on_real, on_fake, kinds[m->loss]);
    glia_tensor generator_loss = glia_gan_generator_loss(on_fake, kinds[m->loss]);
    if (m->loss == WGAN_GP) {
        glia_tensor penalty = glia_gradient_penalty(e->score, e->x, real, fake, (glia_gradient_penalty_opts){ 0 });
        critic_loss = glia_add(critic_loss, glia_mul_scalar(penalty, m->penalty));
    }
    glia_minimize(critic_loss, optimizer_of(t, m->base_rates[CRITIC], false), "critic*", "critic");
    glia_minimize(generator_loss, optimizer_of(t, m->base_rates[GENERATOR], true), "generator*", "generator");
    if (m->loss == WGAN) glia_gan_clip_weights(g, "critic*", m->clip, "critic");
    const glia_tensor critic_outputs[] = { critic_loss, glia_mean(on_real, GLIA_SCALAR, false),
                                           glia_mean(on_fake, GLIA_SCALAR, false) };
    const glia_tensor *const outputs[NETS] = { critic_outputs, &generator_loss };
    const int numbers[NETS] = { GLIA_COUNT(critic_outputs), 1 };
    glia_status status = glia_training_add_states(t, g, error);
    for (int net = 0; status == GLIA_OK && net < NETS; net++) {
        glia_net_step *s = &m->steps[net];
        status = glia_net_step_open(s, t, g, groups[net], outputs[net], numbers[net], error);
        if (status == GLIA_OK && e->y) status = glia_net_step_input(s, "y", &m->y[net], error);
    }
    return status == GLIA_OK ? glia_net_step_input(&m->steps[CRITIC], "x", &m->x, error) : status;
}

/* A function of the model itself: z and perhaps y -> sample. */
static glia_function *make_sampler(glia_model *model, glia_backend *backend, glia_error *error) {
    const glia_tensor sample = glia_graph_find_output(model->graph, "sample");
    const glia_function_opts opts = { .outputs = &sample, .n_outputs = 1, .mode = GLIA_INFER };
    return glia_function_create(model->graph, backend, model->store, opts, error);
}

static glia_judged judged_by(const gan *m) {
    return (glia_judged){ &glia_method_gan, m, m->features, m->wanted_class };
}

static glia_status begin(glia_training *t, glia_error *error) {
    gan *m = t->memory;
    ends e;
    glia_error reason = { 0 };
    glia_status status = glia_training_copy_graph(t, &m->graph, error);
    if (status == GLIA_OK) status = find_ends(m->graph, &e, error);
    if (status == GLIA_OK) status = glia_begin_samples(t, e.x, error);
    if (status != GLIA_OK) return status;
    t->full_lr = m->base_rates[GENERATOR] = glia_optimizer_resolved(t->opts.optimizer).lr;
    m->base_rates[CRITIC] = m->critic_lr > 0 ? m->critic_lr : t->full_lr;
    status = build(t, &e, error);
    if (status == GLIA_OK) m->sampler = make_sampler(t->model, t->backend, &reason);
    if (status == GLIA_OK && !m->sampler) status = glia_fail(error, reason.status, "%s", reason.message);
    if (m->steps[CRITIC].program) glia_training_take_sizes(t, m->steps[CRITIC].program);
    t->groups[t->n_groups++] = groups[GENERATOR];
    m->loss_mean = glia_training_mean(t, "loss");
    m->critic_mean = glia_training_mean(t, "critic_loss");
    m->real_mean = glia_training_mean(t, "real_score");
    m->fake_mean = glia_training_mean(t, "fake_score");
    if (kinds[m->loss] == GLIA_GAN_WASSERSTEIN) m->distance_mean = glia_training_mean(t, "critic_distance");
    if (status == GLIA_OK)
        status = glia_judge_begin(t, judged_by(m), glia_one_of(e.sample), m->judged, &m->judge, error);
    return status;
}

static void end(glia_training *t) {
    gan *m = t->memory;
    for (int i = 0; i < NETS; i++) glia_net_step_close(&m->steps[i]);
    glia_judge_end(m->judge);
    glia_function_free(m->sampler);
    glia_graph_free(m->graph);
    glia_store_free(t->states);
}

/* ---- steps -------------------------------------------------------------------------------------- */

/* Takes a step of one net, with its learning rate on the schedule. */
static glia_status run(glia_training *t, int net, glia_error *error) {
    const gan *m = t->memory;
    const double share = t->full_lr > 0 ? t->progress.lr / t->full_lr : 0;
    return glia_net_step_run(&m->steps[net], m->base_rates[net] * share, error);
}

static glia_status critic_step(glia_training *t, const glia_batch *batch, glia_error *error) {
    const gan *m = t->memory;
    const double weight = (double)batch->n;
    glia_net_step_put(&m->x, batch->x);
    for (int net = 0; net < NETS; net++) glia_net_step_put(&m->y[net], batch->y);
    glia_status status = run(t, CRITIC, error);
    if (status != GLIA_OK) return status;
    const glia_net_step *s = &m->steps[CRITIC];
    t->progress.loss = glia_net_step_output(s, 0);
    glia_training_add(t, m->critic_mean, t->progress.loss, weight);
    const double real = glia_net_step_output(s, 1), fake = glia_net_step_output(s, 2);
    glia_training_add(t, m->real_mean, real, weight);
    glia_training_add(t, m->fake_mean, fake, weight);
    if (kinds[m->loss] == GLIA_GAN_WASSERSTEIN) glia_training_add(t, m->distance_mean, real - fake, weight);
    return GLIA_OK;
}

static glia_status generator_step(glia_training *t, int64_t n, glia_error *error) {
    gan *m = t->memory;
    glia_status status = run(t, GENERATOR, error);
    if (status != GLIA_OK) return status;
    m->last_loss = glia_net_step_output(&m->steps[GENERATOR], 0);
    glia_training_add(t, m->loss_mean, m->last_loss, (double)n);
    return GLIA_OK;
}

static glia_status step(glia_training *t, const glia_batch *batch, glia_error *error) {
    gan *m = t->memory;
    t->samples += batch->n;
    glia_status status = critic_step(t, batch, error);
    if (status != GLIA_OK || !isfinite(t->progress.loss)) return status;
    if ((t->done + 1) % m->critic_steps == 0) status = generator_step(t, batch->n, error);
    t->progress.loss = m->last_loss;
    return status;
}

static glia_status judge(glia_training *t, glia_error *error) {
    const gan *m = t->memory;
    return glia_judge_epoch(m->judge, t, error);
}

static glia_status measure(glia_training *t, glia_error *error) { return glia_measure_samples(t, judge, error); }

static int arrays(glia_training *t, glia_array *out, int capacity) {
    gan *m = t->memory;
    (void)capacity;
    out[0] = (glia_array){ .name = "last_loss", .dtype = GLIA_F64, .shape = GLIA_SHAPE(1), .data = &m->last_loss };
    return 1;
}

/* ---- samples ------------------------------------------------------------------------------------ */

enum { AT_ONCE = 64, STREAM = 0x67616E }; /* samples in one call; of random numbers */

/* What samples are drawn with. */
typedef struct drawing {
    glia_function *sampler;
    const glia_model *model;
    glia_shape z; /* with a number in the place of the batch */
    int64_t wanted_class;
    uint64_t seed;
} drawing;

/* n samples of the noise `values` (n, Z) and the classes y. */
static glia_status call_sampler(const drawing *d, int64_t n, const float *values, const int32_t *y, float *out,
                                glia_error *error) {
    glia_array output, inputs[2] = { { .name = "z", .dtype = GLIA_F32, .shape = d->z },
                                     { .name = "y", .dtype = GLIA_I32, .shape = GLIA_SHAPE(n) } };
    inputs[0].shape.dim[0] = n;
    inputs[0].data = (void *)(uintptr_t)values;
    inputs[1].data = (void *)(uintptr_t)y;
    const glia_status status =
        glia_function_call(d->sampler, inputs, glia_classes_of(d->model) ? 2 : 1, &output, error);
    if (status == GLIA_OK) glia_from_net_range(output.data, out, glia_shape_count(output.shape), output.shape.rank > 2);
    return status;
}

/* n samples of noise by seed, pictures in [0, 1]. */
static glia_status draw(const drawing *d, int64_t n, float *out, glia_error *error) {
    const glia_tensor sample = glia_graph_find_output(d->model->graph, "sample");
    const int64_t noise = glia_shape_count(d->z) / d->z.dim[0], count = glia_shape_count(glia_one_of(sample));
    glia_rng rng = { .seed = d->seed, .stream = STREAM };
    double *normals = malloc((size_t)(AT_ONCE * noise) * sizeof *normals);
    float *values = malloc((size_t)(AT_ONCE * noise) * sizeof *values);
    int32_t *y = calloc((size_t)n, sizeof *y);
    glia_status status =
        normals && values && y ? glia_choose_classes(d->model, d->wanted_class, n, y, error) : glia_fail_nomem(error);
    for (int64_t at = 0; status == GLIA_OK && at < n; at += AT_ONCE) {
        const int64_t some = GLIA_MIN(n - at, (int64_t)AT_ONCE);
        glia_rng_normals(&rng, normals, some * noise);
        for (int64_t i = 0; i < some * noise; i++) values[i] = (float)normals[i];
        status = call_sampler(d, some, values, y + at, out + at * count, error);
    }
    free(normals);
    free(values);
    free(y);
    return status;
}

/* The shape of z with a number in the place of the batch. */
static glia_shape noise_shape(const glia_node *z) {
    glia_shape shape = z->shape;
    shape.dim[0] = 1;
    return shape;
}

static glia_status draw_shown(glia_training *t, int64_t n, float *out, glia_error *error) {
    const gan *m = t->memory;
    const glia_node *z = glia_graph_find_leaf(t->model->graph, "z");
    const drawing d = { m->sampler, t->model, noise_shape(z), m->wanted_class, t->opts.seed };
    return draw(&d, n, out, error);
}

static glia_status show(glia_training *t, glia_show_fn show_one, void *context, glia_error *error) {
    const gan *m = t->memory;
    const glia_tensor samples = glia_graph_find_output(t->model->graph, "sample");
    return glia_show_samples(t, samples, m->shown, draw_shown, show_one, context, error);
}

static glia_status sample(const void *memory, glia_model *model, int64_t n, const glia_sample_opts *opts,
                          glia_shape *shape, float *samples, glia_error *error) {
    const gan *m = memory;
    ends e;
    glia_status status = find_ends(model->graph, &e, error);
    if (status != GLIA_OK) return status;
    *shape = glia_one_of(e.sample);
    if (!samples) return GLIA_OK;
    status = glia_model_ready(model, 0, error);
    if (status != GLIA_OK) return status;
    glia_error reason = { 0 };
    glia_backend *backend = opts->backend ? opts->backend : glia_backend_open("cpu", opts->threads, &reason);
    glia_function *sampler = backend ? make_sampler(model, backend, &reason) : NULL;
    const drawing d = { sampler, model, noise_shape(e.z), m->wanted_class, opts->seed };
    status = sampler ? draw(&d, n, samples, error) : glia_fail(error, reason.status, "%s", reason.message);
    glia_function_free(sampler);
    if (!opts->backend) glia_backend_close(backend);
    return status;
}

static glia_status assess(const void *memory, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                          glia_error *error) {
    return glia_judge_model(judged_by(memory), model, opts, out, error);
}

const glia_method glia_method_gan = {
    .about = { .name = "gan",
               .summary = "a generator against a critic",
               .paper = "Goodfellow et al. 2014, Arjovsky et al. 2017, Gulrajani et al. 2017",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings),
               .uses = GLIA_USES_DATA | GLIA_USES_AUGMENT | GLIA_USES_OPTIMIZER | GLIA_USES_BATCH,
               .samples = true,
               .assesses = true },
    .bytes = sizeof(gan),
    .begin = begin,
    .step = step,
    .measure = measure,
    .show = show,
    .arrays = arrays,
    .end = end,
    .sample = sample,
    .assess = assess,
};
