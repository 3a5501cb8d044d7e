/* evaluate.c - evaluation of word vectors: analogy questions, and correlation with human similarity ratings. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/words/words.h"

/* ---- lines of a file ---------------------------------------------------------------------- */

typedef struct lines {
    glia_file file;
    uint8_t *owned;
    const char *text;
    size_t length, at;
    int64_t line; /* counts from 1 */
} lines;

static glia_status open_lines(lines *l, const char *path, glia_error *error) {
    *l = (lines){ 0 };
    glia_status status = glia_file_open(&l->file, path, error);
    if (status) return status;
    const uint8_t *text;
    status = glia_gunzip_text(l->file.bytes, l->file.length, &text, &l->length, &l->owned, error);
    l->text = (const char *)text;
    if (status) glia_file_close(&l->file);
    return glia_fail_at_path(error, path, status);
}

static void close_lines(lines *l) {
    glia_file_close(&l->file);
    free(l->owned);
}

enum { FIELD = 256, FIELDS = 8 };

/* The fields of the next line, cut to FIELD bytes; *n: their number. false: no more lines. */
static bool next_line(lines *l, const char *blanks, char fields[FIELDS][FIELD], int *n) {
    if (l->at >= l->length) return false;
    l->line++;
    *n = 0;
    size_t used = 0;
    bool inside = false;
    for (; l->at < l->length && l->text[l->at] != '\n'; l->at++) {
        const char c = l->text[l->at];
        const bool blank = c == '\r' || !c || strchr(blanks, c);
        if (!blank && !inside) {
            used = 0;
            ++*n;
        }
        inside = !blank;
        if (blank || *n > FIELDS) continue;
        char *field = fields[*n - 1];
        if (used < FIELD - 1) field[used++] = c;
        field[used] = 0;
    }
    l->at++;
    return true;
}

/* ---- words without case ------------------------------------------------------------------- */

static size_t upper(const char *word, char out[FIELD]) {
    size_t n = 0;
    for (; word[n] && n < FIELD - 1; n++) out[n] = (char)(word[n] >= 'a' && word[n] <= 'z' ? word[n] - 32 : word[n]);
    out[n] = 0;
    return n;
}

/* Words in upper case: the number of each word there, and the first word of each number. */
typedef struct capitals {
    glia_word_table table;
    int32_t *number, *first;
} capitals;

static bool make_capitals(capitals *c, const glia_vectors *v, int64_t limit) {
    *c = (capitals){ .number = malloc((size_t)limit * sizeof *c->number),
                     .first = malloc((size_t)limit * sizeof *c->first) };
    bool good = c->number && c->first;
    for (int64_t i = 0, number; i < limit && good; i++) {
        char word[FIELD];
        const int64_t before = c->table.n;
        good = glia_word_table_add(&c->table, word, upper(v->table.words[i], word), &number);
        if (!good) break;
        c->number[i] = (int32_t)number;
        if (number == before) c->first[number] = (int32_t)i;
    }
    return good;
}

static void free_capitals(capitals *c) {
    glia_word_table_free(&c->table);
    free(c->number);
    free(c->first);
}

static int64_t find_capitals(const capitals *c, const char *word) {
    char name[FIELD];
    const int64_t number = glia_word_table_find(&c->table, name, upper(word, name));
    return number < 0 ? -1 : c->first[number];
}

/* ---- analogies ---------------------------------------------------------------------------- */

enum { BATCH = 128 };

typedef struct asking {
    const glia_vectors *v;
    capitals capitals;
    int64_t limit;
    glia_pool *pool;
    glia_error *error;
    glia_analogies *result;
    int32_t words[BATCH][4]; /* of the pending questions */
    int section[BATCH], waiting;
    bool right[BATCH];
    float *queries, *cosines;
} asking;

static void judge(void *context, int64_t i, int worker) {
    asking *a = context;
    (void)worker;
    const float *cosines = a->cosines + i * a->limit;
    const int32_t *w = a->words[i];
    float best = 0;
    int64_t answer = -1;
    for (int64_t k = 0; k < a->limit; k++) {
        if (cosines[k] <= best || k == w[0] || k == w[1] || k == w[2]) continue;
        best = cosines[k];
        answer = k;
    }
    a->right[i] = answer >= 0 && a->capitals.number[answer] == a->capitals.number[w[3]];
}

/* Answers the pending questions. */
static glia_status answer(asking *a) {
    const glia_vectors *v = a->v;
    for (int i = 0; i < a->waiting; i++) {
        for (int64_t k = 0; k < v->size; k++) {
            float x[3];
            for (int j = 0; j < 3; j++) x[j] = v->values[a->words[i][j] * v->size + k] * v->inverse[a->words[i][j]];
            a->queries[i * v->size + k] = x[1] - x[0] + x[2];
        }
    }
    if (!a->waiting) return GLIA_OK;
    glia_status status = glia_vectors_cosines(v, a->queries, a->waiting, a->limit, a->pool, a->cosines, a->error);
    if (status) return status;
    glia_parallel_for(a->pool, a->waiting, judge, a);
    for (int i = 0; i < a->waiting; i++) {
        glia_analogies *r = a->result;
        glia_analogy_section *s = &r->sections[a->section[i]];
        s->right += a->right[i];
        r->right += a->right[i];
        *(s->syntactic ? &r->syntactic_right : &r->semantic_right) += a->right[i];
    }
    a->waiting = 0;
    return GLIA_OK;
}

static glia_status begin_section(asking *a, const char *name, int64_t line) {
    glia_analogies *r = a->result;
    if (r->n_sections == GLIA_COUNT(r->sections)) {
        return glia_fail(a->error, GLIA_E_FORMAT, "line %lld: more than %d sections", (long long)line, r->n_sections);
    }
    glia_analogy_section *s = &r->sections[r->n_sections++];
    size_t n = 0;
    for (; name[n] && n < sizeof s->name - 1; n++) s->name[n] = name[n];
    s->name[n] = 0;
    s->syntactic = !strncmp(name, "gram", 4);
    return GLIA_OK;
}

static glia_status ask(asking *a, char fields[FIELDS][FIELD]) {
    glia_analogies *r = a->result;
    glia_analogy_section *s = &r->sections[r->n_sections - 1];
    int32_t words[4];
    r->questions++;
    s->questions++;
    for (int i = 0; i < 4; i++) {
        const int64_t word = find_capitals(&a->capitals, fields[i]);
        if (word < 0) return GLIA_OK;
        words[i] = (int32_t)word;
    }
    r->asked++;
    s->asked++;
    ++*(s->syntactic ? &r->syntactic_asked : &r->semantic_asked);
    memcpy(a->words[a->waiting], words, sizeof words);
    a->section[a->waiting++] = r->n_sections - 1;
    return a->waiting == BATCH ? answer(a) : GLIA_OK;
}

static glia_status ask_all(asking *a, lines *l) {
    char fields[FIELDS][FIELD];
    glia_status status = GLIA_OK;
    for (int n; !status && next_line(l, " \t", fields, &n);) {
        if (!n) continue;
        if (fields[0][0] == ':') {
            const char *name = fields[0][1] ? fields[0] + 1 : n > 1 ? fields[1] : "";
            status = begin_section(a, name, l->line);
        } else if (n != 4) {
            status = glia_fail(a->error, GLIA_E_FORMAT, "line %lld: %d words, but a question has four",
                               (long long)l->line, n);
        } else {
            if (!a->result->n_sections) status = begin_section(a, "questions", l->line);
            if (!status) status = ask(a, fields);
        }
    }
    return status ? status : answer(a);
}

glia_status glia_vectors_analogies(const glia_vectors *vectors, const char *path, int64_t limit, int threads,
                                   glia_analogies *result, glia_error *error) {
    if (!vectors) return glia_fail_null(error, "vectors");
    if (!path) return glia_fail_null(error, "path");
    if (!result) return glia_fail_null(error, "result");
    enum { LIMIT = 30000 };
    glia_error own;
    lines l;
    memset(result, 0, sizeof *result);
    asking *a = calloc(1, sizeof *a);
    if (!a) return glia_fail_nomem(error);
    a->v = vectors;
    a->error = error ? error : &own;
    a->result = result;
    a->limit = GLIA_MIN(limit > 0 ? limit : LIMIT, vectors->table.n);
    glia_status status = open_lines(&l, path, a->error);
    if (!status) {
        a->pool = glia_pool_create(threads, a->error);
        status = a->pool ? GLIA_OK : a->error->status;
        a->queries = glia_alloc_aligned((size_t)BATCH * (size_t)vectors->size * sizeof(float));
        a->cosines = glia_alloc_aligned((size_t)BATCH * (size_t)a->limit * sizeof(float));
        if (!status && !(a->queries && a->cosines && make_capitals(&a->capitals, vectors, a->limit)))
            status = glia_fail_nomem(a->error);
        if (!status) status = glia_fail_at_path(a->error, path, ask_all(a, &l));
        free_capitals(&a->capitals);
        close_lines(&l);
    }
    glia_pool_free(a->pool);
    free(a->queries);
    free(a->cosines);
    free(a);
    return status;
}

/* ---- similarities ------------------------------------------------------------------------- */

typedef struct ranked {
    double value;
    int64_t index;
} ranked;

static int by_value(const void *a, const void *b) {
    const double x = ((const ranked *)a)->value, y = ((const ranked *)b)->value;
    return (x > y) - (x < y);
}

/* Ranks from 1; equal values get the mean of their ranks. */
static void rank_values(const double *x, int64_t n, ranked *order, double *rank) {
    for (int64_t i = 0; i < n; i++) order[i] = (ranked){ x[i], i };
    qsort(order, (size_t)n, sizeof *order, by_value);
    for (int64_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && order[j].value == order[i].value; j++) {}
        for (int64_t k = i; k < j; k++) rank[order[k].index] = (double)(i + j + 1) / 2;
    }
}

static double pearson(const double *x, const double *y, int64_t n) {
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (int64_t i = 0; i < n; i++) mx += x[i] / (double)n, my += y[i] / (double)n;
    for (int64_t i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    return n > 1 && xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}

double glia_spearman(const double *x, const double *y, int64_t n) {
    if (n < 2) return NAN;
    ranked *order = malloc((size_t)n * sizeof *order);
    double *ranks = malloc(2 * (size_t)n * sizeof *ranks), result = NAN;
    if (order && ranks) {
        rank_values(x, n, order, ranks);
        rank_values(y, n, order, ranks + n);
        result = pearson(ranks, ranks + n, n);
    }
    free(order);
    free(ranks);
    return result;
}

/* Human ratings and computed similarities, in pairs. */
typedef struct pairs {
    double *said, *found;
    size_t capacity;
} pairs;

static bool add_pair(pairs *p, int64_t n, double said, double found) {
    if ((size_t)n == p->capacity) {
        const size_t capacity = p->capacity ? 2 * p->capacity : 256;
        double *a = realloc(p->said, capacity * sizeof *a);
        if (a) p->said = a;
        double *b = realloc(p->found, capacity * sizeof *b);
        if (b) p->found = b;
        if (!a || !b) return false;
        p->capacity = capacity;
    }
    p->said[n] = said;
    p->found[n] = found;
    return true;
}

static glia_status compare_all(const glia_vectors *v, lines *l, const capitals *c, pairs *p, glia_similarities *result,
                               glia_error *error) {
    char fields[FIELDS][FIELD];
    for (int n; next_line(l, " \t,;", fields, &n);) {
        double said;
        if (!n || fields[0][0] == '#') continue;
        if (n < 3 || !glia_number_parse(fields[2], fields[2] + strlen(fields[2]), &said)) {
            if (l->line == 1) continue;
            return glia_fail(error, GLIA_E_FORMAT, "line %lld: the line is not two words and a number",
                             (long long)l->line);
        }
        result->pairs++;
        const int64_t a = find_capitals(c, fields[0]), b = find_capitals(c, fields[1]);
        double found;
        if (a < 0 || b < 0) continue;
        glia_status status = glia_vectors_similarity(v, v->table.words[a], v->table.words[b], &found, error);
        if (status) return status;
        if (!add_pair(p, result->known, said, found)) return glia_fail_nomem(error);
        result->known++;
    }
    result->spearman = glia_spearman(p->said, p->found, result->known);
    result->pearson = result->known > 1 ? pearson(p->said, p->found, result->known) : NAN;
    return GLIA_OK;
}

glia_status glia_vectors_similarities(const glia_vectors *vectors, const char *path, int64_t limit,
                                      glia_similarities *result, glia_error *error) {
    if (!vectors) return glia_fail_null(error, "vectors");
    if (!path) return glia_fail_null(error, "path");
    if (!result) return glia_fail_null(error, "result");
    lines l;
    capitals c;
    pairs p = { 0 };
    *result = (glia_similarities){ .spearman = NAN, .pearson = NAN };
    const int64_t n = limit > 0 ? GLIA_MIN(limit, vectors->table.n) : vectors->table.n;
    glia_status status = open_lines(&l, path, error);
    if (status) return status;
    if (!make_capitals(&c, vectors, n)) status = glia_fail_nomem(error);
    if (!status) status = glia_fail_at_path(error, path, compare_all(vectors, &l, &c, &p, result, error));
    free_capitals(&c);
    free(p.said);
    free(p.found);
    close_lines(&l);
    return status;
}
