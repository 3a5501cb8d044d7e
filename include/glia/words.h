/* words.h - word vectors: training (word2vec), files, nearest words, analogies.
 *
 *   1  vectors     words with a vector each: by name, nearest words, analogies
 *   2  files       word2vec's text and binary formats, GloVe's, safetensors
 *   3  evaluation  analogy questions, ranks of similarities
 *   4  training    skip-gram and CBOW (Mikolov et al. 2013, "Efficient estimation of word representations in vector
 *                  space" and "Distributed representations of words and phrases and their compositionality")
 *   5  phrases     words that belong together become one
 *
 * Words are bytes: UTF-8 where letter case or punctuation is looked at, anything otherwise. projection.h draws vectors.
 */
#ifndef GLIA_WORDS_H
#define GLIA_WORDS_H

#include "glia/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== 1. vectors ============================================================================ */

/* n words, the most frequent first where that is known, each with `size` floats. Nothing of it changes once it is
 * made, so several threads may ask at once. */
typedef struct glia_vectors glia_vectors;

/* Copies words, values (n, size) and counts (n; NULL: unknown). Words must differ and not be empty. */
GLIA_API glia_vectors *glia_vectors_create(const char *const *words, const float *values, const int64_t *counts,
                                           int64_t n, int64_t size, glia_error *error);
GLIA_API void glia_vectors_free(glia_vectors *vectors);

GLIA_API int64_t glia_vectors_words(const glia_vectors *vectors);
GLIA_API int64_t glia_vectors_size(const glia_vectors *vectors);
GLIA_API const char *glia_vectors_word(const glia_vectors *vectors, int64_t index);
GLIA_API int64_t glia_vectors_count(const glia_vectors *vectors, int64_t index);      /* occurrences; 0: unknown */
GLIA_API int64_t glia_vectors_find(const glia_vectors *vectors, const char *word);    /* -1: there is none */
GLIA_API const float *glia_vectors_at(const glia_vectors *vectors, int64_t index);    /* (size) */
GLIA_API const float *glia_vectors_of(const glia_vectors *vectors, const char *word); /* NULL: there is none */

/* Copies the vectors of `words` into rows of `out` (n, size), rows of unknown words stay
 * unchanged: initialises an embedding for your own vocabulary. Returns how many words were found. */
GLIA_API int64_t glia_vectors_fill(const glia_vectors *vectors, const char *const *words, int64_t n, float *out);

/* The cosine of the angle between two words' vectors. GLIA_E_NOT_FOUND names the unknown word. */
GLIA_API glia_status glia_vectors_similarity(const glia_vectors *vectors, const char *a, const char *b,
                                             double *similarity, glia_error *error);

typedef struct glia_neighbour {
    int64_t word;
    double similarity; /* cosine */
} glia_neighbour;

typedef struct glia_nearest_opts {
    const char *const *plus; /* words whose unit vectors are added up */
    int n_plus;
    const char *const *minus; /* and subtracted */
    int n_minus;
    int64_t limit; /* only the first `limit` words can be results; 0: all */
} glia_nearest_opts;

/* The words nearest to plus - minus by cosine, the nearest first, those asked for left out. "king - man + woman" is
 * plus = king, woman and minus = man (3CosAdd; Mikolov, Yih and Zweig 2013). Fills at most `capacity` and returns how
 * many, -1 after an error. */
GLIA_API int glia_vectors_nearest(const glia_vectors *vectors, glia_nearest_opts opts, glia_neighbour *out,
                                  int capacity, glia_error *error);

/* ==== 2. files ============================================================================== */

typedef enum glia_vectors_format {
    GLIA_VECTORS_DEFAULT, /* saving: by the name's ending (.bin, .safetensors, else text); loading: by what is there */
    GLIA_VECTORS_TEXT,    /* "WORDS SIZE", then a line for each word; loading: the first line may be missing (GloVe) */
    GLIA_VECTORS_BINARY,  /* "WORDS SIZE", then each word, a space, and its floats, little-endian */
    GLIA_VECTORS_SAFETENSORS /* "vectors" (n, size) f32, "words" u8, each ended by a newline, "counts" (n) i64 */
} glia_vectors_format;

/* Text and binary files may be gzipped. Repeated words are left out. limit: the number of words to read; 0: all. Errors
 * name the place in the file. */
GLIA_API glia_vectors *glia_vectors_load(const char *path, glia_vectors_format format, int64_t limit,
                                         glia_error *error);
/* Text has as many digits as it takes to get the same floats back. A word with white space fits safetensors alone. */
GLIA_API glia_status glia_vectors_save(const glia_vectors *vectors, const char *path, glia_vectors_format format,
                                       glia_error *error);
/* A line "WORD COUNT" for each word, as glia_word2vec_opts.vocabulary reads it. */
GLIA_API glia_status glia_vectors_save_counts(const glia_vectors *vectors, const char *path, glia_error *error);

/* ==== 3. evaluation ========================================================================= */

typedef struct glia_analogy_section {
    char name[64];
    bool syntactic;       /* its name begins with "gram" */
    int64_t questions;    /* in the file */
    int64_t asked, right; /* of those whose four words are known */
} glia_analogy_section;

typedef struct glia_analogies {
    int64_t questions, asked, right;
    int64_t semantic_asked, semantic_right, syntactic_asked, syntactic_right;
    int n_sections;
    glia_analogy_section sections[64];
} glia_analogies;

/* Asks the questions of a file (".gz" too) as Google's questions-words.txt has them: ": SECTION" lines, and "a b c d"
 * lines that are right where b - a + c is nearest to d, a, b and c apart. Letters of ASCII are compared without case,
 * and words beyond the first `limit` (0: 30000) do not exist: what compute-accuracy does. threads: 0: all cores. */
GLIA_API glia_status glia_vectors_analogies(const glia_vectors *vectors, const char *path, int64_t limit, int threads,
                                            glia_analogies *result, glia_error *error);

typedef struct glia_similarities {
    int64_t pairs, known; /* in the file; of two known words, which the figures are of */
    double spearman;      /* correlation of ranks, ties sharing theirs; NaN where it is not defined */
    double pearson;
} glia_similarities;

/* Compares cosines with what people said: lines of two words and a number, separated by tabs, commas or blanks, as
 * WordSim-353 and SimLex-999 have them. A line that starts with # and a first line without a number are left out. */
GLIA_API glia_status glia_vectors_similarities(const glia_vectors *vectors, const char *path, int64_t limit,
                                               glia_similarities *result, glia_error *error);
/* Spearman's correlation of n pairs. NaN: n < 2, or one side is all the same; or memory ran out. */
GLIA_API double glia_spearman(const double *x, const double *y, int64_t n);

/* ==== 4. training =========================================================================== */

/* How text falls into words. Sentences end at line ends, and after 1000 words. */
typedef enum glia_word_rule {
    GLIA_WORDS_SPACES, /* words are what blanks, tabs and line ends separate */
    GLIA_WORDS_LETTERS /* words are letters and digits of UTF-8, and apostrophes between them; the rest separates */
} glia_word_rule;

/* Where text comes from: files, plain or .gz, one after the other, or memory. */
typedef struct glia_text_source {
    const char *const *files;
    int n_files;
    const char *text; /* used where there are no files */
    size_t length;
    glia_word_rule rule;
    bool lowercase; /* letters of ASCII, Latin-1, Greek and Cyrillic */
} glia_text_source;

typedef enum glia_word2vec_model {
    GLIA_CBOW,     /* the mean of the words around says which one is between them */
    GLIA_SKIP_GRAM /* a word says which ones are around it; slower, better for rare words */
} glia_word2vec_model;

/* A training in progress. A status other than GLIA_OK ends it with that. */
typedef struct glia_word2vec_progress {
    int64_t epoch, epochs; /* from 1 */
    int64_t words, total;  /* seen, of all epochs */
    int64_t vocabulary;    /* different words */
    double rate, seconds;
} glia_word2vec_progress;
typedef glia_status (*glia_word2vec_watch)(const glia_word2vec_progress *progress, void *context);

/* The options of Google's word2vec.c, with its defaults. */
typedef struct glia_word2vec_opts {
    glia_word2vec_model model;
    int64_t size;  /* of a vector; 0: 100 */
    int window;    /* words on either side, at most; 0: 5. For each word one in 1 ... window is drawn */
    double sample; /* frequent words are left out at random, those above this share of the text; 0: 1e-3;
                    * GLIA_ZERO: none */
    bool hierarchical_softmax; /* a path through a Huffman tree of words says which one it is */
    int negative;              /* words drawn as counter-examples, in proportion to count^0.75; 0: 5, or none with the
                     * hierarchical softmax; GLIA_NONE: none */
    bool own_negatives; /* skip-gram: each pair of words draws its own, as word2vec.c does. Else a word's pairs share
                         * them (Ji et al. 2016), which is some times faster */
    int64_t epochs;     /* 0: 5 */
    int64_t min_count;  /* rarer words are left out; 0: 5 */
    int64_t max_words;  /* keep only this many, the most frequent; 0: all */
    double rate;        /* 0: 0.025 for skip-gram, 0.05 for CBOW; falls linearly to a ten-thousandth of it */
    uint64_t seed;
    /* 0 or 1: the same seed gives the same bits. More train the same values at the same time without locks (Recht et
     * al. 2011, "Hogwild!"): faster, but no two runs are the same, the one promise of the library that does not hold
     * here. -1: one for each core. */
    int threads;
    const char *vocabulary; /* a file of "WORD COUNT" lines to use instead of counting; NULL: none */
    glia_word2vec_watch watch;
    void *context;
} glia_word2vec_opts;

/* The words, most frequent first, with their vectors. The text is read once to count its words, and again for every
 * epoch unless its words (4 bytes each) fit into 64 MiB. GLIA_E_INTERRUPTED and the like when `watch` said so. */
GLIA_API glia_vectors *glia_word2vec_train(glia_text_source source, glia_word2vec_opts opts, glia_error *error);

/* Groups words by k-means of their unit vectors: group (n) gets a number from 0 to groups - 1 for each. */
GLIA_API glia_status glia_vectors_groups(const glia_vectors *vectors, int groups, int32_t *group, glia_error *error);

/* ==== 5. phrases ============================================================================ */

typedef struct glia_phrases_opts {
    int64_t min_count; /* of the words and of the pair; 0: 5; GLIA_NONE: any */
    double threshold;  /* 0: 100; higher makes fewer phrases; GLIA_ZERO: all above 0 */
} glia_phrases_opts;

/* Writes the text to a file with a _ between words that come together more often than chance would have it: those
 * with (count(a b) - min_count) words / (count(a) count(b)) > threshold. Once more on the result makes longer phrases.
 * `phrases` (may be NULL) gets how many places were joined. */
GLIA_API glia_status glia_word_phrases(glia_text_source source, glia_phrases_opts opts, const char *path,
                                       int64_t *phrases, glia_error *error);

#ifdef __cplusplus
}
#endif
#endif
