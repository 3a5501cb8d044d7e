/* lines.c - text files line by line, and growing lists, for the readers of graphs. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/graphs/readers.h"

void glia_lines_of_text(glia_lines *l, const char *name, const char *text, size_t length, glia_error *error) {
    *l = (glia_lines){ .path = name, .next = text, .stop = text + length, .error = error };
}

glia_status glia_lines_open(glia_lines *l, const char *path, glia_error *error) {
    *l = (glia_lines){ .path = path, .error = error };
    char packed[4096];
    const int length = snprintf(packed, sizeof packed, "%s.gz", path);
    const bool other = access(path, F_OK) != 0 && length < (int)sizeof packed && access(packed, F_OK) == 0;
    const uint8_t *text = NULL;
    size_t bytes = 0;
    l->status = glia_file_open(&l->file, other ? packed : path, error);
    if (l->status != GLIA_OK) return l->status;
    l->status = glia_gunzip_text(l->file.bytes, l->file.length, &text, &bytes, &l->owned, error);
    if (l->status != GLIA_OK) return glia_fail_at_path(error, path, l->status);
    l->next = (const char *)text;
    l->stop = l->next + bytes;
    return GLIA_OK;
}

void glia_lines_close(glia_lines *l) {
    free(l->owned);
    glia_file_close(&l->file);
}

bool glia_lines_next(glia_lines *l) {
    while (l->status == GLIA_OK && l->next && l->next < l->stop) {
        const char *end = memchr(l->next, '\n', (size_t)(l->stop - l->next));
        l->begin = l->at = l->next;
        l->end = end ? end : l->stop;
        l->next = end ? end + 1 : l->stop;
        l->line++;
        while (l->end > l->begin && (l->end[-1] == '\r' || l->end[-1] == ' ')) l->end--;
        if (l->end > l->begin && *l->begin != '#') return true;
    }
    return false;
}

bool glia_lines_fail(glia_lines *l, const char *format, ...) {
    char what[300];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    l->status = glia_fail(l->error, GLIA_E_FORMAT, "%.180s: line %lld: %s", l->path, (long long)l->line, what);
    return false;
}

static bool separates(char c) { return c == ' ' || c == '\t' || c == ',' || c == ';'; }

bool glia_lines_word(glia_lines *l, const char **word, const char **end) {
    while (l->at < l->end && separates(*l->at)) l->at++;
    if (l->at == l->end) return false;
    *word = l->at;
    while (l->at < l->end && !separates(*l->at)) l->at++;
    *end = l->at;
    return true;
}

bool glia_lines_field(glia_lines *l, const char **field, const char **end) {
    if (l->at > l->end) return false;
    *field = l->at;
    if (l->at < l->end && *l->at == '"') {
        *field = ++l->at;
        while (l->at < l->end && (*l->at != '"' || (l->at + 1 < l->end && l->at[1] == '"')))
            l->at += *l->at == '"' ? 2 : 1;
        l->at = GLIA_MIN(l->at, l->end);
        *end = l->at;
        while (l->at < l->end && *l->at != ',') l->at++;
    } else {
        while (l->at < l->end && *l->at != ',') l->at++;
        *end = l->at;
    }
    while (*field < *end && **field == ' ') ++*field;
    while (*end > *field && (*end)[-1] == ' ') --*end;
    l->at++; /* beyond the end after the last field */
    return true;
}

bool glia_parse_integer(const char *word, const char *end, int64_t *value) {
    double number;
    if (!glia_number_parse(word, end, &number) || number != (double)(int64_t)number || number > 9e15 || number < -9e15)
        return false;
    *value = (int64_t)number;
    return true;
}

bool glia_lines_integer(glia_lines *l, const char *what, int64_t least, int64_t most, int64_t *value) {
    const char *word = NULL, *end = NULL;
    if (!glia_lines_word(l, &word, &end)) return glia_lines_fail(l, "%s is missing", what);
    if (glia_parse_integer(word, end, value) && *value >= least && *value <= most) return true;
    return glia_lines_fail(l, "%s is '%.*s', not a whole number from %lld to %lld", what, (int)GLIA_MIN(end - word, 40),
                           word, (long long)least, (long long)most);
}

/* ---- lists -------------------------------------------------------------------------------------- */

static bool grow(void **at, int64_t n, int64_t *capacity, size_t bytes) {
    if (n < *capacity) return true;
    const int64_t wanted = *capacity ? 2 * *capacity : 64;
    void *grown = realloc(*at, (size_t)wanted * bytes);
    if (!grown) return false;
    *at = grown;
    *capacity = wanted;
    return true;
}

bool glia_ints_add(glia_ints *list, int64_t value) {
    if (!grow((void **)&list->at, list->n, &list->capacity, sizeof *list->at)) return false;
    list->at[list->n++] = (int32_t)value;
    return true;
}

bool glia_floats_add(glia_floats *list, double value) {
    if (!grow((void **)&list->at, list->n, &list->capacity, sizeof *list->at)) return false;
    list->at[list->n++] = (float)value;
    return true;
}

int glia_names_add(glia_names *names, const char *word, const char *end) {
    for (int i = 0; i < names->n; i++) {
        if (glia_word_is(word, end, names->at[i])) return i;
    }
    char *copy = strndup(word, (size_t)(end - word));
    if (!copy || !glia_grow((void **)&names->at, names->n, &names->capacity, sizeof *names->at)) {
        free(copy);
        return -1;
    }
    names->at[names->n] = copy;
    return names->n++;
}

void glia_names_free(glia_names *names) {
    for (int i = 0; i < names->n; i++) free(names->at[i]);
    free(names->at);
    *names = (glia_names){ 0 };
}

int glia_graph_split_named(const char *word, const char *end) {
    static const struct {
        const char *word;
        int part;
    } words[] = { { "train", GLIA_PART_TRAIN },
                  { "val", GLIA_PART_VALIDATION },
                  { "valid", GLIA_PART_VALIDATION },
                  { "validation", GLIA_PART_VALIDATION },
                  { "test", GLIA_PART_TEST },
                  { "none", GLIA_PART_NONE },
                  { "", GLIA_PART_NONE } };
    for (int i = 0; i < GLIA_COUNT(words); i++) {
        if (glia_word_is(word, end, words[i].word)) return words[i].part;
    }
    return -1;
}
