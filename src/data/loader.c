/* loader.c - batches prepared ahead by worker threads.
 *
 * An epoch is a shuffled list of sample numbers, cut into batches; about a megabyte of consecutive batches is a job.
 * Job j is prepared in slot j mod S of a ring of S slots:
 *
 *     jobs    0 ......... consumed ......... claimed ......... jobs
 *                given back  |   ready or in work  |   to come
 *
 * Workers claim jobs in order while claimed - consumed < S; the caller takes them in order and gives a slot back
 * when it asks for the first batch behind it. Threads meet once a job, not once a batch, so batches of four samples
 * cost next to nothing. What is in a batch depends on the data, the seed and the epoch; the workers only decide when
 * it is there.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "data/data.h"

enum { SLOT_BYTES = 1 << 20, GROUP_MOST = 256, WORKERS_MOST = 256 };

typedef struct slot {
    float *x;
    uint8_t *y;
    int64_t ready; /* the job that it holds; -1: none */
    glia_status status;
    glia_error error;
} slot;

struct glia_loader {
    const glia_dataset *data;
    glia_loader_opts opts;
    int64_t samples, batches; /* in an epoch */
    int64_t group;            /* batches in a job */
    int64_t *order;           /* sample numbers of this epoch */
    slot *slots;
    int n_slots;

    int64_t at; /* the next batch; touched by the caller only, as is `status` */
    glia_status status;
    glia_error error;

    pthread_t *threads;
    int n_threads;
    bool locks; /* mutex and conditions exist */
    pthread_mutex_t mutex;
    pthread_cond_t work, done; /* for workers: there may be a job; for the caller: a job or all of them are done */
    int64_t jobs, claimed, consumed;
    int busy; /* workers inside a job */
    bool stop;
};

/* ---- order -------------------------------------------------------------------------------- */

void glia_data_shuffle(int64_t *indices, int64_t n, uint64_t seed, uint64_t epoch) {
    const uint32_t key[2] = { (uint32_t)seed ^ 0x5348554Fu,
                              (uint32_t)(seed >> 32) }; /* apart from other uses of the seed */
    uint32_t counter[4] = { 0, 0, (uint32_t)epoch, (uint32_t)(epoch >> 32) }, word[4];
    int left = 0;
    for (int64_t i = 0; i < n; i++) indices[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        uint64_t bound = (uint64_t)i + 1, product;
        do { /* Lemire 2019: the high half of word * bound is uniform once a few low halves are rejected */
            if (left == 0) {
                glia_philox(key, counter, word);
                counter[0]++;
                counter[1] += counter[0] == 0;
                left = 4;
            }
            product = word[--left] * bound;
        } while ((uint32_t)product < (uint32_t)(0 - bound) % bound);
        int64_t j = (int64_t)(product >> 32), swap = indices[i];
        indices[i] = indices[j];
        indices[j] = swap;
    }
}

/* ---- preparing ---------------------------------------------------------------------------- */

/* Reads the samples of job j into its slot. */
static void prepare(const glia_loader *l, int64_t job, slot *s) {
    int64_t first = job * l->group * l->opts.batch;
    int64_t last = GLIA_MIN(first + l->group * l->opts.batch, l->samples);
    float *x = s->x;
    uint8_t *y = s->y;
    s->status = GLIA_OK;
    for (int64_t i = first; i < last && !s->status; i++) {
        s->status = l->data->kind->read(l->data, l->order[i], x, y, false, &s->error);
        x += l->data->x_count;
        y += l->data->y_bytes;
    }
}

static void *work(void *context) {
    glia_loader *l = context;
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
        prepare(l, job, s);
        pthread_mutex_lock(&l->mutex);
        l->busy--;
        s->ready = job;
        pthread_cond_signal(&l->done);
    }
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

/* ---- life --------------------------------------------------------------------------------- */

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
    l->threads = malloc((size_t)workers * sizeof *l->threads);
    if (!l->threads) return glia_fail_nomem(error);
    sigset_t all, before; /* signals are the program's business, not the workers' */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = 0;
    while (l->n_threads < workers && !code) {
        code = pthread_create(&l->threads[l->n_threads], NULL, work, l);
        l->n_threads += !code;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code ? glia_fail(error, GLIA_E_IO, "the system gives no thread to a loader: %s", strerror(code)) : GLIA_OK;
}

/* Sizes of batches, jobs and the ring. */
static glia_status plan(glia_loader *l, glia_error *error) {
    const glia_dataset *data = l->data;
    if (l->opts.batch < 0) {
        return glia_fail(error, GLIA_E_ARGUMENT, "a loader with batches of %lld", (long long)l->opts.batch);
    }
    if (l->opts.workers < -1 || l->opts.workers > WORKERS_MOST) {
        return glia_fail(error, GLIA_E_ARGUMENT, "a loader with %d workers; -1 to %d are possible", l->opts.workers,
                         WORKERS_MOST);
    }
    if (data->n > UINT32_MAX) return glia_fail(error, GLIA_E_UNSUPPORTED, "more than 2^32 samples");
    if (l->opts.batch == 0) l->opts.batch = 32;
    l->batches = (data->n - 1) / l->opts.batch + 1;
    if (l->opts.drop_last) l->batches = data->n / l->opts.batch;
    if (l->batches == 0) {
        return glia_fail(error, GLIA_E_ARGUMENT, "drop_last leaves nothing: a batch of %lld from %lld samples",
                         (long long)l->opts.batch, (long long)data->n);
    }
    l->opts.batch = GLIA_MIN(l->opts.batch, data->n);
    l->samples = GLIA_MIN(l->batches * l->opts.batch, data->n);

    size_t sample = data->x_count * sizeof(float) + data->y_bytes, batch;
    if (!glia_mul_fits(sample, (size_t)l->opts.batch, &batch)) {
        return glia_fail(error, GLIA_E_SHAPE, "a batch larger than any memory");
    }
    bool alone = l->opts.workers == -1;
    l->group = alone ? 1 : (int64_t)GLIA_MIN(GLIA_MAX(SLOT_BYTES / batch, (size_t)1), (size_t)GROUP_MOST);
    l->group = GLIA_MIN(l->group, l->batches);
    l->n_slots = alone ? 1 : (l->opts.workers ? l->opts.workers : 1) + 2;
    return GLIA_OK;
}

static glia_status allocate(glia_loader *l, glia_error *error) {
    size_t samples = (size_t)(l->group * l->opts.batch);
    l->order = malloc((size_t)l->data->n * sizeof *l->order);
    l->slots = calloc((size_t)l->n_slots, sizeof *l->slots);
    if (!l->order || !l->slots) return glia_fail_nomem(error);
    for (int i = 0; i < l->n_slots; i++) {
        l->slots[i].x = glia_alloc_aligned(samples * l->data->x_count * sizeof(float));
        l->slots[i].y = glia_alloc_aligned(samples * l->data->y_bytes);
        if (!l->slots[i].x || !l->slots[i].y) return glia_fail_nomem(error);
    }
    return GLIA_OK;
}

glia_loader *glia_loader_create(const glia_dataset *data, glia_loader_opts opts, glia_error *error) {
    glia_loader *l = calloc(1, sizeof *l);
    if (!l) return glia_fail_nomem(error), NULL;
    l->data = data;
    l->opts = opts;
    glia_status status = plan(l, error);
    if (!status) status = allocate(l, error);
    if (!status && opts.workers >= 0) status = start_threads(l, opts.workers ? opts.workers : 1, error);
    if (status) {
        glia_loader_free(l);
        return NULL;
    }
    l->at = l->batches; /* nothing to take before glia_loader_start() */
    return l;
}

void glia_loader_free(glia_loader *l) {
    if (!l) return;
    if (l->locks) {
        pthread_mutex_lock(&l->mutex);
        l->stop = true;
        pthread_cond_broadcast(&l->work);
        pthread_mutex_unlock(&l->mutex);
        for (int i = 0; i < l->n_threads; i++) pthread_join(l->threads[i], NULL);
        pthread_cond_destroy(&l->done);
        pthread_cond_destroy(&l->work);
        pthread_mutex_destroy(&l->mutex);
    }
    for (int i = 0; l->slots && i < l->n_slots; i++) {
        free(l->slots[i].x);
        free(l->slots[i].y);
    }
    free(l->threads);
    free(l->slots);
    free(l->order);
    free(l);
}

/* ---- epochs ------------------------------------------------------------------------------- */

int64_t glia_loader_batches(const glia_loader *loader) { return loader->batches; }

glia_status glia_loader_start(glia_loader *l, int64_t epoch, glia_error *error) {
    if (epoch < 0) return glia_fail(error, GLIA_E_ARGUMENT, "epoch %lld", (long long)epoch);
    if (l->locks) { /* let the workers come to rest: an epoch may be left in its middle */
        pthread_mutex_lock(&l->mutex);
        l->jobs = 0;
        while (l->busy) pthread_cond_wait(&l->done, &l->mutex);
        pthread_mutex_unlock(&l->mutex);
    }
    if (l->opts.shuffle) {
        glia_data_shuffle(l->order, l->data->n, l->opts.seed, (uint64_t)epoch);
    } else {
        for (int64_t i = 0; i < l->data->n; i++) l->order[i] = i;
    }
    for (int i = 0; i < l->n_slots; i++) l->slots[i].ready = -1;
    l->at = 0;
    l->status = GLIA_OK;
    if (l->locks) {
        pthread_mutex_lock(&l->mutex);
        l->claimed = l->consumed = 0;
        l->jobs = (l->batches - 1) / l->group + 1;
        pthread_cond_broadcast(&l->work);
        pthread_mutex_unlock(&l->mutex);
    }
    return GLIA_OK;
}

/* The slot that holds job j, prepared; gives back the ones before. */
static slot *take_job(glia_loader *l, int64_t job) {
    slot *s = &l->slots[job % l->n_slots];
    if (!l->locks) {
        prepare(l, job, s);
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
    if (l->at >= l->batches || l->status) return false;
    int64_t job = l->at / l->group, inside = l->at % l->group;
    slot *s = inside ? &l->slots[job % l->n_slots] : take_job(l, job);
    if (s->status) {
        l->status = s->status;
        l->error = s->error;
        return false;
    }
    int64_t first = l->at * l->opts.batch, from = inside * l->opts.batch;
    *batch = (glia_batch){
        .n = GLIA_MIN(l->opts.batch, l->samples - first),
        .x = s->x + (size_t)from * l->data->x_count,
        .y = s->y + (size_t)from * l->data->y_bytes,
        .indices = l->order + first,
    };
    l->at++;
    return true;
}

glia_status glia_loader_check(const glia_loader *l, glia_error *error) {
    if (l->status && error) *error = l->error;
    return l->status;
}
