/* search.h - the state of a black-box search, and the record of a strategy. */
#ifndef GLIA_SRC_FAMILIES_EVOLUTION_SEARCH_H
#define GLIA_SRC_FAMILIES_EVOLUTION_SEARCH_H

#include "base/base.h"
#include "glia/evolution.h"

enum { GLIA_SEARCH_WHY = 16 };

/* The numbers of a state; behind it in the same block lie best (n), start (n) and the strategy's own. */
typedef struct glia_search_place {
    uint64_t identity; /* a hash of the arguments */
    int64_t generation, evaluations;
    int64_t run_generation, run_evaluations;                 /* since the last restart */
    int64_t population, restarts, large;                     /* large: restarts that doubled the population */
    int64_t small_evaluations, large_evaluations, run_limit; /* of BIPOP; of this run, 0: none */
    int64_t small;                                           /* this run is one with a small population */
    double best_value, sigma0, sigma, repeats;
    char why[GLIA_SEARCH_WHY]; /* "": goes on */
} glia_search_place;

typedef struct glia_strategy glia_strategy;
struct glia_search {
    const glia_strategy *strategy;
    glia_search_opts opts; /* defaults filled in */
    int n;
    double *lower, *upper; /* (n) */
    size_t bytes;
    glia_search_place *place;
    double *best, *start, *own;
    /* scratch, for the population of this generation */
    int64_t capacity, proposed; /* proposed: the generation whose candidates it holds; -1: none */
    double *x, *z;              /* (population, n): candidates before reflection, and the normal numbers behind them */
    double *values;             /* (population) */
    double *told;               /* (population) values of the last generation, as they were told */
    int32_t *order;             /* candidates by value; room for twice as many */
    double *work;               /* (4 n), with a full covariance (n n + 4 n); at least (population) */
};

struct glia_strategy {
    const char *name;
    int population;                                /* default; 0: by n */
    int64_t (*numbers)(const glia_search *s);      /* doubles of its state */
    void (*begin)(glia_search *s);                 /* a new run from `start` */
    void (*ask)(glia_search *s, glia_rng *rng);    /* fills x */
    void (*tell)(glia_search *s, glia_rng *rng);   /* from x, values and order */
    const char *(*stopped)(const glia_search *s);  /* why a run is over; NULL: not, or it cannot tell */
    void (*mean)(const glia_search *s, double *x); /* NULL: the best */
    double (*condition)(const glia_search *s);     /* NULL: none */
};

#define GLIA_STRATEGY_ROW(kind, name) extern const glia_strategy glia_strategy_##name;
#include "families/evolution/strategies.def"
#undef GLIA_STRATEGY_ROW

/* Whether glia_search_restore() would take this state. */
glia_status glia_search_check(const glia_search *s, const void *state, size_t bytes, glia_error *error);
/* Indices of values (n) in ascending order; equal values keep their order. `order` has room for 2 n. */
void glia_sort_indices(const double *values, int32_t *order, int64_t n);
/* x reflected into [lower, upper], either of which may be infinite. */
double glia_reflect(double x, double lower, double upper);

#endif
