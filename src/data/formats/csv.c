/* csv.c - tables of numbers with a class or a value in each row (RFC 4180).
 *
 * Three passes over the text, which allocate only their results: the first line determines the separator, the first two
 * rows determine the header and the number of columns, and then all rows are converted to numbers. Label words are
 * interned in a hash table and numbered at the end in byte order, so the classes do not depend on the order of the
 * rows.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/formats/formats.h"

enum { CLASS_MOST = 65535, COLUMNS_MOST = 1 << 20 };

/* ---- fields ------------------------------------------------------------------------------- */

typedef struct scan {
    const char *text;
    size_t length, at;
    char separator;
    int64_t line;      /* of `at`, from 1 */
    glia_text scratch; /* a quoted field, unescaped */
    glia_error *error;
} scan;

typedef struct field {
    const char *text, *end; /* valid until the next field */
    int64_t line;
    int column;        /* from 1 */
    bool quoted, last; /* the last of its row */
} field;

static glia_status fail_in(const scan *s, const field *f, const char *what) {
    return glia_fail(s->error, GLIA_E_FORMAT, "line %lld, column %d (offset %zu): %s", (long long)f->line, f->column,
                     s->at, what);
}

/* Skips a line break at s->at; false if there is none. The end of the text counts as one. */
static bool line_break(scan *s) {
    if (s->at == s->length) return true;
    size_t n = s->text[s->at] == '\n'                                                          ? 1
               : s->length - s->at > 1 && s->text[s->at] == '\r' && s->text[s->at + 1] == '\n' ? 2
                                                                                               : 0;
    s->at += n;
    s->line += n > 0;
    return n > 0;
}

/* Whether there is another row. Skips empty lines. */
static bool more_rows(scan *s) {
    while (s->at < s->length && line_break(s)) {}
    return s->at < s->length;
}

/* Reads a quoted field, after its opening quote. */
static glia_status next_quoted(scan *s, field *f) {
    f->quoted = true;
    s->scratch.length = 0;
    glia_text_append(&s->scratch, "", 0);
    for (;;) {
        if (s->at == s->length) return fail_in(s, f, "the quote is not closed");
        char c = s->text[s->at++];
        if (c == '\n') s->line++;
        if (c == '"') {
            if (s->at == s->length || s->text[s->at] != '"') break;
            s->at++;
        }
        glia_text_append(&s->scratch, &c, 1);
    }
    if (s->scratch.failed) return glia_fail_nomem(s->error);
    f->text = s->scratch.bytes;
    f->end = f->text + s->scratch.length;
    return GLIA_OK;
}

/* Reads the next field of a row. f->column holds the number of the previous field (0 at the start of a row). */
static glia_status next_field(scan *s, field *f) {
    *f = (field){ .line = s->line, .column = f->column + 1 };
    if (f->column > COLUMNS_MOST) return fail_in(s, f, "too many columns");
    if (s->at < s->length && s->text[s->at] == '"') {
        s->at++;
        glia_status status = next_quoted(s, f);
        if (status) return status;
    } else {
        size_t start = s->at, end;
        while (s->at < s->length && s->text[s->at] != s->separator && s->text[s->at] != '\n') {
            if (s->text[s->at] == '"') return fail_in(s, f, "there is a quote in the middle of a field");
            s->at++;
        }
        bool crlf = s->at < s->length && s->text[s->at] == '\n' && s->at > start && s->text[s->at - 1] == '\r';
        s->at -= crlf;
        end = s->at;
        while (end > start && s->text[end - 1] == ' ') end--;
        while (start < end && s->text[start] == ' ') start++;
        f->text = s->text + start;
        f->end = s->text + end;
    }
    if (line_break(s)) return f->last = true, GLIA_OK;
    if (s->text[s->at] != s->separator) return fail_in(s, f, "there is text after a closing quote");
    s->at++;
    return GLIA_OK;
}

/* ---- what the columns are ----------------------------------------------------------------- */

typedef struct table {
    scan scan;
    glia_csv *csv;
    int columns;
    char **names; /* by column; NULL without a header */
    int y;        /* column of the label or target, from 0 */
    bool *dropped;
    bool header, sparse;
    size_t rows, capacity;
    size_t kept, kept_capacity; /* non-zero numbers of sparse rows */
} table;

/* The most frequent separator in the first line. */
static char find_separator(const scan *s) {
    size_t commas = 0, semicolons = 0, tabs = 0;
    bool quoted = false;
    for (size_t i = s->at; i < s->length && (quoted || s->text[i] != '\n'); i++) {
        if (s->text[i] == '"') quoted = !quoted;
        if (quoted) continue;
        commas += s->text[i] == ',';
        semicolons += s->text[i] == ';';
        tabs += s->text[i] == '\t';
    }
    return semicolons > commas && semicolons >= tabs ? ';' : tabs > commas ? '\t' : ',';
}

/* Counts the columns and, unless given, detects a header: the first row is one if it has a word above a number, or if
 * it has only words and there is no second row. */
static glia_status look(table *t, int header) {
    scan s = t->scan;
    bool *number = NULL, word_above_number = false, all_words = true;
    int capacity = 0;
    glia_status status = GLIA_OK;
    for (int row = 0; row < 2 && !status && more_rows(&s); row++) {
        field f = { 0 };
        do {
            status = next_field(&s, &f);
            if (status) break;
            double value;
            bool is = glia_number_parse(f.text, f.end, &value);
            int c = f.column - 1;
            if (row == 0) {
                if (!glia_grow((void **)&number, c, &capacity, sizeof *number)) {
                    status = glia_fail_nomem(s.error);
                    break;
                }
                number[c] = is;
                all_words &= !is;
                t->columns = f.column;
            } else if (c < t->columns) {
                word_above_number |= is && !number[c];
            }
        } while (!f.last);
        if (row == 1) all_words = false;
    }
    free(number);
    t->scan.scratch = s.scratch;
    t->header = header > 0 || (header == 0 && (word_above_number || all_words));
    return status;
}

static char *copy_word(glia_arena *arena, const char *text, const char *end) {
    char *copy = glia_arena_alloc(arena, (size_t)(end - text) + 1);
    if (copy && end > text) memcpy(copy, text, (size_t)(end - text));
    return copy;
}

/* Words are stored as C strings in the model's metadata: no NUL, valid UTF-8. */
static bool word_valid(const char *text, const char *end) {
    while (text < end) {
        size_t n = *text ? glia_utf8_length((const uint8_t *)text, (size_t)(end - text)) : 0;
        if (n == 0) return false;
        text += n;
    }
    return true;
}

static glia_status read_header(table *t) {
    t->names = glia_arena_alloc(&t->csv->arena, (size_t)t->columns * sizeof *t->names);
    if (!t->names) return glia_fail_nomem(t->scan.error);
    if (!more_rows(&t->scan)) return GLIA_OK;
    field f = { 0 };
    do {
        glia_status status = next_field(&t->scan, &f);
        if (status) return status;
        if (!word_valid(f.text, f.end)) return fail_in(&t->scan, &f, "the name is not valid UTF-8");
        t->names[f.column - 1] = copy_word(&t->csv->arena, f.text, f.end);
        if (!t->names[f.column - 1]) return glia_fail_nomem(t->scan.error);
    } while (!f.last);
    return GLIA_OK;
}

/* Finds a column by name or number. */
static glia_status find_column(const table *t, const char *what, const char *name, int *column) {
    for (int c = 0; t->header && c < t->columns; c++) {
        if (!strcmp(t->names[c], name)) return *column = c, GLIA_OK;
    }
    char *end;
    long index = strtol(name, &end, 10);
    if (end != name && !*end) {
        if (index < 0) index += t->columns;
        if (index >= 0 && index < t->columns) return *column = (int)index, GLIA_OK;
        return glia_fail(t->scan.error, GLIA_E_ARGUMENT, "%s=%s: the %d columns have the numbers 0 to %d", what, name,
                         t->columns, t->columns - 1);
    }
    if (!t->header) {
        return glia_fail(t->scan.error, GLIA_E_ARGUMENT,
                         "%s=%s: the file has no header; give the column by number, from 0", what, name);
    }
    const char *near = glia_nearest(name, (const char *const *)t->names, t->columns);
    return glia_fail(t->scan.error, GLIA_E_NOT_FOUND, "%s=%s: no such column%s%s%s", what, name,
                     near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* Assigns a role to each column. */
static glia_status assign_columns(table *t, const glia_csv_opts *opts) {
    glia_status status = GLIA_OK;
    t->dropped = glia_arena_alloc(&t->csv->arena, (size_t)t->columns);
    if (!t->dropped) return glia_fail_nomem(t->scan.error);
    t->y = t->columns - 1;
    if (opts->label && opts->target) {
        return glia_fail(t->scan.error, GLIA_E_ARGUMENT, "give label= or target=, not both");
    }
    if (opts->label) status = find_column(t, "label", opts->label, &t->y);
    if (opts->target) status = find_column(t, "target", opts->target, &t->y);
    for (const char *p = opts->drop; p && *p && !status;) {
        size_t n = strcspn(p, ",");
        char *name = copy_word(&t->csv->arena, p, p + n);
        if (!name) return glia_fail_nomem(t->scan.error);
        int column;
        status = find_column(t, "drop", name, &column);
        if (!status) t->dropped[column] = true;
        p += n + (p[n] == ',');
    }
    if (status) return status;
    if (t->dropped[t->y]) {
        return glia_fail(t->scan.error, GLIA_E_ARGUMENT, "drop= contains the column of the %s",
                         opts->target ? "target" : "label");
    }
    t->csv->names =
        t->header ? glia_arena_alloc(&t->csv->arena, ((size_t)t->columns + 1) * sizeof *t->csv->names) : NULL;
    if (t->header && !t->csv->names) return glia_fail_nomem(t->scan.error);
    for (int c = 0; c < t->columns; c++) {
        if (c == t->y || t->dropped[c]) continue;
        if (t->header) t->csv->names[t->csv->columns] = t->names[c];
        t->csv->columns++;
    }
    if (!t->csv->columns) {
        return glia_fail(t->scan.error, GLIA_E_FORMAT, "offset 0: none of the %d columns is left as a feature",
                         t->columns);
    }
    return GLIA_OK;
}

/* ---- label words -------------------------------------------------------------------------- */

typedef struct words {
    char **items;
    int count, capacity;
    glia_hash_table by_word;
} words;

/* The index of a word, added if it is new; -1: out of memory. */
static int intern(words *w, glia_arena *arena, const char *text, const char *end) {
    const size_t n = (size_t)(end - text);
    const uint32_t hash = glia_hash_u32(text, n);
    int32_t i;
    for (uint32_t at = hash; (i = glia_hash_next(&w->by_word, hash, &at)) >= 0;)
        if (strlen(w->items[i]) == n && !memcmp(w->items[i], text, n)) return i;
    if (!glia_grow((void **)&w->items, w->count, &w->capacity, sizeof *w->items)) return -1;
    char *copy = copy_word(arena, text, end);
    if (!copy || !glia_hash_add(&w->by_word, hash, w->count)) return -1;
    w->items[w->count] = copy;
    return w->count++;
}

static int compare_words(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Parses a canonical integer in [0, CLASS_MOST]; -1: anything else. */
static int class_number(const char *word) {
    size_t n = strlen(word);
    if (n == 0 || n > 5 || strspn(word, "0123456789") != n || (n > 1 && word[0] == '0')) return -1;
    int value = atoi(word);
    return value <= CLASS_MOST ? value : -1;
}

/* Turns word indices in y into classes. */
static glia_status number_classes(table *t, words *w) {
    glia_csv *csv = t->csv;
    int32_t *map = malloc(((size_t)w->count + 1) * sizeof *map);
    char **sorted = glia_arena_alloc(&csv->arena, ((size_t)w->count + 1) * sizeof *sorted);
    if (!map || !sorted) {
        free(map);
        return glia_fail_nomem(t->scan.error);
    }
    bool integers = true;
    for (int i = 0; i < w->count && integers; i++) {
        map[i] = class_number(w->items[i]);
        integers = map[i] >= 0;
        if (integers) csv->classes = GLIA_MAX(csv->classes, map[i] + 1);
    }
    if (!integers) {
        memcpy(sorted, w->items, (size_t)w->count * sizeof *sorted);
        qsort(sorted, (size_t)w->count, sizeof *sorted, compare_words);
        for (int i = 0; i < w->count; i++) {
            char **found = bsearch(&w->items[i], sorted, (size_t)w->count, sizeof *sorted, compare_words);
            map[i] = (int32_t)(found - sorted);
        }
        csv->classes = w->count;
        csv->class_names = sorted;
    }
    for (int64_t i = 0; i < csv->n; i++) ((int32_t *)csv->y)[i] = map[((int32_t *)csv->y)[i]];
    free(map);
    return GLIA_OK;
}

/* ---- rows --------------------------------------------------------------------------------- */

static bool reserve_row(table *t) {
    if (t->rows < t->capacity) return true;
    size_t wanted = t->capacity ? t->capacity * 2 : 256, bytes;
    if (!glia_mul_fits(t->sparse ? 1 : wanted, (size_t)t->csv->columns * sizeof(float), &bytes)) return false;
    float *x = realloc(t->csv->x, bytes);
    if (!x) return false;
    t->csv->x = x;
    void *y = realloc(t->csv->y, wanted * 4);
    if (!y) return false;
    t->csv->y = y;
    int64_t *starts = t->sparse ? realloc(t->csv->rows.starts, (wanted + 1) * sizeof *starts) : NULL;
    if (starts) t->csv->rows.starts = starts;
    if (t->sparse && !starts) return false;
    t->capacity = wanted;
    return true;
}

/* Appends the non-zero values of the row in x. */
static bool keep_row(table *t) {
    glia_sparse *s = &t->csv->rows;
    if (t->kept_capacity - t->kept < (size_t)t->csv->columns) {
        size_t wanted = 2 * t->kept_capacity + (size_t)t->csv->columns + 1024;
        int32_t *columns = realloc(s->columns, wanted * sizeof *columns);
        if (columns) s->columns = columns;
        float *values = columns ? realloc(s->values, wanted * sizeof *values) : NULL;
        if (!values) return false;
        s->values = values;
        t->kept_capacity = wanted;
    }
    s->starts[t->rows] = (int64_t)t->kept;
    for (int c = 0; c < t->csv->columns; c++) {
        if (t->csv->x[c] == 0) continue;
        s->columns[t->kept] = c;
        s->values[t->kept++] = t->csv->x[c];
    }
    s->starts[t->rows + 1] = (int64_t)t->kept;
    return true;
}

static glia_status fail_number(const table *t, const field *f) {
    char what[200];
    const char *name = t->header ? t->names[f->column - 1] : "";
    int shown = (int)GLIA_MIN(f->end - f->text, 40);
    snprintf(what, sizeof what, "%s%.60s%s\"%.*s\" is not a number (drop= ignores a column)",
             t->header ? "in \"" : "", name, t->header ? "\": " : "", shown, f->text);
    return fail_in(&t->scan, f, what);
}

static glia_status read_number(const table *t, const field *f, float *out) {
    double value;
    if (t->sparse && f->text == f->end) return *out = 0, GLIA_OK;
    if (!glia_number_parse(f->text, f->end, &value)) return fail_number(t, f);
    *out = (float)value;
    return isfinite(*out) ? GLIA_OK : fail_in(&t->scan, f, "the number is too large for f32");
}

static glia_status read_label(const table *t, const field *f, words *w, int32_t *out) {
    double value;
    if (f->text == f->end) return fail_in(&t->scan, f, "the label is empty");
    if (!word_valid(f->text, f->end)) return fail_in(&t->scan, f, "the label is not valid UTF-8");
    const char *text = f->text, *end = f->end;
    char whole[16];
    if (!f->quoted && memchr(text, '.', (size_t)(end - text)) && glia_number_parse(text, end, &value)) {
        if (value != floor(value) || fabs(value) > CLASS_MOST) {
            return fail_in(&t->scan, f, "a label with a fraction is not a class; for regression use target=COLUMN");
        }
        text = whole; /* 3.0, as written by programs without integers */
        end = whole + snprintf(whole, sizeof whole, "%d", (int)value);
    }
    *out = intern(w, &t->csv->arena, text, end);
    return *out < 0 ? glia_fail_nomem(t->scan.error) : GLIA_OK;
}

static glia_status read_row(table *t, words *w) {
    field f = { 0 };
    float *x = t->csv->x + (t->sparse ? 0 : t->rows * (size_t)t->csv->columns);
    do {
        glia_status status = next_field(&t->scan, &f);
        if (status) return status;
        int c = f.column - 1;
        if (c >= t->columns) break;
        if (t->dropped[c]) continue;
        if (c != t->y) {
            status = read_number(t, &f, x++);
        } else if (t->csv->y_dtype == GLIA_F32) {
            status = read_number(t, &f, (float *)t->csv->y + t->rows);
        } else {
            status = read_label(t, &f, w, (int32_t *)t->csv->y + t->rows);
        }
        if (status) return status;
    } while (!f.last);
    if (f.column == t->columns) return !t->sparse || keep_row(t) ? GLIA_OK : glia_fail_nomem(t->scan.error);
    return glia_fail(t->scan.error, GLIA_E_FORMAT, "line %lld (offset %zu): %s columns than the %d of the first line",
                     (long long)f.line, t->scan.at, f.column < t->columns ? "fewer" : "more", t->columns);
}

static glia_status parse(table *t, const glia_csv_opts *opts, words *w) {
    if (t->scan.length >= 3 && !memcmp(t->scan.text, "\xEF\xBB\xBF", 3)) t->scan.at = 3; /* a byte order mark */
    if (!more_rows(&t->scan)) {
        return glia_fail(t->scan.error, GLIA_E_FORMAT, "offset %zu: the table is empty", t->scan.at);
    }
    t->scan.separator = opts->separator ? opts->separator : find_separator(&t->scan);
    glia_status status = look(t, opts->header);
    if (!status && t->header) status = read_header(t);
    if (!status) status = assign_columns(t, opts);
    t->csv->y_dtype = opts->target ? GLIA_F32 : GLIA_I32;
    while (!status && more_rows(&t->scan)) {
        status = reserve_row(t) ? read_row(t, w) : glia_fail_nomem(t->scan.error);
        t->rows += !status;
    }
    if (status) return status;
    if (!t->rows)
        return glia_fail(t->scan.error, GLIA_E_FORMAT, "offset %zu: the table has a header but no rows", t->scan.at);
    t->csv->n = (int64_t)t->rows;
    return opts->target ? GLIA_OK : number_classes(t, w);
}

glia_status glia_csv_parse(const uint8_t *bytes, size_t length, glia_csv_opts opts, glia_csv *csv, glia_error *error) {
    *csv = (glia_csv){ 0 };
    uint8_t *owned;
    const uint8_t *text;
    glia_status status = glia_gunzip_text(bytes, length, &text, &length, &owned, error);
    if (status) return status;
    table t = { .scan = { .text = (const char *)text, .length = length, .line = 1, .error = error },
                .csv = csv,
                .sparse = opts.sparse };
    words w = { 0 };
    status = parse(&t, &opts, &w);
    free(w.items);
    glia_hash_free(&w.by_word);
    free(t.scan.scratch.bytes);
    free(owned);
    if (status) glia_csv_free(csv);
    return status;
}

void glia_csv_free(glia_csv *csv) {
    free(csv->x);
    free(csv->y);
    glia_sparse_free(&csv->rows);
    glia_arena_free(&csv->arena);
    *csv = (glia_csv){ 0 };
}
