/* text.h - text for models: tokenizers, and batches of token sequences.
 *
 *   1  tokenizers: text to ids and back          3  batches for custom training loops: pairs of sentences,
 *   2  incremental decoding                         texts with labels, masked words
 *
 * A tokenizer is described by Hugging Face's tokenizer.json: a normaliser, a pre-tokenizer that splits text into
 * pieces, a model that splits pieces into tokens, a post-processor that adds special tokens, a decoder, and added
 * tokens. Glia trains five kinds, saves them in that format, and reads those of other libraries: docs/text.md lists
 * what is supported.
 *
 * Texts are UTF-8; invalid bytes are preserved by byte-level tokenizers, and count as U+FFFD for others. Positions in a
 * text are byte offsets.
 */
#ifndef GLIA_TEXT_H
#define GLIA_TEXT_H

#include "glia/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that need not end in NUL. */
typedef struct glia_string {
    const char *bytes;
    size_t length;
} glia_string;

/* ==== 1. tokenizers ========================================================================= */

typedef struct glia_tokenizer glia_tokenizer; /* immutable; several threads may use one */

typedef enum glia_tokenizer_kind {
    GLIA_TOKENIZER_CHARACTERS, /* one token per character, in the order of code points */
    GLIA_TOKENIZER_WORDS,      /* separated by white space, the most frequent first */
    GLIA_TOKENIZER_BPE,        /* byte pairs (Sennrich et al. 2016) over bytes, as in GPT-2: no text is unknown */
    GLIA_TOKENIZER_WORDPIECE,  /* BERT's: pieces of words, those inside a word begin with ## */
    GLIA_TOKENIZER_UNIGRAM     /* Kudo 2018, as in SentencePiece: the most probable pieces */
} glia_tokenizer_kind;

GLIA_API const char *glia_tokenizer_kind_name(glia_tokenizer_kind kind); /* "characters", ...; NULL: no such kind */

typedef struct glia_tokenizer_opts {
    int64_t vocabulary;   /* tokens, special ones included; 0: 8,192, no limit for characters */
    int64_t minimum;      /* words and pairs that occur less often are left out; 0: 1 */
    const char *specials; /* special tokens, separated by commas, which get the first ids; NULL: by the kind: [UNK] for
                             words, [PAD],[UNK],[CLS],[SEP],[MASK] for WordPiece, <unk> for unigram, none for others */
    bool lowercase;       /* lowercase, without accents, as in BERT's uncased models */
    int threads;          /* 0: all cores; the result does not depend on it */
} glia_tokenizer_opts;

/* Deterministic: the same text gives the same tokenizer. A text is a line or a document: no token crosses from one to
 * the next.
 * Files may be gzipped; each of their lines, with its end, is a text. */
GLIA_API glia_tokenizer *glia_tokenizer_train(glia_tokenizer_kind kind, glia_tokenizer_opts opts,
                                              const glia_string *texts, int64_t n, glia_error *error);
GLIA_API glia_tokenizer *glia_tokenizer_train_files(glia_tokenizer_kind kind, glia_tokenizer_opts opts,
                                                    const char *const *paths, int n, glia_error *error);

/* Loads a tokenizer.json; a vocab.json like GPT-2's with its merges.txt in the same folder; a vocab.txt like BERT's,
 * which is assumed to be uncased unless "cased" and not "uncased" is in its path or a token has a capital letter; or a
 * folder with one of these. GLIA_E_UNSUPPORTED names the unsupported component. */
GLIA_API glia_tokenizer *glia_tokenizer_load(const char *path, glia_error *error);
/* A tokenizer.json in memory. */
GLIA_API glia_tokenizer *glia_tokenizer_parse(const char *bytes, size_t length, glia_error *error);
GLIA_API glia_status glia_tokenizer_save(const glia_tokenizer *tokenizer, const char *path, glia_error *error);
GLIA_API void glia_tokenizer_free(glia_tokenizer *tokenizer);
/* Its tokenizer.json. */
GLIA_API const char *glia_tokenizer_json(const glia_tokenizer *tokenizer, size_t *length);

GLIA_API int64_t glia_tokenizer_size(const glia_tokenizer *tokenizer); /* one more than the largest id */
GLIA_API int64_t glia_tokenizer_id(const glia_tokenizer *tokenizer, const char *token); /* -1: there is none */
/* The token's text in the vocabulary ("Ġthe"); NULL: no such id. `special` (may be NULL): whether it is a special
 * token. */
GLIA_API const char *glia_tokenizer_token(const glia_tokenizer *tokenizer, int64_t id, bool *special);

typedef struct glia_encode_opts {
    bool specials;    /* with the special tokens of the post-processor, [CLS] and the like */
    bool offsets;     /* fill begins and ends */
    const char *pair; /* a second text, combined with the first by the post-processor's rule for pairs; NULL: none */
    size_t pair_length;
} glia_encode_opts;

typedef struct glia_encoding {
    int64_t n;
    int32_t *ids;
    uint8_t *types;         /* 0: first text, 1: second text, or as the post-processor sets it */
    int64_t *begins, *ends; /* position of each token in its text, in bytes; both 0 for special tokens; NULL unless
                               requested */
} glia_encoding;

/* Release with glia_encoding_free() if it succeeded. */
GLIA_API glia_status glia_tokenizer_encode(const glia_tokenizer *tokenizer, const char *text, size_t length,
                                           glia_encode_opts opts, glia_encoding *encoding, glia_error *error);
/* Many texts, in parallel on threads (0: all cores); `encodings` has room for n, each to be freed. */
GLIA_API glia_status glia_tokenizer_encode_batch(const glia_tokenizer *tokenizer, const glia_string *texts, int64_t n,
                                                 glia_encode_opts opts, int threads, glia_encoding *encodings,
                                                 glia_error *error);
GLIA_API void glia_encoding_free(glia_encoding *encoding);

/* The text of the ids; invalid ids are skipped. NUL-terminated; *length, unless NULL, gets its length. Release with
 * free(); NULL: out of memory. */
GLIA_API char *glia_tokenizer_decode(const glia_tokenizer *tokenizer, const int32_t *ids, int64_t n, bool skip_specials,
                                     size_t *length);

/* ==== 2. incremental decoding =============================================================== */

/* Decodes ids one at a time, as a model generates them: bytes that may still become part of a character are held back.
 * All pieces together are the text of all ids. */
typedef struct glia_detokenizer glia_detokenizer; /* one thread at a time */
GLIA_API glia_detokenizer *glia_detokenizer_create(const glia_tokenizer *tokenizer, bool skip_specials,
                                                   glia_error *error);
GLIA_API void glia_detokenizer_free(glia_detokenizer *decoder);
/* The text that is complete now, possibly "" (NULL: out of memory); valid until the next call. */
GLIA_API const char *glia_detokenizer_next(glia_detokenizer *decoder, int32_t id, size_t *length);
/* At the end: the bytes held back so far; resets the decoder. */
GLIA_API const char *glia_detokenizer_finish(glia_detokenizer *decoder, size_t *length);

/* ==== 3. batches ============================================================================ */
/* For custom training loops. The contents of a batch depend only on the seed and the epoch. If all samples have the
 * same length, use the data sets `texts:...?tokenizer=T.json`, `tokens:` and `chars:` (docs/data.md) with glia_fit()
 * instead. */

/* Pairs of sentences, as for translation. Pairs of similar lengths are batched together: a batch is (batch, length),
 * where the length is a multiple, so that a few programs serve all batches. */
typedef struct glia_pairs_opts {
    int64_t batch;           /* rows; 0: 32 */
    int64_t longest;         /* pairs with a longer side (the end included) are left out; 0: 64 */
    int64_t multiple;        /* lengths of batches are multiples of this; 0: 8 */
    int32_t begin, end, pad; /* ids */
    bool shuffle;            /* else shorter pairs come first, in their order */
    uint64_t seed;
} glia_pairs_opts;

typedef struct glia_pair_batch {
    int64_t n, rows, length;       /* the first n rows are pairs; the others repeat them, with all targets -1 */
    const int32_t *source;         /* (rows, length): tokens, end, pad ... */
    const int32_t *source_lengths; /* (rows), the end included */
    const int32_t *input;          /* (rows, length): begin, tokens, pad ... */
    const int32_t *target;         /* (rows, length): tokens, end, -1 ..., which glia_cross_entropy_tokens() ignores */
    const int32_t *target_lengths; /* (rows), the end included */
    const int64_t *indices;        /* (rows): indices of the pairs */
} glia_pair_batch;

typedef struct glia_pairs glia_pairs; /* one thread at a time */
/* n sources and targets; copied. */
GLIA_API glia_pairs *glia_pairs_create(const glia_encoding *sources, const glia_encoding *targets, int64_t n,
                                       glia_pairs_opts opts, glia_error *error);
/* Line i of one file is paired with line i of the other; both may be gzipped. */
GLIA_API glia_pairs *glia_pairs_open(const char *source_path, const char *target_path, const glia_tokenizer *source,
                                     const glia_tokenizer *target, glia_pairs_opts opts, glia_error *error);
GLIA_API void glia_pairs_free(glia_pairs *pairs);
GLIA_API int64_t glia_pairs_count(const glia_pairs *pairs);   /* pairs that are not too long */
GLIA_API int64_t glia_pairs_batches(const glia_pairs *pairs); /* in an epoch that was started */
/* The possible lengths of batches, ascending: fills at most `capacity`, returns their number. */
GLIA_API int glia_pairs_lengths(const glia_pairs *pairs, int64_t *lengths, int capacity);
GLIA_API glia_status glia_pairs_start(glia_pairs *pairs, int64_t epoch, glia_error *error);
/* False: the epoch has ended. The batch is valid until the next call. */
GLIA_API bool glia_pairs_next(glia_pairs *pairs, glia_pair_batch *batch);

/* Rows for BERT's pre-training (Devlin et al. 2019, appendix A.2): [CLS] A [SEP] B [SEP] from documents whose lines are
 * sentences; B follows A in half of the rows, else it comes from another document. Words are masked by
 * glia_mask_words() of transformers.h, with `indices` and glia_tokenizer_continues(). */
typedef struct glia_sentences_opts {
    int64_t batch, length; /* 0: 32, 128 */
    int32_t cls, sep, pad; /* ids */
    uint64_t seed;
} glia_sentences_opts;

typedef struct glia_sentence_batch {
    int64_t n;
    const int32_t *ids, *types; /* (n, length); types are 1 in B */
    const int32_t *lengths;     /* (n) */
    const int32_t *follows;     /* (n): 1 if B follows A */
    const int64_t *indices;     /* (n) */
} glia_sentence_batch;

typedef struct glia_sentences glia_sentences; /* one thread at a time */
GLIA_API glia_sentences *glia_sentences_create(const glia_tokenizer *tokenizer, const glia_string *documents, int64_t n,
                                               glia_sentences_opts opts, glia_error *error);
GLIA_API void glia_sentences_free(glia_sentences *sentences);
GLIA_API int64_t glia_sentences_batches(const glia_sentences *sentences); /* full ones, the same in every epoch */
GLIA_API glia_status glia_sentences_start(glia_sentences *sentences, int64_t epoch, glia_error *error);
GLIA_API bool glia_sentences_next(glia_sentences *sentences, glia_sentence_batch *batch);

/* Whether each id continues the previous word, glia_tokenizer_size() of them: "##ing" of WordPiece; for byte pairs and
 * unigrams, ids that do not begin with the marker of a space. */
GLIA_API void glia_tokenizer_continues(const glia_tokenizer *tokenizer, bool *continues);

#ifdef __cplusplus
}
#endif
#endif
