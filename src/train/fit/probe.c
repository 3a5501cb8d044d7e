/* probe.c - features of a layer, and what can be told from them: by neighbours, and by a linear classifier. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "glia/layers.h"
#include "glia/transfer.h"

/* ---- features ------------------------------------------------------------------------------- */

static glia_status compute(glia_model *part, const glia_dataset *data, float *x, int64_t size, glia_backend *backend,
                           glia_error *error) {
    enum { CHUNK = 256 };
    const int64_t sample = glia_shape_count(glia_data_x_shape(data)), n = glia_data_count(data);
    float *batch = malloc((size_t)(CHUNK * sample) * sizeof *batch);
    if (!batch) return glia_fail_nomem(error);
    glia_status status = GLIA_OK;
    for (int64_t at = 0; at < n && status == GLIA_OK; at += CHUNK) {
        const int64_t m = GLIA_MIN((int64_t)CHUNK, n - at);
        for (int64_t i = 0; i < m && status == GLIA_OK; i++)
            status = glia_data_get(data, at + i, batch + i * sample, NULL, error);
        if (status == GLIA_OK) status = glia_predict(part, batch, m, x + at * size, backend, error);
    }
    free(batch);
    return status;
}

glia_status glia_model_features(glia_model *model, const char *layer, const glia_dataset *data, float **x,
                                int64_t *size, glia_backend *backend, glia_error *error) {
    if (!model) return glia_fail_null(error, "glia_model_features: model");
    if (!data) return glia_fail_null(error, "glia_model_features: data");
    if (!x) return glia_fail_null(error, "glia_model_features: x");
    if (!size) return glia_fail_null(error, "glia_model_features: size");
    *x = NULL;
    glia_error reason = { 0 };
    glia_model *part = glia_model_cut(model, layer, &reason); /* an untrained model begins with seed 0 */
    if (!part) return glia_fail(error, reason.status, "%s", reason.message);
    const glia_tensor input = glia_model_sample_input(part, &reason);
    const int64_t wanted = input ? -glia_shape_count(glia_tensor_shape(input)) : 0;
    *size = -glia_shape_count(glia_tensor_shape(glia_model_output_at(part, 0, NULL)));
    if (input && (wanted != glia_shape_count(glia_data_x_shape(data)) || *size < 1))
        glia_fail(&reason, GLIA_E_SHAPE, "features of '%s': samples of %lld numbers, the model takes %lld", layer,
                  (long long)glia_shape_count(glia_data_x_shape(data)), (long long)wanted);
    if (reason.status == GLIA_OK) {
        *x = malloc((size_t)(glia_data_count(data) * *size) * sizeof **x + 1);
        if (*x)
            compute(part, data, *x, *size, backend, &reason);
        else
            glia_fail_nomem(&reason);
    }
    glia_model_free(part);
    if (reason.status == GLIA_OK) return GLIA_OK;
    free(*x);
    *x = NULL;
    return glia_fail(error, reason.status, "%s", reason.message);
}

/* ---- neighbours ----------------------------------------------------------------------------- */

static glia_status check(const glia_probe_data *d, const int32_t *predicted, glia_error *error) {
    if (!d) return glia_fail_null(error, "data");
    if (!d->x || !d->labels || !d->others || !predicted) return glia_fail_null(error, "data of the probe");
    if (d->n < 1 || d->m < 0 || d->size < 1 || d->classes < 1)
        return glia_fail(error, GLIA_E_ARGUMENT, "probe: %lld samples of %lld features, %d classes", (long long)d->n,
                         (long long)d->size, d->classes);
    for (int64_t i = 0; i < d->n; i++) {
        if (d->labels[i] < 0 || d->labels[i] >= d->classes)
            return glia_fail(error, GLIA_E_ARGUMENT, "probe: label %d of sample %lld is not below %d", d->labels[i],
                             (long long)i, d->classes);
    }
    return GLIA_OK;
}

typedef struct neighbour {
    double distance;
    int64_t index;
} neighbour;

/* Inserts into the k nearest, which are sorted; equal distances keep the order of the samples. */
static void insert(neighbour *nearest, int *found, int k, neighbour next) {
    int at = *found < k ? (*found)++ : k - 1;
    if (at == k - 1 && *found == k && nearest[at].index >= 0 && !(next.distance < nearest[at].distance)) return;
    for (; at > 0 && next.distance < nearest[at - 1].distance; at--) nearest[at] = nearest[at - 1];
    nearest[at] = next;
}

static int32_t vote(const glia_probe_data *d, const neighbour *nearest, int found, int *votes) {
    memset(votes, 0, (size_t)d->classes * sizeof *votes);
    int32_t best = d->labels[nearest[0].index];
    for (int i = 0; i < found; i++) votes[d->labels[nearest[i].index]]++;
    for (int i = 0; i < found; i++) {
        const int32_t label = d->labels[nearest[i].index];
        if (votes[label] > votes[best]) best = label;
    }
    return best;
}

glia_status glia_probe_nearest(const glia_probe_data *d, int k, int32_t *predicted, glia_error *error) {
    glia_status status = check(d, predicted, error);
    if (status != GLIA_OK) return status;
    k = k == 0 ? 5 : k;
    if (k < 1) return glia_fail(error, GLIA_E_ARGUMENT, "probe: %d neighbours", k);
    k = (int)GLIA_MIN((int64_t)k, d->n);
    neighbour *nearest = malloc((size_t)k * sizeof *nearest);
    int *votes = malloc((size_t)d->classes * sizeof *votes);
    if (!nearest || !votes) {
        free(nearest);
        free(votes);
        return glia_fail_nomem(error);
    }
    for (int64_t i = 0; i < d->m; i++) {
        const float *a = d->others + i * d->size;
        int found = 0;
        for (int j = 0; j < k; j++) nearest[j] = (neighbour){ INFINITY, -1 };
        for (int64_t j = 0; j < d->n; j++) {
            const float *b = d->x + j * d->size;
            double sum = 0;
            for (int64_t f = 0; f < d->size; f++) sum += ((double)a[f] - (double)b[f]) * ((double)a[f] - (double)b[f]);
            insert(nearest, &found, k, (neighbour){ sum, j });
        }
        predicted[i] = vote(d, nearest, found, votes);
    }
    free(nearest);
    free(votes);
    return GLIA_OK;
}

/* ---- a linear classifier -------------------------------------------------------------------- */

static glia_status fit_linear(glia_model *model, const glia_probe_data *d, const double *mean, const double *stddev,
                              int32_t *predicted, glia_error *error) {
    enum { BATCH = 256, STEPS = 2000 };
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(d->size));
    glia_model_output(model, "logits", glia_dense(x, "probe", (glia_dense_opts){ .units = d->classes }));
    float *scaled = malloc((size_t)((d->n + d->m) * d->size) * sizeof *scaled);
    float *scores = malloc((size_t)(d->m * d->classes) * sizeof *scores + 1);
    glia_status status = scaled && scores ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t i = 0; status == GLIA_OK && i < (d->n + d->m) * d->size; i++) {
        const int64_t f = i % d->size, at = d->n * d->size;
        scaled[i] = (float)(((double)(i < at ? d->x[i] : d->others[i - at]) - mean[f]) / stddev[f]);
    }
    glia_dataset *data = NULL;
    if (status == GLIA_OK) {
        data = glia_data_arrays((glia_arrays){ .n = d->n,
                                               .x = scaled,
                                               .x_shape = GLIA_SHAPE(d->size),
                                               .y = d->labels,
                                               .y_dtype = GLIA_I32,
                                               .classes = d->classes },
                                error);
        const int64_t batch = GLIA_MIN(d->n, (int64_t)BATCH), steps = (d->n + batch - 1) / batch;
        const glia_fit_opts opts = { .epochs = GLIA_MAX(STEPS / steps, 1),
                                     .batch = batch,
                                     .optimizer = { .kind = GLIA_ADAMW, .lr = 1e-2, .weight_decay = 1e-4 },
                                     .schedule = { .kind = GLIA_LR_COSINE },
                                     .threads = 1 };
        status = data ? glia_fit(model, data, opts, error) : GLIA_E_NOMEM;
    }
    if (status == GLIA_OK && d->m > 0)
        status = glia_predict(model, scaled + d->n * d->size, d->m, scores, NULL, error);
    for (int64_t i = 0; status == GLIA_OK && i < d->m; i++) {
        const float *row = scores + i * d->classes;
        predicted[i] = 0;
        for (int c = 1; c < d->classes; c++)
            if (row[c] > row[predicted[i]]) predicted[i] = c;
    }
    glia_data_free(data);
    free(scaled);
    free(scores);
    return status;
}

glia_status glia_probe_linear(const glia_probe_data *d, int32_t *predicted, glia_error *error) {
    glia_status status = check(d, predicted, error);
    if (status != GLIA_OK) return status;
    double *mean = calloc((size_t)d->size * 2, sizeof *mean), *stddev = mean + d->size;
    glia_model *model = mean ? glia_model_create("probe", error) : NULL;
    if (!model) {
        free(mean);
        return glia_fail_nomem(error);
    }
    for (int64_t i = 0; i < d->n * d->size; i++) mean[i % d->size] += (double)d->x[i] / (double)d->n;
    for (int64_t i = 0; i < d->n * d->size; i++) {
        const double away = (double)d->x[i] - mean[i % d->size];
        stddev[i % d->size] += away * away / (double)d->n;
    }
    for (int64_t f = 0; f < d->size; f++) stddev[f] = stddev[f] > 0 ? sqrt(stddev[f]) : 1;
    status = fit_linear(model, d, mean, stddev, predicted, error);
    glia_model_free(model);
    free(mean);
    return status;
}
