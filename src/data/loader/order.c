/* order.c - the order of samples in an epoch.
 *
 *   sequential   in the order of the data
 *   shuffled     Fisher-Yates shuffle (Knuth 1969, algorithm P)
 *   weighted     drawn with replacement in proportion to weights, by bisection in the cumulative sums
 *   stratified   shuffled with every class spread evenly: member k of n has the position (k + 1/2) / n in the epoch,
 *                samples are sorted by position and then shuffled within each batch. Batches have the class proportions
 *                of the data.
 *
 * Every order is a function of (seed, epoch), with random numbers from Philox.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/sources/data.h"

struct glia_order {
    int64_t n;
    uint64_t seed;
    bool shuffle;
    double *sums;      /* weighted: inclusive cumulative sums of the weights; else NULL */
    int64_t last;      /* the last sample with non-zero weight */
    int32_t *labels;   /* stratified, by sample; else NULL */
    int32_t *pattern;  /* class at each place in the epoch */
    int64_t *begin;    /* (classes): start of each class among samples sorted by class */
    int64_t *shuffled; /* (n) */
    int64_t *sorted;   /* (n) */
    int classes;
};

/* ---- shuffling ---------------------------------------------------------------------------- */

/* Shuffles n indices in place with Philox words of `key`, starting at `counter`. */
static void mix(int64_t *indices, int64_t n, const uint32_t key[2], uint32_t counter[4]) {
    uint32_t word[4];
    int left = 0;
    for (int64_t i = n - 1; i > 0; i--) {
        uint64_t bound = (uint64_t)i + 1, product;
        do { /* Lemire 2019: the high half of word * bound is uniform after rejecting a few low halves */
            if (left == 0) {
                glia_philox(key, counter, word);
                counter[0]++;
                counter[1] += counter[0] == 0;
                left = 4;
            }
            product = word[--left] * bound;
        } while ((uint32_t)product < (uint32_t)(0 - bound) % bound);
        int64_t j = (int64_t)(product >> 32), swap = indices[i];
        indices[i] = indices[j];
        indices[j] = swap;
    }
}

/* Separate the random streams of these uses from each other and from other uses of the seed. */
enum { SHUFFLE = 0x5348554F, INSIDE = 0x494E5349, DRAW = 0x44524157 };

void glia_data_shuffle(int64_t *indices, int64_t n, uint64_t seed, uint64_t epoch) {
    const uint32_t key[2] = { (uint32_t)seed ^ SHUFFLE, (uint32_t)(seed >> 32) };
    uint32_t counter[4] = { 0, 0, (uint32_t)epoch, (uint32_t)(epoch >> 32) };
    for (int64_t i = 0; i < n; i++) indices[i] = i;
    mix(indices, n, key, counter);
}

/* ---- weighted ----------------------------------------------------------------------------- */

static glia_status prepare_weighted(glia_order *order, const double *weights, glia_error *error) {
    order->sums = malloc((size_t)order->n * sizeof *order->sums);
    if (!order->sums) return glia_fail_nomem(error);
    double sum = 0;
    for (int64_t i = 0; i < order->n; i++) {
        if (!(weights[i] >= 0) || !isfinite(weights[i])) {
            return glia_fail(error, GLIA_E_ARGUMENT,
                             "the weight of sample %lld is %g, but must be finite and not negative", (long long)i,
                             weights[i]);
        }
        if (weights[i] > 0) order->last = i;
        order->sums[i] = sum += weights[i];
    }
    if (!(sum > 0) || !isfinite(sum))
        return glia_fail(error, GLIA_E_ARGUMENT, "the weights sum to %g, but the sum must be positive and finite", sum);
    return GLIA_OK;
}

/* The first sample whose cumulative sum exceeds `at`. */
static int64_t bisect(const glia_order *order, double at) {
    int64_t low = 0, high = order->last;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (order->sums[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void draw(const glia_order *order, uint64_t epoch, int64_t *indices) {
    enum { BLOCK = 256 };
    glia_rng rng = { .seed = order->seed ^ DRAW, .stream = epoch };
    double at[BLOCK];
    for (int64_t i = 0; i < order->n; i += BLOCK) {
        const int64_t m = GLIA_MIN(order->n - i, (int64_t)BLOCK);
        glia_rng_uniforms(&rng, at, m);
        for (int64_t k = 0; k < m; k++) indices[i + k] = bisect(order, at[k] * order->sums[order->n - 1]);
    }
}

/* ---- stratified --------------------------------------------------------------------------- */

glia_status glia_data_labels(const glia_dataset *data, int32_t *labels, glia_error *error) {
    if (data->classes < 1 || data->y_dtype != GLIA_I32 || data->y_shape.rank != 0) {
        return glia_fail(error, GLIA_E_ARGUMENT, "\"%s\" has no classes", data->name);
    }
    for (int64_t i = 0; i < data->n; i++) {
        glia_status status = data->kind->read(data, i, NULL, &labels[i], true, error);
        if (status) return status;
        if (labels[i] < 0 || labels[i] >= data->classes) {
            return glia_fail(error, GLIA_E_ARGUMENT, "sample %lld of \"%s\" has the label %d", (long long)i, data->name,
                             (int)labels[i]);
        }
    }
    return GLIA_OK;
}

typedef struct place {
    double at;
    int32_t label;
} place;

static int earlier(const void *a, const void *b) {
    const place *p = a, *q = b;
    if (p->at != q->at) return p->at < q->at ? -1 : 1;
    return (p->label > q->label) - (p->label < q->label);
}

static glia_status make_pattern(glia_order *order, glia_error *error) {
    int64_t *counts = calloc((size_t)order->classes, sizeof *counts);
    place *places = malloc((size_t)order->n * sizeof *places);
    if (!counts || !places) {
        free(counts);
        free(places);
        return glia_fail_nomem(error);
    }
    for (int64_t i = 0; i < order->n; i++) counts[order->labels[i]]++;
    for (int64_t c = 0, at = 0; c < order->classes; at += counts[c++]) {
        order->begin[c] = at;
        for (int64_t k = 0; k < counts[c]; k++) {
            places[at + k] = (place){ ((double)k + 0.5) / (double)counts[c], (int32_t)c };
        }
    }
    qsort(places, (size_t)order->n, sizeof *places, earlier);
    for (int64_t i = 0; i < order->n; i++) order->pattern[i] = places[i].label;
    free(counts);
    free(places);
    return GLIA_OK;
}

static glia_status prepare_stratified(glia_order *order, const glia_dataset *data, glia_error *error) {
    const size_t n = (size_t)order->n;
    order->classes = data->classes;
    order->labels = malloc(n * sizeof *order->labels);
    order->pattern = malloc(n * sizeof *order->pattern);
    order->begin = malloc(((size_t)data->classes + 1) * sizeof *order->begin);
    order->shuffled = malloc(n * sizeof *order->shuffled);
    order->sorted = malloc(n * sizeof *order->sorted);
    if (!order->labels || !order->pattern || !order->begin || !order->shuffled || !order->sorted) {
        return glia_fail_nomem(error);
    }
    glia_status status = glia_data_labels(data, order->labels, error);
    return status ? status : make_pattern(order, error);
}

/* Fills the pattern with the shuffled members of each class, then shuffles each batch. */
static void deal(const glia_order *order, uint64_t epoch, int64_t batch, int64_t *indices) {
    glia_data_shuffle(order->shuffled, order->n, order->seed, epoch);
    for (int64_t i = 0; i < order->n; i++) {
        int64_t sample = order->shuffled[i];
        order->sorted[order->begin[order->labels[sample]]++] = sample;
    }
    for (int64_t i = order->n - 1; i >= 0; i--) indices[i] = order->sorted[--order->begin[order->pattern[i]]];
    const uint32_t key[2] = { (uint32_t)order->seed ^ INSIDE, (uint32_t)(order->seed >> 32) };
    uint32_t counter[4] = { 0, 0, (uint32_t)epoch, (uint32_t)(epoch >> 32) };
    for (int64_t i = 0; i < order->n; i += batch) mix(indices + i, GLIA_MIN(batch, order->n - i), key, counter);
}

/* ---- orders ------------------------------------------------------------------------------- */

glia_order *glia_order_create(const glia_dataset *data, glia_loader_opts opts, glia_error *error) {
    glia_order *order = calloc(1, sizeof *order);
    if (!order) return glia_fail_nomem(error), NULL;
    order->n = data->n;
    order->seed = opts.seed;
    order->shuffle = opts.shuffle;
    glia_status status = GLIA_OK;
    if (opts.weights && opts.stratified) {
        status = glia_fail(error, GLIA_E_ARGUMENT, "a loader cannot be weighted and stratified");
    } else if (opts.weights) {
        status = prepare_weighted(order, opts.weights, error);
    } else if (opts.stratified) {
        status = prepare_stratified(order, data, error);
    }
    if (!status) return order;
    glia_order_free(order);
    return NULL;
}

void glia_order_free(glia_order *order) {
    if (!order) return;
    free(order->sums);
    free(order->labels);
    free(order->pattern);
    free(order->begin);
    free(order->shuffled);
    free(order->sorted);
    free(order);
}

void glia_order_fill(const glia_order *order, uint64_t epoch, int64_t batch, int64_t *indices) {
    if (order->sums) {
        draw(order, epoch, indices);
    } else if (order->labels) {
        deal(order, epoch, batch, indices);
    } else if (order->shuffle) {
        glia_data_shuffle(indices, order->n, order->seed, epoch);
    } else {
        for (int64_t i = 0; i < order->n; i++) indices[i] = i;
    }
}
