/* threads.c - the thread pool.
 *
 * The caller of glia_parallel_for() opens a gate. Each worker that sees it open enters, takes pieces until none are
 * left, and leaves. The caller takes pieces as well; when none are left it closes the gate and waits only for workers
 * inside. A worker that sleeps or has lost its core causes no delay: it finds the gate closed.
 *
 * Each thread has a fixed share of the pieces, equal for equal numbers of pieces, so that data written in the previous
 * launch or weights read in the previous run may still be in its core's cache. A thread that finishes its share takes
 * pieces of others (work stealing).
 *
 *     gate:  | generation, 48 bits | open | workers inside, 15 bits |
 *
 * A waiting thread spins for some time before it sleeps on a condition variable, because launches follow each other
 * closely. On a loaded machine the scheduler may put a worker on the caller's core, where they block each other: the
 * worker then moves to another core, and a caller waiting for such a worker sleeps. The job (fn, context, pieces) is
 * plain memory: it is written while no worker is inside and read after entering; acquire and release on the gate order
 * the two.
 *
 * The pool runs one job at a time. A call of glia_parallel_for() during another job (or from within a piece) runs all
 * of its pieces on the calling thread: with several callers the cores are busy anyway. `busy` serialises the jobs.
 */
#if defined(__linux__)
#define _GNU_SOURCE 1
#endif
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

enum {
    MAX_THREADS = 4096,
    PAUSES = 32,  /* between two reads of the clock */
    NOWHERE = -2, /* no core */
    CACHE_LINE = 64
};

static const int64_t SPIN_NS = 500000;

static const uint64_t OPEN = 1 << 15, INSIDE = OPEN - 1, GENERATION = 1 << 16;

typedef struct share {
    _Alignas(CACHE_LINE) _Atomic int64_t next; /* next piece to run */
    int64_t end;
} share;

typedef struct worker {
    glia_pool *pool;
    pthread_t thread;
    int index;        /* 1 ... size - 1; the caller is 0 */
    _Atomic int core; /* on which it runs; NOWHERE: idle */
} worker;

struct glia_pool {
    _Alignas(CACHE_LINE) _Atomic uint64_t gate;
    _Atomic int core; /* on which the caller ran when it opened the gate */
    atomic_bool busy; /* a job is running */
    _Alignas(CACHE_LINE) glia_piece_fn fn;
    void *context;
    share *shares; /* [size] */

    _Alignas(CACHE_LINE) _Atomic int sleepers; /* workers that wait on `wake`, or are about to */
    _Atomic bool caller_sleeps;                /* the caller waits on `left`, or is about to */
    _Atomic bool stop;
    pthread_mutex_t mutex;
    pthread_cond_t wake, left;

    int size, started;
#if defined(__linux__)
    cpu_set_t allowed; /* cores */
#endif
    bool crowded;    /* fewer cores than threads: spinning would slow down running threads */
    worker *workers; /* [size - 1] */
};

static void pause_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- cores -------------------------------------------------------------------------------- */

#if defined(__linux__)
/* The cores that this process may run on; false: unknown. */
static bool allowed_cores(cpu_set_t *set) {
    CPU_ZERO(set);
    return sched_getaffinity(0, sizeof *set, set) == 0 && CPU_COUNT(set) > 0;
}
#endif

int glia_cpu_cores(void) {
#if defined(__linux__)
    cpu_set_t set;
    if (allowed_cores(&set)) return CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : (int)GLIA_MIN(n, (long)MAX_THREADS);
}

/* ---- waiting ------------------------------------------------------------------------------ */

/* The core that this thread runs on; -1: unknown. */
static int core_here(void) {
#if defined(__linux__)
    return sched_getcpu();
#else
    return -1;
#endif
}

/* Moves this worker thread away from the caller's core; false: not possible. */
static bool leave_core(const glia_pool *pool, int core) {
#if defined(__linux__)
    cpu_set_t others = pool->allowed;
    CPU_CLR(core, &others);
    return CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0;
#else
    (void)pool;
    (void)core;
    return false;
#endif
}

/* Does this thread share a core with a thread that it waits for? self NULL: the caller, waiting for workers. */
static bool blocks_its_core(const glia_pool *pool, const worker *self) {
    const int here = core_here();
    if (here < 0) return false;
    if (self) return atomic_load_explicit(&pool->core, memory_order_relaxed) == here && !leave_core(pool, here);
    for (int i = 0; i < pool->started; i++) {
        if (atomic_load_explicit(&pool->workers[i].core, memory_order_relaxed) == here) return true;
    }
    return false;
}

/* Spins until (gate & mask) == value (or !=, if not `equal`); false: sleep instead. */
static bool watch(const glia_pool *pool, const worker *self, uint64_t mask, uint64_t value, bool equal) {
    int64_t begin = 0, waited = 0;
    do {
        for (int i = 0; i < PAUSES; i++) {
            if (((atomic_load(&pool->gate) & mask) == value) == equal) return true;
            pause_cpu();
        }
        if (pool->crowded || blocks_its_core(pool, self)) return false;
        if (begin == 0) begin = now_ns();
        waited = now_ns() - begin;
    } while (waited < SPIN_NS);
    return false;
}

/* ---- workers ------------------------------------------------------------------------------ */

static void take_pieces(glia_pool *pool, int index) {
    glia_piece_fn fn = pool->fn;
    void *context = pool->context;
    for (int k = 0; k < pool->size; k++) {
        share *s = &pool->shares[index + k < pool->size ? index + k : index + k - pool->size];
        int64_t i = atomic_load_explicit(&s->next, memory_order_relaxed);
        while (i < s->end && (i = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed)) < s->end)
            fn(context, i, index);
    }
}

static void share_out(glia_pool *pool, int64_t pieces) {
    int64_t begin = 0;
    for (int k = 0; k < pool->size; k++) {
        share *s = &pool->shares[k];
        atomic_store_explicit(&s->next, begin, memory_order_relaxed);
        begin = s->end = begin + (pieces - begin) / (pool->size - k);
    }
}

/* Waits for a generation other than `seen`; false: the pool is being freed. */
static bool wait_for_work(const worker *self, uint64_t seen) {
    glia_pool *pool = self->pool;
    if (watch(pool, self, ~(GENERATION - 1), seen * GENERATION, false)) return !atomic_load(&pool->stop);
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(&pool->gate) / GENERATION == seen && !atomic_load(&pool->stop)) {
        pthread_cond_wait(&pool->wake, &pool->mutex);
    }
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->mutex);
    return !atomic_load(&pool->stop);
}

static void leave(glia_pool *pool) {
    uint64_t before = atomic_fetch_sub(&pool->gate, 1);
    if ((before & (OPEN | INSIDE)) != 1 || !atomic_load(&pool->caller_sleeps)) return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_signal(&pool->left);
    pthread_mutex_unlock(&pool->mutex);
}

static void *work(void *context) {
    worker *self = context;
    glia_pool *pool = self->pool;
    uint64_t seen = 0;
    while (wait_for_work(self, seen)) {
        uint64_t gate = atomic_load(&pool->gate);
        while (gate & OPEN && !atomic_compare_exchange_weak(&pool->gate, &gate, gate + 1)) {}
        seen = gate / GENERATION;
        if (!(gate & OPEN)) continue;
        atomic_store_explicit(&self->core, core_here(), memory_order_relaxed);
        take_pieces(pool, self->index);
        atomic_store_explicit(&self->core, NOWHERE, memory_order_relaxed);
        leave(pool);
    }
    return NULL;
}

static void wait_for_leavers(glia_pool *pool) {
    if (watch(pool, NULL, INSIDE, 0, true)) return;
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->caller_sleeps, true);
    while (atomic_load(&pool->gate) & INSIDE) pthread_cond_wait(&pool->left, &pool->mutex);
    atomic_store(&pool->caller_sleeps, false);
    pthread_mutex_unlock(&pool->mutex);
}

void glia_parallel_for(glia_pool *pool, int64_t pieces, glia_piece_fn fn, void *context) {
    if (!pool || pool->size == 1 || pieces <= 1 || atomic_exchange_explicit(&pool->busy, true, memory_order_acquire)) {
        for (int64_t i = 0; i < pieces; i++) fn(context, i, 0);
        return;
    }
    pool->fn = fn;
    pool->context = context;
    share_out(pool, pieces);
    atomic_store_explicit(&pool->core, core_here(), memory_order_relaxed);
    uint64_t generation = atomic_load_explicit(&pool->gate, memory_order_relaxed) / GENERATION + 1;
    atomic_store(&pool->gate, generation * GENERATION | OPEN);
    if (atomic_load(&pool->sleepers)) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->mutex);
    }
    take_pieces(pool, 0);
    atomic_fetch_and(&pool->gate, ~OPEN);
    wait_for_leavers(pool);
    atomic_store_explicit(&pool->busy, false, memory_order_release);
}

/* ---- creation ----------------------------------------------------------------------------- */

static void stop_workers(glia_pool *pool) {
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->stop, true);
    atomic_fetch_add(&pool->gate, GENERATION); /* still closed; the change wakes spinning workers */
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
}

/* Starts the workers; GLIA_E_NOMEM if one cannot be started. */
static glia_status start_workers(glia_pool *pool, glia_error *error) {
    for (int i = 0; i < pool->size - 1; i++) {
        pool->workers[i].pool = pool;
        pool->workers[i].index = i + 1;
        atomic_init(&pool->workers[i].core, NOWHERE);
        int failure = pthread_create(&pool->workers[i].thread, NULL, work, &pool->workers[i]);
        if (failure) {
            stop_workers(pool);
            return glia_fail(error, GLIA_E_NOMEM, "thread %d of %d cannot be started (error %d)", i + 2, pool->size,
                             failure);
        }
        pool->started++;
    }
    return GLIA_OK;
}

glia_pool *glia_pool_create(int threads, glia_error *error) {
    int cores = glia_cpu_cores();
    if (threads <= 0) threads = GLIA_MIN(cores, (int)MAX_THREADS);
    if (threads > MAX_THREADS) {
        glia_fail(error, GLIA_E_ARGUMENT, "%d threads: at most %d", threads, MAX_THREADS);
        return NULL;
    }
    glia_pool *pool = glia_alloc_aligned(sizeof *pool);
    worker *workers = calloc((size_t)threads, sizeof *workers);
    share *shares = glia_alloc_aligned((size_t)threads * sizeof *shares);
    if (!pool || !workers || !shares) {
        glia_fail_nomem(error);
        goto no_memory;
    }
    pool->size = threads;
    pool->workers = workers;
    pool->shares = shares;
    pool->crowded = threads > cores;
#if defined(__linux__)
    allowed_cores(&pool->allowed);
#endif
    atomic_init(&pool->core, NOWHERE);
    atomic_init(&pool->busy, false);
    if (pthread_mutex_init(&pool->mutex, NULL)) goto no_mutex;
    if (pthread_cond_init(&pool->wake, NULL)) goto no_wake;
    if (pthread_cond_init(&pool->left, NULL)) goto no_left;
    if (start_workers(pool, error) == GLIA_OK) return pool;
    pthread_cond_destroy(&pool->left);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    goto no_memory;

no_left:
    pthread_cond_destroy(&pool->wake);
no_wake:
    pthread_mutex_destroy(&pool->mutex);
no_mutex:
    glia_fail_nomem(error);
no_memory:
    free(shares);
    free(workers);
    free(pool);
    return NULL;
}

void glia_pool_free(glia_pool *pool) {
    if (!pool) return;
    stop_workers(pool);
    pthread_cond_destroy(&pool->left);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->shares);
    free(pool->workers);
    free(pool);
}

int glia_pool_size(const glia_pool *pool) { return pool ? pool->size : 1; }
