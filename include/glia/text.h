/* text.h - text for models: tokenizers, and batches of token sequences.
 *
 *   1  tokenizers: text to ids and back          3  batches for loops written by hand: pairs of sentences,
 *   2  decoding piece by piece                      texts with labels, masked words
 *
 * A tokenizer is what Hugging Face's tokenizer.json says: a normaliser, a pre-tokenizer that cuts text into pieces, a
 * model that cuts pieces into tokens, a post-processor that puts special tokens around them, a decoder, and added
 * tokens. Glia trains five kinds, keeps them in that format, and reads everybody's: docs/text.md lists what is known.
 *
 * Texts are UTF-8; bytes that are none are carried through where a tokenizer knows bytes, and count as U+FFFD where it
 * knows characters. Places in a text are byte offsets.
 */
#ifndef GLIA_TEXT_H
#define GLIA_TEXT_H

#include "glia/glia.h"

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

/* The same text gives the same tokenizer. A text is a line, a document or whatever stands for itself: no token crosses
 * from one to the next.
 * Files may be gzipped; each of their lines, with its end, is a text. */
GLIA_API glia_tokenizer *glia_tokenizer_train(glia_tokenizer_kind kind, glia_tokenizer_opts opts,
                                              const glia_string *texts, int64_t n, glia_error *error);
GLIA_API glia_tokenizer *glia_tokenizer_train_files(glia_tokenizer_kind kind, glia_tokenizer_opts opts,
                                                    const char *const *paths, int n, glia_error *error);

/* A tokenizer.json; a vocab.json of GPT-2's kind with its merges.txt beside it; a vocab.txt of BERT's, which is taken
 * for uncased unless "cased" and not "uncased" is in its path or a token has a capital letter; or a folder with one of these.
 * GLIA_E_UNSUPPORTED names the component that Glia does not have. */
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
typedef struct glia_decoder glia_decoder;
GLIA_API glia_decoder *glia_decoder_create(const glia_tokenizer *tokenizer, bool skip_specials, glia_error *error);
GLIA_API void glia_decoder_free(glia_decoder *decoder);
/* What can be said now, possibly nothing ("", never NULL unless memory ran out); valid until the next call. */
GLIA_API const char *glia_decoder_next(glia_decoder *decoder, int32_t id, size_t *length);
/* What was held back, at the end; the decoder begins anew. */
GLIA_API const char *glia_decoder_finish(glia_decoder *decoder, size_t *length);

#ifdef __cplusplus
}
#endif
#endif
