/* vocabulary.c - the words of a text with their counts: counted, or from a file. */
#include <math.h>

#include "families/words/words.h"

static glia_status count_words(glia_word_table *table, glia_word_reader *reader, glia_text_source source,
                               glia_error *error) {
    glia_status status = GLIA_OK;
    glia_word_reader_start(reader, source);
    for (glia_word_item token; !status;) {
        token = glia_word_reader_next(reader, error);
        if (token == GLIA_ITEM_END) break;
        if (token == GLIA_ITEM_FAILED) status = error->status;
        if (token != GLIA_ITEM_WORD) continue;
        int64_t i;
        if (!glia_word_table_add(table, reader->word, reader->length, &i))
            status = glia_fail_nomem(error);
        else
            table->counts[i]++;
    }
    glia_word_reader_close(reader);
    return status;
}

/* "WORD COUNT" lines. */
static glia_status read_counts(glia_word_table *table, glia_word_reader *reader, const char *path, glia_error *error) {
    const char *const files[] = { path };
    glia_status status = GLIA_OK;
    int64_t line = 1, word = -1;
    bool counted = false;
    glia_word_reader_start(reader, (glia_text_source){ .files = files, .n_files = 1 });
    for (glia_word_item token = GLIA_ITEM_LINE; !status && token != GLIA_ITEM_END;) {
        token = glia_word_reader_next(reader, error);
        const char *text = reader->word;
        double count;
        if (token == GLIA_ITEM_FAILED) {
            status = error->status;
        } else if (token != GLIA_ITEM_WORD) {
            if (word >= 0 && !counted)
                status = glia_fail(error, GLIA_E_FORMAT, "%s: line %lld: the word has no count", path,
                                   (long long)line);
            word = -1;
            counted = false;
            line++;
        } else if (word < 0) {
            const int64_t before = table->n;
            if (!glia_word_table_add(table, text, reader->length, &word))
                status = glia_fail_nomem(error);
            else if (table->n == before)
                status = glia_fail(error, GLIA_E_FORMAT, "%s: line %lld: \"%.100s\" is a duplicate", path,
                                   (long long)line, text);
        } else if (counted || !glia_number_parse(text, text + reader->length, &count) || count != floor(count) ||
                   count < 1 || count > 0x1p53) {
            status = glia_fail(error, GLIA_E_FORMAT, "%s: line %lld: the line is not WORD COUNT", path,
                               (long long)line);
        } else {
            table->counts[word] = (int64_t)count;
            counted = true;
        }
    }
    glia_word_reader_close(reader);
    return status;
}

glia_status glia_word_vocabulary(glia_word_table *table, glia_word_reader *reader, glia_text_source source,
                                 int64_t min_count, int64_t max_words, int64_t *total, glia_error *error) {
    glia_status status = source.vocabulary ? read_counts(table, reader, source.vocabulary, error)
                                           : count_words(table, reader, source, error);
    if (status) return status;
    const int64_t different = table->n;
    if (!glia_word_table_sort(table, min_count, max_words)) return glia_fail_nomem(error);
    *total = 0;
    for (int64_t i = 0; i < table->n; i++) *total += table->counts[i];
    if (table->n > 1) return GLIA_OK;
    return glia_fail(error, GLIA_E_ARGUMENT,
                     "word2vec: of %lld distinct words, %lld occur at least %lld times; that is too few",
                     (long long)different, (long long)table->n, (long long)min_count);
}
