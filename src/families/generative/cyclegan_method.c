/* cyclegan_method.c - the method "cyclegan": pictures of one kind become pictures of another, without pairs (Zhu et al.
 * 2017).
 *
 * The model has inputs "a" and "b" and outputs "to_b", "to_a", "score_a", "score_b" (cyclegan.h). A step is one batch
 * of each kind:
 *
 *     a, b ──► both generators' losses ──► update; their pictures ──► buffers ──► both critics' losses ──► update
 *
 * With a classifier of the first kind (Hoffman et al. 2018) the generators' loss has a term for the class it reads.
 * Pictures are in [0, 1] in data and results, in [-1, 1] in nets. The second data set's pictures are resized to the
 * model's if need be. Its batches follow from the number of steps done, so a checkpoint keeps only the buffers.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "families/generative/batches.h"
#include "families/generative/feature_net.h"
#include "families/generative/frozen_net.h"
#include "families/generative/steps.h"
#include "glia/cyclegan.h"
#include "glia/generative.h"
#include "train/run/method.h"

enum { A, B, KINDS };
enum { GENERATORS, CRITICS, NETS };
enum { LOSS, CYCLE, IDENTITY, MADE_B, MADE_A, SEMANTIC, OUTPUTS }; /* of the generators; the last with a classifier */
static const char *const groups[NETS] = { "generators", "critics" };
static const char *const patterns[NETS] = { "to_a/*,to_b/*", "critic_a/*,critic_b/*" };

typedef struct cyclegan {
    /* settings */
    const char *other, *features, *classifier;
    double cycle, identity, semantic;
    int64_t buffer, shown;
    /* training */
    glia_graph *graph;
    glia_net_step steps[NETS];
    glia_array x[NETS][KINDS]; /* batches, for both programs */
    glia_array fake[KINDS];    /* of the critics' program */
    glia_dataset *second;
    glia_loader *seconds;
    glia_frozen_net reader; /* classifier of the first kind; model NULL: there is none */
    int64_t reader_hash;
    int64_t next;       /* step whose batch of the second kind comes next; -1: the loader must be set */
    float *kept[KINDS]; /* (buffer, sample) */
    int64_t n_kept;     /* of each */
    int loss_mean, cycle_mean, identity_mean, critic_mean, semantic_mean;
    glia_function *convert[KINDS]; /* of what is shown: a -> to_b, b -> to_a */
} cyclegan;

static const glia_setting settings[] = {
    { "other", GLIA_SETTING_TEXT, offsetof(cyclegan, other), 0, 0, 0, NULL,
      "address of the second data set; --data is the first" },
    { "cycle", GLIA_SETTING_REAL, offsetof(cyclegan, cycle), 10, 0, 1e6, NULL, "weight of there and back" },
    { "identity", GLIA_SETTING_REAL, offsetof(cyclegan, identity), 5, 0, 1e6, NULL,
      "weight of leaving pictures of the target's kind as they are" },
    { "classifier", GLIA_SETTING_TEXT, offsetof(cyclegan, classifier), 0, 0, 0, NULL,
      "run of a classifier of the first kind; conversions keep the class that it reads" },
    { "semantic", GLIA_SETTING_REAL, offsetof(cyclegan, semantic), 1, 0, 1e6, NULL,
      "weight of that class, with classifier=RUN" },
    { "buffer", GLIA_SETTING_INT, offsetof(cyclegan, buffer), 50, 0, 100000, NULL,
      "earlier pictures of each kind that critics see again" },
    { "shown", GLIA_SETTING_INT, offsetof(cyclegan, shown), 16, 1, 512, NULL, "pictures shown of each kind" },
    { "features", GLIA_SETTING_TEXT, offsetof(cyclegan, features), 0, 0, 0, NULL,
      "classifier of the second kind that says whether a class is kept; none: one is trained on it" },
};

/* ---- the model ------------------------------------------------------------------------------------ */

typedef struct ends {
    glia_tensor in[KINDS], out[KINDS], score[KINDS]; /* out[A] is to_b, of a */
} ends;

static glia_status find_ends(const glia_graph *g, ends *e, glia_error *error) {
    *e = (ends){ .in = { glia_graph_find_leaf(g, "a"), glia_graph_find_leaf(g, "b") },
                 .out = { glia_graph_find_output(g, "to_b"), glia_graph_find_output(g, "to_a") },
                 .score = { glia_graph_find_output(g, "score_a"), glia_graph_find_output(g, "score_b") } };
    for (int k = 0; k < KINDS; k++) {
        if (!e->in[k] || !e->out[k] || !e->score[k])
            return glia_fail(error, GLIA_E_ARGUMENT,
                             "the method cyclegan needs a model with inputs 'a' and 'b' and outputs 'to_b', 'to_a', "
                             "'score_a' and 'score_b'");
        char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
        if (!glia_shape_equal(e->in[k]->shape, e->in[A]->shape) || e->in[k]->shape.rank != 4 ||
            !glia_shape_equal(e->out[k]->shape, e->in[A]->shape))
            return glia_fail(error, GLIA_E_SHAPE, "the method cyclegan: %s and %s must be one shape (N, C, H, W)",
                             glia_shape_format(e->in[k]->shape, a), glia_shape_format(e->out[k]->shape, b));
    }
    return GLIA_OK;
}

/* An input of pictures of this shape as the net takes them: in [-1, 1], of the height and width of `like`. */
static glia_tensor make_input(glia_graph *g, const char *name, glia_shape sample, glia_tensor like) {
    glia_shape shape = { .rank = 4, .dim = { GLIA_BATCH, 1, 0, 0 } };
    for (int i = 0; i < sample.rank; i++) shape.dim[4 - sample.rank + i] = sample.dim[i];
    glia_tensor x = glia_input(g, name, GLIA_F32, shape);
    if (!glia_is_bad(x) && (shape.dim[2] != like->shape.dim[2] || shape.dim[3] != like->shape.dim[3]))
        x = glia_resize_bilinear(x, (int)like->shape.dim[2], (int)like->shape.dim[3]);
    return glia_is_bad(x) ? x : glia_to_net_range(x);
}

static glia_status check_pictures(const char *what, glia_shape sample, glia_tensor like, glia_error *error) {
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    const int64_t channels = sample.rank == 3 ? sample.dim[0] : 1;
    if ((sample.rank == 2 || sample.rank == 3) && channels == like->shape.dim[1] && glia_shape_count(sample) > 0)
        return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "%s: pictures of %s cannot become those of %s", what,
                     glia_shape_format(sample, a), glia_shape_format(glia_one_of(like), b));
}

/* ---- building ------------------------------------------------------------------------------------- */

static glia_tensor mean_of(glia_tensor x) { return glia_mean(x, GLIA_SCALAR, false); }
static glia_tensor difference(glia_tensor a, glia_tensor b) { return mean_of(glia_abs(glia_sub(a, b))); }

/* Section 3 of CyCADA: the classifier reads the same of the pictures before and after, which are in [-1, 1]. */
static glia_tensor keep_class(const cyclegan *m, glia_tensor before, glia_tensor after) {
    glia_tensor of[2] = { before, after };
    for (int i = 0; i < 2; i++)
        of[i] = glia_frozen_net_logits(&m->reader, glia_mul_scalar(glia_add_scalar(of[i], 1), 0.5));
    return glia_semantic_consistency(of[0], of[1]);
}

static glia_tensor plus(glia_tensor sum, glia_tensor x) { return sum ? glia_add(sum, x) : x; }

/* What the generators minimise, its terms, and their pictures. */
static void generator_losses(const cyclegan *m, const ends *e, const glia_tensor real[KINDS],
                             glia_tensor out[OUTPUTS]) {
    glia_tensor made[KINDS], total = NULL, cycles = NULL, same = NULL, semantic = NULL;
    for (int k = 0; k < KINDS; k++) {
        const int to = 1 - k;
        made[k] = glia_once_more(e->out[k], e->in[k], real[k]);
        glia_tensor score = glia_once_more(e->score[to], e->in[to], made[k]);
        total = plus(total, glia_mul_scalar(glia_gan_generator_loss(score, GLIA_GAN_LEAST_SQUARES), 2));
        cycles = plus(cycles, difference(glia_once_more(e->out[to], e->in[to], made[k]), real[k]));
        same = plus(same, difference(glia_once_more(e->out[k], e->in[k], real[to]), real[to]));
        if (m->reader.model) semantic = plus(semantic, keep_class(m, real[k], made[k]));
    }
    total = glia_add(total, glia_mul_scalar(cycles, m->cycle));
    total = glia_add(total, glia_mul_scalar(same, m->identity));
    if (semantic) total = glia_add(total, glia_mul_scalar(semantic, m->semantic));
    out[LOSS] = total, out[CYCLE] = cycles, out[IDENTITY] = same, out[SEMANTIC] = semantic;
    out[MADE_B] = made[A], out[MADE_A] = made[B];
}

static glia_status build(glia_training *t, const ends *e, glia_error *error) {
    cyclegan *m = t->memory;
    glia_graph *g = m->graph;
    const glia_tensor real[KINDS] = { make_input(g, "real_a", glia_data_x_shape(t->data), e->in[A]),
                                      make_input(g, "real_b", glia_data_x_shape(m->second), e->in[A]) };
    glia_tensor outputs[OUTPUTS], critic_loss = NULL;
    generator_losses(m, e, real, outputs);
    for (int k = 0; k < KINDS; k++) {
        glia_tensor fake = glia_input(g, k == A ? "fake_a" : "fake_b", GLIA_F32, e->in[k]->shape);
        glia_tensor loss = glia_gan_critic_loss(glia_once_more(e->score[k], e->in[k], real[k]),
                                                glia_once_more(e->score[k], e->in[k], fake), GLIA_GAN_LEAST_SQUARES);
        critic_loss = critic_loss ? glia_add(critic_loss, loss) : loss;
    }
    glia_optimizer plain = t->opts.optimizer;
    plain.ema = 0;
    plain.ema_warmup = false;
    glia_minimize(outputs[LOSS], t->opts.optimizer, patterns[GENERATORS], groups[GENERATORS]);
    glia_minimize(critic_loss, plain, patterns[CRITICS], groups[CRITICS]);
    glia_status status = glia_training_add_states(t, g, error);
    if (status == GLIA_OK && m->reader.model) glia_frozen_net_fill(&m->reader, t->states);
    for (int net = 0; status == GLIA_OK && net < NETS; net++) {
        const int n = net == CRITICS ? 1 : m->reader.model ? OUTPUTS : SEMANTIC;
        glia_net_step *s = &m->steps[net];
        status = glia_net_step_open(s, t, g, groups[net], net == CRITICS ? &critic_loss : outputs, n, error);
        if (status == GLIA_OK) status = glia_net_step_input(s, "real_a", &m->x[net][A], error);
        if (status == GLIA_OK) status = glia_net_step_input(s, "real_b", &m->x[net][B], error);
    }
    if (status == GLIA_OK) status = glia_net_step_input(&m->steps[CRITICS], "fake_a", &m->fake[A], error);
    return status == GLIA_OK ? glia_net_step_input(&m->steps[CRITICS], "fake_b", &m->fake[B], error) : status;
}

static glia_status open_classifier(glia_training *t, glia_tensor like, glia_error *error) {
    cyclegan *m = t->memory;
    if (!m->classifier && m->semantic != 1)
        return glia_fail(error, GLIA_E_ARGUMENT, "semantic=%g has no effect without classifier=RUN", m->semantic);
    if (!m->classifier) return GLIA_OK;
    if (m->semantic == 0)
        return glia_fail(error, GLIA_E_ARGUMENT, "classifier=%s has no effect with semantic=0", m->classifier);
    glia_error reason = { 0 };
    glia_status status = glia_frozen_net_open(&m->reader, m->classifier, glia_one_of(like), &reason);
    if (status != GLIA_OK) return glia_fail(error, reason.status, "classifier: %s", reason.message);
    const int classes = glia_data_classes(t->data);
    if (classes && classes != m->reader.classes)
        return glia_fail(error, GLIA_E_SHAPE, "classifier: %s tells %lld classes, and '%s' has %d", m->classifier,
                         (long long)m->reader.classes, glia_data_name(t->data), classes);
    m->reader_hash = (int64_t)m->reader.hash;
    return GLIA_OK;
}

static glia_status open_second(glia_training *t, glia_tensor like, glia_error *error) {
    cyclegan *m = t->memory;
    glia_error reason = { 0 };
    if (!m->other)
        return glia_fail(error, GLIA_E_ARGUMENT, "the method cyclegan needs a second data set: other=ADDRESS");
    m->second = glia_data_open(m->other, "train", NULL, &reason);
    if (!m->second) return glia_fail(error, reason.status, "other: %s", reason.message);
    glia_status status = check_pictures(m->other, glia_data_x_shape(m->second), like, error);
    if (status != GLIA_OK) return status;
    if (glia_data_count(m->second) < t->opts.batch)
        return glia_fail(error, GLIA_E_ARGUMENT, "the %lld samples of '%s' do not fill a batch of %lld",
                         (long long)glia_data_count(m->second), m->other, (long long)t->opts.batch);
    const glia_loader_opts how = {
        .batch = t->opts.batch, .shuffle = true, .drop_last = true, .seed = t->opts.seed + 1, .workers = t->opts.workers
    };
    m->seconds = glia_loader_create(m->second, how, &reason);
    return m->seconds ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

/* A function of pictures of this shape: the kind's generator, its result in [0, 1]. The graph is the caller's. */
static glia_function *make_converter(glia_graph *g, glia_store *store, int kind, glia_shape sample,
                                     glia_backend *backend, glia_error *error) {
    ends e;
    if (find_ends(g, &e, error) != GLIA_OK) return NULL;
    glia_tensor x = make_input(g, kind == A ? "shown_a" : "shown_b", sample, e.in[A]);
    glia_tensor y = glia_mul_scalar(glia_add_scalar(glia_once_more(e.out[kind], e.in[kind], x), 1), 0.5);
    const glia_function_opts opts = { .outputs = &y, .n_outputs = 1, .mode = GLIA_INFER };
    return glia_graph_check(g, error) == GLIA_OK ? glia_function_create(g, backend, store, opts, error) : NULL;
}

static glia_status begin(glia_training *t, glia_error *error) {
    cyclegan *m = t->memory;
    ends e;
    glia_error reason = { 0 };
    glia_status status = glia_training_copy_graph(t, &m->graph, error);
    if (status == GLIA_OK) status = find_ends(m->graph, &e, error);
    if (status == GLIA_OK) status = check_pictures(glia_data_name(t->data), glia_data_x_shape(t->data), e.in[A], error);
    if (status == GLIA_OK) status = open_second(t, e.in[A], error);
    if (status == GLIA_OK) status = open_classifier(t, e.in[A], error);
    if (status == GLIA_OK) status = glia_begin_samples(t, e.in[A], error);
    if (status == GLIA_OK) status = build(t, &e, error);
    if (status != GLIA_OK) return status;
    t->full_lr = glia_optimizer_resolved(t->opts.optimizer).lr;
    const size_t sample = (size_t)glia_shape_count(glia_one_of(e.in[A]));
    for (int k = 0; k < KINDS; k++) {
        m->kept[k] = calloc((size_t)m->buffer * sample + 1, sizeof *m->kept[k]);
        if (!m->kept[k]) return glia_fail_nomem(error);
        const glia_shape shape = glia_data_x_shape(k == A ? t->data : m->second);
        m->convert[k] = make_converter(m->graph, t->states, k, shape, t->backend, &reason);
        if (!m->convert[k]) return glia_fail(error, reason.status, "%s", reason.message);
    }
    m->next = -1;
    glia_training_take_sizes(t, m->steps[GENERATORS].program);
    t->groups[t->n_groups++] = groups[GENERATORS];
    m->loss_mean = glia_training_mean(t, "loss");
    m->cycle_mean = glia_training_mean(t, "cycle");
    m->identity_mean = glia_training_mean(t, "identity");
    m->critic_mean = glia_training_mean(t, "critic_loss");
    if (m->reader.model) m->semantic_mean = glia_training_mean(t, "semantic");
    return GLIA_OK;
}

static void end(glia_training *t) {
    cyclegan *m = t->memory;
    for (int i = 0; i < NETS; i++) glia_net_step_close(&m->steps[i]);
    for (int k = 0; k < KINDS; k++) {
        glia_function_free(m->convert[k]);
        free(m->kept[k]);
    }
    glia_frozen_net_close(&m->reader);
    glia_loader_free(m->seconds);
    glia_data_free(m->second);
    glia_graph_free(m->graph);
    glia_store_free(t->states);
}

/* ---- steps ---------------------------------------------------------------------------------------- */

/* The second kind's batch of this step. */
static glia_status next_second(glia_training *t, glia_batch *batch, glia_error *error) {
    cyclegan *m = t->memory;
    const int64_t n = glia_loader_batches(m->seconds), at = t->done;
    glia_status status = GLIA_OK;
    if (m->next != at || at % n == 0) status = glia_loader_start_at(m->seconds, at / n, at % n, error);
    if (status != GLIA_OK) return status;
    m->next = at + 1;
    return glia_loader_next(m->seconds, batch) ? GLIA_OK : glia_loader_check(m->seconds, error);
}

/* Section 4: until the buffer is full pictures are added to it; then each is, with probability 1/2, exchanged for one
 * of it. The pictures `made` go to the critics' input. */
static void use_buffer(const glia_training *t, int kind, const float *made) {
    enum { STREAM = 0x6379636C };
    cyclegan *m = t->memory;
    float *to = m->fake[kind].data;
    const int64_t batch = t->opts.batch, size = glia_shape_count(m->fake[kind].shape) / batch;
    const size_t bytes = (size_t)size * sizeof *to;
    glia_rng rng = { .seed = t->opts.seed,
                     .stream = (uint64_t)STREAM << 32 ^ (uint64_t)kind,
                     .position = (uint64_t)t->done * (uint64_t)batch * 64 };
    int64_t n = m->n_kept;
    for (int64_t i = 0; i < batch; i++) {
        const float *one = made + i * size;
        float *out = to + i * size;
        memcpy(out, one, bytes);
        if (n < m->buffer) {
            memcpy(m->kept[kind] + n++ * size, one, bytes);
        } else if (m->buffer > 0 && glia_rng_uniform(&rng) < 0.5) {
            float *old = m->kept[kind] + (int64_t)glia_rng_below(&rng, (uint64_t)m->buffer) * size;
            memcpy(out, old, bytes);
            memcpy(old, one, bytes);
        }
    }
}

static glia_status step(glia_training *t, const glia_batch *batch, glia_error *error) {
    cyclegan *m = t->memory;
    glia_batch second = { 0 };
    const double n = (double)batch->n;
    const glia_net_step *generators = &m->steps[GENERATORS], *critics = &m->steps[CRITICS];
    glia_status status = next_second(t, &second, error);
    if (status != GLIA_OK) return status;
    for (int net = 0; net < NETS; net++) {
        glia_net_step_put(&m->x[net][A], batch->x);
        glia_net_step_put(&m->x[net][B], second.x);
    }
    status = glia_net_step_run(generators, t->progress.lr, error);
    if (status != GLIA_OK) return status;
    use_buffer(t, B, glia_session_output(generators->session, MADE_B).data);
    use_buffer(t, A, glia_session_output(generators->session, MADE_A).data);
    m->n_kept = GLIA_MIN(m->n_kept + t->opts.batch, m->buffer);
    status = glia_net_step_run(critics, t->progress.lr, error);
    if (status != GLIA_OK) return status;
    t->samples += batch->n;
    const double critic_loss = glia_net_step_output(critics, 0);
    t->progress.loss = isfinite(critic_loss) ? glia_net_step_output(generators, LOSS) : critic_loss;
    glia_training_add(t, m->loss_mean, t->progress.loss, n);
    glia_training_add(t, m->cycle_mean, glia_net_step_output(generators, CYCLE), n);
    glia_training_add(t, m->identity_mean, glia_net_step_output(generators, IDENTITY), n);
    glia_training_add(t, m->critic_mean, critic_loss, n);
    if (m->reader.model) glia_training_add(t, m->semantic_mean, glia_net_step_output(generators, SEMANTIC), n);
    return GLIA_OK;
}

static glia_status measure(glia_training *t, glia_error *error) { return glia_measure_samples(t, NULL, error); }

static int arrays(glia_training *t, glia_array *out, int capacity) {
    cyclegan *m = t->memory;
    (void)capacity;
    const int64_t size = glia_shape_count(m->fake[A].shape) / t->opts.batch;
    static const char *const names[KINDS] = { "kept_a", "kept_b" };
    for (int k = 0; k < KINDS; k++)
        out[k] = (glia_array){
            .name = names[k], .dtype = GLIA_F32, .shape = GLIA_SHAPE(m->buffer * size + 1), .data = m->kept[k]
        };
    out[KINDS] = (glia_array){ .name = "n_kept", .dtype = GLIA_I64, .shape = GLIA_SHAPE(1), .data = &m->n_kept };
    if (!m->reader.model) return KINDS + 1;
    out[KINDS + 1] =
        (glia_array){ .name = "classifier", .dtype = GLIA_I64, .shape = GLIA_SHAPE(1), .data = &m->reader_hash };
    return KINDS + 2;
}

/* The classifier's values come back with the states; that of the run must still be the same. */
static glia_status restore(glia_training *t, const glia_array *from, int n, bool check_only, glia_error *error) {
    const cyclegan *m = t->memory;
    glia_array own[KINDS + 2];
    const int wanted = arrays(t, own, KINDS + 2);
    int64_t hash = m->reader_hash; /* is compared only */
    if (m->reader.model) own[wanted - 1].data = &hash;
    glia_status status = GLIA_OK;
    for (int i = 0; status == GLIA_OK && i < wanted; i++)
        status = glia_training_take(&own[i], from, n, check_only && own[i].data != &hash, error);
    if (status != GLIA_OK || hash == m->reader_hash) return status;
    return glia_fail(error, GLIA_E_ARGUMENT, "was made with other values of the classifier '%s'", m->classifier);
}

/* ---- what it shows ---------------------------------------------------------------------------------- */

/* n pictures (n, sample) through a converter, `like` (n, C, H, W). */
static glia_status convert(glia_function *f, const char *name, glia_shape sample, const float *x, int64_t n,
                           int64_t size, float *out, glia_error *error) {
    enum { AT_ONCE = 64 };
    const int64_t count = glia_shape_count(sample);
    glia_shape shape = { .rank = 4, .dim = { 0, 1, 0, 0 } };
    for (int i = 0; i < sample.rank; i++) shape.dim[4 - sample.rank + i] = sample.dim[i];
    for (int64_t at = 0; at < n; at += AT_ONCE) {
        shape.dim[0] = GLIA_MIN(n - at, (int64_t)AT_ONCE);
        glia_array output, input = { .name = name, .dtype = GLIA_F32, .shape = shape };
        input.data = (void *)(uintptr_t)(x + at * count);
        const glia_status status = glia_function_call(f, &input, 1, &output, error);
        if (status != GLIA_OK) return status;
        const float *y = output.data;
        for (int64_t i = 0; i < shape.dim[0] * size; i++) out[at * size + i] = fminf(fmaxf(y[i], 0), 1);
    }
    return GLIA_OK;
}

/* The first pictures of a kind, and what becomes of them. */
static glia_status show_kind(glia_training *t, int kind, glia_show_fn show_one, void *context, glia_error *error) {
    cyclegan *m = t->memory;
    const glia_dataset *data = kind == A ? t->data : m->second;
    const glia_shape sample = glia_data_x_shape(data);
    const int64_t n = GLIA_MIN(m->shown, glia_data_count(data)), count = glia_shape_count(sample);
    glia_shape shape = glia_one_of(glia_graph_find_leaf(m->graph, "a"));
    const int64_t size = glia_shape_count(shape);
    float *x = malloc((size_t)(n * count) * sizeof *x), *y = malloc((size_t)(n * size) * sizeof *y);
    glia_status status = x && y ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t i = 0; status == GLIA_OK && i < n; i++) status = glia_data_get(data, i, x + i * count, NULL, error);
    if (status == GLIA_OK)
        status = convert(m->convert[kind], kind == A ? "shown_a" : "shown_b", sample, x, n, size, y, error);
    glia_shown shown = { .name = kind == A ? "a" : "b",
                         .kind = GLIA_SHOWN_PICTURES,
                         .n = n,
                         .sample = sample.rank == 3 ? sample : GLIA_SHAPE(1, sample.dim[0], sample.dim[1]),
                         .values = x };
    if (status == GLIA_OK) status = show_one(context, &shown, error);
    shown.name = kind == A ? "a_to_b" : "b_to_a";
    shown.sample = shape;
    shown.values = y;
    if (status == GLIA_OK) status = show_one(context, &shown, error);
    free(x);
    free(y);
    return status;
}

static glia_status show(glia_training *t, glia_show_fn show_one, void *context, glia_error *error) {
    const glia_status status = show_kind(t, A, show_one, context, error);
    return status == GLIA_OK ? show_kind(t, B, show_one, context, error) : status;
}

/* ---- a trained model ------------------------------------------------------------------------------ */

glia_shape glia_cyclegan_shape(const glia_model *model) {
    ends e;
    const char *method = model ? glia_model_get(model, "method") : NULL;
    if (!method || strcmp(method, "cyclegan") != 0 || find_ends(model->graph, &e, NULL) != GLIA_OK)
        return (glia_shape){ 0 };
    return glia_one_of(e.in[A]);
}

glia_status glia_cyclegan_convert(glia_model *model, const float *x, int64_t n, glia_shape sample,
                                  glia_cyclegan_convert_opts opts, float *out, glia_error *error) {
    if (!model || !x || !out) return glia_fail_null(error, !model ? "model" : !x ? "x" : "out");
    if (n < 1) return glia_fail(error, GLIA_E_ARGUMENT, "cyclegan_convert: n is %lld", (long long)n);
    const glia_shape shape = glia_cyclegan_shape(model);
    if (!shape.rank) return glia_fail(error, GLIA_E_UNSUPPORTED, "the model was not trained by the method cyclegan");
    glia_status status = check_pictures("cyclegan_convert", sample, glia_graph_find_leaf(model->graph, "a"), error);
    if (status == GLIA_OK) status = glia_model_ready(model, 0, error);
    if (status != GLIA_OK) return status;
    glia_error reason = { 0 };
    const int kind = opts.back ? B : A;
    glia_backend *backend = opts.backend ? opts.backend : glia_backend_open("cpu", opts.threads, &reason);
    glia_graph *g = backend ? glia_graph_rewrite(model->graph, NULL, NULL, NULL, true, &reason) : NULL;
    glia_function *f = g ? make_converter(g, model->store, kind, sample, backend, &reason) : NULL;
    status = f ? convert(f, kind == A ? "shown_a" : "shown_b", sample, x, n, glia_shape_count(shape), out, error)
               : glia_fail(error, reason.status, "%s", reason.message);
    glia_function_free(f);
    glia_graph_free(g);
    if (!opts.backend) glia_backend_close(backend);
    return status;
}

/* ---- figures -------------------------------------------------------------------------------------- */

/* The share of n pictures whose class the classifier says. */
static glia_status share_right(glia_feature_reader *r, const float *x, const int32_t *y, int64_t n, double *share,
                               glia_error *error) {
    float *features = malloc((size_t)(n * r->size) * sizeof *features);
    float *p = malloc((size_t)(n * r->classes) * sizeof *p);
    glia_status status = features && p ? glia_feature_reader_run(r, x, n, features, p, error) : glia_fail_nomem(error);
    int64_t right = 0;
    for (int64_t i = 0; status == GLIA_OK && i < n; i++) {
        int64_t best = 0;
        for (int64_t c = 1; c < r->classes; c++) best = p[i * r->classes + c] > p[i * r->classes + best] ? c : best;
        right += best == y[i];
    }
    *share = (double)right / (double)n;
    free(features);
    free(p);
    return status;
}

/* n pictures of the data in the model's size: made by the generator, or only resized. */
static glia_status gather(const glia_dataset *data, glia_model *model, int64_t n, glia_backend *backend, float *made,
                          float *plain, int32_t *y, glia_error *error) {
    const glia_shape sample = glia_data_x_shape(data), shape = glia_cyclegan_shape(model);
    const int64_t count = glia_shape_count(sample);
    float *x = malloc((size_t)(n * count) * sizeof *x);
    glia_status status = x ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t i = 0; status == GLIA_OK && i < n; i++) status = glia_data_get(data, i, x + i * count, y + i, error);
    const glia_cyclegan_convert_opts how = { .backend = backend };
    if (status == GLIA_OK) status = glia_cyclegan_convert(model, x, n, sample, how, made, error);
    if (status == GLIA_OK && count != glia_shape_count(shape))
        status = glia_fail(error, GLIA_E_SHAPE, "the data's pictures do not have the model's size");
    if (status == GLIA_OK) memcpy(plain, x, (size_t)(n * count) * sizeof *plain);
    free(x);
    return status;
}

/* n pictures (n, from) resized to (n, to). */
static glia_status resize(const float *x, glia_shape from, int64_t n, glia_shape to, glia_backend *backend, float *out,
                          glia_error *error) {
    glia_error reason = { 0 };
    glia_graph *g = glia_graph_create();
    glia_tensor in = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, from.dim[0], from.dim[1], from.dim[2]));
    glia_tensor y = glia_resize_bilinear(in, (int)to.dim[to.rank - 2], (int)to.dim[to.rank - 1]);
    glia_status status = glia_graph_check(g, &reason);
    glia_store *store = status == GLIA_OK ? glia_store_create(g, 0, &reason) : NULL;
    const glia_function_opts opts = { .outputs = &y, .n_outputs = 1, .mode = GLIA_INFER };
    glia_function *f = store ? glia_function_create(g, backend, store, opts, &reason) : NULL;
    status = f ? convert(f, "x", from, x, n, glia_shape_count(to), out, error)
               : glia_fail(error, reason.status, "%s", reason.message);
    glia_function_free(f);
    glia_store_free(store);
    glia_graph_free(g);
    return status;
}

/* The share of right classes of pictures in the model's size. */
static glia_status judge_set(glia_feature_reader *r, const float *x, glia_shape shape, const int32_t *y, int64_t n,
                             glia_backend *backend, double *share, glia_error *error) {
    float *small = malloc((size_t)(n * glia_shape_count(r->sample)) * sizeof *small);
    glia_status status = small ? resize(x, shape, n, r->sample, backend, small, error) : glia_fail_nomem(error);
    if (status == GLIA_OK) status = share_right(r, small, y, n, share, error);
    free(small);
    return status;
}

static glia_status judge(const cyclegan *m, glia_model *model, const glia_dataset *data, int64_t n,
                         const glia_dataset *second, glia_backend *backend, glia_assessment *out, glia_error *error) {
    const glia_shape shape = glia_cyclegan_shape(model);
    const size_t bytes = (size_t)(n * glia_shape_count(shape)) * sizeof(float);
    glia_feature_reader reader = { 0 };
    float *made = malloc(bytes), *plain = malloc(bytes);
    int32_t *y = malloc((size_t)n * sizeof *y);
    double kept, before;
    glia_status status = made && plain && y ? glia_feature_reader_open(&reader, m->features, second,
                                                                       glia_data_x_shape(second), backend, error)
                                            : glia_fail_nomem(error);
    if (status == GLIA_OK) status = gather(data, model, n, backend, made, plain, y, error);
    if (status == GLIA_OK) status = judge_set(&reader, made, shape, y, n, backend, &kept, error);
    if (status == GLIA_OK) status = judge_set(&reader, plain, shape, y, n, backend, &before, error);
    if (status == GLIA_OK) {
        glia_assessment_add(out, "class_kept", kept);
        glia_assessment_add(out, "class_kept_unchanged", before);
        glia_assessment_add(out, "samples", (double)n);
        snprintf(out->note, sizeof out->note,
                 "class_kept: pictures of the first kind, converted, by a classifier of the second; unchanged: as they "
                 "were");
    }
    glia_feature_reader_close(&reader);
    free(made);
    free(plain);
    free(y);
    return status;
}

static glia_status assess(const void *memory, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                          glia_error *error) {
    const cyclegan *m = memory;
    const glia_dataset *data = opts->data;
    glia_error reason = { 0 };
    const int64_t have = glia_data_count(data), n = opts->count ? opts->count : have;
    if (n > have) return glia_fail(error, GLIA_E_ARGUMENT, "%lld pictures of %lld", (long long)n, (long long)have);
    if (!glia_data_classes(data) || glia_shape_count(glia_data_y_shape(data)) != 1)
        return glia_fail(error, GLIA_E_UNSUPPORTED, "'%s' has no classes that could be kept", glia_data_name(data));
    glia_dataset *second = glia_data_open(m->other ? m->other : "", "train", NULL, &reason);
    if (!second) return glia_fail(error, reason.status, "other: %s", reason.message);
    glia_backend *backend = opts->backend ? opts->backend : glia_backend_open("cpu", opts->threads, &reason);
    glia_status status = backend ? judge(m, model, data, n, second, backend, out, error)
                                 : glia_fail(error, reason.status, "%s", reason.message);
    if (!opts->backend) glia_backend_close(backend);
    glia_data_free(second);
    return status;
}

const glia_method glia_method_cyclegan = {
    .about = { .name = "cyclegan",
               .summary = "pictures of one kind become pictures of another, without pairs",
               .paper = "Zhu et al. 2017",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings),
               .uses = GLIA_USES_DATA | GLIA_USES_AUGMENT | GLIA_USES_OPTIMIZER | GLIA_USES_BATCH,
               .assesses = true },
    .bytes = sizeof(cyclegan),
    .begin = begin,
    .step = step,
    .measure = measure,
    .show = show,
    .arrays = arrays,
    .restore = restore,
    .end = end,
    .assess = assess,
};
