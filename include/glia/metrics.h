/* metrics.h - how good predictions are: figures that are gathered batch by batch, and exact.
 *
 * A metric is made from a text, `NAME` or `NAME(OPTION, ...)`:
 *
 *     accuracy  top5  topk(3)  f1(macro)  precision(threshold=0.3)  roc-auc(weighted)  ece(bins=10)  perplexity(logits)
 *
 * Counts are whole numbers and sums are exact, rounded once at the end; curves keep every score. So a figure does not
 * depend on how the samples were cut into batches, nor on their order, and metrics that saw a part each can be merged.
 * docs/metrics.md has the formulas and the conventions.
 *
 * Scores are (n, classes). One score for each sample (classes 1) speaks of class 1 of two: its probability, or with
 * `logits` a number that is positive for class 1. Several scores are a probability for each class, or with `logits`
 * numbers whose softmax is that; logarithms of probabilities count as logits. A metric of values (mae, r2) compares
 * (n, classes) numbers with the same number of targets.
 */
#ifndef GLIA_METRICS_H
#define GLIA_METRICS_H

#include "glia/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== metrics =============================================================================== */

typedef struct glia_metric glia_metric; /* one thread at a time */

/* classes: how many scores, or values, a sample has. Options, each for the metrics that it means something to:
 *
 *   logits, probabilities            what scores are; probabilities unless said
 *   macro, micro, weighted, binary   average=..., over classes; binary: the positive class alone
 *   positive=1                       the class that counts, by number or name; class 1 of two unless said
 *   threshold=0.5                    of one score: the probability from which a sample counts as class 1
 *   k=5, bins=15                     or the number alone
 *   linear, quadratic                weights=..., of disagreements (cohen-kappa)
 *   ignore=-1                        samples with this label do not count
 */
GLIA_API glia_metric *glia_metric_create(const char *text, int64_t classes, glia_error *error);
/* The same where the classes have names, which positive= may use. `names`: one for each class, or NULL. */
GLIA_API glia_metric *glia_metric_create_named(const char *text, int64_t classes, const char *const *names,
                                               glia_error *error);
/* The class that the figure is of, where it is of one; -1: it is of all. */
GLIA_API int64_t glia_metric_positive(const glia_metric *metric);
GLIA_API void glia_metric_free(glia_metric *metric);

/* What scores are where the text did not say: for a caller who knows the model. Before the first update. */
GLIA_API void glia_metric_assume_logits(glia_metric *metric, bool logits);

/* Adds n samples: scores (n, classes), and targets (n) of int32_t labels from 0 to classes - 1 (0 and 1 for one score),
 * or (n, classes) of float where glia_metric_takes_values(). A label outside is GLIA_E_ARGUMENT, and none of n counts.
 * A NaN among the scores or values makes the result NaN until the metric is reset: it is never left out in silence. */
GLIA_API glia_status glia_metric_update(glia_metric *metric, const float *scores, const void *targets, int64_t n,
                                        glia_error *error);
/* Adds what `other` has seen; both must come from the same text and number of classes. */
GLIA_API glia_status glia_metric_merge(glia_metric *metric, const glia_metric *other, glia_error *error);
/* As it was when it was made. */
GLIA_API void glia_metric_reset(glia_metric *metric);

/* The figure of all samples since the beginning; NaN where it is not defined (no sample yet, one class alone in a ROC
 * curve). */
GLIA_API double glia_metric_result(const glia_metric *metric);
/* The part of it that concerns one class: its precision, its area. NaN where the metric has none. */
GLIA_API double glia_metric_of_class(const glia_metric *metric, int64_t label);
/* "confusion": the counts, (labels, labels), rows the truth; NULL for others. `labels` (may be NULL) gets how many. */
GLIA_API const int64_t *glia_metric_confusion(const glia_metric *metric, int64_t *labels);

GLIA_API const char *glia_metric_name(const glia_metric *metric); /* its text, without spaces */
GLIA_API int64_t glia_metric_samples(const glia_metric *metric);  /* seen, without ignored ones */
GLIA_API bool glia_metric_larger_is_better(const glia_metric *metric);
GLIA_API bool glia_metric_takes_values(const glia_metric *metric); /* targets are float values, not labels */

/* Takes the first text off a list with commas ("accuracy, topk(k=3), f1"); false: the list is over. */
GLIA_API bool glia_metric_next(const char **list, char *text, size_t size);

typedef struct glia_metric_info {
    const char *name, *what; /* what: a line for people */
    const char *options;     /* that it takes, in words; "" if none */
    bool larger_is_better, takes_values;
} glia_metric_info;
/* Fills at most `capacity`; returns how many there are. */
GLIA_API int glia_metric_list(glia_metric_info *out, int capacity);

/* ==== BLEU ================================================================================== */
/* Translations compared with references by the words and sequences of words that they share (Papineni et al. 2002), as
 * sacreBLEU computes it (Post 2018). Texts are UTF-8. */

typedef enum glia_bleu_tokens {
    GLIA_BLEU_13A,    /* mteval-v13a's: punctuation and symbols are words of their own */
    GLIA_BLEU_SPACES, /* words are what white space separates: the texts are tokenised already */
    GLIA_BLEU_CHARACTERS
} glia_bleu_tokens;

/* What becomes of sequences without a match (Chen and Cherry 2014). */
typedef enum glia_bleu_smoothing {
    GLIA_BLEU_EXP,   /* the precision is 1 / (2^i total) for the i-th length without one (mteval-v13a) */
    GLIA_BLEU_FLOOR, /* zero matches count as `smooth_value`, default 0.1 */
    GLIA_BLEU_ADD_K, /* `smooth_value`, 1 unless said, more matches and sequences, but for single words */
    GLIA_BLEU_NONE   /* then the score is 0 */
} glia_bleu_smoothing;

enum { GLIA_BLEU_ORDERS = 4 };

typedef struct glia_bleu_opts {
    glia_bleu_tokens tokens;
    glia_bleu_smoothing smoothing;
    double smooth_value;  /* 0: the method's; GLIA_ZERO: 0 */
    bool lowercase;       /* letters of ASCII */
    bool effective_order; /* leave out lengths that no translation has: for single sentences */
    int order;            /* the longest sequence of words; 0: 4 */
} glia_bleu_opts;

/* Counts over all sentences so far; begins as zero. Add two to merge them. */
typedef struct glia_bleu {
    int64_t matches[GLIA_BLEU_ORDERS], totals[GLIA_BLEU_ORDERS]; /* sequences of 1, 2, ... words */
    int64_t length, reference_length;                            /* words; of the references nearest in length */
} glia_bleu;

/* Adds a translation and its references, one or more. */
GLIA_API glia_status glia_bleu_update(glia_bleu *bleu, const char *translation, const char *const *references,
                                      int n_references, glia_bleu_opts opts, glia_error *error);

typedef struct glia_bleu_score {
    double score;                        /* 0 to 100 */
    double precisions[GLIA_BLEU_ORDERS]; /* in percent, smoothed */
    double brevity;                      /* the penalty for being shorter than the references */
} glia_bleu_score;
GLIA_API glia_bleu_score glia_bleu_result(const glia_bleu *bleu, glia_bleu_opts opts);

/* The words as BLEU counts them, separated by single spaces. Release with free(). NULL: memory ran out. */
GLIA_API char *glia_bleu_tokenize(const char *text, glia_bleu_opts opts);

#ifdef __cplusplus
}
#endif
#endif
