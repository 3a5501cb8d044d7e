/* boxes.c - boxes of a detector: overlap, non-maximum suppression, average precision. See glia/vision.h. */
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "glia/vision.h"

enum { MOST_OF_IMAGE = 100 }; /* detections that COCO counts */

static double area(double left, double top, double right, double bottom) {
    return right > left && bottom > top ? (right - left) * (bottom - top) : 0;
}

double glia_box_iou(const glia_box *a, const glia_box *b) {
    if (!a || !b) return 0;
    const double both = area(fmax(a->left, b->left), fmax(a->top, b->top), fmin(a->right, b->right),
                             fmin(a->bottom, b->bottom));
    const double all = area(a->left, a->top, a->right, a->bottom) + area(b->left, b->top, b->right, b->bottom) - both;
    return all > 0 ? both / all : 0;
}

/* The best first; equal ones in the order of image, label and place, so that the order is one. */
static int by_score(const void *p, const void *q) {
    const glia_box *a = p, *b = q;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    if (a->image != b->image) return a->image < b->image ? -1 : 1;
    if (a->label != b->label) return a->label < b->label ? -1 : 1;
    if (a->left != b->left) return a->left < b->left ? -1 : 1;
    return (a->top > b->top) - (a->top < b->top);
}

int64_t glia_suppress(glia_box *boxes, int64_t n, double iou) {
    if (!boxes || n < 1) return 0;
    qsort(boxes, (size_t)n, sizeof *boxes, by_score);
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
        bool free_place = true;
        for (int64_t k = 0; k < kept && free_place; k++)
            free_place = boxes[k].image != boxes[i].image || boxes[k].label != boxes[i].label ||
                         !(glia_box_iou(&boxes[k], &boxes[i]) > iou);
        if (free_place) boxes[kept++] = boxes[i];
    }
    return kept;
}

/* ---- average precision ---------------------------------------------------------------------- */

/* The true box that the detection takes; -1: none. */
static int64_t match(const glia_box *truth, int64_t n, const bool *taken, const glia_box *found, int label, double iou,
                     glia_precision_rule rule) {
    int64_t best = -1;
    double most = iou;
    for (int64_t i = 0; i < n; i++) {
        if (truth[i].label != label || truth[i].image != found->image) continue;
        if (rule == GLIA_COCO && taken[i]) continue;
        const double overlap = glia_box_iou(&truth[i], found);
        if (overlap < most || (best >= 0 && overlap == most)) continue;
        most = overlap;
        best = i;
    }
    return best >= 0 && !taken[best] ? best : -1;
}

/* The mean of the best precision at recalls from `recall` on, by the rule. precision and recall: (n), recall rising. */
static double integrate(double *precision, const double *recall, int64_t n, glia_precision_rule rule) {
    for (int64_t i = n - 2; i >= 0; i--) precision[i] = fmax(precision[i], precision[i + 1]);
    double sum = 0;
    if (rule == GLIA_VOC) {
        for (int64_t i = 0; i < n; i++) sum += (recall[i] - (i ? recall[i - 1] : 0)) * precision[i];
        return sum;
    }
    const int points = rule == GLIA_COCO ? 101 : 11;
    int64_t at = 0;
    for (int k = 0; k < points; k++) {
        while (at < n && recall[at] < (double)k / (points - 1)) at++;
        if (at < n) sum += precision[at];
    }
    return sum / points;
}

/* The detections of the label, the best first, of COCO at most 100 of an image; their number. */
static int64_t sort_found(const glia_box *found, int64_t n, int label, glia_precision_rule rule, glia_box *out) {
    int64_t m = 0, kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (found[i].label == label) out[m++] = found[i];
    qsort(out, (size_t)m, sizeof *out, by_score);
    for (int64_t i = 0; i < m; i++) {
        int before = 0;
        for (int64_t k = 0; rule == GLIA_COCO && k < kept; k++) before += out[k].image == out[i].image;
        if (before < MOST_OF_IMAGE) out[kept++] = out[i];
    }
    return kept;
}

double glia_average_precision(const glia_box *truth, int64_t n_truth, const glia_box *found, int64_t n_found, int label,
                              double iou, glia_precision_rule rule, glia_error *error) {
    int64_t wanted = 0;
    for (int64_t i = 0; truth && i < n_truth; i++) wanted += truth[i].label == label;
    if (wanted == 0) return NAN;
    if (!found || n_found < 1) return 0;
    glia_box *sorted = malloc((size_t)n_found * sizeof *sorted);
    bool *taken = calloc((size_t)n_truth, sizeof *taken);
    double *precision = malloc((size_t)n_found * sizeof *precision), *recall = malloc((size_t)n_found * sizeof *recall);
    double result = NAN;
    if (sorted && taken && precision && recall) {
        const int64_t n = sort_found(found, n_found, label, rule, sorted);
        int64_t right = 0;
        for (int64_t i = 0; i < n; i++) {
            const int64_t k = match(truth, n_truth, taken, &sorted[i], label, iou, rule);
            if (k >= 0) taken[k] = true;
            right += k >= 0;
            precision[i] = (double)right / (double)(i + 1);
            recall[i] = (double)right / (double)wanted;
        }
        result = integrate(precision, recall, n, rule);
    } else {
        glia_fail_nomem(error);
    }
    free(sorted);
    free(taken);
    free(precision);
    free(recall);
    return result;
}
