/* history.h - what was trained here, and how it went: a database in the runs folder.
 *
 *   runs/glia.db
 *     runs      a row each: folder, model, data, start, seconds, status, settings as JSON
 *     epochs    figures of each epoch by name: loss, accuracy, val_loss, val_accuracy, ...
 *     figures   figures of the whole run: test_loss, test_accuracy, ...
 *
 * Several programs may write at once. A run whose program died without a word is "unfinished". A database that is not
 * there is made from the run.json of the folders beside it. The history never stops training: what goes wrong is told
 * once on stderr. In a build without SQLite it keeps nothing.
 */
#ifndef GLIA_TOOL_HISTORY_H
#define GLIA_TOOL_HISTORY_H

#include "terminal/tool.h"

typedef struct history_about {
    const char *folder, *model, *data, *started; /* started: as people read it */
    const char *settings;                        /* a JSON object */
} history_about;

typedef struct history_log history_log;

/* A run begins; NULL if it cannot be kept, which the other functions take. A run of the same folder is replaced. */
history_log *history_begin(const history_about *about);
/* Values that are not finite are left out. */
void history_epoch(history_log *log, int64_t epoch, const glia_value *figures, int n);
/* A callback of glia_fit() that keeps all figures of each epoch, and its seconds. */
glia_callback history_watch(history_log *log);
/* It is over; status: "done", "interrupted", "failed". Frees the log. */
void history_end(history_log *log, const char *status, double seconds, const glia_value *figures, int n);

/* The database of a folder of runs, for reading; NULL after saying why. To be closed with sqlite3_close(). Its SQL knows
 * larger_is_better(NAME), and a view `seen` of runs with the status as it is now. */
struct sqlite3 *history_open(const char *runs);
bool history_larger_is_better(const char *figure);

#endif
