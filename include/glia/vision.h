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

/* Data with boxes, as from the address "boxes:": x (C, H, W) and y (boxes, 5), f32: label, left, top, right and bottom
 * in pixels; label -1: no box. Augmentation moves the boxes with the pictures: each becomes the box around its moved
 * corners, cut at the edges, and no box if less than a quarter of it is left. names (classes) may be NULL: numbers.
 * GLIA_E_ARGUMENT: an unknown label, a box that is empty or more than a pixel outside its picture. */
GLIA_API glia_dataset *glia_data_boxes(glia_arrays arrays, int classes, const char *const *names, glia_error *error);

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

/* Detectors: models with an input "x" (C, H, W) and outputs "heat" (classes, h, w), logits of a box of the class with
 * its middle there, and "sides" (4, h, w), the pixels from there to its left, top, right and bottom, positive. The
 * method "detect" trains them (Zhou et al. 2019, "Objects as Points"; Liu et al. 2020, "Training-Time-Friendly
 * Network"). Boxes are peaks of "heat" among their 8 neighbours, after glia_suppress(). */
typedef struct glia_detect_opts {
    double score;   /* least score, in [0, 1]; 0: 0.05; GLIA_ZERO: none */
    double overlap; /* of glia_suppress(); 0: 0.6 */
    int64_t most;   /* boxes of a picture; 0: 100 */
    glia_backend *backend; /* NULL: "cpu" with `threads` */
    int threads;           /* 0: all cores */
} glia_detect_opts;
/* The boxes in n pictures x (n, sample), normalised as for training; box.image is the picture, from 0. Release *boxes
 * with free(). */
GLIA_API glia_status glia_detect(glia_model *model, const float *x, int64_t n, glia_detect_opts opts, glia_box **boxes,
                                 int64_t *n_boxes, glia_error *error);

typedef struct glia_detection_scores {
    double map50; /* mean average precision over the classes, overlap 0.5, by the rule GLIA_VOC */
    double map;   /* COCO's: the mean over overlaps of 0.5, 0.55, ..., 0.95, GLIA_COCO */
    int64_t boxes; /* true ones */
} glia_detection_scores;
/* Of a detector on data with boxes. each (the model's classes) may be NULL: average precision at 0.5, NaN for a class
 * that does not occur. */
GLIA_API glia_status glia_detection_precision(glia_model *model, const glia_dataset *data, glia_detect_opts opts,
                                              double *each, glia_detection_scores *scores, glia_error *error);

/* A picture x (1 or 3, H, W) in [0, 1] with outlines of boxes, in a colour for each label: out (3, scale H, scale W),
 * each pixel as a square of scale x scale. */
GLIA_API void glia_draw_boxes(const float *x, glia_shape shape, const glia_box *boxes, int64_t n, int scale,
                              float *out);
/* The same with the colour of each pixel's class over half of it: labels (H, W), -1: no class; out (3, H, W). */
GLIA_API void glia_draw_mask(const float *x, glia_shape shape, const int32_t *labels, float *out);

#ifdef __cplusplus
}
#endif

#endif
