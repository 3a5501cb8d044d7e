/* chart.h - curves as SVG. */
#ifndef GLIA_TOOL_CHART_H
#define GLIA_TOOL_CHART_H

#include "terminal/tool.h"

typedef struct chart_point {
    double x, y;
} chart_point;

typedef struct chart_series {
    const chart_point *points;
    int n;
    char colour; /* 'a' or 'b' of the page's */
    bool dots;   /* on the points */
    bool faint;
} chart_series;

/* x begins at 0 unless it is logarithmic. Where y spans more than a factor of 8 its axis is logarithmic. */
typedef struct chart {
    const chart_series *series;
    int n_series;
    const char *x_name, *unit; /* unit: of y, behind a number */
    bool x_logarithmic;
    bool y_free; /* no logarithm of y, and it need not show 0 */
    double mark; /* a line at this x; 0: none */
} chart;

void chart_svg(text *out, const chart *c);
/* The same as a file of its own, light and dark. */
void chart_file(text *out, const chart *c);

/* The colours of pages and drawings, and the classes of both kinds of drawings, as CSS. */
extern const char chart_colours[], chart_style[];

#endif
