/* pairs.c - batches of sentence pairs, grouped by length.
 *
 * The bucket of a pair is the length of its longer side, rounded up. An epoch visits the pairs in shuffled order and
 * puts each into its bucket; a full bucket becomes a batch. The batches are then shuffled.
 */
#include <stdlib.h>
#include <string.h>

#include "data/text/text.h"

typedef struct planned {
    int64_t first, n; /* range of `order` */
    int64_t length;
} planned;

struct glia_pairs {
    glia_pairs_opts opts;
    int64_t n;
    int32_t *ids[2];
    int64_t *starts[2]; /* first id of each pair; one extra at the end */
    int64_t *indices;   /* of the kept pairs among all given ones */
    int64_t *order, *spare;
    planned *batches;
    int64_t n_batches, at;
    int32_t *room; /* source, input, target (rows, longest); two arrays of lengths (rows) */
    int64_t *rows;
};

static int64_t side(const glia_pairs *p, int which, int64_t i) { return p->starts[which][i + 1] - p->starts[which][i]; }

/* The bucket of a pair: its batch length in units of `multiple`, including the end token. */
static int64_t bucket_of(const glia_pairs *p, int64_t i) {
    const int64_t longer = 1 + GLIA_MAX(side(p, 0, i), side(p, 1, i)), m = p->opts.multiple;
    return (longer + m - 1) / m;
}

static int64_t buckets(const glia_pairs *p) { return (p->opts.longest + p->opts.multiple - 1) / p->opts.multiple + 1; }

/* ---- creating ----------------------------------------------------------------------------- */

static bool copy_side(glia_pairs *p, int which, const glia_encoding *from) {
    int64_t total = 0;
    for (int64_t i = 0; i < p->n; i++) total += from[p->indices[i]].n;
    p->ids[which] = malloc((size_t)(total + 1) * sizeof *p->ids[which]);
    p->starts[which] = malloc((size_t)(p->n + 1) * sizeof *p->starts[which]);
    if (!p->ids[which] || !p->starts[which]) return false;
    int64_t at = 0;
    for (int64_t i = 0; i < p->n; i++) {
        const glia_encoding *e = &from[p->indices[i]];
        p->starts[which][i] = at;
        if (e->n) memcpy(p->ids[which] + at, e->ids, (size_t)e->n * sizeof *e->ids);
        at += e->n;
    }
    p->starts[which][p->n] = at;
    return true;
}

static bool fill(glia_pairs *p, const glia_encoding *sources, const glia_encoding *targets, int64_t n) {
    const size_t all = (size_t)n + 1, rows = (size_t)p->opts.batch;
    const size_t length = (size_t)((p->opts.longest + p->opts.multiple - 1) / p->opts.multiple * p->opts.multiple);
    p->indices = malloc(all * sizeof *p->indices);
    p->order = malloc(all * sizeof *p->order);
    p->spare = malloc(all * sizeof *p->spare);
    p->room = malloc(rows * (3 * length + 2) * sizeof *p->room);
    p->rows = malloc(rows * sizeof *p->rows);
    if (!p->indices || !p->order || !p->spare || !p->room || !p->rows) return false;
    for (int64_t i = 0; i < n; i++) {
        const bool fits = GLIA_MAX(sources[i].n, targets[i].n) < p->opts.longest;
        if (fits && sources[i].n && targets[i].n) p->indices[p->n++] = i;
    }
    p->batches = malloc((size_t)(p->n / p->opts.batch + buckets(p) + 1) * sizeof *p->batches);
    return p->batches && copy_side(p, 0, sources) && copy_side(p, 1, targets);
}

glia_pairs *glia_pairs_create(const glia_encoding *sources, const glia_encoding *targets, int64_t n,
                              glia_pairs_opts opts, glia_error *error) {
    if (n > 0 && !sources) return glia_fail_null(error, "sources"), NULL;
    if (n > 0 && !targets) return glia_fail_null(error, "targets"), NULL;
    if (!opts.batch) opts.batch = 32;
    if (!opts.longest) opts.longest = 64;
    if (!opts.multiple) opts.multiple = 8;
    if (n < 0 || opts.batch < 1 || opts.batch > 1 << 20 || opts.longest < 2 || opts.longest > 1 << 16 ||
        opts.multiple < 1 || opts.multiple > opts.longest)
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "pairs: a batch of %lld, at most %lld tokens or multiples of %lld are out of range",
                         (long long)opts.batch, (long long)opts.longest, (long long)opts.multiple),
               NULL;
    glia_pairs *p = calloc(1, sizeof *p);
    if (p) p->opts = opts;
    if (!p || !fill(p, sources, targets, n)) {
        glia_pairs_free(p);
        return glia_fail_nomem(error), NULL;
    }
    if (p->n) return p;
    glia_pairs_free(p);
    return glia_fail(error, GLIA_E_ARGUMENT, "none of the %lld pairs is short enough and has tokens on both sides",
                     (long long)n),
           NULL;
}

void glia_pairs_free(glia_pairs *p) {
    if (!p) return;
    for (int i = 0; i < 2; i++) {
        free(p->ids[i]);
        free(p->starts[i]);
    }
    free(p->indices);
    free(p->order);
    free(p->spare);
    free(p->batches);
    free(p->room);
    free(p->rows);
    free(p);
}

/* ---- files -------------------------------------------------------------------------------- */

typedef struct lines {
    glia_file file;
    uint8_t *owned;
    glia_string *at;
    int n, capacity;
    glia_encoding *encodings;
} lines;

static glia_status read_lines(lines *l, const char *path, const glia_tokenizer *t, glia_error *error) {
    const uint8_t *text;
    size_t length;
    glia_status status = glia_file_open(&l->file, path, error);
    if (status) return status;
    status = glia_gunzip_text(l->file.bytes, l->file.length, &text, &length, &l->owned, error);
    for (size_t at = 0; at < length && !status;) {
        const uint8_t *stop = memchr(text + at, '\n', length - at);
        size_t end = stop ? (size_t)(stop - text) : length;
        const size_t next = end + 1;
        if (end > at && text[end - 1] == '\r') end--;
        if (!glia_grow((void **)&l->at, l->n, &l->capacity, sizeof *l->at))
            status = glia_fail_nomem(error);
        else
            l->at[l->n++] = (glia_string){ (const char *)text + at, end - at };
        at = next;
    }
    if (!status) {
        l->encodings = calloc((size_t)l->n + 1, sizeof *l->encodings);
        if (!l->encodings) status = glia_fail_nomem(error);
    }
    if (!status) status = glia_tokenizer_encode_batch(t, l->at, l->n, (glia_encode_opts){ 0 }, 0, l->encodings, error);
    return glia_fail_at_path(error, path, status);
}

static void lines_free(lines *l) {
    for (int i = 0; l->encodings && i < l->n; i++) glia_encoding_free(&l->encodings[i]);
    free(l->encodings);
    free(l->at);
    free(l->owned);
    glia_file_close(&l->file);
}

glia_pairs *glia_pairs_open(const char *source_path, const char *target_path, const glia_tokenizer *source,
                            const glia_tokenizer *target, glia_pairs_opts opts, glia_error *error) {
    if (!source_path) return glia_fail_null(error, "source_path"), NULL;
    if (!target_path) return glia_fail_null(error, "target_path"), NULL;
    if (!source) return glia_fail_null(error, "source"), NULL;
    if (!target) return glia_fail_null(error, "target"), NULL;
    lines s = { 0 }, t = { 0 };
    glia_pairs *p = NULL;
    glia_status status = read_lines(&s, source_path, source, error);
    if (!status) status = read_lines(&t, target_path, target, error);
    if (!status && s.n != t.n)
        glia_fail(error, GLIA_E_FORMAT, "%s has %d lines, but %s has %d", source_path, s.n, target_path, t.n);
    else if (!status)
        p = glia_pairs_create(s.encodings, t.encodings, s.n, opts, error);
    lines_free(&s);
    lines_free(&t);
    return p;
}

/* ---- epochs ------------------------------------------------------------------------------- */

int64_t glia_pairs_count(const glia_pairs *p) { return p ? p->n : 0; }
int64_t glia_pairs_batches(const glia_pairs *p) { return p ? p->n_batches : 0; }

int glia_pairs_lengths(const glia_pairs *p, int64_t *lengths, int capacity) {
    if (!p) return 0;
    if (!lengths) capacity = 0;
    int n = 0;
    for (int64_t b = 1; b < buckets(p); b++) {
        bool used = false;
        for (int64_t i = 0; i < p->n && !used; i++) used = bucket_of(p, i) == b;
        if (used && n < capacity) lengths[n] = b * p->opts.multiple;
        n += used;
    }
    return n;
}

/* Sorts the pairs by bucket into `order`, within a bucket as in `spare`, and lists the batches. */
static void plan(glia_pairs *p) {
    int64_t at = 0;
    p->n_batches = 0;
    for (int64_t b = 1; b < buckets(p); b++) {
        const int64_t first = at;
        for (int64_t i = 0; i < p->n; i++)
            if (bucket_of(p, p->spare[i]) == b) p->order[at++] = p->spare[i];
        for (int64_t k = first; k < at; k += p->opts.batch)
            p->batches[p->n_batches++] = (planned){ k, GLIA_MIN(p->opts.batch, at - k), b * p->opts.multiple };
    }
}

glia_status glia_pairs_start(glia_pairs *p, int64_t epoch, glia_error *error) {
    if (!p) return glia_fail_null(error, "pairs");
    if (epoch < 0) return glia_fail(error, GLIA_E_ARGUMENT, "pairs: the epoch %lld is negative", (long long)epoch);
    glia_rng rng = { .seed = p->opts.seed, .stream = (uint64_t)epoch };
    for (int64_t i = 0; i < p->n; i++) p->spare[i] = i;
    for (int64_t i = p->n - 1; i > 0 && p->opts.shuffle; i--) {
        const int64_t k = (int64_t)glia_rng_below(&rng, (uint64_t)i + 1), held = p->spare[i];
        p->spare[i] = p->spare[k];
        p->spare[k] = held;
    }
    plan(p);
    for (int64_t i = p->n_batches - 1; i > 0 && p->opts.shuffle; i--) {
        const int64_t k = (int64_t)glia_rng_below(&rng, (uint64_t)i + 1);
        const planned held = p->batches[i];
        p->batches[i] = p->batches[k];
        p->batches[k] = held;
    }
    p->at = 0;
    return GLIA_OK;
}

bool glia_pairs_next(glia_pairs *p, glia_pair_batch *out) {
    if (!p || !out) return false;
    if (p->at >= p->n_batches) return false;
    const planned b = p->batches[p->at++];
    const int64_t rows = p->opts.batch, size = rows * b.length;
    int32_t *source = p->room, *input = source + size, *target = input + size, *lengths = target + size;
    for (int64_t i = 0; i < 3 * size; i++) source[i] = i < 2 * size ? p->opts.pad : -1;
    for (int64_t r = 0; r < rows; r++) {
        const int64_t pair = p->order[b.first + r % b.n], at = r * b.length, n = side(p, 0, pair), m = side(p, 1, pair);
        const int32_t *to = p->ids[1] + p->starts[1][pair];
        memcpy(source + at, p->ids[0] + p->starts[0][pair], (size_t)n * sizeof *source);
        source[at + n] = p->opts.end;
        input[at] = p->opts.begin;
        memcpy(input + at + 1, to, (size_t)m * sizeof *input);
        if (r < b.n) {
            memcpy(target + at, to, (size_t)m * sizeof *target);
            target[at + m] = p->opts.end;
        }
        lengths[r] = (int32_t)n + 1;
        lengths[rows + r] = (int32_t)m + 1;
        p->rows[r] = p->indices[pair];
    }
    *out = (glia_pair_batch){ b.n, rows, b.length, source, lengths, input, target, lengths + rows, p->rows };
    return true;
}
