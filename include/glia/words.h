/* words.h - word vectors: training (word2vec), files, nearest words, analogies.
 *
 *   1  vectors     a vector for each word: by name, nearest words, analogies
 *   2  files       word2vec's text and binary formats, GloVe's, safetensors
 *   3  evaluation  analogy questions, ranks of similarities
 *   4  training    skip-gram and CBOW (Mikolov et al. 2013, "Efficient estimation of word representations in vector
 *                  space" and "Distributed representations of words and phrases and their compositionality")
 *   5  phrases     joins frequent word pairs
 *
 * Words are byte strings: UTF-8 where letter case or punctuation matters, else any bytes. projection.h plots vectors.
 */
#ifndef GLIA_WORDS_H
#define GLIA_WORDS_H

#include "glia/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== 1. vectors ============================================================================ */

/* n words, the most frequent first if frequencies are known, each with `size` floats. Immutable, so several threads may
 * read it at once. */
typedef struct glia_vectors glia_vectors;

/* Copies words, values (n, size) and counts (n; NULL: unknown). Words must be distinct and not empty. */
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

/* Copies the vectors of `words` into rows of `out` (n, size); rows of unknown words are unchanged. Initialises an
 * embedding for your own vocabulary. Returns the number of words found. */
GLIA_API int64_t glia_vectors_fill(const glia_vectors *vectors, const char *const *words, int64_t n, float *out);

/* The cosine of the angle between two words' vectors. GLIA_E_NOT_FOUND names the unknown word. */
GLIA_API glia_status glia_vectors_similarity(const glia_vectors *vectors, const char *a, const char *b,
                                             double *similarity, glia_error *error);

typedef struct glia_neighbour {
    int64_t word;
    double similarity; /* cosine */
} glia_neighbour;

typedef struct glia_nearest_opts {
    const char *const *plus; /* words whose unit vectors are added */
    int n_plus;
    const char *const *minus; /* and subtracted */
    int n_minus;
    int64_t limit; /* only the first `limit` words can be results; 0: all */
} glia_nearest_opts;

/* The words nearest to plus - minus by cosine, the nearest first, without the words of the query. "king - man + woman"
 * is plus = king, woman and minus = man (3CosAdd; Mikolov, Yih and Zweig 2013). Fills at most `capacity` and returns
 * their number, -1 after an error. */
GLIA_API int glia_vectors_nearest(const glia_vectors *vectors, glia_nearest_opts opts, glia_neighbour *out,
                                  int capacity, glia_error *error);

/* ==== 2. files ============================================================================== */

typedef enum glia_vectors_format {
    GLIA_VECTORS_DEFAULT, /* saving: by the name's ending (.bin, .safetensors, else text); loading: detected */
    GLIA_VECTORS_TEXT,    /* "WORDS SIZE", then a line for each word; loading: the first line may be missing (GloVe) */
    GLIA_VECTORS_BINARY,  /* "WORDS SIZE", then each word, a space, and its floats, little-endian */
    GLIA_VECTORS_SAFETENSORS /* "vectors" (n, size) f32, "words" u8, each ended by a newline, "counts" (n) i64 */
} glia_vectors_format;

/* Text and binary files may be gzipped. Duplicate words are skipped. limit: the number of words to read; 0: all. Errors
 * name the position in the file. */
GLIA_API glia_vectors *glia_vectors_load(const char *path, glia_vectors_format format, int64_t limit,
                                         glia_error *error);
/* Text has enough digits to read back the same floats. Words with white space require safetensors. */
GLIA_API glia_status glia_vectors_save(const glia_vectors *vectors, const char *path, glia_vectors_format format,
                                       glia_error *error);
/* Writes a line "WORD COUNT" for each word, as glia_text_source.vocabulary reads it. */
GLIA_API glia_status glia_vectors_save_counts(const glia_vectors *vectors, const char *path, glia_error *error);

/* ==== 3. evaluation ========================================================================= */

typedef struct glia_analogy_section {
    char name[64];
    bool syntactic;       /* its name begins with "gram" */
    int64_t questions;    /* in the file */
    int64_t asked, right; /* of those whose four words are all known */
} glia_analogy_section;

typedef struct glia_analogies {
    int64_t questions, asked, right;
    int64_t semantic_asked, semantic_right, syntactic_asked, syntactic_right;
    int n_sections;
    glia_analogy_section sections[64];
} glia_analogies;

/* Answers the questions of a file (".gz" too) in the format of Google's questions-words.txt: ": SECTION" lines, and "a
 * b c d" lines, correct if d is nearest to b - a + c, excluding a, b and c. ASCII letters are compared without case,
 * and words beyond the first `limit` (0: 30000) are ignored, as in compute-accuracy. threads: 0: all cores. */
GLIA_API glia_status glia_vectors_analogies(const glia_vectors *vectors, const char *path, int64_t limit, int threads,
                                            glia_analogies *result, glia_error *error);

typedef struct glia_similarities {
    int64_t pairs, known; /* in the file; with two known words, over which the result is computed */
    double spearman;      /* rank correlation, ties get their mean rank; NaN if it is undefined */
    double pearson;
} glia_similarities;

/* Compares cosines with human ratings: lines of two words and a number, separated by tabs, commas or blanks, as in
 * WordSim-353 and SimLex-999. Lines that start with #, and a first line without a number, are skipped. */
GLIA_API glia_status glia_vectors_similarities(const glia_vectors *vectors, const char *path, int64_t limit,
                                               glia_similarities *result, glia_error *error);
/* Spearman's correlation of n pairs. NaN: n < 2, or one side is constant; or out of memory. */
GLIA_API double glia_spearman(const double *x, const double *y, int64_t n);

/* ==== 4. training =========================================================================== */

/* How text is split into words. Sentences end at line ends, and after 1000 words. */
typedef enum glia_word_rule {
    GLIA_WORDS_SPACES, /* separated by blanks, tabs and line ends */
    GLIA_WORDS_LETTERS /* letters and digits of UTF-8, and apostrophes between them; all else separates */
} glia_word_rule;

/* The source of text: files, plain or .gz, one after the other, or memory. */
typedef struct glia_text_source {
    const char *const *files;
    int n_files;
    const char *text; /* used if there are no files */
    size_t length;
    glia_word_rule rule;
    bool lowercase; /* letters of ASCII, Latin-1, Greek and Cyrillic */
    const char *vocabulary; /* training: a file of "WORD COUNT" lines to use instead of counting; NULL: none */
} glia_text_source;

/* Training is the method "word2vec" of methods.h, on an empty model:
 *
 *     glia_model *model = glia_model_create("words", &error);
 *     glia_fit_opts how = { .text = &source, .epochs = 5, .schedule = { .kind = GLIA_LR_LINEAR } };
 *     glia_train(model, NULL, "word2vec", "size=100 window=5", how, &error);
 *     glia_vectors *vectors = glia_vectors_from_model(model, &error);
 *
 * Its settings have the names and defaults of the options below; glia_word2vec_train() is all of this in one call. A
 * step is `batch` words, rounded up to 10,000s. The optimiser is sgd with a learning rate alone (0: 0.025 for
 * skip-gram, 0.05 for CBOW), which changes along the schedule within steps too. "loss" is measured on a few words of
 * each step. A model that was trained on the same words goes on from its vectors. The input of the trained model is
 * "word" (N), the index of a word, its output "vector" (N, size). */

/* The vectors of a model that was trained by the method "word2vec". */
GLIA_API glia_vectors *glia_vectors_from_model(const glia_model *model, glia_error *error);

typedef enum glia_word2vec_model {
    GLIA_CBOW,     /* predicts a word from the mean of the words around it */
    GLIA_SKIP_GRAM /* predicts the words around a word; slower, better for rare words */
} glia_word2vec_model;

/* Training progress. A status other than GLIA_OK ends training with that status. */
typedef struct glia_word2vec_progress {
    int64_t epoch, epochs; /* from 1 */
    int64_t words, total;  /* processed, over all epochs */
    int64_t vocabulary;    /* number of distinct words */
    double rate, seconds;
} glia_word2vec_progress;
typedef glia_status (*glia_word2vec_watch)(const glia_word2vec_progress *progress, void *context);

/* The options of Google's word2vec.c, with its defaults. */
typedef struct glia_word2vec_opts {
    glia_word2vec_model model;
    int64_t size;  /* of a vector; 0: 100 */
    int window;    /* words on either side, at most; 0: 5. For each word a width in 1 ... window is drawn */
    double sample; /* subsampling of words whose fraction of the text exceeds this; 0: 1e-3; GLIA_ZERO: none */
    bool hierarchical_softmax; /* predicts a word by its path in a Huffman tree */
    int negative;              /* negative samples, drawn in proportion to count^0.75; 0: 5, or none with the
                                * hierarchical softmax; GLIA_NONE: none */
    bool own_negatives; /* skip-gram: each pair of words draws its own, as in word2vec.c. Else a word's pairs share them
                         * (Ji et al. 2016), which is several times faster */
    int64_t epochs;     /* 0: 5 */
    int64_t min_count;  /* rarer words are left out; 0: 5 */
    int64_t max_words;  /* keep only this many, the most frequent; 0: all */
    double rate;        /* 0: 0.025 for skip-gram, 0.05 for CBOW; falls linearly to a ten-thousandth of it */
    uint64_t seed;
    /* 0 or 1: the same seed gives the same bits. More threads update the same values at the same time without locks
     * (Recht et al. 2011, "Hogwild!"): faster, but not reproducible, the only such case in the library. -1: one per
     * core. */
    int threads;
    glia_word2vec_watch watch;
    void *context;
} glia_word2vec_opts;

/* The words, most frequent first, with their vectors. The text is read once to count its words and once to number
 * them; if these numbers (4 bytes each) do not fit into 64 MiB, again for every epoch. GLIA_E_INTERRUPTED or another
 * status if `watch` returned it. */
GLIA_API glia_vectors *glia_word2vec_train(glia_text_source source, glia_word2vec_opts opts, glia_error *error);

/* Clusters words by k-means of their unit vectors: group (n) gets each word's cluster, from 0 to groups - 1. */
GLIA_API glia_status glia_vectors_groups(const glia_vectors *vectors, int groups, int32_t *group, glia_error *error);

/* ==== 5. phrases ============================================================================ */

typedef struct glia_phrases_opts {
    int64_t min_count; /* of the words and of the pair; 0: 5; GLIA_NONE: any */
    double threshold;  /* 0: 100; higher makes fewer phrases; GLIA_ZERO: all above 0 */
} glia_phrases_opts;

/* Writes the text to a file with a _ between words that occur together more often than by chance: those with (count(a
 * b) - min_count) words / (count(a) count(b)) > threshold. Applied again to the result it makes longer phrases.
 * `phrases` (may be NULL) gets the number of joins. */
GLIA_API glia_status glia_word_phrases(glia_text_source source, glia_phrases_opts opts, const char *path,
                                       int64_t *phrases, glia_error *error);

#ifdef __cplusplus
}
#endif
#endif
