/* generate.h - sequence generation: sampling of tokens, beam search, a generator with a cache.
 *
 *   1  sampling: one token from the scores of the vocabulary
 *   2  beam search: the most probable sequences
 *   3  the generator: a causal model, run token by token
 *
 * Letters in shapes: N sequences, T tokens, V vocabulary.
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
    double repetition_penalty; /* scores of tokens that have occurred are divided by it, negative ones multiplied
                                * (Keskar et al. 2019, "CTRL", section 4.1); 0: 1 */
    bool greedy;               /* the token with the highest score, the first of equals; the fields below are not
                                  used */
    double temperature;        /* scores are divided by it; 0: 1; GLIA_ZERO: greedy */
    int top_k;                 /* keep the k highest scores (Fan et al. 2018); 0: all */
    double top_p;              /* of these, keep the fewest that make up this probability, most probable first (Holtzman
                                * et al. 2020); 0: 1; GLIA_ZERO: the most probable one */
    double min_p;              /* of these, keep those with at least this fraction of the highest probability; 0: all */
    uint64_t seed;             /* the draw is a function of the seed and the number of past tokens */
} glia_sampling;

typedef struct glia_sampler glia_sampler; /* one thread at a time */
GLIA_API glia_sampler *glia_sampler_create(int64_t vocabulary, glia_sampling sampling, glia_error *error);
GLIA_API void glia_sampler_free(glia_sampler *sampler);
/* Draws the token after `past` (n of them; may be NULL if 0): scores (V) are logits or log-probabilities. A score of
 * minus infinity excludes a token. GLIA_E_ARGUMENT: a score is NaN, or no token is left. */
GLIA_API glia_status glia_sampler_next(glia_sampler *sampler, const float *scores, const int32_t *past, int64_t n,
                                       int32_t *token, glia_error *error);

/* ==== 2. beam search ======================================================================== */

/* Computes the scores of the token after each of n sequences of `length` tokens, tokens (n, length): writes scores (n,
 * V), logits or log-probabilities. Row i continues row parents[i] of the previous call (NULL in the first one): caches
 * by row must be reordered accordingly. */
typedef glia_status (*glia_next_scores)(const int32_t *tokens, int n, int64_t length, const int *parents, float *scores,
                                        void *context, glia_error *error);

typedef struct glia_beam_opts {
    int64_t vocabulary;
    int beams;             /* number of beams; 0: 4; 1: greedy */
    int64_t length;        /* maximum number of tokens, with the end token, without the prompt; 0: 128 */
    int32_t end;           /* a sequence is complete with this token; less than 0: none */
    double length_penalty; /* a in log P / ((5 + tokens) / 6)^a, by which complete sequences are ranked (Wu et al. 2016,
                            * section 7); e.g. 0.6; 0: by log P alone */
} glia_beam_opts;

typedef struct glia_hypothesis {
    int32_t *tokens; /* without the prompt, with the end token if it was reached */
    int64_t n;
    double log_probability; /* of all its tokens */
    double score;           /* with the length penalty */
} glia_hypothesis;

/* The best sequences that begin with `begin` (n tokens, at least one), best first: fills at most opts.beams of `found`,
 * whose tokens must be released with free(), and *n_found. It stops when no beam can become better than the worst of
 * `beams` complete sequences. */
GLIA_API glia_status glia_beam_search(glia_next_scores next, void *context, const int32_t *begin, int64_t n,
                                      glia_beam_opts opts, glia_hypothesis *found, int *n_found, glia_error *error);

/* ==== 3. the generator ====================================================================== */

/* Runs a causal model (first input i32 (N, T), first output (N, T, V): scores of the next token at each step) over
 * growing sequences, and computes new tokens only: attention keeps the keys and values of the old ones, recurrent
 * layers their states. The model's graph is rewritten for this (docs/sequences.md describes how); if that is not
 * possible, the error names the operation. */
typedef struct glia_generator glia_generator; /* one thread at a time; generators may share a model and a backend */

typedef struct glia_generator_opts {
    int sequences;          /* N, generated in parallel; 0: 1 */
    glia_backend *backend;  /* NULL: "cpu" with `threads` */
    int threads;            /* 0: all cores */
} glia_generator_opts;

/* The model must outlive it. Its values must not change between a reset and the last read of the sequences that begin
 * there; weights are packed when the first token is read, and again after a reset if they may have changed. */
GLIA_API glia_generator *glia_generator_create(glia_model *model, glia_generator_opts opts, glia_error *error);
GLIA_API void glia_generator_free(glia_generator *generator);
GLIA_API int64_t glia_generator_vocabulary(const glia_generator *generator);
/* The context length in tokens: the model's T. 0: no limit (only recurrent states). */
GLIA_API int64_t glia_generator_context(const glia_generator *generator);
GLIA_API int64_t glia_generator_length(const glia_generator *generator); /* tokens read since the last reset */
/* Resets it to empty sequences. */
GLIA_API void glia_generator_reset(glia_generator *generator);
/* Reads n more tokens of each sequence, tokens (N, n); *scores (N, V) are those of the token that follows, valid until
 * the next call. Up to 512 tokens are read in one run, of a program that is compiled for their number (the last four
 * are kept); a prompt that all sequences begin with is read once for all. When the context is full the oldest tokens
 * are let go: half of it is read again. */
GLIA_API glia_status glia_generator_read(glia_generator *generator, const int32_t *tokens, int64_t n,
                                         const float **scores, glia_error *error);
/* Sequence i becomes a copy of what sequence parents[i] was: what beam search needs. Only sequences with another parent
 * than themselves are written, and of keys and values only what follows the tokens that both have in common. Allocates
 * nothing. */
GLIA_API glia_status glia_generator_reorder(glia_generator *generator, const int *parents, glia_error *error);

/* Called with each new token; GLIA_OK continues, GLIA_E_INTERRUPTED stops, any other status is returned. */
typedef glia_status (*glia_token_fn)(int32_t token, void *context, glia_error *error);

typedef struct glia_generate_opts {
    int64_t length;         /* maximum number of tokens; 0: 256 */
    const int32_t *stops;   /* tokens that end the sequence, n_stops of them; the one reached is the last token */
    int n_stops;
    glia_sampling sampling;
    glia_token_fn each;     /* may be NULL */
    void *context;
} glia_generate_opts;

/* Continues the first sequence of a generator after `prompt` (n tokens, at least one): writes at most opts.length
 * tokens, and their number. Resets the generator first. */
GLIA_API glia_status glia_generate(glia_generator *generator, const int32_t *prompt, int64_t n, glia_generate_opts opts,
                                   int32_t *tokens, int64_t *n_tokens, glia_error *error);

#ifdef __cplusplus
}
#endif
#endif
