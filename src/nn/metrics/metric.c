/* metric.c - code shared by all metrics, from creation to results. */
#include "nn/metrics/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_MOST = 4096 }; /* classes of a confusion matrix: 128 MiB */

/* ---- creation --------------------------------------------------------------------------- */

static bool product_fits(int64_t n, size_t size) {
    size_t bytes;
    return n >= 0 && glia_mul_fits((size_t)n, size, &bytes) && bytes < PTRDIFF_MAX;
}

static bool allocate(glia_metric *m) {
    if (m->labels > INT32_MAX || !product_fits(m->n_sums, sizeof *m->sums)) return false;
    m->counts = calloc((size_t)m->n_counts + 1, sizeof *m->counts);
    m->sums = calloc((size_t)m->n_sums + 1, sizeof *m->sums);
    m->work = calloc((size_t)m->labels, sizeof *m->work);
    return m->counts && m->sums && m->work;
}

static void settle_threshold(glia_metric *m) {
    m->cut = m->logits ? log(m->threshold / (1 - m->threshold)) : m->threshold;
}

glia_metric *glia_metric_create(const char *text, int64_t classes, glia_error *error) {
    return glia_metric_create_named(text, classes, NULL, error);
}

glia_metric *glia_metric_create_named(const char *text, int64_t classes, const char *const *names, glia_error *error) {
    if (!text || classes < 1 || classes > INT32_MAX) {
        glia_fail(error, GLIA_E_ARGUMENT, "glia_metric_create: needs a text, and 1 class or more");
        return NULL;
    }
    glia_metric *m = calloc(1, sizeof *m);
    if (!m) {
        glia_fail_nomem(error);
        return NULL;
    }
    m->classes = classes;
    glia_status status = glia_metric_parse(m, text, names, error);
    if (status == GLIA_OK) {
        m->rule->shape(m);
        settle_threshold(m);
        if (m->n_counts == m->labels * m->labels && m->labels > TABLE_MOST) {
            status = glia_fail(error, GLIA_E_ARGUMENT,
                               "%s: a confusion matrix of %lld classes is too large; the limit is %d", m->name,
                               (long long)m->labels, TABLE_MOST);
        } else if (!allocate(m)) {
            status = glia_fail_nomem(error);
        }
    }
    if (status == GLIA_OK) return m;
    glia_metric_free(m);
    return NULL;
}

void glia_metric_free(glia_metric *m) {
    if (!m) return;
    free(m->name);
    free(m->counts);
    free(m->sums);
    free(m->work);
    free(m->kept);
    free(m->kept_label);
    free(m->sorting);
    free(m);
}

void glia_metric_assume_logits(glia_metric *m, bool logits) {
    if (!m) return;
    if (m->said_logits || m->samples) return;
    m->logits = logits;
    settle_threshold(m);
}

void glia_metric_reset(glia_metric *m) {
    if (!m) return;
    memset(m->counts, 0, (size_t)m->n_counts * sizeof *m->counts);
    memset(m->sums, 0, (size_t)m->n_sums * sizeof *m->sums);
    m->samples = m->invalid = m->n_kept = 0;
}

/* ---- adding ------------------------------------------------------------------------------- */

static bool grow(void **memory, int64_t n, int64_t width, size_t size) {
    if (!product_fits(width, size) || !product_fits(n, (size_t)width * size)) return false;
    void *grown = realloc(*memory, (size_t)n * (size_t)width * size);
    if (grown) *memory = grown;
    return grown != NULL;
}

/* Makes room for n more kept samples; on failure the metric is unchanged. */
static bool reserve(glia_metric *m, int64_t n) {
    if (n > INT64_MAX / 4 - m->n_kept) return false;
    int64_t need = m->n_kept + n;
    if (!m->keeps || need <= m->kept_capacity) return true;
    int64_t capacity = GLIA_MAX(need, 2 * m->kept_capacity);
    bool fits = grow((void **)&m->kept, capacity, m->classes, sizeof *m->kept) &&
                grow((void **)&m->kept_label, capacity, 1, sizeof *m->kept_label) &&
                grow(&m->sorting, capacity, 1, sizeof(glia_ranked));
    if (fits) m->kept_capacity = capacity;
    return fits;
}

static bool any_nan(const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (isnan(x[i])) return true;
    }
    return false;
}

static bool ignored(const glia_metric *m, int32_t label) { return m->ignores && label == m->ignored; }

static glia_status check_labels(const glia_metric *m, const int32_t *labels, int64_t n, glia_error *error) {
    for (int64_t i = 0; i < n; i++) {
        if ((labels[i] >= 0 && labels[i] < m->labels) || ignored(m, labels[i])) continue;
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: the label %d of sample %lld is outside the %lld classes", m->name,
                         (int)labels[i], (long long)i, (long long)m->labels);
    }
    return GLIA_OK;
}

/* Checks that scores are probabilities, if the metric needs them. Softmax in f32 may exceed 1 by a few roundings. */
static glia_status check_probabilities(const glia_metric *m, const float *scores, int64_t n, glia_error *error) {
    const float slack = 1e-5f;
    for (int64_t i = 0; i < n * m->classes; i++) {
        if (!(scores[i] < -slack || scores[i] > 1 + slack)) continue;
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "%s: the score %g of sample %lld is not a probability; did you mean %s(logits)?", m->name,
                         (double)scores[i], (long long)(i / m->classes), m->rule->name);
    }
    return GLIA_OK;
}

static void add_labels(glia_metric *m, const float *scores, const int32_t *labels, int64_t n) {
    for (int64_t i = 0; i < n; i++, scores += m->classes) {
        if (ignored(m, labels[i])) continue;
        m->samples++;
        if (any_nan(scores, m->classes)) {
            m->invalid++;
        } else {
            m->rule->add(m, scores, labels[i]);
        }
    }
}

static void add_values(glia_metric *m, const float *values, const float *truth, int64_t n) {
    for (int64_t i = 0; i < n; i++, values += m->classes, truth += m->classes) {
        m->samples++;
        if (any_nan(values, m->classes) || any_nan(truth, m->classes)) {
            m->invalid++;
        } else {
            m->rule->add_values(m, values, truth);
        }
    }
}

glia_status glia_metric_update(glia_metric *m, const float *scores, const void *targets, int64_t n, glia_error *error) {
    if (!m) return glia_fail_null(error, "metric");
    if (n > 0 && !scores) return glia_fail_null(error, "scores");
    if (n > 0 && !targets) return glia_fail_null(error, "targets");
    if (n < 0 || (n > 0 && (!scores || !targets))) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_metric_update: needs scores and targets");
    }
    if (m->rule->values) {
        add_values(m, scores, targets, n);
        return GLIA_OK;
    }
    glia_status status = check_labels(m, targets, n, error);
    if (status == GLIA_OK && m->rule->needs_probabilities && !m->logits) {
        status = check_probabilities(m, scores, n, error);
    }
    if (status == GLIA_OK && !reserve(m, n)) status = glia_fail_nomem(error);
    if (status == GLIA_OK) add_labels(m, scores, targets, n);
    return status;
}

glia_status glia_metric_merge(glia_metric *m, const glia_metric *other, glia_error *error) {
    if (!m) return glia_fail_null(error, "metric");
    if (!other) return glia_fail_null(error, "other");
    if (strcmp(m->name, other->name) != 0 || m->classes != other->classes || m->logits != other->logits) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "glia_metric_merge: %s of %lld classes and %s of %lld are not the same", m->name,
                         (long long)m->classes, other->name, (long long)other->classes);
    }
    if (!reserve(m, other->n_kept)) return glia_fail_nomem(error);
    for (int64_t i = 0; i < m->n_counts; i++) m->counts[i] += other->counts[i];
    for (int64_t i = 0; i < m->n_sums; i++) glia_exact_merge(&m->sums[i], &other->sums[i]);
    if (other->n_kept) {
        size_t row = (size_t)m->classes * sizeof *m->kept;
        memcpy(m->kept + m->n_kept * m->classes, other->kept, (size_t)other->n_kept * row);
        memcpy(m->kept_label + m->n_kept, other->kept_label, (size_t)other->n_kept * sizeof *m->kept_label);
    }
    m->n_kept += other->n_kept;
    m->samples += other->samples;
    m->invalid += other->invalid;
    return GLIA_OK;
}

/* ---- results ------------------------------------------------------------------------------ */

double glia_metric_result(const glia_metric *m) {
    return m && m->samples && !m->invalid ? m->rule->result(m) : NAN;
}

double glia_metric_of_class(const glia_metric *m, int64_t label) {
    if (!m) return NAN;
    bool there = m->rule->of_class && label >= 0 && label < m->labels && m->samples && !m->invalid;
    return there ? m->rule->of_class(m, label) : NAN;
}

const int64_t *glia_metric_confusion(const glia_metric *m, int64_t *labels) {
    if (!m) return NULL;
    if (labels) *labels = m->labels;
    return m->rule == &glia_metric_rule_confusion ? m->counts : NULL;
}

const char *glia_metric_name(const glia_metric *m) { return m ? m->name : NULL; }
int64_t glia_metric_positive(const glia_metric *m) {
    const bool takes = m && m->rule->options & (GLIA_OPTION_AVERAGE | GLIA_OPTION_CURVES);
    return takes && m->average == GLIA_AVERAGE_BINARY ? m->positive : -1;
}
int64_t glia_metric_samples(const glia_metric *m) { return m ? m->samples : 0; }
bool glia_metric_larger_is_better(const glia_metric *m) { return m && m->rule->larger; }
bool glia_metric_takes_values(const glia_metric *m) { return m && m->rule->values; }

void glia_mean_shape(glia_metric *m) { m->n_sums = 1; }

double glia_mean_result(const glia_metric *m) { return glia_exact_value(&m->sums[0]) / (double)m->samples; }
