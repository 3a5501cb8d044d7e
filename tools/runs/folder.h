/* folder.h - the folder of a run: what is in it, and which process uses it.
 *
 * A folder is a run's if it has a config.json that `glia train` wrote. While a process trains in it, it holds a lock on the
 * file .lock, which ends with the process.
 */
#ifndef GLIA_TOOL_FOLDER_H
#define GLIA_TOOL_FOLDER_H

#include "terminal/tool.h"

enum { RUN_ID = 20 };

/* What the files of a folder say. */
typedef struct run_about {
    bool is_run;
    char id[RUN_ID]; /* of config.json, random; "": older runs have none */
    char started[SHORT], state[SHORT];
} run_about;
run_about folder_about(const char *path);

/* The number of the process that trains in the folder; 0: none does, -1: it cannot be known. Do not ask about a folder that
 * this process has taken: that would release its lock. */
int64_t folder_user(const char *path);

typedef struct run_folder {
    char *path;
    int lock;      /* file descriptor */
    bool made;     /* by this process */
    bool begun;    /* folder_begin() was called, so it is a run's */
} run_folder;

/* These return -1, or the exit status after saying what is wrong. */

/* Could a run be put into this folder? It must be empty or not exist, or with `force` be a run's. Nothing is touched. */
int folder_check(const char *path, bool force);
/* Takes this folder, makes it if necessary, and locks it; nothing in it is changed. "in use by process N". */
int folder_take(run_folder *f, const char *path, bool force);
/* Takes a folder runs/NAME-N that is new. */
int folder_take_new(run_folder *f, const char *name);
/* Takes the folder of a run that is there, to go on with it. A finished one is refused. */
int folder_resume(run_folder *f, const char *path);

/* Removes what an earlier run has left, but not config.json, which is to be replaced next. Files of others stay. */
void folder_begin(run_folder *f);
/* Removes checkpoints, if `finished`, and what was being written when a process was killed. */
void folder_tidy(const run_folder *f, bool finished);
/* Releases the lock; a folder that was made and is still empty is removed. */
void folder_release(run_folder *f);

#endif
