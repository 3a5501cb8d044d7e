/* oom.h - fails every allocation in turn.
 *
 * For programs linked with --wrap for every function that allocates or starts a thread (tests/CMakeLists.txt). A
 * scenario runs once to count its allocations, then once per allocation with that allocation failing, alone or with all
 * later ones. Each time the library must return GLIA_E_NOMEM (or succeed without the memory, or GLIA_E_IO if a thread
 * could not be started) and free every block; under AddressSanitizer it must not make invalid accesses either.
 */
#ifndef GLIA_TESTS_OOM_H
#define GLIA_TESTS_OOM_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "glia/glia.h"

/* ---- the failing allocator ---------------------------------------------------------------- */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
int __real_posix_memalign(void **out, size_t alignment, size_t bytes);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *context);
void __real_free(void *block);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *context);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t most);
char *__real_realpath(const char *path, char *out);
char *__wrap_realpath(const char *path, char *out);
void __wrap_free(void *block);

static atomic_long calls, live; /* allocations since the scenario began; blocks not freed */
static atomic_long fail_at;     /* the call that fails, from 1; 0: none */
static atomic_bool fail_on;     /* later calls fail too */
static atomic_bool no_thread;   /* the failed call was a thread start */

static bool fails(void) {
    long call = atomic_fetch_add(&calls, 1) + 1, at = atomic_load(&fail_at);
    return at && (call == at || (call > at && atomic_load(&fail_on)));
}

static void *count(void *block) {
    if (block) atomic_fetch_add(&live, 1);
    return block;
}

void *__wrap_malloc(size_t bytes) { return fails() ? NULL : count(__real_malloc(bytes)); }
void *__wrap_calloc(size_t n, size_t bytes) { return fails() ? NULL : count(__real_calloc(n, bytes)); }
void *__wrap_aligned_alloc(size_t alignment, size_t bytes) {
    return fails() ? NULL : count(__real_aligned_alloc(alignment, bytes));
}

void *__wrap_realloc(void *old, size_t bytes) {
    if (fails()) return NULL;
    void *block = __real_realloc(old, bytes);
    return old ? block : count(block);
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes) {
    if (fails()) return 12; /* ENOMEM */
    int status = __real_posix_memalign(out, alignment, bytes);
    if (status == 0) count(*out);
    return status;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *context) {
    if (!fails()) return __real_pthread_create(thread, attr, run, context);
    atomic_store(&no_thread, true);
    return 11; /* EAGAIN */
}

char *__wrap_strdup(const char *text) {
    size_t bytes = strlen(text) + 1;
    char *copy = __wrap_malloc(bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

char *__wrap_strndup(const char *text, size_t most) {
    size_t bytes = strnlen(text, most);
    char *copy = __wrap_malloc(bytes + 1);
    if (!copy) return NULL;
    copy[bytes] = 0;
    return memcpy(copy, text, bytes);
}

char *__wrap_realpath(const char *path, char *out) {
    if (!fails()) return count(__real_realpath(path, out));
    errno = ENOMEM;
    return NULL;
}

void __wrap_free(void *block) {
    if (block) atomic_fetch_sub(&live, 1);
    __real_free(block);
}

/* ---- every allocation in turn ------------------------------------------------------------- */

typedef glia_status (*scenario)(glia_error *error);

/* Runs the scenario with call `at` failing; returns the number of calls. */
static long run(scenario play, long at, bool on, const char *name) {
    glia_error error = { 0 };
    atomic_store(&calls, 0);
    atomic_store(&live, 0);
    atomic_store(&fail_on, on);
    atomic_store(&no_thread, false);
    atomic_store(&fail_at, at);
    glia_status status = play(&error);
    atomic_store(&fail_at, 0);
    if (at == 0 && status != GLIA_OK) fail_msg("%s: %s", name, error.message);
    if (status != GLIA_OK && status != GLIA_E_NOMEM && !(status == GLIA_E_IO && atomic_load(&no_thread))) {
        fail_msg("%s, allocation %ld: '%s' instead of NOMEM: %s", name, at, glia_status_name(status), error.message);
    }
    if (status != GLIA_OK && !error.message[0]) fail_msg("%s, allocation %ld: no message", name, at);
    if (atomic_load(&live) != 0)
        fail_msg("%s, allocation %ld%s: %ld blocks leaked", name, at, on ? " and on" : "", atomic_load(&live));
    return atomic_load(&calls);
}

/* Under AddressSanitizer, where a run takes ten times as long, every third allocation is enough. */
#ifdef __SANITIZE_ADDRESS__
enum { OOM_STEP = 3 };
#else
enum { OOM_STEP = 1 };
#endif

static void every_allocation(scenario play, const char *name) {
    long n = run(play, 0, false, name);
    assert_true(n > 2);
    for (long at = 1; at <= n; at += OOM_STEP) run(play, at, false, name);
    for (long at = 1; at <= n; at += 7) run(play, at, true, name);
    run(play, 0, false, name); /* later allocations succeed */
}

#endif
