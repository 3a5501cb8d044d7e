/* sampling.c - samples a token from scores.
 *
 * Candidates form a heap by score; only as many are removed as top_k and top_p need. Sorting a large vocabulary for
 * each token would cost more than some models.
 */
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "glia/generate.h"

enum { STREAM_SAMPLING = 0x73616d70 };

typedef struct candidate {
    double score; /* later the probability, not normalised */
    int32_t token;
} candidate;

struct glia_sampler {
    glia_sampling how;
    int64_t vocabulary;
    candidate *heap;
    bool *seen; /* by token: it occurs in the past */
};

static glia_status check(const glia_sampling *s, int64_t vocabulary, glia_error *error) {
    if (vocabulary < 1 || vocabulary > INT32_MAX)
        return glia_fail(error, GLIA_E_ARGUMENT, "sampling: the vocabulary must have at least one token");
    if (!(s->temperature > 0 && isfinite(s->temperature)))
        return glia_fail(error, GLIA_E_ARGUMENT, "sampling: temperature must be above 0, not %g", s->temperature);
    if (!(s->repetition_penalty > 0 && isfinite(s->repetition_penalty)))
        return glia_fail(error, GLIA_E_ARGUMENT, "sampling: repetition_penalty must be above 0, not %g",
                         s->repetition_penalty);
    if (s->top_k < 0)
        return glia_fail(error, GLIA_E_ARGUMENT, "sampling: top_k must not be negative, but is %d", s->top_k);
    if (!(s->top_p >= 0 && s->top_p <= 1))
        return glia_fail(error, GLIA_E_ARGUMENT, "sampling: top_p must be in [0, 1], not %g", s->top_p);
    if (!(s->min_p >= 0 && s->min_p <= 1))
        return glia_fail(error, GLIA_E_ARGUMENT, "sampling: min_p must be in [0, 1], not %g", s->min_p);
    return GLIA_OK;
}

glia_sampler *glia_sampler_create(int64_t vocabulary, glia_sampling sampling, glia_error *error) {
    if (sampling.temperature == GLIA_ZERO) sampling.greedy = true;
    sampling.temperature = sampling.temperature == GLIA_ZERO ? 1 : glia_option(sampling.temperature, 1);
    sampling.repetition_penalty = glia_option(sampling.repetition_penalty, 1);
    sampling.top_p = glia_option(sampling.top_p, 1);
    sampling.min_p = glia_option(sampling.min_p, 0);
    if (check(&sampling, vocabulary, error) != GLIA_OK) return NULL;
    glia_sampler *s = calloc(1, sizeof *s);
    if (s) {
        *s = (glia_sampler){ sampling, vocabulary, calloc((size_t)vocabulary, sizeof *s->heap),
                             calloc((size_t)vocabulary, sizeof *s->seen) };
    }
    if (s && s->heap && s->seen) return s;
    glia_sampler_free(s);
    glia_fail_nomem(error);
    return NULL;
}

void glia_sampler_free(glia_sampler *s) {
    if (!s) return;
    free(s->heap);
    free(s->seen);
    free(s);
}

/* Of equal scores the lower token is first. */
static bool before(candidate a, candidate b) { return a.score != b.score ? a.score > b.score : a.token < b.token; }

static void sift(candidate *heap, int64_t n, int64_t i) {
    candidate x = heap[i];
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(heap[child + 1], heap[child])) child++;
        if (!before(heap[child], x)) break;
        heap[i] = heap[child];
    }
    heap[i] = x;
}

/* Moves the `most` highest of n candidates, or those that make up `share` of `total`, to the array's end, the highest
 * last. Returns their number. With total not 0 their scores are unnormalised probabilities. */
static int64_t take_highest(candidate *heap, int64_t n, int64_t most, double share, double total) {
    for (int64_t i = n / 2; i-- > 0;) sift(heap, n, i);
    double sum = 0;
    int64_t taken = 0;
    while (taken < most && taken < n && !(taken > 0 && total > 0 && sum >= share * total)) {
        int64_t last = n - 1 - taken++;
        candidate highest = heap[0];
        heap[0] = heap[last];
        heap[last] = highest;
        if (last > 1) sift(heap, last, 0);
        sum += highest.score;
    }
    return taken;
}

/* Fills the heap with the possible tokens. Returns their number; -1: a score is NaN. */
static int64_t gather(glia_sampler *s, const float *scores, const int32_t *past, int64_t n_past) {
    const bool repeats = s->how.repetition_penalty != 1;
    for (int64_t i = 0; repeats && i < n_past; i++) {
        if (past[i] >= 0 && past[i] < s->vocabulary) s->seen[past[i]] = true;
    }
    int64_t n = 0;
    for (int64_t i = 0; i < s->vocabulary; i++) {
        double x = scores[i];
        if (isnan(x)) n = -1;
        if (n < 0) break;
        if (repeats && s->seen[i]) x = x < 0 ? x * s->how.repetition_penalty : x / s->how.repetition_penalty;
        if (x != -INFINITY) s->heap[n++] = (candidate){ x, (int32_t)i };
    }
    for (int64_t i = 0; repeats && i < n_past; i++) {
        if (past[i] >= 0 && past[i] < s->vocabulary) s->seen[past[i]] = false;
    }
    return n;
}

/* Scores become exp((score - highest) / temperature). Returns their sum. */
static double weigh(candidate *c, int64_t n, double temperature) {
    double highest = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) highest = fmax(highest, c[i].score);
    for (int64_t i = 0; i < n; i++) {
        c[i].score = c[i].score == highest ? 1 : exp((c[i].score - highest) / temperature); /* infinity too */
        sum += c[i].score;
    }
    return sum;
}

glia_status glia_sampler_next(glia_sampler *s, const float *scores, const int32_t *past, int64_t n_past, int32_t *token,
                              glia_error *error) {
    if (!s) return glia_fail_null(error, "sampler");
    if (!scores) return glia_fail_null(error, "scores");
    if (!token) return glia_fail_null(error, "token");
    if (n_past > 0 && !past) return glia_fail_null(error, "past");
    candidate *c = s->heap;
    int64_t n = gather(s, scores, past, n_past);
    if (n < 0) return glia_fail(error, GLIA_E_ARGUMENT, "sampling: a score is not a number");
    if (n == 0) return glia_fail(error, GLIA_E_ARGUMENT, "sampling: all tokens have probability 0");
    if (s->how.greedy) {
        candidate best = c[0];
        for (int64_t i = 1; i < n; i++) best = before(c[i], best) ? c[i] : best;
        *token = best.token;
        return GLIA_OK;
    }
    if (s->how.top_k && s->how.top_k < n) {
        int64_t k = take_highest(c, n, s->how.top_k, 1, 0);
        c += n - k;
        n = k;
    }
    double total = weigh(c, n, s->how.temperature);
    if (s->how.top_p < 1) {
        int64_t k = take_highest(c, n, n, s->how.top_p, total);
        c += n - k;
        n = k;
    }
    total = 0;
    for (int64_t i = 0; i < n; i++) {
        if (c[i].score < s->how.min_p) c[i].score = 0; /* the highest one's is 1 */
        total += c[i].score;
    }
    glia_rng rng = { .seed = s->how.seed, .stream = STREAM_SAMPLING, .position = (uint64_t)n_past * 2 };
    double at = glia_rng_uniform(&rng) * total;
    int64_t chosen = 0;
    for (int64_t i = 0; i < n; i++) {
        if (c[i].score == 0) continue;
        chosen = i;
        if ((at -= c[i].score) < 0) break;
    }
    *token = c[chosen].token;
    return GLIA_OK;
}
