/* ddpm_method.c - the method "ddpm": a net learns to predict what noise was added to samples (Ho et al. 2020).
 *
 * The model has an input "x" (N, ...) and an integer input "t" (N), and its first output is of x's shape.
 *
 *     batch ──► x0 ──► noised by a drawn step t ──► net ──► mean square of prediction - target ──► glia_minimize
 *
 * Pictures are scaled from [0, 1] to [-1, 1], and samples back. The validation loss uses the same steps and noise in
 * each epoch, so that epochs can be compared.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "families/generative/batches.h"
#include "families/generative/judge.h"
#include "glia/generative.h"

typedef struct ddpm {
    /* settings */
    int64_t timesteps, sampling_steps, shown;
    int schedule, prediction, sampler; /* of generative.h's enums */
    double eta;
    const char *features;
    /* training */
    glia_diffusion *diffusion;
    glia_graph *graph;
    glia_program *program;
    glia_session *session;
    float *rate;
    glia_array x;
    glia_function *sampling;        /* the model itself */
    glia_loader *validation_loader; /* NULL: no validation */
    int loss_mean, val_loss;
} ddpm;

static const glia_setting settings[] = {
    { "timesteps", GLIA_SETTING_INT, offsetof(ddpm, timesteps), 1000, 2, 100000, NULL,
      "steps in which noise is added" },
    { "schedule", GLIA_SETTING_CHOICE, offsetof(ddpm, schedule), GLIA_BETA_LINEAR, 0, 0, "linear|cosine",
      "how much noise each step adds" },
    { "prediction", GLIA_SETTING_CHOICE, offsetof(ddpm, prediction), GLIA_PREDICT_NOISE, 0, 0, "noise|sample|velocity",
      "what the net predicts" },
    { "sampler", GLIA_SETTING_CHOICE, offsetof(ddpm, sampler), GLIA_DDIM, 0, 0, "ddpm|ddim|dpm-solver",
      "how samples are drawn" },
    { "sampling_steps", GLIA_SETTING_INT, offsetof(ddpm, sampling_steps), 0, 0, 100000, NULL,
      "steps of the sampler; 0: all for ddpm, 50 for ddim, 20 for dpm-solver" },
    { "eta", GLIA_SETTING_REAL, offsetof(ddpm, eta), 0, 0, 1, NULL, "noise of ddim: 0 none, 1 as ddpm" },
    { "shown", GLIA_SETTING_INT, offsetof(ddpm, shown), 36, 1, 1024, NULL, "samples shown after each epoch" },
    { "features", GLIA_SETTING_TEXT, offsetof(ddpm, features), 0, 0, 0, NULL,
      "classifier by whose features samples are judged; none: one is trained on the data" },
};

/* ---- the model ---------------------------------------------------------------------------------- */

/* The inputs and the output of the net in a graph. */
typedef struct ends {
    glia_node *x, *t, *prediction;
} ends;

static glia_status find_ends(const glia_graph *g, ends *e, glia_error *error) {
    *e = (ends){ glia_graph_find_leaf(g, "x"), glia_graph_find_leaf(g, "t"), g->n_outputs ? g->outputs[0].node : NULL };
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    if (!e->x || !e->t || !e->prediction)
        return glia_fail(error, GLIA_E_ARGUMENT, "the method ddpm needs a model with inputs 'x' and 't' and an output");
    if (glia_shape_equal(e->x->shape, e->prediction->shape)) return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "the method ddpm: the output %s must have the shape of 'x' %s",
                     glia_shape_format(e->prediction->shape, a), glia_shape_format(e->x->shape, b));
}

static glia_status make_diffusion(ddpm *m, glia_error *error) {
    const glia_diffusion_opts opts = { .steps = (int)m->timesteps,
                                       .schedule = (glia_beta_schedule)m->schedule,
                                       .prediction = (glia_diffusion_prediction)m->prediction };
    glia_error reason = { 0 };
    m->diffusion = glia_diffusion_create(opts, &reason);
    return m->diffusion ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

/* ---- building ------------------------------------------------------------------------------------- */

/* Adds loss and updates to the graph, and compiles a step. */
static glia_status build(glia_training *t, const ends *e, glia_error *error) {
    ddpm *m = t->memory;
    glia_graph *g = m->graph;
    glia_tensor loss = glia_diffusion_loss(m->diffusion, e->prediction, e->x, e->t, glia_to_net_range(e->x));
    glia_minimize(loss, t->opts.optimizer, NULL, NULL);
    glia_status status = glia_graph_check(g, error);
    if (status == GLIA_OK) status = glia_store_add(t->states, g, t->opts.seed, error);
    if (status != GLIA_OK) return status;
    const glia_compile_opts opts = { .outputs = &loss,
                                     .n_outputs = 1,
                                     .mode = GLIA_TRAIN,
                                     .updates = "train",
                                     .batch = t->opts.batch,
                                     .precision = t->opts.precision };
    glia_error reason = { 0 };
    m->program = glia_compile(g, t->backend, opts, &reason);
    m->session = m->program ? glia_session_create(m->program, t->states, &reason) : NULL;
    m->rate = m->session ? glia_session_input(m->session, "lr", NULL, &reason) : NULL;
    if (!m->rate || !glia_session_input(m->session, "x", &m->x, &reason))
        return glia_fail(error, reason.status, "%s", reason.message);
    t->full_lr = (double)*m->rate;
    glia_tell_sizes(t, m->program);
    return GLIA_OK;
}

/* The model itself as a function: x, t -> prediction. */
static glia_function *make_net(glia_model *model, glia_backend *backend, glia_error *error) {
    const glia_tensor prediction = model->graph->outputs[0].node;
    const glia_function_opts opts = { .outputs = &prediction, .n_outputs = 1, .mode = GLIA_INFER };
    return glia_function_create(model->graph, backend, model->store, opts, error);
}

static glia_status begin_validation(glia_training *t, glia_error *error) {
    enum { BATCH = 64 };
    ddpm *m = t->memory;
    glia_error reason = { 0 };
    const glia_dataset *data = t->opts.validation;
    if (!data) return GLIA_OK;
    ends e;
    glia_status status = find_ends(m->graph, &e, error);
    if (status == GLIA_OK) status = glia_check_samples(data, e.x, error);
    if (status != GLIA_OK) return status;
    m->validation_loader =
        glia_loader_create(data, (glia_loader_opts){ .batch = BATCH, .workers = t->opts.workers }, &reason);
    m->val_loss = glia_training_figure(t, "val_loss");
    return m->validation_loader ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

static glia_status begin(glia_training *t, glia_error *error) {
    ddpm *m = t->memory;
    ends e;
    glia_error reason = { 0 };
    glia_status status = make_diffusion(m, error);
    if (status == GLIA_OK) status = glia_copy_graph(t, &m->graph, error);
    if (status == GLIA_OK) status = find_ends(m->graph, &e, error);
    if (status == GLIA_OK) status = glia_begin_samples(t, e.x, error);
    if (status == GLIA_OK) status = build(t, &e, error);
    if (status != GLIA_OK) return status;
    t->groups[t->n_groups++] = "train";
    m->loss_mean = glia_training_mean(t, "loss");
    m->sampling = make_net(t->model, t->backend, &reason);
    return m->sampling ? begin_validation(t, error) : glia_fail(error, reason.status, "%s", reason.message);
}

static void end(glia_training *t) {
    ddpm *m = t->memory;
    glia_loader_free(m->validation_loader);
    glia_function_free(m->sampling);
    glia_session_free(m->session);
    glia_program_free(m->program);
    glia_graph_free(m->graph);
    glia_store_free(t->states);
    glia_diffusion_free(m->diffusion);
}

/* ---- steps ---------------------------------------------------------------------------------------- */

static glia_status step(glia_training *t, const glia_batch *batch, glia_error *error) {
    const ddpm *m = t->memory;
    memcpy(m->x.data, batch->x, glia_shape_bytes(m->x.shape, m->x.dtype));
    *m->rate = (float)t->progress.lr;
    glia_status status = glia_session_run(m->session, error);
    if (status != GLIA_OK) return status;
    t->progress.loss = (double)*(const float *)glia_session_output(m->session, 0).data;
    t->samples += batch->n;
    glia_training_add(t, m->loss_mean, t->progress.loss, (double)batch->n);
    return GLIA_OK;
}

/* One batch of validation: its samples noised and what the net should predict for them, by fixed random numbers. */
typedef struct noised {
    float *xt, *target;
    int32_t *t;
} noised;

static void add_noise(const ddpm *m, const glia_batch *batch, int64_t numbers, bool picture, glia_rng *rng,
                      const noised *out) {
    for (int64_t i = 0; i < batch->n; i++) {
        out->t[i] = (int32_t)glia_rng_below(rng, (uint64_t)m->timesteps);
        const double signal = glia_diffusion_at(m->diffusion, out->t[i]).signal, a = sqrt(signal), b = sqrt(1 - signal);
        for (int64_t k = i * numbers; k < (i + 1) * numbers; k++) {
            const double x0 = picture ? 2 * (double)batch->x[k] - 1 : (double)batch->x[k];
            const double noise = glia_rng_normal(rng);
            out->xt[k] = (float)(a * x0 + b * noise);
            out->target[k] = (float)(m->prediction == GLIA_PREDICT_NOISE    ? noise
                                     : m->prediction == GLIA_PREDICT_SAMPLE ? x0
                                                                            : a * noise - b * x0);
        }
    }
}

/* The sum of squared errors over the batch. */
static glia_status validate_batch(const ddpm *m, const noised *in, glia_shape shape, double *sum, glia_error *error) {
    glia_array prediction;
    const glia_array inputs[] = {
        { .name = "x", .dtype = GLIA_F32, .shape = shape, .data = in->xt },
        { .name = "t", .dtype = GLIA_I32, .shape = GLIA_SHAPE(shape.dim[0]), .data = in->t },
    };
    glia_status status = glia_function_call(m->sampling, inputs, GLIA_COUNT(inputs), &prediction, error);
    const float *y = status == GLIA_OK ? prediction.data : NULL;
    for (int64_t k = 0; y && k < glia_shape_count(shape); k++) {
        const double d = (double)y[k] - (double)in->target[k];
        *sum += d * d;
    }
    return status;
}

static glia_status validate(glia_training *t, glia_error *error) {
    enum { BATCH = 64, STREAM = 0x64647076 };
    ddpm *m = t->memory;
    const glia_tensor x = glia_graph_find_leaf(m->graph, "x");
    glia_shape shape = x->shape;
    const int64_t numbers = glia_shape_count(glia_one_of(x));
    glia_rng rng = { .seed = t->opts.seed, .stream = STREAM };
    noised in = { malloc((size_t)(BATCH * numbers) * sizeof *in.xt),
                  malloc((size_t)(BATCH * numbers) * sizeof *in.target), malloc(BATCH * sizeof *in.t) };
    glia_status status =
        in.xt && in.target && in.t ? glia_loader_start(m->validation_loader, 0, error) : glia_fail_nomem(error);
    double sum = 0;
    int64_t n = 0;
    glia_batch batch;
    while (status == GLIA_OK && glia_loader_next(m->validation_loader, &batch)) {
        add_noise(m, &batch, numbers, glia_are_pictures(x), &rng, &in);
        shape.dim[0] = batch.n;
        status = validate_batch(m, &in, shape, &sum, error);
        n += batch.n;
    }
    if (status == GLIA_OK) status = glia_loader_check(m->validation_loader, error);
    if (status == GLIA_OK) t->figures[m->val_loss].value = sum / (double)(n * numbers);
    free(in.xt);
    free(in.target);
    free(in.t);
    return status;
}

static glia_status measure(glia_training *t, glia_error *error) {
    const ddpm *m = t->memory;
    glia_status status = glia_training_validation(t, true, error);
    if (status == GLIA_OK && m->validation_loader) status = validate(t, error);
    glia_status after = glia_training_validation(t, false, status == GLIA_OK ? error : NULL);
    return status == GLIA_OK ? after : status;
}

/* ---- samples -------------------------------------------------------------------------------------- */

static glia_status draw(const ddpm *m, glia_function *net, glia_tensor x, uint64_t seed, int64_t n, float *out,
                        glia_error *error) {
    const glia_shape shape = glia_one_of(x);
    const bool pictures = glia_are_pictures(x);
    const glia_diffusion_sample_opts opts = { .sampler = (glia_diffusion_sampler)m->sampler,
                                              .steps = (int)GLIA_MIN(m->sampling_steps, m->timesteps),
                                              .eta = m->eta,
                                              .limit = pictures ? 0 : GLIA_ZERO,
                                              .seed = seed };
    glia_status status = glia_diffusion_sample(m->diffusion, net, n, shape, opts, out, error);
    if (status == GLIA_OK) glia_from_net_range(out, out, n * glia_shape_count(shape), pictures);
    return status;
}

static glia_status draw_shown(glia_training *t, int64_t n, float *out, glia_error *error) {
    const ddpm *m = t->memory;
    return draw(m, m->sampling, glia_graph_find_leaf(m->graph, "x"), t->opts.seed, n, out, error);
}

static glia_status show(glia_training *t, glia_show_fn show_one, void *context, glia_error *error) {
    const ddpm *m = t->memory;
    const glia_tensor samples = glia_graph_find_leaf(m->graph, "x");
    return glia_show_samples(t, samples, m->shown, draw_shown, show_one, context, error);
}

static glia_status sample(const void *memory, glia_model *model, int64_t n, const glia_sample_opts *opts,
                          glia_shape *shape, float *samples, glia_error *error) {
    ddpm m = *(const ddpm *)memory;
    ends e;
    glia_status status = find_ends(model->graph, &e, error);
    if (status != GLIA_OK) return status;
    *shape = glia_one_of(e.x);
    if (!samples) return GLIA_OK;
    status = glia_model_ready(model, 0, error);
    if (status == GLIA_OK) status = make_diffusion(&m, error);
    if (status != GLIA_OK) return status;
    glia_error reason = { 0 };
    glia_backend *backend = opts->backend ? opts->backend : glia_backend_open("cpu", opts->threads, &reason);
    glia_function *net = backend ? make_net(model, backend, &reason) : NULL;
    status =
        net ? draw(&m, net, e.x, opts->seed, n, samples, error) : glia_fail(error, reason.status, "%s", reason.message);
    glia_function_free(net);
    if (!opts->backend) glia_backend_close(backend);
    glia_diffusion_free(m.diffusion);
    return status;
}

static glia_status assess(const void *memory, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                          glia_error *error) {
    const ddpm *m = memory;
    return glia_judge((glia_judged){ &glia_method_ddpm, memory, m->features, -1 }, model, opts, out, error);
}

const glia_method glia_method_ddpm = {
    .about = { .name = "ddpm",
               .summary = "diffusion: a net removes noise step by step",
               .paper = "Ho et al. 2020, Song et al. 2021, Nichol and Dhariwal 2021",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings),
               .uses = GLIA_USES_DATA | GLIA_USES_VALIDATION | GLIA_USES_AUGMENT | GLIA_USES_OPTIMIZER |
                       GLIA_USES_PRECISION,
               .ranked = true,
               .samples = true,
               .assesses = true },
    .bytes = sizeof(ddpm),
    .begin = begin,
    .step = step,
    .measure = measure,
    .show = show,
    .end = end,
    .sample = sample,
    .assess = assess,
};
