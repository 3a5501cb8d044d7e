/* backup_and_restore.c - saves checkpoints during training; resumes from an existing one when training begins. */
#include <stdio.h>
#include <unistd.h>

#include "train/callbacks/callbacks.h"
#include "train/run/training.h"

typedef struct backup {
    glia_watcher watcher;
    glia_backup_and_restore_opts opts;
    const char *path, *previous;
    double saved; /* time of the last checkpoint, or of the start of training */
} backup;

static glia_status begin(const glia_progress *p, void *context, glia_error *error) {
    backup *b = context;
    b->saved = glia_seconds();
    glia_status status = glia_watcher_begin(p, context, error);
    if (status != GLIA_OK) return status;
    glia_error reason = { 0 };
    status = glia_training_restore(p->training, b->path, NULL, &reason);
    if (status == GLIA_OK || status == GLIA_E_NOT_FOUND) return GLIA_OK;
    return glia_fail(error, status, "%s", reason.message);
}

static glia_status step_end(const glia_progress *p, void *context, glia_error *error) {
    const backup *b = context;
    return p->done % b->opts.save_freq ? GLIA_OK : glia_training_save(p->training, b->path, error);
}

static glia_status epoch_end(const glia_progress *p, void *context, glia_error *error) {
    backup *b = context;
    if (glia_seconds() - b->saved < b->opts.min_seconds) return GLIA_OK;
    glia_status status = glia_training_save(p->training, b->path, error);
    b->saved = glia_seconds();
    return status;
}

/* Deletes the checkpoint after a training that finished or was stopped by a callback. */
static glia_status end(const glia_progress *p, void *context, glia_error *error) {
    (void)error;
    const backup *b = context;
    if (b->opts.keep || (p->done < p->total && !p->training->stop)) return GLIA_OK;
    unlink(b->previous);
    unlink(b->path);
    return GLIA_OK;
}

glia_callback glia_backup_and_restore(glia_backup_and_restore_opts opts) {
    glia_callback c = glia_watcher_create("BackupAndRestore", sizeof(backup));
    backup *b = c.context;
    if (!b) return c;
    b->opts = opts;
    b->path = glia_watcher_text(&b->watcher, opts.path);
    b->previous = opts.path ? glia_arena_printf(&b->watcher.arena, "%s.previous", opts.path) : NULL;
    if (!opts.path || !opts.path[0]) glia_watcher_fail(&b->watcher, GLIA_E_ARGUMENT, "a backup needs a path");
    if (!b->previous) glia_watcher_fail(&b->watcher, GLIA_E_NOMEM, "out of memory");
    if (!(opts.min_seconds >= 0)) glia_watcher_fail(&b->watcher, GLIA_E_ARGUMENT, "min_seconds cannot be negative");
    if (opts.save_freq < 0) glia_watcher_fail(&b->watcher, GLIA_E_ARGUMENT, "save_freq cannot be negative");
    c.train_begin = begin;
    if (opts.save_freq > 0)
        c.step_end = step_end;
    else
        c.epoch_end = epoch_end;
    c.train_end = end;
    c.after_others = true;
    return c;
}
