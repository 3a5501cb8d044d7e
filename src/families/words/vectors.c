/* vectors.c - words with their vectors, and nearest-neighbour search. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/kernels/kernels.h"
#include "families/words/words.h"

/* ---- creating and freeing ----------------------------------------------------------------- */

static void measure(glia_vectors *v) {
    for (int64_t i = 0; i < v->table.n; i++) {
        double sum = 0;
        for (int64_t k = 0; k < v->size; k++) {
            const double x = v->values[i * v->size + k];
            sum += x * x;
        }
        v->inverse[i] = sum > 0 ? (float)(1 / sqrt(sum)) : 0;
    }
}

glia_vectors *glia_vectors_take(glia_word_table *table, float *values, int64_t size, glia_error *error) {
    glia_vectors *v = calloc(1, sizeof *v);
    float *inverse = malloc(((size_t)table->n + 1) * sizeof *inverse);
    if (!v || !inverse) {
        free(v);
        free(inverse);
        free(values);
        glia_word_table_free(table);
        glia_fail_nomem(error);
        return NULL;
    }
    *v = (glia_vectors){ .table = *table, .size = size, .values = values, .inverse = inverse };
    *table = (glia_word_table){ 0 };
    measure(v);
    return v;
}

void glia_vectors_free(glia_vectors *vectors) {
    if (!vectors) return;
    glia_word_table_free(&vectors->table);
    free(vectors->values);
    free(vectors->inverse);
    free(vectors);
}

glia_vectors *glia_vectors_create(const char *const *words, const float *values, const int64_t *counts, int64_t n,
                                  int64_t size, glia_error *error) {
    if (n > 0 && !words) return glia_fail_null(error, "words"), NULL;
    if (n > 0 && !values) return glia_fail_null(error, "values"), NULL;
    size_t total, bytes = 0;
    glia_word_table table = { 0 };
    if (n < 1 || size < 1) {
        glia_fail(error, GLIA_E_ARGUMENT, "vectors: %lld words of size %lld are not possible", (long long)n,
                  (long long)size);
        return NULL;
    }
    const bool fits = glia_mul_fits((size_t)n, (size_t)size, &total) && glia_mul_fits(total, sizeof(float), &bytes);
    float *copy = fits ? malloc(bytes) : NULL;
    glia_status status = copy ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t i = 0, number; i < n && !status; i++) {
        if (!words[i] || !*words[i])
            status = glia_fail(error, GLIA_E_ARGUMENT, "vectors: word %lld is empty", (long long)i);
        else if (!glia_word_table_add(&table, words[i], strlen(words[i]), &number))
            status = glia_fail_nomem(error);
        else if (number != i)
            status = glia_fail(error, GLIA_E_ARGUMENT, "vectors: the word \"%.100s\" is a duplicate", words[i]);
        else
            table.counts[i] = counts ? counts[i] : 0;
    }
    if (status) {
        free(copy);
        glia_word_table_free(&table);
        return NULL;
    }
    memcpy(copy, values, bytes);
    return glia_vectors_take(&table, copy, size, error);
}

/* ---- by name ------------------------------------------------------------------------------ */

int64_t glia_vectors_words(const glia_vectors *vectors) { return vectors ? vectors->table.n : 0; }
int64_t glia_vectors_size(const glia_vectors *vectors) { return vectors ? vectors->size : 0; }

static bool inside(const glia_vectors *v, int64_t index) { return index >= 0 && index < v->table.n; }

const char *glia_vectors_word(const glia_vectors *vectors, int64_t index) {
    if (!vectors) return NULL;
    return inside(vectors, index) ? vectors->table.words[index] : NULL;
}

int64_t glia_vectors_count(const glia_vectors *vectors, int64_t index) {
    if (!vectors) return 0;
    return inside(vectors, index) ? vectors->table.counts[index] : 0;
}

int64_t glia_vectors_find(const glia_vectors *vectors, const char *word) {
    if (!vectors || !word) return -1;
    return glia_word_table_find(&vectors->table, word, strlen(word));
}

const float *glia_vectors_at(const glia_vectors *vectors, int64_t index) {
    if (!vectors) return NULL;
    return inside(vectors, index) ? vectors->values + index * vectors->size : NULL;
}

const float *glia_vectors_of(const glia_vectors *vectors, const char *word) {
    if (!vectors || !word) return NULL;
    return glia_vectors_at(vectors, glia_vectors_find(vectors, word));
}

int64_t glia_vectors_fill(const glia_vectors *vectors, const char *const *words, int64_t n, float *out) {
    if (!vectors || (n > 0 && !words) || (n > 0 && !out)) return 0;
    int64_t found = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *vector = glia_vectors_of(vectors, words[i]);
        if (vector) memcpy(out + i * vectors->size, vector, (size_t)vectors->size * sizeof *out);
        found += vector != NULL;
    }
    return found;
}

/* The index of a word; an error if it is missing. */
static glia_status look_up(const glia_vectors *v, const char *word, int64_t *index, glia_error *error) {
    *index = glia_vectors_find(v, word);
    if (*index >= 0) return GLIA_OK;
    return glia_fail(error, GLIA_E_NOT_FOUND, "the word \"%.200s\" is not among the %lld that have vectors", word,
                     (long long)v->table.n);
}

glia_status glia_vectors_similarity(const glia_vectors *vectors, const char *a, const char *b, double *similarity,
                                    glia_error *error) {
    if (!vectors) return glia_fail_null(error, "vectors");
    if (!a) return glia_fail_null(error, "a");
    if (!b) return glia_fail_null(error, "b");
    if (!similarity) return glia_fail_null(error, "similarity");
    int64_t i, j;
    glia_status status = look_up(vectors, a, &i, error);
    if (!status) status = look_up(vectors, b, &j, error);
    if (status) return status;
    const float *x = glia_vectors_at(vectors, i), *y = glia_vectors_at(vectors, j);
    double xy = 0, xx = 0, yy = 0;
    for (int64_t k = 0; k < vectors->size; k++) {
        xy += (double)x[k] * y[k];
        xx += (double)x[k] * x[k];
        yy += (double)y[k] * y[k];
    }
    *similarity = xx > 0 && yy > 0 ? xy / (sqrt(xx) * sqrt(yy)) : 0;
    return GLIA_OK;
}

/* ---- nearest words ------------------------------------------------------------------------ */

glia_status glia_vectors_cosines(const glia_vectors *vectors, const float *queries, int64_t m, int64_t limit,
                                 glia_pool *pool, float *cosines, glia_error *error) {
    glia_isa isa;
    glia_status status = glia_isa_choose(&isa, error);
    if (status) return status;
    const glia_cpu_kernels *kernels = glia_cpu_kernels_for(isa);
    const glia_gemm gemm = { .batch = { 1, 1 },
                             .m = m,
                             .n = limit,
                             .k = vectors->size,
                             .transpose_b = true,
                             .a = queries,
                             .b = vectors->values,
                             .c = cosines,
                             .lda = vectors->size,
                             .ldb = vectors->size,
                             .ldc = limit };
    void *scratch = glia_alloc_aligned(kernels->gemm_f32_scratch(&gemm, glia_pool_size(pool)) + 1);
    if (!scratch) return glia_fail_nomem(error);
    kernels->gemm_f32(pool, &gemm, scratch);
    free(scratch);
    for (int64_t i = 0; i < m; i++)
        for (int64_t k = 0; k < limit; k++) cosines[i * limit + k] *= vectors->inverse[k];
    return GLIA_OK;
}

/* Inserts a word into the n best so far; among equals the first stays first. */
static int insert(glia_neighbour *best, int n, int capacity, int64_t word, double similarity) {
    int at = n;
    while (at > 0 && best[at - 1].similarity < similarity) at--;
    if (at == capacity) return n;
    n = GLIA_MIN(n + 1, capacity);
    memmove(best + at + 1, best + at, (size_t)(n - 1 - at) * sizeof *best);
    best[at] = (glia_neighbour){ .word = word, .similarity = similarity };
    return n;
}

/* Adds the unit vectors of words to the query, and the words to the excluded ones. */
static glia_status add_words(const glia_vectors *v, const char *const *words, int n, double sign, double *query,
                             int64_t *asked, int *n_asked, glia_error *error) {
    for (int i = 0; i < n; i++) {
        int64_t index;
        glia_status status = look_up(v, words[i], &index, error);
        if (status) return status;
        const float *x = glia_vectors_at(v, index);
        for (int64_t k = 0; k < v->size; k++) query[k] += sign * (double)x[k] * (double)v->inverse[index];
        asked[(*n_asked)++] = index;
    }
    return GLIA_OK;
}

int glia_vectors_nearest(const glia_vectors *vectors, glia_nearest_opts opts, glia_neighbour *out, int capacity,
                         glia_error *error) {
    if (!vectors) return glia_fail_null(error, "vectors"), -1;
    if (!out) capacity = 0;
    const glia_vectors *v = vectors;
    const int64_t limit = opts.limit > 0 ? GLIA_MIN(opts.limit, v->table.n) : v->table.n;
    if (opts.n_plus < 0 || opts.n_minus < 0 || opts.n_plus + opts.n_minus < 1) {
        glia_fail(error, GLIA_E_ARGUMENT, "nearest: the query has no words");
        return -1;
    }
    double *sum = calloc((size_t)v->size, sizeof *sum), length = 0;
    float *query = glia_alloc_aligned((size_t)v->size * sizeof *query);
    float *cosines = glia_alloc_aligned((size_t)limit * sizeof *cosines);
    int64_t *asked = malloc((size_t)(opts.n_plus + opts.n_minus) * sizeof *asked);
    int n_asked = 0, n = 0;
    glia_status status = sum && query && cosines && asked ? GLIA_OK : glia_fail_nomem(error);
    if (!status) status = add_words(v, opts.plus, opts.n_plus, 1, sum, asked, &n_asked, error);
    if (!status) status = add_words(v, opts.minus, opts.n_minus, -1, sum, asked, &n_asked, error);
    for (int64_t k = 0; k < v->size && !status; k++) length += sum[k] * sum[k];
    for (int64_t k = 0; k < v->size && !status; k++) query[k] = (float)(length > 0 ? sum[k] / sqrt(length) : 0);
    if (!status) status = glia_vectors_cosines(v, query, 1, limit, NULL, cosines, error);
    for (int64_t i = 0; i < limit && !status && capacity > 0; i++) {
        bool other = true;
        for (int k = 0; k < n_asked; k++) other &= asked[k] != i;
        if (other) n = insert(out, n, capacity, i, (double)cosines[i]);
    }
    free(sum);
    free(query);
    free(cosines);
    free(asked);
    return status ? -1 : n;
}

/* ---- clusters ----------------------------------------------------------------------------- */

/* Assigns each word to the centre with the largest product. */
static bool assign(const glia_vectors *v, const double *centres, int groups, int32_t *group) {
    bool changed = false;
    for (int64_t i = 0; i < v->table.n; i++) {
        const float *x = glia_vectors_at(v, i);
        double best = -INFINITY;
        int32_t where = 0;
        for (int g = 0; g < groups; g++) {
            double product = 0;
            for (int64_t k = 0; k < v->size; k++) product += centres[g * v->size + k] * (double)x[k];
            if (product > best) best = product, where = g;
        }
        changed |= group[i] != where;
        group[i] = where;
    }
    return changed;
}

glia_status glia_vectors_groups(const glia_vectors *vectors, int groups, int32_t *group, glia_error *error) {
    if (!vectors) return glia_fail_null(error, "vectors");
    if (!group) return glia_fail_null(error, "group");
    enum { ROUNDS = 50 };
    const glia_vectors *v = vectors;
    if (groups < 1 || groups > v->table.n) {
        return glia_fail(error, GLIA_E_ARGUMENT, "groups: %d groups of %lld words are not possible", groups,
                         (long long)v->table.n);
    }
    double *centres = malloc((size_t)groups * (size_t)v->size * sizeof *centres);
    if (!centres) return glia_fail_nomem(error);
    for (int64_t i = 0; i < v->table.n; i++) group[i] = (int32_t)(i % groups);
    bool changed = true;
    for (int round = 0; round < ROUNDS && changed; round++) {
        memset(centres, 0, (size_t)groups * (size_t)v->size * sizeof *centres);
        for (int64_t i = 0; i < v->table.n; i++) {
            const float *x = glia_vectors_at(v, i);
            for (int64_t k = 0; k < v->size; k++)
                centres[group[i] * v->size + k] += (double)x[k] * (double)v->inverse[i];
        }
        for (int g = 0; g < groups; g++) {
            double length = 0, *c = centres + g * v->size;
            for (int64_t k = 0; k < v->size; k++) length += c[k] * c[k];
            for (int64_t k = 0; k < v->size && length > 0; k++) c[k] /= sqrt(length);
        }
        changed = assign(v, centres, groups, group);
    }
    free(centres);
    return GLIA_OK;
}
