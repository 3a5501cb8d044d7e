/* ddpm_method.c - the method "ddpm": a net learns to predict what noise was added to samples (Ho et al. 2020).
 *
 * The model has an input "x" (N, ...) and an integer input "t" (N), and its first output is of x's shape, or has twice
 * its channels: then it learns variances too (learned_variance.c). A model of
 * samples with classes has an input "y" (N): a class, or the number of classes, which stands for none. In training some
 * samples lose their class, so that sampling may be guided (Ho and Salimans 2021).
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
#include "families/generative/diffusion_settings.h"
#include "families/generative/generative.h"
#include "families/generative/judge.h"
#include "families/generative/steps.h"
#include "glia/generative.h"

/* The model as a function: x, t and perhaps y -> prediction, guided. */
typedef struct net {
    glia_graph *graph;
    glia_function *function;
} net;

typedef struct ddpm {
    /* settings */
    glia_diffusion_settings how;
    int64_t shown, wanted_class, interpolate, measured, draws, judged;
    double drop_class, guidance;
    const char *features;
    /* training */
    glia_diffusion *diffusion;
    glia_graph *graph;
    glia_net_step learn;
    glia_array x, y;                /* a batch; y.data NULL: no classes */
    net guided, plain;              /* what samples are drawn with; as trained, for the validation */
    glia_loader *validation_loader; /* NULL: no validation */
    glia_judge *judge;              /* NULL: samples are not judged in training */
    int loss_mean, val_loss;
} ddpm;

static const glia_setting settings[] = {
    GLIA_DIFFUSION_SETTINGS(ddpm, how, GLIA_BETA_LINEAR, GLIA_PREDICT_NOISE, GLIA_DDIM),
    { "shown", GLIA_SETTING_INT, offsetof(ddpm, shown), 36, 1, 1024, NULL, "samples shown after each epoch" },
    { "drop_class", GLIA_SETTING_REAL, offsetof(ddpm, drop_class), 0.1, 0, 1, NULL,
      "share of the samples that are trained without their class" },
    { "guidance", GLIA_SETTING_REAL, offsetof(ddpm, guidance), 1, 0, 100, NULL,
      "how far samples follow their class: 1 as trained, more: further" },
    { "class", GLIA_SETTING_INT, offsetof(ddpm, wanted_class), -1, -1, 1e6, NULL,
      "class of samples; -1: one after the other" },
    { "interpolate", GLIA_SETTING_INT, offsetof(ddpm, interpolate), 0, 0, 1000, NULL,
      "samples are walks of this length from one noise to another; 0: they are drawn one by one" },
    { "measured", GLIA_SETTING_INT, offsetof(ddpm, measured), 100, 1, 1e9, NULL,
      "samples whose bits per dimension are measured" },
    { "draws", GLIA_SETTING_INT, offsetof(ddpm, draws), 20, 1, 100000, NULL, "steps drawn for each of these" },
    { "features", GLIA_SETTING_TEXT, offsetof(ddpm, features), 0, 0, 0, NULL,
      "classifier by whose features samples are judged; none: one is trained on the data" },
    { "judged", GLIA_SETTING_INT, offsetof(ddpm, judged), 0, 0, 1e6, NULL,
      "samples drawn and judged after each epoch, at least 4; 0: none" },
};

/* ---- the model ---------------------------------------------------------------------------------- */

/* The inputs and the output of the net in a graph; y NULL: no classes. */
typedef struct ends {
    glia_node *x, *t, *prediction, *y;
} ends;

/* Whether the output has twice the channels of pictures x: the prediction, and variances (Nichol and Dhariwal 2021). */
static bool learns_variance(const ends *e) {
    glia_shape twice = e->x->shape;
    if (twice.rank < 3) return false;
    twice.dim[1] *= 2;
    return glia_shape_equal(e->prediction->shape, twice);
}

static glia_status find_ends(const glia_graph *g, ends *e, glia_error *error) {
    *e = (ends){ glia_graph_find_leaf(g, "x"), glia_graph_find_leaf(g, "t"), g->n_outputs ? g->outputs[0].node : NULL,
                 glia_graph_find_leaf(g, "y") };
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    if (!e->x || !e->t || !e->prediction)
        return glia_fail(error, GLIA_E_ARGUMENT, "the method ddpm needs a model with inputs 'x' and 't' and an output");
    if (glia_shape_equal(e->x->shape, e->prediction->shape) || learns_variance(e)) return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "the method ddpm: the output %s must have the shape of 'x' %s",
                     glia_shape_format(e->prediction->shape, a), glia_shape_format(e->x->shape, b));
}

/* ---- building ------------------------------------------------------------------------------------- */

/* Adds loss and updates to the graph, and compiles a step. */
static glia_status build(glia_training *t, const ends *e, glia_error *error) {
    ddpm *m = t->memory;
    glia_graph *g = m->graph;
    glia_tensor x0 = glia_to_net_range(e->x);
    glia_tensor loss = learns_variance(e) ? glia_diffusion_hybrid_loss(m->diffusion, e->prediction, e->x, e->t, x0, 0)
                                          : glia_diffusion_loss(m->diffusion, e->prediction, e->x, e->t, x0);
    if (e->y && m->drop_class > 0) {
        glia_tensor lost = glia_less(glia_random_uniform(g, e->y->shape), glia_scalar(g, GLIA_F32, m->drop_class));
        glia_tensor y = glia_select(lost, glia_like(e->y, glia_classes_of(t->model)), e->y);
        loss = glia_once_more(loss, e->y, y);
    }
    glia_minimize(loss, t->opts.optimizer, NULL, NULL);
    glia_status status = glia_training_add_states(t, g, error);
    if (status == GLIA_OK) status = glia_net_step_open(&m->learn, t, g, "train", &loss, 1, error);
    if (status == GLIA_OK) status = glia_net_step_input(&m->learn, "x", &m->x, error);
    if (status == GLIA_OK && e->y) status = glia_net_step_input(&m->learn, "y", &m->y, error);
    if (status != GLIA_OK) return status;
    t->full_lr = (double)*m->learn.rate;
    glia_training_take_sizes(t, m->learn.program);
    return GLIA_OK;
}

static void close_net(net *n) {
    glia_function_free(n->function);
    glia_graph_free(n->graph);
    *n = (net){ 0 };
}

static glia_status check_guidance(const ddpm *m, const ends *e, glia_error *error) {
    if (m->guidance == 1 || (e->y && m->drop_class > 0)) return GLIA_OK;
    return glia_fail(error, GLIA_E_ARGUMENT, "guidance needs a model that was trained with classes%s; 1 is none",
                     e->y ? ", some samples without theirs (drop_class above 0)" : "");
}

/* Guidance s: the prediction without class, and s times the difference that the class makes. frozen: the values do not
 * change any more. */
static glia_status open_net(const ddpm *m, glia_model *model, glia_backend *backend, bool frozen, net *n,
                            glia_error *error) {
    glia_error reason = { 0 };
    ends e;
    *n = (net){ 0 };
    n->graph = glia_graph_rewrite(model->graph, NULL, NULL, NULL, true, &reason);
    if (!n->graph) return glia_fail(error, reason.status, "%s", reason.message);
    glia_status status = find_ends(n->graph, &e, &reason);
    if (status == GLIA_OK) status = check_guidance(m, &e, &reason);
    if (status == GLIA_OK) {
        glia_tensor prediction = e.prediction;
        if (m->guidance != 1) {
            glia_tensor plain = glia_once_more(prediction, e.y, glia_like(e.y, glia_classes_of(model)));
            prediction = glia_add(plain, glia_mul_scalar(glia_sub(prediction, plain), m->guidance));
            glia_tensor both[] = { prediction, e.prediction };
            for (int i = 0; learns_variance(&e) && i < 2; i++) both[i] = glia_diffusion_half(both[i], i);
            if (learns_variance(&e)) prediction = glia_concat(both, 2, 1);
        }
        const glia_function_opts opts = {
            .outputs = &prediction, .n_outputs = 1, .mode = GLIA_INFER, .frozen = frozen, .changing = frozen ? "" : NULL
        };
        n->function = glia_function_create(n->graph, backend, model->store, opts, &reason);
        if (n->function) return GLIA_OK;
    }
    close_net(n);
    return glia_fail(error, reason.status, "%s", reason.message);
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
    if (status == GLIA_OK) status = glia_check_classes(data, t->model, error);
    if (status != GLIA_OK) return status;
    m->validation_loader =
        glia_loader_create(data, (glia_loader_opts){ .batch = BATCH, .workers = t->opts.workers }, &reason);
    if (!m->validation_loader) return glia_fail(error, reason.status, "%s", reason.message);
    m->val_loss = glia_training_figure(t, "val_loss");
    ddpm plain = *m;
    plain.guidance = 1;
    return open_net(&plain, t->model, t->backend, false, &m->plain, error);
}

static glia_judged judged_by(const ddpm *m) {
    return (glia_judged){ &glia_method_ddpm, m, m->features, m->wanted_class };
}

static glia_status begin(glia_training *t, glia_error *error) {
    ddpm *m = t->memory;
    ends e;
    glia_status status = glia_diffusion_of_settings(&m->how, &m->diffusion, error);
    if (status == GLIA_OK) status = glia_training_copy_graph(t, &m->graph, error);
    if (status == GLIA_OK) status = find_ends(m->graph, &e, error);
    if (status == GLIA_OK) status = glia_begin_samples(t, e.x, error);
    if (status == GLIA_OK) status = build(t, &e, error);
    if (status != GLIA_OK) return status;
    t->groups[t->n_groups++] = "train";
    m->loss_mean = glia_training_mean(t, "loss");
    status = open_net(m, t->model, t->backend, false, &m->guided, error);
    if (status == GLIA_OK) status = begin_validation(t, error);
    return status == GLIA_OK ? glia_judge_begin(t, judged_by(m), glia_one_of(e.x), m->judged, &m->judge, error)
                             : status;
}

static void end(glia_training *t) {
    ddpm *m = t->memory;
    glia_judge_end(m->judge);
    glia_loader_free(m->validation_loader);
    close_net(&m->guided);
    close_net(&m->plain);
    glia_net_step_close(&m->learn);
    glia_graph_free(m->graph);
    glia_store_free(t->states);
    glia_diffusion_free(m->diffusion);
}

/* ---- steps ---------------------------------------------------------------------------------------- */

static glia_status step(glia_training *t, const glia_batch *batch, glia_error *error) {
    const ddpm *m = t->memory;
    glia_net_step_put(&m->x, batch->x);
    glia_net_step_put(&m->y, batch->y);
    glia_status status = glia_net_step_run(&m->learn, t->progress.lr, error);
    if (status != GLIA_OK) return status;
    t->progress.loss = glia_net_step_output(&m->learn, 0);
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
        out->t[i] = (int32_t)glia_rng_below(rng, (uint64_t)m->how.timesteps);
        const double signal = glia_diffusion_at(m->diffusion, out->t[i]).signal, a = sqrt(signal), b = sqrt(1 - signal);
        for (int64_t k = i * numbers; k < (i + 1) * numbers; k++) {
            const double x0 = picture ? 2 * (double)batch->x[k] - 1 : (double)batch->x[k];
            const double noise = glia_rng_normal(rng);
            out->xt[k] = (float)(a * x0 + b * noise);
            out->target[k] = (float)(m->how.prediction == GLIA_PREDICT_NOISE    ? noise
                                     : m->how.prediction == GLIA_PREDICT_SAMPLE ? x0
                                                                                : a * noise - b * x0);
        }
    }
}

/* The sum of squared errors over the batch. */
static glia_status validate_batch(const ddpm *m, const noised *in, const void *classes, glia_shape shape, double *sum,
                                  glia_error *error) {
    glia_array prediction;
    const glia_array inputs[] = {
        { .name = "x", .dtype = GLIA_F32, .shape = shape, .data = in->xt },
        { .name = "t", .dtype = GLIA_I32, .shape = GLIA_SHAPE(shape.dim[0]), .data = in->t },
        { .name = "y", .dtype = GLIA_I32, .shape = GLIA_SHAPE(shape.dim[0]), .data = (void *)(uintptr_t)classes },
    };
    const int n = m->y.data ? 3 : 2;
    glia_status status = glia_function_call(m->plain.function, inputs, n, &prediction, error);
    const float *y = status == GLIA_OK ? prediction.data : NULL;
    const int64_t size = glia_shape_count(shape) / shape.dim[0];
    const int64_t stride = y ? glia_shape_count(prediction.shape) / shape.dim[0] : 0;
    for (int64_t k = 0; y && k < glia_shape_count(shape); k++) {
        const double d = (double)y[k / size * stride + k % size] - (double)in->target[k];
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
        status = validate_batch(m, &in, batch.y, shape, &sum, error);
        n += batch.n;
    }
    if (status == GLIA_OK) status = glia_loader_check(m->validation_loader, error);
    if (status == GLIA_OK) t->figures[m->val_loss].value = sum / (double)(n * numbers);
    free(in.xt);
    free(in.target);
    free(in.t);
    return status;
}

static glia_status validate_and_judge(glia_training *t, glia_error *error) {
    const ddpm *m = t->memory;
    const glia_status status = m->validation_loader ? validate(t, error) : GLIA_OK;
    return status == GLIA_OK ? glia_judge_epoch(m->judge, t, error) : status;
}

static glia_status measure(glia_training *t, glia_error *error) {
    return glia_measure_samples(t, validate_and_judge, error);
}

/* ---- samples -------------------------------------------------------------------------------------- */

/* What samples are drawn with. */
typedef struct drawing {
    const ddpm *m;
    glia_function *net;
    const glia_model *model;
    glia_tensor x; /* like samples */
    const glia_sample_opts *opts;
    float *start, *known, *mask, *shown; /* (n, sample); NULL: not needed */
    int32_t *y;
} drawing;

/* The noise at the start of walks on the great circle from one drawn noise to the next (Song et al. 2021, section 5.3).
 */
static void make_walks(const drawing *d, int64_t n, int64_t size) {
    enum { STREAM = 0x77616C6B };
    const int64_t steps = d->m->interpolate;
    for (int64_t i = 0; i < n; i++) {
        glia_rng from = { .seed = d->opts->seed, .stream = (uint64_t)STREAM << 32 ^ (uint64_t)(i / steps) }, to = from;
        to.stream = (uint64_t)STREAM << 32 ^ (uint64_t)(i / steps + 1);
        const double angle = (double)(i % steps) / (double)(steps - 1) * 1.5707963267948966;
        for (int64_t k = 0; k < size; k++) {
            const double first = glia_rng_normal(&from), second = glia_rng_normal(&to);
            d->start[i * size + k] = (float)(cos(angle) * first + sin(angle) * second);
        }
    }
}

/* The parts that are known, in the nets' range. */
static void make_known(const drawing *d, int64_t n, int64_t size, bool pictures) {
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < size; k++) {
            d->known[i * size + k] = pictures ? 2 * d->opts->known[k] - 1 : d->opts->known[k];
            d->mask[i * size + k] = d->opts->mask[k];
        }
    }
}

/* Passes what a step gave on, in the data's range. */
static glia_status watch(const glia_diffusion_progress *p, void *context, glia_error *error) {
    const drawing *d = context;
    const glia_shape shape = glia_one_of(d->x);
    glia_from_net_range(p->x, d->shown, p->n * glia_shape_count(shape), glia_are_pictures(d->x));
    return d->opts->watch(d->opts->context, d->shown, p->first, p->n, p->step, p->steps, error);
}

static glia_status prepare(drawing *d, int64_t n, int64_t size, glia_error *error) {
    const ddpm *m = d->m;
    const size_t bytes = (size_t)(n * size) * sizeof(float);
    if (m->interpolate == 1 || (m->interpolate > 1 && (m->how.sampler == GLIA_DDPM || m->how.eta > 0)))
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "a walk takes 2 samples or more by a sampler without noise: ddim with eta=0, or dpm-solver");
    d->y = calloc((size_t)n, sizeof *d->y);
    if (m->interpolate) d->start = malloc(bytes);
    if (d->opts->known) d->known = malloc(bytes), d->mask = malloc(bytes);
    if (d->opts->watch) d->shown = malloc(bytes);
    if (!d->y || (m->interpolate && !d->start) || (d->opts->known && !(d->known && d->mask)) ||
        (d->opts->watch && !d->shown))
        return glia_fail_nomem(error);
    glia_status status = glia_choose_classes(d->model, m->wanted_class, n, d->y, error);
    for (int64_t i = 0; m->interpolate && i < n; i++) d->y[i] = d->y[i - i % m->interpolate];
    if (m->interpolate) make_walks(d, n, size);
    if (d->known) make_known(d, n, size, glia_are_pictures(d->x));
    return status;
}

static glia_status draw(drawing *d, int64_t n, float *out, glia_error *error) {
    const ddpm *m = d->m;
    const glia_shape shape = glia_one_of(d->x);
    const bool pictures = glia_are_pictures(d->x);
    glia_status status = prepare(d, n, glia_shape_count(shape), error);
    const glia_array classes = { .name = "y", .dtype = GLIA_I32, .shape = GLIA_SHAPE(n), .data = d->y };
    const glia_diffusion_sample_opts opts = { .sampler = (glia_diffusion_sampler)m->how.sampler,
                                              .steps = (int)m->how.sampling_steps,
                                              .eta = m->how.eta,
                                              .limit = pictures ? 0 : GLIA_ZERO,
                                              .seed = d->opts->seed,
                                              .inputs = &classes,
                                              .n_inputs = glia_classes_of(d->model) ? 1 : 0,
                                              .start = d->start,
                                              .known = d->known,
                                              .mask = d->mask,
                                              .watch = d->opts->watch ? watch : NULL,
                                              .context = d };
    if (status == GLIA_OK) status = glia_diffusion_sample(m->diffusion, d->net, n, shape, opts, out, error);
    if (status == GLIA_OK) glia_from_net_range(out, out, n * glia_shape_count(shape), pictures);
    free(d->start);
    free(d->known);
    free(d->mask);
    free(d->shown);
    free(d->y);
    return status;
}

static glia_status draw_shown(glia_training *t, int64_t n, float *out, glia_error *error) {
    const ddpm *m = t->memory;
    const glia_sample_opts how = { .seed = t->opts.seed };
    drawing d = {
        .m = m, .net = m->guided.function, .model = t->model, .x = glia_graph_find_leaf(m->graph, "x"), .opts = &how
    };
    return draw(&d, n, out, error);
}

static glia_status show(glia_training *t, glia_show_fn show_one, void *context, glia_error *error) {
    const ddpm *m = t->memory;
    const glia_tensor samples = glia_graph_find_leaf(m->graph, "x");
    return glia_show_samples(t, samples, m->shown, draw_shown, show_one, context, error);
}

/* The net of a trained model with its schedule, for one use. */
typedef struct opened {
    ddpm m;
    ends e;
    net net;
    glia_backend *backend, *own;
} opened;

static void close_model(opened *o) {
    close_net(&o->net);
    glia_backend_close(o->own);
    glia_diffusion_free(o->m.diffusion);
}

static glia_status open_model(opened *o, const void *memory, glia_model *model, glia_backend *backend, int threads,
                              glia_error *error) {
    *o = (opened){ .m = *(const ddpm *)memory, .backend = backend };
    glia_error reason = { 0 };
    glia_status status = find_ends(model->graph, &o->e, error);
    if (status == GLIA_OK) status = glia_model_ready(model, 0, error);
    if (status == GLIA_OK) status = glia_diffusion_of_settings(&o->m.how, &o->m.diffusion, error);
    if (status != GLIA_OK) return status;
    if (!backend) o->backend = o->own = glia_backend_open("cpu", threads, &reason);
    status = o->backend ? open_net(&o->m, model, o->backend, true, &o->net, error)
                        : glia_fail(error, reason.status, "%s", reason.message);
    if (status != GLIA_OK) close_model(o);
    return status;
}

static glia_status sample(const void *memory, glia_model *model, int64_t n, const glia_sample_opts *opts,
                          glia_shape *shape, float *samples, glia_error *error) {
    opened o;
    ends e;
    glia_status status = find_ends(model->graph, &e, error);
    if (status != GLIA_OK) return status;
    *shape = glia_one_of(e.x);
    if (!samples) return GLIA_OK;
    status = open_model(&o, memory, model, opts->backend, opts->threads, error);
    if (status != GLIA_OK) return status;
    drawing d = { .m = &o.m, .net = o.net.function, .model = model, .x = o.e.x, .opts = opts };
    status = draw(&d, n, samples, error);
    close_model(&o);
    return status;
}

/* ---- figures ------------------------------------------------------------------------------------------ */

/* Of the first samples of the data, pixels rounded to 256 values. */
static glia_status measure_bits(const opened *o, const glia_model *model, const glia_assess_opts *opts,
                                glia_assessment *out, glia_error *error) {
    const glia_shape shape = glia_one_of(o->e.x);
    const int64_t size = glia_shape_count(shape), n = GLIA_MIN(o->m.measured, glia_data_count(opts->data));
    const double bit = 0.6931471805599453 * (double)size;
    float *x = malloc((size_t)(n * size) * sizeof *x);
    int32_t *y = calloc((size_t)n, sizeof *y);
    double *nats = malloc((size_t)n * sizeof *nats), sum = 0, squares = 0;
    glia_status status = x && y && nats ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t i = 0; status == GLIA_OK && i < n; i++)
        status = glia_data_get(opts->data, i, x + i * size, o->e.y ? y + i : NULL, error);
    for (int64_t k = 0; status == GLIA_OK && k < n * size; k++) x[k] = 2 * roundf(255 * x[k]) / 255 - 1;
    const glia_array classes = { .name = "y", .dtype = GLIA_I32, .shape = GLIA_SHAPE(n), .data = y };
    const glia_diffusion_bound_opts how = {
        .draws = o->m.draws, .seed = opts->seed, .inputs = &classes, .n_inputs = glia_classes_of(model) ? 1 : 0
    };
    if (status == GLIA_OK)
        status = glia_diffusion_bound(o->m.diffusion, o->net.function, x, n, shape, how, nats, error);
    for (int64_t i = 0; status == GLIA_OK && i < n; i++) sum += nats[i] / bit, squares += nats[i] / bit * nats[i] / bit;
    if (status == GLIA_OK) {
        const double mean = sum / (double)n;
        glia_assessment_add(out, "bits_per_dimension", mean);
        glia_assessment_add(out, "bits_standard_error",
                            n > 1 ? sqrt(fmax(squares / (double)n - mean * mean, 0) / (double)(n - 1)) : NAN);
    }
    free(x);
    free(y);
    free(nats);
    return status;
}

static glia_status assess(const void *memory, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                          glia_error *error) {
    opened o;
    glia_status status = glia_judge_model(judged_by(memory), model, opts, out, error);
    if (status != GLIA_OK) return status;
    status = open_model(&o, memory, model, opts->backend, opts->threads, error);
    if (status != GLIA_OK) return status;
    if (glia_are_pictures(o.e.x)) status = glia_check_classes(opts->data, model, error);
    if (status == GLIA_OK && glia_are_pictures(o.e.x)) status = measure_bits(&o, model, opts, out, error);
    close_model(&o);
    return status;
}

const glia_method glia_method_ddpm = {
    .about = { .name = "ddpm",
               .summary = "diffusion: a net removes noise step by step",
               .paper = "Ho et al. 2020, Song et al. 2021, Nichol and Dhariwal 2021",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings),
               .uses = GLIA_USES_DATA | GLIA_USES_VALIDATION | GLIA_USES_AUGMENT | GLIA_USES_OPTIMIZER |
                       GLIA_USES_PRECISION | GLIA_USES_BATCH,
               .ranked = true,
               .samples = true,
               .assesses = true,
               .inpaints = true },
    .bytes = sizeof(ddpm),
    .begin = begin,
    .step = step,
    .measure = measure,
    .show = show,
    .end = end,
    .sample = sample,
    .assess = assess,
};
