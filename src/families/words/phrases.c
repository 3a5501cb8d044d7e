/* phrases.c - joins words that occur together more often than by chance (Mikolov et al. 2013, "Distributed
 * representations of words and phrases and their compositionality", section 4).
 *
 * Two passes: the first counts words and adjacent pairs, the second writes the text with a _ between the words of a
 * pair whose score is above the threshold. A word that was joined to its predecessor is not joined to its successor.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "families/words/words.h"

typedef struct joiner {
    glia_word_table table; /* of words, and of pairs joined by _ */
    glia_word_reader *reader;
    int64_t words;
    double threshold;
    int64_t min_count, joined;
    char pair[2 * GLIA_WORD_BYTES + 16];
    size_t before; /* bytes of the last word, at the start of `pair`; 0: none */
    glia_error *error;
} joiner;

/* Appends the reader's word to the last one; returns the length of both. */
static size_t make_pair(joiner *j) {
    j->pair[j->before] = '_';
    memcpy(j->pair + j->before + 1, j->reader->word, j->reader->length);
    return j->before + 1 + j->reader->length;
}

static void remember(joiner *j) {
    memcpy(j->pair, j->reader->word, j->reader->length);
    j->before = j->reader->length;
}

static glia_status count_one(joiner *j, const char *word, size_t length) {
    int64_t i;
    if (!glia_word_table_add(&j->table, word, length, &i)) return glia_fail_nomem(j->error);
    j->table.counts[i]++;
    return GLIA_OK;
}

static glia_status count_all(joiner *j) {
    glia_status status = GLIA_OK;
    for (glia_word_item token; !status;) {
        token = glia_word_reader_next(j->reader, j->error);
        if (token == GLIA_ITEM_FAILED) return j->error->status;
        if (token == GLIA_ITEM_END) break;
        if (token == GLIA_ITEM_LINE) {
            j->before = 0;
            continue;
        }
        j->words++;
        status = count_one(j, j->reader->word, j->reader->length);
        if (!status && j->before) status = count_one(j, j->pair, make_pair(j));
        remember(j);
    }
    return status;
}

static int64_t count_of(const joiner *j, const char *word, size_t length) {
    const int64_t i = glia_word_table_find(&j->table, word, length);
    return i < 0 ? 0 : j->table.counts[i];
}

static bool belongs(joiner *j, int64_t count_before, int64_t count) {
    const int64_t together = count_of(j, j->pair, make_pair(j));
    if (count_before < j->min_count || count < j->min_count || together < j->min_count) return false;
    const double score = (double)(together - j->min_count) * (double)j->words / (double)count_before / (double)count;
    return score > j->threshold;
}

static glia_status write_all(joiner *j, FILE *out) {
    int64_t count_before = 0;
    j->before = 0;
    for (;;) {
        const glia_word_item token = glia_word_reader_next(j->reader, j->error);
        if (token == GLIA_ITEM_FAILED) return j->error->status;
        if (token == GLIA_ITEM_END) return GLIA_OK;
        if (token == GLIA_ITEM_LINE) {
            fputc('\n', out);
            j->before = 0;
            count_before = 0;
            continue;
        }
        const int64_t count = count_of(j, j->reader->word, j->reader->length);
        const bool join = j->before && belongs(j, count_before, count);
        if (j->before) fputc(join ? '_' : ' ', out);
        fwrite(j->reader->word, 1, j->reader->length, out);
        j->joined += join;
        count_before = join ? 0 : count;
        remember(j);
    }
}

static glia_status write_file(joiner *j, const char *path) {
    FILE *out = fopen(path, "wb");
    if (!out) return glia_fail(j->error, GLIA_E_IO, "%s: %s", path, strerror(errno));
    glia_status status = write_all(j, out);
    const bool bad = ferror(out) != 0;
    if ((fclose(out) || bad) && !status) status = glia_fail(j->error, GLIA_E_IO, "%s: %s", path, strerror(errno));
    return status;
}

glia_status glia_word_phrases(glia_text_source source, glia_phrases_opts opts, const char *path, int64_t *phrases,
                              glia_error *error) {
    glia_error own;
    if (source.vocabulary)
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_word_phrases: words are counted, not taken from a vocabulary");
    joiner *j = calloc(1, sizeof *j);
    if (!j) return glia_fail_nomem(error);
    j->error = error ? error : &own;
    j->min_count = glia_option_count(opts.min_count, 5);
    j->threshold = glia_option(opts.threshold, 100);
    j->reader = malloc(sizeof *j->reader);
    glia_status status = j->reader ? GLIA_OK : glia_fail_nomem(j->error);
    for (int pass = 0; pass < 2 && !status; pass++) {
        glia_word_reader_start(j->reader, source);
        status = pass == 0 ? count_all(j) : write_file(j, path);
        glia_word_reader_close(j->reader);
    }
    if (phrases) *phrases = j->joined;
    glia_word_table_free(&j->table);
    free(j->reader);
    free(j);
    return status;
}
