/* vision.h - figures of segmentation and detection: IoU, Dice, non-maximum suppression, mean average precision. */
#ifndef GLIA_VISION_H
#define GLIA_VISION_H

#include "glia/fit.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- segmentation --------------------------------------------------------------------------- */

/* Overlap of predicted and true regions, from a confusion matrix of pixels, (classes, classes), rows the truth:
 * IoU (Jaccard index) TP / (TP + FP + FN), Dice (F1) 2 TP / (2 TP + FP + FN); NaN for a class that occurs on neither
 * side. mean_iou (as VOC's and CamVid's evaluations have it) is over the classes that occur. */
typedef struct glia_overlap {
    double mean_iou, mean_dice, accuracy; /* accuracy: of pixels */
} glia_overlap;
/* iou and dice (classes) may be NULL. */
GLIA_API glia_overlap glia_overlap_of(const int64_t *confusion, int classes, double *iou, double *dice);
/* The confusion matrix (classes, classes) of a model's scores (N, pixels, classes) on data with a label for each pixel;
 * pixels labelled -1 do not count. backend NULL: "cpu" with all cores. */
GLIA_API glia_status glia_segmentation_confusion(glia_model *model, const glia_dataset *data, int classes,
                                                 int64_t *confusion, glia_backend *backend, glia_error *error);

/* ---- detection ------------------------------------------------------------------------------ */

/* A box in pixels; corners, right and bottom exclusive. */
typedef struct glia_box {
    double left, top, right, bottom;
    int label, image;
    double score; /* of a detection */
} glia_box;
GLIA_API double glia_box_iou(const glia_box *a, const glia_box *b); /* 0 if one is empty */
/* Greedy non-maximum suppression: boxes in the order of their scores, without those that overlap a better one of the
 * same image and label by more than `iou`. Moves the kept ones to the front, sorted; returns their number, -1: out of
 * memory. */
GLIA_API int64_t glia_suppress(glia_box *boxes, int64_t n, double iou);
/* Average precision of one label at this overlap. A detection is right if it overlaps a true box of its image by at
 * least `iou`, which no better detection has taken (VOC: the box that it overlaps most; COCO: the free one that it
 * overlaps most). NaN: there is no true box of the label. */
typedef enum glia_precision_rule {
    GLIA_VOC, /* the area under the curve of rising precision (Everingham et al., since 2010) */
    GLIA_VOC_2007, /* the mean of the precision at 11 recalls */
    GLIA_COCO /* the mean of the precision at 101 recalls, at most 100 detections an image */
} glia_precision_rule;
GLIA_API double glia_average_precision(const glia_box *truth, int64_t n_truth, const glia_box *found, int64_t n_found,
                                       int label, double iou, glia_precision_rule rule, glia_error *error);

#ifdef __cplusplus
}
#endif

#endif
