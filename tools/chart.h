/* chart.h - curves as SVG. */
#ifndef GLIA_TOOL_CHART_H
#define GLIA_TOOL_CHART_H

#include "tool.h"

typedef struct chart_point {
    double x, y;
} chart_point;

/* A line through the points of training, another with dots through those of validation. x begins at 0. Where y spans
 * more than a factor of 8 the axis is logarithmic. */
typedef struct chart {
    const chart_point *train, *validation;
    int n_train, n_validation;
    const char *x_name, *unit; /* unit: of y, behind a number */
} chart;

void chart_svg(text *out, const chart *c);

#endif
