/* bleu.c - BLEU of a corpus (Papineni et al. 2002), as sacreBLEU defines it (Post 2018):
 *
 *     BP exp(mean over n of log p_n),    p_n = matches_n / totals_n,    BP = min(1, exp(1 - r / c))
 *
 * An n-gram matches as often as it occurs in the translation, but at most as often as in the reference with the most
 * occurrences (clipping). c is the length of the translations, r the sum over sentences of the reference length closest
 * to the translation's, the shorter one of two. Matches, totals and lengths are summed over all sentences before
 * dividing.
 *
 * Words are numbered; the n-grams of the translation and of each reference are sorted and counted.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/metrics/metrics.h"

typedef struct sequence {
    int32_t word[GLIA_BLEU_ORDERS]; /* numbers from 1; 0 after the last */
    int64_t count;
} sequence;

typedef struct sentence {
    char *text;     /* NUL-terminated words */
    int32_t *words; /* their numbers */
    int64_t length;
    sequence *sequences; /* distinct n-grams, sorted */
    int64_t n;
} sentence;

typedef struct named {
    const char *word;
    int32_t *number;
} named;

static void sentence_free(sentence *s) {
    free(s->text);
    free(s->words);
    free(s->sequences);
}

/* Splits the text into words; false: out of memory. */
static bool cut(sentence *s, const char *text, glia_bleu_opts opts) {
    s->text = glia_bleu_tokenize(text, opts);
    if (!s->text) return false;
    size_t bytes = strlen(s->text);
    s->length = bytes > 0;
    for (size_t i = 0; i < bytes; i++) {
        if (s->text[i] != ' ') continue;
        s->text[i] = 0;
        s->length++;
    }
    s->words = calloc((size_t)s->length + 1, sizeof *s->words);
    return s->words != NULL;
}

static int by_word(const void *a, const void *b) { return strcmp(((const named *)a)->word, ((const named *)b)->word); }

/* Gives equal words of all sentences the same number. */
static bool number_words(sentence *sentences, int n) {
    int64_t total = 0;
    for (int i = 0; i < n; i++) total += sentences[i].length;
    if (total >= INT32_MAX) return false;
    named *all = calloc((size_t)total + 1, sizeof *all);
    if (!all) return false;
    int64_t k = 0;
    for (int i = 0; i < n; i++) {
        const char *word = sentences[i].text;
        for (int64_t j = 0; j < sentences[i].length; j++, word += strlen(word) + 1) {
            all[k++] = (named){ .word = word, .number = &sentences[i].words[j] };
        }
    }
    qsort(all, (size_t)total, sizeof *all, by_word);
    int32_t number = 0;
    for (k = 0; k < total; k++) {
        number += k == 0 || strcmp(all[k].word, all[k - 1].word) != 0;
        *all[k].number = number;
    }
    free(all);
    return true;
}

static int by_sequence(const void *a, const void *b) {
    const sequence *x = a, *y = b;
    for (int i = 0; i < GLIA_BLEU_ORDERS; i++) {
        if (x->word[i] != y->word[i]) return x->word[i] < y->word[i] ? -1 : 1;
    }
    return 0;
}

/* Counts all n-grams up to `order` words; each is listed once. */
static bool count_sequences(sentence *s, int order) {
    s->sequences = calloc((size_t)(s->length * order) + 1, sizeof *s->sequences);
    if (!s->sequences) return false;
    int64_t all = 0;
    for (int64_t i = 0; i < s->length; i++) {
        for (int n = 1; n <= order && i + n <= s->length; n++) {
            sequence *to = &s->sequences[all++];
            memcpy(to->word, s->words + i, (size_t)n * sizeof *to->word);
            to->count = 1;
        }
    }
    qsort(s->sequences, (size_t)all, sizeof *s->sequences, by_sequence);
    for (int64_t i = 0; i < all; i++) {
        if (s->n && by_sequence(&s->sequences[s->n - 1], &s->sequences[i]) == 0) {
            s->sequences[s->n - 1].count++;
        } else {
            s->sequences[s->n++] = s->sequences[i];
        }
    }
    return true;
}

static int64_t nearest_length(const sentence *sentences, int n) {
    int64_t best = sentences[1].length;
    for (int i = 2; i < n; i++) {
        int64_t length = sentences[i].length, apart = llabs(length - sentences[0].length);
        int64_t least = llabs(best - sentences[0].length);
        if (apart < least || (apart == least && length < best)) best = length;
    }
    return best;
}

/* Adds the counts of one sentence. sentences: the translation, then its references. */
static void compare(glia_bleu *b, const sentence *sentences, int n) {
    for (int64_t i = 0; i < sentences[0].n; i++) {
        const sequence *own = &sentences[0].sequences[i];
        int64_t most = 0;
        for (int r = 1; r < n; r++) {
            const sentence *s = &sentences[r];
            const sequence *found = bsearch(own, s->sequences, (size_t)s->n, sizeof *own, by_sequence);
            if (found) most = GLIA_MAX(most, found->count);
        }
        int order = 0;
        while (order + 1 < GLIA_BLEU_ORDERS && own->word[order + 1]) order++;
        b->totals[order] += own->count;
        b->matches[order] += GLIA_MIN(own->count, most);
    }
    b->length += sentences[0].length;
    b->reference_length += nearest_length(sentences, n);
}

static int order_of(glia_bleu_opts opts) { return opts.order ? opts.order : GLIA_BLEU_ORDERS; }

glia_status glia_bleu_update(glia_bleu *bleu, const char *translation, const char *const *references, int n_references,
                             glia_bleu_opts opts, glia_error *error) {
    if (!bleu) return glia_fail_null(error, "bleu");
    if (!translation) return glia_fail_null(error, "translation");
    if (n_references > 0 && !references) return glia_fail_null(error, "references");
    int order = order_of(opts), n = n_references + 1;
    if (!translation || n_references < 1 || order < 1 || order > GLIA_BLEU_ORDERS) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "glia_bleu_update: needs a translation, references and an order of 1 to %d", GLIA_BLEU_ORDERS);
    }
    sentence *sentences = calloc((size_t)n, sizeof *sentences);
    bool ok = sentences != NULL;
    for (int i = 0; ok && i < n; i++) ok = cut(&sentences[i], i ? references[i - 1] : translation, opts);
    ok = ok && number_words(sentences, n);
    for (int i = 0; ok && i < n; i++) ok = count_sequences(&sentences[i], order);
    if (ok) compare(bleu, sentences, n);
    for (int i = 0; sentences && i < n; i++) sentence_free(&sentences[i]);
    free(sentences);
    return ok ? GLIA_OK : glia_fail_nomem(error);
}

/* ---- the score ---------------------------------------------------------------------------- */

static bool any_match(const glia_bleu *b, int orders) {
    for (int n = 0; n < orders; n++) {
        if (b->matches[n]) return true;
    }
    return false;
}

glia_bleu_score glia_bleu_result(const glia_bleu *b, glia_bleu_opts opts) {
    if (!b) return (glia_bleu_score){ 0 };
    glia_bleu_score s = { .brevity = 1 };
    int orders = GLIA_MIN(GLIA_BLEU_ORDERS, GLIA_MAX(1, order_of(opts)));
    double value = glia_option(opts.smooth_value, opts.smoothing == GLIA_BLEU_FLOOR ? 0.1 : 1);
    if (b->length < b->reference_length) {
        s.brevity = b->length ? exp(1 - (double)b->reference_length / (double)b->length) : 0;
    }
    if (!any_match(b, orders)) return s;
    int last = orders;
    double half = 1;
    for (int n = 0; n < orders; n++) {
        double more = opts.smoothing == GLIA_BLEU_ADD_K && n > 0 ? value : 0;
        double matches = (double)b->matches[n] + more, total = (double)b->totals[n] + more;
        if (total == 0) break;
        if (opts.effective_order) last = n + 1;
        if (matches > 0) {
            s.precisions[n] = 100 * matches / total;
        } else if (opts.smoothing == GLIA_BLEU_EXP) {
            half *= 2;
            s.precisions[n] = 100 / (half * total);
        } else if (opts.smoothing == GLIA_BLEU_FLOOR) {
            s.precisions[n] = 100 * value / total;
        }
    }
    double logs = 0;
    for (int n = 0; n < last; n++) logs += log(s.precisions[n]);
    s.score = s.brevity * exp(logs / last); /* log 0 is minus infinity: a score of 0 */
    return s;
}
