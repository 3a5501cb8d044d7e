/* marked.h - pictures with what a model found in them, in one file. */
#ifndef GLIA_TOOL_MARKED_H
#define GLIA_TOOL_MARKED_H

#include "terminal/tool.h"

/* Pictures of one shape, (3, H, W) each. */
typedef struct marked {
    float *values;
    int64_t n;
    glia_shape shape;
    int columns; /* of the sheet; 0: about as many as rows */
} marked;

/* Adds a sample x, in [0, 1], with its boxes; or the sample, and beside it the same with the classes (H, W) of its
 * pixels. */
void marked_boxes(marked *m, const float *x, glia_shape sample, const glia_box *boxes, int64_t n);
void marked_classes(marked *m, const float *x, glia_shape sample, const int32_t *labels);
/* Writes a PNG and frees all. Returns -1, or the exit status after printing an error. */
int marked_write(marked *m, const char *path);

#endif
