/* metrics.h - metrics of predictions, accumulated exactly over batches.
 *
 * A metric is created from a text, `NAME` or `NAME(OPTION, ...)`:
 *
 *     accuracy  top5  topk(3)  f1(macro)  precision(threshold=0.3)  roc-auc(weighted)  ece(bins=10)  perplexity(logits)
 *
 * Counts are integers and sums are exact, rounded once at the end; curves keep every score. So results do not depend on
 * the order of samples or their division into batches, and metrics of parts can be merged. docs/metrics.md has the
 * formulas and the conventions.
 *
 * Scores are (n, classes). A single score per sample (classes 1) is the probability of class 1 of two, or with `logits`
 * its logit. Several scores are the probabilities of the classes, or with `logits` their logits; log-probabilities
 * count as logits. A metric of values (mae, r2) compares (n, classes) numbers with the same number of targets.
 */
#ifndef GLIA_METRICS_H
#define GLIA_METRICS_H

#include "glia/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== metrics =============================================================================== */

typedef struct glia_metric glia_metric; /* one thread at a time */

/* classes: the number of scores, or values, per sample. Options, each for the metrics to which it applies:
 *
 *   logits, probabilities            the kind of scores; default probabilities
 *   macro, micro, weighted, binary   average=..., over classes; binary: the positive class only
 *   positive=1                       the positive class, by number or name; default class 1 of two
 *   threshold=0.5                    for one score: class 1 from this probability on
 *   k=5, bins=15                     or the number alone
 *   linear, quadratic                weights=..., of disagreements (cohen-kappa)
 *   ignore=-1                        samples with this label are excluded
 */
GLIA_API glia_metric *glia_metric_create(const char *text, int64_t classes, glia_error *error);
/* The same with names of the classes, which positive= may use. `names`: one for each class, or NULL. */
GLIA_API glia_metric *glia_metric_create_named(const char *text, int64_t classes, const char *const *names,
                                               glia_error *error);
/* The class that the result refers to; -1: it refers to all. */
GLIA_API int64_t glia_metric_positive(const glia_metric *metric);
GLIA_API void glia_metric_free(glia_metric *metric);

/* Sets the kind of scores if the text does not: for a caller who knows the model. Before the first update. */
GLIA_API void glia_metric_assume_logits(glia_metric *metric, bool logits);

/* Adds n samples: scores (n, classes), and targets (n) of int32_t labels from 0 to classes - 1 (0 and 1 for one score),
 * or (n, classes) of float where glia_metric_takes_values(). A label outside is GLIA_E_ARGUMENT, and none of n counts.
 * A NaN among the scores or values makes the result NaN until the metric is reset; it is never ignored silently. */
GLIA_API glia_status glia_metric_update(glia_metric *metric, const float *scores, const void *targets, int64_t n,
                                        glia_error *error);
/* Adds the samples of `other`; both must have the same text and number of classes. */
GLIA_API glia_status glia_metric_merge(glia_metric *metric, const glia_metric *other, glia_error *error);
/* Back to the initial state, without samples. */
GLIA_API void glia_metric_reset(glia_metric *metric);

/* The result over all samples since the last reset; NaN if it is undefined (no sample, or one class only for a ROC
 * curve). */
GLIA_API double glia_metric_result(const glia_metric *metric);
/* The result for one class: its precision, its area. NaN if the metric has none. */
GLIA_API double glia_metric_of_class(const glia_metric *metric, int64_t label);
/* "confusion": the counts, (labels, labels), rows the truth; NULL for others. *labels (may be NULL) gets their
 * number. */
GLIA_API const int64_t *glia_metric_confusion(const glia_metric *metric, int64_t *labels);

GLIA_API const char *glia_metric_name(const glia_metric *metric); /* its text, without spaces */
GLIA_API int64_t glia_metric_samples(const glia_metric *metric);  /* added so far, without ignored ones */
GLIA_API bool glia_metric_larger_is_better(const glia_metric *metric);
GLIA_API bool glia_metric_takes_values(const glia_metric *metric); /* targets are float values, not labels */

/* Removes the first text from a comma-separated list ("accuracy, topk(k=3), f1"); false: the list is empty. */
GLIA_API bool glia_metric_next(const char **list, char *text, size_t size);

typedef struct glia_metric_info {
    const char *name, *what; /* what: a one-line description */
    const char *options;     /* the options it accepts, described; "" if none */
    bool larger_is_better, takes_values;
} glia_metric_info;
/* Fills at most `capacity`; returns their number. */
GLIA_API int glia_metric_list(glia_metric_info *out, int capacity);

/* ==== BLEU ================================================================================== */
/* Compares translations with references by their common n-grams (Papineni et al. 2002), as in sacreBLEU (Post 2018).
 * Texts are UTF-8. */

typedef enum glia_bleu_tokens {
    GLIA_BLEU_13A,    /* mteval-v13a's: punctuation and symbols are separate words */
    GLIA_BLEU_SPACES, /* words are separated by white space: for tokenised texts */
    GLIA_BLEU_CHARACTERS
} glia_bleu_tokens;

/* Smoothing for n-grams without a match (Chen and Cherry 2014). */
typedef enum glia_bleu_smoothing {
    GLIA_BLEU_EXP,   /* the precision is 1 / (2^i total) for the i-th order without a match (mteval-v13a) */
    GLIA_BLEU_FLOOR, /* zero matches count as `smooth_value`, default 0.1 */
    GLIA_BLEU_ADD_K, /* adds `smooth_value`, default 1, to matches and totals, except for single words */
    GLIA_BLEU_NONE   /* no smoothing: the score is 0 */
} glia_bleu_smoothing;

enum { GLIA_BLEU_ORDERS = 4 };

typedef struct glia_bleu_opts {
    glia_bleu_tokens tokens;
    glia_bleu_smoothing smoothing;
    double smooth_value;  /* 0: the method's default; GLIA_ZERO: 0 */
    bool lowercase;       /* lowercase ASCII letters */
    bool effective_order; /* leave out orders longer than all translations: for single sentences */
    int order;            /* the longest n-gram; 0: 4 */
} glia_bleu_opts;

/* Counts over all sentences so far; initially zero. Sum two to merge them. */
typedef struct glia_bleu {
    int64_t matches[GLIA_BLEU_ORDERS], totals[GLIA_BLEU_ORDERS]; /* n-grams of 1, 2, ... words */
    int64_t length, reference_length;                            /* words; of the references closest in length */
} glia_bleu;

/* Adds a translation and its references, one or more. */
GLIA_API glia_status glia_bleu_update(glia_bleu *bleu, const char *translation, const char *const *references,
                                      int n_references, glia_bleu_opts opts, glia_error *error);

typedef struct glia_bleu_score {
    double score;                        /* 0 to 100 */
    double precisions[GLIA_BLEU_ORDERS]; /* in percent, smoothed */
    double brevity;                      /* brevity penalty */
} glia_bleu_score;
GLIA_API glia_bleu_score glia_bleu_result(const glia_bleu *bleu, glia_bleu_opts opts);

/* The tokenised text, words separated by single spaces. Release with free(). NULL: out of memory. */
GLIA_API char *glia_bleu_tokenize(const char *text, glia_bleu_opts opts);

#ifdef __cplusplus
}
#endif
#endif
