/* callbacks.h - internal helpers shared by the callbacks.
 *
 * Each callback file has a struct that begins with a glia_watcher, a constructor that allocates it with
 * glia_watcher_create() and fills it, and the functions that glia_fit() calls. Constructors return no status, so their
 * errors are stored and reported when training begins.
 */
#ifndef GLIA_SRC_TRAIN_CALLBACKS_CALLBACKS_H
#define GLIA_SRC_TRAIN_CALLBACKS_CALLBACKS_H

#include "glia/callbacks.h"
#include "train/model/model.h"

typedef struct glia_watcher {
    glia_arena arena; /* holds the strings */
    glia_error error; /* first error of the constructor */
} glia_watcher;

/* A callback whose context is `size` zeroed bytes beginning with a glia_watcher. The context is freed by `free`, or by
 * glia_watcher_free() if that is NULL. Out of memory: context is NULL and train_begin reports it. The caller sets the
 * callback functions if context is not NULL. */
glia_callback glia_watcher_create(const char *name, size_t size);
/* Frees the context and its strings. */
void glia_watcher_free(void *context);
/* Copies a string; if memory runs out, that is stored as the error. */
const char *glia_watcher_text(glia_watcher *watcher, const char *text);
/* Stores an error; only the first is kept. */
void glia_watcher_fail(glia_watcher *watcher, glia_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Default train_begin: reports the constructor's error. */
glia_status glia_watcher_begin(const glia_progress *progress, void *context, glia_error *error);

/* ---- monitored figures (monitor.c) ------------------------------------------------------------ */

typedef struct glia_monitor {
    const char *name;
    bool larger; /* larger is better */
    double min_delta;
} glia_monitor;
/* name NULL: "val_loss". */
glia_monitor glia_monitor_create(glia_watcher *watcher, const char *name, glia_monitor_mode mode, double min_delta);
/* Initial best value: any number improves on it. */
double glia_monitor_worst(const glia_monitor *monitor);
bool glia_monitor_better(const glia_monitor *monitor, double value, double best);
/* For train_begin: GLIA_E_ARGUMENT if no epoch will have this value; the message suggests the nearest name. */
glia_status glia_monitor_check(const glia_monitor *monitor, const char *who, const glia_progress *progress,
                               glia_error *error);
/* Reads the value; GLIA_E_ARGUMENT if it is missing; the message lists the available ones. */
glia_status glia_monitor_read(const glia_monitor *monitor, const char *who, const glia_progress *progress,
                              double *value, glia_error *error);

#endif
