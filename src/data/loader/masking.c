/* masking.c - whole-word masking for masked language models (Devlin et al. 2019, section 3.1).
 *
 * Words are chosen in random order until the requested share of tokens is reached. A word that would exceed it is
 * skipped, as in create_pretraining_data.py. At least one token is requested, and the first word is always taken.
 */
#include <math.h>
#include <stdlib.h>

#include "data/sources/data.h"
#include "glia/transformers.h"

/* Finds the starts of the row's words; returns their number. *n_tokens: number of tokens that may be masked. */
static int64_t find_words(const int32_t *ids, int64_t length, const glia_masking_opts *o, int64_t *words,
                          int64_t *n_tokens) {
    int64_t n = 0;
    *n_tokens = 0;
    for (int64_t i = 0; i < length; i++) {
        if (ids[i] < o->first || ids[i] >= o->vocabulary) continue;
        ++*n_tokens;
        const bool goes_on = i > 0 && ids[i - 1] >= o->first && o->continues && o->continues[ids[i]];
        if (!goes_on) words[n++] = i;
    }
    return n;
}

static int64_t word_end(const int32_t *ids, int64_t length, const glia_masking_opts *o, int64_t begin) {
    int64_t end = begin + 1;
    while (end < length && ids[end] >= o->first && ids[end] < o->vocabulary && o->continues && o->continues[ids[end]])
        end++;
    return end;
}

static int32_t in_place_of(int32_t id, const glia_masking_opts *o, glia_rng *rng) {
    const double draw = glia_rng_uniform(rng);
    if (draw < 0.8) return o->mask;
    if (draw < 0.9) return o->first + (int32_t)glia_rng_below(rng, (uint64_t)(o->vocabulary - o->first));
    return id;
}

static void mask_row(const int32_t *ids, int64_t length, const glia_masking_opts *o, glia_rng rng, int64_t *words,
                     int32_t *masked, int32_t *labels) {
    int64_t n_tokens, chosen = 0;
    const int64_t n = find_words(ids, length, o, words, &n_tokens);
    const int64_t wanted = GLIA_MAX(1, (int64_t)llround(o->share * (double)n_tokens));
    for (int64_t i = 0; i < length; i++) masked[i] = ids[i], labels[i] = -1;
    for (int64_t i = 0; i < n && chosen < wanted; i++) {
        const int64_t other = i + (int64_t)glia_rng_below(&rng, (uint64_t)(n - i)), begin = words[other];
        words[other] = words[i];
        const int64_t end = word_end(ids, length, o, begin);
        if (chosen > 0 && chosen + end - begin > wanted) continue;
        for (int64_t k = begin; k < end; k++) {
            labels[k] = ids[k];
            masked[k] = in_place_of(ids[k], o, &rng);
        }
        chosen += end - begin;
    }
}

glia_status glia_mask_words(const int32_t *ids, int64_t n, int64_t length, const int64_t *indices, glia_masking_opts o,
                            int32_t *masked, int32_t *labels, glia_error *error) {
    if (n < 0 || length < 1 || !ids || !masked || !labels) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_mask_words: needs rows of ids and arrays for the results");
    }
    o.share = glia_option(o.share, 0.15);
    if (o.first < 0 || o.first >= o.vocabulary || o.mask < 0 || o.mask >= o.vocabulary ||
        !(o.share >= 0 && o.share <= 1)) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "glia_mask_words: first %d and mask %d must be below vocabulary %d, share %g in [0, 1]",
                         o.first, o.mask, o.vocabulary, o.share);
    }
    int64_t *words = malloc((size_t)length * sizeof *words);
    if (!words) return glia_fail_nomem(error);
    for (int64_t i = 0; i < n; i++) {
        const uint64_t place[2] = { o.epoch, (uint64_t)(indices ? indices[i] : i) };
        const glia_rng rng = { .seed = o.seed, .stream = glia_hash_bytes(place, sizeof place, 0x6d61736bu) };
        mask_row(ids + i * length, length, &o, rng, words, masked + i * length, labels + i * length);
    }
    free(words);
    return GLIA_OK;
}
