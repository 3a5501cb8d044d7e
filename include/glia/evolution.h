/* evolution.h - black-box search and evolution: CMA-ES and other strategies, NEAT, HyperNEAT, nets that grow.
 *
 * A strategy proposes candidates and is told their values; smaller is better:
 *
 *     glia_search *search = glia_search_create(start, n, (glia_search_opts){ .sigma = 0.5 }, &error);
 *     while (!glia_search_stopped(search)) {
 *         glia_search_ask(search, x, &error);            x (glia_search_count(search), n)
 *         for (i...) values[i] = f(x + i * n);
 *         glia_search_tell(search, values, &error);
 *     }
 *
 * docs/evolution.md has the mathematics and what was measured.
 */
#ifndef GLIA_EVOLUTION_H
#define GLIA_EVOLUTION_H

#include "glia/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== black-box search ======================================================================= */

typedef enum glia_strategy_kind {
    GLIA_CMA_ES,     /* Hansen and Ostermeier 2001; Hansen 2016, "The CMA evolution strategy: a tutorial", with
                      * negative weights (active CMA, Jastrebski and Arnold 2006) */
    GLIA_SEP_CMA_ES, /* a diagonal covariance: Ros and Hansen 2008; time and memory linear in n */
    GLIA_OPENAI_ES,  /* Salimans et al. 2017: mirrored noise, centred ranks, Adam */
    GLIA_GENETIC,    /* elites, tournaments, crossover, normal mutations */
    GLIA_DIFFERENTIAL_EVOLUTION, /* Storn and Price 1997: rand/1/bin */
    GLIA_RANDOM_SEARCH, /* uniform within bounds, else normal around the start: the baseline */
    GLIA_STRATEGY_COUNT
} glia_strategy_kind;
GLIA_API const char *glia_strategy_name(glia_strategy_kind kind); /* "cma-es", "sep-cma-es", "openai-es", "genetic",
                                                                     "differential-evolution", "random" */

/* What CMA-ES does when a run has converged: another with twice the population (Auger and Hansen 2005), or the same in
 * turn with short runs of small populations and steps (Hansen 2009). */
typedef enum glia_restarts { GLIA_NO_RESTARTS, GLIA_IPOP, GLIA_BIPOP } glia_restarts;

typedef struct glia_search_opts {
    glia_strategy_kind kind;
    int population;      /* 0: 4 + floor(3 ln n) for CMA-ES; 64 for the others, even for OpenAI-ES */
    double sigma;        /* standard deviation of the first candidates around the start; 0: 0.3 */
    const double *lower, *upper; /* (n) each, may be infinite; NULL: no bounds. Candidates beyond are reflected */
    glia_restarts restarts;      /* CMA-ES only */
    int max_restarts;    /* of IPOP, or with twice the population of BIPOP; 0: 9 */
    double target;       /* stop at a value at most this; 0: never; GLIA_ZERO: 0 */
    int64_t evaluations; /* stop after as many; 0: no limit */
    /* Noise: some candidates are proposed a second time. If that changes their ranks, glia_search_repeats() grows, and
     * where it may not, sigma does (Hansen et al. 2009, "A method for handling uncertainty ..."). */
    bool noise;
    int max_repeats;      /* 0: 64 */
    bool nan_is_worst;    /* a value that is NaN counts as infinite instead of being an error */
    double rate;          /* OpenAI-ES: Adam's learning rate; 0: 0.05 */
    double decay;         /* OpenAI-ES: weight decay; 0: 0 */
    int elites;           /* genetic: the best that survive; 0: a sixteenth, at least 1 */
    int tournament;       /* genetic: 0: 3 */
    double mutation;      /* genetic: standard deviation, in units of sigma; 0: 0.1 */
    double crossover;     /* genetic: probability of a second parent; 0: 0.7. Differential evolution: CR; 0: 0.9 */
    double factor;        /* differential evolution: F; 0: 0.7 */
    uint64_t seed;
} glia_search_opts;

typedef struct glia_search glia_search; /* one thread at a time */
/* A search from `start` (n). GLIA_E_ARGUMENT: an option outside its domain, bounds that exclude the start or are
 * empty, a start that is not finite. */
GLIA_API glia_search *glia_search_create(const double *start, int n, glia_search_opts opts, glia_error *error);
GLIA_API void glia_search_free(glia_search *search);

/* The candidates that the next glia_search_ask() gives; with restarts and with noise their number changes. */
GLIA_API int glia_search_count(const glia_search *search);
/* Candidates x (count, n). Asking again gives the same: only telling moves the search. */
GLIA_API glia_status glia_search_ask(glia_search *search, double *x, glia_error *error);
/* values (count) of the candidates. GLIA_E_ARGUMENT for a value that is NaN or -infinity, by its index: the search is
 * as before the call, and can be told again. */
GLIA_API glia_status glia_search_tell(glia_search *search, const double *values, glia_error *error);
/* How often each candidate should be evaluated, its value being the mean: 1 without noise. */
GLIA_API int glia_search_repeats(const glia_search *search);
/* Why the search is over: "target", "evaluations", "tolfun", ...; NULL: it goes on. */
GLIA_API const char *glia_search_stopped(const glia_search *search);

typedef struct glia_search_info {
    int64_t generation, evaluations; /* of all runs */
    int restarts, population, repeats;
    double best;      /* smallest value so far; infinite before the first */
    double sigma;     /* the present step size; NaN for strategies without */
    double condition; /* ratio of the covariance's extreme eigenvalues; NaN without a covariance */
} glia_search_info;
GLIA_API glia_search_info glia_search_inspect(const glia_search *search);
/* x (n): the best candidate so far (before the first tell: the start), or the centre of the distribution, which is
 * the better estimate of an optimum under noise. */
GLIA_API void glia_search_best(const glia_search *search, double *x);
GLIA_API void glia_search_mean(const glia_search *search, double *x);

/* The whole state as plain memory that does not move: copied before an ask and put back into a search that was created
 * with the same arguments, the search goes on with the same bits. */
GLIA_API const void *glia_search_state(const glia_search *search, size_t *bytes);
/* GLIA_E_FORMAT: not a state of such a search; nothing has changed. */
GLIA_API glia_status glia_search_restore(glia_search *search, const void *state, size_t bytes, glia_error *error);

/* The value of x (n). `seed` differs from candidate to candidate and from repeat to repeat. Called by several threads
 * at once. */
typedef glia_status (*glia_objective_fn)(void *context, const double *x, int n, uint64_t seed, double *value,
                                         glia_error *error);
/* Asks and tells until the search stops, or for `generations` (0: no limit). The same result at any number of threads
 * (0: all cores). An error of the objective, or a value that is NaN, ends it: the search so far is kept. */
GLIA_API glia_status glia_search_run(glia_search *search, glia_objective_fn objective, void *context,
                                     int64_t generations, int threads, glia_error *error);

/* Functions of n numbers to test searches on, with a minimum of 0: at 1, 1, ... for "rosenbrock", else at 0. Names in
 * alphabetical order; NULL: none at this index. An unknown name gives NaN. */
GLIA_API const char *glia_test_function_at(int index);
GLIA_API double glia_test_function(const char *name, const double *x, int n);

#ifdef __cplusplus
}
#endif

#endif
