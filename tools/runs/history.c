/* history.c - the run history.
 *
 * Every call is one transaction in SQLite's write-ahead log, so readers never wait and a kill loses nothing complete.
 * The tables are created in one transaction, guarded by the file's user_version: only one of several programs does it.
 * Commits are not synced: what a power failure loses is read again from the folders.
 *
 * Folder names are stored relative to the working directory of the training, which contains the runs folder.
 */
#include "runs/history.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glia/glia.h"

bool history_larger_is_better(const char *figure) {
    static const char *const prefixes[] = { "val_", "test_" };
    for (int i = 0; i < 2; i++) {
        size_t n = strlen(prefixes[i]);
        if (strncmp(figure, prefixes[i], n) == 0) figure += n;
    }
    size_t length = strlen(figure);
    if (length >= 4 && strcmp(figure + length - 4, "loss") == 0) return false;
    if (strcmp(figure, "seconds") == 0) return false;
    glia_metric *metric = glia_metric_create(figure, 2, NULL);
    bool larger = !metric || glia_metric_larger_is_better(metric);
    glia_metric_free(metric);
    return larger;
}

/* ---- watching a training -------------------------------------------------------------------- */

static void log_epoch(history_log *log, int64_t epoch, const glia_value *figures, int n, double seconds);

static glia_status watch_epoch(const glia_progress *now, void *context, glia_error *error) {
    (void)error;
    log_epoch(*(history_log **)context, now->epoch, now->values, now->n_values, now->train.seconds);
    return GLIA_OK;
}

glia_callback history_watch(history_log **log) {
    return (glia_callback){ .name = "history", .context = log, .epoch_end = watch_epoch };
}

#ifdef GLIA_HAVE_SQLITE

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runs/folder.h"

#define RUNS "runs"
enum { PATIENCE = 10000 }; /* milliseconds to wait for another writer */

struct history_log {
    sqlite3 *db;
    int64_t run;
    bool resumed; /* and no epoch has ended since */
};

static const char tables[] =
    "CREATE TABLE runs (id INTEGER PRIMARY KEY, folder TEXT UNIQUE, model TEXT, data TEXT, started TEXT, seconds REAL,"
    "                   status TEXT, host TEXT, process INTEGER, settings TEXT, key TEXT, stamp TEXT, missing INTEGER);"
    "CREATE TABLE epochs (run INTEGER REFERENCES runs ON DELETE CASCADE, epoch INTEGER, name TEXT, value REAL,"
    "                     PRIMARY KEY (run, epoch, name)) WITHOUT ROWID;"
    "CREATE TABLE figures (run INTEGER REFERENCES runs ON DELETE CASCADE, name TEXT, value REAL,"
    "                      PRIMARY KEY (run, name)) WITHOUT ROWID;"
    "PRAGMA user_version = 2;";

static const char from_version_1[] = "ALTER TABLE runs ADD COLUMN key TEXT; ALTER TABLE runs ADD COLUMN stamp TEXT;"
                                     "ALTER TABLE runs ADD COLUMN missing INTEGER; PRAGMA user_version = 2;";

/* ?1: a run's key, ?2: its run.json. */
static const char *const imports[] = {
    "UPDATE runs SET model = ?2 ->> '$.model', data = ?2 ->> '$.data', started = ?2 ->> '$.started',"
    "  seconds = ?2 ->> '$.seconds', status = ?2 ->> '$.state', settings = ?2 -> '$.options' WHERE key = ?1",
    "DELETE FROM epochs WHERE run = (SELECT id FROM runs WHERE key = ?1) AND epoch > ?2 ->> '$.epochs_done'",
    "INSERT OR IGNORE INTO epochs"
    "  SELECT runs.id, e.value ->> '$.epoch', iif(f.path = '$.validation', 'val_', '') || f.key, f.atom"
    "  FROM runs, json_each(?2, '$.epochs') AS e, json_tree(e.value) AS f"
    "  WHERE runs.key = ?1 AND f.type IN ('real', 'integer') AND f.key NOT IN ('epoch', 'samples')",
    "INSERT OR IGNORE INTO figures"
    "  SELECT runs.id, 'test_' || f.key, f.atom FROM runs, json_each(?2, '$.test') AS f"
    "  WHERE runs.key = ?1 AND f.type IN ('real', 'integer') AND f.key <> 'samples'",
};

/* ---- statements --------------------------------------------------------------------------- */

static int tell(sqlite3 *db) {
    const char *path = db ? sqlite3_db_filename(db, "main") : NULL;
    bool damaged = db && (sqlite3_errcode(db) == SQLITE_NOTADB || sqlite3_errcode(db) == SQLITE_CORRUPT);
    return fail("run history, %s: %s%s", path ? path : "glia.db", db ? sqlite3_errmsg(db) : "out of memory",
                damaged ? "; delete the file to rebuild it from the run folders" : "");
}

static bool sql(sqlite3 *db, const char *what) { return sqlite3_exec(db, what, NULL, NULL, NULL) == SQLITE_OK; }

/* Runs a statement with these texts, integers ("%lld") or reals in the places ?1, ?2, ...: one letter each, t i r. */
static bool run(sqlite3 *db, const char *statement, const char *kinds, ...) {
    sqlite3_stmt *s;
    if (sqlite3_prepare_v2(db, statement, -1, &s, NULL) != SQLITE_OK) return false;
    va_list arguments;
    va_start(arguments, kinds);
    for (int i = 0; kinds[i]; i++) {
        if (kinds[i] == 't') sqlite3_bind_text(s, i + 1, va_arg(arguments, const char *), -1, SQLITE_STATIC);
        if (kinds[i] == 'i') sqlite3_bind_int64(s, i + 1, va_arg(arguments, int64_t));
        if (kinds[i] == 'r') sqlite3_bind_double(s, i + 1, va_arg(arguments, double));
    }
    va_end(arguments);
    int status = sqlite3_step(s);
    sqlite3_finalize(s);
    return status == SQLITE_DONE || status == SQLITE_ROW;
}

static int64_t user_version(sqlite3 *db) {
    sqlite3_stmt *s;
    int64_t version = -1;
    if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW) {
        version = sqlite3_column_int64(s, 0);
    }
    sqlite3_finalize(s);
    return version;
}

/* ---- SQL functions -------------------------------------------------------------------------- */

static void larger_is_better(sqlite3_context *context, int n, sqlite3_value **values) {
    (void)n;
    const char *name = (const char *)sqlite3_value_text(values[0]);
    sqlite3_result_int(context, name && history_larger_is_better(name));
}

static void host_name(char host[64]) {
    memset(host, 0, 64);
    if (gethostname(host, 63) != 0 || !*host) strcpy(host, "localhost");
}

/* The path of a run's folder, to be freed; `base` is the folder in which the runs folder lies. */
static char *path_of(const char *base, const char *folder) {
    text path = { 0 };
    if (*folder == '/' || strcmp(base, ".") == 0)
        text_add(&path, "%s", folder);
    else
        text_add(&path, "%s/%s", base, folder);
    return path.bytes;
}

static bool process_runs(int64_t process) { return process > 0 && (kill((pid_t)process, 0) == 0 || errno == EPERM); }

/* alive(HOST, PROCESS, FOLDER): is a process training there? Assumed of runs of other machines. */
static void alive(sqlite3_context *context, int n, sqlite3_value **values) {
    (void)n;
    char here[64];
    host_name(here);
    const char *host = (const char *)sqlite3_value_text(values[0]),
               *folder = (const char *)sqlite3_value_text(values[2]);
    char *path = path_of(sqlite3_user_data(context), folder ? folder : "");
    int64_t user = folder_user(path);
    free(path);
    bool other = host && strcmp(host, here) != 0;
    sqlite3_result_int(context, other || user > 0 || (user < 0 && process_runs(sqlite3_value_int64(values[1]))));
}

static bool teach(sqlite3 *db, const char *base) {
    return sqlite3_create_function(db, "larger_is_better", 1, SQLITE_UTF8, NULL, larger_is_better, NULL, NULL) ==
               SQLITE_OK &&
           sqlite3_create_function_v2(db, "alive", 3, SQLITE_UTF8, duplicate(base), alive, NULL, NULL, free) ==
               SQLITE_OK &&
           sql(db, "CREATE TEMP VIEW seen AS SELECT id, folder, model, data, started, seconds, settings,"
                   "  iif(status = 'running' AND NOT alive(host, process, folder), 'unfinished', status) AS status,"
                   "  (SELECT max(epoch) FROM epochs WHERE run = id) AS epochs FROM runs WHERE missing IS NOT 1");
}

/* ---- opening ------------------------------------------------------------------------------ */

/* Creates the tables of a new file, or upgrades an older one. */
static bool make_tables(sqlite3 *db) {
    if (user_version(db) > 1) return true;
    if (!sql(db, "BEGIN IMMEDIATE")) return false;
    int64_t version = user_version(db);
    bool ok = version > 1 || sql(db, version == 1 ? from_version_1 : tables);
    return sql(db, ok ? "COMMIT" : "ROLLBACK") && ok;
}

static sqlite3 *open_database(const char *runs, const char *base) {
    text path = { 0 };
    text_add(&path, "%s/glia.db", runs);
    sqlite3 *db = NULL;
    bool ok = sqlite3_open_v2(path.bytes, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) == SQLITE_OK;
    free(path.bytes);
    if (ok) {
        sqlite3_busy_timeout(db, PATIENCE);
        ok = sql(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON") &&
             make_tables(db) && teach(db, base);
    }
    if (ok) return db;
    tell(db);
    sqlite3_close(db);
    return NULL;
}

/* ---- the folders -------------------------------------------------------------------------- */

/* A text that changes when the file does; "": no such file. */
static void stamp_of(const char *folder, char stamp[SHORT]) {
    text path = { 0 };
    struct stat info;
    text_add(&path, "%s/run.json", folder);
    stamp[0] = '\0';
    if (stat(path.bytes, &info) == 0)
        snprintf(stamp, SHORT, "%lld.%09ld:%lld", (long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec,
                 (long long)info.st_size);
    free(path.bytes);
}

/* Copies the figures of run.json into the row of this key, unless the run is in progress or was killed: then the row is
 * more complete. */
static void import_run(sqlite3 *db, const char *key, const char *folder, const run_about *about) {
    bool over = strcmp(about->state, "done") == 0 || strcmp(about->state, "interrupted") == 0 ||
                strcmp(about->state, "failed") == 0;
    text path = { 0 }, json = { 0 };
    char stamp[SHORT];
    stamp_of(folder, stamp);
    text_add(&path, "%s/run.json", folder);
    if (over && read_file(path.bytes, &json) && json.bytes) {
        bool ok = true;
        for (size_t i = 0; ok && i < sizeof imports / sizeof imports[0]; i++)
            ok = run(db, imports[i], "tt", key, json.bytes);
        if (ok) run(db, "UPDATE runs SET stamp = ?2 WHERE key = ?1", "tt", key, stamp);
    }
    free(path.bytes);
    free(json.bytes);
}

/* Whether this is the key of the run in the folder or of a copy. A key is the run's id; for a copy id@folder. */
static bool is_key(const char *key, const run_about *about) {
    size_t n = strlen(about->id);
    return about->is_run && strncmp(key, about->id, n) == 0 && (key[n] == '\0' || key[n] == '@');
}

/* Hides the rows of missing folders and imports changes of the others. */
static bool look_at_rows(sqlite3 *db, const char *base) {
    sqlite3_stmt *s;
    if (sqlite3_prepare_v2(db, "SELECT id, folder, coalesce(key, ''), stamp, missing IS 1 FROM runs ORDER BY id", -1,
                           &s, NULL) != SQLITE_OK)
        return false;
    bool ok = true;
    while (ok && sqlite3_step(s) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(s, 0);
        const char *folder = (const char *)sqlite3_column_text(s, 1), *known = (const char *)sqlite3_column_text(s, 3);
        char *path = path_of(base, folder ? folder : ""), *key = duplicate((const char *)sqlite3_column_text(s, 2));
        run_about about = folder_about(path);
        if (!*key && about.is_run) { /* from an older version */
            text made = { 0 };
            text_add(&made, "%s%s%s", about.id, *about.id ? "" : "@", *about.id ? "" : folder);
            free(key);
            key = made.bytes;
            ok = run(db, "UPDATE OR IGNORE runs SET key = ?2 WHERE id = ?1", "it", id, key);
        }
        bool there = is_key(key, &about), was_missing = sqlite3_column_int(s, 4);
        if (there == was_missing) ok = run(db, "UPDATE runs SET missing = ?2 WHERE id = ?1", "ii", id, (int64_t)!there);
        char stamp[SHORT];
        stamp_of(path, stamp);
        if (there && (!known || strcmp(known, stamp) != 0) && folder_user(path) <= 0) import_run(db, key, path, &about);
        free(path);
        free(key);
    }
    return sqlite3_finalize(s) == SQLITE_OK && ok;
}

/* The id of the row that the query finds; 0: none. */
static int64_t find_row(sqlite3 *db, const char *query, const char *value) {
    sqlite3_stmt *s;
    int64_t id = 0;
    if (sqlite3_prepare_v2(db, query, -1, &s, NULL) == SQLITE_OK) {
        sqlite3_bind_text(s, 1, value, -1, SQLITE_STATIC);
        if (sqlite3_step(s) == SQLITE_ROW) id = sqlite3_column_int64(s, 0);
    }
    sqlite3_finalize(s);
    return id;
}

/* Adds a row for a run folder, or reconnects the row of a moved one. */
static void look_at_folder(sqlite3 *db, const char *base, const char *folder) {
    char *path = path_of(base, folder);
    run_about about = folder_about(path);
    free(path);
    if (!about.is_run || find_row(db, "SELECT id FROM runs WHERE folder = ?1 AND missing IS NOT 1", folder)) return;
    text key = { 0 };
    text_add(&key, "%s", about.id);
    int64_t moved = *about.id ? find_row(db, "SELECT id FROM runs WHERE key = ?1 AND missing = 1", about.id) : 0;
    if (!moved && (!*about.id || find_row(db, "SELECT id FROM runs WHERE key = ?1", about.id)))
        text_add(&key, "@%s", folder); /* a copy */
    bool ok = run(db, "DELETE FROM runs WHERE folder = ?1 AND id <> ?2", "ti", folder, moved);
    if (ok && moved) ok = run(db, "UPDATE runs SET folder = ?2, missing = 0 WHERE id = ?1", "it", moved, folder);
    if (ok && !moved) {
        ok = run(db,
                 "INSERT OR IGNORE INTO runs (folder, key, status, started, model) VALUES (?1, ?2, 'running', ?3, '')",
                 "ttt", folder, key.bytes, about.started);
        path = path_of(base, folder);
        if (ok) import_run(db, key.bytes, path, &about);
        free(path);
    }
    free(key.bytes);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void look_at_folders(sqlite3 *db, const char *runs, const char *base, const char *last) {
    DIR *dir = opendir(runs);
    char **names = NULL;
    size_t n = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        names = realloc(names, (n + 1) * sizeof *names);
        if (!names) exit(fail("out of memory"));
        names[n++] = duplicate(entry->d_name);
    }
    if (dir) closedir(dir);
    if (n) qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++) {
        text folder = { 0 };
        text_add(&folder, "%s/%s", last, names[i]);
        look_at_folder(db, base, folder.bytes);
        free(folder.bytes);
        free(names[i]);
    }
    free(names);
}

/* Splits the path of the runs folder into the folder above it and its name. */
static void split(const char *runs, text *base, text *last) {
    text_add(last, "%s", runs);
    while (last->length > 1 && last->bytes[last->length - 1] == '/') last->bytes[--last->length] = '\0';
    char *slash = strrchr(last->bytes, '/');
    const char *name = slash ? slash + 1 : last->bytes;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        char *real = realpath(runs, NULL);
        if (real) {
            last->length = 0;
            text_add(last, "%s", real);
            free(real);
        }
        slash = strrchr(last->bytes, '/');
    }
    if (slash)
        text_add(base, "%.*s", slash > last->bytes ? (int)(slash - last->bytes) : 1, last->bytes);
    else
        text_add(base, ".");
    if (slash) memmove(last->bytes, slash + 1, strlen(slash));
}

sqlite3 *history_open(const char *runs) {
    text base = { 0 }, last = { 0 };
    split(runs, &base, &last);
    sqlite3 *db = open_database(runs, base.bytes);
    if (db && look_at_rows(db, base.bytes)) {
        look_at_folders(db, runs, base.bytes, last.bytes);
    } else if (db) {
        tell(db);
        sqlite3_close(db);
        db = NULL;
    }
    free(base.bytes);
    free(last.bytes);
    return db;
}

void history_refresh(const char *folder) {
    run_about about = folder_about(folder);
    sqlite3 *db = *about.id && access(RUNS "/glia.db", F_OK) == 0 ? open_database(RUNS, ".") : NULL;
    if (!db) return;
    import_run(db, about.id, folder, &about);
    sqlite3_close(db);
}

/* ---- a run -------------------------------------------------------------------------------- */

static void give_up(history_log *log) {
    tell(log->db);
    sqlite3_close(log->db);
    log->db = NULL;
}

/* The row of a resumed run, as if it had not been interrupted; 0: there is none. */
static int64_t resume_row(sqlite3 *db, const history_about *about, const char *host) {
    int64_t id = find_row(db, "SELECT id FROM runs WHERE key = ?1", about->key);
    bool ok =
        run(db, "DELETE FROM runs WHERE folder = ?1 AND id <> ?2", "ti", about->folder, id) &&
        run(db, "DELETE FROM figures WHERE run = ?1", "i", id) &&
        run(db,
            "UPDATE runs SET folder = ?2, settings = ?3, status = 'running', host = ?4, process = ?5, seconds = NULL,"
            "  stamp = NULL, missing = 0 WHERE id = ?1",
            "ittti", id, about->folder, about->settings, host, (int64_t)getpid());
    return ok ? id : 0;
}

static int64_t new_row(sqlite3 *db, const history_about *about, const char *host) {
    bool ok = run(db, "DELETE FROM runs WHERE folder = ?1 OR key = ?2", "tt", about->folder, about->key) &&
              run(db,
                  "INSERT INTO runs (folder, model, data, started, status, host, process, settings, key)"
                  "  VALUES (?1, ?2, ?3, ?4, 'running', ?5, ?6, ?7, ?8)",
                  "tttttitt", about->folder, about->model, about->data, about->started, host, (int64_t)getpid(),
                  about->settings, about->key);
    return ok ? sqlite3_last_insert_rowid(db) : 0;
}

history_log *history_begin(const history_about *about) {
    if (mkdir(RUNS, 0777) != 0 && errno != EEXIST) {
        const bool expected = errno == EACCES || errno == EROFS; /* no write permission */
        if (!expected) fail("the run history cannot be written: %s: %s", RUNS, strerror(errno));
        return NULL;
    }
    sqlite3 *db = open_database(RUNS, ".");
    if (!db) return NULL;
    history_log *log = allocate(1, sizeof *log);
    log->db = db;
    char host[64];
    host_name(host);
    if (sql(db, "BEGIN IMMEDIATE")) {
        log->run = about->resumed ? resume_row(db, about, host) : 0;
        log->resumed = log->run != 0;
        if (!log->run) log->run = new_row(db, about, host);
        if (log->run && sql(db, "COMMIT")) return log;
    }
    give_up(log);
    free(log);
    return NULL;
}

static bool add_figures(history_log *log, int64_t epoch, const glia_value *figures, int n) {
    for (int i = 0; i < n; i++) {
        if (!isfinite(figures[i].value)) continue;
        bool ok = epoch ? run(log->db, "INSERT OR IGNORE INTO epochs VALUES (?1, ?2, ?3, ?4)", "iitr", log->run, epoch,
                              figures[i].name, figures[i].value)
                        : run(log->db, "INSERT OR REPLACE INTO figures VALUES (?1, ?2, ?3)", "itr", log->run,
                              figures[i].name, figures[i].value);
        if (!ok) return false;
    }
    return true;
}

static void log_epoch(history_log *log, int64_t epoch, const glia_value *figures, int n, double seconds) {
    if (!log || !log->db) return;
    bool ok = sql(log->db, "BEGIN IMMEDIATE");
    if (ok && log->resumed)
        ok = run(log->db, "DELETE FROM epochs WHERE run = ?1 AND epoch >= ?2", "ii", log->run, epoch);
    log->resumed = false;
    ok = ok && add_figures(log, epoch, figures, n) && add_figures(log, epoch, &(glia_value){ "seconds", seconds }, 1) &&
         sql(log->db, "COMMIT");
    if (!ok) give_up(log);
}

void history_epoch(history_log *log, int64_t epoch, const glia_value *figures, int n) {
    if (!log || !log->db) return;
    if (!sql(log->db, "BEGIN IMMEDIATE") || !add_figures(log, epoch, figures, n) || !sql(log->db, "COMMIT"))
        give_up(log);
}

void history_end(history_log *log, const char *status, double seconds, const glia_value *figures, int n) {
    if (!log) return;
    if (log->db) {
        bool ok =
            sql(log->db, "BEGIN IMMEDIATE") && add_figures(log, 0, figures, n) &&
            run(log->db, "UPDATE runs SET status = ?1, seconds = ?2 WHERE id = ?3", "tri", status, seconds, log->run) &&
            sql(log->db, "COMMIT");
        if (!ok) give_up(log);
    }
    sqlite3_close(log->db);
    free(log);
}

#else

static void log_epoch(history_log *log, int64_t epoch, const glia_value *figures, int n, double seconds) {
    (void)log, (void)epoch, (void)figures, (void)n, (void)seconds;
}

void history_refresh(const char *folder) { (void)folder; }

history_log *history_begin(const history_about *about) {
    (void)about;
    return NULL;
}

void history_epoch(history_log *log, int64_t epoch, const glia_value *figures, int n) {
    (void)log, (void)epoch, (void)figures, (void)n;
}

void history_end(history_log *log, const char *status, double seconds, const glia_value *figures, int n) {
    (void)log, (void)status, (void)seconds, (void)figures, (void)n;
}

#endif
