/* watcher.c - allocates and frees callback contexts. */
#include <stdio.h>
#include <stdlib.h>

#include "train/callbacks/callbacks.h"

static glia_status no_memory(const glia_progress *progress, void *context, glia_error *error) {
    (void)progress, (void)context;
    return glia_fail_nomem(error);
}

glia_callback glia_watcher_create(const char *name, size_t size) {
    void *context = calloc(1, size);
    if (!context) return (glia_callback){ .name = name, .train_begin = no_memory };
    return (glia_callback){
        .name = name, .context = context, .free = glia_watcher_free, .train_begin = glia_watcher_begin
    };
}

void glia_watcher_free(void *context) {
    glia_watcher *w = context;
    glia_arena_free(&w->arena);
    free(w);
}

const char *glia_watcher_text(glia_watcher *w, const char *text) {
    const char *copy = text ? glia_arena_strdup(&w->arena, text) : NULL;
    if (text && !copy) glia_watcher_fail(w, GLIA_E_NOMEM, "out of memory");
    return copy;
}

void glia_watcher_fail(glia_watcher *w, glia_status status, const char *format, ...) {
    if (w->error.status != GLIA_OK) return;
    w->error.status = status;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(w->error.message, sizeof w->error.message, format, arguments);
    va_end(arguments);
}

glia_status glia_watcher_begin(const glia_progress *progress, void *context, glia_error *error) {
    (void)progress;
    const glia_watcher *w = context;
    return w->error.status == GLIA_OK ? GLIA_OK : glia_fail(error, w->error.status, "%s", w->error.message);
}
