/* folds.c - folds of graphs or nodes that a file gives: folds.csv beside the data, with a column "graph" (or "node"),
 * one for each way to fold, and perhaps "dataset". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/graphs/readers.h"

enum { COLUMNS = 64 };

typedef struct fold_table {
    glia_lines lines;
    const char *set; /* rows of other data sets are skipped */
    size_t set_length;
    int item, dataset, fold; /* columns; -1: there is none */
} fold_table;

static bool read_header(fold_table *t, const char *column) {
    glia_lines *l = &t->lines;
    const char *word = NULL, *end = NULL;
    t->item = t->dataset = t->fold = -1;
    if (!glia_lines_next(l)) return l->status == GLIA_OK && glia_lines_fail(l, "the file is empty");
    for (int i = 0; i < COLUMNS && glia_lines_field(l, &word, &end); i++) {
        if (glia_word_is(word, end, "graph") || glia_word_is(word, end, "node")) t->item = i;
        if (glia_word_is(word, end, "dataset")) t->dataset = i;
        if (glia_word_is(word, end, column)) t->fold = i;
    }
    if (t->item < 0) return glia_lines_fail(l, "there is no column 'graph' or 'node'");
    return t->fold >= 0 || glia_lines_fail(l, "there is no column '%.60s'", column);
}

/* A whole number in [low, high]; an empty fold is -1. */
static bool read_cell(fold_table *t, const char *word, const char *end, const char *what, int64_t low, int64_t high,
                      int64_t *value) {
    if (low < 0 && word == end) {
        *value = -1;
        return true;
    }
    if (glia_parse_integer(word, end, value) && *value >= 0 && *value <= high) return true;
    return glia_lines_fail(&t->lines, "the %s is '%.*s', not a whole number from 0 to %lld", what,
                           (int)GLIA_MIN(end - word, 40), word, (long long)high);
}

/* One row; *item -1: of another data set. */
static bool read_row(fold_table *t, int64_t items, int64_t *item, int64_t *fold) {
    const char *word = NULL, *end = NULL;
    bool other = false;
    *item = *fold = -1;
    for (int i = 0; i < COLUMNS && glia_lines_field(&t->lines, &word, &end); i++) {
        if (i == t->dataset) other = (size_t)(end - word) != t->set_length || memcmp(word, t->set, t->set_length) != 0;
        if (i == t->item && !other && !read_cell(t, word, end, "item", 0, items - 1, item)) return false;
        if (i == t->fold && !other && !read_cell(t, word, end, "fold", -1, 1000, fold)) return false;
    }
    if (other) *item = -1;
    return other || *item >= 0 || glia_lines_fail(&t->lines, "the item is missing");
}

glia_status glia_read_folds(const char *path, const char *column, int64_t items, int32_t *folds, glia_error *error) {
    char file[4160];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    fold_table t = { .set = name, .set_length = strcspn(name, ".") };
    int64_t item, fold;
    snprintf(file, sizeof file, "%.*sfolds.csv", (int)(name - path), path);
    for (int64_t i = 0; i < items; i++) folds[i] = -1;
    glia_status status = glia_lines_open(&t.lines, file, error);
    if (status != GLIA_OK) return status;
    int64_t known = 0, least = INT32_MAX;
    if (read_header(&t, column)) {
        while (glia_lines_next(&t.lines) && read_row(&t, items, &item, &fold)) {
            if (item < 0) continue;
            folds[item] = (int32_t)fold;
            least = fold < 0 ? least : GLIA_MIN(least, fold);
            known++;
        }
    }
    status = t.lines.status;
    glia_lines_close(&t.lines);
    for (int64_t i = 0; i < items && least == 1; i++) folds[i] -= folds[i] > 0; /* they are numbered from 1 */
    if (status == GLIA_OK && !known)
        status = glia_fail(error, GLIA_E_NOT_FOUND, "%.200s has no folds of '%.*s'", file, (int)t.set_length, name);
    return status;
}
