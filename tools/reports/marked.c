/* marked.c - see marked.h. */
#include "reports/marked.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/picture.h"

/* Room for another picture of (3, height, width). */
static float *grow(marked *m, int64_t height, int64_t width) {
    m->shape = GLIA_SHAPE(3, height, width);
    const size_t size = (size_t)glia_shape_count(m->shape);
    float *values = allocate((size_t)(m->n + 1) * size, sizeof *values);
    if (m->n) memcpy(values, m->values, (size_t)m->n * size * sizeof *values);
    free(m->values);
    m->values = values;
    return m->values + (size_t)m->n++ * size;
}

void marked_boxes(marked *m, const float *x, glia_shape sample, const glia_box *boxes, int64_t n) {
    enum { SCALE = 2 };
    glia_draw_boxes(x, sample, boxes, n, SCALE, grow(m, SCALE * sample.dim[1], SCALE * sample.dim[2]));
}

void marked_classes(marked *m, const float *x, glia_shape sample, const int32_t *labels) {
    m->columns = 4;
    glia_draw_boxes(x, sample, NULL, 0, 1, grow(m, sample.dim[1], sample.dim[2]));
    glia_draw_mask(x, sample, labels, grow(m, sample.dim[1], sample.dim[2]));
}

int marked_write(marked *m, const char *path) {
    text content = { 0 };
    if (m->n) {
        picture p = picture_grid(m->values, m->n, m->shape, m->columns);
        picture_png(&p, &content);
        free(p.pixels);
    }
    int status = -1;
    if (m->n && !write_file(path, content.bytes, content.length)) status = fail("%s: %s", path, strerror(errno));
    free(content.bytes);
    free(m->values);
    *m = (marked){ 0 };
    return status;
}
