/* words.h - internal interfaces of the word vectors.
 *
 *   table     words by number and numbers by word
 *   reader    text as a stream of words and line ends
 *   vocabulary   the words that are learned
 *   tree      Huffman codes of words by their counts
 *   draws     words in proportion to a power of their counts
 *   vectors   the public object, its files and queries
 */
#ifndef GLIA_SRC_FAMILIES_WORDS_WORDS_H
#define GLIA_SRC_FAMILIES_WORDS_WORDS_H

#include "data/formats/formats.h"
#include "glia/words.h"

enum { GLIA_WORD_BYTES = 1000 }; /* longer words are cut */

/* ---- the table of words ------------------------------------------------------------------- */

/* Words are numbered in order of first occurrence. Zero-initialise. */
typedef struct glia_word_table {
    int64_t n, capacity;
    const char **words; /* NUL-terminated, in the arena */
    int64_t *counts;
    glia_hash_table by_word;
    glia_arena arena;
} glia_word_table;

void glia_word_table_free(glia_word_table *table);
int64_t glia_word_table_find(const glia_word_table *table, const char *word, size_t length); /* -1: not found */
/* The number of a word, which is added if it is new. false: out of memory, or 2^31 words. */
bool glia_word_table_add(glia_word_table *table, const char *word, size_t length, int64_t *number);
/* Keeps words that occur at least `least` times, at most `most` of them (0: all), the most frequent first; among equals
 * the first that occurred. */
bool glia_word_table_sort(glia_word_table *table, int64_t least, int64_t most);

/* Appends a word as UTF-8: a backslash and bytes that are not UTF-8 become \xHH. */
void glia_word_escape(const char *word, glia_text *out);
/* The word of `length` escaped bytes, written to `word`, which has room for as many; returns its length. */
size_t glia_word_unescape(const char *escaped, size_t length, char *word);

/* ---- reading text ------------------------------------------------------------------------- */

typedef enum glia_word_item { GLIA_ITEM_WORD, GLIA_ITEM_LINE, GLIA_ITEM_END, GLIA_ITEM_FAILED } glia_word_item;

typedef struct glia_word_reader {
    char word[GLIA_WORD_BYTES + 8]; /* the last GLIA_ITEM_WORD, NUL-terminated */
    size_t length;
    glia_text_source source;
    int file; /* the next file to open */
    glia_stream *stream;
    size_t at, filled;
    bool ended;    /* end of this file */
    bool line_end; /* a line end comes before the next word */
    uint8_t buffer[1 << 16];
} glia_word_reader;

void glia_word_reader_start(glia_word_reader *reader, glia_text_source source); /* from the start of the source */
glia_word_item glia_word_reader_next(glia_word_reader *reader, glia_error *error);
void glia_word_reader_close(glia_word_reader *reader);

/* ---- Huffman codes (1952) ----------------------------------------------------------------- */

/* The path from the root to word i is nodes[starts[i] ... starts[i + 1]) with the bits at the same indices. Inner nodes
 * are numbered 0 to n - 2, the root last. */
typedef struct glia_word_tree {
    int64_t *starts; /* n + 1 */
    int32_t *nodes;
    uint8_t *bits;
    int longest;
} glia_word_tree;

/* counts must be descending. */
bool glia_word_tree_build(glia_word_tree *tree, const int64_t *counts, int64_t n);
void glia_word_tree_free(glia_word_tree *tree);

/* ---- drawing words (Walker 1977, Vose 1991) ----------------------------------------------- */

typedef struct glia_word_draws {
    int64_t n;
    struct glia_word_draw {
        uint32_t keep; /* times 2^32 */
        int32_t other;
    } * cells;
} glia_word_draws;

bool glia_word_draws_build(glia_word_draws *draws, const int64_t *counts, int64_t n, double power);
void glia_word_draws_free(glia_word_draws *draws);

/* The word drawn by 64 random bits. */
static inline int32_t glia_word_draw(const glia_word_draws *draws, uint64_t bits) {
    const uint64_t cell = ((bits >> 32) * (uint64_t)draws->n) >> 32;
    return (uint32_t)bits < draws->cells[cell].keep ? (int32_t)cell : draws->cells[cell].other;
}

/* splitmix64 (Steele, Lea and Flood 2014). */
static inline uint64_t glia_word_random(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* The probability that a word with this count is kept when words with a frequency above `sample` are subsampled. */
double glia_word_kept(int64_t count, int64_t total, double sample);

/* ---- the vocabulary ----------------------------------------------------------------------- */

/* Fills the empty table with the words of the text that occur at least min_count times, at most max_words of them
 * (0: all), the most frequent first; total: their occurrences. */
glia_status glia_word_vocabulary(glia_word_table *table, glia_word_reader *reader, glia_text_source source,
                                 int64_t min_count, int64_t max_words, int64_t *total, glia_error *error);

/* ---- vectors ------------------------------------------------------------------------------ */

struct glia_vectors {
    glia_word_table table;
    int64_t size;
    float *values;  /* (n, size) */
    float *inverse; /* 1 / norm of each; 0 for zeros */
};

/* Takes ownership of the table and the values, also on failure. */
glia_vectors *glia_vectors_take(glia_word_table *table, float *values, int64_t size, glia_error *error);

/* Cosines of m unit vectors (m, size) with the first `limit` words, (m, limit), by the fastest kernels. */
glia_status glia_vectors_cosines(const glia_vectors *vectors, const float *queries, int64_t m, int64_t limit,
                                 glia_pool *pool, float *cosines, glia_error *error);

glia_status glia_vectors_parse(const uint8_t *bytes, size_t length, glia_vectors_format format, int64_t limit,
                               glia_vectors **vectors, glia_error *error);

#endif
