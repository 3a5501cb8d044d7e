/* libsvm.c - sparse rows in the format of LIBSVM and SVMlight: "LABEL INDEX:VALUE INDEX:VALUE ... # comment".
 *
 * Indices rise within a row. They count from 1, or from 0 if a 0 occurs anywhere. "qid:N" of rankings is ignored.
 * Labels are classes if all are integers, otherwise values.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/formats/formats.h"

enum { CLASS_MOST = 65535, INDEX_MOST = INT32_MAX - 1 };

typedef struct parse {
    const char *text;
    size_t length, at;
    int64_t line;
    glia_sparse *rows;
    size_t row_capacity, value_capacity, values;
    double *labels;
    int32_t largest;
    bool zero_based;
    size_t file; /* bytes of the file as stored */
    glia_error *error;
} parse;

static glia_status fail_at(const parse *p, const char *what) {
    return glia_fail(p->error, GLIA_E_FORMAT, "line %lld (offset %zu): %s", (long long)p->line, p->at, what);
}

/* Makes room for `count` + 1 items in arrays that grow together. */
static bool room(void **array, size_t size, size_t wanted) {
    size_t bytes;
    void *grown = glia_mul_fits(wanted, size, &bytes) ? realloc(*array, bytes) : NULL;
    if (grown) *array = grown;
    return grown != NULL;
}

static bool add_value(parse *p, int32_t column, float value) {
    glia_sparse *s = p->rows;
    if (p->values == p->value_capacity) {
        size_t wanted = p->value_capacity ? 2 * p->value_capacity : 1024;
        if (!room((void **)&s->columns, sizeof *s->columns, wanted)) return false;
        if (!room((void **)&s->values, sizeof *s->values, wanted)) return false;
        p->value_capacity = wanted;
    }
    s->columns[p->values] = column;
    s->values[p->values++] = value;
    return true;
}

static bool add_row(parse *p, double label) {
    glia_sparse *s = p->rows;
    if ((size_t)s->n == p->row_capacity) {
        size_t wanted = p->row_capacity ? 2 * p->row_capacity : 256;
        if (!room((void **)&s->starts, sizeof *s->starts, wanted + 1)) return false;
        if (!room((void **)&p->labels, sizeof *p->labels, wanted)) return false;
        p->row_capacity = wanted;
    }
    s->starts[0] = 0;
    p->labels[s->n++] = label;
    s->starts[s->n] = (int64_t)p->values;
    return true;
}

/* The next word of the line, up to `stop` or a space; NULL at the end of the line. */
static const char *next_word(parse *p, const char **end) {
    while (p->at < p->length && (p->text[p->at] == ' ' || p->text[p->at] == '\t' || p->text[p->at] == '\r')) p->at++;
    if (p->at == p->length || p->text[p->at] == '\n' || p->text[p->at] == '#') return NULL;
    const char *start = p->text + p->at;
    while (p->at < p->length && !memchr(" \t\r\n#", p->text[p->at], 5)) p->at++;
    *end = p->text + p->at;
    return start;
}

static glia_status read_pair(parse *p, const char *word, const char *end, int32_t *before) {
    const char *colon = memchr(word, ':', (size_t)(end - word));
    double index, value;
    if (colon && colon - word == 3 && !memcmp(word, "qid", 3)) return GLIA_OK;
    bool good = colon && glia_number_parse(word, colon, &index) && glia_number_parse(colon + 1, end, &value);
    if (!good) return fail_at(p, "a feature must be INDEX:VALUE");
    if (index != floor(index) || index < 0 || index > INDEX_MOST)
        return fail_at(p, "the index is not an integer in range");
    if (index <= *before) return fail_at(p, "the indices are not increasing");
    if (!isfinite((float)value)) return fail_at(p, "the value is too large for f32");
    *before = (int32_t)index;
    p->largest = GLIA_MAX(p->largest, *before);
    p->zero_based |= index == 0;
    return add_value(p, *before, (float)value) ? GLIA_OK : glia_fail_nomem(p->error);
}

static glia_status read_line(parse *p) {
    const char *end, *word = next_word(p, &end);
    double label;
    if (!word) return GLIA_OK; /* empty, or a comment */
    if (memchr(word, ',', (size_t)(end - word))) return fail_at(p, "the row has several labels; only one is supported");
    if (!glia_number_parse(word, end, &label)) return fail_at(p, "the label is not a number");
    int32_t before = -1;
    while ((word = next_word(p, &end))) {
        glia_status status = read_pair(p, word, end, &before);
        if (status) return status;
    }
    return add_row(p, label) ? GLIA_OK : glia_fail_nomem(p->error);
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Labels as classes: unchanged if all are in [0, 65535], else numbered in sorted order; or as values. */
static glia_status finish_labels(parse *p, bool target) {
    glia_sparse *s = p->rows;
    bool integers = true, natural = true;
    for (int64_t i = 0; i < s->n; i++) {
        integers &= p->labels[i] == floor(p->labels[i]);
        natural &= p->labels[i] >= 0 && p->labels[i] <= CLASS_MOST;
        if (!isfinite((float)p->labels[i])) {
            return glia_fail(p->error, GLIA_E_FORMAT, "offset 0: row %lld: the label is too large for f32",
                             (long long)i);
        }
    }
    s->y = malloc((size_t)s->n * 4);
    if (!s->y) return glia_fail_nomem(p->error);
    if (!integers || target) {
        s->y_dtype = GLIA_F32;
        for (int64_t i = 0; i < s->n; i++) ((float *)s->y)[i] = (float)p->labels[i];
        return GLIA_OK;
    }
    s->y_dtype = GLIA_I32;
    if (natural) {
        for (int64_t i = 0; i < s->n; i++) {
            ((int32_t *)s->y)[i] = (int32_t)p->labels[i];
            s->classes = GLIA_MAX(s->classes, (int)p->labels[i] + 1);
        }
        return GLIA_OK;
    }
    double *sorted = malloc((size_t)s->n * sizeof *sorted);
    if (!sorted) return glia_fail_nomem(p->error);
    memcpy(sorted, p->labels, (size_t)s->n * sizeof *sorted);
    qsort(sorted, (size_t)s->n, sizeof *sorted, compare_doubles);
    glia_status status = GLIA_OK;
    for (int64_t i = 0; i < s->n; i++) {
        if (i == 0 || sorted[i] != sorted[s->classes - 1]) sorted[s->classes++] = sorted[i];
    }
    if (s->classes > CLASS_MOST) status = glia_fail(p->error, GLIA_E_FORMAT, "offset 0: too many classes");
    s->class_names = status ? NULL : glia_arena_alloc(&s->arena, (size_t)s->classes * sizeof *s->class_names);
    if (!status && !s->class_names) status = glia_fail_nomem(p->error);
    for (int i = 0; i < s->classes && !status; i++) {
        s->class_names[i] = glia_arena_printf(&s->arena, "%.0f", sorted[i]);
        if (!s->class_names[i]) status = glia_fail_nomem(p->error);
    }
    for (int64_t i = 0; i < s->n && !status; i++) {
        double *found = bsearch(&p->labels[i], sorted, (size_t)s->classes, sizeof *sorted, compare_doubles);
        ((int32_t *)s->y)[i] = (int32_t)(found - sorted);
    }
    free(sorted);
    return status;
}

static glia_status finish(parse *p, glia_libsvm_opts opts) {
    glia_sparse *s = p->rows;
    if (!s->n) return glia_fail(p->error, GLIA_E_FORMAT, "offset %zu: the file has no rows", p->at);
    bool from_zero = opts.first == 0 || (opts.first < 0 && p->zero_based);
    if (!from_zero && p->zero_based) {
        return glia_fail(p->error, GLIA_E_FORMAT, "offset 0: an index is 0, but the first must be 1");
    }
    int64_t largest = from_zero ? p->largest : (int64_t)p->largest - 1;
    if (opts.features && largest >= opts.features) {
        return glia_fail(p->error, GLIA_E_FORMAT, "offset 0: the index %lld is too large for %d features",
                         (long long)p->largest, opts.features);
    }
    if (!opts.features && (size_t)(largest + 1) > glia_unpack_limit(p->file) / sizeof(float)) {
        return glia_fail(p->error, GLIA_E_FORMAT,
                         "offset 0: the index %lld is too large for a file of %zu bytes; features=%lld allows it",
                         (long long)p->largest, p->file, (long long)(largest + 1));
    }
    s->features = opts.features ? opts.features : (int)GLIA_MAX(largest + 1, 1);
    for (size_t i = 0; i < p->values && !from_zero; i++) s->columns[i]--;
    return finish_labels(p, opts.target);
}

glia_status glia_libsvm_parse(const uint8_t *bytes, size_t length, glia_libsvm_opts opts, glia_sparse *rows,
                              glia_error *error) {
    *rows = (glia_sparse){ 0 };
    uint8_t *owned;
    const uint8_t *text;
    const size_t file = length;
    glia_status status = glia_gunzip_text(bytes, length, &text, &length, &owned, error);
    if (status) return status;
    parse p = { .text = (const char *)text, .length = length, .line = 1, .rows = rows, .file = file, .error = error };
    while (p.at < p.length && !status) {
        status = read_line(&p);
        if (status) break;
        while (p.at < p.length && p.text[p.at] != '\n') p.at++; /* a comment */
        p.at += p.at < p.length;
        p.line++;
    }
    if (!status) status = finish(&p, opts);
    free(p.labels);
    free(owned);
    if (status) glia_sparse_free(rows);
    return status;
}

void glia_sparse_free(glia_sparse *rows) {
    free(rows->starts);
    free(rows->columns);
    free(rows->values);
    free(rows->y);
    glia_arena_free(&rows->arena);
    *rows = (glia_sparse){ 0 };
}
