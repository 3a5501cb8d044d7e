/* judge.c - see judge.h. */
#include "families/generative/judge.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "families/generative/batches.h"
#include "families/generative/feature_net.h"

/* Drawn samples, and two sets of as many real ones. */
enum { DRAWN, REAL, OTHERS, SETS };
typedef struct trial {
    const glia_judged *judged;
    const glia_assess_opts *opts;
    int64_t count, size;
    glia_shape sample;
    float *x[SETS];   /* (count, sample) */
    int32_t *y[SETS]; /* (count); of DRAWN the class that was asked for; NULL: no classes */
    float *features[SETS], *probabilities[SETS];
} trial;

/* ---- samples ------------------------------------------------------------------------------------- */

/* Every second sample of the data goes to one set, those between to the other: data may be sorted. */
static glia_status read_real(trial *t, glia_error *error) {
    const glia_dataset *data = t->opts->data;
    for (int64_t i = 0; i < 2 * t->count; i++) {
        const int set = i % 2 ? OTHERS : REAL;
        const glia_status status =
            glia_data_get(data, i, t->x[set] + i / 2 * t->size, t->y[set] ? t->y[set] + i / 2 : NULL, error);
        if (status != GLIA_OK) return status;
    }
    return GLIA_OK;
}

static glia_status fill(trial *t, glia_model *model, glia_backend *backend, glia_error *error) {
    const glia_dataset *data = t->opts->data;
    const bool labelled = glia_data_classes(data) > 0 && glia_data_y_dtype(data) == GLIA_I32 &&
                          glia_shape_count(glia_data_y_shape(data)) == 1;
    for (int s = 0; s < SETS; s++) {
        t->x[s] = malloc((size_t)(t->count * t->size) * sizeof *t->x[s]);
        t->y[s] = labelled || s == DRAWN ? calloc((size_t)t->count, sizeof *t->y[s]) : NULL;
        if (!t->x[s] || (!t->y[s] && (labelled || s == DRAWN))) return glia_fail_nomem(error);
    }
    const glia_judged *j = t->judged;
    const glia_sample_opts how = { .seed = t->opts->seed, .backend = backend };
    glia_shape shape;
    glia_status status = read_real(t, error);
    if (status == GLIA_OK) status = glia_choose_classes(model, j->wanted_class, t->count, t->y[DRAWN], error);
    if (status == GLIA_OK) status = j->method->sample(j->memory, model, t->count, &how, &shape, t->x[DRAWN], error);
    return status;
}

/* ---- pictures ------------------------------------------------------------------------------------- */

static double share_right(const trial *t, int set, int64_t classes) {
    int64_t right = 0;
    for (int64_t i = 0; i < t->count; i++) {
        const float *p = t->probabilities[set] + i * classes;
        int64_t best = 0;
        for (int64_t c = 1; c < classes; c++) best = p[c] > p[best] ? c : best;
        right += best == t->y[set][i];
    }
    return (double)right / (double)t->count;
}

/* Distances of `set` from the real set, each with its name. */
static glia_status compare(const trial *t, const glia_feature_reader *r, int set, const char *const names[6],
                           glia_assessment *out, glia_error *error) {
    const glia_features real = { t->features[REAL], t->count, r->size }, is = { t->features[set], t->count, r->size };
    double fid, kid, deviation, precision, recall;
    const glia_kernel_distance_opts how = { .seed = t->opts->seed, .subsets = 20 };
    glia_status status = glia_frechet_distance(real, is, &fid, error);
    if (status == GLIA_OK) status = glia_kernel_distance(real, is, how, &kid, &deviation, error);
    if (status == GLIA_OK) status = glia_precision_recall(real, is, 3, &precision, &recall, error);
    if (status != GLIA_OK) return status;
    glia_assessment_add(out, names[0], fid);
    glia_assessment_add(out, names[1], kid);
    glia_assessment_add(out, names[2], deviation);
    glia_assessment_add(out, names[3], precision);
    glia_assessment_add(out, names[4], recall);
    glia_assessment_add(out, names[5], glia_classifier_score(t->probabilities[set], t->count, r->classes));
    return GLIA_OK;
}

static glia_status judge_pictures(trial *t, glia_model *model, glia_feature_reader *r, glia_assessment *out,
                                  glia_error *error) {
    static const char *const names[6] = { "fid", "kid", "kid_deviation", "precision", "recall", "classifier_score" };
    static const char *const floors[6] = { "fid_floor",       "kid_floor",    "kid_floor_deviation",
                                           "precision_floor", "recall_floor", "classifier_score_real" };
    glia_status status = GLIA_OK;
    for (int s = 0; status == GLIA_OK && s < SETS; s++) {
        t->features[s] = malloc((size_t)(t->count * r->size) * sizeof *t->features[s]);
        t->probabilities[s] = malloc((size_t)(t->count * r->classes) * sizeof *t->probabilities[s]);
        status = t->features[s] && t->probabilities[s]
                     ? glia_feature_reader_run(r, t->x[s], t->count, t->features[s], t->probabilities[s], error)
                     : glia_fail_nomem(error);
    }
    if (status == GLIA_OK) status = compare(t, r, DRAWN, names, out, error);
    if (status == GLIA_OK) status = compare(t, r, OTHERS, floors, out, error);
    if (status != GLIA_OK) return status;
    if (glia_classes_of(model)) glia_assessment_add(out, "right_class", share_right(t, DRAWN, r->classes));
    if (t->y[OTHERS]) glia_assessment_add(out, "right_class_real", share_right(t, OTHERS, r->classes));
    glia_assessment_add(out, "samples", (double)t->count);
    snprintf(out->note, sizeof out->note,
             "features: %lld numbers of a classifier %s, hash %016" PRIx64 "; floors: real samples against real ones",
             (long long)r->size, t->judged->features ? "that was named" : "trained on these data", r->hash);
    return GLIA_OK;
}

/* ---- points --------------------------------------------------------------------------------------- */

/* The classes' means (classes, size), and the root mean square distance from them in one direction. */
static double find_modes(const trial *t, int classes, double *sums, float *modes) {
    const int64_t d = t->size;
    double *counts = sums + classes * d, squares = 0;
    for (int64_t i = 0; i < 2 * t->count; i++) {
        const float *x = t->x[i % 2 ? OTHERS : REAL] + i / 2 * d;
        const int64_t c = t->y[i % 2 ? OTHERS : REAL][i / 2];
        counts[c]++;
        for (int64_t k = 0; k < d; k++) sums[c * d + k] += (double)x[k];
    }
    for (int64_t k = 0; k < classes * d; k++) modes[k] = (float)(sums[k] / fmax(counts[k / d], 1));
    for (int64_t i = 0; i < 2 * t->count * d; i++) {
        const int set = i / d % 2 ? OTHERS : REAL;
        const int64_t row = i / d / 2;
        const double x = (double)t->x[set][row * d + i % d] - (double)modes[t->y[set][row] * d + i % d];
        squares += x * x;
    }
    return sqrt(squares / (double)(2 * t->count * d));
}

static glia_status judge_points(trial *t, glia_assessment *out, glia_error *error) {
    const int classes = glia_data_classes(t->opts->data);
    if (classes < 2 || !t->y[REAL])
        return glia_fail(error, GLIA_E_UNSUPPORTED,
                         "samples that are no pictures are judged by modes, the data's classes, and '%s' has none",
                         glia_data_name(t->opts->data));
    double *sums = calloc((size_t)(classes * (t->size + 1)), sizeof *sums);
    float *modes = calloc((size_t)(classes * t->size), sizeof *modes);
    glia_status status = sums && modes ? GLIA_OK : glia_fail_nomem(error);
    if (status == GLIA_OK) {
        const double deviation = find_modes(t, classes, sums, modes);
        glia_mode_count drawn, real;
        const glia_features m = { modes, classes, t->size }, a = { t->x[DRAWN], t->count, t->size },
                            b = { t->x[OTHERS], t->count, t->size };
        status = glia_count_modes(a, m, 3 * deviation, &drawn, error);
        if (status == GLIA_OK) status = glia_count_modes(b, m, 3 * deviation, &real, error);
        if (status == GLIA_OK) {
            glia_assessment_add(out, "modes", classes);
            glia_assessment_add(out, "modes_covered", (double)drawn.covered);
            glia_assessment_add(out, "good_share", drawn.good);
            glia_assessment_add(out, "good_share_real", real.good);
            glia_assessment_add(out, "modes_divergence", drawn.divergence);
            glia_assessment_add(out, "modes_divergence_real", real.divergence);
            glia_assessment_add(out, "samples", (double)t->count);
            snprintf(out->note, sizeof out->note,
                     "good: within three standard deviations (%.4g each) of a mode; a mode is covered by one of these",
                     deviation);
        }
    }
    free(sums);
    free(modes);
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------------ */

static glia_status run(trial *t, glia_model *model, glia_backend *backend, glia_assessment *out, glia_error *error) {
    glia_feature_reader reader = { 0 };
    const bool pictures = t->sample.rank > 1;
    glia_status status = GLIA_OK;
    if (pictures)
        status = glia_feature_reader_open(&reader, t->judged->features, t->opts->data, t->sample, backend, error);
    if (status == GLIA_OK) status = fill(t, model, backend, error);
    if (status == GLIA_OK)
        status = pictures ? judge_pictures(t, model, &reader, out, error) : judge_points(t, out, error);
    glia_feature_reader_close(&reader);
    for (int s = 0; s < SETS; s++) {
        free(t->x[s]);
        free(t->y[s]);
        free(t->features[s]);
        free(t->probabilities[s]);
    }
    return status;
}

glia_status glia_judge(glia_judged judged, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                       glia_error *error) {
    enum { USUAL = 5000 };
    trial t = { .judged = &judged, .opts = opts };
    const int64_t half = glia_data_count(opts->data) / 2;
    const glia_sample_opts none = { 0 };
    glia_status status = glia_model_ready(model, 0, error);
    if (status == GLIA_OK)
        status = judged.method->sample(judged.memory, model, 0, &none, &t.sample, NULL, error);
    if (status != GLIA_OK) return status;
    t.count = opts->count ? opts->count : GLIA_MIN(half, (int64_t)USUAL);
    t.size = glia_shape_count(t.sample);
    if (t.count < 4 || t.count > half)
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "%lld samples are compared with twice as many real ones, at least 8, and '%s' has %lld",
                         (long long)t.count, glia_data_name(opts->data), (long long)glia_data_count(opts->data));
    if (glia_shape_count(glia_data_x_shape(opts->data)) != t.size)
        return glia_fail(error, GLIA_E_SHAPE, "the samples of '%s' are not those that the model draws",
                         glia_data_name(opts->data));
    glia_error reason = { 0 };
    glia_backend *backend = opts->backend ? opts->backend : glia_backend_open("cpu", opts->threads, &reason);
    if (!backend) return glia_fail(error, reason.status, "%s", reason.message);
    status = run(&t, model, backend, out, error);
    if (!opts->backend) glia_backend_close(backend);
    return status;
}
