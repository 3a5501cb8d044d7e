/* detect.c - boxes from a detector's maps, and how well they match true ones. See glia/vision.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/sources/data.h"
#include "families/vision/detector.h"
#include "train/model/model.h"

/* ---- the model ------------------------------------------------------------------------------ */

glia_status glia_detector_open(glia_model *model, glia_backend *backend, int threads, glia_detector *d,
                               glia_error *error) {
    *d = (glia_detector){ 0 };
    glia_error reason = { 0 };
    glia_status status = glia_model_ready(model, 0, error);
    if (status == GLIA_OK) status = glia_detector_find(model->graph, &d->ends, error);
    if (status != GLIA_OK) return status;
    if (!backend) backend = d->owned = glia_backend_open("cpu", threads, &reason);
    const glia_tensor outputs[] = { d->ends.heat, d->ends.sides };
    const glia_function_opts opts = { .outputs = outputs, .n_outputs = GLIA_COUNT(outputs), .mode = GLIA_INFER };
    if (backend) d->function = glia_function_create(model->graph, backend, model->store, opts, &reason);
    if (d->function) return GLIA_OK;
    glia_detector_close(d);
    return glia_fail(error, reason.status, "%s", reason.message);
}

void glia_detector_close(glia_detector *d) {
    glia_function_free(d->function);
    if (d->owned) glia_backend_close(d->owned);
    *d = (glia_detector){ 0 };
}

/* ---- boxes ---------------------------------------------------------------------------------- */

static glia_status add_box(glia_boxes *list, const glia_box *box, glia_error *error) {
    if (!glia_grow((void **)&list->at, list->n, &list->capacity, sizeof *list->at)) return glia_fail_nomem(error);
    list->at[list->n++] = *box;
    return GLIA_OK;
}

glia_status glia_boxes_add_true(glia_boxes *list, const float *boxes, int64_t most, int image, glia_error *error) {
    glia_status status = GLIA_OK;
    for (int64_t i = 0; i < most && status == GLIA_OK; i++, boxes += GLIA_BOX_NUMBERS) {
        const glia_box box = { (double)boxes[1], (double)boxes[2], (double)boxes[3], (double)boxes[4],
                               (int)boxes[0],    image,            1 };
        if (boxes[0] >= 0) status = add_box(list, &box, error);
    }
    return status;
}

/* Whether no neighbour has a higher score; of equal ones the first is the peak. */
static bool is_peak(const float *map, int64_t row, int64_t column, int64_t height, int64_t width) {
    const float here = map[row * width + column];
    for (int64_t i = GLIA_MAX(row - 1, (int64_t)0); i <= GLIA_MIN(row + 1, height - 1); i++) {
        for (int64_t j = GLIA_MAX(column - 1, (int64_t)0); j <= GLIA_MIN(column + 1, width - 1); j++) {
            const float other = map[i * width + j];
            if (other > here || (other == here && (i < row || (i == row && j < column)))) return false;
        }
    }
    return true;
}

static glia_box box_at(const glia_detector_ends *e, const float *sides, int64_t row, int64_t column) {
    const int64_t plane = e->height * e->width, at = row * e->width + column;
    const double x = ((double)column + 0.5) * e->step_x, y = ((double)row + 0.5) * e->step_y;
    const double width = (double)e->x->shape.dim[3], height = (double)e->x->shape.dim[2];
    return (glia_box){ .left = fmax(x - (double)sides[at], 0),
                       .top = fmax(y - (double)sides[plane + at], 0),
                       .right = fmin(x + (double)sides[2 * plane + at], width),
                       .bottom = fmin(y + (double)sides[3 * plane + at], height) };
}

/* The boxes of one picture: peaks of each class, then suppression. */
static glia_status read_maps(const glia_detector_ends *e, const float *heat, const float *sides, int image,
                             const glia_detect_opts *o, glia_boxes *found, glia_error *error) {
    const int first = found->n;
    glia_status status = GLIA_OK;
    for (int64_t c = 0; c < e->classes && status == GLIA_OK; c++, heat += e->height * e->width) {
        for (int64_t i = 0; i < e->height * e->width && status == GLIA_OK; i++) {
            const double score = 1 / (1 + exp(-(double)heat[i]));
            const int64_t row = i / e->width, column = i % e->width;
            if (!(score >= o->score) || !is_peak(heat, row, column, e->height, e->width)) continue;
            glia_box box = box_at(e, sides, row, column);
            box.label = (int)c, box.image = image, box.score = score;
            status = add_box(found, &box, error);
        }
    }
    if (status != GLIA_OK || found->n == first) return status;
    const int64_t kept = glia_suppress(found->at + first, found->n - first, o->overlap);
    found->n = first + (int)GLIA_MIN(kept, o->most);
    return GLIA_OK;
}

static glia_detect_opts with_defaults(glia_detect_opts o) {
    o.score = glia_option(o.score, 0.05);
    o.overlap = glia_option(o.overlap, 0.6);
    if (o.most <= 0) o.most = 100;
    return o;
}

glia_status glia_detector_run(const glia_detector *d, const float *x, int64_t n, int first, glia_detect_opts opts,
                              glia_boxes *found, glia_error *error) {
    enum { BATCH = 8 };
    const glia_detector_ends *e = &d->ends;
    const glia_detect_opts o = with_defaults(opts);
    const int64_t plane = e->height * e->width;
    glia_shape shape = e->x->shape;
    shape.dim[0] = 1;
    const int64_t size = glia_shape_count(shape);
    glia_status status = GLIA_OK;
    for (int64_t i = 0; i < n && status == GLIA_OK; i += shape.dim[0]) {
        shape.dim[0] = GLIA_MIN(n - i, (int64_t)BATCH);
        const glia_array in = {
            .name = "x", .dtype = GLIA_F32, .shape = shape, .data = (void *)(uintptr_t)(x + i * size)
        };
        glia_array out[2];
        status = glia_function_call(d->function, &in, 1, out, error);
        for (int64_t k = 0; k < shape.dim[0] && status == GLIA_OK; k++)
            status = read_maps(e, (const float *)out[0].data + k * e->classes * plane,
                               (const float *)out[1].data + k * 4 * plane, first + (int)(i + k), &o, found, error);
    }
    return status;
}

glia_status glia_detect(glia_model *model, const float *x, int64_t n, glia_detect_opts opts, glia_box **boxes,
                        int64_t *n_boxes, glia_error *error) {
    if (!model) return glia_fail_null(error, "glia_detect: model");
    if (!x) return glia_fail_null(error, "glia_detect: x");
    if (!boxes || !n_boxes) return glia_fail_null(error, "glia_detect: boxes");
    if (n < 1 || n > INT32_MAX) return glia_fail(error, GLIA_E_ARGUMENT, "glia_detect: n is %lld", (long long)n);
    *boxes = NULL, *n_boxes = 0;
    glia_detector d;
    glia_boxes found = { 0 };
    glia_status status = glia_detector_open(model, opts.backend, opts.threads, &d, error);
    if (status != GLIA_OK) return status;
    status = glia_detector_run(&d, x, n, 0, opts, &found, error);
    glia_detector_close(&d);
    if (status == GLIA_OK)
        *boxes = found.at, *n_boxes = found.n;
    else
        free(found.at);
    return status;
}

/* ---- how well ------------------------------------------------------------------------------- */

/* The mean over the classes that occur; each (classes) may be NULL. */
static glia_status mean_precision(const glia_boxes *truth, const glia_boxes *found, int classes, double iou,
                                  glia_precision_rule rule, double *each, double *mean, glia_error *error) {
    double sum = 0;
    int n = 0;
    for (int c = 0; c < classes; c++) {
        glia_error reason = { 0 };
        const double ap =
            glia_average_precision(truth->at, truth->n, found->at, found->n, c, iou, rule, &reason);
        if (reason.status != GLIA_OK) return glia_fail(error, reason.status, "%s", reason.message);
        if (each) each[c] = ap;
        if (!isnan(ap)) sum += ap, n++;
    }
    *mean = sum / n;
    return GLIA_OK;
}

glia_status glia_detector_measure(const glia_detector *d, const glia_dataset *data, glia_detect_opts opts, double *each,
                                  glia_detection_scores *scores, glia_error *error) {
    glia_status status = glia_detector_check(data, &d->ends, error);
    if (status != GLIA_OK) return status;
    const int64_t most = data->y_shape.dim[0];
    float *x = malloc(data->x_count * sizeof *x), *y = malloc(data->y_bytes);
    glia_boxes truth = { 0 }, found = { 0 };
    if (!x || !y) status = glia_fail_nomem(error);
    for (int64_t i = 0; i < data->n && status == GLIA_OK; i++) {
        status = glia_data_get(data, i, x, y, error);
        if (status == GLIA_OK) status = glia_boxes_add_true(&truth, y, most, (int)i, error);
        if (status == GLIA_OK) status = glia_detector_run(d, x, 1, (int)i, opts, &found, error);
    }
    const int classes = (int)d->ends.classes;
    *scores = (glia_detection_scores){ .boxes = truth.n };
    if (status == GLIA_OK)
        status = mean_precision(&truth, &found, classes, 0.5, GLIA_VOC, each, &scores->map50, error);
    for (int k = 0; k < 10 && status == GLIA_OK; k++) {
        double mean = 0;
        status = mean_precision(&truth, &found, classes, 0.5 + 0.05 * k, GLIA_COCO, NULL, &mean, error);
        scores->map += mean / 10;
    }
    free(truth.at);
    free(found.at);
    free(x);
    free(y);
    return status;
}

glia_status glia_detection_precision(glia_model *model, const glia_dataset *data, glia_detect_opts opts, double *each,
                                     glia_detection_scores *scores, glia_error *error) {
    if (!model) return glia_fail_null(error, "glia_detection_precision: model");
    if (!data) return glia_fail_null(error, "glia_detection_precision: data");
    if (!scores) return glia_fail_null(error, "glia_detection_precision: scores");
    glia_detector d;
    glia_status status = glia_detector_open(model, opts.backend, opts.threads, &d, error);
    if (status != GLIA_OK) return status;
    status = glia_detector_measure(&d, data, opts, each, scores, error);
    glia_detector_close(&d);
    return status;
}
