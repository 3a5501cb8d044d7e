/* train_unigram.c - trains a unigram model (Kudo 2018, section 3.2), as in SentencePiece.
 *
 * The seeds are the substrings of words with the largest count times length. Expectation maximisation estimates their
 * probabilities: the E-step is a forward-backward pass over all segmentations of each word, the M-step is Bayesian
 * (digamma) and removes pieces with a small expected count. Between rounds, the pieces whose removal reduces the
 * likelihood least are pruned, a quarter at a time, until a tenth more than wanted is left. Single characters are kept.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/text/text.h"

enum { PIECE_MOST = 16, SEEDS_EACH = 32, SHARES = 16, ROUNDS_EACH = 2 };

typedef struct candidate {
    glia_string word;
    double score;
} candidate;

typedef struct trainer {
    const glia_trainer *t;
    glia_arena arena;  /* holds starts and lengths; pieces point into the words */
    candidate *pieces; /* single characters first, sorted */
    int32_t n, characters;
    glia_token_model model; /* of the current pieces */
    uint32_t **starts;      /* offsets of the characters of each word; one extra at the end */
    int32_t *lengths;       /* characters of each word */
    int32_t longest;        /* maximum of lengths */
    double *expected[SHARES];
    double *scratch[SHARES];
    bool failed;
} trainer;

/* ---- words -------------------------------------------------------------------------------- */

static void measure_words(trainer *t) {
    const glia_counts *c = t->t->counts;
    t->starts = glia_arena_alloc(&t->arena, (size_t)(c->n + 1) * sizeof *t->starts);
    t->lengths = glia_arena_alloc(&t->arena, (size_t)(c->n + 1) * sizeof *t->lengths);
    for (int32_t i = 0; t->starts && t->lengths && i < c->n; i++) {
        const glia_string w = c->words[i];
        uint32_t *starts = glia_arena_alloc(&t->arena, (w.length + 1) * sizeof *starts);
        if (!starts) break;
        int32_t n = 0;
        for (const char *p = w.bytes; p < w.bytes + w.length; glia_utf8_take(&p, w.bytes + w.length))
            starts[n++] = (uint32_t)(p - w.bytes);
        starts[n] = (uint32_t)w.length;
        t->starts[i] = starts;
        t->lengths[i] = n;
        t->longest = GLIA_MAX(t->longest, n);
    }
    t->failed = !t->starts || !t->lengths || (c->n && !t->starts[c->n - 1]);
}

/* ---- seeds -------------------------------------------------------------------------------- */

static int by_word(const void *a, const void *b) {
    const glia_string p = ((const candidate *)a)->word, q = ((const candidate *)b)->word;
    const int order = memcmp(p.bytes, q.bytes, GLIA_MIN(p.length, q.length));
    return order ? order : (p.length > q.length) - (p.length < q.length);
}

static int by_score(const void *a, const void *b) {
    const double p = ((const candidate *)a)->score, q = ((const candidate *)b)->score;
    return p != q ? (p < q ? 1 : -1) : by_word(a, b);
}

static int32_t characters_of(glia_string s) {
    int32_t n = 0;
    for (size_t i = 0; i < s.length; i++) n += (s.bytes[i] & 0xC0) != 0x80;
    return n;
}

/* All substrings of words of `least` to `most` characters, with their counts. */
static candidate *count_parts(trainer *t, int32_t least, int32_t most, int64_t *n) {
    const glia_counts *c = t->t->counts;
    int64_t total = 0;
    for (int32_t i = 0; i < c->n; i++)
        for (int32_t k = least; k <= most && k <= t->lengths[i]; k++) total += t->lengths[i] - k + 1;
    candidate *parts = malloc((size_t)GLIA_MAX(total, (int64_t)1) * sizeof *parts);
    *n = 0;
    if (!parts) return t->failed = true, NULL;
    for (int32_t i = 0; i < c->n; i++) {
        const uint32_t *s = t->starts[i];
        for (int32_t at = 0; at < t->lengths[i]; at++)
            for (int32_t k = least; k <= most && at + k <= t->lengths[i]; k++)
                parts[(*n)++] = (candidate){ { c->words[i].bytes + s[at], s[at + k] - s[at] }, (double)c->counts[i] };
    }
    if (*n) qsort(parts, (size_t)*n, sizeof *parts, by_word);
    int64_t kept = 0;
    for (int64_t i = 0; i < *n; i++) {
        if (kept && !by_word(&parts[kept - 1], &parts[i]))
            parts[kept - 1].score += parts[i].score;
        else
            parts[kept++] = parts[i];
    }
    *n = kept;
    return parts;
}

static void find_seeds(trainer *t) {
    int64_t n_single, n_longer, kept = 0;
    candidate *single = count_parts(t, 1, 1, &n_single),
              *longer = t->failed ? NULL : count_parts(t, 2, PIECE_MOST, &n_longer);
    if (!t->failed) {
        for (int64_t i = 0; i < n_longer; i++) {
            if (longer[i].score < 2) continue;
            longer[kept] = longer[i];
            longer[kept++].score *= characters_of(longer[i].word);
        }
        if (kept) qsort(longer, (size_t)kept, sizeof *longer, by_score);
        kept = GLIA_MIN(kept, SEEDS_EACH * t->t->opts.vocabulary);
        t->n = (int32_t)(n_single + kept);
        t->characters = (int32_t)n_single;
        t->pieces = malloc((size_t)GLIA_MAX(t->n, 1) * sizeof *t->pieces);
        t->failed = !t->pieces;
    }
    if (!t->failed) {
        double sum = 0;
        memcpy(t->pieces, single, (size_t)n_single * sizeof *single);
        memcpy(t->pieces + n_single, longer, (size_t)kept * sizeof *longer);
        for (int32_t i = 0; i < t->n; i++) sum += t->pieces[i].score;
        for (int32_t i = 0; i < t->n; i++) t->pieces[i].score = log(t->pieces[i].score / sum);
    }
    free(single);
    free(longer);
}

/* ---- expectation -------------------------------------------------------------------------- */

/* Builds the model of the current pieces. */
static void set_model(trainer *t) {
    glia_vocabulary_free(&t->model.vocabulary);
    free(t->model.scores);
    t->model.scores = malloc((size_t)GLIA_MAX(t->n, 1) * sizeof *t->model.scores);
    t->model.least = 0;
    t->model.longest = PIECE_MOST;
    t->model.unknown = -1;
    t->failed = t->failed || !t->model.scores;
    for (int32_t i = 0; i < t->n && !t->failed; i++) {
        t->model.scores[i] = t->pieces[i].score;
        t->model.least = fmin(t->model.least, t->pieces[i].score);
        t->failed = !glia_vocabulary_set(&t->model.vocabulary, t->pieces[i].word.bytes, t->pieces[i].word.length, i);
    }
}

static double log_add(double a, double b) {
    if (a == -INFINITY) return b;
    if (b == -INFINITY) return a;
    return a > b ? a + log1p(exp(b - a)) : b + log1p(exp(a - b));
}

/* Adds the expected counts of a word's pieces: forward-backward over all its segmentations. */
static void expect_word(const trainer *t, int32_t word, double *forward, double *backward, double *expected) {
    const glia_string w = t->t->counts->words[word];
    const uint32_t *s = t->starts[word];
    const int32_t n = t->lengths[word];
    int32_t *ids = (int32_t *)(void *)(backward + n + 1); /* of the substring of k + 1 characters at `at` */
    for (int32_t i = 0; i <= n; i++) forward[i] = backward[i] = -INFINITY;
    forward[0] = backward[n] = 0;
    for (int32_t at = 0; at < n; at++)
        for (int32_t k = 0; k < PIECE_MOST && at + k < n; k++) {
            const int32_t id = glia_vocabulary_find(&t->model.vocabulary, w.bytes + s[at], s[at + k + 1] - s[at]);
            ids[at * PIECE_MOST + k] = id;
            if (id >= 0) forward[at + k + 1] = log_add(forward[at + k + 1], forward[at] + t->model.scores[id]);
        }
    for (int32_t at = n - 1; at >= 0; at--)
        for (int32_t k = 0; k < PIECE_MOST && at + k < n; k++) {
            const int32_t id = ids[at * PIECE_MOST + k];
            if (id >= 0) backward[at] = log_add(backward[at], t->model.scores[id] + backward[at + k + 1]);
        }
    if (!isfinite(forward[n])) return;
    const double count = (double)t->t->counts->counts[word];
    for (int32_t at = 0; at < n; at++)
        for (int32_t k = 0; k < PIECE_MOST && at + k < n; k++) {
            const int32_t id = ids[at * PIECE_MOST + k];
            if (id < 0) continue;
            expected[id] += count * exp(forward[at] + t->model.scores[id] + backward[at + k + 1] - forward[n]);
        }
}

static void expect_share(void *context, int64_t share, int worker) {
    trainer *t = context;
    const int64_t n = t->t->counts->n;
    (void)worker;
    memset(t->expected[share], 0, (size_t)t->n * sizeof *t->expected[share]);
    double *forward = t->scratch[share], *backward = forward + t->longest + 1;
    for (int64_t i = share * n / SHARES; i < (share + 1) * n / SHARES; i++)
        expect_word(t, (int32_t)i, forward, backward, t->expected[share]);
}

/* The derivative of ln gamma, from its recurrence and asymptotic series (Abramowitz and Stegun 6.3.18). */
static double digamma(double x) {
    double result = 0;
    for (; x < 7; x++) result -= 1 / x;
    x -= 0.5;
    const double xx = 1 / (x * x);
    return result + log(x) + xx / 24 - 7 * xx * xx / 960 + 31 * xx * xx * xx / 8064 - 127 * xx * xx * xx * xx / 30720;
}

/* One round of EM: scores from expected counts; pieces with an expected count below 0.5 are removed. */
static void maximize(trainer *t) {
    glia_parallel_for(t->t->pool, SHARES, expect_share, t);
    double sum = 0;
    int32_t kept = 0, characters = 0;
    for (int32_t i = 0; i < t->n; i++) {
        double expected = 0;
        for (int s = 0; s < SHARES; s++) expected += t->expected[s][i];
        if (expected < 0.5 && i >= t->characters) continue;
        expected = fmax(expected, 0.5);
        characters += i < t->characters;
        t->pieces[kept] = t->pieces[i];
        t->pieces[kept++].score = expected;
        sum += expected;
    }
    t->n = kept;
    t->characters = characters;
    const double all = digamma(sum);
    for (int32_t i = 0; i < t->n; i++) t->pieces[i].score = digamma(t->pieces[i].score) - all;
}

/* ---- pruning ------------------------------------------------------------------------------ */

typedef struct pruner {
    double *best, *frequency, *holding; /* count in the best segmentations; counts of words whose best one has it */
    int32_t *begins, *ids;
    double total;
} pruner;

/* Counts the pieces in the best segmentation of each word. */
static void cut_words(const trainer *t, pruner *p) {
    const glia_counts *c = t->t->counts;
    for (int32_t i = 0; i < c->n; i++) {
        const int32_t n = t->lengths[i];
        glia_unigram_best(&t->model, c->words[i].bytes, t->starts[i], n, p->best, p->begins, p->ids);
        p->total += (double)c->counts[i];
        for (int32_t at = n; at > 0; at = p->begins[at]) {
            const int32_t id = p->ids[at];
            if (id < 0) continue;
            p->frequency[id] += (double)c->counts[i];
            bool before = false; /* already counted later in the word */
            for (int32_t k = n; k > at && !before; k = p->begins[k]) before = p->ids[k] == id;
            if (!before) p->holding[id] += (double)c->counts[i];
        }
    }
}

/* The loss of likelihood if a piece is removed and its text is segmented by the others. Infinity: it must stay;
 * negative infinity: it is unused. */
static double loss_without(const trainer *t, const pruner *p, int32_t id, double sum, glia_token_model *others) {
    const glia_string w = t->pieces[id].word;
    uint32_t starts[PIECE_MOST + 1];
    double best[PIECE_MOST + 1];
    int32_t begins[PIECE_MOST + 1], ids[PIECE_MOST + 1], n = 0;
    if (p->frequency[id] == 0) return -INFINITY;
    for (const char *at = w.bytes; at < w.bytes + w.length; glia_utf8_take(&at, w.bytes + w.length))
        starts[n++] = (uint32_t)(at - w.bytes);
    starts[n] = (uint32_t)w.length;
    others->longest = n - 1; /* excludes the piece itself */
    glia_unigram_best(others, w.bytes, starts, n, best, begins, ids);
    double parts = 0, alternative = 0;
    for (int32_t at = n; at > 0; at = begins[at]) {
        if (ids[at] < 0) return INFINITY;
        parts++;
        alternative += log(p->frequency[ids[at]] + p->frequency[id]);
    }
    alternative -= parts * log(sum + p->frequency[id] * (parts - 1));
    return p->holding[id] / p->total * (log(p->frequency[id]) - log(sum) - alternative);
}

static void prune_with(trainer *t, pruner *p, int32_t wanted) {
    candidate *list = malloc((size_t)GLIA_MAX(t->n, 1) * sizeof *list);
    if (!list) {
        t->failed = true;
        return;
    }
    cut_words(t, p);
    double sum = 0;
    for (int32_t i = 0; i < t->n; i++) sum += p->frequency[i];
    glia_token_model others = t->model;
    int32_t n = 0;
    for (int32_t i = t->characters; i < t->n; i++) {
        const double loss = loss_without(t, p, i, sum, &others);
        if (loss == -INFINITY) continue;
        list[n] = (candidate){ t->pieces[i].word, loss };
        n++;
    }
    if (n) qsort(list, (size_t)n, sizeof *list, by_score);
    const int32_t room = GLIA_MAX(GLIA_MAX(wanted, (int32_t)(0.75 * t->n)) - t->characters, 0);
    n = GLIA_MIN(n, room);
    for (int32_t i = 0; i < n; i++) {
        const int32_t id = glia_vocabulary_find(&t->model.vocabulary, list[i].word.bytes, list[i].word.length);
        list[i].score = t->model.scores[id];
    }
    if (n) memcpy(t->pieces + t->characters, list, (size_t)n * sizeof *list);
    t->n = t->characters + n;
    free(list);
}

static void prune(trainer *t, int32_t wanted) {
    const size_t length = (size_t)t->longest + 1, n = (size_t)t->n;
    pruner p = { .best = malloc(length * sizeof *p.best),
                 .begins = malloc(length * sizeof *p.begins),
                 .ids = malloc(length * sizeof *p.ids),
                 .frequency = calloc(n + 1, sizeof *p.frequency),
                 .holding = calloc(n + 1, sizeof *p.holding) };
    if (p.best && p.begins && p.ids && p.frequency && p.holding)
        prune_with(t, &p, wanted);
    else
        t->failed = true;
    free(p.best);
    free(p.begins);
    free(p.ids);
    free(p.frequency);
    free(p.holding);
}

/* ---- training ----------------------------------------------------------------------------- */

static void train(trainer *t) {
    const int64_t room = t->t->opts.vocabulary - t->t->n_specials;
    const int32_t wanted = (int32_t)(GLIA_MAX(room, (int64_t)1) * 11 / 10);
    for (int s = 0; s < SHARES && !t->failed; s++) {
        t->expected[s] = malloc((size_t)GLIA_MAX(t->n, 1) * sizeof *t->expected[s]);
        t->scratch[s] = malloc((size_t)(t->longest + 1) * (2 * sizeof(double) + PIECE_MOST * sizeof(int32_t)));
        t->failed = !t->expected[s] || !t->scratch[s];
    }
    while (!t->failed) {
        for (int i = 0; i < ROUNDS_EACH && !t->failed; i++) {
            set_model(t);
            if (!t->failed) maximize(t);
        }
        if (t->failed || t->n <= wanted) return;
        const int32_t before = t->n;
        set_model(t);
        if (!t->failed) prune(t, wanted);
        if (t->n == before) return;
    }
}

/* Writes the special tokens, then the pieces, most likely first; all single characters are included. */
static glia_status write_model(trainer *t, glia_text *out) {
    const int64_t room = t->t->opts.vocabulary - t->t->n_specials;
    if (room < t->characters)
        return glia_fail(t->t->error, GLIA_E_ARGUMENT,
                         "a vocabulary of %lld tokens is too small: special tokens and characters alone are %lld",
                         (long long)t->t->opts.vocabulary, (long long)t->characters + t->t->n_specials);
    if (t->n > t->characters)
        qsort(t->pieces + t->characters, (size_t)(t->n - t->characters), sizeof *t->pieces, by_score);
    t->n = (int32_t)GLIA_MIN(t->n, room);
    if (t->n) qsort(t->pieces, (size_t)t->n, sizeof *t->pieces, by_score);
    int unknown = 0;
    glia_text list = { 0 };
    for (int i = 0; i < t->t->n_specials; i++) {
        if (!strcmp(t->t->specials[i], "<unk>")) unknown = i;
        glia_text_printf(&list, "%s[", i ? "," : "");
        glia_json_write_string(&list, t->t->specials[i]);
        glia_text_printf(&list, ",0.0]");
    }
    for (int32_t i = 0; i < t->n; i++) {
        char name[4 * PIECE_MOST + 1] = { 0 }, number[GLIA_NUMBER_TEXT];
        memcpy(name, t->pieces[i].word.bytes, t->pieces[i].word.length);
        glia_text_append(&list, ",\n[", 3);
        glia_json_write_string(&list, name);
        glia_text_printf(&list, ",%s]", glia_number_print(t->pieces[i].score, number));
    }
    glia_text_printf(out, "{\"type\":\"Unigram\",\"unk_id\":%d,\"byte_fallback\":false,\"vocab\":[", unknown);
    glia_text_append(out, list.bytes, list.length);
    glia_text_append(out, "]}", 2);
    const bool failed = list.failed;
    free(list.bytes);
    return failed ? glia_fail_nomem(t->t->error) : GLIA_OK;
}

glia_status glia_train_unigram(const glia_trainer *given, glia_text *out) {
    trainer t = { .t = given };
    measure_words(&t);
    if (!t.failed) find_seeds(&t);
    if (!t.failed) train(&t);
    const glia_status status = t.failed ? glia_fail_nomem(given->error) : write_model(&t, out);
    for (int s = 0; s < SHARES; s++) {
        free(t.expected[s]);
        free(t.scratch[s]);
    }
    glia_vocabulary_free(&t.model.vocabulary);
    free(t.model.scores);
    free(t.pieces);
    glia_arena_free(&t.arena);
    return status;
}
