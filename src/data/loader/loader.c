/* loader.c - batches prepared ahead by worker threads.
 *
 * An epoch is an ordered list of sample indices, cut into batches; about a megabyte of consecutive batches is a job.
 * Job j is prepared in slot j mod S of a ring of S slots:
 *
 *     jobs    0 ......... consumed ......... claimed ......... jobs
 *                released    |  ready or running   |   pending
 *
 * Workers claim jobs in order while claimed - consumed < S. The caller takes jobs in order and releases a slot when it
 * requests the first batch after it. Threads synchronise once per job, not once per batch, so batches of four samples
 * have little overhead. The contents of a batch depend only on the data, the seed and the epoch, not on the workers. An
 * epoch can therefore start at any batch, with the job that contains it.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "data/augment/augment.h"

enum { SLOT_BYTES = 1 << 20, GROUP_MOST = 256, WORKERS_MOST = 256 };

typedef struct slot {
    float *x; /* with the option ids: i32 */
    uint8_t *y;
    int64_t ready; /* the job in this slot; -1: none */
    glia_status status;
    glia_error error;
} slot;

typedef struct worker {
    glia_loader *loader;
    pthread_t thread;
    int index;
} worker;

struct glia_loader {
    const glia_dataset *data;
    glia_loader_opts opts;
    int64_t samples, batches; /* per epoch */
    int64_t group;            /* batches per job */
    glia_order *plan;
    int64_t *order; /* sample indices of this epoch */
    uint64_t key;   /* key of this epoch's augmentation */
    glia_shape y_shape;
    glia_dtype y_dtype;
    size_t y_bytes;
    bool mixes;
    float *scratch; /* for augmentation, scratch_count floats per worker */
    size_t scratch_count;
    slot *slots;
    int n_slots;

    int64_t at;   /* the next batch; used by the caller's thread only, as are `held` and `status` */
    int64_t held; /* the job in use by the caller; -1: none */
    glia_status status;
    glia_error error;

    worker *workers;
    int n_threads;
    bool locks; /* mutex and conditions are initialised */
    pthread_mutex_t mutex;
    pthread_cond_t work, done; /* work: a job may be available; done: a job is finished */
    int64_t jobs, claimed, consumed;
    int busy; /* workers running a job */
    bool stop;
};

/* ---- preparing ---------------------------------------------------------------------------- */

/* Reads sample `index` and augments it, without mixing. `stream` selects its random numbers. */
static glia_status read_changed(const glia_loader *l, int64_t index, int64_t stream, float *x, void *y, float *scratch,
                                glia_error *error) {
    glia_status status = glia_data_read_raw(l->data, index, x, y, error);
    const glia_target target = { l->data->targets, y, l->data->y_shape.dim[0] };
    if (!status) glia_augment_run(l->opts.augment, l->data->x_shape, l->key, stream, x, &target, scratch);
    return status;
}

/* Adds `share` to y[label]. */
static glia_status add_share(const glia_loader *l, int32_t label, double share, float *y, glia_error *error) {
    if (label < 0 || label >= l->data->classes) {
        return glia_fail(error, GLIA_E_ARGUMENT, "label %d of \"%s\" is outside its %d classes", (int)label,
                         l->data->name, l->data->classes);
    }
    y[label] += (float)share;
    return GLIA_OK;
}

/* Reads sample `index`, mixed with another if drawn so; y gets class shares (soft labels). */
static glia_status read_mixed(const glia_loader *l, int64_t index, int64_t stream, float *x, float *y, float *scratch,
                              glia_error *error) {
    const glia_dataset *data = l->data;
    int32_t label;
    glia_mix mix = { .share = 1 };
    const bool mixed = glia_augment_draw_mix(l->opts.augment, data->x_shape, l->key, stream, data->n, &mix);
    memset(y, 0, l->y_bytes);
    glia_status status = read_changed(l, index, stream, x, &label, scratch, error);
    if (!status) status = add_share(l, label, mix.share, y, error);
    if (status || !mixed) return status;
    float *other = scratch + l->scratch_count - data->x_count;
    const int64_t from = l->opts.weights ? l->order[mix.partner] : mix.partner;
    status = read_changed(l, from, mix.partner, other, &label, scratch, error);
    if (!status) status = add_share(l, label, 1 - mix.share, y, error);
    if (!status) glia_augment_mix(&mix, data->x_shape, x, other);
    return status;
}

/* Reads the sample at a place in the epoch. With weights a sample may be drawn several times, so the random numbers
 * depend on its place in the epoch; otherwise on its index. */
static glia_status read(const glia_loader *l, int64_t place, float *x, void *y, float *scratch, glia_error *error) {
    const int64_t index = l->order[place], stream = l->opts.weights ? place : index;
    if (l->opts.ids) { /* an id has the size of a float */
        glia_status status = l->data->kind->read_ids(l->data, index, (int32_t *)(void *)x, error);
        return status ? status : l->data->kind->read(l->data, index, NULL, y, false, error);
    }
    if (!l->opts.augment) return l->data->kind->read(l->data, index, x, y, false, error);
    glia_status status = l->mixes ? read_mixed(l, index, stream, x, y, scratch, error)
                                  : read_changed(l, index, stream, x, y, scratch, error);
    if (!status) glia_data_apply_normals(l->data, x);
    return status;
}

/* Reads the samples of a job into its slot. */
static void prepare(const glia_loader *l, int64_t job, slot *s, int by) {
    int64_t first = job * l->group * l->opts.batch;
    int64_t last = GLIA_MIN(first + l->group * l->opts.batch, l->samples);
    float *x = s->x;
    uint8_t *y = s->y;
    s->status = GLIA_OK;
    for (int64_t i = first; i < last && !s->status; i++) {
        s->status = read(l, i, x, y, l->scratch + (size_t)by * l->scratch_count, &s->error);
        x += l->data->x_count;
        y += l->y_bytes;
    }
}

static void *work(void *context) {
    const worker *self = context;
    glia_loader *l = self->loader;
    pthread_mutex_lock(&l->mutex);
    while (!l->stop) {
        if (l->claimed >= l->jobs || l->claimed - l->consumed >= l->n_slots) {
            pthread_cond_wait(&l->work, &l->mutex);
            continue;
        }
        int64_t job = l->claimed++;
        slot *s = &l->slots[job % l->n_slots];
        l->busy++;
        pthread_mutex_unlock(&l->mutex);
        prepare(l, job, s, self->index);
        pthread_mutex_lock(&l->mutex);
        l->busy--;
        s->ready = job;
        pthread_cond_signal(&l->done);
    }
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

/* ---- creation ----------------------------------------------------------------------------- */

static glia_status start_threads(glia_loader *l, int workers, glia_error *error) {
    if (pthread_mutex_init(&l->mutex, NULL)) return glia_fail_nomem(error);
    if (pthread_cond_init(&l->work, NULL)) {
        pthread_mutex_destroy(&l->mutex);
        return glia_fail_nomem(error);
    }
    if (pthread_cond_init(&l->done, NULL)) {
        pthread_cond_destroy(&l->work);
        pthread_mutex_destroy(&l->mutex);
        return glia_fail_nomem(error);
    }
    l->locks = true;
    l->workers = malloc((size_t)workers * sizeof *l->workers);
    if (!l->workers) return glia_fail_nomem(error);
    sigset_t all, before; /* workers block all signals */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = 0;
    while (l->n_threads < workers && !code) {
        worker *next = &l->workers[l->n_threads];
        next->loader = l;
        next->index = l->n_threads;
        code = pthread_create(&next->thread, NULL, work, next);
        l->n_threads += !code;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code ? glia_fail(error, GLIA_E_IO, "cannot start a loader thread: %s", strerror(code)) : GLIA_OK;
}

/* Sets the targets' shape and dtype; checks that the augmentation fits the data. */
static glia_status describe(glia_loader *l, glia_error *error) {
    const glia_dataset *data = l->data;
    const glia_augment *augment = l->opts.augment;
    l->y_shape = data->y_shape;
    l->y_dtype = data->y_dtype;
    l->y_bytes = data->y_bytes;
    if (l->opts.ids && (augment || !glia_data_has_ids(data))) {
        return glia_fail(error, GLIA_E_UNSUPPORTED, "a loader of ids: %s \"%s\"%s",
                         augment ? "there is an augmentation of" : "the samples of", data->name,
                         augment ? "" : " are not stored as integers, or are normalised");
    }
    if (!augment) return GLIA_OK;
    glia_status status = glia_augment_check(augment, data->x_shape, error);
    if (!status) status = glia_augment_check_targets(augment, data->targets, error);
    if (status) return status;
    l->scratch_count = glia_augment_scratch(augment, data->x_shape);
    l->mixes = glia_augment_mixes(augment);
    if (!l->mixes) return GLIA_OK;
    if (data->classes < 1 || data->y_dtype != GLIA_I32 || data->y_shape.rank != 0) {
        return glia_fail(error, GLIA_E_ARGUMENT, "mixing samples needs classes, but \"%s\" has none", data->name);
    }
    l->scratch_count += data->x_count; /* the partner */
    l->y_shape = GLIA_SHAPE(data->classes);
    l->y_dtype = GLIA_F32;
    l->y_bytes = glia_shape_bytes(l->y_shape, GLIA_F32);
    return GLIA_OK;
}

/* Sets the sizes of batches, jobs and the ring. */
static glia_status plan(glia_loader *l, glia_error *error) {
    const glia_dataset *data = l->data;
    if (l->opts.batch < 0) {
        return glia_fail(error, GLIA_E_ARGUMENT, "loader: the batch size %lld is negative", (long long)l->opts.batch);
    }
    if (l->opts.workers < -1 || l->opts.workers > WORKERS_MOST) {
        return glia_fail(error, GLIA_E_ARGUMENT, "loader: %d workers; the number must be from -1 to %d",
                         l->opts.workers, WORKERS_MOST);
    }
    if (data->n > UINT32_MAX) return glia_fail(error, GLIA_E_UNSUPPORTED, "loader: more than 2^32 samples");
    if (l->opts.batch == 0) l->opts.batch = 32;
    l->batches = (data->n - 1) / l->opts.batch + 1;
    if (l->opts.drop_last) l->batches = data->n / l->opts.batch;
    if (l->batches == 0) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "loader: drop_last leaves no batch: %lld samples per batch, %lld in the data",
                         (long long)l->opts.batch, (long long)data->n);
    }
    l->opts.batch = GLIA_MIN(l->opts.batch, data->n);
    l->samples = GLIA_MIN(l->batches * l->opts.batch, data->n);

    size_t sample = data->x_count * sizeof(float) + l->y_bytes, batch;
    if (!glia_mul_fits(sample, (size_t)l->opts.batch, &batch)) {
        return glia_fail(error, GLIA_E_SHAPE, "loader: the batch is too large");
    }
    bool alone = l->opts.workers == -1;
    l->group = alone ? 1 : (int64_t)GLIA_MIN(GLIA_MAX(SLOT_BYTES / batch, (size_t)1), (size_t)GROUP_MOST);
    l->group = GLIA_MIN(l->group, l->batches);
    l->n_slots = alone ? 1 : (l->opts.workers ? l->opts.workers : 1) + 2;
    return GLIA_OK;
}

static glia_status allocate(glia_loader *l, glia_error *error) {
    size_t samples = (size_t)(l->group * l->opts.batch);
    if (l->scratch_count) {
        l->scratch = malloc((size_t)GLIA_MAX(l->opts.workers, 1) * l->scratch_count * sizeof *l->scratch);
        if (!l->scratch) return glia_fail_nomem(error);
    }
    l->plan = glia_order_create(l->data, l->opts, error);
    if (!l->plan) return error->status;
    l->order = malloc((size_t)l->data->n * sizeof *l->order);
    l->slots = calloc((size_t)l->n_slots, sizeof *l->slots);
    if (!l->order || !l->slots) return glia_fail_nomem(error);
    for (int i = 0; i < l->n_slots; i++) {
        l->slots[i].x = glia_alloc_aligned(samples * l->data->x_count * sizeof(float));
        l->slots[i].y = glia_alloc_aligned(samples * l->y_bytes);
        if (!l->slots[i].x || !l->slots[i].y) return glia_fail_nomem(error);
    }
    return GLIA_OK;
}

glia_loader *glia_loader_create(const glia_dataset *data, glia_loader_opts opts, glia_error *error) {
    if (!data) return glia_fail_null(error, "data"), NULL;
    glia_error reason;
    error = error ? error : &reason;
    glia_loader *l = calloc(1, sizeof *l);
    if (!l) return glia_fail_nomem(error), NULL;
    l->data = data;
    l->opts = opts;
    glia_status status = describe(l, error);
    if (!status) status = plan(l, error);
    if (!status) status = allocate(l, error);
    if (!status && opts.workers < GLIA_NONE)
        status = glia_fail(error, GLIA_E_ARGUMENT, "loader: %d workers are not possible", opts.workers);
    if (!status && opts.workers >= 0) status = start_threads(l, opts.workers ? opts.workers : 1, error);
    if (status) {
        glia_loader_free(l);
        return NULL;
    }
    l->at = l->batches; /* no batches before glia_loader_start() */
    return l;
}

void glia_loader_free(glia_loader *l) {
    if (!l) return;
    if (l->locks) {
        pthread_mutex_lock(&l->mutex);
        l->stop = true;
        pthread_cond_broadcast(&l->work);
        pthread_mutex_unlock(&l->mutex);
        for (int i = 0; i < l->n_threads; i++) pthread_join(l->workers[i].thread, NULL);
        pthread_cond_destroy(&l->done);
        pthread_cond_destroy(&l->work);
        pthread_mutex_destroy(&l->mutex);
    }
    for (int i = 0; l->slots && i < l->n_slots; i++) {
        free(l->slots[i].x);
        free(l->slots[i].y);
    }
    free(l->workers);
    free(l->slots);
    free(l->scratch);
    free(l->order);
    glia_order_free(l->plan);
    free(l);
}

/* ---- epochs ------------------------------------------------------------------------------- */

int64_t glia_loader_batches(const glia_loader *loader) { return loader ? loader->batches : 0; }

glia_dtype glia_loader_y_dtype(const glia_loader *loader) { return loader ? loader->y_dtype : GLIA_F32; }
glia_shape glia_loader_y_shape(const glia_loader *loader) { return loader ? loader->y_shape : GLIA_SCALAR; }

glia_status glia_loader_start(glia_loader *l, int64_t epoch, glia_error *error) {
    if (!l) return glia_fail_null(error, "loader");
    return glia_loader_start_at(l, epoch, 0, error);
}

glia_status glia_loader_start_at(glia_loader *l, int64_t epoch, int64_t batch, glia_error *error) {
    if (!l) return glia_fail_null(error, "loader");
    if (epoch < 0) return glia_fail(error, GLIA_E_ARGUMENT, "loader: the epoch %lld is negative", (long long)epoch);
    if (batch < 0 || batch > l->batches) {
        return glia_fail(error, GLIA_E_ARGUMENT, "loader: batch %lld is outside the epoch's %lld", (long long)batch,
                         (long long)l->batches);
    }
    if (l->locks) { /* wait until the workers are idle: an epoch may be abandoned before its end */
        pthread_mutex_lock(&l->mutex);
        l->jobs = 0;
        while (l->busy) pthread_cond_wait(&l->done, &l->mutex);
        pthread_mutex_unlock(&l->mutex);
    }
    glia_order_fill(l->plan, (uint64_t)epoch, l->opts.batch, l->order);
    l->key = glia_augment_key(l->opts.seed, (uint64_t)epoch);
    for (int i = 0; i < l->n_slots; i++) l->slots[i].ready = -1;
    l->at = batch;
    l->held = -1;
    l->status = GLIA_OK;
    if (l->locks) {
        pthread_mutex_lock(&l->mutex);
        l->claimed = l->consumed = batch / l->group;
        l->jobs = (l->batches - 1) / l->group + 1;
        pthread_cond_broadcast(&l->work);
        pthread_mutex_unlock(&l->mutex);
    }
    return GLIA_OK;
}

/* Waits for a job and returns its slot; releases the earlier ones. */
static slot *take_job(glia_loader *l, int64_t job) {
    slot *s = &l->slots[job % l->n_slots];
    if (!l->locks) {
        prepare(l, job, s, 0);
        return s;
    }
    pthread_mutex_lock(&l->mutex);
    l->consumed = job;
    pthread_cond_signal(&l->work);
    while (s->ready != job) pthread_cond_wait(&l->done, &l->mutex);
    pthread_mutex_unlock(&l->mutex);
    return s;
}

bool glia_loader_next(glia_loader *l, glia_batch *batch) {
    if (!l || !batch) return false;
    if (l->at >= l->batches || l->status) return false;
    int64_t job = l->at / l->group, inside = l->at % l->group;
    slot *s = job == l->held ? &l->slots[job % l->n_slots] : take_job(l, job);
    l->held = job;
    if (s->status) {
        l->status = s->status;
        l->error = s->error;
        return false;
    }
    int64_t first = l->at * l->opts.batch, from = inside * l->opts.batch;
    *batch = (glia_batch){
        .n = GLIA_MIN(l->opts.batch, l->samples - first),
        .x = l->opts.ids ? NULL : s->x + (size_t)from * l->data->x_count,
        .ids = l->opts.ids ? (const int32_t *)(const void *)s->x + (size_t)from * l->data->x_count : NULL,
        .y = s->y + (size_t)from * l->y_bytes,
        .indices = l->order + first,
    };
    l->at++;
    return true;
}

glia_status glia_loader_check(const glia_loader *l, glia_error *error) {
    if (!l) return glia_fail_null(error, "loader");
    if (l->status && error) *error = l->error;
    return l->status;
}
