/* detector.h - what training and using a detector share: its ends, targets and losses, boxes from scores. */
#ifndef GLIA_SRC_FAMILIES_VISION_DETECTOR_H
#define GLIA_SRC_FAMILIES_VISION_DETECTOR_H

#include "core/graph/graph.h"
#include "glia/vision.h"

enum { GLIA_BOX_NUMBERS = 5 }; /* of a box in data: label, left, top, right, bottom */

/* Input and outputs of a detector in its graph. */
typedef struct glia_detector_ends {
    glia_node *x, *heat, *sides; /* (N, C, H, W), (N, classes, h, w), (N, 4, h, w) */
    int64_t classes, height, width; /* of the maps */
    double step_x, step_y;          /* pixels from point to point */
} glia_detector_ends;
glia_status glia_detector_find(const glia_graph *graph, glia_detector_ends *ends, glia_error *error);

/* Checks that the data have boxes of at most these classes, in pictures of the input's shape. */
glia_status glia_detector_check(const glia_dataset *data, const glia_detector_ends *ends, glia_error *error);

/* What a batch of n pictures should give, and the weights of losses; the maps are those of the ends. */
typedef struct glia_detector_targets {
    float *positive, *negative; /* (n, classes, h, w): weights of a point as the middle of a box, and as none */
    float *sides;               /* (n, 4, h, w): pixels from the point to left, top, right, bottom of its box */
    float *weight;              /* (n, 1, h, w): of the overlap at the point */
} glia_detector_targets;
/* boxes (n, most, 5) as in the data. */
glia_status glia_detector_aim(const glia_detector_ends *ends, const float *boxes, int64_t n, int64_t most,
                              const glia_detector_targets *out, glia_error *error);
/* The two losses of a batch, of inputs named as the fields of glia_detector_targets: "target/positive", ... */
void glia_detector_losses(const glia_detector_ends *ends, glia_tensor *heat, glia_tensor *overlap);

/* The model as a function x -> heat, sides. */
typedef struct glia_detector {
    glia_detector_ends ends;
    glia_function *function;
    glia_backend *owned;
} glia_detector;
glia_status glia_detector_open(glia_model *model, glia_backend *backend, int threads, glia_detector *d,
                               glia_error *error);
void glia_detector_close(glia_detector *d);

/* A growing list of boxes. */
typedef struct glia_boxes {
    glia_box *at;
    int n, capacity;
} glia_boxes;
/* Adds the boxes of n pictures, numbered from `first`. */
glia_status glia_detector_run(const glia_detector *d, const float *x, int64_t n, int first, glia_detect_opts opts,
                              glia_boxes *found, glia_error *error);
/* Adds the boxes (most, 5) of picture `image` of the data. */
glia_status glia_boxes_add_true(glia_boxes *list, const float *boxes, int64_t most, int image, glia_error *error);

/* See glia_detection_precision(). */
glia_status glia_detector_measure(const glia_detector *d, const glia_dataset *data, glia_detect_opts opts, double *each,
                                  glia_detection_scores *scores, glia_error *error);

#endif
