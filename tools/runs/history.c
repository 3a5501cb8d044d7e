/* history.c - keeping the history of runs.
 *
 * Every call is one transaction in SQLite's write-ahead log, so readers never wait and a kill leaves what was complete.
 * Making the tables and filling them from run.json files is one transaction too, guarded by the file's user_version: of
 * several programs that begin at once one does it.
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

static glia_status watch_epoch(const glia_progress *now, void *context, glia_error *error) {
    (void)error;
    const glia_value seconds = { "seconds", now->train.seconds };
    history_epoch(context, now->epoch, now->values, now->n_values);
    history_epoch(context, now->epoch, &seconds, 1);
    return GLIA_OK;
}

glia_callback history_watch(history_log *log) {
    return (glia_callback){ .name = "history", .context = log, .epoch_end = log ? watch_epoch : NULL };
}

#ifdef GLIA_HAVE_SQLITE

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUNS "runs"
enum { PATIENCE = 10000 }; /* milliseconds to wait for another writer */

struct history_log {
    sqlite3 *db;
    int64_t run;
};

static const char tables[] =
    "CREATE TABLE runs (id INTEGER PRIMARY KEY, folder TEXT UNIQUE, model TEXT, data TEXT, started TEXT, seconds REAL,"
    "                   status TEXT, host TEXT, process INTEGER, settings TEXT);"
    "CREATE TABLE epochs (run INTEGER REFERENCES runs ON DELETE CASCADE, epoch INTEGER, name TEXT, value REAL,"
    "                     PRIMARY KEY (run, epoch, name)) WITHOUT ROWID;"
    "CREATE TABLE figures (run INTEGER REFERENCES runs ON DELETE CASCADE, name TEXT, value REAL,"
    "                      PRIMARY KEY (run, name)) WITHOUT ROWID;"
    "PRAGMA user_version = 1;";

/* ?1: a run's folder, ?2: its run.json. */
static const char *const imports[] = {
    "INSERT OR IGNORE INTO runs (folder, model, data, started, seconds, status, settings)"
    "  SELECT ?1, ?2 ->> '$.model', ?2 ->> '$.data', ?2 ->> '$.started', ?2 ->> '$.seconds',"
    "         ?2 ->> '$.state', ?2 -> '$.options'",
    "INSERT OR IGNORE INTO epochs"
    "  SELECT runs.id, e.value ->> '$.epoch', iif(f.path = '$.validation', 'val_', '') || f.key, f.atom"
    "  FROM runs, json_each(?2, '$.epochs') AS e, json_tree(e.value) AS f"
    "  WHERE folder = ?1 AND f.type IN ('real', 'integer') AND f.key NOT IN ('epoch', 'samples')",
    "INSERT OR IGNORE INTO figures"
    "  SELECT runs.id, 'test_' || f.key, f.atom FROM runs, json_each(?2, '$.test') AS f"
    "  WHERE folder = ?1 AND f.type IN ('real', 'integer') AND f.key <> 'samples'",
};

/* ---- statements --------------------------------------------------------------------------- */

static int tell(sqlite3 *db) {
    const char *path = db ? sqlite3_db_filename(db, "main") : NULL;
    bool damaged = db && (sqlite3_errcode(db) == SQLITE_NOTADB || sqlite3_errcode(db) == SQLITE_CORRUPT);
    return fail("the history of runs, %s: %s%s", path ? path : "glia.db", db ? sqlite3_errmsg(db) : "memory ran out",
                damaged ? "; without that file it is made again from the run folders" : "");
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

/* ---- what SQL is taught --------------------------------------------------------------------- */

static void larger_is_better(sqlite3_context *context, int n, sqlite3_value **values) {
    (void)n;
    const char *name = (const char *)sqlite3_value_text(values[0]);
    sqlite3_result_int(context, name && history_larger_is_better(name));
}

static void host_name(char host[64]) {
    memset(host, 0, 64);
    if (gethostname(host, 63) != 0 || !*host) strcpy(host, "localhost");
}

/* alive(HOST, PROCESS): of another machine nobody knows, so it is believed. */
static void alive(sqlite3_context *context, int n, sqlite3_value **values) {
    (void)n;
    char here[64];
    host_name(here);
    const char *host = (const char *)sqlite3_value_text(values[0]);
    pid_t process = (pid_t)sqlite3_value_int64(values[1]);
    bool other = host && strcmp(host, here) != 0;
    sqlite3_result_int(context, other || (process > 0 && (kill(process, 0) == 0 || errno == EPERM)));
}

static bool teach(sqlite3 *db) {
    return sqlite3_create_function(db, "larger_is_better", 1, SQLITE_UTF8, NULL, larger_is_better, NULL, NULL) ==
               SQLITE_OK &&
           sqlite3_create_function(db, "alive", 2, SQLITE_UTF8, NULL, alive, NULL, NULL) == SQLITE_OK &&
           sql(db, "CREATE TEMP VIEW seen AS SELECT id, folder, model, data, started, seconds, settings,"
                   "  iif(status = 'running' AND NOT alive(host, process), 'unfinished', status) AS status,"
                   "  (SELECT max(epoch) FROM epochs WHERE run = id) AS epochs FROM runs");
}

/* ---- opening ------------------------------------------------------------------------------ */

/* The whole file; NULL: there is none. To be freed. */
static char *read_whole(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    text content = { 0 };
    char piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;) text_append(&content, piece, n);
    fclose(file);
    return content.bytes;
}

/* A run.json that cannot be read is passed over. */
static void import_run(sqlite3 *db, const char *folder) {
    text path = { 0 };
    text_add(&path, "%s/run.json", folder);
    char *json = read_whole(path.bytes);
    for (size_t i = 0; json && i < sizeof imports / sizeof imports[0]; i++) {
        if (!run(db, imports[i], "tt", folder, json)) break;
    }
    free(json);
    free(path.bytes);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void import_all(sqlite3 *db, const char *runs) {
    DIR *dir = opendir(runs);
    char **names = NULL;
    size_t n = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        names = realloc(names, (n + 1) * sizeof *names);
        if (!names) exit(fail("memory ran out"));
        names[n++] = duplicate(entry->d_name);
    }
    if (dir) closedir(dir);
    if (n) qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++) {
        text folder = { 0 };
        text_add(&folder, "%s/%s", runs, names[i]);
        import_run(db, folder.bytes);
        free(folder.bytes);
        free(names[i]);
    }
    free(names);
}

/* Makes and fills the tables of a new file. */
static bool make_tables(sqlite3 *db, const char *runs) {
    if (user_version(db) > 0) return true;
    if (!sql(db, "BEGIN IMMEDIATE")) return false;
    bool ok = user_version(db) > 0;
    if (!ok && sql(db, tables)) {
        import_all(db, runs);
        ok = true;
    }
    return sql(db, ok ? "COMMIT" : "ROLLBACK") && ok;
}

sqlite3 *history_open(const char *runs) {
    text path = { 0 };
    text_add(&path, "%s/glia.db", runs);
    sqlite3 *db = NULL;
    bool ok = sqlite3_open_v2(path.bytes, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) == SQLITE_OK;
    free(path.bytes);
    if (ok) {
        sqlite3_busy_timeout(db, PATIENCE);
        ok = sql(db, "PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON") && make_tables(db, runs) && teach(db);
    }
    if (ok) return db;
    tell(db);
    sqlite3_close(db);
    return NULL;
}

/* ---- a run -------------------------------------------------------------------------------- */

static void give_up(history_log *log) {
    tell(log->db);
    sqlite3_close(log->db);
    log->db = NULL;
}

history_log *history_begin(const history_about *about) {
    if (mkdir(RUNS, 0777) != 0 && errno != EEXIST) return NULL; /* a folder that is not ours to write in */
    sqlite3 *db = history_open(RUNS);
    if (!db) return NULL;
    history_log *log = allocate(1, sizeof *log);
    log->db = db;
    char host[64];
    host_name(host);
    bool ok = sql(db, "BEGIN IMMEDIATE") && run(db, "DELETE FROM runs WHERE folder = ?1", "t", about->folder) &&
              run(db,
                  "INSERT INTO runs (folder, model, data, started, status, host, process, settings)"
                  "  VALUES (?1, ?2, ?3, ?4, 'running', ?5, ?6, ?7)",
                  "tttttit", about->folder, about->model, about->data, about->started, host, (int64_t)getpid(),
                  about->settings);
    log->run = sqlite3_last_insert_rowid(db);
    if (ok && sql(db, "COMMIT")) return log;
    give_up(log);
    free(log);
    return NULL;
}

static bool add_figures(history_log *log, int64_t epoch, const glia_value *figures, int n) {
    for (int i = 0; i < n; i++) {
        if (!isfinite(figures[i].value)) continue;
        bool ok = epoch ? run(log->db, "INSERT OR REPLACE INTO epochs VALUES (?1, ?2, ?3, ?4)", "iitr", log->run, epoch,
                              figures[i].name, figures[i].value)
                        : run(log->db, "INSERT OR REPLACE INTO figures VALUES (?1, ?2, ?3)", "itr", log->run,
                              figures[i].name, figures[i].value);
        if (!ok) return false;
    }
    return true;
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
