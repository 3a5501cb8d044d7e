/* beam.c - beam search for the most probable sequences.
 *
 * Each step extends every beam by every token. The 2 x beams most probable extensions are visited in order: finished
 * ones join the complete sequences, the first `beams` of the others become the next beams. (Twice as many, because at
 * most half of them can finish: there is one end token.) Complete sequences are ranked with the length penalty of Wu et
 * al. 2016.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "glia/generate.h"

typedef struct continuation {
    double log_probability;
    int parent;
    int32_t token;
} continuation;

typedef struct search {
    glia_beam_opts opts;
    int64_t n_begin, most;   /* tokens in the prompt, and the limit */
    int32_t *tokens, *spare; /* (beams, most): the beams */
    double *log_probability; /* (beams) */
    int *parents;
    float *scores;      /* (beams, V) */
    continuation *best; /* (2 beams), most probable first */
    int n_best;
    glia_hypothesis *done; /* at most beams, best first */
    int n_done;
} search;

static double penalized(const search *s, double log_probability, int64_t n) {
    return log_probability / pow((5 + (double)n) / 6, s->opts.length_penalty);
}

static void search_free(search *s) {
    free(s->tokens);
    free(s->spare);
    free(s->log_probability);
    free(s->parents);
    free(s->scores);
    free(s->best);
}

static glia_status check(const glia_beam_opts *o, const int32_t *begin, int64_t n, glia_error *error) {
    if (n < 1 || !begin) return glia_fail(error, GLIA_E_ARGUMENT, "beam search: needs at least one initial token");
    if (o->vocabulary < 1 || o->vocabulary > INT32_MAX)
        return glia_fail(error, GLIA_E_ARGUMENT, "beam search: vocabulary must be at least 1");
    if (o->beams < 0 || o->beams > 4096 || o->length < 0 || o->length > (1 << 24))
        return glia_fail(error, GLIA_E_ARGUMENT, "beam search: beams must be in [1, 4096], length in [1, 2^24]");
    if (!(o->length_penalty >= 0 && isfinite(o->length_penalty)))
        return glia_fail(error, GLIA_E_ARGUMENT, "beam search: length_penalty must not be negative");
    return GLIA_OK;
}

static bool search_begin(search *s, const int32_t *begin, int64_t n) {
    size_t beams = (size_t)s->opts.beams, most;
    s->n_begin = n;
    s->most = n + s->opts.length;
    if (!glia_mul_fits(beams, (size_t)s->most, &most)) return false;
    s->tokens = calloc(most, sizeof *s->tokens);
    s->spare = calloc(most, sizeof *s->spare);
    s->log_probability = calloc(beams, sizeof *s->log_probability);
    s->parents = calloc(beams, sizeof *s->parents);
    s->scores = calloc(beams * (size_t)s->opts.vocabulary, sizeof *s->scores);
    s->best = calloc(2 * beams + 1, sizeof *s->best);
    if (!s->tokens || !s->spare || !s->log_probability || !s->parents || !s->scores || !s->best) return false;
    memcpy(s->tokens, begin, (size_t)n * sizeof *begin);
    return true;
}

/* Among equals the first seen stays first. */
static void offer(search *s, continuation c) {
    int most = 2 * s->opts.beams, i = s->n_best;
    if (i == most && !(c.log_probability > s->best[i - 1].log_probability)) return;
    for (; i > 0 && c.log_probability > s->best[i - 1].log_probability; i--) s->best[i] = s->best[i - 1];
    s->best[i] = c;
    if (s->n_best < most) s->n_best++;
}

/* Adds all extensions of beam `row`, whose scores become log-probabilities. */
static glia_status continue_row(search *s, int row, glia_error *error) {
    const float *scores = s->scores + (int64_t)row * s->opts.vocabulary;
    double highest = -INFINITY, sum = 0;
    for (int64_t v = 0; v < s->opts.vocabulary; v++) {
        if (isnan(scores[v]) || scores[v] == INFINITY)
            return glia_fail(error, GLIA_E_ARGUMENT, "beam search: the score of token %lld is not a finite number",
                             (long long)v);
        highest = fmax(highest, scores[v]);
    }
    if (highest == -INFINITY) return GLIA_OK; /* no token is possible */
    for (int64_t v = 0; v < s->opts.vocabulary; v++) sum += exp(scores[v] - highest);
    double base = s->log_probability[row] - highest - log(sum);
    for (int64_t v = 0; v < s->opts.vocabulary; v++) {
        if (scores[v] != -INFINITY) offer(s, (continuation){ base + scores[v], row, (int32_t)v });
    }
    return GLIA_OK;
}

/* Adds a sequence to the complete ones if it is good enough; false: out of memory. */
static bool complete(search *s, const int32_t *tokens, int64_t n, const int32_t *last, double log_probability) {
    glia_hypothesis h = { NULL, n + (last != NULL), log_probability, 0 };
    h.score = penalized(s, log_probability, h.n);
    if (s->n_done == s->opts.beams && !(h.score > s->done[s->n_done - 1].score)) return true;
    h.tokens = calloc((size_t)h.n + 1, sizeof *h.tokens);
    if (!h.tokens) return false;
    memcpy(h.tokens, tokens, (size_t)n * sizeof *tokens);
    if (last) h.tokens[n] = *last;
    if (s->n_done == s->opts.beams) free(s->done[--s->n_done].tokens);
    int i = s->n_done++;
    for (; i > 0 && h.score > s->done[i - 1].score; i--) s->done[i] = s->done[i - 1];
    s->done[i] = h;
    return true;
}

/* Chooses the next beams from n beams of `length` tokens. Returns their number; -1: out of memory. */
static int choose(search *s, int64_t length) {
    int n = 0;
    for (int i = 0; i < s->n_best && n < s->opts.beams; i++) {
        const continuation *c = &s->best[i];
        const int32_t *parent = s->tokens + c->parent * s->most;
        if (c->token == s->opts.end) {
            if (!complete(s, parent + s->n_begin, length - s->n_begin, &c->token, c->log_probability)) return -1;
            continue;
        }
        int32_t *child = s->spare + n * s->most;
        memcpy(child, parent, (size_t)length * sizeof *child);
        child[length] = c->token;
        s->log_probability[n] = c->log_probability;
        s->parents[n++] = c->parent;
    }
    int32_t *swap = s->tokens;
    s->tokens = s->spare;
    s->spare = swap;
    return n;
}

/* Whether no beam can still beat the complete sequences, even with no further loss of log-probability. */
static bool hopeless(const search *s, int64_t length) {
    if (s->n_done < s->opts.beams) return false;
    int64_t longest = s->opts.length_penalty > 0 ? s->opts.length : length - s->n_begin;
    return penalized(s, s->log_probability[0], longest) <= s->done[s->n_done - 1].score;
}

static glia_status run(search *s, glia_next_scores next, void *context, glia_error *error) {
    int n = 1;
    int64_t length = s->n_begin;
    for (; n > 0 && length < s->most && !hopeless(s, length); length++) {
        if (length > s->n_begin) { /* makes rows contiguous, as `next` reads them */
            for (int i = 0; i < n; i++)
                memmove(s->spare + i * length, s->tokens + i * s->most, (size_t)length * sizeof *s->spare);
        }
        glia_status status = next(length > s->n_begin ? s->spare : s->tokens, n, length,
                                  length > s->n_begin ? s->parents : NULL, s->scores, context, error);
        s->n_best = 0;
        for (int i = 0; status == GLIA_OK && i < n; i++) status = continue_row(s, i, error);
        if (status != GLIA_OK) return status;
        n = choose(s, length);
        if (n < 0) return glia_fail_nomem(error);
    }
    for (int i = 0; i < n; i++) { /* beams cut off by the limit: used only if nothing better is complete */
        if (length < s->most) break;
        if (!complete(s, s->tokens + i * s->most + s->n_begin, length - s->n_begin, NULL, s->log_probability[i]))
            return glia_fail_nomem(error);
    }
    return GLIA_OK;
}

glia_status glia_beam_search(glia_next_scores next, void *context, const int32_t *begin, int64_t n, glia_beam_opts opts,
                             glia_hypothesis *found, int *n_found, glia_error *error) {
    if (!next) return glia_fail_null(error, "next");
    if (!found) return glia_fail_null(error, "found");
    if (!n_found) return glia_fail_null(error, "n_found");
    if (n > 0 && !begin) return glia_fail_null(error, "begin");
    *n_found = 0;
    opts.length_penalty = glia_option(opts.length_penalty, 0);
    if (opts.beams == 0) opts.beams = 4;
    if (opts.length == 0) opts.length = 128;
    glia_status status = check(&opts, begin, n, error);
    if (status != GLIA_OK) return status;
    search s = { .opts = opts, .done = found };
    status = search_begin(&s, begin, n) ? run(&s, next, context, error) : glia_fail_nomem(error);
    search_free(&s);
    for (int i = 0; status != GLIA_OK && i < s.n_done; i++) free(found[i].tokens);
    *n_found = status == GLIA_OK ? s.n_done : 0;
    return status;
}
