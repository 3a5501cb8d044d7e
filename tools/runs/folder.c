/* folder.c - creating and locking the folder of a run.
 *
 * The lock is an fcntl() lock: it ends with the process, and F_GETLK returns its holder. The lock file is removed
 * before the lock is released, so a finished run has none; a process that locked a removed file tries again.
 */
#include "runs/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runs/history.h"
#include "terminal/json.h"

#define LOCK ".lock"

/* The files of a run; each is written as NAME.tmp and renamed. */
static const char *const checkpoints[] = { "checkpoint.safetensors", "checkpoint.safetensors.previous" };
static const char *const files[] = {
    "run.json",          "curves.csv",  "steps.csv",   "best.safetensors",
    "model.safetensors", "report.html", "config.json", "checkpoint.safetensors.damaged"
};
static const char *const event_folders[] = { "tensorboard/train", "tensorboard/validation" };
enum { CHECKPOINTS = 2, FILES = sizeof files / sizeof files[0] };

static char *inside(const char *folder, const char *name) {
    text path = { 0 };
    text_add(&path, "%s/%s", folder, name);
    return path.bytes;
}

static void remove_file(const char *folder, const char *name, const char *ending) {
    text path = { 0 };
    text_add(&path, "%s/%s%s", folder, name, ending);
    unlink(path.bytes);
    free(path.bytes);
}

/* ---- what is in a folder ------------------------------------------------------------------ */

static bool read_config(void *context, const char *path, json_kind kind, const char *value) {
    run_about *about = context;
    if (kind != JSON_TEXT) return true;
    if (strcmp(path, "about.glia") == 0) about->is_run = true;
    if (strcmp(path, "about.id") == 0) snprintf(about->id, sizeof about->id, "%s", value);
    if (strcmp(path, "about.started") == 0) snprintf(about->started, sizeof about->started, "%s", value);
    return true;
}

static bool read_state(void *context, const char *path, json_kind kind, const char *value) {
    run_about *about = context;
    if (kind == JSON_TEXT && strcmp(path, "state") == 0) snprintf(about->state, sizeof about->state, "%s", value);
    return true;
}

static void read_json(const char *folder, const char *name, json_visit visit, run_about *about) {
    char *path = inside(folder, name);
    glia_error error; /* a damaged file does not make a run */
    text content = { 0 };
    if (read_file(path, &content) && content.bytes)
        json_read(content.bytes, content.length, visit, about, &error);
    free(path);
    free(content.bytes);
}

run_about folder_about(const char *path) {
    run_about about = { 0 };
    read_json(path, "config.json", read_config, &about);
    if (about.is_run) read_json(path, "run.json", read_state, &about);
    return about;
}

/* Whether the folder has only the files of a process killed before it wrote config.json. */
static bool is_empty(const char *path) {
    DIR *entries = opendir(path);
    bool empty = entries || errno == ENOENT;
    for (struct dirent *entry; empty && entries && (entry = readdir(entries)) != NULL;) {
        static const char *const names[] = { ".", "..", LOCK, "config.json.tmp" };
        bool known = false;
        for (int i = 0; i < 4; i++) known = known || strcmp(entry->d_name, names[i]) == 0;
        empty = known;
    }
    if (entries) closedir(entries);
    return empty;
}

int folder_check(const char *path, bool force) {
    struct stat info;
    if (!*path) return misuse("--out needs a folder");
    if (stat(path, &info) != 0)
        return errno == ENOENT ? -1 : fail("cannot make the folder %s: %s", path, strerror(errno));
    if (!S_ISDIR(info.st_mode)) return fail("cannot make the folder %s: a file of that name exists", path);
    if (is_empty(path)) return -1;
    if (!folder_about(path).is_run)
        return fail("the folder %s is not empty and is not a run folder; nothing was changed", path);
    if (force) return -1;
    int64_t user = folder_user(path);
    if (user > 0) return fail("%s is in use by process %lld", path, (long long)user);
    return fail("%s contains a run; --force replaces it", path);
}

/* ---- the lock ----------------------------------------------------------------------------- */

static struct flock whole_file(void) { return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET }; }

int64_t folder_user(const char *path) {
    char *name = inside(path, LOCK);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    free(name);
    if (fd < 0) return 0;
    struct flock lock = whole_file();
    int64_t user = fcntl(fd, F_GETLK, &lock) != 0 ? -1 : lock.l_type == F_UNLCK ? 0 : (int64_t)lock.l_pid;
    close(fd);
    return user;
}

/* Whether the open file still has this name. */
static bool same_file(int fd, const char *name) {
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(name, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static int take_lock(run_folder *f) {
    char *name = inside(f->path, LOCK);
    int status = -1;
    for (bool done = false; !done;) {
        f->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        struct flock lock = whole_file();
        if (f->lock < 0) {
            status = fail("%s: %s", name, strerror(errno));
            break;
        }
        if (fcntl(f->lock, F_SETLK, &lock) == 0) {
            done = same_file(f->lock, name);
        } else if (errno == EACCES || errno == EAGAIN) {
            struct flock other = whole_file();
            done = fcntl(f->lock, F_GETLK, &other) == 0 && other.l_type != F_UNLCK;
            if (done) status = fail("%s is in use by process %lld", f->path, (long long)other.l_pid);
        } else {
            fail("%s: %s; the folder is not locked against other processes", name, strerror(errno));
            done = true;
        }
        if (status < 0 && done) break;
        close(f->lock);
        f->lock = -1;
    }
    free(name);
    return status;
}

/* ---- taking it ---------------------------------------------------------------------------- */

/* Makes the folders above the last one. */
static bool make_parents(char *path) {
    for (char *slash = path + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        int status = mkdir(path, 0777);
        *slash = '/';
        if (status != 0 && errno != EEXIST) return false;
    }
    return true;
}

static char *without_slash(const char *path) {
    char *copy = duplicate(path);
    for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--) copy[n - 1] = '\0';
    return copy;
}

int folder_take(run_folder *f, const char *path, bool force) {
    int status = folder_check(path, force);
    if (status >= 0) return status;
    *f = (run_folder){ .path = without_slash(path), .lock = -1 };
    f->made = make_parents(f->path) && mkdir(f->path, 0777) == 0;
    if (!f->made && errno != EEXIST) return fail("cannot make the folder %s: %s", f->path, strerror(errno));
    status = take_lock(f);
    return status < 0 ? folder_check(path, force) : status; /* another process may have created it */
}

int folder_take_new(run_folder *f, const char *name) {
    text path = { 0 };
    for (int n = 1; n < 10000; n++) {
        path.length = 0;
        text_add(&path, "runs/%s-%d", name, n);
        if (!make_parents(path.bytes)) break;
        if (mkdir(path.bytes, 0777) == 0) {
            *f = (run_folder){ .path = path.bytes, .lock = -1, .made = true };
            return take_lock(f);
        }
        if (errno != EEXIST) break;
    }
    int status = fail("cannot make the folder %s: %s", path.bytes, strerror(errno));
    free(path.bytes);
    return status;
}

int folder_resume(run_folder *f, const char *path) {
    if (!folder_about(path).is_run) return fail("%s is not a run folder: it has no config.json of a run", path);
    *f = (run_folder){ .path = without_slash(path), .lock = -1 };
    int status = take_lock(f);
    if (status >= 0) return status;
    f->begun = true;
    if (strcmp(folder_about(path).state, "done") != 0) return -1;
    folder_tidy(f, true); /* it may have been killed after finishing, before tidying */
    history_refresh(f->path);
    return fail("%s is finished; `glia train --config %s` repeats it", path, path);
}

/* ---- what belongs to a run ---------------------------------------------------------------- */

static void remove_events(const char *folder) {
    for (int i = 0; i < 2; i++) {
        char *path = inside(folder, event_folders[i]);
        DIR *entries = opendir(path);
        for (struct dirent *entry; entries && (entry = readdir(entries)) != NULL;) {
            if (strncmp(entry->d_name, "events.out.tfevents.", 20) == 0) unlinkat(dirfd(entries), entry->d_name, 0);
        }
        if (entries) closedir(entries);
        rmdir(path); /* stays if there is something else in it */
        free(path);
    }
    char *path = inside(folder, "tensorboard");
    rmdir(path);
    free(path);
}

/* Removes what gallery.c wrote; other files stay. */
static void remove_samples(const char *folder) {
    char *path = inside(folder, "samples");
    DIR *entries = opendir(path);
    for (struct dirent *entry; entries && (entry = readdir(entries)) != NULL;) {
        const char *ending = strrchr(entry->d_name, '.');
        if (ending && (strcmp(ending, ".png") == 0 || strcmp(ending, ".txt") == 0 || strcmp(ending, ".tmp") == 0))
            unlinkat(dirfd(entries), entry->d_name, 0);
    }
    if (entries) closedir(entries);
    rmdir(path); /* stays if there is something else in it */
    free(path);
}

void folder_tidy(const run_folder *f, bool finished) {
    for (int i = 0; i < CHECKPOINTS; i++) {
        if (finished) remove_file(f->path, checkpoints[i], "");
        remove_file(f->path, checkpoints[i], ".tmp");
    }
    for (int i = 0; i < FILES; i++) remove_file(f->path, files[i], ".tmp");
}

void folder_begin(run_folder *f) {
    f->begun = true;
    if (f->made) return;
    folder_tidy(f, true);
    for (int i = 0; i < FILES; i++)
        if (strcmp(files[i], "config.json") != 0) remove_file(f->path, files[i], "");
    remove_events(f->path);
    remove_samples(f->path);
}

void folder_release(run_folder *f) {
    if (!f->path) return;
    if (f->lock >= 0) {
        char *name = inside(f->path, LOCK);
        if (same_file(f->lock, name)) unlink(name);
        free(name);
        close(f->lock);
    }
    if (f->made && !f->begun) rmdir(f->path);
    free(f->path);
    *f = (run_folder){ .lock = -1 };
}
