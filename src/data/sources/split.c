/* split.c - splits a data set for training, validation and testing.
 *
 * Samples are shuffled, stratified if asked (order.c), and the resulting order is cut. A stratified order spreads every
 * class evenly, so any piece of it has the class proportions of the whole. Parts are views whose samples keep the order
 * of the data.
 */
#include <math.h>
#include <stdlib.h>

#include "data/sources/data.h"

static int by_number(const void *a, const void *b) {
    const int64_t p = *(const int64_t *)a, q = *(const int64_t *)b;
    return (p > q) - (p < q);
}

/* The shuffled order to be cut; NULL: see error. Release with free(). */
static int64_t *order_samples(const glia_dataset *data, bool stratified, uint64_t seed, glia_error *error) {
    glia_order *order =
        glia_order_create(data, (glia_loader_opts){ .shuffle = true, .stratified = stratified, .seed = seed }, error);
    int64_t *samples = order ? malloc((size_t)data->n * sizeof *samples) : NULL;
    if (samples)
        glia_order_fill(order, 0, 1, samples);
    else if (order)
        glia_fail_nomem(error);
    glia_order_free(order);
    return samples;
}

/* A view of samples [begin, end) of the order; others: of all other samples. */
static glia_dataset *take(glia_dataset *data, const int64_t *order, int64_t begin, int64_t end, bool others,
                          glia_error *error) {
    const int64_t inside = end - begin, n = others ? data->n - inside : inside;
    int64_t *indices = malloc((size_t)n * sizeof *indices), at = 0;
    if (!indices) return glia_fail_nomem(error), NULL;
    for (int64_t i = 0; i < data->n; i++)
        if ((i >= begin && i < end) != others) indices[at++] = order[i];
    qsort(indices, (size_t)n, sizeof *indices, by_number);
    return glia_data_view(data, indices, 0, n, false, error);
}

glia_status glia_data_split(glia_dataset *data, glia_split_opts opts, glia_dataset **train, glia_dataset **validation,
                            glia_dataset **test, glia_error *error) {
    if (!data) return glia_fail_null(error, "data");
    if (!train) return glia_fail_null(error, "train");
    if (!validation) return glia_fail_null(error, "validation");
    *train = *validation = NULL;
    if (test) *test = NULL;
    glia_error reason;
    error = error ? error : &reason;
    const bool silent = opts.validation == 0 && glia_option(opts.test, 0) == 0; /* no fraction is given */
    opts.validation = glia_option(opts.validation, silent ? 0.1 : 0);
    opts.test = glia_option(opts.test, 0);
    if (!(opts.validation >= 0 && opts.test >= 0 && opts.validation + opts.test < 1)) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "the shares %g (validation) and %g (test) must not be negative and must sum to less than 1",
                         opts.validation, opts.test);
    }
    if (opts.test > 0 && !test)
        return glia_fail(error, GLIA_E_ARGUMENT, "test is given, but the result for the test split is NULL");
    const double share = opts.validation;
    const int64_t n_validation = (int64_t)llrint(share * (double)data->n);
    const int64_t n_test = (int64_t)llrint(opts.test * (double)data->n), rest = n_validation + n_test;
    if ((share > 0 && n_validation < 1) || (opts.test > 0 && n_test < 1) || rest >= data->n) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%lld samples are too few for shares of %g and %g",
                         (long long)data->n, share, opts.test);
    }
    int64_t *order = order_samples(data, opts.stratified, opts.seed, error);
    if (!order) return error->status;
    *train = take(data, order, 0, rest, true, error);
    bool done = *train != NULL;
    if (done && n_validation) done = (*validation = take(data, order, 0, n_validation, false, error)) != NULL;
    if (done && n_test) done = (*test = take(data, order, n_validation, rest, false, error)) != NULL;
    free(order);
    if (done) return GLIA_OK;
    glia_data_free(*train);
    glia_data_free(*validation);
    *train = *validation = NULL;
    return error->status;
}

glia_status glia_data_fold(glia_dataset *data, int folds, int fold, bool stratified, uint64_t seed,
                           glia_dataset **train, glia_dataset **validation, glia_error *error) {
    if (!data) return glia_fail_null(error, "data");
    if (!train) return glia_fail_null(error, "train");
    if (!validation) return glia_fail_null(error, "validation");
    glia_error reason;
    error = error ? error : &reason;
    *train = *validation = NULL;
    if (folds < 2 || folds > data->n || fold < 0 || fold >= folds) {
        return glia_fail(error, GLIA_E_ARGUMENT, "fold %d of %d is not possible for %lld samples", fold, folds,
                         (long long)data->n);
    }
    int64_t *order = order_samples(data, stratified, seed, error);
    if (!order) return error->status;
    const int64_t whole = data->n / folds, more = data->n % folds; /* the first `more` folds have one more sample */
    const int64_t begin = fold * whole + GLIA_MIN(fold, more), end = begin + whole + (fold < more);
    *train = take(data, order, begin, end, true, error);
    if (*train) *validation = take(data, order, begin, end, false, error);
    free(order);
    if (*validation) return GLIA_OK;
    glia_data_free(*train);
    *train = NULL;
    return error->status;
}
