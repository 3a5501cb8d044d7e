/* history.h - the run history: a database in the runs folder.
 *
 *   runs/glia.db
 *     runs      a row each: key, folder, model, data, start, seconds, status, settings as JSON
 *     epochs    figures of each epoch by name: loss, accuracy, val_loss, val_accuracy, ...
 *     figures   figures of the whole run: test_loss, test_accuracy, ...
 *
 * The key is the random id that a run has in its config.json; so a moved run keeps its row, and a new run in the
 * same folder gets another. Several programs may write at once. A run whose process died is "unfinished".
 * history_open() updates the rows from the folders. The history never stops training: an error is reported once on
 * stderr. A build without SQLite has no history.
 */
#ifndef GLIA_TOOL_HISTORY_H
#define GLIA_TOOL_HISTORY_H

#include "terminal/tool.h"

typedef struct history_about {
    const char *key, *folder, *model, *data, *started; /* started: "2026-01-31 12:00" */
    const char *settings;                              /* a JSON object */
    bool resumed;                                      /* continues the existing row */
} history_about;

typedef struct history_log history_log;

/* Begins a run; NULL if it cannot be recorded (the other functions accept NULL). A new run replaces the row of its
 * folder. */
history_log *history_begin(const history_about *about);
/* Adds the figures that the row does not have yet. Values that are not finite are skipped. */
void history_epoch(history_log *log, int64_t epoch, const glia_value *figures, int n);
/* A callback of glia_fit() that adds the figures and the seconds of each epoch to *log, which is read at each call. The
 * first epoch that ends after a run is resumed replaces the recorded figures of this epoch and later ones. */
glia_callback history_watch(history_log **log);
/* Ends the run and frees the log. status: "done", "interrupted", "failed". */
void history_end(history_log *log, const char *status, double seconds, const glia_value *figures, int n);
/* Updates the row of a finished run from its run.json. */
void history_refresh(const char *folder);

/* The database of a folder of runs, up to date with the folders: of new ones rows are made, rows of folders that are
 * gone are hidden until they are back. NULL after saying why. To be closed with sqlite3_close(). Its SQL knows
 * larger_is_better(NAME), and a view `seen` of the runs that are there, with the status as it is now. */
struct sqlite3 *history_open(const char *runs);
bool history_larger_is_better(const char *figure);

#endif
