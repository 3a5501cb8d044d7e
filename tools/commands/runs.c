/* runs.c - `glia runs`: lists the runs, compares them, finds the best one. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runs/history.h"
#include "terminal/options.h"

typedef struct request {
    const char *folder, *by, *model, *data;
    int64_t last;
    bool json;
} request;

static int read_request(request *r, int argc, char **argv, int *n) {
    const option table[] = {
        { .help = "`glia runs` lists the runs; `glia runs compare A B ...` compares runs; `glia runs best`" },
        { .help = "finds the best one. A run is given by its number in the list, its folder or the folder's name." },
        { .help = "options" },
        { "by", OPTION_TEXT, &r->by, "FIGURE", "metric: val_accuracy, val_loss, test_accuracy, ...", 0, 0 },
        { "model", OPTION_TEXT, &r->model, "NAME", "only runs of this model", 0, 0 },
        { "data", OPTION_TEXT, &r->data, "DATA", "only runs on this dataset", 0, 0 },
        { "last", OPTION_INT, &r->last, "N", "list the last N (all)", 1, 1e9 },
        { "folder", OPTION_TEXT, &r->folder, "FOLDER", "folder of the runs (runs)", 0, 0 },
        { "json", OPTION_FLAG, &r->json, NULL, "print a JSON array of objects", 0, 0 },
    };
    const options what = { "runs", table, sizeof table / sizeof table[0], 0, -1, NULL };
    return options_parse(&what, argc, argv, n);
}

#ifdef GLIA_HAVE_SQLITE

#include <sqlite3.h>

/* ---- queries ----------------------------------------------------------------------------- */

/* The best value of each figure of a run: over its epochs, and of the whole run. */
static const char best_view[] =
    "CREATE TEMP VIEW best AS"
    "  SELECT run, name, iif(larger_is_better(name), max(value), min(value)) AS value FROM epochs"
    "  WHERE name NOT IN ('lr', 'seconds') GROUP BY run, name"
    "  UNION ALL SELECT run, name, value FROM figures";

/* ?1: the model, ?2: the data, or NULL. */
#define ASKED "(?1 IS NULL OR model = ?1) AND (?2 IS NULL OR data = ?2 OR data LIKE ?2 || '?%')"

static int broken(sqlite3 *db) { return fail("run history: %s", sqlite3_errmsg(db)); }

static sqlite3_stmt *prepare(sqlite3 *db, const char *statement) {
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(db, statement, -1, &s, NULL) != SQLITE_OK) broken(db);
    return s;
}

static void bind_text(sqlite3_stmt *s, int place, const char *value) {
    sqlite3_bind_text(s, place, value, -1, SQLITE_STATIC);
}

static char *column(sqlite3_stmt *s, int i) {
    const unsigned char *value = sqlite3_column_text(s, i);
    return value ? duplicate((const char *)value) : NULL;
}

/* Runs, newest last. */
typedef struct chosen {
    int64_t *ids;
    int n;
} chosen;

static void choose(chosen *c, int64_t id) {
    c->ids = realloc(c->ids, ((size_t)c->n + 1) * sizeof *c->ids);
    if (!c->ids) exit(fail("out of memory"));
    c->ids[c->n++] = id;
}

/* The value of a metric of a run; NaN: none. */
static double figure(sqlite3 *db, int64_t id, const char *name) {
    sqlite3_stmt *s = prepare(db, "SELECT value FROM best WHERE run = ?1 AND name = ?2");
    if (!s) return NAN;
    sqlite3_bind_int64(s, 1, id);
    bind_text(s, 2, name);
    double value = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_double(s, 0) : NAN;
    sqlite3_finalize(s);
    return value;
}

/* The first of these names that any run has; the last one if none. */
static const char *usual_figure(sqlite3 *db, const chosen *c, const char *const *names, int n) {
    for (int k = 0; k < n - 1; k++) {
        for (int i = 0; i < c->n; i++) {
            if (!isnan(figure(db, c->ids[i], names[k]))) return names[k];
        }
    }
    return names[n - 1];
}

static const char *of_validation(sqlite3 *db, const chosen *c) {
    return usual_figure(db, c, (const char *const[]){ "val_accuracy", "val_loss", "accuracy", "loss" }, 4);
}

static const char *of_test(sqlite3 *db, const chosen *c) {
    return usual_figure(db, c, (const char *const[]){ "test_accuracy", "test_loss" }, 2);
}

/* ---- objects ------------------------------------------------------------------------------ */

static int print_json(sqlite3 *db, const chosen *c) {
    sqlite3_stmt *s =
        prepare(db, "SELECT json_object('id', id, 'run', folder, 'model', model, 'data', data, 'started', started,"
                    "  'seconds', seconds, 'status', status, 'epochs_done', epochs, 'options', json(settings), 'best',"
                    "  (SELECT json_group_object(name, value) FROM best WHERE run = id),"
                    "  'epochs', (SELECT json_group_array(json(o)) FROM (SELECT json_patch(json_object('epoch', "
                    "epoch), json_group_object(name, value)) AS o"
                    "    FROM epochs WHERE run = id GROUP BY epoch ORDER BY epoch)))"
                    " FROM seen WHERE id = ?1");
    if (!s) return EXIT_FAILED;
    fputs("[", stdout);
    for (int i = 0; i < c->n; i++) {
        sqlite3_reset(s);
        sqlite3_bind_int64(s, 1, c->ids[i]);
        if (sqlite3_step(s) == SQLITE_ROW) printf("%s%s", i ? ",\n " : "", (const char *)sqlite3_column_text(s, 0));
    }
    fputs("]\n", stdout);
    sqlite3_finalize(s);
    return EXIT_OK;
}

/* ---- a table that fits -------------------------------------------------------------------- */

enum { COLUMNS = 10, GAP = 2, NARROWEST = 8 };

typedef struct column_of {
    const char *title;
    int keep; /* columns with a lower value are dropped first */
    bool right;
    int width;
} column_of;

typedef struct table {
    column_of columns[COLUMNS];
    int n_columns;
    char **cells; /* rows of n_columns; NULL: empty */
    int n_rows;
} table;

/* Characters of UTF-8. */
static int width_of(const char *s) {
    int n = 0;
    for (; s && *s; s++) n += (*s & 0xC0) != 0x80;
    return n;
}

/* Prints the text in `width` places; what is too long loses its beginning, for folders differ in their ends. */
static void print_cell(const char *s, int width, bool right, bool last) {
    int length = width_of(s);
    const char *mark = terminal_utf8() ? "\xe2\x80\xa6" : "~"; /* U+2026 */
    if (length > width) {
        for (int skip = length - width + 1; skip > 0; s++) skip -= (s[1] & 0xC0) != 0x80;
        printf("%s%s", width > 0 ? mark : "", width > 0 ? s : "");
    } else {
        int pad = width - length;
        printf("%*s%s%*s", right ? pad : 0, "", s ? s : "", right || last ? 0 : pad, "");
    }
}

static int total_width(const table *t) {
    int total = -GAP;
    for (int k = 0; k < t->n_columns; k++) {
        if (t->columns[k].width) total += t->columns[k].width + GAP;
    }
    return total;
}

/* Drops columns, then shortens the widest, until the lines fit; empty columns are dropped first. */
static void fit(table *t, int room) {
    for (int k = 0; k < t->n_columns; k++) {
        int widest = 0;
        for (int i = 0; i < t->n_rows; i++) {
            int width = width_of(t->cells[i * t->n_columns + k]);
            widest = width > widest ? width : widest;
        }
        int title = width_of(t->columns[k].title);
        t->columns[k].width = !widest ? 0 : widest > title ? widest : title;
    }
    while (total_width(t) > room) {
        column_of *least = NULL, *widest = NULL;
        for (column_of *c = t->columns; c < t->columns + t->n_columns; c++) {
            if (c->width && c->keep < 100 && (!least || c->keep < least->keep)) least = c;
            if (c->width && (!widest || c->width > widest->width)) widest = c;
        }
        int over = total_width(t) - room;
        if (least) {
            least->width = 0;
        } else if (widest && widest->width > NARROWEST) {
            int narrow = widest->width - over;
            widest->width = narrow > NARROWEST ? narrow : NARROWEST;
        } else {
            break;
        }
    }
}

static void print_table(table *t) {
    fit(t, isatty(STDOUT_FILENO) ? terminal_columns() : 1 << 20);
    int last = 0;
    for (int k = 0; k < t->n_columns; k++) last = t->columns[k].width ? k : last;
    for (int i = -1; i < t->n_rows; i++) {
        for (int k = 0; k < t->n_columns; k++) {
            const column_of *c = &t->columns[k];
            if (!c->width) continue;
            print_cell(i < 0 ? c->title : t->cells[i * t->n_columns + k], c->width, c->right, k == last);
            if (k < last) printf("%*s", GAP, "");
        }
        printf("\n");
    }
    for (int i = 0; i < t->n_rows * t->n_columns; i++) free(t->cells[i]);
    free(t->cells);
}

/* With at most five digits, fewer if the column is narrow. */
static char *number(double value, int room) {
    if (isnan(value)) return NULL;
    text t = { 0 };
    for (int digits = 5; digits > 0; digits--) {
        t.length = 0;
        text_add(&t, "%.*g", digits, value);
        if (t.length <= (size_t)room) break;
    }
    return t.bytes;
}

/* ---- the list ----------------------------------------------------------------------------- */

static void fill_row(sqlite3 *db, sqlite3_stmt *s, char **cells, const char *by, const char *test) {
    for (int i = 0; i < 6; i++) cells[i] = column(s, i); /* id, folder, status, model, data, started */
    cells[6] = column(s, 6);
    char time[SHORT];
    cells[7] = sqlite3_column_type(s, 7) == SQLITE_NULL ? NULL : duplicate(duration(sqlite3_column_double(s, 7), time));
    cells[8] = number(figure(db, sqlite3_column_int64(s, 0), by), SHORT);
    cells[9] = number(figure(db, sqlite3_column_int64(s, 0), test), SHORT);
}

static int print_list(sqlite3 *db, const chosen *c, const char *by) {
    if (!by) by = of_validation(db, c);
    const char *test = of_test(db, c);
    table t = { .columns = { { "#", 100, true, 0 },
                             { "run", 100, false, 0 },
                             { "status", 60, false, 0 },
                             { "model", 30, false, 0 },
                             { "data", 10, false, 0 },
                             { "started", 20, false, 0 },
                             { "epochs", 40, true, 0 },
                             { "time", 35, true, 0 },
                             { by, 70, true, 0 },
                             { strcmp(by, test) ? test : "", 50, true, 0 } },
                .n_columns = COLUMNS,
                .n_rows = c->n };
    sqlite3_stmt *s =
        prepare(db, "SELECT id, folder, status, model, data, started, epochs, seconds FROM seen WHERE id = ?1");
    if (!s) return EXIT_FAILED;
    t.cells = allocate((size_t)(c->n * COLUMNS), sizeof *t.cells);
    for (int i = 0; i < c->n; i++) {
        sqlite3_reset(s);
        sqlite3_bind_int64(s, 1, c->ids[i]);
        if (sqlite3_step(s) == SQLITE_ROW) fill_row(db, s, t.cells + i * COLUMNS, by, strcmp(by, test) ? test : "");
    }
    sqlite3_finalize(s);
    print_table(&t);
    return EXIT_OK;
}

static int list(sqlite3 *db, const request *r) {
    sqlite3_stmt *s = prepare(db, "SELECT id FROM (SELECT id, started FROM seen WHERE " ASKED
                                  "  ORDER BY started DESC, id DESC LIMIT ?3) ORDER BY started, id");
    if (!s) return EXIT_FAILED;
    bind_text(s, 1, r->model);
    bind_text(s, 2, r->data);
    sqlite3_bind_int64(s, 3, r->last ? r->last : -1);
    chosen c = { 0 };
    while (sqlite3_step(s) == SQLITE_ROW) choose(&c, sqlite3_column_int64(s, 0));
    sqlite3_finalize(s);
    int status = EXIT_OK;
    if (r->json) {
        status = print_json(db, &c);
    } else if (c.n == 0) {
        printf("no runs in %s; start one with `glia train`\n", r->folder);
    } else {
        status = print_list(db, &c, r->by);
    }
    free(c.ids);
    return status;
}

/* ---- the best ----------------------------------------------------------------------------- */

static int best(sqlite3 *db, const request *r) {
    const char *const usual[] = { "val_accuracy", "val_loss", "accuracy", "loss" };
    chosen c = { 0 };
    const char *by = r->by;
    for (int k = 0; k < 4 && c.n == 0; k++) {
        by = r->by ? r->by : usual[k];
        sqlite3_stmt *s = prepare(db, "SELECT id FROM seen JOIN best ON run = id AND name = ?3 WHERE " ASKED
                                      "  ORDER BY iif(larger_is_better(?3), -value, value), id LIMIT ?4");
        if (!s) return EXIT_FAILED;
        bind_text(s, 1, r->model);
        bind_text(s, 2, r->data);
        bind_text(s, 3, by);
        sqlite3_bind_int64(s, 4, r->last ? r->last : 1);
        while (sqlite3_step(s) == SQLITE_ROW) choose(&c, sqlite3_column_int64(s, 0));
        sqlite3_finalize(s);
    }
    int status = c.n == 0 ? fail("no run has metric %s", by) : r->json ? print_json(db, &c) : print_list(db, &c, by);
    free(c.ids);
    return status;
}

/* ---- side by side ------------------------------------------------------------------------- */

/* The run with this number, folder or folder name; 0 after an error message. */
static int64_t find_run(sqlite3 *db, const char *name) {
    sqlite3_stmt *s = prepare(db, "SELECT id FROM seen WHERE id = ?1 OR folder = rtrim(?1, '/')"
                                  "  OR folder LIKE '%/' || rtrim(?1, '/') ORDER BY id = ?1 DESC, id DESC");
    if (!s) return 0;
    bind_text(s, 1, name);
    int64_t id = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
    sqlite3_finalize(s);
    if (!id) fail("no run \"%s\"; `glia runs` lists them", name);
    return id;
}

/* The distinct names returned by a query (?1: the run) over all runs, in order of appearance. */
static char **gather(sqlite3 *db, const chosen *c, const char *query, int *n) {
    char **names = NULL;
    *n = 0;
    sqlite3_stmt *s = prepare(db, query);
    for (int i = 0; s && i < c->n; i++) {
        sqlite3_reset(s);
        sqlite3_bind_int64(s, 1, c->ids[i]);
        while (sqlite3_step(s) == SQLITE_ROW) {
            const char *name = (const char *)sqlite3_column_text(s, 0);
            bool known = !name;
            for (int k = 0; k < *n && !known; k++) known = strcmp(names[k], name) == 0;
            if (known) continue;
            names = realloc(names, ((size_t)*n + 1) * sizeof *names);
            if (!names) exit(fail("out of memory"));
            names[(*n)++] = duplicate(name);
        }
    }
    sqlite3_finalize(s);
    return names;
}

static void forget(char **names, int n) {
    for (int i = 0; i < n; i++) free(names[i]);
    free(names);
}

static char *setting(sqlite3 *db, int64_t id, const char *name) {
    sqlite3_stmt *s = prepare(db, "SELECT coalesce(value, '-') FROM (SELECT 'model' AS key, model AS value FROM runs"
                                  " WHERE id = ?1 UNION ALL SELECT 'data', data FROM runs WHERE id = ?1 UNION ALL"
                                  " SELECT substr(t.fullkey, 3), t.atom FROM runs, json_tree(settings) AS t"
                                  " WHERE runs.id = ?1 AND t.type NOT IN ('object', 'array')) WHERE key = ?2");
    if (!s) return NULL;
    sqlite3_bind_int64(s, 1, id);
    bind_text(s, 2, name);
    char *value = sqlite3_step(s) == SQLITE_ROW ? column(s, 0) : duplicate("-");
    sqlite3_finalize(s);
    return value;
}

/* The width of a run's column so that all fit beside the names. */
static int run_width(int runs, int names) {
    int room = isatty(STDOUT_FILENO) ? terminal_columns() : 100;
    int width = (room - names) / (runs > 0 ? runs : 1) - GAP;
    return width < 4 ? 4 : width > 24 ? 24 : width;
}

static void print_row(const char *name, char **values, int n, int names, int width) {
    printf("  ");
    print_cell(name, names - 2, false, false);
    for (int i = 0; i < n; i++) {
        printf("%*s", GAP, "");
        print_cell(values[i] ? values[i] : "-", width, false, i + 1 == n);
        free(values[i]);
    }
    printf("\n");
}

/* The width of the column of names: the longest name, at most a third of the line. */
static int name_width(char **names, int n) {
    int most = 8, room = isatty(STDOUT_FILENO) ? terminal_columns() / 3 : 26;
    for (int i = 0; i < n; i++) most = width_of(names[i]) > most ? width_of(names[i]) : most;
    room = room < 8 ? 8 : room > 26 ? 26 : room;
    return most + 2 < room ? most + 2 : room;
}

/* The runs' numbers above their columns. */
static void print_heads(const char *title, const chosen *c, int left, int width) {
    char **heads = allocate((size_t)c->n, sizeof *heads);
    printf("%s\n", title);
    for (int i = 0; i < c->n; i++) {
        text t = { 0 };
        text_add(&t, "#%lld", (long long)c->ids[i]);
        heads[i] = t.bytes;
    }
    print_row("", heads, c->n, left, width);
    free(heads);
}

static void print_settings(sqlite3 *db, const chosen *c) {
    int n, differ = 0;
    char **names = gather(db, c,
                          "SELECT 'model' UNION ALL SELECT 'data' UNION ALL SELECT substr(t.fullkey, 3) FROM runs,"
                          " json_tree(settings) AS t WHERE runs.id = ?1 AND t.type NOT IN ('object', 'array')",
                          &n);
    int left = name_width(names, n), width = run_width(c->n, left);
    print_heads("differing settings", c, left, width);
    for (int k = 0; k < n; k++) {
        char **values = allocate((size_t)c->n, sizeof *values);
        bool same = true;
        for (int i = 0; i < c->n; i++) {
            values[i] = setting(db, c->ids[i], names[k]);
            same = same && values[i] && values[0] && strcmp(values[i], values[0]) == 0;
        }
        if (!same) print_row(names[k], values, c->n, left, width);
        for (int i = 0; same && i < c->n; i++) free(values[i]);
        free(values);
        differ += !same;
    }
    if (!differ) printf("  none\n");
    forget(names, n);
}

static const char figure_names[] = "SELECT DISTINCT name FROM best WHERE run = ?1 ORDER BY name LIKE 'test%',"
                                   " NOT name LIKE 'val%', name";

static void print_figures(sqlite3 *db, const chosen *c) {
    int n;
    char **names = gather(db, c, figure_names, &n);
    int left = name_width(names, n), width = run_width(c->n, left);
    print_heads("\nbest metrics", c, left, width);
    for (int k = 0; k < n; k++) {
        char **values = allocate((size_t)c->n, sizeof *values);
        for (int i = 0; i < c->n; i++) values[i] = number(figure(db, c->ids[i], names[k]), width);
        print_row(names[k], values, c->n, left, width);
        free(values);
    }
    forget(names, n);
}

/* ---- curves ------------------------------------------------------------------------------- */

typedef struct curve {
    double *values; /* of epochs 1 .. n; NaN: none */
    int64_t n;
} curve;

static curve read_curve(sqlite3 *db, int64_t id, const char *name) {
    curve c = { 0 };
    sqlite3_stmt *s = prepare(db, "SELECT epoch, value FROM epochs WHERE run = ?1 AND name = ?2 ORDER BY epoch");
    if (!s) return c;
    sqlite3_bind_int64(s, 1, id);
    bind_text(s, 2, name);
    while (sqlite3_step(s) == SQLITE_ROW) {
        int64_t epoch = sqlite3_column_int64(s, 0);
        if (epoch <= c.n || epoch > 10000000) continue;
        c.values = realloc(c.values, (size_t)epoch * sizeof *c.values);
        if (!c.values) exit(fail("out of memory"));
        while (c.n < epoch) c.values[c.n++] = NAN;
        c.values[epoch - 1] = sqlite3_column_double(s, 1);
    }
    sqlite3_finalize(s);
    return c;
}

/* A sparkline: one block per group of epochs; `epochs` fill `width`. */
static void print_curve(const curve *c, int64_t epochs, int width, double low, double high) {
    static const char *const blocks[] = { "\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83", "\xe2\x96\x84",
                                          "\xe2\x96\x85", "\xe2\x96\x86", "\xe2\x96\x87", "\xe2\x96\x88" };
    static const char *const ascii[] = { "_", ".", "-", "~", "=", "+", "*", "#" };
    const char *const *marks = terminal_utf8() ? blocks : ascii;
    int64_t places = epochs < width ? epochs : width;
    for (int64_t p = 0; p < places; p++) {
        double total = 0;
        int64_t n = 0;
        for (int64_t e = p * epochs / places; e < (p + 1) * epochs / places; e++) {
            if (e >= c->n || isnan(c->values[e])) continue;
            total += c->values[e];
            n++;
        }
        int level = n && high > low ? (int)((total / (double)n - low) / (high - low) * 7.999) : 0;
        fputs(n ? marks[level] : " ", stdout);
    }
    printf("\n");
}

static void print_curves_of(sqlite3 *db, const chosen *c, const char *name) {
    curve *curves = allocate((size_t)c->n, sizeof *curves);
    double low = INFINITY, high = -INFINITY;
    int64_t epochs = 0;
    for (int i = 0; i < c->n; i++) {
        curves[i] = read_curve(db, c->ids[i], name);
        epochs = curves[i].n > epochs ? curves[i].n : epochs;
        for (int64_t e = 0; e < curves[i].n; e++) {
            low = fmin(low, curves[i].values[e]);
            high = fmax(high, curves[i].values[e]);
        }
    }
    int room = isatty(STDOUT_FILENO) ? terminal_columns() : 80;
    printf("\n%s, %.4g to %.4g\n", name, low, high);
    for (int i = 0; i < c->n; i++) {
        printf("  #%-4lld ", (long long)c->ids[i]);
        print_curve(&curves[i], epochs, room > 20 ? room - 9 : 11, low, high);
        free(curves[i].values);
    }
    free(curves);
}

static void print_curves(sqlite3 *db, const chosen *c) {
    int n;
    char **names = gather(db, c,
                          "SELECT DISTINCT name FROM epochs WHERE run = ?1 AND name NOT IN ('seconds', 'lr')"
                          "  ORDER BY NOT name LIKE 'val%', name",
                          &n);
    for (int k = 0; k < n; k++) print_curves_of(db, c, names[k]);
    forget(names, n);
}

static int compare(sqlite3 *db, const request *r, char **names, int n) {
    chosen c = { 0 };
    for (int i = 0; i < n; i++) {
        int64_t id = find_run(db, names[i]);
        if (!id) {
            free(c.ids);
            return EXIT_FAILED;
        }
        choose(&c, id);
    }
    int status = r->json ? print_json(db, &c) : print_list(db, &c, r->by);
    if (!r->json && status == EXIT_OK) {
        printf("\n");
        print_settings(db, &c);
        print_figures(db, &c);
        print_curves(db, &c);
    }
    free(c.ids);
    return status;
}

/* ---- the command -------------------------------------------------------------------------- */

static int answer(const request *r, char **words, int n) {
    const char *const verbs[] = { "list", "compare", "best" };
    const char *verb = n ? words[0] : "list";
    bool comparing = strcmp(verb, "compare") == 0, finding = strcmp(verb, "best") == 0;
    if (!comparing && !finding && strcmp(verb, "list") != 0) {
        const char *near = glia_name_nearest(verb, verbs, 3);
        return misuse("unknown subcommand \"%s\"%s%s%s; runs has list, compare and best", verb,
                      near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    if (comparing && n < 3) return misuse("runs compare needs two runs or more; `glia runs` lists them");
    if (!comparing && n > 1) return misuse("runs %s takes no argument \"%s\"", verb, words[1]);
    if (access(r->folder, F_OK) != 0) return fail("no folder %s; `glia train` creates it", r->folder);
    sqlite3 *db = history_open(r->folder);
    if (!db) return EXIT_FAILED;
    int status = EXIT_FAILED;
    if (sqlite3_exec(db, best_view, NULL, NULL, NULL) != SQLITE_OK) {
        status = broken(db);
    } else {
        status = comparing ? compare(db, r, words + 1, n - 1) : finding ? best(db, r) : list(db, r);
    }
    sqlite3_close(db);
    return status;
}

#else

static int answer(const request *r, char **words, int n) {
    (void)r, (void)words, (void)n;
    return fail("this build of Glia has no SQLite and so no run history");
}

#endif

int command_runs(int argc, char **argv) {
    request r = { .folder = "runs" };
    int n, status = read_request(&r, argc, argv, &n);
    return status >= 0 ? status : answer(&r, argv + 1, n);
}
