/* weights.c - weights of classes and of samples, from how often the classes occur.
 *
 * The labels of a sample are one number, or one for each pixel of a mask; labels below 0 are no class and not counted.
 *
 *     balanced            n / (K n_c)           n labels, n_c of class c, K classes
 *     median frequency    median(f) / f_c       f_c: the share of class c in the labels of the samples where it occurs
 *
 * Median frequency balancing is that of Eigen and Fergus 2015 (section 6.3.2); SegNet (Badrinarayanan et al. 2017) has
 * it for street scenes. A class that fills few pixels of its pictures counts more, one in few pictures does not.
 */
#include <stdlib.h>
#include <string.h>

#include "data/sources/data.h"

typedef struct counts {
    int64_t *of_class;  /* labels of each class, */
    int64_t *of_sample; /* in one sample, */
    int64_t *together;  /* and all labels of the samples in which it occurs */
    int32_t *labels;
    int64_t n; /* of all classes */
} counts;

static void free_counts(counts *c) {
    free(c->of_class);
    free(c->labels);
}

static glia_status count_sample(const glia_dataset *data, int64_t sample, int64_t labels, counts *c,
                                glia_error *error) {
    glia_status status = data->kind->read(data, sample, NULL, c->labels, true, error);
    int64_t all = 0;
    memset(c->of_sample, 0, (size_t)data->classes * sizeof *c->of_sample);
    for (int64_t i = 0; !status && i < labels; i++) {
        const int32_t label = c->labels[i];
        if (label >= data->classes || (label < 0 && labels == 1))
            return glia_fail(error, GLIA_E_ARGUMENT, "sample %lld of \"%s\" has the label %d", (long long)sample,
                             data->name, (int)label);
        if (label >= 0) c->of_sample[label]++, all++;
    }
    for (int k = 0; k < data->classes; k++) {
        c->of_class[k] += c->of_sample[k];
        if (c->of_sample[k]) c->together[k] += all;
    }
    c->n += all;
    return status;
}

static glia_status count(const glia_dataset *data, counts *c, glia_error *error) {
    if (data->classes < 1 || data->y_dtype != GLIA_I32)
        return glia_fail(error, GLIA_E_ARGUMENT, "\"%s\" has no classes", data->name);
    const int64_t labels = glia_shape_count(data->y_shape);
    c->of_class = calloc(3 * (size_t)data->classes, sizeof *c->of_class);
    c->labels = malloc((size_t)labels * sizeof *c->labels + 1);
    if (!c->of_class || !c->labels) return glia_fail_nomem(error);
    c->of_sample = c->of_class + data->classes, c->together = c->of_sample + data->classes;
    glia_status status = GLIA_OK;
    for (int64_t i = 0; !status && i < data->n; i++) status = count_sample(data, i, labels, c, error);
    return status;
}

glia_status glia_data_class_weights(const glia_dataset *data, double *weights, glia_error *error) {
    if (!data) return glia_fail_null(error, "data");
    if (!weights) return glia_fail_null(error, "weights");
    counts c = { 0 };
    glia_status status = count(data, &c, error);
    for (int k = 0; !status && k < data->classes; k++) {
        weights[k] = c.of_class[k] ? (double)c.n / ((double)data->classes * (double)c.of_class[k]) : 0;
    }
    free_counts(&c);
    return status;
}

static int by_size(const void *a, const void *b) {
    const double p = *(const double *)a, q = *(const double *)b;
    return (p > q) - (p < q);
}

/* Replaces the shares of the classes by weights; sorted: room for as many. */
static void divide_median(double *shares, int n, double *sorted) {
    int present = 0;
    for (int k = 0; k < n; k++) {
        if (shares[k] > 0) sorted[present++] = shares[k];
    }
    qsort(sorted, (size_t)present, sizeof *sorted, by_size);
    const double median = present ? (sorted[(present - 1) / 2] + sorted[present / 2]) / 2 : 0;
    for (int k = 0; k < n; k++) shares[k] = shares[k] > 0 ? median / shares[k] : 0;
}

glia_status glia_data_median_frequency_weights(const glia_dataset *data, double *weights, glia_error *error) {
    if (!data) return glia_fail_null(error, "data");
    if (!weights) return glia_fail_null(error, "weights");
    if (data->y_shape.rank == 0)
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "\"%s\" has one label for each sample; weights by median frequency are for masks, balanced "
                         "ones for both",
                         data->name);
    counts c = { 0 };
    glia_status status = count(data, &c, error);
    double *sorted = status ? NULL : malloc((size_t)data->classes * sizeof *sorted);
    if (!status && !sorted) status = glia_fail_nomem(error);
    for (int k = 0; !status && k < data->classes; k++) {
        weights[k] = c.together[k] ? (double)c.of_class[k] / (double)c.together[k] : 0;
    }
    if (!status) divide_median(weights, data->classes, sorted);
    free(sorted);
    free_counts(&c);
    return status;
}

glia_status glia_data_sample_weights(const glia_dataset *data, double *weights, glia_error *error) {
    if (!data) return glia_fail_null(error, "data");
    if (!weights) return glia_fail_null(error, "weights");
    int32_t *labels = malloc((size_t)data->n * sizeof *labels);
    double *of_class = calloc((size_t)data->classes + 1, sizeof *of_class);
    glia_status status = labels && of_class ? glia_data_labels(data, labels, error) : glia_fail_nomem(error);
    if (!status) status = glia_data_class_weights(data, of_class, error);
    for (int64_t i = 0; !status && i < data->n; i++) weights[i] = of_class[labels[i]];
    free(of_class);
    free(labels);
    return status;
}
