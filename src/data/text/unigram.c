/* unigram.c - the unigram model (Kudo 2018): the segmentation with the largest sum of log probabilities, found with the
 * Viterbi algorithm.
 *
 * A character that is not a token itself may be unknown, at a score of ten below the lowest one. Adjacent unknown
 * characters become one token.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/text/text.h"

enum { UNKNOWN_PENALTY = 10 };

void glia_unigram_best(const glia_token_model *m, const char *bytes, const uint32_t *starts, int64_t n, double *best,
                       int32_t *begins, int32_t *ids) {
    const double unknown = m->least - UNKNOWN_PENALTY;
    for (int64_t i = 0; i <= n; i++) best[i] = -INFINITY, begins[i] = -1;
    best[0] = 0;
    for (int64_t at = 0; at < n; at++) {
        bool alone = false;
        const int64_t most = GLIA_MIN(n, at + m->longest);
        for (int64_t end = at + 1; end <= most; end++) {
            const int32_t id = glia_vocabulary_find(&m->vocabulary, bytes + starts[at], starts[end] - starts[at]);
            if (id < 0) continue;
            const double score = best[at] + m->scores[id];
            if (begins[end] < 0 || score > best[end]) best[end] = score, begins[end] = (int32_t)at, ids[end] = id;
            alone = alone || end == at + 1;
        }
        if (alone) continue;
        const double score = best[at] + unknown;
        if (begins[at + 1] < 0 || score > best[at + 1])
            best[at + 1] = score, begins[at + 1] = (int32_t)at, ids[at + 1] = -1;
    }
}

/* Adds unknown characters: as byte tokens if byte_fallback is set and all their bytes have one, else as one token. */
static void add_unknown(const glia_token_model *m, int64_t from, int64_t to, const glia_glyph *text,
                        glia_workspace *w) {
    bool spelled = m->byte_fallback;
    for (uint32_t i = w->starts[from]; i < w->starts[to] && spelled; i++)
        spelled = m->bytes[(uint8_t)w->bytes.bytes[i]] >= 0;
    for (int64_t k = from; k < to && spelled; k++)
        for (uint32_t i = w->starts[k]; i < w->starts[k + 1]; i++)
            glia_token_add(w, m->bytes[(uint8_t)w->bytes.bytes[i]], k, k + 1);
    if (spelled) return;
    if (m->unknown >= 0) {
        glia_token_add(w, m->unknown, from, to);
    } else if (!w->complaint) {
        w->complaint = "a character is not in the vocabulary, which has no unknown token";
        w->place = text[from].begin;
    }
}

void glia_unigram_cut(const glia_token_model *m, const glia_glyph *text, int64_t n, glia_workspace *w) {
    double *best = glia_workspace_room(w, (size_t)(n + 1) * (sizeof *best + 2 * sizeof(int32_t)));
    if (!best) return;
    int32_t *begins = (int32_t *)(void *)(best + n + 1), *ids = begins + n + 1;
    glia_unigram_best(m, w->bytes.bytes, w->starts, n, best, begins, ids);
    int64_t parts = 0;
    for (int64_t at = n; at > 0; at = begins[at]) parts++;
    int32_t *ends = (int32_t *)(void *)best; /* reuses the memory of the scores */
    int64_t k = parts;
    for (int64_t at = n; at > 0; at = begins[at]) ends[--k] = (int32_t)at;
    for (k = 0; k < parts; k++) {
        const int64_t from = begins[ends[k]];
        if (ids[ends[k]] >= 0) {
            glia_token_add(w, ids[ends[k]], from, ends[k]);
            continue;
        }
        while (k + 1 < parts && ids[ends[k + 1]] < 0) k++;
        add_unknown(m, from, ends[k], text, w);
    }
}
