/* callbacks.h - what the callbacks of this room share.
 *
 * A page has a struct of its own, which begins with a glia_watcher; a constructor that makes one with
 * glia_watcher_create() and fills it; and the functions that glia_fit() calls. What went wrong in a constructor is kept
 * and reported when training begins, since constructors have nobody to tell.
 */
#ifndef GLIA_SRC_TRAIN_CALLBACKS_CALLBACKS_H
#define GLIA_SRC_TRAIN_CALLBACKS_CALLBACKS_H

#include "glia/callbacks.h"
#include "train/model/model.h"

typedef struct glia_watcher {
    glia_arena arena; /* of texts */
    glia_error error; /* of the constructor */
} glia_watcher;

/* A callback whose context is `size` zeroed bytes that begin with a glia_watcher, which `free` (or, if NULL, a plain
 * function) frees; with no memory for it, one that only says so. The caller fills in the functions if context is not
 * NULL. */
glia_callback glia_watcher_create(const char *name, size_t size);
/* Frees the context with its texts. */
void glia_watcher_free(void *context);
/* The copy of a text; a missing one is remembered as a failure. */
const char *glia_watcher_text(glia_watcher *watcher, const char *text);
/* Remembers a mistake; the first stays. */
void glia_watcher_fail(glia_watcher *watcher, glia_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* train_begin of callbacks that have nothing else to do then: reports what the constructor found. */
glia_status glia_watcher_begin(const glia_progress *progress, void *context, glia_error *error);

/* ---- monitored figures (monitor.c) ------------------------------------------------------------ */

typedef struct glia_monitor {
    const char *name;
    bool larger; /* is better */
    double min_delta;
} glia_monitor;
/* name NULL: "val_loss". */
glia_monitor glia_monitor_create(glia_watcher *watcher, const char *name, glia_monitor_mode mode, double min_delta);
/* The value to improve on at first: every number is better. */
double glia_monitor_worst(const glia_monitor *monitor);
bool glia_monitor_better(const glia_monitor *monitor, double value, double best);
/* For train_begin: GLIA_E_ARGUMENT if no epoch will have the figure, with the nearest name. */
glia_status glia_monitor_check(const glia_monitor *monitor, const char *who, const glia_progress *progress,
                               glia_error *error);
/* The figure; GLIA_E_ARGUMENT listing those that there are if it is not among them. */
glia_status glia_monitor_read(const glia_monitor *monitor, const char *who, const glia_progress *progress,
                              double *value, glia_error *error);

#endif
