/* metrics.h - what a metric's page says about it.
 *
 * Whatever a metric gathers is of three kinds, which metric.c allocates, merges and resets for all of them: counts
 * (whole numbers), sums (exact, exact.c), and kept samples (for curves). A page says how many of each it wants, how one
 * sample adds to them, and what the figure is.
 */
#ifndef GLIA_SRC_NN_METRICS_METRICS_H
#define GLIA_SRC_NN_METRICS_METRICS_H

#include "core/tensor/tensor.h"
#include "glia/metrics.h"

/* ---- exact sums (exact.c) ------------------------------------------------------------------ */

/* The sum of any finite doubles without a rounding, as a fixed-point number that spans all of their exponents (Kulisch
 * 1971): digits of 32 bits with carries pending. Zero-initialise. */
enum { GLIA_EXACT_DIGITS = 68 };
typedef struct glia_exact {
    int64_t digit[GLIA_EXACT_DIGITS]; /* of 2^(32 i - 1074) */
    int64_t pending;                  /* additions since carries were propagated */
    double special;                   /* the sum of what was not finite */
} glia_exact;

void glia_exact_add(glia_exact *sum, double x);
void glia_exact_merge(glia_exact *sum, const glia_exact *other);
double glia_exact_value(const glia_exact *sum); /* rounded to nearest */
/* Two doubles whose sum is the value to about 106 bits. */
void glia_exact_pair(const glia_exact *sum, double *high, double *low);

/* ---- options ------------------------------------------------------------------------------- */

typedef enum glia_average {
    GLIA_AVERAGE_DEFAULT, /* binary for two classes, macro for more */
    GLIA_AVERAGE_BINARY, /* the positive class alone */
    GLIA_AVERAGE_MACRO,
    GLIA_AVERAGE_MICRO,
    GLIA_AVERAGE_WEIGHTED
} glia_average;

/* What a page accepts beside `logits` and `ignore`, which all metrics of labels do. */
typedef enum glia_metric_options {
    GLIA_OPTION_AVERAGE = 1, /* macro, micro, weighted, binary */
    GLIA_OPTION_CURVES = 2,  /* macro, weighted */
    GLIA_OPTION_THRESHOLD = 4,
    GLIA_OPTION_NUMBER = 8,  /* rule->number */
    GLIA_OPTION_WEIGHTS = 16 /* linear, quadratic */
} glia_metric_options;

/* ---- the record ---------------------------------------------------------------------------- */

typedef struct glia_metric_rule {
    const char *name, *summary;
    bool larger;              /* is better */
    bool values;              /* targets are values, not labels */
    bool needs_probabilities; /* the page asks for glia_metric_probabilities() */
    unsigned options;         /* glia_metric_options */
    const char *number;       /* name of the option that is a number: "k" */
    int64_t number_default, number_most;
    /* How much it gathers, set before the memory is allocated: m->n_counts, m->n_sums, m->keeps. */
    void (*shape)(glia_metric *m);
    void (*add)(glia_metric *m, const float *scores, int32_t label);             /* a sample with a label */
    void (*add_values)(glia_metric *m, const float *values, const float *truth); /* or with values */
    double (*result)(const glia_metric *m);                                      /* of one sample or more */
    double (*of_class)(const glia_metric *m, int64_t label);                     /* NULL: nothing */
} glia_metric_rule;

struct glia_metric {
    const glia_metric_rule *rule;
    char *name;
    int64_t classes; /* scores of a sample */
    int64_t labels;  /* classes that there are: 2 for one score */
    glia_average average;
    bool logits, said_logits; /* said: the text has it */
    bool chosen; /* the text says which class is positive */
    int64_t positive;
    bool ignores;
    int32_t ignored;
    double threshold; /* of a probability */
    double cut;       /* the same for the scores as they come */
    int64_t number;   /* k, bins */
    int power;        /* of weights: 0 none, 1 linear, 2 quadratic */

    int64_t samples;
    int64_t invalid; /* samples with a NaN */
    int64_t *counts;
    int64_t n_counts;
    glia_exact *sums;
    int64_t n_sums;
    bool keeps;   /* (classes) numbers and a label of every sample */
    double *kept; /* (n_kept, classes) */
    int32_t *kept_label;
    int64_t n_kept, kept_capacity;
    void *sorting; /* room for n_kept of what curve.c sorts */
    double *work;  /* (labels) of the sample at hand */
};

#define GLIA_METRIC_ROW(name) extern const glia_metric_rule glia_metric_rule_##name;
#include "nn/metrics/metrics.def"
#undef GLIA_METRIC_ROW

/* Reads the text into a metric that is otherwise zero but for `classes` (text.c). names: of the classes, or NULL. */
glia_status glia_metric_parse(glia_metric *m, const char *text, const char *const *names, glia_error *error);

/* ---- what pages share ---------------------------------------------------------------------- */

/* The class that the scores stand for: the largest, the first of ties; of one score class 1 from the threshold on. */
int64_t glia_metric_predicted(const glia_metric *m, const float *scores);

/* The sample's probabilities of all labels, in m->work; and the logarithm of one of them, without forming it. */
const double *glia_metric_probabilities(glia_metric *m, const float *scores);
double glia_metric_log_probability(const glia_metric *m, const float *scores, int32_t label);

/* Predictions by class (hits.c): a shape and an add for pages that need no more than these. */
void glia_hits_shape(glia_metric *m);
void glia_hits_add(glia_metric *m, const float *scores, int32_t label);
typedef struct glia_hits {
    int64_t hits, predicted, actual; /* of a class */
} glia_hits;
glia_hits glia_hits_of(const glia_metric *m, int64_t label);
/* A ratio of the counts of each class, averaged over the classes that occur in truth or prediction. */
double glia_hits_average(const glia_metric *m, double (*of)(glia_hits));

/* All pairs of truth and prediction: counts[truth * labels + predicted]. */
void glia_table_shape(glia_metric *m);
void glia_table_add(glia_metric *m, const float *scores, int32_t label);

/* Curves (curve.c): every sample's scores are kept. */
void glia_curve_shape(glia_metric *m);
void glia_curve_add(glia_metric *m, const float *scores, int32_t label);
typedef struct glia_ranked {
    double score;
    bool positive;
} glia_ranked;
/* The area of one class against the rest, by a function that gets all samples, best score first, and how many of them
 * are positive; and the mean of the classes' areas. NaN: no positive sample, or no other. */
typedef double (*glia_area_fn)(const glia_ranked *samples, int64_t n, int64_t positives);
double glia_curve_area(const glia_metric *m, int64_t label, glia_area_fn area);
double glia_curve_average(const glia_metric *m, glia_area_fn area);

/* Sums of one number a sample, whose mean is the figure. */
void glia_mean_shape(glia_metric *m);
double glia_mean_result(const glia_metric *m);

#endif
