/* judge.c - see judge.h. */
#include "families/generative/judge.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/sources/data.h"
#include "families/generative/batches.h"
#include "families/generative/feature_net.h"

/* Real samples, as many others for the floor, and drawn ones. */
enum { REAL, OTHERS, DRAWN, SETS };
typedef struct set {
    float *x;   /* (count, sample) */
    int32_t *y; /* (count); of DRAWN the class that was asked for; NULL: no classes */
    float *features, *probabilities;
} set;

struct glia_judge {
    glia_judged judged;
    const glia_dataset *data;
    glia_backend *backend;
    uint64_t seed;
    int64_t count, size;
    glia_shape sample;
    bool pictures, labelled;
    int reals; /* sets of real samples: 1, or 2 */
    set sets[SETS];
    glia_feature_reader reader; /* of pictures */
    float *modes;               /* of points: (classes, size) */
    double deviation;           /* of the real points around these */
    int figures;                /* the first of them in a training */
};

/* Values of a set; of pictures and of points. */
enum { FID, KID, KID_DEVIATION, PRECISION, RECALL, SCORE, RIGHT, PICTURE_VALUES };
enum { COVERED, GOOD, DIVERGENCE, POINT_VALUES };
enum { MOST_VALUES = PICTURE_VALUES };
enum { SUBSET = 1000 }; /* samples of a subset for the kernel distance; of no more there is one, without a deviation */

/* The name of this value of a set of the model's samples, or of the real ones of the floor; NULL: there is none. */
static const char *name_of(const glia_judge *j, int which, int value, const glia_model *model) {
    static const char *const pictures[2][PICTURE_VALUES] = {
        { "fid", "kid", "kid_deviation", "precision", "recall", "classifier_score", "right_class" },
        { "fid_floor", "kid_floor", "kid_floor_deviation", "precision_floor", "recall_floor", "classifier_score_real",
          "right_class_real" },
    };
    static const char *const points[2][POINT_VALUES] = {
        { "modes_covered", "good_share", "modes_divergence" },
        { NULL, "good_share_real", "modes_divergence_real" },
    };
    const bool drawn = which == DRAWN;
    if (!j->pictures) return points[!drawn][value];
    if (value == KID_DEVIATION && j->count <= SUBSET) return NULL;
    if (value == RIGHT && !(drawn ? glia_classes_of(model) > 0 : j->labelled)) return NULL;
    return pictures[!drawn][value];
}
static int values_of(const glia_judge *j) { return j->pictures ? (int)PICTURE_VALUES : (int)POINT_VALUES; }

/* ---- samples ------------------------------------------------------------------------------------- */

/* Real samples are drawn without replacement, the same in each call: data may be sorted, or classes take turns. */
static glia_status read_real(glia_judge *j, glia_error *error) {
    const int64_t have = glia_data_count(j->data);
    int64_t *order = malloc((size_t)have * sizeof *order);
    glia_status status = order ? GLIA_OK : glia_fail_nomem(error);
    if (order) glia_data_shuffle(order, have, 0, 0);
    for (int64_t i = 0; status == GLIA_OK && i < j->reals * j->count; i++) {
        const set *s = &j->sets[i / j->count];
        const int64_t at = i % j->count;
        status = glia_data_get(j->data, order[i], s->x + at * j->size, s->y ? s->y + at : NULL, error);
    }
    free(order);
    return status;
}

static glia_status make_sets(glia_judge *j, glia_error *error) {
    const size_t n = (size_t)j->count;
    for (int i = 0; i < SETS; i++) {
        set *s = &j->sets[i];
        const bool has_y = j->labelled || i == DRAWN;
        if (i == OTHERS && j->reals == 1) continue;
        s->x = malloc(n * (size_t)j->size * sizeof *s->x);
        if (has_y) s->y = calloc(n, sizeof *s->y);
        if (j->pictures) s->features = malloc(n * (size_t)j->reader.size * sizeof *s->features);
        if (j->pictures) s->probabilities = malloc(n * (size_t)j->reader.classes * sizeof *s->probabilities);
        if (!s->x || (has_y && !s->y) || (j->pictures && !(s->features && s->probabilities)))
            return glia_fail_nomem(error);
    }
    return GLIA_OK;
}

static glia_status describe(glia_judge *j, int which, glia_error *error) {
    const set *s = &j->sets[which];
    if (!j->pictures) return GLIA_OK;
    return glia_feature_reader_run(&j->reader, s->x, j->count, s->features, s->probabilities, error);
}

static glia_status draw(glia_judge *j, glia_model *model, glia_error *error) {
    const glia_judged *by = &j->judged;
    const glia_sample_opts how = { .seed = j->seed, .backend = j->backend };
    const set *s = &j->sets[DRAWN];
    glia_shape shape;
    glia_status status = glia_choose_classes(model, by->wanted_class, j->count, s->y, error);
    if (status == GLIA_OK) status = by->method->sample(by->memory, model, j->count, &how, &shape, s->x, error);
    return status == GLIA_OK ? describe(j, DRAWN, error) : status;
}

/* ---- pictures ------------------------------------------------------------------------------------- */

static double share_right(const glia_judge *j, int which) {
    const int64_t classes = j->reader.classes;
    const set *s = &j->sets[which];
    int64_t right = 0;
    for (int64_t i = 0; i < j->count; i++) {
        const float *p = s->probabilities + i * classes;
        int64_t best = 0;
        for (int64_t c = 1; c < classes; c++) best = p[c] > p[best] ? c : best;
        right += best == s->y[i];
    }
    return (double)right / (double)j->count;
}

static glia_status measure_pictures(const glia_judge *j, int which, double values[], glia_error *error) {
    const int64_t size = j->reader.size;
    const glia_features real = { j->sets[REAL].features, j->count, size },
                        is = { j->sets[which].features, j->count, size };
    const glia_kernel_distance_opts how = { .seed = j->seed, .subsets = j->count > SUBSET ? 20 : 1 };
    glia_status status = glia_frechet_distance(real, is, &values[FID], error);
    if (status == GLIA_OK) status = glia_kernel_distance(real, is, how, &values[KID], &values[KID_DEVIATION], error);
    if (status == GLIA_OK) status = glia_precision_recall(real, is, 3, &values[PRECISION], &values[RECALL], error);
    values[SCORE] = glia_classifier_score(j->sets[which].probabilities, j->count, j->reader.classes);
    values[RIGHT] = j->sets[which].y ? share_right(j, which) : NAN;
    return status;
}

/* ---- points --------------------------------------------------------------------------------------- */

/* The classes' means, and the root mean square distance from them in one direction. */
static glia_status find_modes(glia_judge *j, glia_error *error) {
    const int classes = glia_data_classes(j->data);
    const int64_t d = j->size, n = j->reals * j->count;
    if (classes < 2 || !j->labelled)
        return glia_fail(error, GLIA_E_UNSUPPORTED,
                         "samples that are no pictures are judged by modes, the data's classes, and '%s' has none",
                         glia_data_name(j->data));
    double *sums = calloc((size_t)(classes * (d + 1)), sizeof *sums), squares = 0;
    j->modes = calloc((size_t)(classes * d), sizeof *j->modes);
    if (!sums || !j->modes) return free(sums), glia_fail_nomem(error);
    double *counts = sums + classes * d;
    for (int64_t i = 0; i < n; i++) {
        const set *s = &j->sets[i % j->reals];
        const int64_t row = i / j->reals, c = s->y[row];
        counts[c]++;
        for (int64_t k = 0; k < d; k++) sums[c * d + k] += (double)s->x[row * d + k];
    }
    for (int64_t k = 0; k < classes * d; k++) j->modes[k] = (float)(sums[k] / fmax(counts[k / d], 1));
    for (int64_t i = 0; i < n * d; i++) {
        const set *s = &j->sets[i / d % j->reals];
        const int64_t row = i / d / j->reals;
        const double x = (double)s->x[row * d + i % d] - (double)j->modes[s->y[row] * d + i % d];
        squares += x * x;
    }
    j->deviation = sqrt(squares / (double)(n * d));
    free(sums);
    return GLIA_OK;
}

static glia_status measure_points(const glia_judge *j, int which, double values[], glia_error *error) {
    const glia_features modes = { j->modes, glia_data_classes(j->data), j->size },
                        points = { j->sets[which].x, j->count, j->size };
    glia_mode_count count = { 0 };
    const glia_status status = glia_count_modes(points, modes, 3 * j->deviation, &count, error);
    values[COVERED] = (double)count.covered;
    values[GOOD] = count.good;
    values[DIVERGENCE] = count.divergence;
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------------ */

static glia_status measure(const glia_judge *j, int which, double values[], glia_error *error) {
    return (j->pictures ? measure_pictures : measure_points)(j, which, values, error);
}

/* Everything but drawn samples. */
static glia_status prepare(glia_judge *j, glia_error *error) {
    const glia_dataset *data = j->data;
    char have[GLIA_SHAPE_TEXT], drawn[GLIA_SHAPE_TEXT];
    j->size = glia_shape_count(j->sample);
    j->pictures = j->sample.rank > 1;
    j->labelled = glia_data_classes(data) > 0 && glia_data_y_dtype(data) == GLIA_I32 &&
                  glia_shape_count(glia_data_y_shape(data)) == 1;
    if (glia_shape_count(glia_data_x_shape(data)) != j->size)
        return glia_fail(error, GLIA_E_SHAPE, "the samples of '%s' are %s, and the model draws %s",
                         glia_data_name(data), glia_shape_format(glia_data_x_shape(data), have),
                         glia_shape_format(j->sample, drawn));
    glia_status status = GLIA_OK;
    if (j->pictures)
        status = glia_feature_reader_open(&j->reader, j->judged.features, data, j->sample, j->backend, error);
    if (status == GLIA_OK) status = make_sets(j, error);
    if (status == GLIA_OK) status = read_real(j, error);
    for (int i = 0; status == GLIA_OK && i < j->reals; i++) status = describe(j, i, error);
    return status == GLIA_OK && !j->pictures ? find_modes(j, error) : status;
}

static void release(glia_judge *j) {
    glia_feature_reader_close(&j->reader);
    for (int i = 0; i < SETS; i++) {
        free(j->sets[i].x);
        free(j->sets[i].y);
        free(j->sets[i].features);
        free(j->sets[i].probabilities);
    }
    free(j->modes);
}

/* ---- of a trained model --------------------------------------------------------------------------- */

static void tell(const glia_judge *j, int which, const double values[], const glia_model *model, glia_assessment *out) {
    for (int i = 0; i < values_of(j); i++) {
        const char *name = name_of(j, which, i, model);
        if (name) glia_assessment_add(out, name, values[i]);
    }
}

static void tell_samples(const glia_judge *j, glia_assessment *out) {
    glia_assessment_add(out, "samples", (double)j->count);
    if (j->pictures)
        snprintf(
            out->note, sizeof out->note,
            "features: %lld numbers of a classifier %s, hash %016" PRIx64 "; floors: real samples against real ones",
            (long long)j->reader.size, j->judged.features ? "that was named" : "trained on these data", j->reader.hash);
    else
        snprintf(out->note, sizeof out->note,
                 "good: within three standard deviations (%.4g each) of a mode; a mode is covered by one of these",
                 j->deviation);
}

glia_status glia_judge_model(glia_judged judged, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                             glia_error *error) {
    enum { USUAL = 5000 };
    glia_judge j = { .judged = judged, .data = opts->data, .seed = opts->seed, .backend = opts->backend, .reals = 2 };
    const int64_t half = glia_data_count(opts->data) / 2;
    const glia_sample_opts none = { 0 };
    glia_status status = glia_model_ready(model, 0, error);
    if (status == GLIA_OK) status = judged.method->sample(judged.memory, model, 0, &none, &j.sample, NULL, error);
    if (status != GLIA_OK) return status;
    j.count = opts->count ? opts->count : GLIA_MIN(half, (int64_t)USUAL);
    if (j.count < 4 || j.count > half)
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "%lld samples are compared with twice as many real ones, at least 8, and '%s' has %lld",
                         (long long)j.count, glia_data_name(opts->data), (long long)glia_data_count(opts->data));
    glia_error reason = { 0 };
    double drawn[MOST_VALUES], real[MOST_VALUES];
    if (!j.backend) j.backend = glia_backend_open("cpu", opts->threads, &reason);
    status = j.backend ? prepare(&j, error) : glia_fail(error, reason.status, "%s", reason.message);
    if (status == GLIA_OK) status = draw(&j, model, error);
    if (status == GLIA_OK) status = measure(&j, DRAWN, drawn, error);
    if (status == GLIA_OK) status = measure(&j, OTHERS, real, error);
    if (status == GLIA_OK) {
        if (!j.pictures) glia_assessment_add(out, "modes", glia_data_classes(j.data));
        tell(&j, DRAWN, drawn, model, out);
        tell(&j, OTHERS, real, model, out);
        tell_samples(&j, out);
    }
    release(&j);
    if (!opts->backend) glia_backend_close(j.backend);
    return status;
}

/* ---- of a model in training ----------------------------------------------------------------------- */

glia_status glia_judge_begin(glia_training *t, glia_judged judged, glia_shape sample, int64_t count, glia_judge **judge,
                             glia_error *error) {
    if (!count) return GLIA_OK;
    if (count < 4 || count > glia_data_count(t->data))
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "judged=%lld: samples are compared with as many real ones, at least 4, and '%s' has %lld",
                         (long long)count, glia_data_name(t->data), (long long)glia_data_count(t->data));
    glia_judge *j = *judge = calloc(1, sizeof *j);
    if (!j) return glia_fail_nomem(error);
    *j = (glia_judge){ .judged = judged,
                       .data = t->data,
                       .backend = t->backend,
                       .seed = t->opts.seed,
                       .count = count,
                       .sample = sample,
                       .reals = 1 };
    const glia_status status = prepare(j, error);
    j->figures = t->n_figures;
    for (int i = 0; status == GLIA_OK && i < values_of(j); i++) {
        const char *name = name_of(j, DRAWN, i, t->model);
        if (name) glia_training_figure(t, name);
    }
    return status;
}

glia_status glia_judge_epoch(glia_judge *j, glia_training *t, glia_error *error) {
    double values[MOST_VALUES];
    if (!j) return GLIA_OK;
    glia_status status = draw(j, t->model, error);
    if (status == GLIA_OK) status = measure(j, DRAWN, values, error);
    if (status != GLIA_OK) return status;
    for (int i = 0, at = j->figures; i < values_of(j); i++)
        if (name_of(j, DRAWN, i, t->model)) t->figures[at++].value = values[i];
    return GLIA_OK;
}

void glia_judge_end(glia_judge *j) {
    if (!j) return;
    release(j);
    free(j);
}
