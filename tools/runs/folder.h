/* folder.h - the folder of a run: its contents and its lock.
 *
 * A folder is a run folder if it has a config.json that `glia train` wrote. A process that trains in it holds a lock on
 * the file .lock, which ends with the process.
 */
#ifndef GLIA_TOOL_FOLDER_H
#define GLIA_TOOL_FOLDER_H

#include "terminal/tool.h"

enum { RUN_ID = 20 };

/* Information from the files of a folder. */
typedef struct run_about {
    bool is_run;
    char id[RUN_ID]; /* of config.json, random; "": older runs have none */
    char started[SHORT], state[SHORT];
} run_about;
run_about folder_about(const char *path);

/* The id of the process that trains in the folder; 0: none, -1: unknown. Not for a folder that this process has taken:
 * the call would release its lock. */
int64_t folder_user(const char *path);

typedef struct run_folder {
    char *path;
    int lock;      /* file descriptor */
    bool made;     /* by this process */
    bool begun;    /* folder_begin() was called: it is a run folder */
} run_folder;

/* These return -1, or the exit status after printing an error. */

/* Checks that a run can use this folder: empty, not existing, or with `force` a run folder. Changes nothing. */
int folder_check(const char *path, bool force);
/* Takes this folder, makes it if necessary, and locks it; nothing in it is changed. "in use by process N". */
int folder_take(run_folder *f, const char *path, bool force);
/* Takes a new folder runs/NAME-N. */
int folder_take_new(run_folder *f, const char *name);
/* Takes the folder of an existing run to resume it. An error if the run is finished. */
int folder_resume(run_folder *f, const char *path);

/* Removes the files of an earlier run, except config.json, which is replaced next. Other files stay. */
void folder_begin(run_folder *f);
/* Removes checkpoints, if `finished`, and partly written files of a killed process. */
void folder_tidy(const run_folder *f, bool finished);
/* Releases the lock; a folder that was made and is still empty is removed. */
void folder_release(run_folder *f);

#endif
