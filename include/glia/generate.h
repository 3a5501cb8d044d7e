/* generate.h - sequences out of models: choosing tokens, a generator that keeps what it has read, beam search.
 *
 *   1  sampling: one token from the scores of all
 *   2  beam search: the likeliest sequences
 *   3  the generator: a causal model, run token by token
 *
 * Shapes in comments are by letter: N sequences, T tokens, V vocabulary.
 */
#ifndef GLIA_GENERATE_H
#define GLIA_GENERATE_H

#include "glia/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== 1. sampling =========================================================================== */

/* How the next token is chosen. The rules apply in the order of the fields. */
typedef struct glia_sampling {
    double repetition_penalty; /* scores of tokens that have come are divided by it, negative ones multiplied (Keskar et
                                * al. 2019, "CTRL", section 4.1); 0: 1 */
    bool greedy;               /* the token with the highest score, the first of equals; what follows has no say */
    double temperature;        /* scores are divided by it; 0: 1; GLIA_ZERO: greedy */
    int top_k;                 /* the k with the highest scores remain (Fan et al. 2018); 0: all */
    double top_p;              /* of these, the fewest that make up this probability, the likeliest first (Holtzman et al.
                                * 2020); 0: 1; GLIA_ZERO: the likeliest one */
    double min_p;              /* of these, those with at least this share of the likeliest one's probability; 0: all */
    uint64_t seed;             /* the draw is a function of the seed and of how many tokens have come */
} glia_sampling;

typedef struct glia_sampler glia_sampler; /* one thread at a time */
GLIA_API glia_sampler *glia_sampler_create(int64_t vocabulary, glia_sampling sampling, glia_error *error);
GLIA_API void glia_sampler_free(glia_sampler *sampler);
/* The token that follows `past` (n of them; may be NULL if 0): scores (V) are logits or logarithms of probabilities. A
 * score of minus infinity is a token that never comes. GLIA_E_ARGUMENT: a score is NaN, or no token is left. */
GLIA_API glia_status glia_sampler_next(glia_sampler *sampler, const float *scores, const int32_t *past, int64_t n,
                                       int32_t *token, glia_error *error);

/* ==== 2. beam search ======================================================================== */

/* Scores for the token that follows each of n sequences of `length` tokens, tokens (n, length): writes scores (n, V),
 * logits or logarithms of probabilities. Row i continues row parents[i] of the call before (NULL in the first): who
 * keeps something for each row moves it accordingly. */
typedef glia_status (*glia_next_scores)(const int32_t *tokens, int n, int64_t length, const int *parents, float *scores,
                                        void *context, glia_error *error);

typedef struct glia_beam_opts {
    int64_t vocabulary;
    int beams;             /* sequences that are followed at the same time; 0: 4; 1: greedy */
    int64_t length;        /* tokens at most, the end included, what it began with not; 0: 128 */
    int32_t end;           /* a sequence is complete with this token; less than 0: none */
    double length_penalty; /* a in log P / ((5 + tokens) / 6)^a, by which complete sequences are compared (Wu et al. 2016,
                            * section 7); e.g. 0.6; 0: by log P alone */
} glia_beam_opts;

typedef struct glia_hypothesis {
    int32_t *tokens; /* without those it began with, with the end if it came to it */
    int64_t n;
    double log_probability; /* of all its tokens together */
    double score;           /* with the length penalty */
} glia_hypothesis;

/* The best sequences that begin with `begin` (n of them, at least one), best first: fills at most opts.beams of
 * `found`, whose tokens are to be released with free(), and *n_found. It stops when no sequence that is still being
 * followed can be better than the worst of `beams` complete ones. */
GLIA_API glia_status glia_beam_search(glia_next_scores next, void *context, const int32_t *begin, int64_t n,
                                      glia_beam_opts opts, glia_hypothesis *found, int *n_found, glia_error *error);

/* ==== 3. the generator ====================================================================== */

/* Runs a causal model (the first input is i32 (N, T), the first output (N, T, V): scores of what follows each token)
 * over sequences that grow, and computes for new tokens only: attention keeps the keys and values of the old ones,
 * recurrent layers their states. For that the model's graph is written anew (docs/sequences.md says how); which
 * operations it can be done for is in the message if it cannot. */
typedef struct glia_generator glia_generator; /* one thread at a time; several generators may share a model and a backend */

typedef struct glia_generator_opts {
    int sequences;          /* N, that grow side by side; 0: 1 */
    glia_backend *backend;  /* NULL: "cpu" with `threads` */
    int threads;            /* 0: all cores */
} glia_generator_opts;

/* The model must outlive it. Its values must not change between a reset and the last read of the sequences that begin
 * there; weights are packed when the first token is read, and again after a reset if they may have changed. */
GLIA_API glia_generator *glia_generator_create(glia_model *model, glia_generator_opts opts, glia_error *error);
GLIA_API void glia_generator_free(glia_generator *generator);
GLIA_API int64_t glia_generator_vocabulary(const glia_generator *generator);
/* Tokens that it can look back on: the model's T. 0: no limit (states alone). */
GLIA_API int64_t glia_generator_context(const glia_generator *generator);
GLIA_API int64_t glia_generator_length(const glia_generator *generator); /* tokens read since the last reset */
/* Forgets what it has read. */
GLIA_API void glia_generator_reset(glia_generator *generator);
/* Reads n more tokens of each sequence, tokens (N, n); *scores (N, V) are those of the token that follows, valid until the
 * next call. Up to 512 tokens are read in one run, of a program that is compiled for their number (the last four are
 * kept); a prompt that all sequences begin with is read once for all. When the context is full the oldest tokens are let
 * go: half of it is read again. */
GLIA_API glia_status glia_generator_read(glia_generator *generator, const int32_t *tokens, int64_t n,
                                         const float **scores, glia_error *error);
/* Sequence i becomes a copy of what sequence parents[i] was: what beam search needs. Only sequences with another parent
 * than themselves are written, and of keys and values only what follows the tokens that both have in common. Allocates
 * nothing. */
GLIA_API glia_status glia_generator_reorder(glia_generator *generator, const int *parents, glia_error *error);

/* Called with each new token; GLIA_OK to go on, GLIA_E_INTERRUPTED to stop there, anything else is passed on. */
typedef glia_status (*glia_token_fn)(int32_t token, void *context, glia_error *error);

typedef struct glia_generate_opts {
    int64_t length;         /* tokens at most; 0: 256 */
    const int32_t *stops;   /* tokens that end the sequence, n_stops of them; the one that came is the last token */
    int n_stops;
    glia_sampling sampling;
    glia_token_fn each;     /* may be NULL */
    void *context;
} glia_generate_opts;

/* Continues the first sequence of a generator after `prompt` (n tokens, at least one): writes at most opts.length tokens
 * and their number. The generator is reset first. */
GLIA_API glia_status glia_generate(glia_generator *generator, const int32_t *prompt, int64_t n, glia_generate_opts opts,
                                   int32_t *tokens, int64_t *n_tokens, glia_error *error);

#ifdef __cplusplus
}
#endif
#endif
