/* text.h - text for models: tokenizers, and batches of token sequences.
 *
 *   1  tokenizers: text to ids and back          3  batches for loops written by hand: pairs of sentences,
 *   2  decoding piece by piece                      texts with labels, masked words
 *
 * A tokenizer is what Hugging Face's tokenizer.json says: a normaliser, a pre-tokenizer that cuts text into pieces, a
 * model that cuts pieces into tokens, a post-processor that puts special tokens around them, a decoder, and added
 * tokens. Glia trains five kinds, saves them in that format, and reads those of other libraries: docs/text.md lists
 * what is supported.
 *
 * Texts are UTF-8; bytes that are none are carried through where a tokenizer knows bytes, and count as U+FFFD where it
 * knows characters. Places in a text are byte offsets.
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

typedef struct glia_tokenizer glia_tokenizer; /* never changes; several threads may use one */

typedef enum glia_tokenizer_kind {
    GLIA_TOKENIZER_CHARACTERS, /* a token for each character that occurs, in the order of their code points */
    GLIA_TOKENIZER_WORDS,      /* what white space separates, the most frequent first */
    GLIA_TOKENIZER_BPE,        /* byte pairs (Sennrich et al. 2016) over bytes, as GPT-2 has them: no text is unknown */
    GLIA_TOKENIZER_WORDPIECE,  /* BERT's: pieces of words, those inside a word begin with ## */
    GLIA_TOKENIZER_UNIGRAM     /* Kudo 2018, as SentencePiece has it: the likeliest pieces */
} glia_tokenizer_kind;

GLIA_API const char *glia_tokenizer_kind_name(glia_tokenizer_kind kind); /* "characters", ...; NULL: no such kind */

typedef struct glia_tokenizer_opts {
    int64_t vocabulary;   /* tokens, special ones included; 0: 8,192, and without limit for characters */
    int64_t minimum;      /* words and pairs seen less often are left out; 0: 1 */
    const char *specials; /* special tokens, separated by commas, the first ids; NULL: what the kind needs: [UNK] for
                             words, [PAD],[UNK],[CLS],[SEP],[MASK] for WordPiece, <unk> for unigram, none else */
    bool lowercase;       /* letters become small and lose their accents, as in BERT's uncased models */
    int threads;          /* 0: all cores; the result does not depend on it */
} glia_tokenizer_opts;

/* The same text gives the same tokenizer. A text is a line or a document: no token crosses
 * from one to the next.
 * Files may be gzipped; each of their lines, with its end, is a text. */
GLIA_API glia_tokenizer *glia_tokenizer_train(glia_tokenizer_kind kind, glia_tokenizer_opts opts,
                                              const glia_string *texts, int64_t n, glia_error *error);
GLIA_API glia_tokenizer *glia_tokenizer_train_files(glia_tokenizer_kind kind, glia_tokenizer_opts opts,
                                                    const char *const *paths, int n, glia_error *error);

/* A tokenizer.json; a vocab.json of GPT-2's kind with its merges.txt beside it; a vocab.txt of BERT's, which is taken
 * for uncased unless "cased" and not "uncased" is in its path or a token has a capital letter; or a folder with one
 * of these. GLIA_E_UNSUPPORTED names the component that Glia does not have. */
GLIA_API glia_tokenizer *glia_tokenizer_load(const char *path, glia_error *error);
/* A tokenizer.json in memory. */
GLIA_API glia_tokenizer *glia_tokenizer_parse(const char *bytes, size_t length, glia_error *error);
GLIA_API glia_status glia_tokenizer_save(const glia_tokenizer *tokenizer, const char *path, glia_error *error);
GLIA_API void glia_tokenizer_free(glia_tokenizer *tokenizer);
/* Its tokenizer.json. */
GLIA_API const char *glia_tokenizer_json(const glia_tokenizer *tokenizer, size_t *length);

GLIA_API int64_t glia_tokenizer_size(const glia_tokenizer *tokenizer); /* one more than the largest id */
GLIA_API int64_t glia_tokenizer_id(const glia_tokenizer *tokenizer, const char *token); /* -1: there is none */
/* As the vocabulary spells it ("Ġthe"); NULL: no such id. `special` (may be NULL): whether it is a special token. */
GLIA_API const char *glia_tokenizer_token(const glia_tokenizer *tokenizer, int64_t id, bool *special);

typedef struct glia_encode_opts {
    bool specials;    /* with the special tokens of the post-processor, [CLS] and the like */
    bool offsets;     /* fill begins and ends */
    const char *pair; /* a second text behind the first, as the post-processor has pairs; NULL: none */
    size_t pair_length;
} glia_encode_opts;

typedef struct glia_encoding {
    int64_t n;
    int32_t *ids;
    uint8_t *types;         /* 0: of the first text, 1: of the second, or what the post-processor says */
    int64_t *begins, *ends; /* where in its text a token was, in bytes; both 0 for special tokens; NULL unless wanted */
} glia_encoding;

/* Release with glia_encoding_free() when it succeeded. */
GLIA_API glia_status glia_tokenizer_encode(const glia_tokenizer *tokenizer, const char *text, size_t length,
                                           glia_encode_opts opts, glia_encoding *encoding, glia_error *error);
/* Many texts, on threads (0: all cores); `encodings` has room for n, each to be freed. */
GLIA_API glia_status glia_tokenizer_encode_batch(const glia_tokenizer *tokenizer, const glia_string *texts, int64_t n,
                                                 glia_encode_opts opts, int threads, glia_encoding *encodings,
                                                 glia_error *error);
GLIA_API void glia_encoding_free(glia_encoding *encoding);

/* The text that the ids stand for; ids that are none are left out. NUL-terminated; its length if `length` is not NULL.
 * Release with free(); NULL: memory ran out. */
GLIA_API char *glia_tokenizer_decode(const glia_tokenizer *tokenizer, const int32_t *ids, int64_t n, bool skip_specials,
                                     size_t *length);

/* ==== 2. decoding piece by piece ============================================================ */

/* Ids that come one at a time, as a model generates them, into text that can be shown at once: what may still become
 * part of a character is held back. All pieces together are the text of all ids. */
typedef struct glia_detokenizer glia_detokenizer; /* one thread at a time */
GLIA_API glia_detokenizer *glia_detokenizer_create(const glia_tokenizer *tokenizer, bool skip_specials,
                                                   glia_error *error);
GLIA_API void glia_detokenizer_free(glia_detokenizer *decoder);
/* What can be said now, possibly nothing ("", never NULL unless memory ran out); valid until the next call. */
GLIA_API const char *glia_detokenizer_next(glia_detokenizer *decoder, int32_t id, size_t *length);
/* At the end: the bytes held back so far; resets the decoder. */
GLIA_API const char *glia_detokenizer_finish(glia_detokenizer *decoder, size_t *length);

/* ==== 3. batches ============================================================================ */
/* For loops written by hand. The contents of a batch depend on the seed and the epoch alone. Where everything has one
 * length, `texts:...?tokenizer=T.json`, `tokens:` and `chars:` (docs/data.md) are data sets for glia_fit() instead. */

/* Pairs of sentences, as translation has them. Pairs of like lengths come together: a batch is (batch, length) with a
 * length that is a multiple, so that a handful of programs serves all batches. */
typedef struct glia_pairs_opts {
    int64_t batch;           /* rows; 0: 32 */
    int64_t longest;         /* pairs with a longer side (the end included) are left out; 0: 64 */
    int64_t multiple;        /* of which the lengths of batches are; 0: 8 */
    int32_t begin, end, pad; /* ids */
    bool shuffle;            /* else the shorter come first, in their order */
    uint64_t seed;
} glia_pairs_opts;

typedef struct glia_pair_batch {
    int64_t n, rows, length;       /* n of the rows are pairs; the others repeat them, with targets of -1 alone */
    const int32_t *source;         /* (rows, length): tokens, end, pad ... */
    const int32_t *source_lengths; /* (rows), the end included */
    const int32_t *input;          /* (rows, length): begin, tokens, pad ... */
    const int32_t *target; /* (rows, length): tokens, end, -1 ..., which glia_cross_entropy_tokens() leaves out */
    const int32_t *target_lengths; /* (rows), the end included */
    const int64_t *indices;        /* (rows): which pairs */
} glia_pair_batch;

typedef struct glia_pairs glia_pairs; /* one thread at a time */
/* n sources and targets; copied. */
GLIA_API glia_pairs *glia_pairs_create(const glia_encoding *sources, const glia_encoding *targets, int64_t n,
                                       glia_pairs_opts opts, glia_error *error);
/* Line i of one file goes with line i of the other; gzipped or not. */
GLIA_API glia_pairs *glia_pairs_open(const char *source_path, const char *target_path, const glia_tokenizer *source,
                                     const glia_tokenizer *target, glia_pairs_opts opts, glia_error *error);
GLIA_API void glia_pairs_free(glia_pairs *pairs);
GLIA_API int64_t glia_pairs_count(const glia_pairs *pairs);   /* pairs that are not too long */
GLIA_API int64_t glia_pairs_batches(const glia_pairs *pairs); /* in an epoch that was started */
/* Lengths that batches may have, rising: fills at most `capacity`, returns how many. */
GLIA_API int glia_pairs_lengths(const glia_pairs *pairs, int64_t *lengths, int capacity);
GLIA_API glia_status glia_pairs_start(glia_pairs *pairs, int64_t epoch, glia_error *error);
/* False: the epoch is over; valid until the next call. */
GLIA_API bool glia_pairs_next(glia_pairs *pairs, glia_pair_batch *batch);

/* Rows for BERT's pre-training (Devlin et al. 2019, appendix A.2): [CLS] A [SEP] B [SEP] out of documents whose
 * lines are sentences; B follows A in half of the rows, else it comes from another document. Words are masked by
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
GLIA_API int64_t glia_sentences_batches(const glia_sentences *sentences); /* full ones, in any epoch */
GLIA_API glia_status glia_sentences_start(glia_sentences *sentences, int64_t epoch, glia_error *error);
GLIA_API bool glia_sentences_next(glia_sentences *sentences, glia_sentence_batch *batch);

/* Which ids go on with the word before them, glia_tokenizer_size() of them: "##ing" of WordPiece; of byte pairs and
 * unigrams those that do not begin with the sign of a space. */
GLIA_API void glia_tokenizer_continues(const glia_tokenizer *tokenizer, bool *continues);

#ifdef __cplusplus
}
#endif
#endif
