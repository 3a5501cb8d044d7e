/* metrics.h - the record that describes a metric, one file each.
 *
 * A metric accumulates three kinds of data, which metric.c allocates, merges and resets: counts (integers), sums
 * (exact, exact.c), and kept samples (for curves). A metric's file gives the size of each, how a sample is added, and
 * the result.
 */
#ifndef GLIA_SRC_NN_METRICS_METRICS_H
#define GLIA_SRC_NN_METRICS_METRICS_H

#include "core/tensor/tensor.h"
#include "glia/metrics.h"

/* ---- exact sums (exact.c) ------------------------------------------------------------------ */

/* The exact sum of any finite doubles, as a fixed-point number that spans all of their exponents (Kulisch 1971): digits
 * of 32 bits with pending carries. Zero-initialise. */
enum { GLIA_EXACT_DIGITS = 68 };
typedef struct glia_exact {
    int64_t digit[GLIA_EXACT_DIGITS]; /* in units of 2^(32 i - 1074) */
    int64_t pending;                  /* additions since carries were propagated */
    double special;                   /* the sum of infinities and NaN */
} glia_exact;

void glia_exact_add(glia_exact *sum, double x);
void glia_exact_merge(glia_exact *sum, const glia_exact *other);
double glia_exact_value(const glia_exact *sum); /* rounded to nearest */
/* Two doubles whose sum is the value to about 106 bits. */
void glia_exact_pair(const glia_exact *sum, double *high, double *low);

/* ---- options ------------------------------------------------------------------------------- */

typedef enum glia_average {
    GLIA_AVERAGE_DEFAULT, /* binary for two classes, macro for more */
    GLIA_AVERAGE_BINARY, /* the positive class only */
    GLIA_AVERAGE_MACRO,
    GLIA_AVERAGE_MICRO,
    GLIA_AVERAGE_WEIGHTED
} glia_average;

/* Options that a metric accepts besides `logits` and `ignore`, which all metrics of labels accept. */
typedef enum glia_metric_options {
    GLIA_OPTION_AVERAGE = 1, /* macro, micro, weighted, binary */
    GLIA_OPTION_CURVES = 2,  /* macro, weighted */
    GLIA_OPTION_THRESHOLD = 4,
    GLIA_OPTION_NUMBER = 8,  /* rule->number */
    GLIA_OPTION_WEIGHTS = 16 /* linear, quadratic */
} glia_metric_options;

/* ---- the record ---------------------------------------------------------------------------- */

/* Predictions of a class, counted (hits.c). */
typedef struct glia_hits {
    int64_t hits, predicted, actual; /* samples: predicted and true, predicted, true */
} glia_hits;

typedef struct glia_metric_rule {
    const char *name, *summary;
    bool larger;              /* larger is better */
    bool values;              /* targets are values, not labels */
    bool needs_probabilities; /* uses glia_metric_probabilities() */
    unsigned options;         /* glia_metric_options */
    const char *number;       /* name of the integer option: "k" */
    int64_t number_default, number_most;
    /* Sets the sizes, before memory is allocated: m->n_counts, m->n_sums, m->keeps. */
    void (*shape)(glia_metric *m);
    void (*add)(glia_metric *m, const float *scores, int32_t label);             /* adds a sample with a label */
    void (*add_values)(glia_metric *m, const float *values, const float *truth); /* or with values */
    double (*ratio)(glia_hits counts);                                           /* for glia_hits_result() */
    double (*result)(const glia_metric *m);                                      /* for at least one sample */
    double (*of_class)(const glia_metric *m, int64_t label);                     /* NULL: no results by class */
} glia_metric_rule;

struct glia_metric {
    const glia_metric_rule *rule;
    char *name;
    int64_t classes; /* scores per sample */
    int64_t labels;  /* number of classes: 2 for one score */
    glia_average average;
    bool logits, said_logits; /* said_logits: the text has the option */
    bool chosen; /* the text names the positive class */
    int64_t positive;
    bool ignores;
    int32_t ignored;
    double threshold; /* on probabilities */
    double cut;       /* the same on raw scores */
    int64_t number;   /* k, bins */
    int power;        /* of the weights: 0 none, 1 linear, 2 quadratic */

    int64_t samples;
    int64_t invalid; /* samples with a NaN */
    int64_t *counts;
    int64_t n_counts;
    glia_exact *sums;
    int64_t n_sums;
    bool keeps;   /* keeps (classes) numbers and a label of every sample */
    double *kept; /* (n_kept, classes) */
    int32_t *kept_label;
    int64_t n_kept, kept_capacity;
    void *sorting; /* buffer in which curve.c sorts n_kept samples */
    double *work;  /* (labels), of the current sample */
};

#define GLIA_METRIC_ROW(name) extern const glia_metric_rule glia_metric_rule_##name;
#include "nn/metrics/metrics.def"
#undef GLIA_METRIC_ROW

/* Parses the text into a metric that is zero except for `classes` (table.c). names: of the classes, or NULL. */
glia_status glia_metric_parse(glia_metric *m, const char *text, const char *const *names, glia_error *error);

/* ---- shared by metrics --------------------------------------------------------------------- */

/* The predicted class: that of the largest score, the first of ties; with one score class 1 from the threshold on. */
int64_t glia_metric_predicted(const glia_metric *m, const float *scores);

/* The sample's probabilities of all labels, in m->work; and the logarithm of one of them, computed without it. */
const double *glia_metric_probabilities(glia_metric *m, const float *scores);
double glia_metric_log_probability(const glia_metric *m, const float *scores, int32_t label);

/* Counts by class (hits.c): shape and add for metrics that need only these. */
void glia_hits_shape(glia_metric *m);
void glia_hits_add(glia_metric *m, const float *scores, int32_t label);
glia_hits glia_hits_of(const glia_metric *m, int64_t label);
/* rule->ratio of the counts of a class, and its average over the classes that occur in truth or prediction. */
double glia_hits_of_class(const glia_metric *m, int64_t label);
double glia_hits_result(const glia_metric *m);

/* The confusion matrix: counts[truth * labels + predicted]. */
void glia_table_shape(glia_metric *m);
void glia_table_add(glia_metric *m, const float *scores, int32_t label);

/* Curves (curve.c): every sample's scores are kept. */
void glia_curve_shape(glia_metric *m);
void glia_curve_add(glia_metric *m, const float *scores, int32_t label);
typedef struct glia_ranked {
    double score;
    bool positive;
} glia_ranked;
/* The area of one class against the rest, by a function of all samples, sorted from the highest score, and of the
 * number of positive ones; and the mean over classes. NaN: no positive or no negative sample. */
typedef double (*glia_area_fn)(const glia_ranked *samples, int64_t n, int64_t positives);
double glia_curve_area(const glia_metric *m, int64_t label, glia_area_fn area);
double glia_curve_average(const glia_metric *m, glia_area_fn area);

/* Sums of one number per sample; the result is their mean. */
void glia_mean_shape(glia_metric *m);
double glia_mean_result(const glia_metric *m);

#endif
